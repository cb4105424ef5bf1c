//! What all sessions share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use facteur::address::Domain;
use facteur::net::tls::Acceptor;
use facteur::sasl::{Answer, Credentials, Identity, Question};
use facteur::spool::{Queue, QueueId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;

use super::accounts::{Account, Accounts};
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
    /// One for each password that is being checked.
    pub checks: Semaphore,
    /// Checks what comes in, signs what goes out.
    pub guard: Guard,
    pub spool: Queue,
    /// Tells the runner of a message that was just accepted.
    pub runner: mpsc::UnboundedSender<QueueId>,
    /// Becomes true when it is time to stop.
    pub stop: watch::Receiver<bool>,
}

/// So many passwords are checked at once. A guess that is being checked is not counted yet, and each keeps a processor busy for
/// some milliseconds.
pub const CHECKS: usize = 4;

/// What came of a password, or of what proves one.
pub enum Login {
    Right(Arc<Account>),
    Wrong,
    /// Too many from there were wrong of late.
    TooMany,
}

impl Host {
    /// Whether a client is who it says.
    pub async fn check(
        self: &Arc<Self>,
        client: IpAddr,
        identity: Identity,
        credentials: Credentials,
    ) -> Result<Login, Fault> {
        let _one_of_few = self.checks.acquire().await?;
        if !self.guesses.may_try(client, Instant::now()) {
            return Ok(Login::TooMany);
        }
        let of = Arc::clone(self);
        let account = spawn_blocking(move || of.accounts.check(&identity, &credentials)).await?;
        if account.is_none() {
            self.guesses.wrong(client, Instant::now());
        }
        Ok(account.map_or(Login::Wrong, Login::Right))
    }

    /// What a mechanism of AUTH must know. Who has guessed too often learns nothing from how it ends.
    pub fn answer(&self, client: IpAddr, question: &Question) -> Answer {
        if self.guesses.may_try(client, Instant::now()) { self.accounts.answer(question) } else { Answer::Nobody }
    }
}
