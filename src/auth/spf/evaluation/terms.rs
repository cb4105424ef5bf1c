//! The record term by term (RFC 7208 §§4.6, 5, 6): which mechanism asks what, what a decision leads to, and the explanation of a
//! refusal.

use bytes::Bytes;

use super::{Evaluation, How, MAX_LOOKUPS, State, Then, Wanted};
use crate::auth::spf::macros::{MAX_EXPLANATION, MacroString, Place, Values};
use crate::auth::spf::record::Mechanism;
use crate::auth::spf::{Outcome, Problem};
use crate::dns::{Name, RecordType};

impl Evaluation {
    /// Evaluates until something must be asked, or the end is reached.
    pub(super) fn run(&mut self) {
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
    pub(super) fn matched(&mut self, matched: bool) {
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
    pub(super) fn ask_explanation(&mut self) {
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

    pub(super) fn explain(&mut self, text: Bytes) {
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

    /// The record that is looked at has been decided.
    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.directives.truncate(frame.first);
        }
    }
}
