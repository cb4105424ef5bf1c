//! Addresses as they stand in what they were read from: a command is read without a copy, and what is kept of it becomes an
//! [`Address`].

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::{Address, Domain, is_dot_string};

/// An [`Address`] that is still part of the text it was read from, or of an address that is to be written.
///
/// ```
/// use facteur::address::Address;
/// use facteur::smtp::{Command, ForwardPath, Quirks};
///
/// let Command::Rcpt { to: ForwardPath::Address(to), .. } = Command::parse(b"RCPT TO:<ada@b.test>", &Quirks::default())?
/// else {
///     panic!("another command")
/// };
/// assert_eq!((to.local(), to.to_string()), ("ada", "ada@b.test".to_owned()));
/// assert_eq!(Address::from(to), "ada@B.test".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedAddress<'a> {
    pub(super) local: Cow<'a, str>,
    pub(super) domain: BorrowedDomain<'a>,
}

/// A [`Domain`] that is still part of the text it was read from, or of a domain that is to be written.
///
/// ```
/// use facteur::address::{BorrowedDomain, Domain};
///
/// let domain = Domain::parse(b"mx.test")?;
/// assert_eq!(domain.borrowed(), BorrowedDomain::Name("MX.test"));
/// assert_eq!(Domain::from(domain.borrowed()), domain);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum BorrowedDomain<'a> {
    /// As [`Domain::Name`].
    Name(&'a str),
    /// As [`Domain::Literal`].
    Literal(IpAddr),
    /// As [`Domain::General`].
    General(&'a str),
}

impl<'a> BorrowedAddress<'a> {
    /// The part before the `@`, its quoting removed.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    pub fn domain(&self) -> BorrowedDomain<'a> {
        self.domain
    }

    /// Whether the address can be written without SMTPUTF8 as it stands.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

impl BorrowedDomain<'_> {
    /// Whether it can be written without SMTPUTF8 as it stands.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Name(name) => name.is_ascii(),
            Self::Literal(_) => true,
            Self::General(literal) => literal.is_ascii(),
        }
    }
}

impl From<BorrowedAddress<'_>> for Address {
    fn from(address: BorrowedAddress<'_>) -> Self {
        let local = match address.local {
            Cow::Borrowed(local) => local.into(),
            Cow::Owned(local) => local.into(),
        };
        Self { local, domain: address.domain.into() }
    }
}

impl From<BorrowedDomain<'_>> for Domain {
    fn from(domain: BorrowedDomain<'_>) -> Self {
        match domain {
            BorrowedDomain::Name(name) => Self::Name(name.into()),
            BorrowedDomain::Literal(address) => Self::Literal(address),
            BorrowedDomain::General(literal) => Self::General(literal.into()),
        }
    }
}

impl<'a> From<&'a Address> for BorrowedAddress<'a> {
    fn from(address: &'a Address) -> Self {
        address.borrowed()
    }
}

impl PartialEq for BorrowedDomain<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::General(a), Self::General(b)) => {
                let ((tag, content), (other, same)) = (tagged(a), tagged(b));
                tag.eq_ignore_ascii_case(other) && content == same
            }
            _ => false,
        }
    }
}

impl Eq for BorrowedDomain<'_> {}

/// The tag of a `General-address-literal`, and what stands behind its colon.
pub(super) fn tagged(literal: &str) -> (&str, &str) {
    literal.split_once(':').unwrap_or((literal, ""))
}

/// Written with quoting where the local part needs it and nowhere else (RFC 5321 §4.1.2: the Dot-string form is preferred).
impl fmt::Display for BorrowedAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for character in self.local.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, character)?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl fmt::Display for BorrowedDomain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
            Self::General(literal) => write!(f, "[{literal}]"),
        }
    }
}
