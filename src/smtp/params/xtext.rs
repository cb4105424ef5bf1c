//! Text in parameters: `xtext` of RFC 3461 §4, and what RFC 6533 §3 makes of it for UTF-8.

use std::fmt::{self, Write as _};

use crate::address::Name;
use crate::base::sixteen::{Sixteen, up_to};
use crate::text::transfer::text;

/// `xtext = *( xchar / hexchar )` (RFC 3461 §4), decoded. `None` where it is malformed or is no UTF-8.
pub(crate) fn xtext(value: &[u8]) -> Option<Name> {
    match plain(value) {
        Some(text) => Some(text.into()),
        None => decoded(value),
    }
}

/// `*xchar`, in which there is nothing to decode.
#[inline]
pub(super) fn plain(value: &[u8]) -> Option<&str> {
    match up_to(value, are_no_xchars) {
        (_, []) => text(value),
        _ => None,
    }
}

fn decoded(value: &[u8]) -> Option<Name> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        rest = match rest {
            [] => return String::from_utf8(text).ok().map(Name::from),
            // hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
            [b'+', high, low, rest @ ..] => {
                text.push(upper_hex(*high)? << 4 | upper_hex(*low)?);
                rest
            }
            [octet, rest @ ..] if is_xchar(*octet) => {
                text.push(*octet);
                rest
            }
            _ => return None,
        }
    }
}

/// `xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="`
fn is_xchar(octet: u8) -> bool {
    are_no_xchars(Sixteen::split(&[octet]).0) & 1 == 0
}

/// Which are none.
#[inline(always)]
fn are_no_xchars(octets: Sixteen) -> u32 {
    (octets.are_among(0, b' ') | octets.are(b'+') | octets.are(b'=') | octets.are_among(0x7f, 0xff)).bits()
}

fn upper_hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// `utf-8-enc-addr` (RFC 6533 §3), decoded: what stands in `\x{…}` is a code point.
pub(super) fn unitext(value: &[u8]) -> Option<Name> {
    let mut text = String::with_capacity(value.len());
    let mut rest = std::str::from_utf8(value).ok()?;
    while let Some(character) = rest.chars().next() {
        if character == '\\' {
            let (point, after) = rest.strip_prefix("\\x{")?.split_once('}')?;
            // HEXPOINT: 2 to 6 upper case digits.
            if !(2..=6).contains(&point.len()) || !point.bytes().all(|octet| upper_hex(octet).is_some()) {
                return None;
            }
            text.push(char::from_u32(u32::from_str_radix(point, 16).ok()?)?);
            rest = after;
        } else if matches!(character, '!'..='*' | ',' ..='<' | '>' ..='~' | '\u{80}'..) {
            text.push(character);
            rest = rest.strip_prefix(character)?;
        } else {
            return None;
        }
    }
    Some(text.into())
}

/// Text written as xtext.
pub(crate) struct Xtext<'a>(pub(crate) &'a str);

impl fmt::Display for Xtext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0.bytes() {
            match octet {
                octet if is_xchar(octet) => f.write_char(char::from(octet))?,
                _ => write!(f, "+{octet:02X}")?,
            }
        }
        Ok(())
    }
}
