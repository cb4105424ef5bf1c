//! AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959), over the exchanges of [`sasl`](crate::sasl).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Question, Server, ServerEvent, Then, Turn};
use crate::base::Secret;
use crate::base::wire::Ending;
use crate::imap::frame::Refusal;
use crate::imap::response::{Code, Status, print};
use crate::sasl::{Channel, ServerExchange, ServerStep};

impl Server {
    /// Begins the exchange, or ends it where the initial response says all.
    pub(super) fn authenticate(
        &mut self,
        tag: String,
        mechanism: &str,
        initial: Option<Secret>,
    ) -> Option<ServerEvent> {
        let Some(mechanism) = self.config.auth.find(mechanism, self.tls.as_ref()) else {
            self.wrong(Refusal::no(Some(tag), Code::Cannot, "no such mechanism"));
            return None;
        };
        let mut channel = Channel::new("imap", self.tls.as_ref());
        channel.host.clone_from(&self.config.host);
        let mut exchange = self.config.auth.begin(mechanism, &channel);
        let step = exchange.respond(initial);
        self.exchange(tag, exchange, step, Then::Command)
    }

    /// Goes on with what was told.
    pub(super) fn told(&mut self) -> Option<ServerEvent> {
        let Turn::Told { tag, mut exchange, answer, then } = std::mem::replace(&mut self.turn, Turn::Command) else {
            return None; // only called there
        };
        let step = exchange.answer(answer);
        self.exchange(tag, exchange, step, then)
    }

    pub(super) fn challenge(&mut self, challenge: &[u8]) {
        print(&mut self.wire, format_args!("+ {}\r\n", BASE64.encode(challenge)));
    }

    /// Takes the client's response: base64, or `*` to give up.
    pub(super) fn response(&mut self) -> Option<Option<ServerEvent>> {
        let line = match self.wire.line(self.config.before_login.line) {
            Ok(None) => return None,
            Ok(Some(line)) => Some(line.text).filter(|_| line.ending == Ending::CrLf),
            Err(_) => None,
        };
        let (tag, mut exchange) = match std::mem::replace(&mut self.turn, Turn::Command) {
            Turn::Response { tag, exchange } => (tag, exchange),
            // What the client says to the reason of a refusal means nothing (RFC 7628 §3.2.3).
            Turn::Refused { tag } => {
                self.hold(tag, Then::Command);
                return Some(None);
            }
            _ => return Some(None),
        };
        if line.as_deref() == Some(b"*") {
            // RFC 9051 §6.2.2: "the server MUST reject the AUTHENTICATE command by sending a tagged BAD response"
            self.wrong(Refusal::bad(Some(tag), "authentication cancelled"));
            return Some(None);
        }
        // Curl says nothing by `=` here, too, where RFC 9051 §6.2.2 has it for an initial response only.
        let decoded = match line.as_deref() {
            Some(b"=") => Some(Vec::new()),
            line => line.and_then(|line| BASE64.decode(line).ok()),
        };
        match decoded {
            Some(decoded) => {
                let step = exchange.respond(Some(Secret::from(decoded)));
                Some(self.exchange(tag, exchange, step, Then::Command))
            }
            None => {
                self.wrong(Refusal::bad(Some(tag), "expected a line of base64"));
                Some(None)
            }
        }
    }

    /// `then` is what comes after the answer; a challenge gives it up, for nothing waits then.
    fn exchange(&mut self, tag: String, exchange: ServerExchange, step: ServerStep, then: Then) -> Option<ServerEvent> {
        match step {
            ServerStep::Challenge(challenge) => {
                self.challenge(&challenge);
                self.turn = Turn::Response { tag, exchange };
                // Nothing is answered in the middle of an exchange: a farewell that waited comes now.
                self.farewell(then);
            }
            ServerStep::Ask(question) => {
                self.turn = Turn::Answer { tag, question: Question::Known(exchange), then };
                return Some(ServerEvent::Ask(question));
            }
            ServerStep::Judge { identity, credentials } => {
                self.turn = Turn::Answer { tag, question: Question::Login(Some(exchange)), then };
                return Some(ServerEvent::Login { identity, credentials });
            }
            ServerStep::Wrong(identity) => {
                self.hold(tag, then);
                return Some(ServerEvent::AuthFailed(identity));
            }
            ServerStep::NotAllowed(_) => {
                let text = "nobody acts for another here";
                self.status(&tag, Status::No, Some(&Code::AuthorizationFailed), text);
                self.farewell(then);
            }
            ServerStep::Malformed(error) => {
                self.wrong(Refusal::bad(Some(tag), error.to_string()));
                self.farewell(then);
            }
        }
        None
    }

    fn farewell(&mut self, then: Then) {
        if let (Then::Bye(text), false) = (then, self.is_over()) {
            self.bye(text);
        }
    }
}
