//! What a part is: Content-Type (RFC 2045 §5), Content-Disposition (RFC 2183), Content-Transfer-Encoding (RFC 2045 §6).

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;

use crate::text::charset;
use crate::text::params::{self, Params, is_token, skip_cfws};

/// The value of a Content-Type field (RFC 2045 §5.1).
///
/// ```
/// use facteur::message::ContentType;
///
/// let content_type = ContentType::parse(b"Text/Plain; charset=\"UTF-8\"").unwrap();
/// assert!(content_type.is("text", "plain"));
/// assert_eq!(content_type.charset().as_deref(), Some("UTF-8"));
/// assert_eq!(content_type.to_string(), "text/plain");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    kind: CompactString,
    subtype: CompactString,
    params: Params,
}

impl ContentType {
    /// Reads `type "/" subtype *(";" parameter)`; `None` where there is no type and subtype.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (kind, subtype) = media_type(value)?;
        Some(Self { kind: lower(kind), subtype: lower(subtype), params: Params::parse(value) })
    }

    /// A media type without parameters, as the defaults are.
    pub(in crate::message) fn plain(kind: &str, subtype: &str) -> Self {
        Self { kind: kind.into(), subtype: subtype.into(), params: Params::default() }
    }

    /// `text/plain; charset=us-ascii` (RFC 2045 §5.2)
    pub(in crate::message) fn text() -> Self {
        let params = Params::parse(b"; charset=us-ascii");
        Self { params, ..Self::plain("text", "plain") }
    }

    /// The type, in lower case.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The subtype, in lower case.
    pub fn subtype(&self) -> &str {
        &self.subtype
    }

    /// Whether it is this type and subtype, both given in lower case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The text of a parameter.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params.value(name)
    }

    /// The `charset` parameter.
    pub fn charset(&self) -> Option<String> {
        self.param("charset")
    }
}

/// Without parameters: `text/plain`.
impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)
    }
}

/// The value of a Content-Disposition field (RFC 2183).
///
/// ```
/// use facteur::message::Disposition;
///
/// let disposition = Disposition::parse(b"Attachment; filename*=utf-8''%C3%A9.txt").unwrap();
/// assert!(disposition.is_attachment());
/// assert_eq!(disposition.param("filename").as_deref(), Some("é.txt"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    kind: CompactString,
    params: Params,
}

impl Disposition {
    /// Reads `disposition-type *(";" disposition-parm)`, the type in quotes too; `None` where there is no type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut at = 0;
        skip_cfws(value, &mut at);
        let rest = value.get(at..).unwrap_or_default();
        let (kind, _) = token(rest.strip_prefix(b"\"").unwrap_or(rest))?;
        Some(Self { kind: lower(kind), params: Params::parse(value) })
    }

    /// `inline`, `attachment` or another word, in lower case.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether the part is to be shown only on demand: RFC 2183 §2.8 asks to treat unknown words as `attachment`.
    pub fn is_attachment(&self) -> bool {
        self.kind != "inline"
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The text of a parameter.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params.value(name)
    }
}

/// The value of a Content-Transfer-Encoding field (RFC 2045 §6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// `7bit`, the default.
    #[default]
    SevenBit,
    /// `8bit`
    EightBit,
    /// `binary`
    Binary,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
    /// `x-uuencode`, as it was sent before MIME and by some beside it.
    Uuencode,
    /// Another word, in lower case. What it encodes is left as it is.
    Other(String),
}

impl Encoding {
    /// Reads the value of the field; an empty one is the default. Quotes, parameters, full stops, and spaces or hyphens within
    /// a word are passed over, as senders write them.
    pub fn parse(value: &[u8]) -> Self {
        if let Some(encoding) = Self::exact(value) {
            return encoding;
        }
        let mut at = 0;
        skip_cfws(value, &mut at);
        let rest = value.get(at..).unwrap_or_default();
        let end = rest.iter().position(|octet| matches!(octet, b';' | b'(' | b',')).unwrap_or(rest.len());
        // The first word, and all of them joined: `base64 charset=x`, `quoted printable`.
        let words = rest.get(..end).unwrap_or_default().trim_ascii();
        let first = words.split(|octet| octet.is_ascii_whitespace()).next().unwrap_or_default();
        let key = |text: &[u8]| -> Vec<u8> {
            let letters = text.iter().filter(|octet| octet.is_ascii_alphanumeric()).take(LONGEST_ENCODING + 1);
            letters.map(u8::to_ascii_lowercase).collect()
        };
        let known = [first, words].into_iter().find_map(|text| Self::of(&key(text)));
        known.unwrap_or_else(|| match charset::guess(first).trim_matches(['"', '\'', '.']).to_ascii_lowercase() {
            word if word.is_empty() => Self::SevenBit,
            word => Self::Other(word),
        })
    }

    /// One of the five words, and white space around it.
    #[inline] // for what comes back in memory is not there yet when it is copied
    pub(in crate::message) fn exact(value: &[u8]) -> Option<Self> {
        let word = value.trim_ascii();
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        match word.len() {
            4 if is(b"7bit") => Some(Self::SevenBit),
            4 if is(b"8bit") => Some(Self::EightBit),
            6 if is(b"base64") => Some(Self::Base64),
            6 if is(b"binary") => Some(Self::Binary),
            16 if is(b"quoted-printable") => Some(Self::QuotedPrintable),
            _ => None,
        }
    }

    /// The encoding of a word of which only letters and digits are left.
    fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"7bit" | b"7bits" => Self::SevenBit,
            b"8bit" | b"8bits" => Self::EightBit,
            b"binary" => Self::Binary,
            b"quotedprintable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            b"uuencode" | b"xuuencode" | b"uue" | b"xuue" => Self::Uuencode,
            _ => return None,
        })
    }

    /// Whether the octets of the body are others than those of the content.
    pub fn is_encoded(&self) -> bool {
        matches!(self, Self::QuotedPrintable | Self::Base64 | Self::Uuencode)
    }
}

/// The length of `quotedprintable`; what is longer is none of the words known.
const LONGEST_ENCODING: usize = 15;

/// As the field has it.
impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Binary => "binary",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Uuencode => "x-uuencode",
            Self::Other(word) => word,
        })
    }
}

/// What a Content-Type is to the part tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::message) enum Composite {
    None,
    /// A message; `encodable` where RFC 6532 §3.5 allows it to be in base64 or quoted-printable.
    Message {
        encodable: bool,
    },
    Multipart {
        digest: bool,
    },
}

/// As [`ContentType::parse`], for the one question of the scan and without memory.
pub(in crate::message) fn composite(value: &[u8]) -> Composite {
    // Most are neither, and say so with their first letter.
    if !matches!(value.trim_ascii_start(), [b'm' | b'M' | b'(', ..]) {
        return Composite::None;
    }
    let Some((kind, subtype)) = media_type(value) else { return Composite::None };
    let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
    if is(kind, "multipart") {
        return Composite::Multipart { digest: is(subtype, "digest") };
    }
    // RFC 2046 §5.2.1, RFC 6532 §3.7, RFC 5537 §2.3
    let encodable = is(subtype, "global");
    let message = is(kind, "message") && (encodable || is(subtype, "rfc822") || is(subtype, "news"));
    if message { Composite::Message { encodable } } else { Composite::None }
}

/// The boundary of a multipart: its white space at the end taken away (RFC 2046 §5.1.1); `None` where it is empty, and where
/// it holds a line end, as only RFC 2231 can write it: no line begins with that, and to look for it would take quadratic time.
pub(in crate::message) fn boundary(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(boundary) = params::simple(value, "boundary") {
        return boundary.map(|text| Cow::Borrowed(text.as_bytes().trim_ascii_end())).filter(|value| !value.is_empty());
    }
    let params = Params::parse(value);
    let mut boundary = match params.octets("boundary") {
        Some(octets) => octets.to_vec(),
        None => params.value("boundary")?.into_bytes(),
    };
    boundary.truncate(boundary.trim_ascii_end().len());
    (!boundary.is_empty() && !boundary.contains(&b'\n')).then_some(Cow::Owned(boundary))
}

/// `type "/" subtype`, with CFWS between them.
pub(in crate::message) fn media_type(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (kind, rest) = token(value)?;
    let mut at = 0;
    skip_cfws(rest, &mut at);
    let [b'/', rest @ ..] = rest.get(at..)? else { return None };
    let (subtype, _) = token(rest)?;
    Some((kind, subtype))
}

/// A token in lower case; nearly all are short.
fn lower(token: &[u8]) -> CompactString {
    let mut lower = CompactString::from(charset::guess_piece(token));
    lower.make_ascii_lowercase();
    lower
}

/// `[CFWS] token`, and what follows. UTF-8 is read too.
pub(super) fn token(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    skip_cfws(value, &mut at);
    let value = value.get(at..)?;
    let len = value.iter().position(|octet| !is_token(*octet) && *octet < 0x80).unwrap_or(value.len());
    (len > 0).then(|| value.split_at(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_or_refused() {
        for (value, expected) in [
            (" text/html", Some("text/html")),
            (" TEXT / HTML ; x=y", Some("text/html")),
            ("(a) text (b) / (c) html (d)", Some("text/html")),
            ("text/plain charset=us-ascii", Some("text/plain")),
            ("application/vnd.x+json;", Some("application/vnd.x+json")),
            ("text", None),
            ("text/", None),
            ("/plain", None),
            ("", None),
            ("; charset=x", None),
        ] {
            let read = ContentType::parse(value.as_bytes()).map(|content_type| content_type.to_string());
            assert_eq!(read.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn encodings_are_read_in_any_case() {
        for (value, expected) in [
            (" Base64", "base64"),
            (" QUOTED-PRINTABLE ", "quoted-printable"),
            ("8BIT (note)", "8bit"),
            ("", "7bit"),
            ("\"base64\"", "base64"),
            ("X-UUEncode", "x-uuencode"),
            ("uue", "x-uuencode"),
            ("quoted printable", "quoted-printable"),
            ("quoted - printable;", "quoted-printable"),
            ("Quoted_Printable.", "quoted-printable"),
            ("base64;charset=x", "base64"),
            ("base64 charset=x", "base64"),
            ("base-64", "base64"),
            ("7-bit", "7bit"),
            ("'8bits'", "8bit"),
            ("(a note) base64", "base64"),
            ("base64, 7bit", "base64"),
            ("text/html", "text/html"),
            ("X-Other; a=b", "x-other"),
            ("quoted-printable-and-more", "quoted-printable-and-more"),
            ("\"", "7bit"),
            (";", "7bit"),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()).to_string(), expected, "{value}");
        }
    }
}
