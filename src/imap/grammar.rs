//! The grammar of commands (RFC 3501 §9, RFC 9051 §9), over commands that [`frame`](super::frame) has cut out whole.
//!
//! Literals stand in the text where they were announced; only the message of APPEND may be kept apart. Flags that no message
//! can have here (`\Recent` apart, which is an error) are passed over, as RFC 3501 §7.1 (PERMANENTFLAGS) allows.
//!
//! Left out: extended LIST (RFC 5258) and the RETURN options of SEARCH (RFC 4731), which are not announced.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take, take_while, take_while_m_n, take_while1};
use nom::combinator::{cut, opt, peek, value};
use nom::multi::{many1, separated_list1};
use nom::sequence::{delimited, preceded, separated_pair, terminated};

use crate::base::parse::{Expected, Parsed, expected, fail, number, quoted, sp, whole};
use crate::base::{ParseError, Secret, Timestamp};
use crate::imap::command::{By, Command};
use crate::imap::fetch::{FetchItem, Partial, Section, SectionText, StatusItem, StoreAction, StoreMode};
use crate::imap::frame::{Refusal, is_tag_char, tag_of};
use crate::imap::response::{is_astring_char, is_atom_char};
use crate::imap::search::{Day, KeyId, Search, SearchKey};
use crate::imap::sequence::sequence_set;
use crate::store::{Flag, Flags};

/// RFC 2971 §3.3: "Implementations MUST NOT send more than 30 field-value pairs."
const MAX_ID_PAIRS: usize = 30;

/// In which states a command may be given (RFC 9051 §9: command-any, command-auth, command-nonauth, command-select).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    NotAuthenticated,
    Authenticated,
    Selected,
}

/// What is known of a command before it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) tag: String,
    pub(super) scope: Scope,
    /// LOGIN and AUTHENTICATE.
    pub(super) reveals_secret: bool,
}

/// Reads the tag and looks the command up.
pub(super) fn head(text: &[u8]) -> Result<Head, Refusal> {
    let Some(tag) = tag_of(text) else { return Err(Refusal::bad(None, "expected a tag")) };
    let verb = text.get(tag.len() + 1..).unwrap_or_default();
    let verb = verb.split(|octet| matches!(octet, b' ' | b'\r')).next().unwrap_or_default();
    let scope = match verb.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" | b"NOOP" | b"LOGOUT" | b"ID" => Scope::Any,
        b"STARTTLS" | b"LOGIN" | b"AUTHENTICATE" => Scope::NotAuthenticated,
        b"ENABLE" | b"NAMESPACE" | b"SELECT" | b"EXAMINE" | b"CREATE" | b"DELETE" | b"RENAME" | b"SUBSCRIBE"
        | b"UNSUBSCRIBE" | b"LIST" | b"LSUB" | b"STATUS" | b"APPEND" | b"IDLE" => Scope::Authenticated,
        b"CHECK" | b"CLOSE" | b"UNSELECT" | b"EXPUNGE" | b"SEARCH" | b"FETCH" | b"STORE" | b"COPY" | b"MOVE"
        | b"UID" => Scope::Selected,
        b"" => return Err(Refusal::bad(Some(tag), "expected a command")),
        _ => return Err(Refusal::bad(Some(tag), "no such command")),
    };
    let reveals_secret = verb.eq_ignore_ascii_case(b"LOGIN") || verb.eq_ignore_ascii_case(b"AUTHENTICATE");
    Ok(Head { tag, scope, reveals_secret })
}

/// Parses a framed command. `message` is the literal that `text` announces at its end, where it was kept apart.
pub(super) fn command(text: &[u8], message: Option<&Bytes>) -> Result<(String, Command), Refusal> {
    parse(text, message).map_err(|error| Refusal::bad(tag_of(text), error.to_string()))
}

impl Command {
    /// Reads a command: `tag SP command`, without the CRLF at its end, its literals where they were announced.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<(String, Self), ParseError> {
        parse(text, None)
    }
}

fn parse(text: &[u8], message: Option<&Bytes>) -> Result<(String, Command), ParseError> {
    let rule = |input| {
        let (rest, name) = terminated(expected("a tag", take_while1(is_tag_char)), sp).parse(input)?;
        let (rest, command) = body(rest, message)?;
        Ok((rest, (String::from_utf8_lossy(name).into_owned(), command))) // ASCII, as is_tag_char says
    };
    whole(rule, text)
}

/// `command-any / command-auth / command-nonauth / command-select`
fn body<'a>(input: &'a [u8], message: Option<&Bytes>) -> Parsed<'a, Command> {
    let (rest, verb) = expected("a command", word).parse(input)?;
    let by_sequence = |rest| numbered(rest, By::Sequence, verb, input);
    match verb.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Ok((rest, Command::Capability)),
        b"NOOP" => Ok((rest, Command::Noop)),
        b"LOGOUT" => Ok((rest, Command::Logout)),
        b"ID" => preceded(sp, id_params_list).map(Command::Id).parse(rest),
        b"STARTTLS" => Ok((rest, Command::StartTls)),
        b"LOGIN" => login(rest),
        b"AUTHENTICATE" => authenticate(rest),
        b"ENABLE" => many1(preceded(sp, upper_atom)).map(Command::Enable).parse(rest),
        b"NAMESPACE" => Ok((rest, Command::Namespace)),
        b"SELECT" => preceded(sp, mailbox).map(|mailbox| Command::Select { mailbox }).parse(rest),
        b"EXAMINE" => preceded(sp, mailbox).map(|mailbox| Command::Examine { mailbox }).parse(rest),
        b"CREATE" => preceded(sp, mailbox).map(|mailbox| Command::Create { mailbox }).parse(rest),
        b"DELETE" => preceded(sp, mailbox).map(|mailbox| Command::Delete { mailbox }).parse(rest),
        b"RENAME" => preceded(sp, separated_pair(mailbox, sp, mailbox))
            .map(|(from, to)| Command::Rename { from, to })
            .parse(rest),
        b"SUBSCRIBE" => preceded(sp, mailbox).map(|mailbox| Command::Subscribe { mailbox }).parse(rest),
        b"UNSUBSCRIBE" => preceded(sp, mailbox).map(|mailbox| Command::Unsubscribe { mailbox }).parse(rest),
        b"LIST" => preceded(sp, separated_pair(mailbox, sp, list_mailbox))
            .map(|(reference, pattern)| Command::List { reference, pattern })
            .parse(rest),
        b"LSUB" => preceded(sp, separated_pair(mailbox, sp, list_mailbox))
            .map(|(reference, pattern)| Command::Lsub { reference, pattern })
            .parse(rest),
        b"STATUS" => {
            let items = delimited(expected("a list", tag(&b"("[..])), separated_list1(sp, status_att), tag(&b")"[..]));
            preceded(sp, separated_pair(mailbox, sp, items))
                .map(|(mailbox, items)| Command::Status { mailbox, items })
                .parse(rest)
        }
        b"APPEND" => append(rest, message),
        b"IDLE" => Ok((rest, Command::Idle)),
        b"CHECK" => Ok((rest, Command::Check)),
        b"CLOSE" => Ok((rest, Command::Close)),
        b"UNSELECT" => Ok((rest, Command::Unselect)),
        b"EXPUNGE" => Ok((rest, Command::Expunge { uids: None })),
        b"SEARCH" | b"FETCH" | b"STORE" | b"COPY" | b"MOVE" => by_sequence(rest),
        b"UID" => {
            let (rest, ()) = sp(rest)?;
            let (after, verb) = expected("a command", word).parse(rest)?;
            numbered(after, By::Uid, verb, rest)
        }
        _ => fail(input, "a command"),
    }
}

/// `copy / fetch / search / store`, with and without `UID`; `move` (RFC 6851 §5), `uid-expunge` (RFC 4315 §4).
fn numbered<'a>(input: &'a [u8], by: By, verb: &[u8], start: &'a [u8]) -> Parsed<'a, Command> {
    let verb = verb.to_ascii_uppercase();
    match (by, verb.as_slice()) {
        (_, b"SEARCH") => search(input).map(|(rest, search)| (rest, Command::Search { by, search })),
        (_, b"FETCH") => preceded(sp, separated_pair(sequence_set, sp, fetch_items))
            .map(|(messages, items)| Command::Fetch { by, messages, items })
            .parse(input),
        (_, b"STORE") => preceded(sp, separated_pair(sequence_set, sp, store_att_flags))
            .map(|(messages, action)| Command::Store { by, messages, action })
            .parse(input),
        (_, b"COPY") => preceded(sp, separated_pair(sequence_set, sp, mailbox))
            .map(|(messages, mailbox)| Command::Copy { by, messages, mailbox })
            .parse(input),
        (_, b"MOVE") => preceded(sp, separated_pair(sequence_set, sp, mailbox))
            .map(|(messages, mailbox)| Command::Move { by, messages, mailbox })
            .parse(input),
        (By::Uid, b"EXPUNGE") => {
            preceded(sp, sequence_set).map(|uids| Command::Expunge { uids: Some(uids) }).parse(input)
        }
        _ => fail(start, "a command"),
    }
}

/// `login = "LOGIN" SP userid SP password`
fn login(input: &[u8]) -> Parsed<'_, Command> {
    let (after_user, user) = preceded(sp, astring).parse(input)?;
    let Ok(user) = String::from_utf8(user) else { return fail(input, "a user name in UTF-8") };
    let (rest, secret) = preceded(sp, astring).parse(after_user)?;
    Ok((rest, Command::Login { user, secret: Secret::from(secret) }))
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]` (RFC 4959 §7)
fn authenticate(input: &[u8]) -> Parsed<'_, Command> {
    let (rest, mechanism) = preceded(sp, upper_atom).parse(input)?;
    let [b' ', initial @ ..] = rest else { return Ok((rest, Command::Authenticate { mechanism, initial: None })) };
    let decoded = if initial == b"=" { Ok(Vec::new()) } else { BASE64.decode(initial) };
    match decoded {
        Ok(decoded) if !initial.is_empty() => {
            Ok((&[], Command::Authenticate { mechanism, initial: Some(Secret::from(decoded)) }))
        }
        _ => fail(initial, "base64"),
    }
}

/// `id_params_list = "(" #(string SP nstring) ")" / nil` (RFC 2971 §4)
fn id_params_list(input: &[u8]) -> Parsed<'_, Vec<(Bytes, Option<Bytes>)>> {
    let pair = || separated_pair(string.map(Bytes::from), sp, nstring);
    let pairs = alt((
        value(Vec::new(), tag(&b"()"[..])),
        delimited(tag(&b"("[..]), separated_list1(sp, pair()), expected("the end of the list", tag(&b")"[..]))),
    ));
    let (rest, pairs) = alt((value(Vec::new(), tag_no_case(&b"NIL"[..])), pairs)).parse(input)?;
    if pairs.len() > MAX_ID_PAIRS { fail(input, "at most 30 fields") } else { Ok((rest, pairs)) }
}

/// `append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal`
fn append<'a>(input: &'a [u8], message: Option<&Bytes>) -> Parsed<'a, Command> {
    let (rest, mailbox) = preceded(sp, mailbox).parse(input)?;
    let (rest, flags) = opt(preceded((sp, peek(tag(&b"("[..]))), cut(flag_list))).parse(rest)?;
    let quote = || expected("a quote", tag(&b"\""[..]));
    let (rest, date) = opt(preceded((sp, quote()), cut(terminated(date_time, quote())))).parse(rest)?;
    let (rest, ()) = sp(rest)?;
    let (rest, message) = match message {
        Some(message) => {
            let (rest, size) = announcement(rest)?;
            match usize::try_from(size) {
                Ok(size) if size == message.len() => (rest, message.clone()),
                _ => return fail(rest, "the message as long as announced"),
            }
        }
        None => literal.map(Bytes::from).parse(rest)?,
    };
    Ok((rest, Command::Append { mailbox, flags: flags.unwrap_or_default(), date, message }))
}

/// `date-time`, between its quotes.
fn date_time(input: &[u8]) -> Parsed<'_, Timestamp> {
    let (rest, text) = expected("a date and time", take(26usize)).parse(input)?;
    match Timestamp::parse_imap(text) {
        Ok(stamp) => Ok((rest, stamp)),
        Err(error) => fail(text.get(error.at..).unwrap_or(input), error.expected),
    }
}

/// `status-att`
fn status_att(input: &[u8]) -> Parsed<'_, StatusItem> {
    let (rest, name) = expected("a status item", word).parse(input)?;
    match StatusItem::parse(name) {
        Some(item) => Ok((rest, item)),
        None => fail(input, "a status item"),
    }
}

/// `"ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"`
fn fetch_items(input: &[u8]) -> Parsed<'_, Vec<FetchItem>> {
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
            return (section, opt(partial)).map(|(section, part)| FetchItem::Section(section, part)).parse(rest);
        }
        (b"BODY.PEEK", Some(b'[')) => {
            return (section, opt(partial)).map(|(section, part)| FetchItem::Peek(section, part)).parse(rest);
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
        let (after, number) = number::<NonZeroU32>(rest)?;
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
    delimited(tag(&b"<"[..]), separated_pair(number, tag(&b"."[..]), number), tag(&b">"[..]))
        .map(|(offset, length)| Partial { offset, length })
        .parse(input)
}

/// `store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))`
fn store_att_flags(input: &[u8]) -> Parsed<'_, StoreAction> {
    let sign = alt((value(StoreMode::Add, tag(&b"+"[..])), value(StoreMode::Remove, tag(&b"-"[..]))));
    let (rest, mode) = opt(sign).parse(input)?;
    let (rest, _) = expected("FLAGS", tag_no_case(&b"FLAGS"[..])).parse(rest)?;
    let (rest, silent) = opt(tag_no_case(&b".SILENT"[..])).parse(rest)?;
    let bare = separated_list1(sp, flag).map(|flags| flags.into_iter().flatten().collect());
    let (rest, flags) = preceded(sp, alt((flag_list, bare))).parse(rest)?;
    Ok((rest, StoreAction { mode: mode.unwrap_or(StoreMode::Set), silent: silent.is_some(), flags }))
}

/// `flag-list = "(" [flag *(SP flag)] ")"`
fn flag_list(input: &[u8]) -> Parsed<'_, Flags> {
    let flags = separated_list1(sp, flag).map(|flags| flags.into_iter().flatten().collect());
    alt((
        value(Flags::new(), tag(&b"()"[..])),
        delimited(tag(&b"("[..]), flags, expected("the end of the list", tag(&b")"[..]))),
    ))
    .parse(input)
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

/// `search = "SEARCH" [SP "CHARSET" SP astring] 1*(SP search-key)`
///
/// Keys nest as deep as the client likes, so the nesting is kept in a list instead of on the stack.
fn search(input: &[u8]) -> Parsed<'_, Search> {
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

/// `mailbox = "INBOX" / astring`: the name in UTF-8, `INBOX` in capitals.
fn mailbox(input: &[u8]) -> Parsed<'_, String> {
    let (rest, name) = astring(input)?;
    if name.eq_ignore_ascii_case(b"INBOX") {
        return Ok((rest, "INBOX".to_owned()));
    }
    decoded(name, input).map(|(_, name)| (rest, name))
}

/// `list-mailbox = 1*list-char / string`
fn list_mailbox(input: &[u8]) -> Parsed<'_, String> {
    let is_list_char = |octet| is_astring_char(octet) || matches!(octet, b'%' | b'*');
    let pattern = alt((take_while1(is_list_char).map(<[u8]>::to_vec), string));
    let (rest, pattern) = expected("a pattern", pattern).parse(input)?;
    decoded(pattern, input).map(|(_, pattern)| (rest, pattern))
}

/// RFC 3501 §5.1.3: names are modified UTF-7.
fn decoded(name: Vec<u8>, input: &[u8]) -> Parsed<'_, String> {
    match String::from_utf8(name) {
        Ok(name) => Ok((input, name)),
        Err(_) => fail(input, "a mailbox name in modified UTF-7"),
    }
}

/// `astring = 1*ASTRING-CHAR / string`
fn astring(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    expected("a string", alt((take_while1(is_astring_char).map(<[u8]>::to_vec), string))).parse(input)
}

/// `nstring = string / nil`
fn nstring(input: &[u8]) -> Parsed<'_, Option<Bytes>> {
    alt((value(None, tag_no_case(&b"NIL"[..])), string.map(|octets| Some(Bytes::from(octets))))).parse(input)
}

/// `string = quoted / literal`
fn string(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    match input.first() {
        Some(b'{') => literal(input),
        Some(b'"') => quoted(input),
        _ => fail(input, "a string"),
    }
}

/// `literal = "{" number ["+"] "}" CRLF *CHAR8` (RFC 7888 §8)
fn literal(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let (rest, size) = announcement(input)?;
    match rest.split_at_checked(size as usize) {
        Some((octets, rest)) if !octets.contains(&0) => Ok((rest, octets.to_vec())),
        _ => fail(rest, "as many octets as announced, none of them NUL"),
    }
}

/// `"{" number ["+"] "}" CRLF`
fn announcement(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, size) = preceded(expected("a literal", tag(&b"{"[..])), number).parse(input)?;
    let (rest, _) = (opt(tag(&b"+"[..])), expected("the end of a literal's length", tag(&b"}\r\n"[..]))).parse(rest)?;
    Ok((rest, size))
}

/// `atom = 1*ATOM-CHAR`
fn atom(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, atom) = expected("an atom", take_while1(is_atom_char)).parse(input)?;
    Ok((rest, std::str::from_utf8(atom).unwrap_or_default())) // ASCII, as is_atom_char says
}

fn upper_atom(input: &[u8]) -> Parsed<'_, String> {
    atom.map(str::to_ascii_uppercase).parse(input)
}

/// A name of the grammar: letters, digits and dots.
fn word(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while1(|octet: u8| octet.is_ascii_alphanumeric() || octet == b'.')
        .parse(input)
        .map_err(|error: nom::Err<Expected<'_>>| error)
}
