//! The contract, and what other programs and chance leave in a Maildir.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{LIST, Store};
use crate::base::Timestamp;
use crate::store::contract::contract;
use crate::store::disk::tests::Temporary;
use crate::store::{Change, Flag, FlagEdit, Flags, Mailbox, Store as _, StoreError, Uid};

contract!(contract, || {
    let dir = crate::store::disk::tests::Temporary::new();
    move || crate::store::maildir::Store::open(dir.0.join("Maildir")).unwrap()
});

fn put(root: &Path, name: impl AsRef<[u8]>, text: &str) {
    fs::write(root.join(std::ffi::OsStr::from_bytes(name.as_ref())), text).unwrap();
}

fn texts(mailbox: &impl Mailbox) -> Vec<String> {
    let read = |uid| String::from_utf8(mailbox.read(uid).unwrap().to_vec()).unwrap();
    mailbox.messages().iter().map(|entry| read(entry.uid)).collect()
}

fn uids(mailbox: &impl Mailbox) -> Vec<u32> {
    mailbox.messages().iter().map(|entry| entry.uid.0.get()).collect()
}

#[test]
fn what_other_programs_deliver_is_sized_to_the_octet() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    put(&dir.0, "new/1.a.h", "a\n\nb\n");
    put(&dir.0, "new/2.b.h", "a\r\n\r\nb\r\n");
    put(&dir.0, "cur/3.c.h,S=6,W=9:2,S", "a\n\nb\nc");
    put(&dir.0, "cur/4.d.h,S=6,W=9:2,S", "a\n\nb\n");
    put(&dir.0, "cur/msg", "no time in the name");
    put(&dir.0, b"new/5.\xff\n %.h", "e");
    put(&dir.0, "new/.hidden", "no message");
    let inbox = store.open("INBOX").unwrap();
    let sizes: Vec<u64> = inbox.messages().iter().map(|entry| entry.size).collect();
    let lens: Vec<u64> = texts(&inbox).iter().map(|text| text.len() as u64).collect();
    assert_eq!((sizes.clone(), sizes.len()), (lens, 6));
    assert_eq!(sizes, [8, 8, 9, 8, 1, 19]);
    assert!(fs::read_dir(dir.0.join("new")).unwrap().all(|entry| entry.unwrap().file_name() == ".hidden"));
    assert_eq!(uids(&store.open("INBOX").unwrap()), uids(&inbox));
}

#[test]
fn what_is_no_message_is_passed_over() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    put(&dir.0, "cur/1.a.h:2,S", "a\n");
    fs::create_dir(dir.0.join("cur/2.dir:2,S")).unwrap();
    symlink("/etc/passwd", dir.0.join("new/3.link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.0.join("new/4.pipe"), rustix::fs::Mode::RWXU).unwrap();
    symlink("/etc", dir.0.join(".etc")).unwrap();
    put(&dir.0, ".file", "");
    fs::create_dir(dir.0.join(".empty")).unwrap();
    assert_eq!(texts(&store.open("INBOX").unwrap()), ["a\r\n"]);
    assert_eq!(store.list().unwrap().len(), 1);
    for name in ["etc", "file", "empty"] {
        assert!(matches!(store.open(name).map(drop), Err(StoreError::NoMailbox)), "{name}");
        assert!(matches!(store.create(name), Err(StoreError::BadName(_)) | Ok(())), "{name}");
    }
    assert!(dir.0.join(".etc").is_symlink(), "what has the place is left alone");
}

#[test]
fn a_damaged_list_begins_anew_with_another_validity() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    for n in 0..5 {
        store.deliver("INBOX", format!("{n}\r\n").as_bytes(), &Flags::new(), Timestamp::from_unix(0)).unwrap();
    }
    let mut old = store.open("INBOX").unwrap();
    let mut seen = vec![old.uid_validity()];
    let list = fs::read(dir.0.join(LIST)).unwrap();
    let mut flipped = list.clone();
    flipped[60] ^= 1;
    for text in [&b""[..], b"garbage\n", &[0; 4096], &flipped, b"facteur-uidlist 1 1 4294967295 1 00000000\n"] {
        fs::write(dir.0.join(LIST), text).unwrap();
        let inbox = store.open("INBOX").unwrap();
        assert!(!seen.contains(&inbox.uid_validity()), "{}", text.escape_ascii());
        seen.push(inbox.uid_validity());
        assert_eq!(texts(&inbox), ["0\r\n", "1\r\n", "2\r\n", "3\r\n", "4\r\n"]);
    }
    assert!(old.refresh().is_err());
    fs::remove_file(dir.0.join(LIST)).unwrap();
    symlink("/etc/passwd", dir.0.join(LIST)).unwrap();
    assert!(matches!(store.open("INBOX").map(drop), Err(StoreError::Io(_))));
    fs::remove_file(dir.0.join(LIST)).unwrap();
    fs::create_dir(dir.0.join(LIST)).unwrap();
    assert!(matches!(store.open("INBOX").map(drop), Err(StoreError::Io(_))));
}

#[test]
fn an_unfinished_line_is_cut_off_by_the_next_writer() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    let deliver = |text: &str| {
        store.deliver("INBOX", text.as_bytes(), &Flags::new(), Timestamp::from_unix(0)).unwrap();
    };
    deliver("a\r\n");
    let mut one = store.open("INBOX").unwrap();
    let list = [&fs::read(dir.0.join(LIST)).unwrap()[..], b"m 2 3 0 half-writ"].concat();
    fs::write(dir.0.join(LIST), list).unwrap();
    deliver("b\r\n");
    let two = store.open("INBOX").unwrap();
    one.refresh().unwrap();
    assert_eq!((texts(&one), uids(&one)), (texts(&two), vec![1, 2]));
    assert_eq!(one.uid_validity(), store.open("INBOX").unwrap().uid_validity());
}

#[test]
fn changes_by_other_programs_are_seen() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    for name in ["1.a.h:2,", "2.b.h:2,x", "3.c.h:2,"] {
        put(&dir.0, format!("cur/{name}"), &format!("{name}\n"));
    }
    let mut inbox = store.open("INBOX").unwrap();
    let uid: Vec<Uid> = inbox.messages().iter().map(|entry| entry.uid).collect();
    fs::rename(dir.0.join("cur/1.a.h:2,"), dir.0.join("cur/1.a.h:2,RS")).unwrap();
    fs::rename(dir.0.join("cur/2.b.h:2,x"), dir.0.join("cur/2.b.h:2,Fx")).unwrap();
    fs::remove_file(dir.0.join("cur/3.c.h:2,")).unwrap();
    assert_eq!(inbox.read(uid[0]).unwrap(), "1.a.h:2,\r\n", "it is found under its new name");
    assert!(matches!(inbox.read(uid[2]), Err(StoreError::NoMessage)));
    inbox.edit_flags(&[uid[1]], &FlagEdit::Add(Flags::from_iter([Flag::Seen]))).unwrap();
    assert_eq!(inbox.messages()[1].flags.to_string(), r"\Flagged \Seen");
    assert!(dir.0.join("cur/2.b.h:2,FSx").exists());
    assert_eq!(inbox.refresh().unwrap(), [Change::Gone { uid: uid[2], index: 2 }, Change::Flags(uid[0])]);
}

#[test]
fn two_files_of_one_name_are_two_messages_unless_they_are_one() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    put(&dir.0, "cur/1.a.h:2,S", "a\n");
    put(&dir.0, "cur/1.a.h:2,F", "b\n");
    put(&dir.0, "cur/2.c.h:2,F", "c\n");
    fs::hard_link(dir.0.join("cur/2.c.h:2,F"), dir.0.join("new/2.c.h")).unwrap();
    let inbox = store.open("INBOX").unwrap();
    let mut found = texts(&inbox);
    found.sort();
    assert_eq!(found, ["a\r\n", "b\r\n", "c\r\n"]);
    assert_eq!(texts(&store.open("INBOX").unwrap()).len(), 3);
}

#[test]
fn a_list_of_messages_that_are_gone_is_written_anew() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    for n in 0..1200 {
        put(&dir.0, format!("cur/{n}.a.h:2,"), "x\n");
    }
    let mut inbox = store.open("INBOX").unwrap();
    let mut other = store.open("INBOX").unwrap();
    let all: Vec<Uid> = inbox.messages().iter().map(|entry| entry.uid).collect();
    let before = fs::metadata(dir.0.join(LIST)).unwrap().len();
    inbox.remove(&all[..1199]).unwrap();
    inbox.refresh().unwrap();
    assert!(fs::metadata(dir.0.join(LIST)).unwrap().len() < before / 100);
    assert_eq!(other.refresh().unwrap().len(), 1199);
    let new = other.append(b"y\r\n", &Flags::new(), Timestamp::from_unix(0)).unwrap();
    inbox.refresh().unwrap();
    assert_eq!(inbox.messages().iter().map(|entry| entry.uid).collect::<Vec<_>>(), [all[1199], new]);
    assert_eq!((uids(&store.open("INBOX").unwrap()), new.0.get()), (uids(&inbox), 1201));
}

#[test]
fn mailboxes_of_other_servers_are_opened_by_the_name_they_are_listed_with() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    for (directory, name) in [(".Entw\u{fc}rfe", "Entw\u{fc}rfe"), (".R&D", "R&D"), (".a&AC4-&AC4-b", "a..b")] {
        fs::create_dir_all(dir.0.join(directory).join("cur")).unwrap();
        fs::create_dir_all(dir.0.join(directory).join("new")).unwrap();
        fs::create_dir_all(dir.0.join(directory).join("tmp")).unwrap();
        assert!(store.list().unwrap().iter().any(|line| line.name == name));
        store.deliver(name, b"x\r\n", &Flags::new(), Timestamp::from_unix(0)).unwrap();
        assert_eq!(texts(&store.open(name).unwrap()), ["x\r\n"]);
        assert!(matches!(store.create(name), Err(StoreError::Exists)));
    }
}

#[test]
fn a_message_that_is_too_large_is_an_error_and_no_wrong_message() {
    let dir = Temporary::new();
    let mut store = Store::open(&dir.0).unwrap();
    store.max_message = 10;
    put(&dir.0, "new/1.a.h", "0123456789\n");
    let inbox = store.open("INBOX").unwrap();
    assert_eq!(inbox.messages()[0].size, 12);
    assert!(matches!(inbox.read(inbox.messages()[0].uid), Err(StoreError::Io(_))));
}

#[test]
fn more_subscriptions_than_can_be_read_are_not_written() {
    let dir = Temporary::new();
    let store = Store::open(&dir.0).unwrap();
    let name = |n: usize| format!("{n:04}{}", "x".repeat(996));
    let lines: String = (0..1047).map(|n| name(n) + "\n").collect();
    fs::write(dir.0.join(super::SUBSCRIPTIONS), lines).unwrap();
    assert!(matches!(store.subscribe(&name(1047)), Err(StoreError::Unsupported(_))));
    assert_eq!(store.subscribed().unwrap().len(), 1047);
    store.unsubscribe(&name(5)).unwrap();
    store.subscribe(&name(1047)).unwrap();
    assert!(store.subscribed().unwrap().contains(&name(1047)));
}
