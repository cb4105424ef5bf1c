//! Replies, both ways: RFC 5321 §4.2 with the enhanced codes of RFC 2034 and RFC 3463.
//!
//! Leniently: a reply line that ends in LF alone is read, and octets that are no UTF-8 show as U+FFFD, for no decision rests on
//! the text.

use std::borrow::Cow;
use std::fmt;

use super::OneLine;
use crate::base::ParseError;
use crate::base::sixteen::Sixteen;
use crate::message::Enhanced;
use crate::message::status::number;
use text::Text;

mod reader;
mod text;

pub use reader::{ReplyError, ReplyReader};

/// What is written on one line of a reply at most, its end counted (RFC 5321 §4.5.3.1.5).
const MAX_LINE: usize = 512;

/// What a server answers: a code, an enhanced code where there is one, and lines of text.
///
/// ```
/// use facteur::smtp::{Enhanced, Reply};
///
/// let reply = Reply::new(550, Enhanced(5, 1, 1), "no such user");
/// assert_eq!(reply.to_string(), "550 5.1.1 no such user");
/// assert!(reply.is_permanent());
/// assert_eq!(Reply::parse(b"550-5.1.1 no\r\n550 5.1.1 such user\r\n")?.lines().count(), 2);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    text: Text,
}

impl Reply {
    /// A reply. Each line of `text` becomes one of the reply; other control characters are written as `?`, so that text
    /// from elsewhere cannot forge a reply.
    ///
    /// # Panics
    /// Where `code` is not one of RFC 5321 §4.2: 200 to 599.
    pub fn new(code: u16, enhanced: impl Into<Option<Enhanced>>, text: impl Into<Cow<'static, str>>) -> Self {
        assert!((200..600).contains(&code), "a reply code is between 200 and 599");
        Self { code, enhanced: enhanced.into(), text: text.into().into() }
    }

    /// Reads a whole reply, its line ends included.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let (line, rest) = first_line(text)?;
        match ReplyLine::parse(line)? {
            line if line.last && rest.is_empty() => Ok(line.into()),
            line => Self::parse_on(line, rest, text.len()),
        }
    }

    /// Reads what follows the first line.
    fn parse_on(line: ReplyLine<'_>, mut rest: &[u8], len: usize) -> Result<Self, ParseError> {
        let mut last = line.last;
        let mut reply = Self::from(line);
        loop {
            let at = len - rest.len();
            let place = |error: ParseError| ParseError { at: error.at + at, ..error };
            match (last, rest) {
                (true, []) => return Ok(reply),
                (true, _) => return Err(ParseError { expected: "the end", at }),
                (false, []) => return Err(ParseError { expected: "a reply line", at }),
                (false, _) => {}
            }
            let (line, after) = first_line(rest).map_err(place)?;
            last = reply.extend(ReplyLine::parse(line).map_err(place)?).map_err(place)?;
            rest = after;
        }
    }

    /// Adds a line that is not the first; `true` where it was the last.
    fn extend(&mut self, line: ReplyLine<'_>) -> Result<bool, ParseError> {
        // RFC 5321 §4.2.1: "the reply code on each of the lines MUST be the same".
        if line.code != self.code {
            return Err(ParseError { expected: "the same code on each line", at: 0 });
        }
        self.text.push_line(line.text_of(self.enhanced));
        Ok(line.last)
    }

    /// The three digits, 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code; `None` where the reply has none.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The text of each line, without codes; at least one line, which may be empty.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
    }

    /// 2yz: it was done.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: not now; the same may succeed later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: not so; the same will fail again.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Writes the lines with their ends, none longer than 512 octets (RFC 5321 §4.5.3.1.5): longer text is broken.
    ///
    /// # Errors
    /// Those of `out`; a `String` or a [`Wire`](crate::base::Wire) has none.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        use fmt::Write as _;
        let mut codes = Codes::new(self);
        let text = &*self.text;
        if text.len() <= MOST && !text.bytes().any(|octet| octet.is_ascii_control()) {
            out.write_str(codes.text(b' '))?;
            out.write_str(text)?;
            return out.write_str("\r\n");
        }
        let mut lines = self.lines().flat_map(pieces).peekable();
        while let Some(line) = lines.next() {
            out.write_str(codes.text(if lines.peek().is_some() { b'-' } else { b' ' }))?;
            OneLine(&mut *out).write_str(line)?;
            out.write_str("\r\n")?;
        }
        Ok(())
    }
}

/// What each line of a reply begins with: most of what servers write are replies, so it is put together by hand.
struct Codes {
    octets: [u8; 24],
    len: usize,
}

impl Codes {
    fn new(reply: &Reply) -> Self {
        let mut codes = Self { octets: [b' '; 24], len: 0 };
        codes.number(reply.code);
        codes.len += 1;
        if let Some(Enhanced(class, subject, detail)) = reply.enhanced {
            codes.number(class.into());
            codes.push(b'.');
            codes.number(subject);
            codes.push(b'.');
            codes.number(detail);
            codes.push(b' ');
        }
        codes
    }

    fn push(&mut self, octet: u8) {
        // "255-255.65535.65535 " at the most.
        if let Some(place) = self.octets.get_mut(self.len) {
            *place = octet;
            self.len += 1;
        }
    }

    fn number(&mut self, number: u16) {
        for unit in [10_000, 1000, 100, 10, 1] {
            if number >= unit || unit == 1 {
                self.push(b'0' + (number / unit % 10) as u8); // one digit
            }
        }
    }

    /// With that between the code and the rest.
    fn text(&mut self, between: u8) -> &str {
        if let Some(place) = self.octets.get_mut(3) {
            *place = between;
        }
        std::str::from_utf8(self.octets.get(..self.len).unwrap_or_default()).unwrap_or_default() // ASCII
    }
}

/// The longest piece of text on a line, with "250-" and "5.999.999 " before it and CRLF behind.
const MOST: usize = MAX_LINE - 16;

/// Breaks a line so that each piece fits with its codes, at a space where there is one.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest.take()?;
        if line.len() <= MOST {
            return Some(line);
        }
        let most = (0..=MOST).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        let (head, _) = line.split_at(most);
        let (head, tail) = match head.rfind(' ') {
            Some(at) if at > 0 => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
            _ => line.split_at(most),
        };
        rest = Some(tail);
        Some(head)
    })
}

/// The reply on one line, for people and logs: lines joined by a space.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines().filter(|line| !line.is_empty()) {
            f.write_str(" ")?;
            OneLine(f).write_str(line)?;
        }
        Ok(())
    }
}

/// The first line without its end, and what follows it.
#[inline(always)]
fn first_line(text: &[u8]) -> Result<(&[u8], &[u8]), ParseError> {
    let Some(end) = Sixteen::find(text, b'\n') else {
        return Err(ParseError { expected: if text.is_empty() { "a reply line" } else { "CRLF" }, at: text.len() });
    };
    let (line, rest) = text.split_at_checked(end + 1).unwrap_or_default();
    let ([line @ .., b'\r', b'\n'] | [line @ .., b'\n']) = line else { return Ok((&[], rest)) }; // it ends so
    Ok((line, rest))
}

/// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`, one line of it without its
/// end.
#[derive(Clone, Copy)]
struct ReplyLine<'a> {
    code: u16,
    last: bool,
    /// What follows the code.
    text: &'a [u8],
    /// The enhanced code at its start, and what follows that.
    enhanced: Option<(Enhanced, &'a [u8])>,
}

impl<'a> ReplyLine<'a> {
    #[inline(always)]
    fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        // Reply-code = %x32-35 %x30-35 %x30-39, but codes with a second digit beyond 5 are out there.
        let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else {
            return Err(ParseError { expected: "a reply code", at: 0 });
        };
        let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return Err(ParseError { expected: "a space or a hyphen", at: 3 }),
        };
        Ok(Self { code, last, text, enhanced: enhanced_code(*a, text) })
    }

    /// The text without the enhanced code, where that is the one that the first line has.
    #[inline(always)]
    fn text_of(&self, wanted: Option<Enhanced>) -> &'a [u8] {
        match (self.enhanced, wanted) {
            (Some((enhanced, text)), Some(wanted)) if enhanced == wanted => text,
            _ => self.text,
        }
    }
}

/// The first line.
impl From<ReplyLine<'_>> for Reply {
    #[inline(always)]
    fn from(line: ReplyLine<'_>) -> Self {
        let (enhanced, octets) = match line.enhanced {
            Some((enhanced, octets)) => (Some(enhanced), octets),
            None => (None, line.text),
        };
        Self { code: line.code, enhanced, text: Text::read(octets) }
    }
}

/// `status-code = class "." subject "." detail` (RFC 3463 §2) with a space or the end after it. Its class must be that of
/// the code (RFC 2034 §4); other text is taken as it stands.
#[inline(always)]
fn enhanced_code(class: u8, text: &[u8]) -> Option<(Enhanced, &[u8])> {
    let [first @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text else { return None };
    if *first != class {
        return None;
    }
    let code = |subject: &u8, detail: &u8| Enhanced(class - b'0', (subject - b'0').into(), (detail - b'0').into());
    match rest {
        // Nearly all have one digit each.
        [subject @ b'0'..=b'9', b'.', detail @ b'0'..=b'9'] => Some((code(subject, detail), &[])),
        [subject @ b'0'..=b'9', b'.', detail @ b'0'..=b'9', b' ', rest @ ..] => Some((code(subject, detail), rest)),
        _ => longer_code(class, rest),
    }
}

/// `subject "." detail` of any length.
#[inline(never)]
fn longer_code(class: u8, text: &[u8]) -> Option<(Enhanced, &[u8])> {
    let (subject, rest) = leading_number(text)?;
    let (detail, rest) = leading_number(rest.strip_prefix(b".")?)?;
    match rest {
        [] | [b' ', ..] => Some((Enhanced(class - b'0', subject, detail), rest.get(1..).unwrap_or_default())),
        _ => None,
    }
}

/// `1*3DIGIT` without leading zeros at the start, and what follows.
fn leading_number(text: &[u8]) -> Option<(u16, &[u8])> {
    let len = text.iter().take(4).take_while(|octet| octet.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(len);
    Some((number(digits)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut text = String::new();
        reply.write(&mut text).unwrap();
        text
    }

    #[test]
    fn replies_round_trip() {
        for text in [
            "250 \r\n",
            "250 OK\r\n",
            "250 2.1.0 OK\r\n",
            "220 mx.test ESMTP\r\n",
            "354 go on\r\n",
            "250-mx.test\r\n250-SIZE 1000\r\n250 HELP\r\n",
            "550-5.1.1 no\r\n550 5.1.1 such user\r\n",
            "421 4.4.2 timeout\r\n",
            "250 5.1.1 is not of this class\r\n",
            "250 2.1 is no code\r\n",
            "550-5.1.1 one\r\n550 5.1.1 5.1.2 another\r\n",
            "550 5.1.1 δοκιμή\r\n",
        ] {
            let reply = Reply::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(written(&reply), text);
        }
    }

    #[test]
    fn lenient_forms_are_read() {
        for (text, same) in [
            ("250\r\n", "250 \r\n"),
            ("250-a\n250 b\n", "250-a\r\n250 b\r\n"),
            ("250-\r\n250\r\n", "250-\r\n250 \r\n"),
            ("550 5.1.1\r\n", "550 5.1.1 \r\n"),
            ("550-5.1.1 one\r\n550 two\r\n", "550-5.1.1 one\r\n550 5.1.1 two\r\n"),
            ("299 x\r\n", "299 x\r\n"),
        ] {
            assert_eq!(Reply::parse(text.as_bytes()).map(|reply| written(&reply)).as_deref(), Ok(same));
        }
        assert_eq!(Reply::parse(b"550 caf\xe9\r\n").unwrap().to_string(), "550 caf\u{fffd}");
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (text, at) in [
            (&b""[..], 0),
            (b"25", 2),
            (b"250 OK", 6),
            (b"25 OK\r\n", 0),
            (b"150 OK\r\n", 0),
            (b"650 OK\r\n", 0),
            (b"250_OK\r\n", 3),
            (b"250-a\r\n", 7),
            (b"250-a\r\n251 b\r\n", 7),
            (b"250 a\r\n250 b\r\n", 7),
        ] {
            assert_eq!(Reply::parse(text).map_err(|error| error.at), Err(at), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn codes_are_written_as_their_numbers_are() {
        for enhanced in [Enhanced(2, 0, 0), Enhanced(5, 7, 30), Enhanced(4, 10, 999), Enhanced(255, 65_535, 10_000)] {
            assert_eq!(written(&Reply::new(250, enhanced, "x")), format!("250 {enhanced} x\r\n"));
            assert_eq!(
                written(&Reply::new(599, enhanced, "x\ny")),
                format!("599-{enhanced} x\r\n599 {enhanced} y\r\n")
            );
        }
    }

    #[test]
    fn text_cannot_forge_a_reply() {
        assert_eq!(written(&Reply::new(550, None, "no\r\n250 yes\rx")), "550-no\r\n550 250 yes?x\r\n");
    }

    #[test]
    fn long_text_is_broken_at_spaces() {
        let reply = Reply::new(550, Enhanced(5, 7, 1), "word ".repeat(300));
        let text = written(&reply);
        assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 512), "{text}");
        let whole: Vec<_> = Reply::parse(text.as_bytes()).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(whole.join(" "), "word ".repeat(300));
        let text = written(&Reply::new(550, None, "ä".repeat(1000)));
        assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 512), "{text}");
    }
}
