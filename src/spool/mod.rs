//! A message waiting to go. Once it is accepted, it is our responsibility not to lose it (RFC 5321 §6.1).
//!
//! [`Spool`] is what servers and runners stand on: a message is written through a [`Draft`], which is nothing until it is
//! committed and everything afterwards; a runner takes an [`Entry`] by a [`Claim`], which no two runners hold at once.
//! [`Queue`] implements them in a directory of files as sendmail has them, [`Memory`] for tests. [`retry`] says when to try again, [`bounce`] what to tell the sender.
//!
//! Methods may block on a disk or a network; an async program calls them on a thread that may wait. Nothing in the traits
//! assumes that the disk is local.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;

use crate::base::{ParseError, Timestamp};
use crate::smtp::{Enhanced, Envelope, MailParams, Recipient, Reply, ReversePath};

pub mod bounce;
pub mod content;
pub mod mailq;
pub mod memory;
pub mod qf;
#[cfg(unix)]
pub mod queue;
pub mod retry;

#[cfg(all(test, unix))]
mod crash;
#[cfg(unix)]
mod disk;
#[cfg(unix)]
mod record;
#[cfg(unix)]
mod turns;

pub use bounce::{Report, Reporter, Success};
pub use memory::Memory;
#[cfg(unix)]
pub use queue::{Queue, QueueConfig};
pub use retry::Schedule;

/// Messages waiting to go. Several handles to the same spool may live at once, in one process or in many.
pub trait Spool: Send + Sync {
    /// A message being received.
    type Draft: Draft;
    /// An entry held by one runner.
    type Claim: Claim;

    /// Begins a message. Its id is known from now on, and given to no other message.
    ///
    /// # Errors
    /// Where the spool cannot be written.
    fn begin(&self) -> Result<Self::Draft, SpoolError>;

    /// The ids of all entries, those on hold too, in no particular order.
    ///
    /// # Errors
    /// Where the spool cannot be read.
    fn list(&self) -> Result<Vec<QueueId>, SpoolError>;

    /// An entry as it stands; somebody may hold a claim on it and change it at any time.
    ///
    /// # Errors
    /// [`SpoolError::NoEntry`] where it is gone, [`SpoolError::Damaged`] where it cannot be understood.
    fn entry(&self, id: &QueueId) -> Result<Entry, SpoolError>;

    /// Takes hold of an entry. The hold ends when the claim is dropped or the process dies. `None` where somebody else holds
    /// it or it is gone: both are for a runner to pass over.
    ///
    /// # Errors
    /// Where the spool cannot be read; [`SpoolError::Damaged`] where the entry cannot be understood.
    fn claim(&self, id: &QueueId) -> Result<Option<Self::Claim>, SpoolError>;

    /// The ids of the entries to be tried now, the most urgent first: not on hold, and their time has come. An entry that
    /// cannot be read or understood is left out, for it must not keep the others; [`entry`](Self::entry) says what is
    /// wrong with it.
    ///
    /// # Errors
    /// Where the spool cannot be listed.
    fn due(&self, now: Timestamp) -> Result<Vec<QueueId>, SpoolError> {
        let mut due = Vec::new();
        for id in self.list()? {
            if let Ok(entry) = self.entry(&id)
                && entry.is_due(now)
            {
                due.push((entry.priority, entry.arrived.unix(), id));
            }
        }
        due.sort();
        Ok(due.into_iter().map(|(_, _, id)| id).collect())
    }

    /// Stores a whole message that arrives now, without trace fields. Once this returns it is on stable storage.
    ///
    /// # Errors
    /// Where the spool cannot be written; the message is then not in it.
    fn store(&self, envelope: Envelope, content: &[u8]) -> Result<QueueId, SpoolError> {
        let mut draft = self.begin()?;
        draft.write(content)?;
        draft.commit(Submission::new(envelope, SystemTime::now().into()))
    }

    /// Puts an entry on hold: it is kept, and not due until it is released.
    ///
    /// # Errors
    /// [`SpoolError::Busy`] where somebody holds a claim on it or it is gone; where the spool cannot be written.
    fn hold(&self, id: &QueueId, reason: &str) -> Result<(), SpoolError> {
        let mut claim = self.claim(id)?.ok_or_else(|| SpoolError::Busy(id.clone()))?;
        claim.update(Entry { held: Some(reason.to_owned()), ..claim.entry().clone() })
    }

    /// Ends the hold on an entry; one that was not on hold stays as it is.
    ///
    /// # Errors
    /// [`SpoolError::Busy`] where somebody holds a claim on it or it is gone; where the spool cannot be written.
    fn release(&self, id: &QueueId) -> Result<(), SpoolError> {
        let mut claim = self.claim(id)?.ok_or_else(|| SpoolError::Busy(id.clone()))?;
        match claim.entry().held {
            None => Ok(()),
            Some(_) => claim.update(Entry { held: None, ..claim.entry().clone() }),
        }
    }
}

/// A message being received. Dropped before it is committed it leaves nothing behind.
pub trait Draft: Send {
    /// The id that the message will have.
    fn id(&self) -> &QueueId;

    /// Adds octets of the message as they came, dots removed: lines end with CRLF, and where they do not they are kept as
    /// they are.
    ///
    /// # Errors
    /// Where the spool cannot be written; the draft is of no more use then.
    fn write(&mut self, octets: &[u8]) -> Result<(), SpoolError>;

    /// Ends the message. Once this returns, and not before, it is on stable storage: data, and the names that lead to it.
    ///
    /// # Errors
    /// Where the spool cannot be written, or the submission cannot: the message is not accepted then, and must be
    /// answered so. (Where the disk fails at the very last step it may still be found after a restart.)
    fn commit(self, submission: Submission) -> Result<QueueId, SpoolError>;
}

/// An entry in the hands of one runner.
pub trait Claim: Send {
    /// The entry as it was when it was claimed or last updated.
    fn entry(&self) -> &Entry;

    /// The message, octet by octet as it was received, without the trace fields that were added here
    /// ([`Entry::trace`]).
    ///
    /// # Errors
    /// Where the spool cannot be read; [`SpoolError::Damaged`] where the message is not whole.
    fn content(&self) -> Result<Bytes, SpoolError>;

    /// The same octets, piece by piece. Damage shows as an error at the end of what can be read, never as a short message.
    ///
    /// # Errors
    /// As for [`content`](Self::content).
    fn reader(&self) -> Result<Box<dyn Read + Send>, SpoolError>;

    /// Replaces the entry: recipients that are done are left out, times and errors are new. Once this returns the change is
    /// on stable storage. What is not the runner's to change stays as it was: the id, the sender, the parameters of MAIL, the
    /// time of arrival, the trace fields, the size. A [`Queue`] keeps each text on one line of at most 900 octets.
    ///
    /// # Errors
    /// [`SpoolError::Misuse`] where no recipient is left (that is [`remove`](Self::remove)), or the entry is too large to be
    /// kept; where the spool cannot be written. The entry is then as it was.
    fn update(&mut self, entry: Entry) -> Result<(), SpoolError>;

    /// Removes the entry: everybody has the message, or has been told that he will not get it.
    ///
    /// # Errors
    /// Where the spool cannot be written; the entry may still be there.
    fn remove(self) -> Result<(), SpoolError>;

    /// [`remove`](Self::remove) where `entry` has no recipients any more, [`update`](Self::update) where it has.
    ///
    /// # Errors
    /// As for the two.
    fn settle(mut self, entry: Entry) -> Result<(), SpoolError>
    where
        Self: Sized,
    {
        if entry.recipients.is_empty() { self.remove() } else { self.update(entry) }
    }
}

/// What is said of a message when it is committed.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::smtp::{Envelope, ForwardPath, ReversePath};
/// use facteur::spool::Submission;
///
/// let envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
/// let mut submission = Submission::new(envelope, Timestamp::from_unix(1_172_593_995));
/// submission.trace.push("Received: from a.test by mx.test; Tue, 27 Feb 2007 16:33:15 +0000".into());
/// submission.protocol = Some("ESMTP".into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Submission {
    /// Who sent it, and to whom.
    pub envelope: Envelope,
    /// When it arrived: what the age of the message is counted from.
    pub arrived: Timestamp,
    /// Header fields to stand before the message, each whole (`Received: from …`), the topmost first. Lines of one field
    /// are parted by CRLF or LF; one may stand at its end. Default none. (`Return-Path:` is not ours to add, but
    /// that of the server that makes final delivery.)
    pub trace: Vec<String>,
    /// The peer as sendmail's `$_` shows it: `root@localhost [127.0.0.1]`. Default `None`.
    pub peer: Option<String>,
    /// The protocol as `Received:` names it after `with` (RFC 3848), sendmail's `$r`. Default `None`.
    pub protocol: Option<String>,
    /// What the client called itself in HELO or EHLO, sendmail's `$s`. Default `None`.
    pub helo: Option<String>,
    /// Not to be tried before this. Default `None`: at once.
    pub not_before: Option<Timestamp>,
    /// Where set, the entry begins on hold, for this reason. Default `None`.
    pub held: Option<String>,
}

impl Submission {
    /// A message with this envelope that arrived then, to be tried at once, or when HOLDFOR or HOLDUNTIL lets it go (RFC 4865
    /// §4.2).
    pub fn new(envelope: Envelope, arrived: Timestamp) -> Self {
        let not_before = envelope.params.hold.map(|hold| hold.until(arrived));
        Self { envelope, arrived, trace: Vec::new(), peer: None, protocol: None, helo: None, not_before, held: None }
    }
}

/// One message in the spool: all that is known of it save its octets.
///
/// A runner takes the entry of its [`Claim`], works on a clone of it, and hands that back with [`Claim::settle`]:
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::smtp::{Enhanced, Envelope, ForwardPath, ReversePath};
/// use facteur::spool::{Claim, Failure, Memory, Spool};
///
/// let spool = Memory::new();
/// let id = spool.store(Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]), b"Subject: x\r\n\r\n")?;
///
/// let claim = spool.claim(&id)?.expect("nobody else holds it");
/// let now = Timestamp::from_unix(claim.entry().arrived.unix() + 1);
/// let mut entry = claim.entry().clone();
/// entry.tried(now, Timestamp::from_unix(now.unix() + 900));
/// entry.recipients[0].failure = Some(Failure::new(Enhanced(4, 4, 1), "connection refused"));
/// claim.settle(entry)?;
///
/// assert!(spool.due(now)?.is_empty());
/// assert_eq!(spool.due(Timestamp::from_unix(now.unix() + 900))?, [id]);
/// # Ok::<(), facteur::spool::SpoolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub id: QueueId,
    /// Who gets the bounces.
    pub from: ReversePath,
    /// The parameters of MAIL. `size` is what the content measures, whatever the client declared.
    pub params: MailParams,
    /// Who has not got it yet.
    pub recipients: Vec<Pending>,
    /// When it arrived.
    pub arrived: Timestamp,
    /// How often its delivery was tried.
    pub tries: u32,
    /// When it was tried last.
    pub last_try: Option<Timestamp>,
    /// Not to be tried before this; `None`: at once.
    pub next_try: Option<Timestamp>,
    /// The lower, the more urgent. It begins with the size and 30000 for each recipient, each try adds 90000
    /// (sendmail's `RecipientFactor` and `RetryFactor`), and each step of `MT-PRIORITY=` (RFC 6710) takes 30000 away.
    pub priority: i64,
    /// What kept it here, in one line, for people to read in a listing.
    pub message: Option<String>,
    /// The sender has been told that it takes long.
    pub warned: bool,
    /// Why it is on hold; `None` where it is not.
    pub held: Option<String>,
    /// The header fields that were added here, with their line ends: to be sent before the content.
    pub trace: Bytes,
    /// The size of the content in octets, where it was stored here; `None` in queue files that sendmail wrote.
    pub size: Option<u64>,
}

impl Entry {
    /// Whether it is to be tried now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.held.is_none() && self.next_try.is_none_or(|next| next.unix() <= now.unix())
    }

    /// Notes that delivery was tried at `now`, and when to try again.
    pub fn tried(&mut self, now: Timestamp, again: Timestamp) {
        self.tries = self.tries.saturating_add(1);
        self.priority = self.priority.saturating_add(RETRY_FACTOR);
        self.last_try = Some(now);
        self.next_try = Some(again);
    }

    /// The envelope for those who have not got it yet.
    pub fn envelope(&self) -> Envelope {
        let recipients = self.recipients.iter().map(|pending| pending.recipient.clone()).collect();
        Envelope { from: self.from.clone(), params: self.params.clone(), recipients }
    }
}

/// Someone who has not got the message yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The recipient.
    pub recipient: Recipient,
    /// Why he has not, where that was tried.
    pub failure: Option<Failure>,
}

impl From<Recipient> for Pending {
    fn from(recipient: Recipient) -> Self {
        Self { recipient, failure: None }
    }
}

/// Why a recipient has not got a message.
///
/// ```
/// use facteur::smtp::{Enhanced, Reply};
/// use facteur::spool::Failure;
///
/// let failure = Failure::said_by("mx.b.test", &Reply::new(452, Enhanced(4, 2, 2), "over quota"));
/// assert_eq!(failure.status, Enhanced(4, 2, 2));
/// assert_eq!(failure.text, "452 4.2.2 over quota");
/// assert!(!failure.is_permanent());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What it comes to (RFC 3463).
    pub status: Enhanced,
    /// The server that said so, without spaces; `None` where none was reached.
    pub remote: Option<String>,
    /// The reply of the remote server with its codes, or our own words: one line.
    pub text: String,
}

impl Failure {
    /// A failure that no remote server told.
    pub fn new(status: Enhanced, text: impl Into<String>) -> Self {
        Self { status, remote: None, text: text.into() }
    }

    /// A failure in the words of a remote server.
    pub fn said_by(remote: impl Into<String>, reply: &Reply) -> Self {
        // RFC 3461 §6.3 (g): where there is no specific code, 4.0.0 or 5.0.0.
        let class = if reply.is_permanent() { 5 } else { 4 };
        let status = reply.enhanced().filter(|code| code.0 == class).unwrap_or(Enhanced(class, 0, 0));
        Self { status, remote: Some(remote.into()), text: reply.to_string() }
    }

    /// Whether trying again is of no use.
    pub fn is_permanent(&self) -> bool {
        self.status.0 == 5
    }
}

/// The name of a message in the spool, as replies, logs and trace fields show it: 1 to 40 ASCII letters and digits.
///
/// ```
/// use facteur::spool::QueueId;
///
/// let id: QueueId = "l248JX3n004416".parse()?;
/// assert_eq!(id.to_string(), "l248JX3n004416");
/// assert!("../../etc/passwd".parse::<QueueId>().is_err());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(String);

impl QueueId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // It becomes part of a file name: nothing else may get in.
        if (1..=40).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError { expected: "a queue id", at: 0 })
        }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// sendmail's `RecipientFactor`: what a recipient adds to the priority.
const RECIPIENT_FACTOR: i64 = 30_000;
/// sendmail's `RetryFactor`: what a try adds to the priority.
const RETRY_FACTOR: i64 = 90_000;

/// sendmail's formula; in the place of its classes a step of MT-PRIORITY= weighs as much as a recipient.
fn first_priority(size: u64, recipients: usize, params: &MailParams) -> i64 {
    let recipients = i64::try_from(recipients).unwrap_or(i64::MAX);
    let weight = recipients.saturating_sub(params.priority.unwrap_or(0).into());
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(weight.saturating_mul(RECIPIENT_FACTOR))
}

/// Why a spool did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// There is no such entry, or no longer.
    #[error("no entry {0}")]
    NoEntry(QueueId),
    /// Somebody else holds the entry, or it is gone.
    #[error("{0} is in other hands or gone")]
    Busy(QueueId),
    /// What is stored is not what this spool writes; it is left as it is.
    #[error("{id} is damaged: {what}")]
    Damaged {
        /// The entry.
        id: QueueId,
        /// What is wrong with it.
        what: String,
    },
    /// The caller asked for what cannot be stored.
    #[error("{0}")]
    Misuse(&'static str),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}
