//! Getting in: the AUTHORIZATION state of RFC 1939 §4, AUTH of RFC 5034, and what CAPA announces.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Expire, Server, ServerEvent, State};
use crate::base::Secret;
use crate::base::wire::{Ending, Line};
use crate::pop3::command::Command;
use crate::pop3::reply::Reply;
use crate::sasl::{Channel, Credentials, Identity, ServerExchange, ServerStep};

impl Server {
    /// RFC 1939 §4.
    pub(super) fn authorization(&mut self, command: Command, user: Option<String>) -> Option<ServerEvent> {
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
    pub(super) fn response(&mut self, mut exchange: ServerExchange, line: &Line) -> Option<ServerEvent> {
        let ended = line.ending == Ending::CrLf || self.config.quirks.bare_lf;
        // Curl says nothing by `=` here, too, where RFC 5034 §4 has it for an initial response only.
        let text = if line.text == "=" { b"" } else { &line.text[..] };
        match BASE64_STANDARD.decode(text) {
            _ if line.text == "*" && ended => self.bad(Reply::err("cancelled")),
            Ok(octets) if ended => {
                let step = exchange.respond(Some(octets.into()));
                return self.exchange(exchange, step);
            }
            _ => self.bad(Reply::err("expected base64")),
        }
        None
    }

    pub(super) fn exchange(&mut self, exchange: ServerExchange, step: ServerStep) -> Option<ServerEvent> {
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

    pub(super) fn challenge(&mut self, challenge: &[u8]) {
        let line = format!("+ {}\r\n", BASE64_STANDARD.encode(challenge));
        self.wire.out(line.as_bytes());
        self.queued += line.len() as u64;
    }

    /// RFC 2449 §5: "Capabilities available in the AUTHORIZATION state MUST be announced in both states", except for
    /// STLS, which is announced where it is "permitted in the current state" (RFC 2595 §4).
    pub(super) fn capabilities(&mut self) {
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
}
