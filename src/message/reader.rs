//! The content of a part, read little by little: the transfer encoding is undone as it is read.

use std::io::{BufRead, Read};

use bytes::{Buf, Bytes};

use super::fields::Encoding;
use crate::text::transfer::{Base64Decoder, LONGEST_BLANK, QuotedPrintableDecoder};

/// How many octets of the body are decoded at once.
const BLOCK: usize = 8192;
/// What that decodes to at most, with the white space that was kept before and the little that the decoders want on top.
const ROOM: usize = BLOCK + LONGEST_BLANK + 128;

/// Reads what [`Part::decode`](super::Part::decode) gives, octet for octet, without a copy of the whole.
///
/// It holds the octets of the message, which are shared, and of a body that is encoded about 9 KB that are decoded and 1 KB
/// that cannot be decoded yet. It is no view: it can be sent to another thread and outlive the
/// message that it came from.
///
/// As [`BufRead`] it gives a body that is not encoded in one piece, the octets of the message themselves. It never fails:
/// an error is only what the trait allows.
///
/// ```
/// use std::io::{Read, copy};
///
/// use facteur::message::Message;
///
/// let message = Message::parse(
///     "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\nGgo=\r\n",
/// );
/// let mut reader = message.root().reader();
/// let mut signature = [0; 4];
/// reader.read_exact(&mut signature)?;
/// assert_eq!(&signature, b"\x89PNG");
/// let mut rest = Vec::new(); // a file, say
/// copy(&mut reader, &mut rest)?;
/// assert_eq!(rest, b"\r\n\x1a\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BodyReader {
    /// What is still encoded.
    encoded: Bytes,
    decoder: Decoder,
    /// What is decoded, read up to `read`.
    decoded: Vec<u8>,
    read: usize,
}

#[derive(Clone, Debug)]
enum Decoder {
    None,
    Base64(Base64Decoder),
    QuotedPrintable(QuotedPrintableDecoder),
}

impl Decoder {
    fn feed(&mut self, encoded: &[u8], octets: &mut Vec<u8>) {
        match self {
            Self::None => octets.extend_from_slice(encoded),
            Self::Base64(decoder) => decoder.feed(encoded, octets),
            Self::QuotedPrintable(decoder) => decoder.feed(encoded, octets),
        }
    }

    /// Ends the body. What comes after is not encoded.
    fn finish(&mut self, octets: &mut Vec<u8>) {
        match std::mem::replace(self, Self::None) {
            Self::None => {}
            Self::Base64(decoder) => decoder.finish(octets),
            Self::QuotedPrintable(decoder) => decoder.finish(octets),
        }
    }
}

impl BodyReader {
    /// Reads a body in base64 or quoted-printable; in any other encoding, the octets as they stand.
    pub fn new(body: Bytes, encoding: &Encoding) -> Self {
        let decoder = match encoding {
            Encoding::Base64 => Decoder::Base64(Base64Decoder::default()),
            Encoding::QuotedPrintable => Decoder::QuotedPrintable(QuotedPrintableDecoder::default()),
            _ => Decoder::None,
        };
        let room = if let Decoder::None = decoder { 0 } else { ROOM };
        Self { encoded: body, decoder, decoded: Vec::with_capacity(room), read: 0 }
    }

    /// What is decoded and not read.
    fn ready(&self) -> &[u8] {
        match &self.decoder {
            Decoder::None if self.decoded.len() == self.read => &self.encoded,
            _ => self.decoded.get(self.read..).unwrap_or_default(),
        }
    }

    /// Decodes until something is there, or nothing is left.
    fn fill(&mut self) {
        while self.ready().is_empty() && !matches!(self.decoder, Decoder::None) {
            self.decoded.clear();
            self.read = 0;
            let block = self.encoded.split_to(self.encoded.len().min(BLOCK));
            self.decoder.feed(&block, &mut self.decoded);
            if self.encoded.is_empty() {
                self.decoder.finish(&mut self.decoded);
            }
        }
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.fill();
        Ok(self.ready())
    }

    fn consume(&mut self, amount: usize) {
        let buffered = self.decoded.len() - self.read; // what is read is part of what is decoded
        self.read += amount.min(buffered);
        if let Decoder::None = self.decoder {
            let amount = amount.saturating_sub(buffered).min(self.encoded.len());
            self.encoded.advance(amount);
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.fill();
        let ready = self.ready();
        let some = ready.len().min(buf.len());
        let (into, from) = (buf.get_mut(..some).unwrap_or_default(), ready.get(..some).unwrap_or_default());
        into.copy_from_slice(from);
        self.consume(some);
        Ok(some)
    }

    fn read_to_end(&mut self, octets: &mut Vec<u8>) -> std::io::Result<usize> {
        let start = octets.len();
        octets.extend_from_slice(self.decoded.get(self.read..).unwrap_or_default());
        (self.decoded, self.read) = (Vec::new(), 0);
        let encoded = std::mem::take(&mut self.encoded);
        self.decoder.feed(&encoded, octets);
        self.decoder.finish(octets);
        Ok(octets.len() - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// Texts that are cut by the blocks at every place of a line, in each encoding.
    fn messages() -> Vec<Message> {
        let octets: Vec<u8> = (0..40_000_u32).map(|n| ((n * n) >> 7) as u8).collect();
        let lines: String =
            (0..900).map(|n| format!("{}=C3=A9 line{}=\r\n", "x".repeat(n % 60), " ".repeat(n % 5))).collect();
        let base64 = crate::text::transfer::encode_base64(&octets);
        [
            ("7bit", lines.clone()),
            ("binary", String::new()),
            ("base64", base64.clone()),
            ("base64", base64.replace("\r\n", "\n").replace('A', "A=")),
            ("quoted-printable", lines.clone()),
            ("quoted-printable", lines.replace('=', "= ")),
            ("quoted-printable", " ".repeat(30_000)),
            ("quoted-printable", "a=".to_owned()),
            ("x-unknown", lines),
            ("x-uuencode", "See:\nbegin 644 cat.txt\n#0V%T\n`\nend\n".to_owned()),
            ("x-uuencode", "no file".to_owned()),
        ]
        .into_iter()
        .map(|(encoding, body)| Message::parse(format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}")))
        .collect()
    }

    #[test]
    fn a_reader_gives_what_decoding_gives_however_it_is_read() {
        for message in messages() {
            let part = message.root();
            let expected = part.decode();
            for size in [1, 7, 4096, 100_000] {
                let (mut reader, mut octets) = (part.reader(), Vec::new());
                let mut buffer = vec![0; size];
                loop {
                    let read = reader.read(&mut buffer).unwrap();
                    octets.extend_from_slice(&buffer[..read]);
                    assert!(reader.decoded.capacity() <= ROOM, "{}", reader.decoded.capacity());
                    if read == 0 {
                        break;
                    }
                }
                assert!(octets == *expected, "{message:?} in steps of {size}");
                assert_eq!(reader.read(&mut buffer).unwrap(), 0);
            }
            let (mut reader, mut octets) = (part.reader(), vec![0; 3]);
            let first = reader.read(&mut octets).unwrap();
            octets.truncate(first);
            reader.read_to_end(&mut octets).unwrap();
            assert!(octets == *expected, "{message:?} to its end");
            assert_eq!(part.bytes(), *expected);
        }
    }

    #[test]
    fn a_body_that_is_not_encoded_is_not_copied() {
        let message = Message::parse("A: b\r\n\r\nThe body.");
        let mut reader = message.root().reader();
        assert_eq!(reader.fill_buf().unwrap().as_ptr(), message.root().raw_body().as_ptr());
        assert_eq!(message.root().bytes().as_ptr(), message.root().raw_body().as_ptr());
        reader.consume(4);
        assert_eq!(reader.fill_buf().unwrap(), b"body.");
        reader.consume(100);
        assert_eq!(reader.fill_buf().unwrap(), b"");
    }
}
