use super::*;
use crate::message::NewPart;

const MIXED: &str = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n--b\nA: b\n\ntwo\n--b--\nepilogue\n";

type Way<'a> = &'a dyn Fn(&mut Edit, &Message);

/// The message after the edits; parts are found by their number.
fn edited(text: &str, edits: impl FnOnce(&mut Edit, &Message)) -> String {
    let message = Message::parse(text.to_owned());
    let mut edit = Edit::new(&message);
    edits(&mut edit, &message);
    let edited = edit.finish().unwrap();
    let mut out = Vec::new();
    edited.write_to(&mut out).unwrap();
    assert_eq!(edited.len(), out.len());
    assert_eq!(edited.into_bytes(), out);
    String::from_utf8(out).unwrap()
}

fn refused(text: &str, edits: impl FnOnce(&mut Edit, &Message) -> Result<(), EditError>) -> EditError {
    let message = Message::parse(text.to_owned());
    let mut edit = Edit::new(&message);
    let error = match edits(&mut edit, &message) {
        Err(error) => {
            assert_eq!(edit.finish().unwrap().into_bytes(), text, "an edit that was refused has changed nothing");
            return error;
        }
        Ok(()) => edit.finish(),
    };
    error.unwrap_err()
}

fn raw(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

#[test]
fn without_edits_nothing_is_copied() {
    let message = Message::parse(MIXED);
    let bytes = Edit::new(&message).finish().unwrap().into_bytes();
    assert_eq!(bytes.as_ptr(), message.raw().as_ptr());
    assert_eq!(bytes, MIXED);
}

#[test]
fn parts_go_with_their_boundary_and_nothing_else() {
    let remove = |text: &str, numbers: &[u32]| {
        edited(text, |edit, message| {
            numbers.iter().for_each(|number| edit.remove(message.part(&[*number]).unwrap()).unwrap());
        })
    };
    assert_eq!(remove(MIXED, &[1]), MIXED.replace("--b\n\none\n", ""));
    assert_eq!(remove(MIXED, &[2]), MIXED.replace("--b\nA: b\n\ntwo\n", ""));
    // The boundary that ends the multipart is missing: without one, `one` would gain a line end.
    let open = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo";
    assert_eq!(remove(open, &[2]), open.replace("--b\r\n\r\ntwo", "--b--\r\n"));
    assert_eq!(remove(open, &[1]), open.replace("--b\r\n\r\none\r\n", ""));
    let three = MIXED.replace("--b--", "--b\n\nthree\n--b--");
    assert_eq!(remove(&three, &[1, 3]), MIXED.replace("--b\n\none\n", ""));
}

#[test]
fn parts_come_where_they_are_asked_for() {
    let new = || raw("\nnew");
    for (expected, insert) in [
        ("--b\n\nnew\n--b\n\none\n--b\nA: b\n\ntwo\n", 1),
        ("--b\n\none\n--b\n\nnew\n--b\nA: b\n\ntwo\n", 2),
        ("--b\n\none\n--b\nA: b\n\ntwo\n--b\n\nnew\n", 3),
    ] {
        let expected = MIXED.replace("--b\n\none\n--b\nA: b\n\ntwo\n", expected);
        let ways: [Way<'_>; 3] = match insert {
            1 => [
                &|edit, message| edit.insert_before(message.part(&[1]).unwrap(), new()).unwrap(),
                &|edit, message| edit.prepend(message.root(), new()).unwrap(),
                &|edit, _| edit.add_first(new()).unwrap(),
            ],
            2 => [
                &|edit, message| edit.insert_before(message.part(&[2]).unwrap(), new()).unwrap(),
                &|edit, message| edit.insert_after(message.part(&[1]).unwrap(), new()).unwrap(),
                &|edit, message| edit.insert_after(message.part(&[1]).unwrap(), raw("new")).unwrap(),
            ],
            _ => [
                &|edit, message| edit.insert_after(message.part(&[2]).unwrap(), new()).unwrap(),
                &|edit, message| edit.append(message.root(), new()).unwrap(),
                &|edit, _| edit.add_last(new()).unwrap(),
            ],
        };
        for way in ways {
            assert_eq!(edited(MIXED, way), expected);
        }
    }
    let all = edited(MIXED, |edit, message| {
        let [one, two] = [1, 2].map(|number| message.part(&[number]).unwrap());
        edit.insert_after(one, raw("\n3")).unwrap();
        edit.insert_after(one, raw("\n4")).unwrap();
        edit.insert_before(two, raw("\n5")).unwrap();
        edit.insert_before(two, raw("\n6")).unwrap();
        edit.add_first(raw("\n1")).unwrap();
        edit.add_first(raw("\n2")).unwrap();
        edit.remove(one).unwrap();
        edit.replace(two, raw("\n7")).unwrap();
        edit.add_last(raw("\n8")).unwrap();
    });
    let all = Message::parse(all);
    let texts: Vec<_> = all.parts().map(|part| part.text().unwrap()).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn a_multipart_without_its_end_gets_one_where_parts_follow() {
    for (text, expected) in [
        ("--b\n\none", "--b\n\none\n--b\n\nnew\n--b--\n"),
        // Of `one` the line end is part of the body.
        ("--b\n\none\n", "--b\n\none\n\n--b\n\nnew\n--b--\n"),
        ("--b\n\none\r", "--b\n\none\r\r\n--b\n\nnew\n--b--\n"),
        ("--b", "--b\n--b\n\nnew\n--b--\n"),
        ("--b\nA: b\n\n--b--", "--b\nA: b\n\n--b\n\nnew\n--b--"),
    ] {
        let header = "Content-Type: multipart/mixed; boundary=b\n\n";
        let result = edited(&format!("{header}{text}"), |edit, _| edit.add_last(raw("\nnew")).unwrap());
        assert_eq!(result, format!("{header}{expected}"));
    }
}

#[test]
fn a_part_is_replaced_whole_and_a_message_but_for_its_own_fields() {
    assert_eq!(
        edited(MIXED, |edit, message| edit.replace(message.part(&[2]).unwrap(), raw("C: d\r\n\r\nnew\r\n")).unwrap()),
        MIXED.replace("A: b\n\ntwo", "C: d\n\nnew\n")
    );
    let notice = || NewPart::text("plain", "Removed.\n").field("Content-Description", "notice");
    assert_eq!(
        edited(MIXED, |edit, message| edit.replace(message.root(), notice()).unwrap()),
        "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Description: notice\n\nRemoved.\n"
    );
    let embedded = "Content-Type: message/rfc822\r\n\r\nTo: a\r\nContent-ID: <x>\r\n\r\nbody";
    assert_eq!(
        edited(embedded, |edit, message| {
            edit.replace(message.root().embedded().unwrap(), raw("C: d\nContent-Type: a/b\n\nnew")).unwrap();
            edit.header(message.root().embedded().unwrap()).unwrap().append("X", b"y").unwrap();
        }),
        "Content-Type: message/rfc822\r\n\r\nTo: a\r\nMIME-Version: 1.0\r\nContent-Type: a/b\r\nX: y\r\n\r\nnew"
    );
}

#[test]
fn a_body_keeps_its_encoding_where_it_can() {
    let part = |encoding: &str, body: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{encoding}\r\n{body}\r\n--b\r\n\r\nother\r\n--b--\r\n"
        )
    };
    let cte = |name: &str| format!("Content-Transfer-Encoding: {name}\r\n");
    let long = "x".repeat(999);
    for (before, body, recode, after, encoded) in [
        ("", "new", Recode::Keep, "", "new"),
        ("", "a\nb\n", Recode::Keep, "", "a\r\nb\r\n"),
        (&cte("base64"), "new", Recode::Keep, &cte("base64"), "bmV3"),
        (&cte("Base64"), "new", Recode::Anew, &cte("7bit"), "new"),
        (&cte("quoted-printable"), "a=b\nc", Recode::Keep, &cte("quoted-printable"), "a=3Db\r\nc"),
        (&cte("8bit"), "é", Recode::Keep, &cte("8bit"), "é"),
        (&cte("7bit"), "un café, deux cafés", Recode::Keep, &cte("quoted-printable"), "un caf=C3=A9, deux caf=C3=A9s"),
        ("", "日本語", Recode::Keep, &cte("base64"), "5pel5pys6Kqe"),
        ("Content-Type: a/b\r\n", "a\nb", Recode::Keep, &format!("Content-Type: a/b\r\n{}", cte("base64")), "YQpi"),
        (&cte("x-odd"), "new", Recode::Keep, &cte("7bit"), "new"),
        (&cte("x-odd"), "new", Recode::Encoded, &cte("x-odd"), "new"),
        // What would be a boundary is none.
        ("", "a\n--b\nc", Recode::Keep, &cte("base64"), "YQ0KLS1iDQpj"),
        ("", "\u{e9}, in some more words\n--b", Recode::Anew, &cte("base64"), "w6ksIGluIHNvbWUgbW9yZSB3b3Jkcw0KLS1i"),
        ("", "--bc", Recode::Anew, &cte("base64"), "LS1iYw=="),
        (&cte("binary"), "a\n--b", Recode::Keep, &cte("base64"), "YQ0KLS1i"),
    ] {
        let result = edited(&part(before, "old"), |edit, message| {
            edit.replace_body(message.part(&[1]).unwrap(), body.to_owned(), recode).unwrap();
        });
        assert_eq!(result, part(after, encoded), "{before:?} {body:?}");
    }
    let result = edited(&part("", "old"), |edit, message| {
        edit.replace_body(message.part(&[1]).unwrap(), long.clone(), Recode::Keep).unwrap();
    });
    assert_eq!(Message::parse(result).part(&[1]).unwrap().text().unwrap(), long);
}

#[test]
fn a_body_stays_apart_from_the_boundary_behind_it() {
    let text = |part: &str| format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n{part}--b--\n");
    for (part, body, expected) in [
        // The header claims the only line end before the boundary.
        ("A: b\n\n", "new", "A: b\n\nnew\n"),
        ("", "new", "\nnew\n"),
        ("\n", "", "\n\n"),
        // A CR is no part of the line end behind it.
        ("\nold\n", "new\r", "\nnew\r\r\n"),
    ] {
        let result = edited(&text(part), |edit, message| {
            edit.replace_body(message.part(&[1]).unwrap(), body, Recode::Encoded).unwrap();
        });
        assert_eq!(result, text(expected), "{part:?}");
        assert_eq!(Message::parse(result).part(&[1]).unwrap().raw_body(), body.as_bytes());
    }
}

#[test]
fn a_message_is_wrapped_with_its_content_fields_inside() {
    let text = "From: a@b\r\nContent-Type: text/plain\r\nSubject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\ntext\r\n";
    let result = edited(text, |edit, _| {
        edit.add_last(NewPart::text("plain", "footer\n")).unwrap();
        edit.add_first(raw("Content-Type: text/html\r\n\r\nhead")).unwrap();
    });
    let boundary = format!("=_{:016x}_0_", text.len());
    assert_eq!(
        result,
        format!(
            "From: a@b\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n--{boundary}\r\nContent-Type: text/html\r\n\r\nhead\r\n--{boundary}\r\n\
             Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\ntext\r\n\r\n--{boundary}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nfooter\r\n\r\n--{boundary}--\r\n"
        )
    );
    // Inside of a multipart, and where the boundary is taken.
    let line = |n: usize| format!("two\n--=_{n:016x}_1_\n");
    let taken = MIXED.replace("two", &line(MIXED.len() + line(0).len() - 3));
    let result = edited(&taken, |edit, message| {
        let one = message.part(&[1]).unwrap();
        edit.wrap(one, "alternative").unwrap();
        edit.insert_before(one, raw("\nbeside")).unwrap();
    });
    let result = Message::parse(result);
    let texts: Vec<_> = result.parts().map(|part| part.text().unwrap()).collect();
    assert_eq!(texts, ["beside", "one", &line(taken.len())]);
    assert_eq!(result.part(&[1, 2]).unwrap().text().as_deref(), Some("one"));
    assert!(result.defects().is_empty());
}

#[test]
fn a_multipart_that_another_ends_is_wrapped_without_its_line_end() {
    let text = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n\
                --c\n\none\n--c\n\ntwo\n--b--\n";
    for (edits, expected) in [
        ((|edit, part| edit.remove(part)) as fn(&mut Edit, Part<'_>) -> Result<(), EditError>, &["one"][..]),
        (|edit, part| edit.insert_after(part, raw("\nthree")), &["one", "two", "three"]),
    ] {
        let result = edited(text, |edit, message| {
            edit.wrap(message.part(&[1]).unwrap(), "mixed").unwrap();
            edits(edit, message.part(&[1, 2]).unwrap()).unwrap();
        });
        let result = Message::parse(result);
        let texts: Vec<_> = result.part(&[1, 1]).unwrap().children().map(|part| part.raw_body()).collect();
        assert_eq!(texts, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        assert_eq!(result.part(&[1]).unwrap().children().count(), 1);
    }
}

#[test]
fn in_a_digest_a_wrapped_message_says_what_it_is() {
    let text = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nbody\n--b--\n";
    let result = edited(text, |edit, message| {
        edit.wrap(message.part(&[1]).unwrap(), "mixed").unwrap();
        edit.insert_after(message.part(&[1]).unwrap(), raw("\nnote")).unwrap();
    });
    let result = Message::parse(result);
    assert_eq!(result.part(&[1, 1]).unwrap().embedded().unwrap().header().get("subject").unwrap().text(), "x");
    assert_eq!(result.part(&[1, 2]).unwrap().text().as_deref(), Some("note"));
}

#[test]
fn headers_of_inner_parts_change_and_must_fit() {
    let result = edited(MIXED, |edit, message| {
        edit.header(message.part(&[2]).unwrap()).unwrap().prepend("X", b"y").unwrap();
        edit.header(message.part(&[1]).unwrap()).unwrap().append("X", b"z").unwrap();
    });
    assert_eq!(result, MIXED.replace("A: b", "X: y\nA: b").replace("\n\none", "\nX: z\n\none"));
    for edits in [
        |header: &mut HeaderEdit| header.replace("content-type", 0, b"multipart/mixed; boundary=c").map(drop),
        |header: &mut HeaderEdit| header.replace("content-type", 0, b"multipart/digest; boundary=b").map(drop),
        |header: &mut HeaderEdit| header.replace("content-type", 0, b"text/plain").map(drop),
        |header: &mut HeaderEdit| {
            header.remove_all("content-type");
            Ok(())
        },
    ] {
        assert_eq!(refused(MIXED, |edit, message| Ok(edits(edit.header(message.root())?)?)), EditError::Header);
    }
    for value in [&b"multipart/mixed; boundary=x"[..], b"message/rfc822"] {
        let error = refused(MIXED, |edit, message| {
            Ok(edit.header(message.part(&[2]).unwrap())?.append("Content-Type", value)?)
        });
        assert_eq!(error, EditError::Header);
    }
    let name = refused(MIXED, |edit, message| Ok(edit.header(message.part(&[2]).unwrap())?.append("--b", b"x")?));
    assert_eq!(name, EditError::Header);
}

#[test]
fn what_would_break_the_message_is_refused() {
    use EditError::*;
    fn part<'a>(message: &'a Message, path: &[u32]) -> Part<'a> {
        message.part(path).unwrap()
    }
    let other = Message::parse(MIXED);
    assert_eq!(refused(MIXED, |edit, _| edit.remove(other.part(&[1]).unwrap())), OtherMessage);
    assert_eq!(refused(MIXED, |edit, message| edit.remove(message.root())), Outermost);
    assert_eq!(refused(MIXED, |edit, message| edit.insert_after(message.root(), raw("x"))), Outermost);
    assert_eq!(refused(MIXED, |edit, message| edit.append(part(message, &[1]), raw("x"))), NotMultipart);
    assert_eq!(refused(MIXED, |edit, message| edit.replace_body(message.root(), raw("x"), Recode::Keep)), NotLeaf);
    for content in [
        "--b\n",
        "\nx\n--b--\n",
        "x\n--bc",
        "Content-Type: multipart/mixed; boundary=b\n\n",
        "Content-Type: multipart/mixed; boundary=bc\n\n--bc--",
        "Content-Type: multipart/mixed; boundary=\"b \"\n\n",
    ] {
        assert_eq!(
            refused(MIXED, |edit, message| edit.replace(part(message, &[1]), raw(content))),
            Boundary,
            "{content}"
        );
    }
    let encoded = refused(MIXED, |edit, message| edit.replace_body(part(message, &[1]), raw("--b"), Recode::Encoded));
    assert_eq!(encoded, Boundary);
    assert_eq!(refused(MIXED, |edit, message| edit.wrap(message.root(), "mixed; x=y")), Build(BuildError::MediaType));
    // Conflicts.
    let message = Message::parse(MIXED);
    let mut edit = Edit::new(&message);
    edit.remove(part(&message, &[1])).unwrap();
    assert_eq!(edit.remove(part(&message, &[1])), Err(Conflict));
    assert_eq!(edit.remove(part(&message, &[2])), Err(LastPart));
    edit.append(message.root(), raw("x")).unwrap();
    edit.wrap(part(&message, &[2]), "mixed").unwrap();
    assert_eq!(edit.wrap(part(&message, &[2]), "mixed"), Err(Conflict));
    assert_eq!(edit.remove(part(&message, &[2])), Err(Conflict));
    edit.replace(message.root(), raw("x")).unwrap();
    assert_eq!(edit.replace(part(&message, &[2]), raw("x")), Err(Conflict));
    assert_eq!(edit.append(message.root(), raw("x")), Err(Conflict));
    // One boundary for two multiparts.
    let twins = MIXED.replace("A: b\n\ntwo", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntwo\n--b--");
    assert_eq!(refused(&twins, |edit, _| edit.add_last(raw("x"))), Ambiguous);
    let ends = MIXED.replace("A: b\n\ntwo", "Content-Type: multipart/mixed; boundary=b--\n\n--b--\n\ntwo");
    assert_eq!(refused(&ends, |edit, message| edit.remove(part(message, &[1]))), Ambiguous);
}

#[test]
fn what_is_signed_stays_whole() {
    use EditError::Protected as Refused;
    let signed =
        "Subject: x\nContent-Type: multipart/signed; boundary=b\n\n--b\n\none\n--b\nContent-Type: a/b\n\ntwo\n--b--\n";
    assert_eq!(refused(signed, |edit, message| edit.remove(message.part(&[2]).unwrap())), Refused);
    assert_eq!(refused(signed, |edit, message| edit.replace(message.part(&[1]).unwrap(), raw("x"))), Refused);
    assert_eq!(refused(signed, |edit, message| edit.append(message.root(), raw("x"))), Refused);
    assert_eq!(refused(signed, |edit, message| edit.header(message.part(&[1]).unwrap()).map(drop)), Refused);
    let inner = signed.replace("\n\none", "\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--");
    assert_eq!(refused(&inner, |edit, message| edit.remove(message.part(&[1, 1]).unwrap())), Refused);

    let forced = |edit: &mut Edit, message: &Message| {
        *edit = edit.clone().protected(Protected::Edit);
        edit.remove(message.part(&[2]).unwrap()).unwrap();
    };
    assert_eq!(edited(signed, forced), signed.replace("--b\nContent-Type: a/b\n\ntwo\n", ""));
    let footer = edited(signed, |edit, message| {
        edit.add_last(raw("\nfooter")).unwrap();
        edit.header(message.root()).unwrap().prepend("X", b"y").unwrap();
    });
    let whole = signed.strip_prefix("Subject: x\n").unwrap();
    assert!(footer.starts_with("X: y\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed;"));
    assert!(footer.contains(&format!("_0_\n{whole}\n--=_")), "{footer}");
}

#[test]
fn an_encoded_message_is_edited_by_itself_and_put_back() {
    let text = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAoKYm9keQo=\n";
    let message = Message::parse(text);
    let inner = message.root().message().unwrap();
    let mut edit = Edit::new(&message);
    assert_eq!(edit.replace(inner.root(), raw("x")), Err(EditError::OtherMessage));
    let mut inner_edit = Edit::new(&inner);
    inner_edit.replace_body(inner.root(), "new\n", Recode::Keep).unwrap();
    let inner = inner_edit.finish().unwrap().into_bytes();
    edit.replace_body(message.root(), inner, Recode::Keep).unwrap();
    assert_eq!(edit.clone().finish().unwrap().message().root().message().unwrap().raw(), "Subject: x\n\nnew\n");

    let message = Message::parse(text.replace('\n', "\r\n"));
    let anew = Edit::new(&message).replace_body(message.root(), "x\r\n", Recode::Anew);
    assert_eq!(anew, Err(EditError::Header), "it would be looked into");
}

#[test]
fn new_content_takes_the_line_ends_of_the_message() {
    let lf = edited(MIXED, |edit, message| {
        let part = message.part(&[1]).unwrap();
        edit.insert_before(part, NewPart::text("plain", "a\r\nb\n--b\n")).unwrap();
        edit.insert_before(part, NewPart::octets("a/b", "a\r\nb")).unwrap();
        let message = Message::parse("A: b\r\n\r\n--b\r\n");
        edit.insert_before(
            part,
            NewPart::multipart("mixed", vec![NewPart::text("x", "--b\n"), NewPart::text("y", "")]),
        )
        .unwrap();
        assert_eq!(edit.insert_before(part, NewPart::message(message)), Err(EditError::Boundary));
    });
    assert!(!lf.contains('\r'), "{lf}");
    let message = Message::parse(lf);
    assert_eq!(message.part(&[1]).unwrap().text().as_deref(), Some("a\r\nb\r\n--b\r\n"), "in base64");
    assert_eq!(&message.part(&[2]).unwrap().decode()[..], b"a\r\nb");
    assert_eq!(message.part(&[3, 1]).unwrap().text().as_deref(), Some("--b\r\n"));
    let crlf = edited(&MIXED.replace('\n', "\r\n"), |edit, _| edit.add_last(raw("A: b\n\nc\n")).unwrap());
    assert!(!crlf.replace("\r\n", "").contains('\n'));
}

/// Each would take minutes in quadratic time.
#[test]
fn wide_and_deep_messages_take_linear_time() {
    let wide = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(6_000));
    let message = Message::parse(wide);
    let mut edit = Edit::new(&message);
    for (n, part) in message.root().children().enumerate().skip(1) {
        match n % 4 {
            0 => edit.remove(part).unwrap(),
            1 => edit.replace(part, raw("\ny")).unwrap(),
            2 => edit.insert_after(part, raw("\nz")).unwrap(),
            _ => edit.wrap(part, "mixed").unwrap(),
        }
    }
    assert_eq!(edit.finish().unwrap().message().root().children().count(), 6_000 - 1_499 + 1_500);

    let nested = |n: usize| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n");
    let deep = Message::parse((0..99).map(nested).collect::<String>() + "\nx");
    let mut edit = Edit::new(&deep);
    for part in deep.all_parts().filter(|part| part.is_multipart()) {
        edit.append(part, raw("\ny")).unwrap();
    }
    assert_eq!(edit.finish().unwrap().message().parts().count(), 100);
}
