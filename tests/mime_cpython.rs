//! The suite `mime-cpython`: 47 messages of CPython's own tests. Each is read and written back to the octet, and has the
//! tree, file names and contents that CPython 3.11 sees (`cpython-email-oracle.jsonl`).

mod suites;

use std::path::PathBuf;

use facteur::message::{HeaderEdit, Message, Part};
use serde_json::{Value, json};

const SUITE: &str = "mime-cpython";

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("msg_15.txt", "nested multiparts of one boundary: the inner one has it until its end"),
    ("msg_16.txt", "message/delivery-status is one part; they read its groups of fields as messages"),
    ("msg_17.txt", "a multipart in which no part begins is text"),
    ("msg_25.txt", "a multipart in which no part begins is text"),
    ("msg_31.txt", "a multipart in which no part begins is text"),
    ("msg_36.txt", "message/external-body is one part"),
    ("msg_37.txt", "two boundaries in a row have an empty part between them"),
    ("msg_39.txt", "as msg_15.txt"),
    ("msg_41.txt", "a multipart in which no part begins is text"),
    ("msg_42.txt", "a multipart in which no part begins is text"),
    ("msg_43.txt", "as msg_16.txt"),
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
        if let Err(why) = check(&message, row) {
            failed.push((name, why));
        }
    }
    println!("conformance {SUITE} {}/{}", rows.len() - failed.len(), rows.len());
    for (name, why) in OTHERWISE {
        println!("  otherwise: {name}: {why}");
    }
    let known = |name: &str| OTHERWISE.iter().any(|(known, _)| *known == name);
    let unknown: Vec<_> = failed.iter().filter(|(name, _)| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(failed.len(), OTHERWISE.len(), "some pass now");
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}

fn check(message: &Message, row: &Value) -> Result<(), String> {
    let ours: Vec<Value> = message.all_parts().map(shown).collect();
    let theirs: Vec<Value> = row["parts"].as_array().unwrap().iter().map(expected).collect();
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if ours != theirs {
            return Err(format!("part {n}:\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    if ours.len() != theirs.len() {
        return Err(format!("{} parts, theirs {}", ours.len(), theirs.len()));
    }
    Ok(())
}

fn shown(part: Part<'_>) -> Value {
    let composite = part.is_multipart() || part.embedded().is_some();
    let size = if composite { json!(null) } else { json!(part.decode().len()) };
    json!([part.content_type().to_string(), part.filename(), size])
}

fn expected(part: &Value) -> Value {
    json!([part["type"], part["filename"], part["size"]])
}
