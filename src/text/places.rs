//! Where the characters of a set stand in a text, found 64 octets at a look: a header is pieces between a few characters.

use super::transfer::Set;

/// The places of characters in a text, asked for from front to back.
#[derive(Clone)]
pub(crate) struct Places<'a> {
    text: &'a [u8],
    set: &'static Set,
    /// Of the 64 octets from `base` on, those that are in the set.
    mask: u64,
    base: usize,
}

impl<'a> Places<'a> {
    pub(crate) fn new(text: &'a [u8], set: &'static Set) -> Self {
        Self { text, set, mask: set.among(text), base: 0 }
    }

    /// The first place from `at` on; the end of the text where there is none.
    #[inline]
    pub(crate) fn next(&mut self, mut at: usize) -> usize {
        loop {
            let within = at.wrapping_sub(self.base);
            if within < 64 {
                let rest = self.mask >> within;
                if rest != 0 {
                    return at + rest.trailing_zeros() as usize;
                }
                at = self.base + 64;
            }
            let rest = self.text.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return self.text.len();
            }
            (self.base, self.mask) = (at, self.set.among(rest));
        }
    }
}

impl std::fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("base", &self.base).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_set() {
        static SET: Set = Set::of(b"\0 ;\x7f");
        let mut random = 1_u64;
        for len in 0..300 {
            let octet = |_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let octet = (random >> 56) as u8;
                if random >> 40 & 31 == 0 { b';' } else { octet }
            };
            let text: Vec<u8> = (0..len).map(octet).collect();
            let mut places = Places::new(&text, &SET);
            for at in 0..=len {
                let expected = text[at..].iter().position(|octet| b"\0 ;\x7f".contains(octet)).map_or(len, |n| at + n);
                assert_eq!(places.next(at), expected, "{len} {at}");
                // And backwards.
                assert_eq!(places.next(0), text.iter().position(|octet| b"\0 ;\x7f".contains(octet)).unwrap_or(len));
            }
        }
    }
}
