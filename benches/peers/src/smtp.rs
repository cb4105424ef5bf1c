//! SMTP: commands and replies read, the dots of DATA taken off, and a whole message through the server.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::BufMut;
use facteur::base::{Machine, Step, Wire};
use facteur::smtp::data::{Data, DataReader};
use facteur::smtp::{Command, Quirks, Reply, ReplyReader, Server, ServerConfig, ServerEvent};
use smtp_proto::Request;
use smtp_proto::request::receiver::DataReceiver;
use smtp_proto::response::parser::ResponseReceiver;

use crate::corpora::{self, Seed};
use crate::measure::{Peer, Rounds, Work};

/// A client that sends through a relay: what it says for two messages, one of them with DSN.
const COMMANDS: [&str; 16] = [
    "EHLO mail.example.org\r\n",
    "MAIL FROM:<ada.lovelace@example.org> SIZE=48213 BODY=8BITMIME\r\n",
    "RCPT TO:<bob@example.com>\r\n",
    "RCPT TO:<charles.babbage@analytical.example>\r\n",
    "RCPT TO:<postmaster@mx.example.net>\r\n",
    "DATA\r\n",
    "MAIL FROM:<> SIZE=3120\r\n",
    "RCPT TO:<bounces+8213-eve=example.com@lists.example.org>\r\n",
    "BDAT 3120 LAST\r\n",
    "RSET\r\n",
    "MAIL FROM:<eve@example.com> RET=HDRS ENVID=QQ314159 SMTPUTF8\r\n",
    "RCPT TO:<bob@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.com\r\n",
    "DATA\r\n",
    "NOOP\r\n",
    "VRFY ada@example.org\r\n",
    "QUIT\r\n",
];

const REPLIES: [&str; 8] = [
    "220 mx.example.net ESMTP\r\n",
    "250 2.1.0 OK\r\n",
    "250 2.1.5 recipient ok\r\n",
    "550 5.1.1 <nobody@example.net>: no such user here\r\n",
    "354 end with <CRLF>.<CRLF>\r\n",
    "250 2.0.0 l248JX3n004416 Message accepted for delivery\r\n",
    "451 4.7.1 greylisted, try again in five minutes\r\n",
    "221 2.0.0 bye\r\n",
];

/// How much a driver reads in one go, in octets.
const READ: usize = 8 * 1024;

pub fn run(rounds: Rounds) {
    commands(rounds);
    replies(rounds);
    data(rounds);
    dialogue(rounds);
}

fn commands(rounds: Rounds) {
    let octets: usize = COMMANDS.iter().map(|line| line.len()).sum();
    const TIMES: usize = 20_000;
    let line = |n: usize| COMMANDS[n % COMMANDS.len()];
    rounds.compare(
        &Work { name: "smtp/command", items: COMMANDS.len() * TIMES, octets: octets * TIMES, target: Some(2.0) },
        &mut [
            // The line is framed by the wire before; here it is taken from its end.
            Peer::new("facteur", |n| {
                let line = line(n).as_bytes();
                let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
                u64::from(Command::parse(&line[..end - 1], &Quirks::default()).is_ok())
            }),
            Peer::new("smtp-proto", |n| u64::from(Request::parse(&mut line(n).as_bytes().iter()).is_ok())),
        ],
    );
}

fn replies(rounds: Rounds) {
    let octets: usize = REPLIES.iter().map(|line| line.len()).sum();
    const TIMES: usize = 40_000;
    let line = |n: usize| REPLIES[n % REPLIES.len()];
    rounds.compare(
        &Work { name: "smtp/reply", items: REPLIES.len() * TIMES, octets: octets * TIMES, target: Some(2.0) },
        &mut [
            Peer::new("facteur", |n| Reply::parse(line(n).as_bytes()).map_or(0, |reply| reply.code().into())),
            Peer::new("smtp-proto", |n| {
                let reply = ResponseReceiver::default().parse(&mut line(n).as_bytes().iter());
                reply.map_or(0, |reply| reply.code.into())
            }),
        ],
    );
    let all = REPLIES.concat().repeat(32);
    let mut wire = Wire::new();
    rounds.compare(
        &Work { name: "smtp/reply-stream", items: 1000, octets: all.len() * 1000, target: Some(2.0) },
        &mut [
            Peer::new("facteur", |_| {
                wire.feed(all.as_bytes());
                let mut reader = ReplyReader::default();
                let mut sum = 0;
                while let Ok(Some(reply)) = reader.read(&mut wire) {
                    sum += u64::from(reply.code());
                }
                sum
            }),
            Peer::new("smtp-proto", |_| {
                let mut octets = all.as_bytes().iter();
                let mut sum = 0;
                while !octets.as_slice().is_empty() {
                    match ResponseReceiver::default().parse(&mut octets) {
                        Ok(reply) => sum += u64::from(reply.code),
                        Err(_) => break,
                    }
                }
                sum
            }),
        ],
    );
}

/// Both take pieces as large as a driver reads them. smtp-proto takes the dots off into a `Vec` that is as large as it has to be, a
/// fresh one for each message, and lets a CR or LF alone pass; ours refuses it.
fn data(rounds: Rounds) {
    let mut seed = Seed::new(10);
    for (name, len, items) in [("1MB", 1_000_000, 40), ("4KB", 4_000, 5_000)] {
        // A dot at the start of a line is rare in letters.
        let text = lines(&mut seed, len).replacen("\r\n", "\r\n..", 3);
        let stuffed = [text.as_bytes(), b"\r\n.\r\n"].concat();
        let octets = stuffed.len() * items;
        collected(rounds, name, &stuffed, items, octets);
        slices(rounds, name, &stuffed, items, octets);
    }
}

/// The whole text in one piece. The kernel puts what comes into a buffer, which is a copy here, and counted: theirs is used again,
/// and the text copied out of it; ours is where the text stays, and grows, also counted, as far as SIZE= is believed.
fn collected(rounds: Rounds, name: &str, stuffed: &[u8], items: usize, octets: usize) {
    let mut wire = Wire::new();
    let mut buffer = Vec::with_capacity(READ);
    rounds.compare(
        &Work { name: &format!("smtp/data-collected/{name}"), items, octets, target: Some(1.2) },
        &mut [
            Peer::new("facteur", |_| {
                let mut reader = DataReader::default();
                wire.expect(Some(stuffed.len()));
                for piece in stuffed.chunks(READ) {
                    let mut piece = piece;
                    while !piece.is_empty() {
                        let mut room = wire.spare(READ);
                        let (now, later) = piece.split_at(piece.len().min(room.chunk_mut().len()));
                        room.put_slice(now);
                        piece = later;
                        reader.keep(&mut wire);
                    }
                }
                wire.expect(None);
                let text = wire.take_kept().freeze();
                // As a driver does that waits: the next message has a fresh buffer too.
                wire.shrink();
                text.len() as u64
            }),
            Peer::new("smtp-proto", |_| {
                let mut text = Vec::with_capacity(stuffed.len());
                let mut receiver = DataReceiver::new();
                for piece in stuffed.chunks(READ) {
                    buffer.clear();
                    buffer.extend_from_slice(piece);
                    receiver.ingest(&mut buffer.iter(), &mut text);
                }
                text.len() as u64
            }),
        ],
    );
}

/// The text as it lies in the buffers, which were filled before the clock starts, for both: to fill them is the kernel's work.
/// Theirs is copied into the `Vec` all the same, for there is no other way to have it.
fn slices(rounds: Rounds, name: &str, stuffed: &[u8], items: usize, octets: usize) {
    let mut pieces = Vec::new();
    let mut rest = stuffed;
    while !rest.is_empty() {
        // Each has a buffer of its own, so that none may end within a line end, over which a reader of one buffer would wait.
        let (piece, more) = rest.split_at(rest.len().min(READ));
        let piece = piece.strip_suffix(b"\r").filter(|_| !more.is_empty()).unwrap_or(piece);
        pieces.push(piece);
        rest = &rest[piece.len()..];
    }
    let filled = |piece: &&[u8]| {
        let mut wire = Wire::new();
        wire.feed(piece);
        wire.skip(piece.len());
        wire
    };
    let mut wires: Vec<Wire> = pieces.iter().map(filled).collect();
    rounds.compare(
        &Work { name: &format!("smtp/data-slices/{name}"), items, octets, target: Some(2.0) },
        &mut [
            Peer::new("facteur", |_| {
                let mut reader = DataReader::default();
                for (wire, piece) in wires.iter_mut().zip(&pieces) {
                    // SAFETY: the piece was written there before, and taking slices of it changes nothing.
                    unsafe { wire.spare(piece.len()).advance_mut(piece.len()) };
                    while let Data::Chunk(chunk) = reader.read(wire) {
                        black_box(chunk);
                    }
                }
                reader.size()
            }),
            Peer::new("smtp-proto", |_| {
                let mut text = Vec::with_capacity(stuffed.len());
                let mut receiver = DataReceiver::new();
                for piece in &pieces {
                    receiver.ingest(&mut piece.iter(), &mut text);
                }
                text.len() as u64
            }),
        ],
    );
}

/// Words in lines of some seventy characters.
fn lines(seed: &mut Seed, len: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in corpora::text(seed, len, 0).split_whitespace() {
        column += word.len() + 1;
        text.push_str(word);
        text.push_str(if column > 70 { "\r\n" } else { " " });
        column = if column > 70 { 0 } else { column };
    }
    text
}

/// EHLO, MAIL, three RCPT, 4 KB by DATA, QUIT: turn by turn, as a client without PIPELINING has it.
fn dialogue(rounds: Rounds) {
    let mut seed = Seed::new(11);
    let text = lines(&mut seed, 4_000);
    let turns = [
        "EHLO mail.example.org\r\n".to_owned(),
        "MAIL FROM:<ada.lovelace@example.org> SIZE=4100\r\n".to_owned(),
        "RCPT TO:<bob@example.com>\r\n".to_owned(),
        "RCPT TO:<charles@analytical.example>\r\n".to_owned(),
        "RCPT TO:<postmaster@mx.example.net>\r\n".to_owned(),
        "DATA\r\n".to_owned(),
        format!("{text}\r\n.\r\n"),
        "QUIT\r\n".to_owned(),
    ];
    let octets: usize = turns.iter().map(String::len).sum();
    let config = Arc::new(ServerConfig::new("mx.example.net").expect("a name"));
    let start = Instant::now();
    const TIMES: usize = 10_000;
    let serve = |pieces: &[&[u8]]| {
        let mut server = Server::new(config.clone(), [192, 0, 2, 1].into(), start);
        let mut size = 0;
        for piece in pieces {
            server.wire().feed(piece);
            loop {
                match server.poll() {
                    Ok(Step::Event(ServerEvent::Message(mail))) => {
                        size = mail.size;
                        server.accept();
                    }
                    Ok(Step::Event(_)) => server.accept(),
                    _ => break,
                }
            }
            let wire = server.wire();
            while !wire.outgoing().is_empty() {
                let n = wire.outgoing().len();
                wire.sent(n);
            }
        }
        size
    };
    let one_by_one: Vec<&[u8]> = turns.iter().map(String::as_bytes).collect();
    let commands = turns[..6].concat();
    let pipelined: Vec<&[u8]> =
        vec![turns[0].as_bytes(), commands[turns[0].len()..].as_bytes(), turns[6].as_bytes(), turns[7].as_bytes()];
    for (name, pieces) in [("turns", &one_by_one), ("pipelined", &pipelined)] {
        rounds.compare(
            &Work { name: &format!("smtp/dialogue/{name}"), items: TIMES, octets: octets * TIMES, target: None },
            &mut [Peer::new("facteur", |_| serve(pieces))],
        );
    }
}
