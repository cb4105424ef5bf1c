//! What a client logs in with, and which mechanism it takes.

use std::fmt;
use std::sync::Arc;

use super::{Channel, ClientExchange, Credentials, Identity, Mechanism, Nonces};
use crate::base::{ParseError, Secret};

/// Who a client logs in as, how it proves that, and what it puts up with.
///
/// ```
/// use facteur::base::Tls;
/// use facteur::sasl::{Channel, Credentials, Identity, Login};
///
/// let login = Login::new(Identity::new("ada"), Credentials::Password("tanstaaf".into()));
/// let offered = ["LOGIN", "PLAIN", "SCRAM-SHA-256", "CRAM-MD5"];
/// let (place, _) = login.choose(&offered, &Channel::new("smtp", None), 0).unwrap();
/// assert_eq!(login.mechanisms[place].name(), "SCRAM-SHA-256");
/// assert!(login.choose(&["PLAIN"], &Channel::new("smtp", None), 0).is_none(), "not without TLS");
/// assert!(login.choose(&["PLAIN"], &Channel::new("smtp", Some(&Tls::default())), 0).is_some());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Login {
    /// Who.
    pub identity: Identity,
    /// How it proves that. With [`Mechanism::Foreign`] it is not looked at.
    pub credentials: Credentials,
    /// The mechanisms that may be used, those to prefer first. Default all of [`Mechanism::ALL`] but DIGEST-MD5, which is
    /// historic (RFC 6331); one that cannot show the credentials, or does not suit the connection, is passed over.
    pub mechanisms: Vec<Mechanism>,
    /// The server's name, for OAUTHBEARER and DIGEST-MD5. Default what the TLS session was asked for. OAUTHBEARER does not say an
    /// empty one.
    pub host: Option<String>,
    /// The server's port, for OAUTHBEARER. Default none, and then none is said.
    pub port: Option<u16>,
    /// The fewest iterations that SCRAM may be asked for. Default 4096 (RFC 7677 §4): with fewer, whoever poses as the server
    /// guesses the password sooner.
    pub min_iterations: u32,
    /// The most iterations that SCRAM may be asked for. Default 2,000,000, one or two seconds of computing, some times what is
    /// recommended today: a server that asks for more would only keep us busy.
    pub max_iterations: u32,
    /// Where nonces come from. Default [`Nonces::random`].
    pub nonces: Nonces,
    /// Mechanisms from outside, by the name in [`Mechanism::Foreign`]; they must stand in `mechanisms`, too. Default none.
    pub foreign: Vec<(&'static str, Foreign)>,
}

/// The client's side of one exchange of a mechanism from outside.
///
/// It is called by the machine of the protocol: what must wait for somebody else (a ticket server) does so there.
pub trait ForeignClient: Send + Sync {
    /// The initial response, where the client goes first.
    fn initial(&mut self) -> Option<Secret>;

    /// The response to a challenge.
    ///
    /// # Errors
    /// Where the challenge is not what it should be; the exchange is cancelled.
    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, ParseError>;

    /// Whether the server may say now that all is well.
    fn is_complete(&self) -> bool;
}

/// Makes a [`ForeignClient`] for each exchange.
///
/// ```
/// use facteur::base::{ParseError, Secret};
/// use facteur::sasl::{Channel, Credentials, Foreign, ForeignClient, Identity, Login, Mechanism};
///
/// struct Ticket(Option<Secret>);
///
/// impl ForeignClient for Ticket {
///     fn initial(&mut self) -> Option<Secret> {
///         self.0.take()
///     }
///     fn respond(&mut self, _: &[u8]) -> Result<Secret, ParseError> {
///         self.0.take().ok_or(ParseError { expected: "no more challenges", at: 0 })
///     }
///     fn is_complete(&self) -> bool {
///         self.0.is_none()
///     }
/// }
///
/// let mut login = Login::new(Identity::default(), Credentials::External);
/// login.mechanisms = vec![Mechanism::Foreign("TICKET")];
/// login.foreign = vec![("TICKET", Foreign::new(|_: &Channel| Box::new(Ticket(Some("one".into())))))];
/// let (_, mut exchange) = login.choose(&["TICKET"], &Channel::new("imap", None), 0).unwrap();
/// assert_eq!(exchange.initial(), Some("one".into()));
/// ```
#[derive(Clone)]
pub struct Foreign(Arc<Make>);

type Make = dyn Fn(&Channel) -> Box<dyn ForeignClient> + Send + Sync;

impl Foreign {
    /// One that makes them so.
    pub fn new(make: impl Fn(&Channel) -> Box<dyn ForeignClient> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn begin(&self, channel: &Channel) -> Box<dyn ForeignClient> {
        (self.0)(channel)
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Foreign(…)")
    }
}

impl Login {
    /// By any mechanism that can show such credentials.
    pub fn new(identity: Identity, credentials: Credentials) -> Self {
        let mechanisms = Mechanism::ALL.into_iter().filter(|mechanism| *mechanism != Mechanism::DigestMd5);
        Self {
            identity,
            credentials,
            mechanisms: mechanisms.collect(),
            host: None,
            port: None,
            min_iterations: 4096,
            max_iterations: 2_000_000,
            nonces: Nonces::random(),
            foreign: Vec::new(),
        }
    }

    /// The first mechanism, from `from` on in [`mechanisms`](Self::mechanisms), that the server has, that can show the
    /// credentials, and that suits the connection: its place there, and an exchange that has not begun. What
    /// [needs privacy](Mechanism::needs_privacy) is not chosen where somebody may listen.
    pub fn choose(
        &self,
        offered: &[impl AsRef<str>],
        channel: &Channel,
        from: usize,
    ) -> Option<(usize, ClientExchange)> {
        let mut channel = channel.clone();
        channel.host = self.host.clone().unwrap_or(channel.host);
        channel.port = self.port.or(channel.port);
        let has = |name: &str| offered.iter().any(|other| other.as_ref().eq_ignore_ascii_case(name));
        // RFC 5802 §6: y says that we can bind and saw nothing to bind with.
        let binds = |mechanism: &Mechanism| matches!(mechanism, Mechanism::ScramPlus(_));
        let plus_missing = channel.can_bind()
            && self.mechanisms.iter().any(binds)
            && !Mechanism::ALL.iter().any(|mechanism| binds(mechanism) && has(mechanism.name()));
        self.mechanisms.iter().enumerate().skip(from).find_map(|(at, mechanism)| {
            if !has(mechanism.name()) || (mechanism.needs_privacy() && !channel.is_private) {
                return None;
            }
            Some((at, ClientExchange::new(*mechanism, self, &channel, plus_missing)?))
        })
    }
}
