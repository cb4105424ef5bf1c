//! A client of a server over a store in memory, on no socket.
#![allow(dead_code)] // each test that includes this file uses a part of it

use std::time::Instant;

use facteur::base::{Machine, Secret, Step, Timestamp};
use facteur::imap::{Backend, Progress, Server, ServerConfig, ServerEvent};
use facteur::sasl::Credentials;
use facteur::store::{Store, memory};

/// 17-Jul-1996 02:44:25 -0700
pub const NOW: i64 = 837_596_665;

/// One connection.
pub struct Session<S: Store = memory::Store> {
    server: Server,
    backend: Backend<S>,
    output: Vec<u8>,
    /// How many octets waited to be sent at most.
    pub most_backlog: usize,
    pub closed: bool,
    /// What time it is.
    pub now: Timestamp,
}

impl<S: Store + Clone> Session<S> {
    /// A connection on which nothing was said but the greeting.
    pub fn open(store: &S) -> Self {
        let mut config = ServerConfig::new("imap.test");
        config.clear_text = true;
        config.failure_delay = std::time::Duration::ZERO;
        config.id = Vec::new();
        config.capabilities = vec!["CHILDREN".into()];
        let mut session = Self {
            server: Server::new(config, Instant::now()),
            backend: Backend::new(store.clone()),
            output: Vec::new(),
            most_backlog: 0,
            closed: false,
            now: Timestamp::from_unix(NOW).at_offset(-420),
        };
        session.pump();
        session
    }

    /// A connection logged in.
    pub fn login(store: &S) -> Self {
        let mut session = Self::open(store);
        session.send(b"login LOGIN imapuser password\r\n");
        session
    }

    /// A connection with that mailbox selected.
    pub fn select(store: &S, mailbox: &str) -> Self {
        let mut session = Self::login(store);
        let answer = session.line(&format!("select SELECT \"{mailbox}\""));
        assert!(answer.contains("select OK"), "{answer}");
        session
    }

    /// Sends octets and gives back what came of them.
    pub fn send(&mut self, octets: &[u8]) -> Vec<u8> {
        self.server.wire().feed(octets);
        self.pump();
        std::mem::take(&mut self.output)
    }

    /// What came and was not yet taken.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Sends a line and gives back what came of it, with line ends as in Rust.
    pub fn line(&mut self, line: &str) -> String {
        let answer = self.send(format!("{line}\r\n").as_bytes());
        String::from_utf8(answer).unwrap().replace("\r\n", "\n")
    }

    /// Sends APPEND.
    pub fn append(&mut self, mailbox: &str, flags: &str, message: &str) -> String {
        self.line(&format!("append APPEND \"{mailbox}\" ({flags}) {{{}+}}\r\n{message}", message.len()))
    }

    /// While IDLE lasts: looks for changes.
    pub fn look(&mut self) -> String {
        self.tell();
        String::from_utf8(self.output()).unwrap().replace("\r\n", "\n")
    }

    fn tell(&mut self) {
        let mut progress = self.backend.look(&mut self.server);
        while progress == Progress::More {
            self.flush();
            progress = self.backend.step(&mut self.server);
        }
        self.flush();
    }

    fn pump(&mut self) {
        loop {
            let step = self.server.poll();
            match step {
                Ok(Step::Event(ServerEvent::Login { identity, credentials })) => {
                    let password = Credentials::Password(Secret::from("password"));
                    if identity.name() == "imapuser" && credentials == password {
                        self.server.accept();
                    } else {
                        self.server.refuse();
                    }
                }
                Ok(Step::Event(ServerEvent::Command(command))) => {
                    self.backend.begin(command, self.now);
                    while self.backend.step(&mut self.server) == Progress::More {
                        self.flush();
                    }
                }
                Ok(Step::Event(ServerEvent::Idle)) => self.tell(),
                Ok(Step::Event(_)) => {}
                Ok(Step::NeedInput) => break,
                Ok(Step::Done) | Err(_) => {
                    self.closed = true;
                    break;
                }
                Ok(other) => panic!("{other:?}"),
            }
            self.flush();
        }
        self.flush();
    }

    fn flush(&mut self) {
        let wire = self.server.wire();
        self.most_backlog = self.most_backlog.max(wire.backlog());
        while !wire.outgoing().is_empty() {
            self.output.extend_from_slice(wire.outgoing());
            let n = wire.outgoing().len();
            wire.sent(n);
        }
    }
}
