//! Sixteen octets looked at at once: for short pieces of a line, where a look at each octet, and a branch behind it, would be most
//! of the work. What is asked of them is answered by a bit for each, the lowest for the first.

use std::ops::BitOr;

use wide::u8x16;

use crate::base::eight::Eight;

/// Sixteen octets of a text, zeros behind its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sixteen(u8x16);

/// The octets from the start up to the first that `ends` has, and the others. It must have the zero, which is what stands behind
/// the end.
#[inline(always)]
pub(crate) fn up_to(input: &[u8], ends: impl Fn(Sixteen) -> u32) -> (&[u8], &[u8]) {
    let (mut rest, mut len) = (input, 0);
    loop {
        let (octets, behind) = Sixteen::split(rest);
        let ends = ends(octets);
        if ends != 0 {
            return input.split_at_checked(len + Sixteen::place(ends)).unwrap_or_default();
        }
        (rest, len) = (behind, len + 16);
    }
}

impl Sixteen {
    /// A bit for each octet.
    const ALL: u32 = 0xffff;

    /// The first of a text, and what follows them.
    #[inline(always)]
    pub(crate) fn split(rest: &[u8]) -> (Self, &[u8]) {
        match rest.split_first_chunk() {
            Some((octets, rest)) => (Self(u8x16::new(*octets)), rest),
            None => (Self::short(rest), &[]),
        }
    }

    /// Fewer than sixteen.
    #[inline(always)]
    fn short(rest: &[u8]) -> Self {
        let (first, last) = match rest.last_chunk() {
            Some(last) => (Eight::of(rest).0, u64::from_le_bytes(*last) >> 8 >> (8 * (15 - rest.len()))), // of 8 to 15 octets
            None => (Eight::of(rest).0, 0),
        };
        Self(u8x16::new((u128::from(first) | u128::from(last) << 64).to_le_bytes()))
    }

    /// Where an octet, which is not NUL, first stands in a text that is short as a rule; for long ones `memchr` is better.
    #[inline(always)]
    pub(crate) fn find(text: &[u8], octet: u8) -> Option<usize> {
        let mut rest = text;
        while !rest.is_empty() {
            let (octets, behind) = Self::split(rest);
            let found = octets.are(octet).bits();
            if found != 0 {
                return Some(text.len() - rest.len() + Self::place(found));
            }
            rest = behind;
        }
        None
    }

    /// They themselves.
    #[inline(always)]
    pub(crate) fn octets(self) -> [u8; 16] {
        self.0.to_array()
    }

    /// The first eight.
    #[inline(always)]
    pub(crate) fn eight(self) -> Eight {
        Eight::of(self.0.as_array_ref())
    }

    /// Which octet the first of some bits stands for.
    #[inline(always)]
    pub(crate) const fn place(bits: u32) -> usize {
        bits.trailing_zeros() as usize
    }

    /// Which are this one.
    #[inline(always)]
    pub(crate) fn are(self, octet: u8) -> Which {
        Which(self.0.cmp_eq(u8x16::splat(octet)))
    }

    /// Which are from `first` to `last`.
    #[inline(always)]
    pub(crate) fn are_among(self, first: u8, last: u8) -> Which {
        let above = self.0 - u8x16::splat(first);
        Which(above.min(u8x16::splat(last - first)).cmp_eq(above))
    }

    /// Which are letters or digits of ASCII.
    #[inline(always)]
    pub(crate) fn are_alphanumeric(self) -> Which {
        Self(self.0 | u8x16::splat(0x20)).are_among(b'a', b'z') | self.are_among(b'0', b'9')
    }

    /// Which are none of ASCII.
    #[inline(always)]
    pub(crate) fn are_beyond_ascii(self) -> Which {
        Which(self.0) // what says so is their highest bit, which is that of an answer
    }
}

/// An answer for each of sixteen octets.
#[derive(Clone, Copy)]
pub(crate) struct Which(u8x16);

impl Which {
    /// A bit for each, the lowest for the first.
    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0.move_mask().cast_unsigned()
    }

    /// The others.
    #[inline(always)]
    pub(crate) fn others(self) -> u32 {
        self.bits() ^ Sixteen::ALL
    }
}

impl BitOr for Which {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_answer_as_each_would() {
        for octet in 0..=255_u8 {
            for place in 0..16 {
                let mut octets = *b"a-Z.09@\x80\0z=A/:[\x7f";
                octets[place] = octet;
                let sixteen = Sixteen::split(&octets).0;
                let bits =
                    |is: fn(&u8) -> bool| octets.iter().rev().fold(0, |bits, octet| bits << 1 | u32::from(is(octet)));
                assert_eq!(sixteen.are(b'.').bits(), bits(|octet| *octet == b'.'), "{octets:?}");
                assert_eq!(sixteen.are(0).bits(), bits(|octet| *octet == 0), "{octets:?}");
                assert_eq!(sixteen.are_among(33, 126).bits(), bits(|octet| (33..=126).contains(octet)), "{octets:?}");
                assert_eq!(sixteen.are_among(0, 32).bits(), bits(|octet| *octet <= 32), "{octets:?}");
                assert_eq!(sixteen.are_alphanumeric().bits(), bits(u8::is_ascii_alphanumeric), "{octets:?}");
                assert_eq!(sixteen.are_beyond_ascii().bits(), bits(|octet| !octet.is_ascii()), "{octets:?}");
                let both = sixteen.are(b'.') | sixteen.are_beyond_ascii();
                assert_eq!(both.bits(), bits(|octet| *octet == b'.' || !octet.is_ascii()), "{octets:?}");
                assert_eq!(both.others(), bits(|octet| *octet != b'.' && octet.is_ascii()), "{octets:?}");
            }
        }
    }

    #[test]
    fn behind_the_end_are_zeros() {
        let text: Vec<u8> = (1..40).collect();
        for len in 0..=text.len() {
            let (sixteen, rest) = Sixteen::split(&text[..len]);
            let mut octets = [0; 16];
            octets[..len.min(16)].copy_from_slice(&text[..len.min(16)]);
            assert_eq!((sixteen.0.to_array(), rest), (octets, &text[len.min(16)..len]));
        }
    }

    #[test]
    fn a_piece_ends_where_it_is_said() {
        for (text, len) in [("SIZE=1", 4), ("", 0), ("HOLDFOR=12345678901", 7), ("sixteen0and1more=2", 16)] {
            let (piece, rest) = up_to(text.as_bytes(), |octets| octets.are_alphanumeric().others());
            assert_eq!((piece, rest), text.as_bytes().split_at(len));
            assert_eq!(Sixteen::split(text.as_bytes()).0.eight(), Eight::of(text.as_bytes()));
        }
        let long = [b'x'; 50];
        assert_eq!(up_to(&long, |octets| octets.are(0).bits()), (&long[..], &b""[..]));
    }
}
