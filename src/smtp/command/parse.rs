//! Reading a command line. Which command it is, is decided first, and by numbers: nearly all verbs are four letters.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Command, CommandError, Quirks, Waiting};
use crate::address::{BorrowedDomain, Domain, MAX_DOMAIN, domain, plain_domain};
use crate::base::parse::{Expected, fail, is_wsp, number, quoted, whole};
use crate::base::{ParseError, Secret};
use crate::smtp::{Attributes, ForwardPath, MailParams, RcptParams, ReversePath, path};
use crate::text::transfer::text;

/// Letters in upper case, as a number that is compared at once. Another octet never becomes a letter.
pub(in crate::smtp) const fn upper(letters: [u8; 4]) -> u32 {
    u32::from_le_bytes(letters) & u32::from_le_bytes([0xdf; 4])
}

macro_rules! verbs {
    ($($verb:ident)*) => {
        $(const $verb: u32 = {
            let [a, b, c, d] = *stringify!($verb).as_bytes() else { panic!() };
            upper([a, b, c, d])
        };)*
    };
}

verbs!(FROM MAIL RCPT DATA RSET QUIT NOOP BDAT HELO EHLO LHLO AUTH VRFY EXPN HELP BURL ETRN ATRN LAST);

impl<'a> Command<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// What is wrong with it; [`CommandError::reply`] says it to the client.
    pub fn parse(line: &'a [u8], quirks: &Quirks) -> Result<Self, CommandError> {
        // RFC 5321 §4.1.1: "receivers SHOULD tolerate trailing white space before the terminating <CRLF>".
        let mut line = line;
        while let [shorter @ .., b' ' | b'\t'] = line {
            line = shorter;
        }
        let (verb, args) = match line.split_first_chunk() {
            Some((verb, [])) => (upper(*verb), &[][..]),
            Some((verb, [b' ', args @ ..])) => (upper(*verb), args),
            _ => return Self::of_more_letters(line),
        };
        // What follows the verb begins at octet 5.
        match verb {
            MAIL => Self::mail(args, quirks),
            RCPT => Self::rcpt(args, quirks),
            // RFC 5321 §4.1.1: commands without parameters get 501 where some are given.
            DATA | RSET | QUIT if !args.is_empty() => Err(none_wanted(5)),
            DATA => Ok(Self::Data),
            RSET => Ok(Self::Rset),
            QUIT => Ok(Self::Quit),
            NOOP => Ok(Self::Noop),
            BDAT => bdat(args).map_err(behind_verb),
            HELO if args.is_empty() && quirks.helo_without_name => Ok(Self::Helo(None)),
            HELO => Ok(Self::Helo(Some(hello(args).map_err(behind_verb)?))),
            EHLO => Ok(Self::Ehlo(hello(args).map_err(behind_verb)?)),
            LHLO => Ok(Self::Lhlo(hello(args).map_err(behind_verb)?)),
            AUTH => auth(args).map_err(behind_verb),
            VRFY => {
                let (text, smtputf8) = string(args).map_err(behind_verb)?;
                Ok(Self::Vrfy { text, smtputf8 })
            }
            EXPN => {
                let (text, smtputf8) = string(args).map_err(behind_verb)?;
                Ok(Self::Expn { text, smtputf8 })
            }
            HELP if args.is_empty() => Ok(Self::Help(None)),
            HELP => Ok(Self::Help(Some(string(args).map_err(behind_verb)?.0))),
            BURL => burl(args).map_err(behind_verb),
            ETRN => Ok(Self::Etrn(waiting(args).map_err(behind_verb)?)),
            ATRN if args.is_empty() => Ok(Self::Atrn(Vec::new())),
            ATRN => Ok(Self::Atrn(domains(args).map_err(behind_verb)?)),
            _ => Err(CommandError::Verb),
        }
    }

    #[inline(never)]
    fn mail(args: &'a [u8], quirks: &Quirks) -> Result<Self, CommandError> {
        let plain = match args.split_first_chunk() {
            Some((word, [b':', b'<', rest @ ..])) if upper(*word) == FROM => match rest {
                [b'>', ..] => path::behind_bracket(rest).map(|rest| (rest, ReversePath::Null)),
                _ => path::plain(rest).map(|(rest, from)| (rest, ReversePath::Address(from))),
            },
            _ => None,
        };
        let Some((rest, from)) = plain else { return Self::mail_beyond(args, quirks) };
        if rest.is_empty() {
            return Ok(Self::Mail { from, params: MailParams::default() });
        }
        match MailParams::read(rest) {
            Ok(params) => Ok(Self::Mail { from, params }),
            Err(error) => Err(error.later(5 + args.len() - rest.len())),
        }
    }

    /// With any path.
    #[cold]
    fn mail_beyond(args: &'a [u8], quirks: &Quirks) -> Result<Self, CommandError> {
        let (rest, from) = path::reverse(args, quirks).map_err(|fault| in_path(fault, args, CommandError::Sender))?;
        let params = MailParams::parse(rest).map_err(|error| error.later(5 + args.len() - rest.len()))?;
        Ok(Self::Mail { from, params })
    }

    #[inline(never)]
    fn rcpt(args: &'a [u8], quirks: &Quirks) -> Result<Self, CommandError> {
        let plain = match args {
            [b'T' | b't', b'O' | b'o', b':', b'<', rest @ ..] => path::plain(rest),
            _ => None,
        };
        let Some((rest, to)) = plain else { return Self::rcpt_beyond(args, quirks) };
        let to = ForwardPath::Address(to);
        if rest.is_empty() {
            return Ok(Self::Rcpt { to, params: RcptParams::default() });
        }
        match RcptParams::read(rest) {
            Ok(params) => Ok(Self::Rcpt { to, params }),
            Err(error) => Err(error.later(5 + args.len() - rest.len())),
        }
    }

    /// With any path.
    #[cold]
    fn rcpt_beyond(args: &'a [u8], quirks: &Quirks) -> Result<Self, CommandError> {
        let (rest, to) = path::forward(args, quirks).map_err(|fault| in_path(fault, args, CommandError::Recipient))?;
        let params = RcptParams::parse(rest).map_err(|error| error.later(5 + args.len() - rest.len()))?;
        Ok(Self::Rcpt { to, params })
    }

    #[cold]
    fn of_more_letters(line: &'a [u8]) -> Result<Self, CommandError> {
        let len = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
        let (verb, args) = line.split_at_checked(len).unwrap_or_default();
        let (is, at) = (|name: &[u8]| verb.eq_ignore_ascii_case(name), len + 1);
        let args = args.get(1..).unwrap_or_default();
        let later = |error| CommandError::from(error).later(at);
        if is(b"STARTTLS") {
            return if args.is_empty() { Ok(Self::StartTls) } else { Err(none_wanted(at)) };
        }
        if is(b"XCLIENT") {
            return Ok(Self::Xclient(Attributes::parse(args).map_err(later)?));
        }
        if is(b"XFORWARD") {
            return Ok(Self::Xforward(Attributes::parse(args).map_err(later)?));
        }
        Err(CommandError::Verb)
    }
}

/// What is wrong with a path, and where; or with the word before it, with which all begins.
#[cold]
fn in_path(fault: nom::Err<Expected<'_>>, args: &[u8], of: fn(ParseError) -> CommandError) -> CommandError {
    match fault {
        nom::Err::Error(fault) | nom::Err::Failure(fault) => {
            let error = ParseError { expected: fault.expected, at: args.len() - fault.rest.len() };
            if error.at == 0 { behind_verb(error) } else { of(error).later(5) }
        }
        nom::Err::Incomplete(_) => CommandError::Verb, // complete mode: never
    }
}

/// An error in what follows a verb of four letters.
#[cold]
fn behind_verb(error: ParseError) -> CommandError {
    CommandError::from(error).later(5)
}

#[cold]
fn none_wanted(at: usize) -> CommandError {
    ParseError { expected: "no parameter", at }.into()
}

/// `Domain / address-literal`, the name of a client.
fn hello(args: &[u8]) -> Result<BorrowedDomain<'_>, ParseError> {
    if args.len() > MAX_DOMAIN {
        return Err(ParseError { expected: "a domain of at most 255 octets", at: 0 });
    }
    match plain_domain(args) {
        Some(([], domain)) => Ok(domain),
        _ => whole(domain, args),
    }
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF`
fn bdat(args: &[u8]) -> Result<Command<'_>, ParseError> {
    let (size, last) = whole(
        |args| {
            let (rest, size) = number(args)?;
            match rest {
                [] => Ok((rest, (size, false))),
                [b' ', rest @ ..] => match rest.split_first_chunk() {
                    Some((marker, rest)) if upper(*marker) == LAST => Ok((rest, (size, true))),
                    _ => fail(rest, "LAST"),
                },
                _ => fail(rest, "a space"),
            }
        },
        args,
    )?;
    Ok(Command::Bdat { size, last })
}

/// `burl-cmd = "BURL" SP absolute-URI [SP end-marker] CRLF`, where `absolute-URI = scheme ":" …` (RFC 3986 §4.3)
fn burl(args: &[u8]) -> Result<Command<'_>, ParseError> {
    let len = args.iter().position(|octet| *octet == b' ').unwrap_or(args.len());
    let (url, rest) = args.split_at(len);
    let scheme = url.iter().position(|octet| *octet == b':').and_then(|colon| url.get(..colon)).unwrap_or_default();
    let is_scheme = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-.".contains(octet);
    let sound = scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(is_scheme);
    // A fragment is no part of an absolute URI.
    let of_url = |octet: &u8| octet.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(octet);
    let Some(url) = text(url).filter(|url| sound && url.as_bytes().iter().all(of_url)) else {
        return Err(ParseError { expected: "a URL", at: 0 });
    };
    let last = match rest {
        [] => false,
        rest if rest.eq_ignore_ascii_case(b" LAST") => true,
        _ => return Err(ParseError { expected: "LAST", at: len + 1 }),
    };
    Ok(Command::Burl { url, last })
}

/// `[<option character>]<node name>` of RFC 1985 §5
fn waiting(args: &[u8]) -> Result<Waiting, ParseError> {
    let later = |error: ParseError| ParseError { at: error.at + 1, ..error };
    match args {
        [b'@', name @ ..] => Ok(Waiting::Below(hello(name).map_err(later)?.into())),
        [b'#', name @ ..] if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) => {
            Ok(Waiting::Queue(String::from_utf8_lossy(name).into_owned().into())) // ASCII, as just checked
        }
        [b'#', ..] => Err(ParseError { expected: "the name of a queue", at: 1 }),
        name => Ok(Waiting::Host(hello(name)?.into())),
    }
}

/// `domain *("," domain)`
fn domains(args: &[u8]) -> Result<Vec<Domain>, ParseError> {
    let mut at = 0;
    let mut domains = Vec::new();
    for name in args.split(|octet| *octet == b',') {
        domains.push(hello(name).map_err(|error| ParseError { at: error.at + at, ..error })?.into());
        at += name.len() + 1;
    }
    Ok(domains)
}

/// `String = Atom / Quoted-string`, and what people type instead: all that is printable up to the end of the line. The
/// parameter `SMTPUTF8` of RFC 6531 §3.7.4.2 may follow.
fn string(args: &[u8]) -> Result<(Cow<'_, str>, bool), ParseError> {
    let keyword = b" SMTPUTF8";
    let (octets, smtputf8) = match args.split_last_chunk::<9>() {
        Some((octets, tail)) if tail.eq_ignore_ascii_case(keyword) => (octets, true),
        _ => (args, false),
    };
    let text = match octets {
        [b'"', ..] => String::from_utf8(whole(quoted, octets)?).ok().map(Cow::Owned),
        _ => text(octets).map(Cow::Borrowed),
    };
    match text {
        Some(text) if !text.is_empty() && !text.bytes().any(|octet| octet.is_ascii_control()) => Ok((text, smtputf8)),
        _ => Err(ParseError { expected: "a name", at: 0 }),
    }
}

/// `"AUTH" SP sasl-mech [SP initial-response]`, where `initial-response = base64 / "="` (RFC 4954 §8)
fn auth(args: &[u8]) -> Result<Command<'_>, ParseError> {
    let len = args.iter().position(|octet| is_wsp(*octet)).unwrap_or(args.len());
    let (mechanism, initial) = args.split_at(len);
    // RFC 4422 §3.1: sasl-mech = 1*20mech-char; upper case letters, digits, hyphen, underscore.
    let is_mechanism = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if !(1..=20).contains(&len) || !mechanism.iter().all(is_mechanism) {
        return Err(ParseError { expected: "the name of a mechanism", at: 0 });
    }
    let mechanism = String::from_utf8_lossy(mechanism).to_ascii_uppercase(); // ASCII, as checked above
    let initial = match initial.get(1..).unwrap_or_default() {
        [] => None,
        b"=" => Some(Secret::default()),
        text => match BASE64_STANDARD.decode(text) {
            Ok(octets) => Some(Secret::from(octets)),
            Err(_) => return Err(ParseError { expected: "base64", at: len + 1 }),
        },
    };
    Ok(Command::Auth { mechanism, initial })
}
