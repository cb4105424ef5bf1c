//! Failure reports (RFC 9991, in the form of RFC 6591): what of one message did not pass, told to the domain at once.
//!
//! [`Options`] reads what a domain asked for with `fo`, [`Report::of`] makes the reports, [`Redaction`] takes
//! the local parts of addresses out of them, [`Limiter`] holds back what is too much, and [`Destinations::of_failure`](super::Destinations::of_failure)
//! says where they may go. [`Report::mailed`] is the way back.
//!
//! Left out on purpose: the canonical header and body of a signature (RFC 6591 §3.2.4), which repeat the message, and the
//! requests of RFC 6651 and RFC 6652.

mod limit;
mod redact;

use crate::auth::{self, Results, Session, dkim, spf};
use crate::base::Timestamp;
use crate::dns::Name;
use crate::message::fields::AutoSubmitted;
use crate::message::report::{AuthFailure, DeliveryResult, FeedbackReport, FeedbackType, Returned, Typed};
use crate::message::{self, BuildError, Builder, Contact, Message};
use crate::smtp::ReversePath;

pub use limit::{Limiter, LimiterConfig};
pub use redact::Redaction;

use super::{Mechanism, Outcome, Verdict};

/// Which reports a domain wants of a message.
///
/// ```
/// use facteur::auth::dmarc::failure::Options;
///
/// let options = Options::parse("1:d");
/// assert!(options.any && options.dkim && !options.spf);
/// assert_eq!(Options::parse("nonsense"), Options::parse("0"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// `0`: where nothing gave an aligned pass.
    pub all: bool,
    /// `1`: where SPF or DKIM did not.
    pub any: bool,
    /// `d`: where a signature failed, aligned or not.
    pub dkim: bool,
    /// `s`: where SPF failed, aligned or not.
    pub spf: bool,
}

impl Options {
    /// Reads `fo` (RFC 9989 §4.7); what makes no sense is `0`, its default.
    pub fn parse(text: &str) -> Self {
        let has = |wanted: &str| text.split(':').any(|one| one.trim() == wanted);
        let found = Self { all: has("0"), any: has("1"), dkim: has("d"), spf: has("s") };
        if found == (Self { all: false, any: false, dkim: false, spf: false }) {
            return Self { all: true, ..found };
        }
        found
    }
}

/// How reports are made.
///
/// ```
/// use facteur::auth::dmarc::failure::{Config, Redaction};
/// use facteur::base::Secret;
///
/// let config = Config::new("mx.receiver.example", Redaction::Keyed(Secret::from("something that nobody knows")));
/// assert!(!config.whole);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The host that reports.
    pub host: String,
    /// User-Agent: the program that reports. Default `facteur`.
    pub user_agent: String,
    /// What is done to the local parts of addresses.
    pub redaction: Redaction,
    /// Whether the message goes with the report, or its header alone. Default the header: RFC 9991 §7 has the reasons.
    pub whole: bool,
    /// How many octets of the header, or of the message, go with the report; of a longer one only the header does, and of a
    /// longer header nothing. Default 256 KiB.
    pub octets: usize,
}

impl Config {
    /// For the host that reports.
    pub fn new(host: impl Into<String>, redaction: Redaction) -> Self {
        Self { host: host.into(), user_agent: "facteur".to_owned(), redaction, whole: false, octets: 256 * 1024 }
    }
}

/// What is known of a message besides what [`Check`](crate::auth::Check) found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Arrival {
    /// When it came.
    pub at: Timestamp,
    /// From which port of the client; RFC 6692 wants it told where addresses are shared. Default `None`.
    pub port: Option<u16>,
    /// The forward-paths. Default none: whom it was for is best not told.
    pub recipients: Vec<String>,
    /// ENVID, or the name that the queue gave it. Default `None`.
    pub envelope_id: Option<String>,
    /// What became of it. Default `None`.
    pub result: Option<DeliveryResult>,
    /// The records that SPF used, with their domains; RFC 9991 §4 wants them where SPF of an aligned domain failed. Default
    /// none.
    pub spf_records: Vec<(Name, String)>,
    /// For how many messages the report stands; see [`Limiter`]. Default 1.
    pub incidents: u32,
}

impl Arrival {
    /// Came at this time.
    pub fn new(at: Timestamp) -> Self {
        Self {
            at,
            port: None,
            recipients: Vec::new(),
            envelope_id: None,
            result: None,
            spf_records: Vec::new(),
            incidents: 1,
        }
    }
}

/// A report about one message, or of several like it.
///
/// ```
/// use facteur::auth::dmarc::failure::{Arrival, Config, Redaction, Report};
/// use facteur::auth::{Check, Session};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
/// use facteur::message::report::AuthFailure;
/// use facteur::smtp::ReversePath;
///
/// let zone: Zone = "_dmarc.example.org TXT \"v=DMARC1; p=reject; ruf=mailto:dmarc@example.org\"".parse()?;
/// let now = Timestamp::from_unix(1_790_000_000);
/// let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Null);
/// let message = Message::parse("From: ada@example.org\r\nSubject: Lunch\r\n\r\n");
/// let found = zone.ask(Check::new(&session, &message, now));
///
/// let config = Config::new("mx.example.net", Redaction::None);
/// let report = Report::of(&session, &found, &message, &Arrival::new(now), &config).remove(0);
/// assert_eq!(report.feedback.auth_failure, Some(AuthFailure::Dmarc));
/// let mail = report.mail(("Receiver", "dmarc@example.net"))?.date(now).to("dmarc@example.org").finish()?;
/// assert_eq!(Report::mailed(&mail).expect("a report").feedback, report.feedback);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The fields of the report.
    pub feedback: FeedbackReport,
    /// What the reporter found out, as far as it can be read.
    pub results: Option<Results>,
    /// The message that it is about, or its header.
    pub returned: Option<Returned>,
}

impl Report {
    /// The reports of a message that its domain wants: of DMARC, of DKIM and of SPF, one each at most. None where there is
    /// no failure of the kind; none where the domain named no address for them, or is a public suffix (RFC 9991 §2); and none
    /// where the message is a report of this kind itself, for such reports could go to and fro for ever (RFC 9991 §5.1).
    pub fn of(
        session: &Session,
        found: &auth::Report,
        message: &Message,
        arrival: &Arrival,
        config: &Config,
    ) -> Vec<Self> {
        let dmarc = &found.dmarc;
        let Some(record) = dmarc.record.as_ref().filter(|record| !record.failures.is_empty()) else {
            return Vec::new();
        };
        if record.suffix == Some(true) || !matches!(dmarc.outcome, Outcome::Pass | Outcome::Fail) {
            return Vec::new();
        }
        if Self::mailed(message).is_some() {
            return Vec::new();
        }
        let options = Options::parse(&record.failure_options);
        let passed = |mechanism| dmarc.aligned.iter().any(|identifier| identifier.mechanism == mechanism);
        let failed: Vec<Mechanism> =
            [Mechanism::Dkim, Mechanism::Spf].into_iter().filter(|mechanism| !passed(*mechanism)).collect();
        let spf = found.spf_mail_from.as_ref().or(found.spf_helo.as_ref());
        let spf_failed = spf.filter(|spf| matches!(spf.outcome, spf::Outcome::Fail | spf::Outcome::SoftFail));
        let mut kinds = Vec::new();
        // RFC 9989 §4.7, "fo"
        if (options.any && !failed.is_empty()) || (options.all && failed.len() == 2) {
            kinds.push(AuthFailure::Dmarc);
        }
        let signature = failed_signature(dmarc, &found.dkim);
        if options.dkim
            && let Some(signature) = signature
        {
            kinds.push(kind_of(signature));
        }
        if options.spf && spf_failed.is_some() {
            kinds.push(AuthFailure::Spf);
        }
        if kinds.is_empty() {
            return Vec::new();
        }
        let results = found.header(&config.host);
        let returned = returned(message, config);
        let reports = kinds.into_iter().map(|kind| {
            let mut feedback = FeedbackReport::new(FeedbackType::AuthFailure, config.user_agent.as_str());
            feedback.version = Some("1".to_owned());
            let value = results.payload().to_string().replace("\r\n\t", " ");
            feedback.authentication_results = vec![config.redaction.text(&value)];
            feedback.original_mail_from = Some(match &session.mail_from {
                ReversePath::Address(address) => format!("<{}>", config.redaction.address(address)),
                _ => "<>".to_owned(),
            });
            feedback.original_rcpt_to =
                arrival.recipients.iter().map(|recipient| config.redaction.text(recipient)).collect();
            feedback.envelope_id.clone_from(&arrival.envelope_id);
            feedback.arrival = Some(arrival.at.at_offset(arrival.at.offset().unwrap_or(0)));
            feedback.reporting_mta = Some(Typed::new("dns", config.host.as_str()));
            feedback.source_ip = Some(session.peer.to_canonical());
            feedback.source_port = arrival.port;
            feedback.incidents = Some(arrival.incidents).filter(|incidents| *incidents > 1);
            feedback.delivery_result.clone_from(&arrival.result);
            feedback.reported_domains = dmarc.author.iter().map(Name::to_string).collect();
            // RFC 9991 §4: "mechanism names that failed to authenticate an aligned identity".
            if kind == AuthFailure::Dmarc {
                let names = failed.iter().map(|mechanism| match mechanism {
                    Mechanism::Dkim => "dkim".to_owned(),
                    Mechanism::Spf => "spf".to_owned(),
                });
                feedback.identity_alignment = Some(names.collect());
            }
            // "REQUIRED for DKIM failures of an aligned identifier"
            let aligned = |domain: &Name| of_author(dmarc, domain);
            let about = signature.and_then(|verdict| verdict.signature.as_ref());
            if let Some(about) = about
                .filter(|one| !matches!(kind, AuthFailure::Spf) && (kind != AuthFailure::Dmarc || aligned(&one.domain)))
            {
                feedback.dkim_domain = Some(about.domain.to_string());
                feedback.dkim_identity = Some(config.redaction.text(&about.identity));
                feedback.dkim_selector = Some(about.selector.to_string());
            }
            if matches!(kind, AuthFailure::Dmarc | AuthFailure::Spf) && spf_failed.is_some() {
                let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
                let records = arrival.spf_records.iter();
                feedback.spf_dns =
                    records.map(|(domain, text)| format!("txt : {domain} : \"{}\"", quoted(text))).collect();
            }
            feedback.auth_failure = Some(kind);
            Self { feedback, results: Some(results.clone()), returned: returned.clone() }
        });
        reports.collect()
    }

    /// Reads the report that a message is; `None` where it is none of a failed authentication.
    pub fn mailed(message: &Message) -> Option<Self> {
        let Some(message::Report::Feedback(feedback)) = message.report() else { return None };
        let failure = feedback.auth_failure.is_some() || feedback.feedback_type == Some(FeedbackType::AuthFailure);
        let results = feedback.authentication_results.first().and_then(|value| Results::parse(value.as_bytes()).ok());
        failure.then(|| Self { results, returned: message.returned(), feedback })
    }

    /// The message that brings the report, but for the date, the identifier and to whom it goes. It should pass DMARC, so
    /// that no report about it comes back, and go out with a null reverse-path or one that answers no reports.
    ///
    /// # Errors
    /// Where a value cannot be written on a line.
    pub fn mail<'a>(&self, from: impl Into<Contact<'a>>) -> Result<Builder<'a>, BuildError> {
        let feedback = &self.feedback;
        let domain = feedback.reported_domains.first().map(String::as_str).unwrap_or_default();
        let text = |value: Option<String>| value.unwrap_or_else(|| "an unknown address".to_owned());
        let words = format!(
            "This is an authentication failure report for an email message\nreceived from {}{}.\n",
            text(feedback.source_ip.map(|ip| ip.to_string())),
            feedback.arrival.map(|at| format!(" on {at}")).unwrap_or_default(),
        );
        let report = message::Report::Feedback(feedback.clone());
        Ok(Message::build()
            .from(from)
            .subject(format!("Authentication failure report: {domain}"))
            .auto_submitted(AutoSubmitted::Generated)
            .body(report.part(words, self.returned.as_ref())?))
    }
}

/// The signature that a report is about: one that failed, of the author's organization first.
fn failed_signature<'a>(dmarc: &Verdict, verdicts: &'a [dkim::Verdict]) -> Option<&'a dkim::Verdict> {
    // What the DNS kept from being looked at has not failed.
    let passed = |one: &dkim::Verdict| matches!(one.outcome, dkim::Outcome::Pass | dkim::Outcome::TempError);
    let failed = |one: &&dkim::Verdict| !one.testing && !passed(one) && one.signature.is_some();
    let aligned = |one: &&dkim::Verdict| one.signature.as_ref().is_some_and(|one| of_author(dmarc, &one.domain));
    verdicts.iter().filter(failed).find(aligned).or_else(|| verdicts.iter().find(failed))
}

/// Whether a domain is the author's, or stands in its organization as far as that is known.
fn of_author(dmarc: &Verdict, domain: &Name) -> bool {
    let organization = dmarc.organization.as_ref().or(dmarc.policy_domain.as_ref());
    dmarc.author.as_ref() == Some(domain) || organization.is_some_and(|organization| domain.is_within(organization))
}

/// RFC 6591 §3.3.
fn kind_of(verdict: &dkim::Verdict) -> AuthFailure {
    match verdict.problem {
        Some(dkim::Problem::BodyChanged | dkim::Problem::BodyAppended | dkim::Problem::BodyTooShort) => {
            AuthFailure::BodyHash
        }
        Some(dkim::Problem::Revoked) => AuthFailure::Revoked,
        _ => AuthFailure::Signature,
    }
}

/// As much of the message as goes with the report.
fn returned(message: &Message, config: &Config) -> Option<Returned> {
    let root = message.root();
    let header = config.redaction.header(root.raw_header());
    if config.whole && header.len() + root.raw_body().len() <= config.octets {
        return Some(Returned::Message(Message::parse([&header, root.raw_body()].concat())));
    }
    (header.len() <= config.octets).then(|| Returned::Header(Message::parse(header)))
}
