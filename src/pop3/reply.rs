//! POP3 replies: the status line with its response code (RFC 1939 §3, RFC 2449 §§3 and 8, RFC 3206 §4), the listings that
//! follow some of them, and the capabilities, read and written. Dots of multi-line answers are in [`lines`](super::lines).

use std::borrow::Cow;
use std::fmt;

use crate::base::ParseError;
use crate::base::parse::{Parsed, fail, number, sp, whole};
use crate::pop3::command::Number;

/// RFC 1939 §3: the first line of a reply has at most 512 octets, its CRLF counted.
pub const MAX_REPLY: usize = 512;

/// Whether a reply says yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 1939 §3: "there are currently two status indicators", and so it stayed
pub enum Status {
    /// `+OK`
    Ok,
    /// `-ERR`
    Err,
}

/// The response code before the text, which says to a program what the text says to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// `IN-USE`: the login was right, but another client has the maildrop (RFC 2449 §8.1.2).
    InUse,
    /// `LOGIN-DELAY`: too soon after the last login (RFC 2449 §8.1.1).
    LoginDelay,
    /// `SYS/TEMP`: not the user's fault, and it may pass (RFC 3206 §4).
    SysTemp,
    /// `SYS/PERM`: not the user's fault, and it will not pass by itself (RFC 3206 §4).
    SysPerm,
    /// `AUTH`: the credentials are wrong (RFC 3206 §5).
    Auth,
    /// Another code, as it was written.
    Other(String),
}

/// The first line of a reply, and all of most replies.
///
/// ```
/// use facteur::pop3::{Code, Reply};
///
/// let reply = Reply::parse(b"-ERR [IN-USE] Do you have another POP session running?")?;
/// assert!(!reply.is_ok());
/// assert_eq!(reply.code(), Some(&Code::InUse));
/// assert_eq!(reply.text(), "Do you have another POP session running?");
/// assert_eq!(Reply::ok("2 320").to_string(), "+OK 2 320");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    status: Status,
    code: Option<Code>,
    text: Cow<'static, str>,
}

impl Reply {
    /// `+OK text`. The text is made fit for its line, see [`text`](Self::text).
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Ok, code: None, text: sound(text.into()) }
    }

    /// `-ERR text`. The text is made fit for its line, see [`text`](Self::text).
    pub fn err(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Err, code: None, text: sound(text.into()) }
    }

    /// The same with a response code. One that is no `resp-code` of RFC 2449 §3 is left out.
    #[must_use]
    pub fn with(mut self, code: Code) -> Self {
        self.code = Some(code).filter(|code| is_code(code.as_str().as_bytes()));
        self
    }

    /// Reads a status line without its CRLF. The status is read in any case of letters, which some servers need; a
    /// bracket that is no response code belongs to the text.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        whole(single_line, line)
    }

    /// Yes or no.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// The response code.
    pub fn code(&self) -> Option<&Code> {
        self.code.as_ref()
    }

    /// The text after the status and the code, for people; only after `STAT`, `LIST` and `UIDL` it says more. There are no
    /// control characters in it, it does not begin with `[`, and it is short enough for its line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Code {
    /// As it stands between the brackets.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Other(code) => code,
        }
    }

    /// RFC 2449 §8: "interpreted in a case-insensitive fashion", and unknown detail after a `/` is ignored.
    fn read(code: &str) -> Self {
        let known = [Self::InUse, Self::LoginDelay, Self::SysTemp, Self::SysPerm, Self::Auth];
        let is = |known: &Self| {
            let head = code.get(..known.as_str().len()).unwrap_or_default();
            let tail = code.get(known.as_str().len()..).unwrap_or_default();
            head.eq_ignore_ascii_case(known.as_str()) && (tail.is_empty() || tail.starts_with('/'))
        };
        known.into_iter().find(is).unwrap_or_else(|| Self::Other(code.to_owned()))
    }
}

/// Without CRLF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.status {
            Status::Ok => "+OK",
            Status::Err => "-ERR",
        })?;
        if let Some(code) = &self.code {
            write!(f, " [{}]", code.as_str())?;
        }
        if !self.text.is_empty() {
            write!(f, " {}", self.text)?;
        }
        Ok(())
    }
}

/// Longest response code that is read or written.
const MAX_CODE: usize = 64;
/// What is left for the text beside the status, the code and the line end.
const MAX_TEXT: usize = MAX_REPLY - "-ERR [] \r\n".len() - MAX_CODE;

/// `single-line = status [SP text]`
fn single_line(input: &[u8]) -> Parsed<'_, Reply> {
    let starts = |with: &str| input.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()));
    let (status, rest) = match () {
        () if starts("+OK") => (Status::Ok, input.get(3..).unwrap_or_default()),
        () if starts("-ERR") => (Status::Err, input.get(4..).unwrap_or_default()),
        () => return fail(input, "+OK or -ERR"),
    };
    let rest = match rest {
        [] => rest,
        [b' ', rest @ ..] => rest,
        _ => return fail(rest, "a space"),
    };
    let (code, text) = resp_code(rest).unwrap_or((None, rest));
    // What decides something is in ASCII: the status, the code, the numbers. What is lost here only people would read.
    let text = sound(Cow::Owned(String::from_utf8_lossy(text).into_owned()));
    Ok((&[], Reply { status, code, text }))
}

/// `resp-code = "[" resp-level *("/" resp-level) "]"`, and the space after it.
fn resp_code(input: &[u8]) -> Option<(Option<Code>, &[u8])> {
    let inside = input.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', inside)?;
    let (code, rest) = (inside.get(..end)?, inside.get(end + 1..)?);
    let code = std::str::from_utf8(code).ok().filter(|_| is_code(code))?;
    Some((Some(Code::read(code)), rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// `resp-level = 1*rchar`, where `rchar = %x21-2E / %x30-5C / %x5E-7F`
fn is_code(code: &[u8]) -> bool {
    code.len() <= MAX_CODE
        && code.split(|octet| *octet == b'/').all(|level| {
            !level.is_empty() && level.iter().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b']' | b'['))
        })
}

/// The text as a line can carry it.
fn sound(text: Cow<'static, str>) -> Cow<'static, str> {
    let fits = text.len() <= MAX_TEXT
        && !text.starts_with(['[', ' '])
        && !text.ends_with(' ')
        && !text.contains(char::is_control);
    if fits {
        return text;
    }
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim_start_matches(['[', ' ']);
    let end = plain.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_TEXT).last();
    Cow::Owned(plain.get(..end.unwrap_or(0)).unwrap_or_default().trim_end_matches(' ').to_owned())
}

/// `drop listing` (RFC 1939 §5, `STAT`): how many messages, and how many octets they have together.
///
/// ```
/// use facteur::pop3::DropListing;
///
/// assert_eq!(DropListing::parse(b"2 320")?, DropListing { messages: 2, octets: 320 });
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct DropListing {
    /// Messages not marked as deleted.
    pub messages: u32,
    /// Their octets.
    pub octets: u64,
}

impl DropListing {
    /// Reads the text of the reply to `STAT`. What follows the second number is passed over: the RFC discourages it, yet
    /// servers may send it.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(
            |input| {
                let (rest, messages) = number(input)?;
                let (rest, ()) = sp(rest)?;
                let (rest, octets) = number(rest)?;
                more(rest).map(|(rest, ())| (rest, Self { messages, octets }))
            },
            text,
        )
    }
}

/// `scan listing` (RFC 1939 §5, `LIST`): a message and its size.
///
/// ```
/// use facteur::pop3::ScanListing;
///
/// assert_eq!(ScanListing::parse(b"2 200")?.octets, 200);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct ScanListing {
    /// The message.
    pub message: Number,
    /// Its octets.
    pub octets: u64,
}

impl ScanListing {
    /// Reads a line of `LIST`, or the text of the reply to `LIST msg`. What follows the size is passed over: "this memo
    /// makes no requirement on what follows the message size".
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(
            |input| {
                let (rest, message) = message(input)?;
                let (rest, octets) = number(rest)?;
                more(rest).map(|(rest, ())| (rest, Self { message, octets }))
            },
            text,
        )
    }
}

/// `unique-id listing` (RFC 1939 §7, `UIDL`): a message and its name for ever.
///
/// ```
/// use facteur::pop3::UniqueId;
///
/// assert_eq!(UniqueId::parse(b"1 whqtswO00WBw418f9t5JxYwZ")?.id, "whqtswO00WBw418f9t5JxYwZ");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct UniqueId {
    /// The message.
    pub message: Number,
    /// "One to 70 characters in the range 0x21 to 0x7E".
    pub id: String,
}

impl UniqueId {
    /// Reads a line of `UIDL`, or the text of the reply to `UIDL msg`.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(
            |input| {
                let (rest, message) = message(input)?;
                let graphic = (1..=70).contains(&rest.len()) && rest.iter().all(u8::is_ascii_graphic);
                match std::str::from_utf8(rest).ok().filter(|_| graphic) {
                    Some(id) => Ok((&rest[rest.len()..], Self { message, id: id.to_owned() })), // never past the end
                    None => fail(rest, "a unique-id"),
                }
            },
            text,
        )
    }
}

/// `capability = capa-tag *(SP param)` (RFC 2449 §3).
///
/// ```
/// use facteur::pop3::Capability;
///
/// let capability = Capability::parse(b"SASL PLAIN SCRAM-SHA-256")?;
/// assert_eq!((capability.tag.as_str(), capability.params.len()), ("SASL", 2));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct Capability {
    /// What is capable, in upper case.
    pub tag: String,
    /// Its parameters as they were written.
    pub params: Vec<String>,
}

impl Capability {
    /// Reads a line of `CAPA`.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        let Ok(text) = std::str::from_utf8(line) else { return Err(ParseError { expected: "a capability", at: 0 }) };
        let mut words = text.split(' ');
        let tag = words.next().unwrap_or_default().to_ascii_uppercase();
        // cchar = printable ASCII, excluding "."
        if tag.is_empty() || !tag.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'.') {
            return Err(ParseError { expected: "a capability", at: 0 });
        }
        Ok(Self { tag, params: words.filter(|word| !word.is_empty()).map(str::to_owned).collect() })
    }
}

/// `msg SP`
fn message(input: &[u8]) -> Parsed<'_, Number> {
    let (rest, message) = number(input)?;
    let Some(message) = Number::new(message) else { return fail(input, "a message number") };
    sp(rest).map(|(rest, ())| (rest, message))
}

/// Nothing, or a space and anything.
fn more(input: &[u8]) -> Parsed<'_, ()> {
    match input {
        [] | [b' ', ..] => Ok((&[], ())),
        _ => fail(input, "the end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_and_written() {
        for (line, reply) in [
            ("+OK", Reply::ok("")),
            ("-ERR", Reply::err("")),
            ("+OK POP3 server ready", Reply::ok("POP3 server ready")),
            ("+OK 2 320", Reply::ok("2 320")),
            ("-ERR [AUTH] wrong password", Reply::err("wrong password").with(Code::Auth)),
            ("-ERR [SYS/TEMP] try later", Reply::err("try later").with(Code::SysTemp)),
            ("-ERR [SYS/PERM]", Reply::err("").with(Code::SysPerm)),
            ("-ERR [LOGIN-DELAY] wait", Reply::err("wait").with(Code::LoginDelay)),
            ("-ERR [X-MOON/FULL] howl", Reply::err("howl").with(Code::Other("X-MOON/FULL".into()))),
        ] {
            assert_eq!(Reply::parse(line.as_bytes()).as_ref(), Ok(&reply), "{line}");
            assert_eq!(reply.to_string(), line);
        }
    }

    #[test]
    fn codes_are_read_without_case_and_without_unknown_detail() {
        for (line, code) in [
            ("-ERR [in-use] x", Code::InUse),
            ("-ERR [SYS/TEMP/DISK] x", Code::SysTemp),
            ("-ERR [AUTH/EXPIRED] x", Code::Auth),
            ("-ERR [AUTHORITY] x", Code::Other("AUTHORITY".into())),
        ] {
            assert_eq!(Reply::parse(line.as_bytes()).unwrap().code(), Some(&code), "{line}");
        }
        for line in ["-ERR [] x", "-ERR [a b] x", "-ERR [a", "-ERR [a//b] x"] {
            assert_eq!(Reply::parse(line.as_bytes()).unwrap().code(), None, "{line}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for line in ["", "OK", "+", "+OKAY", "-ERROR", "* OK", " +OK"] {
            assert!(Reply::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_text_cannot_break_out_of_its_line() {
        assert_eq!(Reply::err("a\r\n+OK b").to_string(), "-ERR a  +OK b");
        assert_eq!(Reply::ok("[AUTH] x").to_string(), "+OK AUTH] x");
        assert_eq!(Reply::ok("x").with(Code::Other("a]b".into())).code(), None);
        let long = Reply::ok("é".repeat(400)).with(Code::Other("x".repeat(64))).to_string();
        assert!(long.len() <= MAX_REPLY - 2, "{}", long.len());
        assert!(Reply::parse(long.as_bytes()).is_ok());
    }

    #[test]
    fn listings_are_read() {
        assert_eq!(DropListing::parse(b"2 320 and more"), Ok(DropListing { messages: 2, octets: 320 }));
        for text in ["", "7", "seven 1800662", "7 #octets", "7 1x", "7  1"] {
            assert!(DropListing::parse(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["", "7", "7 ten-twenty-four", "0 1", "1 99999999999999999999"] {
            assert!(ScanListing::parse(text.as_bytes()).is_err(), "{text}");
        }
        let longest = format!("1 {}", "~".repeat(70));
        assert!(UniqueId::parse(longest.as_bytes()).is_ok());
        for text in ["1", "1 ", "1 a b", "1 \x7f", &format!("{longest}~")] {
            assert!(UniqueId::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Capability::parse(b"EXPIRE 60 USER").is_ok());
        assert!(Capability::parse(b".").is_err());
    }
}
