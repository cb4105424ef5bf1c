//! To the next host: who that is, its turn, one message, an answer for each recipient.
//!
//! Sessions stay open for the next message, and a host that is slow holds up none but those who want to speak to it: whoever waits
//! for a turn holds no worker and no message.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use facteur::address::Domain;
use facteur::base::Timestamp;
use facteur::net::pool::{Turn, Waiting};
use facteur::net::submit::Sender;
use facteur::net::tls::Connector;
use facteur::net::{MtaSts, NoHost, Pool, PoolConfig, Resolver, Route};
use facteur::sasl::{Credentials, Identity};
use facteur::smtp::client::{By, Conversion, EightBit, Handover, Login, StartTls};
use facteur::smtp::{ClientConfig, Enhanced, ForwardPath, Outcome, Outgoing, Recipient};
use facteur::spool::{Entry, Failure, Pending};
use tokio::sync::Semaphore;

use super::config::{self, Config, RouteTls, Way};
use super::host::Fault;

/// The next hosts, with the sessions that are open to them.
pub struct Relay {
    /// One for each route of the config, by what is said of it.
    routes: HashMap<String, Hosts>,
    direct: Option<(Hosts, Resolver)>,
    /// So many hosts of routes are looked up at once, each by a thread.
    names: Semaphore,
    /// So many domains are looked up at once, as there may be connections. Apart from the above: name servers and the hosts of
    /// MTA-STS policies may be silent, and what goes by a route needs none of them.
    domains: Semaphore,
}

/// Hosts that share their connections, and so many workers: silent hosts of one route are not to hold up another.
struct Hosts {
    pool: Pool,
    workers: Arc<Semaphore>,
}

impl Hosts {
    fn new(sender: Sender, limits: &PoolConfig) -> Self {
        Self { pool: Pool::new(sender, limits.clone()), workers: Arc::new(Semaphore::new(limits.connections)) }
    }
}

/// The next host for some recipients of a message.
pub struct Hop<'a> {
    pub way: Way<'a>,
    hosts: &'a Hosts,
    route: Route,
}

/// What came of one recipient.
pub type Answer = Result<Handed, Failure>;

/// Another host has it.
#[derive(Clone)]
pub struct Handed {
    /// What it said.
    pub text: String,
    /// What it knows of the sender's wishes.
    pub handover: Handover,
}

impl Relay {
    /// Relaying as the config says; certificates of authorities are read now.
    pub fn new(
        config: &Config,
        data: &Path,
        resolver: Option<Resolver>,
        mta_sts: Option<MtaSts>,
    ) -> Result<Self, String> {
        let mut limits = PoolConfig::default();
        limits.connections = config.queue.connections;
        limits.per_host = config.queue.connections_per_host;
        let mut routes = HashMap::new();
        for route in config.transports.iter().chain(&config.smart_host) {
            let sender = sender(config, route, data).map_err(|error| format!("{}: {error}", route.host))?;
            routes.insert(name(route), Hosts::new(sender, &limits));
        }
        let direct = resolver.map(|resolver| {
            let mut sender = Sender::new(client(config)?).map_err(|error| error.to_string())?;
            sender.mta_sts = mta_sts;
            Ok::<_, String>((Hosts::new(sender, &limits), resolver))
        });
        let direct = direct.transpose()?;
        Ok(Self {
            routes,
            direct,
            names: Semaphore::new(config.queue.workers),
            domains: Semaphore::new(config.queue.connections),
        })
    }

    /// What tells the next host of this domain from that of others.
    pub fn key(&self, way: Way<'_>, domain: &Domain) -> String {
        match way {
            Way::Route(route) => name(route),
            // Direct delivery goes domain by domain.
            Way::Direct => domain.to_ascii_or_text(),
        }
    }

    /// Looks up where mail for a domain goes by this way, or why it cannot.
    pub async fn hop<'a>(&'a self, way: Way<'a>, domain: &Domain) -> Result<Hop<'a>, Failure> {
        let failed = |status, text: String| Failure::new(status, format!("{}: {text}", way.name()));
        match way {
            Way::Route(route) => {
                let hosts = self.routes.get(&name(route)).ok_or_else(|| failed(Enhanced(4, 3, 5), "no pool".into()))?;
                let _one_of_many = self.names.acquire().await;
                let route = Route::to(&route.host).await;
                let route = route.map_err(|error| failed(Enhanced(4, 4, 1), error.to_string()))?;
                Ok(Hop { way, hosts, route })
            }
            Way::Direct => {
                let _one_of_many = self.domains.acquire().await;
                let (hosts, resolver) =
                    self.direct.as_ref().ok_or_else(|| failed(Enhanced(4, 3, 5), "no resolver".into()))?;
                match hosts.pool.sender().route(resolver, domain).await {
                    Ok(route) => Ok(Hop { way, hosts, route }),
                    Err(none) => Err(refused(way, &none)),
                }
            }
        }
    }

    /// Asks hosts again that are known to be down.
    pub fn ask_again(&self) {
        self.pools().for_each(Pool::ask_again);
    }

    /// Says goodbye to all hosts.
    pub async fn close(&self) {
        for pool in self.pools() {
            pool.close().await;
        }
    }

    fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.routes.values().chain(self.direct.iter().map(|(hosts, _)| hosts)).map(|hosts| &hosts.pool)
    }
}

impl Hop<'_> {
    /// Waits for a turn at the next host, which takes nothing from others meanwhile.
    pub async fn turn(&self) -> Result<Turn, Failure> {
        self.hosts.pool.turn(&self.route).await.map_err(|none| refused(self.way, &none))
    }

    /// Who sends to such hosts.
    pub fn workers(&self) -> &Arc<Semaphore> {
        &self.hosts.workers
    }

    /// Sends the message to those of its recipients that stand at `places`: for each the words of the next host, or why it failed.
    /// `stamp` are its signatures. A recipient of whom nobody has said anything is to be tried again. Those who have no answer wait for another turn.
    pub async fn send(
        &mut self,
        turn: Turn,
        entry: &Entry,
        content: &Bytes,
        places: &[usize],
        stamp: &str,
    ) -> (Vec<(usize, Answer)>, Option<Vec<Recipient>>) {
        let delivery = turn.deliver(outgoing(entry, content, places, stamp)).await;
        let mut outcomes = delivery.outcomes;
        let mut waiting = delivery.waiting.as_ref().map_or_else(Vec::new, |waiting| waiting.recipients.clone());
        // Two recipients may be the same: each takes the first outcome that is for it.
        let mut take = |to: &ForwardPath| {
            outcomes.iter().position(|outcome| outcome.to == *to).map(|place| outcomes.remove(place))
        };
        let mut answers = Vec::new();
        for place in places {
            let Some(Pending { recipient, .. }) = entry.recipients.get(*place) else { continue };
            if let Some(outcome) = take(&recipient.to) {
                answers.push((*place, said(self.way, &outcome)));
            } else if let Some(at) = waiting.iter().position(|one| one == recipient) {
                waiting.remove(at);
            } else {
                let text = format!("{}: no answer", self.way.name());
                answers.push((*place, Err(Failure::new(Enhanced(4, 4, 1), text))));
            }
        }
        let left = delivery.waiting.map(|Waiting { recipients, route, .. }| {
            self.route = route;
            recipients
        });
        (answers, left)
    }
}

/// The message for the recipients at these places, its signatures before it.
fn outgoing(entry: &Entry, content: &Bytes, places: &[usize], stamp: &str) -> Outgoing {
    let mut envelope = entry.envelope();
    let wanted = places.iter().filter_map(|place| entry.recipients.get(*place));
    envelope.recipients = wanted.map(|pending| pending.recipient.clone()).collect();
    // RFC 4865 §4.2: it was held here, and is not to be held again.
    envelope.params.hold = None;
    let mut outgoing = Outgoing::new(envelope, [stamp.as_bytes(), &entry.trace, content].concat());
    // What BY= asks for runs since it arrived (RFC 2852 §4.1.4).
    let here = Timestamp::from(SystemTime::now()).unix().saturating_sub(entry.arrived.unix());
    outgoing.age = Duration::from_secs(here.try_into().unwrap_or(0));
    outgoing
}

/// What an outcome means for the queue.
fn said(way: Way<'_>, outcome: &Outcome) -> Answer {
    if !outcome.is_delivered() {
        return Err(failure(way, outcome));
    }
    let mut text = outcome.reply.to_string();
    if let Some(Conversion { to, parts, fields, .. }) = outcome.handover.conversion {
        text.push_str(&format!("; converted for {to:?}, {parts} parts, {fields} fields"));
    }
    Ok(Handed { text, handover: outcome.handover })
}

fn failure(way: Way<'_>, outcome: &Outcome) -> Failure {
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
    failure
}

/// Why no host is asked.
fn refused(way: Way<'_>, none: &NoHost) -> Failure {
    let nobody = Recipient::from(ForwardPath::Postmaster);
    let outcome = none.outcomes([nobody]).pop();
    outcome.map_or_else(|| Failure::new(Enhanced(4, 4, 1), none.to_string()), |outcome| failure(way, &outcome))
}

/// What tells a route from others: all that is said of it.
fn name(route: &config::Route) -> String {
    format!("{route:?}")
}

fn client(config: &Config) -> Result<ClientConfig, String> {
    let mut client = ClientConfig::new(&config.hostname).map_err(|error| error.to_string())?;
    client.starttls = StartTls::Opportunistic;
    // RFC 6152 §3 lets any host do so. Headers in UTF-8 are for the host of the author alone (RFC 6531 §3.2), who has done what he
    // could by then: a host without SMTPUTF8 does not get what still has one.
    client.eight_bit = EightBit::Convert;
    Ok(client)
}

fn sender(config: &Config, route: &config::Route, data: &Path) -> Result<Sender, Fault> {
    let mut client = client(config)?;
    client.starttls = match route.tls {
        RouteTls::Opportunistic => StartTls::Opportunistic,
        RouteTls::Required => StartTls::Required,
        RouteTls::None => StartTls::Never,
    };
    client.login = login(route);
    Ok(match (route.tls, &route.authorities) {
        (RouteTls::Required, Some(file)) => {
            Sender::with_connector(client, Connector::with_roots(&std::fs::read(data.join(file))?)?)
        }
        _ => Sender::new(client)?,
    })
}

fn login(route: &config::Route) -> Option<Login> {
    let (user, password) = (route.user.as_ref()?, route.password.as_ref()?);
    Some(Login::new(Identity::new(user.as_str()), Credentials::Password(password.as_str().into())))
}
