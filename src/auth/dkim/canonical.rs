//! Canonicalization (RFC 6376 §3.4): what of a message may change on the way without breaking its signature.
//!
//! Bodies go through in pieces of any size and in bounded memory. A line that ends with LF alone counts as ended by CRLF: on
//! the wire there is no such line (RFC 5321 §2.3.8), so it comes from a file in the line ends of its system, and RFC 6376
//! §5.3 wants it as it was sent. A bare CR is text.

use std::fmt;

use crate::base::parse::is_wsp;

/// How much may change (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Canonicalization {
    /// Nothing but empty lines at the end of the body.
    #[default]
    Simple,
    /// White space too, and the case of the names of fields.
    Relaxed,
}

impl Canonicalization {
    /// Appends the canonical form of a header field: all of it, from its name to its line end.
    pub fn field(self, raw: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Simple => lines(raw, out),
            Self::Relaxed => relaxed(raw, out),
        }
    }

    /// The canonical form of a whole body.
    ///
    /// ```
    /// use facteur::auth::dkim::Canonicalization;
    ///
    /// // RFC 6376 §3.4.5
    /// assert_eq!(Canonicalization::Relaxed.body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
    /// ```
    pub fn body(self, octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len());
        let mut lines = BodyLines::new(self);
        lines.feed(octets, &mut |octets| out.extend_from_slice(octets));
        lines.finish(&mut |octets| out.extend_from_slice(octets));
        out
    }

    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"simple" => Some(Self::Simple),
            b"relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        })
    }
}

/// RFC 6376 §3.4.1, with each line ended by CRLF.
fn lines(raw: &[u8], out: &mut Vec<u8>) {
    for line in raw.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
}

/// RFC 6376 §3.4.2. A field that ends without a line end, as a signature does that is just being made, keeps none.
fn relaxed(raw: &[u8], out: &mut Vec<u8>) {
    let text = raw.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
    let (name, value) = match memchr::memchr(b':', text.unwrap_or(raw)) {
        Some(colon) => text.unwrap_or(raw).split_at(colon),
        None => (text.unwrap_or(raw), &b""[..]),
    };
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let value = value.get(1..).unwrap_or_default();
    let start = out.len();
    let mut space = false;
    let mut at = 0;
    while let Some(octet) = value.get(at) {
        match octet {
            // Unfolding: a line end within a field is before white space, or the field would have ended.
            b'\r' if value.get(at + 1) == Some(&b'\n') => {}
            b'\n' => {}
            octet if is_wsp(*octet) => space = true,
            octet => {
                if space && out.len() > start {
                    out.push(b' ');
                }
                space = false;
                out.push(*octet);
            }
        }
        at += 1;
    }
    if text.is_some() {
        out.extend_from_slice(b"\r\n");
    }
}

/// A body on its way to its canonical form.
#[derive(Clone, Debug)]
pub(super) struct BodyLines {
    canonicalization: Canonicalization,
    /// Line ends held back: of empty lines, which count only where something follows.
    blank: u64,
    /// The line has text that was given out.
    text: bool,
    /// White space held back: it counts only where text follows (relaxed).
    space: bool,
    /// A CR held back: it may be half a line end.
    cr: bool,
    /// Nothing was given out yet.
    empty: bool,
    /// What the slow way gives out, collected.
    out: Vec<u8>,
}

impl BodyLines {
    pub(super) fn new(canonicalization: Canonicalization) -> Self {
        Self { canonicalization, blank: 0, text: false, space: false, cr: false, empty: true, out: Vec::new() }
    }

    /// The next octets of the body; `sink` gets what is certain of the canonical form.
    pub(super) fn feed(&mut self, octets: &[u8], sink: &mut impl FnMut(&[u8])) {
        let mut rest = octets;
        loop {
            if !(self.text || self.space || self.cr) {
                rest = self.whole_lines(rest, sink);
            }
            if rest.is_empty() {
                return;
            }
            let (line, after) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
            for octet in line {
                self.step(*octet, sink);
            }
            self.flush(sink);
            rest = after;
        }
    }

    /// The end of the body. RFC 6376 §§3.4.3 and 3.4.4: empty lines at the end do not count, a last line without a line
    /// end gets one; of an empty body the simple form is one line end and the relaxed one nothing.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.cr) {
            self.push(b'\r', sink);
        }
        if std::mem::take(&mut self.text) || (self.canonicalization == Canonicalization::Simple && self.empty) {
            self.out.extend_from_slice(b"\r\n");
        }
        self.flush(sink);
    }

    /// Lines that are canonical as they stand are given out in one piece. Stops before the first other line.
    fn whole_lines<'a>(&mut self, octets: &'a [u8], sink: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let (mut certain, mut at, mut blank) = (0, 0, 0);
        while let Some(length) = memchr::memchr(b'\n', octets.get(at..).unwrap_or_default()) {
            let Some(line) = octets.get(at..at + length).and_then(|line| line.strip_suffix(b"\r")) else { break };
            if line.is_empty() {
                blank += 1;
            } else if self.canonicalization == Canonicalization::Relaxed && !is_relaxed(line) {
                break;
            } else {
                if certain == 0 {
                    self.blank_lines(sink);
                }
                certain = at + length + 1;
                blank = 0;
            }
            at += length + 1;
        }
        if certain > 0 {
            self.empty = false;
            sink(octets.get(..certain).unwrap_or_default());
        }
        self.blank += blank;
        octets.get(at..).unwrap_or_default()
    }

    fn step(&mut self, octet: u8, sink: &mut impl FnMut(&[u8])) {
        match octet {
            b'\n' => {
                (self.cr, self.space) = (false, false);
                if std::mem::take(&mut self.text) {
                    self.out.extend_from_slice(b"\r\n");
                } else {
                    self.blank += 1;
                }
            }
            octet => {
                if std::mem::take(&mut self.cr) {
                    self.push(b'\r', sink);
                }
                match octet {
                    b'\r' => self.cr = true,
                    octet if is_wsp(octet) && self.canonicalization == Canonicalization::Relaxed => self.space = true,
                    octet => self.push(octet, sink),
                }
            }
        }
    }

    fn push(&mut self, octet: u8, sink: &mut impl FnMut(&[u8])) {
        if self.blank > 0 {
            self.flush(sink);
            self.blank_lines(sink);
        }
        if std::mem::take(&mut self.space) {
            self.out.push(b' ');
        }
        self.out.push(octet);
        self.text = true;
        // A line may be as long as the body.
        if self.out.len() >= 4096 {
            self.flush(sink);
        }
    }

    fn blank_lines(&mut self, sink: &mut impl FnMut(&[u8])) {
        const LINES: [u8; 128] = {
            let mut lines = [b'\n'; 128];
            let mut at = 0;
            while at < lines.len() {
                lines[at] = b'\r'; // at is below the length
                at += 2;
            }
            lines
        };
        while self.blank > 0 {
            let count = self.blank.min(64);
            sink(LINES.get(..count as usize * 2).unwrap_or_default());
            self.blank -= count;
            self.empty = false;
        }
    }

    fn flush(&mut self, sink: &mut impl FnMut(&[u8])) {
        if !self.out.is_empty() {
            self.empty = false;
            sink(&self.out);
            self.out.clear();
        }
    }
}

/// Whether a line without its end is its own relaxed form: no tabs, no two spaces together, none at the end.
fn is_relaxed(line: &[u8]) -> bool {
    if line.last().is_some_and(|octet| is_wsp(*octet)) {
        return false;
    }
    let next = line.get(1..).unwrap_or_default();
    // Without a branch, so that it is done many octets at a time. The last octet is no white space.
    let odd = line.iter().zip(next).fold(0, |odd, (octet, next)| {
        odd | u8::from(*octet == b'\t') | (u8::from(*octet == b' ') & u8::from(is_wsp(*next)))
    });
    odd == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(canonicalization: Canonicalization, pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut lines = BodyLines::new(canonicalization);
        for piece in pieces {
            lines.feed(piece, &mut |octets| out.extend_from_slice(octets));
        }
        lines.finish(&mut |octets| out.extend_from_slice(octets));
        out
    }

    fn field(canonicalization: Canonicalization, raw: &str) -> String {
        let mut out = Vec::new();
        canonicalization.field(raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// RFC 6376 §3.4.5, its examples.
    #[test]
    fn examples_of_the_rfc() {
        use Canonicalization::{Relaxed, Simple};
        assert_eq!(field(Relaxed, "A: X\r\n") + &field(Relaxed, "B : Y\t\r\n\tZ  \r\n"), "a:X\r\nb:Y Z\r\n");
        assert_eq!(field(Simple, "B : Y\t\r\n\tZ  \r\n"), "B : Y\t\r\n\tZ  \r\n");
        let text = b" C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(body(Relaxed, &[text]), b" C\r\nD E\r\n");
        assert_eq!(body(Simple, &[text]), b" C \r\nD \t E\r\n");
    }

    #[test]
    fn bodies_end_as_the_rfc_says() {
        for (text, simple, relaxed) in [
            (&b""[..], &b"\r\n"[..], &b""[..]),
            (b"\r\n", b"\r\n", b""),
            (b"\r\n\r\n\r\n", b"\r\n", b""),
            (b" \t\r\n", b" \t\r\n", b""),
            (b" ", b" \r\n", b""),
            (b"a", b"a\r\n", b"a\r\n"),
            (b"a \t", b"a \t\r\n", b"a\r\n"),
            (b"a\r", b"a\r\r\n", b"a\r\r\n"),
            (b"a \r\n \r\n\r\n", b"a \r\n \r\n", b"a\r\n"),
            (b"\r\n\r\na\r\n \r\nb\r\n\r\n", b"\r\n\r\na\r\n \r\nb\r\n", b"\r\n\r\na\r\n\r\nb\r\n"),
            (b"a\nb  c\n\n", b"a\r\nb  c\r\n", b"a\r\nb c\r\n"),
            (b"a \rb\r\n", b"a \rb\r\n", b"a \rb\r\n"),
            (b"a\r\r\n", b"a\r\r\n", b"a\r\r\n"),
        ] {
            for (canonicalization, expected) in
                [(Canonicalization::Simple, simple), (Canonicalization::Relaxed, relaxed)]
            {
                assert_eq!(body(canonicalization, &[text]), expected, "{canonicalization} {text:?}");
                for cut in 0..text.len() {
                    let (one, two) = text.split_at(cut);
                    assert_eq!(body(canonicalization, &[one, two]), expected, "{canonicalization} {text:?} at {cut}");
                }
                let octets: Vec<_> = text.chunks(1).collect();
                assert_eq!(body(canonicalization, &octets), expected, "{canonicalization} {text:?} octet by octet");
            }
        }
    }

    #[test]
    fn fields_lose_white_space_and_case() {
        for (raw, relaxed) in [
            ("Subject:x\r\n", "subject:x\r\n"),
            ("SUBJECT \t: \t a  b\t\r\n", "subject:a b\r\n"),
            ("Subject:\r\n  a\r\n\tb:c\r\n", "subject:a b:c\r\n"),
            ("Subject:\r\n", "subject:\r\n"),
            ("Subject:   \n", "subject:\r\n"),
            ("Subject: no end", "subject:no end"),
        ] {
            assert_eq!(field(Canonicalization::Relaxed, raw), relaxed, "{raw:?}");
        }
        assert_eq!(field(Canonicalization::Simple, "A: b\n\tc\n"), "A: b\r\n\tc\r\n");
    }
}
