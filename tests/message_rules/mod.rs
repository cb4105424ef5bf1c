//! What every message that is built has to keep, whoever asked for it.

use facteur::message::{Encoding, Message};

/// The rules for what may travel: RFC 5322 §2.1.1, §2.2, §2.3, §3.6; RFC 2045 §2.7, §2.8, §6.4; RFC 2047 §2.
pub fn strict(message: &Message, utf8: bool, eight_bit: bool) {
    assert_eq!(message.defects(), [], "{}", message.raw().escape_ascii());
    let octets = message.raw();
    assert!(octets.ends_with(b"\r\n"));
    let mut rest: &[u8] = octets;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..at];
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        assert!(!line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)), "{}", line.escape_ascii());
        rest = &rest[at + 2..];
    }
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
    for part in message.all_parts() {
        let inside = std::iter::successors(part.parent(), |part| part.parent()).any(|part| part.embedded().is_some());
        if inside {
            continue; // what somebody else wrote
        }
        for field in part.header().fields() {
            strict_field(field.name(), field.raw(), utf8);
        }
        for name in ["content-type", "content-transfer-encoding", "content-disposition", "content-id", "mime-version"] {
            assert!(part.header().all(name).count() <= 1, "{name}");
        }
        assert!(eight_bit || utf8 || part.raw_body().is_ascii());
        if part.encoding() == Encoding::SevenBit {
            assert!(part.raw_body().is_ascii());
        }
        let bounded = std::str::from_utf8(part.raw_body()).unwrap_or_default();
        if part.encoding().is_encoded() {
            assert!(!part.is_multipart());
            assert!(bounded.lines().all(|line| line.len() <= 76), "{bounded}");
        }
    }
    let header = message.header();
    for name in ["date", "from", "mime-version"] {
        assert_eq!(header.all(name).count(), 1, "{name}");
    }
    for name in ["sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject"] {
        assert!(header.all(name).count() <= 1, "{name}");
    }
}

fn strict_field(name: &str, raw: &[u8], utf8: bool) {
    assert!(!name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic()));
    assert!(utf8 || raw.is_ascii());
    let text = std::str::from_utf8(raw).unwrap();
    let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    for (n, line) in lines.iter().enumerate() {
        assert!(n == 0 || line.starts_with([' ', '\t']) && !line.trim().is_empty(), "{text}");
        let limit = if line.contains("=?utf-8?") { 76 } else { 78 };
        // Only a single word may be longer.
        let words = line.split_ascii_whitespace().count() - usize::from(n == 0);
        assert!(line.len() <= limit || words <= 1, "{text}");
    }
    for word in text.split_ascii_whitespace() {
        assert!(!word.starts_with("=?utf-8?") || word.len() <= 75, "{word}");
    }
}
