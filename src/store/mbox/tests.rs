//! The contract, and what other programs and chance leave of an mbox file.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::head::{Head, restored, stored};
use super::split::{Found, find};
use super::{Dialect, Store};
use crate::base::Timestamp;
use crate::store::contract::contract;
use crate::store::disk::tests::Temporary;
use crate::store::{Change, Flag, FlagEdit, Flags, Mailbox, Store as _, StoreError, Uid};

contract!(contract, || {
    let dir = crate::store::disk::tests::Temporary::new();
    move || crate::store::mbox::Store::open(dir.0.join("mail")).unwrap()
});

contract!(contract_counted, || {
    let dir = crate::store::disk::tests::Temporary::new();
    move || {
        let mut store = crate::store::mbox::Store::open(dir.0.join("mail")).unwrap();
        store.dialect = crate::store::mbox::Dialect::Mboxcl2;
        store
    }
});

const FROM: &str = "From a@b Tue Jul  1 10:52:37 2003\n";

fn texts(mailbox: &impl Mailbox) -> Vec<String> {
    let read = |uid| String::from_utf8(mailbox.read(uid).unwrap().to_vec()).unwrap();
    mailbox.messages().iter().map(|entry| read(entry.uid)).collect()
}

fn all(mailbox: &impl Mailbox) -> Vec<Uid> {
    mailbox.messages().iter().map(|entry| entry.uid).collect()
}

#[test]
fn a_file_that_another_program_wrote_anew_keeps_its_uids() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    let path = dir.0.join("INBOX");
    let part = |n: u32, status: &str| format!("{FROM}Subject: {n}\n{status}\nbody {n}\n\n");
    fs::write(&path, [part(1, ""), part(2, ""), part(3, ""), part(3, "")].concat()).unwrap();
    let mut inbox = store.open("INBOX").unwrap();
    let uid = all(&inbox);
    assert_eq!(uid.len(), 4);
    inbox.edit_flags(&uid[2..3], &FlagEdit::Add(Flags::from_iter([Flag::Flagged]))).unwrap();
    // One removed, one read, one new; ours lost its place.
    let now = [part(1, "Status: RO\n"), part(3, "Status: O\nX-Status: AF\n"), part(3, ""), part(4, "")].concat();
    fs::write(&path, now).unwrap();
    let told = inbox.refresh().unwrap();
    assert_eq!(told[..3], [Change::Gone { uid: uid[1], index: 1 }, Change::Flags(uid[0]), Change::Flags(uid[2])]);
    assert_eq!((told.len(), inbox.messages().len()), (4, 4));
    assert_eq!(inbox.messages()[1].flags.to_string(), r"\Answered \Flagged");
    let again = store.open("INBOX").unwrap();
    assert_eq!((all(&again), texts(&again)), (all(&inbox), texts(&inbox)));
    assert_eq!(texts(&again)[3], "Subject: 4\r\n\r\nbody 4\r\n");
}

#[test]
fn what_another_program_left_without_an_end_is_not_joined_with_the_next() {
    for tail in ["a", "a\n", "a\n\n", "a\n\n\n"] {
        let dir = Temporary::new();
        let store = Store::open(&dir.0).unwrap();
        fs::write(dir.0.join("INBOX"), format!("{FROM}Subject: x\n\n{tail}")).unwrap();
        let mut inbox = store.open("INBOX").unwrap();
        let before = (texts(&inbox), all(&inbox), inbox.messages()[0].size);
        inbox.append(b"Subject: y\r\n\r\n", &Flags::new(), Timestamp::from_unix(0)).unwrap();
        inbox.refresh().unwrap();
        assert_eq!(texts(&inbox).len(), 2);
        assert_eq!(
            (texts(&inbox)[..1].to_vec(), all(&inbox)[..1].to_vec(), inbox.messages()[0].size),
            before,
            "{tail:?}"
        );
    }
}

#[test]
fn flags_change_in_their_place_and_the_rest_of_the_file_stays() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    let path = dir.0.join("INBOX");
    for _ in 0..3 {
        store.deliver("INBOX", b"Subject: x\r\n\r\nb\r\n", &Flags::new(), Timestamp::from_unix(0)).unwrap();
    }
    let before = fs::read(&path).unwrap();
    let mut inbox = store.open("INBOX").unwrap();
    let uid = all(&inbox);
    let flags = Flags::from_iter([Flag::Seen, Flag::Deleted, Flag::Keyword("$Junk".into())]);
    inbox.edit_flags(&uid[1..2], &FlagEdit::Replace(flags.clone())).unwrap();
    let after = fs::read(&path).unwrap();
    assert_eq!(after.len(), before.len());
    assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 2 + "$Junk".len());
    assert_eq!(store.open("INBOX").unwrap().messages()[1].flags, flags);
    inbox.edit_flags(&uid[1..2], &FlagEdit::Replace(Flags::new())).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_another_program_is_changed_only_where_it_must_be() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    let path = dir.0.join("INBOX");
    let file = format!("\n{FROM}Subject: a\nStatus: RO\n\na\n\n\n{FROM}Subject: b\n\n>From b\n");
    fs::write(&path, &file).unwrap();
    let mut inbox = store.open("INBOX").unwrap();
    assert_eq!(texts(&inbox), ["Subject: a\r\nStatus: RO\r\n\r\na\r\n\r\n", "Subject: b\r\n\r\nFrom b\r\n"]);
    assert_eq!(inbox.messages()[0].flags.to_string(), r"\Seen");
    assert_eq!(fs::read_to_string(&path).unwrap(), file);
    let (uid, before) = (all(&inbox), texts(&inbox));
    inbox.edit_flags(&uid, &FlagEdit::Add(Flags::from_iter([Flag::Answered]))).unwrap();
    assert_eq!(inbox.messages()[0].flags.to_string(), r"\Answered \Seen");
    assert_eq!((all(&inbox), texts(&inbox)), (uid.clone(), before.clone()));
    assert_eq!(texts(&store.open("INBOX").unwrap()), before);
    inbox.remove(&uid[..1]).unwrap();
    let left = fs::read_to_string(&path).unwrap();
    assert!(
        left.starts_with(&format!("\n{FROM}Status:  O\nX-Status: A   \nX-Keywords: "))
            && left.ends_with("Subject: b\n\n>From b\n")
    );
}

#[test]
fn what_is_no_mbox_file_is_told_or_passed_over() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    fs::write(dir.0.join("notes"), "these are notes\n").unwrap();
    fs::create_dir(dir.0.join("dir")).unwrap();
    symlink("/etc/passwd", dir.0.join("link")).unwrap();
    fs::write(dir.0.join("x.lock"), "1\n").unwrap();
    assert!(matches!(store.open("notes").map(drop), Err(StoreError::Damaged(_))));
    for name in ["dir", "link"] {
        assert!(matches!(store.open(name).map(drop), Err(StoreError::NoMailbox)), "{name}");
        assert!(matches!(store.create(name), Err(StoreError::BadName(_))), "{name}");
    }
    let names: Vec<String> = store.list().unwrap().into_iter().map(|line| line.name).collect();
    assert_eq!(names, ["INBOX", "notes"]);
}

#[test]
fn a_damaged_index_begins_anew_with_another_validity() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    for n in 0..3 {
        store.deliver("INBOX", format!("{n}\r\n").as_bytes(), &Flags::new(), Timestamp::from_unix(0)).unwrap();
    }
    let mut seen = vec![store.open("INBOX").unwrap().uid_validity()];
    let index = dir.0.join(".facteur/INBOX.index");
    let good = fs::read(&index).unwrap();
    let mut flipped = good.clone();
    flipped[40] ^= 1;
    for text in [&b""[..], b"garbage", &flipped, &good[..good.len() - 1]] {
        fs::write(&index, text).unwrap();
        let inbox = store.open("INBOX").unwrap();
        assert!(!seen.contains(&inbox.uid_validity()));
        seen.push(inbox.uid_validity());
        assert_eq!(texts(&inbox), ["0\r\n", "1\r\n", "2\r\n"]);
    }
}

proptest! {
    /// In the two dialects that lose nothing each message comes back to the octet, and is found as one message.
    #[test]
    fn any_message_with_crlf_comes_back(
        pieces in prop::collection::vec(
            prop::sample::select(vec!["\r\n", "\r\n\r\n", "From ", ">", ">From a Tue Jul  1 10:52:37 2003", "a", ":", "\r", " ", "Status: R",
                "X-Keywords: ", "Content-Length: 3", "X-Facteur: open-end", "\u{0}", "\u{1}\u{1}\u{1}\u{1}", "\u{e9}"]), 0..24),
    ) {
        let message = pieces.concat().into_bytes();
        for dialect in [Dialect::Mboxrd, Dialect::Mboxcl2] {
            let stored = stored(dialect, &message, &Flags::new());
            let file = [FROM.as_bytes(), &stored, FROM.as_bytes(), b"\n"].concat();
            let Found::Message(span) = find(&file, true, dialect) else { panic!("no message") };
            prop_assert_eq!((span.start, span.text, span.next), (0, FROM.len(), FROM.len() + stored.len()));
            let text = &file[span.text..span.end];
            let head = Head::parse(text);
            prop_assert_eq!(&restored(dialect, &head, &text[head.len..])[..], &message[..]);
        }
    }
}

#[test]
fn more_subscriptions_than_can_be_read_are_not_written() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    let name = |n: usize| format!("{n:04}{}", "x".repeat(996));
    let lines: String = (0..1047).map(|n| name(n) + "\n").collect();
    fs::write(dir.0.join(".facteur/subscriptions"), lines).unwrap();
    assert!(matches!(store.subscribe(&name(1047)), Err(StoreError::Unsupported(_))));
    assert_eq!(store.subscribed().unwrap().len(), 1047);
    store.unsubscribe(&name(5)).unwrap();
    store.subscribe(&name(1047)).unwrap();
    assert!(store.subscribed().unwrap().contains(&name(1047)));
}
