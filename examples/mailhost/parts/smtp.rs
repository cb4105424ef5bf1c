//! One SMTP session: mail from other hosts (`smtp`), or from users (`submission`, `smtps`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use facteur::address::{Domain, Mailbox, list};
use facteur::auth;
use facteur::base::Timestamp;
use facteur::message::{DefectKind, Field, Message};
use facteur::net::Driver;
use facteur::net::serve::Connection;
use facteur::sasl::Offer;
use facteur::smtp::server::{Content, Mail, StartTls};
use facteur::smtp::{Enhanced, ForwardPath, Reply, ReversePath, Server, ServerConfig, ServerEvent, Session};
use facteur::spool::{Draft, Queue, Spool, SpoolError, Submission};
use tokio::net::TcpStream;
use tokio::task::{block_in_place, spawn_blocking};

use super::config::{Config, Senders, Service};
use super::delivery;
use super::host::{Fault, Host, Login};
use super::intake::{Decision, GLANCE, Intake};
use super::log::log;

/// The config of the machine for each of the three services.
pub fn config(config: &Config, offer: &Offer, service: Service) -> Result<Arc<ServerConfig>, String> {
    let mut server = ServerConfig::new(&config.hostname).map_err(|error| format!("hostname: {error}"))?;
    server.content = Content::Stream;
    server.max_size = Some(config.max_message_size);
    server.auth = offer.clone();
    server.starttls = if service.is_implicit_tls() { StartTls::Off } else { StartTls::Offered };
    if service == Service::Submission {
        server.starttls = StartTls::Required;
    }
    server.require_auth = service != Service::Smtp;
    server.etrn = true;
    // What the queue and the client act upon: reports, a time to deliver, TLS all the way, and who goes first.
    server.dsn = true;
    server.deliver_by = Some(0);
    server.require_tls = true;
    server.priority = Some(String::new());
    if service != Service::Smtp {
        // RFC 4865 §4.2: on submission ports only. The queue holds such a message; a week is what people ask for.
        server.future_release = Some(Duration::from_secs(7 * 86_400));
    }
    Ok(Arc::new(server))
}

/// Serves one connection.
pub async fn session(
    host: Arc<Host>,
    config: Arc<ServerConfig>,
    connection: Connection<TcpStream>,
    peer: SocketAddr,
    service: Service,
) -> Result<(), Fault> {
    let mut server = Server::new(config, peer.ip(), Instant::now());
    server.set_clock(SystemTime::now().into());
    let mut driver = Driver::new(server, connection.stream).with_tls(host.tls.clone());
    if service.is_implicit_tls() {
        driver = Box::pin(driver.encrypted()).await?;
    }
    // The message that is coming in. Dropped before it is committed it was never there.
    let mut draft = None;
    // What is found out about it meanwhile.
    let mut intake: Option<Box<Intake>> = None;
    // Whose it is.
    let mut sender = ReversePath::Null;
    // Why lists keep the client out, once they were asked.
    let mut listed = None;
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
            Some(ServerEvent::Auth { identity, credentials }) => {
                let name = identity.authcid.clone();
                match Box::pin(host.check(peer.ip(), identity, credentials)).await? {
                    Login::Right(account) => {
                        log!("auth", "service={service}, user={}, relay={peer}", account.name);
                        driver.accept_as(account.name.clone());
                    }
                    Login::Wrong => {
                        log!("auth", "refused: service={service}, user={name}, relay={peer}");
                        driver.reply(Reply::new(535, Enhanced(5, 7, 8), "name or password is wrong"));
                    }
                    Login::TooMany => {
                        log!("auth", "refused: service={service}, relay={peer}, too many wrong passwords");
                        let text = "too many wrong passwords from there, try again later";
                        driver.reply(Reply::new(454, Enhanced(4, 7, 0), text));
                    }
                }
            }
            Some(ServerEvent::Ask(question)) => driver.tell(host.answer(peer.ip(), &question)),
            Some(ServerEvent::AuthFailed(identity)) => {
                host.guesses.wrong(peer.ip(), Instant::now());
                log!("auth", "refused: service={service}, user={}, relay={peer}", identity.name());
            }
            Some(ServerEvent::Mail { from, .. }) => match foreign_sender(&host, driver.session(), &from) {
                None => {
                    sender = from;
                    driver.accept();
                }
                Some(reply) => {
                    log!(
                        "ruleset",
                        "from={from}, relay={peer}, reject={} {}",
                        reply.code(),
                        reply.lines().collect::<Vec<_>>().join(" ")
                    );
                    driver.reply(reply);
                }
            },
            Some(ServerEvent::Rcpt { to, .. }) => {
                let known = driver.session().identity.is_some() || host.config.is_trusted(peer.ip());
                let refusal = match refusal(&host, &to, known) {
                    None if !known && !is_postmaster(&to) => {
                        if listed.is_none() {
                            listed = Some(Box::pin(listing(&host, driver.session(), &sender)).await);
                        }
                        listed.clone().flatten()
                    }
                    refusal => refusal,
                };
                match refusal {
                    None => driver.accept(),
                    Some(reply) => {
                        let text: Vec<&str> = reply.lines().collect();
                        log!("ruleset", "to={to}, relay={peer}, reject={} {}", reply.code(), text.join(" "));
                        driver.reply(reply);
                    }
                }
            }
            Some(ServerEvent::Chunk(piece)) => {
                let intake = intake.get_or_insert_with(|| begin(&host, driver.session(), peer, &sender));
                let written = block_in_place(|| {
                    let piece = intake.feed(&piece, &host.guard);
                    match &mut draft {
                        None => host
                            .spool
                            .begin()
                            .and_then(|mut begun| begun.write(&piece).map(|()| draft = Some(Ok(begun)))),
                        Some(Ok(begun)) => begun.write(&piece),
                        Some(Err(_)) => Ok(()),
                    }
                });
                if let Err(error) = written {
                    // The rest of the message is read and dropped; its end gets the answer.
                    draft = Some(Err(error));
                }
            }
            Some(ServerEvent::Message(mail)) => {
                let intake = intake.take().unwrap_or_else(|| begin(&host, driver.session(), peer, &sender));
                // What this needs is not to have room in each session that waits.
                Box::pin(accept(&host, &mut driver, mail, draft.take(), intake, peer, service)).await?;
            }
            Some(ServerEvent::Etrn(waiting)) => {
                // It costs a look at the whole queue, so it is not for everybody.
                if driver.session().identity.is_none() && !host.config.is_trusted(peer.ip()) {
                    driver.reply(Reply::new(
                        459,
                        Enhanced(4, 7, 1),
                        format!("node {waiting} not allowed: who are you?"),
                    ));
                    continue;
                }
                let of = Arc::clone(&host);
                let asked = waiting.clone();
                let released = spawn_blocking(move || delivery::release(&of, &asked)).await?;
                log!("queue", "etrn={waiting}, relay={peer}, released={released:?}");
                // RFC 1985 §5.1
                driver.reply(match released {
                    Ok(0) => Reply::new(251, Enhanced(2, 0, 0), format!("OK, no messages waiting for node {waiting}")),
                    Ok(n) => Reply::new(
                        253,
                        Enhanced(2, 0, 0),
                        format!("OK, {n} pending messages for node {waiting} started"),
                    ),
                    Err(_) => {
                        Reply::new(458, Enhanced(4, 3, 0), format!("unable to queue messages for node {waiting}"))
                    }
                });
            }
            Some(ServerEvent::Discarded(fault)) => {
                (draft, intake) = (None, None);
                log!("ruleset", "relay={peer}, reject message: {fault}");
            }
            Some(_) => driver.accept(),
        }
    }
}

/// Takes responsibility for a message that is whole: it goes into the queue, and the client hears of it.
async fn accept(
    host: &Arc<Host>,
    driver: &mut Driver<Server, TcpStream>,
    mail: Mail,
    draft: Option<Result<<Queue as Spool>::Draft, SpoolError>>,
    mut intake: Box<Intake>,
    peer: SocketAddr,
    service: Service,
) -> Result<(), Fault> {
    let begun = match draft {
        Some(begun) => begun,
        None => block_in_place(|| host.spool.begin()), // an empty message
    };
    let now = Timestamp::from(SystemTime::now());
    let rest = intake.end(&host.guard);
    let begun = begun.and_then(|mut begun| block_in_place(|| begun.write(&rest)).map(|()| begun));
    let fields = intake.glance();
    let msgid = message_id(&fields);
    let session = driver.session().clone();
    let (from, recipients) = (mail.envelope.from.clone(), mail.envelope.recipients.len());
    let foreign = foreign_author(host, &session, &fields);
    let Decision { trace, refusal, said } = intake.decide(&host.guard, &host.config.auth).await;
    if !said.is_empty() {
        log!("auth", "from={from}, relay={peer}, msgid={msgid}: {said}");
    }
    if let Some(reply) = refusal.or(foreign) {
        // The draft goes, and with it all that there is of the message here.
        let text: Vec<&str> = reply.lines().collect();
        log!("ruleset", "from={from}, relay={peer}, reject={} {}", reply.code(), text.join(" "));
        driver.reply(reply);
        return Ok(());
    }
    let committed = match begun {
        Err(error) => Err(error),
        Ok(begun) => {
            let name = host.name.clone();
            let received = session.received(name, begun.id().as_str(), &mail.envelope, now).to_string();
            let mut envelope = mail.envelope;
            envelope.recipients.extend(host.accounts.forwards(&envelope.recipients));
            let mut submission = Submission::new(envelope, now);
            // RFC 8601 §5: above our own Received field.
            submission.trace.extend(trace.into_iter().map(|field| field.trim_end().to_owned()));
            submission.trace.push(received.trim_end().to_owned());
            if service != Service::Smtp {
                submission.trace.extend(missing(&fields, begun.id().as_str(), &host.name, now));
            }
            submission.peer = Some(format!("[{}]", peer.ip()));
            submission.protocol = Some(session.with(&submission.envelope.params).to_owned());
            submission.helo = session.hello.as_ref().and_then(|hello| hello.name.as_ref().map(ToString::to_string));
            spawn_blocking(move || begun.commit(submission)).await?
        }
    };
    match committed {
        // It is on stable storage, and ours from here on.
        Ok(id) => {
            log!(
                id,
                "from={from}, size={}, class=0, nrcpts={recipients}, msgid={msgid}, proto={}, daemon={service}, relay=[{}]",
                mail.size,
                session.with(&facteur::smtp::MailParams::default()),
                peer.ip()
            );
            driver.reply(Reply::new(250, Enhanced(2, 0, 0), format!("{id} Message accepted for delivery")));
            let _ = host.runner.send(id); // the runner looks for itself at its next round, too
        }
        Err(error) => {
            log!("queue", "from={from}, relay={peer}: {error}");
            driver.reply(unable(&error));
        }
    }
    Ok(())
}

/// What stands in the Message-ID field, empty where there is none.
fn message_id(head: &Message) -> String {
    head.header().get("Message-ID").map(|field| field.text().trim().to_owned()).unwrap_or_default()
}

/// A message begins. That of users and of trusted networks is not looked into.
fn begin(host: &Host, session: &Session, peer: SocketAddr, from: &ReversePath) -> Box<Intake> {
    let known = session.identity.is_some() || host.config.is_trusted(peer.ip());
    let stranger = (!known).then(|| client(host, session, from));
    Box::new(Intake::new(stranger, &host.config.hostname, SystemTime::now().into()))
}

/// What is known of the client and of the message that it sends.
fn client(host: &Host, session: &Session, from: &ReversePath) -> auth::Session {
    let mut client = auth::Session::of(session, from.clone());
    client.receiver = Some(host.name.clone());
    client
}

/// Why lists in the DNS keep the client out; `None` where they do not.
async fn listing(host: &Host, session: &Session, from: &ReversePath) -> Option<Reply> {
    let at = host.config.auth.lists_refuse_at?;
    let verdict = host.guard.listed(&client(host, session, from)).await?;
    let zones: Vec<&str> = verdict.listed().filter(|entry| entry.weight > 0).map(|entry| entry.zone.as_str()).collect();
    // RFC 5782 has no code of its own; RFC 3463 §3.8: "The sender is not authorized to send to the destination".
    let text = format!("{} is listed by {}", session.peer, zones.join(", "));
    (verdict.score >= at).then(|| Reply::new(550, Enhanced(5, 7, 1), text))
}

/// Whoever is kept out must be able to ask why.
fn is_postmaster(to: &ForwardPath) -> bool {
    match to {
        ForwardPath::Postmaster => true,
        ForwardPath::Address(address) => address.local().eq_ignore_ascii_case("postmaster"),
    }
}

/// Why a user may not send from here: it is the address of somebody else (RFC 6409 §6.1).
fn foreign_sender(host: &Host, session: &Session, from: &ReversePath) -> Option<Reply> {
    let user = bound(host, session)?;
    match from {
        ReversePath::Address(address) if !host.accounts.owns(user, address) => Some(not_theirs(address, user)),
        _ => None,
    }
}

/// Why a user may not send what begins like this: its author is somebody else, or cannot be told.
fn foreign_author(host: &Host, session: &Session, head: &Message) -> Option<Reply> {
    let user = bound(host, session)?;
    let unknown = |text| Some(Reply::new(550, Enhanced(5, 6, 0), text));
    let header = head.header();
    if head.raw().len() >= GLANCE && header.raw().len() == head.raw().len() {
        return unknown("the header is too long to see who wrote the message");
    }
    // Behind a line that is no field some readers read on, and find another author.
    if head.defects().iter().any(|defect| defect.kind == DefectKind::MissingBlankLine) {
        return unknown("the header does not end in a blank line");
    }
    let mut authors = header.all("From").flat_map(Field::mailboxes).peekable();
    if authors.peek().is_none() {
        return unknown("there is no author in From");
    }
    let theirs = |author: &Mailbox<'_>| author.address().is_some_and(|address| host.accounts.owns(user, &address));
    if let Some(author) = authors.find(|author| !theirs(author)) {
        return Some(not_theirs(&author, user));
    }
    // Of two addresses with nothing between them some readers find the other one.
    let is_list = |field: Field<'_>| list::parse_strict(field.value()).is_ok();
    if header.all("From").all(is_list) { None } else { unknown("From is not as RFC 5322 has it") }
}

/// The user, where they may write under their own addresses only.
fn bound<'a>(host: &Host, session: &'a Session) -> Option<&'a str> {
    session.identity.as_deref().filter(|_| host.config.senders == Senders::Own)
}

fn not_theirs(address: &dyn std::fmt::Display, user: &str) -> Reply {
    Reply::new(550, Enhanced(5, 7, 1), format!("{address} is not an address of {user}"))
}

/// The fields that a message from a user should have and lacks (RFC 6409 §8.2, §8.3). Where its header does not end in what was
/// looked at, nobody knows.
fn missing(head: &Message, id: &str, host: &Domain, now: Timestamp) -> Vec<String> {
    let header = head.header();
    if head.raw().len() >= GLANCE && header.raw().len() == head.raw().len() {
        return Vec::new();
    }
    let mut fields = Vec::new();
    if header.get("Date").is_none() {
        fields.push(format!("Date: {now}"));
    }
    if header.get("Message-ID").is_none() {
        // Ids of the queue come again after years.
        let host = host.to_ascii().unwrap_or_else(|| "localhost".to_owned());
        fields.push(format!("Message-ID: <{id}.{}@{host}>", now.unix()));
    }
    fields
}

/// Why mail for this recipient is not taken; `known` clients may send it anywhere that there is a way to.
fn refusal(host: &Host, to: &ForwardPath, known: bool) -> Option<Reply> {
    let domain = match to {
        ForwardPath::Postmaster => None,
        ForwardPath::Address(address) => Some(address.domain()),
    };
    match domain {
        Some(domain) if !host.config.is_local(domain) => match (known, host.config.way(domain)) {
            (false, _) => Some(Reply::new(550, Enhanced(5, 7, 1), "relaying denied")),
            (true, None) => Some(Reply::new(
                550,
                Enhanced(5, 4, 4),
                "no route: neither transport nor smart host nor direct delivery is set",
            )),
            (true, Some(_)) => None,
        },
        _ if host.accounts.recipient(to).is_some() => None,
        _ => Some(Reply::new(550, Enhanced(5, 1, 1), "no such user here")),
    }
}

/// The answer to a message that could not be stored: trying again later makes sense.
fn unable(error: &SpoolError) -> Reply {
    match error {
        SpoolError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            Reply::new(452, Enhanced(4, 3, 1), "the queue is full, try again later")
        }
        _ => Reply::new(451, Enhanced(4, 3, 0), "the message could not be stored, try again later"),
    }
}
