//! Feedback reports: complaints (RFC 5965, how to treat them RFC 6650) and authentication failures (RFC 6591, with the
//! source port of RFC 6692 and the alignment that DMARC adds, RFC 7489 §7.3.1).

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Limits;
use super::fields::{Fields, Typed, Writer, date, put, text, word};
use crate::address::{Address, Domain, list};
use crate::base::Timestamp;
use crate::message::BuildError;
use crate::text::transfer;

/// A feedback report: `message/feedback-report`.
///
/// ```
/// use facteur::message::report::{FeedbackReport, FeedbackType};
///
/// let report = FeedbackReport::parse(
///     b"Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\n",
/// );
/// assert_eq!(report.feedback_type, Some(FeedbackType::Abuse));
/// assert_eq!(report.source_ip, Some([192, 0, 2, 1].into()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedbackReport {
    /// Feedback-Type. It must be there to be written.
    pub feedback_type: Option<FeedbackType>,
    /// User-Agent: what wrote the report. It must be there to be written.
    pub user_agent: Option<String>,
    /// Version. What is written without one says 1.
    pub version: Option<String>,
    /// Original-Envelope-Id: the ENVID of the message.
    pub envelope_id: Option<String>,
    /// Original-Mail-From, as it stands; see [`mail_from`](Self::mail_from).
    pub original_mail_from: Option<String>,
    /// Each Original-Rcpt-To, as it stands.
    pub original_rcpt_to: Vec<String>,
    /// Arrival-Date, or the Received-Date of old reports (RFC 5965 §3.2).
    pub arrival: Option<Timestamp>,
    /// Reporting-MTA
    pub reporting_mta: Option<Typed>,
    /// Source-IP: who sent the message.
    pub source_ip: Option<IpAddr>,
    /// Source-Port: from which port.
    pub source_port: Option<u16>,
    /// Incidents: how many messages the report speaks of.
    pub incidents: Option<u32>,
    /// Each Reported-Domain, as it stands.
    pub reported_domains: Vec<String>,
    /// Each Reported-URI, as it stands.
    pub reported_uris: Vec<String>,
    /// Each Authentication-Results, as it stands.
    pub authentication_results: Vec<String>,
    /// Auth-Failure: what failed, of a report of the type `auth-failure`.
    pub auth_failure: Option<AuthFailure>,
    /// Delivery-Result: what became of the message.
    pub delivery_result: Option<DeliveryResult>,
    /// Identity-Alignment, in lower case; none for `none`: the methods that failed to authenticate an aligned identity
    /// (RFC 9991 §4; RFC 7489 had those that did).
    pub identity_alignment: Option<Vec<String>>,
    /// DKIM-Domain: the `d=` of the signature.
    pub dkim_domain: Option<String>,
    /// DKIM-Identity: its `i=`.
    pub dkim_identity: Option<String>,
    /// DKIM-Selector: its `s=`.
    pub dkim_selector: Option<String>,
    /// DKIM-Selector-DNS: the record of the key, without quotes.
    pub dkim_selector_dns: Option<String>,
    /// DKIM-Canonicalized-Header, decoded.
    pub dkim_canonicalized_header: Option<Vec<u8>>,
    /// DKIM-Canonicalized-Body, decoded.
    pub dkim_canonicalized_body: Option<Vec<u8>>,
    /// DKIM-ADSP-DNS: the record of the policy, without quotes.
    pub dkim_adsp_dns: Option<String>,
    /// Each SPF-DNS, as it stands: `txt : domain : "record"`.
    pub spf_dns: Vec<String>,
    /// Other fields, in their order.
    pub other: Fields,
}

/// Defines a closed list of words, and one place for all others.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
            /// Another word, in lower case.
            Other(String),
        }

        impl $name {
            /// Reads the word; what follows it is passed over. `None` where there is none.
            pub fn parse(value: &str) -> Option<Self> {
                let word = word(value).to_lowercase();
                match word.as_str() {
                    "" => None,
                    $($word => Some(Self::$variant),)*
                    _ => Some(Self::Other(word)),
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
    /// What a report complains of (RFC 5965 §7.3, RFC 6430, RFC 6591 §3.1).
    FeedbackType {
        /// Mail that nobody asked for, or abuse of another kind.
        Abuse = "abuse",
        /// Fraud or phishing.
        Fraud = "fraud",
        /// A virus in the message.
        Virus = "virus",
        /// Mail that was taken for junk and is none.
        NotSpam = "not-spam",
        /// Authentication failed.
        AuthFailure = "auth-failure",
        /// The recipient wants no more mail; of drafts before the RFC, and still sent.
        OptOut = "opt-out",
        /// `other`
        Unspecified = "other",
    }
}

words! {
    /// Which authentication failed (RFC 6591 §3.3).
    AuthFailure {
        /// The policy of the author's domain, ADSP.
        Adsp = "adsp",
        /// The hash of the body in a signature is another.
        BodyHash = "bodyhash",
        /// The key was revoked.
        Revoked = "revoked",
        /// The signature does not verify.
        Signature = "signature",
        /// SPF.
        Spf = "spf",
        /// DMARC: no aligned identity passed.
        Dmarc = "dmarc",
    }
}

words! {
    /// What became of a message whose authentication failed (RFC 6591 §3.2.2).
    DeliveryResult {
        /// It was delivered.
        Delivered = "delivered",
        /// It was delivered as junk.
        Spam = "spam",
        /// It was not delivered to the inbox, by a policy.
        Policy = "policy",
        /// It was rejected.
        Reject = "reject",
        /// `other`
        Unspecified = "other",
    }
}

impl FeedbackReport {
    /// A report of this type, written by this program.
    pub fn new(feedback_type: FeedbackType, user_agent: impl Into<String>) -> Self {
        Self { feedback_type: Some(feedback_type), user_agent: Some(user_agent.into()), ..Self::default() }
    }

    /// Reads the text of a `message/feedback-report` part. Whatever it is, there is a report, which may be empty.
    pub fn parse(octets: &[u8]) -> Self {
        Self::parse_with(octets, &Limits::default())
    }

    /// As [`parse`](Self::parse) with other limits.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Self {
        let mut report = Self::default();
        // RFC 5965 §3: one group; empty lines in it are a mistake.
        report.other = Fields::read_one_group(octets, limits.fields, |name, value| report.take(name, value));
        report
    }

    /// The reverse-path of the message; `None` where it is not there or is null, see
    /// [`original_mail_from`](Self::original_mail_from).
    pub fn mail_from(&self) -> Option<Address> {
        path(self.original_mail_from.as_deref()?)
    }

    /// The forward-paths of the message, as far as they are addresses: those who complain often blacken them.
    pub fn rcpt_to(&self) -> impl Iterator<Item = Address> {
        self.original_rcpt_to.iter().filter_map(|value| path(value))
    }

    fn take(&mut self, name: &str, value: &str) -> bool {
        let mut many = |list: fn(&mut Self) -> &mut Vec<String>| {
            list(self).push(value.to_owned());
            true
        };
        let typed = || text(value).map(|value| Typed::parse(&value));
        match name.to_ascii_lowercase().as_str() {
            "original-rcpt-to" => many(|report| &mut report.original_rcpt_to),
            "reported-domain" => many(|report| &mut report.reported_domains),
            "reported-uri" => many(|report| &mut report.reported_uris),
            "authentication-results" => many(|report| &mut report.authentication_results),
            "spf-dns" => many(|report| &mut report.spf_dns),
            "feedback-type" => put(&mut self.feedback_type, FeedbackType::parse(value)),
            "user-agent" => put(&mut self.user_agent, text(value)),
            "version" => put(&mut self.version, text(value)),
            "original-envelope-id" => put(&mut self.envelope_id, text(value)),
            "original-mail-from" => put(&mut self.original_mail_from, text(value)),
            "arrival-date" | "received-date" => put(&mut self.arrival, date(value)),
            "reporting-mta" => put(&mut self.reporting_mta, typed()),
            "source-ip" => put(&mut self.source_ip, ip(value)),
            "source-port" => put(&mut self.source_port, word(value).parse().ok()),
            "incidents" => put(&mut self.incidents, word(value).parse().ok()),
            "auth-failure" => put(&mut self.auth_failure, AuthFailure::parse(value)),
            "delivery-result" => put(&mut self.delivery_result, DeliveryResult::parse(value)),
            "identity-alignment" => put(&mut self.identity_alignment, alignment(value)),
            "dkim-domain" => put(&mut self.dkim_domain, text(value)),
            "dkim-identity" => put(&mut self.dkim_identity, text(value)),
            "dkim-selector" => put(&mut self.dkim_selector, text(value)),
            "dkim-selector-dns" => put(&mut self.dkim_selector_dns, Some(unquoted(value))),
            "dkim-adsp-dns" => put(&mut self.dkim_adsp_dns, Some(unquoted(value))),
            "dkim-canonicalized-header" => put(&mut self.dkim_canonicalized_header, base64(value)),
            "dkim-canonicalized-body" => put(&mut self.dkim_canonicalized_body, base64(value)),
            _ => false,
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, BuildError> {
        // RFC 5965 §3.1: these MUST be there.
        let missing = |field| BuildError::Missing { field };
        let feedback_type = self.feedback_type.as_ref().ok_or_else(|| missing("Feedback-Type"))?;
        let user_agent = self.user_agent.as_ref().ok_or_else(|| missing("User-Agent"))?;
        let mut out = Writer::default();
        out.field("Feedback-Type", &feedback_type.to_string())?;
        out.field("User-Agent", user_agent)?;
        out.field("Version", self.version.as_deref().unwrap_or("1"))?;
        out.optional("Original-Envelope-Id", self.envelope_id.as_ref())?;
        out.optional("Original-Mail-From", self.original_mail_from.as_ref())?;
        let many = [
            ("Original-Rcpt-To", &self.original_rcpt_to),
            ("Reported-Domain", &self.reported_domains),
            ("Reported-URI", &self.reported_uris),
            ("Authentication-Results", &self.authentication_results),
            ("SPF-DNS", &self.spf_dns),
        ];
        for (name, values) in many {
            values.iter().try_for_each(|value| out.field(name, value))?;
        }
        out.optional("Arrival-Date", self.arrival)?;
        out.typed("Reporting-MTA", self.reporting_mta.as_ref())?;
        out.optional("Source-IP", self.source_ip)?;
        out.optional("Source-Port", self.source_port)?;
        out.optional("Incidents", self.incidents)?;
        out.optional("Auth-Failure", self.auth_failure.as_ref())?;
        out.optional("Delivery-Result", self.delivery_result.as_ref())?;
        let alignment = self.identity_alignment.as_ref();
        let alignment = alignment.map(|methods| if methods.is_empty() { "none".into() } else { methods.join(", ") });
        out.optional("Identity-Alignment", alignment)?;
        out.optional("DKIM-Domain", self.dkim_domain.as_ref())?;
        out.optional("DKIM-Identity", self.dkim_identity.as_ref())?;
        out.optional("DKIM-Selector", self.dkim_selector.as_ref())?;
        out.optional("DKIM-Selector-DNS", self.dkim_selector_dns.as_deref().map(quoted))?;
        out.optional("DKIM-ADSP-DNS", self.dkim_adsp_dns.as_deref().map(quoted))?;
        out.optional("DKIM-Canonicalized-Header", self.dkim_canonicalized_header.as_deref().map(base64_words))?;
        out.optional("DKIM-Canonicalized-Body", self.dkim_canonicalized_body.as_deref().map(base64_words))?;
        out.fields(&self.other)?;
        Ok(out.finish())
    }
}

/// `reverse-path` or `forward-path`, with or without brackets.
fn path(value: &str) -> Option<Address> {
    let bare = value.strip_prefix('<').and_then(|value| value.strip_suffix('>')).unwrap_or(value);
    if let Ok(address) = bare.parse() {
        return Some(address);
    }
    list::mailboxes(value.as_bytes()).next()?.address()
}

/// An address of a host: as it is, as the RFC has it in brackets for some, or with a comment behind.
fn ip(value: &str) -> Option<IpAddr> {
    let word = word(value);
    match word.parse() {
        Ok(ip) => Some(ip),
        Err(_) => match Domain::parse(word.as_bytes()) {
            Ok(Domain::Literal(ip)) => Some(ip),
            _ => word.strip_prefix('[')?.strip_suffix(']')?.parse().ok(),
        },
    }
}

fn alignment(value: &str) -> Option<Vec<String>> {
    let methods: Vec<String> = value.split(',').map(|method| word(method.trim()).to_lowercase()).collect();
    match &methods[..] {
        [only] if only == "none" => Some(Vec::new()),
        _ if methods.iter().any(String::is_empty) => None,
        _ => Some(methods),
    }
}

/// `quoted-string`, or what stands there instead.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        out.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    out
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn base64(value: &str) -> Option<Vec<u8>> {
    // Some write a comment or quotes; what is no base64 at all is kept as it stands.
    let octets = transfer::decode_base64(value.as_bytes());
    (!octets.is_empty() || value.is_empty()).then_some(octets)
}

/// Base64 in words that a line can hold.
fn base64_words(octets: &[u8]) -> String {
    let pieces = octets.chunks(48).map(|piece| STANDARD.encode(piece));
    pieces.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // RFC 5965 §B.2
        let report = FeedbackReport::parse(
            b"Feedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\n\
              Original-Mail-From: <somespammer@example.net>\nOriginal-Rcpt-To: <user@example.com>\n\
              Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\nReporting-MTA: dns; mail.example.com\n\
              Source-IP: 192.0.2.1\nAuthentication-Results: mail.example.com;\n               \
              spf=fail smtp.mail=somespammer@example.com\nReported-Domain: example.net\n\
              Reported-Uri: http://example.net/earn_money.html\nReported-Uri: mailto:user@example.com\n\
              Removal-Recipient: user@example.com\n",
        );
        assert_eq!(report.feedback_type, Some(FeedbackType::Abuse));
        assert_eq!(report.mail_from().unwrap().to_string(), "somespammer@example.net");
        assert_eq!(report.rcpt_to().next().unwrap().to_string(), "user@example.com");
        assert_eq!(report.arrival.map(Timestamp::unix), Some(1_110_304_800));
        assert_eq!(report.reported_uris, ["http://example.net/earn_money.html", "mailto:user@example.com"]);
        assert_eq!(report.authentication_results.len(), 1);
        assert_eq!(report.other.iter().collect::<Vec<_>>(), [("Removal-Recipient", "user@example.com")]);
    }

    #[test]
    fn failures_of_authentication_are_read() {
        // RFC 6591 §B.1, cut
        let report = FeedbackReport::parse(
            b"Feedback-Type: auth-failure\nUser-Agent: Someisp!Mail-Feedback/1.0\nVersion: 1\n\
              Original-Mail-From: <anexample.reply@a.sender.example>\nSource-IP: 192.0.2.1 (test)\nSource-Port: 25\n\
              Auth-Failure: bodyhash\nDelivery-Result: Reject (policy)\nIdentity-Alignment: dkim, SPF\n\
              DKIM-Canonicalized-Body: VGhpcyBpcyBhIG1lc3NhZ2UgYm9keSB0\n aGF0\n\
              DKIM-Selector-DNS: \"v=DKIM1; t=\\\"y\\\"\"\nSPF-DNS: txt : a.test : \"v=spf1 -all\"\n",
        );
        assert_eq!(report.feedback_type, Some(FeedbackType::AuthFailure));
        assert_eq!(report.auth_failure, Some(AuthFailure::BodyHash));
        assert_eq!(report.delivery_result, Some(DeliveryResult::Reject));
        assert_eq!((report.source_ip, report.source_port), (Some([192, 0, 2, 1].into()), Some(25)));
        assert_eq!(report.identity_alignment, Some(vec!["dkim".to_owned(), "spf".to_owned()]));
        assert_eq!(report.dkim_canonicalized_body.as_deref(), Some(&b"This is a message body that"[..]));
        assert_eq!(report.dkim_selector_dns.as_deref(), Some("v=DKIM1; t=\"y\""));
        assert_eq!(report.spf_dns, ["txt : a.test : \"v=spf1 -all\""]);
        assert_eq!(FeedbackReport::parse(&report.write().unwrap()), report);
    }

    #[test]
    fn hosts_have_many_forms() {
        for (value, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1 (host)", Some("192.0.2.1")),
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("mx.a.test", None),
            ("", None),
        ] {
            assert_eq!(ip(value).map(|ip| ip.to_string()).as_deref(), expected, "{value}");
        }
    }
}
