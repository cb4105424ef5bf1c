//! The examples of RFC 2045, 2046, 2047, 2049, 2183 and 2231, under their numbers.

use facteur::message::{ContentType, DefectKind, Disposition, Message, Part};
use facteur::text::{transfer, words};

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n"))
}

/// Part numbers and types of all parts.
fn tree(message: &Message) -> Vec<String> {
    let path = |part: Part<'_>| part.path().iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    message.all_parts().map(|part| format!("{} {}", path(part), part.content_type()).trim().to_owned()).collect()
}

#[test]
fn rfc_2045_5_1_content_types() {
    for value in [
        "text/plain; charset=us-ascii (Plain text)",
        "text/plain; charset=\"us-ascii\"",
        "text/plain; charset=us-ascii",
    ] {
        let content_type = ContentType::parse(value.as_bytes()).unwrap();
        assert!(content_type.is("text", "plain"), "{value}");
        assert_eq!(content_type.charset().as_deref(), Some("us-ascii"), "{value}");
    }
}

#[test]
fn rfc_2045_5_2_the_default_is_plain_text() {
    for text in ["\n", "Content-Type: text\n\n", "Content-Type: \n\n"] {
        let message = message(text);
        assert!(message.root().content_type().is("text", "plain"));
        assert_eq!(message.root().content_type().charset().as_deref(), Some("us-ascii"));
    }
}

#[test]
fn rfc_2045_6_7_quoted_printable() {
    assert_eq!(
        transfer::decode_quoted_printable(
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."
        ),
        b"Now's the time for all folk to come to the aid of their country."
    );
    // (1) "the ASCII form feed" and "=" as 0C and 3D
    assert_eq!(transfer::decode_quoted_printable(b"=0C=3D"), b"\x0c=");
}

#[test]
fn rfc_2046_5_1_1_a_simple_multipart() {
    let message = message(
        r#"From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.  It is to be ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
"#,
    );
    assert_eq!(message.defects(), []);
    assert_eq!(tree(&message), ["multipart/mixed", "1 text/plain", "2 text/plain"]);
    assert_eq!(
        message.part(&[1]).unwrap().raw_body(),
        b"This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."
    );
    assert_eq!(
        message.part(&[2]).unwrap().raw_body(),
        b"This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n"
    );
    assert_eq!(message.part(&[1]).unwrap().raw_header(), b"\r\n");
    assert!(message.part(&[3]).is_none() && message.part(&[0]).is_none() && message.part(&[1, 1]).is_none());
}

#[test]
fn rfc_2046_5_1_5_a_digest() {
    let message = message(
        r#"From: Moderator-Address
To: Recipient-List
Date: Mon, 22 Mar 1994 13:34:51 +0000
Subject: Internet Digest, volume 42
MIME-Version: 1.0
Content-Type: multipart/mixed;
              boundary="---- main boundary ----"

------ main boundary ----

  ...Introductory text or table of contents...

------ main boundary ----
Content-Type: multipart/digest;
              boundary="---- next message ----"

------ next message ----

From: someone-else
Date: Fri, 26 Mar 1993 11:13:32 +0200
Subject: my opinion

  ...body goes here ...

------ next message ----

From: someone-else-again
Date: Fri, 26 Mar 1993 10:07:13 -0500
Subject: my different opinion

  ... another body goes here ...

------ next message ------

------ main boundary ------
"#,
    );
    assert_eq!(message.defects(), []);
    assert_eq!(
        tree(&message),
        [
            "multipart/mixed",
            "1 text/plain",
            "2 multipart/digest",
            "2.1 message/rfc822",
            "2.1.1 text/plain",
            "2.2 message/rfc822",
            "2.2.1 text/plain"
        ]
    );
    let second = message.part(&[2, 2]).unwrap().embedded().unwrap();
    assert_eq!(second.header().get("subject").unwrap().text(), "my different opinion");
}

#[test]
fn rfc_2047_8_headers() {
    let message = Message::parse(
        "From: =?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>\r\n\
         To: =?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>\r\n\
         CC: =?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>\r\n\
         Subject: =?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n \
         =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=\r\n\
         Reply-To: Nathaniel Borenstein <nsb@thumper.bellcore.com>\r\n      (=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)\r\n\r\n",
    );
    let name =
        |field: &str| message.header().get(field).unwrap().mailboxes().next().unwrap().name().unwrap().into_owned();
    assert_eq!(name("from"), "Keith Moore");
    assert_eq!(name("to"), "Keld Jørn Simonsen");
    assert_eq!(name("cc"), "André Pirard");
    assert_eq!(message.header().get("subject").unwrap().text(), "If you can read this you understand the example.");
    let reply_to = message.header().get("reply-to").unwrap().mailboxes().next().unwrap();
    assert_eq!(reply_to.comments(), ["םולש ןב ילטפנ"]);
}

#[test]
fn rfc_2047_8_white_space_between_words() {
    for (encoded, shown) in [
        ("(=?ISO-8859-1?Q?a?=)", "(a)"),
        ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
    ] {
        assert_eq!(words::decode(encoded.as_bytes()), shown, "{encoded}");
    }
}

#[test]
fn rfc_2049_a_a_complex_multipart() {
    let message = message(
        r#"MIME-Version: 1.0
From: Nathaniel Borenstein <nsb@nsb.fv.com>
To: Ned Freed <ned@innosoft.com>
Date: Fri, 07 Oct 1994 16:15:05 -0700 (PDT)
Subject: A multipart example
Content-Type: multipart/mixed;
              boundary=unique-boundary-1

This is the preamble area of a multipart message.

--unique-boundary-1

  ... Some text appears here ...

--unique-boundary-1
Content-type: text/plain; charset=US-ASCII

This could have been part of the previous part.

--unique-boundary-1
Content-Type: multipart/parallel; boundary=unique-boundary-2

--unique-boundary-2
Content-Type: audio/basic
Content-Transfer-Encoding: base64

  ... base64-encoded 8000 Hz single-channel
      mu-law-format audio data goes here ...

--unique-boundary-2
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

  ... base64-encoded image data goes here ...

--unique-boundary-2--

--unique-boundary-1
Content-type: text/enriched

This is <bold><italic>enriched.</italic></bold>

--unique-boundary-1
Content-Type: message/rfc822

From: (mailbox in US-ASCII)
To: (address in US-ASCII)
Subject: (subject in US-ASCII)
Content-Type: Text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-printable

  ... Additional text in ISO-8859-1 goes here: =E9 ...

--unique-boundary-1--
"#,
    );
    // The words that stand for base64 there are none.
    assert!(message.defects().iter().all(|defect| defect.kind == DefectKind::OddBase64), "{:?}", message.defects());
    assert_eq!(
        tree(&message),
        [
            "multipart/mixed",
            "1 text/plain",
            "2 text/plain",
            "3 multipart/parallel",
            "3.1 audio/basic",
            "3.2 image/jpeg",
            "4 text/enriched",
            "5 message/rfc822",
            "5.1 text/plain"
        ]
    );
    assert_eq!(
        message.part(&[5, 1]).unwrap().text().as_deref(),
        Some("  ... Additional text in ISO-8859-1 goes here: é ...\r\n")
    );
}

#[test]
fn rfc_2183_3_dispositions() {
    let disposition = Disposition::parse(
        b" attachment; filename=genome.jpeg;\r\n modification-date=\"Wed, 12 Feb 1997 16:29:51 -0500\";",
    )
    .unwrap();
    assert_eq!(disposition.kind(), "attachment");
    assert_eq!(disposition.param("filename").as_deref(), Some("genome.jpeg"));
    assert_eq!(disposition.param("modification-date").as_deref(), Some("Wed, 12 Feb 1997 16:29:51 -0500"));
}

#[test]
fn rfc_2231_3_and_4_parameters() {
    for (value, name, expected) in [
        (
            "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
            "url",
            "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar",
        ),
        (
            "application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "title",
            "This is ***fun***",
        ),
        (
            "application/x-stuff;\r\n title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n title*2=\"isn't it!\"",
            "title",
            "This is even more ***fun*** isn't it!",
        ),
    ] {
        assert_eq!(ContentType::parse(value.as_bytes()).unwrap().param(name).as_deref(), Some(expected));
    }
    // §5
    assert_eq!(
        words::decode(b"From: =?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>"),
        "From: Keith Moore <moore@cs.utk.edu>"
    );
}

#[test]
fn rfc_9051_6_4_5_1_part_numbers() {
    // The example of the RFC, its texts left out.
    let message = message(
        r#"Content-Type: multipart/mixed; boundary=b

--b

1
--b
Content-Type: application/octet-stream

2
--b
Content-Type: message/rfc822

Content-Type: multipart/mixed; boundary=c

--c

3.1
--c
Content-Type: application/octet-stream

3.2
--c--
--b
Content-Type: multipart/mixed; boundary=d

--d
Content-Type: image/gif

4.1
--d
Content-Type: message/rfc822

Content-Type: multipart/mixed; boundary=e

--e

4.2.1
--e
Content-Type: multipart/alternative; boundary=f

--f

4.2.2.1
--f
Content-Type: text/richtext

4.2.2.2
--f--
--e--
--d--
--b--
"#,
    );
    assert_eq!(message.defects(), []);
    for path in [&[1][..], &[2], &[3, 1], &[3, 2], &[4, 1], &[4, 2, 1], &[4, 2, 2, 1], &[4, 2, 2, 2]] {
        let part = message.part(path).unwrap();
        assert_eq!(part.path(), path);
        let number = path.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        assert_eq!(part.raw_body(), number.as_bytes());
    }
    assert!(message.part(&[3]).unwrap().embedded().unwrap().is_multipart());
    assert!(message.part(&[4]).unwrap().is_multipart());
    assert!(message.part(&[4, 2, 2]).unwrap().is_multipart());
    assert!(message.part(&[3, 3]).is_none());
}
