//! Charset label to text, over encoding_rs (the WHATWG Encoding Standard), with the labels and charsets that mail has on top.
//!
//! Three rules where labels lie: `us-ascii` and no label mean "ASCII, or whatever it is" ([`guess`]); a label that nobody
//! knows is treated as no label; octets that the charset has no character for become U+FFFD.

use std::borrow::Cow;

use encoding_rs::{Encoding, ISO_2022_JP, REPLACEMENT, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::legacy::Legacy;
use super::transfer::{decode_latin1, text, utf8};

/// Labels seen in mail that the Encoding Standard does not list, of which only letters, in lower case, and digits are left.
const ALIASES: [(&str, &str); 45] = [
    ("ansi", "windows-1252"),
    ("big5eten", "big5"),
    ("big5hkscs", "big5"),
    ("cngb", "gbk"),
    ("cp1250win", "windows-1250"),
    ("cp20866", "koi8-r"),
    ("cp21866", "koi8-u"),
    ("cp50220", "iso-2022-jp"),
    ("cp50221", "iso-2022-jp"),
    ("cp50222", "iso-2022-jp"),
    ("cp51932", "euc-jp"),
    ("cp51949", "euc-kr"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("eucjp", "euc-jp"),
    ("eucjpms", "euc-jp"),
    ("ujis", "euc-jp"),
    ("euckr", "euc-kr"),
    ("euccn", "gbk"),
    ("iso2022jp1", "iso-2022-jp"),
    ("iso2022jp2", "iso-2022-jp"),
    ("iso2022jp3", "iso-2022-jp"),
    ("iso2022jp2004", "iso-2022-jp"),
    ("iso2022jpms", "iso-2022-jp"),
    ("junet", "iso-2022-jp"),
    ("koi8r", "koi8-r"),
    ("koi8ru", "koi8-u"),
    ("koi8u", "koi8-u"),
    ("ksc5601", "euc-kr"),
    ("ksc56011987", "euc-kr"),
    ("latin0", "iso-8859-15"),
    ("latin7", "iso-8859-13"),
    ("latin8", "iso-8859-14"),
    ("latin9", "iso-8859-15"),
    ("latin10", "iso-8859-16"),
    ("macroman", "macintosh"),
    ("mskanji", "shift_jis"),
    ("shiftjis", "shift_jis"),
    ("sjis", "shift_jis"),
    ("tis620", "windows-874"),
    ("uhc", "euc-kr"),
    ("unicode11utf8", "utf-8"),
    ("utf8mb4", "utf-8"),
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
    // As nearly all of it comes.
    if label.is_empty() || label.eq_ignore_ascii_case("us-ascii") {
        return guess(octets);
    }
    if is_utf8(label)
        && let Some(text) = valid(octets)
    {
        return Cow::Borrowed(text);
    }
    decode_found(label, octets)
}

/// As [`decode`] by the table of labels.
#[inline(never)]
fn decode_found<'a>(label: &str, octets: &'a [u8]) -> Cow<'a, str> {
    if is_utf8(label.trim())
        && let Some(text) = valid(octets)
    {
        return Cow::Borrowed(text);
    }
    match find(label) {
        None | Some(Charset::Ascii) => guess(octets),
        Some(Charset::Utf7) => Cow::Owned(super::utf7::decode_mail(octets)),
        Some(Charset::Legacy(legacy)) => Cow::Owned(legacy.decode(octets)),
        Some(Charset::Utf16) => utf16(octets),
        Some(Charset::Web(encoding)) if encoding == WINDOWS_1252 && Encoding::for_bom(octets).is_none() => {
            windows_1252(octets)
        }
        Some(Charset::Web(encoding)) if encoding == ISO_2022_JP => iso_2022_jp(octets),
        Some(Charset::Web(encoding)) => encoding.decode(octets).0,
    }
}

/// As [`decode`] for text that is no file but a piece of a line: a byte order mark is a character like others there.
pub(crate) fn decode_piece<'a>(label: &str, octets: &'a [u8]) -> Cow<'a, str> {
    if is_utf8(label)
        && let Some(text) = text(octets)
    {
        return Cow::Borrowed(text);
    }
    match find(label) {
        None | Some(Charset::Ascii) => guess_piece(octets),
        Some(Charset::Web(encoding)) if encoding == ISO_2022_JP => iso_2022_jp(octets),
        Some(Charset::Web(encoding)) => encoding.decode_without_bom_handling(octets).0,
        _ => decode(label, octets),
    }
}

/// As [`decode`], in the memory of the octets where they are the text already.
pub(crate) fn decode_owned(label: &str, octets: Vec<u8>) -> String {
    let name = label.trim();
    if (name.is_empty() || is_ascii(name) || is_utf8(name)) && !octets.starts_with(MARK) {
        return utf8(octets).unwrap_or_else(|octets| decode(label, &octets).into_owned());
    }
    decode(label, &octets).into_owned()
}

/// The octets as text, where they are UTF-8 without a byte order mark.
fn valid(octets: &[u8]) -> Option<&str> {
    text(octets).filter(|_| !octets.starts_with(MARK))
}

/// What windows-1252 says, which is ISO-8859-1 but for 32 octets; in vectors where there are some.
fn windows_1252(octets: &[u8]) -> Cow<'_, str> {
    let ascii = Encoding::ascii_valid_up_to(octets);
    if ascii == octets.len() || octets.len() < 256 {
        return WINDOWS_1252.decode_without_bom_handling(octets).0;
    }
    let mut text = Vec::with_capacity(octets.len() + octets.len() / 16 + 192);
    let mut rest = octets;
    while !rest.is_empty() {
        (_, rest) = rest.split_at(decode_latin1(rest, &mut text));
        let (some, after) = rest.split_at(rest.len().min(64));
        text.extend_from_slice(WINDOWS_1252.decode_without_bom_handling(some).0.as_bytes());
        rest = after;
    }
    match utf8(text) {
        Ok(text) => Cow::Owned(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

/// The text of octets that no label explains: UTF-8 where they are valid UTF-8, else windows-1252, in which every octet
/// is some character.
pub fn guess(octets: &[u8]) -> Cow<'_, str> {
    guess_piece(octets.strip_prefix(MARK).unwrap_or(octets))
}

/// As [`guess`], a byte order mark kept.
pub(crate) fn guess_piece(octets: &[u8]) -> Cow<'_, str> {
    match text(octets) {
        Some(text) => Cow::Borrowed(text),
        None => windows_1252(octets),
    }
}

/// The octets as text, where they are UTF-8.
#[inline]
pub(crate) fn utf8_text(octets: &[u8]) -> Option<&str> {
    text(octets)
}

/// Whether [`decode`] has a rule for this label. `us-ascii` is known.
pub fn is_known(label: &str) -> bool {
    find(label).is_some()
}

/// Who decodes.
enum Charset {
    Ascii,
    Utf7,
    /// Of which nobody said which octet comes first.
    Utf16,
    Web(&'static Encoding),
    Legacy(Legacy),
}

/// RFC 2781 §4.3: without a mark the text SHOULD be read as big-endian.
fn utf16(octets: &[u8]) -> Cow<'_, str> {
    UTF_16BE.decode(octets).0
}

/// Of two escapes in a row the first has no effect (RFC 1468), but to the Encoding Standard it is an error. Programs write
/// them between each two characters, and where lines or encoded words are joined there are some.
fn iso_2022_jp(octets: &[u8]) -> Cow<'_, str> {
    let escape =
        |at| matches!(octets.get(at..at + 3), Some([0x1b, b'(', b'B' | b'I' | b'J'] | [0x1b, b'$', b'@' | b'B']));
    let mut needed = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(octet) = rest.first() {
        let at = octets.len() - rest.len();
        let len = if escape(at) && escape(at + 3) {
            3
        } else {
            needed.push(*octet);
            1
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    Cow::Owned(ISO_2022_JP.decode_without_bom_handling(&needed).0.into_owned())
}

fn find(label: &str) -> Option<Charset> {
    let label = label.trim_matches(|character: char| character.is_whitespace() || matches!(character, '"' | '\''));
    // The standard names some encodings only to refuse them.
    let web = |label: &str| Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != REPLACEMENT);
    if label.is_empty() || is_ascii(label) {
        return Some(Charset::Ascii);
    }
    if let Some(encoding) = web(label) {
        let open = encoding == UTF_16LE
            && ["utf-16", "ucs-2", "iso-10646-ucs-2"].iter().any(|open| label.eq_ignore_ascii_case(open));
        return Some(if open { Charset::Utf16 } else { Charset::Web(encoding) });
    }
    // However it is spelt: no label is longer than this.
    let key: String =
        label.chars().take(50).filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let key = key.strip_prefix('x').unwrap_or(&key);
    if matches!(key, "utf7" | "unicode11utf7" | "csunicode11utf7" | "unicode20utf7") {
        return Some(Charset::Utf7);
    }
    if matches!(key, "utf16" | "ucs2" | "iso10646ucs2") {
        return Some(Charset::Utf16);
    }
    let alias = |key: &str| ALIASES.iter().find(|(alias, _)| key == *alias).map(|(_, standard)| *standard);
    // `windows-932`, `ms936`, `x-ms-cp949`, `dos-866`: the code page of that number.
    let page = ["windows", "mscp", "ms", "ibm", "dos"].iter().find_map(|prefix| key.strip_prefix(prefix));
    let page = page.map(|number| format!("cp{number}")).unwrap_or_default();
    let found = web(key).or_else(|| web(alias(key)?)).or_else(|| web(&numbered(key)?));
    if let Some(encoding) = found.or_else(|| web(&page)).or_else(|| web(alias(&page)?)) {
        return Some(Charset::Web(encoding));
    }
    Legacy::of(key).or_else(|| Legacy::of(&page)).map(Charset::Legacy)
}

/// `iso88591`, `iso885911987`, `win1251`, `cp1252`, `ibm1250`, `1251`: the standard label.
fn numbered(key: &str) -> Option<String> {
    if let Some(number) = key.strip_prefix("iso8859") {
        // A year may follow: ISO_8859-1:1987.
        let year = number.len().checked_sub(4).filter(|at| *at > 0).and_then(|at| number.split_at_checked(at));
        let number =
            year.filter(|(_, year)| year.starts_with("19") || year.starts_with("20")).map_or(number, |(n, _)| n);
        return Some(format!("iso-8859-{number}"));
    }
    let number = ["windows", "win", "cp", "ms", "ibm", ""].iter().find_map(|prefix| key.strip_prefix(prefix))?;
    Some(format!("windows-{number}"))
}

fn is_ascii(label: &str) -> bool {
    [
        "us-ascii",
        "ascii",
        "ansi_x3.4-1968",
        "iso646-us",
        "7bit",
        "8bit",
        "default",
        "unknown-8bit",
        "x-unknown",
        "unknown",
    ]
    .iter()
    .any(|known| label.eq_ignore_ascii_case(known))
}

fn is_utf8(label: &str) -> bool {
    label.eq_ignore_ascii_case("utf-8") || label.eq_ignore_ascii_case("utf8")
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
            // RFC 1468: an escape before an escape says nothing.
            ("iso-2022-jp", b"\x1b(J\x1b$B8@\x1b(J\x1b(B\x1b$B8l\x1b(B\x1b(J", "言語"),
            ("koi8-r", b"\xf0\xd2", "Пр"),
            ("utf-16", b"\0a\0b", "ab"),
            ("utf-16", b"\xff\xfea\0b\0", "ab"),
            ("utf-16le", b"a\0b\0", "ab"),
            ("utf-8", b"a\xffb", "a\u{fffd}b"),
        ] {
            assert_eq!(decode(label, octets), text, "{label}");
            assert_eq!(decode_owned(label, octets.to_vec()), text, "{label}");
        }
        assert!(is_known(" UTF-8 ") && is_known("us-ascii") && is_known("utf-7") && !is_known("x-mac-klingon"));
    }

    #[test]
    fn windows_1252_is_read_in_all_ways_alike() {
        let usual = "une caf\u{e9}ti\u{e8}re, \u{a0}\u{ff} and so on. ".repeat(30);
        let usual: Vec<u8> = usual.chars().map(|character| character as u8).collect();
        for odd in [&b""[..], b"\x80", b"\x9f\x81", b"\xa0", &[0xe9; 70], &[b'x'; 70], &[0x80; 70]] {
            for at in (0..usual.len()).step_by(if cfg!(miri) { 101 } else { 1 }) {
                let (before, after) = usual.split_at(at);
                let octets = [before, odd, after].concat();
                let expected = WINDOWS_1252.decode_without_bom_handling(&octets).0;
                assert_eq!(windows_1252(&octets), expected);
                assert_eq!(decode("iso-8859-1", &octets), expected);
            }
        }
    }

    #[test]
    fn labels_are_known_however_they_are_spelt() {
        for (spellings, octets, text) in [
            (
                &["utf8", "UTF_8", "utf-8 ", "\"utf-8\"", "x-utf-8", "utf8mb4", "unicode-1-1-utf-8"][..],
                &b"\xc3\xa9"[..],
                "é",
            ),
            (
                &[
                    "ISO8859-1",
                    "iso88591",
                    "ISO_8859-1:1987",
                    "iso8859_1",
                    "latin1",
                    "latin-1",
                    "cp1252",
                    "windows1252",
                    "x-ansi",
                ],
                b"\xe9",
                "é",
            ),
            (&["iso-8859-15", "ISO885915", "latin-9", "latin9", "iso8859_15"], b"\xa4", "€"),
            (
                &["windows-1251", "win-1251", "cp1251", "cp-1251", "x-cp1251", "WINDOWS1251", "ms-1251", "1251"],
                b"\xcf",
                "П",
            ),
            (&["koi8-r", "KOI8R", "koi8_r", "cskoi8r", "cp20866"], b"\xf0", "П"),
            (&["cp866", "ibm866", "dos-866", "866"], b"\x8f", "П"),
            (&["gb2312", "GBK", "cp936", "x-gbk", "EUC-CN", "gb_2312-80", "gb18030", "ms936"], b"\xbc\xba", "己"),
            (&["big5", "BIG5-HKSCS", "cp950", "x-x-big5", "big-5", "x-windows-950"], b"\xa4\xa4", "中"),
            (&["shift_jis", "Shift-JIS", "x-sjis", "MS932", "windows-31j", "cp932", "sjis"], b"\x82\xa0", "あ"),
            (&["windows-932", "x-ms-cp932", "ibm932", "ms-kanji", "x-shift-jis"], b"\x82\xa0", "あ"),
            (&["euc-jp", "EUCJP", "x-euc-jp", "ujis", "eucJP-ms"], b"\xa4\xa2", "あ"),
            (&["iso-2022-jp", "ISO-2022-JP-2", "cp50221", "csiso2022jp"], b"\x1b$B$\"\x1b(B", "あ"),
            (&["euc-kr", "ks_c_5601-1987", "ks-c-5601-1987", "cp949", "uhc", "ksc5601"], b"\xb0\xa1", "가"),
            (&["tis-620", "windows-874", "cp874", "iso-8859-11"], b"\xa1", "ก"),
            (&["utf-16", "UTF16", "utf-16be", "ucs-2", "ISO-10646-UCS-2"], b"\0a", "a"),
            (&["utf-7", "UTF7", "x-utf-7", "unicode-1-1-utf-7"], b"+AOk-", "é"),
            (&["macintosh", "x-mac-roman", "MacRoman"], b"\x8e", "é"),
            (&["cp850", "ibm850", "CP-850", "IBM-850"], b"\x94", "ö"),
            (&["hz-gb-2312"], b"~{<:~}", "己"),
        ] {
            for label in spellings {
                assert!(is_known(label), "{label}");
                assert_eq!(decode(label, octets), text, "{label}");
            }
        }
    }

    #[test]
    fn a_mark_of_byte_order_is_taken_from_files_and_left_in_lines() {
        assert_eq!(decode("utf-8", b"\xef\xbb\xbfa"), "a");
        assert_eq!(decode("", b"\xef\xbb\xbfa"), "a");
        assert_eq!(decode_piece("utf-8", b"\xef\xbb\xbfa"), "\u{feff}a");
        assert_eq!(decode_piece("", b"\xef\xbb\xbfa"), "\u{feff}a");
        assert_eq!(decode_piece("iso-8859-1", b"\xff\xfea"), "ÿþa");
        assert_eq!(decode_piece("utf-16", b"\xff\xfea\0"), "a");
    }
}
