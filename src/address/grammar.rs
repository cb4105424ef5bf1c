//! `Mailbox` of RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3, in one pass over its octets.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Address, Domain, Name};
use crate::base::parse::{Parsed, fail, quoted};

/// `atext` of RFC 5322 §3.2.3, with the octets of UTF-8 beyond ASCII (RFC 6532 §3.2).
pub(crate) fn is_atext(octet: u8) -> bool {
    CLASSES[usize::from(octet)] & ATEXT != 0 // 256 classes
}

/// A mailbox as it stands in the input: to be made an [`Address`] once, where that is to stay, for moving it about costs more
/// than reading it does.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// `Dot-string "@" Domain`
    Plain { local: &'a str, domain: &'a str },
    /// With quoting, or a literal.
    Other(Box<Address>),
}

impl From<Found<'_>> for Address {
    #[inline(never)] // so that it is made in its place
    fn from(found: Found<'_>) -> Self {
        match found {
            Found::Plain { local, domain } => Self { local: local.into(), domain: Domain::Name(domain.into()) },
            Found::Other(address) => *address,
        }
    }
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
#[inline(always)] // as said at `Found`
pub(crate) fn mailbox(input: &[u8]) -> Parsed<'_, Found<'_>> {
    let plain = local(input);
    let (rest, name) = match input.get(plain.len..) {
        Some([b'@', rest @ ..]) if plain.sound => (rest, labels(rest)),
        _ => return mailbox_beyond(input, plain),
    };
    // Both in one look: they lie beside each other, the at sign between them.
    let octets = input.get(..plain.len + 1 + name.len).unwrap_or_default();
    let parts = std::str::from_utf8(octets).ok().and_then(|text| text.split_at_checked(plain.len));
    match parts {
        Some((local, domain)) if name.sound => {
            let (domain, rest) = (domain.get(1..).unwrap_or_default(), rest.get(name.len..).unwrap_or_default());
            Ok((rest, Found::Plain { local, domain }))
        }
        _ => mailbox_beyond(input, plain),
    }
}

const LOCAL: &str = "a local part";

/// `Mailbox` that is quoted, or has a literal, or is none.
#[cold]
fn mailbox_beyond(input: &[u8], plain: Run) -> Parsed<'_, Found<'_>> {
    let (rest, local) = match input {
        [b'"', ..] => quoted(input)?,
        _ if !plain.sound => return fail(input, LOCAL),
        _ => input.split_at_checked(plain.len).map(|(local, rest)| (rest, local.to_vec())).unwrap_or_default(),
    };
    if local.is_empty() || local.iter().any(u8::is_ascii_control) {
        return fail(input, LOCAL);
    }
    let Ok(local) = String::from_utf8(local) else { return fail(input, LOCAL) };
    let (rest, address) = at_domain(rest, local.into())?;
    Ok((rest, Found::Other(Box::new(address))))
}

/// `"@" ( Domain / address-literal )`
fn at_domain(input: &[u8], local: Name) -> Parsed<'_, Address> {
    let [b'@', name @ ..] = input else { return fail(input, "an at sign") };
    let (rest, domain) = domain(name)?;
    // RFC 5321 §2.3.5: a name is "one or more components, separated by dots"; the dot of the root belongs to the DNS.
    if name.get(..name.len() - rest.len()).is_some_and(|name| name.ends_with(b".")) {
        return fail(rest, "a label");
    }
    Ok((rest, Address { local, domain }))
}

/// `Domain = sub-domain *("." sub-domain)`, or `address-literal`. One dot at its end is read and dropped.
#[inline(always)] // as above
pub(crate) fn domain(input: &[u8]) -> Parsed<'_, Domain> {
    let run = labels(input);
    let (name, rest) = input.split_at_checked(run.len).unwrap_or_default();
    if run.sound
        && let Ok(name) = std::str::from_utf8(name)
    {
        return Ok((rest, Domain::Name(name.into())));
    }
    if input.first() == Some(&b'[') {
        return address_literal(input);
    }
    // The dot of the root.
    let Some(name) = name.strip_suffix(b".") else { return fail(input, "a domain") };
    match std::str::from_utf8(name) {
        Ok(text) if labels(name).sound => Ok((rest, Domain::Name(text.into()))),
        _ => fail(input, "a domain"),
    }
}

/// How far octets of one kind go, and whether they stand as they may.
#[derive(Clone, Copy)]
struct Run {
    len: usize,
    sound: bool,
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
    Run { len, sound: (pairs | before) & DOT == 0 }
}

/// `sub-domain *("." sub-domain)`, where no label begins or ends with a hyphen and none is empty.
#[inline(always)]
fn labels(input: &[u8]) -> Run {
    let (mut len, mut before, mut pairs) = (0, NEVER_AFTER_DOT, 0);
    for octet in input {
        let class = CLASSES[usize::from(*octet)]; // 256 classes
        if class & (LABEL | DOT) == 0 {
            break;
        }
        pairs |= before & class;
        before = class >> 8;
        len += 1;
    }
    Run { len, sound: pairs == 0 && before == 0 }
}

/// Octets of an atom.
const ATEXT: u16 = 1;
/// Octets of a label: letters, digits, hyphen, underscore, UTF-8 beyond ASCII.
const LABEL: u16 = 2;
/// The dot between them.
const DOT: u16 = 4;
/// Dot and hyphen, which stand after no dot in a domain; of the two only the dot may not stand after a hyphen.
const NEVER_AFTER_DOT: u16 = 8;

/// What each octet may be part of, and eight bits higher what may not stand behind it in a domain.
static CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let it = octet as u8; // below 256
        if it.is_ascii_alphanumeric() || it >= 0x80 {
            classes[octet] = ATEXT | LABEL;
        }
        octet += 1;
    }
    let mut rest: &[u8] = b"!#$%&'*+-/=?^_`{|}~";
    while let [octet, others @ ..] = rest {
        classes[*octet as usize] |= ATEXT;
        rest = others;
    }
    classes[b'_' as usize] |= LABEL;
    classes[b'-' as usize] |= LABEL | NEVER_AFTER_DOT | DOT << 8;
    classes[b'.' as usize] = DOT | NEVER_AFTER_DOT | NEVER_AFTER_DOT << 8;
    classes
};

/// `address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"`
#[cold]
fn address_literal(input: &[u8]) -> Parsed<'_, Domain> {
    let Some(end) = input.iter().position(|octet| *octet == b']') else { return fail(input, "a closing bracket") };
    let (literal, rest) = (input.get(1..end).unwrap_or_default(), input.get(end + 1..).unwrap_or_default());
    // dcontent = %d33-90 / %d94-126
    if !literal.iter().all(|octet| matches!(octet, 33..=90 | 94..=126)) {
        return fail(input, "an address literal");
    }
    let literal = std::str::from_utf8(literal).unwrap_or_default(); // ASCII, as checked above
    if let Ok(address) = literal.parse::<Ipv4Addr>() {
        return Ok((rest, Domain::Literal(address.into())));
    }
    match literal.split_once(':') {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => match address.parse::<Ipv6Addr>() {
            Ok(address) => Ok((rest, Domain::Literal(address.into()))),
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
            Ok((rest, Domain::General(literal.into())))
        }
        _ => fail(input, "an address literal"),
    }
}
