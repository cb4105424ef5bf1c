//! Line ends: messages travel with CRLF and lie on Unix disks with LF.
//!
//! On the way out of a store an LF that has no CR before it gets one; nothing else changes.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::{memchr_iter, memchr2};

/// The octets that [`to_crlf`] would give.
pub(crate) fn crlf_len(octets: &[u8]) -> u64 {
    octets.len() as u64 + bare_lfs(octets).count() as u64
}

/// Each LF without a CR before it gets one.
pub(crate) fn to_crlf(octets: Bytes) -> Bytes {
    match append_crlf(&octets) {
        Cow::Borrowed(_) => octets,
        Cow::Owned(octets) => octets.into(),
    }
}

pub(crate) fn append_crlf(octets: &[u8]) -> Cow<'_, [u8]> {
    let missing = bare_lfs(octets).count();
    if missing == 0 {
        return Cow::Borrowed(octets);
    }
    let mut out = Vec::with_capacity(octets.len() + missing);
    let mut from = 0;
    for at in bare_lfs(octets) {
        out.extend_from_slice(&octets[from..at]); // each LF is behind the one before it
        out.push(b'\r');
        from = at;
    }
    out.extend_from_slice(&octets[from..]); // the last LF is within
    Cow::Owned(out)
}

/// The message with its lines ended by LF, where [`to_crlf`] gives the same octets again (after bare LFs were made CRLF);
/// otherwise, that is where a CR stands before a CRLF, the octets with CRLF as they are.
pub(crate) fn to_disk(octets: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', 0, octets).is_none() {
        return Cow::Borrowed(octets);
    }
    if memchr::memmem::find(octets, b"\r\r\n").is_some() {
        return append_crlf(octets);
    }
    let mut out = Vec::with_capacity(octets.len());
    let mut from = 0;
    for at in memchr_iter(b'\n', octets) {
        let line = &octets[from..at]; // each LF is behind the one before it
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.push(b'\n');
        from = at + 1;
    }
    out.extend_from_slice(&octets[from..]); // behind the last LF
    Cow::Owned(out)
}

fn bare_lfs(octets: &[u8]) -> impl Iterator<Item = usize> {
    memchr_iter(b'\n', octets).filter(|at| at.checked_sub(1).and_then(|before| octets.get(before)) != Some(&b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_lf_changes() {
        for (input, expected) in [
            (&b""[..], &b""[..]),
            (b"a", b"a"),
            (b"\n", b"\r\n"),
            (b"\n\n\r\n\n", b"\r\n\r\n\r\n\r\n"),
            (b"a\nb\r\nc", b"a\r\nb\r\nc"),
            (b"a\rb\r\r\n", b"a\rb\r\r\n"),
        ] {
            assert_eq!(&to_crlf(Bytes::copy_from_slice(input))[..], expected);
            assert_eq!(crlf_len(input), expected.len() as u64);
            let disk = to_disk(input).into_owned();
            assert_eq!(&to_crlf(disk.into())[..], expected, "by way of the disk");
        }
    }

    #[test]
    fn the_disk_has_lf_where_nothing_is_lost() {
        assert_eq!(&to_disk(b"a\r\nb\rc\r\n")[..], b"a\nb\rc\n");
        assert_eq!(&to_disk(b"a\r\r\nb\n")[..], b"a\r\r\nb\r\n");
    }
}
