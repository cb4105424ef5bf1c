//! Address lists of header fields (RFC 5322 §3.4) with the obsolete forms of §4.4: display names, groups, routes, comments.
//!
//! Reading is lenient and loses nothing: what is no address stands in the result as a [`Mailbox`] without a domain.
//! [`parse_strict`] refuses what is no list by the letter; strict addresses, as the envelope has them, are read by
//! [`Address::parse`](crate::address::Address::parse).

mod element;
mod reader;
#[cfg(test)]
mod tests;

use self::reader::{End, Reader};
use super::mailbox::{Entry, Group, Mailbox, Odd, Usual};
use crate::base::ParseError;

/// The mailboxes of an address list one after the other, those of groups among them, each read when it is asked for.
///
/// ```
/// use facteur::address::list;
///
/// let mut to = list::mailboxes(b"Ada <ada@a.test>, A Group: bob@b.test, cy@c.test;");
/// assert_eq!(to.next().unwrap().name().as_deref(), Some("Ada"));
/// assert_eq!(to.map(|mailbox| mailbox.to_string()).collect::<Vec<_>>(), ["bob@b.test", "cy@c.test"]);
/// ```
#[derive(Clone, Debug)]
pub struct Mailboxes<'a> {
    reader: Reader<'a>,
    in_group: bool,
    ended: bool,
}

/// Reads `address-list` as [`parse`] does, and passes over what belongs to groups as such.
pub fn mailboxes(text: &[u8]) -> Mailboxes<'_> {
    Mailboxes { reader: Reader::new(text), in_group: false, ended: text.is_empty() }
}

/// Of no list.
impl Default for Mailboxes<'_> {
    fn default() -> Self {
        mailboxes(b"")
    }
}

impl<'a> Iterator for Mailboxes<'a> {
    type Item = Mailbox<'a>;

    #[inline]
    fn next(&mut self) -> Option<Mailbox<'a>> {
        if self.ended {
            return None;
        }
        // What is usual goes to the caller in registers, and to memory not at all; so must all others.
        match self.reader.usual(self.in_group) {
            Some((mailbox, end)) if self.in_group || end == End::Text || !self.reader.is_comment_behind() => {
                self.pass(end);
                Some(Mailbox::usual(mailbox))
            }
            read => self.unusual(read).map(Mailbox::odd),
        }
    }
}

impl<'a> Mailboxes<'a> {
    /// Goes on with an element that is not usual, or has comments behind it.
    #[inline(never)]
    fn unusual(&mut self, mut read: Option<(Usual<'a>, End)>) -> Option<Box<Odd>> {
        while !self.ended {
            let in_group = self.in_group;
            let (mailbox, end) = match read.take().or_else(|| self.reader.usual(in_group)) {
                Some((mailbox, end)) => (Some(mailbox.into()), end),
                None => match self.reader.element(in_group) {
                    (_, End::Group) => (None, End::Group),
                    (element, end) => (element.mailbox().ok(), end),
                },
            };
            self.pass(end);
            if let Some(mut mailbox) = mailbox {
                if !in_group && !self.ended {
                    let (comments, ended) = self.reader.comments_behind();
                    mailbox.comments.extend(comments);
                    self.ended = ended;
                }
                return Some(mailbox);
            }
        }
        None
    }

    #[inline]
    fn pass(&mut self, end: End) {
        match end {
            End::Group => self.in_group = true,
            End::Semicolon => self.in_group = false,
            End::Text => self.ended = true,
            End::Comma => {}
        }
    }
}

/// Reads `address-list`, with empty elements, missing commas at the end and unclosed brackets.
pub fn parse(text: &[u8]) -> Vec<Entry<'_>> {
    read(text, true)
}

/// As [`parse`]; the short way for the usual elements is left out for tests.
fn read(text: &[u8], short: bool) -> Vec<Entry<'_>> {
    let mut reader = Reader::new(text);
    let mut entries = Vec::new();
    let mut group: Option<Group<'_>> = None;
    loop {
        let (mailbox, end) = match short.then(|| reader.usual(group.is_some())).flatten() {
            Some((mailbox, end)) => (Ok(Mailbox::usual(mailbox)), end),
            None => match reader.element(group.is_some()) {
                (element, End::Group) => {
                    let comments = element.comments();
                    group = Some(Group { raw_name: element.phrase(), members: Vec::new(), comments });
                    continue;
                }
                (element, end) => (element.mailbox().map(Mailbox::odd), end),
            },
        };
        match (&mut group, mailbox) {
            (Some(group), Ok(mailbox)) => group.members.push(mailbox),
            (None, Ok(mailbox)) => entries.push(Entry::Mailbox(mailbox)),
            // Comments alone belong to what they stand in or behind.
            (Some(group), Err(comments)) => group.comments.extend(comments),
            (None, Err(comments)) => match entries.last_mut() {
                Some(Entry::Mailbox(mailbox)) => mailbox.add_comments(comments),
                Some(Entry::Group(group)) => group.comments.extend(comments),
                None => {}
            },
        }
        if matches!(end, End::Semicolon | End::Text) {
            entries.extend(group.take().map(Entry::Group));
        }
        if end == End::Text {
            return entries;
        }
    }
}

/// Reads `address-list` by the letter of RFC 5322 §3.4 and §4.4: for what a person has typed, or a program is to send. Folds are
/// CRLF, UTF-8 is read (RFC 6532 §3.2).
///
/// ```
/// use facteur::address::list;
///
/// assert_eq!(list::parse_strict(b"Ada <ada@a.test>, bob@b.test")?.len(), 2);
/// assert!(list::parse_strict(b"Ada <ada@a.test").is_err());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
///
/// # Errors
/// What was expected, and where.
pub fn parse_strict(text: &[u8]) -> Result<Vec<Entry<'_>>, ParseError> {
    super::spec::address_list(text)?;
    Ok(parse(text))
}
