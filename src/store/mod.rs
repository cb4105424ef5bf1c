//! A message at rest: the traits [`Store`] (one user's mailboxes) and [`Mailbox`] (one of them), and what implements them.
//!
//! Methods may block on a disk or a network; an async program calls them on a thread that may wait. Nothing here assumes
//! that the disk is local.
//!
//! Names of mailboxes are UTF-8 with `/` between the levels; `INBOX` in any case of letters is the one that always exists
//! (RFC 9051 §5.1). How a store keeps a name on disk is its own affair.

//!
//! ```
//! use facteur::base::Timestamp;
//! use facteur::store::{Flag, FlagEdit, Flags, Mailbox, Store, memory};
//!
//! let store = memory::Store::new();
//! store.deliver("INBOX", b"Subject: hello\r\n\r\n", &Flags::new(), Timestamp::from_unix(1_172_677_344))?;
//! let mut inbox = store.open("INBOX")?;
//! let uid = inbox.messages()[0].uid;
//! inbox.edit_flags(&[uid], &FlagEdit::Add(Flags::from_iter([Flag::Seen])))?;
//! assert_eq!(&inbox.read(uid)?[..], b"Subject: hello\r\n\r\n");
//! # Ok::<(), facteur::store::StoreError>(())
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::num::NonZeroU32;

use bytes::Bytes;

use crate::base::Timestamp;

#[cfg(test)]
mod contract;
#[cfg(unix)]
mod disk;
mod flags;
mod lines;
#[cfg(unix)]
pub mod maildir;
pub mod mbox;
pub mod memory;
mod names;
mod view;

pub use flags::{Flag, FlagEdit, Flags};

/// One user's mailboxes. Several handles to the same store may live at once, in one process or in many.
pub trait Store: Send + Sync {
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

    /// Opens a mailbox to look at it only: [`Entry::recent`] is told, but not used up for the next who opens it, and
    /// [`Mailbox::edit_flags`] and [`Mailbox::remove`] give [`StoreError::ReadOnly`]. This is what EXAMINE and STATUS need
    /// (RFC 3501 §6.3.2, §6.3.10).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn examine(&self, name: &str) -> Result<Self::Mailbox, StoreError>;

    /// Makes a mailbox; the levels above it come to be with it. A level that could not be selected becomes a mailbox.
    /// A mailbox that is made where one of the same name was removed has another [`Mailbox::uid_validity`].
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

    /// Renames a mailbox and all that are below it; a level that cannot be selected is renamed with those below it.
    /// Renaming `INBOX` moves its messages to a new mailbox, under new UIDs, and leaves it empty; what is below it stays
    /// (RFC 9051 §6.3.6). Subscriptions stay as they are.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`]; [`StoreError::Exists`] where the new name, or one that would come below it, is taken;
    /// [`StoreError::BadName`] for a name below the mailbox itself, too.
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

    /// Adds a message to the mailbox `name`; once this returns the message is on stable storage. The message gets its UID
    /// when the mailbox is next looked at, in the order of arrival: so a delivery costs the same however large the mailbox
    /// is. Who needs the UID opens the mailbox and uses [`Mailbox::append`].
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where the store cannot be written; the mailbox is then as it was.
    fn deliver(&self, name: &str, message: &[u8], flags: &Flags, received: Timestamp) -> Result<(), StoreError> {
        self.examine(name)?.append(message, flags, received).map(drop)
    }
}

/// One mailbox as a session sees it.
///
/// What [`messages`](Self::messages) shows changes only by [`refresh`](Self::refresh) and by this handle's own
/// [`edit_flags`](Self::edit_flags) and [`remove`](Self::remove), so that sequence numbers stay still while a client relies
/// on them. What this handle changed itself is not told by `refresh` again.
pub trait Mailbox: Send {
    /// Changes only when UIDs given out before are no longer valid (RFC 9051 §2.3.1.1).
    fn uid_validity(&self) -> NonZeroU32;

    /// The next message that [`refresh`](Self::refresh) shows will have this UID or a higher one.
    fn uid_next(&self) -> Uid;

    /// The messages in the order of their UIDs: the one at index `n` has sequence number `n + 1`.
    fn messages(&self) -> &[Entry];

    /// The index of a message in [`messages`](Self::messages).
    fn index_of(&self, uid: Uid) -> Option<usize> {
        self.messages().binary_search_by_key(&uid, |entry| entry.uid).ok()
    }

    /// Looks at what others did since, and makes it visible in [`messages`](Self::messages). Changes are told in the order
    /// gone, changed, arrived, each in the order of UIDs.
    ///
    /// # Errors
    /// Where the mailbox cannot be read; [`StoreError::NoMailbox`] where it is gone.
    fn refresh(&mut self) -> Result<Vec<Change>, StoreError>;

    /// The octets of a message, its lines ended by CRLF: [`Entry::size`] of them.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] where it is gone, in another session perhaps.
    fn read(&self, uid: Uid) -> Result<Bytes, StoreError>;

    /// Adds a message; once this returns it is on stable storage under the UID told. [`messages`](Self::messages) shows it
    /// after the next [`refresh`](Self::refresh), in its place among those that others added meanwhile.
    ///
    /// Lines that end in LF alone are ended by CRLF; all else is kept to the octet, save what the documentation of the
    /// store names. Of `received` the second is kept, and its zone perhaps not.
    ///
    /// # Errors
    /// Where the mailbox cannot be written; it is then as it was.
    fn append(&mut self, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError>;

    /// Changes the flags of messages, each in one step: of two sessions that add different flags to a message at once
    /// neither undoes the other. Messages that are gone are passed over. [`messages`](Self::messages) shows the new flags.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]; where the mailbox cannot be written: some of the messages may be changed then.
    fn edit_flags(&mut self, uids: &[Uid], edit: &FlagEdit) -> Result<(), StoreError>;

    /// Removes messages, from [`messages`](Self::messages) too; those that are gone already are passed over.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]; where the mailbox cannot be written: some of the messages may be gone then.
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
    /// This handle is the first to see it, those of [`Store::examine`] not counted (`\Recent` of RFC 3501 §2.3.2).
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
    /// The mailbox was opened by [`Store::examine`].
    #[error("the mailbox was opened to be read only")]
    ReadOnly,
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
