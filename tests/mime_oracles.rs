//! The suites `mime-ruby-mail`, `mime-php-mime-mail-parser` and `mime-flanker`: real mails, many of them broken. Each is
//! read and written back to the octet; where CPython 3.11 finds no defect in it, it has the subject, the tree, the file names
//! and the contents that CPython sees (`cpython-email-oracle.jsonl`).

mod oracle;
mod suites;

use std::path::PathBuf;

use facteur::message::{HeaderEdit, Message};
use serde_json::Value;

/// Cases that we read otherwise on purpose.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "mime-flanker/bounce/delayed-broken.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-flanker/bounce/delayed.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-flanker/bounce/mailbox-full.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-flanker/bounce/no-mx.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-flanker/bounce/office365.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    ("mime-flanker/bounce/zed.eml", "message/delivery-status is one part; they read its groups of fields as messages"),
    ("mime-flanker/complaints/aol.eml", "message/feedback-report is one part; they read it as a message"),
    ("mime-flanker/complaints/yahoo.eml", "message/feedback-report is one part; they read it as a message"),
    (
        "mime-flanker/disposition-notification.eml",
        "message/disposition-notification is one part; they read it as a message",
    ),
    ("mime-flanker/message-external-body.eml", "message/external-body is one part"),
    (
        "mime-flanker/bilingual-simple.eml",
        "white space at the end of a quoted-printable line is taken away (RFC 2045 §6.7, rule 3), at the end of the text too",
    ),
    (
        "mime-flanker/outlook-express.eml",
        "a file name with U+FFFD in UTF-8, which is read (RFC 6532); they take its octets for errors once more",
    ),
    (
        "mime-flanker/spam/broken-headers.eml",
        "octets that are no UTF-8 are read as windows-1252: a reader sees the dots that were meant, they have U+FFFD",
    ),
    ("mime-php-mime-mail-parser/issue250", "encoded words in file names are decoded"),
    ("mime-php-mime-mail-parser/m0013", "as bilingual-simple.eml"),
    ("mime-php-mime-mail-parser/m0014", "encoded words in file names are decoded"),
    ("mime-php-mime-mail-parser/m0016", "encoded words in file names are decoded"),
    ("mime-php-mime-mail-parser/m0024", "encoded words in file names are decoded"),
    ("mime-ruby-mail/attachment_emails/attachment_nonascii_filename.eml", "UTF-8 in headers is read (RFC 6532)"),
    ("mime-ruby-mail/attachment_emails/attachment_pdf.eml", "UTF-8 in headers is read (RFC 6532)"),
    ("mime-ruby-mail/attachment_emails/attachment_pdf_lf.eml", "UTF-8 in headers is read (RFC 6532)"),
    ("mime-ruby-mail/attachment_emails/attachment_pdf_non_ascii.eml", "UTF-8 in headers is read (RFC 6532)"),
    ("mime-ruby-mail/attachment_emails/attachment_pdf_non_ascii_lf.eml", "UTF-8 in headers is read (RFC 6532)"),
    (
        "mime-ruby-mail/attachment_emails/attachment_with_base64_encoded_name.eml",
        "encoded words in file names are decoded",
    ),
    ("mime-ruby-mail/multi_charset/japanese_attachment.eml", "encoded words in file names are decoded"),
    (
        "mime-ruby-mail/mime_emails/raw_email_with_mimepart_without_content_type.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-ruby-mail/multipart_report_emails/multi_address_bounce1.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-ruby-mail/multipart_report_emails/multi_address_bounce2.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-ruby-mail/multipart_report_emails/report_422.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    (
        "mime-ruby-mail/multipart_report_emails/report_530.eml",
        "message/delivery-status is one part; they read its groups of fields as messages",
    ),
    ("mime-ruby-mail/rfc6532/utf8_headers.eml", "UTF-8 in headers is read (RFC 6532)"),
];

#[test]
fn mails_of_ruby_mail() {
    run("mime-ruby-mail");
}

#[test]
fn mails_of_php_mime_mail_parser() {
    run("mime-php-mime-mail-parser");
}

#[test]
fn mails_of_flanker() {
    run("mime-flanker");
}

fn run(suite: &str) {
    let Some(root) = folder(suite) else {
        println!("conformance {suite}: skipped, not there");
        return;
    };
    let oracle = std::fs::read_to_string(root.join("cpython-email-oracle.jsonl")).unwrap();
    let rows: Vec<Value> = oracle.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut failed = Vec::new();
    let (mut total, mut compared) = (0, 0);
    for row in &rows {
        let name = row["file"].as_str().unwrap();
        if name == ".gitattributes" {
            continue;
        }
        total += 1;
        let raw = std::fs::read(root.join(name)).unwrap();
        let message = Message::parse(raw.clone());
        assert_eq!(HeaderEdit::new(&message).finish().raw(), &raw, "{name} written back");
        for part in message.all_parts() {
            let _ = (part.text(), part.filename(), part.decode());
        }
        assert!(message.defects().iter().all(|defect| defect.at <= raw.len()));
        let parts = row["parts"].as_array().unwrap();
        if parts.iter().any(|part| part.get("defects").is_some()) {
            continue;
        }
        compared += 1;
        if let Err(why) = check(&message, row) {
            failed.push((format!("{suite}/{name}"), why));
        }
    }
    assert!(compared > 10, "the suite has cases");
    println!("conformance {suite} {}/{total}, {compared} of them compared", total - failed.len());
    let own = OTHERWISE.iter().filter(|(name, _)| name.split('/').next() == Some(suite));
    for (name, why) in own.clone() {
        println!("  otherwise: {name}: {why}");
    }
    let known = |name: &str| own.clone().any(|(known, _)| *known == name);
    let unknown: Vec<_> = failed.iter().filter(|(name, _)| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert_eq!(failed.len(), own.count(), "some pass now");
}

fn folder(suite: &str) -> Option<PathBuf> {
    suites::find(suite)
}

fn check(message: &Message, row: &Value) -> Result<(), String> {
    let subject = message.header().get("subject").map(|field| field.text());
    // They keep the white space of folds otherwise.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let theirs = row["subject"].as_str();
    if row.get("subject_error").is_none() && subject.as_deref().map(words) != theirs.map(words) {
        return Err(format!("subject\n  ours   {subject:?}\n  theirs {theirs:?}"));
    }
    oracle::same_parts(message, row)
}
