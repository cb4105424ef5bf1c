//! The parameters of MAIL and RCPT: `esmtp-param` of RFC 5321 §4.1.2 and what each extension makes of it.
//!
//! SIZE (RFC 1870 §6), BODY (RFC 6152 §3, RFC 3030 §3), SMTPUTF8 (RFC 6531 §3.4), RET, ENVID, NOTIFY and ORCPT (RFC 3461 §4),
//! AUTH (RFC 4954 §5), BY (RFC 2852 §4), HOLDFOR and HOLDUNTIL (RFC 4865 §3), MT-PRIORITY (RFC 6710 §7), REQUIRETLS (RFC 8689
//! §2), SOLICIT (RFC 3865 §2.3), CONPERM and CONNEG (RFC 4141), SUBMITTER (RFC 4405 §4), RRVS (RFC 7293 §3.1). A parameter that is not known, stands twice, or whose value does not fit is an error.

use std::fmt::{self, Write as _};

use nom::Parser;
use nom::bytes::complete::{take_while, take_while1};

use super::command::CommandError;
use super::{
    Body, ByMode, DeliverBy, Hold, MailParams, Notify, OriginalRecipient, RcptParams, Ret, ReversePath, Unsupported,
    ValidSince,
};
use crate::address::Address;
use crate::address::unitext::Unitext;
use crate::base::parse::{Parsed, expected, fail, number, sp, whole};
use crate::base::{ParseError, Timestamp};

/// Room for the longest word that is compared without regard to case.
const LONGEST: usize = 16;
/// RFC 3461 §4.4: "The ENVID parameter MAY be up to 100 characters in length", as encoded.
const MAX_ENVID: usize = 100;
/// RFC 3461 §4.2: an ORCPT parameter "MAY be up to 500 characters in length", as encoded.
const MAX_ORCPT: usize = 500;
/// RFC 3865 §2.2: "length of this string is limited to <= 1000 characters".
const MAX_SOLICIT: usize = 1000;

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
        if text.is_empty() {
            return Ok(params);
        }
        for param in Params::new(text) {
            let Param { keyword, value, at } = param?;
            match upper(keyword, &mut [0; LONGEST]) {
                b"SIZE" => once(&mut params.size, whole(number, value), at)?,
                b"BODY" => once(&mut params.body, body(value), at)?,
                b"SMTPUTF8" => flag(&mut params.smtputf8, value, at)?,
                b"RET" => once(&mut params.ret, ret(value), at)?,
                b"ENVID" => once(&mut params.envid, envid(value), at)?,
                b"AUTH" => once(&mut params.auth, auth(value), at)?,
                b"BY" => once(&mut params.by, by(value), at)?,
                b"HOLDFOR" => once(&mut params.hold, hold_for(value), at)?,
                b"HOLDUNTIL" => once(&mut params.hold, hold_until(value), at)?,
                b"MT-PRIORITY" => once(&mut params.priority, priority(value), at)?,
                b"REQUIRETLS" => flag(&mut params.require_tls, value, at)?,
                b"SOLICIT" => once(&mut params.solicit, solicit(value), at)?,
                b"CONPERM" => flag(&mut params.convert, value, at)?,
                b"SUBMITTER" => once(&mut params.submitter, submitter(value), at)?,
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
        if text.is_empty() {
            return Ok(params);
        }
        for param in Params::new(text) {
            let Param { keyword, value, at } = param?;
            match upper(keyword, &mut [0; LONGEST]) {
                b"NOTIFY" => once(&mut params.notify, notify(value), at)?,
                b"ORCPT" => once(&mut params.orcpt, orcpt(value), at)?,
                b"RRVS" => once(&mut params.rrvs, rrvs(value), at)?,
                b"CONNEG" => flag(&mut params.conneg, value, at)?,
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

/// Notes a parameter that has no value.
fn flag(place: &mut bool, value: &[u8], at: usize) -> Result<(), ParseError> {
    if *place || !value.is_empty() {
        return Err(ParseError { expected: "a parameter that was not yet given, without a value", at });
    }
    *place = true;
    Ok(())
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

/// `by-value = by-time ";" by-mode [by-trace]`, where `by-time = ["-" / "+"] 1*9digit`
fn by(value: &[u8]) -> Result<DeliverBy, ParseError> {
    let fault = ParseError { expected: "seconds, a semicolon, N or R, and T", at: 0 };
    let at = value.iter().position(|octet| *octet == b';').ok_or(fault)?;
    let (time, mode) = (value.get(..at).unwrap_or_default(), value.get(at + 1..).unwrap_or_default());
    let (sign, digits) = match time {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let seconds = sign * up_to_nine_digits(digits).ok_or(fault)?;
    let (mode, trace) = match mode {
        [b'N' | b'n', trace @ ..] => (ByMode::Notify, trace),
        [b'R' | b'r', trace @ ..] => (ByMode::Return, trace),
        _ => return Err(fault),
    };
    let trace = match trace {
        [] => false,
        [b'T' | b't'] => true,
        _ => return Err(fault),
    };
    // RFC 2852 §4: "a negative or zero value is not allowed with a by-mode of "R"".
    if mode == ByMode::Return && seconds <= 0 {
        return Err(ParseError { expected: "a time that is not over", at: 0 });
    }
    Ok(DeliverBy { seconds, mode, trace })
}

/// `1*9digit`
fn up_to_nine_digits(digits: &[u8]) -> Option<i32> {
    let sound = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    sound.then(|| digits.iter().fold(0, |number, digit| number * 10 + i32::from(digit - b'0'))) // nine digits fit
}

/// `future-release-integer = %x31-39 *8DIGIT`
fn hold_for(value: &[u8]) -> Result<Hold, ParseError> {
    let seconds = up_to_nine_digits(value).filter(|_| value.first() != Some(&b'0'));
    let seconds = seconds.and_then(|seconds| seconds.try_into().ok());
    seconds.map(Hold::For).ok_or(ParseError { expected: "seconds, 1 to 999999999", at: 0 })
}

/// `future-release-date-time = Internet-style-date-time-UTC`
fn hold_until(value: &[u8]) -> Result<Hold, ParseError> {
    let point = Timestamp::parse_rfc3339(value)?;
    // RFC 4865 §3: "normalized to UTC".
    if point.offset() == Some(0) {
        Ok(Hold::Until(point))
    } else {
        Err(ParseError { expected: "a time in UTC", at: 0 })
    }
}

/// `priority-value = (["-"] NZDIGIT) / "0"`
fn priority(value: &[u8]) -> Result<i8, ParseError> {
    match value {
        b"0" => Ok(0),
        [digit @ b'1'..=b'9'] => Ok((digit - b'0') as i8), // one digit
        [b'-', digit @ b'1'..=b'9'] => Ok(-((digit - b'0') as i8)), // one digit
        _ => Err(ParseError { expected: "a priority from -9 to 9", at: 0 }),
    }
}

/// `Solicitation-keywords = word 0*("," word)`
fn solicit(value: &[u8]) -> Result<String, ParseError> {
    let fault = ParseError { expected: "solicitation keywords of at most 1000 characters", at: 0 };
    if value.len() > MAX_SOLICIT || !value.split(|octet| *octet == b',').all(is_solicitation) {
        return Err(fault);
    }
    String::from_utf8(value.to_vec()).map_err(|_| fault)
}

/// `word = ALPHA 0*(wordchar)`, where `wordchar = ("." / "-" / "_" / ":" / ALPHA / DIGIT)`
fn is_solicitation(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(|octet| octet.is_ascii_alphanumeric() || b".-_:".contains(octet))
}

/// `SUBMITTER=` of RFC 4405 §4: a mailbox as xtext.
fn submitter(value: &[u8]) -> Result<Address, ParseError> {
    let mailbox = xtext(value).and_then(|mailbox| mailbox.parse().ok());
    mailbox.ok_or(ParseError { expected: "a mailbox as xtext", at: 0 })
}

/// `rrvs-param = "RRVS=" date-time [ ";" ( "C" / "R" ) ]`
fn rrvs(value: &[u8]) -> Result<ValidSince, ParseError> {
    let (since, otherwise) = match value {
        [since @ .., b';', b'C' | b'c'] => (since, Some(Unsupported::Continue)),
        [since @ .., b';', b'R' | b'r'] => (since, Some(Unsupported::Reject)),
        since => (since, None),
    };
    // RFC 7293 §3.1: "a time-secfrac MUST NOT be used".
    if since.contains(&b'.') {
        return Err(ParseError { expected: "a time without a fraction", at: 0 });
    }
    Ok(ValidSince { since: Timestamp::parse_rfc3339(since)?, otherwise })
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
    let utf8 = kind.eq_ignore_ascii_case("utf-8");
    let address = if utf8 { unitext(address) } else { xtext(address) };
    let recipient = OriginalRecipient { kind, address: address.filter(|address| !address.is_empty()).ok_or(fault)? };
    // What came as UTF-8 is longer where it has to be written without.
    let fits = value.len() <= MAX_ORCPT && (!utf8 || recipient.to_string().len() <= MAX_ORCPT);
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
            Some(ReversePath::Null) => f.write_str(" AUTH=<>")?,
            Some(ReversePath::Address(address)) => write!(f, " AUTH={}", Xtext(&address.to_string()))?,
            None => {}
        }
        if let Some(by) = self.by {
            write!(f, " BY={by}")?;
        }
        match self.hold {
            Some(Hold::For(seconds)) => write!(f, " HOLDFOR={seconds}")?,
            Some(Hold::Until(point)) => write!(f, " HOLDUNTIL={}", point.rfc3339())?,
            None => {}
        }
        if let Some(priority) = self.priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if self.require_tls {
            f.write_str(" REQUIRETLS")?;
        }
        if let Some(solicit) = &self.solicit {
            write!(f, " SOLICIT={solicit}")?;
        }
        if self.convert {
            f.write_str(" CONPERM")?;
        }
        match &self.submitter {
            Some(address) => write!(f, " SUBMITTER={}", Xtext(&address.to_string())),
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
        if let Some(orcpt) = &self.orcpt {
            write!(f, " ORCPT={orcpt}")?;
        }
        if let Some(rrvs) = &self.rrvs {
            write!(f, " RRVS={rrvs}")?;
        }
        if self.conneg { f.write_str(" CONNEG") } else { Ok(()) }
    }
}

/// The value of the parameter: `120;R`, `-5;NT`.
impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Notify => "N",
            ByMode::Return => "R",
        };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

/// The value of the parameter: `2014-04-03T23:01:00Z;C`.
impl fmt::Display for ValidSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let otherwise = match self.otherwise {
            None => "",
            Some(Unsupported::Reject) => ";R",
            Some(Unsupported::Continue) => ";C",
        };
        write!(f, "{}{otherwise}", self.since.rfc3339())
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
            " BY=120;R",
            " BY=-999999999;NT",
            " HOLDFOR=999999999",
            " HOLDUNTIL=2027-01-01T00:00:00Z",
            " MT-PRIORITY=-9",
            " MT-PRIORITY=0",
            " REQUIRETLS",
            " SOLICIT=net.example:ADV,org.example:ADV:ADLT",
            " CONPERM",
            " SUBMITTER=e+3Dmc2@example.com",
            " BY=1;RT HOLDFOR=1 MT-PRIORITY=9 REQUIRETLS SOLICIT=a CONPERM SUBMITTER=a@b.test",
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
            " RRVS=2014-04-03T23:01:00Z",
            " RRVS=2014-04-03T23:01:00-07:00;C",
            " RRVS=2014-04-03T23:01:00Z;R CONNEG",
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
            "BY=1000000000;N",
            "HOLDFOR=1000000000",
            "HOLDFOR=01",
            "MT-PRIORITY=10",
            "MT-PRIORITY=-10",
            "MT-PRIORITY=99999999999999999999",
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
            ("BY=0;R", 0),
            ("BY=-1;R", 0),
            ("BY=1", 0),
            ("BY=;N", 0),
            ("BY=+;N", 0),
            ("BY=1;X", 0),
            ("BY=1;NX", 0),
            ("BY=1;NTT", 0),
            ("HOLDFOR=0", 0),
            ("HOLDFOR=1 HOLDUNTIL=2027-01-01T00:00:00Z", 10),
            ("HOLDUNTIL=2027-01-01T00:00:00+01:00", 0),
            ("HOLDUNTIL=tomorrow", 0),
            ("MT-PRIORITY=+1", 0),
            ("MT-PRIORITY=-0", 0),
            ("MT-PRIORITY=1 MT-PRIORITY=1", 14),
            ("REQUIRETLS=yes", 0),
            ("REQUIRETLS REQUIRETLS", 11),
            ("SOLICIT=1a", 0),
            ("SOLICIT=a,", 0),
            ("SOLICIT=a;b", 0),
            ("CONPERM=x", 0),
            ("SUBMITTER=<>", 0),
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
            "RRVS=2014-04-03",
            "RRVS=2014-04-03T23:01:00.5Z",
            "RRVS=2014-04-03T23:01:00Z;X",
            "RRVS=2014-04-03T23:01:00Z;",
            "CONNEG=x",
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
