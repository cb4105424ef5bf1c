//! Base64, quoted-printable and ISO-8859-1 in vectors, where the processor has AVX-512 with VBMI2, or (but for the last)
//! AVX2; elsewhere the functions here do nothing, and plain code does their work. Only `marks`, `escapes`, `plain_lines`,
//! `Set` and what takes octets as text are for every processor.
//!
//! They are shortcuts: each does some of the work from the front, says how much, and leaves to the plain code whatever is
//! out of the ordinary. The plain code is also what the tests and the fuzz target `transfer` hold them against.
//!
//! This is the one file of the crate with `unsafe`. It is there for four things only: to load and store all octets of an
//! array (or the octets of a short slice, which a mask tells), to call a function for a processor that was just asked whether
//! it can run it (or always can), to make octets part of a vector that were just stored there, and to take as text what was
//! just found to be UTF-8. All places in buffers are arrays and slices that are checked as everywhere. `benches/README.md` has
//! the figures that ask for it.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_variables))]

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
        Level::Avx512 => unsafe { avx512::plain_lines(text) },
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
    // The check of std, which would need no `unsafe`, takes ten times as long on text that is not ASCII.
    if simdutf8::basic::from_utf8(&octets).is_err() {
        return Err(octets);
    }
    // SAFETY: all of it is valid UTF-8.
    Ok(unsafe { String::from_utf8_unchecked(octets) })
}

/// The octets as text, where they are UTF-8. Nearly all that is asked for is short, and most is ASCII.
pub(crate) fn text(octets: &[u8]) -> Option<&str> {
    if !is_ascii(octets) {
        return simdutf8::basic::from_utf8(octets).ok();
    }
    // SAFETY: ASCII is valid UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(octets) })
}

/// Whether all octets are ASCII. It may say no of long ones for which there are no vectors.
fn is_ascii(octets: &[u8]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512::is_ascii(octets) };
    }
    is_ascii_plain(octets)
}

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
pub(crate) struct Set([[u8; 64]; 2]);

impl Set {
    /// These, which are all ASCII.
    pub(crate) const fn of(characters: &[u8]) -> Self {
        let (mut table, mut n) = ([[0; 64]; 2], 0);
        while n < characters.len() {
            table[(characters[n] >> 6) as usize][(characters[n] & 63) as usize] = 0x80; // below 128, below 64
            n += 1;
        }
        Self(table)
    }

    /// Which of the first 64 octets are in it, a bit for each.
    pub(crate) fn among(&self, octets: &[u8]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if avx512::is_here() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { avx512::among(&self.0, octets) };
        }
        self.among_plain(octets)
    }

    fn among_plain(&self, octets: &[u8]) -> u64 {
        let octets = octets.get(..64).unwrap_or(octets);
        octets.iter().rev().fold(0, |mask, octet| mask << 1 | u64::from(self.has(*octet)))
    }

    fn has(&self, octet: u8) -> bool {
        let Self([low, high]) = self;
        match octet {
            0..64 => low[usize::from(octet)] != 0,         // below 64
            64..128 => high[usize::from(octet) - 64] != 0, // below 64
            _ => false,
        }
    }

    /// Where the first octet is that is in it: for what is short as a rule, of which `memchr` would make more ado.
    pub(crate) fn find(&self, octets: &[u8]) -> Option<usize> {
        #[cfg(target_arch = "x86_64")]
        if avx512::is_here() {
            let mut at = 0;
            while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
                // SAFETY: the processor has what the function is compiled for.
                let mask = unsafe { avx512::among(&self.0, rest) };
                if mask != 0 {
                    return Some(at + mask.trailing_zeros() as usize);
                }
                at += 64;
            }
            return None;
        }
        octets.iter().position(|octet| self.has(*octet))
    }
}

/// Where lines end that no white space follows: the places of the ends among the octets in front, of which it says how many were
/// looked at, and how many ends there are. Nothing where there are no vectors, or less than a block and the octet behind it.
pub(crate) fn unfolded_ends(octets: &[u8], ends: &mut [u8; 256]) -> (usize, usize) {
    #[cfg(target_arch = "x86_64")]
    if avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512::unfolded_ends(octets, ends) };
    }
    (0, 0)
}

/// What needs no question.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };

    use super::Marks;

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn marks(block: &[u8; 64]) -> Marks {
        let is = |octets, octet: u8| _mm_cmpeq_epi8(octets, _mm_set1_epi8(octet.cast_signed()));
        let bits = |octets, n| u64::from(_mm_movemask_epi8(octets) as u16) << (n * 16); // sixteen bits
        let mut marks = Marks { special: 0, cr: 0, lf: 0, blank: 0 };
        for (n, sixteen) in block.as_chunks::<16>().0.iter().enumerate() {
            let octets = load(sixteen);
            let tab = is(octets, b'\t');
            // As signed numbers, octets from 0x80 on are below the space too.
            let low = _mm_cmplt_epi8(octets, _mm_set1_epi8(32));
            let special = _mm_or_si128(low, _mm_or_si128(is(octets, b'='), is(octets, 0x7f)));
            marks.special |= bits(special, n) & !bits(tab, n);
            marks.cr |= bits(is(octets, b'\r'), n);
            marks.lf |= bits(is(octets, b'\n'), n);
            marks.blank |= bits(_mm_or_si128(tab, is(octets, b' ')), n);
        }
        marks
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(octets: &[u8; 16]) -> __m128i {
        // SAFETY: 16 octets are read, all of the array, and no alignment is asked for.
        unsafe { _mm_loadu_si128(octets.as_ptr().cast()) }
    }
}

/// What both sets of instructions stand on.
#[cfg(target_arch = "x86_64")]
mod shared {
    use std::mem::MaybeUninit;

    /// How far ahead of the reading and the writing the memory is asked for: on bodies of megabytes that is worth half as
    /// much speed again.
    pub(super) const READ_AHEAD: usize = 8192;
    const WRITE_AHEAD: usize = 4096;

    /// For how many octets room is made at once.
    pub(super) const BLOCK: usize = 4096;

    pub(super) const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// A line of base64 as octets, and as characters.
    pub(super) const LINE: usize = 57;
    pub(super) const CHARACTERS: usize = 76;
    /// For how many lines room is made at once.
    pub(super) const LINES: usize = 64;

    /// The room behind the octets of a vector, written from its start.
    pub(super) struct Tail<'a> {
        octets: &'a mut Vec<u8>,
        /// How many octets behind the length are written.
        written: usize,
    }

    impl<'a> Tail<'a> {
        pub(super) fn new(octets: &'a mut Vec<u8>, room: usize) -> Self {
            octets.reserve(room);
            Self { octets, written: 0 }
        }

        /// Whether there is room for a vector of 64.
        #[inline]
        pub(super) fn has_room(&self) -> bool {
            self.octets.capacity() - self.octets.len() - self.written >= 64
        }

        /// Where something will be written soon.
        #[inline]
        pub(super) fn ahead(&self) -> *const i8 {
            self.octets.as_ptr().wrapping_add(self.octets.len() + self.written + WRITE_AHEAD).cast()
        }

        /// Has `N` octets stored, of which the first `count` are to stay. Without room nothing happens.
        ///
        /// # Safety
        /// `store` has to write the whole array.
        #[inline(always)]
        pub(super) unsafe fn push<const N: usize>(
            &mut self,
            count: usize,
            store: impl FnOnce(&mut [MaybeUninit<u8>; N]),
        ) {
            let room = self.octets.spare_capacity_mut().get_mut(self.written..);
            if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
                store(room);
                self.written += count.min(N);
            }
        }

        /// Takes back the last octets.
        #[inline]
        pub(super) fn back(&mut self, count: usize) {
            self.written = self.written.saturating_sub(count);
        }

        /// Makes what was written part of the octets.
        pub(super) fn finish(self) {
            // SAFETY: `push` has written this many octets there, and there was room for them.
            unsafe { self.octets.set_len(self.octets.len() + self.written) };
        }
    }

    /// White space before the place where a kernel of quoted-printable ends may end a line: it is given back. It stands as
    /// it was read, for no escape ends so.
    pub(super) fn without_blank(encoded: &[u8], read: usize, octets: &mut Vec<u8>) -> usize {
        let front = encoded.get(..read).unwrap_or_default();
        let blank = front.iter().rev().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\x0c')).count();
        octets.truncate(octets.len() - blank);
        read - blank
    }

    /// Quoted-printable in vectors of 64, over what a module calls `load`, `is`, `is_low`, `digits`, `escapes` and `keep`.
    macro_rules! quoted_printable {
        ($features:literal) => {
            #[target_feature(enable = $features)]
            pub(super) fn decode_quoted_printable(encoded: &[u8], octets: &mut Vec<u8>) -> usize {
                let mut read = 0;
                while let Some(rest) = encoded.get(read..) {
                    let mut tail = Tail::new(octets, rest.len().min(BLOCK) + 64);
                    let done = quoted_printable_block(rest, &mut tail);
                    let full = !tail.has_room();
                    tail.finish();
                    read += done;
                    if done == 0 || !full {
                        break;
                    }
                }
                without_blank(encoded, read, octets)
            }

            /// Reads vectors of 64 octets as long as there is room for them. Says how much was read.
            #[inline]
            #[target_feature(enable = $features)]
            fn quoted_printable_block(encoded: &[u8], tail: &mut Tail<'_>) -> usize {
                let mut read = 0;
                // Octets at the front of the vector that belong to an escape before it.
                let mut used: u64 = 0;
                while tail.has_room()
                    && let Some(here) = encoded.get(read..)
                    && let (Some(octets), Some(second), Some(third)) = (
                        here.first_chunk(),
                        here.get(1..).and_then(|here| here.first_chunk()),
                        here.get(2..).and_then(|here| here.first_chunk()),
                    )
                {
                    let (octets, second, third) = (load(octets), load(second), load(third));
                    let cr = is(octets, b'\r');
                    let (lf_second, crlf_next) = (is(second, b'\n'), is(second, b'\r') & is(third, b'\n'));
                    // RFC 2045 §6.7 (3): white space that ends a line goes; the plain code knows what and how much. The CR
                    // that is half a line end is none, and that other controls are taken for white space costs only time.
                    let blank = is_low(octets) & !is(octets, b'\n');
                    if blank & (crlf_next | lf_second & !cr) != 0 {
                        break;
                    }
                    let mut kept = !used;
                    let mut decoded = octets;
                    let mut next = 0;
                    let equals = is(octets, b'=');
                    if equals != 0 {
                        let (high, is_high) = digits(second);
                        let (low, is_low) = digits(third);
                        let escape = equals & is_high & is_low;
                        let (soft, bare_soft) = (equals & crlf_next, equals & lf_second);
                        if escape | soft | bare_soft != equals {
                            break;
                        }
                        decoded = escapes(octets, high, low);
                        let two_more = escape | soft;
                        kept &= !(soft | bare_soft | (two_more | bare_soft) << 1 | two_more << 2);
                        next = (two_more | bare_soft) >> 63 | two_more >> 62;
                    }
                    keep(kept, decoded, tail);
                    read += 64;
                    used = next;
                }
                read + used.count_ones() as usize
            }
        };
    }
    pub(super) use quoted_printable;
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;
    use std::sync::OnceLock;

    use super::shared::*;
    use super::{LineEnds, Marks, Waiting, encode_by};

    /// Asked for each header field, and so remembered as one answer and not as six.
    #[inline]
    pub(super) fn is_here() -> bool {
        #[cfg(test)]
        if super::LIMIT.get() < super::Level::Avx512 {
            return false;
        }
        static HERE: OnceLock<bool> = OnceLock::new();
        *HERE.get_or_init(|| {
            is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt")
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(octets: &[u8; 64]) -> __m512i {
        // SAFETY: 64 octets are read, all of the array, and no alignment is asked for.
        unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
    }

    /// Appends the first `count` octets.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn push(tail: &mut Tail<'_>, vector: __m512i, count: usize) {
        _mm_prefetch::<_MM_HINT_ET0>(tail.ahead());
        // SAFETY: 64 octets are written, all of the array, and no alignment is asked for.
        unsafe { tail.push::<64>(count, |room| _mm512_storeu_si512(room.as_mut_ptr().cast(), vector)) };
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn store(octets: &mut [u8; 64], vector: __m512i) {
        // SAFETY: 64 octets are written, all of the array, and no alignment is asked for.
        unsafe { _mm512_storeu_si512(octets.as_mut_ptr().cast(), vector) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn all(octet: u8) -> __m512i {
        _mm512_set1_epi8(octet.cast_signed())
    }

    /// What each octet is in a table of the 128 ASCII characters, and where the highest bit is set because it is none of
    /// them or not in the table.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn look_up(table: [__m512i; 2], octets: __m512i) -> (__m512i, u64) {
        let values = _mm512_permutex2var_epi8(table[0], octets, table[1]);
        (values, _mm512_movepi8_mask(_mm512_or_si512(values, octets)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn table(table: &[[u8; 64]; 2]) -> [__m512i; 2] {
        [load(&table[0]), load(&table[1])]
    }

    /// The places in a vector.
    static PLACES: [u8; 64] = {
        let mut places = [0; 64];
        let mut place = 0;
        while place < 64 {
            places[place] = place as u8; // < 64, the length
            place += 1;
        }
        places
    };

    /// Not in a table.
    const NONE: u8 = 0x80;

    static SIX_BITS: [[u8; 64]; 2] = {
        let mut table = [[NONE; 64]; 2];
        let mut value = 0;
        while value < 64 {
            let character = ALPHABET[value] as usize; // < 64, the length
            table[character / 64][character % 64] = value as u8; // ASCII
            value += 1;
        }
        table
    };

    static HEX: [[u8; 64]; 2] = {
        let mut table = [[NONE; 64]; 2];
        let mut character = 0_u8;
        while character < 128 {
            if let Some(digit) = (character as char).to_digit(16) {
                table[character as usize / 64][character as usize % 64] = digit as u8; // < 128
            }
            character += 1;
        }
        table
    };

    /// Three octets of each four, the lowest three the other way round.
    static THREE_OF_FOUR: [u8; 64] = {
        let mut places = [0; 64];
        let mut group = 0;
        while group < 16 {
            let mut n = 0;
            while n < 3 {
                places[group * 3 + n] = (group * 4 + 2 - n) as u8; // < 48
                n += 1;
            }
            group += 1;
        }
        places
    };

    /// For each three octets 1 2 3 the order 2 1 3 2, out of which the four groups of six bits can be shifted.
    static FOUR_OF_THREE: [u8; 64] = {
        let mut places = [0; 64];
        let mut group = 0;
        while group < 16 {
            places[group * 4] = (group * 3 + 1) as u8; // < 64
            places[group * 4 + 1] = (group * 3) as u8; // < 64
            places[group * 4 + 2] = (group * 3 + 2) as u8; // < 64
            places[group * 4 + 3] = (group * 3 + 1) as u8; // < 64
            group += 1;
        }
        places
    };

    /// How many six-bit values are gathered before they are put together: what stays in the nearest cache.
    const STAGE: usize = 4096;

    /// First the characters of the alphabet are moved together, then they are put together: so it does not matter where
    /// the lines end.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
    pub(super) fn decode_base64(encoded: &[u8], waiting: &mut Waiting, octets: &mut Vec<u8>) -> usize {
        let six_bits = table(&SIX_BITS);
        let mut stage = [0; STAGE + 64];
        let mut staged = waiting.count;
        for (n, value) in stage.iter_mut().take(staged).enumerate() {
            *value = (waiting.bits >> (6 * (staged - 1 - n)) & 63) as u8; // six bits
        }
        let mut read = 0;
        for block in encoded.as_chunks().0 {
            _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(READ_AHEAD).cast());
            let characters = load(block);
            if _mm512_cmpeq_epi8_mask(characters, all(b'=')) != 0 {
                break;
            }
            let (values, foreign) = look_up(six_bits, characters);
            let Some(room) = stage.get_mut(staged..).and_then(|stage| stage.first_chunk_mut()) else { break };
            store(room, _mm512_maskz_compress_epi8(!foreign, values));
            staged += foreign.count_zeros() as usize;
            read += 64;
            if staged >= STAGE {
                put_together(&stage, STAGE, octets);
                stage.copy_within(STAGE.., 0);
                staged -= STAGE;
            }
        }
        // What is left before a `=` or the end, in a vector that need not be full.
        let rest = encoded.get(read..).unwrap_or_default();
        if let Some(room) = stage.get_mut(staged..).and_then(|stage| stage.first_chunk_mut()) {
            let (characters, there) = load_first(rest);
            let stop = is(characters, b'=');
            let before = there & stop.wrapping_sub(1) & !stop; // all, where it does not stop
            let (values, foreign) = look_up(six_bits, characters);
            let kept = !foreign & before;
            store(room, _mm512_maskz_compress_epi8(kept, values));
            staged += kept.count_ones() as usize;
            read += before.count_ones() as usize;
        }
        let whole = staged / 4 * 4;
        put_together(&stage, whole, octets);
        let left = stage.iter().skip(whole).take(staged - whole);
        *waiting = left.fold(Waiting::default(), |waiting, value| Waiting {
            bits: waiting.bits << 6 | u32::from(*value),
            count: waiting.count + 1,
        });
        read
    }

    /// The octets that `count` six-bit values are, four at a time.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn put_together(stage: &[u8; STAGE + 64], count: usize, octets: &mut Vec<u8>) {
        let three_of_four = load(&THREE_OF_FOUR);
        let mut tail = Tail::new(octets, count / 4 * 3 + 64);
        let mut left = count / 4 * 3;
        for values in stage.as_chunks().0.iter().take(count.div_ceil(64)) {
            let twelve_bits = _mm512_maddubs_epi16(load(values), _mm512_set1_epi32(0x0140_0140));
            let bits = _mm512_madd_epi16(twelve_bits, _mm512_set1_epi32(0x0001_1000));
            let count = left.min(48);
            push(&mut tail, _mm512_permutexvar_epi8(three_of_four, bits), count);
            left -= count;
        }
        tail.finish();
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn encode_base64(octets: &[u8], out: &mut Vec<u8>) -> usize {
        let alphabet = load(ALPHABET);
        let line_end = _mm512_set1_epi16(i16::from_le_bytes(*b"\r\n"));
        let mut rest = octets;
        while rest.len() >= LINE + 64 {
            let mut tail = Tail::new(out, LINES.min(rest.len() / LINE) * (CHARACTERS + 2) + 64);
            for _ in 0..LINES {
                // 48 octets are 64 characters, the nine behind them the last twelve; whole vectors are loaded for both.
                let (Some(front), Some(back), Some(after)) =
                    (rest.first_chunk(), rest.get(48..).and_then(|rest| rest.first_chunk()), rest.get(LINE..))
                else {
                    break;
                };
                _mm_prefetch::<_MM_HINT_T0>(rest.as_ptr().wrapping_add(READ_AHEAD).cast());
                push(&mut tail, characters(load(front), alphabet), 64);
                let back = _mm512_mask_blend_epi8(0b11 << 12, characters(load(back), alphabet), line_end);
                push(&mut tail, back, 14);
                rest = after;
            }
            tail.finish();
        }
        // The last lines, three at most, in vectors that need not be full.
        let mut tail = Tail::new(out, 3 * (CHARACTERS + 2) + 64);
        for line in rest.chunks(LINE) {
            for piece in line.chunks(48) {
                // RFC 2045 §6.8: `=`, behind what the octets fill, which is all for 48.
                let padding = u64::MAX.checked_shl((piece.len() * 8).div_ceil(6) as u32).unwrap_or(0);
                let written = _mm512_mask_blend_epi8(padding, characters(load_first(piece).0, alphabet), all(b'='));
                push(&mut tail, written, piece.len().div_ceil(3) * 4);
            }
            push(&mut tail, line_end, 2);
        }
        tail.finish();
        octets.len()
    }

    /// The first 48 octets as 64 characters.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn characters(octets: __m512i, alphabet: __m512i) -> __m512i {
        let fours = _mm512_permutexvar_epi8(load(&FOUR_OF_THREE), octets);
        // In eight octets 2 1 3 2 and again: where each group of six bits begins.
        let shifts = _mm512_set1_epi64(u64::from_le_bytes([10, 4, 22, 16, 42, 36, 54, 48]).cast_signed());
        // The highest two bits of each octet are not looked at.
        _mm512_permutexvar_epi8(_mm512_multishift_epi64_epi8(shifts, fours), alphabet)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2,popcnt")]
    pub(super) fn decode_latin1(octets: &[u8], text: &mut Vec<u8>) -> usize {
        let mut read = 0;
        while let Some(rest) = octets.get(read..).filter(|rest| rest.len() >= 64) {
            let blocks = rest.as_chunks().0;
            let blocks = blocks.get(..BLOCK / 64).unwrap_or(blocks);
            let mut tail = Tail::new(text, blocks.len() * 128 + 64);
            let mut done = 0;
            for block in blocks {
                let octets = load(block);
                let high = _mm512_movepi8_mask(octets);
                // From 0x80 to 0x9f, as the lowest of those with the highest bit set.
                if _mm512_mask_cmplt_epu8_mask(high, octets, all(0xa0)) != 0 {
                    break;
                }
                if high == 0 {
                    push(&mut tail, octets, 64);
                } else {
                    push_latin1(_mm512_castsi512_si256(octets), high & 0xffff_ffff, &mut tail);
                    push_latin1(_mm512_extracti64x4_epi64::<1>(octets), high >> 32, &mut tail);
                }
                done += 64;
            }
            tail.finish();
            read += done;
            if done < blocks.len() * 64 {
                break;
            }
        }
        read
    }

    /// Appends 32 characters, of which those in `high` take two octets.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2,popcnt")]
    fn push_latin1(octets: __m256i, high: u64, tail: &mut Tail<'_>) {
        let characters = _mm512_cvtepu8_epi16(octets);
        // RFC 3629 §3: 110xxxxx 10xxxxxx.
        let lead = _mm512_or_si512(_mm512_srli_epi16::<6>(characters), _mm512_set1_epi16(0xc0));
        let trail = _mm512_and_si512(characters, _mm512_set1_epi16(0x3f));
        let trail = _mm512_or_si512(_mm512_slli_epi16::<8>(trail), _mm512_set1_epi16(0x8000_u16.cast_signed()));
        let two = _mm512_or_si512(lead, trail);
        let both = _mm512_mask_blend_epi16(high as u32, characters, two); // the caller gives 32 bits
        let kept = _pdep_u64(high, 0xaaaa_aaaa_aaaa_aaaa) | 0x5555_5555_5555_5555;
        push(tail, _mm512_maskz_compress_epi8(kept, both), kept.count_ones() as usize);
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn is_ascii(octets: &[u8]) -> bool {
        let joined = |all, octets: &[u8; 64]| _mm512_or_si512(all, load(octets));
        let (blocks, rest) = octets.as_chunks::<256>();
        for block in blocks {
            if _mm512_movepi8_mask(block.as_chunks().0.iter().fold(_mm512_setzero_si512(), joined)) != 0 {
                return false;
            }
        }
        let (vectors, rest) = rest.as_chunks();
        _mm512_movepi8_mask(vectors.iter().fold(load_first(rest).0, joined)) == 0
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn among(set: &[[u8; 64]; 2], octets: &[u8]) -> u64 {
        let (octets, there) = load_first(octets);
        let [low, high] = table(set);
        let found = _mm512_movepi8_mask(_mm512_permutex2var_epi8(low, octets, high));
        found & !_mm512_movepi8_mask(octets) & there
    }

    /// The first 64 octets, or as many as there are, and a bit for each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load_first(octets: &[u8]) -> (__m512i, u64) {
        match octets.first_chunk() {
            Some(block) => (load(block), u64::MAX),
            None => {
                let there = (1 << octets.len()) - 1; // fewer than 64
                // SAFETY: no octet is read but those that the mask has, which are all of the slice.
                (unsafe { _mm512_maskz_loadu_epi8(there, octets.as_ptr().cast()) }, there)
            }
        }
    }

    /// A bit for an octet that may begin an odd pair, and one for a LF.
    static FIRST: [[u8; 64]; 2] = class(b'\r', b'\n');
    /// A bit for a LF, and one for a dot.
    static SECOND: [[u8; 64]; 2] = class(b'\n', b'.');

    const fn class(one: u8, two: u8) -> [[u8; 64]; 2] {
        let mut table = [[0; 64]; 2];
        table[0][one as usize] = 1; // below 64
        table[0][two as usize] = 2; // below 64
        table
    }

    /// To the octet.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn plain_lines(text: &[u8]) -> usize {
        let odd = odd_pairs(text);
        if odd != 0 {
            return odd.trailing_zeros() as usize; // below 64
        }
        // From there on half of the loads are aligned, which saves a fifth of the time.
        let mut clean = text.as_ptr().align_offset(64).min(text.len().saturating_sub(1)).min(64);
        let (first, second, one, last) = (table(&FIRST), table(&SECOND), all(1), all(0x7f));
        let (octets, follow) = (text.get(clean..).unwrap_or_default(), text.get(clean + 1..).unwrap_or_default());
        for (octets, follow) in octets.as_chunks::<256>().0.iter().zip(follow.as_chunks::<256>().0) {
            let mut odd = _mm512_setzero_si512();
            for (this, next) in octets.as_chunks().0.iter().zip(follow.as_chunks().0) {
                // Comparisons into masks would take twice as long. What is not ASCII becomes DEL, which is in no table.
                let this = _mm512_permutex2var_epi8(first[0], _mm512_min_epu8(load(this), last), first[1]);
                let next = _mm512_permutex2var_epi8(second[0], _mm512_min_epu8(load(next), last), second[1]);
                // CR or LF, but not both: the first bit of only one. A dot behind a LF: the second bit of both.
                odd = _mm512_or_si512(odd, _mm512_ternarylogic_epi32::<0b0110_1000>(one, this, next));
            }
            if _mm512_test_epi8_mask(odd, odd) != 0 {
                break;
            }
            clean += 256;
        }
        while let Some(rest) = text.get(clean..).filter(|rest| rest.len() > 1) {
            let odd = odd_pairs(rest);
            if odd != 0 {
                return clean + odd.trailing_zeros() as usize; // below 64
            }
            clean += (rest.len() - 1).min(64);
        }
        clean
    }

    /// Which of the first 64 octets begin a pair that is odd, a bit for each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn odd_pairs(text: &[u8]) -> u64 {
        let (this, _) = load_first(text);
        let (next, there) = load_first(text.get(1..).unwrap_or_default());
        ((is(this, b'\r') ^ is(next, b'\n')) | (is(this, b'\n') & is(next, b'.'))) & there
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    pub(super) fn unfolded_ends(octets: &[u8], ends: &mut [u8; 256]) -> (usize, usize) {
        let behind = octets.get(1..).unwrap_or_default();
        let (mut places, mut looked, mut found) = (load(&PLACES), 0, 0);
        // As many blocks as there is room for places.
        for (block, next) in octets.as_chunks().0.iter().zip(behind.as_chunks().0).take(4) {
            let next = load(next);
            let here = is(load(block), b'\n') & !(is(next, b' ') | is(next, b'\t'));
            if let Some(room) = ends.get_mut(found..).and_then(|room| room.first_chunk_mut::<64>()) {
                store(room, _mm512_maskz_compress_epi8(here, places));
            }
            places = _mm512_add_epi8(places, all(64));
            looked += 64;
            found += here.count_ones() as usize;
        }
        (looked, found)
    }

    /// What stands for itself in quoted-printable, and line ends.
    static PLAIN: [[u8; 64]; 2] = {
        let mut table = [[0; 64]; 2];
        let mut character = 0_u8;
        while character < 128 {
            if !matches!(character, b' '..=b'<' | b'>'..=b'~' | b'\t' | b'\r' | b'\n') {
                table[character as usize / 64][character as usize % 64] = NONE; // < 128
            }
            character += 1;
        }
        table
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,popcnt")]
    pub(super) fn count_escapes(text: &[u8]) -> usize {
        let plain = table(&PLAIN);
        let (blocks, rest) = text.as_chunks();
        let among = |block: &[u8; 64]| look_up(plain, load(block)).1.count_ones() as usize;
        blocks.iter().map(among).sum::<usize>() + super::escapes_in_blocks(rest)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,bmi2,lzcnt")]
    pub(super) fn encode_quoted_printable(text: &[u8], ends: LineEnds, out: &mut Vec<u8>) -> bool {
        let plain = table(&PLAIN);
        let marks = |block: &[u8; 64]| {
            let octets = load(block);
            let (cr, lf) = (is(octets, b'\r'), is(octets, b'\n'));
            let blank = is(octets, b'\t') | is(octets, b' ');
            Marks { special: look_up(plain, octets).1 | cr | lf, cr, lf, blank }
        };
        encode_by(marks, text, ends, out)
    }

    quoted_printable!("avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt");

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn is(octets: __m512i, octet: u8) -> u64 {
        _mm512_cmpeq_epi8_mask(octets, all(octet))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn is_low(octets: __m512i) -> u64 {
        _mm512_cmple_epu8_mask(octets, all(b' '))
    }

    /// Hexadecimal digits: their values, and which they are.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn digits(octets: __m512i) -> (__m512i, u64) {
        let (values, foreign) = look_up(table(&HEX), octets);
        (values, !foreign)
    }

    /// Each `=` with what its digits say; where a soft line break begins it does not matter.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn escapes(octets: __m512i, high: __m512i, low: __m512i) -> __m512i {
        // No digit has more than four bits, and what is shifted in from the neighbour is cut off.
        let high = _mm512_and_si512(_mm512_slli_epi16::<4>(high), all(0xf0));
        _mm512_mask_blend_epi8(is(octets, b'='), octets, _mm512_or_si512(high, low))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    fn keep(kept: u64, octets: __m512i, tail: &mut Tail<'_>) {
        push(tail, _mm512_maskz_compress_epi8(kept, octets), kept.count_ones() as usize);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::shared::*;
    use super::{LineEnds, Marks, encode_by};

    pub(super) fn is_here() -> bool {
        #[cfg(test)]
        if super::LIMIT.get() < super::Level::Avx2 {
            return false;
        }
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load_half(octets: &[u8; 32]) -> __m256i {
        // SAFETY: 32 octets are read, all of the array, and no alignment is asked for.
        unsafe { _mm256_loadu_si256(octets.as_ptr().cast()) }
    }

    /// Appends the first `count` octets.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn push(tail: &mut Tail<'_>, vector: __m256i, count: usize) {
        _mm_prefetch::<_MM_HINT_ET0>(tail.ahead());
        // SAFETY: 32 octets are written, all of the array, and no alignment is asked for.
        unsafe { tail.push::<32>(count, |room| _mm256_storeu_si256(room.as_mut_ptr().cast(), vector)) };
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn all(octet: u8) -> __m256i {
        _mm256_set1_epi8(octet.cast_signed())
    }

    /// A table of 16 octets, for both lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn table(table: &[u8; 16]) -> __m256i {
        // SAFETY: 16 octets are read, all of the array, and no alignment is asked for.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
    }

    const fn is_in_alphabet(character: u8) -> bool {
        character.is_ascii_alphanumeric() || character == b'+' || character == b'/'
    }

    /// By its higher four bits, a character is of one of five kinds; in four of them the lower four bits decide whether it
    /// is in the alphabet, in the fifth none is. A bit for each kind.
    static KINDS: [u8; 16] = [16, 16, 1, 2, 4, 8, 4, 8, 16, 16, 16, 16, 16, 16, 16, 16];

    /// By the lower four bits of a character, in which kinds it is foreign.
    static FOREIGN: [u8; 16] = {
        let mut foreign = [16; 16];
        let mut high = 2;
        while high < 6 {
            let mut low = 0;
            while low < 16 {
                if !is_in_alphabet(high * 16 + low) {
                    foreign[low as usize] |= KINDS[high as usize]; // both < 16
                }
                low += 1;
            }
            high += 1;
        }
        foreign
    };

    /// By the higher four bits of a character, one less for `/`: what makes its value of it.
    static OFFSETS: [u8; 16] = {
        let mut offsets = [0; 16];
        offsets[1] = 63 - b'/';
        offsets[2] = 62 - b'+';
        offsets[3] = 52_u8.wrapping_sub(b'0');
        offsets[4] = 0_u8.wrapping_sub(b'A');
        offsets[5] = offsets[4];
        offsets[6] = 26_u8.wrapping_sub(b'a');
        offsets[7] = offsets[6];
        offsets
    };

    /// Three octets of each four, the lowest three the other way round.
    static THREE_OF_FOUR: [u8; 16] = [2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 0x80, 0x80, 0x80, 0x80];

    /// Lines as long as the first, of a length that is a multiple of four, straight to octets. Ends at the first line that
    /// is not like that.
    #[target_feature(enable = "avx2,popcnt")]
    pub(super) fn decode_base64(encoded: &[u8], octets: &mut Vec<u8>) -> usize {
        let front = encoded.get(..1000).unwrap_or(encoded);
        let Some(at) = memchr::memchr(b'\n', front) else { return 0 };
        let crlf = front.get(..at).is_some_and(|line| line.ends_with(b"\r"));
        let length = if crlf { at - 1 } else { at };
        if length < 32 || length % 4 != 0 {
            return 0;
        }
        let mut read = 0;
        let mut good = true;
        while good && encoded.len() - read > at {
            let lines = ((encoded.len() - read) / (at + 1)).min(BLOCK / 64);
            let mut tail = Tail::new(octets, lines * (length / 4 * 3) + 32);
            for _ in 0..lines {
                let Some(line) = encoded.get(read..read + at + 1) else { break };
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().wrapping_add(READ_AHEAD).cast());
                good = if crlf { line.ends_with(b"\r\n") } else { line.ends_with(b"\n") };
                // A length that is known is worth a third as much speed again.
                good &= match length {
                    76 => decode_line(line, 76, &mut tail),
                    _ => decode_line(line, length, &mut tail),
                };
                if !good {
                    tail.back(length / 4 * 3);
                    break;
                }
                read += at + 1;
            }
            tail.finish();
        }
        read
    }

    /// Appends what the characters of a line are; whether all are of the alphabet. The last vector begins where a whole one
    /// is left, so some are read twice.
    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn decode_line(line: &[u8], length: usize, tail: &mut Tail<'_>) -> bool {
        let mut foreign = _mm256_setzero_si256();
        let mut at = 0;
        while at < length {
            let from = at.min(length - 32);
            tail.back((at - from) / 4 * 3);
            let Some(characters) = line.get(from..).and_then(|line| line.first_chunk()) else { return false };
            let characters = load_half(characters);
            let fifteen = all(15);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(characters), fifteen);
            let low = _mm256_and_si256(characters, fifteen);
            let kind = _mm256_shuffle_epi8(table(&KINDS), high);
            foreign = _mm256_or_si256(foreign, _mm256_and_si256(kind, _mm256_shuffle_epi8(table(&FOREIGN), low)));
            let slash = _mm256_cmpeq_epi8(characters, all(b'/'));
            let offset = _mm256_shuffle_epi8(table(&OFFSETS), _mm256_add_epi8(high, slash));
            let values = _mm256_add_epi8(characters, offset);
            let twelve_bits = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x0140_0140));
            let bits = _mm256_madd_epi16(twelve_bits, _mm256_set1_epi32(0x0001_1000));
            let three = _mm256_shuffle_epi8(bits, table(&THREE_OF_FOUR));
            push(tail, _mm256_permutevar8x32_epi32(three, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7)), 24);
            at = from + 32;
        }
        _mm256_testz_si256(foreign, foreign) == 1
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn encode_base64(octets: &[u8], out: &mut Vec<u8>) -> usize {
        // Behind the twelve characters of the third vector.
        let line_end = _mm256_setr_epi32(0, 0, 0, i32::from_le_bytes(*b"\r\n\0\0"), 0, 0, 0, 0);
        let is_line_end = _mm256_setr_epi32(0, 0, 0, 0xffff, 0, 0, 0, 0);
        let mut rest = octets;
        while rest.len() >= LINE + 64 {
            let mut tail = Tail::new(out, LINES.min(rest.len() / LINE) * (CHARACTERS + 2) + 64);
            for _ in 0..LINES {
                // 24 octets are 32 characters, the nine behind 48 of them the last twelve.
                let (Some(line), Some(after)) = (rest.first_chunk::<{ 48 + 28 }>(), rest.get(LINE..)) else { break };
                _mm_prefetch::<_MM_HINT_T0>(rest.as_ptr().wrapping_add(READ_AHEAD).cast());
                push(&mut tail, characters::<0>(line), 32);
                push(&mut tail, characters::<24>(line), 32);
                push(&mut tail, _mm256_blendv_epi8(characters::<48>(line), line_end, is_line_end), 14);
                rest = after;
            }
            tail.finish();
        }
        octets.len() - rest.len()
    }

    /// For each three octets 1 2 3 the order 2 1 3 2, out of which the four groups of six bits can be shifted.
    static FOUR_OF_THREE: [u8; 16] = [1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10];

    /// What makes a character of a value: of 26 to 51 the first, of 52 and above the ones behind it, of below 26 the 14th.
    static TO_CHARACTER: [u8; 16] = {
        let mut offsets = [b'0'.wrapping_sub(52); 16];
        offsets[0] = b'a' - 26;
        offsets[11] = b'+'.wrapping_sub(62);
        offsets[12] = b'/'.wrapping_sub(63);
        offsets[13] = b'A';
        offsets
    };

    /// The 24 octets from `FROM` on as 32 characters.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn characters<const FROM: usize>(line: &[u8; 76]) -> __m256i {
        let sixteen = |from: usize| line.get(from..).and_then(|line| line.first_chunk::<16>());
        let (Some(first), Some(second)) = (sixteen(FROM), sixteen(FROM + 12)) else { return _mm256_setzero_si256() };
        // SAFETY: 16 octets are read, all of the array, and no alignment is asked for.
        let (first, second) =
            unsafe { (_mm_loadu_si128(first.as_ptr().cast()), _mm_loadu_si128(second.as_ptr().cast())) };
        let fours = _mm256_shuffle_epi8(_mm256_set_m128i(second, first), table(&FOUR_OF_THREE));
        // The first and third group are shifted right by 10 and 6, the second and fourth left by 4 and 8.
        let odd = _mm256_and_si256(fours, _mm256_set1_epi32(0x0fc0_fc00));
        let odd = _mm256_mulhi_epu16(odd, _mm256_set1_epi32(0x0400_0040));
        let even = _mm256_and_si256(fours, _mm256_set1_epi32(0x003f_03f0));
        let even = _mm256_mullo_epi16(even, _mm256_set1_epi32(0x0100_0010));
        let values = _mm256_or_si256(odd, even);
        // 0 for letters, 1 to 12 from 52 on; then 13 for capitals.
        let kind = _mm256_subs_epu8(values, all(51));
        let is_capital = _mm256_cmpgt_epi8(all(26), values);
        let kind = _mm256_or_si256(kind, _mm256_and_si256(is_capital, all(13)));
        _mm256_add_epi8(values, _mm256_shuffle_epi8(table(&TO_CHARACTER), kind))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn encode_quoted_printable(text: &[u8], ends: LineEnds, out: &mut Vec<u8>) -> bool {
        let marks = |block: &[u8; 64]| {
            let octets = load(block);
            let tab = is(octets, b'\t');
            let Vector([first, second]) = octets;
            // Those from 0x80 on too, as signed numbers.
            let low = mask([_mm256_cmpgt_epi8(all(b' '), first), _mm256_cmpgt_epi8(all(b' '), second)]);
            Marks {
                special: (low | is(octets, b'=') | is(octets, 0x7f)) & !tab,
                cr: is(octets, b'\r'),
                lf: is(octets, b'\n'),
                blank: tab | is(octets, b' '),
            }
        };
        encode_by(marks, text, ends, out)
    }

    quoted_printable!("avx2,popcnt");

    /// 64 octets in two halves.
    #[derive(Clone, Copy)]
    struct Vector([__m256i; 2]);

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(octets: &[u8; 64]) -> Vector {
        let [first, second] = octets.as_chunks().0 else { return Vector([_mm256_setzero_si256(); 2]) }; // two of 32
        Vector([load_half(first), load_half(second)])
    }

    /// Where the highest bit of an octet is set.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn mask(halves: [__m256i; 2]) -> u64 {
        let [first, second] = halves;
        let (first, second) = (_mm256_movemask_epi8(first), _mm256_movemask_epi8(second));
        let mask = u64::from(first.cast_unsigned()) | u64::from(second.cast_unsigned()) << 32;
        // Else the compiler would reckon with each bit as an octet of a vector, and that ten times as slowly.
        std::hint::black_box(mask)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn is(octets: Vector, octet: u8) -> u64 {
        let Vector([first, second]) = octets;
        mask([_mm256_cmpeq_epi8(first, all(octet)), _mm256_cmpeq_epi8(second, all(octet))])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn is_low(octets: Vector) -> u64 {
        let Vector([first, second]) = octets;
        mask([at_most(first, b' '), at_most(second, b' ')])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn at_most(octets: __m256i, most: u8) -> __m256i {
        _mm256_cmpeq_epi8(_mm256_min_epu8(octets, all(most)), octets)
    }

    /// Hexadecimal digits: their values, and which they are.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn digits(octets: Vector) -> (Vector, u64) {
        let Vector([first, second]) = octets;
        let ((first, is_first), (second, is_second)) = (digits_of_half(first), digits_of_half(second));
        (Vector([first, second]), mask([is_first, is_second]))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn digits_of_half(octets: __m256i) -> (__m256i, __m256i) {
        let digit = _mm256_sub_epi8(octets, all(b'0'));
        let letter = _mm256_sub_epi8(_mm256_or_si256(octets, all(0x20)), all(b'a'));
        let (is_digit, is_letter) = (at_most(digit, 9), at_most(letter, 5));
        let values = _mm256_blendv_epi8(_mm256_add_epi8(letter, all(10)), digit, is_digit);
        (values, _mm256_or_si256(is_digit, is_letter))
    }

    /// Each `=` with what its digits say; where a soft line break begins it does not matter.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn escapes(octets: Vector, high: Vector, low: Vector) -> Vector {
        let ([first, second], [high_first, high_second], [low_first, low_second]) = (octets.0, high.0, low.0);
        Vector([escapes_of_half(first, high_first, low_first), escapes_of_half(second, high_second, low_second)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn escapes_of_half(octets: __m256i, high: __m256i, low: __m256i) -> __m256i {
        // No digit has more than four bits, and what is shifted in from the neighbour is cut off.
        let high = _mm256_and_si256(_mm256_slli_epi16::<4>(high), all(0xf0));
        _mm256_blendv_epi8(octets, _mm256_or_si256(high, low), _mm256_cmpeq_epi8(octets, all(b'=')))
    }

    /// For each choice among eight octets, where the chosen ones stand.
    static CHOSEN: [[u8; 8]; 256] = {
        let mut table = [[0; 8]; 256];
        let mut choice = 0;
        while choice < 256 {
            let (mut at, mut count) = (0, 0);
            while at < 8 {
                if choice >> at & 1 == 1 {
                    table[choice][count] = at as u8; // < 8
                    count += 1;
                }
                at += 1;
            }
            choice += 1;
        }
        table
    };

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn keep(kept: u64, octets: Vector, tail: &mut Tail<'_>) {
        let Vector([first, second]) = octets;
        if kept == u64::MAX {
            push(tail, first, 32);
            push(tail, second, 32);
            return;
        }
        let [a, b, c, d, e, f, g, h] = kept.to_le_bytes();
        keep_sixteen([a, b], _mm256_castsi256_si128(first), tail);
        keep_sixteen([c, d], _mm256_extracti128_si256::<1>(first), tail);
        keep_sixteen([e, f], _mm256_castsi256_si128(second), tail);
        keep_sixteen([g, h], _mm256_extracti128_si256::<1>(second), tail);
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn keep_sixteen([first, second]: [u8; 2], octets: __m128i, tail: &mut Tail<'_>) {
        keep_eight(first, octets, tail);
        keep_eight(second, _mm_unpackhi_epi64(octets, octets), tail);
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt")]
    fn keep_eight(choice: u8, octets: __m128i, tail: &mut Tail<'_>) {
        let chosen = _mm_cvtsi64_si128(i64::from_le_bytes(CHOSEN[usize::from(choice)])); // < 256
        let octets = _mm_shuffle_epi8(octets, chosen);
        // SAFETY: eight octets are written, all of the array, and no alignment is asked for.
        unsafe {
            tail.push::<8>(choice.count_ones() as usize, |room| _mm_storel_epi64(room.as_mut_ptr().cast(), octets));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_is_utf8() {
        for len in (0..80).chain([255, 256, 257, 300, 511, 512, 700]) {
            for wrong in [&b""[..], b"\xff", "é".as_bytes(), b"\xc3"] {
                for at in 0..=len {
                    let octets = [&vec![b'a'; at][..], wrong, &vec![b'b'; len - at]].concat();
                    assert_eq!(text(&octets), std::str::from_utf8(&octets).ok(), "{len} {at} {wrong:?}");
                    let plain = octets.is_ascii() && octets.len() < WORTH;
                    assert_eq!(is_ascii_plain(&octets), plain, "{len} {at} {wrong:?}");
                }
            }
        }
    }

    #[test]
    fn plain_lines_end_where_something_is_odd() {
        let is_odd = |pair: &[u8]| {
            matches!(pair, [b'\r', next] if *next != b'\n')
                || matches!(pair, [this, b'\n'] if *this != b'\r')
                || pair == b"\n."
        };
        // Octets that are something odd but for their highest bit, and lines in between.
        let plain = b"0123456789\x8a\xae\x8d\x2e\r\nabc\r\n".repeat(40);
        for odd in [&b"\r"[..], b"\n", b"\r\n.", b"\n\r", b"\r\r\n"] {
            for at in (0..plain.len()).filter(|at| plain[at - at.min(&1)] != b'\r') {
                let text = [&plain[..at], odd, &plain[at..]].concat();
                for from in [0, 1, 3, 63] {
                    let text = &text[from..];
                    let first = text.windows(2).position(is_odd).unwrap_or(text.len() - 1);
                    for level in [Level::Plain, Level::Avx2, Level::Avx512] {
                        LIMIT.set(level);
                        let clean = plain_lines(text);
                        assert!(clean <= first && first <= clean + 128, "{level:?} {at} {from}: {clean} {first}");
                        #[cfg(target_arch = "x86_64")]
                        assert!(level < Level::Avx512 || !avx512::is_here() || clean == first, "{at} {from}");
                    }
                }
            }
        }
        LIMIT.set(Level::Avx512);
    }

    #[test]
    fn sets_have_their_characters() {
        let set = Set::of(b" ;@\x7f\0");
        let octets: Vec<u8> = (0..=255).collect();
        for from in 0..256 {
            let expected = |n: usize| octets.get(from + n).is_some_and(|octet| b" ;@\x7f\0".contains(octet));
            let expected = (0..64).filter(|n| expected(*n)).fold(0_u64, |mask, n| mask | 1 << n);
            assert_eq!((set.among(&octets[from..]), set.among_plain(&octets[from..])), (expected, expected), "{from}");
            let expected = octets[from..].iter().position(|octet| set.has(*octet));
            assert_eq!(set.find(&octets[from..]), expected, "{from}");
        }
        assert_eq!(set.among(b""), 0);
    }
}
