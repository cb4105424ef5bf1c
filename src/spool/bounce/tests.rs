//! Reports as their readers find them.

use super::words::is_clean;
use super::*;
use crate::message::report::Reason;
use crate::smtp::{DeliverBy, Notify, Recipient, Reply};
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
    assert!(words.contains("permanent fatal errors -----\r\n<bob@b.test>\r\n    (reason: 550 5.1.1 no such user)\r\n"));
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
        assert_eq!(reporter().delayed(&entry, &told, CONTENT, at(1), at(2)).is_some(), delayed, "{from} {notify:?}");
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
    let nasty =
        format!("550 a\r\nAction: delivered\r\n\r\n--{boundary}--\r\n{} \u{e9}{}", "w ".repeat(600), "x".repeat(2000));
    let told = [
        recipient("bob@b.test", None, Some(Failure { text: nasty.clone(), ..Failure::new(Enhanced(5, 0, 0), "") })),
        recipient("δοκιμή@b.test", None, Some(Failure { remote: Some(nasty), ..Failure::new(Enhanced(5, 0, 0), "") })),
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

#[test]
fn who_hands_a_message_over_tells_what_the_next_host_will_not() {
    let notify = |success, failure, delay| Some(Notify { success, failure, delay });
    let never = notify(false, false, false);
    let by = |mode, trace| Some(DeliverBy { seconds: 600, mode, trace });
    let handed = |dsn, deliver_by| {
        let mut handover = Handover::default();
        (handover.dsn, handover.deliver_by) = (dsn, deliver_by);
        handover
    };
    use ByMode::{Notify as N, Return as R};
    for (asked, wish, handover, expected) in [
        // RFC 3461 §5.2.2
        (None, notify(true, false, false), handed(false, false), true),
        (None, notify(true, false, false), handed(true, false), false),
        (None, notify(false, true, true), handed(false, false), false),
        (None, None, handed(false, false), false),
        (None, never, handed(false, false), false),
        // RFC 2852 §4.1.4.2: mode N to a server that does not know of it
        (by(N, false), None, handed(true, false), true),
        (by(N, false), notify(false, true, false), handed(true, false), true),
        (by(N, false), never, handed(true, false), false),
        (by(N, false), None, handed(true, true), false),
        (by(R, false), None, handed(true, true), false),
        // §4.1.4: a trace was asked for
        (by(R, true), None, handed(true, true), true),
        (by(N, true), never, handed(true, true), false),
    ] {
        let mut entry = entry("ada@a.test");
        entry.params.by = asked;
        let done = [recipient("bob@b.test", wish, None)];
        let report = reporter().relayed(&entry, &done, CONTENT, at(60), &handover);
        assert_eq!(report.is_some(), expected, "{asked:?} {wish:?} {handover:?}");
        if let Some(report) = report {
            assert!(parts(&report)[1].1.contains("Action: relayed\r\nStatus: 2.0.0"), "{:?}", parts(&report)[1]);
        }
    }
}

#[test]
fn a_time_that_is_over_is_what_it_comes_to() {
    let mut entry = entry("ada@a.test");
    let refused = Failure::new(Enhanced(4, 4, 1), "connection refused");
    for (mode, seconds, failed, delayed) in [
        (ByMode::Return, 600, "Status: 5.4.7", "Status: 4.4.1"),
        (ByMode::Return, 599, "Status: 4.4.1", "Status: 4.4.1"),
        (ByMode::Notify, 600, "Status: 4.4.1", "Status: 4.4.7"),
        (ByMode::Notify, 599, "Status: 4.4.1", "Status: 4.4.1"),
    ] {
        entry.params.by = Some(DeliverBy { seconds: 600, mode, trace: false });
        let told = [recipient("bob@b.test", None, Some(refused.clone()))];
        let report = reporter().failed(&entry, &told, CONTENT, at(seconds)).unwrap();
        let text = &parts(&report)[1].1;
        assert!(text.contains(failed), "{mode:?} {seconds}: {text}");
        // RFC 2852 §5
        assert!(text.contains("Deliver-By-Date: Tue, 27 Feb 2007 16:43:15 +0000"), "{text}");
        let report = reporter().delayed(&entry, &told, CONTENT, at(seconds), at(86_400)).unwrap();
        assert!(parts(&report)[1].1.contains(delayed), "{mode:?} {seconds}");
    }
    // What failed for another reason failed for that.
    entry.params.by = Some(DeliverBy { seconds: 600, mode: ByMode::Return, trace: false });
    let told = [recipient("bob@b.test", None, Some(Failure::new(Enhanced(5, 1, 1), "no such user")))];
    assert!(parts(&reporter().failed(&entry, &told, CONTENT, at(601)).unwrap())[1].1.contains("Status: 5.1.1"));
}

#[test]
fn a_report_is_kept_as_safe_and_as_urgent_as_its_message() {
    let mut entry = entry("ada@a.test");
    entry.params.ret = Some(Ret::Full);
    let told = [recipient("bob@b.test", None, None)];
    let kind = |entry: &Entry| {
        parts(&reporter().failed(entry, &told, b"Subject: lunch\r\n\r\nAt noon.\r\n", at(1)).unwrap())[2].0.clone()
    };
    assert_eq!(kind(&entry), "message/rfc822");
    (entry.params.require_tls, entry.params.priority) = (true, Some(4));
    // RFC 8689 §5
    assert_eq!(kind(&entry), "text/rfc822-headers");
    let report = reporter().failed(&entry, &told, b"Subject: lunch\r\n\r\nAt noon.\r\n", at(1)).unwrap();
    assert_eq!((report.envelope.params.require_tls, report.envelope.params.priority), (true, Some(4)));
}
