//! How many failure reports a domain gets: RFC 9991 §2 has it that reporters "MUST implement a rate-limit".

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::dns::Name;

/// How much a [`Limiter`] lets through.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LimiterConfig {
    /// How long a window is. Default an hour.
    pub window: Duration,
    /// How many reports about one domain go out in a window. Default 10: the aim is to show kinds of failures, not each.
    pub reports: u32,
    /// How many reports go out in a window in all. Default 1,000.
    pub total: u32,
    /// How many domains are remembered. Default 10,000; about others nothing goes out until a window is over.
    pub domains: usize,
}

impl Default for LimiterConfig {
    fn default() -> Self {
        Self { window: Duration::from_secs(3600), reports: 10, total: 1_000, domains: 10_000 }
    }
}

/// Says whether a report goes out, and for how many messages it stands.
///
/// ```
/// use std::time::{Duration, Instant};
/// use facteur::auth::dmarc::failure::{Limiter, LimiterConfig};
///
/// let mut config = LimiterConfig::default();
/// config.reports = 1;
/// let mut limiter = Limiter::new(config);
/// let (domain, now) = ("example.org".parse()?, Instant::now());
/// assert_eq!(limiter.admit(&domain, now), Some(1));
/// assert_eq!(limiter.admit(&domain, now), None);
/// // The next one stands for the one that was held back, too.
/// assert_eq!(limiter.admit(&domain, now + Duration::from_secs(3600)), Some(2));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Limiter {
    config: LimiterConfig,
    /// When the window began.
    since: Option<Instant>,
    sent: u32,
    domains: HashMap<Name, Sent>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    reports: u32,
    /// Messages of which none told.
    held: u32,
}

impl Limiter {
    /// Nothing has gone out yet.
    pub fn new(config: LimiterConfig) -> Self {
        Self { config, since: None, sent: 0, domains: HashMap::new() }
    }

    /// A message under the policy of `domain` failed. Where a report goes out about it, for how many it stands: for Incidents
    /// (RFC 5965 §3.2). The domain is to be that of [`Verdict::policy_domain`](crate::auth::dmarc::Verdict::policy_domain): of
    /// author domains a forger can invent any number below it.
    pub fn admit(&mut self, domain: &Name, now: Instant) -> Option<u32> {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.config.window {
            self.since = Some(now);
            self.sent = 0;
            // Of who was held back the number is kept for one window more.
            self.domains.retain(|_, sent| sent.held > 0 && sent.reports > 0);
            self.domains.values_mut().for_each(|sent| sent.reports = 0);
        }
        if !self.domains.contains_key(domain) && self.domains.len() >= self.config.domains {
            return None;
        }
        let sent = self.domains.entry(domain.clone()).or_default();
        if sent.reports >= self.config.reports || self.sent >= self.config.total {
            sent.held = sent.held.saturating_add(1);
            return None;
        }
        sent.reports += 1;
        self.sent += 1;
        Some(std::mem::take(&mut sent.held).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_and_numbers_are_bounded() {
        let mut config = LimiterConfig::default();
        (config.reports, config.total, config.domains) = (2, 3, 2);
        let mut limiter = Limiter::new(config);
        let start = Instant::now();
        let name = |text: &str| text.parse().unwrap();
        let mut admit = |domain: &str, seconds| limiter.admit(&name(domain), start + Duration::from_secs(seconds));
        assert_eq!([admit("a", 0), admit("a", 1), admit("a", 2), admit("a", 3)], [Some(1), Some(1), None, None]);
        assert_eq!([admit("b", 4), admit("b", 5)], [Some(1), None], "three in all");
        assert_eq!(admit("c", 6), None, "two domains");
        // The next window: what was held back is told of.
        assert_eq!([admit("a", 3600), admit("a", 3601), admit("b", 3602)], [Some(3), Some(1), Some(2)]);
        // Nothing was held back: all is forgotten.
        assert_eq!(admit("c", 7200), Some(1));
        // Time that goes backwards is none that has passed.
        assert_eq!(admit("c", 0), Some(1));
        assert_eq!(admit("c", 0), None);
    }
}
