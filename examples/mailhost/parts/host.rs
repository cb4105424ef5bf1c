//! What all sessions share.

use std::path::PathBuf;

use facteur::address::Domain;
use facteur::net::Resolver;
use facteur::net::tls::Acceptor;
use facteur::spool::{Queue, QueueId};
use tokio::sync::{mpsc, watch};

use super::accounts::Accounts;
use super::config::Config;

/// Whatever ends a session before its end; it goes to the log.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The one host that all listeners serve.
pub struct Host {
    pub config: Config,
    /// Where relative paths start.
    pub data: PathBuf,
    /// `config.hostname`, parsed.
    pub name: Domain,
    pub accounts: Accounts,
    pub tls: Acceptor,
    /// For direct delivery; `None` where that is off.
    pub resolver: Option<Resolver>,
    pub spool: Queue,
    /// Tells the runner of a message that was just accepted.
    pub runner: mpsc::UnboundedSender<QueueId>,
    /// Becomes true when it is time to stop.
    pub stop: watch::Receiver<bool>,
}
