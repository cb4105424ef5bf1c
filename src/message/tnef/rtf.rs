//! The compressed RTF of Outlook (MS-OXRTFCP): runs out of a window, which begins with what every such text holds.

use bytes::Bytes;

use super::read::Reader;

/// What stands in the dictionary before the first octet (MS-OXRTFCP §2.1.2.1).
const DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\
\\tab\\tx";
/// How long the dictionary is: a power of two, in which places wrap around.
const WINDOW: usize = 4096;

/// RTF as MS-OXRTFCP §2.1.3.1 packs it: `None` where it does not begin so. What is cut off is read as far as it goes.
pub(super) fn decompress(packed: &Bytes) -> Option<Vec<u8>> {
    let mut reader = Reader { octets: packed.clone(), at: 0 };
    let (_size, len, kind, _crc) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let len = usize::try_from(len).ok()?;
    match &kind.to_le_bytes() {
        b"MELA" => return Some(reader.most(len).rest().to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut window = [0; WINDOW];
    window.iter_mut().zip(DICTIONARY).for_each(|(place, octet)| *place = *octet);
    let mut out = Vec::new();
    let mut write = DICTIONARY.len();
    let mut put = |out: &mut Vec<u8>, window: &mut [u8; WINDOW], octet: u8| {
        window[write % WINDOW] = octet; // below the length
        write += 1;
        out.push(octet);
        write
    };
    let mut at = DICTIONARY.len();
    'runs: while let Some(control) = reader.u8() {
        for bit in 0..8 {
            if out.len() >= len {
                break 'runs;
            }
            if control >> bit & 1 == 0 {
                let Some(octet) = reader.u8() else { break 'runs };
                at = put(&mut out, &mut window, octet);
                continue;
            }
            // Twelve bits of place, four of length less two, the big end first.
            let Some(reference) = reader.u16().map(u16::swap_bytes) else { break 'runs };
            let (from, count) = (usize::from(reference >> 4), usize::from(reference & 15) + 2);
            // A reference to where the next octet goes ends it.
            if from == at % WINDOW {
                break 'runs;
            }
            for n in 0..count {
                let octet = window[(from + n) % WINDOW]; // below the length
                at = put(&mut out, &mut window, octet);
            }
        }
    }
    out.truncate(len);
    Some(out)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// MS-OXRTFCP §3.1.1.
    pub fn packed() -> Vec<u8> {
        let words: [u8; 49] = [
            0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72,
            0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62,
            0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        words.to_vec()
    }

    /// MS-OXRTFCP §3.1.1, and §3.1.2 where a run overlaps itself.
    #[test]
    fn rtf_is_decompressed_as_the_specification_shows() {
        let overlapping: [u8; 30] = [
            0x1a, 0, 0, 0, 0x1c, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xe2, 0xd4, 0x4b, 0x51, 0x41, 0x00, 0x04, 0x20, 0x57,
            0x58, 0x59, 0x5a, 0x0d, 0x6e, 0x7d, 0x01, 0x0e, 0xb0,
        ];
        for (packed, expected) in [
            (packed(), Some(&b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"[..])),
            (overlapping.to_vec(), Some(b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}")),
            (overlapping[..24].to_vec(), Some(b"{\\rtf1 WXYZ")),
            (b"\x10\0\0\0\x04\0\0\0MELA\0\0\0\0{\\a}".to_vec(), Some(b"{\\a}")),
            (b"\x10\0\0\0\xff\xff\xff\xffMELA\0\0\0\0{".to_vec(), Some(b"{")),
            (b"\x10\0\0\0\x04\0\0\0LZFx\0\0\0\0{\\a}".to_vec(), None),
            (b"LZFu".to_vec(), None),
        ] {
            assert_eq!(decompress(&packed.into()).as_deref(), expected);
        }
        assert_eq!(DICTIONARY.len(), 207);
    }
}
