//! The answers that are kept and the questions under way: each is asked once, however many want to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc};

use crate::dns::{Answer, Cache, Failure, Question};

/// Where an answer is wanted.
pub(super) type Waiter = mpsc::UnboundedSender<(Question, Answer)>;

pub(super) struct Flights {
    state: Mutex<State>,
    permits: Semaphore,
}

struct State {
    cache: Cache,
    under_way: HashMap<Question, Vec<Waiter>>,
}

impl Flights {
    pub(super) fn new(cache: Cache, at_once: usize) -> Self {
        let permits = Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS));
        Self { state: Mutex::new(State { cache, under_way: HashMap::new() }), permits }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that `waiter` is answered. Where nobody asks the question yet, whoever called must, with the flight.
    pub(super) fn join(self: &Arc<Self>, question: &Question, waiter: &Waiter, now: Instant) -> Option<Flight> {
        let mut state = self.state();
        if let Some(answer) = state.cache.look(question, now) {
            let _ = waiter.send((question.clone(), answer)); // nobody is there any more, then
            return None;
        }
        let waiters = state.under_way.entry(question.clone()).or_default();
        waiters.push(waiter.clone());
        let is_first = waiters.len() == 1;
        is_first.then(|| Flight { flights: Arc::clone(self), question: question.clone(), answer: None })
    }
}

/// A question under way. However it ends, those who wait hear of it.
pub(super) struct Flight {
    flights: Arc<Flights>,
    question: Question,
    answer: Option<(Answer, Instant)>,
}

impl Flight {
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// Waits for its turn, and then for `asking`.
    pub(super) async fn permitted(&self, asking: impl Future<Output = Answer>) -> Answer {
        let _permit = self.flights.permits.acquire().await; // it is never closed
        asking.await
    }

    pub(super) fn land(mut self, answer: Answer, now: Instant) {
        self.answer = Some((answer, now));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let waiters = {
            let mut state = self.flights.state();
            if let Some((answer, now)) = &self.answer {
                state.cache.put(self.question.clone(), answer.clone(), *now);
            }
            state.under_way.remove(&self.question).unwrap_or_default()
        };
        // A task that is dropped with its runtime has no answer.
        let answer = self.answer.take().map_or_else(|| Err(Failure::ServFail).into(), |(answer, _)| answer);
        for waiter in waiters {
            let _ = waiter.send((self.question.clone(), answer.clone()));
        }
    }
}
