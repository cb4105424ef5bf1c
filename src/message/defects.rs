//! What is wrong with a message, and at which octet. Nothing here keeps a message from being read.
//!
//! Faults of the structure are noted by the scan as it goes. All others are looked for here, in a pass of its own that runs
//! when they are first asked for: octets that are no text (RFC 5322 §2.3), fields that come twice (§3.6), parameters that
//! say two things. It takes time linear in the message, decodes no body, and looks into no message that is encoded.

use memchr::memchr3_iter;

use super::fields::{ContentType, Disposition, Encoding};
use super::scan::{FieldSpan, Kind, NONE, PartSpan, is_name};
use super::{Message, Tree};
use crate::text::Params;

/// So many defects of one kind are listed; a message with more has been told often enough. It is counted by kind so that a
/// harmless one, many times over, cannot hide one that matters.
pub(super) const MOST_OF_A_KIND: usize = 100;

/// One fault of a message.
///
/// ```
/// use facteur::message::{DefectKind, Message};
///
/// let message = Message::parse("Subject: lunch\r\nSee you at noon.\r\n");
/// assert_eq!(message.defects()[0].kind, DefectKind::MissingBlankLine);
/// assert_eq!(message.defects()[0].at, 16);
///
/// let message = Message::parse("From: ada@a.test\r\nFrom: eve@b.test\r\n\r\n");
/// assert!(message.defects()[0].is_ambiguous());
/// assert_eq!(message.defects()[0].at, 18);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// Where it was noticed: an octet of [`Message::raw`](crate::message::Message::raw), counted from 0. Of a field that
    /// comes again, or whose parameters are at odds, it is where the field begins.
    pub at: usize,
}

impl Defect {
    /// Whether readers are known to differ in what they make of it, see [`DefectKind::is_ambiguous`].
    pub fn is_ambiguous(self) -> bool {
        self.kind.is_ambiguous()
    }
}

/// The defects found so far, not too many of one kind.
#[derive(Default)]
pub(super) struct Defects {
    list: Vec<Defect>,
    /// How many there are of each kind.
    counts: Vec<usize>,
}

impl Defects {
    pub fn push(&mut self, kind: DefectKind, at: usize) {
        let kinds = kind as usize + 1;
        if self.counts.len() < kinds {
            self.counts.resize(kinds, 0);
        }
        let Some(count) = self.counts.get_mut(kind as usize).filter(|count| **count < MOST_OF_A_KIND) else { return };
        *count += 1;
        self.list.push(Defect { kind, at });
    }

    pub fn list(&self) -> &[Defect] {
        &self.list
    }
}

/// What can be wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DefectKind {
    /// A line in a header is no field and continues none. It is kept as a field without a name.
    NotAField,
    /// No blank line between header and body; the body begins with the first line that is no field.
    MissingBlankLine,
    /// Two Content-Type fields in one header; the first counts.
    TwoContentTypes,
    /// Two Content-Transfer-Encoding fields in one header; the first counts.
    TwoEncodings,
    /// A multipart whose Content-Type names no boundary. It is read as text.
    NoBoundary,
    /// A multipart in which its boundary begins no part. It is read as text.
    NoParts,
    /// The boundary that ends a multipart is missing.
    MissingFinalBoundary,
    /// A line begins with a boundary and goes on with other text. It counts as a boundary (RFC 2046 §5.1.1).
    LooseBoundary,
    /// A boundary comes again after the final one. What follows is no part (RFC 2046 §5.1.1), for other readers it may be.
    PartAfterEnd,
    /// A multipart says that it is encoded, which no multipart may be (RFC 2045 §6.4). It is read as not encoded.
    EncodedMultipart,
    /// A `message/rfc822` part is in base64 or quoted-printable, which RFC 2046 §5.2.1 forbids. It is not looked into.
    /// A `message/global` may be encoded (RFC 6532 §3.5); [`Part::message`](crate::message::Part::message) reads it.
    EncodedMessage,
    /// Deeper than [`Limits::depth`](crate::message::Limits::depth): not looked into.
    TooDeep,
    /// More parts than [`Limits::parts`](crate::message::Limits::parts): the rest is one part, not looked into.
    TooManyParts,
    /// More fields than [`Limits::fields`](crate::message::Limits::fields): the rest of the header is one field.
    TooManyFields,
    /// Longer than 4 GiB: the body is not looked into.
    TooLong,
    /// Two Content-Disposition fields in one header; the first counts.
    TwoDispositions,
    /// Two From fields in the header of a message; [`Header::get`](crate::message::Header::get) gives the first.
    TwoFroms,
    /// Another field comes twice that may come once: those of RFC 5322 §3.6 (Date, Sender, Reply-To, To, Cc, Bcc,
    /// Message-ID, In-Reply-To, References, Subject), MIME-Version, and Content-ID and Content-Description of a part.
    RepeatedField,
    /// Two `boundary` parameters; the first counts, or that in the form of RFC 2231.
    TwoBoundaries,
    /// Two `charset` parameters; the first counts, or that in the form of RFC 2231.
    TwoCharsets,
    /// Another parameter of a Content-Type or Content-Disposition comes twice in the same form; the first counts.
    RepeatedParam,
    /// A parameter says one thing in its plain form and another in that of RFC 2231; the latter counts. A plain form with
    /// `_` or `?` for what ASCII does not have says the same.
    TwoForms,
    /// The `filename` of Content-Disposition is another than the `name` of Content-Type; the former counts.
    TwoNames,
    /// An octet 0, which no message may hold (RFC 5322 §4), in a place that is not `binary`.
    Nul,
    /// A CR without LF (RFC 5322 §2.3), in a place that is not `binary`. It is no line end.
    BareCr,
    /// A LF without CR in a message that has CRLF too, in a place that is not `binary`. It is a line end. A message that
    /// has LF alone, as files on Unix do, is none the worse for it.
    BareLf,
}

impl DefectKind {
    /// Whether readers are known to differ in what they make of it, so that a filter may see another message than the
    /// reader behind it. A filter does well to refuse, or to set aside, what has such a defect.
    pub fn is_ambiguous(self) -> bool {
        use DefectKind::*;
        match self {
            NotAField | MissingBlankLine | TwoContentTypes | TwoEncodings | NoBoundary | NoParts | LooseBoundary
            | PartAfterEnd | EncodedMultipart | EncodedMessage | TwoDispositions | TwoFroms | RepeatedField
            | TwoBoundaries | TwoCharsets | RepeatedParam | TwoForms | TwoNames | Nul | BareCr | BareLf => true,
            MissingFinalBoundary | TooDeep | TooManyParts | TooManyFields | TooLong => false,
        }
    }
}

/// All defects of a message by their octets: those that the scan noted, and what is looked for here.
pub(super) fn all(message: &Message) -> Vec<Defect> {
    let mut defects = Defects::default();
    let (raw, tree) = (&message.raw()[..], message.tree());
    // A body that is too long is not looked into for this either.
    let end =
        if raw.len() < NONE as usize { raw.len() } else { tree.parts.first().map_or(0, |part| part.body as usize) };
    octets(raw.get(..end).unwrap_or_default(), message, &mut defects);
    for (index, part) in tree.parts.iter().enumerate() {
        header(raw, tree, index, part, &mut defects);
        params(message, index, &mut defects);
    }
    let mut list = defects.list;
    list.extend_from_slice(tree.defects.list());
    list.sort_by_key(|defect| defect.at);
    list
}

/// NUL, bare CR, and bare LF among CRLF. What is declared `binary` has octets and no lines (RFC 2045 §2.9).
fn octets(raw: &[u8], message: &Message, defects: &mut Defects) {
    let mut binary = message
        .all_parts()
        .filter(|part| part.is_leaf() && part.encoding() == Encoding::Binary)
        .map(|part| part.body_offset()..part.body_offset() + part.raw_body().len())
        .peekable();
    let (mut bare, mut has_crlf) = (Vec::new(), false);
    for at in memchr3_iter(0, b'\r', b'\n', raw) {
        while binary.next_if(|range| range.end <= at).is_some() {}
        if binary.peek().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| raw.get(before));
        match raw.get(at) {
            Some(0) => defects.push(DefectKind::Nul, at),
            Some(b'\r') if raw.get(at + 1) != Some(&b'\n') => defects.push(DefectKind::BareCr, at),
            Some(b'\n') if before == Some(&b'\r') => has_crlf = true,
            Some(b'\n') if bare.len() < MOST_OF_A_KIND => bare.push(at),
            _ => {}
        }
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

/// Fields that come twice.
fn header(raw: &[u8], tree: &Tree, index: usize, part: &PartSpan, defects: &mut Defects) {
    let next = tree.parts.get(index + 1).map_or(tree.fields.len(), |next| next.first_field as usize);
    let fields: &[FieldSpan] = tree.fields.get(part.first_field as usize..next).unwrap_or_default();
    let parent = tree.parts.get(part.parent as usize);
    let is_message = parent.is_none_or(|parent| parent.kind == Kind::Message);
    let once = if is_message { &ONCE[..] } else { &[] };
    let mut seen = [false; ONCE.len() + ONCE_IN_A_PART.len()];
    for field in fields {
        let name = raw.get(field.start as usize..field.colon as usize).unwrap_or_default();
        let known = |(_, known): &(usize, &&[u8])| is_name(name, known);
        let Some((n, once)) = ONCE_IN_A_PART.iter().chain(once).enumerate().find(known) else { continue };
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
}

/// Parameters that say two things.
fn params(message: &Message, index: usize, defects: &mut Defects) {
    let part = super::Part::new(message, index);
    let offset = |field: super::Field<'_>| field.raw().as_ptr() as usize - message.raw().as_ptr() as usize;
    let content_type = part.header().get("content-type");
    let disposition = part.header().get("content-disposition");
    for field in [content_type, disposition].into_iter().flatten() {
        at_odds(&Params::parse(field.value()), offset(field), defects);
    }
    let (Some(content_type), Some(disposition)) = (content_type, disposition) else { return };
    let name = ContentType::parse(content_type.value()).and_then(|content_type| content_type.param("name"));
    let filename = Disposition::parse(disposition.value()).and_then(|disposition| disposition.param("filename"));
    if let (Some(name), Some(filename)) = (name, filename)
        && name != filename
        && !name.is_empty()
        && !filename.is_empty()
    {
        defects.push(DefectKind::TwoNames, offset(disposition).max(offset(content_type)));
    }
}

fn at_odds(params: &Params, at: usize, defects: &mut Defects) {
    for same in params.by_name() {
        let mut names: Vec<_> = same.raw().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        let base = names.first().map_or("", |name| name.split('*').next().unwrap_or_default());
        if names.windows(2).any(|pair| pair.first() == pair.get(1)) {
            let kind = match base {
                "boundary" => DefectKind::TwoBoundaries,
                "charset" => DefectKind::TwoCharsets,
                _ => DefectKind::RepeatedParam,
            };
            defects.push(kind, at);
        }
        if same.raw().count() > 1
            && let (Some(plain), Some(extended)) = (same.plain(base), same.extended(base))
            && !stands_for(&plain, &extended)
        {
            defects.push(DefectKind::TwoForms, at);
        }
    }
}

/// Whether a plain form is the extended one, or that with `_` or `?` for what ASCII or a quoted string could not hold: so
/// senders write names for readers that do not know RFC 2231. Letters, digits and dots, which say what a file is, are the same.
fn stands_for(plain: &str, extended: &str) -> bool {
    let mut plain = plain.chars();
    let same = extended.chars().all(|character| match plain.next() {
        Some('_' | '?') => !character.is_ascii_alphanumeric() && character != '.',
        other => other == Some(character),
    });
    same && plain.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::DefectKind::*;
    use super::*;

    fn found(text: &str) -> Vec<(DefectKind, usize)> {
        Message::parse(text.to_owned()).defects().iter().map(|defect| (defect.kind, defect.at)).collect()
    }

    #[test]
    fn what_two_readers_read_differently_is_told_with_its_octet() {
        for (text, expected) in [
            ("From: a@b\nTo: c@d\n\n", vec![]),
            ("From: a@b\nfrom: c@d\n\n", vec![(TwoFroms, 10)]),
            ("From: a@b\nFrom : c@d\n\n", vec![(TwoFroms, 10)]),
            ("A: b\nTo: c@d\nSubject: x\nTO: e@f\nsubject: y\n\n", vec![(RepeatedField, 24), (RepeatedField, 32)]),
            ("Received: a\nReceived: b\nResent-To: c\nResent-To: d\nComments: x\nComments: y\n\n", vec![]),
            ("Content-Disposition: inline\nContent-Disposition: attachment\n\n", vec![(TwoDispositions, 28)]),
            ("Content-Type: text/plain\nContent-Type: text/html\n\n", vec![(TwoContentTypes, 25)]),
            ("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n\n", vec![(TwoEncodings, 32)]),
            ("A: b\nContent-Type: text/plain; charset=a; CHARSET=\"b\"\n\n", vec![(TwoCharsets, 5)]),
            ("Content-Type: x/y; boundary=a; boundary=b\n\n", vec![(TwoBoundaries, 0)]),
            ("Content-Type: x/y; name=a; name=a\n\n", vec![(RepeatedParam, 0)]),
            ("Content-Type: x/y; name*0=a; name*1=b\n\n", vec![]),
            ("Content-Type: x/y; name*0=a; name*0=b\n\n", vec![(RepeatedParam, 0)]),
            ("Content-Type: x/y; name=a; name*=utf-8''a\n\n", vec![]),
            ("Content-Type: x/y; name=\"=?utf-8?q?=C3=A9?=\"; name*=utf-8''%C3%A9\n\n", vec![]),
            ("Content-Type: x/y; name=a; name*=utf-8''b\n\n", vec![(TwoForms, 0)]),
            ("Content-Disposition: x; filename=_.a; filename*=utf-8''%C3%A9.a\n\n", vec![]),
            ("Content-Disposition: x; filename=_.a; filename*=utf-8''%C3%A9.b\n\n", vec![(TwoForms, 0)]),
            ("Content-Disposition: x; filename=__a; filename*=utf-8''%C3%A9.a\n\n", vec![(TwoForms, 0)]),
            ("Content-Disposition: x; filename=_; filename*=utf-8''%C3%A9.a\n\n", vec![(TwoForms, 0)]),
            ("Content-Disposition: x; filename=_a; filename*=utf-8''%C3%A9\n\n", vec![(TwoForms, 0)]),
            ("Content-Type: x/y; name=a.txt\nContent-Disposition: inline; filename=a.exe\n\n", vec![(TwoNames, 30)]),
            ("Content-Type: x/y; name=a.txt\nContent-Disposition: inline; filename=a.txt\n\n", vec![]),
            ("Content-Disposition: inline; filename=a.txt\nContent-Type: x/y; name=\"\"\n\n", vec![]),
            // octets
            ("A: b\n\nx\ny\n", vec![]),
            ("A: b\r\n\r\nx\r\ny\r\n", vec![]),
            ("A: b\r\n\r\nx\ny\r\n", vec![(BareLf, 9)]),
            ("A: b\n\nx\ny\r\n", vec![(BareLf, 4), (BareLf, 5), (BareLf, 7)]),
            ("A: b\r\n\r\nx\ry\r\n", vec![(BareCr, 9)]),
            ("A: b\r\n\r\nx\r", vec![(BareCr, 9)]),
            ("A: \0\n\nx\0", vec![(Nul, 3), (Nul, 7)]),
            ("Content-Transfer-Encoding: binary\r\n\r\n\0\r\n\n\r", vec![]),
            ("Content-Transfer-Encoding: binary\r\nA: \0\r\n\r\n\0", vec![(Nul, 38)]),
            // in parts and embedded messages
            ("Content-Type: message/rfc822\n\nFrom: a@b\nFrom: c@d\n\n", vec![(TwoFroms, 40)]),
            ("Content-Type: multipart/mixed; boundary=b\n\n--b\nTo: x\nTo: y\n\n--b--\n", vec![]),
            (
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-ID: <x>\nContent-ID: <y>\n\n--b--\n",
                vec![(RepeatedField, 63)],
            ),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }

    #[test]
    fn many_of_one_kind_hide_none_of_another() {
        let text = format!("{}From: a@b\nFrom: c@d\n\n", "To: x\n".repeat(1000));
        let found = found(&text);
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
            many(&|_| "Content-Type: x/y; a=b\n".to_owned()),
            many(&|n| format!("A{n} : b\n")),
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", many(&|_| "--b\n\n\0\r".to_owned())),
            many(&|_| "\r\0\n\r\n".to_owned()),
        ] {
            found(&text);
        }
    }
}
