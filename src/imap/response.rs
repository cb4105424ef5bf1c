//! What a server answers: untagged data, status responses and their codes (RFC 3501 §7, RFC 9051 §7, RFC 4315 §3,
//! RFC 5530), written strictly. Reading them is the client's side and comes with the client.
//!
//! Texts that people read are written in printable US-ASCII, whatever was given: another octet becomes `?`.

use std::fmt::{self, Write as _};
use std::num::NonZeroU32;

use bytes::Bytes;

use crate::base::{Timestamp, Wire};
use crate::imap::fetch::{Section, StatusItem};
use crate::imap::sequence::Ranges;
use crate::store::{Flags, Uid};

/// Strings longer than this are written as literals; clients with short line buffers exist.
const MAX_QUOTED: usize = 1000;

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

/// A response code (`resp-text-code`): what a program learns from a status response.
///
/// ```
/// use facteur::imap::Code;
///
/// assert_eq!(Code::TryCreate.to_string(), "TRYCREATE");
/// assert_eq!(Code::UidNext(facteur::store::Uid(7.try_into()?)).to_string(), "UIDNEXT 7");
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// `ALERT`: the text must be shown to the user.
    Alert,
    /// `ALREADYEXISTS` (RFC 5530)
    AlreadyExists,
    /// `APPENDUID` (RFC 4315)
    AppendUid {
        /// The UIDVALIDITY of the mailbox appended to.
        validity: NonZeroU32,
        /// The UID that the message got.
        uid: Uid,
    },
    /// `AUTHENTICATIONFAILED` (RFC 5530)
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED` (RFC 5530)
    AuthorizationFailed,
    /// `BADCHARSET`, with the charsets that are known.
    BadCharset(Vec<String>),
    /// `CANNOT` (RFC 5530)
    Cannot,
    /// `CAPABILITY`
    Capability(Vec<String>),
    /// `CLIENTBUG` (RFC 5530)
    ClientBug,
    /// `CLOSED` (RFC 9051 §7.1): what follows is about the newly selected mailbox.
    Closed,
    /// `CONTACTADMIN` (RFC 5530)
    ContactAdmin,
    /// `COPYUID` (RFC 4315): written only where there were messages to copy.
    CopyUid {
        /// The UIDVALIDITY of the mailbox copied to.
        validity: NonZeroU32,
        /// The UIDs of what was copied.
        from: Ranges,
        /// The UIDs of the copies, in the same order.
        to: Ranges,
    },
    /// `CORRUPTION` (RFC 5530)
    Corruption,
    /// `EXPIRED` (RFC 5530)
    Expired,
    /// `EXPUNGEISSUED` (RFC 5530)
    ExpungeIssued,
    /// `HASCHILDREN` (RFC 9051 §7.1)
    HasChildren,
    /// `INUSE` (RFC 5530)
    InUse,
    /// `LIMIT` (RFC 5530)
    Limit,
    /// `NONEXISTENT` (RFC 5530)
    NonExistent,
    /// `NOPERM` (RFC 5530)
    NoPerm,
    /// `OVERQUOTA` (RFC 5530)
    OverQuota,
    /// `PARSE`: a message has a header that cannot be read.
    Parse,
    /// `PERMANENTFLAGS`: the flags that a client can change for good.
    PermanentFlags {
        /// These.
        flags: Flags,
        /// `\*`: and keywords that are not used yet.
        new_keywords: bool,
    },
    /// `PRIVACYREQUIRED` (RFC 5530)
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG` (RFC 5530)
    ServerBug,
    /// `TOOBIG` (RFC 4469, RFC 7889)
    TooBig,
    /// `TRYCREATE`: the mailbox is not there, but could be created.
    TryCreate,
    /// `UIDNEXT`
    UidNext(Uid),
    /// `UIDNOTSTICKY` (RFC 4315)
    UidNotSticky,
    /// `UIDVALIDITY`
    UidValidity(NonZeroU32),
    /// `UNAVAILABLE` (RFC 5530)
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516): literal8 is not taken here.
    UnknownCte,
    /// `UNSEEN` (RFC 3501 §7.1): the first message without `\Seen`, by sequence number.
    Unseen(NonZeroU32),
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

/// `resp-cond-state CRLF`, the condition written already: `[SP code] SP text CRLF`
pub(super) fn resp_text(wire: &mut Wire, code: Option<&Code>, text: &str) {
    if let Some(code) = code {
        print(wire, format_args!(" [{code}]"));
    }
    wire.out(b" ");
    // A text that starts with a bracket would be read as a code where there is none.
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'[' if at == 0 => wire.out(b"("),
            b' '..=b'~' => wire.out(&[octet]),
            _ => wire.out(b"?"),
        }
    }
    if text.is_empty() {
        wire.out(b"-"); // text = 1*TEXT-CHAR
    }
    wire.out(b"\r\n");
}

/// `string`: quoted where it can be.
pub(super) fn string(wire: &mut Wire, octets: &[u8]) {
    // RFC 3501 §9: QUOTED-CHAR is 7-bit and holds no CR or LF
    if octets.len() > MAX_QUOTED || !octets.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~')) {
        return literal(wire, Bytes::copy_from_slice(octets));
    }
    wire.out(b"\"");
    for octet in octets {
        if matches!(octet, b'"' | b'\\') {
            wire.out(b"\\");
        }
        wire.out(&[*octet]);
    }
    wire.out(b"\"");
}

/// `literal = "{" number "}" CRLF *CHAR8`. RFC 3501 §9: NUL "MUST NOT be used at any time", so a content that holds it is sent
/// with each NUL made 0x80, as other servers do; the length stays what was told by RFC822.SIZE.
fn literal(wire: &mut Wire, octets: Bytes) {
    print(wire, format_args!("{{{}}}\r\n", octets.len()));
    match memchr::memchr(0, &octets) {
        None => wire.out_shared(octets),
        Some(_) => wire.out(&octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }).collect::<Vec<u8>>()),
    }
}

/// `astring`: an atom where it can be.
pub(super) fn astring(wire: &mut Wire, octets: &[u8]) {
    let atom = !octets.is_empty() && octets.len() <= MAX_QUOTED && octets.iter().copied().all(is_astring_char);
    // An atom NIL is a string here, but not every reader knows.
    if atom && !octets.eq_ignore_ascii_case(b"NIL") { wire.out(octets) } else { string(wire, octets) }
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub(super) fn is_astring_char(octet: u8) -> bool {
    octet == b']' || is_atom_char(octet)
}

/// `ATOM-CHAR = <any CHAR except atom-specials>`
pub(super) fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

/// `mailbox = "INBOX" / astring`
fn mailbox_name(wire: &mut Wire, name: &str) {
    astring(wire, name.as_bytes());
}

/// `nstring = string / nil`
fn nstring(wire: &mut Wire, octets: Option<&Bytes>) {
    match octets {
        Some(octets) => string(wire, octets),
        None => wire.out(b"NIL"),
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

/// Writing to a [`Wire`] cannot fail.
pub(super) fn print(wire: &mut Wire, text: fmt::Arguments<'_>) {
    let _ = wire.write_fmt(text);
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

/// As it stands between the brackets.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppendUid { validity, uid } => return write!(f, "APPENDUID {validity} {uid}"),
            Self::BadCharset(known) if known.is_empty() => "BADCHARSET",
            Self::BadCharset(known) => return write!(f, "BADCHARSET ({})", known.join(" ")),
            Self::Capability(all) => return write!(f, "CAPABILITY {}", all.join(" ")),
            Self::CopyUid { validity, from, to } => return write!(f, "COPYUID {validity} {from} {to}"),
            Self::PermanentFlags { flags, new_keywords } => {
                let more = match (new_keywords, flags.is_empty()) {
                    (false, _) => "",
                    (true, true) => "\\*",
                    (true, false) => " \\*",
                };
                return write!(f, "PERMANENTFLAGS ({flags}{more})");
            }
            Self::UidNext(uid) => return write!(f, "UIDNEXT {uid}"),
            Self::UidValidity(validity) => return write!(f, "UIDVALIDITY {validity}"),
            Self::Unseen(number) => return write!(f, "UNSEEN {number}"),
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
        })
    }
}
