//! One act shared by all who wait for it: the syncs of concurrent sessions.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Runs an act for many at once. Whoever comes while it runs waits for the next run, because the one that runs may have
/// begun before his change; all who wait share that one.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many runs have begun.
    begun: u64,
    /// How many runs have ended; at most one less than have begun.
    ended: u64,
    /// The last runs that went wrong, with the error as far as it can be told twice.
    failed: Option<(u64, io::ErrorKind, Option<i32>)>,
}

impl Turns {
    /// Returns once `act` has run, by whoever, from beginning to end since this was called.
    pub(super) fn take(&self, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        let wanted = state.begun + 1;
        loop {
            if state.ended >= wanted {
                // A later run that went wrong may be told to one whose own went well: better refused than lost.
                return match state.failed {
                    Some((run, _, Some(code))) if run >= wanted => Err(io::Error::from_raw_os_error(code)),
                    Some((run, kind, None)) if run >= wanted => Err(kind.into()),
                    _ => Ok(()),
                };
            }
            if state.begun == state.ended {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.begun += 1;
        drop(state);
        // Where `act` panics the others must not wait for ever.
        let run = Run { turns: self, outcome: Err(io::ErrorKind::Other.into()) };
        run.with(act)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // numbers are whole at any moment
    }
}

struct Run<'a> {
    turns: &'a Turns,
    outcome: io::Result<()>,
}

impl Run<'_> {
    fn with(mut self, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.outcome = act();
        match &self.outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)),
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.ended += 1;
        if let Err(error) = &self.outcome {
            state.failed = Some((state.ended, error.kind(), error.raw_os_error()));
        }
        drop(state);
        self.turns.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn every_change_is_followed_by_a_whole_run() {
        let turns = Arc::new(Turns::default());
        let (changes, seen, runs) =
            (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (turns, changes, seen, runs) = (turns.clone(), changes.clone(), seen.clone(), runs.clone());
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        let mine = changes.fetch_add(1, Ordering::SeqCst) + 1;
                        turns
                            .take(|| {
                                runs.fetch_add(1, Ordering::SeqCst);
                                seen.fetch_max(changes.load(Ordering::SeqCst), Ordering::SeqCst);
                                std::thread::yield_now();
                                Ok(())
                            })
                            .unwrap();
                        assert!(seen.load(Ordering::SeqCst) >= mine);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(runs.load(Ordering::SeqCst) <= 1600);
    }

    #[test]
    fn an_error_is_told_and_the_next_run_is_tried() {
        let turns = Turns::default();
        let error = turns.take(|| Err(io::Error::from_raw_os_error(28))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(28));
        turns.take(|| Ok(())).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| turns.take(|| panic!("on purpose"))));
        assert!(panicked.is_err());
        turns.take(|| Ok(())).unwrap();
    }
}
