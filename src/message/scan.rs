//! One pass over a message: octets to field spans and part tree, nothing decoded.
//!
//! RFC 5322 §2.2 for headers, RFC 2046 §5.1 for multiparts, §5.2.1 for embedded messages. Open parts are kept on a stack,
//! never in recursion. Bodies are searched for `LF "--"` only, and not at all where no multipart is open.

use memchr::{memchr, memmem};

use super::Limits;
use super::defects::{Defect, DefectKind};
use super::fields::{self, Composite};

/// So many defects are listed; a message with more has been told often enough.
const MOST_DEFECTS: usize = 1000;
/// No part.
pub(super) const NONE: u32 = u32::MAX;

/// What the pass found. A part stands before the parts in it.
#[derive(Default)]
pub(super) struct Tree {
    pub fields: Vec<FieldSpan>,
    pub parts: Vec<PartSpan>,
    pub defects: Vec<Defect>,
}

/// A header field: from `start` to the start of the next field, or to the end of the header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FieldSpan {
    pub start: u32,
    /// Where the colon is; `start` itself where the line is no field.
    pub colon: u32,
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
    /// It is a multipart/digest, whose parts are messages where they say nothing else (RFC 2046 §5.1.5).
    pub digest: bool,
}

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

/// Finds the fields and the parts of `raw`.
pub(super) fn scan(raw: &[u8], limits: &Limits) -> Tree {
    let mut scan = Scan {
        raw,
        limits,
        tree: Tree { fields: Vec::with_capacity(32), parts: Vec::new(), defects: Vec::new() },
        open: Vec::new(),
        boundaries: Vec::new(),
    };
    scan.run();
    scan.tree
}

struct Scan<'a> {
    raw: &'a [u8],
    limits: &'a Limits,
    tree: Tree,
    /// The parts that have begun and not ended, each in the one before it.
    open: Vec<u32>,
    boundaries: Vec<Boundary>,
}

/// The boundary of an open multipart.
struct Boundary {
    value: Vec<u8>,
    /// How many parts are open with the multipart itself the last of them.
    depth: usize,
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

impl Scan<'_> {
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
            let mut delimiter = self.header(index);
            if delimiter.is_none() {
                let body = self.part(index).body as usize;
                self.classify(index);
                if self.part(index).kind == Kind::Message {
                    begin = Some(body);
                    continue;
                }
                // Nothing ends before the message does.
                if self.boundaries.is_empty() {
                    break;
                }
                delimiter = self.delimiter(body);
            }
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
        let parent = self.open.last().copied().unwrap_or(NONE);
        let mut number = 1;
        if let Some(boundary) = self.boundaries.last_mut().filter(|boundary| boundary.depth == self.open.len()) {
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
            digest: false,
        });
        self.open.push(index);
        index
    }

    /// Reads the header of a part, up to its blank line or the delimiter line that cuts it off.
    fn header(&mut self, index: u32) -> Option<Delimiter> {
        let raw = self.raw;
        let start = self.part(index).start as usize;
        let first = self.tree.fields.len();
        let (mut body, mut blank, mut cut) = (raw.len(), 0, None);
        let mut at = start;
        // Beyond the limit of fields.
        let mut full = false;
        while let Some(line) = raw.get(at..).filter(|line| !line.is_empty()) {
            let next = memchr(b'\n', line).map_or(raw.len(), |len| at + len + 1);
            match line {
                [b'\n', ..] => {
                    (body, blank) = (next, 1);
                    break;
                }
                [b'\r', b'\n', ..] => {
                    (body, blank) = (next, 2);
                    break;
                }
                [b' ' | b'\t', ..] if self.tree.fields.len() > first => {
                    at = next;
                    continue;
                }
                [b'-', b'-', ..] => {
                    cut = self.delimiter_at(at, start);
                    if let Some(cut) = cut {
                        body = cut.start;
                        break;
                    }
                }
                _ if full => {
                    at = next;
                    continue;
                }
                _ => {}
            }
            let mut colon = colon(line);
            if self.tree.fields.len() >= self.limits.fields {
                self.defect(DefectKind::TooManyFields, at);
                (full, colon) = (true, None);
            } else if colon.is_none() {
                if !self.belongs_to_header(at, next, start, first) {
                    self.defect(DefectKind::MissingBlankLine, at);
                    body = at;
                    break;
                }
                self.defect(DefectKind::NotAField, at);
            }
            self.tree.fields.push(FieldSpan { start: at as u32, colon: (at + colon.unwrap_or(0)) as u32 });
            at = next;
        }
        let part = self.part(index);
        (part.body, part.blank) = (body as u32, blank);
        cut
    }

    /// Whether a line that is no field stands in a header all the same: a header follows it, so the body has not begun.
    fn belongs_to_header(&self, at: usize, next: usize, start: usize, first: usize) -> bool {
        let line = self.raw.get(at..next).unwrap_or_default();
        let after = self.raw.get(next..).unwrap_or_default();
        // The line that mbox puts before a message, and that some programs leave there.
        if at == start && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
            return true;
        }
        let follows_a_field = self.tree.fields.len() > first;
        colon(after).is_some() || follows_a_field && matches!(after, [b'\n', ..] | [b'\r', b'\n', ..])
    }

    /// Decides from its header what a part is, and opens the boundary of a multipart.
    fn classify(&mut self, index: u32) {
        let raw = self.raw;
        let span = *self.part(index);
        let end = span.body as usize - usize::from(span.blank);
        let mut content_type = None;
        let mut encoding = None;
        for n in span.first_field as usize..self.tree.fields.len() {
            let field = self.tree.fields[n]; // below the length
            let name = raw.get(field.start as usize..field.colon as usize).unwrap_or_default();
            let (found, defect) = if is_name(name, b"content-type") {
                (&mut content_type, DefectKind::TwoContentTypes)
            } else if is_name(name, b"content-transfer-encoding") {
                (&mut encoding, DefectKind::TwoEncodings)
            } else {
                continue;
            };
            if found.is_some() {
                self.defect(defect, field.start as usize);
                continue;
            }
            let to = self.tree.fields.get(n + 1).map_or(end, |next| next.start as usize);
            *found = Some(raw.get(field.colon as usize + 1..to).unwrap_or_default());
        }
        let start = span.start as usize;
        // RFC 2046 §5.1.5: in a digest the default is message/rfc822.
        let in_digest = span.parent != NONE && self.part(span.parent).digest;
        let composite = content_type.map_or(Composite::None, fields::composite);
        let composite = if content_type.is_none() && in_digest { Composite::Message } else { composite };
        let encoded = encoding.is_some_and(|value| fields::Encoding::parse(value).is_encoded());
        let too_deep = self.open.len() > self.limits.depth;
        match composite {
            Composite::None => {}
            Composite::Message if encoded => self.defect(DefectKind::EncodedMessage, start),
            Composite::Message | Composite::Multipart { .. } if too_deep => {
                self.part(index).kind = Kind::Opaque;
                self.defect(DefectKind::TooDeep, start);
            }
            Composite::Message => self.part(index).kind = Kind::Message,
            Composite::Multipart { digest } => {
                self.part(index).kind = Kind::Hollow;
                self.part(index).digest = digest;
                if encoded {
                    self.defect(DefectKind::EncodedMultipart, start);
                }
                match content_type.and_then(fields::boundary) {
                    Some(value) => {
                        let depth = self.open.len();
                        self.boundaries.push(Boundary { value, depth, last: NONE, closed: false });
                    }
                    None => self.defect(DefectKind::NoBoundary, start),
                }
            }
        }
    }

    fn defect(&mut self, kind: DefectKind, at: usize) {
        if self.tree.defects.len() < MOST_DEFECTS {
            self.tree.defects.push(Defect::new(kind, at));
        }
    }

    /// The next delimiter line from `from` on, which is the start of a line, that means something.
    fn delimiter(&mut self, from: usize) -> Option<Delimiter> {
        // The line end before the first line is looked at too.
        let mut at = from.saturating_sub(1);
        loop {
            at += memmem::find(self.raw.get(at..)?, b"\n--")? + 1;
            if let Some(found) = self.delimiter_at(at, from) {
                return Some(found);
            }
        }
    }

    /// The delimiter line that begins at `at`, if it is one; its line end does not reach before `from`.
    fn delimiter_at(&mut self, at: usize, from: usize) -> Option<Delimiter> {
        let line = self.raw.get(at + 2..)?;
        // RFC 2046 §5.1.2: boundaries of outer multiparts count inside of inner ones. Where several begin the line, the
        // longest is meant; of equal ones the innermost that is still open.
        let mut best: Option<(usize, &Boundary)> = None;
        for (n, boundary) in self.boundaries.iter().enumerate().rev() {
            let better = best.is_none_or(|(_, best)| {
                let (len, known) = (boundary.value.len(), best.value.len());
                len > known || len == known && best.closed && !boundary.closed
            });
            if better && line.starts_with(&boundary.value) {
                best = Some((n, boundary));
            }
        }
        let (n, boundary) = best?;
        let closed = boundary.closed;
        let rest = line.get(boundary.value.len()..)?;
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
        let before = self.raw.get(from..at).unwrap_or_default();
        let line_end = if before.ends_with(b"\r\n") { 2 } else { usize::from(before.ends_with(b"\n")) };
        Some(Delimiter { boundary: n, start: at - line_end, next, is_final })
    }

    /// Ends the parts that a delimiter ends.
    fn end_to(&mut self, delimiter: Delimiter) {
        let boundary = delimiter.boundary;
        while self.boundaries.len() > boundary + 1 {
            if self.boundaries.pop().is_some_and(|inner| !inner.closed) {
                self.defect(DefectKind::MissingFinalBoundary, delimiter.start);
            }
        }
        let Some(boundary) = self.boundaries.last_mut() else { return };
        boundary.closed = delimiter.is_final;
        let depth = boundary.depth;
        self.end(depth, delimiter.start);
        // It has at least one part, the one that begins now or one that began before.
        if let Some(multipart) = self.open.last().copied() {
            let has_parts = !delimiter.is_final || self.boundaries.last().is_some_and(|boundary| boundary.last != NONE);
            if has_parts {
                self.part(multipart).kind = Kind::Multipart;
            }
        }
    }

    /// Ends the parts that are open beyond `depth`, the innermost first. Where a line end is all between a header and the
    /// delimiter, both claim it.
    fn end(&mut self, depth: usize, mut end: usize) {
        while self.open.len() > depth {
            let Some(index) = self.open.pop() else { return };
            let part = self.part(index);
            end = end.max(part.body as usize);
            part.end = end as u32;
            if part.kind == Kind::Hollow {
                let start = part.start as usize;
                // One without a boundary was reported already.
                self.defect(DefectKind::NoParts, start);
            }
        }
    }

    fn end_all(&mut self) {
        if self.boundaries.iter().any(|boundary| !boundary.closed && boundary.last != NONE) {
            self.defect(DefectKind::MissingFinalBoundary, self.raw.len());
        }
        self.end(0, self.raw.len());
    }
}

/// Where the colon of a field is: `field = field-name ":" …`, `field-name = 1*ftext` (RFC 5322 §3.6.8), white space before
/// the colon read (§4.5). `None` where the line is no field.
fn colon(line: &[u8]) -> Option<usize> {
    let len = line.iter().position(|octet| !matches!(octet, 33..=57 | 59..=126)).filter(|len| *len > 0)?;
    let spaces = line.get(len..)?.iter().position(|octet| !matches!(octet, b' ' | b'\t'))?;
    (line.get(len + spaces) == Some(&b':')).then_some(len + spaces)
}

/// Whether what stands before a colon is this name, given in lower case.
pub(super) fn is_name(before_colon: &[u8], name: &[u8]) -> bool {
    before_colon.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && before_colon.get(name.len()..).is_some_and(|rest| rest.iter().all(|octet| matches!(octet, b' ' | b'\t')))
}
