//! Bounces: who did not get a message, and why, whatever system says so and in whatever form.
//!
//! A delivery report (RFC 3464) is believed. What has none is read by rules that hold for many mailers; they are in
//! `text.rs`, and the words that give a reason are in `reason.rs`. Whether a message is a bounce at all is a matter of signs that
//! are counted (`is_likely`): one of them alone is in mail of people too.
//!
//! No bounce is: a report of a delay, of delivery, relaying or expansion; a disposition notification; a complaint; an
//! automatic answer of a person's mailbox (RFC 3834).
//!
//! Left out on purpose: who bounced it by the look of it, and notices of mailing services in formats of their own.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::{Action, DeliveryReport, Limits, RecipientReport, Report, Typed, outer_parts};
use crate::address::Address;
use crate::message::{AutoSubmitted, Enhanced, Message};

mod phrases;
mod reason;
mod text;

pub use reason::Reason;

use phrases::{AUTOMATIC, PERSONAL, SUBJECTS, SUBJECTS_ABROAD};
use text::Found;

/// A message that says that another one did not arrive.
///
/// ```
/// use facteur::message::Message;
/// use facteur::message::report::{Evidence, Reason};
///
/// let message = Message::parse(
///     "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org\nSubject: failure notice\n\n\
///      Hi. This is the qmail-send program at mx.example.org.\n\n\
///      <bob@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n\
///      --- Below this line is a copy of the message.\n\nSubject: lunch\n\nAt noon?\n",
/// );
/// let bounce = message.bounce().unwrap();
/// let bob = &bounce.recipients[0];
/// assert_eq!(bob.name, "bob@example.net");
/// assert_eq!((bob.reason, bob.is_hard()), (Reason::UserUnknown, true));
/// assert_eq!(bob.evidence, Evidence::Text);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounce {
    /// Who did not get it. At least one, though its name may be empty where nothing names them.
    pub recipients: Vec<BouncedRecipient>,
}

/// A recipient who did not get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BouncedRecipient {
    /// The recipient: the address, or where it is none, what the bounce says instead; empty where it names nobody.
    pub name: String,
    /// The address; `None` where the bounce has another name, of X.400 or a program.
    pub address: Option<Address>,
    /// The address that the sender wrote to, where the bounce knows it and it is another (Original-Recipient).
    pub original: Option<Address>,
    /// The status code: the one of the report, or the first in what was said.
    pub status: Option<Enhanced>,
    /// Why.
    pub reason: Reason,
    /// What was said, on one line; empty where nothing was.
    pub said: String,
    /// Who said it, as Remote-MTA has it.
    pub remote: Option<String>,
    /// How we know that it was this recipient.
    pub evidence: Evidence,
}

/// How it is known that a recipient did not get a message, from the surest down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// A delivery report says so.
    Report,
    /// Fields of a delivery report say so that stand in a part for people.
    ReportInText,
    /// The field X-Failed-Recipients says so.
    FailedRecipients,
    /// A part for people names them where bounces do.
    Text,
    /// They are the only recipient in the header of the returned message.
    Returned,
    /// Nothing names them.
    Nothing,
}

impl BouncedRecipient {
    /// Whether the address should not be written to again: the fault lies with it, and the status does not say that it is
    /// one that passes. Everything else is soft, and so is what is not known.
    pub fn is_hard(&self) -> bool {
        self.reason.is_of_address() && self.status.is_none_or(|status| status.0 == 5)
    }
}

impl Message {
    /// What it says of another message that did not arrive; `None` where it is no bounce.
    pub fn bounce(&self) -> Option<Bounce> {
        self.bounce_with(&Limits::default())
    }

    /// As [`bounce`](Self::bounce) with other limits.
    pub fn bounce_with(&self, limits: &Limits) -> Option<Bounce> {
        let report = match self.report_with(limits) {
            Some(Report::Delivery(report)) => Some(report),
            Some(_) => return None,
            None => None,
        };
        let reader = Reader::new(self, limits);
        if let Some(report) = &report
            && report.recipients.iter().any(|recipient| verdict(recipient).is_some())
        {
            return reader.reported(report, Evidence::Report);
        }
        if !reader.is_likely(report.is_some()) || text::announces_delay(&reader.folded) {
            return None;
        }
        if let Some(report) = text::status(&reader.text, limits) {
            return reader.reported(&report, Evidence::ReportInText);
        }
        Some(reader.read())
    }
}

/// Whether a recipient of a report did not get the message; `None` where it does not say.
fn verdict(recipient: &RecipientReport) -> Option<bool> {
    match (&recipient.action, recipient.status) {
        (Some(Action::Failed), _) => Some(true),
        (Some(Action::Delayed | Action::Delivered | Action::Relayed | Action::Expanded), _) => Some(false),
        (_, Some(Enhanced(class, ..))) => Some(class == 5),
        _ => {
            let diagnostic = recipient.diagnostic.as_ref()?;
            Some(diagnostic.value.starts_with('5'))
        }
    }
}

/// What the rules for text work on.
struct Reader<'a> {
    message: &'a Message,
    /// The parts for people, up to the returned message.
    text: String,
    /// The same in lower case and on one line.
    folded: String,
    /// Found when first asked for.
    general: OnceCell<Reason>,
    most: usize,
}

impl<'a> Reader<'a> {
    fn new(message: &'a Message, limits: &Limits) -> Self {
        let mut text = String::new();
        for part in outer_parts(message) {
            let content_type = part.content_type();
            if content_type.kind() != "text" || content_type.subtype().starts_with("rfc822") || part.is_multipart() {
                continue;
            }
            // HTML repeats what the plain text says.
            if content_type.subtype() == "html" && !text.is_empty() {
                continue;
            }
            let Some(words) = part.text() else { continue };
            let words = if content_type.subtype() == "html" { without_tags(&words).into() } else { words };
            let room = limits.text.saturating_sub(text.len());
            let end = (0..=room.min(words.len())).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
            text.push_str(text::head(words.get(..end).unwrap_or_default()));
            text.push('\n');
        }
        let folded = text::folded(&text);
        Self { message, text, folded, general: OnceCell::new(), most: limits.recipients }
    }

    /// Whether enough signs speak for a bounce. Each sign has its weight, and three are enough.
    fn is_likely(&self, has_report: bool) -> bool {
        let header = self.message.header();
        let subject = header.get("subject").map(|field| field.text().to_lowercase()).unwrap_or_default();
        // RFC 3834 §3.1.5: answers of a mailbox say so in their subject.
        if AUTOMATIC.iter().any(|phrase| subject.contains(phrase)) {
            return false;
        }
        let from = header.get("from").map(|field| field.text().to_lowercase()).unwrap_or_default();
        let system = from.contains("mailer-daemon") || from.contains("mail delivery") || from.contains("<>");
        let office = from.contains("postmaster") || from.contains("post_master") || from.contains("administrator");
        let failed = header.get("x-failed-recipients").is_some();
        let multipart = self.message.root().content_type().is("multipart", "report");
        // What a person sends on, or a mailbox answers by itself (RFC 3834 §5), may quote a bounce and is none.
        let personal = PERSONAL.iter().any(|start| subject.starts_with(start))
            || header.get("auto-submitted").map(|field| field.auto_submitted()) == Some(AutoSubmitted::Replied);
        if personal && !(system || office || failed || has_report || multipart) {
            return false;
        }
        let null = header.get("return-path").is_some_and(|field| field.value().trim_ascii() == b"<>");
        let returned = outer_parts(self.message).any(|part| part.embedded().is_some());
        // Parcels fail to be delivered too: where there are words only, they name an address.
        let by_machine = system || office || failed || has_report || multipart || null || returned;
        if !by_machine && text::recipients(&self.text, true, 1).is_empty() {
            return false;
        }
        let signs = [
            (3, has_report),
            (3, failed),
            (2, system),
            (1, office),
            (1, null),
            (2, !subject.starts_with("re:") && SUBJECTS.iter().any(|phrase| subject.contains(phrase))),
            (1, SUBJECTS_ABROAD.iter().any(|phrase| subject.contains(phrase))),
            (2, multipart),
            (2, text::announces_failure(&self.folded)),
            (1, text::announces_failure_abroad(&self.folded)),
            (1, returned),
        ];
        signs.iter().filter(|(_, there)| *there).map(|(weight, _)| weight).sum::<u32>() >= 3
    }

    /// The recipients of a report that failed; `None` where none did.
    fn reported(&self, report: &DeliveryReport, evidence: Evidence) -> Option<Bounce> {
        let failed = report.recipients.iter().filter(|recipient| verdict(recipient) == Some(true));
        let mut told = None;
        let recipients: Vec<_> = failed
            .map(|recipient| {
                let named = recipient.recipient.as_ref().or(recipient.original.as_ref());
                let address = named.and_then(Typed::address);
                let mut said = recipient.diagnostic.as_ref().map(|typed| typed.value.clone()).unwrap_or_default();
                if said.is_empty() {
                    // What the report leaves out is often told to people.
                    let told = told.get_or_insert_with(|| text::recipients(&self.text, true, self.most));
                    let own = told.iter().find(|found| Some(&found.address) == address.as_ref());
                    said = own.map(|found| found.said.clone()).unwrap_or_default();
                }
                if let Some(comment) = &recipient.comment
                    && said.is_empty()
                {
                    said.clone_from(comment);
                }
                let original = recipient.original.as_ref().and_then(Typed::address);
                let name = || named.map(|typed| typed.value.clone()).unwrap_or_default();
                let bounced = BouncedRecipient {
                    name: address.as_ref().map(Address::to_string).unwrap_or_else(name),
                    original: original.filter(|original| Some(original) != address.as_ref()),
                    address,
                    status: recipient.status,
                    reason: Reason::Unknown,
                    said,
                    remote: recipient.remote_mta.as_ref().map(|typed| typed.value.clone()),
                    evidence,
                };
                self.completed(bounced)
            })
            .collect();
        (!recipients.is_empty()).then_some(Bounce { recipients })
    }

    /// The recipients that the text and the header name.
    fn read(&self) -> Bounce {
        let opened = text::announces_failure(&self.folded) || text::announces_failure_abroad(&self.folded);
        let found = text::recipients(&self.text, opened, self.most);
        let header = self.message.header();
        let mailboxes = header.all("x-failed-recipients").flat_map(|field| field.mailboxes());
        let addresses = mailboxes.filter_map(|mailbox| mailbox.address());
        let mut known = HashSet::new();
        let failed: Vec<Address> = addresses.take(self.most).filter(|address| known.insert(address.clone())).collect();
        let mut recipients: Vec<BouncedRecipient> = if failed.is_empty() {
            let bounced = |found: Found| Self::bounced(Some(found.address), found.said, Evidence::Text);
            found.into_iter().map(bounced).collect()
        } else {
            // The one that failed may be an alias of the one that the text speaks of.
            let one = failed.len() == 1 && found.len() == 1;
            let key = |found: &Found| if one { failed.first().cloned() } else { Some(found.address.clone()) };
            let mut said: HashMap<Address, String> =
                found.into_iter().filter_map(|found| Some((key(&found)?, found.said))).collect();
            let bounced = |address: Address| {
                let said = said.remove(&address).unwrap_or_default();
                Self::bounced(Some(address), said, Evidence::FailedRecipients)
            };
            failed.into_iter().map(bounced).collect()
        };
        if recipients.is_empty() {
            recipients.push(match self.returned_to() {
                Some(address) => Self::bounced(Some(address), String::new(), Evidence::Returned),
                None => Self::bounced(None, String::new(), Evidence::Nothing),
            });
        }
        Bounce { recipients: recipients.into_iter().map(|recipient| self.completed(recipient)).collect() }
    }

    fn bounced(address: Option<Address>, said: String, evidence: Evidence) -> BouncedRecipient {
        BouncedRecipient {
            name: address.as_ref().map(Address::to_string).unwrap_or_default(),
            address,
            original: None,
            status: Enhanced::find(&said).filter(|status| status.0 != 2),
            reason: Reason::Unknown,
            said,
            remote: None,
            evidence,
        }
    }

    /// With the reason, which the text as a whole gives where what was said of the recipient does not.
    fn completed(&self, mut recipient: BouncedRecipient) -> BouncedRecipient {
        recipient.said = recipient.said.split_whitespace().collect::<Vec<_>>().join(" ");
        recipient.reason = Reason::of(recipient.status, &recipient.said);
        if matches!(recipient.evidence, Evidence::Report | Evidence::ReportInText) && !recipient.said.is_empty() {
            return recipient;
        }
        if recipient.reason == Reason::Unknown {
            recipient.reason = *self.general.get_or_init(|| general(&self.folded));
            // What the server answered may stand ahead of the recipient.
            let answered = || Enhanced::find(text::answer(&self.folded)?).filter(|status| status.0 != 2);
            recipient.status = recipient.status.or_else(answered);
        }
        recipient
    }

    /// The one address in To of the returned message. Where it is not a part of its own, it follows the text.
    fn returned_to(&self) -> Option<Address> {
        let only = |message: &Message| {
            let mut mailboxes = message.header().to();
            let address = mailboxes.next()?.address()?;
            mailboxes.next().is_none().then_some(address)
        };
        if let Some(returned) = self.message.returned() {
            return only(returned.message());
        }
        let body = self.message.root().text()?;
        let rest = body.get(text::head(&body).len()..)?;
        // Past the line that announces it: up to the first field.
        let is_field = |line: &str| {
            let name = line.split_once(':').map_or("", |(name, _)| name);
            !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
        };
        let before: usize = rest.split_inclusive('\n').take_while(|line| !is_field(line)).map(str::len).sum();
        only(&Message::parse(rest.get(before..)?.as_bytes().to_vec()))
    }
}

/// The reason that a bounce gives for all of its recipients.
fn general(folded: &str) -> Reason {
    let answered = text::answer(folded).map_or(Reason::Unknown, reason::of_all);
    if answered != Reason::Unknown {
        return answered;
    }
    // Words that every bounce has say nothing.
    match reason::of_all(folded) {
        Reason::Policy | Reason::Content | Reason::Protocol | Reason::SystemError | Reason::Security => Reason::Unknown,
        reason => reason,
    }
}

/// The text of HTML as far as the rules need it: tags become spaces or line ends, and the common entities characters.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    for (n, piece) in html.split('<').enumerate() {
        let (tag, text) = if n == 0 { ("", piece) } else { piece.split_once('>').unwrap_or((piece, "")) };
        let name = tag.split(|character: char| !character.is_ascii_alphanumeric() && character != '/').next();
        let block = ["br", "p", "/p", "div", "/div", "tr", "/tr", "li", "pre", "/pre", "h1", "h2", "h3"];
        if name.is_some_and(|name| block.iter().any(|block| name.eq_ignore_ascii_case(block))) {
            out.push('\n');
        }
        out.push_str(text);
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&#64;", "@"), ("&amp;", "&")];
    entities.iter().fold(out, |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests;
