//! Interleaved rounds, and an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counts while [`COUNTING`] says so. One thread allocates, so loads and stores suffice.
pub struct Counter;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn more(octets: usize) {
    ALLOCATIONS.store(ALLOCATIONS.load(Relaxed) + 1, Relaxed);
    let live = LIVE.load(Relaxed) + octets;
    LIVE.store(live, Relaxed);
    PEAK.store(PEAK.load(Relaxed).max(live), Relaxed);
}

fn less(octets: usize) {
    // What was allocated before counting began may be freed.
    LIVE.store(LIVE.load(Relaxed).saturating_sub(octets), Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTING.load(Relaxed) {
            more(layout.size());
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if COUNTING.load(Relaxed) {
            more(layout.size());
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if COUNTING.load(Relaxed) {
            less(layout.size());
        }
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if COUNTING.load(Relaxed) {
            // Both blocks may live for a moment; a peak counts the larger of them, as a block grown in place has it.
            less(layout.size());
            more(size);
        }
        unsafe { System.realloc(block, layout, size) }
    }
}

/// One who does the work: a name, and the work on item `n`, which says what it saw so that nobody may leave anything out.
pub struct Peer<'a> {
    pub name: &'static str,
    pub work: Box<dyn FnMut(usize) -> u64 + 'a>,
    /// Does other work than the rest and so has no part in the ratio, and need not see the same; for comparison only.
    pub aside: bool,
}

impl<'a> Peer<'a> {
    pub fn new(name: &'static str, work: impl FnMut(usize) -> u64 + 'a) -> Self {
        Self { name, work: Box::new(work), aside: false }
    }

    /// As [`new`](Self::new), outside of the ratio.
    pub fn aside(name: &'static str, work: impl FnMut(usize) -> u64 + 'a) -> Self {
        Self { aside: true, ..Self::new(name, work) }
    }
}

/// One row of the table: the same work by all, on `items` items of so many octets.
pub struct Work<'a> {
    /// `reader/small`
    pub name: &'a str,
    pub items: usize,
    pub octets: usize,
    /// What the ratio is to reach.
    pub target: Option<f64>,
}

/// What is measured of the groups, and how often.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub number: usize,
    /// Only works with this in their name.
    pub only: &'static str,
    /// Ours without the peers, for a profiler.
    pub alone: bool,
}

impl Rounds {
    /// Measures the peers in turn, the first of them ours, and prints a line for each and the ratio.
    pub fn compare(self, work: &Work<'_>, peers: &mut [Peer<'_>]) {
        if !work.name.contains(self.only) {
            return;
        }
        let peers = if self.alone { &mut peers[..1] } else { peers };
        let mut times = vec![Vec::with_capacity(self.number); peers.len()];
        let mut seen = Vec::new();
        // To warm up, and to see that all see the same.
        for peer in &mut *peers {
            seen.push((0..work.items).fold(0_u64, |sum, n| sum.wrapping_add((peer.work)(n))));
        }
        for (n, peer) in peers.iter().enumerate() {
            if seen[n] != seen[0] && !peer.aside {
                println!("differs {} {} saw {}, {} saw {}", work.name, peer.name, seen[n], peers[0].name, seen[0]);
            }
        }
        for round in 0..self.number {
            for turn in 0..peers.len() {
                let n = (round + turn) % peers.len();
                let begin = Instant::now();
                for item in 0..work.items {
                    black_box((peers[n].work)(black_box(item)));
                }
                times[n].push(begin.elapsed());
            }
        }
        let mut least = Vec::new();
        for (peer, times) in peers.iter_mut().zip(&mut times) {
            times.sort();
            let (min, median) = (times[0], times[times.len() / 2]);
            least.push(min);
            let (allocations, peak) = count(work.items, &mut peer.work);
            println!(
                "{:<24} {:<26} min {:>10.3} us {:>7.2} GB/s  median {:>10.3} us  allocations {:>8.1}  peak {:>9}  ours {:>6.2} times",
                work.name,
                peer.name,
                micros(min) / work.items as f64,
                work.octets as f64 / min.as_nanos() as f64,
                micros(median) / work.items as f64,
                allocations as f64 / work.items as f64,
                peak,
                min.as_secs_f64() / least[0].as_secs_f64(),
            );
        }
        let peers = peers.iter().zip(&least).skip(1).filter(|(peer, _)| !peer.aside);
        if let Some((peer, fastest)) = peers.min_by_key(|(_, min)| **min) {
            let ratio = fastest.as_secs_f64() / least[0].as_secs_f64();
            let target = work.target.map_or("-".to_owned(), |target| target.to_string());
            println!("ratio {} {ratio:.2} target {target} to {}", work.name, peer.name);
        }
    }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

/// How many allocations all items take, and how many octets live at once at the most.
fn count(items: usize, work: &mut dyn FnMut(usize) -> u64) -> (usize, usize) {
    for count in [&ALLOCATIONS, &LIVE, &PEAK] {
        count.store(0, Relaxed);
    }
    COUNTING.store(true, Relaxed);
    for item in 0..items {
        black_box(work(item));
    }
    COUNTING.store(false, Relaxed);
    (ALLOCATIONS.load(Relaxed), PEAK.load(Relaxed))
}
