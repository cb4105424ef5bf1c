//! What a sender is told of a message that did not arrive: reports of RFC 3464 in a multipart/report of RFC 3462, as
//! RFC 3461 §6 wants them, in sendmail's words.
//!
//! There is no report on a message with a null reverse-path, and none that NOTIFY forbids. Left out: reports of success
//! and relaying, and the internationalised forms of RFC 6533 but for its addresses.

use std::fmt::Write;

use bytes::Bytes;

use crate::address::Domain;
use crate::base::Timestamp;
use crate::smtp::{Body, Enhanced, Envelope, ForwardPath, OriginalRecipient, Ret, ReversePath};
use crate::spool::{Entry, Pending};
use crate::text::transfer::encode_quoted_printable_binary;

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

/// `action-value` (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Failed,
    /// With the time at which it is given up.
    Delayed(Timestamp),
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
        self.report(entry, failed, content, now, Action::Failed)
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
        self.report(entry, late, content, now, Action::Delayed(until))
    }

    fn report(
        &self,
        entry: &Entry,
        told: &[Pending],
        content: &[u8],
        now: Timestamp,
        action: Action,
    ) -> Option<Report> {
        // RFC 5321 §6.1: a notification is sent with a null reverse-path, and none is sent in response to one.
        let ReversePath::Address(sender) = &entry.from else { return None };
        // RFC 3461 §5.2.5, §5.2.6: not where NOTIFY was given without that keyword.
        let wanted = |pending: &&Pending| {
            pending.recipient.params.notify.is_none_or(|notify| match action {
                Action::Failed => notify.failure,
                Action::Delayed(_) => notify.delay,
            })
        };
        let told: Vec<&Pending> = told.iter().filter(wanted).collect();
        if told.is_empty() {
            return None;
        }
        let words = words(entry, &told, action);
        let status = self.status(entry, &told, action);
        // RFC 3461 §6.2: the whole message SHOULD be returned where RET=FULL and something failed; it may be too long.
        let whole = action == Action::Failed && entry.params.ret == Some(Ret::Full);
        let returned = self.returned(content, whole);
        let boundary = boundary(entry, now, &[words.as_bytes(), status.as_bytes(), &returned]);
        let kind = match action {
            Action::Failed => "failed",
            Action::Delayed(_) => "delayed",
        };
        let subject = match action {
            Action::Failed => "Returned mail: see transcript for details".to_owned(),
            Action::Delayed(_) => format!("Warning: could not send message for past {}", age(entry, now)),
        };
        // RFC 3834 §5.2: reports that were called auto-generated "should be changed to use "auto-replied"".
        let (host, contact) = (one_line(&self.host.to_string()), one_line(&self.contact));
        let mut out = format!(
            "Date: {now}\r\nFrom: Mail Delivery Subsystem <{contact}>\r\nTo: <{sender}>\r\nSubject: {subject}\r\n\
             Message-ID: <{kind}.{}.{}@{host}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             This is a MIME-encapsulated message\r\n\r\n--{boundary}\r\n",
            entry.id,
            now.unix(),
        )
        .into_bytes();
        let (charset, encoding) = if words.is_ascii() { ("us-ascii", "7bit") } else { ("utf-8", "8bit") };
        out.extend_from_slice(
            format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n")
                .as_bytes(),
        );
        out.extend_from_slice(words.as_bytes());
        out.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n").as_bytes());
        out.extend_from_slice(status.as_bytes());
        out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        out.extend_from_slice(&returned);
        out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let mut envelope = Envelope::new(ReversePath::Null, [ForwardPath::Address(sender.clone())]);
        envelope.params.smtputf8 = !sender.is_ascii();
        envelope.params.body = (!out.is_ascii()).then_some(Body::EightBitMime);
        Some(Report { envelope, content: out.into() })
    }

    /// `delivery-status-content = per-message-fields 1*( CRLF per-recipient-fields )` (RFC 3464 §2.1), in 7 bits.
    fn status(&self, entry: &Entry, told: &[&Pending], action: Action) -> String {
        let mut out = String::new();
        let mut field = |name: &str, value: String| fold(&mut out, &format!("{name}: {}", ascii(&value)));
        if let Some(envid) = &entry.params.envid {
            field("Original-Envelope-Id", envid.clone());
        }
        field("Reporting-MTA", format!("dns; {}", self.host.to_ascii().unwrap_or_else(|| self.host.to_string())));
        field("Arrival-Date", entry.arrived.to_string());
        for Pending { recipient, failure } in told {
            out.push_str("\r\n");
            let mut field = |name: &str, value: String| fold(&mut out, &format!("{name}: {}", ascii(&value)));
            match &recipient.params.orcpt {
                // RFC 6533 §4: addresses of this type stay encoded where the report is ASCII.
                Some(orcpt) if !orcpt.address.is_ascii() => field("Original-Recipient", orcpt.to_string()),
                Some(orcpt) => field("Original-Recipient", format!("{};{}", orcpt.kind, orcpt.address)),
                None => {}
            }
            field("Final-Recipient", final_recipient(&recipient.to));
            field("Action", if action == Action::Failed { "failed" } else { "delayed" }.into());
            // RFC 3461 §6.3 (g): "If there is no specific code".
            let class = if action == Action::Failed { 5 } else { 4 };
            let status = failure.as_ref().map_or(Enhanced(class, 0, 0), |failure| failure.status);
            field("Status", status.to_string());
            if let Some(failure) = failure {
                if let Some(remote) = &failure.remote {
                    field("Remote-MTA", format!("dns; {remote}"));
                    field("Diagnostic-Code", format!("smtp; {}", failure.text));
                } else {
                    field("Diagnostic-Code", format!("x-local; {}", failure.text));
                }
            }
            if let Some(last) = entry.last_try {
                field("Last-Attempt-Date", last.to_string());
            }
            if let Action::Delayed(until) = action {
                field("Will-Retry-Until", until.to_string());
            }
        }
        out
    }

    /// The third part, its header included: the message, or as much of it as may be returned.
    fn returned(&self, content: &[u8], whole: bool) -> Vec<u8> {
        if whole && content.len() <= self.max_returned && is_clean(content) {
            let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
            let header = format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
            return [header.as_bytes(), content].concat();
        }
        let end = memchr::memmem::find(content, b"\r\n\r\n").map_or(content.len(), |at| at + 2);
        let header = content.get(..end.min(self.max_returned)).unwrap_or_default();
        let (encoding, header) = match is_clean(header) {
            true if header.is_ascii() => ("7bit", header.to_vec()),
            true => ("8bit", header.to_vec()),
            // A message cannot be encoded inside of another, but this is text (RFC 3462 §2).
            false => ("quoted-printable", encode_quoted_printable_binary(header).into_bytes()),
        };
        let kind = "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: ";
        [kind.as_bytes(), encoding.as_bytes(), b"\r\n\r\n", &header].concat()
    }
}

/// The part for people.
fn words(entry: &Entry, told: &[&Pending], action: Action) -> String {
    let mut out = String::new();
    // A String takes all that is written to it, here and below.
    let _ =
        write!(out, "The original message was received at {}\r\nand is kept as {}\r\n\r\n", entry.arrived, entry.id);
    if let Action::Delayed(until) = action {
        let _ = write!(
            out,
            "    **********************************************\r\n\
             \x20   **      THIS IS A WARNING MESSAGE ONLY      **\r\n\
             \x20   **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\r\n\
             \x20   **********************************************\r\n\r\n\
             It will be tried until {until}\r\n\r\n"
        );
    }
    out.push_str(match action {
        Action::Failed => "   ----- The following addresses had permanent fatal errors -----\r\n",
        Action::Delayed(_) => "   ----- The following addresses had transient non-fatal errors -----\r\n",
    });
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

/// RFC 3461 §6.3 (e); for addresses beyond ASCII the type of RFC 6533 §3.
fn final_recipient(to: &ForwardPath) -> String {
    match to {
        ForwardPath::Postmaster => "rfc822; postmaster".into(),
        ForwardPath::Address(address) if address.is_ascii() => format!("rfc822; {address}"),
        ForwardPath::Address(address) => {
            OriginalRecipient { kind: "utf-8".into(), address: address.to_string() }.to_string()
        }
    }
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

/// A boundary that stands in none of the parts. The first one serves unless somebody knew it before; as each try that fails
/// is written in a part, there are not many.
fn boundary(entry: &Entry, now: Timestamp, parts: &[&[u8]]) -> String {
    let mut tries = (0_u64..).map(|number| format!("{}.{}.{number}/", entry.id, now.unix()));
    let free = |boundary: &String| parts.iter().all(|part| memchr::memmem::find(part, boundary.as_bytes()).is_none());
    tries.find(free).unwrap_or_default() // a part cannot hold them all
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
    use crate::message::Message;
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
        assert_eq!(field("To"), "<ada@a.test>");
        assert_eq!(field("Auto-Submitted"), "auto-replied");
        assert!(field("Content-Type").starts_with("multipart/report; report-type=delivery-status;"));
        let parts = parts(&report);
        let [(plain, words), (delivery, status), (headers, returned)] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!((plain.as_str(), delivery.as_str()), ("text/plain; charset=us-ascii", "message/delivery-status"));
        assert!(
            words.contains("permanent fatal errors -----\r\n<bob@b.test>\r\n    (reason: 550 5.1.1 no such user)\r\n")
        );
        assert!(words.contains("... while talking to mx.b.test:\r\n<<< 550 5.1.1 no such user\r\n"));
        // RFC 3464 §2.2, §2.3: the order of the fields, the groups parted by an empty line.
        assert_eq!(
            status.trim_end(),
            "Original-Envelope-Id: a b\r\nReporting-MTA: dns; mx.a.test\r\n\
             Arrival-Date: Tue, 27 Feb 2007 16:33:15 +0000\r\n\r\n\
             Original-Recipient: rfc822;Bob+x@b.test\r\nFinal-Recipient: rfc822; bob@b.test\r\nAction: failed\r\n\
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
        assert_eq!(kind(reporter(), &entry, CONTENT), "message/rfc822");
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
        let boundary = format!("{}.{}.0/", entry.id, at(1).unix());
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
        assert_eq!(parts[2].1.trim_end(), content.trim_end());
        assert!(parts[1].1.is_ascii());
        assert_eq!(parts[1].1.matches("\r\nAction: ").count(), 2);
        assert!(!parts[1].1.contains("\r\nAction: delivered"));
        assert!(parts[1].1.contains("Final-Recipient: utf-8;\\x{3B4}\\x{3BF}"));
    }
}
