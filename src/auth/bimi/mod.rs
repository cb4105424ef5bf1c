//! Whose picture stands beside a message: the record with which a domain says it (BIMI,
//! draft-brand-indicators-for-message-identification-10), for mail that is the domain's own by DMARC.
//!
//! Left out on purpose: selectors of local parts (`lps=`); the organization's record where the author domain has a DMARC record of
//! its own, so that nobody has walked up to the organization; and what must follow before a picture is shown: fetching it and the
//! evidence for it over HTTPS, and validating both. An [`Outcome::Pass`] is a record that says where they are, and no more.

mod record;

use std::fmt;

use super::tags::Tags;
use super::{Method, dmarc};
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

pub use record::{MAX_RECORD, Record, selector};

/// How many questions one evaluation can ask: for the author domain and for its organization's.
pub const MAX_QUESTIONS: u32 = 2;

/// What came of it (§7.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the draft
pub enum Outcome {
    /// There is a record that says where the picture is.
    Pass,
    /// There is no record.
    None,
    /// The record cannot be used.
    Fail,
    /// The DNS failed for now.
    TempError,
    /// The domain says that it wants no picture.
    Declined,
    /// The record was not asked for.
    Skipped,
}

/// Why there is no better outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The message is not proved to be the domain's own.
    #[error("dmarc does not pass")]
    NotAuthentic,
    /// The domain, or its organization, does not want other mail quarantined or refused (§7.1).
    #[error("the dmarc policy is not strict enough")]
    WeakPolicy,
    /// There is more than one record.
    #[error("several records")]
    SeveralRecords,
    /// The record is no list of tags, or too long.
    #[error("record syntax")]
    Syntax,
    /// There is no `l=`.
    #[error("record without l=")]
    NoLocation,
    /// `l=` or `a=` is no URI of https with a domain.
    #[error("record with a wrong {0}=")]
    BadUri(&'static str),
    /// The DNS did not answer.
    #[error("dns: {0}")]
    Dns(Failure),
}

/// The outcome, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What came of it.
    pub outcome: Outcome,
    /// Why there is no better outcome.
    pub problem: Option<Problem>,
    /// Where the record is: the author domain or its organization's.
    pub domain: Option<Name>,
    /// Which of the domain's records.
    pub selector: Name,
    /// The record.
    pub record: Option<Record>,
    /// The questions that were asked.
    pub asked: Vec<Question>,
}

/// The evaluation for one message. It asks at most [`MAX_QUESTIONS`] questions.
///
/// ```
/// use facteur::auth::bimi::{self, Outcome};
/// use facteur::auth::{Check, Config, Session};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
/// use facteur::smtp::ReversePath;
///
/// let zone: Zone = "
///     example.org TXT \"v=spf1 ip4:192.0.2.1 -all\"
///     _dmarc.example.org TXT \"v=DMARC1; p=reject\"
///     default._bimi.example.org TXT \"v=BIMI1; l=https://example.org/logo.svg\"
/// ".parse()?;
/// let sender = ReversePath::Address("ada@example.org".parse()?);
/// let session = Session::new([192, 0, 2, 1].into(), None, sender);
/// let message = Message::parse("From: ada@example.org\r\n\r\nLunch?\r\n");
/// let mut config = Config::default();
/// config.bimi = true;
/// let report = zone.ask(Check::with(&session, &message, Timestamp::from_unix(1_790_000_000), &config));
/// assert_eq!(report.bimi.map(|verdict| verdict.outcome), Some(Outcome::Pass));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The domains that are still to be asked, the next one last.
    domains: Vec<Name>,
    verdict: Verdict,
}

impl Evaluation {
    /// The evaluation for a message with this verdict of DMARC; `selector` is what [`selector`] found.
    pub fn new(dmarc: &dmarc::Verdict, selector: Option<Name>) -> Self {
        let selector = selector.or_else(|| Name::parse("default").ok()).unwrap_or_default();
        let (outcome, problem) = (Outcome::Skipped, permits(dmarc).err());
        let verdict = Verdict { outcome, problem, domain: None, selector, record: None, asked: Vec::new() };
        let mut domains = Vec::new();
        if let (Some(author), None) = (&dmarc.author, problem) {
            // §7.2: the author domain, then its organizational domain. DMARC has walked up to that where the author domain has
            // no record of its own; where it has one, the organization's was not asked for and is not known.
            domains.extend(dmarc.organization.iter().filter(|organization| *organization != author).cloned());
            domains.push(author.clone());
        }
        let mut evaluation = Self { domains, verdict };
        evaluation.skip_unnameable();
        evaluation
    }

    fn question(&self) -> Option<Question> {
        let name = below(self.domains.last()?, &self.verdict.selector)?;
        Some(Question::new(name, RecordType::Txt))
    }

    /// What is too long to be a name has no record.
    fn skip_unnameable(&mut self) {
        while self.question().is_none() && self.domains.pop().is_some() {
            self.verdict.outcome = Outcome::None;
        }
    }

    fn end(&mut self, outcome: Outcome, problem: Option<Problem>) {
        self.domains.clear();
        (self.verdict.outcome, self.verdict.problem) = (outcome, problem);
    }
}

/// `SELECTOR._bimi.DOMAIN`
fn below(domain: &Name, selector: &Name) -> Option<Name> {
    domain.child(&format!("{selector}._bimi")).ok()
}

/// §7.1: whether DMARC says enough for a picture.
fn permits(dmarc: &dmarc::Verdict) -> Result<(), Problem> {
    let (Some(record), dmarc::Outcome::Pass) = (&dmarc.record, dmarc.outcome) else {
        return Err(Problem::NotAuthentic);
    };
    // A policy in testing is one level less (RFC 9989 §4.7, "t"), and one for a part of the mail is none (`pct=` of RFC 7489).
    let weaker = |policy| match policy {
        dmarc::Policy::Reject if record.testing => dmarc::Policy::Quarantine,
        dmarc::Policy::Quarantine if record.testing => dmarc::Policy::None,
        policy => policy,
    };
    let tags = Tags::parse(&record.text).ok();
    let part = tags.as_ref().and_then(|tags| tags.get("pct")).is_some_and(|percent| percent != b"100");
    let is_weak = |policy| match weaker(policy) {
        dmarc::Policy::None => true,
        dmarc::Policy::Quarantine => part,
        dmarc::Policy::Reject => false,
    };
    // "If a subdomain policy is published it MUST NOT be "none""
    let policies = [Some(dmarc.policy), record.policy, record.subdomains];
    if policies.into_iter().flatten().any(is_weak) { Err(Problem::WeakPolicy) } else { Ok(()) }
}

impl Verdict {
    /// §7.7; the evidence was not looked at.
    pub(super) fn method(&self) -> Method {
        let mut method = Method::new("bimi", self.outcome.to_string());
        if let Some(problem) = self.problem {
            method = method.reason(problem.to_string());
        }
        if let (Some(domain), Outcome::Pass) = (&self.domain, self.outcome) {
            method = method.property("header", "d", domain.to_string());
            method = method.property("header", "selector", self.selector.to_string());
            method = method.property("policy", "authority", "none");
        }
        match self.record.as_ref().and_then(|record| record.location.as_ref()) {
            Some(location) => method.property("policy", "indicator-uri", location),
            None => method,
        }
    }
}

impl Inquiry for Evaluation {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        match self.question() {
            Some(question) => Ask::Question(question),
            None => Ask::Verdict(self.verdict.clone()),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let (Some(question), Some(domain)) = (self.question(), self.domains.pop()) else { return };
        self.verdict.asked.push(question);
        let texts = match &answer.found {
            Ok(records) => &records[..],
            Err(failure) if failure.is_temporary() => {
                return self.end(Outcome::TempError, Some(Problem::Dns(*failure)));
            }
            Err(_) => &[],
        };
        let texts = texts.iter().filter_map(|data| match data {
            Data::Txt(text) => Some(text),
            _ => None,
        });
        // "Records that do not start with a "v=" tag that identifies the current version of BIMI MUST be discarded."
        let mut records = texts.filter_map(|text| Record::parse(text));
        let (Some(record), more) = (records.next(), records.next()) else {
            self.verdict.outcome = Outcome::None;
            return self.skip_unnameable();
        };
        self.verdict.domain = Some(domain);
        match record {
            _ if more.is_some() => self.end(Outcome::Fail, Some(Problem::SeveralRecords)),
            Err(problem) => self.end(Outcome::Fail, Some(problem)),
            Ok(record) => {
                let (outcome, problem) = match (&record.location, record.declines()) {
                    (_, true) => (Outcome::Declined, None),
                    (None, false) => (Outcome::Fail, Some(Problem::NoLocation)),
                    (Some(_), false) => (Outcome::Pass, None),
                };
                self.verdict.record = Some(record);
                self.end(outcome, problem);
            }
        }
    }
}

/// As header fields write it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::None => "none",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::Declined => "declined",
            Self::Skipped => "skipped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Check, Config, Session};
    use crate::base::Timestamp;
    use crate::dns::Zone;
    use crate::message::Message;
    use crate::smtp::ReversePath;

    const BASE: &str =
        "a.example.org TXT \"v=spf1 +all\"\nb.example.org TXT \"v=spf1 +all\"\nexample.org TXT \"v=spf1 +all\"\n";

    fn verdict(zone: &str, domain: &str) -> Verdict {
        let zone: Zone = format!("{BASE}{zone}").parse().unwrap();
        let sender = ReversePath::Address(format!("ada@{domain}").parse().unwrap());
        let session = Session::new([192, 0, 2, 1].into(), None, sender);
        let message = Message::parse(format!("From: ada@{domain}\r\nBIMI-Selector: v=BIMI1; s=brand\r\n\r\n"));
        let config = Config { bimi: true, ..Config::default() };
        zone.ask(Check::with(&session, &message, Timestamp::from_unix(0), &config)).bimi.unwrap()
    }

    #[test]
    fn records_are_found_at_the_domain_and_its_organization() {
        let dmarc = "_dmarc.example.org TXT \"v=DMARC1; p=reject\"\n";
        let at = |name: &str, text: &str| format!("{dmarc}default._bimi.{name} TXT \"{text}\"\n");
        let logo = "v=BIMI1; l=https://x.example/a.svg";
        for (zone, domain, outcome, problem, found, asked) in [
            (at("a.example.org", logo), "a.example.org", Outcome::Pass, None, Some("a.example.org"), 1),
            (at("example.org", logo), "a.example.org", Outcome::Pass, None, Some("example.org"), 2),
            (at("example.org", logo), "example.org", Outcome::Pass, None, Some("example.org"), 1),
            (dmarc.to_owned(), "a.example.org", Outcome::None, None, None, 2),
            (
                at("a.example.org", "v=BIMI1; l=; a="),
                "a.example.org",
                Outcome::Declined,
                None,
                Some("a.example.org"),
                1,
            ),
            (at("a.example.org", "v=spf1"), "a.example.org", Outcome::None, None, None, 2),
            (
                at("example.org", "v=BIMI1; l=; a=https://x.example/"),
                "example.org",
                Outcome::Fail,
                Some(Problem::NoLocation),
                Some("example.org"),
                1,
            ),
            (
                format!("{dmarc}default._bimi.a.example.org TIMEOUT\n"),
                "a.example.org",
                Outcome::TempError,
                Some(Problem::Dns(Failure::Timeout)),
                None,
                1,
            ),
            (
                format!("{}{}", at("example.org", logo), "default._bimi.example.org TXT \"v=BIMI1; l=\"\n"),
                "example.org",
                Outcome::Fail,
                Some(Problem::SeveralRecords),
                Some("example.org"),
                1,
            ),
        ] {
            let verdict = verdict(&zone, domain);
            assert_eq!((verdict.outcome, verdict.problem), (outcome, problem), "{zone}");
            assert_eq!(verdict.domain.as_ref().map(Name::as_str), found, "{zone}");
            assert_eq!(verdict.asked.len(), asked, "{zone}");
            assert_eq!(verdict.selector.as_str(), "default", "nobody signed the selector");
        }
    }

    #[test]
    fn weak_policies_have_no_picture() {
        for (record, problem) in [
            ("v=DMARC1; p=none", Some(Problem::WeakPolicy)),
            ("v=DMARC1; p=quarantine", None),
            ("v=DMARC1; p=quarantine; pct=100", None),
            ("v=DMARC1; p=quarantine; pct=99", Some(Problem::WeakPolicy)),
            ("v=DMARC1; p=reject; pct=1", None),
            ("v=DMARC1; p=reject; sp=none", Some(Problem::WeakPolicy)),
            ("v=DMARC1; p=reject; t=y", None),
            ("v=DMARC1; p=quarantine; t=y", Some(Problem::WeakPolicy)),
        ] {
            let zone = format!(
                "_dmarc.example.org TXT \"{record}\"\ndefault._bimi.example.org TXT \"v=BIMI1; l=https://x.example/a\"\n"
            );
            let verdict = verdict(&zone, "example.org");
            assert_eq!(verdict.problem, problem, "{record}");
            assert_eq!(verdict.asked.is_empty(), problem.is_some(), "{record}");
        }
        assert_eq!(verdict("", "example.org").problem, Some(Problem::NotAuthentic));
    }
}
