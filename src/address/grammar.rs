//! `Mailbox` of RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3, in one pass over its octets.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{BorrowedAddress, BorrowedDomain};
use crate::base::eight::Eight;
use crate::base::parse::{Parsed, fail, quoted};
use crate::text::transfer::text;

/// `atext` of RFC 5322 §3.2.3, with the octets of UTF-8 beyond ASCII (RFC 6532 §3.2).
pub(crate) fn is_atext(octet: u8) -> bool {
    CLASSES[usize::from(octet)] & ATEXT != 0 // 256 classes
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`, and whether its domain may have A-labels.
#[inline(always)] // what it returns is too large to be handed on from function to function
pub(crate) fn mailbox(input: &[u8]) -> Parsed<'_, (BorrowedAddress<'_>, bool)> {
    match plain_mailbox(input) {
        Some(read) => Ok(read),
        None => mailbox_beyond(input),
    }
}

/// `Dot-string "@" Domain`, which is what nearly all are.
#[inline(always)]
fn plain_mailbox(input: &[u8]) -> Option<(&[u8], (BorrowedAddress<'_>, bool))> {
    let local = local(input);
    let (_, [b'@', rest @ ..]) = input.split_at_checked(local.len)? else { return None };
    let name = labels(rest);
    // Both in one look: they lie beside each other, the at sign between them.
    let (octets, rest) = input.split_at_checked(local.len + 1 + name.len)?;
    let octets = text(octets)?;
    let address = BorrowedAddress {
        local: Cow::Borrowed(octets.get(..local.len)?),
        domain: BorrowedDomain::Name(octets.get(local.len + 1..)?),
    };
    (local.sound && name.sound).then_some((rest, (address, name.has_two_hyphens)))
}

/// Whether it is a `Dot-string "@" Domain` as a whole, which is written as it is read.
pub(crate) fn is_plain_mailbox(text: &str) -> bool {
    let octets = text.as_bytes();
    let local = local(octets);
    let Some([b'@', name @ ..]) = octets.get(local.len..) else { return false };
    let name_run = labels(name);
    local.sound && name_run.sound && name_run.len == name.len()
}

const LOCAL: &str = "a local part";

/// `Mailbox` that is quoted, or has a literal, or is none.
#[cold]
fn mailbox_beyond(input: &[u8]) -> Parsed<'_, (BorrowedAddress<'_>, bool)> {
    let plain = local(input);
    let (rest, local) = match input {
        [b'"', ..] => {
            let (rest, local) = quoted(input)?;
            let Ok(local) = String::from_utf8(local) else { return fail(input, LOCAL) };
            (rest, Cow::Owned(local))
        }
        _ if !plain.sound => return fail(input, LOCAL),
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
    Ok((rest, (BorrowedAddress { local, domain }, true)))
}

/// `Domain = sub-domain *("." sub-domain)`, or `address-literal`. One dot at its end is read and dropped.
#[inline(always)] // as above
pub(crate) fn domain(input: &[u8]) -> Parsed<'_, BorrowedDomain<'_>> {
    let run = labels(input);
    let (name, rest) = input.split_at_checked(run.len).unwrap_or_default();
    if run.sound
        && let Some(name) = text(name)
    {
        return Ok((rest, BorrowedDomain::Name(name)));
    }
    domain_beyond(input, name, rest)
}

/// `Domain` with the dot of the root, or an address literal, or none.
#[cold]
fn domain_beyond<'a>(input: &'a [u8], name: &'a [u8], rest: &'a [u8]) -> Parsed<'a, BorrowedDomain<'a>> {
    if input.first() == Some(&b'[') {
        return address_literal(input);
    }
    // The dot of the root.
    let Some(name) = name.strip_suffix(b".") else { return fail(input, "a domain") };
    match text(name) {
        Some(name) if labels(name.as_bytes()).sound => Ok((rest, BorrowedDomain::Name(name))),
        _ => fail(input, "a domain"),
    }
}

/// Whether it is a `Dot-string` as a whole.
pub(crate) fn is_dot_string(text: &str) -> bool {
    let run = local(text.as_bytes());
    run.sound && run.len == text.len()
}

/// How far octets of one kind go, and whether they stand as they may.
#[derive(Clone, Copy)]
struct Run {
    len: usize,
    sound: bool,
    /// One behind the other, as A-labels have them (RFC 5890 §2.3.1).
    has_two_hyphens: bool,
}

/// `Dot-string = Atom *("."  Atom)`
#[inline(always)]
fn local(input: &[u8]) -> Run {
    let (mut len, mut before, mut pairs) = (0, DOT, 0);
    for octet in input {
        let class = CLASSES[usize::from(*octet)]; // 256 classes
        if class & (ATEXT | DOT) == 0 {
            break;
        }
        pairs |= before & class;
        before = class;
        len += 1;
    }
    Run { len, sound: (pairs | before) & DOT == 0, has_two_hyphens: false }
}

/// `sub-domain *("." sub-domain)`, where no label begins or ends with a hyphen and none is empty. A label has letters, digits,
/// hyphens, underscores, and UTF-8 beyond ASCII.
#[inline(always)]
fn labels(input: &[u8]) -> Run {
    // The beginning and the end are to hyphens and dots what a dot is.
    let (mut len, mut dot_before, mut hyphen_before) = (0, 0x80, 0);
    let (mut misplaced, mut two_hyphens) = (0, 0);
    let mut rest = input;
    loop {
        let (octets, behind) = Eight::split(rest);
        let (dots, hyphens) = (octets.are(b'.'), octets.are(b'-'));
        let others = octets.are_alphanumeric() | octets.are(b'_') | octets.are_beyond_ascii();
        let ends = Eight::ALL & !(dots | hyphens | others);
        let end = ends & ends.wrapping_neg();
        // All of it below the end.
        let here = end.wrapping_sub(1);
        let (dots, hyphens) = (dots & here, hyphens & here);
        let after_dot = dots << 8 | dot_before;
        let after_hyphen = hyphens << 8 | hyphen_before;
        misplaced |= after_dot & (dots | hyphens | end) | after_hyphen & (dots | end);
        two_hyphens |= after_hyphen & hyphens;
        if end != 0 {
            return Run { len: len + Eight::place(end), sound: misplaced == 0, has_two_hyphens: two_hyphens != 0 };
        }
        (dot_before, hyphen_before) = (dots >> 56, hyphens >> 56);
        (rest, len) = (behind, len + 8);
    }
}

/// Octets of an atom.
const ATEXT: u8 = 1;
/// The dot between them.
const DOT: u8 = 2;

/// What each octet may be part of.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let it = octet as u8; // below 256
        if it.is_ascii_alphanumeric() || it >= 0x80 {
            classes[octet] = ATEXT;
        }
        octet += 1;
    }
    let mut rest: &[u8] = b"!#$%&'*+-/=?^_`{|}~";
    while let [octet, others @ ..] = rest {
        classes[*octet as usize] |= ATEXT;
        rest = others;
    }
    classes[b'.' as usize] = DOT;
    classes
};

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

    /// The rule of [`labels`], octet by octet.
    fn slowly(input: &[u8]) -> (usize, bool, bool) {
        let is_label = |octet: u8| octet.is_ascii_alphanumeric() || octet >= 0x80 || matches!(octet, b'-' | b'_');
        let len = input.iter().position(|octet| !is_label(*octet) && *octet != b'.').unwrap_or(input.len());
        let sound = |label: &[u8]| !label.is_empty() && !label.starts_with(b"-") && !label.ends_with(b"-");
        let name = &input[..len];
        (len, name.split(|octet| *octet == b'.').all(sound), name.windows(2).any(|two| two == b"--"))
    }

    #[test]
    fn what_is_plain_is_what_is_written_as_it_is_read() {
        const OCTETS: [&str; 7] = ["a", ".", "-", "@", "\"", "[", "é"];
        for number in 0..OCTETS.len().pow(6) {
            let text: String = (0..6).map(|n| OCTETS[number / OCTETS.len().pow(n) % OCTETS.len()]).collect();
            let same = Address::parse(text.as_bytes()).is_ok_and(|address| address.to_string() == text);
            assert_eq!(is_plain_mailbox(&text), same && !text.contains(['"', '[']), "{text}");
        }
    }

    #[test]
    fn labels_are_read_eight_octets_at_a_time_as_they_are_one_by_one() {
        const OCTETS: [u8; 6] = [b'a', b'.', b'-', b'_', b'>', 0xc3];
        for start in 0..9 {
            for number in 0..OCTETS.len().pow(5) {
                let mut input = vec![b'x'; start];
                let mut digits = number;
                for _ in 0..5 {
                    input.push(OCTETS[digits % OCTETS.len()]);
                    digits /= OCTETS.len();
                }
                let run = labels(&input);
                let (len, sound, two_hyphens) = slowly(&input);
                assert_eq!((run.len, run.sound), (len, sound), "{}", input.escape_ascii());
                assert_eq!(run.has_two_hyphens, two_hyphens, "{}", input.escape_ascii());
            }
        }
    }
}
