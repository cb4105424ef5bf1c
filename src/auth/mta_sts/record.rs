//! The record that says that a domain has a policy (RFC 8461 §3.1).

use std::str::FromStr;

use crate::base::ParseError;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How many fields a record may have. Two are known.
const MAX_FIELDS: usize = 32;

/// The record of a policy: no more than a name for its present text.
///
/// ```
/// use facteur::auth::mta_sts::Record;
///
/// let record: Record = "v=STSv1; id=20160831085700Z;".parse()?;
/// assert_eq!(record.id, "20160831085700Z");
/// assert!("v=STSv1; id=2016-08-31".parse::<Record>().is_err());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Tells this text of the policy from others: 1 to 32 letters and digits.
    pub id: String,
}

/// Why there is no record. A policy that was fetched before holds on nevertheless (RFC 8461 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRecord {
    /// The domain has none.
    #[error("no mta-sts record")]
    None,
    /// It has several, and it is not known which is the right one.
    #[error("more than one mta-sts record")]
    Several,
    /// It does not read.
    #[error("mta-sts record: {0}")]
    Malformed(#[source] ParseError),
    /// It could not be found out.
    #[error("mta-sts record: {0}")]
    Unknown(#[source] Failure),
}

/// Looks up the [`Record`] of a domain, by one question.
///
/// ```
/// use facteur::auth::mta_sts::Lookup;
/// use facteur::dns::Zone;
///
/// let zone: Zone = "_mta-sts.example.org TXT \"v=STSv1; id=1\"".parse()?;
/// assert_eq!(zone.ask(Lookup::new(&"example.org".parse()?)).unwrap().id, "1");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lookup(State);

#[derive(Clone, Debug)]
enum State {
    Asking(Name),
    Done(Result<Record, NoRecord>),
}

impl Record {
    /// Reads the text of a record.
    ///
    /// # Errors
    /// Where it is not of this grammar, an unknown field with it, or has no id.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        // sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
        let rest = after_version(text).ok_or(ParseError { expected: "v=STSv1;", at: 0 })?;
        let mut id = None;
        let mut at = text.len() - rest.len();
        for (count, field) in rest.split(|octet| *octet == b';').enumerate() {
            let trimmed = trim(field);
            let end = at + field.len() >= text.len();
            if count == MAX_FIELDS {
                return Err(ParseError { expected: "fewer fields", at });
            }
            if trimmed.is_empty() && end && count > 0 {
                break;
            }
            let equals = memchr::memchr(b'=', trimmed).ok_or(ParseError { expected: "=", at })?;
            let (name, value) = trimmed.split_at(equals);
            let value = value.get(1..).unwrap_or_default();
            // sts-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
            let first = name.first().is_some_and(u8::is_ascii_alphanumeric);
            let others = name.iter().all(|octet| octet.is_ascii_alphanumeric() || b"_-.".contains(octet));
            if !first || !others || name.len() > 32 {
                return Err(ParseError { expected: "the name of a field", at });
            }
            // sts-ext-value = 1*(%x21-3A / %x3C / %x3E-7E)
            if value.is_empty() || !value.iter().all(|octet| octet.is_ascii_graphic() && *octet != b'=') {
                return Err(ParseError { expected: "a value", at });
            }
            // RFC 8461 §3.2: "all entries except for the first SHALL be ignored"
            if name == b"id" && id.is_none() {
                // sts-id = %s"id=" 1*32(ALPHA / DIGIT)
                if value.len() > 32 || !value.iter().all(u8::is_ascii_alphanumeric) {
                    return Err(ParseError { expected: "an id of letters and digits", at });
                }
                id = Some(value.iter().map(|octet| char::from(*octet)).collect());
            }
            at += field.len() + 1;
        }
        id.map(|id| Self { id }).ok_or(ParseError { expected: "an id", at: text.len() })
    }
}

impl FromStr for Record {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

/// `sts-field-delim = *WSP ";" *WSP`
fn trim(field: &[u8]) -> &[u8] {
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let start = field.iter().position(|octet| !is_space(octet)).unwrap_or(field.len());
    let end = field.iter().rposition(|octet| !is_space(octet)).map_or(start, |last| last + 1);
    field.get(start..end).unwrap_or_default()
}

/// What follows the version and its semicolon, of which RFC 8461 §3.1 makes whether a text is such a record at all.
fn after_version(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"v=STSv1")?;
    let semicolon = rest.iter().position(|octet| !matches!(octet, b' ' | b'\t'))?;
    rest.get(semicolon..)?.strip_prefix(b";")
}

impl Lookup {
    /// Asks for the record of this domain, and of no domain above it (RFC 8461 §3.4).
    pub fn new(domain: &Name) -> Self {
        // A name below which there is no room has no record.
        Self(domain.child("_mta-sts").map_or(State::Done(Err(NoRecord::None)), State::Asking))
    }
}

impl Inquiry for Lookup {
    type Verdict = Result<Record, NoRecord>;

    fn poll(&mut self) -> Ask<Self::Verdict> {
        match &self.0 {
            State::Asking(name) => Ask::Question(Question::new(name.clone(), RecordType::Txt)),
            State::Done(found) => Ask::Verdict(found.clone()),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if matches!(self.0, State::Done(_)) {
            return;
        }
        let records = match &answer.found {
            Ok(records) => records,
            Err(failure) if failure.is_temporary() => return self.0 = State::Done(Err(NoRecord::Unknown(*failure))),
            Err(_) => return self.0 = State::Done(Err(NoRecord::None)),
        };
        let mut texts = records.iter().filter_map(|data| match data {
            Data::Txt(text) if after_version(text).is_some() => Some(text),
            _ => None,
        });
        self.0 = State::Done(match (texts.next(), texts.next()) {
            (None, _) => Err(NoRecord::None),
            (Some(text), None) => Record::parse(text).map_err(NoRecord::Malformed),
            (Some(_), Some(_)) => Err(NoRecord::Several),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    #[test]
    fn records_are_of_the_grammar() {
        for (text, id) in [
            ("v=STSv1; id=20160831085700Z;", Some("20160831085700Z")),
            ("v=STSv1;id=1", Some("1")),
            ("v=STSv1 ;\tid=1 ; ", Some("1")),
            ("v=STSv1; x.y-z_0=a:b; id=1", Some("1")),
            ("v=STSv1; id=1; id=2", Some("1")),
            ("v=STSv1; id=12345678901234567890123456789012", Some("12345678901234567890123456789012")),
            ("v=STSv1; id=123456789012345678901234567890123", None),
            ("v=STSv1; id=1;;", None),
            ("v=STSv1;; id=1", None),
            ("v=STSv1;", None),
            ("v=STSv1", None),
            ("v=STSv1; id=", None),
            ("v=STSv1; id=a-b", None),
            ("v=STSv1; id = 1", None),
            ("v=STSv1; ID=1", None),
            ("v=STSv1; id=1; x", None),
            ("v=STSv1; id=1; x=a b", None),
            ("v=STSv1; id=1; x=a=b", None),
            ("v=STSv1; id=1; -x=a", None),
            ("v=STSv10; id=1", None),
            ("v=stsv1; id=1", None),
            (" v=STSv1; id=1", None),
            ("id=1; v=STSv1", None),
            ("", None),
        ] {
            assert_eq!(Record::parse(text.as_bytes()).ok().map(|record| record.id).as_deref(), id, "{text}");
        }
    }

    #[test]
    fn there_is_one_record_or_none() {
        let zone: Zone = "_mta-sts.a.x TXT \"v=STSv1; \" \"id=1\"\n_mta-sts.a.x TXT other\n\
             _mta-sts.b.x TXT \"v=STSv1; id=1\"\n_mta-sts.b.x TXT \"v=STSv1; id=2\"\n\
             _mta-sts.c.x TXT \"v=STSv1; id=?\"\n_mta-sts.d.x CNAME _mta-sts.a.x\n_mta-sts.e.x SERVFAIL\n\
             _mta-sts.f.x TXT other\n_mta-sts.x TXT \"v=STSv1; id=1\"\n"
            .parse()
            .unwrap();
        for (domain, expected) in [
            ("a.x", "1"),
            ("b.x", "more than one mta-sts record"),
            ("c.x", "mta-sts record: expected an id of letters and digits at octet 8"),
            ("d.x", "1"),
            ("e.x", "mta-sts record: server failure"),
            ("f.x", "no mta-sts record"),
            ("g.x", "no mta-sts record"),
        ] {
            let found = zone.ask(Lookup::new(&domain.parse().unwrap()));
            assert_eq!(found.map_or_else(|why| why.to_string(), |record| record.id), expected, "{domain}");
        }
    }
}
