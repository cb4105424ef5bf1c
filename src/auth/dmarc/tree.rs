//! The DNS Tree Walk (RFC 9989 §4.10): the policy records above a domain and its own, and what its organization is by them.

use super::Record;
use crate::dns::{Answer, Data, Failure, Name, Question, RecordType};

/// How many questions one walk can ask.
pub(super) const WALK: u32 = 8;

/// What is known of the records of domains.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    known: Vec<(Name, Found)>,
}

/// The record of a domain.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) record: Result<Option<Record>, Failure>,
    /// There is no such name as `_dmarc` below the domain.
    pub(super) no_name: bool,
}

/// A step of an evaluation: done, or in want of an answer about a domain.
pub(super) type Step<T> = Result<T, (Name, Question)>;

/// What a walk found: the records from the longest name to the shortest, or that the DNS failed.
pub(super) type Walked<'a> = Result<Vec<(Name, &'a Record)>, Failure>;

impl Tree {
    /// The record of `domain`.
    pub(super) fn record(&self, domain: &Name) -> Step<&Found> {
        if let Some((_, found)) = self.known.iter().find(|(known, _)| known == domain) {
            return Ok(found);
        }
        match domain.child("_dmarc") {
            Ok(name) => Err((domain.clone(), Question::new(name, RecordType::Txt))),
            // A name that is too long for the label has no record below it.
            Err(_) => Ok(const { &Found { record: Ok(None), no_name: true } }),
        }
    }

    /// `DNS Tree Walk`: the records above `start` and its own.
    pub(super) fn walk(&self, start: &Name) -> Step<Walked<'_>> {
        let mut found = Vec::new();
        let mut target = start.clone();
        loop {
            match &self.record(&target)?.record {
                Err(failure) => return Ok(Err(*failure)),
                Ok(Some(record)) => {
                    found.push((target.clone(), record));
                    // Step 2: "If a single record remains and it contains a "psd=n" or "psd=y" tag, stop."
                    if record.suffix.is_some() {
                        return Ok(Ok(found));
                    }
                }
                Ok(None) => {}
            }
            // Step 4: of eight labels and more seven remain, of fewer all but the first.
            let labels = target.labels().count();
            for _ in 0..labels.saturating_sub(7).max(1) {
                target = target.parent().unwrap_or_default();
            }
            if target.is_root() {
                return Ok(Ok(found));
            }
        }
    }

    /// `Organizational Domain` by what a walk found (RFC 9989 §4.10.2).
    pub(super) fn organization(start: &Name, found: &[(Name, &Record)]) -> Name {
        for (name, record) in found {
            match record.suffix {
                Some(false) => return name.clone(),
                // The domain one label below a public suffix.
                Some(true) if name != start => {
                    let above = name.labels().count();
                    let mut below = start.clone();
                    while below.labels().count() > above + 1 {
                        below = below.parent().unwrap_or_default();
                    }
                    return below;
                }
                _ => {}
            }
        }
        found.last().map_or(start, |(name, _)| name).clone()
    }

    /// The organizational domain of `domain`.
    pub(super) fn organization_of(&self, domain: &Name) -> Step<Result<Name, Failure>> {
        Ok(self.walk(domain)?.map(|found| Self::organization(domain, &found)))
    }

    /// Whether `domain` is of the organization `own`. It must stand below that for it; what does not is not asked for.
    pub(super) fn belongs(&self, own: &Name, domain: &Name) -> Step<Result<bool, Failure>> {
        if !domain.is_within(own) {
            return Ok(Ok(false));
        }
        Ok(self.organization_of(domain)?.map(|organization| organization == *own))
    }

    /// What the DNS says of the policy of `domain`.
    pub(super) fn learn(&mut self, domain: Name, answer: &Answer) {
        self.known.push((domain, Found::of(answer)));
    }
}

impl Found {
    fn of(answer: &Answer) -> Self {
        let texts = match &answer.found {
            Ok(texts) => texts,
            Err(failure) if failure.is_temporary() => return Self { record: Err(*failure), no_name: false },
            Err(failure) => return Self { record: Ok(None), no_name: *failure == Failure::NxDomain },
        };
        let mut records = texts.iter().filter_map(|data| match data {
            Data::Txt(text) => Record::parse(text),
            _ => None,
        });
        // "If multiple DMARC Policy Records are returned for a single target, they are all discarded."
        let record = records.next().filter(|_| records.next().is_none());
        Self { record: Ok(record), no_name: false }
    }
}
