//! The application's answers to what a server asks.

use std::time::Duration;

use super::incoming::Incoming;
use super::login;
use super::table::State;
use super::{Question, Server};
use crate::sasl;
use crate::smtp::{Enhanced, Error, Reply};

impl Server {
    /// Accepts what the last event asked. A message that is accepted must be in safe keeping by then.
    pub fn accept(&mut self) {
        self.answer(Ok(None));
    }

    /// Accepts [`ServerEvent::Auth`](super::ServerEvent::Auth) under the name by which the application knows the client, for
    /// [`Session::identity`](super::Session::identity): that of a certificate, or an account of which the client gave an alias.
    pub fn accept_as(&mut self, name: impl Into<String>) {
        match &mut self.state {
            State::Asking(Question::Auth { name: known, .. }) => {
                *known = name.into();
                self.answer(Ok(None));
            }
            _ => self.misuse("a name for what is no authentication"),
        }
    }

    /// Answers [`ServerEvent::Ask`](super::ServerEvent::Ask).
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

    /// Puts the answer to the last question off: nothing is read for so long, then
    /// [`ServerEvent::Resumed`](super::ServerEvent::Resumed) says that the question is open again. To slow down a client that
    /// guesses, or to hold back the banner.
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

    /// Answers [`ServerEvent::Burl`](super::ServerEvent::Burl) with what stands there. It becomes part of the message as a
    /// chunk of BDAT does; with [`Content::Stream`](super::Content::Stream) it comes back piece by piece.
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

    /// Answers [`ServerEvent::Message`](super::ServerEvent::Message) of LMTP for each recipient by itself, in their order (RFC
    /// 2033 §4.2).
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
                    Some(challenge) => self.settle(State::AuthRefused(reply), &login::challenge(&challenge)),
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
}
