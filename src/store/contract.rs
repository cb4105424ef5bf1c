//! What the traits promise, as tests that run against every store: [`contract!`] makes one `#[test]` of each.
//!
//! Each test gets a function that opens one more handle to the same fresh store, as another process would.

use std::num::NonZeroU32;
use std::sync::Barrier;

use crate::base::Timestamp;
use crate::store::{Change, Flag, FlagEdit, Flags, Mailbox, Store, StoreError, Uid};

/// `contract!(store, fresh)`: `fresh()` makes a new place and returns what opens handles to it.
macro_rules! contract {
    ($store:ident, $fresh:expr) => {
        contract!($store, $fresh;
            inbox_is_there_under_any_case,
            what_is_appended_is_read_back,
            uids_grow_and_are_never_used_again,
            restart_keeps_uids_flags_and_dates,
            refresh_tells_gone_changed_arrived,
            own_changes_are_not_told_again,
            flags_are_edited_in_one_step,
            many_keywords_are_kept,
            recent_is_for_the_first_who_may_write,
            examined_mailboxes_are_not_changed,
            messages_gone_elsewhere_are_passed_over,
            deliveries_get_uids_in_the_order_of_arrival,
            mailboxes_are_made_listed_and_removed,
            a_removed_mailbox_is_gone_for_its_handles,
            a_mailbox_made_again_has_another_validity,
            mailboxes_are_renamed_with_those_below,
            renaming_inbox_empties_it,
            names_of_any_kind_round_trip,
            subscriptions_are_kept,
            two_threads_append_at_once,
            removal_and_delivery_at_once_lose_nothing,
        );
    };
    ($store:ident, $fresh:expr; $($test:ident,)*) => {
        mod $store {
            $(#[test]
            fn $test() {
                let fresh = $fresh;
                let open = fresh();
                crate::store::contract::$test(&open);
            })*
        }
    };
}
pub(crate) use contract;

const WHEN: i64 = 1_172_677_344;
const A: &[u8] = b"Subject: a\r\n\r\nfirst\r\n";
const B: &[u8] = b"Subject: b\r\n\r\nsecond\r\n";

fn noon() -> Timestamp {
    Timestamp::from_unix(WHEN)
}

fn none() -> Flags {
    Flags::new()
}

fn flags(text: &str) -> Flags {
    text.split_whitespace().map(|flag| Flag::parse(flag).unwrap()).collect()
}

fn uids(mailbox: &impl Mailbox) -> Vec<Uid> {
    mailbox.messages().iter().map(|entry| entry.uid).collect()
}

fn names(store: &impl Store) -> Vec<(String, bool)> {
    store.list().unwrap().into_iter().map(|line| (line.name, line.selectable)).collect()
}

pub fn inbox_is_there_under_any_case<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    assert!(store.open("iNbOx").unwrap().messages().is_empty());
    assert_eq!(names(&store), [("INBOX".to_owned(), true)]);
    assert!(matches!(store.delete("inbox"), Err(StoreError::BadName(_))));
    assert!(matches!(store.create("Inbox"), Err(StoreError::Exists)));
    assert!(matches!(store.open("nothing").map(drop), Err(StoreError::NoMailbox)));
    assert!(matches!(store.deliver("nothing", A, &none(), noon()), Err(StoreError::NoMailbox)));
}

pub fn what_is_appended_is_read_back<S: Store>(open: &dyn Fn() -> S) {
    let mut inbox = open().open("INBOX").unwrap();
    let mut expected = Vec::new();
    for message in [
        A,
        b"",
        b"\r\n",
        b"no line end",
        b"Subject: no body\r\n",
        b"\r\nbody only\r\n",
        b"Subject: blank lines\r\n\r\n\r\n\r\n",
        b"Subject: from\r\n\r\nFrom here\r\n>From there\r\n>>From afar\r\nFrom",
        b"From first@line.example Tue Jul  1 10:52:37 2003\r\nSubject: from\r\n\r\n",
        b">From first@line.example\r\n\r\n",
        b"Subject: looks like mbox\r\n\r\ntext\r\n\r\nFrom a@b.example Tue Jul  1 10:52:37 2003\r\nFrom: x\r\n\r\n",
        b"Status: RO\r\nX-Status: D\r\nX-UID: 7\r\nX-Keywords: a\r\nContent-Length: 3\r\n\r\nlonger than three\r\n",
        b"Content-Length: 999999\r\n\r\nshort\r\n",
        b"Subject: \xff\x00\x01\r\n\r\nbare \r carriage\r\r\n return\r\n",
        b"Subject: dots\r\n\r\n.\r\n..\r\n\r\n.",
        b"\x01\x01\x01\x01\r\n",
    ] {
        let uid = inbox.append(message, &none(), noon()).unwrap();
        expected.push((uid, message));
    }
    inbox.refresh().unwrap();
    let again = open().open("INBOX").unwrap();
    for (uid, message) in expected {
        for view in [&inbox, &again] {
            let at = view.index_of(uid).unwrap();
            let read = view.read(uid).unwrap();
            assert_eq!(read.escape_ascii().to_string(), message.escape_ascii().to_string());
            assert_eq!(view.messages()[at].size, message.len() as u64, "{}", message.escape_ascii());
        }
    }
    let uid = inbox.append(b"Subject: lf\n\nbare\n", &none(), noon()).unwrap();
    inbox.refresh().unwrap();
    assert_eq!(&inbox.read(uid).unwrap()[..], b"Subject: lf\r\n\r\nbare\r\n");
    assert_eq!(inbox.messages().last().unwrap().size, 21);
}

pub fn uids_grow_and_are_never_used_again<S: Store>(open: &dyn Fn() -> S) {
    let mut inbox = open().open("INBOX").unwrap();
    let a = inbox.append(A, &none(), noon()).unwrap();
    let b = inbox.append(B, &none(), noon()).unwrap();
    assert!(a < b);
    inbox.refresh().unwrap();
    assert!(inbox.uid_next() > b);
    let next = inbox.uid_next();
    inbox.remove(&[a, b]).unwrap();
    assert!(inbox.messages().is_empty());
    drop(inbox);
    let mut inbox = open().open("INBOX").unwrap();
    assert!(inbox.uid_next() >= next);
    assert!(inbox.append(A, &none(), noon()).unwrap() >= next);
}

pub fn restart_keeps_uids_flags_and_dates<S: Store>(open: &dyn Fn() -> S) {
    let mut inbox = open().open("INBOX").unwrap();
    let validity = inbox.uid_validity();
    let times = [1_172_677_344, 0, 86_399, 4_000_000_000].map(Timestamp::from_unix);
    let kept = ["", r"\Seen", r"\Answered \Deleted \Draft \Flagged \Seen", r"$Forwarded \Seen NonJunk"];
    let mut given = Vec::new();
    for (time, text) in times.into_iter().zip(kept) {
        given.push(inbox.append(A, &flags(text), time).unwrap());
    }
    for (time, text) in times.into_iter().zip(kept) {
        open().deliver("INBOX", B, &flags(text), time).unwrap();
    }
    inbox.refresh().unwrap();
    let again = open().open("INBOX").unwrap();
    assert_eq!(again.uid_validity(), validity);
    assert_eq!(uids(&inbox), uids(&again));
    assert_eq!(inbox.uid_next(), again.uid_next());
    assert_eq!(uids(&again)[..4], given);
    for (n, entry) in again.messages().iter().enumerate() {
        assert_eq!(entry.flags.to_string(), flags(kept[n % 4]).to_string());
        assert_eq!(entry.received.unix(), times[n % 4].unix());
        assert_eq!(entry.size, if n < 4 { A.len() } else { B.len() } as u64);
    }
}

pub fn refresh_tells_gone_changed_arrived<S: Store>(open: &dyn Fn() -> S) {
    let (mut one, mut two) = (open().open("INBOX").unwrap(), open().open("INBOX").unwrap());
    let u: Vec<Uid> = (0..4).map(|_| one.append(A, &none(), noon()).unwrap()).collect();
    assert_eq!(one.refresh().unwrap(), u.iter().map(|uid| Change::Arrived(*uid)).collect::<Vec<_>>());
    assert_eq!(two.refresh().unwrap().len(), 4);
    one.remove(&[u[0], u[2]]).unwrap();
    one.edit_flags(&[u[3]], &FlagEdit::Add(flags(r"\Seen"))).unwrap();
    let new = one.append(B, &none(), noon()).unwrap();
    assert_eq!(uids(&two), u, "nothing changes before refresh");
    assert_eq!(
        two.refresh().unwrap(),
        [
            Change::Gone { uid: u[0], index: 0 },
            Change::Gone { uid: u[2], index: 1 },
            Change::Flags(u[3]),
            Change::Arrived(new),
        ]
    );
    assert_eq!(uids(&two), [u[1], u[3], new]);
    assert_eq!(two.refresh().unwrap(), []);
}

pub fn own_changes_are_not_told_again<S: Store>(open: &dyn Fn() -> S) {
    let mut inbox = open().open("INBOX").unwrap();
    let a = inbox.append(A, &none(), noon()).unwrap();
    let b = inbox.append(B, &none(), noon()).unwrap();
    assert!(inbox.messages().is_empty());
    inbox.refresh().unwrap();
    inbox.edit_flags(&[a], &FlagEdit::Add(flags(r"\Seen kept"))).unwrap();
    assert_eq!(inbox.messages()[0].flags.to_string(), r"\Seen kept");
    inbox.remove(&[b]).unwrap();
    assert_eq!(uids(&inbox), [a]);
    assert_eq!(inbox.refresh().unwrap(), []);
}

pub fn flags_are_edited_in_one_step<S: Store>(open: &dyn Fn() -> S) {
    let (mut one, mut two) = (open().open("INBOX").unwrap(), open().open("INBOX").unwrap());
    let uid = one.append(A, &none(), noon()).unwrap();
    one.refresh().unwrap();
    two.refresh().unwrap();
    one.edit_flags(&[uid], &FlagEdit::Add(flags(r"\Seen $Junk"))).unwrap();
    two.edit_flags(&[uid], &FlagEdit::Add(flags(r"\Flagged $junk $Other"))).unwrap();
    assert_eq!(two.messages()[0].flags.to_string(), r"\Flagged \Seen $Junk $Other");
    one.edit_flags(&[uid], &FlagEdit::Remove(flags(r"\Seen $JUNK"))).unwrap();
    assert_eq!(one.messages()[0].flags.to_string(), r"\Flagged $Other");
    two.edit_flags(&[uid], &FlagEdit::Replace(flags(r"\Draft"))).unwrap();
    assert_eq!(open().open("INBOX").unwrap().messages()[0].flags.to_string(), r"\Draft");
}

pub fn many_keywords_are_kept<S: Store>(open: &dyn Fn() -> S) {
    let mut inbox = open().open("INBOX").unwrap();
    let uid = inbox.append(A, &none(), noon()).unwrap();
    inbox.refresh().unwrap();
    let many: Flags = (0..60).map(|n| Flag::Keyword(format!("keyword-number-{n}"))).collect();
    inbox.edit_flags(&[uid], &FlagEdit::Add(many.clone())).unwrap();
    let mut again = open().open("INBOX").unwrap();
    assert_eq!(again.messages()[0].flags.to_string(), many.to_string());
    again.edit_flags(&[uid], &FlagEdit::Replace(flags("keyword-number-59"))).unwrap();
    inbox.refresh().unwrap();
    assert_eq!(inbox.messages()[0].flags.to_string(), "keyword-number-59");
    assert_eq!(&inbox.read(uid).unwrap()[..], A);
}

pub fn recent_is_for_the_first_who_may_write<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    store.deliver("INBOX", A, &none(), noon()).unwrap();
    store.deliver("INBOX", A, &flags(r"\Seen"), noon()).unwrap();
    let recent = |mailbox: &S::Mailbox| mailbox.messages().iter().map(|entry| entry.recent).collect::<Vec<_>>();
    let looker = store.examine("INBOX").unwrap();
    assert_eq!(looker.messages().len(), 2);
    assert!(looker.messages()[0].recent);
    let mut first = store.open("INBOX").unwrap();
    assert!(first.messages()[0].recent);
    assert_eq!(recent(&store.open("INBOX").unwrap()), [false, false]);
    first.refresh().unwrap();
    assert!(first.messages()[0].recent, "recent stays for the handle that has it");
    open().deliver("INBOX", B, &none(), noon()).unwrap();
    first.refresh().unwrap();
    assert!(first.messages()[2].recent);
    assert_eq!(recent(&store.open("INBOX").unwrap()), [false, false, false]);
}

pub fn examined_mailboxes_are_not_changed<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    store.deliver("INBOX", A, &none(), noon()).unwrap();
    let mut looker = store.examine("INBOX").unwrap();
    let uid = looker.messages()[0].uid;
    assert!(matches!(looker.edit_flags(&[uid], &FlagEdit::Add(flags(r"\Seen"))), Err(StoreError::ReadOnly)));
    assert!(matches!(looker.remove(&[uid]), Err(StoreError::ReadOnly)));
    assert_eq!(&looker.read(uid).unwrap()[..], A);
    let inbox = store.open("INBOX").unwrap();
    assert_eq!((uids(&inbox), inbox.uid_validity()), (uids(&looker), looker.uid_validity()));
    assert!(inbox.messages()[0].flags.is_empty());
}

pub fn messages_gone_elsewhere_are_passed_over<S: Store>(open: &dyn Fn() -> S) {
    let (mut one, mut two) = (open().open("INBOX").unwrap(), open().open("INBOX").unwrap());
    let a = one.append(A, &none(), noon()).unwrap();
    let b = one.append(B, &none(), noon()).unwrap();
    one.refresh().unwrap();
    two.refresh().unwrap();
    one.remove(&[a]).unwrap();
    assert!(matches!(two.read(a), Err(StoreError::NoMessage)));
    two.edit_flags(&[a, b], &FlagEdit::Add(flags(r"\Seen"))).unwrap();
    assert_eq!(&two.read(b).unwrap()[..], B);
    two.remove(&[a, b]).unwrap();
    assert!(two.messages().is_empty());
    let never = Uid(NonZeroU32::MAX);
    assert!(matches!(two.read(never), Err(StoreError::NoMessage)));
    two.remove(&[never]).unwrap();
    assert_eq!(one.refresh().unwrap(), [Change::Gone { uid: b, index: 0 }]);
}

pub fn deliveries_get_uids_in_the_order_of_arrival<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    for n in 0..20 {
        let message = format!("Subject: {n}\r\n\r\n");
        store.deliver("INBOX", message.as_bytes(), &none(), noon()).unwrap();
    }
    let mut inbox = store.open("INBOX").unwrap();
    let last = inbox.append(b"Subject: 20\r\n\r\n", &none(), noon()).unwrap();
    inbox.refresh().unwrap();
    assert_eq!(uids(&inbox).last(), Some(&last));
    for (n, entry) in inbox.messages().iter().enumerate() {
        assert_eq!(inbox.read(entry.uid).unwrap(), format!("Subject: {n}\r\n\r\n"));
    }
    // An append comes after deliveries that nobody has seen yet.
    store.deliver("INBOX", B, &none(), noon()).unwrap();
    let last = inbox.append(A, &none(), noon()).unwrap();
    inbox.refresh().unwrap();
    assert_eq!(uids(&inbox).last(), Some(&last));
    assert_eq!(inbox.messages().len(), 23);
}

pub fn mailboxes_are_made_listed_and_removed<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    store.create("Work/Projects/2007").unwrap();
    store.create("Sent Items").unwrap();
    store.create("inbox/old").unwrap();
    let listed = |expected: &[(&str, bool)]| {
        let expected: Vec<_> = expected.iter().map(|(name, can)| ((*name).to_owned(), *can)).collect();
        assert_eq!(names(&open()), expected);
    };
    let all = [
        ("INBOX", true),
        ("INBOX/old", true),
        ("Sent Items", true),
        ("Work", false),
        ("Work/Projects", false),
        ("Work/Projects/2007", true),
    ];
    listed(&all);
    assert!(matches!(store.open("Work").map(drop), Err(StoreError::NoMailbox)));
    assert!(matches!(store.delete("Work"), Err(StoreError::NoMailbox)));
    assert!(matches!(store.create("Sent Items"), Err(StoreError::Exists)));
    store.create("Work").unwrap();
    store.deliver("Work", A, &none(), noon()).unwrap();
    store.delete("Work").unwrap();
    listed(&all);
    store.delete("Work/Projects/2007").unwrap();
    store.delete("INBOX/old").unwrap();
    listed(&[("INBOX", true), ("Sent Items", true)]);
    assert!(matches!(store.delete("Work"), Err(StoreError::NoMailbox)));
}

pub fn a_removed_mailbox_is_gone_for_its_handles<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    store.create("a").unwrap();
    let mut handle = store.open("a").unwrap();
    handle.append(A, &none(), noon()).unwrap();
    handle.refresh().unwrap();
    open().delete("a").unwrap();
    assert!(matches!(handle.refresh(), Err(StoreError::NoMailbox)));
    assert!(matches!(handle.append(A, &none(), noon()), Err(StoreError::NoMailbox)));
    assert!(matches!(store.deliver("a", A, &none(), noon()), Err(StoreError::NoMailbox)));
}

pub fn a_mailbox_made_again_has_another_validity<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    let mut seen = vec![store.open("INBOX").unwrap().uid_validity()];
    for _ in 0..3 {
        store.create("a").unwrap();
        let validity = open().open("a").unwrap().uid_validity();
        assert!(!seen.contains(&validity));
        seen.push(validity);
        store.delete("a").unwrap();
    }
    // A handle of before does not take the new one for its own.
    store.create("a").unwrap();
    let mut old = store.open("a").unwrap();
    open().delete("a").unwrap();
    open().create("a").unwrap();
    open().deliver("a", A, &none(), noon()).unwrap();
    assert!(matches!(old.refresh(), Err(StoreError::NoMailbox)));
}

pub fn mailboxes_are_renamed_with_those_below<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    for name in ["a", "a/b", "a/b/c", "ab", "z"] {
        store.create(name).unwrap();
    }
    let mut kept = store.open("a/b").unwrap();
    let uid = kept.append(A, &flags(r"\Seen word"), noon()).unwrap();
    let validity = kept.uid_validity();
    assert!(matches!(store.rename("a", "z"), Err(StoreError::Exists)));
    assert!(matches!(store.rename("a", "inbox"), Err(StoreError::Exists)));
    assert!(matches!(store.rename("a", "a/b/d"), Err(StoreError::BadName(_))));
    assert!(matches!(store.rename("nothing", "y"), Err(StoreError::NoMailbox)));
    store.rename("a", "new/place").unwrap();
    let all: Vec<String> = names(&open()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, ["INBOX", "ab", "new", "new/place", "new/place/b", "new/place/b/c", "z"]);
    let moved = open().open("new/place/b").unwrap();
    assert_eq!((moved.uid_validity(), uids(&moved)), (validity, vec![uid]));
    assert_eq!(moved.messages()[0].flags.to_string(), r"\Seen word");
    assert_eq!(&moved.read(uid).unwrap()[..], A);
    // A level that is no mailbox is renamed with what is below it, to a name that is free.
    assert!(matches!(store.rename("new", "z"), Err(StoreError::Exists)));
    store.rename("new", "newer").unwrap();
    assert_eq!(uids(&store.open("newer/place/b").unwrap()), [uid]);
    assert!(matches!(store.open("new/place").map(drop), Err(StoreError::NoMailbox)));
}

pub fn renaming_inbox_empties_it<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    store.create("INBOX/below").unwrap();
    let mut inbox = store.open("INBOX").unwrap();
    let validity = inbox.uid_validity();
    for message in [A, B] {
        inbox.append(message, &flags(r"\Flagged word"), noon()).unwrap();
    }
    inbox.refresh().unwrap();
    let next = inbox.uid_next();
    open().rename("inbox", "Archive/2007").unwrap();
    let moved = store.open("Archive/2007").unwrap();
    assert_ne!(moved.uid_validity(), validity);
    assert_eq!(moved.messages().len(), 2);
    for (entry, message) in moved.messages().iter().zip([A, B]) {
        assert_eq!(&moved.read(entry.uid).unwrap()[..], message);
        assert_eq!(entry.flags.to_string(), r"\Flagged word");
        assert_eq!(entry.received.unix(), WHEN);
    }
    assert_eq!(inbox.refresh().unwrap().len(), 2);
    assert!(inbox.messages().is_empty());
    assert_eq!(inbox.uid_validity(), validity);
    assert!(inbox.append(A, &none(), noon()).unwrap() >= next);
    let all: Vec<String> = names(&store).into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, ["INBOX", "Archive", "Archive/2007", "INBOX/below"]);
}

pub fn names_of_any_kind_round_trip<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    let mut all = [
        ".",
        "..",
        "../..",
        "a.b",
        "a/.b",
        ".hidden/..x",
        "Entw\u{fc}rfe/\u{65e5}\u{672c}\u{8a9e}",
        "\u{1f4e7}",
        "&",
        "&-",
        "a&b&-c",
        "%41 50%",
        "*",
        "~root",
        "back\\slash \"quoted\"",
        "tmp",
        "new/cur",
        "cur",
        "x.sbd",
        "x.lock",
        "INBOXES",
        " leading and trailing ",
        "facteur-uidlist",
        "subscriptions",
        "-rf",
        "colon:2,S",
    ];
    for name in all {
        store.create(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut mailbox = store.open(name).unwrap();
        let uid = mailbox.append(name.as_bytes(), &none(), noon()).unwrap();
        assert_eq!(&open().open(name).unwrap().read(uid).unwrap()[..], name.as_bytes());
    }
    let mut found: Vec<String> =
        names(&open()).into_iter().filter(|(_, selectable)| *selectable).map(|(name, _)| name).collect();
    found.retain(|name| name != "INBOX");
    found.sort();
    all.sort_unstable();
    assert_eq!(found, all);
    for bad in ["", "/", "a/", "/etc/passwd", "a//b", "nul\0", "line\nend", &"x".repeat(2000)] {
        assert!(matches!(store.create(bad), Err(StoreError::BadName(_))), "{bad:?}");
        assert!(store.open(bad).is_err(), "{bad:?}");
        assert!(store.deliver(bad, A, &none(), noon()).is_err(), "{bad:?}");
    }
    for name in all {
        store.delete(name).unwrap();
    }
    assert_eq!(names(&store), [("INBOX".to_owned(), true)]);
}

pub fn subscriptions_are_kept<S: Store>(open: &dyn Fn() -> S) {
    let store = open();
    for name in ["inbox", "not there", "b/\u{e9}", "a", "a"] {
        store.subscribe(name).unwrap();
    }
    assert!(matches!(store.subscribe("a\n"), Err(StoreError::BadName(_))));
    let all: Vec<String> = open().subscribed().unwrap().into_iter().collect();
    assert_eq!(all, ["INBOX", "a", "b/\u{e9}", "not there"]);
    open().unsubscribe("Inbox").unwrap();
    open().unsubscribe("never was").unwrap();
    assert_eq!(store.subscribed().unwrap().len(), 3);
}

pub fn two_threads_append_at_once<S: Store>(open: &dyn Fn() -> S) {
    const EACH: usize = 25;
    let start = Barrier::new(3);
    let stores = [open(), open(), open()];
    let given: Vec<Vec<(Uid, String)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = stores
            .into_iter()
            .enumerate()
            .map(|(thread, store)| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let mut inbox = store.open("INBOX").unwrap();
                    let each = (0..EACH).filter_map(|n| {
                        let message = format!("Subject: {thread} {n}\r\n\r\n");
                        if n % 5 == 4 {
                            store.deliver("INBOX", message.as_bytes(), &Flags::new(), noon()).unwrap();
                            return None;
                        }
                        let uid = inbox.append(message.as_bytes(), &Flags::new(), noon()).unwrap();
                        if n % 7 == 0 {
                            inbox.refresh().unwrap();
                        }
                        Some((uid, message))
                    });
                    each.collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let inbox = open().open("INBOX").unwrap();
    assert_eq!(inbox.messages().len(), 3 * EACH);
    assert!(uids(&inbox).is_sorted_by(|a, b| a < b));
    for (uid, message) in given.into_iter().flatten() {
        assert_eq!(inbox.read(uid).unwrap(), message);
    }
}

pub fn removal_and_delivery_at_once_lose_nothing<S: Store>(open: &dyn Fn() -> S) {
    const ALL: usize = 40;
    let (sender, taker) = (open(), open());
    let mut taken: Vec<Vec<u8>> = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..ALL {
                sender.deliver("INBOX", format!("Subject: {n}\r\n\r\n").as_bytes(), &Flags::new(), noon()).unwrap();
            }
        });
        let mut inbox = taker.open("INBOX").unwrap();
        while taken.len() < ALL {
            inbox.refresh().unwrap();
            let here = uids(&inbox);
            inbox.edit_flags(&here, &FlagEdit::Add(Flags::from_iter([Flag::Deleted]))).unwrap();
            for uid in &here {
                taken.push(inbox.read(*uid).unwrap().to_vec());
            }
            inbox.remove(&here).unwrap();
        }
    });
    let expected: Vec<Vec<u8>> = (0..ALL).map(|n| format!("Subject: {n}\r\n\r\n").into_bytes()).collect();
    taken.sort();
    let mut sorted = expected;
    sorted.sort();
    assert_eq!(taken, sorted);
    assert!(open().open("INBOX").unwrap().messages().is_empty());
}
