//! Messages a second into the queue, each on stable storage before it counts, by sessions at once and size; with what the
//! disk can do at all beside it. `cargo bench --bench spool [SECONDS [DIRECTORY]]`, 1 second a line and the directory for
//! temporary files where nothing is said.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use facteur::smtp::{Envelope, ForwardPath, ReversePath};
use facteur::spool::{Queue, QueueConfig, Spool};

fn main() {
    // cargo adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let seconds = words.next().and_then(|word| word.parse().ok()).unwrap_or(1.0);
    let above = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = above.join(format!("facteur-bench-spool-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let each = Duration::from_secs_f64(seconds);
    println!("sessions      size   messages/s      MB/s   syncs/s of this disk, before and after");
    for size in [1 << 10, 10 << 10, 100 << 10, 1 << 20] {
        for sessions in [1, 20, 100] {
            let before = syncs(&directory, each / 4);
            let stored = stored(&directory, sessions, size, each);
            let after = syncs(&directory, each / 4);
            let volume = stored * size as f64 / 1e6;
            println!("{sessions:8} {size:9} {stored:12.0} {volume:9.1}   {before:.0} {after:.0}");
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

/// How often a file of 512 octets can be written and synced, one after the other.
fn syncs(directory: &Path, time: Duration) -> f64 {
    let mut file = File::create(directory.join("raw")).unwrap();
    let begun = Instant::now();
    let mut count = 0.0;
    while begun.elapsed() < time {
        file.write_all(&[0; 512]).unwrap();
        file.sync_data().unwrap();
        count += 1.0;
    }
    count / begun.elapsed().as_secs_f64()
}

fn stored(directory: &Path, sessions: usize, size: usize, time: Duration) -> f64 {
    let directory = directory.join("queue");
    let queue = Queue::open(QueueConfig::new(&directory)).unwrap();
    let mut content = b"Subject: bench\r\n\r\n".to_vec();
    while content.len() < size {
        content.extend_from_slice(b"a line as long as lines of mail are, more or less so, and not longer\r\n");
    }
    let (done, count, ready) = (AtomicBool::new(false), AtomicU64::new(0), Barrier::new(sessions + 1));
    let begun = std::thread::scope(|scope| {
        for _ in 0..sessions {
            scope.spawn(|| {
                ready.wait();
                while !done.load(Ordering::Relaxed) {
                    let envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
                    queue.store(envelope, &content).unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        ready.wait();
        let begun = Instant::now();
        std::thread::sleep(time);
        done.store(true, Ordering::Relaxed);
        begun
    });
    let rate = count.into_inner() as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&directory).unwrap();
    rate
}
