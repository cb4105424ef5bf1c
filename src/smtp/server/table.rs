//! The state table of the server: what each command does in each state.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;

use super::{AuthPolicy, Hello, HelloVerb, Incoming, Protocol, Question, Server, ServerEvent, StartTls};
use crate::address::Domain;
use crate::base::Secret;
use crate::sasl::{Mechanism, ServerExchange, ServerStep};
use crate::smtp::data::{DataFault, DataReader};
use crate::smtp::trace::in_ascii;
use crate::smtp::{
    Body, Command, CommandError, Enhanced, Envelope, Error, Extensions, Fault, ForwardPath, MailParams, RcptParams,
    Recipient, Reply, ReversePath, Stage,
};

/// Requests of other protocols, whose text could hold commands that somebody else chose (cross-protocol attacks).
const FOREIGN: [&[u8]; 6] = [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"CONNECT ", b"OPTIONS "];

/// Where a session is.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing was said yet.
    Opening,
    /// The banner was a refusal; the client may only quit (RFC 5321 §3.1).
    Unwelcome,
    /// The client has not greeted since the banner, or since the TLS handshake.
    Unmet,
    /// Between messages.
    Idle,
    /// MAIL was accepted.
    Transaction(Box<Envelope>),
    /// A challenge was sent.
    Auth(ServerExchange),
    /// The text of a message is coming in.
    Incoming(Box<Incoming>),
    /// The application was asked.
    Asking(Question),
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
            Self::Opening | Self::Unwelcome => Stage::Connect,
            Self::Unmet => Stage::Hello,
            Self::Transaction(envelope) if envelope.recipients.is_empty() => Stage::Mail,
            Self::Transaction(_) => Stage::Rcpt,
            Self::Auth(_) => Stage::Auth,
            Self::Incoming(_) => Stage::Message,
            Self::Handshake => Stage::StartTls,
            Self::Idle | Self::Asking(_) | Self::Done | Self::Failed(_) => Stage::Idle,
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
        self.settle(State::Unmet, &reply);
    }

    /// RFC 6531 §3.7.1: domain names in the EHLO response "MUST be in the form of LDH labels or A-labels".
    fn name(&self) -> Domain {
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
    pub(super) fn go_ahead(&mut self, envelope: Box<Envelope>, reply: Option<Reply>) {
        let mut reader = DataReader::default();
        reader.bare_newlines = self.config.bare_newlines;
        reader.max_size = self.config.size_limit();
        reader.max_line = self.config.max_text_line;
        let incoming = Incoming { envelope: *envelope, reader, content: BytesMut::new(), begun: None };
        let reply = reply.filter(Reply::is_intermediate);
        let standard = || Reply::new(354, None, "end with <CRLF>.<CRLF>");
        self.settle(State::Incoming(Box::new(incoming)), &reply.unwrap_or_else(standard));
    }

    /// Takes a line: of an AUTH exchange where one is under way, or else a command.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<ServerEvent> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Auth(exchange) => self.response(exchange, line),
            state => match Command::parse(line, &self.config.quirks) {
                Ok(command) => self.command(state, command),
                Err(CommandError::Verb) if FOREIGN.iter().any(|verb| line.starts_with(verb)) => {
                    self.fail(Fault::OtherProtocol);
                    None
                }
                Err(error) => self.no(state, &error.reply()),
            },
        }
    }

    /// The table.
    fn command(&mut self, state: State, command: Command) -> Option<ServerEvent> {
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let tls_missing = self.config.starttls == StartTls::Required && self.session.tls.is_none();
        match (state, command) {
            (_, Command::Quit) => self.no(State::Done, &Reply::new(221, Enhanced(2, 0, 0), "bye")),
            // RFC 5321 §3.1: after a banner of 554 the server "SHOULD respond with a 503".
            (State::Unwelcome, _) => self.no(State::Unwelcome, &out_of_order("no service for you here")),
            (state, Command::Noop) => self.no(state, &ok()),
            (state, Command::Help(_)) => self.no(state, &help()),

            // RFC 2033 §4.1: "A LMTP server MUST NOT accept HELO or EHLO", nor does SMTP know LHLO.
            (state, Command::Helo(_) | Command::Ehlo(_)) if lmtp => self.no(state, &CommandError::Verb.reply()),
            (state, Command::Lhlo(_)) if !lmtp => self.no(state, &CommandError::Verb.reply()),
            (state, Command::Helo(name)) => self.hello(state, HelloVerb::Helo, name),
            (state, Command::Ehlo(name)) => self.hello(state, HelloVerb::Ehlo, Some(name)),
            (state, Command::Lhlo(name)) => self.hello(state, HelloVerb::Lhlo, Some(name)),
            (State::Unmet, Command::Rset) => self.no(State::Unmet, &ok()),
            (_, Command::Rset) => self.no(State::Idle, &ok()),

            (state, Command::StartTls) => self.start_tls(state),
            // RFC 3207 §4: "530 Must issue a STARTTLS command first" to all but NOOP, EHLO, STARTTLS and QUIT.
            (state, _) if tls_missing => {
                self.no(state, &Reply::new(530, Enhanced(5, 7, 0), "must issue a STARTTLS command first"))
            }

            (state, Command::Vrfy { text, smtputf8 }) if self.config.screen.vrfy => {
                self.state = State::Asking(Question::Vrfy { back: Box::new(state) });
                Some(ServerEvent::Vrfy { text, smtputf8 })
            }
            (state, Command::Vrfy { .. }) => self.no(state, &cannot_verify()),
            (state, Command::Expn { .. } | Command::Bdat { .. }) => {
                self.no(state, &Reply::new(502, Enhanced(5, 5, 1), "command not implemented"))
            }

            (State::Unmet, _) => self.no(State::Unmet, &out_of_order("say hello first")),
            (State::Idle, Command::Auth { mechanism, initial }) => self.auth(&mechanism, initial),
            (State::Idle, Command::Mail { from, params }) => self.mail(from, params),
            (State::Idle, _) => self.no(State::Idle, &out_of_order("MAIL first")),
            (State::Transaction(envelope), Command::Rcpt { to, params }) => self.rcpt(envelope, to, params),
            (State::Transaction(envelope), Command::Data) => self.data(envelope),
            (State::Transaction(envelope), Command::Mail { .. }) => {
                self.no(State::Transaction(envelope), &out_of_order("one MAIL for one message"))
            }
            // RFC 4954 §4: AUTH "is not permitted during a mail transaction".
            (state, _) => self.no(state, &out_of_order("not during a message")),
        }
    }

    /// Moves to `state` and says `reply`; nobody is asked.
    fn no(&mut self, state: State, reply: &Reply) -> Option<ServerEvent> {
        self.settle(state, reply);
        None
    }

    fn ask(&mut self, question: Question, event: ServerEvent) -> Option<ServerEvent> {
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
            (state, _) if self.config.starttls == StartTls::Off => {
                self.no(state, &Reply::new(502, Enhanced(5, 5, 1), "command not implemented"))
            }
            (state, Some(_)) => self.no(state, &out_of_order("TLS is there already")),
            (State::Unmet, None) => self.no(State::Unmet, &out_of_order("say hello first")),
            (_, None) => self.no(State::Handshake, &Reply::new(220, Enhanced(2, 0, 0), "go ahead")),
        }
    }

    fn auth(&mut self, mechanism: &str, initial: Option<Secret>) -> Option<ServerEvent> {
        let extended = self.session.hello.as_ref().is_some_and(|hello| hello.verb != HelloVerb::Helo);
        let mechanism = mechanism.parse().ok().filter(|mechanism| self.config.auth.contains(mechanism));
        let refusal = match mechanism {
            _ if self.config.auth.is_empty() => Reply::new(502, Enhanced(5, 5, 1), "command not implemented"),
            _ if !extended => out_of_order("AUTH is an extension: say EHLO"),
            // RFC 4954 §4: after a successful AUTH another gets 503.
            _ if self.session.identity.is_some() => out_of_order("authenticated already"),
            Some(_) if !self.auth_allowed() => {
                // RFC 4954 §6: 538 with 5.7.11.
                Reply::new(538, Enhanced(5, 7, 11), "encryption required for authentication")
            }
            Some(mechanism) if self.offers(mechanism) => {
                let mut exchange = ServerExchange::new(mechanism);
                let step = exchange.respond(initial);
                return self.auth_step(exchange, step);
            }
            // RFC 4954 §4: "If the requested authentication mechanism is invalid [...] 504".
            _ => Reply::new(504, Enhanced(5, 5, 4), "no such mechanism"),
        };
        self.no(State::Idle, &refusal)
    }

    /// A line of the exchange (RFC 4954 §4): base64, or `*` to cancel.
    fn response(&mut self, mut exchange: ServerExchange, line: &[u8]) -> Option<ServerEvent> {
        if line == b"*" {
            return self.no(State::Idle, &Reply::new(501, Enhanced(5, 7, 0), "authentication cancelled"));
        }
        let Ok(octets) = BASE64_STANDARD.decode(line) else {
            return self.no(State::Idle, &Reply::new(501, Enhanced(5, 5, 2), "expected base64"));
        };
        let step = exchange.respond(Some(Secret::from(octets)));
        self.auth_step(exchange, step)
    }

    fn auth_step(&mut self, exchange: ServerExchange, step: ServerStep) -> Option<ServerEvent> {
        match step {
            ServerStep::Challenge(challenge) => {
                let reply = Reply::new(334, None, BASE64_STANDARD.encode(challenge));
                self.no(State::Auth(exchange), &reply)
            }
            ServerStep::Judge { identity, credentials } => {
                let name = identity.name().to_owned();
                self.ask(Question::Auth { name }, ServerEvent::Auth { identity, credentials })
            }
            ServerStep::Malformed(error) => {
                self.no(State::Idle, &Reply::new(501, Enhanced(5, 5, 2), format!("expected {}", error.expected)))
            }
        }
    }

    fn mail(&mut self, from: ReversePath, mut params: MailParams) -> Option<ServerEvent> {
        if let Some(reply) = self.mail_refusal(&from, &params) {
            return self.no(State::Idle, &reply);
        }
        // RFC 4954 §5: from a client that is not trusted AUTH= counts as "<>".
        if params.auth.is_some() && self.session.identity.is_none() {
            params.auth = Some(ReversePath::Null);
        }
        let event = ServerEvent::Mail { from: from.clone(), params: params.clone() };
        self.ask(Question::Mail { from, params }, event)
    }

    fn mail_refusal(&self, from: &ReversePath, params: &MailParams) -> Option<Reply> {
        let unannounced = (self.is_plain() && *params != MailParams::default())
            || (!self.config.dsn && (params.ret.is_some() || params.envid.is_some()))
            || (!self.config.smtputf8 && params.smtputf8)
            || (self.config.auth.is_empty() && params.auth.is_some())
            || params.body == Some(Body::BinaryMime);
        let ascii = match from {
            ReversePath::Null => true,
            ReversePath::Address(address) => address.is_ascii(),
        };
        if self.config.require_auth && self.session.identity.is_none() {
            // RFC 4954 §6: 530 with 5.7.0.
            Some(Reply::new(530, Enhanced(5, 7, 0), "authentication required"))
        } else if unannounced {
            Some(CommandError::Parameter { at: 0 }.reply())
        } else if !ascii && !params.smtputf8 {
            // RFC 6531 §3.5: 550 for MAIL, 553 for RCPT, both with X.6.7.
            Some(Reply::new(550, Enhanced(5, 6, 7), "non-ASCII address without SMTPUTF8"))
        } else if self.config.size_limit().is_some_and(|limit| params.size.is_some_and(|size| size > limit)) {
            // RFC 1870 §6.1
            Some(refused(DataFault::TooLarge))
        } else {
            None
        }
    }

    fn rcpt(&mut self, envelope: Box<Envelope>, to: ForwardPath, params: RcptParams) -> Option<ServerEvent> {
        let unannounced = (self.is_plain() || !self.config.dsn) && params != RcptParams::default();
        let ascii = match &to {
            ForwardPath::Postmaster => true,
            ForwardPath::Address(address) => address.is_ascii(),
        };
        let refusal = if unannounced {
            CommandError::Parameter { at: 0 }.reply()
        } else if !ascii && !envelope.params.smtputf8 {
            Reply::new(553, Enhanced(5, 6, 7), "non-ASCII address without SMTPUTF8")
        } else if envelope.recipients.len() >= self.config.max_recipients {
            // RFC 5321 §4.5.3.1.10: "452 Too many recipients".
            Reply::new(452, Enhanced(4, 5, 3), "too many recipients")
        } else {
            let recipient = Recipient { to: to.clone(), params: params.clone() };
            return self.ask(Question::Rcpt { envelope, recipient }, ServerEvent::Rcpt { to, params });
        };
        self.no(State::Transaction(envelope), &refusal)
    }

    fn data(&mut self, envelope: Box<Envelope>) -> Option<ServerEvent> {
        if envelope.recipients.is_empty() {
            // RFC 5321 §4.1.1.4: 503 or 554 where no recipient was accepted; RFC 2033 §4.2 wants 503.
            return self.no(State::Transaction(envelope), &out_of_order("no valid recipients"));
        }
        if self.config.screen.data {
            return self.ask(Question::Data { envelope }, ServerEvent::Data);
        }
        self.go_ahead(envelope, None);
        None
    }

    /// Whether the client greeted with HELO, and so has no extensions.
    fn is_plain(&self) -> bool {
        self.session.hello.as_ref().is_some_and(|hello| hello.verb == HelloVerb::Helo)
    }

    fn auth_allowed(&self) -> bool {
        self.session.tls.is_some() || self.config.auth_policy == AuthPolicy::Anywhere
    }

    /// Whether the mechanism can be used now.
    fn offers(&self, mechanism: Mechanism) -> bool {
        let certified = || self.session.tls.as_ref().is_some_and(|tls| !tls.peer_certificates.is_empty());
        self.auth_allowed() && (mechanism != Mechanism::External || certified())
    }

    /// What is announced to this client now.
    fn extensions(&self) -> Extensions {
        let offered = self.config.auth.iter().filter(|mechanism| self.offers(**mechanism));
        Extensions {
            pipelining: true,
            size: Some(self.config.size_limit()),
            eight_bit_mime: true,
            smtputf8: self.config.smtputf8,
            enhanced_status_codes: true,
            dsn: self.config.dsn,
            starttls: self.config.starttls != StartTls::Off && self.session.tls.is_none(),
            auth: offered.map(ToString::to_string).collect(),
            vrfy: self.config.screen.vrfy,
            help: true,
            ..Extensions::default()
        }
    }
}

/// The answer to a message that the machine refuses.
pub(super) fn refused(fault: DataFault) -> Reply {
    match fault {
        // RFC 1870 §6.1 and §6.3
        DataFault::TooLarge => Reply::new(552, Enhanced(5, 3, 4), "message too large"),
        DataFault::BareNewline => Reply::new(554, Enhanced(5, 6, 0), "CR and LF must come together in a message"),
        DataFault::LineTooLong => Reply::new(554, Enhanced(5, 6, 0), "line too long in message"),
    }
}

/// RFC 5321 §3.5.3: 252 where the address is not looked up.
pub(super) fn cannot_verify() -> Reply {
    Reply::new(252, Enhanced(2, 5, 2), "cannot verify, but will take the message and try")
}

fn ok() -> Reply {
    Reply::new(250, Enhanced(2, 0, 0), "OK")
}

fn out_of_order(text: &'static str) -> Reply {
    Reply::new(503, Enhanced(5, 5, 1), text)
}

fn help() -> Reply {
    Reply::new(214, Enhanced(2, 0, 0), "HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP STARTTLS AUTH")
}
