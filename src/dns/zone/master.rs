//! Master files (RFC 1035 §5.1), text to records and faults: entries first, then what each says.

use std::str::FromStr;

use bytes::Bytes;

use super::Zone;
use crate::base::ParseError;
use crate::dns::{Data, Failure, Name, RecordType};

/// A word of an entry, and where it stood.
#[derive(Clone, Debug)]
struct Word {
    octets: Vec<u8>,
    at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    words: Vec<Word>,
    /// How much white space it began with.
    pub(super) indent: usize,
}

/// Cuts the text into entries: lines, or several lines where parentheses hold them together.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, ParseError> {
    let mut all = Vec::new();
    let mut entry = Entry::default();
    let mut open: Option<usize> = None;
    let mut octets = text.bytes().enumerate().peekable();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'\n' if open.is_some() => {}
            b'\n' => all.push(std::mem::take(&mut entry)),
            b' ' | b'\t' | b'\r' => {
                // White space at the start of the entry counts until its first word.
                if open.is_none() && entry.words.is_empty() {
                    entry.indent += 1;
                }
            }
            b';' => while octets.next_if(|(_, octet)| *octet != b'\n').is_some() {},
            b'(' if open.is_none() => open = Some(at),
            b')' if open.is_some() => open = None,
            b'(' | b')' => return Err(ParseError { expected: "matching parentheses", at }),
            b'"' => {
                let mut word = Word { octets: Vec::new(), at };
                loop {
                    match octets.next() {
                        Some((_, b'"')) => break,
                        Some((at, b'\\')) => word.octets.push(escape(at, &mut octets)?),
                        Some((_, octet)) => word.octets.push(octet),
                        None => return Err(ParseError { expected: "the end of the string", at: text.len() }),
                    }
                }
                entry.words.push(word);
            }
            _ => {
                let mut word = Word { octets: Vec::new(), at };
                let mut next = Some((at, octet));
                while let Some((at, octet)) = next {
                    word.octets.push(if octet == b'\\' { escape(at, &mut octets)? } else { octet });
                    next = octets.next_if(|(_, octet)| !b" \t\r\n;()\"".contains(octet));
                }
                entry.words.push(word);
            }
        }
    }
    if let Some(at) = open {
        return Err(ParseError { expected: "a closing parenthesis", at });
    }
    all.push(entry);
    all.retain(|entry| !entry.words.is_empty());
    Ok(all)
}

/// `\X` or `\DDD` (RFC 1035 §5.1), its backslash read.
fn escape(at: usize, octets: &mut impl Iterator<Item = (usize, u8)>) -> Result<u8, ParseError> {
    let fault = ParseError { expected: "an escape", at };
    let (_, first) = octets.next().ok_or(fault)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let (_, digit) = octets.next().filter(|(_, digit)| digit.is_ascii_digit()).ok_or(fault)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| fault)
}

pub(super) struct Reader {
    pub(super) origin: Name,
    pub(super) ttl: u32,
    pub(super) owner: Option<Name>,
}

impl Reader {
    /// An entry that is `indented` is for the owner of the one before (RFC 1035 §5.1).
    pub(super) fn entry(&mut self, entry: &Entry, indented: bool, zone: &mut Zone) -> Result<(), ParseError> {
        let mut words = entry.words.iter();
        let first = entry.words.first().ok_or(ParseError { expected: "an entry", at: 0 })?;
        match &first.octets[..] {
            b"$ORIGIN" => {
                words.next();
                self.origin = self.name(word(&mut words, first, "a name")?)?;
                return end(words.next());
            }
            b"$SECURE" | b"$INSECURE" => {
                words.next();
                let name = self.name(word(&mut words, first, "a name")?)?;
                zone.signed.insert(name, first.octets == b"$SECURE");
                return end(words.next());
            }
            b"$TTL" => {
                words.next();
                let ttl = word(&mut words, first, "a number of seconds")?;
                self.ttl = number(ttl)?;
                return end(words.next());
            }
            _ => {}
        }
        if !indented {
            self.owner = Some(self.name(word(&mut words, first, "a name")?)?);
        }
        let owner = self.owner.clone().ok_or(ParseError { expected: "a name", at: first.at })?;
        let mut ttl = self.ttl;
        let mut kind = word(&mut words, first, "a type")?;
        loop {
            if kind.octets.eq_ignore_ascii_case(b"IN") {
            } else if kind.octets.first().is_some_and(u8::is_ascii_digit) {
                ttl = number(kind)?;
            } else {
                break;
            }
            kind = word(&mut words, kind, "a type")?;
        }
        if let Some(failure) = fault(kind) {
            let only = match words.next() {
                None => None,
                Some(word) => Some(record_type(word).ok_or(ParseError { expected: "a type", at: word.at })?),
            };
            zone.fail(owner, only, failure);
            return end(words.next());
        }
        let Some(known) = record_type(kind) else { return Err(ParseError { expected: "a type", at: kind.at }) };
        let data = self.data(known, kind, &mut words)?;
        zone.insert_with_ttl(owner, data, ttl);
        end(words.next())
    }

    fn data<'a>(
        &self,
        kind: RecordType,
        last: &Word,
        words: &mut impl Iterator<Item = &'a Word>,
    ) -> Result<Data, ParseError> {
        let mut next = |expected| word(words, last, expected);
        Ok(match kind {
            RecordType::A => Data::A(parsed(next("an IPv4 address")?, "an IPv4 address")?),
            RecordType::Aaaa => Data::Aaaa(parsed(next("an IPv6 address")?, "an IPv6 address")?),
            RecordType::Cname => Data::Cname(self.name(next("a name")?)?),
            RecordType::Ptr => Data::Ptr(self.name(next("a name")?)?),
            RecordType::Mx => {
                let preference = number(next("a preference")?)?;
                Data::Mx { preference, exchange: self.name(next("a name")?)? }
            }
            RecordType::Srv => Data::Srv {
                priority: number(next("a priority")?)?,
                weight: number(next("a weight")?)?,
                port: number(next("a port")?)?,
                target: self.name(next("a name")?)?,
            },
            RecordType::Tlsa => {
                let usage = number(next("a usage")?)?;
                let selector = number(next("a selector")?)?;
                let matching = number(next("a matching type")?)?;
                let mut digits = next("hexadecimal digits")?.clone();
                words.for_each(|word| digits.octets.extend_from_slice(&word.octets));
                Data::Tlsa { usage, selector, matching, data: hexadecimal(&digits)? }
            }
            RecordType::Txt => {
                let mut text = next("a text")?.octets.clone();
                words.for_each(|word| text.extend_from_slice(&word.octets));
                Data::Txt(text.into())
            }
        })
    }

    /// A name without a dot at its end is below the origin; `@` is the origin.
    fn name(&self, word: &Word) -> Result<Name, ParseError> {
        let fault = ParseError { expected: "a name", at: word.at };
        let text = std::str::from_utf8(&word.octets).map_err(|_| fault)?;
        if text == "@" {
            return Ok(self.origin.clone());
        }
        if text.ends_with('.') || self.origin.is_root() {
            return Name::parse(text).map_err(|_| fault);
        }
        Name::parse(&format!("{text}.{}", self.origin)).map_err(|_| fault)
    }
}

fn word<'a>(
    words: &mut impl Iterator<Item = &'a Word>,
    last: &Word,
    expected: &'static str,
) -> Result<&'a Word, ParseError> {
    words.next().ok_or(ParseError { expected, at: last.at + last.octets.len() })
}

fn end(word: Option<&Word>) -> Result<(), ParseError> {
    word.map_or(Ok(()), |word| Err(ParseError { expected: "the end of the entry", at: word.at }))
}

fn parsed<T: FromStr>(word: &Word, expected: &'static str) -> Result<T, ParseError> {
    let text = std::str::from_utf8(&word.octets).ok();
    text.and_then(|text| text.parse().ok()).ok_or(ParseError { expected, at: word.at })
}

fn number<T: FromStr>(word: &Word) -> Result<T, ParseError> {
    parsed(word, "a number")
}

fn hexadecimal(word: &Word) -> Result<Bytes, ParseError> {
    let fault = ParseError { expected: "hexadecimal digits", at: word.at };
    let digit = |octet: &u8| char::from(*octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = word.octets.chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .map(Bytes::from)
        .ok_or(fault)
}

fn fault(word: &Word) -> Option<Failure> {
    match &word.octets[..] {
        b"TIMEOUT" => Some(Failure::Timeout),
        b"SERVFAIL" => Some(Failure::ServFail),
        b"BOGUS" => Some(Failure::Bogus),
        _ => None,
    }
}

fn record_type(word: &Word) -> Option<RecordType> {
    std::str::from_utf8(&word.octets).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::tests::ask;
    use crate::dns::{Answer, Question};

    #[test]
    fn master_files_are_read() {
        let zone = Zone::parse(
            "$ORIGIN example.org.\n$TTL 60\n; a comment\n@ 300 IN MX 10 mail ; another\n   MX 20 backup.example.net.\n\
             mail IN A 192.0.2.1\n\tAAAA 2001:db8::1\nkey TXT ( \"v=DKIM1; \"\n  \"p=\\\"\\065\" )\n\
             _25._tcp.mail TLSA 3 1 1 0aFF 10\nsrv SRV 1 2 25 mail\n",
        )
        .unwrap();
        let mail: Name = "mail.example.org".parse().unwrap();
        assert_eq!(
            zone.answer(&Question::new("example.org".parse().unwrap(), RecordType::Mx)),
            Answer {
                ttl: 60,
                ..Answer::from(Ok(vec![
                    Data::Mx { preference: 10, exchange: mail.clone() },
                    Data::Mx { preference: 20, exchange: "backup.example.net".parse().unwrap() },
                ]))
            }
        );
        assert_eq!(
            ask(&zone, "mail.example.org", RecordType::Aaaa),
            Ok(vec![Data::Aaaa("2001:db8::1".parse().unwrap())])
        );
        assert_eq!(
            ask(&zone, "key.example.org", RecordType::Txt),
            Ok(vec![Data::Txt(Bytes::from_static(b"v=DKIM1; p=\"A"))])
        );
        assert_eq!(
            ask(&zone, "_25._tcp.mail.example.org", RecordType::Tlsa),
            Ok(vec![Data::Tlsa { usage: 3, selector: 1, matching: 1, data: Bytes::from_static(&[0x0a, 0xff, 0x10]) }])
        );
        assert_eq!(
            ask(&zone, "srv.example.org", RecordType::Srv),
            Ok(vec![Data::Srv { priority: 1, weight: 2, port: 25, target: mail }])
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected, at) in [
            ("a", "a type", 1),
            ("a FOO b", "a type", 2),
            ("a A 1.2.3", "an IPv4 address", 4),
            ("a MX mail", "a number", 5),
            ("a MX 10", "a name", 4),
            ("a TXT \"open", "the end of the string", 11),
            ("a TXT ( b", "a closing parenthesis", 6),
            ("a TXT b )", "matching parentheses", 8),
            ("a TXT \\25", "an escape", 6),
            ("a TXT \\256", "an escape", 6),
            ("a A 1.2.3.4 b", "the end of the entry", 12),
            ("a..b A 1.2.3.4", "a name", 0),
            ("a TLSA 1 1 1 abc", "hexadecimal digits", 13),
            ("a TIMEOUT b", "a type", 10),
        ] {
            assert_eq!(Zone::parse(text).unwrap_err(), ParseError { expected, at }, "{text}");
        }
    }
}
