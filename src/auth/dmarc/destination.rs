//! Where reports may be sent: whoever a policy record names outside of its own organization must have agreed (RFC 9990 §4, and
//! RFC 9991 §5 for failure reports).

use super::tree::{Tree, WALK};
use super::{Record, Uri, Verdict};
use crate::address::Address;
use crate::auth::parcel::mailto;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How many addresses of a record are looked at; RFC 9990 §3.5 leaves the limit to the reporter.
pub const MAX_DESTINATIONS: usize = 10;
/// How many questions [`Destinations`] can ask: a walk from the domain; of each destination, a walk, the last step of which
/// the first walk took already, and whether it agreed.
pub const MAX_DESTINATION_QUESTIONS: u32 = WALK + MAX_DESTINATIONS as u32 * WALK;

/// Which of the addresses for reports may be used. It asks at most [`MAX_DESTINATION_QUESTIONS`] questions, each once.
///
/// ```
/// use facteur::auth::dmarc::{Destinations, Record, Refusal};
/// use facteur::dns::Zone;
///
/// let record = Record::parse(b"v=DMARC1; rua=mailto:a@example.org,mailto:b@reports.example,mailto:c@victim.example").unwrap();
/// let zone: Zone = "example.org._report._dmarc.reports.example TXT \"v=DMARC1\"".parse()?;
/// let allowed = zone.ask(Destinations::new("example.org".parse()?, record.reports));
/// let to: Vec<_> = allowed.recipients(5_000).map(ToString::to_string).collect();
/// assert_eq!(to, ["a@example.org", "b@reports.example"]);
/// assert_eq!(allowed.destinations[2].recipients, Err(Refusal::NotConfirmed));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Destinations {
    domain: Name,
    uris: Vec<Uri>,
    /// Whether it is about `ruf`.
    failures: bool,
    tree: Tree,
    /// What the hosts of destinations said.
    confirmed: Vec<(Name, Result<Vec<Record>, Failure>)>,
    asked: Vec<Question>,
    open: Option<(Open, Question)>,
}

/// What an answer is about.
#[derive(Clone, Debug)]
enum Open {
    /// The policy of a domain, on a tree walk.
    Walk(Name),
    /// Whether a host agreed.
    Host(Name),
}

/// What came of [`Destinations`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allowed {
    /// Each address of the record, in its order.
    pub destinations: Vec<Destination>,
    /// The questions that were asked.
    pub asked: Vec<Question>,
}

/// What came of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// As the record has it.
    pub uri: Uri,
    /// To whom reports go, with the octets that one may have; or why they do not. It is another address where the host of the
    /// destination says so.
    pub recipients: Recipients,
}

/// The addresses that reports go to, and how many octets one may have there.
pub type Recipients = Result<Vec<(Address, Option<u64>)>, Refusal>;

/// Why an address is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no `mailto` URI with one address: RFC 9990 knows of no other.
    #[error("not an address of mail")]
    NotMail,
    /// The address has no domain of the DNS.
    #[error("no domain")]
    NoDomain,
    /// The name that would have to be asked for is too long.
    #[error("name too long")]
    TooLong,
    /// It is outside of the organization, and its host has not agreed.
    #[error("not confirmed by the destination")]
    NotConfirmed,
    /// Its host agreed and named another address, none of which is at the same host.
    #[error("redirected to another host")]
    Elsewhere,
    /// The DNS failed for now.
    #[error("dns: {0}")]
    Dns(Failure),
}

impl Destinations {
    /// For the aggregate reports about `domain`, at which a record with these addresses was found.
    pub fn new(domain: Name, uris: Vec<Uri>) -> Self {
        Self::of(domain, uris, false)
    }

    /// For the failure reports about `domain`.
    pub fn of_failures(domain: Name, uris: Vec<Uri>) -> Self {
        Self::of(domain, uris, true)
    }

    /// For a failure report about what has this verdict; `None` where none is wanted, or none may be sent.
    pub fn of_failure(verdict: &Verdict) -> Option<Self> {
        let (domain, record) = (verdict.policy_domain.as_ref()?, verdict.record.as_ref()?);
        // RFC 9991 §2: "MUST NOT consider "ruf" tags in DMARC Policy Records having a "psd=y" tag".
        let wanted = !record.failures.is_empty() && record.suffix != Some(true);
        wanted.then(|| Self::of_failures(domain.clone(), record.failures.clone()))
    }

    fn of(domain: Name, mut uris: Vec<Uri>, failures: bool) -> Self {
        uris.truncate(MAX_DESTINATIONS);
        let (tree, confirmed, asked) = (Tree::default(), Vec::new(), Vec::new());
        Self { domain, uris, failures, tree, confirmed, asked, open: None }
    }

    fn decide(&self) -> Result<Allowed, (Open, Question)> {
        let mut destinations = Vec::with_capacity(self.uris.len());
        for uri in &self.uris {
            destinations.push(Destination { uri: uri.clone(), recipients: self.recipients(uri)? });
        }
        Ok(Allowed { destinations, asked: self.asked.clone() })
    }

    fn recipients(&self, uri: &Uri) -> Result<Recipients, (Open, Question)> {
        let Some(address) = mailto(&uri.uri) else { return Ok(Err(Refusal::NotMail)) };
        let Some(host) = host(&address) else { return Ok(Err(Refusal::NoDomain)) };
        match self.is_internal(&host)? {
            Ok(true) => return Ok(Ok(vec![(address, uri.limit)])),
            Ok(false) => {}
            Err(failure) => return Ok(Err(Refusal::Dns(failure))),
        }
        let confirmed = match self.confirmed.iter().find(|(known, _)| *known == host) {
            Some((_, confirmed)) => confirmed,
            None => {
                // RFC 9990 §4, steps 2 to 4.
                let Ok(name) = format!("{}._report._dmarc.{host}", self.domain).parse() else {
                    return Ok(Err(Refusal::TooLong));
                };
                return Err((Open::Host(host), Question::new(name, RecordType::Txt)));
            }
        };
        let records = match confirmed {
            Ok(records) if records.is_empty() => return Ok(Err(Refusal::NotConfirmed)),
            Ok(records) => records,
            Err(failure) => return Ok(Err(Refusal::Dns(*failure))),
        };
        let named = records.iter().map(|record| if self.failures { &record.failures } else { &record.reports });
        let named: Vec<&Uri> = named.flatten().take(MAX_DESTINATIONS).collect();
        if named.is_empty() {
            return Ok(Ok(vec![(address, uri.limit)]));
        }
        // Step 9: "the overriding URI MUST use the same destination host"; of another, neither is used.
        let same = named.into_iter().filter_map(|uri| {
            let address = mailto(&uri.uri)?;
            (self::host(&address).as_ref() == Some(&host)).then_some((address, uri.limit))
        });
        let same: Vec<_> = same.collect();
        Ok(if same.is_empty() { Err(Refusal::Elsewhere) } else { Ok(same) })
    }

    /// Whether a host is of the organization of the domain.
    fn is_internal(&self, host: &Name) -> Result<Result<bool, Failure>, (Open, Question)> {
        if *host == self.domain {
            return Ok(Ok(true));
        }
        // What differs in the last label is in no organization together.
        if host.labels().next_back() != self.domain.labels().next_back() {
            return Ok(Ok(false));
        }
        let walk = |(domain, question)| (Open::Walk(domain), question);
        match self.tree.organization_of(&self.domain).map_err(walk)? {
            Ok(own) => self.tree.belongs(&own, host).map_err(walk),
            Err(failure) => Ok(Err(failure)),
        }
    }
}

/// The domain of an address, as the DNS has it.
fn host(address: &Address) -> Option<Name> {
    Name::parse(&address.domain().to_ascii()?).ok()
}

impl Allowed {
    /// To whom a message of so many octets may be sent, each once.
    ///
    /// RFC 7489 §7.2.1: what is larger than an address allows "MUST NOT" be sent there. RFC 9989 §4.8 leaves the size to be
    /// ignored; who published one means it.
    pub fn recipients(&self, octets: u64) -> impl Iterator<Item = &Address> {
        let mut seen: Vec<&Address> = Vec::new();
        let all = self.destinations.iter().filter_map(|one| one.recipients.as_ref().ok()).flatten();
        all.filter(move |(_, limit)| limit.is_none_or(|limit| octets <= limit)).filter_map(move |(address, _)| {
            let new = !seen.contains(&address);
            seen.push(address);
            new.then_some(address)
        })
    }

    /// Whether asking again later may allow more.
    pub fn is_temporary(&self) -> bool {
        self.destinations.iter().any(|one| matches!(one.recipients, Err(Refusal::Dns(_))))
    }
}

impl Inquiry for Destinations {
    type Verdict = Allowed;

    fn poll(&mut self) -> Ask<Allowed> {
        match self.decide() {
            Ok(allowed) => Ask::Verdict(allowed),
            Err((open, question)) => {
                self.open = Some((open, question.clone()));
                Ask::Question(question)
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let Some((open, question)) = self.open.take() else { return };
        match open {
            Open::Walk(domain) => self.tree.learn(domain, answer),
            Open::Host(host) => {
                let records = match &answer.found {
                    Ok(found) => Ok(found
                        .iter()
                        .filter_map(|data| match data {
                            Data::Txt(text) => Record::parse(text),
                            _ => None,
                        })
                        .take(MAX_DESTINATIONS)
                        .collect()),
                    Err(failure) if failure.is_temporary() => Err(*failure),
                    Err(_) => Ok(Vec::new()),
                };
                self.confirmed.push((host, records));
            }
        }
        self.asked.push(question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    fn allowed(zone: &str, rua: &str) -> Allowed {
        let zone: Zone = zone.parse().unwrap();
        let record = Record::parse(format!("v=DMARC1; rua={rua}; ruf={rua}").as_bytes()).unwrap();
        zone.ask(Destinations::new("blue.example.com".parse().unwrap(), record.reports))
    }

    #[test]
    fn who_is_outside_must_have_agreed() {
        const TXT: &str = "blue.example.com._report._dmarc.red.example.net TXT";
        let organization = "_dmarc.example.com TXT \"v=DMARC1; p=none\"\n";
        for (zone, rua, expected) in [
            // The example of RFC 9990 §4.
            (format!("{TXT} \"v=DMARC1\""), "mailto:a@red.example.net", Ok("a@red.example.net")),
            (format!("{TXT} \"v=DMARC1;\""), "mailto:a@red.example.net", Ok("a@red.example.net")),
            (String::new(), "mailto:a@red.example.net", Err(Refusal::NotConfirmed)),
            (format!("{TXT} \"v=spf1\""), "mailto:a@red.example.net", Err(Refusal::NotConfirmed)),
            (
                format!("{TXT} \"rua=mailto:a@red.example.net; v=DMARC1\""),
                "mailto:a@red.example.net",
                Err(Refusal::NotConfirmed),
            ),
            (
                format!("{TXT} \"v=DMARC1; rua=mailto:b@red.example.net\""),
                "mailto:a@red.example.net",
                Ok("b@red.example.net"),
            ),
            (
                format!("{TXT} \"v=DMARC1; rua=mailto:b@x.example\""),
                "mailto:a@red.example.net",
                Err(Refusal::Elsewhere),
            ),
            (
                "blue.example.com._report._dmarc.red.example.net TIMEOUT".into(),
                "mailto:a@red.example.net",
                Err(Refusal::Dns(Failure::Timeout)),
            ),
            (
                "*._report._dmarc.red.example.net TXT \"v=DMARC1\"".into(),
                "mailto:a@red.example.net",
                Ok("a@red.example.net"),
            ),
            // Inside.
            (String::new(), "mailto:a@blue.example.com", Ok("a@blue.example.com")),
            (organization.to_owned(), "mailto:a@example.com", Ok("a@example.com")),
            (organization.to_owned(), "mailto:a@mail.example.com", Ok("a@mail.example.com")),
            (String::new(), "mailto:a@example.com", Err(Refusal::NotConfirmed)),
            (organization.to_owned(), "mailto:a@other.com", Err(Refusal::NotConfirmed)),
            ("_dmarc.example.com TIMEOUT".into(), "mailto:a@other.com", Err(Refusal::Dns(Failure::Timeout))),
            (String::new(), "https://red.example.net/", Err(Refusal::NotMail)),
            (String::new(), "mailto:a@[192.0.2.1]", Err(Refusal::NoDomain)),
        ] {
            let allowed = allowed(&zone, rua);
            let found = &allowed.destinations[0].recipients;
            let found = found.as_ref().map(|to| to[0].0.to_string()).map_err(|refusal| *refusal);
            assert_eq!(found, expected.map(str::to_owned), "{zone} {rua}");
            assert_eq!(allowed.is_temporary(), matches!(found, Err(Refusal::Dns(_))));
        }
        let long = format!("mailto:a@{}.example", "a.".repeat(110).trim_end_matches('.'));
        assert_eq!(allowed("", &long).destinations[0].recipients, Err(Refusal::TooLong));
    }

    #[test]
    fn sizes_are_kept_and_nobody_is_told_twice() {
        let all = "mailto:a@blue.example.com!1k,mailto:b@blue.example.com,mailto:b@blue.example.com";
        let allowed = allowed("", all);
        let to = |octets| allowed.recipients(octets).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(to(1024), ["a@blue.example.com", "b@blue.example.com"]);
        assert_eq!(to(1025), ["b@blue.example.com"]);
        assert!(allowed.asked.is_empty());
    }

    #[test]
    fn one_host_is_asked_once_and_questions_have_a_bound() {
        let three = allowed("", "mailto:a@x.example,mailto:b@x.example,mailto:c@x.example");
        assert_eq!(three.asked.len(), 1);
        let many: Vec<String> = (0..30).map(|n| format!("mailto:a@h{n}.a.b.c.d.e.f.g.h.i.blue.example.com")).collect();
        let many = allowed("", &many.join(","));
        assert_eq!(many.destinations.len(), MAX_DESTINATIONS);
        assert!(many.asked.len() <= MAX_DESTINATION_QUESTIONS as usize, "{}", many.asked.len());
    }

    #[test]
    fn failure_reports_about_a_public_suffix_go_nowhere() {
        let zone: Zone = "_dmarc.bank TXT \"v=DMARC1; p=reject; psd=y; ruf=mailto:a@bank\"\n\
                          _dmarc.example.com TXT \"v=DMARC1; p=reject; ruf=mailto:a@example.com\""
            .parse()
            .unwrap();
        for (author, expected) in [("x.bank", false), ("example.com", true)] {
            let verdict = zone.ask(crate::auth::dmarc::Evaluation::new(Ok(author.parse().unwrap()), Vec::new()));
            assert!(verdict.record.is_some());
            assert_eq!(Destinations::of_failure(&verdict).is_some(), expected, "{author}");
        }
    }
}
