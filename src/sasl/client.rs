//! The client's side of an exchange.

use super::{Credentials, Identity, Mechanism};
use crate::base::{ParseError, Secret};

/// One exchange with a server.
///
/// ```
/// use facteur::base::Secret;
/// use facteur::sasl::{ClientExchange, Credentials, Identity, Mechanism};
///
/// let password = Credentials::Password("tanstaaftanstaaf".into());
/// let mut exchange = ClientExchange::new(Mechanism::Plain, Identity::new("tim"), password).unwrap();
/// assert_eq!(exchange.initial(), Some(Secret::from("\0tim\0tanstaaftanstaaf")));
/// ```
#[derive(Debug)]
pub struct ClientExchange {
    state: State,
}

#[derive(Debug)]
enum State {
    /// One message, which may go as the initial response.
    Once(Secret),
    /// LOGIN: first the name, then the password.
    Login {
        name: Secret,
        password: Secret,
    },
    /// LOGIN: the name has gone.
    LoginPassword(Secret),
    Over,
}

impl ClientExchange {
    /// An exchange that has not begun; `None` where the mechanism cannot show such credentials, or the name or the password
    /// is one that it cannot carry (empty, or with a NUL).
    pub fn new(mechanism: Mechanism, identity: Identity, credentials: Credentials) -> Option<Self> {
        let sound = |text: &[u8]| !text.is_empty() && !text.contains(&0);
        let authzid = identity.authzid.as_deref().unwrap_or_default();
        if authzid.contains('\0') {
            return None;
        }
        let state = match (mechanism, credentials) {
            (Mechanism::Plain | Mechanism::Login, Credentials::Password(password))
                if !sound(identity.authcid.as_bytes()) || !sound(password.expose()) =>
            {
                return None;
            }
            // RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
            (Mechanism::Plain, Credentials::Password(password)) => {
                let message = [authzid.as_bytes(), b"\0", identity.authcid.as_bytes(), b"\0", password.expose()];
                State::Once(Secret::from(message.concat()))
            }
            // LOGIN has no authorization identity.
            (Mechanism::Login, Credentials::Password(password)) if authzid.is_empty() => {
                State::Login { name: Secret::from(identity.authcid), password }
            }
            (Mechanism::External, Credentials::External) => State::Once(Secret::from(authzid)),
            (Mechanism::Anonymous, Credentials::Anonymous { trace }) => State::Once(Secret::from(trace)),
            _ => return None,
        };
        Some(Self { state })
    }

    /// The initial response, for protocols that carry one in the command; `None` where the server goes first. To be called
    /// before any [`respond`](Self::respond), or not at all.
    pub fn initial(&mut self) -> Option<Secret> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Once(message) => Some(message),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// Where the server asks for what this mechanism does not have; the client should cancel the exchange.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ParseError> {
        match std::mem::replace(&mut self.state, State::Over) {
            // RFC 4422 §3.3: the challenge before the client's first message is empty.
            State::Once(message) if challenge.is_empty() => Ok(message),
            State::Once(_) => Err(ParseError { expected: "an empty challenge", at: 0 }),
            // Servers word these two challenges as they like; only their order can be relied upon.
            State::Login { name, password } => {
                self.state = State::LoginPassword(password);
                Ok(name)
            }
            State::LoginPassword(password) => Ok(password),
            State::Over => Err(ParseError { expected: "no more challenges", at: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{ServerExchange, ServerStep};

    #[test]
    fn what_a_client_shows_is_what_the_server_sees() {
        let password = || Credentials::Password("tanstaaf".into());
        let acting = Identity { authcid: "Kurt".into(), authzid: Some("Ursel".into()) };
        let external = Identity { authcid: String::new(), authzid: Some("fred".into()) };
        for (mechanism, identity, credentials) in [
            (Mechanism::Plain, Identity::new("tim"), password()),
            (Mechanism::Plain, acting, password()),
            (Mechanism::Login, Identity::new("tim"), password()),
            (Mechanism::External, external, Credentials::External),
            (Mechanism::External, Identity::default(), Credentials::External),
            (Mechanism::Anonymous, Identity::default(), Credentials::Anonymous { trace: "sirhc".into() }),
        ] {
            for with_initial in [true, false] {
                let mut client = ClientExchange::new(mechanism, identity.clone(), credentials.clone()).unwrap();
                let mut server = ServerExchange::new(mechanism);
                let mut step = server.respond(if with_initial { client.initial() } else { None });
                while let ServerStep::Challenge(challenge) = &step {
                    step = server.respond(Some(client.respond(challenge).unwrap()));
                }
                let expected = ServerStep::Judge { identity: identity.clone(), credentials: credentials.clone() };
                assert_eq!(step, expected, "{mechanism}");
                assert!(client.respond(b"").is_err(), "{mechanism}: the exchange is over");
            }
        }
    }

    #[test]
    fn what_a_mechanism_cannot_carry_is_refused() {
        let acting = Identity { authcid: "Kurt".into(), authzid: Some("Ursel".into()) };
        for (mechanism, identity, credentials) in [
            (Mechanism::Plain, Identity::new(""), Credentials::Password("x".into())),
            (Mechanism::Plain, Identity::new("a\0b"), Credentials::Password("x".into())),
            (Mechanism::Plain, Identity::new("a"), Credentials::Password("x\0y".into())),
            (Mechanism::Plain, Identity::new("a"), Credentials::External),
            (Mechanism::Login, acting, Credentials::Password("x".into())),
            (Mechanism::External, Identity::default(), Credentials::Password("x".into())),
        ] {
            assert!(ClientExchange::new(mechanism, identity, credentials).is_none(), "{mechanism}");
        }
    }

    #[test]
    fn a_challenge_where_none_belongs_is_an_error() {
        let mut client =
            ClientExchange::new(Mechanism::Plain, Identity::new("a"), Credentials::Password("x".into())).unwrap();
        assert!(client.respond(b"tell me more").is_err());
    }
}
