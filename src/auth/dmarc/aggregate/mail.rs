//! Reports in messages (RFC 9990 §3.5.2): found in one that came, and put into one that goes out.

use bytes::Bytes;

use super::{Limits, ReadError, Report, Text, WriteError};
use crate::address::{Address, Domain};
use crate::auth::parcel::{self, FileName, PackError, Subject};
use crate::message::Message;
use crate::message::build::Builder;
use crate::message::fields::AutoSubmitted;

/// Who reports.
///
/// ```
/// use facteur::auth::dmarc::aggregate::Reporter;
///
/// let mut reporter = Reporter::new("mx.receiver.example".parse()?, "Receiver", "dmarc@receiver.example".parse()?);
/// reporter.generator = Some("facteur".to_owned());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reporter {
    /// The host or domain that received the mail.
    pub domain: Domain,
    /// `org_name`
    pub organization: String,
    /// `email`: whom to ask. Reports come from this address; mail from it must pass DMARC (RFC 9990 §3.5.2).
    pub email: Address,
    /// `extra_contact_info`. Default `None`.
    pub extra_contact: Option<Text>,
    /// `generator`: the program that writes the reports, and its version. Default `None`.
    pub generator: Option<String>,
}

impl Reporter {
    /// Who received mail as `domain`.
    pub fn new(domain: Domain, organization: impl Into<String>, email: Address) -> Self {
        Self { domain, organization: organization.into(), email, extra_contact: None, generator: None }
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
}

impl Report {
    /// Finds the report in a message.
    ///
    /// Who sent it is not looked at: RFC 9990 §3.5.2 has reports sent so that they pass DMARC, and
    /// [`Check`](crate::auth::Check) tells.
    ///
    /// # Errors
    /// Where no part is a report: of the likeliest, why it is none.
    pub fn mailed(message: &Message, limits: &Limits) -> Result<Mailed, ReadError> {
        let is_too_large = |error: &ReadError| matches!(error, ReadError::Pack(PackError::Bomb | PackError::TooLarge));
        let read = |octets: &[u8]| Self::parse_with(octets, limits);
        let found = parcel::find(message, "xml", ReadError::NoPart, read, is_too_large)?;
        Ok(Mailed { report: found.report, file: found.file, subject: found.subject })
    }

    /// The report as a file: its name, and the XML in gzip.
    ///
    /// # Errors
    /// As [`write`](Self::write); and where the policy is not of a domain.
    pub fn file(&self, reporter: &Reporter) -> Result<(FileName, Bytes), WriteError> {
        let xml = self.write()?;
        let domain = Domain::parse(self.policy.domain.as_bytes()).map_err(|_| WriteError::Missing("domain"))?;
        let name = FileName::new(reporter.domain.clone(), domain, self.begin, self.end, "xml.gz");
        Ok((name, parcel::gzip(xml.as_bytes()).into()))
    }

    /// The message that brings the report, but for the date, the identifier and to whom it goes.
    ///
    /// ```
    /// use facteur::auth::dmarc::aggregate::{Limits, Report, Reporter};
    /// use facteur::base::Timestamp;
    /// # let xml = "<feedback><report_metadata><org_name>R</org_name><email>d@r.example</email>\
    /// # <report_id>17</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata>\
    /// # <policy_published><domain>example.org</domain><p>none</p></policy_published><record><row>\
    /// # <source_ip>192.0.2.1</source_ip><count>1</count></row><identifiers><header_from>example.org</header_from>\
    /// # </identifiers></record></feedback>";
    ///
    /// let report = Report::parse(xml.as_bytes())?;
    /// let reporter = Reporter::new("mx.receiver.example".parse()?, "Receiver", "dmarc@receiver.example".parse()?);
    /// let message = report.mail(&reporter)?
    ///     .date(Timestamp::from_unix(1_790_000_000))
    ///     .message_id("17@mx.receiver.example")
    ///     .to("reports@example.org")
    ///     .finish()?;
    /// let mailed = Report::mailed(&message, &Limits::default())?;
    /// assert_eq!(mailed.report.records, report.records);
    /// assert_eq!(mailed.subject.and_then(|subject| subject.report_id).as_deref(), Some("17"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn mail(&self, reporter: &Reporter) -> Result<Builder<'static>, WriteError> {
        let (name, octets) = self.file(reporter)?;
        let submitter = reporter.domain.to_ascii_or_text();
        let (domain, count) = (&self.policy.domain, self.messages());
        let text = format!(
            "This is a DMARC aggregate report about mail of {domain}\nthat {submitter} received.\n\n\
             From:     {}\nTo:       {}\nMessages: {count}\n",
            self.begin.rfc3339(),
            self.end.rfc3339(),
        );
        let builder = Message::build()
            .from((reporter.organization.clone(), reporter.email.clone()))
            .subject(Subject::new(domain, submitter, &self.id).to_string())
            .auto_submitted(AutoSubmitted::Generated)
            .text(text);
        Ok(builder.attach(name.to_string(), "application/gzip", octets))
    }
}
