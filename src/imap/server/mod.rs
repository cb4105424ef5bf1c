//! The server's side of a conversation, without I/O.
//!
//! Left out on purpose: more than one command at a time (RFC 9051 §5.5 allows it, and nobody gains by it here).

use std::sync::Arc;
use std::time::Instant;

use crate::base::wire::Ending;
use crate::base::{Machine, Step, Tls, Wire};
use crate::imap::command::Command;
use crate::imap::error::{Error, Fault, Stage};
use crate::imap::frame::{Framed, Reader, Refusal};
use crate::imap::grammar;
use crate::imap::response::{Code, Data, Status, print, resp_text};
use crate::sasl::{self, Answer, Credentials, Identity, ServerExchange};

mod answer;
mod config;
mod gate;
mod login;

pub use config::{Limits, ServerConfig};
use gate::Gate;

/// What a client wants of the program behind the server.
///
/// ```
/// use std::time::Instant;
///
/// use facteur::base::{Machine, Step};
/// use facteur::imap::{Server, ServerConfig, ServerEvent};
/// use facteur::sasl::Credentials;
///
/// let mut config = ServerConfig::new("imap.test");
/// config.clear_text = true;
/// let mut server = Server::new(config, Instant::now());
/// server.wire().feed(b"A1 LOGIN ada tanstaaf\r\n");
/// let Step::Event(ServerEvent::Login { identity, credentials }) = server.poll()? else { panic!("a login") };
/// assert_eq!((identity.name(), credentials), ("ada", Credentials::Password("tanstaaf".into())));
/// server.accept();
/// # Ok::<(), facteur::imap::Error>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// LOGIN or AUTHENTICATE: answer with [`Server::accept`] or [`Server::refuse`], or with [`Server::no`] where the answer
    /// cannot be known now.
    Login {
        /// Who wants to log in.
        identity: Identity,
        /// How it proves that: the password by LOGIN, or whatever the mechanism shows.
        credentials: Credentials,
    },
    /// A mechanism must know something of a user: answer with [`Server::tell`], or with [`Server::no`] where it cannot be
    /// known now.
    Ask(sasl::Question),
    /// Somebody could not prove to be this user, and is told so, [later](ServerConfig::failure_delay). No answer is due.
    AuthFailed(Identity),
    /// A command: answer with [`Server::untagged`] as often as needed and then one of [`Server::ok`], [`Server::no`],
    /// [`Server::bad`].
    Command(Command),
    /// IDLE began (RFC 2177): until [`IdleDone`](Self::IdleDone) comes, tell what is new with [`Server::untagged`]. No
    /// answer is due.
    Idle,
    /// IDLE ended, and has been answered.
    IdleDone,
}

/// The server of one conversation.
///
/// ```
/// use std::time::Instant;
///
/// use facteur::base::{Machine, Step};
/// use facteur::imap::{Command, Data, Server, ServerConfig, ServerEvent};
///
/// let mut config = ServerConfig::new("imap.test");
/// config.clear_text = true;
/// let mut server = Server::new(config, Instant::now());
/// server.wire().feed(b"A1 LOGIN ada tanstaaf\r\nA2 SELECT INBOX\r\nA3 LOGOUT\r\n");
/// loop {
///     match server.poll()? {
///         Step::Event(ServerEvent::Login { .. }) => server.accept(),
///         Step::Event(ServerEvent::Command(Command::Select { .. })) => {
///             server.untagged(Data::Exists(0));
///             server.ok(None, "INBOX is selected");
///         }
///         Step::Event(_) => server.no(None, "not here"),
///         Step::Done => break,
///         _ => panic!("the client said all there is to say"),
///     }
/// }
/// # Ok::<(), facteur::imap::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    wire: Wire,
    config: Arc<ServerConfig>,
    reader: Reader,
    tls: Option<Tls>,
    now: Instant,
    /// When octets last moved, or a command was last read.
    activity: Instant,
    /// Octets unread and octets unsent when that was last looked at.
    seen: (usize, usize),
    errors: u32,
    failures: u32,
    session: Session,
    turn: Turn,
}

/// The states of RFC 9051 §3, as far as commands differ by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// A login must come until then.
    NotAuthenticated(Instant),
    Authenticated,
    Selected,
}

/// Whose turn it is, and for what.
#[derive(Debug)]
enum Turn {
    /// Nothing has been said.
    Greeting,
    /// The client's: a command.
    Command,
    /// The client's: the response of a SASL exchange.
    Response { tag: String, exchange: ServerExchange },
    /// The machine's: what an exchange must know was told.
    Told { tag: String, exchange: ServerExchange, answer: Answer, then: Then },
    /// The client's: a login was refused and it was told why in a challenge; its response is awaited.
    Refused { tag: String },
    /// The clock's: the answer to a failed login is held back until then.
    Held { tag: String, until: Instant, then: Then },
    /// The client's: DONE.
    Idle { tag: String },
    /// The program's: the answer to a command.
    Answer { tag: String, question: Question, then: Then },
    /// The driver's: a TLS handshake.
    Handshake,
    /// Nobody's: the farewell is outgoing.
    Closing,
    /// Nobody's: the farewell is outgoing, and this is why.
    Failed(Error),
}

/// What an open question is about, as far as its answer changes the session.
#[derive(Debug)]
enum Question {
    /// The exchange, where there was one, may want to say why not.
    Login(Option<ServerExchange>),
    /// What an exchange must know.
    Known(ServerExchange),
    Select,
    Examine,
    /// CLOSE or UNSELECT.
    Deselect,
    /// FETCH, STORE or SEARCH by sequence numbers, during which no EXPUNGE may be told (RFC 9051 §7.5.1).
    Numbered,
    Other,
}

/// What comes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Command,
    Bye(&'static str),
}

impl Server {
    /// A server that greets with the first poll. Say [`Machine::tls_started`] before it where the connection began with TLS.
    pub fn new(config: impl Into<Arc<ServerConfig>>, start: Instant) -> Self {
        let config = config.into();
        let session = Session::NotAuthenticated(start + config.login_timeout);
        Self {
            wire: Wire::new(),
            config,
            reader: Reader::default(),
            tls: None,
            now: start,
            activity: start,
            seen: (0, 0),
            errors: 0,
            failures: 0,
            session,
            turn: Turn::Greeting,
        }
    }

    /// The session under the conversation, where it is encrypted.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    fn private(&self) -> bool {
        self.tls.is_some() || self.config.clear_text
    }

    /// `capability-data`: what is true in this state (RFC 9051 §6.1.1).
    fn capabilities(&self) -> Vec<String> {
        let mut all: Vec<String> = ["IMAP4rev1", "LITERAL+", "ID", "ENABLE"].map(str::to_owned).to_vec();
        if self.stage() == Stage::Login {
            all.push("SASL-IR".to_owned());
            if self.tls.is_none() && self.config.starttls {
                all.push("STARTTLS".to_owned());
            }
            if self.private() {
                all.extend(self.config.auth.usable(self.tls.as_ref()).map(|mechanism| format!("AUTH={mechanism}")));
            } else {
                all.push("LOGINDISABLED".to_owned());
            }
        } else {
            all.extend(["IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT"].map(str::to_owned));
            all.extend_from_slice(&self.config.capabilities);
        }
        all
    }

    fn stage(&self) -> Stage {
        match (&self.turn, self.session) {
            (_, Session::NotAuthenticated(_)) => Stage::Login,
            (Turn::Answer { .. }, _) => Stage::Answer,
            (Turn::Idle { .. }, _) => Stage::Idle,
            _ if self.reader.is_within(&self.wire) => Stage::Literal,
            _ => Stage::Command,
        }
    }

    fn limits(&self) -> Limits {
        match self.session {
            Session::NotAuthenticated(_) => self.config.before_login,
            Session::Authenticated | Session::Selected => self.config.after_login,
        }
    }

    /// Gives the answer to a failed login when its time has come.
    fn release(&mut self) -> Option<Option<ServerEvent>> {
        if self.wire.unread().len() > self.config.max_unread {
            self.fail(Error::Peer(Fault::TooMuchAhead));
            return Some(None);
        }
        match std::mem::replace(&mut self.turn, Turn::Command) {
            Turn::Held { tag, until, then } if until <= self.now => {
                self.status(&tag, Status::No, Some(&Code::AuthenticationFailed), "user name or password is wrong");
                self.failures += 1;
                if self.failures >= self.config.max_failures {
                    self.fail(Error::Peer(Fault::TooManyLogins));
                }
                self.then(then);
                Some(None)
            }
            held => {
                self.turn = held;
                None
            }
        }
    }

    fn ask(&mut self, tag: String, question: Question) {
        self.turn = Turn::Answer { tag, question, then: Then::Command };
    }

    /// `response-tagged`
    fn status(&mut self, tag: &str, status: Status, code: Option<&Code>, text: &str) {
        print(&mut self.wire, format_args!("{tag} {status}"));
        resp_text(&mut self.wire, code, text);
    }

    /// Answers what was no command, and counts it.
    fn wrong(&mut self, refusal: Refusal) {
        let tag = refusal.tag.as_deref().unwrap_or("*");
        self.status(tag, refusal.status, refusal.code.as_ref(), &refusal.text);
        if refusal.status == Status::Bad {
            self.errors += 1;
            if self.errors >= self.config.max_errors {
                self.fail(Error::Peer(Fault::TooManyErrors));
            }
        }
    }

    fn bye(&mut self, text: &str) {
        self.wire.out(b"* BYE");
        resp_text(&mut self.wire, None, text);
        self.turn = Turn::Closing;
    }

    fn fail(&mut self, error: Error) {
        match error {
            Error::Peer(fault) => self.bye(&fault.to_string()),
            Error::Timeout(_) => self.bye("nothing came for too long"),
            Error::Misuse(_) => self.bye("internal error"),
            Error::Closed(_) => {}
        }
        self.turn = Turn::Failed(error);
    }

    fn misuse(&mut self, what: &'static str) {
        self.fail(Error::Misuse(what));
    }

    fn greet(&mut self) {
        let code = Code::Capability(self.capabilities());
        let text = format!("{} is ready", self.config.host);
        self.status("*", Status::Ok, Some(&code), &text);
        self.turn = Turn::Command;
    }

    /// Reads a command and does what can be done without the program; what it must do comes out as an event.
    ///
    /// Here and in its like, `None` asks for more input, and `Some(None)` was no event.
    fn command(&mut self) -> Option<Option<ServerEvent>> {
        let (limits, gate) = (self.limits(), Gate { session: self.session, private: self.private() });
        let judge = |text: &[u8]| gate.judge(text);
        let framed = self.reader.read(&mut self.wire, &limits, self.config.max_message, judge)?;
        self.activity = self.now;
        let (text, message) = match framed {
            Framed::Command { text, message } => (text, message),
            Framed::Refused(refusal) => {
                self.wrong(refusal);
                return Some(None);
            }
            Framed::Hopeless => {
                self.fail(Error::Peer(Fault::HopelessLiteral));
                return Some(None);
            }
        };
        let parsed = gate.judge(&text).and_then(|()| grammar::command(&text, message.as_ref()));
        match parsed {
            Ok((tag, command)) => Some(self.obey(tag, command)),
            Err(refusal) => {
                self.wrong(refusal);
                Some(None)
            }
        }
    }

    fn obey(&mut self, tag: String, command: Command) -> Option<ServerEvent> {
        let question = match &command {
            Command::Capability => {
                Data::Capability(self.capabilities()).write(&mut self.wire);
                self.status(&tag, Status::Ok, None, "capabilities listed");
                return None;
            }
            Command::Logout => {
                self.bye("until next time");
                self.status(&tag, Status::Ok, None, "logged out");
                return None;
            }
            Command::Noop if self.stage() == Stage::Login => {
                self.status(&tag, Status::Ok, None, "nothing done");
                return None;
            }
            Command::Id(_) => {
                let ours = self.config.id.iter();
                let ours = ours.map(|(name, value)| (name.clone().into(), Some(value.clone().into())));
                Data::Id(ours.collect()).write(&mut self.wire);
                self.status(&tag, Status::Ok, None, "pleased to meet you");
                return None;
            }
            Command::Enable(_) => {
                // RFC 5161 §3.1: what cannot be enabled is ignored, and nothing can be yet.
                Data::Enabled(Vec::new()).write(&mut self.wire);
                self.status(&tag, Status::Ok, None, "nothing enabled");
                return None;
            }
            Command::StartTls => {
                self.starttls(tag);
                return None;
            }
            Command::Authenticate { mechanism, initial } => {
                let (mechanism, initial) = (mechanism.clone(), initial.clone());
                return self.authenticate(tag, &mechanism, initial);
            }
            Command::Login { user, secret } => {
                let identity = Identity::new(user.clone());
                let credentials = Credentials::Password(secret.clone());
                self.ask(tag, Question::Login(None));
                return Some(ServerEvent::Login { identity, credentials });
            }
            Command::Idle => {
                self.wire.out(b"+ idling\r\n");
                self.turn = Turn::Idle { tag };
                return Some(ServerEvent::Idle);
            }
            Command::Select { .. } | Command::Examine { .. } => {
                if self.session == Session::Selected {
                    // RFC 9051 §6.3.2: "when deselecting a selected mailbox, the server MUST return an untagged OK response
                    // with the "[CLOSED]" response code"
                    let text = "the mailbox selected before is closed".to_owned();
                    Data::Status(Status::Ok, Some(Code::Closed), text).write(&mut self.wire);
                }
                if matches!(command, Command::Select { .. }) { Question::Select } else { Question::Examine }
            }
            Command::Close | Command::Unselect => Question::Deselect,
            Command::Fetch { by, .. } | Command::Store { by, .. } | Command::Search { by, .. } => match by {
                crate::imap::By::Sequence => Question::Numbered,
                crate::imap::By::Uid => Question::Other,
            },
            _ => Question::Other,
        };
        self.ask(tag, question);
        Some(ServerEvent::Command(command))
    }

    fn starttls(&mut self, tag: String) {
        if self.tls.is_some() {
            return self.wrong(Refusal::bad(Some(tag), "TLS is on already"));
        }
        if !self.config.starttls {
            return self.wrong(Refusal::bad(Some(tag), "STARTTLS is not offered"));
        }
        self.status(&tag, Status::Ok, None, "begin TLS now");
        self.turn = Turn::Handshake;
    }

    /// Reads what ends IDLE: `DONE`, and nothing else (RFC 2177 §3).
    fn idle_line(&mut self) -> Option<Option<ServerEvent>> {
        let line = match self.wire.line(self.config.after_login.line) {
            Ok(None) => return None,
            Ok(Some(line)) => Some(line.text).filter(|_| line.ending == Ending::CrLf),
            Err(_) => None,
        };
        self.activity = self.now;
        let Turn::Idle { tag } = std::mem::replace(&mut self.turn, Turn::Command) else { return Some(None) };
        if line.is_some_and(|line| line.eq_ignore_ascii_case(b"DONE")) {
            self.status(&tag, Status::Ok, None, "no longer idle");
        } else {
            self.wrong(Refusal::bad(Some(tag), "expected DONE"));
        }
        Some(Some(ServerEvent::IdleDone))
    }

    fn step(&mut self) -> Result<Step<ServerEvent>, Error> {
        loop {
            let taken = match &self.turn {
                Turn::Failed(error) => return Err(*error),
                Turn::Closing => return Ok(Step::Done),
                Turn::Answer { .. } => return Ok(Step::NeedAnswer),
                Turn::Greeting => {
                    self.greet();
                    continue;
                }
                Turn::Handshake if !self.wire.unread().is_empty() => {
                    self.fail(Error::Peer(Fault::InjectedBeforeTls));
                    continue;
                }
                Turn::Handshake => return Ok(Step::StartTls),
                // Who does not read gets no more answers.
                Turn::Command if self.is_full() => return Ok(Step::NeedInput),
                Turn::Command => self.command(),
                Turn::Response { .. } | Turn::Refused { .. } => self.response(),
                Turn::Told { .. } => Some(self.told()),
                Turn::Held { .. } => self.release(),
                Turn::Idle { .. } => self.idle_line(),
            };
            match taken {
                Some(Some(event)) => return Ok(Step::Event(event)),
                Some(None) => {}
                None if self.wire.is_closed() => self.fail(Error::Closed(self.stage())),
                None => return Ok(Step::NeedInput),
            }
        }
    }

    /// Notes octets that moved since the last look: a client that uploads or downloads is not silent.
    fn look(&mut self) {
        let now = (self.wire.unread().len(), self.wire.backlog());
        if now.0 != self.seen.0 || now.1 < self.seen.1 {
            self.activity = self.now;
        }
        self.seen = now;
    }

    fn due(&self) -> Option<Instant> {
        match (&self.turn, self.session) {
            (Turn::Closing | Turn::Failed(_), _) => None,
            (Turn::Held { until, .. }, Session::NotAuthenticated(login)) => Some(login.min(*until)),
            (_, Session::NotAuthenticated(until)) => Some(until),
            _ => Some(self.activity + self.config.inactivity_timeout),
        }
    }
}

impl Machine for Server {
    type Event = ServerEvent;
    type Error = Error;

    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn tick(&mut self, now: Instant) {
        self.look();
        self.now = self.now.max(now);
        let held = matches!(self.turn, Turn::Held { until, .. } if until <= self.now);
        if !held && self.due().is_some_and(|due| due <= self.now) {
            self.fail(Error::Timeout(self.stage()));
        }
    }

    fn poll(&mut self) -> Result<Step<ServerEvent>, Error> {
        self.look();
        let step = self.step();
        self.seen = (self.wire.unread().len(), self.wire.backlog());
        step
    }

    fn deadline(&self) -> Option<Instant> {
        self.due()
    }

    fn tls_started(&mut self, tls: Tls) {
        self.tls = Some(tls);
        match self.turn {
            Turn::Greeting => {}
            Turn::Handshake if self.wire.unread().is_empty() => self.turn = Turn::Command,
            Turn::Handshake => self.fail(Error::Peer(Fault::InjectedBeforeTls)),
            Turn::Closing | Turn::Failed(_) => {}
            _ => self.misuse("a TLS handshake that was not asked for"),
        }
    }
}
