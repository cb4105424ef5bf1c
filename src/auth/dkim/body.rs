//! The hashes of a body, each computed once however many signatures want it.

use super::Canonicalization;
use super::lines::BodyLines;
use crate::base::crypto::Hash;

/// Which hash of the body: of which form, and of how many octets of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) canonicalization: Canonicalization,
    pub(super) length: Option<u64>,
}

/// A hash of the body, and how long the canonical body was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) hash: [u8; 32],
    /// Of the whole canonical body, whatever part of it was hashed.
    pub(super) length: u64,
}

/// One pass over a body for all hashes that are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyHashes {
    forms: Vec<Form>,
}

#[derive(Clone, Debug)]
struct Form {
    canonicalization: Canonicalization,
    lines: BodyLines,
    length: u64,
    hashes: Vec<(Option<u64>, Hash)>,
}

impl BodyHashes {
    /// Asks for one more hash, before the body comes.
    pub(super) fn want(&mut self, wanted: Wanted) {
        let known = self.forms.iter_mut().find(|form| form.canonicalization == wanted.canonicalization);
        let hash = (wanted.length, Hash::sha256());
        match known {
            Some(form) if form.hashes.iter().any(|(length, _)| *length == wanted.length) => {}
            Some(form) => form.hashes.push(hash),
            None => self.forms.push(Form {
                canonicalization: wanted.canonicalization,
                lines: BodyLines::new(wanted.canonicalization),
                length: 0,
                hashes: vec![hash],
            }),
        }
    }

    pub(super) fn feed(&mut self, octets: &[u8]) {
        for Form { lines, length, hashes, .. } in &mut self.forms {
            lines.feed(octets, &mut |octets| update(length, hashes, octets));
        }
    }

    pub(super) fn finish(self) -> Finished {
        let forms = self.forms.into_iter().flat_map(|Form { canonicalization, mut lines, mut length, mut hashes }| {
            lines.finish(&mut |octets| update(&mut length, &mut hashes, octets));
            hashes.into_iter().map(move |(limit, hash)| {
                (Wanted { canonicalization, length: limit }, Hashed { hash: hash.finish(), length })
            })
        });
        Finished(forms.collect())
    }
}

/// The hashes that were asked for.
pub(super) struct Finished(Vec<(Wanted, Hashed)>);

impl Finished {
    pub(super) fn get(&self, wanted: Wanted) -> Option<&Hashed> {
        self.0.iter().find(|(known, _)| *known == wanted).map(|(_, hashed)| hashed)
    }
}

fn update(length: &mut u64, hashes: &mut [(Option<u64>, Hash)], octets: &[u8]) {
    for (limit, hash) in hashes {
        match limit {
            None => hash.update(octets),
            // RFC 6376 §3.7: "truncated to the length specified in the 'l=' tag".
            Some(limit) => {
                let left = usize::try_from(limit.saturating_sub(*length)).unwrap_or(usize::MAX);
                hash.update(octets.get(..left).unwrap_or(octets));
            }
        }
    }
    *length += octets.len() as u64;
}

/// How many lines at the end of a body are tried: footers of lists are shorter.
const MOST_APPENDED: usize = 200;

/// Where the signed body ends in one to which something was appended: after which octet of it. It is the start of the
/// body with the hash that was signed, so this is no guess.
pub(super) fn appended_at(body: &[u8], canonicalization: Canonicalization, signed: &[u8]) -> Option<usize> {
    let ends: Vec<usize> = memchr::memrchr_iter(b'\n', body).take(MOST_APPENDED).map(|end| end + 1).collect();
    let mut lines = BodyLines::new(canonicalization);
    let mut hash = Hash::sha256();
    let mut from = 0;
    for end in ends.into_iter().rev() {
        let before = from;
        lines.feed(body.get(from..end).unwrap_or_default(), &mut |octets| hash.update(octets));
        from = end;
        let blank = body.get(before..end).is_some_and(|line| line.trim_ascii().is_empty());
        if !blank && hash.clone().finish() == *signed {
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crypto::sha256;

    #[test]
    fn equal_wishes_are_computed_once() {
        let mut hashes = BodyHashes::default();
        let simple = Wanted { canonicalization: Canonicalization::Simple, length: None };
        let five = Wanted { length: Some(5), ..simple };
        let relaxed = Wanted { canonicalization: Canonicalization::Relaxed, length: None };
        for wanted in [simple, five, relaxed, simple, five] {
            hashes.want(wanted);
        }
        assert_eq!(hashes.forms.iter().map(|form| form.hashes.len()).sum::<usize>(), 3);
        for octets in b"a  b\r\n\r\n".chunks(1) {
            hashes.feed(octets);
        }
        let finished = hashes.finish();
        for (wanted, text, length) in [(simple, &b"a  b\r\n"[..], 6), (five, b"a  b\r", 6), (relaxed, b"a b\r\n", 5)] {
            assert_eq!(finished.get(wanted), Some(&Hashed { hash: sha256(text), length }));
        }
    }

    #[test]
    fn the_end_of_the_signed_body_is_found() {
        let signed = sha256(b"a b\r\n\r\nc\r\n");
        let body = b"a  b\r\n\r\nc\r\n\r\n___\r\nThe list\r\n";
        assert_eq!(appended_at(body, Canonicalization::Relaxed, &signed), Some(11));
        assert_eq!(appended_at(body, Canonicalization::Simple, &signed), None);
        assert_eq!(appended_at(b"", Canonicalization::Simple, &signed), None);
    }
}
