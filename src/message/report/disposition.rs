//! Message disposition notifications: what a recipient, or a program for them, did with a message (RFC 8098, RFC 3798, with
//! the addresses of RFC 6533).

use std::fmt;

use super::Limits;
use super::fields::{Fields, Typed, Writer, put, text};
use crate::message::BuildError;

/// A disposition report: `message/disposition-notification`.
///
/// ```
/// use facteur::message::report::{DispositionReport, Fate, Mode};
///
/// let report = DispositionReport::parse(
///     b"Final-Recipient: rfc822; bob@example.net\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n",
/// );
/// let disposition = report.disposition.unwrap();
/// assert_eq!((disposition.action, disposition.fate), (Mode::Manual, Fate::Displayed));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DispositionReport {
    /// Reporting-UA: `name; product`, as it stands.
    pub reporting_ua: Option<String>,
    /// MDN-Gateway: who translated the report out of another system.
    pub gateway: Option<Typed>,
    /// Original-Recipient: the ORCPT that the sender gave.
    pub original: Option<Typed>,
    /// Final-Recipient. It must be there to be written.
    pub recipient: Option<Typed>,
    /// Original-Message-ID, without its brackets.
    pub message_id: Option<String>,
    /// Disposition. It must be there to be written.
    pub disposition: Option<MdnDisposition>,
    /// What each Failure says.
    pub failures: Vec<String>,
    /// What each Error says.
    pub errors: Vec<String>,
    /// What each Warning says (RFC 3798 §3.2.7).
    pub warnings: Vec<String>,
    /// Other fields, in their order.
    pub other: Fields,
}

/// The value of a Disposition field (RFC 8098 §3.2.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MdnDisposition {
    /// Whether a person did it. A word that is unknown is read as `Manual`.
    pub action: Mode,
    /// Whether a person allowed this report. A word that is unknown is read as `Manual`.
    pub sending: Mode,
    /// What was done.
    pub fate: Fate,
    /// `disposition-modifier`s such as `error`, in lower case.
    pub modifiers: Vec<String>,
}

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Mode {
    /// A person did, for this message.
    Manual,
    /// A program did by itself.
    Automatic,
}

/// `disposition-type`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It was shown to somebody; nobody says that it was read.
    Displayed,
    /// It was deleted; whether it was shown before is not said.
    Deleted,
    /// It was sent on.
    Dispatched,
    /// Rules acted on it, and nobody saw it.
    Processed,
    /// Another word, in lower case: `denied` and `failed` of RFC 2298 are such.
    Other(String),
}

impl MdnDisposition {
    /// Without modifiers.
    pub fn new(action: Mode, sending: Mode, fate: Fate) -> Self {
        Self { action, sending, fate, modifiers: Vec::new() }
    }

    /// Reads `disposition-mode ";" disposition-type ["/" disposition-modifier *("," disposition-modifier)]`. `None` where
    /// there is no type.
    pub fn parse(value: &str) -> Option<Self> {
        let lower = value.to_ascii_lowercase();
        let (mode, what) = lower.rsplit_once(';').unwrap_or(("", &lower));
        let (action, sending) = mode.split_once('/').unwrap_or((mode, ""));
        let (fate, modifiers) = what.split_once('/').unwrap_or((what, ""));
        let modifiers = modifiers.split(',').map(str::trim).filter(|word| !word.is_empty());
        let mode = |automatic| if automatic { Mode::Automatic } else { Mode::Manual };
        Some(Self {
            action: mode(action.trim().starts_with("automatic")),
            sending: mode(sending.trim().ends_with("automatically")),
            fate: match fate.trim() {
                "displayed" => Fate::Displayed,
                "deleted" => Fate::Deleted,
                "dispatched" => Fate::Dispatched,
                "processed" => Fate::Processed,
                "" => return None,
                other => Fate::Other(other.to_owned()),
            },
            modifiers: modifiers.map(str::to_owned).collect(),
        })
    }
}

/// As the field has it.
impl fmt::Display for MdnDisposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.action {
            Mode::Manual => "manual-action/",
            Mode::Automatic => "automatic-action/",
        })?;
        f.write_str(match self.sending {
            Mode::Manual => "MDN-sent-manually; ",
            Mode::Automatic => "MDN-sent-automatically; ",
        })?;
        f.write_str(match &self.fate {
            Fate::Displayed => "displayed",
            Fate::Deleted => "deleted",
            Fate::Dispatched => "dispatched",
            Fate::Processed => "processed",
            Fate::Other(word) => word,
        })?;
        for (n, modifier) in self.modifiers.iter().enumerate() {
            write!(f, "{}{modifier}", if n == 0 { "/" } else { "," })?;
        }
        Ok(())
    }
}

impl DispositionReport {
    /// A report on this recipient.
    pub fn new(recipient: Typed, disposition: MdnDisposition) -> Self {
        Self { recipient: Some(recipient), disposition: Some(disposition), ..Self::default() }
    }

    /// Reads the text of a `message/disposition-notification` part. Whatever it is, there is a report, which may be empty.
    pub fn parse(octets: &[u8]) -> Self {
        Self::parse_with(octets, &Limits::default())
    }

    /// As [`parse`](Self::parse) with other limits.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Self {
        let mut report = Self::default();
        // RFC 8098 §3.1: one group; empty lines in it are a mistake.
        report.other = Fields::read_one_group(octets, limits.fields, |name, value| report.take(name, value));
        report
    }

    fn take(&mut self, name: &str, value: &str) -> bool {
        let mut many = |list: fn(&mut Self) -> &mut Vec<String>| {
            list(self).push(value.to_owned());
            true
        };
        match name.to_ascii_lowercase().as_str() {
            "failure" => many(|report| &mut report.failures),
            "error" => many(|report| &mut report.errors),
            "warning" => many(|report| &mut report.warnings),
            "reporting-ua" => put(&mut self.reporting_ua, text(value)),
            "mdn-gateway" => put(&mut self.gateway, text(value).map(|value| Typed::parse(&value))),
            "original-recipient" => put(&mut self.original, text(value).map(|value| Typed::parse(&value))),
            "final-recipient" => put(&mut self.recipient, text(value).map(|value| Typed::parse(&value))),
            "original-message-id" => {
                let id = value.strip_prefix('<').unwrap_or(value);
                put(&mut self.message_id, text(id.strip_suffix('>').unwrap_or(id)))
            }
            "disposition" => put(&mut self.disposition, MdnDisposition::parse(value)),
            _ => false,
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, BuildError> {
        // RFC 8098 §3.1: these two are not optional.
        let missing = |field| BuildError::Missing { field };
        let recipient = self.recipient.as_ref().ok_or_else(|| missing("Final-Recipient"))?;
        let disposition = self.disposition.as_ref().ok_or_else(|| missing("Disposition"))?;
        let mut out = Writer::default();
        out.optional("Reporting-UA", self.reporting_ua.as_ref())?;
        out.typed("MDN-Gateway", self.gateway.as_ref())?;
        out.typed("Original-Recipient", self.original.as_ref())?;
        out.typed("Final-Recipient", Some(recipient))?;
        out.optional("Original-Message-ID", self.message_id.as_ref().map(|id| format!("<{id}>")))?;
        out.field("Disposition", &disposition.to_string())?;
        for (name, values) in [("Failure", &self.failures), ("Error", &self.errors), ("Warning", &self.warnings)] {
            values.iter().try_for_each(|value| out.field(name, value))?;
        }
        out.fields(&self.other)?;
        Ok(out.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispositions_are_read_as_programs_write_them() {
        use Mode::{Automatic, Manual};
        for (value, action, sending, fate, modifiers) in [
            ("manual-action/MDN-sent-manually; displayed", Manual, Manual, Fate::Displayed, vec![]),
            (
                "automatic-action/MDN-sent-automatically;processed/error",
                Automatic,
                Automatic,
                Fate::Processed,
                vec!["error"],
            ),
            (
                "Manual-Action / mdn-sent-automatically ; Deleted / a , b",
                Manual,
                Automatic,
                Fate::Deleted,
                vec!["a", "b"],
            ),
            ("displayed", Manual, Manual, Fate::Displayed, vec![]),
            ("manual-action/MDN-sent-manually; denied", Manual, Manual, Fate::Other("denied".into()), vec![]),
        ] {
            let read = MdnDisposition::parse(value).unwrap();
            assert_eq!((read.action, read.sending, &read.fate), (action, sending, &fate), "{value}");
            assert_eq!(read.modifiers, modifiers, "{value}");
            assert_eq!(MdnDisposition::parse(&read.to_string()), Some(read));
        }
        assert_eq!(MdnDisposition::parse("manual-action/MDN-sent-manually;"), None);
    }

    #[test]
    fn the_example_of_the_rfc_is_read_and_written() {
        // RFC 8098 §9
        let text = "Reporting-UA: joes-pc.cs.example.com; Foomail 97.1\r\n\
             Original-Recipient: rfc822;Joe_Recipient@example.com\r\nFinal-Recipient: rfc822;Joe_Recipient@example.com\r\n\
             Original-Message-ID: <199509192301.23456@example.org>\r\n\
             Disposition: manual-action/MDN-sent-manually; displayed\r\n";
        let report = DispositionReport::parse(text.as_bytes());
        assert_eq!(report.reporting_ua.as_deref(), Some("joes-pc.cs.example.com; Foomail 97.1"));
        assert_eq!(report.message_id.as_deref(), Some("199509192301.23456@example.org"));
        assert!(report.other.is_empty());
        let written = report.write().unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), text.replace("rfc822;", "rfc822; "));
    }
}
