//! `check_host()` of RFC 7208 §4 as an inquiry. Records that include records are a stack, so that no record chooses how deep
//! this program recurses.

mod answers;
mod terms;

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use super::macros::Span;
use super::network::Prefix;
use super::record::{Directive, Modifiers};
use super::{Identity, Outcome, Problem, Verdict};
use crate::dns::{Name, Question, RecordType};

/// How many terms that ask the DNS an evaluation may come across (RFC 7208 §4.6.4).
pub const MAX_LOOKUPS: u32 = 10;
/// How many of them may be answered with nothing (RFC 7208 §4.6.4).
pub const MAX_VOID_LOOKUPS: u32 = 2;
/// How many hosts one "mx" may name, and how many names of the client's address are looked at (RFC 7208 §4.6.4).
pub const MAX_HOSTS: usize = 10;
/// How many questions one evaluation can ask: the record, ten times "mx" with its ten hosts, the client's names, and the
/// explanation.
pub const MAX_QUESTIONS: u32 = 1 + 10 * (1 + 10) + (1 + 10) + 1;

/// How many questions and directives there is room for without an allocation; most evaluations have no more.
const USUAL_QUESTIONS: usize = 8;
const USUAL_DIRECTIVES: usize = 8;
/// How many records, each included by the one before, there is room for without an allocation.
const USUAL_FRAMES: usize = 2;

/// The evaluation for one client and one identity: `check_host()` of RFC 7208 §4.
///
/// It asks at most [`MAX_QUESTIONS`] questions.
///
/// ```
/// use facteur::auth::spf::{Evaluation, Identity, Outcome};
/// use facteur::dns::Zone;
///
/// let zone: Zone = "
///     example.org TXT \"v=spf1 mx -all\"
///     example.org MX 10 mail.example.org
///     mail.example.org A 192.0.2.1
/// ".parse()?;
/// let ask = |ip| zone.ask(Evaluation::new(ip, "mail.example.org", "ada@example.org", Identity::MailFrom));
/// assert_eq!(ask([192, 0, 2, 1].into()).outcome, Outcome::Pass);
/// let refused = ask([192, 0, 2, 2].into());
/// assert_eq!(refused.outcome, Outcome::Fail);
/// assert_eq!(refused.term.unwrap().1, "-all");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    ip: IpAddr,
    helo: CompactString,
    local: CompactString,
    origin: CompactString,
    /// The name of the host that evaluates, for `%{r}`.
    receiver: Option<CompactString>,
    /// For `%{t}`.
    now: i64,
    identity: Identity,
    /// The records under evaluation, each included by the one before.
    frames: SmallVec<[Frame; USUAL_FRAMES]>,
    /// Their directives, those of each behind those of the one before. Networks that the client is not in are left out.
    directives: SmallVec<[Directive; USUAL_DIRECTIVES]>,
    state: State,
    lookups: u32,
    void_lookups: u32,
    /// The last one is open while the state is [`State::Ask`].
    asked: SmallVec<[Question; USUAL_QUESTIONS]>,
    /// The validated names of the address, once they are known.
    names: Option<Vec<Name>>,
    /// Where the decision fell: the question for the record, counted among those asked, and where its term stands in it.
    term: Option<(usize, Span)>,
    /// The record of it.
    record: Option<Bytes>,
    /// The record that is wrong, where one is; the term is the one that led to it.
    wrong: Option<Bytes>,
}

/// One record under evaluation.
#[derive(Clone, Debug)]
struct Frame {
    /// The question that it answers, counted among those asked: its name is the domain.
    question: usize,
    text: Bytes,
    modifiers: Modifiers,
    /// Where its directives begin.
    first: usize,
    /// The directive that is looked at, counted among all.
    next: usize,
    /// It has been counted as one that asks the DNS.
    counted: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Goes on with the term that is next.
    Run,
    /// The last question that was asked is open.
    Ask(Wanted),
    Done {
        outcome: Outcome,
        problem: Option<Problem>,
        explanation: Option<String>,
    },
}

/// What the answer is for.
#[derive(Clone, Debug)]
enum Wanted {
    Record(How),
    Addresses(Prefix),
    Hosts(Prefix),
    /// The addresses of one of the hosts of "mx".
    HostAddresses(Hosts),
    Existence,
    /// The names of the client's address.
    Names {
        then: Then,
    },
    /// The addresses of one of them.
    NameAddresses(Box<Names>),
    Explanation,
}

/// The hosts of "mx" on the way.
#[derive(Clone, Debug)]
struct Hosts {
    /// Those behind the one that is asked for, the next at the end.
    rest: Vec<Name>,
    prefix: Prefix,
    /// One before had no addresses.
    void: bool,
}

/// The names of the client's address on the way.
#[derive(Clone, Debug)]
struct Names {
    /// The one that is looked at first.
    rest: VecDeque<Name>,
    valid: Vec<Name>,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    First,
    Include,
    Redirect,
}

/// What needed the names of the client's address.
#[derive(Clone, Debug)]
enum Then {
    Run,
    /// The domain of "exp".
    ExplanationDomain,
    /// The text that was found there.
    ExplanationText(Bytes),
}

impl Evaluation {
    /// The evaluation for a client at `ip` that said `helo`. `sender` is a mail address, or, for [`Identity::Helo`] and
    /// the null reverse-path, the HELO name once more; without a local part it counts as `postmaster` (RFC 7208 §4.3).
    ///
    /// U-labels must be A-labels by now, see [`Domain::to_ascii`](crate::address::Domain::to_ascii).
    pub fn new(ip: IpAddr, helo: &str, sender: &str, identity: Identity) -> Self {
        let sender = if sender.is_empty() { helo } else { sender };
        let (local, origin) = sender.rsplit_once('@').unwrap_or(("", sender));
        let local = if local.is_empty() { "postmaster" } else { local };
        let mut evaluation = Self {
            // RFC 7208 §5: "clients on IPv4-mapped IPv6 addresses" are IPv4 clients.
            ip: ip.to_canonical(),
            helo: helo.into(),
            local: local.into(),
            origin: origin.strip_suffix('.').unwrap_or(origin).into(),
            receiver: None,
            now: 0,
            identity,
            frames: SmallVec::new(),
            directives: SmallVec::new(),
            state: State::Run,
            lookups: 0,
            void_lookups: 0,
            asked: SmallVec::new(),
            names: None,
            term: None,
            record: None,
            wrong: None,
        };
        // RFC 7208 §4.3: "malformed [...] or is not a multi-label domain name"
        match Name::parse(origin) {
            Ok(name) if name.as_str().bytes().any(|octet| octet == b'.') && !origin.starts_with('[') => {
                evaluation.ask(name, RecordType::Txt, Wanted::Record(How::First));
            }
            _ => evaluation.done(Outcome::None, Some(Problem::NoDomain), None),
        }
        evaluation
    }

    /// Sets the name of the host that evaluates, and the seconds since 1970 at which it does, which an explanation may
    /// tell (`%{r}`, `%{t}`). Without, they are `unknown` and 0.
    #[must_use]
    pub fn at(mut self, receiver: &str, now: i64) -> Self {
        self.receiver = Some(receiver.into());
        self.now = now;
        self
    }

    fn ask(&mut self, name: Name, kind: RecordType, wanted: Wanted) {
        self.asked.push(Question::new(name, kind));
        self.state = State::Ask(wanted);
    }

    fn done(&mut self, outcome: Outcome, problem: Option<Problem>, explanation: Option<String>) {
        self.state = State::Done { outcome, problem, explanation };
    }

    fn verdict(&self, outcome: Outcome, problem: Option<Problem>, explanation: Option<String>) -> Verdict {
        let term = self.term.and_then(|(question, at)| {
            let term = self.record.as_ref()?.get(at.range())?;
            // ASCII, as its grammar has it.
            Some((self.asked.get(question)?.name.clone(), std::str::from_utf8(term).unwrap_or_default().to_owned()))
        });
        Verdict {
            outcome,
            identity: self.identity,
            domain: self.origin.as_str().to_owned(),
            term,
            problem,
            record: self.wrong.as_ref().or(self.record.as_ref()).cloned(),
            explanation,
            asked: self.asked.to_vec(),
        }
    }

    fn permerror(&mut self, problem: Problem) {
        self.note_term();
        self.done(Outcome::PermError, Some(problem), None);
    }

    /// Remembers the term that is looked at.
    fn note_term(&mut self) {
        let Some(Frame { question, text, next, modifiers, .. }) = self.frames.last() else { return };
        let at = match self.directives.get(*next) {
            Some(directive) => Some(directive.at),
            None => modifiers.redirect.map(|domain| domain.at.back("redirect=".len() as u32)), // a few octets
        };
        self.term = at.map(|at| (*question, at));
        self.record = Some(text.clone());
    }
}
