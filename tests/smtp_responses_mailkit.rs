//! The suite smtp-responses-mailkit: replies of real servers, and what EHLO announces in them.

mod suites;

use facteur::base::Wire;
use facteur::smtp::{Extensions, Reply, ReplyReader};

/// What the replies of a file are: code, enhanced code, how many lines. Written down from the files.
fn expected(text: &str) -> Vec<(u16, Option<String>, usize)> {
    let mut replies = Vec::new();
    let mut lines = 0;
    for line in text.lines() {
        lines += 1;
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        let word = line[4..].split(' ').next().unwrap();
        let dotted = word.split('.').count() == 3 && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        replies.push((line[..3].parse().unwrap(), dotted.then(|| word.to_owned()), lines));
        lines = 0;
    }
    replies
}

/// The keywords that a file announces, and whether they were understood.
fn keywords(reply: &Reply) -> Vec<(String, bool)> {
    let extensions = Extensions::parse(reply);
    let known = |keyword: &str, params: &str| match keyword {
        "HELP" => extensions.help,
        "AUTH" => params.split(' ').eq(extensions.auth.iter().map(String::as_str)),
        "SIZE" => extensions.size == Some(params.parse().ok()),
        "ENHANCEDSTATUSCODES" => extensions.enhanced_status_codes,
        "BINARYMIME" => extensions.binary_mime,
        "CHUNKING" => extensions.chunking,
        "8BITMIME" => extensions.eight_bit_mime,
        "STARTTLS" => extensions.starttls,
        "PIPELINING" => extensions.pipelining,
        "DSN" => extensions.dsn,
        "REQUIRETLS" => extensions.require_tls,
        "SMTPUTF8" => extensions.smtputf8,
        _ => extensions.other.contains(&(keyword.to_owned(), params.to_owned())),
    };
    let lines = reply.lines().skip(1).map(|line| line.split_once(' ').unwrap_or((line, "")));
    lines.map(|(keyword, params)| (keyword.to_owned(), known(keyword, params))).collect()
}

#[test]
fn replies_of_real_servers_read_as_they_are_written() {
    let Some(dir) = suites::find("smtp-responses-mailkit") else { return };
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let (total, mut failed) = (files.len(), Vec::new());
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap().replace("\r\n", "\n");
        let octets = text.replace('\n', "\r\n");
        let expected = expected(&text);
        for cut in [1, 7, octets.len()] {
            let (mut wire, mut reader, mut replies) = (Wire::new(), ReplyReader::default(), Vec::new());
            for piece in octets.as_bytes().chunks(cut) {
                wire.feed(piece);
                while let Some(reply) = reader.read(&mut wire).unwrap() {
                    replies.push(reply);
                }
            }
            let came: Vec<_> = replies
                .iter()
                .map(|reply| (reply.code(), reply.enhanced().map(|code| code.to_string()), reply.lines().count()))
                .collect();
            let mut written = String::new();
            replies.iter().for_each(|reply| reply.write(&mut written).unwrap());
            let announced = replies.iter().filter(|_| name.contains("ehlo+")).flat_map(keywords);
            let unknown: Vec<_> = announced.filter(|(_, known)| !known).collect();
            if came != expected || written != octets || !unknown.is_empty() {
                failed.push((name.clone(), format!("{came:?} {unknown:?} {written}")));
            }
        }
    }
    println!("conformance smtp-responses-mailkit {}/{total}", total - failed.len());
    suites::otherwise(&failed, &[]);
}
