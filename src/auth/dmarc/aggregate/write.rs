//! Writing: the schema of RFC 9990 §A, in its order, and nothing that it does not have.

use quick_xml::escape::escape;

use super::{Alignment, Override, OverrideKind, Report, Scope, Text};

/// The namespace of RFC 9990 §6.1.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:dmarc-2.0";

/// Why a report cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The schema demands an element for which there is no value.
    #[error("no {0}")]
    Missing(&'static str),
    /// The message around it cannot be built.
    #[error(transparent)]
    Build(#[from] crate::message::BuildError),
}

impl Report {
    /// Writes the report as XML.
    ///
    /// Several errors become one. What only RFC 7489 had is left out, or written as what comes next to it; so are
    /// [`extensions`](Self::extensions). Characters that XML cannot have become U+FFFD.
    ///
    /// # Errors
    /// Where the schema demands what is not there: the organization, its address, the identifier, the domain, at least one
    /// record; of each its source and author domain; of each signature its domain and selector.
    pub fn write(&self) -> Result<String, WriteError> {
        let there = |name, value: &str| if value.is_empty() { Err(WriteError::Missing(name)) } else { Ok(()) };
        let mut out = Writer { out: String::with_capacity(1_000 + 900 * self.records.len()), depth: 0 };
        out.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        out.within(&format!("feedback xmlns=\"{NAMESPACE}\""), |out| {
            out.leaf("version", "1.0");
            out.within("report_metadata", |out| {
                there("org_name", &self.organization)?;
                there("email", &self.email)?;
                there("report_id", &self.id)?;
                out.leaf("org_name", &self.organization);
                out.leaf("email", &self.email);
                out.text("extra_contact_info", self.extra_contact.as_ref());
                out.leaf("report_id", &self.id);
                out.within("date_range", |out| {
                    out.leaf("begin", &self.begin.unix().to_string());
                    out.leaf("end", &self.end.unix().to_string());
                    Ok(())
                })?;
                match &self.errors[..] {
                    [] => {}
                    [one] => out.text("error", Some(one)),
                    errors => {
                        let errors: Vec<_> = errors.iter().map(|error| error.text.as_str()).collect();
                        out.leaf("error", &errors.join("; "));
                    }
                }
                out.optional("generator", self.generator.as_deref());
                Ok(())
            })?;
            let policy = &self.policy;
            out.within("policy_published", |out| {
                there("domain", &policy.domain)?;
                out.leaf("domain", &policy.domain);
                out.optional("discovery_method", policy.discovery.map(|method| method.as_str()));
                out.leaf("p", policy.policy.as_str());
                out.optional("sp", policy.subdomains.map(|policy| policy.as_str()));
                out.optional("np", policy.nonexistent.map(|policy| policy.as_str()));
                out.optional("fo", policy.failure_options.as_deref());
                out.optional("adkim", policy.dkim.map(Alignment::as_str));
                out.optional("aspf", policy.spf.map(Alignment::as_str));
                out.optional("testing", policy.testing.map(|testing| if testing { "y" } else { "n" }));
                Ok(())
            })?;
            if self.records.is_empty() {
                return Err(WriteError::Missing("record"));
            }
            self.records.iter().try_for_each(|record| out.within("record", |out| out.record(record)))
        })?;
        Ok(out.out)
    }
}

struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn within(
        &mut self,
        start: &str,
        content: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.indent();
        self.out.extend(["<", start, ">\n"]);
        self.depth += 1;
        content(self)?;
        self.depth -= 1;
        self.indent();
        self.out.extend(["</", start.split(' ').next().unwrap_or_default(), ">\n"]);
        Ok(())
    }

    fn element(&mut self, name: &str, attribute: &str, value: &str) {
        self.indent();
        let sound: String = value.chars().map(|c| if is_char(c) { c } else { '\u{fffd}' }).collect();
        self.out.extend(["<", name, attribute, ">", &escape(&sound), "</", name, ">\n"]);
    }

    fn leaf(&mut self, name: &str, value: &str) {
        self.element(name, "", value);
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }

    fn text(&mut self, name: &str, text: Option<&Text>) {
        let Some(text) = text else { return };
        // `xs:language`
        let letters = |tag: &str| tag.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        match text.language.as_deref() {
            Some(tag) if !tag.is_empty() && letters(tag) => {
                self.element(name, &format!(" lang=\"{tag}\""), &text.text);
            }
            _ => self.leaf(name, &text.text),
        }
    }

    fn record(&mut self, record: &super::Record) -> Result<(), WriteError> {
        let there = |name, value: &str| if value.is_empty() { Err(WriteError::Missing(name)) } else { Ok(()) };
        let source = record.source.ok_or(WriteError::Missing("source_ip"))?;
        there("header_from", &record.header_from)?;
        let word = |passed| if passed { "pass" } else { "fail" };
        self.within("row", |out| {
            out.leaf("source_ip", &source.to_string());
            out.leaf("count", &record.count.to_string());
            out.within("policy_evaluated", |out| {
                out.leaf("disposition", record.disposition.as_str());
                out.leaf("dkim", word(record.dkim_passed));
                out.leaf("spf", word(record.spf_passed));
                record.reasons.iter().try_for_each(|reason| out.within("reason", |out| out.reason(reason)))
            })
        })?;
        self.within("identifiers", |out| {
            out.leaf("header_from", &record.header_from);
            out.optional("envelope_from", record.envelope_from.as_deref());
            out.optional("envelope_to", record.envelope_to.as_deref());
            Ok(())
        })?;
        self.within("auth_results", |out| {
            for one in &record.dkim {
                there("domain", &one.domain)?;
                there("selector", &one.selector)?;
                out.within("dkim", |out| {
                    out.leaf("domain", &one.domain);
                    out.leaf("selector", &one.selector);
                    out.leaf("result", one.outcome.as_str());
                    out.text("human_result", one.human.as_ref());
                    Ok(())
                })?;
            }
            // RFC 9990 §3.1.1.11: "O", zero or one.
            let Some(one) = record.spf.first() else { return Ok(()) };
            there("domain", &one.domain)?;
            out.within("spf", |out| {
                out.leaf("domain", &one.domain);
                // "The only valid value for the "scope" element is "mfrom"."
                out.optional("scope", one.scope.filter(|scope| *scope == Scope::MailFrom).map(Scope::as_str));
                out.leaf("result", one.outcome.as_str());
                out.text("human_result", one.human.as_ref());
                Ok(())
            })
        })
    }

    fn reason(&mut self, reason: &Override) -> Result<(), WriteError> {
        let kind = match reason.kind {
            OverrideKind::Forwarded | OverrideKind::SampledOut => OverrideKind::Other,
            kind => kind,
        };
        self.leaf("type", kind.as_str());
        match &reason.comment {
            None if kind != reason.kind => self.leaf("comment", reason.kind.as_str()),
            comment => self.text("comment", comment.as_ref()),
        }
        Ok(())
    }
}

/// `Char` of XML 1.0 §2.2.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
