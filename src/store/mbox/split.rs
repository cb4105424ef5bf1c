//! Where messages begin and end in the five dialects, and their quoting.
//!
//! A line begins a message where it begins with `From ` and has a date in it, or a blank line before it; so a message that
//! was cut off by a crash does not take the next one with it, and a sentence that begins with `From` does not end one.

use std::borrow::Cow;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memmem};

use super::FromLine;

/// How messages are kept apart in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Lines that begin with `From ` are quoted with `>`; those that began with `>From ` cannot be told from them.
    Mboxo,
    /// Lines that begin with any number of `>` and `From ` get one `>` more, so that each can be restored.
    Mboxrd,
    /// As [`Mboxo`](Self::Mboxo), and `Content-Length` tells the octets of the body.
    Mboxcl,
    /// Nothing is quoted; `Content-Length` tells the octets of the body.
    Mboxcl2,
    /// Each message stands between two lines of four `^A`; nothing is quoted.
    Mmdf,
}

/// One message of an mbox file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// The line in front of it; MMDF files may have none.
    pub from: Option<FromLine>,
    /// All that stands between that line and the next, as it is in the file: quoted, with the blank line at its end.
    pub raw: Bytes,
    /// The message: quoting and blank line taken off, its line ends as they are in the file.
    pub message: Bytes,
}

/// Reads messages from a stream of octets that somebody else reads.
///
/// ```
/// use facteur::store::mbox::{Dialect, Reader};
///
/// let mut reader = Reader::new(Dialect::Mboxrd);
/// reader.feed(b"From a@b Wed Feb 28 15:42:24 2007\nSubject: one\n\n>From here\n\nFrom a@b Wed Feb 28 15:42:24 2007\n\n");
/// reader.close();
/// assert_eq!(&reader.next().unwrap().message[..], b"Subject: one\n\nFrom here\n");
/// assert_eq!(&reader.next().unwrap().message[..], b"");
/// assert!(reader.next().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Reader {
    dialect: Dialect,
    held: BytesMut,
    closed: bool,
    /// Not worth looking again before so much is held: each look goes through a message from its start.
    look_at: usize,
    skipped: u64,
}

/// A message that was found, as offsets from where the search began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its `From ` line, or in MMDF its line of `^A`.
    pub(super) start: usize,
    /// What follows the `From ` line.
    pub(super) text: usize,
    /// Where the message ends, the blank line not counted.
    pub(super) end: usize,
    /// Where the next one begins.
    pub(super) next: usize,
}

/// What a search comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A message.
    Message(Span),
    /// More octets are needed to tell.
    More,
    /// No further message.
    Nothing,
}

impl Reader {
    /// A reader that has seen nothing yet.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, held: BytesMut::new(), closed: false, look_at: 0, skipped: 0 }
    }

    /// Takes octets of the file, in order. What is held is at most the octets fed since the last message that was taken.
    pub fn feed(&mut self, octets: &[u8]) {
        self.held.extend_from_slice(octets);
    }

    /// There is no more to come.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Octets that belonged to no message and were passed over: what stands before the first `From ` line.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The next message, where it is whole. `None` before [`close`](Self::close) means that more must be fed; after it that
    /// there is no more.
    #[allow(clippy::should_implement_trait)] // `None` is not the end
    pub fn next(&mut self) -> Option<Item> {
        if !self.closed && self.held.len() < self.look_at {
            return None;
        }
        match find(&self.held, self.closed, self.dialect) {
            Found::Message(span) => {
                self.look_at = 0;
                self.skipped += span.start as u64;
                let mut whole = self.held.split_to(span.next).freeze();
                let line = whole.slice(span.start..span.text);
                let raw = whole.slice(span.text..);
                whole.truncate(span.end);
                whole.advance(span.text);
                let message = match unquoted(self.dialect, &whole) {
                    Cow::Borrowed(_) => whole,
                    Cow::Owned(message) => message.into(),
                };
                let line = line.split(|octet| *octet == b'\n').find(|line| line.starts_with(b"From "));
                Some(Item { from: line.and_then(|line| FromLine::parse(line.trim_ascii_end())), raw, message })
            }
            Found::More => {
                self.look_at = self.held.len() * 2;
                None
            }
            Found::Nothing => {
                self.skipped += self.held.len() as u64;
                self.held.clear();
                None
            }
        }
    }
}

impl Dialect {
    /// The dialect of a file, by its first messages: MMDF by its first line, those with `Content-Length` where it leads to
    /// the next message, otherwise [`Mboxrd`](Self::Mboxrd), for mboxo cannot be told from it. `beginning` is the file or
    /// its first octets; a megabyte is plenty.
    pub fn detect(beginning: &[u8]) -> Self {
        if beginning.starts_with(b"\x01\x01\x01\x01") {
            return Self::Mmdf;
        }
        let (mut rest, mut counted, mut quoted) = (beginning, 0, false);
        while let Found::Message(span) = find(rest, false, Self::Mboxcl) {
            let text = rest.get(span.text..span.end).unwrap_or_default();
            match claimed(text) {
                Some((body, len)) if body.checked_add(len).is_some_and(|end| end == text.len()) => counted += 1,
                _ => return Self::Mboxrd,
            }
            if text.starts_with(b"From ") || memmem::find(text, b"\nFrom ").is_some() {
                return Self::Mboxcl2;
            }
            quoted |= memmem::find(text, b"\n>From ").is_some();
            rest = rest.get(span.next..).unwrap_or_default();
        }
        match (counted, quoted) {
            (0, _) => Self::Mboxrd,
            (_, true) => Self::Mboxcl,
            // Nothing quoted and nothing to quote: nothing is taken away either.
            (_, false) => Self::Mboxcl2,
        }
    }

    fn counts(self) -> bool {
        matches!(self, Self::Mboxcl | Self::Mboxcl2)
    }
}

/// The first message in `octets`; with `whole` nothing follows them.
pub(super) fn find(octets: &[u8], whole: bool, dialect: Dialect) -> Found {
    if dialect == Dialect::Mmdf {
        return find_mmdf(octets, whole);
    }
    let start = match separator(octets, 0, whole) {
        Begins::At(start) => start,
        Begins::Nowhere if whole => return Found::Nothing,
        Begins::Nowhere | Begins::More => return Found::More,
    };
    let line = memchr(b'\n', octets.get(start..).unwrap_or_default()).map(|len| start + len + 1);
    let Some(text) = line.or(whole.then_some(octets.len())) else { return Found::More };
    let rest = octets.get(text..).unwrap_or_default();
    if dialect.counts() {
        match counted(rest, whole) {
            Counted::Ends(end, next) => {
                return Found::Message(Span { start, text, end: text + end, next: text + next });
            }
            Counted::More => return Found::More,
            Counted::Lies => {}
        }
    }
    let next = match separator(octets, text, whole) {
        Begins::At(next) => next,
        Begins::Nowhere if whole => octets.len(),
        Begins::Nowhere | Begins::More => return Found::More,
    };
    let body = octets.get(text..next).unwrap_or_default();
    Found::Message(Span { start, text, end: text + without_blank(body), next })
}

enum Begins {
    At(usize),
    Nowhere,
    /// There is a line whose end must be seen first.
    More,
}

/// The first line from `from` on, which is the start of a line, that begins a message.
fn separator(octets: &[u8], from: usize, whole: bool) -> Begins {
    let rest = octets.get(from..).unwrap_or_default();
    let first = rest.starts_with(b"From ").then_some(from);
    for at in first.into_iter().chain(memmem::find_iter(rest, b"\nFrom ").map(|at| from + at + 1)) {
        let line = octets.get(at..).unwrap_or_default();
        let line = match memchr(b'\n', line) {
            Some(len) => line.get(..len).unwrap_or_default(),
            None if whole => line,
            None => return Begins::More,
        };
        let before = octets.get(..at).unwrap_or_default();
        let before = before.strip_suffix(b"\n").unwrap_or_default();
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        let blank = before.is_empty() || before.ends_with(b"\n");
        if FromLine::parse(line.trim_ascii_end()).is_some_and(|line| blank || line.date().is_some()) {
            return Begins::At(at);
        }
    }
    Begins::Nowhere
}

enum Counted {
    /// Where the message ends, and where the next begins.
    Ends(usize, usize),
    More,
    Lies,
}

/// Follows `Content-Length` where the next message, or the end of the file, stands where it leads.
fn counted(text: &[u8], whole: bool) -> Counted {
    let Some((body, len)) = claimed(text) else {
        // The header may not have ended yet.
        return if whole || header_len(text).is_some() { Counted::Lies } else { Counted::More };
    };
    let Some(end) = body.checked_add(len) else { return Counted::Lies };
    let Some(rest) = text.get(end..) else { return if whole { Counted::Lies } else { Counted::More } };
    if !whole && rest.len() < b"\r\nFrom ".len() {
        return Counted::More;
    }
    let after = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n")).unwrap_or(rest);
    if after.is_empty() || after.starts_with(b"From ") {
        let next = text.len() - after.len();
        // Without a body the blank line behind the message may be the one that ended its header.
        let end = if len == 0 && next == end { without_blank(text.get(..end).unwrap_or_default()) } else { end };
        Counted::Ends(end, next)
    } else {
        Counted::Lies
    }
}

/// Where the body begins, and what `Content-Length` says of it.
fn claimed(text: &[u8]) -> Option<(usize, usize)> {
    let body = header_len(text)?;
    // The first field counts: ours stands in front of those that the message came with.
    let mut lines = text.get(..body)?.split(|octet| *octet == b'\n').filter_map(|line| line.split_at_checked(15));
    let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case(b"content-length:"))?;
    Some((body, std::str::from_utf8(value).ok()?.trim().parse().ok()?))
}

/// The octets of a header with the blank line that ends it; `None` where there is no such line.
pub(super) fn header_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let end = memchr(b'\n', rest)?;
        at += end + 1;
        if matches!(rest.get(..end)?, b"" | b"\r") {
            return Some(at);
        }
    }
}

fn find_mmdf(octets: &[u8], whole: bool) -> Found {
    const MARK: &[u8] = b"\x01\x01\x01\x01\n";
    let start =
        if octets.starts_with(MARK) { Some(0) } else { memmem::find(octets, b"\n\x01\x01\x01\x01\n").map(|at| at + 1) };
    let Some(start) = start else {
        return if whole { Found::Nothing } else { Found::More };
    };
    let mut text = start + MARK.len();
    let rest = octets.get(text..).unwrap_or_default();
    if rest.starts_with(b"From ") {
        text = memchr(b'\n', rest).map_or(octets.len(), |len| text + len + 1);
    } else if !whole && b"From ".starts_with(rest) {
        return Found::More;
    }
    // The mark may stand right behind the line before the message.
    let before = text - 1;
    match memmem::find(octets.get(before..).unwrap_or_default(), b"\n\x01\x01\x01\x01\n") {
        Some(at) => {
            let end = before + at + 1;
            Found::Message(Span { start, text, end: end.max(text), next: end + MARK.len() })
        }
        None if whole && text < octets.len() => {
            Found::Message(Span { start, text, end: octets.len(), next: octets.len() })
        }
        None if whole => Found::Nothing,
        None => Found::More,
    }
}

/// The length of a message without the blank line behind it.
fn without_blank(text: &[u8]) -> usize {
    for blank in [&b"\r\n"[..], b"\n"] {
        if let Some(rest) = text.strip_suffix(blank)
            && (rest.is_empty() || rest.ends_with(b"\n"))
        {
            return rest.len();
        }
    }
    text.len()
}

/// The text with the `>` of quoting taken off.
pub(super) fn unquoted(dialect: Dialect, text: &[u8]) -> Cow<'_, [u8]> {
    let is_quoted = |quotes: usize| match dialect {
        Dialect::Mboxrd => quotes >= 1,
        Dialect::Mboxo | Dialect::Mboxcl => quotes == 1,
        Dialect::Mboxcl2 | Dialect::Mmdf => false,
    };
    requoted(text, is_quoted, |line, out| out.extend_from_slice(line.get(1..).unwrap_or_default()))
}

/// The text with a `>` in front of each line that would begin a message, or be taken for a quoted one.
pub(super) fn quoted(dialect: Dialect, text: &[u8]) -> Cow<'_, [u8]> {
    let wants_quote = |quotes: usize| match dialect {
        Dialect::Mboxrd => true,
        Dialect::Mboxo | Dialect::Mboxcl => quotes == 0,
        Dialect::Mboxcl2 | Dialect::Mmdf => false,
    };
    requoted(text, wants_quote, |line, out| {
        out.push(b'>');
        out.extend_from_slice(line);
    })
}

/// Edits the lines that begin with `>*From ` where `chosen` says so by the number of `>`.
fn requoted(text: &[u8], chosen: impl Fn(usize) -> bool, edit: impl Fn(&[u8], &mut Vec<u8>)) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut from = 0;
    for at in memmem::find_iter(text, b"From ") {
        let before = text.get(..at).unwrap_or_default();
        let quotes = before.iter().rev().take_while(|octet| **octet == b'>').count();
        let start = at - quotes;
        let starts_line = start == 0 || text.get(start - 1) == Some(&b'\n');
        if starts_line && chosen(quotes) {
            out.extend_from_slice(text.get(from..start).unwrap_or_default());
            edit(text.get(start..at).unwrap_or_default(), &mut out);
            from = at;
        }
    }
    if from == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "From a@b Tue Jul  1 10:52:37 2003\n";

    fn all(dialect: Dialect, text: &str) -> Vec<String> {
        let mut reader = Reader::new(dialect);
        reader.feed(text.as_bytes());
        reader.close();
        let items: Vec<_> = std::iter::from_fn(|| reader.next())
            .map(|item| String::from_utf8(item.message.to_vec()).unwrap())
            .collect();
        // However it is cut, the same comes out.
        for size in [1, 3, 7, 50] {
            let mut reader = Reader::new(dialect);
            let mut cut = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                reader.feed(piece);
                cut.extend(std::iter::from_fn(|| reader.next()));
            }
            reader.close();
            cut.extend(std::iter::from_fn(|| reader.next()));
            let cut: Vec<_> = cut.into_iter().map(|item| String::from_utf8(item.message.to_vec()).unwrap()).collect();
            assert_eq!(cut, items, "pieces of {size}");
        }
        items
    }

    #[test]
    fn messages_begin_at_from_lines() {
        for (text, expected) in [
            (String::new(), vec![]),
            ("no mbox\n".into(), vec![]),
            (FROM.into(), vec![""]),
            (format!("{FROM}\n"), vec![""]),
            (format!("\n\n{FROM}a\n\n{FROM}b\n\n"), vec!["a\n", "b\n"]),
            (format!("{FROM}a\n\n\n\n"), vec!["a\n\n\n"]),
            (format!("{FROM}no end"), vec!["no end"]),
            (format!("{FROM}cut off{FROM}still\n{FROM}b\n\n"), vec![&format!("cut off{FROM}still\n")[..], "b\n"]),
            (format!("{FROM}S: x\n\nthe text\nFrom me to you\n\n"), vec!["S: x\n\nthe text\nFrom me to you\n"]),
            (format!("{FROM}S: x\n\nthe text\n\nFrom nodate\nS: y\n\n"), vec!["S: x\n\nthe text\n", "S: y\n"]),
            (format!("{FROM}>From a\n>>From b\n >From c\n> From d\n\n"), vec!["From a\n>From b\n >From c\n> From d\n"]),
            (format!("{FROM}{FROM}x\n\n"), vec!["", "x\n"]),
            (format!("{FROM}a\r\n\r\n"), vec!["a\r\n"]),
        ] {
            assert_eq!(all(Dialect::Mboxrd, &text), expected, "{text:?}");
        }
    }

    #[test]
    fn content_length_is_believed_only_where_it_leads_to_a_message() {
        let inner = format!("S: x\nContent-Length: 38\n\n{FROM}say\n");
        for (text, expected) in [
            (format!("{FROM}{inner}\n{FROM}b\n\n"), vec![&inner[..], "b\n"]),
            (format!("{FROM}{inner}"), vec![&inner[..]]),
            (format!("{FROM}Content-Length: 999\n\na\n\n{FROM}b\n\n"), vec!["Content-Length: 999\n\na\n", "b\n"]),
            (format!("{FROM}Content-Length: 1\n\nabc\n\n{FROM}b\n\n"), vec!["Content-Length: 1\n\nabc\n", "b\n"]),
            (format!("{FROM}Content-Length: -1\n\nabc\n\n"), vec!["Content-Length: -1\n\nabc\n"]),
            (
                format!("{FROM}Content-Length: 18446744073709551615\n\nabc\n\n"),
                vec!["Content-Length: 18446744073709551615\n\nabc\n"],
            ),
        ] {
            assert_eq!(all(Dialect::Mboxcl2, &text), expected, "{text:?}");
        }
    }

    #[test]
    fn mmdf_messages_stand_between_marks() {
        let mark = "\x01\x01\x01\x01\n";
        for (text, expected) in [
            (format!("{mark}{FROM}a\n{mark}{mark}b\n\n{mark}"), vec!["a\n", "b\n\n"]),
            (format!("{mark}{mark}"), vec![""]),
            (format!("{mark}{FROM}{mark}"), vec![""]),
            (format!("{mark}open\n"), vec!["open\n"]),
            (mark.to_owned(), vec![]),
        ] {
            assert_eq!(all(Dialect::Mmdf, &text), expected, "{text:?}");
        }
    }

    #[test]
    fn quoting_is_undone() {
        for text in
            ["From a\n>From b\n>>From c", "x\nFrom \nFrom", "From: a\nfrom b\n", ">\n>>", "", "aFrom b\n >From c"]
        {
            let there = quoted(Dialect::Mboxrd, text.as_bytes());
            assert_eq!(unquoted(Dialect::Mboxrd, &there), text.as_bytes());
            assert!(!there.starts_with(b"From ") && memmem::find(&there, b"\nFrom ").is_none());
        }
        assert_eq!(&quoted(Dialect::Mboxo, b"From a\n>From b\n")[..], b">From a\n>From b\n");
        assert_eq!(&unquoted(Dialect::Mboxo, b">From a\n>>From b\n")[..], b"From a\n>>From b\n");
    }

    #[test]
    fn dialects_are_told_apart() {
        let from = |text: &str| format!("{FROM}{text}\n{FROM}end\n\n");
        for (text, expected) in [
            (from("S: x\n\nabc\n"), Dialect::Mboxrd),
            (from("Content-Length: 99\n\nabc\n"), Dialect::Mboxrd),
            (from("Content-Length: 4\n\nabc\n"), Dialect::Mboxcl2),
            (from("Content-Length: 8\n\nFrom ab\n"), Dialect::Mboxcl2),
            (from("Content-Length: 9\n\n>From ab\n"), Dialect::Mboxcl),
            ("\x01\x01\x01\x01\n".into(), Dialect::Mmdf),
        ] {
            let whole = text.replace("end\n\n", "Content-Length: 0\n\n\nFrom x\n");
            let text = if text.contains("99") { text } else { whole };
            assert_eq!(Dialect::detect(text.as_bytes()), expected, "{text:?}");
        }
    }
}
