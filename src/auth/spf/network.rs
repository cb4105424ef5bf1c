//! The networks that the terms of a record name (RFC 7208 §5.6), and their prefix lengths.

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
