//! Failure reports of DMARC: what is asked for with `fo` (RFC 9989 §4.7), and what RFC 9991 has in them.

use facteur::auth::dmarc::failure::{Arrival, Config, Redaction, Report};
use facteur::auth::{Check, Session, dkim};
use facteur::base::{Secret, Timestamp};
use facteur::dns::{Data, Zone};
use facteur::message::Message;
use facteur::message::report::{AuthFailure, DeliveryResult, FeedbackType, Returned};
use facteur::smtp::ReversePath;

fn now() -> Timestamp {
    Timestamp::from_unix(1_790_000_000)
}

/// The reports about a message from 192.0.2.1 with the reverse-path `list@sender.example`, signed or not, changed or not.
fn reports(fo: &str, spf: &str, signed: Option<&str>, change: bool, config: &Config) -> Vec<Report> {
    let key = dkim::SigningKey::generate_ed25519().unwrap();
    // Of this one no host may send.
    let hosts = if spf == "sender.example" { "" } else { "ip4:192.0.2.1 " };
    let mut zone: Zone = format!(
        "_dmarc.consumer.example TXT \"v=DMARC1; p=reject; {fo} ruf=mailto:dmarc@consumer.example\"\n\
         {spf} TXT \"v=spf1 {hosts}-all\""
    )
    .parse()
    .unwrap();
    let domain = signed.unwrap_or("consumer.example");
    zone.insert(format!("epsilon._domainkey.{domain}").parse().unwrap(), Data::Txt(key.record().into()));
    let mut raw = "From: Message Author <author@consumer.example>\r\nTo: users@forwarder.example\r\n\
                   Message-ID: <2431dc66@consumer.example>\r\nSubject: This is the original subject\r\n\r\nHello\r\n"
        .to_owned();
    if signed.is_some() {
        let signer = dkim::Signer::new(domain.parse().unwrap(), "epsilon".parse().unwrap(), key);
        raw = dkim::sign(&Message::parse(raw.clone()), &[signer], now()).unwrap() + &raw;
    }
    if change {
        raw = raw.replace("Hello", "Hello!");
    }
    let from = format!("list@{spf}");
    let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Address(from.parse().unwrap()));
    let message = Message::parse(raw);
    let found = zone.ask(Check::new(&session, &message, now()));
    let mut arrival = Arrival::new(now());
    arrival.port = Some(12345);
    arrival.envelope_id = Some("65E1A3F0A0".to_owned());
    arrival.result = Some(DeliveryResult::Reject);
    arrival.recipients = vec!["<x@gen.example>".to_owned()];
    arrival.incidents = 3;
    Report::of(&session, &found, &message, &arrival, config)
}

fn plain() -> Config {
    Config::new("gen.example", Redaction::None)
}

/// RFC 9991 §5.1: no loop of reports about reports.
#[test]
fn a_report_is_reported_to_nobody() {
    let report = reports("", "sender.example", None, false, &plain()).remove(0);
    let mail = report.mail(("Reporter", "author@consumer.example")).unwrap();
    let mail = mail.date(now()).message_id("1@consumer.example").to("dmarc@gen.example").finish().unwrap();
    let zone: Zone =
        "_dmarc.consumer.example TXT \"v=DMARC1; p=reject; ruf=mailto:dmarc@consumer.example\"".parse().unwrap();
    let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Null);
    let of = |message: &Message| {
        let found = zone.ask(Check::new(&session, message, now()));
        Report::of(&session, &found, message, &Arrival::new(now()), &plain()).len()
    };
    assert_eq!((of(&mail), of(&Message::parse("From: author@consumer.example\r\n\r\n"))), (0, 1));
}

#[test]
fn a_domain_gets_the_reports_it_asks_for() {
    use AuthFailure::{BodyHash, Dmarc, Spf};
    let aligned = Some("consumer.example");
    for (fo, spf, signed, change, expected) in [
        // Nothing is aligned.
        ("", "other.example", None, false, vec![Dmarc]),
        ("fo=0;", "other.example", None, false, vec![Dmarc]),
        ("fo=1;", "other.example", None, false, vec![Dmarc]),
        ("fo=d;", "other.example", None, false, vec![]),
        ("fo=s;", "other.example", None, false, vec![]),
        // One of two is.
        ("fo=0;", "consumer.example", None, false, vec![]),
        ("fo=1;", "consumer.example", None, false, vec![Dmarc]),
        ("fo=1;", "other.example", aligned, false, vec![Dmarc]),
        ("fo=1;", "consumer.example", aligned, false, vec![]),
        // A signature that fails, aligned or not.
        ("fo=d;", "consumer.example", aligned, true, vec![BodyHash]),
        ("fo=d;", "consumer.example", Some("list.example"), true, vec![BodyHash]),
        ("fo=d;", "consumer.example", aligned, false, vec![]),
        ("fo=1:d;", "other.example", aligned, true, vec![Dmarc, BodyHash]),
        // SPF that fails.
        ("fo=s;", "sender.example", aligned, false, vec![Spf]),
        ("fo=0:d:s;", "sender.example", aligned, true, vec![Dmarc, BodyHash, Spf]),
    ] {
        let found = reports(fo, spf, signed, change, &plain());
        let found: Vec<_> = found.into_iter().filter_map(|report| report.feedback.auth_failure).collect();
        assert_eq!(found, expected, "{fo} {spf} {signed:?} {change}");
    }
}

/// RFC 9991 §A, as far as one host sees what another did.
#[test]
fn a_report_is_as_the_example() {
    let report = reports("", "other.example", Some("consumer.example"), true, &plain()).remove(0);
    let feedback = &report.feedback;
    assert_eq!(feedback.feedback_type, Some(FeedbackType::AuthFailure));
    assert_eq!(feedback.version.as_deref(), Some("1"));
    assert_eq!(feedback.identity_alignment, Some(vec!["dkim".to_owned(), "spf".to_owned()]), "those that failed");
    assert_eq!(feedback.dkim_domain.as_deref(), Some("consumer.example"));
    assert_eq!(feedback.dkim_identity.as_deref(), Some("@consumer.example"));
    assert_eq!(feedback.dkim_selector.as_deref(), Some("epsilon"));
    assert_eq!(feedback.envelope_id.as_deref(), Some("65E1A3F0A0"));
    assert_eq!(feedback.original_mail_from.as_deref(), Some("<list@other.example>"));
    assert_eq!((feedback.source_ip, feedback.source_port), (Some([192, 0, 2, 1].into()), Some(12345)));
    assert_eq!(feedback.reported_domains, ["consumer.example"]);
    assert_eq!(feedback.incidents, Some(3));
    let results = report.results.as_ref().unwrap();
    assert_eq!(results.id, "gen.example");

    let mail = report.mail(("DMARC Filter", "DMARC@gen.example")).unwrap();
    let mail = mail.date(now()).message_id("1@gen.example").to("dmarcfail@consumer.example").finish().unwrap();
    let kind = mail.root().content_type();
    assert_eq!(kind.param("report-type").as_deref(), Some("feedback-report"));
    let types: Vec<_> = mail.root().children().map(|part| part.content_type().to_string()).collect();
    assert!(types[1].starts_with("message/feedback-report"), "{types:?}");
    assert!(types[2].starts_with("text/rfc822-headers"), "{types:?}");
    let read = Report::mailed(&mail).unwrap();
    assert_eq!(read.feedback, report.feedback);
    assert_eq!(read.returned, report.returned);
    assert_eq!(read.results.unwrap().methods, results.methods);
    assert!(Report::mailed(&Message::parse("Subject: lunch\r\n\r\n")).is_none());
}

#[test]
fn people_are_taken_out() {
    let mut config = Config::new("gen.example", Redaction::Keyed(Secret::from("a key")));
    for whole in [false, true] {
        config.whole = whole;
        let report = reports("fo=1:d;", "other.example", Some("consumer.example"), true, &config).remove(0);
        let mail = report.mail("DMARC@gen.example").unwrap().date(now()).to("x@consumer.example").finish().unwrap();
        let text = String::from_utf8_lossy(mail.raw()).into_owned();
        for name in ["author@", "users@", "list@", "<x@gen"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
        assert!(text.contains("2431dc66@consumer.example"), "what the message is called stays");
        match report.returned.unwrap() {
            Returned::Message(message) if whole => {
                assert_eq!(message.root().raw_body(), b"Hello!\r\n");
                assert_eq!(
                    message.header().from().next().unwrap().address().unwrap().domain().to_string(),
                    "consumer.example"
                );
            }
            Returned::Header(header) if !whole => assert!(header.root().raw_body().is_empty()),
            other => panic!("{other:?}"),
        }
    }
    // What is too large stays away.
    config.octets = 10;
    assert_eq!(reports("", "other.example", None, false, &config).remove(0).returned, None);
}
