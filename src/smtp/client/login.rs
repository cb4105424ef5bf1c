//! AUTH of a client (RFC 4954): which mechanism, and the exchange of it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Client, State};
use crate::base::{ParseError, Secret};
use crate::sasl::{Channel, ClientExchange};
use crate::smtp::client::By;
use crate::smtp::server::AuthPolicy;
use crate::smtp::{Command, Enhanced, Reply, Stage};

/// RFC 4954 §4: an AUTH command with its initial response is subject to the limit of command lines, 512 octets with the
/// end. What is longer goes as the answer to an empty challenge.
const MAX_AUTH_COMMAND: usize = 512;

/// An exchange of AUTH.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) sasl: ClientExchange,
    /// A first response that was too long for the command.
    held: Option<Secret>,
    /// Which of the config's mechanisms comes next, should the server not have this one after all.
    pub(super) next: usize,
}

impl Client {
    /// The first mechanism from `from` on that the server has and that can show our credentials, safely.
    pub(super) fn mechanism(&self, from: usize) -> Option<(usize, ClientExchange)> {
        let login = self.config.login.as_ref()?;
        let mut channel = Channel::new("smtp", self.tls.as_ref());
        channel.is_private |= self.config.auth_policy == AuthPolicy::Anywhere;
        login.choose(&self.extensions.auth, &channel, from)
    }

    /// AUTH by the first mechanism from `from` on that will do, where the config has a login.
    pub(super) fn log_in(&mut self, from: usize) {
        let Some(login) = &self.config.login else {
            self.state = State::Idle;
            return;
        };
        let Some((at, mut sasl)) = self.mechanism(from) else {
            let text = if self.extensions.auth.is_empty() {
                "the server has no AUTH"
            } else {
                "the server has no mechanism of AUTH that would do"
            };
            return self.refuse(Stage::Auth, Reply::new(454, Enhanced(4, 7, 0), text), By::Client);
        };
        let Some(mechanism) = login.mechanisms.get(at).map(|mechanism| mechanism.name().to_owned()) else { return }; // it was just found there
        let initial = sasl.initial();
        // "AUTH", two spaces, CRLF; base64 makes four octets of three.
        let fits = |initial: &Secret| 8 + mechanism.len() + initial.expose().len().div_ceil(3) * 4 <= MAX_AUTH_COMMAND;
        let (initial, held) = match initial {
            Some(initial) if !fits(&initial) => (None, Some(initial)),
            initial => (initial, None),
        };
        let exchange = Exchange { sasl, held, next: at + 1 };
        self.command(&Command::Auth { mechanism, initial }, State::Auth(Box::new(exchange)));
    }

    /// Answers a challenge, or cancels the exchange where there is no answer.
    pub(super) fn respond(&mut self, mut exchange: Exchange, reply: &Reply) {
        let challenge = reply.lines().next().unwrap_or_default().trim();
        let response = match (exchange.held.take(), BASE64_STANDARD.decode(challenge)) {
            // The challenge should be empty. Some servers have words for people there, and not in base64.
            (Some(held), _) => Ok(held),
            (None, Ok(challenge)) => exchange.sasl.respond(&challenge),
            // So it is with what LOGIN asks for.
            (None, Err(_)) if exchange.sasl.is_asked_in_any_words() => exchange.sasl.respond(challenge.as_bytes()),
            (None, Err(_)) => Err(ParseError { expected: "base64", at: 0 }),
        };
        match response {
            Ok(response) => {
                self.wire.out(BASE64_STANDARD.encode(response.expose()).as_bytes());
                self.state = State::Auth(Box::new(exchange));
            }
            // RFC 4954 §4: "a line with a single "*"" cancels.
            Err(error) => {
                self.wire.out(b"*");
                self.state = State::Cancelled(error);
            }
        }
        self.wire.out(b"\r\n");
        self.since = None;
    }

    /// The server did not keep to the mechanism, or did not prove itself.
    pub(super) fn distrust(&mut self, error: ParseError) {
        let text = format!("the server's part of AUTH is not right: expected {}", error.expected);
        self.refuse(Stage::Auth, Reply::new(454, Enhanced(4, 7, 0), text), By::Client);
    }
}
