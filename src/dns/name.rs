//! Names of the DNS as text (RFC 1034 §3.1).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use compact_str::CompactString;

use crate::base::ParseError;

/// RFC 1035 §2.3.4: 255 octets on the wire are 253 characters of text.
pub const MAX_NAME: usize = 253;
/// RFC 1035 §2.3.4: 63 octets.
pub const MAX_LABEL: usize = 63;

/// What an octet is in a name; a table, since names are read for every record and every question.
const CLASSES: [u8; 256] = {
    let mut classes = [NONE; 256];
    let mut octet = b' ';
    while octet <= b'~' {
        classes[octet as usize] = match octet {
            b'.' => DOT,
            b'A'..=b'Z' => CAPITAL,
            _ => 0,
        };
        octet += 1;
    }
    classes
};
const CAPITAL: u8 = 1;
const DOT: u8 = 2;
const NONE: u8 = 3;

/// A name of the DNS: labels of printable ASCII in lower case with dots between them, none at the end.
///
/// Names compare without case because there is none. The few names that hold other octets than printable ASCII and space
/// have no place here; no host and no mail domain has such a name. (Nor one with a space, but SPF can ask for it.)
/// Those of up to 24 octets are held without an allocation.
///
/// ```
/// use facteur::dns::Name;
///
/// let name: Name = "Mail.Example.org.".parse()?;
/// assert_eq!(name.as_str(), "mail.example.org");
/// assert!(name.is_within(&"example.org".parse()?));
/// assert_eq!(Name::reverse([192, 0, 2, 3].into()).as_str(), "3.2.0.192.in-addr.arpa");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(CompactString);

impl Name {
    /// The root, which is written `.`.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a name; a dot at the end is read and dropped, and `.` is the root.
    ///
    /// # Errors
    /// Where a label is empty or longer than [`MAX_LABEL`], the name longer than [`MAX_NAME`], or a character not
    /// printable ASCII.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let mixed = Self::check(text, name)?;
        Ok(Self(if mixed { name.to_ascii_lowercase().into() } else { name.into() }))
    }

    /// Whether there are capitals in `name`, which is `text` without the dot at its end.
    fn check(text: &str, name: &str) -> Result<bool, ParseError> {
        if name.is_empty() {
            // The root is a dot, not nothing.
            return if text.is_empty() { Err(ParseError { expected: "a name", at: 0 }) } else { Ok(false) };
        }
        if name.len() > MAX_NAME {
            return Err(ParseError { expected: "a shorter name", at: MAX_NAME });
        }
        let (mut start, mut mixed) = (0, 0);
        let end_label = |start: usize, at: usize| match at - start {
            0 => Err(ParseError { expected: "a label", at }),
            1..=MAX_LABEL => Ok(at + 1),
            _ => Err(ParseError { expected: "a shorter label", at: start }),
        };
        for (at, octet) in name.bytes().enumerate() {
            let class = CLASSES[usize::from(octet)]; // it has one for each
            match class {
                DOT => start = end_label(start, at)?,
                NONE => return Err(ParseError { expected: "a printable character", at }),
                _ => mixed |= class,
            }
        }
        end_label(start, name.len()).map(|_| mixed == CAPITAL)
    }

    /// The name under which the DNS keeps the name of an address (RFC 1035 §3.5, RFC 3596 §2.5).
    pub fn reverse(address: IpAddr) -> Self {
        let zone = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
        Self(format!("{}.{zone}", reversed(address)).into())
    }

    /// The text, without a dot at the end; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels from left to right; none for the root.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.').filter(|label| !label.is_empty())
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.split_once('.').map(|(_, rest)| rest).unwrap_or_default().into()))
    }

    /// Whether it is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        match self.0.strip_suffix(other.as_str()) {
            Some(rest) => rest.is_empty() || rest.ends_with('.') || other.is_root(),
            None => false,
        }
    }

    /// `label` in front of the name.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn child(&self, label: &str) -> Result<Self, ParseError> {
        if self.is_root() { Self::parse(label) } else { Self::parse(&format!("{label}.{self}")) }
    }
}

/// The octets of an IPv4 address, or the hexadecimal digits of an IPv6 address, from the last to the first.
pub(crate) fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => nibbles(&address.octets(), true),
    }
}

/// The hexadecimal digits of an address with dots between them, in reading order or from the last to the first.
pub(crate) fn nibbles(octets: &[u8; 16], reversed: bool) -> String {
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    let mut digits: Vec<String> = digits.map(|digit| format!("{digit:x}")).collect();
    if reversed {
        digits.reverse();
    }
    digits.join(".")
}

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The root as `.`, any other name without a dot at the end.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_one_form() {
        let longest = format!("{}.{}", "a.".repeat(94).trim_end_matches('.'), "b".repeat(63));
        for (text, expected) in [
            (".", "."),
            ("org", "org"),
            ("Example.ORG.", "example.org"),
            ("_dmarc.x.test", "_dmarc.x.test"),
            ("*.x.test", "*.x.test"),
            (&longest, &longest),
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), expected);
        }
        let label = "a".repeat(64);
        let name = "a.".repeat(128);
        for text in ["", "..", ".a", "a..b", "a\t", "a\n", "é.test", &label, &name] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_within_its_parents_only() {
        let name: Name = "a.example.org".parse().unwrap();
        for (other, within) in [
            ("a.example.org", true),
            ("example.org", true),
            ("org", true),
            (".", true),
            ("ample.org", false),
            ("b.a.example.org", false),
        ] {
            assert_eq!(name.is_within(&other.parse().unwrap()), within, "{other}");
        }
        assert_eq!(name.parent().unwrap().parent().unwrap().parent(), Some(Name::root()));
        assert_eq!(Name::root().parent(), None);
    }

    #[test]
    fn addresses_have_reverse_names() {
        // RFC 3596 §2.5
        assert_eq!(
            Name::reverse("4321:0:1:2:3:4:567:89ab".parse().unwrap()).as_str(),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"
        );
    }
}
