//! Names for messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::base::Timestamp;
use crate::spool::QueueId;

/// The ids of this process, in sendmail's form: year, month, day, hour, minute and second in one digit each, two digits that
/// count, and six of the process id.
#[derive(Debug)]
pub(super) struct Ids {
    process: u32,
    /// The last one given out: its second, times [`Ids::PER_SECOND`], and its count.
    last: AtomicU64,
}

impl Ids {
    const DIGITS: &[u8; 60] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";
    const PER_SECOND: u64 = 60 * 60;

    /// Ids for a directory that was last changed then. A process that had the same process id before has given out none
    /// of a later second; so none comes twice, however soon it is started again.
    pub(super) fn after(changed: i64) -> Self {
        let first = u64::try_from(changed).unwrap_or(0).saturating_add(1).max(now()) * Self::PER_SECOND;
        Self { process: std::process::id(), last: AtomicU64::new(first) }
    }

    pub(super) fn next(&self) -> QueueId {
        let least = now() * Self::PER_SECOND;
        // Where the count of a second is used up, the next second begins early.
        let step = |last: u64| (last + 1).max(least);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(step(last)));
        Self::write(step(last.unwrap_or_else(|last| last)), self.process)
    }

    fn write(number: u64, process: u32) -> QueueId {
        let seconds = number / Self::PER_SECOND;
        let (year, month, day) = Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX)).date();
        let places = [
            u64::from(year.unsigned_abs().wrapping_sub(1900)),
            u64::from(month.saturating_sub(1)),
            u64::from(day),
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            number % Self::PER_SECOND / 60,
            number % 60,
        ];
        let digits: String = places.iter().map(|place| char::from(Self::DIGITS[(place % 60) as usize])).collect(); // below 60
        QueueId(format!("{digits}{:06}", process % 1_000_000))
    }
}

fn now() -> u64 {
    u64::try_from(Timestamp::from(SystemTime::now()).unix()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_have_the_form_of_sendmail() {
        // One of the suite, and one made by hand: 2007 is 107, which is 47 in one digit; February is 1.
        for (seconds, count, process, id) in [
            (1_795_290_502, 7 * 60 + 1, 11_707, "6ALJmM71011707"),
            (1_172_593_995, 3 * 60 + 49, 4416, "l1RGXF3n004416"),
        ] {
            assert_eq!(Ids::write(seconds * Ids::PER_SECOND + count, process).as_str(), id);
        }
        assert_eq!(Ids::write(0, 1_234_567).as_str(), "A0100000234567");
    }

    #[test]
    fn no_id_comes_twice_even_past_the_count_of_a_second() {
        let ids = Ids::after(0);
        let all: BTreeSet<_> = (0..3 * Ids::PER_SECOND).map(|_| ids.next()).collect();
        assert_eq!(all.len() as u64, 3 * Ids::PER_SECOND);
        // Started again at once, and the directory says when it was last changed.
        let changed = i64::try_from(now()).unwrap() + 5;
        let (before, after) = (Ids::after(changed - 1), Ids::after(changed));
        let before: BTreeSet<_> = (0..Ids::PER_SECOND - 1).map(|_| before.next()).collect();
        assert!((0..100).all(|_| !before.contains(&after.next())));
    }
}
