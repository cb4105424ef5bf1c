//! Who: addresses as the envelope and the header share them.
//!
//! [`Address`] is `Mailbox` of RFC 5321 §4.1.2 with the UTF-8 of RFC 6531 §3.3: a local part and a [`Domain`], both free of
//! quoting, written with the quoting they need. What only the header knows (display names, groups, comments) is in
//! [`list`].

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use compact_str::CompactString;

use crate::base::ParseError;
use crate::base::parse::whole;

mod borrowed;
mod grammar;
pub mod list;
mod mailbox;
mod spec;
pub(crate) mod unitext;

use borrowed::tagged;
pub use borrowed::{BorrowedAddress, BorrowedDomain};
pub(crate) use grammar::{domain, is_atext, is_dot_string, is_plain_mailbox, mailbox, plain_domain, plain_mailbox};
pub use list::Mailboxes;
pub use mailbox::{Entry, Group, Mailbox};

/// RFC 5321 §4.5.3.1.1: 64 octets. Longer ones exist and are read; what is checked is [`Address::fits_smtp`].
pub const MAX_LOCAL: usize = 64;
/// RFC 5321 §4.5.3.1.2: 255 octets.
pub const MAX_DOMAIN: usize = 255;
/// RFC 1035 §2.3.4: 63 octets.
pub(crate) const MAX_LABEL: usize = 63;

/// A mail address: `local-part "@" domain`.
///
/// Two addresses are equal where their local parts are the same to the octet and their domains the same but for case
/// (RFC 5321 §2.4).
///
/// ```
/// use facteur::address::Address;
///
/// let address: Address = r#""joe q. public"@Example.COM"#.parse()?;
/// assert_eq!(address.local(), "joe q. public");
/// assert_eq!(address.domain().to_string(), "Example.COM");
/// assert_eq!(address.to_string(), r#""joe q. public"@Example.COM"#);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
pub struct Address {
    local: Name,
    domain: Domain,
}

/// Text of a name: those of up to 24 octets are held without an allocation, which are nearly all. It dereferences to `str`.
///
/// ```
/// use facteur::address::{Domain, Name};
///
/// let name = Name::from("mx.test");
/// assert_eq!(&*name, "mx.test");
/// assert_eq!(Domain::Name(name).to_string(), "mx.test");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(from = "String", into = "String"))]
pub struct Name(CompactString);

/// The right-hand side of an address, or the name of a host.
///
/// Names compare without regard to ASCII case.
#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "String")
)]
#[non_exhaustive]
pub enum Domain {
    /// A name of the DNS in the form in which it came: A-labels or U-labels, no dot at the end.
    Name(Name),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
    /// `General-address-literal` (RFC 5321 §4.1.3), without its brackets: a tag, a colon, and what the tag makes of the rest.
    General(Box<str>),
}

impl Address {
    /// The address of `local` (without quoting) at `domain`.
    ///
    /// # Errors
    /// Where `local` is empty, which names nobody (though `""@a.test` is read), or holds a control character: such an address
    /// could not be written.
    pub fn new(local: impl Into<Name>, domain: Domain) -> Result<Self, ParseError> {
        let local = local.into();
        if local.is_empty() {
            return Err(ParseError { expected: "a local part", at: 0 });
        }
        match local.find(|character: char| character.is_ascii_control()) {
            Some(at) => Err(ParseError { expected: "a printable character", at }),
            None => Ok(Self { local, domain }),
        }
    }

    /// Reads `Mailbox` of RFC 5321 §4.1.2, strictly: no comments, no white space, no display name. UTF-8 is read
    /// (RFC 6531 §3.3); whether it is allowed is for the session to say, see [`is_ascii`](Self::is_ascii).
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(mailbox, text).map(Self::from)
    }

    /// The part before the `@`, its quoting removed.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The same without what it owns.
    pub fn borrowed(&self) -> BorrowedAddress<'_> {
        BorrowedAddress { local: Cow::Borrowed(&self.local), domain: self.domain.borrowed() }
    }

    /// Whether the address can be written without SMTPUTF8 as it stands.
    pub fn is_ascii(&self) -> bool {
        self.borrowed().is_ascii()
    }

    /// Whether both parts, as written, keep the length limits of RFC 5321 §4.5.3.1: 64 octets for the local part, 255 for
    /// the domain, 63 for each of its labels (RFC 1035 §2.3.4), 256 for the whole with its brackets.
    pub fn fits_smtp(&self) -> bool {
        let (written, domain) = (self.to_string(), self.domain.to_string());
        let labels = !matches!(self.domain, Domain::Name(_)) || domain.split('.').all(|label| label.len() <= MAX_LABEL);
        written.len() - domain.len() - 1 <= MAX_LOCAL && domain.len() <= MAX_DOMAIN && labels && written.len() <= 254
    }
}

impl Domain {
    /// Reads `Domain / address-literal` of RFC 5321 §4.1.2, with U-labels (RFC 6531 §3.3). One dot at the end is read and
    /// dropped; underscores, which hosts do have, are read.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(domain, text).map(Self::from)
    }

    /// The same without what it owns.
    pub fn borrowed(&self) -> BorrowedDomain<'_> {
        match self {
            Self::Name(name) => BorrowedDomain::Name(name),
            Self::Literal(address) => BorrowedDomain::Literal(*address),
            Self::General(literal) => BorrowedDomain::General(literal),
        }
    }

    /// The name in A-labels and lower case (RFC 5890 §2.3.2.1): what the DNS is asked for. `None` for a literal, and for
    /// a name that IDNA does not allow.
    pub fn to_ascii(&self) -> Option<String> {
        match self {
            Self::Name(name) if name.is_ascii() => Some(name.to_ascii_lowercase()),
            Self::Name(name) => idna::domain_to_ascii(name).ok(),
            _ => None,
        }
    }

    /// As [`to_ascii`](Self::to_ascii), and as it is written where that gives nothing.
    pub fn to_ascii_or_text(&self) -> String {
        self.to_ascii().unwrap_or_else(|| self.to_string())
    }

    /// The name in U-labels and lower case, for people to read. `None` for a literal.
    pub fn to_unicode(&self) -> Option<String> {
        let Self::Name(name) = self else { return None };
        Some(idna::domain_to_unicode(name).0)
    }

    /// The same, where all A-labels in it are sound (RFC 5890 §2.3.2.1); otherwise `None`.
    pub(crate) fn to_ulabels(&self) -> Option<String> {
        let Self::Name(name) = self else { return None };
        let (unicode, sound) = idna::domain_to_unicode(name);
        sound.ok().map(|()| unicode)
    }

    /// Whether it can be written without SMTPUTF8 as it stands.
    pub fn is_ascii(&self) -> bool {
        self.borrowed().is_ascii()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.borrowed() == other.borrowed()
    }
}

impl Eq for Domain {}

impl std::hash::Hash for Domain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => name.to_ascii_lowercase().hash(state),
            Self::Literal(address) => address.hash(state),
            Self::General(literal) => {
                let (tag, content) = tagged(literal);
                (tag.to_ascii_lowercase(), content).hash(state);
            }
        }
    }
}

impl Name {
    /// One that is part of the program.
    pub(crate) const fn fixed(text: &'static str) -> Self {
        Self(CompactString::const_new(text))
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    #[inline]
    fn from(text: &str) -> Self {
        Self(CompactString::from(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(CompactString::from(text))
    }
}

impl From<&String> for Name {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Cow<'_, str>> for Name {
    fn from(text: Cow<'_, str>) -> Self {
        Self(CompactString::from(text))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        **self == *text
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, text: &&str) -> bool {
        **self == **text
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl FromStr for Address {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

impl FromStr for Domain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

impl TryFrom<String> for Address {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl TryFrom<String> for Domain {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.to_string()
    }
}

impl From<IpAddr> for Domain {
    fn from(address: IpAddr) -> Self {
        Self::Literal(address)
    }
}

/// As its [`borrowed`](Self::borrowed) form is written: with quoting where the local part needs it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in [
            "a@b",
            "ada@a.test",
            "a.b+c@x.y.example",
            r#""a b"@x.test"#,
            r#""a\"b\\c"@x.test"#,
            r#""a..b"@x.test"#,
            r#"""@x.test"#,
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "a@[x400:c=fr]",
            "δοκιμή@παράδειγμα.δοκιμή",
            "_@_dmarc.x.test",
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(
            r#""ada"@x.test"#.parse::<Address>().map(|address| address.to_string()).as_deref(),
            Ok("ada@x.test")
        );
        assert_eq!("x.test.".parse::<Domain>().map(|domain| domain.to_string()).as_deref(), Ok("x.test"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a b@c",
            "a@b c",
            "a@-b",
            "a@b-",
            "a@b..c",
            "a@.b",
            "\"a@b",
            "\"a\r\nb\"@c",
            "a@[1.2.3]",
            "a@[IPv6:zz]",
            "a@[2001:db8::1]",
            "a@b.",
            "a@b..",
            "a@[1.2.3.4",
            "a@[]",
            "a@[x:]",
            "a@[-:y]",
            "a,b@c",
            "<a@b>",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!(Address::parse(b"a\xff@b").is_err());
        assert!(Address::new("a\nb", Domain::Name("c".into())).is_err());
    }

    #[test]
    fn domains_compare_without_case_and_local_parts_with() {
        let same = |a: &str, b: &str| a.parse::<Address>().unwrap() == b.parse::<Address>().unwrap();
        assert!(same("ada@A.Test", "ada@a.tEST"));
        assert!(!same("Ada@a.test", "ada@a.test"));
        assert!(same("ada@[X400:c=fr]", "ada@[x400:c=fr]") && !same("ada@[x400:c=FR]", "ada@[x400:c=fr]"));
    }

    #[test]
    fn international_names_have_a_form_for_the_dns() {
        let domain: Domain = "bücher.example".parse().unwrap();
        assert_eq!(domain.to_ascii().as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(Domain::Name("xn--bcher-kva.example".into()).to_unicode().as_deref(), Some("bücher.example"));
        assert_eq!(Domain::from(IpAddr::from([192, 0, 2, 1])).to_ascii(), None);
    }
}
