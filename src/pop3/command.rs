//! POP3 commands: RFC 1939 §§3, 5-7, RFC 2449 §§3-5, RFC 2595 §4 and RFC 5034 §4, read and written.
//!
use std::fmt;
use std::num::NonZeroU32;

use crate::base::parse::{Parsed, fail, number, sp, whole};
use crate::base::{ParseError, Secret, Wire};

/// RFC 2449 §4: a command has at most 255 octets, its CRLF counted.
pub const MAX_COMMAND: usize = 255;

/// A message-number: messages count from 1.
pub type Number = NonZeroU32;

/// A command as its line says it, without regard to whether it may be given now.
///
/// ```
/// use facteur::pop3::Command;
///
/// assert_eq!(Command::parse(b"TOP 1 10")?, Command::Top { message: 1.try_into()?, lines: 10 });
/// assert!(Command::parse(b"TOP 0 10").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `USER name` (RFC 1939 §7). The name is printable, without spaces, ASCII or UTF-8 (RFC 6856 §2.3).
    User(String),
    /// `PASS string` (RFC 1939 §7): spaces belong to the password.
    Pass(Secret),
    /// `AUTH mechanism [initial-response]` (RFC 5034 §4).
    Auth {
        /// The name of the mechanism, in upper case.
        mechanism: String,
        /// The initial response, still in Base64; `=` stands for an empty one.
        initial: Option<Secret>,
    },
    /// `APOP name digest` (RFC 1939 §7).
    Apop {
        /// The name.
        user: String,
        /// 32 hexadecimal digits in lower case.
        digest: String,
    },
    /// `STAT`
    Stat,
    /// `LIST [msg]`
    List(Option<Number>),
    /// `UIDL [msg]`
    Uidl(Option<Number>),
    /// `RETR msg`
    Retr(Number),
    /// `DELE msg`
    Dele(Number),
    /// `TOP msg n`
    Top {
        /// The message.
        message: Number,
        /// How many lines of its body are wanted.
        lines: u32,
    },
    /// `NOOP`
    Noop,
    /// `RSET`
    Rset,
    /// `CAPA` (RFC 2449 §5)
    Capa,
    /// `STLS` (RFC 2595 §4)
    Stls,
    /// `QUIT`
    Quit,
}

impl Command {
    /// Reads a line without its CRLF. Keywords are read in any case of letters; arguments are separated by exactly one
    /// space (RFC 1939 §3).
    ///
    /// # Errors
    /// What was expected, and where: `a known command` at octet 0 where the keyword is none of the above.
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        whole(command, line)
    }

    /// Sends the command with its CRLF.
    ///
    /// # Errors
    /// Where a name, password or mechanism cannot stand in a command, or the line would be longer than
    /// [`MAX_COMMAND`]; nothing is sent then.
    pub fn write(&self, wire: &mut Wire) -> Result<(), ParseError> {
        let line = self.line();
        if line.len() > MAX_COMMAND - 2 {
            return Err(ParseError { expected: "a shorter command", at: MAX_COMMAND - 2 });
        }
        // What would not be read as it was meant must not be sent: a CR LF in a password would be two commands.
        if Self::parse(&line)? != *self {
            return Err(ParseError { expected: "an argument that can be written", at: 5 });
        }
        wire.out(&line);
        wire.out(b"\r\n");
        Ok(())
    }

    fn line(&self) -> Vec<u8> {
        let with = |keyword: &str, argument: &[u8]| [keyword.as_bytes(), b" ", argument].concat();
        let text = |text: fmt::Arguments<'_>| text.to_string().into_bytes();
        match self {
            Self::User(name) => with("USER", name.as_bytes()),
            Self::Pass(secret) => with("PASS", secret.expose()),
            Self::Apop { user, digest } => text(format_args!("APOP {user} {digest}")),
            Self::Auth { mechanism, initial: None } => with("AUTH", mechanism.as_bytes()),
            Self::Auth { mechanism, initial: Some(initial) } => {
                with("AUTH", &[mechanism.as_bytes(), b" ", initial.expose()].concat())
            }
            Self::Stat => b"STAT".to_vec(),
            Self::List(None) => b"LIST".to_vec(),
            Self::List(Some(message)) => text(format_args!("LIST {message}")),
            Self::Uidl(None) => b"UIDL".to_vec(),
            Self::Uidl(Some(message)) => text(format_args!("UIDL {message}")),
            Self::Retr(message) => text(format_args!("RETR {message}")),
            Self::Dele(message) => text(format_args!("DELE {message}")),
            Self::Top { message, lines } => text(format_args!("TOP {message} {lines}")),
            Self::Noop => b"NOOP".to_vec(),
            Self::Rset => b"RSET".to_vec(),
            Self::Capa => b"CAPA".to_vec(),
            Self::Stls => b"STLS".to_vec(),
            Self::Quit => b"QUIT".to_vec(),
        }
    }
}

/// `command = keyword *(SP param)`
fn command(input: &[u8]) -> Parsed<'_, Command> {
    let len = input.iter().position(|octet| *octet == b' ').unwrap_or(input.len());
    let (keyword, rest) = input.split_at(len);
    let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
    match () {
        () if is("USER") => {
            let (rest, ()) = sp(rest)?;
            // RFC 1939 §7: "a string identifying a mailbox"; one parameter, so no space.
            match std::str::from_utf8(rest) {
                Ok(name) if !name.is_empty() && !name.contains(|c: char| c == ' ' || c.is_control()) => {
                    Ok((&[], Command::User(name.to_owned())))
                }
                _ => fail(rest, "a user name"),
            }
        }
        () if is("PASS") => {
            let (rest, ()) = sp(rest)?;
            // RFC 1939 §7: "a POP3 server may treat spaces in the argument as part of the password".
            if rest.is_empty() || rest.iter().any(u8::is_ascii_control) {
                return fail(rest, "a password");
            }
            Ok((&[], Command::Pass(rest.into())))
        }
        () if is("APOP") => {
            let (rest, ()) = sp(rest)?;
            let text = std::str::from_utf8(rest).ok().and_then(|text| text.split_once(' '));
            let lower = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
            match text {
                // RFC 1939 §7: "a 16-octet value which is sent in hexadecimal format, using lower-case ASCII characters"
                Some((name, digest))
                    if !name.is_empty()
                        && !name.contains(char::is_control)
                        && digest.len() == 32
                        && digest.bytes().all(lower) =>
                {
                    Ok((&[], Command::Apop { user: name.to_owned(), digest: digest.to_owned() }))
                }
                _ => fail(rest, "a user name and a digest"),
            }
        }
        () if is("AUTH") => {
            let (rest, ()) = sp(rest)?;
            let len = rest.iter().position(|octet| *octet == b' ').unwrap_or(rest.len());
            let (mechanism, after) = rest.split_at(len);
            // RFC 4422 §3.1: sasl-mech = 1*20mech-char, which are A-Z, 0-9, "-" and "_"
            let sound = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
            let mechanism = match std::str::from_utf8(mechanism) {
                Ok(name) if (1..=20).contains(&name.len()) && mechanism.iter().all(sound) => name.to_ascii_uppercase(),
                _ => return fail(rest, "a mechanism"),
            };
            if after.is_empty() {
                return Ok((after, Command::Auth { mechanism, initial: None }));
            }
            let (initial, ()) = sp(after)?;
            let base64 = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=');
            if initial.is_empty() || !initial.iter().all(base64) {
                return fail(initial, "an initial response");
            }
            Ok((&[], Command::Auth { mechanism, initial: Some(initial.into()) }))
        }
        () if is("STAT") => Ok((rest, Command::Stat)),
        () if is("LIST") => optional_message(rest).map(|(rest, message)| (rest, Command::List(message))),
        () if is("UIDL") => optional_message(rest).map(|(rest, message)| (rest, Command::Uidl(message))),
        () if is("RETR") => message(rest).map(|(rest, message)| (rest, Command::Retr(message))),
        () if is("DELE") => message(rest).map(|(rest, message)| (rest, Command::Dele(message))),
        () if is("TOP") => {
            let (rest, message) = message(rest)?;
            let (rest, ()) = sp(rest)?;
            number(rest).map(|(rest, lines)| (rest, Command::Top { message, lines }))
        }
        () if is("NOOP") => Ok((rest, Command::Noop)),
        () if is("RSET") => Ok((rest, Command::Rset)),
        () if is("CAPA") => Ok((rest, Command::Capa)),
        () if is("STLS") => Ok((rest, Command::Stls)),
        () if is("QUIT") => Ok((rest, Command::Quit)),
        () => fail(input, "a known command"),
    }
}

/// `SP msg`
fn message(input: &[u8]) -> Parsed<'_, Number> {
    let (digits, ()) = sp(input)?;
    let (rest, message) = number(digits)?;
    match Number::new(message) {
        Some(message) => Ok((rest, message)),
        None => fail(digits, "a message number"),
    }
}

/// `[SP msg]`
fn optional_message(input: &[u8]) -> Parsed<'_, Option<Number>> {
    if input.is_empty() {
        return Ok((input, None));
    }
    message(input).map(|(rest, message)| (rest, Some(message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u32) -> Number {
        Number::new(number).unwrap()
    }

    #[test]
    fn commands_are_read() {
        for (line, expected) in [
            ("USER mrose", Command::User("mrose".into())),
            ("user mrose@example.org", Command::User("mrose@example.org".into())),
            ("USER jürgen", Command::User("jürgen".into())),
            ("PASS secret", Command::Pass("secret".into())),
            ("PASS  two  words ", Command::Pass(" two  words ".into())),
            (
                "APOP mrose c4c9334bac560ecc979e58001b3e22fb",
                Command::Apop { user: "mrose".into(), digest: "c4c9334bac560ecc979e58001b3e22fb".into() },
            ),
            ("AUTH PLAIN", Command::Auth { mechanism: "PLAIN".into(), initial: None }),
            ("auth plain =", Command::Auth { mechanism: "PLAIN".into(), initial: Some("=".into()) }),
            (
                "AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q=",
                Command::Auth { mechanism: "PLAIN".into(), initial: Some("dGVzdAB0ZXN0AHRlc3Q=".into()) },
            ),
            ("STAT", Command::Stat),
            ("LIST", Command::List(None)),
            ("LIST 2", Command::List(Some(n(2)))),
            ("UIDL", Command::Uidl(None)),
            ("uIdL 4294967295", Command::Uidl(Some(n(u32::MAX)))),
            ("RETR 1", Command::Retr(n(1))),
            ("DELE 10", Command::Dele(n(10))),
            ("TOP 1 0", Command::Top { message: n(1), lines: 0 }),
            ("NOOP", Command::Noop),
            ("rset", Command::Rset),
            ("CAPA", Command::Capa),
            ("STLS", Command::Stls),
            ("Quit", Command::Quit),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (line, expected, at) in [
            ("", "a known command", 0),
            ("XTND XMIT", "a known command", 0),
            (" STAT", "a known command", 0),
            ("STATS", "a known command", 0),
            ("STAT ", "the end", 4),
            ("STAT 1", "the end", 4),
            ("USER", "a space", 4),
            ("USER ", "a user name", 5),
            ("USER a b", "a user name", 5),
            ("PASS", "a space", 4),
            ("PASS ", "a password", 5),
            ("PASS a\tb", "a password", 5),
            ("LIST ", "a number", 5),
            ("LIST 0", "a message number", 5),
            ("LIST -1", "a number", 5),
            ("LIST  1", "a number", 5),
            ("LIST 1 2", "the end", 6),
            ("LIST 4294967296", "a smaller number", 5),
            ("RETR", "a space", 4),
            ("RETR one", "a number", 5),
            ("TOP 1", "a space", 5),
            ("TOP 1 -1", "a number", 6),
            ("TOP 1 1 1", "the end", 7),
            ("AUTH", "a space", 4),
            ("AUTH PLA!N", "a mechanism", 5),
            ("AUTH ABCDEFGHIJKLMNOPQRSTU", "a mechanism", 5),
            ("AUTH PLAIN ", "an initial response", 11),
            ("AUTH PLAIN a b", "an initial response", 11),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), Err(ParseError { expected, at }), "{line}");
        }
        assert!(Command::parse(b"USER a\xff").is_err());
        assert!(Command::parse(b"NO\0OP").is_err());
    }

    #[test]
    fn what_would_read_otherwise_is_not_written() {
        let mut wire = Wire::new();
        for command in [
            Command::User("a\r\nDELE 1".into()),
            Command::User(String::new()),
            Command::User("two words".into()),
            Command::Pass("a\r\nDELE 1".into()),
            Command::Pass("x".repeat(249).into()),
            Command::Auth { mechanism: "plain".into(), initial: None },
            Command::Auth { mechanism: "PLAIN".into(), initial: Some("".into()) },
        ] {
            assert!(command.write(&mut wire).is_err(), "{command:?}");
        }
        assert_eq!(wire.backlog(), 0);
        assert_eq!(Command::Pass("x".repeat(248).into()).write(&mut wire), Ok(()));
        assert_eq!(wire.backlog(), MAX_COMMAND);
    }
}
