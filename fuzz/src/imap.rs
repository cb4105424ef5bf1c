//! IMAP: commands, and the server however its input is cut.

use std::time::{Duration, Instant};

use facteur::base::{Machine, Step, Tls};
use facteur::imap::{Code, Command, Data, Limits, Literals, Piece, Server, ServerConfig, ServerEvent};

/// What reads as a command is written so that it reads as the same, with either form of literals.
pub fn command(input: &[u8]) {
    let Ok((tag, command)) = Command::parse(input) else { return };
    for literals in [Literals::Synchronising, Literals::NonSynchronising] {
        let mut text = Vec::new();
        for piece in command.write(&tag, literals) {
            let (Piece::Text(octets) | Piece::Literal(octets)) = piece;
            text.extend_from_slice(&octets);
        }
        let text = text.strip_suffix(b"\r\n").expect("a command ends with its line");
        assert_eq!(Command::parse(text), Ok((tag.clone(), command.clone())));
    }
}

/// The first octet chooses the configuration; the rest is what the client sends. Whole, octet by octet and in pieces of
/// seven: the same events and the same output, in bounded memory.
pub fn server(input: &[u8]) {
    let Some((choice, input)) = input.split_first() else { return };
    let whole = run(*choice, input, input.len().max(1));
    assert_eq!(run(*choice, input, 1), whole);
    assert_eq!(run(*choice, input, 7), whole);
}

fn run(choice: u8, input: &[u8], piece: usize) -> (Vec<String>, Vec<u8>) {
    let limits = Limits { line: 400, literal: 100, literals: 3, command: 600 };
    let mut config = ServerConfig::new("imap.test");
    config.clear_text = choice & 1 == 0;
    config.starttls = choice & 2 == 0;
    config.auth = super::sasl::offer();
    config.before_login = limits;
    config.after_login = limits;
    config.max_message = 1000;
    config.max_errors = 10;
    config.failure_delay = Duration::ZERO;
    let mut now = Instant::now();
    let mut server = Server::new(config, now);
    if choice & 4 == 0 {
        server.tls_started(Tls::default());
    }
    let (mut events, mut output) = (Vec::new(), Vec::new());
    for octets in input.chunks(piece) {
        server.wire().feed(octets);
        drain(&mut server, choice, &mut events, &mut output);
        // A message of 1000 octets and a line, at most, wait for more; nothing waits in a conversation that is over.
        assert!(server.is_over() || server.wire().unread().len() <= 1400, "{} unread", server.wire().unread().len());
        server.tick(now);
    }
    server.wire().close();
    drain(&mut server, choice, &mut events, &mut output);
    now += Duration::from_secs(1_000_000);
    server.tick(now);
    drain(&mut server, choice, &mut events, &mut output);
    (events, output)
}

fn drain(server: &mut Server, choice: u8, events: &mut Vec<String>, output: &mut Vec<u8>) {
    loop {
        let step = server.poll();
        let mut sent = false;
        while !server.wire().outgoing().is_empty() {
            let n = server.wire().outgoing().len();
            output.extend_from_slice(server.wire().outgoing());
            server.wire().sent(n);
            sent = true;
        }
        match step {
            Ok(Step::Event(event)) => {
                events.push(format!("{event:?}"));
                answer(server, event, choice);
            }
            // What comes now comes before the handshake, however it is cut.
            Ok(Step::StartTls) => return,
            Ok(Step::NeedInput) if sent => {}
            Ok(Step::NeedInput) => return,
            Ok(Step::NeedAnswer) => panic!("a question was left open"),
            Ok(Step::Done) => {
                if events.last().is_none_or(|last| last != "done") {
                    events.push("done".into());
                }
                return;
            }
            Err(error) => {
                let text = format!("error: {error}");
                if events.last() != Some(&text) {
                    events.push(text);
                }
                return;
            }
        }
    }
}

fn answer(server: &mut Server, event: ServerEvent, choice: u8) {
    match event {
        ServerEvent::Login { identity, .. } if identity.name().len() > 8 => server.refuse(),
        ServerEvent::Login { .. } => server.accept(),
        ServerEvent::Ask(question) => server.tell(super::sasl::answer(&question)),
        ServerEvent::Command(command) => {
            server.untagged(Data::Exists(1));
            match command.name().len() % 3 {
                0 if choice & 8 == 0 => server.no(Some(Code::Cannot), "no"),
                1 if choice & 16 == 0 => server.bad("what?"),
                _ => server.ok(None, "done"),
            }
        }
        _ => {}
    }
}
