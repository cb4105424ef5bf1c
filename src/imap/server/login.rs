//! AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959), over the exchanges of [`sasl`](crate::sasl).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Question, Server, ServerEvent, Turn};
use crate::base::Secret;
use crate::base::wire::Ending;
use crate::imap::frame::Refusal;
use crate::imap::response::{Code, Status, print};
use crate::sasl::{Credentials, Mechanism, ServerExchange, ServerStep};

impl Server {
    /// Begins the exchange, or ends it where the initial response says all.
    pub(super) fn authenticate(
        &mut self,
        tag: String,
        mechanism: &str,
        initial: Option<Secret>,
    ) -> Option<ServerEvent> {
        let Some(mechanism @ Mechanism::Plain) = mechanism.parse().ok() else {
            self.wrong(Refusal::no(Some(tag), Code::Cannot, "no such mechanism"));
            return None;
        };
        self.exchange(tag, ServerExchange::new(mechanism), initial)
    }

    /// Takes the client's response: base64, or `*` to give up.
    pub(super) fn response(&mut self) -> Option<Option<ServerEvent>> {
        let line = match self.wire.line(self.config.before_login.line) {
            Ok(None) => return None,
            Ok(Some(line)) => Some(line.text).filter(|_| line.ending == Ending::CrLf),
            Err(_) => None,
        };
        let Turn::Response { tag, exchange } = std::mem::replace(&mut self.turn, Turn::Command) else {
            return Some(None);
        };
        if line.as_deref() == Some(b"*") {
            // RFC 9051 §6.2.2: "the server MUST reject the AUTHENTICATE command by sending a tagged BAD response"
            self.wrong(Refusal::bad(Some(tag), "authentication cancelled"));
            return Some(None);
        }
        match line.and_then(|line| BASE64.decode(line).ok()) {
            Some(decoded) => Some(self.exchange(tag, exchange, Some(Secret::from(decoded)))),
            None => {
                self.wrong(Refusal::bad(Some(tag), "expected a line of base64"));
                Some(None)
            }
        }
    }

    fn exchange(&mut self, tag: String, mut exchange: ServerExchange, response: Option<Secret>) -> Option<ServerEvent> {
        match exchange.respond(response) {
            ServerStep::Challenge(challenge) => {
                print(&mut self.wire, format_args!("+ {}\r\n", BASE64.encode(challenge)));
                self.turn = Turn::Response { tag, exchange };
            }
            ServerStep::Judge { identity, credentials: Credentials::Password(secret) } => {
                if identity.name() == identity.authcid {
                    self.ask(tag, Question::Login);
                    return Some(ServerEvent::Login { user: identity.authcid, secret });
                }
                let text = "nobody acts for another here";
                self.status(&tag, Status::No, Some(&Code::AuthorizationFailed), text);
            }
            ServerStep::Malformed(error) => self.wrong(Refusal::bad(Some(tag), error.to_string())),
            // No other mechanism was begun.
            _ => self.wrong(Refusal::no(Some(tag), Code::Cannot, "no such mechanism")),
        }
        None
    }
}
