//! The runner: takes what is due from the queue and delivers it, into the Maildirs here or to the next hosts.
//!
//! A message leaves the queue only when each recipient has it, or its sender has been told that he will not get it. What came of
//! a recipient is recorded as soon as it is known: after the Maildirs here, and after each next host. Where the process dies
//! in between, the next one finds the rest in the queue; a Maildir knows by the queue id whether it has a message already. A
//! next host that had taken the message and was not yet recorded gets it a second time: SMTP has no way to ask.
//!
//! Deliveries here have workers. Those to other hosts take turns at them ([`super::relay`]), without holding a worker or the message while
//! they wait.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use facteur::address::Domain;
use facteur::base::Timestamp;
use facteur::message::convert::Converted;
use facteur::message::fields::Received;
use facteur::message::{HeaderEdit, Message};
use facteur::smtp::{self, ByMode, Enhanced, ForwardPath, Recipient, trace};
use facteur::spool::{Claim, Entry, Failure, Pending, Queue, QueueId, Spool, SpoolError};
use facteur::store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet, block_in_place, spawn_blocking};
use tokio::time::MissedTickBehavior;

use super::accounts::Account;
use super::auth::Origin;
use super::config::Way;
use super::host::{Fault, Host};
use super::intake::JUNK;
use super::log::log;
use super::record::Tried;
use super::relay::{Answer, Handed};

/// A message that has passed through more servers goes in a circle.
const MOST_HOPS: usize = 100;

/// What came of one recipient.
#[derive(Clone)]
pub enum Outcome {
    /// He has it; the text is for the log.
    Delivered(String),
    /// Another host has it.
    Relayed(Handed),
    Failed(Failure),
}

/// Who works, and on what.
struct Workers {
    local: Arc<Semaphore>,
    /// For those to whom there is no way. Those who send to other hosts are the relay's.
    lost: Arc<Semaphore>,
    busy: Mutex<HashSet<QueueId>>,
}

/// An id that is worked on; dropped, it is free again.
struct Busy(Arc<Workers>, QueueId);

/// An entry in our hands, its message, and the worker's turn that it takes.
pub struct Work {
    pub claim: QueueClaim,
    pub content: Bytes,
    pub started: Instant,
    pub turn: OwnedSemaphorePermit,
}

pub type QueueClaim = <Queue as Spool>::Claim;

/// Delivers until the host stops, and then ends what is under way.
pub async fn run(host: Arc<Host>, mut fresh: mpsc::UnboundedReceiver<QueueId>) -> Result<(), Fault> {
    let workers = Arc::new(Workers {
        local: Arc::new(Semaphore::new(host.config.queue.workers)),
        lost: Arc::new(Semaphore::new(host.config.queue.workers)),
        busy: Mutex::default(),
    });
    let mut rounds = tokio::time::interval(Duration::from_secs(host.config.queue.interval));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = host.stop.clone();
    let mut tasks = JoinSet::new();
    let mut damaged = HashSet::new();
    loop {
        // Only a message that was just accepted has surely not been tried by a process that was killed.
        let (due, again) = tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            id = fresh.recv() => (id.into_iter().collect(), false),
            _ = rounds.tick() => {
                let of = Arc::clone(&host);
                let (found, seen) = spawn_blocking(move || (due(&of, &mut damaged), damaged)).await?;
                damaged = seen;
                (found.unwrap_or_else(|error| {
                    log!("queue", "cannot be read: {error}");
                    Vec::new()
                }), true)
            }
        };
        for id in due {
            if let Some(busy) = Busy::new(&workers, &id) {
                tasks.spawn(attempt(Arc::clone(&host), busy, again));
            }
        }
        while let Some(ended) = tasks.try_join_next() {
            tell(ended);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        tell(ended);
    }
    host.relay.close().await;
    Ok(())
}

/// A delivery that panicked ends alone, and is told.
fn tell(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        log!("queue", "a delivery broke off: {error}");
    }
}

/// What is to be tried now, the most urgent first. An entry that cannot be understood is told once.
fn due(host: &Host, damaged: &mut HashSet<QueueId>) -> Result<Vec<QueueId>, SpoolError> {
    let now = now();
    let mut due = Vec::new();
    for id in host.spool.list()? {
        match host.spool.entry(&id) {
            Ok(entry) if entry.is_due(now) => due.push((entry.priority, entry.arrived.unix(), id)),
            Ok(_) | Err(SpoolError::NoEntry(_)) => {}
            Err(error) => {
                if damaged.insert(id.clone()) {
                    log!(id, "left as it is: {error}");
                }
            }
        }
    }
    due.sort();
    Ok(due.into_iter().map(|(_, _, id)| id).collect())
}

/// Lets what waits for these hosts be tried in the runner's next round, and says how many messages that is. What is on hold, held by its sender, or
/// being tried stays as it is.
pub fn release(host: &Host, waiting: &smtp::Waiting) -> Result<usize, SpoolError> {
    let fits = |domain: &Domain| match waiting {
        smtp::Waiting::Host(name) => domain == name,
        smtp::Waiting::Below(name) => {
            let (domain, name) = (domain.to_string().to_ascii_lowercase(), name.to_string().to_ascii_lowercase());
            domain.strip_suffix(&name).is_some_and(|below| below.is_empty() || below.ends_with('.'))
        }
        _ => false, // there is one queue, and it has no name
    };
    let now = now();
    // Whoever asks is there again.
    host.relay.ask_again();
    let mut released = 0;
    for id in host.spool.list()? {
        let Ok(entry) = host.spool.entry(&id) else { continue };
        let is_for = |pending: &Pending| match &pending.recipient.to {
            ForwardPath::Address(to) => fits(to.domain()),
            ForwardPath::Postmaster => false,
        };
        let held = entry.params.hold.is_some_and(|hold| hold.until(entry.arrived).unix() > now.unix());
        if held || entry.held.is_some() || !entry.recipients.iter().any(is_for) {
            continue;
        }
        let Some(mut claim) = host.spool.claim(&id)? else { continue };
        let mut entry = claim.entry().clone();
        entry.next_try = None;
        claim.update(entry)?;
        released += 1;
    }
    Ok(released)
}

/// Tries one entry: first here, then at other hosts.
async fn attempt(host: Arc<Host>, busy: Busy, again: bool) {
    let Busy(workers, id) = &busy;
    let tried = async {
        let Some(turn) = or_stop(&host, Arc::clone(&workers.local).acquire_owned()).await else { return Ok(()) };
        let elsewhere = here(&host, id, turn?, again).await?;
        if elsewhere {
            there(&host, id, &workers.lost).await?;
        }
        Ok::<(), Fault>(())
    };
    if let Err(error) = tried.await {
        log!(id, "stat=Deferred: {error}");
    }
}

/// Waits for something; `None` where the host stops first.
async fn or_stop<T>(host: &Host, awaited: impl Future<Output = T>) -> Option<T> {
    let mut stop = host.stop.clone();
    tokio::select! {
        biased;
        () = async { drop(stop.wait_for(|stop| *stop).await) } => None,
        got = awaited => Some(got),
    }
}

/// Delivers to the users here. Whether there are other recipients.
async fn here(host: &Arc<Host>, id: &QueueId, turn: OwnedSemaphorePermit, again: bool) -> Result<bool, Fault> {
    let started = Instant::now();
    let Some(claim) = take(host, id).await? else { return Ok(false) };
    let entry = claim.entry().clone();
    let is_remote = |pending: &Pending| self::elsewhere(host, pending).is_some();
    let elsewhere = entry.recipients.iter().any(is_remote);
    if entry.recipients.iter().all(is_remote) {
        return Ok(elsewhere);
    }
    let work = Work::new(claim, started, turn).await?;
    let hopeless = hopeless(&work);
    // Several addresses may be of one user, who wants one copy.
    let mut by_account: HashMap<String, Outcome> = HashMap::new();
    let mut outcomes = Vec::new();
    for (place, pending) in entry.recipients.iter().enumerate().filter(|(_, pending)| !is_remote(pending)) {
        let outcome = match (&hopeless, host.accounts.recipient(&pending.recipient.to)) {
            (Some(outcome), _) => outcome.clone(),
            (_, None) => Outcome::Failed(Failure::new(Enhanced(5, 1, 1), "no such user here")),
            (_, Some(account)) => match by_account.get(&account.name) {
                Some(outcome) => outcome.clone(),
                None => {
                    let outcome = local(account, &entry, &work.content, again).await?;
                    by_account.insert(account.name.clone(), outcome.clone());
                    outcome
                }
            },
        };
        outcomes.push((place, outcome));
    }
    let tried = if elsewhere { Tried::InPart } else { Tried::Whole };
    work.record(host, outcomes, tried).await?;
    Ok(elsewhere)
}

/// Delivers to other hosts, one after the other, and records what came of it after each of them.
async fn there(host: &Arc<Host>, id: &QueueId, workers: &Arc<Semaphore>) -> Result<(), Fault> {
    let started = Instant::now();
    let (of, wanted) = (Arc::clone(host), id.clone());
    let entry = match spawn_blocking(move || of.spool.entry(&wanted)).await? {
        Ok(entry) => entry,
        Err(SpoolError::NoEntry(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut ways: BTreeMap<String, (Option<Way<'_>>, Domain)> = BTreeMap::new();
    for pending in &entry.recipients {
        if let Some((way, domain)) = elsewhere(host, pending) {
            ways.entry(key(host, way, domain)).or_insert_with(|| (way, domain.clone()));
        }
    }
    let mut left = ways.len();
    // The signatures, once they are made.
    let mut stamp: Option<String> = None;
    for (key, (way, domain)) in &ways {
        left -= 1;
        let tried = if left == 0 { Tried::Whole } else { Tried::InPart };
        let mut hop = match way {
            None => Err(Failure::new(Enhanced(5, 4, 4), "no route to this domain")),
            Some(way) => host.relay.hop(*way, domain).await,
        };
        // Those who wait for another turn, where they are not all.
        let mut only: Option<Vec<Recipient>> = None;
        loop {
            let turn = match &hop {
                Err(failure) => Err(failure.clone()),
                Ok(hop) => match or_stop(host, hop.turn()).await {
                    Some(turn) => turn,
                    None => return Ok(()),
                },
            };
            let workers = hop.as_ref().map_or(workers, |hop| hop.workers());
            let Some(worker) = or_stop(host, Arc::clone(workers).acquire_owned()).await else { return Ok(()) };
            let Some(claim) = take(host, id).await? else { return Ok(()) };
            let work = Work::new(claim, started, worker?).await?;
            let entry = work.claim.entry().clone();
            let is_for = |pending: &Pending| {
                elsewhere(host, pending).is_some_and(|(way, domain)| self::key(host, way, domain) == *key)
                    && only.as_ref().is_none_or(|only| only.contains(&pending.recipient))
            };
            let places: Vec<usize> =
                entry.recipients.iter().enumerate().filter(|(_, one)| is_for(one)).map(|(place, _)| place).collect();
            let all = |outcome: Outcome| places.iter().map(|place| (*place, outcome.clone())).collect::<Vec<_>>();
            let (outcomes, waiting) = match (hopeless(&work), turn, &mut hop) {
                (Some(outcome), ..) => (all(outcome), None),
                (None, Ok(turn), Ok(hop)) => {
                    let content = outward(host, &entry, &work.content);
                    let stamp = match &mut stamp {
                        Some(stamp) => stamp,
                        none => none.insert(stamped(host, &entry, &content).await),
                    };
                    let (answers, waiting) = hop.send(turn, &entry, &content, &places, stamp).await;
                    let outcome = |answer: Answer| match answer {
                        Ok(handed) => Outcome::Relayed(handed),
                        Err(failure) => Outcome::Failed(failure),
                    };
                    (answers.into_iter().map(|(place, answer)| (place, outcome(answer))).collect(), waiting)
                }
                (None, Err(failure), _) => (all(Outcome::Failed(failure)), None),
                (None, _, Err(failure)) => (all(Outcome::Failed(failure.clone())), None),
            };
            let tried = if waiting.is_some() { Tried::InPart } else { tried };
            work.record(host, outcomes, tried).await?;
            match waiting {
                Some(waiting) => only = Some(waiting),
                None => break,
            }
        }
    }
    Ok(())
}

/// The message as other hosts get it. The mailboxes here have it as it came.
fn outward(host: &Host, entry: &Entry, content: &Bytes) -> Bytes {
    let converted = block_in_place(|| host.guard.in_ascii(origin(host, &entry.trace), &entry.params, content));
    let Some(Converted { message, parts, fields, .. }) = converted else { return content.clone() };
    log!(entry.id, "goes out in ASCII: {parts} parts, {fields} fields");
    message.raw().clone()
}

/// The fields that sign or seal a message on its way out.
async fn stamped(host: &Host, entry: &Entry, content: &Bytes) -> String {
    let message = Bytes::from([&entry.trace[..], content].concat());
    let origin = origin(host, &entry.trace);
    let stamp = host.guard.stamp(&host.config.hostname, origin, &entry.trace, &message).await;
    stamp.unwrap_or_else(|why| {
        // It goes as it is: whoever checks it may still know it by SPF.
        log!(entry.id, "{why}");
        String::new()
    })
}

/// Where a message came from, by what this host has written above it.
fn origin(host: &Host, trace: &Bytes) -> Origin {
    let trace = Message::parse(trace.clone());
    // Reports of this host have none.
    let Some(field) = trace.header().get("Received") else { return Origin::Here };
    let received = Received::parse(field.value());
    // RFC 3848: the A in ESMTPA and its like is for who has logged in.
    let logged_in = received.with().as_deref().is_some_and(|with| with.ends_with('A'));
    let trusted = received.from().and_then(|from| from.address()).is_some_and(|ip| host.config.is_trusted(ip));
    if logged_in || trusted { Origin::Here } else { Origin::Elsewhere }
}

/// Where a recipient's mail goes that is not for here: `None` for the way where there is none.
fn elsewhere<'a, 'b>(host: &'a Host, pending: &'b Pending) -> Option<(Option<Way<'a>>, &'b Domain)> {
    match &pending.recipient.to {
        ForwardPath::Address(address) if !host.config.is_local(address.domain()) => {
            Some((host.config.way(address.domain()), address.domain()))
        }
        _ => None,
    }
}

/// What tells the next host for this domain from others.
fn key(host: &Host, way: Option<Way<'_>>, domain: &Domain) -> String {
    way.map_or_else(String::new, |way| host.relay.key(way, domain))
}

/// Takes hold of an entry that is due; `None` where another runner has it, or it is done.
pub async fn take(host: &Arc<Host>, id: &QueueId) -> Result<Option<QueueClaim>, Fault> {
    let (of, wanted) = (Arc::clone(host), id.clone());
    let claim = spawn_blocking(move || of.spool.claim(&wanted)).await??;
    Ok(claim.filter(|claim| claim.entry().is_due(now())))
}

impl Work {
    /// Reads the message.
    async fn new(claim: QueueClaim, started: Instant, turn: OwnedSemaphorePermit) -> Result<Self, Fault> {
        let (claim, content) = spawn_blocking(move || {
            let content = claim.content();
            (claim, content)
        })
        .await?;
        Ok(Self { claim, content: content?, started, turn })
    }
}

/// Into the Maildir of a user, with the trace fields before it. `again`: it may have been delivered before.
async fn local(account: &Arc<Account>, entry: &Entry, content: &Bytes, again: bool) -> Result<Outcome, Fault> {
    // RFC 5321 §4.4: "the final delivery … inserts a return-path line at the beginning of the mail data".
    let content = without_rrvs(content);
    let message = [trace::return_path(&entry.from).as_bytes(), &entry.trace, &content].concat();
    let (of, id, arrived) = (Arc::clone(account), entry.id.clone(), entry.arrived);
    let folder = if entry.trace.split(|octet| *octet == b'\n').any(is_junk) { "Junk" } else { "INBOX" };
    let delivered = spawn_blocking(move || -> Result<(), StoreError> {
        let store = of.store()?;
        if folder != "INBOX" {
            match store.create(folder) {
                Ok(()) | Err(StoreError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        if again && store.holds(folder, id.as_str())? {
            return Ok(());
        }
        store.deliver_as(folder, id.as_str(), &message, arrived)
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

/// Whether this line of the fields of this host says that the message is to be kept apart.
fn is_junk(line: &[u8]) -> bool {
    line.trim_ascii_end() == JUNK.as_bytes()
}

/// RFC 7293 §5.2: "remove all instances of this field prior to delivery to a mailbox". Since when somebody has had an address is
/// not known here, so no message is refused for it.
fn without_rrvs(content: &Bytes) -> Bytes {
    let message = Message::parse(content.clone());
    let mut header = HeaderEdit::new(&message);
    if header.remove_all("Require-Recipient-Valid-Since") == 0 {
        return content.clone();
    }
    header.finish().raw().clone()
}

/// Why a message is not even tried.
fn hopeless(work: &Work) -> Option<Outcome> {
    let failed = |status, text| Some(Outcome::Failed(Failure::new(status, text)));
    // RFC 5321 §6.3: a count of Received fields finds loops, and should be no less than 100.
    if Message::parse(work.content.clone()).header().all("Received").count() > MOST_HOPS {
        return failed(Enhanced(5, 4, 6), "too many hops: the message goes in a circle");
    }
    // RFC 2852 §4.1.3: "no further delivery attempts may be made".
    let entry = work.claim.entry();
    let by = entry.params.by.filter(|by| by.mode == ByMode::Return)?;
    let is_over = entry.arrived.unix().saturating_add(by.seconds.into()) <= now().unix();
    if is_over { failed(Enhanced(5, 4, 7), "delivery time expired") } else { None }
}

pub fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

impl Busy {
    /// `None` where somebody works on it.
    fn new(workers: &Arc<Workers>, id: &QueueId) -> Option<Self> {
        let mut busy = workers.busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        busy.insert(id.clone()).then(|| Self(Arc::clone(workers), id.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.1);
    }
}
