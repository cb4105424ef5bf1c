//! When to try again, when to warn the sender, when to give up (RFC 5321 §4.5.4.1): values and pure functions of time.

use std::time::Duration;

use crate::base::Timestamp;
use crate::smtp::ByMode;
use crate::spool::Entry;

/// The times of a message that cannot be delivered at once.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::spool::Schedule;
///
/// let schedule = Schedule::new();
/// let now = Timestamp::from_unix(1_172_593_995);
/// assert_eq!(schedule.next_try(1, now).unix() - now.unix(), 15 * 60);
/// assert_eq!(schedule.next_try(2, now).unix() - now.unix(), 30 * 60);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// How long after the first try the second one comes. Default 15 minutes: a greylist that has turned the first try away
    /// lets the second one in.
    pub first: Duration,
    /// Each wait is the one before times this, but no longer than `longest`. Default 2.
    pub factor: u32,
    /// The longest wait. Default 2 hours: RFC 5321 §4.5.4.1 asks for two tries in the first hour and one every two or three
    /// hours later.
    pub longest: Duration,
    /// How old a message is when its sender is told that it takes long; `None`: never. Default 4 hours, as sendmail has it.
    pub warn_after: Option<Duration>,
    /// How old a message is when it goes back to its sender. Default 5 days: "at least 4-5 days" in RFC 5321 §4.5.4.1.
    pub return_after: Duration,
}

impl Schedule {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            first: Duration::from_secs(15 * 60),
            factor: 2,
            longest: Duration::from_secs(2 * 3600),
            warn_after: Some(Duration::from_secs(4 * 3600)),
            return_after: Duration::from_secs(5 * 86_400),
        }
    }

    /// When to try again after `tries` tries of which the last ended at `now`.
    pub fn next_try(&self, tries: u32, now: Timestamp) -> Timestamp {
        let factor = self.factor.checked_pow(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = self.first.checked_mul(factor).unwrap_or(Duration::MAX).min(self.longest);
        after(now, wait)
    }

    /// When to try an entry again that was just tried: as [`next_try`](Self::next_try) says, but not later than what `BY=` wants to
    /// hear of (RFC 2852 §4.1.3).
    pub fn again(&self, entry: &Entry, now: Timestamp) -> Timestamp {
        let next = self.next_try(entry.tries.saturating_add(1), now);
        let until = entry.params.by.map(|by| entry.arrived.unix().saturating_add(by.seconds.into()));
        match until.filter(|until| (now.unix() + 1..next.unix()).contains(until)) {
            Some(until) => Timestamp::from_unix(until).at_offset(now.offset().unwrap_or(0)),
            None => next,
        }
    }

    /// Until when an entry is tried, `BY=` aside: what a report of a delay says.
    pub fn until(&self, entry: &Entry) -> Timestamp {
        after(begun(entry), self.return_after)
    }

    /// Whether to give up: the message is as old as one that goes back to its sender, or `BY=` wanted it back by now
    /// (RFC 2852 §4.1.3).
    pub fn is_expired(&self, entry: &Entry, now: Timestamp) -> bool {
        self.until(entry).unix() <= now.unix() || is_over(entry, ByMode::Return, now)
    }

    /// Whether it is time to tell the sender that it takes long, or `BY=` wanted to hear of it by now: the one is told once, and
    /// the other with the first try after that time, whatever was told before (RFC 2852 §4.1.3). Whom to tell of which recipient
    /// is for NOTIFY to say (RFC 3461 §4.1).
    pub fn is_late(&self, entry: &Entry, now: Timestamp) -> bool {
        let late = self.warn_after.is_some_and(|late| after(begun(entry), late).unix() <= now.unix());
        let was_over = entry.last_try.is_some_and(|tried| is_over(entry, ByMode::Notify, tried));
        (late && !entry.warned) || (is_over(entry, ByMode::Notify, now) && !was_over)
    }
}

/// Since when delivery could be tried: the arrival, or the time to which the message was held (RFC 4865 §4.2).
fn begun(entry: &Entry) -> Timestamp {
    entry.params.hold.map_or(entry.arrived, |hold| hold.until(entry.arrived))
}

/// Whether the time of `BY=` with that mode is over.
fn is_over(entry: &Entry, mode: ByMode, now: Timestamp) -> bool {
    let asked = entry.params.by.filter(|by| by.mode == mode);
    asked.is_some_and(|by| entry.arrived.unix().saturating_add(by.seconds.into()) <= now.unix())
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new()
    }
}

fn after(point: Timestamp, wait: Duration) -> Timestamp {
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_unix(point.unix().saturating_add(seconds)).at_offset(point.offset().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{DeliverBy, Envelope, ForwardPath, Hold, ReversePath};
    use crate::spool::{Memory, Spool};

    const ARRIVED: i64 = 1_172_593_995;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(ARRIVED + seconds)
    }

    fn entry() -> Entry {
        let spool = Memory::new();
        let id = spool.store(Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]), b"").unwrap();
        Entry { arrived: at(0), ..spool.entry(&id).unwrap() }
    }

    #[test]
    fn waits_grow_to_the_longest_and_stay_there() {
        let schedule = Schedule::new();
        for (tries, minutes) in [(0, 15), (1, 15), (2, 30), (3, 60), (4, 120), (5, 120), (40, 120), (u32::MAX, 120)] {
            assert_eq!(schedule.next_try(tries, at(0)), at(minutes * 60), "{tries}");
        }
        // RFC 5321 §4.5.4.1: two tries in the first hour, the first delivery aside.
        assert!(schedule.next_try(2, schedule.next_try(1, at(0))).unix() < at(3600).unix());
    }

    #[test]
    fn warning_and_return_come_at_their_age() {
        let schedule = Schedule::new();
        let mut entry = entry();
        assert!(!schedule.is_late(&entry, at(4 * 3600 - 1)));
        assert!(schedule.is_late(&entry, at(4 * 3600)));
        entry.warned = true;
        assert!(!schedule.is_late(&entry, at(4 * 3600)));
        assert!(!schedule.is_expired(&entry, at(5 * 86_400 - 1)));
        assert!(schedule.is_expired(&entry, at(5 * 86_400)));
        let by = |mode| Some(DeliverBy { seconds: 600, mode, trace: false });
        let mut urgent = entry.clone();
        urgent.params.by = by(ByMode::Return);
        assert!(!schedule.is_expired(&urgent, at(599)) && schedule.is_expired(&urgent, at(600)));
        urgent.params.by = by(ByMode::Notify);
        urgent.warned = false;
        assert!(!schedule.is_expired(&urgent, at(600)) && !schedule.is_late(&urgent, at(599)));
        assert!(schedule.is_late(&urgent, at(600)));
        // Once, and by whoever was told already that it takes long, too.
        urgent.warned = true;
        urgent.last_try = Some(at(599));
        assert!(schedule.is_late(&urgent, at(600)));
        urgent.last_try = Some(at(600));
        assert!(!schedule.is_late(&urgent, at(1500)));
        // It is tried, or told of, at that point.
        urgent.tries = 0;
        assert_eq!(schedule.again(&urgent, at(0)), at(600));
        assert_eq!(schedule.again(&urgent, at(599)), at(600));
        assert_eq!(schedule.again(&urgent, at(600)), at(600 + 900));
        urgent.params.by = None;
        assert_eq!(schedule.again(&urgent, at(0)), at(900));
        // What was held is not late for that.
        let mut held = entry.clone();
        (held.warned, held.params.hold) = (false, Some(Hold::For(86_400)));
        assert!(!schedule.is_late(&held, at(86_400 + 4 * 3600 - 1)) && schedule.is_late(&held, at(86_400 + 4 * 3600)));
        assert_eq!(schedule.until(&held), at(6 * 86_400));
        assert!(!schedule.is_expired(&held, at(6 * 86_400 - 1)) && schedule.is_expired(&held, at(6 * 86_400)));
        let silent = Schedule { warn_after: None, ..Schedule::new() };
        entry.warned = false;
        assert!(!silent.is_late(&entry, at(86_400)));
    }
}
