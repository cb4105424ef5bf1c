//! What FETCH and STORE ask for (RFC 9051 §6.4.5 and §6.4.6, RFC 3501 likewise), and the octets of `BODY[...]`.

use std::collections::BTreeSet;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use bytes::Bytes;

use crate::imap::response::FetchData;
use crate::imap::structure::{self, Form};
use crate::message::{Field, Header, Message, Part};
use crate::store::{FlagEdit, Flags};

/// One thing that FETCH asks for: `fetch-att` of RFC 3501 §9.
///
/// The macros are lists of these: [`FetchItem::ALL`], [`FetchItem::FAST`], [`FetchItem::FULL`].
///
/// ```
/// use facteur::imap::fetch::FetchItem;
///
/// assert_eq!(FetchItem::FAST, [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size]);
/// assert!(FetchItem::Rfc822Text.sets_seen() && !FetchItem::Rfc822Header.sets_seen());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `UID`
    Uid,
    /// `RFC822`: as `BODY[]`.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY` without a section: BODYSTRUCTURE without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BODY[section]<partial>`, which sets `\Seen`.
    Section(Section, Option<Partial>),
    /// `BODY.PEEK[section]<partial>`, which does not.
    Peek(Section, Option<Partial>),
}

/// `section-spec`: a part of the message, and what of it.
///
/// ```
/// use facteur::imap::fetch::{Section, SectionText};
///
/// let section = Section { part: vec![4.try_into()?, 2.try_into()?], text: SectionText::Mime };
/// assert_eq!(section.to_string(), "4.2.MIME");
/// assert_eq!(Section::default().to_string(), "");
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// `section-part`: part numbers; empty for the message itself.
    pub part: Vec<NonZeroU32>,
    /// What of that part.
    pub text: SectionText,
}

/// `section-text`: what of a part is asked for.
///
/// ```
/// use facteur::imap::fetch::SectionText;
///
/// assert_eq!(SectionText::HeaderFields(vec!["To".into(), "X-\"y\"".into()]).to_string(), r#"HEADER.FIELDS (To "X-\"y\"")"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum SectionText {
    /// Nothing: the whole message, or the content of the part.
    #[default]
    All,
    /// `HEADER`, of a message.
    Header,
    /// `HEADER.FIELDS (names)`, of a message. The names as the client wrote them.
    HeaderFields(Vec<Bytes>),
    /// `HEADER.FIELDS.NOT (names)`, of a message.
    HeaderFieldsNot(Vec<Bytes>),
    /// `TEXT`, of a message.
    Text,
    /// `MIME`: the header of a part. The grammar asks for a part number before it.
    Mime,
}

/// `"<" number "." nz-number ">"`: so many octets from there.
///
/// ```
/// use facteur::imap::fetch::Partial;
///
/// let partial = Partial { offset: 2, length: 2048.try_into()? };
/// assert_eq!(partial.of(&"hello".into()), "llo");
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The first octet, counted from 0.
    pub offset: u64,
    /// How many octets at most.
    pub length: NonZeroU64,
}

/// What STORE does with the flags (`store-att-flags`).
///
/// ```
/// use facteur::imap::fetch::{StoreAction, StoreMode};
/// use facteur::store::{Flag, FlagEdit, Flags};
///
/// let deleted = Flags::from_iter([Flag::Deleted]);
/// let store = StoreAction { mode: StoreMode::Add, silent: true, flags: deleted.clone() };
/// assert_eq!(store.edit(), FlagEdit::Add(deleted));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAction {
    /// Set, add or remove.
    pub mode: StoreMode,
    /// `.SILENT`: no untagged FETCH in answer.
    pub silent: bool,
    /// Which flags.
    pub flags: Flags,
}

/// `FLAGS`, `+FLAGS` or `-FLAGS`: see [`StoreAction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum StoreMode {
    /// `FLAGS`: the flags become these.
    Set,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// `status-att`: what STATUS asks for (RFC 9051 §6.3.11, RFC 3501 §6.3.10).
///
/// ```
/// use facteur::imap::fetch::StatusItem;
///
/// assert_eq!(StatusItem::parse(b"uidnext"), Some(StatusItem::UidNext));
/// assert_eq!(StatusItem::UidNext.to_string(), "UIDNEXT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusItem {
    /// `MESSAGES`
    Messages,
    /// `RECENT` (RFC 3501)
    Recent,
    /// `UIDNEXT`
    UidNext,
    /// `UIDVALIDITY`
    UidValidity,
    /// `UNSEEN`
    Unseen,
    /// `DELETED` (RFC 9051)
    Deleted,
    /// `SIZE` (RFC 9051, RFC 8438)
    Size,
}

impl FetchItem {
    /// `FAST` (RFC 9051 §6.4.5)
    pub const FAST: [Self; 3] = [Self::Flags, Self::InternalDate, Self::Rfc822Size];
    /// `ALL` (RFC 9051 §6.4.5)
    pub const ALL: [Self; 4] = [Self::Flags, Self::InternalDate, Self::Rfc822Size, Self::Envelope];
    /// `FULL` (RFC 9051 §6.4.5)
    pub const FULL: [Self; 5] = [Self::Flags, Self::InternalDate, Self::Rfc822Size, Self::Envelope, Self::Body];

    /// Whether asking for it sets `\Seen` (RFC 3501 §6.4.5).
    pub fn sets_seen(&self) -> bool {
        matches!(self, Self::Section(..) | Self::Rfc822 | Self::Rfc822Text)
    }

    /// Whether the octets of the message are needed to answer it.
    pub fn needs_message(&self) -> bool {
        !matches!(self, Self::Flags | Self::InternalDate | Self::Uid | Self::Rfc822Size)
    }
}

impl FetchItem {
    /// What a message has to say to this; `None` for what is known without the message.
    pub(crate) fn of(&self, message: &Message) -> Option<FetchData> {
        let section = |text| Section { part: Vec::new(), text }.of(message).unwrap_or_default();
        Some(match self {
            Self::Flags | Self::InternalDate | Self::Uid | Self::Rfc822Size => return None,
            Self::Rfc822 => FetchData::Rfc822("RFC822", message.raw().clone()),
            Self::Rfc822Header => FetchData::Rfc822("RFC822.HEADER", section(SectionText::Header)),
            Self::Rfc822Text => FetchData::Rfc822("RFC822.TEXT", section(SectionText::Text)),
            Self::Envelope => FetchData::Envelope(structure::envelope(message.header()).into()),
            Self::Body => FetchData::BodyOnly(structure::body(message, Form::Basic).into()),
            Self::BodyStructure => FetchData::BodyStructure(structure::body(message, Form::Extended).into()),
            Self::Section(section, partial) | Self::Peek(section, partial) => FetchData::Body {
                section: section.clone(),
                origin: partial.map(|partial| partial.offset),
                content: section.of(message).map(|content| match partial {
                    Some(partial) => partial.of(&content),
                    None => content,
                }),
            },
        })
    }
}

impl Section {
    /// The octets of this section, shared with the message where they stand together in it; `None` where the message has no
    /// such section.
    ///
    /// ```
    /// use facteur::imap::fetch::{Section, SectionText};
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("To: a@b.test\r\nSubject: x\r\n\r\nHello\r\n");
    /// let subject = Section { part: vec![], text: SectionText::HeaderFields(vec!["SUBJECT".into()]) };
    /// assert_eq!(subject.of(&message).unwrap(), "Subject: x\r\n\r\n");
    /// let first = Section { part: vec![1.try_into()?], text: SectionText::All };
    /// assert_eq!(first.of(&message).unwrap(), "Hello\r\n");
    /// # Ok::<(), std::num::TryFromIntError>(())
    /// ```
    pub fn of(&self, message: &Message) -> Option<Bytes> {
        let path: Vec<u32> = self.part.iter().map(|number| number.get()).collect();
        let part = message.part(&path)?;
        let shared = |octets: &[u8]| message.raw().slice_ref(octets);
        // RFC 9051 §6.4.5.1: HEADER and TEXT may follow part numbers "provided that the numeric part specifier refers to a
        // part of type MESSAGE/RFC822 or MESSAGE/GLOBAL".
        let within = || if path.is_empty() { Some(part) } else { part.embedded() };
        match &self.text {
            SectionText::All if path.is_empty() => Some(message.raw().clone()),
            SectionText::All => Some(shared(part.raw_body())),
            SectionText::Mime => Some(shared(part.raw_header())),
            SectionText::Header => Some(shared(within()?.raw_header())),
            SectionText::Text => Some(shared(within()?.raw_body())),
            SectionText::HeaderFields(names) => Some(subset(within()?, names, true)),
            SectionText::HeaderFieldsNot(names) => Some(subset(within()?, names, false)),
        }
    }
}

impl Section {
    /// Whether its octets are put together from pieces.
    pub(crate) fn is_subset(&self) -> bool {
        matches!(self.text, SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_))
    }
}

/// RFC 9051 §6.4.5.1: "The field-matching is ASCII-range case insensitive but is otherwise exact. Subsetting does not exclude
/// the [RFC5322] delimiting blank line between the header and the body".
fn subset(part: Part<'_>, names: &[Bytes], wanted: bool) -> Bytes {
    let names: BTreeSet<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let header: Header<'_> = part.header();
    let chosen = |field: &Field<'_>| names.contains(&field.name().to_ascii_lowercase().into_bytes()) == wanted;
    let mut out: Vec<u8> = header.fields().filter(chosen).flat_map(|field| field.raw().iter().copied()).collect();
    // What of the header is no field is its blank line.
    out.extend_from_slice(part.raw_header().get(header.raw().len()..).unwrap_or_default());
    out.into()
}

impl Partial {
    /// RFC 9051 §6.4.5: "If the starting octet is beyond the end of the text, an empty string is returned", and "Any partial
    /// fetch that attempts to read beyond the end of the text is truncated as appropriate".
    pub fn of(&self, content: &Bytes) -> Bytes {
        let length = content.len();
        let from = usize::try_from(self.offset).unwrap_or(length).min(length);
        let to = usize::try_from(self.length.get()).unwrap_or(length).saturating_add(from).min(length);
        content.slice(from..to)
    }
}

impl StoreAction {
    /// What the store is told to do.
    pub fn edit(&self) -> FlagEdit {
        match self.mode {
            StoreMode::Set => FlagEdit::Replace(self.flags.clone()),
            StoreMode::Add => FlagEdit::Add(self.flags.clone()),
            StoreMode::Remove => FlagEdit::Remove(self.flags.clone()),
        }
    }
}

impl StatusItem {
    /// Every item, in the order of the RFC.
    pub const EVERY: [Self; 7] =
        [Self::Messages, Self::Recent, Self::UidNext, Self::UidValidity, Self::Unseen, Self::Deleted, Self::Size];

    /// The item of that name, in any case of letters.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::EVERY.into_iter().find(|item| name.eq_ignore_ascii_case(item.name().as_bytes()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
        }
    }
}

impl fmt::Display for StatusItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// As it stands between the brackets.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, number) in self.part.iter().enumerate() {
            write!(f, "{}{number}", if n > 0 { "." } else { "" })?;
        }
        if !self.part.is_empty() && self.text != SectionText::All {
            f.write_str(".")?;
        }
        self.text.fmt(f)
    }
}

impl fmt::Display for SectionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, names) = match self {
            Self::All => return Ok(()),
            Self::Header => return f.write_str("HEADER"),
            Self::Text => return f.write_str("TEXT"),
            Self::Mime => return f.write_str("MIME"),
            Self::HeaderFields(names) => ("HEADER.FIELDS", names),
            Self::HeaderFieldsNot(names) => ("HEADER.FIELDS.NOT", names),
        };
        write!(f, "{word} (")?;
        for (n, name) in names.iter().enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            field_name(f, name)?;
        }
        f.write_str(")")
    }
}

/// `header-fld-name = astring`, an atom where it can be, else quoted. What no quoted string holds (8-bit, CR, LF, NUL) is in
/// no field name either and is written as `?`.
fn field_name(f: &mut fmt::Formatter<'_>, name: &[u8]) -> fmt::Result {
    let atom = |octet: &u8| octet.is_ascii_graphic() && !b"(){%*\"\\".contains(octet);
    if !name.is_empty() && name.iter().all(atom) {
        return name.iter().try_for_each(|octet| fmt::Write::write_char(f, char::from(*octet)));
    }
    f.write_str("\"")?;
    for octet in name {
        match octet {
            b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
            b' '..=b'~' => fmt::Write::write_char(f, char::from(*octet))?,
            _ => f.write_str("?")?,
        }
    }
    f.write_str("\"")
}
