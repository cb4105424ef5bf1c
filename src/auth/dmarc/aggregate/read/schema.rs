//! The schema: what an element is where it stands, and what the text of one means.

use super::Reading;
use crate::auth::dmarc::Policy;
use crate::auth::dmarc::aggregate::{
    Alignment, Discovery, Disposition, DkimOutcome, FaultKind, OverrideKind, Scope, SpfOutcome, Text,
};
use crate::base::Timestamp;

/// An element that is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    Feedback,
    Metadata,
    Range,
    Policy,
    Record,
    Row,
    Evaluated,
    Reason,
    Identifiers,
    Results,
    Dkim,
    Spf,
    Extensions,
    Extension,
    /// One with text in it that is wanted.
    Leaf(&'static str),
    Other,
}

impl Place {
    /// What an element of this name is here. Namespaces are passed over: real reports have any, or none.
    pub(super) fn child(self, name: &str, prefixed: bool) -> Self {
        let leaf =
            |names: &'static [&'static str]| names.iter().find(|known| **known == name).map(|name| Self::Leaf(name));
        let found = match (self, name) {
            (Self::Feedback, "report_metadata") => Some(Self::Metadata),
            (Self::Feedback, "policy_published") => Some(Self::Policy),
            (Self::Feedback, "record") => Some(Self::Record),
            // RFC 9990 has the singular, and in records the elements themselves; drafts of it had the plural in both.
            (Self::Feedback | Self::Record, "extension" | "extensions") => Some(Self::Extensions),
            (Self::Feedback, _) => leaf(&["version"]),
            (Self::Metadata, "date_range") => Some(Self::Range),
            (Self::Metadata, _) => {
                leaf(&["org_name", "email", "extra_contact_info", "report_id", "error", "generator"])
            }
            (Self::Range, _) => leaf(&["begin", "end"]),
            (Self::Policy, _) => {
                leaf(&["domain", "p", "sp", "np", "adkim", "aspf", "discovery_method", "fo", "testing", "pct"])
            }
            (Self::Record, "row") => Some(Self::Row),
            (Self::Record, "identifiers") => Some(Self::Identifiers),
            // `identities` is in reports of the first years.
            (Self::Record, "identities") => Some(Self::Identifiers),
            (Self::Record, "auth_results") => Some(Self::Results),
            (Self::Record, _) if prefixed => Some(Self::Extension),
            (Self::Row, "policy_evaluated") => Some(Self::Evaluated),
            (Self::Row, _) => leaf(&["source_ip", "count"]),
            (Self::Evaluated, "reason") => Some(Self::Reason),
            (Self::Evaluated, _) => leaf(&["disposition", "dkim", "spf"]),
            (Self::Reason, _) => leaf(&["type", "comment"]),
            (Self::Identifiers, _) => leaf(&["header_from", "envelope_from", "envelope_to"]),
            (Self::Results, "dkim") => Some(Self::Dkim),
            (Self::Results, "spf") => Some(Self::Spf),
            (Self::Dkim, _) => leaf(&["domain", "selector", "result", "human_result"]),
            (Self::Spf, _) => leaf(&["domain", "scope", "result", "human_result"]),
            (Self::Extensions, _) => Some(Self::Extension),
            _ => None,
        };
        found.unwrap_or(Self::Other)
    }
}

/// What a report must have, and what a record must.
pub(super) const REQUIRED: [&str; 7] = ["org_name", "email", "report_id", "begin", "end", "domain", "p"];
pub(super) const REQUIRED_OF_RECORD: [&str; 6] = ["source_ip", "count", "disposition", "dkim", "spf", "header_from"];

impl Reading<'_> {
    /// A leaf has ended: its text is a value of what it stands in.
    pub(super) fn leaf(&mut self, name: &'static str) {
        let Some(parent) = self.stack.last().copied() else { return };
        let value = self.text.trim().to_owned();
        let human = || Some(Text { text: value.clone(), language: self.language.clone() });
        let some = || Some(value.clone()).filter(|value| !value.is_empty());
        let (report, record) = (&mut self.report, &mut self.record);
        // Whether the value is one.
        let sound = match (parent, name) {
            (Place::Feedback, _) => set(&mut report.version, some()),
            (Place::Metadata, "org_name") => text_set(&mut report.organization, &value),
            (Place::Metadata, "email") => text_set(&mut report.email, &value),
            (Place::Metadata, "report_id") => text_set(&mut report.id, &value),
            (Place::Metadata, "extra_contact_info") => keep(&mut report.extra_contact, human()),
            (Place::Metadata, "generator") => keep(&mut report.generator, some()),
            (Place::Metadata, _) => {
                if !value.is_empty() && report.errors.len() < self.limits.results {
                    report.errors.extend(human());
                }
                true
            }
            (Place::Range, "begin") => time(&mut report.begin, &value),
            (Place::Range, _) => time(&mut report.end, &value),
            (Place::Policy, "domain") => text_set(&mut report.policy.domain, &value),
            (Place::Policy, "p") => Policy::parse(value.as_bytes()).map(|found| report.policy.policy = found).is_some(),
            // Google and others write these empty where the record has none.
            (Place::Policy, _) if value.is_empty() => true,
            (Place::Policy, "sp") => set(&mut report.policy.subdomains, Policy::parse(value.as_bytes())),
            (Place::Policy, "np") => set(&mut report.policy.nonexistent, Policy::parse(value.as_bytes())),
            (Place::Policy, "adkim") => set(&mut report.policy.dkim, Alignment::parse(&value)),
            (Place::Policy, "aspf") => set(&mut report.policy.spf, Alignment::parse(&value)),
            (Place::Policy, "discovery_method") => set(&mut report.policy.discovery, Discovery::parse(&value)),
            (Place::Policy, "fo") => keep(&mut report.policy.failure_options, some()),
            (Place::Policy, "testing") => match value.to_ascii_lowercase().as_str() {
                "y" => set(&mut report.policy.testing, Some(true)),
                "n" => set(&mut report.policy.testing, Some(false)),
                _ => false,
            },
            (Place::Policy, _) => set(&mut report.policy.percent, value.parse().ok()),
            (Place::Row, "source_ip") => set(&mut record.source, value.parse().ok()),
            (Place::Row, _) => value.parse().map(|count| record.count = count).is_ok(),
            (Place::Evaluated, "disposition") => {
                Disposition::parse(&value).map(|found| record.disposition = found).is_some()
            }
            (Place::Evaluated, "dkim") => passed(&mut record.dkim_passed, &value),
            (Place::Evaluated, _) => passed(&mut record.spf_passed, &value),
            (Place::Reason, _) => match (record.reasons.last_mut(), name) {
                (Some(reason), "type") => OverrideKind::parse(&value).map(|kind| reason.kind = kind).is_some(),
                (Some(reason), _) => keep(&mut reason.comment, human().filter(|_| !value.is_empty())),
                (None, _) => true,
            },
            (Place::Identifiers, "header_from") => text_set(&mut record.header_from, &value),
            (Place::Identifiers, "envelope_from") => set(&mut record.envelope_from, Some(value.clone())),
            (Place::Identifiers, _) => keep(&mut record.envelope_to, some()),
            (Place::Dkim, _) => match (record.dkim.last_mut(), name) {
                (Some(one), "domain") => text_set(&mut one.domain, &value),
                (Some(one), "selector") => text_set(&mut one.selector, &value),
                (Some(one), "result") => DkimOutcome::parse(&value).map(|found| one.outcome = found).is_some(),
                (Some(one), _) => keep(&mut one.human, human().filter(|_| !value.is_empty())),
                (None, _) => true,
            },
            (Place::Spf, _) => match (record.spf.last_mut(), name) {
                (Some(one), "domain") => text_set(&mut one.domain, &value),
                (Some(one), "scope") => value.is_empty() || set(&mut one.scope, Scope::parse(&value)),
                (Some(one), "result") => SpfOutcome::parse(&value).map(|found| one.outcome = found).is_some(),
                (Some(one), _) => keep(&mut one.human, human().filter(|_| !value.is_empty())),
                (None, _) => true,
            },
            _ => true,
        };
        if !sound {
            self.fault(name, FaultKind::Value);
        }
        let seen = match parent {
            Place::Row | Place::Evaluated | Place::Identifiers => &mut self.seen[1],
            Place::Metadata | Place::Range | Place::Policy => &mut self.seen[0],
            _ => return,
        };
        // There are as many as leaves of the schema at most.
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let sound = value.is_some();
    *place = value.or(place.take());
    sound
}

/// As [`set`], where nothing is as good as something.
fn keep<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    set(place, value);
    true
}

fn text_set(place: &mut String, value: &str) -> bool {
    value.clone_into(place);
    !value.is_empty()
}

/// Seconds since the epoch; some write them with a fraction.
fn time(place: &mut Timestamp, value: &str) -> bool {
    let seconds = value.split('.').next().unwrap_or_default();
    seconds.parse().map(|seconds| *place = Timestamp::from_unix(seconds)).is_ok()
}

fn passed(place: &mut bool, value: &str) -> bool {
    *place = value.eq_ignore_ascii_case("pass");
    *place || value.eq_ignore_ascii_case("fail")
}
