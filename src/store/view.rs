//! What a session sees of a mailbox, and how it moves to what the mailbox is now.

use std::collections::BTreeSet;

use super::names::{above, order};
use super::{Change, Entry, Listed, Uid};

/// Puts `now` in the place of `seen`, and tells the changes in the order that [`Mailbox::refresh`](super::Mailbox::refresh)
/// promises. Both are in the order of UIDs. What has been seen keeps its `recent`. A UID in `now` that is not above all of
/// those seen and is none of them would break the order of arrival; a store never gives one out.
pub(crate) fn update(seen: &mut Vec<Entry>, now: Vec<Entry>) -> Vec<Change> {
    let (mut gone, mut changed, mut arrived) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = Vec::with_capacity(now.len());
    let mut now = now.into_iter().peekable();
    for (at, old) in seen.iter().enumerate() {
        match now.next_if(|entry| entry.uid == old.uid) {
            None => gone.push(Change::Gone { uid: old.uid, index: at - gone.len() }),
            Some(entry) => {
                if entry.flags != old.flags {
                    changed.push(Change::Flags(entry.uid));
                }
                next.push(Entry { recent: old.recent, ..entry });
            }
        }
    }
    for entry in now {
        arrived.push(Change::Arrived(entry.uid));
        next.push(entry);
    }
    *seen = next;
    gone.append(&mut changed);
    gone.append(&mut arrived);
    gone
}

/// The lines of [`Store::list`](super::Store::list) for these mailboxes: with the levels above them, in order.
pub(crate) fn listed(names: BTreeSet<String>) -> Vec<Listed> {
    let levels: BTreeSet<String> =
        names.iter().flat_map(|name| above(name)).filter(|level| !names.contains(*level)).map(str::to_owned).collect();
    let mut all: Vec<Listed> = levels.into_iter().map(|name| Listed { name, selectable: false }).collect();
    all.extend(names.into_iter().map(|name| Listed { name, selectable: true }));
    all.sort_by(|a, b| order(&a.name, &b.name));
    all
}

/// Those of `uids` that are in `seen`, as indices in their order, each once.
pub(crate) fn indices(seen: &[Entry], uids: &[Uid]) -> Vec<usize> {
    let mut all: Vec<usize> =
        uids.iter().filter_map(|uid| seen.binary_search_by_key(uid, |entry| entry.uid).ok()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::base::Timestamp;
    use crate::store::{Flag, Flags};

    fn entry(uid: u32, flags: &[Flag]) -> Entry {
        Entry {
            uid: Uid(NonZeroU32::new(uid).unwrap()),
            flags: flags.iter().cloned().collect::<Flags>(),
            size: 1,
            received: Timestamp::from_unix(0),
            recent: uid > 3,
        }
    }

    #[test]
    fn changes_are_told_gone_changed_arrived_with_moving_indices() {
        let uid = |n| Uid(NonZeroU32::new(n).unwrap());
        let mut seen = vec![entry(1, &[]), entry(2, &[]), entry(3, &[]), entry(5, &[])];
        let told = update(&mut seen, vec![entry(2, &[Flag::Seen]), entry(5, &[]), entry(9, &[]), entry(10, &[])]);
        assert_eq!(
            told,
            [
                Change::Gone { uid: uid(1), index: 0 },
                Change::Gone { uid: uid(3), index: 1 },
                Change::Flags(uid(2)),
                Change::Arrived(uid(9)),
                Change::Arrived(uid(10)),
            ]
        );
        assert_eq!(seen.iter().map(|entry| entry.uid.0.get()).collect::<Vec<_>>(), [2, 5, 9, 10]);
    }
}
