//! IP addresses out of text, as the standard library reads them, which a test checks: SPF records and trace fields are full of
//! them, and these readers take a third of the time.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `192.0.2.1`: the `ip4-network` of RFC 7208 §5.6
#[inline]
pub(crate) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (first, rest) = decimal(text)?;
    let (second, rest) = decimal(rest.strip_prefix(b".")?)?;
    let (third, rest) = decimal(rest.strip_prefix(b".")?)?;
    let (fourth, rest) = decimal(rest.strip_prefix(b".")?)?;
    rest.is_empty().then_some(Ipv4Addr::new(first, second, third, fourth))
}

/// A number up to 255 without zeros before it, and what is behind it: a digit where the number is a longer one.
#[inline]
fn decimal(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |octet: &u8| octet.wrapping_sub(b'0');
    match text {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let number = u16::from(digit(a)) * 100 + u16::from(digit(b) * 10 + digit(c));
            Some((u8::try_from(number).ok()?, rest))
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', rest @ ..] => Some((digit(a) * 10 + digit(b), rest)),
        [a @ b'0'..=b'9', rest @ ..] => Some((digit(a), rest)),
        _ => None,
    }
}

/// An IPv6 address in any of its text forms (RFC 4291 §2.2), without a zone.
#[inline]
pub(crate) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0_u16; 8];
    let mut count = 0;
    // How many groups stand before the double colon.
    let mut gap = None;
    let mut rest = text;
    if let Some(after) = text.strip_prefix(b"::") {
        (gap, rest) = (Some(0), after);
    }
    while !rest.is_empty() {
        let (group, after) = hexadecimal(rest)?;
        if let [b'.', ..] = after {
            let address = ipv4(rest)?.to_bits();
            *groups.get_mut(count)? = (address >> 16) as u16; // its upper half
            *groups.get_mut(count + 1)? = address as u16; // its lower half
            count += 2;
            break;
        }
        *groups.get_mut(count)? = group;
        count += 1;
        rest = match after {
            [] => break,
            [b':', b':', after @ ..] if gap.is_none() => {
                gap = Some(count);
                after
            }
            [b':', after @ ..] if !after.is_empty() => after,
            _ => return None,
        };
    }
    match gap {
        // It stands for one group at least.
        Some(gap) if count < 8 => groups.get_mut(gap..)?.rotate_right(8 - count),
        None if count == 8 => {}
        _ => return None,
    }
    Some(groups.into())
}

/// One to four hexadecimal digits, and what is behind them.
#[inline]
fn hexadecimal(text: &[u8]) -> Option<(u16, &[u8])> {
    let (mut number, mut rest) = (0, text);
    while let [octet, after @ ..] = rest
        && let Some(digit) = char::from(*octet).to_digit(16)
    {
        number = number << 4 | digit;
        rest = after;
        if text.len() - rest.len() > 4 {
            return None;
        }
    }
    (rest.len() < text.len()).then_some((number as u16, rest)) // four digits fit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The readers of the standard library are the slow and obvious ones.
    #[test]
    fn addresses_are_read_as_the_standard_library_reads_them() {
        let mut seed = 11_u64;
        let mut below = |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % limit
        };
        const PIECES: [&str; 20] = [
            ":",
            "::",
            ".",
            "0",
            "1",
            "9",
            "25",
            "255",
            "256",
            "a",
            "F",
            "db8",
            "2001",
            "fffff",
            "g",
            "192.0.2.1",
            "00",
            "1:2:3:4:5:6",
            "::ffff:",
            "/",
        ];
        let (mut sound4, mut sound6) = (0, 0);
        for round in 0..200_000 {
            let few = 1 + below(PIECES.len());
            let text: String = match round % 4 {
                0 => (0..4).map(|_| below(300).to_string()).collect::<Vec<_>>().join("."),
                1 => (0..7 + below(3)).map(|_| format!("{:x}", below(70_000))).collect::<Vec<_>>().join(":"),
                _ => (0..below(9)).map(|_| PIECES[below(few)]).collect(),
            };
            let (v4, v6) = (text.parse::<Ipv4Addr>().ok(), text.parse::<Ipv6Addr>().ok());
            assert_eq!(ipv4(text.as_bytes()), v4, "{text}");
            assert_eq!(ipv6(text.as_bytes()), v6, "{text}");
            sound4 += usize::from(v4.is_some());
            sound6 += usize::from(v6.is_some());
        }
        assert!(sound4 > 1000 && sound6 > 1000, "{sound4} {sound6}");
    }

    #[test]
    fn dotted_addresses_are_those_of_std() {
        let numbers =
            ["", "0", "00", "01", "1", "9", "10", "099", "100", "249", "255", "256", "999", "1000", "x", "+1"];
        for a in numbers {
            for b in numbers {
                for text in
                    [format!("{a}.{b}.2.1"), format!("1.2.{a}.{b}"), format!("{a}.{b}"), format!("1.2.3.{a}.{b}")]
                {
                    assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text}");
                }
            }
        }
    }
}
