//! Whether the name of a client's address leads back to the address (RFC 8601 §§2.7.3 and 3).

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

use crate::dns::{Answer, Ask, Data, Inquiry, Name, Question, RecordType};

/// How many names of an address are looked at. RFC 8601 §3 wants a limit, and SPF has this one.
pub const MAX_NAMES: usize = 10;
/// How many questions one evaluation can ask: for the names, and for the addresses of each.
pub const MAX_QUESTIONS: u32 = 1 + 10;

/// What came of it (RFC 8601 §2.7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Outcome {
    /// A name of the address has the address.
    Pass,
    /// There are names, and none has the address.
    Fail,
    /// The DNS failed for now.
    TempError,
    /// The address has no name.
    PermError,
}

/// The outcome, and the name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What came of it.
    pub outcome: Outcome,
    /// The address.
    pub ip: IpAddr,
    /// The first name that leads back to the address, with [`Outcome::Pass`] only: no other name is to be believed.
    pub name: Option<Name>,
    /// The questions that were asked.
    pub asked: Vec<Question>,
}

/// The evaluation for one address. It asks at most [`MAX_QUESTIONS`] questions.
///
/// ```
/// use facteur::auth::iprev::{Evaluation, Outcome};
/// use facteur::dns::Zone;
///
/// let zone: Zone = "1.2.0.192.in-addr.arpa PTR mail.example.org\nmail.example.org A 192.0.2.1\n".parse()?;
/// let verdict = zone.ask(Evaluation::new([192, 0, 2, 1].into()));
/// assert_eq!(verdict.outcome, Outcome::Pass);
/// assert_eq!(verdict.name, Some("mail.example.org".parse()?));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    ip: IpAddr,
    asked: Vec<Question>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Names,
    /// The addresses of the first name are asked for.
    Addresses {
        names: VecDeque<Name>,
        temporary: bool,
    },
    Done(Outcome, Option<Name>),
}

impl Evaluation {
    /// The evaluation for `ip`.
    pub fn new(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), asked: Vec::new(), state: State::Names }
    }

    fn names(answer: &Answer) -> State {
        match &answer.found {
            Ok(records) => {
                let names = records.iter().filter_map(|data| match data {
                    Data::Ptr(name) => Some(name.clone()),
                    _ => None,
                });
                Self::next(names.take(MAX_NAMES).collect(), false)
            }
            Err(failure) if failure.is_temporary() => State::Done(Outcome::TempError, None),
            Err(_) => State::Done(Outcome::PermError, None),
        }
    }

    fn next(names: VecDeque<Name>, temporary: bool) -> State {
        match (names.is_empty(), temporary) {
            (false, _) => State::Addresses { names, temporary },
            (true, true) => State::Done(Outcome::TempError, None),
            (true, false) => State::Done(Outcome::Fail, None),
        }
    }
}

impl Inquiry for Evaluation {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        match &self.state {
            State::Names => Ask::Question(Question::new(Name::reverse(self.ip), RecordType::Ptr)),
            State::Addresses { names, .. } => {
                let name = names.front().cloned().unwrap_or_default(); // `next` leaves one at least
                Ask::Question(Question::new(name, RecordType::of_family(self.ip)))
            }
            State::Done(outcome, name) => {
                Ask::Verdict(Verdict { outcome: *outcome, ip: self.ip, name: name.clone(), asked: self.asked.clone() })
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.poll() {
            self.asked.push(question);
        }
        self.state = match std::mem::replace(&mut self.state, State::Names) {
            State::Names => Self::names(answer),
            State::Addresses { mut names, temporary } => {
                let name = names.pop_front();
                match &answer.found {
                    Ok(records) if records.iter().filter_map(Data::address).any(|ip| ip == self.ip) => {
                        State::Done(Outcome::Pass, name)
                    }
                    Ok(_) => Self::next(names, temporary),
                    Err(failure) => Self::next(names, temporary || failure.is_temporary()),
                }
            }
            done @ State::Done(..) => done,
        };
    }
}

/// As header fields write it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    #[test]
    fn names_must_lead_back() {
        for (zone, outcome, name) in [
            ("", Outcome::PermError, None),
            ("1.2.0.192.in-addr.arpa TXT x", Outcome::PermError, None),
            ("1.2.0.192.in-addr.arpa SERVFAIL", Outcome::TempError, None),
            ("1.2.0.192.in-addr.arpa PTR a.x", Outcome::Fail, None),
            ("1.2.0.192.in-addr.arpa PTR a.x\na.x A 192.0.2.2", Outcome::Fail, None),
            ("1.2.0.192.in-addr.arpa PTR a.x\na.x TIMEOUT", Outcome::TempError, None),
            (
                "1.2.0.192.in-addr.arpa PTR a.x\n1.2.0.192.in-addr.arpa PTR b.x\na.x TIMEOUT\nb.x A 192.0.2.1",
                Outcome::Pass,
                Some("b.x"),
            ),
        ] {
            let verdict = zone.parse::<Zone>().unwrap().ask(Evaluation::new("::ffff:192.0.2.1".parse().unwrap()));
            assert_eq!(verdict.outcome, outcome, "{zone}");
            assert_eq!(verdict.name.as_ref().map(Name::as_str), name, "{zone}");
        }
    }

    #[test]
    fn a_thousand_names_are_not_looked_at() {
        let mut zone = Zone::new();
        for n in 0..1000 {
            zone.insert(Name::reverse([192, 0, 2, 1].into()), Data::Ptr(format!("h{n}.x").parse().unwrap()));
        }
        let mut evaluation = Evaluation::new([192, 0, 2, 1].into());
        let mut questions = 0;
        while let Ask::Question(question) = evaluation.poll() {
            evaluation.answer(&zone.answer(&question));
            questions += 1;
        }
        assert_eq!(questions, MAX_QUESTIONS);
    }
}
