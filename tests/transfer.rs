//! The transfer encodings on generated texts, by the properties of the fuzz target.

#[path = "../fuzz/src/transfer.rs"]
mod target;

use proptest::prelude::*;

/// What is met in an encoded body, and what should not be.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let word = |word: &'static [u8]| Just(word.to_vec());
    prop_oneof![
        4 => "[A-Za-z0-9+/]{1,80}".prop_map(String::into_bytes),
        3 => word(b"\r\n"),
        1 => word(b"\n"),
        1 => word(b"\r"),
        2 => word(b"=\r\n"),
        1 => word(b"=\n"),
        3 => word(b"=C3=A9"),
        1 => word(b"=3d"),
        1 => word(b"="),
        2 => "[ \t\r\x0c]{1,70}".prop_map(String::into_bytes),
        1 => word(b" "),
        1 => word(&[b' '; 997]),
        1 => word(b"=4"),
        1 => prop::collection::vec(any::<u8>(), 1..9),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_read_is_what_slow_readers_read(pieces in prop::collection::vec(piece(), 0..60)) {
        target::transfer(&pieces.concat());
    }

    /// Whole vectors of the usual, with one thing out of the ordinary somewhere.
    #[test]
    fn one_odd_piece_is_found_wherever_it_stands(
        before in 0_usize..200, after in 0_usize..200, odd in piece(), usual in prop::sample::select(vec!["x", "=41", "=\r\n", "w "])
    ) {
        target::transfer(&[usual.repeat(before).as_bytes(), &odd, usual.repeat(after).as_bytes()].concat());
    }
}
