//! A message made fit for a way that carries less than it holds: 8-bit to 7-bit where the next host has no 8BITMIME (RFC 6152
//! §3), binary to either where it has no BINARYMIME (RFC 3030 §3), by the rules of RFC 2045 §6 and RFC 2046 §5; headers in UTF-8
//! to ASCII where it has no SMTPUTF8 (RFC 6531 §3.2), as far as RFC 2047 and RFC 2231 go.
//!
//! Parts that the way cannot carry are encoded in quoted-printable or base64, in embedded messages too; their content stays what it
//! was, octet by octet. All other octets stay but for the fields that name the encodings. What is signed or encrypted is never
//! touched: a message whose signed part would have to change cannot be converted, nor one whose header has what cannot be said in
//! ASCII. Signatures of DKIM over the body, and over the fields that are changed, break: sign what is converted, or convert before
//! signing.

use super::edit::{Edit, EditError};
use super::scan::Kind;
use super::{Encoding, Field, Message, Part, Recode};
use crate::text::transfer;

mod header;

/// The longest line, without its end (RFC 2045 §2.7).
const LONGEST: usize = 998;

/// What a way carries (RFC 2045 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // the third is binary, which carries everything
pub enum Transport {
    /// Lines of ASCII, as SMTP does on its own.
    SevenBit,
    /// Lines of any octets but NUL, as 8BITMIME does.
    EightBit,
}

/// A message that was converted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Converted {
    /// The message as it can go.
    pub message: Message,
    /// How many parts are encoded that were not, or not so.
    pub parts: usize,
    /// How many header fields are in ASCII that were not.
    pub fields: usize,
}

/// Why a message cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unconvertible {
    /// A part that is signed or encrypted would have to change.
    #[error("what is signed cannot be converted")]
    Protected,
    /// Octets that belong to no content: before the first part or behind the last; or in a header, where what they say cannot be
    /// said in ASCII.
    #[error("8-bit octets outside of the content cannot be converted")]
    Outside,
    /// A part that must not be encoded (RFC 2046 §5.2), or in an encoding that is not known.
    #[error("a part that must not be encoded")]
    Unencodable,
    /// Its structure does not allow it.
    #[error("{0}")]
    Edit(EditError),
}

impl Message {
    /// The message as it can go over this way. A message that can go as it is comes back as it is, with no parts converted. Its
    /// lines may end with LF: how they travel is not looked at.
    ///
    /// What it takes in memory while it works is the message, its parts as they are encoded and the new message: at most four
    /// times the size of the message, for base64 makes four octets of three.
    ///
    /// ```
    /// use facteur::message::Message;
    /// use facteur::message::convert::Transport;
    ///
    /// let message = Message::parse(&b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9\r\n"[..]);
    /// let converted = message.convert(Transport::SevenBit)?;
    /// assert_eq!(converted.parts, 1);
    /// assert!(converted.message.raw().ends_with(b"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n"));
    /// assert_eq!(converted.message.root().text().as_deref(), Some("café\r\n"));
    /// # Ok::<(), facteur::message::convert::Unconvertible>(())
    /// ```
    ///
    /// # Errors
    /// Where it cannot go.
    pub fn convert(&self, to: Transport) -> Result<Converted, Unconvertible> {
        let mut edit = Edit::new(self);
        let (mut parts, mut fields) = (0, 0);
        for part in self.all_parts() {
            if to == Transport::SevenBit {
                fields += encode_header(&mut edit, part)?;
            }
            let encoding = part.encoding();
            if part.is_multipart() || part.embedded().is_some() {
                relabel(&mut edit, part, &encoding, to)?;
            } else if convert_leaf(&mut edit, part, &encoding, to)? {
                parts += 1;
            }
        }
        let message = edit.finish().map_err(refused)?.message();
        // What no part holds nobody has encoded.
        if to == Transport::SevenBit && !message.raw().is_ascii() {
            return Err(Unconvertible::Outside);
        }
        Ok(Converted { message, parts, fields })
    }

    /// The message with its headers in ASCII, as a host without SMTPUTF8 can have it: text and names in encoded words (RFC 2047 §5),
    /// parameters in the form of RFC 2231, domains in A-labels. So are the headers of all its parts (RFC 6531 §3.2, "at any level
    /// within its MIME structure"), but for what is no UTF-8 in theirs. Contents stay as they are. RFC 6531 leaves this to hosts that
    /// take mail from its authors; others should send it back.
    ///
    /// ```
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("From: Ünal <unal@a.test>\r\nSubject: un café\r\n\r\n");
    /// let converted = message.with_ascii_header()?;
    /// assert_eq!(converted.fields, 2);
    /// assert!(converted.message.raw().is_ascii());
    /// assert_eq!(converted.message.header().subject().as_deref(), Some("un café"));
    /// # Ok::<(), facteur::message::convert::Unconvertible>(())
    /// ```
    ///
    /// # Errors
    /// Where a header has what cannot be said in ASCII: local parts of addresses beyond it, text in fields that have no such form,
    /// octets that are no UTF-8; or where it is signed.
    pub fn with_ascii_header(&self) -> Result<Converted, Unconvertible> {
        let mut edit = Edit::new(self);
        let mut fields = 0;
        for part in self.all_parts() {
            fields += encode_header(&mut edit, part)?;
        }
        Ok(Converted { message: edit.finish().map_err(refused)?.message(), parts: 0, fields })
    }

    /// Whether a header of it, or of a part, needs [`with_ascii_header`](Self::with_ascii_header).
    pub(crate) fn has_utf8_header(&self) -> bool {
        self.all_parts().any(|part| part.header().fields().any(|field| is_to_encode(part, field)))
    }
}

/// Writes what stands in UTF-8 in the header of a part in ASCII: how many fields.
fn encode_header(edit: &mut Edit, part: Part<'_>) -> Result<usize, Unconvertible> {
    if !part.header().fields().any(|field| is_to_encode(part, field)) {
        return Ok(0);
    }
    let mut sound = true;
    let count = edit.header(part).map_err(refused)?.replace_each(|field| {
        if !is_to_encode(part, field) {
            return None;
        }
        let value = header::in_ascii(field);
        sound &= value.is_some();
        value
    });
    let count = count.map_err(EditError::from).map_err(refused)?;
    if sound { Ok(count) } else { Err(Unconvertible::Outside) }
}

/// Old mail in a mail, of which nobody knows the charset, is what it is.
fn is_to_encode(part: Part<'_>, field: Field<'_>) -> bool {
    !field.raw().is_ascii() && (part.parent().is_none() || std::str::from_utf8(field.raw()).is_ok())
}

/// A composite says what the parts in it need at most (RFC 2045 §6.4).
fn relabel(edit: &mut Edit, part: Part<'_>, encoding: &Encoding, to: Transport) -> Result<(), Unconvertible> {
    let label = match (encoding, to) {
        (Encoding::Binary, Transport::EightBit) => "8bit",
        (Encoding::EightBit | Encoding::Binary, Transport::SevenBit) => "7bit",
        _ => return Ok(()),
    };
    match edit.header(part) {
        Ok(header) => {
            header
                .replace("Content-Transfer-Encoding", 0, label.as_bytes())
                .map_err(EditError::from)
                .map_err(refused)?;
            Ok(())
        }
        // The label is signed too. It says more than is needed, which does no harm.
        Err(EditError::Protected) => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// Encodes a part where the way cannot carry it as it is. Whether it did.
fn convert_leaf(edit: &mut Edit, part: Part<'_>, encoding: &Encoding, to: Transport) -> Result<bool, Unconvertible> {
    let body = part.raw_body();
    let binary = *encoding == Encoding::Binary;
    let fits = (to == Transport::EightBit || body.is_ascii()) && (!binary || is_lines(body));
    if fits && !binary {
        return Ok(false);
    }
    if !is_encodable(part, encoding) {
        return Err(Unconvertible::Unencodable);
    }
    if fits {
        relabel(edit, part, encoding, to)?;
        return Ok(false);
    }
    if !binary && is_text(part) {
        edit.replace_body(part, part.bytes(), Recode::Anew).map_err(refused)?;
    } else {
        let base64 = transfer::encode_base64(&part.decode());
        edit.replace_body(part, base64, Recode::Encoded).map_err(refused)?;
        let header = edit.header(part).map_err(refused)?;
        header.remove_all("Content-Transfer-Encoding");
        header.append("Content-Transfer-Encoding", b"base64").map_err(EditError::from).map_err(refused)?;
    }
    // A message of its own, embedded ones among them.
    if part.parent().is_none_or(|parent| parent.embedded().is_some()) {
        say_mime(edit, part)?;
    }
    Ok(true)
}

/// A message that names no encoding and no version of MIME is one that says nothing of its octets. RFC 1428 has a name for
/// what they are then.
fn say_mime(edit: &mut Edit, part: Part<'_>) -> Result<(), Unconvertible> {
    let header = edit.header(part).map_err(refused)?;
    let mut say = |name: &str, value: &[u8]| match header.get(name) {
        Some(_) => Ok(()),
        None => header.append(name, value).map_err(EditError::from).map_err(refused),
    };
    say("MIME-Version", b"1.0")?;
    say("Content-Type", b"text/plain; charset=unknown-8bit")
}

/// Whether a part may be encoded, and what it holds is known: RFC 2045 §6.4 forbids it for multiparts and messages, which
/// reach this place where they were not looked into.
fn is_encodable(part: Part<'_>, encoding: &Encoding) -> bool {
    use Encoding::{Base64, Binary, EightBit, QuotedPrintable, SevenBit};
    let composite = || {
        let declared = part.header().get("content-type").map(|_| part.content_type());
        declared.is_some_and(|content_type| matches!(content_type.kind(), "multipart" | "message"))
    };
    matches!(encoding, SevenBit | EightBit | Binary | QuotedPrintable | Base64)
        && part.span().kind == Kind::Leaf
        && !composite()
}

/// Whether line ends are no more than that in it.
fn is_text(part: Part<'_>) -> bool {
    part.header().get("content-type").is_none() || part.content_type().kind() == "text"
}

/// Lines that end with CRLF, of a length that may travel, without NUL: binary that is none.
fn is_lines(octets: &[u8]) -> bool {
    let sound = |line: &[u8]| line.len() <= LONGEST && !line.iter().any(|octet| matches!(octet, 0 | b'\r'));
    let mut lines = octets.split(|octet| *octet == b'\n');
    lines.next_back().is_none_or(sound) && lines.all(|line| line.strip_suffix(b"\r").is_some_and(sound))
}

fn refused(error: EditError) -> Unconvertible {
    match error {
        EditError::Protected => Unconvertible::Protected,
        error => Unconvertible::Edit(error),
    }
}

#[cfg(test)]
mod tests {
    use super::Transport::*;
    use super::*;

    fn convert(octets: &[u8], to: Transport) -> Result<(String, usize), Unconvertible> {
        let converted = Message::parse(octets.to_vec()).convert(to)?;
        Ok((converted.message.raw().escape_ascii().to_string().replace("\\r\\n", "|"), converted.parts))
    }

    #[test]
    fn parts_that_cannot_go_are_encoded_and_others_stay() {
        for (octets, to, expected, parts) in [
            // Nothing to do, whatever the label says.
            (&b"A: b\r\n\r\nplain\r\n"[..], SevenBit, "A: b||plain|", 0),
            (b"A: b\r\n\r\ncaf\xe9\r\n", EightBit, "A: b||caf\\xe9|", 0),
            // Neither MIME nor a charset: RFC 1428
            (
                b"A: b\r\n\r\ncaf\xe9\r\n",
                SevenBit,
                "A: b|Content-Transfer-Encoding: quoted-printable|MIME-Version: 1.0|Content-Type: text/plain; \
                 charset=unknown-8bit||caf=E9|",
                1,
            ),
            // Octets that are no text in base64, line ends among them.
            (
                b"MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\r\n",
                SevenBit,
                "MIME-Version: 1.0|Content-Type: image/x|Content-Transfer-Encoding: base64||/w0K|",
                1,
            ),
            // The part that needs it, and the label around it.
            (
                b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                  --b\r\n\r\none\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain; \
                  charset=latin1\r\n\r\n\xe9 one word more\r\n--b--\r\n",
                SevenBit,
                "MIME-Version: 1.0|Content-Type: multipart/mixed; boundary=b|Content-Transfer-Encoding: 7bit||--b||one|\
                 --b|Content-Transfer-Encoding: quoted-printable|Content-Type: text/plain; charset=latin1||=E9 one word more|--b--|",
                1,
            ),
            // In an embedded message too.
            (
                b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                  MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9 inside of it\r\n",
                SevenBit,
                "MIME-Version: 1.0|Content-Type: message/rfc822|Content-Transfer-Encoding: 7bit||MIME-Version: 1.0|\
                 Content-Type: text/plain|Content-Transfer-Encoding: quoted-printable||=E9 inside of it|",
                1,
            ),
            // One that says nothing of MIME says it then, wherever it is.
            (
                b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n\xe9 inside of it\r\n",
                SevenBit,
                "MIME-Version: 1.0|Content-Type: message/rfc822||Subject: x|Content-Transfer-Encoding: quoted-printable|\
                 MIME-Version: 1.0|Content-Type: text/plain; charset=unknown-8bit||=E9 inside of it|",
                1,
            ),
            // Binary that is lines after all is called that; what is not is base64.
            (
                b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n\xe9\r\n",
                EightBit,
                "MIME-Version: 1.0|Content-Type: text/plain|Content-Transfer-Encoding: 8bit||\\xe9|",
                0,
            ),
            (
                b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\0",
                EightBit,
                "MIME-Version: 1.0|Content-Type: text/plain|Content-Transfer-Encoding: base64||YQpiAA==|",
                1,
            ),
            // Signed, and fit to go: not touched but for the label outside.
            (
                b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n\
                  --a\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                  as it is \r\n--b\r\n\r\nsig\r\n--b--\r\n--a\r\n\r\n\xe9 beside it\r\n--a--\r\n",
                SevenBit,
                "MIME-Version: 1.0|Content-Transfer-Encoding: 7bit|Content-Type: multipart/mixed; boundary=a||--a|\
                 Content-Type: multipart/signed; boundary=b||--b|Content-Transfer-Encoding: 8bit||as it is |--b||sig|--b--|\
                 --a|Content-Transfer-Encoding: quoted-printable||=E9 beside it|--a--|",
                1,
            ),
        ] {
            assert_eq!(convert(octets, to).as_ref().map(|(text, parts)| (text.as_str(), *parts)), Ok((expected, parts)));
        }
    }

    #[test]
    fn headers_in_utf8_are_said_in_ascii() {
        let text = "From: Ünal <u@bücher.test>\nTo: b@b.test\nSubject: un café\nMIME-Version: 1.0\nContent-Type: multipart/mixed; \
                    boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8; name=\"é\"\nContent-Transfer-Encoding: 8bit\n\n\
                    café, not without sugar\n--b\nContent-Type: message/rfc822\n\nSubject: é\n\nx\n--b--\n";
        let before = Message::parse(text);
        for (converted, parts) in [(before.with_ascii_header(), 0), (before.convert(SevenBit), 1)] {
            let converted = converted.unwrap();
            assert_eq!((converted.parts, converted.fields), (parts, 4));
            let after = converted.message;
            assert!(after.all_parts().all(|part| part.header().raw().is_ascii()));
            assert_eq!(after.raw().is_ascii(), parts > 0);
            assert_eq!(after.header().subject(), before.header().subject());
            assert_eq!(after.header().from().next().unwrap().to_string(), "u@xn--bcher-kva.test");
            assert_eq!(after.header().get("to"), before.header().get("to"));
            for (before, after) in before.all_parts().zip(after.all_parts()) {
                assert_eq!(after.header().subject(), before.header().subject());
                assert_eq!(after.filename(), before.filename());
            }
            assert_eq!(after.parts().next().unwrap().text(), before.parts().next().unwrap().text());
        }
        let outside = |text: &[u8]| Message::parse(text.to_vec()).with_ascii_header().map(|converted| converted.fields);
        assert_eq!(outside(b"Subject: caf\xe9\n\n"), Err(Unconvertible::Outside));
        assert_eq!(outside("To: ü@b.test\nSubject: é\n\n".as_bytes()), Err(Unconvertible::Outside));
        assert_eq!(outside(b"Content-Type: message/rfc822\n\nSubject: caf\xe9\n\n"), Ok(0));
        let signed = "Content-Type: multipart/signed; boundary=b\n\n--b\nX-A: é\n\n\n--b\n\nsig\n--b--\n";
        assert_eq!(outside(signed.as_bytes()), Err(Unconvertible::Protected));
        assert_eq!(outside(b"Subject: plain\n\ncaf\xe9\n"), Ok(0));
    }

    #[test]
    fn what_cannot_be_converted_is_refused() {
        for (octets, expected) in [
            (&b"Subject: caf\xe9\r\n\r\n"[..], Unconvertible::Outside),
            (
                b"Content-Type: multipart/mixed; boundary=b\r\n\r\npr\xe9\r\n--b\r\n\r\n--b--\r\n",
                Unconvertible::Outside,
            ),
            (
                b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b\r\n\r\nsig\r\n--b--\r\n",
                Unconvertible::Protected,
            ),
            (b"Content-Type: message/partial; id=x\r\n\r\n\r\n\xe9\r\n", Unconvertible::Unencodable),
            (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part \xe9\r\n", Unconvertible::Unencodable),
            (b"Content-Transfer-Encoding: x-own\r\n\r\n\xe9\r\n", Unconvertible::Unencodable),
            (b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe9\r\n", Unconvertible::Unencodable),
        ] {
            assert_eq!(convert(octets, SevenBit), Err(expected), "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn a_line_that_becomes_a_boundary_is_not_written() {
        // Folded in quoted-printable after 75 octets, the rest of the line would be a boundary.
        for before in 60..80 {
            let line = [&b"\xe9"[..], &vec![b'x'; before], b"--b\r\n"].concat();
            let head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n";
            let message = Message::parse([&head[..], &line, b"--b--\r\n"].concat());
            let converted = message.convert(SevenBit).unwrap().message;
            assert_eq!(converted.parts().count(), 1);
            let content = converted.parts().next().unwrap().decode().into_owned();
            assert_eq!(content.trim_ascii_end(), line.trim_ascii_end());
        }
    }
}
