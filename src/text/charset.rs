//! Charset label to text, over encoding_rs (the WHATWG Encoding Standard), with the few labels that mail has on top.
//!
//! Three rules where labels lie: `us-ascii` and no label mean "ASCII, or whatever it is" ([`guess`]); a label that nobody
//! knows is treated as no label; octets that the charset has no character for become U+FFFD.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Labels seen in mail that the Encoding Standard does not list.
const ALIASES: [(&str, &str); 14] = [
    ("ansi", "windows-1252"),
    ("cp-850", "windows-1252"),
    ("cp1250_win", "windows-1250"),
    ("cp936", "gbk"),
    ("cp932", "shift_jis"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("eucjp", "euc-jp"),
    ("iso8859_1", "iso-8859-1"),
    ("latin-1", "iso-8859-1"),
    ("ms932", "shift_jis"),
    ("utf8mb4", "utf-8"),
    ("utf_8", "utf-8"),
    ("win-1251", "windows-1251"),
];

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text that `octets` are in the charset named `label`. A byte order mark is taken away, and believed.
///
/// ```
/// use facteur::text::charset;
///
/// assert_eq!(charset::decode("iso-8859-1", b"caf\xe9"), "café");
/// assert_eq!(charset::decode("x-unknown", "café".as_bytes()), "café");
/// assert_eq!(charset::decode("utf-7", b"caf+AOk-"), "café");
/// ```
pub fn decode<'a>(label: &str, octets: &'a [u8]) -> Cow<'a, str> {
    let label = label.trim();
    if label.is_empty() || is_ascii(label) {
        return guess(octets);
    }
    if is_utf8(label)
        && let Some(text) = valid(octets)
    {
        return Cow::Borrowed(text);
    }
    if is_utf7(label) {
        return Cow::Owned(super::utf7::decode_mail(octets));
    }
    match encoding(label) {
        // RFC 2781 §4.3: without a mark the text SHOULD be read as big-endian.
        Some(encoding) if encoding == UTF_16LE && label.eq_ignore_ascii_case("utf-16") => UTF_16BE.decode(octets).0,
        Some(encoding) => encoding.decode(octets).0,
        None => guess(octets),
    }
}

/// As [`decode`], in the memory of the octets where they are the text already.
pub(crate) fn decode_owned(label: &str, octets: Vec<u8>) -> String {
    if octets.is_ascii() && (label.trim().is_empty() || is_ascii(label.trim()) || is_utf8(label.trim())) {
        return String::from_utf8(octets).unwrap_or_default(); // ASCII
    }
    decode(label, &octets).into_owned()
}

/// The octets as text, where they are UTF-8 without a byte order mark.
fn valid(octets: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(octets).ok().filter(|_| !octets.starts_with(MARK))
}

/// The text of octets that no label explains: UTF-8 where they are valid UTF-8, else windows-1252, in which every octet
/// is some character.
pub fn guess(octets: &[u8]) -> Cow<'_, str> {
    let octets = octets.strip_prefix(MARK).unwrap_or(octets);
    match simdutf8::basic::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

/// Whether [`decode`] has a rule for this label. `us-ascii` is known.
pub fn is_known(label: &str) -> bool {
    let label = label.trim();
    is_ascii(label) || is_utf7(label) || encoding(label).is_some()
}

fn is_ascii(label: &str) -> bool {
    ["us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us", "7bit", "default", "unknown-8bit"]
        .iter()
        .any(|known| label.eq_ignore_ascii_case(known))
}

fn is_utf8(label: &str) -> bool {
    label.eq_ignore_ascii_case("utf-8") || label.eq_ignore_ascii_case("utf8")
}

fn is_utf7(label: &str) -> bool {
    ["utf-7", "utf7", "unicode-1-1-utf-7"].iter().any(|known| label.eq_ignore_ascii_case(known))
}

fn encoding(label: &str) -> Option<&'static Encoding> {
    let find = |label: &str| Encoding::for_label(label.as_bytes());
    let encoding = find(label).or_else(|| {
        let (_, standard) = ALIASES.iter().find(|(alias, _)| label.eq_ignore_ascii_case(alias))?;
        find(standard)
    })?;
    // The standard names some encodings only to refuse them; a guess shows more.
    (encoding != REPLACEMENT).then_some(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_guesses() {
        for (label, octets, text) in [
            ("utf-8", &b"\xef\xbb\xbfa\xc3\xa9"[..], "aé"),
            ("UTF8", b"\xc3\xa9", "é"),
            ("iso-8859-15", b"\xa4", "€"),
            ("latin-1", b"\xe9", "é"),
            ("us-ascii", b"\xc3\xa9", "é"),
            ("us-ascii", b"\xe9", "é"),
            ("", b"\x80", "€"),
            ("no-such-charset", b"\xe9", "é"),
            ("iso-2022-jp", b"\x1b$B8@8l\x1b(B", "言語"),
            ("koi8-r", b"\xf0\xd2", "Пр"),
            ("utf-16", b"\0a\0b", "ab"),
            ("utf-16", b"\xff\xfea\0b\0", "ab"),
            ("utf-16le", b"a\0b\0", "ab"),
            ("utf-8", b"a\xffb", "a\u{fffd}b"),
        ] {
            assert_eq!(decode(label, octets), text, "{label}");
        }
        assert!(is_known(" UTF-8 ") && is_known("us-ascii") && is_known("utf-7") && !is_known("hz-gb-2312"));
    }
}
