//! RFC 1939 by its own examples, and by what it asks that no talk can show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use facteur::base::{Machine, Step, Timestamp};
use facteur::pop3::{
    Backend, Command, Error, Progress, Reply, Request, ScanListing, Server, ServerConfig, ServerEvent, Stage, UniqueId,
};
use facteur::store::{Flags, Mailbox, Store, memory};

/// The example lines of §§3-7 that a client must read.
#[test]
fn example_replies_of_the_rfc_are_read() {
    for line in [
        "+OK POP3 server ready",
        "+OK dewey POP3 server signing off",
        "+OK 2 320",
        "-ERR no such message, only 2 messages in maildrop",
        "+OK message 1 deleted",
        "-ERR message 2 already deleted",
        "+OK maildrop has 2 messages (320 octets)",
        "+OK mrose is a real hoopy frood",
        "-ERR maildrop already locked",
        "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>",
    ] {
        assert_eq!(Reply::parse(line.as_bytes()).unwrap().to_string(), line);
    }
    assert_eq!(ScanListing::parse(b"2 200").unwrap().octets, 200);
    assert_eq!(UniqueId::parse(b"2 QhdPYR:00WBw1Ph7x7").unwrap().id, "QhdPYR:00WBw1Ph7x7");
    for line in ["USER frated", "PASS secret", "LIST 3", "TOP 100 3", "UIDL 3", "DELE 1", "QUIT"] {
        assert!(Command::parse(line.as_bytes()).is_ok(), "{line}");
    }
}

fn store(messages: &[&[u8]]) -> memory::Store {
    let store = memory::Store::new();
    let mut inbox = store.open("INBOX").unwrap();
    for message in messages {
        inbox.append(message, &Flags::new(), Timestamp::from_unix(0)).unwrap();
    }
    store
}

fn left(store: &memory::Store) -> usize {
    store.open("INBOX").unwrap().messages().len()
}

fn config() -> ServerConfig {
    let mut config = ServerConfig::new();
    config.clear_text = true;
    config
}

/// A server at its first event in the TRANSACTION state, its output so far thrown away.
fn logged_in(config: ServerConfig, start: Instant, commands: &str) -> Server {
    let mut server = Server::new(Arc::new(config), start);
    server.wire().feed(b"USER mrose\r\nPASS secret\r\n");
    assert!(matches!(server.poll(), Ok(Step::Event(ServerEvent::Login { .. }))));
    server.accept();
    drain(&mut server);
    server.wire().feed(commands.as_bytes());
    server
}

fn drain(server: &mut Server) -> Vec<u8> {
    let mut out = Vec::new();
    let wire = server.wire();
    while !wire.outgoing().is_empty() {
        let n = wire.outgoing().len();
        out.extend_from_slice(wire.outgoing());
        wire.sent(n);
    }
    out
}

fn answer<M: Mailbox>(server: &mut Server, backend: &mut Backend<M>) -> Vec<u8> {
    let Ok(Step::Event(ServerEvent::Request(request))) = server.poll() else { panic!("a request") };
    backend.begin(request);
    let mut out = Vec::new();
    while backend.step(server) == Progress::More {
        out.extend(drain(server));
    }
    out.extend(drain(server));
    out
}

/// §6: "If a session terminates for some reason other than a client-issued QUIT command, the POP3 session does NOT enter
/// the UPDATE state and MUST not remove any messages from the maildrop."
#[test]
fn only_quit_removes_messages() {
    let store = store(&[b"a", b"b", b"c"]);
    let start = Instant::now();
    for ending in ["close", "idle", "rset", "quit"] {
        let mut server = logged_in(config(), start, "DELE 2\r\nDELE 3\r\n");
        let mut backend = Backend::new(store.open("INBOX").unwrap());
        assert_eq!(answer(&mut server, &mut backend), b"+OK message 2 deleted\r\n");
        assert_eq!(answer(&mut server, &mut backend), b"+OK message 3 deleted\r\n");
        match ending {
            "close" => {
                server.wire().feed(b"QUIT");
                server.wire().close();
                assert_eq!(server.poll().unwrap_err(), Error::Closed(Stage::Transaction));
            }
            "idle" => {
                server.tick(start + Duration::from_secs(600));
                assert_eq!(server.poll().unwrap_err(), Error::Timeout(Stage::Transaction));
                assert_eq!(drain(&mut server), b"");
            }
            "rset" => {
                server.wire().feed(b"RSET\r\nQUIT\r\n");
                assert_eq!(answer(&mut server, &mut backend), b"+OK maildrop has 3 messages (3 octets)\r\n");
                assert_eq!(answer(&mut server, &mut backend), b"+OK signing off (3 messages left)\r\n");
            }
            _ => {
                server.wire().feed(b"QUIT\r\n");
                assert_eq!(answer(&mut server, &mut backend), b"+OK signing off (1 message left)\r\n");
                assert!(matches!(server.poll(), Ok(Step::Done)));
                assert_eq!(left(&store), 1);
                continue;
            }
        }
        drop(backend);
        assert_eq!(left(&store), 3, "{ending}");
    }
}

/// §4: numbers are assigned when the maildrop is opened. What comes later is for the next session.
#[test]
fn what_arrives_meanwhile_is_not_seen_and_not_removed() {
    let store = store(&[b"a"]);
    let mut server = logged_in(config(), Instant::now(), "DELE 1\r\nSTAT\r\nRETR 2\r\nQUIT\r\n");
    let mut backend = Backend::new(store.open("INBOX").unwrap());
    store.deliver("INBOX", b"new", &Flags::new(), Timestamp::from_unix(0)).unwrap();
    assert_eq!(answer(&mut server, &mut backend), b"+OK message 1 deleted\r\n");
    assert_eq!(answer(&mut server, &mut backend), b"+OK 0 0\r\n");
    assert_eq!(answer(&mut server, &mut backend), b"-ERR no such message, only 1 message in maildrop\r\n");
    assert_eq!(answer(&mut server, &mut backend), b"+OK signing off (maildrop empty)\r\n");
    let inbox = store.open("INBOX").unwrap();
    assert_eq!(inbox.read(inbox.messages()[0].uid).unwrap(), Bytes::from_static(b"new"));
}

/// A message that another session removed: no such message any more, and QUIT does not mind.
#[test]
fn a_message_that_went_away_is_an_error_of_its_own_command_only() {
    let store = store(&[b"a", b"b"]);
    let mut server = logged_in(config(), Instant::now(), "RETR 1\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n");
    let mut backend = Backend::new(store.open("INBOX").unwrap());
    let mut other = store.open("INBOX").unwrap();
    other.remove(&[other.messages()[0].uid]).unwrap();
    assert_eq!(answer(&mut server, &mut backend), b"-ERR the message is gone\r\n");
    assert_eq!(answer(&mut server, &mut backend), b"+OK message 1 deleted\r\n");
    assert_eq!(answer(&mut server, &mut backend), b"+OK message 2 deleted\r\n");
    assert_eq!(answer(&mut server, &mut backend), b"+OK signing off (maildrop empty)\r\n");
    assert_eq!(left(&store), 0);
}

/// A client that asks for much and reads nothing costs no more than the backlog; its commands wait.
#[test]
fn a_client_that_does_not_read_costs_no_more_than_the_backlog() {
    let big = [b"S: a\r\n\r\n".to_vec(), b".x\r\n".repeat(500_000)].concat();
    let store = store(&[&big]);
    let mut config = config();
    config.max_backlog = 10_000;
    config.max_unread = 1_000;
    let start = Instant::now();
    let mut server = logged_in(config, start, "RETR 1\r\nRETR 1\r\n");
    let mut backend = Backend::new(store.open("INBOX").unwrap());
    let Ok(Step::Event(ServerEvent::Request(request @ Request::Retr(_)))) = server.poll() else { panic!("RETR") };
    backend.begin(request);
    for _ in 0..100 {
        assert_eq!(backend.step(&mut server), Progress::More);
        assert!((10_000..=20_000).contains(&server.wire().backlog()), "{}", server.wire().backlog());
    }
    assert!(matches!(server.poll(), Ok(Step::NeedAnswer)));
    // It reads now, slowly, and is not idle while it does.
    let mut now = start;
    let mut octets = 0;
    for _ in 0..3 {
        now += Duration::from_secs(599);
        server.tick(now);
        let n = server.wire().outgoing().len().min(100);
        server.wire().sent(n);
        octets += n;
        assert_eq!(backend.step(&mut server), Progress::More);
    }
    while backend.step(&mut server) == Progress::More {
        octets += drain(&mut server).len();
    }
    octets += drain(&mut server).len();
    // Each of the 500 000 dots once more, the first line, and the end.
    assert_eq!(octets, big.len() + 500_000 + format!("+OK {} octets\r\n.\r\n", big.len()).len());
    // The second one, and now nothing is read at all: that ends it.
    assert!(matches!(server.poll(), Ok(Step::Event(_))));
    backend.begin(request);
    assert_eq!(backend.step(&mut server), Progress::More);
    server.tick(now + Duration::from_secs(1200));
    server.tick(now + Duration::from_secs(1800));
    assert_eq!(backend.step(&mut server), Progress::Finished);
    assert_eq!(server.poll().unwrap_err(), Error::Timeout(Stage::Transaction));
}

/// Commands wait while the backlog is at its bound; too many of them end the session.
#[test]
fn commands_wait_for_the_backlog() {
    let mut config = config();
    config.max_backlog = 60;
    config.max_unread = 100;
    let mut server = logged_in(config, Instant::now(), &"NOOP\r\n".repeat(20));
    assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    assert_eq!(drain(&mut server), b"+OK\r\n".repeat(12));
    assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    assert_eq!(drain(&mut server), b"+OK\r\n".repeat(8));
    server.wire().feed(&b"NOOP\r\n".repeat(30));
    assert!(server.poll().is_err());
    assert!(drain(&mut server).ends_with(b"-ERR too much sent ahead\r\n"));
}

/// Not even a misused machine goes on as if nothing had happened.
#[test]
fn misuse_is_a_final_error() {
    let misuses: [fn(&mut Server); 5] = [
        Server::accept,
        |server| server.reply(Reply::ok("")),
        |server| server.begin_lines(Reply::ok("")),
        |server| server.lines(Bytes::from_static(b"x")),
        Server::end_lines,
    ];
    for misuse in misuses {
        let mut server = logged_in(config(), Instant::now(), "");
        misuse(&mut server);
        assert!(matches!(server.poll(), Err(Error::Misuse(_))));
        assert_eq!(drain(&mut server), b"-ERR [SYS/TEMP] internal error\r\n");
    }
}

/// Whoever stops a server does it between two answers, and nothing is removed.
#[test]
fn a_shutdown_waits_for_the_answer_and_removes_nothing() {
    let store = store(&[b"a"]);
    let mut server = logged_in(config(), Instant::now(), "DELE 1\r\nRETR 1\r\nQUIT\r\n");
    let mut backend = Backend::new(store.open("INBOX").unwrap());
    let Ok(Step::Event(ServerEvent::Request(request))) = server.poll() else { panic!("a request") };
    server.shutdown();
    assert!(matches!(server.poll(), Ok(Step::NeedAnswer)));
    backend.begin(request);
    assert_eq!(backend.step(&mut server), Progress::Finished);
    assert!(matches!(server.poll(), Ok(Step::Done)));
    assert_eq!(drain(&mut server), b"+OK message 1 deleted\r\n-ERR [SYS/TEMP] the server is going down\r\n");
    assert_eq!(left(&store), 1);
}
