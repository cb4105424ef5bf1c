//! Aggregate reports (RFC 9990, before it RFC 7489 §7.2): what a receiver saw of a domain's mail in a day, as XML.
//!
//! [`Report::parse`] reads one, packed or not, and [`Report::mailed`] finds it in a message; [`Report::write`] and
//! [`Report::mail`] are the way back. [`Collector`] counts verdicts until they are due, and
//! [`Destinations`](super::Destinations) says where they may be sent. Reading is lenient, within [`Limits`]: the schemas of
//! RFC 7489 and of the drafts are read as well, and what is not as RFC 9990 has it is told in [`Report::faults`].
//!
//! Left out on purpose: writing extensions, of which none is known.

mod collect;
mod mail;
mod read;
mod write;

use std::net::IpAddr;

pub use collect::{Collector, CollectorLimits, Due, Handling};
pub use mail::{Mailed, Reporter};
pub use read::{Limits, ReadError};
pub use write::WriteError;

use super::{Policy, Record as PolicyRecord};
use crate::auth::{dkim, spf};
use crate::base::Timestamp;
use crate::dns::Name;

/// A report.
///
/// ```
/// use facteur::auth::dmarc::aggregate::{Disposition, Report};
///
/// let report = Report::parse(b"<feedback>
///   <report_metadata>
///     <org_name>Receiver</org_name><email>dmarc@receiver.example</email><report_id>17</report_id>
///     <date_range><begin>1790000000</begin><end>1790086399</end></date_range>
///   </report_metadata>
///   <policy_published><domain>example.org</domain><p>reject</p></policy_published>
///   <record>
///     <row><source_ip>192.0.2.1</source_ip><count>3</count>
///       <policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
///     <identifiers><header_from>example.org</header_from></identifiers>
///     <auth_results/>
///   </record>
/// </feedback>")?;
/// assert_eq!(report.records[0].source, Some([192, 0, 2, 1].into()));
/// assert_eq!(report.records[0].disposition, Disposition::Reject);
/// assert!(report.faults.is_empty());
/// assert_eq!(Report::parse(report.write()?.as_bytes())?.records, report.records);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// `version`, as it stands. What is written says 1.0.
    pub version: Option<String>,
    /// `org_name`: who reports.
    pub organization: String,
    /// `email`: whom to ask about the report.
    pub email: String,
    /// `extra_contact_info`
    pub extra_contact: Option<Text>,
    /// `report_id`: what tells the report from others to the same domain.
    pub id: String,
    /// Where the time that it is about begins.
    pub begin: Timestamp,
    /// Where it ends.
    pub end: Timestamp,
    /// `error`: what was wrong with the policy record. RFC 9990 has one, RFC 7489 several.
    pub errors: Vec<Text>,
    /// `generator`: the program that wrote it.
    pub generator: Option<String>,
    /// `policy_published`: the policy that the domain had.
    pub policy: PublishedPolicy,
    /// What stands in `extension`. It is not written.
    pub extensions: Vec<Extension>,
    /// What was seen.
    pub records: Vec<Record>,
    /// What is not as RFC 9990 has it, the first of it.
    pub faults: Vec<Fault>,
}

/// The policy that a domain had when it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedPolicy {
    /// `domain`: where the record was found.
    pub domain: String,
    /// `p`
    pub policy: Policy,
    /// `sp`
    pub subdomains: Option<Policy>,
    /// `np`
    pub nonexistent: Option<Policy>,
    /// `adkim`
    pub dkim: Option<Alignment>,
    /// `aspf`
    pub spf: Option<Alignment>,
    /// `discovery_method`
    pub discovery: Option<Discovery>,
    /// `fo`, as the record has it.
    pub failure_options: Option<String>,
    /// `testing`
    pub testing: Option<bool>,
    /// `pct` of RFC 7489. It is not written.
    pub percent: Option<u8>,
}

/// What was seen of mail from one host with one outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Record {
    /// `source_ip`: the host. It must be there to be written.
    pub source: Option<IpAddr>,
    /// `count`: how many messages.
    pub count: u64,
    /// `disposition`: what was done with them.
    pub disposition: Disposition,
    /// Whether DKIM gave an aligned pass.
    pub dkim_passed: bool,
    /// Whether SPF did.
    pub spf_passed: bool,
    /// `reason`: why it is not what the domain wanted done.
    pub reasons: Vec<Override>,
    /// `header_from`: the author domain.
    pub header_from: String,
    /// `envelope_from`: the domain of the reverse-path; empty for a null one.
    pub envelope_from: Option<String>,
    /// `envelope_to`: the domain of the forward-path.
    pub envelope_to: Option<String>,
    /// What came of the signatures.
    pub dkim: Vec<DkimResult>,
    /// What came of SPF. RFC 9990 has at most one, and no other is written.
    pub spf: Vec<SpfResult>,
    /// Elements that the RFC does not name. They are not written.
    pub extensions: Vec<Extension>,
}

/// What came of one signature, whether it was aligned or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DkimResult {
    /// `d=`
    pub domain: String,
    /// `s=`; empty in reports that leave it out. It must be there to be written.
    pub selector: String,
    /// What came of it.
    pub outcome: DkimOutcome,
    /// More about it, for people.
    pub human: Option<Text>,
}

/// What came of SPF, whether it was aligned or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct SpfResult {
    /// The domain that was asked.
    pub domain: String,
    /// What it is the domain of. Only [`Scope::MailFrom`] is written.
    pub scope: Option<Scope>,
    /// What came of it.
    pub outcome: SpfOutcome,
    /// More about it, for people.
    pub human: Option<Text>,
}

/// Why a policy was not applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Override {
    /// The kind of reason.
    pub kind: OverrideKind,
    /// More about it, for people.
    pub comment: Option<Text>,
}

/// Text for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Text {
    /// The text.
    pub text: String,
    /// Its language; `None` is English.
    pub language: Option<String>,
}

/// An element that the RFC does not name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Extension {
    /// Its name as it stands.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// All text in it.
    pub text: String,
}

/// Something in a report that is not as RFC 9990 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The element.
    pub element: &'static str,
    /// What is wrong with it.
    pub kind: FaultKind,
    /// The octet of the XML at which that was seen.
    pub at: usize,
}

/// What is wrong with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// It should be there.
    Missing,
    /// Its value is none that the RFC knows; it is taken for the default.
    Value,
    /// Its text is longer than [`Limits::text`] and is cut off there.
    TooLong,
    /// There are more of it than [`Limits::results`]; the others are left out.
    TooMany,
    /// It refers to an entity that XML does not have. None is ever expanded.
    Entity,
}

/// Defines words that the RFC closes.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal $(| $other:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
        }

        impl $name {
            /// Reads the word, in any case of letters.
            pub fn parse(text: &str) -> Option<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($word $(| $other)* => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// As reports write it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What was done with a message.
    #[derive(Default)]
    Disposition {
        /// Nothing.
        #[default]
        None = "none",
        /// Nothing, for it passed, and the policy would have had something done otherwise.
        Pass = "pass",
        /// It was marked as suspicious.
        Quarantine = "quarantine",
        /// It was refused.
        Reject = "reject",
    }
}

words! {
    /// How near to the author domain an identifier must be.
    Alignment {
        /// In the same organization.
        Relaxed = "r" | "relaxed",
        /// The domain itself.
        Strict = "s" | "strict",
    }
}

words! {
    /// How the policy record was found.
    Discovery {
        /// By a list of public suffixes (RFC 7489).
        Psl = "psl",
        /// By the tree walk (RFC 9989).
        TreeWalk = "treewalk",
    }
}

words! {
    /// What SPF was asked about.
    Scope {
        /// The reverse-path.
        MailFrom = "mfrom" | "mailfrom",
        /// The HELO name: RFC 7489 had it.
        Helo = "helo",
    }
}

words! {
    /// What came of a signature (RFC 8601 §2.7.1).
    #[derive(Default)]
    DkimOutcome {
        /// There was none.
        #[default]
        None = "none",
        /// The domain signed the message.
        Pass = "pass",
        /// It did not.
        Fail = "fail" | "hardfail",
        /// It did in a way that is not relied upon.
        Policy = "policy",
        /// It could not be used.
        Neutral = "neutral",
        /// The key could not be had.
        TempError = "temperror" | "unknown",
        /// The signature or the key is not what the standard says.
        PermError = "permerror" | "error",
    }
}

words! {
    /// What came of SPF (RFC 8601 §2.7.2).
    #[derive(Default)]
    SpfOutcome {
        /// There is no record.
        #[default]
        None = "none",
        /// The host may send for the domain.
        Pass = "pass",
        /// It may not.
        Fail = "fail" | "hardfail",
        /// It probably may not.
        SoftFail = "softfail",
        /// It may, and is not relied upon.
        Policy = "policy",
        /// The domain says nothing of it.
        Neutral = "neutral",
        // RFC 7489 §C: `"TempError" commonly implemented as "unknown"`.
        /// The DNS did not answer.
        TempError = "temperror" | "unknown",
        /// The record is not what the standard says.
        PermError = "permerror" | "error",
    }
}

words! {
    /// The kinds of reasons not to do what a domain wants done.
    OverrideKind {
        /// The receiver's own rules.
        LocalPolicy = "local_policy",
        /// It came by a mailing list.
        MailingList = "mailing_list",
        /// Another.
        Other = "other",
        /// The domain tests its policy.
        PolicyTestMode = "policy_test_mode",
        /// It came by a forwarder that is known.
        TrustedForwarder = "trusted_forwarder",
        /// It was forwarded: RFC 7489 had it. It is written as another.
        Forwarded = "forwarded",
        /// It was left out by `pct`: RFC 7489 had it. It is written as another.
        SampledOut = "sampled_out",
    }
}

impl From<Policy> for Disposition {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::None => Self::None,
            Policy::Quarantine => Self::Quarantine,
            Policy::Reject => Self::Reject,
        }
    }
}

impl From<dkim::Outcome> for DkimOutcome {
    fn from(outcome: dkim::Outcome) -> Self {
        match outcome {
            dkim::Outcome::Pass => Self::Pass,
            dkim::Outcome::Fail => Self::Fail,
            dkim::Outcome::Policy => Self::Policy,
            dkim::Outcome::TempError => Self::TempError,
            dkim::Outcome::PermError => Self::PermError,
        }
    }
}

impl From<spf::Outcome> for SpfOutcome {
    fn from(outcome: spf::Outcome) -> Self {
        match outcome {
            spf::Outcome::None => Self::None,
            spf::Outcome::Neutral => Self::Neutral,
            spf::Outcome::Pass => Self::Pass,
            spf::Outcome::Fail => Self::Fail,
            spf::Outcome::SoftFail => Self::SoftFail,
            spf::Outcome::TempError => Self::TempError,
            spf::Outcome::PermError => Self::PermError,
        }
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self { text: text.into(), language: None }
    }
}

impl Override {
    /// A reason without a comment.
    pub fn new(kind: OverrideKind) -> Self {
        Self { kind, comment: None }
    }
}

impl PublishedPolicy {
    /// What the record at `domain` says.
    pub fn of(domain: &Name, record: &PolicyRecord) -> Self {
        let alignment = |strict| Some(if strict { Alignment::Strict } else { Alignment::Relaxed });
        Self {
            domain: domain.to_string(),
            policy: record.policy.unwrap_or_default(),
            subdomains: record.subdomains,
            nonexistent: record.nonexistent,
            dkim: alignment(record.strict_dkim),
            spf: alignment(record.strict_spf),
            discovery: Some(Discovery::TreeWalk),
            failure_options: Some(record.failure_options.clone()),
            testing: Some(record.testing),
            percent: None,
        }
    }
}

impl Report {
    /// An empty report with this identifier about `policy`, for the time from `begin` to `end`.
    pub fn new(id: impl Into<String>, policy: PublishedPolicy, begin: Timestamp, end: Timestamp) -> Self {
        Self {
            version: None,
            organization: String::new(),
            email: String::new(),
            extra_contact: None,
            id: id.into(),
            begin,
            end,
            errors: Vec::new(),
            generator: None,
            policy,
            extensions: Vec::new(),
            records: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// How many messages it is about.
    pub fn messages(&self) -> u64 {
        self.records.iter().fold(0, |sum, record| sum.saturating_add(record.count))
    }
}
