//! Transfer encodings: which one a content gets, and writing it into the buffer of the message (RFC 2045 §6).

use memchr::{memchr, memchr_iter, memchr3};

use crate::message::Encoding;
use crate::message::fold::LONGEST;
use crate::text::transfer;

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
    // Most files show in their first octets that they have to be encoded.
    if care == Care::Octets && (!eight_bit && !octets.is_ascii() || memchr(0, octets).is_some()) {
        return Encoding::Base64;
    }
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

/// Whether a content can stand in this encoding.
pub(super) fn allows(encoding: &Encoding, octets: &[u8], care: Care, last: bool) -> bool {
    match encoding {
        Encoding::SevenBit => choose(octets, care, false, last) == Encoding::SevenBit,
        Encoding::EightBit => !choose(octets, care, true, last).is_encoded(),
        _ => encoding.is_encoded(),
    }
}

/// What one look at a content finds.
#[derive(Debug, PartialEq)]
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
        let (mut high, mut escapes, mut nul, mut cr) = (0, 0, 0, 0);
        // Sums in one octet each, for which compilers use vectors; 128 times one fits.
        for block in octets.chunks(128) {
            let mut sums = [0_u8; 4];
            for octet in block {
                sums[0] += u8::from(*octet >= 0x80);
                sums[1] += u8::from((*octet < b' ') & (*octet != b'\t') | (*octet == b'=') | (*octet >= 0x7f));
                sums[2] += u8::from(*octet == 0);
                sums[3] += u8::from(*octet == b'\r');
            }
            let [a, b, c, d] = sums.map(usize::from);
            (high, escapes, nul, cr) = (high + a, escapes + b, nul + c, cr + d);
        }
        let (mut longest, mut start, mut crlf, mut bare_lf) = (0, 0, 0, 0);
        for at in memchr_iter(b'\n', octets) {
            let after_cr = at > 0 && octets.get(at - 1) == Some(&b'\r');
            crlf += usize::from(after_cr);
            if after_cr || lf_ends_lines {
                longest = longest.max(at - start - usize::from(after_cr));
                start = at + 1;
            }
            bare_lf += usize::from(!after_cr);
        }
        let line_ends = crlf * 2 + if lf_ends_lines { bare_lf } else { 0 };
        Self {
            high,
            escapes: escapes - line_ends, // each octet of them was counted
            longest: longest.max(octets.len() - start),
            sound: nul == 0 && cr == crlf && (lf_ends_lines || bare_lf == 0),
        }
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
    transfer::encode_base64_into(octets, out);
    if !last && !octets.is_empty() {
        out.truncate(out.len() - 2); // what was written above
    }
}

fn quoted_printable(octets: &[u8], lf_ends_lines: bool, last: bool, out: &mut Vec<u8>) {
    let mut rest = octets;
    while !rest.is_empty() {
        let (line, ending, after) = next_line(rest, lf_ends_lines);
        transfer::encode_quoted_printable_binary_into(line, out);
        if !ending && last && !lf_ends_lines {
            out.push(b'='); // a line end that is none
        }
        if ending || last {
            out.extend_from_slice(b"\r\n");
        }
        rest = after;
    }
}

/// Whether CR, LF or NUL stands in a value, and where.
pub(super) fn forbidden(value: &str) -> Option<usize> {
    memchr3(b'\r', b'\n', 0, value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::transfer::LINE;

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

    /// Line by line and octet by octet, as the rules are written.
    fn slow_survey(octets: &[u8], lf_ends_lines: bool) -> Survey {
        let mut survey = Survey { high: 0, escapes: 0, longest: 0, sound: true };
        let mut rest = octets;
        while !rest.is_empty() {
            let (line, _, after) = next_line(rest, lf_ends_lines);
            survey.longest = survey.longest.max(line.len());
            for octet in line {
                survey.high += usize::from(*octet >= 0x80);
                survey.escapes += usize::from(!matches!(octet, b' '..=b'<' | b'>'..=b'~' | b'\t'));
                survey.sound &= !matches!(octet, 0 | b'\r' | b'\n');
            }
            rest = after;
        }
        survey
    }

    proptest::proptest! {
        #[test]
        fn the_survey_finds_what_a_slow_one_finds(
            octets in proptest::collection::vec(proptest::sample::select(&b"\r\n\0\t =a~\x7f\x80\xff"[..]), 0..400),
            lf_ends_lines: bool,
        ) {
            assert_eq!(Survey::of(&octets, lf_ends_lines), slow_survey(&octets, lf_ends_lines));
        }
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
