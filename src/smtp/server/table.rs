//! The state table of the server: what each command does in each state.

use std::time::Instant;

use super::{Hello, HelloVerb, Incoming, Protocol, Question, Server, ServerEvent, StartTls};
use crate::address::Domain;
use crate::sasl::{Answer, ServerExchange};
use crate::smtp::data::{Chunk, DataFault};
use crate::smtp::trace::in_ascii;
use crate::smtp::{
    Attribute, AttributeValue, Attributes, Body, Command, CommandError, Enhanced, Envelope, Error, Fault, Reply, Stage,
};

/// Requests of other protocols, whose text could hold commands that somebody else chose (cross-protocol attacks).
const FOREIGN: [&[u8]; 6] = [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"CONNECT ", b"OPTIONS "];

/// Where a session is.
#[derive(Debug)]
pub(super) enum State {
    /// The header of the PROXY protocol is due.
    Proxied,
    /// Nothing was said yet.
    Opening,
    /// The banner is held back.
    Pausing { until: Instant },
    /// The banner is due.
    Greeting,
    /// The banner was a refusal; the client may only quit (RFC 5321 §3.1), and hears this again.
    Unwelcome(Reply),
    /// The client has not greeted since the banner, or since the TLS handshake.
    Unmet,
    /// Between messages.
    Idle,
    /// MAIL was accepted.
    Transaction(Box<Envelope>),
    /// A challenge was sent.
    Auth(ServerExchange),
    /// What an exchange must know was told.
    Told(ServerExchange, Answer),
    /// AUTH was refused, and the client told why in a challenge; the reply is due after its response.
    AuthRefused(Reply),
    /// The text of a message is coming in, or a chunk of it.
    Incoming(Box<Incoming>),
    /// Between two chunks of a message.
    Chunks(Box<Incoming>),
    /// A chunk comes in that nobody wants; `reply` is due at its end.
    Skipping { chunk: Chunk, back: Box<State>, reply: Reply },
    /// The application was asked.
    Asking(Question),
    /// The application has put its answer off.
    Waiting { question: Question, until: Option<Instant> },
    /// The client becomes the server (RFC 2645 §5.3).
    Turning,
    /// The TLS handshake is due.
    Handshake,
    /// It is over.
    Done,
    /// It is over before its time.
    Failed(Error),
}

impl State {
    /// The place in the conversation, for errors.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Proxied | Self::Opening | Self::Pausing { .. } | Self::Greeting | Self::Unwelcome(_) => {
                Stage::Connect
            }
            Self::Unmet => Stage::Hello,
            Self::Transaction(envelope) if envelope.recipients.is_empty() => Stage::Mail,
            Self::Transaction(_) => Stage::Rcpt,
            Self::Auth(_) | Self::Told(..) | Self::AuthRefused(_) => Stage::Auth,
            Self::Incoming(_) | Self::Chunks(_) => Stage::Message,
            Self::Skipping { back, .. } => back.stage(),
            Self::Handshake => Stage::StartTls,
            Self::Idle | Self::Asking(_) | Self::Waiting { .. } | Self::Turning | Self::Done | Self::Failed(_) => {
                Stage::Idle
            }
        }
    }
}

impl Server {
    /// Says the banner.
    pub(super) fn welcome(&mut self, reply: Option<Reply>) {
        let standard = || {
            let protocol = match self.config.protocol {
                Protocol::Smtp => "ESMTP",
                Protocol::Lmtp => "LMTP",
            };
            let greeting = self.config.greeting.as_deref().unwrap_or(protocol);
            // RFC 5321 §4.2: the banner has no enhanced code (RFC 2034 §4).
            Reply::new(220, None, format!("{} {greeting}", self.name()))
        };
        let reply = reply.unwrap_or_else(standard);
        let state = if reply.code() < 400 { State::Unmet } else { State::Unwelcome(again(&reply)) };
        self.settle(state, &reply);
    }

    /// RFC 6531 §3.7.1: domain names in the EHLO response "MUST be in the form of LDH labels or A-labels".
    pub(super) fn name(&self) -> Domain {
        in_ascii(&self.config.name).unwrap_or_else(|| self.config.name.clone())
    }

    /// The greeting is accepted: whatever was before is forgotten (RFC 5321 §4.1.4).
    pub(super) fn greet(&mut self, hello: Hello) {
        let reply = match hello.verb {
            HelloVerb::Helo => Reply::new(250, None, self.name().to_string()),
            HelloVerb::Ehlo | HelloVerb::Lhlo => self.extensions().reply(self.name()),
        };
        self.session.hello = Some(hello);
        self.settle(State::Idle, &reply);
    }

    /// The application lets the text of the message come.
    pub(super) fn go_ahead(&mut self, envelope: Envelope, reply: Option<Reply>) {
        let incoming = Incoming::new(envelope, &self.config, None);
        let reply = reply.filter(Reply::is_intermediate);
        let standard = || Reply::new(354, None, "end with <CRLF>.<CRLF>");
        self.settle(State::Incoming(Box::new(incoming)), &reply.unwrap_or_else(standard));
    }

    /// Takes a line: of an AUTH exchange where one is under way, or else a command.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<ServerEvent> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Auth(exchange) => self.response(exchange, line),
            State::AuthRefused(reply) => self.no(State::Idle, &reply),
            state => match Command::parse(line, &self.config.quirks) {
                Ok(command) => self.command(state, command),
                Err(CommandError::Verb) if FOREIGN.iter().any(|verb| line.starts_with(verb)) => {
                    self.fail(Fault::OtherProtocol);
                    None
                }
                // What follows is the client's message, for so many octets as it alone knows.
                Err(CommandError::Syntax(_))
                    if line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT")) =>
                {
                    self.fail(Fault::LostCount);
                    None
                }
                Err(error) => self.no(state, &error.reply()),
            },
        }
    }

    /// The table.
    fn command(&mut self, state: State, command: Command<'_>) -> Option<ServerEvent> {
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let tls_missing = self.config.starttls == StartTls::Required && self.session.tls.is_none();
        match (state, command) {
            // The octets behind a BDAT come whatever is thought of it.
            (state, Command::Bdat { size, last }) => self.bdat(state, Chunk { left: size, last }),
            (State::Chunks(_), Command::Quit) => {
                self.settle(State::Done, &bye());
                Some(ServerEvent::Discarded(DataFault::TakenBack))
            }
            (_, Command::Quit) => self.no(State::Done, &bye()),
            // RFC 5321 §3.1: after a banner of 554 the server "SHOULD respond with a 503"; RFC 7504 §3: after 521 with 521.
            (State::Unwelcome(reply), _) => {
                let said = reply.clone();
                self.no(State::Unwelcome(reply), &said)
            }
            (state, Command::Noop) => self.no(state, &ok()),
            // RFC 3207 §4: "530 Must issue a STARTTLS command first" to all but NOOP, EHLO, STARTTLS and QUIT. A client that says
            // HELO hears it at its next command.
            (state, command) if tls_missing && !leads_to_tls(&command) => self.no(state, &tls_first()),
            (state, Command::Help(_)) => {
                let help = self.help();
                self.no(state, &help)
            }

            // RFC 2033 §4.1: "A LMTP server MUST NOT accept HELO or EHLO", nor does SMTP know LHLO.
            (state, Command::Helo(_) | Command::Ehlo(_)) if lmtp => self.no(state, &CommandError::Verb.reply()),
            (state, Command::Lhlo(_)) if !lmtp => self.no(state, &CommandError::Verb.reply()),
            // RFC 3030 §2: "The RSET command, when issued after the first BDAT and before the BDAT LAST, clears all segments".
            (State::Chunks(_), Command::Rset) => {
                self.settle(State::Idle, &ok());
                Some(ServerEvent::Discarded(DataFault::TakenBack))
            }
            (State::Chunks(incoming), Command::Burl { url, last }) if self.may_burl() => {
                self.ask(Question::Burl { incoming, last }, ServerEvent::Burl { url: url.to_owned() })
            }
            // RFC 3030 §2: "A RSET command MUST be sent to clear the transaction before continuing", after DATA and all else.
            (state @ State::Chunks(_), _) => self.no(state, &out_of_order("the message is under way: BDAT or RSET")),
            (state, Command::Helo(name)) => self.hello(state, HelloVerb::Helo, name.map(Domain::from)),
            (state, Command::Ehlo(name)) => self.hello(state, HelloVerb::Ehlo, Some(name.into())),
            (state, Command::Lhlo(name)) => self.hello(state, HelloVerb::Lhlo, Some(name.into())),
            (State::Unmet, Command::Rset) => self.no(State::Unmet, &ok()),
            (_, Command::Rset) => self.no(State::Idle, &ok()),

            (state, Command::StartTls) => self.start_tls(state),

            (state, Command::Vrfy { text, smtputf8 }) if self.config.screen.vrfy => {
                let question = Question::Lookup { back: Box::new(state), standard: cannot_verify() };
                self.ask(question, ServerEvent::Vrfy { text: text.into_owned(), smtputf8 })
            }
            (state, Command::Vrfy { .. }) => self.no(state, &cannot_verify()),
            (state, Command::Expn { text, smtputf8 }) if self.config.screen.expn => {
                let question = Question::Lookup { back: Box::new(state), standard: cannot_verify() };
                self.ask(question, ServerEvent::Expn { text: text.into_owned(), smtputf8 })
            }
            (state @ (State::Unmet | State::Idle), Command::Xclient(attributes)) if self.config.xclient => {
                self.xclient(state, &attributes)
            }
            (state @ (State::Unmet | State::Idle), Command::Xforward(attributes)) if self.config.xforward => {
                self.xforward(state, attributes)
            }
            (state, command) if !self.knows(&command) => self.no(state, &not_implemented()),

            (State::Unmet, _) => self.no(State::Unmet, &out_of_order("say hello first")),
            (State::Idle, Command::Auth { mechanism, initial }) => self.auth(&mechanism, initial),
            (State::Idle, Command::Etrn(waiting)) => {
                let standard = Reply::new(250, Enhanced(2, 0, 0), format!("OK, queuing for node {waiting} started"));
                let question = Question::Lookup { back: Box::new(State::Idle), standard };
                self.ask(question, ServerEvent::Etrn(waiting))
            }
            // RFC 2645 §5.2.1: "The ATRN command MUST be rejected if the session has not been authenticated", with 530.
            (State::Idle, Command::Atrn(_)) if self.session.identity.is_none() => {
                self.no(State::Idle, &Reply::new(530, Enhanced(5, 7, 0), "authentication required"))
            }
            (State::Idle, Command::Atrn(domains)) => {
                self.ask(Question::Atrn { back: Box::new(State::Idle) }, ServerEvent::Atrn(domains))
            }
            (State::Idle, Command::Mail { from, params }) => self.mail(from.into_owned(), params),
            (State::Idle, _) => self.no(State::Idle, &out_of_order("MAIL first")),
            (State::Transaction(envelope), Command::Rcpt { to, params }) => {
                self.rcpt(envelope, to.into_owned(), params)
            }
            (State::Transaction(envelope), Command::Data) => self.data(envelope, None),
            (State::Transaction(envelope), Command::Burl { url, last }) => self.burl(envelope, url.to_owned(), last),
            (State::Transaction(envelope), Command::Mail { .. }) => {
                self.no(State::Transaction(envelope), &out_of_order("one MAIL for one message"))
            }
            // RFC 4954 §4: AUTH "is not permitted during a mail transaction".
            (state, _) => self.no(state, &out_of_order("not during a message")),
        }
    }

    /// Whether the command is one that the config has.
    fn knows(&self, command: &Command<'_>) -> bool {
        match command {
            Command::Expn { .. } => self.config.screen.expn,
            Command::Etrn(_) => self.config.etrn,
            Command::Atrn(_) => self.config.atrn,
            Command::Burl { .. } => self.config.burl.is_some(),
            Command::Xclient(_) => self.config.xclient,
            Command::Xforward(_) => self.config.xforward,
            _ => true,
        }
    }

    /// Moves to `state` and says `reply`; nobody is asked.
    pub(super) fn no(&mut self, state: State, reply: &Reply) -> Option<ServerEvent> {
        self.settle(state, reply);
        None
    }

    pub(super) fn ask(&mut self, question: Question, event: ServerEvent) -> Option<ServerEvent> {
        self.state = State::Asking(question);
        Some(event)
    }

    fn hello(&mut self, back: State, verb: HelloVerb, name: Option<Domain>) -> Option<ServerEvent> {
        let hello = Hello { verb, name };
        if self.config.screen.hello {
            let event = ServerEvent::Hello(hello.clone());
            return self.ask(Question::Hello { hello, back: Box::new(back) }, event);
        }
        self.greet(hello);
        None
    }

    fn start_tls(&mut self, state: State) -> Option<ServerEvent> {
        match (state, &self.session.tls) {
            (state, _) if self.config.starttls == StartTls::Off => self.no(state, &not_implemented()),
            (state, Some(_)) => self.no(state, &out_of_order("TLS is there already")),
            (State::Unmet, None) => self.no(State::Unmet, &out_of_order("say hello first")),
            // What was said in the clear must not be finished under TLS, nor be lost without a word.
            (state @ State::Transaction(_), None) => self.no(state, &out_of_order("not during a message")),
            (_, None) => self.no(State::Handshake, &Reply::new(220, Enhanced(2, 0, 0), "go ahead")),
        }
    }

    /// DATA, or the first BDAT.
    fn data(&mut self, envelope: Box<Envelope>, chunk: Option<Chunk>) -> Option<ServerEvent> {
        if envelope.recipients.is_empty() {
            // RFC 5321 §4.1.1.4: 503 or 554 where no recipient was accepted; RFC 2033 §4.2 wants 503.
            return self.no_chunk(State::Transaction(envelope), chunk, out_of_order("no valid recipients"));
        }
        if chunk.is_none() && envelope.params.body == Some(Body::BinaryMime) {
            // RFC 3030 §3: "BINARYMIME cannot be used with the DATA command".
            return self.no(State::Transaction(envelope), &out_of_order("a binary message needs BDAT"));
        }
        if self.config.screen.data {
            return self.ask(Question::Data { envelope, chunk }, ServerEvent::Data);
        }
        match chunk {
            None => self.go_ahead(*envelope, None),
            Some(_) => self.state = State::Incoming(Box::new(Incoming::new(*envelope, &self.config, chunk))),
        }
        None
    }

    fn bdat(&mut self, state: State, chunk: Chunk) -> Option<ServerEvent> {
        let tls_missing = self.config.starttls == StartTls::Required && self.session.tls.is_none();
        let refusal = match state {
            State::Unwelcome(ref reply) => reply.clone(),
            _ if !self.config.chunking => not_implemented(),
            _ if tls_missing => tls_first(),
            State::Chunks(mut incoming) => {
                incoming.begin_chunk(chunk);
                self.state = State::Incoming(incoming);
                return None;
            }
            State::Unmet => out_of_order("say hello first"),
            _ if self.is_plain() => out_of_order("BDAT is an extension: say EHLO"),
            State::Transaction(envelope) => return self.data(envelope, Some(chunk)),
            // RFC 3030 §2: so it is with the chunks in the pipeline after one that failed, too.
            _ => out_of_order("MAIL first"),
        };
        self.no_chunk(state, Some(chunk), refusal)
    }

    /// Refuses a message before its text, or a chunk once it has come.
    fn no_chunk(&mut self, state: State, chunk: Option<Chunk>, reply: Reply) -> Option<ServerEvent> {
        match chunk {
            Some(chunk) => {
                self.skip(state, chunk, reply);
                None
            }
            None => self.no(state, &reply),
        }
    }

    /// BURL as the first piece of a message.
    fn burl(&mut self, envelope: Box<Envelope>, url: String, last: bool) -> Option<ServerEvent> {
        let refusal = if envelope.recipients.is_empty() {
            // RFC 4468 §3.4
            Reply::new(554, Enhanced(5, 5, 0), "no recipients have been specified")
        } else if !self.may_burl() {
            Reply::new(554, Enhanced(5, 7, 0), "authentication required to fetch a URL")
        } else if !last && !self.config.chunking {
            // RFC 4468 §3.2: more than one piece goes where CHUNKING is, too.
            out_of_order("without CHUNKING it must be the last")
        } else {
            let incoming = Box::new(Incoming::new(*envelope, &self.config, None));
            return self.ask(Question::Burl { incoming, last }, ServerEvent::Burl { url });
        };
        self.no(State::Transaction(envelope), &refusal)
    }

    fn may_burl(&self) -> bool {
        self.config.burl.is_some() && self.session.identity.is_some()
    }

    /// XCLIENT: the client is another one from here on, and is greeted anew.
    fn xclient(&mut self, back: State, attributes: &Attributes) -> Option<ServerEvent> {
        if !self.config.trusts(self.origin) {
            return self.no(back, &Reply::new(550, Enhanced(5, 7, 1), "insufficient authorization"));
        }
        self.session.via.get_or_insert(self.session.peer);
        if let Some(peer) = attributes.address() {
            self.session.peer = peer;
            self.session.peer_port = None;
        }
        if let Some(port) = attributes.text(Attribute::Port) {
            self.session.peer_port = port.parse().ok();
        }
        if attributes.get(Attribute::Name).is_some() || attributes.address().is_some() {
            self.session.peer_name = attributes.text(Attribute::Name).and_then(|name| name.parse().ok());
        }
        match attributes.get(Attribute::Login) {
            Some(AttributeValue::Known(name)) => self.session.identity = Some(name.to_string()),
            Some(_) => self.session.identity = None,
            None => {}
        }
        self.session.hello = None;
        self.state = State::Greeting;
        None
    }

    fn xforward(&mut self, back: State, attributes: Attributes) -> Option<ServerEvent> {
        if !self.config.trusts(self.origin) {
            return self.no(back, &Reply::new(550, Enhanced(5, 7, 1), "insufficient authorization"));
        }
        self.session.forwarded.get_or_insert_default().merge(attributes);
        self.no(back, &ok())
    }
}

/// Whether a client that has no TLS yet needs the command to get it.
fn leads_to_tls(command: &Command<'_>) -> bool {
    matches!(command, Command::Helo(_) | Command::Ehlo(_) | Command::Lhlo(_) | Command::StartTls)
}

/// The answer to a message that the machine refuses.
pub(super) fn refused(fault: DataFault) -> Reply {
    match fault {
        // RFC 1870 §6.1 and §6.3
        DataFault::TooLarge => Reply::new(552, Enhanced(5, 3, 4), "message too large"),
        DataFault::BareNewline => Reply::new(554, Enhanced(5, 6, 0), "CR and LF must come together in a message"),
        DataFault::LineTooLong => Reply::new(554, Enhanced(5, 6, 0), "line too long in message"),
        DataFault::TakenBack | DataFault::Refused => Reply::new(554, Enhanced(5, 7, 1), "message refused"),
    }
}

/// RFC 5321 §3.5.3: 252 where the address is not looked up.
pub(super) fn cannot_verify() -> Reply {
    Reply::new(252, Enhanced(2, 5, 2), "cannot verify, but will take the message and try")
}

fn ok() -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), "OK")
}

pub(super) fn out_of_order(text: &'static str) -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), text)
}

fn bye() -> Reply {
    Reply::new(221, Enhanced(2, 0, 0), "bye")
}

pub(super) fn not_implemented() -> Reply {
    Reply::new(502, Enhanced(5, 5, 1), "command not implemented")
}

fn tls_first() -> Reply {
    Reply::new(530, Enhanced(5, 7, 0), "must issue a STARTTLS command first")
}

/// What a client hears that was refused by the banner and goes on.
fn again(banner: &Reply) -> Reply {
    match banner.code() {
        521 => banner.clone(),
        _ => out_of_order("no service for you here"),
    }
}
