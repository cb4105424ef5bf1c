//! The suite `mime-cpython`: 47 messages of CPython's own tests. Each is read and written back to the octet, and has the
//! tree, file names and contents that CPython 3.11 sees (`cpython-email-oracle.jsonl`).

mod oracle;
mod suites;

use std::path::PathBuf;

use facteur::message::{HeaderEdit, Message};
use serde_json::Value;

const SUITE: &str = "mime-cpython";

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "msg_15.txt",
        "nested multiparts of one boundary, which RFC 2046 §5.1.1 forbids: they end the inner one at once, and show what was in it as an empty text; we give it to the inner one until its end, so that both are seen. SameBoundary tells",
    ),
    ("msg_37.txt", "two boundaries in a row have an empty part between them; they skip it. CutHeader tells"),
    ("msg_39.txt", "as msg_15.txt"),
    (
        "msg_42.txt",
        "of a multipart that ends before it begins the line that ends it is shown; they call it an empty multipart with a defect, as we do (NoParts)",
    ),
];

#[test]
fn messages_of_cpython() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let oracle = std::fs::read_to_string(root.join("cpython-email-oracle.jsonl")).unwrap();
    let rows: Vec<Value> = oracle.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!rows.is_empty());
    let mut failed = Vec::new();
    for row in &rows {
        let name = row["file"].as_str().unwrap();
        let raw = std::fs::read(root.join(name)).unwrap();
        let message = Message::parse(raw.clone());
        assert_eq!(HeaderEdit::new(&message).finish().raw(), &raw, "{name} written back");
        if let Err(why) = oracle::same_parts(&message, row) {
            failed.push((name, why));
        }
    }
    println!("conformance {SUITE} {}/{}", rows.len() - failed.len(), rows.len());
    suites::otherwise(&failed, OTHERWISE);
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}
