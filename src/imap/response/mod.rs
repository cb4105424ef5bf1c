//! What a server answers: untagged data, status responses and their codes (RFC 3501 §7, RFC 9051 §7, RFC 4315 §3,
//! RFC 5530), written strictly. Reading them is the client's side and comes with the client.
//!
//! Texts that people read are written in printable US-ASCII, whatever was given: another octet becomes `?`.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;

use crate::base::{Timestamp, Wire};
use crate::imap::fetch::{Section, StatusItem};
use crate::store::{Flags, Uid};

mod code;
mod strings;

pub use code::Code;
pub(super) use strings::{is_astring_char, is_atom_char, print, resp_text};
use strings::{literal, mailbox_name, nstring, string};

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

impl Data {
    /// Writes the whole line. Contents of messages go out without being copied.
    pub fn write(&self, wire: &mut Wire) {
        wire.out(b"* ");
        match self {
            Self::Status(status, code, text) => {
                wire.out(status.name().as_bytes());
                resp_text(wire, code.as_ref(), text);
                return;
            }
            Self::Capability(all) => words(wire, "CAPABILITY", all),
            Self::Enabled(all) => words(wire, "ENABLED", all),
            Self::Id(fields) => id(wire, fields),
            Self::Namespace(namespaces) => namespace_response(wire, namespaces),
            Self::Flags(flags) => print(wire, format_args!("FLAGS ({flags})")),
            Self::Exists(count) => print(wire, format_args!("{count} EXISTS")),
            Self::Recent(count) => print(wire, format_args!("{count} RECENT")),
            Self::Expunge(number) => print(wire, format_args!("{number} EXPUNGE")),
            Self::List(listed) => mailbox_list(wire, "LIST", listed),
            Self::Lsub(listed) => mailbox_list(wire, "LSUB", listed),
            Self::MailboxStatus { mailbox, items } => {
                wire.out(b"STATUS ");
                mailbox_name(wire, mailbox);
                wire.out(b" (");
                for (n, (item, value)) in items.iter().enumerate() {
                    print(wire, format_args!("{}{item} {value}", if n > 0 { " " } else { "" }));
                }
                wire.out(b")");
            }
            Self::Search(numbers) => {
                wire.out(b"SEARCH");
                numbers.iter().for_each(|number| print(wire, format_args!(" {number}")));
            }
            Self::Fetch { number, items } => {
                print(wire, format_args!("{number} FETCH ("));
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        wire.out(b" ");
                    }
                    item.write(wire);
                }
                wire.out(b")");
            }
        }
        wire.out(b"\r\n");
    }
}

impl FetchData {
    /// `msg-att-dynamic / msg-att-static`
    fn write(&self, wire: &mut Wire) {
        match self {
            Self::Flags { flags, recent } => {
                let recent = match (recent, flags.is_empty()) {
                    (false, _) => "",
                    (true, true) => "\\Recent",
                    (true, false) => "\\Recent ",
                };
                print(wire, format_args!("FLAGS ({recent}{flags})"));
            }
            Self::InternalDate(date) => print(wire, format_args!("INTERNALDATE \"{}\"", date.imap())),
            Self::Rfc822Size(size) => print(wire, format_args!("RFC822.SIZE {size}")),
            Self::Uid(uid) => print(wire, format_args!("UID {uid}")),
            Self::Rfc822(name, content) => {
                print(wire, format_args!("{name} "));
                literal(wire, content.clone());
            }
            Self::Body { section, origin, content } => {
                print(wire, format_args!("BODY[{section}]"));
                if let Some(origin) = origin {
                    print(wire, format_args!("<{origin}>"));
                }
                match content {
                    Some(content) => {
                        wire.out(b" ");
                        literal(wire, content.clone());
                    }
                    None => wire.out(b" NIL"),
                }
            }
            Self::Envelope(value) => written(wire, "ENVELOPE ", value),
            Self::BodyOnly(value) => written(wire, "BODY ", value),
            Self::BodyStructure(value) => written(wire, "BODYSTRUCTURE ", value),
        }
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

/// `mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox`
fn mailbox_list(wire: &mut Wire, name: &str, listed: &ListedName) {
    print(wire, format_args!("{name} ("));
    for (n, attribute) in listed.attributes.iter().enumerate() {
        print(wire, format_args!("{}{attribute}", if n > 0 { " " } else { "" }));
    }
    wire.out(b") ");
    delimiter(wire, listed.delimiter);
    wire.out(b" ");
    mailbox_name(wire, &listed.name);
}

/// `DQUOTE QUOTED-CHAR DQUOTE / nil`
fn delimiter(wire: &mut Wire, delimiter: Option<char>) {
    match delimiter {
        Some(character) => string(wire, character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => wire.out(b"NIL"),
    }
}

/// `Namespace_Response` of RFC 2342 §6.
fn namespace_response(wire: &mut Wire, namespaces: &Namespaces) {
    wire.out(b"NAMESPACE");
    for group in [&namespaces.personal, &namespaces.others, &namespaces.shared] {
        if group.is_empty() {
            wire.out(b" NIL");
            continue;
        }
        wire.out(b" (");
        for (prefix, character) in group {
            wire.out(b"(");
            string(wire, prefix.as_bytes());
            wire.out(b" ");
            delimiter(wire, *character);
            wire.out(b")");
        }
        wire.out(b")");
    }
}

/// `id_response` of RFC 2971 §4.
fn id(wire: &mut Wire, fields: &[(Bytes, Option<Bytes>)]) {
    if fields.is_empty() {
        return wire.out(b"ID NIL");
    }
    wire.out(b"ID (");
    for (n, (field, value)) in fields.iter().enumerate() {
        if n > 0 {
            wire.out(b" ");
        }
        string(wire, field);
        wire.out(b" ");
        nstring(wire, value.as_ref());
    }
    wire.out(b")");
}

fn words(wire: &mut Wire, name: &str, all: &[String]) {
    wire.out(name.as_bytes());
    all.iter().for_each(|word| print(wire, format_args!(" {word}")));
}

fn written(wire: &mut Wire, name: &str, value: &Bytes) {
    wire.out(name.as_bytes());
    wire.out(value);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fetch::SectionText;
    use crate::imap::sequence::Ranges;
    use crate::store::Flag;

    fn written(data: &Data) -> String {
        let mut wire = Wire::new();
        data.write(&mut wire);
        let mut out = Vec::new();
        while !wire.outgoing().is_empty() {
            let n = wire.outgoing().len();
            out.extend_from_slice(wire.outgoing());
            wire.sent(n);
        }
        String::from_utf8(out).unwrap()
    }

    fn one(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    #[test]
    fn data_is_written_as_the_examples_of_rfc_3501_have_it() {
        let seen = Flags::from_iter([Flag::Seen]);
        let mut noselect = ListedName::new("~/Mail/foo");
        noselect.attributes = vec![Attribute::NoSelect];
        let section = Section { part: Vec::new(), text: SectionText::HeaderFields(vec!["DATE".into(), "FROM".into()]) };
        for (data, expected) in [
            (Data::List(noselect), "* LIST (\\Noselect) \"/\" ~/Mail/foo\r\n"),
            (Data::Lsub(ListedName::new("a b")), "* LSUB () \"/\" \"a b\"\r\n"),
            (Data::List(ListedName { delimiter: None, ..ListedName::new("") }), "* LIST () NIL \"\"\r\n"),
            (Data::List(ListedName::new("台北")), "* LIST () \"/\" &U,BTFw-\r\n"),
            (Data::List(ListedName::new("nil")), "* LIST () \"/\" \"nil\"\r\n"),
            (
                Data::MailboxStatus {
                    mailbox: "blurdybloop".into(),
                    items: vec![(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)],
                },
                "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n",
            ),
            (Data::Search(vec![one(2), one(3), one(6)]), "* SEARCH 2 3 6\r\n"),
            (Data::Search(Vec::new()), "* SEARCH\r\n"),
            (Data::Flags(seen.clone()), "* FLAGS (\\Seen)\r\n"),
            (Data::Expunge(one(44)), "* 44 EXPUNGE\r\n"),
            (
                Data::Fetch {
                    number: one(23),
                    items: vec![FetchData::Flags { flags: seen.clone(), recent: true }, FetchData::Rfc822Size(44827)],
                },
                "* 23 FETCH (FLAGS (\\Recent \\Seen) RFC822.SIZE 44827)\r\n",
            ),
            (
                Data::Fetch { number: one(1), items: vec![FetchData::Flags { flags: Flags::new(), recent: true }] },
                "* 1 FETCH (FLAGS (\\Recent))\r\n",
            ),
            (
                Data::Fetch {
                    number: one(1),
                    items: vec![FetchData::Body { section, origin: None, content: Some("ab".into()) }],
                },
                "* 1 FETCH (BODY[HEADER.FIELDS (DATE FROM)] {2}\r\nab)\r\n",
            ),
            (Data::Namespace(Namespaces::default()), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"),
            (Data::Id(Vec::new()), "* ID NIL\r\n"),
            (Data::Id(vec![("os".into(), None)]), "* ID (\"os\" NIL)\r\n"),
            (
                Data::Status(Status::Ok, Some(Code::Unseen(one(17))), "Message 17 is first".into()),
                "* OK [UNSEEN 17] Message 17 is first\r\n",
            ),
        ] {
            assert_eq!(written(&data), expected);
        }
    }

    #[test]
    fn contents_go_out_as_literals_without_nul() {
        let section = Section { part: vec![one(2)], text: SectionText::Text };
        let items = vec![
            FetchData::Body { section, origin: Some(5), content: Some("a\r\nb".into()) },
            FetchData::Rfc822("RFC822.TEXT", "".into()),
            FetchData::Body { section: Section::default(), origin: None, content: None },
        ];
        assert_eq!(
            written(&Data::Fetch { number: one(1), items }),
            "* 1 FETCH (BODY[2.TEXT]<5> {4}\r\na\r\nb RFC822.TEXT {0}\r\n BODY[] NIL)\r\n"
        );
        let mut wire = Wire::new();
        strings::literal(&mut wire, Bytes::from_static(b"a\0b"));
        let mut out = Vec::new();
        while !wire.outgoing().is_empty() {
            out.push(wire.outgoing()[0]);
            wire.sent(1);
        }
        assert_eq!(out, b"{3}\r\na\x80b");
    }

    #[test]
    fn codes_are_written() {
        let flags = Flags::from_iter([Flag::Deleted]);
        let ranges = |numbers: &[u32]| numbers.iter().copied().collect::<Ranges>();
        for (code, expected) in [
            (Code::PermanentFlags { flags: flags.clone(), new_keywords: true }, "PERMANENTFLAGS (\\Deleted \\*)"),
            (Code::PermanentFlags { flags, new_keywords: false }, "PERMANENTFLAGS (\\Deleted)"),
            (Code::PermanentFlags { flags: Flags::new(), new_keywords: true }, "PERMANENTFLAGS (\\*)"),
            (Code::PermanentFlags { flags: Flags::new(), new_keywords: false }, "PERMANENTFLAGS ()"),
            (Code::AppendUid { validity: one(38505), uid: Uid(one(3955)) }, "APPENDUID 38505 3955"),
            // RFC 4315 §3: "A003 OK [COPYUID 38505 304,319:320 3956:3958] Done"
            (
                Code::CopyUid { validity: one(38505), from: ranges(&[304, 319, 320]), to: ranges(&[3956, 3957, 3958]) },
                "COPYUID 38505 304,319:320 3956:3958",
            ),
            (Code::BadCharset(Vec::new()), "BADCHARSET"),
            (Code::BadCharset(vec!["US-ASCII".into(), "UTF-8".into()]), "BADCHARSET (US-ASCII UTF-8)"),
            (Code::Capability(vec!["IMAP4rev1".into(), "IDLE".into()]), "CAPABILITY IMAP4rev1 IDLE"),
        ] {
            assert_eq!(code.to_string(), expected);
        }
    }

    #[test]
    fn texts_cannot_break_out_of_their_line() {
        for (text, expected) in [
            ("plain", " plain\r\n"),
            ("", " -\r\n"),
            ("[ALERT] x", " (ALERT] x\r\n"),
            ("a\r\n* BYE\tx", " a??* BYE?x\r\n"),
            ("naïve", " na??ve\r\n"),
        ] {
            let mut wire = Wire::new();
            resp_text(&mut wire, None, text);
            assert_eq!(wire.outgoing(), expected.as_bytes(), "{text:?}");
        }
    }
}
