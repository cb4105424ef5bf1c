//! Transfer encodings: which one a content gets, and writing it into the buffer of the message (RFC 2045 §6).

use memchr::{memchr, memchr2};

use crate::message::Encoding;
use crate::message::fold::{LONGEST, base64_line, escape};

/// RFC 2045 §6.7 (5), §6.8: encoded lines have at most 76 characters.
const LINE: usize = 76;

/// What has to survive of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// The text: LF counts as a line end and is written as CRLF.
    Lines,
    /// Each octet of what is text to people.
    Text,
    /// Each octet.
    Octets,
}

/// The encoding of a content. `last` says that nothing follows it in the message: then a content that is not encoded must
/// end with a line end, for mail that travels does.
pub(super) fn choose(octets: &[u8], care: Care, eight_bit: bool, last: bool) -> Encoding {
    let survey = Survey::of(octets, care == Care::Lines);
    let ended = !last || care == Care::Lines || octets.is_empty() || octets.ends_with(b"\r\n");
    let fits = survey.sound && ended && survey.longest <= LONGEST;
    if fits && survey.high == 0 {
        return Encoding::SevenBit;
    }
    if fits && eight_bit {
        return Encoding::EightBit;
    }
    // An escape takes two octets more, base64 a third of all: they break even at a sixth. That people can half read it is
    // worth a little size.
    if care != Care::Octets && survey.escapes <= octets.len() / 4 {
        return Encoding::QuotedPrintable;
    }
    Encoding::Base64
}

/// What one pass over a content finds.
struct Survey {
    /// Octets beyond ASCII.
    high: usize,
    /// Octets that quoted-printable escapes.
    escapes: usize,
    /// The longest line without its end.
    longest: usize,
    /// No NUL, and no CR or LF that is no line end.
    sound: bool,
}

impl Survey {
    fn of(octets: &[u8], lf_ends_lines: bool) -> Self {
        let mut survey = Self { high: 0, escapes: 0, longest: 0, sound: true };
        let mut rest = octets;
        while !rest.is_empty() {
            let (line, ending, after) = next_line(rest, lf_ends_lines);
            survey.longest = survey.longest.max(line.len());
            for octet in line {
                survey.high += usize::from(*octet >= 0x80);
                survey.escapes += usize::from(!matches!(octet, b' '..=b'<' | b'>'..=b'~' | b'\t'));
                survey.sound &= !matches!(octet, 0 | b'\r' | b'\n');
            }
            rest = after;
            debug_assert!(ending || rest.is_empty());
        }
        survey
    }
}

/// A line, whether it ended, and what follows.
fn next_line(octets: &[u8], lf_ends_lines: bool) -> (&[u8], bool, &[u8]) {
    let mut from = 0;
    while let Some(found) = octets.get(from..).and_then(|rest| memchr(b'\n', rest)) {
        let (line, after) = octets.split_at(from + found);
        let after = after.get(1..).unwrap_or_default(); // the LF
        match line.strip_suffix(b"\r") {
            Some(line) => return (line, true, after),
            None if lf_ends_lines => return (line, true, after),
            None => from += found + 1,
        }
    }
    (octets, false, &[])
}

/// Writes a content in the encoding chosen for it.
pub(super) fn write(octets: &[u8], encoding: &Encoding, care: Care, last: bool, out: &mut Vec<u8>) {
    match encoding {
        // RFC 2045 §6.8: "any line breaks must be converted into CRLF sequences prior to performing base64 encoding".
        Encoding::Base64 if care == Care::Lines && memchr(b'\n', octets).is_some() => {
            let mut canonical = Vec::with_capacity(octets.len() + octets.len() / 16);
            lines(octets, false, &mut canonical);
            base64(&canonical, last, out);
        }
        Encoding::Base64 => base64(octets, last, out),
        Encoding::QuotedPrintable => quoted_printable(octets, care == Care::Lines, last, out),
        _ if care == Care::Lines => lines(octets, last, out),
        _ => out.extend_from_slice(octets),
    }
}

/// With LF as CRLF; where it is the last of the message, with a line end at its end.
fn lines(octets: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut rest = octets;
    while !rest.is_empty() {
        let (line, ending, after) = next_line(rest, true);
        out.extend_from_slice(line);
        if ending || last {
            out.extend_from_slice(b"\r\n");
        }
        rest = after;
    }
}

/// The line end after the last line is left to the boundary that follows.
fn base64(octets: &[u8], last: bool, out: &mut Vec<u8>) {
    out.reserve(octets.len().div_ceil(LINE / 4 * 3) * (LINE + 2));
    for line in octets.chunks(LINE / 4 * 3) {
        base64_line(line, out);
        out.extend_from_slice(b"\r\n");
    }
    if !last && !octets.is_empty() {
        out.truncate(out.len() - 2); // what was written above
    }
}

fn quoted_printable(octets: &[u8], lf_ends_lines: bool, last: bool, out: &mut Vec<u8>) {
    let mut rest = octets;
    while !rest.is_empty() {
        let (line, ending, after) = next_line(rest, lf_ends_lines);
        quoted_printable_line(line, out);
        if !ending && last && !lf_ends_lines {
            out.push(b'='); // a line end that is none
        }
        if ending || last {
            out.extend_from_slice(b"\r\n");
        }
        rest = after;
    }
}

/// RFC 2045 §6.7: rules 1 to 3 for the octets, rule 5 for the length.
fn quoted_printable_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    let mut octets = line.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        let plain = match octet {
            b'!'..=b'<' | b'>'..=b'~' => true,
            // Rule 3: white space at the end of a line is encoded.
            b' ' | b'\t' => octets.peek().is_some(),
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        // The last column is kept for the soft line break, also at the end of the line: `=` may follow there.
        if column + width > LINE - 1 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        column += width;
        if plain { out.push(octet) } else { out.extend_from_slice(&escape(octet)) }
    }
}

/// Whether CR, LF or NUL stands in a value, and where.
pub(super) fn forbidden(value: &str) -> Option<usize> {
    memchr2(b'\r', b'\n', value.as_bytes()).or_else(|| memchr(0, value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::transfer;

    #[test]
    fn the_encoding_follows_the_content() {
        use Encoding::{Base64, EightBit, QuotedPrintable, SevenBit};
        let long = "x".repeat(999);
        let fits = "x".repeat(998);
        for (octets, care, eight_bit, expected) in [
            ("", Care::Octets, false, SevenBit),
            ("Hello.\r\n", Care::Octets, false, SevenBit),
            ("Hello.\n", Care::Lines, false, SevenBit),
            ("Hello.\n", Care::Octets, false, Base64),
            ("Hello.", Care::Text, false, SevenBit),
            ("un café, deux cafés\r\n", Care::Lines, false, QuotedPrintable),
            ("un café, deux cafés\r\n", Care::Lines, true, EightBit),
            ("un café, deux cafés\r\n", Care::Octets, false, Base64),
            ("日本語\r\n", Care::Lines, false, Base64),
            (&long, Care::Lines, false, QuotedPrintable),
            (&long, Care::Lines, true, QuotedPrintable),
            (&fits, Care::Lines, false, SevenBit),
            ("some text with a\0in it", Care::Text, true, QuotedPrintable),
            ("some text with a\rin it", Care::Lines, true, QuotedPrintable),
        ] {
            assert_eq!(choose(octets.as_bytes(), care, eight_bit, false), expected, "{octets:?}");
        }
        assert_eq!(choose(b"Hello.", Care::Text, false, true), QuotedPrintable);
        assert_eq!(choose(b"Hello.", Care::Lines, false, true), SevenBit);
    }

    #[test]
    fn each_encoding_keeps_the_octets() {
        let all: Vec<u8> = (0..=255).collect();
        for octets in [
            &b""[..],
            b"a",
            b"a \r\n \tb\t\r\n",
            b"a\rb\nc\r\r\n",
            "é=".repeat(100).as_bytes(),
            "x".repeat(75).as_bytes(),
            "x".repeat(76).as_bytes(),
            format!("{} \r\n", "x".repeat(74)).as_bytes(),
            &all,
        ] {
            for last in [false, true] {
                let mut out = Vec::new();
                write(octets, &Encoding::QuotedPrintable, Care::Octets, last, &mut out);
                assert!(out.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE + 1));
                assert_eq!(transfer::decode_quoted_printable(&out), octets, "{}", out.escape_ascii());
                let mut out = Vec::new();
                write(octets, &Encoding::Base64, Care::Octets, last, &mut out);
                assert!(out.split(|octet| *octet == b'\n').all(|line| line.len() <= LINE + 1));
                assert_eq!(transfer::decode_base64(&out), octets);
            }
        }
        let mut out = Vec::new();
        write(b"\xff\n", &Encoding::Base64, Care::Lines, false, &mut out);
        assert_eq!(transfer::decode_base64(&out), b"\xff\r\n");
        let mut out = Vec::new();
        write(b"a\nb\r\nc", &Encoding::SevenBit, Care::Lines, true, &mut out);
        assert_eq!(out, b"a\r\nb\r\nc\r\n");
    }
}
