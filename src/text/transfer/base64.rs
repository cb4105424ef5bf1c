//! Base64 (RFC 2045 §6.8) without vectors, and what calls them.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::{memchr, memrchr};

use super::LINE;
use super::vectors::{self, Waiting};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads base64.
///
/// ```
/// use facteur::text::transfer;
///
/// assert_eq!(transfer::decode_base64(b"SGVs\r\nbG8="), b"Hello");
/// assert_eq!(transfer::decode_base64(b"SGVsbG8"), b"Hello");
/// ```
pub fn decode_base64(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    decode_base64_into(encoded, &mut octets);
    octets
}

/// Appends what [`decode_base64`] gives.
pub(in crate::text) fn decode_base64_into(encoded: &[u8], octets: &mut Vec<u8>) {
    octets.reserve(base64_room(encoded));
    let start = octets.len();
    if encoded.len() < SHORT_TEXT && decode_groups(encoded, octets).is_some() {
        return;
    }
    octets.truncate(start);
    let mut decoder = Base64Decoder::default();
    decoder.feed(encoded, octets);
    decoder.finish(octets);
}

/// Below this there are no vectors for it, as in encoded words.
const SHORT_TEXT: usize = 256;

/// Reads characters of base64 in groups of four, and padding at their end; `None` where there is anything else.
fn decode_groups(encoded: &[u8], octets: &mut Vec<u8>) -> Option<()> {
    let text = encoded.strip_suffix(b"=").unwrap_or(encoded);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let (groups, last) = text.as_chunks::<4>();
    let bits = |group: &[u8]| {
        let values = group.iter().map(|octet| VALUES[usize::from(*octet)]); // any octet is in it
        values.fold((0_u32, 0), |(bits, seen), value| (bits << 6 | u32::from(value), seen | value))
    };
    for group in groups {
        let (bits, seen) = bits(group);
        if seen > 63 {
            return None;
        }
        let [_, octets3 @ ..] = bits.to_be_bytes();
        octets.extend_from_slice(&octets3);
    }
    let (bits, seen) = bits(last);
    if seen > 63 {
        return None;
    }
    // The whole octets among at most three groups of six bits.
    let whole = (bits << (24 - 6 * last.len())).to_be_bytes();
    octets.extend(whole.iter().skip(1).take(last.len() * 6 / 8));
    Some(())
}

/// What each character stands for; 255 where it is none.
static VALUES: [u8; 256] = {
    let (mut values, mut n) = ([255; 256], 0);
    while n < 64 {
        values[b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[n as usize] as usize] = n; // < 64, < 256
        n += 1;
    }
    values
};

/// How many octets `encoded` decodes to if all its lines are as long as the first, and the little that the vectors want on
/// top.
fn base64_room(encoded: &[u8]) -> usize {
    let first = encoded.get(..1000).unwrap_or(encoded);
    let lines = memchr(b'\n', first).map_or(0, |at| {
        let ending = if first.get(..at).is_some_and(|line| line.ends_with(b"\r")) { 2 } else { 1 };
        encoded.len() / (at + 1) * ending
    });
    (encoded.len() - lines).div_ceil(4) * 3 + 64
}

/// Reads base64 in pieces, cut anywhere. It keeps at most three characters, and writes at most three octets for four.
///
/// ```
/// use facteur::text::transfer::Base64Decoder;
///
/// let mut decoder = Base64Decoder::default();
/// let mut octets = Vec::new();
/// for piece in ["SG", "Vs\r", "\nbG8="] {
///     decoder.feed(piece.as_bytes(), &mut octets);
/// }
/// decoder.finish(&mut octets);
/// assert_eq!(octets, b"Hello");
/// ```
///
/// Padding ends a piece, behind which another may follow; anything else that follows it, such as the lines that a mailing list
/// appends, ends the text.
#[derive(Clone, Debug, Default)]
pub struct Base64Decoder {
    waiting: Waiting,
    end: End,
}

/// Whether the text is at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    /// Padding was the last that was read.
    Padded,
    Over,
}

/// What the plain code of base64 reads at once.
const STAGE: usize = 4096;
/// Below this it is not worth a stage.
const SHORT: usize = 64;

impl Base64Decoder {
    /// Reads the next piece, and appends to `octets` what is complete with it.
    pub fn feed(&mut self, encoded: &[u8], octets: &mut Vec<u8>) {
        let mut rest = self.behind_padding(encoded);
        while !rest.is_empty() {
            let read = vectors::decode_base64(rest, &mut self.waiting, octets);
            let (_, after) = rest.split_at(read);
            // To the end of a line, for there the vectors can begin again.
            let some = after.get(..STAGE).map_or(after.len(), |some| memrchr(b'\n', some).map_or(STAGE, |at| at + 1));
            let (some, after) = after.split_at(some);
            self.feed_plain(some, octets);
            rest = self.behind_padding(after);
        }
    }

    /// Passes over white space and more padding behind padding; nothing is left where what follows is no base64.
    fn behind_padding<'a>(&mut self, encoded: &'a [u8]) -> &'a [u8] {
        if self.end == End::No {
            return encoded;
        }
        let blank = |octet: &u8| octet.is_ascii_whitespace() || *octet == b'=';
        let at = encoded.iter().position(|octet| !blank(octet)).unwrap_or(encoded.len());
        let rest = encoded.get(at..).unwrap_or_default();
        if let Some(octet) = rest.first()
            && self.end == End::Padded
        {
            let more = octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
            self.end = if more { End::No } else { End::Over };
        }
        if self.end == End::No { rest } else { &[] }
    }

    /// Ends the text: a last group that has not all its characters gives the octets that it has whole.
    pub fn finish(mut self, octets: &mut Vec<u8>) {
        self.flush(octets);
    }

    /// At most [`STAGE`] octets, without vectors: the lines joined and read at once, if nothing is amiss.
    fn feed_plain(&mut self, encoded: &[u8], octets: &mut Vec<u8>) {
        let mut rest = self.behind_padding(encoded);
        while self.waiting.count > 0
            && let Some((octet, after)) = rest.split_first()
        {
            self.step(*octet, octets);
            rest = after;
        }
        if rest.len() < SHORT || memchr(b'=', rest).is_some() {
            rest.iter().for_each(|octet| self.step(*octet, octets));
            return;
        }
        let mut stage = [0; STAGE];
        let mut staged = 0;
        for line in rest.split_inclusive(|octet| *octet == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(room) = stage.get_mut(staged..staged + line.len()) {
                room.copy_from_slice(line);
                staged += line.len();
            }
        }
        let stage = stage.get(..staged).unwrap_or_default();
        let (whole, left) = stage.split_at(staged / 4 * 4);
        let start = octets.len();
        octets.resize(start + whole.len() / 4 * 3, 0);
        let (_, room) = octets.split_at_mut(start);
        if ENGINE.decode_slice(whole, room).is_ok() {
            left.iter().for_each(|octet| self.step(*octet, octets));
        } else {
            octets.truncate(start);
            stage.iter().for_each(|octet| self.step(*octet, octets));
        }
    }

    /// Octet by octet: the rule that all else is a shortcut of.
    fn step(&mut self, octet: u8, octets: &mut Vec<u8>) {
        if self.behind_padding(&[octet]).is_empty() {
            return;
        }
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // The end of one piece; another may follow.
            b'=' => {
                self.end = End::Padded;
                return self.flush(octets);
            }
            _ => return,
        };
        self.waiting.bits = self.waiting.bits << 6 | u32::from(value);
        self.waiting.count += 1;
        if self.waiting.count == 4 {
            self.flush(octets);
        }
    }

    /// The whole octets among the groups of six bits that wait.
    fn flush(&mut self, octets: &mut Vec<u8>) {
        let Waiting { bits, count } = std::mem::take(&mut self.waiting);
        let bits = bits << (24 - 6 * count); // at most four groups
        octets.extend(bits.to_be_bytes().iter().skip(1).take(count * 6 / 8));
    }
}

/// Writes base64 in lines of 76 characters, each ended by CRLF.
pub fn encode_base64(octets: &[u8]) -> String {
    let mut out = Vec::new();
    encode_base64_into(octets, &mut out);
    String::from_utf8(out).unwrap_or_default() // it is ASCII
}

/// Appends base64 in lines of 76 characters, each ended by CRLF.
///
/// ```
/// use facteur::text::transfer;
///
/// let mut message = b"Content-Transfer-Encoding: base64\r\n\r\n".to_vec();
/// transfer::encode_base64_into(b"Hello", &mut message);
/// assert!(message.ends_with(b"\r\n\r\nSGVsbG8=\r\n"));
/// ```
pub fn encode_base64_into(octets: &[u8], out: &mut Vec<u8>) {
    // What the vectors want on top is there twice over.
    out.reserve(octets.len().div_ceil(LINE / 4 * 3) * (LINE + 2) + 128);
    let written = vectors::encode_base64(octets, out);
    encode_base64_plain(octets.get(written..).unwrap_or_default(), out);
}

/// Appends base64 without line ends.
pub(crate) fn encode_base64_line(octets: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + octets.len().div_ceil(3) * 4, b'=');
    if let Some(room) = out.get_mut(at..) {
        let written = ENGINE.encode_slice(octets, room);
        debug_assert!(written.is_ok(), "the room is what base64 takes");
    }
}

fn encode_base64_plain(octets: &[u8], out: &mut Vec<u8>) {
    let mut characters = [0; LINE * 32];
    for lines in octets.chunks(LINE / 4 * 3 * 32) {
        let written = ENGINE.encode_slice(lines, &mut characters).unwrap_or_default(); // the room is as long as the lines
        for line in characters.get(..written).unwrap_or_default().chunks(LINE) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::Level;
    use super::*;

    #[test]
    fn base64_is_read_however_damaged() {
        for (encoded, octets) in [
            (&b""[..], &b""[..]),
            (b"Zg==", b"f"),
            (b"Zm8=", b"fo"),
            (b"Zm9v", b"foo"),
            (b"Zm9vYg", b"foob"),
            (b"Zm9v\r\nYmFy\r\n", b"foobar"),
            (b" Zm9v\tYm!Fy", b"foobar"),
            (b"Zg==Zg==", b"ff"),
            (b"Zg==\nZm9v", b"ffoo"),
            (b"Zm9vZ", b"foo"),
            (b"Zh==", b"f"),
            (b"====", b""),
            (b"Zg==\n\n-- \nOne list\n", b"f"),
            (b"Zg==\r\n_______\r\nZm9v\r\n", b"f"),
            (b"Zg== \r\n\tZg==!Zg==", b"ff"),
            (b"\xff\xfe", b""),
        ] {
            assert_eq!(decode_base64(encoded), octets, "{}", encoded.escape_ascii());
        }
    }

    #[test]
    fn base64_lines_have_76_characters() {
        let octets: Vec<u8> = (0..=255).collect();
        let encoded = encode_base64(&octets);
        assert!(encoded.ends_with("\r\n"));
        assert!(encoded.lines().rev().skip(1).all(|line| line.len() == 76));
        assert_eq!(decode_base64(encoded.as_bytes()), octets);
        assert_eq!(encode_base64(b""), "");
    }

    /// What the vectors, and the engine, are shortcuts of.
    #[test]
    fn all_ways_read_the_same() {
        // Miri is slow.
        let many = if cfg!(miri) { 900 } else { 3000 };
        let octets: Vec<u8> = (0..many).map(|n: u32| (n.wrapping_mul(n) >> 5) as u8).collect();
        let base64 = encode_base64(&octets);
        let mut plain = Vec::new();
        encode_base64_plain(&octets, &mut plain);
        assert_eq!(base64.as_bytes(), plain);
        for level in [Level::Plain, Level::Avx2, Level::Avx512] {
            vectors::LIMIT.set(level);
            for cut in (0..300).step_by(if cfg!(miri) { 290 } else { 1 }) {
                let octets = octets.get(cut..octets.len() - cut).unwrap();
                let mut plain = Vec::new();
                encode_base64_plain(octets, &mut plain);
                assert_eq!(encode_base64(octets).as_bytes(), plain, "{level:?}");
            }
        }
        for odd in ["", "=", "==", "!", "\r", "\0", "\u{e9}", "=\n=", " ", "=!", "=\r\n-- \r\n"] {
            for at in (0..base64.len() / 9).step_by(if cfg!(miri) { 150 } else { 1 }) {
                let mut encoded = base64.clone();
                encoded.insert_str(at * 9, odd);
                let (mut stepped, mut staged) = (Vec::new(), Vec::new());
                let mut decoder = Base64Decoder::default();
                encoded.bytes().for_each(|octet| decoder.step(octet, &mut stepped));
                decoder.finish(&mut stepped);
                let mut decoder = Base64Decoder::default();
                encoded.as_bytes().chunks(1000).for_each(|some| decoder.feed_plain(some, &mut staged));
                decoder.finish(&mut staged);
                assert!(staged == stepped, "{odd:?} at {at}, in stages");
                for level in [Level::Plain, Level::Avx2, Level::Avx512] {
                    vectors::LIMIT.set(level);
                    assert!(decode_base64(encoded.as_bytes()) == stepped, "{odd:?} at {at}, {level:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_short_is_written_and_read_in_vectors_too() {
        let octets: Vec<u8> = (0..400).map(|n: u32| (n.wrapping_mul(n) >> 3) as u8).collect();
        for len in (0..octets.len()).step_by(if cfg!(miri) { 37 } else { 1 }) {
            let octets = &octets[..len];
            let mut plain = Vec::new();
            encode_base64_plain(octets, &mut plain);
            let mut stepped = (Vec::new(), Base64Decoder::default());
            let cut = &plain[..plain.len().saturating_sub(len % 5)];
            cut.iter().for_each(|octet| stepped.1.step(*octet, &mut stepped.0));
            stepped.1.finish(&mut stepped.0);
            for level in [Level::Plain, Level::Avx2, Level::Avx512] {
                vectors::LIMIT.set(level);
                assert_eq!(encode_base64(octets).as_bytes(), plain, "{len}, {level:?}");
                assert_eq!(decode_base64(cut), stepped.0, "{len}, {level:?}");
            }
        }
    }

    #[test]
    fn no_more_room_is_taken_than_is_needed() {
        for length in [1, 57, 1000, 100_000] {
            let encoded = encode_base64(&vec![7; length]);
            for encoded in [encoded.clone(), encoded.replace("\r\n", "\n"), encoded.replace("\r\n", "")] {
                let octets = decode_base64(encoded.as_bytes());
                assert!(octets.capacity() <= octets.len() + octets.len() / 100 + 130, "{}", octets.capacity());
            }
        }
    }
}
