//! What a store notes of a message in front of it, behind the `From ` line:
//!
//! ```text
//! Status: RO
//! X-Status: AF
//! X-Keywords: $Forwarded
//! ```
//!
//! These are the fields in which other programs keep flags, too. Ours stand in front of the message and in this order, so
//! that they can be taken off without touching fields of the same name that the message came with; and they are padded with
//! spaces, so that flags can change where they stand. In a message that has no such lines, the fields of these names that
//! other programs put in its header are believed, and left in it.

use std::borrow::Cow;

use memchr::memchr;

use super::Dialect;
use super::split::{header_len, quoted, unquoted};
use crate::base::crypto::sha256;
use crate::store::lines::{append_crlf, to_disk};
use crate::store::{Flag, Flags};

/// The keywords have room for so many octets at first.
const ROOM: usize = 40;
/// The header of a message of others is searched this far for its flags.
const MAX_HEADER: usize = 1 << 16;
/// One more of ours: the message had no line end at its end. Ours is taken off again.
const OPEN_END: &[u8] = b"X-Facteur: open-end\n";

/// What stands in front of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) flags: Flags,
    /// The octets of our lines; 0 where there are none.
    pub(super) len: usize,
    /// `Status`, `X-Status` and the keywords are there, and the keywords have room for so many octets.
    pub(super) room: Option<usize>,
    pub(super) open_end: bool,
    /// What is kept of the lines when flags are written anew: `Content-Length`.
    counted: Vec<u8>,
}

impl Head {
    /// Reads it from what follows the `From ` line: the message or its first [`MAX_HEADER`] octets.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut head = Self { flags: Flags::new(), len: 0, room: None, open_end: false, counted: Vec::new() };
        let mut rest = text;
        let status = field(&mut rest, b"Status: ");
        let x_status = field(&mut rest, b"X-Status: ");
        let mut after = rest;
        if field(&mut after, b"Content-Length: ").is_some() {
            head.counted = rest.get(..rest.len() - after.len()).unwrap_or_default().to_vec();
            rest = after;
        }
        if let Some(after) = rest.strip_prefix(OPEN_END) {
            head.open_end = true;
            rest = after;
        }
        // Always the last of ours: what follows is the message, whatever it looks like.
        let Some(keywords) = field(&mut rest, b"X-Keywords: ") else {
            let flags = flags_of_others(text);
            return Self { flags, len: 0, room: None, open_end: false, counted: Vec::new() };
        };
        head.len = text.len() - rest.len();
        match (status, x_status) {
            (Some(status), Some(x_status)) if status.len() == 2 && x_status.len() == 4 => {
                head.room = Some(keywords.len());
                letters(status, &mut head.flags);
                letters(x_status, &mut head.flags);
            }
            // Another program moved them.
            _ => head.flags = flags_of_others(rest),
        }
        words(keywords, &mut head.flags);
        head
    }

    /// The lines for these flags, in the room that there is where they fit.
    pub(super) fn write(&self, flags: &Flags) -> Vec<u8> {
        let mark = |flag, letter| if flags.contains(&flag) { letter } else { ' ' };
        let keywords: Vec<String> = flags.iter().filter_map(keyword).collect();
        let keywords = keywords.join(" ");
        let room =
            self.room.filter(|room| *room >= keywords.len()).unwrap_or((keywords.len() + ROOM).next_multiple_of(ROOM));
        let mut out = format!(
            "Status: {}O\nX-Status: {}{}{}{}\n",
            mark(Flag::Seen, 'R'),
            mark(Flag::Answered, 'A'),
            mark(Flag::Flagged, 'F'),
            mark(Flag::Draft, 'T'),
            mark(Flag::Deleted, 'D'),
        )
        .into_bytes();
        out.extend_from_slice(&self.counted);
        if self.open_end {
            out.extend_from_slice(OPEN_END);
        }
        out.extend_from_slice(format!("X-Keywords: {keywords:room$}\n").as_bytes());
        out
    }
}

/// A message as it will stand in the file, behind its `From ` line; with the blank line at its end.
pub(super) fn stored(dialect: Dialect, message: &[u8], flags: &Flags) -> Vec<u8> {
    let octets = to_disk(message);
    let body = quoted(dialect, &octets);
    let open_end = !body.ends_with(b"\n");
    let mut counted = Vec::new();
    if matches!(dialect, Dialect::Mboxcl | Dialect::Mboxcl2) {
        let all = body.len() + usize::from(open_end);
        let len = all - header_len(&body).unwrap_or(all);
        counted = format!("Content-Length: {len}\n").into_bytes();
    }
    let head = Head { flags: Flags::new(), len: 0, room: None, open_end, counted };
    let mut out = head.write(flags);
    out.extend_from_slice(&body);
    if open_end {
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// The message that `text`, what stands behind our lines without the blank line at the end, is: its lines ended by CRLF.
pub(super) fn restored<'a>(dialect: Dialect, head: &Head, text: &'a [u8]) -> Cow<'a, [u8]> {
    let text = if head.open_end { text.strip_suffix(b"\n").unwrap_or(text).into() } else { ended(text) };
    match &text {
        Cow::Borrowed(text) => match unquoted(dialect, text) {
            Cow::Borrowed(text) => append_crlf(text),
            Cow::Owned(text) => append_crlf(&text).into_owned().into(),
        },
        Cow::Owned(text) => append_crlf(&unquoted(dialect, text)).into_owned().into(),
    }
}

/// A last line that another program left without its end gets one, as it will when the next message is added behind it.
fn ended(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_empty() || text.ends_with(b"\n") { text.into() } else { [text, b"\n"].concat().into() }
}

/// What stays the same when other programs change the flags of a message: by it a message is known again in a file that was
/// written anew. `text` is what follows the `From ` line.
pub(super) fn print(text: &[u8]) -> [u8; 16] {
    let text = ended(text);
    let mut header = Vec::new();
    let mut rest = &text[..];
    while let Some(end) = memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        if line.trim_ascii().is_empty() {
            break;
        }
        if !is_noted(line) {
            header.extend_from_slice(line);
        }
        rest = after;
    }
    let both = [sha256(&header), sha256(rest)].concat();
    let mut out = [0; 16];
    out.iter_mut().zip(sha256(&both)).for_each(|(to, from)| *to = from);
    out
}

/// Fields that other programs write into messages.
fn is_noted(line: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] =
        [b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imap", b"x-imapbase", b"content-length", b"x-facteur"];
    let name = line.get(..memchr(b':', line).unwrap_or(0)).unwrap_or_default();
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn field<'a>(rest: &mut &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = rest.strip_prefix(name)?;
    let end = memchr(b'\n', value)?;
    let (value, after) = (value.get(..end)?, value.get(end + 1..)?);
    *rest = after;
    Some(value)
}

/// From the fields of a header, wherever they stand.
fn flags_of_others(text: &[u8]) -> Flags {
    let mut flags = Flags::new();
    let text = text.get(..text.len().min(MAX_HEADER)).unwrap_or_default();
    for line in text.split(|octet| *octet == b'\n') {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = memchr(b':', line).map(|at| (line.get(..at), line.get(at + 1..))) else { continue };
        let (name, value) = (name.unwrap_or_default(), value.unwrap_or_default());
        if name.eq_ignore_ascii_case(b"status") || name.eq_ignore_ascii_case(b"x-status") {
            letters(value, &mut flags);
        } else if name.eq_ignore_ascii_case(b"x-keywords") {
            words(value, &mut flags);
        }
    }
    flags
}

fn letters(value: &[u8], flags: &mut Flags) {
    for letter in value {
        match letter {
            b'R' => flags.insert(Flag::Seen),
            b'A' => flags.insert(Flag::Answered),
            b'F' => flags.insert(Flag::Flagged),
            b'T' => flags.insert(Flag::Draft),
            b'D' => flags.insert(Flag::Deleted),
            _ => {}
        }
    }
}

fn words(value: &[u8], flags: &mut Flags) {
    let words = value.split(|octet| *octet == b' ').filter_map(|word| std::str::from_utf8(word.trim_ascii()).ok());
    words.filter(|word| !word.is_empty()).for_each(|word| flags.insert(Flag::Keyword(word.to_owned())));
}

/// A keyword that one word of a line can hold.
fn keyword(flag: &Flag) -> Option<String> {
    let Flag::Keyword(word) = flag else { return None };
    (!word.is_empty() && !word.chars().any(|c| c.is_whitespace() || c.is_control())).then(|| word.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [Dialect; 2] = [Dialect::Mboxrd, Dialect::Mboxcl2];

    #[test]
    fn messages_come_back_to_the_octet() {
        let flags: Flags = ["\\Seen", "\\Draft", "word"].into_iter().filter_map(Flag::parse).collect();
        for message in [
            &b""[..],
            b"\r\n",
            b"a",
            b"From a\r\n>From b",
            b"S: x\r\n\r\nb\r\n\r\n",
            b"Status: R\r\nX-Status: D\r\nX-Keywords: k\r\nX-Facteur: open-end\r\n\r\n",
            b"a\r\r\nb\r\n",
        ] {
            for dialect in DIALECTS {
                let stored = stored(dialect, message, &flags);
                let head = Head::parse(&stored);
                assert_eq!(head.flags, flags);
                let text = &stored[head.len..stored.len() - 1];
                assert_eq!(&restored(dialect, &head, text)[..], message, "{}", stored.escape_ascii());
                assert_eq!(head.write(&flags), stored[..head.len]);
            }
        }
    }

    #[test]
    fn flags_of_other_programs_are_read() {
        for (text, expected) in [
            ("Subject: x\nStatus: RO\nX-Status: AF\nX-Keywords: a b  \n\nStatus: D\n", r"\Answered \Flagged \Seen a b"),
            ("status:R\n\n", r"\Seen"),
            ("X-Keywords: kept          \nSubject: x\nStatus: RO\n\n", r"\Seen kept"),
            ("Subject: x\n\nX-Status: D\n", ""),
            ("Status: RO\nX-Status:     \nSubject: x\n\n", r"\Seen"),
        ] {
            assert_eq!(Head::parse(text.as_bytes()).flags.to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_message_is_known_again_whatever_its_flags() {
        let a = print(b"Status: RO\nX-Keywords: a\nSubject: x\n\nbody\n");
        assert_eq!(a, print(b"Subject: x\nX-Status: D\nContent-Length: 5\n\nbody\n"));
        assert_ne!(a, print(b"Subject: x\n\nbody\n\n"));
        assert_ne!(a, print(b"Subject: y\n\nbody\n"));
        assert_ne!(print(b"a: b\n\n"), print(b"\na: b\n"));
    }
}
