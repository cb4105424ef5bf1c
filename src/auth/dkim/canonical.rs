//! Canonicalization (RFC 6376 §3.4): what of a message may change on the way without breaking its signature.
//!
//! A line that ends with LF alone counts as ended by CRLF: on
//! the wire there is no such line (RFC 5321 §2.3.8), so it comes from a file in the line ends of its system, and RFC 6376
//! §5.3 wants it as it was sent. A bare CR is text.

use std::fmt;

use super::lines::{BodyLines, FIELD, next_odd};
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

    /// Appends the canonical form of what stands in a value behind a place where something was taken out of it. It begins with
    /// no white space.
    pub(super) fn rest(self, raw: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Simple => lines(raw, out),
            Self::Relaxed => relaxed_value(raw, out),
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

    /// As `c=` has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
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
        f.write_str(self.as_str())
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
    relaxed_value(value.get(1..).unwrap_or_default(), out);
    if text.is_some() {
        out.extend_from_slice(b"\r\n");
    }
}

/// The value without the white space around it, and with one space for that in it.
fn relaxed_value(value: &[u8], out: &mut Vec<u8>) {
    let mut from = folding(value).0;
    let mut at = from;
    while at < value.len() {
        let odd = next_odd::<FIELD>(value, at);
        let (run, space) = folding(value.get(odd..).unwrap_or_default());
        at = odd + run;
        if run == 0 {
            // As it should be, and only looked odd; or the end.
            at += 1;
            continue;
        }
        out.extend_from_slice(value.get(from..odd).unwrap_or_default());
        if space && at < value.len() {
            out.push(b' ');
        }
        from = at;
    }
    out.extend_from_slice(value.get(from..).unwrap_or_default());
}

/// How long the white space is that `octets` begin with, line ends counted, and whether there is any but those. A line end
/// within a field is before white space, or the field would have ended.
fn folding(octets: &[u8]) -> (usize, bool) {
    let (mut run, mut space) = (0, false);
    loop {
        match octets.get(run..).unwrap_or_default() {
            [octet, ..] if is_wsp(*octet) => (run, space) = (run + 1, true),
            [b'\r', b'\n', ..] => run += 2,
            [b'\n', ..] => run += 1,
            _ => return (run, space),
        }
    }
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
            (
                "Subject:  a\rb \x01 a word of many letters and\r\n a fold \t\r\n",
                "subject:a\rb \x01 a word of many letters and a fold\r\n",
            ),
        ] {
            assert_eq!(field(Canonicalization::Relaxed, raw), relaxed, "{raw:?}");
        }
        assert_eq!(field(Canonicalization::Simple, "A: b\n\tc\n"), "A: b\r\n\tc\r\n");
    }
}
