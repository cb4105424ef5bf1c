//! The networks that the terms of a record name (RFC 7208 §5.6), and their prefix lengths.
//!
//! The readers of addresses are those of the standard library in what they take, which a test checks; a record is full of
//! addresses, and these take a third of the time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::base::ParseError;

/// `dual-cidr-length`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

impl Prefix {
    /// Whether `ip` is in the network around `other`.
    pub(super) fn matches(self, ip: IpAddr, other: IpAddr) -> bool {
        match (ip, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => in_network4(a, b, self.v4),
            (IpAddr::V6(a), IpAddr::V6(b)) => in_network6(a, b, self.v6),
            _ => false,
        }
    }
}

pub(super) fn in_network4(ip: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let other = ip.to_bits() ^ network.to_bits();
    other.checked_shr(32 - u32::from(prefix.min(32))).is_none_or(|high| high == 0)
}

pub(super) fn in_network6(ip: Ipv6Addr, network: Ipv6Addr, prefix: u8) -> bool {
    let other = ip.to_bits() ^ network.to_bits();
    other.checked_shr(128 - u32::from(prefix.min(128))).is_none_or(|high| high == 0)
}

/// `ip4-network = qnum "." qnum "." qnum "." qnum`
#[inline]
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut dots) = (0_u32, 0);
    // The part that is read, and how many digits it has so far.
    let (mut part, mut digits) = (0_u32, 0);
    for octet in text {
        match octet {
            // No digit follows a zero at the start.
            b'0'..=b'9' if digits == 0 || (1..=25).contains(&part) => {
                part = part * 10 + u32::from(octet - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && part <= 255 && dots < 3 => {
                address = address << 8 | part;
                dots += 1;
                (part, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    (digits > 0 && part <= 255 && dots == 3).then_some(Ipv4Addr::from_bits(address << 8 | part))
}

/// `ip6-network`: an IPv6 address in any of its text forms.
#[inline]
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
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

/// `dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]` at the end of a term, and where it begins. It is looked
/// for from the end, because a domain-spec can hold slashes too.
pub(super) fn dual_cidr_length(text: &[u8], at: Range<usize>) -> Result<(usize, Prefix), ParseError> {
    let mut prefix = Prefix { v4: 32, v6: 128 };
    let mut end = at.end;
    let doubled = |slash: &usize| *slash > at.start && text.get(slash - 1) == Some(&b'/');
    if let Some(slash) = length_at_end(text, at.start..end).filter(doubled) {
        prefix.v6 = cidr_length(text, slash + 1..end, 128)?;
        end = slash - 1;
    }
    if let Some(slash) = length_at_end(text, at.start..end) {
        prefix.v4 = cidr_length(text, slash + 1..end, 32)?;
        end = slash;
    }
    Ok((end, prefix))
}

/// Where the slash is, if the text ends with a slash and digits.
fn length_at_end(text: &[u8], at: Range<usize>) -> Option<usize> {
    let part = text.get(at.clone())?;
    let digits = part.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
    let slash = at.end.checked_sub(digits + 1).filter(|slash| *slash >= at.start)?;
    (digits > 0 && text.get(slash) == Some(&b'/')).then_some(slash)
}

/// `"0" / %x31-39 0*2DIGIT`, at most `most`.
#[inline]
pub(super) fn cidr_length(text: &[u8], at: Range<usize>, most: u8) -> Result<u8, ParseError> {
    let digits = text.get(at.clone()).unwrap_or_default();
    let value = match digits {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 3 => digits.iter().try_fold(0_u16, |value, digit| match digit {
            b'0'..=b'9' => Some(value * 10 + u16::from(digit - b'0')),
            _ => None,
        }),
        _ => None,
    };
    match value.map(u8::try_from) {
        Some(Ok(value)) if value <= most => Ok(value),
        _ => Err(ParseError { expected: "a prefix length", at: at.start }),
    }
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
    fn networks_are_compared_by_their_prefix() {
        let v4 = |a: &str, b: &str, prefix| in_network4(a.parse().unwrap(), b.parse().unwrap(), prefix);
        assert!(v4("192.0.2.77", "192.0.2.0", 24) && v4("1.2.3.4", "9.9.9.9", 0) && v4("1.2.3.4", "1.2.3.4", 32));
        assert!(!v4("192.0.3.77", "192.0.2.0", 24) && !v4("1.2.3.5", "1.2.3.4", 32));
        let v6 = |a: &str, b: &str, prefix| in_network6(a.parse().unwrap(), b.parse().unwrap(), prefix);
        assert!(v6("2001:db8::1", "2001:db8::", 32) && v6("::1", "ff::", 0) && v6("::1", "::1", 128));
        assert!(!v6("2001:db9::1", "2001:db8::", 32) && !v6("::2", "::1", 128));
    }
}
