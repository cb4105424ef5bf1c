//! Quoted-printable of a whole text: sixty-four octets are looked at at once, and what stands between two that need more
//! than a copy is copied at once. The plain code in `quoted_printable` is what the tests hold it against.

use super::quoted_printable::HEX;
use super::{LINE, vectors};

/// Octets that are looked at at once.
const BLOCK: usize = 64;
/// RFC 2045 §6.7 (5): no more than 76 characters, the `=` of the soft line break among them.
const ROOM: usize = LINE - 1;
/// What a block becomes at most, with its soft line breaks, and a block that is copied whole for the sake of its first
/// octets: less than 256 and 64.
const MARGIN: usize = 384;
const STAGE: usize = 1024;

/// Appends text in quoted-printable. CRLF stays a line break, with `lf_ends_lines` LF becomes one; all other CR and LF are
/// escaped. Says whether a line break ends it.
pub(crate) fn encode_quoted_printable_lines(text: &[u8], lf_ends_lines: bool, out: &mut Vec<u8>) -> bool {
    let mut writer = Writer { stage: [0; STAGE], at: 0, column: 0, out };
    let (mut done, mut ended) = (0_usize, false);
    for (number, octets) in text.chunks(BLOCK).enumerate() {
        writer.make_room();
        let base = number * BLOCK;
        let mut padded = [b' '; BLOCK];
        let block: &[u8; BLOCK] = octets.try_into().unwrap_or_else(|_| {
            padded[..octets.len()].copy_from_slice(octets); // a block at most
            &padded
        });
        // Line ends among them; without what is written, 65 octets at most.
        let ahead = |mask: u64, done: usize| mask & u64::MAX.checked_shl((done - base) as u32).unwrap_or(0);
        let mut mask = ahead(vectors::specials(block), done);
        while mask != 0 {
            let at = base + mask.trailing_zeros() as usize; // below 64
            if done < at {
                writer.plain(text, done, at);
            }
            let octet = text.get(at).copied().unwrap_or_default(); // the padding is not special
            let crlf = octet == b'\r' && text.get(at + 1) == Some(&b'\n');
            ended = crlf || octet == b'\n' && lf_ends_lines;
            done = at + 1 + usize::from(crlf);
            if ended {
                writer.end_line();
            } else {
                writer.escape(octet);
                // All of a character, for that comes up again and again.
                while let Some(high @ 0x80..) = octets.get(done - base) {
                    writer.escape(*high);
                    done += 1;
                }
            }
            mask = ahead(mask, done);
        }
        let end = base + octets.len();
        if done < end {
            writer.plain(text, done, end);
            (done, ended) = (end, false);
        }
    }
    writer.finish();
    ended
}

/// What is written, a good deal at a time.
struct Writer<'a> {
    stage: [u8; STAGE],
    /// So much of it is written.
    at: usize,
    column: usize,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// For a block.
    fn make_room(&mut self) {
        if self.at > STAGE - MARGIN {
            // The last octet stays, for white space at the end of a line is written in another way.
            let (done, last) = self.stage.split_at(self.at - 1); // it is more than none
            self.out.extend_from_slice(done);
            self.stage[0] = last.first().copied().unwrap_or_default(); // there is a first
            self.at = 1;
        }
    }

    fn put<const N: usize>(&mut self, octets: &[u8; N]) {
        if let Some(room) = self.stage.get_mut(self.at..self.at + N) {
            room.copy_from_slice(octets);
        }
    }

    fn soft_break(&mut self) {
        self.put(b"=\r\n");
        self.at += 3;
        self.column = 0;
    }

    /// Octets that stand for themselves, no more than a block of them.
    #[inline]
    fn plain(&mut self, text: &[u8], mut from: usize, to: usize) {
        while from < to {
            if self.column == ROOM {
                self.soft_break();
            }
            let count = (to - from).min(ROOM - self.column);
            if let Some(block) = text.get(from..).and_then(<[u8]>::first_chunk::<BLOCK>) {
                self.put(block);
            } else if let (Some(room), Some(octets)) =
                (self.stage.get_mut(self.at..self.at + count), text.get(from..from + count))
            {
                room.copy_from_slice(octets);
            }
            self.at += count;
            self.column += count;
            from += count;
        }
    }

    fn escape(&mut self, octet: u8) {
        if self.column + 3 > ROOM {
            self.soft_break();
        }
        self.put(&[b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]); // both < 16
        self.at += 3;
        self.column += 3;
    }

    /// RFC 2045 §6.7 (3): white space "must not be so represented at the end of an encoded line".
    #[inline]
    fn escape_blank(&mut self) {
        let last = self.at.checked_sub(1).and_then(|at| self.stage.get(at)).copied();
        if let Some(blank @ (b' ' | b'\t')) = last.filter(|_| self.column > 0) {
            self.at -= 1;
            self.column -= 1;
            self.escape(blank);
        }
    }

    fn end_line(&mut self) {
        self.escape_blank();
        self.put(b"\r\n");
        self.at += 2;
        self.column = 0;
    }

    fn finish(mut self) {
        self.escape_blank();
        self.out.extend_from_slice(self.stage.get(..self.at).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::transfer;

    /// Line by line with the plain code.
    fn slowly(text: &[u8], lf_ends_lines: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = Vec::new();
        for octet in text {
            line.push(*octet);
            let end = if line.ends_with(b"\r\n") {
                2
            } else if *octet == b'\n' && lf_ends_lines {
                1
            } else {
                continue;
            };
            line.truncate(line.len() - end);
            transfer::encode_quoted_printable_binary_into(&line, &mut out);
            out.extend_from_slice(b"\r\n");
            line.clear();
        }
        transfer::encode_quoted_printable_binary_into(&line, &mut out);
        out
    }

    #[test]
    fn blocks_are_written_as_single_octets_are() {
        let pieces: [&[u8]; 14] = [
            b"a",
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
        for round in 0..400 {
            let mut text = Vec::new();
            for _ in 0..round % 60 {
                // Knuth's MMIX generator
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.extend_from_slice(pieces[(state >> 33) as usize % pieces.len()]);
            }
            for lf_ends_lines in [false, true] {
                let mut out = b"before ".to_vec();
                let ended = encode_quoted_printable_lines(&text, lf_ends_lines, &mut out);
                let expected = [b"before ", &*slowly(&text, lf_ends_lines)].concat();
                assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
                assert_eq!(ended, text.ends_with(b"\r\n") || text.ends_with(b"\n") && lf_ends_lines);
            }
        }
    }
}
