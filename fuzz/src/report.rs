//! Reports and bounces: whatever comes is read, in bounds; what is written reads back as it was.

use facteur::base::Timestamp;
use facteur::message::report::{
    Action, AuthFailure, DeliveryReport, DispositionReport, Fate, FeedbackReport, FeedbackType, Limits, MdnDisposition,
    Mode, RecipientReport, Report, Returned, Typed,
};
use facteur::message::{Enhanced, Message};

/// The input as a message, as the text of each kind of report, and as the values of one.
pub fn report(input: &[u8]) {
    let message = Message::parse(input.to_vec());
    let mut limits = Limits::default();
    (limits.fields, limits.recipients) = (50, 5);
    if let Some(bounce) = message.bounce_with(&limits) {
        assert!(!bounce.recipients.is_empty() && bounce.recipients.len() <= 5);
        for recipient in &bounce.recipients {
            assert!(!recipient.said.contains(['\r', '\n']));
            assert!(recipient.address.as_ref().is_none_or(|_| !recipient.name.is_empty()));
        }
    }
    let _ = (message.report_with(&limits), message.returned());

    // Lines end where they end: a CR or LF alone is one for some readers, and the bounds hold for all.
    let delivery = DeliveryReport::parse_with(input, &limits);
    assert!(delivery.recipients.len() <= 5);
    let others = delivery.recipients.iter().map(|recipient| recipient.other.iter().count()).sum::<usize>();
    assert!(others + delivery.other.iter().count() <= 50);
    for report in [
        Report::Delivery(delivery),
        Report::Disposition(DispositionReport::parse_with(input, &limits)),
        Report::Feedback(FeedbackReport::parse_with(input, &limits)),
    ] {
        // What was read and can be written says the same when it is read again, and again.
        let Some(once) = round(&report) else { continue };
        // A field that came twice can begin a group of its own, which lacks what must be written.
        let Some(again) = round(&once) else { continue };
        assert_eq!(again, once);
    }
    made(input);
}

/// A report made of the lines of the input.
fn made(input: &[u8]) {
    let text = String::from_utf8_lossy(input).replace('\u{feff}', "");
    let mut lines = text.split('\n').map(|line| line.trim_matches(['\r', ' ', '\t']).to_owned());
    let mut next = || lines.next().unwrap_or_default();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let date = Some(Timestamp::from_unix(1_172_593_995));
    let mut delivery = DeliveryReport::default();
    delivery.reporting_mta = some(next()).map(|name| Typed::new("dns", name));
    delivery.envelope_id = some(next());
    delivery.arrival = date;
    let mut recipient = RecipientReport::new(Typed::new("utf-8", next()), Action::Delayed, Enhanced(4, 4, 7));
    recipient.diagnostic = some(next()).map(|said| Typed::new("smtp", said));
    recipient.original = some(next()).map(|address| Typed::new("rfc822", address));
    recipient.log_id = some(next());
    recipient.retry_until = date;
    recipient.other.push("X-More", next());
    delivery.recipients = vec![recipient.clone(), recipient];

    let fate = MdnDisposition::new(Mode::Automatic, Mode::Manual, Fate::Deleted);
    let mut disposition = DispositionReport::new(Typed::new("rfc822", next()), fate);
    disposition.reporting_ua = some(next());
    disposition.failures.push(next());
    disposition.other.push("X-More", next());

    let mut feedback = FeedbackReport::new(FeedbackType::AuthFailure, next());
    feedback.version = Some("1".to_owned());
    feedback.auth_failure = Some(AuthFailure::Dmarc);
    feedback.reported_uris = vec![next(), next()];
    feedback.dkim_selector_dns = some(next());
    feedback.dkim_canonicalized_body = some(next()).map(String::into_bytes);

    for report in [Report::Delivery(delivery), Report::Disposition(disposition), Report::Feedback(feedback)] {
        let Some(read) = round(&report) else { continue };
        // An empty value, or one that the grammar of the field takes apart, is no value.
        let whole = match &report {
            Report::Delivery(report) => report.recipients.iter().all(|one| one.recipient.as_ref().is_some_and(full)),
            Report::Disposition(report) => report.recipient.as_ref().is_some_and(full),
            Report::Feedback(report) => report.user_agent.as_ref().is_some_and(|agent| !agent.is_empty()),
            _ => true,
        };
        if whole {
            assert_eq!(read, report);
        }
    }
}

fn full(typed: &Typed) -> bool {
    !typed.value.is_empty()
}

/// The report, written into a message and read again; `None` where it is refused.
fn round(report: &Report) -> Option<Report> {
    let returned = Returned::Header(Message::parse("Subject: x\r\n"));
    let body = report.part("Words.\n", Some(&returned)).ok()?;
    let builder = Message::build().date(Timestamp::from_unix(0)).from("mailer-daemon@a.test").body(body);
    let message = builder.finish().ok()?;
    assert!(message.raw().split(|octet| *octet == b'\n').all(|line| line.len() <= 999));
    assert_eq!(message.root().children().count(), 3);
    assert_eq!(message.returned(), Some(returned));
    Some(message.report().expect("what was written is a report"))
}
