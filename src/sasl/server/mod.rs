//! The server's side of an exchange.

mod single;

use bytes::Bytes;

use super::offer::Decoys;
use super::{
    Channel, Credentials, Hash, Identity, Mechanism, Offer, Proxying, Verifier, cram, digest, oauth, prep, scram,
};
use crate::base::crypto;
use crate::base::{ParseError, Secret};

/// One exchange with a client.
///
/// ```
/// use facteur::base::Secret;
/// use facteur::sasl::{Channel, Credentials, Mechanism, Offer, ServerStep};
///
/// let mut exchange = Offer::default().begin(Mechanism::Plain, &Channel::new("smtp", None));
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
    state: Box<State>,
    proxying: Proxying,
}

/// What an exchange wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerStep {
    /// Send this challenge, which may be empty, and hand over the response.
    Challenge(Bytes),
    /// Something must be known before it goes on: [`answer`](ServerExchange::answer) it.
    Ask(Question),
    /// The client has shown all it will: accept it or not. Where it is refused, look at
    /// [`refusal`](ServerExchange::refusal) first.
    Judge {
        /// Who it says it is.
        identity: Identity,
        /// How it proves that.
        credentials: Credentials,
    },
    /// The client wants to act as another user, and nobody may here ([`Proxying::Refused`]). The exchange is over.
    NotAllowed(Identity),
    /// What the client showed is wrong, or there is no such user. The exchange is over.
    Wrong(Identity),
    /// The response is malformed; the exchange is over.
    Malformed(ParseError),
}

/// What a mechanism must know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// The SCRAM keys of a user: answer with [`Answer::Keys`] or [`Answer::Nobody`].
    Keys {
        /// The user, prepared by SASLprep.
        user: String,
        /// For which hash.
        hash: Hash,
    },
    /// The password of a user as it is, for CRAM-MD5, DIGEST-MD5 and APOP: answer with [`Answer::Password`] or
    /// [`Answer::Nobody`].
    Password {
        /// The user, prepared by SASLprep.
        user: String,
    },
    /// What to say to the response of a [`Mechanism::Foreign`]: answer with [`Answer::Challenge`], [`Answer::Proven`] or
    /// [`Answer::Nobody`].
    Response {
        /// The mechanism's name.
        mechanism: &'static str,
        /// What the client said; `None` where it has not said anything yet.
        response: Option<Secret>,
    },
}

/// The answer to a [`Question`]. One that does not fit the question counts as [`Nobody`](Self::Nobody).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The keys of the user, of the hash that was asked for.
    Keys(Verifier),
    /// The password of the user.
    Password(Secret),
    /// There is no such user, or none who may use this mechanism. The client is not told: the exchange goes on, takes as
    /// long, and fails at its end.
    Nobody,
    /// The mechanism from outside challenges the client.
    Challenge(Bytes),
    /// The mechanism from outside has proved who the client is.
    Proven(Identity),
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet, or only the empty challenge has gone. `refusal` is what OAuth says before it refuses.
    Begin {
        mechanism: Mechanism,
        refusal: Option<String>,
    },
    /// LOGIN: the name is known, the password was asked for.
    Login {
        authcid: String,
    },
    /// CRAM-MD5: the challenge is to be sent, or was.
    Cram {
        challenge: String,
        sent: bool,
    },
    CramAsked {
        identity: Identity,
        challenge: String,
        digest: String,
    },
    ApopAsked {
        identity: Identity,
        timestamp: String,
        digest: String,
    },
    /// DIGEST-MD5: the challenge is to be sent, or was.
    Digest {
        asked: digest::Asked,
        sent: bool,
    },
    DigestAsked(digest::Shown),
    Scram {
        opening: scram::Opening,
        decoys: Decoys,
    },
    ScramAsked {
        opened: scram::Opened,
        decoys: Decoys,
    },
    ScramChallenged(scram::Challenged),
    /// The client has proved itself and was sent what proves the server; its empty response is awaited (RFC 4954 §4).
    Proven(Identity),
    /// OAuth: a client that is refused is told why in a challenge; its response is awaited.
    Refused(Identity),
    Foreign(&'static str),
    ForeignAsked(&'static str),
    /// [`ServerStep::Judge`] was the last step, or a fault.
    Over {
        refusal: Option<String>,
    },
}

impl ServerExchange {
    pub(super) fn new(mechanism: Mechanism, offer: &Offer, channel: &Channel) -> Self {
        let realm = || offer.realm.clone().unwrap_or_else(|| channel.host.clone());
        let scram = |hash, plus| State::Scram {
            opening: scram::Opening {
                hash,
                plus,
                offers_plus: channel.can_bind()
                    && offer.mechanisms.iter().any(|mechanism| matches!(mechanism, Mechanism::ScramPlus(_))),
                channel: channel.clone(),
                nonce: offer.nonces.next(),
            },
            decoys: Decoys { secret: offer.decoys.clone(), iterations: offer.decoy_iterations },
        };
        let state = match mechanism {
            Mechanism::CramMd5 => State::Cram { challenge: offer.message_id(&channel.host), sent: false },
            Mechanism::DigestMd5 => {
                let asked = digest::Asked { service: channel.service, realm: realm(), nonce: offer.nonces.next() };
                State::Digest { asked, sent: false }
            }
            Mechanism::Scram(hash) => scram(hash, false),
            Mechanism::ScramPlus(hash) => scram(hash, true),
            Mechanism::Foreign(name) => State::Foreign(name),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
                let refusal = oauth::refusal(offer.oauth_scope.as_deref(), offer.openid_configuration.as_deref());
                State::Begin { mechanism, refusal: Some(refusal) }
            }
            _ => State::Begin { mechanism, refusal: None },
        };
        Self { state: Box::new(state), proxying: offer.proxying }
    }

    /// APOP of POP3 (RFC 1939 §7): the client has said its name and a digest over the timestamp of the greeting.
    pub(crate) fn apop(timestamp: &str, user: &str, digest: &str) -> (Self, ServerStep) {
        let (timestamp, digest) = (timestamp.to_owned(), digest.to_owned());
        let state = State::ApopAsked { identity: Identity::new(user), timestamp, digest };
        (
            Self { state: Box::new(state), proxying: Proxying::Refused },
            ServerStep::Ask(Question::Password { user: user.to_owned() }),
        )
    }

    /// Takes the client's response. The first call takes the initial response, or `None` where the client sent none.
    pub fn respond(&mut self, response: Option<Secret>) -> ServerStep {
        let step = self.take(response);
        self.allow(step)
    }

    /// Answers [`ServerStep::Ask`].
    pub fn answer(&mut self, answer: Answer) -> ServerStep {
        let step = self.know(answer);
        self.allow(step)
    }

    fn allow(&mut self, step: ServerStep) -> ServerStep {
        match step {
            ServerStep::Judge { identity, .. } if identity.acts_for_another() && self.proxying == Proxying::Refused => {
                ServerStep::NotAllowed(identity)
            }
            step => step,
        }
    }

    fn take(&mut self, response: Option<Secret>) -> ServerStep {
        let fault = |expected| ServerStep::Malformed(ParseError { expected, at: 0 });
        match (std::mem::replace(&mut *self.state, State::Over { refusal: None }), response) {
            (State::Begin { mechanism, refusal }, None) => {
                // RFC 4422 §3.3: where the client goes first, the challenge before its response is empty.
                let challenge = if mechanism == Mechanism::Login { "Username:" } else { "" };
                *self.state = State::Begin { mechanism, refusal };
                ServerStep::Challenge(Bytes::from_static(challenge.as_bytes()))
            }
            (State::Begin { mechanism, refusal }, Some(response)) => self.single(mechanism, refusal, response.expose()),
            (State::Login { authcid }, Some(password)) => {
                ServerStep::Judge { identity: Identity::new(authcid), credentials: Credentials::Password(password) }
            }

            (State::Cram { challenge, sent: false }, None) => {
                *self.state = State::Cram { challenge: challenge.clone(), sent: true };
                ServerStep::Challenge(challenge.into())
            }
            (State::Cram { challenge, sent: true }, Some(response)) => match cram::read(response.expose()) {
                Ok((name, digest)) => match prep::name(&name) {
                    Some(user) => {
                        let identity = Identity::new(user);
                        let user = identity.authcid.clone();
                        *self.state = State::CramAsked { identity, challenge, digest };
                        ServerStep::Ask(Question::Password { user })
                    }
                    None => fault("a user name"),
                },
                Err(error) => ServerStep::Malformed(error),
            },
            (State::Digest { asked, sent: false }, None) => {
                let challenge = asked.challenge();
                *self.state = State::Digest { asked, sent: true };
                ServerStep::Challenge(challenge.into())
            }
            (State::Digest { asked, sent: true }, Some(response)) => match asked.read(response.expose()) {
                Ok(shown) => {
                    let user = shown.identity.authcid.clone();
                    *self.state = State::DigestAsked(shown);
                    ServerStep::Ask(Question::Password { user })
                }
                Err(error) => ServerStep::Malformed(error),
            },
            // RFC 4954 §4: no initial response where the server goes first.
            (State::Cram { sent: false, .. } | State::Digest { sent: false, .. }, Some(_)) => {
                fault("no initial response")
            }

            (state @ State::Scram { .. }, None) => {
                *self.state = state;
                ServerStep::Challenge(Bytes::new())
            }
            (State::Scram { opening, decoys }, Some(response)) => match opening.first(response.expose()) {
                Ok(opened) => {
                    let (user, hash) = (opened.identity.authcid.clone(), opened.hash);
                    *self.state = State::ScramAsked { opened, decoys };
                    ServerStep::Ask(Question::Keys { user, hash })
                }
                Err(error) => ServerStep::Malformed(error),
            },
            (State::ScramChallenged(challenged), Some(response)) => match challenged.last(response.expose()) {
                Ok(Some(proof)) => self.prove(challenged.identity, proof),
                Ok(None) => ServerStep::Wrong(challenged.identity),
                Err(error) => ServerStep::Malformed(error),
            },
            (State::Proven(identity), Some(response)) if response.expose().is_empty() => {
                ServerStep::Judge { identity, credentials: Credentials::Proven }
            }
            (State::Proven(_), _) => fault("an empty response"),
            (State::Refused(identity), _) => ServerStep::Wrong(identity),

            (State::Foreign(mechanism), response) => {
                *self.state = State::ForeignAsked(mechanism);
                ServerStep::Ask(Question::Response { mechanism, response })
            }
            (
                State::CramAsked { .. }
                | State::ApopAsked { .. }
                | State::DigestAsked(_)
                | State::ScramAsked { .. }
                | State::ForeignAsked(_)
                | State::Over { .. },
                _,
            ) => fault("no response at this time"),
            (State::Login { .. } | State::Cram { .. } | State::Digest { .. } | State::ScramChallenged(_), None) => {
                fault("a response")
            }
        }
    }

    fn know(&mut self, answer: Answer) -> ServerStep {
        match (std::mem::replace(&mut *self.state, State::Over { refusal: None }), answer) {
            (State::ScramAsked { opened, decoys }, answer) => {
                // Made in any case, for the time that it takes.
                let decoy = decoys.make(opened.hash, &opened.identity.authcid);
                let verifier = match answer {
                    Answer::Keys(verifier) if verifier.hash() == opened.hash => verifier,
                    _ => decoy,
                };
                let (challenge, challenged) = opened.challenge(verifier);
                *self.state = State::ScramChallenged(challenged);
                ServerStep::Challenge(challenge.into())
            }
            (State::CramAsked { identity, challenge, digest }, answer) => {
                let (known, password) = password(answer);
                proven(identity, cram::fits(&digest, &password, challenge.as_bytes()) & known)
            }
            (State::ApopAsked { identity, timestamp, digest }, answer) => {
                let (known, password) = password(answer);
                let expected = cram::apop(&timestamp, &password);
                proven(identity, crypto::equal(digest.as_bytes(), expected.as_bytes()) & known)
            }
            (State::DigestAsked(shown), answer) => {
                let (known, password) = password(answer);
                match shown.judge(&password).filter(|_| known) {
                    Some(proof) => self.prove(shown.identity, proof),
                    None => ServerStep::Wrong(shown.identity),
                }
            }
            (State::ForeignAsked(mechanism), Answer::Challenge(challenge)) => {
                *self.state = State::Foreign(mechanism);
                ServerStep::Challenge(challenge)
            }
            (State::ForeignAsked(_), Answer::Proven(identity)) => {
                ServerStep::Judge { identity, credentials: Credentials::Proven }
            }
            (State::ForeignAsked(_), _) => ServerStep::Wrong(Identity::default()),
            _ => ServerStep::Malformed(ParseError { expected: "a question before its answer", at: 0 }),
        }
    }

    /// After [`ServerStep::Judge`], for a client that is to be refused: a challenge to send before that, whose response means
    /// nothing (RFC 7628 §3.2.3). Only OAUTHBEARER and XOAUTH2 have it.
    pub fn refusal(&mut self) -> Option<Bytes> {
        match std::mem::replace(&mut *self.state, State::Over { refusal: None }) {
            State::Over { refusal } => refusal.map(Bytes::from),
            other => {
                *self.state = other;
                None
            }
        }
    }

    /// The client is who it says; first the server proves the same.
    fn prove(&mut self, identity: Identity, proof: String) -> ServerStep {
        *self.state = State::Proven(identity);
        ServerStep::Challenge(proof.into())
    }
}

fn proven(identity: Identity, right: bool) -> ServerStep {
    match right {
        true => ServerStep::Judge { identity, credentials: Credentials::Proven },
        false => ServerStep::Wrong(identity),
    }
}

/// The password in an answer, and whether there was one. What is computed with it takes the same time in either case.
fn password(answer: Answer) -> (bool, Secret) {
    match answer {
        Answer::Password(password) => (true, password),
        _ => (false, Secret::default()),
    }
}
