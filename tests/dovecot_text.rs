//! The suite `dovecot-vectors`, its tables of message addresses, encoded words, quoted-printable and modified UTF-7.
//! (Those of SMTP and IMAP are looked at where these are tested.)

mod suites;

use std::path::PathBuf;

use facteur::address::{Entry, list};
use facteur::text::{transfer, utf7, words};
use serde_json::{Value, json};

const SUITE: &str = "dovecot-vectors";

/// Rows that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("address/20", "`<@route>`: obs-route ends with a colon (RFC 5322 §4.4), so a domain without one is a domain"),
    (
        "address/47",
        "a comment without its end: its bracket is an ordinary octet, and the words are shown; they skip the list",
    ),
    (
        "qp/10",
        "an equals sign at the end is a soft line break (RFC 2045 §6.7): its line end belonged to the boundary; they show it",
    ),
    ("qp/12", "the same"),
    ("qp/13", "the same"),
    ("qp/29", "the same"),
    ("qp/42", "the same"),
];

#[test]
fn tables_of_dovecot() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let table = |file: &str, name: &str| -> Vec<Value> {
        let all: Value = serde_json::from_slice(&std::fs::read(root.join(file)).unwrap()).unwrap();
        all[name].as_array().unwrap().clone()
    };
    let (mut total, mut skipped, mut failed) = (0, 0, Vec::new());
    let mut case = |name: String, ours: Value, theirs: Value| {
        total += 1;
        if ours != theirs {
            failed.push((name, format!("\n  ours   {ours}\n  theirs {theirs}")));
        }
    };

    for (n, row) in table("test-message-address.json", "tests").iter().enumerate() {
        let text = row[0].as_str().unwrap();
        let part = |n: usize| row[3][n].as_str().unwrap_or_default();
        let theirs = json!([part(2), part(3), part(4), part(5)]);
        case(format!("address/{n}"), address(text), theirs);
    }
    // They encode otherwise (we write "Q" and "B" by another rule, and do not fold here); what they write we must read.
    for (n, pair) in table("test-message-header-encode.json", "data").chunks(2).enumerate() {
        let (Some(plain), Some(encoded)) = (octets(&pair[0]), octets(&pair[1])) else {
            skipped += 1;
            continue;
        };
        if std::str::from_utf8(&plain).is_err() || plain.contains(&b'\n') || plain.contains(&b'\r') {
            skipped += 1;
            continue;
        }
        let line: Vec<u8> = encoded.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        case(format!("words/{n}"), json!(words::decode(&line)), json!(String::from_utf8(plain).unwrap()));
    }
    for (n, row) in table("test-qp-decoder.json", "tests").iter().enumerate() {
        let (Some(encoded), Some(decoded)) = (octets(&row[0]), octets(&row[1])) else {
            skipped += 1;
            continue;
        };
        // They turn line ends into CRLF; we keep them.
        let lf = |octets: &[u8]| octets.escape_ascii().to_string().replace("\\r\\n", "\\n");
        case(format!("qp/{n}"), json!(lf(&transfer::decode_quoted_printable(&encoded))), json!(lf(&decoded)));
    }
    for (n, row) in table("test-imap-utf7.json", "tests").iter().enumerate() {
        match (row[0].as_str(), row[1].as_str()) {
            (Some(name), Some(encoded)) => {
                case(format!("utf7/{n} encode"), json!(utf7::encode(name)), json!(encoded));
                case(format!("utf7/{n} decode"), json!(utf7::decode(encoded.as_bytes()).ok()), json!(name));
            }
            (None, Some(bad)) => {
                case(format!("utf7/{n} refuse"), json!(utf7::decode(bad.as_bytes()).is_err()), json!(true))
            }
            // Octets that are no UTF-8 cannot be asked for.
            _ => skipped += 1,
        }
    }

    println!(
        "conformance {SUITE} (text, addresses) {}/{total}, {skipped} rows without counterpart",
        total - failed.len()
    );
    suites::otherwise(&failed, OTHERWISE);
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}

/// Name, route, local part and domain of the first entry.
fn address(text: &str) -> Value {
    let entries = list::parse(text.as_bytes());
    let Some(Entry::Mailbox(mailbox)) = entries.first() else { return json!(["", "", "", ""]) };
    json!([
        mailbox.name().unwrap_or_default(),
        mailbox.route().unwrap_or_default(),
        mailbox.local(),
        mailbox.domain().unwrap_or_default()
    ])
}

/// The octets of a row; `None` for an expression of C.
fn octets(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        other => other["latin1"].as_str().map(|text| text.chars().map(|character| character as u8).collect()),
    }
}
