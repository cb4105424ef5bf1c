//! A few records kept at hand that answer at once: tests, examples, and programs without a network.
//!
//! What it reads is the master file format of RFC 1035 §5.1 with the types of [`RecordType`], and besides them faults to
//! order: `TIMEOUT`, `SERVFAIL` and `BOGUS` in the place of a type, alone for every type that the name has no records of,
//! or followed by the type that they are for. Names are answered for as RFC 1034 §4.3.2 has it, with wildcards
//! (RFC 4592) and aliases; every name that is not there does not exist.
//!
//! `$SECURE NAME` has the answers for that name and those below it proved by DNSSEC, and `$INSECURE NAME` takes it back from
//! there downwards, as a delegation without a signature does.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use bytes::Bytes;

use crate::base::ParseError;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How many aliases of aliases are followed. Resolvers differ; 8 is what most follow.
const MAX_ALIASES: usize = 8;
/// What answers say where no `$TTL` and no record says otherwise: an hour.
const TTL: u32 = 3600;

/// Records and faults by name.
///
/// ```
/// use facteur::dns::{Data, Failure, Question, RecordType, Zone};
///
/// let zone: Zone = "
///     $ORIGIN example.org.
///     @       MX 10 mail
///     mail    A  192.0.2.1
///     *.lists CNAME mail
///     slow    TIMEOUT
/// ".parse()?;
/// let ask = |name: &str, kind| Ok::<_, facteur::base::ParseError>(zone.answer(&Question::new(name.parse()?, kind)).found);
/// assert_eq!(ask("a.lists.example.org", RecordType::A)?, Ok([Data::A([192, 0, 2, 1].into())].into()));
/// assert_eq!(ask("mail.example.org", RecordType::Txt)?, Err(Failure::NoData));
/// assert_eq!(ask("nobody.example.org", RecordType::A)?, Err(Failure::NxDomain));
/// assert_eq!(ask("slow.example.org", RecordType::A)?, Err(Failure::Timeout));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: BTreeMap<Name, Node>,
    /// Names that exist because there is one below them (RFC 4592 §2.2.2).
    above: BTreeSet<Name>,
    /// From where downwards answers are proved, or no longer.
    signed: BTreeMap<Name, bool>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    records: Vec<(Data, u32)>,
    faults: Vec<(Option<RecordType>, Failure)>,
}

impl Zone {
    /// No records: no name exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads records, as the [module](self) says.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut zone = Self::new();
        let mut reader = Reader { origin: Name::root(), ttl: TTL, owner: None };
        let entries = entries(text)?;
        // A text in a program is indented as a whole.
        let margin = entries.iter().map(|entry| entry.indent).min().unwrap_or(0);
        for entry in &entries {
            reader.entry(entry, entry.indent > margin, &mut zone)?;
        }
        Ok(zone)
    }

    /// Adds a record.
    pub fn insert(&mut self, name: Name, data: Data) {
        self.insert_with_ttl(name, data, TTL);
    }

    /// Adds a record that may be kept for `ttl` seconds.
    pub fn insert_with_ttl(&mut self, name: Name, data: Data, ttl: u32) {
        self.node(name).records.push((data, ttl));
    }

    /// Orders a fault: for questions of the type `kind`, or, with `None`, of each type that the name has no records of.
    pub fn fail(&mut self, name: Name, kind: Option<RecordType>, failure: Failure) {
        self.node(name).faults.push((kind, failure));
    }

    /// Has answers for this name and all below it be [secure](Answer::secure).
    pub fn sign(&mut self, name: Name) {
        self.signed.insert(name, true);
    }

    /// Takes [`sign`](Self::sign) back for this name and all below it.
    pub fn unsign(&mut self, name: Name) {
        self.signed.insert(name, false);
    }

    fn is_signed(&self, name: &Name) -> bool {
        if self.signed.is_empty() {
            return false;
        }
        let names = std::iter::successors(Some(name.clone()), Name::parent);
        names.into_iter().find_map(|name| self.signed.get(&name).copied()).unwrap_or(false)
    }

    fn node(&mut self, name: Name) -> &mut Node {
        let mut above = name.parent();
        while let Some(name) = above {
            above = name.parent();
            if !self.above.insert(name) {
                break;
            }
        }
        self.names.entry(name).or_default()
    }

    /// Answers a question. It is secure where each name on the way is, aliases among them (RFC 4035 §3.2.3), and there is no
    /// fault.
    pub fn answer(&self, question: &Question) -> Answer {
        let mut name = question.name.clone();
        let mut secure = true;
        for _ in 0..=MAX_ALIASES {
            secure &= self.is_signed(&name);
            let absent = |failure| Answer { secure, ..Answer::from(Err(failure)) };
            let Some(node) = self.find(&name) else { return absent(Failure::NxDomain) };
            let Some(node) = node else { return absent(Failure::NoData) };
            if let Some((_, failure)) = node.faults.iter().find(|(kind, _)| *kind == Some(question.kind)) {
                return Err(*failure).into();
            }
            let wanted = node.records.iter().filter(|(data, _)| data.kind() == question.kind);
            let (found, ttls): (Vec<Data>, Vec<u32>) = wanted.cloned().unzip();
            if !found.is_empty() {
                return Answer { found: Ok(found.into()), ttl: ttls.into_iter().min().unwrap_or(0), secure };
            }
            let alias = node.records.iter().find_map(|(data, _)| match data {
                Data::Cname(alias) => Some(alias),
                _ => None,
            });
            match (alias, node.faults.iter().find(|(kind, _)| kind.is_none())) {
                (Some(alias), _) => name = alias.clone(),
                (None, Some((_, failure))) => return Err(*failure).into(),
                (None, None) => return absent(Failure::NoData),
            }
        }
        Err(Failure::ServFail).into()
    }

    /// Puts an inquiry's questions to the zone until there is a verdict.
    pub fn ask<I: Inquiry>(&self, mut inquiry: I) -> I::Verdict {
        loop {
            match inquiry.poll() {
                Ask::Question(question) => inquiry.answer(&self.answer(&question)),
                Ask::Verdict(verdict) => return verdict,
            }
        }
    }

    /// What is at the name: `None` where it does not exist, `Some(None)` where it exists without records.
    fn find(&self, name: &Name) -> Option<Option<&Node>> {
        if let Some(node) = self.names.get(name) {
            return Some(Some(node));
        }
        if self.above.contains(name) {
            return Some(None);
        }
        // RFC 4592 §3.3.1: the wildcard of the closest name above that exists.
        let mut above = name.parent();
        while let Some(encloser) = above {
            if self.names.contains_key(&encloser) || self.above.contains(&encloser) {
                return self.names.get(&encloser.child("*").ok()?).map(Some);
            }
            above = encloser.parent();
        }
        None
    }
}

impl FromStr for Zone {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

/// A word of an entry, and where it stood.
#[derive(Clone, Debug)]
struct Word {
    octets: Vec<u8>,
    at: usize,
}

#[derive(Debug, Default)]
struct Entry {
    words: Vec<Word>,
    /// How much white space it began with.
    indent: usize,
}

/// Cuts the text into entries: lines, or several lines where parentheses hold them together.
fn entries(text: &str) -> Result<Vec<Entry>, ParseError> {
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

struct Reader {
    origin: Name,
    ttl: u32,
    owner: Option<Name>,
}

impl Reader {
    /// An entry that is `indented` is for the owner of the one before (RFC 1035 §5.1).
    fn entry(&mut self, entry: &Entry, indented: bool, zone: &mut Zone) -> Result<(), ParseError> {
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

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Result<Vec<Data>, Failure> {
        zone.answer(&Question::new(name.parse().unwrap(), kind)).found.map(|found| found.to_vec())
    }

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

    /// The example of RFC 4592 §2.2.1, its questions and answers.
    #[test]
    fn wildcards_are_for_names_that_are_not_there() {
        let zone: Zone = "$ORIGIN example.\n*.example. TXT \"this is a wildcard\"\n*.example. MX 10 host1.example.\n\
             sub.*.example. TXT \"this is not a wildcard\"\nhost1.example. A 192.0.2.1\n\
             _ssh._tcp.host1.example. SRV 0 0 22 host1.example."
            .parse()
            .unwrap();
        assert!(ask(&zone, "host3.example", RecordType::Mx).is_ok());
        assert_eq!(ask(&zone, "host3.example", RecordType::A), Err(Failure::NoData));
        assert!(ask(&zone, "foo.bar.example", RecordType::Txt).is_ok());
        assert_eq!(ask(&zone, "host1.example", RecordType::Mx), Err(Failure::NoData));
        assert!(ask(&zone, "sub.*.example", RecordType::Mx).is_err());
        assert_eq!(ask(&zone, "_telnet._tcp.host1.example", RecordType::Srv), Err(Failure::NxDomain));
        assert_eq!(ask(&zone, "_tcp.host1.example", RecordType::Srv), Err(Failure::NoData));
    }

    #[test]
    fn aliases_are_followed_and_do_not_run_in_circles() {
        let zone: Zone = "a.x CNAME b.x\nb.x CNAME c.x\nc.x A 192.0.2.1\nloop.x CNAME loop.x\nopen.x CNAME none.x\n"
            .parse()
            .unwrap();
        assert!(ask(&zone, "a.x", RecordType::A).is_ok());
        assert!(ask(&zone, "a.x", RecordType::Cname).is_ok());
        assert_eq!(ask(&zone, "a.x", RecordType::Txt), Err(Failure::NoData));
        assert_eq!(ask(&zone, "loop.x", RecordType::A), Err(Failure::ServFail));
        assert_eq!(ask(&zone, "open.x", RecordType::A), Err(Failure::NxDomain));
    }

    #[test]
    fn faults_come_to_order() {
        let zone: Zone =
            "a.x A 192.0.2.1\na.x TIMEOUT\nb.x A 192.0.2.1\nb.x BOGUS A\nb.x SERVFAIL MX\n".parse().unwrap();
        assert!(ask(&zone, "a.x", RecordType::A).is_ok());
        assert_eq!(ask(&zone, "a.x", RecordType::Mx), Err(Failure::Timeout));
        assert_eq!(ask(&zone, "b.x", RecordType::A), Err(Failure::Bogus));
        assert_eq!(ask(&zone, "b.x", RecordType::Mx), Err(Failure::ServFail));
        assert_eq!(ask(&zone, "b.x", RecordType::Txt), Err(Failure::NoData));
    }

    #[test]
    fn answers_are_secure_where_each_name_on_the_way_is() {
        let zone: Zone = "$SECURE x\n$INSECURE off.x\na.x A 192.0.2.1\nb.off.x A 192.0.2.1\nc.x CNAME b.off.x\n\
                          d.off.x CNAME a.x\ne.x CNAME a.x\nf.x SERVFAIL\ng.y A 192.0.2.1\n"
            .parse()
            .unwrap();
        for (name, secure) in [
            ("a.x", true),
            ("none.x", true),
            ("b.off.x", false),
            ("none.off.x", false),
            ("c.x", false),
            ("d.off.x", false),
            ("e.x", true),
            ("f.x", false),
            ("g.y", false),
        ] {
            assert_eq!(zone.answer(&Question::new(name.parse().unwrap(), RecordType::A)).secure, secure, "{name}");
        }
        let alias = Question::new("c.x".parse().unwrap(), RecordType::Cname);
        assert!(zone.answer(&alias).secure);
    }
}
