//! Reading quoted-printable (RFC 2045 §6.7) without vectors, what calls them, and the doors to the writer in `escape`.

use memchr::memchr2;

use super::escape::{LineEnds, encode_quoted_printable_lines};
use super::vectors;

/// The most white space, in octets, that is taken away at the end of a line of quoted-printable: as much as fits into a
/// line of mail (RFC 5322 §2.1.1). More than that is text, so that a decoder need not keep more.
pub const LONGEST_BLANK: usize = 998;

/// Reads quoted-printable.
///
/// ```
/// use facteur::text::transfer;
///
/// let body = b"Now's the time =\r\nfor all folk to come=20\r\n";
/// assert_eq!(transfer::decode_quoted_printable(body), b"Now's the time for all folk to come \r\n");
/// ```
pub fn decode_quoted_printable(encoded: &[u8]) -> Vec<u8> {
    // What the vectors want on top.
    let mut octets = Vec::with_capacity(encoded.len() + 64);
    read_quoted_printable(encoded, End::Last, &mut octets);
    octets
}

/// Reads quoted-printable in pieces, cut anywhere. It keeps at most [`LONGEST_BLANK`] octets and one, and writes at most as
/// much as it is fed and has kept.
///
/// ```
/// use facteur::text::transfer::QuotedPrintableDecoder;
///
/// let mut decoder = QuotedPrintableDecoder::default();
/// let mut octets = Vec::new();
/// for piece in ["caf=", "C3=A", "9 ", " \r\n"] {
///     decoder.feed(piece.as_bytes(), &mut octets);
/// }
/// decoder.finish(&mut octets);
/// assert_eq!(octets, "café\r\n".as_bytes());
/// ```
#[derive(Clone, Debug, Default)]
pub struct QuotedPrintableDecoder {
    /// What cannot be decided without what follows: a `=` with a digit or with white space behind it, or white space.
    held: Vec<u8>,
    /// Within white space that was too long to be kept.
    in_long_blank: bool,
}

impl QuotedPrintableDecoder {
    /// Reads the next piece, and appends to `octets` what is certain with it.
    pub fn feed(&mut self, encoded: &[u8], octets: &mut Vec<u8>) {
        let mut rest = encoded;
        while !rest.is_empty() {
            if self.in_long_blank {
                let blank = rest.iter().take_while(|octet| is_blank(**octet)).count();
                let (blank, after) = rest.split_at(blank);
                octets.extend_from_slice(blank);
                self.in_long_blank = after.is_empty();
                rest = after;
            } else if self.held.is_empty() {
                let read = read_quoted_printable(rest, End::MoreFollows, octets);
                let (_, undecided) = rest.split_at(read);
                self.hold(undecided, octets);
                return;
            } else {
                // With the white space that follows and what an escape can have, it is decided.
                let kept = self.held.len();
                let blank = rest.iter().take(LONGEST_BLANK + 1).take_while(|octet| is_blank(**octet)).count();
                self.held.extend_from_slice(rest.get(..blank + 2).unwrap_or(rest));
                let joined = std::mem::take(&mut self.held);
                let read = decode_plain(&joined, kept, End::MoreFollows, octets);
                if read >= kept {
                    (_, rest) = rest.split_at(read - kept);
                } else {
                    (_, rest) = rest.split_at(joined.len() - kept);
                    self.hold(joined.get(read..).unwrap_or_default(), octets);
                }
            }
        }
    }

    /// Keeps what is undecided, if it is not too long.
    fn hold(&mut self, undecided: &[u8], octets: &mut Vec<u8>) {
        let blank = undecided.strip_prefix(b"=").unwrap_or(undecided);
        self.in_long_blank = blank.len() > LONGEST_BLANK;
        if self.in_long_blank { &mut *octets } else { &mut self.held }.extend_from_slice(undecided);
    }

    /// Ends the text, as the end of a line would.
    pub fn finish(self, octets: &mut Vec<u8>) {
        decode_plain(&self.held, self.held.len(), End::Last, octets);
    }
}

/// What comes after a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Last,
    MoreFollows,
}

/// How much is read without vectors before they are tried again.
const PLAIN: usize = 256;

/// Says how much was read: all of it, where nothing follows.
fn read_quoted_printable(encoded: &[u8], end: End, octets: &mut Vec<u8>) -> usize {
    let mut read = 0;
    while let Some(rest) = encoded.get(read..).filter(|rest| !rest.is_empty()) {
        read += vectors::decode_quoted_printable(rest, octets);
        let plain = decode_plain(encoded.get(read..).unwrap_or_default(), PLAIN, end, octets);
        read += plain;
        if plain < PLAIN {
            break;
        }
    }
    read
}

/// White space in a line. That includes CR: what ends a line is LF.
fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\x0c')
}

/// Reads at least `enough` octets, as long as it can be decided what they are. Says how many.
fn decode_plain(encoded: &[u8], enough: usize, end: End, octets: &mut Vec<u8>) -> usize {
    let mut read = 0;
    while read < enough
        && let Some(rest) = encoded.get(read..).filter(|rest| !rest.is_empty())
    {
        let Some(at) = memchr2(b'=', b'\n', rest) else {
            let text = without_blank(rest);
            octets.extend_from_slice(text);
            let blank = rest.len() - text.len();
            if end == End::MoreFollows {
                return encoded.len() - blank;
            }
            if blank > LONGEST_BLANK {
                octets.extend_from_slice(rest.get(text.len()..).unwrap_or_default());
            }
            return encoded.len();
        };
        let (line, special) = rest.split_at(at);
        if special.first() == Some(&b'\n') {
            // RFC 2045 §6.7 (3): white space at the end of a line "must be deleted".
            let text = without_blank(line);
            if line.len() - text.len() > LONGEST_BLANK {
                octets.extend_from_slice(line);
            } else {
                octets.extend_from_slice(text);
                octets.extend_from_slice(if line.ends_with(b"\r") { b"\r" } else { b"" });
            }
            octets.push(b'\n');
            read += at + 1;
            continue;
        }
        octets.extend_from_slice(line);
        read += at;
        if let [_, high, low, ..] = special
            && let Some(octet) = hex(*high, *low)
        {
            octets.push(octet);
            read += 3;
            continue;
        }
        let after = special.get(1..).unwrap_or_default();
        let blank = after.iter().take(LONGEST_BLANK + 1).take_while(|octet| is_blank(**octet)).count();
        match after.get(blank) {
            _ if blank > LONGEST_BLANK => {}
            Some(b'\n') => {
                // A soft line break (RFC 2045 §6.7 (5)).
                read += blank + 2;
                continue;
            }
            None if end == End::Last => return encoded.len(),
            None => return read,
            Some(digit) if after.len() == 1 && digit.is_ascii_hexdigit() && end == End::MoreFollows => return read,
            Some(_) => {}
        }
        octets.push(b'=');
        read += 1;
    }
    read
}

fn without_blank(line: &[u8]) -> &[u8] {
    let blank = line.iter().rev().take_while(|octet| is_blank(**octet)).count();
    line.get(..line.len() - blank).unwrap_or_default()
}

/// The octet that two hexadecimal digits say.
pub(crate) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |octet: u8| DIGITS[usize::from(octet)]; // any octet is in it
    let (high, low) = (digit(high), digit(low));
    (high | low < 16).then_some(high << 4 | low)
}

/// Writes text as quoted-printable in lines of at most 76 characters. CRLF stays a line break; CR and LF alone are
/// escaped.
pub fn encode_quoted_printable(text: &[u8]) -> String {
    let mut out = Vec::new();
    encode_quoted_printable_into(text, &mut out);
    String::from_utf8(out).unwrap_or_default() // it is ASCII
}

/// Appends what [`encode_quoted_printable`] writes. Of the last line, where it has no CRLF, the end is the end of the text.
///
/// ```
/// use facteur::text::transfer;
///
/// let mut body = Vec::new();
/// transfer::encode_quoted_printable_into("1 + 1 = 2 \r\né".as_bytes(), &mut body);
/// assert_eq!(body, b"1 + 1 =3D 2=20\r\n=C3=A9");
/// ```
pub fn encode_quoted_printable_into(text: &[u8], out: &mut Vec<u8>) {
    encode_quoted_printable_lines(text, LineEnds::Crlf, out);
}

/// Writes octets as quoted-printable, with every CR and LF escaped.
pub fn encode_quoted_printable_binary(octets: &[u8]) -> String {
    let mut out = Vec::new();
    encode_quoted_printable_binary_into(octets, &mut out);
    String::from_utf8(out).unwrap_or_default() // it is ASCII
}

/// Appends what [`encode_quoted_printable_binary`] writes.
pub fn encode_quoted_printable_binary_into(octets: &[u8], out: &mut Vec<u8>) {
    encode_quoted_printable_lines(octets, LineEnds::None, out);
}

/// What each hexadecimal digit stands for; 255 where it is none.
static DIGITS: [u8; 256] = {
    let (mut digits, mut n) = ([255; 256], 0);
    while n < 16 {
        let digit = b"0123456789ABCDEF"[n as usize]; // < 16
        digits[digit as usize] = n;
        digits[digit.to_ascii_lowercase() as usize] = n;
        n += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::super::LINE;
    use super::super::vectors::Level;
    use super::*;

    #[test]
    fn quoted_printable_is_read_however_damaged() {
        for (encoded, octets) in [
            (&b"a=3Db"[..], &b"a=b"[..]),
            (b"a=3db", b"a=b"),
            (b"a=\r\nb", b"ab"),
            (b"a=\nb", b"ab"),
            (b"a= \t\r\nb", b"ab"),
            (b"a  \r\nb\t\nc ", b"a\r\nb\nc"),
            (b"a=20 \r\n", b"a \r\n"),
            (b"a=", b"a"),
            (b"a=X", b"a=X"),
            (b"a=XYb", b"a=XYb"),
            (b"==41", b"=A"),
            (b"\xe9=E9", b"\xe9\xe9"),
            (b"\r\n\r\n", b"\r\n\r\n"),
        ] {
            assert_eq!(decode_quoted_printable(encoded), octets, "{}", encoded.escape_ascii());
        }
    }

    #[test]
    fn quoted_printable_round_trips_and_keeps_the_line_length() {
        for text in
            ["", "a\r\nb", "trailing \r\n", "tab\t\r\n", &"é=".repeat(100), &"x".repeat(200), "a\rb\nc", ".\r\n"]
        {
            let encoded = encode_quoted_printable(text.as_bytes());
            assert!(encoded.split("\r\n").all(|line| line.len() <= LINE), "{encoded}");
            assert_eq!(decode_quoted_printable(encoded.as_bytes()), text.as_bytes(), "{encoded}");
            let encoded = encode_quoted_printable_binary(text.as_bytes());
            assert!(encoded.split("\r\n").all(|line| line.len() <= LINE), "{encoded}");
            assert_eq!(decode_quoted_printable(encoded.as_bytes()), text.as_bytes(), "{encoded}");
        }
    }

    /// What the vectors are shortcuts of.
    #[test]
    fn all_ways_read_the_same() {
        let usual = "x=C3=A9 yz=\r\n1234 567=3d 8 9\r\n0123456789abcdefghij\n".repeat(10);
        for odd in ["=", "=4", "==", "= ", " ", " \r", "\r", "\t\n", "=\r\r\n", &" ".repeat(70), "=G1", "=\n"] {
            // Miri is slow.
            for at in (0..usual.len()).step_by(if cfg!(miri) { 97 } else { 1 }) {
                let mut encoded = usual.clone();
                encoded.insert_str(at, odd);
                let mut plain = Vec::new();
                decode_plain(encoded.as_bytes(), encoded.len(), End::Last, &mut plain);
                for level in [Level::Avx2, Level::Avx512] {
                    vectors::LIMIT.set(level);
                    assert!(decode_quoted_printable(encoded.as_bytes()) == plain, "{odd:?} at {at}, {level:?}");
                }
            }
        }
    }

    #[test]
    fn only_so_much_white_space_is_taken_away() {
        let blank = " ".repeat(LONGEST_BLANK);
        for (encoded, octets) in [
            (format!("a{blank}\nb"), "a\nb".to_owned()),
            (format!("a={blank}\nb"), "ab".to_owned()),
            (format!("a{blank}"), "a".to_owned()),
            (format!("a {blank}\nb"), format!("a {blank}\nb")),
            (format!("a= {blank}\nb"), format!("a= {blank}\nb")),
            (format!("a {blank}"), format!("a {blank}")),
        ] {
            assert_eq!(decode_quoted_printable(encoded.as_bytes()), octets.as_bytes());
            let (mut decoder, mut pieces) = (QuotedPrintableDecoder::default(), Vec::new());
            for octet in encoded.bytes() {
                decoder.feed(&[octet], &mut pieces);
                assert!(decoder.held.len() <= LONGEST_BLANK + 1);
            }
            decoder.finish(&mut pieces);
            assert_eq!(pieces, octets.as_bytes());
        }
    }
}
