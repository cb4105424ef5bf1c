//! What the answers of the DNS mean for the evaluation (RFC 7208 §§4.4, 4.5, 4.6.4, 5): records, addresses, hosts and names, and
//! those that are void or failed.

use smallvec::SmallVec;

use super::{Evaluation, Frame, Hosts, How, MAX_HOSTS, MAX_VOID_LOOKUPS, Names, State, Then, Wanted};
use crate::auth::spf::network::Prefix;
use crate::auth::spf::record::{self, Directive, Mechanism, Record};
use crate::auth::spf::{Outcome, Problem, Verdict};
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, RecordType};

impl Evaluation {
    pub(super) fn ask_names(&mut self, then: Then) {
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
