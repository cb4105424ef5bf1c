//! Paths: what stands between the brackets of MAIL and RCPT (RFC 5321 §4.1.2).
//!
//! Quoted local parts, address literals and UTF-8 are read as [`Address`] reads them; source routes are read and dropped.

use nom::Parser;
use nom::bytes::complete::{tag_no_case, take_while};

use super::{ForwardPath, Quirks, ReversePath};
use crate::address::{self, Address, Domain, MAX_DOMAIN};
use crate::base::ParseError;
use crate::base::parse::{Parsed, expected, fail, sp};

/// The path of MAIL or RCPT behind its keyword, and what comes after it and its space.
#[inline(always)]
pub(super) fn behind<'a, T>(
    keyword: &'static str,
    args: &'a [u8],
    quirks: &Quirks,
    inner: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> Result<(&'a [u8], T), ParseError> {
    let rule = |input: &'a [u8]| {
        let (mut rest, _) = expected(keyword, tag_no_case(keyword)).parse(input)?;
        if quirks.space_after_colon {
            rest = spaces(rest)?.0;
        }
        let (rest, path) = match rest {
            [b'<', rest @ ..] => {
                let (rest, path) = inner(rest)?;
                let [b'>', rest @ ..] = rest else { return fail(rest, "a closing bracket") };
                (rest, path)
            }
            // A source route is nothing that anybody types.
            rest if quirks.no_brackets && rest.first() != Some(&b'@') => inner(rest)?,
            rest => return fail(rest, "a path in brackets"),
        };
        let rest = if rest.is_empty() { rest } else { spaces(sp(rest)?.0)?.0 };
        Ok((rest, path))
    };
    match rule(args) {
        Ok(found) => Ok(found),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
            Err(ParseError { expected: fault.expected, at: args.len() - fault.rest.len() })
        }
        Err(nom::Err::Incomplete(_)) => Err(ParseError { expected: "a path", at: args.len() }),
    }
}

/// `Reverse-path = Path / "<>"`, without its brackets.
#[inline(always)]
pub(super) fn reverse(input: &[u8]) -> Parsed<'_, ReversePath> {
    if input.first() == Some(&b'>') {
        return Ok((input, ReversePath::Null));
    }
    let (rest, _) = source_route(input)?;
    let (rest, address) = mailbox(rest)?;
    Ok((rest, ReversePath::Address(address)))
}

/// `Forward-path = Path`, or `Postmaster` (RFC 5321 §4.1.1.3), without its brackets.
#[inline(always)]
pub(super) fn forward(input: &[u8]) -> Parsed<'_, ForwardPath> {
    let (rest, _) = source_route(input)?;
    let postmaster = tag_no_case::<_, _, nom::error::Error<&[u8]>>(&b"postmaster"[..]).parse(rest);
    if let Ok((after @ ([] | [b'>' | b' ', ..]), _)) = postmaster {
        return Ok((after, ForwardPath::Postmaster));
    }
    let (rest, address) = mailbox(rest)?;
    Ok((rest, ForwardPath::Address(address)))
}

/// `A-d-l = At-domain *( "," At-domain )`, then a colon. RFC 5321 §4.1.1.3: source routes "SHOULD be ignored".
#[inline(always)]
fn source_route(input: &[u8]) -> Parsed<'_, ()> {
    let mut rest = input;
    if rest.first() != Some(&b'@') {
        return Ok((rest, ()));
    }
    loop {
        let [b'@', after @ ..] = rest else { return fail(rest, "an at sign") };
        let (after, _) = address::domain(after)?;
        match after {
            [b',', after @ ..] => rest = after,
            [b':', after @ ..] => return Ok((after, ())),
            _ => return fail(after, "a colon"),
        }
    }
}

/// `Mailbox`, its domain no longer than RFC 5321 §4.5.3.1.2 allows, its labels no longer than the DNS has them (RFC 1035 §2.3.4),
/// and those that say they are A-labels such as there are. Local parts beyond 64 octets are out there, in the reverse-paths of
/// mailing lists, and do no harm.
#[inline(always)]
fn mailbox(input: &[u8]) -> Parsed<'_, Address> {
    let (rest, address) = address::mailbox(input)?;
    let Domain::Name(name) = address.domain() else { return Ok((rest, address)) };
    if name.len() > MAX_DOMAIN {
        return fail(input, "a domain of at most 255 octets");
    }
    if name.len() > MAX_LABEL && name.split('.').any(|label| label.len() > MAX_LABEL) {
        return fail(input, "a domain with labels of at most 63 octets");
    }
    // RFC 5890 §2.3.2.1: what begins with "xn--" and has no U-label is no name of a host.
    let has_a_label = name.len() > 4 && name.as_bytes().windows(4).any(|four| four.eq_ignore_ascii_case(b"xn--"));
    if has_a_label && address.domain().to_ulabels().is_none() {
        return fail(input, "a domain with sound A-labels");
    }
    Ok((rest, address))
}

/// RFC 1035 §2.3.4, in octets.
const MAX_LABEL: usize = 63;

fn spaces(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while(|octet| octet == b' ')(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_routes_are_dropped() {
        for (text, same) in [
            ("TO:<@a.test,@b.test:ada@c.test>", "<ada@c.test>"),
            ("to:<@a.test:ada@c.test> X", "<ada@c.test>"),
            ("TO:<@[192.0.2.1]:ada@c.test>", "<ada@c.test>"),
            ("TO:<@a.test:Postmaster>", "<Postmaster>"),
        ] {
            let (_, path) = behind("TO:", text.as_bytes(), &Quirks::default(), forward).unwrap();
            assert_eq!(path.to_string(), same);
        }
        for (text, at) in
            [("TO:<@a.test,b.test:ada@c.test>", 12), ("TO:<@a.test ada@c.test>", 11), ("TO:<@a.test:>", 12)]
        {
            let error = behind("TO:", text.as_bytes(), &Quirks::default(), forward).unwrap_err();
            assert_eq!(error.at, at, "{text}");
        }
    }

    #[test]
    fn what_follows_a_path_is_left_for_the_parameters() {
        for (text, left) in [("FROM:<>", ""), ("FROM:<> ", ""), ("FROM:<a@b>  SIZE=1 X", "SIZE=1 X")] {
            let (rest, _) = behind("FROM:", text.as_bytes(), &Quirks::default(), reverse).unwrap();
            assert_eq!(rest, left.as_bytes());
        }
    }
}
