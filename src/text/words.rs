//! Encoded words (RFC 2047), both ways, with the language tags of RFC 2231 §5 passed over.
//!
//! Reading finds them wherever they stand, inside of quotes and next to other text too, as senders put them there. White
//! space between two encoded words is dropped (RFC 2047 §6.2); words that follow each other in the same charset are joined
//! as octets first, for senders that cut through a character. What is no encoded word is text by
//! [`charset::guess`].

use std::borrow::Cow;

use crate::base::{eight::Eight, parse::octets_of};
use crate::text::transfer::Set;
use crate::text::{charset, transfer};

/// RFC 2047 §2: "An 'encoded-word' may not be more than 75 characters long".
const LONGEST: usize = 75;

/// Reads unstructured text with encoded words in it. Line ends must be unfolded before.
///
/// ```
/// use facteur::text::words;
///
/// assert_eq!(words::decode(b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?_b?= c"), "a b c");
/// assert_eq!(words::decode(b"=?utf-8?B?w6k=?= or =?utf-8?q?=C3=A9?="), "é or é");
/// ```
pub fn decode(text: &[u8]) -> String {
    decode_borrowed(text).into_owned()
}

/// As [`decode`], without a copy where nothing is encoded.
pub fn decode_borrowed(text: &[u8]) -> Cow<'_, str> {
    match find(text) {
        None => charset::guess_piece(text),
        Some(_) => Cow::Owned(decode_words(text)),
    }
}

/// As [`decode_borrowed`] of what is known to be UTF-8.
pub(crate) fn decode_text(text: &str) -> Cow<'_, str> {
    if find(text.as_bytes()).is_some() { Cow::Owned(decode_words(text.as_bytes())) } else { Cow::Borrowed(text) }
}

/// As [`decode`], in the memory of the text where nothing is encoded.
pub(crate) fn decode_owned(text: Vec<u8>) -> String {
    if find(&text).is_some() {
        return decode_words(&text);
    }
    transfer::utf8(text).unwrap_or_else(|text| charset::guess_piece(&text).into_owned())
}

/// Where the first `=?` is.
fn find(text: &[u8]) -> Option<usize> {
    // Equals signs are many in signatures and in addresses of pages, question marks hardly anywhere.
    static MARK: Set = Set::of(b"?");
    let mut at = 0;
    loop {
        at += MARK.find(text.get(at..)?)?;
        if let Some(before) = at.checked_sub(1).filter(|before| text.get(*before) == Some(&b'=')) {
            return Some(before);
        }
        at += 1;
    }
}

fn decode_words(text: &[u8]) -> String {
    // What words in UTF-8 hold is looked at once, with all the rest.
    let text = transfer::utf8(decode_all(text, true)).or_else(|_| transfer::utf8(decode_all(text, false)));
    text.unwrap_or_default() // as it was put there
}

/// The text, of which the words in UTF-8 are as they stand where they are trusted.
fn decode_all(text: &[u8], trusted: bool) -> Vec<u8> {
    let mut out = Decoded { text: Vec::with_capacity(text.len()), pending: None, trusted };
    let mut rest = text;
    // Where plain text that was not yet written begins.
    let mut plain = text;
    while let Some(at) = find(rest) {
        let candidate = rest.get(at..).unwrap_or_default();
        let Some(word) = Word::read(candidate) else {
            rest = candidate.get(2..).unwrap_or_default();
            continue;
        };
        let before = plain.get(..plain.len() - candidate.len()).unwrap_or_default();
        // RFC 2047 §6.2: white space between two encoded words is dropped.
        if out.pending.is_none() || !before.iter().all(u8::is_ascii_whitespace) {
            out.plain(before);
        }
        out.word(&word);
        rest = candidate.get(word.len..).unwrap_or_default();
        plain = rest;
    }
    out.plain(plain);
    out.text
}

/// What was decoded so far.
struct Decoded<'a> {
    /// UTF-8, but for what is pending.
    text: Vec<u8>,
    /// From where on it is octets of encoded words of one charset that are not yet text, and the charset.
    pending: Option<(&'a [u8], usize)>,
    /// Whether what is said to be UTF-8 is looked at when it is all there.
    trusted: bool,
}

impl<'a> Decoded<'a> {
    fn plain(&mut self, octets: &[u8]) {
        self.settle();
        self.text.extend_from_slice(charset::guess_piece(octets).as_bytes());
    }

    fn word(&mut self, word: &Word<'a>) {
        if !self.pending.is_some_and(|(label, _)| label.eq_ignore_ascii_case(word.charset)) {
            self.settle();
            self.pending = Some((word.charset, self.text.len()));
        }
        word.decode_into(&mut self.text);
    }

    /// Makes text of what is pending.
    fn settle(&mut self) {
        let Some((label, start)) = self.pending.take() else { return };
        let octets = self.text.get(start..).unwrap_or_default();
        // Where no piece begins within a character, all of it is UTF-8 only if each piece is.
        if self.trusted && label.eq_ignore_ascii_case(b"utf-8") && !matches!(octets, [0x80..0xc0, ..]) {
            return;
        }
        match charset::decode_piece(charset::utf8_text(label).unwrap_or_default(), octets) {
            // As they are.
            Cow::Borrowed(text) if text.len() == octets.len() => {}
            text => {
                let text = text.into_owned();
                self.text.truncate(start);
                self.text.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="`
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
    len: usize,
}

impl<'a> Word<'a> {
    /// Reads the word at the start of `input`. What stands between one `=?` and the next is looked at once only, whatever
    /// the outcome.
    fn read(input: &'a [u8]) -> Option<Self> {
        let rest = input.get(2..)?;
        let len = rest.iter().position(|octet| !is_token(*octet))?;
        let (label, rest) = rest.split_at(len);
        let [b'?', encoding, b'?', rest @ ..] = rest else { return None };
        let base64 = match encoding {
            b'B' | b'b' => true,
            b'Q' | b'q' => false,
            _ => return None,
        };
        static ENDS: Set = Set::of(b"?\r\n");
        // Senders put spaces and question marks inside; a line end or another "=?" cannot be inside.
        let mut from = 0;
        let end = loop {
            let at = from + ENDS.find(rest.get(from..)?)?;
            match rest.get(at..)? {
                [b'?', b'=', ..] => break at,
                [b'?', ..] if at == 0 || rest.get(at - 1) != Some(&b'=') => from = at + 1,
                _ => return None,
            }
        };
        // RFC 2231 §5: charset ["*" language]
        let charset = label.split(|octet| *octet == b'*').next().unwrap_or_default();
        if charset.is_empty() {
            return None;
        }
        Some(Self { charset, base64, text: rest.get(..end)?, len: input.len() - rest.len() + end + 2 })
    }

    fn decode_into(&self, octets: &mut Vec<u8>) {
        if self.base64 {
            transfer::decode_base64_into(self.text, octets);
            return;
        }
        // No longer than it was; room is made once.
        let start = octets.len();
        octets.resize(start + self.text.len(), 0);
        let mut room = octets.get_mut(start..).unwrap_or_default().iter_mut();
        let mut rest = self.text;
        while let [octet, after @ ..] = rest
            && let Some(place) = room.next()
        {
            // RFC 2047 §4.2 (2): "_" is always 0x20.
            (*place, rest) = (if *octet == b'_' { b' ' } else { *octet }, after);
            if let (b'=', [high, low, after @ ..]) = (octet, after)
                && let Some(escaped) = transfer::hex(*high, *low)
            {
                (*place, rest) = (escaped, after);
            }
        }
        let unused = room.len();
        octets.truncate(octets.len() - unused);
    }
}

/// `token` of RFC 2047 §2.
fn is_token(octet: u8) -> bool {
    // labels with a dot or a colon exist (ANSI_X3.4-1968, ISO_8859-1:1987)
    const ENDS: [bool; 256] = octets_of(b"()<>@,;\"/[]?=");
    octet.is_ascii_graphic() && !ENDS[usize::from(octet)] // any octet is in it
}

/// Writes text so that it can stand in unstructured fields, phrases and comments alike: as it is where it is printable
/// ASCII, else with encoded words in UTF-8 from the first to the last word that needs them. The encoding is Q, which
/// people can half read, but B where more than half of the octets need it. Words are separated by single spaces, at which
/// the field may be folded; no encoded word is longer than 75 characters.
///
/// Text whose words are plain but longer than a line is not changed.
///
/// ```
/// use facteur::text::words;
///
/// assert_eq!(words::encode("plain text"), "plain text");
/// assert_eq!(words::encode("un café noir"), "un =?utf-8?Q?caf=C3=A9?= noir");
/// ```
pub fn encode(text: &str) -> Cow<'_, str> {
    let Some((from, to)) = unplain(text, usize::MAX, |octet| octet.is_ascii_graphic()) else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(from);
    let (run, after) = rest.split_at(to - from);
    let mut run = Run::new(run);
    // An escape in five octets, or base64, and the frames.
    let mut out = Vec::with_capacity(text.len() + text.len() / 2 + LONGEST);
    out.extend_from_slice(before.as_bytes());
    run.word(LONGEST - FRAME, &mut out);
    while !run.is_empty() {
        out.push(b' ');
        run.word(LONGEST - FRAME, &mut out);
    }
    out.extend_from_slice(after.as_bytes());
    Cow::Owned(transfer::utf8(out).unwrap_or_default()) // ASCII was put there
}

/// From the first to the last of the words between single spaces that are not plain: empty, too long to be kept whole, not
/// all of plain octets, or read as an encoded word. It is never empty.
#[inline]
pub(crate) fn unplain(text: &str, longest: usize, plain_octet: impl Fn(u8) -> bool) -> Option<(usize, usize)> {
    let octets = text.as_bytes();
    // Of an empty word what ends it: a space, or the end of the text, as if there were spaces around it.
    let odd = |before: u8, octet: u8| match octet {
        b' ' => before == b' ',
        b'?' => before == b'=' || !plain_octet(b'?'),
        _ => !plain_octet(octet),
    };
    let usual = usual(octets.as_chunks().0.iter().map(|eight| u64::from_le_bytes(*eight)));
    let (start, rest) = octets.split_at_checked(usual)?; // it is no longer
    let mut before = start.last().copied().unwrap_or(b' ');
    let first = rest.iter().position(|octet| odd(std::mem::replace(&mut before, *octet), *octet));
    let first = first.map(|at| usual + at).or_else(|| (before == b' ').then_some(octets.len()));
    // From both ends, for what is between the first and the last is not asked for.
    let places = first.filter(|_| !text.is_empty()).map(|first| {
        let usual = self::usual(octets.as_rchunks().1.iter().rev().map(|eight| u64::from_be_bytes(*eight)));
        let (rest, end) = octets.split_at_checked(octets.len() - usual).unwrap_or_default();
        let mut octet = end.first().copied().unwrap_or(b' ');
        let last = rest.iter().rposition(|before| odd(*before, std::mem::replace(&mut octet, *before)));
        (first, last.map_or(0, |before| before + 1))
    });
    let long = (octets.len() > longest).then(|| long_words(octets, longest)).flatten();
    let (first, last) = places.into_iter().chain(long).reduce(|(a, b), (c, d)| (a.min(c), b.max(d)))?;
    // The words that they stand in.
    let (head, tail) = (octets.get(..first)?, octets.get(last..)?);
    let from = head.iter().rposition(|octet| *octet == b' ').map_or(0, |at| at + 1);
    let last = last + tail.iter().position(|octet| *octet == b' ').unwrap_or(tail.len());
    if from < last {
        return Some((from, last));
    }
    // One more space than a line can keep: RFC 2047 §2 knows no empty encoded word, so a neighbour joins.
    match text.get(last + 1..) {
        Some(after) => Some((from, last + 1 + after.find(' ').unwrap_or(after.len()))),
        None => Some((text.get(..from - 1)?.rfind(' ').map_or(0, |at| at + 1), last)), // the text is not empty
    }
}

/// How many octets, in eights, are letters, digits and single spaces, which are plain everywhere.
fn usual(eights: impl Iterator<Item = u64>) -> usize {
    let mut space_before = 0x80;
    let is_usual = |eight: &u64| {
        let spaces = Eight(*eight).are(b' ');
        let double = spaces & (spaces << 8 | std::mem::replace(&mut space_before, spaces >> 56));
        Eight(*eight).are_alphanumeric() | spaces == Eight::ALL && double == 0
    };
    8 * eights.take_while(is_usual).count()
}

/// Where the first and the last of the words are that are too long.
#[cold]
fn long_words(octets: &[u8], longest: usize) -> Option<(usize, usize)> {
    let mut start = 0;
    let starts = octets.split(|octet| *octet == b' ').filter_map(|word| {
        let at = start;
        start += word.len() + 1;
        (word.len() > longest).then_some(at)
    });
    starts.fold(None, |found, at| Some((found.map_or(at, |(first, _)| first), at)))
}

/// `=?utf-8?Q?` and `?=`
pub(crate) const FRAME: usize = 12;

/// Text on its way into encoded words, which are cut between characters only (RFC 2047 §5: "each 'encoded-word' MUST
/// represent an integral number of characters").
pub(crate) struct Run<'a> {
    rest: &'a str,
    base64: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let quoted: usize = text.bytes().map(|octet| usize::from(Q[usize::from(octet)][3])).sum(); // < 256
        Self { rest: text, base64: quoted > text.len() * 2 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Appends an encoded word, whose text takes at most `room` characters: no less than 12, which is the most that one of
    /// UTF-8 takes, and no more than an encoded word may have.
    pub(crate) fn word(&mut self, room: usize, out: &mut Vec<u8>) {
        if self.base64 {
            let mut end = (room / 4 * 3).min(self.rest.len());
            while !self.rest.is_char_boundary(end) {
                end -= 1; // it is above the 9 octets that `room` has at least
            }
            let (piece, rest) = self.rest.split_at(end);
            out.extend_from_slice(b"=?utf-8?B?");
            transfer::encode_base64_line(piece.as_bytes(), out);
            out.extend_from_slice(b"?=");
            self.rest = rest;
            return;
        }
        // Four octets are written for each, of which one or three stay; in their place, for a copy would wait for them.
        const WHOLE: usize = LONGEST + 8;
        let start = out.len();
        out.extend_from_slice(&[0; WHOLE]);
        let Some(word) = out.last_chunk_mut::<WHOLE>() else { return };
        word[..10].copy_from_slice(b"=?utf-8?Q?"); // it is longer
        // Behind the last whole character: in the text, and in the word.
        let (mut end, mut full, mut at) = (0, 10, 10);
        let most = 10 + room.min(LONGEST - FRAME);
        for (n, octet) in self.rest.bytes().enumerate() {
            if !matches!(octet, 0x80..0xc0) {
                (end, full) = (n, at);
            }
            let encoded = Q[usize::from(octet)]; // < 256
            if let Some(place) = word.get_mut(at..at + 4) {
                place.copy_from_slice(&encoded);
            }
            at += usize::from(encoded[3]);
            if at > most {
                break;
            }
        }
        if at <= most {
            (end, full) = (self.rest.len(), at);
        }
        if let Some(place) = word.get_mut(full..full + 2) {
            place.copy_from_slice(b"?=");
        }
        out.truncate(start + full + 2);
        self.rest = self.rest.get(end..).unwrap_or_default(); // between characters
    }
}

/// What each octet is in the Q encoding (RFC 2047 §4.2), restricted to what a phrase may hold (§5 (3)), and in the fourth
/// place how long that is.
static Q: [[u8; 4]; 256] = {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let (mut table, mut octet) = ([[0; 4]; 256], 0);
    while octet < 256 {
        let it = octet as u8; // < 256
        table[octet] = match it {
            b' ' => [b'_', 0, 0, 1],
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'*' | b'+' | b'-' | b'/' => [it, 0, 0, 1],
            _ => [b'=', HEX[octet >> 4], HEX[octet & 15], 3], // both < 16
        };
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_joined() {
        for (text, decoded) in [
            (&b"plain"[..], "plain"),
            (b"caf\xc3\xa9", "café"),
            (b"caf\xe9", "café"),
            (b"=?us-ascii*en?q?a_b?=", "a b"),
            (b"=?utf-8?q?=C3?= =?UTF-8?q?=A9?=", "é"),
            (b"=?utf-8?B?w6k=?= =?utf-8?Q?x?=", "éx"),
            // A character is joined in words of one charset only, under one name.
            (b"=?utf-8?q?=C3?= =?utf8?q?=A9?=", "\u{fffd}\u{fffd}"),
            (b"=?utf8?q?=C3?= =?utf-8?q?=A9?=", "\u{fffd}\u{fffd}"),
            (b"=?utf-8?q?=C3?=x=?utf-8?q?=C3=A9?=", "\u{fffd}xé"),
            (b"=?utf-8?q?a b?=", "a b"),
            (b"=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?= =?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=", "テストテスト"),
            (b"=?utf-8?q?a?b?=", "a?b"),
            (b"=?utf-8?q??= x", " x"),
            (b"a=?utf-8?q?b?=c", "abc"),
            (b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
            (b"=?x-odd?q?=41?=", "A"),
            (b"=?utf-8?q?=EF=BB=BFa?= \xef\xbb\xbf", "\u{feff}a \u{feff}"),
            (b"=?iso-8859-1?q?=FF=FEa?=", "ÿþa"),
            // no encoded words
            (b"=?", "=?"),
            (b"=?utf-8?q?abc", "=?utf-8?q?abc"),
            (b"=?utf-8?z?abc?=", "=?utf-8?z?abc?="),
            (b"=??q?abc?=", "=??q?abc?="),
            (b"=?utf-8?q?abc =?utf-8?q?d?=", "=?utf-8?q?abc d"),
            (b"=?a?q?x?=?q?y?=", "x?q?y?="),
        ] {
            assert_eq!(decode(text), decoded, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_written_reads_back_and_keeps_the_length() {
        for text in [
            "",
            "a",
            "a  b",
            " a",
            "a ",
            "é",
            "un café",
            "=?utf-8?q?a?=",
            "tab\there",
            " ",
            "a b ",
            "=?",
            &"日本語のとても長い件名".repeat(9),
            &"naïve plain words between ".repeat(9),
        ] {
            let encoded = encode(text);
            assert!(encoded.is_ascii());
            assert!(encoded.split(' ').all(|word| word.len() <= 75 && !word.contains("??=")), "{encoded}");
            assert_eq!(decode(encoded.as_bytes()), text, "{encoded}");
        }
    }

    /// The rule of [`unplain`], word by word; only what an empty word does to its neighbours is not in it.
    fn slowly(text: &str, longest: usize) -> Option<(usize, usize)> {
        let (mut start, mut found) = (0, None);
        for word in text.split(' ') {
            let plain = word.bytes().all(|octet| octet.is_ascii_graphic()) && !word.contains("=?");
            if !text.is_empty() && (word.is_empty() || word.len() > longest || !plain) {
                found = Some((found.map_or(start, |(first, _)| first), start + word.len()));
            }
            start += word.len() + 1;
        }
        found
    }

    #[test]
    fn what_is_not_plain_is_found_from_both_ends() {
        const PIECES: [&str; 6] = ["a", " ", "=", "?", "é", "bcd efg"];
        for number in 0..PIECES.len().pow(6) {
            let text: String = (0..6).map(|n| PIECES[number / PIECES.len().pow(n) % PIECES.len()]).collect();
            for longest in [3, usize::MAX] {
                match (unplain(&text, longest, |octet| octet.is_ascii_graphic()), slowly(&text, longest)) {
                    (found, Some((from, to))) if from == to => {
                        let (wider_from, wider_to) = found.unwrap();
                        assert!(wider_from <= from && to <= wider_to && wider_from < wider_to, "{text:?}");
                    }
                    (found, expected) => assert_eq!(found, expected, "{text:?} {longest}"),
                }
            }
        }
    }

    #[test]
    fn many_openings_without_an_end_take_linear_time() {
        let text = b"=?a?q?".repeat(200_000);
        assert_eq!(decode(&text).len(), text.len());
        let text = b"=?a?q? ? ".repeat(200_000);
        assert_eq!(decode(&text).len(), text.len());
    }
}
