//! The DNS as questions and answers, without a socket (RFC 1034, RFC 1035).
//!
//! Whoever evaluates something out of the DNS (SPF, a DKIM key, where a domain's mail goes) is an [`Inquiry`]: it asks
//! [`Question`]s, several at once where it can, and comes to a verdict. Whoever can answer drives it: a [`Zone`] at once, for
//! tests and for work without a network; a resolver by and by. [`packet`] makes queries of questions and answers of responses.

pub mod cache;
mod inquiry;
pub mod mx;
pub mod name;
pub mod packet;
pub mod zone;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::ParseError;

pub use cache::Cache;
pub use inquiry::{Ask, Inquiry, Traced, Within};
pub use mx::Targets;
pub use name::Name;
pub use zone::Zone;

/// A name and the type of the records that are wanted of it.
///
/// ```
/// use facteur::dns::{Question, RecordType};
///
/// let question = Question::new("Example.ORG".parse()?, RecordType::Mx);
/// assert_eq!(question.to_string(), "example.org MX");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Question {
    /// Of what.
    pub name: Name,
    /// What.
    pub kind: RecordType,
}

/// The types of records that mail asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address (RFC 3596).
    Aaaa,
    /// Another name for this one.
    Cname,
    /// A host that takes mail for the name.
    Mx,
    /// The name of an address.
    Ptr,
    /// A host that offers a service (RFC 2782).
    Srv,
    /// What a host's certificate must be (RFC 6698).
    Tlsa,
    /// Text.
    Txt,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name for this one.
    Cname(Name),
    /// A host that takes mail.
    Mx {
        /// Lower ones are tried first.
        preference: u16,
        /// The host; the root for a domain that takes no mail (RFC 7505).
        exchange: Name,
    },
    /// The name of an address.
    Ptr(Name),
    /// A host that offers a service.
    Srv {
        /// Lower ones are tried first.
        priority: u16,
        /// Of equal priority, the share of use.
        weight: u16,
        /// The port.
        port: u16,
        /// The host; the root where there is no such service.
        target: Name,
    },
    /// What a host's certificate must be.
    Tlsa {
        /// Certificate usage, 0 to 3 (RFC 6698 §2.1.1).
        usage: u8,
        /// Selector, 0 or 1 (RFC 6698 §2.1.2).
        selector: u8,
        /// Matching type, 0 to 2 (RFC 6698 §2.1.3).
        matching: u8,
        /// The certificate, key or digest.
        data: Bytes,
    },
    /// The strings of a text record, joined without anything between them, as SPF, DKIM and DMARC all want them.
    Txt(Bytes),
}

/// Why there are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The name does not exist (RFC 2308 §2.1).
    #[error("no such name")]
    NxDomain,
    /// The name exists, but has no records of the type (RFC 2308 §2.2).
    #[error("no such record")]
    NoData,
    /// The servers answered that they cannot answer, or made no sense.
    #[error("server failure")]
    ServFail,
    /// No answer came in time.
    #[error("timeout")]
    Timeout,
    /// The answer is forged or its signatures are broken (RFC 4035 §4.3).
    #[error("bogus")]
    Bogus,
}

/// The answer to a question.
///
/// ```
/// use facteur::dns::{Answer, Failure};
///
/// let answer = Answer::from(Err(Failure::NxDomain));
/// assert!(!answer.secure);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The records, at least one and all of the type that was asked for, aliases followed; or why there are none.
    /// Clones of an answer share them.
    pub found: Result<Arc<[Data]>, Failure>,
    /// For how many seconds the answer may be kept.
    pub ttl: u32,
    /// The answer, or the absence of one, has been proved by DNSSEC (RFC 4035 §4.3).
    pub secure: bool,
}

impl Question {
    /// A question.
    pub fn new(name: Name, kind: RecordType) -> Self {
        Self { name, kind }
    }
}

/// The octet of the type ends the name, in which there is none such: questions are looked up more often than anything else.
impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.name.as_str().as_bytes());
        state.write_u8(self.kind as u8);
    }
}

impl RecordType {
    /// Those of [`RecordType`] that there are.
    pub const ALL: [Self; 8] =
        [Self::A, Self::Aaaa, Self::Cname, Self::Mx, Self::Ptr, Self::Srv, Self::Tlsa, Self::Txt];

    /// The addresses of the family of `address`.
    pub fn of_family(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::A } else { Self::Aaaa }
    }

    /// As zone files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        }
    }
}

impl Data {
    /// The type of record that says it.
    pub fn kind(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Cname(_) => RecordType::Cname,
            Self::Mx { .. } => RecordType::Mx,
            Self::Ptr(_) => RecordType::Ptr,
            Self::Srv { .. } => RecordType::Srv,
            Self::Tlsa { .. } => RecordType::Tlsa,
            Self::Txt(_) => RecordType::Txt,
        }
    }

    /// The address, where it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::A(address) => Some((*address).into()),
            Self::Aaaa(address) => Some((*address).into()),
            _ => None,
        }
    }
}

impl Failure {
    /// Whether asking again later makes sense: nothing is known of the name or its records.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::ServFail | Self::Timeout | Self::Bogus)
    }
}

impl From<Result<Vec<Data>, Failure>> for Answer {
    /// An answer of which nothing more is known.
    fn from(found: Result<Vec<Data>, Failure>) -> Self {
        Self { found: found.map(Arc::from), ttl: 0, secure: false }
    }
}

impl From<IpAddr> for Data {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

/// As it is displayed: a name, white space, a type.
impl FromStr for Question {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fault = ParseError { expected: "a name and a type", at: text.len() };
        let (name, kind) = text.trim().rsplit_once(char::is_whitespace).ok_or(fault)?;
        Ok(Self::new(name.trim().parse()?, kind.parse()?))
    }
}

impl FromStr for RecordType {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| text.eq_ignore_ascii_case(kind.as_str())).ok_or(ParseError { expected: "a type", at: 0 })
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// As zone files write it, without owner and type.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name has a dot at its end, or it would be one below the origin.
        let end = |name: &Name| if name.is_root() { "" } else { "." };
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) | Self::Ptr(name) => write!(f, "{}{}", Escaped(name), end(name)),
            Self::Mx { preference, exchange } => write!(f, "{preference} {}{}", Escaped(exchange), end(exchange)),
            Self::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {}{}", Escaped(target), end(target))
            }
            Self::Tlsa { usage, selector, matching, data } => {
                write!(f, "{usage} {selector} {matching} ")?;
                data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Txt(text) => {
                // RFC 1035 §3.3.14: strings of at most 255 octets, at least one.
                for (n, string) in
                    text.chunks(255).chain([&[][..]].into_iter().take(usize::from(text.is_empty()))).enumerate()
                {
                    f.write_str(if n > 0 { " \"" } else { "\"" })?;
                    for octet in string {
                        match octet {
                            b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                            b' '..=b'~' => write!(f, "{}", char::from(*octet))?,
                            _ => write!(f, "\\{octet:03}")?,
                        }
                    }
                    f.write_str("\"")?;
                }
                Ok(())
            }
        }
    }
}

/// A name with what zone files take for something else escaped.
struct Escaped<'a>(&'a Name);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().bytes().try_for_each(|octet| match octet {
            b' ' | b'(' | b')' | b';' | b'"' | b'@' | b'\\' => write!(f, "\\{octet:03}"),
            octet => write!(f, "{}", char::from(octet)),
        })
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_as_zone_files_have_them() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        for (data, written) in [
            (Data::A([192, 0, 2, 1].into()), "192.0.2.1"),
            (Data::Aaaa("2001:db8::1".parse().unwrap()), "2001:db8::1"),
            (Data::Cname(name("a b.x")), "a\\032b.x."),
            (Data::Mx { preference: 10, exchange: Name::root() }, "10 ."),
            (Data::Ptr(name("a.x")), "a.x."),
            (Data::Srv { priority: 1, weight: 2, port: 25, target: name("a.x") }, "1 2 25 a.x."),
            (Data::Tlsa { usage: 3, selector: 1, matching: 1, data: Bytes::from_static(&[0x0a, 0xff]) }, "3 1 1 0aff"),
            (Data::Txt(Bytes::from_static(b"a \"b\\ \xe9")), "\"a \\\"b\\\\ \\233\""),
            (Data::Txt(Bytes::new()), "\"\""),
            (Data::Txt(vec![b'x'; 256].into()), &format!("\"{}\" \"x\"", "x".repeat(255))),
        ] {
            assert_eq!(data.to_string(), written);
            let zone: Zone = format!("owner.x {} {written}", data.kind()).parse().unwrap();
            assert_eq!(zone.answer(&Question::new(name("owner.x"), data.kind())).found, Ok([data].into()));
        }
    }

    #[test]
    fn questions_are_read() {
        assert_eq!("Example.org. mx".parse::<Question>().unwrap().to_string(), "example.org MX");
        for text in ["", "example.org", "example.org FOO", "a..b A"] {
            assert!(text.parse::<Question>().is_err(), "{text}");
        }
    }
}
