//! The index of an mbox file: where each message is, and its UID.
//!
//! It is a text of lines, replaced whole; the last line has the sum of all before it. It is believed as far as the file
//! bears it out: each message must still begin with a `From ` line where the index says so. Otherwise the whole file is
//! read, and its messages are known again by their prints.
//!
//! | line | meaning |
//! |---|---|
//! | `facteur-mbox 1 VALIDITY NEXT RECENT LENGTH` | UIDVALIDITY, next UID, first UID that no session has seen, length of the file |
//! | `m UID AT TEXT END NEXT SIZE RECEIVED PRINT` | a message: where it, its text and the next begin, its size with CRLF |
//! | `end SUM` | SHA-256 of all lines before |

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;

use super::head::{Head, print, restored};
use super::split::{Found, find};
use super::{Dialect, FromLine};
use crate::base::Timestamp;
use crate::base::crypto::sha256;
use crate::store::{StoreError, Uid};

const MAGIC: &str = "facteur-mbox 1";
/// Each look at a message takes so much of its beginning: its `From ` line and our lines as a rule.
const PEEK: usize = 512;
/// The header of a message that has no lines of ours is looked at this far.
const MAX_HEADER: usize = 1 << 16;
/// A file is read in pieces of this size, larger ones for larger messages.
const PIECE: usize = 4 << 20;

/// What is known of an mbox file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Index {
    pub(super) validity: NonZeroU32,
    pub(super) next: Uid,
    pub(super) first_recent: Uid,
    /// The length of the file when it was looked at.
    pub(super) len: u64,
    /// In the order of UIDs.
    pub(super) messages: Vec<Message>,
}

/// Where a message is. All offsets are from the start of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) uid: Uid,
    pub(super) at: u64,
    /// Behind the `From ` line.
    pub(super) text: u64,
    /// The blank line behind the message is not counted.
    pub(super) end: u64,
    /// Behind the blank line.
    pub(super) next: u64,
    pub(super) size: u64,
    pub(super) received: i64,
    pub(super) print: [u8; 16],
    /// As it is in the file now; not a part of the index.
    pub(super) head: Head,
}

impl Index {
    pub(super) fn new(validity: NonZeroU32) -> Self {
        let first = Uid(NonZeroU32::MIN);
        Self { validity, next: first, first_recent: first, len: 0, messages: Vec::new() }
    }

    pub(super) fn write(&self) -> String {
        let mut out = String::with_capacity(64 + self.messages.len() * 100);
        let written = writeln!(out, "{MAGIC} {} {} {} {}", self.validity, self.next, self.first_recent, self.len);
        written.unwrap_or_default(); // writing to a String cannot fail
        for m in &self.messages {
            let written =
                write!(out, "m {} {} {} {} {} {} {} ", m.uid, m.at, m.text, m.end, m.next, m.size, m.received);
            written.unwrap_or_default();
            hex(&m.print, &mut out);
            out.push('\n');
        }
        let sum = sha256(out.as_bytes());
        out.push_str("end ");
        hex(&sum, &mut out);
        out.push('\n');
        out
    }

    /// `None` where it is not what [`write`](Self::write) wrote.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (lines, sum) = text.strip_suffix('\n')?.rsplit_once("\nend ")?;
        let mut expected = String::new();
        hex(&sha256(text.get(..lines.len() + 1)?.as_bytes()), &mut expected);
        if sum != expected {
            return None;
        }
        let mut lines = lines.lines();
        let mut words = lines.next()?.strip_prefix(MAGIC)?.split_ascii_whitespace();
        let mut index = Self::new(words.next()?.parse().ok()?);
        index.next = Uid(words.next()?.parse().ok()?);
        index.first_recent = Uid(words.next()?.parse().ok()?);
        index.len = words.next()?.parse().ok()?;
        for line in lines {
            let mut words = line.strip_prefix("m ")?.split(' ');
            let uid = Uid(words.next()?.parse().ok()?);
            let mut number = || words.next()?.parse::<u64>().ok();
            let (at, text, end, next, size) = (number()?, number()?, number()?, number()?, number()?);
            let (received, print) = (words.next()?.parse().ok()?, unhex(words.next()?)?);
            let grows = index.messages.last().is_none_or(|last| last.uid < uid) && uid < index.next;
            let orders = at <= text && text <= end && end <= next && next <= index.len;
            if !(grows && orders) {
                return None;
            }
            let head = Head::parse(b"");
            index.messages.push(Message { uid, at, text, end, next, size, received, print, head });
        }
        Some(index)
    }

    /// Brings the index to what the file is now; tells whether anything is other than before. New messages get UIDs in
    /// the order in which they stand.
    pub(super) fn look(&mut self, file: &File, dialect: Dialect, max_message: u64) -> Result<bool, StoreError> {
        let there = file.metadata()?;
        if there.len() == 0 {
            let changed = self.len != 0;
            (self.len, self.messages) = (0, Vec::new());
            return Ok(changed);
        }
        let undated = std::os::unix::fs::MetadataExt::mtime(&there);
        let scan = Scan { file, dialect, max_message, undated };
        let mut beginning = [0; 5];
        let grew = there.len() > self.len;
        let joins = !grew || (file.read_at(&mut beginning, self.len)? == 5 && beginning == *b"From ");
        let mut whole = there.len() >= self.len && joins && (self.len > 0);
        for message in &mut self.messages {
            whole = whole && message.peek(file)?;
        }
        if whole && !grew {
            return Ok(false);
        }
        let from = if whole { self.len } else { 0 };
        let mut found = scan.run(from, there.len())?;
        if !whole {
            self.know_again(&mut found);
        }
        for mut message in found {
            message.uid = self.next;
            let next = self.next.0.get().checked_add(1).filter(|next| *next < u32::MAX).and_then(NonZeroU32::new);
            self.next = Uid(next.ok_or(StoreError::Unsupported("more messages in this mailbox"))?);
            self.messages.push(message);
        }
        self.len = there.len();
        Ok(true)
    }

    /// Keeps those messages that are among `found`, and takes them from it.
    fn know_again(&mut self, found: &mut Vec<Message>) {
        let mut uids: HashMap<[u8; 16], VecDeque<Uid>> = HashMap::new();
        for message in &self.messages {
            uids.entry(message.print).or_default().push_back(message.uid);
        }
        self.messages.clear();
        let mut new = Vec::new();
        for message in found.drain(..) {
            match uids.get_mut(&message.print).and_then(VecDeque::pop_front) {
                Some(uid) => self.messages.push(Message { uid, ..message }),
                None => new.push(message),
            }
        }
        self.messages.sort_by_key(|message| message.uid);
        *found = new;
    }
}

impl Message {
    /// Looks whether the message is still where it was, and at its flags.
    fn peek(&mut self, file: &File) -> io::Result<bool> {
        let from = usize::try_from(self.text - self.at).unwrap_or(usize::MAX);
        let all = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        for size in [PEEK, PEEK * 8, MAX_HEADER] {
            let mut octets = vec![0; from.saturating_add(size).min(all)];
            if let Err(error) = file.read_exact_at(&mut octets, self.at) {
                return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(false) } else { Err(error) };
            }
            let Some((line, text)) = octets.split_at_checked(from) else { return Ok(false) };
            if !line.starts_with(b"From ") || memchr::memchr(b'\n', line).is_some_and(|end| end + 1 != line.len()) {
                return Ok(false);
            }
            self.head = Head::parse(text);
            if self.head.len > 0 || octets.len() == all || memchr::memmem::find(text, b"\n\n").is_some() {
                break;
            }
        }
        Ok(true)
    }
}

struct Scan<'a> {
    file: &'a File,
    dialect: Dialect,
    max_message: u64,
    /// The date of messages whose `From ` line has none.
    undated: i64,
}

impl Scan<'_> {
    /// The messages from `from` on, without UIDs.
    fn run(&self, from: u64, len: u64) -> Result<Vec<Message>, StoreError> {
        let (mut held, mut base, mut all) = (Vec::new(), from, Vec::new());
        loop {
            let end = base + held.len() as u64;
            let more = (len - end).min(held.len().max(PIECE) as u64);
            let old = held.len();
            held.resize(old + usize::try_from(more).map_err(io::Error::other)?, 0);
            self.file.read_exact_at(held.get_mut(old..).unwrap_or_default(), end)?;
            let whole = end + more == len;
            let mut at = 0;
            loop {
                let rest = held.get(at..).unwrap_or_default();
                let span = match find(rest, whole, self.dialect) {
                    Found::Message(span) => span,
                    Found::More => break,
                    Found::Nothing => {
                        if all.is_empty() && from == 0 && !held.trim_ascii().is_empty() {
                            return Err(StoreError::Damaged("the file does not begin as an mbox file".into()));
                        }
                        return Ok(all);
                    }
                };
                let place = |offset: usize| base + (at + offset) as u64;
                let line = rest.get(span.start..span.text).unwrap_or_default();
                let text = rest.get(span.text..span.end).unwrap_or_default();
                let head = Head::parse(text);
                let message = restored(self.dialect, &head, text.get(head.len..).unwrap_or_default());
                let date = FromLine::parse(line.trim_ascii_end()).and_then(|line| line.date()).map(Timestamp::unix);
                all.push(Message {
                    uid: Uid(NonZeroU32::MAX),
                    at: place(span.start),
                    text: place(span.text),
                    end: place(span.end),
                    next: place(span.next),
                    size: message.len() as u64,
                    received: date.unwrap_or(self.undated),
                    print: print(text),
                    head,
                });
                at += span.next;
            }
            if whole {
                return Ok(all);
            }
            held.drain(..at);
            base += at as u64;
            if held.len() as u64 > self.max_message {
                return Err(StoreError::Damaged("a message is larger than may be read".into()));
            }
        }
    }
}

fn hex(octets: &[u8], out: &mut String) {
    for octet in octets {
        write!(out, "{octet:02x}").unwrap_or_default(); // writing to a String cannot fail
    }
}

fn unhex(word: &str) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    let fits = word.len() == 32 && word.is_ascii();
    for (octet, at) in out.iter_mut().zip((0..).step_by(2)) {
        *octet = u8::from_str_radix(word.get(at..at + 2).filter(|_| fits)?, 16).ok()?;
    }
    Some(out)
}
