//! What needs no question.

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
