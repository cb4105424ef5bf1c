//! Gets the text of a policy from a domain's web server (RFC 8461 §3.3), as a machine without I/O: one request of HTTP/1.1 (RFC
//! 9112), under TLS from the start.
//!
//! Left out on purpose: redirects, caches, other media types than text/plain, compression, and whatever else a client of HTTP
//! has that a policy must not use.

use std::time::{Duration, Instant};

use crate::auth::mta_sts::Policy;
use crate::auth::tls_rpt::FailureKind;
use crate::base::{Machine, ParseError, Step, Wire};
use crate::dns::Name;

/// How many octets a policy may have (RFC 8461 §3.3 suggests so many).
pub const MAX_POLICY: usize = 64 * 1024;
/// How long a server may take for all of it (RFC 8461 §3.3).
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How many octets a line of a response's head may have. Web servers send no longer ones but for cookies.
const MAX_LINE: usize = 8 * 1024;
/// How many lines all heads of a response may have.
const MAX_LINES: usize = 256;

/// Gets the policy of a domain. The connection is to the host [`host`](Self::host), port 443, with a certificate of that name
/// (RFC 8461 §3.3).
///
/// ```
/// use std::time::Instant;
/// use facteur::auth::mta_sts::Fetch;
/// use facteur::base::{Machine, Step};
///
/// let mut fetch = Fetch::new(&"example.org".parse()?, Instant::now())?;
/// assert!(matches!(fetch.poll()?, Step::NeedInput));
/// assert!(fetch.wire().outgoing().starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.org\r\n"));
/// fetch.wire().feed(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 43\r\n\r\n");
/// fetch.wire().feed(b"version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n");
/// let Step::Event(policy) = fetch.poll()? else { panic!() };
/// assert_eq!(policy.max_age, 86400);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Fetch {
    wire: Wire,
    now: Instant,
    until: Instant,
    state: State,
    lines: usize,
    body: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// Nothing was sent yet: TLS comes first. The policy host is asked next.
    Start(Name),
    Status,
    Head(Head),
    /// So many octets are to come.
    Sized(usize),
    /// The line with the size of the next chunk is to come.
    ChunkSize,
    Chunk(usize),
    /// The line end after a chunk is to come.
    ChunkEnd,
    /// The fields after the last chunk.
    Trailer,
    /// All that comes until the server closes.
    ToEnd,
    Done,
    Failed(FetchError),
}

/// What one step came to.
enum Progress {
    Goes,
    Waits,
    Comes(Policy),
    Over,
}

/// What the head of a response has said so far.
#[derive(Debug)]
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    is_text: bool,
}

/// Why there is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The policy host has no address, or no address takes a connection.
    #[error("no connection to the policy host: {0}")]
    Unreachable(String),
    /// TLS did not come about, for the certificate of the policy host above all.
    #[error("the policy host is not proved: {0}")]
    Untrusted(String),
    /// It took too long.
    #[error("timeout")]
    Timeout,
    /// The response broke off.
    #[error("the response broke off")]
    Closed,
    /// The response has this status. RFC 8461 §3.3: only 200 will do, and redirects "MUST NOT be followed".
    #[error("the response has status {0}")]
    Status(u16),
    /// The response is none of HTTP, or of a form that is not asked for.
    #[error("the response is not valid: expected {0}")]
    Malformed(&'static str),
    /// The text has more than [`MAX_POLICY`] octets.
    #[error("the policy is too long")]
    TooLong,
    /// The text is no policy.
    #[error("the policy is not valid: {0}")]
    Policy(#[source] ParseError),
}

impl FetchError {
    /// What reports call it (RFC 8460 §4.3.2.2).
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Untrusted(_) => FailureKind::StsWebPkiInvalid,
            Self::Policy(_) => FailureKind::StsPolicyInvalid,
            _ => FailureKind::StsPolicyFetchError,
        }
    }
}

impl Fetch {
    /// Asks for the policy of this domain, for [`TIMEOUT`] from now.
    ///
    /// # Errors
    /// Where the name is too long to have a policy host below it.
    pub fn new(domain: &Name, now: Instant) -> Result<Self, ParseError> {
        let host = Self::host(domain)?;
        let until = now.checked_add(TIMEOUT).unwrap_or(now);
        Ok(Self { wire: Wire::new(), now, until, state: State::Start(host), lines: 0, body: Vec::new() })
    }

    /// The policy host of a domain (RFC 8461 §3.2): who is to be connected to, and what its certificate must name.
    ///
    /// # Errors
    /// Where the name would be too long.
    pub fn host(domain: &Name) -> Result<Name, ParseError> {
        domain.child("mta-sts")
    }

    /// One step.
    fn step(&mut self) -> Result<Progress, FetchError> {
        match &mut self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Done => return Ok(Progress::Over),
            State::Start(host) => {
                let request = format!(
                    "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {host}\r\nUser-Agent: facteur\r\nAccept: text/plain\r\n\
                     Connection: close\r\n\r\n"
                );
                self.wire.out(request.as_bytes());
                self.state = State::Status;
            }
            State::Status => {
                let Some(line) = self.line()? else { return Ok(Progress::Waits) };
                let head = Head { status: status(&line)?, length: None, chunked: false, is_text: false };
                self.state = State::Head(head);
            }
            State::Head(_) => {
                let Some(line) = self.line()? else { return Ok(Progress::Waits) };
                let State::Head(head) = &mut self.state else { return Ok(Progress::Waits) };
                if !line.is_empty() {
                    head.field(&line)?;
                    return Ok(Progress::Goes);
                }
                self.state = match head {
                    // RFC 9110 §15.2: before the response itself
                    Head { status: 100..=199, .. } => State::Status,
                    Head { status: 200, is_text: false, .. } => return Err(FetchError::Malformed("text/plain")),
                    // RFC 9112 §6.3: the coding "overrides the Content-Length", and both at once "ought to be handled as an
                    // error".
                    Head { status: 200, chunked: true, length: Some(_), .. } => {
                        return Err(FetchError::Malformed("one length"));
                    }
                    Head { status: 200, chunked: true, .. } => State::ChunkSize,
                    Head { status: 200, length: Some(length), .. } => State::Sized(*length),
                    Head { status: 200, .. } => State::ToEnd,
                    Head { status, .. } => return Err(FetchError::Status(*status)),
                };
            }
            State::Sized(0) => return self.end(),
            State::Sized(left) | State::Chunk(left) if *left > MAX_POLICY => return Err(FetchError::TooLong),
            State::Chunk(0) => self.state = State::ChunkEnd,
            State::Sized(left) | State::Chunk(left) => {
                let Some(octets) = self.wire.some(*left) else { return Ok(Progress::Waits) };
                *left -= octets.len();
                self.take(&octets)?;
            }
            State::ChunkSize => {
                let Some(line) = self.line()? else { return Ok(Progress::Waits) };
                self.state = match chunk_size(&line)? {
                    0 => State::Trailer,
                    size => State::Chunk(size),
                };
            }
            State::ChunkEnd => {
                let Some(line) = self.line()? else { return Ok(Progress::Waits) };
                if !line.is_empty() {
                    return Err(FetchError::Malformed("the end of a chunk"));
                }
                self.state = State::ChunkSize;
            }
            State::Trailer => {
                let Some(line) = self.line()? else { return Ok(Progress::Waits) };
                if line.is_empty() {
                    return self.end();
                }
            }
            State::ToEnd => match self.wire.some(MAX_POLICY + 1) {
                Some(octets) => self.take(&octets)?,
                // With TLS the end is told; one that is not is an error of the connection.
                None if self.wire.is_closed() => return self.end(),
                None => return Ok(Progress::Waits),
            },
        }
        Ok(Progress::Goes)
    }

    fn line(&mut self) -> Result<Option<bytes::Bytes>, FetchError> {
        let line = self.wire.line(MAX_LINE).map_err(|_| FetchError::Malformed("a shorter line"))?;
        let Some(line) = line else { return Ok(None) };
        self.lines += 1;
        // Of chunks there may be as many as there are octets.
        if self.lines > MAX_LINES && !matches!(self.state, State::ChunkSize | State::ChunkEnd) {
            return Err(FetchError::Malformed("fewer lines"));
        }
        Ok(Some(line.text))
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), FetchError> {
        if self.body.len() + octets.len() > MAX_POLICY {
            return Err(FetchError::TooLong);
        }
        self.body.extend_from_slice(octets);
        Ok(())
    }

    fn end(&mut self) -> Result<Progress, FetchError> {
        self.state = State::Done;
        Policy::parse(&std::mem::take(&mut self.body)).map(Progress::Comes).map_err(FetchError::Policy)
    }
}

impl Machine for Fetch {
    type Event = Policy;
    type Error = FetchError;

    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn poll(&mut self) -> Result<Step<Policy>, FetchError> {
        loop {
            let progress = match self.step() {
                Ok(Progress::Waits) if self.wire.is_closed() => Err(FetchError::Closed),
                Ok(Progress::Waits) if self.now >= self.until => Err(FetchError::Timeout),
                progress => progress,
            };
            match progress {
                Ok(Progress::Goes) => {}
                Ok(Progress::Waits) => return Ok(Step::NeedInput),
                Ok(Progress::Comes(policy)) => return Ok(Step::Event(policy)),
                Ok(Progress::Over) => return Ok(Step::Done),
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        (!matches!(self.state, State::Done | State::Failed(_))).then_some(self.until)
    }
}

impl Head {
    /// `field-line = field-name ":" OWS field-value OWS` (RFC 9112 §5)
    fn field(&mut self, line: &[u8]) -> Result<(), FetchError> {
        let colon = memchr::memchr(b':', line).ok_or(FetchError::Malformed("a field"))?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value, 10).ok_or(FetchError::Malformed("a length"))?;
            if self.length.is_some_and(|known| known != length) {
                return Err(FetchError::Malformed("one length"));
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(FetchError::Malformed("a coding that is known"));
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            // It was not asked for.
            if !value.eq_ignore_ascii_case(b"identity") {
                return Err(FetchError::Malformed("a coding that is known"));
            }
        } else if name.eq_ignore_ascii_case(b"content-type") {
            // RFC 8461 §3.2: "SHOULD validate that the media type is "text/plain"", and parameters are ignored.
            let kind = value.split(|octet| *octet == b';').next().unwrap_or_default();
            self.is_text = kind.trim_ascii().eq_ignore_ascii_case(b"text/plain");
        }
        Ok(())
    }
}

/// `status-line = HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4)
fn status(line: &[u8]) -> Result<u16, FetchError> {
    let code = || {
        let rest = line.strip_prefix(b"HTTP/1.")?;
        let (b'0' | b'1', rest) = rest.split_first()? else { return None };
        let (code, rest) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
        // Some leave out the space where there is no phrase.
        let ends = rest.is_empty() || rest.starts_with(b" ");
        ends.then(|| number(code, 10)).flatten()
    };
    code().and_then(|code| u16::try_from(code).ok()).ok_or(FetchError::Malformed("HTTP/1.1 and a status"))
}

/// `chunk-size [ chunk-ext ]` (RFC 9112 §7.1)
fn chunk_size(line: &[u8]) -> Result<usize, FetchError> {
    let digits = line.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii_end();
    number(digits, 16).ok_or(FetchError::Malformed("the size of a chunk"))
}

/// A number of at most eight digits: what has more is too much anyway, but for zeros, which nobody writes.
fn number(digits: &[u8], radix: u32) -> Option<usize> {
    let sound = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| sound)?;
    usize::try_from(u64::from_str_radix(digits, radix).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "version: STSv1\nmode: enforce\nmx: a.x\nmax_age: 86400\n";

    fn start() -> Fetch {
        Fetch::new(&"d.x".parse().unwrap(), Instant::now()).unwrap()
    }

    /// The result of this response, in pieces of that size.
    fn fetched(response: &[u8], size: usize, close: bool) -> Result<Option<Policy>, FetchError> {
        let mut fetch = start();
        let mut pieces = response.chunks(size.max(1));
        loop {
            match fetch.poll()? {
                Step::Event(policy) => {
                    assert!(matches!(fetch.poll(), Ok(Step::Done)));
                    assert_eq!(fetch.deadline(), None);
                    return Ok(Some(policy));
                }
                Step::NeedInput => match pieces.next() {
                    Some(piece) => fetch.wire().feed(piece),
                    None if close && !fetch.wire().is_closed() => fetch.wire().close(),
                    None => return Ok(None),
                },
                step => panic!("{step:?}"),
            }
        }
    }

    fn ok(fields: &str, body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n{fields}\r\n{body}")
    }

    #[test]
    fn responses_of_each_form_are_read_however_they_are_cut() {
        let length = format!("Content-Length: {}\r\n", POLICY.len());
        let (first, second) = POLICY.split_at(10);
        let chunks = format!("a;x=y\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\nX: y\r\n\r\n", second.len());
        for (response, close) in [
            (ok(&length, POLICY), false),
            (ok(&format!("{length}{length}"), &format!("{POLICY}and more")), false),
            (ok("transfer-encoding: Chunked\r\n", &chunks), false),
            (ok("", POLICY), true),
            (format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{}", ok(&length, POLICY)), false),
            (ok(&length, POLICY).replace("HTTP/1.1 200 OK", "HTTP/1.0 200"), false),
            (ok(&length, POLICY).replace("\r\n", "\n"), false),
        ] {
            for size in [1, 2, 7, 10_000] {
                let policy = fetched(response.as_bytes(), size, close);
                assert_eq!(policy, Ok(Some(Policy::parse(POLICY.as_bytes()).unwrap())), "{response}");
            }
        }
    }

    #[test]
    fn other_responses_are_told_apart() {
        use FetchError::{Closed, Malformed, Policy, Status, TooLong};
        let length = format!("Content-Length: {}\r\n", POLICY.len());
        let long = "x".repeat(MAX_POLICY + 1);
        for (response, expected) in [
            ("HTTP/1.1 301 Moved\r\nLocation: https://d.x/\r\n\r\n".to_owned(), Status(301)),
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), Status(404)),
            ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), Status(204)),
            ("HTTP/2 200\r\n".to_owned(), Malformed("HTTP/1.1 and a status")),
            ("HTTP/1.1 2000 OK\r\n".to_owned(), Malformed("HTTP/1.1 and a status")),
            ("220 mx.d.x ESMTP\r\n".to_owned(), Malformed("HTTP/1.1 and a status")),
            (ok(&length, POLICY).replace("plain", "html"), Malformed("text/plain")),
            (ok(&length, POLICY).replace("Content-Type", "X"), Malformed("text/plain")),
            (ok("Content-Length: +5\r\n", POLICY), Malformed("a length")),
            (ok("Content-Length: 5\r\nContent-Length: 6\r\n", POLICY), Malformed("one length")),
            (ok(&format!("{length}Transfer-Encoding: chunked\r\n"), "0\r\n\r\n"), Malformed("one length")),
            (ok("Transfer-Encoding: gzip\r\n", ""), Malformed("a coding that is known")),
            (ok("Content-Encoding: gzip\r\n", ""), Malformed("a coding that is known")),
            (ok("no colon\r\n", ""), Malformed("a field")),
            (ok("Transfer-Encoding: chunked\r\n", "x\r\n"), Malformed("the size of a chunk")),
            (ok("Transfer-Encoding: chunked\r\n", "fffffffff\r\n"), Malformed("the size of a chunk")),
            (ok("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n"), Malformed("the end of a chunk")),
            (ok("Transfer-Encoding: chunked\r\n", "ffffffff\r\n"), TooLong),
            (ok("Content-Length: 65537\r\n", ""), TooLong),
            (ok("", &long), TooLong),
            (
                ok("Transfer-Encoding: chunked\r\n", &format!("8000\r\n{0}\r\n8000\r\n{0}\r\n1\r\nx", &long[..0x8000])),
                TooLong,
            ),
            (format!("HTTP/1.1 200 OK\r\nX: {long}\r\n"), Malformed("a shorter line")),
            (format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(MAX_LINES)), Malformed("fewer lines")),
            ("HTTP/1.1 100 x\r\n\r\n".repeat(MAX_LINES), Malformed("fewer lines")),
            (ok(&length, &POLICY[1..]), Closed),
            (ok("Transfer-Encoding: chunked\r\n", "1\r\n"), Closed),
            ("HTTP/1.1 200".to_owned(), Closed),
            (ok("Content-Length: 0\r\n", ""), Policy(ParseError { expected: "a version", at: 0 })),
        ] {
            for size in [1, 10_000] {
                let shown = response.get(..100).unwrap_or(&response);
                assert_eq!(fetched(response.as_bytes(), size, true), Err(expected.clone()), "{shown}");
            }
        }
    }

    #[test]
    fn all_of_it_may_take_a_minute() {
        let start = Instant::now();
        let mut fetch = Fetch::new(&"d.x".parse().unwrap(), start).unwrap();
        fetch.wire().feed(b"HTTP/1.1 200 OK\r\n");
        fetch.tick(start + TIMEOUT - Duration::from_millis(1));
        assert!(matches!(fetch.poll(), Ok(Step::NeedInput)));
        assert_eq!(fetch.deadline(), Some(start + TIMEOUT));
        fetch.tick(start + TIMEOUT);
        assert!(matches!(fetch.poll(), Err(FetchError::Timeout)));
        fetch.wire().feed(b"\r\n");
        assert!(matches!(fetch.poll(), Err(FetchError::Timeout)), "an error is final");
    }
}
