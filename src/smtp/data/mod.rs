//! The text of a message on its way through DATA (RFC 5321 §4.5.2): dots taken off and put on, and where the end is; and
//! through BDAT (RFC 3030 §2): pieces of a size that is known before.
//!
//! This is the one place that decides where a message ends. The rules, so that no sender can make one server see two
//! messages where another sees one (SMTP smuggling):
//!
//! - Only CRLF `.` CRLF ends a message, or `.` CRLF as its first line. RFC 5321 §4.1.1.4: a server "MUST NOT" take
//!   anything else for it.
//! - Only a CRLF begins a line, so only after one does a dot mean anything.
//! - A CR or LF alone is not allowed (RFC 5321 §2.3.8). The message is read to its true end and refused there, or the
//!   octet is made a CRLF, as [`BareNewlines`] says. Either way nothing after it is taken for a command.
//! - What is written holds no CR or LF alone.
//! - A chunk of BDAT ends where its count says. A CR or LF alone in it is treated as in DATA, even where CR and LF stand in two
//!   chunks, unless the message was declared to be binary.

use crate::base::Wire;
use crate::text::transfer::plain_lines;

mod write;

pub use write::DataWriter;
pub(crate) use write::canonical;

/// What becomes of a message that holds a CR or a LF alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BareNewlines {
    /// It is refused once it has been read to its true end.
    #[default]
    Refuse,
    /// Each becomes a CRLF. For senders that one must hear and that cannot be mended.
    Normalise,
}

/// Why a message that was read is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DataFault {
    /// It holds a CR or a LF alone.
    #[error("bare CR or LF")]
    BareNewline,
    /// It is larger than the limit.
    #[error("message too large")]
    TooLarge,
    /// A line is longer than the limit.
    #[error("line too long")]
    LineTooLong,
    /// The client took it back between two chunks, or made one fail and went on.
    #[error("message taken back")]
    TakenBack,
    /// The application refused it by its header.
    #[error("refused by its header")]
    Refused,
}

/// What [`DataReader::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is nothing else to find
pub enum Data<'a> {
    /// The next octets of the message, dots taken off: where they were fed, not copied.
    Chunk(&'a [u8]),
    /// The message is at its end. Whether it is sound says [`DataReader::fault`].
    End,
    /// More must come.
    NeedInput,
}

/// Reads the text of one message off a [`Wire`], up to its end and not an octet further: in chunks, or
/// [kept](Self::keep) in the wire as a whole. Holds nothing itself. After a fault nothing more is handed out, and the rest
/// is read and dropped.
///
/// ```
/// use facteur::base::Wire;
/// use facteur::smtp::data::{Data, DataReader};
///
/// let mut wire = Wire::new();
/// wire.feed(b"..dot\r\n.\r\nQUIT\r\n");
/// let mut reader = DataReader::default();
/// assert_eq!(reader.read(&mut wire), Data::Chunk(b".dot\r\n"));
/// assert_eq!(reader.read(&mut wire), Data::End);
/// assert_eq!(wire.unread(), b"QUIT\r\n");
/// ```
#[derive(Clone, Debug, Default)]
pub struct DataReader {
    /// What becomes of a CR or a LF alone.
    pub bare_newlines: BareNewlines,
    /// The most octets of a message, dots taken off; `None` for no limit.
    pub max_size: Option<u64>,
    /// The most octets of a line with its end, dot taken off; `None` for no limit.
    pub max_line: Option<u64>,
    /// Chunks only: octets are taken as they are, for there are no lines (RFC 3030 §3).
    pub binary: bool,
    at: At,
    size: u64,
    line: u64,
    fault: Option<DataFault>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// After CRLF, or at the very beginning.
    #[default]
    LineStart,
    /// Anywhere else.
    Line,
    /// After a CR that was the last octet of a chunk, and is not yet handed out.
    Cr,
}

/// How much of a chunk of BDAT is still to come.
///
/// ```
/// use facteur::base::Wire;
/// use facteur::smtp::data::{Chunk, Data, DataReader};
///
/// let mut wire = Wire::new();
/// wire.feed(b".\r\nRSET\r\n");
/// let mut chunk = Chunk { left: 3, last: true };
/// let mut reader = DataReader::default();
/// assert_eq!(reader.read_chunk(&mut chunk, &mut wire), Data::Chunk(b".\r\n"));
/// assert_eq!(reader.read_chunk(&mut chunk, &mut wire), Data::End);
/// assert_eq!(wire.unread(), b"RSET\r\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // what BDAT says
pub struct Chunk {
    /// In octets.
    pub left: u64,
    /// It is the last of the message.
    pub last: bool,
}

impl Chunk {
    /// Drops what has come of it; `true` where it is at its end.
    pub fn skip(&mut self, wire: &mut Wire) -> bool {
        let n = self.within(wire.unread()).len();
        wire.skip(n);
        self.left -= n as u64; // no more than was left
        self.left == 0
    }

    /// Those of the octets that belong to it.
    fn within<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let len = usize::try_from(self.left).map_or(octets.len(), |left| left.min(octets.len()));
        octets.get(..len).unwrap_or_default()
    }
}

/// What comes next on the wire.
enum Next {
    /// So many octets of text, and behind them so many that are not handed out.
    Text(usize, usize),
    /// A line end for one that was none, or as much of it as fits.
    Newline(&'static [u8]),
    End,
    NeedInput,
}

impl Next {
    fn read(self, wire: &mut Wire) -> Data<'_> {
        match self {
            Self::Text(len, over) => Data::Chunk(wire.read(len + over).get(..len).unwrap_or_default()),
            Self::Newline(octets) => Data::Chunk(octets),
            Self::End => Data::End,
            Self::NeedInput => Data::NeedInput,
        }
    }

    /// `None` where it was text.
    fn keep(self, wire: &mut Wire) -> Option<bool> {
        match self {
            Self::Text(len, over) => {
                wire.keep(len);
                wire.skip(over);
                None
            }
            Self::Newline(octets) => {
                wire.keep_also(octets);
                None
            }
            Self::End => Some(true),
            Self::NeedInput => Some(false),
        }
    }
}

impl DataReader {
    /// Takes the next step. A dot or a CR whose meaning depends on what follows stays unread until that has come.
    pub fn read<'a>(&mut self, wire: &'a mut Wire) -> Data<'a> {
        self.next(wire).read(wire)
    }

    /// Reads what is there, and keeps the text in the wire, for [`Wire::take_kept`] to take it as a whole; `true` where the
    /// message is at its end.
    ///
    /// ```
    /// use facteur::base::Wire;
    /// use facteur::smtp::data::DataReader;
    ///
    /// let (mut wire, mut reader) = (Wire::new(), DataReader::default());
    /// wire.feed(b"one\r\n..two\r");
    /// assert!(!reader.keep(&mut wire));
    /// wire.feed(b"\n.\r\nQUIT\r\n");
    /// assert!(reader.keep(&mut wire));
    /// assert_eq!(wire.take_kept(), "one\r\n.two\r\n");
    /// assert_eq!(wire.unread(), b"QUIT\r\n");
    /// ```
    pub fn keep(&mut self, wire: &mut Wire) -> bool {
        loop {
            if let Some(is_end) = self.next(wire).keep(wire) {
                return is_end;
            }
        }
    }

    /// Takes the next step in a chunk of BDAT; [`Data::End`] at its end. One reader reads all chunks of a message, one after the
    /// other. A CR whose meaning depends on what follows stays unread until that has come.
    pub fn read_chunk<'a>(&mut self, chunk: &mut Chunk, wire: &'a mut Wire) -> Data<'a> {
        self.next_of_chunk(chunk, wire).read(wire)
    }

    /// As [`keep`](Self::keep), in a chunk of BDAT.
    pub fn keep_chunk(&mut self, chunk: &mut Chunk, wire: &mut Wire) -> bool {
        loop {
            if let Some(is_end) = self.next_of_chunk(chunk, wire).keep(wire) {
                return is_end;
            }
        }
    }

    fn next(&mut self, wire: &mut Wire) -> Next {
        loop {
            let input = wire.unread();
            // What begins here, when it is not plain text.
            let special = match (self.at, input) {
                (_, []) => return Next::NeedInput,
                (At::LineStart, [b'.'] | [b'.', b'\r']) | (_, [b'\r']) => return Next::NeedInput,
                (At::LineStart, [b'.', b'\r', b'\n', ..]) => Some(Special::End),
                (At::LineStart, [b'.', ..]) => Some(Special::Dot),
                (_, [b'\r', b'\n', ..]) => None,
                (_, [b'\r' | b'\n', ..]) => Some(Special::Bare),
                _ => None,
            };
            match special {
                Some(Special::End) => {
                    wire.skip(3);
                    return Next::End;
                }
                Some(Special::Dot) => {
                    wire.skip(1);
                    // RFC 5321 §4.5.2: the dot goes, and what follows it is text, even another dot.
                    self.at = At::Line;
                }
                Some(Special::Bare) => {
                    wire.skip(1);
                    self.at = At::Line;
                    if let Some(newline) = self.newline(true) {
                        return newline;
                    }
                }
                None => {
                    let len = plain(input);
                    if let Some(text) = self.text(wire, len) {
                        return text;
                    }
                }
            }
        }
    }

    fn next_of_chunk(&mut self, chunk: &mut Chunk, wire: &mut Wire) -> Next {
        loop {
            let input = chunk.within(wire.unread());
            if self.at == At::Cr {
                let bare = match (input, chunk.left, chunk.last) {
                    ([b'\n', ..], ..) => false,
                    ([_, ..], ..) | ([], 0, true) => true,
                    ([], 0, false) => return Next::End,
                    ([], ..) => return Next::NeedInput,
                };
                let lf = usize::from(!bare);
                wire.skip(lf);
                chunk.left -= lf as u64; // it was in the chunk
                self.at = At::Line;
                if let Some(newline) = self.newline(bare) {
                    return newline;
                }
                continue;
            }
            let len = match input {
                [] if chunk.left == 0 => return Next::End,
                [] => return Next::NeedInput,
                input if self.binary => input.len(),
                [b'\r'] if chunk.left > 1 => return Next::NeedInput,
                [b'\r'] => {
                    self.at = At::Cr;
                    0
                }
                [b'\r', b'\n', ..] => plain(input),
                [b'\r' | b'\n', ..] => 0,
                input => plain(input),
            };
            if len > 0 {
                chunk.left -= len as u64; // they were in the chunk
                if let Some(text) = self.text(wire, len) {
                    return text;
                }
                continue;
            }
            wire.skip(1);
            chunk.left -= 1; // it was in the chunk
            if self.at != At::Cr
                && let Some(newline) = self.newline(true)
            {
                return newline;
            }
        }
    }

    /// A line end that is handed out as CRLF; `bare`: it was a CR or a LF alone.
    fn newline(&mut self, bare: bool) -> Option<Next> {
        if bare && self.fault.is_none() && self.bare_newlines == BareNewlines::Refuse {
            self.fault = Some(DataFault::BareNewline);
        }
        let room = self.room(b"\r\n")?;
        b"\r\n".get(..room).map(Next::Newline)
    }

    /// How many octets were handed out.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is wrong with the message, as far as it was read.
    pub fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// The next `len` octets on the wire, which are plain text: those that fit. Where none do they are dropped.
    fn text(&mut self, wire: &mut Wire, len: usize) -> Option<Next> {
        let text = wire.unread().get(..len)?;
        self.at = if text.last() == Some(&b'\n') { At::LineStart } else { At::Line };
        let Some(room) = self.room(text) else {
            wire.skip(len);
            return None;
        };
        Some(Next::Text(room, len - room))
    }

    /// How many octets of `text` may be handed out: all, or those before the first that breaks a limit; `None` for none.
    fn room(&mut self, text: &[u8]) -> Option<usize> {
        if self.fault.is_some() {
            return None;
        }
        let mut room = text.len();
        if let Some(at) = self.overlong(text) {
            room = at;
            self.fault = Some(DataFault::LineTooLong);
        }
        let left = self.max_size.map_or(u64::MAX, |max| max - self.size); // size never passes max_size
        if left < room as u64 {
            room = left as usize; // less than a usize, as just compared
            self.fault = Some(DataFault::TooLarge);
        }
        self.size += room as u64;
        (room > 0).then_some(room)
    }

    /// Where a line of `text` breaks the limit. Keeps the length of the line under way.
    fn overlong(&mut self, text: &[u8]) -> Option<usize> {
        let max = self.max_line.filter(|_| !self.binary)?;
        if self.line + text.len() as u64 <= max {
            // No line in it can be too long, so only its last one matters.
            self.line = match memchr::memrchr(b'\n', text) {
                Some(end) => (text.len() - end - 1) as u64,
                None => self.line + text.len() as u64,
            };
            return None;
        }
        let mut begin = 0;
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            if self.line + line.len() as u64 > max {
                return Some(begin + (max - self.line) as usize); // less than the length of the line
            }
            begin += line.len();
            self.line = if line.last() == Some(&b'\n') { 0 } else { self.line + line.len() as u64 };
        }
        None
    }
}

/// What is not plain text.
enum Special {
    /// Dot, CR, LF at the start of a line.
    End,
    /// A dot at the start of a line with more behind it.
    Dot,
    /// A CR or a LF alone.
    Bare,
}

/// How many octets from the start are plain: no CR or LF alone, no dot behind a LF. The first octet is not looked at as a
/// dot and must not be a LF. Never ends between a CR and its LF.
fn plain(text: &[u8]) -> usize {
    // Two neighbours: a CR wants a LF behind it, a LF a CR before it, and no dot behind it.
    let odd = |(this, next): (&u8, &u8)| ((*this == b'\r') != (*next == b'\n')) | ((*this == b'\n') & (*next == b'.'));
    let follow = text.get(1..).unwrap_or_default();
    let clean = plain_lines(text);
    let pairs = text.get(clean..).unwrap_or_default().iter().zip(follow.get(clean..).unwrap_or_default());
    match pairs.into_iter().position(odd) {
        // A CR alone begins here; a LF alone, or a dot behind a LF, is the neighbour.
        Some(at) if text.get(clean + at) == Some(&b'\r') => clean + at,
        Some(at) => clean + at + 1,
        // The last octet has no neighbour: a CR waits for its LF.
        None if text.last() == Some(&b'\r') => text.len() - 1,
        None => text.len(),
    }
}

#[cfg(test)]
mod tests;
