//! The suite `mime-mail-parser`: 30 messages and 251 header values, as the crate mail-parser reads them.
//!
//! Its expectations are the output of that crate. White space is compared loosely: it collapses folds, we keep them.

mod suites;

use std::path::{Path, PathBuf};

use facteur::address::{Entry, Mailbox};
use facteur::base::Timestamp;
use facteur::message::{ContentType, Disposition, Field, Message, Part};
use serde_json::{Value, json};

const SUITE: &str = "mime-mail-parser";

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "rfc/000",
        "words that stand for base64 are decoded as far as they go, other octets ignored (RFC 2045 §6.8); they show them as text, though the part is audio/basic; OddBase64 tells",
    ),
    ("rfc/000.crlf", "the same"),
    (
        "thirdparty/002",
        "an incomplete last group of base64 gives the octets that it has, for padding may be lost on the way (RFC 2045 §6.8); they drop half of them",
    ),
    ("thirdparty/002.crlf", "the same"),
    (
        "thirdparty/005",
        "they take a boundary in the middle of a line for one; it counts at the start of a line only (RFC 2046 §5.1.1)",
    ),
    (
        "thirdparty/005.crlf",
        "the suite's CRLF cuts UTF-16 in two; half a character is U+FFFD, they drop it without a word",
    ),
    (
        "thirdparty/010",
        "of two parameters of one name the first counts, as with every other; they drop an empty one. RepeatedParam tells",
    ),
    ("thirdparty/010.crlf", "the same"),
    (
        "thirdparty/015",
        "messages cut off in their header: the boundary ends it (RFC 2046 §5.1.2); they read over it and lose the parts behind. CutHeader tells",
    ),
    ("thirdparty/015.crlf", "the same"),
    (
        "address/9",
        "a backslash escapes the octet behind it, here a line end that is no fold of RFC 5322; they let it escape the bracket on the next line",
    ),
    ("address/10", "a comment is no address (RFC 5322 §3.2.2); they make an entry of one. Group::comments has it"),
    ("address/11", "the same"),
    (
        "content_type/31",
        "a charset in each section: RFC 2231 §4.1 has it in the first only, and what follows is text, quotes and all",
    ),
    (
        "content_type/34",
        "white space between encoded words is dropped (RFC 2047 §6.2), inside of quotes too, where long names are folded so",
    ),
    ("content_type/47", "`=` is no media type (RFC 2045 §5.1)"),
    ("content_type/48", "`name=value` is no media type (RFC 2045 §5.1); as a disposition its word is `name`"),
    ("content_type/58", "the same"),
    ("content_type/61", "names with several stars are none of RFC 2231 §7; whoever wrote them means harm"),
    ("content_type/76", "a subtype is a token, so `/` ends it (RFC 2045 §5.1); LooseParam tells"),
    ("content_type/77", "a subtype is a token"),
    ("content_type/78", "a subtype is a token"),
    ("date/12", "eighteen numbers are no date: RFC 5322 §3.3 has colons in the time"),
    ("id/6", "white space and comments in an identifier are passed over (RFC 5322 §4.5.4)"),
    ("unstructured/21", "no white space where there was none: theirs is not in the message"),
    ("unstructured/27", "the same"),
    ("unstructured/28", "the same"),
];

#[test]
fn messages_and_values_of_mail_parser() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let (mut total, mut failed) = (0, Vec::new());
    let mut case = |name: String, result: Result<(), String>| {
        total += 1;
        if let Err(why) = result {
            failed.push((name, why));
        }
    };
    for folder in ["rfc", "thirdparty"] {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(root.join("eml").join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "eml")) {
            let raw: Vec<u8> = std::fs::read(file).unwrap();
            let raw = without_crlf(&raw);
            let name = format!("{folder}/{}", file.file_stem().unwrap().to_string_lossy());
            case(name.clone(), message(&raw, &json_of(&file.with_extension("json"))));
            let crlf = raw.iter().flat_map(|octet| if *octet == b'\n' { b"\r\n" } else { std::slice::from_ref(octet) });
            let crlf: Vec<u8> = crlf.copied().collect();
            case(format!("{name}.crlf"), message(&crlf, &json_of(&file.with_extension("crlf.json"))));
        }
    }
    for (kind, check) in [
        (
            "address",
            (|field, expected| same(&addresses(field), &addresses_expected(expected)))
                as fn(Field<'_>, &Value) -> Result<(), String>,
        ),
        ("content_type", |field, expected| same(&content_type(field), &content_type_expected(expected))),
        ("date", |field, expected| same(&field.date().map_or(json!(null), date), &date_expected(expected))),
        ("id", |field, expected| {
            same(
                &json!(field.ids().collect::<Vec<_>>()),
                &if expected.is_null() { json!([]) } else { expected.clone() },
            )
        }),
        ("list", |field, expected| same(&list(field), &if expected.is_null() { json!([]) } else { expected.clone() })),
        ("unstructured", |field, expected| {
            same(&json!(loose(&field.text())), &json!(loose(expected.as_str().unwrap_or(""))))
        }),
    ] {
        let rows = json_of(&root.join(format!("{kind}.json")));
        for (n, row) in rows.as_array().unwrap().iter().enumerate() {
            let text = row["header"].as_str().unwrap();
            let header = Message::parse(format!("X:{text}\n\n"));
            let result = check(header.header().get("x").unwrap(), &row["expected"]);
            case(format!("{kind}/{n}"), result.map_err(|why| format!("{text:?}: {why}")));
        }
    }
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    for (name, why) in OTHERWISE {
        println!("  otherwise: {name}: {why}");
    }
    let known = |name: &str| OTHERWISE.iter().any(|(known, _)| *known == name);
    let unknown: Vec<_> = failed.iter().filter(|(name, _)| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let passing: Vec<_> = OTHERWISE.iter().filter(|(known, _)| !failed.iter().any(|(name, _)| name == known)).collect();
    assert!(passing.is_empty(), "these pass now: {passing:#?}");
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}

/// Each CRLF made LF, as the suite did before it was run.
fn without_crlf(raw: &[u8]) -> Vec<u8> {
    let next = raw.iter().skip(1).map(Some).chain([None]);
    raw.iter()
        .zip(next)
        .filter(|(octet, next)| **octet != b'\r' || *next != Some(&b'\n'))
        .map(|(octet, _)| *octet)
        .collect()
}

fn json_of(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn same(ours: &Value, theirs: &Value) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("\n  ours   {ours}\n  theirs {theirs}")) }
}

/// Words with single spaces.
fn loose(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every text in it with single spaces.
fn loose_all(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(loose(text)),
        Value::Array(all) => all.iter().map(loose_all).collect(),
        Value::Object(all) => all.iter().map(|(name, value)| (name.clone(), loose_all(value))).collect(),
        other => other.clone(),
    }
}

fn message(raw: &[u8], expected: &Value) -> Result<(), String> {
    let message = Message::parse(raw.to_vec());
    tree(message.root(), 0, expected)
}

/// Compares the parts of one message, of which embedded messages are parts with a message in them.
fn tree(root: Part<'_>, base: usize, expected: &Value) -> Result<(), String> {
    let mut parts = Vec::new();
    let mut waiting = vec![root];
    while let Some(part) = waiting.pop() {
        parts.push(part);
        if part.is_multipart() {
            let mut children: Vec<_> = part.children().collect();
            children.reverse();
            waiting.extend(children);
        }
    }
    let theirs = expected["parts"].as_array().unwrap();
    same(&json!(parts.len()), &json!(theirs.len()))?;
    for (n, (part, their)) in parts.iter().zip(theirs).enumerate() {
        let at = |why: String| format!("part {n}: {why}");
        let offsets = json!([part.offset() - base, part.body_offset() - base, part.offset() + part.raw().len() - base]);
        same(&offsets, &json!([their["offset_header"], their["offset_body"], their["offset_end"]])).map_err(at)?;
        headers(*part, base, &their["headers"]).map_err(|why| format!("part {n}: {why}"))?;
        content(*part, &their["body"]).map_err(|why| format!("part {n}: {why}"))?;
    }
    Ok(())
}

fn content(part: Part<'_>, body: &Value) -> Result<(), String> {
    let Some((kind, value)) = body.as_object().and_then(|body| body.iter().next()) else { return Err("body".into()) };
    match kind.as_str() {
        "Multipart" => same(&json!(part.is_multipart()), &json!(true)),
        "Text" | "Html" => same(&json!(part.text()), value),
        "Binary" | "InlineBinary" => same(&json!(part.decode()), value),
        "Message" => match part.embedded() {
            Some(inner) => tree(inner, 0, value),
            None => {
                let inner = part.message().ok_or("no message")?;
                tree(inner.root(), 0, value)
            }
        },
        _ => Err(format!("a body of kind {kind}")),
    }
}

fn headers(part: Part<'_>, base: usize, expected: &Value) -> Result<(), String> {
    let fields: Vec<_> = part.header().fields().filter(|field| !field.name().is_empty()).collect();
    let theirs = expected.as_array().unwrap();
    same(&json!(fields.len()), &json!(theirs.len()))?;
    let mut at = part.offset() - base;
    for (field, their) in fields.iter().zip(theirs) {
        let name = match &their["name"] {
            Value::String(name) => name.replace('_', "-"),
            other => other["other"].as_str().unwrap().to_owned(),
        };
        same(&json!(field.name().to_lowercase()), &json!(name.to_lowercase()))?;
        same(&json!([at, at + field.raw().len()]), &json!([their["offset_field"], their["offset_end"]]))?;
        at += field.raw().len();
        let value = &their["value"];
        let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { continue };
        let result = match kind.as_str() {
            "Text" if ["message-id", "content-id", "in-reply-to"].contains(&name.as_str()) => {
                same(&json!(field.ids().collect::<Vec<_>>()), &json!([value]))
            }
            "Text" if name == "return-path" => same(&json!(field.mailboxes().next().unwrap().to_string()), value),
            "Text" => same(&json!(loose(&field.text())), &json!(loose(value.as_str().unwrap()))),
            "TextList" => same(&json!(field.ids().collect::<Vec<_>>()), value),
            "Address" => same(&addresses(*field), &addresses_expected(value)),
            "ContentType" => same(&content_type(*field), &content_type_expected(value)),
            "DateTime" => same(&field.date().map_or(json!(null), date), &date_expected(value)),
            "Received" => same(&received(*field, value), &received_expected(value)),
            _ => Err(format!("a value of kind {kind}")),
        };
        result.map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

fn addresses(field: Field<'_>) -> Value {
    let entries = field.addresses();
    let shown = |mailbox: &Mailbox<'_>| {
        // They take a route for a part of the address.
        let route = mailbox.route().map_or(String::new(), |route| format!("{route}:"));
        let mut name = mailbox.name().map(std::borrow::Cow::into_owned);
        let mut address = Some(format!("{route}{mailbox}"));
        // They show comments behind the name, or in place of it.
        if !mailbox.comments().is_empty() {
            let comments = mailbox.comments().join(" ");
            let fallback = mailbox.comments().last() == name.as_ref();
            name = Some(name.filter(|_| !fallback).map_or(comments.clone(), |name| format!("{name} ({comments})")));
        }
        // They take a word without "@" for a name, unless it is in brackets or a comment names it.
        let bracketed = field.value().contains(&b'<');
        if mailbox.domain().is_none() && !bracketed && (mailbox.comments().is_empty() || mailbox.local().is_empty()) {
            name = address.filter(|address| !address.is_empty()).or(name);
            address = None;
        }
        json!({"name": name.map(|name| loose(&name)), "address": address.map(|address| loose(&address))})
    };
    if entries.iter().all(|entry| matches!(entry, Entry::Mailbox(_))) {
        let all: Vec<Value> = entries.iter().flat_map(|entry| entry.mailboxes().iter().map(shown)).collect();
        return if all.is_empty() { json!(null) } else { json!({ "List": all }) };
    }
    // They make a group without a name of what stands between groups.
    let mut groups: Vec<Value> = Vec::new();
    let mut loose_ones: Vec<Value> = Vec::new();
    let nameless = |ones: &mut Vec<Value>, groups: &mut Vec<Value>| {
        if !ones.is_empty() {
            groups.push(json!({"name": null, "addresses": std::mem::take(ones)}));
        }
    };
    for entry in &entries {
        match entry {
            Entry::Mailbox(mailbox) => loose_ones.push(shown(mailbox)),
            Entry::Group(group) => {
                nameless(&mut loose_ones, &mut groups);
                let members: Vec<Value> = group.members.iter().map(shown).collect();
                groups.push(json!({"name": loose(&group.name()), "addresses": members}));
            }
        }
    }
    nameless(&mut loose_ones, &mut groups);
    json!({ "Group": groups })
}

/// With single spaces in names, and no white space in addresses: it is no part of them (RFC 5322 §4.4), but they keep it.
fn addresses_expected(value: &Value) -> Value {
    match loose_all(value) {
        Value::Object(mut all) => {
            for (name, value) in &mut all {
                let address = value.as_str().filter(|_| name == "address").map(|text| json!(text.replace(' ', "")));
                *value = address.unwrap_or_else(|| addresses_expected(value));
            }
            Value::Object(all)
        }
        Value::Array(all) => all.iter().map(addresses_expected).collect(),
        other => other,
    }
}

/// Type, subtype, and the parameters by name.
fn content_type(field: Field<'_>) -> Value {
    let raw = match (ContentType::parse(field.value()), Disposition::parse(field.value())) {
        (Some(content_type), _) => {
            (content_type.kind().to_owned(), json!(content_type.subtype()), content_type.params().clone())
        }
        (None, Some(disposition)) => (disposition.kind().to_owned(), json!(null), disposition.params().clone()),
        (None, None) => return json!(null),
    };
    let mut params = serde_json::Map::new();
    for (name, _) in raw.2.raw() {
        let name = name.split('*').next().unwrap().to_lowercase();
        // They drop what has no name or no value.
        if let Some(value) = raw.2.value(&name).filter(|value| !value.is_empty() && !name.is_empty()) {
            params.insert(name, json!(value));
        }
    }
    json!([raw.0, raw.1, params])
}

fn content_type_expected(expected: &Value) -> Value {
    if expected.is_null() {
        return json!(null);
    }
    let lower = |value: &Value| value.as_str().map(str::to_lowercase);
    let mut params = serde_json::Map::new();
    for attribute in expected["attributes"].as_array().into_iter().flatten() {
        let (name, value) = match attribute {
            Value::Array(pair) => (&pair[0], &pair[1]),
            object => (&object["name"], &object["value"]),
        };
        let name = name.as_str().unwrap().to_lowercase();
        // The language of a parameter, which we pass over.
        if !name.ends_with("-language") {
            params.entry(name).or_insert(value.clone());
        }
    }
    json!([lower(&expected["c_type"]), lower(&expected["c_subtype"]), params])
}

fn date(stamp: Timestamp) -> Value {
    json!([stamp.unix(), stamp.offset().unwrap_or(0)])
}

fn date_expected(expected: &Value) -> Value {
    if expected.is_null() || expected["month"] == 0 {
        return json!(null);
    }
    let number = |name: &str| expected[name].as_i64().unwrap();
    let sign = if expected["tz_before_gmt"].as_bool().unwrap() { "-" } else { "+" };
    let text = format!(
        "{} {} {:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
        number("day"),
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
            [number("month") as usize - 1],
        number("year"),
        number("hour"),
        number("minute"),
        number("second"),
        number("tz_hour"),
        number("tz_minute"),
    );
    Timestamp::parse(text.as_bytes()).map_or(json!("unreadable"), date)
}

/// A list with commas, as Keywords is.
fn list(field: Field<'_>) -> Value {
    json!(field.list().iter().map(|word| loose(word)).collect::<Vec<_>>())
}

/// The hosts, the address of the client, the link, the protocol, the name, the recipient. Dates are not compared: they keep a
/// second 232, and our tests of dates are elsewhere.
fn received(field: Field<'_>, theirs: &Value) -> Value {
    let received = field.received();
    let recipient = received.recipients().next().map(|mailbox| mailbox.to_string());
    // They know some protocols only.
    let with = received.with().filter(|_| !theirs["with"].is_null());
    let from = received.from().unwrap_or_default();
    let text = |text: &str| json!(Some(text.trim_matches(['[', ']'])).filter(|text| !text.is_empty()));
    json!([
        text(&from.name()),
        from.address().map(|address| address.to_string()),
        text(&received.by().unwrap_or_default().name()),
        received.via(),
        with,
        received.id(),
        recipient,
    ])
}

fn received_expected(value: &Value) -> Value {
    let host = |host: &Value| match host.as_object().and_then(|host| host.values().next()) {
        Some(name) => json!(name.as_str().map(str::trim)),
        None => json!(null),
    };
    let (from, by) = (host(&value["from"]), host(&value["by"]));
    // They have no address where the client is named by one.
    let address = if value["from"].get("IpAddr").is_some() { from.clone() } else { value["from_ip"].clone() };
    let id = value["id"].as_str().map(str::trim);
    json!([from, address, by, value["via"], value["with"], id, value["for_"]])
}
