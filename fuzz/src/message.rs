//! Messages: the part tree against a slow and obvious second reader, and what reads must write back the same.

use facteur::address::{Mailbox, list};
use facteur::base::Timestamp;
use facteur::message::{DefectKind, Encoding, Header, HeaderEdit, Message, Part};
use facteur::text::{Params, charset, utf7, words};

/// Spans nest, fields joined are the header, parts read alone have the same tree, and another reader sees the same parts.
pub fn message(input: &[u8]) {
    let message = Message::parse(input.to_vec());
    assert_eq!(message.raw(), input);
    let limited = message.defects().iter().any(|defect| {
        use DefectKind::*;
        matches!(defect.kind, TooDeep | TooManyParts | TooManyFields)
    });
    assert!(message.defects().iter().all(|defect| defect.at <= input.len()));
    assert!(message.defects().is_sorted_by_key(|defect| defect.at));
    check_defects(&message, input);

    for part in message.all_parts() {
        check_part(&message, part);
        if !limited && part.raw().len() < 10_000 && !in_digest(part) {
            let alone = Message::parse(part.raw().to_vec());
            assert_eq!(shape(alone.root()), shape(part), "a part read alone");
        }
    }

    // The second reader is slow.
    if !limited
        && input.len() < 10_000
        && let Some(expected) = second_reader(input)
    {
        assert_eq!(shape(message.root()), expected, "the second reader");
    }

    let header = HeaderEdit::new(&message);
    assert_eq!(header.clone().finish(), message, "without edits every octet stays");
    // A first line that is no field may belong to the new one.
    if message.header().fields().all(|field| !field.name().is_empty()) {
        let mut header = header;
        header.prepend("X-Facteur", b"here").unwrap();
        let edited = header.finish();
        assert_eq!(edited.header().fields().count(), message.header().fields().count() + 1);
        assert_eq!(edited.root().raw_body(), message.root().raw_body(), "the body stays");
    }

    let bodies = message.bodies();
    for part in bodies.text.iter().chain(&bodies.html).chain(&bodies.attachments) {
        assert!(!part.is_multipart());
    }
}

fn in_digest(part: Part<'_>) -> bool {
    part.parent().is_some_and(|parent| parent.content_type().is("multipart", "digest"))
}

fn check_part(message: &Message, part: Part<'_>) {
    assert_eq!([part.raw_header(), part.raw_body()].concat(), part.raw());
    let joined: Vec<u8> = part.header().fields().flat_map(|field| field.raw().to_vec()).collect();
    assert_eq!(joined, part.header().raw());
    let blank = part.raw_header().strip_prefix(&joined[..]).expect("the header begins with its fields");
    assert!(matches!(blank, b"" | b"\n" | b"\r\n"));
    if let Some(parent) = part.parent() {
        let body = parent.body_offset()..parent.body_offset() + parent.raw_body().len();
        assert!(
            body.start <= part.offset() && part.offset() + part.raw().len() <= body.end,
            "a part lies in its parent"
        );
    }
    let mut before = part.body_offset();
    for child in part.children() {
        assert!(before <= child.offset(), "parts follow each other");
        before = child.offset() + child.raw().len();
    }
    let path = part.path();
    let found = message.part(&path).expect("a part has a number");
    // An embedded message has the number of the part that it lies in, where it is a multipart.
    assert!(found.offset() == part.offset() || found.embedded().is_some_and(|inner| inner.offset() == part.offset()));
    // A line of uuencode says how much it holds; what is missing is spaces lost on the way.
    let most = if part.encoding() == Encoding::Uuencode { 21 } else { 1 };
    assert!(part.decode().len() <= part.raw_body().len() * most);
    let _ = (part.text(), part.filename(), part.disposition(), part.id(), part.description(), part.lines());
    check_header(part.header());
}

fn check_header(header: Header<'_>) {
    for field in header.fields() {
        assert!(!field.raw().is_empty());
        assert!(header.all(field.name()).any(|same| same == field) || field.name().is_empty());
        assert!(!field.unfolded().contains(&b'\n'));
        let _ = (field.text(), field.date(), field.ids().count(), field.content_type(), field.disposition());
        for entry in field.addresses() {
            for mailbox in entry.mailboxes() {
                let _ = (mailbox.name(), mailbox.address());
            }
        }
    }
}

/// What is said to stand at an octet stands there, and a slow count comes to the same.
fn check_defects(message: &Message, input: &[u8]) {
    for defect in message.defects() {
        use DefectKind::*;
        let rest = &input[defect.at..];
        let line: &[u8] = rest.split(|octet| *octet == b'\n').next().unwrap_or_default();
        let begins = |word: &str| rest.get(..word.len()).is_some_and(|name| name.eq_ignore_ascii_case(word.as_bytes()));
        let at_line_start =
            defect.at == 0 || input[..defect.at].ends_with(b"\n") || input[..defect.at].ends_with(b"\xef\xbb\xbf");
        let holds = match defect.kind {
            SpaceBeforeColon => matches!(rest[0], b' ' | b'\t') && line.trim_ascii_start().starts_with(b":"),
            BlankFold => at_line_start && !line.is_empty() && line.trim_ascii().is_empty(),
            NotUtf8 => rest[0] >= 0x80,
            Comment => rest[0] == b'(',
            CutHeader | LooseBoundary | PartAfterEnd => at_line_start && rest.starts_with(b"--"),
            TwoFroms | OddFrom => at_line_start && begins("from"),
            TwoContentTypes | NoMediaType => at_line_start && begins("content-type"),
            TwoEncodings | OddEncoding => at_line_start && begins("content-transfer-encoding"),
            TwoDispositions => at_line_start && begins("content-disposition"),
            TwoCharsets | UnknownCharset => begins("charset"),
            TwoBoundaries | OddBoundary | EncodedBoundary | SameBoundary => begins("boundary"),
            TwoNames => begins("name") || begins("filename"),
            OddQuotedPrintable => rest[0] == b'=',
            LongLine => at_line_start && line.strip_suffix(b"\r").unwrap_or(line).len() > 998,
            RepeatedField | NotAField => at_line_start,
            Nul => rest[0] == 0,
            BareCr => rest[0] == b'\r',
            BareLf => rest[0] == b'\n',
            _ => true,
        };
        assert!(holds, "{defect:?}");
    }
    let count = |kind| message.defects().iter().filter(|defect| defect.kind == kind).count();
    let raw_fields = message.all_parts().flat_map(|part| part.header().fields().map(|field| field.raw()));
    let strange = raw_fields.filter(|raw| std::str::from_utf8(raw).is_err()).count();
    assert_eq!(count(DefectKind::NotUtf8), strange.min(100));
    if !input.to_ascii_lowercase().windows(6).any(|word| word == b"binary") {
        let lines = input.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let long = lines.filter(|line| line.len() > 998).count();
        // What follows the last line end has none of its own to lose.
        assert!(count(DefectKind::LongLine).abs_diff(long.min(100)) <= usize::from(input.ends_with(b"\r")));
    }
}

/// A tree as text: type, header and body lengths, children.
fn shape(part: Part<'_>) -> String {
    let children: Vec<String> = part.children().map(shape).collect();
    format!("{}+{}[{}]", part.raw_header().len(), part.raw_body().len(), children.join(" "))
}

/// Reads a message from outside to inside, each multipart cut whole before its parts are looked at. It knows nothing of
/// boundaries of which one begins another, and gives up on them.
fn second_reader(input: &[u8]) -> Option<String> {
    read(input, false, &mut Vec::new())
}

/// The value of the first field of a name.
fn value_of(fields: &[Vec<u8>], name: &str) -> Option<Vec<u8>> {
    fields.iter().find_map(|field| {
        let (own, value) = field.split_at(field.iter().position(|octet| *octet == b':')?);
        let own = String::from_utf8_lossy(own);
        own.trim_end_matches([' ', '\t']).eq_ignore_ascii_case(name).then(|| value[1..].to_vec())
    })
}

/// The boundary in a Content-Type, if it is a multipart.
fn boundary_of(content_type: &[u8]) -> Option<Vec<u8>> {
    let content_type = facteur::message::ContentType::parse(content_type).filter(|own| own.kind() == "multipart")?;
    let params = content_type.params();
    let boundary = match params.octets("boundary") {
        Some(octets) => octets.to_vec(),
        None => params.value("boundary")?.into_bytes(),
    };
    Some(boundary.trim_ascii_end().to_vec()).filter(|boundary| !boundary.is_empty())
}

fn read(octets: &[u8], in_digest: bool, outer: &mut Vec<Vec<u8>>) -> Option<String> {
    let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
    let is_blank = |line: &[u8]| matches!(line, b"\n" | b"\r\n");
    let is_field = |line: &[u8]| {
        let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
        let name = name.strip_suffix(b"\r\n").unwrap_or(name);
        let end = name.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |at| at + 1);
        line.contains(&b':') && end > 0 && name[..end].iter().all(|octet| (33..127).contains(octet))
    };
    // Behind its boundary a multipart has no field, whether a blank line stands there or not.
    let is_own = |line: &[u8], fields: &[Vec<u8>]| {
        let own = value_of(fields, "content-type").and_then(|value| boundary_of(&value));
        own.is_some_and(|own| line.strip_prefix(b"--").is_some_and(|rest| rest.starts_with(&own)))
    };
    // The header.
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let (mut body, mut has_body) = (lines.len(), false);
    let mut header = 0;
    for (n, line) in lines.iter().enumerate() {
        let next = lines.get(n + 1).copied().unwrap_or_default();
        if is_blank(line) {
            (body, has_body) = (n + 1, true);
            header += line.len();
            break;
        }
        // A byte order mark may stand before the first field.
        let field = line.strip_prefix(b"\xef\xbb\xbf").filter(|field| n == 0 && is_field(field)).unwrap_or(line);
        if matches!(line[0], b' ' | b'\t') && !fields.is_empty() {
            fields.last_mut().unwrap().extend_from_slice(line);
        } else if is_own(line, &fields) {
            (body, has_body) = (n, true);
            break;
        } else if is_field(field)
            || n == 0 && (line.starts_with(b"From ") || line.starts_with(b">From "))
            || !is_own(next, &fields) && (is_field(next) || !fields.is_empty() && is_blank(next))
        {
            fields.push(field.to_vec());
        } else {
            (body, has_body) = (n, true);
            break;
        }
        header += line.len();
    }
    let rest: Vec<u8> = lines[body..].concat();
    let leaf = |header: usize| Some(format!("{header}+{}[]", octets.len() - header));
    let value = |name: &str| value_of(&fields, name);
    let content_type = value("content-type");
    let parsed = content_type.as_deref().map(facteur::message::ContentType::parse);
    let encoded =
        value("content-transfer-encoding").is_some_and(|value| facteur::message::Encoding::parse(&value).is_encoded());
    let (kind, subtype) = match &parsed {
        Some(Some(content_type)) => (content_type.kind(), content_type.subtype()),
        Some(None) => ("text", "plain"),
        None if in_digest => ("message", "rfc822"),
        None => ("text", "plain"),
    };
    if !has_body {
        return leaf(header);
    }
    if kind == "message" && matches!(subtype, "rfc822" | "global" | "news") && !encoded {
        return Some(format!("{header}+{}[{}]", rest.len(), read(&rest, false, outer)?));
    }
    if kind != "multipart" {
        return leaf(header);
    }
    let Some(boundary) = boundary_of(content_type.as_deref().unwrap_or_default()) else { return leaf(header) };
    if outer.iter().any(|other| other.starts_with(&boundary) || boundary.starts_with(other)) {
        return None;
    }
    // The parts: what stands between two lines that begin with the boundary.
    let mut parts: Vec<Option<Vec<u8>>> = Vec::new();
    let mut closed = false;
    for line in rest.split_inclusive(|octet| *octet == b'\n') {
        let delimiter = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(&boundary[..]));
        match delimiter {
            Some(_) if closed => {}
            Some(tail) => {
                parts.push(Some(Vec::new()));
                if tail.starts_with(b"--") {
                    parts.pop();
                    parts.push(None);
                    closed = true;
                }
            }
            None if !closed => {
                if let Some(Some(part)) = parts.last_mut() {
                    part.extend_from_slice(line);
                }
            }
            None => {}
        }
    }
    let count = parts.len();
    outer.push(boundary);
    let mut shown = Vec::new();
    for (n, part) in parts.into_iter().enumerate() {
        let Some(mut part) = part else { continue };
        if n + 1 < count {
            // Read alone it would not be a message.
            if subtype == "digest" && (part.ends_with(b"\n\n") || part.ends_with(b"\n\r\n")) {
                return None;
            }
            // The line end before the next boundary belongs to it, unless it ends a header
            // or another boundary.
            if !ends_with_header(&part) {
                part.truncate(
                    part.strip_suffix(b"\n").map_or(part.len(), |text| text.strip_suffix(b"\r").unwrap_or(text).len()),
                );
            }
        }
        shown.push(read(&part, subtype == "digest", outer)?);
    }
    outer.pop();
    Some(format!("{header}+{}[{}]", rest.len(), shown.join(" ")))
}

/// Whether the last thing is the blank line of a header, or a boundary with nothing behind it.
fn ends_with_header(octets: &[u8]) -> bool {
    let message = Message::parse(octets.to_vec());
    message.all_parts().skip(1).any(|part| part.offset() == octets.len())
        || message.all_parts().any(|part| {
            let header = part.raw_header().len();
            part.offset() + header == octets.len() && header > part.header().raw().len()
        })
}

/// What is written reads back, and nothing takes long.
pub fn text(input: &[u8]) {
    let text = charset::guess(input).into_owned();

    let encoded = words::encode(&text);
    assert_eq!(words::decode(encoded.as_bytes()), text);
    words::decode(input);

    let encoded = utf7::encode(&text);
    assert_eq!(utf7::decode(encoded.as_bytes()).as_deref(), Ok(text.as_str()));
    if let Ok(name) = utf7::decode(input) {
        assert_eq!(utf7::encode(&name).as_bytes(), input, "one name has one form");
    }
    charset::decode("utf-7", input);

    if let Ok(stamp) = Timestamp::parse(input) {
        assert_eq!(Timestamp::parse(stamp.to_string().as_bytes()), Ok(stamp));
    }
    // The first line as a label: however it is spelt it is the same charset.
    let (label, octets) = input.split_at(input.iter().position(|octet| *octet == b'\n').unwrap_or(0));
    let label = charset::guess(label);
    assert_eq!(charset::is_known(&label), charset::is_known(&label.to_ascii_uppercase()));
    assert_eq!(charset::decode(&label, octets), charset::decode(&label.to_ascii_uppercase(), octets));

    let params = Params::parse(input);
    for (name, _) in params.raw() {
        params.value(name.split('*').next().unwrap_or_default());
    }
    let field = format!("x/y; {}", facteur::text::params::write("name", &text).join("; "));
    assert_eq!(Params::parse(field.as_bytes()).value("name").as_deref(), Some(text.as_str()));

    // Each mailbox of what is a list strictly has a domain. A literal may hold commas and quotes by the letter, which nobody
    // writes and the reader takes for separators.
    if let Ok(entries) = list::parse_strict(input)
        && !input.contains(&b'[')
    {
        let mailboxes: Vec<_> = entries.iter().flat_map(|entry| entry.mailboxes()).collect();
        assert!(mailboxes.iter().all(|mailbox| mailbox.domain().is_some()), "{mailboxes:?}");
    }
    // What is one address strictly is the same one in a list.
    if let Ok(strict) = Mailbox::parse(input)
        && let [entry] = &list::parse(input)[..]
    {
        let [mailbox] = entry.mailboxes() else { panic!("one mailbox") };
        assert_eq!((mailbox.local(), mailbox.domain()), (strict.local(), strict.domain()));
    }
    let entries = list::parse(input);
    let in_entries: Vec<_> = entries.iter().flat_map(|entry| entry.mailboxes()).cloned().collect();
    assert_eq!(list::mailboxes(input).collect::<Vec<_>>(), in_entries, "the same mailboxes without groups");
    for mailbox in in_entries {
        assert_eq!(mailbox.clone().into_owned(), mailbox);
        if let Some(address) = mailbox.address() {
            let written = address.to_string();
            let again = list::mailboxes(written.as_bytes()).next().and_then(|mailbox| mailbox.address());
            assert_eq!(again, Some(address), "a list of one address");
        }
    }
}
