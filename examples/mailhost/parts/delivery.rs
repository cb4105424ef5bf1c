//! The runner: takes what is due from the queue and delivers it, into the Maildirs here or to the next host.
//!
//! A message leaves the queue only when each recipient has it, or its sender has been told that he will not get it. Where the
//! process dies in between, the next one finds the message in the queue and goes on. A Maildir knows by the queue id whether
//! it has a message already, so that nothing is delivered twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use facteur::base::Timestamp;
use facteur::message::Message;
use facteur::smtp::{Enhanced, ForwardPath};
use facteur::spool::{Claim, Entry, Failure, QueueId, Reporter, Schedule, Spool, SpoolError};
use facteur::store::StoreError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::accounts::Account;
use super::config::Way;
use super::host::{Fault, Host};
use super::log::log;
use super::relay;

/// A message that has passed through more servers goes in a circle.
const MOST_HOPS: usize = 100;

/// What came of one recipient.
enum Outcome {
    /// He has it; the text is for the log.
    Delivered(String),
    Failed(Failure),
}

/// Delivers until the host stops, and then ends what is under way.
pub async fn run(host: Arc<Host>, mut fresh: mpsc::UnboundedReceiver<QueueId>) -> Result<(), Fault> {
    let spool = Arc::clone(&host);
    // What is there at the start may have been delivered in part by a process that was killed.
    let recovered: Arc<HashSet<QueueId>> =
        Arc::new(spawn_blocking(move || spool.spool.list()).await??.into_iter().collect());
    let workers = Arc::new(Semaphore::new(host.config.queue.workers));
    let busy = Arc::new(Mutex::new(HashSet::new()));
    let mut rounds = tokio::time::interval(Duration::from_secs(host.config.queue.interval));
    let mut stop = host.stop.clone();
    loop {
        let due = tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            id = fresh.recv() => id.into_iter().collect(),
            _ = rounds.tick() => {
                let of = Arc::clone(&host);
                spawn_blocking(move || of.spool.due(now())).await?.unwrap_or_else(|error| {
                    log!("queue", "cannot be read: {error}");
                    Vec::new()
                })
            }
        };
        for id in due {
            if !lock(&busy).insert(id.clone()) {
                continue;
            }
            let permit = Arc::clone(&workers).acquire_owned().await?;
            let (host, busy, again) = (Arc::clone(&host), Arc::clone(&busy), recovered.contains(&id));
            tokio::spawn(async move {
                if let Err(error) = deliver(&host, &id, again).await {
                    log!(id, "stat=Deferred: {error}");
                }
                lock(&busy).remove(&id);
                drop(permit);
            });
        }
    }
    // All permits are back when the last delivery has ended.
    let _ = workers.acquire_many(u32::try_from(host.config.queue.workers)?).await?;
    Ok(())
}

/// Tries one entry of the queue. `again`: it may have been delivered before, in part.
async fn deliver(host: &Arc<Host>, id: &QueueId, again: bool) -> Result<(), Fault> {
    let started = Instant::now();
    let (of, wanted) = (Arc::clone(host), id.clone());
    let Some((claim, content)) = spawn_blocking(move || -> Result<_, SpoolError> {
        let Some(claim) = of.spool.claim(&wanted)? else { return Ok(None) };
        let content = claim.content()?;
        Ok(Some((claim, content)))
    })
    .await??
    else {
        return Ok(()); // another runner has it, or it is done
    };
    let entry = claim.entry().clone();
    if !entry.is_due(now()) {
        return Ok(());
    }

    // RFC 5321 §6.3: a count of Received fields finds loops, and should be no less than 100.
    let loops = Message::parse(content.clone()).header().all("Received").count() > MOST_HOPS;
    // Who is to get it here, and who by which route.
    let mut outcomes: Vec<Option<Outcome>> = entry.recipients.iter().map(|_| None).collect();
    let mut ways: BTreeMap<&str, (Way<'_>, Vec<usize>)> = BTreeMap::new();
    for (place, pending) in entry.recipients.iter().enumerate() {
        let to = &pending.recipient.to;
        let remote = match to {
            ForwardPath::Address(address) if !host.config.is_local(address.domain()) => Some(address.domain()),
            _ => None,
        };
        if loops {
            outcomes[place] =
                Some(Outcome::Failed(Failure::new(Enhanced(5, 4, 6), "too many hops: the message goes in a circle")));
            continue;
        }
        outcomes[place] = match (remote, remote.and_then(|domain| host.config.way(domain))) {
            (Some(_), Some(way)) => {
                ways.entry(way.name()).or_insert_with(|| (way, Vec::new())).1.push(place);
                None
            }
            (Some(_), None) => Some(Outcome::Failed(Failure::new(Enhanced(5, 4, 4), "no route to this domain"))),
            (None, _) => Some(match host.accounts.recipient(to) {
                Some(account) => local(account, &entry, &content, again).await?,
                None => Outcome::Failed(Failure::new(Enhanced(5, 1, 1), "no such user here")),
            }),
        };
    }
    for (way, places) in ways.into_values() {
        let results = relay::send(host, way, &entry, &content, &places).await;
        for (place, result) in places.into_iter().zip(results) {
            outcomes[place] = Some(match result {
                Ok(text) => Outcome::Delivered(text),
                Err(failure) => Outcome::Failed(failure),
            });
        }
    }

    // What remains, and who has to be told.
    let now = now();
    let schedule = schedule(host);
    let mut remaining = entry.clone();
    remaining.recipients.clear();
    let mut failed = Vec::new();
    for (mut pending, outcome) in entry.recipients.clone().into_iter().zip(outcomes) {
        let to = pending.recipient.to.clone();
        let delay = delay(now.unix() - entry.arrived.unix());
        let spent = started.elapsed().as_secs();
        match outcome {
            Some(Outcome::Delivered(text)) => {
                log!(id, "to={to}, delay={delay}, xdelay={}, dsn=2.0.0, stat=Sent ({text})", self::delay(spent as i64));
            }
            Some(Outcome::Failed(failure)) => {
                let gone = failure.is_permanent() || schedule.is_expired(&entry, now);
                let stat = if gone { "Service unavailable" } else { "Deferred" };
                log!(id, "to={to}, delay={delay}, dsn={}, stat={stat}: {}", failure.status, failure.text);
                pending.failure = Some(failure);
                if gone { failed.push(pending) } else { remaining.recipients.push(pending) }
            }
            None => remaining.recipients.push(pending),
        }
    }
    let of = Arc::clone(host);
    let warn = !remaining.recipients.is_empty() && schedule.is_late(&remaining, now);
    let told = spawn_blocking(move || -> Result<Vec<QueueId>, SpoolError> {
        // The sender is told before anything is forgotten: a process that dies here tells him twice rather than never.
        let reporter = Reporter::new(of.name.clone());
        let mut reports = Vec::new();
        reports.extend(reporter.failed(&entry, &failed, &content, now));
        if warn {
            let until = Timestamp::from_unix(entry.arrived.unix() + schedule.return_after.as_secs() as i64);
            reports.extend(reporter.delayed(&entry, &remaining.recipients, &content, now, until));
            remaining.warned = true;
        }
        let told = reports
            .iter()
            .map(|report| of.spool.store(report.envelope.clone(), &report.content))
            .collect::<Result<_, _>>()?;
        if let Some(first) = remaining.recipients.iter().find_map(|pending| pending.failure.as_ref()) {
            remaining.message = Some(format!("Deferred: {}", first.text));
        }
        remaining.tried(now, schedule.next_try(remaining.tries + 1, now));
        claim.settle(remaining)?;
        Ok(told)
    })
    .await??;
    let cause = id;
    for id in told {
        log!(id, "from=<>, class=0, report on {cause}");
        let _ = host.runner.send(id);
    }
    Ok(())
}

/// Into the Maildir of a user, with the trace fields before it.
async fn local(account: &Arc<Account>, entry: &Entry, content: &[u8], again: bool) -> Result<Outcome, Fault> {
    // RFC 5321 §4.4: "the final delivery … inserts a return-path line at the beginning of the mail data".
    let mut message = format!("Return-Path: {}\r\n", entry.from).into_bytes();
    message.extend_from_slice(&entry.trace);
    message.extend_from_slice(content);
    let (of, id, arrived) = (Arc::clone(account), entry.id.clone(), entry.arrived);
    let delivered = spawn_blocking(move || -> Result<(), StoreError> {
        let store = of.store()?;
        if again && store.holds("INBOX", id.as_str())? {
            return Ok(());
        }
        store.deliver_as("INBOX", id.as_str(), &message, arrived)
    })
    .await?;
    Ok(match delivered {
        Ok(()) => {
            account.tell();
            Outcome::Delivered(format!("mailbox of {}", account.name))
        }
        Err(error) => Outcome::Failed(Failure::new(Enhanced(4, 2, 0), format!("mailbox of {}: {error}", account.name))),
    })
}

fn schedule(host: &Host) -> Schedule {
    let mut schedule = Schedule::new();
    schedule.warn_after = Some(Duration::from_secs(host.config.queue.warn_after_hours * 3600));
    schedule.return_after = Duration::from_secs(host.config.queue.return_after_days * 86_400);
    schedule
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// `00:00:01`, or `1+02:03:04` with days, as sendmail's log has it.
fn delay(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if seconds < 86_400 { clock } else { format!("{}+{clock}", seconds / 86_400) }
}

fn lock(busy: &Mutex<HashSet<QueueId>>) -> std::sync::MutexGuard<'_, HashSet<QueueId>> {
    busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
