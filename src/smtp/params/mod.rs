//! The parameters of MAIL and RCPT: `esmtp-param` of RFC 5321 §4.1.2 and what each extension makes of it.
//!
//! SIZE (RFC 1870 §6), BODY (RFC 6152 §3, RFC 3030 §3), SMTPUTF8 (RFC 6531 §3.4), RET, ENVID, NOTIFY and ORCPT (RFC 3461 §4),
//! AUTH (RFC 4954 §5), BY (RFC 2852 §4), HOLDFOR and HOLDUNTIL (RFC 4865 §3), MT-PRIORITY (RFC 6710 §7), REQUIRETLS (RFC 8689
//! §2), SOLICIT (RFC 3865 §2.3), CONPERM and CONNEG (RFC 4141), SUBMITTER (RFC 4405 §4), RRVS (RFC 7293 §3.1). A parameter
//! that is not known, stands twice, or whose value does not fit is an error.

use values::{auth, body, by, envid, hold_for, hold_until, notify, orcpt, priority, ret, rrvs, solicit, submitter};

use super::command::CommandError;
use super::{MailParams, RcptParams};
use crate::base::ParseError;
use crate::base::eight::word;
use crate::base::parse::{Parsed, fail, number, whole};
use crate::base::sixteen::{Sixteen, up_to};

mod rare;
mod values;
mod write;
mod xtext;

pub(crate) use rare::Rare;
pub use rare::RareMailParams;
pub(crate) use xtext::{Xtext, xtext};

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
        Self::read(text)
    }

    /// The same, for who calls it often. Each is read into a place of its own, for to move many at once is slow.
    #[inline(always)]
    pub(super) fn read(text: &[u8]) -> Result<Self, CommandError> {
        let (mut size, mut smtputf8, mut ret_, mut envid_, mut body_) = (None, false, None, None, None);
        let mut rare = Rare::default();
        let common = |word, value: &[u8], at| {
            Some(match word {
                SIZE => once(&mut size, whole(number, value), at),
                BODY => once(&mut body_, body(value), at),
                SMTPUTF8 => flag(&mut smtputf8, value, at),
                RET => once(&mut ret_, ret(value), at),
                ENVID => once(&mut envid_, envid(value), at),
                _ => return None,
            })
        };
        each(text, common, |param| rare.read(param))?;
        Ok(Self { size, body: body_, smtputf8, ret: ret_, envid: envid_, rare })
    }
}

impl Rare {
    /// One of them.
    #[cold]
    fn read(&mut self, Param { keyword, value, at }: Param<'_>) -> Result<(), CommandError> {
        match word(keyword) {
            AUTH => once(&mut self.auth, auth(value), at)?,
            BY => once(&mut self.by, by(value), at)?,
            HOLDFOR => once(&mut self.hold, hold_for(value), at)?,
            SOLICIT => once(&mut self.solicit, solicit(value), at)?,
            CONPERM => flag(&mut self.convert, value, at)?,
            _ if is(keyword, "HOLDUNTIL") => once(&mut self.hold, hold_until(value), at)?,
            _ if is(keyword, "MT-PRIORITY") => once(&mut self.priority, priority(value), at)?,
            _ if is(keyword, "REQUIRETLS") => flag(&mut self.require_tls, value, at)?,
            _ if is(keyword, "SUBMITTER") => once(&mut self.submitter, submitter(value), at)?,
            _ => return Err(CommandError::Parameter { at }),
        }
        Ok(())
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
        Self::read(text)
    }

    /// As [`MailParams::read`].
    #[inline(always)]
    pub(super) fn read(text: &[u8]) -> Result<Self, CommandError> {
        let (mut notify_, mut orcpt_, mut rrvs_, mut conneg) = (None, None, None, false);
        let common = |word, value: &[u8], at| {
            Some(match word {
                NOTIFY => once(&mut notify_, notify(value), at),
                ORCPT => once(&mut orcpt_, orcpt(value), at),
                RRVS => once(&mut rrvs_, rrvs(value), at),
                CONNEG => flag(&mut conneg, value, at),
                _ => return None,
            })
        };
        each(text, common, |param| Err(CommandError::Parameter { at: param.at }))?;
        Ok(Self { notify: notify_, orcpt: orcpt_, rrvs: rrvs_, conneg })
    }
}

/// One `esmtp-param`; `value` is empty where there is none.
struct Param<'a> {
    keyword: &'a [u8],
    value: &'a [u8],
    /// Where the keyword begins.
    at: usize,
}

/// Calls `common` for one parameter after the other, with its keyword as a [`word`], its value and where it begins, and `other`
/// for those that it does not know.
#[inline(always)]
fn each(
    text: &[u8],
    mut common: impl FnMut(u64, &[u8], usize) -> Option<Result<(), ParseError>>,
    mut other: impl FnMut(Param<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut rest = text;
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let plain = plain_param(rest).and_then(|(word, value, after)| Some((common(word, value, at)?, after)));
        rest = match plain {
            Some((read, after)) => {
                read?;
                after
            }
            None => {
                let (param, after) = any_param(text, at)?;
                other(param)?;
                after
            }
        };
        // A second space says nothing and is passed over.
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
    }
    Ok(())
}

/// The keyword as a [`word`], the value, and what follows the space behind them: of an `esmtp-param` whose keyword is common to
/// `each`, all that may stand there. Of others nothing is said.
#[inline(always)]
fn plain_param(input: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (octets, _) = Sixteen::split(input);
    let ends = value_ends(octets);
    let len = Sixteen::place(ends);
    let (value, rest) = match input.get(len..)? {
        [b'=', rest @ ..] => {
            let (value, rest) = match ends & ends.wrapping_sub(1) {
                0 => up_to(rest, value_ends),
                ends => rest.split_at_checked(Sixteen::place(ends) - len - 1)?, // it is a later one
            };
            (Some(value).filter(|value| !value.is_empty())?, rest)
        }
        rest => (&[][..], rest),
    };
    let rest = match rest {
        [] => rest,
        [b' ', rest @ ..] => rest,
        _ => return None,
    };
    Some((octets.eight().word(len), value, rest))
}

/// One that begins there, and what follows the space behind it.
#[cold]
fn any_param(text: &[u8], at: usize) -> Result<(Param<'_>, &[u8]), ParseError> {
    let input = text.get(at..).unwrap_or_default();
    match esmtp_param(input) {
        Ok(([], (keyword, value))) => Ok((Param { keyword, value, at }, &[])),
        Ok(([b' ', rest @ ..], (keyword, value))) => Ok((Param { keyword, value, at }, rest)),
        Ok((rest, _)) => Err(ParseError { expected: "a space", at: text.len() - rest.len() }),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
            Err(ParseError { expected: fault.expected, at: text.len() - fault.rest.len() })
        }
        Err(nom::Err::Incomplete(_)) => Err(ParseError { expected: "a parameter", at }), // complete mode: never
    }
}

/// `esmtp-param = esmtp-keyword ["=" esmtp-value]`, where `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")` and
/// `esmtp-value = 1*(%d33-60 / %d62-126)`, with UTF-8 beyond ASCII (RFC 6531 §3.3).
fn esmtp_param(input: &[u8]) -> Parsed<'_, (&[u8], &[u8])> {
    let (keyword, rest) = up_to(input, |octets| (octets.are_alphanumeric() | octets.are(b'-')).others());
    if matches!(keyword, [] | [b'-', ..]) {
        return fail(input, "a parameter");
    }
    let [b'=', rest @ ..] = rest else { return Ok((rest, (keyword, &[]))) };
    match up_to(rest, value_ends) {
        ([], _) => fail(rest, "a value"),
        (value, rest) => Ok((rest, (keyword, value))),
    }
}

/// Where an `esmtp-value` ends.
#[inline(always)]
fn value_ends(octets: Sixteen) -> u32 {
    (octets.are_among(0, b' ') | octets.are(b'=') | octets.are(0x7f)).bits()
}

const SIZE: u64 = word(b"SIZE");
const BODY: u64 = word(b"BODY");
const SMTPUTF8: u64 = word(b"SMTPUTF8");
const RET: u64 = word(b"RET");
const ENVID: u64 = word(b"ENVID");
const AUTH: u64 = word(b"AUTH");
const BY: u64 = word(b"BY");
const HOLDFOR: u64 = word(b"HOLDFOR");
const SOLICIT: u64 = word(b"SOLICIT");
const CONPERM: u64 = word(b"CONPERM");
const NOTIFY: u64 = word(b"NOTIFY");
const ORCPT: u64 = word(b"ORCPT");
const RRVS: u64 = word(b"RRVS");
const CONNEG: u64 = word(b"CONNEG");

/// A longer word.
fn is(keyword: &[u8], name: &str) -> bool {
    keyword.eq_ignore_ascii_case(name.as_bytes())
}

/// Keeps a value that was read, unless there is one already.
#[inline(always)]
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
#[inline(always)]
fn flag(place: &mut bool, value: &[u8], at: usize) -> Result<(), ParseError> {
    if *place || !value.is_empty() {
        return Err(ParseError { expected: "a parameter that was not yet given, without a value", at });
    }
    *place = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::ReversePath;

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
            " ORCPT=x-y;a+20b+09c",
            " ORCPT=utf-8;\\x{3B4}@x.test",
            " ORCPT=utf-8;a\\x{7F}",
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
            "ORCPT=rfc822;a+0D+0Ab",
            "ORCPT=x-y;+00",
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
    fn common_parameters_are_read_as_any() {
        const PIECES: [&str; 12] =
            ["SIZE", "ret", "SMTPUTF8", "X-Y", "=", " ", "1", "é", "\x7f", "\t", "-", "sixteen-and-more"];
        let is_common = |word: u64| [SIZE, RET, SMTPUTF8].contains(&word);
        for number in 0..PIECES.len().pow(4) {
            let text: String = (0..4).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]).collect();
            let plain = plain_param(text.as_bytes()).filter(|(word, ..)| is_common(*word));
            let any = any_param(text.as_bytes(), 0).ok();
            let any = any.map(|(param, rest)| (word(param.keyword), param.value, rest));
            assert_eq!(plain, any.filter(|(word, ..)| is_common(*word)), "{text:?}");
        }
    }

    #[test]
    fn unknown_parameters_are_told_apart() {
        for text in ["XYZ", "XYZ=1", "NOTIFY=NEVER"] {
            assert_eq!(MailParams::parse(text.as_bytes()), Err(CommandError::Parameter { at: 0 }), "{text}");
        }
        assert_eq!(RcptParams::parse(b"NOTIFY=NEVER SIZE=1"), Err(CommandError::Parameter { at: 13 }));
    }
}
