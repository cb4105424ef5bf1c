//! Eight octets looked at as one number: for short pieces of a line, where a look at each octet, and a branch behind it, would be
//! most of the work. What is asked of them is answered by a bit for each, the highest of its octet.

/// Eight octets of a text, the first in the lowest bits, zeros behind its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Eight(pub(crate) u64);

/// The octets from the start up to the first that `ends` has, and the others. It must have the zero, which is what stands behind
/// the end.
#[inline(always)]
pub(crate) fn up_to(input: &[u8], ends: impl Fn(Eight) -> u64) -> (&[u8], &[u8]) {
    let (mut rest, mut len) = (input, 0);
    loop {
        let (octets, behind) = Eight::split(rest);
        let ends = ends(octets);
        if ends != 0 {
            return input.split_at_checked(len + Eight::place(ends)).unwrap_or_default();
        }
        (rest, len) = (behind, len + 8);
    }
}

/// A word of up to eight letters and digits, its letters in upper case, as a number that is compared at once; 0 for a longer one.
/// No other printable octet becomes a letter or digit in it.
#[inline(always)]
pub(crate) const fn word(octets: &[u8]) -> u64 {
    match octets.first_chunk() {
        Some(eight) if octets.len() == 8 => u64::from_le_bytes(*eight) & UPPER,
        Some(_) => 0,
        None => Eight::short(octets).0 & UPPER,
    }
}

const UPPER: u64 = each(0xdf);

impl Eight {
    /// The highest bit of each octet.
    pub(crate) const ALL: u64 = each(0x80);

    /// The first of a text, and what follows them.
    #[inline(always)]
    pub(crate) fn split(rest: &[u8]) -> (Self, &[u8]) {
        match rest.split_first_chunk() {
            Some((octets, rest)) => (Self(u64::from_le_bytes(*octets)), rest),
            None => (Self::short(rest), &[]),
        }
    }

    /// Fewer than eight, looked at without a loop: its beginning and its end, which may overlap.
    #[inline(always)]
    const fn short(rest: &[u8]) -> Self {
        let width = 8 * rest.len() as u32; // fewer than 64 bits
        match (rest.first_chunk(), rest.last_chunk(), rest) {
            (Some(first), Some(last), _) => {
                let (first, last) = (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64);
                Self(first | last << (width - 32)) // four octets at least
            }
            (.., [first, second, .., last]) => Self(*first as u64 | (*second as u64) << 8 | (*last as u64) << 16),
            (.., [first, second]) => Self(*first as u64 | (*second as u64) << 8),
            (.., [one]) => Self(*one as u64),
            _ => Self(0),
        }
    }

    /// All of them with the letters in lower case, and others changed.
    #[inline(always)]
    pub(crate) const fn lower(self) -> u64 {
        self.0 | each(0x20)
    }

    /// All of them, as a [`word`].
    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.0 & UPPER
    }

    /// What stands before the first of some bits, as a [`word`].
    #[inline(always)]
    pub(crate) const fn word_up_to(self, bits: u64) -> u64 {
        let first = bits & bits.wrapping_neg();
        self.0 & UPPER & (first >> 7).wrapping_sub(1)
    }

    /// Which octet the first of some bits stands for.
    #[inline(always)]
    pub(crate) const fn place(bits: u64) -> usize {
        (bits.trailing_zeros() / 8) as usize // at most eight
    }

    /// Which are this one of ASCII.
    #[inline(always)]
    pub(crate) const fn are(self, octet: u8) -> u64 {
        !(((self.0 & each(0x7f)) ^ each(octet)) + each(0x7f)) & !self.0 & Self::ALL
    }

    /// Which are one of ASCII from `first` to `last`.
    #[inline(always)]
    pub(crate) const fn are_among(self, first: u8, last: u8) -> u64 {
        let low = self.0 & each(0x7f); // so that no sum is carried from octet to octet
        (low + each(0x80 - first)) & !(low + each(0x7f - last)) & !self.0 & Self::ALL
    }

    /// Which are letters or digits of ASCII.
    #[inline(always)]
    pub(crate) const fn are_alphanumeric(self) -> u64 {
        Self(self.0 | each(0x20)).are_among(b'a', b'z') | self.are_among(b'0', b'9')
    }

    /// Which are none of ASCII.
    #[inline(always)]
    pub(crate) const fn are_beyond_ascii(self) -> u64 {
        self.0 & Self::ALL
    }
}

/// The octet eight times.
const fn each(octet: u8) -> u64 {
    u64::from_le_bytes([octet; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_answer_as_each_would() {
        for octet in 0..=255_u8 {
            for place in 0..8 {
                let mut octets = *b"a-Z.09@\x80";
                octets[place] = octet;
                let eight = Eight::split(&octets).0;
                let bits = |is: fn(&u8) -> bool| {
                    octets.iter().rev().fold(0, |bits, octet| bits << 8 | u64::from(is(octet)) << 7)
                };
                assert_eq!(eight.are(b'.'), bits(|octet| *octet == b'.'), "{octets:?}");
                assert_eq!(eight.are(0), bits(|octet| *octet == 0), "{octets:?}");
                assert_eq!(eight.are_among(33, 126), bits(|octet| (33..=126).contains(octet)), "{octets:?}");
                assert_eq!(eight.are_alphanumeric(), bits(u8::is_ascii_alphanumeric), "{octets:?}");
                assert_eq!(eight.are_beyond_ascii(), bits(|octet| !octet.is_ascii()), "{octets:?}");
            }
        }
    }

    #[test]
    fn behind_the_end_are_zeros() {
        let text = b"abcdefghijk";
        for len in 0..=text.len() {
            let (eight, rest) = Eight::split(&text[..len]);
            let mut octets = [0; 8];
            octets[..len.min(8)].copy_from_slice(&text[..len.min(8)]);
            assert_eq!((eight.0, rest), (u64::from_le_bytes(octets), &text[len.min(8)..len]));
        }
    }

    #[test]
    fn words_are_told_apart_but_for_case() {
        assert_eq!(word(b"smtpUTF8"), word(b"SMTPUTF8"));
        assert_eq!((word(b"SMTPUTF88"), word(b"")), (0, 0));
        let printable = || 33..=126_u8;
        for (a, b) in printable().flat_map(|a| printable().map(move |b| (a, b))) {
            if a.is_ascii_alphanumeric() {
                assert_eq!(word(&[a]) == word(&[b]), a.eq_ignore_ascii_case(&b), "{a} {b}");
            }
        }
        for (text, length) in [("SIZE=1", 4), ("SMTPUTF8", 8), ("a", 1)] {
            let eight = Eight::split(text.as_bytes()).0;
            let ends = Eight::ALL & !eight.are_alphanumeric();
            assert_eq!(eight.word_up_to(ends), word(&text.as_bytes()[..length]));
            assert_eq!(up_to(text.as_bytes(), |octets| Eight::ALL & !octets.are_alphanumeric()).0.len(), length);
        }
    }
}
