//! The DNS: packets, zone files, names.

use facteur::dns::{Ask, Data, Inquiry, Name, Question, RecordType, Zone, mx, packet};

/// Any octets as the response to each question they could answer; and as a name and as a zone file.
pub fn packet(input: &[u8]) {
    let question = |kind| Question::new("example.org".parse().expect("a name"), kind);
    let id = u16::from_be_bytes([input.first().copied().unwrap_or(0), input.get(1).copied().unwrap_or(0)]);
    for kind in RecordType::ALL {
        let Ok(answer) = packet::response(input, &question(kind), id) else { continue };
        let Ok(found) = answer.found else { continue };
        assert!(!found.is_empty() && found.len() <= packet::MAX_RECORDS);
        assert!(found.iter().all(|data| data.kind() == kind));
        let text: usize = found.iter().map(|data| if let Data::Txt(text) = data { text.len() } else { 0 }).sum();
        assert!(text <= 64 * 1024);
    }
}

/// A zone file that reads answers every question, and an inquiry about it ends.
pub fn zone(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(name) = Name::parse(text) {
        let written = name.to_string();
        assert_eq!(Name::parse(&written), Ok(name.clone()));
        let query = packet::query(&Question::new(name, RecordType::Txt), 1);
        assert!(query.len() > 12);
    }
    let Ok(zone) = Zone::parse(text) else { return };
    let mut lookup = mx::Lookup::new(&"example.org".parse().expect("a domain"), 1);
    let mut questions = 0;
    while let Ask::Question(question) = lookup.poll() {
        lookup.answer(&zone.answer(&question));
        questions += 1;
        assert!(questions <= 1 + 2 * mx::MAX_HOSTS);
    }
}
