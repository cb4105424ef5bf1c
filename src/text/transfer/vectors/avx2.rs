//! With AVX2.

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
    let (first, second) = unsafe { (_mm_loadu_si128(first.as_ptr().cast()), _mm_loadu_si128(second.as_ptr().cast())) };
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

/// Of 32 octets and more.
#[target_feature(enable = "avx2")]
pub(super) fn among(set: &[u8; 16], octets: &[u8]) -> u64 {
    let octets = octets.get(..64).unwrap_or(octets);
    let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) else { return 0 };
    let mask = |octets| u64::from(_mm256_movemask_epi8(are_among(set, load_half(octets))).cast_unsigned());
    // The halves may overlap.
    mask(first) | mask(last) << (octets.len() - 32)
}

/// Whether all are ASCII and none is in the set, of 32 octets and more.
#[target_feature(enable = "avx2")]
pub(super) fn is_ascii_without(set: &[u8; 16], octets: &[u8]) -> bool {
    let odd = |octets| _mm256_movemask_epi8(_mm256_or_si256(are_among(set, load_half(octets)), load_half(octets)));
    octets.as_chunks().0.iter().chain(octets.last_chunk()).all(|octets| odd(octets) == 0)
}

/// The highest bit of each octet that is in the set: for the lower four bits of it there is a bit for the higher ones.
#[inline]
#[target_feature(enable = "avx2")]
fn are_among(set: &[u8; 16], octets: __m256i) -> __m256i {
    // None where the highest is set.
    static BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0];
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(octets), all(15));
    let bit = _mm256_shuffle_epi8(table(&BITS), high);
    let bits = _mm256_shuffle_epi8(table(set), _mm256_and_si256(octets, all(15)));
    let both = _mm256_and_si256(bit, bits);
    _mm256_cmpeq_epi8(_mm256_min_epu8(both, all(1)), all(1))
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
