//! Paths: what stands between the brackets of MAIL and RCPT (RFC 5321 §4.1.2).
//!
//! Quoted local parts, address literals and UTF-8 are read as [`Address`] reads them; source routes are read and dropped.

use super::Quirks;
use crate::address::{self, Domain, Found, MAX_DOMAIN};
use crate::base::ParseError;
use crate::base::parse::{Expected, Parsed, fail, sp};

/// `Reverse-path = Path / "<>"` behind `FROM:`, where `None` is `<>`, and what comes after it and its space.
#[inline(always)] // as said at `Found`
pub(super) fn reverse<'a>(args: &'a [u8], quirks: &Quirks) -> Result<(Option<Found<'a>>, &'a [u8]), ParseError> {
    let place = |fault| at(args, fault);
    let (rest, inner) = match begin(b"FROM:", "FROM:", args, quirks).map_err(place)? {
        // Behind a source route stands a mailbox: `<@a.test:>` is no null reverse-path.
        (path @ [b'>', rest @ ..], Some(())) if args.strip_suffix(path).is_some_and(|begun| begun.ends_with(b"<")) => {
            (rest, None)
        }
        (rest, bracket) => {
            let (rest, found) = mailbox(rest).map_err(place)?;
            (end(rest, bracket).map_err(place)?, Some(found))
        }
    };
    Ok((inner, behind_spaces(rest).map_err(place)?))
}

/// `Forward-path = Path`, or `Postmaster` (RFC 5321 §4.1.1.3), which is `None`, behind `TO:`, and what comes after
/// it and its space.
#[inline(always)]
pub(super) fn forward<'a>(args: &'a [u8], quirks: &Quirks) -> Result<(Option<Found<'a>>, &'a [u8]), ParseError> {
    let place = |fault| at(args, fault);
    let (rest, bracket) = begin(b"TO:", "TO:", args, quirks).map_err(place)?;
    let (rest, inner) = match rest.split_first_chunk::<10>() {
        Some((name, rest @ ([] | [b'>' | b' ', ..]))) if name.eq_ignore_ascii_case(b"postmaster") => (rest, None),
        _ => {
            let (rest, found) = mailbox(rest).map_err(place)?;
            (rest, Some(found))
        }
    };
    let rest = end(rest, bracket).map_err(place)?;
    Ok((inner, behind_spaces(rest).map_err(place)?))
}

/// Where it is.
#[cold]
fn at(args: &[u8], fault: nom::Err<Expected<'_>>) -> ParseError {
    match fault {
        nom::Err::Error(fault) | nom::Err::Failure(fault) => {
            ParseError { expected: fault.expected, at: args.len() - fault.rest.len() }
        }
        nom::Err::Incomplete(_) => ParseError { expected: "a path", at: args.len() }, // complete mode: never
    }
}

/// The keyword, the bracket where there is one, and a source route.
#[inline(always)]
fn begin<'a, const N: usize>(
    keyword: &[u8; N],
    name: &'static str,
    args: &'a [u8],
    quirks: &Quirks,
) -> Parsed<'a, Option<()>> {
    let mut rest = match args.split_first_chunk::<N>() {
        Some((word, rest)) if word.eq_ignore_ascii_case(keyword) => rest,
        _ => return fail(args, name),
    };
    if quirks.space_after_colon {
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
    }
    match rest {
        [b'<', rest @ ..] if rest.first() == Some(&b'@') => Ok((source_route(rest)?.0, Some(()))),
        [b'<', rest @ ..] => Ok((rest, Some(()))),
        // A source route is nothing that anybody types.
        [b'@', ..] => fail(rest, "a path in brackets"),
        rest if quirks.no_brackets => Ok((rest, None)),
        rest => fail(rest, "a path in brackets"),
    }
}

/// The closing bracket, where there was an opening one.
#[inline(always)]
fn end(rest: &[u8], bracket: Option<()>) -> Result<&[u8], nom::Err<Expected<'_>>> {
    match (rest, bracket) {
        ([b'>', rest @ ..], Some(())) => Ok(rest),
        (rest, Some(())) => Err(nom::Err::Error(Expected { rest, expected: "a closing bracket" })),
        (rest, None) => Ok(rest),
    }
}

/// What follows the space behind a path; a second one says nothing.
#[inline(always)]
fn behind_spaces(rest: &[u8]) -> Result<&[u8], nom::Err<Expected<'_>>> {
    if rest.is_empty() {
        return Ok(rest);
    }
    let (mut rest, ()) = sp(rest)?;
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    Ok(rest)
}

/// `A-d-l = At-domain *( "," At-domain )`, then a colon. RFC 5321 §4.1.1.3: source routes "SHOULD be ignored".
#[cold]
fn source_route(input: &[u8]) -> Parsed<'_, ()> {
    let mut rest = input;
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
fn mailbox(input: &[u8]) -> Parsed<'_, Found<'_>> {
    let (rest, found) = address::mailbox(input)?;
    let name = match &found {
        Found::Plain { domain, .. } => *domain,
        Found::Other(address) => match address.domain() {
            Domain::Name(name) => name,
            _ => return Ok((rest, found)),
        },
    };
    // Most are short, and have neither long labels nor one that begins with "xn--".
    if (name.len() > MAX_LABEL || name.contains('-'))
        && let Some(wanted) = fault(name)
    {
        return fail(input, wanted);
    }
    Ok((rest, found))
}

/// What should be there instead of that name.
#[cold]
fn fault(name: &str) -> Option<&'static str> {
    if name.len() > MAX_DOMAIN {
        return Some("a domain of at most 255 octets");
    }
    if name.split('.').any(|label| label.len() > MAX_LABEL) {
        return Some("a domain with labels of at most 63 octets");
    }
    // RFC 5890 §2.3.2.1: what begins with "xn--" and has no U-label is no name of a host.
    let has_a_label = name.as_bytes().windows(4).any(|four| four.eq_ignore_ascii_case(b"xn--"));
    let sound = !has_a_label || Domain::Name(name.into()).to_ulabels().is_some();
    (!sound).then_some("a domain with sound A-labels")
}

/// RFC 1035 §2.3.4, in octets.
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::ForwardPath;

    #[test]
    fn source_routes_are_dropped() {
        for (text, same) in [
            ("TO:<@a.test,@b.test:ada@c.test>", "<ada@c.test>"),
            ("to:<@a.test:ada@c.test> X", "<ada@c.test>"),
            ("TO:<@[192.0.2.1]:ada@c.test>", "<ada@c.test>"),
            ("TO:<@a.test:Postmaster>", "<Postmaster>"),
        ] {
            let (path, _) = forward(text.as_bytes(), &Quirks::default()).unwrap();
            assert_eq!(
                path.map_or(ForwardPath::Postmaster, |found| ForwardPath::Address(found.into())).to_string(),
                same
            );
        }
        for (text, at) in
            [("TO:<@a.test,b.test:ada@c.test>", 12), ("TO:<@a.test ada@c.test>", 11), ("TO:<@a.test:>", 12)]
        {
            let error = forward(text.as_bytes(), &Quirks::default()).map(|_| ()).unwrap_err();
            assert_eq!(error.at, at, "{text}");
        }
    }

    #[test]
    fn nobody_stands_behind_a_source_route() {
        for (text, at) in [("FROM:<@a.test:>", 14), ("FROM:<@a,@b:> SIZE=1", 12)] {
            let error = reverse(text.as_bytes(), &Quirks::default()).map(|_| ()).unwrap_err();
            assert_eq!((error.at, error.expected), (at, "a local part"), "{text}");
        }
    }

    #[test]
    fn what_follows_a_path_is_left_for_the_parameters() {
        for (text, left) in [("FROM:<>", ""), ("FROM:<> ", ""), ("FROM:<a@b>  SIZE=1 X", "SIZE=1 X")] {
            let (_, rest) = reverse(text.as_bytes(), &Quirks::default()).unwrap();
            assert_eq!(rest, left.as_bytes());
        }
    }
}
