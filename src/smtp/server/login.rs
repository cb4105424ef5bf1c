//! AUTH of a server (RFC 4954): the exchange, line by line.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::table::{State, not_implemented, out_of_order};
use super::{HelloVerb, Question, Server, ServerEvent};
use crate::base::Secret;
use crate::sasl::{Channel, ServerExchange, ServerStep};
use crate::smtp::{Enhanced, Reply};

impl Server {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<Secret>) -> Option<ServerEvent> {
        let extended = self.session.hello.as_ref().is_some_and(|hello| hello.verb != HelloVerb::Helo);
        let known = self.config.auth.mechanisms.iter().any(|known| known.name().eq_ignore_ascii_case(mechanism));
        let refusal = match mechanism {
            _ if self.config.auth.is_empty() => not_implemented(),
            _ if !extended => out_of_order("AUTH is an extension: say EHLO"),
            // RFC 4954 §4: after a successful AUTH another gets 503.
            _ if self.session.identity.is_some() => out_of_order("authenticated already"),
            _ if known && !self.auth_allowed() => {
                // RFC 4954 §6: 538 with 5.7.11.
                Reply::new(538, Enhanced(5, 7, 11), "encryption required for authentication")
            }
            _ => match self.config.auth.find(mechanism, self.session.tls.as_ref()) {
                Some(mechanism) => {
                    let mut channel = Channel::new("smtp", self.session.tls.as_ref());
                    channel.host = self.name().to_string();
                    let mut exchange = self.config.auth.begin(mechanism, &channel);
                    let step = exchange.respond(initial);
                    return self.auth_step(exchange, step);
                }
                // RFC 4954 §4: "If the requested authentication mechanism is invalid [...] 504".
                None => Reply::new(504, Enhanced(5, 5, 4), "no such mechanism"),
            },
        };
        self.no(State::Idle, &refusal)
    }

    /// A line of the exchange (RFC 4954 §4): base64, or `*` to cancel. White space at its end says nothing, as in commands (RFC 5321
    /// §4.1.1).
    pub(super) fn response(&mut self, mut exchange: ServerExchange, line: &[u8]) -> Option<ServerEvent> {
        let line = line.trim_ascii_end();
        if line == b"*" {
            return self.no(State::Idle, &Reply::new(501, Enhanced(5, 7, 0), "authentication cancelled"));
        }
        // Curl says nothing by `=` here, too, where §4 has it for an initial response only. It can mean nothing else.
        let Ok(octets) = BASE64_STANDARD.decode(if line == b"=" { b"" } else { line }) else {
            return self.no(State::Idle, &Reply::new(501, Enhanced(5, 5, 2), "expected base64"));
        };
        let step = exchange.respond(Some(Secret::from(octets)));
        self.auth_step(exchange, step)
    }

    /// Takes an exchange on with what was told of a user.
    pub(super) fn go_on_auth(&mut self) -> Option<ServerEvent> {
        let State::Told(mut exchange, answer) = std::mem::replace(&mut self.state, State::Done) else {
            return None; // only called there
        };
        let step = exchange.answer(answer);
        self.auth_step(exchange, step)
    }

    fn auth_step(&mut self, exchange: ServerExchange, step: ServerStep) -> Option<ServerEvent> {
        match step {
            ServerStep::Challenge(octets) => self.no(State::Auth(exchange), &challenge(&octets)),
            ServerStep::Ask(question) => self.ask(Question::Known(exchange), ServerEvent::Ask(question)),
            ServerStep::Judge { identity, credentials } => {
                let name = identity.name().to_owned();
                self.ask(Question::Auth { name, exchange }, ServerEvent::Auth { identity, credentials })
            }
            ServerStep::Wrong(identity) | ServerStep::NotAllowed(identity) => {
                self.counts.auth_failures += 1;
                // RFC 4954 §6: 535 with 5.7.8.
                self.no(State::Idle, &Reply::new(535, Enhanced(5, 7, 8), "authentication failed"));
                Some(ServerEvent::AuthFailed(identity))
            }
            ServerStep::Malformed(error) => {
                self.no(State::Idle, &Reply::new(501, Enhanced(5, 5, 2), format!("expected {}", error.expected)))
            }
        }
    }
}

/// A challenge of AUTH.
pub(super) fn challenge(octets: &[u8]) -> Reply {
    Reply::new(334, None, BASE64_STANDARD.encode(octets))
}
