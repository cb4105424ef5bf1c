//! Where lines end, 64 octets at a look: headers have short lines, and a search for each costs more than the line.

use wide::u8x16;

use crate::text::transfer::unfolded_ends;

/// The starts of lines that do not begin with white space, in their order.
pub(super) struct LineStarts<'a> {
    raw: &'a [u8],
    /// Where the blocks begin that are looked at now, and where those behind them.
    base: usize,
    behind: usize,
    /// Their line ends that were not yet given, one bit each, the first the lowest.
    ends: [u64; AHEAD],
    /// Which of the blocks have some: no block is asked in vain, for that could not be foretold.
    filled: u8,
}

const BLOCK: usize = 64;
/// How many blocks are looked at at once: of more, too many would lie behind the header.
const AHEAD: usize = 4;

impl<'a> LineStarts<'a> {
    /// From `from` on, which is the start of a line that is not given.
    pub fn new(raw: &'a [u8], from: usize) -> Self {
        Self { raw, base: from, behind: from, ends: [0; AHEAD], filled: 0 }
    }

    /// Where the line after the one that was given last begins; the end of the octets where it is the last.
    #[inline]
    pub fn next(&mut self) -> usize {
        loop {
            let n = self.filled.trailing_zeros() as usize;
            if let Some(ends) = self.ends.get_mut(n) {
                let at = ends.trailing_zeros() as usize;
                *ends &= *ends - 1; // not 0, as it is filled
                self.filled &= !(u8::from(*ends == 0) << n);
                return self.base + n * BLOCK + at + 1;
            }
            let Some(rest) = self.raw.get(self.behind..).filter(|rest| !rest.is_empty()) else { return self.raw.len() };
            let count = look(rest, &mut self.ends);
            (self.base, self.behind) = (self.behind, self.behind + count * BLOCK);
            let filled = self.ends.iter().take(count).enumerate().map(|(n, ends)| u8::from(*ends != 0) << n);
            self.filled = filled.fold(0, |all, one| all | one);
        }
    }
}

/// The line ends of at least one block, of which the last may be shorter. Says of how many.
fn look(rest: &[u8], ends: &mut [u64; AHEAD]) -> usize {
    let count = unfolded_ends(rest, ends);
    if count > 0 {
        return count;
    }
    let [first, ..] = ends;
    *first = match rest.split_first_chunk() {
        Some((block, [behind, ..])) => block_ends(block, *behind),
        _ => octet_by_octet(rest.get(..BLOCK).unwrap_or(rest)),
    };
    1
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
            let mut ends = [0; AHEAD];
            assert_eq!((look(&block, &mut ends), ends[0]), (1, expected));
            let mut without = [0; AHEAD];
            look(&block[..64], &mut without);
            assert_eq!(without[0] & !(1 << 63), expected & !(1 << 63));
        }
    }
}
