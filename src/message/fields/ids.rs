//! Identifiers (RFC 5322 §3.6.4).

use std::borrow::Cow;

use crate::address::is_atext;
use crate::text::charset;
use crate::text::params::comment_end;
use crate::text::transfer::Set;

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
    pub(in crate::message) fn new(value: &'a [u8]) -> Self {
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
    use super::Ids;

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
