//! The suite `address-isemail`: 164 addresses with what RFC 5321 and RFC 5322 make of them, and 279 of an older table, named with
//! an `o` before their number.
//!
//! [`Address::parse`] with [`Address::is_ascii`] is the Mailbox of RFC 5321, [`Mailbox::parse`] the addr-spec of RFC 5322.

mod suites;

use std::path::PathBuf;

use facteur::address::{Address, Mailbox};

const SUITE: &str = "address-isemail";

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "o38 smtp",
        "a literal with a tag: RFC 5321 §4.1.3 has General-address-literal, and which tags are registered changes",
    ),
    ("60 smtp", "64 octets are counted as we write the address: RFC 5321 §4.1.2 forbids to send needless quoting"),
    (
        "71 smtp",
        "two colons for one group of zeros: RFC 5321 §4.1.3 has two at least, RFC 4291 §2.2 \"one or more\", and RFC 5952 §4 says that all MUST read that; we write the group out",
    ),
    ("160 header", "UTF-8 is read (RFC 6532)"),
];

#[test]
fn addresses_of_isemail() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let table = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let (newer, older) = (table("tests.xml"), table("tests-original.xml"));
    let (mut total, mut failed) = (0, Vec::new());
    let cases = newer.split("<test id=\"").skip(1).map(|case| ("", case));
    for (prefix, case) in cases.chain(older.split("<test id=\"").skip(1).map(|case| ("o", case))) {
        let id = format!("{prefix}{}", case.split('"').next().unwrap());
        let element = |name: &str| {
            let content = case.split(&format!("<{name}>")).nth(1)?.split(&format!("</{name}>")).next()?;
            Some(unescape(content))
        };
        let address = element("address").unwrap_or_default();
        let (category, diagnosis) = (element("category").unwrap(), element("diagnosis").unwrap());
        let smtp = ["ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"].contains(&category.as_str());
        let header = smtp || ["ISEMAIL_CFWS", "ISEMAIL_DEPREC", "ISEMAIL_RFC5322"].contains(&category.as_str());
        for (what, ours, theirs) in [
            (
                "smtp",
                Address::parse(address.as_bytes()).is_ok_and(|address| address.fits_smtp() && address.is_ascii()),
                smtp,
            ),
            ("header", Mailbox::parse(address.as_bytes()).is_ok(), header),
        ] {
            total += 1;
            if ours != theirs {
                failed.push((format!("{id} {what}"), format!("{address:?} {diagnosis}: ours {ours}")));
            }
        }
    }
    assert!(total > 300, "the suite has cases");
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    suites::otherwise(&failed, OTHERWISE);
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}

/// XML references, and the pictures of control characters.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (name, after) = rest[at + 1..].split_once(';').unwrap();
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => char::from_u32(u32::from_str_radix(name.trim_start_matches("#x"), 16).unwrap()).unwrap(),
        });
        rest = after;
    }
    out.push_str(rest);
    let control = |character: char| match character as u32 {
        code @ 0x2400..=0x2421 => char::from_u32(code - 0x2400).unwrap(),
        _ => character,
    };
    out.chars().map(control).collect()
}
