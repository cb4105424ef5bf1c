//! To the next host: one message, one connection, an answer for each recipient.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use facteur::base::Timestamp;
use facteur::net::submit::Sender;
use facteur::net::tls::Connector;
use facteur::sasl::{Credentials, Identity};
use facteur::smtp::client::{By, Login, StartTls};
use facteur::smtp::{ClientConfig, Enhanced, ForwardPath, Outcome, Outgoing};
use facteur::spool::{Entry, Failure};

use super::config::{Route, RouteTls, Way};
use super::host::{Fault, Host};

/// Sends the message to those of its recipients that stand at `places`: for each the words of the next host, or why it failed.
/// A recipient of whom nobody has said anything is to be tried again.
pub async fn send(
    host: &Host,
    way: Way<'_>,
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
    let wanted: Vec<_> = envelope.recipients.iter().map(|recipient| recipient.to.clone()).collect();
    // RFC 4865 §4.2: it was held here, and is not to be held again.
    envelope.params.hold = None;
    let mut outgoing = Outgoing::new(envelope, [&entry.trace[..], content].concat());
    // What BY= asks for runs since it arrived (RFC 2852 §4.1.4).
    let here = Timestamp::from(SystemTime::now()).unix().saturating_sub(entry.arrived.unix());
    outgoing.age = Duration::from_secs(here.try_into().unwrap_or(0));
    let unsaid = |why: String| Failure::new(Enhanced(4, 4, 1), format!("{}: {why}", way.name()));
    let mut outcomes = match outcomes(host, way, outgoing).await {
        Ok(outcomes) => outcomes,
        Err(error) => return wanted.iter().map(|_| Err(unsaid(error.to_string()))).collect(),
    };
    // Two recipients may be the same: each takes the first outcome that is for it.
    let mut take =
        |to: &ForwardPath| outcomes.iter().position(|outcome| outcome.to == *to).map(|place| outcomes.remove(place));
    wanted
        .iter()
        .map(|to| take(to).map_or_else(|| Err(unsaid("no answer".to_owned())), |outcome| said(way, &outcome)))
        .collect()
}

/// What an outcome means for the queue.
fn said(way: Way<'_>, outcome: &Outcome) -> Result<String, Failure> {
    if outcome.is_delivered() {
        return Ok(outcome.reply.to_string());
    }
    let mut failure = match outcome.by {
        By::Server => Failure::said_by(way.name(), &outcome.reply),
        By::Client => {
            let class = if outcome.reply.is_permanent() { 5 } else { 4 };
            let text = format!("{}: {}", way.name(), outcome.reply.lines().collect::<Vec<_>>().join(" "));
            Failure::new(outcome.reply.enhanced().unwrap_or(Enhanced(class, 0, 0)), text)
        }
    };
    if outcome.is_temporary() {
        failure.status.0 = 4;
    }
    Err(failure)
}

async fn outcomes(host: &Host, way: Way<'_>, outgoing: Outgoing) -> Result<Vec<Outcome>, Fault> {
    let mut config = ClientConfig::new(&host.config.hostname)?;
    config.starttls = StartTls::Opportunistic;
    let Way::Route(route) = way else {
        let resolver = host.resolver.as_ref().ok_or("there is no resolver")?;
        return Ok(Sender::new(config)?.deliver(resolver, &outgoing).await);
    };
    config.starttls = match route.tls {
        RouteTls::Opportunistic => StartTls::Opportunistic,
        RouteTls::Required => StartTls::Required,
        RouteTls::None => StartTls::Never,
    };
    config.login = login(route);
    let sender = match (route.tls, &route.authorities) {
        (RouteTls::Required, Some(file)) => {
            Sender::with_connector(config, Connector::with_roots(&tokio::fs::read(host.data.join(file)).await?)?)
        }
        _ => Sender::new(config)?,
    };
    Ok(sender.send(&route.host, outgoing).await?)
}

fn login(route: &Route) -> Option<Login> {
    let (user, password) = (route.user.as_ref()?, route.password.as_ref()?);
    Some(Login::new(Identity::new(user.as_str()), Credentials::Password(password.as_str().into())))
}
