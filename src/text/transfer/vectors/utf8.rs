//! Whether octets are UTF-8, with AVX-512.

use std::arch::x86_64::*;

use super::avx512::{all, is, load, load_first};

#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn is_utf8(octets: &[u8]) -> bool {
    let high = |block: &[u8; 64]| _mm512_movepi8_mask(load(block)) != 0;
    let joined = |all, octets: &[u8; 64]| _mm512_or_si512(all, load(octets));
    let ascii =
        |octets: &[u8; 256]| _mm512_movepi8_mask(octets.as_chunks().0.iter().fold(_mm512_setzero_si512(), joined)) == 0;
    // Most text is ASCII from its first octet to its last.
    let mut rest = octets;
    while let Some((many, behind)) = rest.split_first_chunk()
        && ascii(many)
    {
        rest = behind;
    }
    while let Some((block, behind)) = rest.split_first_chunk()
        && !high(block)
    {
        rest = behind;
    }
    _mm512_movepi8_mask(load_first(rest).0) == 0 || is_utf8_from(rest)
}

/// As [`is_utf8`] of what is not ASCII.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
fn is_utf8_from(octets: &[u8]) -> bool {
    // Of the octets at the front of the next block those that go on with a character, a bit for each.
    let mut due = 0;
    let (blocks, _) = octets.as_chunks();
    let behind = |at: usize| octets.get(at..).unwrap_or_default();
    for (n, octets) in blocks.iter().enumerate() {
        if !is_block(load(octets), || load_first(behind(n * 64 + 1)).0, &mut due) {
            return false;
        }
    }
    let at = blocks.len() * 64;
    is_block(load_first(behind(at)).0, || load_first(behind(at + 1)).0, &mut due)
}

/// Whether 64 octets, of which each is followed by its place in `second`, are as RFC 3629 §4 has them. Those that are due in front
/// of them, and behind them, are a bit each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn is_block(octets: __m512i, second: impl Fn() -> __m512i, due: &mut u64) -> bool {
    let high = _mm512_movepi8_mask(octets);
    if high | *due == 0 {
        return true;
    }
    // UTF8-tail = %x80-BF, which are the least as signed numbers.
    let tail = _mm512_cmplt_epi8_mask(octets, all(0xc0));
    // UTF8-2 = %xC2-DF UTF8-tail
    let first = high & !tail;
    let mut wrong = first & _mm512_cmple_epu8_mask(octets, all(0xc1));
    let mut expected = *due | first << 1;
    *due = first >> 63;
    let three = _mm512_cmpge_epu8_mask(octets, all(0xe0));
    if three != 0 {
        expected |= three << 2;
        *due |= three >> 62;
        let four = _mm512_cmpge_epu8_mask(octets, all(0xf0));
        let (e0, ed) = (is(octets, 0xe0), is(octets, 0xed));
        if four | e0 | ed != 0 {
            let second = second();
            let below = |octet| _mm512_cmplt_epu8_mask(second, all(octet));
            // UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xED %x80-9F UTF8-tail / others with 2( UTF8-tail )
            wrong |= e0 & below(0xa0) | ed & !below(0xa0);
            // UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
            wrong |= is(octets, 0xf0) & below(0x90) | is(octets, 0xf4) & !below(0x90);
            wrong |= _mm512_cmpge_epu8_mask(octets, all(0xf5));
            expected |= four << 3;
            *due |= four >> 61;
        }
    }
    // No octet is expected twice, for those between a first one and its last are tails.
    wrong | (expected ^ tail) == 0
}
