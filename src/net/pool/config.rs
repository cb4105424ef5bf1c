//! How many sessions a pool has, and for how long.

use std::time::Duration;

/// The limits of a [`Pool`](super::Pool).
///
/// ```
/// use facteur::net::PoolConfig;
///
/// let mut config = PoolConfig::default();
/// config.per_host = 2;
/// assert_eq!(config.connections, 100);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolConfig {
    /// How many connections there may be at once, those that are idle among them. Default 100, as Postfix has it for processes.
    pub connections: usize,
    /// How many of them to one host, once it has let us in. Default 5: few hosts mind so many, and a queue for one of them is worked off quickly, as
    /// each takes many messages.
    pub per_host: usize,
    /// After how many messages a session ends. Default 100: by then what its beginning cost is of no account, and load balancers
    /// on the other side like to share anew. A server's LIMITS (RFC 9422) may end it earlier.
    pub messages: u32,
    /// For how long a session is kept for the next message. Default 10 seconds: while there is a queue the next comes at once,
    /// and others need the places of that host.
    pub idle: Duration,
    /// How long a host that could not be reached is left alone. It doubles with each time in a row. Default 30 seconds.
    pub pause: Duration,
    /// The longest such pause. Default 10 minutes.
    pub longest_pause: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            connections: 100,
            per_host: 5,
            messages: 100,
            idle: Duration::from_secs(10),
            pause: Duration::from_secs(30),
            longest_pause: Duration::from_secs(600),
        }
    }
}
