//! The suite mailbox-variants: one set of messages in each format of a mailbox.
#![cfg(unix)]

mod suites;

use std::fs;
use std::path::{Path, PathBuf};

use facteur::store::mbox::{self, Dialect, Reader};
use facteur::store::{Mailbox, Store, maildir};

/// Cases that fail, and why.
const ON_PURPOSE: &[(&str, &str)] = &[("MH", "numbered files are not kept yet")];

fn suite() -> Option<PathBuf> {
    suites::find("mailbox-variants")
}

/// A directory that goes when this goes.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("facteur-variants-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Truth {
    messages: Vec<String>,
    senders: Vec<String>,
    expected: serde_json::Value,
}

impl Truth {
    fn read(dir: &Path) -> Self {
        let json =
            |name: &str| serde_json::from_slice::<serde_json::Value>(&fs::read(dir.join(name)).unwrap()).unwrap();
        let truth = json("messages.json");
        let strings = |name: &str| serde_json::from_value::<Vec<String>>(truth[name].clone()).unwrap();
        assert_eq!(truth["date"], "Tue Jul  1 10:52:37 2003");
        Self { messages: strings("messages"), senders: strings("envelope_senders"), expected: json("expected.json") }
    }

    /// What a file of this dialect can restore, its lines ended by CRLF.
    fn in_dialect(&self, dialect: Dialect) -> Vec<String> {
        let known = |message: &String| {
            let message = match dialect {
                // A known loss: what was quoted once before it was stored.
                Dialect::Mboxo | Dialect::Mboxcl => message.replace("\n>From ", "\nFrom "),
                _ => message.clone(),
            };
            message.replace('\n', "\r\n")
        };
        self.messages.iter().map(known).collect()
    }
}

/// Only these dialects add or replace a count, which is no part of the truth.
fn without_count(dialect: Dialect, message: &str) -> String {
    if !matches!(dialect, Dialect::Mboxcl | Dialect::Mboxcl2) {
        return message.to_owned();
    }
    let (header, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
    let kept: Vec<_> = header.split("\r\n").filter(|line| !line.starts_with("Content-Length:")).collect();
    format!("{}\r\n\r\n{body}", kept.join("\r\n"))
}

fn check_mbox(file: &Path, dialect: Dialect, truth: &Truth) -> Result<(), String> {
    let octets = fs::read(file).unwrap();
    let expected: Vec<_> = truth.in_dialect(dialect).iter().map(|message| without_count(dialect, message)).collect();
    let detected = Dialect::detect(&octets);
    // mboxo cannot be told from mboxrd.
    if detected != dialect && dialect != Dialect::Mboxo {
        return Err(format!("taken for {detected:?}"));
    }
    let mut reader = Reader::new(dialect);
    reader.feed(&octets);
    reader.close();
    let items: Vec<_> = std::iter::from_fn(|| reader.next()).collect();
    let text = |octets: &[u8]| {
        let text = String::from_utf8(octets.to_vec()).unwrap();
        without_count(dialect, &text.replace("\r\n", "\n").replace('\n', "\r\n"))
    };
    let read: Vec<_> = items.iter().map(|item| text(&item.message)).collect();
    if read != expected {
        return Err(format!("read {read:#?}"));
    }
    for (item, sender) in items.iter().zip(&truth.senders) {
        let from = item.from.as_ref().ok_or("no From line")?;
        if from.sender() != sender.as_bytes() || from.date().map(|date| date.unix()) != Some(1_057_056_757) {
            return Err(format!("From line {from}"));
        }
    }
    if reader.skipped() != 0 {
        return Err(format!("{} octets were passed over", reader.skipped()));
    }
    if dialect == Dialect::Mmdf {
        return Ok(());
    }
    let dir = Temporary::new(file.file_name().unwrap().to_str().unwrap());
    let mut store = mbox::Store::open(&dir.0).unwrap();
    store.dialect = dialect;
    fs::write(dir.0.join("INBOX"), &octets).unwrap();
    let inbox = store.open("INBOX").map_err(|error| error.to_string())?;
    let mut read = Vec::new();
    for entry in inbox.messages() {
        let message = inbox.read(entry.uid).map_err(|error| error.to_string())?;
        if entry.size != message.len() as u64 || entry.received.unix() != 1_057_056_757 || !entry.flags.is_empty() {
            return Err(format!("told as {entry:?}"));
        }
        read.push(text(&message));
    }
    if read != expected {
        return Err(format!("kept {read:#?}"));
    }
    if fs::read(dir.0.join("INBOX")).unwrap() != octets {
        return Err("the file was changed by reading it".into());
    }
    Ok(())
}

fn check_maildir(dir: &Path, truth: &Truth) -> Result<(), String> {
    let copy = Temporary::new("maildir");
    copy_tree(dir, &copy.0);
    let store = maildir::Store::open(&copy.0).unwrap();
    let inbox = store.open("INBOX").map_err(|error| error.to_string())?;
    let expected = truth.expected["maildir"].as_array().unwrap();
    if inbox.messages().len() != expected.len() {
        return Err(format!("{} messages", inbox.messages().len()));
    }
    for (entry, expected) in inbox.messages().iter().zip(expected) {
        let number = usize::try_from(expected["message"].as_u64().unwrap()).unwrap();
        let message = inbox.read(entry.uid).map_err(|error| error.to_string())?;
        if message != truth.messages[number].replace('\n', "\r\n") || entry.size != message.len() as u64 {
            return Err(format!("message {number} is {}", message.escape_ascii()));
        }
        let mut letters: Vec<char> = entry
            .flags
            .iter()
            .map(|flag| match flag.to_string().as_str() {
                r"\Draft" => 'D',
                r"\Flagged" => 'F',
                "$Forwarded" => 'P',
                r"\Answered" => 'R',
                r"\Seen" => 'S',
                r"\Deleted" => 'T',
                other => panic!("{other}"),
            })
            .collect();
        letters.sort_unstable();
        if letters.iter().collect::<String>() != expected["flags"] {
            return Err(format!("message {number} has the flags {letters:?}"));
        }
    }
    Ok(())
}

fn check_folders(dir: &Path, truth: &Truth) -> Result<(), String> {
    let copy = Temporary::new("folders");
    copy_tree(dir, &copy.0);
    let store = maildir::Store::open(&copy.0).unwrap();
    let mut found: Vec<String> = store
        .list()
        .unwrap()
        .into_iter()
        .filter(|line| line.selectable && line.name != "INBOX")
        .map(|line| line.name)
        .collect();
    found.sort();
    let expected: Vec<String> = serde_json::from_value(truth.expected["maildir_folders"].clone()).unwrap();
    let mut expected: Vec<String> = expected.iter().map(|name| name.replace('.', "/")).collect();
    expected.sort();
    if found != expected {
        return Err(format!("found {found:?}"));
    }
    for name in found {
        let mailbox = store.open(&name).map_err(|error| error.to_string())?;
        if !mailbox.messages().is_empty() {
            return Err(format!("{name} has messages"));
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

#[test]
fn every_store_gives_the_same_messages() {
    let Some(dir) = suite() else {
        println!("conformance mailbox-variants skipped: no suite");
        return;
    };
    let truth = Truth::read(&dir);
    assert_eq!(truth.messages.len(), 5);
    let cases = [
        ("mboxo", check_mbox(&dir.join("mboxo.mbox"), Dialect::Mboxo, &truth)),
        ("mboxrd", check_mbox(&dir.join("mboxrd.mbox"), Dialect::Mboxrd, &truth)),
        ("mboxrd-crlf", check_mbox(&dir.join("mboxrd-crlf.mbox"), Dialect::Mboxrd, &truth)),
        ("mboxcl", check_mbox(&dir.join("mboxcl.mbox"), Dialect::Mboxcl, &truth)),
        ("mboxcl2", check_mbox(&dir.join("mboxcl2.mbox"), Dialect::Mboxcl2, &truth)),
        ("mmdf", check_mbox(&dir.join("mmdf.mmdf"), Dialect::Mmdf, &truth)),
        ("Maildir", check_maildir(&dir.join("Maildir"), &truth)),
        ("Maildir folders", check_folders(&dir.join("Maildir"), &truth)),
        ("MH", Err("not supported".into())),
    ];
    let passed = cases.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    println!("conformance mailbox-variants {passed}/{}", cases.len());
    for (name, outcome) in cases {
        let purpose = ON_PURPOSE.iter().find(|(known, _)| *known == name);
        match (outcome, purpose) {
            (Ok(()), None) => {}
            (Err(_), Some((_, why))) => println!("  {name}: {why}"),
            (Ok(()), Some(_)) => panic!("{name} passes, but is listed as failing"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
}
