//! Processes that deliver, flag and remove are killed at random moments: nothing that was acknowledged is lost, nothing
//! half-written is seen, and no UID comes back for another message.
//!
//! The processes are this test itself, run again with `FACTEUR_STORE_KILL` set; each writes to a log what it is about to do
//! and what it has done.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use facteur::base::Timestamp;
use facteur::store::{Flag, FlagEdit, Flags, Mailbox, Store, Uid, maildir, mbox};

/// How often the processes are killed, for each kind of store.
const ROUNDS: u64 = 12;
/// So many processes work on the mailbox at once.
const CHILDREN: u64 = 2;
/// A mailbox is kept about as large as this.
const MESSAGES: usize = 40;

struct Random(u64);

/// A process that does not outlive the test.
struct Worker(Child);

impl Worker {
    fn is_at_work(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below.max(1)
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.below(1 << 30) as usize % all.len().max(1);
        all.get(at).copied()
    }
}

/// A message that tells whether it is whole: its name, so many lines, and a last one.
fn message(name: &str, lines: u64) -> Vec<u8> {
    let mut out = format!("Subject: {name}\r\nX-Lines: {lines}\r\n\r\n").into_bytes();
    for line in 0..lines {
        let text = format!("From line {line} of {name}, which is long enough to fill some pages\r\n");
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b"end\r\n");
    out
}

/// The name of a message that is whole.
fn whole(octets: &[u8]) -> String {
    let text = std::str::from_utf8(octets).expect("a message is ASCII");
    let name = text.strip_prefix("Subject: ").and_then(|rest| rest.split("\r\n").next()).expect("a subject");
    let lines = text.split("X-Lines: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a count");
    assert_eq!(octets, message(name, lines.parse().unwrap()), "the message is as it was delivered");
    name.to_owned()
}

/// What a process does until it is killed.
fn work(store: &impl Store, log: &mut File, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut say = |text: String| log.write_all(text.as_bytes()).unwrap();
    let mut inbox = store.open("INBOX").unwrap();
    for count in 0_u64.. {
        let name = format!("{seed}-{count}");
        let here: Vec<Uid> = inbox.messages().iter().map(|entry| entry.uid).collect();
        let size = if random.below(4) == 0 { random.below(10_000) } else { random.below(20) };
        let choice = random.below(8);
        match choice {
            _ if here.len() > MESSAGES => {
                let going: Vec<Uid> = here.iter().copied().step_by(2).collect();
                let list: String = going.iter().map(|uid| format!(" {uid}")).collect();
                going.iter().for_each(|uid| say(saw(&inbox, *uid)));
                say(format!("removing{list}\n"));
                inbox.remove(&going).unwrap();
                say(format!("removed{list}\n"));
            }
            0 | 1 => {
                say(format!("delivering {name}\n"));
                store.deliver("INBOX", &message(&name, size), &Flags::new(), Timestamp::from_unix(0)).unwrap();
                say(format!("delivered {name}\n"));
            }
            2 | 3 => {
                say(format!("delivering {name}\n"));
                let flags = Flags::from_iter([Flag::Keyword("first".into())]);
                let uid = inbox.append(&message(&name, size), &flags, Timestamp::from_unix(0)).unwrap();
                say(format!("delivered {name}\nsaw {uid} {name}\n"));
            }
            4 => {
                let Some(uid) = random.pick(&here) else { continue };
                say(saw(&inbox, uid));
                say(format!("removing {uid}\n"));
                inbox.remove(&[uid]).unwrap();
                say(format!("removed {uid}\n"));
            }
            5 | 6 => {
                let Some(uid) = random.pick(&here) else { continue };
                let flag = if choice == 5 { Flag::Flagged } else { Flag::Keyword(format!("word{seed}")) };
                inbox.edit_flags(&[uid], &FlagEdit::Add(Flags::from_iter([flag.clone()]))).unwrap();
                if inbox.index_of(uid).is_some() {
                    say(format!("flagged {uid} {flag}\n"));
                }
            }
            _ => {
                inbox.refresh().unwrap();
                inbox.messages().iter().for_each(|entry| say(saw(&inbox, entry.uid)));
            }
        }
    }
}

/// Which message has this UID, where it is still there.
fn saw(inbox: &impl Mailbox, uid: Uid) -> String {
    let Ok(octets) = inbox.read(uid) else { return String::new() };
    let size = inbox.index_of(uid).map(|at| inbox.messages()[at].size);
    assert_eq!(size, Some(octets.len() as u64));
    format!("saw {uid} {}\n", whole(&octets))
}

/// Everything that all processes said so far.
#[derive(Default)]
struct Told {
    delivering: BTreeSet<String>,
    delivered: BTreeSet<String>,
    removing: BTreeSet<u32>,
    removed: BTreeSet<u32>,
    names: BTreeMap<u32, String>,
    flagged: BTreeSet<(u32, String)>,
}

impl Told {
    fn name(&mut self, uid: u32, name: &str) {
        let known = self.names.entry(uid).or_insert_with(|| name.to_owned());
        assert_eq!(known, name, "UID {uid} stands for one message only");
    }

    fn read(&mut self, log: &str) {
        // The last line may be cut off by the kill.
        for line in log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let mut words = line.split(' ');
            let verb = words.next().unwrap();
            let words: Vec<&str> = words.collect();
            let uids = || words.iter().map(|word| word.parse::<u32>().unwrap());
            match verb {
                "delivering" => drop(self.delivering.insert(words[0].into())),
                "delivered" => drop(self.delivered.insert(words[0].into())),
                "removing" => self.removing.extend(uids()),
                "removed" => self.removed.extend(uids()),
                "saw" => self.name(words[0].parse().unwrap(), words[1]),
                "flagged" => drop(self.flagged.insert((words[0].parse().unwrap(), words[1].into()))),
                other => panic!("{other}"),
            }
        }
    }
}

fn check(store: &impl Store, told: &mut Told, validity: NonZeroU32) -> usize {
    let inbox = store.open("INBOX").unwrap();
    assert_eq!(inbox.uid_validity(), validity);
    let mut here = BTreeSet::new();
    for entry in inbox.messages() {
        let octets = inbox.read(entry.uid).unwrap();
        assert_eq!(octets.len() as u64, entry.size);
        let name = whole(&octets);
        let uid = entry.uid.0.get();
        told.name(uid, &name);
        assert!(told.delivering.contains(&name), "{name} was never sent");
        assert!(here.insert(name.clone()), "{name} is there twice");
        assert!(!told.removed.contains(&uid), "{name} was removed");
        for (_, flag) in told.flagged.iter().filter(|(of, _)| *of == uid) {
            assert!(entry.flags.contains(&Flag::parse(flag).unwrap()), "{name} had the flag {flag}");
        }
        assert!(entry.uid < inbox.uid_next());
    }
    let going: BTreeSet<&String> = told.removing.iter().filter_map(|uid| told.names.get(uid)).collect();
    for name in &told.delivered {
        assert!(here.contains(name) || going.contains(name), "{name} was acknowledged and is lost");
    }
    here.len()
}

fn run<S: Store>(kind: &str, open: impl Fn(&Path) -> S) {
    let dir = std::env::temp_dir().join(format!("facteur-kill-{kind}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).unwrap();
    let root = dir.join("store");
    let validity = open(&root).open("INBOX").unwrap().uid_validity();
    let mut random = Random(0x5eed);
    let mut told = Told::default();
    let mut left = 0;
    for round in 0..ROUNDS {
        let logs: Vec<PathBuf> = (0..CHILDREN).map(|child| dir.join(format!("log-{round}-{child}"))).collect();
        let mut children: Vec<Worker> = logs
            .iter()
            .zip(0..)
            .map(|(log, child)| {
                let child = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "a_process_that_will_be_killed", "--nocapture"])
                    .env("FACTEUR_STORE_KILL", format!("{kind}:{}", round * CHILDREN + child + 1))
                    .env("FACTEUR_STORE_KILL_ROOT", &root)
                    .env("FACTEUR_STORE_KILL_LOG", log)
                    .stdout(Stdio::null())
                    .spawn();
                Worker(child.unwrap())
            })
            .collect();
        // Until both are at work, and then a while.
        while logs.iter().any(|log| fs::metadata(log).map_or(0, |there| there.len()) < 100) {
            std::thread::sleep(Duration::from_millis(1));
            assert!(children.iter_mut().all(Worker::is_at_work), "a process ended of itself");
        }
        std::thread::sleep(Duration::from_micros(20_000 + random.below(100_000)));
        assert!(children.iter_mut().all(Worker::is_at_work), "a process ended of itself");
        drop(children);
        for log in &logs {
            told.read(&fs::read_to_string(log).unwrap());
        }
        left = check(&open(&root), &mut told, validity);
    }
    println!(
        "{kind}: {} messages acknowledged, {} removed, {} flagged, {left} left after {ROUNDS} kills of {CHILDREN} processes",
        told.delivered.len(),
        told.removed.len(),
        told.flagged.len(),
    );
    assert!(told.delivered.len() > 20 && told.removed.len() > 5, "the processes got to work");
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn a_maildir_survives_kills() {
    run("maildir", |root| maildir::Store::open(root).unwrap());
}

#[test]
fn an_mbox_survives_kills() {
    run("mbox", |root| mbox::Store::open(root).unwrap());
}

/// Does nothing unless it is run by the tests above.
#[test]
fn a_process_that_will_be_killed() {
    let Ok(task) = std::env::var("FACTEUR_STORE_KILL") else { return };
    let root = PathBuf::from(std::env::var_os("FACTEUR_STORE_KILL_ROOT").unwrap());
    let path = std::env::var_os("FACTEUR_STORE_KILL_LOG").unwrap();
    let mut log = File::options().create(true).append(true).open(path).unwrap();
    let (kind, seed) = task.split_once(':').unwrap();
    let seed = seed.parse().unwrap();
    match kind {
        "maildir" => work(&maildir::Store::open(root).unwrap(), &mut log, seed),
        _ => work(&mbox::Store::open(root).unwrap(), &mut log, seed),
    }
}
