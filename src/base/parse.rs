//! Grammar: the one error of all grammars, the glue to nom (complete mode only), and the core rules of RFC 5234 §B.1.
//!
//! A piece of input is framed first (a line, a counted literal) and parsed whole afterwards; no parser here ever asks for
//! more input.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while};
use nom::error::ErrorKind;
use nom::{IResult, Parser};

/// What a grammar expected, and at which octet of its input. It never quotes the input.
///
/// ```
/// use facteur::base::ParseError;
///
/// let error = ParseError { expected: "a domain", at: 7 };
/// assert_eq!(error.to_string(), "expected a domain at octet 7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("expected {expected} at octet {at}")]
pub struct ParseError {
    /// What should have stood there, in words of the grammar.
    pub expected: &'static str,
    /// The octet, counted from 0 at the start of what was parsed.
    pub at: usize,
}

/// The error of the parsers below: the rest of the input where it went wrong, turned into a [`ParseError`] by [`whole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// What was not yet read.
    pub rest: &'a [u8],
    /// What should have come.
    pub expected: &'static str,
}

/// What a parser over octets returns.
pub type Parsed<'a, T> = IResult<&'a [u8], T, Expected<'a>>;

impl<'a> nom::error::ParseError<&'a [u8]> for Expected<'a> {
    fn from_error_kind(rest: &'a [u8], _: ErrorKind) -> Self {
        Self { rest, expected: "other text" }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }

    /// Of two alternatives the one that came further explains more.
    fn or(self, other: Self) -> Self {
        if other.rest.len() <= self.rest.len() { other } else { self }
    }
}

impl<'a, E> nom::error::FromExternalError<&'a [u8], E> for Expected<'a> {
    fn from_external_error(rest: &'a [u8], _: ErrorKind, _: E) -> Self {
        Self { rest, expected: "a valid value" }
    }
}

/// Applies `parser` to the whole of `input`; what is left over is an error.
///
/// # Errors
/// What the grammar expected, and where.
pub fn whole<'a, T>(
    mut parser: impl Parser<&'a [u8], Output = T, Error = Expected<'a>>,
    input: &'a [u8],
) -> Result<T, ParseError> {
    match parser.parse(input) {
        Ok(([], value)) => Ok(value),
        Ok((rest, _)) => Err(ParseError { expected: "the end", at: input.len() - rest.len() }),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => {
            Err(ParseError { expected: fault.expected, at: input.len() - fault.rest.len() })
        }
        Err(nom::Err::Incomplete(_)) => Err(ParseError { expected: "more input", at: input.len() }),
    }
}

/// A table that says of each octet whether it is one of these: one look instead of a comparison with each.
pub(crate) const fn octets_of(set: &[u8]) -> [bool; 256] {
    let (mut table, mut n) = ([false; 256], 0);
    while n < set.len() {
        table[set[n] as usize] = true; // any octet is in it
        n += 1;
    }
    table
}

/// Names what `parser` looks for, for the error where it fails without having read anything.
pub fn expected<'a, T>(
    name: &'static str,
    mut parser: impl Parser<&'a [u8], Output = T, Error = Expected<'a>>,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, T> {
    move |input| {
        parser.parse(input).map_err(|error| {
            error.map(
                |fault| if fault.rest.len() == input.len() { Expected { rest: input, expected: name } } else { fault },
            )
        })
    }
}

/// A failure at `rest` for hand-written rules.
pub fn fail<'a, T>(rest: &'a [u8], expected: &'static str) -> Parsed<'a, T> {
    Err(nom::Err::Error(Expected { rest, expected }))
}

/// `SP = %x20`
pub fn sp(input: &[u8]) -> Parsed<'_, ()> {
    expected("a space", tag(&b" "[..])).parse(input).map(|(rest, _)| (rest, ()))
}

/// `CRLF = CR LF`
pub fn crlf(input: &[u8]) -> Parsed<'_, ()> {
    expected("CRLF", tag(&b"\r\n"[..])).parse(input).map(|(rest, _)| (rest, ()))
}

/// `*WSP`, where `WSP = SP / HTAB`
pub fn wsp(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while(is_wsp)(input)
}

/// `1*DIGIT` that fits; a number that does not fit is an error, never cut or wrapped.
pub fn number<T: TryFrom<u64>>(input: &[u8]) -> Parsed<'_, T> {
    let (mut rest, mut number) = (input, 0_u64);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    let fits = match input.len() - rest.len() {
        0 => return fail(input, "a number"),
        1..=19 => Some(number), // below 10 to the 19th, and so below 2 to the 64th
        len => std::str::from_utf8(input.get(..len).unwrap_or_default()).ok().and_then(|digits| digits.parse().ok()),
    };
    match fits.and_then(|number| number.try_into().ok()) {
        Some(number) => Ok((rest, number)),
        None => fail(input, "a smaller number"),
    }
}

/// `quoted-string` in its plainest form, shared by SMTP (RFC 5321 §4.1.2) and IMAP (RFC 9051 §9): DQUOTE, octets where
/// `\` takes the next one as it is, DQUOTE. No CR, LF or NUL inside. What is returned has the quoting removed.
pub fn quoted(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let (mut rest, _) = expected("a quoted string", tag(&b"\""[..])).parse(input)?;
    let mut text = Vec::new();
    loop {
        let (after, plain) = take_while(|octet: u8| !matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0))(rest)?;
        text.extend_from_slice(plain);
        match after {
            [b'"', after @ ..] => return Ok((after, text)),
            [b'\\', octet, after @ ..] if !matches!(octet, b'\r' | b'\n' | 0) => {
                text.push(*octet);
                rest = after;
            }
            _ => return fail(after, "the end of the quoted string"),
        }
    }
}

/// One of two parsers of the same value.
pub fn either<'a, T>(
    first: impl Parser<&'a [u8], Output = T, Error = Expected<'a>>,
    second: impl Parser<&'a [u8], Output = T, Error = Expected<'a>>,
) -> impl Parser<&'a [u8], Output = T, Error = Expected<'a>> {
    alt((first, second))
}

/// `WSP = SP / HTAB`
pub fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_place() {
        let rule = |input| -> Parsed<'_, u32> {
            let (rest, _) = expected("SIZE", tag(&b"SIZE="[..])).parse(input)?;
            number(rest)
        };
        assert_eq!(whole(rule, b"SIZE=12"), Ok(12));
        assert_eq!(whole(rule, b"SIZ"), Err(ParseError { expected: "SIZE", at: 0 }));
        assert_eq!(whole(rule, b"SIZE=x"), Err(ParseError { expected: "a number", at: 5 }));
        assert_eq!(whole(rule, b"SIZE=99999999999"), Err(ParseError { expected: "a smaller number", at: 5 }));
        assert_eq!(whole(rule, b"SIZE=12 "), Err(ParseError { expected: "the end", at: 7 }));
    }

    #[test]
    fn quoted_strings_lose_their_quoting_and_refuse_line_ends() {
        assert_eq!(whole(quoted, br#""a \"b\" \\ c""#), Ok(br#"a "b" \ c"#.to_vec()));
        for bad in [&b"\"open"[..], b"\"a\r\nb\"", b"\"a\\\r\"", b"\"a\0\"", b"\"a\\"] {
            assert!(whole(quoted, bad).is_err(), "{bad:?}");
        }
    }
}
