//! AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Question, Server, ServerEvent, Turn};
use crate::base::Secret;
use crate::imap::frame::Refusal;
use crate::imap::response::{Code, Status};

impl Server {
    /// Begins the exchange, or ends it where the initial response says all.
    pub(super) fn authenticate(
        &mut self,
        tag: String,
        mechanism: &str,
        initial: Option<Secret>,
    ) -> Option<ServerEvent> {
        if mechanism != "PLAIN" {
            self.wrong(Refusal::no(Some(tag), Code::Cannot, "no such mechanism"));
            return None;
        }
        let Some(response) = initial else {
            self.wire.out(b"+ \r\n");
            self.turn = Turn::Response { tag };
            return None;
        };
        self.plain(tag, &response)
    }

    /// Takes the client's response: base64, or `*` to give up.
    pub(super) fn response(&mut self) -> Option<Option<ServerEvent>> {
        let line = match self.wire.line(self.config.before_login.line) {
            Ok(None) => return None,
            Ok(Some(line)) => Some(line.text),
            Err(_) => None,
        };
        self.activity = self.now;
        let Turn::Response { tag } = std::mem::replace(&mut self.turn, Turn::Command) else { return Some(None) };
        if line.as_deref() == Some(b"*") {
            // RFC 9051 §6.2.2: "the server MUST reject the AUTHENTICATE command by sending a tagged BAD response"
            self.wrong(Refusal::bad(Some(tag), "authentication cancelled"));
            return Some(None);
        }
        match line.and_then(|line| BASE64.decode(line).ok()) {
            Some(decoded) => Some(self.plain(tag, &Secret::from(decoded))),
            None => {
                self.wrong(Refusal::bad(Some(tag), "expected base64"));
                Some(None)
            }
        }
    }

    /// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2)
    fn plain(&mut self, tag: String, response: &Secret) -> Option<ServerEvent> {
        let parts: Vec<&[u8]> = response.expose().split(|octet| *octet == 0).collect();
        let [authorize, user, secret] = parts.as_slice() else {
            self.wrong(Refusal::bad(Some(tag), "expected a PLAIN response"));
            return None;
        };
        let Ok(user) = std::str::from_utf8(user) else {
            self.wrong(Refusal::bad(Some(tag), "expected a user name in UTF-8"));
            return None;
        };
        if !authorize.is_empty() && *authorize != user.as_bytes() {
            self.status(&tag, Status::No, Some(&Code::AuthorizationFailed), "nobody acts for another here");
            return None;
        }
        let (user, secret) = (user.to_owned(), Secret::from(*secret));
        self.ask(tag, Question::Login);
        Some(ServerEvent::Login { user, secret })
    }
}
