//! Writing one header field: folded at 78 characters, encoded words where text needs them (RFC 5322 §2.2.3, RFC 2047).
//!
//! Everything goes into the buffer of the message; nothing is kept on the way. A word is never cut, so a line is longer
//! than 78 only where one word is.

use crate::address::is_atext;
use crate::text::words::{FRAME, Run, unplain};

/// RFC 5322 §2.1.1: a line "SHOULD be no more than 78 characters, excluding the CRLF".
pub(super) const WIDTH: usize = 78;
/// RFC 5322 §2.1.1: a line "MUST be no more than 998 characters, excluding the CRLF".
pub(super) const LONGEST: usize = 998;
/// RFC 2047 §2: a line with an encoded word in it has at most 76 characters, and an encoded word at most 75.
const ENCODED_WIDTH: usize = 76;
/// Plain words beyond this are encoded words, which can be folded.
const LONG_WORD: usize = 900;

/// A header field on its way into `out`.
pub(super) struct Fold<'a> {
    out: &'a mut Vec<u8>,
    /// Where the line began.
    line: usize,
    /// How long the line may get.
    limit: usize,
    /// Nothing but the name is written so far.
    bare: bool,
    /// The longest line so far.
    longest: usize,
    utf8: bool,
}

impl<'a> Fold<'a> {
    /// Begins a field. With `utf8`, text beyond ASCII is written as it is (RFC 6532).
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>, name: &str, utf8: bool) -> Self {
        Self::prefixed(out, "", name, utf8)
    }

    /// Begins a field with something before its name, which counts as part of the line.
    #[inline]
    pub(super) fn prefixed(out: &'a mut Vec<u8>, prefix: &str, name: &str, utf8: bool) -> Self {
        let line = out.len();
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        Self { out, line, limit: WIDTH, bare: true, longest: 0, utf8 }
    }

    /// Ends the field; `false` where one of its lines is longer than any may be.
    #[must_use]
    pub(super) fn end(mut self) -> bool {
        self.end_line();
        self.longest <= LONGEST
    }

    /// A word, after a space or a fold.
    #[inline]
    pub(super) fn word(&mut self, word: &[u8]) {
        self.write(b" ", word.len(), |out| out.extend_from_slice(word));
    }

    /// A word in pieces, after a space or a fold.
    #[inline]
    pub(super) fn pieces(&mut self, pieces: &[&[u8]]) {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        self.write(b" ", len, |out| pieces.iter().for_each(|piece| out.extend_from_slice(piece)));
    }

    /// A word between angle brackets.
    #[inline]
    pub(super) fn bracketed(&mut self, word: &str) {
        self.write(b" ", word.len() + 2, |out| {
            out.push(b'<');
            out.extend_from_slice(word.as_bytes());
            out.push(b'>');
        });
    }

    /// A special, right behind the word that stands there where it may: not behind an encoded word (RFC 2047 §5 (3)).
    pub(super) fn special(&mut self, octets: &[u8]) {
        if self.limit == ENCODED_WIDTH || self.column() + octets.len() > self.limit {
            return self.word(octets);
        }
        self.out.extend_from_slice(octets);
    }

    /// A word of `len` octets that `write` writes, after `space` or a fold before `space`.
    #[inline]
    pub(super) fn write(&mut self, space: &[u8], len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let len = space.len() + len;
        let full = self.column() + len;
        // Behind the name a fold is worth it only where it makes the word fit.
        if full > self.limit && (!self.bare || len <= WIDTH || full > LONGEST) {
            self.end_line();
        }
        let end = self.out.len() + len;
        self.out.extend_from_slice(space);
        write(self.out);
        debug_assert_eq!(self.out.len(), end, "the length that was said");
        self.bare = false;
    }

    /// A value whose syntax is the caller's: folded before white space, and else as it is.
    pub(super) fn value(&mut self, value: &str) {
        let mut rest = value.trim_matches([' ', '\t']);
        let mut space = " ";
        while !rest.is_empty() {
            let end = rest.find([' ', '\t']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            self.write(space.as_bytes(), word.len(), |out| out.extend_from_slice(word.as_bytes()));
            rest = after.trim_start_matches([' ', '\t']);
            space = after.get(..after.len() - rest.len()).unwrap_or_default(); // `rest` is the end of `after`
        }
    }

    /// Text as `unstructured` has it: encoded words from the first to the last word that needs them.
    pub(super) fn text(&mut self, text: &str) {
        let utf8 = self.utf8 && !has_line_ends(text);
        self.words(text, unplain(text, LONG_WORD, |octet| octet.is_ascii_graphic() || octet >= 0x80 && utf8));
    }

    /// `phrase = 1*word`: atoms, one quoted string, or encoded words.
    pub(super) fn phrase(&mut self, text: &str) {
        let utf8 = self.utf8 && !has_line_ends(text);
        let run = unplain(text, LONG_WORD, |octet| is_atext(octet) && (octet < 0x80 || utf8));
        let printable = |octet| matches!(octet, b' '..=b'~') || octet >= 0x80 && utf8;
        if run.is_some() && text.bytes().all(printable) && !text.contains("=?") {
            let escapes = escapes(text);
            if text.len() + escapes + 3 < WIDTH {
                return self.write(b" ", text.len() + escapes + 2, |out| quoted(text, out));
            }
        }
        self.words(text, run);
    }

    /// A parameter in encoded words between quotes: what RFC 2047 §5 forbids, and what readers without RFC 2231 read.
    pub(super) fn quoted_words(&mut self, name: &str, value: &str, end: &[u8]) {
        self.encoded(&[b" ", name.as_bytes(), b"=\""].concat(), value, &[b"\"", end].concat());
    }

    /// Words between single spaces, encoded where `run` is.
    fn words(&mut self, text: &str, run: Option<(usize, usize)>) {
        let Some((from, to)) = run else { return self.plain_words(text) };
        if let Some(before) = from.checked_sub(1).and_then(|end| text.get(..end)) {
            self.plain_words(before);
        }
        self.encoded(b" ", text.get(from..to).unwrap_or_default(), b"");
        if let Some(after) = text.get(to + 1..) {
            self.plain_words(after);
        }
    }

    /// Words between single spaces: at once as many as the line has room for, and one at least.
    fn plain_words(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let room = self.limit.saturating_sub(self.column() + 1);
            let is_space = |octet: &u8| *octet == b' ';
            let end = match rest.get(..=room) {
                None => rest.len(),
                Some(fitting) => {
                    fitting.iter().rposition(is_space).or_else(|| rest.iter().position(is_space)).unwrap_or(rest.len())
                }
            };
            self.word(rest.get(..end).unwrap_or_default());
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }

    /// Encoded words, each as long as the line allows. `before` stands before the first of them, `after` behind the last;
    /// both are short.
    fn encoded(&mut self, mut before: &[u8], text: &str, after: &[u8]) {
        let mut run = Run::new(text);
        while !run.is_empty() {
            // A character takes up to 12.
            let frame = before.len() + FRAME + after.len();
            if self.column() + frame + 12 > ENCODED_WIDTH {
                self.end_line();
            }
            let room = (ENCODED_WIDTH.saturating_sub(self.column() + frame)).max(12);
            self.out.extend_from_slice(before);
            before = b" ";
            run.word(room, self.out);
            self.limit = ENCODED_WIDTH;
            self.bare = false;
        }
        self.out.extend_from_slice(after);
    }

    fn column(&self) -> usize {
        self.out.len() - self.line
    }

    fn end_line(&mut self) {
        self.longest = self.longest.max(self.column());
        self.out.extend_from_slice(b"\r\n");
        self.line = self.out.len();
        self.limit = WIDTH;
        self.bare = false;
    }
}

/// Whether there are characters that programs take for line ends and RFC 5198 §2 does not allow as such: NEL, LINE SEPARATOR,
/// PARAGRAPH SEPARATOR. They are encoded even where UTF-8 may be written.
fn has_line_ends(text: &str) -> bool {
    text.contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

/// How many octets of a text a quoted string escapes.
pub(super) fn escapes(text: &str) -> usize {
    text.bytes().filter(|octet| matches!(octet, b'"' | b'\\')).count()
}

/// `quoted-string`
pub(super) fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for octet in text.bytes() {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::words;

    fn field(write: impl FnOnce(&mut Fold<'_>), utf8: bool) -> String {
        let mut out = Vec::new();
        let mut fold = Fold::new(&mut out, "Subject", utf8);
        write(&mut fold);
        assert!(fold.end());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_encoded_where_it_must_be() {
        for (text, expected) in [
            ("", "Subject:\r\n"),
            ("plain, text.", "Subject: plain, text.\r\n"),
            ("un café noir", "Subject: un =?utf-8?Q?caf=C3=A9?= noir\r\n"),
            ("日本", "Subject: =?utf-8?B?5pel5pys?=\r\n"),
            ("a  b", "Subject: a =?utf-8?Q?_b?=\r\n"),
            (" a", "Subject: =?utf-8?Q?_a?=\r\n"),
            ("b a ", "Subject: b =?utf-8?Q?a_?=\r\n"),
            (" ", "Subject: =?utf-8?Q?_?=\r\n"),
            ("=?x?q?y?=", "Subject: =?utf-8?B?PT94P3E/eT89?=\r\n"),
            ("tab\there", "Subject: =?utf-8?Q?tab=09here?=\r\n"),
        ] {
            assert_eq!(field(|fold| fold.text(text), false), expected, "{text}");
        }
        assert_eq!(field(|fold| fold.text("un café"), true), "Subject: un café\r\n");
        let written = field(|fold| fold.text("a\u{2028}Bcc: b"), true);
        assert_eq!(written, "Subject: =?utf-8?Q?a=E2=80=A8Bcc=3A?= b\r\n");
        assert!(field(|fold| fold.phrase("a\u{85}, b"), true).is_ascii());
    }

    #[test]
    fn phrases_are_atoms_quoted_or_encoded() {
        for (text, expected) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("Lovelace, Ada", "\"Lovelace, Ada\""),
            ("Ada \"A\\\"", "\"Ada \\\"A\\\\\\\"\""),
            ("J. Ünal", "=?utf-8?Q?J=2E_=C3=9Cnal?="),
            ("a =?b", "a =?utf-8?B?PT9i?="),
        ] {
            assert_eq!(field(|fold| fold.phrase(text), false), format!("Subject: {expected}\r\n"), "{text}");
        }
        assert_eq!(field(|fold| fold.phrase("J. Ünal"), true), "Subject: \"J. Ünal\"\r\n");
    }

    #[test]
    fn lines_fold_at_78_and_never_pass_998() {
        let ten = "123456789 ".repeat(20);
        let folded = field(|fold| fold.text(ten.trim_end()), false);
        // "Subject:" and seven words of ten characters with their space
        assert_eq!(folded.split("\r\n").next().unwrap().len(), 78);
        assert_eq!(folded.replace("\r\n ", " "), format!("Subject: {}\r\n", ten.trim_end()));

        let long = "x".repeat(2000);
        let folded = field(|fold| fold.text(&long), false);
        assert!(folded.lines().all(|line| line.len() <= 76), "{folded}");
        assert_eq!(words::decode(folded["Subject: ".len()..].replace("\r\n", "").as_bytes()), long);

        let word = "x".repeat(77);
        assert_eq!(field(|fold| fold.text(&word), false), format!("Subject:\r\n {word}\r\n"));
        let word = "x".repeat(78);
        assert_eq!(field(|fold| fold.text(&word), false), format!("Subject: {word}\r\n"));

        let mut out = Vec::new();
        let mut fold = Fold::new(&mut out, "X", false);
        fold.value(&"x".repeat(998));
        assert!(!fold.end());
    }

    #[test]
    fn values_keep_their_white_space() {
        let value = format!("a  b\tc {}  \"d  e\"", "x".repeat(70));
        let folded = field(|fold| fold.value(&value), false);
        assert_eq!(folded.replace("\r\n ", " ").trim_end(), format!("Subject: {value}"));
        assert!(folded.lines().all(|line| line.len() <= WIDTH));
    }
}
