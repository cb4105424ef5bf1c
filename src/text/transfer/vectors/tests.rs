use super::*;

#[test]
fn text_is_what_is_utf8() {
    for len in (0..80).chain([255, 256, 257, 300, 511, 512, 700]) {
        for wrong in [&b""[..], b"\xff", "é".as_bytes(), b"\xc3"] {
            for at in 0..=len {
                let octets = [&vec![b'a'; at][..], wrong, &vec![b'b'; len - at]].concat();
                for level in [Level::Plain, Level::Avx512] {
                    LIMIT.set(level);
                    assert_eq!(text(&octets), std::str::from_utf8(&octets).ok(), "{level:?} {len} {at} {wrong:?}");
                }
                let plain = octets.is_ascii() && octets.len() < WORTH;
                assert_eq!(is_ascii_plain(&octets), plain, "{len} {at} {wrong:?}");
            }
        }
    }
}

/// Every beginning of a character, whole, cut, too long, too high, or half of a surrogate, and at each place of a vector.
#[test]
fn utf8_is_what_std_says() {
    let edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4];
    let check = |octets: &[u8]| assert_eq!(text(octets), std::str::from_utf8(octets).ok(), "{}", octets.escape_ascii());
    for first in (0x7f..=255).step_by(if cfg!(miri) { 23 } else { 1 }) {
        for second in edges {
            for third in edges {
                for rest in [&b""[..], b"a", b"\x80", b"\xbf\x80"] {
                    let odd = [&[first, second, third][..], rest].concat();
                    let at = usize::from(first ^ second ^ third) % 70;
                    check(&[&[b'a'; 70][..at], &odd, "\u{1f600}é".as_bytes()].concat());
                }
            }
        }
    }
    let characters =
        ["a", "é", "€", "\u{1f600}", "\u{d7ff}", "\u{e000}", "\u{10ffff}", "\u{800}", "\u{10000}", "\u{80}"];
    let mut random = 1_u64;
    let mut octets = Vec::new();
    for round in 0..if cfg!(miri) { 20 } else { 2000 } {
        let mut below = |limit: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % limit
        };
        octets.clear();
        for _ in 0..below(200) {
            octets.extend_from_slice(characters[below(if round % 3 == 0 { 10 } else { 2 })].as_bytes());
            octets.resize(octets.len() + if below(40) == 0 { below(300) } else { 0 }, b'x');
        }
        check(&octets);
        if !octets.is_empty() {
            let at = below(octets.len());
            octets[at] ^= 1 << below(8);
            check(&octets);
        }
    }
}

#[test]
fn plain_lines_end_where_something_is_odd() {
    let is_odd = |pair: &[u8]| {
        matches!(pair, [b'\r', next] if *next != b'\n')
            || matches!(pair, [this, b'\n'] if *this != b'\r')
            || pair == b"\n."
    };
    // Octets that are something odd but for their highest bit, and lines in between.
    let plain = b"0123456789\x8a\xae\x8d\x2e\r\nabc\r\n".repeat(40);
    for odd in [&b"\r"[..], b"\n", b"\r\n.", b"\n\r", b"\r\r\n"] {
        for at in (0..plain.len()).filter(|at| plain[at - at.min(&1)] != b'\r') {
            let text = [&plain[..at], odd, &plain[at..]].concat();
            for from in [0, 1, 3, 63] {
                let text = &text[from..];
                let first = text.windows(2).position(is_odd).unwrap_or(text.len() - 1);
                for level in [Level::Plain, Level::Avx2, Level::Avx512] {
                    LIMIT.set(level);
                    let clean = plain_lines(text);
                    assert!(clean <= first && first <= clean + 128, "{level:?} {at} {from}: {clean} {first}");
                    #[cfg(target_arch = "x86_64")]
                    assert!(level < Level::Avx512 || !avx512::is_here() || clean == first, "{at} {from}");
                }
            }
        }
    }
    LIMIT.set(Level::Avx512);
}

#[test]
fn sets_have_their_characters() {
    let set = Set::of(b" ;@\x7f\0");
    let octets: Vec<u8> = (0..=255).collect();
    for from in 0..256 {
        let expected = |n: usize| octets.get(from + n).is_some_and(|octet| b" ;@\x7f\0".contains(octet));
        let expected = (0..64).filter(|n| expected(*n)).fold(0_u64, |mask, n| mask | 1 << n);
        let first = octets[from..].iter().position(|octet| set.has(*octet));
        for level in [Level::Plain, Level::Avx2, Level::Avx512] {
            LIMIT.set(level);
            assert_eq!(set.among(&octets[from..]), expected, "{level:?} {from}");
            assert_eq!(set.find(&octets[from..]), first, "{level:?} {from}");
            for to in from..from.saturating_add(70).min(256) {
                let there = u64::MAX.checked_shl((to - from) as u32).map_or(u64::MAX, |behind| !behind);
                assert_eq!(set.among(&octets[from..to]), expected & there, "{level:?} {from} {to}");
            }
        }
    }
    LIMIT.set(Level::Avx512);
    assert_eq!(set.among(b""), 0);
}

#[test]
fn text_has_none_of_a_set() {
    let set = Set::of(b"\n=");
    for len in [0, 1, 15, 63, 64, 65, 127, 128, 200, 300] {
        for odd in [&b""[..], b"=", b"\n", b"\x8a", "é".as_bytes()] {
            for at in [0, 1, len / 2, len] {
                let octets = [&vec![b'a'; at.min(len)][..], odd, &vec![b'b'; len - at.min(len)]].concat();
                let expected = std::str::from_utf8(&octets).ok().filter(|_| odd.is_empty());
                for level in [Level::Plain, Level::Avx2, Level::Avx512] {
                    LIMIT.set(level);
                    let found = set.none_in(&octets);
                    // Without vectors what is long is left to others.
                    assert!(found == expected || found.is_none() && octets.len() >= WORTH, "{level:?} {len} {at}");
                }
            }
        }
    }
    LIMIT.set(Level::Avx512);
}

#[test]
fn line_ends_are_taken_out() {
    let pieces =
        [&b"\r"[..], b"\n", b"\r\n", b"\r\n ", b"a", b"?", b"\xc3\xa9", b"\x8a\x8d", &[b'x'; 61], &[b'y'; 130]];
    let mut random = 1_u64;
    for round in 0..3000 {
        let mut octets = Vec::new();
        for _ in 0..round % 8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            octets.extend_from_slice(pieces[(random >> 33) as usize % pieces.len()]);
        }
        // As the octets say one by one.
        let mut expected = Vec::new();
        for (at, octet) in octets.iter().enumerate() {
            let ends = *octet == b'\n' || *octet == b'\r' && octets.get(at + 1) == Some(&b'\n');
            expected.extend((!ends).then_some(*octet));
        }
        for level in [Level::Plain, Level::Avx512] {
            LIMIT.set(level);
            match unfold(&octets) {
                Ok(line) => {
                    assert_eq!(line.as_bytes(), expected, "{octets:?}");
                    assert!(line.is_ascii() && !line.contains('?'), "{octets:?}");
                }
                Err(line) => {
                    assert_eq!(line, expected, "{octets:?}");
                    let plain = line.is_ascii() && !line.contains(&b'?');
                    #[cfg(target_arch = "x86_64")]
                    assert!(!plain || level == Level::Plain || !avx512::is_here(), "{octets:?}");
                }
            }
        }
    }
    LIMIT.set(Level::Avx512);
}
