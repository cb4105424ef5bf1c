//! The codecs alone: base64 and quoted-printable at mail line lengths, encoded words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use facteur::text::{transfer, words};

use crate::corpora::{self, Seed};
use crate::measure::{Peer, Rounds, Work};

pub fn run(rounds: Rounds) {
    let mut seed = Seed::new(8);
    for (name, len, items) in [("1MB", 1_000_000, 20), ("8KB", 8_000, 1000), ("200B", 200, 20_000)] {
        base64(rounds, name, seed.octets(len), items);
    }
    let text = |seed: &mut Seed, len| corpora::text(seed, len, 0).into_bytes();
    for (name, octets, items) in [
        ("html60KB", corpora::html(&mut seed, 60_000).into_bytes(), 50),
        ("ascii60KB", text(&mut seed, 60_000), 50),
        ("accents2KB", corpora::text(&mut seed, 2_000, 40).into_bytes(), 1000),
    ] {
        quoted_printable(rounds, name, octets, items);
    }
    encoded_words(rounds);
}

fn base64(rounds: Rounds, name: &str, octets: Vec<u8>, items: usize) {
    let mut encoded = Vec::new();
    corpora::base64(&octets, &mut encoded);
    let len = encoded.len() * items;
    rounds.compare(
        &Work { name: &format!("base64-decode/{name}"), items, octets: len, target: None },
        &mut [
            Peer::new("facteur", |_| sum(&transfer::decode_base64(&encoded))),
            Peer::new("encodify", |_| sum(&encodify::base64::MIME.decode(&encoded).unwrap_or_default())),
            Peer::new("base64", |_| {
                let joined: Vec<u8> =
                    encoded.split(|octet| matches!(octet, b'\r' | b'\n')).flatten().copied().collect();
                sum(&STANDARD.decode(joined).unwrap_or_default())
            }),
        ],
    );
    rounds.compare(
        &Work { name: &format!("base64-encode/{name}"), items, octets: len, target: None },
        &mut [
            Peer::new("facteur", |_| last_line(transfer::encode_base64(&octets).as_bytes())),
            Peer::new("encodify", |_| last_line(encodify::base64::MIME.encode(&octets).as_bytes())),
            Peer::new("base64", |_| {
                let mut out = String::with_capacity(encoded.len());
                for line in octets.chunks(57) {
                    STANDARD.encode_string(line, &mut out);
                    out.push_str("\r\n");
                }
                last_line(out.as_bytes())
            }),
        ],
    );
}

fn quoted_printable(rounds: Rounds, name: &str, octets: Vec<u8>, items: usize) {
    let mut encoded = Vec::new();
    corpora::quoted_printable(&octets, &mut encoded);
    let len = encoded.len() * items;
    rounds.compare(
        &Work { name: &format!("qp-decode/{name}"), items, octets: len, target: None },
        &mut [
            Peer::new("facteur", |_| sum(&transfer::decode_quoted_printable(&encoded))),
            Peer::new("encodify", |_| sum(&encodify::qp::BODY.decode(&encoded).unwrap_or_default())),
            Peer::new("quoted_printable", |_| {
                sum(&quoted_printable::decode(&encoded, quoted_printable::ParseMode::Robust).unwrap_or_default())
            }),
        ],
    );
    // Where lines are cut is free, so what was written is not compared but read back once.
    let ours = transfer::encode_quoted_printable(&octets);
    assert!(transfer::decode_quoted_printable(ours.as_bytes()) == octets, "what is written reads back");
    rounds.compare(
        &Work { name: &format!("qp-encode/{name}"), items, octets: len, target: None },
        &mut [
            Peer::new("facteur", |_| u64::from(!transfer::encode_quoted_printable(&octets).is_empty())),
            Peer::new("encodify", |_| u64::from(!encodify::qp::BODY.encode(&octets).is_empty())),
            Peer::new("quoted_printable", |_| u64::from(!quoted_printable::encode(&octets).is_empty())),
        ],
    );
}

fn encoded_words(rounds: Rounds) {
    let values = corpora::encoded_words();
    let len = values.iter().map(Vec::len).sum();
    let fields: Vec<Vec<u8>> = values.iter().map(|value| [b"Subject: ", value.as_slice(), b"\r\n"].concat()).collect();
    rounds.compare(
        &Work { name: "words-decode/subject", items: values.len(), octets: len, target: None },
        &mut [
            Peer::new("facteur", |n| sum(words::decode(&values[n]).as_bytes())),
            Peer::new("encodify", |n| {
                sum(encodify::rfc2047::decode_text(&values[n], encodify::rfc2047::utf8_charset).as_bytes())
            }),
            Peer::new("mailparse", |n| {
                sum(mailparse::parse_header(&fields[n])
                    .map(|(field, _)| field.get_value())
                    .unwrap_or_default()
                    .as_bytes())
            }),
        ],
    );
    let texts: Vec<String> = values.iter().map(|value| words::decode(value)).collect();
    rounds.compare(
        &Work { name: "words-encode/subject", items: texts.len(), octets: len, target: None },
        &mut [
            Peer::new("facteur", |n| u64::from(!words::encode(&texts[n]).is_empty())),
            Peer::new("encodify", |n| {
                let mut out = String::new();
                let mut column = "Subject: ".len();
                let fold = encodify::Fold::HEADER;
                encodify::rfc2047::Q_TEXT.encode_words("utf-8", &texts[n], &mut column, fold, &mut out);
                u64::from(!out.is_empty())
            }),
        ],
    );
}

/// Enough to see that octets are the same, and too little to count in the time.
fn sum(octets: &[u8]) -> u64 {
    let ends = octets.iter().take(64).chain(octets.iter().rev().take(64));
    ends.fold(octets.len() as u64, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(*octet)))
}

/// Some leave out the line end after the last line.
fn last_line(encoded: &[u8]) -> u64 {
    sum(encoded.trim_ascii_end())
}
