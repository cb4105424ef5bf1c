//! Address lists of header fields (RFC 5322 §3.4) with the obsolete forms of §4.4: display names, groups, routes, comments.
//!
//! Reading is lenient and loses nothing: what is no address stands in the result as a [`Mailbox`] without a domain.
//! [`parse_strict`] refuses what is no list by the letter; strict addresses, as the envelope has them, are read by
//! [`Address::parse`](crate::address::Address::parse).

use std::ops::Range;

use super::mailbox::{Entry, Group, Mailbox, Odd, Usual};
use crate::base::ParseError;
use crate::base::parse::octets_of;
use crate::text::params::comment_end;
use crate::text::places::Places;
use crate::text::transfer::Set;
use crate::text::{charset, words};

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

/// What ended an element.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Comma,
    Semicolon,
    /// A colon: what came before is the name of a group.
    Group,
    Text,
}

/// A word of a phrase or of an address.
struct Word {
    octets: Vec<u8>,
    quoted: bool,
    /// White space or a comment stood before it.
    spaced: bool,
}

/// What stands between two commas, in pieces.
#[derive(Default)]
struct Element {
    words: Vec<Word>,
    /// The words inside of angle brackets.
    angle: Option<Vec<Word>>,
    /// How many words stand before those.
    before: usize,
    comments: Vec<Vec<u8>>,
    /// Its signs stand where no reader expects them, so that readers differ in which address is meant.
    loose: bool,
}

impl Element {
    /// The words joined, with one space where white space stood.
    fn phrase(&self) -> Vec<u8> {
        phrase(self.words.iter())
    }

    fn comments(&self) -> Vec<String> {
        self.comments.iter().map(|comment| words::decode(comment)).collect()
    }

    /// The mailbox; where there is none, the comments.
    fn mailbox(self) -> Result<Box<Odd>, Vec<String>> {
        let comments = self.comments();
        let name = Some(self.phrase()).filter(|name| !name.is_empty());
        let comment = || self.comments.last().filter(|comment| !comment.is_empty()).cloned();
        let mut odd = Odd { comments, ..Odd::default() };
        let at_signs = |words: &[Word]| words.iter().filter(|word| word.is(b'@')).count();
        if let Some(angle) = &self.angle {
            let (route, words) = split_route(angle);
            // RFC 5322 §4.4 has white space around dots and the at sign only: other words in the brackets are none of the
            // address, and joined to it they would make one that nobody wrote. A URI loses its white space (RFC 2369 §2).
            let is_uri = words.iter().any(|word| word.is(b':'));
            let address = address_among(words).filter(|_| !is_uri).unwrap_or(0..words.len());
            let others = words.iter().take(address.start).chain(words.iter().skip(address.end));
            odd.ambiguous = self.loose
                || has_quoted_domain(words)
                || address.len() < words.len()
                || at_signs(words) + at_signs(self.words.get(self.before..).unwrap_or_default()) > 1;
            let names = [self.phrase(), phrase(others)];
            let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
            odd.raw_name = Some(names.join(&b' ')).filter(|name| !name.is_empty()).or_else(comment);
            (odd.local, odd.domain) = split_address(words.get(address).unwrap_or_default());
            odd.route = route;
        } else if let Some(address) = address_among(&self.words) {
            // A name without brackets behind it, as people type it: `Ada Lovelace ada@a.test`.
            let (before, after) = (self.words.iter().take(address.start), self.words.iter().skip(address.end));
            let name = phrase(before.chain(after).filter(|word| !word.is(b'>')));
            odd.ambiguous = self.loose || has_quoted_domain(&self.words) || at_signs(&self.words) > 1;
            (odd.local, odd.domain) = split_address(self.words.get(address).unwrap_or_default());
            odd.raw_name = Some(name).filter(|name| !name.is_empty()).or_else(comment);
        } else if let [word @ Word { quoted: false, .. }] = &self.words[..] {
            // No address at all. One word may be a local part, as people write it to a neighbour; more are a name.
            odd.local = charset::guess(&word.octets).into_owned();
            odd.raw_name = comment();
        } else if name.is_some() {
            odd.raw_name = name;
        } else {
            return Err(odd.comments);
        }
        Ok(Box::new(odd))
    }
}

impl Word {
    fn is(&self, special: u8) -> bool {
        !self.quoted && self.octets == [special]
    }

    /// Whether this word and the next are one, inside of an address without brackets. RFC 5322 §4.4 has white space around
    /// dots only.
    fn goes_on(&self, next: &Self) -> bool {
        let dot = !self.quoted && self.octets.ends_with(b".") || !next.quoted && next.octets.starts_with(b".");
        (!next.spaced || dot) && !self.is(b'>') && !next.is(b'>')
    }
}

/// The words joined, with one space where white space stood.
fn phrase<'a>(words: impl Iterator<Item = &'a Word>) -> Vec<u8> {
    let mut phrase = Vec::new();
    for word in words {
        if !phrase.is_empty() && word.spaced {
            phrase.push(b' ');
        }
        phrase.extend_from_slice(&word.octets);
    }
    phrase
}

/// Which of the words are the address around the last `@` that is not quoted.
fn address_among(words: &[Word]) -> Option<Range<usize>> {
    let at = words.iter().rposition(|word| word.is(b'@'))?;
    let goes_on = |n: usize| matches!(words.get(n..=n + 1), Some([word, next]) if word.goes_on(next));
    let first = (0..at.saturating_sub(1)).rev().take_while(|n| goes_on(*n)).last();
    let starts = |n: usize| n == at + 1 && !words.get(n).is_some_and(|word| word.is(b'>'));
    let last = (at + 1..words.len()).take_while(|n| starts(*n) || *n > at + 1 && goes_on(*n - 1)).last();
    Some(first.unwrap_or(at.saturating_sub(1))..last.unwrap_or(at) + 1)
}

/// Whether a quoted string stands right behind the domain, or within it: to some readers the domain ends there.
fn has_quoted_domain(words: &[Word]) -> bool {
    let behind = words.iter().rposition(|word| word.is(b'@')).map_or(words.len(), |at| at + 1);
    words.iter().skip(behind).any(|word| word.quoted && !word.spaced)
}

/// `obs-route = obs-domain-list ":"`
fn split_route(words: &[Word]) -> (Option<String>, &[Word]) {
    if !words.first().is_some_and(|word| word.is(b'@')) {
        return (None, words);
    }
    match words.iter().position(|word| word.is(b':')) {
        Some(colon) => {
            let (route, address) = words.split_at(colon);
            // obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain]): commas are left out at times
            let domains = route.split(|word| word.is(b'@')).skip(1);
            let domains = domains.map(|domain| domain.split(|word| word.is(b',')).map(joined).collect::<String>());
            let route = domains.map(|domain| format!("@{domain}")).collect::<Vec<_>>().join(",");
            (Some(route), address.get(1..).unwrap_or_default())
        }
        None => (None, words),
    }
}

/// `local-part "@" domain`; the last `@` outside of quotes counts.
fn split_address(words: &[Word]) -> (String, Option<String>) {
    match words.iter().rposition(|word| word.is(b'@')) {
        Some(at) => {
            let (local, domain) = words.split_at(at);
            (joined(local), Some(joined(domain.get(1..).unwrap_or_default())))
        }
        None => (joined(words), None),
    }
}

/// Words of an address, white space between them and in literals dropped (RFC 5322 §3.4.1, §4.4).
fn joined(words: &[Word]) -> String {
    let kept = |word: &Word, octet: u8| word.quoted || !octet.is_ascii_whitespace();
    let octets: Vec<u8> =
        words.iter().flat_map(|word| word.octets.iter().copied().filter(|octet| kept(word, *octet))).collect();
    charset::guess(&octets).into_owned()
}

#[derive(Clone, Debug)]
struct Reader<'a> {
    text: &'a [u8],
    /// The same, where it is UTF-8; otherwise nothing.
    utf8: &'a str,
    at: usize,
    specials: Places<'a>,
    /// Once a comment (a quoted string) was found to have no end, its sign is an ordinary octet: time stays linear.
    comments: bool,
    quotes: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        let utf8 = charset::utf8_text(text).unwrap_or_default();
        Self { text, utf8, at: 0, specials: Places::new(text, &SPECIALS), comments: true, quotes: true }
    }

    /// Reads an element that is `ada@a.test`, `Ada Lovelace <ada@a.test>`, `"Ada" <ada@a.test>` or `<https://a.test/>` without
    /// anything that is obsolete, folded inside, escaped or a comment: most are. Gives up on all others, before the first octet of them.
    #[inline]
    fn usual(&mut self, in_group: bool) -> Option<(Usual<'a>, End)> {
        let text = self.text;
        let start = unspaced(text, self.at);
        let mut name = start..start;
        let local = if text.get(start) == Some(&b'"') {
            let rest = text.get(start + 1..).filter(|_| self.quotes)?;
            name = start + 1..start + 1 + ENDS_QUOTED.find(rest)?;
            let at = unspaced(text, name.end + 1);
            if text.get(name.end) != Some(&b'"') || text.get(at) != Some(&b'<') {
                return None;
            }
            at + 1
        } else {
            // Words with a single space between them.
            let mut word = start;
            loop {
                name.end = self.specials.next(word);
                match text.get(name.end..)? {
                    [b' ', b'<', ..] if name.end > word => break name.end + 2,
                    [b' ', ..] if name.end > word => word = name.end + 1,
                    [b'<', ..] => break name.end + 1,
                    // The only word was the local part.
                    [b'@', ..] if word == start => {
                        name.end = start;
                        break start;
                    }
                    _ => return None,
                }
            }
        };
        let bracket = local > start;
        let mut local = local..self.specials.next(local);
        // Fields of lists have URIs in their brackets, or names without an at sign.
        while bracket && text.get(local.end) == Some(&b':') {
            local.end = self.specials.next(local.end + 1);
        }
        let mut domain = local.end..local.end;
        if text.get(local.end) == Some(&b'@') {
            domain = local.end + 1..self.specials.next(local.end + 1);
            if domain.is_empty() {
                return None;
            }
        } else if !bracket {
            return None;
        }
        if local.is_empty() || bracket && text.get(domain.end) != Some(&b'>') {
            return None;
        }
        let at = unspaced(text, domain.end + usize::from(bracket));
        let (end, at) = match text.get(at) {
            None => (End::Text, at),
            Some(b',') => (End::Comma, at + 1),
            Some(b';') if in_group => (End::Semicolon, at + 1),
            Some(_) => return None,
        };
        // It may be a byte order mark, which addresses lose.
        if [local.start, domain.start].iter().any(|at| text.get(*at) == Some(&0xef)) {
            return None;
        }
        let (name, local, domain) = (self.utf8.get(name)?, self.utf8.get(local)?, self.utf8.get(domain)?);
        self.at = at;
        Some((Usual { name, local, domain: Some(domain).filter(|domain| !domain.is_empty()) }, end))
    }

    /// Whether what comes next may hold comments alone.
    #[inline]
    fn is_comment_behind(&self) -> bool {
        // An empty quoted string is no name.
        let rest = self.text.get(unspaced(self.text, self.at)..);
        matches!(rest, Some([b'(' | b',' | b';', ..] | [b'"', b'"' | b'\r' | b'\n', ..]))
    }

    /// The comments that stand alone behind the comma of a mailbox, to which they belong; and whether the list ends with them.
    fn comments_behind(&mut self) -> (Vec<String>, bool) {
        let mut all = Vec::new();
        while self.is_comment_behind() {
            let before = self.clone();
            let (element, end) = self.element(false);
            match (element.mailbox(), end) {
                (Err(comments), End::Comma | End::Text) => {
                    all.extend(comments);
                    if end == End::Text {
                        return (all, true);
                    }
                }
                _ => {
                    *self = before;
                    break;
                }
            }
        }
        (all, false)
    }

    /// Reads up to the next comma, semicolon or group colon outside of brackets and quotes.
    fn element(&mut self, in_group: bool) -> (Element, End) {
        let mut element = Element::default();
        let mut in_angle = false;
        // Inside of a route commas separate domains: `<@a.test,@b.test:c@d.test>`.
        let mut in_route = false;
        let mut at_sign = false;
        let mut spaced = false;
        // Brackets in brackets, without anything between them.
        let mut doubled = 0_usize;
        while let Some(octet) = self.text.get(self.at).copied() {
            let from = self.at;
            let seen_angle = element.angle.is_some();
            let here = match &mut element.angle {
                Some(angle) if in_angle => angle,
                _ => &mut element.words,
            };
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    spaced = true;
                    continue;
                }
                b'(' if self.comments => {
                    if let Some(end) = comment_end(self.text, from) {
                        element.comments.push(unescaped(self.text.get(from + 1..end - 1).unwrap_or_default()));
                        self.at = end;
                        spaced = true;
                        continue;
                    }
                    self.comments = false;
                    continue;
                }
                b'"' if self.quotes => match self.quoted() {
                    Some(octets) => here.push(Word { octets, quoted: true, spaced }),
                    None => {
                        self.quotes = false;
                        continue;
                    }
                },
                b'[' => {
                    // domain-literal: the colons inside are no separators
                    let rest = self.text.get(from..).unwrap_or_default();
                    let end = rest.iter().skip(1).position(|octet| b"][,><\"(".contains(octet));
                    let len = match end.map(|len| (len, rest.get(len + 1))) {
                        Some((len, Some(b']'))) => len + 2,
                        // A comment or a string to some, and part of the literal to others.
                        Some((_, Some(b'(' | b'"'))) => {
                            element.loose = true;
                            1
                        }
                        _ => 1,
                    };
                    let octets = rest.get(..len).unwrap_or_default().to_vec();
                    here.push(Word { octets, quoted: false, spaced });
                    self.at += len;
                }
                b',' if !in_angle => {
                    self.at += 1;
                    return (element, End::Comma);
                }
                b',' if !in_route => {
                    // RFC 5322 §4.4: a route may begin with commas, `<,@a.test:c@d.test>`.
                    let rest = self.text.get(from..).unwrap_or_default();
                    let commas = rest.iter().position(|octet| !b", \t\r\n".contains(octet)).unwrap_or(rest.len());
                    if here.is_empty() && rest.get(commas) == Some(&b'@') {
                        self.at += commas;
                        continue;
                    }
                    // A bracket that was never closed.
                    self.at += 1;
                    return (element, End::Comma);
                }
                b';' if !in_angle => {
                    self.at += 1;
                    // Outside of a group it is what some senders put between addresses.
                    return (element, if in_group { End::Semicolon } else { End::Comma });
                }
                b':' if !in_angle && !in_group && !seen_angle && !here.is_empty() && !at_sign => {
                    self.at += 1;
                    return (element, End::Group);
                }
                // RFC 5322 §3.4 has no group in a group: its name stands with the first of its members.
                b':' if !in_angle && in_group && !seen_angle && !at_sign => {
                    element.loose |= !here.is_empty();
                    self.at += 1;
                    spaced = true;
                    continue;
                }
                b'<' if !in_angle && !seen_angle => {
                    (element.angle, element.before) = (Some(Vec::new()), element.words.len());
                    in_angle = true;
                    self.at += 1;
                }
                // `Ada < Lovelace <ada@a.test>`, and `<<ada@a.test>>`: the innermost brackets are those of the address.
                b'<' if in_angle => {
                    let outside = std::mem::take(here);
                    element.loose |= !outside.is_empty();
                    doubled += usize::from(outside.is_empty());
                    element.words.extend(outside);
                    element.before = element.words.len();
                    in_route = false;
                    self.at += 1;
                }
                b'>' if in_angle => {
                    in_angle = false;
                    self.at += 1;
                }
                b'>' if seen_angle && doubled > 0 => {
                    doubled -= 1; // more than 0
                    self.at += 1;
                }
                b'@' | b':' | b',' | b'<' | b'>' | b';' => {
                    at_sign |= octet == b'@';
                    in_route = in_angle && (in_route && octet != b':' || octet == b'@' && here.is_empty());
                    here.push(Word { octets: vec![octet], quoted: false, spaced });
                    self.at += 1;
                }
                _ => {
                    let rest = self.text.get(from..).unwrap_or_default();
                    let len =
                        rest.iter().skip(1).position(|octet| is_special(*octet)).map_or(rest.len(), |len| len + 1);
                    let octets = rest.get(..len).unwrap_or_default().to_vec();
                    here.push(Word { octets, quoted: false, spaced });
                    self.at += len;
                }
            }
            spaced = false;
        }
        (element, End::Text)
    }

    /// `quoted-string`, quoting and folding removed; `None` where it does not end.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        let mut rest = self.text.iter().enumerate().skip(self.at + 1);
        while let Some((n, octet)) = rest.next() {
            match octet {
                b'"' => {
                    self.at = n + 1;
                    return Some(octets);
                }
                // What is folded is unfolded first (RFC 5322 §2.2.3): the octet behind the fold is quoted.
                b'\\' => {
                    octets.extend(rest.find(|(_, octet)| !matches!(octet, b'\r' | b'\n')).map(|(_, octet)| *octet))
                }
                b'\r' | b'\n' => {}
                _ => octets.push(*octet),
            }
        }
        None
    }
}

fn is_special(octet: u8) -> bool {
    const SPECIAL: [bool; 256] = octets_of(b" \t\r\n(\"[,;:<>@");
    SPECIAL[usize::from(octet)] // any octet is in it
}

/// What ends a quoted string that is read as it stands, or makes it another.
static ENDS_QUOTED: Set = Set::of(b"\"\\\r\n");

/// What ends a word; form feeds too, which addresses lose.
static SPECIALS: Set = Set::of(b" \t\r\n(\"[,;:<>@\x0c");

/// Where the white space at `at` ends.
fn unspaced(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = text.get(at) {
        at += 1;
    }
    at
}

/// The text of a comment, quoting and folding removed.
fn unescaped(comment: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(comment.len());
    let mut rest = comment.iter();
    while let Some(octet) = rest.next() {
        match octet {
            b'\\' => octets.extend(rest.find(|octet| !matches!(octet, b'\r' | b'\n'))),
            b'\r' | b'\n' => {}
            _ => octets.push(*octet),
        }
    }
    octets.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_way_reads_the_same() {
        let pieces = [
            "ada",
            "@",
            "a.test",
            " ",
            "<",
            ">",
            ",",
            "\"",
            "\\",
            ";",
            ":",
            "(c)",
            "\r\n ",
            "<ada@a.test>",
            "<https://a.test/?b=1>",
            "<weekly.a.test>",
            "ada@a.test",
            "\"Ada, L.\" ",
            "Ada L.",
            "Ada  <",
            "\u{c}",
            "é",
            "=?utf-8?q?=C3=A9?=",
            "[1]",
            "\u{feff}",
            ", ",
            "\"\"",
            "group:",
        ];
        let mut random = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(random >> 33) as usize % pieces.len()]);
            }
            let entries = read(text.as_bytes(), false);
            assert_eq!(read(text.as_bytes(), true), entries, "{text:?}");
            let flat: Vec<_> = entries.iter().flat_map(|entry| entry.mailboxes().to_vec()).collect();
            assert_eq!(mailboxes(text.as_bytes()).collect::<Vec<_>>(), flat, "{text:?}");
        }
    }

    /// `name|route|local|domain` of each mailbox; groups as `name[...]`.
    fn shown(text: &str) -> String {
        let mailbox = |mailbox: &Mailbox<'_>| {
            let name = mailbox.name().map_or(String::new(), |name| format!("{name} "));
            let route = mailbox.route().map_or(String::new(), |route| format!("{route}:"));
            format!("{name}<{route}{mailbox}>")
        };
        let all: Vec<String> = parse(text.as_bytes())
            .iter()
            .map(|entry| match entry {
                Entry::Mailbox(one) => mailbox(one),
                Entry::Group(group) => {
                    format!("{}[{}]", group.name(), group.members.iter().map(mailbox).collect::<Vec<_>>().join(" "))
                }
            })
            .collect();
        all.join(" ")
    }

    #[test]
    fn lists_are_read() {
        for (text, expected) in [
            ("", ""),
            (",,", ""),
            ("a@b", "<a@b>"),
            ("<a@b>", "<a@b>"),
            ("Ada <a@b>, Bob <c@d>", "Ada <a@b> Bob <c@d>"),
            (r#""Joe Q. Public" <a@b>"#, "Joe Q. Public <a@b>"),
            (r#""Giant; \"Big\" Box" <a@b>"#, "Giant; \"Big\" Box <a@b>"),
            (r#""a b"@c"#, "<a b@c>"),
            ("a@b (Ada)", "Ada <a@b>"),
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete <pete@silly.test>"),
            // RFC 5322 §4.4: obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain])
            ("Ada <, ,@n.test,,@b.test: a@c>, d@e", "Ada <@n.test,@b.test:a@c> <d@e>"),
            ("Ada <, d@e", "Ada <> <d@e>"),
            (
                "Mary Smith <@node.test,@b.test:mary@example.net>, x@y",
                "Mary Smith <@node.test,@b.test:mary@example.net> <x@y>",
            ),
            ("Joe <joe@[192.0.2.1]>", "Joe <joe@[192.0.2.1]>"),
            ("a@[IPv6:2001:db8::1], b@c", "<a@[IPv6:2001:db8::1]> <b@c>"),
            ("undisclosed-recipients:;", "undisclosed-recipients[]"),
            ("A Group(c) : a@b, C <c@d>;, e@f", "A Group[<a@b> C <c@d>] <e@f>"),
            ("john . public @ example . org", "<john.public@example.org>"),
            // what senders do wrong
            ("a@b; c@d", "<a@b> <c@d>"),
            ("Ada <a@b", "Ada <a@b>"),
            ("Ada <a@b, c@d", "Ada <a@b> <c@d>"),
            ("\"Ada <a@b>", "\"Ada <a@b>"),
            ("(Ada <a@b>", "(Ada <a@b>"),
            ("J. Doe <a@b>", "J. Doe <a@b>"),
            ("a@b <c@d>", "a@b <c@d>"),
            ("nobody", "<nobody>"),
            ("Ada Lovelace", "Ada Lovelace <>"),
            ("a@b ()", "<a@b>"),
            ("\"\" <a@b>", "<a@b>"),
            ("<>", "<>"),
            ("<ada>", "<ada>"),
            ("g: a@b", "g[<a@b>]"),
            ("g:h:a@b;", "g[h <a@b>]"),
            ("Ada : : Lovelace <a@b>", "Ada[Lovelace <a@b>]"),
            ("<<a@b>>", "<a@b>"),
            ("Ada > L < Lovelace <a@b>, c@d", "Ada > L Lovelace <a@b> <c@d>"),
            ("<Ada a@b>", "Ada <a@b>"),
            ("Ada <\"a b\"@c.d Lovelace>", "Ada Lovelace <a b@c.d>"),
            ("Ada <a@b c@d>", "Ada a@b <c@d>"),
            ("<mailto:a@b?c=\r\n d>", "<mailto:a@b?c=d>"),
            ("[ ( ] <a@b> ) <c@d>", "[ <c@d>"),
            ("Ada @[ ( ] <a@b> ) <c@d>", "Ada @[ <c@d>"),
            ("\"a\\\r\n b\" <c@d>", "a b <c@d>"),
            ("c@d (a\\\r\n b)", "a b <c@d>"),
            ("=?utf-8?q?Andr=C3=A9?= P. <a@b>", "André P. <a@b>"),
            ("[Ticket 1] <a@b>", "[Ticket 1] <a@b>"),
            // names without brackets
            ("Ada Lovelace a@b", "Ada Lovelace <a@b>"),
            ("\"Lovelace, Ada\" a@b, c@d", "Lovelace, Ada <a@b> <c@d>"),
            ("Ada a . b @ c . d", "Ada <a.b@c.d>"),
            ("Ada \"a b\"@c", "Ada <a b@c>"),
            ("a@b Ada", "Ada <a@b>"),
            ("\"Ada\" a@b>", "Ada <a@b>"),
            ("a@b>", "<a@b>"),
            ("a@b c@d", "a@b <c@d>"),
            ("a@b (Ada", "(Ada <a@b>"),
            ("@b", "<@b>"),
            ("Ada @", "<Ada@>"),
            ("Ada @>", "<Ada@>"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn an_address_that_may_be_another_is_told() {
        for (text, expected) in [
            ("a@b c@d", true),
            ("Ada a@b Bob c@d", true),
            ("a@b@c", true),
            ("<a@b c@d>", true),
            ("<a@b> <c@d>", true),
            ("Ada <a@b> c@d", true),
            ("<@a,b@c>", true),
            ("\"a@b c@d", true),
            ("a@b (c@d", true),
            ("g: a@b c@d;", true),
            ("a@b\u{c}c@d", true),
            ("<Ada a@b>", true),
            ("a@b.test\"c\"", true),
            ("Ada <a@b.test\"c\".test>", true),
            ("a@b \"Ada\"", false),
            ("\"a b\"@c", false),
            ("Ada < Lovelace <a@b>", true),
            ("[ ( ] <a@b> ) <c@d>", true),
            ("g: h: a@b;", true),
            ("<<a@b>>", false),
            ("[Ticket 1] <a@b>", false),
            ("<mailto:a@b?c= d>", false),
            ("a@b", false),
            ("Ada a@b Lovelace", false),
            // As programs write it for lists.
            ("a@b via list@d <list@d>", false),
            ("\"a@b\" c@d", false),
            ("a@b (c@d)", false),
            ("\"a@b\"@c", false),
            ("<@a,@b:c@d>", false),
            ("Ada <> a@b", false),
        ] {
            let all: Vec<_> = mailboxes(text.as_bytes()).map(|mailbox| mailbox.is_ambiguous()).collect();
            assert_eq!(all, [expected], "{text}");
        }
    }

    /// RFC 5322 §A.5
    #[test]
    fn comments_stay_with_what_they_are_about() {
        let list = parse(b"A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,(none),\r\n joe@example.org; (the end)");
        let [Entry::Group(group)] = &list[..] else { panic!("{list:?}") };
        assert_eq!(group.comments, ["Some people", "none", "the end"]);
        assert_eq!((&*group.name(), group.members.len()), ("A Group", 2));
        assert_eq!(group.members[0].comments(), ["Chris's host."]);
        let list = parse(b"(Empty list)(start)Hidden recipients :(nobody(that I know)) ;");
        let [Entry::Group(group)] = &list[..] else { panic!("{list:?}") };
        assert_eq!(group.comments, ["Empty list", "start", "nobody(that I know)"]);
        assert_eq!(parse(b"(only a comment)"), []);
    }

    #[test]
    fn unclosed_brackets_take_linear_time() {
        for piece in ["(", "\"", "<", "[", "(a \"b <c [d", "<@a,", "a ", ":", "@:", "<a>", ";"] {
            parse(piece.repeat(100_000).as_bytes());
        }
    }
}
