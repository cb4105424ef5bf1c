//! The header of a message or part: its fields in their order, each with its octets as they stand.
//!
//! RFC 5322 §2.2. A line that is no field (no colon) is kept as a field without a name, so that the fields of a header
//! joined are the header.

use std::borrow::Cow;

use super::Message;
use super::fields::{ContentType, Disposition, Ids};
use super::scan::{Asked, FAR, FieldSpan, Places, key};
use crate::address::{Entry, Mailboxes, list};
use crate::base::Timestamp;
use crate::text::transfer::{self, Set};
use crate::text::{charset, words};

static LINE_END: Set = Set::of(b"\n");
/// What text has to have for a fold or an encoded word to be in it.
static FOLD_OR_WORD: Set = Set::of(b"\n=");

/// A view of a header.
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse("Received: by a\r\nReceived: by b;\r\n Mon, 1 Jan 2024 00:00:00 +0000\r\nto: <ada@b.test>\r\n\r\n");
/// let header = message.header();
/// assert_eq!(header.fields().map(|field| field.name()).collect::<Vec<_>>(), ["Received", "Received", "to"]);
/// assert_eq!(header.get("To").unwrap().mailboxes().next().unwrap().to_string(), "ada@b.test");
/// assert_eq!(header.to().next().unwrap().to_string(), "ada@b.test");
/// assert_eq!(header.all("received").count(), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    raw: &'a [u8],
    spans: &'a [FieldSpan],
    /// Where the header ends, its blank line not counted.
    end: usize,
    /// Where the fields are that are asked for most.
    asked: Places,
}

/// A view of one header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// With its line end.
    raw: &'a [u8],
    /// Where the colon is; 0 where there is none.
    colon: usize,
}

impl<'a> Header<'a> {
    pub(super) fn new(message: &'a Message, index: usize) -> Self {
        let tree = message.tree();
        let raw: &[u8] = message.raw();
        let Some(part) = tree.parts.get(index) else {
            return Self { raw, spans: &[], end: 0, asked: Places::default() };
        };
        let next = tree.parts.get(index + 1).map_or(tree.fields.len(), |next| next.first_field as usize);
        Self {
            raw,
            spans: tree.fields.get(part.first_field as usize..next).unwrap_or_default(),
            end: part.body as usize - usize::from(part.blank),
            asked: part.asked,
        }
    }

    /// The fields in their order. Lines that are no fields are among them, without a name.
    #[inline]
    pub fn fields(self) -> impl DoubleEndedIterator<Item = Field<'a>> + ExactSizeIterator + Clone {
        (0..self.spans.len()).map(move |n| self.at(n))
    }

    /// The first field of this name, in any case of letters.
    pub fn get(self, name: &str) -> Option<Field<'a>> {
        match Asked::of(name.as_bytes()) {
            Some(asked) => self.asked(asked),
            None => self.all(name).next(),
        }
    }

    /// The first of the fields whose place is known.
    #[inline]
    pub(super) fn asked(self, asked: Asked) -> Option<Field<'a>> {
        match self.asked.of(asked) {
            0 => None,
            FAR => self.all(asked.name()).next(),
            place => Some(self.at(usize::from(place) - 1)),
        }
    }

    /// All fields of this name, in their order.
    pub fn all(self, name: &str) -> impl Iterator<Item = Field<'a>> {
        let sought = key(name.as_bytes());
        let mut rest = self.spans.iter();
        std::iter::from_fn(move || {
            loop {
                rest.find(|span| span.key == sought)?;
                let field = self.at(self.spans.len() - rest.len() - 1); // the one that was just found
                if field.colon > 0 && field.is(name) {
                    return Some(field);
                }
            }
        })
    }

    /// The text of the first Subject field, decoded.
    pub fn subject(self) -> Option<Cow<'a, str>> {
        self.asked(Asked::Subject).map(Field::text)
    }

    /// The mailboxes in the first From field, those of groups among them.
    pub fn from(self) -> Mailboxes<'a> {
        self.mailboxes(Asked::From)
    }

    /// The mailboxes in the first To field, those of groups among them.
    pub fn to(self) -> Mailboxes<'a> {
        self.mailboxes(Asked::To)
    }

    /// The mailboxes in the first Cc field, those of groups among them.
    pub fn cc(self) -> Mailboxes<'a> {
        self.mailboxes(Asked::Cc)
    }

    /// The first Date field.
    pub fn date(self) -> Option<Timestamp> {
        self.asked(Asked::Date)?.date()
    }

    /// The identifier in the first Message-ID field, without brackets.
    pub fn message_id(self) -> Option<Cow<'a, str>> {
        self.asked(Asked::MessageId)?.ids().next()
    }

    fn mailboxes(self, asked: Asked) -> Mailboxes<'a> {
        self.asked(asked).map(Field::mailboxes).unwrap_or_default()
    }

    /// The octets of all fields, without the blank line that ends the header.
    pub fn raw(self) -> &'a [u8] {
        let start = self.spans.first().map_or(self.end, |first| first.start as usize);
        self.raw.get(start..self.end).unwrap_or_default()
    }

    // Where it is handed on in memory the next look at it waits for that.
    #[inline]
    fn at(self, n: usize) -> Field<'a> {
        let Some(span) = self.spans.get(n) else { return Field { raw: &[], colon: 0 } };
        let end = self.spans.get(n + 1).map_or(self.end, |next| next.start as usize);
        let raw = self.raw.get(span.start as usize..end).unwrap_or_default();
        Field { raw, colon: span.colon(raw) }
    }
}

impl<'a> Field<'a> {
    pub(super) fn new(raw: &'a [u8], colon: usize) -> Self {
        Self { raw, colon }
    }

    pub(super) fn colon(self) -> usize {
        self.colon
    }

    /// The name as it stands, without white space before the colon. Empty where the line is no field.
    pub fn name(self) -> &'a str {
        charset::utf8_text(self.name_octets()).unwrap_or_default() // printable ASCII, as scanned
    }

    /// The octets of [`name`](Self::name).
    pub(crate) fn name_octets(self) -> &'a [u8] {
        let name = self.raw.get(..self.colon).unwrap_or_default();
        if matches!(name, [.., b' ' | b'\t']) { name.trim_ascii_end() } else { name }
    }

    /// Whether it has this name, in any case of letters.
    pub fn is(self, name: &str) -> bool {
        self.name_octets().eq_ignore_ascii_case(name.as_bytes())
    }

    /// The octets of the whole field, with its line end.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// What follows the colon, as it stands but for the line end: with folds, and with the white space at both ends.
    pub fn value(self) -> &'a [u8] {
        match self.behind_colon() {
            [value @ .., b'\r', b'\n'] | [value @ .., b'\n' | b'\r'] | value => value,
        }
    }

    fn behind_colon(self) -> &'a [u8] {
        let from = if self.colon == 0 { 0 } else { self.colon + 1 };
        self.raw.get(from..).unwrap_or_default()
    }

    /// The value on one line: line ends before white space taken away (RFC 5322 §2.2.3), white space at both ends too.
    pub fn unfolded(self) -> Cow<'a, [u8]> {
        let value = self.behind_colon().trim_ascii();
        if LINE_END.find(value).is_none() {
            return Cow::Borrowed(value);
        }
        Cow::Owned(transfer::unfold(value).map_or_else(|line| line, String::into_bytes))
    }

    /// The value as text: unfolded, encoded words decoded (RFC 2047), UTF-8 as it is (RFC 6532).
    pub fn text(self) -> Cow<'a, str> {
        let value = self.behind_colon().trim_ascii();
        if let Some(text) = FOLD_OR_WORD.none_in(value) {
            return Cow::Borrowed(text);
        }
        if LINE_END.find(value).is_none() {
            return words::decode_borrowed(value);
        }
        Cow::Owned(transfer::unfold(value).unwrap_or_else(words::decode_owned))
    }

    /// The mailboxes in the value of a field such as From, To, Cc, those of groups among them.
    pub fn mailboxes(self) -> Mailboxes<'a> {
        list::mailboxes(self.value())
    }

    /// The addresses in the value of a field such as From, To, Cc: mailboxes, and groups of them.
    pub fn addresses(self) -> Vec<Entry<'a>> {
        list::parse(self.value())
    }

    /// The value of a field such as Date, or the date at the end of one such as Received; `None` where there is no date.
    pub fn date(self) -> Option<Timestamp> {
        let value = self.value();
        Timestamp::parse(value).ok().or_else(|| super::fields::received::date(value))
    }

    /// The identifiers in the value of a field such as Message-ID, References, In-Reply-To, Content-ID, without their
    /// brackets.
    pub fn ids(self) -> Ids<'a> {
        Ids::new(self.value())
    }

    /// The value of a Content-Type field; `None` where it is no media type (RFC 2045 §5.2 says what to do then).
    pub fn content_type(self) -> Option<ContentType> {
        ContentType::parse(self.value())
    }

    /// The value of a Content-Disposition field; `None` where it is none.
    pub fn disposition(self) -> Option<Disposition> {
        Disposition::parse(self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_fields_have_names_of_their_own() {
        let message = Message::parse(
            "From: Ada <ada@a.test>\nFrom: eve@b.test\nTo: all:bob@a.test, cy@a.test;, dan@a.test\n\
             Subject: =?utf-8?q?=C3=A9?=\n f\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <x@a> <y@a>\n\n",
        );
        let header = message.header();
        let shown =
            |mailboxes: Mailboxes<'_>| mailboxes.map(|mailbox| mailbox.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(shown(header.from()), "ada@a.test");
        assert_eq!(shown(header.to()), "bob@a.test cy@a.test dan@a.test");
        assert_eq!(shown(header.cc()), "");
        assert_eq!(header.subject().as_deref(), Some("é f"));
        assert_eq!(header.date(), header.get("date").unwrap().date());
        assert!(header.date().is_some());
        assert_eq!(header.message_id().as_deref(), Some("x@a"));
        let message = Message::parse("Subject\n\n");
        let header = message.header();
        assert_eq!((header.subject(), header.date(), header.message_id()), (None, None, None));
    }
}
