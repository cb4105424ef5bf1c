//! Bodies on their way to their canonical form (RFC 6376 §§3.4.3 and 3.4.4), in pieces of any size and in bounded memory.
//!
//! Nearly all of a body is canonical as it stands. So it is searched, 16 octets at a look, for what may not be, and what lies
//! between two such places goes out as it came.

use wide::u8x16;

use super::Canonicalization;
use crate::base::parse::is_wsp;

/// What is looked for: a line end without CR.
pub(super) const SIMPLE: u8 = 0;
/// That, and white space that is not one space within a line.
pub(super) const RELAXED: u8 = 1;
/// White space that is not one space within a line, and all line ends.
pub(super) const FIELD: u8 = 2;

/// Slices shorter than this are gathered before they go out: to hash costs more a call than to copy.
const SHORT: usize = 512;
/// How much is gathered.
const GATHERED: usize = 4096;

/// A body on its way to its canonical form.
#[derive(Clone, Debug)]
pub(super) struct BodyLines {
    relaxed: bool,
    /// White space held back: it counts only where text follows on the line (relaxed).
    space: bool,
    /// A CR held back, behind the white space: it may be half a line end.
    cr: bool,
    out: Out,
}

/// What goes out: line ends behind the last text are held back, and short slices gathered.
#[derive(Clone, Debug)]
struct Out {
    /// Empty lines held back: they count only where something follows.
    blank: u64,
    /// The line has text that was given out.
    text: bool,
    /// Nothing was given out yet.
    empty: bool,
    gathered: Vec<u8>,
}

impl BodyLines {
    pub(super) fn new(canonicalization: Canonicalization) -> Self {
        let out = Out { blank: 0, text: false, empty: true, gathered: Vec::new() };
        Self { relaxed: canonicalization == Canonicalization::Relaxed, space: false, cr: false, out }
    }

    /// The next octets of the body; `sink` gets what is certain of the canonical form.
    pub(super) fn feed(&mut self, octets: &[u8], sink: &mut impl FnMut(&[u8])) {
        if let Some(rest) = self.begin(octets, sink) {
            let end = self.hold_back(rest);
            let piece = rest.get(..end).unwrap_or_default();
            if self.relaxed { self.piece::<RELAXED>(piece, sink) } else { self.piece::<SIMPLE>(piece, sink) }
        }
        self.out.flush(sink);
    }

    /// The end of the body. RFC 6376 §§3.4.3 and 3.4.4: empty lines at the end do not count, a last line without a line
    /// end gets one; of an empty body the simple form is one line end and the relaxed one nothing.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.cr) {
            if std::mem::take(&mut self.space) {
                self.out.give(b" ", sink);
            }
            self.out.give(b"\r", sink);
        }
        if self.out.text || (!self.relaxed && self.out.empty) {
            self.out.text = true;
            self.out.give(b"\r\n", sink);
        }
        self.out.flush(sink);
    }

    /// Gives out what was held back, as far as `octets` settle it: what is left of them, or `None` where they do not.
    fn begin<'a>(&mut self, octets: &'a [u8], sink: &mut impl FnMut(&[u8])) -> Option<&'a [u8]> {
        let mut rest = octets;
        rest.first()?;
        if std::mem::take(&mut self.cr) {
            if let Some(after) = rest.strip_prefix(b"\n") {
                self.space = false;
                self.out.give(b"\r\n", sink);
                return Some(after);
            }
            if std::mem::take(&mut self.space) {
                self.out.give(b" ", sink);
            }
            self.out.give(b"\r", sink);
        }
        if self.space {
            rest = past_white_space(rest);
            match rest {
                [] | [b'\r'] => {
                    self.cr = !rest.is_empty();
                    return None;
                }
                [b'\n', ..] | [b'\r', b'\n', ..] => {}
                _ => self.out.give(b" ", sink),
            }
            self.space = false;
        }
        Some(rest)
    }

    /// Where the end of `octets` begins that the next piece decides about.
    fn hold_back(&mut self, octets: &[u8]) -> usize {
        let mut kept = octets;
        if let Some(before) = kept.strip_suffix(b"\r") {
            (self.cr, kept) = (true, before);
        }
        if self.relaxed && kept.last().is_some_and(|octet| is_wsp(*octet)) {
            self.space = true;
            kept =
                kept.get(..kept.iter().rposition(|octet| !is_wsp(*octet)).map_or(0, |last| last + 1)).unwrap_or(kept);
        }
        kept.len()
    }

    /// Octets of which the last is neither CR nor, relaxed, white space.
    fn piece<const FORM: u8>(&mut self, octets: &[u8], sink: &mut impl FnMut(&[u8])) {
        // What begins at `from` has not gone out, and is canonical up to `at`.
        let (mut from, mut at) = (0, 0);
        while at < octets.len() {
            // Nothing that went out before is a CR.
            if at == from && octets.get(at) == Some(&b'\n') {
                self.out.give(b"\r\n", sink);
                (from, at) = (at + 1, at + 1);
                continue;
            }
            at = next_odd::<FORM>(octets, at);
            let rest = octets.get(at..).unwrap_or_default();
            let certain = octets.get(from..at).unwrap_or_default();
            match rest {
                [b' ' | b'\t', ..] if FORM == RELAXED => {
                    let after = past_white_space(rest);
                    self.out.give(certain, sink);
                    if !matches!(after, [b'\n', ..] | [b'\r', b'\n', ..]) {
                        self.out.give(b" ", sink);
                    }
                    at = octets.len() - after.len();
                    from = at;
                }
                // The line end is given at the start of the loop.
                [octet, b'\n', ..] if *octet != b'\r' => {
                    at += 1;
                    self.out.give(octets.get(from..at).unwrap_or_default(), sink);
                    from = at;
                }
                // As it should be, and only looked odd; or the end.
                [_, ..] => at += 1,
                [] => {}
            }
        }
        self.out.give(octets.get(from..).unwrap_or_default(), sink);
    }
}

impl Out {
    /// `octets` are canonical, but may have line ends at their end that do not count.
    fn give(&mut self, octets: &[u8], sink: &mut impl FnMut(&[u8])) {
        let mut text = octets;
        let mut ends = 0;
        while let Some(before) = text.strip_suffix(b"\r\n") {
            (text, ends) = (before, ends + 1);
        }
        if text.is_empty() {
            if ends > 0 && std::mem::take(&mut self.text) {
                self.put(b"\r\n", sink);
                ends -= 1;
            }
            self.blank += ends;
            return;
        }
        while self.blank > 0 {
            self.put(b"\r\n", sink);
            self.blank -= 1;
        }
        // The end of the last line of text counts.
        let counted = text.len() + if ends > 0 { 2 } else { 0 };
        self.put(octets.get(..counted).unwrap_or(octets), sink);
        self.text = ends == 0;
        self.blank = ends.saturating_sub(1);
    }

    fn put(&mut self, octets: &[u8], sink: &mut impl FnMut(&[u8])) {
        self.empty = false;
        if octets.len() >= SHORT {
            self.flush(sink);
            return sink(octets);
        }
        if self.gathered.len() + octets.len() > GATHERED {
            self.flush(sink);
        }
        self.gathered.extend_from_slice(octets);
    }

    fn flush(&mut self, sink: &mut impl FnMut(&[u8])) {
        if !self.gathered.is_empty() {
            sink(&self.gathered);
            self.gathered.clear();
        }
    }
}

/// The next octet that may have to change, from `at` on, or the end. Some that need not change are among them.
///
/// Of a body these are a line end without CR, given by the octet before it; in its relaxed form a tab too, and a space before
/// more white space or a line end. Of a relaxed field they are line ends, tabs, and spaces before any of these or a space.
#[inline]
pub(super) fn next_odd<const FORM: u8>(octets: &[u8], mut at: usize) -> usize {
    while let Some(block) = octets.get(at..).and_then(|rest| rest.first_chunk::<17>()) {
        let [this @ .., _] = block;
        let [_, next @ ..] = block;
        let odd = odd::<FORM>(u8x16::new(*this), u8x16::new(*next)).move_mask();
        if odd != 0 {
            return at + odd.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = octets.get(at..).unwrap_or_default();
    // Behind the last octet is the end, which is as white space.
    let odd = rest.iter().zip(rest.iter().skip(1).chain([&0])).position(|(this, next)| {
        let lone = (*next == b'\n') != (*this == b'\r');
        let space = *this == b' ' && *next <= b' ';
        match FORM {
            SIMPLE => lone,
            RELAXED => lone || *this == b'\t' || space,
            _ => *this < b' ' || space,
        }
    });
    odd.map_or(octets.len(), |odd| at + odd)
}

/// Which octets are odd, by the octets behind them.
#[inline]
fn odd<const FORM: u8>(this: u8x16, next: u8x16) -> u8x16 {
    let is = |octets: u8x16, octet| octets.cmp_eq(u8x16::splat(octet));
    let at_most = |octets: u8x16, octet| octets.min(u8x16::splat(octet)).cmp_eq(octets);
    let lone = is(next, b'\n') ^ is(this, b'\r');
    let space = is(this, b' ') & at_most(next, b' ');
    match FORM {
        SIMPLE => lone,
        RELAXED => lone | is(this, b'\t') | space,
        _ => at_most(this, b' ' - 1) | space,
    }
}

fn past_white_space(octets: &[u8]) -> &[u8] {
    let run = octets.iter().take_while(|octet| is_wsp(**octet)).count();
    octets.get(run..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octet by octet, and with all of it at hand: RFC 6376 §§3.4.3 and 3.4.4 as they read.
    fn by_the_book(canonicalization: Canonicalization, body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in body.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\n").map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
            let mut out = Vec::new();
            for octet in text {
                match octet {
                    b' ' | b'\t' if canonicalization == Canonicalization::Relaxed => {
                        if out.last() != Some(&b' ') {
                            out.push(b' ');
                        }
                    }
                    octet => out.push(*octet),
                }
            }
            if canonicalization == Canonicalization::Relaxed && out.last() == Some(&b' ') {
                out.pop();
            }
            lines.push(out);
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        if lines.is_empty() && canonicalization == Canonicalization::Simple {
            return b"\r\n".to_vec();
        }
        lines.into_iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect()
    }

    /// Long and short lines out of the few octets that matter, cut anywhere.
    #[test]
    fn bodies_come_out_by_the_book_however_cut() {
        let mut seed = 7_u64;
        let mut below = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % limit
        };
        const PIECES: [&[u8]; 12] = [
            b"a",
            b" ",
            b"  ",
            b"\t",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
            b"word",
            b"a line of more than 16",
            b" \r\n",
            b"\x01",
        ];
        for _ in 0..3000 {
            let few = 1 + below(12);
            let body: Vec<u8> = (0..below(30)).flat_map(|_| PIECES[below(few)]).copied().collect();
            for canonicalization in [Canonicalization::Simple, Canonicalization::Relaxed] {
                let expected = by_the_book(canonicalization, &body);
                assert_eq!(canonicalization.body(&body), expected, "{canonicalization} {}", body.escape_ascii());
                let mut out = Vec::new();
                let mut lines = BodyLines::new(canonicalization);
                let mut rest = &body[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(1 + below(rest.len().min(20)));
                    lines.feed(piece, &mut |octets| out.extend_from_slice(octets));
                    rest = after;
                }
                lines.finish(&mut |octets| out.extend_from_slice(octets));
                assert_eq!(out, expected, "{canonicalization} {}, cut", body.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_gathered_keeps_its_order_and_its_bounds() {
        let mut body = Vec::new();
        for n in 0..400 {
            body.extend_from_slice(&b"x ".repeat(n));
            body.extend_from_slice(b" y\tz  \r\n\r\n");
        }
        let mut lines = BodyLines::new(Canonicalization::Relaxed);
        let (mut out, mut largest) = (Vec::new(), 0);
        for octets in body.chunks(100_000) {
            lines.feed(octets, &mut |octets| out.extend_from_slice(octets));
            largest = largest.max(lines.out.gathered.capacity());
        }
        lines.finish(&mut |octets| out.extend_from_slice(octets));
        assert_eq!(out, by_the_book(Canonicalization::Relaxed, &body));
        assert!(largest <= 2 * GATHERED);
    }
}
