//! The lines of a multi-line answer: dots stuffed and unstuffed (RFC 1939 §3).
//!
//! A line ends with CRLF and with nothing else; what follows a bare LF is in the middle of a line.

use bytes::Bytes;

use crate::base::Wire;

/// Pieces from this size on are sent as they are; smaller ones are copied, so that a message of dots does not become a
/// queue of slices that takes more than the message.
const SHARED: usize = 1024;

/// Where in its lines a multi-line answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A dot would have to be doubled here.
    LineStart,
    /// After a CR, which a LF would make a line end.
    Cr,
    /// Anywhere else.
    Middle,
}

impl Place {
    /// Sends `text` with its dots doubled, however it was cut before.
    pub(crate) fn send(&mut self, mut text: Bytes, wire: &mut Wire) {
        loop {
            match (*self, text.first()) {
                (_, None) => return,
                (Self::LineStart, Some(b'.')) => wire.out(b"."),
                (Self::Cr, Some(b'\n')) => {
                    wire.out(b"\n");
                    *self = Self::LineStart;
                    let _ = text.split_to(1);
                    continue;
                }
                _ => {}
            }
            // To the next line that begins with a dot, or to the end.
            match memchr::memmem::find(&text, b"\r\n.") {
                Some(found) => {
                    out(text.split_to(found + 2), wire);
                    *self = Self::LineStart;
                }
                None => {
                    *self = if text.ends_with(b"\r\n") {
                        Self::LineStart
                    } else if text.ends_with(b"\r") {
                        Self::Cr
                    } else {
                        Self::Middle
                    };
                    out(text, wire);
                    return;
                }
            }
        }
    }

    /// Ends the last line where it has no end, and the answer.
    pub(crate) fn end(self, wire: &mut Wire) {
        wire.out(match self {
            Self::LineStart => b".\r\n",
            Self::Cr | Self::Middle => b"\r\n.\r\n",
        });
    }
}

fn out(text: Bytes, wire: &mut Wire) {
    if text.len() < SHARED { wire.out(&text) } else { wire.out_shared(text) }
}

/// What a line of a multi-line answer says, its CRLF taken off before: `None` is the end of the answer.
///
/// ```
/// use facteur::pop3::lines::unstuffed;
///
/// assert_eq!(unstuffed(b"..hidden"), Some(&b".hidden"[..]));
/// assert_eq!(unstuffed(b"."), None);
/// ```
pub fn unstuffed(line: &[u8]) -> Option<&[u8]> {
    match line {
        b"." => None,
        [b'.', rest @ ..] => Some(rest),
        _ => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pieces: &[&[u8]]) -> Vec<u8> {
        let mut wire = Wire::new();
        let mut place = Place::LineStart;
        for piece in pieces {
            place.send(Bytes::copy_from_slice(piece), &mut wire);
        }
        place.end(&mut wire);
        let mut out = Vec::new();
        while !wire.outgoing().is_empty() {
            out.push(wire.outgoing()[0]);
            wire.sent(1);
        }
        out
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        for (text, expected) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("..\r\n.a\r\na.\r\n", "...\r\n..a\r\na.\r\n.\r\n"),
            ("\r\n.\r\n\r\n.", "\r\n..\r\n\r\n..\r\n.\r\n"),
            ("a\n.b\r.c\r\n", "a\n.b\r.c\r\n.\r\n"),
            ("a\r", "a\r\r\n.\r\n"),
            ("\r\r\n.", "\r\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(sent(&[text.as_bytes()]), expected.as_bytes(), "{text:?}");
            assert_eq!(sent(&text.as_bytes().chunks(1).collect::<Vec<_>>()), expected.as_bytes(), "{text:?} in octets");
        }
    }

    #[test]
    fn long_pieces_are_not_copied() {
        let text = Bytes::from([b"x".repeat(SHARED), b"\r\n.".to_vec(), b"y".repeat(SHARED)].concat());
        let mut wire = Wire::new();
        let mut place = Place::LineStart;
        place.send(text.clone(), &mut wire);
        assert_eq!(wire.outgoing().as_ptr(), text.as_ptr());
    }
}
