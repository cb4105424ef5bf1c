//! The index of a Maildir, `facteur-uidlist`: which file has which UID.
//!
//! The file is a log of lines that only grows until it is written anew. Each line ends in a space and the FNV-1a sum of
//! what precedes it, as eight hexadecimal digits:
//!
//! | line | meaning |
//! |---|---|
//! | `facteur-uidlist 1 VALIDITY NEXT RECENT` | first line: UIDVALIDITY, the next UID, the first that no session has seen |
//! | `m UID SIZE RECEIVED BASE KEYWORD...` | a message: its size with CRLF, when it came in Unix seconds, the file name up to the colon |
//! | `k UID KEYWORD...` | from here on the message has these keywords |
//! | `r UID` | from here on messages below this UID have been seen by a session |
//!
//! Base and keywords are escaped: `%` and two digits for what is not printing ASCII.
//!
//! A line that a killed writer left unfinished is at the end, and is cut off by the next who writes. A bad line that has
//! good ones behind it is damage: then no UID can be trusted, and the list begins anew with another UIDVALIDITY.

use std::collections::HashMap;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::base::ParseError;
use crate::store::Uid;
use crate::store::disk::{escape, unescape};

const MAGIC: &str = "facteur-uidlist 1";

/// The index of a Maildir, as its file says.
///
/// ```
/// use std::num::NonZeroU32;
/// use facteur::store::maildir::UidList;
///
/// let list = UidList::new(NonZeroU32::MIN);
/// let (again, read) = UidList::parse(list.write().as_bytes())?;
/// assert_eq!(again.write(), list.write());
/// assert_eq!(read, list.write().len());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct UidList {
    pub(crate) validity: NonZeroU32,
    pub(crate) next: Uid,
    pub(crate) first_recent: Uid,
    pub(crate) records: Vec<Record>,
    pub(crate) by_base: HashMap<Arc<[u8]>, usize>,
}

/// A message that the list knows.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) uid: Uid,
    pub(crate) size: u64,
    pub(crate) received: i64,
    pub(crate) base: Arc<[u8]>,
    pub(crate) keywords: Vec<String>,
}

/// What a line says.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Message(Record),
    Keywords(Uid, Vec<String>),
    Recent(Uid),
}

impl UidList {
    /// A list of no messages.
    pub fn new(validity: NonZeroU32) -> Self {
        let first = Uid(NonZeroU32::MIN);
        Self { validity, next: first, first_recent: first, records: Vec::new(), by_base: HashMap::new() }
    }

    /// Reads a list; also tells how many octets of whole lines there were, behind which there may be one more that was not
    /// finished.
    ///
    /// # Errors
    /// Where the first line is none of a list, or a bad line has good ones behind it.
    pub fn parse(text: &[u8]) -> Result<(Self, usize), ParseError> {
        let header = ParseError { expected: MAGIC, at: 0 };
        let end = memchr::memchr(b'\n', text).ok_or(header)?;
        let mut list = text.get(..end).and_then(parse_header).ok_or(header)?;
        let from = end + 1;
        let read = list.extend(text.get(from..).unwrap_or_default());
        let read = read.map_err(|error| ParseError { at: error.at + from, ..error })?;
        Ok((list, from + read))
    }

    /// Reads what was added since; tells how much of it was whole lines.
    ///
    /// # Errors
    /// Where a bad line has good ones behind it.
    pub(crate) fn extend(&mut self, text: &[u8]) -> Result<usize, ParseError> {
        let mut at = 0;
        while let Some(len) = text.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let fits = text.get(at..at + len).and_then(parse_line).is_some_and(|line| self.apply(line));
            if !fits {
                let behind = text.get(at + len + 1..).unwrap_or_default();
                if behind.split(|octet| *octet == b'\n').any(|line| checked(line).is_some()) {
                    return Err(ParseError { expected: "a line of the list", at });
                }
                return Ok(at);
            }
            at += len + 1;
        }
        Ok(at)
    }

    /// Does what a line says; `false` where it cannot be, for its UID is not a new one, or not a known one.
    pub(crate) fn apply(&mut self, line: Line) -> bool {
        match line {
            Line::Message(record) => {
                let Some(after) = record.uid.0.checked_add(1) else { return false };
                // The first line may tell a higher next UID than those of its messages.
                let grows = self.records.last().is_none_or(|last| last.uid < record.uid);
                if !grows || self.by_base.contains_key(&record.base) {
                    return false;
                }
                self.next = self.next.max(Uid(after));
                self.by_base.insert(Arc::clone(&record.base), self.records.len());
                self.records.push(record);
            }
            Line::Keywords(uid, keywords) => {
                let Ok(at) = self.records.binary_search_by_key(&uid, |record| record.uid) else { return false };
                self.records[at].keywords = keywords; // found at `at`
            }
            Line::Recent(uid) => {
                if uid > self.next {
                    return false;
                }
                self.first_recent = self.first_recent.max(uid);
            }
        }
        true
    }

    /// The list anew, each message on one line.
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(64 + self.records.len() * 96);
        let header = format!("{MAGIC} {} {} {}", self.validity, self.next, self.first_recent);
        finish(&header, &mut out);
        self.records.iter().for_each(|record| write_line(&Line::Message(record.clone()), &mut out));
        out
    }

    /// Leaves out the messages that `keep` does not want; their UIDs are not given out again.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut at = 0;
        self.records.retain(|_| {
            at += 1;
            keep(at - 1)
        });
        self.by_base = self.records.iter().enumerate().map(|(at, record)| (Arc::clone(&record.base), at)).collect();
    }
}

/// Adds a line to a text that will be added to the file.
pub(crate) fn write_line(line: &Line, out: &mut String) {
    let mut text = String::with_capacity(96);
    let (words, written) = match line {
        Line::Message(record) => {
            let written = write!(text, "m {} {} {} ", record.uid, record.size, record.received);
            escape(&record.base, &mut text);
            (&record.keywords[..], written)
        }
        Line::Keywords(uid, keywords) => (&keywords[..], write!(text, "k {uid}")),
        Line::Recent(uid) => (&[][..], write!(text, "r {uid}")),
    };
    written.unwrap_or_default(); // writing to a String cannot fail
    for word in words {
        text.push(' ');
        escape(word.as_bytes(), &mut text);
    }
    finish(&text, out);
}

fn finish(text: &str, out: &mut String) {
    writeln!(out, "{text} {:08x}", sum(text.as_bytes())).unwrap_or_default(); // writing to a String cannot fail
}

/// FNV-1a of 32 bits: enough to tell what a crash left from what was written.
fn sum(octets: &[u8]) -> u32 {
    octets.iter().fold(0x811c_9dc5, |sum, octet| (sum ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
}

/// The line without its sum, where the sum is right.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (text, last) = line.split_at_checked(line.len().checked_sub(9)?)?;
    (*last == *format!(" {:08x}", sum(text)).as_bytes()).then_some(text)
}

fn parse_header(line: &[u8]) -> Option<UidList> {
    let rest = checked(line)?.strip_prefix(MAGIC.as_bytes())?.strip_prefix(b" ")?;
    let mut words = rest.split(|octet| *octet == b' ');
    let mut list = UidList::new(number(words.next()?)?);
    list.next = Uid(number(words.next()?)?);
    list.first_recent = Uid(number(words.next()?)?);
    (words.next().is_none() && list.first_recent <= list.next).then_some(list)
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let mut words = checked(line)?.split(|octet| *octet == b' ');
    let kind = words.next()?;
    let uid = Uid(number(words.next()?)?);
    Some(match kind {
        b"m" => {
            let (size, received, base) = (number(words.next()?)?, number(words.next()?)?, unescape(words.next()?)?);
            Line::Message(Record { uid, size, received, base: base.into(), keywords: keywords(words)? })
        }
        b"k" => Line::Keywords(uid, keywords(words)?),
        b"r" if words.next().is_none() => Line::Recent(uid),
        _ => return None,
    })
}

fn keywords<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<Vec<String>> {
    words.map(|word| String::from_utf8(unescape(word)?).ok().filter(|word| !word.is_empty())).collect()
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> (UidList, String) {
        let mut list = UidList::new(NonZeroU32::new(77).unwrap());
        let mut text = list.write();
        for (uid, base) in [(1, &b"a"[..]), (2, b"sp ace\n%\xff"), (9, b"c")] {
            let uid = Uid(NonZeroU32::new(uid).unwrap());
            let line = Line::Message(Record { uid, size: 5, received: -3, base: base.into(), keywords: Vec::new() });
            write_line(&line, &mut text);
            assert!(list.apply(line));
        }
        let line = Line::Keywords(list.records[1].uid, vec!["$Junk".into(), "two words".into()]);
        write_line(&line, &mut text);
        assert!(list.apply(line));
        let line = Line::Recent(list.next);
        write_line(&line, &mut text);
        assert!(list.apply(line));
        (list, text)
    }

    #[test]
    fn a_log_and_what_it_comes_to_say_the_same() {
        let (list, log) = list();
        let (read, len) = UidList::parse(log.as_bytes()).unwrap();
        assert_eq!(len, log.len());
        assert_eq!(read.write(), list.write());
        let (read, _) = UidList::parse(list.write().as_bytes()).unwrap();
        assert_eq!(read.write(), list.write());
        assert_eq!(read.next.0.get(), 10);
        assert_eq!(read.records[1].keywords, ["$Junk", "two words"]);
        assert_eq!(&read.records[1].base[..], b"sp ace\n%\xff");
    }

    #[test]
    fn an_unfinished_end_is_left_out_and_damage_before_the_end_is_told() {
        let (_, log) = list();
        let lines: Vec<usize> = log.match_indices('\n').map(|(at, _)| at + 1).collect();
        for cut in 0..log.len() {
            let whole = lines.iter().copied().rfind(|end| *end <= cut);
            match (UidList::parse(&log.as_bytes()[..cut]), whole) {
                (Ok((_, len)), Some(whole)) => assert_eq!(len, whole),
                (Err(_), None) => {}
                other => panic!("{cut}: {other:?}"),
            }
        }
        // Zeros where a page never reached the disk.
        let torn = format!("{}{}\n", &log[..lines[2]], "\0".repeat(40));
        assert_eq!(UidList::parse(torn.as_bytes()).unwrap().1, lines[2]);
        for at in 0..lines[4] - 1 {
            let mut bad = log.clone().into_bytes();
            bad[at] ^= 1;
            assert!(UidList::parse(&bad).is_err(), "{at}");
        }
    }

    #[test]
    fn a_uid_is_given_once() {
        let (mut list, _) = list();
        let again = Record { base: b"other"[..].into(), ..list.records[2].clone() };
        assert!(!list.apply(Line::Message(again.clone())));
        list.retain(|at| at != 1);
        assert_eq!(UidList::parse(list.write().as_bytes()).unwrap().0.next.0.get(), 10);
        let last = Record { uid: Uid(NonZeroU32::MAX), ..again };
        assert!(!list.apply(Line::Message(last)));
    }
}
