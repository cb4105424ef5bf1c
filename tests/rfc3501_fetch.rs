//! What FETCH says of messages: the examples of RFC 3501 §7.4.2 and §8 and RFC 9051 §6.4.5, and what they leave open.

mod imap;

use facteur::imap::fetch::{Partial, Section, SectionText};
use facteur::message::Message;
use facteur::store::memory;
use imap::Session;

/// The answer to `FETCH 1 item` for this message, without `* 1 FETCH (ITEM` and the bracket.
fn fetched(message: &str, item: &str) -> String {
    let store = memory::Store::new();
    let mut session = Session::select(&store, "INBOX");
    assert!(session.append("INBOX", "\\Seen", message).contains("append OK"));
    let answer = session.send(format!("x FETCH 1 {item}\r\n").as_bytes());
    let answer = String::from_utf8(answer).unwrap();
    let value = answer.strip_prefix(&format!("* 1 FETCH ({item} ")).unwrap_or_else(|| panic!("{answer}"));
    value.strip_suffix(")\r\nx OK FETCH completed\r\n").unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// A body of so many octets in so many lines.
fn body(octets: usize, lines: usize) -> String {
    let mut body = "\r\n".repeat(lines);
    body.insert_str(0, &"x".repeat(octets - body.len()));
    body
}

#[test]
fn the_sample_connection_of_section_8() {
    let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
         From: Terry Gray <gray@cac.washington.edu>\r\n\
         Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
         To: imap@cac.washington.edu\r\n\
         cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
         Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
    assert_eq!(header.len(), 342);
    let message = format!("{header}{}", body(3028, 92));
    let gray = r#"(("Terry Gray" NIL "gray" "cac.washington.edu"))"#;
    assert_eq!(
        fetched(&message, "ENVELOPE"),
        format!(
            r#"("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" {gray} {gray} {gray} "#
        ) + r#"((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) "#
            + r#"NIL NIL "<B27397-0100000@cac.washington.edu>")"#
    );
    assert_eq!(fetched(&message, "BODY"), r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92)"#);
    assert_eq!(fetched(&message, "BODY[HEADER]"), format!("{{342}}\r\n{header}"));
}

#[test]
fn the_body_structures_of_section_7_4_2() {
    let message = format!("Content-Type: text/plain; CHARSET=US-ASCII\r\n\r\n{}", body(2279, 48));
    assert_eq!(fetched(&message, "BODY"), r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)"#);
    let message = format!(
        "MIME-Version: 1.0\r\nContent-Type: MULTIPART/MIXED; BOUNDARY=b\r\n\r\n--b\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n{}\r\n--b\r\n\
         Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\r\n\
         Content-ID: <960723163407.20117h@cac.washington.edu>\r\n\
         Content-Description: Compiler diff\r\n\
         Content-Transfer-Encoding: BASE64\r\n\r\n{}\r\n--b--\r\n",
        body(1152, 23),
        body(4554, 73)
    );
    let parts = r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED""#;
    assert_eq!(fetched(&message, "BODY"), format!("({parts})"));
    assert_eq!(
        fetched(&message, "BODYSTRUCTURE"),
        format!("({parts}").replace(" 23)", " 23 NIL NIL NIL NIL)").replace(" 73)", " 73 NIL NIL NIL NIL)")
            + r#" ("BOUNDARY" "b") NIL NIL NIL)"#
    );
}

#[test]
fn extension_data_has_its_order() {
    let message = "Content-Type: image/png; name=a\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n\
         Content-Disposition: Attachment; filename=\"a \\\"b\\\".png\"; size=3\r\n\
         Content-Language: en, fr\r\nContent-Location: http://a.test/\r\n\r\nabc";
    assert_eq!(fetched(message, "BODY"), r#"("IMAGE" "PNG" ("name" "a") NIL NIL "7BIT" 3)"#);
    assert_eq!(
        fetched(message, "BODYSTRUCTURE"),
        r#"("IMAGE" "PNG" ("name" "a") NIL NIL "7BIT" 3 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "a \"b\".png" "size" "3")) ("en" "fr") "http://a.test/")"#
    );
}

#[test]
fn an_embedded_message_has_its_envelope_structure_and_lines() {
    let message = "Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n\
         Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i\r\nContent-Type: a/b\r\n\r\ntwo\r\n--i--\r\n";
    assert_eq!(
        fetched(message, "BODY"),
        r#"("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 111 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) (("TEXT" "PLAIN" ("charset" "us-ascii") NIL NIL "7BIT" 3 0)("A" "B" NIL NIL NIL "7BIT" 3) "MIXED") 11)"#
    );
}

#[test]
fn a_multipart_without_parts_is_told_as_a_text() {
    for message in ["Content-Type: multipart/mixed; boundary=b\r\n\r\n", "Content-Type: multipart/mixed\r\n\r\nx\r\n"] {
        assert!(fetched(message, "BODY").starts_with(r#"("TEXT" "PLAIN" "#), "{message}");
    }
}

#[test]
fn envelopes_keep_groups_routes_encoded_words_and_8_bit() {
    for (header, expected) in [
        ("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"),
        (
            "Date:\r\nSubject:\r\nFrom:\r\nMessage-Id:\r\nIn-Reply-To: \r\n",
            r#"("" "" NIL NIL NIL NIL NIL NIL NIL NIL)"#,
        ),
        (
            "Subject: =?utf-8?q?Caf=C3=A9?=\r\n folded \"quoted\" \\\r\n",
            r#"(NIL "=?utf-8?q?Caf=C3=A9?= folded \"quoted\" \\" NIL NIL NIL NIL NIL NIL NIL NIL)"#,
        ),
        ("Subject: Café\r\n", "(NIL {5}\r\nCafé NIL NIL NIL NIL NIL NIL NIL NIL)"),
        (
            "To: A Group:Chris Jones <c@a.test>,joe@where.test;, undisclosed recipients:;\r\n",
            r#"(NIL NIL NIL NIL NIL ((NIL NIL "A Group" NIL)("Chris Jones" NIL "c" "a.test")(NIL NIL "joe" "where.test")(NIL NIL NIL NIL)(NIL NIL "undisclosed recipients" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)"#,
        ),
        (
            "Cc: <@a.test,@b.test:joe@c.test>, \"Joe \\\"Q\\\" Public\" <\"joe q\"@c.test>\r\n",
            r#"(NIL NIL NIL NIL NIL NIL ((NIL "@a.test,@b.test" "joe" "c.test")("Joe \"Q\" Public" NIL "joe q" "c.test")) NIL NIL NIL)"#,
        ),
        (
            "From: a@b.test\r\nSender: c@d.test\r\nBcc: root\r\n",
            r#"(NIL NIL ((NIL NIL "a" "b.test")) ((NIL NIL "c" "d.test")) ((NIL NIL "a" "b.test")) NIL NIL ((NIL NIL "root" "")) NIL NIL)"#,
        ),
        (
            "To: a@b.test\r\nTo: c@d.test\r\nIn-Reply-To: <x@y>\r\n <z@y>\r\n",
            r#"(NIL NIL NIL NIL NIL ((NIL NIL "a" "b.test")(NIL NIL "c" "d.test")) NIL NIL "<x@y> <z@y>" NIL)"#,
        ),
    ] {
        assert_eq!(fetched(&format!("{header}\r\nx"), "ENVELOPE"), expected, "{header}");
    }
}

/// The complex message of RFC 9051 §6.4.5.1.
const COMPLEX: &str = "Subject: top\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n\
     --a\r\nContent-Type: text/plain\r\n\r\npart 1\r\n\
     --a\r\nContent-Type: application/octet-stream\r\n\r\npart 2\r\n\
     --a\r\nContent-Type: message/rfc822\r\n\r\n\
     Subject: three\r\nX-A: 1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
     --b\r\nContent-Type: text/plain\r\n\r\npart 3.1\r\n\
     --b\r\nContent-Type: application/octet-stream\r\n\r\npart 3.2\r\n--b--\r\n\
     --a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
     --c\r\nContent-Type: image/gif\r\nContent-ID: <4.1@x>\r\n\r\npart 4.1\r\n\
     --c\r\nContent-Type: message/rfc822\r\n\r\n\
     Subject: four two\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n\
     --d\r\n\r\npart 4.2.1\r\n\
     --d\r\nContent-Type: multipart/alternative; boundary=e\r\n\r\n\
     --e\r\nContent-Type: text/plain\r\n\r\npart 4.2.2.1\r\n\
     --e\r\nContent-Type: text/richtext\r\n\r\npart 4.2.2.2\r\n--e--\r\n\
     --d--\r\n--c--\r\n--a--\r\nepilogue\r\n";

fn section(part: &[u32], text: SectionText) -> Section {
    Section { part: part.iter().map(|number| (*number).try_into().unwrap()).collect(), text }
}

fn fields(names: &[&'static str]) -> Vec<bytes::Bytes> {
    names.iter().map(|name| (*name).into()).collect()
}

#[test]
fn the_part_specifiers_of_section_6_4_5_1() {
    use SectionText::{All, Header, HeaderFields, HeaderFieldsNot, Mime, Text};
    let message = Message::parse(COMPLEX);
    let top = "Subject: top\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n";
    let third = "Subject: three\r\nX-A: 1\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (part, text, expected) in [
        (&[][..], All, Some(COMPLEX)),
        (&[], Header, Some(top)),
        (&[], Text, COMPLEX.strip_prefix(top)),
        (&[1], All, Some("part 1")),
        (&[1], Mime, Some("Content-Type: text/plain\r\n\r\n")),
        (&[2], All, Some("part 2")),
        (&[3], Mime, Some("Content-Type: message/rfc822\r\n\r\n")),
        (&[3], Header, Some(third)),
        (&[3], HeaderFields(fields(&["x-a", "Nothing"])), Some("X-A: 1\r\n\r\n")),
        (&[3], HeaderFieldsNot(fields(&["x-a", "content-TYPE"])), Some("Subject: three\r\n\r\n")),
        (&[3, 1], All, Some("part 3.1")),
        (&[3, 2], All, Some("part 3.2")),
        (&[4, 1], All, Some("part 4.1")),
        (&[4, 1], Mime, Some("Content-Type: image/gif\r\nContent-ID: <4.1@x>\r\n\r\n")),
        (&[4, 2], Header, Some("Subject: four two\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n")),
        (&[4, 2, 1], All, Some("part 4.2.1")),
        (&[4, 2, 1], Mime, Some("\r\n")),
        (&[4, 2, 2, 1], All, Some("part 4.2.2.1")),
        (&[4, 2, 2, 2], All, Some("part 4.2.2.2")),
        (&[4, 2, 2, 2], Mime, Some("Content-Type: text/richtext\r\n\r\n")),
        // What is not there, or is no message.
        (&[5], All, None),
        (&[1, 1], All, None),
        (&[1], Header, None),
        (&[2], Text, None),
        (&[4], Header, None),
        (&[4, 2, 3], All, None),
        (&[3, 1, 1], Mime, None),
    ] {
        let section = section(part, text);
        let octets = section.of(&message);
        assert_eq!(octets.as_deref().map(|octets| std::str::from_utf8(octets).unwrap()), expected, "{section}");
    }
    let third = section(&[3], All).of(&message).unwrap();
    assert_eq!(
        section(&[3], Header).of(&message).unwrap().len() + section(&[3], Text).of(&message).unwrap().len(),
        third.len()
    );
}

#[test]
fn a_message_without_parts_is_its_part_1() {
    use SectionText::{All, Header, HeaderFields, HeaderFieldsNot, Mime};
    let plain = Message::parse("A: 1\r\na: 2\r\n B\r\nC: 3\r\n\r\ntext\r\n");
    let headless = Message::parse("\r\ntext");
    let bodiless = Message::parse("A: 1\r\n");
    for (message, part, text, expected) in [
        (&plain, &[1][..], All, Some("text\r\n")),
        (&plain, &[1], Mime, Some("A: 1\r\na: 2\r\n B\r\nC: 3\r\n\r\n")),
        (&plain, &[1], Header, None),
        (&plain, &[2], All, None),
        (&plain, &[1, 1], All, None),
        (&plain, &[], HeaderFields(fields(&["A"])), Some("A: 1\r\na: 2\r\n B\r\n\r\n")),
        (&plain, &[], HeaderFieldsNot(fields(&["a"])), Some("C: 3\r\n\r\n")),
        (&plain, &[], HeaderFields(fields(&["x"])), Some("\r\n")),
        (&headless, &[], Header, Some("\r\n")),
        (&headless, &[1], All, Some("text")),
        // "except in the case of a message that has no body and no blank line"
        (&bodiless, &[], HeaderFields(fields(&["a"])), Some("A: 1\r\n")),
        (&bodiless, &[], HeaderFields(fields(&["x"])), Some("")),
        (&bodiless, &[1], All, Some("")),
    ] {
        let section = section(part, text);
        let octets = section.of(message);
        assert_eq!(octets.as_deref().map(|octets| std::str::from_utf8(octets).unwrap()), expected, "{section}");
    }
}

#[test]
fn partials_are_cut_at_the_end() {
    let content = bytes::Bytes::from_static(b"0123456789");
    for (offset, length, expected) in [
        (0, 4, "0123"),
        (0, 2048, "0123456789"),
        (9, 1, "9"),
        (9, 9, "9"),
        (10, 1, ""),
        (u64::MAX, 1, ""),
        (1, u64::MAX, "123456789"),
    ] {
        let partial = Partial { offset, length: length.try_into().unwrap() };
        assert_eq!(partial.of(&content), expected, "{offset}.{length}");
    }
    let message = format!("\r\n{}", body(1498, 1));
    // RFC 9051 §6.4.5: "BODY[]<0.2048> of a 1500-octet message will return BODY[]<0> with a literal of size 1500".
    let store = memory::Store::new();
    let mut session = Session::select(&store, "INBOX");
    session.append("INBOX", "\\Seen", &message);
    assert!(session.line("a FETCH 1 BODY[]<0.2048>").starts_with("* 1 FETCH (BODY[]<0> {1500}\n"));
    assert!(session.line("b FETCH 1 BODY[TEXT]<1500.1>").starts_with("* 1 FETCH (BODY[TEXT]<1500> {0}\n)\nb OK"));
    assert!(session.line("c FETCH 1 BODY[2]").starts_with("* 1 FETCH (BODY[2] NIL)\nc OK"));
}
