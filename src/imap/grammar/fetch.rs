//! What FETCH and STORE ask for (RFC 9051 §6.4.5, §6.4.6), and flags.

use std::num::NonZeroU32;

use bytes::Bytes;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while};
use nom::combinator::{cut, opt, peek, value};
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded, separated_pair};

use super::strings::{astring, atom, nz_number, word};
use crate::base::parse::{Parsed, expected, fail, number, sp};
use crate::imap::fetch::{FetchItem, Partial, Section, SectionText, StoreAction, StoreMode};
use crate::store::{Flag, Flags};

/// The most flags that one command names: each is compared with each, and people use a handful.
const MAX_FLAGS: usize = 100;
/// The longest keyword in octets. Each is kept with each message that has it; those of clients have some twenty.
const MAX_KEYWORD: usize = 128;

/// `"ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"`
pub(super) fn fetch_items(input: &[u8]) -> Parsed<'_, Vec<FetchItem>> {
    if input.first() == Some(&b'(') {
        let end = expected("the end of the list", tag(&b")"[..]));
        return delimited(tag(&b"("[..]), separated_list1(sp, fetch_att), end).parse(input);
    }
    let (rest, name) = expected("a fetch item", word).parse(input)?;
    match name.to_ascii_uppercase().as_slice() {
        b"ALL" => Ok((rest, FetchItem::ALL.to_vec())),
        b"FAST" => Ok((rest, FetchItem::FAST.to_vec())),
        b"FULL" => Ok((rest, FetchItem::FULL.to_vec())),
        _ => fetch_att.map(|item| vec![item]).parse(input),
    }
}

/// `fetch-att`
fn fetch_att(input: &[u8]) -> Parsed<'_, FetchItem> {
    let (rest, name) = expected("a fetch item", word).parse(input)?;
    let item = match (name.to_ascii_uppercase().as_slice(), rest.first()) {
        (b"BODY", Some(b'[')) => {
            return (section, opt(preceded(peek(tag(&b"<"[..])), cut(partial))))
                .map(|(section, part)| FetchItem::Section(section, part))
                .parse(rest);
        }
        (b"BODY.PEEK", Some(b'[')) => {
            return (section, opt(preceded(peek(tag(&b"<"[..])), cut(partial))))
                .map(|(section, part)| FetchItem::Peek(section, part))
                .parse(rest);
        }
        (b"BODY", _) => FetchItem::Body,
        (b"BODYSTRUCTURE", _) => FetchItem::BodyStructure,
        (b"ENVELOPE", _) => FetchItem::Envelope,
        (b"FLAGS", _) => FetchItem::Flags,
        (b"INTERNALDATE", _) => FetchItem::InternalDate,
        (b"RFC822", _) => FetchItem::Rfc822,
        (b"RFC822.HEADER", _) => FetchItem::Rfc822Header,
        (b"RFC822.SIZE", _) => FetchItem::Rfc822Size,
        (b"RFC822.TEXT", _) => FetchItem::Rfc822Text,
        (b"UID", _) => FetchItem::Uid,
        _ => return fail(input, "a fetch item"),
    };
    Ok((rest, item))
}

/// `section = "[" [section-spec] "]"`
fn section(input: &[u8]) -> Parsed<'_, Section> {
    let (mut rest, _) = tag(&b"["[..]).parse(input)?;
    let mut part = Vec::new();
    // section-spec = section-msgtext / (section-part ["." section-text])
    while rest.first().is_some_and(u8::is_ascii_digit) {
        let (after, number) = nz_number::<NonZeroU32>(rest)?;
        part.push(number);
        match after {
            [b'.', after @ ..] => rest = after,
            _ => {
                let (rest, _) = expected("a closing bracket", tag(&b"]"[..])).parse(after)?;
                return Ok((rest, Section { part, text: SectionText::All }));
            }
        }
    }
    let (after, name) = take_while(|octet: u8| octet.is_ascii_alphabetic() || octet == b'.')(rest)?;
    let (rest, text) = match name.to_ascii_uppercase().as_slice() {
        b"" if part.is_empty() => (after, SectionText::All),
        b"HEADER" => (after, SectionText::Header),
        b"TEXT" => (after, SectionText::Text),
        // RFC 9051 §6.4.5.1: "The MIME part specifier MUST be prefixed by one or more numeric part specifiers."
        b"MIME" if !part.is_empty() => (after, SectionText::Mime),
        b"HEADER.FIELDS" => preceded(sp, header_list).map(SectionText::HeaderFields).parse(after)?,
        b"HEADER.FIELDS.NOT" => preceded(sp, header_list).map(SectionText::HeaderFieldsNot).parse(after)?,
        _ => return fail(rest, "a section"),
    };
    let (rest, _) = expected("a closing bracket", tag(&b"]"[..])).parse(rest)?;
    Ok((rest, Section { part, text }))
}

/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"`
fn header_list(input: &[u8]) -> Parsed<'_, Vec<Bytes>> {
    delimited(
        expected("a list", tag(&b"("[..])),
        separated_list1(sp, astring.map(Bytes::from)),
        expected("the end of the list", tag(&b")"[..])),
    )
    .parse(input)
}

/// `partial = "<" number64 "." nz-number64 ">"`
fn partial(input: &[u8]) -> Parsed<'_, Partial> {
    delimited(tag(&b"<"[..]), separated_pair(number, tag(&b"."[..]), nz_number), tag(&b">"[..]))
        .map(|(offset, length)| Partial { offset, length })
        .parse(input)
}

/// `store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))`
pub(super) fn store_att_flags(input: &[u8]) -> Parsed<'_, StoreAction> {
    let sign = alt((value(StoreMode::Add, tag(&b"+"[..])), value(StoreMode::Remove, tag(&b"-"[..]))));
    let (rest, mode) = opt(sign).parse(input)?;
    let (rest, _) = expected("FLAGS", tag_no_case(&b"FLAGS"[..])).parse(rest)?;
    let (rest, silent) = opt(tag_no_case(&b".SILENT"[..])).parse(rest)?;
    let (rest, flags) = preceded(sp, alt((flag_list, flags))).parse(rest)?;
    Ok((rest, StoreAction { mode: mode.unwrap_or(StoreMode::Set), silent: silent.is_some(), flags }))
}

/// `flag-list = "(" [flag *(SP flag)] ")"`
pub(super) fn flag_list(input: &[u8]) -> Parsed<'_, Flags> {
    alt((
        value(Flags::new(), tag(&b"()"[..])),
        delimited(tag(&b"("[..]), flags, expected("the end of the list", tag(&b")"[..]))),
    ))
    .parse(input)
}

/// `flag *(SP flag)`
fn flags(input: &[u8]) -> Parsed<'_, Flags> {
    let (rest, flags) = separated_list1(sp, flag).parse(input)?;
    if flags.len() > MAX_FLAGS {
        return fail(input, "at most 100 flags");
    }
    if flags.iter().flatten().any(|flag| matches!(flag, Flag::Keyword(word) if word.len() > MAX_KEYWORD)) {
        return fail(input, "keywords of at most 128 octets");
    }
    Ok((rest, flags.into_iter().flatten().collect()))
}

/// `flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension`, which "Does not
/// include "\Recent""; `None` for a flag-extension, which no message has here.
fn flag(input: &[u8]) -> Parsed<'_, Option<Flag>> {
    let (rest, backslash) = opt(tag(&b"\\"[..])).parse(input)?;
    let (rest, name) = expected("a flag", atom).parse(rest)?;
    if backslash.is_none() {
        return Ok((rest, Some(Flag::Keyword(name.to_owned()))));
    }
    if name.eq_ignore_ascii_case("Recent") {
        return fail(input, "a flag that can be changed");
    }
    Ok((rest, Flag::parse(&format!("\\{name}"))))
}
