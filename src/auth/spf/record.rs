//! SPF records (RFC 7208 §§4.5, 4.6.1, 5 and 6): the whole grammar, checked before anything is evaluated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use bytes::Bytes;

use super::Outcome;
use super::macros::{MacroString, Place, Span};
use crate::base::ParseError;

/// How many terms room is made for at first; most records have no more.
const TERMS: usize = 8;

/// A record whose syntax is right.
///
/// ```
/// use facteur::auth::spf::Record;
///
/// let record = Record::parse("v=spf1 +mx a:colo.example.com/28 -all")?;
/// assert_eq!(record.terms().collect::<Vec<_>>(), ["+mx", "a:colo.example.com/28", "-all"]);
/// assert_eq!(Record::parse("v=spf1 mx all/8").unwrap_err().to_string(), "expected the end of the term at octet 13");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Record {
    text: Bytes,
}

/// What of a record stands beside its directives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Modifiers {
    pub(super) redirect: Option<MacroString>,
    pub(super) explanation: Option<MacroString>,
    /// RFC 7208 §5.1: with "all" anywhere, "redirect" does not count.
    pub(super) has_all: bool,
}

/// `directive = [ qualifier ] mechanism`
#[derive(Clone, Copy, Debug)]
pub(super) struct Directive {
    /// The result where the mechanism matches.
    pub(super) outcome: Outcome,
    pub(super) mechanism: Mechanism,
    /// Where it stands in the text.
    pub(super) at: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A { domain: Option<MacroString>, prefix: Prefix },
    Mx { domain: Option<MacroString>, prefix: Prefix },
    Ptr { domain: Option<MacroString> },
    Ip4 { network: Ipv4Addr, prefix: u8 },
    Ip6 { network: Ipv6Addr, prefix: u8 },
    Exists(MacroString),
}

/// `dual-cidr-length`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

impl Record {
    /// Whether a text record is an SPF record at all. RFC 7208 §4.5: the version section "is terminated by either an SP
    /// character or the end of the record".
    pub fn is_spf(text: &[u8]) -> bool {
        let version = text.get(..6).is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"));
        version && matches!(text.get(6), None | Some(b' '))
    }

    /// Reads a record: `record = version terms *SP`.
    ///
    /// # Errors
    /// What was expected, and where. One error anywhere makes the whole record worthless (RFC 7208 §4.6).
    pub fn parse(text: impl Into<Bytes>) -> Result<Self, ParseError> {
        let text = text.into();
        read(&text, &mut Vec::with_capacity(TERMS))?;
        Ok(Self { text })
    }

    /// The terms as they stand in the record.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        // ASCII, as its grammar has it.
        terms(&self.text).filter_map(|at| std::str::from_utf8(self.text.get(at)?).ok())
    }
}

/// Reads the terms of a record, its directives onto those of others.
pub(super) fn read(text: &[u8], directives: &mut Vec<Directive>) -> Result<Modifiers, ParseError> {
    if !Record::is_spf(text) {
        return Err(ParseError { expected: "v=spf1", at: 0 });
    }
    let mut modifiers = Modifiers::default();
    for at in terms(text) {
        match term(text, at)? {
            Term::Directive(directive) => {
                modifiers.has_all |= matches!(directive.mechanism, Mechanism::All);
                directives.push(directive);
            }
            // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
            Term::Redirect(domain, at) => once(&mut modifiers.redirect, domain, at)?,
            Term::Explanation(domain, at) => once(&mut modifiers.explanation, domain, at)?,
            Term::Unknown => {}
        }
    }
    Ok(modifiers)
}

/// Where the terms stand, behind the version.
pub(super) fn terms(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    words(text, 6)
}

/// What stands between spaces, from octet `start` on.
fn words(text: &[u8], start: usize) -> impl Iterator<Item = Range<usize>> {
    let mut position = start;
    std::iter::from_fn(move || {
        while text.get(position) == Some(&b' ') {
            position += 1;
        }
        let begin = position;
        let rest = text.get(begin..).filter(|rest| !rest.is_empty())?;
        position = begin + memchr::memchr(b' ', rest).unwrap_or(rest.len());
        Some(begin..position)
    })
}

fn once(place: &mut Option<MacroString>, value: MacroString, at: usize) -> Result<(), ParseError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParseError { expected: "a modifier only once", at }),
    }
}

enum Term {
    Directive(Directive),
    Redirect(MacroString, usize),
    Explanation(MacroString, usize),
    Unknown,
}

/// `directive / modifier`
fn term(text: &[u8], at: Range<usize>) -> Result<Term, ParseError> {
    let word = text.get(at.clone()).unwrap_or_default();
    // The name of either ends here.
    let name_len = word.iter().position(|octet| matches!(octet, b':' | b'/' | b'=')).unwrap_or(word.len());
    let (name, rest) = word.split_at(name_len);
    if rest.first() == Some(&b'=') && is_name(name) {
        let value = at.start + name_len + 1..at.end;
        return Ok(if name.eq_ignore_ascii_case(b"redirect") {
            Term::Redirect(MacroString::parse(text, value, Place::Domain)?, at.start)
        } else if name.eq_ignore_ascii_case(b"exp") {
            Term::Explanation(MacroString::parse(text, value, Place::Domain)?, at.start)
        } else {
            MacroString::parse(text, value, Place::Modifier)?;
            Term::Unknown
        });
    }
    let (outcome, start) = match word.first() {
        Some(b'+') => (Outcome::Pass, at.start + 1),
        Some(b'-') => (Outcome::Fail, at.start + 1),
        Some(b'~') => (Outcome::SoftFail, at.start + 1),
        Some(b'?') => (Outcome::Neutral, at.start + 1),
        _ => (Outcome::Pass, at.start),
    };
    let mechanism = mechanism(text, start..at.start + name_len, at.end)?;
    Ok(Term::Directive(Directive { outcome, mechanism, at: at.into() }))
}

/// `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`
fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}

/// `mechanism = all / include / a / mx / ptr / ip4 / ip6 / exists`, with its name at `at`; the term ends at `end`.
fn mechanism(text: &[u8], at: Range<usize>, end: usize) -> Result<Mechanism, ParseError> {
    let name = text.get(at.clone()).unwrap_or_default();
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    // What follows the name, its colon included. An equals sign follows no mechanism.
    let after = at.end..end;
    if text.get(after.clone()).is_some_and(|rest| rest.starts_with(b"=")) {
        return Err(ParseError { expected: "a known mechanism", at: at.start });
    }
    // The usual ones first.
    if is(b"ip4") {
        let (network, prefix) = network(text, after, 32, "an IPv4 network", ipv4)?;
        Ok(Mechanism::Ip4 { network, prefix })
    } else if is(b"include") {
        Ok(Mechanism::Include(domain(text, after)?))
    } else if is(b"ip6") {
        let (network, prefix) =
            network(text, after, 128, "an IPv6 network", |address| std::str::from_utf8(address).ok()?.parse().ok())?;
        Ok(Mechanism::Ip6 { network, prefix })
    } else if is(b"all") {
        if after.is_empty() {
            Ok(Mechanism::All)
        } else {
            Err(ParseError { expected: "the end of the term", at: at.end })
        }
    } else if is(b"a") {
        let (domain, prefix) = domain_and_prefix(text, after)?;
        Ok(Mechanism::A { domain, prefix })
    } else if is(b"mx") {
        let (domain, prefix) = domain_and_prefix(text, after)?;
        Ok(Mechanism::Mx { domain, prefix })
    } else if is(b"exists") {
        Ok(Mechanism::Exists(domain(text, after)?))
    } else if is(b"ptr") {
        Ok(Mechanism::Ptr { domain: optional_domain(text, after)? })
    } else {
        Err(ParseError { expected: "a known mechanism", at: at.start })
    }
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`
fn domain_and_prefix(text: &[u8], at: Range<usize>) -> Result<(Option<MacroString>, Prefix), ParseError> {
    let (end, prefix) = dual_cidr_length(text, at.clone())?;
    Ok((optional_domain(text, at.start..end)?, prefix))
}

/// `ip4-network = qnum "." qnum "." qnum "." qnum`
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut dots) = (0_u32, 0);
    // Of the part that is read; `None` before its first digit.
    let mut part: Option<u32> = None;
    for octet in text {
        match (octet, part) {
            (b'0'..=b'9', None) => part = Some(u32::from(octet - b'0')),
            // No digit follows a zero at the start.
            (b'0'..=b'9', Some(number @ 1..=25)) => part = Some(number * 10 + u32::from(octet - b'0')),
            (b'.', Some(number @ 0..=255)) if dots < 3 => {
                address = address << 8 | number;
                dots += 1;
                part = None;
            }
            _ => return None,
        }
    }
    match (part, dots) {
        (Some(number @ 0..=255), 3) => Some(Ipv4Addr::from_bits(address << 8 | number)),
        _ => None,
    }
}

/// `":" domain-spec`
fn domain(text: &[u8], at: Range<usize>) -> Result<MacroString, ParseError> {
    if text.get(at.start) != Some(&b':') || at.is_empty() {
        return Err(ParseError { expected: "a colon", at: at.start });
    }
    MacroString::parse(text, at.start + 1..at.end, Place::Domain)
}

/// `[ ":" domain-spec ]`
fn optional_domain(text: &[u8], at: Range<usize>) -> Result<Option<MacroString>, ParseError> {
    if at.is_empty() { Ok(None) } else { domain(text, at).map(Some) }
}

/// `dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]` at the end of a term, and where it begins. It is looked
/// for from the end, because a domain-spec can hold slashes too.
fn dual_cidr_length(text: &[u8], at: Range<usize>) -> Result<(usize, Prefix), ParseError> {
    let mut prefix = Prefix { v4: 32, v6: 128 };
    let mut end = at.end;
    let doubled = |slash: &usize| *slash > at.start && text.get(slash - 1) == Some(&b'/');
    if let Some(slash) = length_at_end(text, at.start..end).filter(doubled) {
        prefix.v6 = cidr_length(text, slash + 1..end, 128)?;
        end = slash - 1;
    }
    if let Some(slash) = length_at_end(text, at.start..end) {
        prefix.v4 = cidr_length(text, slash + 1..end, 32)?;
        end = slash;
    }
    Ok((end, prefix))
}

/// Where the slash is, if the text ends with a slash and digits.
fn length_at_end(text: &[u8], at: Range<usize>) -> Option<usize> {
    let part = text.get(at.clone())?;
    let digits = part.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let slash = at.end.checked_sub(digits + 1).filter(|slash| *slash >= at.start)?;
    (digits > 0 && text.get(slash) == Some(&b'/')).then_some(slash)
}

/// `"0" / %x31-39 0*2DIGIT`, at most `most`.
fn cidr_length(text: &[u8], at: Range<usize>, most: u8) -> Result<u8, ParseError> {
    let digits = text.get(at.clone()).unwrap_or_default();
    let canonical = digits == b"0" || matches!(digits.first(), Some(b'1'..=b'9'));
    let number = digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit);
    let value =
        digits.iter().take(3).fold(0, |value: u16, digit| value * 10 + u16::from(digit.wrapping_sub(b'0') & 15));
    match u8::try_from(value) {
        Ok(value) if value <= most && canonical && number => Ok(value),
        _ => Err(ParseError { expected: "a prefix length", at: at.start }),
    }
}

/// `":" network [ "/" length ]`
fn network<T>(
    text: &[u8],
    at: Range<usize>,
    most: u8,
    expected: &'static str,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<(T, u8), ParseError> {
    if at.is_empty() || text.get(at.start) != Some(&b':') {
        return Err(ParseError { expected: "a colon", at: at.start });
    }
    let value = text.get(at.start + 1..at.end).unwrap_or_default();
    let slash = memchr::memchr(b'/', value);
    let (address, length) = match slash {
        None => (value, most),
        Some(slash) => (value.get(..slash).unwrap_or_default(), cidr_length(text, at.start + slash + 2..at.end, most)?),
    };
    parse(address).map(|address| (address, length)).ok_or(ParseError { expected, at: at.start + 1 })
}

impl Prefix {
    /// Whether `ip` is in the network around `other`.
    pub(super) fn matches(self, ip: IpAddr, other: IpAddr) -> bool {
        match (ip, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => in_network4(a, b, self.v4),
            (IpAddr::V6(a), IpAddr::V6(b)) => in_network6(a, b, self.v6),
            _ => false,
        }
    }
}

pub(super) fn in_network4(ip: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let other = ip.to_bits() ^ network.to_bits();
    other.checked_shr(32 - u32::from(prefix.min(32))).is_none_or(|high| high == 0)
}

pub(super) fn in_network6(ip: Ipv6Addr, network: Ipv6Addr, prefix: u8) -> bool {
    let other = ip.to_bits() ^ network.to_bits();
    other.checked_shr(128 - u32::from(prefix.min(128))).is_none_or(|high| high == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_records_are_read() {
        for text in [
            "v=spf1",
            "V=sPf1 -ALL",
            "v=spf1  a  mx -all  ",
            "v=spf1 a/24 a//64 a/24//64 a:x.org a:x.org/24 mx:x.org//0 mx/0",
            "v=spf1 include:x.org exists:%{ir}.x.org ptr ptr:x.org",
            "v=spf1 ip4:192.0.2.0/24 ip4:1.2.3.4 ip6:2001:db8::/32 ip6:::1 ?all",
            "v=spf1 redirect=_spf.x.org exp=e.x.org foo=%{d}/%{c} default=allow",
            "v=spf1 ip4:0.0.0.0/0 ip4:255.249.250.10 ip4:199.0.20.200",
            "v=spf1 moo.cow-far_out=man:dog/cat ip4:1.2.3.4 -all",
            "v=spf1 a:%{l/}.%{d} exists:a/b.x.org",
        ] {
            assert!(Record::parse(text).is_ok(), "{text}: {:?}", Record::parse(text));
        }
    }

    #[test]
    fn unsound_records_are_named_with_their_place() {
        for (text, expected, at) in [
            ("v=spf10", "v=spf1", 0),
            ("v=spf1\t-all", "v=spf1", 0),
            ("v=spf1 mx all/8", "the end of the term", 13),
            ("v=spf1 -all.", "a known mechanism", 8),
            ("v=spf1 foo", "a known mechanism", 7),
            ("v=spf1 -a=b", "a known mechanism", 8),
            ("v=spf1 a!=b", "a known mechanism", 7),
            ("v=spf1 =", "a known mechanism", 7),
            ("v=spf1 all=b=c redirect", "a known mechanism", 15),
            ("v=spf1 include", "a colon", 14),
            ("v=spf1 include/24", "a colon", 14),
            ("v=spf1 include:", "a domain", 15),
            ("v=spf1 a:", "a domain", 9),
            ("v=spf1 a:/24", "a domain", 9),
            ("v=spf1 a/33", "a prefix length", 9),
            ("v=spf1 a/024", "a prefix length", 9),
            ("v=spf1 a//129", "a prefix length", 10),
            ("v=spf1 a/24/64", "a prefix length", 12),
            ("v=spf1 a/", "a colon", 8),
            ("v=spf1 ip4", "a colon", 10),
            ("v=spf1 ip4:1.2.3", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.3.4/33", "a prefix length", 19),
            ("v=spf1 ip4:1.2.3.4/", "a prefix length", 19),
            ("v=spf1 ip4:1.2.3.4:8080", "an IPv4 network", 11),
            ("v=spf1 ip4:01.2.3.4", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.3.00", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.256.4", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.3.256", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.3.1000", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.3.", "an IPv4 network", 11),
            ("v=spf1 ip4:1..3.4", "an IPv4 network", 11),
            ("v=spf1 ip4:1.2.3.4.5", "an IPv4 network", 11),
            ("v=spf1 ip6:1:2", "an IPv6 network", 11),
            ("v=spf1 redirect=a.org redirect=b.org", "a modifier only once", 22),
            ("v=spf1 exp=a.org EXP=a.org", "a modifier only once", 17),
            ("v=spf1 redirect=", "a domain", 16),
            ("v=spf1 1up=foo", "a known mechanism", 7),
            ("v=spf1 foo=%abc", "a macro", 11),
            ("v=spf1 a:é.org", "a visible character", 9),
            ("v=spf1 ip4:1.2.3.4\n", "an IPv4 network", 11),
        ] {
            assert_eq!(Record::parse(text).map(drop), Err(ParseError { expected, at }), "{text}");
        }
    }

    #[test]
    fn networks_are_compared_by_their_prefix() {
        let v4 = |a: &str, b: &str, prefix| in_network4(a.parse().unwrap(), b.parse().unwrap(), prefix);
        assert!(v4("192.0.2.77", "192.0.2.0", 24) && v4("1.2.3.4", "9.9.9.9", 0) && v4("1.2.3.4", "1.2.3.4", 32));
        assert!(!v4("192.0.3.77", "192.0.2.0", 24) && !v4("1.2.3.5", "1.2.3.4", 32));
        let v6 = |a: &str, b: &str, prefix| in_network6(a.parse().unwrap(), b.parse().unwrap(), prefix);
        assert!(v6("2001:db8::1", "2001:db8::", 32) && v6("::1", "ff::", 0) && v6("::1", "::1", 128));
        assert!(!v6("2001:db9::1", "2001:db8::", 32) && !v6("::2", "::1", 128));
    }
}
