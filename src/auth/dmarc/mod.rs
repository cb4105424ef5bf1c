//! DMARC (RFC 9989): what the domain in the From field wants done with mail that neither SPF nor DKIM says is its own.
//!
//! [`author`] finds that domain, [`Identifier`]s are the domains that SPF and DKIM have proved, and [`Evaluation`] is an
//! [`Inquiry`](crate::dns::Inquiry) after the records: the tree walk, alignment and the policy. Records of RFC 7489 are read;
//! what RFC 9989 took away of them (`pct=`, `rf=`, `ri=`) changes nothing.
//!
//! [`aggregate`] has the reports of what was seen in a day, [`failure`] those of single messages, and [`Destinations`] says to
//! whom reports may go.
//!
//! Left out on purpose: the list of public suffixes of RFC 7489, for which the tree walk stands now.

pub mod aggregate;
mod align;
mod destination;
mod evaluation;
pub mod failure;
mod record;
mod tree;

use std::fmt;

pub use align::{Identifier, Mechanism, author};
pub use destination::{Allowed, Destination, Destinations, MAX_DESTINATION_QUESTIONS, MAX_DESTINATIONS, Refusal};
pub use evaluation::{Evaluation, MAX_IDENTIFIERS, MAX_QUESTIONS};
pub use record::{MAX_RECORD, MAX_URIS, Record, Uri};

use crate::dns::{Failure, Name, Question};

/// What a domain wants done with mail that is not its own (RFC 9989 §4.7, "p").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// It is suspicious.
    Quarantine,
    /// It is refused.
    Reject,
}

/// What DMARC says (RFC 9989 §9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Outcome {
    /// The domain has no policy.
    None,
    /// The message is the domain's own.
    Pass,
    /// Nothing says that it is.
    Fail,
    /// The DNS failed for now, and might have said that it is.
    TempError,
    /// The message has no one author domain, or the domain's record is unusable.
    PermError,
}

/// Why there is no better outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is no From field, or no domain in it.
    #[error("no author domain")]
    NoAuthor,
    /// There are several From fields: readers show one of them.
    #[error("more than one From field")]
    SeveralFrom,
    /// The From field has addresses in several domains, or one that may be several.
    #[error("more than one author domain")]
    SeveralAuthors,
    /// No domain on the way has a record.
    #[error("no record")]
    NoRecord,
    /// The record has no policy, or one that is none, and no address for reports either (RFC 9989 §4.10.1).
    #[error("record without a policy")]
    NoPolicy,
    /// The DNS did not answer.
    #[error("dns: {0}")]
    Dns(Failure),
    /// What would be aligned could not be proved for now.
    #[error("spf or dkim could not be checked")]
    Unproved,
}

/// The outcome, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What DMARC says.
    pub outcome: Outcome,
    /// Why there is no better outcome.
    pub problem: Option<Problem>,
    /// The domain in the From field.
    pub author: Option<Name>,
    /// Where the record was found: the author domain, its organization's, or that of a public suffix.
    pub policy_domain: Option<Name>,
    /// The record.
    pub record: Option<Record>,
    /// The organizational domain of the author, where it was needed.
    pub organization: Option<Name>,
    /// Which policy of the record is for the author domain: `p`, `sp` or `np`.
    pub policy: Policy,
    /// What the domain wants done with this message: nothing with what passes, one level less than its policy while it tests
    /// (`t=y`).
    pub disposition: Policy,
    /// What is proved and aligned. DKIM has at most one: what is aligned already is not looked for again.
    pub aligned: Vec<Identifier>,
    /// The questions that were asked.
    pub asked: Vec<Question>,
}

impl Policy {
    /// Any case of letters.
    pub fn parse(text: &[u8]) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| policy.as_str().as_bytes().eq_ignore_ascii_case(text))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// One level less (RFC 9989 §4.7, "t").
    fn lower(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            _ => Self::None,
        }
    }
}

/// As records write it.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As header fields write it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}
