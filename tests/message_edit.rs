//! Edits of random trees: what was asked for is there, and every part that was not meant is the same to the octet.

use facteur::message::{Edit, EditError, Message, NewPart, Part, Protected, Recode};
use proptest::prelude::*;

/// A part as a tree, numbered as the parser numbers parts: each before the parts in it.
#[derive(Clone, Debug)]
enum Node {
    Leaf { body: String },
    Message { inner: Box<Node> },
    Multipart { subtype: &'static str, preamble: String, parts: Vec<Node>, epilogue: Option<String> },
}

fn text() -> impl Strategy<Value = String> {
    let line =
        prop_oneof!["[a-z]{0,6}", Just("--".to_owned()), Just("--other".to_owned()), Just("Field: x".to_owned())];
    (prop::collection::vec(line, 0..4), any::<bool>())
        .prop_map(|(lines, ended)| lines.join("\n") + if ended { "\n" } else { "" })
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = text().prop_map(|body| Node::Leaf { body });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let subtype = prop_oneof![Just("mixed"), Just("alternative"), Just("digest"), Just("signed")];
        let parts = prop::collection::vec(inner.clone(), 1..4);
        let multipart = (subtype, text(), parts, prop::option::weighted(0.8, text()));
        prop_oneof![
            4 => multipart.prop_map(|(subtype, preamble, parts, epilogue)| Node::Multipart { subtype, preamble, parts, epilogue }),
            1 => inner.prop_map(|inner| Node::Message { inner: Box::new(inner) }),
        ]
    })
}

/// Writes a tree with LF. Boundaries are told apart by their number.
fn write(node: &Node, fields: &str, number: &mut usize, out: &mut String) {
    let own = *number;
    *number += 1;
    out.push_str(fields);
    match node {
        Node::Leaf { body } => {
            out.push_str(&format!("Content-Type: text/plain; n={own}\n\n{body}"));
        }
        Node::Message { inner } => {
            out.push_str("Content-Type: message/rfc822\n\n");
            write(inner, "Subject: inner\n", number, out);
        }
        Node::Multipart { subtype, preamble, parts, epilogue } => {
            out.push_str(&format!("Content-Type: multipart/{subtype}; boundary=\"b{own} \"\n\n{preamble}"));
            for part in parts {
                out.push_str(&format!("\n--b{own}_\n").replace('_', ""));
                write(part, "", number, out);
            }
            if let Some(epilogue) = epilogue {
                out.push_str(&format!("\n--b{own}--\n{epilogue}"));
            }
        }
    }
}

/// What was done to a part.
#[derive(Clone, Debug, Default)]
struct Done {
    removed: bool,
    replaced: Option<usize>,
    wrapped: bool,
    before: Vec<usize>,
    after: Vec<usize>,
    first: Vec<usize>,
    last: Vec<usize>,
}

fn new(n: usize) -> NewPart<'static> {
    match n % 3 {
        0 => NewPart::octets("application/x-new", format!("new {n}\r\n--b0\r\n--b1--\r\n")),
        1 => NewPart::text("x-new", format!("new {n}\nquoted-printable: é\n--b0\n")),
        _ => NewPart::text("x-new", format!("new {n}\nplain")),
    }
}

fn new_shape(n: usize) -> String {
    format!("new {n}")
}

/// The fields that go with the content, and the body.
fn leaf_shape(part: Part<'_>) -> String {
    if part.content_type().subtype() == "x-new" {
        let content = String::from_utf8(part.decode().to_vec()).unwrap();
        return content.lines().next().unwrap().to_owned();
    }
    let fields = part.header().fields().filter(|field| field.name().starts_with("Content-"));
    let octets: Vec<u8> = fields.flat_map(|field| field.raw()).chain(part.raw_body()).copied().collect();
    String::from_utf8(octets).unwrap()
}

fn shape(part: Part<'_>, out: &mut Vec<String>) {
    if part.children().next().is_none() {
        return out.push(leaf_shape(part));
    }
    out.push(format!("({}", part.content_type()));
    part.children().for_each(|child| shape(child, out));
    out.push(")".to_owned());
}

/// The shape after the edits.
fn expected(part: Part<'_>, index: &mut usize, done: &[Done], out: &mut Vec<String>) {
    let Some(own) = done.get(*index) else { panic!("a part that nobody knows") };
    *index += 1;
    let shown = |numbers: &[usize], out: &mut Vec<String>| out.extend(numbers.iter().map(|n| new_shape(*n)));
    let mut inside = Vec::new();
    for child in part.children() {
        expected(child, index, done, &mut inside);
    }
    if own.wrapped {
        out.push("(multipart/mixed".to_owned());
    }
    shown(&own.before, out);
    match own.replaced {
        _ if own.removed => {}
        Some(n) => out.push(new_shape(n)),
        None if part.children().next().is_none() => out.push(leaf_shape(part)),
        None => {
            out.push(format!("({}", part.content_type()));
            shown(&own.first, out);
            out.append(&mut inside);
            shown(&own.last, out);
            out.push(")".to_owned());
        }
    }
    shown(&own.after, out);
    if own.wrapped {
        out.push(")".to_owned());
    }
}

fn edits() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0..9_u8, any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16))), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn edits_of_any_tree_give_the_tree_that_was_asked_for(tree in tree(), edits in edits(), crlf: bool, forced: bool) {
        let mut text = String::new();
        write(&tree, "Subject: x\n", &mut 0, &mut text);
        let message = Message::parse(if crlf { text.replace('\n', "\r\n") } else { text });
        let parts: Vec<_> = message.all_parts().collect();
        let mut done = vec![Done::default(); parts.len()];
        let mut edit = Edit::new(&message).protected(if forced { Protected::Edit } else { Protected::Refuse });
        prop_assert_eq!(edit.clone().finish().unwrap().into_bytes(), message.raw());
        for (n, (act, index)) in edits.into_iter().enumerate() {
            let index = index % parts.len();
            let part = parts[index];
            let own = &mut done[index];
            let result = match act {
                0 | 1 => edit.remove(part).map(|()| own.removed = true),
                2 => edit.replace(part, new(n)).map(|()| own.replaced = Some(n)),
                3 => edit.insert_before(part, new(n)).map(|()| own.before.push(n)),
                4 => edit.insert_after(part, new(n)).map(|()| own.after.push(n)),
                5 => edit.prepend(part, new(n)).map(|()| own.first.push(n)),
                6 => edit.append(part, new(n)).map(|()| own.last.push(n)),
                7 => edit.wrap(part, "mixed").map(|()| own.wrapped = true),
                _ => edit.header(part).map(|header| header.prepend("X-Edited", b"yes").unwrap()),
            };
            let signed = std::iter::successors(Some(part), |part| part.parent())
                .any(|part| part.content_type().is("multipart", "signed"));
            match result {
                Ok(()) | Err(EditError::Conflict) => {}
                Err(EditError::Protected) => prop_assert!(signed && !forced),
                Err(EditError::LastPart) => prop_assert!(part.parent().unwrap().is_multipart()),
                Err(EditError::Outermost) => prop_assert!(!part.parent().is_some_and(Part::is_multipart)),
                Err(EditError::NotMultipart) => prop_assert!(!part.is_multipart()),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
        let edited = edit.finish().unwrap().message();
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        expected(message.root(), &mut 0, &done, &mut wanted);
        shape(edited.root(), &mut found);
        prop_assert_eq!(found, wanted, "{} to {}", message.raw().escape_ascii(), edited.raw().escape_ascii());
        prop_assert_eq!(edited.header().get("subject").unwrap().text(), "x");
        prop_assert!(crlf || !edited.raw().contains(&b'\r'));
        let bare = edited.raw().split(|octet| *octet == b'\n').rev().skip(1).all(|line| line.ends_with(b"\r"));
        prop_assert!(!crlf || bare);
    }

    #[test]
    fn a_body_that_is_replaced_is_read_back(tree in tree(), index: prop::sample::Index, body: Vec<u8>, crlf: bool) {
        let mut text = String::new();
        write(&tree, "Subject: x\n", &mut 0, &mut text);
        let message = Message::parse(if crlf { text.replace('\n', "\r\n") } else { text });
        let parts: Vec<_> = message.all_parts().filter(|part| part.children().next().is_none()).collect();
        let number = index.index(parts.len());
        let part = parts[number];
        let mut edit = Edit::new(&message).protected(Protected::Edit);
        edit.header(part).unwrap().replace("content-type", 0, b"application/octet-stream").unwrap();
        edit.replace_body(part, body.clone(), Recode::Keep).unwrap();
        let edited = edit.finish().unwrap().message();
        let leaves: Vec<_> = edited.all_parts().filter(|part| part.children().next().is_none()).collect();
        prop_assert_eq!(leaves.len(), parts.len());
        for (n, (leaf, part)) in leaves.iter().zip(&parts).enumerate() {
            if n == number {
                prop_assert_eq!(&leaf.decode()[..], &body[..]);
            } else {
                prop_assert_eq!(leaf.raw(), part.raw());
            }
        }
    }
}

/// Where each edit read the header of the multipart again, this would take minutes.
#[test]
fn many_edits_below_a_long_header_take_linear_time() {
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(3000);
    let long = "y".repeat(200_000);
    let message =
        Message::parse(format!("Content-Type: multipart/mixed; boundary=b; x=\"{long}\"\r\n\r\n{parts}--b--\r\n"));
    let mut edit = Edit::new(&message);
    for part in message.parts() {
        edit.replace_body(part, "gone\r\n", Recode::Keep).unwrap();
    }
    let edited = edit.finish().unwrap().message();
    assert_eq!(edited.parts().filter(|part| part.text().as_deref() == Some("gone\r\n")).count(), 3000);
}
