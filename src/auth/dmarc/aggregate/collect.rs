//! Counting what comes of messages, until it is reported.

use std::collections::BTreeMap;

use super::{
    Disposition, DkimOutcome, DkimResult, Override, OverrideKind, PublishedPolicy, Record, Report, Reporter, Scope,
    SpfOutcome, SpfResult, Text,
};
use crate::address::Domain;
use crate::auth::dmarc::{Destinations, Mechanism, Outcome, Policy, Record as PolicyRecord};
use crate::auth::{self, Session};
use crate::base::Timestamp;
use crate::dns::Name;
use crate::smtp::ReversePath;

/// How many signatures of one message are reported (RFC 9990 §3.1.3: "no more than 100").
const MAX_SIGNATURES: usize = 100;

/// How much a [`Collector`] keeps.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CollectorLimits {
    /// How many domains. Default 50,000, what a large receiver sees in a day; whoever invents domains must publish a policy
    /// with an address for reports of each.
    pub domains: usize,
    /// How many different records of one domain. Default 10,000: a report of 7 MB, that is 300 KB in gzip.
    pub records: usize,
    /// How many different records in all. Default 200,000.
    pub total: usize,
    /// How many octets the records and policies may take, as closely as they can be reckoned. Default 256 MiB: a record has
    /// some 500 octets as a rule, and 7,000 with ten signatures by the longest of names.
    pub octets: usize,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self { domains: 50_000, records: 10_000, total: 200_000, octets: 256 * 1024 * 1024 }
    }
}

/// What was done with a message, which the verdict alone does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handling {
    /// What was done with it.
    pub disposition: Disposition,
    /// Why that is not what the domain wanted done; RFC 9990 §3.1.1.9 wants it said then.
    pub reasons: Vec<Override>,
    /// The domain of the forward-path, where it may be told. Default `None`.
    pub envelope_to: Option<Domain>,
}

impl Handling {
    /// Whatever the domain wanted done was done.
    pub fn as_wished(verdict: &auth::dmarc::Verdict) -> Self {
        let enforced = verdict.policy != Policy::None;
        let disposition = match verdict.outcome {
            // "No action, passing DMARC w/enforcing policy"
            Outcome::Pass if enforced => Disposition::Pass,
            _ => verdict.disposition.into(),
        };
        let tested = verdict.outcome == Outcome::Fail && verdict.disposition != verdict.policy;
        let reasons = if tested { vec![Override::new(OverrideKind::PolicyTestMode)] } else { Vec::new() };
        Self { disposition, reasons, envelope_to: None }
    }

    /// Something else was done, for a reason.
    pub fn otherwise(disposition: Disposition, reason: Override) -> Self {
        Self { disposition, reasons: vec![reason], envelope_to: None }
    }
}

/// Counts what comes of messages, by the domain whose policy it is and by all that a record says.
///
/// ```
/// use facteur::auth::dmarc::aggregate::{Collector, Handling, Reporter};
/// use facteur::auth::{Check, Session};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
/// use facteur::smtp::ReversePath;
///
/// let zone: Zone = "_dmarc.example.org TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.org\"".parse()?;
/// let (begin, end) = (Timestamp::from_unix(1_790_035_200), Timestamp::from_unix(1_790_121_600));
/// let mut collector = Collector::new(begin);
///
/// let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Address("ada@example.org".parse()?));
/// let message = Message::parse("From: ada@example.org\r\n\r\nLunch?\r\n");
/// let report = zone.ask(Check::new(&session, &message, begin));
/// collector.count(&session, &report, &Handling::as_wished(&report.dmarc));
///
/// let reporter = Reporter::new("mx.example.net".parse()?, "Example", "dmarc@example.net".parse()?);
/// let due = collector.finish(&reporter, end).remove(0);
/// assert_eq!(due.report.records[0].count, 1);
/// let allowed = zone.ask(due.destinations);
/// assert_eq!(allowed.recipients(10_000).next().unwrap().to_string(), "dmarc@example.org");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Collector {
    begin: Timestamp,
    limits: CollectorLimits,
    domains: BTreeMap<Name, Seen>,
    /// How many records there are in all, and how many octets they and the policies take.
    total: usize,
    octets: usize,
    left_out: u64,
}

/// What was seen of a domain.
#[derive(Clone, Debug)]
struct Seen {
    /// The policy that was seen last: RFC 9990 §3.3 leaves it to the reporter.
    policy: PolicyRecord,
    records: BTreeMap<Record, u64>,
}

/// A report that is to be sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Due {
    /// The report.
    pub report: Report,
    /// The inquiry after where it may be sent.
    pub destinations: Destinations,
}

impl Collector {
    /// Nothing yet, from `begin` on: as a rule the beginning of a day of UTC.
    pub fn new(begin: Timestamp) -> Self {
        Self::with(begin, CollectorLimits::default())
    }

    /// As [`new`](Self::new) with other limits.
    pub fn with(begin: Timestamp, limits: CollectorLimits) -> Self {
        Self { begin, limits, domains: BTreeMap::new(), total: 0, octets: 0, left_out: 0 }
    }

    /// How many messages were left out because a limit was met.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many different records there are.
    pub fn records(&self) -> usize {
        self.total
    }

    /// Counts a message. One of a domain that wants no reports, or of which DMARC says neither pass nor fail, is not.
    pub fn count(&mut self, session: &Session, report: &auth::Report, handling: &Handling) {
        let dmarc = &report.dmarc;
        let (Some(domain), Some(policy)) = (&dmarc.policy_domain, &dmarc.record) else { return };
        if policy.reports.is_empty() || !matches!(dmarc.outcome, Outcome::Pass | Outcome::Fail) {
            return;
        }
        self.add(domain, policy, Record::of(session, report, handling), 1);
    }

    fn add(&mut self, domain: &Name, policy: &PolicyRecord, record: Record, count: u64) {
        let room = self.limits.octets.saturating_sub(self.octets);
        let (of_policy, of_record) = (policy_octets(policy), record_octets(&record));
        let no_room = self.domains.len() >= self.limits.domains || of_policy.saturating_add(of_record) > room;
        let known = match self.domains.get_mut(domain) {
            Some(known) => known,
            None if no_room => {
                return self.left_out = self.left_out.saturating_add(count);
            }
            None => {
                let seen = Seen { policy: policy.clone(), records: BTreeMap::new() };
                self.octets += of_policy;
                self.domains.entry(domain.clone()).or_insert(seen)
            }
        };
        if known.policy != *policy {
            let before = policy_octets(&known.policy);
            // Of a change for which there is no room nothing is told.
            if of_policy <= before.saturating_add(room) {
                self.octets = self.octets - before + of_policy; // it was counted when it came
                known.policy = policy.clone();
            }
        }
        let full = known.records.len() >= self.limits.records
            || self.total >= self.limits.total
            || self.octets.saturating_add(of_record) > self.limits.octets;
        match known.records.get_mut(&record) {
            Some(sum) => *sum = sum.saturating_add(count),
            None if full => self.left_out = self.left_out.saturating_add(count),
            None => {
                known.records.insert(record, count);
                self.octets += of_record;
                self.total += 1;
            }
        }
    }

    /// Takes over what another collected of the same time, in another process perhaps. The limits are those of `self`.
    pub fn merge(&mut self, other: Self) {
        self.begin = if other.begin.unix() < self.begin.unix() { other.begin } else { self.begin };
        self.left_out = self.left_out.saturating_add(other.left_out);
        for (domain, seen) in other.domains {
            for (record, count) in seen.records {
                self.add(&domain, &seen.policy, record, count);
            }
        }
    }

    /// The reports of what was counted until `end`, one a domain, in the order of names. Each gets an identifier out of the
    /// time, the domain and the reporter; hosts of one reporter that report by themselves each want their own
    /// [`Reporter::domain`].
    pub fn finish(self, reporter: &Reporter, end: Timestamp) -> Vec<Due> {
        let submitter = reporter.domain.to_ascii_or_text();
        let begin = self.begin;
        let due = self.domains.into_iter().filter(|(_, seen)| !seen.records.is_empty()).map(|(domain, seen)| {
            // RFC 9990 §3.5.1: "1721054318-example.com@example.org"
            let id = format!("{}-{}-{domain}@{submitter}", begin.unix(), end.unix());
            let mut report = Report::new(id, PublishedPolicy::of(&domain, &seen.policy), begin, end);
            report.organization.clone_from(&reporter.organization);
            report.email = reporter.email.to_string();
            report.extra_contact.clone_from(&reporter.extra_contact);
            report.generator.clone_from(&reporter.generator);
            report.records = seen.records.into_iter().map(|(record, count)| Record { count, ..record }).collect();
            Due { report, destinations: Destinations::new(domain, seen.policy.reports) }
        });
        due.collect()
    }
}

/// How much memory a policy takes: its text, and the addresses out of it.
fn policy_octets(policy: &PolicyRecord) -> usize {
    size_of::<Seen>() + 2 * policy.text.len()
}

/// How much memory a record takes.
fn record_octets(record: &Record) -> usize {
    let human = |text: &Option<Text>| text.as_ref().map_or(0, |text| text.text.len());
    let dkim = record
        .dkim
        .iter()
        .map(|one| size_of::<DkimResult>() + one.domain.len() + one.selector.len() + human(&one.human));
    let spf = record.spf.iter().map(|one| size_of::<SpfResult>() + one.domain.len() + human(&one.human));
    let reasons = record.reasons.iter().map(|one| size_of::<Override>() + human(&one.comment));
    let envelope = [&record.envelope_from, &record.envelope_to].into_iter().flatten().map(String::len);
    let own = size_of::<Record>() + record.header_from.len() + envelope.sum::<usize>();
    dkim.chain(spf).chain(reasons).fold(own, usize::saturating_add)
}

impl Record {
    /// What is reported of one message, with a count of 0.
    pub fn of(session: &Session, report: &auth::Report, handling: &Handling) -> Self {
        let dmarc = &report.dmarc;
        let aligned = |mechanism| dmarc.aligned.iter().any(|identifier| identifier.mechanism == mechanism);
        // RFC 9990 §3.1.3: aligned strictly, aligned, passed, others.
        let rank = |one: &auth::dkim::Verdict| {
            let domain = one.signature.as_ref().map(|signature| &signature.domain);
            let passed = one.outcome == auth::dkim::Outcome::Pass && !one.testing;
            match domain {
                Some(domain) if passed && Some(domain) == dmarc.author.as_ref() => 0,
                Some(domain) if passed && dmarc.aligned.iter().any(|identifier| identifier.domain == *domain) => 1,
                _ if passed => 2,
                _ => 3,
            }
        };
        let mut signatures: Vec<_> = report.dkim.iter().collect();
        signatures.sort_by_key(|one| rank(one));
        let dkim = signatures.into_iter().take(MAX_SIGNATURES).filter_map(|one| {
            let signature = one.signature.as_ref()?;
            Some(DkimResult {
                domain: signature.domain.to_string(),
                selector: signature.selector.to_string(),
                // RFC 6376 §3.6.1: a signature in testing is as no signature.
                outcome: if one.testing { DkimOutcome::None } else { one.outcome.into() },
                human: one.problem.map(|problem| problem.to_string().into()),
            })
        });
        let spf = report.spf_mail_from.as_ref().or(report.spf_helo.as_ref());
        let spf = spf.filter(|verdict| !verdict.domain.is_empty()).map(|verdict| SpfResult {
            domain: verdict.domain.clone(),
            scope: Some(Scope::MailFrom),
            outcome: SpfOutcome::from(verdict.outcome),
            human: verdict.problem.map(|problem| problem.to_string().into()),
        });
        Self {
            source: Some(session.peer.to_canonical()),
            count: 0,
            disposition: handling.disposition,
            dkim_passed: aligned(Mechanism::Dkim),
            spf_passed: aligned(Mechanism::Spf),
            reasons: handling.reasons.clone(),
            header_from: dmarc.author.as_ref().map(Name::to_string).unwrap_or_default(),
            envelope_from: Some(match &session.mail_from {
                ReversePath::Address(address) => address.domain().to_ascii_or_text(),
                // RFC 9990 §3.1.1.10: "existing but empty if the message had a null reverse-path".
                _ => String::new(),
            }),
            envelope_to: handling.envelope_to.as_ref().map(Domain::to_ascii_or_text),
            dkim: dkim.collect(),
            spf: spf.into_iter().collect(),
            extensions: Vec::new(),
        }
    }
}
