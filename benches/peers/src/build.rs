//! Building: the same message out of each builder, checked by reading it back.
//!
//! Date and Message-ID are given to all, so nobody asks the clock or makes up an identifier; all write the date, the
//! encoded words of a recipient and of the subject, and the text in quoted-printable, which each chooses by itself. Ours and
//! mail-builder borrow what they are given; ours also reads the addresses by their grammar and refuses what would end a value.

use std::time::{Duration, UNIX_EPOCH};

use facteur::base::Timestamp;
use facteur::message as ours;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};

use crate::corpora::{self, Seed};
use crate::measure::{Peer, Rounds, Work};

const UNIX: i64 = 1_700_000_000;
const ID: &str = "20231114221320.4711@mail.example.org";
const SUBJECT: &str = "Grüße aus Zürich: the report for November";

pub fn run(rounds: Rounds) {
    let mut seed = Seed::new(7);
    let text = corpora::text(&mut seed, 1500, 5);
    for (name, attachment, items, target) in
        [("build/small", Vec::new(), 200, 1.5), ("build/1MB", seed.octets(1_000_000), 10, 1.2)]
    {
        // facteur shares octets that come as `Bytes`; the others are given what they take.
        let shared = bytes::Bytes::from(attachment.clone());
        let built = [
            our_build(&text, &shared).raw().to_vec(),
            mail_builder_build(&text, &attachment),
            lettre_build(&text, &attachment),
        ];
        for message in &built {
            check(message, &text, &attachment);
        }
        let octets = built[0].len() * items;
        rounds.compare(
            &Work { name, items, octets, target: Some(target) },
            // The lengths differ with the folding, so what is compared is above.
            &mut [
                Peer::new("facteur", |_| u64::from(!our_build(&text, &shared).raw().is_empty())),
                Peer::new("mail-builder", |_| u64::from(!mail_builder_build(&text, &attachment).is_empty())),
                Peer::new("lettre", |_| u64::from(!lettre_build(&text, &attachment).is_empty())),
            ],
        );
    }
}

fn check(raw: &[u8], text: &str, attachment: &[u8]) {
    let message = ours::Message::parse(raw.to_vec());
    let header = message.header();
    assert_eq!(&*header.get("subject").expect("a subject").text(), SUBJECT);
    assert_eq!(header.get("date").and_then(|field| field.date()).map(|date| date.unix()), Some(UNIX));
    assert_eq!(header.message_id().as_deref(), Some(ID));
    assert_eq!(header.to().count(), 2);
    let bodies = message.bodies();
    assert_eq!(bodies.text[0].text().as_deref().map(str::trim_end), Some(text.trim_end()));
    match bodies.attachments.first() {
        Some(part) => assert!(*part.decode() == *attachment && part.filename().as_deref() == Some("report.pdf")),
        None => assert!(attachment.is_empty()),
    }
}

fn our_build(text: &str, attachment: &bytes::Bytes) -> ours::Message {
    let mut builder = ours::Message::build()
        .date(Timestamp::from_unix(UNIX))
        .message_id(ID)
        .from(("Ada Lovelace", "ada@example.org"))
        .to(("Jürgen Groß", "juergen@example.com"))
        .to("grace@example.com")
        .subject(SUBJECT)
        .text(text);
    if !attachment.is_empty() {
        builder = builder.attach("report.pdf", "application/pdf", attachment.clone());
    }
    builder.finish().expect("a valid message")
}

fn mail_builder_build(text: &str, attachment: &[u8]) -> Vec<u8> {
    let mut builder = mail_builder::MessageBuilder::new()
        .date(UNIX)
        .message_id(ID)
        .from(("Ada Lovelace", "ada@example.org"))
        .to(vec![("Jürgen Groß", "juergen@example.com"), ("", "grace@example.com")])
        .subject(SUBJECT)
        .text_body(text);
    if !attachment.is_empty() {
        builder = builder.attachment("application/pdf", "report.pdf", attachment);
    }
    builder.write_to_vec().expect("memory to write to")
}

fn lettre_build(text: &str, attachment: &[u8]) -> Vec<u8> {
    let builder = lettre::Message::builder()
        .date(UNIX_EPOCH + Duration::from_secs(UNIX.unsigned_abs()))
        .message_id(Some(format!("<{ID}>")))
        .from("Ada Lovelace <ada@example.org>".parse().expect("a mailbox"))
        .to("Jürgen Groß <juergen@example.com>".parse().expect("a mailbox"))
        .to("grace@example.com".parse().expect("a mailbox"))
        .subject(SUBJECT);
    let text = SinglePart::plain(text.to_owned());
    let message = if attachment.is_empty() {
        builder.singlepart(text)
    } else {
        let pdf = ContentType::parse("application/pdf").expect("a media type");
        let part = Attachment::new("report.pdf".to_owned()).body(attachment.to_vec(), pdf);
        builder.multipart(MultiPart::mixed().singlepart(text).singlepart(part))
    };
    message.expect("a valid message").formatted()
}
