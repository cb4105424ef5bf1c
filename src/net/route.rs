//! The hosts that a message may go to, in the order in which they are asked.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::auth::TlsPolicy;
use crate::dns::mx::Targets;
use crate::net::session::Reason;
use crate::net::submit::SendError;
use crate::smtp::{Outcome, Recipient};

/// The hosts that a message may go to, in the order in which they are asked, with their addresses and ports. Cheap to clone.
///
/// ```
/// use facteur::dns::{Zone, mx};
/// use facteur::net::Route;
///
/// let zone: Zone = "b.test MX 1 mx.b.test\nmx.b.test A 192.0.2.1".parse()?;
/// let targets = zone.ask(mx::Lookup::new(&"b.test".parse()?, 1)).unwrap();
/// let route = Route::by(&targets, 25);
/// # let _ = route;
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    stops: Arc<[Stop]>,
    /// The first that is asked.
    at: usize,
}

/// There is no host that a message could be sent to now: the domain has none, or all are known to be down.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.reply)]
pub struct NoHost(pub(super) Reason);

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// What its certificate must name: a host name, or an address.
    pub(super) host: String,
    pub(super) addresses: Vec<SocketAddr>,
    /// What tells it from others.
    pub(super) key: String,
    /// What it must prove.
    pub(super) policy: Arc<TlsPolicy>,
}

impl NoHost {
    /// What that means for each of these recipients.
    pub fn outcomes(&self, recipients: impl IntoIterator<Item = Recipient>) -> Vec<Outcome> {
        recipients.into_iter().map(|recipient| self.0.outcome(recipient)).collect()
    }
}

impl Route {
    /// One host, given as host and port: `mx.example.net:25`, `[2001:db8::1]:587`. Its addresses are looked up as this system does.
    ///
    /// # Errors
    /// [`SendError::BadServer`], [`SendError::Resolve`].
    pub async fn to(server: &str) -> Result<Self, SendError> {
        let (host, port) = server.rsplit_once(':').ok_or(SendError::BadServer)?;
        let port: u16 = port.parse().map_err(|_| SendError::BadServer)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses = tokio::net::lookup_host((host, port)).await.map_err(SendError::Resolve)?.collect();
        Ok(Self { stops: [Stop::new(host, port, addresses)].into(), at: 0 })
    }

    /// The hosts that the DNS names, at this port.
    pub fn by(targets: &Targets, port: u16) -> Self {
        let stop = |host: &crate::dns::mx::Host| {
            let addresses: Vec<_> = host.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
            let literal = || addresses.first().map_or_else(String::new, |first| first.ip().to_string());
            let name = host.name.as_ref().map_or_else(literal, |name| name.as_str().to_owned());
            Stop::new(&name, port, addresses)
        };
        Self { stops: targets.hosts.iter().map(stop).collect(), at: 0 }
    }

    /// The same hosts, each with what it must prove before it gets a message: those of the targets, in their order. A host without
    /// a policy must prove nothing; to whom it belongs is taken for known.
    #[must_use]
    pub fn with_policies(self, policies: impl IntoIterator<Item = TlsPolicy>) -> Self {
        let policies =
            policies.into_iter().map(Arc::new).chain(std::iter::repeat_with(|| Arc::new(TlsPolicy::given())));
        let with = |(stop, policy): (&Stop, _)| Stop { policy, ..stop.clone() };
        Self { stops: self.stops.iter().zip(policies).map(with).collect(), at: self.at }
    }

    /// The hosts with their addresses, of which no more are tried in all. One is kept for each host that comes later: a host of
    /// many addresses must not hide the one that stands in for it.
    pub(super) fn stops(&self, max_addresses: usize) -> impl Iterator<Item = Stop> {
        let (mut left, mut later) = (max_addresses, self.stops.len().saturating_sub(self.at));
        self.stops.iter().skip(self.at).map_while(move |stop| {
            later -= 1; // counts the stops
            let share = left.saturating_sub(later).max(1).min(left);
            let mut stop = stop.clone();
            stop.addresses.truncate(share);
            left -= stop.addresses.len();
            (!stop.addresses.is_empty()).then_some(stop)
        })
    }

    /// What is left of it after so many hosts; `None` where nothing is.
    pub(super) fn after(&self, hosts: usize) -> Option<Self> {
        let at = self.at.saturating_add(hosts);
        (at < self.stops.len()).then(|| Self { stops: Arc::clone(&self.stops), at })
    }
}

impl Stop {
    fn new(host: &str, port: u16, addresses: Vec<SocketAddr>) -> Self {
        let (key, policy) = (format!("{}:{port}", host.to_ascii_lowercase()), Arc::new(TlsPolicy::given()));
        Self { host: host.to_owned(), key, addresses, policy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_is_hidden_by_the_addresses_of_another() {
        for (most, addresses, expected) in [
            (8, &[10, 2, 2][..], &[6, 1, 1][..]),
            (8, &[2, 2, 10], &[2, 2, 4]),
            (8, &[10], &[8]),
            (8, &[1, 10, 1], &[1, 6, 1]),
            (3, &[2, 2, 2, 2], &[1, 1, 1]),
            (1, &[2, 2], &[1]),
            (0, &[2, 2], &[]),
        ] {
            let address = |n: usize| SocketAddr::from(([192, 0, 2, u8::try_from(n).unwrap()], 25));
            let stop = |count: &usize| Stop::new("mx.test", 25, (0..*count).map(address).collect());
            let route = Route { stops: addresses.iter().map(stop).collect(), at: 0 };
            let tried: Vec<usize> = route.stops(most).map(|stop| stop.addresses.len()).collect();
            assert_eq!(tried, expected, "{most} of {addresses:?}");
            // What is left of a route is shared anew.
            let after = route.after(1).map(|route| route.stops(most).map(|stop| stop.addresses.len()).sum::<usize>());
            assert!(after.unwrap_or(0) <= most);
        }
    }
}
