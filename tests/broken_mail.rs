//! What senders get wrong, family by family, and what a reader would want of it. Expectations are those of the RFCs where they say
//! something, and otherwise what was plainly meant.

use facteur::message::{Encoding, Message, Part};

fn text(value: &str) -> String {
    Message::parse(format!("Subject: {value}\r\n\r\n")).header().get("subject").unwrap().text().into_owned()
}

#[test]
fn encoded_words_however_broken() {
    for (value, expected) in [
        // RFC 2047 §8
        ("=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"),
        ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
        ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        ("=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=", "u understand the example."),
        ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?=\r\n   =?ISO-8859-1?Q?b?=)", "(ab)"),
        ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        // padding
        ("=?UTF-8?B?w6k?=", "é"),
        ("=?UTF-8?B?w6k==?=", "é"),
        ("=?UTF-8?B?w6k====?=", "é"),
        ("=?UTF-8?B?w6 k=?=", "é"),
        ("=?UTF-8?B?\r\n w6k=?=", "é"),
        ("=?UTF-8?B?w6k=w6k=?=", "éé"),
        ("=?UTF-8?B??=", ""),
        // escapes
        ("=?utf-8?q?=c3=a9?=", "é"),
        ("=?utf-8?q?100=_?=", "100= "),
        ("=?utf-8?q?a=?=", "a="),
        ("=?utf-8?q?a=3Db=3Fc=5Fd?=", "a=b?c_d"),
        // characters cut in two
        ("=?UTF-8?Q?=C3?= =?UTF-8?Q?=A9?=", "é"),
        ("=?UTF-8?B?ww==?=\r\n =?utf-8?B?qQ==?=", "é"),
        ("=?UTF-8?Q?=C3?= =?utf-8?B?qQ==?=", "é"),
        ("=?GB2312?B?vA==?= =?GB2312?B?ug==?=", "己"),
        ("=?Shift_JIS?Q?=82?= =?Shift_JIS?Q?=A0?=", "あ"),
        ("=?UTF-8?Q?=C3?= =?ISO-8859-1?Q?=E9?=", "\u{fffd}é"),
        // white space
        ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?=\t=?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("a  =?utf-8?q?b?=", "a  b"),
        ("=?utf-8?q?a?=b=?utf-8?q?c?=", "abc"),
        ("=?utf-8?q?a b c?=", "a b c"),
        ("=?utf-8?q?a\r\n b?=", "a b"),
        // quotes and brackets around
        ("\"=?utf-8?q?a?=\"", "\"a\""),
        ("[=?utf-8?q?a?=]", "[a]"),
        ("Re:=?utf-8?q?a?=", "Re:a"),
        // length, labels, languages
        (&format!("=?utf-8?q?{}?=", "x".repeat(300)), &"x".repeat(300)),
        ("=?utf-8*en-GB?q?a?=", "a"),
        ("=?UTF8?q?=C3=A9?=", "é"),
        ("=?cp1252?q?=80?=", "€"),
        ("=?x-unknown?q?=C3=A9?=", "é"),
        ("=?unknown-8bit?q?=E9?=", "é"),
        ("=?utf-7?q?caf+AOk-?=", "café"),
        ("=?utf-16?b?AOk=?=", "é"),
        // decoded once
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?=", "=?utf-8?q?x?="),
        // none
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?utf-8?q?a", "=?utf-8?q?a"),
        ("=?utf-8?qa?=", "=?utf-8?qa?="),
        ("=? utf-8?q?a?=", "=? utf-8?q?a?="),
        ("=?utf-8?", "=?utf-8?"),
    ] {
        assert_eq!(text(value), expected, "{value}");
    }
}

fn filename(value: &str) -> Option<String> {
    Message::parse(format!("Content-Disposition: attachment; {value}\r\n\r\n")).root().filename()
}

#[test]
fn file_names_however_written() {
    for (value, expected) in [
        // RFC 2231 §3 and §4
        ("filename*0=\"ftp://\";\r\n filename*1=\"cs.utk.edu/pub\"", "ftp://cs.utk.edu/pub"),
        ("filename*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***"),
        (
            "filename*0*=us-ascii'en'This%20is%20even%20more%20;\r\n filename*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n filename*2=\"isn't it!\"",
            "This is even more ***fun*** isn't it!",
        ),
        // order, gaps, mixtures
        ("filename*2=c; filename*0=a; filename*1=b", "abc"),
        (
            "filename*10=k; filename*0=a; filename*1=b; filename*2=c; filename*3=d; filename*4=e; filename*5=f; filename*6=g; filename*7=h; filename*8=i; filename*9=j",
            "abcdefghijk",
        ),
        ("filename*0=a; filename*2=c", "ac"),
        ("filename*1=b", "b"),
        ("filename*00=a; filename*01=b", "ab"),
        ("filename*0*=utf-8''a; filename*1=\"%20b\"; filename*2*=%20c", "a%20b c"),
        ("filename*0*=utf-8''%C3; filename*1*=%A9", "é"),
        ("filename*0=\"=?utf-8?q?a\"; filename*1=\"b?=\"", "ab"),
        ("filename=old; filename*=utf-8''new", "new"),
        ("filename*=utf-8''new; filename=old", "new"),
        // charset, language, percent
        ("filename*=''a%20b", "a b"),
        ("filename*=utf-8''a'b", "a'b"),
        ("filename*=UTF-8'de'%E2%82%AC", "€"),
        ("filename*=iso-8859-1''%A3", "£"),
        ("filename*=\"utf-8''a%20b\"", "a b"),
        ("filename*=utf-8''100%", "100%"),
        ("filename*=utf-8''%zz%c3%a9", "%zzé"),
        ("filename*=plain", "plain"),
        // encoded words, which RFC 2047 §5 forbids here and everybody sends
        ("filename=\"=?utf-8?B?w6kudHh0?=\"", "é.txt"),
        ("filename==?utf-8?Q?=C3=A9.txt?=", "é.txt"),
        ("filename=\"=?utf-8?Q?a?=\r\n =?utf-8?Q?b.txt?=\"", "ab.txt"),
        ("filename=\"=?iso-8859-1?Q?=E9?= 1.txt\"", "é 1.txt"),
        ("filename=\"é.txt\"", "é.txt"),
        // quotes, spaces, semicolons
        ("filename=\"a;b.txt\"", "a;b.txt"),
        ("filename=\"a \\\"b\\\".txt\"", "a \"b\".txt"),
        ("filename=two words.txt", "two words.txt"),
        ("filename=two words.txt; size=3", "two words.txt"),
        ("filename = \"a.txt\" ; size = 3", "a.txt"),
        ("FILENAME=a.txt", "a.txt"),
        ("filename=\"a.txt", "a.txt"),
        ("filename=a.txt;", "a.txt"),
        (";; filename=a.txt;;", "a.txt"),
        ("size=3 filename=a.txt", "a.txt"),
        ("filename=\"a.txt\" (a comment)", "a.txt"),
        ("filename='a.txt'", "'a.txt'"),
        ("filename=\"a\r\n b.txt\"", "a b.txt"),
        // paths are given as they are: who writes files must look
        ("filename=\"../../etc/passwd\"", "../../etc/passwd"),
        ("filename=\"/a/b.txt\"", "/a/b.txt"),
        ("filename=\"C:\\\\a\\\\b.txt\"", "C:\\a\\b.txt"),
        ("filename=\"..\"", ".."),
    ] {
        assert_eq!(filename(value).as_deref(), Some(expected), "{value}");
    }
    for value in ["", "filename=", "filename=\"\"", "filename", "name=a.txt", "filename*x=a"] {
        assert_eq!(filename(value), None, "{value}");
    }
    let both = "Content-Type: x/y; name=\"n.txt\"\nContent-Disposition: attachment; filename=\"\"\n\n";
    assert_eq!(Message::parse(both).root().filename().as_deref(), Some("n.txt"));
}

/// Type and charset that a value of Content-Type comes to.
fn media(value: &str) -> (String, Option<String>) {
    let message = Message::parse(format!("Content-Type: {value}\r\n\r\nx"));
    let content_type = message.root().content_type();
    (content_type.to_string(), content_type.charset())
}

#[test]
fn content_types_however_malformed() {
    // RFC 2045 §5.2: what cannot be understood is text/plain in US-ASCII.
    let plain = ("text/plain", Some("us-ascii"));
    for (value, expected) in [
        ("text/html; charset=utf-8", ("text/html", Some("utf-8"))),
        ("TEXT/HTML;CHARSET=\"UTF-8\"", ("text/html", Some("UTF-8"))),
        ("text/html; charset=\"utf-8", ("text/html", Some("utf-8"))),
        ("text/html; charset = utf-8 ;", ("text/html", Some("utf-8"))),
        ("text/html;; charset=utf-8", ("text/html", Some("utf-8"))),
        ("text/html charset=utf-8", ("text/html", Some("utf-8"))),
        ("text/html\r\n\tcharset=utf-8", ("text/html", Some("utf-8"))),
        ("text/html; charset=utf-8 (Unicode)", ("text/html", Some("utf-8"))),
        ("text/html; charset=(Unicode) utf-8", ("text/html", Some("utf-8"))),
        ("text (a) / (b) html (c) ; (d) charset=utf-8", ("text/html", Some("utf-8"))),
        ("text/html; charset*=us-ascii'en'utf-8", ("text/html", Some("utf-8"))),
        ("text/html; charset=utf-8; charset=koi8-r", ("text/html", Some("utf-8"))),
        ("text/html; format=flowed", ("text/html", None)),
        ("text/html; charset=", ("text/html", Some(""))),
        ("text", plain),
        ("text/", plain),
        ("/html", plain),
        ("", plain),
        (";", plain),
        ("html", plain),
        ("\"text/html\"", plain),
        ("text/plain/html", ("text/plain", None)),
        ("application/octet-stream", ("application/octet-stream", None)),
        ("multipart", plain),
        // no parts in it
        ("multipart/mixed", plain),
        ("multipart/mixed; boundary=", plain),
        ("multipart/mixed; boundary=b", plain),
    ] {
        let (kind, charset) = media(value);
        assert_eq!((kind.as_str(), charset.as_deref()), expected, "{value}");
    }
}

/// A filter that knows of no name where another reader shows one lets it pass.
#[test]
fn names_of_files_are_found_in_malformed_fields() {
    for header in [
        "Content-Disposition: ; filename=a.exe",
        "Content-Disposition: filename=a.exe",
        "Content-Disposition: \"attachment\"; filename=a.exe",
        "Content-Disposition: attachment, filename=a.exe",
        "Content-Disposition: =?utf-8?q?attachment?=; filename*=utf-8''a%2Eexe",
        "Content-Disposition: attachment; filename=\"\"\nContent-Type: x-exe; name=a.exe",
        "Content-Type: application; name=\"a.exe\"",
        "Content-Type: ; name=a.exe",
        "Content-Type: \"application/zip\"; name=a.exe",
        "Content-Type: application/zip name=a.exe",
    ] {
        let message = Message::parse(format!("{header}\n\n"));
        assert_eq!(message.root().filename().as_deref(), Some("a.exe"), "{header}");
        assert!(message.defects().iter().any(|defect| defect.is_ambiguous()), "{header}");
    }
}

#[test]
fn dispositions_however_malformed() {
    for (value, expected) in [
        ("inline", Some(("inline", false))),
        ("INLINE; filename=a", Some(("inline", false))),
        ("attachment", Some(("attachment", true))),
        // RFC 2183 §2.8: "Unrecognized disposition types should be treated as attachment"
        ("x-unheard-of; a=b", Some(("x-unheard-of", true))),
        ("(x) inline (y)", Some(("inline", false))),
        ("inline filename=a", Some(("inline", false))),
        ("filename=a", Some(("filename", true))),
        ("", None),
        ("; filename=a", None),
        ("\"inline\"", Some(("inline", false))),
    ] {
        let message = Message::parse(format!("Content-Disposition: {value}\n\n"));
        let read = message.root().disposition();
        let read = read.as_ref().map(|disposition| (disposition.kind(), disposition.is_attachment()));
        assert_eq!(read, expected, "{value}");
    }
}

/// The text of each part that has one, and in brackets the size of the others.
fn parts(raw: &str) -> String {
    let message = Message::parse(raw.to_owned());
    let shown =
        |part: Part<'_>| part.text().map_or_else(|| format!("[{}]", part.decode().len()), |text| text.into_owned());
    message.parts().map(shown).collect::<Vec<_>>().join("|").replace("\r\n", "~").replace('\n', "~")
}

#[test]
fn multiparts_however_broken() {
    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\n\n";
    for (header, body, expected) in [
        (MIXED, "--b\n\none\n--b\n\ntwo\n--b--\n", "one|two"),
        (MIXED, "preamble\n--b\n\none\n--b--\nepilogue", "one"),
        (MIXED, "--b\n\none\n--b\n\ntwo\n", "one|two~"),
        (MIXED, "--b\n\none\n--b\n\ntwo", "one|two"),
        (MIXED, "--b  \n\none\n--b\t\n\ntwo\n--b-- \n", "one|two"),
        (MIXED, "--b\n\none\n--b--", "one"),
        (MIXED, "--b\n\none\n --b\ntwo\n--b--\n", "one~ --b~two"),
        (MIXED, "--b\n\none\n-- b\ntwo\n--b--\n", "one~-- b~two"),
        (MIXED, "--b\n\none\ntwo --b\n--b--\n", "one~two --b"),
        (MIXED, "--b\none\n--b--\n", "one"),
        (MIXED, "--b\n\n\n--b--\n", ""),
        (MIXED, "--b\n\n--b--\n", ""),
        (MIXED, "--b--\nlate", "--b--~late"),
        (MIXED, "no parts\n", "no parts~"),
        (MIXED, "", ""),
        ("Content-Type: multipart/mixed; boundary=\"a b\"\n\n", "--a b\n\none\n--a b--\n", "one"),
        ("Content-Type: multipart/mixed; boundary=\"b \"\n\n", "--b\n\none\n--b--\n", "one"),
        ("Content-Type: multipart/mixed; boundary=\"b\n\n", "--b\n\none\n--b--\n", "one"),
        ("Content-Type: multipart/mixed;\n boundary=b; boundary=c\n\n", "--b\n\none\n--c\n--b--\n", "one~--c"),
        ("Content-Type: multipart/mixed; boundary=----=_x.(1)\n\n", "------=_x.(1)\n\none\n------=_x.(1)--\n", "one"),
        ("Content-Type: multipart/mixed; boundary*=us-ascii''b\n\n", "--b\n\none\n--b--\n", "one"),
        ("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n", "--ab\n\none\n--ab--\n", "one"),
        ("Content-Type: MULTIPART/X-UNHEARD-OF; BOUNDARY=b\n\n", "--b\n\none\n--b--\n", "one"),
        ("Content-Type: multipart/mixed; boundary=B\n\n", "--b\n\none\n--b--\n", "--b~~one~--b--~"),
        (
            "Content-Transfer-Encoding: base64\nContent-Type: multipart/mixed; boundary=b\n\n",
            "--b\n\none\n--b--\n",
            "one",
        ),
        // in each other
        (MIXED, "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--\n--b\n\ntwo\n--b--\n", "one|two"),
        (MIXED, "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--\n", "one|two"),
        (
            MIXED,
            "--b\nContent-Type: multipart/mixed; boundary=bc\n\n--bc\n\none\n--bc--\n--b\n\ntwo\n--b--\n",
            "one|two",
        ),
        (MIXED, "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n", "one|two"),
        (MIXED, "--b\nContent-Type: message/rfc822\n\nSubject: x\n\none\n--b\n\ntwo\n--b--\n", "[15]|one|two"),
        (MIXED, "--b\nContent-Type: message/rfc822\n\nSubject: x\n--b\n\ntwo\n--b--\n", "[10]||two"),
    ] {
        assert_eq!(parts(&format!("{header}{body}")), expected, "{header}{body}");
        // The line ends of the network make no other tree.
        let crlf = format!("{header}{body}").replace('\n', "\r\n");
        let expected = expected.replace("[15]", "[17]");
        assert_eq!(parts(&crlf), expected, "{crlf}");
    }
}

/// Names of the fields, and the body.
fn fields(raw: &[u8]) -> (String, String) {
    let message = Message::parse(raw.to_vec());
    let names: Vec<&str> = message.header().fields().map(|field| field.name()).collect();
    (names.join(" "), message.root().raw_body().escape_ascii().to_string())
}

#[test]
fn headers_however_broken() {
    for (raw, names, body) in [
        (&b"A: b\nC: d\n\nbody"[..], "A C", "body"),
        (b"A: b\r\nC: d\r\n\r\nbody", "A C", "body"),
        (b"A: b\r\nC: d\n\r\nbody", "A C", "body"),
        (b"A: b\nC: d", "A C", ""),
        (b"A:b\nC:\n\n", "A C", ""),
        (b"A : b\nC\t: d\n\nbody", "A C", "body"),
        (b"A: b\n folded\n\tagain\nC: d\n\n", "A C", ""),
        (b"A: b\n \nC: d\n\nbody", "A C", "body"),
        (b"\nbody", "", "body"),
        (b"body without a header", "", "body without a header"),
        (b"A: b\nbody at once\nand on", "A", "body at once\\nand on"),
        (b"A: b\nno field\nC: d\n\nbody", "A  C", "body"),
        (b": no name\nC: d\n\nbody", " C", "body"),
        // what mbox leaves
        (b"From ada@a.test Mon Jan  1 00:00:00 2024\nA: b\n\nbody", " A", "body"),
        (b">From ada@a.test Mon Jan  1 00:00:00 2024\nA: b\n\nbody", " A", "body"),
        // a byte order mark
        (b"\xef\xbb\xbfA: b\nC: d\n\nbody", " A C", "body"),
        // CR is no line end: one field
        (b"A: b\rC: d\r\rbody", "A", ""),
        (b"A: b\0c\nC: d\n\nbody", "A C", "body"),
        (b"A: \xff\xfe\nC: d\n\nbody", "A C", "body"),
        (b"\xc3\xa9: b\nC: d\n\nbody", " C", "body"),
    ] {
        let (found, rest) = fields(raw);
        assert_eq!((found.as_str(), rest.as_str()), (names, body), "{}", raw.escape_ascii());
    }
}

#[test]
fn bodies_however_encoded() {
    for (encoding, body, expected) in [
        ("base64", "aGVs\nbG8=", "hello"),
        ("BASE64", " aGVs bG8 ", "hello"),
        ("base64", "aGVs!!bG8=\n-- \nad", "hello"),
        ("base64", "aGVsbG8=aGVsbG8=", "hellohello"),
        ("\"base64\"", "aGVsbG8=", "hello"),
        ("base64; x=y", "aGVsbG8=", "hello"),
        ("base64 (a note)", "aGVsbG8=", "hello"),
        ("base-64", "aGVsbG8=", "hello"),
        ("quoted-printable", "h=65llo=\n", "hello"),
        ("Quoted-Printable.", "h=65llo", "hello"),
        ("quoted printable", "h=65llo", "hello"),
        ("quoted_printable", "h=65llo", "hello"),
        ("quoted-printable", "100=% =zz =", "100=% =zz "),
        ("quoted-printable", "a  \nb\t\n", "a\nb\n"),
        ("quoted-printable", "a=  \nb=c3=A9", "abé"),
        ("7bit", "a=20b", "a=20b"),
        ("8bit", "é", "é"),
        ("binary", "é", "é"),
        ("", "a=20b", "a=20b"),
        ("x-unheard-of", "a=20b", "a=20b"),
        ("text/html", "a=20b", "a=20b"),
        ("x-uuencode", "begin 644 a.txt\n%:&5L;&\\\n`\nend\n", "hello"),
        ("uuencode", "no file", "no file"),
    ] {
        let message =
            Message::parse(format!("Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n{body}"));
        assert_eq!(message.root().text().as_deref(), Some(expected), "{encoding}: {body}");
    }
    let message = Message::parse("Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n\naGVsbG8=");
    assert_eq!(message.root().encoding(), Encoding::Base64);
}

#[test]
fn files_in_text_are_reachable() {
    let message =
        Message::parse("A: b\n\nSee:\nbegin 644 a.txt\n%:&5L;&\\\n`\nend\nand\nbegin 600 b c.txt\n%:&5L;&\\\n`\nend\n");
    let text = message.root().decode();
    let files = message.root().enclosed();
    let shown: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.decode(&text))).collect();
    assert_eq!(shown, [("a.txt", b"hello".to_vec()), ("b c.txt", b"hello".to_vec())]);
    // The second of two parts: each is a file of its own here, put together by who has both.
    let raw = b"A: b\r\n\r\n=ybegin part=2 total=2 line=128 size=8 name=a.bin\r\n=ypart begin=6 end=8\r\n\x8b\x8c\x8d\r\n=yend size=3 part=2 pcrc32=00000000\r\n";
    let message = Message::parse(&raw[..]);
    let files = message.root().enclosed();
    assert_eq!((files.len(), files[0].name.as_str(), files[0].complete), (1, "a.bin", true));
    assert_eq!(files[0].decode(&message.root().decode()), b"abc");
}

#[test]
fn addresses_however_written() {
    for (value, expected) in [
        ("ada@a.test", "<ada@a.test>"),
        ("Ada <ada@a.test>", "Ada <ada@a.test>"),
        ("\"Lovelace, Ada\" <ada@a.test>", "Lovelace, Ada <ada@a.test>"),
        ("Lovelace, Ada <ada@a.test>", "<Lovelace> Ada <ada@a.test>"),
        ("Ada Lovelace<ada@a.test>", "Ada Lovelace <ada@a.test>"),
        ("<ada@a.test> (Ada)", "Ada <ada@a.test>"),
        ("ada@a.test (Ada (of London))", "Ada (of London) <ada@a.test>"),
        ("=?utf-8?q?Ad=C3=A4?= <ada@a.test>", "Adä <ada@a.test>"),
        ("\"=?utf-8?q?Ad=C3=A4?=\" <ada@a.test>", "Adä <ada@a.test>"),
        ("=?utf-8?q?a?= =?utf-8?q?b?= <ada@a.test>", "ab <ada@a.test>"),
        ("ada@a.test (=?utf-8?q?Ad=C3=A4?=)", "Adä <ada@a.test>"),
        ("'Ada' <ada@a.test>", "'Ada' <ada@a.test>"),
        ("ada@a.test,bob@b.test", "<ada@a.test> <bob@b.test>"),
        ("ada@a.test;bob@b.test", "<ada@a.test> <bob@b.test>"),
        (",ada@a.test,,", "<ada@a.test>"),
        ("ada@a.test,\r\n\tbob@b.test", "<ada@a.test> <bob@b.test>"),
        ("Ada <ada@a.test", "Ada <ada@a.test>"),
        ("Ada ada@a.test>", "Ada <ada@a.test>"),
        ("<@a.test,@b.test:ada@c.test>", "<ada@c.test>"),
        ("< ada @ a.test >", "<ada@a.test>"),
        ("<>", "<>"),
        ("undisclosed-recipients:;", "[]"),
        ("Friends: Ada <ada@a.test>, bob@b.test;", "[Ada <ada@a.test> <bob@b.test>]"),
        ("Friends: ada@a.test", "[<ada@a.test>]"),
        ("Friends: ;, ada@a.test", "[] <ada@a.test>"),
        ("\"a b\"@a.test", "<a b@a.test>"),
        ("a.b.@a.test", "<a.b.@a.test>"),
        ("ada@[192.0.2.1]", "<ada@[192.0.2.1]>"),
        ("ada@[IPv6:2001:db8::1], bob@b.test", "<ada@[IPv6:2001:db8::1]> <bob@b.test>"),
        ("jösé@exämple.test", "<jösé@exämple.test>"),
    ] {
        let message = Message::parse(format!("To: {value}\n\n"));
        let mailbox = |mailbox: &facteur::address::Mailbox<'_>| match mailbox.name() {
            Some(name) => format!("{name} <{mailbox}>"),
            None => format!("<{mailbox}>"),
        };
        let entry = |entry: &facteur::address::Entry| match entry {
            facteur::address::Entry::Mailbox(one) => mailbox(one),
            facteur::address::Entry::Group(group) => {
                format!("[{}]", group.members.iter().map(mailbox).collect::<Vec<_>>().join(" "))
            }
        };
        let shown: Vec<String> = message.header().get("to").unwrap().addresses().iter().map(entry).collect();
        assert_eq!(shown.join(" "), expected, "{value}");
    }
}
