//! The server's side of SMTP and LMTP, as a [`Machine`].
//!
//! The state table is in `table`: which command means what in which state. This file has what is around it: the events, the
//! answers to them, time, and the reading of lines and messages.
//!
//! Left out so far: BDAT, ETRN, and what [`MailParams`] does not hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::data::{Data, DataFault, DataReader};
use super::{Enhanced, Envelope, Error, Fault, ForwardPath, MailParams, RcptParams, Reply, ReversePath};
use super::{Recipient, Session};
use crate::address::Domain;
use crate::base::wire::Ending;
use crate::base::{Machine, Step, Tls, Wire};
use crate::sasl::{Credentials, Identity};

mod config;
mod table;

pub use super::trace::{Hello, HelloVerb};
pub use config::{AuthPolicy, Content, Protocol, Screen, ServerConfig, StartTls};
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
}

/// What a client wants. All but [`Chunk`](Self::Chunk) and [`Discarded`](Self::Discarded) are questions: answer with
/// [`Server::accept`] or [`Server::reply`], then poll again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// It has connected; nothing was said yet. Only with [`Screen::connect`].
    Connect,
    /// It greets. Only with [`Screen::hello`]. If refused, it is as before.
    Hello(Hello),
    /// It says who it is.
    Auth {
        /// Who.
        identity: Identity,
        /// How it proves that.
        credentials: Credentials,
    },
    /// It begins a message.
    Mail {
        /// The reverse-path.
        from: ReversePath,
        /// What follows it.
        params: MailParams,
    },
    /// It names a recipient.
    Rcpt {
        /// The forward-path.
        to: ForwardPath,
        /// What follows it.
        params: RcptParams,
    },
    /// It asks whether there is such a user. Only with [`Screen::vrfy`].
    Vrfy {
        /// A user name, a mailbox, or both.
        text: String,
        /// The reply may be in UTF-8.
        smtputf8: bool,
    },
    /// It is about to send the text of a message. Only with [`Screen::data`].
    Data,
    /// No question: a piece of the message. Only with [`Content::Stream`].
    Chunk(Bytes),
    /// The message is whole: whoever accepts it is responsible for it from then on (RFC 5321 §4.2.5).
    Message(Mail),
    /// No question: the message is at its end and was refused by the machine, for this reason. Pieces of it that were
    /// handed over are to be thrown away.
    Discarded(DataFault),
}

/// A message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// Who sent it, to whom.
    pub envelope: Envelope,
    /// The message; empty with [`Content::Stream`].
    pub content: Bytes,
    /// Its size, in octets.
    pub size: u64,
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
    },
    Mail {
        from: ReversePath,
        params: MailParams,
    },
    Rcpt {
        envelope: Box<Envelope>,
        recipient: Recipient,
    },
    Vrfy {
        back: Box<State>,
    },
    Data {
        envelope: Box<Envelope>,
    },
    /// How many replies are due.
    Message {
        replies: usize,
    },
}

/// A message that is being read.
#[derive(Debug)]
struct Incoming {
    envelope: Envelope,
    reader: DataReader,
    /// What has come, where it is collected.
    content: BytesMut,
    /// When the first piece was waited for.
    begun: Option<Instant>,
}

impl Server {
    /// The server's side of a connection from `peer`, accepted at `start`. Where the connection began with TLS, call
    /// [`tls_started`](Machine::tls_started) before the first poll.
    pub fn new(config: impl Into<Arc<ServerConfig>>, peer: IpAddr, start: Instant) -> Self {
        Self {
            config: config.into(),
            wire: Wire::new(),
            session: Session::new(peer),
            state: State::Opening,
            counts: Counts::default(),
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

    /// Says that the server wants to stop: a message under way may still come to its end, then the client is told 421 and
    /// the machine is done.
    pub fn shutdown(&mut self) {
        self.shutdown = true;
    }

    /// Accepts what the last event asked. A message that is accepted must be in safe keeping by then.
    pub fn accept(&mut self) {
        self.answer(Ok(None));
    }

    /// Accepts [`ServerEvent::Auth`] under the name by which the application knows the client, for
    /// [`Session::identity`]: that of a certificate, or an account of which the client gave an alias.
    pub fn accept_as(&mut self, name: impl Into<String>) {
        match &mut self.state {
            State::Asking(Question::Auth { name: known }) => {
                *known = name.into();
                self.answer(Ok(None));
            }
            _ => self.misuse("a name for what is no authentication"),
        }
    }

    /// Answers what the last event asked: 2yz accepts it in other words, 4yz and 5yz refuse it, 421 also ends the session.
    pub fn reply(&mut self, reply: Reply) {
        self.answer(if reply.code() < 400 { Ok(Some(reply)) } else { Err(reply) });
    }

    /// Answers [`ServerEvent::Message`] of LMTP for each recipient by itself, in their order (RFC 2033 §4.2).
    pub fn reply_each(&mut self, replies: impl IntoIterator<Item = Reply>) {
        let replies: Vec<_> = replies.into_iter().collect();
        match self.state {
            State::Asking(Question::Message { replies: wanted }) if wanted == replies.len() => {
                self.since = None;
                self.state = State::Idle;
                replies.iter().for_each(|reply| self.say(reply));
            }
            _ => self.misuse("not as many replies as recipients"),
        }
    }

    /// `Ok` accepts, in the words of the reply where there is one; `Err` refuses.
    fn answer(&mut self, verdict: Result<Option<Reply>, Reply>) {
        let question = match std::mem::replace(&mut self.state, State::Done) {
            State::Asking(question) => question,
            other => {
                self.state = other;
                return self.misuse("an answer to no question");
            }
        };
        self.since = None;
        match (question, verdict) {
            (Question::Connect, Ok(reply)) => self.welcome(reply),
            (Question::Connect, Err(reply)) => self.settle(State::Unwelcome, &reply),
            // What the extensions are is for the machine to say.
            (Question::Hello { hello, .. }, Ok(_)) => self.greet(hello),
            (Question::Hello { back, .. } | Question::Vrfy { back }, Err(reply)) => self.settle(*back, &reply),
            (Question::Vrfy { back }, Ok(reply)) => self.settle(*back, &reply.unwrap_or_else(table::cannot_verify)),
            (Question::Auth { name }, Ok(reply)) => {
                self.session.identity = Some(name);
                let standard = || Reply::new(235, Enhanced(2, 7, 0), "authenticated");
                self.settle(State::Idle, &reply.unwrap_or_else(standard));
            }
            (Question::Auth { .. }, Err(reply)) => {
                self.counts.auth_failures += 1;
                self.settle(State::Idle, &reply);
            }
            (Question::Mail { from, params }, Ok(reply)) => {
                let envelope = Box::new(Envelope { from, params, recipients: Vec::new() });
                let standard = || Reply::new(250, Enhanced(2, 1, 0), "OK");
                self.settle(State::Transaction(envelope), &reply.unwrap_or_else(standard));
            }
            (Question::Mail { .. }, Err(reply)) => self.settle(State::Idle, &reply),
            (Question::Rcpt { mut envelope, recipient }, Ok(reply)) => {
                envelope.recipients.push(recipient);
                let standard = || Reply::new(250, Enhanced(2, 1, 5), "OK");
                self.settle(State::Transaction(envelope), &reply.unwrap_or_else(standard));
            }
            (Question::Rcpt { envelope, .. }, Err(reply)) => {
                let errors = self.counts.errors;
                self.settle(State::Transaction(envelope), &reply);
                self.counts.errors = errors; // a list may have many dead members
            }
            (Question::Data { envelope }, Ok(reply)) => self.go_ahead(envelope, reply),
            (Question::Data { envelope }, Err(reply)) => self.settle(State::Transaction(envelope), &reply),
            (Question::Message { replies }, verdict) => {
                let standard = || Reply::new(250, Enhanced(2, 0, 0), "OK");
                let reply = verdict.map_or_else(|reply| reply, |reply| reply.unwrap_or_else(standard));
                self.settle_each(replies, &reply);
            }
        }
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
        if !matches!(error, Error::Closed(_) | Error::Peer(Fault::EarlyOctets)) {
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

    /// Reads on in a message.
    fn read_message(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        let State::Incoming(incoming) = &mut self.state else { return Ok(None) };
        let unread = self.wire.unread().len();
        let data = incoming.reader.read(&mut self.wire);
        if self.wire.unread().len() < unread {
            self.since = None; // a piece has come, even if it is one of those that are dropped
        }
        match data {
            Data::NeedInput => self.wait().map(Some),
            Data::Chunk(chunk) if self.config.content == Content::Stream => {
                Ok(Some(Step::Event(ServerEvent::Chunk(chunk))))
            }
            Data::Chunk(chunk) => {
                incoming.content.extend_from_slice(&chunk);
                if incoming.reader.fault().is_some() {
                    incoming.content = BytesMut::new();
                }
                Ok(None)
            }
            Data::End => Ok(Some(Step::Event(self.end_of_message()))),
        }
    }

    /// The message has come to its end: it is put to the application, or refused.
    fn end_of_message(&mut self) -> ServerEvent {
        let State::Incoming(incoming) = std::mem::replace(&mut self.state, State::Idle) else {
            return ServerEvent::Discarded(DataFault::TooLarge); // only called while a message comes in
        };
        let Incoming { envelope, reader, content, .. } = *incoming;
        let replies = match self.config.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => envelope.recipients.len(),
        };
        if let Some(fault) = reader.fault() {
            self.settle_each(replies, &table::refused(fault));
            return ServerEvent::Discarded(fault);
        }
        self.state = State::Asking(Question::Message { replies });
        ServerEvent::Message(Mail { envelope, content: content.freeze(), size: reader.size() })
    }

    /// Reads the next line, at a point where commands are read; `None` where there is none yet.
    fn read_line(&mut self) -> Result<Option<Step<ServerEvent>>, Error> {
        let Counts { commands, errors, auth_failures } = self.counts;
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
        let is_auth = matches!(self.state, State::Auth(_))
            || self.wire.unread().get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "));
        let max = if is_auth { self.config.max_auth_line } else { self.config.max_command_line };
        let line = match self.wire.line(max) {
            Ok(None) => return self.wait().map(Some),
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
                if matches!(self.state, State::Auth(_)) {
                    self.state = State::Idle;
                }
                self.say(&reply);
                Ok(None)
            }
        }
    }

    /// Nothing is there to read: more must come.
    fn wait(&mut self) -> Result<Step<ServerEvent>, Error> {
        if self.wire.is_closed() {
            return Err(self.fail(Error::Closed(self.state.stage())));
        }
        self.idle()
    }

    /// Waits for the peer, but not longer than it may take.
    fn idle(&mut self) -> Result<Step<ServerEvent>, Error> {
        self.since.get_or_insert(self.now);
        if let State::Incoming(incoming) = &mut self.state {
            incoming.begun.get_or_insert(self.now);
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
                State::Handshake if self.wire.is_closed() => return self.wait(),
                State::Handshake => return Ok(Step::StartTls),
                State::Incoming(_) => self.read_message()?,
                State::Opening | State::Unwelcome | State::Unmet | State::Idle | State::Auth(_) if self.shutdown => {
                    self.settle(State::Done, &Reply::new(421, Enhanced(4, 3, 2), "shutting down"));
                    None
                }
                State::Opening if self.config.screen.connect => {
                    self.state = State::Asking(Question::Connect);
                    Some(Step::Event(ServerEvent::Connect))
                }
                State::Opening => {
                    self.welcome(None);
                    None
                }
                State::Unwelcome | State::Unmet | State::Idle | State::Auth(_) | State::Transaction(_) => {
                    self.read_line()?
                }
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
        let deadline = self.since?.checked_add(self.config.timeout);
        match &self.state {
            State::Incoming(incoming) => {
                let most = self.config.message_timeout.and_then(|most| incoming.begun?.checked_add(most));
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
