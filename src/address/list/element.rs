//! One element of a list, a mailbox or the name of a group, out of its words.

use std::ops::Range;

use crate::address::mailbox::Odd;
use crate::text::{charset, words};

/// A word of a phrase or of an address.
pub(super) struct Word {
    pub octets: Vec<u8>,
    pub quoted: bool,
    /// White space or a comment stood before it.
    pub spaced: bool,
}

/// What stands between two commas, in pieces.
#[derive(Default)]
pub(super) struct Element {
    pub words: Vec<Word>,
    /// The words inside of angle brackets.
    pub angle: Option<Vec<Word>>,
    /// How many words stand before those.
    pub before: usize,
    pub comments: Vec<Vec<u8>>,
    /// Its signs stand where no reader expects them, so that readers differ in which address is meant.
    pub loose: bool,
}

impl Element {
    /// The words joined, with one space where white space stood.
    pub fn phrase(&self) -> Vec<u8> {
        phrase(self.words.iter())
    }

    pub fn comments(&self) -> Vec<String> {
        self.comments.iter().map(|comment| words::decode(comment)).collect()
    }

    /// The mailbox; where there is none, the comments.
    pub fn mailbox(self) -> Result<Box<Odd>, Vec<String>> {
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
    pub fn is(&self, special: u8) -> bool {
        !self.quoted && self.octets == [special]
    }

    /// Whether this word and the next are one, inside of an address without brackets. RFC 5322 §4.4 has white space around
    /// dots only.
    pub fn goes_on(&self, next: &Self) -> bool {
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
