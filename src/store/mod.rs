//! A message at rest: the traits [`Store`] (one user's mailboxes) and [`Mailbox`] (one of them), and what implements them.
//!
//! Methods may block on a disk or a network; an async program calls them on a thread that may wait. Nothing here assumes
//! that the disk is local.
//!
//! Names of mailboxes are UTF-8 with `/` between the levels; `INBOX` in any case of letters is the one that always exists
//! (RFC 9051 §5.1). How a store keeps a name on disk is its own affair.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::num::NonZeroU32;

use bytes::Bytes;

use crate::base::Timestamp;

/// One user's mailboxes. Several handles to the same store may live at once, in one process or in many.
pub trait Store {
    /// One mailbox, opened.
    type Mailbox: Mailbox;

    /// Every mailbox in the order of names, `INBOX` first. Names that exist only as a level above others are listed with
    /// `selectable: false`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn list(&self) -> Result<Vec<Listed>, StoreError>;

    /// Opens a mailbox.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`] where there is none of that name.
    fn open(&self, name: &str) -> Result<Self::Mailbox, StoreError>;

    /// Makes a mailbox and the levels above it.
    ///
    /// # Errors
    /// [`StoreError::Exists`]; [`StoreError::BadName`] where the store cannot keep such a name.
    fn create(&self, name: &str) -> Result<(), StoreError>;

    /// Removes a mailbox with its messages. One that has others below it stays as a level that cannot be selected
    /// (RFC 9051 §6.3.5). `INBOX` cannot be removed.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::BadName`] for `INBOX`.
    fn delete(&self, name: &str) -> Result<(), StoreError>;

    /// Renames a mailbox and all that are below it. Renaming `INBOX` moves its messages and leaves it empty
    /// (RFC 9051 §6.3.6).
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], [`StoreError::Exists`], [`StoreError::BadName`].
    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError>;

    /// The names the user subscribed to, whether they exist or not, in their order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn subscribed(&self) -> Result<BTreeSet<String>, StoreError>;

    /// Subscribes to a name, which need not exist.
    ///
    /// # Errors
    /// [`StoreError::BadName`], or where the store cannot be written.
    fn subscribe(&self, name: &str) -> Result<(), StoreError>;

    /// Ends a subscription; no error where there was none.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn unsubscribe(&self, name: &str) -> Result<(), StoreError>;

    /// Adds a message to the mailbox `name`; once this returns the message is on stable storage.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where the store cannot be written; the mailbox is then as it was.
    fn deliver(&self, name: &str, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError> {
        self.open(name)?.append(message, flags, received)
    }
}

/// One mailbox as a session sees it.
///
/// What [`messages`](Self::messages) shows changes only by [`refresh`](Self::refresh) and by this handle's own `append`,
/// `set_flags` and `remove`, so that sequence numbers stay still while a client relies on them.
pub trait Mailbox {
    /// Changes only when UIDs given out before are no longer valid (RFC 9051 §2.3.1.1).
    fn uid_validity(&self) -> NonZeroU32;

    /// The next message will have this UID or a higher one.
    fn uid_next(&self) -> Uid;

    /// The messages in the order of their UIDs: the one at index `n` has sequence number `n + 1`.
    fn messages(&self) -> &[Entry];

    /// Looks at what others did since, and makes it visible in [`messages`](Self::messages). Changes are told in the order
    /// gone, changed, arrived, each in the order of UIDs.
    ///
    /// # Errors
    /// Where the mailbox cannot be read; [`StoreError::NoMailbox`] where it is gone.
    fn refresh(&mut self) -> Result<Vec<Change>, StoreError>;

    /// The octets of a message, its lines ended by CRLF.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] where it is gone, in another session perhaps.
    fn read(&self, uid: Uid) -> Result<Bytes, StoreError>;

    /// Adds a message; once this returns it is on stable storage and stands at the end of [`messages`](Self::messages).
    ///
    /// # Errors
    /// Where the mailbox cannot be written; it is then as it was.
    fn append(&mut self, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError>;

    /// Replaces the flags of a message.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] where it is gone; where the mailbox cannot be written.
    fn set_flags(&mut self, uid: Uid, flags: &Flags) -> Result<(), StoreError>;

    /// Removes messages; those that are gone already are passed over.
    ///
    /// # Errors
    /// Where the mailbox cannot be written; some of the messages may be gone then.
    fn remove(&mut self, uids: &[Uid]) -> Result<(), StoreError>;
}

/// The unique identifier of a message in its mailbox (RFC 9051 §2.3.1.1): grows, and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub NonZeroU32);

/// One message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its unique identifier.
    pub uid: Uid,
    /// Its flags.
    pub flags: Flags,
    /// Its size in octets, lines ended by CRLF (RFC 9051 §2.3.4).
    pub size: u64,
    /// When it came (RFC 9051 §2.3.3).
    pub received: Timestamp,
    /// This handle is the first to see it (`\Recent` of RFC 3501 §2.3.2).
    pub recent: bool,
}

/// What [`Mailbox::refresh`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A message is no longer there; it stood at this index at the moment this change is told, that is, with the
    /// changes told before it already made.
    Gone {
        /// Its UID.
        uid: Uid,
        /// Its index in [`Mailbox::messages`] before it went.
        index: usize,
    },
    /// The flags of a message are others now.
    Flags(Uid),
    /// A message has arrived, at the end.
    Arrived(Uid),
}

/// A line of [`Store::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The whole name.
    pub name: String,
    /// Whether it can be opened; if not it is only a level above others.
    pub selectable: bool,
}

/// A flag of a message (RFC 9051 §2.3.2). `\Recent` is no flag here, but [`Entry::recent`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// `\Flagged`
    Flagged,
    /// `\Seen`
    Seen,
    /// A keyword such as `$Forwarded`. Keywords compare without case, so they are kept as they were first written.
    Keyword(String),
}

/// The flags of a message, each at most once, in a fixed order.
///
/// ```
/// use facteur::store::{Flag, Flags};
///
/// let mut flags = Flags::from_iter([Flag::Seen, Flag::Keyword("$Forwarded".into())]);
/// flags.insert(Flag::Keyword("$forwarded".into()));
/// assert_eq!(flags.to_string(), r"\Seen $Forwarded");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<Flag>);

impl Flags {
    /// No flags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `flag` is among them.
    pub fn contains(&self, flag: &Flag) -> bool {
        self.0.iter().any(|held| held.is(flag))
    }

    /// Adds a flag, where it is not there yet.
    pub fn insert(&mut self, flag: Flag) {
        if !self.contains(&flag) {
            let place = self.0.partition_point(|held| *held < flag);
            self.0.insert(place, flag);
        }
    }

    /// Takes a flag away, where it is there.
    pub fn remove(&mut self, flag: &Flag) {
        self.0.retain(|held| !held.is(flag));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The flags in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Flag> {
        self.0.iter()
    }
}

impl Flag {
    /// Reads a flag as IMAP writes it; `\Recent` and unknown system flags give `None`, as does an empty text. Whether a
    /// keyword is an atom is for the reader of the protocol to check.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(system) = text.strip_prefix('\\') else {
            return (!text.is_empty()).then(|| Self::Keyword(text.to_owned()));
        };
        match system.to_ascii_lowercase().as_str() {
            "answered" => Some(Self::Answered),
            "deleted" => Some(Self::Deleted),
            "draft" => Some(Self::Draft),
            "flagged" => Some(Self::Flagged),
            "seen" => Some(Self::Seen),
            _ => None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keyword(a), Self::Keyword(b)) => a.eq_ignore_ascii_case(b),
            _ => self == other,
        }
    }
}

impl FromIterator<Flag> for Flags {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut all = Self::new();
        flags.into_iter().for_each(|flag| all.insert(flag));
        all
    }
}

impl<'a> IntoIterator for &'a Flags {
    type Item = &'a Flag;
    type IntoIter = std::slice::Iter<'a, Flag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As IMAP writes it: `\Seen`, `$Forwarded`.
impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "\\Answered",
            Self::Deleted => "\\Deleted",
            Self::Draft => "\\Draft",
            Self::Flagged => "\\Flagged",
            Self::Seen => "\\Seen",
            Self::Keyword(word) => word,
        })
    }
}

/// With single spaces between them.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, flag) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            flag.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// There is a mailbox of that name.
    #[error("the mailbox exists already")]
    Exists,
    /// A mailbox cannot have this name, or not this one.
    #[error("no name for a mailbox here: {0}")]
    BadName(&'static str),
    /// The message is gone.
    #[error("the message is gone")]
    NoMessage,
    /// Another program holds the mailbox; trying again makes sense.
    #[error("the mailbox is locked")]
    Locked,
    /// What is on the disk is not what this store writes.
    #[error("damaged: {0}")]
    Damaged(String),
    /// This store cannot do that.
    #[error("not supported by this kind of store: {0}")]
    Unsupported(&'static str),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}
