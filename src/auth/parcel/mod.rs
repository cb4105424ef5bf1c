//! How the reports of DMARC (RFC 9990 §3.5) and of TLS (RFC 8460 §5) travel: the name of the file, the subject of the message,
//! and the compression. Both standards have the same forms but for the extension.
//!
//! Names and subjects are read as reporters write them, and written as the standards have them. Where they are at odds with
//! the report, the report counts (RFC 8460 §5.6).

mod pack;

use std::fmt;
use std::str::FromStr;

pub use pack::{Limits, PackError};

pub(in crate::auth) use pack::{gzip, unpack};

use crate::address::{Address, Domain};
use crate::base::{ParseError, Timestamp};
use crate::message::{Message, Part};
use crate::text::transfer::hex;

/// The name of the file of a report: `receiver!policy-domain!begin!end[!unique-id].xml.gz`.
///
/// ```
/// use facteur::auth::parcel::FileName;
///
/// let name: FileName = "mail.receiver.example!example.com!1013662812!1013749130.xml.gz".parse()?;
/// assert_eq!(name.domain.to_string(), "example.com");
/// assert_eq!(name.end.unix() - name.begin.unix(), 86_318);
/// assert_eq!(name.to_string(), "mail.receiver.example!example.com!1013662812!1013749130.xml.gz");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileName {
    /// Whose report it is.
    pub reporter: Domain,
    /// Which domain it is about.
    pub domain: Domain,
    /// Where the time it is about begins.
    pub begin: Timestamp,
    /// Where it ends.
    pub end: Timestamp,
    /// What tells it from others of the same time.
    pub id: Option<String>,
    /// What follows the first dot behind the times: `xml`, `xml.gz`, `json`, `json.gz`, and what is seen besides.
    pub extension: String,
}

impl FileName {
    /// The name of a report without an identifier.
    pub fn new(
        reporter: Domain,
        domain: Domain,
        begin: Timestamp,
        end: Timestamp,
        extension: impl Into<String>,
    ) -> Self {
        Self { reporter, domain, begin, end, id: None, extension: extension.into() }
    }
}

impl FromStr for FileName {
    type Err = ParseError;

    /// `filename = receiver "!" policy-domain "!" begin-timestamp "!" end-timestamp [ "!" unique-id ] "." extension`
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut at = 0;
        let mut pieces = text.splitn(5, '!').map(|piece| {
            let start = at;
            at += piece.len() + 1;
            (start, piece)
        });
        let mut piece = |expected| pieces.next().ok_or(ParseError { expected, at: text.len() });
        let domain = |(at, piece): (usize, &str)| {
            Domain::parse(piece.trim().as_bytes()).map_err(|_| ParseError { expected: "a domain", at })
        };
        let time = |(at, piece): (usize, &str)| {
            // RFC 9990: 1*DIGIT; more than eleven are no second of the calendar.
            let digits = (1..=11).contains(&piece.len()) && piece.bytes().all(|octet| octet.is_ascii_digit());
            let seconds = piece.parse().ok().filter(|_| digits);
            seconds.map(Timestamp::from_unix).ok_or(ParseError { expected: "a time in seconds", at })
        };
        let reporter = domain(piece("a domain")?)?;
        let about = domain(piece("a domain")?)?;
        let begin = time(piece("a time in seconds")?)?;
        let (at, end) = piece("a time in seconds")?;
        let (end, id, extension) = match pieces.next() {
            Some((from, rest)) => {
                let (id, extension) =
                    rest.split_once('.').ok_or(ParseError { expected: ".", at: from + rest.len() })?;
                (end, Some(id.to_owned()).filter(|id| !id.is_empty()), extension)
            }
            None => {
                let (end, extension) = end.split_once('.').ok_or(ParseError { expected: ".", at: text.len() })?;
                (end, None, extension)
            }
        };
        let end = time((at, end))?;
        Ok(Self { reporter, domain: about, begin, end, id, extension: extension.to_owned() })
    }
}

/// Domains in A-labels; of an identifier only the letters and digits, for the standard has no others.
impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!{}!", self.reporter.to_ascii_or_text(), self.domain.to_ascii_or_text())?;
        write!(f, "{}!{}", self.begin.unix().max(0), self.end.unix().max(0))?;
        let id = self.id.iter().flat_map(|id| id.chars());
        let id: String = id.filter(char::is_ascii_alphanumeric).collect();
        if !id.is_empty() {
            write!(f, "!{id}")?;
        }
        write!(f, ".{}", self.extension)
    }
}

/// The subject of a message with a report: `Report Domain: example.com Submitter: mail.receiver.example Report-ID: <id>`.
///
/// ```
/// use facteur::auth::parcel::Subject;
///
/// let subject = Subject::parse("Report domain: example.com; Submitter: mail.ru; Report-ID: 4711").expect("a subject");
/// assert_eq!(subject.submitter.as_deref(), Some("mail.ru"));
/// assert_eq!(subject.to_string(), "Report Domain: example.com Submitter: mail.ru Report-ID: <4711>");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subject {
    /// Which domain the report is about.
    pub domain: String,
    /// Whose it is.
    pub submitter: Option<String>,
    /// What tells it from others, without brackets.
    pub report_id: Option<String>,
}

impl Subject {
    /// A subject with all that belongs to it.
    pub fn new(domain: impl Into<String>, submitter: impl Into<String>, report_id: impl Into<String>) -> Self {
        Self { domain: domain.into(), submitter: Some(submitter.into()), report_id: Some(report_id.into()) }
    }

    /// Reads a subject, unfolded and decoded; `None` where it does not name a domain. Any case of letters, and the
    /// semicolons and braces that some put around the values.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |label: &str| {
            // ASCII has the same place in both.
            let at = text.to_ascii_lowercase().find(label)? + label.len();
            let word = text.get(at..)?.split_whitespace().next()?;
            let word = word.trim_matches(|c| matches!(c, '<' | '>' | '{' | '}' | ';' | ',' | '"'));
            // What is the next label is no value.
            (!word.is_empty() && !word.ends_with(':')).then(|| word.to_owned())
        };
        let domain = value("report domain:")?;
        Some(Self { domain, submitter: value("submitter:"), report_id: value("report-id:") })
    }
}

/// `dmarc-subject` of RFC 9990 §3.5.2, `tlsrpt-subject` of RFC 8460 §5.3.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report Domain: {}", self.domain)?;
        if let Some(submitter) = &self.submitter {
            write!(f, " Submitter: {submitter}")?;
        }
        if let Some(id) = &self.report_id {
            write!(f, " Report-ID: <{id}>")?;
        }
        Ok(())
    }
}

/// The address of a `mailto` URI (RFC 6068 §2): the only one, without header fields.
pub(in crate::auth) fn mailto(uri: &str) -> Option<Address> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    let to = rest.split('?').next().unwrap_or_default();
    let mut octets = Vec::with_capacity(to.len());
    let mut rest = to.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => hex(rest.next()?, rest.next()?)?,
            octet => octet,
        });
    }
    Address::parse(&octets).ok()
}

/// A report that was found in a message.
pub(in crate::auth) struct Found<R> {
    pub report: R,
    /// What the name of its file says, where it is of the form.
    pub file: Option<FileName>,
    /// What the subject of the message says, where it is of the form.
    pub subject: Option<Subject>,
}

/// The report in a message: the first of its likely parts that `read` reads. Where there is none, why the likeliest is none,
/// or `none` where no part could be one. Who sends what is too large once it is unpacked does not get another part unpacked.
pub(in crate::auth) fn find<R, E>(
    message: &Message,
    extension: &str,
    none: E,
    read: impl Fn(&[u8]) -> Result<R, E>,
    is_too_large: impl Fn(&E) -> bool,
) -> Result<Found<R>, E> {
    let mut why = None;
    for part in parts(message, extension) {
        match read(&part.decode()) {
            Ok(report) => {
                let file = part.filename().and_then(|name| name.parse().ok());
                let subject = message.header().subject().and_then(|subject| Subject::parse(&subject));
                return Ok(Found { report, file, subject });
            }
            Err(error) if is_too_large(&error) => return Err(error),
            Err(error) => why = why.or(Some(error)),
        }
    }
    Err(why.unwrap_or(none))
}

/// How many parts of a message are looked at for a report: real ones have it in the first five.
const MAX_PARTS: usize = 50;
/// How many of them are unpacked.
const MAX_CANDIDATES: usize = 5;

/// The parts of a message that a report may be in, the likely ones first: by their media type, or by the extension of
/// their file.
fn parts<'a>(message: &'a Message, extension: &str) -> Vec<Part<'a>> {
    let likely = |part: &Part<'_>| {
        let kind = part.content_type();
        let name = part.filename().unwrap_or_default().to_ascii_lowercase();
        let packed = ["gz", "zip"].iter().any(|end| name.ends_with(&format!(".{end}")));
        if name.ends_with(&format!(".{extension}")) || (packed && name.contains('!')) {
            return Some(0);
        }
        let subtype = kind.subtype().to_ascii_lowercase();
        let named = subtype.contains(extension) || ["zip", "tlsrpt"].iter().any(|word| subtype.contains(word));
        match kind.kind().to_ascii_lowercase().as_str() {
            "application" if named || packed => Some(1),
            "text" if subtype == extension => Some(1),
            "application" if subtype == "octet-stream" => Some(2),
            _ => None,
        }
    };
    let parts = message.parts().filter(|part| !part.is_multipart()).take(MAX_PARTS);
    let mut parts: Vec<_> = parts.filter_map(|part| Some((likely(&part)?, part))).collect();
    parts.sort_by_key(|(rank, _)| *rank);
    parts.into_iter().map(|(_, part)| part).take(MAX_CANDIDATES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_and_written() {
        for (text, id, extension) in [
            ("a.example!b.example!1!2.xml", None, "xml"),
            ("a.example!b.example!1!2.xml.gz", None, "xml.gz"),
            ("a.example!b.example!1!2!x17.json.gz", Some("x17"), "json.gz"),
            ("a.example!b.example!1!2.zip", None, "zip"),
        ] {
            let name: FileName = text.parse().unwrap();
            assert_eq!((name.begin.unix(), name.end.unix()), (1, 2));
            assert_eq!((name.id.as_deref(), name.extension.as_str()), (id, extension), "{text}");
            assert_eq!(name.to_string(), text);
        }
        for (text, expected, at) in [
            ("", "a domain", 0),
            ("a.example", "a domain", 9),
            ("a.example!b.example!1!2", ".", 23),
            ("a.example!b.example!x!2.xml", "a time in seconds", 20),
            ("a.example!b.example!1!.xml", "a time in seconds", 22),
            ("a.example!b.example!1!2!3", ".", 25),
            ("a.example!../b!1!2.xml", "a domain", 10),
            ("a.example!b.example!1!123456789012.xml", "a time in seconds", 22),
        ] {
            assert_eq!(text.parse::<FileName>().unwrap_err(), ParseError { expected, at }, "{text}");
        }
    }

    #[test]
    fn subjects_are_read_as_reporters_write_them() {
        for (text, domain, submitter, id) in [
            ("Report Domain: a.b Submitter: c.d Report-ID: <e@f>", "a.b", Some("c.d"), Some("e@f")),
            ("Report domain: a.b Submitter: c.d Report-ID: 17", "a.b", Some("c.d"), Some("17")),
            ("Report Domain: a.b; Submitter: Mail.Ru; Report-ID: 1", "a.b", Some("Mail.Ru"), Some("1")),
            ("Dmarc Aggregate Report Domain: {a.b}  Submitter: {Amazon SES} x", "a.b", Some("Amazon"), None),
            ("[Preview] Report Domain: a.b", "a.b", None, None),
            ("Report Domain: a.b Submitter: Report-ID: 1", "a.b", None, Some("1")),
        ] {
            let subject = Subject::parse(text).unwrap();
            assert_eq!(subject.domain, domain, "{text}");
            assert_eq!((subject.submitter.as_deref(), subject.report_id.as_deref()), (submitter, id), "{text}");
        }
        for text in ["", "Lunch?", "Report Domain:", "Report Domain: Submitter: x"] {
            assert_eq!(Subject::parse(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_come_out_of_uris() {
        for (uri, expected) in [
            ("mailto:a@x.org", Some("a@x.org")),
            ("MAILTO:a@x.org?subject=b", Some("a@x.org")),
            ("mailto:a%2Bb%21c@x.org", Some("a+b!c@x.org")),
            ("mailto:a@x.org,b@x.org", None),
            ("mailto:a%2@x.org", None),
            ("mailto:", None),
            ("mailto:a@x.org%0d%0aDATA", None),
            ("https://x.org/", None),
        ] {
            assert_eq!(mailto(uri).map(|address| address.to_string()).as_deref(), expected, "{uri}");
        }
    }
}
