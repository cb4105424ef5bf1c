//! What answers the requests of one session out of a [`Mailbox`] (RFC 1939 §§5-7).
//!
//! The maildrop of a session is what the mailbox shows when the session begins; what arrives later is for the next one.

use bytes::Bytes;

use crate::pop3::command::Number;
use crate::pop3::reply::{Code, Reply};
use crate::pop3::server::{Request, Server};
use crate::store::{Entry, Mailbox, StoreError, Uid};

/// Listings are written in pieces of about so many octets.
const PIECE: usize = 4 * 1024;

/// The maildrop of one session.
///
/// A request is taken with [`begin`](Self::begin), which does all that may block, and answered by calling
/// [`step`](Self::step) until it is finished; what is outgoing is sent between the steps. A large message is thus never
/// copied, and no more of it is queued than [`max_backlog`](super::ServerConfig::max_backlog) allows.
///
/// Only [`Request::Quit`] removes anything. Drop the backend and with it the mailbox, and nothing has happened.
///
/// ```
/// use std::time::Instant;
/// use facteur::base::{Machine, Step};
/// use facteur::pop3::{Backend, Progress, Server, ServerConfig, ServerEvent};
/// use facteur::store::{Store, memory};
///
/// let mut config = ServerConfig::new();
/// config.clear_text = true;
/// let mut server = Server::new(config, Instant::now());
/// server.wire().feed(b"USER ada\r\nPASS tanstaaf\r\nLIST\r\n");
/// let store = memory::Store::new();
/// let mut backend: Option<Backend<memory::Mailbox>> = None;
/// while let Step::Event(event) = server.poll()? {
///     match (event, &mut backend) {
///         (ServerEvent::Request(request), Some(backend)) => {
///             backend.begin(request);
///             while backend.step(&mut server) == Progress::More {
///                 // Send what is outgoing.
///             }
///         }
///         _ => {
///             backend = Some(Backend::new(store.open("INBOX")?)); // once name and password are checked
///             server.accept();
///         }
///     }
/// }
/// assert!(server.wire().outgoing().ends_with(b"+OK 0 messages (0 octets)\r\n.\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Backend<M> {
    mailbox: M,
    /// How many of the mailbox's messages belong to this session, and which of them are marked as deleted.
    deleted: Vec<bool>,
    job: Job,
}

/// Whether an answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[allow(clippy::exhaustive_enums)] // there is no third
pub enum Progress {
    /// Send what is outgoing, then call [`Backend::step`] again.
    More,
    /// The answer is complete, or the session is over.
    Finished,
}

#[derive(Debug)]
enum Job {
    Idle,
    Line(Reply),
    Listing { first: Option<Reply>, next: usize, what: Listing },
    Text { first: Option<Reply>, rest: Bytes },
}

#[derive(Clone, Copy, Debug)]
enum Listing {
    Sizes,
    Ids,
}

impl<M: Mailbox> Backend<M> {
    /// The maildrop that `mailbox` shows now.
    pub fn new(mailbox: M) -> Self {
        // Message numbers have 32 bits here.
        let most = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        let messages = mailbox.messages().len().min(most);
        Self { deleted: vec![false; messages], mailbox, job: Job::Idle }
    }

    /// The mailbox.
    pub fn mailbox(&self) -> &M {
        &self.mailbox
    }

    /// Gives the mailbox back; nothing is removed.
    pub fn into_mailbox(self) -> M {
        self.mailbox
    }

    /// Takes a request and does what may block: reading a message, and removing at [`Request::Quit`].
    pub fn begin(&mut self, request: Request) {
        self.job = self.job(request).unwrap_or_else(Job::Line);
    }

    /// Writes some of the answer.
    pub fn step(&mut self, server: &mut Server) -> Progress {
        while !server.is_over() && server.room() > 0 {
            match &mut self.job {
                Job::Idle => return Progress::Finished,
                Job::Line(reply) => {
                    server.reply(reply.clone());
                    self.job = Job::Idle;
                }
                Job::Listing { first, next, what } => {
                    if let Some(first) = first.take() {
                        server.begin_lines(first);
                    }
                    let validity = self.mailbox.uid_validity();
                    let mut text = String::new();
                    let entries = self.mailbox.messages().iter().zip(&self.deleted).enumerate().skip(*next);
                    for (index, (entry, deleted)) in entries {
                        *next = index + 1;
                        if *deleted {
                            continue;
                        }
                        text.push_str(&what.line(index, entry, validity));
                        text.push_str("\r\n");
                        if text.len() >= PIECE {
                            break;
                        }
                    }
                    server.lines(text.into());
                    if *next >= self.deleted.len() {
                        server.end_lines();
                        self.job = Job::Idle;
                    }
                }
                Job::Text { first, rest } => {
                    if let Some(first) = first.take() {
                        server.begin_lines(first);
                    }
                    server.lines(rest.split_to(rest.len().min(server.room())));
                    if rest.is_empty() {
                        server.end_lines();
                        self.job = Job::Idle;
                    }
                }
            }
        }
        if server.is_over() {
            self.job = Job::Idle;
        }
        if matches!(self.job, Job::Idle) { Progress::Finished } else { Progress::More }
    }

    /// What to do, or the reply where that is all.
    fn job(&mut self, request: Request) -> Result<Job, Reply> {
        Ok(match request {
            Request::Stat => {
                let (messages, octets) = self.left();
                Job::Line(Reply::ok(format!("{messages} {octets}")))
            }
            Request::List(None) => {
                let first = Reply::ok(self.sum());
                Job::Listing { first: Some(first), next: 0, what: Listing::Sizes }
            }
            Request::Uidl(None) => Job::Listing { first: Some(Reply::ok("")), next: 0, what: Listing::Ids },
            Request::List(Some(message)) => self.one(message, Listing::Sizes)?,
            Request::Uidl(Some(message)) => self.one(message, Listing::Ids)?,
            Request::Retr(message) => {
                let text = self.read(message)?;
                Job::Text { first: Some(Reply::ok(format!("{} octets", text.len()))), rest: text }
            }
            Request::Top { message, lines } => {
                let mut text = self.read(message)?;
                text.truncate(top(&text, lines));
                Job::Text { first: Some(Reply::ok("top of message follows")), rest: text }
            }
            Request::Dele(message) => {
                let (index, _) = self.find(message)?;
                if let Some(mark) = self.deleted.get_mut(index) {
                    *mark = true;
                }
                Job::Line(Reply::ok(format!("message {message} deleted")))
            }
            Request::Rset => {
                self.deleted.fill(false);
                Job::Line(Reply::ok(format!("maildrop has {}", self.sum())))
            }
            Request::Quit => self.update(),
        })
    }

    /// RFC 1939 §6: "In no case may the server remove any messages not marked as deleted."
    fn update(&mut self) -> Job {
        let (left, _) = self.left();
        let marked = self.mailbox.messages().iter().zip(&self.deleted).filter(|(_, deleted)| **deleted);
        let uids: Vec<Uid> = marked.map(|(entry, _)| entry.uid).collect();
        let removed = if uids.is_empty() { Ok(()) } else { self.mailbox.remove(&uids) };
        self.deleted = Vec::new();
        Job::Line(match (removed, left) {
            (Err(_), _) => Reply::err("some deleted messages not removed").with(Code::SysTemp),
            (Ok(()), 0) => Reply::ok("signing off (maildrop empty)"),
            (Ok(()), 1) => Reply::ok("signing off (1 message left)"),
            (Ok(()), left) => Reply::ok(format!("signing off ({left} messages left)")),
        })
    }

    fn one(&self, message: Number, what: Listing) -> Result<Job, Reply> {
        let (index, entry) = self.find(message)?;
        Ok(Job::Line(Reply::ok(what.line(index, entry, self.mailbox.uid_validity()))))
    }

    fn read(&self, message: Number) -> Result<Bytes, Reply> {
        let (_, entry) = self.find(message)?;
        self.mailbox.read(entry.uid).map_err(|error| match error {
            StoreError::NoMessage => Reply::err("the message is gone"),
            _ => Reply::err("the message cannot be read now").with(Code::SysTemp),
        })
    }

    /// A message that is there and not marked as deleted.
    fn find(&self, message: Number) -> Result<(usize, &Entry), Reply> {
        let index = usize::try_from(message.get() - 1).unwrap_or(usize::MAX);
        match (self.mailbox.messages().get(index), self.deleted.get(index)) {
            (Some(entry), Some(false)) => Ok((index, entry)),
            (Some(_), Some(true)) => Err(Reply::err(format!("message {message} is deleted"))),
            _ => Err(Reply::err(format!("no such message, only {} in maildrop", count(self.deleted.len())))),
        }
    }

    /// How many messages are not marked as deleted, and their octets.
    fn left(&self) -> (usize, u64) {
        let left = self.mailbox.messages().iter().zip(&self.deleted).filter(|(_, deleted)| !**deleted);
        left.fold((0, 0), |(messages, octets), (entry, _)| (messages + 1, octets + entry.size))
    }

    fn sum(&self) -> String {
        let (messages, octets) = self.left();
        format!("{} ({octets} octets)", count(messages))
    }
}

impl Listing {
    fn line(self, index: usize, entry: &Entry, validity: impl std::fmt::Display) -> String {
        let message = index + 1;
        match self {
            Self::Sizes => format!("{message} {}", entry.size),
            // UIDVALIDITY and UID together are never used again (RFC 9051 §2.3.1.1), which is what UIDL asks for.
            Self::Ids => format!("{message} {validity}.{}", entry.uid),
        }
    }
}

fn count(messages: usize) -> String {
    if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") }
}

/// How many octets the header, the blank line and the first `lines` lines of the body have.
fn top(text: &[u8], lines: u32) -> usize {
    let body = if text.starts_with(b"\r\n") {
        2
    } else {
        memchr::memmem::find(text, b"\r\n\r\n").map_or(text.len(), |found| found + 4)
    };
    let mut ends = memchr::memmem::find_iter(text.get(body..).unwrap_or_default(), b"\r\n");
    match usize::try_from(lines).ok().and_then(|lines| lines.checked_sub(1)) {
        None => body,
        Some(before) => ends.nth(before).map_or(text.len(), |end| body + end + 2),
    }
}
