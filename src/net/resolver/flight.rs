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
    /// Who waits for an answer, and the number of the flight that brings it.
    under_way: HashMap<Question, (u64, Vec<Waiter>)>,
    /// How many flights there were.
    flights: u64,
}

impl Flights {
    pub(super) fn new(cache: Cache, at_once: usize) -> Self {
        let permits = Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS));
        Self { state: Mutex::new(State { cache, under_way: HashMap::new(), flights: 0 }), permits }
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
        if let Some((_, waiters)) = state.under_way.get_mut(question) {
            waiters.push(waiter.clone());
            return None;
        }
        state.flights += 1;
        let number = state.flights;
        state.under_way.insert(question.clone(), (number, vec![waiter.clone()]));
        Some(Flight { flights: Arc::clone(self), question: question.clone(), number, answer: None })
    }
}

/// A question under way. However it ends, those who wait hear of it.
pub(super) struct Flight {
    flights: Arc<Flights>,
    question: Question,
    number: u64,
    answer: Option<(Answer, Instant)>,
}

impl Flight {
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// Waits for its turn, and then for `asking`; `None` where nobody waits for the answer by then: whoever sends mail of
    /// which each name takes long to ask for does not keep others from asking any longer than it is looked at.
    pub(super) async fn permitted(&self, asking: impl Future<Output = Answer>) -> Option<Answer> {
        let _permit = self.flights.permits.acquire().await; // it is never closed
        if self.is_abandoned() { None } else { Some(asking.await) }
    }

    /// Whether nobody waits any more. From then on whoever asks the same begins anew.
    fn is_abandoned(&self) -> bool {
        let mut state = self.flights.state();
        let wanted = |(_, waiters): &(u64, Vec<Waiter>)| waiters.iter().any(|waiter| !waiter.is_closed());
        if state.under_way.get(&self.question).is_some_and(wanted) {
            return false;
        }
        state.under_way.remove(&self.question);
        true
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
            // Another flight may have begun since this one was given up.
            match state.under_way.get(&self.question) {
                Some((number, _)) if *number == self.number => state.under_way.remove(&self.question),
                _ => None,
            }
        };
        // A task that is dropped with its runtime has no answer.
        let answer = self.answer.take().map_or_else(|| Err(Failure::ServFail).into(), |(answer, _)| answer);
        for waiter in waiters.map(|(_, waiters)| waiters).unwrap_or_default() {
            let _ = waiter.send((self.question.clone(), answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_asked() {
        let (flights, now) = (Arc::new(Flights::new(Cache::new(10), 1)), Instant::now());
        let question: Question = "x.test A".parse().unwrap();
        let answer = || Answer::from(Err(Failure::NoData));
        let (sender, receiver) = mpsc::unbounded_channel();
        let flight = flights.join(&question, &sender, now).unwrap();
        drop(receiver);
        assert_eq!(flight.permitted(async { panic!("it is asked") }).await, None);
        // Whoever asks now does not get what came of that.
        let (sender, mut answers) = mpsc::unbounded_channel();
        let again = flights.join(&question, &sender, now).unwrap();
        assert!(flights.join(&question, &sender, now).is_none());
        drop(flight);
        assert!(answers.try_recv().is_err());
        let found = again.permitted(async { answer() }).await.unwrap();
        again.land(found, now);
        assert_eq!(answers.try_recv().unwrap(), (question.clone(), answer()));
        assert_eq!(answers.try_recv().unwrap(), (question, answer()));
    }

    #[tokio::test]
    async fn who_is_dropped_answers_the_others() {
        let (flights, now) = (Arc::new(Flights::new(Cache::new(10), 1)), Instant::now());
        let question: Question = "x.test A".parse().unwrap();
        let ((first, gone), (second, mut answers)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let flight = flights.join(&question, &first, now).unwrap();
        assert!(flights.join(&question, &second, now).is_none());
        drop(gone);
        drop(flight);
        assert_eq!(answers.try_recv().unwrap().1, Answer::from(Err(Failure::ServFail)));
    }
}
