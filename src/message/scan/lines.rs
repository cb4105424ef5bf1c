//! Where lines end, a thousand octets at a look: headers have short lines, and a search for each costs more than the line.

use wide::u8x16;

use crate::text::transfer::unfolded_ends;

/// The starts of lines that do not begin with white space, in their order.
pub(super) struct LineStarts<'a> {
    raw: &'a [u8],
    /// Where the octets begin that were looked at last, and where those behind them.
    base: usize,
    behind: usize,
    /// Where among them lines end, and how many of these ends there are and were given. Many places at once, for when a look
    /// runs out of ends cannot be foretold: of four blocks each, that took a tenth of the time of a long header.
    ends: [u16; MOST],
    found: usize,
    given: usize,
}

const BLOCK: usize = 64;
/// How many ends are given at once.
const MOST: usize = 256;

impl<'a> LineStarts<'a> {
    /// From `from` on, which is the start of a line that is not given.
    pub fn new(raw: &'a [u8], from: usize) -> Self {
        Self { raw, base: from, behind: from, ends: [0; MOST], found: 0, given: 0 }
    }

    /// Where the line after the one that was given last begins; the end of the octets where it is the last.
    #[inline]
    pub fn next(&mut self) -> usize {
        while self.given == self.found {
            if !self.look() {
                return self.raw.len();
            }
        }
        let end = self.ends.get(self.given).copied().unwrap_or_default();
        self.given += 1;
        self.base + usize::from(end) + 1
    }

    /// Looks for more line ends; whether there were any octets.
    #[inline(never)]
    fn look(&mut self) -> bool {
        let rest = self.raw.get(self.behind..).unwrap_or_default();
        let (mut octets, mut found) = unfolded_ends(rest, &mut self.ends);
        if octets == 0 {
            let ends = match rest.split_first_chunk() {
                Some((block, [behind, ..])) => block_ends(block, *behind),
                _ => octet_by_octet(rest.get(..BLOCK).unwrap_or(rest)),
            };
            octets = rest.len().min(BLOCK);
            found = ends.count_ones() as usize;
            let mut left = ends;
            for place in self.ends.iter_mut().take(found) {
                *place = left.trailing_zeros() as u16; // below 64
                left &= left.wrapping_sub(1);
            }
        }
        (self.base, self.behind, self.found, self.given) = (self.behind, self.behind + octets, found, 0);
        octets > 0
    }
}

/// One bit for each line end that no white space follows.
fn block_ends(block: &[u8; BLOCK], behind: u8) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    let bits = |quarter: &[u8; 16]| {
        let octets = u8x16::new(*quarter);
        let is = |octet: u8| octets.cmp_eq(u8x16::splat(octet));
        let mask = |vector: u8x16| u64::from(vector.move_mask().cast_unsigned());
        (mask(is(b'\n')), mask(is(b' ') | is(b'\t')))
    };
    let (ends, blank) = quarters
        .iter()
        .rev()
        .map(bits)
        .fold((0, 0), |(ends, blank), (end, space)| (ends << 16 | end, blank << 16 | space));
    ends & !(blank >> 1 | u64::from(is_blank(behind)) << 63)
}

/// Of at most 64 octets, behind which nothing follows.
fn octet_by_octet(block: &[u8]) -> u64 {
    let next = block.iter().skip(1).map(|octet| is_blank(*octet)).chain([false]);
    let ends = block.iter().zip(next).map(|(octet, blank)| *octet == b'\n' && !blank);
    ends.enumerate().fold(0, |ends, (n, end)| ends | u64::from(end) << n)
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_starts_are_those_behind_line_ends() {
        // Lines of all lengths about that of a block, at all places in it, some folded.
        for len in 0..150 {
            let line = [vec![b'x'; len], vec![b'\n']].concat();
            let raw = [&line.repeat(3)[..], b" ", &line, b"\t\n\n\n ", &line, &line, b"end"].concat();
            for from in 0..=raw.len() {
                let starts = (from + 1..raw.len()).filter(|at| raw[at - 1] == b'\n' && !is_blank(raw[*at]));
                let mut found = LineStarts::new(&raw, from);
                for expected in starts.chain([raw.len(), raw.len()]) {
                    assert_eq!(found.next(), expected, "line of {len} from {from}");
                }
            }
        }
        assert_eq!(octet_by_octet(&[b'\n'; 64]), u64::MAX);
    }

    #[test]
    fn more_line_ends_than_a_look_gives_are_given_by_the_next() {
        for pattern in ["\n", "\na", "\n \n", "\n\n\n\t", "ab\n", "a\nabcdefghijklmnopqrstuvwxyz\n\n\n"] {
            for length in [63, 64, 65, 255, 1023, 1024, 1025, 1088, 1089, 5000] {
                let raw: Vec<u8> = pattern.bytes().cycle().take(length).collect();
                let starts = (1..length).filter(|at| raw[at - 1] == b'\n' && !is_blank(raw[*at]));
                let mut found = LineStarts::new(&raw, 0);
                for expected in starts.chain([length, length]) {
                    assert_eq!(found.next(), expected, "{pattern:?} {length}");
                }
            }
        }
    }

    #[test]
    fn blocks_say_what_octets_say() {
        let mut random = 1_u64;
        for _ in 0..10_000 {
            let mut block = [0; 65];
            for octet in &mut block {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *octet = b"\n\n\n \tx\x0b\x8a"[(random >> 60) as usize & 7];
            }
            let ends = (0..64).filter(|at| block[*at] == b'\n' && !is_blank(block[at + 1]));
            let expected = ends.fold(0_u64, |ends, at| ends | 1 << at);
            assert_eq!(block_ends(block.first_chunk().unwrap(), block[64]), expected);
            let places = |block: &[u8]| {
                let mut lines = LineStarts::new(block, 0);
                assert!(lines.look());
                lines.ends[..lines.found].iter().fold(0, |ends, place| ends | 1 << place)
            };
            assert_eq!(places(&block), expected);
            assert_eq!(places(&block[..64]) & !(1 << 63), expected & !(1 << 63));
        }
    }
}
