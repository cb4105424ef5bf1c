//! The pass that puts an edited message together: slices of the old one, and between them what is new.
//!
//! Everything is cut where lines begin. A part goes with the boundary line before it, so that what follows it stands behind
//! the boundary line that is left, and the line end before a boundary line stays with that.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use bytes::Bytes;
use memchr::{memchr, memmem, memrchr};

use super::content::{Nature, collides, says_mime};
use super::{Change, Edit, EditError, HeaderEdit, is_content};
use crate::message::{Encoding, Message, Part};

/// What begins the boundary of a multipart that is wrapped around a part; see [`Writer::tag`].
const MARK: &[u8] = b"--=_";
/// New octets up to this size are joined with those beside them.
const JOINED: usize = 1024;

/// An edited message, in pieces: those that did not change are shared with the message that was edited.
///
/// ```
/// use facteur::message::{Edit, Message};
///
/// let message = Message::parse("A: b\r\n\r\nA long body.\r\n");
/// let mut edit = Edit::new(&message);
/// edit.header(message.root())?.append("C", b"d")?;
/// let edited = edit.finish()?;
/// let mut out = Vec::new();
/// edited.write_to(&mut out)?;
/// assert_eq!(out, b"A: b\r\nC: d\r\n\r\nA long body.\r\n");
/// assert_eq!(edited.len(), out.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Edited {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Edited {
    /// The octets in their order. No piece is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }

    /// How many octets there are in all pieces.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no octet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes the message out, piece by piece.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| out.write_all(piece))
    }

    /// The octets in one piece. A message that did not change is not copied.
    pub fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            0 => Bytes::new(),
            1 => self.pieces.pop_front().unwrap_or_default(),
            _ => {
                let mut out = Vec::with_capacity(self.len);
                self.pieces.iter().for_each(|piece| out.extend_from_slice(piece));
                out.into()
            }
        }
    }

    /// The message, read.
    pub fn message(self) -> Message {
        Message::parse(self.into_bytes())
    }
}

/// Applies the edits.
pub(super) fn run(edit: &Edit) -> Result<Edited, EditError> {
    let raw = edit.message.raw();
    let mut writer = Writer {
        edit,
        raw,
        at: 0,
        fresh: Vec::new(),
        pieces: VecDeque::new(),
        last: None,
        tag: 0,
        unclosed: BTreeSet::new(),
    };
    writer.unclosed = writer.unclosed();
    if edit.changes.values().any(|change| change.wrapped.is_some()) {
        writer.tag = writer.free_tag();
    }
    // Parts that have begun and not ended, each in the one before it.
    let mut open: Vec<Part<'_>> = Vec::new();
    let mut gone: Option<usize> = None;
    for part in edit.message.all_parts() {
        let parent = part.parent().map(Part::index);
        // What lies in a part has a parent that does not come before that.
        if gone.is_some_and(|gone| parent.is_some_and(|parent| parent >= gone)) {
            continue;
        }
        gone = None;
        while let Some(last) = open.pop_if(|last| Some(last.index()) != parent) {
            writer.leave(last);
        }
        if !writer.enter(part)? {
            gone = Some(part.index());
        }
        open.push(part);
    }
    while let Some(last) = open.pop() {
        writer.leave(last);
    }
    writer.copy_to(raw.len());
    writer.flush();
    let len = writer.pieces.iter().map(Bytes::len).sum();
    Ok(Edited { pieces: writer.pieces, len })
}

struct Writer<'a> {
    edit: &'a Edit,
    raw: &'a Bytes,
    /// How far the old message is dealt with.
    at: usize,
    /// New octets that are not yet a piece.
    fresh: Vec<u8>,
    pieces: VecDeque<Bytes>,
    /// The last octet, old or new.
    last: Option<u8>,
    tag: u64,
    /// Where a blank line is missing.
    unclosed: BTreeSet<usize>,
}

/// A multipart as its parts see it.
#[derive(Clone, Copy)]
struct Around<'a> {
    part: Part<'a>,
    boundary: &'a [u8],
}

impl<'a> Writer<'a> {
    fn change(&self, part: Part<'_>) -> Option<&'a Change> {
        self.edit.changes.get(&part.index())
    }

    fn around(&self, part: Part<'a>) -> Option<Around<'a>> {
        let part = part.parent().filter(|parent| parent.is_multipart())?;
        Some(Around { part, boundary: self.edit.boundaries.get(part.index())?.as_deref()? })
    }

    /// Writes what stands before the body of a part; whether the parts in it are to be written.
    fn enter(&mut self, part: Part<'a>) -> Result<bool, EditError> {
        let change = self.change(part);
        let wrapped = change.and_then(|change| change.wrapped.as_deref());
        if let Some(around) = self.around(part) {
            let first = self.change(around.part).filter(|_| part.number() == 1).map_or(&[][..], |change| &change.first);
            let before = change.filter(|_| wrapped.is_none()).map_or(&[][..], |change| &change.before);
            let removed = change.is_some_and(|change| change.removed);
            if !first.is_empty() || !before.is_empty() || removed {
                self.copy_to(self.boundary_line(part));
                first.iter().chain(before).for_each(|new| self.part(around.boundary, new));
            }
            if removed {
                self.at = self.next_line(part);
                return Ok(false);
            }
        }
        let unclosed = self.unclosed.contains(&part.index());
        let changed = |change: &&Change| wrapped.is_some() || change.header.is_some() || change.body.is_some();
        let Some(change) = change.filter(changed) else {
            if unclosed {
                self.copy_to(part.body_offset());
                self.line_end();
            }
            return Ok(true);
        };
        let mut header = change.header.clone().unwrap_or_else(|| HeaderEdit::of(part));
        if unclosed {
            header.close();
        }
        let expected = change.body.as_ref().map(|(_, nature)| nature);
        let own = Nature::of(part.header(), self.edit.in_digest(part.parent()));
        self.checked(part, &header, expected.unwrap_or(&own))?;
        self.copy_to(part.offset());
        // A boundary line at the very end of the message.
        if part.offset() > 0 && self.raw.get(..part.offset()).is_some_and(|before| !before.ends_with(b"\n")) {
            self.line_end();
        }
        match wrapped {
            Some(subtype) => self.wrapper(part, subtype, change, header)?,
            None => self.text(&header.header()),
        }
        self.at = part.body_offset();
        if let Some((body, _)) = &change.body {
            self.content(body);
            self.at = part.offset() + part.raw().len();
            // A CR at the end of it is not part of the line end behind it.
            if body.ends_with(b"\r") && self.raw.get(self.at) == Some(&b'\n') {
                self.text(b"\r");
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// The parts whose body begins without a blank line before it, and that need one now: what comes into a multipart, or
    /// behind a body of one line, could make a header of it.
    fn unclosed(&self) -> BTreeSet<usize> {
        let open =
            |part: &Part<'_>| part.raw_header().len() == part.header().raw().len() && !part.raw_body().is_empty();
        let mut unclosed = BTreeSet::new();
        for part in self.edit.message.all_parts() {
            let Some(change) = self.change(part) else { continue };
            let beside = change.header.is_none() && change.body.is_none() && change.left.is_none();
            let inner = Some(part).filter(|_| !beside);
            let chain = inner.into_iter().chain(std::iter::successors(part.parent(), |part| part.parent()));
            unclosed.extend(chain.filter(open).map(Part::index));
        }
        let Some(last) = self.edit.message.all_parts().last() else { return unclosed };
        let is_line = memchr(b'\n', last.raw_body()).is_some_and(|at| at + 1 == last.raw_body().len());
        let follows = |change: &Change| change.wrapped.is_some() || !change.after.is_empty() || !change.last.is_empty();
        let mut chain = std::iter::successors(Some(last), |part| part.parent());
        if is_line && open(&last) && chain.any(|part| self.change(part).is_some_and(follows)) {
            unclosed.insert(last.index());
        }
        unclosed
    }

    /// Writes what stands behind a part.
    fn leave(&mut self, part: Part<'a>) {
        let change = self.change(part);
        let wrapped = change.is_some_and(|change| change.wrapped.is_some());
        let removed = change.is_some_and(|change| change.removed);
        let end = part.offset() + part.raw().len();
        if let Some(change) = change.filter(|_| !removed) {
            // An edit of the last part in it may have taken the line end behind it.
            let passed = self.at > end;
            if wrapped {
                if !passed {
                    self.copy_to(end);
                    self.line_end();
                }
                let boundary = self.wrapping(part);
                change.after.iter().for_each(|new| self.part(&boundary, new));
                self.text(&[b"--", &boundary[..], b"--"].concat());
            }
            // A boundary needs a line end before it. Where a header claimed that, there is none to spare.
            let bare = self.raw.get(end..).is_some_and(|rest| rest.starts_with(b"--"));
            if (wrapped || change.body.is_some()) && bare || wrapped && (passed || end == self.raw.len()) {
                self.line_end();
            }
        }
        let Some(around) = self.around(part) else { return };
        let after = change.filter(|_| !wrapped).map_or(&[][..], |change| &change.after);
        let last = self.change(around.part).filter(|_| part.next_sibling().is_none());
        let last = last.map_or(&[][..], |change| &change.last);
        let next = self.next_line(part);
        // The boundary that ends the multipart is missing.
        let unended = next == self.raw.len();
        if after.is_empty() && last.is_empty() && !(removed && unended) {
            return;
        }
        self.copy_to(next);
        if unended && !removed {
            self.line_end();
        }
        after.iter().chain(last).for_each(|new| self.part(around.boundary, new));
        if unended {
            self.text(&[b"--", around.boundary, b"--"].concat());
            self.line_end();
        }
    }

    /// Where the boundary line of a part begins.
    fn boundary_line(&self, part: Part<'_>) -> usize {
        let before = self.raw.get(..part.offset()).unwrap_or_default();
        memrchr(b'\n', before.strip_suffix(b"\n").unwrap_or(before)).map_or(0, |at| at + 1)
    }

    /// Where the boundary line behind a part begins.
    fn next_line(&self, part: Part<'_>) -> usize {
        if let Some(next) = part.next_sibling() {
            return self.boundary_line(next);
        }
        let end = part.offset() + part.raw().len();
        match self.raw.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => end + 2,
            [b'\n', ..] => end + 1,
            _ => end,
        }
    }

    /// The header and what stands before the part in the multipart around it, up to its own header.
    fn wrapper(&mut self, part: Part<'a>, subtype: &str, change: &Change, header: HeaderEdit) -> Result<(), EditError> {
        let boundary = self.wrapping(part);
        let mut inner = header.clone();
        inner.retain(|field| is_content(field.name()));
        // Only in a digest a message need not say that it is one.
        if self.edit.in_digest(part.parent()) && inner.get("content-type").is_none() {
            inner.append("Content-Type", b"message/rfc822")?;
        }
        let mut outer = header;
        outer.retain(|field| !is_content(field.name()));
        if !part.parent().is_some_and(Part::is_multipart) {
            says_mime(&mut outer)?;
        }
        let mut value = format!("multipart/{subtype};\n boundary=\"").into_bytes();
        value.extend_from_slice(&boundary);
        value.push(b'"');
        outer.append("Content-Type", &value)?;
        // RFC 2045 §6.4: a multipart says 8bit where a part in it does.
        let encoding = inner.get("content-transfer-encoding").map(|field| Encoding::parse(field.value()));
        if let Some(encoding @ (Encoding::EightBit | Encoding::Binary)) = encoding {
            outer.append("Content-Transfer-Encoding", encoding.to_string().as_bytes())?;
        }
        let digest = subtype == "digest";
        self.checked(part, &outer, &Nature::Multipart { digest, boundary: Some(boundary.clone()) })?;
        self.text(&outer.header());
        change.before.iter().for_each(|new| self.part(&boundary, new));
        self.text(&[b"--", &boundary[..]].concat());
        self.line_end();
        inner.close();
        self.text(&inner.header());
        Ok(())
    }

    /// A header must be read whole, and say of its part what is true.
    fn checked(&self, part: Part<'_>, header: &HeaderEdit, expected: &Nature) -> Result<(), EditError> {
        let octets = header.header();
        let outer = self.edit.outer(part.parent())?;
        let read = Message::parse(octets);
        let whole = read.root().body_offset() == read.raw().len();
        let nature = Nature::of(read.header(), self.edit.in_digest(part.parent()));
        let fits = whole && expected.fits(&nature) && !collides(read.raw(), &outer);
        if fits { Ok(()) } else { Err(EditError::Header) }
    }

    fn wrapping(&self, part: Part<'_>) -> Vec<u8> {
        format!("=_{:016x}_{}_", self.tag, part.index()).into_bytes()
    }

    /// A tag that follows [`MARK`] in no line of the message, old or new.
    fn free_tag(&self) -> u64 {
        let changes = self.edit.changes.values();
        let new = changes.flat_map(|change| {
            let lists = [&change.before, &change.after, &change.first, &change.last];
            lists.into_iter().flatten().chain(change.body.as_ref().map(|(body, _)| body))
        });
        let hits = |octets: &'a Bytes| {
            memmem::find_iter(&octets[..], MARK).filter_map(move |at| {
                let digits = std::str::from_utf8(octets.get(at + MARK.len()..)?.get(..16)?).ok()?;
                u64::from_str_radix(digits, 16).ok()
            })
        };
        let mut taken: Vec<u64> = std::iter::once(self.raw).chain(new).flat_map(hits).collect();
        taken.sort_unstable();
        let mut tag = self.raw.len() as u64;
        while taken.binary_search(&tag).is_ok() {
            tag = tag.wrapping_add(1);
        }
        tag
    }

    /// A boundary line and a part, from the start of a line to the start of a line.
    fn part(&mut self, boundary: &[u8], new: &Bytes) {
        self.text(&[b"--", boundary].concat());
        self.line_end();
        self.content(new);
        self.line_end();
    }

    fn copy_to(&mut self, to: usize) {
        if to <= self.at {
            return;
        }
        self.flush();
        self.pieces.push_back(self.raw.slice(self.at..to));
        self.last = self.raw.get(to - 1).copied(); // `to` is beyond `at`
        self.at = to;
    }

    fn content(&mut self, octets: &Bytes) {
        if octets.len() <= JOINED {
            return self.text(octets);
        }
        self.flush();
        self.last = octets.last().copied();
        self.pieces.push_back(octets.clone());
    }

    fn text(&mut self, octets: &[u8]) {
        self.fresh.extend_from_slice(octets);
        self.last = octets.last().copied().or(self.last);
    }

    fn line_end(&mut self) {
        let line_end = if self.last == Some(b'\r') { "\r\n" } else { self.edit.line_end };
        self.text(line_end.as_bytes());
    }

    fn flush(&mut self) {
        if !self.fresh.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.fresh).into());
        }
    }
}
