//! Writing a tree of parts: the encoding of each, the boundaries between them, their headers and bodies.

use memchr::memmem;
use smallvec::SmallVec;

use super::body::{self, Care};
use super::part::{Content, NewPart};
use super::{BuildError, check};
use crate::message::fold::{Fold, escapes, quoted};
use crate::message::{Encoding, Message, fields};
use crate::text::params::{self, is_token};

/// How deep multiparts may lie in each other: what [`Limits`](crate::message::Limits) reads by default.
const DEPTH: usize = 100;
/// What begins each boundary. `=_` stands in no quoted-printable and no base64 (RFC 2045 §6.7), so only content that is
/// not encoded has to be searched.
const MARK: &[u8] = b"=_";

/// How a tree of parts is going to be written.
pub(super) struct Plan {
    /// The encoding of each part, each before the parts in it.
    encodings: SmallVec<[Encoding; 2]>,
    /// What no content has after `--=_`.
    tag: u64,
    utf8: bool,
    /// Nothing follows the root.
    last: bool,
}

impl Plan {
    /// Chooses the encodings, and a tag for the boundaries that stands in no content.
    pub(super) fn of(
        root: &NewPart<'_>,
        eight_bit: bool,
        utf8: bool,
        seed: u64,
        last: bool,
    ) -> Result<Self, BuildError> {
        if root.depth > DEPTH {
            return Err(BuildError::TooDeep);
        }
        let mut plan = Self { encodings: SmallVec::new(), tag: seed, utf8, last };
        let mut taken = Vec::new();
        plan.choose(root, eight_bit, last, (root.depth > 0).then_some(&mut taken))?;
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
        part: &NewPart<'_>,
        eight_bit: bool,
        last: bool,
        mut taken: Option<&mut Vec<u64>>,
    ) -> Result<Encoding, BuildError> {
        let index = self.encodings.len();
        self.encodings.push(Encoding::SevenBit);
        let mut encoding = Encoding::SevenBit;
        if let Content::Parts(parts) = &part.content {
            // RFC 2045 §6.4: a multipart says 8bit where one of its parts does.
            for inner in parts {
                let inner_encoding = self.choose(inner, eight_bit, false, taken.as_deref_mut())?;
                // So do the header fields of its parts.
                if inner_encoding == Encoding::EightBit || self.utf8 && !inner.says_ascii() {
                    encoding = Encoding::EightBit;
                }
            }
            if part.encoding.is_some() {
                return Err(BuildError::Unencodable);
            }
        } else {
            let (octets, care) = (part.octets_of(), part.care());
            let last = last && !matches!(part.content, Content::Ready(_)); // see part()
            let clashes = taken.as_deref_mut().is_some_and(|taken| part.clashes(taken));
            let allowed = |encoding: &Encoding| body::allows(encoding, octets, care, last);
            encoding = match &part.encoding {
                Some(encoding) if !allowed(encoding) || clashes && !encoding.is_encoded() => {
                    return Err(BuildError::Unencodable);
                }
                Some(encoding) => encoding.clone(),
                None if clashes => Encoding::Base64,
                None => body::choose(octets, care, eight_bit, last),
            };
            if encoding.is_encoded() && !part.is_encodable() {
                return Err(BuildError::Unencodable);
            }
            if encoding.is_encoded() && matches!(part.content, Content::Message(_)) {
                encoding = Encoding::Base64;
            }
            if let Some(taken) = taken.filter(|_| !encoding.is_encoded()) {
                taken.extend(memmem::find_iter(octets, b"--=_").filter_map(|at| tag(octets.get(at + 4..)?)));
            }
        }
        if let Some(place) = self.encodings.get_mut(index) {
            place.clone_from(&encoding);
        }
        Ok(encoding)
    }

    /// About how many octets the tree takes, and seldom less.
    pub(super) fn size(&self, part: &NewPart<'_>) -> usize {
        self.size_from(part, &mut 0)
    }

    fn size_from(&self, part: &NewPart<'_>, index: &mut usize) -> usize {
        let encoding = self.encodings.get(*index);
        *index += 1;
        let octets = part.octets_of().len();
        let inner = match (&part.content, encoding) {
            (Content::Parts(parts), _) => parts.iter().map(|part| self.size_from(part, index)).sum(),
            (_, Some(Encoding::Base64)) => octets.div_ceil(57) * 78,
            // Room for escapes and soft line breaks, and for CR before LF.
            (_, Some(Encoding::QuotedPrintable)) => octets + octets / 4,
            _ => octets + octets / 16,
        };
        inner + 250
    }

    /// Writes the fields of the root, the blank line and everything below.
    pub(super) fn write(&self, root: &NewPart<'_>, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.part(root, &mut 0, self.last, out)
    }

    fn part(&self, part: &NewPart<'_>, index: &mut usize, last: bool, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let number = *index;
        let encoding = self.encodings.get(number).unwrap_or(&Encoding::SevenBit); // there is one for each part
        *index += 1;
        if let Content::Ready(octets) = &part.content {
            part.is_bare().then_some(()).ok_or(BuildError::Ready)?;
            check::ready(octets)?;
            out.extend_from_slice(octets);
            // Mail that travels ends with a line end.
            if last && !octets.ends_with(b"\r\n") {
                out.extend_from_slice(b"\r\n");
            }
            return Ok(());
        }
        self.content_type(part, number, encoding, out)?;
        // RFC 2045 §6.1: 7bit is assumed where nothing is said.
        out.extend_from_slice(match encoding {
            Encoding::EightBit => b"Content-Transfer-Encoding: 8bit\r\n",
            Encoding::QuotedPrintable => b"Content-Transfer-Encoding: quoted-printable\r\n",
            Encoding::Base64 => b"Content-Transfer-Encoding: base64\r\n",
            _ => b"",
        });
        self.disposition(part, out)?;
        if let Some(id) = &part.id {
            check::id("Content-ID", id, self.utf8)?;
            let mut fold = Fold::new(out, "Content-ID", self.utf8);
            fold.bracketed(id);
            check::fits(fold, "Content-ID")?;
        }
        for (n, (name, text)) in part.fields.iter().enumerate() {
            check::part_field(name)?;
            if part.fields.iter().take(n).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(BuildError::Repeated { field: name.to_string() });
            }
            check::value(name, text)?;
            let mut fold = Fold::new(out, name, self.utf8);
            fold.text(text);
            check::fits(fold, name)?;
        }
        out.extend_from_slice(b"\r\n");
        let Content::Parts(parts) = &part.content else {
            body::write(part.octets_of(), encoding, self.care(part, encoding), last, out);
            if !last && !encoding.is_encoded() && part.is_cut() {
                out.extend_from_slice(b"\r\n");
            }
            return Ok(());
        };
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
    fn care(&self, part: &NewPart<'_>, encoding: &Encoding) -> Care {
        if encoding.is_encoded() && matches!(part.content, Content::Message(_)) { Care::Octets } else { part.care() }
    }

    fn content_type(
        &self,
        part: &NewPart<'_>,
        number: usize,
        encoding: &Encoding,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let multipart = matches!(part.content, Content::Parts(_));
        let global = encoding.is_encoded() && matches!(part.content, Content::Message(_));
        let media_type = if global { "message/global" } else { &*part.media_type };
        let sound = |token: &str| !token.is_empty() && token.len() <= 127 && token.bytes().all(is_token);
        let slash = media_type.bytes().position(|octet| octet == b'/').unwrap_or_default();
        let (kind, subtype) =
            (media_type.get(..slash).unwrap_or_default(), media_type.get(slash + 1..).unwrap_or_default());
        // Only a multipart has parts, whoever names it.
        if !sound(kind) || !sound(subtype) || kind.eq_ignore_ascii_case("multipart") != multipart {
            return Err(BuildError::MediaType);
        }
        check::params(part)?;
        let charset = part.needs_charset();
        // For readers that do not know RFC 2231.
        let name = part.filename.as_ref().filter(|name| needs_extension("filename", name) && !part.declares("name"));
        let mut more = part.params.len() + usize::from(charset) + usize::from(name.is_some()) + usize::from(multipart);
        let mut semicolon = || {
            let end = if more > 0 { &b";"[..] } else { b"" };
            more = more.saturating_sub(1);
            end
        };
        let mut fold = Fold::new(out, "Content-Type", self.utf8);
        fold.pieces(&[media_type.as_bytes(), semicolon()]);
        if charset {
            fold.pieces(&[b"charset=utf-8", semicolon()]);
        }
        for (name, value) in &part.params {
            param(&mut fold, "Content-Type", name, value, semicolon())?;
        }
        if let Some(name) = name {
            check::value("Content-Disposition", name)?;
            fold.quoted_words("name", name, semicolon());
        }
        if multipart {
            let mut boundary = Vec::with_capacity(32);
            self.boundary(number, &mut boundary);
            fold.pieces(&[b"boundary=\"", &boundary, b"\""]);
        }
        check::fits(fold, "Content-Type")
    }

    /// RFC 2183
    fn disposition(&self, part: &NewPart<'_>, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let Some(disposition) = part.disposition else { return Ok(()) };
        let mut fold = Fold::new(out, "Content-Disposition", self.utf8);
        let Some(filename) = &part.filename else {
            fold.word(disposition.as_bytes());
            return check::fits(fold, "Content-Disposition");
        };
        fold.pieces(&[disposition.as_bytes(), b";"]);
        param(&mut fold, "Content-Disposition", "filename", filename, b"")?;
        check::fits(fold, "Content-Disposition")
    }

    /// Of two boundaries none begins with the other (RFC 2046 §5.1.2): the number has an end.
    fn boundary(&self, number: usize, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(MARK);
        out.extend((0..16).rev().map(|n| DIGITS[(self.tag >> (n * 4) & 15) as usize])); // four bits
        out.push(b'_');
        match u8::try_from(number) {
            Ok(digit @ 0..=9) => out.push(b'0' + digit),
            _ => out.extend_from_slice(number.to_string().as_bytes()),
        }
        out.push(b'_');
    }
}

impl NewPart<'_> {
    /// Whether a boundary in it is the beginning of one that may be written around it, whatever its tag: a line of the one
    /// is a line of the other then (RFC 2046 §5.1.2), and what follows may be taken for a part of the wrong message. The
    /// tags of those that are as long go to `taken`.
    fn clashes(&self, taken: &mut Vec<u64>) -> bool {
        let message = match &self.content {
            Content::Message(message) => message.clone(),
            Content::Ready(octets) => Message::parse(octets.clone()),
            _ => return false,
        };
        let mut clashes = false;
        for part in message.all_parts() {
            let Some(field) = part.header().get("content-type") else { continue };
            let Some(boundary) = fields::boundary(field.value()) else { continue };
            let rest = boundary.strip_prefix(MARK);
            clashes |= MARK.starts_with(&boundary)
                || rest.is_some_and(|rest| rest.len() < 16 && rest.iter().all(u8::is_ascii_hexdigit));
            taken.extend(rest.and_then(tag));
        }
        clashes
    }

    /// Whether it is a message that ends in the middle of a header line, which a boundary would cut off.
    fn is_cut(&self) -> bool {
        let Content::Message(message) = &self.content else { return false };
        let last = || message.all_parts().last();
        !message.raw().ends_with(b"\n")
            && last().is_some_and(|part| part.raw_body().is_empty() && !part.raw_header().is_empty())
    }
}

/// The sixteen hexadecimal digits of a tag.
fn tag(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text.get(..16)?).ok()?, 16).ok()
}

fn param(fold: &mut Fold<'_>, field: &str, name: &str, value: &str, end: &[u8]) -> Result<(), BuildError> {
    check::value(field, value)?;
    let token = name.bytes().all(|octet| is_token(octet) && !b"*'%".contains(&octet));
    if !token || name.is_empty() || name.len() > 40 || name.eq_ignore_ascii_case("boundary") {
        return Err(BuildError::Param { field: field.to_owned() });
    }
    if needs_extension(name, value) {
        let written = params::write(name, value);
        for (n, piece) in written.iter().enumerate() {
            fold.pieces(&[piece.as_bytes(), if n + 1 == written.len() { end } else { b";" }]);
        }
    } else if !value.is_empty() && value.bytes().all(is_token) {
        fold.pieces(&[name.as_bytes(), b"=", value.as_bytes(), end]);
    } else {
        fold.write(b" ", name.len() + 3 + value.len() + escapes(value) + end.len(), |out| {
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            quoted(value, out);
            out.extend_from_slice(end);
        });
    }
    Ok(())
}

/// Whether a value is written as RFC 2231 has it: for what a quoted string cannot hold, or not on one line, and for what
/// would be taken for encoded words.
fn needs_extension(name: &str, value: &str) -> bool {
    name.len() + value.len() + escapes(value) > 70
        || !value.bytes().all(|octet| matches!(octet, b' '..=b'~'))
        || value.contains("=?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_boundaries_is_in_no_content() {
        let content = format!("--=_{:016x}_0_--\r\n--=_{:016x}", 7, 8);
        let root = NewPart::multipart("mixed", vec![NewPart::text("plain", content)]);
        assert_eq!(Plan::of(&root, false, false, 7, true).unwrap().tag, 9);
        assert_eq!(Plan::of(&root, false, false, 6, true).unwrap().tag, 6);
    }
}
