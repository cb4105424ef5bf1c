//! POP3: the codecs and the server.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use facteur::base::{Machine, Secret, Step, Timestamp, Tls, Wire};
use facteur::pop3::{
    Backend, Capability, Command, DropListing, Progress, Refusal, Reply, ScanListing, Server, ServerConfig,
    ServerEvent, UniqueId, lines,
};
use facteur::sasl::Credentials;
use facteur::store::{Flags, Mailbox, Store, memory};

/// What reads as a command or a reply is written so that it reads as the same.
pub fn command(input: &[u8]) {
    if let Ok(command) = Command::parse(input) {
        let mut wire = Wire::new();
        if command.write(&mut wire).is_ok() {
            let line = wire.outgoing().strip_suffix(b"\r\n").expect("a line");
            assert_eq!(Command::parse(line), Ok(command));
            assert!(wire.backlog() <= 255);
        } else {
            assert!(input.len() > 253);
        }
    }
    if let Ok(reply) = Reply::parse(input) {
        let line = reply.to_string();
        assert!(line.len() <= 510 && !line.contains(['\r', '\n']));
        assert_eq!(Reply::parse(line.as_bytes()), Ok(reply));
    }
    if let Ok(listing) = ScanListing::parse(input) {
        assert!(listing.message >= NonZeroU32::MIN);
    }
    if let Ok(listing) = UniqueId::parse(input) {
        assert!((1..=70).contains(&listing.id.len()));
    }
    if let Ok(capability) = Capability::parse(input) {
        assert!(!capability.tag.is_empty());
    }
    let _ = DropListing::parse(input);
}

/// The first two octets choose the configuration and a seed; the rest is the maildrop's only message up to the first
/// NUL, and after it what the client sends. Whole and cut, the server says the same, and a message that is fetched is
/// the one that was stored.
pub fn server(input: &[u8]) {
    let [mode, seed, rest @ ..] = input else { return };
    let (message, commands) = rest.split_at(rest.iter().position(|octet| *octet == 0).unwrap_or(0));
    let commands = commands.strip_prefix(b"\0").unwrap_or(commands);
    let whole = play(*mode, message, &[commands]);
    assert_eq!(play(*mode, message, &commands.chunks(1).collect::<Vec<_>>()), whole);
    let size = usize::from(*seed % 37) + 2;
    assert_eq!(play(*mode, message, &commands.chunks(size).collect::<Vec<_>>()), whole);
}

fn play(mode: u8, message: &[u8], pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
    let start = Instant::now();
    let mut config = ServerConfig::new();
    config.clear_text = mode & 1 == 0;
    config.starttls = mode & 2 != 0;
    config.quirks.bare_lf = mode & 4 != 0;
    config.max_backlog = if mode & 8 == 0 { 64 * 1024 } else { 16 };
    config.auth = super::sasl::offer();
    config.apop = mode & 16 != 0;
    config.max_unread = 1024 * 1024;
    config.failure_delay = Duration::ZERO;
    let most = config.max_backlog;
    let store = memory::Store::new();
    let mut inbox = store.open("INBOX").expect("the inbox");
    let uid = inbox.append(message, &Flags::new(), Timestamp::from_unix(0)).expect("memory");
    let stored = inbox.read(uid).expect("the message").to_vec();
    let mut server = Server::new(config, start);
    let mut backend = None;
    let (mut events, mut output) = (Vec::new(), Vec::new());
    for piece in [&b""[..]].iter().chain(pieces) {
        server.wire().feed(piece);
        loop {
            let step = server.poll();
            // A backlog at its bound takes at most one more reply, or one dot and one line end.
            assert!(server.wire().backlog() <= most + 1024);
            drain(&mut server, &mut output);
            match step {
                Ok(Step::NeedInput) => {
                    // What the backlog held up may go on now.
                    if server.wire().unread().contains(&b'\n') {
                        continue;
                    }
                    break;
                }
                Ok(Step::Event(event)) => {
                    events.push(format!("{event:?}"));
                    match event {
                        ServerEvent::Login { credentials, .. }
                            if credentials != Credentials::Password(Secret::from("wrong")) =>
                        {
                            backend = Some(Backend::new(store.open("INBOX").expect("the inbox")));
                            server.accept();
                        }
                        ServerEvent::Login { .. } => server.refuse(Refusal::Credentials),
                        ServerEvent::Ask(question) => server.tell(super::sasl::answer(&question)),
                        ServerEvent::AuthFailed(_) => {}
                        ServerEvent::Request(request) => {
                            let backend = backend.as_mut().expect("a request comes after a login");
                            backend.begin(request);
                            let from = output.len();
                            while backend.step(&mut server) == Progress::More {
                                assert!(server.wire().backlog() <= most + 5 * 1024);
                                drain(&mut server, &mut output);
                            }
                            drain(&mut server, &mut output);
                            if matches!(request, facteur::pop3::Request::Retr(_)) && output[from..].starts_with(b"+OK")
                            {
                                assert_eq!(fetched(&output[from..]), closed(&stored));
                            }
                        }
                        _ => unreachable!("{event:?}"),
                    }
                }
                Ok(Step::StartTls) => {
                    // The handshake takes until the next piece comes, so what comes then is before it.
                    break;
                }
                Ok(Step::NeedAnswer) => panic!("all questions are answered"),
                Ok(Step::Done) => return (events, output),
                Err(error) => {
                    assert_eq!(server.poll().expect_err("sticky"), error);
                    events.push(error.to_string());
                    return (events, output);
                }
            }
        }
    }
    server.tls_started(Tls::default());
    if let Err(error) = server.poll() {
        events.push(error.to_string());
    }
    drain(&mut server, &mut output);
    (events, output)
}

fn drain(server: &mut Server, output: &mut Vec<u8>) {
    let wire = server.wire();
    while !wire.outgoing().is_empty() {
        let n = wire.outgoing().len();
        output.extend_from_slice(wire.outgoing());
        wire.sent(n);
    }
}

/// The text of a multi-line answer as a client reads it.
fn fetched(answer: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = answer;
    let mut first = true;
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a whole answer");
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if std::mem::take(&mut first) {
            continue;
        }
        let Some(line) = lines::unstuffed(line) else { break };
        text.extend_from_slice(line);
        text.extend_from_slice(b"\r\n");
    }
    assert!(rest.is_empty(), "nothing after the end of an answer");
    text
}

/// A message whose last line has its end.
fn closed(stored: &[u8]) -> Vec<u8> {
    let open = !stored.is_empty() && !stored.ends_with(b"\r\n");
    [stored, if open { b"\r\n" } else { b"" }].concat()
}
