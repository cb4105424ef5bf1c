//! Transfer encodings: which one a content gets, and writing it into the buffer of the message (RFC 2045 §6).

use memchr::{memchr, memchr2, memchr3, memchr3_iter, memrchr};

use crate::message::Encoding;
use crate::message::fold::LONGEST;
use crate::text::transfer::{self, LineEnds};

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
    let ascii = octets.is_ascii();
    let ended = !last || care == Care::Lines || octets.is_empty() || octets.ends_with(b"\r\n");
    if (ascii || eight_bit) && ended && is_sound(octets, care == Care::Lines) && lines_fit(octets) {
        return if ascii { Encoding::SevenBit } else { Encoding::EightBit };
    }
    // An escape takes two octets more, base64 a third of all: they break even at a sixth. That people can half read it is
    // worth a little size.
    if care != Care::Octets && transfer::escapes(octets) <= octets.len() / 4 {
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

/// Whether there is no NUL, and no CR or LF that is no line end.
fn is_sound(octets: &[u8], lf_ends_lines: bool) -> bool {
    // Most text has LF alone.
    if lf_ends_lines && memchr2(0, b'\r', octets).is_none() {
        return true;
    }
    memchr3_iter(0, b'\r', b'\n', octets).all(|at| match octets.get(at) {
        Some(b'\r') => octets.get(at + 1) == Some(&b'\n'),
        Some(b'\n') => lf_ends_lines || at > 0 && octets.get(at - 1) == Some(&b'\r'),
        _ => false,
    })
}

/// Whether each line, without its end, has room on a line of a message. Only sound content is asked.
fn lines_fit(octets: &[u8]) -> bool {
    let mut rest = octets;
    // The longest line that may be, and its CRLF.
    while let Some(longest) = rest.get(..LONGEST + 2) {
        let Some(end) = memrchr(b'\n', longest) else { return false };
        let bare = end == LONGEST + 1 && longest.get(LONGEST) != Some(&b'\r');
        // Of the line ends here the last is enough, unless it ends a line that is one too long.
        if bare && memrchr(b'\n', longest.get(..end).unwrap_or_default()).is_none() {
            return false;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    rest.len() <= LONGEST || memchr(b'\n', rest).is_some()
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
    let ends = if lf_ends_lines { LineEnds::CrlfAndLf } else { LineEnds::Crlf };
    let ended = transfer::encode_quoted_printable_lines(octets, ends, out);
    if last && !ended && !octets.is_empty() {
        // A line end that is none, where each octet counts.
        out.extend_from_slice(if lf_ends_lines { b"\r\n" } else { b"=\r\n" });
    }
}

/// Whether CR, LF or NUL stands in a value, and where.
pub(super) fn forbidden(value: &str) -> Option<usize> {
    let octets = value.as_bytes();
    if is_above_cr(octets) { None } else { memchr3(b'\r', b'\n', 0, octets) }
}

/// Whether all octets are above CR, as those of nearly all values are: eight are looked at at once, those at the end with
/// some before them.
fn is_above_cr(octets: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The highest bit is set where an octet is at most CR, or by what is borrowed from one that is.
    let low = |octets: &[u8; 8]| {
        let octets = u64::from_ne_bytes(*octets);
        octets.wrapping_sub(ONES * u64::from(b'\r' + 1)) & !octets & (ONES << 7)
    };
    match octets.last_chunk() {
        Some(last) => octets.as_chunks().0.iter().fold(low(last), |any, block| any | low(block)) == 0,
        None => octets.iter().all(|octet| *octet > b'\r'),
    }
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

    proptest::proptest! {
        /// Line by line and octet by octet, as the rules are written.
        #[test]
        fn the_looks_find_what_slow_ones_find(
            pieces in proptest::collection::vec(
                (proptest::sample::select(&b"\r\n\0\t =a~\x7f\x80\xff"[..]), proptest::sample::select(&[1_usize, 2, 500, 997, 998][..])),
                0..12,
            ),
            lf_ends_lines: bool,
        ) {
            let octets: Vec<u8> = pieces.iter().flat_map(|(octet, times)| std::iter::repeat_n(*octet, *times)).collect();
            let (mut sound, mut fit, mut escaped, mut rest) = (true, true, 0, &octets[..]);
            while !rest.is_empty() {
                let (line, _, after) = next_line(rest, lf_ends_lines);
                fit &= line.len() <= LONGEST;
                sound &= !line.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n'));
                escaped += line.iter().filter(|octet| !matches!(octet, b' '..=b'<' | b'>'..=b'~' | b'\t' | b'\r' | b'\n')).count();
                rest = after;
            }
            assert_eq!(is_sound(&octets, lf_ends_lines), sound);
            assert_eq!(transfer::escapes(&octets), escaped);
            if sound {
                assert_eq!(lines_fit(&octets), fit);
            }
        }
    }

    #[test]
    fn what_ends_a_value_is_found_wherever_it_stands() {
        for len in 0..40 {
            assert_eq!(forbidden(&"\t\u{e}é".repeat(len)), None);
            for at in 0..len {
                for octet in ['\r', '\n', '\0'] {
                    let mut value = "a".repeat(len);
                    value.insert(at, octet);
                    assert_eq!(forbidden(&value), Some(at));
                }
            }
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
