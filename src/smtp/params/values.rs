//! The value of each parameter of MAIL and RCPT.

use super::xtext::{plain, unitext, xtext};
use crate::address::{Address, Name};
use crate::base::eight::{Eight, word};
use crate::base::sixteen::up_to;
use crate::base::{ParseError, Timestamp};
use crate::smtp::{
    Body, ByMode, DeliverBy, Hold, Notify, OriginalRecipient, Ret, ReversePath, Unsupported, ValidSince,
};
use crate::text::transfer::text;

/// RFC 3461 §4.4: "The ENVID parameter MAY be up to 100 characters in length", as encoded.
const MAX_ENVID: usize = 100;
/// RFC 3461 §4.2: an ORCPT parameter "MAY be up to 500 characters in length", as encoded.
const MAX_ORCPT: usize = 500;
/// RFC 3865 §2.2: "length of this string is limited to <= 1000 characters".
const MAX_SOLICIT: usize = 1000;

/// `body-value = "7BIT" / "8BITMIME" / "BINARYMIME"`
pub(super) fn body(value: &[u8]) -> Result<Body, ParseError> {
    const SEVEN: u64 = word(b"7BIT");
    const EIGHT: u64 = word(b"8BITMIME");
    match word(value) {
        SEVEN => Ok(Body::SevenBit),
        EIGHT => Ok(Body::EightBitMime),
        _ if value.eq_ignore_ascii_case(b"BINARYMIME") => Ok(Body::BinaryMime),
        _ => Err(ParseError { expected: "7BIT, 8BITMIME or BINARYMIME", at: 0 }),
    }
}

/// `ret-value = "FULL" / "HDRS"`
pub(super) fn ret(value: &[u8]) -> Result<Ret, ParseError> {
    const FULL: u64 = word(b"FULL");
    const HDRS: u64 = word(b"HDRS");
    match word(value) {
        FULL => Ok(Ret::Full),
        HDRS => Ok(Ret::Hdrs),
        _ => Err(ParseError { expected: "FULL or HDRS", at: 0 }),
    }
}

/// `envid-parameter = "ENVID=" xtext`
#[inline(always)]
pub(super) fn envid(value: &[u8]) -> Result<Name, ParseError> {
    match plain(value) {
        Some(text) if (1..=MAX_ENVID).contains(&text.len()) => Ok(text.into()),
        _ => encoded_envid(value).ok_or(ParseError { expected: "xtext of at most 100 characters", at: 0 }),
    }
}

#[cold]
fn encoded_envid(value: &[u8]) -> Option<Name> {
    let text = xtext(value).filter(|text| !text.is_empty() && value.len() <= MAX_ENVID)?;
    // RFC 3461 §4.4: before encoding it consists "entirely of printable (graphic and white space) characters".
    text.bytes().all(|octet| matches!(octet, b'\t' | 32..=126)).then_some(text)
}

/// `AUTH=` of RFC 4954 §5: "mailbox" as xtext, or `<>`.
pub(super) fn auth(value: &[u8]) -> Result<ReversePath, ParseError> {
    let fault = ParseError { expected: "a mailbox as xtext, or <>", at: 0 };
    match &*xtext(value).ok_or(fault)? {
        "<>" => Ok(ReversePath::Null),
        mailbox => mailbox.parse::<Address>().map(ReversePath::Address).map_err(|_| fault),
    }
}

/// `by-value = by-time ";" by-mode [by-trace]`, where `by-time = ["-" / "+"] 1*9digit`
pub(super) fn by(value: &[u8]) -> Result<DeliverBy, ParseError> {
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
pub(super) fn hold_for(value: &[u8]) -> Result<Hold, ParseError> {
    let seconds = up_to_nine_digits(value).filter(|_| value.first() != Some(&b'0'));
    let seconds = seconds.and_then(|seconds| seconds.try_into().ok());
    seconds.map(Hold::For).ok_or(ParseError { expected: "seconds, 1 to 999999999", at: 0 })
}

/// `future-release-date-time = Internet-style-date-time-UTC`
pub(super) fn hold_until(value: &[u8]) -> Result<Hold, ParseError> {
    let point = Timestamp::parse_rfc3339(value)?;
    // RFC 4865 §3: "normalized to UTC".
    if point.offset() == Some(0) {
        Ok(Hold::Until(point))
    } else {
        Err(ParseError { expected: "a time in UTC", at: 0 })
    }
}

/// `priority-value = (["-"] NZDIGIT) / "0"`
pub(super) fn priority(value: &[u8]) -> Result<i8, ParseError> {
    match value {
        b"0" => Ok(0),
        [digit @ b'1'..=b'9'] => Ok((digit - b'0') as i8), // one digit
        [b'-', digit @ b'1'..=b'9'] => Ok(-((digit - b'0') as i8)), // one digit
        _ => Err(ParseError { expected: "a priority from -9 to 9", at: 0 }),
    }
}

/// `Solicitation-keywords = word 0*("," word)`
pub(super) fn solicit(value: &[u8]) -> Result<String, ParseError> {
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
pub(super) fn submitter(value: &[u8]) -> Result<Address, ParseError> {
    let mailbox = xtext(value).and_then(|mailbox| mailbox.parse().ok());
    mailbox.ok_or(ParseError { expected: "a mailbox as xtext", at: 0 })
}

/// `rrvs-param = "RRVS=" date-time [ ";" ( "C" / "R" ) ]`
pub(super) fn rrvs(value: &[u8]) -> Result<ValidSince, ParseError> {
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
pub(super) fn notify(value: &[u8]) -> Result<Notify, ParseError> {
    const SUCCESS: u64 = word(b"SUCCESS");
    const FAILURE: u64 = word(b"FAILURE");
    const DELAY: u64 = word(b"DELAY");
    let fault = ParseError { expected: "NEVER, or SUCCESS, FAILURE and DELAY", at: 0 };
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(notify);
    }
    let mut rest = value;
    loop {
        let len = match (Eight::of(rest).word(7), Eight::of(rest).word(5)) {
            (SUCCESS, _) => {
                notify.success = true;
                7
            }
            (FAILURE, _) => {
                notify.failure = true;
                7
            }
            (_, DELAY) => {
                notify.delay = true;
                5
            }
            _ => return Err(fault),
        };
        match rest.get(len..) {
            Some([]) => return Ok(notify),
            Some([b',', after @ ..]) => rest = after,
            _ => return Err(fault),
        }
    }
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

/// `original-recipient-address = addr-type ";" xtext`
#[inline(always)]
pub(super) fn orcpt(value: &[u8]) -> Result<OriginalRecipient, ParseError> {
    if let [b'r', b'f', b'c', b'8', b'2', b'2', b';', address @ ..] = value
        && value.len() <= MAX_ORCPT
        && let Some(address) = plain(address).filter(|address| !address.is_empty())
    {
        return Ok(OriginalRecipient { kind: Name::fixed("rfc822"), address: address.into() });
    }
    any_orcpt(value).ok_or(ParseError { expected: "an address type, a semicolon and xtext of an address", at: 0 })
}

/// With any type, for which `utf-8` has the encoding of RFC 6533 §3.
#[cold]
fn any_orcpt(value: &[u8]) -> Option<OriginalRecipient> {
    let (kind, [b';', address @ ..]) = up_to(value, |octets| (octets.are_alphanumeric() | octets.are(b'-')).others())
    else {
        return None;
    };
    let kind = Name::from(text(kind).filter(|kind| !kind.is_empty())?);
    let utf8 = kind.eq_ignore_ascii_case("utf-8");
    let address = if utf8 { unitext(address) } else { xtext(address) };
    // RFC 3461 §4.2: before encoding it "MUST consist entirely of printable (graphic and white space) characters"; that of RFC 6533
    // stays encoded in a report, controls and all.
    let sound = |address: &Name| !address.is_empty() && (utf8 || !address.chars().any(|c| c.is_control() && c != '\t'));
    let recipient = OriginalRecipient { kind, address: address.filter(sound)? };
    // What came as UTF-8 is longer where it has to be written without.
    let fits = value.len() <= MAX_ORCPT && (!utf8 || recipient.to_string().len() <= MAX_ORCPT);
    fits.then_some(recipient)
}
