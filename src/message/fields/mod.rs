//! Typed reading of header fields. Every field of the registry of RFC 4021 that has structure, and those since
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

use super::header::Field;
use super::scan::key;

use crate::address::{Mailboxes, list};
use crate::base::Timestamp;
use crate::base::eight::Eight;

pub mod content;
pub mod ids;
pub mod lists;
pub mod marks;
pub mod received;
pub mod requests;

pub(super) use content::{Composite, boundary, composite, media_type};
pub use content::{ContentType, Disposition, Encoding};
pub use ids::Ids;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    /// What `read` makes of a field with this value.
    pub(super) fn with<T>(value: &str, read: impl Fn(Field<'_>) -> T) -> T {
        let message = Message::parse(format!("X: {value}\r\n\r\n"));
        read(message.header().get("x").unwrap())
    }
}
