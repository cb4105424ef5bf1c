//! The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): the line or block with which a proxy begins a
//! connection, saying whom it is for. Only to be read where the other end is known to be a proxy.
//!
//! Left out: what the additional fields (TLVs) of version 2 say; they are read over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::base::{ParseError, Wire};

/// The signature of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end counted: "a 108-byte buffer is always enough".
const MAX_LINE: usize = 107;

/// What a proxy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // known or not
pub enum Proxied {
    /// It is the proxy's own, or it does not know whose: the addresses of the connection itself count.
    Local,
    /// It is for a client.
    For {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
    },
}

impl Proxied {
    /// Takes the header off the start of a connection, once it is there whole; `None` until then. `max` is the most octets
    /// of a header of version 2.
    ///
    /// ```
    /// use facteur::base::Wire;
    /// use facteur::base::proxy::Proxied;
    ///
    /// let mut wire = Wire::new();
    /// wire.feed(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\nEHLO a.test\r\n");
    /// let Some(Proxied::For { source, .. }) = Proxied::read(&mut wire, 2048)? else { panic!() };
    /// assert_eq!(source.to_string(), "192.0.2.1:56324");
    /// assert_eq!(wire.unread(), b"EHLO a.test\r\n");
    /// # Ok::<(), facteur::base::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// Where what came is no header. Nothing that comes after it can be trusted.
    pub fn read(wire: &mut Wire, max: usize) -> Result<Option<Self>, ParseError> {
        let input = wire.unread();
        let begins = |start: &[u8]| input.iter().zip(start).all(|(octet, known)| octet == known);
        if input.is_empty() {
            return Ok(None);
        }
        if begins(SIGNATURE) {
            return version_2(wire, max);
        }
        if !begins(b"PROXY ") {
            return Err(ParseError { expected: "a PROXY header", at: 0 });
        }
        let window = input.get(..MAX_LINE).unwrap_or(input);
        let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
            let short = input.len() < MAX_LINE;
            return if short { Ok(None) } else { Err(ParseError { expected: "the end of a line", at: MAX_LINE }) };
        };
        let line = window.get(..end).unwrap_or_default();
        let proxied = version_1(line)?;
        wire.skip(end + 2);
        Ok(Some(proxied))
    }

    /// The header of version 1, where the addresses are of one family.
    pub fn write_v1(&self) -> String {
        match self {
            Self::For { source, destination } if source.is_ipv4() == destination.is_ipv4() => format!(
                "PROXY {} {} {} {} {}\r\n",
                if source.is_ipv4() { "TCP4" } else { "TCP6" },
                source.ip(),
                destination.ip(),
                source.port(),
                destination.port()
            ),
            _ => "PROXY UNKNOWN\r\n".to_owned(),
        }
    }

    /// The header of version 2, where the addresses are of one family.
    pub fn write_v2(&self) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        let mut put = |command: u8, family: u8, parts: &[&[u8]]| {
            let len = parts.iter().map(|part| part.len()).sum::<usize>() as u16; // 36 at most
            header.extend([0x20 | command, family]);
            header.extend(len.to_be_bytes());
            parts.iter().for_each(|part| header.extend_from_slice(part));
        };
        match self {
            Self::For { source, destination } => {
                let (from, to) = (source.port().to_be_bytes(), destination.port().to_be_bytes());
                match (source.ip(), destination.ip()) {
                    (IpAddr::V4(a), IpAddr::V4(b)) => put(1, 0x11, &[&a.octets(), &b.octets(), &from, &to]),
                    (IpAddr::V6(a), IpAddr::V6(b)) => put(1, 0x21, &[&a.octets(), &b.octets(), &from, &to]),
                    _ => put(0, 0, &[]),
                }
            }
            Self::Local => put(0, 0, &[]),
        }
        header
    }
}

/// `PROXY TCP4 source destination port port`, `PROXY TCP6 …`, or `PROXY UNKNOWN` with anything behind it.
fn version_1(line: &[u8]) -> Result<Proxied, ParseError> {
    let fault = ParseError { expected: "TCP4 or TCP6 with two addresses and two ports, or UNKNOWN", at: 6 };
    let text = std::str::from_utf8(line).map_err(|_| fault)?;
    let mut words = text.split(' ').skip(1);
    let ipv4 = match words.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        Some("UNKNOWN") => return Ok(Proxied::Local),
        _ => return Err(fault),
    };
    let (source, destination) = (words.next().ok_or(fault)?, words.next().ok_or(fault)?);
    let (from, to) = (words.next().ok_or(fault)?, words.next().ok_or(fault)?);
    let address = |text: &str, port: &str| {
        let address: IpAddr = text.parse().ok().filter(|address: &IpAddr| address.is_ipv4() == ipv4)?;
        // Ports have no sign and no zeros before them.
        let digits = port.bytes().all(|octet| octet.is_ascii_digit()) && (port == "0" || !port.starts_with('0'));
        Some(SocketAddr::new(address, port.parse().ok().filter(|_| digits)?))
    };
    match (address(source, from), address(destination, to), words.next()) {
        (Some(source), Some(destination), None) => Ok(Proxied::For { source, destination }),
        _ => Err(fault),
    }
}

/// The signature, version and command, family and protocol, the length of the rest, addresses, additional fields.
fn version_2(wire: &mut Wire, max: usize) -> Result<Option<Proxied>, ParseError> {
    let input = wire.unread();
    let Some([version, family, high, low]) = input.get(SIGNATURE.len()..SIGNATURE.len() + 4) else { return Ok(None) };
    let command = match version {
        0x20 => 0,
        0x21 => 1,
        _ => return Err(ParseError { expected: "version 2 and a command", at: SIGNATURE.len() }),
    };
    let len = SIGNATURE.len() + 4 + usize::from(u16::from_be_bytes([*high, *low]));
    if len > max {
        return Err(ParseError { expected: "a shorter header", at: SIGNATURE.len() + 2 });
    }
    let Some(rest) = input.get(SIGNATURE.len() + 4..len) else { return Ok(None) };
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    let proxied = match (command, family >> 4) {
        // AF_INET and AF_INET6, over whichever protocol
        (1, 1) => address::<4>(rest, 0)
            .zip(address::<4>(rest, 4))
            .zip(port(8).zip(port(10)))
            .map(|((a, b), ports)| (IpAddr::from(Ipv4Addr::from(a)), IpAddr::from(Ipv4Addr::from(b)), ports)),
        (1, 2) => address::<16>(rest, 0)
            .zip(address::<16>(rest, 16))
            .zip(port(32).zip(port(34)))
            .map(|((a, b), ports)| (IpAddr::from(Ipv6Addr::from(a)), IpAddr::from(Ipv6Addr::from(b)), ports)),
        // LOCAL, or a family without IP addresses: the receiver uses those of the connection.
        _ => {
            wire.skip(len);
            return Ok(Some(Proxied::Local));
        }
    };
    let (source, destination, (from, to)) =
        proxied.ok_or(ParseError { expected: "two addresses and two ports", at: SIGNATURE.len() + 4 })?;
    wire.skip(len);
    Ok(Some(Proxied::For { source: SocketAddr::new(source, from), destination: SocketAddr::new(destination, to) }))
}

fn address<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Option<Proxied>, ParseError> {
        let mut wire = Wire::new();
        for octet in input {
            wire.feed(&[*octet]);
            if let Some(proxied) = Proxied::read(&mut wire, 100)? {
                return Ok(Some(proxied));
            }
        }
        Ok(None)
    }

    fn from(source: &str, destination: &str) -> Proxied {
        Proxied::For { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    #[test]
    fn headers_round_trip_in_both_versions() {
        for proxied in [
            from("192.0.2.1:56324", "192.0.2.2:25"),
            from("[2001:db8::1]:1", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
            Proxied::Local,
        ] {
            assert_eq!(read(proxied.write_v1().as_bytes()), Ok(Some(proxied)));
            assert_eq!(read(&proxied.write_v2()), Ok(Some(proxied)));
        }
    }

    #[test]
    fn what_the_specification_shows_is_read() {
        for (line, proxied) in [
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                from("255.255.255.255:65535", "255.255.255.255:65535"),
            ),
            ("PROXY UNKNOWN\r\n", Proxied::Local),
            (
                "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                Proxied::Local,
            ),
        ] {
            assert_eq!(read(line.as_bytes()), Ok(Some(proxied)), "{line}");
        }
        // A TLV behind the addresses, and a UNIX socket, whose addresses are none.
        let tlv = [SIGNATURE, b"\x21\x11\0\x10", &[10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 25], b"\x04\0\x01x"].concat();
        assert_eq!(read(&tlv), Ok(Some(from("10.0.0.1:9", "10.0.0.2:25"))));
        assert_eq!(read(&[SIGNATURE, b"\x21\x31\0\x02ab"].concat()), Ok(Some(Proxied::Local)));
        assert_eq!(read(&[SIGNATURE, b"\x20\x11\0\0"].concat()), Ok(Some(Proxied::Local)));
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_shows() {
        for bad in [
            &b"E"[..],
            b"PROXX",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 025\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 +25\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 1 25\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25 \r\n",
            b"PROXY TCP4 ::1 ::1 1 25\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.2 1 25\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 25\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0babcdefghijk",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x64",
            b"\r\n\r\nX",
        ] {
            assert!(read(bad).is_err(), "{}", bad.escape_ascii());
        }
        let endless = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
        assert_eq!(read(&endless).map_err(|error| error.at), Err(MAX_LINE));
        assert_eq!(read(b"PROXY UNKNOWN"), Ok(None));
        assert_eq!(read(SIGNATURE), Ok(None));
    }
}
