//! The first trip of a letter, and the promise behind it: what mailhost acknowledged it never loses.
//!
//! A stream of 500 letters is submitted with AUTH over STARTTLS while the process is killed with SIGKILL at random
//! moments and started again. In the end each acknowledged letter must be in the mailbox exactly as sent (trace fields
//! aside), through POP3 and through IMAP, and none twice unless its acknowledgement was lost.
#![cfg(all(feature = "net", unix))]

mod support;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use support::{Client, Folder, Mailhost, expect};

const LETTERS: usize = 500;
const SENDERS: usize = 4;
const KILLS: usize = 12;

/// xorshift64*, from a seed: the same letters in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

/// A letter: header and body, lines ended by CRLF, with what has broken other queues: dots, long lines, 8-bit octets,
/// `From ` at a line start, folded fields, no body at all.
fn letter(number: usize) -> Vec<u8> {
    let mut random = Random(number as u64 * 7919 + 1);
    let mut text = format!(
        "From: Ada <ada@example.org>\r\nTo: demo@localhost\r\nSubject: letter {number}\r\nMessage-ID: <{number}@first.test>\r\nDate: Sat, 21 Nov 2026 19:48:22 +0000\r\n"
    )
    .into_bytes();
    if random.below(3) == 0 {
        text.extend_from_slice(b"X-Odd:no space\r\nx-folded: one\r\n\ttwo\r\n  three \r\nMIME-version: 1.0\r\nContent-type: text/plain; charset=iso-8859-1\r\n");
    }
    text.extend_from_slice(b"\r\n");
    for _ in 0..random.below(120) {
        match random.below(9) {
            0 => text.extend_from_slice(b".\r\n"),
            1 => text.extend_from_slice(b"..two dots\r\n"),
            2 => text.extend_from_slice(b"From here on\r\n"),
            3 => text.extend_from_slice(b"\r\n"),
            4 => text.extend_from_slice(b"caf\xe9 \x81 \xff\r\n"),
            5 => {
                text.extend(std::iter::repeat_n(b'x', random.below(900)));
                text.extend_from_slice(b"\r\n");
            }
            _ => text.extend_from_slice(format!("line {} of letter {number}\r\n", random.below(1000)).as_bytes()),
        }
    }
    text
}

/// Sends one letter; `Ok` once it is acknowledged.
fn submit(client: &mut Client, number: usize) -> io::Result<()> {
    expect(&client.smtp("MAIL FROM:<ada@example.org>")?, "250");
    expect(&client.smtp("RCPT TO:<demo@localhost>")?, "250");
    expect(&client.smtp("DATA")?, "354");
    let mut stuffed = Vec::new();
    for line in letter(number).split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    client.send(&stuffed)?;
    expect(&client.smtp(".")?, "250");
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    /// Not tried, or broken off before the end of the data went out.
    Open,
    Acknowledged,
    /// Broken off while it was sent: it may have been accepted, its acknowledgement lost.
    Unknown,
}

#[test]
fn no_acknowledged_letter_is_lost_however_often_the_process_is_killed() {
    let folder = Folder::new("first-letter");
    let data = folder.0.join("data");
    let host = RwLock::new(Some(Mailhost::start(&data)));
    let fates = Mutex::new(vec![Fate::Open; LETTERS]);
    let next = AtomicUsize::new(0);
    let acknowledged = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);

    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut client = None;
                let mut number = next.fetch_add(1, Ordering::SeqCst);
                let mut refusals = 0;
                while number < LETTERS {
                    if client.is_none() {
                        // The lock waits out the restart.
                        client = host.read().unwrap().as_ref().unwrap().submission().ok();
                        refusals += 1;
                        assert!(refusals < 10_000, "mailhost does not come up");
                    }
                    let Some(open) = client.as_mut() else { continue };
                    match submit(open, number) {
                        Ok(()) => {
                            fates.lock().unwrap()[number] = Fate::Acknowledged;
                            acknowledged.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(_) => {
                            fates.lock().unwrap()[number] = Fate::Unknown;
                            client = None;
                        }
                    }
                    number = next.fetch_add(1, Ordering::SeqCst);
                }
                finished.fetch_add(1, Ordering::SeqCst);
            });
        }
        // The killer: after a random number of acknowledgements, at a random moment of what follows.
        let mut random = Random(42);
        for kill in 1..=KILLS {
            let after = kill * LETTERS / (KILLS + 1);
            while acknowledged.load(Ordering::SeqCst) < after && finished.load(Ordering::SeqCst) < SENDERS {
                std::thread::yield_now();
            }
            let moment = Instant::now() + Duration::from_micros(random.below(20_000) as u64);
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            // The senders hold the lock only while they log in, so the kill may come in the middle of a letter.
            let mut slot = host.write().unwrap();
            slot.take().unwrap().kill();
            *slot = Some(Mailhost::start(&data));
        }
    });

    let fates = fates.into_inner().unwrap();
    let sure = fates.iter().filter(|fate| **fate == Fate::Acknowledged).count();
    assert!(sure > LETTERS / 2, "most letters are acknowledged: {sure}");
    let host = host.into_inner().unwrap().unwrap();
    let by_pop = host.settled(sure);
    check(&fates, &by_pop, "POP3");
    check(&fates, &through_imap(&host), "IMAP");
    let unknown = fates.iter().filter(|fate| **fate == Fate::Unknown).count();
    println!(
        "{LETTERS} letters, {KILLS} kills: {sure} acknowledged, {unknown} broken off, {} in the mailbox",
        by_pop.len()
    );
    assert!(host.interrupt().success(), "Ctrl-C ends it cleanly");
}

fn through_imap(host: &Mailhost) -> Vec<Vec<u8>> {
    let mut client = host.connect("imaps").unwrap();
    client.start_tls().unwrap();
    assert!(client.line().unwrap().starts_with("* OK"));
    let mut exists = 0;
    for (tag, command) in [("a", format!("LOGIN demo {}", host.password())), ("b", "SELECT INBOX".to_owned())] {
        client.send(format!("{tag} {command}\r\n").as_bytes()).unwrap();
        loop {
            let line = client.line().unwrap();
            if let Some(count) = line.strip_prefix("* ").and_then(|line| line.strip_suffix(" EXISTS")) {
                exists = count.parse().unwrap();
            }
            if line.starts_with(&format!("{tag} ")) {
                assert!(line.starts_with(&format!("{tag} OK")), "{line}");
                break;
            }
        }
    }
    let mut letters = Vec::new();
    client.send(b"c FETCH 1:* (BODY.PEEK[])\r\n").unwrap();
    loop {
        let line = client.line().unwrap();
        if line.starts_with("c ") {
            assert!(line.starts_with("c OK"), "{line}");
            break;
        }
        assert!(line.starts_with("* "), "{line}");
        if let Some(len) = line.rsplit_once('{').and_then(|(_, rest)| rest.strip_suffix('}')) {
            letters.push(client.exact(len.parse().unwrap()).unwrap());
            assert_eq!(client.line().unwrap(), ")");
        }
    }
    assert_eq!(letters.len(), exists, "as many letters as SELECT said");
    letters
}

/// Each acknowledged letter is there once and as sent; the others at most once.
fn check(fates: &[Fate], letters: &[Vec<u8>], protocol: &str) {
    let mut count: HashMap<usize, usize> = HashMap::new();
    for letter_found in letters {
        let text = String::from_utf8_lossy(letter_found);
        let number: usize =
            text.split_once("Subject: letter ").expect("a subject").1.split("\r\n").next().unwrap().parse().unwrap();
        // The trace fields stand on top; what follows must be what was sent, to the octet.
        let start = letter_found.windows(10).position(|window| window == b"From: Ada ").expect("the first field");
        assert!(
            text[..].starts_with("Return-Path: <ada@example.org>\r\n"),
            "{protocol}: the trace fields begin with Return-Path: {text:.80}"
        );
        assert!(letter_found[start..] == letter(number), "{protocol}: letter {number} is not as it was sent");
        *count.entry(number).or_default() += 1;
    }
    for (number, fate) in fates.iter().enumerate() {
        let found = count.get(&number).copied().unwrap_or(0);
        match fate {
            Fate::Acknowledged => assert_eq!(found, 1, "{protocol}: letter {number} was acknowledged once"),
            Fate::Unknown => assert!(found <= 1, "{protocol}: letter {number} is there {found} times, sent once"),
            Fate::Open => assert_eq!(found, 0, "{protocol}: letter {number} was never sent"),
        }
    }
}

#[test]
fn strangers_may_not_relay_and_unknown_recipients_are_refused_at_rcpt() {
    let folder = Folder::new("no-relay");
    let host = Mailhost::start(&folder.0.join("data"));
    let mut client = host.connect("smtp").unwrap();
    client.smtp_reply().unwrap();
    expect(&client.smtp("EHLO stranger.test").unwrap(), "250");
    expect(&client.smtp("MAIL FROM:<x@stranger.test>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<nobody@localhost>").unwrap(), "550");
    for relay in [
        "x@example.org",
        "demo%example.org@localhost",
        "\"x@example.org\"@localhost",
        "example.org!x@localhost",
        "demo@[192.0.2.1]",
        "@localhost:x@example.org",
    ] {
        let reply = client.smtp(&format!("RCPT TO:<{relay}>")).unwrap();
        assert!(reply.starts_with("55"), "{relay}: {reply}");
    }
    expect(&client.smtp("RCPT TO:<demo@LocalHost>").unwrap(), "250");
    // Submission is for users: without AUTH there is not even a MAIL.
    let mut client = host.connect("submission").unwrap();
    client.smtp_reply().unwrap();
    assert!(!client.smtp("EHLO stranger.test").unwrap().contains("AUTH"), "no AUTH without TLS");
    expect(&client.smtp("MAIL FROM:<x@stranger.test>").unwrap(), "530");
}

#[test]
fn no_acknowledged_letter_is_lost_on_its_way_to_the_next_host() {
    const RELAYED: usize = 120;
    let folder = Folder::new("relayed");
    let b = Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]");
    let routes = format!("[[transports]]\ndomain = \"b.test\"\nhost = \"{}\"", b.listeners["smtp"]);
    let data = folder.0.join("a");
    let mut a = Mailhost::start_with(&data, &routes);
    let mut random = Random(7);
    let mut kills = 0;
    let mut client = a.submission().unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..RELAYED {
        let mut send = || {
            expect(&client.smtp("MAIL FROM:<ada@example.org>")?, "250");
            expect(&client.smtp("RCPT TO:<demo@b.test>")?, "250");
            expect(&client.smtp("DATA")?, "354");
            client.send(format!("Subject: letter {number}\r\n\r\nOn its way.\r\n").as_bytes())?;
            expect(&client.smtp(".")?, "250");
            Ok::<_, io::Error>(())
        };
        send().unwrap();
        acknowledged.push(number);
        if number % 15 == 14 {
            // Sessions to the next host are open, some in the middle of a letter.
            let moment = Instant::now() + Duration::from_micros(random.below(10_000) as u64);
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            a.kill();
            kills += 1;
            a = Mailhost::start_with(&data, &routes);
            client = a.submission().unwrap();
        }
    }
    assert!(a.settled(0).is_empty(), "no bounces");
    let mut found: HashMap<usize, usize> = HashMap::new();
    for letter in b.settled(RELAYED) {
        let text = String::from_utf8(letter).unwrap();
        let number = text.split_once("Subject: letter ").unwrap().1.split("\r\n").next().unwrap().parse().unwrap();
        assert!(text.ends_with("\r\n\r\nOn its way.\r\n"));
        *found.entry(number).or_default() += 1;
    }
    assert!(acknowledged.iter().all(|number| found.contains_key(number)));
    // Twice only where the process died between the next host's answer and the record of it.
    let twice: usize = found.values().map(|count| count - 1).sum();
    assert!(twice <= kills * 5, "{twice} letters more after {kills} kills");
    println!("{RELAYED} letters relayed, {kills} kills, {twice} twice");
}
