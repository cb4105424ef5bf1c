//! Policies that were fetched, for as long as they hold (RFC 8461 §3.3, §5.1).

use std::collections::HashMap;
use std::sync::Arc;

use crate::auth::mta_sts::{Mode, Policy, Record};
use crate::base::Timestamp;
use crate::dns::Name;

/// A policy is fetched again once a day, so that it does not run out while somebody keeps us from it (RFC 8461 §3.3).
const REFRESH: i64 = 24 * 3600;
/// For so many seconds after a failure the same text is not asked for again (RFC 8461 §3.3: "five minutes or longer").
const PAUSE: i64 = 300;

/// Policies by domain. No clock: time is an argument.
///
/// ```
/// use facteur::auth::mta_sts::{Cache, Policy, Record};
/// use facteur::base::Timestamp;
///
/// let mut cache = Cache::new();
/// let domain = "example.org".parse()?;
/// let record = "v=STSv1; id=1".parse();
/// let now = Timestamp::from_unix(1_700_000_000);
/// assert!(cache.is_due(&domain, record.as_ref().ok(), now));
/// let policy = Policy::parse(b"version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n")?;
/// cache.fetched(&domain, &record?, policy, now);
/// assert!(cache.policy(&domain, now).is_some());
/// assert!(cache.policy(&domain, Timestamp::from_unix(1_700_086_401)).is_none());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cache {
    /// For how many domains policies are kept, and failures remembered; at least one. Default 10,000: some megabytes, as real
    /// policies are. Where there are more, those not used for the longest time are forgotten.
    pub max_domains: usize,
    domains: HashMap<Name, Known>,
    /// Counts uses.
    uses: u64,
}

/// A policy and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The id of the record by which it was fetched.
    pub id: String,
    /// What it says.
    pub policy: Arc<Policy>,
    /// When it was fetched.
    pub fetched: Timestamp,
}

/// What is known of one domain.
#[derive(Clone, Debug, Default)]
struct Known {
    entry: Option<Entry>,
    /// Fetching the text of this id has failed.
    failed: Option<(String, Timestamp)>,
    used: u64,
}

impl Entry {
    /// An entry, as it was kept elsewhere.
    pub fn new(id: impl Into<String>, policy: Policy, fetched: Timestamp) -> Self {
        Self { id: id.into(), policy: Arc::new(policy), fetched }
    }

    /// Whether the policy holds still.
    pub fn holds(&self, now: Timestamp) -> bool {
        now.unix().saturating_sub(self.fetched.unix()) <= i64::from(self.policy.max_age)
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { max_domains: 10_000, domains: HashMap::new(), uses: 0 }
    }
}

impl Cache {
    /// One without policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// The policy of a domain, where there is one that holds and is not of [`Mode::None`].
    pub fn policy(&mut self, domain: &Name, now: Timestamp) -> Option<Arc<Policy>> {
        let entry = self.entry(domain)?;
        (entry.holds(now) && entry.policy.mode != Mode::None).then(|| Arc::clone(&entry.policy))
    }

    /// What is kept of a domain, whether it holds or not.
    pub fn entry(&mut self, domain: &Name) -> Option<&Entry> {
        self.uses += 1;
        let known = self.domains.get_mut(domain)?;
        known.used = self.uses;
        known.entry.as_ref()
    }

    /// Whether the policy is to be fetched, now that this record was found or, with `None`, none.
    pub fn is_due(&mut self, domain: &Name, record: Option<&Record>, now: Timestamp) -> bool {
        let Some(record) = record else { return false };
        let since = |then: Timestamp| now.unix().saturating_sub(then.unix());
        let Some(known) = self.domains.get(domain) else { return true };
        if known.failed.as_ref().is_some_and(|(id, at)| *id == record.id && (0..PAUSE).contains(&since(*at))) {
            return false;
        }
        !known
            .entry
            .as_ref()
            .is_some_and(|entry| entry.id == record.id && entry.holds(now) && since(entry.fetched) < REFRESH)
    }

    /// The policy was fetched.
    pub fn fetched(&mut self, domain: &Name, record: &Record, policy: Policy, now: Timestamp) {
        self.insert(domain.clone(), Entry::new(record.id.clone(), policy, now));
    }

    /// The policy could not be fetched. An older one holds on (RFC 8461 §3.3).
    pub fn failed(&mut self, domain: &Name, record: &Record, now: Timestamp) {
        self.known(domain.clone(), now).failed = Some((record.id.clone(), now));
    }

    /// Takes in what was kept elsewhere, since the last start for instance.
    pub fn insert(&mut self, domain: Name, entry: Entry) {
        let known = self.known(domain, entry.fetched);
        known.failed = None;
        known.entry = Some(entry);
    }

    /// All that is kept, to keep it elsewhere: without it, whoever stands between at the next start need only keep us from
    /// the domain's record.
    pub fn entries(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.domains.iter().filter_map(|(domain, known)| Some((domain, known.entry.as_ref()?)))
    }

    fn known(&mut self, domain: Name, now: Timestamp) -> &mut Known {
        self.uses += 1;
        if !self.domains.contains_key(&domain) && self.domains.len() >= self.max_domains.max(1) {
            self.forget(now);
        }
        let known = self.domains.entry(domain).or_default();
        known.used = self.uses;
        known
    }

    /// Forgets the older half: one pass for so many domains that come anew.
    fn forget(&mut self, now: Timestamp) {
        let holds = |known: &Known| known.entry.as_ref().is_some_and(|entry| entry.holds(now));
        self.domains.retain(|_, known| holds(known));
        let most = self.max_domains.max(1);
        if self.domains.len() < most {
            return;
        }
        let mut uses: Vec<u64> = self.domains.values().map(|known| known.used).collect();
        uses.sort_unstable();
        // No two uses have one number.
        let middle = uses.get(uses.len() - most / 2 - 1).copied().unwrap_or(u64::MAX);
        self.domains.retain(|_, known| known.used > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn policy(mode: Mode, max_age: u32) -> Policy {
        let text = format!("version: STSv1\nmode: {}\nmx: a.x\nmax_age: {max_age}\n", mode.as_str());
        Policy::parse(text.as_bytes()).unwrap()
    }

    fn record(id: &str) -> Record {
        Record { id: id.to_owned() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_000_000 + seconds)
    }

    #[test]
    fn a_policy_is_fetched_when_it_is_new_or_a_day_old() {
        let mut cache = Cache::new();
        let domain: Name = "d.x".parse().unwrap();
        assert!(!cache.is_due(&domain, None, at(0)));
        assert!(cache.is_due(&domain, Some(&record("1")), at(0)));
        cache.fetched(&domain, &record("1"), policy(Mode::Enforce, 10 * 86400), at(0));
        for (id, now, due) in [("1", 1, false), ("1", DAY - 1, false), ("1", DAY, true), ("2", 1, true)] {
            assert_eq!(cache.is_due(&domain, Some(&record(id)), at(now)), due, "{id} {now}");
        }
        // Without a record the policy holds on, to its end.
        assert!(!cache.is_due(&domain, None, at(DAY)));
        assert!(cache.policy(&domain, at(10 * DAY)).is_some());
        assert!(cache.policy(&domain, at(10 * DAY + 1)).is_none());
    }

    #[test]
    fn a_failure_is_not_repeated_at_once_and_takes_nothing_away() {
        let mut cache = Cache::new();
        let domain: Name = "d.x".parse().unwrap();
        cache.fetched(&domain, &record("1"), policy(Mode::Enforce, 86400), at(0));
        cache.failed(&domain, &record("2"), at(10));
        assert!(cache.policy(&domain, at(20)).is_some());
        for (id, now, due) in [("2", 10, false), ("2", 309, false), ("2", 310, true), ("3", 11, true)] {
            assert_eq!(cache.is_due(&domain, Some(&record(id)), at(now)), due, "{id} {now}");
        }
        cache.fetched(&domain, &record("2"), policy(Mode::None, 86400), at(400));
        assert!(cache.policy(&domain, at(400)).is_none(), "mode none is as good as no policy");
        assert!(!cache.is_due(&domain, Some(&record("2")), at(401)), "and is not fetched again and again");
    }

    #[test]
    fn no_more_domains_are_kept_than_allowed_and_the_used_ones_stay() {
        let mut cache = Cache::new();
        cache.max_domains = 4;
        let name = |n: usize| format!("d{n}.x").parse::<Name>().unwrap();
        for n in 0..100 {
            cache.fetched(&name(n), &record("1"), policy(Mode::Enforce, 86400), at(0));
            assert!(cache.policy(&name(0), at(0)).is_some(), "{n}");
            assert!(cache.policy(&name(n), at(0)).is_some(), "{n}");
            assert!(cache.entries().count() <= 4, "{n}");
        }
        // What no longer holds goes first, and failures.
        let mut cache = Cache::new();
        cache.max_domains = 4;
        cache.fetched(&name(0), &record("1"), policy(Mode::Enforce, 86400), at(0));
        for n in 1..100 {
            cache.failed(&name(n), &record("1"), at(0));
        }
        assert!(cache.policy(&name(0), at(0)).is_some());
        for n in 1..100 {
            cache.fetched(&name(n), &record("1"), policy(Mode::Enforce, 1), at(2 * n as i64));
        }
        assert!(cache.policy(&name(0), at(200)).is_some());
    }
}
