//! Answers the questions of an [`Inquiry`] by asking the DNS, over hickory-resolver: with retries, TCP where an answer is
//! too long for UDP, and a cache.
//!
//! Left out: DNSSEC. No answer is [`secure`](Answer::secure).

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;

use crate::dns::{Answer, Ask, Failure, Inquiry, Question, packet};

/// Asks name servers. Cheap to clone; clones share the cache.
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
pub struct Resolver(Arc<TokioResolver>);

/// The configuration of the system could not be read, or cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("dns configuration: {0}")]
pub struct ResolverError(#[source] Arc<NetError>);

impl Resolver {
    /// Asks the name servers of this system: those of `/etc/resolv.conf`, with its options and the hosts file, or those of
    /// the registry on Windows.
    ///
    /// # Errors
    /// Where there is no such configuration, or it does not read.
    pub fn system() -> Result<Self, ResolverError> {
        let build = || TokioResolver::builder_tokio()?.build();
        build().map(|resolver| Self(Arc::new(resolver))).map_err(|error| ResolverError(Arc::new(error)))
    }

    /// Asks these name servers, over UDP and TCP.
    ///
    /// # Errors
    /// None on the systems that are known.
    pub fn with_servers(servers: impl IntoIterator<Item = SocketAddr>) -> Result<Self, ResolverError> {
        let servers = servers.into_iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.to_vec())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build();
        resolver.map(|resolver| Self(Arc::new(resolver))).map_err(|error| ResolverError(Arc::new(error)))
    }

    /// Asks what the inquiry asks until it comes to its verdict.
    pub async fn ask<I: Inquiry>(&self, mut inquiry: I) -> I::Verdict {
        loop {
            match inquiry.poll() {
                Ask::Verdict(verdict) => return verdict,
                Ask::Question(question) => inquiry.answer(self.answer(&question).await),
            }
        }
    }

    /// The answer to one question.
    pub async fn answer(&self, question: &Question) -> Answer {
        // A name that is written out in full is not sought in the system's own domains.
        let lookup = self.0.lookup(packet::written(&question.name), packet::wire_type(question.kind)).await;
        match lookup {
            Ok(lookup) => match packet::records(lookup.answers(), question) {
                Ok((found, _)) if found.is_empty() => Answer::from(Err(Failure::NoData)),
                Ok((found, ttl)) => Answer { found: Ok(found), ttl, secure: false },
                Err(failure) => Answer::from(Err(failure)),
            },
            Err(error) => {
                let (failure, ttl) = failure(&error);
                Answer { found: Err(failure), ttl, secure: false }
            }
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// What an error means for the question, and for how many seconds.
fn failure(error: &NetError) -> (Failure, u32) {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => (Failure::NxDomain, none.negative_ttl.unwrap_or(0)),
            ResponseCode::NoError => (Failure::NoData, none.negative_ttl.unwrap_or(0)),
            _ => (Failure::ServFail, 0),
        },
        NetError::Timeout => (Failure::Timeout, 0),
        NetError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => (Failure::Timeout, 0),
        _ => (Failure::ServFail, 0),
    }
}
