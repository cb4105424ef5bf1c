//! The client's side of an exchange.

use std::fmt;

use super::{Channel, Credentials, ForeignClient, Identity, Login, Mechanism, Nonces, cram, digest, oauth, scram};
use crate::base::{ParseError, Secret};

/// One exchange with a server, from [`Login::choose`].
///
/// ```
/// use facteur::base::{Secret, Tls};
/// use facteur::sasl::{Channel, Credentials, Identity, Login};
///
/// let login = Login::new(Identity::new("tim"), Credentials::Password("tanstaaftanstaaf".into()));
/// let channel = Channel::new("smtp", Some(&Tls::default()));
/// let (_, mut exchange) = login.choose(&["PLAIN", "LOGIN"], &channel, 0).unwrap();
/// assert_eq!(exchange.initial(), Some(Secret::from("\0tim\0tanstaaftanstaaf")));
/// assert!(exchange.finish().is_ok());
/// ```
#[derive(Debug)]
pub struct ClientExchange {
    state: State,
}

enum State {
    /// One message, which may go as the initial response. `refused` is what answers the challenge of a server that refuses.
    Once {
        message: Secret,
        refused: Option<&'static [u8]>,
    },
    /// OAuth: the token has gone. A challenge says why it was refused.
    Shown(&'static [u8]),
    /// LOGIN: first the name, then the password.
    Login {
        name: Secret,
        password: Secret,
    },
    /// LOGIN: the name has gone.
    LoginPassword(Secret),
    Cram {
        name: String,
        password: Secret,
    },
    Digest {
        identity: Identity,
        password: Secret,
        service: &'static str,
        host: String,
        nonces: Nonces,
    },
    /// DIGEST-MD5: what the server must show.
    DigestShown(String),
    Scram(Box<scram::Begun>),
    /// SCRAM: the first message has gone.
    ScramBegun(Box<scram::Begun>),
    /// SCRAM: the proof has gone; the server must show its own.
    ScramProved(scram::Proved),
    Foreign(Box<dyn ForeignClient>),
    /// All is said.
    Said,
    /// It failed.
    Over,
}

impl ClientExchange {
    /// An exchange that has not begun; `None` where the mechanism cannot show such credentials, or the name or the password
    /// is one that it cannot carry (empty, or with a NUL). `plus_missing`: we could bind, and the server does not offer to.
    pub(super) fn new(mechanism: Mechanism, login: &Login, channel: &Channel, plus_missing: bool) -> Option<Self> {
        let sound = |text: &[u8]| !text.is_empty() && !text.contains(&0);
        let identity = &login.identity;
        let authzid = identity.authzid.as_deref().unwrap_or_default();
        if authzid.contains('\0') {
            return None;
        }
        let once = |message| State::Once { message, refused: None };
        let state = match (mechanism, &login.credentials) {
            (Mechanism::Foreign(name), _) => {
                let (_, foreign) = login.foreign.iter().find(|(known, _)| *known == name)?;
                State::Foreign(foreign.begin(channel))
            }
            (_, Credentials::Password(password))
                if !sound(identity.authcid.as_bytes()) || !sound(password.expose()) =>
            {
                return None;
            }
            // RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
            (Mechanism::Plain, Credentials::Password(password)) => {
                let message = [authzid.as_bytes(), b"\0", identity.authcid.as_bytes(), b"\0", password.expose()];
                once(Secret::from(message.concat()))
            }
            // LOGIN and CRAM-MD5 have no authorization identity.
            (Mechanism::Login, Credentials::Password(password)) if authzid.is_empty() => {
                State::Login { name: Secret::from(identity.authcid.as_str()), password: password.clone() }
            }
            (Mechanism::CramMd5, Credentials::Password(password)) if authzid.is_empty() => {
                State::Cram { name: identity.authcid.clone(), password: password.clone() }
            }
            (Mechanism::DigestMd5, Credentials::Password(password)) => State::Digest {
                identity: identity.clone(),
                password: password.clone(),
                service: channel.service,
                host: channel.host.clone(),
                nonces: login.nonces.clone(),
            },
            (Mechanism::Scram(hash) | Mechanism::ScramPlus(hash), Credentials::Password(password)) => {
                let header = match mechanism {
                    Mechanism::ScramPlus(_) => {
                        let (name, data) = channel.best_binding()?;
                        scram::ClientHeader::Bound(name, data.to_vec())
                    }
                    _ if plus_missing => scram::ClientHeader::NotOffered,
                    _ => scram::ClientHeader::Unable,
                };
                let iterations = login.min_iterations..=login.max_iterations;
                let (password, nonce) = (password.clone(), login.nonces.next());
                State::Scram(Box::new(scram::Begun::new(hash, header, identity, password, nonce, iterations)?))
            }
            (Mechanism::OAuthBearer, Credentials::Token(token)) => {
                State::Once { message: oauth::bearer(identity, token, channel)?, refused: Some(b"\x01") }
            }
            (Mechanism::XOAuth2, Credentials::Token(token)) => {
                State::Once { message: oauth::xoauth2(identity, token)?, refused: Some(b"") }
            }
            (Mechanism::External, Credentials::External) => once(Secret::from(authzid)),
            (Mechanism::Anonymous, Credentials::Anonymous { trace }) => once(Secret::from(trace.as_str())),
            _ => return None,
        };
        Some(Self { state })
    }

    /// The initial response, for protocols that carry one in the command; `None` where the server goes first. To be called
    /// before any [`respond`](Self::respond), or not at all.
    pub fn initial(&mut self) -> Option<Secret> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Once { message, refused } => {
                self.state = refused.map_or(State::Said, State::Shown);
                Some(message)
            }
            State::Scram(begun) => {
                let first = begun.first();
                self.state = State::ScramBegun(begun);
                Some(first)
            }
            State::Foreign(mut foreign) => {
                let first = foreign.initial();
                self.state = State::Foreign(foreign);
                first
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// Where the server asks for what this mechanism does not have, or fails to prove itself; the client should cancel the
    /// exchange, and the exchange is over.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ParseError> {
        match std::mem::replace(&mut self.state, State::Over) {
            // RFC 4422 §3.3: the challenge before the client's first message is empty.
            state @ (State::Once { .. } | State::Scram(_)) => {
                if !challenge.is_empty() {
                    return Err(ParseError { expected: "an empty challenge", at: 0 });
                }
                self.state = state;
                self.initial().ok_or(ParseError { expected: "no challenge", at: 0 })
            }
            // RFC 7628 §3.2.3: the client answers, and the server fails the exchange.
            State::Shown(refused) => Ok(Secret::from(refused)),
            // Servers word these two challenges as they like; only their order can be relied upon.
            State::Login { name, password } => {
                self.state = State::LoginPassword(password);
                Ok(name)
            }
            State::LoginPassword(password) => {
                self.state = State::Said;
                Ok(password)
            }
            State::Cram { name, password } => {
                self.state = State::Said;
                Ok(cram::response(&name, &password, challenge))
            }
            State::Digest { identity, password, service, host, nonces } => {
                let (response, expected) =
                    digest::respond(challenge, &identity, &password, (service, &host), nonces.next())?;
                self.state = State::DigestShown(expected);
                Ok(response)
            }
            State::DigestShown(expected) => {
                digest::check(challenge, &expected)?;
                self.state = State::Said;
                Ok(Secret::default())
            }
            State::ScramBegun(begun) => {
                let (response, proved) = begun.last(challenge)?;
                self.state = State::ScramProved(proved);
                Ok(response)
            }
            State::ScramProved(proved) => {
                proved.check(challenge)?;
                self.state = State::Said;
                Ok(Secret::default())
            }
            State::Foreign(mut foreign) => {
                let response = foreign.respond(challenge)?;
                self.state = State::Foreign(foreign);
                Ok(response)
            }
            State::Said | State::Over => Err(ParseError { expected: "no more challenges", at: 0 }),
        }
    }

    /// Whether the next challenge is answered whatever it says: so it is in LOGIN.
    pub(crate) fn is_asked_in_any_words(&self) -> bool {
        matches!(self.state, State::Login { .. } | State::LoginPassword(_))
    }

    /// To be called when the server says that all is well: whether it may.
    ///
    /// # Errors
    /// Where something was still to be said, as the server's proof in SCRAM: somebody who does not know the password poses as
    /// the server, and is not to be trusted with anything.
    pub fn finish(&self) -> Result<(), ParseError> {
        let expected = match &self.state {
            State::Said | State::Shown(_) => return Ok(()),
            State::Foreign(foreign) if foreign.is_complete() => return Ok(()),
            State::ScramProved(_) | State::DigestShown(_) => "the server's proof that it knows the password",
            _ => "the exchange before its success",
        };
        Err(ParseError { expected, at: 0 })
    }
}

/// Which state it is; what is in it is nobody's business.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Once { .. } | Self::Login { .. } | Self::Cram { .. } | Self::Digest { .. } | Self::Scram(_) => {
                "begin"
            }
            Self::Foreign(_) => "foreign",
            Self::Said => "said",
            Self::Over => "over",
            _ => "under way",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Tls;
    use crate::sasl::{Answer, Hash, Offer, Proxying, Question, ServerExchange, ServerStep, Verifier};

    const PASSWORD: &str = "tanstaaf";

    fn bound() -> Channel {
        let tls = Tls { exporter: Some("exporter".into()), ..Tls::default() };
        Channel::new("imap", Some(&tls))
    }

    fn begin(mechanism: Mechanism, identity: Identity, credentials: Credentials) -> Option<ClientExchange> {
        let login = Login::new(identity, credentials);
        ClientExchange::new(mechanism, &login, &bound(), false)
    }

    /// The answer of a server that knows the password of everyone but `nobody`.
    fn answer(question: &Question) -> Answer {
        match question {
            Question::Keys { user, hash } if user != "nobody" => {
                let iterations = std::num::NonZeroU32::new(4096).unwrap();
                Answer::Keys(Verifier::with_hash(*hash, &PASSWORD.into(), b"salt", iterations))
            }
            Question::Password { user } if user != "nobody" => Answer::Password(PASSWORD.into()),
            _ => Answer::Nobody,
        }
    }

    /// Lets both sides speak to the end.
    fn talk(client: &mut ClientExchange, server: &mut ServerExchange, with_initial: bool) -> ServerStep {
        let mut step = server.respond(if with_initial { client.initial() } else { None });
        loop {
            step = match step {
                ServerStep::Challenge(challenge) => match client.respond(&challenge) {
                    Ok(response) => server.respond(Some(response)),
                    Err(error) => return ServerStep::Malformed(error),
                },
                ServerStep::Ask(question) => server.answer(answer(&question)),
                last => return last,
            }
        }
    }

    #[test]
    fn what_a_client_shows_is_what_the_server_sees() {
        let password = || Credentials::Password(PASSWORD.into());
        let token = || Credentials::Token("token".into());
        let acting = || Identity { authcid: "K=u,rt".into(), authzid: Some("Ur,s=el".into()) };
        let external = Identity { authcid: String::new(), authzid: Some("fred".into()) };
        let anonymous = || Credentials::Anonymous { trace: "sirhc".into() };
        let tim = || Identity::new("tim");
        let mut cases = vec![
            (Mechanism::Plain, tim(), password(), password()),
            (Mechanism::Plain, acting(), password(), password()),
            (Mechanism::Login, tim(), password(), password()),
            (Mechanism::CramMd5, tim(), password(), Credentials::Proven),
            (Mechanism::DigestMd5, tim(), password(), Credentials::Proven),
            (Mechanism::DigestMd5, acting(), password(), Credentials::Proven),
            (Mechanism::DigestMd5, Identity::new("a\"\\ö"), password(), Credentials::Proven),
            (Mechanism::DigestMd5, Identity::new("π"), password(), Credentials::Proven),
            (Mechanism::External, external.clone(), Credentials::External, Credentials::External),
            (Mechanism::External, Identity::default(), Credentials::External, Credentials::External),
            (Mechanism::Anonymous, Identity::default(), anonymous(), anonymous()),
            (Mechanism::OAuthBearer, external, token(), token()),
            (Mechanism::XOAuth2, tim(), token(), token()),
        ];
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
            for mechanism in [Mechanism::Scram(hash), Mechanism::ScramPlus(hash)] {
                cases.push((mechanism, tim(), password(), Credentials::Proven));
                cases.push((mechanism, acting(), password(), Credentials::Proven));
            }
        }
        for (mechanism, identity, credentials, seen) in cases {
            for with_initial in [true, false] {
                let mut client = begin(mechanism, identity.clone(), credentials.clone()).unwrap();
                let mut offer = Offer::new([mechanism]);
                offer.proxying = Proxying::Judged;
                let mut server = offer.begin(mechanism, &bound());
                let step = talk(&mut client, &mut server, with_initial);
                let expected = ServerStep::Judge { identity: identity.clone(), credentials: seen.clone() };
                assert_eq!(step, expected, "{mechanism}");
                assert_eq!(client.finish(), Ok(()), "{mechanism}");
                assert!(matches!(server.respond(Some("more".into())), ServerStep::Malformed(_)));
                let refused = matches!(mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2);
                assert_eq!(client.respond(b"").is_err(), !refused, "{mechanism}: the exchange is over");
            }
        }
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_fail_alike() {
        let mut mechanisms = vec![Mechanism::CramMd5, Mechanism::DigestMd5];
        mechanisms.extend(Mechanism::ALL.into_iter().filter(|mechanism| mechanism.name().starts_with("SCRAM")));
        for mechanism in mechanisms {
            for (user, password) in [("tim", "wrong"), ("nobody", PASSWORD), ("nobody", ""), ("tim", "tanstaaf ")] {
                let identity = Identity::new(user);
                let password = if password.is_empty() { "x" } else { password };
                let mut client = begin(mechanism, identity.clone(), Credentials::Password(password.into())).unwrap();
                let mut server = Offer::new([mechanism]).begin(mechanism, &bound());
                let step = talk(&mut client, &mut server, false);
                assert_eq!(step, ServerStep::Wrong(identity), "{mechanism} {user} {password}");
                let proves_both = mechanism != Mechanism::CramMd5;
                assert_eq!(client.finish().is_err(), proves_both, "{mechanism}");
            }
        }
    }

    #[test]
    fn who_sits_between_two_sessions_is_found_out() {
        let hash = Hash::Sha256;
        let password = || Credentials::Password(PASSWORD.into());
        let mut other = bound();
        other.exporter = Some("another".into());
        let mechanism = Mechanism::ScramPlus(hash);
        let offer = Offer::new([mechanism, Mechanism::Scram(hash)]);
        let mut client = begin(mechanism, Identity::new("tim"), password()).unwrap();
        let step = talk(&mut client, &mut offer.begin(mechanism, &other), true);
        assert_eq!(step, ServerStep::Wrong(Identity::new("tim")));
        // Who takes -PLUS out of the list makes the client say y.
        let login = Login::new(Identity::new("tim"), password());
        let (_, mut client) = login.choose(&["SCRAM-SHA-256"], &bound(), 0).unwrap();
        let mut server = offer.begin(Mechanism::Scram(hash), &bound());
        assert!(matches!(talk(&mut client, &mut server, true), ServerStep::Malformed(_)));
        // A server that cannot bind has nothing against it.
        let (_, mut client) = login.choose(&["SCRAM-SHA-256"], &bound(), 0).unwrap();
        let mut server = offer.begin(Mechanism::Scram(hash), &Channel::new("imap", None));
        assert!(matches!(talk(&mut client, &mut server, true), ServerStep::Judge { .. }));
    }

    #[test]
    fn the_strongest_that_will_do_is_chosen() {
        let login = Login::new(Identity::new("tim"), Credentials::Password(PASSWORD.into()));
        let clear = Channel::new("smtp", None);
        let tls = Channel::new("smtp", Some(&Tls::default()));
        let all: Vec<_> = Mechanism::ALL.iter().map(|mechanism| mechanism.name()).collect();
        let old = vec!["LOGIN", "plain", "CRAM-MD5", "DIGEST-MD5"];
        for (offered, channel, expected) in [
            (&all, &bound(), Some("SCRAM-SHA-512-PLUS")),
            (&all, &tls, Some("SCRAM-SHA-512")),
            (&all, &clear, Some("SCRAM-SHA-512")),
            (&old, &tls, Some("PLAIN")),
            (&old, &clear, None),
            (&vec!["DIGEST-MD5"], &tls, None),
            (&vec!["CRAM-MD5"], &tls, Some("CRAM-MD5")),
            (&vec!["GSSAPI"], &tls, None),
        ] {
            let chosen = login.choose(offered, channel, 0).map(|(at, _)| login.mechanisms[at].name());
            assert_eq!(chosen, expected, "{offered:?}");
        }
        let token = Login::new(Identity::new("tim"), Credentials::Token("x".into()));
        let (at, _) = token.choose(&all, &tls, 0).unwrap();
        assert_eq!(token.mechanisms[at], Mechanism::OAuthBearer);
        let (at, _) = token.choose(&all, &tls, at + 1).unwrap();
        assert_eq!(token.mechanisms[at], Mechanism::XOAuth2);
        assert!(token.choose(&all, &clear, 0).is_none());
    }

    #[test]
    fn a_token_that_is_refused_gets_its_reason_first() {
        for (mechanism, dummy) in [(Mechanism::OAuthBearer, "\x01"), (Mechanism::XOAuth2, "")] {
            let mut client = begin(mechanism, Identity::new("tim"), Credentials::Token("old".into())).unwrap();
            let mut server = Offer::new([mechanism]).begin(mechanism, &bound());
            assert!(matches!(server.respond(client.initial()), ServerStep::Judge { .. }));
            let refusal = server.refusal().unwrap();
            assert_eq!(refusal, "{\"status\":\"invalid_token\"}");
            assert_eq!(client.respond(&refusal), Ok(dummy.into()));
            assert!(client.respond(&refusal).is_err() && client.finish().is_err());
            assert_eq!(server.refusal(), None);
        }
    }

    #[test]
    fn what_a_mechanism_cannot_carry_is_refused() {
        let acting = || Identity { authcid: "Kurt".into(), authzid: Some("Ursel".into()) };
        for (mechanism, identity, credentials) in [
            (Mechanism::Plain, Identity::new(""), Credentials::Password("x".into())),
            (Mechanism::Plain, Identity::new("a\0b"), Credentials::Password("x".into())),
            (Mechanism::Plain, Identity::new("a"), Credentials::Password("x\0y".into())),
            (Mechanism::Plain, Identity::new("a"), Credentials::External),
            (Mechanism::Plain, Identity::new("a"), Credentials::Token("x".into())),
            (Mechanism::Login, acting(), Credentials::Password("x".into())),
            (Mechanism::CramMd5, acting(), Credentials::Password("x".into())),
            (Mechanism::Scram(Hash::Sha1), Identity::new("\u{7}"), Credentials::Password("x".into())),
            (Mechanism::External, Identity::default(), Credentials::Password("x".into())),
            (Mechanism::Foreign("GSSAPI"), Identity::default(), Credentials::External),
        ] {
            assert!(begin(mechanism, identity, credentials).is_none(), "{mechanism}");
        }
    }

    #[test]
    fn a_challenge_where_none_belongs_is_an_error() {
        let mut client = begin(Mechanism::Plain, Identity::new("a"), Credentials::Password("x".into())).unwrap();
        assert!(client.finish().is_err());
        assert!(client.respond(b"tell me more").is_err());
    }
}
