//! Commands, both ways: RFC 5321 §4.1.1, LHLO (RFC 2033), STARTTLS (RFC 3207), AUTH (RFC 4954), BDAT (RFC 3030), BURL (RFC 4468),
//! ETRN (RFC 1985), ATRN (RFC 2645), and the XCLIENT and XFORWARD of Postfix.
//!
//! A command line is framed first and then parsed whole. What is written is always strict; what is read is as strict as
//! [`Quirks`] says.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Attributes, ForwardPath, MailParams, OneLine, RcptParams, Reply, ReversePath};
use crate::address::{self, BorrowedAddress, BorrowedDomain, Domain, Name};
use crate::base::{ParseError, Secret};

mod parse;
#[cfg(test)]
mod tests;

pub(super) use parse::upper;

/// One command of a client, borrowed from the line it was read from, or from what it is to be written of.
///
/// ```
/// use facteur::smtp::{Command, Quirks};
///
/// let line = "RCPT TO:<ada@b.test> NOTIFY=FAILURE";
/// let command = Command::parse(line.as_bytes(), &Quirks::default())?;
/// let mut text = String::new();
/// command.write(&mut text).unwrap();
/// assert_eq!(text, format!("{line}\r\n"));
/// # Ok::<(), facteur::smtp::CommandError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// `HELO`; the name is missing only where [`Quirks::helo_without_name`] let that pass.
    Helo(Option<BorrowedDomain<'a>>),
    /// `EHLO`
    Ehlo(BorrowedDomain<'a>),
    /// `LHLO` of LMTP (RFC 2033 §4.1).
    Lhlo(BorrowedDomain<'a>),
    /// `MAIL FROM:`
    Mail {
        /// The reverse-path.
        from: ReversePath<BorrowedAddress<'a>>,
        /// What follows it.
        params: MailParams,
    },
    /// `RCPT TO:`
    Rcpt {
        /// The forward-path.
        to: ForwardPath<BorrowedAddress<'a>>,
        /// What follows it.
        params: RcptParams,
    },
    /// `DATA`
    Data,
    /// `BDAT` (RFC 3030 §2): so many octets follow the line.
    Bdat {
        /// How many octets.
        size: u64,
        /// `LAST`: they are the last of the message.
        last: bool,
    },
    /// `BURL` (RFC 4468 §3): the server fetches a piece of the message itself.
    Burl {
        /// From where.
        url: &'a str,
        /// `LAST`: it is the last of the message.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP`; its parameter says nothing and is dropped.
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY`
    Vrfy {
        /// A user name, a mailbox, or both, its quoting removed.
        text: Cow<'a, str>,
        /// The reply may be in UTF-8 (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// `EXPN`
    Expn {
        /// The name of a list, its quoting removed.
        text: Cow<'a, str>,
        /// The reply may be in UTF-8 (RFC 6531 §3.7.4.2).
        smtputf8: bool,
    },
    /// `HELP`
    Help(Option<Cow<'a, str>>),
    /// `ETRN` (RFC 1985 §5): send what waits for that host.
    Etrn(Waiting),
    /// `ATRN` (RFC 2645 §5.2.1): send what waits for these domains over this very connection; none named means all that are
    /// the client's.
    Atrn(Vec<Domain>),
    /// `XCLIENT` of Postfix: the client is to be taken for another one.
    Xclient(Attributes),
    /// `XFORWARD` of Postfix: whom the message came from before, for the log.
    Xforward(Attributes),
    /// `STARTTLS` (RFC 3207 §4)
    StartTls,
    /// `AUTH` (RFC 4954 §4)
    Auth {
        /// The name of the mechanism in upper case.
        mechanism: String,
        /// The initial response, decoded; an empty one was sent as `=`.
        initial: Option<Secret>,
    },
}

/// What waits in a queue, as ETRN names it (RFC 1985 §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Waiting {
    /// For this host.
    Host(Domain),
    /// `@`: for this domain and all below it.
    Below(Domain),
    /// `#`: in the queue of this name.
    Queue(Name),
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "{name}"),
            Self::Below(name) => write!(f, "@{name}"),
            Self::Queue(name) => write!(f, "#{name}"),
        }
    }
}

/// What a server may let pass beyond the grammar. All off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// `MAIL FROM: <ada@a.test>`: spaces after the colon, as hand-written scripts and old Windows programs send them.
    pub space_after_colon: bool,
    /// `MAIL FROM:ada@a.test`: no brackets, as people at a terminal and some devices send it.
    pub no_brackets: bool,
    /// `HELO` alone, as some scanners and printers send it.
    pub helo_without_name: bool,
    /// Command lines that end in LF alone, as people with netcat send them. Never applies to the lines of a message.
    pub bare_lf: bool,
}

impl Quirks {
    /// All that every widespread server lets pass: spaces after the colon and missing brackets.
    pub fn common() -> Self {
        Self { space_after_colon: true, no_brackets: true, ..Self::default() }
    }
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The verb is not known.
    #[error("no such command")]
    Verb,
    /// The verb is known, what follows it is malformed. Octets are counted from the start of what was parsed.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// What stands behind `MAIL FROM:` is no address. Octets are counted as above.
    #[error(transparent)]
    Sender(ParseError),
    /// What stands behind `RCPT TO:` is no address. Octets are counted as above.
    #[error(transparent)]
    Recipient(ParseError),
    /// A parameter of MAIL or RCPT that is not known.
    #[error("no such parameter, at octet {at}")]
    Parameter {
        /// Where its name begins.
        at: usize,
    },
}

impl CommandError {
    /// What a server answers to it.
    pub fn reply(&self) -> Reply {
        use super::Enhanced;
        match self {
            // RFC 5321 §4.2.4: 500 where the command "was not recognized".
            Self::Verb => Reply::new(500, Enhanced(5, 5, 1), "command not recognized"),
            Self::Syntax(error) => Reply::new(501, Enhanced(5, 5, 4), error.to_string()),
            // RFC 3463 §3.2: bad sender's mailbox address syntax, and bad destination mailbox address syntax; a bounce has it.
            Self::Sender(error) => Reply::new(501, Enhanced(5, 1, 7), error.to_string()),
            Self::Recipient(error) => Reply::new(501, Enhanced(5, 1, 3), error.to_string()),
            // RFC 5321 §4.1.1.11: 555 for parameters "not recognized or not implemented".
            Self::Parameter { .. } => Reply::new(555, Enhanced(5, 5, 4), "parameter not recognized"),
        }
    }

    /// The same error in a piece of text that begins so many octets later.
    fn later(self, by: usize) -> Self {
        let moved = |error: ParseError| ParseError { at: error.at + by, ..error };
        match self {
            Self::Verb => Self::Verb,
            Self::Syntax(error) => Self::Syntax(moved(error)),
            Self::Sender(error) => Self::Sender(moved(error)),
            Self::Recipient(error) => Self::Recipient(moved(error)),
            Self::Parameter { at } => Self::Parameter { at: at + by },
        }
    }
}

impl Command<'_> {
    /// Writes the line with its CRLF. Nothing in the command can make a second line of it: control characters, which no
    /// parsed command holds, are written as `?`.
    ///
    /// # Errors
    /// Those of `out`; a `String` or a [`Wire`](crate::base::Wire) has none.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        use fmt::Write as _;
        let mut line = OneLine(&mut *out);
        match self {
            Self::Helo(None) => line.write_str("HELO"),
            Self::Helo(Some(name)) => write!(line, "HELO {name}"),
            Self::Ehlo(name) => write!(line, "EHLO {name}"),
            Self::Lhlo(name) => write!(line, "LHLO {name}"),
            Self::Mail { from, params } => write!(line, "MAIL FROM:{from}{params}"),
            Self::Rcpt { to, params } => write!(line, "RCPT TO:{to}{params}"),
            Self::Data => line.write_str("DATA"),
            Self::Bdat { size, last: false } => write!(line, "BDAT {size}"),
            Self::Bdat { size, last: true } => write!(line, "BDAT {size} LAST"),
            Self::Burl { url, last } => write!(line, "BURL {url}{}", if *last { " LAST" } else { "" }),
            Self::Etrn(waiting) => write!(line, "ETRN {waiting}"),
            Self::Atrn(domains) => {
                line.write_str("ATRN")?;
                let mut before = ' ';
                for domain in domains {
                    write!(line, "{before}{domain}")?;
                    before = ',';
                }
                Ok(())
            }
            Self::Xclient(attributes) => write!(line, "XCLIENT{attributes}"),
            Self::Xforward(attributes) => write!(line, "XFORWARD{attributes}"),
            Self::Rset => line.write_str("RSET"),
            Self::Noop => line.write_str("NOOP"),
            Self::Quit => line.write_str("QUIT"),
            Self::Vrfy { text, smtputf8 } => write!(line, "VRFY {}{}", Text(text), utf8(*smtputf8)),
            Self::Expn { text, smtputf8 } => write!(line, "EXPN {}{}", Text(text), utf8(*smtputf8)),
            Self::Help(None) => line.write_str("HELP"),
            Self::Help(Some(text)) => write!(line, "HELP {}", Text(text)),
            Self::StartTls => line.write_str("STARTTLS"),
            Self::Auth { mechanism, initial: None } => write!(line, "AUTH {mechanism}"),
            Self::Auth { mechanism, initial: Some(initial) } if initial.expose().is_empty() => {
                write!(line, "AUTH {mechanism} =")
            }
            Self::Auth { mechanism, initial: Some(initial) } => {
                write!(line, "AUTH {mechanism} {}", BASE64_STANDARD.encode(initial.expose()))
            }
        }?;
        out.write_str("\r\n")
    }
}

fn utf8(wanted: bool) -> &'static str {
    if wanted { " SMTPUTF8" } else { "" }
}

/// A `String` written so that it reads back: quoted where anything in it could be taken for something else.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.bytes().all(|octet| address::is_atext(octet) || matches!(octet, b'.' | b'@')) {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            fmt::Write::write_char(f, character)?;
        }
        f.write_str("\"")
    }
}
