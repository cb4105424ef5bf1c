//! Up to eight octets looked at as one number: for names and words, which are compared at once. What is asked of them is answered
//! by a bit for each, the highest of its octet.

/// Eight octets of a text, the first in the lowest bits, zeros behind its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Eight(pub(crate) u64);

/// A word of up to eight letters and digits, its letters in upper case, as a number that is compared at once; 0 for a longer one.
/// No other printable octet becomes a letter or digit in it.
#[inline(always)]
pub(crate) const fn word(octets: &[u8]) -> u64 {
    match octets.len() {
        0..=8 => Eight::of(octets).0 & UPPER,
        _ => 0,
    }
}

const UPPER: u64 = each(0xdf);

impl Eight {
    /// The highest bit of each octet.
    pub(crate) const ALL: u64 = each(0x80);

    /// The first of a text, and what follows them.
    #[inline(always)]
    pub(crate) fn split(rest: &[u8]) -> (Self, &[u8]) {
        (Self::of(rest), rest.get(8..).unwrap_or_default())
    }

    /// The first of a text, looked at without a loop: where there are fewer than eight, its beginning and its end, which may
    /// overlap.
    #[inline(always)]
    pub(crate) const fn of(text: &[u8]) -> Self {
        if let Some(eight) = text.first_chunk() {
            return Self(u64::from_le_bytes(*eight));
        }
        let width = 8 * text.len() as u32; // fewer than 64 bits
        match (text.first_chunk(), text.last_chunk(), text) {
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

    /// The first so many as a [`word`]; 0 for none and for more than there are.
    #[inline(always)]
    pub(crate) const fn word(self, len: usize) -> u64 {
        match len {
            1..=8 => self.0 & UPPER & u64::MAX >> (64 - 8 * len),
            _ => 0,
        }
    }

    /// Which are this one of ASCII.
    #[inline(always)]
    pub(crate) const fn are(self, octet: u8) -> u64 {
        !(((self.0 & each(0x7f)) ^ each(octet)) + each(0x7f)) & !self.0 & Self::ALL
    }

    /// Which are letters or digits of ASCII.
    #[inline(always)]
    pub(crate) const fn are_alphanumeric(self) -> u64 {
        Self(self.lower()).are_among(b'a', b'z') | self.are_among(b'0', b'9')
    }

    /// Which are one of ASCII from `first` to `last`.
    #[inline(always)]
    const fn are_among(self, first: u8, last: u8) -> u64 {
        let low = self.0 & each(0x7f); // so that no sum is carried from octet to octet
        (low + each(0x80 - first)) & !(low + each(0x7f - last)) & !self.0 & Self::ALL
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
                let eight = Eight::of(&octets);
                let bits = |is: fn(&u8) -> bool| {
                    octets.iter().rev().fold(0, |bits, octet| bits << 8 | u64::from(is(octet)) << 7)
                };
                assert_eq!(eight.are(b'.'), bits(|octet| *octet == b'.'), "{octets:?}");
                assert_eq!(eight.are(0), bits(|octet| *octet == 0), "{octets:?}");
                assert_eq!(eight.are_among(33, 126), bits(|octet| (33..=126).contains(octet)), "{octets:?}");
                assert_eq!(eight.are_alphanumeric(), bits(u8::is_ascii_alphanumeric), "{octets:?}");
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
        for (text, len) in [("SIZE=1", 4), ("SMTPUTF8", 8), ("a", 1), ("HOLDFOR=12345678901", 7)] {
            let octets = Eight::of(text.as_bytes());
            assert_eq!(octets.word(len), word(&text.as_bytes()[..len]));
            assert_eq!((octets.word(9), octets.word(0), octets.word(32)), (0, 0, 0));
        }
    }
}
