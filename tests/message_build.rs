//! What is built is valid, and reads back as what was asked.

use std::borrow::Cow;

use facteur::address::{Address, Domain};
use facteur::base::Timestamp;
use facteur::message::build::Contact;
use facteur::message::{AutoSubmitted, BuildError, Builder, DefectKind, Encoding, Importance, Message, NewPart, Part};

use message_rules::strict;

mod message_rules;

fn builder() -> Builder<'static> {
    Message::build().date(Timestamp::from_unix(1_700_000_000).at_offset(0)).from("ada@example.org")
}

fn raw(builder: Builder<'_>) -> String {
    String::from_utf8(builder.finish().unwrap().raw().to_vec()).unwrap()
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
    let expected = "Content-Type: application/pdf; name=\"=?utf-8?Q?r=C3=A9sum=C3=A9=2Epdf?=\"\r\n\
                    Content-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf\r\n";
    assert!(written.contains(expected), "{written}");
    let message = builder().attach("日本語 ".repeat(20), "a/b", "x").finish().unwrap();
    strict(&message, false, false);
    let header = message.part(&[1]).unwrap().header();
    let name = header.get("content-type").unwrap().content_type().unwrap().param("name");
    assert_eq!(name.as_deref(), Some("日本語 ".repeat(20).as_str()));
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
        for part in [NewPart::octets(bad, "c"), NewPart::text(bad, "c"), NewPart::octets(format!("a/{bad}"), "")] {
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
    assert_eq!(shape(plain.root()), "mixed(message/global)"); // RFC 6532 §3.7: "8-bit UTF-8 header values"
    assert_eq!(plain.root().encoding(), Encoding::EightBit); // RFC 2045 §6.4
    assert_eq!(plain.part(&[1]).unwrap().message(), Some(high));
}

/// RFC 6522 §3, §4; RFC 3464 §2.1; RFC 6533 §6.2.
#[test]
fn reports_are_made_of_their_parts() {
    let report = |kind: &'static str, fields: &'static str| {
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
    let id = |message: &Message| message.header().message_id().unwrap().into_owned();
    assert!(id(&one).ends_with("@mx.b.test") && id(&one) != id(&two));
    assert!(one.header().get("date").unwrap().date().unwrap().unix() > 1_700_000_000);
}

#[test]
fn groups_stand_in_address_fields_and_their_members_in_the_envelope() {
    let builder = builder().to(Contact::group("undisclosed-recipients", [""; 0])).bcc("b@x.test");
    assert!(raw(builder.clone()).contains("\r\nTo: undisclosed-recipients:;\r\n"));
    let builder = builder.cc(Contact::group("Café", ["Ada <a@x.test>", "c@x.test"])).cc("d@x.test");
    assert!(raw(builder.clone()).contains("\r\nCc: =?utf-8?Q?Caf=C3=A9?= : Ada <a@x.test>, c@x.test;, d@x.test\r\n"));
    let (_, recipients) = builder.envelope().unwrap();
    assert_eq!(recipients.len(), 4);
    let error = builder.clone().from("us: a@b.test;").finish().unwrap_err();
    assert_eq!(error, BuildError::Missing { field: "Sender" });
    assert_eq!(builder.sender("us: a@b.test;").finish().unwrap_err(), BuildError::Group { field: "Sender" });
    let inner = Contact::group("in", ["a@b.test"]);
    let nested = self::builder().to(Contact::group("out", [inner.clone()])).finish().unwrap_err();
    assert!(matches!(nested, BuildError::Address { ref field, .. } if field == "To"), "{nested}");
    // Where no header shows who is left out.
    let hidden = self::builder().bcc(Contact::group("out", [inner]));
    for error in [hidden.envelope().unwrap_err(), hidden.finish().unwrap_err()] {
        assert!(matches!(error, BuildError::Address { ref field, .. } if field == "Bcc"), "{error}");
    }
}

#[test]
fn invitations_are_an_alternative_that_says_its_method() {
    let message = builder().text("Lunch?\n").calendar("REQUEST", "BEGIN:VCALENDAR\nEND:VCALENDAR\n").finish().unwrap();
    strict(&message, false, false);
    assert_eq!(shape(message.root()), "alternative(text/plain, text/calendar)");
    let part = message.part(&[2]).unwrap();
    let field = part.header().get("content-type").unwrap();
    assert_eq!(field.raw(), b"Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n"); // RFC 6047 §2.4
    assert_eq!(part.text().unwrap(), "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
}

#[test]
fn lists_say_how_to_leave_them() {
    let builder = builder()
        .list_id("Café, and more", "cafe.lists.example.org")
        .uris("List-Help", ["mailto:help@example.org?subject=help"])
        .one_click("https://example.org/leave/42", ["mailto:leave-42@example.org"]);
    let message = builder.finish().unwrap();
    strict(&message, false, false);
    let header = message.header();
    assert_eq!(header.one_click_unsubscribe().as_deref(), Some("https://example.org/leave/42"));
    assert_eq!(
        header.get("list-unsubscribe").unwrap().uris(),
        ["https://example.org/leave/42", "mailto:leave-42@example.org"]
    );
    assert_eq!(header.get("list-unsubscribe-post").unwrap().value(), b" List-Unsubscribe=One-Click");
    let id = header.get("list-id").unwrap().list_id().unwrap();
    assert_eq!((id.id.as_str(), id.name.as_str()), ("cafe.lists.example.org", "Café, and more"));

    let field = |field: &str| field.to_owned();
    for (builder, expected) in [
        (self::builder().one_click("http://x.test/", [""; 0]), BuildError::Uri { field: field("List-Unsubscribe") }),
        (
            self::builder().one_click("https://x.test/", ["http://x.test"]),
            BuildError::Uri { field: field("List-Unsubscribe") },
        ),
        (self::builder().uris("List-Help", ["no uri"]), BuildError::Uri { field: field("List-Help") }),
        (self::builder().uris("List-Help", ["mailto:a>b"]), BuildError::Uri { field: field("List-Help") }),
        (self::builder().uris("List-Help", [""; 0]), BuildError::Uri { field: field("List-Help") }),
        (self::builder().uris("List-Help", ["x:\r\n"]), BuildError::Value { field: field("List-Help"), at: 2 }),
        (self::builder().list_id("a", "nodot"), BuildError::Id { field: field("List-Id") }),
        (self::builder().list_id("a\n", "a.b"), BuildError::Value { field: field("List-Id"), at: 1 }),
    ] {
        assert_eq!(builder.finish().unwrap_err(), expected);
    }
}

#[test]
fn marks_are_written_as_their_rfcs_have_them() {
    let message = builder()
        .auto_submitted(AutoSubmitted::Replied)
        .importance(Importance::High)
        .contacts("Disposition-Notification-To", [("Zoë", "z@x.test")])
        .finish()
        .unwrap();
    strict(&message, false, false);
    let header = message.header();
    assert_eq!(header.get("auto-submitted").unwrap().value(), b" auto-replied"); // RFC 3834 §5
    assert_eq!(header.importance(), Some(Importance::High));
    assert_eq!(header.get("x-priority").unwrap().value(), b" 1");
    assert_eq!(header.get("disposition-notification-to").unwrap().text(), "Zoë <z@x.test>"); // RFC 8098 §2.1
    let error = builder().contacts("Errors-To", ["nobody"]).finish().unwrap_err();
    assert!(matches!(error, BuildError::Address { ref field, .. } if field == "Errors-To"));
}

#[test]
fn answers_go_where_their_author_asked() {
    let question = Message::parse(
        "From: Ada <ada@a.test>, b@a.test\r\nReply-To: Ada <team@a.test>\r\nTo: Me <ada@example.org>, c@c.test\r\n\
         Cc: us: d@d.test, TEAM@A.test, team@A.TEST;\r\nSubject: =?utf-8?q?Caf=C3=A9=0D=0A?=\r\n\
         References: <1@a.test> <un\\sound> <2@a.test>\r\nIn-Reply-To: <2@a.test>\r\nMessage-ID: <3@a.test>\r\n\r\n",
    );
    let answer = builder().reply(&question).finish().unwrap();
    strict(&answer, false, false);
    let text = |name: &str| answer.header().get(name).map(|field| field.text());
    assert_eq!(text("to").as_deref(), Some("Ada <team@a.test>"));
    assert_eq!(text("cc"), None);
    assert!(text("subject").is_some_and(|subject| subject.starts_with("Re: Café")));
    assert_eq!(text("in-reply-to").as_deref(), Some("<3@a.test>"));
    assert_eq!(
        answer.header().get("references").unwrap().ids().collect::<Vec<_>>(),
        ["1@a.test", "2@a.test", "3@a.test"]
    );

    // Local parts differ by case, domains do not (RFC 5321 §2.4).
    let (_, recipients) = builder().reply_all(&question).envelope().unwrap();
    let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["team@a.test", "c@c.test", "d@d.test", "TEAM@A.test"]);

    // RFC 5322 §3.6.4: without References the In-Reply-To counts, where it is one.
    let of = |header: &str| {
        let answer = builder().reply(&Message::parse(header.to_owned() + "\r\n")).finish().unwrap();
        let header = answer.header();
        (
            header.get("subject").map(|field| field.text().into_owned()),
            header.get("references").map(|field| field.ids().map(Cow::into_owned).collect::<Vec<_>>()),
        )
    };
    let ids = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        of("Subject: RE: x\r\nIn-Reply-To: <1@a>\r\nMessage-ID: <2@a>\r\n"),
        (Some("RE: x".into()), ids(&["1@a", "2@a"]))
    );
    assert_eq!(of("In-Reply-To: <1@a> <2@a>\r\nMessage-ID: <3@a>\r\n"), (Some("Re: ".into()), ids(&["3@a"])));
    assert_eq!(of("Subject:\r\n"), (Some("Re: ".into()), None));
    let many: String = (0..500).map(|n| format!(" <{n}@a>")).collect();
    let (_, ids) = of(&format!("References:{many}\r\nMessage-ID: <500@a>\r\n"));
    let ids = ids.unwrap();
    assert_eq!((ids.len(), ids[0].as_str(), ids[1].as_str(), ids[49].as_str()), (50, "0@a", "452@a", "500@a"));
}

/// RFC 5322 §3.6.6.
#[test]
fn a_message_is_resent_as_it_is() {
    let resent = || builder().to(("Zoë", "z@x.test")).bcc("secret@x.test").message_id("9@x.test");
    for (message, expected) in [
        ("From: a@b.test\r\n\r\nHi.\r\n", "Resent-Message-ID: <9@x.test>\r\nFrom: a@b.test\r\n\r\nHi.\r\n"),
        ("From: a@b.test\n\nHi.\n", "Resent-Message-ID: <9@x.test>\nFrom: a@b.test\n\nHi.\n"),
    ] {
        let message = resent().resend(&Message::parse(message)).unwrap();
        assert_eq!(message.defects(), []);
        assert!(message.raw().starts_with(b"Resent-Date: Tue, 14 Nov 2023 22:13:20 +0000"));
        assert!(message.raw().ends_with(expected.as_bytes()), "{}", message.raw().escape_ascii());
        assert!(!message.raw().escape_ascii().to_string().contains("secret"));
        let blocks = message.header().resent();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].get("to").unwrap().text(), "Zoë <z@x.test>");
        assert_eq!(blocks[0].get("from").unwrap().text(), "ada@example.org");
        // Once more: its own block stands before the first.
        assert_eq!(resent().resend(&message).unwrap().header().resent().len(), 2);
    }
    let mbox = resent().resend(&Message::parse("From a@b.test Mon Jan  1 00:00:00 2024\nFrom: a@b.test\n\n")).unwrap();
    assert!(mbox.raw().starts_with(b"From a@b.test Mon Jan  1 00:00:00 2024\nResent-Date: "));
    let bare = resent().resend(&Message::parse("From a@b.test")).unwrap();
    assert!(bare.raw().starts_with(b"From a@b.test\r\nResent-Date: "), "{}", bare.raw().escape_ascii());
    let folded = resent().resend(&Message::parse(" , x@x.test\r\nFrom: a@b.test\r\n\r\n")).unwrap_err();
    assert_eq!(folded, BuildError::Resent { field: "a message that begins with white space" });
    let message = Message::parse("From: a@b.test\r\n\r\n");
    for (builder, field) in [
        (resent().subject("x"), "Subject"),
        (resent().reply_to("x@x.test"), "Reply-To"),
        (resent().field("X", "y"), "another field"),
        (resent().text("x"), "a body"),
        (resent().attach("a", "a/b", "x"), "a body"),
    ] {
        assert_eq!(builder.resend(&message).unwrap_err(), BuildError::Resent { field });
    }
    // What stands before the names counts: 78 characters, and 998 for what cannot be folded.
    for len in (900..980).step_by(4) {
        let id = format!("{}@x.test", "i".repeat(len));
        let to = |builder: facteur::message::Builder<'static>| builder.to("a-recipient@a-host.x.test");
        let resent = (0..8).fold(builder().message_id(id.clone()), |builder, _| to(builder)).resend(&message).unwrap();
        let lines = || resent.raw().split(|octet| *octet == b'\n').map(|line| line.len().saturating_sub(1));
        assert!(lines().all(|line| line <= 998), "{len}: {:?}", lines().max());
        assert_eq!(lines().filter(|line| *line > 78).count(), 1, "{len}");
        assert_eq!(resent.header().get("resent-message-id").unwrap().ids().collect::<Vec<_>>(), [id]);
    }
    let broken = builder().to(("a\r\nX: y", "a@b.test")).resend(&message).unwrap_err();
    assert_eq!(broken, BuildError::Value { field: "To".into(), at: 1 });
}

/// RFC 3676.
#[test]
fn paragraphs_flow() {
    let long = "Un café très long et très bon. ".repeat(10);
    let message = builder().flowed(&format!(">> Before.\n{}\n\n-- \nAda", long.trim_end())).finish().unwrap();
    strict(&message, false, false);
    let read: Vec<_> = message.root().flowed().unwrap().into_iter().map(|one| (one.depth, one.text)).collect();
    let own = |depth: usize, text: &str| (depth, text.to_owned());
    assert_eq!(read, [own(2, "Before."), own(0, long.trim_end()), own(0, ""), own(0, "-- "), own(0, "Ada")]);
}

/// RFC 1847 §2.1, RFC 3156 §5.
#[test]
fn what_was_signed_stays_to_the_octet() {
    let signed = NewPart::multipart(
        "mixed",
        vec![NewPart::text("plain", "Un café.\n"), NewPart::octets("image/gif", &b"GIF\xff"[..]).attachment("é.gif")],
    );
    let octets = signed.write().unwrap();
    assert!(octets.is_ascii() && !octets.ends_with(b"\n"));
    let body = |ready: NewPart<'static>| {
        NewPart::multipart("signed", vec![ready, NewPart::octets("application/pgp-signature", "-----BEGIN\r\n")])
            .param("protocol", "application/pgp-signature")
    };
    let message = builder().body(body(NewPart::ready(octets.clone()))).finish().unwrap();
    strict(&message, false, false);
    assert_eq!(shape(message.root()), "signed(mixed(text/plain, image/gif), application/pgp-signature)");
    assert_eq!(message.part(&[1]).unwrap().raw(), octets);
    let alone = builder().body(NewPart::ready(octets)).finish().unwrap();
    strict(&alone, false, false);
    assert_eq!(shape(alone.root()), "mixed(text/plain, image/gif)");

    for (ready, expected) in [
        (NewPart::ready("Subject: x\r\n\r\n"), BuildError::Ready),
        (NewPart::ready("Content-Type: text/plain\r\n"), BuildError::Ready),
        (NewPart::ready("no header"), BuildError::Ready),
        (NewPart::ready("Content-Type: text/plain\r\n\r\n").attachment("x"), BuildError::Ready),
        (NewPart::ready("Content-Type: text/plain\n\nx\n"), BuildError::Unencodable),
        (NewPart::ready("\r\ncafé\r\n"), BuildError::Unencodable),
    ] {
        assert_eq!(builder().body(body(ready)).finish().unwrap_err(), expected);
    }
}

#[test]
fn an_encoding_that_is_asked_for_is_kept_or_refused() {
    let part = |text: &str, encoding| builder().body(NewPart::text("plain", text.to_owned()).encoding(encoding));
    for (builder, expected) in [
        (part("Hello.\n", Encoding::Base64), &b"SGVsbG8uDQo=\r\n"[..]),
        (part("a=b\n", Encoding::QuotedPrintable), &b"a=3Db\r\n"[..]),
        (part("é\n", Encoding::EightBit), "é\r\n".as_bytes()),
        (part("a\n", Encoding::SevenBit), b"a\r\n"),
    ] {
        let message = builder.finish().unwrap();
        strict(&message, false, true);
        assert_eq!(message.root().raw_body(), expected);
    }
    for (text, encoding) in [
        ("é", Encoding::SevenBit),
        ("a\0", Encoding::EightBit),
        (&"x".repeat(999), Encoding::EightBit),
        ("a", Encoding::Binary),
        ("a", Encoding::Other("x-uue".into())),
    ] {
        assert_eq!(part(text, encoding).finish().unwrap_err(), BuildError::Unencodable);
    }
}

#[test]
fn parts_say_what_else_they_are() {
    let part = NewPart::octets("image/png", &b"\x89PNG"[..])
        .attachment("tree.png")
        .inline()
        .id("tree@x.test")
        .field("Content-Description", "Ein Bäumchen")
        .field("Content-Language", "de, en")
        .field("Content-Location", "https://x.test/tree.png");
    let message = builder().html("<img src=\"cid:tree@x.test\">").attach_part(part).finish().unwrap();
    strict(&message, false, false);
    let part = message.part(&[2]).unwrap();
    assert_eq!(part.disposition().unwrap().kind(), "inline");
    assert_eq!(part.filename().as_deref(), Some("tree.png"));
    assert_eq!(part.id().as_deref(), Some("tree@x.test"));
    assert_eq!(part.description().as_deref(), Some("Ein Bäumchen"));
    assert_eq!(part.header().get("content-language").unwrap().languages(), ["de", "en"]);
    assert_eq!(part.header().get("content-location").unwrap().value(), b" https://x.test/tree.png");
}

/// In quadratic time it would take minutes.
#[test]
fn an_answer_to_very_many_takes_linear_time() {
    let to: String = (0..50_000).map(|n| format!("u{n}@b.test,\r\n ")).collect();
    let message = Message::parse(format!("From: q@q.test\r\nTo: {to}u7@b.test, q@q.test\r\n\r\nHello.\r\n"));
    let answer = Message::build().date(Timestamp::from_unix(0)).from("a@a.test").reply_all(&message).text("x\n");
    assert_eq!(answer.envelope().unwrap().1.len(), 50_001);
    assert_eq!(answer.finish().unwrap().header().cc().count(), 50_000);
}

fn body(part: NewPart<'_>) -> Result<Message, BuildError> {
    Message::build().date(Timestamp::from_unix(0)).from("a@a.test").body(part).finish()
}

#[test]
fn a_header_says_of_a_part_what_is_so() {
    let text = || NewPart::text("plain", "café\n");
    assert_eq!(body(text().param("charset", "iso-8859-1")).unwrap_err(), BuildError::Charset);
    assert!(body(text().param("charset", "UTF-8")).is_ok());
    assert!(body(NewPart::text("plain", "cafe\n").param("charset", "iso-8859-1")).is_ok());
    let file = || NewPart::octets("text/plain", "x\r\n").attachment("a.txt");
    assert!(matches!(body(file().param("name", "a.exe")), Err(BuildError::Param { .. })));
    assert!(body(file().param("name", "a.txt")).unwrap().defects().is_empty());
    let twice = file().field("Content-Description", "a").field("content-description", "b");
    assert!(matches!(body(twice), Err(BuildError::Repeated { .. })));
}

/// A second field would go around the check of the first.
#[test]
fn fields_of_lists_stand_once() {
    let list = || {
        let builder = Message::build().date(Timestamp::from_unix(0)).from("a@a.test").text("x\n");
        builder.one_click("https://a.test/", ["mailto:a@a.test"])
    };
    assert!(list().list_id("", "a.test").finish().is_ok());
    let field = "list-unsubscribe".to_owned();
    let repeated = list().uris("list-unsubscribe", ["http://b.test/"]).finish();
    assert_eq!(repeated.unwrap_err(), BuildError::Repeated { field });
}

/// A reader that compares the beginning of a line with the boundary (RFC 2046 §5.1.1) would take what follows for a part of
/// the attached message.
#[test]
fn no_boundary_of_an_attached_message_begins_ours() {
    for (boundary, encoded) in [("=", true), ("=_", true), ("=_c", true), ("=_cg", false), ("x", false)] {
        let text = format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n\r\nx\r\n--{boundary}--\r\n"
        );
        let message = Message::build().date(Timestamp::from_unix(0)).from("a@a.test").text("x\n");
        let message =
            message.attach_message(Message::parse(text.clone())).attach("a", "text/plain", "y\r\n").finish().unwrap();
        assert!(message.defects().is_empty(), "{boundary}: {:?}", message.defects());
        let attached = message.part(&[2]).unwrap();
        assert_eq!(attached.encoding().is_encoded(), encoded, "{boundary}");
        assert_eq!(attached.message().unwrap().raw(), text.as_bytes());
        if encoded {
            let ready = NewPart::multipart("mixed", vec![NewPart::ready(text)]);
            assert_eq!(body(ready).unwrap_err(), BuildError::Unencodable);
        }
    }
    // One that nothing in the attached message shows.
    let ours = body(NewPart::multipart("mixed", vec![NewPart::text("plain", "x")])).unwrap();
    let boundary = ours.root().content_type().param("boundary").unwrap();
    let hollow = Message::parse(format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\nx\r\n"));
    let message = body(NewPart::multipart("mixed", vec![NewPart::message(hollow)])).unwrap();
    assert_ne!(message.root().content_type().param("boundary").unwrap(), boundary);
}

#[test]
fn a_header_that_is_attached_alone_is_not_cut_off() {
    for text in ["Subject: x", "Subject: x\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: x"] {
        let message = Message::build().date(Timestamp::from_unix(0)).from("a@a.test").text("x\n");
        let message = message.attach_message(Message::parse(text)).attach("a", "text/plain", "y\r\n").finish().unwrap();
        assert!(message.defects().iter().all(|defect| defect.kind != DefectKind::CutHeader), "{:?}", message.defects());
        assert_eq!(message.bodies().attachments.len(), 2);
    }
}
