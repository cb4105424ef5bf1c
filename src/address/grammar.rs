//! `Mailbox` of RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3, in one pass over its octets.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{BorrowedAddress, BorrowedDomain, MAX_LABEL};
use crate::base::parse::{Parsed, fail, octets_of, quoted};
use crate::base::sixteen::Sixteen;
use crate::text::transfer::text;

/// `atext` of RFC 5322 §3.2.3, with the octets of UTF-8 beyond ASCII (RFC 6532 §3.2).
pub(crate) fn is_atext(octet: u8) -> bool {
    const SPECIAL: [bool; 256] = octets_of(&SPECIALS);
    octet > b' ' && octet != b'.' && octet != 0x7f && !SPECIAL[usize::from(octet)] // 256 octets
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
pub(crate) fn mailbox(input: &[u8]) -> Parsed<'_, BorrowedAddress<'_>> {
    match plain_mailbox(input) {
        Some(read) => Ok(read),
        None => mailbox_beyond(input),
    }
}

/// `Dot-string "@" Domain` where the domain can have no A-labels and none that are too long, which is what nearly all are.
#[inline(always)] // what it returns is too large to be handed on from function to function
pub(crate) fn plain_mailbox(input: &[u8]) -> Option<(&[u8], BorrowedAddress<'_>)> {
    let local = local(input);
    let (_, [b'@', rest @ ..]) = input.split_at_checked(local.len)? else { return None };
    let name = labels(rest);
    if local.odd | name.odd || name.len > MAX_LABEL {
        return None;
    }
    // Both in one look: they lie beside each other, the at sign between them.
    let (octets, rest) = input.split_at_checked(local.len + 1 + name.len)?;
    let (local, domain) = text(octets)?.split_at_checked(local.len)?;
    let domain = BorrowedDomain::Name(domain.get(1..)?);
    Some((rest, BorrowedAddress { local: Cow::Borrowed(local), domain }))
}

/// Whether it is a `Dot-string "@" Domain` as a whole, which is written as it is read.
pub(crate) fn is_plain_mailbox(text: &str) -> bool {
    let octets = text.as_bytes();
    let local = local(octets);
    let Some([b'@', name @ ..]) = octets.get(local.len..) else { return false };
    let run = labels(name);
    !local.odd && run.len == name.len() && (!run.odd || are_sub_domains(name))
}

const LOCAL: &str = "a local part";

/// `Mailbox` that is quoted, or has a literal, or is none.
#[cold]
fn mailbox_beyond(input: &[u8]) -> Parsed<'_, BorrowedAddress<'_>> {
    let plain = local(input);
    let (rest, local) = match input {
        [b'"', ..] => {
            let (rest, local) = quoted(input)?;
            let Ok(local) = String::from_utf8(local) else { return fail(input, LOCAL) };
            (rest, Cow::Owned(local))
        }
        _ if plain.odd => return fail(input, LOCAL),
        _ => {
            let (local, rest) = input.split_at_checked(plain.len).unwrap_or_default();
            let Some(local) = text(local) else { return fail(input, LOCAL) };
            (rest, Cow::Borrowed(local))
        }
    };
    // RFC 5321 §4.1.2: `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, so there may be nothing in it.
    if local.bytes().any(|octet| octet.is_ascii_control()) {
        return fail(input, LOCAL);
    }
    // "@" ( Domain / address-literal )
    let [b'@', name @ ..] = rest else { return fail(rest, "an at sign") };
    let (rest, domain) = domain(name)?;
    // RFC 5321 §2.3.5: a name is "one or more components, separated by dots"; the dot of the root belongs to the DNS.
    if name.get(..name.len() - rest.len()).is_some_and(|name| name.ends_with(b".")) {
        return fail(rest, "a label");
    }
    Ok((rest, BorrowedAddress { local, domain }))
}

/// `Domain = sub-domain *("." sub-domain)`, or `address-literal`. One dot at its end is read and dropped.
#[inline(always)] // as above
pub(crate) fn domain(input: &[u8]) -> Parsed<'_, BorrowedDomain<'_>> {
    match plain_domain(input) {
        Some(read) => Ok(read),
        None => domain_beyond(input),
    }
}

/// `Domain` of which no two hyphens or dots stand side by side, which is what nearly all are.
#[inline(always)]
pub(crate) fn plain_domain(input: &[u8]) -> Option<(&[u8], BorrowedDomain<'_>)> {
    let run = labels(input);
    if run.odd {
        return None;
    }
    let (name, rest) = input.split_at_checked(run.len)?;
    Some((rest, BorrowedDomain::Name(text(name)?)))
}

/// `Domain` with the dot of the root, or two hyphens, or an address literal, or none.
#[cold]
fn domain_beyond(input: &[u8]) -> Parsed<'_, BorrowedDomain<'_>> {
    if input.first() == Some(&b'[') {
        return address_literal(input);
    }
    let (name, rest) = input.split_at_checked(labels(input).len).unwrap_or_default();
    // The dot of the root.
    let name = name.strip_suffix(b".").unwrap_or(name);
    match text(name) {
        Some(text) if are_sub_domains(name) => Ok((rest, BorrowedDomain::Name(text))),
        _ => fail(input, "a domain"),
    }
}

/// Of octets of [`labels`], whether no label begins or ends with a hyphen and none is empty.
fn are_sub_domains(name: &[u8]) -> bool {
    name.split(|octet| *octet == b'.').all(|label| !matches!(label, [] | [b'-', ..] | [.., b'-']))
}

/// Whether it is a `Dot-string` as a whole.
pub(crate) fn is_dot_string(text: &str) -> bool {
    let run = local(text.as_bytes());
    !run.odd && run.len == text.len()
}

/// How far octets of one kind go.
#[derive(Clone, Copy)]
struct Run {
    len: usize,
    /// A dot (or what else stands between others) is at the beginning, at the end, or beside another, or there is nothing.
    odd: bool,
}

/// `Dot-string = Atom *("."  Atom)`, unless it is odd.
#[inline(always)]
fn local(input: &[u8]) -> Run {
    run(input, |octets| {
        let controls = octets.are_among(0, b' ') | octets.are(0x7f);
        let ends = SPECIALS.iter().fold(controls, |all, special| all | octets.are(*special));
        (ends.bits(), octets.are(b'.').bits())
    })
}

/// `sub-domain *("." sub-domain)`, unless it is odd: where no label begins or ends with a hyphen and none is empty. A label has
/// letters, digits, hyphens, underscores, and UTF-8 beyond ASCII.
#[inline(always)]
fn labels(input: &[u8]) -> Run {
    run(input, |octets| {
        let between = octets.are(b'.') | octets.are(b'-');
        let others = octets.are_alphanumeric() | octets.are(b'_') | octets.are_beyond_ascii();
        ((others | between).others(), between.bits())
    })
}

/// Up to the first octet that is of another kind. `look` says which are, and which stand between others.
#[inline(always)]
fn run(input: &[u8], look: impl Fn(Sixteen) -> (u32, u32)) -> Run {
    let (octets, rest) = Sixteen::split(input);
    // The beginning is what stands between.
    let (end, last, odd) = step(look(octets), 1);
    match end {
        Some(len) => Run { len, odd: odd != 0 },
        None => run_on(rest, look, last, odd),
    }
}

/// The same behind the first sixteen, which are all of most.
#[inline(never)]
fn run_on(mut rest: &[u8], look: impl Fn(Sixteen) -> (u32, u32), mut last: u32, mut odd: u32) -> Run {
    let mut len = 16;
    loop {
        let (octets, behind) = Sixteen::split(rest);
        let (end, next, more) = step(look(octets), last);
        odd |= more;
        if let Some(end) = end {
            return Run { len: len + end, odd: odd != 0 };
        }
        (rest, len, last) = (behind, len + 16, next);
    }
}

/// Of sixteen octets, of which some may be of another kind and some stand between others: where the end is, whether the last one
/// stands between (1, or 0), and which stand wrong. `before` says whether the one before them stands between.
#[inline(always)]
fn step((ends, between): (u32, u32), before: u32) -> (Option<usize>, u32, u32) {
    let end = ends & ends.wrapping_neg();
    let between = between & end.wrapping_sub(1); // below the end
    let odd = (between << 1 | before) & (between | end);
    ((end != 0).then(|| Sixteen::place(end)), between >> 15, odd)
}

/// What of the printable characters stands in no atom, but for the dot.
const SPECIALS: [u8; 12] = *b"\"(),:;<>@[\\]";

/// `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"`
#[cold]
fn address_literal(input: &[u8]) -> Parsed<'_, BorrowedDomain<'_>> {
    let Some(end) = input.iter().position(|octet| *octet == b']') else { return fail(input, "a closing bracket") };
    let (literal, rest) = (input.get(1..end).unwrap_or_default(), input.get(end + 1..).unwrap_or_default());
    // dcontent = %d33-90 / %d94-126
    if !literal.iter().all(|octet| matches!(octet, 33..=90 | 94..=126)) {
        return fail(input, "an address literal");
    }
    let literal = std::str::from_utf8(literal).unwrap_or_default(); // ASCII, as checked above
    if let Ok(address) = literal.parse::<Ipv4Addr>() {
        return Ok((rest, BorrowedDomain::Literal(address.into())));
    }
    match literal.split_once(':') {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => match address.parse::<Ipv6Addr>() {
            Ok(address) => Ok((rest, BorrowedDomain::Literal(address.into()))),
            Err(_) => fail(input, "an IPv6 address"),
        },
        // RFC 5321 §4.1.3: an IPv6 address has its tag; what is one without is no other kind of literal.
        _ if literal.parse::<Ipv6Addr>().is_ok() => fail(input, "the tag IPv6"),
        // Standardized-tag = Ldh-str
        Some((tag, content))
            if !content.is_empty()
                && tag.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                && tag.bytes().last().is_some_and(|octet| octet != b'-') =>
        {
            Ok((rest, BorrowedDomain::General(literal)))
        }
        _ => fail(input, "an address literal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    #[test]
    fn what_is_plain_is_what_is_written_as_it_is_read() {
        const OCTETS: [&str; 7] = ["a", ".", "-", "@", "\"", "[", "é"];
        for number in 0..OCTETS.len().pow(6) {
            let text: String = (0..6).map(|n| OCTETS[number / OCTETS.len().pow(n) % OCTETS.len()]).collect();
            let same = Address::parse(text.as_bytes()).is_ok_and(|address| address.to_string() == text);
            assert_eq!(is_plain_mailbox(&text), same && !text.contains(['"', '[']), "{text}");
        }
    }

    /// All pieces of four octets that stand for the kinds there are, behind so many others.
    fn pieces(mut check: impl FnMut(&[u8])) {
        const OCTETS: [u8; 7] = [b'a', b'.', b'-', b'_', b'+', b'>', 0xc3];
        for start in (0..3).chain(12..19).chain([30, 32]) {
            for number in 0..OCTETS.len().pow(4) {
                let mut input = vec![b'x'; start];
                let mut digits = number;
                for _ in 0..4 {
                    input.push(OCTETS[digits % OCTETS.len()]);
                    digits /= OCTETS.len();
                }
                check(&input);
            }
        }
    }

    #[test]
    fn runs_are_read_sixteen_octets_at_a_time_as_they_are_one_by_one() {
        let is_label = |octet: u8| octet.is_ascii_alphanumeric() || octet >= 0x80 || matches!(octet, b'-' | b'_');
        pieces(|input| {
            let length = |is: fn(u8) -> bool| input.iter().position(|octet| !is(*octet)).unwrap_or(input.len());
            let run = local(input);
            assert_eq!(run.len, length(|octet| is_atext(octet) || octet == b'.'), "{}", input.escape_ascii());
            assert_eq!(run.odd, input[..run.len].split(|octet| *octet == b'.').any(<[u8]>::is_empty));
            let run = labels(input);
            assert_eq!(
                run.len,
                input.iter().position(|octet| !is_label(*octet) && *octet != b'.').unwrap_or(input.len())
            );
            let odd = input[..run.len].split(|octet| matches!(octet, b'.' | b'-')).any(<[u8]>::is_empty);
            assert_eq!(run.odd, odd, "{}", input.escape_ascii());
        });
    }

    #[test]
    fn what_is_plain_is_read_as_what_is_not() {
        pieces(|input| {
            if let Some(plain) = plain_domain(input) {
                assert_eq!(domain_beyond(input), Ok(plain), "{}", input.escape_ascii());
            }
            for address in [[input, b"@x.test>"].concat(), [b"x@", input].concat()] {
                if let Some(plain) = plain_mailbox(&address) {
                    assert_eq!(mailbox_beyond(&address), Ok(plain), "{}", address.escape_ascii());
                }
            }
        });
    }

    #[test]
    fn atoms_are_of_the_octets_of_the_rfc() {
        for octet in 0..=255_u8 {
            // RFC 5322 §3.2.3, RFC 6532 §3.2
            let expected = octet.is_ascii_alphanumeric() || octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
            assert_eq!(is_atext(octet), expected, "{octet}");
            assert_eq!(local(&[octet]).len == 1, expected || octet == b'.', "{octet}");
        }
    }
}
