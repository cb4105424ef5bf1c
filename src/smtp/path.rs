//! Paths: what stands between the brackets of MAIL and RCPT (RFC 5321 §4.1.2).
//!
//! Quoted local parts, address literals and UTF-8 are read as [`Address`](crate::address::Address) has them; source routes are
//! read and dropped.

use super::command::upper;
use super::{ForwardPath, Quirks, ReversePath};
use crate::address::{self, BorrowedAddress, BorrowedDomain, Domain, MAX_DOMAIN, MAX_LABEL};
use crate::base::parse::{Expected, Parsed, fail};

const FROM: u32 = upper(*b"FROM");

/// What stands before a mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    Bracket,
    /// A bracket, and a source route that was passed over.
    Route,
    /// Nothing, where that is let pass.
    None,
}

/// What stands between brackets where it is a `Mailbox` in its plainest form, and what follows the bracket and one space: so nearly
/// all paths are. Of others it says nothing.
#[inline(always)] // what it returns is too large to be handed on from function to function
pub(super) fn plain(input: &[u8]) -> Option<(&[u8], BorrowedAddress<'_>)> {
    let (rest, address) = address::plain_mailbox(input)?;
    Some((behind_bracket(rest)?, address))
}

/// What follows the bracket, and one space.
#[inline(always)]
pub(super) fn behind_bracket(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'>'] => Some(&[]),
        [b'>', b' ', rest @ ..] if !matches!(rest, [b' ', ..]) => Some(rest),
        _ => None,
    }
}

/// `Reverse-path = Path / "<>"` behind `FROM:`, and what comes after it and its space.
pub(super) fn reverse<'a>(args: &'a [u8], quirks: &Quirks) -> Parsed<'a, ReversePath<BorrowedAddress<'a>>> {
    let (rest, opening) = match args.split_first_chunk() {
        Some((word, [b':', rest @ ..])) if upper(*word) == FROM => begin(rest, quirks)?,
        _ => return fail(args, "FROM:"),
    };
    let (rest, path) = match rest {
        // Behind a source route stands a mailbox: `<@a.test:>` is no null reverse-path.
        [b'>', rest @ ..] if opening == Opening::Bracket => (rest, ReversePath::Null),
        _ => {
            let (rest, address) = mailbox(rest)?;
            (end(rest, opening)?, ReversePath::Address(address))
        }
    };
    Ok((behind_spaces(rest)?, path))
}

/// `Forward-path = Path`, or `Postmaster` (RFC 5321 §4.1.1.3), behind `TO:`, and what comes after it and its space.
pub(super) fn forward<'a>(args: &'a [u8], quirks: &Quirks) -> Parsed<'a, ForwardPath<BorrowedAddress<'a>>> {
    let (rest, opening) = match args {
        [b'T' | b't', b'O' | b'o', b':', rest @ ..] => begin(rest, quirks)?,
        _ => return fail(args, "TO:"),
    };
    let (rest, path) = match mailbox(rest) {
        Ok((rest, address)) => (rest, ForwardPath::Address(address)),
        Err(fault) => (postmaster(rest).ok_or(fault)?, ForwardPath::Postmaster),
    };
    Ok((behind_spaces(end(rest, opening)?)?, path))
}

/// What follows the name that needs no domain, and so is no mailbox.
#[cold]
fn postmaster(rest: &[u8]) -> Option<&[u8]> {
    match rest.split_first_chunk::<10>()? {
        (name, rest @ ([] | [b'>' | b' ', ..])) if name.eq_ignore_ascii_case(b"postmaster") => Some(rest),
        _ => None,
    }
}

/// The bracket where there is one, and a source route.
fn begin<'a>(mut rest: &'a [u8], quirks: &Quirks) -> Parsed<'a, Opening> {
    if quirks.space_after_colon {
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
    }
    match rest {
        [b'<', rest @ ..] if rest.first() == Some(&b'@') => Ok((source_route(rest)?.0, Opening::Route)),
        [b'<', rest @ ..] => Ok((rest, Opening::Bracket)),
        // A source route is nothing that anybody types.
        rest if quirks.no_brackets && rest.first() != Some(&b'@') => Ok((rest, Opening::None)),
        rest => fail(rest, "a path in brackets"),
    }
}

/// The closing bracket, where there was an opening one.
fn end(rest: &[u8], opening: Opening) -> Result<&[u8], nom::Err<Expected<'_>>> {
    match rest {
        [b'>', rest @ ..] if opening != Opening::None => Ok(rest),
        rest if opening != Opening::None => Err(nom::Err::Error(Expected { rest, expected: "a closing bracket" })),
        rest => Ok(rest),
    }
}

/// What follows the space behind a path; a second one says nothing.
fn behind_spaces(rest: &[u8]) -> Result<&[u8], nom::Err<Expected<'_>>> {
    let mut rest = match rest {
        [] => return Ok(rest),
        [b' ', rest @ ..] => rest,
        _ => return Err(nom::Err::Error(Expected { rest, expected: "a space" })),
    };
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
fn mailbox(input: &[u8]) -> Parsed<'_, BorrowedAddress<'_>> {
    let (rest, address) = address::mailbox(input)?;
    if let BorrowedDomain::Name(name) = address.domain()
        && let Some(wanted) = fault(name)
    {
        return fail(input, wanted);
    }
    Ok((rest, address))
}

/// What should be there instead of that name.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Where reading stopped, and why.
    fn fault_of<T>(read: Parsed<'_, T>, text: &str) -> (usize, &'static str) {
        match read {
            Err(nom::Err::Error(fault)) => (text.len() - fault.rest.len(), fault.expected),
            _ => panic!("{text} was read"),
        }
    }

    #[test]
    fn source_routes_are_dropped() {
        for (text, same) in [
            ("TO:<@a.test,@b.test:ada@c.test>", "<ada@c.test>"),
            ("to:<@a.test:ada@c.test> X", "<ada@c.test>"),
            ("TO:<@[192.0.2.1]:ada@c.test>", "<ada@c.test>"),
            ("TO:<@a.test:Postmaster>", "<Postmaster>"),
        ] {
            let (_, path) = forward(text.as_bytes(), &Quirks::default()).unwrap();
            assert_eq!(path.to_string(), same);
        }
        for (text, at) in
            [("TO:<@a.test,b.test:ada@c.test>", 12), ("TO:<@a.test ada@c.test>", 11), ("TO:<@a.test:>", 12)]
        {
            let (error, _) = fault_of(forward(text.as_bytes(), &Quirks::default()), text);
            assert_eq!(error, at, "{text}");
        }
    }

    #[test]
    fn nobody_stands_behind_a_source_route() {
        for (text, at) in [("FROM:<@a.test:>", 14), ("FROM:<@a,@b:> SIZE=1", 12)] {
            let error = fault_of(reverse(text.as_bytes(), &Quirks::default()), text);
            assert_eq!(error, (at, "a local part"), "{text}");
        }
    }

    #[test]
    fn what_follows_a_path_is_left_for_the_parameters() {
        for (text, left) in [("FROM:<>", ""), ("FROM:<> ", ""), ("FROM:<a@b>  SIZE=1 X", "SIZE=1 X")] {
            let (rest, _) = reverse(text.as_bytes(), &Quirks::default()).unwrap();
            assert_eq!(rest, left.as_bytes());
        }
    }
}
