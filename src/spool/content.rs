//! How a message is kept: which octets go to the control file, which to the data file, and back to the same octets.
//!
//! sendmail keeps the header fields as `H` lines and the body with the line ends of the system ([`Form::Fields`]). That
//! loses nothing where the header is a run of well-formed fields with an empty line after it, no octet of it means something to
//! sendmail, and LF never stands alone. Whatever else comes (no empty line, a line that is no field, bare LF in a binary
//! body, a header past the limit) is kept in the data file octet by octet ([`Form::Exact`]).

use std::io::{self, Read};

use bytes::Bytes;
use memchr::{memchr, memmem};

/// How the content of a message is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // one reader must know them all
pub enum Form {
    /// Header fields in the control file, the body in the data file with LF.
    Fields,
    /// All octets in the data file.
    Exact,
}

/// Takes a message apart while it comes.
///
/// ```
/// use facteur::spool::content::{Form, Splitter};
///
/// let mut splitter = Splitter::new(65_536);
/// let mut data = Vec::new();
/// assert!(splitter.feed(b"Subject: a\r\n b\r\n\r\nhel", &mut data).is_none());
/// assert!(splitter.feed(b"lo\r\n", &mut data).is_none());
/// let split = splitter.finish(&mut data);
/// assert_eq!((split.form, split.size), (Form::Fields, 25));
/// assert_eq!(split.fields, ["Subject: a\n b"]);
/// assert_eq!(data, b"hello\n");
/// ```
#[derive(Debug)]
pub struct Splitter {
    state: State,
    max_header: usize,
    size: u64,
}

#[derive(Debug)]
enum State {
    /// The empty line has not come yet; what came is held, and searched up to an octet.
    Header {
        held: Vec<u8>,
        searched: usize,
    },
    /// After the header, which is held in case the body turns out to have a bare LF. A CR at the end of a piece waits.
    Body {
        header: Bytes,
        cr: bool,
    },
    Exact,
}

/// The data file must be written anew: a bare LF has come in the body.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// What the new data file begins with. All that was written so far follows, and `out` up to `old`, each LF as CRLF.
    pub header: Bytes,
    /// How much of `out` is still of the old kind. The rest goes to the new file as it is.
    pub old: usize,
}

/// A message, taken apart.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// How the data file keeps it.
    pub form: Form,
    /// The header fields, lines parted by LF; none where the form is exact.
    pub fields: Vec<Bytes>,
    /// The size of the whole in octets.
    pub size: u64,
}

impl Splitter {
    /// A splitter that keeps a header of more than `max_header` octets in the exact form; so much memory it takes at most
    /// beside the pieces that it is fed.
    pub fn new(max_header: usize) -> Self {
        Self { state: State::Header { held: Vec::new(), searched: 0 }, max_header, size: 0 }
    }

    /// Takes a piece of the message, adds to `out` what goes to the data file.
    #[must_use = "the data file may have to be written anew"]
    pub fn feed(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Option<Rewrite> {
        self.size += octets.len() as u64;
        let State::Header { held, searched } = &mut self.state else { return self.feed_body(octets, out) };
        held.extend_from_slice(octets);
        let end = if held.starts_with(b"\r\n") {
            Some(2)
        } else {
            memmem::find(held.get(*searched..).unwrap_or_default(), b"\r\n\r\n").map(|at| *searched + at + 4)
        };
        *searched = held.len().saturating_sub(3);
        match end {
            Some(end) if end <= self.max_header && fields_of(&held[..end]).is_some() => {
                // end is a place in held
                let mut header = Bytes::from(std::mem::take(held));
                let body = header.split_off(end);
                // The copy lets go of the body.
                self.state = State::Body { header: Bytes::copy_from_slice(&header), cr: false };
                self.feed_body(&body, out)
            }
            None if held.len() <= self.max_header => None,
            _ => {
                out.append(held);
                self.state = State::Exact;
                None
            }
        }
    }

    fn feed_body(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Option<Rewrite> {
        let State::Body { header, cr } = &mut self.state else {
            out.extend_from_slice(octets);
            return None;
        };
        let mut rest = octets;
        if *cr && let [first, after @ ..] = rest {
            *cr = false;
            if *first == b'\n' {
                out.push(b'\n');
                rest = after;
            } else {
                out.push(b'\r');
            }
        }
        while let Some(at) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            let Some(line) = line.strip_suffix(b"\r") else {
                let rewrite = Rewrite { header: header.clone(), old: out.len() };
                out.extend_from_slice(rest);
                self.state = State::Exact;
                return Some(rewrite);
            };
            out.extend_from_slice(line);
            out.push(b'\n');
            rest = after.get(1..).unwrap_or_default(); // the LF
        }
        if let Some(line) = rest.strip_suffix(b"\r") {
            *cr = true;
            rest = line;
        }
        out.extend_from_slice(rest);
        None
    }

    /// Ends the message; adds to `out` what still goes to the data file.
    pub fn finish(self, out: &mut Vec<u8>) -> Split {
        let exact = Split { form: Form::Exact, fields: Vec::new(), size: self.size };
        match self.state {
            State::Exact => exact,
            State::Header { held, .. } => {
                out.extend_from_slice(&held);
                exact
            }
            State::Body { header, cr } => {
                out.extend(cr.then_some(b'\r'));
                Split { form: Form::Fields, fields: fields_of(&header).unwrap_or_default(), ..exact }
            }
        }
    }
}

/// The fields of a header with its empty line, where each can stand in a control file and none is lost by it.
fn fields_of(header: &[u8]) -> Option<Vec<Bytes>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in header.strip_suffix(b"\r\n")?.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r\n")?;
        // Octets of sendmail's own: 0x80 to 0x9F name macros, 0xFF quotes them. NUL ends a text there.
        if line.iter().any(|octet| matches!(octet, 0 | b'\r' | 0x80..=0x9f | 0xff)) {
            return None;
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            let field = fields.last_mut()?;
            field.push(b'\n');
            field.extend_from_slice(line);
            continue;
        }
        // field-name = 1*ftext, ftext = %d33-57 / %d59-126 (RFC 5322 §2.2)
        let colon = memchr(b':', line).filter(|at| *at > 0)?;
        if !line.get(..colon)?.iter().all(|octet| matches!(octet, 33..=126)) {
            return None;
        }
        fields.push(line.to_vec());
    }
    Some(fields.into_iter().map(Bytes::from).collect())
}

/// The beginning of the content that the control file keeps: fields with CRLF, and the empty line.
pub fn header_of<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut header = Vec::new();
    for field in fields {
        crlf(field, &mut header);
        header.extend_from_slice(b"\r\n");
    }
    header.extend_from_slice(b"\r\n");
    header
}

/// Adds `text` to `out` with each LF as CRLF.
pub fn crlf(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\n', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Reads from another reader with each LF as CRLF.
#[derive(Debug)]
pub struct CrlfReader<R> {
    inner: R,
    plain: Box<[u8]>,
    ready: Vec<u8>,
    given: usize,
}

impl<R: Read> CrlfReader<R> {
    /// Reads from `inner`, 16 KiB at a time.
    pub fn new(inner: R) -> Self {
        Self { inner, plain: vec![0; 16_384].into(), ready: Vec::new(), given: 0 }
    }
}

impl<R: Read> Read for CrlfReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            let count = self.inner.read(&mut self.plain)?;
            self.ready.clear();
            self.given = 0;
            crlf(self.plain.get(..count).unwrap_or_default(), &mut self.ready);
        }
        let ready = self.ready.get(self.given..).unwrap_or_default();
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]); // count is at most the length of both
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits `content` in pieces of `step` octets, and puts it together again.
    fn through(content: &[u8], step: usize, max_header: usize) -> (Form, Vec<u8>) {
        let mut splitter = Splitter::new(max_header);
        let mut data = Vec::new();
        for piece in content.chunks(step.max(1)) {
            let mut out = Vec::new();
            if let Some(Rewrite { header, old }) = splitter.feed(piece, &mut out) {
                data.extend_from_slice(&out[..old]);
                let mut anew = header.to_vec();
                crlf(&data, &mut anew);
                anew.extend_from_slice(&out[old..]);
                data = anew;
            } else {
                data.append(&mut out);
            }
        }
        let split = splitter.finish(&mut data);
        assert_eq!(split.size, content.len() as u64);
        match split.form {
            Form::Exact => (split.form, data),
            Form::Fields => {
                let mut whole = header_of(split.fields.iter().map(|field| &field[..]));
                crlf(&data, &mut whole);
                (split.form, whole)
            }
        }
    }

    #[test]
    fn every_content_reads_back_to_the_octet_however_it_is_cut() {
        for (content, form) in [
            (&b"A: b\r\n\r\nx\r\n"[..], Form::Fields),
            (b"\r\nx\r\n", Form::Fields),
            (b"\r\n", Form::Fields),
            (b"A:\r\n\r\n", Form::Fields),
            (b"A: b\r\n c\r\n\td\r\n \t\r\nB: c\r\n\r\nx", Form::Fields),
            (b"A: b\r\n\r\n.\r\n..\r\n\r\n\r\n", Form::Fields),
            (b"A: b\r\n\r\nbare\rCR and \r\r\n twice\r", Form::Fields),
            (b"A: \xc3\xa9\x01\r\n\r\n\x00\x81\xff\r\n", Form::Fields),
            (b"", Form::Exact),
            (b"A: b\r\n", Form::Exact),
            (b"A: b", Form::Exact),
            (b"A: b\r\n\r", Form::Exact),
            (b"no field\r\n\r\nx\r\n", Form::Exact),
            (b" folded first\r\n\r\nx\r\n", Form::Exact),
            (b": no name\r\n\r\n", Form::Exact),
            (b"A : b\r\n\r\n", Form::Exact),
            (b"From ada Tue Feb 27 2007\r\nA: b\r\n\r\n", Form::Exact),
            (b"A: b\nB: c\r\n\r\n", Form::Exact),
            (b"A: b\r\r\n\r\n", Form::Exact),
            (b"A: b\rB: c\r\n\r\n", Form::Exact),
            (b"A: \x00\r\n\r\n", Form::Exact),
            (b"A: <\x81g>\r\n\r\n", Form::Exact),
            (b"A: \xff\r\n\r\n", Form::Exact),
            (b"A: b\r\n\r\nx\r\ny\r\nbare\nLF\r\n\nmore\r\n", Form::Exact),
            (b"A: b\r\n\r\n\n", Form::Exact),
            (b"A: b\n\nx\n", Form::Exact),
        ] {
            for step in 1..=content.len() + 1 {
                assert_eq!(through(content, step, 1000), (form, content.to_vec()), "{content:?} by {step}");
            }
            for max_header in 0..content.len() + 1 {
                assert_eq!(through(content, 3, max_header).1, content, "{content:?} with {max_header}");
            }
        }
    }

    #[test]
    fn a_header_past_the_limit_is_kept_exactly() {
        let content = b"A: b\r\n\r\nx\r\n";
        assert_eq!(through(content, 100, 8).0, Form::Fields);
        assert_eq!(through(content, 1, 8).0, Form::Fields);
        assert_eq!(through(content, 100, 7).0, Form::Exact);
        assert_eq!(through(content, 1, 7).0, Form::Exact);
    }

    #[test]
    fn the_reader_gives_what_the_function_gives() {
        let text = b"a\nb\r\n\n\nc".repeat(5000);
        let mut expected = Vec::new();
        crlf(&text, &mut expected);
        let mut read = Vec::new();
        CrlfReader::new(&text[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, expected);
    }

    proptest::proptest! {
        #[test]
        fn any_content_reads_back(
            pieces in proptest::collection::vec(proptest::sample::select(&[
                "A", ": ", "\r\n", "\r", "\n", "\r\n\r\n", " ", "body", "\u{e9}", "\u{1}", "B:c\r\n", ".",
            ][..]), 0..40),
            step in 1..20_usize,
            max_header in 0..60_usize,
        ) {
            let content = pieces.concat();
            proptest::prop_assert_eq!(through(content.as_bytes(), step, max_header).1, content.as_bytes());
        }
    }
}
