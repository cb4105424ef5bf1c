//! The two byte queues of one connection: what came in and is not yet read, what goes out and is not yet sent.
//!
//! A line is looked for from where the last search ended, so that input cut into single octets costs no more than input
//! in one piece. The in-buffer holds at most one read of the driver beyond what a machine waits for; the out-queue is
//! bounded by the machine that fills it, which looks at [`Wire::backlog`].
//!
//! A text that is collected need not be copied: what is read of it can be [kept](Wire::keep) in the buffer that it was read
//! into, and taken from there as a whole.

use std::collections::VecDeque;
use std::fmt;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Buffers up to this size are kept for the next reply, or the rest of a command; larger ones are given back.
const KEPT: usize = 4 * 1024;

/// A buffer has room for as many octets at least, so that one serves for several lines.
const AT_LEAST: usize = 512;

/// A buffer grows to at most so many times what it holds, whatever was announced to come.
const GROWTH: usize = 4;

/// What follows an announced text: its end, the dots of some lines, the next command.
const BEHIND: usize = 256;

/// A text up to this size, in octets, may share its buffer with what is read next; a longer one is not to be held by that.
const SHARED: usize = 16 * 1024;

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
    /// What is kept, then what was read and is gone, then what is unread.
    input: BytesMut,
    /// Where what is kept ends.
    kept: usize,
    /// Where what is unread begins; never before what is kept ends, never behind `input`.
    at: usize,
    /// A text comes, of which so many octets were announced.
    expected: Option<usize>,
    /// How much of what is unread has been searched for a line end without success.
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
        self.make_room(octets.len());
        self.input.extend_from_slice(octets);
    }

    /// Room for up to `most` octets to read into without a copy; what is written there counts as fed.
    pub fn spare(&mut self, most: usize) -> Limit<&mut BytesMut> {
        // Not more than what is to come, or the last piece of a text would make its buffer grow once more.
        self.make_room(self.to_come().map_or(most, |octets| octets.min(most)));
        (&mut self.input).limit(most)
    }

    /// Whether a text comes, which a driver reads best into [`spare`](Self::spare) room. Whatever else comes it had better
    /// [`feed`](Self::feed), to hold no buffer while it waits.
    pub fn is_expecting(&self) -> bool {
        self.expected.is_some()
    }

    /// How many octets of an announced text are still to come, and what may follow it.
    fn to_come(&self) -> Option<usize> {
        let announced = self.expected.filter(|octets| *octets > 0)?;
        announced.saturating_add(BEHIND).checked_sub(self.input.len()).filter(|octets| *octets > 0)
    }

    fn make_room(&mut self, octets: usize) {
        if self.at == self.input.len() {
            // All is read: what comes goes right behind what is kept.
            self.input.truncate(self.kept);
            self.at = self.kept;
        } else if self.kept > 0 && self.at > self.kept {
            let left = self.input.len() - self.at; // few, for a machine has read what it can
            self.input.copy_within(self.at.., self.kept);
            self.input.truncate(self.kept + left);
            self.at = self.kept;
        } else {
            self.drop_read();
        }
        let len = self.input.len();
        if self.input.capacity() - len < octets {
            let to_come = self.to_come().unwrap_or(0).min(len.saturating_mul(GROWTH - 1));
            self.input.reserve(octets.max(AT_LEAST).max(to_come));
        }
    }

    /// Lets go of what was read, where nothing is kept before it.
    fn drop_read(&mut self) {
        if self.kept == 0 && self.at > 0 {
            self.input.advance(self.at);
            self.at = 0;
        }
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
        let Some(end) = self.line_end(max)? else { return Ok(None) };
        let mut text = self.take(end + 1);
        let (line, ending) = ended(&text);
        text.truncate(line.len());
        Ok(Some(Line { text, ending }))
    }

    /// For machines: the same left where it lies, for lines of which nothing is kept. It is read then.
    ///
    /// # Errors
    /// As with [`line`](Self::line).
    pub fn read_line(&mut self, max: usize) -> Result<Option<(&[u8], Ending)>, LineTooLong> {
        let Some(end) = self.line_end(max)? else { return Ok(None) };
        Ok(Some(ended(self.read(end + 1))))
    }

    /// Where the LF of the next line is.
    fn line_end(&mut self, max: usize) -> Result<Option<usize>, LineTooLong> {
        let Some(found) = memchr::memchr(b'\n', &self.unread()[self.searched..]) else {
            // `searched` never passes the end
            self.searched = self.unread().len();
            if self.searched >= max {
                self.dropping = true;
            }
            if self.dropping {
                self.skip(self.searched);
            }
            return Ok(None);
        };
        let end = self.searched + found;
        if std::mem::take(&mut self.dropping) || end >= max {
            self.skip(end + 1);
            return Err(LineTooLong { max });
        }
        Ok(Some(end))
    }

    /// For machines: whether an overlong line is being dropped, that is, whether octets were taken that no line has
    /// accounted for yet.
    pub fn is_dropping(&self) -> bool {
        self.dropping
    }

    /// For machines: exactly `n` octets; `None` until they are there.
    pub fn exact(&mut self, n: usize) -> Option<Bytes> {
        (self.unread().len() >= n).then(|| self.take(n))
    }

    /// For machines: between one and `max` octets, as many as are there; `None` where there are none.
    pub fn some(&mut self, max: usize) -> Option<Bytes> {
        let n = self.unread().len().min(max);
        (n > 0).then(|| self.take(n))
    }

    /// For machines: the octets that are there, left where they are.
    pub fn unread(&self) -> &[u8] {
        &self.input[self.at..] // `at` is never behind the end
    }

    /// For machines: takes the first `n` octets of [`unread`](Self::unread), or all where there are fewer. A copy, where
    /// something is kept.
    pub fn take(&mut self, n: usize) -> Bytes {
        if self.kept > 0 {
            return Bytes::copy_from_slice(self.read(n));
        }
        self.drop_read();
        let n = n.min(self.input.len());
        self.searched = self.searched.saturating_sub(n);
        self.input.split_to(n).freeze()
    }

    /// For machines: the first `n` octets of [`unread`](Self::unread), or all where there are fewer, which are read then.
    pub fn read(&mut self, n: usize) -> &[u8] {
        let from = self.at;
        self.skip(n);
        &self.input[from..self.at] // it has gone forward, and not behind the end
    }

    /// For machines: drops the first `n` octets of [`unread`](Self::unread), or all where there are fewer.
    pub fn skip(&mut self, n: usize) {
        let n = n.min(self.unread().len());
        self.searched = self.searched.saturating_sub(n);
        self.at += n;
    }

    /// For machines: says that a text comes, and how many octets of it were announced, 0 for none; or that none comes any
    /// more. What was announced saves room from being made twice, and is not believed further.
    pub fn expect(&mut self, announced: Option<usize>) {
        self.expected = announced;
    }

    /// For machines: reads the first `n` octets of [`unread`](Self::unread), or all where there are fewer, and keeps them,
    /// behind what is kept already.
    pub fn keep(&mut self, n: usize) {
        let n = n.min(self.unread().len());
        let gap = self.at - self.kept;
        // The gap is closed by moving what is shorter. What is read next will go right behind it, so that no more than this
        // piece of the text ever moves.
        if gap > 0 && self.kept < n {
            self.input.copy_within(..self.kept, gap);
            self.input.advance(gap);
            self.at = self.kept;
        } else if gap > 0 {
            self.input.copy_within(self.at..self.at + n, self.kept);
        }
        self.kept += n;
        self.skip(n);
    }

    /// For machines: keeps octets that did not come, behind what is kept already.
    pub fn keep_also(&mut self, octets: &[u8]) {
        if self.at - self.kept < octets.len() {
            // Room for as many more as can be wanted for what is unread, so that it is moved once.
            let (unread, more) = (self.unread().len(), self.unread().len() + octets.len());
            self.input.resize(self.input.len() + more, 0);
            self.input.copy_within(self.at..self.at + unread, self.at + more);
            self.at += more;
        }
        let end = self.kept + octets.len();
        self.input[self.kept..end].copy_from_slice(octets); // as long as there was room for
        self.kept = end;
    }

    /// For machines: what is kept.
    pub fn kept(&self) -> &[u8] {
        &self.input[..self.kept] // never behind the end
    }

    /// For machines: takes what is kept, without a copy.
    pub fn take_kept(&mut self) -> BytesMut {
        let kept = self.input.split_to(self.kept);
        self.at -= self.kept;
        self.drop_kept();
        if kept.len() > SHARED && self.unread().len() < kept.len() {
            // Or a few octets that wait would hold the buffer of a large text.
            self.input = BytesMut::from(self.unread());
            self.at = 0;
        }
        kept
    }

    /// For machines: drops what is kept.
    pub fn drop_kept(&mut self) {
        self.kept = 0;
        self.drop_read();
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

    /// For machines: gives the buffers back where they are empty, or nearly. Worth calling when a long wait begins.
    pub fn shrink(&mut self) {
        if self.kept == 0 && self.at == self.input.len() {
            self.input = BytesMut::new();
            self.at = 0;
        } else if self.input.len() <= KEPT / 4 && self.input.capacity() > KEPT {
            self.input = BytesMut::from(&self.input[..]);
        }
        if self.backlog == 0 {
            self.tail = BytesMut::new();
            self.queue = VecDeque::new();
        }
    }
}

/// A line that ends in LF without its end, and how it ends.
fn ended(line: &[u8]) -> (&[u8], Ending) {
    match line {
        [text @ .., b'\r', b'\n'] => (text, Ending::CrLf),
        [text @ .., _] => (text, Ending::BareLf),
        [] => (line, Ending::BareLf), // it has its LF
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
mod tests;
