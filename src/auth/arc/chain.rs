//! A chain as it stands in a header: its sets in order, each with its three fields once (RFC 8617 §§4.2 and 5.2).

use super::{Depth, MAX_CHAIN, MAX_SETS, Outcome, Part, Problem, Set, Verdict};
use crate::auth::dkim::{self, Canonicalization, Fields, Signature, append_unsigned};
use crate::auth::results::Results;
use crate::auth::tags::{Tags, number};
use crate::base::Timestamp;
use crate::message::{Field, Header};

/// The fields of the sets.
pub(super) struct Sets<'a> {
    /// Those of instance 1 first; each with what it has of results, signature and seal.
    sets: Vec<[Option<Field<'a>>; 3]>,
    problem: Option<Problem>,
}

impl<'a> Sets<'a> {
    pub(super) fn read(header: Header<'a>) -> Self {
        let mut found = Self { sets: Vec::new(), problem: None };
        let mut octets = 0usize;
        for field in header.fields() {
            let parts = [Part::Results, Part::Signature, Part::Seal];
            let Some(part) = parts.into_iter().find(|part| field.is(part.name())) else { continue };
            octets = octets.saturating_add(field.raw().len());
            if octets > MAX_CHAIN {
                found.fault(Problem::TooLong);
                break;
            }
            match instance(part, field.value()) {
                None => found.fault(Problem::NoInstance(part)),
                // "The maximum number of ARC Sets that can be attached to a message is 50."
                Some(instance) if instance > u64::from(MAX_SETS) => found.fault(Problem::TooManySets),
                Some(instance) => {
                    let instance = instance as u8; // at most 50, as just seen
                    if found.sets.len() < usize::from(instance) {
                        found.sets.resize(usize::from(instance), [None; 3]);
                    }
                    let slot = found.sets.get_mut(usize::from(instance) - 1).and_then(|set| set.get_mut(part as usize));
                    match slot {
                        Some(slot @ None) => *slot = Some(field),
                        _ => found.fault(Problem::Twice(part, instance)),
                    }
                }
            }
        }
        found
    }

    /// The first fault counts.
    fn fault(&mut self, problem: Problem) {
        self.problem = self.problem.or(Some(problem));
    }

    /// How many sets there are.
    pub(super) fn len(&self) -> u8 {
        self.sets.len() as u8 // at most 50
    }

    /// Whether the last sealer said that the chain is broken. That is the end of it (RFC 8617 §5.1, step 2).
    pub(super) fn ended(&self) -> bool {
        self.sets.last().and_then(|[_, _, seal]| *seal).is_some_and(|seal| status(seal.value()) == b"fail")
    }

    /// The canonical form of all sets.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for field in self.sets.iter().flatten().flatten() {
            Canonicalization::Relaxed.field(field.raw(), &mut text);
        }
        text
    }

    /// The sets, where each is whole and each seal says of those before it what it must.
    fn whole(&self) -> Result<Vec<[Field<'a>; 3]>, Problem> {
        // RFC 8617 §5.2, step 2.
        if self.ended() {
            return Err(Problem::Ended);
        }
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut whole = Vec::with_capacity(self.sets.len());
        for (set, instance) in self.sets.iter().zip(1..) {
            let part = |part| set.get(part as usize).copied().flatten().ok_or(Problem::Missing(part, instance));
            let set = [part(Part::Results)?, part(Part::Signature)?, part(Part::Seal)?];
            // Step 3 C.
            let expected: &[u8] = if instance == 1 { b"none" } else { b"pass" };
            if status(set[2].value()) != expected {
                return Err(Problem::Status(instance));
            }
            whole.push(set);
        }
        Ok(whole)
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Results => "ARC-Authentication-Results",
            Self::Signature => "ARC-Message-Signature",
            Self::Seal => "ARC-Seal",
        }
    }
}

/// `instance-value`, from 1.
fn instance(part: Part, value: &[u8]) -> Option<u64> {
    let instance = match part {
        Part::Results => Results::parse_arc(value)?.0.into(),
        Part::Signature | Part::Seal => number(Tags::parse(value).ok()?.get("i")?)?,
    };
    (instance > 0).then_some(instance)
}

/// `cv=` of a seal.
fn status(value: &[u8]) -> &[u8] {
    Tags::parse(value).ok().and_then(|tags| tags.get("cv")).unwrap_or_default()
}

/// A chain whose signatures are being verified, and where among those of its verifier they are.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Chain {
    verdict: Verdict,
    first: usize,
    /// Whether the older message signatures were looked at.
    oldest: bool,
}

impl Chain {
    /// Reads the chain of `header` and gives its signatures to `verifier`.
    pub(in crate::auth) fn read(
        header: Header<'_>,
        now: Timestamp,
        verifier: &mut dkim::Verifier,
        depth: Depth,
    ) -> Self {
        let (first, oldest) = (verifier.len(), depth == Depth::Oldest);
        let sets = Sets::read(header);
        let mut verdict = Verdict {
            outcome: Outcome::None,
            problem: None,
            instance: sets.len(),
            sets: Vec::new(),
            oldest_pass: None,
        };
        if sets.sets.is_empty() && sets.problem.is_none() {
            return Self { verdict, first, oldest };
        }
        let whole = match sets.whole() {
            Ok(whole) => whole,
            Err(problem) => {
                (verdict.outcome, verdict.problem) = (Outcome::Fail, Some(problem));
                return Self { verdict, first, oldest };
            }
        };
        verdict.outcome = Outcome::Pass;
        // Step 4: the newest message signature; step 6: every seal; step 5, where it is wanted: the other message signatures.
        let fields = Fields::of(header);
        let message_signature = |field: &Field<'_>, verifier: &mut dkim::Verifier| {
            let parsed = tags(field.value()).and_then(|tags| {
                let signature = Signature::of(&tags)?;
                // RFC 8617 §4.1.2. That the other fields of ARC are there too is against the RFC, and breaks nothing.
                let seals = signature.fields().any(|name| name == "arc-seal");
                if seals { Err(dkim::Problem::BadTag("h")) } else { Ok(signature) }
            });
            verifier.push(parsed, now, |signature| dkim::signed(&fields, *field, signature));
        };
        let mut newest_first = whole.iter().rev().map(|[_, message, _]| message);
        if let Some(newest) = newest_first.next() {
            message_signature(newest, verifier);
        }
        let mut before = Vec::new();
        for (set, instance) in whole.iter().zip(1..) {
            let [results, message, seal] = set;
            for field in [results, message] {
                Canonicalization::Relaxed.field(field.raw(), &mut before);
            }
            let parsed = tags(seal.value()).and_then(|tags| Signature::of_seal(&tags));
            let who = |signature: &Signature| (signature.domain.clone(), signature.selector.clone());
            verdict.sets.push(Set {
                instance,
                results: Results::parse_arc(results.value()).and_then(|(_, results)| results),
                signature: tags(message.value()).and_then(|tags| Signature::of(&tags)).ok().as_ref().map(who),
                seal: parsed.as_ref().ok().map(who),
            });
            verifier.push(parsed, now, |_| {
                let mut text = before.clone();
                append_unsigned(seal.raw(), Canonicalization::Relaxed, &mut text);
                Ok(text)
            });
            Canonicalization::Relaxed.field(seal.raw(), &mut before);
        }
        if oldest {
            newest_first.for_each(|older| message_signature(older, verifier));
        }
        Self { verdict, first, oldest }
    }

    /// Where among the verdicts of the verifier those of the chain begin.
    pub(in crate::auth) fn first(&self) -> usize {
        self.first
    }

    /// What came of the chain, by what came of the signatures of its verifier.
    pub(in crate::auth) fn verdict(&self, signatures: &[dkim::Verdict]) -> Verdict {
        let mut verdict = self.verdict.clone();
        let mut own = signatures.get(self.first..).unwrap_or_default().iter();
        if verdict.outcome != Outcome::Pass {
            return verdict;
        }
        let sets = usize::from(verdict.instance);
        let newest = own.next().map(|signature| (Part::Signature, verdict.instance, signature));
        let seals: Vec<_> = own.by_ref().take(sets).collect();
        let seals = (1..=verdict.instance).zip(seals).map(|(instance, seal)| (Part::Seal, instance, seal)).rev();
        let failed = newest.into_iter().chain(seals).find(|(_, _, one)| one.outcome != dkim::Outcome::Pass);
        if let Some((part, instance, one)) = failed {
            let problem = one.problem.unwrap_or(dkim::Problem::NoKey); // what does not pass has a problem
            verdict.outcome = Outcome::Fail;
            verdict.problem = Some(Problem::Signature(part, instance, problem));
            return verdict;
        }
        // RFC 8617 §5.2, step 5: from N-1 to 1, the last that passed before one that does not; 0 where all pass.
        let mut older = (1..verdict.instance).rev().zip(own);
        if self.oldest {
            let failed = older.find(|(_, one)| one.outcome != dkim::Outcome::Pass);
            verdict.oldest_pass = Some(failed.map_or(0, |(instance, _)| instance + 1));
        }
        verdict
    }
}

fn tags(value: &[u8]) -> Result<Tags<'_>, dkim::Problem> {
    Tags::parse(value).map_err(dkim::Problem::Syntax)
}
