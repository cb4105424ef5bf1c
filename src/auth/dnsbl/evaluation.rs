//! The inquiry: all lists about all subjects at once, and their test points where these are due.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Entry, Found, Health, Holds, Kind, List, Lists, Origin, Subject, Test, Verdict, What};
use crate::base::Timestamp;
use crate::dns::name::reversed;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How many names are asked for.
const MAX_LOOKUPS: usize = 100;
/// How many of them, the first, are asked for a reason when they are listed.
const MAX_REASONS: usize = 10;
/// How many tests of two questions each.
const MAX_TESTS: usize = 20;
/// How many questions one evaluation can ask: for entries, their reasons, and test points.
pub const MAX_QUESTIONS: u32 = (MAX_LOOKUPS + MAX_REASONS + 2 * MAX_TESTS) as u32;
/// How many octets of a reason are kept: it is meant for a reply of SMTP.
const MAX_REASON: usize = 400;

/// The evaluation for one client or message. It asks at most [`MAX_QUESTIONS`] questions, and all at once but for the reasons.
///
/// ```
/// use std::sync::Arc;
/// use facteur::auth::dnsbl::{Evaluation, List, Lists, Origin, Subject, What};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
///
/// let zone: Zone = "
///     2.0.0.127.bl.example.org   A 127.0.0.2
///     99.2.0.192.bl.example.org  A 127.0.0.4
///     99.2.0.192.bl.example.org  TXT \"Dynamic address\"
/// ".parse()?;
/// let lists = Arc::new(Lists::new(["bl.example.org=127.0.0.[2..11]*3".parse::<List>()?]));
/// let client = Subject::new(Origin::Client, What::Address([192, 0, 2, 99].into()));
/// let verdict = zone.ask(Evaluation::new(&lists, [client], Timestamp::from_unix(1_790_000_000)));
/// assert_eq!(verdict.score, 3);
/// assert_eq!(
///     verdict.entries[0].to_string(),
///     "192.0.2.99 (client) at bl.example.org: 99.2.0.192.bl.example.org: listed 127.0.0.4: Dynamic address (+3)"
/// );
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    lists: Arc<Lists>,
    now: Timestamp,
    lookups: Vec<Lookup>,
    tests: Vec<Points>,
    skipped: usize,
    verdict: Option<Verdict>,
}

/// One name at one list.
#[derive(Clone, Debug)]
struct Lookup {
    list: usize,
    kind: Kind,
    what: What,
    origins: Vec<Origin>,
    name: Name,
    answer: Option<Answer>,
    reason: Reason,
}

#[derive(Clone, Debug)]
enum Reason {
    /// It is asked for when the name is listed.
    Wanted,
    Open,
    Done(Option<String>),
}

/// The test points of one list.
#[derive(Clone, Debug)]
struct Points {
    list: usize,
    kind: Kind,
    must: (Name, Option<Answer>),
    must_not: (Name, Option<Answer>),
}

impl Evaluation {
    /// Asks `lists` about `subjects`, as of `now`; without subjects it asks for the test points that are due alone.
    pub fn new(lists: &Arc<Lists>, subjects: impl IntoIterator<Item = Subject>, now: Timestamp) -> Self {
        let mut evaluation =
            Self { lists: Arc::clone(lists), now, lookups: Vec::new(), tests: Vec::new(), skipped: 0, verdict: None };
        let mut known: HashMap<(usize, Name), usize> = HashMap::new();
        let mut kinds: BTreeSet<(usize, Kind)> = BTreeSet::new();
        let mut is_alone = true;
        for Subject { origin, what } in subjects {
            is_alone = false;
            for (number, list) in lists.lists().iter().enumerate() {
                if !list.about.contains(&origin) {
                    continue;
                }
                for (kind, label, what) in list.entries(&what) {
                    // A name that does not fit cannot be listed.
                    let Ok(name) = list.zone.child(&label) else { continue };
                    let at = known.get(&(number, name.clone())).and_then(|at| evaluation.lookups.get_mut(*at));
                    if let Some(lookup) = at {
                        if !lookup.origins.contains(&origin) {
                            lookup.origins.push(origin);
                        }
                        continue;
                    }
                    if evaluation.lookups.len() == MAX_LOOKUPS {
                        evaluation.skipped += 1;
                        continue;
                    }
                    kinds.insert((number, kind));
                    known.insert((number, name.clone()), evaluation.lookups.len());
                    evaluation.push(number, kind, what, origin, name, list.reasons);
                }
            }
        }
        if is_alone {
            kinds.extend(
                lists.lists().iter().enumerate().flat_map(|(n, list)| list.kinds().iter().map(move |kind| (n, *kind))),
            );
        }
        let due = |(list, kind): &(usize, Kind)| lists.state(*list, *kind, now).1;
        for (list, kind) in kinds.into_iter().filter(due).take(MAX_TESTS) {
            evaluation.tests.extend(lists.lists().get(list).and_then(|known| Points::of(list, known, kind)));
        }
        evaluation
    }

    fn push(&mut self, list: usize, kind: Kind, what: What, origin: Origin, name: Name, reasons: bool) {
        let wants = reasons && self.lookups.len() < MAX_REASONS;
        let mut lookup = Lookup {
            list,
            kind,
            what,
            origins: vec![origin],
            name,
            answer: None,
            reason: if wants { Reason::Wanted } else { Reason::Done(None) },
        };
        // A list that is put aside is not asked until it is tested again.
        let (health, is_due) = self.lists.state(list, kind, self.now);
        if health.is_some_and(|health| !health.is_good()) && !is_due {
            lookup.answer = Some(Err(Failure::NoData).into());
        }
        self.lookups.push(lookup);
    }

    /// Notes what the tests have shown, and adds up.
    fn decide(&self) -> Verdict {
        let mut verdict = Verdict { skipped: self.skipped, ..Verdict::default() };
        let mut shown: HashMap<(usize, Kind), Health> = HashMap::new();
        for points in &self.tests {
            let Some(list) = self.lists.lists().get(points.list) else { continue };
            let must = list.classify(points.must.1.as_ref());
            let must_not = list.classify(points.must_not.1.as_ref());
            let health = health(&must, &must_not);
            if let Some(health) = health {
                self.lists.note(points.list, points.kind, health, self.now);
                shown.insert((points.list, points.kind), health);
            }
            verdict.tests.push(Test { zone: list.zone.clone(), kind: points.kind, must, must_not, health });
        }
        let mut counted: BTreeSet<(usize, usize)> = BTreeSet::new();
        for lookup in &self.lookups {
            let Some(list) = self.lists.lists().get(lookup.list) else { continue };
            let key = (lookup.list, lookup.kind);
            let health = shown.get(&key).copied().or_else(|| self.lists.state(lookup.list, lookup.kind, self.now).0);
            let mut found = match health {
                Some(health) if !health.is_good() => Found::PutAside(health),
                _ => list.classify(lookup.answer.as_ref()),
            };
            let mut weight = 0i32;
            if let Found::Listed { codes, meanings, reason } = &mut found {
                for (number, code) in list.codes.iter().enumerate() {
                    let counts = code
                        .about
                        .as_ref()
                        .is_none_or(|about| lookup.origins.iter().any(|origin| about.contains(origin)));
                    if !counts || !codes.iter().any(|answer| code.filter.contains(*answer)) {
                        continue;
                    }
                    meanings.extend(Some(code.meaning.clone()).filter(|meaning| !meaning.is_empty()));
                    if counted.insert((lookup.list, number)) {
                        weight = weight.saturating_add(code.weight);
                    }
                }
                if let Reason::Done(text) = &lookup.reason {
                    reason.clone_from(text);
                }
            }
            verdict.score = verdict.score.saturating_add(weight);
            verdict.entries.push(Entry {
                zone: list.zone.clone(),
                allows: list.is_allow_list(),
                what: lookup.what.clone(),
                origins: lookup.origins.clone(),
                name: lookup.name.clone(),
                found,
                secure: lookup.answer.as_ref().is_some_and(|answer| answer.secure),
                weight,
            });
        }
        verdict
    }
}

impl List {
    /// The entries that there may be for something: their kind, what stands before the zone, and what that is.
    fn entries(&self, what: &What) -> Vec<(Kind, String, What)> {
        match what {
            What::Address(_) if self.holds == Holds::Domains => Vec::new(),
            What::Domain(_) if self.holds == Holds::Addresses => Vec::new(),
            What::Address(address) => {
                let address = address.to_canonical();
                let kind = if address.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 };
                vec![(kind, reversed(address), What::Address(address))]
            }
            What::Domain(name) => {
                let count = name.labels().count();
                let mut above = Some(name.clone());
                let names = std::iter::from_fn(|| {
                    let name = above.take()?;
                    above = name.parent();
                    Some(name)
                });
                // From the whole name upwards; those of a length that the list is asked about.
                let fitting = names.take(count).filter(|name| self.labels.contains(&name.labels().count()));
                fitting.map(|name| (Kind::Domain, name.as_str().to_owned(), What::Domain(name))).collect()
            }
        }
    }

    /// What an answer says; none is one that never came.
    fn classify(&self, answer: Option<&Answer>) -> Found {
        let records = match answer.map(|answer| &answer.found) {
            Some(Ok(records)) => records,
            Some(Err(Failure::NxDomain | Failure::NoData)) => return Found::NotListed,
            Some(Err(failure)) => return Found::Failed(*failure),
            None => return Found::Failed(Failure::Timeout),
        };
        let mut answers: Vec<Ipv4Addr> = records
            .iter()
            .filter_map(|data| match data {
                Data::A(address) => Some(*address),
                _ => None,
            })
            .collect();
        // In whichever order servers rotate them.
        answers.sort_unstable();
        answers.dedup();
        if let Some(refusal) = answers.iter().find(|answer| self.refusals.iter().any(|one| one.contains(**answer))) {
            return Found::Refused(*refusal);
        }
        let (codes, outside): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.is_loopback());
        match (codes.is_empty(), outside.first()) {
            (true, Some(outside)) => Found::Outside(*outside),
            (true, None) => Found::NotListed,
            (false, _) => Found::Listed { codes, meanings: Vec::new(), reason: None },
        }
    }
}

impl Points {
    /// RFC 5782 §5
    fn of(number: usize, list: &List, kind: Kind) -> Option<Self> {
        let mapped = |last: u16| IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, last]);
        let (must, must_not) = match kind {
            Kind::Ipv4 => (reversed([127, 0, 0, 2].into()), reversed([127, 0, 0, 1].into())),
            // "::FFFF:7F00:2" and "::FFFF:7F00:1"
            Kind::Ipv6 => (reversed(mapped(2)), reversed(mapped(1))),
            Kind::Domain => ("test".to_owned(), "invalid".to_owned()),
        };
        let name = |label: String| Some((list.zone.child(&label).ok()?, None));
        Some(Self { list: number, kind, must: name(must)?, must_not: name(must_not)? })
    }

    fn both(&mut self) -> [&mut (Name, Option<Answer>); 2] {
        [&mut self.must, &mut self.must_not]
    }
}

/// What two test points show together.
fn health(must: &Found, must_not: &Found) -> Option<Health> {
    match (must, must_not) {
        (Found::Refused(answer), _) | (_, Found::Refused(answer)) => Some(Health::Refuses(*answer)),
        (_, Found::Listed { .. } | Found::Outside(_)) => Some(Health::ListsEverything),
        (Found::NotListed | Found::Outside(_), _) => Some(Health::ListsNothing),
        (Found::Listed { .. }, Found::NotListed) => Some(Health::Good),
        _ => None,
    }
}

/// The text of a TXT record, as one line.
fn text(answer: &Answer) -> Option<String> {
    let first = answer.found.as_ref().ok()?.iter().find_map(|data| match data {
        Data::Txt(text) => Some(text),
        _ => None,
    })?;
    let cut = first.get(..MAX_REASON).unwrap_or(first);
    let seen = cut.iter().filter(|octet| !octet.is_ascii_control());
    let text: String = seen.map(|octet| if octet.is_ascii() { char::from(*octet) } else { '?' }).collect();
    Some(text).filter(|text| !text.is_empty())
}

impl Inquiry for Evaluation {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        if let Some(verdict) = &self.verdict {
            return Ask::Verdict(verdict.clone());
        }
        match self.open().into_iter().next() {
            Some(question) => Ask::Question(question),
            None => {
                let verdict = self.decide();
                self.verdict = Some(verdict.clone());
                Ask::Verdict(verdict)
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.poll() {
            self.answer_to(&question, answer);
        }
    }

    fn open(&mut self) -> Vec<Question> {
        let of_address = |name: &Name| Question::new(name.clone(), RecordType::A);
        let lookups = self.lookups.iter().filter_map(|lookup| match (&lookup.answer, &lookup.reason) {
            (None, _) => Some(of_address(&lookup.name)),
            (Some(_), Reason::Open) => Some(Question::new(lookup.name.clone(), RecordType::Txt)),
            _ => None,
        });
        let points = self.tests.iter().flat_map(|points| [&points.must, &points.must_not]);
        let points = points.filter(|(_, answer)| answer.is_none()).map(|(name, _)| of_address(name));
        let mut open: Vec<Question> = Vec::new();
        for question in lookups.chain(points) {
            // One zone may be in several lists, and a test point may be asked about.
            if !open.contains(&question) {
                open.push(question);
            }
        }
        open
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        let lists = Arc::clone(&self.lists);
        for lookup in self.lookups.iter_mut().filter(|lookup| lookup.name == question.name) {
            match (question.kind, &lookup.answer, &lookup.reason) {
                (RecordType::A, None, reason) => {
                    let found = lists.lists().get(lookup.list).map(|list| list.classify(Some(answer)));
                    lookup.reason = match (found, reason) {
                        (Some(Found::Listed { .. }), Reason::Wanted) => Reason::Open,
                        _ => Reason::Done(None),
                    };
                    lookup.answer = Some(answer.clone());
                }
                (RecordType::Txt, Some(_), Reason::Open) => lookup.reason = Reason::Done(text(answer)),
                _ => {}
            }
        }
        if question.kind == RecordType::A {
            for (name, known) in self.tests.iter_mut().flat_map(Points::both) {
                if *name == question.name && known.is_none() {
                    *known = Some(answer.clone());
                }
            }
        }
    }
}
