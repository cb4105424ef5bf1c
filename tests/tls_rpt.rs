//! TLS reports: the suite `tlsrpt-mail-auth`, and the examples of RFC 8460.

mod suites;

use std::net::IpAddr;

use facteur::auth::dkim;
use facteur::auth::tls_rpt::{
    Collector, CollectorLimits, Failure, FailureKind, Limits, Policy, PolicyKind, ReadError, Report, Reporter,
    WriteError,
};
use facteur::base::Timestamp;
use facteur::dns::Zone;
use facteur::message::Message;
use serde_json::Value;

const SUITE: &str = "tlsrpt-mail-auth";

#[test]
fn reports_have_the_values_that_mail_auth_reads() {
    let Some(root) = suites::find(SUITE) else { return };
    let (mut total, mut failed) = (0, Vec::new());
    for name in ["rpt01", "rpt02", "rpt03"] {
        total += 1;
        let json = std::fs::read_to_string(root.join(name).with_extension("json")).unwrap();
        // The JSON is what their program writes of the message; of the third there is no message, and it is the report.
        let report = match std::fs::read(root.join(name).with_extension("eml")) {
            Ok(message) => Report::mailed(&Message::parse(message), &Limits::default()).map(|mailed| mailed.report),
            Err(_) => Report::parse(json.as_bytes()),
        };
        let report = match report {
            Ok(report) => report,
            Err(error) => {
                failed.push((name, error.to_string()));
                continue;
            }
        };
        let ours: Value = serde_json::from_str(&report.write().unwrap()).unwrap();
        assert_eq!(Report::parse(report.write().unwrap().as_bytes()).unwrap(), report);
        if let Err(why) = same("", &ours, &serde_json::from_str(&json).unwrap()) {
            failed.push((name, why));
        }
    }
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    suites::otherwise(&failed, &[]);
}

/// Every value of theirs is one of ours.
fn same(at: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => theirs
            .iter()
            .try_for_each(|(name, value)| same(&format!("{at}/{name}"), ours.get(name).unwrap_or(&Value::Null), value)),
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .enumerate()
            .try_for_each(|(n, (ours, theirs))| same(&format!("{at}/{n}"), ours, theirs)),
        (ours, theirs) if ours == theirs => Ok(()),
        // An address is the same however it is written.
        (Value::String(ours), Value::String(theirs))
            if ours.parse::<IpAddr>().is_ok_and(|ours| theirs.parse() == Ok(ours)) =>
        {
            Ok(())
        }
        (ours, theirs) => Err(format!("{at}: ours {ours}, theirs {theirs}")),
    }
}

/// RFC 8460 §B, with the line of its URI that was broken for the page joined.
const APPENDIX_B: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {
    "start-datetime": "2016-04-01T00:00:00Z",
    "end-datetime": "2016-04-01T23:59:59Z"
  },
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {
      "policy-type": "sts",
      "policy-string": ["version: STSv1","mode: testing", "mx: *.mail.company-y.example","max_age: 86400"],
      "policy-domain": "company-y.example",
      "mx-host": "*.mail.company-y.example"
    },
    "summary": {
      "total-successful-session-count": 5326,
      "total-failure-session-count": 303
    },
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:0012::1",
      "receiving-mx-hostname": "mx1.mail.company-y.example",
      "failed-session-count": 100
    }, {
      "result-type": "starttls-not-supported",
      "sending-mta-ip": "2001:db8:abcd:0013::1",
      "receiving-mx-hostname": "mx2.mail.company-y.example",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200,
      "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3#StarttlsNotSupported"
    }, {
      "result-type": "validation-failure",
      "sending-mta-ip": "198.51.100.62",
      "receiving-ip": "203.0.113.58",
      "receiving-mx-hostname": "mx-backup.mail.company-y.example",
      "failed-session-count": 3,
      "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
    }]
  }]
}"#;

#[test]
fn the_example_of_appendix_b_is_read() {
    let report = Report::parse(APPENDIX_B.as_bytes()).unwrap();
    assert_eq!(report.begin, Some(Timestamp::parse_rfc3339(b"2016-04-01T00:00:00Z").unwrap()));
    assert_eq!(report.end.unwrap().unix() - report.begin.unwrap().unix(), 86_399);
    let [result] = &report.policies[..] else { panic!("one policy") };
    assert_eq!((&result.policy.kind, result.policy.lines.len()), (&PolicyKind::Sts, 4));
    assert_eq!(result.policy.hosts, ["*.mail.company-y.example"]);
    assert_eq!((result.successes, result.failures), (5326, 303));
    let kinds: Vec<_> = result.details.iter().map(|one| (one.kind.clone(), one.sessions)).collect();
    assert_eq!(
        kinds,
        [
            (FailureKind::CertificateExpired, 100),
            (FailureKind::StartTlsNotSupported, 200),
            (FailureKind::ValidationFailure, 3)
        ]
    );
    assert_eq!(result.details[0].sender, Some("2001:db8:abcd:12::1".parse().unwrap()));
    assert_eq!(result.details[1].receiver, Some([203, 0, 113, 56].into()));
    assert_eq!(result.details[2].reason.as_deref(), Some("X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"));
    assert_eq!(Report::parse(report.write().unwrap().as_bytes()).unwrap(), report);
}

/// RFC 8460 §5.3.1, with the report of appendix B in it.
#[test]
fn a_message_with_a_report_is_as_the_example() {
    let report = Report::parse(APPENDIX_B.as_bytes()).unwrap();
    let message = report
        .mail(&"company-y.example".parse().unwrap())
        .unwrap()
        .date(Timestamp::from_unix(1_459_560_000))
        .message_id("1@company-x.example")
        .to("tlsrpt@company-y.example")
        .finish()
        .unwrap();
    let header = message.header();
    let field = |name| header.get(name).map(|field| field.text().into_owned()).unwrap_or_default();
    assert_eq!(
        field("Subject"),
        "Report Domain: company-y.example Submitter: company-x.example \
         Report-ID: <5065427c-23d3-47ca-b6e0-946ea0e8c4be@company-x.example>"
    );
    assert_eq!(field("TLS-Report-Domain"), "company-y.example");
    assert_eq!(field("TLS-Report-Submitter"), "company-x.example");
    let kind = message.root().content_type();
    assert_eq!((kind.kind(), kind.subtype()), ("multipart", "report"));
    assert_eq!(kind.param("report-type").as_deref(), Some("tlsrpt"));
    let part = message.part(&[2]).unwrap();
    assert_eq!((part.content_type().kind(), part.content_type().subtype()), ("application", "tlsrpt+gzip"));
    assert_eq!(part.filename().as_deref(), Some("company-x.example!company-y.example!1459468800!1459555199.json.gz"));

    let mailed = Report::mailed(&message, &Limits::default()).unwrap();
    assert_eq!(mailed.report, report);
    assert_eq!(mailed.domain.as_deref(), Some("company-y.example"));
    assert_eq!(mailed.submitter.as_deref(), Some("company-x.example"));
    assert_eq!(mailed.file.unwrap().extension, "json.gz");
    assert_eq!(mailed.subject.unwrap().domain, "company-y.example");
}

#[test]
fn what_must_be_there_is_asked_for() {
    let report = Report::parse(APPENDIX_B.as_bytes()).unwrap();
    type Change = fn(&mut Report);
    let changes: [(&str, Change); 5] = [
        ("organization-name", |report| report.organization.clear()),
        ("contact-info", |report| report.contact.clear()),
        ("report-id", |report| report.id.clear()),
        ("start-datetime", |report| report.begin = None),
        ("end-datetime", |report| report.end = None),
    ];
    for (name, change) in changes {
        let mut report = report.clone();
        change(&mut report);
        assert_eq!(report.write(), Err(WriteError::Missing(name)));
    }
    let mut report = report;
    report.contact = "https://company-x.example/".to_owned();
    assert!(report.write().is_ok());
    assert_eq!(report.mail(&"x.org".parse().unwrap()).err(), Some(WriteError::Missing("contact-info")));
    assert_eq!(
        Report::mailed(&Message::parse("Subject: lunch\r\n\r\n"), &Limits::default()).err(),
        Some(ReadError::NoPart)
    );
}

#[test]
fn sessions_are_counted_within_bounds() {
    let mut limits = CollectorLimits::default();
    (limits.domains, limits.policies, limits.failures, limits.total) = (2, 2, 3, 6);
    let mut collector = Collector::with(Timestamp::from_unix(0), limits);
    let domain = |text: &str| text.parse().unwrap();
    let sts = Policy::new(PolicyKind::Sts, "x.org");
    let dane = |host: &str| Policy::new(PolicyKind::Tlsa, host);
    for _ in 0..3 {
        collector.success(&domain("x.org"), &sts);
    }
    let expired = |host: &str| {
        let mut failure = Failure::new(FailureKind::CertificateExpired);
        failure.host = Some(host.to_owned());
        failure.sessions = 17; // counts for nothing
        failure
    };
    // One session with two reasons, then one with the first of them: two sessions.
    collector.failure(&domain("x.org"), &sts, &[expired("mx1"), Failure::new(FailureKind::StsWebPkiInvalid)]);
    collector.failure(&domain("x.org"), &sts, &[expired("mx1")]);
    collector.success(&domain("x.org"), &dane("mx1.x.org"));
    assert_eq!(collector.left_out(), 0);
    // A third policy; a fourth failure of the domain; a third domain.
    collector.success(&domain("x.org"), &dane("mx2.x.org"));
    collector.failure(&domain("x.org"), &sts, &[expired("mx2"), expired("mx3")]);
    assert_eq!(collector.left_out(), 2);
    collector.success(&domain("y.org"), &sts);
    collector.success(&domain("z.org"), &sts);
    assert_eq!(collector.left_out(), 3);

    let mut sum = Collector::new(Timestamp::from_unix(1));
    sum.merge(collector.clone());
    sum.merge(collector);
    assert_eq!(sum.left_out(), 6);
    let reporter = Reporter::new("X", "tls@sender.example".parse().unwrap());
    let due = sum.finish(&reporter, Timestamp::from_unix(9));
    let [x, y] = &due[..] else { panic!("two domains: {due:?}") };
    assert_eq!((x.domain.as_str(), y.domain.as_str()), ("x.org", "y.org"));
    assert_eq!(x.report.id, "0-9-x.org@sender.example");
    let [tlsa, policy] = &x.report.policies[..] else { panic!("two policies") };
    assert_eq!((tlsa.policy.kind.clone(), tlsa.successes), (PolicyKind::Tlsa, 2));
    assert_eq!((policy.successes, policy.failures), (6, 6));
    let details: Vec<_> = policy.details.iter().map(|one| (one.kind.to_string(), one.sessions)).collect();
    assert_eq!(
        details,
        [
            ("certificate-expired".to_owned(), 4),
            ("certificate-expired".to_owned(), 2),
            ("sts-webpki-invalid".to_owned(), 2)
        ]
    );
}

/// RFC 8460 §3: "Reports sent via SMTP MUST contain a valid [...] signature by the reporting domain", with a key that "SHOULD
/// contain the appropriate service type declaration". Such a key signs no other mail.
#[test]
fn a_domain_without_room_for_its_policy_gets_no_empty_report() {
    let mut limits = CollectorLimits::default();
    limits.total = 1;
    let mut collector = Collector::with(Timestamp::from_unix(0), limits);
    for domain in ["x.org", "y.org"] {
        collector.success(&domain.parse().unwrap(), &Policy::new(PolicyKind::Nothing, domain));
    }
    assert_eq!(collector.left_out(), 1);
    let reporter = Reporter::new("Company-X", "tls@company-x.example".parse().unwrap());
    let due = collector.finish(&reporter, Timestamp::from_unix(86_400));
    let domains: Vec<String> = due.iter().map(|due| due.domain.to_string()).collect();
    assert_eq!(domains, ["x.org"]);
}

#[test]
fn reports_are_signed_with_keys_of_their_own() {
    let key = dkim::SigningKey::generate_ed25519().unwrap();
    let record = key.record().to_string().replacen("; ", "; s=tlsrpt; ", 1);
    let zone: Zone = format!("r._domainkey.company-x.example TXT \"{record}\"").parse().unwrap();
    let mut signer = dkim::Signer::new("company-x.example".parse().unwrap(), "r".parse().unwrap(), key);
    signer.fields.extend(["TLS-Report-Domain".to_owned(), "TLS-Report-Submitter".to_owned()]);
    let now = Timestamp::from_unix(1_459_560_000);
    let report = Report::parse(APPENDIX_B.as_bytes()).unwrap();
    let builder =
        report.mail(&"company-y.example".parse().unwrap()).unwrap().date(now).message_id("1@company-x.example");
    let message = builder.to("tlsrpt@company-y.example").finish().unwrap();
    let signed = dkim::sign(&message, &[signer], now).unwrap();
    assert!(signed.to_lowercase().contains("tls-report-submitter"));
    let message = Message::parse([signed.as_bytes(), message.raw()].concat());
    for (service, outcome) in
        [(dkim::Service::TlsReports, dkim::Outcome::Pass), (dkim::Service::Mail, dkim::Outcome::PermError)]
    {
        let mut config = dkim::Config::default();
        config.service = service;
        let verdict = zone.ask(dkim::verify(&message, now, &config)).remove(0);
        assert_eq!(verdict.outcome, outcome, "{:?}", verdict.problem);
    }
    assert_eq!(Report::mailed(&message, &Limits::default()).unwrap().report, report);
}
