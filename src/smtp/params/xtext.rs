//! Text in parameters: `xtext` of RFC 3461 §4, and what RFC 6533 §3 makes of it for UTF-8.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::address::Name;
use crate::base::eight::{Eight, up_to};
use crate::text::transfer::text;

/// `xtext = *( xchar / hexchar )` (RFC 3461 §4), decoded. `None` where it is malformed or is no UTF-8.
pub(crate) fn xtext(value: &[u8]) -> Option<Name> {
    plain_or_decoded(value).map(|text| match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    })
}

/// The same, borrowed where nothing had to be decoded: then all of it are `xchar`s.
pub(super) fn plain_or_decoded(value: &[u8]) -> Option<Cow<'_, str>> {
    let (plain, mut rest) = up_to(value, |octets| Eight::ALL & !are_xchars(octets));
    if rest.is_empty() {
        return text(plain).map(Cow::Borrowed);
    }
    let mut text = Vec::with_capacity(value.len());
    text.extend_from_slice(plain);
    loop {
        rest = match rest {
            [] => return String::from_utf8(text).ok().map(Cow::Owned),
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
    are_xchars(Eight::split(&[octet]).0) != 0
}

/// Which are such.
#[inline(always)]
fn are_xchars(octets: Eight) -> u64 {
    octets.are_among(33, 126) & !octets.are(b'+') & !octets.are(b'=')
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
