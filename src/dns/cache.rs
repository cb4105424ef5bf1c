//! Answers kept for as long as they may be (RFC 1035 §3.2.1, RFC 2308 §5), and no more of them than a bound.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::dns::{Answer, Failure, Question};

/// Answers by question.
///
/// Temporary failures are not kept. When it is full the answer that was put in first goes, whether it was used or not.
///
/// ```
/// use std::time::{Duration, Instant};
/// use facteur::dns::{Cache, Question, RecordType, Zone};
///
/// let zone: Zone = "example.org 60 A 192.0.2.1".parse()?;
/// let question = Question::new("example.org".parse()?, RecordType::A);
/// let (mut cache, now) = (Cache::new(1000), Instant::now());
/// cache.put(question.clone(), zone.answer(&question), now);
/// assert!(cache.look(&question, now + Duration::from_secs(59)).is_some());
/// assert!(cache.look(&question, now + Duration::from_secs(60)).is_none());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Cache {
    answers: HashMap<Question, (Answer, Instant)>,
    /// In the order in which they were put; each question once.
    order: VecDeque<Question>,
    most: usize,
    longest: Duration,
}

impl Cache {
    /// A cache of at most `most` answers, kept for at most a day whatever they say. An answer takes a few hundred octets
    /// as a rule, and 64 KiB at the very most.
    pub fn new(most: usize) -> Self {
        Self { answers: HashMap::new(), order: VecDeque::new(), most, longest: Duration::from_secs(24 * 60 * 60) }
    }

    /// The answer to a question, where it is kept and still good; its time to live is what is left of it.
    pub fn look(&self, question: &Question, now: Instant) -> Option<Answer> {
        let (answer, until) = self.answers.get(question)?;
        let left = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        let mut answer = answer.clone();
        answer.ttl = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
        Some(answer)
    }

    /// Keeps an answer.
    pub fn put(&mut self, question: Question, answer: Answer, now: Instant) {
        // RFC 2308 §7: failures of servers may be kept for minutes at most; here they are not.
        if self.most == 0 || answer.ttl == 0 || answer.found.as_ref().is_err_and(|failure| failure.is_temporary()) {
            return;
        }
        // RFC 2308 §5: one to three hours for what does not exist.
        let negative = matches!(answer.found, Err(Failure::NxDomain | Failure::NoData));
        let longest = if negative { Duration::from_secs(3 * 60 * 60) } else { self.longest };
        let until = now + Duration::from_secs(answer.ttl.into()).min(longest);
        if self.answers.insert(question.clone(), (answer, until)).is_some() {
            return;
        }
        self.order.push_back(question);
        while self.order.len() > self.most {
            let Some(first) = self.order.pop_front() else { return };
            self.answers.remove(&first);
        }
    }

    /// How many answers are kept, those past their time included.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether no answer is kept.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Data, RecordType};

    fn question(number: u32) -> Question {
        Question::new(format!("n{number}.test").parse().unwrap(), RecordType::A)
    }

    fn answer(found: Result<Vec<Data>, Failure>, ttl: u32) -> Answer {
        Answer { ttl, ..Answer::from(found) }
    }

    #[test]
    fn it_keeps_no_more_than_its_bound() {
        let (mut cache, now) = (Cache::new(3), Instant::now());
        for number in 0..10 {
            cache.put(question(number), answer(Err(Failure::NxDomain), 60), now);
            cache.put(question(number), answer(Err(Failure::NoData), 60), now);
            assert!(cache.len() <= 3 && cache.order.len() <= 3);
        }
        assert!(cache.look(&question(6), now).is_none());
        assert_eq!(cache.look(&question(9), now).unwrap().found, Err(Failure::NoData));
    }

    #[test]
    fn failures_that_may_pass_and_answers_without_a_lifetime_are_not_kept() {
        let (mut cache, now) = (Cache::new(3), Instant::now());
        for failure in [Failure::ServFail, Failure::Timeout, Failure::Bogus] {
            cache.put(question(0), answer(Err(failure), 60), now);
        }
        cache.put(question(1), answer(Err(Failure::NxDomain), 0), now);
        assert!(cache.is_empty());
    }

    #[test]
    fn nothing_is_kept_for_ever() {
        let (mut cache, now) = (Cache::new(3), Instant::now());
        cache.put(question(0), answer(Ok(vec![Data::A([192, 0, 2, 1].into())]), u32::MAX), now);
        cache.put(question(1), answer(Err(Failure::NxDomain), u32::MAX), now);
        assert_eq!(cache.look(&question(0), now).unwrap().ttl, 24 * 60 * 60);
        assert_eq!(cache.look(&question(1), now).unwrap().ttl, 3 * 60 * 60);
    }
}
