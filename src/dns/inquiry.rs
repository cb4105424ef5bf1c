//! The contract of whatever finds something out by asking the DNS, and a limit of time for it.

use std::time::{Duration, Instant};

use crate::dns::{Answer, Failure, Question};

/// Something that is found out by asking the DNS.
///
/// The plain driver's loop: [`poll`](Self::poll); find the answer to the question; [`answer`](Self::answer); and again,
/// until there is a verdict. A driver that can wait for several answers at once asks all [`open`](Self::open) questions and
/// hands each answer in by [`answer_to`](Self::answer_to) when it comes. In whichever order they come, the verdict is the
/// same.
///
/// Polling twice gives the same question, or the same verdict, again. How many questions one inquiry can ask is bounded;
/// its documentation says by what.
pub trait Inquiry {
    /// What is found out.
    type Verdict;

    /// The next question, or the verdict.
    fn poll(&mut self) -> Ask<Self::Verdict>;

    /// The answer to the question that [`poll`](Self::poll) gives. Without such a question it is ignored. Nothing of it need be
    /// copied: few inquiries keep any.
    fn answer(&mut self, answer: &Answer);

    /// All questions that can be asked now, each once, that of [`poll`](Self::poll) first; none where there is a verdict.
    /// An inquiry that must know one answer before its next question has one.
    fn open(&mut self) -> Vec<Question> {
        match self.poll() {
            Ask::Question(question) => vec![question],
            Ask::Verdict(_) => Vec::new(),
        }
    }

    /// The answer to one of the [`open`](Self::open) questions; to any other question it is ignored.
    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        if matches!(self.poll(), Ask::Question(open) if open == *question) {
            self.answer(answer);
        }
    }

    /// Says what time it is: the only door by which time comes in. An inquiry that is never told waits for every answer.
    fn tick(&mut self, now: Instant) {
        let _ = now;
    }

    /// When [`tick`](Self::tick) must be called at the latest; `None` where nothing is waited for. Some know it only after
    /// the first tick.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// What an [`Inquiry`] wants.
#[must_use = "an inquiry goes on only when its question is answered"]
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the contract is closed: a driver must handle each
pub enum Ask<V> {
    /// Answer this.
    Question(Question),
    /// This is how it is.
    Verdict(V),
}

/// An inquiry that is given only so much time: from then on its open questions, and those that follow, are answered by
/// [`Failure::Timeout`]. The time runs from the first [`tick`](Inquiry::tick).
///
/// ```
/// use std::time::{Duration, Instant};
/// use facteur::dns::{Ask, Failure, Inquiry, Within, mx};
///
/// let mut lookup = Within::new(mx::Lookup::new(&"example.org".parse()?, 1), Duration::from_secs(20));
/// let start = Instant::now();
/// lookup.tick(start);
/// assert_eq!(lookup.open().len(), 1);
/// lookup.tick(start + Duration::from_secs(20));
/// assert_eq!(lookup.poll(), Ask::Verdict(Err(mx::Unreachable::Temporary(Failure::Timeout))));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Within<I> {
    inquiry: I,
    patience: Duration,
    until: Option<Instant>,
    is_over: bool,
}

impl<I> Within<I> {
    /// Gives `inquiry` as much time as `patience`.
    pub fn new(inquiry: I, patience: Duration) -> Self {
        Self { inquiry, patience, until: None, is_over: false }
    }
}

impl<I: Inquiry> Inquiry for Within<I> {
    type Verdict = I::Verdict;

    fn poll(&mut self) -> Ask<I::Verdict> {
        // It ends: how many questions an inquiry can ask is bounded.
        loop {
            match self.inquiry.poll() {
                Ask::Question(_) if self.is_over => self.inquiry.answer(&Err(Failure::Timeout).into()),
                ask => return ask,
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        self.inquiry.answer(answer);
    }

    fn open(&mut self) -> Vec<Question> {
        if self.is_over { Vec::new() } else { self.inquiry.open() }
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        self.inquiry.answer_to(question, answer);
    }

    fn tick(&mut self, now: Instant) {
        self.inquiry.tick(now);
        // What is later than any clock can say never comes.
        self.until = self.until.or_else(|| now.checked_add(self.patience));
        self.is_over |= self.until.is_some_and(|until| now >= until);
    }

    fn deadline(&self) -> Option<Instant> {
        let own = self.until.filter(|_| !self.is_over);
        own.into_iter().chain(self.inquiry.deadline()).min()
    }
}

/// An inquiry with all that was asked and answered on the way, in the order of the answers.
///
/// ```
/// use facteur::auth::spf::{Evaluation, Identity};
/// use facteur::dns::{Traced, Zone};
///
/// let zone: Zone = "example.org TXT \"v=spf1 a -all\"\nexample.org A 192.0.2.1\n".parse()?;
/// let evaluation = Evaluation::new([192, 0, 2, 1].into(), "example.org", "ada@example.org", Identity::MailFrom);
/// let (verdict, trace) = zone.ask(Traced::new(evaluation));
/// let asked: Vec<String> = trace.iter().map(|(question, _)| question.to_string()).collect();
/// assert_eq!(asked, ["example.org TXT", "example.org A"]);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Traced<I> {
    inquiry: I,
    trace: Vec<(Question, Answer)>,
}

impl<I> Traced<I> {
    /// Keeps what `inquiry` asks and hears: as much memory as its questions have answers.
    pub fn new(inquiry: I) -> Self {
        Self { inquiry, trace: Vec::new() }
    }
}

impl<I: Inquiry> Inquiry for Traced<I> {
    type Verdict = (I::Verdict, Vec<(Question, Answer)>);

    fn poll(&mut self) -> Ask<Self::Verdict> {
        match self.inquiry.poll() {
            Ask::Question(question) => Ask::Question(question),
            Ask::Verdict(verdict) => Ask::Verdict((verdict, self.trace.clone())),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.inquiry.poll() {
            self.trace.push((question, answer.clone()));
            self.inquiry.answer(answer);
        }
    }

    fn open(&mut self) -> Vec<Question> {
        self.inquiry.open()
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        if self.inquiry.open().contains(question) {
            self.trace.push((question.clone(), answer.clone()));
            self.inquiry.answer_to(question, answer);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.inquiry.tick(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.inquiry.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::mx;

    #[test]
    fn patience_may_have_no_end() {
        let mut lookup = Within::new(mx::Lookup::new(&"example.org".parse().unwrap(), 1), Duration::MAX);
        let now = Instant::now();
        (0..2).for_each(|day| lookup.tick(now + Duration::from_secs(day * 86_400)));
        assert_eq!((lookup.open().len(), lookup.deadline()), (1, None));
    }
}
