//! Enough of DER (X.690 §10) to walk through keys and certificates: one element after the other, nothing interpreted.

/// `SEQUENCE`
const SEQUENCE: u8 = 0x30;

/// One element: its tag, its content, and what follows it. `None` where it is cut off, or its length is not written in at
/// most four octets.
pub(crate) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// What is in the `SEQUENCE` that `der` begins with, and what follows it.
pub(crate) fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    match element(der)? {
        (SEQUENCE, content, rest) => Some((content, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_cut_where_their_lengths_say() {
        let long = [&b"\x04\x82\x01\x00"[..], &[7; 256], b"\x05\x00"].concat();
        assert_eq!(element(&long), Some((4, &[7; 256][..], &b"\x05\x00"[..])));
        assert_eq!(sequence(b"\x30\x02\x05\x00\x02"), Some((&b"\x05\x00"[..], &b"\x02"[..])));
        for nonsense in [
            &b""[..],
            b"\x30",
            b"\x30\x80\x30\x00",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x02\x30",
            b"\x30\x85\0\0\0\0\0",
        ] {
            assert_eq!(element(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(sequence(b"\x31\x00"), None);
    }
}
