//! The text of a policy (RFC 8461 §3.2), and which hosts it is about (§4.1).

use std::fmt;

use crate::base::ParseError;
use crate::dns::Name;

/// The longest time that a policy may hold, in seconds: a year (RFC 8461 §3.2).
pub const MAX_AGE: u32 = 31_557_600;
/// How many patterns for hosts a policy may have, so that many policies can be kept. Real ones have a few.
pub const MAX_PATTERNS: usize = 256;

/// A policy.
///
/// ```
/// use facteur::auth::mta_sts::{Mode, Policy};
///
/// let policy = Policy::parse(b"version: STSv1\r\nmode: enforce\r\nmx: *.example.net\r\nmax_age: 604800\r\n")?;
/// assert_eq!(policy.mode, Mode::Enforce);
/// assert!(policy.allows(&"mail.example.net".parse()?));
/// assert!(!policy.allows(&"example.net".parse()?));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// What is done where a host does not keep to it.
    pub mode: Mode,
    /// For how many seconds it holds after it was fetched, at most [`MAX_AGE`].
    pub max_age: u32,
    /// The hosts that mail for the domain may go to; none only where the mode is [`Mode::None`].
    pub hosts: Vec<Pattern>,
}

/// What is done where a host does not keep to a policy (RFC 8461 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 8461 closes it: another mode is another version
pub enum Mode {
    /// The host gets no mail.
    Enforce,
    /// It gets its mail, and the domain a report if it asks for one.
    Testing,
    /// Nothing: the domain has no policy any more.
    None,
}

/// The name of a host, or of all hosts one label below a domain.
///
/// ```
/// use facteur::auth::mta_sts::Pattern;
///
/// let pattern = Pattern::parse("*.example.com")?;
/// assert!(pattern.matches(&"mail.example.com".parse()?));
/// assert!(!pattern.matches(&"foo.bar.example.com".parse()?));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    name: Name,
    /// For the names one label below.
    below: bool,
}

impl Pattern {
    /// `sts-policy-mx-value = ["*."] Domain`
    ///
    /// # Errors
    /// Where it is no name of letters, digits and hyphens; U-labels are no such names.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let letters = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.');
        if !name.bytes().all(letters) || name.ends_with('.') {
            return Err(ParseError { expected: "the name of a host", at: 0 });
        }
        Ok(Self { name: Name::parse(name)?, below })
    }

    /// Whether it is about this host.
    pub fn matches(&self, host: &Name) -> bool {
        if self.below { host.parent().is_some_and(|above| above == self.name) } else { *host == self.name }
    }
}

impl Policy {
    /// Reads the text of a policy. Fields that are not known are passed over, and empty lines, which real policies have.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut hosts = Vec::new();
        let mut at = 0;
        for line in text.split(|octet| *octet == b'\n') {
            let fault = |expected| ParseError { expected, at };
            let next = at + line.len() + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_end();
            if line.is_empty() {
                at = next;
                continue;
            }
            let colon = memchr::memchr(b':', line).ok_or(fault("a colon"))?;
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii_start();
            // sts-policy-ext-name = (sts-policy-alphanum) *31(sta-policy-alphanum / "_" / "-" / ".")
            let first = name.first().is_some_and(u8::is_ascii_alphanumeric);
            if !first || name.len() > 32 || !name.iter().all(|o| o.is_ascii_alphanumeric() || b"_-.".contains(o)) {
                return Err(fault("the name of a field"));
            }
            let value = std::str::from_utf8(value).map_err(|_| fault("UTF-8"))?;
            if value.is_empty() || value.contains(|character: char| character.is_ascii_control()) {
                return Err(fault("a value"));
            }
            // RFC 8461 §3.2: of what is there twice, "all entries except for the first SHALL be ignored".
            match name {
                b"version" if version.is_none() => {
                    version = Some(());
                    if value != "STSv1" {
                        return Err(fault("STSv1"));
                    }
                }
                b"mode" if mode.is_none() => {
                    let of = |mode: &Mode| mode.as_str() == value;
                    mode =
                        Some([Mode::Enforce, Mode::Testing, Mode::None].into_iter().find(of).ok_or(fault("a mode"))?);
                }
                b"max_age" if max_age.is_none() => {
                    // sts-policy-max-age-value = 1*10(DIGIT)
                    if value.len() > 10 || !value.bytes().all(|octet| octet.is_ascii_digit()) {
                        return Err(fault("a number of seconds"));
                    }
                    let seconds: u64 = value.parse().map_err(|_| fault("a number of seconds"))?;
                    max_age = Some(u32::try_from(seconds).map_or(MAX_AGE, |seconds| seconds.min(MAX_AGE)));
                }
                b"mx" => {
                    if hosts.len() == MAX_PATTERNS {
                        return Err(fault("fewer hosts"));
                    }
                    hosts.push(Pattern::parse(value).map_err(|error| fault(error.expected))?);
                }
                _ => {}
            }
            at = next;
        }
        let fault = |expected| ParseError { expected, at: text.len() };
        version.ok_or(fault("a version"))?;
        let mode = mode.ok_or(fault("a mode"))?;
        let max_age = max_age.ok_or(fault("max_age"))?;
        if hosts.is_empty() && mode != Mode::None {
            return Err(fault("a host"));
        }
        Ok(Self { mode, max_age, hosts })
    }

    /// Whether mail for the domain may go to this host. RFC 8461 §4.1: the name in the MX record counts, whatever it is an
    /// alias for.
    pub fn allows(&self, host: &Name) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }
}

impl Mode {
    /// As policies and reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

impl fmt::Display for Policy {
    /// The text that says this, with CRLF after each line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version: STSv1\r\nmode: {}\r\n", self.mode.as_str())?;
        self.hosts.iter().try_for_each(|host| write!(f, "mx: {host}\r\n"))?;
        write!(f, "max_age: {}\r\n", self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8461 §3.2
    const EXAMPLE: &str = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\n\
                           mx: backupmx.example.com\nmax_age: 604800\n";

    #[test]
    fn the_example_of_the_rfc_reads() {
        for text in [EXAMPLE.to_owned(), EXAMPLE.replace('\n', "\r\n"), EXAMPLE.trim_end().to_owned()] {
            let policy = Policy::parse(text.as_bytes()).unwrap();
            assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
            let hosts: Vec<_> = policy.hosts.iter().map(ToString::to_string).collect();
            assert_eq!(hosts, ["mail.example.com", "*.example.net", "backupmx.example.com"]);
            assert_eq!(Policy::parse(policy.to_string().as_bytes()), Ok(policy));
        }
    }

    #[test]
    fn what_is_no_policy_is_told() {
        let base = "version: STSv1\nmode: testing\nmx: a.x\nmax_age: 1\n";
        for (from, to, expected) in [
            ("", "", None),
            ("mode:", "mode:\t  ", None),
            ("testing", "testing \t", None),
            ("\nmax", "\n\r\n\nmax", None),
            ("max_age: 1\n", "max_age: 1\nmax_age: x\nmode: x\nversion: x\n", None),
            ("max_age: 1\n", "max_age: 9999999999\nx.y: \u{e9} :=\n", None),
            ("mx: a.x\n", "mx: A.X\n", None),
            ("testing\nmx: a.x", "none", None),
            ("version: STSv1\n", "", Some("a version")),
            ("STSv1", "STSv2", Some("STSv1")),
            ("STSv1", "stsv1", Some("STSv1")),
            ("version", "Version", Some("a version")),
            ("version:", "version :", Some("the name of a field")),
            ("version", " version", Some("the name of a field")),
            ("mode: testing\n", "", Some("a mode")),
            ("testing", "enforced", Some("a mode")),
            ("max_age: 1\n", "", Some("max_age")),
            ("max_age: 1\n", "max_age: 12345678901\n", Some("a number of seconds")),
            ("max_age: 1\n", "max_age: -1\n", Some("a number of seconds")),
            ("max_age: 1\n", "max_age:\n", Some("a value")),
            ("mx: a.x\n", "", Some("a host")),
            ("a.x", "*", Some("the name of a host")),
            ("a.x", "a.*.x", Some("the name of a host")),
            ("a.x", "m*.x", Some("the name of a host")),
            ("a.x", "b\u{fc}cher.x", Some("the name of a host")),
            ("a.x", "a..x", Some("a label")),
            ("a.x", "a.x.", Some("the name of a host")),
            ("mx: a.x", "mx a.x", Some("a colon")),
            ("a.x", "a\0.x", Some("a value")),
        ] {
            let text = base.replacen(from, to, 1);
            assert_eq!(Policy::parse(text.as_bytes()).err().map(|fault| fault.expected), expected, "{text:?}");
        }
        assert!(Policy::parse(b"version: STSv1\nmode: none\nmax_age: 1\nx: \xff\n").is_err());
        let long = Policy::parse(base.replace(": 1", ": 9999999999").as_bytes()).unwrap();
        assert_eq!(long.max_age, MAX_AGE);
        let many = |n| Policy::parse(base.replace("mx: a.x\n", &"mx: a.x\n".repeat(n)).as_bytes());
        assert!(many(MAX_PATTERNS).is_ok() && many(MAX_PATTERNS + 1).is_err());
    }

    #[test]
    fn the_star_stands_for_one_label() {
        for (pattern, host, expected) in [
            ("*.example.com", "mail.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "foo.bar.example.com", false),
            ("*.example.com", "mailexample.com", false),
            ("*.Example.com", "MAIL.example.com", true),
            ("mail.example.com", "mail.example.com", true),
            ("mail.example.com", "a.mail.example.com", false),
            ("example.com", "mail.example.com", false),
        ] {
            let matches = Pattern::parse(pattern).unwrap().matches(&host.parse().unwrap());
            assert_eq!(matches, expected, "{pattern} {host}");
        }
    }
}
