//! The modified UTF-7 of IMAP mailbox names (RFC 3501 §5.1.3), both ways, and the UTF-7 of mail (RFC 2152), read only.

use crate::base::ParseError;

/// The modified base64 alphabet: `,` instead of `/`.
const IMAP: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes a mailbox name in modified UTF-7.
///
/// ```
/// use facteur::text::utf7;
///
/// assert_eq!(utf7::encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
/// assert_eq!(utf7::encode("Q&A"), "Q&-A");
/// ```
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut units: Vec<u16> = Vec::new();
    for character in name.chars() {
        // "Printable US-ASCII characters, except for "&", represent themselves"
        if matches!(character, ' '..='~') {
            write_shifted(&mut out, &mut units);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            units.extend(character.encode_utf16(&mut [0; 2]).iter());
        }
    }
    write_shifted(&mut out, &mut units);
    out
}

fn write_shifted(out: &mut String, units: &mut Vec<u16>) {
    if units.is_empty() {
        return;
    }
    out.push('&');
    let octets: Vec<u8> = units.drain(..).flat_map(u16::to_be_bytes).collect();
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - group.len()));
        for n in 0..=group.len() {
            let value = bits >> (18 - 6 * n) & 63;
            out.push(char::from(IMAP[value as usize])); // six bits
        }
    }
    out.push('-');
}

/// Reads a mailbox name in modified UTF-7, strictly: one name has one form.
///
/// # Errors
/// What was expected, and where: octets beyond printable ASCII, a shift that does not end, base64 for what represents
/// itself, halves of characters, bits left over, or a shift directly after another.
pub fn decode(name: &[u8]) -> Result<String, ParseError> {
    let mut out = String::with_capacity(name.len());
    let mut at = 0;
    // Where the last shift back stood, to find "&AAA-&AAA-" superfluous.
    let mut unshifted = None;
    while let Some(octet) = name.get(at).copied() {
        if octet != b'&' {
            if !matches!(octet, b' '..=b'~') {
                return Err(ParseError { expected: "printable ASCII", at });
            }
            out.push(char::from(octet));
            at += 1;
            continue;
        }
        let from = at + 1;
        let shifted = name.get(from..).unwrap_or_default();
        let Some(len) = memchr::memchr(b'-', shifted) else {
            return Err(ParseError { expected: "the end of the shift", at: name.len() });
        };
        let shifted = shifted.get(..len).unwrap_or_default();
        at = from + len + 1;
        if shifted.is_empty() {
            out.push('&');
            continue;
        }
        // "the superfluous shift sequence "&-&..." must not be used": only one shift for a run.
        if unshifted == Some(from - 1) {
            return Err(ParseError { expected: "one shift for the whole run", at: from - 1 });
        }
        let text = shifted_text(shifted).ok_or(ParseError { expected: "modified base64 of UTF-16", at: from })?;
        if text.chars().any(|character| matches!(character, ' '..='~')) {
            return Err(ParseError { expected: "printable ASCII as itself", at: from });
        }
        out.push_str(&text);
        unshifted = Some(at);
    }
    Ok(out)
}

/// UTF-16 in modified base64 without padding.
fn shifted_text(encoded: &[u8]) -> Option<String> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut units = Vec::with_capacity(encoded.len() * 3 / 8);
    for octet in encoded {
        let value = IMAP.iter().position(|known| known == octet)?;
        bits = bits << 6 | value as u32; // below 64
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count & 0xffff) as u16); // sixteen bits
            bits &= (1 << count) - 1;
        }
    }
    // What is left over is padding: fewer than six bits, all zero.
    if count >= 6 || bits != 0 {
        return None;
    }
    String::from_utf16(&units).ok()
}

/// Reads the UTF-7 of mail (RFC 2152), leniently: what is no shift stays as it stands.
pub(crate) fn decode_mail(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'+', rest) {
        let (plain, shift) = rest.split_at(at);
        out.push_str(&super::charset::guess(plain));
        let shift = shift.get(1..).unwrap_or_default();
        if let [b'-', after @ ..] = shift {
            out.push('+');
            rest = after;
            continue;
        }
        let is_base64 = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
        let len = shift.iter().position(|octet| !is_base64(octet)).unwrap_or(shift.len());
        let (encoded, after) = shift.split_at(len);
        if encoded.is_empty() {
            out.push('+');
            rest = after;
            continue;
        }
        let octets = super::transfer::decode_base64(encoded);
        let units =
            octets.chunks_exact(2).map(|pair| pair.iter().fold(0_u16, |unit, octet| unit << 8 | u16::from(*octet)));
        out.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
        rest = after.strip_prefix(b"-").unwrap_or(after);
    }
    out.push_str(&super::charset::guess(rest));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (name, encoded) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("&", "&-"),
            // RFC 3501 §5.1.3
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("tietäjä", "tiet&AOQ-j&AOQ-"),
            ("😀", "&2D3eAA-"),
            ("a\tb", "a&AAk-b"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            &b"&"[..],
            b"&AOQ",
            b"&AO-",
            b"&AOR-",
            b"&AGEA-",
            b"&2D0-",
            b"&AOQ-&AOQ-",
            b"&*-",
            b"a\tb",
            b"\xc3\xa9",
            // RFC 3501 §5.1.3: "&AGE-" would be "a"
            b"&AGE-",
        ] {
            assert!(decode(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn utf7_of_mail_is_read() {
        // RFC 2152, examples
        assert_eq!(decode_mail(b"A+ImIDkQ."), "A≢Α.");
        assert_eq!(decode_mail(b"Hi Mom -+Jjo--!"), "Hi Mom -☺-!");
        assert_eq!(decode_mail(b"+ZeVnLIqe-"), "日本語");
        assert_eq!(decode_mail(b"1 +- 1 = 2"), "1 + 1 = 2");
        assert_eq!(decode_mail(b"a+"), "a+");
    }
}
