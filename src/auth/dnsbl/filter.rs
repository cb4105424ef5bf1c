//! Which answers of a list are meant: the filters of postscreen, `127.0.0.[2..11;14]`, and bit masks, `&0.0.0.8`
//! (RFC 5782 §2.3).

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::base::ParseError;

/// How many ranges one octet of a filter may have: as many as make a difference.
const MAX_RANGES: usize = 128;

/// A set of IPv4 addresses, as lists answer with them.
///
/// Each of four octets is a number, or numbers and ranges in brackets with semicolons between them. Or, behind `&`, an
/// address of which all bits that are set must be set in the answer.
///
/// ```
/// use facteur::auth::dnsbl::Filter;
///
/// let filter: Filter = "127.0.[0..255].[1;3]".parse()?;
/// assert!(filter.contains([127, 0, 9, 3].into()) && !filter.contains([127, 0, 9, 2].into()));
/// let mask: Filter = "&0.0.0.8".parse()?;
/// assert!(mask.contains([127, 0, 0, 10].into()) && !mask.contains([127, 0, 0, 2].into()));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Octets([Vec<RangeInclusive<u8>>; 4]),
    Bits(Ipv4Addr),
}

impl Filter {
    /// 127.0.0.0/8, where all answers of lists are to be (RFC 5782 §2.3).
    pub fn any() -> Self {
        Self::from_octets([127..=127, 0..=255, 0..=255, 0..=255])
    }

    pub(super) fn from_octets(octets: [RangeInclusive<u8>; 4]) -> Self {
        Self(Kind::Octets(octets.map(|range| vec![range])))
    }

    /// Whether an answer is meant.
    pub fn contains(&self, answer: Ipv4Addr) -> bool {
        match &self.0 {
            Kind::Octets(octets) => octets
                .iter()
                .zip(answer.octets())
                .all(|(ranges, octet)| ranges.iter().any(|range| range.contains(&octet))),
            Kind::Bits(mask) => answer.to_bits() & mask.to_bits() == mask.to_bits(),
        }
    }
}

impl From<Ipv4Addr> for Filter {
    fn from(answer: Ipv4Addr) -> Self {
        Self::from_octets(answer.octets().map(|octet| octet..=octet))
    }
}

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Some(mask) = text.strip_prefix('&') {
            let mask = mask.parse().ok().filter(|mask: &Ipv4Addr| !mask.is_unspecified());
            return mask.map(|mask| Self(Kind::Bits(mask))).ok_or(ParseError { expected: "a bit mask", at: 1 });
        }
        let mut octets: [Vec<RangeInclusive<u8>>; 4] = Default::default();
        let (mut rest, mut at) = (text, 0);
        for (n, octet) in octets.iter_mut().enumerate() {
            if n > 0 {
                rest = rest.strip_prefix('.').ok_or(ParseError { expected: "a dot", at })?;
                at += 1;
            }
            let (inside, len) = match rest.strip_prefix('[') {
                Some(inside) => {
                    let end = inside.find(']').ok_or(ParseError { expected: "]", at: text.len() })?;
                    (inside.get(..end).unwrap_or_default(), end + 2)
                }
                None => {
                    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    (rest.get(..end).unwrap_or_default(), end)
                }
            };
            let fault = ParseError { expected: "a number up to 255, or numbers and ranges in brackets", at };
            for range in inside.split(';') {
                let (first, last) = range.split_once("..").unwrap_or((range, range));
                let (first, last) = number(first).zip(number(last)).ok_or(fault)?;
                if first > last || octet.len() == MAX_RANGES {
                    return Err(fault);
                }
                octet.push(first..=last);
            }
            rest = rest.get(len..).unwrap_or_default();
            at += len;
        }
        if rest.is_empty() { Ok(Self(Kind::Octets(octets))) } else { Err(ParseError { expected: "the end", at }) }
    }
}

/// Digits without a sign.
fn number(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.bytes().all(|octet| octet.is_ascii_digit()))
}

/// As it is parsed.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = match &self.0 {
            Kind::Bits(mask) => return write!(f, "&{mask}"),
            Kind::Octets(octets) => octets,
        };
        for (n, ranges) in octets.iter().enumerate() {
            f.write_str(if n > 0 { "." } else { "" })?;
            if let [one] = &ranges[..]
                && one.start() == one.end()
            {
                write!(f, "{}", one.start())?;
                continue;
            }
            for (n, range) in ranges.iter().enumerate() {
                f.write_str(if n > 0 { ";" } else { "[" })?;
                write!(f, "{}", range.start())?;
                if range.start() != range.end() {
                    write!(f, "..{}", range.end())?;
                }
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_written() {
        for (text, inside, outside) in [
            ("127.0.0.2", "127.0.0.2", "127.0.0.3"),
            ("127.0.0.[2..11]", "127.0.0.11", "127.0.0.12"),
            ("127.0.[0..255].[1;3..4;9]", "127.0.200.9", "127.0.200.2"),
            ("&0.0.0.6", "127.0.0.14", "127.0.0.4"),
            ("127.[0..255].[0..255].[0..255]", "127.255.0.1", "128.0.0.1"),
        ] {
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.to_string(), text);
            assert!(filter.contains(inside.parse().unwrap()), "{text}");
            assert!(!filter.contains(outside.parse().unwrap()), "{text}");
        }
        assert_eq!(Filter::any(), "127.[0..255].[0..255].[0..255]".parse().unwrap());
        assert_eq!(Filter::from(Ipv4Addr::new(127, 0, 0, 2)), "127.0.0.2".parse().unwrap());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "",
            "127",
            "127.0.0",
            "127.0.0.256",
            "127.0.0.2.3",
            "127.0.0.[3..2]",
            "127.0.0.[",
            "127.0.0.[]",
            "127.0.0.-1",
            "127.0.0.+1",
            "127.0.0.[1;]",
            "&",
            "&0.0.0.0",
            "&0.0.0",
            "127.0.0.[1..2",
            " 127.0.0.2",
        ] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
        assert!(format!("127.0.0.[{}1]", "1;".repeat(1000)).parse::<Filter>().is_err());
    }
}
