//! Answers the questions of an [`Inquiry`] by asking the DNS, over hickory-resolver: with retries, TCP where an answer is
//! too long for UDP, and, where that is asked for, DNSSEC. In front of it stand our own [`Cache`] and the questions under
//! way: what several ask at the same time is asked once.

mod flight;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use self::flight::Flights;
use crate::dns::{Answer, Ask, Cache, Failure, Inquiry, Question, RecordType, packet};

/// Asks name servers. Cheap to clone; clones share the cache and the questions under way.
///
/// ```no_run
/// use facteur::dns::mx;
/// use facteur::net::Resolver;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let resolver = Resolver::system()?;
/// let targets = resolver.ask(mx::Lookup::new(&"example.org".parse()?, 1)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Resolver {
    resolver: Arc<TokioResolver>,
    flights: Arc<Flights>,
    validates: bool,
}

/// Whom a [`Resolver`] asks, and how.
///
/// ```no_run
/// use facteur::net::Resolver;
/// use facteur::net::resolver::{ResolverConfig, Servers, Validation};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = ResolverConfig::new(Servers::These(vec!["127.0.0.1:5353".parse()?]));
/// config.validation = Validation::Root;
/// let resolver = Resolver::new(config)?;
/// let answer = resolver.answer(&"example.org MX".parse()?).await;
/// println!("{:?} {}", answer.found, answer.secure);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolverConfig {
    /// Whom it asks.
    pub servers: Servers,
    /// Whether answers are validated. Default: they are not, and none is [`secure`](Answer::secure).
    pub validation: Validation,
    /// How long one server is waited for at one attempt. Default `None`: as the system's configuration says, or 5 seconds.
    pub timeout: Option<Duration>,
    /// How often a question is asked again that was not answered. Default `None`: as the system's configuration says, or 2.
    pub retries: Option<usize>,
    /// How many questions are under way at once; more wait. Default 200: each has a socket of its own, and a process has
    /// 1024 of them as a rule.
    pub at_once: usize,
    /// How many answers are kept. Default 50,000.
    pub cache: usize,
    /// How many octets the answers that are kept may take. Default 32 MiB.
    pub cache_octets: usize,
}

/// Which name servers are asked. They must be resolvers, which answer for every name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // the system's or one's own
pub enum Servers {
    /// Those of `/etc/resolv.conf`, with its options and the hosts file, or those of the registry on Windows.
    System,
    /// These, over UDP and TCP.
    These(Vec<SocketAddr>),
}

/// Whether answers are proved by DNSSEC (RFC 4035 §4.3). Validation costs several questions more for each answer. The servers
/// must give signatures to who asks for them; what cannot be proved wrong or right counts as not secure, what is proved wrong
/// is [`Failure::Bogus`].
///
/// That a name does not exist is proved as well, but such an answer never counts as [`secure`](Answer::secure). One that a wildcard
/// gives is taken for bogus where the zone denies names by NSEC and not by NSEC3: hickory 0.26 does not see the proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validation {
    /// They are not.
    #[default]
    Off,
    /// They are, up to the keys of the root zone, which are built in: those of 2017 and 2024.
    Root,
    /// They are, up to these keys: DNSKEY records in zone-file text.
    Anchors(String),
}

/// The configuration of the system could not be read, or cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// Of the system, or of the servers.
    #[error("dns configuration: {0}")]
    Configuration(#[source] Arc<NetError>),
    /// [`Validation::Anchors`] has no keys that can be read.
    #[error("no keys to begin with in the trust anchors")]
    Anchors,
    /// A blocking resolver has no runtime.
    #[error("runtime: {0}")]
    Runtime(#[source] Arc<std::io::Error>),
}

impl From<NetError> for ResolverError {
    fn from(error: NetError) -> Self {
        Self::Configuration(Arc::new(error))
    }
}

impl ResolverConfig {
    /// Asks `servers`.
    pub fn new(servers: Servers) -> Self {
        Self {
            servers,
            validation: Validation::Off,
            timeout: None,
            retries: None,
            at_once: 200,
            cache: 50_000,
            cache_octets: 32 * 1024 * 1024,
        }
    }
}

impl Resolver {
    /// Asks as `config` says.
    ///
    /// # Errors
    /// Where the configuration of the system does not read, or the trust anchors.
    pub fn new(config: ResolverConfig) -> Result<Self, ResolverError> {
        let mut builder = match &config.servers {
            Servers::System => TokioResolver::builder_tokio()?,
            Servers::These(servers) => {
                let servers = servers.iter().map(|server| {
                    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                        connection.port = server.port();
                        connection
                    });
                    NameServerConfig::new(server.ip(), true, connections.to_vec())
                });
                let servers = hickory_resolver::config::ResolverConfig::from_parts(None, Vec::new(), servers.collect());
                TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
            }
        };
        match &config.validation {
            Validation::Off => {}
            Validation::Root => builder = builder.with_trust_anchor(Arc::new(TrustAnchors::default())),
            Validation::Anchors(text) => {
                let anchors: TrustAnchors = text.parse().map_err(|_| ResolverError::Anchors)?;
                builder = builder.with_trust_anchor(Arc::new(anchors));
            }
        }
        let options = builder.options_mut();
        // Ours stands in front: it is bounded by octets, and knows what a failure is.
        options.cache_size = 0;
        options.timeout = config.timeout.unwrap_or(options.timeout);
        options.attempts = config.retries.unwrap_or(options.attempts);
        let cache = Cache::new(config.cache).octets(config.cache_octets);
        Ok(Self {
            resolver: Arc::new(builder.build()?),
            flights: Arc::new(Flights::new(cache, config.at_once)),
            validates: config.validation != Validation::Off,
        })
    }

    /// Asks the name servers of this system.
    ///
    /// # Errors
    /// Where there is no such configuration, or it does not read.
    pub fn system() -> Result<Self, ResolverError> {
        Self::new(ResolverConfig::new(Servers::System))
    }

    /// Asks these name servers, over UDP and TCP.
    ///
    /// # Errors
    /// None on the systems that are known.
    pub fn with_servers(servers: impl IntoIterator<Item = SocketAddr>) -> Result<Self, ResolverError> {
        Self::new(ResolverConfig::new(Servers::These(servers.into_iter().collect())))
    }

    /// Asks what the inquiry asks until it comes to its verdict: all its open questions at once. Where the inquiry has a
    /// deadline that is kept. To give one more time, or less, put it into [`Within`](crate::dns::Within).
    pub async fn ask<I: Inquiry>(&self, mut inquiry: I) -> I::Verdict {
        let (sender, mut answers) = mpsc::unbounded_channel();
        let mut waiting: HashSet<Question> = HashSet::new();
        loop {
            inquiry.tick(Instant::now().into_std());
            if let Ask::Verdict(verdict) = inquiry.poll() {
                return verdict;
            }
            for question in inquiry.open() {
                if !waiting.contains(&question) {
                    self.begin(&question, &sender);
                    waiting.insert(question);
                }
            }
            let mut came = match inquiry.deadline() {
                Some(deadline) => timeout_at(deadline.into(), answers.recv()).await.unwrap_or_default(),
                None => answers.recv().await,
            };
            while let Some((question, answer)) = came {
                waiting.remove(&question);
                inquiry.answer_to(&question, &answer);
                came = answers.try_recv().ok();
            }
        }
    }

    /// The answer to one question.
    pub async fn answer(&self, question: &Question) -> Answer {
        let (sender, mut answers) = mpsc::unbounded_channel();
        self.begin(question, &sender);
        drop(sender);
        // Whoever is to answer says so even where it comes to nothing.
        answers.recv().await.map_or_else(|| Err(Failure::ServFail).into(), |(_, answer)| answer)
    }

    /// Has the answer sent to `waiter`: out of the cache, by whoever asks already, or by a task of its own.
    fn begin(&self, question: &Question, waiter: &flight::Waiter) {
        let Some(flight) = self.flights.join(question, waiter, Instant::now().into_std()) else { return };
        let (resolver, validates) = (Arc::clone(&self.resolver), self.validates);
        tokio::spawn(async move {
            if let Some(answer) = flight.permitted(look_up(&resolver, flight.question(), validates)).await {
                flight.land(answer, Instant::now().into_std());
            }
        });
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

async fn look_up(resolver: &TokioResolver, question: &Question, validates: bool) -> Answer {
    // A name that is written out in full is not sought in the system's own domains.
    let lookup = resolver.lookup(packet::written(&question.name), packet::wire_type(question.kind)).await;
    let lookup = match lookup {
        Ok(lookup) => lookup,
        Err(error) => return failure(&error),
    };
    let secure = match proved(lookup.answers(), question.kind) {
        Err(failure) if validates => return Err(failure).into(),
        proved => proved == Ok(true),
    };
    match packet::records(lookup.answers(), question) {
        Ok((found, _)) if found.is_empty() => Answer::from(Err(Failure::NoData)),
        Ok((found, ttl)) => Answer { found: Ok(found.into()), ttl, secure },
        Err(failure) => Answer::from(Err(failure)),
    }
}

/// Whether all of it is proved; every alias on the way must be, too.
fn proved(records: &[rr::Record], kind: RecordType) -> Result<bool, Failure> {
    // The hosts file and the names of RFC 6761 answer these, and nobody proves them.
    let local = matches!(kind, RecordType::A | RecordType::Aaaa | RecordType::Ptr);
    let mut secure = true;
    for record in records.iter().filter(|record| record.record_type() != rr::RecordType::RRSIG) {
        match record.proof {
            Proof::Secure => {}
            Proof::Bogus => return Err(Failure::Bogus),
            // RFC 7672 §2.1.1: "this MUST be treated by the SMTP client as though a "bogus" or error result had been returned."
            Proof::Indeterminate if !local => return Err(Failure::ServFail),
            Proof::Indeterminate | Proof::Insecure => secure = false,
        }
    }
    Ok(secure)
}

/// What an error means for the question.
fn failure(error: &NetError) -> Answer {
    // RFC 2308 §5: the lesser of the SOA's own TTL and its minimum
    let negative = |code: ResponseCode, ttl: Option<u32>, secure| match code {
        ResponseCode::NXDomain => Answer { found: Err(Failure::NxDomain), ttl: ttl.unwrap_or(0), secure },
        ResponseCode::NoError => Answer { found: Err(Failure::NoData), ttl: ttl.unwrap_or(0), secure },
        _ => Answer::from(Err(Failure::ServFail)),
    };
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let ttl = none.soa.as_ref().map(|soa| soa.ttl.min(soa.data.minimum));
            negative(none.response_code, none.negative_ttl.or(ttl), false)
        }
        NetError::Dns(DnsError::Nsec { proof: Proof::Bogus, .. } | DnsError::DnssecBogus) => Err(Failure::Bogus).into(),
        NetError::Dns(DnsError::Nsec { response, proof, .. }) => {
            negative(response.response_code, response.negative_ttl(), *proof == Proof::Secure)
        }
        NetError::Timeout => Err(Failure::Timeout).into(),
        NetError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Err(Failure::Timeout).into(),
        _ => Err(Failure::ServFail).into(),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::MX;
    use hickory_resolver::proto::rr::{Name, RData, Record};

    use super::*;

    /// RFC 7672 §2.1.1: what cannot be told is a failure, and no answer that is not signed.
    #[test]
    fn a_proof_that_cannot_be_had_is_a_failure() {
        let record = |proof| {
            let mut record = Record::from_rdata(Name::root(), 60, RData::MX(MX::new(1, Name::root())));
            record.proof = proof;
            record
        };
        use Proof::{Bogus, Indeterminate, Insecure, Secure};
        for (proofs, mx, address) in [
            (&[][..], Ok(true), Ok(true)),
            (&[Secure, Secure], Ok(true), Ok(true)),
            (&[Secure, Insecure], Ok(false), Ok(false)),
            (&[Insecure, Bogus], Err(Failure::Bogus), Err(Failure::Bogus)),
            (&[Secure, Indeterminate], Err(Failure::ServFail), Ok(false)),
        ] {
            let records: Vec<_> = proofs.iter().map(|proof| record(*proof)).collect();
            assert_eq!(proved(&records, RecordType::Mx), mx, "{proofs:?}");
            assert_eq!(proved(&records, RecordType::A), address, "{proofs:?}");
        }
    }
}
