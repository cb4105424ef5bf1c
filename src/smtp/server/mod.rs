//! The server's side of SMTP and LMTP, as a [`Machine`].
//!
//! The state table is in `table`: which command means what in which state; what the extensions announce and refuse is in
//! `offers`; how a message is read in `incoming`. This file has what is around them: the events, the answers to them, time, and
//! the reading of lines.
//!
//! Left out on purpose: fetching the URL of BURL, which is a client's work, and the conversions of CONPERM.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::data::{Chunk, DataFault};
use super::{Enhanced, Envelope, Error, Fault, ForwardPath, MailParams, RcptParams, Reply, ReversePath};
use super::{Session, Waiting};
use crate::address::Domain;
use crate::base::proxy::Proxied;
use crate::base::wire::Ending;
use crate::base::{Machine, ParseError, Step, Timestamp, Tls, Wire};
use crate::sasl::{self, Credentials, Identity, ServerExchange};

mod config;
mod incoming;
mod offers;
mod table;

pub use super::trace::{Hello, HelloVerb};
pub use config::{AuthPolicy, Content, Protocol, ProxyHeader, Screen, ServerConfig, StartTls};
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

/// What a client wants. All but [`Chunk`](Self::Chunk), [`Discarded`](Self::Discarded), [`AuthFailed`](Self::AuthFailed),
/// [`Resumed`](Self::Resumed) and [`TurnedAround`](Self::TurnedAround) are questions: answer with [`Server::accept`],
/// [`Server::reply`] or [`Server::wait`], then poll again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// It has connected; nothing was said yet. Only with [`Screen::connect`]. A [`wait`](Server::wait) here ends early where the
    /// client talks before it is greeted, see [`Session::early`].
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
    /// A mechanism of AUTH must know something of a user: answer with [`Server::tell`], or refuse with [`Server::reply`]
    /// where it cannot be known now.
    Ask(sasl::Question),
    /// No question: somebody could not prove to be this user, and was told so.
    AuthFailed(Identity),
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
    /// It asks who is on a list. Only with [`Screen::expn`].
    Expn {
        /// The name of the list.
        text: String,
        /// The reply may be in UTF-8.
        smtputf8: bool,
    },
    /// It asks to be sent, over another connection, what waits (RFC 1985). Only with [`ServerConfig::etrn`]. Refused with 458
    /// or 459.
    Etrn(Waiting),
    /// It asks to be sent, over this very connection, what waits for these domains, or all that is its own (RFC 2645). Only with
    /// [`ServerConfig::atrn`]. Where that is accepted, [`TurnedAround`](Self::TurnedAround) follows; refused with 450 or
    /// 453.
    Atrn(Vec<Domain>),
    /// No question: the client is a server from here on, and whoever drives this connection is to be its client. Once what is
    /// outgoing was sent a [`Client`](crate::smtp::Client) takes the stream over; what lies unread in the [`Wire`] is the first
    /// that came for it.
    TurnedAround,
    /// It is about to send the text of a message. Only with [`Screen::data`].
    Data,
    /// No question: a piece of the message. Only with [`Content::Stream`].
    Chunk(Bytes),
    /// The header of the message has come, with the empty line after it, or the whole message where there is none. It stands
    /// here with [`Content::Collect`]; with [`Content::Stream`] it is what the pieces so far hold. Only with
    /// [`Screen::header`]. Where it is refused the rest of the message is read and dropped, and the refusal said at its end.
    Header(Bytes),
    /// It wants the server to fetch a piece of the message from there (RFC 4468). Only with [`ServerConfig::burl`]. Answered by
    /// [`Server::fetched`], or refused with 554; pieces that came before are to be thrown away then.
    Burl {
        /// From where.
        url: String,
    },
    /// No question, and no new one: the wait is over that was the answer to the last question, which is open again.
    Resumed,
    /// The message is whole: whoever accepts it is responsible for it from then on (RFC 5321 §4.2.5).
    Message(Mail),
    /// No question: the message will not come, for this reason, and the client knows. Pieces of it that were handed over are to
    /// be thrown away.
    Discarded(DataFault),
}

/// A message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// Who sent it, to whom. Its `BODY=` is `8BITMIME` where the message turned out to hold octets beyond ASCII and nothing
    /// was said of that, or the contrary: the next host must know.
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

    /// Accepts what the last event asked. A message that is accepted must be in safe keeping by then.
    pub fn accept(&mut self) {
        self.answer(Ok(None));
    }

    /// Accepts [`ServerEvent::Auth`] under the name by which the application knows the client, for
    /// [`Session::identity`]: that of a certificate, or an account of which the client gave an alias.
    pub fn accept_as(&mut self, name: impl Into<String>) {
        match &mut self.state {
            State::Asking(Question::Auth { name: known, .. }) => {
                *known = name.into();
                self.answer(Ok(None));
            }
            _ => self.misuse("a name for what is no authentication"),
        }
    }

    /// Answers [`ServerEvent::Ask`].
    pub fn tell(&mut self, answer: sasl::Answer) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Asking(Question::Known(exchange)) => {
                self.since = None;
                self.state = State::Told(exchange, answer);
            }
            other => {
                self.state = other;
                self.misuse("what is known of a user where it was not asked");
            }
        }
    }

    /// Answers what the last event asked: 2yz accepts it in other words, 4yz and 5yz refuse it, 421 also ends the session.
    pub fn reply(&mut self, reply: Reply) {
        self.answer(if reply.code() < 400 { Ok(Some(reply)) } else { Err(reply) });
    }

    /// Puts the answer to the last question off: nothing is read for so long, then [`ServerEvent::Resumed`] says that the question
    /// is open again. To slow down a client that guesses, or to hold back the banner.
    pub fn wait(&mut self, pause: Duration) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Asking(question) => {
                self.since = None;
                self.wire.hold(!matches!(question, Question::Connect));
                self.state = State::Waiting { question, until: self.now.checked_add(pause) };
            }
            other => {
                self.state = other;
                self.misuse("a wait where nothing was asked");
            }
        }
    }

    /// Answers [`ServerEvent::Burl`] with what stands there. It becomes part of the message as a chunk of BDAT does; with
    /// [`Content::Stream`] it comes back piece by piece.
    pub fn fetched(&mut self, octets: &[u8]) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Asking(Question::Burl { incoming, last }) => {
                self.since = None;
                self.take_fetched(incoming, last, octets);
            }
            other => {
                self.state = other;
                self.misuse("a piece of a message that was not asked for");
            }
        }
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
            (Question::Connect, Err(reply)) => self.welcome(Some(reply)),
            // What the extensions are is for the machine to say.
            (Question::Hello { hello, .. }, Ok(_)) => self.greet(hello),
            (Question::Hello { back, .. } | Question::Lookup { back, .. } | Question::Atrn { back }, Err(reply)) => {
                self.settle(*back, &reply);
            }
            (Question::Lookup { back, standard }, Ok(reply)) => self.settle(*back, &reply.unwrap_or(standard)),
            (Question::Atrn { .. }, Ok(reply)) => {
                let standard = || Reply::new(250, Enhanced(2, 0, 0), "OK, now reversing the connection");
                self.settle(State::Turning, &reply.unwrap_or_else(standard));
            }
            (Question::Auth { name, .. }, Ok(reply)) => {
                self.session.identity = Some(name);
                let standard = || Reply::new(235, Enhanced(2, 7, 0), "authenticated");
                self.settle(State::Idle, &reply.unwrap_or_else(standard));
            }
            (Question::Auth { mut exchange, .. } | Question::Known(mut exchange), Err(reply)) => {
                self.counts.auth_failures += 1;
                match exchange.refusal() {
                    Some(challenge) => self.settle(State::AuthRefused(reply), &table::challenge(&challenge)),
                    None => self.settle(State::Idle, &reply),
                }
            }
            (Question::Known(_), Ok(_)) => {
                self.fail(Error::Misuse("accept where something must be known"));
            }
            (Question::Mail { envelope, standard }, Ok(reply)) => {
                self.settle(State::Transaction(envelope), &reply.unwrap_or(standard));
            }
            (Question::Mail { .. }, Err(reply)) => self.settle(State::Idle, &reply),
            (Question::Rcpt { envelope }, Ok(reply)) => {
                let standard = || Reply::new(250, Enhanced(2, 1, 5), "OK");
                self.settle(State::Transaction(envelope), &reply.unwrap_or_else(standard));
            }
            (Question::Rcpt { mut envelope }, Err(reply)) => {
                envelope.recipients.pop();
                let errors = self.counts.errors;
                self.settle(State::Transaction(envelope), &reply);
                self.counts.errors = errors; // a list may have many dead members
            }
            (Question::Data { envelope, chunk: None }, Ok(reply)) => self.go_ahead(*envelope, reply),
            (Question::Data { envelope, chunk: None }, Err(reply)) => {
                self.settle(State::Transaction(envelope), &reply);
            }
            // RFC 3030 §2: "the receiver-SMTP MUST accept and discard the associated message data before".
            (Question::Data { envelope, chunk: Some(chunk) }, Err(reply)) => {
                self.skip(State::Transaction(envelope), chunk, reply);
            }
            (Question::Data { envelope, chunk }, Ok(_)) => {
                self.state = State::Incoming(Box::new(Incoming::new(*envelope, &self.config, chunk)));
            }
            (Question::Header(mut incoming), verdict) => {
                incoming.refuse(verdict.err());
                self.state = State::Incoming(incoming);
            }
            (Question::Burl { incoming, last }, Err(reply)) => self.fail_message(incoming, last, &reply),
            (Question::Burl { .. }, Ok(_)) => {
                self.fail(Error::Misuse("accepted where a piece of a message was to be fetched"));
            }
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
