//! What senders ask of whoever handles the message: notifications (RFC 8098 §2), languages of answers (RFC 3282 §3),
//! sensitivity and the permissions of X.400 (RFC 2156 §5.3), priority among relays (RFC 6710 §5), since when the address must
//! have had its owner (RFC 7293 §3.2), TLS (RFC 8689 §3), and what kind of message it is (RFC 3458 §3).
//!
//! Left out: media features (Content-Features, Content-Alternative), PICS labels, and the trace of X.400 gateways, which are
//! given as text.

use std::time::Duration;

use super::content::token;
use crate::address::{Mailbox, list};
use crate::base::Timestamp;
use crate::message::header::Field;
use crate::text::params::{comment_end, skip_cfws};
use crate::text::{charset, words};

/// How the content wants to be treated by who reads it: the value of a Sensitivity field (RFC 2156 §5.3).
///
/// ```
/// use facteur::message::{Message, Sensitivity};
///
/// let message = Message::parse("Sensitivity: Company-Confidential\n\n");
/// assert_eq!(message.header().get("sensitivity").unwrap().sensitivity(), Some(Sensitivity::CompanyConfidential));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // X.400 has no other
pub enum Sensitivity {
    /// `Personal`: to the recipient as a person.
    Personal,
    /// `Private`: for the recipient only.
    Private,
    /// `Company-Confidential`
    CompanyConfidential,
}

/// What kind of message it is to a person: the value of a Message-Context field (RFC 3458 §3).
///
/// ```
/// use facteur::message::{Message, MessageContext};
///
/// let message = Message::parse("Message-Context: voice-message\n\n");
/// assert_eq!(message.header().get("message-context").unwrap().message_context(), Some(MessageContext::Voice));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageContext {
    /// `voice-message`
    Voice,
    /// `fax-message`
    Fax,
    /// `pager-message`
    Pager,
    /// `multimedia-message`
    Multimedia,
    /// `text-message`
    Text,
    /// `video-message` (RFC 3938)
    Video,
    /// `none`
    None,
    /// Another word, in lower case.
    Other(String),
}

/// One parameter of a Disposition-Notification-Options field (RFC 8098 §2.2).
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("Disposition-Notification-Options: signed-receipt-protocol=optional,pkcs7-signature\n\n");
/// let options = message.header().get("disposition-notification-options").unwrap().notification_options();
/// assert_eq!((options[0].name.as_str(), options[0].required), ("signed-receipt-protocol", false));
/// assert_eq!(options[0].values, ["pkcs7-signature"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotificationOption {
    /// The attribute.
    pub name: String,
    /// Whether no notification may be sent by who does not know it: `required`, or a word that is neither this nor
    /// `optional`.
    pub required: bool,
    /// The values, quoting removed.
    pub values: Vec<String>,
}

/// A language that the sender reads: an element of an Accept-Language field (RFC 3282 §3).
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("Accept-Language: mi, en;q=0.5\n\n");
/// let languages = message.header().get("accept-language").unwrap().accepted_languages();
/// assert_eq!((languages[1].tag.as_str(), languages[1].quality), ("en", 500));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedLanguage {
    /// The language tag, or `*`, as it stands.
    pub tag: String,
    /// How well it is liked, in thousandths: 1000 where nothing is said, 0 for not at all.
    pub quality: u16,
}

/// An address of another kind than that of this mail: the value of an Original-Recipient field (RFC 8098 §2.3), and of fields of
/// delivery reports (RFC 3464 §2.1.2).
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("Original-Recipient: rfc822; ada@a.test\n\n");
/// let recipient = message.header().get("original-recipient").unwrap().typed_address().unwrap();
/// assert_eq!((recipient.kind.as_str(), recipient.address.as_str()), ("rfc822", "ada@a.test"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypedAddress {
    /// The type in lower case, mostly `rfc822`.
    pub kind: String,
    /// The address as it stands, white space at its ends taken away.
    pub address: String,
}

/// Who must have had an address, and since when: the value of a Require-Recipient-Valid-Since field (RFC 7293 §3.2).
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("Require-Recipient-Valid-Since: ada@a.test; Sat, 1 Jun 2013 09:23:01 -0700\n\n");
/// let valid = message.header().get("require-recipient-valid-since").unwrap().valid_since().unwrap();
/// assert_eq!((valid.mailbox.to_string().as_str(), valid.since.unix()), ("ada@a.test", 1370103781));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidSince {
    /// The address.
    pub mailbox: Mailbox<'static>,
    /// When it must have had its owner of today already.
    pub since: Timestamp,
}

impl Field<'_> {
    /// The elements of a field that is a list with commas: Keywords, Solicitation (RFC 3865 §2.5), Encrypted, Encoding,
    /// Original-Encoded-Information-Types. Quoting removed, comments passed over, encoded words decoded.
    ///
    /// ```
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("Keywords: lunch, \"tea, or coffee\" (x),, =?utf-8?q?caf=C3=A9?=\n\n");
    /// assert_eq!(message.header().get("keywords").unwrap().list(), ["lunch", "tea, or coffee", "café"]);
    /// ```
    pub fn list(self) -> Vec<String> {
        let value = self.unfolded();
        let pieces = split(&value, b',');
        pieces.into_iter().filter(|piece| !piece.is_empty()).map(|piece| words::decode(&piece)).collect()
    }

    /// Whether the field says yes: Alternate-Recipient, Content-Return, Conversion, Conversion-With-Loss, Disclose-Recipients,
    /// X400-Content-Return (`Allowed`, `Prohibited`), Autoforwarded (`TRUE`, `FALSE`), TLS-Required (`No`). Fields of which it
    /// counts that they are there, Generate-Delivery-Report, Prevent-NonDelivery-Report and Incomplete-Copy, say yes where they
    /// are empty. `None` for other words.
    pub fn flag(self) -> Option<bool> {
        let value = self.value();
        let Some((word, _)) = token(value) else {
            let mut at = 0;
            skip_cfws(value, &mut at);
            return (at >= value.len()).then_some(true);
        };
        match word.to_ascii_lowercase().as_slice() {
            b"allowed" | b"true" | b"yes" => Some(true),
            b"prohibited" | b"false" | b"no" => Some(false),
            _ => None,
        }
    }

    /// The value of a Sensitivity field.
    pub fn sensitivity(self) -> Option<Sensitivity> {
        let (word, _) = token(self.value())?;
        match word.to_ascii_lowercase().as_slice() {
            b"personal" => Some(Sensitivity::Personal),
            b"private" => Some(Sensitivity::Private),
            b"company-confidential" => Some(Sensitivity::CompanyConfidential),
            _ => None,
        }
    }

    /// The value of a Message-Context field; `None` where it is empty.
    pub fn message_context(self) -> Option<MessageContext> {
        let (word, _) = token(self.value())?;
        let word = charset::guess(word).to_ascii_lowercase();
        Some(match word.as_str() {
            "voice-message" => MessageContext::Voice,
            "fax-message" => MessageContext::Fax,
            "pager-message" => MessageContext::Pager,
            "multimedia-message" => MessageContext::Multimedia,
            "text-message" => MessageContext::Text,
            "video-message" => MessageContext::Video,
            "none" => MessageContext::None,
            _ => MessageContext::Other(word),
        })
    }

    /// The parameters of a Disposition-Notification-Options field.
    pub fn notification_options(self) -> Vec<NotificationOption> {
        let text = |octets: &[u8]| charset::guess(octets).trim().to_owned();
        let read = |piece: Vec<u8>| {
            let (name, rest) = piece.split_at(piece.iter().position(|octet| *octet == b'=')?);
            let mut values = split(rest.get(1..)?, b',').into_iter();
            let required = !values.next()?.eq_ignore_ascii_case(b"optional");
            let values = values.map(|value| text(&value)).collect();
            Some(NotificationOption { name: text(name), required, values })
        };
        // Quotes are kept while semicolons are looked for, and go when commas are.
        pieces(&self.unfolded(), b';').into_iter().filter_map(|piece| read(piece.to_vec())).collect()
    }

    /// The languages in an Accept-Language field, in their order. What is no quality counts as none said.
    pub fn accepted_languages(self) -> Vec<AcceptedLanguage> {
        let value = self.unfolded();
        let read = |piece: Vec<u8>| {
            let (tag, rest) = token(&piece)?;
            let quality = rest.split(|octet| *octet == b';').filter_map(quality).next();
            Some(AcceptedLanguage { tag: charset::guess(tag).into_owned(), quality: quality.unwrap_or(1000) })
        };
        split(&value, b',').into_iter().filter_map(read).collect()
    }

    /// The address and its type in an Original-Recipient field; `None` where there is no type.
    pub fn typed_address(self) -> Option<TypedAddress> {
        let value = self.unfolded();
        let (kind, rest) = token(&value)?;
        let mut at = 0;
        skip_cfws(rest, &mut at);
        let address = rest.get(at..)?.strip_prefix(b";")?.trim_ascii();
        Some(TypedAddress {
            kind: charset::guess(kind).to_ascii_lowercase(),
            address: charset::guess(address).into_owned(),
        })
    }

    /// The value of an MT-Priority field: from -9 to 9, higher is sooner (RFC 6710 §5); `None` where it is no such number.
    pub fn mt_priority(self) -> Option<i8> {
        let (word, _) = token(self.value())?;
        let number: i8 = std::str::from_utf8(word).ok().filter(|word| !word.starts_with('+'))?.parse().ok()?;
        (-9..=9).contains(&number).then_some(number)
    }

    /// The value of a Content-Duration field (RFC 3803 §3): how long it takes to hear or see the content.
    pub fn duration(self) -> Option<Duration> {
        let (word, _) = token(self.value())?;
        let digits = std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|octet| octet.is_ascii_digit()))?;
        digits.parse().ok().map(Duration::from_secs)
    }

    /// The address and the date in a Require-Recipient-Valid-Since field.
    pub fn valid_since(self) -> Option<ValidSince> {
        let value = self.value();
        let at = pieces(value, b';').first()?.len();
        let mailbox =
            list::mailboxes(value.get(..at)?).next().filter(|mailbox| mailbox.domain().is_some())?.into_owned();
        Some(ValidSince { mailbox, since: Timestamp::parse(value.get(at + 1..)?).ok()? })
    }
}

/// `q=0.5` in thousandths.
fn quality(param: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(param).ok()?.trim();
    let value = text.strip_prefix(['q', 'Q'])?.trim_start().strip_prefix('=')?.trim();
    let value = value.split(['(', ' ']).next()?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|octet| octet.is_ascii_digit());
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// What stands between separators that no quoted string and no comment holds, as it stands.
fn pieces(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let (mut from, mut at, mut quoted, mut comments) = (0, 0, false, true);
    while let Some(octet) = text.get(at) {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'(' if !quoted && comments => match comment_end(text, at) {
                Some(end) => at = end - 1,
                None => comments = false,
            },
            _ if *octet == separator && !quoted => {
                pieces.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    pieces.push(text.get(from..).unwrap_or_default());
    pieces
}

/// As [`pieces`], quoting and comments removed, white space at the ends too.
fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let plain = |piece: &[u8]| {
        let mut out = Vec::with_capacity(piece.len());
        let (mut at, mut quoted, mut comments) = (0, false, true);
        while let Some(octet) = piece.get(at) {
            match octet {
                b'"' => quoted = !quoted,
                b'\\' if quoted => {
                    at += 1;
                    out.extend(piece.get(at));
                }
                b'(' if !quoted && comments => match comment_end(piece, at) {
                    Some(end) => at = end - 1,
                    None => {
                        comments = false;
                        out.push(b'(');
                    }
                },
                _ => out.push(*octet),
            }
            at += 1;
        }
        out.trim_ascii().to_vec()
    };
    pieces(text, separator).into_iter().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fields::tests::with;

    #[test]
    fn lists_with_commas_are_taken_apart() {
        for (value, expected) in [
            ("", vec![]),
            (",, ,", vec![]),
            ("a", vec!["a"]),
            ("a b , c", vec!["a b", "c"]),
            ("\"a,b\", c", vec!["a,b", "c"]),
            ("\"a\\\"b\", c", vec!["a\"b", "c"]),
            ("a (x, y), b", vec!["a", "b"]),
            ("a (open, b", vec!["a (open", "b"]),
            ("\"open, b", vec!["open, b"]),
            ("a,\r\n b", vec!["a", "b"]),
            // RFC 3865 §2.5
            ("net.example:ADV,org.example:ADV:ADLT", vec!["net.example:ADV", "org.example:ADV:ADLT"]),
        ] {
            assert_eq!(with(value, |field| field.list()), expected, "{value}");
        }
    }

    #[test]
    fn permissions_are_words_or_their_presence() {
        for (value, expected) in [
            ("Allowed", Some(true)),
            (" (x) prohibited (y)", Some(false)),
            ("TRUE", Some(true)),
            ("FALSE", Some(false)),
            ("No", Some(false)),
            ("", Some(true)),
            ("(a comment)", Some(true)),
            ("perhaps", None),
            ("<>", None),
        ] {
            assert_eq!(with(value, |field| field.flag()), expected, "{value}");
        }
    }

    #[test]
    fn words_of_a_kind_are_known() {
        assert_eq!(with("personal", |field| field.sensitivity()), Some(Sensitivity::Personal));
        assert_eq!(with("Private (x)", |field| field.sensitivity()), Some(Sensitivity::Private));
        assert_eq!(with("secret", |field| field.sensitivity()), None);
        assert_eq!(with("FAX-message", |field| field.message_context()), Some(MessageContext::Fax));
        assert_eq!(with("x", |field| field.message_context()), Some(MessageContext::Other("x".to_owned())));
        assert_eq!(with("", |field| field.message_context()), None);
    }

    #[test]
    fn options_of_notifications_are_read() {
        let read = |value| {
            let options = with(value, |field| field.notification_options());
            options
                .into_iter()
                .map(|option| (option.name, option.required, option.values.join("|")))
                .collect::<Vec<_>>()
        };
        let row = |name: &str, required, values: &str| (name.to_owned(), required, values.to_owned());
        assert_eq!(read("a=optional,b; c = REQUIRED , \"d;e\" , f"), [row("a", false, "b"), row("c", true, "d;e|f")]);
        assert_eq!(read("a=unheard-of,b"), [row("a", true, "b")]);
        assert_eq!(read("a; ; =; b="), [row("", true, ""), row("b", true, "")]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn accepted_languages_have_their_quality() {
        let read = |value| {
            let languages = with(value, |field| field.accepted_languages());
            languages.into_iter().map(|language| (language.tag, language.quality)).collect::<Vec<_>>()
        };
        let row = |tag: &str, quality| (tag.to_owned(), quality);
        // RFC 3282 §3
        assert_eq!(read("mi"), [row("mi", 1000)]);
        assert_eq!(
            read("en, mi;q=0.5 (second), *;q=0, fr;q=1.000"),
            [row("en", 1000), row("mi", 500), row("*", 0), row("fr", 1000)]
        );
        assert_eq!(
            read("a;q=2, b;q=0.1234, c;q=, d ; Q = 0.25, ,"),
            [row("a", 1000), row("b", 1000), row("c", 1000), row("d", 250)]
        );
    }

    #[test]
    fn numbers_addresses_and_dates_of_requests() {
        for (value, expected) in
            [("-3", Some(-3)), ("0", Some(0)), ("9 (x)", Some(9)), ("10", None), ("+1", None), ("x", None), ("", None)]
        {
            assert_eq!(with(value, |field| field.mt_priority()), expected, "{value}");
        }
        assert_eq!(with("33", |field| field.duration()), Some(Duration::from_secs(33)));
        for value in ["", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(with(value, |field| field.duration()), None, "{value}");
        }
        let typed = |value| with(value, |field| field.typed_address()).map(|typed| (typed.kind, typed.address));
        let pair = |kind: &str, address: &str| Some((kind.to_owned(), address.to_owned()));
        assert_eq!(typed("RFC822;a@b"), pair("rfc822", "a@b"));
        assert_eq!(typed("(x) x400 (y) ; /C=fr/ "), pair("x400", "/C=fr/"));
        assert_eq!(typed("a@b"), None);
        let since = |value| {
            let valid = with(value, |field| field.valid_since())?;
            Some((valid.mailbox.to_string(), valid.since.unix()))
        };
        assert_eq!(since("a@b (;) ; 1 Jan 1970 00:00:01 +0000"), Some(("a@b".to_owned(), 1)));
        for value in ["a@b", "a; 1 Jan 1970 00:00:01 +0000", "a@b; soon", "", ";"] {
            assert_eq!(since(value), None, "{value}");
        }
    }

    /// Each would take minutes in quadratic time.
    #[test]
    fn hostile_fields_take_linear_time() {
        for piece in ["(", "\"", ",", "(a)", "\\", "a,(", "=", ";", "a=,;"] {
            with(&piece.repeat(200_000 / piece.len()), |field| {
                let _ = (field.list(), field.notification_options(), field.accepted_languages(), field.valid_since());
            });
        }
    }
}
