//! Who: addresses as the envelope and the header share them.
//!
//! [`Address`] is `Mailbox` of RFC 5321 §4.1.2 with the UTF-8 of RFC 6531 §3.3: a local part and a [`Domain`], both free of
//! quoting, written with the quoting they need. What only the header knows (display names, groups, comments) is in
//! [`list`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use smol_str::SmolStr;

use crate::base::ParseError;
use crate::base::parse::{Parsed, fail, quoted, whole};

pub mod list;
mod mailbox;
mod spec;
pub(crate) mod unitext;

pub use list::Mailboxes;
pub use mailbox::{Entry, Group, Mailbox};

/// RFC 5321 §4.5.3.1.1: 64 octets. Longer ones exist and are read; what is checked is [`Address::fits_smtp`].
pub const MAX_LOCAL: usize = 64;
/// RFC 5321 §4.5.3.1.2: 255 octets.
pub const MAX_DOMAIN: usize = 255;

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

/// Text of a name: short ones are held without an allocation, and every clone is cheap. It dereferences to `str`.
///
/// ```
/// use facteur::address::{Domain, Name};
///
/// let name = Name::from("mx.test");
/// assert_eq!(&*name, "mx.test");
/// assert_eq!(Domain::Name(name).to_string(), "mx.test");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(SmolStr);

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
    /// `General-address-literal` (RFC 5321 §4.1.3): a tag and what follows its colon.
    General {
        /// The tag before the colon.
        tag: Name,
        /// What stands between the colon and the bracket.
        content: Name,
    },
}

impl Address {
    /// The address of `local` (without quoting) at `domain`.
    ///
    /// # Errors
    /// Where `local` is empty or holds a control character: such an address could not be written.
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
        whole(mailbox, text)
    }

    /// The part before the `@`, its quoting removed.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether the address can be written without SMTPUTF8 as it stands.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }

    /// Whether both parts, as written, keep the length limits of RFC 5321 §4.5.3.1: 64 octets for the local part, 255 for
    /// the domain, 63 for each of its labels (RFC 1035 §2.3.4), 256 for the whole with its brackets.
    pub fn fits_smtp(&self) -> bool {
        let (written, domain) = (self.to_string(), self.domain.to_string());
        let labels = !matches!(self.domain, Domain::Name(_)) || domain.split('.').all(|label| label.len() <= 63);
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
        whole(domain, text)
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
        match self {
            Self::Name(name) => name.is_ascii(),
            Self::Literal(_) => true,
            Self::General { tag, content } => tag.is_ascii() && content.is_ascii(),
        }
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::General { tag: a, content: x }, Self::General { tag: b, content: y }) => {
                a.eq_ignore_ascii_case(b) && x == y
            }
            _ => false,
        }
    }
}

impl Eq for Domain {}

impl std::hash::Hash for Domain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => name.to_ascii_lowercase().hash(state),
            Self::Literal(address) => address.hash(state),
            Self::General { tag, content } => (tag.to_ascii_lowercase(), content).hash(state),
        }
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(SmolStr::new(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(SmolStr::from(text))
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

/// Written with quoting where the local part needs it and nowhere else (RFC 5321 §4.1.2: the Dot-string form is preferred).
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext)) {
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

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
            Self::General { tag, content } => write!(f, "[{tag}:{content}]"),
        }
    }
}

/// `atext` of RFC 5322 §3.2.3, with the octets of UTF-8 beyond ASCII (RFC 6532 §3.2).
pub(crate) fn is_atext(octet: u8) -> bool {
    CLASSES[usize::from(octet)] & ATEXT != 0 // 256 classes
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
#[inline(always)] // as below
pub(crate) fn mailbox(input: &[u8]) -> Parsed<'_, Address> {
    let (rest, local) = local_part(input)?;
    let [b'@', name @ ..] = rest else { return fail(rest, "an at sign") };
    let (rest, domain) = domain(name)?;
    // RFC 5321 §2.3.5: a name is "one or more components, separated by dots"; the dot of the root belongs to the DNS.
    if name.get(..name.len() - rest.len()).is_some_and(|name| name.ends_with(b".")) {
        return fail(rest, "a label");
    }
    Ok((rest, Address { local, domain }))
}

/// `Local-part = Dot-string / Quoted-string`
#[inline(always)] // its result is large, and each copy of it is felt where every command has one
pub(crate) fn local_part(input: &[u8]) -> Parsed<'_, Name> {
    const NAME: &str = "a local part";
    if input.first() == Some(&b'"') {
        let (rest, local) = quoted(input)?;
        if local.is_empty() || local.iter().any(u8::is_ascii_control) {
            return fail(input, NAME);
        }
        return match String::from_utf8(local) {
            Ok(local) => Ok((rest, local.into())),
            Err(_) => fail(input, NAME),
        };
    }
    // A dot stands between two atoms.
    let (len, mut before, mut sound) = (span(input, ATEXT | DOT), b'.', true);
    let (local, rest) = input.split_at(len);
    for octet in local {
        sound &= (before != b'.') | (*octet != b'.');
        before = *octet;
    }
    match std::str::from_utf8(local) {
        Ok(local) if sound && before != b'.' => Ok((rest, local.into())),
        _ => fail(input, NAME),
    }
}

/// `Domain = sub-domain *("." sub-domain)`, or `address-literal`.
#[inline(always)] // as above
pub(crate) fn domain(input: &[u8]) -> Parsed<'_, Domain> {
    if input.first() == Some(&b'[') {
        return address_literal(input);
    }
    let len = span(input, LABEL | DOT);
    let (name, rest) = input.split_at(len);
    let name = name.strip_suffix(b".").unwrap_or(name);
    // Neither begins nor ends a label with a hyphen, and none is empty: only at a dot can that go wrong.
    let (mut before, mut sound) = (b'.', true);
    for octet in name {
        sound &= (before != b'.') | (*octet != b'.') & (*octet != b'-');
        sound &= (before != b'-') | (*octet != b'.');
        before = *octet;
    }
    match std::str::from_utf8(name) {
        Ok(text) if sound && !matches!(before, b'.' | b'-') => Ok((rest, Domain::Name(text.into()))),
        _ => fail(input, "a domain"),
    }
}

/// Octets of an atom.
const ATEXT: u8 = 1;
/// Octets of a label: letters, digits, hyphen, underscore, UTF-8 beyond ASCII.
const LABEL: u8 = 2;
/// The dot between them.
const DOT: u8 = 4;

/// What each octet may be part of.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let it = octet as u8; // below 256
        if it.is_ascii_alphanumeric() || it >= 0x80 {
            classes[octet] = ATEXT | LABEL;
        }
        octet += 1;
    }
    let mut rest: &[u8] = b"!#$%&'*+-/=?^_`{|}~";
    while let [octet, others @ ..] = rest {
        classes[*octet as usize] |= ATEXT;
        rest = others;
    }
    classes[b'-' as usize] |= LABEL;
    classes[b'_' as usize] |= LABEL;
    classes[b'.' as usize] = DOT;
    classes
};

/// How many octets from the start are of one of these classes.
#[inline]
fn span(input: &[u8], classes: u8) -> usize {
    input.iter().position(|octet| CLASSES[usize::from(*octet)] & classes == 0).unwrap_or(input.len()) // 256 classes
}

/// `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"`
fn address_literal(input: &[u8]) -> Parsed<'_, Domain> {
    let Some(end) = input.iter().position(|octet| *octet == b']') else { return fail(input, "a closing bracket") };
    let (literal, rest) = (input.get(1..end).unwrap_or_default(), input.get(end + 1..).unwrap_or_default());
    // dcontent = %d33-90 / %d94-126
    if !literal.iter().all(|octet| matches!(octet, 33..=90 | 94..=126)) {
        return fail(input, "an address literal");
    }
    let literal = std::str::from_utf8(literal).unwrap_or_default(); // ASCII, as checked above
    if let Ok(address) = literal.parse::<Ipv4Addr>() {
        return Ok((rest, Domain::Literal(address.into())));
    }
    match literal.split_once(':') {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => match address.parse::<Ipv6Addr>() {
            Ok(address) => Ok((rest, Domain::Literal(address.into()))),
            Err(_) => fail(input, "an IPv6 address"),
        },
        // RFC 5321 §4.1.3: an IPv6 address has its tag; what is one without is no other kind of literal.
        _ if literal.parse::<Ipv6Addr>().is_ok() => fail(input, "the tag IPv6"),
        // Standardized-tag = Ldh-str
        Some((tag, content))
            if !content.is_empty()
                && tag.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                && tag.bytes().last().is_some_and(|octet| octet != b'-') =>
        {
            Ok((rest, Domain::General { tag: tag.into(), content: content.into() }))
        }
        _ => fail(input, "an address literal"),
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
            "\"\"@b",
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
    }

    #[test]
    fn international_names_have_a_form_for_the_dns() {
        let domain: Domain = "bücher.example".parse().unwrap();
        assert_eq!(domain.to_ascii().as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(Domain::Name("xn--bcher-kva.example".into()).to_unicode().as_deref(), Some("bücher.example"));
        assert_eq!(Domain::from(IpAddr::from([192, 0, 2, 1])).to_ascii(), None);
    }
}
