//! What a client asks for: the commands of RFC 3501 §6 and RFC 9051 §6, with IDLE (RFC 2177), NAMESPACE (RFC 2342), ID
//! (RFC 2971), UNSELECT (RFC 3691), UID EXPUNGE (RFC 4315), ENABLE (RFC 5161) and MOVE (RFC 6851).

use bytes::Bytes;

use crate::base::{Secret, Timestamp};
use crate::imap::fetch::{FetchItem, StatusItem, StoreAction};
use crate::imap::search::Search;
use crate::imap::sequence::SequenceSet;
use crate::store::Flags;

mod write;

/// A command without its tag.
///
/// Names of mailboxes are UTF-8 here, decoded from the modified UTF-7 of RFC 3501 §5.1.3, and `INBOX` is written in capitals
/// whatever the client wrote (RFC 9051 §5.1).
///
/// ```
/// use facteur::imap::Command;
///
/// let (tag, command) = Command::parse(b"A1 select inbox")?;
/// assert_eq!((tag.as_str(), command), ("A1", Command::Select { mailbox: "INBOX".into() }));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `CAPABILITY`
    Capability,
    /// `NOOP`: tell what is new.
    Noop,
    /// `LOGOUT`
    Logout,
    /// `ID` (RFC 2971): the client says who it is; empty for `NIL`.
    Id(Vec<(Bytes, Option<Bytes>)>),
    /// `STARTTLS`
    StartTls,
    /// `LOGIN`
    Login {
        /// Who.
        user: String,
        /// The password.
        secret: Secret,
    },
    /// `AUTHENTICATE`
    Authenticate {
        /// The SASL mechanism in capitals.
        mechanism: String,
        /// The initial response (RFC 4959), decoded.
        initial: Option<Secret>,
    },
    /// `ENABLE` (RFC 5161): capabilities in capitals.
    Enable(Vec<String>),
    /// `NAMESPACE` (RFC 2342)
    Namespace,
    /// `SELECT`
    Select {
        /// Which mailbox.
        mailbox: String,
    },
    /// `EXAMINE`: as SELECT, but nothing may be changed.
    Examine {
        /// Which mailbox.
        mailbox: String,
    },
    /// `CREATE`. One hierarchy delimiter at the end, which says that names below are to come, is kept (RFC 9051 §6.3.4).
    Create {
        /// The new name.
        mailbox: String,
    },
    /// `DELETE`
    Delete {
        /// Which mailbox.
        mailbox: String,
    },
    /// `RENAME`
    Rename {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// `SUBSCRIBE`
    Subscribe {
        /// The name, which need not exist.
        mailbox: String,
    },
    /// `UNSUBSCRIBE`
    Unsubscribe {
        /// The name.
        mailbox: String,
    },
    /// `LIST`
    List {
        /// The reference name, empty as a rule.
        reference: String,
        /// The pattern with `%` and `*`; empty asks for the hierarchy delimiter (RFC 9051 §6.3.9).
        pattern: String,
    },
    /// `LSUB`
    Lsub {
        /// The reference name, empty as a rule.
        reference: String,
        /// The pattern with `%` and `*`.
        pattern: String,
    },
    /// `STATUS`
    Status {
        /// Which mailbox.
        mailbox: String,
        /// What is asked of it, in the order of asking.
        items: Vec<StatusItem>,
    },
    /// `APPEND`
    Append {
        /// Where to.
        mailbox: String,
        /// The flags that it gets.
        flags: Flags,
        /// The internal date that it gets; `None` for now.
        date: Option<Timestamp>,
        /// The message, as it came.
        message: Bytes,
    },
    /// `IDLE` (RFC 2177)
    Idle,
    /// `CHECK` (RFC 3501 §6.4.1)
    Check,
    /// `CLOSE`: remove what is marked deleted, telling nothing, and deselect.
    Close,
    /// `UNSELECT` (RFC 3691): deselect, removing nothing.
    Unselect,
    /// `EXPUNGE`, or `UID EXPUNGE` of RFC 4315 §2.1 where `uids` are given.
    Expunge {
        /// Only these, if they are marked deleted.
        uids: Option<SequenceSet>,
    },
    /// `SEARCH`, `UID SEARCH`
    Search {
        /// Whether the answer lists sequence numbers or UIDs. Sets of numbers inside the search are what they say they are.
        by: By,
        /// What is sought.
        search: Search,
    },
    /// `FETCH`, `UID FETCH`. The items of a macro are listed; `UID FETCH` answers with UIDs even where `UID` is not listed.
    Fetch {
        /// What the numbers in `messages` are.
        by: By,
        /// Of which messages.
        messages: SequenceSet,
        /// What of them, in the order of asking.
        items: Vec<FetchItem>,
    },
    /// `STORE`, `UID STORE`
    Store {
        /// What the numbers in `messages` are.
        by: By,
        /// Of which messages.
        messages: SequenceSet,
        /// What becomes of their flags.
        action: StoreAction,
    },
    /// `COPY`, `UID COPY`
    Copy {
        /// What the numbers in `messages` are.
        by: By,
        /// Which messages.
        messages: SequenceSet,
        /// Where to.
        mailbox: String,
    },
    /// `MOVE`, `UID MOVE` (RFC 6851)
    Move {
        /// What the numbers in `messages` are.
        by: By,
        /// Which messages.
        messages: SequenceSet,
        /// Where to.
        mailbox: String,
    },
}

/// How a command names messages.
///
/// ```
/// use facteur::imap::{By, Command};
///
/// let (_, command) = Command::parse(b"A1 UID COPY 4:9 archive")?;
/// assert!(matches!(command, Command::Copy { by: By::Uid, .. }));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there is no third way
pub enum By {
    /// By its place in the mailbox, from 1.
    Sequence,
    /// By its UID: the command was prefixed with `UID`.
    Uid,
}

/// A part of a [written](Command::write) command.
///
/// ```
/// use facteur::imap::{Command, Literals, Piece};
///
/// let login = Command::Login { user: "ada".into(), secret: "naïve".into() };
/// let pieces = login.write("A1", Literals::Synchronising);
/// assert_eq!(pieces[0], Piece::Text("A1 LOGIN ada {6}\r\n".into()));
/// // Here the client waits for the server's leave.
/// assert_eq!(pieces[1], Piece::Literal("naïve".into()));
/// assert_eq!(pieces[2], Piece::Text("\r\n".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // a command is made of these
pub enum Piece {
    /// Lines or parts of them.
    Text(Bytes),
    /// The octets of a literal. Before a synchronising one the client waits for `+`.
    Literal(Bytes),
}

/// How literals are announced.
///
/// ```
/// use facteur::imap::{Command, Literals, Piece};
///
/// let login = Command::Login { user: "ada".into(), secret: "naïve".into() };
/// let pieces = login.write("A1", Literals::NonSynchronising);
/// assert_eq!(pieces[0], Piece::Text("A1 LOGIN ada {6+}\r\n".into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // there is no third way
pub enum Literals {
    /// `{n}`: every server takes them, and says when.
    Synchronising,
    /// `{n+}`: for servers that announce LITERAL+ (RFC 7888).
    NonSynchronising,
}

impl Command {
    /// The name as the protocol writes it: `SELECT`, `UID FETCH`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Capability => "CAPABILITY",
            Self::Noop => "NOOP",
            Self::Logout => "LOGOUT",
            Self::Id(_) => "ID",
            Self::StartTls => "STARTTLS",
            Self::Login { .. } => "LOGIN",
            Self::Authenticate { .. } => "AUTHENTICATE",
            Self::Enable(_) => "ENABLE",
            Self::Namespace => "NAMESPACE",
            Self::Select { .. } => "SELECT",
            Self::Examine { .. } => "EXAMINE",
            Self::Create { .. } => "CREATE",
            Self::Delete { .. } => "DELETE",
            Self::Rename { .. } => "RENAME",
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Unsubscribe { .. } => "UNSUBSCRIBE",
            Self::List { .. } => "LIST",
            Self::Lsub { .. } => "LSUB",
            Self::Status { .. } => "STATUS",
            Self::Append { .. } => "APPEND",
            Self::Idle => "IDLE",
            Self::Check => "CHECK",
            Self::Close => "CLOSE",
            Self::Unselect => "UNSELECT",
            Self::Expunge { uids: None } => "EXPUNGE",
            Self::Expunge { uids: Some(_) } => "UID EXPUNGE",
            Self::Search { by: By::Sequence, .. } => "SEARCH",
            Self::Search { by: By::Uid, .. } => "UID SEARCH",
            Self::Fetch { by: By::Sequence, .. } => "FETCH",
            Self::Fetch { by: By::Uid, .. } => "UID FETCH",
            Self::Store { by: By::Sequence, .. } => "STORE",
            Self::Store { by: By::Uid, .. } => "UID STORE",
            Self::Copy { by: By::Sequence, .. } => "COPY",
            Self::Copy { by: By::Uid, .. } => "UID COPY",
            Self::Move { by: By::Sequence, .. } => "MOVE",
            Self::Move { by: By::Uid, .. } => "UID MOVE",
        }
    }
}
