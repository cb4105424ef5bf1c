use super::DefectKind::*;
use crate::message::{Limits, Message, Part};

/// Header and body of each part: `header|body`, children in brackets.
fn shown(part: Part<'_>) -> String {
    let children: Vec<String> = part.children().map(shown).collect();
    let text = |octets: &[u8]| octets.escape_ascii().to_string();
    if children.is_empty() {
        return format!("{}|{}", text(part.raw_header()), text(part.raw_body()));
    }
    format!("[{}]", children.join(" "))
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\n\n";
const INNER: &str = "--b\nContent-Type: multipart/mixed; boundary=c\n\n";

#[test]
fn broken_messages_open() {
    for (text, expected, defects) in [
        ("".to_owned(), "|", vec![]),
        ("\r\n".to_owned(), r"\r\n|", vec![]),
        ("\nbody".to_owned(), r"\n|body", vec![]),
        ("A: b".to_owned(), "A: b|", vec![]),
        ("A: b\n c\n\td\n\nx".to_owned(), r"A: b\n c\n\td\n\n|x", vec![]),
        ("hello\nworld\n".to_owned(), r"|hello\nworld\n", vec![(MissingBlankLine, 0)]),
        ("A: b\nhello\nworld\n".to_owned(), r"A: b\n|hello\nworld\n", vec![(MissingBlankLine, 5)]),
        ("A: b\njunk\nC: d\n\nx".to_owned(), r"A: b\njunk\nC: d\n\n|x", vec![(NotAField, 5)]),
        ("A: b\njunk\n\nx".to_owned(), r"A: b\njunk\n\n|x", vec![(NotAField, 5)]),
        (" x\nA: b\n\ny".to_owned(), r" x\nA: b\n\n|y", vec![(NotAField, 0)]),
        ("\u{feff}A: b\n\ny".to_owned(), r"\xef\xbb\xbfA: b\n\n|y", vec![(NotAField, 0)]),
        ("From x y\nA: b\n\ny".to_owned(), r"From x y\nA: b\n\n|y", vec![(NotAField, 0)]),
        // multiparts
        (format!("{MIXED}--b\n\nx\n--b--\n"), r"[\n|x]", vec![]),
        // RFC 2046 §5.1.1: nothing but a delimiter line begins with the boundary, so it is no field
        (
            "Content-Type: multipart/mixed; boundary=b\n--b\nA: b\n\nx\n--b--\n".to_owned(),
            r"[A: b\n\n|x]",
            vec![(MissingBlankLine, 42)],
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\njunk\n--b: x\n\nx\n--b--\n".to_owned(),
            r"[\n|x]",
            vec![(MissingBlankLine, 42), (LooseBoundary, 47)],
        ),
        (
            "Content-Type: text/plain; boundary=b\n--b: x\n\ny".to_owned(),
            "Content-Type: text/plain; boundary=b\\n--b: x\\n\\n|y",
            vec![],
        ),
        (format!("{MIXED}--b \t\n\nx\n--b-- \nepilogue"), r"[\n|x]", vec![]),
        (format!("{MIXED}--b\r\n\r\nx\r\n\r\n--b--"), r"[\r\n|x\r\n]", vec![(BareLf, 41), (BareLf, 42)]),
        (
            format!("{MIXED}--b\n--b\n\n--b\nx"),
            r"[| \n| |x]",
            vec![(CutHeader, 47), (MissingBlankLine, 56), (MissingFinalBoundary, 57)],
        ),
        (format!("{MIXED}--b\n\nx"), r"[\n|x]", vec![(MissingFinalBoundary, 49)]),
        (format!("{MIXED}text\n"), r"Content-Type: multipart/mixed; boundary=b\n\n|text\n", vec![(NoParts, 0)]),
        (
            "Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n".to_owned(),
            r"Content-Type: multipart/mixed\n\n|--b\n\nx\n--b--\n",
            vec![(NoBoundary, 0)],
        ),
        (
            "Content-Type: multipart/mixed; boundary*=us-ascii''%0Ab\n\n--\nb\n\nx".to_owned(),
            r"Content-Type: multipart/mixed; boundary*=us-ascii\'\'%0Ab\n\n|--\nb\n\nx",
            vec![(NoBoundary, 0), (EncodedBoundary, 31)],
        ),
        (format!("{MIXED}{INNER}--c\n\nx\n--b\n\ny\n--b--"), r"[[\n|x] \n|y]", vec![(MissingFinalBoundary, 96)]),
        (format!("{MIXED}--b\n\nx\n--b--\n--b\n\ny"), r"[\n|x]", vec![(PartAfterEnd, 56)]),
        (format!("{MIXED}--bx\n\nx\n--b--"), r"[\n|x]", vec![(LooseBoundary, 43)]),
        (
            "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b\n\n--b--".to_owned(),
            r"Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b\n\n|--b--",
            vec![(TwoContentTypes, 25)],
        ),
        (
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYg==".to_owned(),
            r"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n|QTogYg==",
            vec![(EncodedMessage, 0)],
        ),
        // RFC 6532 §3.5: "it allows content-transfer-encoding for message/global"
        (
            "Content-Type: message/global\nContent-Transfer-Encoding: base64\n\nQTogYg==".to_owned(),
            r"Content-Type: message/global\nContent-Transfer-Encoding: base64\n\n|QTogYg==",
            vec![],
        ),
        ("Content-type: Message/RFC822\n\nA: b\n\nx".to_owned(), r"[A: b\n\n|x]", vec![]),
        (
            format!("{MIXED}--b\nContent-Type: message/rfc822\n--b--"),
            "[Content-Type: message/rfc822|]",
            vec![(CutHeader, 76)],
        ),
    ] {
        let message = Message::parse(text.clone());
        assert_eq!(shown(message.root()), expected, "{text:?}");
        let found: Vec<_> = message.defects().iter().map(|defect| (defect.kind, defect.at)).collect();
        assert_eq!(found, defects, "{text:?}");
    }
}

#[test]
fn a_line_with_two_boundaries_goes_to_the_longer_one() {
    let outer = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bc\n\n";
    let message = Message::parse(format!("{outer}--bc\n\nx\n--bc--\n--b\n\ny\n--b--\n"));
    assert_eq!(shown(message.root()), r"[[\n|x] \n|y]");
    let kinds = |message: &Message| message.defects().iter().map(|defect| defect.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&message), [SameBoundary]);
    // As in a message of its own, where a line that is no field ends the header.
    let inner = "Content-Type: multipart/mixed; boundary=bc\njunk\n--bc: x\n\nx\n--bc--\n";
    let message = Message::parse(format!("{MIXED}--b\n{inner}--b--\n"));
    assert_eq!(shown(message.root()), r"[[\n|x]]");
    assert_eq!(shown(Message::parse(inner).root()), r"[\n|x]");
    // RFC 2046 §5.1.2: in the header itself it is that of the outer one.
    let message = Message::parse(format!("{MIXED}--b\n{}--b--\n", inner.replace("junk\n", "")));
    assert_eq!(shown(message.root()), r"[Content-Type: multipart/mixed; boundary=bc| \n|x |]");
    // The same twice: the inner one first.
    let message = Message::parse(format!("{MIXED}{}--b\n\nx\n--b--\n--b\n\ny\n--b--\n", INNER.replace("=c", "=b")));
    assert_eq!(shown(message.root()), r"[[\n|x] \n|y]");
    assert_eq!(kinds(&message), [SameBoundary]);
}

#[test]
fn beyond_the_limits_octets_are_kept_and_reported() {
    let limits = Limits { depth: 2, parts: 4, fields: 3 };
    let nested = Message::parse_with("Content-Type: message/rfc822\n\n".repeat(5), &limits);
    assert_eq!(nested.all_parts().count(), 3);
    assert_eq!(nested.defects().iter().map(|defect| (defect.kind, defect.at)).collect::<Vec<_>>(), [(TooDeep, 60)]);
    let innermost = nested.all_parts().last().unwrap();
    assert!(innermost.content_type().is("application", "octet-stream") && innermost.embedded().is_none());
    assert_eq!(innermost.raw_body().len(), 60);

    let wide = Message::parse_with(format!("{MIXED}{}", "--b\n\nx\n".repeat(9)), &limits);
    assert_eq!(wide.all_parts().count(), 5);
    assert_eq!(wide.all_parts().last().unwrap().raw().len(), "--b\n\nx\n".len() * 6 - "--b\n".len());
    assert_eq!(wide.defects()[0].kind, TooManyParts);

    let many = Message::parse_with(format!("{}\nbody", "A: b\n c\n".repeat(9)), &limits);
    assert_eq!(many.header().fields().map(|field| field.raw().len()).collect::<Vec<_>>(), [8, 8, 8, 48]);
    assert_eq!(many.header().fields().next_back().unwrap().name(), "");
    assert_eq!(many.root().raw_body(), b"body");
    assert_eq!(many.defects().iter().map(|defect| (defect.kind, defect.at)).collect::<Vec<_>>(), [(TooManyFields, 24)]);
}

/// Each would take minutes in quadratic time.
#[test]
fn hostile_messages_take_linear_time() {
    let mut nested = String::new();
    for level in 0..2000 {
        nested.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"));
    }
    let repeated = |piece: &str| piece.repeat(2_000_000 / piece.len());
    for text in [
        nested.clone() + &repeated("--b\n"),
        nested + &repeated("--\n"),
        format!("{MIXED}{}", repeated("--b\n")),
        format!("{MIXED}{}", repeated("--b--\n")),
        format!("{MIXED}{}", repeated("\n-")),
        format!("{MIXED}--b\n{}", repeated("-")),
        repeated("A:\n"),
        repeated("junk\nA:\n"),
        format!("Content-Type: multipart/mixed; {}boundary=b\n{}", repeated("a=b; "), repeated("--a: b\n")),
        repeated(" \n"),
        format!("A: b\n{}", repeated(" \n")),
        repeated("x"),
        repeated("Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
        repeated("Content-Type: message/rfc822\n\n"),
        format!("Content-Type: multipart/mixed; {}\n\n", repeated("boundary*1=x;")),
        format!("Content-Type: multipart/mixed; {}\n\n", repeated("(")),
        // A boundary that would go on for many lines.
        format!(
            "Content-Type: multipart/mixed; boundary*=us-ascii''{}x\n\n{}",
            repeated("%0A--"),
            "\n--".repeat(500_000)
        ),
    ] {
        let message = Message::parse(text);
        message.all_parts().last().unwrap().content_type();
        assert!(message.defects().len() <= 2000);
    }
}
