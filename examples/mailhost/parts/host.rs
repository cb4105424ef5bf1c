//! What all sessions share.

use std::net::IpAddr;
use std::time::Instant;

use facteur::address::Domain;
use facteur::net::tls::Acceptor;
use facteur::sasl::{Answer, Question};
use facteur::spool::{Queue, QueueId};
use tokio::sync::{mpsc, watch};

use super::accounts::Accounts;
use super::auth::Guard;
use super::config::Config;
use super::guesses::Guesses;
use super::relay::Relay;

/// Whatever ends a session before its end; it goes to the log.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The one host that all listeners serve.
pub struct Host {
    pub config: Config,
    /// `config.hostname`, parsed.
    pub name: Domain,
    pub accounts: Accounts,
    pub tls: Acceptor,
    pub relay: Relay,
    pub guesses: Guesses,
    /// Checks what comes in, signs what goes out.
    pub guard: Guard,
    pub spool: Queue,
    /// Tells the runner of a message that was just accepted.
    pub runner: mpsc::UnboundedSender<QueueId>,
    /// Becomes true when it is time to stop.
    pub stop: watch::Receiver<bool>,
}

impl Host {
    /// What a mechanism of AUTH must know. Who has guessed too often learns nothing from how it ends.
    pub fn answer(&self, client: IpAddr, question: &Question) -> Answer {
        if self.guesses.may_try(client, Instant::now()) { self.accounts.answer(question) } else { Answer::Nobody }
    }
}
