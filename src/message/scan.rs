//! One pass over a message: octets to field spans and part tree, nothing decoded.
//!
//! RFC 5322 §2.2 for headers, RFC 2046 §5.1 for multiparts, §5.2.1 for embedded messages. Open parts are kept on a stack,
//! never in recursion. Bodies are searched for `LF "--"` only, and not at all where no multipart is open.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr, memmem};
use smallvec::SmallVec;
use wide::u8x16;

use super::Limits;
use super::defects::{Defect, DefectKind, Defects};
use super::fields::{self, Composite};
use super::lines::LineStarts;

/// What a delimiter line begins with; made once, for a search is set up at every delimiter.
static HYPHENS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\n--"));

/// How far text is searched for one before the search for single hyphens begins.
const NEAR: usize = 4096;

/// How many fields a plain message has at the most.
const BATCH: usize = 16;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// No part.
pub(super) const NONE: u32 = u32::MAX;

/// What the pass found. A part stands before the parts in it.
#[derive(Default)]
pub(super) struct Tree {
    pub fields: Fields,
    pub parts: Parts,
    pub defects: Box<[Defect]>,
}

/// A plain message has no more fields than this, and one part: it needs no other memory.
type Fields = SmallVec<[FieldSpan; BATCH]>;
type Parts = SmallVec<[PartSpan; 1]>;

/// A header field: from `start` to the start of the next field, or to the end of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct FieldSpan {
    pub start: u32,
    /// How long the name is that stands before its colon, or [`LONG_NAME`]; 0 where the line is no field.
    name: u16,
    /// What [`key`] says of its name.
    pub key: u16,
}

/// A name as long as that or longer is measured again.
const LONG_NAME: u16 = u16::MAX;

impl FieldSpan {
    fn new(start: usize, colon: Option<usize>, key: u16) -> Self {
        let name = colon.map_or(0, |colon| u16::try_from(colon).unwrap_or(LONG_NAME));
        Self { start: start as u32, name, key } // within 32 bits, see run()
    }

    /// Where the colon is in the octets of the field; 0 where it is none.
    #[inline]
    pub fn colon(self, field: &[u8]) -> usize {
        if self.name == LONG_NAME { colon(field).unwrap_or(0) } else { usize::from(self.name) }
    }
}

/// The length of a name, its first octet, its middle and its last in one number, which is the same for all cases of letters:
/// fields are asked for by name one after the other, and nearly all others are told apart by this.
#[inline]
pub(super) const fn key(name: &[u8]) -> u16 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
    let middle = name[name.len() / 2]; // less than its length
    // The lengths may coincide, as all else may.
    let all = u32::from_le_bytes([*first | 0x20, middle | 0x20, *last | 0x20, name.len() as u8]);
    (all.wrapping_mul(0x9e37_79b1) >> 16) as u16 // the upper half, which depends on all of it
}

/// A part: header from `start`, body from `body` to `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PartSpan {
    pub start: u32,
    pub body: u32,
    pub end: u32,
    /// Where the fields of its header begin in [`Tree::fields`]; they go to those of the next part.
    pub first_field: u32,
    pub parent: u32,
    /// The next part of the same multipart.
    pub next: u32,
    /// Its number in its multipart, from 1.
    pub number: u32,
    pub kind: Kind,
    /// How long the blank line behind the header is: 0, 1 or 2.
    pub blank: u8,
    pub asked: Places,
    /// It is a multipart/digest, whose parts are messages where they say nothing else (RFC 2046 §5.1.5).
    pub digest: bool,
}

/// The fields that are asked for most. Where they are is noted when they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    From,
    To,
    Cc,
    Subject,
    Date,
    MessageId,
    ContentType,
    Encoding,
}

/// For each of [`Asked`] the place of its first field in the header, counted from 1; 0 where there is none, [`FAR`] where it is
/// not near enough to be counted. An octet for each, in one number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Places(u64);

impl Places {
    #[inline]
    pub(super) fn of(self, asked: Asked) -> u8 {
        (self.0 >> (8 * asked as u32)) as u8 // there are eight
    }

    /// Sets the place of one that is not there yet.
    #[inline]
    fn set(&mut self, asked: Asked, place: u8) {
        self.0 |= u64::from(place) << (8 * asked as u32); // there are eight
    }
}

/// So many fields stand before it, or more.
pub(super) const FAR: u8 = u8::MAX;

const NAMES: [(&str, Asked); 8] = [
    ("from", Asked::From),
    ("to", Asked::To),
    ("cc", Asked::Cc),
    ("subject", Asked::Subject),
    ("date", Asked::Date),
    ("message-id", Asked::MessageId),
    ("content-type", Asked::ContentType),
    ("content-transfer-encoding", Asked::Encoding),
];

impl Asked {
    /// The field of this name in any case of letters.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Self::with_key(key(name)).filter(|asked| name.eq_ignore_ascii_case(asked.name().as_bytes()))
    }

    /// The only one that [`key`] says this of.
    #[inline]
    fn with_key(name_key: u16) -> Option<Self> {
        // The place in the table and the key, by a few bits of the key, of which no two names have the same.
        static SLOTS: [(u16, u8); 32] = {
            let (mut slots, mut n) = ([(0, u8::MAX); 32], 0);
            while n < NAMES.len() {
                let key = key(NAMES[n].0.as_bytes()); // within the loop
                assert!(slots[slot(key)].1 == u8::MAX, "two names in one slot"); // below 32
                slots[slot(key)] = (key, n as u8); // below 32, and fewer than 255
                n += 1;
            }
            slots
        };
        const fn slot(key: u16) -> usize {
            (key & 31) as usize
        }
        let (known, place) = SLOTS[slot(name_key)]; // below 32
        if known == name_key { NAMES.get(usize::from(place)).map(|(_, asked)| *asked) } else { None }
    }

    /// Whether a line that begins so, which is ftext for the length of the name, has its name and a colon.
    #[inline]
    fn begins(self, start: &[u8; 32]) -> bool {
        // Each name with its colon, and the octets that count. The bit of lower case is set in all of them: no two octets of
        // ftext are taken for the same by that but letters and some signs that no name has.
        static STARTS: [[(u64, u64); 4]; NAMES.len()] = {
            let (mut starts, mut n) = ([[(0, 0); 4]; NAMES.len()], 0);
            while n < NAMES.len() {
                let (name, mut at) = (NAMES[n].0.as_bytes(), 0); // within the loop
                while at <= name.len() {
                    let octet = if at < name.len() { name[at] } else { b':' };
                    starts[n][at / 8].0 |= (octet as u64) << (at % 8 * 8); // no name is longer than 31
                    starts[n][at / 8].1 |= 0xff << (at % 8 * 8);
                    at += 1;
                }
                n += 1;
            }
            starts
        };
        let words = start.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word) | 0x2020_2020_2020_2020);
        let known = &STARTS[self as usize]; // there is one for each
        known.iter().zip(words).fold(0, |other, ((known, counts), word)| other | (word & counts ^ known)) == 0
    }

    /// Its name, in lower case.
    pub(super) const fn name(self) -> &'static str {
        NAMES[self as usize].0 // in the order of the names, see below
    }
}

const _: () = {
    let mut n = 0;
    while n < NAMES.len() {
        assert!(NAMES[n].1 as usize == n, "the names are in the order of the fields"); // within the loop
        n += 1;
    }
};

/// What a part is to the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No parts in it.
    Leaf,
    /// A multipart with at least one part.
    Multipart,
    /// A message/rfc822 or message/global with its message looked into.
    Message,
    /// Says that it is a multipart and has no parts.
    Hollow,
    /// Beyond a limit.
    Opaque,
}

/// Finds the fields and the parts of `raw`, and puts them into an empty tree where it will stay: moving it would take a tenth of
/// the time of a small message.
pub(super) fn scan(raw: &[u8], limits: &Limits, tree: &mut Tree) {
    let mut scan = Scan {
        raw,
        limits,
        tree,
        defects: Defects::default(),
        innermost: NONE,
        depth: 0,
        content_type: None,
        encoding: None,
        own: None,
        boundaries: Vec::new(),
    };
    scan.run();
    scan.tree.defects = scan.defects.list.into();
}

struct Scan<'a, 't> {
    raw: &'a [u8],
    limits: &'a Limits,
    tree: &'t mut Tree,
    defects: Defects,
    /// The innermost of the parts that have begun and not ended; each lies in its parent.
    innermost: u32,
    /// How many of them there are.
    depth: usize,
    /// What the header that was read last says, by the number of the field.
    content_type: Option<usize>,
    encoding: Option<usize>,
    /// The boundary in the Content-Type that is field so many, once a line of its header asked for it.
    own: Option<(usize, Option<Cow<'a, [u8]>>)>,
    boundaries: Vec<Boundary<'a>>,
}

/// The boundary of an open multipart.
struct Boundary<'a> {
    value: Cow<'a, [u8]>,
    multipart: u32,
    /// Its last part so far.
    last: u32,
    /// Its final boundary has come.
    closed: bool,
}

/// A boundary delimiter line.
#[derive(Clone, Copy)]
struct Delimiter {
    /// Which of the boundaries.
    boundary: usize,
    /// Where the line end before it begins, which belongs to it (RFC 2046 §5.1.1).
    start: usize,
    /// Where the next line begins.
    next: usize,
    /// The final one.
    is_final: bool,
}

/// How a header ended.
enum Ended {
    /// With a blank line, or where one is missing: a body follows.
    Blank,
    /// With the message.
    Message,
    /// With the delimiter line that cut it off. It is seldom, and the others are not to be moved about like this one.
    Cut(Box<Delimiter>),
}

/// What a line in a header is.
enum Line {
    /// A field, with its colon; or a line that is kept as one without a name.
    Field(Option<usize>),
    /// It belongs to what stands before it.
    Passed,
    /// The blank line, and how long it is.
    Blank(usize),
    /// The first line of the body, though no blank line stands before it.
    Body,
    Delimiter(Delimiter),
    /// Nothing is left.
    End,
}

impl<'a> Scan<'a, '_> {
    fn run(&mut self) {
        // Spans are 32 bits wide; NONE is kept free.
        if self.raw.len() >= NONE as usize {
            self.defect(DefectKind::TooLong, 0);
            self.raw = self.raw.get(..NONE as usize - 1).unwrap_or(self.raw);
            self.begin(0);
            self.header(0);
            // The end stays NONE: as far as the message goes.
            self.part(0).kind = Kind::Opaque;
            return;
        }
        let mut begin = Some(0);
        while let Some(start) = begin.take() {
            let index = self.begin(start);
            if self.part(index).kind == Kind::Opaque {
                break;
            }
            let ended = self.header(index);
            self.classify(index, matches!(ended, Ended::Blank));
            let mut delimiter = match ended {
                Ended::Cut(cut) => Some(*cut),
                _ => {
                    let body = self.part(index).body as usize;
                    if self.part(index).kind == Kind::Message {
                        begin = Some(body);
                        continue;
                    }
                    // Nothing ends before the message does.
                    if self.boundaries.is_empty() {
                        break;
                    }
                    self.delimiter(body)
                }
            };
            while let Some(found) = delimiter {
                self.end_to(found);
                if !found.is_final {
                    begin = Some(found.next);
                    break;
                }
                delimiter = self.delimiter(found.next);
            }
        }
        self.end_all();
    }

    fn part(&mut self, index: u32) -> &mut PartSpan {
        &mut self.tree.parts[index as usize] // indices are only made by begin()
    }

    /// Opens a part in the innermost open one.
    fn begin(&mut self, start: usize) -> u32 {
        let index = self.tree.parts.len() as u32; // fewer parts than octets
        let parent = self.innermost;
        let mut number = 1;
        if let Some(boundary) = self.boundaries.last_mut().filter(|boundary| boundary.multipart == parent) {
            let before = std::mem::replace(&mut boundary.last, index);
            if before != NONE {
                self.part(before).next = index;
                number = self.part(before).number + 1;
            }
        }
        let start = start as u32; // within 32 bits, see run()
        let full = index > 0 && index as usize >= self.limits.parts;
        if full {
            self.defect(DefectKind::TooManyParts, start as usize);
        }
        self.tree.parts.push(PartSpan {
            start,
            body: start,
            end: NONE,
            first_field: self.tree.fields.len() as u32, // fewer fields than octets
            parent,
            next: NONE,
            number,
            kind: if full { Kind::Opaque } else { Kind::Leaf },
            blank: 0,
            asked: Places::default(),
            digest: false,
        });
        (self.innermost, self.depth) = (index, self.depth + 1);
        index
    }

    /// Reads the header of a part, up to its blank line or the delimiter line that cuts it off; and says whether a body
    /// follows it, if only an empty one.
    fn header(&mut self, index: u32) -> Ended {
        let raw = self.raw;
        let start = self.part(index).start as usize;
        let first = self.tree.fields.len();
        let mut at = start;
        (self.content_type, self.encoding) = (None, None);
        // A byte order mark takes no field with it.
        if raw.get(at..).and_then(|rest| rest.strip_prefix(MARK)).and_then(colon).is_some()
            && first < self.limits.fields
        {
            self.defect(DefectKind::NotAField, at);
            self.tree.fields.push(FieldSpan::new(at, None, key(b"")));
            at += MARK.len();
        }
        let mut places = Places::default();
        let mut lines = LineStarts::new(raw, at);
        let (body, blank, ended) = loop {
            at = self.usual_fields(at, first, &mut lines, &mut places);
            let n = self.tree.fields.len();
            match self.unusual_line(at, start, first) {
                Line::Field(colon) => {
                    let name = raw.get(at..at + colon.unwrap_or(0)).unwrap_or_default().trim_ascii_end();
                    if let Some(asked) = Asked::of(name) {
                        self.note(&mut places, asked, n, n - first, at);
                    }
                    self.tree.fields.push(FieldSpan::new(at, colon, key(name)));
                }
                Line::Passed => {}
                Line::Blank(len) => break (at + len, len, Ended::Blank),
                Line::Body => break (at, 0, Ended::Blank),
                Line::Delimiter(cut) => break (cut.start.max(start), 0, Ended::Cut(Box::new(cut))),
                Line::End => break (raw.len(), 0, Ended::Message),
            }
            at = lines.next();
        };
        let part = self.part(index);
        (part.body, part.blank, part.asked) = (body as u32, blank as u8, places); // within 32 bits, see run(); 2 at the most
        ended
    }

    /// Takes the fields from the line at `at` on that begin with a short name and its colon. Says where the first other line is.
    #[inline]
    fn usual_fields(&mut self, mut at: usize, first: usize, lines: &mut LineStarts<'_>, places: &mut Places) -> usize {
        loop {
            // A few at a time, for each that went to the tree by itself would take half as long again.
            let mut batch = [FieldSpan::default(); BATCH];
            let before = self.tree.fields.len();
            let mut room = batch.iter_mut().take(self.limits.fields.saturating_sub(before));
            let mut taken = 0;
            while let Some((start, len)) = usual_name(self.raw, at)
                && let Some(span) = room.next()
            {
                let name_key = key(start.get(..len).unwrap_or_default());
                *span = FieldSpan { start: at as u32, name: len as u16, key: name_key }; // within 32 bits, see run(); below 32
                if let Some(asked) = Asked::with_key(name_key).filter(|asked| asked.begins(start)) {
                    self.note(places, asked, before + taken, before + taken - first, at);
                }
                taken += 1;
                at = lines.next();
            }
            let fields = &mut self.tree.fields;
            if before + taken > fields.capacity() {
                fields.reserve(before.max(BATCH) * 3);
            }
            fields.extend_from_slice(batch.get(..taken).unwrap_or_default());
            if taken < BATCH {
                return at;
            }
        }
    }

    /// What a line in a header is that does not begin with a short name and its colon.
    #[inline(never)]
    fn unusual_line(&mut self, at: usize, start: usize, first: usize) -> Line {
        let raw = self.raw;
        let line = raw.get(at..).unwrap_or_default();
        match line {
            [] => return Line::End,
            [b'\n', ..] => return Line::Blank(1),
            [b'\r', b'\n', ..] => return Line::Blank(2),
            [b' ' | b'\t', ..] if self.tree.fields.len() > first => return Line::Passed,
            [b'-', b'-', ..] => {
                if let Some(cut) = self.delimiter_at(at) {
                    return Line::Delimiter(cut);
                }
                if self.begins_with_own(at, at) {
                    self.defect(DefectKind::MissingBlankLine, at);
                    return Line::Body;
                }
            }
            _ => {}
        }
        if self.tree.fields.len() > self.limits.fields {
            return Line::Passed;
        }
        if self.tree.fields.len() == self.limits.fields {
            self.defect(DefectKind::TooManyFields, at);
            return Line::Field(None);
        }
        let colon = colon(line);
        if colon.is_none() {
            // Where a first line was no field, white space continues it.
            let after = memchr(b'\n', line).map_or(raw.len(), |len| at + len + 1);
            if !self.belongs_to_header(at, after, start, first) {
                self.defect(DefectKind::MissingBlankLine, at);
                return Line::Body;
            }
            self.defect(DefectKind::NotAField, at);
        }
        Line::Field(colon)
    }

    /// Remembers where a field is that will be asked for, and which of them decide what a part is: it is field `n`, and so many
    /// of its header stand before it.
    fn note(&mut self, places: &mut Places, asked: Asked, n: usize, before: usize, at: usize) {
        let again = places.of(asked) != 0;
        if !again {
            places.set(asked, u8::try_from(before + 1).unwrap_or(FAR));
        }
        let (found, defect) = match asked {
            Asked::ContentType => (&mut self.content_type, DefectKind::TwoContentTypes),
            Asked::Encoding => (&mut self.encoding, DefectKind::TwoEncodings),
            _ => return,
        };
        if again { self.defect(defect, at) } else { *found = Some(n) }
    }

    /// Whether a line that is no field stands in a header all the same: a header follows it, so the body has not begun.
    fn belongs_to_header(&mut self, at: usize, next: usize, start: usize, first: usize) -> bool {
        let line = self.raw.get(at..next).unwrap_or_default();
        let after = self.raw.get(next..).unwrap_or_default();
        // The line that mbox puts before a message, and that some programs leave there.
        if at == start && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
            return true;
        }
        if after.starts_with(b"--") && (self.boundary_at(next).is_some() || self.begins_with_own(next, at)) {
            return false;
        }
        let follows_a_field = self.tree.fields.len() > first;
        colon(after).is_some() || follows_a_field && matches!(after, [b'\n', ..] | [b'\r', b'\n', ..])
    }

    /// Whether the line at `at`, which begins with two hyphens, is a delimiter line of the multipart whose header is being read and
    /// whose fields end at `end`: its body has begun, though a blank line is missing.
    fn begins_with_own(&mut self, at: usize, end: usize) -> bool {
        let Some(n) = self.content_type else { return false };
        if self.own.as_ref().is_none_or(|(known, _)| *known != n) {
            let field = |n: usize| self.tree.fields.get(n);
            let end = field(n + 1).map_or(end, |next| next.start as usize);
            let value = field(n).and_then(|span| {
                let field = self.raw.get(span.start as usize..end)?;
                field.get(span.colon(field) + 1..)
            });
            let value = value.filter(|value| matches!(fields::composite(value), Composite::Multipart { .. }));
            self.own = Some((n, value.and_then(fields::boundary)));
        }
        let line = self.raw.get(at + 2..).unwrap_or_default();
        matches!(&self.own, Some((_, Some(own))) if line.starts_with(own))
    }

    /// Decides from its header what a part is, and opens the boundary of a multipart. Where no body follows the header
    /// there is nothing in it.
    fn classify(&mut self, index: u32, has_body: bool) {
        let raw = self.raw;
        let span = self.part(index);
        let (start, parent, end) = (span.start as usize, span.parent, span.body as usize - usize::from(span.blank));
        let fields = &self.tree.fields;
        let value = |n: usize| {
            let span = fields.get(n)?;
            let field = raw.get(span.start as usize..fields.get(n + 1).map_or(end, |next| next.start as usize))?;
            field.get(span.colon(field) + 1..)
        };
        let content_type = self.content_type.and_then(value);
        let encoding = self.encoding.and_then(value);
        // RFC 2046 §5.1.5: in a digest the default is message/rfc822.
        let in_digest = parent != NONE && self.part(parent).digest;
        let composite = content_type.map_or(Composite::None, fields::composite);
        let composite =
            if content_type.is_none() && in_digest { Composite::Message { encodable: false } } else { composite };
        if composite == Composite::None {
            return;
        }
        let encoded = encoding.is_some_and(|value| fields::Encoding::parse(value).is_encoded());
        let too_deep = self.depth > self.limits.depth;
        match composite {
            Composite::None => {}
            Composite::Message { .. } if !has_body => {}
            // What is in it has octets of its own, so the tree ends here: Part::message() decodes it.
            Composite::Message { encodable: true } if encoded => {}
            Composite::Message { .. } if encoded => self.defect(DefectKind::EncodedMessage, start),
            Composite::Message { .. } | Composite::Multipart { .. } if too_deep => {
                self.part(index).kind = Kind::Opaque;
                self.defect(DefectKind::TooDeep, start);
            }
            Composite::Message { .. } => self.part(index).kind = Kind::Message,
            Composite::Multipart { digest } => {
                self.part(index).kind = Kind::Hollow;
                self.part(index).digest = digest;
                if encoded {
                    self.defect(DefectKind::EncodedMultipart, start);
                }
                match content_type.and_then(fields::boundary) {
                    Some(value) if has_body => {
                        self.boundaries.push(Boundary { value, multipart: index, last: NONE, closed: false });
                    }
                    Some(_) => self.defect(DefectKind::NoParts, start),
                    None => self.defect(DefectKind::NoBoundary, start),
                }
            }
        }
    }

    fn defect(&mut self, kind: DefectKind, at: usize) {
        self.defects.push(kind, at);
    }

    /// The next delimiter line from `from` on, which is the start of a line, that means something.
    fn delimiter(&mut self, from: usize) -> Option<Delimiter> {
        // The line end before the first line is looked at too.
        let mut at = from.saturating_sub(1);
        loop {
            at += hyphens(self.raw.get(at..)?)? + 1;
            if let Some(found) = self.delimiter_at(at) {
                return Some(found);
            }
        }
    }

    /// The delimiter line that begins at `at`, if it is one.
    fn delimiter_at(&mut self, at: usize) -> Option<Delimiter> {
        let (n, boundary) = self.boundary_at(at)?;
        let rest = self.raw.get(at + 2 + boundary.value.len()..)?;
        let closed = boundary.closed;
        let len = memchr(b'\n', rest);
        let tail = rest.get(..len.unwrap_or(rest.len()))?;
        let next = len.map_or(self.raw.len(), |len| self.raw.len() - rest.len() + len + 1);
        if closed {
            self.defect(DefectKind::PartAfterEnd, at);
            return None;
        }
        let (is_final, tail) = tail.strip_prefix(b"--").map_or((false, tail), |tail| (true, tail));
        if !tail.trim_ascii().is_empty() {
            self.defect(DefectKind::LooseBoundary, at);
        }
        let before = self.raw.get(..at).unwrap_or_default();
        let line_end = if before.ends_with(b"\r\n") { 2 } else { usize::from(before.ends_with(b"\n")) };
        Some(Delimiter { boundary: n, start: at - line_end, next, is_final })
    }

    /// The boundary that the line at `at`, which begins with two hyphens, goes on with.
    fn boundary_at(&self, at: usize) -> Option<(usize, &Boundary<'a>)> {
        let line = self.raw.get(at + 2..)?;
        // RFC 2046 §5.1.2: boundaries of outer multiparts count inside of inner ones. Where several begin the line, the
        // longest is meant; of equal ones the innermost that is still open.
        let mut best: Option<(usize, &Boundary<'a>)> = None;
        for (n, boundary) in self.boundaries.iter().enumerate().rev() {
            let better = best.is_none_or(|(_, best)| {
                let (len, known) = (boundary.value.len(), best.value.len());
                len > known || len == known && best.closed && !boundary.closed
            });
            if better && line.starts_with(&boundary.value) {
                best = Some((n, boundary));
            }
        }
        best
    }

    /// Ends the parts that a delimiter ends.
    fn end_to(&mut self, delimiter: Delimiter) {
        let boundary = delimiter.boundary;
        while self.boundaries.len() > boundary + 1 {
            self.drop_boundary(delimiter.start);
        }
        let Some(boundary) = self.boundaries.last_mut() else { return };
        boundary.closed = delimiter.is_final;
        let (multipart, last) = (boundary.multipart, boundary.last);
        self.end(multipart, delimiter.start);
        // It has at least one part, the one that begins now or one that began before.
        if !delimiter.is_final || last != NONE {
            self.part(multipart).kind = Kind::Multipart;
        }
    }

    /// Ends the open parts that lie in `outer`, the innermost first. Where a line end is all between a header and the
    /// delimiter, both claim it.
    fn end(&mut self, outer: u32, mut end: usize) {
        while self.innermost != outer && self.innermost != NONE {
            let part = self.part(self.innermost);
            end = end.max(part.body as usize);
            part.end = end as u32;
            self.innermost = part.parent;
            self.depth -= 1; // counts the open parts, of which this was one
        }
    }

    /// Forgets the innermost boundary, and reports at `at` what it lacked.
    fn drop_boundary(&mut self, at: usize) {
        let Some(boundary) = self.boundaries.pop() else { return };
        if boundary.last == NONE {
            let start = self.part(boundary.multipart).start;
            self.defect(DefectKind::NoParts, start as usize);
        } else if !boundary.closed {
            self.defect(DefectKind::MissingFinalBoundary, at);
        }
    }

    fn end_all(&mut self) {
        while !self.boundaries.is_empty() {
            self.drop_boundary(self.raw.len());
        }
        self.end(NONE, self.raw.len());
    }
}

/// Where the first `LF "--"` is.
fn hyphens(octets: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = octets.get(from..)?;
        let near = rest.get(..NEAR).unwrap_or(rest);
        if let Some(at) = HYPHENS.find(near) {
            return Some(from + at);
        }
        if near.len() == rest.len() {
            return None;
        }
        // Base64 has none: what goes on without any is passed over as fast as the memory allows, which a search for more than
        // one octet does not reach. The line end may be the last octet but one of what was searched.
        from += NEAR - 2;
        from += memchr(b'-', octets.get(from..)?)?.saturating_sub(1);
    }
}

/// Where the colon of a field is: `field = field-name ":" …`, `field-name = 1*ftext` (RFC 5322 §3.6.8), white space before
/// the colon read (§4.5). `None` where the line is no field.
fn colon(line: &[u8]) -> Option<usize> {
    let len = ftext_len(line);
    match line.get(len)? {
        _ if len == 0 => None,
        b':' => Some(len),
        b' ' | b'\t' => {
            let spaces = line.get(len..)?.iter().position(|octet| !matches!(octet, b' ' | b'\t'))?;
            (line.get(len + spaces) == Some(&b':')).then_some(len + spaces)
        }
        _ => None,
    }
}

/// The start of the line at `at`, and the length of the name in it, where a colon follows at once and the line is surely no
/// delimiter.
#[inline]
fn usual_name(raw: &[u8], at: usize) -> Option<(&[u8; 32], usize)> {
    // Nearly all names are shorter than this.
    let start = raw.get(at..)?.first_chunk::<32>()?;
    let len = short_ftext(start);
    (len > 0 && start.get(len) == Some(&b':') && !start.starts_with(b"-")).then_some((start, len))
}

/// How many octets at the start are `ftext = %d33-57 / %d59-126`.
fn ftext_len(line: &[u8]) -> usize {
    line.iter().position(|octet| !matches!(octet, 33..=57 | 59..=126)).unwrap_or(line.len())
}

/// The same of a few.
#[inline]
fn short_ftext(start: &[u8; 32]) -> usize {
    let (halves, _) = start.as_chunks::<16>();
    halves.iter().rev().fold(0, |others, half| others << 16 | not_ftext(half)).trailing_zeros() as usize
}

/// One bit for each octet that is no `ftext`.
fn not_ftext(octets: &[u8; 16]) -> u32 {
    let octets = u8x16::new(*octets);
    let (low, high) = (octets.min(u8x16::splat(32)), octets.max(u8x16::splat(127)));
    let others = octets.cmp_eq(low) | octets.cmp_eq(high) | octets.cmp_eq(u8x16::splat(b':'));
    others.move_mask().cast_unsigned()
}

/// Whether what stands before a colon is this name, given in lower case.
pub(super) fn is_name(before_colon: &[u8], name: &[u8]) -> bool {
    before_colon.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && before_colon.get(name.len()..).is_some_and(|rest| rest.iter().all(|octet| matches!(octet, b' ' | b'\t')))
}

#[cfg(test)]
mod tests {
    use super::DefectKind::*;
    use super::{NEAR, ftext_len, hyphens, short_ftext};
    use crate::message::{Limits, Message, Part};

    #[test]
    fn vectors_say_what_octets_say() {
        for place in 0..50 {
            for octet in 0..=255 {
                for before in [b'!', b'~', b'9', b';', b'a'] {
                    let mut line = [before; 50];
                    line[place] = octet;
                    let ftext = matches!(octet, 33..=57 | 59..=126);
                    assert_eq!(ftext_len(&line), if ftext { 50 } else { place }, "{octet} at {place} after {before}");
                    assert_eq!(ftext_len(&line[..place]), place);
                    assert_eq!(short_ftext(line.first_chunk().unwrap()), ftext_len(&line).min(32));
                }
            }
        }
    }

    #[test]
    fn hyphens_are_found_wherever_they_stand() {
        for at in (0..20).chain(NEAR - 20..NEAR + 20).chain(3 * NEAR - 20..3 * NEAR + 20) {
            for before in [b"".as_slice(), b"--", b"-", b"\n-", b"\n"] {
                let octets = [&vec![b'x'; at], before, b"\n--x"].concat();
                assert_eq!(hyphens(&octets), Some(at + before.len()));
                assert_eq!(hyphens(&octets[..at + before.len() + 2]), None, "{before:?} behind {at}");
            }
        }
    }

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
        assert_eq!(
            many.defects().iter().map(|defect| (defect.kind, defect.at)).collect::<Vec<_>>(),
            [(TooManyFields, 24)]
        );
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
}
