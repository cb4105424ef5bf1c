//! The suite `dsn-sisimai`: bounces, complaints and automatic answers of some sixty mailers, and messages that are none.
//!
//! A case passes where the machine-readable parts have the fields that CPython 3.11 reads (`cpython-email-oracle.jsonl`),
//! where each of those that we know is in its place in the typed report, and where a message that is no bounce is not taken
//! for one. How many bounces are known as such, and whom they speak of, is printed too.

mod suites;

use std::path::Path;

use facteur::message::Message;
use facteur::message::report::{Evidence, Fields, Reason, Report, Typed};
use serde_json::Value;

const SUITE: &str = "dsn-sisimai";

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("lhost-mimecast-02.eml", "white space before the colons: they read no field, we all of them"),
    ("rhost-messagelabs-01.eml", "lines of a reply that are not indented: they read nothing behind them, we go on"),
    ("rb-issue-368-bug.eml", "it is a bounce, and says so: a mailbox is full"),
];

#[test]
fn reports_of_sisimai() {
    let Some(root) = suites::find(SUITE) else { return };
    let rows = rows(&root);
    let mut failed = Vec::new();
    let mut total = 0;
    for row in &rows {
        let name = row["file"].as_str().unwrap();
        let message = read(&root.join("maildir/bsd").join(name));
        total += 1;
        if let Err(why) = same_fields(&message, row).and_then(|()| in_place(&message, row)) {
            failed.push((name.to_owned(), why));
        } else if ["arf-", "rfc3834-"].iter().any(|kind| name.starts_with(kind)) && message.bounce().is_some() {
            failed.push((name.to_owned(), "taken for a bounce".to_owned()));
        }
    }
    for entry in std::fs::read_dir(root.join("maildir/not")).into_iter().flatten() {
        let path = entry.unwrap().path();
        total += 1;
        if read(&path).bounce().is_some() {
            failed.push((path.file_name().unwrap().to_string_lossy().into_owned(), "taken for a bounce".to_owned()));
        }
    }
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    suites::otherwise(&failed, OTHERWISE);
}

/// Whatever mailer it is, nearly all are known for what they are. Those that are not say that a message is late, or are notices
/// in a form of their own.
#[test]
fn bounces_of_sisimai_name_their_recipients() {
    let Some(root) = suites::find(SUITE) else { return };
    let (mut total, mut known, mut named, mut explained) = (0, 0, 0, 0);
    for row in rows(&root) {
        let name = row["file"].as_str().unwrap();
        if ["arf-", "rfc3834-"].iter().any(|kind| name.starts_with(kind)) {
            continue;
        }
        total += 1;
        let Some(bounce) = read(&root.join("maildir/bsd").join(name)).bounce() else { continue };
        known += 1;
        named += usize::from(bounce.recipients.iter().all(|recipient| recipient.evidence != Evidence::Nothing));
        explained += usize::from(bounce.recipients.iter().all(|recipient| recipient.reason != Reason::Unknown));
    }
    println!("{SUITE}: of {total} reports {known} are bounces, {named} name their recipients, {explained} say why");
    assert!(known * 100 >= total * 93, "{known} of {total}");
    assert!(named * 100 >= known * 98, "{named} of {known}");
    assert!(explained * 100 >= known * 95, "{explained} of {known}");
}

fn rows(root: &Path) -> Vec<Value> {
    let oracle = std::fs::read_to_string(root.join("cpython-email-oracle.jsonl")).unwrap();
    oracle.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read(path: &Path) -> Message {
    Message::parse(std::fs::read(path).unwrap())
}

/// All machine-readable parts, inside of embedded messages too, field by field.
fn same_fields(message: &Message, row: &Value) -> Result<(), String> {
    let ours: Vec<Vec<Fields>> = message
        .all_parts()
        .filter(|part| {
            let kind = part.content_type();
            kind.is("message", "delivery-status") || kind.is("message", "feedback-report")
        })
        .map(Report::groups)
        .collect();
    let ours: Vec<Vec<Vec<(String, String)>>> =
        ours.iter().map(|groups| groups.iter().map(|group| group.iter().map(pair).collect()).collect()).collect();
    let theirs: Vec<Vec<Vec<(String, String)>>> = blocks(row);
    if ours == theirs { Ok(()) } else { Err(format!("ours {ours:#?}\ntheirs {theirs:#?}")) }
}

fn blocks(row: &Value) -> Vec<Vec<Vec<(String, String)>>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let field = |field: &Value| pair((&text(&field[0]), &text(&field[1])));
    let block = |block: &Value| block.as_array().unwrap().iter().map(field).collect();
    let report = |report: &Value| report["blocks"].as_array().unwrap().iter().map(block).collect();
    row["reports"].as_array().unwrap().iter().map(report).collect()
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), one_line(value))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the first delivery report has, recipient by recipient, in the typed report.
fn in_place(message: &Message, row: &Value) -> Result<(), String> {
    let Some(Report::Delivery(report)) = message.report() else { return Ok(()) };
    let blocks = blocks(row);
    let fields = || blocks.iter().take(1).flatten().flatten();
    let theirs = |wanted: &str| -> Vec<String> {
        fields().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone()).collect()
    };
    let value = |text: &String| text.split_once(';').map_or(text.as_str(), |(_, value)| value.trim()).to_owned();
    let ours = |typed: Option<&Typed>| typed.map(|typed| one_line(&typed.value));
    let same = |name: &str, ours: Vec<String>, theirs: Vec<String>| {
        if ours == theirs { Ok(()) } else { Err(format!("{name}: ours {ours:?}, theirs {theirs:?}")) }
    };
    let all = || report.recipients.iter();
    same(
        "recipients",
        all().filter_map(|recipient| ours(recipient.recipient.as_ref())).collect(),
        theirs("final-recipient").iter().map(value).collect(),
    )?;
    same(
        "actions",
        all().filter_map(|recipient| recipient.action.as_ref().map(ToString::to_string)).collect(),
        theirs("action").iter().map(|action| action.to_lowercase()).collect(),
    )?;
    same(
        "status",
        all().filter_map(|recipient| recipient.status.map(|status| status.to_string())).collect(),
        theirs("status").iter().map(|status| status.split(' ').next().unwrap().to_owned()).collect(),
    )?;
    same(
        "diagnostics",
        // Where the type is missing, a semicolon further on parts nothing.
        all().filter_map(|recipient| recipient.diagnostic.as_ref().map(|typed| one_line(&typed.to_string()))).collect(),
        theirs("diagnostic-code").iter().map(|text| one_line(&Typed::parse(text).to_string())).collect(),
    )?;
    same(
        "servers",
        report.reporting_mta.iter().filter_map(|typed| ours(Some(typed))).collect(),
        theirs("reporting-mta").iter().map(value).collect(),
    )
}
