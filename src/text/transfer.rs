//! The content transfer encodings of RFC 2045 §6: base64 and quoted-printable at mail line lengths.
//!
//! Reading is lenient. In base64 every octet outside the alphabet is passed over (RFC 2045 §6.8), padding may be missing,
//! and data that goes on after padding is read on. In quoted-printable a `=` that begins no escape stays as it stands
//! (RFC 2045 §6.7, "a reasonable approach"), hexadecimal digits may be in lower case, and white space at the end of a line
//! is taken away.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use quoted_printable::{InputMode, Options};

/// RFC 2045 §6.8: "encoded lines must be no longer than 76 characters".
pub const LINE: usize = 76;

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
    let mut joined = Vec::with_capacity(encoded.len());
    for line in encoded.split(|octet| *octet == b'\n') {
        joined.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
    match ENGINE.decode(&joined) {
        Ok(octets) => octets,
        Err(_) => decode_damaged_base64(encoded),
    }
}

/// Octet by octet: for what the fast way refuses.
fn decode_damaged_base64(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for octet in encoded {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                // The end of one piece; another may follow.
                flush(&mut octets, bits, count);
                (bits, count) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            flush(&mut octets, bits, count);
            (bits, count) = (0, 0);
        }
    }
    flush(&mut octets, bits, count);
    octets
}

/// The whole octets among `count` groups of six bits.
fn flush(octets: &mut Vec<u8>, bits: u32, count: u32) {
    let whole = count * 6 / 8;
    let bits = bits << (24 - count.min(4) * 6);
    octets.extend(bits.to_be_bytes().iter().skip(1).take(whole as usize));
}

/// Writes base64 in lines of 76 characters, each ended by CRLF.
pub fn encode_base64(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len().div_ceil(57) * (LINE + 2));
    for line in octets.chunks(LINE / 4 * 3) {
        ENGINE.encode_string(line, &mut out);
        out.push_str("\r\n");
    }
    out
}

/// Reads quoted-printable.
///
/// ```
/// use facteur::text::transfer;
///
/// let body = b"Now's the time =\r\nfor all folk to come=20\r\n";
/// assert_eq!(transfer::decode_quoted_printable(body), b"Now's the time for all folk to come \r\n");
/// ```
pub fn decode_quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest);
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        let (line, ending) = match (line.strip_suffix(b"\r"), end) {
            (Some(line), Some(_)) => (line, &b"\r\n"[..]),
            (_, Some(_)) => (line, &b"\n"[..]),
            (_, None) => (line, &b""[..]),
        };
        // RFC 2045 §6.7 (3): white space at the end of a line "must be deleted".
        let line = line.trim_ascii_end();
        match line.strip_suffix(b"=") {
            Some(soft) => decode_escapes(soft, &mut octets),
            None => {
                decode_escapes(line, &mut octets);
                octets.extend_from_slice(ending);
            }
        }
        rest = after.get(1..).unwrap_or_default();
    }
    octets
}

/// Reads the `=XX` of one line.
pub(crate) fn decode_escapes(mut line: &[u8], octets: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'=', line) {
        let (plain, rest) = line.split_at(at);
        octets.extend_from_slice(plain);
        let escape = match rest {
            [_, high, low, after @ ..] => hex(*high, *low).map(|octet| (octet, after)),
            _ => None,
        };
        let (octet, after) = escape.unwrap_or((b'=', rest.get(1..).unwrap_or_default()));
        octets.push(octet);
        line = after;
    }
    octets.extend_from_slice(line);
}

/// The octet that two hexadecimal digits say.
pub(crate) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Writes text as quoted-printable in lines of at most 76 characters. CRLF stays a line break; CR and LF alone are
/// escaped.
pub fn encode_quoted_printable(text: &[u8]) -> String {
    quoted_printable::encode_with_options(text, Options::default().input_mode(InputMode::Text))
}

/// Writes octets as quoted-printable, with every CR and LF escaped.
pub fn encode_quoted_printable_binary(octets: &[u8]) -> String {
    quoted_printable::encode_with_options(octets, Options::default().input_mode(InputMode::Binary))
}

#[cfg(test)]
mod tests {
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
}
