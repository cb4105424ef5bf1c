//! The record that asks for reports (RFC 8460 §3), and the question after it.

use crate::address::Address;
use crate::auth::parcel::mailto;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How long a record may be; longer ones are as no record.
pub const MAX_RECORD: usize = 16 * 1024;
/// How many addresses of a record are read.
pub const MAX_URIS: usize = 20;

/// A record.
///
/// ```
/// use facteur::auth::tls_rpt::{Destination, Record};
///
/// let record = Record::parse(b"v=TLSRPTv1;rua=mailto:reports@example.com").expect("a record");
/// assert_eq!(record.destinations, [Destination::Mail("reports@example.com".parse()?)]);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// `rua`: where reports are sent.
    pub destinations: Vec<Destination>,
}

/// Where a report is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// By mail.
    Mail(Address),
    /// By a POST to this URI.
    Https(String),
    /// Something that RFC 8460 does not know, as it stands.
    Other(String),
}

impl Record {
    /// Reads a record; `None` where the text is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_RECORD)?;
        // tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
        let mut fields = text.split(';').map(str::trim);
        if fields.next()? != "v=TLSRPTv1" {
            return None;
        }
        // tlsrpt-rua = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri); "unknown fields SHALL be ignored".
        let uris = fields.find_map(|field| field.strip_prefix("rua="))?;
        let destinations = uris.split(',').map(str::trim).filter(|uri| !uri.is_empty()).take(MAX_URIS).map(|uri| {
            let https = uri.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
            match mailto(uri) {
                Some(address) => Destination::Mail(address),
                None if https && uri.bytes().all(|octet| octet.is_ascii_graphic()) => {
                    Destination::Https(uri.to_owned())
                }
                None => Destination::Other(uri.to_owned()),
            }
        });
        let destinations: Vec<_> = destinations.collect();
        (!destinations.is_empty()).then_some(Self { destinations })
    }
}

/// Why a domain gets no reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Absent {
    /// It has no record.
    #[error("no record")]
    NoRecord,
    /// It has several: then it "does not implement TLSRPT" (RFC 8460 §3).
    #[error("several records")]
    Several,
    /// Its record says nothing of where reports go.
    #[error("a record without rua")]
    NoDestination,
    /// The DNS failed for now.
    #[error("dns: {0}")]
    Dns(Failure),
}

/// The record of a domain, or why there is none, and what was asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The record.
    pub record: Result<Record, Absent>,
    /// The questions that were asked.
    pub asked: Vec<Question>,
}

/// Whether a domain wants reports. It asks one question.
///
/// ```
/// use facteur::auth::tls_rpt::Lookup;
/// use facteur::dns::Zone;
///
/// let zone: Zone = "_smtp._tls.example.com TXT \"v=TLSRPTv1;rua=https://reporting.example.com/v1/tlsrpt\"".parse()?;
/// let verdict = zone.ask(Lookup::new(&"example.com".parse()?));
/// assert_eq!(verdict.record.expect("a record").destinations.len(), 1);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lookup {
    /// `None` where the name would be too long: nobody can have published anything under it.
    question: Option<Question>,
    record: Option<Result<Record, Absent>>,
}

impl Lookup {
    /// For mail to addresses in `domain`.
    pub fn new(domain: &Name) -> Self {
        let name = format!("_smtp._tls.{domain}").parse().ok();
        Self { question: name.map(|name| Question::new(name, RecordType::Txt)), record: None }
    }
}

impl Inquiry for Lookup {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        match (&self.question, &self.record) {
            (Some(question), None) => Ask::Question(question.clone()),
            (question, record) => Ask::Verdict(Verdict {
                record: record.clone().unwrap_or(Err(Absent::NoRecord)),
                asked: question.iter().cloned().collect(),
            }),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if self.record.is_some() {
            return;
        }
        self.record = Some(match &answer.found {
            Err(failure) if failure.is_temporary() => Err(Absent::Dns(*failure)),
            Err(_) => Err(Absent::NoRecord),
            Ok(found) => {
                // "records that do not begin with "v=TLSRPTv1;" are discarded"
                let mut texts = found.iter().filter_map(|data| match data {
                    Data::Txt(text) if text.split(|octet| *octet == b';').next()?.trim_ascii() == b"v=TLSRPTv1" => {
                        Some(text)
                    }
                    _ => None,
                });
                match (texts.next(), texts.next()) {
                    (None, _) => Err(Absent::NoRecord),
                    (Some(text), None) => Record::parse(text).ok_or(Absent::NoDestination),
                    (Some(_), Some(_)) => Err(Absent::Several),
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    #[test]
    fn records_are_read_by_their_grammar() {
        let mail = |text: &str| Destination::Mail(text.parse().unwrap());
        for (text, expected) in [
            // RFC 8460 §3.1
            ("v=TLSRPTv1;rua=mailto:reports@example.com", Some(vec![mail("reports@example.com")])),
            (
                "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
                Some(vec![Destination::Https("https://reporting.example.com/v1/tlsrpt".into())]),
            ),
            ("v=TLSRPTv1 ; x=y; rua=mailto:a@x.org , mailto:b@x.org;", Some(vec![mail("a@x.org"), mail("b@x.org")])),
            ("v=TLSRPTv1; rua=mailto:a%21b@x.org", Some(vec![mail("a!b@x.org")])),
            ("v=TLSRPTv1; rua=ftp://x.org/", Some(vec![Destination::Other("ftp://x.org/".into())])),
            ("v=TLSRPTv1; rua=", None),
            ("v=TLSRPTv1", None),
            ("v=TLSRPTv1; RUA=mailto:a@x.org", None),
            ("v=tlsrptv1; rua=mailto:a@x.org", None),
            ("v=TLSRPTv2; rua=mailto:a@x.org", None),
            ("rua=mailto:a@x.org; v=TLSRPTv1", None),
        ] {
            assert_eq!(Record::parse(text.as_bytes()).map(|record| record.destinations), expected, "{text}");
        }
        let many = format!("v=TLSRPTv1; rua={}", "mailto:a@x.org,".repeat(500));
        assert_eq!(Record::parse(many.as_bytes()).unwrap().destinations.len(), MAX_URIS);
        assert!(
            Record::parse(&[b"v=TLSRPTv1; rua=mailto:a@x.org;".as_slice(), &[b' '; MAX_RECORD]].concat()).is_none()
        );
    }

    #[test]
    fn there_is_one_record_or_none() {
        const TXT: &str = "_smtp._tls.x.org TXT";
        let sound = "\"v=TLSRPTv1; rua=mailto:a@x.org\"";
        for (zone, expected) in [
            (format!("{TXT} {sound}"), None),
            (format!("{TXT} \"v=spf1 -all\"\n{TXT} {sound}"), None),
            // RFC 7208 §3.3: several strings are one text.
            (format!("{TXT} \"v=TLSRPTv1; rua=mail\" \"to:a@x.org\""), None),
            (format!("{TXT} {sound}\n{TXT} \"v=TLSRPTv1; rua=mailto:b@x.org\""), Some(Absent::Several)),
            (format!("{TXT} \"v=TLSRPTv1;\""), Some(Absent::NoDestination)),
            ("_smtp._tls.x.org TIMEOUT".to_owned(), Some(Absent::Dns(Failure::Timeout))),
            (String::new(), Some(Absent::NoRecord)),
        ] {
            let zone: Zone = zone.parse().unwrap();
            let verdict = zone.ask(Lookup::new(&"x.org".parse().unwrap()));
            assert_eq!(verdict.record.err(), expected);
            assert_eq!(verdict.asked.len(), 1);
        }
        let long: Name = "a.".repeat(125).trim_end_matches('.').parse().unwrap();
        let verdict = Zone::new().ask(Lookup::new(&long));
        assert_eq!((verdict.record, verdict.asked.len()), (Err(Absent::NoRecord), 0));
    }
}
