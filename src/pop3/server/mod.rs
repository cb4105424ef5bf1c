//! The POP3 server as a machine: the states of RFC 1939 §§3-6, CAPA and pipelining of RFC 2449, STLS of RFC 2595 §4, AUTH
//! of RFC 5034, APOP where it is asked for.
//!
//! It knows nothing of mailboxes: a login and each request of the TRANSACTION state are events with a question, which
//! [`Backend`](super::Backend) answers, or a program by itself. It keeps no marks of deletion; what is not asked to be
//! removed by [`Request::Quit`] stays.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::base::wire::{Ending, Line};
use crate::base::{Machine, ParseError, Step, Tls, Wire};
use crate::pop3::command::Command;
use crate::pop3::lines::Place;
use crate::pop3::reply::{Code, Reply};
use crate::pop3::{Error, Fault, Stage};
use crate::sasl::{Answer, ServerExchange};

mod authorization;
mod config;
mod event;

pub use config::{Expire, Quirks, ServerConfig};
pub use event::{Refusal, Request, ServerEvent};

/// A POP3 server for one connection.
///
/// ```
/// use std::time::Instant;
/// use facteur::base::{Machine, Step};
/// use facteur::pop3::{Reply, Request, Server, ServerConfig, ServerEvent};
///
/// let mut config = ServerConfig::new();
/// config.clear_text = true;
/// let mut server = Server::new(config, Instant::now());
/// server.wire().feed(b"USER ada\r\nPASS tanstaaf\r\nSTAT\r\n");
/// while let Step::Event(event) = server.poll()? {
///     match event {
///         ServerEvent::Login { identity, .. } if identity.name() == "ada" => server.accept(),
///         ServerEvent::Request(Request::Stat) => server.reply(Reply::ok("0 0")),
///         _ => server.reply(Reply::err("not now")),
///     }
/// }
/// assert_eq!(server.wire().outgoing(), b"+OK POP3 server ready\r\n+OK\r\n+OK maildrop ready\r\n+OK 0 0\r\n");
/// # Ok::<(), facteur::pop3::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    wire: Wire,
    state: State,
    tls: Option<Tls>,
    now: Instant,
    /// When the client must have logged in.
    login_by: Instant,
    /// When the client is idle, unless it takes what is sent.
    idle_at: Instant,
    /// All octets ever queued.
    queued: u64,
    /// How many of them had been sent when `idle_at` was set.
    sent: u64,
    errors: u32,
    failures: u32,
    shutdown: bool,
    /// The timestamp in the greeting, where APOP is taken.
    timestamp: Option<String>,
}

#[derive(Debug)]
enum State {
    Greeting,
    Authorization {
        /// What the USER command just before has said.
        user: Option<String>,
    },
    /// An AUTH exchange wants the client's next response.
    Exchange(ServerExchange),
    /// [`ServerEvent::Login`] wants its answer. The exchange, where there was one, may want to say why not.
    Login(Option<ServerExchange>),
    /// [`ServerEvent::Ask`] wants its answer.
    Known(ServerExchange),
    /// It was answered.
    Told(ServerExchange, Answer),
    /// A login was refused, and the client told why in a challenge; its response is awaited.
    Refused,
    /// The answer to a failed login is held back.
    Held {
        until: Instant,
    },
    /// The handshake is awaited.
    Handshake,
    Transaction,
    /// [`ServerEvent::Request`] wants its answer.
    Asked {
        quit: bool,
    },
    /// The first line of a multi-line answer is out.
    Lines(Place),
    Done,
    Failed(Error),
}

enum Forgotten {
    User(Option<String>),
    Exchange(ServerExchange),
    Nothing,
}

impl Server {
    /// A server for a connection that was made at `now`. Where it begins with TLS (port 995), call
    /// [`tls_started`](Machine::tls_started) before the first poll.
    pub fn new(config: impl Into<Arc<ServerConfig>>, now: Instant) -> Self {
        let config = config.into();
        Self {
            login_by: now + config.max_authorization,
            idle_at: now + config.idle,
            config,
            wire: Wire::new(),
            state: State::Greeting,
            tls: None,
            now,
            queued: 0,
            sent: 0,
            errors: 0,
            failures: 0,
            shutdown: false,
            timestamp: None,
        }
    }

    /// What is known of the TLS session, where there is one.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Lets the client in: the answer yes to [`ServerEvent::Login`].
    pub fn accept(&mut self) {
        if !matches!(self.state, State::Login(_)) {
            return self.misuse("accept without a login");
        }
        self.reply(Reply::ok("maildrop ready"));
    }

    /// Keeps the client out: the answer no to [`ServerEvent::Login`].
    pub fn refuse(&mut self, why: Refusal) {
        if !matches!(self.state, State::Login(_) | State::Known(_)) {
            return self.misuse("refuse without a login");
        }
        let asked = std::mem::replace(&mut self.state, State::Authorization { user: None });
        self.awake();
        let reply = match why {
            Refusal::Credentials => {
                let State::Login(Some(mut exchange)) = asked else { return self.failed() };
                match exchange.refusal() {
                    Some(challenge) => {
                        self.challenge(&challenge);
                        self.state = State::Refused;
                    }
                    None => self.failed(),
                }
                return;
            }
            Refusal::InUse => Reply::err("the maildrop is in use by another session").with(Code::InUse),
            Refusal::LoginDelay => Reply::err("too soon after the last login").with(Code::LoginDelay),
            Refusal::Temporary => Reply::err("the maildrop cannot be opened now").with(Code::SysTemp),
            Refusal::Permanent => Reply::err("the maildrop cannot be opened").with(Code::SysPerm),
        };
        self.send(&reply);
    }

    /// A login has failed: its answer is held back.
    fn failed(&mut self) {
        self.failures += 1;
        self.state = State::Held { until: self.now + self.config.failure_delay };
    }

    /// Answers [`ServerEvent::Ask`].
    pub fn tell(&mut self, answer: Answer) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Known(exchange) => {
                self.awake();
                self.state = State::Told(exchange, answer);
            }
            other => {
                self.state = other;
                self.misuse("what is known of a user where it was not asked");
            }
        }
    }

    /// Answers [`ServerEvent::Request`] with one line; and a login in words of one's own, without counting a failure.
    pub fn reply(&mut self, reply: Reply) {
        match self.state {
            State::Asked { quit } => {
                self.send(&reply);
                self.state = if quit { State::Done } else { State::Transaction };
                self.awake();
            }
            State::Known(_) if reply.is_ok() => self.misuse("reply where something must be known"),
            State::Login(_) | State::Known(_) => {
                self.send(&reply);
                self.state = if reply.is_ok() { State::Transaction } else { State::Authorization { user: None } };
                self.awake();
            }
            _ => self.misuse("reply without a request"),
        }
    }

    /// Begins a multi-line answer to [`ServerEvent::Request`].
    pub fn begin_lines(&mut self, first: Reply) {
        if !matches!(self.state, State::Asked { quit: false }) {
            return self.misuse("lines without a request that has them");
        }
        self.send(&first);
        self.state = State::Lines(Place::LineStart);
    }

    /// Goes on with a multi-line answer: whole lines or any other pieces of it, their ends CRLF, their dots not yet
    /// doubled. Whoever looks at [`room`](Self::room) first keeps memory bounded.
    pub fn lines(&mut self, text: Bytes) {
        let State::Lines(place) = &mut self.state else { return self.misuse("lines without their beginning") };
        let before = self.wire.backlog();
        place.send(text, &mut self.wire);
        self.queued += (self.wire.backlog() - before) as u64;
    }

    /// Ends a multi-line answer.
    pub fn end_lines(&mut self) {
        let State::Lines(place) = self.state else { return self.misuse("the end of lines without their beginning") };
        let before = self.wire.backlog();
        place.end(&mut self.wire);
        self.queued += (self.wire.backlog() - before) as u64;
        self.state = State::Transaction;
        self.awake();
    }

    /// Says that the server wants to stop: what is being answered comes to its end, then the client is told and the
    /// machine is done. Nothing is removed.
    pub fn shutdown(&mut self) {
        self.shutdown = true;
    }

    /// How many octets may be written before some must be sent.
    pub fn room(&self) -> usize {
        self.config.max_backlog.saturating_sub(self.wire.backlog())
    }

    /// Whether the conversation is over, so that an answer would go nowhere.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed(_))
    }

    fn stage(&self) -> Stage {
        match self.state {
            State::Transaction | State::Lines(_) | State::Asked { quit: false } => Stage::Transaction,
            State::Asked { quit: true } | State::Done => Stage::Update,
            _ => Stage::Authorization,
        }
    }

    /// Whether a password may be said now.
    fn may_log_in(&self) -> bool {
        self.tls.is_some() || self.config.clear_text
    }

    fn line(&mut self, line: &Line) -> Option<ServerEvent> {
        if matches!(self.state, State::Refused) {
            self.failed();
            return None;
        }
        match self.forget() {
            Forgotten::Exchange(exchange) => self.response(exchange, line),
            Forgotten::User(user) => self.command(line, user),
            Forgotten::Nothing => self.command(line, None),
        }
    }

    /// `user` is what the USER command just before has said.
    fn command(&mut self, line: &Line, user: Option<String>) -> Option<ServerEvent> {
        let parsed = match line.ending {
            // RFC 1939 §3: "All commands are terminated by a CRLF pair."
            Ending::BareLf if !self.config.quirks.bare_lf => Err(ParseError { expected: "CRLF", at: line.text.len() }),
            _ => Command::parse(&line.text),
        };
        let command = match parsed {
            Ok(command) => command,
            Err(error) => {
                self.bad(Reply::err(error.to_string()));
                return None;
            }
        };
        match self.state {
            State::Authorization { .. } => self.authorization(command, user),
            _ => self.transaction(command),
        }
    }

    /// RFC 1939 §5.
    fn transaction(&mut self, command: Command) -> Option<ServerEvent> {
        let request = match command {
            Command::Stat => Request::Stat,
            Command::List(message) => Request::List(message),
            Command::Uidl(message) => Request::Uidl(message),
            Command::Retr(message) => Request::Retr(message),
            Command::Top { message, lines } => Request::Top { message, lines },
            Command::Dele(message) => Request::Dele(message),
            Command::Rset => Request::Rset,
            Command::Quit => Request::Quit,
            Command::Noop => {
                self.send(&Reply::ok(""));
                return None;
            }
            Command::Capa => {
                self.capabilities();
                return None;
            }
            Command::User(_) | Command::Pass(_) | Command::Apop { .. } | Command::Auth { .. } | Command::Stls => {
                self.bad(Reply::err("you are logged in already"));
                return None;
            }
        };
        self.state = State::Asked { quit: request == Request::Quit };
        Some(ServerEvent::Request(request))
    }

    /// In the AUTHORIZATION state nothing is remembered from one line to the next but what the next may need.
    fn forget(&mut self) -> Forgotten {
        if !matches!(self.state, State::Authorization { .. } | State::Exchange(_)) {
            return Forgotten::Nothing;
        }
        match std::mem::replace(&mut self.state, State::Authorization { user: None }) {
            State::Exchange(exchange) => Forgotten::Exchange(exchange),
            State::Authorization { user } => Forgotten::User(user),
            _ => Forgotten::Nothing,
        }
    }

    fn send(&mut self, reply: &Reply) {
        let line = format!("{reply}\r\n");
        self.wire.out(line.as_bytes());
        self.queued += line.len() as u64;
    }

    fn bad(&mut self, reply: Reply) {
        self.errors += 1;
        if self.errors > self.config.max_errors {
            return self.fail(Error::Peer(Fault::TooManyErrors));
        }
        self.send(&reply);
    }

    /// Ends it, with the farewell that belongs to the error.
    fn fail(&mut self, error: Error) {
        // In the middle of an answer a farewell would be taken for a part of it.
        if let (Some(reply), false) = (error.reply(), matches!(self.state, State::Lines(_))) {
            self.send(&reply);
        }
        self.state = State::Failed(error);
    }

    /// The program is at fault; what comes after another end changes nothing.
    fn misuse(&mut self, what: &'static str) {
        if !self.is_over() {
            self.fail(Error::Misuse(what));
        }
    }

    /// The idle time begins anew.
    fn awake(&mut self) {
        self.idle_at = self.now + self.config.idle;
        self.sent = self.queued - self.wire.backlog() as u64;
    }

    /// Nothing is read now.
    fn blocked(&mut self) -> Result<Step<ServerEvent>, Error> {
        if self.wire.unread().len() > self.config.max_unread {
            self.fail(Error::Peer(Fault::SentAhead));
            return Err(Error::Peer(Fault::SentAhead));
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
        if self.is_over() {
            return;
        }
        if self.stage() == Stage::Authorization && self.now >= self.login_by {
            return self.fail(Error::Timeout(Stage::Authorization));
        }
        if self.now < self.idle_at {
            return;
        }
        let backlog = self.wire.backlog();
        let moved = self.queued - backlog as u64 > self.sent;
        let ours = matches!(self.state, State::Login(_) | State::Known(_) | State::Asked { .. } | State::Lines(_));
        // The client is at fault where it takes nothing of what waits for it, or where nothing waits but its command.
        if if backlog > 0 { moved } else { ours } { self.awake() } else { self.fail(Error::Timeout(self.stage())) }
    }

    fn poll(&mut self) -> Result<Step<ServerEvent>, Error> {
        loop {
            match &self.state {
                State::Failed(error) => return Err(*error),
                State::Done => return Ok(Step::Done),
                State::Login(_) | State::Known(_) | State::Asked { .. } | State::Lines(_) => {
                    return Ok(Step::NeedAnswer);
                }
                State::Told(..) => {
                    let told = std::mem::replace(&mut self.state, State::Authorization { user: None });
                    let State::Told(mut exchange, answer) = told else { continue }; // it is, as just matched
                    let step = exchange.answer(answer);
                    if let Some(event) = self.exchange(exchange, step) {
                        return Ok(Step::Event(event));
                    }
                }
                State::Handshake if self.shutdown => self.state = State::Done,
                _ if self.shutdown => {
                    self.send(&Reply::err("the server is going down").with(Code::SysTemp));
                    self.state = State::Done;
                }
                State::Greeting => {
                    // RFC 1939 §7: "The syntax of the timestamp corresponds to the `msg-id'"
                    self.timestamp = self.config.apop.then(|| self.config.auth.timestamp());
                    let stamp = self.timestamp.iter().map(|stamp| format!(" {stamp}"));
                    let greeting = stamp.fold(self.config.greeting.clone(), |text, stamp| text + &stamp);
                    self.send(&Reply::ok(greeting));
                    self.state = State::Authorization { user: None };
                }
                State::Held { until } if self.now < *until => return self.blocked(),
                State::Held { .. } if self.failures >= self.config.max_failures => {
                    self.fail(Error::Peer(Fault::TooManyFailures));
                }
                State::Held { .. } => {
                    self.send(&Reply::err("wrong name or password").with(Code::Auth));
                    self.state = State::Authorization { user: None };
                }
                State::Handshake if !self.wire.unread().is_empty() || self.wire.is_dropping() => {
                    self.fail(Error::Peer(Fault::BeforeTls));
                }
                State::Handshake if self.wire.is_closed() => self.fail(Error::Closed(Stage::Authorization)),
                State::Handshake => return Ok(Step::StartTls),
                State::Authorization { .. } | State::Exchange(_) | State::Refused | State::Transaction => {
                    if self.room() == 0 {
                        return self.blocked();
                    }
                    let in_exchange = matches!(self.state, State::Exchange(_) | State::Refused);
                    let most = if in_exchange { self.config.max_auth_line } else { self.config.max_line };
                    match self.wire.line(most) {
                        Ok(Some(line)) => {
                            self.awake();
                            if let Some(event) = self.line(&line) {
                                return Ok(Step::Event(event));
                            }
                        }
                        Ok(None) if self.wire.is_closed() => self.fail(Error::Closed(self.stage())),
                        Ok(None) => return Ok(Step::NeedInput),
                        Err(error) => {
                            self.awake();
                            if matches!(self.state, State::Refused) {
                                self.failed();
                                continue;
                            }
                            self.forget();
                            self.bad(Reply::err(error.to_string()));
                        }
                    }
                }
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let all = match self.state {
            State::Done | State::Failed(_) => return None,
            State::Held { until } => until.min(self.login_by),
            _ if self.stage() == Stage::Authorization => self.login_by,
            _ => self.idle_at,
        };
        Some(all.min(self.idle_at))
    }

    /// RFC 2595 §4: the session begins anew in the AUTHORIZATION state; what was counted against the client stays.
    fn tls_started(&mut self, tls: Tls) {
        match self.state {
            State::Handshake if !self.wire.unread().is_empty() || self.wire.is_dropping() => {
                self.fail(Error::Peer(Fault::BeforeTls));
            }
            State::Handshake => {
                self.state = State::Authorization { user: None };
                self.tls = Some(tls);
                self.awake();
            }
            State::Greeting => self.tls = Some(tls),
            _ => self.misuse("a handshake that was not asked for"),
        }
    }
}
