//! The MTA-STS policies of domains (RFC 8461): asked for, fetched from web servers, and kept.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::auth::mta_sts::{Cache, Fetch, FetchError, Lookup, NoRecord, Policy, Record, TIMEOUT};
use crate::base::{ParseError, Timestamp};
use crate::dns::{Data, Name, Question, RecordType};
use crate::net::driver::{self, Driver};
use crate::net::resolver::Resolver;
use crate::net::tls::{self, Connector};

/// How many addresses of a policy host are tried.
const MAX_ADDRESSES: usize = 4;

/// The policies of domains, as [`Sender::mta_sts`](crate::net::Sender::mta_sts) uses them. Cheap to clone; clones share what is
/// kept.
///
/// ```no_run
/// use facteur::net::{MtaSts, Resolver, Sender};
/// use facteur::smtp::ClientConfig;
///
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let resolver = Resolver::system()?;
/// let mut sender = Sender::new(ClientConfig::new("ada.example.org")?)?;
/// sender.mta_sts = Some(MtaSts::system(resolver.clone())?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MtaSts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Box<dyn Source>,
    cache: Mutex<Cache>,
    /// Who fetches the policy of a domain holds its lock, so that others wait for what comes of it.
    fetching: Mutex<HashMap<Name, Weak<tokio::sync::Mutex<()>>>>,
}

/// Gets the text of a policy from wherever policies are: [`Https`], or a proxy of the program's own.
pub trait Source: fmt::Debug + Send + Sync {
    /// The policy of this domain, from the domain's policy host, which has proved its name (RFC 8461 §3.3).
    fn fetch<'a>(&'a self, domain: &'a Name) -> Fetching<'a>;
}

/// A policy to be.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Policy, FetchError>> + Send + 'a>>;

/// Gets policies from the web servers of their domains.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Https {
    /// Finds the addresses of policy hosts.
    pub resolver: Resolver,
    /// Whom to believe; it must be one that [verifies](Connector::with_roots) names.
    pub connector: Connector,
    /// The port. Default 443.
    pub port: u16,
    /// How long making a connection to one address may take. Default 15 seconds, a quarter of what all of it may take.
    pub connect_timeout: Duration,
}

/// What came of looking for the policy of a domain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The policy to keep to, which may be one that was kept.
    pub policy: Option<Arc<Policy>>,
    /// The record that the domain has now.
    pub record: Result<Record, NoRecord>,
    /// The policy was to be fetched, and could not be: what RFC 8461 §6 wants reported.
    pub failure: Option<FetchError>,
}

impl MtaSts {
    /// Policies from this source, and those that were kept before.
    pub fn new(source: impl Source + 'static, cache: Cache) -> Self {
        let fetching = Mutex::new(HashMap::new());
        Self(Arc::new(Shared { source: Box::new(source), cache: Mutex::new(cache), fetching }))
    }

    /// Policies from web servers that the authorities of this system vouch for.
    ///
    /// # Errors
    /// Where this system has no authorities.
    pub fn system(resolver: Resolver) -> Result<Self, tls::Error> {
        Ok(Self::new(Https::new(resolver, Connector::system()?), Cache::new()))
    }

    /// What is kept, to keep it over a restart.
    pub fn cache(&self) -> Cache {
        lock(&self.0.cache).clone()
    }

    /// The policy of a domain, fetched where it is new, or a day old.
    pub async fn policy(&self, resolver: &Resolver, domain: &Name) -> Found {
        let record = resolver.ask(Lookup::new(domain)).await;
        self.policy_by(domain, record, SystemTime::now().into()).await
    }

    /// The same for whoever has found the record, or found that there is none, by other means.
    pub async fn policy_by(&self, domain: &Name, record: Result<Record, NoRecord>, now: Timestamp) -> Found {
        let shared = &self.0;
        let mut failure = None;
        if let Ok(record) = &record
            && lock(&shared.cache).is_due(domain, Some(record), now)
        {
            let turn = shared.turn(domain);
            let _held = turn.lock().await;
            // Somebody else may have fetched it meanwhile.
            if lock(&shared.cache).is_due(domain, Some(record), now) {
                match timeout(TIMEOUT, shared.source.fetch(domain)).await.unwrap_or(Err(FetchError::Timeout)) {
                    Ok(policy) => lock(&shared.cache).fetched(domain, record, policy, now),
                    Err(error) => {
                        lock(&shared.cache).failed(domain, record, now);
                        failure = Some(error);
                    }
                }
            }
        }
        Found { policy: lock(&shared.cache).policy(domain, now), record, failure }
    }
}

impl Shared {
    fn turn(&self, domain: &Name) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = lock(&self.fetching);
        if let Some(turn) = fetching.get(domain).and_then(Weak::upgrade) {
            return turn;
        }
        // Few are being fetched at any time; those that no longer are have nobody who waits.
        fetching.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        fetching.insert(domain.clone(), Arc::downgrade(&turn));
        turn
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Https {
    /// Believing whom `connector` believes.
    pub fn new(resolver: Resolver, connector: Connector) -> Self {
        Self { resolver, connector, port: 443, connect_timeout: Duration::from_secs(15) }
    }

    async fn get(&self, domain: &Name) -> Result<Policy, FetchError> {
        let too_long = |error: ParseError| FetchError::Unreachable(error.to_string());
        let host = Fetch::host(domain).map_err(too_long)?;
        let fetch = Fetch::new(domain, Instant::now().into_std()).map_err(too_long)?;
        let untrusted = |error: &dyn fmt::Display| FetchError::Untrusted(error.to_string());
        if !self.connector.verifies() {
            return Err(untrusted(&"the connector believes everyone"));
        }
        let side = self.connector.to(host.as_str()).map_err(|error| untrusted(&error))?;
        let stream = self.connect(&host).await?;
        let tls = |error: driver::Error<FetchError>| match error {
            driver::Error::Machine(error) => error,
            driver::Error::Tls(error) if error.kind() == io::ErrorKind::InvalidData => untrusted(&error),
            other => FetchError::Unreachable(other.to_string()),
        };
        let mut fetch = Driver::new(fetch, stream).with_tls(side).encrypted().await.map_err(tls)?;
        fetch.next().await.map_err(tls)?.ok_or(FetchError::Closed)
    }

    async fn connect(&self, host: &Name) -> Result<TcpStream, FetchError> {
        let mut last = "it has no address".to_owned();
        let mut tried = 0;
        for kind in [RecordType::Aaaa, RecordType::A] {
            let answer = self.resolver.answer(&Question::new(host.clone(), kind)).await;
            let addresses = match answer.found {
                Ok(records) => records,
                Err(failure) if failure.is_temporary() => {
                    last = failure.to_string();
                    continue;
                }
                Err(_) => continue,
            };
            for address in addresses.iter().filter_map(Data::address).take(MAX_ADDRESSES - tried) {
                tried += 1;
                match timeout(self.connect_timeout, TcpStream::connect(SocketAddr::new(address, self.port))).await {
                    Ok(Ok(stream)) => return Ok(stream),
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_) => last = "timeout".to_owned(),
                }
            }
        }
        Err(FetchError::Unreachable(last))
    }
}

impl Source for Https {
    fn fetch<'a>(&'a self, domain: &'a Name) -> Fetching<'a> {
        Box::pin(self.get(domain))
    }
}
