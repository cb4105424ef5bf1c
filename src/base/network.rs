//! IP networks: an address and how many of its leading bits count (RFC 4632 §3.1).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::base::ParseError;

/// A network, or one address where all bits count. An IPv4 network has the IPv4-mapped addresses of IPv6 in it, too.
///
/// ```
/// use facteur::base::Network;
///
/// let network: Network = "192.0.2.0/24".parse()?;
/// assert!(network.contains([192, 0, 2, 77].into()));
/// assert!(!network.contains([192, 0, 3, 77].into()));
/// assert_eq!(network.to_string(), "192.0.2.0/24");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    /// Of the 32 or 128 bits.
    prefix: u8,
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = |one: u128, other: u128, width: u32| {
            // All bits are shifted out where none counts.
            (one ^ other).checked_shr(width - u32::from(self.prefix)).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => differing(own.to_bits().into(), other.to_bits().into(), 32) == 0,
            (IpAddr::V6(own), IpAddr::V6(other)) => differing(own.to_bits(), other.to_bits(), 128) == 0,
            _ => false,
        }
    }
}

/// The network of this address alone.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fault = ParseError { expected: "a network such as 192.0.2.0/24", at: 0 };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| fault)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u8 = match prefix {
            None => width,
            Some(prefix) if prefix.bytes().all(|octet| octet.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= width).ok_or(fault)?
            }
            Some(_) => return Err(fault),
        };
        match address.to_canonical() {
            // Written as a mapped address: the first 96 bits are the mapping.
            canonical @ IpAddr::V4(_) if address.is_ipv6() => {
                Ok(Self { address: canonical, prefix: prefix.checked_sub(96).ok_or(fault)? })
            }
            canonical => Ok(Self { address: canonical, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_bits_count_and_no_others() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.128/25", "192.0.2.129", "192.0.2.127"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::127.0.0.1"),
            ("::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"),
        ] {
            let read: Network = network.parse().unwrap();
            assert!(read.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!read.contains(outside.parse().unwrap()), "{network} {outside}");
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        for bad in [
            "",
            "a",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/-1",
            "192.0.2.0/+1",
            "::/129",
            "192.0.2/24",
            "::ffff:1.2.3.4/95",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
