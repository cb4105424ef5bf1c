//! Strings, atoms and texts, written in the plainest form that holds them (RFC 3501 §9).

use std::fmt::{self, Write as _};

use bytes::Bytes;

use super::Code;
use crate::base::Wire;
use crate::text::utf7;

/// Strings longer than this are written as literals; clients with short line buffers exist.
const MAX_QUOTED: usize = 1000;

/// `resp-cond-state CRLF`, the condition written already: `[SP code] SP text CRLF`
pub(in crate::imap) fn resp_text(wire: &mut Wire, code: Option<&Code>, text: &str) {
    if let Some(code) = code {
        print(wire, format_args!(" [{code}]"));
    }
    wire.out(b" ");
    // A text that starts with a bracket would be read as a code where there is none.
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'[' if at == 0 => wire.out(b"("),
            b' '..=b'~' => wire.out(&[octet]),
            _ => wire.out(b"?"),
        }
    }
    if text.is_empty() {
        wire.out(b"-"); // text = 1*TEXT-CHAR
    }
    wire.out(b"\r\n");
}

/// `string`: quoted where it can be.
pub(in crate::imap) fn string(wire: &mut Wire, octets: &[u8]) {
    // RFC 3501 §9: QUOTED-CHAR is 7-bit and holds no CR or LF
    if octets.len() > MAX_QUOTED || !octets.iter().all(|octet| matches!(octet, b'\t' | b' '..=b'~')) {
        return literal(wire, Bytes::copy_from_slice(octets));
    }
    wire.out(b"\"");
    for octet in octets {
        if matches!(octet, b'"' | b'\\') {
            wire.out(b"\\");
        }
        wire.out(&[*octet]);
    }
    wire.out(b"\"");
}

/// `literal = "{" number "}" CRLF *CHAR8`. RFC 3501 §9: NUL "MUST NOT be used at any time", so a content that holds it is sent
/// with each NUL made 0x80, as other servers do; the length stays what was told by RFC822.SIZE.
pub(in crate::imap) fn literal(wire: &mut Wire, octets: Bytes) {
    print(wire, format_args!("{{{}}}\r\n", octets.len()));
    match memchr::memchr(0, &octets) {
        None => wire.out_shared(octets),
        Some(_) => wire.out(&octets.iter().map(|octet| if *octet == 0 { 0x80 } else { *octet }).collect::<Vec<u8>>()),
    }
}

/// `astring`: an atom where it can be.
pub(in crate::imap) fn astring(wire: &mut Wire, octets: &[u8]) {
    let atom = !octets.is_empty() && octets.len() <= MAX_QUOTED && octets.iter().copied().all(is_astring_char);
    // An atom NIL is a string here, but not every reader knows.
    if atom && !octets.eq_ignore_ascii_case(b"NIL") { wire.out(octets) } else { string(wire, octets) }
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub(in crate::imap) fn is_astring_char(octet: u8) -> bool {
    octet == b']' || is_atom_char(octet)
}

/// `ATOM-CHAR = <any CHAR except atom-specials>`
pub(in crate::imap) fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

/// `mailbox = "INBOX" / astring`, in modified UTF-7 (RFC 3501 §5.1.3).
pub(in crate::imap) fn mailbox_name(wire: &mut Wire, name: &str) {
    astring(wire, utf7::encode(name).as_bytes());
}

/// `nstring = string / nil`
pub(in crate::imap) fn nstring(wire: &mut Wire, octets: Option<&Bytes>) {
    match octets {
        Some(octets) => string(wire, octets),
        None => wire.out(b"NIL"),
    }
}

/// Writing to a [`Wire`] cannot fail.
pub(in crate::imap) fn print(wire: &mut Wire, text: fmt::Arguments<'_>) {
    let _ = wire.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_break_out_of_their_line() {
        for (text, expected) in [
            ("plain", " plain\r\n"),
            ("", " -\r\n"),
            ("[ALERT] x", " (ALERT] x\r\n"),
            ("a\r\n* BYE\tx", " a??* BYE?x\r\n"),
            ("naïve", " na??ve\r\n"),
        ] {
            let mut wire = Wire::new();
            resp_text(&mut wire, None, text);
            assert_eq!(wire.outgoing(), expected.as_bytes(), "{text:?}");
        }
    }
}
