//! Charsets that mail has and browsers have not, so that encoding_rs does not know them: UTF-32, HZ (RFC 1843), ISO-2022-KR
//! (RFC 1557), ISO-2022-CN (RFC 1922), and three code pages of DOS.
//!
//! Left out: CNS 11643 in ISO-2022-CN, whose characters become U+FFFD, and writing any of them.

use encoding_rs::{EUC_KR, Encoding, GBK};

/// A charset that is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Legacy {
    /// Big-endian where no byte order mark says otherwise.
    Utf32,
    Utf32Le,
    Hz,
    Iso2022Kr,
    Iso2022Cn,
    /// A code page: the characters of the octets from 128 on.
    Page(&'static str),
}

const PAGE_437: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ",
    "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐",
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀",
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
);
const PAGE_850: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒ",
    "áíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐",
    "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀",
    "ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
);
const PAGE_852: &str = concat!(
    "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×č",
    "áíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐",
    "└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀",
    "ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
);

impl Legacy {
    /// Finds a charset by its label, of which only the letters, in lower case, and digits are left.
    pub fn of(label: &str) -> Option<Self> {
        Some(match label {
            "utf32" | "utf32be" | "ucs4" | "iso10646ucs4" => Self::Utf32,
            "utf32le" => Self::Utf32Le,
            "hzgb2312" | "hz" => Self::Hz,
            "iso2022kr" | "csiso2022kr" => Self::Iso2022Kr,
            "iso2022cn" | "iso2022cnext" => Self::Iso2022Cn,
            "cp437" | "ibm437" | "437" | "cspc8codepage437" => Self::Page(PAGE_437),
            "cp850" | "ibm850" | "850" | "cspc850multilingual" => Self::Page(PAGE_850),
            "cp852" | "ibm852" | "852" | "cspcp852" => Self::Page(PAGE_852),
            _ => return None,
        })
    }

    pub fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Utf32 => match octets {
                [0xff, 0xfe, 0, 0, octets @ ..] => utf32(octets, u32::from_le_bytes),
                [0, 0, 0xfe, 0xff, octets @ ..] => utf32(octets, u32::from_be_bytes),
                _ => utf32(octets, u32::from_be_bytes),
            },
            Self::Utf32Le => utf32(octets, u32::from_le_bytes),
            Self::Hz => through(GBK, &hz(octets)),
            Self::Iso2022Kr => through(EUC_KR, &shifted(octets)),
            Self::Iso2022Cn => through(GBK, &shifted(octets)),
            Self::Page(page) => {
                let upper: Vec<char> = page.chars().collect();
                let character = |octet: &u8| upper.get(usize::from(*octet).wrapping_sub(128)).copied();
                octets.iter().map(|octet| character(octet).unwrap_or(char::from(*octet))).collect()
            }
        }
    }
}

fn utf32(octets: &[u8], read: fn([u8; 4]) -> u32) -> String {
    let units = octets.chunks(4).map(|unit| unit.try_into().ok().and_then(|unit| char::from_u32(read(unit))));
    units.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn through(encoding: &'static Encoding, octets: &[u8]) -> String {
    encoding.decode_without_bom_handling(octets).0.into_owned()
}

/// HZ as octets of EUC-CN: RFC 1843 has `~{` and `~}` around pairs of seven bits, `~~` for a tilde, and a tilde before a
/// line end that is none.
fn hz(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut pairs = false;
    let mut rest = octets;
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (b'~', [b'{', after @ ..]) => (pairs, rest) = (true, after),
            (b'~', [b'}', after @ ..]) => (pairs, rest) = (false, after),
            (b'~', [b'~', after @ ..]) if !pairs => {
                out.push(b'~');
                rest = after;
            }
            (b'~', [b'\n', after @ ..] | [b'\r', b'\n', after @ ..]) if !pairs => rest = after,
            // "the line terminators ... the text is in ASCII mode" behind them.
            (b'\n', _) => {
                pairs = false;
                out.push(b'\n');
            }
            (0x21..=0x7e, _) if pairs => out.push(octet | 0x80),
            _ => out.push(*octet),
        }
    }
    out
}

/// ISO-2022-KR or ISO-2022-CN as octets of EUC: between SO and SI pairs of seven bits, the set chosen by an escape.
fn shifted(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    // A set that EUC has not: CNS 11643.
    let (mut pairs, mut strange) = (false, false);
    let mut rest = octets;
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after) {
            (0x1b, [b'$', b')' | b'*' | b'+', set, after @ ..]) => {
                strange = !matches!(set, b'A' | b'C');
                rest = after;
            }
            (0x0e, _) => pairs = true,
            (0x0f, _) => pairs = false,
            // 0xff is no octet of EUC.
            (0x21..=0x7e, [0x21..=0x7e, after @ ..]) if pairs && strange => {
                out.push(0xff);
                rest = after;
            }
            (0x21..=0x7e, _) if pairs => out.push(octet | 0x80),
            (b'\n', _) => {
                pairs = false;
                out.push(b'\n');
            }
            _ => out.push(*octet),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_charsets_are_read() {
        for (label, octets, text) in [
            ("utf32", &b"\0\0\0a\0\x01\xf6\0"[..], "a😀"),
            ("utf32", b"\xff\xfe\0\0a\0\0\0", "a"),
            ("utf32", b"\0\0\xfe\xff\0\0\0a", "a"),
            ("utf32le", b"a\0\0\0b\0\0", "a\u{fffd}"),
            ("utf32", b"\0\x11\0\0", "\u{fffd}"),
            // RFC 1843 §2, the example in its Chinese words
            ("hzgb2312", b"~{<:Ky2;S{#,NpJ)l6HK!#~}Bye.", "己所不欲，勿施於人。Bye."),
            ("hz", b"a~~b~\nc ~{<:\nd", "a~bc 己\nd"),
            // RFC 1557 §1: the designation, then SO and SI
            ("iso2022kr", b"\x1b$)C\x0e0!\x0fA", "가A"),
            ("iso2022cn", b"\x1b$)A\x0e<:\x0fA", "己A"),
            ("iso2022cn", b"\x1b$)G\x0e<:\x0fA", "\u{fffd}A"),
            ("cp437", b"na\x8bve \xe1", "naïve ß"),
            ("cp850", b"\x94l \xd5", "öl ı"),
            ("cp852", b"\xa9\x88", "ęł"),
        ] {
            assert_eq!(Legacy::of(label).unwrap().decode(octets), text, "{label}");
        }
        for page in [PAGE_437, PAGE_850, PAGE_852] {
            assert_eq!(page.chars().count(), 128);
        }
    }
}
