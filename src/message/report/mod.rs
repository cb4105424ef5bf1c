//! Reports: what systems tell a sender about a message of theirs (RFC 6522, before it RFC 3462), read and written.
//!
//! [`Message::report`] finds the machine-readable part of a message and reads it: a [`DeliveryReport`] (RFC 3464), a
//! [`DispositionReport`] (RFC 8098) or a [`FeedbackReport`] (RFC 5965). Reading is lenient: the part may stand anywhere but
//! inside of an embedded message, and its fields in any order. [`Report::part`] writes one, strictly, as the body of a
//! message. What was returned with it is [`Message::returned`]. Bounces in whatever form are read in [`bounce`].

use crate::message::{BuildError, Message, NewPart, Part};
use std::borrow::Cow;

pub mod bounce;
mod delivery;
mod disposition;
mod feedback;
mod fields;

pub use bounce::{Bounce, BouncedRecipient, Evidence, Reason};
pub use delivery::{Action, DeliveryReport, RecipientReport};
pub use disposition::{DispositionReport, Fate, MdnDisposition, Mode};
pub use feedback::{AuthFailure, DeliveryResult, FeedbackReport, FeedbackType};
pub use fields::{Fields, Typed};

/// How much of a report is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How many fields; what follows is left out. Default 20,000: 1,000 recipients with 20 fields each.
    pub fields: usize,
    /// How many recipients; what follows is left out. Default 1,000, ten times what RFC 5321 §4.5.3.1.8 asks servers to
    /// take in one transaction.
    pub recipients: usize,
    /// How many octets of text are searched where a bounce has no machine-readable part. Default 64 KiB: what a bounce says
    /// stands at its start.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fields: 20_000, recipients: 1_000, text: 64 * 1024 }
    }
}

/// A report of one of the three kinds.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::message::report::{Action, DeliveryReport, RecipientReport, Report, Returned, Typed};
/// use facteur::message::{Enhanced, Message};
///
/// let mut delivery = DeliveryReport::default();
/// delivery.reporting_mta = Some(Typed::new("dns", "mx.example.org"));
/// delivery.recipients.push(RecipientReport::new(
///     Typed::new("rfc822", "bob@example.net"), Action::Failed, Enhanced(5, 1, 1),
/// ));
/// let report = Report::Delivery(delivery);
/// let returned = Returned::Header(Message::parse("Subject: lunch\r\n"));
/// let message = Message::build()
///     .date(Timestamp::from_unix(0))
///     .from("postmaster@mx.example.org")
///     .to("ada@example.org")
///     .subject("Returned mail")
///     .field("Auto-Submitted", "auto-replied")
///     .body(report.part("There is no bob.\n", Some(&returned))?)
///     .finish()?;
/// assert_eq!(message.root().content_type().param("report-type").as_deref(), Some("delivery-status"));
/// assert_eq!(message.report(), Some(report));
/// assert_eq!(message.returned(), Some(returned));
/// # Ok::<(), facteur::message::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // there is one a message
pub enum Report {
    /// What became of a message on its way.
    Delivery(DeliveryReport),
    /// What its recipient did with it.
    Disposition(DispositionReport),
    /// A complaint, or a failed authentication.
    Feedback(FeedbackReport),
}

/// As much of a message as came back with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 6522 §3: the message, or its header
pub enum Returned {
    /// `message/rfc822`: all of it, as far as the reporter kept it whole.
    Message(Message),
    /// `text/rfc822-headers`: the header alone.
    Header(Message),
}

impl Returned {
    /// The message; of a header, one without a body.
    pub fn message(&self) -> &Message {
        match self {
            Self::Message(message) | Self::Header(message) => message,
        }
    }
}

/// The kinds of machine-readable parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Delivery,
    Disposition,
    Feedback,
}

impl Kind {
    fn of(part: Part<'_>) -> Option<Self> {
        let content_type = part.content_type();
        if content_type.kind() != "message" {
            return None;
        }
        match content_type.subtype() {
            // RFC 6533 §4, §5
            "delivery-status" | "global-delivery-status" => Some(Self::Delivery),
            "disposition-notification" | "global-disposition-notification" => Some(Self::Disposition),
            "feedback-report" => Some(Self::Feedback),
            _ => None,
        }
    }
}

/// The parts that are not inside of an embedded message.
fn outer_parts(message: &Message) -> impl Iterator<Item = Part<'_>> {
    let mut end = 0;
    message.all_parts().filter(move |part| {
        // Parts come in the order of their octets, so what follows an embedded message lies behind its end.
        if part.offset() < end {
            return false;
        }
        if part.embedded().is_some() {
            end = part.offset() + part.raw().len();
        }
        true
    })
}

impl Message {
    /// The report that it is, or holds outside of embedded messages; the first where there are several. `None` where it has
    /// no part of such a type.
    pub fn report(&self) -> Option<Report> {
        self.report_with(&Limits::default())
    }

    /// As [`report`](Self::report) with other limits.
    pub fn report_with(&self, limits: &Limits) -> Option<Report> {
        let (part, kind) = outer_parts(self).find_map(|part| Some((part, Kind::of(part)?)))?;
        let octets = part.decode();
        Some(match kind {
            Kind::Delivery => Report::Delivery(DeliveryReport::parse_with(&octets, limits)),
            Kind::Disposition => Report::Disposition(DispositionReport::parse_with(&octets, limits)),
            Kind::Feedback => Report::Feedback(FeedbackReport::parse_with(&octets, limits)),
        })
    }

    /// The message that came back with a report or a bounce, or its header: the first embedded message, or
    /// `text/rfc822-headers`. `None` where there is none.
    pub fn returned(&self) -> Option<Returned> {
        outer_parts(self).find_map(|part| {
            if let Some(message) = part.message() {
                return Some(Returned::Message(message));
            }
            let content_type = part.content_type();
            // RFC 6533 §6 for the latter; the others are mistakes that are seen.
            let header = ["rfc822-headers", "rfc822-header", "global-headers", "rfc822headers"];
            let kind = matches!(content_type.kind(), "text" | "message");
            (kind && header.contains(&content_type.subtype()))
                .then(|| Returned::Header(Message::parse(part.decode().into_owned())))
        })
    }
}

impl Report {
    /// The fields of the machine-readable part as they stand, in the groups that empty lines part; empty for a part of
    /// another type. For those who need a field that the typed reading puts among the others.
    pub fn groups(part: Part<'_>) -> Vec<Fields> {
        match Kind::of(part) {
            Some(_) => Fields::read_groups(&part.decode(), Limits::default().fields),
            None => Vec::new(),
        }
    }

    /// The report as a `multipart/report` (RFC 6522 §3), for [`Builder::body`](crate::message::Builder::body): the words
    /// for people, the fields for programs, and what is returned.
    ///
    /// A report that cannot be written in ASCII is a `message/global-delivery-status`, or the like (RFC 6533). A header
    /// that is returned is written as `text/rfc822-headers`.
    ///
    /// # Errors
    /// Where a field that its RFC demands is missing, or a value cannot be written on a line; the error names the field.
    pub fn part<'a>(
        &self,
        words: impl Into<Cow<'a, str>>,
        returned: Option<&Returned>,
    ) -> Result<NewPart<'a>, BuildError> {
        let (fields, name, global) = match self {
            Self::Delivery(report) => (report.write()?, "delivery-status", "message/global-delivery-status"),
            Self::Disposition(report) => {
                (report.write()?, "disposition-notification", "message/global-disposition-notification")
            }
            // There is no other type for this one; octets beyond ASCII are encoded by the builder.
            Self::Feedback(report) => (report.write()?, "feedback-report", "message/feedback-report"),
        };
        let fields = if fields.is_ascii() {
            NewPart::octets(format!("message/{name}"), fields)
        } else {
            NewPart::octets(global, fields)
        };
        let mut parts = vec![NewPart::text("plain", words), fields];
        parts.extend(returned.map(|returned| match returned {
            Returned::Message(message) => NewPart::message(message.clone()),
            Returned::Header(header) => NewPart::octets("text/rfc822-headers", header.raw().clone()),
        }));
        Ok(NewPart::multipart("report", parts).param("report-type", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(message: &str) -> Option<usize> {
        match Message::parse(message.to_owned()).report()? {
            Report::Delivery(report) => Some(report.recipients.len()),
            _ => None,
        }
    }

    #[test]
    fn reports_are_found_outside_of_embedded_messages() {
        let status = "Content-Type: Message/Delivery-Status\n\nReporting-MTA: dns; a\n\nFinal-Recipient: rfc822; a@b\n";
        let multi = |kind: &str, parts: &[&str]| {
            let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
            format!("Content-Type: {kind}; boundary=b\n\n{parts}--b--\n")
        };
        for (message, expected) in [
            (status.to_owned(), Some(1)),
            (multi("multipart/report", &["\nText.", status]), Some(1)),
            (multi("multipart/mixed", &[status]), Some(1)),
            (multi("multipart/mixed", &[&format!("Content-Type: message/rfc822\n\n{status}")]), None),
            (multi("multipart/mixed", &["Content-Type: message/rfc822\n\nA: b\n\nText.", status]), Some(1)),
            (
                multi(
                    "multipart/report",
                    &["Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n\
                     RmluYWwtUmVjaXBpZW50OiByZmM4MjI7IGFAYgo=\n"],
                ),
                Some(1),
            ),
            ("Subject: lunch\n\nFinal-Recipient: rfc822; a@b\n".to_owned(), None),
        ] {
            assert_eq!(delivery(&message), expected, "{message}");
        }
    }

    #[test]
    fn what_is_returned_is_a_message_or_a_header() {
        for (kind, header) in [
            ("message/rfc822", Some(false)),
            ("message/global", Some(false)),
            ("text/rfc822-headers", Some(true)),
            ("Text/RFC822-Headers; charset=utf-8", Some(true)),
            ("message/global-headers", Some(true)),
            ("message/rfc822-headers", Some(true)),
            ("text/plain", None),
        ] {
            let message = Message::parse(format!(
                "Content-Type: multipart/report; boundary=b\n\n--b\n\nNo.\n--b\nContent-Type: {kind}\n\nSubject: x\n\n--b--\n"
            ));
            let returned = message.returned();
            assert_eq!(returned.as_ref().map(|returned| matches!(returned, Returned::Header(_))), header, "{kind}");
            if let Some(returned) = returned {
                assert_eq!(returned.message().header().get("subject").unwrap().text(), "x");
            }
        }
    }
}
