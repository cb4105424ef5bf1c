//! SEARCH (RFC 9051 §6.4.4): each key against messages that match and messages that do not.

mod imap;

use base64::Engine as _;
use facteur::store::memory;
use imap::Session;

/// Four messages: plain and old; encoded words and quoted-printable; base64 parts and an embedded message; nearly nothing.
fn mailbox() -> memory::Store {
    let store = memory::Store::new();
    let mut session = Session::login(&store);
    let base64 = |text: &[u8]| base64::engine::general_purpose::STANDARD.encode(text);
    // "Größe" in ISO-8859-1, and "дом" in KOI8-R.
    let (latin, koi) = (base64(b"Gr\xf6\xdfe"), base64(b"\xc4\xcf\xcd"));
    let messages = [
        (
            "(\\Seen \\Answered) \"17-Jul-1996 02:44:25 -0700\"",
            "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
             To: imap@cac.washington.edu\r\nSubject: IMAP4rev1 WG mtg\r\n summary and minutes\r\nX-Empty:\r\n\r\n\
             The quick brown fox\r\n"
                .to_owned(),
        ),
        (
            "(\\Flagged $Junk) \"01-Feb-1994 23:59:59 +0000\"",
            "Date: Tue, 1 Feb 1994 23:30:00 -0800\r\nFrom: =?utf-8?q?Ren=C3=A9?= <rene@a.test>\r\nBcc: secret@b.test\r\n\
             Subject: =?iso-8859-1?q?Caf=E9_au?= =?utf-8?b?IGxhaXQ=?=\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nstra=C3=9Fe and a soft=\r\n break\r\n"
                .to_owned(),
        ),
        (
            "(\\Deleted \\Draft) \"02-Feb-1994 00:00:00 +0000\"",
            format!(
                "Subject: parts\r\nCc: c@d.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble words\r\n--b\r\n\
                 Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n{latin}\r\n--b\r\n\
                 Content-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n{koi}\r\n--b\r\n\
                 Content-Type: application/octet-stream; name=blob.bin\r\n\r\nopaque stuff\r\n--b\r\n\
                 Content-Type: message/rfc822\r\n\r\nSubject: inner envelope\r\n\r\ninner text\r\n--b--\r\n"
            ),
        ),
        ("()", "\r\n".to_owned()),
    ];
    for (how, message) in messages {
        let answer = session.line(&format!("a APPEND INBOX {how} {{{}+}}\r\n{message}", message.len()));
        assert!(answer.contains("a OK"), "{answer}");
    }
    store
}

#[test]
fn each_key_finds_what_it_should() {
    let mut session = Session::select(&mailbox(), "INBOX");
    for (keys, expected) in [
        // Without a look at the messages.
        ("ALL", "1 2 3 4"),
        ("SEEN", "1"),
        ("UNSEEN", "2 3 4"),
        ("ANSWERED", "1"),
        ("UNANSWERED", "2 3 4"),
        ("DELETED", "3"),
        ("UNDELETED DRAFT", ""),
        ("UNDRAFT", "1 2 4"),
        ("FLAGGED", "2"),
        ("UNFLAGGED", "1 3 4"),
        ("KEYWORD $junk", "2"),
        ("KEYWORD other", ""),
        ("UNKEYWORD $Junk", "1 3 4"),
        ("RECENT", "1 2 3 4"),
        ("NEW", "2 3 4"),
        ("OLD", ""),
        ("2:3", "2 3"),
        ("2,4 3:*", "4"),
        ("*", "4"),
        ("UID 1,3:9", "1 3 4"),
        ("NOT UID 2:*", "1"),
        ("LARGER 2", "1 2 3"),
        ("SMALLER 3", "4"),
        ("LARGER 4294967295", ""),
        // RFC 9051 §6.4.4: "disregarding time and timezone"
        ("BEFORE 1-Feb-1994", ""),
        ("BEFORE 2-Feb-1994", "2"),
        ("ON 1-Feb-1994", "2"),
        ("ON 2-Feb-1994", "3"),
        ("SINCE 2-Feb-1994", "1 3 4"),
        ("SINCE 17-Jul-1996", "1 4"),
        // The Date field of the second says 1 Feb where it was written, and 2 Feb in UTC.
        ("SENTON 1-Feb-1994", "2"),
        ("SENTON 2-Feb-1994", ""),
        ("SENTBEFORE 2-Feb-1994", "2"),
        ("SENTSINCE 1-Feb-1994", "1 2"),
        ("SENTSINCE \"17-Jul-1996\"", "1"),
        ("NOT SENTSINCE 1-Feb-1994", "3 4"),
        // Headers.
        ("FROM gray", "1"),
        ("FROM \"TERRY GRAY\"", "1"),
        ("FROM cac.washington", "1"),
        ("TO imap@", "1"),
        ("CC D.TEST", "3"),
        ("BCC secret", "2"),
        ("SUBJECT \"mtg summary\"", "1"),
        ("SUBJECT {5+}\r\nCAFÉ", "2"),
        ("SUBJECT \"au lait\"", "2"),
        ("FROM {5+}\r\nrené", "2"),
        ("SUBJECT \"=?\"", ""),
        ("SUBJECT inner", ""),
        ("HEADER subject \"\"", "1 2 3"),
        ("HEADER X-Empty \"\"", "1"),
        ("HEADER X-Empty x", ""),
        ("HEADER X-Missing \"\"", ""),
        ("HEADER \"\" \"\"", ""),
        // Bodies, decoded.
        ("BODY \"quick BROWN\"", "1"),
        ("BODY minutes", ""),
        ("TEXT minutes", "1"),
        ("TEXT \"subject: parts\"", "3"),
        ("BODY {7+}\r\nSTRAßE", "2"),
        ("BODY strasse", "2"),
        ("BODY \"soft break\"", "2"),
        ("BODY =C3", ""),
        ("BODY {7+}\r\ngröße", "3"),
        ("TEXT {6+}\r\nДОМ", "3"),
        ("BODY blob.bin", "3"),
        ("BODY opaque", ""),
        ("BODY \"inner envelope\"", "3"),
        ("BODY \"inner text\"", "3"),
        ("BODY \"\"", "1 2 3 4"),
        ("TEXT \"\"", "1 2 3 4"),
        // Together.
        ("OR SEEN FLAGGED", "1 2"),
        ("OR (SEEN ANSWERED) (FLAGGED SEEN)", "1"),
        ("NOT NOT SEEN", "1"),
        ("(OR (NOT SEEN) SUBJECT mtg) NOT BODY inner", "1 2 4"),
        ("OR BODY nothing OR SUBJECT nothing 4", "4"),
        ("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "2"),
    ] {
        let answer = session.send(format!("x SEARCH CHARSET UTF-8 {keys}\r\n").as_bytes());
        let expected = if expected.is_empty() { String::new() } else { format!(" {expected}") };
        let whole = format!("* SEARCH{expected}\r\nx OK SEARCH completed\r\n");
        assert_eq!(String::from_utf8(answer).unwrap(), whole, "{keys}");
    }
}

#[test]
fn texts_must_be_in_a_known_charset_and_not_too_many() {
    let mut session = Session::select(&mailbox(), "INBOX");
    let answer = session.send(b"x SEARCH CHARSET UTF-8 TEXT {2+}\r\n\xff\xfe\r\n");
    assert!(answer.starts_with(b"x NO [BADCHARSET (US-ASCII UTF-8)]"));
    let answer = session.line(&format!("x SEARCH{}", " BODY a".repeat(1000)));
    assert!(answer.starts_with("x NO [LIMIT]"), "{answer}");
    // Keys that need no message are free.
    let answer = session.line(&format!("x SEARCH{}", " NOT SEEN".repeat(5000)));
    assert_eq!(answer, "* SEARCH 2 3 4\nx OK SEARCH completed\n");
}

#[test]
fn a_message_that_went_away_matches_nothing() {
    let store = mailbox();
    let (mut one, mut two) = (Session::select(&store, "INBOX"), Session::select(&store, "INBOX"));
    one.line("a EXPUNGE");
    assert_eq!(two.line("b SEARCH BODY inner"), "* SEARCH\nb OK SEARCH completed\n");
    assert_eq!(two.line("c SEARCH SUBJECT a"), "* SEARCH 1 2\nc OK SEARCH completed\n");
}
