//! One IMAP session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use facteur::base::Timestamp;
use facteur::imap::{Backend, Command, Progress, Server, ServerConfig, ServerEvent};
use facteur::net::Driver;
use facteur::net::serve::Connection;
use facteur::store::maildir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::accounts::Account;
use super::config::Service;
use super::host::{Fault, Host, Login};
use super::log::log;

/// How often a client in IDLE is told of what other programs did to the mailbox; what is delivered or
/// changed through this process it hears at once.
const LOOK: Duration = Duration::from_secs(15);

/// Serves one connection.
pub async fn session(
    host: Arc<Host>,
    connection: Connection<TcpStream>,
    peer: SocketAddr,
    service: Service,
) -> Result<(), Fault> {
    let mut config = ServerConfig::new(&host.config.hostname);
    config.starttls = !service.is_implicit_tls();
    config.auth = host.accounts.offer.clone();
    config.capabilities.push("CHILDREN".to_owned());
    config.max_message = u32::try_from(host.config.max_message_size).unwrap_or(u32::MAX);
    let mut driver = Driver::new(Server::new(config, Instant::now()), connection.stream).with_tls(host.tls.clone());
    if service.is_implicit_tls() {
        driver = driver.encrypted().await?;
    }
    let mut backend: Option<Backend<maildir::Store>> = None;
    let mut account: Option<Arc<Account>> = None;
    let mut news: Option<watch::Receiver<u64>> = None;
    let mut idle = false;
    let stopping = connection.stopping;
    let mut told = false;
    loop {
        let event = tokio::select! {
            event = driver.next() => event?,
            () = stopping.begun(), if !told => {
                told = true;
                driver.shutdown();
                continue;
            }
            () = something_new(&mut news), if idle => {
                if let Some(backend) = &mut backend {
                    look(backend, &mut driver).await?;
                }
                continue;
            }
        };
        match event {
            None => return Ok(()),
            Some(ServerEvent::Ask(question)) => driver.tell(host.answer(peer.ip(), &question)),
            Some(ServerEvent::AuthFailed(identity)) => {
                host.guesses.wrong(peer.ip(), Instant::now());
                log!("imap", "login refused: user={}, relay={peer}", identity.name());
            }
            Some(ServerEvent::Login { identity, credentials }) => {
                let user = identity.name().to_owned();
                let found = match Box::pin(host.check(peer.ip(), identity, credentials)).await? {
                    Login::Right(found) => found,
                    Login::Wrong => {
                        log!("imap", "login refused: user={user}, relay={peer}");
                        driver.refuse();
                        continue;
                    }
                    Login::TooMany => {
                        log!("imap", "login refused: relay={peer}, too many wrong passwords");
                        driver.no(None, "too many wrong passwords from there, try again later");
                        continue;
                    }
                };
                match block_in_place(|| found.store()) {
                    Ok(store) => {
                        log!("imap", "login: user={user}, relay={peer}");
                        (backend, news) = (Some(Backend::new(store)), Some(found.news.subscribe()));
                        account = Some(found);
                        driver.accept();
                    }
                    Err(error) => {
                        log!("imap", "user={user}: {error}");
                        driver.no(None, "the mailboxes cannot be opened now");
                    }
                }
            }
            Some(ServerEvent::Command(command)) => {
                let Some((backend, account)) = backend.as_mut().zip(account.as_ref()) else { return Ok(()) };
                let changes = changes(&command);
                block_in_place(|| backend.begin(command, Timestamp::from(SystemTime::now())));
                answer(backend, &mut driver).await?;
                if changes {
                    account.tell();
                }
            }
            Some(ServerEvent::Idle) => {
                idle = true;
                if let Some(backend) = &mut backend {
                    look(backend, &mut driver).await?;
                }
            }
            Some(ServerEvent::IdleDone) => idle = false,
            Some(_) => {}
        }
    }
}

/// Whether other sessions of the user want to hear of it.
fn changes(command: &Command) -> bool {
    use Command::{Append, Close, Copy, Expunge, Move, Store};
    matches!(command, Append { .. } | Close | Copy { .. } | Expunge { .. } | Move { .. } | Store { .. })
}

type Session = Driver<Server, TcpStream>;

/// Tells a client in IDLE what is new.
async fn look(backend: &mut Backend<maildir::Store>, driver: &mut Session) -> Result<(), Fault> {
    match block_in_place(|| backend.look(driver)) {
        Progress::Finished => Ok(()),
        Progress::More => {
            driver.flush().await?;
            answer(backend, driver).await
        }
    }
}

/// Takes the steps of an answer, and sends what each has written before the next.
async fn answer(backend: &mut Backend<maildir::Store>, driver: &mut Session) -> Result<(), Fault> {
    while block_in_place(|| backend.step(driver)) == Progress::More {
        driver.flush().await?;
    }
    Ok(())
}

/// Comes when mail was delivered, or it is time to look.
async fn something_new(news: &mut Option<watch::Receiver<u64>>) {
    match news {
        Some(news) => drop(tokio::time::timeout(LOOK, news.changed()).await),
        None => tokio::time::sleep(LOOK).await,
    }
}
