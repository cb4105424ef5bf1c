//! From the config to the listeners, and from Ctrl-C to the end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use facteur::address::Domain;
use facteur::base::Secret;
use facteur::net::serve::{Connection, Incident, Service as Listeners, ServiceConfig};
use facteur::net::tls::Acceptor;
use facteur::spool::{Queue, QueueConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::accounts::Accounts;
use super::auth::Guard;
use super::config::{Config, Listen, Service};
use super::dns::Policies;
use super::guesses::Guesses;
use super::host::{CHECKS, Fault, Host};
use super::log::{self, log};
use super::relay::Relay;
use super::setup::{self, Site};
use super::{delivery, dns, imap, pop3, smtp};

/// Serves those listeners of the config that are among `services` until the process is told to stop.
pub fn run(program: &'static str, config: Config, data: &Path, services: &[Service]) -> Result<(), String> {
    let wanted: Vec<Listen> =
        config.listen.iter().filter(|listen| services.contains(&listen.service)).cloned().collect();
    if wanted.is_empty() {
        return Err("listen: no listener in the config is for this program".to_owned());
    }
    log::begin(program, &config.hostname);
    let site = setup::prepare(data, &config)?;
    let name: Domain = config.hostname.parse().map_err(|error| format!("hostname: {error}"))?;
    let accounts = Accounts::new(&config, &site.users, data, site.decoys.clone())?;
    let tls = acceptor(data, &config)?;
    let asks = config.direct || config.auth.asks();
    let resolver = asks.then(|| dns::resolver(&config.dns)).transpose()?;
    let guard = Guard::new(&config.auth, data, resolver.as_ref())?;
    let queue = data.join(&config.queue.path);
    let spool = Queue::open(QueueConfig::new(&queue)).map_err(|error| format!("{}: {error}", queue.display()))?;
    let recovered = spool.recover().map_err(|error| format!("{}: {error}", queue.display()))?;
    if recovered.removed > 0 {
        log!("queue", "removed {} files of messages that were never accepted or are done", recovered.removed);
    }
    for id in recovered.damaged {
        log!(id, "damaged, left as it is in {}", queue.display());
    }
    let delivers =
        wanted.iter().any(|listen| matches!(listen.service, Service::Smtp | Service::Submission | Service::Smtps));
    let (runner, fresh) = mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(false);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("threads: {error}"))?;
    raise_file_limit();
    runtime.block_on(async {
        let resolver = resolver.filter(|_| config.direct);
        let policies = resolver.as_ref().and_then(|resolver| Policies::open(resolver, data));
        let relay = Relay::new(&config, data, resolver, policies.as_ref().map(|policies| policies.mta_sts.clone()))?;
        let keeping = policies.map(|policies| tokio::spawn(policies.keep(stopping.clone())));
        let (guesses, checks) = (Guesses::default(), Semaphore::new(CHECKS));
        let host = Arc::new(Host {
            config,
            name,
            accounts,
            tls,
            guard,
            relay,
            guesses,
            checks,
            spool,
            runner,
            stop: stopping,
        });
        let mut listeners = Vec::new();
        for Listen { service, address } in wanted {
            let listener =
                TcpListener::bind(address).await.map_err(|error| format!("{address} ({service}): {error}"))?;
            listeners.push((service, listener));
        }
        print_table(&host, &site, &listeners)?;
        let delivering = delivers.then(|| tokio::spawn(delivery::run(Arc::clone(&host), fresh)));
        let mut serving = JoinSet::new();
        let mut running = Vec::new();
        for (service, listener) in listeners {
            let listeners = listeners_of(&host, service);
            running.push(listeners.clone());
            serving.spawn(serve(Arc::clone(&host), listeners, service, listener)?);
        }
        let mut delivering = delivering;
        let fault = tokio::select! {
            told = told_to_stop() => told.err().map(|error| format!("signals: {error}")),
            // Without it mail would be accepted that nobody delivers.
            ended = ended(&mut delivering) => Some(format!("the runner of the queue ended: {ended}")),
        };
        log!("stop", "ending sessions, {} s at most", host.config.shutdown_grace);
        running.iter().for_each(Listeners::stop);
        while serving.join_next().await.is_some() {}
        // Nothing is accepted any more: deliveries under way come to their end, the rest stays in the queue.
        let _ = stop.send(true);
        let grace = Duration::from_secs(host.config.shutdown_grace);
        if let Some(delivering) = delivering.filter(|delivering| !delivering.is_finished())
            && tokio::time::timeout(grace, delivering).await.is_err()
        {
            log!("queue", "deliveries broken off; the messages stay in the queue");
        }
        if let Some(keeping) = keeping {
            let _ = keeping.await;
        }
        log!("stop", "done");
        fault.map_or(Ok(()), Err)
    })
}

/// How the runner ended; waits for ever where there is none.
async fn ended(runner: &mut Option<JoinHandle<Result<(), Fault>>>) -> String {
    match runner {
        None => std::future::pending().await,
        Some(runner) => match runner.await {
            Ok(Ok(())) => "early".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        },
    }
}

/// As many open files as this system lets us have: each connection is one, and each message under way.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Where it cannot be raised the limits of the listeners still hold, or connections are refused for a while.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// One service with its limits; what goes wrong in it is logged.
fn listeners_of(host: &Host, service: Service) -> Listeners {
    let mut config = ServiceConfig::new();
    config.connections = host.config.max_connections;
    config.per_address = Some(host.config.max_connections_per_address);
    config.grace = Duration::from_secs(host.config.shutdown_grace);
    config.farewell = match service {
        Service::Smtp | Service::Submission => Some("421 4.7.0 too many connections, try again later\r\n".into()),
        Service::Pop3 => Some("-ERR [SYS/TEMP] too many connections, try again later\r\n".into()),
        Service::Imap => Some("* BYE too many connections, try again later\r\n".into()),
        // In the clear it would be noise to whoever expects TLS.
        Service::Smtps | Service::Pop3s | Service::Imaps => None,
    };
    Listeners::reporting(config, move |incident| match incident {
        Incident::Refused { peer: Some(peer), limit } => log!(service, "refused: relay={peer}, limit={limit:?}"),
        Incident::Panicked { peer: Some(peer), message } => log!(service, "panicked: relay={peer}: {message}"),
        other => log!(service, "{other:?}"),
    })
}

/// The accept loop of one listener.
fn serve(
    host: Arc<Host>,
    listeners: Listeners,
    service: Service,
    listener: TcpListener,
) -> Result<impl Future<Output = ()>, String> {
    let smtp = smtp::config(&host.config, &host.accounts.offer, service)?;
    Ok(async move {
        let handler = |connection: Connection<TcpStream>| {
            let (host, smtp) = (Arc::clone(&host), Arc::clone(&smtp));
            async move {
                let peer = connection.peer.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
                // Each in a box: a session has no room for what those of the other services need.
                let ended = match service {
                    Service::Smtp | Service::Submission | Service::Smtps => {
                        Box::pin(smtp::session(host, smtp, connection, peer, service)).await
                    }
                    Service::Pop3 | Service::Pop3s => Box::pin(pop3::session(host, connection, peer, service)).await,
                    Service::Imap | Service::Imaps => Box::pin(imap::session(host, connection, peer, service)).await,
                };
                if let Err(error) = ended {
                    log!(service, "relay={peer}: {error}");
                }
            }
        };
        listeners.run(listener, handler).await;
    })
}

fn acceptor(data: &Path, config: &Config) -> Result<Acceptor, String> {
    let read = |path: &Path| {
        let path = data.join(path);
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let chain = read(&config.tls.certificate)?;
    let key = Secret::from(read(&config.tls.key)?);
    Acceptor::from_pem(&chain, &key)
        .map_err(|error| format!("{}: {error}", data.join(&config.tls.certificate).display()))
}

/// Ctrl-C, or the signal of whoever stops services.
async fn told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// The listeners as a table, and what to try. The table ends with an empty line.
fn print_table(host: &Host, site: &Site, listeners: &[(Service, TcpListener)]) -> Result<(), String> {
    let mut text = format!("{} serves {}, data in {}\n\n", host.config.hostname, domains(host), site.data.display());
    let mut found = Vec::new();
    for (service, listener) in listeners {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        text.push_str(&format!("  {service:<11} {address:<22} {}\n", service.about()));
        found.push((*service, address));
    }
    text.push('\n');
    if let Some(file) = &site.demo_password {
        let password = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (password, certificate) = (password.trim(), site.data.join(&host.config.tls.certificate));
        text.push_str(&format!("User demo, password {password} (also in {}; delete it when done).\n", file.display()));
        text.push_str(&tries(&found, &certificate.display().to_string(), password));
    }
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| std::io::stdout().flush())
        .map_err(|error| error.to_string())
}

fn domains(host: &Host) -> String {
    let names: Vec<String> = host.config.local_domains.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Commands for curl: send a letter, read it by POP3, read it by IMAP.
fn tries(found: &[(Service, SocketAddr)], certificate: &str, password: &str) -> String {
    let port = |service| found.iter().find(|(known, _)| *known == service).map(|(_, address)| address.port());
    let login = format!("--cacert {certificate} --user demo:{password}");
    let mut text = String::new();
    if let Some(port) = port(Service::Submission) {
        text.push_str(&format!(
            "\nSend yourself a letter:\n  printf 'From: demo@localhost\\r\\nTo: demo@localhost\\r\\nSubject: hello\\r\\n\\r\\nIt works.\\r\\n' |\n    curl -sS {login} --ssl-reqd --mail-from demo@localhost --mail-rcpt demo@localhost -T - smtp://localhost:{port}\n"
        ));
    }
    if let Some(port) = port(Service::Pop3s) {
        text.push_str(&format!("Read it by POP3:\n  curl -sS {login} pop3s://localhost:{port}/1\n"));
    }
    if let Some(port) = port(Service::Imaps) {
        text.push_str(&format!("Read it by IMAP:\n  curl -sS {login} 'imaps://localhost:{port}/INBOX;MAILINDEX=1'\n"));
    }
    text.push('\n');
    text
}
