//! What both sets of instructions stand on.

use std::mem::MaybeUninit;

/// How far ahead of the reading and the writing the memory is asked for: on bodies of megabytes that is worth half as
/// much speed again.
pub(super) const READ_AHEAD: usize = 8192;
const WRITE_AHEAD: usize = 4096;

/// For how many octets room is made at once.
pub(super) const BLOCK: usize = 4096;

pub(super) const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A line of base64 as octets, and as characters.
pub(super) const LINE: usize = 57;
pub(super) const CHARACTERS: usize = 76;
/// For how many lines room is made at once.
pub(super) const LINES: usize = 64;

/// The room behind the octets of a vector, written from its start.
pub(super) struct Tail<'a> {
    octets: &'a mut Vec<u8>,
    /// How many octets behind the length are written.
    written: usize,
}

impl<'a> Tail<'a> {
    pub(super) fn new(octets: &'a mut Vec<u8>, room: usize) -> Self {
        octets.reserve(room);
        Self { octets, written: 0 }
    }

    /// Whether there is room for a vector of 64.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.octets.capacity() - self.octets.len() - self.written >= 64
    }

    /// Where something will be written soon.
    #[inline]
    pub(super) fn ahead(&self) -> *const i8 {
        self.octets.as_ptr().wrapping_add(self.octets.len() + self.written + WRITE_AHEAD).cast()
    }

    /// Has `N` octets stored, of which the first `count` are to stay. Without room nothing happens.
    ///
    /// # Safety
    /// `store` has to write the whole array.
    #[inline(always)]
    pub(super) unsafe fn push<const N: usize>(&mut self, count: usize, store: impl FnOnce(&mut [MaybeUninit<u8>; N])) {
        let room = self.octets.spare_capacity_mut().get_mut(self.written..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            store(room);
            self.written += count.min(N);
        }
    }

    /// Takes back the last octets.
    #[inline]
    pub(super) fn back(&mut self, count: usize) {
        self.written = self.written.saturating_sub(count);
    }

    /// Makes what was written part of the octets.
    pub(super) fn finish(self) {
        // SAFETY: `push` has written this many octets there, and there was room for them.
        unsafe { self.octets.set_len(self.octets.len() + self.written) };
    }
}

/// White space before the place where a kernel of quoted-printable ends may end a line: it is given back. It stands as
/// it was read, for no escape ends so.
pub(super) fn without_blank(encoded: &[u8], read: usize, octets: &mut Vec<u8>) -> usize {
    let front = encoded.get(..read).unwrap_or_default();
    let blank = front.iter().rev().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\x0c')).count();
    octets.truncate(octets.len() - blank);
    read - blank
}

/// Quoted-printable in vectors of 64, over what a module calls `load`, `is`, `is_low`, `digits`, `escapes` and `keep`.
macro_rules! quoted_printable {
    ($features:literal) => {
        #[target_feature(enable = $features)]
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
            without_blank(encoded, read, octets)
        }

        /// Reads vectors of 64 octets as long as there is room for them. Says how much was read.
        #[inline]
        #[target_feature(enable = $features)]
        fn quoted_printable_block(encoded: &[u8], tail: &mut Tail<'_>) -> usize {
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
                let cr = is(octets, b'\r');
                let (lf_second, crlf_next) = (is(second, b'\n'), is(second, b'\r') & is(third, b'\n'));
                // RFC 2045 §6.7 (3): white space that ends a line goes; the plain code knows what and how much. The CR
                // that is half a line end is none, and that other controls are taken for white space costs only time.
                let blank = is_low(octets) & !is(octets, b'\n');
                if blank & (crlf_next | lf_second & !cr) != 0 {
                    break;
                }
                let mut kept = !used;
                let mut decoded = octets;
                let mut next = 0;
                let equals = is(octets, b'=');
                if equals != 0 {
                    let (high, is_high) = digits(second);
                    let (low, is_low) = digits(third);
                    let escape = equals & is_high & is_low;
                    let (soft, bare_soft) = (equals & crlf_next, equals & lf_second);
                    if escape | soft | bare_soft != equals {
                        break;
                    }
                    decoded = escapes(octets, high, low);
                    let two_more = escape | soft;
                    kept &= !(soft | bare_soft | (two_more | bare_soft) << 1 | two_more << 2);
                    next = (two_more | bare_soft) >> 63 | two_more >> 62;
                }
                keep(kept, decoded, tail);
                read += 64;
                used = next;
            }
            read + used.count_ones() as usize
        }
    };
}
pub(super) use quoted_printable;
