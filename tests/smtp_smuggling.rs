//! The suite smtp-smuggling: every sequence that some server took for the end of a message, and the one that is.

mod suites;

use std::path::PathBuf;
use std::time::Instant;

use facteur::base::{Machine, Step};
use facteur::smtp::data::{BareNewlines, DataFault};
use facteur::smtp::server::{Content, Mail, Server, ServerConfig, ServerEvent};

#[derive(serde::Deserialize)]
struct Case {
    sequence: String,
    sequence_hex: String,
    terminates_data: bool,
    stream_hex: Option<String>,
}

fn suite() -> Option<PathBuf> {
    suites::find("smtp-smuggling/sequences.json")
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What came of a session: the messages, what was discarded, the senders that MAIL named, and the output.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    messages: Vec<Mail>,
    streamed: Vec<u8>,
    discarded: Vec<DataFault>,
    senders: Vec<String>,
    output: String,
}

fn session(config: &ServerConfig, text: &[u8], cut: usize) -> Seen {
    let mut server = Server::new(config.clone(), [192, 0, 2, 1].into(), Instant::now());
    let mut seen = Seen::default();
    let before = b"EHLO a.test\r\nMAIL FROM:<ada@a.test>\r\nRCPT TO:<bob@b.test>\r\nDATA\r\n";
    for piece in [before, text, b"QUIT\r\n"].concat().chunks(cut) {
        server.wire().feed(piece);
        while let Step::Event(event) = server.poll().unwrap() {
            match event {
                ServerEvent::Chunk(chunk) => {
                    seen.streamed.extend_from_slice(&chunk);
                    continue;
                }
                ServerEvent::Discarded(fault) => {
                    seen.discarded.push(fault);
                    continue;
                }
                ServerEvent::Mail { from, .. } => seen.senders.push(from.to_string()),
                ServerEvent::Message(mail) => seen.messages.push(mail),
                _ => {}
            }
            server.accept();
        }
    }
    assert!(matches!(server.poll(), Ok(Step::Done)));
    seen.output = String::from_utf8(server.wire().outgoing().to_vec()).unwrap();
    seen
}

#[test]
fn no_sequence_but_the_true_one_ends_a_message() {
    let Some(file) = suite() else {
        println!("conformance smtp-smuggling skipped: the suite is not here");
        return;
    };
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let refuse = ServerConfig::new("mx.test").unwrap();
    let mut normalise = refuse.clone();
    normalise.bare_newlines = BareNewlines::Normalise;
    let mut stream = refuse.clone();
    stream.content = Content::Stream;
    let (mut passed, total) = (0, cases.len());
    for case in &cases {
        let sequence = octets(&case.sequence_hex);
        // The true end has no stream of its own: it ends the text before it, and one of nothing at all.
        let streams = match &case.stream_hex {
            Some(stream) => vec![octets(stream)],
            None => vec![[b"Subject: a\r\n\r\nfirst", &sequence[..]].concat(), sequence[2..].to_vec()],
        };
        for (text, config) in streams.iter().flat_map(|text| [(text, &refuse), (text, &normalise), (text, &stream)]) {
            let whole = session(config, text, text.len() + 100);
            for cut in [1, 2, 3, 7] {
                assert_eq!(session(config, text, cut), whole, "{:?} cut by {cut}", case.sequence);
            }
            assert_eq!(whole.senders, ["<ada@a.test>"], "{:?}: a command was smuggled", case.sequence);
            assert_eq!(whole.messages.len() + whole.discarded.len(), 1, "{:?}: one message or none", case.sequence);
            assert!(whole.output.ends_with("\r\n221 2.0.0 bye\r\n"), "{:?}: QUIT comes after the end", case.sequence);
            // Sound text is taken as it stands; the rest is refused, or normalised.
            let bare = text.iter().enumerate().any(|(at, octet)| match octet {
                b'\r' => text.get(at + 1) != Some(&b'\n'),
                b'\n' => at == 0 || text[at - 1] != b'\r',
                _ => false,
            });
            let refused = bare && config.bare_newlines == BareNewlines::Refuse;
            assert_eq!(!whole.discarded.is_empty(), refused, "{:?}", case.sequence);
            if case.terminates_data {
                let content = [&whole.streamed[..], &whole.messages[0].content].concat();
                assert_eq!(content, text[..text.len() - 3]);
            }
        }
        passed += 1;
    }
    println!("conformance smtp-smuggling {passed}/{total}");
    assert_eq!(passed, total);
}
