//! TLS reports (RFC 8460): hosts that send mail tell a domain how often they reached it over TLS, and why not.
//!
//! [`Lookup`] asks whether a domain wants reports and where, [`Collector`] counts sessions until they are due, and
//! [`Report::write`] and [`Report::mail`] make of them what is sent. [`Report::parse`] reads one, packed or not, and
//! [`Report::mailed`] finds it in a message; what a reporter leaves out or writes in another type of JSON is read as far as it
//! goes.
//!
//! Left out on purpose: sending by HTTPS, for which [`Report::file`] has the content and [`MEDIA_TYPE`] its type.

mod collect;
mod json;
mod mail;
mod record;

use std::fmt;
use std::net::IpAddr;

pub use collect::{Collector, CollectorLimits, Due};
pub use json::{Limits, ReadError, WriteError};
pub use mail::{MEDIA_TYPE, Mailed, Reporter};
pub use record::{Absent, Destination, Lookup, MAX_RECORD, MAX_URIS, Record, Verdict};

use crate::base::Timestamp;

/// A report.
///
/// ```
/// use facteur::auth::tls_rpt::{PolicyKind, Report};
///
/// let report = Report::parse(br#"{
///   "organization-name": "Company-X", "contact-info": "tls@company-x.example", "report-id": "5065427c",
///   "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
///   "policies": [{"policy": {"policy-type": "sts", "policy-domain": "company-y.example"},
///                 "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303}}]
/// }"#)?;
/// assert_eq!(report.policies[0].policy.kind, PolicyKind::Sts);
/// assert_eq!((report.policies[0].successes, report.policies[0].failures), (5326, 303));
/// assert_eq!(Report::parse(report.write()?.as_bytes())?, report);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// `organization-name`: who reports.
    pub organization: String,
    /// `contact-info`: an address to ask about the report.
    pub contact: String,
    /// `report-id`: what tells the report from others.
    pub id: String,
    /// `start-datetime`: where the time that it is about begins. It must be there to be written.
    pub begin: Option<Timestamp>,
    /// `end-datetime`: where it ends. It must be there to be written.
    pub end: Option<Timestamp>,
    /// What came of sessions under each policy.
    pub policies: Vec<PolicyResult>,
}

/// What came of the sessions under one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyResult {
    /// The policy.
    pub policy: Policy,
    /// `total-successful-session-count`
    pub successes: u64,
    /// `total-failure-session-count`
    pub failures: u64,
    /// Why sessions failed. One may have failed for several reasons, so the counts need not add up to the total.
    pub details: Vec<Failure>,
}

/// A policy that was applied to sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Policy {
    /// `policy-type`
    pub kind: PolicyKind,
    /// `policy-string`: its lines; of TLSA, the records.
    pub lines: Vec<String>,
    /// `policy-domain`, in A-labels: for MTA-STS the domain of the recipients, for DANE the host.
    pub domain: String,
    /// `mx-host`: the patterns of hosts that a policy of MTA-STS has.
    pub hosts: Vec<String>,
}

/// Sessions that failed for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Failure {
    /// `result-type`: the reason.
    pub kind: FailureKind,
    /// `sending-mta-ip`: from where the session came.
    pub sender: Option<IpAddr>,
    /// `receiving-mx-hostname`: the host that was to take the mail.
    pub host: Option<String>,
    /// `receiving-mx-helo`: what that calls itself.
    pub hello: Option<String>,
    /// `receiving-ip`: its address.
    pub receiver: Option<IpAddr>,
    /// `failed-session-count`: how many sessions.
    pub sessions: u64,
    /// `additional-information`: a URI with more about it.
    pub more: Option<String>,
    /// `failure-reason-code`: an error code or message.
    pub reason: Option<String>,
}

/// Defines words that a registry may add to.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
            /// Another, as it stands.
            Other(String),
        }

        impl $name {
            /// Reads the word, in any case of letters.
            pub fn parse(text: &str) -> Self {
                match text.to_ascii_lowercase().as_str() {
                    $($word => Self::$variant,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                })
            }
        }
    };
}

words! {
    /// Kinds of policies (RFC 8460 §4.4).
    PolicyKind {
        /// DANE (RFC 7672).
        Tlsa = "tlsa",
        /// MTA-STS (RFC 8461).
        Sts = "sts",
        /// Neither was found.
        #[default]
        Nothing = "no-policy-found",
    }
}

words! {
    /// Why a session failed (RFC 8460 §4.3).
    FailureKind {
        /// The host offers no TLS.
        StartTlsNotSupported = "starttls-not-supported",
        /// The certificate is of another host.
        CertificateHostMismatch = "certificate-host-mismatch",
        /// The certificate has expired.
        CertificateExpired = "certificate-expired",
        /// Nobody who is believed has signed the certificate, or something else is wrong with it.
        CertificateNotTrusted = "certificate-not-trusted",
        /// Another fault; [`Failure::reason`] should say which.
        #[default]
        ValidationFailure = "validation-failure",
        /// None of the TLSA records is valid.
        TlsaInvalid = "tlsa-invalid",
        /// The DNS gave no valid records.
        DnssecInvalid = "dnssec-invalid",
        /// DANE was demanded, and there is none.
        DaneRequired = "dane-required",
        /// The policy of MTA-STS could not be had.
        StsPolicyFetchError = "sts-policy-fetch-error",
        /// The policy of MTA-STS is not valid.
        StsPolicyInvalid = "sts-policy-invalid",
        /// The host of the policy has no certificate that is believed.
        StsWebPkiInvalid = "sts-webpki-invalid",
    }
}

impl Policy {
    /// A policy of this kind for a domain.
    pub fn new(kind: PolicyKind, domain: impl Into<String>) -> Self {
        Self { kind, domain: domain.into(), ..Self::default() }
    }
}

impl Failure {
    /// A failure of this kind, of no session yet.
    pub fn new(kind: FailureKind) -> Self {
        Self { kind, ..Self::default() }
    }
}
