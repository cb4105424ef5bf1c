//! The parameters of MAIL and RCPT: `esmtp-param` of RFC 5321 §4.1.2 and what each extension makes of it.
//!
//! SIZE (RFC 1870 §6), BODY (RFC 6152 §3, RFC 3030 §3), SMTPUTF8 (RFC 6531 §3.4), RET, ENVID, NOTIFY and ORCPT (RFC 3461 §4),
//! AUTH (RFC 4954 §5). A parameter that is not known, stands twice, or whose value does not fit is an error.

use std::fmt::{self, Write as _};

use nom::Parser;
use nom::bytes::complete::{take_while, take_while1};

use super::command::CommandError;
use super::{Body, MailParams, Notify, OriginalRecipient, RcptParams, Ret, ReversePath};
use crate::address::Address;
use crate::base::ParseError;
use crate::base::parse::{Parsed, expected, fail, number, sp, whole};

/// Room for the longest word that is compared without regard to case.
const LONGEST: usize = 16;
/// RFC 3461 §4.4: "The ENVID parameter MAY be up to 100 characters in length", as encoded.
const MAX_ENVID: usize = 100;
/// RFC 3461 §4.2: an ORCPT parameter "MAY be up to 500 characters in length", as encoded.
const MAX_ORCPT: usize = 500;

impl MailParams {
    /// Reads `Mail-parameters = esmtp-param *(SP esmtp-param)`; nothing at all is no parameters.
    ///
    /// ```
    /// use facteur::smtp::{Body, MailParams};
    ///
    /// let params = MailParams::parse(b"SIZE=1000 BODY=8BITMIME")?;
    /// assert_eq!((params.size, params.body), (Some(1000), Some(Body::EightBitMime)));
    /// assert_eq!(params.to_string(), " SIZE=1000 BODY=8BITMIME");
    /// # Ok::<(), facteur::smtp::CommandError>(())
    /// ```
    ///
    /// # Errors
    /// [`CommandError::Parameter`] for one that is not known here, [`CommandError::Syntax`] for what is malformed.
    pub fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let mut params = Self::default();
        for param in Params::new(text) {
            let Param { keyword, value, at } = param?;
            match upper(keyword, &mut [0; LONGEST]) {
                b"SIZE" => once(&mut params.size, whole(number, value), at)?,
                b"BODY" => once(&mut params.body, body(value), at)?,
                b"SMTPUTF8" if value.is_empty() && !params.smtputf8 => params.smtputf8 = true,
                b"SMTPUTF8" => return Err(ParseError { expected: "SMTPUTF8 once and without a value", at }.into()),
                b"RET" => once(&mut params.ret, ret(value), at)?,
                b"ENVID" => once(&mut params.envid, envid(value), at)?,
                b"AUTH" => once(&mut params.auth, auth(value), at)?,
                _ => return Err(CommandError::Parameter { at }),
            }
        }
        Ok(params)
    }
}

impl RcptParams {
    /// Reads `Rcpt-parameters = esmtp-param *(SP esmtp-param)`; nothing at all is no parameters.
    ///
    /// ```
    /// use facteur::smtp::{Notify, RcptParams};
    ///
    /// let params = RcptParams::parse(b"NOTIFY=FAILURE ORCPT=rfc822;ada+2Bx@a.test")?;
    /// assert_eq!(params.notify, Some(Notify { failure: true, ..Notify::default() }));
    /// assert_eq!(params.orcpt.unwrap().address, "ada+x@a.test");
    /// # Ok::<(), facteur::smtp::CommandError>(())
    /// ```
    ///
    /// # Errors
    /// [`CommandError::Parameter`] for one that is not known here, [`CommandError::Syntax`] for what is malformed.
    pub fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let mut params = Self::default();
        for param in Params::new(text) {
            let Param { keyword, value, at } = param?;
            match upper(keyword, &mut [0; LONGEST]) {
                b"NOTIFY" => once(&mut params.notify, notify(value), at)?,
                b"ORCPT" => once(&mut params.orcpt, orcpt(value), at)?,
                _ => return Err(CommandError::Parameter { at }),
            }
        }
        Ok(params)
    }
}

/// One `esmtp-param`; `value` is empty where there is none.
struct Param<'a> {
    keyword: &'a [u8],
    value: &'a [u8],
    /// Where the keyword begins.
    at: usize,
}

/// The parameters of a command one after the other.
struct Params<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Params<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { rest: text, len: text.len() }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<Param<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.len - self.rest.len();
        let read = esmtp_param(self.rest).and_then(|(rest, param)| {
            // Another parameter follows its space; a second space says nothing and is passed over.
            let rest = if rest.is_empty() { rest } else { sp(rest)?.0 };
            Ok((take_while(|octet| octet == b' ')(rest)?.0, param))
        });
        match read {
            Ok((rest, (keyword, value))) => {
                self.rest = rest;
                Some(Ok(Param { keyword, value, at }))
            }
            Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
                self.rest = &[];
                Some(Err(ParseError { expected: fault.expected, at: self.len - fault.rest.len() }))
            }
            Err(nom::Err::Incomplete(_)) => None, // complete mode: never
        }
    }
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`
fn esmtp_param(input: &[u8]) -> Parsed<'_, (&[u8], &[u8])> {
    let (rest, keyword) = esmtp_keyword(input)?;
    let [b'=', rest @ ..] = rest else { return Ok((rest, (keyword, &[]))) };
    let (rest, value) = esmtp_value(rest)?;
    Ok((rest, (keyword, value)))
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
fn esmtp_keyword(input: &[u8]) -> Parsed<'_, &[u8]> {
    let is_keyword = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    if input.first() == Some(&b'-') {
        return fail(input, "a parameter");
    }
    expected("a parameter", take_while1(is_keyword)).parse(input)
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, with UTF-8 beyond ASCII (RFC 6531 §3.3).
fn esmtp_value(input: &[u8]) -> Parsed<'_, &[u8]> {
    expected("a value", take_while1(|octet| matches!(octet, 33..=60 | 62..=126 | 128..))).parse(input)
}

/// `word` in upper case, written into `room`; nothing where it does not fit, for then it is no word that is known here.
fn upper<'a>(word: &[u8], room: &'a mut [u8; LONGEST]) -> &'a [u8] {
    let Some(room) = room.get_mut(..word.len()) else { return &[] };
    room.copy_from_slice(word);
    room.make_ascii_uppercase();
    room
}

/// Keeps a value that was read, unless there is one already.
fn once<T>(place: &mut Option<T>, value: Result<T, ParseError>, at: usize) -> Result<(), ParseError> {
    match (&place, value) {
        (Some(_), _) => Err(ParseError { expected: "a parameter that was not yet given", at }),
        (None, Ok(value)) => {
            *place = Some(value);
            Ok(())
        }
        (None, Err(error)) => Err(ParseError { expected: error.expected, at }),
    }
}

/// `body-value = "7BIT" / "8BITMIME" / "BINARYMIME"`
fn body(value: &[u8]) -> Result<Body, ParseError> {
    match upper(value, &mut [0; LONGEST]) {
        b"7BIT" => Ok(Body::SevenBit),
        b"8BITMIME" => Ok(Body::EightBitMime),
        b"BINARYMIME" => Ok(Body::BinaryMime),
        _ => Err(ParseError { expected: "7BIT, 8BITMIME or BINARYMIME", at: 0 }),
    }
}

/// `ret-value = "FULL" / "HDRS"`
fn ret(value: &[u8]) -> Result<Ret, ParseError> {
    match upper(value, &mut [0; LONGEST]) {
        b"FULL" => Ok(Ret::Full),
        b"HDRS" => Ok(Ret::Hdrs),
        _ => Err(ParseError { expected: "FULL or HDRS", at: 0 }),
    }
}

/// `envid-parameter = "ENVID=" xtext`
fn envid(value: &[u8]) -> Result<String, ParseError> {
    // RFC 3461 §4.4: before encoding it consists "entirely of printable (graphic and white space) characters".
    let fits = |text: &String| {
        value.len() <= MAX_ENVID && !text.is_empty() && text.bytes().all(|octet| matches!(octet, b'\t' | 32..=126))
    };
    xtext(value).filter(fits).ok_or(ParseError { expected: "xtext of at most 100 characters", at: 0 })
}

/// `AUTH=` of RFC 4954 §5: "mailbox" as xtext, or `<>`.
fn auth(value: &[u8]) -> Result<ReversePath, ParseError> {
    let fault = ParseError { expected: "a mailbox as xtext, or <>", at: 0 };
    match xtext(value).ok_or(fault)?.as_str() {
        "<>" => Ok(ReversePath::Null),
        mailbox => mailbox.parse::<Address>().map(ReversePath::Address).map_err(|_| fault),
    }
}

/// `notify-esmtp-value = "NEVER" / 1#notify-list-element`
fn notify(value: &[u8]) -> Result<Notify, ParseError> {
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(notify);
    }
    for element in value.split(|octet| *octet == b',') {
        match upper(element, &mut [0; LONGEST]) {
            b"SUCCESS" => notify.success = true,
            b"FAILURE" => notify.failure = true,
            b"DELAY" => notify.delay = true,
            _ => return Err(ParseError { expected: "NEVER, or SUCCESS, FAILURE and DELAY", at: 0 }),
        }
    }
    Ok(notify)
}

impl OriginalRecipient {
    /// Reads the value of ORCPT.
    ///
    /// ```
    /// use facteur::smtp::OriginalRecipient;
    ///
    /// let original = OriginalRecipient::parse(b"rfc822;ada+2Bx@a.test")?;
    /// assert_eq!(original.address, "ada+x@a.test");
    /// assert_eq!(original.to_string(), "rfc822;ada+2Bx@a.test");
    /// # Ok::<(), facteur::base::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        orcpt(value)
    }
}

/// `original-recipient-address = addr-type ";" xtext`; for the type `utf-8` the encoding of RFC 6533 §3.
fn orcpt(value: &[u8]) -> Result<OriginalRecipient, ParseError> {
    let fault = ParseError { expected: "an address type, a semicolon and xtext of an address", at: 0 };
    let at = value.iter().position(|octet| *octet == b';').ok_or(fault)?;
    let (kind, address) = (value.get(..at).unwrap_or_default(), value.get(at + 1..).unwrap_or_default());
    if kind.is_empty() || !kind.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-') {
        return Err(fault);
    }
    let kind = String::from_utf8_lossy(kind).into_owned(); // ASCII, as checked above
    let address = if kind.eq_ignore_ascii_case("utf-8") { unitext(address) } else { xtext(address) };
    let recipient = OriginalRecipient { kind, address: address.filter(|address| !address.is_empty()).ok_or(fault)? };
    // What came as UTF-8 is longer where it has to be written without.
    let fits = value.len() <= MAX_ORCPT && recipient.to_string().len() <= MAX_ORCPT;
    if fits { Ok(recipient) } else { Err(fault) }
}

/// `xtext = *( xchar / hexchar )` (RFC 3461 §4), decoded. `None` where it is malformed or is no UTF-8.
pub(crate) fn xtext(value: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        rest = match rest {
            [] => return String::from_utf8(text).ok(),
            // hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
            [b'+', high, low, rest @ ..] => {
                text.push(upper_hex(*high)? << 4 | upper_hex(*low)?);
                rest
            }
            [octet @ (33..=42 | 44..=60 | 62..=126), rest @ ..] => {
                text.push(*octet);
                rest
            }
            _ => return None,
        }
    }
}

fn upper_hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// `utf-8-enc-addr` (RFC 6533 §3), decoded: what stands in `\x{…}` is a code point.
fn unitext(value: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut rest = std::str::from_utf8(value).ok()?;
    while let Some(character) = rest.chars().next() {
        if character == '\\' {
            let (point, after) = rest.strip_prefix("\\x{")?.split_once('}')?;
            // HEXPOINT: 2 to 6 upper case digits.
            if !(2..=6).contains(&point.len()) || !point.bytes().all(|octet| upper_hex(octet).is_some()) {
                return None;
            }
            text.push(char::from_u32(u32::from_str_radix(point, 16).ok()?)?);
            rest = after;
        } else if matches!(character, '!'..='*' | ',' ..='<' | '>' ..='~' | '\u{80}'..) {
            text.push(character);
            rest = rest.strip_prefix(character)?;
        } else {
            return None;
        }
    }
    Some(text)
}

/// Text written as xtext.
pub(crate) struct Xtext<'a>(pub(crate) &'a str);

impl fmt::Display for Xtext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0.bytes() {
            match octet {
                33..=42 | 44..=60 | 62..=126 => f.write_char(char::from(octet))?,
                _ => write!(f, "+{octet:02X}")?,
            }
        }
        Ok(())
    }
}

/// Text written as `utf-8-addr-xtext`, which every server may be sent (RFC 6533 §3).
struct Unitext<'a>(&'a str);

impl fmt::Display for Unitext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '!'..='*' | ','..='<' | '>'..='[' | ']'..='~' => f.write_char(character)?,
                _ => write!(f, "\\x{{{:02X}}}", u32::from(character))?,
            }
        }
        Ok(())
    }
}

/// As they follow the path of MAIL, each with a space before it.
impl fmt::Display for MailParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        match self.body {
            Some(Body::SevenBit) => f.write_str(" BODY=7BIT")?,
            Some(Body::EightBitMime) => f.write_str(" BODY=8BITMIME")?,
            Some(Body::BinaryMime) => f.write_str(" BODY=BINARYMIME")?,
            None => {}
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        match self.ret {
            Some(Ret::Full) => f.write_str(" RET=FULL")?,
            Some(Ret::Hdrs) => f.write_str(" RET=HDRS")?,
            None => {}
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={}", Xtext(envid))?;
        }
        match &self.auth {
            Some(ReversePath::Null) => f.write_str(" AUTH=<>"),
            Some(ReversePath::Address(address)) => write!(f, " AUTH={}", Xtext(&address.to_string())),
            None => Ok(()),
        }
    }
}

/// As they follow the path of RCPT, each with a space before it.
impl fmt::Display for RcptParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(notify) = self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        match &self.orcpt {
            Some(orcpt) => write!(f, " ORCPT={orcpt}"),
            None => Ok(()),
        }
    }
}

/// The value of the parameter, encoded as its type wants it.
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.eq_ignore_ascii_case("utf-8") {
            return write!(f, "{};{}", self.kind, Unitext(&self.address));
        }
        write!(f, "{};{}", self.kind, Xtext(&self.address))
    }
}

/// The value of the parameter: `NEVER`, `SUCCESS,FAILURE`.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (wanted, name) in [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")] {
            if wanted {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        if separator.is_empty() { f.write_str("NEVER") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_parameters_round_trip() {
        for text in [
            "",
            " SIZE=0",
            " SIZE=18446744073709551615",
            " BODY=7BIT",
            " BODY=BINARYMIME SMTPUTF8",
            " RET=HDRS ENVID=QQ314159",
            " ENVID=a+20b+2Bc+3D",
            " AUTH=<>",
            " AUTH=e+3Dmc2@example.com",
            " SIZE=12 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x AUTH=a@b.test",
        ] {
            let params =
                MailParams::parse(text.trim_start().as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(params.to_string(), text);
        }
        // RFC 4954 §5.1
        let params = MailParams::parse(b"auth=e+3Dmc2@example.com").unwrap();
        assert_eq!(params.auth, Some(ReversePath::Address("e=mc2@example.com".parse().unwrap())));
    }

    #[test]
    fn recipient_parameters_round_trip() {
        for text in [
            " NOTIFY=NEVER",
            " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Bob@Example.COM",
            " ORCPT=rfc822;a+2Bb+3Dc@x.test",
            " ORCPT=utf-8;\\x{3B4}@x.test",
            " ORCPT=utf-8;a\\x{2B}b\\x{5C}@x.test",
        ] {
            let params =
                RcptParams::parse(text.trim_start().as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(params.to_string(), text);
        }
        let params = RcptParams::parse("ORCPT=utf-8;δ@x.test".as_bytes()).unwrap();
        assert_eq!(params.orcpt.map(|orcpt| orcpt.address).as_deref(), Some("δ@x.test"));
    }

    #[test]
    fn numbers_that_do_not_fit_are_errors() {
        for text in [
            "SIZE=99999999999999999999999",
            "SIZE=18446744073709551616",
            "SIZE=-1",
            "SIZE=+1",
            "SIZE=1x",
            "SIZE",
            "SIZE=",
        ] {
            assert!(matches!(MailParams::parse(text.as_bytes()), Err(CommandError::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn malformed_parameters_are_errors_with_their_place() {
        for (text, at) in [
            ("SIZE=1 SIZE=2", 7),
            ("BODY=9BIT", 0),
            ("SMTPUTF8=x", 0),
            ("SMTPUTF8 SMTPUTF8", 9),
            ("RET=SOME", 0),
            ("ENVID=a+2", 0),
            ("ENVID=a+2b", 0),
            ("ENVID=+0A", 0),
            ("ENVID=+FF", 0),
            ("AUTH=nobody", 0),
            ("SIZE==1", 5),
            ("SIZE=1 -X", 7),
            ("SIZE=1\tBODY=7BIT", 6),
        ] {
            match MailParams::parse(text.as_bytes()) {
                Err(CommandError::Syntax(error)) => assert_eq!(error.at, at, "{text}: {error}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in [
            "NOTIFY=NEVER,FAILURE",
            "NOTIFY=",
            "NOTIFY=SUCCESS,",
            "ORCPT=ada@a.test",
            "ORCPT=;a@b",
            "ORCPT=rfc822;",
            "ORCPT=rfc822;+",
            "ORCPT=utf-8;\\x{D800}",
            "ORCPT=utf-8;\\x{3B4",
            "ORCPT=utf-8;\\x{}",
        ] {
            assert!(matches!(RcptParams::parse(text.as_bytes()), Err(CommandError::Syntax(_))), "{text}");
        }
        let long = format!("ENVID={}", "x".repeat(101));
        assert!(matches!(MailParams::parse(long.as_bytes()), Err(CommandError::Syntax(_))));
    }

    #[test]
    fn unknown_parameters_are_told_apart() {
        for text in ["XYZ", "XYZ=1", "NOTIFY=NEVER"] {
            assert_eq!(MailParams::parse(text.as_bytes()), Err(CommandError::Parameter { at: 0 }), "{text}");
        }
        assert_eq!(RcptParams::parse(b"NOTIFY=NEVER SIZE=1"), Err(CommandError::Parameter { at: 13 }));
    }
}
