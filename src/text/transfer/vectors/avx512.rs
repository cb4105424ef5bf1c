//! With AVX-512 and VBMI2.

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
pub(super) fn load(octets: &[u8; 64]) -> __m512i {
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
pub(super) fn all(octet: u8) -> __m512i {
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
pub(super) fn table(table: &[[u8; 64]; 2]) -> [__m512i; 2] {
    [load(&table[0]), load(&table[1])]
}

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
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
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

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
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

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
pub(super) fn among(set: &[[u8; 64]; 2], octets: &[u8]) -> u64 {
    let (octets, there) = load_first(octets);
    let [low, high] = table(set);
    let found = _mm512_movepi8_mask(_mm512_permutex2var_epi8(low, octets, high));
    found & !_mm512_movepi8_mask(octets) & there
}

/// Whether all are ASCII and none is in the set.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
pub(super) fn is_ascii_without(set: &[[u8; 64]; 2], octets: &[u8]) -> bool {
    let set = table(set);
    let mut rest = octets;
    loop {
        let (octets, there) = load_first(rest);
        if look_up(set, octets).1 & there != 0 {
            return false;
        }
        let Some(behind) = rest.get(64..) else { return true };
        rest = behind;
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
pub(super) fn unfold(octets: &[u8], line: &mut Vec<u8>) -> bool {
    let mut tail = Tail::new(line, octets.len() + 64);
    let (mut rest, mut odd) = (octets, 0);
    while let [_, behind @ ..] = rest {
        let ((octets, there), (next, _)) = (load_first(rest), load_first(behind));
        let kept = there & !(is(octets, b'\n') | is(octets, b'\r') & is(next, b'\n'));
        odd |= is(octets, b'?') | _mm512_movepi8_mask(octets);
        push(&mut tail, _mm512_maskz_compress_epi8(kept, octets), kept.count_ones() as usize);
        rest = rest.get(64..).unwrap_or_default();
    }
    tail.finish();
    odd == 0
}

/// The first 64 octets, or as many as there are, and a bit for each: without a branch, for nobody can foretell what is short.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn load_first(octets: &[u8]) -> (__m512i, u64) {
    let there = _bzhi_u64(u64::MAX, octets.len().min(64) as u32); // at most 64
    // SAFETY: no octet is read but those that the mask has, which are all in the slice.
    (unsafe { _mm512_maskz_loadu_epi8(there, octets.as_ptr().cast()) }, there)
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
pub(super) fn is(octets: __m512i, octet: u8) -> u64 {
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
