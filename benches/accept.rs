//! How many messages a second mailhost accepts over loopback, each on stable storage before its 250, while it delivers
//! them to a Maildir at the same time; and what this disk's syncs allow.
//!
//! `cargo bench --bench accept`; `-- --seconds 5` measures each cell that long.

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::Mailhost;

const CONNECTIONS: [usize; 3] = [1, 20, 100];
const SIZES: [(&str, usize); 4] = [("1 KB", 1 << 10), ("10 KB", 10 << 10), ("100 KB", 100 << 10), ("1 MB", 1 << 20)];

fn main() {
    let mut arguments = std::env::args();
    let seconds = arguments.by_ref().find(|argument| argument == "--seconds").and_then(|_| arguments.next());
    let length = Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(3));
    let root = std::env::temp_dir().join(format!("facteur-accept-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("a folder for the queue");

    println!(
        "disk: {:.0} syncs a second of a new 1 KB file with its folder, one at a time",
        sync_rate(&root, length, 1)
    );
    println!("disk: {:.0} the same from 20 threads", sync_rate(&root, length, 20));
    for (name, size) in SIZES {
        for connections in CONNECTIONS {
            let data = root.join(format!("{size}-{connections}"));
            let host = Mailhost::start(&data);
            let rate = accepted(&host, connections, size, length);
            drop(host);
            println!(
                "accept {name}, {connections} connections: {rate:.0} messages a second, {:.1} MB/s",
                rate * size as f64 / 1e6
            );
            let _ = std::fs::remove_dir_all(&data);
        }
    }
    let _ = std::fs::remove_dir_all(&root);
}

/// Messages a second that so many connections have acknowledged, each sending one after the other.
fn accepted(host: &Mailhost, connections: usize, size: usize, length: Duration) -> f64 {
    let mut message = b"From: Ada <ada@example.org>\r\nTo: demo@localhost\r\nSubject: a letter\r\nMessage-ID: <1@bench.test>\r\nDate: Sat, 21 Nov 2026 19:48:22 +0000\r\n\r\n".to_vec();
    while message.len() < size {
        message.extend_from_slice(b"The quick brown fox jumps over the lazy dog, and back again.\r\n");
    }
    message.extend_from_slice(b".\r\n");
    let (count, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut clients: Vec<_> = (0..connections)
        .map(|_| {
            let mut client = host.connect("smtp").expect("a connection");
            client.smtp_reply().expect("a greeting");
            client.smtp("EHLO bench.test").expect("an answer");
            client
        })
        .collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in &mut clients {
            let (count, stop, message) = (&count, &stop, &message);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    client.send(b"MAIL FROM:<ada@example.org>\r\nRCPT TO:<demo@localhost>\r\nDATA\r\n").expect("sent");
                    for code in ["250", "250", "354"] {
                        assert!(client.smtp_reply().is_ok_and(|reply| reply.starts_with(code)));
                    }
                    client.send(message).expect("sent");
                    assert!(client.smtp_reply().is_ok_and(|reply| reply.starts_with("250")));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// New files a second that are synced, each with its folder.
fn sync_rate(root: &Path, length: Duration, threads: usize) -> f64 {
    let folder = root.join("sync");
    std::fs::create_dir_all(&folder).expect("a folder");
    let count = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (count, folder) = (&count, &folder);
            scope.spawn(move || {
                let mut number = 0;
                while start.elapsed() < length {
                    let mut file = std::fs::File::create(folder.join(format!("{thread}-{number}"))).expect("a file");
                    file.write_all(&[b'x'; 1024]).expect("written");
                    file.sync_all().expect("synced");
                    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).expect("synced");
                    count.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
            });
        }
    });
    let _ = std::fs::remove_dir_all(&folder);
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}
