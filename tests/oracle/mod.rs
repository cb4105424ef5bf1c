//! What CPython 3.11's email package made of a message, as the conformance suites keep it, beside what we make of it.
//!
//! Where the two say the same in other forms, the forms are made one here: it shows file names and subjects as they stand, each
//! octet that is no ASCII as U+FFFD; it reads whatever is `message/*` as messages, groups of fields too; and a multipart in
//! which no part begins keeps its name there, where we call it the text that it is.

#![allow(dead_code)] // each test that includes this file uses a part of it

use aws_lc_rs::digest::{SHA256, digest};
use facteur::message::report::Report;
use facteur::message::{DefectKind, Encoding, Message, Part};
use facteur::text::words;
use serde_json::{Value, json};

/// The parts of a message, their types, encodings, names and contents, against those that a row of the oracle lists.
pub fn same_parts(message: &Message, row: &Value) -> Result<(), String> {
    let mut ours = Vec::new();
    list(message, &mut ours);
    let theirs = row["parts"].as_array().unwrap();
    for (n, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if !ours.is(theirs) {
            return Err(format!("part {n}:\n  ours   {ours:?}\n  theirs {theirs}"));
        }
    }
    if ours.len() != theirs.len() {
        return Err(format!("{} parts, theirs {}", ours.len(), theirs.len()));
    }
    Ok(())
}

/// The subject, single spaces for white space: folds are kept otherwise there.
pub fn same_subject(message: &Message, row: &Value) -> Result<(), String> {
    if row.get("subject_error").is_some() {
        return Ok(());
    }
    let field = message.header().get("subject");
    let loose = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (ours, theirs) = (field.map(|field| loose(&field.text())), row["subject"].as_str().map(loose));
    let as_it_stands = field.map(|field| loose(&words::decode(ascii(&field.unfolded()).as_bytes())));
    if theirs == ours || theirs == as_it_stands {
        return Ok(());
    }
    Err(format!("subject\n  ours   {ours:?}\n  theirs {theirs:?}"))
}

/// A part in their form.
#[derive(Debug)]
struct Shown {
    kind: String,
    encoding: Encoding,
    /// As we read it, and as it stands.
    names: [Option<String>; 2],
    content: Option<Vec<u8>>,
}

impl Shown {
    fn is(&self, theirs: &Value) -> bool {
        let content = self.content.as_ref().map(|octets| {
            // The hash is that of the content with line ends of LF, the size is not.
            let hash = digest(&SHA256, &without_cr(octets));
            let hash: String = hash.as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect();
            (octets.len(), hash)
        });
        let (size, hash) = (content.as_ref().map(|content| content.0), content.as_ref().map(|content| &content.1));
        self.kind == theirs["type"].as_str().unwrap()
            && self.encoding == Encoding::parse(theirs["cte"].as_str().unwrap().as_bytes())
            && self.names.iter().any(|name| json!(name) == theirs["filename"])
            && json!(size) == theirs["size"]
            && json!(hash) == theirs.get("sha256").cloned().unwrap_or_default()
    }
}

fn list(message: &Message, shown: &mut Vec<Shown>) {
    for part in message.all_parts() {
        let kind = part.content_type();
        let has_parts = part.is_multipart() || part.embedded().is_some();
        let is_message = kind.kind() == "message" && !part.encoding().is_encoded();
        shown.push(Shown {
            kind: if is_without_parts(message, part) { declared(part) } else { kind.to_string() },
            encoding: part.encoding(),
            names: [part.filename(), name_as_it_stands(part)],
            content: (!has_parts && !is_message).then(|| part.decode().into_owned()),
        });
        if has_parts || !is_message {
            continue;
        }
        if kind.is("message", "delivery-status") {
            // A group of fields is a message without text there, and so is nothing between an empty line and a boundary.
            let before_more = part.offset() + part.raw().len() < message.raw().len();
            let nothing = usize::from(before_more && without_cr(&part.decode()).ends_with(b"\n\n"));
            shown.extend((0..Report::groups(part).len() + nothing).map(|_| Shown {
                kind: "text/plain".to_owned(),
                encoding: Encoding::parse(b""),
                names: [None, None],
                content: Some(Vec::new()),
            }));
        } else {
            list(&Message::parse(part.decode().into_owned()), shown);
        }
    }
}

fn is_without_parts(message: &Message, part: Part<'_>) -> bool {
    message.defects().iter().any(|defect| {
        matches!(defect.kind, DefectKind::NoParts | DefectKind::NoBoundary)
            && (part.offset()..=part.offset() + part.raw().len()).contains(&defect.at)
    }) && !part.is_multipart()
}

/// The type that the part gives itself.
fn declared(part: Part<'_>) -> String {
    let declared = part.header().get("content-type").and_then(|field| field.content_type());
    declared.map_or_else(|| "text/plain".to_owned(), |declared| declared.to_string())
}

fn name_as_it_stands(part: Part<'_>) -> Option<String> {
    let disposition = part.disposition();
    let content_type = part.header().get("content-type").and_then(|field| field.content_type());
    let lists = [
        (disposition.as_ref().map(|disposition| disposition.params()), "filename"),
        (content_type.as_ref().map(|content_type| content_type.params()), "name"),
    ];
    lists.into_iter().find_map(|(params, name)| Some(ascii(params?.octets(name)?)))
}

fn without_cr(octets: &[u8]) -> Vec<u8> {
    let next = octets.iter().skip(1).map(Some).chain([None]);
    octets.iter().zip(next).filter(|pair| *pair != (&b'\r', Some(&b'\n'))).map(|(octet, _)| *octet).collect()
}

/// Each octet that is no ASCII as U+FFFD.
fn ascii(octets: &[u8]) -> String {
    octets.iter().map(|octet| if octet.is_ascii() { char::from(*octet) } else { char::REPLACEMENT_CHARACTER }).collect()
}
