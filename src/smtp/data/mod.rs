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

use bytes::Bytes;

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
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is nothing else to find
pub enum Data {
    /// The next octets of the message, dots taken off.
    Chunk(Bytes),
    /// The message is at its end. Whether it is sound says [`DataReader::fault`].
    End,
    /// More must come.
    NeedInput,
}

/// Reads the text of one message off a [`Wire`], up to its end and not an octet further. Holds nothing itself: chunks are
/// slices of what was fed. After a fault nothing more is handed out, and the rest is read and dropped.
///
/// ```
/// use facteur::base::Wire;
/// use facteur::smtp::data::{Data, DataReader};
///
/// let mut wire = Wire::new();
/// wire.feed(b"..dot\r\n.\r\nQUIT\r\n");
/// let mut reader = DataReader::default();
/// assert_eq!(reader.read(&mut wire), Data::Chunk(".dot\r\n".into()));
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
/// assert_eq!(reader.read_chunk(&mut chunk, &mut wire), Data::Chunk(".\r\n".into()));
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

impl DataReader {
    /// Takes the next step. A dot or a CR whose meaning depends on what follows stays unread until that has come.
    pub fn read(&mut self, wire: &mut Wire) -> Data {
        loop {
            let input = wire.unread();
            // What begins here, when it is not plain text.
            let special = match (self.at, input) {
                (_, []) => return Data::NeedInput,
                (At::LineStart, [b'.'] | [b'.', b'\r']) | (_, [b'\r']) => return Data::NeedInput,
                (At::LineStart, [b'.', b'\r', b'\n', ..]) => Some(Special::End),
                (At::LineStart, [b'.', ..]) => Some(Special::Dot),
                (_, [b'\r', b'\n', ..]) => None,
                (_, [b'\r' | b'\n', ..]) => Some(Special::Bare),
                _ => None,
            };
            match special {
                Some(Special::End) => {
                    wire.skip(3);
                    return Data::End;
                }
                Some(Special::Dot) => {
                    wire.skip(1);
                    // RFC 5321 §4.5.2: the dot goes, and what follows it is text, even another dot.
                    self.at = At::Line;
                }
                Some(Special::Bare) => {
                    wire.skip(1);
                    self.at = At::Line;
                    if let Some(chunk) = self.newline(true) {
                        return Data::Chunk(chunk);
                    }
                }
                None => {
                    let len = plain(input);
                    if let Some(chunk) = self.take(wire, len) {
                        return Data::Chunk(chunk);
                    }
                }
            }
        }
    }

    /// Takes the next step in a chunk of BDAT; [`Data::End`] at its end. One reader reads all chunks of a message, one after the
    /// other. A CR whose meaning depends on what follows stays unread until that has come.
    pub fn read_chunk(&mut self, chunk: &mut Chunk, wire: &mut Wire) -> Data {
        loop {
            let input = chunk.within(wire.unread());
            if self.at == At::Cr {
                let bare = match (input, chunk.left, chunk.last) {
                    ([b'\n', ..], ..) => false,
                    ([_, ..], ..) | ([], 0, true) => true,
                    ([], 0, false) => return Data::End,
                    ([], ..) => return Data::NeedInput,
                };
                let lf = usize::from(!bare);
                wire.skip(lf);
                chunk.left -= lf as u64; // it was in the chunk
                self.at = At::Line;
                if let Some(chunk) = self.newline(bare) {
                    return Data::Chunk(chunk);
                }
                continue;
            }
            let len = match input {
                [] if chunk.left == 0 => return Data::End,
                [] => return Data::NeedInput,
                input if self.binary => input.len(),
                [b'\r'] if chunk.left > 1 => return Data::NeedInput,
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
                if let Some(text) = self.take(wire, len) {
                    return Data::Chunk(text);
                }
                continue;
            }
            wire.skip(1);
            chunk.left -= 1; // it was in the chunk
            if self.at != At::Cr
                && let Some(chunk) = self.newline(true)
            {
                return Data::Chunk(chunk);
            }
        }
    }

    /// A line end that is handed out as CRLF; `bare`: it was a CR or a LF alone.
    fn newline(&mut self, bare: bool) -> Option<Bytes> {
        if bare && self.fault.is_none() && self.bare_newlines == BareNewlines::Refuse {
            self.fault = Some(DataFault::BareNewline);
        }
        let room = self.room(b"\r\n")?;
        Some(Bytes::from_static(b"\r\n").slice(..room))
    }

    /// How many octets were handed out.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What is wrong with the message, as far as it was read.
    pub fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// Takes `len` octets of plain text off the wire: those that fit, or `None` where there are none.
    fn take(&mut self, wire: &mut Wire, len: usize) -> Option<Bytes> {
        let text = wire.unread().get(..len)?;
        self.at = if text.last() == Some(&b'\n') { At::LineStart } else { At::Line };
        let Some(room) = self.room(text) else {
            wire.skip(len);
            return None;
        };
        let chunk = wire.take(room);
        wire.skip(len - room);
        Some(chunk)
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
mod tests {
    use super::*;

    #[test]
    fn chunks_carry_what_data_carries() {
        for (text, expected) in [
            ("", ""),
            ("a", "a\r\n"),
            ("a\r\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"),
            ("a\nb\rc\r\r\n\n", "a\r\nb\r\nc\r\n\r\n\r\n"),
            ("\n", "\r\n"),
            ("\r", "\r\n"),
            ("\n\r", "\r\n\r\n"),
        ] {
            let text = Bytes::from(text);
            assert_eq!(canonical(&text), expected, "{text:?}");
            let (mut wire, mut writer) = (Wire::new(), DataWriter::default());
            writer.write(&text, &mut wire);
            writer.finish(&mut wire);
            let mut sent = Vec::new();
            while !wire.outgoing().is_empty() {
                let n = wire.outgoing().len();
                sent.extend_from_slice(wire.outgoing());
                wire.sent(n);
            }
            let mut back = Wire::new();
            back.feed(&sent);
            let mut read = Vec::new();
            let mut reader = DataReader::default();
            while let Data::Chunk(chunk) = reader.read(&mut back) {
                read.extend_from_slice(&chunk);
            }
            assert_eq!(read, expected.as_bytes(), "{text:?}");
        }
        let text = Bytes::from("a\r\n");
        assert_eq!(canonical(&text).as_ptr(), text.as_ptr(), "shared where it can be");
    }

    /// What a reader makes of `input` fed in pieces of `cut` octets: the text, the fault, and what is left unread.
    fn read(reader: &DataReader, input: &[u8], cut: usize) -> Option<(Vec<u8>, Option<DataFault>, Vec<u8>)> {
        let mut reader = reader.clone();
        let mut wire = Wire::new();
        let mut text = Vec::new();
        let mut pieces = input.chunks(cut);
        loop {
            match reader.read(&mut wire) {
                Data::Chunk(chunk) => {
                    assert!(!chunk.is_empty());
                    text.extend_from_slice(&chunk);
                }
                Data::End => {
                    let left = [wire.unread(), &pieces.collect::<Vec<_>>().concat()].concat();
                    assert_eq!(reader.size(), text.len() as u64);
                    return Some((text, reader.fault(), left));
                }
                Data::NeedInput => wire.feed(pieces.next()?),
            }
        }
    }

    fn check(reader: &DataReader, input: &[u8], expected: Option<(&[u8], Option<DataFault>)>) {
        for cut in [1, 2, 3, 5, 64, 1000] {
            let came = read(reader, input, cut);
            let came = came.as_ref().map(|(text, fault, left)| {
                assert!(left.is_empty() || left == b"QUIT\r\n", "{}", left.escape_ascii());
                (&text[..], *fault)
            });
            assert_eq!(came, expected, "{} cut by {cut}", input.escape_ascii());
        }
    }

    #[test]
    fn dots_are_taken_off_and_only_the_true_end_is_the_end() {
        for (input, text) in [
            (&b".\r\n"[..], &b""[..]),
            (b".\r\nQUIT\r\n", b""),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"...\r\n.\r\n", b"..\r\n"),
            (b".a\r\n.b\r\n..c\r\n.\r\n", b"a\r\nb\r\n.c\r\n"),
            (b"a.\r\n. \r\n.\r\n", b"a.\r\n \r\n"),
            (b"\r\n\r\n.\r\nQUIT\r\n", b"\r\n\r\n"),
            (b".\0\r\n.\r\n", b"\0\r\n"),
            (b"\0.\r\n.\r\n", b"\0.\r\n"),
        ] {
            check(&DataReader::default(), input, Some((text, None)));
        }
        for input in
            [&b""[..], b".", b".\r", b"a\r\n.\r", b"a\r\n..\r\n", b"a.\r\n", b"a\n.\n", b"\n.\r\n", b".\n", b".\r\r\n"]
        {
            check(&DataReader::default(), input, None);
        }
    }

    #[test]
    fn bare_newlines_are_refused_at_the_true_end() {
        for (input, text) in [
            (&b"a\n.\nMAIL\r\n.\r\nQUIT\r\n"[..], &b"a"[..]),
            (b"a\r.\rMAIL\r\n.\r\n", b"a"),
            (b"a\n.\r\nMAIL\r\n.\r\n", b"a"),
            (b"a\r\n.\nMAIL\r\n.\r\n", b"a\r\n"),
            (b"a\r\n.\rMAIL\r\n.\r\n", b"a\r\n"),
            (b"a\r\n.\r\r\nMAIL\r\n.\r\n", b"a\r\n"),
            (b"\n.\r\nMAIL\r\n.\r\n", b""),
        ] {
            check(&DataReader::default(), input, Some((text, Some(DataFault::BareNewline))));
        }
    }

    #[test]
    fn bare_newlines_are_normalised_where_that_is_wanted() {
        let reader = DataReader { bare_newlines: BareNewlines::Normalise, ..DataReader::default() };
        for (input, text) in [
            (&b"a\nb\rc\r\n.\r\nQUIT\r\n"[..], &b"a\r\nb\r\nc\r\n"[..]),
            // No line begins after a LF alone, so the dot is text, and what looks like an end is none.
            (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
            (b"a\n..\r\n.\r\n", b"a\r\n..\r\n"),
            (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
            (b"a\r\r\n.\r\n", b"a\r\n\r\n"),
        ] {
            check(&reader, input, Some((text, None)));
        }
    }

    #[test]
    fn limits_cut_at_the_same_octet_however_the_input_is_cut() {
        let reader = DataReader { max_size: Some(4), ..DataReader::default() };
        check(&reader, b"ab\r\n.\r\n", Some((b"ab\r\n", None)));
        check(&reader, b"abc\r\n.\r\nQUIT\r\n", Some((b"abc\r", Some(DataFault::TooLarge))));
        check(&reader, b"ab\r\n..\r\n.\r\n", Some((b"ab\r\n", Some(DataFault::TooLarge))));
        let reader = DataReader { max_line: Some(4), ..DataReader::default() };
        check(&reader, b"ab\r\nab\r\n..ab\r\n.\r\n", Some((b"ab\r\nab\r\n.ab\r", Some(DataFault::LineTooLong))));
        check(&reader, b"ab\r\n.ab\r\n.\r\n", Some((b"ab\r\nab\r\n", None)));
        check(&reader, b"ab\r\nabcdefgh\nMAIL\r\n.\r\n", Some((b"ab\r\nabcd", Some(DataFault::LineTooLong))));
    }

    #[test]
    fn the_fast_search_finds_what_the_slow_one_finds() {
        let slow = |text: &[u8]| {
            let mut at = 0;
            loop {
                match text.get(at..).unwrap_or_default() {
                    [] | [b'\r'] => return at,
                    [b'\r', b'\n', b'.', ..] => return at + 2,
                    [b'\r', b'\n', ..] => at += 2,
                    [b'\r' | b'\n', ..] => return at,
                    _ => at += 1,
                }
            }
        };
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut next = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let len = next(600);
            let special = 2 + next(300);
            let text: Vec<u8> = (0..len)
                .flat_map(|_| match next(special) {
                    0 => b"\r\n".to_vec(),
                    1 => vec![*b"\r\n.".get(next(3) as usize).unwrap()],
                    _ => vec![b'x'],
                })
                .collect();
            if text.first() != Some(&b'\n') {
                assert_eq!(plain(&text), slow(&text), "{}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_written_is_strict_however_it_is_cut() {
        for (content, expected) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a\r\n.\r\nMAIL\r\n", b"a\r\n..\r\nMAIL\r\n.\r\n"),
            (b"a\n.\nb\r.\r", b"a\r\n..\r\nb\r\n..\r\n.\r\n"),
            (b"\r\r\n\n.", b"\r\n\r\n\r\n..\r\n.\r\n"),
            (b"..a.b\r\n", b"...a.b\r\n.\r\n"),
        ] {
            for cut in 1..=content.len().max(1) {
                let mut wire = Wire::new();
                let mut writer = DataWriter::default();
                for piece in content.chunks(cut) {
                    writer.write(&Bytes::copy_from_slice(piece), &mut wire);
                }
                writer.finish(&mut wire);
                assert_eq!(outgoing(&mut wire).escape_ascii().to_string(), expected.escape_ascii().to_string());
            }
        }
        let long = Bytes::from([&[b'x'; 2000][..], b"\r\n.", &[b'y'; 2000], b"\r\n"].concat());
        let (mut wire, mut writer) = (Wire::new(), DataWriter::default());
        writer.write(&long, &mut wire);
        writer.finish(&mut wire);
        let sent = outgoing(&mut wire);
        check(&DataReader::default(), &sent, Some((&long, None)));
    }

    /// What a reader makes of chunks of these texts, fed in pieces of `cut` octets.
    fn read_chunks(reader: &DataReader, chunks: &[&[u8]], cut: usize) -> (Vec<u8>, Option<DataFault>) {
        let (mut reader, mut wire, mut text) = (reader.clone(), Wire::new(), Vec::new());
        let input = chunks.concat();
        let mut pieces = input.chunks(cut);
        for (number, octets) in chunks.iter().enumerate() {
            let mut chunk = Chunk { left: octets.len() as u64, last: number + 1 == chunks.len() };
            loop {
                match reader.read_chunk(&mut chunk, &mut wire) {
                    Data::Chunk(octets) => text.extend_from_slice(&octets),
                    Data::End => break,
                    Data::NeedInput => wire.feed(pieces.next().expect("more")),
                }
            }
            assert_eq!(chunk.left, 0);
        }
        assert!(wire.unread().is_empty() && pieces.next().is_none());
        assert_eq!(reader.size(), text.len() as u64);
        (text, reader.fault())
    }

    #[test]
    fn chunks_end_where_their_count_says() {
        let bare = Some(DataFault::BareNewline);
        for (chunks, text, fault) in [
            (&[&b"a\r\n.\r\nb\r\n"[..]][..], &b"a\r\n.\r\nb\r\n"[..], None),
            (&[b""], b"", None),
            (&[b"", b"", b""], b"", None),
            (&[b"a\r", b"\nb\r\n", b""], b"a\r\nb\r\n", None),
            (&[b"a\r", b"", b"\n"], b"a\r\n", None),
            (&[b"..a", b".b\r\n"], b"..a.b\r\n", None),
            (&[b"no end"], b"no end", None),
            (&[b"a\nb"], b"a", bare),
            (&[b"a\rb"], b"a", bare),
            (&[b"a\r", b"b"], b"a", bare),
            (&[b"a\r"], b"a", bare),
            (&[b"a\r", b""], b"a", bare),
            (&[b"\n", b"b\r\n"], b"", bare),
        ] {
            for cut in 1..10 {
                assert_eq!(
                    read_chunks(&DataReader::default(), chunks, cut),
                    (text.to_vec(), fault),
                    "{chunks:?} {cut}"
                );
            }
        }
        let normalise = DataReader { bare_newlines: BareNewlines::Normalise, ..DataReader::default() };
        let binary = DataReader { binary: true, max_line: Some(3), ..DataReader::default() };
        let small = DataReader { max_size: Some(4), ..DataReader::default() };
        let short = DataReader { max_line: Some(4), ..DataReader::default() };
        for (reader, chunks, text, fault) in [
            (&normalise, &[&b"a\r"[..], b"b\n", b"\r", b"\r\n\r"][..], &b"a\r\nb\r\n\r\n\r\n\r\n"[..], None),
            (&binary, &[b"a\nb\r", b"\0\xff.\r\n.\r\n long"], b"a\nb\r\0\xff.\r\n.\r\n long", None),
            (&small, &[b"abc", b"d", b""], b"abcd", None),
            (&small, &[b"abc", b"de", b"fg\n"], b"abcd", Some(DataFault::TooLarge)),
            (&small, &[b"abc\r", b"\n"], b"abc\r", Some(DataFault::TooLarge)),
            (&short, &[b"ab", b"\r\nab\r\nab", b"c\r\n"], b"ab\r\nab\r\nabc\r", Some(DataFault::LineTooLong)),
        ] {
            for cut in 1..10 {
                assert_eq!(read_chunks(reader, chunks, cut), (text.to_vec(), fault), "{chunks:?} {cut}");
            }
        }
        let mut wire = Wire::new();
        wire.feed(b"abcRSET");
        let mut chunk = Chunk { left: 3, last: false };
        assert!(chunk.skip(&mut wire) && wire.unread() == b"RSET");
        let mut endless = Chunk { left: u64::MAX, last: false };
        assert!(!endless.skip(&mut wire) && wire.unread().is_empty() && endless.left == u64::MAX - 4);
    }

    fn outgoing(wire: &mut Wire) -> Vec<u8> {
        let mut sent = Vec::new();
        while !wire.outgoing().is_empty() {
            sent.extend_from_slice(wire.outgoing());
            wire.sent(wire.outgoing().len());
        }
        sent
    }
}
