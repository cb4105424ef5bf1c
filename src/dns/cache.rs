//! Answers kept for as long as they may be (RFC 1035 §3.2.1, RFC 2308 §5), and no more of them than a bound.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::dns::{Answer, Data, Failure, Question};

/// Answers by question.
///
/// Temporary failures are not kept. When it is full the answers that were not asked for since they were put in, or since
/// they were last spared, go first.
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
    kept: HashMap<Question, Kept>,
    /// Each question once, that which goes next first.
    order: VecDeque<Question>,
    octets: usize,
    most: usize,
    most_octets: usize,
    longest: Duration,
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    until: Instant,
    octets: usize,
    was_used: bool,
}

impl Cache {
    /// A cache of at most `most` answers and 32 MiB, kept for at most a day whatever they say. An answer takes a few hundred
    /// octets as a rule.
    pub fn new(most: usize) -> Self {
        let (octets, most_octets) = (0, 32 * 1024 * 1024);
        let longest = Duration::from_secs(24 * 60 * 60);
        Self { kept: HashMap::new(), order: VecDeque::new(), octets, most, most_octets, longest }
    }

    /// The same with at most so many octets of memory, as closely as they can be reckoned.
    #[must_use]
    pub fn octets(mut self, most: usize) -> Self {
        self.most_octets = most;
        self
    }

    /// The answer to a question, where it is kept and still good; its time to live is what is left of it.
    pub fn look(&mut self, question: &Question, now: Instant) -> Option<Answer> {
        let kept = self.kept.get_mut(question)?;
        let left = kept.until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        kept.was_used = true;
        let mut answer = kept.answer.clone();
        answer.ttl = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
        Some(answer)
    }

    /// Keeps an answer.
    pub fn put(&mut self, question: Question, answer: Answer, now: Instant) {
        // RFC 2308 §7: failures of servers may be kept for minutes at most; here they are not.
        if answer.ttl == 0 || answer.found.as_ref().is_err_and(|failure| failure.is_temporary()) {
            return;
        }
        // RFC 2308 §5: one to three hours for what does not exist.
        let negative = matches!(answer.found, Err(Failure::NxDomain | Failure::NoData));
        let longest = if negative { Duration::from_secs(3 * 60 * 60) } else { self.longest };
        let until = now + Duration::from_secs(answer.ttl.into()).min(longest);
        let octets = size(&question, &answer);
        if octets > self.most_octets || self.most == 0 {
            return;
        }
        self.octets += octets;
        match self.kept.insert(question.clone(), Kept { answer, until, octets, was_used: false }) {
            Some(before) => self.octets -= before.octets,
            None => self.order.push_back(question),
        }
        while self.kept.len() > self.most || self.octets > self.most_octets {
            // It ends: each turn removes one, or takes away from it that it was used.
            let Some(first) = self.order.pop_front() else { return };
            match self.kept.get_mut(&first) {
                Some(kept) if kept.was_used && kept.until > now => {
                    kept.was_used = false;
                    self.order.push_back(first);
                }
                _ => self.octets -= self.kept.remove(&first).map_or(0, |kept| kept.octets),
            }
        }
    }

    /// How many answers are kept, those past their time included.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether no answer is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

/// How much memory an answer takes, with its question twice.
fn size(question: &Question, answer: &Answer) -> usize {
    let data = |data: &Data| {
        size_of::<Data>()
            + match data {
                Data::A(_) | Data::Aaaa(_) => 0,
                Data::Cname(name) | Data::Ptr(name) => name.as_str().len(),
                Data::Mx { exchange: name, .. } | Data::Srv { target: name, .. } => name.as_str().len(),
                Data::Tlsa { data, .. } => data.len(),
                Data::Txt(text) => text.len(),
            }
    };
    // The counts of the one block that all clones of the answer share, and the records in it.
    let found = answer.found.as_ref().map_or(0, |found| 2 * size_of::<usize>() + found.iter().map(data).sum::<usize>());
    2 * size_of::<Question>() + size_of::<Kept>() + question.name.as_str().len() + found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::RecordType;

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
            assert_eq!(cache.octets, cache.kept.values().map(|kept| kept.octets).sum::<usize>());
        }
        assert!(cache.look(&question(6), now).is_none());
        assert_eq!(cache.look(&question(9), now).unwrap().found, Err(Failure::NoData));
    }

    #[test]
    fn it_takes_no_more_octets_than_its_bound() {
        let (mut cache, now) = (Cache::new(1000).octets(10_000), Instant::now());
        for number in 0..100 {
            let text = vec![Data::Txt(vec![b'a'; 50 * number as usize].into())];
            cache.put(question(number), answer(Ok(text), 60), now);
            assert!(cache.octets <= 10_000);
        }
        assert!(cache.len() < 5 && cache.look(&question(99), now).is_some());
        cache.put(question(100), answer(Ok(vec![Data::Txt(vec![b'a'; 10_000].into())]), 60), now);
        assert!(cache.look(&question(100), now).is_none() && cache.look(&question(99), now).is_some());
    }

    #[test]
    fn what_is_asked_for_stays_longer() {
        let (mut cache, now) = (Cache::new(3), Instant::now());
        for number in 0..10 {
            cache.put(question(number), answer(Err(Failure::NxDomain), 60), now);
            assert!(cache.look(&question(0), now).is_some());
        }
        // What is past its time goes however often it was used.
        let late = now + Duration::from_secs(60);
        (10..13).for_each(|number| cache.put(question(number), answer(Err(Failure::NxDomain), 60), late));
        assert!(!cache.kept.contains_key(&question(0)));
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
