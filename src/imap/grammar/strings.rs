//! Strings, atoms and names of mailboxes.

use std::num::NonZeroU64;

use bytes::Bytes;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while1};
use nom::combinator::{opt, value};
use nom::sequence::preceded;

use crate::base::parse::{Parsed, expected, fail, number, quoted};
use crate::imap::response::{is_astring_char, is_atom_char};
use crate::text::utf7;

/// `mailbox = "INBOX" / astring`: the name in UTF-8, `INBOX` in capitals.
pub(super) fn mailbox(input: &[u8]) -> Parsed<'_, String> {
    let (rest, name) = astring(input)?;
    if name.eq_ignore_ascii_case(b"INBOX") {
        return Ok((rest, "INBOX".to_owned()));
    }
    decoded(name, input).map(|(_, name)| (rest, name))
}

/// `list-mailbox = 1*list-char / string`
pub(super) fn list_mailbox(input: &[u8]) -> Parsed<'_, String> {
    let is_list_char = |octet| is_astring_char(octet) || matches!(octet, b'%' | b'*');
    let pattern = alt((take_while1(is_list_char).map(<[u8]>::to_vec), string));
    let (rest, pattern) = expected("a pattern", pattern).parse(input)?;
    decoded(pattern, input).map(|(_, pattern)| (rest, pattern))
}

/// RFC 3501 §5.1.3: names are modified UTF-7, here in its one strict form.
fn decoded(name: Vec<u8>, input: &[u8]) -> Parsed<'_, String> {
    match utf7::decode(&name) {
        Ok(name) => Ok((input, name)),
        Err(_) => fail(input, "a mailbox name in modified UTF-7"),
    }
}

/// `astring = 1*ASTRING-CHAR / string`
pub(super) fn astring(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    expected("a string", alt((take_while1(is_astring_char).map(<[u8]>::to_vec), string))).parse(input)
}

/// `nstring = string / nil`
pub(super) fn nstring(input: &[u8]) -> Parsed<'_, Option<Bytes>> {
    alt((value(None, tag_no_case(&b"NIL"[..])), string.map(|octets| Some(Bytes::from(octets))))).parse(input)
}

/// `string = quoted / literal`
pub(super) fn string(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    match input.first() {
        Some(b'{') => literal(input),
        Some(b'"') => quoted(input),
        _ => fail(input, "a string"),
    }
}

/// `literal = "{" number ["+"] "}" CRLF *CHAR8` (RFC 7888 §8)
pub(super) fn literal(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let (rest, size) = announcement(input)?;
    match rest.split_at_checked(size as usize) {
        Some((octets, rest)) if !octets.contains(&0) => Ok((rest, octets.to_vec())),
        _ => fail(rest, "as many octets as announced, none of them NUL"),
    }
}

/// `"{" number ["+"] "}" CRLF`
pub(super) fn announcement(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, size) = preceded(expected("a literal", tag(&b"{"[..])), number).parse(input)?;
    let (rest, _) = (opt(tag(&b"+"[..])), expected("the end of a literal's length", tag(&b"}\r\n"[..]))).parse(rest)?;
    Ok((rest, size))
}

/// `atom = 1*ATOM-CHAR`
pub(super) fn atom(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, atom) = expected("an atom", take_while1(is_atom_char)).parse(input)?;
    Ok((rest, std::str::from_utf8(atom).unwrap_or_default())) // ASCII, as is_atom_char says
}

pub(super) fn upper_atom(input: &[u8]) -> Parsed<'_, String> {
    atom.map(str::to_ascii_uppercase).parse(input)
}

/// A name of the grammar: letters, digits and dots.
pub(super) fn word(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(|octet: u8| octet.is_ascii_alphanumeric() || octet == b'.')(input)
}

/// `nz-number = digit-nz *DIGIT`
pub(super) fn nz_number<T: TryFrom<NonZeroU64>>(input: &[u8]) -> Parsed<'_, T> {
    if input.first() == Some(&b'0') {
        return fail(input, "a number above zero");
    }
    let (rest, number) = number(input)?;
    match NonZeroU64::new(number).and_then(|number| number.try_into().ok()) {
        Some(number) => Ok((rest, number)),
        None => fail(input, "a smaller number"),
    }
}
