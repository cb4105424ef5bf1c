//! Writing quoted-printable (RFC 2045 §6.7): sixty-four octets are looked at at once, and what stands between two that need
//! more than a copy is copied at once, straight into the room behind what is written. The tests hold it against a writer that
//! goes octet by octet.

use super::{LINE, vectors};

/// Octets that are looked at at once.
const BLOCK: usize = 64;
/// RFC 2045 §6.7 (5): no more than 76 characters, the `=` of the soft line break among them.
const ROOM: usize = LINE - 1;
/// What a block becomes at most, with its soft line breaks, and a block that is copied whole for the sake of its first
/// octets: less than 256 and 64; and more for the end of the text.
const MARGIN: usize = 384;
/// For how many octets room is made at once: it is cleared first, and stays in the nearest cache until it is written.
const STAGE: usize = 4096;

/// Which line ends stay; all other CR and LF are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    None,
    Crlf,
    /// LF too, which becomes CRLF.
    CrlfAndLf,
}

/// Appends text in quoted-printable. Says whether a line end that stays is the last of it.
pub(crate) fn encode_quoted_printable_lines(text: &[u8], ends: LineEnds, out: &mut Vec<u8>) -> bool {
    vectors::encode_quoted_printable(text, ends, out)
}

/// Which octets of a block are what, a bit for each.
pub(super) struct Marks {
    /// Do not stand for themselves (RFC 2045 §6.7 (2)).
    pub special: u64,
    pub cr: u64,
    pub lf: u64,
    /// Space or tab.
    pub blank: u64,
}

impl Marks {
    /// Where a CRLF begins with no white space before it. What is before the first octet and behind the last is not seen.
    #[inline]
    fn line_ends(&self) -> u64 {
        self.cr & self.lf >> 1 & !(self.blank << 1) & !1
    }
}

#[inline(always)] // for whatever processor its caller is compiled for
pub(super) fn encode_by(look: impl Fn(&[u8; BLOCK]) -> Marks, text: &[u8], ends: LineEnds, out: &mut Vec<u8>) -> bool {
    let mut writer = Writer { at: out.len(), column: 0, out };
    // How far the octets of a block are written: all, and perhaps the LF behind them.
    let (mut done, mut ended) = (0, false);
    let mut padded = [b' '; 2 * BLOCK];
    for base in (0..text.len()).step_by(BLOCK) {
        let rest = text.get(base..).unwrap_or_default();
        writer.make_room(rest.len());
        // From each of its octets on a whole block can be copied.
        let window = rest.first_chunk().unwrap_or_else(|| {
            padded.fill(b' ');
            padded[..rest.len()].copy_from_slice(rest); // less than two blocks
            &padded
        });
        let len = rest.len().min(BLOCK);
        let block = window.first_chunk().unwrap_or(&[0; BLOCK]); // half of it
        let marks = look(block);
        // Line ends that stay as they are, and with the lines between them are nearly all of most text.
        let lines = if ends == LineEnds::None { 0 } else { marks.line_ends() };
        let special = marks.special & !(lines | lines << 1);
        // So that this block need not wait for where the one before it ended.
        if special == 0 && done == 0 && len == BLOCK {
            ended = writer.lines(window, 0, BLOCK, lines);
            continue;
        }
        let mut mask = from(special, done);
        loop {
            let at = (mask.trailing_zeros() as usize).min(len); // 64 at most
            if done < at {
                ended = writer.lines(window, done, at, lines);
            }
            if at == len {
                break;
            }
            let octet = window[at]; // below 64
            let crlf = octet == b'\r' && rest.get(at + 1) == Some(&b'\n');
            ended = match ends {
                LineEnds::None => false,
                LineEnds::Crlf => crlf,
                LineEnds::CrlfAndLf => crlf || octet == b'\n',
            };
            done = at + 1;
            if ended {
                done += usize::from(crlf);
                writer.end_line((base + at).checked_sub(1).and_then(|before| text.get(before)));
            } else {
                writer.escape(octet);
                // All of a character, for that comes up again and again.
                while let Some(high @ 0x80..) = block.get(done).filter(|_| done < len) {
                    writer.escape(*high);
                    done += 1;
                }
            }
            mask = from(mask, done);
        }
        done = done.saturating_sub(BLOCK);
    }
    writer.finish(text.last());
    ended
}

/// Without the lowest bits.
fn from(mask: u64, bits: usize) -> u64 {
    mask & u64::MAX.checked_shl(bits as u32).unwrap_or(0) // 65 at most
}

/// `=XX` for each octet, and one more, for four are written at once.
static ESCAPES: [[u8; 4]; 256] = {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let (mut escapes, mut octet) = ([[0; 4]; 256], 0);
    while octet < 256 {
        escapes[octet] = [b'=', HEX[octet >> 4], HEX[octet & 15], 0]; // both < 16
        octet += 1;
    }
    escapes
};

/// Behind what was written there is room, cleared, in the same vector.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// So much of it is written.
    at: usize,
    column: usize,
}

impl Writer<'_> {
    /// For a block, of which so many octets with all that follow are left.
    #[inline]
    fn make_room(&mut self, left: usize) {
        if self.out.len() - self.at < MARGIN {
            self.clear_room(left);
        }
    }

    #[cold]
    fn clear_room(&mut self, left: usize) {
        self.out.truncate(self.at);
        // About an escape in sixteen octets, and a soft line break in each line.
        let likely = left + left / 6 + MARGIN;
        if self.out.capacity() - self.at < MARGIN {
            self.out.reserve(likely);
        }
        self.out.resize(self.out.capacity().min(self.at + likely.min(STAGE)), 0);
    }

    #[inline]
    fn put<const N: usize>(&mut self, octets: &[u8; N]) {
        if let Some(room) = self.out.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *room = *octets;
        }
    }

    #[inline]
    fn soft_break(&mut self) {
        self.put(b"=\r\n");
        self.at += 3;
        self.column = 0;
    }

    /// Octets that stand for themselves, from one of a block to another, with whole line ends among them. Says whether one
    /// is the last of them.
    #[inline]
    fn lines(&mut self, window: &[u8; 2 * BLOCK], mut start: usize, end: usize, lines: u64) -> bool {
        let mut lines = from(lines, start) & !from(u64::MAX, end);
        if lines == 0 {
            self.plain(window, start, end);
            return false;
        }
        let first = lines.trailing_zeros() as usize; // below 64
        if self.column + (first - start) > ROOM {
            self.plain(window, start, first);
            self.put(b"\r\n");
            self.at += 2;
            self.column = 0;
            start = first + 2;
            lines &= lines - 1; // there is one
        }
        // No other line of a block is too long.
        self.copy(window, start, end - start);
        if lines != 0 {
            self.column = end + lines.leading_zeros() as usize - 65; // behind the CRLF, which begins at bit 63 - leading
        }
        self.column == 0
    }

    /// Octets that stand for themselves, from one of a block to another.
    #[inline]
    fn plain(&mut self, window: &[u8; 2 * BLOCK], mut from: usize, to: usize) {
        let room = ROOM - self.column;
        // A block goes into two lines at most.
        if to - from > room {
            self.copy(window, from, room);
            self.soft_break();
            from += room;
        }
        self.copy(window, from, to - from);
    }

    #[inline]
    fn copy(&mut self, window: &[u8; 2 * BLOCK], from: usize, count: usize) {
        if let Some(block) = window.get(from..).and_then(<[u8]>::first_chunk::<BLOCK>) {
            self.put(block);
        }
        self.at += count;
        self.column += count;
    }

    #[inline]
    fn escape(&mut self, octet: u8) {
        if self.column + 3 > ROOM {
            self.soft_break();
        }
        self.put(&ESCAPES[usize::from(octet)]); // < 256
        self.at += 3;
        self.column += 3;
    }

    /// RFC 2045 §6.7 (3): white space "must not be so represented at the end of an encoded line".
    #[inline]
    fn escape_blank(&mut self, last: Option<&u8>) {
        // It was written as it is, and nothing behind it. What is written is not read, for that would wait for it.
        if let Some(blank @ (b' ' | b'\t')) = last {
            self.at -= 1;
            self.column -= 1;
            self.escape(*blank);
        }
    }

    /// With the octet before the line end.
    #[inline]
    fn end_line(&mut self, last: Option<&u8>) {
        self.escape_blank(last);
        self.put(b"\r\n");
        self.at += 2;
        self.column = 0;
    }

    fn finish(mut self, last: Option<&u8>) {
        // The margin behind the last block has room for it.
        self.escape_blank(last);
        self.out.truncate(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::vectors::Level;
    use super::*;

    /// Octet by octet, as the rules are written.
    fn slowly(text: &[u8], ends: LineEnds) -> Vec<u8> {
        let (mut out, mut column) = (Vec::new(), 0);
        let mut rest = text;
        while let Some((octet, after)) = rest.split_first() {
            let end = |text: &[u8]| match ends {
                LineEnds::None => 0,
                _ if text.starts_with(b"\r\n") => 2,
                LineEnds::CrlfAndLf if text.starts_with(b"\n") => 1,
                _ => 0,
            };
            if end(rest) > 0 {
                out.extend_from_slice(b"\r\n");
                (column, rest) = (0, &rest[end(rest)..]);
                continue;
            }
            let at_end = after.is_empty() || end(after) > 0;
            let plain = match octet {
                b' ' | b'\t' => !at_end,
                b'=' => false,
                _ => octet.is_ascii_graphic(),
            };
            let written = if plain { char::from(*octet).to_string() } else { format!("={octet:02X}") };
            if column + written.len() > 75 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            out.extend_from_slice(written.as_bytes());
            column += written.len();
            rest = after;
        }
        out
    }

    #[test]
    fn blocks_are_written_as_single_octets_are() {
        let pieces: [&[u8]; 16] = [
            b"a",
            b"a line of text\r\n",
            b"that is not long,\r\nbut two of them\r\n",
            b"word ",
            b"\r\n",
            b"\n",
            b"\r",
            b"=",
            "é".as_bytes(),
            b" ",
            b"\t",
            &[b'x'; 75],
            &[b'y'; 63],
            b"\x7f",
            b"\0",
            &[0xff; 40],
        ];
        let mut state = 1_u64;
        for round in 0..if cfg!(miri) { 60 } else { 600 } {
            let mut text = Vec::new();
            for _ in 0..round % 150 {
                // Knuth's MMIX generator
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.extend_from_slice(pieces[(state >> 33) as usize % pieces.len()]);
            }
            for ends in [LineEnds::None, LineEnds::Crlf, LineEnds::CrlfAndLf] {
                let expected = [b"before ", &*slowly(&text, ends)].concat();
                for level in [Level::Plain, Level::Avx2, Level::Avx512] {
                    vectors::LIMIT.set(level);
                    let mut out = b"before ".to_vec();
                    let ended = encode_quoted_printable_lines(&text, ends, &mut out);
                    assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{level:?}");
                    let crlf = text.ends_with(b"\r\n") && ends != LineEnds::None;
                    assert_eq!(ended, crlf || text.ends_with(b"\n") && ends == LineEnds::CrlfAndLf);
                }
            }
        }
    }
}
