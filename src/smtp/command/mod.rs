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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Enhanced;

    fn parse(line: &str) -> Result<Command<'_>, CommandError> {
        Command::parse(line.as_bytes(), &Quirks::default())
    }

    fn written(command: &Command<'_>) -> String {
        let mut text = String::new();
        command.write(&mut text).unwrap();
        text
    }

    #[test]
    fn commands_round_trip() {
        for line in [
            "HELO a.test",
            "EHLO [192.0.2.1]",
            "EHLO [IPv6:2001:db8::1]",
            "LHLO a.test",
            "MAIL FROM:<>",
            "MAIL FROM:<ada@a.test>",
            "MAIL FROM:<\"a b\"@a.test> SIZE=100 BODY=8BITMIME",
            "MAIL FROM:<δοκιμή@παράδειγμα.δοκιμή> SMTPUTF8",
            "RCPT TO:<Postmaster>",
            "RCPT TO:<ada@[192.0.2.1]> NOTIFY=NEVER",
            "RCPT TO:<ada@[x400:c=fr]>",
            "RCPT TO:<postmaster@b.test>",
            "DATA",
            "BDAT 0",
            "BDAT 86 LAST",
            "RSET",
            "NOOP",
            "QUIT",
            "VRFY ada",
            "VRFY ada@b.test SMTPUTF8",
            "VRFY \"Ada L\"",
            "EXPN list",
            "HELP",
            "HELP MAIL",
            "STARTTLS",
            "AUTH PLAIN",
            "AUTH PLAIN =",
            "AUTH SCRAM-SHA-256 biwsbj11c2Vy",
            "BURL imap://harry@gryffindor.test/outbox;uid=25;urlauth=submit+harry:internal:91354a LAST",
            "BURL imap://gryffindor.test/drafts",
            "ETRN a.test",
            "ETRN @a.test",
            "ETRN #uucp",
            "ATRN",
            "ATRN a.test,b.test",
            "XCLIENT NAME=spike.test ADDR=168.100.189.2 LOGIN=ada+2Bx@a.test",
            "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 HELO=[TEMPUNAVAIL] PORT=25 PROTO=ESMTP",
            "XFORWARD NAME=spike.test IDENT=123 SOURCE=REMOTE",
        ] {
            let command = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(written(&command), format!("{line}\r\n"));
        }
    }

    #[test]
    fn plain_paths_are_read_as_any() {
        // What follows two spaces is read the long way.
        for path in
            ["<>", "<a@b>", "<a.b@c-d.test>", "<a@b--c>", "<a@b.>", "<.a@b>", "<a@b..c>", "<@a:b@c>", "<é@é>", "<A@B"]
        {
            for params in ["", "SIZE=1", "NOTIFY=NEVER", "X"] {
                for verb in ["MAIL FROM", "RCPT TO"] {
                    let (one, two) = (format!("{verb}:{path} {params}"), format!("{verb}:{path}  {params}"));
                    match (parse(&one), parse(&two)) {
                        (Err(CommandError::Syntax(one)), Err(CommandError::Syntax(two))) => {
                            assert_eq!(one.expected, two.expected)
                        }
                        (Err(one), Err(two)) => assert_eq!(one.reply(), two.reply()),
                        (one, two) => assert_eq!(one, two, "{path} {params}"),
                    }
                }
            }
        }
    }

    #[test]
    fn case_of_verbs_and_white_space_at_the_end_say_nothing() {
        for (line, same) in [
            ("ehlo a.test", "EHLO a.test"),
            ("mail from:<ada@a.test> size=1", "MAIL FROM:<ada@a.test> SIZE=1"),
            ("RCPT TO:<POSTMASTER>", "RCPT TO:<Postmaster>"),
            ("Quit  \t", "QUIT"),
            ("NOOP with words", "NOOP"),
            ("VRFY ada@b.test ", "VRFY ada@b.test"),
            ("VRFY <ada@b.test>", "VRFY \"<ada@b.test>\""),
            ("auth plain", "AUTH PLAIN"),
            ("MAIL FROM:<a@b>  SIZE=1  BODY=7BIT", "MAIL FROM:<a@b> SIZE=1 BODY=7BIT"),
            ("EHLO a.test.", "EHLO a.test"),
        ] {
            assert_eq!(parse(line).map(|command| written(&command)).as_deref(), Ok(&*format!("{same}\r\n")), "{line}");
        }
    }

    #[test]
    fn malformed_commands_are_errors_with_their_place() {
        for (line, at) in [
            ("HELO", 5),
            ("EHLO", 5),
            ("EHLO two words", 8),
            ("EHLO [192.0.2", 5),
            ("MAIL", 5),
            ("MAIL FROM", 5),
            ("MAIL TO:<a@b>", 5),
            ("MAIL FROM: <a@b>", 10),
            ("MAIL FROM:a@b", 10),
            ("MAIL FROM:<a@b", 14),
            ("MAIL FROM:<a>", 12),
            ("MAIL FROM:<Postmaster>", 21),
            ("MAIL FROM:<a@b>SIZE=1", 15),
            ("MAIL FROM:<a@b> SIZE=x", 16),
            ("MAIL FROM:<@a.test>", 18),
            ("RCPT TO:<>", 9),
            ("RCPT TO:<ada>", 12),
            ("RCPT TO:<a@b\0>", 12),
            ("DATA now", 5),
            ("RSET x", 5),
            ("QUIT x", 5),
            ("STARTTLS x", 9),
            ("BDAT", 5),
            ("BDAT x", 5),
            ("BDAT 99999999999999999999", 5),
            ("BDAT 1 FIRST", 7),
            ("VRFY", 5),
            ("VRFY a\x07", 5),
            ("AUTH", 5),
            ("AUTH a/b", 5),
            ("AUTH PLAIN !", 11),
            ("BURL", 5),
            ("BURL outbox", 5),
            ("BURL imap://a/<b>", 5),
            ("BURL imap://a/b FIRST", 16),
            ("ETRN", 5),
            ("ETRN a b", 6),
            ("ETRN #", 6),
            ("ETRN &a.test", 5),
            ("ATRN a.test,", 12),
            ("ATRN a.test, b.test", 12),
            ("XCLIENT", 8),
            ("XCLIENT NAME", 8),
            ("XCLIENT NAME=", 8),
            ("XCLIENT COLOUR=red", 8),
            ("XCLIENT NAME=a NAME=b", 15),
            ("XCLIENT ADDR=a.test", 8),
            ("XFORWARD PORT=65536", 9),
            ("XFORWARD NAME=a+0", 9),
        ] {
            match parse(line) {
                Err(CommandError::Syntax(error) | CommandError::Sender(error) | CommandError::Recipient(error)) => {
                    assert_eq!(error.at, at, "{line}: {error}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
        for line in
            ["", " ", "FOO", "EHLOO a.test", "\u{16}\u{3}\u{1}", "AVERYLONGVERB x", "MAIL\tFROM:<a@b>", "RSET\r"]
        {
            assert_eq!(parse(line), Err(CommandError::Verb), "{line:?}");
        }
        assert_eq!(parse("MAIL FROM:<a@b> SIZE=1 XYZ=2"), Err(CommandError::Parameter { at: 23 }));
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        for (line, status) in [
            ("MAIL", Enhanced(5, 5, 4)),
            ("MAIL TO:<a@b>", Enhanced(5, 5, 4)),
            ("MAIL FROM:", Enhanced(5, 1, 7)),
            ("MAIL FROM:<a", Enhanced(5, 1, 7)),
            ("MAIL FROM:<a@b>x", Enhanced(5, 1, 7)),
            ("MAIL FROM:<a@b> SIZE=x", Enhanced(5, 5, 4)),
            ("RCPT FROM:<a@b>", Enhanced(5, 5, 4)),
            ("RCPT TO:<>", Enhanced(5, 1, 3)),
            ("RCPT TO:<a@b> NOTIFY=x", Enhanced(5, 5, 4)),
        ] {
            let reply = parse(line).unwrap_err().reply();
            assert_eq!((reply.code(), reply.enhanced()), (501, Some(status)), "{line}");
        }
    }

    #[test]
    fn domains_are_no_longer_than_255_octets() {
        for (domain, sound) in [
            ("x".repeat(63), true),
            ("x".repeat(64), false),
            (format!("a.{}.b", "x".repeat(64)), false),
            ("xn--l8jegik.test".into(), true),
            ("XN--L8JEGIK.test".into(), true),
            ("xn---".into(), false),
            ("a.xn--123456.test".into(), false),
        ] {
            assert_eq!(parse(&format!("MAIL FROM:<a@{domain}>")).is_ok(), sound, "{domain}");
        }
        let domain = |len: usize| "a.".repeat(len / 2) + &"a".repeat(len % 2);
        for template in ["HELO X", "EHLO X", "MAIL FROM:<a@X>", "RCPT TO:<a@X>"] {
            assert!(parse(&template.replace('X', &domain(255))).is_ok(), "{template}");
            assert!(parse(&template.replace('X', &domain(257))).is_err(), "{template}");
        }
        assert!(parse(&format!("MAIL FROM:<{}@a.test>", "a".repeat(100))).is_ok());
    }

    #[test]
    fn quirks_let_pass_what_they_say() {
        let mut quirks = Quirks::common();
        quirks.helo_without_name = true;
        for (line, same) in [
            ("MAIL FROM: <a@b>", "MAIL FROM:<a@b>"),
            ("MAIL FROM:a@b SIZE=1", "MAIL FROM:<a@b> SIZE=1"),
            ("RCPT TO:  a@b", "RCPT TO:<a@b>"),
            ("RCPT TO: Postmaster", "RCPT TO:<Postmaster>"),
            ("HELO", "HELO"),
        ] {
            let command = Command::parse(line.as_bytes(), &quirks);
            assert_eq!(command.map(|command| written(&command)).as_deref(), Ok(&*format!("{same}\r\n")), "{line}");
        }
        for line in ["MAIL FROM:", "MAIL FROM: SIZE=1", "RCPT TO: a", "RCPT TO:postmasterx", "EHLO"] {
            assert!(Command::parse(line.as_bytes(), &quirks).is_err(), "{line}");
        }
    }

    #[test]
    fn nothing_in_a_command_makes_a_second_line() {
        let command = Command::Ehlo(BorrowedDomain::Name("a.test\r\nMAIL FROM:<>"));
        assert_eq!(written(&command), "EHLO a.test??MAIL FROM:<>\r\n");
    }
}
