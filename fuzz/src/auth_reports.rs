//! Reports of authentication: whatever comes is read within its bounds, and what is read is written so that it is read as the same.

use facteur::auth::dmarc::aggregate::{Limits, Report};
use facteur::auth::parcel::{FileName, Subject};

/// Any octets as an aggregate report of DMARC, packed or not; and as the name of a file and a subject.
pub fn dmarc_aggregate(input: &[u8]) {
    names(&String::from_utf8_lossy(input));
    let mut limits = Limits::default();
    (limits.records, limits.results, limits.text, limits.depth, limits.faults) = (20, 3, 50, 8, 10);
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
