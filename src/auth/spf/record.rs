//! SPF records (RFC 7208 §§4.5, 4.6.1, 5 and 6): the whole grammar, checked before anything is evaluated.

use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;
use wide::u8x16;

use super::Outcome;
use super::macros::{MacroString, Place, Span};
use super::network::{Prefix, cidr_length, dual_cidr_length, in_network4, in_network6};
use crate::base::ParseError;
use crate::base::ip::{ipv4, ipv6};

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
    A {
        domain: Option<MacroString>,
        prefix: Prefix,
    },
    Mx {
        domain: Option<MacroString>,
        prefix: Prefix,
    },
    Ptr {
        domain: Option<MacroString>,
    },
    /// "ip4" or "ip6": whether the client is in the network.
    Network {
        has_client: bool,
    },
    Exists(MacroString),
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
        read(&text, None, |_| {})?;
        Ok(Self { text })
    }

    /// The terms as they stand in the record.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        // ASCII, as its grammar has it.
        terms(&self.text).filter_map(|at| std::str::from_utf8(self.text.get(at)?).ok())
    }
}

/// Reads a record for a client, each of its directives as it comes: they count only where the whole record is right.
pub(super) fn read(text: &[u8], client: Option<IpAddr>, each: impl FnMut(Directive)) -> Result<Modifiers, ParseError> {
    if !Record::is_spf(text) {
        return Err(ParseError { expected: "v=spf1", at: 0 });
    }
    // Without a branch, so that it is done many octets at a time.
    let plain = text.iter().fold(true, |plain, octet| plain & matches!(octet, b' '..=b'$' | b'&'..=b'~'));
    let mut reader = Reader { text, plain, client, modifiers: Modifiers::default(), each };
    for at in terms(text) {
        reader.term(at)?;
    }
    Ok(reader.modifiers)
}

/// Where the terms stand, behind the version.
fn terms(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut position = 6;
    std::iter::from_fn(move || {
        while text.get(position) == Some(&b' ') {
            position += 1;
        }
        let begin = position;
        position = end_of_term(text, begin);
        (begin < text.len()).then_some(begin..position)
    })
}

/// Where the term ends that begins at `at`. Terms are short: what a call of `memchr` costs is more than what it finds.
#[inline]
fn end_of_term(text: &[u8], mut at: usize) -> usize {
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let spaces = u8x16::new(*block).cmp_eq(u8x16::splat(b' ')).move_mask();
        if spaces != 0 {
            return at + spaces.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|octet| *octet == b' ').unwrap_or(rest.len())
}

struct Reader<'a, F> {
    text: &'a [u8],
    /// There are neither macros in it nor octets that no record may have. Few records are not so.
    plain: bool,
    client: Option<IpAddr>,
    modifiers: Modifiers,
    each: F,
}

impl<F: FnMut(Directive)> Reader<'_, F> {
    /// `directive / modifier`
    fn term(&mut self, at: Range<usize>) -> Result<(), ParseError> {
        let (outcome, start) = match self.text.get(at.start) {
            Some(b'+') => (Outcome::Pass, at.start + 1),
            Some(b'-') => (Outcome::Fail, at.start + 1),
            Some(b'~') => (Outcome::SoftFail, at.start + 1),
            Some(b'?') => (Outcome::Neutral, at.start + 1),
            _ => (Outcome::Pass, at.start),
        };
        let (key, len) = name(self.text.get(start..at.end).unwrap_or_default());
        let after = start + len..at.end;
        if self.text.get(after.clone()).is_some_and(|rest| rest.starts_with(b"=")) {
            // It is never behind the name of a mechanism, nor a qualifier before that of a modifier.
            return match self.text.get(at.start..after.start) {
                Some(name) if is_name(name) => self.modifier(key, at.start, after.start + 1..at.end),
                _ => Err(ParseError { expected: "a known mechanism", at: start }),
            };
        }
        let mechanism = self.mechanism(key, start, after)?;
        self.modifiers.has_all |= matches!(mechanism, Mechanism::All);
        (self.each)(Directive { outcome, mechanism, at: at.into() });
        Ok(())
    }

    /// `modifier = redirect / explanation / unknown-modifier`
    fn modifier(&mut self, key: u64, at: usize, value: Range<usize>) -> Result<(), ParseError> {
        let place = match key {
            REDIRECT => &mut self.modifiers.redirect,
            EXP => &mut self.modifiers.explanation,
            _ => return MacroString::parse(self.text, value, Place::Modifier).map(drop),
        };
        // RFC 7208 §6: "These two modifiers MUST NOT appear in a record more than once each."
        match place.replace(MacroString::parse(self.text, value, Place::Domain)?) {
            None => Ok(()),
            Some(_) => Err(ParseError { expected: "a modifier only once", at }),
        }
    }

    /// `mechanism = all / include / a / mx / ptr / ip4 / ip6 / exists`, with its name at `at`, and `after` that what is left of
    /// the term, its colon included.
    #[inline]
    fn mechanism(&self, key: u64, at: usize, after: Range<usize>) -> Result<Mechanism, ParseError> {
        match key {
            IP4 => {
                let (network, prefix) = self.network(after, 32, "an IPv4 network", ipv4)?;
                let has_client = matches!(self.client, Some(IpAddr::V4(ip)) if in_network4(ip, network, prefix));
                Ok(Mechanism::Network { has_client })
            }
            INCLUDE => Ok(Mechanism::Include(self.domain(after)?)),
            IP6 => {
                let (network, prefix) = self.network(after, 128, "an IPv6 network", ipv6)?;
                let has_client = matches!(self.client, Some(IpAddr::V6(ip)) if in_network6(ip, network, prefix));
                Ok(Mechanism::Network { has_client })
            }
            ALL if after.is_empty() => Ok(Mechanism::All),
            ALL => Err(ParseError { expected: "the end of the term", at: after.start }),
            A => {
                let (domain, prefix) = self.domain_and_prefix(after)?;
                Ok(Mechanism::A { domain, prefix })
            }
            MX => {
                let (domain, prefix) = self.domain_and_prefix(after)?;
                Ok(Mechanism::Mx { domain, prefix })
            }
            EXISTS => Ok(Mechanism::Exists(self.domain(after)?)),
            PTR => Ok(Mechanism::Ptr { domain: self.optional_domain(after)? }),
            _ => Err(ParseError { expected: "a known mechanism", at }),
        }
    }

    /// `[ ":" domain-spec ] [ dual-cidr-length ]`
    #[inline]
    fn domain_and_prefix(&self, at: Range<usize>) -> Result<(Option<MacroString>, Prefix), ParseError> {
        let (end, prefix) = dual_cidr_length(self.text, at.clone())?;
        Ok((self.optional_domain(at.start..end)?, prefix))
    }

    /// `[ ":" domain-spec ]`
    #[inline]
    fn optional_domain(&self, at: Range<usize>) -> Result<Option<MacroString>, ParseError> {
        if at.is_empty() { Ok(None) } else { self.domain(at).map(Some) }
    }

    /// `":" domain-spec`
    #[inline]
    fn domain(&self, at: Range<usize>) -> Result<MacroString, ParseError> {
        if self.text.get(at.start) != Some(&b':') || at.is_empty() {
            return Err(ParseError { expected: "a colon", at: at.start });
        }
        self.domain_spec(at.start + 1..at.end)
    }

    #[inline]
    fn domain_spec(&self, at: Range<usize>) -> Result<MacroString, ParseError> {
        match self.plain {
            true => MacroString::plain_domain(self.text, at),
            false => MacroString::parse(self.text, at, Place::Domain),
        }
    }

    /// `":" network [ "/" length ]`
    #[inline]
    fn network<T>(
        &self,
        at: Range<usize>,
        most: u8,
        expected: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<(T, u8), ParseError> {
        if at.is_empty() || self.text.get(at.start) != Some(&b':') {
            return Err(ParseError { expected: "a colon", at: at.start });
        }
        let value = self.text.get(at.start + 1..at.end).unwrap_or_default();
        // From the end, where it is near.
        let (address, length) = match value.iter().rposition(|octet| *octet == b'/') {
            None => (value, most),
            Some(slash) => {
                let length = cidr_length(self.text, at.start + slash + 2..at.end, most)?;
                (value.get(..slash).unwrap_or_default(), length)
            }
        };
        parse(address).map(|address| (address, length)).ok_or(ParseError { expected, at: at.start + 1 })
    }
}

/// The name that a term begins with: its octets in lower case as one number, to be compared at once, and how many they are.
/// The number is 0 for more than eight. A NUL, which would leave no trace in it, is in no name.
const fn name(term: &[u8]) -> (u64, usize) {
    let mut rest = term;
    let mut key = 0;
    while let [octet, after @ ..] = rest {
        if matches!(octet, b':' | b'/' | b'=' | 0) {
            break;
        }
        // Lower case of a letter; what else changes is in no name that is known.
        key = key << 8 | (*octet | (*octet & 0x40) >> 1) as u64;
        rest = after;
    }
    let len = term.len() - rest.len();
    (if len > 8 { 0 } else { key }, len)
}

const ALL: u64 = name(b"all").0;
const INCLUDE: u64 = name(b"include").0;
const A: u64 = name(b"a").0;
const MX: u64 = name(b"mx").0;
const PTR: u64 = name(b"ptr").0;
const IP4: u64 = name(b"ip4").0;
const IP6: u64 = name(b"ip6").0;
const EXISTS: u64 = name(b"exists").0;
const REDIRECT: u64 = name(b"redirect").0;
const EXP: u64 = name(b"exp").0;

/// `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`
fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
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
            ("v=spf1 -\0all", "a known mechanism", 8),
            ("v=spf1 \0\0\0\0\0all", "a known mechanism", 7),
            ("v=spf1 \0ip4:1.2.3.4", "a known mechanism", 7),
            ("v=spf1 all\0", "the end of the term", 10),
            ("v=spf1 \0exp=a.org", "a known mechanism", 7),
        ] {
            assert_eq!(Record::parse(text).map(drop), Err(ParseError { expected, at }), "{text}");
        }
    }
}
