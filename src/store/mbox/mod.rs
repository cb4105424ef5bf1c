//! mbox: many messages in one file (RFC 4155, and the variants that grew around it).
//!
//! [`Reader`] takes a file of any of the five dialects apart; [`Store`] keeps mailboxes.
//!
//! | on disk | what it is |
//! |---|---|
//! | `INBOX` | `INBOX`; [`Store::inbox`] may be elsewhere, `/var/mail/ada` for example |
//! | `Work` | the mailbox `Work` |
//! | `Work.sbd/Projects` | the mailbox `Work/Projects` |
//! | `.facteur/Work.index` | where each message of `Work` is, and its UID |
//! | `.facteur/Work.lock`, `.facteur/Work.journal` | who works on it; what is about to be written |
//!
//! In names of files `%` and two hexadecimal digits stand for a dot in front, the dot of `.sbd` and `.lock`, control
//! characters, and `%` itself.
//!
//! A message is written behind a `From ` line and three lines with its flags (`Status`, `X-Status`, `X-Keywords`; one more,
//! `X-Facteur: open-end`, where its last line has no end), which are taken off when it is read; other fields of these
//! names are left alone. In files that other programs wrote, flags
//! are read from where those put them. UIDs are in the index only, so that a message need not be written anew to get one;
//! in a file that another program wrote anew, messages are known again by what is in them.
//!
//! Locks are taken as mail programs have agreed: `Work.lock` beside the file, then `fcntl`. Where the directory may not be
//! written there is only the second. Changes are made in place, never by a rename, and a journal makes them whole. Flags
//! are changed where they stand, and not synced.
//!
//! What is kept: each octet of a message, where the dialect is [`Dialect::Mboxrd`] (or [`Dialect::Mboxcl2`], as long as no
//! other program breaks its counts), save that an LF without a CR before it gets one. [`Dialect::Mboxo`] and
//! [`Dialect::Mboxcl`] turn lines that begin with `>From ` into such that begin with `From `. Keywords with spaces or
//! control characters are not kept. Dates are kept to the second, in UTC. Left out: MMDF files as mailboxes, and folders
//! as directories of files (`mail/work/letters`).

mod from_line;
#[cfg(unix)]
mod head;
#[cfg(unix)]
mod index;
#[cfg(unix)]
mod journal;
#[cfg(unix)]
mod lock;
#[cfg(unix)]
mod mailbox;
mod split;
#[cfg(unix)]
mod store;
#[cfg(all(unix, test))]
mod tests;

pub use from_line::FromLine;
#[cfg(unix)]
pub use mailbox::Mailbox;
pub use split::{Dialect, Item, Reader};
#[cfg(unix)]
pub use store::Store;
