//! Parts to be written: what is in them and what their header says.

use std::borrow::Cow;

use bytes::Bytes;

use super::body::Care;
use super::plan::Plan;
use super::{BuildError, Role};
use crate::message::{Encoding, Message};
use crate::text::flowed::{self, Paragraph};

/// A part to be written, for messages whose tree is not the usual one.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::message::{Message, NewPart};
///
/// let signed = NewPart::multipart("signed", vec![
///     NewPart::text("plain", "I owe you lunch.\r\n"),
///     NewPart::octets("application/pgp-signature", "-----BEGIN PGP SIGNATURE-----\r\n"),
/// ])
/// .param("protocol", "application/pgp-signature");
/// let message = Message::build().from("ada@example.org").date(Timestamp::from_unix(0)).body(signed).finish()?;
/// assert_eq!(message.root().content_type().to_string(), "multipart/signed");
/// assert_eq!(message.parts().count(), 2);
/// # Ok::<(), facteur::message::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewPart<'a> {
    pub(super) media_type: Cow<'a, str>,
    pub(super) params: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(super) disposition: Option<&'static str>,
    pub(super) filename: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// What the caller wants; else it is chosen.
    pub(super) encoding: Option<Encoding>,
    pub(super) content: Content<'a>,
    /// What it is to the message, where the builder chooses the tree.
    pub(super) role: Role,
    pub(super) depth: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Octets(Bytes),
    Message(Message),
    Parts(Vec<NewPart<'a>>),
    /// With a header of its own.
    Ready(Bytes),
}

impl<'a> NewPart<'a> {
    /// Text in UTF-8, `plain`, `html` or another subtype of `text`. Its line ends, LF or CRLF, are written as CRLF.
    pub fn text(subtype: &str, text: impl Into<Cow<'a, str>>) -> Self {
        let media_type = match subtype {
            "plain" => Cow::Borrowed("text/plain"),
            "html" => Cow::Borrowed("text/html"),
            _ => Cow::Owned(format!("text/{subtype}")),
        };
        Self::new(media_type, Content::Text(text.into()))
    }

    /// Text whose paragraphs flow (RFC 3676): each line is a paragraph of any length, `>` at its start is the depth of its
    /// quoting. Readers that know `format=flowed` fit the lines to their window, the others show lines of up to 72
    /// characters.
    ///
    /// ```
    /// use facteur::base::Timestamp;
    /// use facteur::message::{Message, NewPart};
    ///
    /// let text = format!("> Shall we meet?\n{}\n", "Yes, at noon. ".repeat(10).trim_end());
    /// let message = Message::build().from("ada@a.test").date(Timestamp::from_unix(0)).body(NewPart::flowed(&text)).finish()?;
    /// let paragraphs = message.root().flowed().unwrap();
    /// assert_eq!((paragraphs[0].depth, paragraphs[0].text.as_str()), (1, "Shall we meet?"));
    /// assert_eq!((paragraphs.len(), paragraphs[1].text.len()), (2, 139));
    /// assert!(message.root().raw_body().split(|octet| *octet == b'\n').all(|line| line.len() <= 78));
    /// # Ok::<(), facteur::message::BuildError>(())
    /// ```
    pub fn flowed(text: &str) -> Self {
        let paragraphs: Vec<Paragraph> = text.lines().map(Paragraph::quoted).collect();
        Self::text("plain", flowed::encode(&paragraphs)).param("format", "flowed")
    }

    /// Octets of a media type, kept as they are.
    ///
    /// Types that are made of header lines, `text/rfc822-headers` and those of `message`, have lines: LF is written as CRLF.
    /// They stay legible, for the subtypes of `message` may not be encoded, but for the `global` ones (RFC 6532 §3.5).
    /// `message/rfc822` is as [`message`](Self::message).
    ///
    /// ```
    /// use facteur::base::Timestamp;
    /// use facteur::message::{Message, NewPart};
    ///
    /// let report = NewPart::multipart("report", vec![
    ///     NewPart::text("plain", "Your message has not arrived.\n"),
    ///     NewPart::octets("message/delivery-status", "Reporting-MTA: dns; mx.test\n\nFinal-Recipient: rfc822; a@b.test\n"),
    ///     NewPart::octets("text/rfc822-headers", "Subject: lunch\n"),
    /// ])
    /// .param("report-type", "delivery-status");
    /// let message = Message::build().from("mailer-daemon@mx.test").date(Timestamp::from_unix(0)).body(report).finish()?;
    /// assert_eq!(message.root().content_type().param("report-type").as_deref(), Some("delivery-status"));
    /// assert!(message.part(&[2]).unwrap().raw_body().starts_with(b"Reporting-MTA: dns; mx.test\r\n\r\nFinal"));
    /// # Ok::<(), facteur::message::BuildError>(())
    /// ```
    pub fn octets(media_type: impl Into<Cow<'a, str>>, octets: impl Into<Bytes>) -> Self {
        let media_type = media_type.into();
        if media_type.eq_ignore_ascii_case("message/rfc822") {
            return Self::message(Message::parse(octets));
        }
        Self::new(media_type, Content::Octets(octets.into()))
    }

    /// A message in the message.
    ///
    /// It is written octet by octet, LF as CRLF: as `message/rfc822`, or as `message/global` where it has header fields in
    /// UTF-8 (RFC 6532 §3.7). A `message/rfc822` may not be encoded (RFC 2046 §5.2.1), a `message/global` may (RFC 6532
    /// §3.5): one that cannot stand as it is, for octets beyond ASCII without [`eight_bit`](super::Builder::eight_bit), or
    /// for its lines, is a `message/global` in base64.
    pub fn message(message: Message) -> Self {
        let ascii = message.all_parts().all(|part| part.raw_header().is_ascii());
        let media_type = if ascii { "message/rfc822" } else { "message/global" };
        Self::new(Cow::Borrowed(media_type), Content::Message(message))
    }

    /// A multipart of `mixed`, `alternative`, `related` or another subtype; in a `digest` each part says what it is.
    pub fn multipart(subtype: &str, parts: Vec<Self>) -> Self {
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0);
        let media_type = match subtype {
            "mixed" => Cow::Borrowed("multipart/mixed"),
            "alternative" => Cow::Borrowed("multipart/alternative"),
            "related" => Cow::Borrowed("multipart/related"),
            _ => Cow::Owned(format!("multipart/{subtype}")),
        };
        Self { depth: depth + 1, ..Self::new(media_type, Content::Parts(parts)) }
    }

    /// An iCalendar object (RFC 5545) with its iTIP method: `REQUEST`, `REPLY`, `CANCEL` (RFC 6047 §2.4).
    pub fn calendar(method: impl Into<Cow<'a, str>>, object: impl Into<Cow<'a, str>>) -> Self {
        Self::text("calendar", object).param("method", method)
    }

    /// A part that stands ready, header and body: one that was signed, for a `multipart/signed`, or one that another
    /// program has made. Not an octet of it changes. The fields of its header begin with `Content-`; nothing else may be
    /// set here.
    ///
    /// ```
    /// use facteur::base::Timestamp;
    /// use facteur::message::{Message, NewPart};
    ///
    /// let signed = NewPart::text("plain", "I owe you lunch.\n").write()?;
    /// let signature = "-----BEGIN PGP SIGNATURE-----\r\n"; // over `signed`
    /// let body = NewPart::multipart("signed", vec![
    ///     NewPart::ready(signed.clone()),
    ///     NewPart::octets("application/pgp-signature", signature),
    /// ])
    /// .param("protocol", "application/pgp-signature")
    /// .param("micalg", "pgp-sha256");
    /// let message = Message::build().from("ada@example.org").date(Timestamp::from_unix(0)).body(body).finish()?;
    /// assert_eq!(message.part(&[1]).unwrap().raw(), signed);
    /// # Ok::<(), facteur::message::BuildError>(())
    /// ```
    pub fn ready(octets: impl Into<Bytes>) -> Self {
        Self::new(Cow::Borrowed(""), Content::Ready(octets.into()))
    }

    fn new(media_type: Cow<'a, str>, content: Content<'a>) -> Self {
        Self {
            media_type,
            params: Vec::new(),
            disposition: None,
            filename: None,
            id: None,
            fields: Vec::new(),
            encoding: None,
            content,
            role: Role::Body,
            depth: 0,
        }
    }

    /// The same with memory of its own.
    pub fn into_owned(self) -> NewPart<'static> {
        fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
            text.into_owned().into()
        }
        let pairs = |pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>| {
            pairs.into_iter().map(|(name, text)| (owned(name), owned(text))).collect()
        };
        NewPart {
            media_type: owned(self.media_type),
            params: pairs(self.params),
            disposition: self.disposition,
            filename: self.filename.map(owned),
            id: self.id.map(owned),
            fields: pairs(self.fields),
            encoding: self.encoding,
            content: match self.content {
                Content::Text(text) => Content::Text(owned(text)),
                Content::Octets(octets) => Content::Octets(octets),
                Content::Message(message) => Content::Message(message),
                Content::Parts(parts) => Content::Parts(parts.into_iter().map(Self::into_owned).collect()),
                Content::Ready(octets) => Content::Ready(octets),
            },
            role: self.role,
            depth: self.depth,
        }
    }

    /// Gives the media type a parameter; `boundary` is not for the caller to choose.
    pub fn param(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        let name = name.into();
        self.params.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.params.push((name, value.into()));
        self
    }

    /// To be kept rather than shown, under this name: `Content-Disposition: attachment`.
    ///
    /// A name that needs the form of RFC 2231 stands a second time in the `name` parameter of Content-Type, in encoded words
    /// between quotes. RFC 2047 §5 does not allow that, but it is what readers without RFC 2231 read, and what most senders
    /// write.
    pub fn attachment(mut self, filename: impl Into<Cow<'a, str>>) -> Self {
        self.disposition = Some("attachment");
        self.filename = Some(filename.into());
        self
    }

    /// To be shown where it stands: `Content-Disposition: inline`. After [`attachment`](Self::attachment) the name stays.
    pub fn inline(mut self) -> Self {
        self.disposition = Some("inline");
        self
    }

    /// Names the part for `cid:` links: an identifier like `logo@example.org`, without brackets (RFC 2392).
    pub fn id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds a field of text whose name begins with `Content-`, such as Content-Description, Content-Language or
    /// Content-Location.
    pub fn field(mut self, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        self.fields.push((name.into(), text.into()));
        self
    }

    /// Asks for a transfer encoding, where none is to be chosen by the content. `7bit` and `8bit` are refused where the
    /// content does not allow them, all others but quoted-printable and base64 always.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// The part by itself as it stands in a message, header and body, in ASCII: what a signature is made over (RFC 1847
    /// §2.1, RFC 3156 §3), and what [`ready`](Self::ready) takes.
    ///
    /// # Errors
    /// As [`Builder::finish`](super::Builder::finish).
    pub fn write(&self) -> Result<Bytes, BuildError> {
        let plan = Plan::of(self, false, false, 0, false)?;
        let mut out = Vec::with_capacity(plan.size(self));
        plan.write(self, &mut out)?;
        Ok(out.into())
    }

    /// Where the content stands in memory; a multipart has none of its own.
    pub(super) fn octets_of(&self) -> &[u8] {
        match &self.content {
            Content::Text(text) => text.as_bytes(),
            Content::Octets(octets) | Content::Ready(octets) => octets,
            Content::Message(message) => message.raw(),
            Content::Parts(_) => b"",
        }
    }

    pub(super) fn care(&self) -> Care {
        let lines =
            || starts(&self.media_type, "message/") || self.media_type.eq_ignore_ascii_case("text/rfc822-headers");
        match &self.content {
            Content::Text(_) | Content::Message(_) => Care::Lines,
            _ if lines() => Care::Lines,
            _ if starts(&self.media_type, "text/") => Care::Text,
            _ => Care::Octets,
        }
    }

    /// Whether its type allows base64 and quoted-printable (RFC 2045 §6.4, RFC 6532 §3.5). A message becomes one that does.
    pub(super) fn is_encodable(&self) -> bool {
        match &self.content {
            Content::Message(_) => true,
            Content::Ready(_) | Content::Parts(_) => false,
            _ => !starts(&self.media_type, "message/") || starts(&self.media_type, "message/global"),
        }
    }

    /// The `charset` that nobody has declared.
    pub(super) fn needs_charset(&self) -> bool {
        let octets = self.octets_of();
        let utf8 = match &self.content {
            Content::Text(_) => true,
            _ => self.care() == Care::Text && !octets.is_ascii() && std::str::from_utf8(octets).is_ok(),
        };
        utf8 && !self.declares("charset")
    }

    /// Whether nothing is said of it here.
    pub(super) fn is_bare(&self) -> bool {
        self.params.is_empty() && self.disposition.is_none() && self.id.is_none() && self.fields.is_empty()
    }

    /// Whether the header is ASCII where it may be UTF-8. Parameters are always.
    pub(super) fn says_ascii(&self) -> bool {
        self.id.as_ref().is_none_or(|id| id.is_ascii()) && self.fields.iter().all(|(_, text)| text.is_ascii())
    }

    pub(super) fn declares(&self, name: &str) -> bool {
        self.params.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// Whether a media type begins so, in any case of letters.
fn starts(media_type: &str, with: &str) -> bool {
    media_type.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}
