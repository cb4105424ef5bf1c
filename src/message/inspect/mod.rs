//! Looks for what is wrong with a message and what two readers would read differently, when it is first asked for.
//!
//! The scan notes faults of the structure as it goes. All others are found here, in a pass of its own over the octets, the
//! headers, and the bodies that are base64, quoted-printable or text. It takes time linear in the message, and looks into no
//! message that is encoded.

use memchr::{memchr_iter, memchr3_iter};

use super::defects::{Defect, DefectKind, Defects, MOST_OF_A_KIND};
use super::fields::Encoding;
use super::scan::{FieldSpan, Kind, NONE, PartSpan, is_name};
use super::{Message, Part, Tree};
use crate::address::list;
use crate::text::transfer;

mod params;

use params::Placed;

/// RFC 5322 §2.1.1: "Each line of characters MUST be no more than 998 characters".
const LONGEST_LINE: usize = 998;
/// RFC 2046 §5.1.1: boundaries are "no longer than 70 characters".
const LONGEST_BOUNDARY: usize = 70;

/// All defects of a message by their octets: those that the scan noted, and what is looked for here.
pub(super) fn defects(message: &Message) -> Vec<Defect> {
    let mut defects = Defects::default();
    let (raw, tree) = (&message.raw()[..], message.tree());
    // A body that is too long is not looked into for this either.
    let end =
        if raw.len() < NONE as usize { raw.len() } else { tree.parts.first().map_or(0, |part| part.body as usize) };
    octets(raw.get(..end).unwrap_or_default(), message, &mut defects);
    // The boundaries of the multiparts around a part, with where these end.
    let mut around: Vec<(usize, Vec<u8>)> = Vec::new();
    for (index, span) in tree.parts.iter().enumerate() {
        let part = Part::new(message, index);
        header(raw, tree, index, span, &mut defects);
        params::inspect(message, part, &mut defects);
        boundary(message, part, &mut around, &mut defects);
        body(part, &mut defects);
    }
    let mut list = defects.list;
    list.extend_from_slice(&tree.defects);
    list.sort_by_key(|defect| defect.at);
    list
}

/// Where a piece of the message begins in it.
fn place(message: &Message, piece: &[u8]) -> usize {
    piece.as_ptr() as usize - message.raw().as_ptr() as usize
}

/// NUL, bare CR, bare LF among CRLF, long lines. What is declared `binary` has octets and no lines (RFC 2045 §2.9).
fn octets(raw: &[u8], message: &Message, defects: &mut Defects) {
    let mut binary = message
        .all_parts()
        .filter(|part| part.is_leaf() && part.encoding() == Encoding::Binary)
        .map(|part| part.body_offset()..part.body_offset() + part.raw_body().len())
        .peekable();
    let (mut bare, mut has_crlf) = (Vec::new(), false);
    // Where the line begins.
    let mut line = 0;
    let long = |line: usize, end: usize, defects: &mut Defects| {
        if end.saturating_sub(line) > LONGEST_LINE {
            defects.push(DefectKind::LongLine, line);
        }
    };
    for at in memchr3_iter(0, b'\r', b'\n', raw) {
        while let Some(range) = binary.next_if(|range| range.end <= at) {
            line = line.max(range.end);
        }
        if binary.peek().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        let after_cr = at.checked_sub(1).and_then(|before| raw.get(before)) == Some(&b'\r');
        match raw.get(at) {
            Some(0) => defects.push(DefectKind::Nul, at),
            Some(b'\r') if raw.get(at + 1) != Some(&b'\n') => defects.push(DefectKind::BareCr, at),
            Some(b'\n') => {
                long(line, at - usize::from(after_cr), defects);
                line = at + 1;
                has_crlf |= after_cr;
                if !after_cr && bare.len() < MOST_OF_A_KIND {
                    bare.push(at);
                }
            }
            _ => {}
        }
    }
    if binary.next().is_none() {
        long(line, raw.len(), defects);
    }
    if has_crlf {
        bare.into_iter().for_each(|at| defects.push(DefectKind::BareLf, at));
    }
}

/// Fields that may come once, in the header of a message and in that of any part. Content-Type and
/// Content-Transfer-Encoding are noted by the scan.
const ONCE: [&[u8]; 12] = [
    b"from",
    b"date",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"subject",
    b"mime-version",
];
const ONCE_IN_A_PART: [&[u8]; 3] = [b"content-disposition", b"content-id", b"content-description"];

/// Fields that come twice, or are written so that readers differ in what they are, and headers that do not end.
fn header(raw: &[u8], tree: &Tree, index: usize, part: &PartSpan, defects: &mut Defects) {
    let next = tree.parts.get(index + 1).map_or(tree.fields.len(), |next| next.first_field as usize);
    let fields: &[FieldSpan] = tree.fields.get(part.first_field as usize..next).unwrap_or_default();
    let parent = tree.parts.get(part.parent as usize);
    let is_message = parent.is_none_or(|parent| parent.kind == Kind::Message);
    let once = if is_message { &ONCE[..] } else { &[] };
    let mut seen = [false; ONCE.len() + ONCE_IN_A_PART.len()];
    let end = part.body as usize - usize::from(part.blank);
    for (n, field) in fields.iter().enumerate() {
        let end = fields.get(n + 1).map_or(end, |next| next.start as usize);
        let whole = raw.get(field.start as usize..end).unwrap_or_default();
        let name = whole.get(..field.colon(whole)).unwrap_or_default();
        spelling(whole, name, field.start as usize, defects);
        let known = |(_, known): &(usize, &&[u8])| is_name(name, known);
        let Some((n, once)) = ONCE_IN_A_PART.iter().chain(once).enumerate().find(known) else { continue };
        if *once == b"from" {
            let value = whole.get(field.colon(whole) + 1..).unwrap_or_default();
            if list::mailboxes(value).any(|mailbox| mailbox.is_ambiguous()) {
                defects.push(DefectKind::OddFrom, field.start as usize);
            }
        }
        let Some(seen) = seen.get_mut(n) else { continue };
        if std::mem::replace(seen, true) {
            let kind = match *once {
                b"from" => DefectKind::TwoFroms,
                b"content-disposition" => DefectKind::TwoDispositions,
                _ => DefectKind::RepeatedField,
            };
            defects.push(kind, field.start as usize);
        }
    }
    // Nothing behind the fields, not even a blank line, and yet the message goes on: with a boundary.
    if part.blank == 0 && part.parent != NONE && part.end == part.body && (part.end as usize) < raw.len() {
        let rest = raw.get(part.end as usize..).unwrap_or_default();
        let line_end = rest.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
        defects.push(DefectKind::CutHeader, part.end as usize + line_end);
    }
}

/// How one field is written, which begins at `start`.
fn spelling(raw: &[u8], name: &[u8], start: usize, defects: &mut Defects) {
    let bare = name.trim_ascii_end();
    if bare.len() < name.len() {
        defects.push(DefectKind::SpaceBeforeColon, start + bare.len());
    }
    if let Err(error) = std::str::from_utf8(raw) {
        defects.push(DefectKind::NotUtf8, start + error.valid_up_to());
    }
    for at in memchr_iter(b'\n', raw) {
        let rest = raw.get(at + 1..).unwrap_or_default();
        let blank = rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r')).count();
        if blank > 0 && rest.get(blank) == Some(&b'\n') {
            defects.push(DefectKind::BlankFold, start + at + 1);
        }
    }
}

/// Boundaries that no multipart may have, or not there.
fn boundary(message: &Message, part: Part<'_>, around: &mut Vec<(usize, Vec<u8>)>, defects: &mut Defects) {
    while around.last().is_some_and(|(end, _)| *end <= part.offset()) {
        around.pop();
    }
    let Some(field) = part.header().get("content-type") else { return };
    if !matches!(super::fields::composite(field.value()), super::fields::Composite::Multipart { .. }) {
        return;
    }
    let Some(own) = super::fields::boundary(field.value()) else { return };
    let placed = Placed::of(message, field);
    let at = placed.first("boundary").unwrap_or_default(); // there is one
    // bchars := bcharsnospace / " "
    let allowed = |octet: &u8| octet.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(octet);
    let cut = placed.params.octets("boundary").is_some_and(|octets| octets.len() != own.len());
    if own.len() > LONGEST_BOUNDARY || !own.iter().all(allowed) || cut {
        defects.push(DefectKind::OddBoundary, at);
    }
    if around.iter().any(|(_, other)| other.starts_with(&own) || own.starts_with(other)) {
        defects.push(DefectKind::SameBoundary, at);
    }
    if part.is_multipart() {
        around.push((part.offset() + part.raw().len(), own.to_vec()));
    }
}

/// Bodies that are not what their encoding or their type says.
fn body(part: Part<'_>, defects: &mut Defects) {
    if !part.is_leaf() || part.raw_body().is_empty() {
        return;
    }
    let body = part.raw_body();
    let odd = match part.encoding() {
        Encoding::Base64 => odd_base64(body).map(|at| (DefectKind::OddBase64, at)),
        Encoding::QuotedPrintable => {
            let odd = memchr_iter(b'=', body).find(|at| !is_escape(body.get(at + 1..).unwrap_or_default()));
            odd.map(|at| (DefectKind::OddQuotedPrintable, at))
        }
        _ => None,
    };
    if let Some((kind, at)) = odd {
        defects.push(kind, part.body_offset() + at);
    }
    if part.content_type().kind() == "text" && !part.enclosed().is_empty() {
        defects.push(DefectKind::FileInText, part.body_offset());
    }
}

/// The first octet that is neither of the alphabet nor white space, or that follows the padding; the end where the last group is
/// not whole.
fn odd_base64(body: &[u8]) -> Option<usize> {
    let (mut count, mut padded) = (0_usize, false);
    for (at, octet) in body.iter().enumerate() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if !padded => count += 1,
            b'=' if count % 4 > 1 => (count, padded) = (count + 1, true),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return Some(at),
        }
    }
    (count % 4 != 0).then_some(body.len())
}

/// Whether what follows a `=` makes an escape or a soft line break of it.
fn is_escape(rest: &[u8]) -> bool {
    if let [high, low, ..] = rest
        && transfer::hex(*high, *low).is_some()
    {
        return true;
    }
    let spaces = rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    matches!(rest.get(spaces..), Some([] | [b'\n', ..] | [b'\r', b'\n', ..]))
}

#[cfg(test)]
mod tests {
    use super::DefectKind::*;
    use super::*;

    fn found(text: impl Into<bytes::Bytes>) -> Vec<(DefectKind, usize)> {
        Message::parse(text).defects().iter().map(|defect| (defect.kind, defect.at)).collect()
    }

    /// Each `¶` marks the octet of one defect, in their order.
    fn marked(text: &str) -> (String, Vec<usize>) {
        let mut places = Vec::new();
        let mut out = String::new();
        for (n, piece) in text.split('¶').enumerate() {
            if n > 0 {
                places.push(out.len());
            }
            out.push_str(piece);
        }
        (out, places)
    }

    pub(super) fn check(rows: &[(&str, &[DefectKind])]) {
        for (text, kinds) in rows {
            let (text, places) = marked(text);
            assert_eq!(kinds.len(), places.len(), "{text:?}");
            let expected: Vec<_> = kinds.iter().copied().zip(places).collect();
            assert_eq!(found(text.clone()), expected, "{text:?}");
        }
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\n\n";

    #[test]
    fn fields_that_come_twice() {
        check(&[
            ("From: a@b\nTo: c@d\n\n", &[]),
            ("From: a@b\n¶from: c@d\n\n", &[TwoFroms]),
            ("To: a@b c@d\n¶From: a@b c@d\n\n", &[OddFrom]),
            ("From: a@b, c@d <e@f>\n\n", &[]),
            ("From: a@b\n¶From¶ : c@d\n\n", &[TwoFroms, SpaceBeforeColon]),
            ("A: b\nTo: c@d\nSubject: x\n¶TO: e@f\n¶subject: y\n\n", &[RepeatedField, RepeatedField]),
            ("Date: a\n¶Date: a\n\n", &[RepeatedField]),
            ("Received: a\nReceived: b\nResent-To: c\nResent-To: d\nComments: x\nComments: y\n\n", &[]),
            ("Content-Disposition: inline\n¶Content-Disposition: attachment\n\n", &[TwoDispositions]),
            ("Content-Type: text/plain\n¶Content-Type: text/html\n\n", &[TwoContentTypes]),
            ("Content-Transfer-Encoding: 7bit\n¶Content-Transfer-Encoding: 8bit\n\n", &[TwoEncodings]),
            // in parts and embedded messages
            ("Content-Type: message/rfc822\n\nFrom: a@b\n¶From: c@d\n\n", &[TwoFroms]),
            ("Content-Type: multipart/mixed; boundary=b\n\n--b\nTo: x\nTo: y\n\n--b--\n", &[]),
            (
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-ID: <x>\n¶Content-ID: <y>\n\n--b--\n",
                &[RepeatedField],
            ),
        ]);
    }

    #[test]
    fn how_headers_are_written() {
        check(&[
            ("A¶\t : b\n\n", &[SpaceBeforeColon]),
            ("A: b\n c\n¶ \nTo: x\n\n", &[BlankFold]),
            ("A: b\r\n¶\t \r\n c\r\n\r\n", &[BlankFold]),
            ("A: é\n\n", &[]),
            ("¶junk\nA: b\n\nx", &[NotAField]),
            ("A: b\n¶hello\nworld\n", &[MissingBlankLine]),
        ]);
        assert_eq!(found(&b"A: \xc3\xa9\xe9\nB: \xff\n\n"[..]), [(NotUtf8, 5), (NotUtf8, 10)]);
    }

    #[test]
    fn encodings_that_are_no_word_of_the_rfc() {
        check(&[
            ("Content-Transfer-Encoding:  Quoted-Printable \n\n", &[]),
            ("¶Content-Transfer-Encoding: base64 (x)\n\n", &[OddEncoding]),
            ("¶Content-Transfer-Encoding: \"base64\"\n\n", &[OddEncoding]),
            ("¶Content-Transfer-Encoding: x-uuencode\n\n", &[OddEncoding]),
            ("¶Content-Transfer-Encoding:\n\n", &[OddEncoding]),
            // bodies
            ("Content-Transfer-Encoding: base64\n\nQUJD\nRA==\n", &[]),
            ("Content-Transfer-Encoding: base64\n\nQU¶-JD\n", &[OddBase64]),
            ("Content-Transfer-Encoding: base64\n\nRA==¶RA==\n", &[OddBase64]),
            ("Content-Transfer-Encoding: base64\n\nRAA¶", &[OddBase64]),
            ("Content-Transfer-Encoding: base64\n\nR¶===", &[OddBase64]),
            ("Content-Transfer-Encoding: base64\n\nQUJD¶=", &[OddBase64]),
            ("Content-Transfer-Encoding: quoted-printable\n\na=3D=3d= \t\nb=\nc=", &[]),
            ("Content-Transfer-Encoding: quoted-printable\r\n\r\nb= \r\nc", &[]),
            ("Content-Transfer-Encoding: quoted-printable\n\na=3D¶=X", &[OddQuotedPrintable]),
            ("Content-Transfer-Encoding: quoted-printable\n\na¶= b", &[OddQuotedPrintable]),
            ("A: b\n\n¶See:\nbegin 644 cat.txt\n#0V%T\n`\nend\n", &[FileInText]),
            ("Content-Type: image/png\n\nbegin 644 cat.txt\n#0V%T\n`\nend\n", &[]),
        ]);
    }

    #[test]
    fn boundaries_that_are_open_to_doubt() {
        let inner = |boundary: &str| {
            format!("{MIXED}--b\nContent-Type: multipart/mixed; {boundary}\n\n--c\n\nx\n--c--\n--b--\n")
        };
        for (boundary, kind) in [
            ("boundary=c", None),
            ("boundary=\"c \"", Some(OddBoundary)),
            ("boundary*=us-ascii''c", Some(EncodedBoundary)),
            ("boundary*0=c", Some(EncodedBoundary)),
        ] {
            let text = inner(boundary);
            let expected: Vec<_> = kind.map(|kind| (kind, text.find(boundary).unwrap())).into_iter().collect();
            assert_eq!(found(text), expected, "{boundary}");
        }
        let long = "x".repeat(71);
        let text = format!("Content-Type: multipart/mixed; boundary={long}\n\n--{long}\n\nx\n--{long}--\n");
        assert_eq!(found(text), [(OddBoundary, 31)]);
        let text = "Content-Type: multipart/mixed; boundary=\"a#b\"\n\n--a#b\n\nx\n--a#b--\n";
        assert_eq!(found(text), [(OddBoundary, 31)]);
        // of multiparts in each other, not of those beside each other
        let part = |boundary: &str| {
            format!("--b\nContent-Type: multipart/mixed; boundary={boundary}\n\n--{boundary}\n\nx\n--{boundary}--\n")
        };
        let text = format!("{MIXED}{}{}--b--\n", part("c"), part("c"));
        assert_eq!(found(text), []);
        for boundary in ["b", "bc"] {
            let text = format!("{MIXED}{}--b--\n", part(boundary));
            let at = text.rfind("boundary=").unwrap();
            assert_eq!(found(text), [(SameBoundary, at)]);
        }
    }

    #[test]
    fn headers_that_a_boundary_cuts_off() {
        let check = |text: &str, kinds: &[DefectKind]| {
            let (text, places) = marked(&format!("{MIXED}{text}"));
            assert_eq!(found(text.clone()), kinds.iter().copied().zip(places).collect::<Vec<_>>(), "{text:?}");
        };
        check("--b\nContent-ID: <x>\n\n--b--\n", &[]);
        check("--b\nContent-ID: <x>\n¶--b--\n", &[CutHeader]);
        check("--b\n¶--b\n\nx\n--b--\n", &[CutHeader]);
        check("--b\nContent-Type: message/rfc822\n\nA: b\n¶--b--\n", &[CutHeader]);
        // The end of the message is no boundary.
        check("--b\nContent-ID: <x>\n¶", &[MissingFinalBoundary]);
    }

    #[test]
    fn octets_that_are_no_text() {
        check(&[
            ("A: b\n\nx\ny\n", &[]),
            ("A: b\r\n\r\nx\r\ny\r\n", &[]),
            ("A: b\r\n\r\nx¶\ny\r\n", &[BareLf]),
            ("A: b¶\n¶\nx¶\ny\r\n", &[BareLf, BareLf, BareLf]),
            ("A: b\r\n\r\nx¶\ry\r\n", &[BareCr]),
            ("A: b\r\n\r\nx¶\r", &[BareCr]),
            ("A: ¶\0\n\nx¶\0", &[Nul, Nul]),
            ("Content-Transfer-Encoding: binary\r\n\r\n\0\r\n\n\r", &[]),
            ("Content-Transfer-Encoding: binary\r\nA: ¶\0\r\n\r\n\0", &[Nul]),
        ]);
        let long = "x".repeat(998);
        assert_eq!(found(format!("A: b\r\n\r\n{long}\r\n{long}")), []);
        assert_eq!(found(format!("A: b\r\n\r\n{long}x\r\nx{long}")), [(LongLine, 8), (LongLine, 8 + 1001)]);
        assert_eq!(found(format!("A: b\n\n{long}\n{long}x\n")), [(LongLine, 6 + 999)]);
        let header = "Content-Transfer-Encoding: binary\n";
        assert_eq!(found(format!("{header}\n{long}x{long}\n{long}x")), []);
        assert_eq!(found(format!("{header}A: {long}\n\n{long}x")), [(LongLine, 34)]);
    }

    #[test]
    fn many_of_one_kind_hide_none_of_another() {
        let text = format!("{}From: a@b\nFrom: c@d\n\n", "To: x\n".repeat(1000));
        let found = found(text);
        assert_eq!(found.iter().filter(|(kind, _)| *kind == RepeatedField).count(), MOST_OF_A_KIND);
        assert_eq!(found.last(), Some(&(TwoFroms, 6010)));
    }

    /// Each would take minutes in quadratic time.
    #[test]
    fn hostile_messages_take_linear_time() {
        let many = |piece: &dyn Fn(usize) -> String| (0..100_000).map(piece).collect::<String>();
        for text in [
            format!("Content-Type: x/y{}\n\n", many(&|n| format!("; a{n}=x; a{n}*=utf-8''y"))),
            format!("Content-Type: x/y{}\n\n", many(&|n| format!("; a*{n}=x"))),
            format!("Content-Type: x/y{}\n\n", many(&|_| "; a=x".to_owned())),
            format!("Content-Type: x/y{}\n\n", many(&|_| "(a)".to_owned())),
            format!("Content-Type: x/y; {}\n\n", many(&|_| "(".to_owned())),
            format!("Content-Type: x/y; a=\"{}\n\n", many(&|_| "\\\"".to_owned())),
            many(&|_| "Content-Type: x/y; a=b\n".to_owned()),
            many(&|n| format!("A{n} : b\n")),
            format!("A: b\n{}", many(&|_| " \n".to_owned())),
            format!("Content-Transfer-Encoding: quoted-printable\n\n{}", many(&|_| "=  ".to_owned())),
            format!("Content-Transfer-Encoding: quoted-printable\n\n={}", many(&|_| "  ".to_owned())),
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", many(&|_| "--b\n\n\0\r".to_owned())),
            many(&|_| "\r\0\n\r\n".to_owned()),
        ] {
            found(text);
        }
    }
}
