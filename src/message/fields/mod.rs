//! Typed reading of header fields: media types, dispositions, encodings, identifiers; trace, lists, marks and requests in files of
//! their own.
//!
//! RFC 2045 §5 and §6, RFC 2183, RFC 5322 §3.6.4. Every field of the registry of RFC 4021 that has structure, and those since
//! that mail has use for:
//!
//! | field | reader of [`Field`] | what it gives |
//! |---|---|---|
//! | Date, Resent-Date, Delivery-Date, Expires, Expiry-Date, Reply-By, Deferred-Delivery, Latest-Delivery-Time | `date` | [`Timestamp`] |
//! | From, Sender, Reply-To, To, Cc, Bcc, Resent-From, Resent-Sender, Resent-Reply-To, Resent-To, Resent-Cc, Resent-Bcc, Disposition-Notification-To, Originator-Return-Address, Author, Original-From, Delivered-To, Apparently-To | `addresses` | [`Entry`](crate::address::Entry)s |
//! | Message-ID, In-Reply-To, References, Resent-Message-ID, Original-Message-ID, Content-ID, Obsoletes, Supersedes | `ids` | identifiers |
//! | Resent-* by block | [`Header::resent`](crate::message::Header::resent) | [`Resent`] |
//! | Return-Path | `return_path` | [`Mailbox`](crate::address::Mailbox) |
//! | Received | `received` | [`Received`] |
//! | Subject, Comments, Content-Description, Content-Identifier, Message-Type, Organization, Original-Subject | `text` | text |
//! | Keywords, Solicitation, Encrypted, Encoding, Original-Encoded-Information-Types | `list` | texts |
//! | MIME-Version | `mime_version` | two numbers |
//! | Content-Type | `content_type` | [`ContentType`] |
//! | Content-Disposition | `disposition` | [`Disposition`] |
//! | Content-Transfer-Encoding | [`Part::encoding`](crate::message::Part::encoding) | [`Encoding`] |
//! | Content-Language, Language | `languages` | tags |
//! | Accept-Language | `accepted_languages` | [`AcceptedLanguage`]s |
//! | Content-Location, Content-Base | `location` | URI |
//! | Content-MD5 | `content_md5` | digest |
//! | Content-Duration | `duration` | [`Duration`](std::time::Duration) |
//! | Importance, Priority, X-Priority, X-MSMail-Priority | `importance`, [`Header::importance`](crate::message::Header::importance) | [`Importance`] |
//! | Sensitivity | `sensitivity` | [`Sensitivity`] |
//! | Auto-Submitted, Autosubmitted | `auto_submitted` | [`AutoSubmitted`] |
//! | Alternate-Recipient, Autoforwarded, Content-Return, Conversion, Conversion-With-Loss, Disclose-Recipients, Generate-Delivery-Report, Incomplete-Copy, Prevent-NonDelivery-Report, TLS-Required, X400-Content-Return | `flag` | yes or no |
//! | Message-Context | `message_context` | [`MessageContext`] |
//! | Disposition-Notification-Options | `notification_options` | [`NotificationOption`]s |
//! | Original-Recipient | `typed_address` | [`TypedAddress`] |
//! | MT-Priority | `mt_priority` | number |
//! | Require-Recipient-Valid-Since | `valid_since` | [`ValidSince`] |
//! | List-Help, List-Subscribe, List-Unsubscribe, List-Post, List-Owner, List-Archive, Archived-At | `uris` | URIs |
//! | List-Unsubscribe-Post | [`Header::one_click_unsubscribe`](crate::message::Header::one_click_unsubscribe) | URI |
//! | List-Id | `list_id` | [`ListId`] |
//!
//! Left as `text`: Content-Features, Content-Alternative (expressions of media features), PICS-Label, DL-Expansion-History,
//! Discarded-X400-*, X400-* (the trace of gateways).

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;

use super::header::Field;
use super::scan::key;

use crate::address::{Mailboxes, is_atext, list};
use crate::base::Timestamp;
use crate::base::eight::Eight;
use crate::text::charset;
use crate::text::params::{self, Params, comment_end, is_token, skip_cfws};
use crate::text::transfer::Set;

pub mod lists;
pub mod marks;
pub mod received;
pub mod requests;

pub use lists::ListId;
pub use marks::{AutoSubmitted, Importance, Resent};
pub use received::{Received, ReceivedHost};
pub use requests::{AcceptedLanguage, MessageContext, NotificationOption, Sensitivity, TypedAddress, ValidSince};

/// The value of a field in the form that its name asks for, see [`Field::read`]. Those of one word or number are text here; their
/// readers are in the table above.
///
/// ```
/// use facteur::message::{Message, Value};
///
/// let message = Message::parse("To: Ada <ada@a.test>\r\nSubject: Lunch?\r\n\r\n");
/// for field in message.header().fields() {
///     match field.read() {
///         Value::Mailboxes(mut mailboxes) => assert_eq!(mailboxes.next().unwrap().name().unwrap(), "Ada"),
///         Value::Text(text) => assert_eq!(text, "Lunch?"),
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // it is looked at where it is made; a box for each Received would be felt
#[non_exhaustive]
pub enum Value<'a> {
    /// From, To and their kin, and the List fields that are addresses or URIs in angle brackets.
    Mailboxes(Mailboxes<'a>),
    /// Date and its kin.
    Date(Timestamp),
    /// Message-ID and its kin, and Return-Path, whose path stands in brackets as identifiers do.
    Ids(Ids<'a>),
    /// Received
    Received(Received<'a>),
    /// Content-Type
    ContentType(ContentType),
    /// Content-Disposition
    Disposition(Disposition),
    /// All others, and what is not in the form of its name.
    Text(Cow<'a, str>),
}

/// What form a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Mailboxes,
    Date,
    Ids,
    Received,
    ContentType,
    Disposition,
}

/// The names of fields that are no text.
const FORMS: [(&[u8], Form); 42] = [
    (b"from", Form::Mailboxes),
    (b"sender", Form::Mailboxes),
    (b"reply-to", Form::Mailboxes),
    (b"to", Form::Mailboxes),
    (b"cc", Form::Mailboxes),
    (b"bcc", Form::Mailboxes),
    (b"resent-from", Form::Mailboxes),
    (b"resent-sender", Form::Mailboxes),
    (b"resent-reply-to", Form::Mailboxes),
    (b"resent-to", Form::Mailboxes),
    (b"resent-cc", Form::Mailboxes),
    (b"resent-bcc", Form::Mailboxes),
    (b"disposition-notification-to", Form::Mailboxes),
    (b"delivered-to", Form::Mailboxes),
    (b"apparently-to", Form::Mailboxes),
    (b"author", Form::Mailboxes),
    (b"original-from", Form::Mailboxes),
    (b"list-id", Form::Mailboxes),
    (b"list-post", Form::Mailboxes),
    (b"list-unsubscribe", Form::Mailboxes),
    (b"list-subscribe", Form::Mailboxes),
    (b"list-help", Form::Mailboxes),
    (b"list-owner", Form::Mailboxes),
    (b"list-archive", Form::Mailboxes),
    (b"date", Form::Date),
    (b"resent-date", Form::Date),
    (b"delivery-date", Form::Date),
    (b"expires", Form::Date),
    (b"expiry-date", Form::Date),
    (b"reply-by", Form::Date),
    (b"deferred-delivery", Form::Date),
    (b"message-id", Form::Ids),
    (b"resent-message-id", Form::Ids),
    (b"original-message-id", Form::Ids),
    (b"in-reply-to", Form::Ids),
    (b"references", Form::Ids),
    (b"content-id", Form::Ids),
    (b"supersedes", Form::Ids),
    (b"return-path", Form::Ids),
    (b"received", Form::Received),
    (b"content-type", Form::ContentType),
    (b"content-disposition", Form::Disposition),
];

impl Form {
    /// By its name, in any case of letters; `None` for text.
    fn of(name: &[u8]) -> Option<Self> {
        // The place in the table, by a few bits of the key of the name, of which no two names have the same.
        static PLACES: [u8; 4096] = {
            let (mut places, mut n) = ([u8::MAX; 4096], 0);
            while n < FORMS.len() {
                let slot = slot(FORMS[n].0); // within the loop
                assert!(places[slot] == u8::MAX, "two names in one slot"); // below 4096
                places[slot] = n as u8; // below 4096, and fewer than 255
                n += 1;
            }
            places
        };
        const fn slot(name: &[u8]) -> usize {
            (key(name) & 4095) as usize
        }
        let place = PLACES[slot(name)]; // below 4096
        let (known, form) = FORMS.get(usize::from(place))?;
        (name.len() == known.len() && is_alike(name, known)).then_some(*form)
    }
}

/// Whether a name is this one, as long and in lower case, in any case of letters.
fn is_alike(name: &[u8], known: &[u8]) -> bool {
    let (mut name, mut known, mut differ) = (name, known, 0);
    while !known.is_empty() {
        let (octets, (these, behind)) = (Eight::split(name), Eight::split(known));
        // Letters and hyphens, to which no other printable octet becomes by this.
        differ |= octets.0.lower() ^ these.lower();
        (name, known) = (octets.1, behind);
    }
    differ == 0
}

impl<'a> Field<'a> {
    /// The value in the form that the name of the field asks for, decoded; text, where it is not in that form.
    pub fn read(self) -> Value<'a> {
        let text = || Value::Text(self.text());
        let Some(form) = Form::of(self.name_octets()) else { return text() };
        let value = self.value();
        match form {
            Form::Mailboxes => Value::Mailboxes(list::mailboxes(value)),
            Form::Date => self.date().map_or_else(text, Value::Date),
            Form::Ids => Value::Ids(Ids::new(value)),
            Form::Received => Value::Received(Received::parse(value)),
            Form::ContentType => ContentType::parse(value).map_or_else(text, Value::ContentType),
            Form::Disposition => Disposition::parse(value).map_or_else(text, Value::Disposition),
        }
    }
}

/// The value of a Content-Type field (RFC 2045 §5.1).
///
/// ```
/// use facteur::message::ContentType;
///
/// let content_type = ContentType::parse(b"Text/Plain; charset=\"UTF-8\"").unwrap();
/// assert!(content_type.is("text", "plain"));
/// assert_eq!(content_type.charset().as_deref(), Some("UTF-8"));
/// assert_eq!(content_type.to_string(), "text/plain");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    kind: CompactString,
    subtype: CompactString,
    params: Params,
}

impl ContentType {
    /// Reads `type "/" subtype *(";" parameter)`; `None` where there is no type and subtype.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (kind, subtype) = media_type(value)?;
        Some(Self { kind: lower(kind), subtype: lower(subtype), params: Params::parse(value) })
    }

    /// A media type without parameters, as the defaults are.
    pub(super) fn plain(kind: &str, subtype: &str) -> Self {
        Self { kind: kind.into(), subtype: subtype.into(), params: Params::default() }
    }

    /// `text/plain; charset=us-ascii` (RFC 2045 §5.2)
    pub(super) fn text() -> Self {
        let params = Params::parse(b"; charset=us-ascii");
        Self { params, ..Self::plain("text", "plain") }
    }

    /// The type, in lower case.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The subtype, in lower case.
    pub fn subtype(&self) -> &str {
        &self.subtype
    }

    /// Whether it is this type and subtype, both given in lower case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The text of a parameter.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params.value(name)
    }

    /// The `charset` parameter.
    pub fn charset(&self) -> Option<String> {
        self.param("charset")
    }
}

/// Without parameters: `text/plain`.
impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.subtype)
    }
}

/// The value of a Content-Disposition field (RFC 2183).
///
/// ```
/// use facteur::message::Disposition;
///
/// let disposition = Disposition::parse(b"Attachment; filename*=utf-8''%C3%A9.txt").unwrap();
/// assert!(disposition.is_attachment());
/// assert_eq!(disposition.param("filename").as_deref(), Some("é.txt"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    kind: CompactString,
    params: Params,
}

impl Disposition {
    /// Reads `disposition-type *(";" disposition-parm)`, the type in quotes too; `None` where there is no type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut at = 0;
        skip_cfws(value, &mut at);
        let rest = value.get(at..).unwrap_or_default();
        let (kind, _) = token(rest.strip_prefix(b"\"").unwrap_or(rest))?;
        Some(Self { kind: lower(kind), params: Params::parse(value) })
    }

    /// `inline`, `attachment` or another word, in lower case.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether the part is to be shown only on demand: RFC 2183 §2.8 asks to treat unknown words as `attachment`.
    pub fn is_attachment(&self) -> bool {
        self.kind != "inline"
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The text of a parameter.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params.value(name)
    }
}

/// The value of a Content-Transfer-Encoding field (RFC 2045 §6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// `7bit`, the default.
    #[default]
    SevenBit,
    /// `8bit`
    EightBit,
    /// `binary`
    Binary,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
    /// `x-uuencode`, as it was sent before MIME and by some beside it.
    Uuencode,
    /// Another word, in lower case. What it encodes is left as it is.
    Other(String),
}

impl Encoding {
    /// Reads the value of the field; an empty one is the default. Quotes, parameters, full stops, and spaces or hyphens within
    /// a word are passed over, as senders write them.
    pub fn parse(value: &[u8]) -> Self {
        if let Some(encoding) = Self::exact(value) {
            return encoding;
        }
        let mut at = 0;
        skip_cfws(value, &mut at);
        let rest = value.get(at..).unwrap_or_default();
        let end = rest.iter().position(|octet| matches!(octet, b';' | b'(' | b',')).unwrap_or(rest.len());
        // The first word, and all of them joined: `base64 charset=x`, `quoted printable`.
        let words = rest.get(..end).unwrap_or_default().trim_ascii();
        let first = words.split(|octet| octet.is_ascii_whitespace()).next().unwrap_or_default();
        let key = |text: &[u8]| -> Vec<u8> {
            let letters = text.iter().filter(|octet| octet.is_ascii_alphanumeric()).take(LONGEST_ENCODING + 1);
            letters.map(u8::to_ascii_lowercase).collect()
        };
        let known = [first, words].into_iter().find_map(|text| Self::of(&key(text)));
        known.unwrap_or_else(|| match charset::guess(first).trim_matches(['"', '\'', '.']).to_ascii_lowercase() {
            word if word.is_empty() => Self::SevenBit,
            word => Self::Other(word),
        })
    }

    /// One of the five words, and white space around it.
    #[inline] // for what comes back in memory is not there yet when it is copied
    pub(super) fn exact(value: &[u8]) -> Option<Self> {
        let word = value.trim_ascii();
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        match word.len() {
            4 if is(b"7bit") => Some(Self::SevenBit),
            4 if is(b"8bit") => Some(Self::EightBit),
            6 if is(b"base64") => Some(Self::Base64),
            6 if is(b"binary") => Some(Self::Binary),
            16 if is(b"quoted-printable") => Some(Self::QuotedPrintable),
            _ => None,
        }
    }

    /// The encoding of a word of which only letters and digits are left.
    fn of(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"7bit" | b"7bits" => Self::SevenBit,
            b"8bit" | b"8bits" => Self::EightBit,
            b"binary" => Self::Binary,
            b"quotedprintable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            b"uuencode" | b"xuuencode" | b"uue" | b"xuue" => Self::Uuencode,
            _ => return None,
        })
    }

    /// Whether the octets of the body are others than those of the content.
    pub fn is_encoded(&self) -> bool {
        matches!(self, Self::QuotedPrintable | Self::Base64 | Self::Uuencode)
    }
}

/// The length of `quotedprintable`; what is longer is none of the words known.
const LONGEST_ENCODING: usize = 15;

/// As the field has it.
impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Binary => "binary",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
            Self::Uuencode => "x-uuencode",
            Self::Other(word) => word,
        })
    }
}

/// What a Content-Type is to the part tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Composite {
    None,
    /// A message; `encodable` where RFC 6532 §3.5 allows it to be in base64 or quoted-printable.
    Message {
        encodable: bool,
    },
    Multipart {
        digest: bool,
    },
}

/// As [`ContentType::parse`], for the one question of the scan and without memory.
pub(super) fn composite(value: &[u8]) -> Composite {
    // Most are neither, and say so with their first letter.
    if !matches!(value.trim_ascii_start(), [b'm' | b'M' | b'(', ..]) {
        return Composite::None;
    }
    let Some((kind, subtype)) = media_type(value) else { return Composite::None };
    let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
    if is(kind, "multipart") {
        return Composite::Multipart { digest: is(subtype, "digest") };
    }
    // RFC 2046 §5.2.1, RFC 6532 §3.7, RFC 5537 §2.3
    let encodable = is(subtype, "global");
    let message = is(kind, "message") && (encodable || is(subtype, "rfc822") || is(subtype, "news"));
    if message { Composite::Message { encodable } } else { Composite::None }
}

/// The boundary of a multipart: its white space at the end taken away (RFC 2046 §5.1.1); `None` where it is empty, and where
/// it holds a line end, as only RFC 2231 can write it: no line begins with that, and to look for it would take quadratic time.
pub(super) fn boundary(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(boundary) = params::simple(value, "boundary") {
        return boundary.map(|text| Cow::Borrowed(text.as_bytes().trim_ascii_end())).filter(|value| !value.is_empty());
    }
    let params = Params::parse(value);
    let mut boundary = match params.octets("boundary") {
        Some(octets) => octets.to_vec(),
        None => params.value("boundary")?.into_bytes(),
    };
    boundary.truncate(boundary.trim_ascii_end().len());
    (!boundary.is_empty() && !boundary.contains(&b'\n')).then_some(Cow::Owned(boundary))
}

/// `type "/" subtype`, with CFWS between them.
pub(super) fn media_type(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (kind, rest) = token(value)?;
    let mut at = 0;
    skip_cfws(rest, &mut at);
    let [b'/', rest @ ..] = rest.get(at..)? else { return None };
    let (subtype, _) = token(rest)?;
    Some((kind, subtype))
}

/// A token in lower case; nearly all are short.
fn lower(token: &[u8]) -> CompactString {
    let mut lower = CompactString::from(charset::guess_piece(token));
    lower.make_ascii_lowercase();
    lower
}

/// `[CFWS] token`, and what follows. UTF-8 is read too.
fn token(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    skip_cfws(value, &mut at);
    let value = value.get(at..)?;
    let len = value.iter().position(|octet| !is_token(*octet) && *octet < 0x80).unwrap_or(value.len());
    (len > 0).then(|| value.split_at(len))
}

/// The identifiers in a field, each read when it is asked for: `1*msg-id` (RFC 5322 §3.6.4, §4.5.4), what stands between angle
/// brackets, white space and comments taken away. Where there are no brackets, the words with an `@` in them; or else the only
/// word.
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("References: <1@a.test> (and)\r\n <2@a.test>\r\n\r\n");
/// let ids = message.header().get("references").unwrap().ids();
/// assert_eq!(ids.collect::<Vec<_>>(), ["1@a.test", "2@a.test"]);
/// ```
#[derive(Clone, Debug)]
pub struct Ids<'a> {
    value: &'a [u8],
    /// What of it was read.
    at: usize,
    look_for: Look,
    /// Once a comment was found to have no end, its bracket is an ordinary octet: time stays linear.
    comments: bool,
}

/// What is looked for, and whether something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Brackets,
    MoreBrackets,
    Words,
    MoreWords,
    Nothing,
}

impl<'a> Ids<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { value, at: 0, look_for: Look::Brackets, comments: true }
    }

    fn in_brackets(&mut self) -> Option<Cow<'a, str>> {
        // What was read of one that is not as it should be.
        let mut id: Option<Vec<u8>> = None;
        while let Some(octet) = self.value.get(self.at).copied() {
            let from = self.at;
            self.at += 1;
            match (octet, &mut id) {
                (b'(', id) if self.comments => match comment_end(self.value, from) {
                    Some(end) => {
                        self.at = end;
                        // RFC 5322 §4.5.4 has comments around atoms and dots, none within an atom: `<photo(1)_x.jpg>`.
                        let within = |at: Option<&u8>| at.is_some_and(|octet| is_atext(*octet));
                        let atom = within(self.value.get(from.wrapping_sub(1))) && within(self.value.get(end));
                        let comment = self.value.get(from..end).unwrap_or_default();
                        if let Some(id) = id.as_mut().filter(|_| atom && !comment.iter().any(|o| b"<>".contains(o))) {
                            id.extend(comment.iter().filter(|octet| !octet.is_ascii_whitespace()));
                        }
                    }
                    // An ordinary octet, here and further on.
                    None => (self.comments, self.at) = (false, from),
                },
                (b'<', _) => {
                    let rest = self.value.get(self.at..).unwrap_or_default();
                    match ENDS_ID.find(rest) {
                        // As it should be.
                        Some(len) if len > 0 && rest.get(len) == Some(&b'>') => {
                            self.at += len + 1;
                            return rest.get(..len).map(charset::guess);
                        }
                        _ => id = Some(Vec::new()),
                    }
                }
                // RFC 5322 §4.5.4, obs-id-left: a local part, which may be quoted. What the quotes hold stays as it stands.
                (b'"', Some(id)) => {
                    let rest = self.value.get(from..).unwrap_or_default();
                    let end = rest.iter().skip(1).position(|octet| matches!(octet, b'"' | b'<' | b'>'));
                    let len = end.filter(|len| rest.get(len + 1) == Some(&b'"')).map_or(1, |len| len + 2);
                    id.extend(rest.iter().take(len).filter(|octet| !matches!(octet, b'\r' | b'\n')));
                    self.at = from + len;
                }
                (b'>', Some(_)) => {
                    if let Some(id) = id.take().filter(|id| !id.is_empty()) {
                        return Some(Cow::Owned(charset::guess(&id).into_owned()));
                    }
                }
                (_, Some(id)) if !octet.is_ascii_whitespace() => id.push(octet),
                _ => {}
            }
        }
        None
    }

    /// The next word with an `@` in it.
    fn word(&mut self) -> Option<Cow<'a, str>> {
        let ends = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b',' | b'<' | b'>');
        while let Some(rest) = self.value.get(self.at..).filter(|rest| !rest.is_empty()) {
            let len = rest.iter().position(ends).unwrap_or(rest.len());
            self.at += len + 1;
            if let Some(word) = rest.get(..len).filter(|word| word.contains(&b'@')) {
                return Some(charset::guess(word));
            }
        }
        None
    }

    /// What stands there, if it is one word.
    fn only(&self) -> Option<Cow<'a, str>> {
        let only = self.value.trim_ascii();
        let several = |octet: &u8| octet.is_ascii_whitespace() || b"<>".contains(octet);
        (!only.is_empty() && !only.iter().any(several)).then(|| charset::guess(only))
    }
}

/// Of no field.
impl Default for Ids<'_> {
    fn default() -> Self {
        Self::new(b"")
    }
}

impl<'a> Iterator for Ids<'a> {
    type Item = Cow<'a, str>;

    #[inline]
    fn next(&mut self) -> Option<Cow<'a, str>> {
        if matches!(self.look_for, Look::Brackets | Look::MoreBrackets) {
            if let Some(id) = self.in_brackets() {
                self.look_for = Look::MoreBrackets;
                return Some(id);
            }
            let none = self.look_for == Look::Brackets;
            (self.look_for, self.at) = if none { (Look::Words, 0) } else { (Look::Nothing, self.at) };
        }
        if matches!(self.look_for, Look::Words | Look::MoreWords) {
            if let Some(id) = self.word() {
                self.look_for = Look::MoreWords;
                return Some(id);
            }
            let none = self.look_for == Look::Words;
            self.look_for = Look::Nothing;
            return self.only().filter(|_| none);
        }
        None
    }
}

/// What an identifier in brackets does not hold, or not as it should be.
static ENDS_ID: Set = Set::of(b" \t\n\x0b\x0c\r<>(");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// What `read` makes of a field with this value.
    pub(super) fn with<T>(value: &str, read: impl Fn(Field<'_>) -> T) -> T {
        let message = Message::parse(format!("X: {value}\r\n\r\n"));
        read(message.header().get("x").unwrap())
    }

    #[test]
    fn media_types_are_read_or_refused() {
        for (value, expected) in [
            (" text/html", Some("text/html")),
            (" TEXT / HTML ; x=y", Some("text/html")),
            ("(a) text (b) / (c) html (d)", Some("text/html")),
            ("text/plain charset=us-ascii", Some("text/plain")),
            ("application/vnd.x+json;", Some("application/vnd.x+json")),
            ("text", None),
            ("text/", None),
            ("/plain", None),
            ("", None),
            ("; charset=x", None),
        ] {
            let read = ContentType::parse(value.as_bytes()).map(|content_type| content_type.to_string());
            assert_eq!(read.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn encodings_are_read_in_any_case() {
        for (value, expected) in [
            (" Base64", "base64"),
            (" QUOTED-PRINTABLE ", "quoted-printable"),
            ("8BIT (note)", "8bit"),
            ("", "7bit"),
            ("\"base64\"", "base64"),
            ("X-UUEncode", "x-uuencode"),
            ("uue", "x-uuencode"),
            ("quoted printable", "quoted-printable"),
            ("quoted - printable;", "quoted-printable"),
            ("Quoted_Printable.", "quoted-printable"),
            ("base64;charset=x", "base64"),
            ("base64 charset=x", "base64"),
            ("base-64", "base64"),
            ("7-bit", "7bit"),
            ("'8bits'", "8bit"),
            ("(a note) base64", "base64"),
            ("base64, 7bit", "base64"),
            ("text/html", "text/html"),
            ("X-Other; a=b", "x-other"),
            ("quoted-printable-and-more", "quoted-printable-and-more"),
            ("\"", "7bit"),
            (";", "7bit"),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()).to_string(), expected, "{value}");
        }
    }

    #[test]
    fn ids_lose_their_brackets() {
        for (value, expected) in [
            (" <1234@local.machine.example>", vec!["1234@local.machine.example"]),
            (" <a@b>\r\n <c@d>", vec!["a@b", "c@d"]),
            ("<a@b\r\n c>(x)<d>", vec!["a@bc", "d"]),
            // RFC 5322 §A.6.3
            ("<1234   @   local(blah)  .machine .example>", vec!["1234@local.machine.example"]),
            ("(<no@id>) <a(b@c>", vec!["a(b@c"]),
            ("<photo(1)_x.jpg> <a(1).b@c(d)> <e(>)f@g>", vec!["photo(1)_x.jpg", "a.b@c", "ef@g"]),
            ("<\"a b\" @c> <\"d\r\n e\"@f>", vec!["\"a b\"@c", "\"d e\"@f"]),
            ("<a \"b@c> <d\"e@f>", vec!["a\"b@c", "d\"e@f"]),
            (" a@b, c@d", vec!["a@b", "c@d"]),
            ("Your message of Monday <a@b>", vec!["a@b"]),
            ("<a@b", vec!["a@b"]),
            ("1234", vec!["1234"]),
            ("two words", vec![]),
            ("<>", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(Ids::new(value.as_bytes()).collect::<Vec<_>>(), expected, "{value}");
        }
    }
}
