//! Accepts connections and keeps them within limits.
//!
//! Each connection is a task of its own; one that panics ends alone, and is reported. A listener that has an error (no
//! file descriptor left, say) is asked again after a pause. When the service stops, nothing more is accepted, the
//! connections are told, and those that are still there after the grace period are dropped.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The pause after a listener's first error; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause after a listener's error.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long one connection too many may take to read why it is refused.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many connections too many are told so at the same time; a flood beyond that is closed without a word.
const FAREWELLS: usize = 64;

/// One protocol's service: its limits, its connections, its end.
///
/// Cheap to clone. Several listeners may [`run`](Self::run) in one service and share its limits.
///
/// ```
/// use facteur::net::serve::{Connection, Service, ServiceConfig};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let service = Service::new(ServiceConfig::new());
/// let running = {
///     let service = service.clone();
///     tokio::spawn(async move {
///         let greet = |mut connection: Connection<TcpStream>| async move {
///             let _ = connection.stream.write_all(b"220 mx.test\r\n").await;
///         };
///         service.run(listener, greet).await;
///     })
/// };
/// let mut greeting = String::new();
/// TcpStream::connect(address).await?.read_to_string(&mut greeting).await?;
/// assert_eq!(greeting, "220 mx.test\r\n");
/// service.stop();
/// running.await?;
/// assert_eq!(service.counters().accepted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Service(Arc<Shared>);

/// The limits of a [`Service`].
///
/// ```
/// use facteur::net::serve::ServiceConfig;
///
/// let mut config = ServiceConfig::new();
/// config.farewell = Some("421 4.7.0 too many connections\r\n".into());
/// assert_eq!(config.connections, 1000);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// How many connections there may be at once. 1000: just below the 1024 file descriptors that a process has on Linux
    /// where nobody raised its limit. Several services in one process, or files that connections open, want a higher limit
    /// or fewer connections.
    pub connections: usize,
    /// How many of them one address may have. 50, as postfix has it.
    pub per_address: Option<usize>,
    /// How many leading bits of an IPv6 address count as one address. 64: what one subscriber gets as a rule.
    pub ipv6_prefix: u8,
    /// What one connection too many is sent before it is closed. Nothing; not to be used with implicit TLS.
    pub farewell: Option<Bytes>,
    /// How long connections may go on when the service stops. 30 seconds: long enough for a transaction under way,
    /// short enough for whoever waits for a restart.
    pub grace: Duration,
}

/// A connection that was accepted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection<S> {
    /// The stream.
    pub stream: S,
    /// Who is at the other end; `None` on a socket without addresses.
    pub peer: Option<SocketAddr>,
    /// When to come to an end.
    pub stopping: Stopping,
}

/// Tells that a service stops. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

/// What happened in a service so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that are open.
    pub open: usize,
    /// Connections that were handed on.
    pub accepted: u64,
    /// Connections that were one too many.
    pub refused: u64,
    /// Connections that ended in a panic.
    pub panicked: u64,
    /// Connections that were dropped when the grace period was over.
    pub dropped: u64,
    /// Errors of listeners.
    pub listener_errors: u64,
}

/// What whoever runs the service wants to hear of.
#[derive(Debug)]
#[non_exhaustive]
pub enum Incident {
    /// A connection was one too many.
    Refused {
        /// Who wanted it.
        peer: Option<SocketAddr>,
        /// Which limit it ran into.
        limit: Limit,
    },
    /// A connection's task panicked.
    Panicked {
        /// Who was at the other end.
        peer: Option<SocketAddr>,
        /// What the panic said.
        message: String,
    },
    /// A listener could not accept; it is asked again after a pause.
    ListenerFailed(io::Error),
    /// The grace period is over.
    Dropped {
        /// How many connections were dropped.
        connections: usize,
    },
}

/// A limit of a [`ServiceConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`ServiceConfig::connections`]
    Connections,
    /// [`ServiceConfig::per_address`]
    PerAddress,
}

/// Where connections come from.
pub trait Listen {
    /// One connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and who is at its other end where that has an address.
    ///
    /// # Errors
    /// Whatever kept it from coming; the listener is asked again.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Option<SocketAddr>)>>;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Option<SocketAddr>)>> {
        TcpListener::poll_accept(self, cx).map_ok(|(stream, peer)| {
            // Short lines that wait for each other are what Nagle's algorithm delays. Without it all still works.
            let _ = stream.set_nodelay(true);
            (stream, Some(peer))
        })
    }
}

#[cfg(unix)]
impl Listen for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Self::Stream, Option<SocketAddr>)>> {
        tokio::net::UnixListener::poll_accept(self, cx).map_ok(|(stream, _)| (stream, None))
    }
}

struct Shared {
    config: ServiceConfig,
    report: Box<dyn Fn(Incident) + Send + Sync>,
    stop: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counters: Counters,
    by_address: HashMap<IpAddr, usize>,
    farewells: usize,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            connections: 1000,
            per_address: Some(50),
            ipv6_prefix: 64,
            farewell: None,
            grace: Duration::from_secs(30),
        }
    }
}

impl ServiceConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Service {
    /// A service without connections.
    pub fn new(config: ServiceConfig) -> Self {
        Self::reporting(config, |_| {})
    }

    /// The same, telling `report` of what goes wrong. It is called from the tasks of the service and must not block.
    pub fn reporting(config: ServiceConfig, report: impl Fn(Incident) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            config,
            report: Box::new(report),
            stop: watch::Sender::new(false),
            state: Mutex::default(),
        }))
    }

    /// Accepts connections and hands each to `handler` in a task of its own, until the service is stopped and the last
    /// connection has ended. Dropping the future drops the connections.
    pub async fn run<L, H, F>(&self, mut listener: L, handler: H)
    where
        L: Listen,
        H: Fn(Connection<L::Stream>) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = self.stopping();
        let mut tasks = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.begun() => break,
                Some(_) = tasks.join_next() => continue,
                accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The connection went away before it was accepted: no fault of the listener.
                    let passes = matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                    );
                    self.lock().counters.listener_errors += 1;
                    self.report(Incident::ListenerFailed(error));
                    if !passes {
                        let _ = timeout(pause, stopping.begun()).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    continue;
                }
            };
            pause = FIRST_PAUSE;
            match self.admit(peer) {
                Ok(slot) => {
                    let future = handler(Connection { stream, peer, stopping: stopping.clone() });
                    // In a box of its own: an async fn has room for what it is handed and once more for where it moves that.
                    tasks.spawn(contained(Box::pin(future), slot, peer));
                }
                Err(limit) => {
                    self.report(Incident::Refused { peer, limit });
                    if let Some(farewell) = self.farewell() {
                        tasks.spawn(farewell.say(stream));
                    }
                }
            }
        }
        drop(listener);
        let mut grace = pin!(sleep(self.0.config.grace));
        loop {
            tokio::select! {
                biased;
                ended = tasks.join_next() => match ended {
                    Some(_) => {}
                    None => return,
                },
                () = &mut grace => break,
            }
        }
        let connections = tasks.len();
        tasks.shutdown().await;
        self.lock().counters.dropped += connections as u64;
        self.report(Incident::Dropped { connections });
    }

    /// Stops all that runs in this service. Further calls change nothing.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Tells when the service stops.
    pub fn stopping(&self) -> Stopping {
        Stopping(self.0.stop.subscribe())
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, incident: Incident) {
        #[cfg(feature = "tracing")]
        match &incident {
            Incident::Refused { peer, limit } => tracing::info!(?peer, ?limit, "connection refused"),
            Incident::Panicked { peer, message } => tracing::error!(?peer, message, "connection panicked"),
            Incident::ListenerFailed(error) => tracing::warn!(%error, "listener failed"),
            Incident::Dropped { connections } => tracing::warn!(connections, "connections dropped"),
        }
        (self.0.report)(incident);
    }

    /// A place for one more connection, or the limit that it would break.
    fn admit(&self, peer: Option<SocketAddr>) -> Result<Slot, Limit> {
        let config = &self.0.config;
        let address = peer.map(|peer| network(peer.ip(), config.ipv6_prefix));
        let mut state = self.lock();
        let held = address.and_then(|address| state.by_address.get(&address)).copied().unwrap_or(0);
        let limit = if state.counters.open >= config.connections {
            Some(Limit::Connections)
        } else if address.is_some() && config.per_address.is_some_and(|most| held >= most) {
            Some(Limit::PerAddress)
        } else {
            None
        };
        if let Some(limit) = limit {
            state.counters.refused += 1;
            return Err(limit);
        }
        state.counters.accepted += 1;
        state.counters.open += 1;
        if let Some(address) = address {
            state.by_address.insert(address, held + 1);
        }
        Ok(Slot { service: self.clone(), address })
    }

    fn farewell(&self) -> Option<Farewell> {
        let text = self.0.config.farewell.clone()?;
        let mut state = self.lock();
        if state.farewells >= FAREWELLS {
            return None;
        }
        state.farewells += 1;
        Some(Farewell { service: self.clone(), text })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("config", &self.0.config).field("counters", &self.counters()).finish()
    }
}

impl Stopping {
    /// Ready when the service stops, and ever after.
    pub async fn begun(&self) {
        // An error means that the service is gone, which is the same to a connection.
        let _ = self.0.clone().wait_for(|stopping| *stopping).await;
    }

    /// Whether the service stops.
    pub fn is_begun(&self) -> bool {
        *self.0.borrow()
    }
}

/// The place of one connection, given back when it ends, however it ends.
struct Slot {
    service: Service,
    address: Option<IpAddr>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.service.lock();
        state.counters.open -= 1;
        let Some(address) = self.address else { return };
        match state.by_address.get_mut(&address) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(state.by_address.remove(&address)),
        }
    }
}

/// What one connection too many is told.
struct Farewell {
    service: Service,
    text: Bytes,
}

impl Farewell {
    async fn say(self, mut stream: impl AsyncWrite + Unpin) {
        let _ = timeout(FAREWELL, async {
            stream.write_all(&self.text).await?;
            stream.shutdown().await
        })
        .await;
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.service.lock().farewells -= 1;
    }
}

/// Runs a connection; a panic ends it and goes no further.
async fn contained(mut future: Pin<Box<impl Future<Output = ()>>>, slot: Slot, peer: Option<SocketAddr>) {
    let panic = {
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(|()| None),
            // The future is not polled again, and what it shares with others is theirs to guard (a poisoned lock).
            Err(panic) => Poll::Ready(Some(panic)),
        })
        .await
    };
    let Some(panic) = panic else { return };
    let message = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    };
    slot.service.lock().counters.panicked += 1;
    slot.service.report(Incident::Panicked { peer, message });
}

/// The address that limits are counted for.
fn network(address: IpAddr, prefix: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_count_by_their_prefix() {
        for (address, prefix, expected) in [
            ("192.0.2.7", 64, "192.0.2.7"),
            ("::ffff:192.0.2.7", 64, "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 255, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 56, "2001:db8:1::"),
            ("2001:db8:1:2:3:4:5:6", 0, "::"),
        ] {
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(network(address.parse().unwrap(), prefix), expected, "{address}/{prefix}");
        }
    }
}
