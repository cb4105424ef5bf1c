//! Hands messages to one host: connects, speaks as an SMTP or LMTP client, and says what became of each recipient.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::net::driver::{self, Driver, Limits};
use crate::net::tls::{self, Connector};
use crate::smtp::client::{By, StartTls};
use crate::smtp::{
    self, Client, ClientConfig, ClientEvent, Enhanced, Envelope, Fault, NoEnvelope, Outcome, Outgoing, Recipient,
    Reply, ReversePath, Stage,
};

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
    /// How many addresses are tried. Default 8; RFC 5321 §5.1 wants at least two.
    pub max_addresses: usize,
    /// The driver's limits.
    pub limits: Limits,
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
    /// TLS cannot be used at all.
    #[error(transparent)]
    TlsConfig(#[from] tls::Error),
}

impl From<Infallible> for SendError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What came of trying one host.
#[derive(Debug)]
pub(super) struct Attempt {
    /// For whom it was decided.
    pub(super) outcomes: Vec<Outcome>,
    /// For whom it was not, and why.
    pub(super) undecided: Option<Undecided>,
}

/// Recipients that a conversation left without an outcome.
#[derive(Debug)]
pub(super) struct Undecided {
    recipients: Vec<Recipient>,
    stage: Stage,
    reply: Reply,
    by: By,
}

impl Undecided {
    /// Whether another host may be asked: not where this one may have the message, and only its answer was lost.
    pub(super) fn may_go_elsewhere(&self) -> bool {
        self.stage != Stage::Message
    }

    pub(super) fn new(recipients: Vec<Recipient>, stage: Stage, reply: Reply, by: By) -> Self {
        Self { recipients, stage, reply, by }
    }

    pub(super) fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    pub(super) fn into_outcomes(self) -> impl Iterator<Item = Outcome> {
        let Self { recipients, stage, reply, by } = self;
        recipients.into_iter().map(move |recipient| Outcome { to: recipient.to, stage, reply: reply.clone(), by })
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
        }
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
        let (host, port) = server.rsplit_once(':').ok_or(SendError::BadServer)?;
        let port: u16 = port.parse().map_err(|_| SendError::BadServer)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(SendError::Resolve)?.collect();
        message.age = message.age.saturating_add(began.elapsed());
        let attempt = self.attempt(host, &addresses, message).await?;
        let mut outcomes = attempt.outcomes;
        outcomes.extend(attempt.undecided.into_iter().flat_map(Undecided::into_outcomes));
        Ok(outcomes)
    }

    /// Tries the addresses of one host until one takes the connection, and sends the message over it.
    pub(super) async fn attempt(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        message: Outgoing,
    ) -> Result<Attempt, SendError> {
        let began = tokio::time::Instant::now();
        let (stream, address) = self.connect(addresses).await?;
        let age = message.age;
        let grown = |mut message: Outgoing| {
            message.age = age.saturating_add(began.elapsed());
            message
        };
        let must = needs_tls(&message.envelope);
        let connector = match must && !self.connector.verifies() {
            true => &Connector::system()?,
            false => &self.connector,
        };
        let host = (host, connector);
        match self.converse(host, stream, grown(message.clone()), &self.client).await {
            // RFC 8689 §4.2.1: who cannot prove its name does not get it, now or later.
            Err(SendError::Tls(error)) if must && error.kind() == io::ErrorKind::InvalidData => {
                let reply = Reply::new(550, Enhanced(5, 7, 10), format!("TLS is required: {error}"));
                let tell = |recipient: Recipient| Outcome {
                    to: recipient.to,
                    stage: Stage::StartTls,
                    reply: reply.clone(),
                    by: By::Client,
                };
                let outcomes = message.envelope.recipients.into_iter().map(tell).collect();
                Ok(Attempt { outcomes, undecided: None })
            }
            // RFC 7435 §3: where TLS is a bonus its failure is no reason not to send.
            Err(SendError::Tls(_))
                if !must
                    && self.client.starttls == StartTls::Opportunistic
                    && self.encryption == Encryption::ByCommand =>
            {
                let mut client = ClientConfig::clone(&self.client);
                client.starttls = StartTls::Never;
                let (stream, _) = self.connect(&[address]).await?;
                self.converse(host, stream, grown(message), &Arc::new(client)).await
            }
            result => result,
        }
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), SendError> {
        let mut last = io::ErrorKind::NotFound.into();
        for address in addresses.iter().take(self.max_addresses) {
            match timeout(self.connect_timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Short lines that wait for each other are what Nagle's algorithm delays.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, *address));
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(SendError::Connect(last))
    }

    /// One conversation for one message, with a host that has this name and proves it in this way.
    async fn converse(
        &self,
        (host, connector): (&str, &Connector),
        stream: impl AsyncRead + AsyncWrite + Unpin,
        message: Outgoing,
        config: &Arc<ClientConfig>,
    ) -> Result<Attempt, SendError> {
        let client = Client::new(Arc::clone(config), tokio::time::Instant::now().into_std());
        let mut smtp = Driver::new(client, stream).with_limits(self.limits.clone());
        if config.starttls != StartTls::Never || self.encryption == Encryption::FromTheStart {
            smtp = smtp.with_tls(connector.to(host)?);
        }
        if self.encryption == Encryption::FromTheStart {
            smtp = match smtp.encrypted().await {
                Ok(smtp) => smtp,
                Err(driver::Error::Tls(error)) => return Err(SendError::Tls(error)),
                Err(error) => return Err(SendError::Tls(io::Error::other(error))),
            };
        }
        let began = tokio::time::Instant::now();
        let recipients = message.envelope.recipients.clone();
        let mut message = Some(message);
        let mut outcomes = Vec::new();
        let mut why = None;
        loop {
            match smtp.next().await {
                Ok(Some(ClientEvent::Ready)) => match message.take() {
                    Some(mut message) => {
                        message.age = message.age.saturating_add(began.elapsed());
                        smtp.send(message);
                    }
                    None => smtp.quit(),
                },
                Ok(Some(ClientEvent::Outcome(outcome))) => outcomes.push(outcome),
                Ok(Some(ClientEvent::Refused { stage, reply, by })) => why = Some((stage, reply, by)),
                Ok(None) => break,
                // Before MAIL, so nobody has been told anything.
                Err(driver::Error::Tls(error)) => return Err(SendError::Tls(error)),
                Err(error) => {
                    let (stage, reply) = trouble(&error, smtp.stage());
                    why = Some((stage, reply, By::Client));
                    break;
                }
            }
        }
        let (stage, reply, by) = why.unwrap_or_else(|| {
            (Stage::Idle, Reply::new(451, Enhanced(4, 4, 2), "the conversation ended too early"), By::Client)
        });
        let recipients = open(recipients, &outcomes);
        let undecided = (!recipients.is_empty()).then_some(Undecided { recipients, stage, reply, by });
        Ok(Attempt { outcomes, undecided })
    }
}

/// Whether it must not go but over TLS to who has proved its name. A bounce would rather be read by others than be lost (RFC
/// 8689 §5).
pub(super) fn needs_tls(envelope: &Envelope) -> bool {
    envelope.params.require_tls && envelope.from != ReversePath::Null
}

/// The recipients that have no outcome.
fn open(mut recipients: Vec<Recipient>, outcomes: &[Outcome]) -> Vec<Recipient> {
    let mut told = HashMap::new();
    for outcome in outcomes {
        *told.entry(&outcome.to).or_insert(0) += 1;
    }
    recipients.retain(|recipient| match told.get_mut(&recipient.to) {
        Some(times) if *times > 0 => {
            *times -= 1;
            false
        }
        _ => true,
    });
    recipients
}

/// An error in a server's words, and where it happened.
fn trouble(error: &driver::Error<smtp::Error>, stage: Stage) -> (Stage, Reply) {
    match error {
        driver::Error::Machine(error) => {
            let stage = match error {
                smtp::Error::Timeout(stage) | smtp::Error::Closed(stage) => *stage,
                smtp::Error::Peer(Fault::UnexpectedReply { stage, .. } | Fault::EarlyReply { stage, .. }) => *stage,
                _ => stage,
            };
            (stage, error.reply())
        }
        // RFC 3463 §3.5: X.4.2, bad connection.
        other => (stage, Reply::new(451, Enhanced(4, 4, 2), other.to_string())),
    }
}
