//! What comes into a message: written, encoded, and made so that no line of it is a boundary there.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::{memchr, memmem};

use super::{EditError, HeaderEdit, ends_message, is_content};
use crate::base::{ParseError, Timestamp};
use crate::message::fields::{self, Composite};
use crate::message::scan::Kind;
use crate::message::{Builder, DefectKind, Edit, Encoding, Header, Message, NewPart, Part};
use crate::text::params::is_token;
use crate::text::transfer;

/// So often another boundary is tried for a part that has parts. Two that are alike are one in 2^64.
const TRIES: usize = 8;
/// RFC 5322 §2.1.1: the longest line without its end.
const LONGEST: usize = 998;

/// What comes into a message.
///
/// ```
/// use facteur::message::{NewPart, edit::Content};
///
/// let built = Content::from(NewPart::text("plain", "A virus was removed.\n"));
/// let raw = Content::from("Content-Type: text/plain\r\n\r\nA virus was removed.\r\n".as_bytes().to_vec());
/// # let _ = (built, raw);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Content {
    /// A part to be written. A body of it that has a boundary of the message in it is written in base64.
    New(Box<NewPart<'static>>),
    /// A part that is written already: header, blank line, body. A missing blank line is put in, line ends become those of
    /// the message unless a body says that it is `binary`, and else each octet stays.
    Raw(Bytes),
}

impl From<NewPart<'_>> for Content {
    fn from(part: NewPart<'_>) -> Self {
        Self::New(Box::new(part.into_owned()))
    }
}

impl From<Bytes> for Content {
    fn from(octets: Bytes) -> Self {
        Self::Raw(octets)
    }
}

impl From<Vec<u8>> for Content {
    fn from(octets: Vec<u8>) -> Self {
        Self::Raw(octets.into())
    }
}

/// As it stands in its message, whose octets it shares.
impl From<Part<'_>> for Content {
    fn from(part: Part<'_>) -> Self {
        Self::Raw(part.whole().raw().slice_ref(part.raw()))
    }
}

/// How a new body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recode {
    /// In the encoding that the part has. Where the body cannot be written in it, as [`Anew`](Self::Anew). The default.
    #[default]
    Keep,
    /// As the content needs it; Content-Transfer-Encoding says so.
    Anew,
    /// Not at all: what is passed in is encoded already, as the header says. Line ends become those of the message, unless
    /// the encoding is `binary`.
    Encoded,
}

/// What a header makes of the body behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Leaf,
    /// A message that is not looked into.
    EncodedMessage,
    Message,
    Multipart {
        digest: bool,
        boundary: Option<Vec<u8>>,
    },
}

impl Nature {
    /// As the scan decides it.
    pub fn of(header: Header<'_>, in_digest: bool) -> Self {
        let content_type = header.get("content-type").map(|field| field.value());
        let composite = match content_type {
            Some(value) => fields::composite(value),
            None if in_digest => Composite::Message { encodable: false },
            None => Composite::None,
        };
        let encoding = header.get("content-transfer-encoding").map(|field| Encoding::parse(field.value()));
        match composite {
            Composite::None => Self::Leaf,
            Composite::Message { .. } if encoding.is_some_and(|encoding| encoding.is_encoded()) => Self::EncodedMessage,
            Composite::Message { .. } => Self::Message,
            Composite::Multipart { digest } => {
                Self::Multipart { digest, boundary: content_type.and_then(fields::boundary).map(Cow::into_owned) }
            }
        }
    }

    pub fn is_leaf(&self) -> bool {
        matches!(self, Self::Leaf | Self::EncodedMessage)
    }

    /// Whether a body of the one is read as the same parts under the other.
    pub fn fits(&self, other: &Self) -> bool {
        self == other || self.is_leaf() && other.is_leaf()
    }
}

/// The boundary that each part of a message declares, where its body is searched for it.
pub(super) fn boundaries(message: &Message) -> Vec<Option<Vec<u8>>> {
    let searched = |kind| matches!(kind, Kind::Multipart | Kind::Hollow);
    let boundary = |part: Part<'_>| fields::boundary(part.header().get("content-type")?.value()).map(Cow::into_owned);
    let parts = message.all_parts().zip(&message.tree().parts);
    parts.map(|(part, span)| if searched(span.kind) { boundary(part) } else { None }).collect()
}

/// The multiparts whose boundary cannot be told from that of another around it or in it, or holds a line end: what is
/// written between such boundaries, or left there, may come to lie elsewhere. Sorted.
pub(super) fn tangled(message: &Message, boundaries: &[Option<Vec<u8>>]) -> Vec<usize> {
    let mut tangled = Vec::new();
    // A boundary line with more behind the boundary may be a line of the longer one, once that is open there.
    let loose = message.tree().defects.iter().any(|defect| defect.kind == DefectKind::LooseBoundary);
    for part in message.all_parts() {
        let Some(Some(own)) = boundaries.get(part.index()) else { continue };
        if own.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
            tangled.push(part.index());
        }
        for outer in std::iter::successors(part.parent(), |part| part.parent()) {
            let Some(Some(other)) = boundaries.get(outer.index()) else { continue };
            // The final boundary of the one may be a boundary of the other.
            let ends = |one: &[u8], other: &[u8]| other.strip_prefix(one).is_some_and(|rest| rest.starts_with(b"--"));
            if own == other || ends(own, other) || ends(other, own) || loose && alike(own, other) {
                tangled.extend([part.index(), outer.index()]);
            }
        }
    }
    tangled.sort_unstable();
    tangled.dedup();
    tangled
}

/// Whether a line of `octets`, which begin a line, begins with one of these boundaries.
pub(super) fn collides(octets: &[u8], boundaries: &[&[u8]]) -> bool {
    let begins = |line: Option<&[u8]>| line.is_some_and(|line| boundaries.iter().any(|value| line.starts_with(value)));
    !boundaries.is_empty()
        && (begins(octets.strip_prefix(b"--"))
            || memmem::find_iter(octets, b"\n--").any(|at| begins(octets.get(at + 3..))))
}

/// Whether one begins with the other, so that a reader may take it for that.
pub(super) fn alike(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// With line ends of the one kind; a CR or LF that is none stays.
pub(super) fn restyled(octets: Bytes, line_end: &str) -> Bytes {
    if line_end == "\n" {
        if memmem::find(&octets, b"\r\n").is_none() {
            return octets;
        }
        let mut out = Vec::with_capacity(octets.len());
        let mut from = 0;
        for at in memmem::find_iter(&octets, b"\r\n") {
            out.extend_from_slice(octets.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        out.extend_from_slice(octets.get(from..).unwrap_or_default());
        return out.into();
    }
    match crlf(&octets) {
        Cow::Borrowed(_) => octets,
        Cow::Owned(out) => out.into(),
    }
}

/// With CRLF for LF.
fn crlf(octets: &[u8]) -> Cow<'_, [u8]> {
    let bare = |at: &usize| at.checked_sub(1).and_then(|before| octets.get(before)) != Some(&b'\r');
    let Some(first) = memchr::memchr_iter(b'\n', octets).find(bare) else { return Cow::Borrowed(octets) };
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 16);
    let mut from = 0;
    for at in std::iter::once(first).chain(memchr::memchr_iter(b'\n', octets).filter(|at| *at > first).filter(bare)) {
        out.extend_from_slice(octets.get(from..at).unwrap_or_default());
        out.push(b'\r');
        from = at;
    }
    out.extend_from_slice(octets.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// `token` (RFC 2045 §5.1), of a length that fits on a line.
pub(super) fn is_subtype(subtype: &str) -> bool {
    !subtype.is_empty() && subtype.len() <= 64 && subtype.bytes().all(is_token)
}

/// Adds MIME-Version where it is missing: without it Content fields mean nothing to some readers (RFC 2045 §4).
pub(super) fn says_mime(header: &mut HeaderEdit) -> Result<(), ParseError> {
    if header.get("mime-version").is_none() { header.append("MIME-Version", b"1.0") } else { Ok(()) }
}

/// The encoding of a part, and whether its content is text.
pub(super) fn coding(header: &HeaderEdit) -> (Encoding, bool) {
    let encoding = header.get("content-transfer-encoding").map(|field| Encoding::parse(field.value()));
    let content_type = header.get("content-type").and_then(|field| field.content_type());
    (encoding.unwrap_or_default(), content_type.is_none_or(|content_type| content_type.kind() == "text"))
}

/// A part that is ready for its place. It begins with its header, which a blank line ends.
pub(super) struct Prepared {
    pub message: Message,
    in_digest: bool,
}

impl Prepared {
    pub fn octets(&self) -> Bytes {
        self.message.raw().clone()
    }

    pub fn header(&self) -> HeaderEdit {
        HeaderEdit::new(&self.message)
    }

    pub fn body(&self) -> Bytes {
        self.message.raw().slice_ref(self.message.root().raw_body())
    }

    pub fn nature(&self) -> Nature {
        Nature::of(self.message.header(), self.in_digest)
    }
}

/// Where something is going to stand.
pub(super) struct Task<'a> {
    /// The content is text, whose line ends are not its own.
    pub text: bool,
    pub line_end: &'static str,
    /// Nothing follows it in the message.
    pub ends_message: bool,
    /// The boundaries around it.
    pub outer: &'a [&'a [u8]],
}

impl Task<'_> {
    /// The part as it is going to stand there.
    pub fn prepare(&self, content: Content, in_digest: bool, seed: &str) -> Result<Prepared, EditError> {
        match content {
            Content::New(part) => {
                for n in 0..TRIES {
                    let built = self.fitted(built(&part, self.ends_message, &format!("{seed}.{n}"))?)?;
                    if !self.declares_outer(&built) && !collides(built.raw(), self.outer) {
                        return Ok(Prepared { message: built, in_digest });
                    }
                }
                Err(EditError::Boundary)
            }
            Content::Raw(octets) => {
                let mut message = Message::parse(octets);
                if message.root().raw_header().len() == message.header().raw().len() {
                    let mut header = HeaderEdit::new(&message);
                    header.close();
                    message = header.finish();
                }
                if message.all_parts().all(|part| part.encoding() != Encoding::Binary) {
                    message = Message::parse(restyled(message.raw().clone(), self.line_end));
                }
                // In a digest it may be a message that has parts.
                let inner = (in_digest && message.header().get("content-type").is_none()).then(|| {
                    Message::parse([&b"Content-Type: message/rfc822\n\n"[..], message.root().raw_body()].concat())
                });
                let declares = inner.as_ref().is_some_and(|inner| self.declares_outer(inner));
                if declares || self.declares_outer(&message) || collides(message.raw(), self.outer) {
                    return Err(EditError::Boundary);
                }
                Ok(Prepared { message, in_digest })
            }
        }
    }

    /// Whether a multipart in it has the boundary of one around it.
    fn declares_outer(&self, message: &Message) -> bool {
        let own = boundaries(message);
        own.iter().flatten().any(|own| self.outer.iter().any(|outer| alike(own, outer)))
    }

    /// With the line ends of the message; and what must not stand there as it is in base64.
    fn fitted(&self, built: Message) -> Result<Message, EditError> {
        let bare = self.line_end == "\n";
        let breaks = |part: &Part<'_>| {
            let encoding = part.encoding();
            // Octets that are no text would lose their CRs with the line ends.
            let octets = !encoding.is_encoded() && part.content_type().kind() != "text";
            let changed = bare && octets && memchr(b'\r', part.raw_body()).is_some();
            part.is_leaf() && encoding != Encoding::Base64 && (changed || collides(part.raw_body(), self.outer))
        };
        // What lies in an embedded message is not ours to encode anew.
        let embedded = |part: &Part<'_>| {
            std::iter::successors(part.parent(), |part| part.parent()).any(|outer| outer.embedded().is_some())
        };
        let mut edit = Edit::new(&built);
        let mut edited = false;
        for part in built.all_parts().filter(|part| breaks(part) && !embedded(part)) {
            let octets = transfer::encode_base64(&part.decode());
            edit.replace_body(part, trimmed(octets, ends_message(part) && self.ends_message), Recode::Encoded)?;
            let header = edit.header(part)?;
            header.remove_all("content-transfer-encoding");
            header.append("Content-Transfer-Encoding", b"base64")?;
            edited = true;
        }
        let octets = if edited { edit.finish()?.into_bytes() } else { built.raw().clone() };
        Ok(Message::parse(restyled(octets, self.line_end)))
    }

    /// A content in an encoding that it can stand there in, and in which.
    pub fn encode(&self, content: Bytes, encoding: &Encoding, recode: Recode) -> Result<(Bytes, Encoding), EditError> {
        if recode == Recode::Encoded {
            let binary = *encoding == Encoding::Binary;
            let octets = if binary { content } else { restyled(content, self.line_end) };
            return if collides(&octets, self.outer) {
                Err(EditError::Boundary)
            } else {
                Ok((octets, encoding.clone()))
            };
        }
        let content = if self.text { restyled(content, "\r\n") } else { content };
        let kept = if recode == Recode::Keep { self.kept(&content, encoding) } else { None };
        if let Some(octets) = kept.filter(|octets| !collides(octets, self.outer)) {
            return Ok((octets, encoding.clone()));
        }
        let media_type = if self.text { "text/plain" } else { "application/octet-stream" };
        let part = NewPart::octets(media_type, content);
        let built = self.fitted(built(&part, self.ends_message, "body")?)?;
        Ok((built.raw().slice_ref(built.root().raw_body()), built.root().encoding()))
    }

    /// A content in this encoding, if it can be.
    fn kept(&self, content: &Bytes, encoding: &Encoding) -> Option<Bytes> {
        let octets = match encoding {
            Encoding::Base64 => trimmed(transfer::encode_base64(content), self.ends_message),
            Encoding::QuotedPrintable if self.text => transfer::encode_quoted_printable(content).into(),
            Encoding::QuotedPrintable => transfer::encode_quoted_printable_binary(content).into(),
            Encoding::Binary if !self.text => return Some(content.clone()),
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary => {
                let octets = restyled(content.clone(), self.line_end);
                let stays = self.text || octets == *content;
                let sound = *encoding == Encoding::Binary || is_lines(&crlf(&octets), *encoding == Encoding::SevenBit);
                return (stays && sound).then_some(octets);
            }
            _ => return None,
        };
        Some(restyled(octets, self.line_end))
    }
}

/// The line end behind the last line of base64 is left to the boundary that follows.
fn trimmed(mut base64: String, ends_message: bool) -> Bytes {
    if !ends_message && base64.ends_with("\r\n") {
        base64.truncate(base64.len() - 2);
    }
    base64.into()
}

/// RFC 2045 §2.7, §2.8: lines that end with CRLF, without NUL, of a length that may travel.
fn is_lines(octets: &[u8], seven_bit: bool) -> bool {
    let sound = |text: &[u8]| {
        text.len() <= LONGEST && !text.iter().any(|octet| matches!(octet, 0 | b'\r') || seven_bit && *octet >= 0x80)
    };
    let mut lines = octets.split(|octet| *octet == b'\n');
    lines.next_back().is_none_or(sound) && lines.all(|line| line.strip_suffix(b"\r").is_some_and(sound))
}

/// A part in the form that the builder gives it, as a message of Content fields and body.
fn built(part: &NewPart<'_>, ends_message: bool, seed: &str) -> Result<Message, EditError> {
    // The builder draws its boundaries from the identifier.
    let builder =
        Builder::new().date(Timestamp::from_unix(0)).from("edit@invalid").message_id(format!("{seed}@invalid"));
    if ends_message {
        let message = builder.body(part.clone()).finish()?;
        let mut header = HeaderEdit::new(&message);
        header.retain(|field| is_content(field.name()));
        return Ok(header.finish());
    }
    let message = builder.body(NewPart::multipart("mixed", vec![part.clone()])).finish()?;
    let part = message.root().children().next().map_or_else(Bytes::new, |part| message.raw().slice_ref(part.raw()));
    Ok(Message::parse(part))
}
