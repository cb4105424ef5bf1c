//! The suite `arf-rfc5965-mail-auth`: feedback reports, read field by field out of their second part. The names of types of
//! feedback and failure are compared without their hyphens, as that crate has them.

mod suites;

use facteur::message::{Field, Header, Message};
use serde_json::Value;

const SUITE: &str = "arf-rfc5965-mail-auth";

#[test]
fn reports_have_the_fields_that_mail_auth_reads() {
    let Some(root) = suites::find(SUITE) else { return };
    let (mut total, mut failed) = (0, Vec::new());
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        total += 1;
        let message = Message::parse(std::fs::read(&path).unwrap());
        let expected = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        if let Err(why) = check(&message, &expected) {
            failed.push((path, why));
        }
    }
    assert_eq!(total, 5, "the suite has cases");
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

fn check(message: &Message, expected: &Value) -> Result<(), String> {
    let report = message.parts().find(|part| part.content_type().is("message", "feedback-report"));
    let report = Message::parse(report.ok_or("no report")?.decode().into_owned());
    let header = report.header();
    let text = |field: Field<'_>| field.text().into_owned();
    let same = |name: &str, ours: Option<String>| match expected[name].as_str() {
        theirs if ours.as_deref() == theirs => Ok(()),
        theirs => Err(format!("{name}: ours {ours:?}, theirs {theirs:?}")),
    };
    for (key, name) in [
        ("original_envelope_id", "Original-Envelope-Id"),
        ("original_mail_from", "Original-Mail-From"),
        ("original_rcpt_to", "Original-Rcpt-To"),
        ("user_agent", "User-Agent"),
        ("dkim_domain", "DKIM-Domain"),
        ("dkim_identity", "DKIM-Identity"),
        ("dkim_selector", "DKIM-Selector"),
        ("spf_dns", "SPF-DNS"),
    ] {
        same(key, header.get(name).map(text))?;
    }
    let mta = header.get("Reporting-MTA").map(text);
    same("reporting_mta", mta.map(|mta| mta.rsplit(';').next().unwrap().trim().to_owned()))?;
    let ip = header.get("Source-IP").map(text);
    same("source_ip", ip.map(|ip| ip.split(' ').next().unwrap().to_owned()))?;
    for (key, name, default) in
        [("feedback_type", "Feedback-Type", ""), ("auth_failure", "Auth-Failure", "unspecified")]
    {
        let ours = header.get(name).map_or(default.to_owned(), text).replace('-', "");
        let theirs = expected[key].as_str().unwrap();
        if !ours.eq_ignore_ascii_case(theirs) {
            return Err(format!("{key}: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    // RFC 5965 §3.2: old reports have Received-Date.
    let date = header.get("Arrival-Date").or(header.get("Received-Date"));
    let date = date.and_then(|field| field.date()).map(|date| date.unix());
    if date != expected["arrival_date"].as_i64() {
        return Err(format!("arrival_date: ours {date:?}"));
    }
    for (key, name) in [
        ("reported_domain", "Reported-Domain"),
        ("reported_uri", "Reported-Uri"),
        ("authentication_results", "Authentication-Results"),
    ] {
        let ours = words(all(header, name));
        let theirs = words(expected[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()));
        if ours != theirs {
            return Err(format!("{key}: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    Ok(())
}

fn all<'a>(header: Header<'a>, name: &str) -> impl Iterator<Item = String> + 'a {
    header.all(name).map(|field| field.text().into_owned()).collect::<Vec<_>>().into_iter()
}

/// In one order, for theirs is that of a set; folds as single spaces.
fn words(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    texts.sort();
    texts
}
