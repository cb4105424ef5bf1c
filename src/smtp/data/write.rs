//! The text of a message as it is sent: by DATA with dots put on, by BDAT with line ends alone.

use bytes::Bytes;

use super::plain;
use crate::base::Wire;

/// Pieces shorter than this are copied to the wire; longer ones are shared.
const WORTH_SHARING: usize = 512;

/// Writes the text of one message to a [`Wire`]: dots put on, each CR or LF alone made a CRLF, the end marked.
///
/// ```
/// use facteur::base::Wire;
/// use facteur::smtp::data::DataWriter;
///
/// let mut wire = Wire::new();
/// let mut writer = DataWriter::default();
/// writer.write(&".dot\n".into(), &mut wire);
/// writer.finish(&mut wire);
/// let mut sent = Vec::new();
/// while !wire.outgoing().is_empty() {
///     sent.extend_from_slice(wire.outgoing());
///     wire.sent(wire.outgoing().len());
/// }
/// assert_eq!(sent, b"..dot\r\n.\r\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct DataWriter {
    at: Written,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Written {
    #[default]
    LineStart,
    Line,
    /// A CR came last and is not yet written.
    Cr,
}

impl DataWriter {
    /// Writes the next octets of the message.
    pub fn write(&mut self, content: &Bytes, wire: &mut Wire) {
        let mut at = 0;
        while let Some(rest) = content.get(at..).filter(|rest| !rest.is_empty()) {
            match (self.at, rest) {
                (Written::Cr, _) => {
                    // With its LF, or alone: one CRLF.
                    wire.out(b"\r\n");
                    self.at = Written::LineStart;
                    at += usize::from(rest.first() == Some(&b'\n'));
                }
                (_, [b'\n', ..]) => {
                    wire.out(b"\r\n");
                    self.at = Written::LineStart;
                    at += 1;
                }
                (_, [b'\r']) => {
                    self.at = Written::Cr;
                    at += 1;
                }
                (_, [b'\r', next, ..]) if *next != b'\n' => {
                    self.at = Written::Cr;
                    at += 1;
                }
                (begin, _) => {
                    if begin == Written::LineStart && rest.first() == Some(&b'.') {
                        wire.out(b".");
                    }
                    let len = plain(rest); // at least 1: no CR or LF alone begins here
                    let text = rest.get(..len).unwrap_or_default();
                    self.at = if text.last() == Some(&b'\n') { Written::LineStart } else { Written::Line };
                    if len < WORTH_SHARING {
                        wire.out(text)
                    } else {
                        wire.out_shared(content.slice(at..at + len))
                    }
                    at += len;
                }
            }
        }
    }

    /// Ends the last line where it has no end, and marks the end of the message.
    pub fn finish(self, wire: &mut Wire) {
        if self.at != Written::LineStart {
            wire.out(b"\r\n");
        }
        wire.out(b".\r\n");
    }
}

/// The text as BDAT carries it, which is as DATA would: RFC 3030 §2, "in the canonical MIME format with lines delimited with a
/// <CR><LF>", the last one too. No copy is made where it stands so already.
pub(crate) fn canonical(content: &Bytes) -> Bytes {
    let is_sound = |at: usize| match content.get(at) {
        Some(b'\r') => content.get(at + 1) == Some(&b'\n'),
        _ => at.checked_sub(1).and_then(|before| content.get(before)) == Some(&b'\r'),
    };
    let is_ended = content.is_empty() || content.ends_with(b"\r\n");
    if is_ended && memchr::memchr2_iter(b'\r', b'\n', content).all(is_sound) {
        return content.clone();
    }
    let mut text = Vec::with_capacity(content.len() + content.len() / 32 + 2);
    let mut from = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', content) {
        // The LF of a CRLF went with its CR.
        if at >= from {
            text.extend_from_slice(content.get(from..at).unwrap_or_default());
            text.extend_from_slice(b"\r\n");
            from = at + if content.get(at..at + 2) == Some(b"\r\n") { 2 } else { 1 };
        }
    }
    if let Some(last) = content.get(from..).filter(|last| !last.is_empty()) {
        text.extend_from_slice(last);
        text.extend_from_slice(b"\r\n");
    }
    text.into()
}
