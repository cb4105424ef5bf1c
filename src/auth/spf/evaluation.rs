//! `check_host()` of RFC 7208 §4 as an inquiry. Records that include records are a stack, so that no record chooses how deep
//! this program recurses.

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use super::macros::{MAX_EXPLANATION, MacroString, Place, Span, Values};
use super::network::Prefix;
use super::record::{self, Directive, Mechanism, Modifiers, Record};
use super::{Identity, Outcome, Problem, Verdict};
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

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

    /// Evaluates until something must be asked, or the end is reached.
    fn run(&mut self) {
        while matches!(self.state, State::Run) {
            let Some(frame) = self.frames.last() else { return };
            match self.directives.get(frame.next).map(|directive| directive.mechanism) {
                None => self.end_of_record(),
                Some(mechanism) => self.mechanism(mechanism),
            }
        }
    }

    fn mechanism(&mut self, mechanism: Mechanism) {
        match mechanism {
            Mechanism::All => self.matched(true),
            Mechanism::Network { has_client } => self.matched(has_client),
            Mechanism::Include(domain) => {
                let Some(name) = self.lookup(Some(&domain)) else { return };
                match name {
                    Some(name) => self.ask(name, RecordType::Txt, Wanted::Record(How::Include)),
                    // A malformed domain gives "none" (RFC 7208 §4.3), and "none" a permerror (§5.2).
                    None => self.permerror(Problem::Dangling),
                }
            }
            Mechanism::A { domain, prefix } => {
                let Some(name) = self.lookup(domain.as_ref()) else { return };
                let kind = RecordType::of_family(self.ip);
                self.ask_or_pass_over(name, kind, Wanted::Addresses(prefix));
            }
            Mechanism::Mx { domain, prefix } => {
                let Some(name) = self.lookup(domain.as_ref()) else { return };
                self.ask_or_pass_over(name, RecordType::Mx, Wanted::Hosts(prefix));
            }
            Mechanism::Exists(domain) => {
                let Some(name) = self.lookup(Some(&domain)) else { return };
                // RFC 7208 §5.7: "a DNS A RR lookup (even when the connection type is IPv6)"
                self.ask_or_pass_over(name, RecordType::A, Wanted::Existence);
            }
            Mechanism::Ptr { domain } => {
                let Some(target) = self.lookup(domain.as_ref()) else { return };
                match (&self.names, target) {
                    (None, _) => self.ask_names(Then::Run),
                    (Some(names), Some(target)) => {
                        let within = names.iter().any(|name| name.is_within(&target));
                        self.matched(within);
                    }
                    (Some(_), None) => self.matched(false),
                }
            }
        }
    }

    /// RFC 7208 §4.8 leaves open what becomes of a target that is no name; here it does not match.
    fn ask_or_pass_over(&mut self, name: Option<Name>, kind: RecordType, wanted: Wanted) {
        match name {
            Some(name) => self.ask(name, kind, wanted),
            None => self.matched(false),
        }
    }

    /// Counts the term and expands its domain: `None` where that did not get so far, `Some(None)` where it is no name.
    fn lookup(&mut self, domain: Option<&MacroString>) -> Option<Option<Name>> {
        let frame = self.frames.last_mut()?;
        if !std::mem::replace(&mut frame.counted, true) {
            self.lookups += 1;
            if self.lookups > MAX_LOOKUPS {
                self.permerror(Problem::TooManyLookups);
                return None;
            }
        }
        let Some(domain) = domain else { return Some(self.domain().cloned()) };
        if let Some(name) = self.frames.last().and_then(|frame| domain.plain_name(&frame.text)) {
            return Some(name);
        }
        if domain.wants_name && self.names.is_none() {
            self.ask_names(Then::Run);
            return None;
        }
        let frame = self.frames.last()?;
        Some(self.with_values(|values| domain.name(&frame.text, values)))
    }

    /// The domain of the record that is looked at.
    fn domain(&self) -> Option<&Name> {
        let question = self.asked.get(self.frames.last()?.question)?;
        Some(&question.name)
    }

    fn with_values<T>(&self, expand: impl FnOnce(&Values<'_>) -> T) -> T {
        let root = Name::root();
        let domain = self.domain().unwrap_or(&root);
        expand(&Values {
            local: &self.local,
            origin: &self.origin,
            domain,
            ip: self.ip,
            helo: &self.helo,
            name: self.best_name(domain),
            receiver: self.receiver.as_deref().unwrap_or("unknown"),
            now: self.now,
        })
    }

    /// RFC 7208 §7.3: the validated name that is the domain, or one below it, or any; else "unknown".
    fn best_name(&self, domain: &Name) -> &str {
        let names = self.names.as_deref().unwrap_or_default();
        let best = names
            .iter()
            .find(|name| *name == domain)
            .or_else(|| names.iter().find(|name| name.is_within(domain)))
            .or(names.first());
        best.map_or("unknown", Name::as_str)
    }

    /// The term has been decided.
    fn matched(&mut self, matched: bool) {
        let Some(frame) = self.frames.last_mut() else { return };
        if !matched {
            frame.next += 1;
            frame.counted = false;
            self.state = State::Run;
            return;
        }
        let outcome = self.directives.get(frame.next).map_or(Outcome::Pass, |directive| directive.outcome);
        if self.frames.len() > 1 {
            return self.included(outcome);
        }
        self.note_term();
        self.concluded(outcome);
    }

    /// The record that was included has been decided (RFC 7208 §5.2).
    fn included(&mut self, outcome: Outcome) {
        self.leave();
        // The term that is next is now the "include".
        self.matched(outcome == Outcome::Pass);
    }

    fn end_of_record(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let Some(redirect) = frame.modifiers.redirect.filter(|_| !frame.modifiers.has_all) else {
            // RFC 7208 §4.7
            return if self.frames.len() > 1 {
                self.included(Outcome::Neutral)
            } else {
                self.concluded(Outcome::Neutral)
            };
        };
        let Some(name) = self.lookup(Some(&redirect)) else { return };
        match name {
            Some(name) => self.ask(name, RecordType::Txt, Wanted::Record(How::Redirect)),
            // RFC 7208 §6.1: "if the <target-name> is malformed, the result is a "permerror""
            None => self.permerror(Problem::Dangling),
        }
    }

    /// The first record, or what it was redirected to, has been decided.
    fn concluded(&mut self, outcome: Outcome) {
        if self.record.is_none() {
            self.record = self.frames.last().map(|frame| frame.text.clone());
        }
        let explains = self.frames.last().is_some_and(|frame| frame.modifiers.explanation.is_some());
        if outcome == Outcome::Fail && explains { self.ask_explanation() } else { self.done(outcome, None, None) }
    }

    /// RFC 7208 §6.2: whatever goes wrong with it, it is "as if no "exp" modifier was given".
    fn ask_explanation(&mut self) {
        let exp = self.frames.last().and_then(|frame| Some((frame.modifiers.explanation?, frame.text.clone())));
        let Some((exp, text)) = exp else { return self.done(Outcome::Fail, None, None) };
        if exp.wants_name && self.names.is_none() {
            return self.ask_names(Then::ExplanationDomain);
        }
        match self.with_values(|values| exp.name(&text, values)) {
            Some(name) => self.ask(name, RecordType::Txt, Wanted::Explanation),
            None => self.done(Outcome::Fail, None, None),
        }
    }

    fn explain(&mut self, text: Bytes) {
        let Ok(explanation) = MacroString::parse(&text, 0..text.len(), Place::Explanation) else {
            return self.done(Outcome::Fail, None, None);
        };
        if explanation.wants_name && self.names.is_none() {
            return self.ask_names(Then::ExplanationText(text));
        }
        let expanded = self.with_values(|values| explanation.expand(&text, values));
        // RFC 7208 §6.2: "MUST be limited to [US-ASCII]". What it is made of comes from the client as well.
        let fits = expanded.len() <= MAX_EXPLANATION && expanded.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        self.done(Outcome::Fail, None, Some(expanded).filter(|_| fits));
    }

    fn ask_names(&mut self, then: Then) {
        self.ask(Name::reverse(self.ip), RecordType::Ptr, Wanted::Names { then });
    }

    fn go_on(&mut self, names: Vec<Name>, then: Then) {
        self.names = Some(names);
        match then {
            Then::Run => self.state = State::Run,
            Then::ExplanationDomain => self.ask_explanation(),
            Then::ExplanationText(text) => self.explain(text),
        }
    }

    /// Asks for the addresses of the next name, or goes on with those that are valid.
    fn validate(&mut self, names: Box<Names>) {
        match names.rest.front().cloned() {
            Some(name) => self.ask(name, RecordType::of_family(self.ip), Wanted::NameAddresses(names)),
            None => self.go_on(names.valid, names.then),
        }
    }

    /// Asks for the addresses of the next host of "mx", or passes it over.
    fn next_host(&mut self, host: Option<Name>, hosts: Hosts) {
        match host {
            Some(name) => self.ask(name, RecordType::of_family(self.ip), Wanted::HostAddresses(hosts)),
            None => {
                if hosts.void && !self.count_void() {
                    return;
                }
                self.matched(false);
            }
        }
    }

    /// The term was answered with nothing. Whether it may go on.
    fn count_void(&mut self) -> bool {
        self.void_lookups += 1;
        if self.void_lookups > MAX_VOID_LOOKUPS {
            self.permerror(Problem::TooManyVoidLookups);
        }
        self.void_lookups <= MAX_VOID_LOOKUPS
    }

    /// The records of an answer for a mechanism (RFC 7208 §5): none is void, and a failure ends it all.
    fn records<'a>(&mut self, answer: &'a Answer) -> Option<&'a [Data]> {
        match &answer.found {
            Ok(records) => Some(records),
            Err(failure) if failure.is_temporary() => {
                self.failed(*failure);
                None
            }
            Err(_) => self.count_void().then_some(&[]),
        }
    }

    /// The DNS failed for now.
    fn failed(&mut self, failure: Failure) {
        self.note_term();
        self.done(Outcome::TempError, Some(Problem::Dns(failure)), None);
    }

    fn has_address(&self, records: &[Data], prefix: Prefix) -> bool {
        records.iter().filter_map(Data::address).any(|address| prefix.matches(self.ip, address))
    }

    /// The record that is looked at has been decided.
    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.directives.truncate(frame.first);
        }
    }

    /// RFC 7208 §§4.4, 4.5.
    fn record(&mut self, how: How, answer: &Answer) {
        let none = |evaluation: &mut Self, problem| match how {
            How::First => evaluation.done(Outcome::None, Some(problem), None),
            // RFC 7208 §5.2 and §6.1: where it was referred to, "none" is a permerror.
            How::Include | How::Redirect => evaluation.permerror(Problem::Dangling),
        };
        let records = match &answer.found {
            Ok(records) => records,
            Err(failure) if failure.is_temporary() => return self.failed(*failure),
            Err(failure @ Failure::NxDomain) => return none(self, Problem::Dns(*failure)),
            Err(_) => return none(self, Problem::NoRecord),
        };
        let mut texts = records.iter().filter_map(|data| match data {
            Data::Txt(text) if Record::is_spf(text) => Some(text),
            _ => None,
        });
        let record = match (texts.next(), texts.next()) {
            (None, _) => return none(self, Problem::NoRecord),
            (Some(_), Some(_)) => return self.permerror(Problem::ManyRecords),
            (Some(text), None) => text.clone(),
        };
        let first = self.directives.len();
        let (ip, directives) = (self.ip, &mut self.directives);
        let keep = |directive: Directive| {
            if !matches!(directive.mechanism, Mechanism::Network { has_client: false }) {
                directives.push(directive);
            }
        };
        let modifiers = match record::read(&record, Some(ip), keep) {
            Ok(modifiers) => modifiers,
            Err(error) => {
                self.directives.truncate(first);
                self.permerror(Problem::Syntax(error));
                self.wrong = Some(record);
                return;
            }
        };
        let mut begin = first;
        if how == How::Redirect
            && let Some(frame) = self.frames.pop()
        {
            // It takes the place of the one that led here.
            self.directives.drain(frame.first..first);
            begin = frame.first;
        }
        let question = self.asked.len().saturating_sub(1);
        self.frames.push(Frame { question, text: record, modifiers, first: begin, next: begin, counted: false });
        self.state = State::Run;
    }
}

impl Inquiry for Evaluation {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        self.run();
        match &self.state {
            State::Ask(_) => match self.asked.last() {
                Some(question) => Ask::Question(question.clone()),
                // Never: `ask` has just added it.
                None => Ask::Verdict(self.verdict(Outcome::None, Some(Problem::NoRecord), None)),
            },
            State::Done { outcome, problem, explanation } => {
                Ask::Verdict(self.verdict(*outcome, *problem, explanation.clone()))
            }
            // Without a record to run there is nothing to decide; `new` leaves none such.
            State::Run => Ask::Verdict(self.verdict(Outcome::None, Some(Problem::NoRecord), None)),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let wanted = match std::mem::replace(&mut self.state, State::Run) {
            State::Ask(wanted) => wanted,
            other => return self.state = other,
        };
        match wanted {
            Wanted::Record(how) => self.record(how, answer),
            Wanted::Addresses(prefix) => {
                let Some(records) = self.records(answer) else { return };
                let matched = self.has_address(records, prefix);
                self.matched(matched);
            }
            Wanted::Existence => {
                let Some(records) = self.records(answer) else { return };
                self.matched(!records.is_empty());
            }
            Wanted::Hosts(prefix) => {
                let Some(records) = self.records(answer) else { return };
                if records.len() > MAX_HOSTS {
                    // RFC 7208 §4.6.4: "If this limit is exceeded, the "mx" mechanism MUST produce a "permerror" result."
                    return self.permerror(Problem::TooManyHosts);
                }
                let (first, rest) = hosts(records);
                self.next_host(first, Hosts { rest, prefix, void: false });
            }
            Wanted::HostAddresses(mut hosts) => match &answer.found {
                Ok(records) if self.has_address(records, hosts.prefix) => self.matched(true),
                Err(failure) if failure.is_temporary() => self.failed(*failure),
                found => {
                    hosts.void |= found.is_err();
                    self.next_host(hosts.rest.pop(), hosts);
                }
            },
            // RFC 7208 §5.5: a DNS error leaves no names; of names only the first ten count (§4.6.4).
            Wanted::Names { then } => {
                let records = answer.found.as_deref().unwrap_or_default();
                let names = records.iter().filter_map(|data| match data {
                    Data::Ptr(name) => Some(name.clone()),
                    _ => None,
                });
                let rest = names.take(MAX_HOSTS).collect();
                self.validate(Box::new(Names { rest, valid: Vec::new(), then }));
            }
            Wanted::NameAddresses(mut names) => {
                let exact = Prefix { v4: 32, v6: 128 };
                let name = names.rest.pop_front();
                if answer.found.as_ref().is_ok_and(|records| self.has_address(records, exact)) {
                    names.valid.extend(name);
                }
                self.validate(names);
            }
            Wanted::Explanation => match answer.found.as_deref() {
                Ok([Data::Txt(text)]) => self.explain(text.clone()),
                _ => self.done(Outcome::Fail, None, None),
            },
        }
    }
}

/// The hosts of "mx": the first, and those behind it from the last on.
fn hosts(records: &[Data]) -> (Option<Name>, Vec<Name>) {
    let hosts = records.iter().filter_map(|data| match data {
        Data::Mx { preference, exchange } if !exchange.is_root() => Some((*preference, exchange)),
        _ => None,
    });
    let mut hosts: SmallVec<[(u16, &Name); MAX_HOSTS]> = hosts.collect();
    hosts.sort_by_key(|(preference, _)| *preference);
    let mut names = hosts.into_iter().map(|(_, name)| name.clone());
    (names.next(), names.rev().collect())
}
