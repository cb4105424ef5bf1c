//! Parameters as they stand in a field: names and values one after the other.

use std::borrow::Cow;

use super::is_token;
use crate::text::places::Places;
use crate::text::transfer::Set;

/// Each parameter of a text: where it stands, its name, its value without quotes.
pub(super) fn each<'a>(text: &'a [u8], mut found: impl FnMut(usize, &'a [u8], Cow<'a, [u8]>)) {
    let mut reader = Reader { text, at: 0, comments: true };
    reader.word();
    while reader.skip_semicolons() {
        let before = reader.at;
        let name = reader.name();
        if reader.peek() != Some(b'=') {
            // Something else; and where nothing was read, at least one octet of it.
            reader.at = reader.at.max(before + 1);
            reader.word();
            continue;
        }
        reader.at += 1;
        let value = reader.value();
        if !name.is_empty() {
            found(before, name, value);
        }
    }
}

/// Reads tokens, quoted strings and comments.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Once one comment was found to have no end, brackets are ordinary octets: time stays linear.
    comments: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over CFWS, form feeds among it.
    fn skip_cfws(&mut self) {
        loop {
            self.comments = self.comments && skip_cfws(self.text, &mut self.at);
            let blank = self.rest().iter().take_while(|octet| octet.is_ascii_whitespace()).count();
            self.at += blank;
            if blank == 0 {
                return;
            }
        }
    }

    /// Passes over semicolons and CFWS; whether anything follows.
    fn skip_semicolons(&mut self) -> bool {
        self.skip_cfws();
        while self.peek() == Some(b';') {
            self.at += 1;
            self.skip_cfws();
        }
        self.peek().is_some()
    }

    /// Passes over what stands before the next semicolon, or before a parameter where the semicolon was left out.
    fn word(&mut self) {
        while let Some(octet) = self.peek() {
            match octet {
                b';' => return,
                _ if octet.is_ascii_whitespace() => {
                    let rest = self.rest();
                    if begins_parameter(rest) {
                        return;
                    }
                    // All of the run at once: to ask again within it would take quadratic time.
                    self.at += rest.len() - rest.trim_ascii_start().len();
                }
                b'"' => drop(self.quoted()),
                b'(' => {
                    let before = self.at;
                    self.skip_cfws();
                    self.at = self.at.max(before + 1);
                }
                _ => self.at += 1,
            }
        }
    }

    fn name(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|octet| matches!(octet, b'=' | b';' | b'(' | b'"') || octet.is_ascii_whitespace())
            .unwrap_or(rest.len());
        self.at += len;
        self.skip_cfws();
        rest.get(..len).unwrap_or_default()
    }

    fn value(&mut self) -> Cow<'a, [u8]> {
        self.skip_cfws();
        if self.peek() == Some(b'"') {
            let value = self.quoted();
            // What stands between the quote and the semicolon is no part of it.
            self.word();
            return value;
        }
        // A value without quotes goes to the semicolon, whatever it holds, or to the next parameter; a comment at its end
        // does not belong to it.
        let rest = self.rest();
        let plain = rest.iter().position(|octet| *octet == b';' || octet.is_ascii_whitespace()).unwrap_or(rest.len());
        if matches!(rest.get(plain), None | Some(b';')) {
            self.at += plain;
            return Cow::Borrowed(rest.get(..plain).unwrap_or_default());
        }
        // Up to whatever ends it and no further, for each of many values without semicolons would be looked for up to the end of
        // the text. Only where runs of white space begin: to ask within them too would take quadratic time.
        let mut blank = false;
        let cut = rest.iter().enumerate().find_map(|(at, octet)| {
            let before = std::mem::replace(&mut blank, octet.is_ascii_whitespace());
            if *octet == b';' {
                return Some((at, false));
            }
            let behind = rest.get(at..).filter(|_| blank && !before)?;
            let comment = behind.trim_ascii_start().starts_with(b"(");
            (comment || begins_parameter(behind)).then_some((at, comment))
        });
        let (len, comment) = cut.unwrap_or((rest.len(), false));
        let behind = rest.get(len..).unwrap_or_default();
        self.at += len;
        if comment {
            self.at += behind.iter().position(|octet| *octet == b';').unwrap_or(behind.len());
        }
        unfolded(rest.get(..len).unwrap_or_default().trim_ascii_end())
    }

    /// `quoted-string`; the end of the text ends it too. Folding inside is unfolded.
    fn quoted(&mut self) -> Cow<'a, [u8]> {
        self.at += 1;
        let rest = self.rest();
        let plain = rest.iter().position(|octet| matches!(octet, b'"' | b'\\' | b'\r' | b'\n')).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(plain);
        self.at += plain;
        if let [] | [b'"', ..] = rest {
            self.at += usize::from(!rest.is_empty());
            return Cow::Borrowed(value);
        }
        let mut value = value.to_vec();
        while let Some(octet) = self.peek() {
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    // Windows senders put paths inside without doubling the backslash; it is an escape all the same. What is
                    // folded is unfolded first.
                    self.at += self.rest().iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
                    value.extend(self.peek());
                    self.at += 1;
                }
                b'\r' | b'\n' => {}
                _ => value.push(octet),
            }
        }
        Cow::Owned(value)
    }
}

/// A value without quotes, as it stands but for its folds (RFC 5322 §2.2.3).
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'\r', b'\n', value) {
        None => Cow::Borrowed(value),
        Some(_) => value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect(),
    }
}

/// The text of a parameter where the whole field is as RFC 2045 §5.1 has it, which most are: tokens, and quoted strings of
/// printable ASCII. Without memory; `None` where escapes, comments, encoded words, the stars of RFC 2231 or faults ask for
/// [`Params`].
pub(crate) fn simple<'a>(field: &'a [u8], name: &str) -> Option<Option<&'a str>> {
    let field = ODD.none_in(field)?;
    let octets = field.as_bytes();
    let unspaced = |at: usize| {
        let rest = octets.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).count()
    };
    let mut found = None;
    let mut ends = Places::new(octets, &ENDS);
    // The media type.
    let mut at = unspaced(ends.next(unspaced(0)));
    while octets.get(at) == Some(&b';') {
        let own = unspaced(at + 1);
        at = ends.next(own);
        if at == own {
            continue;
        }
        let own = octets.get(own..at)?;
        let [b'=', value @ ..] = octets.get(at..)? else { return None };
        let quoted = usize::from(value.starts_with(b"\""));
        let value = at + 1 + quoted;
        at = ends.next(value);
        // A quoted string has printable ASCII in it, any other value is no longer than to the next white space.
        while let Some(b'=' | b' ' | b';') = octets.get(at).filter(|octet| quoted == 1 || **octet == b'=') {
            at = ends.next(at + 1);
        }
        if found.is_none() && own.eq_ignore_ascii_case(name.as_bytes()) {
            found = field.get(value..at);
        }
        if quoted == 1 && octets.get(at) != Some(&b'"') {
            return None;
        }
        at = unspaced(at + quoted);
    }
    (at == octets.len()).then_some(found)
}

/// What ends the pieces of a field that is as it should be.
static ENDS: Set = Set::of(b" \t\r\n;=\"");

/// What makes it another: escapes, comments, encoded words, stars, controls.
static ODD: Set = Set::of(
    b"\\(?*\0\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f",
);

/// Whether white space is followed by `name =`.
fn begins_parameter(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    let len = rest.iter().position(|octet| !is_token(*octet)).unwrap_or(rest.len());
    len > 0 && rest.get(len..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

/// Passes over white space and comments (RFC 5322 §3.2.2). A comment that does not end is not passed over, and the
/// answer is `false`: asking again further on could take quadratic time.
pub(crate) fn skip_cfws(text: &[u8], at: &mut usize) -> bool {
    while let Some(octet) = text.get(*at) {
        match octet {
            b' ' | b'\t' | b'\r' | b'\n' => *at += 1,
            b'(' => match comment_end(text, *at) {
                Some(end) => *at = end,
                None => return false,
            },
            _ => return true,
        }
    }
    true
}

/// The octet behind the comment that begins at `at`. Comments nest; the depth is counted, not recursed.
pub(crate) fn comment_end(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = at;
    loop {
        at += memchr::memchr3(b'(', b')', b'\\', text.get(at..)?)?;
        match text.get(at) {
            Some(b'(') => depth += 1,
            Some(b')') => {
                depth -= 1; // the first octet is an opening bracket
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            // What follows a backslash means nothing.
            _ => at += 1,
        }
        at += 1;
    }
}
