//! Macro strings (RFC 7208 §7): checked once, expanded as often as needed.

use std::net::IpAddr;
use std::ops::Range;

use crate::base::ParseError;
use crate::dns::Name;
use crate::dns::name::{MAX_NAME, nibbles};

/// What is expanded stays below this many octets; of a name only the last 253 count, of an explanation only the first
/// [`MAX_EXPLANATION`].
const MAX_EXPANDED: usize = 8 * 1024;
/// The longest explanation, in octets: what one line of an SMTP reply can carry (RFC 5321 §4.5.3.1.5). RFC 7208 §6.2 lets
/// implementations limit it.
pub const MAX_EXPLANATION: usize = 500;

/// Where a macro string stands, which decides what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `domain-spec`
    Domain,
    /// `macro-string` of an unknown modifier.
    Modifier,
    /// `explain-string`
    Explanation,
}

/// A part of a text. What does not fit is not in any text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl From<Range<usize>> for Span {
    fn from(at: Range<usize>) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(at.start), end: narrow(at.end) }
    }
}

impl Span {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The same with so many octets before it.
    pub(crate) fn back(self, octets: u32) -> Self {
        Self { start: self.start.saturating_sub(octets), end: self.end }
    }
}

/// A macro string that is sound: where it stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MacroString {
    pub(crate) at: Span,
    /// There is a `%` in it.
    macros: bool,
    /// There is a `%{p}` in it.
    pub(crate) wants_name: bool,
}

/// What macros stand for.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    pub(crate) local: &'a str,
    /// The domain of the sender.
    pub(crate) origin: &'a str,
    pub(crate) domain: &'a Name,
    pub(crate) ip: IpAddr,
    pub(crate) helo: &'a str,
    /// The validated name of the address.
    pub(crate) name: &'a str,
    pub(crate) receiver: &'a str,
    pub(crate) now: i64,
}

impl MacroString {
    /// Checks the macro string at `at` of `text`.
    ///
    /// # Errors
    /// What was expected, and where in `text`.
    pub(crate) fn parse(text: &[u8], at: Range<usize>, place: Place) -> Result<Self, ParseError> {
        let input = text.get(..at.end).unwrap_or_default();
        let (mut macros, mut wants_name) = (false, false);
        let mut position = at.start;
        // Where the literal text at the end begins.
        let mut tail = at.start;
        while let Some(octet) = input.get(position) {
            match octet {
                b'%' => {
                    let (end, letter) = macro_expand(input, position, place)?;
                    macros = true;
                    wants_name |= letter == Some(b'p');
                    position = end;
                    tail = end;
                }
                b' ' if place == Place::Explanation => position += 1,
                // macro-literal = %x21-24 / %x26-7E
                0x21..=0x7e => position += 1,
                _ => return Err(ParseError { expected: "a visible character", at: position }),
            }
        }
        let string = Self { at: at.clone().into(), macros, wants_name };
        if place != Place::Domain {
            return Ok(string);
        }
        // domain-spec = macro-string domain-end; domain-end = ( "." toplabel [ "." ] ) / macro-expand
        if is_domain_end(input.get(tail..).unwrap_or_default(), macros) {
            Ok(string)
        } else {
            Err(ParseError { expected: "a domain", at: at.start })
        }
    }

    /// The same for a domain-spec in which there is neither a `%` nor anything that no macro string may have.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[inline]
    pub(crate) fn plain_domain(text: &[u8], at: Range<usize>) -> Result<Self, ParseError> {
        match is_domain_end(text.get(at.clone()).unwrap_or_default(), false) {
            true => Ok(Self { at: at.into(), macros: false, wants_name: false }),
            false => Err(ParseError { expected: "a domain", at: at.start }),
        }
    }

    /// The name that it stands for where there are no macros in it; `None` where there are. The inner `None` as of
    /// [`name`](Self::name).
    pub(crate) fn plain_name(&self, text: &[u8]) -> Option<Option<Name>> {
        let name = || Name::parse(std::str::from_utf8(text.get(self.at.range())?).ok()?).ok();
        (!self.macros).then(name)
    }

    /// The text that it stands for.
    pub(crate) fn expand(&self, text: &[u8], values: &Values<'_>) -> String {
        let input = text.get(self.at.range()).unwrap_or_default();
        let mut out = String::with_capacity(input.len() + 32);
        let mut rest = input;
        loop {
            let len = if self.macros { memchr::memchr(b'%', rest).unwrap_or(rest.len()) } else { rest.len() };
            let (literal, after) = rest.split_at(len);
            out.push_str(std::str::from_utf8(literal).unwrap_or_default()); // ASCII, as was checked
            if out.len() > MAX_EXPANDED {
                // A name is cut from the left; an explanation is too long to be used.
                out.drain(..out.len() - MAX_EXPANDED / 2);
            }
            rest = match after {
                [b'%', b'{', letter, after @ ..] => {
                    let end = memchr::memchr(b'}', after).unwrap_or(after.len());
                    let (transformers, after) = after.split_at(end);
                    out.push_str(&values.value(*letter, transformers));
                    after.get(1..).unwrap_or_default()
                }
                [b'%', b'_', after @ ..] => {
                    out.push(' ');
                    after
                }
                [b'%', b'-', after @ ..] => {
                    out.push_str("%20");
                    after
                }
                [b'%', _, after @ ..] => {
                    out.push('%');
                    after
                }
                _ => return out,
            };
        }
    }

    /// The name that it stands for: `None` where that is no name of the DNS (RFC 7208 §4.8).
    pub(crate) fn name(&self, text: &[u8], values: &Values<'_>) -> Option<Name> {
        if let Some(name) = self.plain_name(text) {
            return name;
        }
        let expanded = self.expand(text, values);
        let mut name = expanded.strip_suffix('.').unwrap_or(&expanded);
        // RFC 7208 §7.3: "the left side is truncated to fit, by removing successive domain labels"
        while name.len() > MAX_NAME {
            name = name.split_once('.')?.1;
        }
        Name::parse(name).ok()
    }
}

/// `macro-expand`: where it ends, and its letter in lower case.
fn macro_expand(input: &[u8], at: usize, place: Place) -> Result<(usize, Option<u8>), ParseError> {
    let fault = |expected, at| Err(ParseError { expected, at });
    match input.get(at + 1) {
        Some(b'{') => {}
        Some(b'%' | b'_' | b'-') => return Ok((at + 2, None)),
        _ => return fault("a macro", at),
    }
    let letter = input.get(at + 2).map(u8::to_ascii_lowercase);
    match letter {
        Some(b's' | b'l' | b'o' | b'd' | b'i' | b'p' | b'h' | b'v') => {}
        // RFC 7208 §7.2: "allowed only in "exp" text"
        Some(b'c' | b'r' | b't') if place != Place::Domain => {}
        _ => return fault("a macro letter", at + 2),
    }
    let mut position = at + 3;
    let digits = input.get(position..).unwrap_or_default().iter().take_while(|octet| octet.is_ascii_digit());
    let digits = digits.fold((0, true), |(count, zero), digit| (count + 1, zero && *digit == b'0'));
    // RFC 7208 §7.3: "If a DIGIT is specified, the value MUST be nonzero."
    if digits.0 > 0 && digits.1 {
        return fault("a number of labels", position);
    }
    position += digits.0;
    if matches!(input.get(position), Some(b'r' | b'R')) {
        position += 1;
    }
    while input.get(position).is_some_and(|octet| b".-+,/_=".contains(octet)) {
        position += 1;
    }
    match input.get(position) {
        Some(b'}') => Ok((position + 1, letter)),
        _ => fault("the end of the macro", position),
    }
}

/// Whether the literal text at the end of a domain-spec ends it well; it may be empty behind a macro.
fn is_domain_end(literal: &[u8], macros: bool) -> bool {
    let literal = match literal {
        [] => return macros,
        [before @ .., b'.'] => before,
        literal => literal,
    };
    // toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ), from its end
    let (mut first, mut number) = (b'-', true);
    for octet in literal.iter().rev() {
        match octet {
            b'.' => return first != b'-' && !number,
            b'0'..=b'9' => {}
            b'a'..=b'z' | b'A'..=b'Z' => number = false,
            // Not at the end.
            b'-' if first != b'-' || !number => number = false,
            _ => return false,
        }
        first = *octet;
    }
    false
}

impl Values<'_> {
    fn value(&self, letter: u8, transformers: &[u8]) -> String {
        let value = match letter.to_ascii_lowercase() {
            b's' => format!("{}@{}", self.local, self.origin),
            b'l' => self.local.to_owned(),
            b'o' => self.origin.to_owned(),
            b'd' => self.domain.as_str().to_owned(),
            b'i' => match self.ip {
                IpAddr::V4(address) => address.to_string(),
                // In a name it does not matter; in an explanation the openspf suite wants capitals.
                IpAddr::V6(address) => nibbles(&address.octets(), false).to_ascii_uppercase(),
            },
            b'p' => self.name.to_owned(),
            b'v' => if self.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            b'h' => self.helo.to_owned(),
            b'c' => self.ip.to_string(),
            b'r' => self.receiver.to_owned(),
            _ => self.now.to_string(),
        };
        let value = if transformers.is_empty() { value } else { transformed(&value, transformers) };
        if letter.is_ascii_uppercase() { escaped(&value) } else { value }
    }
}

/// RFC 7208 §7.3.
fn transformed(value: &str, transformers: &[u8]) -> String {
    let digits = transformers.iter().take_while(|octet| octet.is_ascii_digit());
    let count = digits.fold(None, |count: Option<usize>, digit| {
        Some(count.unwrap_or(0).saturating_mul(10).saturating_add(usize::from(digit - b'0')))
    });
    let end = transformers.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(transformers.len());
    let rest = transformers.get(end..).unwrap_or_default();
    let (reversed, delimiters) = match rest {
        [b'r' | b'R', delimiters @ ..] => (true, delimiters),
        delimiters => (false, delimiters),
    };
    let delimiters = if delimiters.is_empty() { b"." } else { delimiters };
    let is_delimiter = |c: char| u8::try_from(c).is_ok_and(|octet| delimiters.contains(&octet));
    let mut parts: Vec<&str> = value.split(is_delimiter).collect();
    if reversed {
        parts.reverse();
    }
    let skipped = parts.len().saturating_sub(count.unwrap_or(usize::MAX));
    parts.get(skipped..).unwrap_or_default().join(".")
}

/// URL escaping of all but the "unreserved" characters (RFC 3986 §2.3).
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, ip: &str) -> String {
        let domain: Name = "email.example.com".parse().unwrap();
        let values = Values {
            local: "strong-bad",
            origin: "email.example.com",
            domain: &domain,
            ip: ip.parse().unwrap(),
            helo: "mx.example.org",
            name: "mx.example.org",
            receiver: "mx.example.net",
            now: 12,
        };
        let text = text.as_bytes();
        MacroString::parse(text, 0..text.len(), Place::Explanation).unwrap().expand(text, &values)
    }

    /// RFC 7208 §7.4.
    #[test]
    fn the_examples_of_the_rfc_expand_as_it_says() {
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
            ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
            ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
            ("%{S}", "strong-bad%40email.example.com"),
            (
                "a%%b%_c%-d %{c} %{r} %{t} %{p} %{h}",
                "a%b c%20d 192.0.2.3 mx.example.net 12 mx.example.org mx.example.org",
            ),
            ("%{d99999999999999999999999}", "email.example.com"),
        ] {
            assert_eq!(expanded(text, "192.0.2.3"), expected, "{text}");
        }
        assert_eq!(
            expanded("%{ir}.%{v}._spf.%{d2}", "2001:db8::cb01").to_ascii_lowercase(),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
    }

    #[test]
    fn unsound_strings_are_named_with_their_place() {
        let parse = |text: &str, place| MacroString::parse(text.as_bytes(), 0..text.len(), place).map(drop);
        for (text, expected, at) in [
            ("%(ir).example.org", "a macro", 0),
            ("a.%", "a macro", 2),
            ("%{x}.org", "a macro letter", 2),
            ("%{c}.org", "a macro letter", 2),
            ("%{d0}.org", "a number of labels", 3),
            ("%{d00r}.org", "a number of labels", 3),
            ("%{d", "the end of the macro", 3),
            ("%{drr}.org", "the end of the macro", 4),
            ("%{d;}.org", "the end of the macro", 3),
            ("a b.org", "a visible character", 1),
            ("localhost", "a domain", 0),
            ("", "a domain", 0),
            ("a.123", "a domain", 0),
            ("a.-b", "a domain", 0),
            ("a.b-", "a domain", 0),
            ("%{d}org", "a domain", 0),
            ("a.org..", "a domain", 0),
        ] {
            assert_eq!(parse(text, Place::Domain), Err(ParseError { expected, at }), "{text}");
        }
        for text in ["a.org", "localhost", "", "a.123", "a.-b", "a.b-", "a.org..", "a.org.", ".org", "a.1-2", "a..org"]
        {
            let parsed = MacroString::parse(text.as_bytes(), 0..text.len(), Place::Domain);
            assert_eq!(MacroString::plain_domain(text.as_bytes(), 0..text.len()), parsed, "{text}");
        }
        for text in ["a.org", "a.org.", ".org", "a.1a", "a.1-2", "%{d}", "%%", "a.%{o}", "a..org", "%{d}.org"] {
            assert_eq!(parse(text, Place::Domain), Ok(()), "{text}");
        }
        assert_eq!(parse("", Place::Explanation), Ok(()));
        assert_eq!(parse("a b", Place::Explanation), Ok(()));
        assert!(parse("a\tb", Place::Explanation).is_err());
    }

    #[test]
    fn long_names_lose_their_left() {
        let domain: Name = "example.com".parse().unwrap();
        let local = ["a"; 200].join(".");
        let values = Values {
            local: &local,
            origin: "x",
            domain: &domain,
            ip: [192, 0, 2, 1].into(),
            helo: "",
            name: "",
            receiver: "",
            now: 0,
        };
        let text = b"%{l}.%{d}";
        let name = MacroString::parse(text, 0..text.len(), Place::Domain).unwrap().name(text, &values).unwrap();
        assert_eq!(name.as_str(), format!("{}.example.com", ["a"; 121].join(".")));
    }
}
