//! Hands messages to one host: connects, speaks as an SMTP or LMTP client, and says what became of each recipient.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::auth::dane::Redirection;
use crate::auth::tls_rpt::Collector;
use crate::net::driver::Limits;
use crate::net::mta_sts::MtaSts;
use crate::net::route::Route;
use crate::net::session::Undecided;
use crate::net::tls::{self, Connector};
use crate::smtp::client::StartTls;
use crate::smtp::{ClientConfig, NoEnvelope, Outcome, Outgoing};

/// Sends one message to one server, given as host and port, and says what became of each recipient.
///
/// The message is an [`Outgoing`], or a [`Message`](crate::message::Message) whose header has the envelope. TLS is used as
/// `config` says; where it is [required](StartTls::Required) the server must prove its name to the authorities of this
/// system. [`Sender`] has more choice.
///
/// ```no_run
/// use facteur::message::Message;
/// use facteur::net;
/// use facteur::smtp::ClientConfig;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let message = Message::parse(std::fs::read("lunch.eml")?);
/// for outcome in net::send("mx.example.net:25", ClientConfig::new("ada.example.org")?, &message).await? {
///     println!("{:?} {:?}: {}", outcome.to, outcome.stage, outcome.reply);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where nothing was sent to anyone: [`SendError`]. What a server refuses is no error.
pub async fn send<M>(server: &str, config: ClientConfig, message: M) -> Result<Vec<Outcome>, SendError>
where
    M: TryInto<Outgoing>,
    SendError: From<M::Error>,
{
    Sender::new(config)?.send(server, message).await
}

/// How to send messages.
///
/// ```no_run
/// use facteur::net::submit::{Encryption, Sender};
/// use facteur::sasl::{Credentials, Identity};
/// use facteur::smtp::ClientConfig;
/// use facteur::smtp::client::{Login, StartTls};
///
/// # async fn run(message: &facteur::message::Message) -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = ClientConfig::new("ada.example.org")?;
/// config.starttls = StartTls::Required;
/// config.login = Some(Login::new(Identity::new("ada"), Credentials::Password("tanstaaf".into())));
/// let mut sender = Sender::new(config)?;
/// sender.encryption = Encryption::FromTheStart;
/// let outcomes = sender.send("mail.example.org:465", message).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sender {
    /// The client's config.
    pub client: Arc<ClientConfig>,
    /// Whom the client believes. Where that is everyone, a message with REQUIRETLS (RFC 8689) goes by the authorities of this
    /// system nevertheless.
    pub connector: Connector,
    /// When TLS begins. Default [`Encryption::ByCommand`].
    pub encryption: Encryption,
    /// How long making a connection to one address may take. Default 30 seconds: several addresses may have to be tried.
    pub connect_timeout: Duration,
    /// How many addresses are tried, of all hosts of a domain together; each host has one of them at least, as far as they go.
    /// Default 8; RFC 5321 §5.1 wants at least two.
    pub max_addresses: usize,
    /// The driver's limits.
    pub limits: Limits,
    /// Whether mail hosts that the DNS names must prove who they are by TLSA records, where they have any (RFC 7672). Default
    /// `Some`: it costs those that have none nothing. It takes a resolver that says what DNSSEC has proved; with any other, and
    /// where the client's STARTTLS is [`StartTls::Never`], there is no DANE.
    pub dane: Option<Redirection>,
    /// The MTA-STS policies of domains, to which their mail hosts are then held (RFC 8461). Default `None`: it takes a program that
    /// may ask web servers.
    pub mta_sts: Option<MtaSts>,
    /// Where sessions with mail hosts that the DNS names are counted for the reports that domains ask for (RFC 8460). Default
    /// `None`. At the end of a day the program takes the [`Collector`] out, leaves a new one in its place, and mails what the old
    /// one [finishes](Collector::finish) to.
    pub reports: Option<Arc<Mutex<Collector>>>,
    /// The authorities of this system, read when somebody first had to prove a name to them.
    authorities: Arc<OnceLock<Connector>>,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // at the beginning or later
pub enum Encryption {
    /// By STARTTLS, as [`ClientConfig::starttls`] says.
    #[default]
    ByCommand,
    /// With the connection, as on port 465 (RFC 8314 §3.3).
    FromTheStart,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message has no envelope.
    #[error(transparent)]
    Envelope(#[from] NoEnvelope),
    /// What names the server is no host and port.
    #[error("not a host and a port")]
    BadServer,
    /// The host has no address.
    #[error("no address: {0}")]
    Resolve(#[source] io::Error),
    /// No address took a connection; this is what the last one said.
    #[error("connect: {0}")]
    Connect(#[source] io::Error),
    /// TLS was wanted, and did not come about.
    #[error("tls: {0}")]
    Tls(#[source] io::Error),
    /// Of [`blocking`](crate::net::blocking) alone: there is no runtime to wait in, or the caller is inside of one.
    #[error("runtime: {0}")]
    Runtime(#[source] io::Error),
    /// TLS cannot be used at all.
    #[error(transparent)]
    TlsConfig(#[from] tls::Error),
}

impl From<Infallible> for SendError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Sender {
    /// Sends as `client` says: believing everyone, or only the authorities of this system where TLS is
    /// [required](StartTls::Required).
    ///
    /// # Errors
    /// Where TLS is required and this system has no authorities.
    pub fn new(client: impl Into<Arc<ClientConfig>>) -> Result<Self, tls::Error> {
        let client = client.into();
        let connector = match client.starttls {
            StartTls::Required => Connector::system()?,
            StartTls::Never | StartTls::Opportunistic => Connector::unverified(),
        };
        Ok(Self::with_connector(client, connector))
    }

    /// Sends as `client` says, believing whom `connector` believes.
    pub fn with_connector(client: impl Into<Arc<ClientConfig>>, connector: Connector) -> Self {
        Self {
            client: client.into(),
            connector,
            encryption: Encryption::ByCommand,
            connect_timeout: Duration::from_secs(30),
            max_addresses: 8,
            limits: Limits::default(),
            dane: Some(Redirection::Any),
            mta_sts: None,
            reports: None,
            authorities: Arc::default(),
        }
    }

    /// A connector that believes no more than authorities: that of the sender, or one by those of this system.
    ///
    /// # Errors
    /// Where this system has none.
    pub(super) fn verifying(&self) -> Result<Connector, tls::Error> {
        if self.connector.verifies() {
            return Ok(self.connector.clone());
        }
        let system = match self.authorities.get() {
            Some(system) => system.clone(),
            None => {
                let system = self.connector.as_believing(&Connector::system()?);
                self.authorities.get_or_init(|| system).clone()
            }
        };
        Ok(system)
    }

    /// As [`send`].
    ///
    /// # Errors
    /// As [`send`].
    pub async fn send<M>(&self, server: &str, message: M) -> Result<Vec<Outcome>, SendError>
    where
        M: TryInto<Outgoing>,
        SendError: From<M::Error>,
    {
        let began = tokio::time::Instant::now();
        let mut message = message.try_into()?;
        let route = Route::to(server).await?;
        message.age = message.age.saturating_add(began.elapsed());
        let Some(stop) = route.stops(self.max_addresses).next() else {
            return Err(SendError::Resolve(io::ErrorKind::NotFound.into()));
        };
        let attempt = self.attempt(&stop, message).await?;
        let mut outcomes = attempt.outcomes;
        outcomes.extend(attempt.undecided.into_iter().flat_map(Undecided::into_outcomes));
        Ok(outcomes)
    }
}
