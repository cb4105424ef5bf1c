//! IMAP over a store: what FETCH says of any message, and any commands on a mailbox.

use std::time::Instant;

use facteur::base::{Machine, Step, Timestamp};
use facteur::imap::{Backend, Progress, Server, ServerConfig, ServerEvent};
use facteur::store::{Flags, Store, memory};

/// Whatever the octets of a message are, FETCH tells its structure in balanced lists of strings, numbers and atoms, which are
/// not much longer than the message, and the same however often it is asked.
pub fn structure(input: &[u8]) {
    let store = memory::Store::new();
    store.deliver("INBOX", input, &Flags::new(), Timestamp::from_unix(0)).expect("a store in memory takes all");
    let ask = b"a EXAMINE INBOX\r\nb FETCH 1 (ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[1.2.MIME] BODY.PEEK[2.HEADER])\r\n\
          c FETCH 1 (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (to subject)]<3.40> BODY.PEEK[HEADER.FIELDS.NOT (to)] BODY.PEEK[])\r\n\
          d SEARCH OR BODY a SUBJECT {1+}\r\nb\r\n";
    let output = talk(&store, &[ask]);
    let lines = check(&output);
    for tag in ["a", "b", "c", "d"] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{tag} OK "))), "{tag}: {lines:?}");
    }
    // Each part costs its line of structure twice; the shortest part is a boundary of three octets.
    assert!(output.len() <= 60 * input.len() + 10_000, "{} octets of {}", output.len(), input.len());
    assert!(output == talk(&store, &[ask]), "the same, asked again");
}

/// Any commands on a mailbox of a few messages: the answers are well-formed, and the same however the input is cut.
pub fn fetch(input: &[u8]) {
    let output = talk(&mailboxes(), &[b"a SELECT INBOX\r\n", input]);
    check(&output);
    let octets: Vec<&[u8]> = std::iter::once(&b"a SELECT INBOX\r\n"[..]).chain(input.chunks(1)).collect();
    let again = talk(&mailboxes(), &octets);
    assert!(output == again, "whole:\n{}\noctet by octet:\n{}", output.escape_ascii(), again.escape_ascii());
}

fn mailboxes() -> memory::Store {
    let store = memory::Store::new();
    let multipart = "From: a@b.test\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntwo\r\n--b--\r\n";
    for message in ["Subject: plain\r\nDate: Wed, 17 Jul 1996 02:23:25 -0700\r\n\r\ntext\r\n", multipart, "\r\n"] {
        store.deliver("INBOX", message.as_bytes(), &Flags::new(), Timestamp::from_unix(0)).expect("delivered");
    }
    store.create("a/b").expect("created");
    store
}

/// What a server over that store answers after a login.
fn talk(store: &memory::Store, pieces: &[&[u8]]) -> Vec<u8> {
    let mut config = ServerConfig::new("imap.test");
    config.clear_text = true;
    config.max_message = 64 * 1024;
    let mut server = Server::new(config, Instant::now());
    let mut backend = Backend::new(store.clone());
    let mut output = Vec::new();
    for piece in std::iter::once(&&b"l LOGIN ada tanstaaf\r\n"[..]).chain(pieces) {
        server.wire().feed(piece);
        loop {
            let step = server.poll();
            let over = match step {
                Ok(Step::Event(ServerEvent::Login { .. })) => {
                    server.accept();
                    false
                }
                Ok(Step::Event(ServerEvent::Command(command))) => {
                    backend.begin(command, Timestamp::from_unix(1_172_677_344));
                    let mut steps = 0;
                    while backend.step(&mut server) == Progress::More {
                        flush(&mut server, &mut output);
                        steps += 1;
                        assert!(steps < 1_000_000, "a command without end");
                    }
                    false
                }
                Ok(Step::Event(ServerEvent::Idle)) => {
                    let mut progress = backend.look(&mut server);
                    while progress == Progress::More {
                        progress = backend.step(&mut server);
                    }
                    false
                }
                Ok(Step::Event(_)) => false,
                Ok(_) | Err(_) => true,
            };
            flush(&mut server, &mut output);
            if over {
                break;
            }
        }
    }
    output
}

fn flush(server: &mut Server, output: &mut Vec<u8>) {
    let wire = server.wire();
    while !wire.outgoing().is_empty() {
        output.extend_from_slice(wire.outgoing());
        let n = wire.outgoing().len();
        wire.sent(n);
    }
}

/// Cuts responses into lines with their literals, and checks that brackets, quotes and literals of data come out even.
fn check(output: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < output.len() {
        let start = at;
        let data = output[at..].starts_with(b"* ") && {
            let words: Vec<&[u8]> = output[at..].splitn(3, |octet| *octet == b' ').collect();
            !matches!(words[1], b"OK" | b"NO" | b"BAD" | b"BYE")
        };
        let mut depth = 0_usize;
        let mut line = Vec::new();
        loop {
            let octet = *output.get(at).expect("a line ends");
            match octet {
                b'\r' => {
                    assert_eq!(output.get(at + 1), Some(&b'\n'), "a line ends with CRLF");
                    at += 2;
                    break;
                }
                b'"' if data => {
                    at += 1;
                    loop {
                        match output.get(at) {
                            Some(b'"') => break,
                            Some(b'\\') => {
                                assert!(matches!(output.get(at + 1), Some(b'"' | b'\\')), "an escape");
                                at += 2;
                            }
                            Some(octet) => {
                                assert!(matches!(octet, b'\t' | b' '..=b'~'), "a quoted string is 7-bit");
                                at += 1;
                            }
                            None => panic!("a quoted string ends"),
                        }
                    }
                }
                b'{' if data => {
                    let digits = output[at + 1..].iter().take_while(|octet| octet.is_ascii_digit()).count();
                    let length = std::str::from_utf8(&output[at + 1..at + 1 + digits]).unwrap();
                    let length: usize = length.parse().expect("a literal has a length");
                    assert!(output[at + 1 + digits..].starts_with(b"}\r\n"), "a literal");
                    let from = at + 1 + digits + 3;
                    let literal = output.get(from..from + length).expect("a literal is whole");
                    assert!(!literal.contains(&0), "no NUL is sent");
                    at = from + length - 1;
                }
                b'(' if data => depth += 1,
                b')' if data => depth = depth.checked_sub(1).expect("a bracket was open"),
                _ => assert!(octet == b'\t' || (b' '..=b'~').contains(&octet), "lines are printable: {octet}"),
            }
            line.push(octet);
            at += 1;
        }
        assert_eq!(depth, 0, "brackets are closed: {}", output[start..at].escape_ascii());
        lines.push(String::from_utf8(line).unwrap());
    }
    lines
}
