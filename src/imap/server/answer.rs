//! What the program says: to a login, to a command, and unasked.

use super::{Question, Server, Session, Then, Turn};
use crate::imap::error::Stage;
use crate::imap::frame::Refusal;
use crate::imap::response::{Code, Data, Status};
use crate::sasl::Answer;

impl Server {
    /// Answers a login: yes.
    pub fn accept(&mut self) {
        let Some((tag, question, then)) = self.answered() else { return };
        if !matches!(question, Question::Login(_)) {
            return self.misuse("accept answers a login only");
        }
        self.session = Session::Authenticated;
        let code = Code::Capability(self.capabilities());
        self.status(&tag, Status::Ok, Some(&code), "logged in");
        self.then(then);
    }

    /// Answers a login: no, and does not say why (RFC 5530 §3, AUTHENTICATIONFAILED). The client is told
    /// [later](super::ServerConfig::failure_delay), and the conversation ends after [so many](super::ServerConfig::max_failures).
    pub fn refuse(&mut self) {
        let Some((tag, question, then)) = self.answered() else { return };
        let exchange = match question {
            Question::Login(exchange) => exchange,
            Question::Known(_) => None,
            _ => return self.misuse("refuse answers a login only"),
        };
        match (exchange.and_then(|mut exchange| exchange.refusal()), then) {
            (Some(challenge), Then::Command) => {
                self.challenge(&challenge);
                self.turn = Turn::Refused { tag };
            }
            (_, then) => self.hold(tag, then),
        }
    }

    /// Answers [`ServerEvent::Ask`](super::ServerEvent::Ask).
    pub fn tell(&mut self, answer: Answer) {
        match self.answered() {
            Some((tag, Question::Known(exchange), then)) => self.turn = Turn::Told { tag, exchange, answer, then },
            Some(_) => self.misuse("what is known of a user where it was not asked"),
            None => {}
        }
    }

    /// The answer to a failed login comes later.
    pub(super) fn hold(&mut self, tag: String, then: Then) {
        self.turn = Turn::Held { tag, until: self.now + self.config.failure_delay, then };
    }

    /// Sends untagged data: as part of an answer, in IDLE, or between commands (RFC 9051 §5.3).
    ///
    /// [`Data::Expunge`] moves sequence numbers and is taken only where RFC 9051 §7.5.1 allows it: while a command other than
    /// FETCH, STORE and SEARCH by sequence numbers is answered, and in IDLE. Anywhere else it is a misuse that ends the
    /// conversation, as is any data before login.
    pub fn untagged(&mut self, data: Data) {
        let moves_numbers = matches!(data, Data::Expunge(_));
        let fits = match &self.turn {
            Turn::Closing | Turn::Failed(_) => return,
            Turn::Answer { question, .. } => !(moves_numbers && matches!(question, Question::Numbered)),
            Turn::Idle { .. } => true,
            Turn::Command => !moves_numbers && self.stage() != Stage::Login,
            Turn::Greeting
            | Turn::Response { .. }
            | Turn::Told { .. }
            | Turn::Refused { .. }
            | Turn::Held { .. }
            | Turn::Handshake => false,
        };
        match (fits, moves_numbers) {
            (true, _) => {
                self.activity = self.now;
                data.write(&mut self.wire);
            }
            (false, true) => self.misuse("an expunge where sequence numbers must stay still"),
            (false, false) => self.misuse("data before login"),
        }
    }

    /// How many octets may be written before some must be sent.
    pub fn room(&self) -> usize {
        self.config.max_backlog.saturating_sub(self.wire.backlog())
    }

    /// Whether the conversation is over, so that an answer would go nowhere.
    pub fn is_over(&self) -> bool {
        matches!(self.turn, Turn::Closing | Turn::Failed(_))
    }

    /// Whether more waits to be sent than the [config](super::ServerConfig::max_backlog) likes: pause the answer, let what is
    /// outgoing be sent, and go on.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Answers a command: done. SELECT and EXAMINE select by it, CLOSE and UNSELECT deselect.
    ///
    /// Where SELECT is answered without a code, `READ-WRITE` is written, and with EXAMINE `READ-ONLY`.
    pub fn ok(&mut self, code: Option<Code>, text: &str) {
        let Some((tag, question, then)) = self.answered() else { return };
        let code = match &question {
            Question::Login(_) | Question::Known(_) => return self.misuse("a login is answered by accept"),
            Question::Select => code.or(Some(Code::ReadWrite)),
            Question::Examine => code.or(Some(Code::ReadOnly)),
            Question::Deselect | Question::Numbered | Question::Other => code,
        };
        match question {
            Question::Select | Question::Examine => self.session = Session::Selected,
            Question::Deselect => self.session = Session::Authenticated,
            _ => {}
        }
        self.status(&tag, Status::Ok, code.as_ref(), text);
        self.then(then);
    }

    /// Answers a command: it cannot be done. After a SELECT or EXAMINE that failed no mailbox is selected (RFC 9051 §6.3.2).
    pub fn no(&mut self, code: Option<Code>, text: &str) {
        let Some((tag, question, then)) = self.answered() else { return };
        if matches!(question, Question::Select | Question::Examine) {
            self.session = Session::Authenticated;
        }
        self.status(&tag, Status::No, code.as_ref(), text);
        self.then(then);
    }

    /// Answers a command: it is none, for a reason that only the backend can see, such as a sequence number beyond the last
    /// message.
    pub fn bad(&mut self, text: &str) {
        let Some((tag, question, then)) = self.answered() else { return };
        if matches!(question, Question::Select | Question::Examine) {
            self.session = Session::Authenticated;
        }
        self.wrong(Refusal::bad(Some(tag), text));
        self.then(then);
    }

    /// Ends the conversation from this side, with BYE: at once, or when the open question is answered.
    pub fn shutdown(&mut self) {
        const FAREWELL: &str = "the server is going down";
        match &mut self.turn {
            Turn::Closing | Turn::Failed(_) => {}
            Turn::Answer { then, .. } | Turn::Told { then, .. } | Turn::Held { then, .. } => {
                *then = Then::Bye(FAREWELL)
            }
            // In the clear between STARTTLS and the handshake nothing can be said.
            Turn::Handshake => self.turn = Turn::Closing,
            _ => self.bye(FAREWELL),
        }
    }

    /// Takes the open question; `None` where the conversation is over, so that the answer comes too late.
    fn answered(&mut self) -> Option<(String, Question, Then)> {
        match std::mem::replace(&mut self.turn, Turn::Command) {
            Turn::Answer { tag, question, then } => {
                self.activity = self.now;
                return Some((tag, question, then));
            }
            over @ (Turn::Closing | Turn::Failed(_)) => self.turn = over,
            other => {
                self.turn = other;
                self.misuse("an answer without a question");
            }
        }
        None
    }

    pub(super) fn then(&mut self, then: Then) {
        if let (Then::Bye(text), Turn::Command) = (then, &self.turn) {
            self.bye(text);
        }
    }
}
