//! Aggregate reports of DMARC: the suite `dmarc-aggregate-mail-auth`, the examples of RFC 9990, and a day at a receiver.

mod suites;

use facteur::auth::dmarc::Policy;
use facteur::auth::dmarc::aggregate::{
    Collector, CollectorLimits, Disposition, FaultKind, Handling, Limits, Override, OverrideKind, ReadError, Record,
    Report, Reporter, Scope, Text, WriteError,
};
use facteur::auth::parcel::PackError;
use facteur::auth::{Check, Session};
use facteur::base::Timestamp;
use facteur::dns::Zone;
use facteur::message::Message;
use facteur::smtp::ReversePath;
use serde_json::Value;

const SUITE: &str = "dmarc-aggregate-mail-auth";

#[test]
fn reports_have_the_values_that_mail_auth_reads() {
    let Some(root) = suites::find(SUITE) else { return };
    let (mut total, mut failed) = (0, Vec::new());
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let octets = || std::fs::read(&path).unwrap();
        let report = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xml") => Report::parse(&octets()),
            Some("eml") => Report::mailed(&Message::parse(octets()), &Limits::default()).map(|mailed| mailed.report),
            _ => continue,
        };
        total += 1;
        let expected = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        match report {
            Err(error) => failed.push((name, error.to_string())),
            Ok(report) => {
                if let Err(why) = same("", &dump(&report), &expected) {
                    failed.push((name, why));
                }
                // And back: what was read, as far as RFC 9990 has it, is what is written.
                match report.write() {
                    Ok(xml) => {
                        let again = Report::parse(xml.as_bytes()).unwrap();
                        assert_eq!(again.faults, []);
                        assert_eq!(again.messages(), report.messages());
                        assert_eq!(again.write().unwrap(), xml);
                    }
                    // RFC 7489 has reports without it.
                    Err(error) => assert_eq!(error, WriteError::Missing("selector")),
                }
            }
        }
    }
    assert_eq!(total, 10, "the suite has cases");
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    suites::otherwise(&failed, &[]);
}

/// A report in the words of that crate.
fn dump(report: &Report) -> Value {
    let word = |word: Option<String>| word.map_or("Unspecified".to_owned(), |word| camel(&word));
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
    let policy = &report.policy;
    let extensions = |list: &[facteur::auth::dmarc::aggregate::Extension]| {
        let get = |one: &facteur::auth::dmarc::aggregate::Extension, wanted: &str| {
            one.attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let list = list
            .iter()
            .map(|one| serde_json::json!({ "name": get(one, "name"), "definition": get(one, "definition") }));
        list.collect::<Vec<_>>()
    };
    let records = report.records.iter().map(|record| {
        let reasons = record.reasons.iter().map(
            |reason| serde_json::json!({ "type_": camel(reason.kind.as_str()), "comment": text(&reason.comment) }),
        );
        let dkim = record.dkim.iter().map(|one| {
            serde_json::json!({
                "domain": one.domain, "selector": one.selector, "result": camel(one.outcome.as_str()),
                "human_result": text(&one.human),
            })
        });
        let spf = record.spf.iter().map(|one| {
            let scope = one.scope.map(|scope| if scope == Scope::Helo { "helo" } else { "mail_from" }.to_owned());
            serde_json::json!({
                "domain": one.domain, "scope": word(scope), "result": camel(one.outcome.as_str()),
                "human_result": text(&one.human),
            })
        });
        let passed = |passed| if passed { "Pass" } else { "Fail" };
        serde_json::json!({
            "row": {
                "source_ip": record.source, "count": record.count,
                "policy_evaluated": {
                    "disposition": camel(record.disposition.as_str()),
                    "dkim": passed(record.dkim_passed), "spf": passed(record.spf_passed),
                    "reason": reasons.collect::<Vec<_>>(),
                },
            },
            "identifiers": {
                "envelope_to": record.envelope_to,
                "envelope_from": record.envelope_from.clone().unwrap_or_default(),
                "header_from": record.header_from,
            },
            "auth_results": { "dkim": dkim.collect::<Vec<_>>(), "spf": spf.collect::<Vec<_>>() },
            "extensions": extensions(&record.extensions),
        })
    });
    serde_json::json!({
        "version": report.version.as_ref().map_or(0.0, |version| version.parse::<f64>().unwrap()),
        "report_metadata": {
            "org_name": report.organization, "email": report.email, "report_id": report.id,
            "extra_contact_info": text(&report.extra_contact), "generator": report.generator,
            "date_range": { "begin": report.begin.unix(), "end": report.end.unix() },
            "error": report.errors.iter().map(|error| error.text.clone()).collect::<Vec<_>>(),
        },
        "policy_published": {
            "domain": policy.domain, "version_published": null,
            "adkim": word(policy.dkim.map(|mode| if mode.as_str() == "r" { "relaxed" } else { "strict" }.to_owned())),
            "aspf": word(policy.spf.map(|mode| if mode.as_str() == "r" { "relaxed" } else { "strict" }.to_owned())),
            "p": camel(&policy.policy.to_string()),
            "sp": word(policy.subdomains.map(|policy| policy.to_string())),
            "np": word(policy.nonexistent.map(|policy| policy.to_string())),
            "testing": policy.testing.unwrap_or(false),
            "discovery_method": word(policy.discovery.map(|method| method.to_string())),
            "fo": policy.failure_options,
        },
        "record": records.collect::<Vec<_>>(),
        "extensions": extensions(&report.extensions),
    })
}

/// `trusted_forwarder` is `TrustedForwarder`; their `TempError` and `SoftFail` are two words too.
fn camel(word: &str) -> String {
    let word =
        word.replace("temperror", "temp_error").replace("permerror", "perm_error").replace("softfail", "soft_fail");
    // RFC 9990 took it away, and they read it as another.
    let word = if word == "sampled_out" { "other".to_owned() } else { word };
    let mut out = String::new();
    for piece in word.split('_') {
        out.push_str(&piece[..1].to_uppercase());
        out.push_str(&piece[1..]);
    }
    out
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
        (ours, theirs) => Err(format!("{at}: ours {ours}, theirs {theirs}")),
    }
}

fn mail(zone: &Zone, collector: &mut Collector, peer: [u8; 4], from: &str, wish: impl Fn(&mut Handling)) {
    let session = Session::new(peer.into(), None, ReversePath::Address("bounce@list.example".parse().unwrap()));
    let message = Message::parse(format!("From: {from}\r\n\r\nLunch?\r\n"));
    let report = zone.ask(Check::new(&session, &message, Timestamp::from_unix(1_790_000_000)));
    let mut handling = Handling::as_wished(&report.dmarc);
    wish(&mut handling);
    collector.count(&session, &report, &handling);
}

fn zone() -> Zone {
    "
     _dmarc.example.com TXT \"v=DMARC1; p=reject; sp=quarantine; fo=1; rua=mailto:agg@example.com!50k,mailto:x@far.example\"
     _dmarc.bar.example.com TXT \"v=DMARC1; p=reject; t=y; rua=mailto:agg@example.com\"
     _dmarc.silent.example TXT \"v=DMARC1; p=reject\"
     list.example TXT \"v=spf1 ip4:192.0.2.1 -all\"
     example.com._report._dmarc.far.example TXT \"v=DMARC1\""
        .parse()
        .unwrap()
}

fn reporter() -> Reporter {
    let mut reporter = Reporter::new(
        "mx.receiver.example".parse().unwrap(),
        "Receiver & Söhne",
        "dmarc@receiver.example".parse().unwrap(),
    );
    reporter.generator = Some("facteur <1>".to_owned());
    reporter
}

/// RFC 9990 §3.1.2: three domains with traffic, two records, two reports.
#[test]
fn domains_are_reported_under_their_policy() {
    let zone = zone();
    let (begin, end) = (Timestamp::from_unix(1_790_035_200), Timestamp::from_unix(1_790_121_600));
    let mut collector = Collector::new(begin);
    for peer in [[192, 0, 2, 1], [192, 0, 2, 1], [192, 0, 2, 9]] {
        mail(&zone, &mut collector, peer, "ada@example.com", |_| {});
    }
    mail(&zone, &mut collector, [192, 0, 2, 1], "ada@foo.example.com", |handling| {
        *handling = Handling::otherwise(Disposition::None, Override::new(OverrideKind::MailingList));
    });
    mail(&zone, &mut collector, [192, 0, 2, 1], "ada@bar.example.com", |handling| {
        handling.envelope_to = Some("receiver.example".parse().unwrap());
    });
    // No address for reports, no record at all, no author.
    mail(&zone, &mut collector, [192, 0, 2, 1], "ada@silent.example", |_| {});
    mail(&zone, &mut collector, [192, 0, 2, 1], "ada@example.net", |_| {});
    mail(&zone, &mut collector, [192, 0, 2, 1], "nobody", |_| {});
    assert_eq!((collector.records(), collector.left_out()), (4, 0));

    let due = collector.finish(&reporter(), end);
    let [bar, whole] = &due[..] else { panic!("two reports: {due:?}") };
    assert_eq!(
        (bar.report.policy.domain.as_str(), whole.report.policy.domain.as_str()),
        ("bar.example.com", "example.com")
    );
    let counts: Vec<_> =
        whole.report.records.iter().map(|record| (record.header_from.as_str(), record.count)).collect();
    assert_eq!(counts, [("foo.example.com", 1), ("example.com", 2), ("example.com", 1)]);
    let record = &bar.report.records[0];
    // "t=y": one level less than its policy, and the reason of it.
    assert_eq!((record.disposition, record.reasons[0].kind), (Disposition::Quarantine, OverrideKind::PolicyTestMode));
    assert_eq!(record.envelope_to.as_deref(), Some("receiver.example"));
    assert_eq!((record.dkim_passed, record.spf_passed), (false, false));
    assert_eq!(record.spf[0].outcome.as_str(), "pass", "as it is, aligned or not");
    assert_eq!(whole.report.policy.subdomains, Some(Policy::Quarantine));

    // To be sent: to whom, and what.
    let allowed = zone.ask(whole.destinations.clone());
    let builder = whole.report.mail(&reporter()).unwrap().date(end).message_id("1@receiver.example");
    let message = builder.clone().to("agg@example.com").finish().unwrap();
    let octets = message.raw().len() as u64;
    assert!(octets < 50 * 1024);
    assert_eq!(
        allowed.recipients(octets).map(ToString::to_string).collect::<Vec<_>>(),
        ["agg@example.com", "x@far.example"]
    );
    assert_eq!(allowed.recipients(51_201).count(), 1);
    let header = message.header();
    assert_eq!(
        header.subject().unwrap(),
        "Report Domain: example.com Submitter: mx.receiver.example \
         Report-ID: <1790035200-1790121600-example.com@mx.receiver.example>"
    );
    let part = message.part(&[2]).unwrap();
    assert_eq!((part.content_type().kind(), part.content_type().subtype()), ("application", "gzip"));
    assert_eq!(part.filename().as_deref(), Some("mx.receiver.example!example.com!1790035200!1790121600.xml.gz"));

    // And read by who gets it.
    let mailed = Report::mailed(&message, &Limits::default()).unwrap();
    assert_eq!(mailed.report.faults, []);
    assert_eq!(mailed.report.version.as_deref(), Some("1.0"));
    let mut came = mailed.report;
    came.version = None;
    assert_eq!(came, whole.report);
    assert_eq!(mailed.file.unwrap().domain.to_string(), "example.com");
    assert_eq!(mailed.subject.unwrap().report_id.as_deref(), Some(whole.report.id.as_str()));
}

#[test]
fn collectors_are_bounded_and_merge() {
    let zone = zone();
    let begin = Timestamp::from_unix(0);
    let mut limits = CollectorLimits::default();
    (limits.domains, limits.records, limits.total) = (2, 3, 4);
    let mut collector = Collector::with(begin, limits);
    for n in 0..10 {
        mail(&zone, &mut collector, [192, 0, 2, n], "ada@example.com", |_| {});
    }
    assert_eq!((collector.records(), collector.left_out()), (3, 7));
    // What is known is counted on.
    mail(&zone, &mut collector, [192, 0, 2, 0], "ada@example.com", |_| {});
    assert_eq!((collector.records(), collector.left_out()), (3, 7));
    mail(&zone, &mut collector, [192, 0, 2, 0], "ada@bar.example.com", |_| {});
    mail(&zone, &mut collector, [192, 0, 2, 1], "ada@bar.example.com", |_| {});
    assert_eq!((collector.records(), collector.left_out()), (4, 8));

    let mut sum = Collector::new(Timestamp::from_unix(5));
    sum.merge(collector.clone());
    sum.merge(collector);
    assert_eq!(sum.left_out(), 16);
    let due = sum.finish(&reporter(), Timestamp::from_unix(9));
    assert_eq!(due.iter().map(|due| due.report.messages()).collect::<Vec<_>>(), [2, 2 * 4]);
    assert_eq!(due[0].report.begin.unix(), 0);
}

#[test]
fn collectors_are_bounded_in_octets() {
    let mut limits = CollectorLimits::default();
    limits.octets = 20_000;
    let mut collector = Collector::with(Timestamp::from_unix(0), limits);
    let names = |n: usize| format!("{}.{n}", "a".repeat(60));
    // The records of one domain, and then new domains with a policy each.
    for n in 0..100 {
        mail(&zone(), &mut collector, [192, 0, 2, 1], &format!("ada@{}.example.com", names(n)), |_| {});
    }
    let records = collector.records();
    assert!((5..80).contains(&records), "{records}");
    assert_eq!(collector.left_out(), 100 - records as u64);
    // What is known is counted on.
    mail(&zone(), &mut collector, [192, 0, 2, 1], &format!("ada@{}.example.com", names(0)), |_| {});
    assert_eq!((collector.records(), collector.left_out()), (records, 100 - records as u64));
    let mut collector = Collector::with(Timestamp::from_unix(0), limits);
    let long = ", mailto:b@example.com".repeat(100);
    for n in 0..100 {
        let zone = format!("_dmarc.d{n}.example TXT \"v=DMARC1; p=none; rua=mailto:a@example.com{long}\"");
        // A text of the DNS is made of strings of 255 octets.
        let zone = zone.parse::<Zone>().unwrap();
        mail(&zone, &mut collector, [192, 0, 2, 1], &format!("ada@d{n}.example"), |_| {});
    }
    assert!((1..6).contains(&collector.records()), "{}", collector.records());
}

#[test]
fn what_the_schema_demands_must_be_there() {
    let zone = zone();
    let mut collector = Collector::new(Timestamp::from_unix(0));
    mail(&zone, &mut collector, [192, 0, 2, 0], "ada@example.com", |_| {});
    let report = collector.finish(&reporter(), Timestamp::from_unix(9)).remove(0).report;
    type Change = fn(&mut Report);
    let changes: [(&str, Change); 7] = [
        ("org_name", |report| report.organization.clear()),
        ("email", |report| report.email.clear()),
        ("report_id", |report| report.id.clear()),
        ("domain", |report| report.policy.domain.clear()),
        ("record", |report| report.records.clear()),
        ("source_ip", |report| report.records[0].source = None),
        ("header_from", |report| report.records[0].header_from.clear()),
    ];
    for (name, change) in changes {
        let mut report = report.clone();
        change(&mut report);
        assert_eq!(report.write(), Err(WriteError::Missing(name)));
    }
    // What XML cannot hold does not get in.
    let mut report = report;
    report.organization = "a\u{0}b]]></org_name>&lt;".to_owned();
    let again = Report::parse(report.write().unwrap().as_bytes()).unwrap();
    assert_eq!(again.organization, "a\u{fffd}b]]></org_name>&lt;");
    assert_eq!(again.faults, []);
}

#[test]
fn messages_without_a_report_say_so() {
    let limits = Limits::default();
    let mailed = |text: &str| Report::mailed(&Message::parse(text.to_owned()), &limits).map(|mailed| mailed.report.id);
    assert_eq!(mailed("Subject: lunch\r\n\r\nAt noon?\r\n"), Err(ReadError::NoPart));
    assert_eq!(mailed("Content-Type: text/xml\r\n\r\n<html></html>\r\n"), Err(ReadError::NoReport));
    let bare = "Content-Type: text/xml\r\n\r\n<feedback><report_metadata><report_id>7</report_id></report_metadata></feedback>";
    assert_eq!(mailed(bare), Ok("7".to_owned()));
}

/// RFC 9990 §5: extensions at file level and in records are ignored by who does not know them; here they can be looked at.
#[test]
fn extensions_can_be_looked_at() {
    let report = Report::parse(
        b"<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\" xmlns:ext=\"URI for an extension-supplied name space\">
            <policy_published><domain>example.com</domain><p>quarantine</p><sp>none</sp><testing>n</testing></policy_published>
            <extension><ext:arc-override>never</ext:arc-override></extension>
            <record><ext:arc-results a='b'> <x>pass</x> </ext:arc-results></record>
          </feedback>",
    )
    .unwrap();
    assert_eq!((report.extensions[0].name.as_str(), report.extensions[0].text.as_str()), ("ext:arc-override", "never"));
    let extension = &report.records[0].extensions[0];
    assert_eq!((extension.name.as_str(), extension.text.as_str()), ("ext:arc-results", "pass"));
    assert_eq!(extension.attributes, [("a".to_owned(), "b".to_owned())]);
    assert!(report.faults.iter().all(|fault| fault.kind == FaultKind::Missing));
    assert_eq!((report.policy.policy, report.policy.testing), (Policy::Quarantine, Some(false)));
    let mut expected = Record::default();
    expected.extensions = report.records[0].extensions.clone();
    assert_eq!(report.records, [expected]);
}

/// What comes by mail may be anything: a bomb is refused before it is large, and no second part is tried.
#[test]
fn bombs_in_messages_are_refused() {
    use std::io::Write;
    let packed = |octets: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        octets.for_each(|octets| encoder.write_all(&octets).unwrap());
        encoder.finish().unwrap()
    };
    // 128 MiB of spaces, and as much of records that are nothing.
    let spaces = packed(&mut std::iter::repeat_n(vec![b' '; 1 << 20], 128));
    let start = b"<feedback>".to_vec();
    let records = packed(&mut std::iter::once(start).chain(std::iter::repeat_n(b"<record/>".repeat(1 << 16), 220)));
    for octets in [spaces, records] {
        assert!(octets.len() < 4 << 20, "{}", octets.len());
        let message = Message::build()
            .date(Timestamp::from_unix(0))
            .from("a@x.example")
            .text("Here is your report.\n")
            .attach("a.example!x.example!1!2.xml.gz", "application/gzip", octets)
            .attach("b.xml", "text/xml", "<feedback><record/></feedback>")
            .finish()
            .unwrap();
        let error = Report::mailed(&message, &Limits::default()).unwrap_err();
        assert!(matches!(error, ReadError::Pack(PackError::Bomb | PackError::TooLarge)), "{error}");
    }
    // A million records that are not packed: the limit of records is met.
    let million = [b"<feedback>".as_slice(), &b"<record></record>".repeat(1_000_000), b"</feedback>"].concat();
    assert_eq!(Report::parse(&million).unwrap_err(), ReadError::TooManyRecords);
}
