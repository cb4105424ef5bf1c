//! The server's side of SMTP and LMTP, as a [`Machine`].
//!
//! The state table is in `table`: which command means what in which state; what the extensions announce and refuse is in
//! `offers`, AUTH in `login`; how a message is read in `incoming`. What the application is asked is in `event`, what it answers in
//! `answers`. This file has what is around them: time, and the reading of lines.
//!
//! Left out on purpose: fetching the URL of BURL, which is a client's work, and the conversions of CONPERM.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::data::Chunk;
use super::{Enhanced, Envelope, Error, Fault, Reply, Session};
use crate::address::Domain;
use crate::base::proxy::Proxied;
use crate::base::wire::Ending;
use crate::base::{Machine, ParseError, Step, Timestamp, Tls, Wire};
use crate::sasl::ServerExchange;

mod answers;
mod config;
mod event;
mod incoming;
mod login;
mod offers;
mod table;

pub use super::trace::{Hello, HelloVerb};
pub use config::{AuthPolicy, Content, Protocol, ProxyHeader, Screen, ServerConfig, StartTls};
pub use event::{Mail, ServerEvent};
use incoming::Incoming;
use table::State;

/// The server's side of one connection.
///
/// ```
/// use std::time::Instant;
///
/// use facteur::base::{Machine, Step};
/// use facteur::smtp::{Server, ServerConfig, ServerEvent};
///
/// let mut server = Server::new(ServerConfig::new("mx.test")?, [127, 0, 0, 1].into(), Instant::now());
/// server.wire().feed(b"EHLO a.test\r\nMAIL FROM:<ada@a.test>\r\n");
/// while let Step::Event(event) = server.poll()? {
///     if let ServerEvent::Mail { .. } = event {
///         server.accept();
///     }
/// }
/// assert!(server.wire().outgoing().starts_with(b"220 mx.test ESMTP\r\n250-mx.test\r\n"));
/// assert!(server.wire().outgoing().ends_with(b"\r\n250 2.1.0 OK\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    wire: Wire,
    session: Session,
    state: State,
    counts: Counts,
    /// The address at the other end of the connection itself.
    origin: IpAddr,
    /// What time of day it was at which point, where that was told.
    clock: Option<(Timestamp, Instant)>,
    now: Instant,
    /// Since when the machine waits for the peer; `None` while it does not, or has not been polled since something came.
    since: Option<Instant>,
    shutdown: bool,
}

/// What a session used up of what its config allows.
#[derive(Debug, Default)]
struct Counts {
    commands: u32,
    errors: u32,
    auth_failures: u32,
    messages: u32,
    /// Those of recipients, as far as they are limited.
    domains: Vec<Domain>,
}

/// A question that was put to the application, with all that its answer needs.
#[derive(Debug)]
enum Question {
    Connect,
    /// `back` is how it was before, for a greeting that is refused.
    Hello {
        hello: Hello,
        back: Box<State>,
    },
    Auth {
        name: String,
        exchange: ServerExchange,
    },
    /// What an exchange must know.
    Known(ServerExchange),
    /// `standard` is what is said where it is accepted.
    Mail {
        envelope: Box<Envelope>,
        standard: Reply,
    },
    /// The last recipient is the one that is asked for.
    Rcpt {
        envelope: Box<Envelope>,
    },
    /// VRFY, EXPN, ETRN.
    Lookup {
        back: Box<State>,
        standard: Reply,
    },
    Atrn {
        back: Box<State>,
    },
    /// `chunk` is the first of BDAT.
    Data {
        envelope: Box<Envelope>,
        chunk: Option<Chunk>,
    },
    Header(Box<Incoming>),
    Burl {
        incoming: Box<Incoming>,
        last: bool,
    },
    /// How many replies are due.
    Message {
        replies: usize,
    },
}

impl Server {
    /// The server's side of a connection from `peer`, accepted at `start`. Where the connection began with TLS, call
    /// [`tls_started`](Machine::tls_started) before the first poll.
    pub fn new(config: impl Into<Arc<ServerConfig>>, peer: IpAddr, start: Instant) -> Self {
        let config = config.into();
        let state = match config.proxy {
            ProxyHeader::Off => State::Opening,
            ProxyHeader::Required => State::Proxied,
        };
        Self {
            config,
            wire: Wire::new(),
            session: Session::new(peer),
            state,
            counts: Counts::default(),
            origin: peer,
            clock: None,
            now: start,
            since: None,
            shutdown: false,
        }
    }

    /// What is known of the client.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Says what the client's address is called in the DNS, for [`Session::peer_name`].
    pub fn set_peer_name(&mut self, name: Domain) {
        self.session.peer_name = Some(name);
    }

    /// Says what time of day it is now, for [`ServerConfig::future_release`].
    pub fn set_clock(&mut self, time: Timestamp) {
        self.clock = Some((time, self.now));
    }

    /// Says for whom a proxy made the connection, where its header was taken off before: under TLS from the first octet, that
    /// is, for there it comes before the handshake. See [`Proxied::read`].
    pub fn set_proxied(&mut self, proxied: Proxied) {
        if let Proxied::For { source, destination } = proxied {
            self.session.via = Some(self.session.peer);
            self.session.peer = source.ip();
            self.session.peer_port = Some(source.port());
            self.session.destination = Some(destination);
        }
    }

    /// Says that the server wants to stop: a message under way may still come to its end, then the client is told 421 and
    /// the machine is done.
    pub fn shutdown(&mut self) {
        self.shutdown = true;
    }

    /// Moves to `state` and says `reply`; 421 moves on to the end.
    fn settle(&mut self, state: State, reply: &Reply) {
        self.state = state;
        self.say(reply);
    }

    /// Says `reply` at the end of a message: for each recipient in LMTP, once in SMTP.
    fn settle_each(&mut self, replies: usize, reply: &Reply) {
        self.state = State::Idle;
        for _ in 0..replies {
            self.say(reply);
        }
    }

    fn say(&mut self, reply: &Reply) {
        let _ = reply.write(&mut self.wire); // writing to a wire cannot fail
        self.counts.errors += u32::from(reply.is_permanent());
        if reply.code() == 421 {
            self.state = State::Done;
        }
    }

    /// Ends the conversation, with a farewell where the peer can read one.
    fn fail(&mut self, error: impl Into<Error>) -> Error {
        let error = error.into();
        if !matches!(error, Error::Closed(_) | Error::Peer(Fault::EarlyOctets | Fault::Proxy(_))) {
            let _ = error.reply().write(&mut self.wire); // writing to a wire cannot fail
        }
        self.state = State::Failed(error.clone());
        self.since = None;
        error
    }

    fn misuse(&mut self, what: &'static str) {
        if !matches!(self.state, State::Done | State::Failed(_)) {
            self.fail(Error::Misuse(what));
        }
    }

    /// Reads the next line, at a point where commands are read; `None` where there is none yet.
    fn read_line(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        let Counts { commands, errors, auth_failures, .. } = self.counts;
        for (spent, allowed, fault) in [
            (auth_failures, self.config.max_auth_failures, Fault::TooManyAuthFailures),
            (errors, self.config.max_errors, Fault::TooManyErrors),
            (commands, self.config.max_commands, Fault::TooManyCommands),
        ] {
            if spent >= allowed {
                return Err(self.fail(fault));
            }
        }
        if self.wire.backlog() > self.config.max_backlog {
            return self.idle().map(Some);
        }
        let is_auth = matches!(self.state, State::Auth(_) | State::AuthRefused(_))
            || self.wire.unread().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
        let max = if is_auth { self.config.max_auth_line } else { self.config.max_command_line };
        let line = match self.wire.line(max) {
            Ok(None) => return self.wait_for_more().map(Some),
            Ok(Some(line)) if line.ending == Ending::BareLf && !self.config.quirks.bare_lf => {
                Err(Reply::new(500, Enhanced(5, 5, 2), "line ended by LF alone"))
            }
            Ok(Some(line)) => Ok(line.text),
            // RFC 5321 §4.5.3.1.9: "500 Line too long."
            Err(_) => Err(Reply::new(500, Enhanced(5, 5, 2), "line too long")),
        };
        self.since = None;
        self.counts.commands += 1;
        match line {
            Ok(line) => Ok(self.line(&line).map(Step::Event)),
            Err(reply) => {
                if matches!(self.state, State::Auth(_) | State::AuthRefused(_)) {
                    self.state = State::Idle;
                }
                self.say(&reply);
                Ok(None)
            }
        }
    }

    /// Reads the header of a proxy.
    fn read_proxy_header(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        if !self.config.trusts(self.origin) {
            return Err(self.fail(Fault::Proxy(ParseError { expected: "a proxy that is trusted", at: 0 })));
        }
        match Proxied::read(&mut self.wire, self.config.max_proxy_header) {
            Ok(None) => self.wait_for_more().map(Some),
            Ok(Some(proxied)) => {
                self.set_proxied(proxied);
                self.since = None;
                self.state = State::Opening;
                Ok(None)
            }
            Err(error) => Err(self.fail(Fault::Proxy(error))),
        }
    }

    /// Holds the banner back.
    fn pause(&mut self, until: Instant) -> Result<Option<Step<ServerEvent>>, Error> {
        if self.wire.unread().is_empty() && until > self.now {
            return if self.wire.is_closed() { self.wait_for_more().map(Some) } else { Ok(Some(Step::NeedInput)) };
        }
        // Who talks early need not be waited for.
        self.session.early = !self.wire.unread().is_empty();
        self.state = State::Greeting;
        Ok(None)
    }

    /// The wait is over, the question is open again.
    fn resume(&mut self) -> Option<Step<ServerEvent>> {
        let State::Waiting { question, .. } = std::mem::replace(&mut self.state, State::Done) else {
            return None; // only called while one waits
        };
        self.wire.hold(false);
        self.state = State::Asking(question);
        Some(Step::Event(ServerEvent::Resumed))
    }

    /// Nothing is there to read: more must come.
    fn wait_for_more(&mut self) -> Result<Step<ServerEvent>, Error> {
        if self.wire.is_closed() {
            return Err(self.fail(Error::Closed(self.state.stage())));
        }
        self.idle()
    }

    /// Waits for the peer, but not longer than it may take.
    fn idle(&mut self) -> Result<Step<ServerEvent>, Error> {
        self.since.get_or_insert(self.now);
        if let State::Incoming(incoming) = &mut self.state {
            incoming.wait_from(self.now);
        }
        if self.deadline().is_some_and(|deadline| deadline <= self.now) {
            return Err(self.fail(Error::Timeout(self.state.stage())));
        }
        Ok(Step::NeedInput)
    }
}

impl Machine for Server {
    type Event = ServerEvent;
    type Error = Error;

    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn poll(&mut self) -> Result<Step<ServerEvent>, Error> {
        loop {
            let step = match &self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Done => return Ok(Step::Done),
                State::Asking(_) => return Ok(Step::NeedAnswer),
                State::Handshake if !self.wire.unread().is_empty() => return Err(self.fail(Fault::EarlyOctets)),
                State::Handshake if self.wire.is_closed() => return self.wait_for_more(),
                State::Handshake => return Ok(Step::StartTls),
                State::Incoming(_) => self.read_message()?,
                State::Skipping { .. } => self.skip_on()?,
                State::Proxied => self.read_proxy_header()?,
                State::Turning => {
                    self.state = State::Done;
                    Some(Step::Event(ServerEvent::TurnedAround))
                }
                State::Told(..) => self.go_on_auth().map(Step::Event),
                State::Opening
                | State::Greeting
                | State::Unwelcome(_)
                | State::Unmet
                | State::Idle
                | State::Auth(_)
                | State::AuthRefused(_)
                    if self.shutdown =>
                {
                    self.settle(State::Done, &Reply::new(421, Enhanced(4, 3, 2), "shutting down"));
                    None
                }
                State::Opening => {
                    let pause = self.config.greet_pause.and_then(|pause| self.now.checked_add(pause));
                    self.state = pause.map_or(State::Greeting, |until| State::Pausing { until });
                    None
                }
                State::Pausing { until } => self.pause(*until)?,
                State::Greeting if self.config.screen.connect => {
                    self.state = State::Asking(Question::Connect);
                    Some(Step::Event(ServerEvent::Connect))
                }
                State::Greeting => {
                    let early = || Reply::new(554, Enhanced(5, 5, 1), "wait for the greeting");
                    self.welcome(self.session.early.then(early));
                    None
                }
                State::Waiting { question, until } => {
                    // Who talks early need not be waited for.
                    let early = matches!(question, Question::Connect) && !self.wire.unread().is_empty();
                    if !early && until.is_none_or(|until| until > self.now) {
                        return Ok(Step::NeedInput);
                    }
                    self.session.early |= early;
                    self.resume()
                }
                State::Unwelcome(_)
                | State::Unmet
                | State::Idle
                | State::Auth(_)
                | State::AuthRefused(_)
                | State::Transaction(_)
                | State::Chunks(_) => self.read_line()?,
            };
            match step {
                Some(Step::Event(event)) => {
                    self.since = None;
                    return Ok(Step::Event(event));
                }
                Some(step) => return Ok(step),
                None => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Pausing { until } => return Some(*until),
            State::Waiting { until, .. } => return *until,
            _ => {}
        }
        let deadline = self.since?.checked_add(self.config.timeout);
        match &self.state {
            State::Incoming(incoming) | State::Chunks(incoming) => {
                let most = self.config.message_timeout.and_then(|most| incoming.begun()?.checked_add(most));
                deadline.into_iter().chain(most).min()
            }
            _ => deadline,
        }
    }

    fn tls_started(&mut self, tls: Tls) {
        match self.state {
            State::Opening => self.session.tls = Some(tls),
            // RFC 3207 §4.2: "The server MUST discard any knowledge obtained from the client".
            State::Handshake if self.wire.unread().is_empty() => {
                self.session.hello = None;
                self.session.identity = None;
                self.session.tls = Some(tls);
                self.state = State::Unmet;
            }
            State::Handshake => {
                self.fail(Fault::EarlyOctets);
            }
            _ => self.misuse("a TLS handshake where none was asked for"),
        }
    }
}
