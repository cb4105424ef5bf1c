//! The server's side of an exchange.

use bytes::Bytes;

use super::{Credentials, Identity, Mechanism};
use crate::base::{ParseError, Secret};

/// One exchange with a client.
///
/// ```
/// use facteur::base::Secret;
/// use facteur::sasl::{Credentials, Mechanism, ServerExchange, ServerStep};
///
/// let mut exchange = ServerExchange::new(Mechanism::Plain);
/// assert_eq!(exchange.respond(None), ServerStep::Challenge("".into()));
/// match exchange.respond(Some("\0tim\0tanstaaftanstaaf".into())) {
///     ServerStep::Judge { identity, credentials: Credentials::Password(password) } => {
///         assert_eq!(identity.name(), "tim");
///         assert_eq!(password, Secret::from("tanstaaftanstaaf"));
///     }
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug)]
pub struct ServerExchange {
    state: State,
}

/// What an exchange wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerStep {
    /// Send this challenge, which may be empty, and hand over the response.
    Challenge(Bytes),
    /// The client has shown all it will: accept it or not.
    Judge {
        /// Who it says it is.
        identity: Identity,
        /// How it proves that.
        credentials: Credentials,
    },
    /// The response is malformed; the exchange is over.
    Malformed(ParseError),
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet, or only the empty challenge has gone.
    Begin(Mechanism),
    /// LOGIN: the name is known, the password was asked for.
    Login {
        authcid: String,
    },
    Over,
}

impl ServerExchange {
    /// An exchange that has not begun.
    pub fn new(mechanism: Mechanism) -> Self {
        Self { state: State::Begin(mechanism) }
    }

    /// Takes the client's response. The first call takes the initial response, or `None` where the client sent none.
    pub fn respond(&mut self, response: Option<Secret>) -> ServerStep {
        let fault = |expected| ServerStep::Malformed(ParseError { expected, at: 0 });
        match (std::mem::replace(&mut self.state, State::Over), response) {
            (State::Begin(mechanism), None) => {
                self.state = State::Begin(mechanism);
                // RFC 4422 §3.3: where the client goes first, the challenge before its response is empty.
                let challenge = if mechanism == Mechanism::Login { "Username:" } else { "" };
                ServerStep::Challenge(Bytes::from_static(challenge.as_bytes()))
            }
            (State::Begin(Mechanism::Plain), Some(response)) => plain(response.expose()),
            (State::Begin(Mechanism::Login), Some(response)) => match text(response.expose()) {
                Some(authcid) if !authcid.is_empty() => {
                    self.state = State::Login { authcid };
                    ServerStep::Challenge(Bytes::from_static(b"Password:"))
                }
                _ => fault("a user name"),
            },
            (State::Login { authcid }, Some(password)) => {
                ServerStep::Judge { identity: Identity::new(authcid), credentials: Credentials::Password(password) }
            }
            (State::Begin(Mechanism::External), Some(response)) => match text(response.expose()) {
                Some(authzid) => {
                    let authzid = Some(authzid).filter(|authzid| !authzid.is_empty());
                    let identity = Identity { authcid: String::new(), authzid };
                    ServerStep::Judge { identity, credentials: Credentials::External }
                }
                None => fault("an authorization identity"),
            },
            // RFC 4505 §2: message = [ email / token ], up to 255 characters.
            (State::Begin(Mechanism::Anonymous), Some(response)) => match text(response.expose()) {
                Some(trace) if trace.chars().count() <= 255 && !trace.chars().any(char::is_control) => {
                    ServerStep::Judge { identity: Identity::default(), credentials: Credentials::Anonymous { trace } }
                }
                _ => fault("trace information of at most 255 characters"),
            },
            (State::Login { .. }, None) | (State::Over, _) => fault("no more"),
        }
    }
}

/// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2)
fn plain(message: &[u8]) -> ServerStep {
    let fault = |expected, at| ServerStep::Malformed(ParseError { expected, at });
    let mut parts = message.split(|octet| *octet == 0);
    let (Some(authzid), Some(authcid), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return fault("three parts between two NULs", 0);
    };
    let at = authzid.len() + 1;
    match (text(authzid), text(authcid)) {
        // authcid = 1*SAFE, passwd = 1*SAFE
        (Some(authzid), Some(authcid))
            if !authcid.is_empty() && text(password).is_some_and(|text| !text.is_empty()) =>
        {
            let authzid = Some(authzid).filter(|authzid| !authzid.is_empty());
            ServerStep::Judge {
                identity: Identity { authcid, authzid },
                credentials: Credentials::Password(Secret::from(password)),
            }
        }
        _ => fault("a name and a password in UTF-8", at),
    }
}

/// UTF-8 without NUL.
fn text(octets: &[u8]) -> Option<String> {
    std::str::from_utf8(octets).ok().filter(|text| !text.contains('\0')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(mechanism: Mechanism, responses: &[&[u8]]) -> ServerStep {
        let mut exchange = ServerExchange::new(mechanism);
        let mut step = exchange.respond(None);
        for response in responses {
            assert!(matches!(step, ServerStep::Challenge(_)), "{step:?}");
            step = exchange.respond(Some(Secret::from(*response)));
        }
        step
    }

    #[test]
    fn plain_messages_are_read() {
        // RFC 4616 §4
        for (message, authcid, authzid, password) in [
            (&b"\0tim\0tanstaaftanstaaf"[..], "tim", None, "tanstaaftanstaaf"),
            (b"Ursel\0Kurt\0xipj3plmq", "Kurt", Some("Ursel"), "xipj3plmq"),
        ] {
            let identity = Identity { authcid: authcid.into(), authzid: authzid.map(Into::into) };
            let credentials = Credentials::Password(password.into());
            assert_eq!(judged(Mechanism::Plain, &[message]), ServerStep::Judge { identity, credentials });
        }
        for bad in [
            &b""[..],
            b"tim",
            b"\0tim",
            b"\0tim\0",
            b"\0\0x",
            b"\0tim\0x\0",
            b"\0tim\0x\0y",
            b"\0\xff\0x",
            b"\0a\0\xff",
        ] {
            assert!(matches!(judged(Mechanism::Plain, &[bad]), ServerStep::Malformed(_)), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn login_asks_twice() {
        let mut exchange = ServerExchange::new(Mechanism::Login);
        assert_eq!(exchange.respond(None), ServerStep::Challenge("Username:".into()));
        assert_eq!(exchange.respond(Some("tim".into())), ServerStep::Challenge("Password:".into()));
        let credentials = Credentials::Password("tanstaaf".into());
        assert_eq!(
            exchange.respond(Some("tanstaaf".into())),
            ServerStep::Judge { identity: Identity::new("tim"), credentials }
        );
        assert!(matches!(exchange.respond(Some("more".into())), ServerStep::Malformed(_)));
        // An initial response is the name.
        let mut exchange = ServerExchange::new(Mechanism::Login);
        assert_eq!(exchange.respond(Some("tim".into())), ServerStep::Challenge("Password:".into()));
        assert!(matches!(judged(Mechanism::Login, &[b""]), ServerStep::Malformed(_)));
        assert!(matches!(judged(Mechanism::Login, &[b"a\0b"]), ServerStep::Malformed(_)));
    }

    #[test]
    fn external_and_anonymous_show_no_password() {
        let identity = |authzid: Option<&str>| Identity { authcid: String::new(), authzid: authzid.map(Into::into) };
        for (response, authzid) in [(&b""[..], None), (b"fred@example.com", Some("fred@example.com"))] {
            let step = ServerStep::Judge { identity: identity(authzid), credentials: Credentials::External };
            assert_eq!(judged(Mechanism::External, &[response]), step);
        }
        // RFC 4505 §4
        let credentials = Credentials::Anonymous { trace: "sirhc".into() };
        assert_eq!(
            judged(Mechanism::Anonymous, &[b"sirhc"]),
            ServerStep::Judge { identity: identity(None), credentials }
        );
        assert!(matches!(judged(Mechanism::Anonymous, &[&[b'x'; 256]]), ServerStep::Malformed(_)));
    }
}
