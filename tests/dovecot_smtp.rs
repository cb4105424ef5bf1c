//! The suite `dovecot-vectors`, its tables of SMTP: addresses, paths, parameters, strings, and the dots of DATA.

mod suites;

use facteur::address::{Address, list};
use facteur::base::Wire;
use facteur::smtp::data::{BareNewlines, Data, DataReader};
use facteur::smtp::{Command, MailParams, Quirks, RcptParams};
use serde_json::Value;

const SUITE: &str = "dovecot-vectors";

/// Rows that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("valid_mailbox/14", "a label that begins with a hyphen: RFC 5321 §4.1.2 has sub-domain = Let-dig [Ldh-str]"),
    ("valid_mailbox/19", "two dots beside each other: Dot-string of RFC 5321 §4.1.2 has none"),
    ("valid_mail_params/1", "AUTH= holds a mailbox (RFC 4954 §5), and that has a domain"),
    ("valid_mail_params/9", "ENVID= without a value: esmtp-value of RFC 5321 §4.1.2 has one character at least"),
    ("valid_rcpt_params/1", "the brackets are not taken off: ORCPT= goes on as the sender wrote it (RFC 3461 §5.2.1)"),
    ("valid_rcpt_params/3", "the same"),
    ("invalid_rcpt_params/1", "what is no address of the type rfc822 goes on as it is, for a report only"),
    ("invalid_string/1", "what people type is taken up to the end of the line"),
    ("invalid_string/4", "the same"),
    ("valid_string/0", "VRFY of nothing is malformed"),
    ("dot/0", "a LF alone ends no line, so no message: RFC 5321 §4.1.1.4"),
    ("dot/1", "the same"),
    ("dot/2", "the same"),
    ("dot/3", "the same"),
    ("dot/4", "the same"),
    ("dot/5", "the same"),
    ("dot/6", "the same"),
];

/// What the parameter stands for is switched on in both, or is not known here.
fn is_policy(row: &Value, word: &str) -> bool {
    row["flags"]["c"].as_str().is_some_and(|flags| flags.contains(word))
}

/// A path as MAIL has it, written again.
fn path(text: &str, quirks: &Quirks) -> Option<String> {
    let line = format!("MAIL FROM:{text}");
    match Command::parse(line.as_bytes(), quirks).ok()? {
        Command::Mail { from, params } if params == MailParams::default() => Some(from.to_string()),
        _ => None,
    }
}

/// A message as DATA has it, cut into octets: the text and what is left, where it has an end.
fn message(octets: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut reader = DataReader::default();
    reader.bare_newlines = BareNewlines::Normalise;
    let (mut wire, mut text, mut rest) = (Wire::new(), Vec::new(), octets.iter());
    loop {
        match reader.read(&mut wire) {
            Data::Chunk(chunk) => text.extend_from_slice(chunk),
            Data::End => return Some((text, [wire.unread(), rest.as_slice()].concat())),
            Data::NeedInput => wire.feed(&[*rest.next()?]),
        }
    }
}

#[test]
fn tables_of_smtp() {
    let Some(root) = suites::find(SUITE) else { return };
    let table = |file: &str, name: &str| -> Vec<Value> {
        let all: Value = serde_json::from_slice(&std::fs::read(root.join(file)).unwrap()).unwrap();
        all[name].as_array().unwrap().clone()
    };
    let (mut total, mut skipped, mut failed) = (0, 0, Vec::new());
    let mut case = |name: String, ours: Option<String>, theirs: Option<String>| {
        total += 1;
        if ours != theirs {
            failed.push((name, format!("ours {ours:?}, theirs {theirs:?}")));
        }
    };
    let input = |row: &Value| row["input"].as_str().unwrap().to_owned();
    let output = |row: &Value| row["output"].as_str().map_or_else(|| input(row), str::to_owned);

    const ADDRESSES: &str = "test-smtp-address.json";
    let invalid: Vec<Value> =
        table(ADDRESSES, "invalid_mailbox_parse_tests").iter().map(|row| row["input"].clone()).collect();
    for (n, row) in table(ADDRESSES, "valid_mailbox_parse_tests").iter().enumerate() {
        // No domain, or nothing at all: forms that only they have a use for.
        if is_policy(row, "ALLOW_EMPTY") || is_policy(row, "ALLOW_LOCALPART") {
            skipped += 1;
            continue;
        }
        let strict = input(row).parse::<Address>().ok();
        // What their strict reader refuses is for their lenient one, and ours is that of lists.
        let lenient = invalid.contains(&row["input"]).then(|| list::mailboxes(input(row).as_bytes()).next()?.address());
        let ours = strict.or(lenient.flatten()).map(|address| address.to_string());
        // Addresses in brackets are written as the standard library has them.
        let theirs = output(row).replace("::127.0.0.1]", "::7f00:1]");
        case(format!("valid_mailbox/{n}"), ours, Some(theirs));
    }
    for (n, row) in table(ADDRESSES, "invalid_mailbox_parse_tests").iter().enumerate() {
        // They have no SMTPUTF8.
        let ours = input(row).parse::<Address>().ok().filter(Address::is_ascii).map(|address| address.to_string());
        case(format!("invalid_mailbox/{n}"), ours, None);
    }
    let strict = Quirks::default();
    let mut bare = Quirks::default();
    bare.no_brackets = true;
    let quirks = |row: &Value| if is_policy(row, "BRACKETS_OPTIONAL") { bare } else { strict };
    for (n, row) in table(ADDRESSES, "valid_path_parse_tests").iter().enumerate() {
        // What is broken is dropped there; here it is refused.
        if is_policy(row, "ALLOW_LOCALPART") || row["address"]["localpart"].is_null() && input(row) != "<>" {
            skipped += 1;
            continue;
        }
        case(format!("valid_path/{n}"), path(&input(row), &quirks(row)), Some(output(row)));
    }
    for (n, row) in table(ADDRESSES, "invalid_path_parse_tests").iter().enumerate() {
        // The null path is one of MAIL; a forward-path of nothing is refused. What brackets hold is not told from its flags.
        if input(row) == "<>" {
            skipped += 1;
            continue;
        }
        // As above.
        let ours = path(&input(row), &quirks(row)).filter(|path| path.is_ascii());
        case(format!("invalid_path/{n}"), ours, None);
    }

    const PARAMS: &str = "test-smtp-params.json";
    let mail = |text: &str| MailParams::parse(text.as_bytes()).ok().map(|params| params.to_string().trim().to_owned());
    let rcpt = |text: &str| RcptParams::parse(text.as_bytes()).ok().map(|params| params.to_string().trim().to_owned());
    let known = |row: &Value| row["extensions"].is_null() && row["body_extensions"].is_null();
    // Whether a parameter was announced is asked in the server's talks.
    let announced = |row: &Value| {
        let caps = row["caps"]["c"].as_str().unwrap_or_default();
        match input(row).as_str() {
            text if text.starts_with("AUTH") => caps.contains("AUTH"),
            "BODY=BINARYMIME" => caps.contains("CHUNKING"),
            text if text.starts_with("BODY") => caps.contains("8BITMIME"),
            text if text.starts_with("SIZE") => caps.contains("SIZE"),
            _ => caps.contains("DSN"),
        }
    };
    for (names, mail_or_rcpt) in [("mail", &mail as &dyn Fn(&str) -> Option<String>), ("rcpt", &rcpt)] {
        for (n, row) in table(PARAMS, &format!("valid_{names}_params_parse_tests")).iter().enumerate() {
            if !known(row) {
                skipped += 1;
                continue;
            }
            case(format!("valid_{names}_params/{n}"), mail_or_rcpt(&input(row)), Some(output(row)));
        }
        for (n, row) in table(PARAMS, &format!("invalid_{names}_params_parse_tests")).iter().enumerate() {
            if !announced(row) {
                skipped += 1;
                continue;
            }
            case(format!("invalid_{names}_params/{n}"), mail_or_rcpt(&input(row)), None);
        }
    }

    const SYNTAX: &str = "test-smtp-syntax.json";
    let string = |text: &str| match Command::parse(format!("VRFY {text}").as_bytes(), &strict) {
        Ok(Command::Vrfy { text, .. }) => Some(text.into_owned()),
        _ => None,
    };
    for (n, row) in table(SYNTAX, "valid_string_parse_tests").iter().enumerate() {
        let parsed = row["parsed"].as_str().unwrap().to_owned();
        case(format!("valid_string/{n}"), string(&input(row)), Some(parsed));
    }
    for (n, row) in table(SYNTAX, "invalid_string_parse_tests").iter().enumerate() {
        case(format!("invalid_string/{n}"), string(&input(row)), None);
    }

    for (n, row) in table("test-istream-dot.json", "tests").iter().enumerate() {
        let Some(text) = row[1].as_str() else { continue };
        let show = |text: &[u8], left: &[u8]| format!("{} | {}", text.escape_ascii(), left.escape_ascii());
        let ours = message(text.as_bytes()).map(|(text, left)| show(&text, &left));
        // What they leave as it stands is mended here: each CR or LF alone is a CRLF.
        let mended = |text: &str| text.replace("\r\n", "\0").replace(['\r', '\n'], "\0").replace('\0', "\r\n");
        let theirs = row[2].as_str().map(|text| show(mended(text).as_bytes(), row[3].as_str().unwrap().as_bytes()));
        case(format!("dot/{n}"), ours, theirs);
    }

    println!(
        "conformance {SUITE} (smtp) {}/{total}, {skipped} rows of options that are not here",
        total - failed.len()
    );
    suites::otherwise(&failed, OTHERWISE);
}
