//! What is built is valid, and reads back as what was asked.

use facteur::address::{Address, Domain, Entry};
use facteur::base::Timestamp;
use facteur::message::{BuildError, Builder, Encoding, Message, NewPart, Part};
use proptest::prelude::*;

fn builder() -> Builder {
    Message::build().date(Timestamp::from_unix(1_700_000_000).at_offset(0)).from("ada@example.org")
}

fn raw(builder: Builder) -> String {
    String::from_utf8(builder.finish().unwrap().raw().to_vec()).unwrap()
}

/// The rules for what may travel: RFC 5322 §2.1.1, §2.2, §2.3, §3.6; RFC 2045 §2.7, §2.8, §6.4; RFC 2047 §2.
fn strict(message: &Message, utf8: bool, eight_bit: bool) {
    assert_eq!(message.defects(), [], "{}", message.raw().escape_ascii());
    let octets = message.raw();
    assert!(octets.ends_with(b"\r\n"));
    let mut rest: &[u8] = octets;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..at];
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        assert!(!line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)), "{}", line.escape_ascii());
        rest = &rest[at + 2..];
    }
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
    for part in message.all_parts() {
        let inside = std::iter::successors(part.parent(), |part| part.parent()).any(|part| part.embedded().is_some());
        if inside {
            continue; // what somebody else wrote
        }
        for field in part.header().fields() {
            strict_field(field.name(), field.raw(), utf8);
        }
        for name in ["content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version"] {
            assert!(part.header().all(name).count() <= 1, "{name}");
        }
        assert!(eight_bit || part.raw_body().is_ascii());
        if part.encoding() == Encoding::SevenBit {
            assert!(part.raw_body().is_ascii());
        }
        let bounded = std::str::from_utf8(part.raw_body()).unwrap_or_default();
        if part.encoding().is_encoded() {
            assert!(!part.is_multipart());
            assert!(bounded.lines().all(|line| line.len() <= 76), "{bounded}");
        }
    }
    let header = message.header();
    for name in ["date", "from", "mime-version"] {
        assert_eq!(header.all(name).count(), 1, "{name}");
    }
    for name in ["sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject"] {
        assert!(header.all(name).count() <= 1, "{name}");
    }
}

fn strict_field(name: &str, raw: &[u8], utf8: bool) {
    assert!(!name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic()));
    assert!(utf8 || raw.is_ascii());
    let text = std::str::from_utf8(raw).unwrap();
    let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    for (n, line) in lines.iter().enumerate() {
        assert!(n == 0 || line.starts_with([' ', '\t']) && !line.trim().is_empty(), "{text}");
        let limit = if line.contains("=?utf-8?") { 76 } else { 78 };
        // Only a single word may be longer.
        let words = line.split_ascii_whitespace().count() - usize::from(n == 0);
        assert!(line.len() <= limit || words <= 1, "{text}");
    }
    for word in text.split_ascii_whitespace() {
        assert!(!word.starts_with("=?utf-8?") || word.len() <= 75, "{word}");
    }
}

/// The tree as `mixed(text/plain, ...)`.
fn shape(part: Part<'_>) -> String {
    if !part.is_multipart() {
        return part.content_type().to_string();
    }
    let parts: Vec<String> = part.children().map(shape).collect();
    format!("{}({})", part.content_type().subtype(), parts.join(", "))
}

#[test]
fn the_smallest_message_is_what_it_looks_like() {
    assert_eq!(
        raw(builder().to("bob@b.test").subject("Hello").text("Hello.\n")),
        "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nFrom: ada@example.org\r\nTo: bob@b.test\r\nSubject: Hello\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello.\r\n"
    );
}

#[test]
fn parts_lie_in_each_other_as_readers_expect() {
    let dot = || builder().image("dot@x.test", "image/gif", &b"GIF"[..]);
    for (builder, expected) in [
        (builder(), "text/plain"),
        (builder().text("a"), "text/plain"),
        (builder().html("a"), "text/html"),
        (builder().html("a").text("a"), "alternative(text/plain, text/html)"),
        (dot().html("a"), "related(text/html, image/gif)"),
        (dot().html("a").text("a"), "alternative(text/plain, related(text/html, image/gif))"),
        (dot().text("a"), "mixed(text/plain, image/gif)"),
        (builder().calendar("REQUEST", "BEGIN:VCALENDAR"), "text/calendar"),
        (builder().calendar("REQUEST", "x").html("a").text("a"), "alternative(text/plain, text/html, text/calendar)"),
        (builder().attach("a", "a/b", "c"), "mixed(a/b)"),
        (
            dot().html("a").text("a").attach("a", "a/b", "c"),
            "mixed(alternative(text/plain, related(text/html, image/gif)), a/b)",
        ),
        (builder().body(NewPart::text("x", "y")).attach("a", "a/b", "c"), "mixed(text/x, a/b)"),
    ] {
        let message = builder.finish().unwrap();
        strict(&message, false, false);
        assert_eq!(shape(message.root()), expected);
    }
}

#[test]
fn parameters_say_what_their_rfcs_ask_for() {
    let message = builder().html("a").image("dot@x.test", "image/gif", &b"GIF"[..]).finish().unwrap();
    assert_eq!(message.root().content_type().param("type").as_deref(), Some("text/html")); // RFC 2387 §3.1
    let dot = message.parts().nth(1).unwrap();
    assert_eq!((dot.id().as_deref(), dot.disposition().unwrap().kind()), (Some("dot@x.test"), "inline"));
    let message = builder().calendar("CANCEL", "x").finish().unwrap();
    assert_eq!(message.root().content_type().param("method").as_deref(), Some("CANCEL")); // RFC 6047 §2.4
}

#[test]
fn file_names_beyond_ascii_have_a_plain_form_too() {
    let written = raw(builder().attach("résumé.pdf", "application/pdf", "x"));
    let expected = "Content-Disposition: attachment; filename=\"r_sum_.pdf\";\r\n \
                    filename*=utf-8''r%C3%A9sum%C3%A9.pdf\r\n";
    assert!(written.contains(expected), "{written}");
    assert!(raw(builder().attach("a b.pdf", "application/pdf", "x")).contains("; filename=\"a b.pdf\"\r\n"));
}

#[test]
fn addresses_are_written_so_that_each_server_takes_them() {
    for (builder, expected) in [
        (builder().to(("Ada Lovelace", "a@b.test")), "To: Ada Lovelace <a@b.test>\r\n"),
        (builder().to(("Lovelace, Ada", "a@b.test")), "To: \"Lovelace, Ada\" <a@b.test>\r\n"),
        (builder().to(("Zoë", "a@b.test")), "To: =?utf-8?Q?Zo=C3=AB?= <a@b.test>\r\n"),
        (builder().to(("Zoë", "a@b.test")).utf8(), "To: Zoë <a@b.test>\r\n"),
        (builder().to("a@bücher.example"), "To: a@xn--bcher-kva.example\r\n"),
        (builder().to("ä@bücher.example").utf8(), "To: ä@bücher.example\r\n"),
        (builder().to("Ada L <a@b.test>").to("c@d.test"), "To: Ada L <a@b.test>, c@d.test\r\n"),
        (builder().to("\"a b\"@c.test"), "To: \"a b\"@c.test\r\n"),
        (builder().to(("", "a@b.test")), "To: a@b.test\r\n"),
    ] {
        let written = raw(builder);
        assert!(written.contains(expected), "{written}");
    }
}

#[test]
fn blind_copies_stay_out_of_the_header_unless_asked() {
    let builder = builder().to("to@x.test").cc("cc@x.test").bcc("secret@x.test").bcc("to@x.test");
    let (sender, recipients) = builder.envelope().unwrap();
    assert_eq!(sender.to_string(), "ada@example.org");
    let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["to@x.test", "cc@x.test", "secret@x.test"]);
    assert!(!raw(builder.clone()).contains("secret"));
    assert!(raw(builder.clone().keep_bcc()).contains("\r\nBcc: secret@x.test, to@x.test\r\n"));
    assert_eq!(builder.sender("s@x.test").envelope().unwrap().0.to_string(), "s@x.test");
}

#[test]
fn values_that_would_break_out_are_refused_by_name() {
    for bad in ["a\r\nBcc: x@y.test", "a\nb", "a\rb", "a\0b"] {
        for (builder, field) in [
            (builder().subject(bad), "Subject"),
            (builder().field("X-Note", bad), "X-Note"),
            (builder().structured("X-Note", bad), "X-Note"),
            (builder().to((bad, "a@b.test")), "To"),
            (builder().message_id(bad), "Message-ID"),
            (builder().in_reply_to(bad), "In-Reply-To"),
            (builder().reference(bad), "References"),
            (builder().attach(bad, "a/b", "c"), "Content-Disposition"),
            (builder().image(bad, "a/b", "c"), "Content-ID"),
            (builder().calendar(bad, "c"), "Content-Type"),
            (builder().body(NewPart::text("x", "").field("Content-Description", bad)), "Content-Description"),
        ] {
            let error = builder.finish().unwrap_err();
            assert_eq!(error, BuildError::Value { field: field.into(), at: 1 });
            assert!(error.to_string().contains(field));
        }
        for contact in [format!("{bad}@b.test"), format!("{bad} <a@b.test>"), format!("a@{bad}")] {
            assert!(matches!(builder().bcc(contact.clone()).finish(), Err(BuildError::Address { .. })));
            let error = builder().cc(contact).finish().unwrap_err();
            assert!(matches!(error, BuildError::Address { ref field, .. } if field == "Cc"), "{error}");
        }
        let smuggled = Address::new("a", Domain::Name(bad.into())).unwrap();
        assert!(matches!(builder().to(smuggled).finish(), Err(BuildError::Address { .. })));
        for part in [NewPart::octets(bad, "c"), NewPart::text(bad, "c"), NewPart::octets(&format!("a/{bad}"), "")] {
            assert_eq!(builder().body(part).finish().unwrap_err(), BuildError::MediaType);
        }
        assert_eq!(builder().field(bad, "x").finish().unwrap_err(), BuildError::FieldName);
        let part = NewPart::text("x", "").param(bad, "x");
        assert_eq!(builder().body(part).finish().unwrap_err(), BuildError::Param { field: "Content-Type".into() });
    }
}

#[test]
fn what_cannot_be_valid_is_refused() {
    let dated = Message::build().date(Timestamp::from_unix(0));
    let own = |field: &str| BuildError::Reserved { field: field.into() };
    let deep = (0..101).fold(NewPart::text("plain", ""), |part, _| NewPart::multipart("mixed", vec![part]));
    for (builder, expected) in [
        (dated.clone(), BuildError::Missing { field: "From" }),
        (Message::build().from("a@b.test"), BuildError::Missing { field: "Date" }),
        (dated.from("a@b.test").from("c@d.test"), BuildError::Missing { field: "Sender" }),
        (builder().to("ä@b.test"), BuildError::NeedsUtf8 { field: "To".into() }),
        (builder().structured("X-A", "ä"), BuildError::NeedsUtf8 { field: "X-A".into() }),
        (builder().structured("X-A", "x".repeat(998)), BuildError::TooLong { field: "X-A".into() }),
        (builder().message_id("no-at"), BuildError::Id { field: "Message-ID".into() }),
        (builder().message_id("<a@b>"), BuildError::Id { field: "Message-ID".into() }),
        (builder().field("Bcc", "a@b.test"), own("Bcc")),
        (builder().field("subject", "x"), own("subject")),
        (builder().field("Content-Type", "x"), own("Content-Type")),
        (builder().field("a b", "x"), BuildError::FieldName),
        (builder().body(NewPart::text("x", "").field("Subject", "x")), BuildError::FieldName),
        (builder().body(NewPart::text("x", "").field("content-ID", "x")), own("content-ID")),
        (builder().attach("a", "multipart/mixed", "x"), BuildError::MediaType),
        (builder().attach("a", "text", "x"), BuildError::MediaType),
        (builder().body(deep), BuildError::TooDeep),
    ] {
        assert_eq!(builder.finish().unwrap_err(), expected);
    }
}

#[test]
fn messages_in_messages_stay_readable() {
    let inner = Message::parse("Subject: inner\r\nTo: x@y.test\r\n\r\nHello.\r\n");
    let outer = builder().text("see").attach_message(inner.clone()).finish().unwrap();
    strict(&outer, false, false);
    assert_eq!(shape(outer.root()), "mixed(text/plain, message/rfc822)");
    assert_eq!(outer.part(&[2]).unwrap().message(), Some(inner.clone()));
    let again = builder().attach("inner.eml", "message/rfc822", inner.raw().clone()).finish().unwrap();
    assert_eq!(again.part(&[1]).unwrap().message(), Some(inner));

    let high = Message::parse(&b"Subject: caf\xc3\xa9\r\n\r\nH\xe9.\r\n"[..]);
    let encoded = builder().attach_message(high.clone()).finish().unwrap();
    strict(&encoded, false, false);
    assert_eq!(shape(encoded.root()), "mixed(message/global)");
    assert_eq!(encoded.part(&[1]).unwrap().message(), Some(high.clone()));
    let plain = builder().attach_message(high.clone()).eight_bit().finish().unwrap();
    strict(&plain, false, true);
    assert_eq!(shape(plain.root()), "mixed(message/rfc822)");
    assert_eq!(plain.root().encoding(), Encoding::EightBit); // RFC 2045 §6.4
    assert_eq!(plain.part(&[1]).unwrap().message(), Some(high));
}

/// RFC 6522 §3, §4; RFC 3464 §2.1; RFC 6533 §6.2.
#[test]
fn reports_are_made_of_their_parts() {
    let report = |kind: &str, fields: &str| {
        let parts = vec![
            NewPart::text("plain", "It has not arrived.\n"),
            NewPart::octets(kind, fields.to_owned()),
            NewPart::message(Message::parse("Subject: lunch\r\n\r\nSee you.\r\n")),
        ];
        builder().body(NewPart::multipart("report", parts).param("report-type", "delivery-status"))
    };
    let message = report("message/delivery-status", "Reporting-MTA: dns; a.test\n\nAction: failed\n").finish().unwrap();
    strict(&message, false, false);
    assert_eq!(shape(message.root()), "report(text/plain, message/delivery-status, message/rfc822)");
    assert_eq!(message.root().content_type().param("report-type").as_deref(), Some("delivery-status"));
    let status = message.part(&[2]).unwrap();
    assert_eq!(status.raw_body(), b"Reporting-MTA: dns; a.test\r\n\r\nAction: failed\r\n");
    assert_eq!(
        report("message/delivery-status", "Diagnostic-Code: é\n").finish().unwrap_err(),
        BuildError::Unencodable
    );
    let message = report("message/global-delivery-status", "Diagnostic-Code: é\n").finish().unwrap();
    strict(&message, false, false);
    assert_eq!(message.part(&[2]).unwrap().decode(), "Diagnostic-Code: é\r\n".as_bytes());
}

#[test]
fn a_boundary_is_never_in_the_content() {
    // What the first attempt wrote becomes the content of the second, and so on.
    let mut text = String::from("x");
    for _ in 0..5 {
        let message = builder().message_id("1@x.test").text(text.clone()).attach("a", "a/b", "c").finish().unwrap();
        strict(&message, false, false);
        assert_eq!(message.part(&[1]).unwrap().text().unwrap(), text);
        assert_eq!(message.parts().count(), 2);
        text = String::from_utf8(message.raw().to_vec()).unwrap();
    }
}

#[test]
fn a_stamp_is_new_each_time() {
    let one = Message::build().from("a@b.test").stamp("mx.b.test").finish().unwrap();
    let two = Message::build().from("a@b.test").stamp("mx.b.test").finish().unwrap();
    strict(&one, false, false);
    let id = |message: &Message| message.header().get("message-id").unwrap().ids().remove(0);
    assert!(id(&one).ends_with("@mx.b.test") && id(&one) != id(&two));
    assert!(one.header().get("date").unwrap().date().unwrap().unix() > 1_700_000_000);
}

/// Text of any script, with what is special somewhere. Not U+FEFF: at the start of an encoded word readers take it for a
/// byte order mark (RFC 3629 §6) and drop it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "[a-z \"\\\\(),.:;<>@=?_éß日本🙂\t]{0,120}",
        "[a-z ]{80,300}",
        "[^\r\n\0\u{feff}]{0,60}",
        "=\\?utf-8\\?[qb]\\?[a-z=_]{0,9}\\?= [^\r\n\0\u{feff}]{0,9}",
        "[a-zé]{900,1100}",
    ]
}

/// What a body may hold, line ends of any kind too.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "([ -~é]{0,90}(\r\n|\n|\r|\t| ){0,3}){0,6}".prop_map(String::into_bytes),
        "(--=_[0-9a-f]{16}_0_(--)?\r\n){0,4}".prop_map(String::into_bytes),
        "[ -~]{990,1010}\r\n".prop_map(String::into_bytes),
    ]
}

/// Line ends as they travel.
fn travelled(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn tree() -> impl Strategy<Value = NewPart> {
    let leaf = prop_oneof![
        octets().prop_map(|octets| NewPart::octets("application/x", octets)),
        (text(), octets()).prop_map(|(name, octets)| NewPart::octets("text/csv", octets).attachment(name)),
        octets().prop_map(|octets| NewPart::text("plain", String::from_utf8_lossy(&octets))),
    ];
    leaf.prop_recursive(5, 20, 4, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(|parts| NewPart::multipart("mixed", parts))
    })
}

proptest! {
    #[test]
    fn what_was_asked_reads_back(
        names in prop::collection::vec(text(), 0..4),
        subject in text(),
        note in text(),
        plain in octets(),
        html in prop::option::of(octets()),
        files in prop::collection::vec((text(), octets()), 0..3),
        utf8: bool,
        eight_bit: bool,
    ) {
        let plain = String::from_utf8_lossy(&plain).into_owned();
        let html = html.map(|html| String::from_utf8_lossy(&html).into_owned());
        let mut builder = builder().subject(subject.clone()).field("X-Note", note.clone()).text(plain.clone());
        if utf8 { builder = builder.utf8() }
        if eight_bit { builder = builder.eight_bit() }
        for (n, name) in names.iter().enumerate() {
            builder = builder.to((name.as_str(), format!("r{n}@x.test").as_str()));
        }
        if let Some(html) = &html { builder = builder.html(html.clone()) }
        for (name, octets) in &files {
            builder = builder.attach(name.clone(), "application/x-file", octets.clone());
        }
        let message = builder.finish().unwrap();
        strict(&message, utf8, eight_bit);

        prop_assert_eq!(message.header().get("subject").unwrap().text(), subject);
        prop_assert_eq!(message.header().get("x-note").unwrap().text(), note);
        let to = message.header().get("to").map(|field| field.addresses()).unwrap_or_default();
        prop_assert_eq!(to.len(), names.len());
        for (n, (entry, name)) in to.iter().zip(&names).enumerate() {
            let Entry::Mailbox(mailbox) = entry else { panic!("{entry:?}") };
            prop_assert_eq!(mailbox.address().unwrap().to_string(), format!("r{n}@x.test"));
            let name = name.trim_matches([' ', '\t']);
            prop_assert_eq!(mailbox.name().unwrap_or_default(), name);
        }
        let parts: Vec<Part<'_>> = message.parts().collect();
        prop_assert_eq!(parts.len(), 1 + usize::from(html.is_some()) + files.len());
        let mut expected = travelled(&plain);
        if parts.len() == 1 && !expected.is_empty() && !expected.ends_with("\r\n") { expected += "\r\n" }
        let mut got = parts[0].decode().into_owned();
        if parts.len() == 1 && !got.ends_with(b"\r\n") && !got.is_empty() { got.extend_from_slice(b"\r\n") }
        prop_assert_eq!(got.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
        if let Some(html) = &html {
            let got = parts[1].decode().escape_ascii().to_string();
            prop_assert_eq!(got, travelled(html).as_bytes().escape_ascii().to_string());
        }
        for (part, (name, octets)) in parts.iter().skip(1 + usize::from(html.is_some())).zip(&files) {
            prop_assert_eq!(part.filename().unwrap_or_default(), name.as_str());
            prop_assert_eq!(part.decode().escape_ascii().to_string(), octets.escape_ascii().to_string());
        }
    }

    #[test]
    fn trees_keep_their_shape(tree in tree(), eight_bit: bool) {
        let builder = builder().body(tree.clone());
        let message = if eight_bit { builder.eight_bit() } else { builder }.finish().unwrap();
        strict(&message, false, eight_bit);
        // Written again as a part of another, it reads as the same message.
        let outer = self::builder().attach_message(message.clone()).eight_bit().finish().unwrap();
        prop_assert_eq!(outer.part(&[1]).unwrap().message().unwrap(), message.clone());
        let inner = self::builder().text("x").attach_part(tree).finish().unwrap();
        prop_assert_eq!(shape(inner.part(&[2]).unwrap()), shape(message.root()));
    }
}
