//! Reading a command line. Which command it is, is decided first, and by numbers: nearly all verbs are four letters.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Command, CommandError, Quirks, Waiting};
use crate::address::{Domain, MAX_DOMAIN};
use crate::base::parse::{Parsed, fail, is_wsp, number, quoted, sp, whole};
use crate::base::{ParseError, Secret};
use crate::smtp::{Attributes, ForwardPath, MailParams, RcptParams, ReversePath, path};

impl Command {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// What is wrong with it; [`CommandError::reply`] says it to the client.
    pub fn parse(line: &[u8], quirks: &Quirks) -> Result<Self, CommandError> {
        // RFC 5321 §4.1.1: "receivers SHOULD tolerate trailing white space before the terminating <CRLF>".
        let mut line = line;
        while let [shorter @ .., b' ' | b'\t'] = line {
            line = shorter;
        }
        match line.split_first_chunk::<4>() {
            Some((verb, [])) => Self::of_four_letters(verb, &[], quirks),
            Some((verb, [b' ', args @ ..])) => Self::of_four_letters(verb, args, quirks),
            _ => Self::of_more_letters(line),
        }
    }

    /// What follows the verb begins at octet 5.
    #[inline(always)]
    fn of_four_letters(verb: &[u8; 4], args: &[u8], quirks: &Quirks) -> Result<Self, CommandError> {
        match &verb.map(|octet| octet.to_ascii_uppercase()) {
            b"MAIL" => {
                let (from, rest) = path::reverse(args, quirks).map_err(behind_verb)?;
                // Made where it stays, and the parameters added there: moving it takes longer than reading it.
                let mut command = match from {
                    Some(found) => {
                        Ok(Self::Mail { from: ReversePath::Address(found.into()), params: MailParams::default() })
                    }
                    None => Ok(Self::Mail { from: ReversePath::Null, params: MailParams::default() }),
                };
                if let Ok(Self::Mail { params, .. }) = &mut command
                    && let Err(error) = params.read(rest)
                {
                    command = Err(error.later(5 + args.len() - rest.len()));
                }
                command
            }
            b"RCPT" => {
                let (to, rest) = path::forward(args, quirks).map_err(behind_verb)?;
                let mut command = match to {
                    Some(found) => {
                        Ok(Self::Rcpt { to: ForwardPath::Address(found.into()), params: RcptParams::default() })
                    }
                    None => Ok(Self::Rcpt { to: ForwardPath::Postmaster, params: RcptParams::default() }),
                };
                if let Ok(Self::Rcpt { params, .. }) = &mut command
                    && let Err(error) = params.read(rest)
                {
                    command = Err(error.later(5 + args.len() - rest.len()));
                }
                command
            }
            // RFC 5321 §4.1.1: commands without parameters get 501 where some are given.
            b"DATA" | b"RSET" | b"QUIT" if !args.is_empty() => Err(none_wanted(5)),
            b"DATA" => Ok(Self::Data),
            b"RSET" => Ok(Self::Rset),
            b"QUIT" => Ok(Self::Quit),
            b"NOOP" => Ok(Self::Noop),
            b"BDAT" => {
                let (size, last) = whole(bdat, args).map_err(behind_verb)?;
                Ok(Self::Bdat { size, last })
            }
            b"HELO" if args.is_empty() && quirks.helo_without_name => Ok(Self::Helo(None)),
            b"HELO" => Ok(Self::Helo(Some(hello(args).map_err(behind_verb)?))),
            b"EHLO" => Ok(Self::Ehlo(hello(args).map_err(behind_verb)?)),
            b"LHLO" => Ok(Self::Lhlo(hello(args).map_err(behind_verb)?)),
            b"AUTH" => auth(args).map_err(behind_verb),
            b"VRFY" => {
                let (text, smtputf8) = string(args).map_err(behind_verb)?;
                Ok(Self::Vrfy { text, smtputf8 })
            }
            b"EXPN" => {
                let (text, smtputf8) = string(args).map_err(behind_verb)?;
                Ok(Self::Expn { text, smtputf8 })
            }
            b"HELP" if args.is_empty() => Ok(Self::Help(None)),
            b"HELP" => Ok(Self::Help(Some(string(args).map_err(behind_verb)?.0))),
            b"BURL" => burl(args).map_err(behind_verb),
            b"ETRN" => Ok(Self::Etrn(waiting(args).map_err(behind_verb)?)),
            b"ATRN" if args.is_empty() => Ok(Self::Atrn(Vec::new())),
            b"ATRN" => Ok(Self::Atrn(domains(args).map_err(behind_verb)?)),
            _ => Err(CommandError::Verb),
        }
    }

    fn of_more_letters(line: &[u8]) -> Result<Self, CommandError> {
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
fn hello(args: &[u8]) -> Result<Domain, ParseError> {
    if args.len() > MAX_DOMAIN {
        return Err(ParseError { expected: "a domain of at most 255 octets", at: 0 });
    }
    Domain::parse(args)
}

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF`
fn bdat(input: &[u8]) -> Parsed<'_, (u64, bool)> {
    let (rest, size) = number(input)?;
    if rest.is_empty() {
        return Ok((rest, (size, false)));
    }
    let (rest, _) = sp(rest)?;
    match rest.split_first_chunk::<4>() {
        Some((marker, rest)) if marker.eq_ignore_ascii_case(b"LAST") => Ok((rest, (size, true))),
        _ => fail(rest, "LAST"),
    }
}

/// `burl-cmd = "BURL" SP absolute-URI [SP end-marker] CRLF`, where `absolute-URI = scheme ":" …` (RFC 3986 §4.3)
fn burl(args: &[u8]) -> Result<Command, ParseError> {
    let len = args.iter().position(|octet| *octet == b' ').unwrap_or(args.len());
    let (url, rest) = args.split_at(len);
    let scheme = url.iter().position(|octet| *octet == b':').and_then(|colon| url.get(..colon)).unwrap_or_default();
    let is_scheme = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-.".contains(octet);
    let sound = scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(is_scheme);
    // A fragment is no part of an absolute URI.
    if !sound || !url.iter().all(|octet| octet.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(octet)) {
        return Err(ParseError { expected: "a URL", at: 0 });
    }
    let last = match rest {
        [] => false,
        rest if rest.eq_ignore_ascii_case(b" LAST") => true,
        _ => return Err(ParseError { expected: "LAST", at: len + 1 }),
    };
    Ok(Command::Burl { url: String::from_utf8_lossy(url).into_owned(), last }) // ASCII, as checked above
}

/// `[<option character>]<node name>` of RFC 1985 §5
fn waiting(args: &[u8]) -> Result<Waiting, ParseError> {
    let later = |error: ParseError| ParseError { at: error.at + 1, ..error };
    match args {
        [b'@', name @ ..] => Ok(Waiting::Below(hello(name).map_err(later)?)),
        [b'#', name @ ..] if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) => {
            Ok(Waiting::Queue(String::from_utf8_lossy(name).into_owned().into())) // ASCII, as just checked
        }
        [b'#', ..] => Err(ParseError { expected: "the name of a queue", at: 1 }),
        name => Ok(Waiting::Host(hello(name)?)),
    }
}

/// `domain *("," domain)`
fn domains(args: &[u8]) -> Result<Vec<Domain>, ParseError> {
    let mut at = 0;
    let mut domains = Vec::new();
    for name in args.split(|octet| *octet == b',') {
        domains.push(hello(name).map_err(|error| ParseError { at: error.at + at, ..error })?);
        at += name.len() + 1;
    }
    Ok(domains)
}

/// `String = Atom / Quoted-string`, and what people type instead: all that is printable up to the end of the line. The
/// parameter `SMTPUTF8` of RFC 6531 §3.7.4.2 may follow.
fn string(args: &[u8]) -> Result<(String, bool), ParseError> {
    let keyword = b" SMTPUTF8";
    let (text, smtputf8) = match args.len().checked_sub(keyword.len()).and_then(|at| args.split_at_checked(at)) {
        Some((text, tail)) if tail.eq_ignore_ascii_case(keyword) => (text, true),
        _ => (args, false),
    };
    let text = if text.first() == Some(&b'"') { whole(quoted, text)? } else { text.to_vec() };
    match String::from_utf8(text) {
        Ok(text) if !text.is_empty() && !text.bytes().any(|octet| octet.is_ascii_control()) => Ok((text, smtputf8)),
        _ => Err(ParseError { expected: "a name", at: 0 }),
    }
}

/// `"AUTH" SP sasl-mech [SP initial-response]`, where `initial-response = base64 / "="` (RFC 4954 §8)
fn auth(args: &[u8]) -> Result<Command, ParseError> {
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
