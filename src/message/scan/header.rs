//! The header of a part, line by line.

use memchr::memchr;

use super::delimiters::Delimiter;
use super::lines::LineStarts;
use super::names::{Asked, FAR, Places, colon, key, usual_name};
use super::{BATCH, Composite, DefectKind, FieldSpan, Scan, fields};

/// How a header ended.
pub(super) enum Ended {
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

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Scan<'_, '_> {
    /// Reads the header of a part, up to its blank line or the delimiter line that cuts it off; and says whether a body
    /// follows it, if only an empty one.
    pub(super) fn header(&mut self, index: u32) -> Ended {
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
            let value = self.value(n, end);
            let value = value.filter(|value| matches!(fields::composite(value), Composite::Multipart { .. }));
            self.own = Some((n, value.and_then(fields::boundary)));
        }
        let line = self.raw.get(at + 2..).unwrap_or_default();
        matches!(&self.own, Some((_, Some(own))) if line.starts_with(own))
    }
}
