//! What a sender is told of a message: that it did not arrive, not yet, or that it did. Reports of RFC 3464 as RFC 3461 §6
//! wants them, in sendmail's words.
//!
//! There is no report on a message with a null reverse-path, and none that NOTIFY forbids or, of success, does not ask for.
//! Left out: the internationalised forms of RFC 6533 but for its addresses.

use bytes::Bytes;

use crate::address::unitext::Unitext;
use crate::address::{Address, Domain};
use crate::base::Timestamp;
use crate::message::Message;
use crate::message::report::{Action, DeliveryReport, RecipientReport, Report as Told, Returned, Typed};
use crate::smtp::client::Handover;
use crate::smtp::{Body, ByMode, Enhanced, Envelope, ForwardPath, Notify, OriginalRecipient, Ret, ReversePath};
use crate::spool::{Entry, Failure, Pending};

#[cfg(test)]
mod tests;
mod words;

pub(super) use words::one_line;
use words::{MAX_WORDS, age, ascii, is_clean, words};

/// Who reports, and how.
///
/// ```
/// use facteur::address::Address;
/// use facteur::base::Timestamp;
/// use facteur::smtp::{Enhanced, Envelope, ForwardPath, Reply};
/// use facteur::spool::{Failure, Memory, Reporter, Spool};
///
/// let (ada, bob): (Address, Address) = ("ada@a.test".parse()?, "bob@b.test".parse()?);
/// let spool = Memory::new();
/// let content = b"Subject: lunch\r\n\r\nAt noon.\r\n";
/// let id = spool.store(Envelope::new(ada.into(), [ForwardPath::from(bob)]), content)?;
///
/// let mut entry = spool.entry(&id)?;
/// entry.recipients[0].failure = Some(Failure::said_by("mx.b.test", &Reply::new(550, Enhanced(5, 1, 1), "who?")));
/// let reporter = Reporter::new("mx.a.test".parse()?);
/// let now = Timestamp::from_unix(entry.arrived.unix() + 60);
/// let report = reporter.failed(&entry, &entry.recipients, content, now).expect("the sender wants to know");
/// assert_eq!(report.envelope.from.to_string(), "<>");
/// assert_eq!(report.envelope.recipients[0].to.to_string(), "<ada@a.test>");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reporter {
    /// The host that reports, as `Reporting-MTA` has it. No default.
    pub host: Domain,
    /// Who answers questions: the From field. Default `postmaster` at the host (RFC 3464 §2).
    pub contact: String,
    /// A message, or a header, of more octets is not returned as a whole. Default 100 KiB: what the sender needs is to
    /// know it again, and he has it himself.
    pub max_returned: usize,
}

/// A report, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// From nobody, to the sender of the message.
    pub envelope: Envelope,
    /// The report as a message.
    pub content: Bytes,
}

/// How a message arrived (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Success {
    /// It lies in the mailbox of the recipient.
    Delivered,
    /// A system has it that does not tell of delivery.
    Relayed,
    /// It was delivered to a list, which passes it on.
    Expanded,
}

/// What a report tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Failed,
    /// With the time at which it is given up.
    Delayed(Timestamp),
    Arrived(Success),
}

impl Reporter {
    /// A reporter at this host.
    pub fn new(host: Domain) -> Self {
        let contact = format!("postmaster@{host}");
        Self { host, contact, max_returned: 100 * 1024 }
    }

    /// The report that these recipients will not get the message. `content` is returned, the header alone where RET does not
    /// ask for more, or REQUIRETLS was asked for. `None` where nobody is to be told.
    pub fn failed(&self, entry: &Entry, failed: &[Pending], content: &[u8], now: Timestamp) -> Option<Report> {
        // RFC 3461 §5.2.5, §5.2.6: not where NOTIFY was given without that keyword.
        let wanted = |notify: Option<Notify>| notify.is_none_or(|notify| notify.failure);
        self.report(entry, &chosen(failed, wanted), content, now, News::Failed)
    }

    /// The report that these recipients have not got the message yet, and that it is tried until `until`. The header of
    /// `content` is returned. `None` where nobody is to be told.
    pub fn delayed(
        &self,
        entry: &Entry,
        late: &[Pending],
        content: &[u8],
        now: Timestamp,
        until: Timestamp,
    ) -> Option<Report> {
        let wanted = |notify: Option<Notify>| notify.is_none_or(|notify| notify.delay);
        self.report(entry, &chosen(late, wanted), content, now, News::Delayed(until))
    }

    /// The report that these recipients, of those whose NOTIFY asks for it, have the message. The header of `content` is
    /// returned. `None` where nobody is to be told.
    pub fn arrived(
        &self,
        entry: &Entry,
        done: &[Pending],
        content: &[u8],
        now: Timestamp,
        how: Success,
    ) -> Option<Report> {
        // RFC 3461 §5.2.1: only where it was given with that keyword.
        let wanted = |notify: Option<Notify>| notify.is_some_and(|notify| notify.success);
        self.report(entry, &chosen(done, wanted), content, now, News::Arrived(how))
    }

    /// The report that another server has the message for these recipients, which was handed over to it like this: where it
    /// does not tell of success itself to those who asked for it, where it does not know of `BY=`, and where that asks for a
    /// trace. The header of `content` is returned. `None` where nobody is to be told.
    pub fn relayed(
        &self,
        entry: &Entry,
        done: &[Pending],
        content: &[u8],
        now: Timestamp,
        handover: &Handover,
    ) -> Option<Report> {
        // RFC 2852 §4.1.4, §4.1.4.2: regardless of SUCCESS, where NOTIFY is not NEVER.
        let traced = entry.params.by.is_some_and(|by| {
            let in_time = deliver_by(entry).is_some_and(|until| now.unix() < until.unix());
            by.trace || (by.mode == ByMode::Notify && in_time && !handover.deliver_by)
        });
        let wanted = |notify: Option<Notify>| match notify {
            None => traced,
            // RFC 3461 §5.2.2 (b)
            Some(notify) => (notify.success && !handover.dsn) || (traced && notify != Notify::default()),
        };
        self.report(entry, &chosen(done, wanted), content, now, News::Arrived(Success::Relayed))
    }

    fn report(&self, entry: &Entry, told: &[&Pending], content: &[u8], now: Timestamp, news: News) -> Option<Report> {
        // RFC 5321 §6.1: a notification is sent with a null reverse-path, and none is sent in response to one.
        let ReversePath::Address(sender) = &entry.from else { return None };
        if told.is_empty() {
            return None;
        }
        let host = self.written_host();
        // RFC 3461 §6.2: the whole message SHOULD be returned where RET=FULL and something failed; it may be too long.
        // RFC 8689 §5: "If both RET=FULL and REQUIRETLS are present, the RET=FULL MUST be disregarded."
        let whole = news == News::Failed && entry.params.ret == Some(Ret::Full) && !entry.params.require_tls;
        let returned = self.returned(content, whole);
        let status = Told::Delivery(status(&host, entry, told, now, news));
        let (kind, subject) = match news {
            News::Failed => ("failed", "Returned mail: see transcript for details".to_owned()),
            News::Delayed(_) => ("delayed", format!("Warning: could not send message for past {}", age(entry, now))),
            News::Arrived(_) => ("arrived", "Return receipt".to_owned()),
        };
        let contact = self.contact.parse::<Address>().ok().filter(Address::is_ascii);
        let contact = contact.map_or_else(|| format!("postmaster@{host}"), |contact| contact.to_string());
        let mut report = Message::build()
            .date(now)
            .from(("Mail Delivery Subsystem", contact.as_str()))
            .to(sender.clone())
            .subject(subject)
            .message_id(format!("{kind}.{}.{}@{host}", entry.id, now.unix()))
            // RFC 3834 §5.2: reports that were called auto-generated "should be changed to use "auto-replied"".
            .structured("Auto-Submitted", "auto-replied")
            .eight_bit()
            .body(status.part(words(entry, told, now, news), Some(&returned)).ok()?);
        if !sender.is_ascii() {
            report = report.utf8();
        }
        // What can be refused of the above is the address of the sender, where a program made one that cannot be written.
        let content = report.finish().ok()?.raw().clone();
        let mut envelope = Envelope::new(ReversePath::Null, [ForwardPath::Address(sender.clone())]);
        envelope.params.smtputf8 = !sender.is_ascii();
        // RFC 8689 §5: all of them "MUST also specify the REQUIRETLS SMTP option".
        envelope.params.require_tls = entry.params.require_tls;
        // RFC 6710 §4.6: as urgent as what it tells of.
        envelope.params.priority = entry.params.priority;
        envelope.params.body = (!content.is_ascii()).then_some(Body::EightBitMime);
        Some(Report { envelope, content })
    }

    /// The host in a form that every field can hold: a `Domain` that a program made may hold anything.
    fn written_host(&self) -> String {
        let host = self.host.to_ascii_or_text();
        if Domain::parse(host.as_bytes()).is_ok() { host } else { "localhost".to_owned() }
    }

    /// The message, or as much of it as may be returned.
    fn returned(&self, content: &[u8], whole: bool) -> Returned {
        let message = |octets: &[u8]| Message::parse(Bytes::copy_from_slice(octets));
        if whole && content.len() <= self.max_returned && is_clean(content) {
            return Returned::Message(message(content));
        }
        let end = memchr::memmem::find(content, b"\r\n\r\n").map_or(content.len(), |at| at + 2);
        Returned::Header(message(content.get(..end.min(self.max_returned)).unwrap_or_default()))
    }
}

/// Those of them who are to be told.
fn chosen(told: &[Pending], wanted: impl Fn(Option<Notify>) -> bool) -> Vec<&Pending> {
    told.iter().filter(|pending| wanted(pending.recipient.params.notify)).collect()
}

/// By when it was to be delivered.
fn deliver_by(entry: &Entry) -> Option<Timestamp> {
    let by = entry.params.by?;
    Some(Timestamp::from_unix(entry.arrived.unix().saturating_add(by.seconds.into())))
}

/// What it comes to for one recipient.
fn code(entry: &Entry, pending: &Pending, now: Timestamp, news: News) -> Enhanced {
    let failure = pending.failure.as_ref();
    let over = |mode| {
        entry.params.by.is_some_and(|by| by.mode == mode)
            && deliver_by(entry).is_some_and(|until| until.unix() <= now.unix())
            && !failure.is_some_and(Failure::is_permanent)
    };
    match news {
        News::Arrived(_) => Enhanced(2, 0, 0),
        // RFC 2852 §4.1.3: "delivery time expired"
        News::Failed if over(ByMode::Return) => Enhanced(5, 4, 7),
        News::Delayed(_) if over(ByMode::Notify) => Enhanced(4, 4, 7),
        // RFC 3461 §6.3 (g): "If there is no specific code".
        News::Failed => failure.map_or(Enhanced(5, 0, 0), |failure| failure.status),
        News::Delayed(_) => failure.map_or(Enhanced(4, 0, 0), |failure| failure.status),
    }
}

/// What programs read of it. RFC 3464 has it in ASCII.
fn status(host: &str, entry: &Entry, told: &[&Pending], now: Timestamp, news: News) -> DeliveryReport {
    let mut report = DeliveryReport {
        envelope_id: entry.params.envid.as_deref().map(ascii),
        reporting_mta: Some(Typed::new("dns", host)),
        arrival: Some(entry.arrived),
        deliver_by: deliver_by(entry),
        ..DeliveryReport::default()
    };
    let action = match news {
        News::Failed => Action::Failed,
        News::Delayed(_) => Action::Delayed,
        News::Arrived(Success::Delivered) => Action::Delivered,
        News::Arrived(Success::Relayed) => Action::Relayed,
        News::Arrived(Success::Expanded) => Action::Expanded,
    };
    for pending in told {
        let Pending { recipient, failure } = pending;
        let failure = failure.as_ref().filter(|_| !matches!(news, News::Arrived(_)));
        let code = code(entry, pending, now, news);
        let mut one = RecipientReport::new(final_recipient(&recipient.to), action.clone(), code);
        one.original = recipient.params.orcpt.as_ref().and_then(original_recipient);
        if let Some(failure) = failure {
            let kind = if failure.remote.is_some() { "smtp" } else { "x-local" };
            one.remote_mta = failure.remote.as_deref().map(|remote| Typed::new("dns", ascii(remote)));
            one.diagnostic = Some(Typed::new(kind, ascii(&failure.text)));
        }
        one.last_attempt = entry.last_try;
        if let News::Delayed(until) = news {
            one.retry_until = Some(until);
        }
        report.recipients.push(one);
    }
    report
}

/// RFC 3461 §6.3 (e); for addresses beyond ASCII the type of RFC 6533 §3, as long as a line can hold them.
fn final_recipient(to: &ForwardPath) -> Typed {
    match to {
        ForwardPath::Postmaster => Typed::new("rfc822", "postmaster"),
        ForwardPath::Address(address) => {
            let written = address.to_string();
            let fits = Unitext(&written).to_string().len() <= MAX_WORDS;
            if written.is_ascii() || !fits {
                return Typed::new("rfc822", ascii(&written));
            }
            Typed::new("utf-8", written)
        }
    }
}

/// RFC 3461 §6.3 (d): as the sender named the recipient. `None` where a line cannot hold it.
fn original_recipient(orcpt: &OriginalRecipient) -> Option<Typed> {
    // RFC 6533 §3: addresses of this type stay encoded where the report is ASCII; the writer does that. Others beyond ASCII
    // stay in xtext.
    let typed = if orcpt.address.is_ascii() || orcpt.kind.eq_ignore_ascii_case("utf-8") {
        Typed::new(&*orcpt.kind, &*orcpt.address)
    } else {
        Typed::parse(&orcpt.to_string())
    };
    let sound =
        typed.kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') && !typed.kind.is_empty();
    let fits = Unitext(&typed.value).to_string().len() <= MAX_WORDS;
    let clean = !typed.value.chars().any(char::is_control);
    (sound && fits && clean && typed.kind.len() <= 40).then_some(typed)
}
