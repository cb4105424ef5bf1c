//! A store that fails: each fault is told with NO, a code and a text, and nothing is left half done that could be undone.

mod imap;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use facteur::base::Timestamp;
use facteur::store::{self, Change, Entry, FlagEdit, Flags, Listed, Mailbox as _, Store as _, StoreError, Uid, memory};
use imap::Session;

/// What fails, and after how many successes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Open,
    Refresh,
    Read,
    Append,
    EditFlags,
    Remove,
}

#[derive(Clone)]
struct Store {
    inner: memory::Store,
    fault: Arc<Mutex<Option<(Act, usize)>>>,
}

struct Mailbox {
    inner: memory::Mailbox,
    fault: Arc<Mutex<Option<(Act, usize)>>>,
}

fn strike(fault: &Mutex<Option<(Act, usize)>>, act: Act) -> Result<(), StoreError> {
    let mut fault = fault.lock().unwrap();
    match &mut *fault {
        Some((failing, 0)) if *failing == act => Err(StoreError::Io(std::io::Error::other("the disk is on fire"))),
        Some((failing, left)) if *failing == act => {
            *left -= 1;
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Store {
    fn fail(&self, act: Act, after: usize) {
        *self.fault.lock().unwrap() = Some((act, after));
    }

    fn heal(&self) {
        *self.fault.lock().unwrap() = None;
    }

    fn wrap(&self, inner: memory::Mailbox) -> Mailbox {
        Mailbox { inner, fault: Arc::clone(&self.fault) }
    }
}

impl store::Store for Store {
    type Mailbox = Mailbox;

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.list()
    }

    fn open(&self, name: &str) -> Result<Mailbox, StoreError> {
        strike(&self.fault, Act::Open)?;
        Ok(self.wrap(self.inner.open(name)?))
    }

    fn examine(&self, name: &str) -> Result<Mailbox, StoreError> {
        strike(&self.fault, Act::Open)?;
        Ok(self.wrap(self.inner.examine(name)?))
    }

    fn create(&self, name: &str) -> Result<(), StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.create(name)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.delete(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.rename(from, to)
    }

    fn subscribed(&self) -> Result<BTreeSet<String>, StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.subscribed()
    }

    fn subscribe(&self, name: &str) -> Result<(), StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.subscribe(name)
    }

    fn unsubscribe(&self, name: &str) -> Result<(), StoreError> {
        strike(&self.fault, Act::Open)?;
        self.inner.unsubscribe(name)
    }
}

impl store::Mailbox for Mailbox {
    fn uid_validity(&self) -> NonZeroU32 {
        self.inner.uid_validity()
    }

    fn uid_next(&self) -> Uid {
        self.inner.uid_next()
    }

    fn messages(&self) -> &[Entry] {
        self.inner.messages()
    }

    fn refresh(&mut self) -> Result<Vec<Change>, StoreError> {
        strike(&self.fault, Act::Refresh)?;
        self.inner.refresh()
    }

    fn read(&self, uid: Uid) -> Result<Bytes, StoreError> {
        strike(&self.fault, Act::Read)?;
        self.inner.read(uid)
    }

    fn append(&mut self, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError> {
        strike(&self.fault, Act::Append)?;
        self.inner.append(message, flags, received)
    }

    fn edit_flags(&mut self, uids: &[Uid], edit: &FlagEdit) -> Result<(), StoreError> {
        strike(&self.fault, Act::EditFlags)?;
        self.inner.edit_flags(uids, edit)
    }

    fn remove(&mut self, uids: &[Uid]) -> Result<(), StoreError> {
        strike(&self.fault, Act::Remove)?;
        self.inner.remove(uids)
    }
}

/// Four messages in INBOX, the second marked deleted, and an empty archive.
fn failing() -> (Store, Session<Store>) {
    let store = Store { inner: memory::Store::new(), fault: Arc::default() };
    store.inner.create("archive").unwrap();
    let mut session = Session::login(&store);
    for (n, flags) in ["", "\\Deleted", "", ""].iter().enumerate() {
        assert!(session.append("INBOX", flags, &format!("Subject: {n}\r\n\r\n{n}\r\n")).contains("append OK"));
    }
    assert!(session.line("s SELECT INBOX").contains("s OK"));
    (store, session)
}

#[test]
fn each_fault_is_told() {
    for (act, after, command) in [
        (Act::Open, 0, "SELECT archive"),
        (Act::Open, 0, "EXAMINE archive"),
        (Act::Open, 0, "LIST \"\" *"),
        (Act::Open, 0, "LSUB \"\" *"),
        (Act::Open, 0, "STATUS archive (MESSAGES)"),
        (Act::Open, 0, "CREATE new"),
        (Act::Open, 0, "DELETE archive"),
        (Act::Open, 0, "RENAME archive new"),
        (Act::Open, 0, "SUBSCRIBE archive"),
        (Act::Open, 0, "UNSUBSCRIBE archive"),
        (Act::Open, 0, "APPEND archive {1+}\r\nx"),
        (Act::Append, 0, "APPEND archive {1+}\r\nx"),
        (Act::Read, 0, "FETCH 1 ENVELOPE"),
        (Act::Read, 2, "FETCH 1:4 BODY.PEEK[]"),
        (Act::EditFlags, 0, "FETCH 1 BODY[]"),
        (Act::Read, 1, "SEARCH BODY x"),
        (Act::Refresh, 0, "STORE 1 FLAGS ()"),
        (Act::EditFlags, 0, "STORE 1 FLAGS ()"),
        (Act::Refresh, 0, "COPY 1 archive"),
        (Act::Open, 0, "COPY 1 archive"),
        (Act::Read, 1, "COPY 1:4 archive"),
        (Act::Append, 2, "COPY 1:4 archive"),
        (Act::Append, 3, "MOVE 1:4 archive"),
        (Act::Remove, 0, "EXPUNGE"),
        (Act::Refresh, 0, "EXPUNGE"),
        (Act::Remove, 0, "CLOSE"),
    ] {
        let (store, mut session) = failing();
        store.fail(act, after);
        let answer = session.line(&format!("x {command}"));
        assert!(answer.contains("x NO [UNAVAILABLE] the disk is on fire\n"), "{act:?} {command}: {answer}");
        // The conversation goes on.
        store.heal();
        assert!(session.line("y SELECT INBOX").contains("y OK"), "{command}");
        assert!(session.line("z STATUS archive (MESSAGES)").contains("(MESSAGES 0)"), "{act:?} {command}");
        assert!(session.line("z STATUS INBOX (MESSAGES)").contains("(MESSAGES 4)"), "{act:?} {command}");
    }
}

#[test]
fn a_command_that_was_done_stays_done_where_looking_fails() {
    let (store, mut session) = failing();
    store.fail(Act::Refresh, 1);
    let answer = session.line("x COPY 1:2 archive");
    assert!(answer.starts_with("* NO [UNAVAILABLE] the disk is on fire\nx OK [COPYUID"), "{answer}");
    assert_eq!(session.line("y NOOP"), "* NO [UNAVAILABLE] the disk is on fire\ny OK NOOP completed\n");
}

#[test]
fn a_move_that_can_remove_nothing_says_what_is_left() {
    let (store, mut session) = failing();
    store.fail(Act::Remove, 0);
    let answer = session.line("x MOVE 1:4 archive");
    // What was copied cannot be removed either, and that is said.
    assert!(
        answer.contains("x NO [UNAVAILABLE] the disk is on fire; copies are left behind: the disk is on fire\n"),
        "{answer}"
    );
    store.heal();
    assert!(session.line("z STATUS INBOX (MESSAGES)").contains("(MESSAGES 4)"));
    assert!(session.line("z STATUS archive (MESSAGES)").contains("(MESSAGES 4)"));
}

#[test]
fn a_message_fetched_in_pieces_is_read_once() {
    let store = Store { inner: memory::Store::new(), fault: Arc::default() };
    let mut session = Session::login(&store);
    session.append("INBOX", "", "Subject: x\r\n\r\n0123456789");
    session.line("a SELECT INBOX");
    store.fail(Act::Read, 1);
    for (piece, expected) in [("0.4", "<0> {4}\n0123"), ("4.4", "<4> {4}\n4567"), ("8.4", "<8> {2}\n89")] {
        let answer = session.line(&format!("b FETCH 1 BODY.PEEK[TEXT]<{piece}>"));
        assert!(answer.contains(expected), "{answer}");
    }
    // After the last piece, and after any other command, it is not held any longer.
    assert!(session.line("c FETCH 1 BODY.PEEK[TEXT]<0.4>").starts_with("c NO"));
    store.fail(Act::Read, 1);
    assert!(session.line("d FETCH 1 BODY.PEEK[TEXT]<0.4>").contains("0123"));
    session.line("e NOOP");
    assert!(session.line("f FETCH 1 BODY.PEEK[TEXT]<4.4>").starts_with("f NO"));
}

#[test]
fn a_mailbox_is_opened_once_for_appends_in_a_row() {
    let store = Store { inner: memory::Store::new(), fault: Arc::default() };
    let mut session = Session::login(&store);
    store.fail(Act::Open, 1);
    for _ in 0..3 {
        assert!(session.append("INBOX", "\\Seen", "x").contains("append OK"));
    }
    session.line("a NOOP");
    assert!(session.append("INBOX", "", "x").contains("append NO"));
    // One that was removed and made again meanwhile is another.
    store.heal();
    session.line("b CREATE there");
    assert!(session.append("there", "", "x").contains("append OK"));
    store.inner.delete("there").unwrap();
    assert!(session.append("there", "", "x").contains("append NO [TRYCREATE]"));
    store.inner.create("there").unwrap();
    assert!(session.append("there", "", "x").contains("append OK"));
    store.inner.delete("there").unwrap();
    store.inner.create("there").unwrap();
    assert!(session.append("there", "", "x").contains("append OK"));
    assert_eq!(store.inner.open("there").unwrap().messages().len(), 1);
}
