//! The suite pop3-responses-mailkit: what real servers say, read by the codecs.

mod suites;

use std::path::PathBuf;

use facteur::pop3::{Capability, DropListing, Reply, ScanListing, UniqueId, lines::unstuffed};

/// Not told by a codec: that the numbers of a listing have a gap is known only to who knows what was deleted.
const FOR_THE_CLIENT: [&str; 1] = ["comcast/list-error2.txt"];

fn suite() -> Option<PathBuf> {
    suites::find("pop3-responses-mailkit")
}

/// Reads one file as the answer that its name says it is; what it says after `Err` is what could not be read.
fn read(name: &str, text: &[u8]) -> Result<(), String> {
    let mut lines = text.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    // RFC 5034 §4: "a line consisting of a "+" character, followed by a single space" is no reply.
    if name == "exchange/plus.txt" {
        return if first.starts_with(b"+") { Ok(()) } else { Err("no challenge".into()) };
    }
    let reply = Reply::parse(first).map_err(|error| error.to_string())?;
    let text = reply.text().as_bytes();
    let kind = name.split('/').next_back().unwrap_or_default();
    let mut each = |read: &dyn Fn(&[u8]) -> Result<(), String>| {
        for line in &mut lines {
            match unstuffed(line) {
                None => return Ok(()),
                Some(line) => read(line)?,
            }
        }
        Err("no end".to_owned())
    };
    let told = |error: facteur::base::ParseError| error.to_string();
    match kind {
        _ if kind.starts_with("stat") => DropListing::parse(text).map(drop).map_err(told),
        _ if kind.starts_with("list1") => ScanListing::parse(text).map_err(told).and_then(|listing| {
            // It was asked for message 1.
            if listing.message.get() == 1 { Ok(()) } else { Err("another message".into()) }
        }),
        _ if kind.starts_with("list") => each(&|line| ScanListing::parse(line).map(drop).map_err(told)),
        _ if kind.starts_with("uidl") => each(&|line| UniqueId::parse(line).map(drop).map_err(told)),
        _ if kind.starts_with("capa") => each(&|line| Capability::parse(line).map(drop).map_err(told)),
        _ if kind.starts_with("retr") || kind.starts_with("getlang") => each(&|_| Ok(())),
        _ => Ok(()),
    }
}

#[test]
fn replies_of_real_servers_are_read() {
    let Some(suite) = suite() else {
        println!("pop3-responses-mailkit: skipped, the suite is not here");
        return;
    };
    let (mut passed, mut total) = (0, 0);
    for folder in ["comcast", "common", "exchange", "lang"] {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(suite.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
            total += 1;
            if FOR_THE_CLIENT.contains(&name.as_str()) {
                println!("{name}: passed over, the client must see the gap");
                continue;
            }
            let result = read(&name, &std::fs::read(&file).unwrap());
            assert_eq!(result.is_ok(), !name.contains("-error"), "{name}: {result:?}");
            passed += 1;
        }
    }
    println!("conformance pop3-responses-mailkit {passed}/{total}");
    assert!(passed + FOR_THE_CLIENT.len() >= 37, "the suite is here whole");
}
