//! What a pool knows of the hosts that it speaks to: who may ask them, which sessions lie idle, and which hosts are down. No
//! socket and no clock: time is an argument.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::PoolConfig;
use crate::net::session::Reason;

/// So many hosts are known before those are forgotten of whom there is nothing to know.
const FEW: usize = 64;

/// What is known of all hosts; `S` is an open session.
#[derive(Debug)]
pub(super) struct Table<S> {
    hosts: HashMap<String, Host<S>>,
    /// How many hosts there may be before the next look for those to forget.
    many: usize,
}

#[derive(Debug)]
struct Host<S> {
    /// The places at this host; who waits for one is served in order.
    places: Arc<Semaphore>,
    /// Open sessions that nobody uses, the one used last at the end.
    idle: Vec<(S, Instant)>,
    down: Option<Down>,
    /// Each open session has a clone of it.
    open: Arc<()>,
    /// It has let us in. Until then there is one place at it.
    met: bool,
    /// How many places it has not, for it would not let us in at all of them, and until when.
    lost: usize,
    lost_until: Instant,
}

/// A host that could not be reached.
#[derive(Debug)]
struct Down {
    /// How often in a row.
    times: u32,
    /// Not to be asked before this.
    until: Instant,
    why: Reason,
}

/// Whether a host may be asked.
#[derive(Debug)]
pub(super) enum Admission {
    /// When there is a place.
    Place(Arc<Semaphore>),
    /// Not now, for this reason.
    Down(Reason),
}

/// What it means that a host does not let us in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    Down,
    /// It speaks to us, and not in yet another session: the place of this one is to be forgotten, and comes back after the
    /// longest pause.
    Crowded,
}

impl<S> Table<S> {
    pub(super) fn new() -> Self {
        Self { hosts: HashMap::new(), many: FEW }
    }

    /// Whether to wait for a place at this host.
    pub(super) fn admission(&mut self, host: &str, config: &PoolConfig, now: Instant) -> Admission {
        match self.host(host, config, now) {
            Host { down: Some(down), .. } if now < down.until => Admission::Down(down.why.clone()),
            Host { places, .. } => Admission::Place(Arc::clone(places)),
        }
    }

    /// Whether to go on, now that there is a place at this host. Of those who wait for the end of a pause one goes first, and
    /// the others when it has come back.
    pub(super) fn enter(&mut self, host: &str, config: &PoolConfig, now: Instant) -> Result<(), Reason> {
        match &mut self.host(host, config, now).down {
            Some(down) if now < down.until => Err(down.why.clone()),
            Some(down) => {
                down.times = down.times.saturating_add(1);
                down.until = after(now, pause(down.times, config));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A host has let us in: a mark for the session.
    pub(super) fn reached(&mut self, host: &str, config: &PoolConfig, now: Instant) -> Arc<()> {
        let host = self.host(host, config, now);
        host.down = None;
        if !std::mem::replace(&mut host.met, true) {
            host.places.add_permits(config.per_host.clamp(1, Semaphore::MAX_PERMITS) - 1); // at least 0
        }
        Arc::clone(&host.open)
    }

    /// Whether nobody knows if the host will answer: it has not let us in yet, or not the last time.
    pub(super) fn is_stranger(&self, host: &str) -> bool {
        self.hosts.get(host).is_none_or(|host| !host.met || host.down.is_some())
    }

    /// Whether it did not let us in the last time.
    pub(super) fn is_silent(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|host| host.down.is_some())
    }

    /// A host could not be reached, or did not let us in. Of several who fail together the first counts.
    pub(super) fn failed(&mut self, host: &str, config: &PoolConfig, now: Instant, why: Reason) -> Failed {
        let host = self.host(host, config, now);
        // The last place is not taken away: what is open may be about to close.
        if Arc::strong_count(&host.open) > 1 && host.lost + 1 < config.per_host {
            (host.lost, host.lost_until) = (host.lost + 1, after(now, config.longest_pause));
            return Failed::Crowded;
        }
        let down = &mut host.down;
        match down {
            Some(down) if now < down.until => down.why = why,
            Some(down) => {
                let times = down.times.saturating_add(1);
                *down = Down { times, until: after(now, pause(times, config)), why };
            }
            None => *down = Some(Down { times: 1, until: after(now, pause(1, config)), why }),
        }
        Failed::Down
    }

    /// Forgets which hosts are down.
    pub(super) fn ask_again(&mut self) {
        self.hosts.values_mut().for_each(|host| host.down = None);
    }

    /// Keeps a session that nobody uses.
    pub(super) fn keep(&mut self, host: &str, config: &PoolConfig, now: Instant, session: S) {
        self.host(host, config, now).idle.push((session, now));
    }

    /// The session to this host that was used last, of those that fit.
    pub(super) fn take(&mut self, host: &str, fits: impl Fn(&S) -> bool) -> Option<S> {
        let idle = &mut self.hosts.get_mut(host)?.idle;
        let at = idle.iter().rposition(|(session, _)| fits(session))?;
        Some(idle.remove(at).0)
    }

    /// One that was used least lately, of those to this host, or of all.
    pub(super) fn oldest(&mut self, host: Option<&str>) -> Option<S> {
        let of = self.hosts.iter_mut().filter(|(name, _)| host.is_none_or(|host| host == *name));
        let oldest =
            of.filter(|(_, host)| !host.idle.is_empty()).min_by_key(|(_, host)| host.idle.first().map(|idle| idle.1));
        oldest.map(|(_, host)| host.idle.remove(0).0)
    }

    /// The sessions that were idle for so long, and when to look again.
    pub(super) fn expired(&mut self, idle: Duration, now: Instant) -> (Vec<S>, Option<Instant>) {
        let mut expired = Vec::new();
        let mut next: Option<Instant> = None;
        for host in self.hosts.values_mut() {
            let many = host.idle.partition_point(|(_, since)| after(*since, idle) <= now);
            expired.extend(host.idle.drain(..many).map(|(session, _)| session));
            let end = host.idle.first().map(|(_, since)| after(*since, idle));
            next = next.into_iter().chain(end).min();
        }
        (expired, next)
    }

    /// All sessions that nobody uses.
    pub(super) fn drain(&mut self) -> Vec<S> {
        self.hosts.values_mut().flat_map(|host| host.idle.drain(..)).map(|(session, _)| session).collect()
    }

    /// How many sessions nobody uses.
    pub(super) fn idle(&self) -> usize {
        self.hosts.values().map(|host| host.idle.len()).sum()
    }

    fn host(&mut self, host: &str, config: &PoolConfig, now: Instant) -> &mut Host<S> {
        if !self.hosts.contains_key(host) {
            if self.hosts.len() >= self.many {
                self.hosts.retain(|_, host| !host.is_forgettable(config, now));
                // Looked at again when as many have come as stayed: a host costs no more than two looks.
                self.many = (self.hosts.len() * 2).max(FEW);
            }
            let (places, open) = (Arc::new(Semaphore::new(1)), Arc::new(()));
            let unknown = Host { places, idle: Vec::new(), down: None, open, met: false, lost: 0, lost_until: now };
            self.hosts.insert(host.to_owned(), unknown);
        }
        let host = self.hosts.get_mut(host).expect("it is there"); // it was, or was just put there
        if host.lost > 0 && host.lost_until <= now {
            host.places.add_permits(std::mem::take(&mut host.lost));
        }
        host
    }
}

impl<S> Host<S> {
    /// Nobody speaks to it or waits for it, and it is not to be spared.
    fn is_forgettable(&self, config: &PoolConfig, now: Instant) -> bool {
        let spared = self.down.as_ref().is_some_and(|down| now < after(down.until, config.longest_pause));
        let unused = Arc::strong_count(&self.places) == 1 && Arc::strong_count(&self.open) == 1;
        unused && !spared
    }
}

/// A time so much later, or as late as makes no difference.
fn after(time: Instant, duration: Duration) -> Instant {
    time.checked_add(duration).unwrap_or(time + Duration::from_secs(10 * 365 * 86_400)) // clocks go further than that
}

/// How long a host is left alone that has failed so often in a row.
fn pause(times: u32, config: &PoolConfig) -> Duration {
    let factor = 2u32.checked_pow(times.saturating_sub(1)).unwrap_or(u32::MAX);
    config.pause.checked_mul(factor).unwrap_or(config.longest_pause).min(config.longest_pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{Reply, Stage};

    fn why(text: &'static str) -> Reason {
        Reason::ours(Stage::Connect, Reply::new(451, None, text))
    }

    fn is_down(table: &mut Table<u32>, config: &PoolConfig, now: Instant) -> bool {
        matches!(table.admission("mx", config, now), Admission::Down(_))
    }

    #[test]
    fn a_host_that_is_down_is_left_alone_for_longer_each_time() {
        let (config, start) = (PoolConfig::default(), Instant::now());
        let mut table = Table::<u32>::new();
        let mut now = start;
        assert!(!is_down(&mut table, &config, now));
        table.failed("mx", &config, now, why("refused"));
        for pause in [30, 60, 120, 240, 480, 600, 600] {
            // Those who were on their way already do not make it worse.
            table.failed("mx", &config, now, why("refused too"));
            now += Duration::from_secs(pause - 1);
            assert!(is_down(&mut table, &config, now), "{pause}");
            assert!(table.enter("mx", &config, now).is_err());
            now += Duration::from_secs(1);
            // One goes first, the others not yet.
            assert!(table.enter("mx", &config, now).is_ok());
            assert!(table.enter("mx", &config, now).is_err());
            table.failed("mx", &config, now, why("refused again"));
        }
        drop(table.reached("mx", &config, now));
        assert!(!is_down(&mut table, &config, now));
        table.failed("mx", &config, now, why("refused"));
        assert!(!is_down(&mut table, &config, now + Duration::from_secs(30)));
        table.ask_again();
        assert!(!is_down(&mut table, &config, now));
        // Whoever speaks to us already is not down.
        let _session = table.reached("mx", &config, now);
        let Admission::Place(places) = table.admission("mx", &config, now) else { panic!() };
        for left in [4, 3, 2, 1] {
            assert_eq!(table.failed("mx", &config, now, why("too many")), Failed::Crowded);
            places.forget_permits(1);
            assert!(!is_down(&mut table, &config, now));
            assert_eq!(places.available_permits(), left);
        }
        assert_eq!(table.failed("mx", &config, now, why("too many")), Failed::Down);
        // The places come back some time.
        now += config.longest_pause;
        assert!(!is_down(&mut table, &config, now));
        assert_eq!(places.available_permits(), config.per_host);
    }

    #[test]
    fn a_host_has_one_place_until_it_has_let_us_in() {
        let (config, now) = (PoolConfig::default(), Instant::now());
        let mut table = Table::<u32>::new();
        let Admission::Place(places) = table.admission("mx", &config, now) else { panic!() };
        assert_eq!((places.available_permits(), table.is_stranger("mx")), (1, true));
        assert!(!table.is_silent("mx"));
        for _ in 0..3 {
            drop(table.reached("mx", &config, now));
            assert_eq!((places.available_permits(), table.is_stranger("mx")), (config.per_host, false));
        }
        table.failed("mx", &config, now, why("silent"));
        assert!(table.is_stranger("mx") && table.is_silent("mx"));
        drop(table.reached("mx", &config, now));
        assert_eq!((places.available_permits(), table.is_stranger("mx")), (config.per_host, false));
        assert!(table.is_stranger("mx2"));
    }

    #[test]
    fn idle_sessions_end_in_their_order() {
        let (config, start) = (PoolConfig::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut table = Table::new();
        for (host, second, session) in [("a", 0, 1), ("b", 1, 2), ("a", 2, 3), ("a", 3, 4)] {
            table.keep(host, &config, at(second), session);
        }
        assert_eq!(table.idle(), 4);
        assert_eq!(table.take("a", |_| true), Some(4));
        assert_eq!(table.take("a", |session| *session < 3), Some(1));
        assert_eq!(table.take("c", |_| true), None);
        assert_eq!(table.expired(Duration::from_secs(10), at(10)), (vec![], Some(at(11))));
        assert_eq!(table.expired(Duration::from_secs(10), at(11)), (vec![2], Some(at(12))));
        table.keep("b", &config, at(12), 5);
        assert_eq!(table.oldest(Some("b")), Some(5));
        assert_eq!(table.oldest(None), Some(3));
        assert_eq!(table.oldest(None), None);
        assert!(table.drain().is_empty());
    }

    #[test]
    fn times_without_end_are_times_without_end() {
        let (mut config, now) = (PoolConfig::default(), Instant::now());
        (config.pause, config.longest_pause) = (Duration::MAX, Duration::MAX);
        let mut table = Table::new();
        table.failed("mx", &config, now, why("refused"));
        assert!(is_down(&mut table, &config, now + Duration::from_secs(86_400)));
        table.keep("other", &config, now, 1);
        let (expired, next) = table.expired(Duration::MAX, now + Duration::from_secs(86_400));
        assert!(expired.is_empty() && next.is_some());
    }

    #[test]
    fn hosts_that_nobody_needs_are_forgotten() {
        let (config, start) = (PoolConfig::default(), Instant::now());
        let mut table = Table::<u32>::new();
        let Admission::Place(places) = table.admission("busy", &config, start) else { panic!() };
        let _held = places.try_acquire_owned();
        let _mark = table.reached("idle", &config, start);
        table.keep("idle", &config, start, 1);
        table.failed("down", &config, start, why("refused"));
        for number in 0..10_000 {
            table.admission(&number.to_string(), &config, start);
        }
        assert!(table.hosts.len() <= 2 * FEW, "{}", table.hosts.len());
        for host in ["busy", "idle", "down"] {
            assert!(table.hosts.contains_key(host), "{host}");
        }
    }
}
