//! The suite `address-flanker`: mailboxes that are valid and such that are not, by Mailgun. [`Mailbox::parse`] is the strict
//! reader of an addr-spec, [`Address::parse`] that of the envelope; a mailbox is taken as valid where one of them reads it. With
//! a display name it is read as a list of one.

mod suites;

use std::path::PathBuf;

use facteur::address::{Address, Mailbox, list};

const SUITE: &str = "address-flanker";

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    ("false partially.\"quoted\"@sld.com", "`obs-local-part` of RFC 5322 §4.4 has quoted words between dots"),
    ("false first.\"\".last@iana.org", "the same"),
    ("false foo@[\\1.2.3.4]", "`obs-dtext` of RFC 5322 §4.4 has quoted pairs"),
    ("false \"foo\"(yay)@(hoopla)[1.2.3.4]", "RFC 5322 §3.4.1 has comments around the words of an address"),
    ("false test@xn--example.com", "whether an A-label is one is asked when the DNS is, not when it is read"),
    ("false 01234567890123456789…", "a long local part: RFC 5322 has no limit, that of RFC 5321 is asked for apart"),
];

#[test]
fn mailboxes_of_flanker() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let (mut total, mut failed) = (0, Vec::new());
    for (file, valid) in [("mailbox_valid.txt", true), ("mailbox_invalid.txt", false)] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            total += 1;
            let line = line.trim_end();
            let read = Address::parse(line.as_bytes()).is_ok_and(|address| address.fits_smtp())
                || Mailbox::parse(line.as_bytes()).is_ok()
                || line.ends_with('>') && is_name_addr(line);
            if read != valid {
                // The one that is too long is named by its start.
                let line = if line.len() > 200 { format!("{}…", &line[..20]) } else { line.to_owned() };
                failed.push(format!("{valid} {line}"));
            }
        }
    }
    assert!(total > 200, "the suite has cases");
    println!("conformance {SUITE} {}/{total}", total - failed.len());
    for (case, why) in OTHERWISE {
        println!("  otherwise: {case}: {why}");
    }
    let known = |case: &str| OTHERWISE.iter().any(|(known, _)| *known == case);
    let unknown: Vec<_> = failed.iter().filter(|case| !known(case)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(failed.len(), OTHERWISE.len(), "some pass now");
}

/// `name-addr`, which no strict reader takes: one mailbox with a name and an address.
fn is_name_addr(line: &str) -> bool {
    let mailboxes: Vec<_> = list::mailboxes(line.as_bytes()).collect();
    let inside = line.rsplit_once('<').and_then(|(_, inside)| inside.strip_suffix('>')).unwrap_or_default();
    matches!(&mailboxes[..], [mailbox] if mailbox.raw_name().is_some()) && Mailbox::parse(inside.as_bytes()).is_ok()
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}
