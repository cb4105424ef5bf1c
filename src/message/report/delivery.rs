//! Delivery status notifications: what became of a message, recipient by recipient (RFC 3464, with the addresses of
//! RFC 6533).

use std::fmt;

use super::Limits;
use super::fields::{Fields, Typed, Writer, date, put, text, word};
use crate::base::Timestamp;
use crate::message::{BuildError, Enhanced};

/// A delivery report: `message/delivery-status`.
///
/// A known field that cannot be read as what it should be, or that stands a second time, is kept among the others.
///
/// ```
/// use facteur::message::report::{Action, DeliveryReport};
/// use facteur::message::Enhanced;
///
/// let report = DeliveryReport::parse(
///     b"Reporting-MTA: dns; mx.example.org\r\n\r\n\
///       Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n",
/// );
/// let bob = &report.recipients[0];
/// assert_eq!((bob.action.as_ref(), bob.status), (Some(&Action::Failed), Some(Enhanced(5, 1, 1))));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryReport {
    /// Original-Envelope-Id: the ENVID that the sender gave.
    pub envelope_id: Option<String>,
    /// Reporting-MTA: who tried. It must be there to be written.
    pub reporting_mta: Option<Typed>,
    /// DSN-Gateway: who translated the report out of another system.
    pub gateway: Option<Typed>,
    /// Received-From-MTA: who gave the message to the reporting MTA.
    pub received_from: Option<Typed>,
    /// Arrival-Date: when it did.
    pub arrival: Option<Timestamp>,
    /// Deliver-By-Date: by when it was to be delivered (RFC 2852 §5).
    pub deliver_by: Option<Timestamp>,
    /// Other fields of the message, in their order; also those of groups that speak of no recipient.
    pub other: Fields,
    /// The recipients, in their order.
    pub recipients: Vec<RecipientReport>,
}

/// What became of the message for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipientReport {
    /// Original-Recipient: the ORCPT that the sender gave.
    pub original: Option<Typed>,
    /// Final-Recipient: the recipient as the reporting MTA knew it. It must be there to be written.
    pub recipient: Option<Typed>,
    /// Action. It must be there to be written.
    pub action: Option<Action>,
    /// Status. It must be there to be written.
    pub status: Option<Enhanced>,
    /// What stands behind the code of Status, its brackets taken away.
    pub comment: Option<String>,
    /// Remote-MTA: who said it.
    pub remote_mta: Option<Typed>,
    /// Diagnostic-Code: what was said.
    pub diagnostic: Option<Typed>,
    /// Last-Attempt-Date
    pub last_attempt: Option<Timestamp>,
    /// Final-Log-ID: under which name the remote MTA logged it.
    pub log_id: Option<String>,
    /// Will-Retry-Until, of a delay.
    pub retry_until: Option<Timestamp>,
    /// Other fields of the recipient, in their order.
    pub other: Fields,
}

/// `action-value` (RFC 3464 §2.3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It could not be delivered.
    Failed,
    /// It could not be delivered yet.
    Delayed,
    /// It was delivered.
    Delivered,
    /// It was passed on to a system that does not report delivery.
    Relayed,
    /// It was delivered, and forwarded to more than one address.
    Expanded,
    /// Another word, in lower case.
    Other(String),
}

impl Action {
    /// Reads `action-value`; what follows the word is passed over. `None` where there is no word.
    pub fn parse(value: &str) -> Option<Self> {
        let word = word(value).to_lowercase();
        Some(match word.as_str() {
            "failed" | "failure" => Self::Failed,
            "delayed" => Self::Delayed,
            "delivered" => Self::Delivered,
            "relayed" => Self::Relayed,
            "expanded" => Self::Expanded,
            "" => return None,
            _ => Self::Other(word),
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
            Self::Other(word) => word,
        })
    }
}

impl DeliveryReport {
    /// Reads the text of a `message/delivery-status` or `message/global-delivery-status` part. Whatever it is, there is a
    /// report, which may be empty.
    pub fn parse(octets: &[u8]) -> Self {
        Self::parse_with(octets, &Limits::default())
    }

    /// As [`parse`](Self::parse) with other limits.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Self {
        Self::from_groups(&Fields::read_groups(octets, limits.fields), limits)
    }

    /// The report that groups of fields are. RFC 3464 §2.1 has the fields of the message in the first group; senders leave
    /// that group out, or the empty line behind it, or those between recipients.
    pub(super) fn from_groups(groups: &[Fields], limits: &Limits) -> Self {
        let mut report = Self::default();
        for group in groups {
            // The recipient that this group speaks of, once it does.
            let mut current: Option<RecipientReport> = None;
            let mut unknown = Fields::default();
            let mut of_message = false;
            for (name, value) in group.iter() {
                if report.take(name, value) {
                    of_message = true;
                    continue;
                }
                if !is_of_recipient(name) {
                    match &mut current {
                        Some(recipient) => recipient.other.push(name, value),
                        None => unknown.push(name, value),
                    }
                    continue;
                }
                let recipient = current.get_or_insert_default();
                if recipient.is_next(name) && report.recipients.len() < limits.recipients {
                    report.recipients.push(std::mem::take(recipient));
                }
                if !recipient.take(name, value) {
                    recipient.other.push(name, value);
                }
            }
            match current {
                Some(mut recipient) if report.recipients.len() < limits.recipients => {
                    // Unknown fields ahead of the recipient are the message's where its group was run into this one.
                    let place = if of_message { &mut report.other } else { &mut recipient.other };
                    prepend(place, unknown, of_message);
                    report.recipients.push(recipient);
                }
                _ => prepend(&mut report.other, unknown, true),
            }
        }
        report
    }

    /// Takes a field of the message; `false` where it is none, or its place is taken.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name.to_ascii_lowercase().as_str() {
            "original-envelope-id" => put(&mut self.envelope_id, text(value)),
            "reporting-mta" => put(&mut self.reporting_mta, text(value).map(|value| Typed::parse(&value))),
            "dsn-gateway" => put(&mut self.gateway, text(value).map(|value| Typed::parse(&value))),
            "received-from-mta" => put(&mut self.received_from, text(value).map(|value| Typed::parse(&value))),
            "arrival-date" => put(&mut self.arrival, date(value)),
            "deliver-by-date" => put(&mut self.deliver_by, date(value)),
            _ => false,
        }
    }

    /// Writes the text of the part.
    pub(super) fn write(&self) -> Result<Vec<u8>, BuildError> {
        let mut out = Writer::default();
        if self.reporting_mta.is_none() {
            return Err(BuildError::Missing { field: "Reporting-MTA" });
        }
        if self.recipients.is_empty() {
            return Err(BuildError::Missing { field: "Final-Recipient" });
        }
        out.optional("Original-Envelope-Id", self.envelope_id.as_ref())?;
        out.typed("Reporting-MTA", self.reporting_mta.as_ref())?;
        out.typed("DSN-Gateway", self.gateway.as_ref())?;
        out.typed("Received-From-MTA", self.received_from.as_ref())?;
        out.optional("Arrival-Date", self.arrival)?;
        out.optional("Deliver-By-Date", self.deliver_by)?;
        out.fields(&self.other)?;
        for recipient in &self.recipients {
            out.end_group();
            recipient.write(&mut out)?;
        }
        Ok(out.finish())
    }
}

/// Adds fields behind, or ahead of, those that are there.
fn prepend(place: &mut Fields, more: Fields, behind: bool) {
    if more.is_empty() {
        return;
    }
    let (first, second) = if behind { (std::mem::take(place), more) } else { (more, std::mem::take(place)) };
    *place = first;
    second.iter().for_each(|(name, value)| place.push(name, value));
}

const OF_RECIPIENT: [&str; 9] = [
    "original-recipient",
    "final-recipient",
    "action",
    "status",
    "remote-mta",
    "diagnostic-code",
    "last-attempt-date",
    "final-log-id",
    "will-retry-until",
];

fn is_of_recipient(name: &str) -> bool {
    OF_RECIPIENT.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl RecipientReport {
    /// A report on this recipient.
    pub fn new(recipient: Typed, action: Action, status: Enhanced) -> Self {
        Self { recipient: Some(recipient), action: Some(action), status: Some(status), ..Self::default() }
    }

    /// Whether a field of this name begins the next recipient: the empty line between the two was left out.
    fn is_next(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("final-recipient") && self.recipient.is_some()
            || name.eq_ignore_ascii_case("original-recipient") && self.original.is_some()
            || name.eq_ignore_ascii_case("action") && self.action.is_some() && self.status.is_some()
    }

    /// Takes a field; `false` where its place is taken, or it cannot be read.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name.to_ascii_lowercase().as_str() {
            "original-recipient" => put(&mut self.original, text(value).map(|value| Typed::parse(&value))),
            "final-recipient" => put(&mut self.recipient, text(value).map(|value| Typed::parse(&value))),
            "action" => put(&mut self.action, Action::parse(value)),
            "status" => {
                let code = value.split([' ', '\t', '(']).next().unwrap_or_default();
                if !put(&mut self.status, code.parse().ok()) {
                    return false;
                }
                let comment = value.get(code.len()..).unwrap_or_default().trim_matches([' ', '\t']);
                let comment = comment.strip_prefix('(').unwrap_or(comment);
                self.comment = text(comment.strip_suffix(')').unwrap_or(comment));
                true
            }
            "remote-mta" => put(&mut self.remote_mta, text(value).map(|value| Typed::parse(&value))),
            "diagnostic-code" => put(&mut self.diagnostic, text(value).map(|value| Typed::parse(&value))),
            "last-attempt-date" => put(&mut self.last_attempt, date(value)),
            "final-log-id" => put(&mut self.log_id, text(value)),
            "will-retry-until" => put(&mut self.retry_until, date(value)),
            _ => false,
        }
    }

    fn write(&self, out: &mut Writer) -> Result<(), BuildError> {
        // RFC 3464 §2.3.2, §2.3.3, §2.3.4: these MUST be there.
        let missing = |field| BuildError::Missing { field };
        let recipient = self.recipient.as_ref().ok_or_else(|| missing("Final-Recipient"))?;
        let action = self.action.as_ref().ok_or_else(|| missing("Action"))?;
        let status = self.status.ok_or_else(|| missing("Status"))?;
        out.typed("Original-Recipient", self.original.as_ref())?;
        out.typed("Final-Recipient", Some(recipient))?;
        out.field("Action", &action.to_string())?;
        match self.comment.as_deref() {
            Some(comment) => out.field("Status", &format!("{status} ({comment})"))?,
            None => out.field("Status", &status.to_string())?,
        }
        out.typed("Remote-MTA", self.remote_mta.as_ref())?;
        out.typed("Diagnostic-Code", self.diagnostic.as_ref())?;
        out.optional("Last-Attempt-Date", self.last_attempt)?;
        out.optional("Final-Log-ID", self.log_id.as_ref())?;
        out.optional("Will-Retry-Until", self.retry_until)?;
        out.fields(&self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3464 §C.2, with the recipient of §C.3 behind.
    const REPORT: &[u8] = b"Reporting-MTA: dns; cs.utk.edu\n\nOriginal-Recipient: rfc822;arathib@vnet.ibm.com\n\
        Final-Recipient: rfc822;arathib@vnet.ibm.com\nAction: failed\nStatus: 5.0.0 (permanent failure)\n\
        Diagnostic-Code: smtp;\n 550 'arathib@vnet.IBM.COM' is not a\n registered gateway user\n\
        Remote-MTA: dns; vnet.ibm.com\n\nOriginal-Recipient: rfc822;johnh@hpnjld.njd.hp.com\n\
        Final-Recipient: rfc822;johnh@hpnjld.njd.hp.com\nAction: delayed\n\
        Status: 4.0.0 (hpnjld.njd.jp.com: host name lookup failure)\n";

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let report = DeliveryReport::parse(REPORT);
        assert_eq!(report.reporting_mta, Some(Typed::new("dns", "cs.utk.edu")));
        let [arathi, john] = &report.recipients[..] else { panic!("{report:?}") };
        assert_eq!((arathi.action.clone(), arathi.status), (Some(Action::Failed), Some(Enhanced(5, 0, 0))));
        assert_eq!(arathi.comment.as_deref(), Some("permanent failure"));
        assert_eq!(
            arathi.diagnostic,
            Some(Typed::new("smtp", "550 'arathib@vnet.IBM.COM' is not a registered gateway user"))
        );
        assert_eq!(arathi.remote_mta, Some(Typed::new("dns", "vnet.ibm.com")));
        assert_eq!(john.action, Some(Action::Delayed));
        assert_eq!(john.recipient.as_ref().unwrap().address().unwrap().to_string(), "johnh@hpnjld.njd.hp.com");
    }

    #[test]
    fn groups_run_together_come_apart() {
        for text in [
            "Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; a@b\nAction: failed\nStatus: 5.0.0\n\
             Final-Recipient: rfc822; c@d\nAction: failed\nStatus: 5.0.0\n",
            "Reporting-MTA: dns; a\nFinal-Recipient: rfc822; a@b\nAction: failed\nStatus: 5.0.0\n\n\
             Final-Recipient: rfc822; c@d\nAction: failed\nStatus: 5.0.0\n",
            "Action: failed\nStatus: 5.0.0\nFinal-Recipient: rfc822; a@b\nAction: failed\nStatus: 5.0.0\n\
             Final-Recipient: rfc822; c@d\nReporting-MTA: dns; a\n",
        ] {
            let report = DeliveryReport::parse(text.as_bytes());
            assert_eq!(report.reporting_mta, Some(Typed::new("dns", "a")), "{text}");
            let recipient =
                |address| RecipientReport::new(Typed::new("rfc822", address), Action::Failed, Enhanced(5, 0, 0));
            assert_eq!(report.recipients, [recipient("a@b"), recipient("c@d")], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept_as_it_stands() {
        let report = DeliveryReport::parse(
            b"X-Queue: 1\nReporting-MTA: dns; a\nReporting-MTA: dns; b\nArrival-Date: once\n\n\
              X-Ahead: 2\nFinal-Recipient: rfc822; a@b\nStatus: none\nX-Behind: 3\n\nSubject: lunch\n",
        );
        let shown = |fields: &Fields| fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        assert_eq!(shown(&report.other), ["X-Queue=1", "Reporting-MTA=dns; b", "Arrival-Date=once", "Subject=lunch"]);
        assert_eq!(report.recipients.len(), 1);
        assert_eq!(shown(&report.recipients[0].other), ["X-Ahead=2", "Status=none", "X-Behind=3"]);
    }

    #[test]
    fn recipients_are_counted() {
        let many = "Final-Recipient: rfc822; a@b\n\n".repeat(50);
        let limits = Limits { recipients: 10, ..Limits::default() };
        assert_eq!(DeliveryReport::parse_with(many.as_bytes(), &limits).recipients.len(), 10);
        let limits = Limits { fields: 7, ..Limits::default() };
        assert_eq!(DeliveryReport::parse_with(many.as_bytes(), &limits).recipients.len(), 7);
    }

    #[test]
    fn what_the_rfc_demands_must_be_there() {
        let mut report = DeliveryReport::default();
        assert_eq!(report.write(), Err(BuildError::Missing { field: "Reporting-MTA" }));
        report.reporting_mta = Some(Typed::new("dns", "a"));
        assert_eq!(report.write(), Err(BuildError::Missing { field: "Final-Recipient" }));
        report.recipients.push(RecipientReport { status: None, ..RecipientReport::default() });
        report.recipients[0].recipient = Some(Typed::new("rfc822", "a@b"));
        assert_eq!(report.write(), Err(BuildError::Missing { field: "Action" }));
        report.recipients[0].action = Some(Action::Failed);
        assert_eq!(report.write(), Err(BuildError::Missing { field: "Status" }));
    }
}
