//! Fields of reports as they stand: groups of them, read leniently, written strictly; values with a type in front.
//!
//! RFC 3464 §2.1, RFC 8098 §3.1, RFC 5965 §3. What senders get wrong and is read all the same: white space before the
//! colon, continuation lines that are not indented, empty lines at the start.

use std::fmt;

use crate::address::{Address, list, unitext};
use crate::base::Timestamp;
use crate::message::BuildError;
use crate::message::fold::Fold;
use crate::text::charset;
use crate::text::params::is_token;
use crate::text::transfer::decode_base64;

/// Names longer than this would leave no room on their line.
const LONGEST_NAME: usize = 76;

/// Fields in their order, names and values as they stand but for folding and white space at the ends.
///
/// ```
/// use facteur::message::report::Fields;
///
/// let mut fields = Fields::default();
/// fields.push("X-Postfix-Queue-ID", "C0FFEE");
/// assert_eq!(fields.get("x-postfix-queue-id"), Some("C0FFEE"));
/// assert_eq!(fields.iter().count(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds a field behind the others.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the first field of this name, in any case of letters.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The fields, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the fields of a report that has one group, empty lines in it passed over; at most `most` of them. What `take` does
    /// not take is given back.
    pub(super) fn read_one_group(octets: &[u8], most: usize, mut take: impl FnMut(&str, &str) -> bool) -> Self {
        let mut other = Self::default();
        for (name, value) in Self::read_groups(octets, most).iter().flat_map(Self::iter) {
            if !take(name, value) {
                other.push(name, value);
            }
        }
        other
    }

    /// Reads the groups of fields that empty lines part, at most `most` fields in all.
    ///
    /// A gateway that put what follows the first group in base64 said so in that group.
    pub(super) fn read_groups(octets: &[u8], most: usize) -> Vec<Self> {
        let mut groups = Self::read_plain_groups(octets, most);
        let encoded = |group: &Self| {
            group.get("content-transfer-encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"))
        };
        if let [first] = &groups[..]
            && encoded(first)
            && let Some(at) = end_of_first_group(octets)
        {
            let rest = decode_base64(octets.get(at..).unwrap_or_default());
            groups.extend(Self::read_plain_groups(&rest, most.saturating_sub(first.0.len())));
        }
        groups
    }

    fn read_plain_groups(octets: &[u8], most: usize) -> Vec<Self> {
        let mut groups = Vec::new();
        let mut group = Self::default();
        let mut count = 0;
        let mut skipping = false;
        for line in octets.split(|octet| *octet == b'\n') {
            let line = trim(line.strip_suffix(b"\r").unwrap_or(line));
            if line.text.is_empty() {
                if !group.is_empty() {
                    groups.push(std::mem::take(&mut group));
                }
                skipping = false;
                continue;
            }
            if skipping {
                continue;
            }
            let text = charset::guess(line.text);
            if let Some((name, value)) = split(&text).filter(|_| !line.indented) {
                if count == most {
                    break;
                }
                count += 1;
                group.push(name, value);
            } else if let Some((_, value)) = group.0.last_mut() {
                // A fold is read as the white space that it was, or as one space where that was left out.
                value.push_str(if line.indented { line.space } else { " " });
                value.push_str(&text);
            } else {
                // Behind the first group, what begins with no field is another part whose boundary was lost.
                skipping = !groups.is_empty();
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
        for (_, value) in groups.iter_mut().flat_map(|group| &mut group.0) {
            let trimmed = value.trim_matches(WHITE);
            if trimmed.len() < value.len() {
                *value = trimmed.to_owned();
            }
        }
        groups
    }
}

const WHITE: [char; 2] = [' ', '\t'];

/// Where the empty line behind the first group begins.
fn end_of_first_group(octets: &[u8]) -> Option<usize> {
    let start = octets.iter().position(|octet| !octet.is_ascii_whitespace())?;
    let rest = octets.get(start..)?;
    let ends = [&b"\n\n"[..], b"\n\r\n"].into_iter();
    ends.filter_map(|end| rest.windows(end.len()).position(|window| window == end)).min().map(|at| start + at)
}

/// A line without the white space around it.
struct Line<'a> {
    text: &'a [u8],
    /// The white space before it.
    space: &'a str,
    indented: bool,
}

fn trim(line: &[u8]) -> Line<'_> {
    let is_white = |octet: &u8| matches!(octet, b' ' | b'\t');
    let start = line.iter().position(|octet| !is_white(octet)).unwrap_or(line.len());
    let (space, text) = line.split_at(start);
    let end = text.iter().rposition(|octet| !is_white(octet)).map_or(0, |last| last + 1);
    Line {
        text: text.get(..end).unwrap_or_default(),
        space: std::str::from_utf8(space).unwrap_or_default(), // spaces and tabs
        indented: start > 0,
    }
}

/// `field-name [WSP] ":" value`
fn split(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end_matches(WHITE);
    (!name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic())).then_some((name, value))
}

/// A value with its type in front: `rfc822; ada@example.org`, `dns; mx.example.org`, `smtp; 550 5.1.1 no such user`.
///
/// ```
/// use facteur::message::report::Typed;
///
/// let recipient = Typed::parse("RFC822; <ada@example.org>");
/// assert!(recipient.is("rfc822"));
/// assert_eq!(recipient.address().unwrap().to_string(), "ada@example.org");
/// assert_eq!(Typed::new("dns", "mx.example.org").to_string(), "dns; mx.example.org");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)] // RFC 3464 §2.1.2: a type and a value
pub struct Typed {
    /// The type, in any case of letters. Empty where the sender left it out.
    pub kind: String,
    /// What follows the semicolon. Of an address of the type `utf-8`, decoded (RFC 6533 §3).
    pub value: String,
}

impl Typed {
    /// A value of this type.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Self { kind: kind.into(), value: value.into() }
    }

    /// Reads `type ";" value`. Where there is no semicolon, or no type before it, everything is the value.
    pub fn parse(text: &str) -> Self {
        let text = text.trim_matches(WHITE);
        let is_kind = |kind: &&str| !kind.is_empty() && kind.bytes().all(|octet| is_token(octet) || octet == b'/');
        match text.split_once(';').map(|(kind, value)| (kind.trim_end_matches(WHITE), value)) {
            Some((kind, value)) if is_kind(&kind) => {
                let value = value.trim_start_matches(WHITE);
                let utf8 = kind.eq_ignore_ascii_case("utf-8");
                Self::new(kind, if utf8 { unitext::decoded(value) } else { value.to_owned() })
            }
            _ => Self::new("", text),
        }
    }

    /// Whether it is of this type, in any case of letters.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    /// The address that it is: the brackets and comments that some write around it are taken away. `None` where it is
    /// none, or of a type that is not that of mail.
    pub fn address(&self) -> Option<Address> {
        // `rfc/822` has been seen.
        if !["rfc822", "utf-8", "rfc/822", ""].iter().any(|kind| self.is(kind)) {
            return None;
        }
        if let Ok(address) = Address::parse(self.value.as_bytes()) {
            return Some(address);
        }
        list::mailboxes(self.value.as_bytes()).next()?.address()
    }
}

/// `type; value`, as it stands in a report; what is beyond ASCII in an address of the type `utf-8` is not escaped.
impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.is_empty() {
            return f.write_str(&self.value);
        }
        write!(f, "{}; {}", self.kind, self.value)
    }
}

/// The text of a report on its way.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A field, folded at white space. White space at the ends of the value does not survive a reader.
    pub(super) fn field(&mut self, name: &str, value: &str) -> Result<(), BuildError> {
        let sound = |octet: u8| octet.is_ascii_graphic() && octet != b':';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(sound) {
            return Err(BuildError::FieldName);
        }
        if let Some(at) = value.bytes().position(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return Err(BuildError::Value { field: name.to_owned(), at });
        }
        let mut fold = Fold::new(&mut self.0, name, true);
        fold.value(value);
        if fold.end() { Ok(()) } else { Err(BuildError::TooLong { field: name.to_owned() }) }
    }

    pub(super) fn optional(&mut self, name: &str, value: Option<impl fmt::Display>) -> Result<(), BuildError> {
        value.map_or(Ok(()), |value| self.field(name, &value.to_string()))
    }

    /// A value with its type, which it must have. RFC 6533 §3: addresses of the type `utf-8` in the form that ASCII can hold.
    pub(super) fn typed(&mut self, name: &str, typed: Option<&Typed>) -> Result<(), BuildError> {
        let Some(typed) = typed else { return Ok(()) };
        if typed.kind.is_empty() || !typed.kind.bytes().all(is_token) {
            return Err(BuildError::Param { field: name.to_owned() });
        }
        let value = typed.value.trim_matches(WHITE);
        if typed.is("utf-8") && !value.bytes().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return self.field(name, &format!("{}; {}", typed.kind, unitext::Unitext(value)));
        }
        self.field(name, &format!("{}; {value}", typed.kind))
    }

    pub(super) fn fields(&mut self, fields: &Fields) -> Result<(), BuildError> {
        fields.iter().try_for_each(|(name, value)| self.field(name, value))
    }

    /// An empty line, which ends a group.
    pub(super) fn end_group(&mut self) {
        self.0.extend_from_slice(b"\r\n");
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Puts `value` into an empty `place`. `false` where it is taken, or there is no value: the field is kept as it stands.
pub(super) fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    if place.is_some() || value.is_none() {
        return false;
    }
    *place = value;
    true
}

/// A date, also in the forms that are no date of RFC 5322 but near to one.
pub(super) fn date(value: &str) -> Option<Timestamp> {
    Timestamp::parse(value.as_bytes()).or_else(|_| Timestamp::parse_asctime(value.as_bytes())).ok()
}

/// A text that is not empty.
pub(super) fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// The word at the start, without a comment or whatever follows it.
pub(super) fn word(value: &str) -> &str {
    value.split([' ', '\t', '(', ';']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_senders_write_them() {
        for (text, expected) in [
            ("", vec![]),
            ("\r\n\r\n", vec![]),
            ("A: b\r\nC: d\r\n\r\nE: f", vec!["A=b C=d", "E=f"]),
            ("\n\nA: b\n \t\nE:f\n\n\n", vec!["A=b", "E=f"]),
            ("A : b\r\n", vec!["A=b"]),
            ("A: b\r\n c\r\n\td\r\n", vec!["A=b c\td"]),
            ("A: 550-no\r\n550 such: user\r\n", vec!["A=550-no 550 such: user"]),
            ("junk\r\nA:\r\n", vec!["A="]),
            ("A: b\r\n\r\n--boundary\r\nC: d\r\n\r\nE: f\r\n", vec!["A=b", "E=f"]),
            (" indented\r\n", vec![]),
            ("A: \u{e9}\r\n", vec!["A=\u{e9}"]),
            // Qzog… is "C: d\nE: f\n\nG: h".
            (
                "A: b\r\nContent-Transfer-Encoding: Base64\r\n\r\nQzogZApF\r\nOiBmCgpHOiBo\r\n",
                vec!["A=b Content-Transfer-Encoding=Base64", "C=d E=f", "G=h"],
            ),
            ("Content-Transfer-Encoding: base64\n\nC: d", vec!["Content-Transfer-Encoding=base64", "C=d"]),
        ] {
            let groups = Fields::read_groups(text.as_bytes(), 100);
            let shown = |group: &Fields| {
                group.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(groups.iter().map(shown).collect::<Vec<_>>(), expected, "{text:?}");
        }
        assert_eq!(Fields::read_groups("A: b\n\n".repeat(9).as_bytes(), 4).len(), 4);
    }

    #[test]
    fn types_stand_before_a_semicolon() {
        for (text, kind, value) in [
            ("rfc822; ada@a.test", "rfc822", "ada@a.test"),
            ("RFC822;ada@a.test", "RFC822", "ada@a.test"),
            ("dns ; mx (x;y)", "dns", "mx (x;y)"),
            ("550 no; not here", "", "550 no; not here"),
            ("mx.a.test", "", "mx.a.test"),
            ("; x", "", "; x"),
            ("utf-8; \\x{3B4}@a.test", "utf-8", "δ@a.test"),
        ] {
            assert_eq!(Typed::parse(text), Typed::new(kind, value), "{text}");
        }
    }

    #[test]
    fn addresses_come_without_what_stands_around_them() {
        for (text, expected) in [
            ("rfc822; ada@a.test", Some("ada@a.test")),
            ("rfc822; <ada@a.test>", Some("ada@a.test")),
            ("rfc822;ada@a.test (Ada)", Some("ada@a.test")),
            ("rfc/822;ada@a.test", Some("ada@a.test")),
            ("ada@a.test", Some("ada@a.test")),
            ("x400; /c=fr", None),
            ("rfc822; postmaster", None),
            ("rfc822;", None),
        ] {
            assert_eq!(Typed::parse(text).address().map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_breaks_out_of_a_field_is_refused() {
        let mut writer = Writer::default();
        assert!(writer.field("A", "b\r\nC: d").is_err());
        assert!(writer.field("A:", "b").is_err());
        assert!(writer.field("", "b").is_err());
        assert!(writer.field("A", &"x".repeat(998)).is_err());
        assert!(Writer::default().typed("A", Some(&Typed::new("", "x"))).is_err());
        assert!(Writer::default().typed("A", Some(&Typed::new("a;b", "x"))).is_err());
        assert!(Writer::default().typed("A", Some(&Typed::new("utf-8", "a\r\nb"))).is_err());
        let mut writer = Writer::default();
        writer.typed("To", Some(&Typed::new("utf-8", "δ@a.test"))).unwrap();
        assert_eq!(writer.finish(), b"To: utf-8; \\x{3B4}@a.test\r\n");
    }
}
