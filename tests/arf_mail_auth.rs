//! The suite `arf-rfc5965-mail-auth`: feedback reports, field by field. The names of types of feedback and failure are compared
//! without their hyphens, as that crate has them.

mod suites;

use facteur::message::Message;
use facteur::message::report::Report;
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
    let Some(Report::Feedback(report)) = message.report() else { return Err("no report".to_owned()) };
    let same = |name: &str, ours: Option<String>| match expected[name].as_str() {
        theirs if ours.as_deref() == theirs => Ok(()),
        theirs => Err(format!("{name}: ours {ours:?}, theirs {theirs:?}")),
    };
    same("original_envelope_id", report.envelope_id)?;
    same("original_mail_from", report.original_mail_from)?;
    same("original_rcpt_to", report.original_rcpt_to.into_iter().next())?;
    same("user_agent", report.user_agent)?;
    same("dkim_domain", report.dkim_domain)?;
    same("dkim_identity", report.dkim_identity)?;
    same("dkim_selector", report.dkim_selector)?;
    same("dkim_selector_dns", report.dkim_selector_dns)?;
    same("dkim_adsp_dns", report.dkim_adsp_dns)?;
    same("spf_dns", report.spf_dns.into_iter().next())?;
    same("reporting_mta", report.reporting_mta.map(|mta| mta.value))?;
    same("source_ip", report.source_ip.map(|ip| ip.to_string()))?;
    for (name, ours) in [
        ("feedback_type", report.feedback_type.map(|word| word.to_string())),
        ("auth_failure", report.auth_failure.map(|word| word.to_string())),
        ("delivery_result", report.delivery_result.map(|word| word.to_string())),
    ] {
        let ours = ours.unwrap_or("unspecified".to_owned()).replace('-', "");
        let theirs = expected[name].as_str().unwrap();
        if !ours.eq_ignore_ascii_case(theirs) {
            return Err(format!("{name}: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    // A report that says nothing of them speaks of one message.
    for (name, ours) in [
        ("arrival_date", report.arrival.map(|date| date.unix())),
        ("incidents", Some(report.incidents.map_or(1, i64::from))),
        ("version", report.version.and_then(|version| version.parse().ok())),
        ("source_port", Some(report.source_port.map_or(0, i64::from))),
    ] {
        if ours != expected[name].as_i64() {
            return Err(format!("{name}: ours {ours:?}, theirs {}", expected[name]));
        }
    }
    for (name, ours) in [
        ("reported_domain", report.reported_domains),
        ("reported_uri", report.reported_uris),
        ("authentication_results", report.authentication_results),
    ] {
        let ours = words(ours.into_iter());
        let theirs = words(expected[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()));
        if ours != theirs {
            return Err(format!("{name}: ours {ours:?}, theirs {theirs:?}"));
        }
    }
    Ok(())
}

/// In one order, for theirs is that of a set; folds as single spaces.
fn words(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    texts.sort();
    texts
}
