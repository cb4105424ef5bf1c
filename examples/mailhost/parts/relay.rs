//! To the next host: one message, one connection, an answer for each recipient.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use facteur::net::Driver;
use facteur::net::tls::Connector;
use facteur::sasl::{Credentials, Identity};
use facteur::smtp::client::{Login, StartTls};
use facteur::smtp::{Client, ClientConfig, ClientEvent, Enhanced, Outcome, Outgoing};
use facteur::spool::{Entry, Failure};
use tokio::net::TcpStream;

use super::config::{Route, RouteTls};
use super::host::{Fault, Host};

/// How long a connection may take to come about. Half of what TCP itself would wait.
const CONNECT: Duration = Duration::from_secs(60);

/// Sends the message to those of its recipients that stand at `places`: for each the words of the next host, or why it failed.
/// A recipient of whom the host has said nothing is to be tried again.
pub async fn send(
    host: &Host,
    route: &Route,
    entry: &Entry,
    content: &Bytes,
    places: &[usize],
) -> Vec<Result<String, Failure>> {
    let mut envelope = entry.envelope();
    envelope.recipients = places
        .iter()
        .filter_map(|place| entry.recipients.get(*place))
        .map(|pending| pending.recipient.clone())
        .collect();
    let message = [&entry.trace[..], content].concat();
    let mut said: Vec<Option<Result<String, Failure>>> = envelope.recipients.iter().map(|_| None).collect();
    let wanted: Vec<_> = envelope.recipients.iter().map(|recipient| recipient.to.clone()).collect();
    let ended = converse(host, route, Outgoing::new(envelope, message), |outcome| {
        // Two recipients may be the same: each outcome is for the first that has none.
        let place = wanted.iter().zip(&said).position(|(to, said)| *to == outcome.to && said.is_none());
        if let Some(said) = place.and_then(|place| said.get_mut(place)) {
            *said = Some(if outcome.is_delivered() {
                Ok(outcome.reply.to_string())
            } else {
                let mut failure = Failure::said_by(route.host.clone(), &outcome.reply);
                if outcome.is_temporary() {
                    failure.status.0 = 4;
                }
                Err(failure)
            });
        }
    })
    .await;
    let unsaid = match ended {
        Ok(()) => Failure::new(Enhanced(4, 4, 2), format!("{}: the conversation ended early", route.host)),
        Err(error) => Failure::new(Enhanced(4, 4, 1), format!("{}: {error}", route.host)),
    };
    said.into_iter().map(|said| said.unwrap_or_else(|| Err(unsaid.clone()))).collect()
}

/// The conversation with the next host. Ends without an error once the message has been answered for.
async fn converse(host: &Host, route: &Route, outgoing: Outgoing, mut tell: impl FnMut(Outcome)) -> Result<(), Fault> {
    let mut config = ClientConfig::new(&host.config.hostname)?;
    (config.starttls, config.login) = (
        match route.tls {
            RouteTls::Opportunistic => StartTls::Opportunistic,
            RouteTls::Required => StartTls::Required,
            RouteTls::None => StartTls::Never,
        },
        route.user.as_ref().zip(route.password.as_ref()).map(|(user, password)| {
            Login::new(Identity::new(user.as_str()), Credentials::Password(password.as_str().into()))
        }),
    );
    let name = route.host.rsplit_once(':').map_or(route.host.as_str(), |(name, _)| name);
    let connector = match (route.tls, &route.authorities) {
        (RouteTls::Required, Some(file)) => Connector::with_roots(&tokio::fs::read(host.data.join(file)).await?)?,
        (RouteTls::Required, None) => Connector::system()?,
        (RouteTls::Opportunistic | RouteTls::None, _) => Connector::unverified(),
    };
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(&route.host)).await??;
    stream.set_nodelay(true)?;
    let side = connector.to(name.trim_matches(['[', ']']))?;
    let mut driver = Driver::new(Client::new(Arc::new(config), Instant::now()), stream).with_tls(side);
    let mut outgoing = Some(outgoing);
    let mut open = outgoing.as_ref().map_or(0, |outgoing| outgoing.envelope.recipients.len());
    loop {
        let event = match driver.next().await {
            // All is said; how the connection ends is of no interest.
            Err(_) if open == 0 => return Ok(()),
            event => event?,
        };
        match event {
            None => return Ok(()),
            Some(ClientEvent::Ready) => match outgoing.take() {
                Some(outgoing) => driver.send(outgoing),
                None => driver.quit(),
            },
            Some(ClientEvent::Outcome(outcome)) => {
                open = open.saturating_sub(1);
                tell(outcome);
            }
            Some(ClientEvent::Refused { reply, stage, .. }) => {
                return Err(format!("{stage}: {reply}").into());
            }
            Some(_) => {}
        }
    }
}
