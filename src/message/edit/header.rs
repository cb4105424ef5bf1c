//! Editing a header without a scratch: fields come, go and change, every other octet stays.
//!
//! Trace fields, signatures and milters depend on it. RFC 5322 §2.2 for what may be written.

use bytes::Bytes;

use crate::base::ParseError;
use crate::message::header::Field;
use crate::message::{Message, Part};

/// The header of a message, taken apart for editing.
///
/// ```
/// use facteur::message::{HeaderEdit, Message};
///
/// let message = Message::parse("Subject:  odd   spacing\r\nX-Spam: yes\r\n\r\nHello.\r\n");
/// let mut header = HeaderEdit::new(&message);
/// header.prepend("Received", b"from a.test\r\n\tby b.test; Mon, 1 Jan 2024 00:00:00 +0000")?;
/// header.remove_all("x-spam");
/// assert_eq!(
///     header.finish().raw(),
///     "Received: from a.test\r\n\tby b.test; Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject:  odd   spacing\r\n\r\nHello.\r\n"
/// );
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderEdit {
    fields: Vec<Owned>,
    /// The line end of what is added: that of the first line.
    line_end: &'static str,
    /// The blank line, empty where it is missing.
    blank: Bytes,
    body: Bytes,
    /// Something was added or changed.
    edited: bool,
}

#[derive(Clone, Debug)]
struct Owned {
    octets: Bytes,
    colon: usize,
}

impl Owned {
    fn view(&self) -> Field<'_> {
        Field::new(&self.octets, self.colon)
    }

    /// It is the byte order mark that some programs put before a message: no line, and at the start or nowhere.
    fn is_mark(&self) -> bool {
        *self.octets == *b"\xef\xbb\xbf"
    }
}

impl HeaderEdit {
    /// Takes the header of a message apart. The octets are shared with the message.
    pub fn new(message: &Message) -> Self {
        Self::of(message.root())
    }

    /// Takes the header of a part apart; [`finish`](Self::finish) gives the part as a message of its own. To put a header
    /// back into the message around it there is [`Edit::header`](super::Edit::header).
    pub fn of(part: Part<'_>) -> Self {
        let raw = part.whole().raw();
        let (start, header) = (part.offset(), part.header());
        let fields = header.fields().map(|field| Owned { octets: raw.slice_ref(field.raw()), colon: field.colon() });
        Self {
            fields: fields.collect(),
            line_end: line_end(raw),
            blank: raw.slice(start + header.raw().len()..part.body_offset()),
            body: raw.slice_ref(part.raw_body()),
            edited: false,
        }
    }

    /// The fields as they are now, in their order.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = Field<'_>> + ExactSizeIterator + Clone {
        self.fields.iter().map(Owned::view)
    }

    /// The first field of this name, in any case of letters.
    pub fn get(&self, name: &str) -> Option<Field<'_>> {
        self.fields().find(|field| field.is(name))
    }

    /// Adds a field before all others; a byte order mark stays the first of all. Where the first line of the message is no field but begins with white space, it
    /// becomes part of what is added, as it does in every mail server.
    ///
    /// # Errors
    /// Where the name is no field name, or the value holds NUL, CR or LF other than folds.
    pub fn prepend(&mut self, name: &str, value: &[u8]) -> Result<(), ParseError> {
        self.insert(0, name, value)
    }

    /// Adds a field behind all others.
    ///
    /// # Errors
    /// As [`prepend`](Self::prepend).
    pub fn append(&mut self, name: &str, value: &[u8]) -> Result<(), ParseError> {
        self.insert(self.fields.len(), name, value)
    }

    /// Adds a field so that `index` fields stand before it, or all where there are fewer.
    ///
    /// # Errors
    /// As [`prepend`](Self::prepend).
    pub fn insert(&mut self, index: usize, name: &str, value: &[u8]) -> Result<(), ParseError> {
        let field = self.written(name, value)?;
        let first = usize::from(self.fields.first().is_some_and(Owned::is_mark));
        self.fields.insert(index.max(first).min(self.fields.len()), field);
        self.edited = true;
        Ok(())
    }

    /// Gives field number `nth` of this name (counted from 0) another value; `false` where there is none. The name stays
    /// as it was written.
    ///
    /// # Errors
    /// As [`prepend`](Self::prepend).
    pub fn replace(&mut self, name: &str, nth: usize, value: &[u8]) -> Result<bool, ParseError> {
        let Some(index) = self.index(name, nth) else { return Ok(false) };
        let name = self.fields.get(index).map_or(String::new(), |field| field.view().name().to_owned());
        let field = self.written(&name, value)?;
        self.edited = true;
        if let Some(place) = self.fields.get_mut(index) {
            *place = field;
        }
        Ok(true)
    }

    /// Gives each field the value that `value` has for it; those for which it has none stay. How many have another one.
    ///
    /// # Errors
    /// As [`prepend`](Self::prepend); the fields before have their new values then.
    pub(in crate::message) fn replace_each(
        &mut self,
        mut value: impl FnMut(Field<'_>) -> Option<Vec<u8>>,
    ) -> Result<usize, ParseError> {
        let mut count = 0;
        for n in 0..self.fields.len() {
            let Some(field) = self.fields.get(n).map(Owned::view) else { break };
            let Some(value) = value(field) else { continue };
            let field = self.written(field.name(), &value)?;
            if let Some(place) = self.fields.get_mut(n) {
                *place = field;
            }
            self.edited = true;
            count += 1;
        }
        Ok(count)
    }

    /// Gives every field of this name another one and leaves its value as it is; how many there were.
    ///
    /// # Errors
    /// Where `to` is no field name.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<usize, ParseError> {
        check_name(to)?;
        let mut count = 0;
        for field in self.fields.iter_mut().filter(|field| field.view().is(from)) {
            let value = field.octets.get(field.colon..).unwrap_or_default();
            *field = Owned { octets: [to.as_bytes(), value].concat().into(), colon: to.len() };
            count += 1;
        }
        self.edited |= count > 0;
        Ok(count)
    }

    /// Removes field number `nth` of this name (counted from 0); whether there was one.
    pub fn remove(&mut self, name: &str, nth: usize) -> bool {
        let Some(index) = self.index(name, nth) else { return false };
        self.fields.remove(index);
        self.edited = true;
        true
    }

    /// Removes every field of this name; how many there were.
    pub fn remove_all(&mut self, name: &str) -> usize {
        self.retain(|field| !field.is(name))
    }

    /// Removes the fields that `keep` says no to; how many there were.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) -> usize {
        let before = self.fields.len();
        self.fields.retain(|field| keep(field.view()));
        self.edited |= self.fields.len() < before;
        before - self.fields.len()
    }

    /// The octets of the header as it is now, with the blank line that ends it: what a filter sends before the
    /// [`body`](Self::body).
    ///
    /// Without edits they are the octets that came. After an edit a missing blank line is there: without it the body
    /// could be read as header.
    pub fn header(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.fields.iter().map(|field| field.octets.len() + 2).sum::<usize>() + 2);
        for (n, field) in self.fields.iter().enumerate() {
            octets.extend_from_slice(&field.octets);
            // A header that was cut off before its line end.
            let whole = field.octets.ends_with(b"\n") || (n == 0 && field.is_mark());
            if !whole && (n + 1 < self.fields.len() || self.edited) {
                octets.extend_from_slice(self.line_end.as_bytes());
            }
        }
        octets.extend_from_slice(&self.blank);
        if self.edited && self.blank.is_empty() {
            octets.extend_from_slice(self.line_end.as_bytes());
        }
        octets
    }

    /// The octets behind the header, shared with the message.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The message with this header.
    pub fn finish(self) -> Message {
        let mut octets = self.header();
        octets.extend_from_slice(&self.body);
        Message::parse(octets)
    }

    /// Makes sure that a blank line ends the header.
    pub(super) fn close(&mut self) {
        self.edited |= self.blank.is_empty();
    }

    /// Adds a field of another header behind all others, as it stands.
    pub(super) fn append_field(&mut self, field: Field<'_>) {
        let octets = super::content::restyled(Bytes::copy_from_slice(field.raw()), self.line_end);
        self.fields.push(Owned { octets, colon: field.colon() });
        self.edited = true;
    }

    fn index(&self, name: &str, nth: usize) -> Option<usize> {
        self.fields().enumerate().filter(|(_, field)| field.is(name)).nth(nth).map(|(index, _)| index)
    }

    /// `name ":" SP value CRLF`; the space is left out where the value begins with white space.
    fn written(&self, name: &str, value: &[u8]) -> Result<Owned, ParseError> {
        check_name(name)?;
        let mut octets = [name.as_bytes(), b":"].concat();
        if !value.first().is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
            octets.push(b' ');
        }
        let mut at = 0;
        for (n, line) in value.split(|octet| *octet == b'\n').enumerate() {
            let text = line.strip_suffix(b"\r").filter(|_| at + line.len() < value.len()).unwrap_or(line);
            if let Some(bad) = text.iter().position(|octet| matches!(octet, b'\r' | 0)) {
                return Err(ParseError { expected: "a value without CR, LF and NUL", at: at + bad });
            }
            if n > 0 {
                // RFC 5322 §2.2.3: a fold is a line end before white space; §3.2.2: no line of white space only.
                let folded = text.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'));
                if !folded || text.trim_ascii().is_empty() {
                    return Err(ParseError { expected: "white space and text after a line end", at });
                }
                octets.extend_from_slice(self.line_end.as_bytes());
            }
            octets.extend_from_slice(text);
            at += line.len() + 1;
        }
        octets.extend_from_slice(self.line_end.as_bytes());
        Ok(Owned { octets: octets.into(), colon: name.len() })
    }
}

/// How lines end in a message: as its first line does.
pub(super) fn line_end(raw: &[u8]) -> &'static str {
    let bare = memchr::memchr(b'\n', raw).is_some_and(|at| !raw.get(..at).unwrap_or_default().ends_with(b"\r"));
    if bare { "\n" } else { "\r\n" }
}

/// `field-name = 1*ftext` (RFC 5322 §3.6.8)
fn check_name(name: &str) -> Result<(), ParseError> {
    let bad = name.bytes().position(|octet| !matches!(octet, 33..=57 | 59..=126));
    match bad.or(name.is_empty().then_some(0)) {
        Some(at) => Err(ParseError { expected: "a field name", at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edit: impl FnOnce(&mut HeaderEdit)) -> String {
        let mut header = HeaderEdit::new(&Message::parse(text.to_owned()));
        edit(&mut header);
        String::from_utf8(header.finish().raw().to_vec()).unwrap()
    }

    #[test]
    fn without_edits_every_octet_stays() {
        for text in [
            "",
            "\n",
            "A: b",
            "A: b\r\n",
            "A: b\n\nbody",
            "A : b\n c\njunk\nD:e\r\n\r\nbody\n",
            "no header at all\n",
            "A: b\nno blank line\n",
        ] {
            assert_eq!(edited(text, |_| {}), text);
        }
    }

    #[test]
    fn one_field_changes_and_no_other_octet() {
        let text = "A:  1\nB: 2\n  folded\na: 3\n\nbody\n";
        assert_eq!(edited(text, |header| header.prepend("X", b"y").unwrap()), format!("X: y\n{text}"));
        assert_eq!(
            edited(text, |header| header.append("X", b"y\r\n\tz").unwrap()),
            text.replace("\n\n", "\nX: y\n\tz\n\n")
        );
        assert_eq!(edited(text, |header| header.insert(1, "X", b" y").unwrap()), text.replace("B", "X: y\nB"));
        assert_eq!(edited(text, |header| assert!(header.replace("a", 1, b"4").unwrap())), text.replace("a: 3", "a: 4"));
        assert_eq!(edited(text, |header| assert!(header.remove("A", 0))), text.replace("A:  1\n", ""));
        assert_eq!(edited(text, |header| assert_eq!(header.remove_all("A"), 2)), "B: 2\n  folded\n\nbody\n");
        assert_eq!(edited(text, |header| assert_eq!(header.rename("b", "Bee"), Ok(1))), text.replace("B:", "Bee:"));
        assert_eq!(edited(text, |header| assert!(!header.remove("a", 2))), text);
        assert_eq!(edited(text, |header| assert_eq!(header.replace("z", 0, b"x"), Ok(false))), text);
    }

    #[test]
    fn a_body_never_becomes_header() {
        for (text, expected) in [
            ("hello\n\nworld\n", "X: y\n\nhello\n\nworld\n"),
            ("", "X: y\r\n\r\n"),
            ("A: b", "X: y\r\nA: b\r\n\r\n"),
            ("A: b\nhello\n", "X: y\nA: b\n\nhello\n"),
            ("\r\nbody", "X: y\r\n\r\nbody"),
        ] {
            assert_eq!(edited(text, |header| header.prepend("X", b"y").unwrap()), expected);
        }
    }

    #[test]
    fn what_would_break_the_header_is_refused() {
        let mut header = HeaderEdit::new(&Message::parse("A: b\r\n\r\n"));
        for (name, value) in [
            ("X", &b"a\r\nb"[..]),
            ("X", b"a\nB: c"),
            ("X", b"a\r"),
            ("X", b"a\r\n"),
            ("X", b"a\r\n \r\n b"),
            ("X", b"a\0b"),
            ("X", b"a\rb"),
            ("", b"x"),
            ("A B", b"x"),
            ("A:", b"x"),
            ("\u{e9}", b"x"),
        ] {
            assert!(header.prepend(name, value).is_err(), "{name} {}", value.escape_ascii());
        }
        assert_eq!(header.header(), b"A: b\r\n\r\n");
    }

    #[test]
    fn a_byte_order_mark_stays_where_it_is() {
        let text = "\u{feff}Subject: x\r\n\r\nHello.\r\n";
        assert_eq!(edited(text, |_| ()), text);
        let more = edited(text, |header| header.prepend("X", b"y").unwrap());
        assert_eq!(more, "\u{feff}X: y\r\nSubject: x\r\n\r\nHello.\r\n");
    }
}
