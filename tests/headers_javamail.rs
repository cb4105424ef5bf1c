//! The suite `headers-javamail`: parameters (strict and lenient) and unfolding as JavaMail reads them. Its tables of
//! tokens and folds are of its own tokenizer and writer. Its sets of UIDs are those of IMAP.

mod suites;

use std::path::PathBuf;

use facteur::imap::sequence::SequenceSet;
use facteur::message::Message;
use facteur::text::{Params, charset};

const SUITE: &str = "headers-javamail";

/// Cases that we read otherwise on purpose: the file and the number of the case, from 0.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "paramdata/6",
        "sections behind a gap are kept: RFC 2231 §3 has no gaps, and the end of a file name says what it is; MissingSection tells",
    ),
    ("paramdata/7", "the same"),
    ("paramdata/8", "the same; they make a parameter `title*3` of it, which no rule has"),
    ("paramdata/9", "the same"),
];

#[test]
fn parameters_of_javamail() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let (mut total, mut failed) = (0, Vec::new());
    for file in ["paramdata", "paramdatanostrict"] {
        let text = std::fs::read(root.join("javax/mail/internet").join(file)).unwrap();
        let text: String = text.iter().map(|octet| char::from(*octet)).collect();
        let cases = text.split_once("\nFrom ").unwrap().1;
        for (n, (value, expected)) in cases_of(cases).into_iter().enumerate() {
            // Where strict readers must fail, we read something.
            let Some(expected) = expected else { continue };
            total += 1;
            let octets: Vec<u8> = value.chars().map(|character| character as u8).collect();
            let params = Params::parse(&octets);
            for (name, wanted) in &expected {
                let value = params.value(name);
                // They leave encoded words as they stand unless they are told to decode them; so do our octets.
                let raw = wanted.starts_with("=?") && params.octets(name) == Some(wanted.as_bytes());
                if value.as_deref() != Some(wanted) && !raw {
                    failed.push((format!("{file}/{n}"), format!("{value:?}: {name} is {wanted:?}\n{params:?}")));
                    break;
                }
            }
        }
    }
    println!("conformance {SUITE} (parameters) {}/{total}", total - failed.len());
    suites::otherwise(&failed, OTHERWISE);
}

/// The parameters of a case by name.
type Expected = Vec<(String, String)>;

/// The value of each Content-Type field with its expected parameters; `None` where an exception is expected.
fn cases_of(text: &str) -> Vec<(String, Option<Expected>)> {
    let mut cases: Vec<(String, Option<Expected>)> = Vec::new();
    let (mut value, mut expecting) = (String::new(), false);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Content-Type:") {
            (value, expecting) = (format!("{rest}\n"), false);
        } else if line.starts_with("Comment:") || line.starts_with("From ") {
            (value, expecting) = (String::new(), false);
        } else if let Some(rest) = line.strip_prefix("Expect:") {
            let exception = rest.contains("Exception");
            cases.push((std::mem::take(&mut value), (!exception).then(Vec::new)));
            expecting = true;
        } else if line.starts_with(['\t', ' ']) && expecting {
            let octets: Vec<u8> = line.trim_start().chars().map(|character| character as u8).collect();
            let line = unescape(&charset::guess(&octets));
            if let (Some((name, wanted)), Some((_, Some(expected)))) = (line.split_once('='), cases.last_mut()) {
                expected.push((name.to_owned(), wanted.to_owned()));
            }
        } else if line.starts_with(['\t', ' ']) && !value.is_empty() {
            value.push_str(line);
            value.push('\n');
        }
    }
    cases
}

/// `\uXXXX` as characters
fn unescape(text: &str) -> String {
    let mut pieces = text.split("\\u");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at(4);
        out.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        out.push_str(rest);
    }
    out
}

#[test]
fn unfolding_of_javamail() {
    let Some(root) = suite() else { return };
    let text = std::fs::read_to_string(root.join("javax/mail/internet/folddata")).unwrap();
    let (mut total, mut passed, mut skipped) = (0, 0, 0);
    let mut rest = text.as_str();
    while let Some(at) = rest.find("\nUNFOLD\n") {
        rest = &rest[at + "\nUNFOLD\n".len()..];
        let (folded, after) = rest.split_once("$\n").unwrap();
        let Some(expected) = after.strip_prefix("EXPECT\n") else { continue };
        let (expected, after) = expected.split_once("$\n").unwrap();
        rest = after;
        // Escaped line ends, and line ends that are no folds, cannot stand in a field.
        let value = folded.trim_end_matches(['\r', '\n']);
        let text = Message::parse(format!("X: x{value}\n\n"));
        if folded.contains('\\') || folded.contains("\n\n") || expected.contains(['\r', '\n']) || folded.contains("\r ")
        {
            skipped += 1;
            continue;
        }
        total += 1;
        let ours = text.header().get("x").unwrap().unfolded().into_owned();
        let theirs = format!("x{}", expected.trim_end());
        if String::from_utf8_lossy(&ours) == theirs {
            passed += 1;
        } else {
            println!("  {folded:?}: ours {:?}, theirs {theirs:?}", ours.escape_ascii().to_string());
        }
    }
    println!("conformance {SUITE} (unfolding) {passed}/{total}, {skipped} cases that no field can hold");
    assert!(total > 0);
    assert_eq!(passed, total);
}

#[test]
fn sets_of_uids_of_javamail() {
    let Some(root) = suite() else { return };
    let text = std::fs::read_to_string(root.join("com/sun/mail/imap/protocol/uiddata")).unwrap();
    let (mut total, mut failed) = (0, Vec::new());
    for case in text.split("\nTEST ").skip(1) {
        let (name, lines) = case.split_once('\n').unwrap();
        let line = |word: &str| lines.lines().find_map(|line| line.strip_prefix(word)).map(str::trim);
        let (data, expected) = (line("DATA ").unwrap(), line("EXPECT ").unwrap());
        // MAX says how many are taken, and what the set is then.
        let most = line("MAX ").map_or(usize::MAX, |max| max.split(' ').next().unwrap().parse().unwrap());
        total += 1;
        let set = SequenceSet::parse(data.as_bytes()).ok().map(|set| set.resolve(u32::MAX));
        let uids = set.iter().flat_map(|set| set.iter()).flatten().take(most);
        let ours = uids.map(|uid| uid.to_string()).collect::<Vec<_>>().join(" ");
        // Nothing is no set.
        let ours = if set.is_none() && data == "EMPTY" { "EMPTY".to_owned() } else { ours };
        if ours != expected {
            failed.push((name.to_owned(), format!("ours {ours}, theirs {expected}")));
        }
    }
    println!("conformance {SUITE} (UID sets) {}/{total}", total - failed.len());
    suites::otherwise(&failed, &[]);
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}
