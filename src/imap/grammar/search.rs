//! SEARCH (RFC 9051 §6.4.4).

use bytes::Bytes;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take, take_while_m_n};
use nom::combinator::opt;
use nom::sequence::{delimited, preceded};

use super::strings::{astring, atom, word};
use crate::base::parse::{Parsed, expected, fail, number, sp};
use crate::imap::search::{Day, KeyId, Search, SearchKey};
use crate::imap::sequence::sequence_set;
use crate::store::Flag;

/// `search = "SEARCH" [SP "CHARSET" SP astring] 1*(SP search-key)`
///
/// Keys nest as deep as the client likes, so the nesting is kept in a list instead of on the stack.
pub(super) fn search(input: &[u8]) -> Parsed<'_, Search> {
    /// A key that is not complete.
    enum Open {
        List(Vec<KeyId>),
        Not,
        Or(Option<KeyId>),
    }
    let mut search = Search::new();
    let (mut rest, charset) = opt(preceded(tag_no_case(&b" CHARSET "[..]), astring)).parse(input)?;
    if let Some(charset) = charset {
        search.set_charset(charset.into());
    }
    let mut outer = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    (rest, ()) = sp(rest)?;
    loop {
        match rest {
            [b'(', after @ ..] => {
                open.push(Open::List(Vec::new()));
                rest = after;
                continue;
            }
            [b'N' | b'n', b'O' | b'o', b'T' | b't', b' ', after @ ..] => {
                open.push(Open::Not);
                rest = after;
                continue;
            }
            [b'O' | b'o', b'R' | b'r', b' ', after @ ..] => {
                open.push(Open::Or(None));
                rest = after;
                continue;
            }
            _ => {}
        }
        let mut key;
        (rest, key) = search_leaf(rest, &mut search)?;
        // Closes what this key completes.
        loop {
            match open.pop() {
                Some(Open::Not) => key = search.add(SearchKey::Not(key)),
                Some(Open::Or(Some(first))) => key = search.add(SearchKey::Or(first, key)),
                Some(Open::Or(None)) => {
                    open.push(Open::Or(Some(key)));
                    break;
                }
                Some(Open::List(mut keys)) => {
                    keys.push(key);
                    let [b')', after @ ..] = rest else {
                        open.push(Open::List(keys));
                        break;
                    };
                    rest = after;
                    key = joined(&mut search, keys);
                }
                None => {
                    outer.push(key);
                    break;
                }
            }
        }
        if open.is_empty() && rest.is_empty() {
            joined(&mut search, outer);
            return Ok((rest, search));
        }
        (rest, ()) = expected("a space or a closing parenthesis", sp).parse(rest)?;
    }
}

/// One key, or all of several.
fn joined(search: &mut Search, keys: Vec<KeyId>) -> KeyId {
    match keys.as_slice() {
        [key] => *key,
        _ => search.add(SearchKey::And(keys)),
    }
}

/// `search-key`, those made of other keys excepted. The last key added must be the whole, so a single key that stands for
/// itself is added last by construction.
fn search_leaf<'a>(input: &'a [u8], search: &mut Search) -> Parsed<'a, KeyId> {
    if input.first().is_some_and(|octet| octet.is_ascii_digit() || *octet == b'*') {
        return sequence_set.map(|set| search.add(SearchKey::Sequence(set))).parse(input);
    }
    let (rest, name) = expected("a search key", word).parse(input)?;
    let text = |rest| preceded(sp, astring).map(Bytes::from).parse(rest);
    let day = |rest| preceded(sp, date).parse(rest);
    let keyword = |rest| preceded(sp, atom).map(|word: &str| Flag::Keyword(word.to_owned())).parse(rest);
    let header = |rest, name: &'static str| {
        let (rest, text) = text(rest)?;
        Ok((rest, SearchKey::Header { name: Bytes::from_static(name.as_bytes()), text }))
    };
    let upper = name.to_ascii_uppercase();
    let (rest, key) = match upper.as_slice() {
        b"ALL" => (rest, SearchKey::All),
        b"ANSWERED" => (rest, SearchKey::Flag(Flag::Answered)),
        b"DELETED" => (rest, SearchKey::Flag(Flag::Deleted)),
        b"DRAFT" => (rest, SearchKey::Flag(Flag::Draft)),
        b"FLAGGED" => (rest, SearchKey::Flag(Flag::Flagged)),
        b"SEEN" => (rest, SearchKey::Flag(Flag::Seen)),
        b"RECENT" => (rest, SearchKey::Recent),
        b"KEYWORD" => keyword(rest).map(|(rest, flag)| (rest, SearchKey::Flag(flag)))?,
        b"UNANSWERED" => return Ok((rest, negated(search, SearchKey::Flag(Flag::Answered)))),
        b"UNDELETED" => return Ok((rest, negated(search, SearchKey::Flag(Flag::Deleted)))),
        b"UNDRAFT" => return Ok((rest, negated(search, SearchKey::Flag(Flag::Draft)))),
        b"UNFLAGGED" => return Ok((rest, negated(search, SearchKey::Flag(Flag::Flagged)))),
        b"UNSEEN" => return Ok((rest, negated(search, SearchKey::Flag(Flag::Seen)))),
        b"OLD" => return Ok((rest, negated(search, SearchKey::Recent))),
        b"NEW" => {
            // RFC 3501 §6.4.4: "functionally equivalent to "(RECENT UNSEEN)""
            let recent = search.add(SearchKey::Recent);
            let unseen = negated(search, SearchKey::Flag(Flag::Seen));
            (rest, SearchKey::And(vec![recent, unseen]))
        }
        b"UNKEYWORD" => {
            let (rest, flag) = keyword(rest)?;
            return Ok((rest, negated(search, SearchKey::Flag(flag))));
        }
        b"BCC" => header(rest, "Bcc")?,
        b"CC" => header(rest, "Cc")?,
        b"FROM" => header(rest, "From")?,
        b"SUBJECT" => header(rest, "Subject")?,
        b"TO" => header(rest, "To")?,
        b"HEADER" => {
            let (rest, name) = text(rest)?;
            let (rest, text) = text(rest)?;
            (rest, SearchKey::Header { name, text })
        }
        b"BODY" => text(rest).map(|(rest, text)| (rest, SearchKey::Body(text)))?,
        b"TEXT" => text(rest).map(|(rest, text)| (rest, SearchKey::Text(text)))?,
        b"BEFORE" => day(rest).map(|(rest, day)| (rest, SearchKey::Before(day)))?,
        b"ON" => day(rest).map(|(rest, day)| (rest, SearchKey::On(day)))?,
        b"SINCE" => day(rest).map(|(rest, day)| (rest, SearchKey::Since(day)))?,
        b"SENTBEFORE" => day(rest).map(|(rest, day)| (rest, SearchKey::SentBefore(day)))?,
        b"SENTON" => day(rest).map(|(rest, day)| (rest, SearchKey::SentOn(day)))?,
        b"SENTSINCE" => day(rest).map(|(rest, day)| (rest, SearchKey::SentSince(day)))?,
        b"LARGER" => preceded(sp, number).map(SearchKey::Larger).parse(rest)?,
        b"SMALLER" => preceded(sp, number).map(SearchKey::Smaller).parse(rest)?,
        b"UID" => preceded(sp, sequence_set).map(SearchKey::Uid).parse(rest)?,
        _ => return fail(input, "a search key"),
    };
    Ok((rest, search.add(key)))
}

fn negated(search: &mut Search, key: SearchKey) -> KeyId {
    let key = search.add(key);
    search.add(SearchKey::Not(key))
}

/// `date = date-text / DQUOTE date-text DQUOTE`
fn date(input: &[u8]) -> Parsed<'_, Day> {
    alt((delimited(tag(&b"\""[..]), date_text, expected("a quote", tag(&b"\""[..]))), date_text)).parse(input)
}

/// `date-text = date-day "-" date-month "-" date-year`
fn date_text(input: &[u8]) -> Parsed<'_, Day> {
    const MONTHS: [&[u8]; 12] =
        [b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"];
    let digits = |least, most| take_while_m_n(least, most, |octet: u8| octet.is_ascii_digit());
    let parts = (digits(1, 2), tag(&b"-"[..]), take(3usize), tag(&b"-"[..]), digits(4, 4));
    let (rest, (day, _, month, _, year)) = expected("a date", parts).parse(input)?;
    let month = MONTHS.iter().zip(1..).find(|(name, _)| month.eq_ignore_ascii_case(name));
    match (number::<u8>(day), month, number::<i16>(year)) {
        (Ok((_, day @ 1..=31)), Some((_, month)), Ok((_, year))) => Ok((rest, Day { year, month, day })),
        _ => fail(input, "a date"),
    }
}
