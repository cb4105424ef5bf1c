//! Sends messages over sessions that stay open for the next one, with so many at once to a host and no more.
//!
//! A [`Pool`] keeps a session that has sent its message for a while, and sends the next one to the same host over it, after it
//! has asked by RSET whether the host is still there. A host takes [`PoolConfig::per_host`] conversations at a time; who comes
//! later waits in order, and while it waits it holds nothing but its place ([`Pool::turn`]). A host that could not be reached is
//! not asked again for a while, and those who would are told so at once.
//!
//! A host that is silent holds up those who want to speak to it, and nobody else: until it has let us in there is one place at
//! it, and hosts that have not let us in have no more than half of all connections among them. Of those, hosts that did not let us
//! in the last time have no more than half, so that new ones wait for none that is known to be silent. (Half is one at least: a pool
//! of one or two connections has one for all of them.)
//!
//! What counts as one host is its name with its port; all its addresses are tried for it. Sessions of a pool are all by the same
//! [`Sender`]: another login, another idea of TLS is another pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::{Instant, sleep_until, timeout};

use crate::auth::tls_policy::Demand;
use crate::dns::mx::Targets;
use crate::net::Resolver;
use crate::net::deliver::{self, Goes, Journey};
use crate::net::route::{NoHost, Route, Stop};
use crate::net::session::{Attempt, Opened, Reason, Session, unopened};
use crate::net::submit::{SendError, Sender};
use crate::smtp::{Enhanced, Envelope, Outcome, Outgoing, Recipient, Reply, Stage};

mod config;
mod table;

pub use config::PoolConfig;
use table::{Admission, Failed, Table};

/// How long a host may take to say that it is still there. A connection that a router has forgotten never answers.
const ALIVE: Duration = Duration::from_secs(30);

/// Sends messages over sessions that stay open for the next one. Cheap to clone; clones share the sessions.
///
/// ```no_run
/// use facteur::net::{Pool, PoolConfig, Sender};
/// use facteur::smtp::ClientConfig;
///
/// # async fn run(letters: Vec<facteur::message::Message>) -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(Sender::new(ClientConfig::new("ada.example.org")?)?, PoolConfig::default());
/// for letter in letters {
///     let outcomes = pool.send("mail.example.org:25", letter).await?;
/// }
/// pool.close().await;
/// # Ok(())
/// # }
/// ```
///
/// Sessions of a pool that is dropped without [`close`](Self::close) end without QUIT.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

/// A place at a host, ready to be used; dropped it is free for the next.
#[derive(Debug)]
pub struct Turn {
    pool: Pool,
    route: Route,
    /// How many hosts of the route are passed over, for they are down.
    skip: usize,
    place: Place,
}

/// A place at a host. As long as nobody knows whether the host answers, it takes one of those for all such hosts, too, and one for
/// all that did not.
#[derive(Debug)]
struct Place {
    host: OwnedSemaphorePermit,
    doubts: Vec<OwnedSemaphorePermit>,
}

/// What came of a [`Turn`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// What became of each recipient for whom it was decided, or who is not waiting.
    pub outcomes: Vec<Outcome>,
    /// Those who are to wait for another turn.
    pub waiting: Option<Waiting>,
}

/// Recipients for whom no host has decided anything, and the next host has no place just now.
#[derive(Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// For whom to send again.
    pub recipients: Vec<Recipient>,
    /// Where to: the hosts that were not asked.
    pub route: Route,
}

#[derive(Debug)]
struct Shared {
    sender: Sender,
    config: PoolConfig,
    /// One for each connection, until it is closed.
    connections: Arc<Semaphore>,
    /// One for each connection that may wait for a host of which nobody knows whether it answers.
    strangers: Arc<Semaphore>,
    /// One for each of those that did not answer the last time.
    silent: Arc<Semaphore>,
    /// How many wait for a connection, whichever host it is to.
    wanting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: Table<Open>,
    /// Somebody looks after the sessions that are idle.
    watched: bool,
    closed: bool,
}

/// A session, its place among the connections, and its mark at the host.
#[derive(Debug)]
struct Open {
    session: Session,
    connection: OwnedSemaphorePermit,
    _host: Arc<()>,
}

impl Pool {
    /// A pool without sessions.
    pub fn new(sender: Sender, config: PoolConfig) -> Self {
        let many = config.connections.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            sender,
            config,
            connections: Arc::new(Semaphore::new(many)),
            strangers: Arc::new(Semaphore::new(many.div_ceil(2))),
            silent: Arc::new(Semaphore::new(many.div_ceil(4))),
            wanting: AtomicUsize::new(0),
            state: Mutex::new(State { table: Table::new(), watched: false, closed: false }),
        }))
    }

    /// How it sends.
    pub fn sender(&self) -> &Sender {
        &self.0.sender
    }

    /// How many sessions are open and not in use.
    pub fn idle(&self) -> usize {
        self.0.lock().table.idle()
    }

    /// As [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`]; a host that is known to be down is an outcome, not an error.
    pub async fn send<M>(&self, server: &str, message: M) -> Result<Vec<Outcome>, SendError>
    where
        M: TryInto<Outgoing>,
        SendError: From<M::Error>,
    {
        let began = Instant::now();
        let mut message = message.try_into()?;
        let route = Route::to(server).await?;
        message.age = message.age.saturating_add(began.elapsed());
        Ok(self.follow(route, message).await)
    }

    /// As [`Sender::deliver`].
    pub async fn deliver(&self, resolver: &Resolver, message: &Outgoing) -> Vec<Outcome> {
        let began = Instant::now();
        let (mut outcomes, parts) = deliver::by_domain(message);
        for (domain, mut part) in parts {
            let route = self.0.sender.route(resolver, &domain).await;
            part.age = part.age.saturating_add(began.elapsed());
            match route {
                Ok(route) => outcomes.extend(self.follow(route, part).await),
                Err(none) => outcomes.extend(none.outcomes(part.envelope.recipients)),
            }
        }
        outcomes
    }

    /// As [`Sender::deliver_to`].
    pub async fn deliver_to(&self, targets: &Targets, port: u16, message: Outgoing) -> Vec<Outcome> {
        self.follow(Route::by(targets, port), message).await
    }

    /// Sends a message along a route, waiting for as many turns as it takes.
    async fn follow(&self, mut route: Route, mut message: Outgoing) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let began = Instant::now();
            let turn = match self.turn(&route).await {
                Ok(turn) => turn,
                Err(none) => {
                    outcomes.extend(none.outcomes(message.envelope.recipients));
                    return outcomes;
                }
            };
            message.age = message.age.saturating_add(began.elapsed());
            let began = Instant::now();
            let delivery = turn.deliver(message.clone()).await; // the text is shared
            message.age = message.age.saturating_add(began.elapsed());
            outcomes.extend(delivery.outcomes);
            let Some(waiting) = delivery.waiting else { return outcomes };
            message.envelope.recipients = waiting.recipients;
            route = waiting.route;
        }
    }

    /// Waits for a place at the first host of this route that is not known to be down. Those who came earlier are served first.
    ///
    /// Whoever has many messages waits here before it takes anything else that others need, the text of the message above all.
    ///
    /// # Errors
    /// Where all hosts are down, or the pool is closed.
    pub async fn turn(&self, route: &Route) -> Result<Turn, NoHost> {
        let shared = &self.0;
        let mut why = Reason::no_connection(&SendError::Resolve(std::io::ErrorKind::NotFound.into()));
        for (skip, stop) in route.stops(shared.sender.max_addresses).enumerate() {
            let places = match shared.admission(&stop) {
                Admission::Place(places) => places,
                Admission::Down(reason) => {
                    why = reason;
                    continue;
                }
            };
            // Nobody closes these semaphores.
            let Ok(host) = places.acquire_owned().await else { continue };
            let mut doubts = Vec::new();
            for among in shared.doubts(&stop) {
                doubts.extend(among.acquire_owned().await);
            }
            let place = Place { host, doubts };
            match shared.enter(&stop) {
                Ok(()) => return Ok(Turn { pool: self.clone(), route: route.clone(), skip, place }),
                Err(reason) => why = reason,
            }
        }
        Err(NoHost(why))
    }

    /// Asks hosts again that are known to be down: somebody says that one is back (ETRN, RFC 1985), or the network is.
    pub fn ask_again(&self) {
        self.0.lock().table.ask_again();
    }

    /// Says QUIT to all hosts whose sessions are idle, lets the others end after their message, and waits until all are closed.
    /// Whoever still waits for a turn is told that the host is down.
    pub async fn close(&self) {
        let idle = {
            let mut state = self.0.lock();
            state.closed = true;
            state.table.drain()
        };
        idle.into_iter().for_each(Open::quit);
        let all = u32::try_from(self.0.config.connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let _ = self.0.connections.acquire_many(all).await;
    }
}

impl Turn {
    /// Sends a message to the host, and to the next ones of the route for those for whom it decides nothing. A next host that is
    /// full is not waited for: for its sake others might wait that hold a place here.
    pub async fn deliver(self, message: Outgoing) -> Delivery {
        let Self { pool, route, skip, place } = self;
        let shared = &pool.0;
        let mut journey = Journey::new(message);
        let mut place = Some(place);
        for (at, stop) in route.stops(shared.sender.max_addresses).enumerate().skip(skip) {
            let held = match place.take() {
                Some(place) => Ok(place),
                None => match shared.admission(&stop) {
                    Admission::Down(_) => continue,
                    Admission::Place(places) => shared.place(&stop, places),
                },
            };
            let held = match held {
                Ok(held) => held,
                Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                    let Some(route) = route.after(at) else { break };
                    let (outcomes, message) = journey.split();
                    let waiting = Some(Waiting { recipients: message.envelope.recipients, route });
                    return Delivery { outcomes, waiting };
                }
            };
            let attempt = shared.attempt(&stop, journey.message(), held).await;
            if journey.goes_on(attempt) == Goes::Nowhere {
                break;
            }
        }
        Delivery { outcomes: journey.finish(), waiting: None }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admission(&self, stop: &Stop) -> Admission {
        let mut state = self.lock();
        if state.closed {
            return Admission::Down(closed());
        }
        state.table.admission(&stop.key, &self.config, Instant::now().into_std())
    }

    /// Where to ask for one of the places of all strangers, where the host is one; before that for one of those that were silent.
    fn doubts(&self, stop: &Stop) -> Vec<Arc<Semaphore>> {
        let state = self.lock();
        let silent = state.table.is_silent(&stop.key).then_some(&self.silent);
        let stranger = state.table.is_stranger(&stop.key).then_some(&self.strangers);
        silent.into_iter().chain(stranger).map(Arc::clone).collect()
    }

    /// A place that is free now.
    fn place(&self, stop: &Stop, places: Arc<Semaphore>) -> Result<Place, TryAcquireError> {
        let host = places.try_acquire_owned()?;
        let doubts = self.doubts(stop).into_iter().map(Semaphore::try_acquire_owned).collect::<Result<_, _>>()?;
        Ok(Place { host, doubts })
    }

    fn enter(&self, stop: &Stop) -> Result<(), Reason> {
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        state.table.enter(&stop.key, &self.config, Instant::now().into_std())
    }

    /// Sends a message to one host, over a session that is idle or a new one.
    async fn attempt(self: &Arc<Self>, stop: &Stop, mut message: Outgoing, place: Place) -> Result<Attempt, SendError> {
        let Place { host: place, doubts } = place;
        let began = Instant::now();
        let demand = self.sender.demand(stop, &message.envelope);
        let opened = match self.take_idle(stop, &demand, &message.envelope).await {
            Some(open) => Ok(open),
            None => self.open(stop, &demand).await,
        };
        drop(doubts); // it has answered, or never will
        message.age = message.age.saturating_add(began.elapsed());
        match opened {
            Ok(mut open) => {
                let attempt = open.session.send(message).await;
                self.finished(stop, open, place);
                Ok(attempt)
            }
            Err((fault, Failed::Crowded)) => {
                // It has as many of our sessions as it wants: their places are all there are.
                place.forget();
                unopened(fault, message)
            }
            Err((fault, Failed::Down)) => unopened(fault, message),
        }
    }

    /// A session that is idle, has room for the message, and answers.
    async fn take_idle(&self, stop: &Stop, demand: &Demand, envelope: &Envelope) -> Option<Open> {
        loop {
            let fits = |open: &Open| open.session.meets(demand) && open.session.has_room_for(envelope);
            let mut open = self.lock().table.take(&stop.key, fits)?;
            if let Ok(true) = timeout(ALIVE, open.session.is_alive()).await {
                return Some(open);
            }
        }
    }

    /// A new session.
    async fn open(&self, stop: &Stop, demand: &Demand) -> Result<Open, (Result<Opened, SendError>, Failed)> {
        if matches!(demand, Demand::Refusal(_)) {
            // It says nothing of the host, which is not asked.
            return Err((self.sender.open(stop, demand).await, Failed::Down));
        }
        // One that is idle and does not fit takes a place that we have.
        let unfit = self.lock().table.oldest(Some(&stop.key));
        unfit.into_iter().for_each(Open::quit);
        let connection = self.connection().await;
        // Looked at behind the place among connections, all of which a pool that closes waits for.
        if self.lock().closed {
            return Err((Ok(Opened::Refused(closed())), Failed::Down));
        }
        let opened = self.sender.open(stop, demand).await;
        let why = match opened {
            Ok(Opened::Ready(session)) => {
                let host = self.lock().table.reached(&stop.key, &self.config, Instant::now().into_std());
                return Ok(Open { session, connection, _host: host });
            }
            // What one message or one domain asks for beyond others says nothing of the host.
            Err(SendError::Tls(_) | SendError::TlsConfig(_)) if !demand.allows_plain() => {
                return Err((opened, Failed::Down));
            }
            Ok(Opened::Refused(Reason { stage: Stage::StartTls, .. })) if !demand.allows_plain() => {
                return Err((opened, Failed::Down));
            }
            Ok(Opened::Refused(ref why)) => why.clone(),
            Err(ref error) => Reason::no_connection(error),
        };
        let failed = self.lock().table.failed(&stop.key, &self.config, Instant::now().into_std(), why);
        Err((opened, failed))
    }

    /// A place among all connections, which a session may have to make that is idle.
    async fn connection(&self) -> OwnedSemaphorePermit {
        if let Ok(connection) = Arc::clone(&self.connections).try_acquire_owned() {
            return connection;
        }
        let _wanting = Wanting::new(&self.wanting);
        let idle = self.lock().table.oldest(None);
        idle.into_iter().for_each(Open::quit);
        Arc::clone(&self.connections).acquire_owned().await.expect("nobody closes it") // and nobody does
    }

    /// Keeps a session for the next message, or ends it.
    fn finished(self: &Arc<Self>, stop: &Stop, open: Open, place: OwnedSemaphorePermit) {
        let takes_more = open.session.takes_more() && open.session.sent < self.config.messages;
        let mut state = self.lock();
        // Looked at behind the lock: who wants one has said so before it looks for one that is idle.
        let stays = takes_more && self.wanting.load(Ordering::Relaxed) == 0;
        if !stays || state.closed {
            drop(state);
            tokio::spawn(async move {
                open.session.quit().await;
                drop((open.connection, place));
            });
            return;
        }
        state.table.keep(&stop.key, &self.config, Instant::now().into_std(), open);
        if !std::mem::replace(&mut state.watched, true) {
            tokio::spawn(watch(Arc::downgrade(self), self.config.idle));
        }
    }
}

impl Open {
    /// Says goodbye, on its own.
    fn quit(self) {
        tokio::spawn(async move {
            self.session.quit().await;
            drop(self.connection);
        });
    }
}

/// Ends sessions that were idle for so long, until there are none.
async fn watch(shared: Weak<Shared>, idle: Duration) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let (expired, next) = {
            let mut state = shared.lock();
            let (expired, next) = state.table.expired(idle, Instant::now().into_std());
            state.watched = next.is_some();
            (expired, next)
        };
        drop(shared);
        expired.into_iter().for_each(Open::quit);
        match next {
            Some(next) => sleep_until(Instant::from_std(next)).await,
            None => return,
        }
    }
}

/// Counts as long as it lives.
struct Wanting<'a>(&'a AtomicUsize);

impl<'a> Wanting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn closed() -> Reason {
    Reason::ours(Stage::Connect, Reply::new(451, Enhanced(4, 3, 2), "this host is about to stop"))
}
