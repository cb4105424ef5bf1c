//! A part of a message: its header, its body, and the parts in it.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::Message;
use super::fields::{self, ContentType, Disposition, Encoding};
use super::header::Header;
use super::reader::BodyReader;
use super::scan::{Asked, Kind, NONE, PartSpan};
use crate::base::crypto;
use crate::text::enclosed::{self, Enclosed};
use crate::text::flowed::{self, DelSp, Paragraph};
use crate::text::params::{self, Params};
use crate::text::{charset, transfer};

/// A view of one part, the outermost included.
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse(
///     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nText.\r\n--b\r\n\
///      Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nAQID\r\n--b--\r\n",
/// );
/// let parts: Vec<_> = message.root().children().collect();
/// assert_eq!(parts[0].text().as_deref(), Some("Text."));
/// assert_eq!(parts[1].filename().as_deref(), Some("a.bin"));
/// assert_eq!(&parts[1].decode()[..], [1, 2, 3]);
/// assert_eq!(parts[1].path(), [2]);
/// ```
#[derive(Clone, Copy)]
pub struct Part<'a> {
    message: &'a Message,
    index: usize,
}

impl<'a> Part<'a> {
    pub(super) fn new(message: &'a Message, index: usize) -> Self {
        Self { message, index }
    }

    pub(super) fn span(self) -> &'a PartSpan {
        &self.message.tree().parts[self.index] // parts are made with an index of the tree only
    }

    fn octets(self, from: u32, to: u32) -> &'a [u8] {
        let raw: &'a [u8] = self.message.raw();
        let to = if to == NONE { raw.len() } else { to as usize };
        raw.get(from as usize..to).unwrap_or_default()
    }

    /// Its header; of an embedded message, that of the message.
    pub fn header(self) -> Header<'a> {
        Header::new(self.message, self.index)
    }

    /// All its octets: header, blank line, body.
    pub fn raw(self) -> &'a [u8] {
        self.octets(self.span().start, self.span().end)
    }

    /// The octets of its header, with the blank line that ends it where there is one.
    pub fn raw_header(self) -> &'a [u8] {
        self.octets(self.span().start, self.span().body)
    }

    /// The octets of its body, still encoded. The line end before a boundary belongs to the boundary (RFC 2046 §5.1.1).
    pub fn raw_body(self) -> &'a [u8] {
        self.octets(self.span().body, self.span().end)
    }

    /// Where its body begins in [`Message::raw`], in octets.
    pub fn body_offset(self) -> usize {
        self.span().body as usize
    }

    /// Where it begins in [`Message::raw`], in octets.
    pub fn offset(self) -> usize {
        self.span().start as usize
    }

    /// How many line ends its body has: what IMAP calls its size in lines (RFC 9051 §7.5.2).
    pub fn lines(self) -> usize {
        memchr::memchr_iter(b'\n', self.raw_body()).count()
    }

    /// Whether it consists of parts.
    pub fn is_multipart(self) -> bool {
        self.span().kind == Kind::Multipart
    }

    /// Whether nothing lies in it, as far as it was looked into.
    pub(super) fn is_leaf(self) -> bool {
        !matches!(self.span().kind, Kind::Multipart | Kind::Message)
    }

    /// The parts in it: of a multipart its parts, of an embedded message the one message.
    pub fn children(self) -> impl Iterator<Item = Part<'a>> {
        let parts = &self.message.tree().parts;
        let has_parts = matches!(self.span().kind, Kind::Multipart | Kind::Message);
        // A part stands before the parts in it.
        let first = Some(self.index + 1).filter(|_| has_parts);
        let next =
            move |index: &usize| Some(parts.get(*index)?.next).filter(|next| *next != NONE).map(|next| next as usize);
        std::iter::successors(first, next).map(move |index| Part::new(self.message, index))
    }

    /// The part that this one lies in; `None` for the outermost.
    pub fn parent(self) -> Option<Part<'a>> {
        let parent = self.span().parent;
        (parent != NONE).then(|| Part::new(self.message, parent as usize))
    }

    /// The message in a `message/rfc822` or `message/global` part, as a part whose header is the message's. `None` for
    /// other parts, and where the message is encoded (see [`message`](Self::message)) or lies beyond a limit.
    pub fn embedded(self) -> Option<Part<'a>> {
        if self.span().kind == Kind::Message { self.children().next() } else { None }
    }

    /// The message in a `message/rfc822`, `message/global` or `message/news` part as a message of its own, decoded where it is encoded and
    /// sharing the octets where it is not. `None` for other parts. It is read anew, with the default
    /// [`Limits`](super::Limits): a program that goes down by this way counts its own steps.
    pub fn message(self) -> Option<Message> {
        let content_type = self.content_type();
        if !["rfc822", "global", "news"].iter().any(|subtype| content_type.is("message", subtype)) {
            return None;
        }
        Some(match self.decode() {
            Cow::Borrowed(octets) => Message::parse(self.message.raw().slice_ref(octets)),
            Cow::Owned(octets) => Message::parse(octets),
        })
    }

    /// Its number as IMAP counts (RFC 9051 §6.4.5.1), empty for the message itself and an embedded message that is a
    /// multipart's only content; see [`Message::part`].
    pub fn path(self) -> Vec<u32> {
        let mut path = Vec::new();
        let mut part = self;
        while let Some(parent) = part.parent() {
            match parent.span().kind {
                // An embedded message that is no multipart is part 1 of the part that holds it.
                Kind::Message if part.is_multipart() => {}
                _ => path.push(part.span().number),
            }
            part = parent;
        }
        if !part.is_multipart() {
            path.push(1);
        }
        path.reverse();
        path
    }

    /// Part `number` of the message that this is the outermost part of.
    pub(super) fn numbered(self, number: u32) -> Option<Part<'a>> {
        if self.is_multipart() { self.child(number) } else { Some(self).filter(|_| number == 1) }
    }

    /// The next part of the same multipart.
    pub(super) fn next_sibling(self) -> Option<Part<'a>> {
        let next = self.span().next;
        (next != NONE).then(|| Part::new(self.message, next as usize))
    }

    /// The message that it is a part of.
    pub(super) fn whole(self) -> &'a Message {
        self.message
    }

    /// Its number in its multipart, from 1.
    pub(super) fn number(self) -> u32 {
        self.span().number
    }

    pub(super) fn index(self) -> usize {
        self.index
    }

    pub(super) fn child(self, number: u32) -> Option<Part<'a>> {
        self.children().nth(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// Its media type, as far as it is true: what its Content-Type says, or the default (RFC 2045 §5.2, RFC 2046 §5.1.5)
    /// where that is missing or no media type. A multipart without parts is `text/plain`, and what lies beyond a limit
    /// is `application/octet-stream`. The declared one is `header().get("content-type")`.
    pub fn content_type(self) -> ContentType {
        match self.span().kind {
            Kind::Opaque => return ContentType::plain("application", "octet-stream"),
            Kind::Hollow => return ContentType::text(),
            _ => {}
        }
        let field = self.header().asked(Asked::ContentType);
        match field {
            Some(field) => field.content_type().unwrap_or_else(ContentType::text),
            None if self.in_digest() => ContentType::plain("message", "rfc822"),
            None => ContentType::text(),
        }
    }

    /// What its Content-Transfer-Encoding says.
    pub fn encoding(self) -> Encoding {
        let field = self.header().asked(Asked::Encoding);
        field.map_or(Encoding::SevenBit, |field| Encoding::parse(field.value()))
    }

    /// What its Content-Disposition says.
    pub fn disposition(self) -> Option<Disposition> {
        self.header().get("content-disposition")?.disposition()
    }

    /// Its Content-ID, without brackets.
    pub fn id(self) -> Option<Cow<'a, str>> {
        self.header().get("content-id")?.ids().next()
    }

    /// Its Content-Description, decoded.
    pub fn description(self) -> Option<Cow<'a, str>> {
        self.header().get("content-description").map(|field| field.text())
    }

    /// The octets of its content: the body with its transfer encoding undone. Of a multipart, the body as it stands, for
    /// no multipart may be encoded (RFC 2045 §6.4).
    pub fn decode(self) -> Cow<'a, [u8]> {
        let body = self.raw_body();
        if !self.is_encoded() {
            return Cow::Borrowed(body);
        }
        match self.encoding() {
            Encoding::Base64 => Cow::Owned(transfer::decode_base64(body)),
            Encoding::QuotedPrintable => Cow::Owned(transfer::decode_quoted_printable(body)),
            Encoding::Uuencode => match enclosed::find(body).first() {
                Some(file) => Cow::Owned(file.decode(body)),
                None => Cow::Borrowed(body),
            },
            _ => Cow::Borrowed(body),
        }
    }

    /// Whether the content has the digest that its Content-MD5 says (RFC 1864 §2): if not, it was damaged on the way. `None`
    /// where no digest is said, for multiparts and embedded messages, which have none, and beyond a limit. Nobody who
    /// changes the content on purpose is found out by it.
    ///
    /// ```
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("Content-MD5: kAFQmDzST7DWlj99KOF/cg==\r\n\r\nabc");
    /// assert_eq!(message.root().md5_matches(), Some(true));
    /// ```
    pub fn md5_matches(self) -> Option<bool> {
        let said = self.header().get("content-md5")?.content_md5().filter(|_| self.is_encoded())?;
        let content = self.decode();
        if self.content_type().kind() != "text" {
            return Some(crypto::md5(&[&content]) == said);
        }
        // "For textual data ... each newline is represented by a CR-LF pair".
        let mut canonical = Vec::with_capacity(content.len() + content.len() / 32);
        for line in content.split_inclusive(|octet| *octet == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    canonical.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                    canonical.extend_from_slice(b"\r\n");
                }
                None => canonical.extend_from_slice(line),
            }
        }
        Some(crypto::md5(&[&canonical]) == said)
    }

    /// Whether its transfer encoding counts.
    fn is_encoded(self) -> bool {
        !matches!(self.span().kind, Kind::Multipart | Kind::Message | Kind::Opaque)
    }

    /// What [`decode`](Self::decode) gives, as [`Bytes`] that outlive the part. Where the body is not encoded they are a
    /// slice of the message, without a copy.
    pub fn bytes(self) -> Bytes {
        match self.decode() {
            Cow::Borrowed(octets) => self.message.raw().slice_ref(octets),
            Cow::Owned(octets) => Bytes::from(octets),
        }
    }

    /// What [`decode`](Self::decode) gives, to be read little by little and in bounded memory; but a body that is uuencoded
    /// is decoded as a whole.
    pub fn reader(self) -> BodyReader {
        let encoding = if self.is_encoded() { self.encoding() } else { Encoding::Binary };
        if encoding == Encoding::Uuencode {
            return BodyReader::new(self.bytes(), &Encoding::Binary);
        }
        BodyReader::new(self.message.raw().slice_ref(self.raw_body()), &encoding)
    }

    /// The text of a `text/*` part, its transfer encoding undone and its charset decoded as [`charset::decode`] says.
    /// `None` for all other parts. Line ends are as they came.
    pub fn text(self) -> Option<Cow<'a, str>> {
        // As content_type() would say, with no memory for a field of the usual form.
        let declared = match self.span().kind {
            Kind::Opaque => return None,
            Kind::Hollow => None,
            _ => match self.header().asked(Asked::ContentType) {
                None if self.in_digest() => return None,
                field => field.and_then(|field| Some((fields::media_type(field.value())?.0, field.value()))),
            },
        };
        let unusual;
        let label = match declared {
            None => "",
            Some((kind, _)) if !kind.eq_ignore_ascii_case(b"text") => return None,
            Some((_, value)) => match params::simple(value, "charset") {
                Some(label) => label.unwrap_or_default(),
                None => {
                    unusual = Params::parse(value).value("charset").unwrap_or_default();
                    &unusual
                }
            },
        };
        Some(match self.decode() {
            Cow::Borrowed(octets) => charset::decode(label, octets),
            Cow::Owned(octets) => Cow::Owned(charset::decode_owned(label, octets)),
        })
    }

    fn in_digest(self) -> bool {
        self.parent().is_some_and(|parent| parent.span().digest)
    }

    /// The paragraphs of a `text/plain` part that says `format=flowed` (RFC 3676 §4.1); `None` for all other parts.
    ///
    /// ```
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("Content-Type: text/plain; format=flowed\n\n> See you \n> at noon.\n");
    /// let paragraphs = message.root().flowed().unwrap();
    /// assert_eq!((paragraphs[0].depth, paragraphs[0].text.as_str()), (1, "See you at noon."));
    /// ```
    pub fn flowed(self) -> Option<Vec<Paragraph>> {
        let content_type = self.content_type();
        let says =
            |name: &str, word: &str| content_type.param(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
        if !content_type.is("text", "plain") || !says("format", "flowed") {
            return None;
        }
        let del_sp = if says("delsp", "yes") { DelSp::Yes } else { DelSp::No };
        Some(flowed::decode(&self.text()?, del_sp))
    }

    /// The files inside of a `text/*` part, uuencoded or in yEnc, and those of a `winmail.dat`, of which
    /// [`tnef`](Self::tnef) tells more. Their places and [`Enclosed::decode`] are of what [`decode`](Self::decode) gives.
    /// None for all other parts.
    pub fn enclosed(self) -> Vec<Enclosed> {
        if self.content_type().kind() == "text" {
            return enclosed::find(&self.decode());
        }
        self.tnef().map_or_else(Vec::new, |tnef| tnef.enclosed())
    }

    /// The name that the sender gave to the content: `filename` of Content-Disposition, or else `name` of Content-Type,
    /// decoded (RFC 2231, RFC 2047). It is what the sender wrote: it may hold slashes, or be `..`.
    pub fn filename(self) -> Option<String> {
        let header = self.header();
        // Whether or not a type stands before it: other readers look for no such thing.
        let named = |field: &str, param: &str| {
            let params = Params::parse(header.get(field)?.value());
            params.value(param).filter(|name| !name.is_empty())
        };
        named("content-disposition", "filename").or_else(|| named("content-type", "name"))
    }
}

/// Its number, type and sizes.
impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("path", &self.path())
            .field("content_type", &self.content_type().to_string())
            .field("header", &self.raw_header().len())
            .field("body", &self.raw_body().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::Message;

    #[test]
    fn digests_are_of_the_canonical_content() {
        // Of "abc", of "a\r\nb\r\n", and of "a\nb".
        const ABC: &str = "kAFQmDzST7DWlj99KOF/cg==";
        const LINES: &str = "WbDXdy8FYe+5VRjzy4q8YA==";
        const BARE: &str = "jN60RBfzwmgmWV1YIM9XAA==";
        for (digest, header, body, expected) in [
            (ABC, "A: b", "abc", Some(true)),
            (ABC, "A: b", "abd", Some(false)),
            (ABC, "Content-Transfer-Encoding: base64", "YWJj", Some(true)),
            (LINES, "A: b", "a\r\nb\r\n", Some(true)),
            (LINES, "A: b", "a\nb\n", Some(true)),
            (LINES, "Content-Transfer-Encoding: quoted-printable", "a \n=62\n", Some(true)),
            (LINES, "Content-Type: a/b", "a\nb\n", Some(false)),
            (BARE, "Content-Type: a/b", "a\nb", Some(true)),
            (BARE, "A: b", "a\nb", Some(false)),
            ("kAFQ", "A: b", "abc", None),
            (ABC, "Content-Type: message/rfc822", "abc", None),
            (ABC, "Content-Type: multipart/mixed; boundary=b", "--b\n\nabc\n--b--\n", None),
        ] {
            let message = Message::parse(format!("Content-MD5: {digest}\n{header}\n\n{body}"));
            assert_eq!(message.root().md5_matches(), expected, "{digest} {header} {body:?}");
        }
        assert_eq!(Message::parse("A: b\n\nabc").root().md5_matches(), None);
    }
}
