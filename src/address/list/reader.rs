//! The elements of a list one after the other.

use super::element::{Element, Word};
use crate::address::mailbox::Usual;
use crate::base::parse::octets_of;
use crate::text::charset;
use crate::text::params::comment_end;
use crate::text::places::Places;
use crate::text::transfer::Set;

/// What ended an element.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    Comma,
    Semicolon,
    /// A colon: what came before is the name of a group.
    Group,
    Text,
}

#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
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
    pub fn new(text: &'a [u8]) -> Self {
        let utf8 = charset::utf8_text(text).unwrap_or_default();
        Self { text, utf8, at: 0, specials: Places::new(text, &SPECIALS), comments: true, quotes: true }
    }

    /// Reads an element that is `ada@a.test`, `Ada Lovelace <ada@a.test>`, `"Ada" <ada@a.test>` or `<https://a.test/>` without
    /// anything that is obsolete, folded inside, escaped or a comment: most are. Gives up on all others, before the first octet of them.
    #[inline]
    pub fn usual(&mut self, in_group: bool) -> Option<(Usual<'a>, End)> {
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
    pub fn is_comment_behind(&self) -> bool {
        // An empty quoted string is no name.
        let rest = self.text.get(unspaced(self.text, self.at)..);
        matches!(rest, Some([b'(' | b',' | b';', ..] | [b'"', b'"' | b'\r' | b'\n', ..]))
    }

    /// The comments that stand alone behind the comma of a mailbox, to which they belong; and whether the list ends with them.
    pub fn comments_behind(&mut self) -> (Vec<String>, bool) {
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
    pub fn element(&mut self, in_group: bool) -> (Element, End) {
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
