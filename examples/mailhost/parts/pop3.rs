//! One POP3 session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use facteur::net::Driver;
use facteur::net::serve::Connection;
use facteur::pop3::{Backend, Progress, Refusal, Server, ServerConfig, ServerEvent};
use facteur::store::{Mailbox, Store, maildir};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use super::accounts::Held;
use super::config::Service;
use super::host::{Fault, Host, Login};
use super::log::log;

/// Serves one connection.
pub async fn session(
    host: Arc<Host>,
    connection: Connection<TcpStream>,
    peer: SocketAddr,
    service: Service,
) -> Result<(), Fault> {
    let mut config = ServerConfig::new();
    config.starttls = true;
    config.auth = host.accounts.offer.clone();
    let mut driver = Driver::new(Server::new(config, Instant::now()), connection.stream).with_tls(host.tls.clone());
    if service.is_implicit_tls() {
        driver = driver.encrypted().await?;
    }
    let mut session: Option<(Backend<maildir::Mailbox>, Held)> = None;
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
        };
        match event {
            None => return Ok(()),
            Some(ServerEvent::Ask(question)) => driver.tell(host.answer(peer.ip(), &question)),
            Some(ServerEvent::AuthFailed(identity)) => {
                host.guesses.wrong(peer.ip(), Instant::now());
                log!("pop3", "login refused: user={}, relay={peer}", identity.name());
            }
            Some(ServerEvent::Login { identity, credentials }) => {
                let user = identity.name().to_owned();
                let account = match Box::pin(host.check(peer.ip(), identity, credentials)).await? {
                    Login::Right(account) => account,
                    Login::Wrong => {
                        log!("pop3", "login refused: user={user}, relay={peer}");
                        driver.refuse(Refusal::Credentials);
                        continue;
                    }
                    Login::TooMany => {
                        log!("pop3", "login refused: relay={peer}, too many wrong passwords");
                        driver.refuse(Refusal::Temporary);
                        continue;
                    }
                };
                let Some(held) = host.accounts.hold(&account) else {
                    driver.refuse(Refusal::InUse);
                    continue;
                };
                match spawn_blocking(move || account.store()?.open("INBOX")).await? {
                    Ok(mailbox) => {
                        log!("pop3", "login: user={user}, relay={peer}, messages={}", mailbox.messages().len());
                        session = Some((Backend::new(mailbox), held));
                        driver.accept();
                    }
                    Err(error) => {
                        log!("pop3", "user={user}: {error}");
                        driver.refuse(Refusal::Temporary);
                    }
                }
            }
            Some(ServerEvent::Request(request)) => {
                let Some((mut backend, held)) = session.take() else { return Ok(()) };
                backend = spawn_blocking(move || {
                    backend.begin(request);
                    backend
                })
                .await?;
                while backend.step(&mut driver) == Progress::More {
                    driver.flush().await?;
                }
                session = Some((backend, held));
            }
            Some(_) => {}
        }
    }
}
