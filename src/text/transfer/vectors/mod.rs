//! Base64, quoted-printable and ISO-8859-1 in vectors, where the processor has AVX-512 with VBMI2, or (but for the last)
//! AVX2; elsewhere the functions here do nothing, and plain code does their work. Only `marks`, `escapes`, `plain_lines`,
//! `Set`, `unfold` and what takes octets as text are for every processor.
//!
//! They are shortcuts: each does some of the work from the front, says how much, and leaves to the plain code whatever is
//! out of the ordinary. The plain code is also what the tests and the fuzz target `transfer` hold them against.
//!
//! This is the one folder of the crate with `unsafe`. It is there for four things only: to load and store all octets of an
//! array (or the octets of a short slice, which a mask tells), to call a function for a processor that was just asked whether
//! it can run it (or always can), to make octets part of a vector that were just stored there, and to take as text what was
//! just found to be UTF-8. All places in buffers are arrays and slices that are checked as everywhere. `benches/README.md` has
//! the figures that ask for it.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_variables))]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod lines;
#[cfg(target_arch = "x86_64")]
mod shared;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod utf8;

use super::escape::{LineEnds, Marks, encode_by};

/// Below this many octets the call costs more than it saves.
const WORTH: usize = 256;
/// The same where vectors that are not full are written as well.
const WORTH_PARTS: usize = 32;

/// Six-bit values that wait for a fourth: at most three, the oldest in the highest bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) bits: u32,
    pub(super) count: usize,
}

/// What the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Level {
    Plain,
    Avx2,
    Avx512,
}

#[cfg(test)]
thread_local! {
    /// The most that a test wants to be used; for a whole run of the tests `FACTEUR_VECTORS` says it, `plain` or `avx2`.
    pub(super) static LIMIT: std::cell::Cell<Level> =
        std::cell::Cell::new(match std::env::var("FACTEUR_VECTORS").as_deref() {
            Ok("plain") => Level::Plain,
            Ok("avx2") => Level::Avx2,
            _ => Level::Avx512,
        });
}

/// What can be used for that many octets.
fn level(octets: &[u8]) -> Level {
    level_from(WORTH, octets)
}

fn level_from(worth: usize, octets: &[u8]) -> Level {
    #[cfg(target_arch = "x86_64")]
    if octets.len() >= worth {
        return if avx512::is_here() {
            Level::Avx512
        } else if avx2::is_here() {
            Level::Avx2
        } else {
            Level::Plain
        };
    }
    Level::Plain
}

/// Reads base64 from the front of `encoded`, up to a `=`, the last few octets or the end. Says how many octets it has read.
pub(super) fn decode_base64(encoded: &[u8], waiting: &mut Waiting, octets: &mut Vec<u8>) -> usize {
    match level(encoded) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::decode_base64(encoded, waiting, octets) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if waiting.count == 0 => unsafe { avx2::decode_base64(encoded, octets) },
        _ => 0,
    }
}

/// Writes lines of 57 octets as 76 characters and CRLF. Says how many octets it has written: whole lines and not the last few, or
/// all.
pub(super) fn encode_base64(octets: &[u8], out: &mut Vec<u8>) -> usize {
    match level_from(WORTH_PARTS, octets) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::encode_base64(octets, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::encode_base64(octets, out) },
        _ => 0,
    }
}

/// Reads quoted-printable from the front of `encoded`, up to a `=` that begins no escape, to white space that ends a line
/// or to the last few octets. Says how many octets it has read; what follows does not depend on them.
pub(super) fn decode_quoted_printable(encoded: &[u8], octets: &mut Vec<u8>) -> usize {
    match level(encoded) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::decode_quoted_printable(encoded, octets) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::decode_quoted_printable(encoded, octets) },
        _ => 0,
    }
}

/// How many octets from the front are plain lines: no CR or LF alone, no dot behind a LF. What is odd, if anything, is not before
/// that; how near it is depends on the processor. The octet behind each belongs to what is asked of it.
pub(crate) fn plain_lines(text: &[u8]) -> usize {
    match level(text) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { lines::plain_lines(text) },
        // SAFETY: the processor has AVX2, which is all that the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { plain_lines_avx2(text) },
        _ => plain_blocks(text),
    }
}

/// The same code, for which the compiler may take twice as many octets at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn plain_lines_avx2(text: &[u8]) -> usize {
    plain_blocks(text)
}

#[inline(always)] // for whatever processor its caller is compiled for
fn plain_blocks(text: &[u8]) -> usize {
    /// Octets looked at together, without a branch, so that the compiler takes many at a time.
    const BLOCK: usize = 64;
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let (nexts, _) = text.get(1..).unwrap_or_default().as_chunks::<BLOCK>();
    let is_odd = |(block, next): (&[u8; BLOCK], &[u8; BLOCK])| {
        // Two neighbours: a CR wants a LF behind it, a LF a CR before it, and no dot behind it.
        let odds = block.iter().zip(next).map(|(this, next)| {
            (u8::from(*this == b'\r') ^ u8::from(*next == b'\n')) | (u8::from(*this == b'\n') & u8::from(*next == b'.'))
        });
        odds.fold(0, |any, odd| any | odd) != 0
    };
    blocks.iter().zip(nexts).position(is_odd).unwrap_or(nexts.len()) * BLOCK
}

/// Appends quoted-printable: `escape::encode_by`, for which the compiler may take as many octets at once as the processor.
pub(super) fn encode_quoted_printable(text: &[u8], ends: LineEnds, out: &mut Vec<u8>) -> bool {
    match level(text) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::encode_quoted_printable(text, ends, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::encode_quoted_printable(text, ends, out) },
        _ => encode_by(marks, text, ends, out),
    }
}

#[inline]
fn marks(block: &[u8; 64]) -> Marks {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: each processor of this kind has SSE2.
        unsafe { sse2::marks(block) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let all = |is: fn(u8) -> bool| block.iter().rev().fold(0, |mask, octet| mask << 1 | u64::from(is(*octet)));
        Marks {
            special: all(|octet| !matches!(octet, b' '..=b'<' | b'>'..=b'~' | b'\t')),
            cr: all(|octet| octet == b'\r'),
            lf: all(|octet| octet == b'\n'),
            blank: all(|octet| matches!(octet, b' ' | b'\t')),
        }
    }
}

/// How many octets quoted-printable escapes, line ends not counted.
pub(crate) fn escapes(text: &[u8]) -> usize {
    match level(text) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::count_escapes(text) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { escapes_avx2(text) },
        _ => escapes_in_blocks(text),
    }
}

/// The same code, for which the compiler may take twice as many octets at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn escapes_avx2(text: &[u8]) -> usize {
    escapes_in_blocks(text)
}

#[inline(always)] // for whatever processor its caller is compiled for
fn escapes_in_blocks(text: &[u8]) -> usize {
    // Sums in one octet each, for which compilers use vectors; 128 times one fits.
    let (blocks, rest) = text.as_chunks::<128>();
    let escaped = |octet: &u8| {
        let plain = octet.wrapping_sub(b' ') < 0x5f && *octet != b'=';
        u8::from(!(plain || matches!(octet, b'\t' | b'\r' | b'\n')))
    };
    let among = |octets: &[u8]| usize::from(octets.iter().map(escaped).sum::<u8>());
    blocks.iter().map(|block| among(block)).sum::<usize>() + among(rest)
}

/// Reads ISO-8859-1 from the front of `octets` as UTF-8, up to one of the 32 octets that windows-1252 reads otherwise or to
/// the last few. Says how many octets it has read.
pub(in crate::text) fn decode_latin1(octets: &[u8], text: &mut Vec<u8>) -> usize {
    match level(octets) {
        // SAFETY: the processor has what the function is compiled for.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::decode_latin1(octets, text) },
        _ => 0,
    }
}

/// The octets as text where they are UTF-8, without a copy.
pub(in crate::text) fn utf8(octets: Vec<u8>) -> Result<String, Vec<u8>> {
    if !is_utf8(&octets) {
        return Err(octets);
    }
    // SAFETY: all of it is valid UTF-8.
    Ok(unsafe { String::from_utf8_unchecked(octets) })
}

/// The octets as text, where they are UTF-8. Nearly all that is asked for is short, and most is ASCII.
pub(crate) fn text(octets: &[u8]) -> Option<&str> {
    if !is_utf8(octets) {
        return None;
    }
    // SAFETY: all of it is valid UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(octets) })
}

/// The check of std, which would need no `unsafe`, takes ten times as long on text that is not ASCII.
fn is_utf8(octets: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { utf8::is_utf8(octets) };
    }
    is_ascii_plain(octets) || simdutf8::basic::from_utf8(octets).is_ok()
}

/// Whether all octets are ASCII. It says no of long ones.
fn is_ascii_plain(octets: &[u8]) -> bool {
    const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);
    if octets.len() >= WORTH {
        return false;
    }
    // Blocks from both ends, which overlap: no octet is looked at alone.
    if let Some(last) = octets.last_chunk::<16>() {
        let blocks = octets.as_chunks::<16>().0.iter();
        return blocks.fold(u128::from_ne_bytes(*last), |all, block| all | u128::from_ne_bytes(*block)) & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
        return (u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last)) & HIGH as u64 == 0;
    }
    octets.iter().fold(0, |all, octet| all | octet) < 0x80
}

/// A set of ASCII characters, looked for 64 octets at a time.
#[repr(C, align(64))] // a vector across two lines of the cache would be two loads
pub(crate) struct Set {
    /// The highest bit of each octet that is one of them.
    table: [[u8; 64]; 2],
    /// For the lower four bits of an octet, with which higher ones it is one of them: a bit for each.
    nibbles: [u8; 16],
}

impl Set {
    /// These, which are all ASCII.
    pub(crate) const fn of(characters: &[u8]) -> Self {
        let (mut table, mut nibbles, mut n) = ([[0; 64]; 2], [0; 16], 0);
        while n < characters.len() {
            let character = characters[n]; // within the loop
            table[(character >> 6) as usize][(character & 63) as usize] = 0x80; // below 128, below 64
            nibbles[(character & 15) as usize] |= 1 << (character >> 4); // below 16, below 8
            n += 1;
        }
        Self { table, nibbles }
    }

    /// Which of the first 64 octets are in it, a bit for each. A call, so that what looks for places can hold them in registers.
    #[inline(never)]
    pub(crate) fn among(&self, octets: &[u8]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if avx512::is_here() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { avx512::among(&self.table, octets) };
        } else if octets.len() >= 32 && avx2::is_here() {
            // SAFETY: as above.
            return unsafe { avx2::among(&self.nibbles, octets) };
        }
        self.among_plain(octets)
    }

    fn among_plain(&self, octets: &[u8]) -> u64 {
        let octets = octets.get(..64).unwrap_or(octets);
        octets.iter().rev().fold(0, |mask, octet| mask << 1 | u64::from(self.has(*octet)))
    }

    fn has(&self, octet: u8) -> bool {
        let [low, high] = &self.table;
        match octet {
            0..64 => low[usize::from(octet)] != 0,         // below 64
            64..128 => high[usize::from(octet) - 64] != 0, // below 64
            _ => false,
        }
    }

    /// Where the first octet is that is in it: for what is short as a rule, of which `memchr` would make more ado.
    pub(crate) fn find(&self, octets: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = octets.get(at..)?;
            let mask = self.among(rest);
            if mask != 0 {
                return Some(at + mask.trailing_zeros() as usize);
            }
            at += 64;
        }
    }

    /// The octets as text, where they are ASCII and none of them is in it. It may say no of long ones for which there are no
    /// vectors.
    pub(crate) fn none_in<'a>(&self, octets: &'a [u8]) -> Option<&'a str> {
        if !self.is_ascii_without(octets) {
            return None;
        }
        // SAFETY: ASCII is valid UTF-8.
        Some(unsafe { std::str::from_utf8_unchecked(octets) })
    }

    fn is_ascii_without(&self, octets: &[u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if avx512::is_here() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { avx512::is_ascii_without(&self.table, octets) };
        } else if octets.len() >= 32 && avx2::is_here() {
            // SAFETY: as above.
            return unsafe { avx2::is_ascii_without(&self.nibbles, octets) };
        }
        is_ascii_plain(octets) && !octets.iter().any(|octet| self.has(*octet))
    }
}

/// The octets without their line ends: each LF, and the CR before it. As text at once, where all are ASCII and no `?` is among
/// them, without which no word is encoded (RFC 2047 §2); where there are no vectors as octets.
pub(crate) fn unfold(octets: &[u8]) -> Result<String, Vec<u8>> {
    let mut line = Vec::new();
    #[cfg(target_arch = "x86_64")]
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        if !unsafe { avx512::unfold(octets, &mut line) } {
            return Err(line);
        }
        // SAFETY: ASCII is valid UTF-8.
        return Ok(unsafe { String::from_utf8_unchecked(line) });
    }
    unfold_plain(octets, &mut line);
    Err(line)
}

fn unfold_plain(octets: &[u8], line: &mut Vec<u8>) {
    line.reserve_exact(octets.len());
    let (mut from, ends) = (0, memchr::memchr_iter(b'\n', octets));
    for end in ends.chain([octets.len()]) {
        let piece = octets.get(from..end).unwrap_or_default();
        line.extend_from_slice(if end < octets.len() { piece.strip_suffix(b"\r").unwrap_or(piece) } else { piece });
        from = end + 1;
    }
}

/// Where lines end that no white space follows: the places of the ends among the octets in front, of which it says how many were
/// looked at (1024 at the most), and how many ends there are. Nothing where there are no vectors, or less than a block and the octet
/// behind it.
pub(crate) fn unfolded_ends(octets: &[u8], ends: &mut [u16; 256]) -> (usize, usize) {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { lines::unfolded_ends(octets, ends) };
    }
    (0, 0)
}
