//! Reports of authentication: whatever comes is read within its bounds, and what is read is written so that it is read as the same.

use facteur::auth::dmarc::aggregate::{Limits, Report};
use facteur::auth::dmarc::failure::Redaction;
use facteur::auth::parcel::{FileName, Subject};
use facteur::auth::tls_rpt;
use facteur::base::Secret;

/// Any octets as an aggregate report of DMARC, packed or not; and as the name of a file and a subject.
pub fn dmarc_aggregate(input: &[u8]) {
    names(&String::from_utf8_lossy(input));
    let mut limits = Limits::default();
    (limits.records, limits.results, limits.total) = (20, 3, 30);
    (limits.text, limits.depth, limits.faults) = (50, 8, 10);
    limits.parcel.octets = 100_000;
    let Ok(report) = Report::parse_with(input, &limits) else { return };
    assert!(report.records.len() <= 20 && report.faults.len() <= 10 && report.organization.len() <= 50);
    assert!(report.records.iter().all(|record| record.dkim.len().max(record.spf.len()) <= 3));
    // What lacks nothing can be written; what is written is as the schema has it.
    let Ok(xml) = report.write() else { return };
    let again = Report::parse(xml.as_bytes()).expect("what was written");
    // Values that nothing but white space is left of are gone.
    assert_eq!(again.records.len(), report.records.len());
    if let Ok(rewritten) = again.write() {
        let third = Report::parse(rewritten.as_bytes()).expect("what was written");
        assert_eq!((&third.records, &third.policy), (&again.records, &again.policy));
    }
}

fn names(text: &str) {
    for line in text.lines().take(20) {
        if let Ok(name) = line.parse::<FileName>()
            && name.id.as_ref().is_none_or(|id| id.bytes().all(|octet| octet.is_ascii_alphanumeric()))
            && name.reporter.is_ascii()
            && name.domain.is_ascii()
        {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        if let Some(subject) = Subject::parse(line) {
            assert!(!subject.domain.is_empty() && !subject.to_string().contains(['\r', '\n']));
        }
    }
}

/// Any octets as a TLS report, packed or not, and as its record.
pub fn tls_rpt(input: &[u8]) {
    if let Some(record) = tls_rpt::Record::parse(input) {
        assert!((1..=tls_rpt::MAX_URIS).contains(&record.destinations.len()));
    }
    let mut limits = tls_rpt::Limits::default();
    (limits.policies, limits.failures, limits.lines, limits.text) = (5, 5, 3, 50);
    limits.parcel.octets = 100_000;
    let Ok(report) = tls_rpt::Report::parse_with(input, &limits) else { return };
    assert!(report.policies.len() <= 5 && report.policies.iter().map(|one| one.details.len()).sum::<usize>() <= 5);
    assert!(report.policies.iter().all(|one| one.policy.lines.len() <= 3 && one.policy.hosts.len() <= 3));
    let Ok(json) = report.write() else { return };
    let again = tls_rpt::Report::parse(json.as_bytes()).expect("what was written");
    let unix = |report: &tls_rpt::Report| (report.begin.map(|at| at.unix()), report.end.map(|at| at.unix()));
    assert_eq!((&again.policies, &again.id, unix(&again)), (&report.policies, &report.id, unix(&report)));
}

/// Any text with addresses in it: redacted, it has as many as before, and redacting is stable in what it is not about.
pub fn redaction(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let redacted = Redaction::Keyed(Secret::from("a key")).text(&text);
    assert_eq!(redacted.matches('@').count(), text.matches('@').count());
    assert_eq!(Redaction::None.text(&text), text);
    // What follows the last address is as it was.
    assert_eq!(redacted.rsplit('@').next(), text.rsplit('@').next());
}
