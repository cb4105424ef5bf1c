//! Names of header fields: how long they are, a key to tell them apart, and those that are asked for most.

use wide::{CmpEq, CmpGt, i8x16};

/// The length of a name, its first octet, its middle and its last in one number, which is the same for all cases of letters:
/// fields are asked for by name one after the other, and nearly all others are told apart by this.
#[inline]
pub(in crate::message) const fn key(name: &[u8]) -> u16 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
    let middle = name[name.len() / 2]; // less than its length
    // The lengths may coincide, as all else may.
    let all = u32::from_le_bytes([*first | 0x20, middle | 0x20, *last | 0x20, name.len() as u8]);
    (all.wrapping_mul(0x9e37_79b1) >> 16) as u16 // the upper half, which depends on all of it
}

/// The fields that are asked for most. Where they are is noted when they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::message) enum Asked {
    From,
    To,
    Cc,
    Subject,
    Date,
    MessageId,
    ContentType,
    Encoding,
}

/// For each of [`Asked`] the place of its first field in the header, counted from 1; 0 where there is none, [`FAR`] where it is
/// not near enough to be counted. An octet for each, in one number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::message) struct Places(u64);

impl Places {
    #[inline]
    pub(in crate::message) fn of(self, asked: Asked) -> u8 {
        (self.0 >> (8 * asked as u32)) as u8 // there are eight
    }

    /// Sets the place of one that is not there yet.
    #[inline]
    pub(super) fn set(&mut self, asked: Asked, place: u8) {
        self.0 |= u64::from(place) << (8 * asked as u32); // there are eight
    }
}

/// So many fields stand before it, or more.
pub(in crate::message) const FAR: u8 = u8::MAX;

const NAMES: [(&str, Asked); 8] = [
    ("from", Asked::From),
    ("to", Asked::To),
    ("cc", Asked::Cc),
    ("subject", Asked::Subject),
    ("date", Asked::Date),
    ("message-id", Asked::MessageId),
    ("content-type", Asked::ContentType),
    ("content-transfer-encoding", Asked::Encoding),
];

impl Asked {
    /// The field of this name in any case of letters.
    pub(in crate::message) fn of(name: &[u8]) -> Option<Self> {
        Self::with_key(key(name)).filter(|asked| name.eq_ignore_ascii_case(asked.name().as_bytes()))
    }

    /// The only one that [`key`] says this of.
    #[inline]
    pub(super) fn with_key(name_key: u16) -> Option<Self> {
        // The place in the table and the key, by a few bits of the key, of which no two names have the same.
        static SLOTS: [(u16, u8); 32] = {
            let (mut slots, mut n) = ([(0, u8::MAX); 32], 0);
            while n < NAMES.len() {
                let key = key(NAMES[n].0.as_bytes()); // within the loop
                assert!(slots[slot(key)].1 == u8::MAX, "two names in one slot"); // below 32
                slots[slot(key)] = (key, n as u8); // below 32, and fewer than 255
                n += 1;
            }
            slots
        };
        const fn slot(key: u16) -> usize {
            (key & 31) as usize
        }
        let (known, place) = SLOTS[slot(name_key)]; // below 32
        if known == name_key { NAMES.get(usize::from(place)).map(|(_, asked)| *asked) } else { None }
    }

    /// Whether a line that begins so, which is ftext for the length of the name, has its name and a colon.
    #[inline]
    pub(super) fn begins(self, start: &[u8; 32]) -> bool {
        // Each name with its colon, and the octets that count. The bit of lower case is set in all of them: no two octets of
        // ftext are taken for the same by that but letters and some signs that no name has.
        static STARTS: [[(u64, u64); 4]; NAMES.len()] = {
            let (mut starts, mut n) = ([[(0, 0); 4]; NAMES.len()], 0);
            while n < NAMES.len() {
                let (name, mut at) = (NAMES[n].0.as_bytes(), 0); // within the loop
                while at <= name.len() {
                    let octet = if at < name.len() { name[at] } else { b':' };
                    starts[n][at / 8].0 |= (octet as u64) << (at % 8 * 8); // no name is longer than 31
                    starts[n][at / 8].1 |= 0xff << (at % 8 * 8);
                    at += 1;
                }
                n += 1;
            }
            starts
        };
        let words = start.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word) | 0x2020_2020_2020_2020);
        let known = &STARTS[self as usize]; // there is one for each
        known.iter().zip(words).fold(0, |other, ((known, counts), word)| other | (word & counts ^ known)) == 0
    }

    /// Its name, in lower case.
    pub(in crate::message) const fn name(self) -> &'static str {
        NAMES[self as usize].0 // in the order of the names, see below
    }
}

const _: () = {
    let mut n = 0;
    while n < NAMES.len() {
        assert!(NAMES[n].1 as usize == n, "the names are in the order of the fields"); // within the loop
        n += 1;
    }
};

/// Where the colon of a field is: `field = field-name ":" …`, `field-name = 1*ftext` (RFC 5322 §3.6.8), white space before
/// the colon read (§4.5). `None` where the line is no field.
pub(super) fn colon(line: &[u8]) -> Option<usize> {
    let len = ftext_len(line);
    match line.get(len)? {
        _ if len == 0 => None,
        b':' => Some(len),
        b' ' | b'\t' => {
            let spaces = line.get(len..)?.iter().position(|octet| !matches!(octet, b' ' | b'\t'))?;
            (line.get(len + spaces) == Some(&b':')).then_some(len + spaces)
        }
        _ => None,
    }
}

/// The start of the line at `at`, and the length of the name in it, where a colon follows at once and the line is surely no
/// delimiter.
#[inline]
pub(super) fn usual_name(raw: &[u8], at: usize) -> Option<(&[u8; 32], usize)> {
    // Nearly all names are shorter than this.
    let start = raw.get(at..)?.first_chunk::<32>()?;
    let len = short_ftext(start);
    (len > 0 && start.get(len) == Some(&b':') && !start.starts_with(b"-")).then_some((start, len))
}

/// How many octets at the start are `ftext = %d33-57 / %d59-126`.
fn ftext_len(line: &[u8]) -> usize {
    line.iter().position(|octet| !matches!(octet, 33..=57 | 59..=126)).unwrap_or(line.len())
}

/// The same of a few.
#[inline]
fn short_ftext(start: &[u8; 32]) -> usize {
    let (halves, _) = start.as_chunks::<16>();
    (!halves.iter().rev().fold(0, |all, half| all << 16 | ftext(half))).trailing_zeros() as usize
}

/// One bit for each octet that is `ftext`.
#[inline]
fn ftext(octets: &[u8; 16]) -> u32 {
    let octets = i8x16::new(octets.map(u8::cast_signed));
    // With one more, and as signed numbers: those from 127 on are below zero.
    let printable = (octets + i8x16::splat(1)).cmp_gt(i8x16::splat(33));
    (printable & !octets.cmp_eq(i8x16::splat(b':'.cast_signed()))).move_mask().cast_unsigned()
}

/// Whether what stands before a colon is this name, given in lower case.
pub(in crate::message) fn is_name(before_colon: &[u8], name: &[u8]) -> bool {
    before_colon.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && before_colon.get(name.len()..).is_some_and(|rest| rest.iter().all(|octet| matches!(octet, b' ' | b'\t')))
}

#[cfg(test)]
mod tests {
    use super::{ftext_len, short_ftext};

    #[test]
    fn vectors_say_what_octets_say() {
        for place in 0..50 {
            for octet in 0..=255 {
                for before in [b'!', b'~', b'9', b';', b'a'] {
                    let mut line = [before; 50];
                    line[place] = octet;
                    let ftext = matches!(octet, 33..=57 | 59..=126);
                    assert_eq!(ftext_len(&line), if ftext { 50 } else { place }, "{octet} at {place} after {before}");
                    assert_eq!(ftext_len(&line[..place]), place);
                    assert_eq!(short_ftext(line.first_chunk().unwrap()), ftext_len(&line).min(32));
                }
            }
        }
    }
}
