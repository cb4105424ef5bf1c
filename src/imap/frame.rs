//! Cuts what a client sends into commands: lines with literals between them (RFC 3501 §4.3, RFC 9051 §4.3, RFC 7888).
//!
//! The grammar sees a command whole and never asks for more. Which literal is read, which is refused unread and which is
//! read and dropped is decided here, so that the stream stays in step whatever the client announces.

use bytes::{Bytes, BytesMut};

use crate::base::Wire;
use crate::base::wire::Ending;
use crate::imap::response::{Code, Status, is_astring_char};
use crate::imap::server::Limits;

/// How much of the end of an overlong line is kept: room for `~{4294967295+}` and the line end.
const TAIL: usize = 24;
/// How long a tag of an overlong line may be to be answered by name.
const MAX_TAG: usize = 128;

/// Reads one command after the other.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The command so far: lines joined by CRLF, each literal where it was announced.
    text: BytesMut,
    /// The message of APPEND, kept apart so that it is not copied.
    message: Option<Bytes>,
    literals: usize,
    awaiting: Awaiting,
    /// Why the command will be refused when its end has come.
    refusal: Option<Refusal>,
    overlong: Overlong,
}

#[derive(Debug, Default)]
enum Awaiting {
    #[default]
    Line,
    /// A literal of the command.
    Literal { size: usize, message: bool },
    /// A literal of a command that is refused.
    Dropped { left: usize },
}

/// What is known of a line that is being dropped.
#[derive(Debug, Default)]
struct Overlong {
    /// Its tag, where it is the first line of a command.
    tag: Option<String>,
    tail: Vec<u8>,
}

/// What came out of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framed {
    /// A command to be parsed, without its last line end.
    Command {
        /// Lines and literals.
        text: Bytes,
        /// The message of APPEND, where `text` ends with its announcement and CRLF.
        message: Option<Bytes>,
    },
    /// A command that is not parsed.
    Refused(Refusal),
    /// A literal that is too large even to be dropped.
    Hopeless,
}

/// The answer to a command that is not parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its tag; `None` where it has none that can be written.
    pub(super) tag: Option<String>,
    pub(super) status: Status,
    pub(super) code: Option<Code>,
    pub(super) text: String,
}

/// `literal = "{" number ["+"] "}"` at the end of a line, or `literal8` with a tilde before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Announced {
    /// `None` where the number is beyond 32 bits (RFC 3501 §9, number).
    size: Option<u32>,
    synchronising: bool,
    binary: bool,
    /// How many octets of the line it takes.
    len: usize,
}

impl Refusal {
    pub(super) fn bad(tag: Option<String>, text: impl Into<String>) -> Self {
        Self { tag, status: Status::Bad, code: None, text: text.into() }
    }

    pub(super) fn no(tag: Option<String>, code: Code, text: impl Into<String>) -> Self {
        Self { tag, status: Status::No, code: Some(code), text: text.into() }
    }
}

impl Reader {
    /// Whether a command has begun and its end has not come.
    pub(super) fn is_within(&self, wire: &Wire) -> bool {
        !matches!(self.awaiting, Awaiting::Line)
            || !self.text.is_empty()
            || self.refusal.is_some()
            || wire.is_dropping()
            || !wire.unread().is_empty()
    }

    /// The next command, or `None` until it is there whole. `judge` says whether the command that begins with these octets
    /// may go on; it is asked before each literal.
    pub(super) fn read(
        &mut self,
        wire: &mut Wire,
        limits: &Limits,
        max_message: u32,
        judge: impl Fn(&[u8]) -> Result<(), Refusal>,
    ) -> Option<Framed> {
        loop {
            match self.awaiting {
                Awaiting::Dropped { left } => {
                    let n = left.min(wire.unread().len());
                    wire.skip(n);
                    if n < left {
                        self.awaiting = Awaiting::Dropped { left: left - n };
                        return None;
                    }
                    self.awaiting = Awaiting::Line;
                }
                Awaiting::Literal { size, message } => {
                    let octets = wire.exact(size)?;
                    self.awaiting = Awaiting::Line;
                    // RFC 3501 §9: "The ASCII NUL character, %x00, MUST NOT be used at any time"
                    if memchr::memchr(0, &octets).is_some() {
                        self.refuse("a literal holds NUL");
                    } else if message {
                        self.message = Some(octets);
                    } else {
                        self.text.extend_from_slice(&octets);
                    }
                }
                Awaiting::Line => {
                    if let Some(framed) = self.line(wire, limits, max_message, &judge)? {
                        return Some(framed);
                    }
                }
            }
        }
    }

    /// Takes one line: `None` where there is none yet, `Some(None)` where the command goes on after it.
    fn line(
        &mut self,
        wire: &mut Wire,
        limits: &Limits,
        max_message: u32,
        judge: &impl Fn(&[u8]) -> Result<(), Refusal>,
    ) -> Option<Option<Framed>> {
        self.watch(wire, limits.line);
        let announced = match wire.line(limits.line) {
            Ok(None) => return None,
            Ok(Some(line)) => {
                self.overlong = Overlong::default();
                let announced = announcement(&line.text);
                if self.refusal.is_none() {
                    if announced.is_none()
                        && self.text.is_empty()
                        && line.ending == Ending::CrLf
                        && !has_nul(&line.text)
                    {
                        return Some(Some(Framed::Command { text: line.text, message: None }));
                    }
                    if self.text.len() + line.text.len() > limits.command {
                        self.refuse(format!("command longer than {} octets", limits.command));
                    } else {
                        self.text.extend_from_slice(&line.text);
                    }
                    if line.ending == Ending::BareLf {
                        self.refuse("a line ends with CRLF");
                    } else if has_nul(&line.text) {
                        self.refuse("a line holds NUL");
                    } else if self.message.is_some() && (announced.is_some() || !line.text.is_empty()) {
                        self.refuse("expected the end of the command after the message");
                    }
                }
                announced
            }
            Err(error) => {
                let Overlong { tag, tail } = std::mem::take(&mut self.overlong);
                let tag = if self.text.is_empty() { tag } else { tag_of(&self.text) };
                self.refusal.get_or_insert_with(|| Refusal::bad(tag, error.to_string()));
                announcement(&tail)
            }
        };
        let Some(announced) = announced else { return Some(Some(self.finish())) };
        if self.refusal.is_none() {
            self.refusal = self.weigh(announced, limits, max_message, judge).err();
        }
        if self.refusal.is_some() {
            if announced.synchronising {
                // RFC 9051 §4.3: the client waits for leave, and what it sends after the answer is another command.
                return Some(Some(self.finish()));
            }
            let Some(left) = announced.size else { return Some(Some(Framed::Hopeless)) };
            self.awaiting = Awaiting::Dropped { left: left as usize };
            return Some(None);
        }
        if announced.synchronising {
            wire.out(b"+ send it\r\n");
        }
        Some(None)
    }

    /// Whether the literal is read; sets what is awaited where it is.
    fn weigh(
        &mut self,
        announced: Announced,
        limits: &Limits,
        max_message: u32,
        judge: &impl Fn(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        judge(&self.text)?;
        let tag = || tag_of(&self.text);
        if announced.binary {
            // RFC 3516 §4.3: what a server without BINARY says to literal8
            return Err(Refusal::no(tag(), Code::UnknownCte, "binary literals are not taken here"));
        }
        // The text ends with the line that announced it.
        let message = is_message(self.text.get(..self.text.len().saturating_sub(announced.len)).unwrap_or_default());
        let most = if message { max_message } else { limits.literal };
        let Some(size) = announced.size.filter(|size| *size <= most) else {
            return Err(match message {
                // RFC 7889 §4
                true => Refusal::no(tag(), Code::TooBig, format!("message larger than {most} octets")),
                false => Refusal::bad(tag(), format!("literal larger than {most} octets")),
            });
        };
        self.literals += 1;
        if self.literals > limits.literals {
            return Err(Refusal::bad(tag(), format!("more than {} literals", limits.literals)));
        }
        let size = size as usize;
        if !message && self.text.len() + 2 + size > limits.command {
            return Err(Refusal::bad(tag(), format!("command longer than {} octets", limits.command)));
        }
        self.text.extend_from_slice(b"\r\n");
        self.awaiting = Awaiting::Literal { size, message };
        Ok(())
    }

    /// The command has ended; begins another.
    fn finish(&mut self) -> Framed {
        let done = std::mem::take(self);
        match done.refusal {
            Some(refusal) => Framed::Refused(refusal),
            None => Framed::Command { text: done.text.freeze(), message: done.message },
        }
    }

    fn refuse(&mut self, text: impl Into<String>) {
        let tag = tag_of(&self.text);
        self.refusal.get_or_insert_with(|| Refusal::bad(tag, text));
        // What is kept of a refused command is its tag, in the refusal.
        self.message = None;
    }

    /// Notes the tag and the tail of a line that is about to be dropped, or is being dropped.
    fn watch(&mut self, wire: &Wire, max: usize) {
        let unread = wire.unread();
        if !wire.is_dropping() {
            if unread.len() < max {
                return;
            }
            self.overlong = Overlong { tag: tag_of(unread), tail: Vec::new() };
        }
        let line = unread.get(..memchr::memchr(b'\n', unread).unwrap_or(unread.len())).unwrap_or_default();
        let tail = &mut self.overlong.tail;
        tail.extend_from_slice(line.get(line.len().saturating_sub(TAIL)..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(TAIL));
    }
}

/// Reads `"{" number ["+"] "}"` at the end of a line (whose CR may still be there).
fn announcement(line: &[u8]) -> Option<Announced> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let inner = line.strip_suffix(b"}")?;
    let (inner, synchronising) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, false),
        None => (inner, true),
    };
    let digits = inner.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let (before, digits) = inner.split_at(inner.len() - digits);
    let before = before.strip_suffix(b"{").filter(|_| !digits.is_empty())?;
    let binary = before.last() == Some(&b'~');
    let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    Some(Announced { size, synchronising, binary, len: line.len() - before.len() + usize::from(binary) })
}

/// Whether a literal after `text` is the message of APPEND, and not the name of its mailbox.
fn is_message(text: &[u8]) -> bool {
    let mut words = text.splitn(3, |octet| *octet == b' ');
    let (Some(_tag), Some(verb), Some(rest)) = (words.next(), words.next(), words.next()) else { return false };
    verb.eq_ignore_ascii_case(b"APPEND") && !rest.is_empty()
}

/// The tag that `text` begins with, where it is one.
pub(super) fn tag_of(text: &[u8]) -> Option<String> {
    let len = text.iter().take(MAX_TAG + 1).position(|octet| matches!(octet, b' ' | b'\r' | b'\n'));
    let tag = text.get(..len.unwrap_or(text.len())).filter(|tag| (1..=MAX_TAG).contains(&tag.len()))?;
    if !tag.iter().copied().all(is_tag_char) {
        return None;
    }
    String::from_utf8(tag.to_vec()).ok()
}

/// `tag = 1*<any ASTRING-CHAR except "+">`
pub(super) fn is_tag_char(octet: u8) -> bool {
    octet != b'+' && is_astring_char(octet)
}

fn has_nul(octets: &[u8]) -> bool {
    memchr::memchr(0, octets).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { line: 64, literal: 100, literals: 3, command: 300 };

    fn read(reader: &mut Reader, wire: &mut Wire) -> Option<Framed> {
        reader.read(wire, &LIMITS, 1000, |_| Ok(()))
    }

    #[test]
    fn announcements_stand_at_the_end_of_a_line() {
        let some = |size, synchronising, binary, len| Some(Announced { size, synchronising, binary, len });
        for (line, expected) in [
            ("a LOGIN {5}", some(Some(5), true, false, 3)),
            ("a LOGIN {5+}", some(Some(5), false, false, 4)),
            ("{0}", some(Some(0), true, false, 3)),
            ("a APPEND x ~{12+}", some(Some(12), false, true, 6)),
            ("x{4294967295}\r", some(Some(u32::MAX), true, false, 12)),
            ("{4294967296}", some(None, true, false, 12)),
            ("{99999999999999999999999+}", some(None, false, false, 26)),
            ("a {5} ", None),
            ("a {}", None),
            ("a {+}", None),
            ("a {-1}", None),
            ("a 5}", None),
            ("a {5++}", None),
            ("a {5 }", None),
            ("}", None),
            ("", None),
        ] {
            assert_eq!(announcement(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_message_of_append_is_told_from_the_name_of_its_mailbox() {
        for (text, expected) in [
            ("a APPEND ", false),
            ("a append x ", true),
            ("a APPEND {1}\r\nx ", true),
            ("a APPEND x (\\Seen) ", true),
            ("a LOGIN x ", false),
            ("APPEND x ", false),
            ("", false),
        ] {
            assert_eq!(is_message(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_literal_of_its_limit_is_taken_and_one_octet_more_is_not() {
        for (size, taken) in [(0, true), (100, true), (101, false)] {
            let mut wire = Wire::new();
            wire.feed(format!("a CREATE {{{size}+}}\r\n{}\r\n", "x".repeat(size)).as_bytes());
            let framed = read(&mut Reader::default(), &mut wire);
            assert_eq!(matches!(framed, Some(Framed::Command { .. })), taken, "{size}: {framed:?}");
            assert!(wire.unread().is_empty());
        }
    }

    #[test]
    fn what_is_dropped_is_not_kept() {
        let mut wire = Wire::new();
        let mut reader = Reader::default();
        wire.feed(b"a CREATE {4000000000+}\r\n");
        for _ in 0..1000 {
            wire.feed(&[b'\n'; 4000]);
            assert_eq!(read(&mut reader, &mut wire), None);
            assert!(wire.unread().is_empty() && reader.text.len() < 100);
        }
        // The same of a line that does not end.
        let (mut wire, mut reader) = (Wire::new(), Reader::default());
        for _ in 0..1000 {
            wire.feed(&[b'x'; 4000]);
            assert_eq!(read(&mut reader, &mut wire), None);
            assert!(wire.unread().is_empty() && reader.overlong.tail.len() <= TAIL);
        }
    }

    #[test]
    fn leave_is_given_once_for_each_literal_that_waits_for_it() {
        let mut wire = Wire::new();
        let mut reader = Reader::default();
        wire.feed(b"a RENAME {1}\r\n");
        assert_eq!(read(&mut reader, &mut wire), None);
        assert_eq!(read(&mut reader, &mut wire), None);
        assert_eq!(wire.outgoing(), b"+ send it\r\n");
        wire.feed(b"x {1+}\r\n");
        assert_eq!(read(&mut reader, &mut wire), None);
        wire.feed(b"y\r\n");
        let text = Bytes::from_static(b"a RENAME {1}\r\nx {1+}\r\ny");
        assert_eq!(read(&mut reader, &mut wire), Some(Framed::Command { text, message: None }));
        assert_eq!(wire.outgoing(), b"+ send it\r\n");
        assert!(!reader.is_within(&wire));
    }
}
