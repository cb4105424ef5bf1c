//! Edits: the parts that were not meant stay to the octet, those that were are what was asked for.

use facteur::message::convert::Transport;
use facteur::message::{DefectKind, Edit, EditError, Message, NewPart, Part, Recode};

/// What was done to a part; new parts go by their number.
#[derive(Clone, Default)]
struct Done {
    removed: bool,
    wrapped: bool,
    replaced: Option<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
    first: Vec<usize>,
    last: Vec<usize>,
}

/// The first octet says how many edits there are, two octets for each which to which part; the rest is the message.
pub fn edit(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((edits, raw)) = rest.split_at_checked(2 * (1 + usize::from(count % 4))) else { return };
    let message = Message::parse(raw.to_vec());
    assert_eq!(Edit::new(&message).finish().unwrap().into_bytes(), raw, "without edits every octet stays");
    let parts: Vec<_> = message.all_parts().collect();
    let mut done = vec![Done::default(); parts.len()];
    let mut edit = Edit::new(&message);
    for (n, pair) in edits.chunks_exact(2).enumerate() {
        let index = usize::from(pair[1]) % parts.len();
        let (part, own) = (parts[index], &mut done[index]);
        let new = || NewPart::octets("application/x-new", content(n));
        let result = match pair[0] % 8 {
            0 => edit.remove(part).map(|()| own.removed = true),
            1 => edit.replace(part, new()).map(|()| own.replaced = Some(n)),
            2 => edit.insert_before(part, new()).map(|()| own.before.push(n)),
            3 => edit.insert_after(part, new()).map(|()| own.after.push(n)),
            4 => edit.prepend(part, new()).map(|()| own.first.push(n)),
            5 => edit.append(part, new()).map(|()| own.last.push(n)),
            6 => edit.wrap(part, "mixed").map(|()| own.wrapped = true),
            _ => edit.replace_body(part, content(n), Recode::Keep).map(|()| own.replaced = Some(n)),
        };
        if result.is_err() && n == 0 {
            assert_eq!(edit.finish().unwrap().into_bytes(), raw, "an edit that was refused has changed nothing");
            return;
        }
    }
    let edited = match edit.finish() {
        Ok(edited) => edited,
        // Lines that are no fields may stand in the header.
        Err(error) => return assert_eq!(error, EditError::Header),
    };
    let shared: usize = edited.pieces().filter(|piece| is_shared(&message, piece)).map(|piece| piece.len()).sum();
    let headers: usize = parts.iter().map(|part| part.raw_header().len()).sum();
    assert!(edited.len() - shared < 4096 + 2 * headers, "only what is new is copied");
    let edited = edited.message();
    if !is_limited(&message) && !is_limited(&edited) && !is_cut(&message) {
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        expected(message.root(), &mut done.iter(), &mut wanted);
        shape(edited.root(), &mut found);
        assert_eq!(found, wanted, "{edits:?} {} to {}", raw.escape_ascii(), edited.raw().escape_ascii());
    }
}

/// What a new part holds. It is unlike anything in a corpus.
fn content(n: usize) -> Vec<u8> {
    format!("new part {n}\r\n").into_bytes()
}

fn is_limited(message: &Message) -> bool {
    use DefectKind::*;
    message.defects().iter().any(|defect| matches!(defect.kind, TooDeep | TooManyParts | TooManyFields))
}

fn is_shared(message: &Message, piece: &[u8]) -> bool {
    message.raw().as_ptr_range().contains(&piece.as_ptr())
}

/// Whether the message ends in a header, where a boundary behind it makes its line end the blank line; or whether a part
/// says that it is a message and is none for the lack of a blank line, which it gets where it is wrapped.
fn is_cut(message: &Message) -> bool {
    let hollow = |part: Part<'_>| part.raw() == part.header().raw() && part.content_type().kind() == "message";
    if message.all_parts().any(hollow) {
        return true;
    }
    let last = message.all_parts().last().expect("a part");
    last.raw_body().is_empty() && last.offset() + last.raw().len() == message.raw().len()
}

/// A new one by its content, an old one by its body: headers of messages take fields of their content with them.
fn leaf(part: Part<'_>) -> Vec<u8> {
    let decoded = part.decode();
    let new = decoded.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
    match new.filter(|text| text.starts_with(b"new part ")) {
        Some(text) => [text, b"\r\n"].concat(),
        None => part.raw_body().to_vec(),
    }
}

/// The leaves of a message, multiparts and messages in brackets.
fn shape(part: Part<'_>, out: &mut Vec<Vec<u8>>) {
    if part.children().next().is_none() {
        return out.push(leaf(part));
    }
    out.push(b"(".to_vec());
    part.children().for_each(|child| shape(child, out));
    out.push(b")".to_vec());
}

/// The shape after the edits.
fn expected<'a>(part: Part<'_>, done: &mut impl Iterator<Item = &'a Done>, out: &mut Vec<Vec<u8>>) {
    let own = done.next().expect("one for each part");
    let mut inside = Vec::new();
    part.children().for_each(|child| expected(child, done, &mut inside));
    if own.wrapped {
        out.push(b"(".to_vec());
    }
    let new = |numbers: &[usize]| numbers.iter().map(|n| content(*n)).collect::<Vec<_>>();
    out.extend(new(&own.before));
    match own.replaced {
        _ if own.removed => {}
        Some(n) => out.push(content(n)),
        None if part.children().next().is_none() => out.push(leaf(part)),
        None => {
            out.push(b"(".to_vec());
            out.extend(new(&own.first));
            out.append(&mut inside);
            out.extend(new(&own.last));
            out.push(b")".to_vec());
        }
    }
    out.extend(new(&own.after));
    if own.wrapped {
        out.push(b")".to_vec());
    }
}

/// A message that is converted can go, and its parts hold what they held.
pub fn convert(input: &[u8]) {
    let message = Message::parse(input.to_vec());
    if let Ok(converted) = message.with_ascii_header() {
        let (before, after) = (message.header(), converted.message.header());
        assert!(after.raw().is_ascii());
        assert_eq!(before.fields().len(), after.fields().len());
        assert_eq!(before.subject(), after.subject());
        for (before, after) in before.fields().zip(after.fields()) {
            assert!(after.is(before.name()));
            // A header that was cut off ends its last line.
            let stays = before.value().trim_ascii_end() == after.value().trim_ascii_end();
            assert!(!before.raw().is_ascii() || stays, "what is ASCII stays");
        }
        let names = |message: &Message| {
            message.header().from().map(|from| from.name().unwrap_or_default().trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&message), names(&converted.message));
        let again = converted.message.with_ascii_header().expect("what is in ASCII can go");
        assert_eq!((again.fields, again.message.raw()), (0, converted.message.raw()));
        let contents = |message: &Message| -> Vec<Vec<u8>> {
            // Embedded messages have headers of their own.
            let parts = message.parts().filter(|part| part.embedded().is_none());
            parts.map(|part| part.decode().into_owned()).collect()
        };
        assert_eq!(contents(&message), contents(&converted.message));
    }
    for to in [Transport::SevenBit, Transport::EightBit] {
        let Ok(converted) = message.convert(to) else { continue };
        if to == Transport::SevenBit {
            assert!(converted.message.raw().is_ascii());
        }
        let again = Message::parse(converted.message.raw().clone());
        let (before, after): (Vec<_>, Vec<_>) = (message.parts().collect(), again.parts().collect());
        assert_eq!(before.len(), after.len(), "the parts are the same");
        // Line ends of text may be others, and one may have come behind the last line.
        let content = |part: &Part<'_>| {
            let text: Vec<u8> = part.decode().iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
            text
        };
        for (before, after) in before.iter().zip(&after).filter(|(before, _)| before.embedded().is_none()) {
            assert_eq!(content(before), content(after));
        }
        let twice = again.convert(to).expect("what can go can go");
        assert_eq!((twice.parts, twice.message.raw()), (0, again.raw()));
    }
}
