//! The POP3 server as a machine: the states of RFC 1939 §§3-6, CAPA and pipelining of RFC 2449, STLS of RFC 2595 §4, AUTH
//! of RFC 5034, APOP where it is asked for.
//!
//! It knows nothing of mailboxes: a login and each request of the TRANSACTION state are events with a question, which
//! [`Backend`](super::Backend) answers, or a program by itself. It keeps no marks of deletion; what is not asked to be
//! removed by [`Request::Quit`] stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use crate::base::wire::{Ending, Line};
use crate::base::{Machine, ParseError, Secret, Step, Tls, Wire};
use crate::pop3::command::{Command, MAX_COMMAND, Number};
use crate::pop3::lines::Place;
use crate::pop3::reply::{Code, Reply};
use crate::pop3::{Error, Fault, Stage};
use crate::sasl::{Answer, Channel, Credentials, Identity, Offer, Question, ServerExchange, ServerStep};

/// How a server behaves.
///
/// ```
/// use facteur::pop3::ServerConfig;
///
/// let mut config = ServerConfig::new();
/// config.greeting = "pop.example.org ready".into();
/// assert!(!config.clear_text);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The text of the greeting. Default: `POP3 server ready`.
    pub greeting: String,
    /// Offer STLS. Default: no, because it needs a driver with a certificate.
    pub starttls: bool,
    /// Allow passwords on a connection without TLS. Default: no (RFC 2595 §2.3, RFC 8314 §3); then USER and AUTH are not
    /// announced and refused until TLS is active.
    pub clear_text: bool,
    /// What AUTH offers. Default [`Offer::default`]: SCRAM-SHA-256, PLAIN and LOGIN. An application that keeps no
    /// [`Verifier`](crate::sasl::Verifier)s must take SCRAM out of it, for it cannot answer [`ServerEvent::Ask`].
    pub auth: Offer,
    /// Take APOP (RFC 1939 §7), with or without TLS, and put a timestamp into the greeting for it. Default: no, because it
    /// needs passwords kept as they are, and MD5 keeps them badly from who listens.
    pub apop: bool,
    /// What CAPA says of how long messages are kept. Default: `None`, nothing is said.
    pub expire: Option<Expire>,
    /// What CAPA says of the least time between two logins (RFC 2449 §6.5), which the program enforces with
    /// [`Refusal::LoginDelay`]. Default: `None`, nothing is said.
    pub login_delay: Option<Duration>,
    /// What CAPA says of the program. Default: `None`, nothing is said; who knows the version knows its holes.
    pub implementation: Option<String>,
    /// The longest command line in octets, its end counted. Default: 255 (RFC 2449 §4).
    pub max_line: usize,
    /// The longest line of an AUTH exchange in octets, its end counted. Default: 12288, as in SMTP (RFC 4954 §4).
    pub max_auth_line: usize,
    /// While so many octets wait to be sent no command is read, and no more of an answer is written. Default: 64 KiB,
    /// which fills a window of a long fat path and costs 64 MiB for a thousand clients that do not read.
    pub max_backlog: usize,
    /// How many octets may lie unread while nothing is read, because of the backlog or after a failed login. Default:
    /// 128 KiB: a driver that stops to read in time keeps below it, and a client that pipelines is then never at fault.
    pub max_unread: usize,
    /// How many commands may be unknown, malformed or out of place; one more ends the session. Default: 20, more than a
    /// client that tries what a server can needs.
    pub max_errors: u32,
    /// With so many failed logins the session ends. Default: 3, as people mistype.
    pub max_failures: u32,
    /// How long the answer to a failed login is held back. Default: 2 seconds, which makes guessing slow and is hardly
    /// noticed by people.
    pub failure_delay: Duration,
    /// After so long without a command the session ends without a word. Default, and the least that RFC 1939 §3 allows:
    /// 10 minutes. A client that still takes what was sent is not idle.
    pub idle: Duration,
    /// So long after the greeting the client must have logged in. Default: 10 minutes, so that a client that speaks
    /// and never logs in does not hold its place for ever.
    pub max_authorization: Duration,
    /// What is let pass that the standard forbids. Default: nothing.
    pub quirks: Quirks,
}

/// What is let pass that the standard forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// A LF without CR ends a command: people at `nc` and scripts need it.
    pub bare_lf: bool,
}

/// How long messages are kept (RFC 2449 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Expire {
    /// The server removes nothing by itself.
    Never,
    /// At least so many days; 0 says that mail must not be left on the server.
    Days(u32),
}

/// What a server reports. Each event but [`AuthFailed`](Self::AuthFailed) asks a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client wants in. Answer with [`Server::accept`] once its maildrop is open and locked, or with
    /// [`Server::refuse`].
    Login {
        /// Who it says it is, by USER, APOP or AUTH.
        identity: Identity,
        /// How it proves that: the password by PASS, or whatever the mechanism shows.
        credentials: Credentials,
    },
    /// A mechanism must know something of a user. Answer with [`Server::tell`], or with [`Server::refuse`] where it cannot
    /// be known now.
    Ask(Question),
    /// No question: somebody could not prove to be this user, and is told so, [later](ServerConfig::failure_delay).
    AuthFailed(Identity),
    /// A client that is in wants something. Answer with [`Server::reply`], or with [`Server::begin_lines`],
    /// [`Server::lines`] and [`Server::end_lines`].
    Request(Request),
}

/// What a client wants in the TRANSACTION state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// `STAT`
    Stat,
    /// `LIST [msg]`
    List(Option<Number>),
    /// `UIDL [msg]`
    Uidl(Option<Number>),
    /// `RETR msg`
    Retr(Number),
    /// `TOP msg n`
    Top {
        /// The message.
        message: Number,
        /// How many lines of its body are wanted.
        lines: u32,
    },
    /// `DELE msg`
    Dele(Number),
    /// `RSET`
    Rset,
    /// `QUIT`: this is the UPDATE state, the one in which messages are removed. Answered by one reply; then the session
    /// is over.
    Quit,
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Name or password are wrong, which of them is not said. Counts as a failure, and its answer is held back.
    Credentials,
    /// The maildrop is open in another session.
    InUse,
    /// Too soon after the last login.
    LoginDelay,
    /// Something is broken that may mend: trying again makes sense.
    Temporary,
    /// Something is broken that somebody must mend.
    Permanent,
}

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

impl ServerConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            greeting: "POP3 server ready".into(),
            starttls: false,
            clear_text: false,
            auth: Offer::default(),
            apop: false,
            expire: None,
            login_delay: None,
            implementation: None,
            max_line: MAX_COMMAND,
            max_auth_line: 12_288,
            max_backlog: 64 * 1024,
            max_unread: 128 * 1024,
            max_errors: 20,
            max_failures: 3,
            failure_delay: Duration::from_secs(2),
            idle: Duration::from_secs(10 * 60),
            max_authorization: Duration::from_secs(10 * 60),
            quirks: Quirks::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
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

    /// RFC 1939 §4.
    fn authorization(&mut self, command: Command, user: Option<String>) -> Option<ServerEvent> {
        match (command, user) {
            (Command::User(_), _) if !self.may_log_in() => {
                self.bad(Reply::err(if self.config.starttls { "STLS first" } else { "no passwords without TLS" }));
            }
            (Command::User(name), _) => {
                // RFC 1939 §13: an -ERR here would tell which names there are.
                self.send(&Reply::ok(""));
                self.state = State::Authorization { user: Some(name) };
            }
            // RFC 1939 §7: "immediately after a successful USER command"
            (Command::Pass(secret), Some(user)) => {
                self.state = State::Login(None);
                let (identity, credentials) = (Identity::new(user), Credentials::Password(secret));
                return Some(ServerEvent::Login { identity, credentials });
            }
            (Command::Apop { user, digest }, _) => match &self.timestamp {
                Some(timestamp) => {
                    let (exchange, step) = ServerExchange::apop(timestamp, &user, &digest);
                    return self.exchange(exchange, step);
                }
                None => self.bad(Reply::err("no APOP here")),
            },
            (Command::Pass(_), None) => self.bad(Reply::err("USER first")),
            (Command::Stls, _) if self.tls.is_some() => self.bad(Reply::err("TLS is active")),
            (Command::Stls, _) if !self.config.starttls => self.bad(Reply::err("no TLS here")),
            (Command::Stls, _) => {
                self.send(&Reply::ok("begin TLS negotiation"));
                self.state = State::Handshake;
            }
            (Command::Auth { .. }, _) if !self.may_log_in() => {
                self.bad(Reply::err(if self.config.starttls { "STLS first" } else { "no passwords without TLS" }));
            }
            (Command::Auth { mechanism, initial }, _) => return self.auth(&mechanism, initial.as_ref()),
            (Command::Capa, _) => self.capabilities(),
            (Command::Quit, _) => {
                // RFC 1939 §6: this "terminates but does NOT enter the UPDATE state".
                self.send(&Reply::ok("signing off"));
                self.state = State::Done;
            }
            _ => self.bad(Reply::err("log in first")),
        }
        None
    }

    /// RFC 5034 §4.
    fn auth(&mut self, mechanism: &str, initial: Option<&Secret>) -> Option<ServerEvent> {
        let Some(mechanism) = self.config.auth.find(mechanism, self.tls.as_ref()) else {
            self.bad(Reply::err("no such mechanism"));
            return None;
        };
        let mut exchange = self.config.auth.begin(mechanism, &Channel::new("pop", self.tls.as_ref()));
        let step = match initial.map(Secret::expose) {
            // "a zero-length initial response [...] as a single equals sign"
            Some(b"=") => exchange.respond(Some(Secret::default())),
            Some(initial) => match BASE64_STANDARD.decode(initial) {
                Ok(octets) => exchange.respond(Some(octets.into())),
                Err(_) => {
                    self.bad(Reply::err("expected base64"));
                    return None;
                }
            },
            None => exchange.respond(None),
        };
        self.exchange(exchange, step)
    }

    /// A response within an AUTH exchange: base64, or `*` to cancel it.
    fn response(&mut self, mut exchange: ServerExchange, line: &Line) -> Option<ServerEvent> {
        let ended = line.ending == Ending::CrLf || self.config.quirks.bare_lf;
        match BASE64_STANDARD.decode(&line.text) {
            _ if line.text == "*" && ended => self.bad(Reply::err("cancelled")),
            Ok(octets) if ended => {
                let step = exchange.respond(Some(octets.into()));
                return self.exchange(exchange, step);
            }
            _ => self.bad(Reply::err("expected base64")),
        }
        None
    }

    fn exchange(&mut self, exchange: ServerExchange, step: ServerStep) -> Option<ServerEvent> {
        match step {
            ServerStep::Challenge(challenge) => {
                self.challenge(&challenge);
                self.state = State::Exchange(exchange);
            }
            ServerStep::Ask(question) => {
                self.state = State::Known(exchange);
                return Some(ServerEvent::Ask(question));
            }
            ServerStep::Judge { identity, credentials } => {
                self.state = State::Login(Some(exchange));
                return Some(ServerEvent::Login { identity, credentials });
            }
            ServerStep::Wrong(identity) => {
                self.failed();
                return Some(ServerEvent::AuthFailed(identity));
            }
            ServerStep::NotAllowed(_) => self.bad(Reply::err("not allowed to act as another user")),
            ServerStep::Malformed(error) => self.bad(Reply::err(format!("expected {}", error.expected))),
        }
        None
    }

    fn challenge(&mut self, challenge: &[u8]) {
        let line = format!("+ {}\r\n", BASE64_STANDARD.encode(challenge));
        self.wire.out(line.as_bytes());
        self.queued += line.len() as u64;
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

    /// RFC 2449 §5: "Capabilities available in the AUTHORIZATION state MUST be announced in both states", except for
    /// STLS, which is announced where it is "permitted in the current state" (RFC 2595 §4).
    fn capabilities(&mut self) {
        self.send(&Reply::ok("capability list follows"));
        let mut out = |text: &str| {
            self.wire.out(text.as_bytes());
            self.queued += text.len() as u64;
        };
        out("TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
        if self.tls.is_some() || self.config.clear_text {
            out("USER\r\nSASL");
            self.config.auth.usable(self.tls.as_ref()).for_each(|mechanism| out(&format!(" {mechanism}")));
            out("\r\n");
        }
        if self.config.starttls && self.tls.is_none() && !matches!(self.state, State::Transaction) {
            out("STLS\r\n");
        }
        match self.config.expire {
            None => {}
            Some(Expire::Never) => out("EXPIRE NEVER\r\n"),
            Some(Expire::Days(days)) => out(&format!("EXPIRE {days}\r\n")),
        }
        if let Some(delay) = self.config.login_delay {
            out(&format!("LOGIN-DELAY {}\r\n", delay.as_secs()));
        }
        if let Some(name) = &self.config.implementation {
            // Made fit for its line as a reply's text is.
            out(&format!("IMPLEMENTATION {}\r\n", Reply::ok(name.clone()).text()));
        }
        out(".\r\n");
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
