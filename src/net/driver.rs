//! Drives any [`Machine`] over any stream of octets.
//!
//! It reads while it writes, so that two peers with full pipes cannot wait for each other for ever. It reads only when
//! the machine asks for input, and stops when a peer that takes no replies has sent [`READ_AHEAD`] octets more than
//! were wanted. While it waits no buffer is held: octets are read into the stack and fed from there, but for texts, which
//! are read where they stay.
//!
//! Time is tokio's, so that a test can pause it.

use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::base::{Machine, Step};
use crate::net::tls::{Side, Stream};

/// How much is read in one go, in octets.
const READ: usize = 8 * 1024;

/// How much may lie unread while the machine's output is not taken, in octets. A machine that wants a larger piece at
/// once gets it when its output is sent.
pub const READ_AHEAD: usize = 64 * 1024;

/// A machine on a stream.
///
/// It dereferences to the machine, so that an event is answered on the driver itself. Dropping it drops the
/// connection; whatever is still outgoing is lost then, so go on until [`next`](Self::next) returns `None`.
///
/// ```
/// use std::time::Instant;
///
/// use facteur::base::{Machine, Step, Wire, wire::LineTooLong};
/// use facteur::net::Driver;
///
/// /// Reports each line.
/// struct Lines(Wire);
///
/// impl Machine for Lines {
///     type Event = String;
///     type Error = LineTooLong;
///     fn wire(&mut self) -> &mut Wire {
///         &mut self.0
///     }
///     fn tick(&mut self, _: Instant) {}
///     fn poll(&mut self) -> Result<Step<String>, LineTooLong> {
///         Ok(match self.0.line(512)? {
///             Some(line) => Step::Event(line.text.escape_ascii().to_string()),
///             None if self.0.is_closed() => Step::Done,
///             None => Step::NeedInput,
///         })
///     }
///     fn deadline(&self) -> Option<Instant> {
///         None
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let stream = tokio::io::join(&b"one\r\ntwo\r\n"[..], tokio::io::sink());
/// let mut lines = Driver::new(Lines(Wire::new()), stream);
/// assert_eq!(lines.next().await?.as_deref(), Some("one"));
/// assert_eq!(lines.next().await?.as_deref(), Some("two"));
/// assert_eq!(lines.next().await?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Driver<M, IO> {
    machine: M,
    stream: Stream<IO>,
    tls: Option<Side>,
    limits: Limits,
    writing: Writing,
    /// By when the peer must take some of the output, while it takes none.
    stalled: Option<Instant>,
    /// By when a handshake, or the end, must be done, while one is under way.
    limit: Option<Instant>,
}

/// How long the driver waits where the machine has nothing to wait for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The peer takes nothing of what is outgoing. 5 minutes, the least of the reply timeouts of RFC 5321 §4.5.3.2.
    pub stall: Duration,
    /// A TLS handshake. 60 seconds: it is a few round trips and no human takes part.
    pub handshake: Duration,
    /// The farewell after an error is sent and read. 5 seconds: a peer that was at fault is owed no more.
    pub farewell: Duration,
}

/// Why a conversation broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E: std::error::Error + 'static> {
    /// The machine's own fault; its farewell has been sent where the peer took it.
    #[error(transparent)]
    Machine(E),
    /// The program asked for the next event before it answered the last one.
    #[error("the last event was left unanswered")]
    Unanswered,
    /// The stream failed.
    #[error("connection: {0}")]
    Io(#[source] io::Error),
    /// The peer ended the stream, and the machine has nothing more to wait for.
    #[error("connection closed by the peer")]
    Closed,
    /// The peer took nothing of what was outgoing for [`Limits::stall`].
    #[error("the peer takes no output")]
    Stalled,
    /// The TLS handshake did not succeed, or took longer than [`Limits::handshake`].
    #[error("tls: {0}")]
    Tls(#[source] io::Error),
    /// The machine wants TLS, and the driver was given none, or has it already.
    #[error("tls asked for where there is none to give")]
    NoTls,
    /// Octets in the clear lay unread where the handshake was to begin, and the machine broke its promise to refuse them.
    #[error("octets in the clear before the tls handshake")]
    EarlyOctets,
}

/// What [`Driver::next`] returns.
type Next<M> = Result<Option<<M as Machine>::Event>, Error<<M as Machine>::Error>>;

#[derive(Debug)]
enum Writing {
    /// All that was handed to the stream is on its way.
    Flushed,
    /// The stream may hold something back.
    Unflushed,
    /// The stream takes no more, so output is dropped. What the peer said before may still be read.
    Broken,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stall: Duration::from_secs(300), handshake: Duration::from_secs(60), farewell: Duration::from_secs(5) }
    }
}

impl<M: Machine, IO: AsyncRead + AsyncWrite + Unpin> Driver<M, IO> {
    /// A machine at the start of its conversation, on a stream in the clear.
    pub fn new(machine: M, stream: IO) -> Self {
        Self {
            machine,
            stream: Stream::Plain(stream),
            tls: None,
            limits: Limits::default(),
            writing: Writing::Flushed,
            stalled: None,
            limit: None,
        }
    }

    /// Which side of the handshake to take when the machine wants TLS.
    #[must_use]
    pub fn with_tls(mut self, side: impl Into<Side>) -> Self {
        self.tls = Some(side.into());
        self
    }

    /// Other limits than the default.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Implicit TLS: shakes hands before the conversation begins, and tells the machine of it.
    ///
    /// # Errors
    /// [`Error::Tls`]; [`Error::NoTls`] without [`with_tls`](Self::with_tls).
    pub async fn encrypted(mut self) -> Result<Self, Error<M::Error>> {
        let mut timer = pin!(None);
        std::future::poll_fn(|cx| {
            loop {
                let now = self.now();
                let moved = self.secure(cx, now)?;
                if self.stream.is_secure() {
                    return Poll::Ready(Ok(()));
                }
                if !moved && self.wait(cx, timer.as_mut(), None).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await?;
        Ok(self)
    }

    /// The next event; `None` when the conversation is over and the stream has been closed in good order.
    ///
    /// Dropping the future before it is ready loses nothing: the next call goes on where it was.
    ///
    /// # Errors
    /// Why the conversation broke off. Only [`Error::Unanswered`] can be mended, by answering.
    pub async fn next(&mut self) -> Result<Option<M::Event>, Error<M::Error>> {
        let mut timer = pin!(None);
        std::future::poll_fn(|cx| self.poll_next(cx, timer.as_mut())).await
    }

    /// Sends what is outgoing now, and returns when the stream has taken it or the machine's deadline has come. For
    /// answers that are written piece by piece.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stalled`]. That the peer does not listen any more is told by [`next`](Self::next), which
    /// may still have something to read.
    pub async fn flush(&mut self) -> Result<(), Error<M::Error>> {
        let mut timer = pin!(None);
        std::future::poll_fn(|cx| {
            loop {
                let now = self.now();
                let moved = self.send(cx, now)?;
                let deadline = self.machine.deadline();
                if self.is_sent() || deadline.is_some_and(|at| at <= now) {
                    return Poll::Ready(Ok(()));
                }
                // The peer may wait for us to read before it does. What comes stays in the wire.
                let room = self.machine.wire().unread().len() < READ_AHEAD;
                let moved = moved | (room && self.receive(cx)?);
                if !moved && self.wait(cx, timer.as_mut(), deadline).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Option<Sleep>>) -> Poll<Next<M>> {
        loop {
            let now = self.now();
            let step = self.machine.poll();
            // One that has passed was told of by the tick above.
            let deadline = self.machine.deadline().filter(|at| *at > now);
            let (moved, deadline) = match step {
                Ok(Step::Event(event)) => return Poll::Ready(Ok(Some(event))),
                Ok(Step::NeedAnswer) => return Poll::Ready(Err(Error::Unanswered)),
                Ok(Step::NeedInput) => (self.converse(cx, now, deadline)?, deadline),
                Ok(Step::StartTls) => (self.secure(cx, now)?, deadline),
                Ok(Step::Done) => match self.finish(cx, now)? {
                    End::Done => return Poll::Ready(Ok(None)),
                    end => (end == End::Moved, None),
                },
                // An error is sticky, so it comes again until the farewell is said.
                Err(error) => match self.say_farewell(cx, now) {
                    End::Done => return Poll::Ready(Err(Error::Machine(error))),
                    end => (end == End::Moved, None),
                },
            };
            if !moved && self.wait(cx, timer.as_mut(), deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Tells the machine the time.
    fn now(&mut self) -> Instant {
        let now = tokio::time::Instant::now().into_std();
        self.machine.tick(now);
        now
    }

    /// Writes and reads what can be, and says whether anything moved.
    fn converse(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<bool, Error<M::Error>> {
        let sent = self.send(cx, now)?;
        let wire = self.machine.wire();
        let full = wire.is_held() || (wire.backlog() > 0 && wire.unread().len() >= READ_AHEAD);
        let moved = sent | (!full && self.receive(cx)?);
        if !moved {
            // A machine that waits for a moment (a pause before the greeting, say) may still go on after it.
            if self.machine.wire().is_closed() && self.is_sent() && deadline.is_none() {
                return Err(Error::Closed);
            }
            self.machine.wire().shrink();
        }
        Ok(moved)
    }

    /// Writes what can be written without waiting, and says whether anything moved.
    fn send(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, Error<M::Error>> {
        let wire = self.machine.wire();
        let before = wire.backlog();
        let result = loop {
            let octets = wire.outgoing();
            let n = match (octets.len(), &self.writing) {
                (0, Writing::Unflushed) => match self.stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {
                        self.writing = Writing::Flushed;
                        continue;
                    }
                    other => break other,
                },
                (0, _) => break Poll::Ready(Ok(())),
                (all, Writing::Broken) => all,
                _ => match self.stream.poll_write(cx, octets) {
                    Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(n)) => {
                        self.writing = Writing::Unflushed;
                        n
                    }
                    Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                    Poll::Pending => break Poll::Pending,
                },
            };
            wire.sent(n);
        };
        let moved = wire.backlog() < before;
        match result {
            Poll::Ready(Ok(())) => self.stalled = None,
            // The peer has hung up. What it said before, a 421 perhaps, may still be there to read.
            Poll::Ready(Err(_)) => {
                self.writing = Writing::Broken;
                return Ok(true);
            }
            Poll::Pending if moved => self.stalled = Some(now + self.limits.stall),
            Poll::Pending => {
                if *self.stalled.get_or_insert(now + self.limits.stall) <= now {
                    return Err(Error::Stalled);
                }
            }
        }
        Ok(moved)
    }

    /// Whether nothing is outgoing and nothing is held back.
    fn is_sent(&mut self) -> bool {
        self.machine.wire().backlog() == 0 && !matches!(self.writing, Writing::Unflushed)
    }

    /// Reads once what can be read without waiting, and says whether anything came.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool, Error<M::Error>> {
        let wire = self.machine.wire();
        if wire.is_closed() {
            return Ok(false);
        }
        let read = if wire.is_expecting() {
            self.stream.poll_read_into(cx, &mut wire.spare(READ))
        } else {
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = self.stream.poll_read(cx, &mut buffer);
            wire.feed(buffer.filled());
            read.map_ok(|()| buffer.filled().len())
        };
        match read {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => wire.close(),
            Poll::Ready(Ok(_)) => {}
            // A stream that ends without close_notify: each mail protocol knows for itself where its messages end.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => wire.close(),
            Poll::Ready(Err(error)) => return Err(Error::Io(error)),
        }
        Ok(true)
    }

    /// Goes on towards an encrypted stream: the last octets in the clear, then the handshake.
    fn secure(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<bool, Error<M::Error>> {
        if self.stream.is_plain() {
            if !self.machine.wire().unread().is_empty() {
                return Err(Error::EarlyOctets);
            }
            // Nothing is read from here on: what comes belongs to the handshake.
            let moved = self.send(cx, now)?;
            if !self.is_sent() {
                return Ok(moved);
            }
            self.stream.begin(self.tls.as_ref().ok_or(Error::NoTls)?);
            self.limit = Some(now + self.limits.handshake);
        } else if self.stream.is_secure() {
            return Err(Error::NoTls);
        }
        match self.stream.poll_handshake(cx) {
            Poll::Ready(Ok(tls)) => {
                self.limit = None;
                self.machine.tls_started(tls);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(Error::Tls(error)),
            Poll::Pending if self.limit.is_some_and(|limit| limit <= now) => {
                Err(Error::Tls(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Ok(false),
        }
    }

    /// Sends the rest and closes.
    fn finish(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<End, Error<M::Error>> {
        if !self.stream.is_open() {
            return Ok(End::Done);
        }
        let moved = self.send(cx, now)?;
        if !self.is_sent() {
            // The peer may wait for us to read before it does.
            return Ok(if moved | (self.discard(cx) == End::Moved) { End::Moved } else { End::Waits });
        }
        let limit = *self.limit.get_or_insert(now + self.limits.farewell);
        if self.stream.poll_shutdown(cx).is_pending() && now < limit {
            return Ok(End::Waits);
        }
        self.stream = Stream::Closed;
        Ok(End::Done)
    }

    /// Sends the farewell, closes our half, and reads on until the peer closes its own: a socket that is closed with
    /// octets unread is reset, which takes from the peer what it has not yet read.
    fn say_farewell(&mut self, cx: &mut Context<'_>, now: Instant) -> End {
        let limit = *self.limit.get_or_insert(now + self.limits.farewell);
        let end = match self.send(cx, now) {
            _ if !self.stream.is_open() || limit <= now => End::Done,
            Err(_) => End::Done,
            Ok(true) => End::Moved,
            Ok(false) if self.is_sent() && self.stream.poll_shutdown(cx).is_pending() => End::Waits,
            Ok(false) => self.discard(cx),
        };
        if end == End::Done {
            self.stream = Stream::Closed;
        }
        end
    }

    /// Reads once, and drops what came; done where the peer has ended the stream.
    fn discard(&mut self, cx: &mut Context<'_>) -> End {
        let mut space = [const { MaybeUninit::uninit() }; READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        match self.stream.poll_read(cx, &mut buffer) {
            Poll::Pending => End::Waits,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => End::Moved,
            Poll::Ready(_) => End::Done,
        }
    }

    /// Ready when the first of the deadlines has come.
    fn wait(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Option<Sleep>>,
        deadline: Option<Instant>,
    ) -> Poll<()> {
        let Some(until) = [deadline, self.stalled, self.limit].into_iter().flatten().min() else {
            timer.set(None);
            return Poll::Pending;
        };
        let until = tokio::time::Instant::from_std(until);
        if timer.as_ref().as_pin_ref().is_none_or(|sleep| sleep.deadline() != until) {
            timer.set(Some(tokio::time::sleep_until(until)));
        }
        timer.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}

/// How far the end of a conversation has come.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Moved,
    Waits,
    Done,
}

impl<M, IO> Deref for Driver<M, IO> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.machine
    }
}

impl<M, IO> DerefMut for Driver<M, IO> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.machine
    }
}
