//! Counting what comes of sessions, until it is reported.

use std::collections::BTreeMap;

use super::{Failure, Policy, PolicyResult, Report, Reporter};
use crate::base::Timestamp;
use crate::dns::Name;

/// How much a [`Collector`] keeps.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CollectorLimits {
    /// How many domains. Default 50,000.
    pub domains: usize,
    /// How many policies of one domain. Default 100: its hosts, with a change or two in a day.
    pub policies: usize,
    /// How many different failures of one domain. Default 1,000.
    pub failures: usize,
    /// How many policies and different failures in all. Default 200,000: some 100 MB.
    pub total: usize,
}

impl Default for CollectorLimits {
    fn default() -> Self {
        Self { domains: 50_000, policies: 100, failures: 1_000, total: 200_000 }
    }
}

/// Counts sessions, by the domain that the mail was for, the policy, and why they failed.
///
/// ```
/// use facteur::auth::tls_rpt::{Collector, Failure, FailureKind, Policy, PolicyKind, Reporter};
/// use facteur::base::Timestamp;
///
/// let mut collector = Collector::new(Timestamp::from_unix(1_459_468_800));
/// let domain = "company-y.example".parse()?;
/// let policy = Policy::new(PolicyKind::Nothing, "company-y.example");
/// collector.success(&domain, &policy);
/// collector.failure(&domain, &policy, &[Failure::new(FailureKind::CertificateExpired)]);
///
/// let reporter = Reporter::new("Company-X", "tls@company-x.example".parse()?);
/// let due = collector.finish(&reporter, Timestamp::from_unix(1_459_555_199)).remove(0);
/// assert_eq!((due.report.policies[0].successes, due.report.policies[0].failures), (1, 1));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Collector {
    begin: Timestamp,
    limits: CollectorLimits,
    domains: BTreeMap<Name, BTreeMap<Policy, Counts>>,
    total: usize,
    left_out: u64,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    successes: u64,
    failures: u64,
    /// With a count of 0 each, and their counts.
    details: BTreeMap<Failure, u64>,
}

/// A report that is to be sent, where [`Lookup`](super::Lookup) says that the domain wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Due {
    /// Which domain it is about.
    pub domain: Name,
    /// The report.
    pub report: Report,
}

impl Collector {
    /// Nothing yet, from `begin` on: as a rule the beginning of a day of UTC.
    pub fn new(begin: Timestamp) -> Self {
        Self::with(begin, CollectorLimits::default())
    }

    /// As [`new`](Self::new) with other limits.
    pub fn with(begin: Timestamp, limits: CollectorLimits) -> Self {
        Self { begin, limits, domains: BTreeMap::new(), total: 0, left_out: 0 }
    }

    /// How many sessions, or reasons of them, were left out because a limit was met.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Counts a session over TLS that kept to the policy.
    pub fn success(&mut self, domain: &Name, policy: &Policy) {
        self.add(domain, policy, Counts { successes: 1, ..Counts::default() });
    }

    /// Counts a session that failed, for these reasons; their own counts do not matter. Failures that pass, as of a host that
    /// is busy, are not for this (RFC 8460 §4.3.4).
    pub fn failure(&mut self, domain: &Name, policy: &Policy, reasons: &[Failure]) {
        let mut counts = Counts { failures: 1, ..Counts::default() };
        for reason in reasons {
            counts.details.insert(Failure { sessions: 0, ..reason.clone() }, 1);
        }
        self.add(domain, policy, counts);
    }

    fn add(&mut self, domain: &Name, policy: &Policy, more: Counts) {
        let Self { limits, domains, total, left_out, .. } = self;
        let lost = more.successes.saturating_add(more.failures);
        if !domains.contains_key(domain) && domains.len() >= limits.domains {
            *left_out = left_out.saturating_add(lost);
            return;
        }
        let policies = domains.entry(domain.clone()).or_default();
        let mut details: usize = policies.values().map(|counts| counts.details.len()).sum();
        if !policies.contains_key(policy) {
            if policies.len() >= limits.policies || *total >= limits.total {
                *left_out = left_out.saturating_add(lost);
                return;
            }
            *total += 1;
        }
        let counts = policies.entry(policy.clone()).or_default();
        counts.successes = counts.successes.saturating_add(more.successes);
        counts.failures = counts.failures.saturating_add(more.failures);
        for (failure, count) in more.details {
            match counts.details.get_mut(&failure) {
                Some(sum) => *sum = sum.saturating_add(count),
                None if details < limits.failures && *total < limits.total => {
                    counts.details.insert(failure, count);
                    details += 1;
                    *total += 1;
                }
                None => *left_out = left_out.saturating_add(count),
            }
        }
    }

    /// Takes over what another collected of the same time, in another process perhaps. The limits are those of `self`.
    pub fn merge(&mut self, other: Self) {
        self.begin = if other.begin.unix() < self.begin.unix() { other.begin } else { self.begin };
        self.left_out = self.left_out.saturating_add(other.left_out);
        for (domain, policies) in other.domains {
            for (policy, counts) in policies {
                self.add(&domain, &policy, counts);
            }
        }
    }

    /// The reports of what was counted until `end`, one a domain, in the order of names. Each gets an identifier out of the
    /// time, the domain and the reporter.
    pub fn finish(self, reporter: &Reporter, end: Timestamp) -> Vec<Due> {
        let begin = self.begin;
        let contact = reporter.contact.domain();
        let submitter = contact.to_ascii_or_text();
        // Of a domain for whose policy there was no room there is nothing to tell.
        let due = self.domains.into_iter().filter(|(_, policies)| !policies.is_empty()).map(|(domain, policies)| {
            let results = policies.into_iter().map(|(policy, counts)| PolicyResult {
                policy,
                successes: counts.successes,
                failures: counts.failures,
                details: counts.details.into_iter().map(|(one, sessions)| Failure { sessions, ..one }).collect(),
            });
            let report = Report {
                organization: reporter.organization.clone(),
                contact: reporter.contact.to_string(),
                id: format!("{}-{}-{domain}@{submitter}", begin.unix(), end.unix()),
                begin: Some(begin.at_offset(0)),
                end: Some(end.at_offset(0)),
                policies: results.collect(),
            };
            Due { domain, report }
        });
        due.collect()
    }
}
