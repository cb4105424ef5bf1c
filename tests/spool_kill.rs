//! Processes that store and deliver are killed at random moments; what they acknowledged is there afterwards, to the octet,
//! and nothing half-written is seen. (That the machine itself stops is tried step by step in `src/spool/crash.rs`.)
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use facteur::base::Timestamp;
use facteur::smtp::{Enhanced, Envelope, ForwardPath, ReversePath};
use facteur::spool::{Claim, Draft, Failure, Queue, QueueConfig, QueueId, Spool, Submission};

/// Set in a child: the directory of the queue, and the first number of its messages.
const CHILD: &str = "FACTEUR_SPOOL_KILL";
const ROUNDS: u64 = 12;
/// No round begins later than this.
const MOST: Duration = Duration::from_secs(4);
const ARRIVED: i64 = 1_172_593_995;

/// Not a test of its own: what the children do, until they are killed.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (first, directory) = told.split_once(' ').unwrap();
    let queue = Queue::open(QueueConfig::new(directory)).unwrap();
    queue.recover().unwrap();
    let next = AtomicU64::new(first.parse().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    say(&format!("stored {} {number}", store(&queue, number)));
                }
            });
        }
        scope.spawn(|| {
            loop {
                run(&queue);
            }
        });
    });
}

/// One line to the parent. What was written before the end is not lost in a pipe.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn store(queue: &Queue, number: u64) -> QueueId {
    let mut draft = queue.begin().unwrap();
    for piece in content(number).chunks(10_000) {
        draft.write(piece).unwrap();
    }
    let to = ["one", "two"].map(|name| ForwardPath::Address(format!("{name}{number}@x.test").parse().unwrap()));
    draft.commit(Submission::new(Envelope::new(ReversePath::Null, to), Timestamp::from_unix(ARRIVED))).unwrap()
}

/// Delivers a third of all messages; another third to one of two recipients.
fn run(queue: &Queue) {
    for id in queue.due(Timestamp::from_unix(ARRIVED)).unwrap() {
        let Some(mut claim) = queue.claim(&id).unwrap() else { continue };
        match number_of(&claim.content().unwrap()) % 3 {
            0 => {
                say(&format!("removing {id}"));
                claim.remove().unwrap();
                say(&format!("removed {id}"));
            }
            1 if claim.entry().tries == 0 => {
                let mut entry = claim.entry().clone();
                entry.recipients.remove(0);
                entry.recipients[0].failure = Some(Failure::new(Enhanced(4, 4, 1), "no route"));
                entry.tried(entry.arrived, entry.arrived);
                say(&format!("changing {id}"));
                claim.update(entry).unwrap();
                say(&format!("changed {id}"));
            }
            _ => {}
        }
    }
}

/// The number is in every message, and the rest of it follows from that.
fn content(number: u64) -> Vec<u8> {
    let body = format!("line {number}\r\n").repeat(1 + (number as usize * 7919) % 3000);
    let text = match number % 4 {
        0 | 1 => format!("X-Number: {number}\r\nSubject: a\r\n folded field\r\n\r\n{body}"),
        2 => format!("X-Number: {number}\r\n\r\n{body}bare\nLF\r\n{body}"),
        _ => format!("X-Number: {number}\r\nno field, and no empty line"),
    };
    text.into_bytes()
}

fn number_of(content: &[u8]) -> u64 {
    let line = content.split(|octet| *octet == b'\r').next().unwrap();
    std::str::from_utf8(line).unwrap().strip_prefix("X-Number: ").unwrap().parse().unwrap()
}

/// What the children said, of each message.
#[derive(Debug, Default)]
struct Said {
    number: Option<u64>,
    changing: bool,
    changed: bool,
    removing: bool,
    removed: bool,
}

#[test]
fn what_was_acknowledged_is_there_after_kill() {
    let directory = std::env::temp_dir().join(format!("facteur-spool-kill-{}", std::process::id()));
    let mut said: BTreeMap<QueueId, Said> = BTreeMap::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS && begun.elapsed() < MOST {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Two processes on one queue, each killed after so many acknowledgements; its other threads are anywhere then.
        let readers = [0, 1].map(|place| {
            let child = start(&directory, (rounds * 2 + place) * 1_000_000);
            let acknowledged = 1 + (random >> (8 * place)) % 50;
            std::thread::spawn(move || kill_after(child, acknowledged))
        });
        for line in readers.into_iter().flat_map(|reader| reader.join().unwrap()) {
            note(&line, &mut said);
        }
        check(&directory, &said);
        rounds += 1;
    }
    let stored = said.values().filter(|said| said.number.is_some()).count();
    let changed = said.values().filter(|said| said.changed).count();
    let removed = said.values().filter(|said| said.removed).count();
    println!("{rounds} rounds, {stored} messages acknowledged, {changed} changed, {removed} removed");
    assert!(stored > 0, "the children did something");
    std::fs::remove_dir_all(&directory).unwrap();
}

fn start(directory: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, format!("{first} {}", directory.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// All lines of a child that is killed once it has acknowledged so many messages.
fn kill_after(mut child: Child, acknowledged: u64) -> Vec<String> {
    let mut left = acknowledged;
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.starts_with("stored ") {
            left = left.saturating_sub(1);
            if left == 0 {
                child.kill().unwrap(); // it is dead already where this is not the first time
            }
        }
        lines.push(line);
    }
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended by itself: {lines:#?}");
    lines
}

fn note(line: &str, said: &mut BTreeMap<QueueId, Said>) {
    let words: Vec<_> = line.split(' ').collect();
    let ([verb, id] | [verb, id, _]) = words[..] else { return };
    let Ok(id) = id.parse() else { return };
    let said: &mut Said = match verb {
        "stored" | "changing" | "changed" | "removing" | "removed" => said.entry(id).or_default(),
        _ => return, // the words of the test harness
    };
    match verb {
        "stored" => assert_eq!(said.number.replace(words[2].parse().unwrap()), None, "the id is given once: {line}"),
        "changing" => said.changing = true,
        "changed" => said.changed = true,
        "removing" => said.removing = true,
        _ => assert!(!std::mem::replace(&mut said.removed, true), "two had it in their hands: {line}"),
    }
}

fn check(directory: &Path, said: &BTreeMap<QueueId, Said>) {
    let queue = Queue::open(QueueConfig::new(directory)).unwrap();
    assert!(queue.recover().unwrap().damaged.is_empty());
    let mut found = BTreeSet::new();
    for id in queue.list().unwrap() {
        let claim = queue.claim(&id).unwrap().expect("the locks of the dead are gone");
        let octets = claim.content().unwrap();
        let number = number_of(&octets);
        assert!(octets == content(number), "{id} is not what was stored");
        let tries = claim.entry().tries;
        assert_eq!(claim.entry().recipients.len(), if tries == 0 { 2 } else { 1 });
        if let Some(said) = said.get(&id) {
            assert!(said.number.is_none_or(|stored| stored == number));
            assert!(!said.removed, "{id} has come back");
            assert!(
                if said.changed { tries == 1 } else { tries == 0 || said.changing },
                "{id}: {said:?}, {tries} tries"
            );
        }
        found.insert(id);
    }
    for (id, said) in said.iter().filter(|(_, said)| said.number.is_some()) {
        assert!(found.contains(id) || said.removing, "{id} is lost: {said:?}");
    }
    // A control file and a data file for each, and no left-overs.
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 2 * found.len());
}
