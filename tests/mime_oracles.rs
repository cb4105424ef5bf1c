//! The suites `mime-ruby-mail`, `mime-php-mime-mail-parser` and `mime-flanker`: real mails, many of them broken. Each is
//! read and written back to the octet; where CPython 3.11 finds no defect in it, it has the subject, the tree, the file names
//! and the contents, octet by octet, that CPython sees (`cpython-email-oracle.jsonl`).

mod oracle;
mod suites;

use std::path::PathBuf;

use facteur::message::{HeaderEdit, Message};
use serde_json::Value;

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "mime-flanker/bilingual-simple.eml",
        "white space at the end of a quoted-printable line is taken away (RFC 2045 §6.7, rule 3), at the end of the text too",
    ),
    ("mime-php-mime-mail-parser/m0013", "the same"),
];

#[test]
fn mails_of_ruby_mail() {
    run("mime-ruby-mail");
}

#[test]
fn mails_of_php_mime_mail_parser() {
    run("mime-php-mime-mail-parser");
}

#[test]
fn mails_of_flanker() {
    run("mime-flanker");
}

fn run(suite: &str) {
    let Some(root) = folder(suite) else {
        println!("conformance {suite}: skipped, not there");
        return;
    };
    let oracle = std::fs::read_to_string(root.join("cpython-email-oracle.jsonl")).unwrap();
    let rows: Vec<Value> = oracle.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut failed = Vec::new();
    let (mut total, mut compared) = (0, 0);
    for row in &rows {
        let name = row["file"].as_str().unwrap();
        if name == ".gitattributes" {
            continue;
        }
        total += 1;
        let raw = std::fs::read(root.join(name)).unwrap();
        let message = Message::parse(raw.clone());
        assert_eq!(HeaderEdit::new(&message).finish().raw(), &raw, "{name} written back");
        for part in message.all_parts() {
            let _ = (part.text(), part.filename(), part.decode());
        }
        assert!(message.defects().iter().all(|defect| defect.at <= raw.len()));
        let parts = row["parts"].as_array().unwrap();
        if parts.iter().any(|part| part.get("defects").is_some()) {
            continue;
        }
        compared += 1;
        if let Err(why) = check(&message, row) {
            failed.push((format!("{suite}/{name}"), why));
        }
    }
    assert!(compared > 10, "the suite has cases");
    println!("conformance {suite} {}/{total}, {compared} of them compared", total - failed.len());
    let own = OTHERWISE.iter().filter(|(name, _)| name.split('/').next() == Some(suite));
    for (name, why) in own.clone() {
        println!("  otherwise: {name}: {why}");
    }
    let known = |name: &str| own.clone().any(|(known, _)| *known == name);
    let unknown: Vec<_> = failed.iter().filter(|(name, _)| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(failed.len(), own.count(), "some pass now");
}

fn folder(suite: &str) -> Option<PathBuf> {
    suites::find(suite)
}

fn check(message: &Message, row: &Value) -> Result<(), String> {
    oracle::same_subject(message, row)?;
    oracle::same_parts(message, row)
}
