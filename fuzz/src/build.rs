//! The builder: whatever it is told, what it writes is a message that says exactly that, and nothing else got in.

use facteur::base::Timestamp;
use facteur::message::build::Contact;
use facteur::message::{BuildError, Message, NewPart};

/// Whatever came, it can be answered and sent on, unless a word of it takes more than a line.
fn answers(input: &[u8]) {
    let message = Message::parse(input.to_vec());
    let builder = || Message::build().date(Timestamp::from_unix(0)).from("ada@example.org").utf8();
    match builder().reply_all(&message).finish() {
        Ok(answer) => assert_eq!(answer.defects(), []),
        Err(error) => assert!(matches!(error, BuildError::TooLong { .. }), "{error}"),
    }
    let resent = match builder().to("bob@example.org").resend(&message) {
        Ok(resent) => resent,
        Err(error) => return assert!(matches!(input, [b' ' | b'\t', ..]), "{error}"),
    };
    assert_eq!(
        resent.header().get("resent-to").map(|field| field.text().into_owned()).as_deref(),
        Some("bob@example.org")
    );
    let own = resent.raw().len() - message.raw().len();
    assert!(own < 200, "no more than three fields");
}

/// Lines of instructions, a letter and a value each, ended by a blank line; what follows is an attachment.
pub fn build(input: &[u8]) {
    answers(input);
    let (script, rest) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &b""[..]),
    };
    let mut builder = Message::build().date(Timestamp::from_unix(0)).from("ada@example.org");
    let (mut subject, mut recipients, mut files) = (None, Vec::new(), vec![(String::from("rest"), rest.to_vec())]);
    for line in script.split(|octet| *octet == b'\n').take(100) {
        let Some((letter, value)) = line.split_first() else { continue };
        // `%` stands for a line end, so that a value can try to break out. A byte order mark does not survive readers.
        let value = String::from_utf8_lossy(value).replace('%', "\r\n").replace('\u{feff}', "");
        builder = match letter {
            b's' => {
                subject = Some(value.clone());
                builder.subject(value)
            }
            b't' => {
                recipients.push(value.clone());
                builder.to((value, "to@x.test"))
            }
            b'a' => builder.cc(value),
            b'w' => builder.reply_to(Contact::group(value.clone(), [(value, "group@x.test")])),
            b'l' => builder.list_id(value.clone(), value),
            b'k' => builder.one_click(value.clone(), [value]),
            b'd' => builder.flowed(&value),
            b'b' => builder.bcc(value),
            b'i' => builder.message_id(value),
            b'r' => builder.reference(value),
            b'f' => builder.field("X-Field", value),
            b'v' => builder.structured("X-Value", value),
            b'n' => builder.field(value, "x"),
            b'p' => builder.text(value),
            b'h' => builder.html(value),
            b'c' => builder.calendar(value, "x"),
            b'g' => builder.image("g@x.test", value, rest.to_vec()),
            b'm' => builder.attach_part(NewPart::text("x", "x").param(value.clone(), value)),
            b'o' => {
                files.push((value.clone(), value.clone().into_bytes()));
                builder.attach(value.clone(), "application/x", value)
            }
            b'8' => builder.eight_bit(),
            b'u' => builder.utf8(),
            _ => builder,
        };
    }
    let (files_first, files_more) = files.split_at(1);
    for (name, octets) in files_first {
        builder = builder.attach(name.clone(), "application/x", octets.clone());
    }
    let Ok(message) = builder.clone().finish() else { return };
    let (_, envelope) = builder.envelope().expect("what can be written has an envelope");
    assert!(envelope.iter().all(|address| !address.to_string().contains(['\r', '\n', '\0'])));

    assert_eq!(message.defects(), [], "{message:?}");
    for line in message.raw().split(|octet| *octet == b'\n').rev().skip(1) {
        let line = line.strip_suffix(b"\r").expect("each line ends with CRLF");
        assert!(line.len() <= 998 && !line.contains(&b'\r') && !line.contains(&0));
    }
    let header = message.header();
    let known = |name: &str| {
        ["Date", "From", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject", "MIME-Version"]
            .contains(&name)
            || ["X-Field", "X-Value", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"].contains(&name)
            || name == "Content-Type"
            || name == "Content-Transfer-Encoding"
    };
    let asked =
        |name: &str| script.split(|octet| *octet == b'\n').any(|line| line.strip_prefix(b"n") == Some(name.as_bytes()));
    assert!(
        header.fields().all(|field| known(field.name()) || asked(field.name())),
        "{:?}",
        header.raw().escape_ascii()
    );
    assert_eq!(header.get("subject").map(|field| field.text().into_owned()), subject);
    let to = header.get("to").map(|field| field.addresses()).unwrap_or_default();
    assert_eq!(to.len(), recipients.len());
    for (entry, name) in to.iter().zip(&recipients) {
        let [mailbox] = entry.mailboxes() else { panic!("{entry:?}") };
        assert_eq!(mailbox.to_string(), "to@x.test");
        assert_eq!(mailbox.name().unwrap_or_default(), name.trim_matches([' ', '\t']));
    }
    let written: Vec<_> = message.parts().filter(|part| part.content_type().is("application", "x")).collect();
    let attached: Vec<_> =
        written.iter().filter(|part| part.filename().is_some() || part.disposition().is_some()).collect();
    assert!(attached.len() >= files.len());
    for (name, octets) in files_more.iter().chain(files_first) {
        let found =
            attached.iter().any(|part| part.filename().unwrap_or_default() == *name && *part.decode() == octets[..]);
        assert!(found, "{name:?}");
    }
}
