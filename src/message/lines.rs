//! Where lines end, 64 octets at a look: headers have short lines, and a search for each costs more than the line.

use wide::u8x16;

/// The starts of lines, in their order.
pub(super) struct LineStarts<'a> {
    raw: &'a [u8],
    /// Where the next block begins.
    block: usize,
    /// The line ends of the block before that were not yet given, one bit each, the first the lowest.
    ends: u64,
}

const BLOCK: usize = 64;

impl<'a> LineStarts<'a> {
    /// From `from` on, which is the start of a line that is not given.
    pub fn new(raw: &'a [u8], from: usize) -> Self {
        Self { raw, block: from, ends: 0 }
    }

    /// As [`next`](Self::next), past the lines that begin with white space.
    #[inline]
    pub fn next_unfolded(&mut self) -> usize {
        loop {
            let next = self.next();
            if !matches!(self.raw.get(next), Some(b' ' | b'\t')) {
                return next;
            }
        }
    }

    /// Where the line after the one that was given last begins; the end of the octets where it is the last.
    #[inline]
    pub fn next(&mut self) -> usize {
        while self.ends == 0 {
            let Some(rest) = self.raw.get(self.block..).filter(|rest| !rest.is_empty()) else { return self.raw.len() };
            self.ends = match rest.first_chunk() {
                Some(block) => line_ends(block),
                None => octet_by_octet(rest),
            };
            self.block += BLOCK;
        }
        let at = self.ends.trailing_zeros() as usize;
        self.ends &= self.ends - 1; // not 0
        self.block - BLOCK + at + 1 // the block that the bits are of
    }
}

/// One bit for each line end.
fn line_ends(block: &[u8; BLOCK]) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    let bits = |quarter: &[u8; 16]| u8x16::new(*quarter).cmp_eq(u8x16::splat(b'\n')).move_mask().cast_unsigned();
    quarters.iter().rev().fold(0, |ends, quarter| ends << 16 | u64::from(bits(quarter)))
}

/// Of at most 64 octets.
fn octet_by_octet(block: &[u8]) -> u64 {
    block.iter().rev().fold(0, |ends, octet| ends << 1 | u64::from(*octet == b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_starts_are_those_behind_line_ends() {
        // Lines of all lengths about that of a block, at all places in it.
        for len in 0..150 {
            let line = [vec![b'x'; len], vec![b'\n']].concat();
            let raw = [&line.repeat(3)[..], b"\n\n\n", &line, b"end"].concat();
            for from in 0..=raw.len() {
                let rest = &raw[from..];
                let ends = rest.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| from + at + 1);
                let mut starts = LineStarts::new(&raw, from);
                for expected in ends.chain([raw.len(), raw.len()]) {
                    assert_eq!(starts.next(), expected, "line of {len} from {from}");
                }
            }
        }
        assert_eq!(octet_by_octet(&[b'\n'; 64]), u64::MAX);
    }

    #[test]
    fn blocks_say_what_octets_say() {
        for bit in 0..64 {
            let mut block = [b'\x0b'; 64];
            block[bit] = b'\n';
            block[(bit + 9) % 64] = b'\x8a';
            assert_eq!(line_ends(&block), 1 << bit);
            assert_eq!(octet_by_octet(&block), 1 << bit);
        }
    }
}
