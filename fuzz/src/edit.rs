//! Edits: the parts that were not meant stay to the octet, those that were are what was asked for.

use facteur::message::{DefectKind, Edit, EditError, Encoding, Message, NewPart, Part, Recode};

/// What a new part holds. It is unlike anything in a corpus.
const NEW: &str = "a new part\r\n";

/// The first octets say which edit is made to which part, the rest is the message.
pub fn edit(input: &[u8]) {
    let [act, which, raw @ ..] = input else { return };
    let message = Message::parse(raw.to_vec());
    assert_eq!(Edit::new(&message).finish().unwrap().into_bytes(), raw, "without edits every octet stays");
    let limited = |message: &Message| {
        message.defects().iter().any(|defect| {
            use DefectKind::*;
            matches!(defect.kind, TooDeep | TooManyParts | TooManyFields)
        })
    };
    let parts: Vec<_> = message.all_parts().collect();
    let part = parts[usize::from(*which) % parts.len()];
    let mut expected = Vec::new();
    let new = || NewPart::octets("application/x-new", NEW);
    let mut edit = Edit::new(&message);
    let done = match act % 8 {
        0 => edit.remove(part).map(|()| tree(message.root(), part, &[], &[], &mut expected)),
        1 => edit.replace(part, new()).map(|()| tree(message.root(), part, &[NEW], &[], &mut expected)),
        2 => edit.insert_before(part, new()).map(|()| tree(message.root(), part, &[NEW, ""], &[], &mut expected)),
        3 => edit.insert_after(part, new()).map(|()| tree(message.root(), part, &["", NEW], &[], &mut expected)),
        4 => edit.prepend(part, new()).map(|()| tree(message.root(), part, &[""], &[NEW, ""], &mut expected)),
        5 => edit.append(part, new()).map(|()| tree(message.root(), part, &[""], &["", NEW], &mut expected)),
        6 => wrapped(&mut edit, part, new()).map(|()| {
            // In the multipart that is written around it.
            tree(message.root(), part, &["(", "", NEW, ")"], &[], &mut expected);
        }),
        _ => {
            let done = edit.replace_body(part, NEW.as_bytes().to_vec(), Recode::Keep);
            done.map(|()| tree(message.root(), part, &[NEW], &[], &mut expected))
        }
    };
    if done.is_err() {
        assert_eq!(edit.finish().unwrap().into_bytes(), raw, "an edit that was refused has changed nothing");
        return;
    }
    let edited = match edit.finish() {
        Ok(edited) => edited,
        // Lines that are no fields may stand in the header.
        Err(error) => return assert_eq!(error, EditError::Header),
    };
    let shared: usize = edited.pieces().filter(|piece| is_shared(&message, piece)).map(|piece| piece.len()).sum();
    assert!(edited.len() - shared < 4096 + 2 * part.raw_header().len(), "only what is new is copied");
    let edited = edited.message();
    if !limited(&message) && !limited(&edited) && !is_cut(&message) {
        let mut found = Vec::new();
        shape(edited.root(), &mut found);
        assert_eq!(
            found,
            expected,
            "{act} {} {} to {}",
            usize::from(*which) % parts.len(),
            raw.escape_ascii(),
            edited.raw().escape_ascii()
        );
    }
}

fn wrapped(edit: &mut Edit, part: Part<'_>, new: NewPart) -> Result<(), EditError> {
    edit.wrap(part, "mixed")?;
    edit.insert_after(part, new)
}

fn is_shared(message: &Message, piece: &[u8]) -> bool {
    message.raw().as_ptr_range().contains(&piece.as_ptr())
}

/// Whether the message ends in a header: a boundary behind it makes its line end the blank line.
fn is_cut(message: &Message) -> bool {
    let last = message.all_parts().last().expect("a part");
    last.raw_body().is_empty() && last.offset() + last.raw().len() == message.raw().len()
}

/// The leaves of a message in brackets: a new one by its content, an old one by its octets.
fn shape(part: Part<'_>, out: &mut Vec<Vec<u8>>) {
    if part.children().next().is_none() {
        return out.push(leaf(part));
    }
    out.push(b"(".to_vec());
    part.children().for_each(|child| shape(child, out));
    out.push(b")".to_vec());
}

/// The body: headers of messages take fields of their content with them.
fn leaf(part: Part<'_>) -> Vec<u8> {
    let decoded = part.decode();
    let text = if decoded.ends_with(b"\r\n") || *decoded != *b"a new part\n" { decoded.to_vec() } else { NEW.into() };
    if text == NEW.as_bytes() || part.encoding() == Encoding::Binary { text } else { part.raw_body().to_vec() }
}

/// The shape that `root` is to have: `outer` stands for the part that is edited, "" for what it was, and `inner` for what
/// is in it.
fn tree(root: Part<'_>, edited: Part<'_>, outer: &[&str], inner: &[&str], out: &mut Vec<Vec<u8>>) {
    let is_it = root.offset() == edited.offset() && root.raw() == edited.raw() && root.path() == edited.path();
    let own = |out: &mut Vec<Vec<u8>>| {
        let children: Vec<_> = root.children().collect();
        if children.is_empty() {
            return out.push(leaf(root));
        }
        out.push(b"(".to_vec());
        for piece in if is_it && !inner.is_empty() { inner } else { &[""][..] } {
            match *piece {
                "" => children.iter().for_each(|child| tree(*child, edited, outer, inner, out)),
                new => out.push(new.into()),
            }
        }
        out.push(b")".to_vec());
    };
    if !is_it {
        return own(out);
    }
    for piece in outer {
        match *piece {
            "" => own(out),
            new => out.push(new.into()),
        }
    }
}
