//! How long mailboxes take: a Maildir of 100,000 messages, an mbox file of 50 MB. Prints a line for each.
//!
//! `cargo bench --bench store`; `FACTEUR_BENCH_DIR` says on which disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use facteur::base::Timestamp;
use facteur::store::{Flag, FlagEdit, Flags, Mailbox, Store, maildir, mbox};

const MAILDIR: usize = 100_000;
const MBOX: usize = 5_000;

fn main() {
    // `cargo test --benches` wants to know only that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let dir = std::env::var_os("FACTEUR_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("facteur-bench-{}", std::process::id()));
    let message = |n: usize, size: usize| {
        let mut out = format!("Subject: message {n}\r\n\r\n").into_bytes();
        out.resize(size, b'x');
        out.extend_from_slice(b"\r\n");
        out
    };

    let root = dir.join("maildir");
    let store = maildir::Store::open(&root).unwrap();
    // As another server would have left them; one by one they would each be synced.
    for n in 0..MAILDIR {
        let text = message(n, 100);
        let base = format!("{}.M{n}P1.bench,S={},W={}:2,S", 1_172_677_344 + n / 100, text.len(), text.len());
        std::fs::write(root.join("cur").join(base), text).unwrap();
    }
    let title = |what: &str| format!("maildir of {MAILDIR}: {what}");
    time(&title("first look, all UIDs given"), || drop(store.open("INBOX").unwrap()));
    time(&title("open"), || drop(store.open("INBOX").unwrap()));
    let mut inbox = store.open("INBOX").unwrap();
    time(&title("refresh right after a change"), || drop(inbox.refresh().unwrap()));
    std::thread::sleep(Duration::from_millis(2100)); // until times of change can be believed
    inbox.refresh().unwrap();
    time(&title("refresh, nothing changed"), || drop(inbox.refresh().unwrap()));
    let uids: Vec<_> = inbox.messages().iter().map(|entry| entry.uid).collect();
    time(&title("read one"), || drop(inbox.read(uids[MAILDIR / 2]).unwrap()));
    let seen = FlagEdit::Add(Flags::from_iter([Flag::Flagged]));
    time(&title("flag one"), || inbox.edit_flags(&uids[..1], &seen).unwrap());
    time(&title("flag all"), || inbox.edit_flags(&uids, &seen).unwrap());
    deliveries(&title("deliver, synced"), &store);

    let store = mbox::Store::open(dir.join("mbox")).unwrap();
    let mut file = String::new();
    for n in 0..MBOX {
        file.push_str("From ada@example.org Wed Feb 28 15:42:24 2007\n");
        let text = String::from_utf8(message(n, 10_000)).unwrap();
        let lines: Vec<&str> = text.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
        file.push_str(&lines.join("\n").replace("\r\n", "\n"));
        file.push_str("\n\n");
    }
    std::fs::write(dir.join("mbox/INBOX"), &file).unwrap();
    let title = |what: &str| format!("mbox of {MBOX}, {} MB: {what}", file.len() / 1_000_000);
    time(&title("first look, all UIDs given"), || drop(store.open("INBOX").unwrap()));
    time(&title("open"), || drop(store.open("INBOX").unwrap()));
    let mut inbox = store.open("INBOX").unwrap();
    let uids: Vec<_> = inbox.messages().iter().map(|entry| entry.uid).collect();
    time(&title("read one"), || drop(inbox.read(uids[MBOX / 2]).unwrap()));
    deliveries(&title("deliver, synced"), &store);
    time(&title("refresh, 20 new"), || drop(inbox.refresh().unwrap()));
    time(&title("flag all, lines are put in"), || inbox.edit_flags(&uids, &seen).unwrap());
    time(&title("flag one, in its place"), || {
        inbox.edit_flags(&uids[..1], &FlagEdit::Remove(Flags::from_iter([Flag::Flagged]))).unwrap()
    });
    time(&title("remove the first"), || inbox.remove(&uids[..1]).unwrap());
    time(&title("remove all"), || inbox.remove(&uids).unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
}

fn time(what: &str, act: impl FnOnce()) {
    let start = Instant::now();
    act();
    println!("{what}: {:.1?}", start.elapsed());
}

fn deliveries(what: &str, store: &impl Store) {
    let start = Instant::now();
    for _ in 0..20 {
        store.deliver("INBOX", &[b'x'; 2000], &Flags::new(), Timestamp::from_unix(0)).unwrap();
    }
    println!("{what}: {:.1?}", start.elapsed() / 20);
}
