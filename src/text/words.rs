//! Encoded words (RFC 2047), both ways, with the language tags of RFC 2231 §5 passed over.
//!
//! Reading finds them wherever they stand, inside of quotes and next to other text too, as senders put them there. White
//! space between two encoded words is dropped (RFC 2047 §6.2); words that follow each other in the same charset are joined
//! as octets first, for senders that cut through a character. What is no encoded word is text by
//! [`charset::guess`].

use std::borrow::Cow;

use crate::base::parse::octets_of;
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
    memchr::memchr_iter(b'=', text).find(|at| text.get(at + 1) == Some(&b'?'))
}

fn decode_words(text: &[u8]) -> String {
    let mut out = Decoded { text: Vec::with_capacity(text.len()), pending: None };
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
    transfer::utf8(out.text).unwrap_or_default() // as it was put there
}

/// What was decoded so far.
struct Decoded<'a> {
    /// UTF-8, but for what is pending.
    text: Vec<u8>,
    /// From where on it is octets of encoded words of one charset that are not yet text, and the charset.
    pending: Option<(&'a [u8], usize)>,
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
        let joint = self.text.len();
        word.decode_into(&mut self.text);
        // Words of ISO-2022 end in ASCII and the next one leaves it again; two escapes in a row are an error to decoders.
        let start = self.pending.map_or(joint, |(_, start)| start);
        let before = self.text.get(start..joint).unwrap_or_default();
        let after = self.text.get(joint..).unwrap_or_default();
        if after.starts_with(b"\x1b") && before.ends_with(b"\x1b(B") {
            self.text.drain(joint - 3..joint);
        }
    }

    /// Makes text of what is pending.
    fn settle(&mut self) {
        let Some((label, start)) = self.pending.take() else { return };
        let octets = self.text.get(start..).unwrap_or_default();
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
        // Senders put spaces and question marks inside; a line end or another "=?" cannot be inside.
        let mut from = 0;
        let end = loop {
            let at = from + rest.get(from..)?.iter().position(|octet| matches!(octet, b'?' | b'\r' | b'\n'))?;
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
        octets.reserve(self.text.len());
        let mut rest = self.text;
        while let [octet, after @ ..] = rest {
            rest = after;
            if let (b'=', [high, low, after @ ..]) = (octet, after)
                && let Some(escaped) = transfer::hex(*high, *low)
            {
                octets.push(escaped);
                rest = after;
                continue;
            }
            // RFC 2047 §4.2 (2): "_" is always 0x20.
            octets.push(if *octet == b'_' { b' ' } else { *octet });
        }
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
/// people can half read, but B where more than half of the octets need it. Words are separated by single spaces, at which the field may be folded; no word is longer than 75 characters.
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
    // Words as they stand between spaces; the empty ones are where spaces follow each other.
    let needs =
        |word: &str| word.is_empty() || word.contains("=?") || !word.bytes().all(|octet| octet.is_ascii_graphic());
    if text.is_empty()
        || text.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ') && !text.split(' ').any(needs)
    {
        return Cow::Borrowed(text);
    }
    let words: Vec<&str> = text.split(' ').collect();
    let first = words.iter().position(|word| needs(word)).unwrap_or(0);
    let last = words.iter().rposition(|word| needs(word)).unwrap_or(0);
    let join = |words: Option<&[&str]>| words.unwrap_or_default().join(" ");
    let (before, run, after) = (join(words.get(..first)), join(words.get(first..=last)), join(words.get(last + 1..)));
    let mut out = before;
    for word in encode_run(&run) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&word);
    }
    if !after.is_empty() {
        out.push(' ');
        out.push_str(&after);
    }
    Cow::Owned(out)
}

/// Cuts a text into encoded words, between characters only (RFC 2047 §5: "each 'encoded-word' MUST represent an integral
/// number of characters").
fn encode_run(run: &str) -> Vec<String> {
    const FRAME: usize = "=?utf-8?Q??=".len();
    let quoted: usize = run.bytes().map(cost).sum();
    let base64 = quoted > run.len() * 2;
    let mut words = Vec::new();
    let mut piece = String::new();
    let mut width = 0;
    for character in run.chars() {
        let mut utf8 = [0; 4];
        let octets = character.encode_utf8(&mut utf8).bytes();
        let more: usize = if base64 { octets.len() } else { octets.map(cost).sum() };
        let full = if base64 { (width + more).div_ceil(3) * 4 } else { width + more };
        if full > LONGEST - FRAME {
            words.push(encode_word(&piece, base64));
            piece.clear();
            width = 0;
        }
        piece.push(character);
        width += more;
    }
    words.push(encode_word(&piece, base64));
    words
}

fn encode_word(piece: &str, base64: bool) -> String {
    if base64 {
        let encoded = transfer::encode_base64(piece.as_bytes());
        return format!("=?utf-8?B?{}?=", encoded.trim_end());
    }
    let mut out = String::from("=?utf-8?Q?");
    for octet in piece.bytes() {
        match octet {
            b' ' => out.push('_'),
            _ if is_plain(octet) => out.push(char::from(octet)),
            _ => {
                out.push('=');
                for digit in [octet >> 4, octet & 15] {
                    out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
                }
            }
        }
    }
    out.push_str("?=");
    out
}

/// RFC 2047 §5 (3): what may stand for itself in a phrase, and so everywhere.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!*+-/".contains(&octet)
}

fn cost(octet: u8) -> usize {
    if octet == b' ' || is_plain(octet) { 1 } else { 3 }
}

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
            &"日本語のとても長い件名".repeat(9),
            &"naïve plain words between ".repeat(9),
        ] {
            let encoded = encode(text);
            assert!(encoded.is_ascii());
            assert!(encoded.split(' ').all(|word| word.len() <= 75), "{encoded}");
            assert_eq!(decode(encoded.as_bytes()), text, "{encoded}");
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
