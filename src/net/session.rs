//! A conversation with one host, for one message or for several.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::auth::tls_policy::{Demand, Refusal};
use crate::base::Tls;
use crate::net::driver::{self, Driver};
use crate::net::route::Stop;
use crate::net::submit::{Encryption, SendError, Sender};
use crate::net::tls::Connector;
use crate::smtp::client::{By, StartTls};
use crate::smtp::{
    self, Client, ClientConfig, ClientEvent, Enhanced, Envelope, Fault, Outcome, Outgoing, Recipient, Reply,
    ReversePath, Stage,
};

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
    why: Reason,
}

/// Why a conversation came to nothing.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) stage: Stage,
    pub(super) reply: Reply,
    pub(super) by: By,
}

impl Undecided {
    /// Whether another host may be asked: not where this one may have the message, and only its answer was lost.
    pub(super) fn may_go_elsewhere(&self) -> bool {
        self.why.stage != Stage::Message
    }

    pub(super) fn new(recipients: Vec<Recipient>, why: Reason) -> Self {
        Self { recipients, why }
    }

    pub(super) fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    pub(super) fn into_outcomes(self) -> impl Iterator<Item = Outcome> {
        let Self { recipients, why } = self;
        recipients.into_iter().map(move |recipient| why.outcome(recipient))
    }
}

impl Reason {
    /// In our own words.
    pub(super) fn ours(stage: Stage, reply: Reply) -> Self {
        Self { stage, reply, by: By::Client }
    }

    pub(super) fn outcome(&self, recipient: Recipient) -> Outcome {
        Outcome::new(recipient.to, self.stage, self.reply.clone(), self.by)
    }

    /// A connection that did not come about, in a server's words (RFC 3463 §3.5).
    pub(super) fn no_connection(error: &SendError) -> Self {
        let enhanced = match error {
            // X.7.5 of RFC 3463 §3.8: cryptographic failure.
            SendError::Tls(_) | SendError::TlsConfig(_) => Enhanced(4, 7, 5),
            _ => Enhanced(4, 4, 1),
        };
        Self::ours(Stage::Connect, Reply::new(451, enhanced, error.to_string()))
    }

    /// A host that is not to have it, in a server's words. RFC 3463 §3.5: X.4.3 where the directory did not answer; §3.8: X.7.5
    /// for what is about proof; RFC 8689 §4.2.1: 5.7.10.
    fn refusal(host: &str, refusal: Refusal) -> Self {
        let (code, enhanced) = match refusal {
            Refusal::Unknown(_) => (451, Enhanced(4, 4, 3)),
            refusal if refusal.is_temporary() => (451, Enhanced(4, 7, 5)),
            _ => (550, Enhanced(5, 7, 10)),
        };
        Self::ours(Stage::Connect, Reply::new(code, enhanced, format!("{host}: {refusal}")))
    }
}

/// A conversation in which the server has let us in, and asks for the next message.
#[derive(Debug)]
pub(super) struct Session {
    smtp: Driver<Client, TcpStream>,
    /// How many messages went over it.
    pub(super) sent: u32,
    /// The conversation goes on.
    open: bool,
    /// What the server had to prove.
    demand: Demand,
}

/// What came of beginning a conversation.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // it lives for one line
pub(super) enum Opened {
    Ready(Session),
    /// The server does not want us, or did not say anything of use.
    Refused(Reason),
}

impl Session {
    /// Sends one message. Whoever has no outcome when the conversation breaks off is undecided.
    pub(super) async fn send(&mut self, message: Outgoing) -> Attempt {
        let recipients = message.envelope.recipients.clone();
        let mut outcomes = Vec::new();
        let mut why = None;
        self.smtp.send(message);
        self.sent = self.sent.saturating_add(1);
        self.open = false;
        loop {
            match self.smtp.next().await {
                Ok(Some(ClientEvent::Ready)) => self.open = true,
                Ok(Some(ClientEvent::Outcome(outcome))) => {
                    outcomes.push(outcome);
                    continue;
                }
                Ok(Some(ClientEvent::Refused { stage, reply, by })) => {
                    why = Some(Reason { stage, reply, by });
                    continue;
                }
                Ok(None) => {}
                Err(error) => why = Some(trouble(&error, self.smtp.stage())),
            }
            break;
        }
        let recipients = open(recipients, &outcomes);
        let undecided = (!recipients.is_empty()).then(|| Undecided::new(recipients, why.unwrap_or_else(ended_early)));
        Attempt { outcomes, undecided }
    }

    /// Whether the server is still there, and waits for a message.
    pub(super) async fn is_alive(&mut self) -> bool {
        if !self.open {
            return false;
        }
        self.smtp.reset();
        self.open = false;
        loop {
            match self.smtp.next().await {
                Ok(Some(ClientEvent::Ready)) => {
                    self.open = true;
                    return true;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
    }

    /// Whether another message may go over it, as far as the server said.
    pub(super) fn takes_more(&self) -> bool {
        self.open && self.smtp.takes_more()
    }

    /// What is known of its TLS.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.smtp.tls()
    }

    /// Whether another message with this envelope may go over it, as far as the server said.
    pub(super) fn has_room_for(&self, envelope: &Envelope) -> bool {
        self.smtp.has_room_for(envelope)
    }

    /// Whether the server has proved at least this.
    pub(super) fn meets(&self, demand: &Demand) -> bool {
        let tls = self.smtp.tls();
        match demand {
            Demand::Nothing => true,
            Demand::Encryption => tls.is_some(),
            // By the same records. Those of before may have been withdrawn.
            Demand::Records(_) => self.demand == *demand,
            Demand::Authorities => tls.is_some_and(|tls| tls.verified) && !matches!(self.demand, Demand::Records(_)),
            _ => false,
        }
    }

    /// Says goodbye, and waits for the answer, not for long.
    pub(super) async fn quit(mut self) {
        if self.open {
            self.smtp.quit();
        }
        while let Ok(Some(_)) = self.smtp.next().await {}
    }
}

impl Sender {
    /// Tries the addresses of one host until one takes the connection, and sends the message over it.
    pub(super) async fn attempt(&self, stop: &Stop, mut message: Outgoing) -> Result<Attempt, SendError> {
        let began = Instant::now();
        let opened = self.open(stop, &self.demand(stop, &message.envelope)).await;
        message.age = message.age.saturating_add(began.elapsed());
        match opened {
            Ok(Opened::Ready(mut session)) => {
                let attempt = session.send(message).await;
                session.quit().await;
                Ok(attempt)
            }
            opened => unopened(opened, message),
        }
    }

    /// What a host must prove before it gets a message with this envelope.
    pub(super) fn demand(&self, stop: &Stop, envelope: &Envelope) -> Demand {
        match (needs_tls(envelope), self.client.starttls) {
            (true, _) => stop.policy.strict(),
            (false, StartTls::Never) => Demand::Nothing,
            (false, _) => stop.policy.demand(),
        }
    }

    /// Tries the addresses of one host until one takes the connection, and converses until it asks for a message. A host of which
    /// nothing is demanded, and which has TLS and cannot do it, is spoken to without.
    pub(super) async fn open(&self, stop: &Stop, demand: &Demand) -> Result<Opened, SendError> {
        let opened = self.converse(stop, demand).await;
        self.count(stop, demand, &opened);
        opened
    }

    async fn converse(&self, stop: &Stop, demand: &Demand) -> Result<Opened, SendError> {
        let mut host = stop.host.as_str();
        let connector = match demand {
            Demand::Nothing | Demand::Encryption => self.connector.clone(),
            Demand::Authorities => self.verifying()?,
            Demand::Records(found) => {
                // RFC 7672 §8.1: the server is asked for by the TLSA base domain.
                host = found.base.as_str();
                self.connector.by_records(found.clone())
            }
            Demand::Refusal(refusal) => return Ok(Opened::Refused(Reason::refusal(host, *refusal))),
        };
        let mut config = Arc::clone(&self.client);
        if !demand.allows_plain() && config.starttls != StartTls::Required {
            Arc::make_mut(&mut config).starttls = StartTls::Required;
        }
        let (stream, address) = self.connect(&stop.addresses).await?;
        let mut result = self.begin((host, &connector, demand), stream, &config).await;
        // RFC 7435 §3: where TLS is a bonus its failure is no reason not to send. Who is not believed is spoken to in private all the
        // same, and who cannot do it in the clear.
        let is_bonus = config.starttls == StartTls::Opportunistic && self.encryption == Encryption::ByCommand;
        if is_bonus && connector.verifies() && matches!(result, Err(SendError::Tls(_))) {
            let everyone = connector.as_believing(&Connector::unverified());
            let (stream, _) = self.connect(&[address]).await?;
            result = self.begin((host, &everyone, demand), stream, &config).await;
        }
        if is_bonus && matches!(result, Err(SendError::Tls(_))) {
            Arc::make_mut(&mut config).starttls = StartTls::Never;
            let (stream, _) = self.connect(&[address]).await?;
            result = self.begin((host, &connector, demand), stream, &config).await;
        }
        result
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

    /// A conversation up to the first message, with a host that has this name and proves it in this way.
    async fn begin(
        &self,
        (host, connector, demand): (&str, &Connector, &Demand),
        stream: TcpStream,
        config: &Arc<ClientConfig>,
    ) -> Result<Opened, SendError> {
        let client = Client::new(Arc::clone(config), Instant::now().into_std());
        let mut smtp = Driver::new(client, stream).with_limits(self.limits.clone());
        if config.starttls != StartTls::Never || self.encryption == Encryption::FromTheStart {
            smtp = smtp.with_tls(connector.to(host)?);
        }
        if self.encryption == Encryption::FromTheStart {
            smtp = encrypted(smtp).await?;
        }
        let mut why = None;
        loop {
            match smtp.next().await {
                Ok(Some(ClientEvent::Ready)) => {
                    return Ok(Opened::Ready(Session { smtp, sent: 0, open: true, demand: demand.clone() }));
                }
                Ok(Some(ClientEvent::Refused { stage, reply, by })) => why = Some(Reason { stage, reply, by }),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Opened::Refused(why.unwrap_or_else(ended_early))),
                Err(driver::Error::Tls(error)) => return Err(SendError::Tls(error)),
                Err(error) => return Ok(Opened::Refused(why.unwrap_or_else(|| trouble(&error, smtp.stage())))),
            }
        }
    }
}

async fn encrypted<IO: AsyncRead + AsyncWrite + Unpin>(
    smtp: Driver<Client, IO>,
) -> Result<Driver<Client, IO>, SendError> {
    smtp.encrypted().await.map_err(|error| match error {
        driver::Error::Tls(error) => SendError::Tls(error),
        error => SendError::Tls(io::Error::other(error)),
    })
}

/// What a conversation that did not begin means for a message.
pub(super) fn unopened(opened: Result<Opened, SendError>, message: Outgoing) -> Result<Attempt, SendError> {
    let must = needs_tls(&message.envelope);
    let recipients = message.envelope.recipients;
    let why = match opened {
        // RFC 8689 §4.2.1: who cannot prove its name does not get it, now or later.
        Err(SendError::Tls(error)) if must && error.kind() == io::ErrorKind::InvalidData => {
            return Ok(never(recipients, &error));
        }
        // Nor does who has no TLS.
        Ok(Opened::Refused(why)) if must && why.stage == Stage::StartTls && why.by == By::Client => {
            return Ok(never(recipients, &"the server has no STARTTLS"));
        }
        Err(error) => return Err(error),
        Ok(Opened::Refused(why)) => why,
        Ok(Opened::Ready(_)) => ended_early(),
    };
    let undecided = (!recipients.is_empty()).then(|| Undecided::new(recipients, why));
    Ok(Attempt { outcomes: Vec::new(), undecided })
}

/// A host that cannot have a message with REQUIRETLS.
fn never(recipients: Vec<Recipient>, why: &dyn std::fmt::Display) -> Attempt {
    let reply = Reply::new(550, Enhanced(5, 7, 10), format!("TLS is required: {why}"));
    let why = Reason::ours(Stage::StartTls, reply);
    Attempt { outcomes: recipients.into_iter().map(|recipient| why.outcome(recipient)).collect(), undecided: None }
}

/// Whether it must not go but over TLS to who has proved its name. A bounce would rather be read by others than be lost (RFC
/// 8689 §5).
pub(super) fn needs_tls(envelope: &Envelope) -> bool {
    envelope.params.require_tls && envelope.from != ReversePath::Null
}

fn ended_early() -> Reason {
    Reason::ours(Stage::Idle, Reply::new(451, Enhanced(4, 4, 2), "the conversation ended too early"))
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
fn trouble(error: &driver::Error<smtp::Error>, stage: Stage) -> Reason {
    match error {
        driver::Error::Machine(error) => {
            let stage = match error {
                smtp::Error::Timeout(stage) | smtp::Error::Closed(stage) => *stage,
                smtp::Error::Peer(Fault::UnexpectedReply { stage, .. } | Fault::EarlyReply { stage, .. }) => *stage,
                _ => stage,
            };
            Reason::ours(stage, error.reply())
        }
        // RFC 3463 §3.5: X.4.2, bad connection.
        other => Reason::ours(stage, Reply::new(451, Enhanced(4, 4, 2), other.to_string())),
    }
}
