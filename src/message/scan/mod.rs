//! One pass over a message: octets to field spans and part tree, nothing decoded.
//!
//! RFC 5322 §2.2 for headers, RFC 2046 §5.1 for multiparts, §5.2.1 for embedded messages. Open parts are kept on a stack,
//! never in recursion. Bodies are searched for `LF "--"` only, and not at all where no multipart is open.

mod delimiters;
mod header;
mod lines;
mod names;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use smallvec::SmallVec;

use self::delimiters::{Boundary, Delimiter};
use self::header::Ended;
use self::names::colon;
pub(super) use self::names::{Asked, FAR, Places, is_name, key};
use super::Limits;
use super::defects::{Defect, DefectKind, Defects};
use super::fields::{self, Composite};

/// How many fields a plain message has at the most.
const BATCH: usize = 16;

/// No part.
pub(super) const NONE: u32 = u32::MAX;

/// What the pass found. A part stands before the parts in it.
pub(super) struct Tree {
    pub fields: Fields,
    pub parts: Parts,
    pub defects: Box<[Defect]>,
}

impl Default for Tree {
    fn default() -> Self {
        // Not new(): room that nothing is in is copied with the length beside it, and waits for that to be stored.
        let fields = Fields::from_buf_and_len([FieldSpan::default(); BATCH], 0);
        Self { fields, parts: Parts::new(), defects: Box::default() }
    }
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
        cut: None,
        boundaries: Vec::new(),
    };
    scan.run();
    if !scan.defects.list.is_empty() {
        scan.tree.defects = scan.defects.list.into();
    }
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
    /// The delimiter line that cut off the header that was read last.
    cut: Option<Delimiter>,
    boundaries: Vec<Boundary<'a>>,
}

impl<'a> Scan<'a, '_> {
    fn run(&mut self) {
        // Spans are 32 bits wide; NONE is kept free.
        if self.raw.len() >= NONE as usize {
            return self.run_too_long();
        }
        let index = self.begin(0);
        let ended = self.header(index);
        self.classify(index, ended);
        // Nothing ends before the message does, and no part begins.
        if self.part(index).kind != Kind::Message && self.boundaries.is_empty() {
            return self.end(NONE, self.raw.len());
        }
        self.run_nested(index, ended);
        self.end_all();
    }

    #[cold]
    fn run_too_long(&mut self) {
        self.defect(DefectKind::TooLong, 0);
        self.raw = self.raw.get(..NONE as usize - 1).unwrap_or(self.raw);
        self.begin(0);
        self.header(0);
        // The end stays NONE: as far as the message goes.
        self.part(0).kind = Kind::Opaque;
    }

    /// Reads the parts that lie in others, behind the header of the outermost.
    #[inline(never)]
    fn run_nested(&mut self, mut index: u32, mut ended: Ended) {
        loop {
            let body = self.part(index).body as usize;
            let start = if ended != Ended::Cut && self.part(index).kind == Kind::Message {
                body
            } else {
                // Nothing ends before the message does.
                if ended != Ended::Cut && self.boundaries.is_empty() {
                    return;
                }
                let mut delimiter = if ended == Ended::Cut { self.cut.take() } else { self.delimiter(body) };
                loop {
                    let Some(found) = delimiter else { return };
                    self.end_to(found);
                    if !found.is_final {
                        break found.next;
                    }
                    delimiter = self.delimiter(found.next);
                }
            };
            index = self.begin(start);
            if self.part(index).kind == Kind::Opaque {
                return;
            }
            ended = self.header(index);
            self.classify(index, ended);
        }
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

    /// Decides from its header what a part is, and opens the boundary of a multipart. Where no body follows the header
    /// there is nothing in it.
    #[inline]
    fn classify(&mut self, index: u32, ended: Ended) {
        let span = self.part(index);
        let (parent, end) = (span.parent, span.body as usize - usize::from(span.blank));
        let content_type = self.content_type.and_then(|n| self.value(n, end));
        let composite = match content_type {
            Some(value) => fields::composite(value),
            // RFC 2046 §5.1.5: in a digest the default is message/rfc822.
            None if parent != NONE && self.part(parent).digest => Composite::Message { encodable: false },
            None => Composite::None,
        };
        if composite != Composite::None {
            let encoding = self.encoding.and_then(|n| self.value(n, end));
            self.compose(index, composite, content_type, encoding, ended == Ended::Blank);
        }
    }

    #[inline(never)]
    fn compose(
        &mut self,
        index: u32,
        composite: Composite,
        content_type: Option<&'a [u8]>,
        encoding: Option<&'a [u8]>,
        has_body: bool,
    ) {
        let start = self.part(index).start as usize;
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

    /// What stands behind the colon of field `n`, where the fields so far end at `end`.
    fn value(&self, n: usize, end: usize) -> Option<&'a [u8]> {
        let span = self.tree.fields.get(n)?;
        let end = self.tree.fields.get(n + 1).map_or(end, |next| next.start as usize);
        let field = self.raw.get(span.start as usize..end)?;
        field.get(span.colon(field) + 1..)
    }

    fn defect(&mut self, kind: DefectKind, at: usize) {
        self.defects.push(kind, at);
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

    fn end_all(&mut self) {
        while !self.boundaries.is_empty() {
            self.drop_boundary(self.raw.len());
        }
        self.end(NONE, self.raw.len());
    }
}
