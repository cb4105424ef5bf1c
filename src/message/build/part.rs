//! Parts to be written: what is in them, what their header says, and the tree of them.

use bytes::Bytes;
use memchr::memmem;

use super::body::{self, Care};
use super::{BuildError, check};
use crate::message::fold::Fold;
use crate::message::{Encoding, Message};
use crate::text::params::{self, is_token};

/// How deep multiparts may lie in each other: what [`Limits`](crate::message::Limits) reads by default.
const DEPTH: usize = 100;
/// What begins each boundary. `=_` stands in no quoted-printable and no base64 (RFC 2045 §6.7), so only content that is
/// not encoded has to be searched.
const MARK: &[u8] = b"=_";

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
pub struct NewPart {
    media_type: String,
    params: Vec<(String, String)>,
    disposition: Option<&'static str>,
    filename: Option<String>,
    id: Option<String>,
    fields: Vec<(String, String)>,
    content: Content,
    depth: usize,
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Octets(Bytes),
    Message(Message),
    Parts(Vec<NewPart>),
}

impl NewPart {
    /// Text in UTF-8, `plain`, `html` or another subtype of `text`. Its line ends, LF or CRLF, are written as CRLF.
    pub fn text(subtype: &str, text: impl Into<String>) -> Self {
        Self::new(format!("text/{subtype}"), Content::Text(text.into())).param("charset", "utf-8")
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
    pub fn octets(media_type: &str, octets: impl Into<Bytes>) -> Self {
        if media_type.eq_ignore_ascii_case("message/rfc822") {
            return Self::message(Message::parse(octets));
        }
        Self::new(media_type.to_owned(), Content::Octets(octets.into()))
    }

    /// A message in the message.
    ///
    /// It is written as `message/rfc822`, LF as CRLF and else octet by octet, where it can travel so. A `message/rfc822`
    /// may not be encoded (RFC 2046 §5.2.1); one that has to be, for octets beyond ASCII without
    /// [`eight_bit`](super::Builder::eight_bit), or for its lines, is a `message/global`, which may (RFC 6532 §3.7).
    pub fn message(message: Message) -> Self {
        Self::new(String::from("message/rfc822"), Content::Message(message))
    }

    /// A multipart of `mixed`, `alternative`, `related` or another subtype.
    pub fn multipart(subtype: &str, parts: Vec<NewPart>) -> Self {
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0);
        Self { depth: depth + 1, ..Self::new(format!("multipart/{subtype}"), Content::Parts(parts)) }
    }

    /// An iCalendar object (RFC 5545) with its iTIP method: `REQUEST`, `REPLY`, `CANCEL` (RFC 6047 §2.4).
    pub fn calendar(method: &str, object: impl Into<String>) -> Self {
        Self::text("calendar", object).param("method", method)
    }

    fn new(media_type: String, content: Content) -> Self {
        Self {
            media_type,
            params: Vec::new(),
            disposition: None,
            filename: None,
            id: None,
            fields: Vec::new(),
            content,
            depth: 0,
        }
    }

    /// Gives the media type a parameter; `boundary` is not for the caller to choose.
    pub fn param(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.params.push((name.to_owned(), value.into()));
        self
    }

    /// To be kept rather than shown, under this name: `Content-Disposition: attachment`.
    ///
    /// A name that needs the form of RFC 2231 stands there a second time in ASCII, `_` for each character that is not, for
    /// readers that do not know it; but not where it has more than 60 characters.
    pub fn attachment(mut self, filename: impl Into<String>) -> Self {
        self.disposition = Some("attachment");
        self.filename = Some(filename.into());
        self
    }

    /// To be shown where it stands: `Content-Disposition: inline`.
    pub fn inline(mut self) -> Self {
        self.disposition = Some("inline");
        self
    }

    /// Names the part for `cid:` links: an identifier like `logo@example.org`, without brackets (RFC 2392).
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds a field of text whose name begins with `Content-`, such as Content-Description.
    pub fn field(mut self, name: &str, text: impl Into<String>) -> Self {
        self.fields.push((name.to_owned(), text.into()));
        self
    }

    /// Where the content stands in memory; a multipart has none of its own.
    fn octets_of(&self) -> &[u8] {
        match &self.content {
            Content::Text(text) => text.as_bytes(),
            Content::Octets(octets) => octets,
            Content::Message(message) => message.raw(),
            Content::Parts(_) => b"",
        }
    }

    fn care(&self) -> Care {
        let text = starts(&self.media_type, "text/");
        let lines = starts(&self.media_type, "message/") || self.media_type.eq_ignore_ascii_case("text/rfc822-headers");
        match &self.content {
            Content::Text(_) | Content::Message(_) => Care::Lines,
            _ if lines => Care::Lines,
            _ if text => Care::Text,
            _ => Care::Octets,
        }
    }
}

/// How a tree of parts is going to be written.
pub(super) struct Plan {
    /// The encoding of each part, each before the parts in it.
    encodings: Vec<Encoding>,
    /// What no content has after `--=_`.
    tag: u64,
    utf8: bool,
}

impl Plan {
    /// Chooses the encodings, and a tag for the boundaries that stands in no content.
    pub(super) fn of(root: &NewPart, eight_bit: bool, utf8: bool, seed: u64) -> Result<Self, BuildError> {
        if root.depth > DEPTH {
            return Err(BuildError::TooDeep);
        }
        let mut plan = Self { encodings: Vec::new(), tag: seed, utf8 };
        let mut taken = Vec::new();
        plan.choose(root, eight_bit, true, &mut taken)?;
        // Each tag that is taken cost 20 octets of content, so this ends soon.
        taken.sort_unstable();
        while taken.binary_search(&plan.tag).is_ok() {
            plan.tag = plan.tag.wrapping_add(1);
        }
        Ok(plan)
    }

    /// As deep as `DEPTH`.
    fn choose(
        &mut self,
        part: &NewPart,
        eight_bit: bool,
        last: bool,
        taken: &mut Vec<u64>,
    ) -> Result<Encoding, BuildError> {
        let index = self.encodings.len();
        self.encodings.push(Encoding::SevenBit);
        let mut encoding = Encoding::SevenBit;
        if let Content::Parts(parts) = &part.content {
            // RFC 2045 §6.4: a multipart says 8bit where one of its parts does.
            for inner in parts {
                if self.choose(inner, eight_bit, false, taken)? == Encoding::EightBit {
                    encoding = Encoding::EightBit;
                }
            }
        } else {
            let octets = part.octets_of();
            encoding = body::choose(octets, part.care(), eight_bit, last);
            if encoding.is_encoded() && matches!(part.content, Content::Message(_)) {
                encoding = Encoding::Base64;
            } else if encoding.is_encoded()
                && starts(&part.media_type, "message/")
                && !starts(&part.media_type, "message/global")
            {
                return Err(BuildError::Unencodable);
            }
            if !encoding.is_encoded() {
                taken.extend(memmem::find_iter(octets, b"--=_").filter_map(|at| tag(octets.get(at + 4..)?)));
            }
        }
        if let Some(place) = self.encodings.get_mut(index) {
            place.clone_from(&encoding);
        }
        Ok(encoding)
    }

    /// About how many octets the tree takes.
    pub(super) fn size(&self, part: &NewPart) -> usize {
        let inner = match &part.content {
            Content::Parts(parts) => parts.iter().map(|part| self.size(part)).sum(),
            _ => part.octets_of().len() / 3 * 4 + part.octets_of().len() / 38,
        };
        inner + 300
    }

    /// Writes the fields of the root, the blank line and everything below.
    pub(super) fn write(&self, root: &NewPart, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.part(root, &mut 0, true, out)
    }

    fn part(&self, part: &NewPart, index: &mut usize, last: bool, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let number = *index;
        let encoding = self.encodings.get(number).cloned().unwrap_or_default(); // there is one for each part
        *index += 1;
        let multipart = matches!(part.content, Content::Parts(_));
        self.content_type(part, number, &encoding, out)?;
        // RFC 2045 §6.1: 7bit is assumed where nothing is said.
        if encoding != Encoding::SevenBit {
            out.extend_from_slice(b"Content-Transfer-Encoding: ");
            out.extend_from_slice(encoding.to_string().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        self.disposition(part, out)?;
        if let Some(id) = &part.id {
            check::id("Content-ID", id, self.utf8)?;
            let mut fold = Fold::new(out, "Content-ID", self.utf8);
            fold.pieces(b" ", &[b"<", id.as_bytes(), b">"]);
            check::fits(fold, "Content-ID")?;
        }
        for (name, text) in &part.fields {
            check::part_field(name)?;
            check::value(name, text)?;
            let mut fold = Fold::new(out, name, self.utf8);
            fold.text(text);
            check::fits(fold, name)?;
        }
        out.extend_from_slice(b"\r\n");
        if !multipart {
            body::write(part.octets_of(), &encoding, self.care(part, &encoding), last, out);
            return Ok(());
        }
        let Content::Parts(parts) = &part.content else { return Ok(()) };
        // RFC 2046 §5.1.1: the line end before a boundary belongs to it, and a multipart has at least one part.
        for (n, inner) in parts.iter().enumerate() {
            out.extend_from_slice(if n > 0 { b"\r\n--" } else { b"--" });
            self.boundary(number, out);
            out.extend_from_slice(b"\r\n");
            self.part(inner, index, false, out)?;
        }
        if parts.is_empty() {
            out.extend_from_slice(b"--");
            self.boundary(number, out);
            out.extend_from_slice(b"\r\n\r\n");
        }
        out.extend_from_slice(b"\r\n--");
        self.boundary(number, out);
        out.extend_from_slice(if last { b"--\r\n" } else { b"--" });
        Ok(())
    }

    /// A message that is encoded is kept to the octet.
    fn care(&self, part: &NewPart, encoding: &Encoding) -> Care {
        if encoding.is_encoded() && matches!(part.content, Content::Message(_)) { Care::Octets } else { part.care() }
    }

    fn content_type(
        &self,
        part: &NewPart,
        number: usize,
        encoding: &Encoding,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let multipart = matches!(part.content, Content::Parts(_));
        let global = encoding.is_encoded() && matches!(part.content, Content::Message(_));
        let media_type = if global { "message/global" } else { part.media_type.as_str() };
        let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
        let sound = |token: &str| !token.is_empty() && token.len() <= 127 && token.bytes().all(is_token);
        // Only a multipart has parts, whoever names it.
        if !sound(kind) || !sound(subtype) || kind.eq_ignore_ascii_case("multipart") != multipart {
            return Err(BuildError::MediaType);
        }
        let mut fold = Fold::new(out, "Content-Type", self.utf8);
        let declared = |name: &str| part.params.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let octets = part.octets_of();
        let utf8 = part.care() == Care::Text
            && !declared("charset")
            && !octets.is_ascii()
            && std::str::from_utf8(octets).is_ok();
        let more = |more: bool| if more { &b";"[..] } else { b"" };
        fold.pieces(b" ", &[media_type.as_bytes(), more(multipart || utf8 || !part.params.is_empty())]);
        if utf8 {
            fold.pieces(b" ", &[b"charset=utf-8", more(!part.params.is_empty())]);
        }
        for (n, (name, value)) in part.params.iter().enumerate() {
            let last = n + 1 == part.params.len() && !multipart;
            param(&mut fold, "Content-Type", name, value, last)?;
        }
        if multipart {
            let mut boundary = Vec::with_capacity(32);
            self.boundary(number, &mut boundary);
            fold.pieces(b" ", &[b"boundary=\"", &boundary, b"\""]);
        }
        check::fits(fold, "Content-Type")
    }

    /// RFC 2183, with a plain name before the one of RFC 2231 for readers that do not know the latter.
    fn disposition(&self, part: &NewPart, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let Some(disposition) = part.disposition else { return Ok(()) };
        let mut fold = Fold::new(out, "Content-Disposition", self.utf8);
        let Some(filename) = &part.filename else {
            fold.word(disposition.as_bytes());
            return check::fits(fold, "Content-Disposition");
        };
        check::value("Content-Disposition", filename)?;
        fold.pieces(b" ", &[disposition.as_bytes(), b";"]);
        let written = params::write("filename", filename);
        if written.first().is_some_and(|piece| piece.starts_with("filename*"))
            && let Some(plain) = fallback(filename)
        {
            fold.pieces(b" ", &[b"filename=\"", plain.as_bytes(), b"\";"]);
        }
        for (n, piece) in written.iter().enumerate() {
            fold.pieces(b" ", &[piece.as_bytes(), if n + 1 < written.len() { b";" } else { b"" }]);
        }
        check::fits(fold, "Content-Disposition")
    }

    /// Of two boundaries none begins with the other (RFC 2046 §5.1.2): the number has an end.
    fn boundary(&self, number: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(MARK);
        out.extend_from_slice(format!("{:016x}_{number}_", self.tag).as_bytes());
    }
}

/// Whether a media type begins so, in any case of letters.
fn starts(media_type: &str, with: &str) -> bool {
    media_type.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// The sixteen hexadecimal digits of a tag.
fn tag(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text.get(..16)?).ok()?, 16).ok()
}

fn param(fold: &mut Fold<'_>, field: &str, name: &str, value: &str, last: bool) -> Result<(), BuildError> {
    check::value(field, value)?;
    let token = name.bytes().all(|octet| is_token(octet) && !b"*'%".contains(&octet));
    if !token || name.is_empty() || name.len() > 40 || name.eq_ignore_ascii_case("boundary") {
        return Err(BuildError::Param { field: field.to_owned() });
    }
    let written = params::write(name, value);
    for (n, piece) in written.iter().enumerate() {
        fold.pieces(b" ", &[piece.as_bytes(), if last && n + 1 == written.len() { b"" } else { b";" }]);
    }
    Ok(())
}

/// The name in ASCII, `_` for each character that is not; `None` where it would not fit on a line, for a name cut short
/// would be another name.
fn fallback(filename: &str) -> Option<String> {
    let plain = |character| if matches!(character, '"' | '\\' | '=' | '?') { '_' } else { character };
    let ascii = |character| if matches!(character, ' '..='~') { plain(character) } else { '_' };
    (filename.chars().count() <= 60).then(|| filename.chars().map(ascii).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_have_a_plain_form() {
        for (name, expected) in [
            ("résumé.pdf", Some("r_sum_.pdf")),
            ("日本語", Some("___")),
            ("a\"=?b\t.txt", Some("a___b_.txt")),
            (&"é".repeat(61), None),
        ] {
            assert_eq!(fallback(name).as_deref(), expected);
        }
    }

    #[test]
    fn the_tag_of_boundaries_is_in_no_content() {
        let content = format!("--=_{:016x}_0_--\r\n--=_{:016x}", 7, 8);
        let root = NewPart::multipart("mixed", vec![NewPart::text("plain", content)]);
        assert_eq!(Plan::of(&root, false, false, 7).unwrap().tag, 9);
        assert_eq!(Plan::of(&root, false, false, 6).unwrap().tag, 6);
    }
}
