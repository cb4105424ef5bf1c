//! Authentication-Results fields (RFC 8601 §2.2), written and read.

mod read;

use std::fmt;

pub use read::{MAX_PROPERTIES, MAX_RESULTS, foreign};

/// Lines are folded where they would be longer than this (RFC 5322 §2.1.1).
const LINE: usize = 78;

/// What a host found out about a message, for those behind it.
///
/// It is written as a whole field, folded, without the last CRLF. Whatever the values hold, it stays one field: what is
/// no token becomes a quoted string, and control characters become spaces.
///
/// ```
/// use facteur::auth::{Method, Results};
///
/// let spf = Method::new("spf", "pass").property("smtp", "mailfrom", "example.net");
/// let results = Results::new("mx.example.org", [spf]);
/// assert_eq!(
///     results.to_string(),
///     "Authentication-Results: mx.example.org;\r\n\tspf=pass smtp.mailfrom=example.net"
/// );
/// assert_eq!(Results::new("mx.example.org", []).to_string(), "Authentication-Results: mx.example.org; none");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Results {
    /// `authserv-id`: who found it out, in a name that belongs to its domain (RFC 8601 §2.5).
    pub id: String,
    /// `authres-version`, where the field has one; only 1 is defined.
    pub version: Option<u32>,
    /// What was found out; nothing where the field says `none`.
    pub methods: Vec<Method>,
}

/// The result of one method (RFC 8601 §2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Method {
    /// `method`: `spf`, `dkim`, `dmarc`, `iprev`, and what else the registry has.
    pub name: String,
    /// `method-version`, where the field has one; only 1 is defined.
    pub version: Option<u32>,
    /// `result`: `pass`, `fail` and so on.
    pub result: String,
    /// What a comment behind the result says: many hosts have their reasons there. For people only.
    pub comment: Option<String>,
    /// `reason`: why.
    pub reason: Option<String>,
    /// `ptype "." property "=" pvalue`: of what.
    pub properties: Vec<Property>,
}

/// What a method looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct Property {
    /// `ptype`: where it comes from, `smtp`, `header`, `body` or `policy` (RFC 8601 §2.3). Empty where a field that was
    /// read has none, against the grammar; then it is written without one.
    pub kind: String,
    /// `property`: what it is there.
    pub name: String,
    /// `pvalue`
    pub value: String,
}

impl Results {
    /// What `id` found out.
    pub fn new(id: impl Into<String>, methods: impl IntoIterator<Item = Method>) -> Self {
        Self { id: id.into(), version: None, methods: methods.into_iter().collect() }
    }

    /// `authres-payload`: the value of the field.
    pub(in crate::auth) fn payload(&self) -> Payload<'_> {
        Payload(self)
    }
}

impl Method {
    /// A result without a reason and properties.
    pub fn new(name: impl Into<String>, result: impl Into<String>) -> Self {
        let (name, result) = (name.into(), result.into());
        Self { name, version: None, result, comment: None, reason: None, properties: Vec::new() }
    }

    /// The same with a reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same with one more property.
    #[must_use]
    pub fn property(mut self, kind: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push(Property { kind: kind.into(), name: name.into(), value: value.into() });
        self
    }
}

/// The whole field without its last CRLF.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authentication-Results: {}", self.payload())
    }
}

/// `authres-payload`: what stands behind the name of the field, in an ARC-Authentication-Results field too.
pub(in crate::auth) struct Payload<'a>(&'a Results);

impl fmt::Display for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Results { id, version, methods } = self.0;
        write!(f, "{}", Value::of(id))?;
        if let Some(version) = version {
            write!(f, " {version}")?;
        }
        if methods.is_empty() {
            return f.write_str("; none");
        }
        for method in methods {
            f.write_str(";\r\n\t")?;
            let mut column = 8;
            let version = method.version.map(|version| format!("/{version}")).unwrap_or_default();
            let first = format!("{}{version}={}", Keyword(&method.name), Keyword(&method.result));
            let comment = method.comment.iter().map(|comment| Comment(comment).to_string());
            let reason = method.reason.iter().map(|reason| format!("reason={}", Value::of(reason)));
            let properties = method.properties.iter().map(|property| {
                let (kind, name) = (Keyword(&property.kind), Keyword(&property.name));
                // pvalue = value / [ [ local-part ] "@" ] domain-name; an address goes in quotes only where it must.
                let plain = property.value.bytes().all(|octet| is_token(octet) || octet == b'@');
                let dot = if property.kind.is_empty() { "" } else { "." };
                match plain && !property.value.is_empty() {
                    true => format!("{kind}{dot}{name}={}", property.value),
                    false => format!("{kind}{dot}{name}={}", Value::of(&property.value)),
                }
            });
            for (n, word) in std::iter::once(first).chain(comment).chain(reason).chain(properties).enumerate() {
                match n {
                    0 => {}
                    _ if column + 1 + word.len() > LINE => {
                        f.write_str("\r\n\t  ")?;
                        column = 10;
                    }
                    _ => {
                        f.write_str(" ")?;
                        column += 1;
                    }
                }
                f.write_str(&word)?;
                column += word.len();
            }
        }
        Ok(())
    }
}

/// `Keyword = Ldh-str` (RFC 5321 §4.1.2); other characters are left out.
struct Keyword<'a>(&'a str);

impl fmt::Display for Keyword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_sound = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        self.0.chars().filter(is_sound).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

/// `value = token / quoted-string` (RFC 2045 §5.1).
pub(in crate::auth) struct Value<'a> {
    text: &'a str,
    quoted: bool,
}

impl<'a> Value<'a> {
    pub(in crate::auth) fn of(text: &'a str) -> Self {
        Self { text, quoted: text.is_empty() || !text.bytes().all(is_token) }
    }

    pub(in crate::auth) fn quoted(text: &'a str) -> Self {
        Self { text, quoted: true }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.quoted {
            return f.write_str(self.text);
        }
        f.write_str("\"")?;
        for c in self.text.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => f.write_str(" ")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        f.write_str("\"")
    }
}

/// `comment` (RFC 5322 §3.2.2).
pub(in crate::auth) struct Comment<'a>(pub(in crate::auth) &'a str);

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for c in self.0.chars() {
            match c {
                '(' | ')' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => f.write_str(" ")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        f.write_str(")")
    }
}

/// `token` of RFC 2045 §5.1: what is neither a space, a control character nor one of the tspecials.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8601 §B.3 and §B.5, folded our way and with the method that a comment of theirs explains.
    #[test]
    fn the_examples_of_the_rfc_are_written() {
        let auth = Method::new("auth", "pass").property("smtp", "auth", "sender@example.com");
        let spf = Method::new("spf", "pass").property("smtp", "mailfrom", "example.com");
        assert_eq!(
            Results::new("example.com", [auth, spf]).to_string(),
            "Authentication-Results: example.com;\r\n\tauth=pass smtp.auth=sender@example.com;\r\n\t\
             spf=pass smtp.mailfrom=example.com"
        );
        let fail =
            Method::new("dkim", "fail").reason("bad signature").property("header", "i", "@mail-router.example.net");
        assert_eq!(
            Results::new("example.com", [fail]).to_string(),
            "Authentication-Results: example.com;\r\n\t\
             dkim=fail reason=\"bad signature\" header.i=@mail-router.example.net"
        );
    }

    #[test]
    fn whatever_comes_it_stays_one_field_of_short_lines() {
        let evil = "a\r\nBcc: x\0\"\\; spf=pass";
        let method = Method::new(evil, evil).reason(evil).property(evil, evil, evil).property("smtp", "helo", "");
        let text = Results::new(evil, [method.clone(), method]).to_string();
        assert!(text.split("\r\n").skip(1).all(|line| line.starts_with('\t')), "{text:?}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "{text:?}");
        assert!(text.ends_with("smtp.helo=\"\""));
        let many =
            (0..20).fold(Method::new("dkim", "pass"), |method, n| method.property("header", "d", format!("d{n}.org")));
        let text = Results::new("x", [many]).to_string();
        assert!(text.split("\r\n").all(|line| line.len() <= LINE), "{text}");
    }
}
