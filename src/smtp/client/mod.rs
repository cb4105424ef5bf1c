//! The client's side of SMTP and LMTP, as a [`Machine`].
//!
//! The session (banner, EHLO, STARTTLS, QUIT) is in this file, AUTH in `login`, one message in `transaction`. A client has no
//! farewell: after an error it cannot know what the server would take it for.
//!
//! What a message asks for goes on to a server that has the extension for it. Where it has not, what only informs is left
//! out (MT-PRIORITY, AUTH=, SUBMITTER, SOLICIT, RET, ENVID, NOTIFY, ORCPT, BY with mode N, RRVS with `C`), and what was
//! promised is a refusal in the client's own words: BY with mode R, HOLDFOR and HOLDUNTIL, REQUIRETLS (unless it is a
//! bounce), RRVS, 8-bit, binary and UTF-8 that cannot go. 8-bit and binary are converted where [`EightBit::Convert`] says so, headers
//! in UTF-8 where [`Utf8Header::Encode`] does.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::trace::{HelloVerb, in_ascii};
use super::{Command, Enhanced, Envelope, Error, Extensions, Fault, Reply, ReplyReader, Stage};
use crate::base::{Machine, ParseError, Step, Tls, Wire};
use crate::smtp::server::Protocol;

mod config;
mod login;
mod outcome;
mod outgoing;
mod transaction;

pub use crate::sasl::Login;
pub use config::{ClientConfig, EightBit, Pipelining, RrvsField, StartTls, Timeouts, Utf8Header};
use login::Exchange;
pub use outcome::{By, ClientEvent, Conversion, Handover, Outcome};
pub use outgoing::{NoEnvelope, Outgoing};
use outgoing::{Refusal, Terms};
use transaction::Transaction;

/// The client's side of one connection.
///
/// ```
/// use std::time::Instant;
///
/// use facteur::base::{Machine, Step};
/// use facteur::smtp::{Client, ClientConfig, ClientEvent, Envelope, ForwardPath, Outgoing, ReversePath};
///
/// let mut client = Client::new(ClientConfig::new("ada.test")?, Instant::now());
/// client.wire().feed(b"220 mx.test\r\n250 mx.test\r\n");
/// assert!(matches!(client.poll()?, Step::Event(ClientEvent::Ready)));
/// let envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
/// client.send(Outgoing::new(envelope, "Subject: hello\r\n\r\n"));
/// for reply in ["250 OK\r\n", "250 OK\r\n", "354 go on\r\n", "250 2.0.0 queued\r\n"] {
///     assert!(matches!(client.poll()?, Step::NeedInput));
///     let wire = client.wire();
///     wire.sent(wire.outgoing().len());
///     wire.feed(reply.as_bytes());
/// }
/// let Step::Event(ClientEvent::Outcome(outcome)) = client.poll()? else { panic!() };
/// assert!(outcome.is_delivered());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    wire: Wire,
    reader: ReplyReader,
    state: State,
    extensions: Extensions,
    tls: Option<Tls>,
    /// How many MAIL commands went out (RFC 9422 §4.1).
    mails: u32,
    /// The domains of recipients that were named, while the server limits them (RFC 9422 §4.3).
    domains: HashSet<String>,
    /// The same message for recipients that are too many for one RCPTMAX (RFC 9422 §4.2).
    rest: Option<Outgoing>,
    now: Instant,
    /// Since when the machine waits for the server; `None` while it does not, or has not been polled since something
    /// moved.
    since: Option<Instant>,
}

/// What the client waits for.
#[derive(Debug)]
enum State {
    /// The banner.
    Greeting,
    /// The answer to EHLO, HELO or LHLO.
    Hello(HelloVerb),
    /// The answer to STARTTLS.
    StartTls,
    /// The TLS handshake.
    Handshake,
    /// The answer to AUTH or to a response of it.
    Auth(Box<Exchange>),
    /// The answer to the cancelling of an exchange, for this reason.
    Cancelled(ParseError),
    /// Nothing: what comes next is to be asked.
    Idle,
    /// The application's answer.
    Asking,
    /// Whatever one message waits for.
    Sending(Box<Transaction>),
    /// The answer to RSET.
    Reset,
    /// Nothing: a refusal is to be told, and then QUIT said unless the server has closed.
    Refusing { event: Box<ClientEvent>, closed: bool },
    /// The answer to QUIT.
    Quit,
    /// Nothing more.
    Done,
    /// Nothing more, before its time.
    Failed(Error),
}

impl Client {
    /// The client's side of a connection made at `start`. Where the connection began with TLS, call
    /// [`tls_started`](Machine::tls_started) before the first poll.
    pub fn new(config: impl Into<Arc<ClientConfig>>, start: Instant) -> Self {
        let config = config.into();
        let mut reader = ReplyReader::default();
        reader.max_line = config.max_reply_line;
        reader.max_reply = config.max_reply;
        Self {
            config,
            wire: Wire::new(),
            reader,
            state: State::Greeting,
            extensions: Extensions::default(),
            tls: None,
            mails: 0,
            domains: HashSet::new(),
            rest: None,
            now: start,
            since: None,
        }
    }

    /// What the server said it can do, in its last answer to EHLO.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What is known of the TLS session; `None` in the clear.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Answers [`ClientEvent::Ready`]: sends a message. Without recipients it is asked again at once. Where the server limits how
    /// many recipients a message may have (RFC 9422), it is sent as often as it takes.
    pub fn send(&mut self, message: impl Into<Outgoing>) {
        match self.state {
            State::Asking => self.begin_message(message.into()),
            _ => self.misuse("a message at a time when none was asked for"),
        }
    }

    /// Whether the server takes another message over this connection, as its LIMITS tell (RFC 9422 §4.1). Where it does not,
    /// the outcomes of one that is sent are temporary and the client's own.
    pub fn takes_more(&self) -> bool {
        self.extensions.limits.and_then(|limits| limits.messages).is_none_or(|most| self.mails < most)
    }

    /// Whether all recipients of this envelope may be named over this connection, as its LIMITS tell: a domain that was named
    /// counts until the end of the session (RFC 9422 §4.3). Where they may not, the outcomes of those that are too many are
    /// temporary and the client's own; over a new connection there is room again.
    pub fn has_room_for(&self, envelope: &Envelope) -> bool {
        let Some(max) = self.extensions.limits.and_then(|limits| limits.domains) else { return true };
        let named = envelope.recipients.iter().filter_map(|recipient| transaction::counted(&recipient.to));
        let new: HashSet<String> = named.filter(|domain| !self.domains.contains(domain)).collect();
        new.is_empty() || self.domains.len() + new.len() <= max as usize
    }

    fn begin_message(&mut self, mut message: Outgoing) {
        let most = self.extensions.limits.and_then(|limits| limits.recipients).unwrap_or(u32::MAX) as usize;
        if message.envelope.recipients.len() > most {
            let mut rest = message.clone(); // the text is shared
            rest.envelope.recipients.drain(..most);
            message.envelope.recipients.truncate(most);
            self.rest = Some(rest);
        }
        let limit = (!self.takes_more()).then_some(Refusal::TooManyMessages);
        let terms = Terms { offered: &self.extensions, config: &self.config, tls: self.tls.as_ref() };
        self.state = State::Sending(Box::new(Transaction::new(message, terms, limit)));
    }

    /// Answers [`ClientEvent::Ready`]: asks by RSET whether the server is still there, as before a message on a connection that
    /// was long idle. [`Ready`](ClientEvent::Ready) comes again where it is; where it is not, the conversation ends.
    pub fn reset(&mut self) {
        match self.state {
            State::Asking => self.command(&Command::Rset, State::Reset),
            _ => self.misuse("a reset at a time when nothing was asked for"),
        }
    }

    /// Answers [`ClientEvent::Ready`]: says goodbye.
    pub fn quit(&mut self) {
        match self.state {
            State::Asking => self.command(&Command::Quit, State::Quit),
            _ => self.misuse("a goodbye at a time when it was not asked for"),
        }
    }

    fn command(&mut self, command: &Command<'_>, state: State) {
        let _ = command.write(&mut self.wire); // writing to a wire cannot fail
        self.state = state;
        self.since = None;
    }

    fn misuse(&mut self, what: &'static str) {
        if !matches!(self.state, State::Done | State::Failed(_)) {
            self.fail(Error::Misuse(what));
        }
    }

    fn fail(&mut self, error: impl Into<Error>) -> Error {
        let error = error.into();
        self.state = State::Failed(error.clone());
        self.since = None;
        error
    }

    /// What a server said has no meaning here.
    fn unexpected(&mut self, reply: &Reply, stage: Stage, expected: &'static str) -> Error {
        self.fail(Fault::UnexpectedReply { code: reply.code(), stage, expected })
    }

    /// The next reply; `None` where it has not come yet and must be waited for.
    fn reply(&mut self) -> Result<Option<Reply>, Error> {
        match self.reader.read(&mut self.wire) {
            Ok(Some(reply)) => {
                self.since = None;
                Ok(Some(reply))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.fail(Fault::Reply(error))),
        }
    }

    /// Waits for the server, but not longer than it may take. Whoever says goodbye does not mind an answer that fails to
    /// come.
    fn wait(&mut self) -> Result<Step<ClientEvent>, Error> {
        let leaving = matches!(self.state, State::Quit);
        let error = if self.wire.is_closed() {
            Error::Closed(self.stage())
        } else {
            self.since.get_or_insert(self.now);
            if self.deadline().is_none_or(|deadline| deadline > self.now) {
                return Ok(Step::NeedInput);
            }
            Error::Timeout(self.stage())
        };
        if leaving {
            self.state = State::Done;
            return Ok(Step::Done);
        }
        Err(self.fail(error))
    }

    /// Where the conversation is.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting => Stage::Connect,
            State::Hello(_) => Stage::Hello,
            State::StartTls | State::Handshake => Stage::StartTls,
            State::Auth(_) | State::Cancelled(_) => Stage::Auth,
            State::Sending(transaction) => transaction.stage(),
            State::Quit => Stage::Quit,
            _ => Stage::Idle,
        }
    }

    fn timeout(&self) -> Duration {
        let timeouts = &self.config.timeouts;
        match &self.state {
            State::Greeting => timeouts.greeting,
            State::Sending(transaction) => transaction.timeout(timeouts),
            State::Quit => timeouts.quit,
            _ => timeouts.command,
        }
    }

    /// The table: what each reply means in each state of the session.
    fn answered(&mut self, reply: Reply) -> Result<(), Error> {
        let stage = self.stage();
        let (positive, refused) = (reply.is_positive(), reply.is_transient() || reply.is_permanent());
        match std::mem::replace(&mut self.state, State::Done) {
            State::Quit => {}
            // RFC 5321 §3.8: 421 to any command, and the server closes.
            _ if reply.code() == 421 => self.refuse(stage, reply, By::Server),

            State::Greeting if reply.code() == 220 => self.hello(match self.config.protocol {
                Protocol::Smtp => HelloVerb::Ehlo,
                Protocol::Lmtp => HelloVerb::Lhlo,
            }),

            State::Hello(verb) if positive => {
                self.extensions = match verb {
                    HelloVerb::Helo => Extensions::default(),
                    HelloVerb::Ehlo | HelloVerb::Lhlo => Extensions::parse(&reply),
                };
                self.encrypt();
            }
            // RFC 5321 §3.2: a client "SHOULD" fall back to HELO where EHLO is not known. Servers say so by any 5yz.
            State::Hello(HelloVerb::Ehlo) if reply.is_permanent() => self.hello(HelloVerb::Helo),

            State::StartTls if reply.code() == 220 => self.state = State::Handshake,
            State::StartTls if refused && self.config.starttls == StartTls::Opportunistic => self.log_in(0),

            State::Auth(exchange) if reply.code() == 235 => match exchange.sasl.finish() {
                Ok(()) => self.state = State::Idle,
                Err(error) => self.distrust(error),
            },
            State::Auth(exchange) if reply.code() == 334 => self.respond(*exchange, &reply),
            // RFC 4954 §4: 504 for a mechanism that is not there; §6: 534 for one that is too weak.
            State::Auth(exchange) if matches!(reply.code(), 504 | 534) && self.mechanism(exchange.next).is_some() => {
                self.log_in(exchange.next);
            }
            State::Auth(_) if positive => return Err(self.unexpected(&reply, stage, "235 or 334")),

            // Whatever the server says to that; 501 it should be.
            State::Cancelled(error) if refused => self.distrust(error),

            State::Reset if positive => self.state = State::Idle,
            // A server that cannot forget cannot be sent another message.
            State::Reset => self.command(&Command::Quit, State::Quit),

            _ if refused => self.refuse(stage, reply, By::Server),
            State::Greeting | State::StartTls => return Err(self.unexpected(&reply, stage, "220")),
            State::Cancelled(_) => return Err(self.unexpected(&reply, stage, "501")),
            _ => return Err(self.unexpected(&reply, stage, "250")),
        }
        Ok(())
    }

    fn hello(&mut self, verb: HelloVerb) {
        // RFC 6531 §3.7.1: the client "MUST send only ASCII (LDH label or A-label [RFC5890]) domains in the EHLO command".
        let name = in_ascii(&self.config.name).unwrap_or_else(|| self.config.name.clone());
        let command = match verb {
            HelloVerb::Helo => Command::Helo(Some(name.borrowed())),
            HelloVerb::Ehlo => Command::Ehlo(name.borrowed()),
            HelloVerb::Lhlo => Command::Lhlo(name.borrowed()),
        };
        self.command(&command, State::Hello(verb));
    }

    /// The server has greeted: TLS next, unless it is there already.
    fn encrypt(&mut self) {
        match (self.config.starttls, self.extensions.starttls) {
            _ if self.tls.is_some() => self.log_in(0),
            (StartTls::Never, _) | (StartTls::Opportunistic, false) => self.log_in(0),
            (_, true) => self.command(&Command::StartTls, State::StartTls),
            // RFC 3463 §3.8 with X.7.10 of RFC 5248's registry, encryption needed. For now: somebody may have taken the
            // keyword out of the answer on its way.
            (StartTls::Required, false) => {
                let reply = Reply::new(454, Enhanced(4, 7, 10), "the server has no STARTTLS, and TLS is required");
                self.refuse(Stage::StartTls, reply, By::Client);
            }
        }
    }

    fn refuse(&mut self, stage: Stage, reply: Reply, by: By) {
        let closed = reply.code() == 421;
        self.state = State::Refusing { event: Box::new(ClientEvent::Refused { stage, reply, by }), closed };
    }
}

impl Machine for Client {
    type Event = ClientEvent;
    type Error = Error;

    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn poll(&mut self) -> Result<Step<ClientEvent>, Error> {
        loop {
            match &mut self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Done => return Ok(Step::Done),
                State::Asking => return Ok(Step::NeedAnswer),
                State::Idle => {
                    if let Some(rest) = self.rest.take() {
                        self.begin_message(rest);
                        continue;
                    }
                    self.state = State::Asking;
                    return Ok(Step::Event(ClientEvent::Ready));
                }
                State::Refusing { .. } => {
                    let State::Refusing { event, closed } = std::mem::replace(&mut self.state, State::Done) else {
                        continue; // it is, as just matched
                    };
                    if !closed {
                        self.command(&Command::Quit, State::Quit);
                    }
                    return Ok(Step::Event(*event));
                }
                // RFC 3207 §4.2: what the server said in the clear is not to be trusted.
                State::Handshake if !self.wire.unread().is_empty() => return Err(self.fail(Fault::EarlyOctets)),
                State::Handshake if self.wire.is_closed() => return self.wait(),
                State::Handshake => return Ok(Step::StartTls),
                State::Sending(_) => {
                    if let Some(step) = self.go_on_sending()? {
                        return Ok(step);
                    }
                }
                State::Greeting
                | State::Hello(_)
                | State::StartTls
                | State::Auth(_)
                | State::Cancelled(_)
                | State::Reset
                | State::Quit => match self.reply()? {
                    Some(reply) => self.answered(reply)?,
                    None => return self.wait(),
                },
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.since?.checked_add(self.timeout())
    }

    fn tls_started(&mut self, tls: Tls) {
        match self.state {
            State::Greeting => self.tls = Some(tls),
            State::Handshake if self.wire.unread().is_empty() => {
                self.tls = Some(tls);
                // RFC 3207 §4.2: "The client MUST discard any knowledge obtained from the server".
                self.extensions = Extensions::default();
                self.hello(match self.config.protocol {
                    Protocol::Smtp => HelloVerb::Ehlo,
                    Protocol::Lmtp => HelloVerb::Lhlo,
                });
            }
            State::Handshake => {
                self.fail(Fault::EarlyOctets);
            }
            _ => self.misuse("a TLS handshake where none was asked for"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_greets_in_a_labels() {
        let mut client = Client::new(ClientConfig::new("b\u{fc}cher.test").unwrap(), Instant::now());
        client.wire().feed(b"220 mx.test\r\n");
        assert!(matches!(client.poll(), Ok(Step::NeedInput)));
        assert_eq!(client.wire().outgoing(), b"EHLO xn--bcher-kva.test\r\n");
    }
}
