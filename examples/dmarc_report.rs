//! Shows an aggregate report of DMARC as a table: `dmarc_report FILE...`, or on standard input.
//!
//! A file is XML, gzip, zip, or the message that the report came in. With `--json` it is one object of JSON a report.

use std::error::Error;
use std::io::Read;
use std::path::PathBuf;

use clap::Parser;
use facteur::auth::dmarc::aggregate::{Limits, ReadError, Record, Report};
use facteur::message::Message;
use serde_json::{Value, json};

/// Shows aggregate reports of DMARC: who sent mail in the name of a domain, and what became of it.
#[derive(Parser)]
struct Options {
    /// Reports, or messages with one; standard input where there are none.
    files: Vec<PathBuf>,
    /// Write objects of JSON instead of tables.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut inputs = Vec::new();
    for file in &options.files {
        inputs.push(std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    if inputs.is_empty() {
        let mut octets = Vec::new();
        std::io::stdin().read_to_end(&mut octets)?;
        inputs.push(octets);
    }
    for octets in inputs {
        let report = read(octets)?;
        if options.json { println!("{}", object(&report)) } else { table(&report) }
    }
    Ok(())
}

/// A report, or the one in a message.
fn read(octets: Vec<u8>) -> Result<Report, ReadError> {
    match Report::parse(&octets) {
        Err(ReadError::NoReport | ReadError::Xml { .. }) => {
            Ok(Report::mailed(&Message::parse(octets), &Limits::default())?.report)
        }
        report => report,
    }
}

fn passed(passed: bool) -> &'static str {
    if passed { "pass" } else { "fail" }
}

/// Without what a terminal would obey: the text is a stranger's.
fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

fn table(report: &Report) {
    let (policy, messages) = (&report.policy, report.messages());
    let (who, domain) = (plain(&report.organization), plain(&policy.domain));
    println!("{who} about {domain}: p={}, {messages} messages", policy.policy);
    println!("{} to {}", report.begin.rfc3339(), report.end.rfc3339());
    let mut records: Vec<&Record> = report.records.iter().collect();
    records.sort_by_key(|record| std::cmp::Reverse(record.count));
    println!("{:>8}  {:<39}  {:<10}  dkim  spf   author", "messages", "source", "done");
    for record in records {
        let source = record.source.map_or_else(|| "?".to_owned(), |source| source.to_string());
        let (dkim, spf) = (passed(record.dkim_passed), passed(record.spf_passed));
        let done = record.disposition;
        println!(
            "{:>8}  {source:<39}  {:<10}  {dkim:<4}  {spf:<4}  {}",
            record.count,
            done.as_str(),
            plain(&record.header_from)
        );
    }
    for fault in &report.faults {
        eprintln!("{}: {:?} at octet {}", fault.element, fault.kind, fault.at);
    }
}

fn object(report: &Report) -> Value {
    let records = report.records.iter().map(|record| {
        let dkim = record.dkim.iter().map(|one| json!({ "domain": one.domain, "result": one.outcome.as_str() }));
        let spf = record.spf.iter().map(|one| json!({ "domain": one.domain, "result": one.outcome.as_str() }));
        json!({
            "source": record.source, "count": record.count, "disposition": record.disposition.as_str(),
            "dkim_aligned": record.dkim_passed, "spf_aligned": record.spf_passed, "header_from": record.header_from,
            "envelope_from": record.envelope_from, "dkim": dkim.collect::<Vec<_>>(), "spf": spf.collect::<Vec<_>>(),
        })
    });
    json!({
        "organization": report.organization, "id": report.id, "domain": report.policy.domain,
        "policy": report.policy.policy.to_string(), "begin": report.begin.unix(), "end": report.end.unix(),
        "records": records.collect::<Vec<_>>(),
    })
}
