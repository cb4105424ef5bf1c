//! The transfer encodings against slow and obvious readers, whole, in pieces, and read out of a message.

use std::io::Read;

use facteur::message::Message;
use facteur::text::transfer::{self, Base64Decoder, LINE, LONGEST_BLANK, QuotedPrintableDecoder};

/// What is written is as the RFC says and reads back; whatever is read is read as the slow readers do, however it is cut.
pub fn transfer(input: &[u8]) {
    // Vectors begin at a few hundred octets.
    let long = input.repeat(700 / input.len().max(1) + 1);
    for octets in [input, &long] {
        read(octets, input);

        let base64 = transfer::encode_base64(octets);
        assert_eq!(slow_base64(base64.as_bytes()), octets);
        assert_eq!(base64.len(), octets.len().div_ceil(3) * 4 + octets.len().div_ceil(LINE / 4 * 3) * 2);
        let mut lines = base64.lines().rev();
        assert!(lines.next().is_none_or(|last| last.len() <= LINE) && lines.all(|line| line.len() == LINE));
        let mut into = b"before".to_vec();
        transfer::encode_base64_into(octets, &mut into);
        assert_eq!(into, [b"before", base64.as_bytes()].concat());
        read(base64.as_bytes(), input);
        // Lines of another length, ended by LF.
        let length = input.first().map_or(60, |octet| usize::from(*octet) + 1);
        let characters: Vec<u8> = base64.bytes().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        read(&characters.chunks(length).collect::<Vec<_>>().join(&b'\n'), input);

        for (encoded, is_text) in [
            (transfer::encode_quoted_printable(octets), true),
            (transfer::encode_quoted_printable_binary(octets), false),
        ] {
            assert_eq!(slow_quoted_printable(encoded.as_bytes()), octets);
            for line in encoded.split("\r\n") {
                assert!(line.len() <= LINE && !line.ends_with([' ', '\t']));
                assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\t')));
            }
            assert!(is_text || encoded.lines().rev().skip(1).all(|line| line.ends_with('=')));
            read(encoded.as_bytes(), input);
        }
    }
}

/// Reads a text in both encodings, in all ways.
fn read(encoded: &[u8], cuts: &[u8]) {
    let expected = slow_base64(encoded);
    assert_eq!(transfer::decode_base64(encoded), expected);
    assert!(expected.len() <= encoded.len() * 3 / 4);
    let (mut decoder, mut octets) = (Base64Decoder::default(), Vec::new());
    for piece in pieces(encoded, cuts) {
        decoder.feed(piece, &mut octets);
    }
    decoder.finish(&mut octets);
    assert_eq!(octets, expected, "base64 in pieces");
    read_out("base64", encoded, &expected, cuts);

    let expected = slow_quoted_printable(encoded);
    assert_eq!(transfer::decode_quoted_printable(encoded), expected);
    let (mut decoder, mut octets) = (QuotedPrintableDecoder::default(), Vec::new());
    let mut fed = 0;
    for piece in pieces(encoded, cuts) {
        decoder.feed(piece, &mut octets);
        fed += piece.len();
        assert!(octets.len() <= fed);
    }
    decoder.finish(&mut octets);
    assert_eq!(octets, expected, "quoted-printable in pieces");
    read_out("quoted-printable", encoded, &expected, cuts);
}

fn read_out(encoding: &str, encoded: &[u8], expected: &[u8], cuts: &[u8]) {
    let header = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
    let message = Message::parse([header.as_bytes(), encoded].concat());
    assert_eq!(message.root().bytes(), expected);
    let (mut reader, mut octets) = (message.root().reader(), Vec::new());
    for size in cuts {
        let before = octets.len();
        octets.resize(before + usize::from(*size), 0);
        let read = reader.read(&mut octets[before..]).expect("it does not fail");
        octets.truncate(before + read);
    }
    reader.read_to_end(&mut octets).expect("it does not fail");
    assert_eq!(octets, expected, "read out");
}

/// In pieces as long as `cuts` says, over and over.
fn pieces<'a>(octets: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = octets;
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().map_or(1, |octet| usize::from(*octet).max(1));
        let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Bit by bit. A `=` ends a text of its own, behind which another may follow and nothing else; bits that make no octet are
/// dropped.
fn slow_base64(encoded: &[u8]) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut octets = Vec::new();
    for (n, text) in encoded.split(|octet| *octet == b'=').enumerate() {
        let first = text.iter().find(|octet| !octet.is_ascii_whitespace());
        if n > 0 && first.is_some_and(|octet| !ALPHABET.contains(char::from(*octet))) {
            break;
        }
        let values = text.iter().filter_map(|octet| ALPHABET.find(char::from(*octet)));
        let bits: Vec<bool> = values.flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1 == 1)).collect();
        let whole = bits.chunks_exact(8);
        octets.extend(whole.map(|bits| bits.iter().fold(0, |octet, bit| octet << 1 | u8::from(*bit))));
    }
    octets
}

/// Line by line, octet by octet.
fn slow_quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for line in encoded.split_inclusive(|octet| *octet == b'\n') {
        let (line, lf) = line.strip_suffix(b"\n").map_or((line, ""), |line| (line, "\n"));
        let blank = line.iter().rev().take_while(|octet| b" \t\r\x0c".contains(octet)).count();
        let (text, ending) = match blank {
            0..=LONGEST_BLANK if line.ends_with(b"\r") && !lf.is_empty() => (&line[..line.len() - blank], "\r\n"),
            0..=LONGEST_BLANK => (&line[..line.len() - blank], lf),
            _ => (line, lf),
        };
        let (text, ending) = text.strip_suffix(b"=").map_or((text, ending), |text| (text, ""));
        let mut at = 0;
        while at < text.len() {
            let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
            match (text[at], digit(at + 1), digit(at + 2)) {
                (b'=', Some(high), Some(low)) => {
                    octets.push((high * 16 + low) as u8);
                    at += 3;
                }
                (octet, ..) => {
                    octets.push(octet);
                    at += 1;
                }
            }
        }
        octets.extend_from_slice(ending.as_bytes());
    }
    octets
}
