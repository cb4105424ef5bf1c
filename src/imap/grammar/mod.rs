//! The grammar of commands (RFC 3501 §9, RFC 9051 §9), over commands that [`frame`](super::frame) has cut out whole.
//!
//! Literals stand in the text where they were announced; only the message of APPEND may be kept apart. Flags that no message
//! can have here (`\Recent` apart, which is an error) are passed over, as RFC 3501 §7.1 (PERMANENTFLAGS) allows.
//!
//! Left out: extended LIST (RFC 5258) and the RETURN options of SEARCH (RFC 4731), which are not announced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take, take_while1};
use nom::combinator::{cut, opt, peek, value};
use nom::multi::{many1, separated_list1};
use nom::sequence::{delimited, preceded, separated_pair, terminated};

use crate::base::parse::{Parsed, expected, fail, sp, whole};
use crate::base::{ParseError, Secret, Timestamp};
use crate::imap::command::{By, Command};
use crate::imap::fetch::StatusItem;
use crate::imap::frame::{Refusal, is_tag_char, tag_of};
use crate::imap::sequence::sequence_set;

mod fetch;
mod search;
mod strings;

use fetch::{fetch_items, flag_list, store_att_flags};
use search::search;
use strings::{announcement, astring, atom, list_mailbox, literal, mailbox, nstring, string, upper_atom, word};

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
            let end = expected("the end of the list", tag(&b")"[..]));
            let items = delimited(expected("a list", tag(&b"("[..])), separated_list1(sp, status_att), end);
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

/// `id_params_list = "(" #(string SP nstring) ")" / nil` (RFC 2971 §4). An atom is taken for a value too: Thunderbird 102
/// writes its version so.
fn id_params_list(input: &[u8]) -> Parsed<'_, Vec<(Bytes, Option<Bytes>)>> {
    let pair = || separated_pair(string.map(Bytes::from), sp, alt((nstring, astring.map(|value| Some(value.into())))));
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
        Err(error) => fail(input.get(error.at..).unwrap_or(input), error.expected),
    }
}

/// `status-att`
fn status_att(input: &[u8]) -> Parsed<'_, StatusItem> {
    let (rest, name) = expected("a status item", atom).parse(input)?;
    match StatusItem::parse(name.as_bytes()) {
        Some(item) => Ok((rest, item)),
        None => fail(input, "a status item"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::command::{Literals, Piece};

    /// The command in the form in which it is written, which is one form for each meaning.
    fn normal(text: &str) -> Result<String, String> {
        let (tag, command) = Command::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        for piece in command.write(&tag, Literals::NonSynchronising) {
            let (Piece::Text(octets) | Piece::Literal(octets)) = piece;
            out.extend_from_slice(&octets);
        }
        let again = out.strip_suffix(b"\r\n").expect("a line end");
        assert_eq!(Command::parse(again), Ok((tag, command)), "{text}");
        Ok(String::from_utf8(again.to_vec()).unwrap())
    }

    #[test]
    fn commands_are_read_and_written() {
        for (text, expected) in [
            ("a CAPABILITY", "a CAPABILITY"),
            ("a noop", "a NOOP"),
            ("a id nil", "a ID NIL"),
            ("a ID ()", "a ID NIL"),
            (r#"a ID ("name" "x" "os" nil)"#, r#"a ID ("name" "x" "os" NIL)"#),
            (r#"a ID ("version" 102.7.1)"#, r#"a ID ("version" "102.7.1")"#),
            (r#"a LOGIN "ada" "tans ta\"af""#, r#"a LOGIN ada "tans ta\"af""#),
            ("a LOGIN {3}\r\nada {2+}\r\n\r\n", "a LOGIN ada {2+}\r\n\r\n"),
            ("a LOGIN ada \"\"", "a LOGIN ada \"\""),
            ("a LOGIN a]b c]d", "a LOGIN a]b c]d"),
            ("a authenticate plain", "a AUTHENTICATE PLAIN"),
            ("a AUTHENTICATE X =", "a AUTHENTICATE X ="),
            ("a AUTHENTICATE PLAIN AGEAYg==", "a AUTHENTICATE PLAIN AGEAYg=="),
            ("a enable condstore X-Y", "a ENABLE CONDSTORE X-Y"),
            ("a select iNbOx", "a SELECT INBOX"),
            ("a EXAMINE \"INBOX\"", "a EXAMINE INBOX"),
            ("a CREATE owatagusiam/", "a CREATE owatagusiam/"),
            ("a CREATE &U,BTFw-", "a CREATE &U,BTFw-"),
            ("a DELETE \"a b\"", "a DELETE \"a b\""),
            ("a DELETE {3}\r\nfoo", "a DELETE foo"),
            ("a RENAME a {1}\r\nb", "a RENAME a b"),
            ("a SUBSCRIBE #news.comp", "a SUBSCRIBE #news.comp"),
            ("a UNSUBSCRIBE ~/x", "a UNSUBSCRIBE ~/x"),
            (r#"a LIST "" """#, r#"a LIST "" """#),
            (r#"a LIST "" %/x*"#, r#"a LIST "" %/x*"#),
            ("a LSUB \"#news.\" \"comp.*\"", "a LSUB #news. comp.*"),
            ("a STATUS x (uidnext MESSAGES)", "a STATUS x (UIDNEXT MESSAGES)"),
            ("a APPEND x {2}\r\nhi", "a APPEND x {2+}\r\nhi"),
            (
                "a APPEND x (\\seen $F \\Foo) \" 7-Feb-1994 21:52:25 -0800\" {0}\r\n",
                "a APPEND x (\\Seen $F) \" 7-Feb-1994 21:52:25 -0800\" {0+}\r\n",
            ),
            ("a APPEND x () {0}\r\n", "a APPEND x {0+}\r\n"),
            ("a IDLE", "a IDLE"),
            ("a UID EXPUNGE 3000:3002", "a UID EXPUNGE 3000:3002"),
            ("a FETCH 2:4,* all", "a FETCH 2:4,* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
            ("a FETCH 1 fast", "a FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)"),
            ("a FETCH 1 FULL", "a FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"),
            ("a FETCH 1 body", "a FETCH 1 (BODY)"),
            ("a uid fetch 1 (uid RFC822 rfc822.header)", "a UID FETCH 1 (UID RFC822 RFC822.HEADER)"),
            ("a FETCH 1 BODY[]", "a FETCH 1 (BODY[])"),
            ("a FETCH 1 BODY[4.2.MIME]<0.5>", "a FETCH 1 (BODY[4.2.MIME]<0.5>)"),
            ("a FETCH 1 BODY.PEEK[header]", "a FETCH 1 (BODY.PEEK[HEADER])"),
            ("a FETCH 1 BODY[1.2]", "a FETCH 1 (BODY[1.2])"),
            ("a FETCH 1 BODY[3.Text]", "a FETCH 1 (BODY[3.TEXT])"),
            ("a FETCH 1 BODY[HEADER.FIELDS (DATE {4}\r\nFrom)]", "a FETCH 1 (BODY[HEADER.FIELDS (DATE From)])"),
            ("a FETCH 1 BODY[2.HEADER.FIELDS.NOT (x)]", "a FETCH 1 (BODY[2.HEADER.FIELDS.NOT (x)])"),
            ("a STORE 1 flags ()", "a STORE 1 FLAGS ()"),
            ("a STORE 1 +Flags.Silent \\Deleted x", "a STORE 1 +FLAGS.SILENT (\\Deleted x)"),
            ("a UID STORE 1 -FLAGS (\\Seen)", "a UID STORE 1 -FLAGS (\\Seen)"),
            ("a COPY 2:4 MEETING", "a COPY 2:4 MEETING"),
            ("a UID MOVE 42:69 foo", "a UID MOVE 42:69 foo"),
            ("a SEARCH all", "a SEARCH ALL"),
            ("a SEARCH UNSEEN", "a SEARCH NOT SEEN"),
            ("a SEARCH NEW", "a SEARCH (RECENT NOT SEEN)"),
            ("a SEARCH OLD 1:*", "a SEARCH (NOT RECENT 1:*)"),
            (
                "a UID SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
                "a UID SEARCH (FLAGGED SINCE 1-Feb-1994 NOT FROM Smith)",
            ),
            ("a SEARCH ON \"01-feb-1994\"", "a SEARCH ON 1-Feb-1994"),
            ("a SEARCH CHARSET UTF-8 TEXT {6}\r\nXXXXXX", "a SEARCH CHARSET UTF-8 TEXT XXXXXX"),
            ("a SEARCH OR (1 2) NOT OR 3 (4)", "a SEARCH OR (1 2) NOT OR 3 4"),
            (
                "a SEARCH header X-Y \"\" UID 7 larger 1 SMALLER 9",
                "a SEARCH (HEADER X-Y \"\" UID 7 LARGER 1 SMALLER 9)",
            ),
            ("a SEARCH KEYWORD $x UNKEYWORD y", "a SEARCH (KEYWORD $x NOT KEYWORD y)"),
        ] {
            assert_eq!(normal(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_where_it_goes_wrong() {
        for (text, expected, at) in [
            ("", "a tag", 0),
            ("a", "a space", 1),
            ("+ NOOP", "a tag", 0),
            ("a NOOP ", "the end", 6),
            ("a LOGIN a", "a space", 9),
            ("a LOGIN \"a b", "the end of the quoted string", 12),
            ("a LOGIN {3}\r\nab", "as many octets as announced, none of them NUL", 13),
            ("a LOGIN {5000000000}\r\nab", "a smaller number", 9),
            ("a LOGIN \"\r\n\" b", "the end of the quoted string", 9),
            ("a AUTHENTICATE PLAIN AG=E", "base64", 21),
            ("a AUTHENTICATE PLAIN ", "base64", 21),
            ("a SELECT &x", "a mailbox name in modified UTF-7", 9),
            ("a SELECT *", "a string", 9),
            ("a LIST \"\" \"\" RETURN ()", "the end", 12),
            ("a STATUS x ()", "a status item", 12),
            ("a STATUS x (FROB)", "a status item", 12),
            ("a STATUS x MESSAGES", "a list", 11),
            ("a STATUS x (UNSEEN DELETED-STORAGE)", "the end of the list", 18),
            ("a APPEND x (\\Recent) {0}\r\n", "a flag that can be changed", 12),
            ("a APPEND x \"7-Feb-1994 21:52:25 -0800\" {0}\r\n", "dd-Mon-yyyy hh:mm:ss +zzzz", 12),
            ("a FETCH 0 FLAGS", "a message number", 8),
            ("a FETCH 1,, FLAGS", "a message number", 10),
            ("a FETCH 1 ()", "a fetch item", 11),
            ("a FETCH 1 (ALL)", "a fetch item", 11),
            ("a FETCH 1 BODY[MIME]", "a section", 15),
            ("a FETCH 1 BODY[1.]", "a section", 17),
            ("a FETCH 1 BODY[0]", "a number above zero", 15),
            ("a FETCH 1 BODY[1.01]", "a number above zero", 17),
            ("a FETCH 1 BODY[]<0.0>", "a number above zero", 19),
            ("a FETCH 1 BODY.PEEK", "a fetch item", 10),
            ("a STORE 1 FROB x", "FLAGS", 10),
            ("a STORE 1 FLAGS x)", "the end", 17),
            ("a UID NOOP", "a command", 6),
            ("a EXPUNGE 1", "the end", 9),
            ("a SEARCH", "a space", 8),
            ("a SEARCH FROB", "a search key", 9),
            ("a SEARCH NOT", "a search key", 9),
            ("a SEARCH OR 1", "a space or a closing parenthesis", 13),
            ("a SEARCH (1", "a space or a closing parenthesis", 11),
            ("a SEARCH ()", "a search key", 10),
            ("a SEARCH 1)", "a space or a closing parenthesis", 10),
            ("a SEARCH ON 32-Feb-1994", "a date", 12),
            ("a SEARCH ON 1-Foo-1994", "a date", 12),
        ] {
            let error = Command::parse(text.as_bytes()).expect_err(text);
            assert_eq!((error.expected, error.at), (expected, at), "{text}");
        }
    }

    #[test]
    fn flags_are_bounded_in_number_and_length() {
        let many = |count: usize| (0..count).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ");
        for (flags, expected, at) in [
            (format!("({})", many(101)), "at most 100 flags", 18),
            (many(101), "at most 100 flags", 17),
            (format!("(a {})", "x".repeat(129)), "keywords of at most 128 octets", 18),
        ] {
            let error = Command::parse(format!("a STORE 1 +FLAGS {flags}").as_bytes()).unwrap_err();
            assert_eq!((error.expected, error.at), (expected, at));
        }
        for flags in [format!("({})", many(100)), many(100), "x".repeat(128)] {
            assert!(Command::parse(format!("a STORE 1 FLAGS {flags}").as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_search_may_nest_as_deep_as_its_line_is_long() {
        for (open, close) in [("(", ")"), ("NOT ", ""), ("OR 1 ", ""), ("OR (NOT ", ") 2")] {
            let depth = 20_000;
            let text = format!("a SEARCH {}SEEN{}", open.repeat(depth), close.repeat(depth));
            let (tag, command) = Command::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{open}: {error}"));
            assert!(!command.write(&tag, Literals::Synchronising).is_empty());
        }
    }

    #[test]
    fn the_message_of_append_may_stand_apart() {
        let message = Bytes::from_static(b"hello");
        let (_, apart) = command(b"a APPEND {1}\r\nx {5}\r\n", Some(&message)).unwrap();
        assert_eq!(Ok(("a".to_owned(), apart)), Command::parse(b"a APPEND x {5+}\r\nhello"));
        assert!(command(b"a APPEND x {4}\r\n", Some(&message)).is_err());
    }

    #[test]
    fn heads_say_where_commands_belong() {
        for (text, scope) in [
            ("a noop", Scope::Any),
            ("a LOGIN {3}\r\n", Scope::NotAuthenticated),
            ("a APPEND", Scope::Authenticated),
            ("a UID", Scope::Selected),
        ] {
            assert_eq!(head(text.as_bytes()).map(|head| head.scope), Ok(scope), "{text}");
        }
        for (text, tag) in [("", None), (" NOOP", None), ("a\"b NOOP", None), ("a", Some("a")), ("a FROB", Some("a"))] {
            assert_eq!(head(text.as_bytes()).map_err(|refusal| refusal.tag), Err(tag.map(str::to_owned)), "{text}");
        }
    }
}
