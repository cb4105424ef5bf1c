//! Parsing: the same questions to all, on the same messages.
//!
//! mail-parser reads the header fields that it knows when it parses. It is measured as it comes, and with its fields set
//! to what each work asks for, which is faster; the ratio is to the faster one.

use std::borrow::Cow;
use std::hint::black_box;

use bytes::Bytes;
use facteur::message as ours;
use mail_parser::{HeaderForm, HeaderName, HeaderValue, MessageParser, PartKind};
use mailparse::{MailAddr, MailHeaderMap, ParsedMail};

use crate::corpora;
use crate::measure::{Peer, Rounds, Work};

pub fn run(rounds: Rounds) {
    // Name, generator, and what structure, reader and everything are to reach.
    type Corpus = (&'static str, fn() -> Vec<Bytes>, [Option<f64>; 3]);
    let corpora: [Corpus; 5] = [
        ("small", corpora::small, [Some(2.0), Some(2.5), Some(1.5)]),
        ("newsletters", corpora::newsletters, [None, Some(2.0), None]),
        ("attachments", corpora::attachments, [Some(1.2), Some(1.1), None]),
        ("nested", corpora::nested, [None, Some(2.0), None]),
        ("headers", corpora::headers, [None, Some(2.5), Some(1.5)]),
    ];
    for (corpus, make, [structure, reader, everything]) in corpora {
        if !["structure", "reader", "everything"].iter().any(|name| format!("{name}/{corpus}").contains(rounds.only)) {
            continue;
        }
        let messages = make();
        let octets = messages.iter().map(Bytes::len).sum();
        let rounds = if octets > 50_000_000 { Rounds { number: rounds.number.div_ceil(2), ..rounds } } else { rounds };
        let compare = |name: &str, target, peers: &mut [Peer<'_>]| {
            rounds.compare(&Work { name: &format!("{name}/{corpus}"), items: messages.len(), octets, target }, peers);
        };
        let raw = only(&[]);
        let asked = only(&ASKED);
        let standard = MessageParser::new();
        let all = everything_read();
        // It does not look into embedded messages.
        let mailparse = |work: fn(&Bytes) -> u64| {
            let messages = &messages;
            Peer { aside: corpus == "nested", ..Peer::new("mailparse", move |n| work(&messages[n])) }
        };
        compare(
            "structure",
            structure,
            &mut [
                Peer::new("facteur", |n| our_structure(&messages[n])),
                Peer::new("mail-parser, fields raw", |n| their_structure(&raw, &messages[n])),
                Peer::new("mail-parser", |n| their_structure(&standard, &messages[n])),
                mailparse(mailparse_structure),
                // No delimiter is found in less than one look at all octets.
                Peer::aside("floor: memory read once", |n| memchr::memchr(0, &messages[n]).map_or(0, |at| at as u64)),
            ],
        );
        compare(
            "reader",
            reader,
            &mut [
                Peer::new("facteur", |n| our_reader(&messages[n])),
                Peer::new("mail-parser, five fields", |n| their_reader(&asked, &messages[n])),
                Peer::new("mail-parser", |n| their_reader(&standard, &messages[n])),
                mailparse(mailparse_reader),
            ],
        );
        compare(
            "everything",
            everything,
            &mut [
                Peer::new("facteur", |n| our_everything(&messages[n])),
                Peer::new("mail-parser, all fields", |n| their_everything(&all, &messages[n])),
                // Leaves fields that it does not know, and some that it knows, as they stand.
                Peer::aside("mail-parser", |n| their_everything(&standard, &messages[n])),
                // Reads every field as text only.
                Peer::aside("mailparse", |n| mailparse_everything(&messages[n])),
            ],
        );
    }
}

/// What a mail reader asks for.
const ASKED: [(HeaderName<'static>, HeaderForm); 5] = [
    (HeaderName::From, HeaderForm::Addresses),
    (HeaderName::To, HeaderForm::Addresses),
    (HeaderName::Subject, HeaderForm::Text),
    (HeaderName::Date, HeaderForm::Date),
    (HeaderName::MessageId, HeaderForm::MessageIds),
];

// ---- facteur

fn our_structure(raw: &Bytes) -> u64 {
    let message = ours::Message::parse(raw.clone());
    message.all_parts().map(|part| 1 + part.header().fields().len() as u64).sum()
}

fn our_bodies(message: &ours::Message) -> u64 {
    let body = |part: ours::Part<'_>| match part.text() {
        Some(text) => text.len() as u64,
        None => part.decode().len() as u64,
    };
    // An embedded message is the parts in it.
    message.parts().filter(|part| part.embedded().is_none()).map(body).sum()
}

fn our_mailboxes(mailboxes: facteur::address::Mailboxes<'_>) -> u64 {
    let len = |mailbox: facteur::address::Mailbox<'_>| {
        let name = mailbox.name().map_or(0, |name| name.len());
        name + mailbox.local().len() + mailbox.domain().map_or(0, |domain| domain.len() + 1)
    };
    mailboxes.map(|mailbox| len(mailbox) as u64).sum()
}

fn our_reader(raw: &Bytes) -> u64 {
    let message = ours::Message::parse(raw.clone());
    let header = message.header();
    let mut seen = our_bodies(&message);
    seen += our_mailboxes(header.from());
    seen += our_mailboxes(header.to());
    seen += header.subject().map_or(0, |text| text.len() as u64);
    seen += header.date().map_or(0, |date| date.unix() as u64);
    seen += header.message_id().map_or(0, |id| id.len() as u64);
    seen
}

fn our_everything(raw: &Bytes) -> u64 {
    let message = ours::Message::parse(raw.clone());
    let mut fields = 0;
    for part in message.all_parts() {
        for field in part.header().fields() {
            black_box(our_value(field));
            fields += 1;
        }
    }
    fields + our_bodies(&message)
}

/// Each field in its own form, as mail-parser chooses it, and all that is in it.
fn our_value(field: ours::Field<'_>) -> u64 {
    let params = |params: &facteur::text::Params| {
        params.raw().map(|(name, _)| params.text(name).map_or(0, |text| text.len() as u64)).sum::<u64>()
    };
    let len = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len() as u64);
    match field.read() {
        ours::Value::Mailboxes(mailboxes) => our_mailboxes(mailboxes),
        ours::Value::Date(date) => date.unix() as u64,
        ours::Value::Ids(ids) => ids.map(|id| id.len() as u64).sum(),
        ours::Value::Received(received) => {
            let host = |host: Option<ours::ReceivedHost<'_>>| {
                host.map_or(0, |host| {
                    let names = host.name().len() as u64 + len(&host.helo()) + len(&host.reverse());
                    names + host.address().map_or(0, |address| u64::from(address.is_ipv4()))
                })
            };
            let date = received.date().map_or(0, |date| date.unix() as u64);
            let hosts = host(received.from()) + host(received.by());
            let words = len(&received.via()) + len(&received.with()) + len(&received.id()) + len(&received.tls());
            date + hosts + words + our_mailboxes(received.recipients())
        }
        ours::Value::ContentType(value) => value.kind().len() as u64 + params(value.params()),
        ours::Value::Disposition(value) => value.kind().len() as u64 + params(value.params()),
        ours::Value::Text(text) => text.len() as u64,
        _ => 0,
    }
}

// ---- mail-parser

/// Fields left as they stand, but for these.
fn only(fields: &[(HeaderName<'static>, HeaderForm)]) -> MessageParser {
    let parser =
        KNOWN.iter().fold(MessageParser::new(), |parser, name| parser.header(name.clone(), HeaderForm::Ignore));
    let parser = parser.unknown_headers(HeaderForm::Ignore);
    fields.iter().fold(parser, |parser, (name, form)| parser.header(name.clone(), *form))
}

/// Every field read; those without a form of their own as text.
fn everything_read() -> MessageParser {
    let raw = [
        "DKIM-Signature",
        "ARC-Seal",
        "ARC-Message-Signature",
        "ARC-Authentication-Results",
        "Authentication-Results",
        "Received-SPF",
        "MIME-Version",
        "List-Unsubscribe-Post",
        "Precedence",
        "Organization",
        "User-Agent",
    ];
    let parser = MessageParser::new().unknown_headers(HeaderForm::Text);
    let parser = raw.iter().fold(parser, |parser, name| parser.header(*name, HeaderForm::Text));
    // Fields of the 60-field corpus; those with a name that is known stay raw unless named.
    corpora::VENDOR.iter().fold(parser, |parser, name| parser.header(*name, HeaderForm::Text))
}

const KNOWN: [HeaderName<'static>; 34] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::Cc,
    HeaderName::Bcc,
    HeaderName::ReplyTo,
    HeaderName::Sender,
    HeaderName::Subject,
    HeaderName::Comments,
    HeaderName::Keywords,
    HeaderName::Date,
    HeaderName::MessageId,
    HeaderName::References,
    HeaderName::InReplyTo,
    HeaderName::ReturnPath,
    HeaderName::Received,
    HeaderName::MimeVersion,
    HeaderName::ContentId,
    HeaderName::ContentDescription,
    HeaderName::ContentLocation,
    HeaderName::ContentLanguage,
    HeaderName::ListArchive,
    HeaderName::ListHelp,
    HeaderName::ListId,
    HeaderName::ListOwner,
    HeaderName::ListPost,
    HeaderName::ListSubscribe,
    HeaderName::ListUnsubscribe,
    HeaderName::ResentTo,
    HeaderName::ResentFrom,
    HeaderName::ResentCc,
    HeaderName::ResentBcc,
    HeaderName::ResentSender,
    HeaderName::ResentDate,
    HeaderName::ResentMessageId,
];

fn their_structure(parser: &MessageParser, raw: &Bytes) -> u64 {
    let Some(message) = parser.parse(raw) else { return 0 };
    (message.parts().len() + message.header_count()) as u64
}

fn their_bodies(message: &mail_parser::Message<'_>) -> u64 {
    let body = |part: mail_parser::MessagePart<'_>| match part.kind() {
        PartKind::Multipart | PartKind::Message(_) => 0,
        PartKind::Text | PartKind::Html => part.text().map_or(0, |text| text.len() as u64),
        _ => part.decoded().len() as u64,
    };
    message.parts().map(body).sum()
}

fn their_mailboxes(list: mail_parser::AddressList<'_>) -> u64 {
    let mailboxes = list.mailboxes();
    let len =
        |mailbox: mail_parser::Mailbox<'_>| mailbox.name().map_or(0, str::len) + mailbox.address().map_or(0, str::len);
    mailboxes.map(|mailbox| len(mailbox) as u64).sum()
}

fn their_reader(parser: &MessageParser, raw: &Bytes) -> u64 {
    let Some(message) = parser.parse(raw) else { return 0 };
    let mut seen = their_bodies(&message);
    seen += message.from().map_or(0, their_mailboxes);
    seen += message.to().map_or(0, their_mailboxes);
    seen += message.subject().map_or(0, |text| text.len() as u64);
    seen += message.date().map_or(0, |date| date.to_timestamp() as u64);
    seen += message.message_id().map_or(0, |id| id.len() as u64);
    seen
}

fn their_everything(parser: &MessageParser, raw: &Bytes) -> u64 {
    let Some(message) = parser.parse(raw) else { return 0 };
    let mut fields = 0;
    for part in message.parts() {
        for field in part.headers().iter() {
            black_box(their_value(field.value()));
            fields += 1;
        }
    }
    fields + their_bodies(&message)
}

fn their_value(value: HeaderValue<'_>) -> u64 {
    match value {
        HeaderValue::Text(text) => text.len() as u64,
        HeaderValue::TextList(list) => list.iter().map(|text| text.len() as u64).sum(),
        HeaderValue::Address(list) => their_mailboxes(list),
        HeaderValue::DateTime(date) => date.to_timestamp() as u64,
        HeaderValue::ContentType(value) => {
            value.ctype().len() as u64 + value.attributes().map(|(_, text)| text.len() as u64).sum::<u64>()
        }
        HeaderValue::Received(received) => {
            let host = |host: Option<mail_parser::Host<'_>>| match host {
                Some(mail_parser::Host::Name(name)) => name.len() as u64,
                _ => 0,
            };
            let len = |text: Option<&str>| text.map_or(0, |text| text.len() as u64);
            let date = received.date().map_or(0, |date| date.to_timestamp() as u64);
            let address = received.from_ip().map_or(0, |address| u64::from(address.is_ipv4()));
            let hosts = host(received.from()) + host(received.by()) + host(received.helo());
            let words = [received.from_iprev(), received.via(), received.id(), received.tls_cipher(), received.for_()];
            let with = u64::from(received.with().is_some()) + u64::from(received.tls_version().is_some());
            date + address + hosts + words.into_iter().map(len).sum::<u64>() + with
        }
        HeaderValue::Empty => 0,
    }
}

// ---- mailparse

/// Adds up over all parts, the message first.
fn over_parts(mail: &ParsedMail<'_>, of: &mut dyn FnMut(&ParsedMail<'_>) -> u64) -> u64 {
    of(mail) + mail.subparts.iter().map(|part| over_parts(part, of)).sum::<u64>()
}

fn mailparse_structure(raw: &Bytes) -> u64 {
    let Ok(mail) = mailparse::parse_mail(raw) else { return 0 };
    over_parts(&mail, &mut |part| 1 + part.headers.len() as u64)
}

fn mailparse_bodies(mail: &ParsedMail<'_>) -> u64 {
    over_parts(mail, &mut |part| match part.ctype.mimetype.split('/').next() {
        Some("multipart" | "message") => 0,
        Some("text") => part.get_body().map_or(0, |text| text.len() as u64),
        _ => part.get_body_raw().map_or(0, |octets| octets.len() as u64),
    })
}

fn mailparse_mailboxes(mail: &ParsedMail<'_>, name: &str) -> u64 {
    let Some(Ok(list)) = mail.headers.get_first_header(name).map(mailparse::addrparse_header) else { return 0 };
    let one = |single: &mailparse::SingleInfo| {
        (single.display_name.as_ref().map_or(0, String::len) + single.addr.len()) as u64
    };
    let len = |entry: &MailAddr| match entry {
        MailAddr::Single(single) => one(single),
        MailAddr::Group(group) => group.addrs.iter().map(one).sum(),
    };
    list.iter().map(len).sum()
}

fn mailparse_reader(raw: &Bytes) -> u64 {
    let Ok(mail) = mailparse::parse_mail(raw) else { return 0 };
    let text = |name| mail.headers.get_first_value(name).unwrap_or_default();
    let mut seen = mailparse_bodies(&mail);
    seen += mailparse_mailboxes(&mail, "From") + mailparse_mailboxes(&mail, "To");
    seen += text("Subject").len() as u64;
    seen += mailparse::dateparse(&text("Date")).map_or(0, |unix| unix as u64);
    seen += mailparse::msgidparse(&text("Message-ID"))
        .ok()
        .and_then(|ids| ids.first().map(|id| id.len() as u64))
        .unwrap_or(0);
    seen
}

fn mailparse_everything(raw: &Bytes) -> u64 {
    let Ok(mail) = mailparse::parse_mail(raw) else { return 0 };
    let fields = over_parts(&mail, &mut |part| {
        part.headers.iter().for_each(|field| drop(black_box(field.get_value())));
        part.headers.len() as u64
    });
    fields + mailparse_bodies(&mail)
}
