//! What travels: messages (RFC 5322, MIME), read without a copy, edited without a scratch.
//!
//! [`Message::parse`] takes any octets and cannot fail. One pass over them finds where header fields and parts begin and
//! end ([`Header`], [`Part`]); nothing is decoded until it is asked for. What is wrong with the message is listed as
//! [`Defect`]s.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub mod bodies;
pub mod build;
pub mod convert;
pub mod defects;
pub mod edit;
pub mod fields;
mod fold;
pub mod header;
mod inspect;
pub mod part;
pub mod protection;
mod reader;
pub mod report;
mod scan;
pub mod status;
pub mod tnef;

pub use bodies::Bodies;
pub use build::{BuildError, Builder, Contact, NewPart};
pub use defects::{Defect, DefectKind};
pub use edit::{Edit, EditError, HeaderEdit, Protected, Recode};
pub use fields::{
    AcceptedLanguage, AutoSubmitted, ContentType, Disposition, Encoding, Ids, Importance, ListId, MessageContext,
    NotificationOption, Received, ReceivedHost, Resent, Sensitivity, TypedAddress, ValidSince, Value,
};
pub use header::{Field, Header};
pub use part::Part;
pub use protection::Protection;
pub use reader::BodyReader;
pub use report::{Bounce, Report, Returned};
pub use status::Enhanced;
pub use tnef::Tnef;

use scan::Tree;

/// A message: its octets, and where in them the header fields and the parts are.
///
/// It owns what it holds; a clone shares it.
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse(
///     "From: Ada <ada@example.org>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n\r\nSee you at noon.\r\n",
/// );
/// assert_eq!(message.header().get("subject").unwrap().text(), "Café");
/// assert_eq!(message.root().text().as_deref(), Some("See you at noon.\r\n"));
/// assert!(message.defects().is_empty());
/// ```
#[derive(Clone)]
pub struct Message {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    raw: Bytes,
    /// Found by [`Message::parse`]; without the one part that there always is before that.
    tree: Tree,
    /// That of a message that was built: found when first asked for.
    late: OnceLock<Box<Tree>>,
    /// Found when first asked for.
    defects: OnceLock<Box<[Defect]>>,
}

/// How much structure of a message is looked at. What lies beyond is kept as octets, and reported as a [`Defect`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How deep parts may lie in each other; each multipart and each embedded message counts one. Default 100: real mail
    /// stays below 20, and each level costs a comparison at each line that might be a boundary.
    pub depth: usize,
    /// How many parts there may be, multiparts and embedded messages counted. Default 10,000, which are 400 KB of memory:
    /// a digest of a year has less. Beyond them the rest of the message is one part that is not looked into.
    pub parts: usize,
    /// How many header fields there may be in all parts together. Default 100,000, which are 800 KB of memory. Beyond
    /// them the rest of a header is one field without a name.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 100, parts: 10_000, fields: 100_000 }
    }
}

impl Message {
    /// Reads a message. Whatever the octets are, there is at least one part.
    ///
    /// Lines may end with CRLF or LF. A message longer than 4 GiB has its header read and its body left as one piece.
    ///
    /// A [`Vec`], a [`String`], a [`Bytes`] and a static text are taken over without a copy; octets that are only borrowed are
    /// copied first, by `octets.to_vec()`.
    pub fn parse(raw: impl Into<Bytes>) -> Self {
        Self::parse_with(raw, &Limits::default())
    }

    /// As [`parse`](Self::parse) with other limits.
    pub fn parse_with(raw: impl Into<Bytes>, limits: &Limits) -> Self {
        Self::new(raw.into(), Some(limits))
    }

    /// What was just written: it need not be read to be sent.
    fn unread(raw: Bytes) -> Self {
        Self::new(raw, None)
    }

    fn new(raw: Bytes, limits: Option<&Limits>) -> Self {
        // All of it is made where it stays: to move it would take a tenth of the time of a small message.
        let mut inner = Arc::<Inner>::default();
        if let Some(inner) = Arc::get_mut(&mut inner) {
            inner.raw = raw;
            if let Some(limits) = limits {
                scan::scan(&inner.raw, limits, &mut inner.tree);
            }
        }
        Self { inner }
    }

    /// The octets, all of them and as they came.
    pub fn raw(&self) -> &Bytes {
        &self.inner.raw
    }

    /// The header of the message.
    pub fn header(&self) -> Header<'_> {
        self.root().header()
    }

    /// The outermost part: the message itself.
    pub fn root(&self) -> Part<'_> {
        Part::new(self, 0)
    }

    /// All parts that hold content, in their order: multiparts are left out, their parts are not. A `message/rfc822` part
    /// is followed by the parts of the message in it.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.all_parts().filter(|part| !part.is_multipart())
    }

    /// All parts, multiparts too, each before the parts in it.
    pub fn all_parts(&self) -> impl Iterator<Item = Part<'_>> {
        (0..self.tree().parts.len()).map(|index| Part::new(self, index))
    }

    /// The part with this number as IMAP counts them (RFC 9051 §6.4.5.1); the empty path is the message itself.
    ///
    /// "Every message has at least one part number": the only part of a message that is no multipart is 1. The parts of
    /// an embedded message are numbered under the part that holds it.
    pub fn part(&self, path: &[u32]) -> Option<Part<'_>> {
        let Some((first, rest)) = path.split_first() else { return Some(self.root()) };
        let mut part = self.root().numbered(*first)?;
        for number in rest {
            part = match part.embedded() {
                Some(message) => message.numbered(*number)?,
                None if part.is_multipart() => part.child(*number)?,
                None => return None,
            };
        }
        Some(part)
    }

    /// Which parts a reader shows as text, as HTML, and as attachments.
    pub fn bodies(&self) -> Bodies<'_> {
        Bodies::of(self)
    }

    /// What is wrong with the message, in the order of the octets; at most 100 defects of a kind are listed.
    ///
    /// [`parse`](Self::parse) notes the faults of the structure. All others are looked for in one pass more when this is
    /// first called, and kept.
    pub fn defects(&self) -> &[Defect] {
        self.inner.defects.get_or_init(|| inspect::defects(self).into())
    }

    /// Whether the other is a clone of this one.
    fn is_same(&self, other: &Message) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    #[inline]
    fn tree(&self) -> &Tree {
        let late = || {
            let mut tree = Box::<Tree>::default();
            scan::scan(&self.inner.raw, &Limits::default(), &mut tree);
            tree
        };
        if self.inner.tree.parts.is_empty() { self.inner.late.get_or_init(late) } else { &self.inner.tree }
    }
}

impl From<Bytes> for Message {
    fn from(raw: Bytes) -> Self {
        Self::parse(raw)
    }
}

/// Messages are equal where their octets are.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for Message {}

/// Sizes only: a message in a log line should not fill it.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("octets", &self.raw().len())
            .field("fields", &self.tree().fields.len())
            .field("parts", &self.tree().parts.len())
            .field("defects", &self.tree().defects)
            .finish()
    }
}
