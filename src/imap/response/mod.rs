//! What a server answers: untagged data, status responses and their codes (RFC 3501 §7, RFC 9051 §7, RFC 4315 §3,
//! RFC 5530), written strictly. Reading them is the client's side and comes with the client.
//!
//! Texts that people read are written in printable US-ASCII, whatever was given: another octet becomes `?`.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;

use crate::base::Timestamp;
use crate::imap::fetch::{Section, StatusItem};
use crate::store::{Flags, Uid};

mod code;
mod strings;
mod write;

pub use code::Code;
pub(super) use strings::{is_astring_char, is_atom_char, print, resp_text};

/// Untagged data.
///
/// ```
/// use facteur::base::Wire;
/// use facteur::imap::Data;
///
/// let mut wire = Wire::new();
/// Data::Exists(23).write(&mut wire);
/// assert_eq!(wire.outgoing(), b"* 23 EXISTS\r\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// `* OK`, `* NO`, `* BAD`: a status that belongs to no command.
    Status(Status, Option<Code>, String),
    /// `* CAPABILITY`
    Capability(Vec<String>),
    /// `* ENABLED` (RFC 5161)
    Enabled(Vec<String>),
    /// `* ID` (RFC 2971); empty is written as `NIL`.
    Id(Vec<(Bytes, Option<Bytes>)>),
    /// `* NAMESPACE` (RFC 2342)
    Namespace(Namespaces),
    /// `* FLAGS`: the flags that messages of this mailbox can have.
    Flags(Flags),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n RECENT` (RFC 3501 §7.3.2)
    Recent(u32),
    /// `* n EXPUNGE`: the message with this sequence number is gone, and those after it moved up.
    Expunge(NonZeroU32),
    /// `* LIST`
    List(ListedName),
    /// `* LSUB` (RFC 3501 §7.2.3)
    Lsub(ListedName),
    /// `* STATUS`
    MailboxStatus {
        /// Which mailbox.
        mailbox: String,
        /// What is known of it.
        items: Vec<(StatusItem, u64)>,
    },
    /// `* SEARCH` (RFC 3501 §7.2.5): sequence numbers or UIDs, as the command asked.
    Search(Vec<NonZeroU32>),
    /// `* n FETCH`
    Fetch {
        /// The sequence number.
        number: NonZeroU32,
        /// What is told of the message.
        items: Vec<FetchData>,
    },
}

/// One pair of a FETCH response (`msg-att`).
///
/// ```
/// use facteur::base::Wire;
/// use facteur::imap::{Data, FetchData};
///
/// let mut wire = Wire::new();
/// Data::Fetch { number: 2.try_into()?, items: vec![FetchData::Rfc822Size(342)] }.write(&mut wire);
/// assert_eq!(wire.outgoing(), b"* 2 FETCH (RFC822.SIZE 342)\r\n");
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchData {
    /// `FLAGS`
    Flags {
        /// The flags.
        flags: Flags,
        /// Whether `\Recent` is among them.
        recent: bool,
    },
    /// `INTERNALDATE`
    InternalDate(Timestamp),
    /// `RFC822.SIZE` in octets
    Rfc822Size(u64),
    /// `UID`
    Uid(Uid),
    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT`, named here, and the octets.
    Rfc822(&'static str, Bytes),
    /// `BODY[section]<origin>`
    Body {
        /// Which section.
        section: Section,
        /// The first octet, where a part of it was asked for.
        origin: Option<u64>,
        /// The octets; `None`, written as `NIL`, where there is no such section.
        content: Option<Bytes>,
    },
    /// `ENVELOPE`, its value written already.
    Envelope(Bytes),
    /// `BODY` without a section, its value written already.
    BodyOnly(Bytes),
    /// `BODYSTRUCTURE`, its value written already.
    BodyStructure(Bytes),
}

/// A line of LIST or LSUB (`mailbox-list`).
///
/// ```
/// use facteur::base::Wire;
/// use facteur::imap::{Attribute, Data, ListedName};
///
/// let mut listed = ListedName::new("foo");
/// listed.attributes.push(Attribute::NoSelect);
/// let mut wire = Wire::new();
/// Data::List(listed).write(&mut wire);
/// assert_eq!(wire.outgoing(), b"* LIST (\\Noselect) \"/\" foo\r\n");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedName {
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// The hierarchy delimiter; `None` where names are flat.
    pub delimiter: Option<char>,
    /// The name in UTF-8.
    pub name: String,
}

/// A name attribute (RFC 9051 §7.3.1).
///
/// ```
/// assert_eq!(facteur::imap::Attribute::HasChildren.to_string(), r"\HasChildren");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// `\Noinferiors`: no names below it, now or ever.
    NoInferiors,
    /// `\Noselect`: it cannot be selected.
    NoSelect,
    /// `\NonExistent`
    NonExistent,
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Marked`: something new is in it, perhaps.
    Marked,
    /// `\Unmarked`: nothing new is in it.
    Unmarked,
    /// `\Subscribed`
    Subscribed,
}

/// The namespaces of a server (RFC 2342 §5): personal, other users', shared. Each is a prefix and a delimiter.
///
/// ```
/// use facteur::imap::Namespaces;
///
/// let ours = Namespaces::default();
/// assert_eq!(ours.personal, [(String::new(), Some('/'))]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct Namespaces {
    /// The user's own mailboxes.
    pub personal: Vec<(String, Option<char>)>,
    /// Those of other users.
    pub others: Vec<(String, Option<char>)>,
    /// Those that belong to nobody.
    pub shared: Vec<(String, Option<char>)>,
}

/// The condition of a status response.
///
/// ```
/// assert_eq!(facteur::imap::Status::No.to_string(), "NO");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Status {
    /// It was done.
    Ok,
    /// It could not be done.
    No,
    /// It was no command, or not in this state.
    Bad,
}

impl ListedName {
    /// A name without attributes, its levels divided by `/`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { attributes: Vec::new(), delimiter: Some('/'), name: name.into() }
    }
}

/// One personal namespace without prefix, its levels divided by `/`.
impl Default for Namespaces {
    fn default() -> Self {
        Self { personal: vec![(String::new(), Some('/'))], others: Vec::new(), shared: Vec::new() }
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInferiors => "\\Noinferiors",
            Self::NoSelect => "\\Noselect",
            Self::NonExistent => "\\NonExistent",
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::Marked => "\\Marked",
            Self::Unmarked => "\\Unmarked",
            Self::Subscribed => "\\Subscribed",
        })
    }
}
