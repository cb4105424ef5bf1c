//! The header of a part, line by line.

use memchr::memchr;

use super::lines::LineStarts;
use super::names::{Asked, FAR, Places, colon, key, usual_name};
use super::{BATCH, Composite, DefectKind, FieldSpan, Scan, fields};

/// How a header ended.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ended {
    /// With a blank line, or where one is missing: a body follows.
    Blank,
    /// With the message.
    Message,
    /// With a delimiter line, see [`Scan::cut`].
    Cut,
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A header, as far as it is read.
struct Reading<'a> {
    /// Where it begins, and where the line begins that is next.
    start: usize,
    at: usize,
    lines: LineStarts<'a>,
    /// The number of its first field.
    first: usize,
    places: Places,
}

// What is seldom stands in functions of its own: the code for a plain message has to fit into the nearest cache with all that
// reads its fields.
impl Scan<'_, '_> {
    /// Reads the header of a part, up to its blank line or the delimiter line that cuts it off; and says whether a body
    /// follows it, if only an empty one.
    pub(super) fn header(&mut self, index: u32) -> Ended {
        let start = self.part(index).start as usize;
        let lines = LineStarts::new(self.raw, start);
        let first = self.tree.fields.len();
        let mut reading = Reading { start, at: start, lines, first, places: Places::default() };
        (self.content_type, self.encoding) = (None, None);
        let (body, blank, ended) = loop {
            self.usual_fields(&mut reading);
            match self.raw.get(reading.at..) {
                Some([b'\n', ..]) => break (reading.at + 1, 1, Ended::Blank),
                Some([b'\r', b'\n', ..]) => break (reading.at + 2, 2, Ended::Blank),
                _ => {}
            }
            if let Some((body, ended)) = self.unusual_line(&mut reading) {
                break (body, 0, ended);
            }
        };
        let part = self.part(index);
        (part.body, part.blank, part.asked) = (body as u32, blank, reading.places); // within 32 bits, see run()
        ended
    }

    /// Takes the fields that begin with a short name and its colon, up to the first other line.
    #[inline]
    fn usual_fields(&mut self, reading: &mut Reading<'_>) {
        let (mut at, mut places) = (reading.at, reading.places);
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
                    self.note(&mut places, asked, before + taken, reading.first, at);
                }
                taken += 1;
                at = reading.lines.next();
            }
            if before + taken > self.tree.fields.capacity() {
                self.make_room();
            }
            self.tree.fields.extend_from_slice(batch.get(..taken).unwrap_or_default());
            if taken < BATCH {
                (reading.at, reading.places) = (at, places);
                return;
            }
        }
    }

    #[cold]
    fn make_room(&mut self) {
        let before = self.tree.fields.len();
        self.tree.fields.reserve(before.max(BATCH) * 3);
    }

    /// Reads a line in a header that does not begin with a short name and its colon and is not blank. Where it ends the header, the
    /// place of the body, and how.
    #[inline(never)]
    fn unusual_line(&mut self, reading: &mut Reading<'_>) -> Option<(usize, Ended)> {
        let raw = self.raw;
        let at = reading.at;
        let line = raw.get(at..).unwrap_or_default();
        let n = self.tree.fields.len();
        match line {
            [] => return Some((raw.len(), Ended::Message)),
            [b' ' | b'\t', ..] if n > reading.first => {
                reading.at = reading.lines.next();
                return None;
            }
            [b'-', b'-', ..] => {
                if let Some(cut) = self.delimiter_at(at) {
                    self.cut = Some(cut);
                    return Some((cut.start.max(reading.start), Ended::Cut));
                }
                if self.begins_with_own(at, at) {
                    self.defect(DefectKind::MissingBlankLine, at);
                    return Some((at, Ended::Blank));
                }
            }
            _ => {}
        }
        if n > self.limits.fields {
            reading.at = reading.lines.next();
            return None;
        }
        let mut colon = colon(line);
        let mut next = None;
        if n == self.limits.fields {
            self.defect(DefectKind::TooManyFields, at);
            colon = None;
        } else if colon.is_none() {
            // A byte order mark takes no field with it.
            let marked = (at == reading.start).then(|| line.strip_prefix(MARK)).flatten();
            if marked.and_then(super::colon).is_some() {
                next = Some(at + MARK.len());
            } else {
                // Where a first line was no field, white space continues it.
                let after = memchr(b'\n', line).map_or(raw.len(), |len| at + len + 1);
                if !self.belongs_to_header(at, after, reading.start, reading.first) {
                    self.defect(DefectKind::MissingBlankLine, at);
                    return Some((at, Ended::Blank));
                }
            }
            self.defect(DefectKind::NotAField, at);
        }
        let name = line.get(..colon.unwrap_or(0)).unwrap_or_default().trim_ascii_end();
        if let Some(asked) = Asked::of(name) {
            self.note(&mut reading.places, asked, n, reading.first, at);
        }
        self.tree.fields.push(FieldSpan::new(at, colon, key(name)));
        reading.at = next.unwrap_or_else(|| reading.lines.next());
        None
    }

    /// Remembers where a field is that will be asked for, and which of them decide what a part is: it is field `n`, and its header
    /// begins with field `first`.
    #[inline]
    fn note(&mut self, places: &mut Places, asked: Asked, n: usize, first: usize, at: usize) {
        if places.of(asked) != 0 {
            return self.again(asked, at);
        }
        places.set(asked, u8::try_from(n - first + 1).unwrap_or(FAR));
        match asked {
            Asked::ContentType => self.content_type = Some(n),
            Asked::Encoding => self.encoding = Some(n),
            _ => {}
        }
    }

    #[cold]
    fn again(&mut self, asked: Asked, at: usize) {
        match asked {
            Asked::ContentType => self.defect(DefectKind::TwoContentTypes, at),
            Asked::Encoding => self.defect(DefectKind::TwoEncodings, at),
            _ => {}
        }
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
            let value = self.value(n, end);
            let value = value.filter(|value| matches!(fields::composite(value), Composite::Multipart { .. }));
            self.own = Some((n, value.and_then(fields::boundary)));
        }
        let line = self.raw.get(at + 2..).unwrap_or_default();
        matches!(&self.own, Some((_, Some(own))) if line.starts_with(own))
    }
}
