//! What a sender is told of a message: that it did not arrive, not yet, or that it did. Reports of RFC 3464 as RFC 3461 §6
//! wants them, in sendmail's words.
//!
//! There is no report on a message with a null reverse-path, and none that NOTIFY forbids or, of success, does not ask for.
//! Left out: the internationalised forms of RFC 6533 but for its addresses.

use std::fmt::Write;

use bytes::Bytes;

use crate::address::unitext::Unitext;
use crate::address::{Address, Domain};
use crate::base::Timestamp;
use crate::message::Message;
use crate::message::report::{Action, DeliveryReport, RecipientReport, Report as Told, Returned, Typed};
use crate::smtp::{Body, Enhanced, Envelope, ForwardPath, OriginalRecipient, Ret, ReversePath};
use crate::spool::{Entry, Pending};

/// Lines of a report are folded here, where they can be (RFC 5322 §2.1.1).
const FOLD: usize = 78;
/// What comes from elsewhere is cut after so many octets, here and in control files: a line of a message has at most 998
/// (RFC 5322 §2.1.1), and what a server says of each of a thousand recipients must not make an entry too large to be read.
const MAX_WORDS: usize = 900;

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
    /// ask for more. `None` where nobody is to be told.
    pub fn failed(&self, entry: &Entry, failed: &[Pending], content: &[u8], now: Timestamp) -> Option<Report> {
        self.report(entry, failed, content, now, News::Failed)
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
        self.report(entry, late, content, now, News::Delayed(until))
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
        self.report(entry, done, content, now, News::Arrived(how))
    }

    fn report(&self, entry: &Entry, told: &[Pending], content: &[u8], now: Timestamp, news: News) -> Option<Report> {
        // RFC 5321 §6.1: a notification is sent with a null reverse-path, and none is sent in response to one.
        let ReversePath::Address(sender) = &entry.from else { return None };
        // RFC 3461 §5.2.5, §5.2.6: not where NOTIFY was given without that keyword; §5.2.1: of success only where it was
        // given with it.
        let wanted = |pending: &&Pending| {
            let notify = pending.recipient.params.notify;
            match news {
                News::Failed => notify.is_none_or(|notify| notify.failure),
                News::Delayed(_) => notify.is_none_or(|notify| notify.delay),
                News::Arrived(_) => notify.is_some_and(|notify| notify.success),
            }
        };
        let told: Vec<&Pending> = told.iter().filter(wanted).collect();
        if told.is_empty() {
            return None;
        }
        let host = self.written_host();
        // RFC 3461 §6.2: the whole message SHOULD be returned where RET=FULL and something failed; it may be too long.
        let whole = news == News::Failed && entry.params.ret == Some(Ret::Full);
        let returned = self.returned(content, whole);
        let status = Told::Delivery(status(&host, entry, &told, news));
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
            .body(status.part(words(entry, &told, news), Some(&returned)).ok()?);
        if !sender.is_ascii() {
            report = report.utf8();
        }
        // What can be refused of the above is the address of the sender, where a program made one that cannot be written.
        let content = report.finish().ok()?.raw().clone();
        let mut envelope = Envelope::new(ReversePath::Null, [ForwardPath::Address(sender.clone())]);
        envelope.params.smtputf8 = !sender.is_ascii();
        envelope.params.body = (!content.is_ascii()).then_some(Body::EightBitMime);
        Some(Report { envelope, content })
    }

    /// The host in a form that every field can hold: a `Domain` that a program made may hold anything.
    fn written_host(&self) -> String {
        let host = self.host.to_ascii().unwrap_or_else(|| self.host.to_string());
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

/// What programs read of it. RFC 3464 has it in ASCII.
fn status(host: &str, entry: &Entry, told: &[&Pending], news: News) -> DeliveryReport {
    let mut report = DeliveryReport {
        envelope_id: entry.params.envid.as_deref().map(ascii),
        reporting_mta: Some(Typed::new("dns", host)),
        arrival: Some(entry.arrived),
        ..DeliveryReport::default()
    };
    // RFC 3461 §6.3 (g): "If there is no specific code".
    let (action, class) = match news {
        News::Failed => (Action::Failed, 5),
        News::Delayed(_) => (Action::Delayed, 4),
        News::Arrived(Success::Delivered) => (Action::Delivered, 2),
        News::Arrived(Success::Relayed) => (Action::Relayed, 2),
        News::Arrived(Success::Expanded) => (Action::Expanded, 2),
    };
    for Pending { recipient, failure } in told {
        let failure = failure.as_ref().filter(|_| class != 2);
        let code = failure.map_or(Enhanced(class, 0, 0), |failure| failure.status);
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

/// The part for people.
fn words(entry: &Entry, told: &[&Pending], news: News) -> String {
    let mut out = String::new();
    // A String takes all that is written to it, here and below.
    let _ =
        write!(out, "The original message was received at {}\r\nand is kept as {}\r\n\r\n", entry.arrived, entry.id);
    if let News::Delayed(until) = news {
        let _ = write!(
            out,
            "    **********************************************\r\n\
             \x20   **      THIS IS A WARNING MESSAGE ONLY      **\r\n\
             \x20   **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\r\n\
             \x20   **********************************************\r\n\r\n\
             It will be tried until {until}\r\n\r\n"
        );
    }
    out.push_str(match news {
        News::Failed => "   ----- The following addresses had permanent fatal errors -----\r\n",
        News::Delayed(_) => "   ----- The following addresses had transient non-fatal errors -----\r\n",
        News::Arrived(_) => "   ----- The following addresses had successful delivery notifications -----\r\n",
    });
    if let News::Arrived(how) = news {
        let how = match how {
            Success::Delivered => "successfully delivered to mailbox",
            Success::Relayed => "relayed to non-DSN-aware mailer",
            Success::Expanded => "expanded by mailing list",
        };
        for Pending { recipient, .. } in told {
            fold(&mut out, &format!("{}  ({how})", one_line(&recipient.to.to_string())));
        }
        return out;
    }
    for Pending { recipient, failure } in told {
        fold(&mut out, &one_line(&recipient.to.to_string()));
        if let Some(failure) = failure {
            fold(&mut out, &format!("    (reason: {})", one_line(&failure.text)));
        }
    }
    out.push_str("\r\n   ----- Transcript of session follows -----\r\n");
    let mut last = None;
    for Pending { recipient, failure } in told {
        let Some(failure) = failure else {
            fold(&mut out, &format!("{}... not tried", one_line(&recipient.to.to_string())));
            continue;
        };
        if let Some(remote) = &failure.remote {
            if last != Some(remote) {
                let _ = write!(out, "... while talking to {}:\r\n", one_line(remote));
                last = Some(remote);
            }
            fold(&mut out, &format!("<<< {}", one_line(&failure.text)));
        }
        let to = one_line(&recipient.to.to_string());
        fold(&mut out, &format!("{} {to}... {}", failure.status, one_line(&failure.text)));
    }
    out
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
        Typed::new(orcpt.kind.as_str(), orcpt.address.as_str())
    } else {
        Typed::parse(&orcpt.to_string())
    };
    let sound =
        typed.kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') && !typed.kind.is_empty();
    let fits = Unitext(&typed.value).to_string().len() <= MAX_WORDS;
    let clean = !typed.value.chars().any(char::is_control);
    (sound && fits && clean && typed.kind.len() <= 40).then_some(typed)
}

/// How old a message is, in its largest whole unit.
fn age(entry: &Entry, now: Timestamp) -> String {
    let seconds = now.unix().saturating_sub(entry.arrived.unix()).max(0);
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3600.. => (seconds / 3600, "hour"),
        _ => (seconds / 60, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Whether octets may stand in a message of 8BITMIME: lines of at most 998 octets that end with CRLF, no NUL.
fn is_clean(octets: &[u8]) -> bool {
    let lines = octets.split_inclusive(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line));
    lines.into_iter().all(|line| line.len() <= 998 && !line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)))
}

/// Adds a line and its end; where it is long it is folded at spaces.
fn fold(out: &mut String, line: &str) {
    let mut width = 0;
    for (number, word) in line.split(' ').enumerate() {
        if number > 0 {
            if width > 0 && width + 1 + word.len() > FOLD && !word.is_empty() {
                out.push_str("\r\n");
                width = 0;
            }
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += word.len();
    }
    out.push_str("\r\n");
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_WORDS.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Control characters as spaces: what comes from elsewhere must not begin a line of its own.
pub(super) fn one_line(text: &str) -> String {
    cut(text).replace(|character: char| character.is_control(), " ")
}

/// What message/delivery-status may hold: one line of printable ASCII.
fn ascii(text: &str) -> String {
    cut(text).replace(|character: char| !matches!(character, ' '..='~'), "?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::report::Reason;
    use crate::smtp::{Notify, Recipient, Reply};
    use crate::spool::{Failure, Memory, Spool};

    const ARRIVED: i64 = 1_172_593_995;
    const CONTENT: &[u8] = b"Subject: lunch\r\nX: \xe9\r\n\r\nAt noon.\r\n";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(ARRIVED + seconds)
    }

    fn reporter() -> Reporter {
        Reporter::new("mx.a.test".parse().unwrap())
    }

    fn recipient(address: &str, notify: Option<Notify>, failure: Option<Failure>) -> Pending {
        let mut recipient = Recipient::from(ForwardPath::Address(address.parse().unwrap()));
        recipient.params.notify = notify;
        Pending { failure, ..recipient.into() }
    }

    fn entry(from: &str) -> Entry {
        let from = if from.is_empty() { ReversePath::Null } else { ReversePath::Address(from.parse().unwrap()) };
        let spool = Memory::new();
        let id = spool.store(Envelope::new(from, [ForwardPath::Postmaster]), CONTENT).unwrap();
        Entry { arrived: at(0), ..spool.entry(&id).unwrap() }
    }

    /// The three parts as they read after a parser had them.
    fn parts(report: &Report) -> Vec<(String, String)> {
        let message = Message::parse(report.content.clone());
        // What came in octets of its own goes back so.
        let own = |kind| kind == crate::message::DefectKind::NotUtf8;
        assert!(message.defects().iter().all(|defect| own(defect.kind)), "{:?}", message.defects());
        assert!(is_clean(&report.content));
        assert!(report.content.split(|octet| *octet == b'\n').all(|line| line.len() <= 998));
        let parts = message.root().children().map(|part| {
            let kind = part.header().get("Content-Type").map(|field| field.text()).unwrap_or_default();
            (kind.into_owned(), String::from_utf8_lossy(&part.decode()).into_owned())
        });
        parts.collect()
    }

    #[test]
    fn a_failure_is_reported_in_three_parts() {
        let failure = Failure::said_by("mx.b.test", &Reply::new(550, Enhanced(5, 1, 1), "no such user"));
        let mut entry = entry("ada@a.test");
        entry.params.envid = Some("a b".into());
        entry.last_try = Some(at(60));
        let mut bob = recipient("bob@b.test", None, Some(failure));
        bob.recipient.params.orcpt = Some(OriginalRecipient { kind: "rfc822".into(), address: "Bob+x@b.test".into() });
        let report = reporter().failed(&entry, &[bob], CONTENT, at(61)).unwrap();
        assert_eq!(report.envelope.from, ReversePath::Null);
        assert_eq!(report.envelope.recipients, [Recipient::from(ForwardPath::Address("ada@a.test".parse().unwrap()))]);
        assert_eq!(report.envelope.params.body, Some(Body::EightBitMime));
        let message = Message::parse(report.content.clone());
        let field = |name: &str| message.header().get(name).map(|field| field.text()).unwrap_or_default();
        assert_eq!(field("To"), "ada@a.test");
        assert_eq!(field("Auto-Submitted"), "auto-replied");
        let content_type = message.root().content_type();
        assert!(content_type.is("multipart", "report"));
        assert_eq!(content_type.param("report-type").as_deref(), Some("delivery-status"));
        let parts = parts(&report);
        let [(plain, words), (delivery, status), (headers, returned)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!((plain.as_str(), delivery.as_str()), ("text/plain; charset=utf-8", "message/delivery-status"));
        assert!(
            words.contains("permanent fatal errors -----\r\n<bob@b.test>\r\n    (reason: 550 5.1.1 no such user)\r\n")
        );
        assert!(words.contains("... while talking to mx.b.test:\r\n<<< 550 5.1.1 no such user\r\n"));
        // RFC 3464 §2.2, §2.3: the order of the fields, the groups parted by an empty line.
        assert_eq!(
            status.trim_end(),
            "Original-Envelope-Id: a b\r\nReporting-MTA: dns; mx.a.test\r\n\
             Arrival-Date: Tue, 27 Feb 2007 16:33:15 +0000\r\n\r\n\
             Original-Recipient: rfc822; Bob+x@b.test\r\nFinal-Recipient: rfc822; bob@b.test\r\nAction: failed\r\n\
             Status: 5.1.1\r\nRemote-MTA: dns; mx.b.test\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n\
             Last-Attempt-Date: Tue, 27 Feb 2007 16:34:15 +0000"
        );
        assert_eq!(headers, "text/rfc822-headers");
        assert!(returned.starts_with("Subject: lunch\r\nX: ") && !returned.contains("At noon"));
    }

    #[test]
    fn nobody_is_told_who_must_not_be() {
        let failure = || Some(Failure::new(Enhanced(4, 4, 1), "no route"));
        let only = |success, failure, delay| Some(Notify { success, failure, delay });
        for (from, notify, failed, delayed) in [
            ("ada@a.test", None, true, true),
            ("ada@a.test", only(false, false, false), false, false),
            ("ada@a.test", only(true, false, false), false, false),
            ("ada@a.test", only(false, true, false), true, false),
            ("ada@a.test", only(false, false, true), false, true),
            ("", None, false, false),
            ("", only(true, true, true), false, false),
        ] {
            let (entry, told) = (entry(from), [recipient("bob@b.test", notify, failure())]);
            assert_eq!(reporter().failed(&entry, &told, CONTENT, at(1)).is_some(), failed, "{from} {notify:?}");
            assert_eq!(
                reporter().delayed(&entry, &told, CONTENT, at(1), at(2)).is_some(),
                delayed,
                "{from} {notify:?}"
            );
        }
        // One of two: the other is not named.
        let never = recipient("eve@b.test", Some(Notify::default()), failure());
        let told = [never, recipient("bob@b.test", None, failure())];
        let report = reporter().failed(&entry("ada@a.test"), &told, CONTENT, at(1)).unwrap();
        assert!(memchr::memmem::find(&report.content, b"eve@").is_none());
        assert!(reporter().failed(&entry("ada@a.test"), &[], CONTENT, at(1)).is_none());
    }

    #[test]
    fn success_is_told_to_those_who_asked() {
        let only = |success| Some(Notify { success, failure: true, delay: false });
        let told = [
            recipient("bob@b.test", only(true), None),
            recipient("eve@b.test", only(false), None),
            recipient("joe@b.test", None, None),
        ];
        let mut entry = entry("ada@a.test");
        entry.params.ret = Some(Ret::Full);
        for (how, action, words) in [
            (Success::Delivered, Action::Delivered, "<bob@b.test>  (successfully delivered to mailbox)\r\n"),
            (Success::Relayed, Action::Relayed, "<bob@b.test>  (relayed to non-DSN-aware mailer)\r\n"),
            (Success::Expanded, Action::Expanded, "<bob@b.test>  (expanded by mailing list)\r\n"),
        ] {
            let report = reporter().arrived(&entry, &told, CONTENT, at(1), how).unwrap();
            let parts = parts(&report);
            assert!(parts[0].1.contains(words), "{}", parts[0].1);
            // RFC 3461 §6.2: no more than the header where nothing failed.
            assert_eq!(parts[2].0, "text/rfc822-headers");
            let message = Message::parse(report.content);
            let Some(Told::Delivery(read)) = message.report() else { panic!("no report") };
            let bob = RecipientReport::new(Typed::new("rfc822", "bob@b.test"), action, Enhanced(2, 0, 0));
            assert_eq!(read.recipients, [bob]);
            assert_eq!(message.bounce(), None);
        }
        assert!(reporter().arrived(&entry, &told[1..], CONTENT, at(1), Success::Delivered).is_none());
    }

    #[test]
    fn what_is_written_reads_back_as_a_bounce() {
        let failure = Failure::said_by("mx.b.test", &Reply::new(552, Enhanced(5, 2, 2), "no room"));
        let told = [recipient("bob@b.test", None, Some(failure)), recipient("δ@b.test", None, None)];
        let report = reporter().failed(&entry("ada@a.test"), &told, CONTENT, at(1)).unwrap();
        let bounce = Message::parse(report.content).bounce().unwrap();
        let shown: Vec<_> =
            bounce.recipients.iter().map(|one| (one.name.as_str(), one.status.unwrap(), one.reason)).collect();
        assert_eq!(shown[0], ("bob@b.test", Enhanced(5, 2, 2), Reason::MailboxFull));
        assert_eq!((shown[1].0, shown[1].1), ("δ@b.test", Enhanced(5, 0, 0)));
    }

    #[test]
    fn a_report_is_written_whatever_the_host_is_called() {
        for (host, contact, from) in [
            (Domain::Name("mx.a.test".into()), "help@a.test", "help@a.test"),
            (Domain::Name("bücher.test".into()), "no address", "postmaster@xn--bcher-kva.test"),
            (Domain::Name("a b\r\nc".into()), "", "postmaster@localhost"),
            (std::net::IpAddr::from([192, 0, 2, 1]).into(), "", "postmaster@[192.0.2.1]"),
        ] {
            let mut reporter = Reporter::new(host);
            reporter.contact = contact.to_owned();
            let told = [recipient("bob@b.test", None, None)];
            let report = reporter.failed(&entry("ada@a.test"), &told, CONTENT, at(1)).unwrap();
            let message = Message::parse(report.content.clone());
            assert_eq!(message.header().from().next().unwrap().to_string(), from);
        }
    }

    #[test]
    fn a_delay_says_until_when_it_is_tried() {
        let told = [recipient("bob@b.test", None, Some(Failure::new(Enhanced(4, 4, 1), "no route")))];
        let report = reporter().delayed(&entry("ada@a.test"), &told, CONTENT, at(4 * 3600), at(5 * 86_400)).unwrap();
        let message = Message::parse(report.content.clone());
        let subject = message.header().get("Subject").map(|field| field.text());
        assert_eq!(subject.as_deref(), Some("Warning: could not send message for past 4 hours"));
        let parts = parts(&report);
        assert!(parts[0].1.contains("YOU DO NOT NEED TO RESEND"));
        assert!(parts[1].1.contains(
            "Action: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: x-local; no route\r\n\
             Will-Retry-Until: Sun, 4 Mar 2007 16:33:15 +0000\r\n"
        ));
    }

    #[test]
    fn the_whole_message_comes_back_only_where_it_was_asked_for_and_can_be() {
        let told = [recipient("bob@b.test", None, None)];
        let mut entry = entry("ada@a.test");
        let kind = |reporter: Reporter, entry: &Entry, content: &[u8]| {
            let report = reporter.failed(entry, &told, content, at(1)).unwrap();
            parts(&report)[2].0.clone()
        };
        assert_eq!(kind(reporter(), &entry, CONTENT), "text/rfc822-headers");
        entry.params.ret = Some(Ret::Full);
        assert_eq!(kind(reporter(), &entry, b"Subject: lunch\r\n\r\nAt caf\xe9.\r\n"), "message/rfc822");
        // RFC 6532 §3.7: what has a header beyond ASCII.
        assert_eq!(kind(reporter(), &entry, CONTENT), "message/global");
        let small = Reporter { max_returned: 10, ..reporter() };
        assert_eq!(kind(small, &entry, CONTENT), "text/rfc822-headers");
        let binary = b"A: b\r\n\r\nbare\nLF";
        assert_eq!(kind(reporter(), &entry, binary), "text/rfc822-headers");
        let delayed = reporter().delayed(&entry, &told, CONTENT, at(1), at(2)).unwrap();
        assert_eq!(parts(&delayed)[2].0, "text/rfc822-headers");
    }

    #[test]
    fn what_others_said_breaks_no_line_and_ends_no_part() {
        let entry = entry("ada@a.test");
        let told = [recipient("bob@b.test", None, None)];
        let first = Message::parse(reporter().failed(&entry, &told, b"", at(1)).unwrap().content);
        let boundary = first.root().content_type().param("boundary").unwrap();
        let nasty = format!(
            "550 a\r\nAction: delivered\r\n\r\n--{boundary}--\r\n{} \u{e9}{}",
            "w ".repeat(600),
            "x".repeat(2000)
        );
        let told = [
            recipient("bob@b.test", None, Some(Failure { text: nasty.clone(), ..Failure::new(Enhanced(5, 0, 0), "") })),
            recipient(
                "δοκιμή@b.test",
                None,
                Some(Failure { remote: Some(nasty), ..Failure::new(Enhanced(5, 0, 0), "") }),
            ),
        ];
        let content = format!("no field --{boundary}--\nbare\r\n--{boundary}--\r\n");
        let report = reporter().failed(&entry, &told, content.as_bytes(), at(1)).unwrap();
        let parts = parts(&report);
        assert_eq!(parts.len(), 3, "{parts:?}");
        assert_eq!(parts[2].1.replace("\r\n", "\n").trim_end(), content.replace("\r\n", "\n").trim_end());
        assert!(parts[1].1.is_ascii());
        assert_eq!(parts[1].1.matches("\r\nAction: ").count(), 2);
        assert!(!parts[1].1.contains("\r\nAction: delivered"));
        assert!(parts[1].1.contains("Final-Recipient: utf-8; \\x{3B4}\\x{3BF}"));
    }
}
