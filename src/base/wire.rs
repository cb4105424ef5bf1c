//! The two byte queues of one connection: what came in and is not yet read, what goes out and is not yet sent.
//!
//! A line is looked for from where the last search ended, so that input cut into single octets costs no more than input
//! in one piece. The in-buffer holds at most one read of the driver beyond what a machine waits for; the out-queue is
//! bounded by the machine that fills it, which looks at [`Wire::backlog`].

use std::collections::VecDeque;
use std::fmt;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Out-buffers up to this size are kept for the next reply; larger ones are given back once sent.
const KEPT: usize = 4 * 1024;

/// A buffer has room for as many octets at least, so that one serves for several lines.
const AT_LEAST: usize = 512;

/// The in-buffer and the out-queue of one connection.
///
/// ```
/// use facteur::base::Wire;
///
/// let mut wire = Wire::new();
/// wire.feed(b"NO");
/// assert_eq!(wire.line(512)?, None);
/// wire.feed(b"OP\r\nQUIT\r\n");
/// assert_eq!(wire.line(512)?.unwrap().text, "NOOP");
/// wire.out(b"250 OK\r\n");
/// assert_eq!(wire.outgoing(), b"250 OK\r\n");
/// wire.sent(8);
/// assert_eq!(wire.backlog(), 0);
/// # Ok::<(), facteur::base::wire::LineTooLong>(())
/// ```
#[derive(Debug, Default)]
pub struct Wire {
    input: BytesMut,
    /// How much of `input` has been searched for a line end without success.
    searched: usize,
    /// An overlong line is being dropped; its end has not come yet.
    dropping: bool,
    closed: bool,
    held: bool,
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    backlog: usize,
}

/// One line without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The octets before the line end.
    pub text: Bytes,
    /// How the line ended.
    pub ending: Ending,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no third way to find a LF
pub enum Ending {
    /// CR LF, as every mail protocol asks for.
    CrLf,
    /// LF alone: whether this counts as a line end is for the protocol to say.
    BareLf,
}

/// A line was longer than allowed. It has been dropped up to and with its end, so the next line is read as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line longer than {max} octets")]
pub struct LineTooLong {
    /// The limit, in octets with the line end.
    pub max: usize,
}

impl Wire {
    /// Two empty queues.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in octets that the peer sent.
    pub fn feed(&mut self, octets: &[u8]) {
        if self.input.capacity() - self.input.len() < octets.len() {
            self.input.reserve(octets.len().max(AT_LEAST));
        }
        self.input.extend_from_slice(octets);
    }

    /// Room for up to `most` octets to read into without a copy; what is written there counts as fed.
    pub fn spare(&mut self, most: usize) -> Limit<&mut BytesMut> {
        self.input.reserve(most);
        (&mut self.input).limit(most)
    }

    /// Says that the peer will send no more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether [`close`](Self::close) was called. Octets that came before may still be unread.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the machine wants nothing fed for now, however long it waits: a driver reads nothing until that ends, so that
    /// a peer that sends on cannot fill the memory.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// For machines: says whether [`is_held`](Self::is_held). What is fed all the same is kept.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// The octets to send next, empty where there is nothing to send. More may follow once these are [`sent`](Self::sent).
    pub fn outgoing(&self) -> &[u8] {
        match self.queue.front() {
            Some(first) => first,
            None => &self.tail,
        }
    }

    /// Says that the first `n` octets of [`outgoing`](Self::outgoing) are on their way.
    ///
    /// # Panics
    /// Where `n` is more than was outgoing: a driver that says so has lost count.
    pub fn sent(&mut self, n: usize) {
        assert!(n <= self.outgoing().len(), "more octets sent than were outgoing");
        self.backlog -= n;
        let Some(first) = self.queue.front_mut() else {
            self.tail.advance(n);
            if self.tail.is_empty() {
                // Give a large buffer back; take a small one up again from its start.
                if self.tail.capacity() > KEPT { self.tail = BytesMut::new() } else { self.tail.clear() }
            }
            return;
        };
        first.advance(n);
        if first.is_empty() {
            self.queue.pop_front();
        }
    }

    /// How many octets wait to be sent.
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// For machines: the next line of at most `max` octets, its end counted; `None` until it is there whole.
    ///
    /// # Errors
    /// Once for each line that is longer, when its end has come, so that a reply to it keeps its place. Until then its
    /// octets are dropped as they come.
    pub fn line(&mut self, max: usize) -> Result<Option<Line>, LineTooLong> {
        let Some(found) = memchr::memchr(b'\n', &self.input[self.searched..]) else {
            // `searched` never passes the end
            self.searched = self.input.len();
            if self.searched >= max {
                self.dropping = true;
            }
            if self.dropping {
                self.input.clear();
                self.searched = 0;
            }
            return Ok(None);
        };
        let end = self.searched + found;
        self.searched = 0;
        let mut line = self.input.split_to(end + 1);
        if std::mem::take(&mut self.dropping) || line.len() > max {
            return Err(LineTooLong { max });
        }
        line.truncate(end);
        let ending = if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
            Ending::CrLf
        } else {
            Ending::BareLf
        };
        Ok(Some(Line { text: line.freeze(), ending }))
    }

    /// For machines: whether an overlong line is being dropped, that is, whether octets were taken that no line has
    /// accounted for yet.
    pub fn is_dropping(&self) -> bool {
        self.dropping
    }

    /// For machines: exactly `n` octets; `None` until they are there.
    pub fn exact(&mut self, n: usize) -> Option<Bytes> {
        (self.input.len() >= n).then(|| self.take(n))
    }

    /// For machines: between one and `max` octets, as many as are there; `None` where there are none.
    pub fn some(&mut self, max: usize) -> Option<Bytes> {
        let n = self.input.len().min(max);
        (n > 0).then(|| self.take(n))
    }

    /// For machines: the octets that are there, left where they are.
    pub fn unread(&self) -> &[u8] {
        &self.input
    }

    /// For machines: takes the first `n` octets of [`unread`](Self::unread), or all where there are fewer.
    pub fn take(&mut self, n: usize) -> Bytes {
        let n = n.min(self.input.len());
        self.searched = self.searched.saturating_sub(n);
        self.input.split_to(n).freeze()
    }

    /// For machines: drops the first `n` octets of [`unread`](Self::unread), or all where there are fewer.
    pub fn skip(&mut self, n: usize) {
        let n = n.min(self.input.len());
        self.searched = self.searched.saturating_sub(n);
        self.input.advance(n);
    }

    /// For machines: sends `octets`.
    pub fn out(&mut self, octets: &[u8]) {
        if self.tail.capacity() - self.tail.len() < octets.len() {
            self.tail.reserve(octets.len().max(AT_LEAST));
        }
        self.tail.extend_from_slice(octets);
        self.backlog += octets.len();
    }

    /// For machines: sends `octets` without copying them.
    pub fn out_shared(&mut self, octets: Bytes) {
        if octets.is_empty() {
            return;
        }
        self.backlog += octets.len();
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
        self.queue.push_back(octets);
    }

    /// For machines: gives the buffers back where they are empty. Worth calling when a long wait begins.
    pub fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.searched = 0;
        }
        if self.backlog == 0 {
            self.tail = BytesMut::new();
            self.queue = VecDeque::new();
        }
    }
}

/// `write!` to a wire sends the text; it cannot fail.
impl fmt::Write for Wire {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let input = b"EHLO a\r\nbare\nan overlong line\r\n\r\nlast\r\nrest";
        let lines = |pieces: &[&[u8]]| {
            let mut wire = Wire::new();
            let mut lines = Vec::new();
            for piece in pieces {
                wire.feed(piece);
                loop {
                    match wire.line(10) {
                        Ok(None) => break,
                        Ok(Some(line)) => lines.push(Ok((line.text.to_vec(), line.ending))),
                        Err(error) => lines.push(Err(error)),
                    }
                }
            }
            lines
        };
        let expected = vec![
            Ok((b"EHLO a".to_vec(), Ending::CrLf)),
            Ok((b"bare".to_vec(), Ending::BareLf)),
            Err(LineTooLong { max: 10 }),
            Ok((b"".to_vec(), Ending::CrLf)),
            Ok((b"last".to_vec(), Ending::CrLf)),
        ];
        assert_eq!(lines(&[input]), expected);
        assert_eq!(lines(&input.chunks(1).collect::<Vec<_>>()), expected);
        assert_eq!(lines(&input.chunks(7).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn the_limit_counts_the_line_end() {
        let mut wire = Wire::new();
        wire.feed(b"12345678\r\n123456789\r\n");
        assert!(matches!(wire.line(10), Ok(Some(line)) if line.text == "12345678"));
        assert_eq!(wire.line(10), Err(LineTooLong { max: 10 }));
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut wire = Wire::new();
        for _ in 0..1000 {
            wire.feed(&[b'x'; 1000]);
            assert_eq!(wire.line(512), Ok(None));
            assert!(wire.unread().is_empty());
        }
        assert!(wire.is_dropping());
        wire.feed(b"\nNOOP\r\n");
        assert_eq!(wire.line(512), Err(LineTooLong { max: 512 }));
        assert!(matches!(wire.line(512), Ok(Some(line)) if line.text == "NOOP"));
    }

    #[test]
    fn shared_chunks_keep_their_place_among_copied_ones() {
        let mut wire = Wire::new();
        wire.out(b"a");
        wire.out_shared(Bytes::from_static(b"bc"));
        wire.out(b"d");
        assert_eq!(wire.backlog(), 4);
        let mut sent = Vec::new();
        while !wire.outgoing().is_empty() {
            sent.push(wire.outgoing()[0]);
            wire.sent(1);
        }
        assert_eq!(sent, b"abcd");
        assert_eq!(wire.backlog(), 0);
    }

    #[test]
    fn taking_part_of_a_searched_buffer_does_not_lose_the_line() {
        let mut wire = Wire::new();
        wire.feed(b"abcdef");
        assert_eq!(wire.line(100), Ok(None));
        assert_eq!(wire.take(3), "abc");
        wire.feed(b"\r\n");
        assert!(matches!(wire.line(100), Ok(Some(line)) if line.text == "def"));
    }
}
