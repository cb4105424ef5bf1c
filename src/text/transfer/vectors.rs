//! Base64 and quoted-printable in vectors of 64 octets, where the processor has AVX-512 with VBMI2; elsewhere the
//! functions here do nothing, and `base64.rs` and `quoted_printable.rs` do their work in plain code.
//!
//! They are shortcuts: each does some of the work from the front, says how much, and leaves to the plain code whatever is
//! out of the ordinary. The plain code is also what the tests and the fuzz target `transfer` hold them against.
//!
//! This is the one file of the crate with `unsafe`. It is there for three things only: to load and store the 64 octets of
//! an array, to call a function for a processor that was just asked whether it can run it, and to take as text what was
//! just found to be UTF-8. All places in buffers are arrays and slices that are checked as everywhere.
//! `benches/README.md` has the figures that ask for it.

/// Below this many octets the call costs more than it saves.
#[cfg(target_arch = "x86_64")]
const WORTH: usize = 256;

/// Six-bit values that wait for a fourth: at most three, the oldest in the highest bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) bits: u32,
    pub(super) count: usize,
}

/// Reads base64 from the front of `encoded`, up to a `=` or the last few octets. Says how many octets it has read.
pub(super) fn decode_base64(encoded: &[u8], waiting: &mut Waiting, octets: &mut Vec<u8>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if encoded.len() >= WORTH && avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512::decode_base64(encoded, waiting, octets) };
    }
    let _ = (encoded, waiting, octets);
    0
}

/// Writes lines of 57 octets as 76 characters and CRLF. Says how many octets it has written: whole lines, and not the
/// last few.
pub(super) fn encode_base64(octets: &[u8], out: &mut Vec<u8>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if octets.len() >= WORTH && avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512::encode_base64(octets, out) };
    }
    let _ = (octets, out);
    0
}

/// Reads quoted-printable from the front of `encoded`, up to a `=` that begins no escape, to white space that ends a line
/// or to the last few octets. Says how many octets it has read; what follows does not depend on them.
pub(super) fn decode_quoted_printable(encoded: &[u8], octets: &mut Vec<u8>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if encoded.len() >= WORTH && avx512::is_here() {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx512::decode_quoted_printable(encoded, octets) };
    }
    let _ = (encoded, octets);
    0
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

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::Waiting;

    /// How far ahead of the reading and the writing the memory is asked for: on bodies of megabytes that is worth half as
    /// much speed again.
    const READ_AHEAD: usize = 8192;
    const WRITE_AHEAD: usize = 4096;

    pub(super) fn is_here() -> bool {
        is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("popcnt")
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(octets: &[u8; 64]) -> __m512i {
        // SAFETY: 64 octets are read, all of the array, and no alignment is asked for.
        unsafe { _mm512_loadu_si512(octets.as_ptr().cast()) }
    }

    /// The room behind the octets of a vector, written from its start.
    struct Tail<'a> {
        octets: &'a mut Vec<u8>,
        /// How many octets behind the length are written.
        written: usize,
    }

    impl<'a> Tail<'a> {
        fn new(octets: &'a mut Vec<u8>, room: usize) -> Self {
            octets.reserve(room);
            Self { octets, written: 0 }
        }

        /// Whether a vector can be stored.
        #[inline]
        fn has_room(&self) -> bool {
            self.octets.capacity() - self.octets.len() - self.written >= 64
        }

        /// Stores a vector, of which the first `count` octets are to stay. Without room nothing happens.
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw")]
        fn push(&mut self, vector: __m512i, count: usize) {
            let room = self.octets.spare_capacity_mut();
            _mm_prefetch::<_MM_HINT_ET0>(room.as_ptr().wrapping_add(self.written + WRITE_AHEAD).cast());
            if let Some(room) = room.get_mut(self.written..).and_then(|room| room.first_chunk_mut::<64>()) {
                // SAFETY: 64 octets are written, all of the array, and no alignment is asked for.
                unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), vector) };
                self.written += count.min(64);
            }
        }

        /// Makes what was written part of the octets.
        fn finish(self) {
            // SAFETY: `push` has written this many octets there, and there was room for them.
            unsafe { self.octets.set_len(self.octets.len() + self.written) };
        }
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

    /// Not in a table.
    const NONE: u8 = 0x80;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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
            tail.push(_mm512_permutexvar_epi8(three_of_four, bits), count);
            left -= count;
        }
        tail.finish();
    }

    /// A line as octets, and as characters.
    const LINE: usize = 57;
    const CHARACTERS: usize = 76;
    /// For how many lines room is made at once.
    const LINES: usize = 64;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn encode_base64(octets: &[u8], out: &mut Vec<u8>) -> usize {
        let alphabet = load(ALPHABET);
        let line_end = _mm512_set1_epi16(i16::from_le_bytes(*b"\r\n"));
        let mut rest = octets;
        while rest.len() >= LINE + 64 {
            let mut tail = Tail::new(out, LINES * (CHARACTERS + 2) + 64);
            for _ in 0..LINES {
                // 48 octets are 64 characters, the nine behind them the last twelve; whole vectors are loaded for both.
                let (Some(front), Some(back), Some(after)) =
                    (rest.first_chunk(), rest.get(48..).and_then(|rest| rest.first_chunk()), rest.get(LINE..))
                else {
                    break;
                };
                _mm_prefetch::<_MM_HINT_T0>(rest.as_ptr().wrapping_add(READ_AHEAD).cast());
                tail.push(characters(front, alphabet), 64);
                let back = _mm512_mask_blend_epi8(0b11 << 12, characters(back, alphabet), line_end);
                tail.push(back, 14);
                rest = after;
            }
            tail.finish();
        }
        octets.len() - rest.len()
    }

    /// The first 48 octets as 64 characters.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn characters(octets: &[u8; 64], alphabet: __m512i) -> __m512i {
        let fours = _mm512_permutexvar_epi8(load(&FOUR_OF_THREE), load(octets));
        // In eight octets 2 1 3 2 and again: where each group of six bits begins.
        let shifts = _mm512_set1_epi64(u64::from_le_bytes([10, 4, 22, 16, 42, 36, 54, 48]).cast_signed());
        // The highest two bits of each octet are not looked at.
        _mm512_permutexvar_epi8(_mm512_multishift_epi64_epi8(shifts, fours), alphabet)
    }

    /// For how many octets room is made at once.
    const BLOCK: usize = 4096;

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
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
        // White space before the place where this ends may end a line. It stands as it was read, for no escape ends so.
        let front = encoded.get(..read).unwrap_or_default();
        let blank = front.iter().rev().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\x0c')).count();
        octets.truncate(octets.len() - blank);
        read - blank
    }

    /// Reads vectors of 64 octets as long as there is room for them. Says how much was read.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
    fn quoted_printable_block(encoded: &[u8], tail: &mut Tail<'_>) -> usize {
        let hex = table(&HEX);
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
            let is = |vector, octet| _mm512_cmpeq_epi8_mask(vector, all(octet));
            let cr = is(octets, b'\r');
            let (lf_second, crlf_next) = (is(second, b'\n'), is(second, b'\r') & is(third, b'\n'));
            // RFC 2045 §6.7 (3): white space that ends a line goes; the plain code knows what and how much. The CR that is
            // half a line end is none, and that other controls are taken for white space costs only time.
            let blank = _mm512_cmple_epu8_mask(octets, all(b' ')) & !is(octets, b'\n');
            if blank & (crlf_next | lf_second & !cr) != 0 {
                break;
            }
            let mut keep = !used;
            let mut decoded = octets;
            let mut next = 0;
            let equals = is(octets, b'=');
            if equals != 0 {
                let (high, not_high) = look_up(hex, second);
                let (low, not_low) = look_up(hex, third);
                let escape = equals & !not_high & !not_low;
                let (soft, bare_soft) = (equals & crlf_next, equals & lf_second);
                if escape | soft | bare_soft != equals {
                    break;
                }
                // No digit has more than four bits, and what is shifted in from the neighbour is cut off.
                let high = _mm512_and_si512(_mm512_slli_epi16::<4>(high), all(0xf0));
                decoded = _mm512_mask_blend_epi8(escape, octets, _mm512_or_si512(high, low));
                let two_more = escape | soft;
                keep &= !(soft | bare_soft | (two_more | bare_soft) << 1 | two_more << 2);
                next = (two_more | bare_soft) >> 63 | two_more >> 62;
            }
            tail.push(_mm512_maskz_compress_epi8(keep, decoded), keep.count_ones() as usize);
            read += 64;
            used = next;
        }
        read + used.count_ones() as usize
    }
}
