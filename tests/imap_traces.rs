//! Commands that others wrote down: the examples of RFC 3501 as imap-codec keeps them, and the scripts of Apache James. Each
//! is read, written, and read again; what is refused must be refused there too, or here on purpose.

mod suites;

use std::path::PathBuf;

use facteur::imap::{Command, Literals, Piece};

fn suite(name: &str) -> Option<PathBuf> {
    suites::find(name)
}

fn written(tag: &str, command: &Command, literals: Literals) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in command.write(tag, literals) {
        let (Piece::Text(octets) | Piece::Literal(octets)) = piece;
        text.extend_from_slice(&octets);
    }
    text
}

/// Reads a command, and what is written of it.
fn read(text: &[u8]) -> Result<Command, String> {
    let (tag, command) = Command::parse(text).map_err(|error| error.to_string())?;
    for literals in [Literals::Synchronising, Literals::NonSynchronising] {
        let again = written(&tag, &command, literals);
        assert_eq!(Command::parse(again.strip_suffix(b"\r\n").unwrap()), Ok((tag.clone(), command.clone())));
    }
    Ok(command)
}

#[test]
fn the_examples_of_rfc_3501_are_read() {
    let Some(suite) = suite("imap-rfc3501-traces") else {
        println!("conformance imap-rfc3501-traces skipped: the suite is not here");
        return;
    };
    let traces: serde_json::Value = serde_json::from_slice(&std::fs::read(suite.join("traces.json")).unwrap()).unwrap();
    let (mut passed, mut total, mut same) = (0, 0, 0);
    for trace in traces.as_array().unwrap() {
        for line in trace["trace"].as_str().unwrap().lines() {
            let Some(line) = line.strip_prefix("C: ") else { continue };
            total += 1;
            match read(line.as_bytes()) {
                Ok(command) => {
                    passed += 1;
                    let tag = line.split(' ').next().unwrap();
                    let again = written(tag, &command, Literals::Synchronising);
                    // Where a string could be written in several ways, ours is the atom.
                    same += usize::from(again == format!("{line}\r\n").as_bytes());
                }
                // RFC 5256 is not announced.
                Err(error) => {
                    assert!(line.contains(" SORT ") || line.contains(" THREAD "), "{line}: {error}");
                    println!("on purpose: {line}: {error}");
                }
            }
        }
    }
    println!("conformance imap-rfc3501-traces {passed}/{total} ({same} are written as they were read)");
    assert!(total >= 50 && passed >= total - 6 && same >= passed - 10, "{passed} of {total}, {same} the same");
}

/// What James takes and this crate refuses: a word of the command, and why.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("  ", "RFC 3501 §9: \"In all cases, SP refers to exactly one space\""),
    ("( ", "RFC 3501 §9: spaces stand between the members of a list only"),
    (" )", "RFC 3501 §9: spaces stand between the members of a list only"),
    (" ()", "RFC 3501 §9: a list of fetch items has one at least"),
    (" (ALL)", "RFC 3501 §6.4.5: a macro stands by itself"),
    (" (FAST)", "RFC 3501 §6.4.5: a macro stands by itself"),
    (" (FULL)", "RFC 3501 §6.4.5: a macro stands by itself"),
    ("\", \"", "RFC 2971 §4: no commas"),
    ("&AC4-", "RFC 3501 §5.1.3: printing US-ASCII stands for itself"),
    (" KERBEROS_V4 EXTRA", "RFC 4959 §7: what follows the mechanism is base64"),
    (" $ ", "RFC 5182 is not announced"),
    ("PARTIAL", "RFC 9394 is not announced"),
    ("DELETED-STORAGE", "RFC 9208 is not announced"),
    ("LIST (", "RFC 5258 is not announced"),
    ("ACL", "RFC 4314 is not announced"),
    ("LISTRIGHTS", "RFC 4314 is not announced"),
    ("MYRIGHTS", "RFC 4314 is not announced"),
    ("QUOTA", "RFC 9208 is not announced"),
    ("METADATA", "RFC 5464 is not announced"),
    ("XLIST", "an experiment of before RFC 6154"),
    ("REPLACE", "RFC 8508 is not announced"),
    (" RETURN (", "RFC 4731 and 5258 are not announced"),
    ("SAVEDATE", "RFC 8514 is not announced"),
    ("SAVEDBEFORE", "RFC 8514 is not announced"),
    ("SAVEDON", "RFC 8514 is not announced"),
    ("SAVEDSINCE", "RFC 8514 is not announced"),
    ("MAILBOXID", "RFC 8474 is not announced"),
    ("EMAILID", "RFC 8474 is not announced"),
    ("THREADID", "RFC 8474 is not announced"),
    ("CONDSTORE", "RFC 7162 is not announced"),
    ("MODSEQ", "RFC 7162 is not announced"),
    ("CHANGEDSINCE", "RFC 7162 is not announced"),
    ("UNCHANGEDSINCE", "RFC 7162 is not announced"),
    ("AUTHENTICATE \"", "the name of a mechanism is an atom, and its response base64 (RFC 4959 §7)"),
];

/// A command of a script with the condition that James answers it with.
struct Case {
    script: String,
    text: Vec<u8>,
    condition: String,
}

/// The commands of a script. Literals are what the lines after them say; what is sent after `+` and is no literal (a
/// response of AUTHENTICATE, DONE) is no command.
fn cases(script: &str, text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lines = text.lines().peekable();
    let mut continued = false;
    while let Some(line) = lines.next() {
        let Some(sent) = line.strip_prefix("C:").map(|sent| sent.strip_prefix(' ').unwrap_or(sent)) else { continue };
        if std::mem::take(&mut continued) {
            continue;
        }
        let mut text = sent.as_bytes().to_vec();
        while let Some(size) = announced(&text) {
            text.extend_from_slice(b"\r\n");
            let wanted = text.len() + size;
            while let Some(line) = lines.next() {
                let Some(sent) = line.strip_prefix("C:").map(|sent| sent.strip_prefix(' ').unwrap_or(sent)) else {
                    continue;
                };
                text.extend_from_slice(sent.as_bytes());
                if text.len() >= wanted {
                    break;
                }
                text.extend_from_slice(b"\r\n");
                if text.len() == wanted && lines.peek().is_none_or(|line| !line.starts_with("C:")) {
                    break;
                }
            }
            if announced(text.get(wanted..).unwrap_or_default()).is_none() {
                break;
            }
        }
        let upper = String::from_utf8_lossy(&text).to_ascii_uppercase();
        continued = upper.ends_with(" IDLE") || upper.ends_with("AUTHENTICATE PLAIN");
        let tag = upper.split([' ', '\r']).next().unwrap().to_owned();
        let condition = lines
            .clone()
            .filter_map(|line| line.strip_prefix("S: "))
            .find(|line| line.to_ascii_uppercase().starts_with(&format!("{tag} ")))
            .and_then(|line| line.split(' ').nth(1))
            .unwrap_or("")
            .to_owned();
        cases.push(Case { script: script.to_owned(), text, condition });
    }
    cases
}

fn announced(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('}')?;
    let (_, size) = text.strip_suffix('+').unwrap_or(text).rsplit_once('{')?;
    size.parse().ok()
}

#[test]
fn the_commands_of_james_are_read() {
    let Some(suite) = suite("imap-james-mpt") else {
        println!("conformance imap-james-mpt skipped: the suite is not here");
        return;
    };
    let mut files = Vec::new();
    let mut folders = vec![suite.join("scripts")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "test") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut cases_of_all = Vec::new();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy();
        cases_of_all.extend(cases(&name, &String::from_utf8_lossy(&std::fs::read(file).unwrap())));
    }
    let (mut passed, mut refused, mut on_purpose, mut others) = (0, 0, 0, Vec::new());
    for Case { script, text, condition } in &cases_of_all {
        let shown = || format!("{script}: {} ({condition})", text.escape_ascii());
        match (read(text), condition.as_str()) {
            // What is wrong with it only the mailbox knows, or James alone.
            (Ok(_), "BAD") => {
                println!("read, and left to the backend: {}", shown());
                passed += 1;
            }
            (Ok(_), _) => passed += 1,
            (Err(_), "BAD" | "") => refused += 1,
            (Err(error), _) => {
                let upper = String::from_utf8_lossy(text).to_ascii_uppercase();
                match ON_PURPOSE.iter().find(|(word, _)| upper.contains(word)) {
                    Some(_) => on_purpose += 1,
                    None => others.push(format!("{}: {error}", shown())),
                }
            }
        }
    }
    let total = cases_of_all.len();
    println!(
        "conformance imap-james-mpt (commands) {}/{total}: {passed} read, {refused} refused as there; {on_purpose} refused on purpose",
        passed + refused
    );
    for (word, why) in ON_PURPOSE {
        println!("on purpose: {word}: {why}");
    }
    assert!(others.is_empty(), "{} refused without a reason:\n{}", others.len(), others.join("\n"));
    assert!(total > 1000, "{total}");
}
