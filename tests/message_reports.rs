//! Reports as values: what is written reads back as what it was, for a space of values.

use std::net::IpAddr;

use facteur::base::Timestamp;
use facteur::message::report::{
    Action, AuthFailure, DeliveryReport, DeliveryResult, DispositionReport, Fate, FeedbackReport, FeedbackType, Fields,
    MdnDisposition, Mode, RecipientReport, Report, Returned, Typed,
};
use facteur::message::{BuildError, Enhanced, Message};
use proptest::prelude::*;
use proptest::{collection, option};

/// Text of one line, white space inside of it and none around it; long enough to be folded.
fn text() -> impl Strategy<Value = String> {
    "[!-~]([ -~\t]{0,200}[!-~])?".prop_filter("a word that a line can hold", |text| text.len() < 300)
}

/// Beyond ASCII too.
fn utf8() -> impl Strategy<Value = String> {
    prop_oneof![text(), "[a-zé日δ]([ a-zé日δ]{0,60}[a-zé日δ])?"]
}

fn typed(kind: &'static str) -> impl Strategy<Value = Typed> {
    text().prop_map(move |value| Typed::new(kind, value))
}

/// An address of the type `utf-8` may hold any character, its escapes too.
fn address() -> impl Strategy<Value = Typed> {
    prop_oneof![
        typed("rfc822"),
        "[!-~éδ]{1,20}@[a-zδ]{1,20}\\.test".prop_map(|value| Typed::new("utf-8", value)),
        "\\\\x\\{[0-9A-F]{0,6}\\}@a\\.test".prop_map(|value| Typed::new("utf-8", value)),
    ]
}

fn date() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, -720..720_i16).prop_map(|(unix, offset)| Timestamp::from_unix(unix).at_offset(offset))
}

fn others() -> impl Strategy<Value = Fields> {
    collection::vec(("X-[A-Za-z0-9-]{1,20}", utf8()), 0..4).prop_map(|list| {
        let mut fields = Fields::default();
        list.into_iter().for_each(|(name, value)| fields.push(name, value));
        fields
    })
}

fn recipient() -> impl Strategy<Value = RecipientReport> {
    let action = prop_oneof![
        Just(Action::Failed),
        Just(Action::Delayed),
        Just(Action::Delivered),
        Just(Action::Relayed),
        Just(Action::Expanded),
        Just(Action::Other("deferred".into())),
    ];
    let status = (prop_oneof![Just(2_u8), Just(4), Just(5)], 0..1000_u16, 0..1000_u16);
    let said = option::of((utf8(), prop_oneof![Just("smtp"), Just("X-Unix")]));
    let dates = (option::of(date()), option::of(date()));
    let names = (address(), option::of(address()), option::of(typed("dns")), option::of(text()), option::of(text()));
    (names, action, status, said, dates, others()).prop_map(
        |((to, original, remote, log, comment), action, (class, subject, detail), said, (last, until), other)| {
            let mut one = RecipientReport::new(to, action, Enhanced(class, subject, detail));
            one.original = original;
            one.remote_mta = remote;
            one.log_id = log;
            one.comment = comment;
            one.diagnostic = said.map(|(said, kind)| Typed::new(kind, said));
            (one.last_attempt, one.retry_until) = (last, until);
            one.other = other;
            one
        },
    )
}

fn delivery() -> impl Strategy<Value = Report> {
    let head =
        (typed("dns"), option::of(text()), option::of(typed("dns")), option::of(typed("x400")), option::of(date()));
    (head, others(), collection::vec(recipient(), 1..5)).prop_map(
        |((reporting, envelope, received, gateway, arrival), other, recipients)| {
            let mut report = DeliveryReport::default();
            report.reporting_mta = Some(reporting);
            (report.envelope_id, report.received_from, report.gateway) = (envelope, received, gateway);
            (report.arrival, report.other, report.recipients) = (arrival, other, recipients);
            Report::Delivery(report)
        },
    )
}

fn disposition() -> impl Strategy<Value = Report> {
    let mode = || prop_oneof![Just(Mode::Manual), Just(Mode::Automatic)];
    let fate = prop_oneof![Just(Fate::Displayed), Just(Fate::Processed), Just(Fate::Other("denied".into()))];
    let what = (mode(), mode(), fate, collection::vec("[a-z]{1,10}", 0..3));
    let names = (address(), option::of(address()), option::of("[a-z]{1,9}@[a-z]{1,9}"), option::of(utf8()));
    let texts = (collection::vec(utf8(), 0..3), collection::vec(utf8(), 0..3), collection::vec(utf8(), 0..3));
    (what, names, texts, others()).prop_map(
        |((action, sending, fate, modifiers), (to, original, id, ua), (failures, errors, warnings), other)| {
            let mut disposition = MdnDisposition::new(action, sending, fate);
            disposition.modifiers = modifiers;
            let mut report = DispositionReport::new(to, disposition);
            (report.original, report.message_id, report.reporting_ua) = (original, id, ua);
            (report.failures, report.errors, report.warnings) = (failures, errors, warnings);
            report.other = other;
            Report::Disposition(report)
        },
    )
}

/// In ASCII: there is no other form of it.
fn feedback() -> impl Strategy<Value = Report> {
    let kind =
        prop_oneof![Just(FeedbackType::Abuse), Just(FeedbackType::AuthFailure), Just(FeedbackType::Other("x".into()))];
    let lists = (
        collection::vec(text(), 0..3),
        collection::vec(text(), 0..3),
        collection::vec(text(), 0..3),
        collection::vec(text(), 0..3),
    );
    let source = (option::of(any::<IpAddr>()), option::of(any::<u16>()), option::of(any::<u32>()), option::of(date()));
    let dkim = (option::of(text()), option::of(utf8_free()), option::of(collection::vec(any::<u8>(), 1..200)));
    let alignment = option::of(prop_oneof![Just(vec![]), Just(vec!["dkim".to_owned(), "spf".to_owned()])]);
    (kind, text(), lists, source, dkim, alignment).prop_map(
        |(
            kind,
            agent,
            (to, domains, uris, results),
            (ip, port, incidents, arrival),
            (domain, key, body),
            alignment,
        )| {
            let mut report = FeedbackReport::new(kind, agent);
            report.version = Some("1".into());
            (report.original_rcpt_to, report.reported_domains, report.reported_uris) = (to, domains, uris);
            report.authentication_results = results;
            (report.source_ip, report.source_port, report.incidents) = (ip, port, incidents);
            report.arrival = arrival;
            (report.dkim_domain, report.dkim_selector_dns) = (domain, key);
            report.dkim_canonicalized_body = body;
            report.identity_alignment = alignment;
            report.auth_failure = Some(AuthFailure::Dmarc);
            report.delivery_result = Some(DeliveryResult::Reject);
            Report::Feedback(report)
        },
    )
}

/// What stands in quotes, quotes and backslashes too.
fn utf8_free() -> impl Strategy<Value = String> {
    "[!-~]{1,40}"
}

fn written(report: &Report, returned: Option<&Returned>) -> Result<Message, BuildError> {
    let message = Message::build().date(Timestamp::from_unix(0)).from("mailer-daemon@a.test").to("ada@a.test");
    message.body(report.part("This is what became of it.\n", returned)?).finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_reads_back(report in prop_oneof![delivery(), disposition(), feedback()]) {
        let returned = Returned::Message(Message::parse("Subject: lunch\r\n\r\nAt noon.\r\n"));
        let message = written(&report, Some(&returned)).unwrap();
        prop_assert_eq!(message.defects(), []);
        prop_assert!(message.raw().split(|octet| *octet == b'\n').all(|line| line.len() <= 999));
        prop_assert_eq!(message.report(), Some(report));
        prop_assert_eq!(message.returned(), Some(returned));
    }
}

#[test]
fn the_parts_have_the_types_that_the_rfcs_give_them() {
    let recipient = |said: &str| {
        let mut one = RecipientReport::new(Typed::new("utf-8", "δ@b.test"), Action::Failed, Enhanced(5, 1, 1));
        one.diagnostic = Some(Typed::new("smtp", said));
        one
    };
    let report = |said: &str| {
        let mut report = DeliveryReport::default();
        report.reporting_mta = Some(Typed::new("dns", "a.test"));
        report.recipients.push(recipient(said));
        Report::Delivery(report)
    };
    let types = |report: &Report, returned: Option<&Returned>| {
        let message = written(report, returned).unwrap();
        message.root().children().map(|part| part.content_type().to_string()).collect::<Vec<_>>()
    };
    // RFC 6533 §3: an address alone can be written in ASCII.
    assert_eq!(types(&report("550 no"), None), ["text/plain", "message/delivery-status"]);
    assert_eq!(types(&report("550 né"), None), ["text/plain", "message/global-delivery-status"]);
    let header = Returned::Header(Message::parse("Subject: x\r\n"));
    assert_eq!(types(&report("no"), Some(&header))[2], "text/rfc822-headers");
    let whole = Returned::Message(Message::parse("Subject: x\r\n\r\nx\r\n"));
    assert_eq!(types(&report("no"), Some(&whole))[2], "message/rfc822");
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    let field = |report: FeedbackReport| written(&Report::Feedback(report), None).map(drop);
    let mut report = FeedbackReport::new(FeedbackType::Abuse, "Test/1.0");
    assert_eq!(field(report.clone()), Ok(()));
    report.reported_uris.push("http://a.test/\r\nSource-IP: 192.0.2.1".into());
    assert_eq!(field(report), Err(BuildError::Value { field: "Reported-URI".into(), at: 14 }));
    assert_eq!(field(FeedbackReport::default()), Err(BuildError::Missing { field: "Feedback-Type" }));
    let report = FeedbackReport::new(FeedbackType::Abuse, "x".repeat(1000));
    assert_eq!(field(report), Err(BuildError::TooLong { field: "User-Agent".into() }));
}

/// They say what bounces say, and name an address that did not fail.
#[test]
fn what_a_person_forwards_or_a_mailbox_answers_is_no_bounce() {
    for text in [
        "From: Bob <bob@x.test>\nSubject: Fwd: Undelivered Mail Returned to Sender\n\
         Content-Type: multipart/mixed; boundary=b\n\n--b\n\nLook at this: delivery failed.\n\n<ada@b.test>: 550 no\n\
         --b\nContent-Type: message/rfc822\n\nFrom: MAILER-DAEMON@x.test\nSubject: Undelivered\n\nx\n--b--\n",
        "Return-Path: <>\nFrom: Bob <bob@x.test>\nAuto-Submitted: auto-replied\nSubject: I am out\n\n\
         Your mail did not reach me. Write to the recipient: ada@x.test\n",
    ] {
        assert_eq!(Message::parse(text).bounce(), None, "{text}");
    }
    // A system says that it answers by itself too.
    let text =
        "From: MAILER-DAEMON@x.test\nAuto-Submitted: auto-replied\nSubject: Undelivered Mail\n\n<ada@x.test>: no\n";
    assert_eq!(Message::parse(text).bounce().unwrap().recipients[0].name, "ada@x.test");
}
