//! Boundary delimiter lines (RFC 2046 §5.1.1), and the multiparts that they end.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr, memmem};

use super::{DefectKind, Kind, NONE, Scan};

/// What a delimiter line begins with; made once, for a search is set up at every delimiter.
static HYPHENS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\n--"));

/// How far text is searched for one before the search for single hyphens begins.
const NEAR: usize = 4096;

/// The boundary of an open multipart.
pub(super) struct Boundary<'a> {
    pub value: Cow<'a, [u8]>,
    pub multipart: u32,
    /// Its last part so far.
    pub last: u32,
    /// Its final boundary has come.
    pub closed: bool,
}

/// A boundary delimiter line.
#[derive(Clone, Copy)]
pub(super) struct Delimiter {
    /// Which of the boundaries.
    boundary: usize,
    /// Where the line end before it begins, which belongs to it (RFC 2046 §5.1.1).
    pub start: usize,
    /// Where the next line begins.
    pub next: usize,
    /// The final one.
    pub is_final: bool,
}

impl<'a> Scan<'a, '_> {
    /// The next delimiter line from `from` on, which is the start of a line, that means something.
    pub(super) fn delimiter(&mut self, from: usize) -> Option<Delimiter> {
        // The line end before the first line is looked at too.
        let mut at = from.saturating_sub(1);
        loop {
            at += hyphens(self.raw.get(at..)?)? + 1;
            if let Some(found) = self.delimiter_at(at) {
                return Some(found);
            }
        }
    }

    /// The delimiter line that begins at `at`, if it is one.
    pub(super) fn delimiter_at(&mut self, at: usize) -> Option<Delimiter> {
        let (n, boundary) = self.boundary_at(at)?;
        let rest = self.raw.get(at + 2 + boundary.value.len()..)?;
        let closed = boundary.closed;
        let len = memchr(b'\n', rest);
        let tail = rest.get(..len.unwrap_or(rest.len()))?;
        let next = len.map_or(self.raw.len(), |len| self.raw.len() - rest.len() + len + 1);
        if closed {
            self.defect(DefectKind::PartAfterEnd, at);
            return None;
        }
        let (is_final, tail) = tail.strip_prefix(b"--").map_or((false, tail), |tail| (true, tail));
        if !tail.trim_ascii().is_empty() {
            self.defect(DefectKind::LooseBoundary, at);
        }
        let before = self.raw.get(..at).unwrap_or_default();
        let line_end = if before.ends_with(b"\r\n") { 2 } else { usize::from(before.ends_with(b"\n")) };
        Some(Delimiter { boundary: n, start: at - line_end, next, is_final })
    }

    /// The boundary that the line at `at`, which begins with two hyphens, goes on with.
    pub(super) fn boundary_at(&self, at: usize) -> Option<(usize, &Boundary<'a>)> {
        let line = self.raw.get(at + 2..)?;
        // RFC 2046 §5.1.2: boundaries of outer multiparts count inside of inner ones. Where several begin the line, the
        // longest is meant; of equal ones the innermost that is still open.
        let mut best: Option<(usize, &Boundary<'a>)> = None;
        for (n, boundary) in self.boundaries.iter().enumerate().rev() {
            let better = best.is_none_or(|(_, best)| {
                let (len, known) = (boundary.value.len(), best.value.len());
                len > known || len == known && best.closed && !boundary.closed
            });
            if better && line.starts_with(&boundary.value) {
                best = Some((n, boundary));
            }
        }
        best
    }

    /// Ends the parts that a delimiter ends.
    pub(super) fn end_to(&mut self, delimiter: Delimiter) {
        let boundary = delimiter.boundary;
        while self.boundaries.len() > boundary + 1 {
            self.drop_boundary(delimiter.start);
        }
        let Some(boundary) = self.boundaries.last_mut() else { return };
        boundary.closed = delimiter.is_final;
        let (multipart, last) = (boundary.multipart, boundary.last);
        self.end(multipart, delimiter.start);
        // It has at least one part, the one that begins now or one that began before.
        if !delimiter.is_final || last != NONE {
            self.part(multipart).kind = Kind::Multipart;
        }
    }

    /// Forgets the innermost boundary, and reports at `at` what it lacked.
    pub(super) fn drop_boundary(&mut self, at: usize) {
        let Some(boundary) = self.boundaries.pop() else { return };
        if boundary.last == NONE {
            let start = self.part(boundary.multipart).start;
            self.defect(DefectKind::NoParts, start as usize);
        } else if !boundary.closed {
            self.defect(DefectKind::MissingFinalBoundary, at);
        }
    }
}

/// Where the first `LF "--"` is.
fn hyphens(octets: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = octets.get(from..)?;
        let near = rest.get(..NEAR).unwrap_or(rest);
        if let Some(at) = HYPHENS.find(near) {
            return Some(from + at);
        }
        if near.len() == rest.len() {
            return None;
        }
        // Base64 has none: what goes on without any is passed over as fast as the memory allows, which a search for more than
        // one octet does not reach. The line end may be the last octet but one of what was searched.
        from += NEAR - 2;
        from += memchr(b'-', octets.get(from..)?)?.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{NEAR, hyphens};

    #[test]
    fn hyphens_are_found_wherever_they_stand() {
        for at in (0..20).chain(NEAR - 20..NEAR + 20).chain(3 * NEAR - 20..3 * NEAR + 20) {
            for before in [b"".as_slice(), b"--", b"-", b"\n-", b"\n"] {
                let octets = [&vec![b'x'; at], before, b"\n--x"].concat();
                assert_eq!(hyphens(&octets), Some(at + before.len()));
                assert_eq!(hyphens(&octets[..at + before.len() + 2]), None, "{before:?} behind {at}");
            }
        }
    }
}
