//! Reports in messages (RFC 8460 §5.3): found in one that came, and put into one that goes out.

use bytes::Bytes;

use super::{Limits, ReadError, Report, WriteError};
use crate::address::{Address, Domain};
use crate::auth::parcel::{self, FileName, PackError, Subject};
use crate::message::fields::AutoSubmitted;
use crate::message::{Builder, Message, NewPart};

/// The media type of what [`Report::file`] gives, for mail and for HTTPS (RFC 8460 §6.5).
pub const MEDIA_TYPE: &str = "application/tlsrpt+gzip";

/// Who reports.
///
/// ```
/// use facteur::auth::tls_rpt::Reporter;
///
/// let reporter = Reporter::new("Sender Inc.", "tlsrpt@sender.example".parse()?);
/// assert_eq!(reporter.contact.domain().to_string(), "sender.example");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reporter {
    /// `organization-name`
    pub organization: String,
    /// `contact-info`: whom to ask. Its domain is the one that reports (RFC 8460 §5.3), and reports by mail come from it.
    pub contact: Address,
}

impl Reporter {
    /// An organization and whom to ask there.
    pub fn new(organization: impl Into<String>, contact: Address) -> Self {
        Self { organization: organization.into(), contact }
    }
}

/// A report as it came in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mailed {
    /// The report.
    pub report: Report,
    /// What the name of its file says; `None` where it has none of the form.
    pub file: Option<FileName>,
    /// What the subject of the message says; `None` where it is none of the form.
    pub subject: Option<Subject>,
    /// TLS-Report-Domain: which domain the report is about.
    pub domain: Option<String>,
    /// TLS-Report-Submitter: whose it is.
    pub submitter: Option<String>,
}

impl Report {
    /// Finds the report in a message.
    ///
    /// Who sent it is not looked at: RFC 8460 §3 has reports without a DKIM signature of the reporter ignored, and
    /// [`dkim::verify`](crate::auth::dkim::verify) tells whether there is one, with keys for TLS reports alone where its
    /// [`Service`](crate::auth::dkim::Service) says so.
    ///
    /// # Errors
    /// Where no part is a report: of the likeliest, why it is none.
    pub fn mailed(message: &Message, limits: &Limits) -> Result<Mailed, ReadError> {
        let is_too_large = |error: &ReadError| matches!(error, ReadError::Pack(PackError::Bomb | PackError::TooLarge));
        let read = |octets: &[u8]| Self::parse_with(octets, limits);
        let found = parcel::find(message, "json", ReadError::NoPart, read, is_too_large)?;
        let field = |name| {
            let value = message.header().get(name)?.text().trim().to_owned();
            Some(value).filter(|value| !value.is_empty())
        };
        Ok(Mailed {
            report: found.report,
            file: found.file,
            subject: found.subject,
            domain: field("TLS-Report-Domain"),
            submitter: field("TLS-Report-Submitter"),
        })
    }

    /// The report about `domain` as a file: its name, and the JSON in gzip, of [`MEDIA_TYPE`].
    ///
    /// # Errors
    /// As [`write`](Self::write); and where the contact is no address.
    pub fn file(&self, domain: &Domain) -> Result<(FileName, Bytes), WriteError> {
        let json = self.write()?;
        let (begin, end) = self.begin.zip(self.end).ok_or(WriteError::Missing("date-range"))?;
        let name = FileName::new(self.contact()?.domain().clone(), domain.clone(), begin, end, "json.gz");
        Ok((name, parcel::gzip(json.as_bytes()).into()))
    }

    fn contact(&self) -> Result<Address, WriteError> {
        self.contact.parse().map_err(|_| WriteError::Missing("contact-info"))
    }

    /// The message that brings the report about `domain`, but for the date, the identifier and to whom it goes.
    ///
    /// It wants a DKIM signature of the domain of the contact, without `l=`, of the fields TLS-Report-Domain and
    /// TLS-Report-Submitter too; and it goes out whatever is wrong with the TLS of the domain (RFC 8460 §3).
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn mail(&self, domain: &Domain) -> Result<Builder<'static>, WriteError> {
        let (name, octets) = self.file(domain)?;
        let contact = self.contact()?;
        let (about, submitter) = (domain.to_ascii_or_text(), contact.domain().to_ascii_or_text());
        // RFC 8460 §5.3: "<" id-left "@" id-right ">"
        let id = if self.id.contains('@') { self.id.clone() } else { format!("{}@{submitter}", self.id) };
        let sum = |count: fn(&super::PolicyResult) -> u64| {
            self.policies.iter().fold(0u64, |sum, policy| sum.saturating_add(count(policy)))
        };
        let text = format!(
            "This is an aggregate TLS report about {about} from {submitter}.\n\n\
             Sessions over TLS: {}\nSessions that failed: {}\n",
            sum(|policy| policy.successes),
            sum(|policy| policy.failures),
        );
        let report = NewPart::octets(MEDIA_TYPE, octets).attachment(name.to_string());
        let parts = vec![NewPart::text("plain", text), report];
        Ok(Message::build()
            .from((self.organization.clone(), contact))
            .subject(Subject::new(&about, &submitter, id).to_string())
            .structured("TLS-Report-Domain", about)
            .structured("TLS-Report-Submitter", submitter)
            .auto_submitted(AutoSubmitted::Generated)
            .body(NewPart::multipart("report", parts).param("report-type", "tlsrpt")))
    }
}
