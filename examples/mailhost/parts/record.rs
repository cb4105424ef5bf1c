//! What came of a try is recorded: the sender is told, and what remains goes back to the queue. Where the disk is full that waits,
//! and the entry stays in our hands, so that nobody delivers it a second time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use facteur::base::Timestamp;
use facteur::smtp::client::Handover;
use facteur::spool::{Claim, Entry, Failure, Pending, QueueId, Report, Reporter, Schedule, Spool, SpoolError, Success};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::delivery::{Outcome, QueueClaim, Work, now, take};
use super::host::{Fault, Host};
use super::log::log;
use super::relay::Handed;

/// The pauses before recording is tried again, where the disk is full: from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Whether all recipients of an entry have had their try.
#[derive(Clone, Copy, PartialEq)]
pub enum Tried {
    InPart,
    Whole,
}

impl Work {
    /// Records what came of the recipients at these places, tells the sender where he has to know, and lets the entry go.
    pub async fn record(self, host: &Arc<Host>, outcomes: Vec<(usize, Outcome)>, tried: Tried) -> Result<(), Fault> {
        let entry = self.claim.entry().clone();
        let now = now();
        let schedule = schedule(host);
        self.log(&entry, &outcomes, now);
        let mut outcomes: BTreeMap<usize, Outcome> = outcomes.into_iter().collect();
        let mut remaining = entry.clone();
        remaining.recipients.clear();
        let (mut failed, mut delivered) = (Vec::new(), Vec::new());
        let mut relayed: Vec<(Handover, Vec<Pending>)> = Vec::new();
        for (place, mut pending) in entry.recipients.iter().cloned().enumerate() {
            match outcomes.remove(&place) {
                Some(Outcome::Delivered(_)) => delivered.push(pending),
                Some(Outcome::Relayed(handed)) => {
                    match relayed.iter_mut().find(|(handover, _)| *handover == handed.handover) {
                        Some((_, told)) => told.push(pending),
                        None => relayed.push((handed.handover, vec![pending])),
                    }
                }
                Some(Outcome::Failed(failure)) => {
                    let gone = failure.is_permanent() || schedule.is_expired(&entry, now);
                    pending.failure = Some(failure);
                    if gone { failed.push(pending) } else { remaining.recipients.push(pending) }
                }
                None => remaining.recipients.push(pending),
            }
        }
        let reporter = Reporter::new(host.name.clone());
        let mut reports: Vec<Report> = reporter.failed(&entry, &failed, &self.content, now).into_iter().collect();
        reports.extend(reporter.arrived(&entry, &delivered, &self.content, now, Success::Delivered));
        let handed = |(handover, told)| reporter.relayed(&entry, told, &self.content, now, handover);
        reports.extend(relayed.iter().filter_map(|(handover, told)| handed((handover, told))));
        if tried == Tried::Whole {
            if !remaining.recipients.is_empty() && schedule.is_late(&remaining, now) {
                let until = schedule.until(&entry);
                reports.extend(reporter.delayed(&entry, &remaining.recipients, &self.content, now, until));
                remaining.warned = true;
            }
            if let Some(first) = remaining.recipients.iter().find_map(|pending| pending.failure.as_ref()) {
                remaining.message = Some(format!("Deferred: {}", first.text));
            }
            remaining.tried(now, schedule.again(&remaining, now));
        }
        // What follows needs neither the message nor a worker.
        let Self { claim, turn, .. } = self;
        settle(host, claim, turn, remaining, reports).await
    }

    /// A line a recipient.
    fn log(&self, entry: &Entry, outcomes: &[(usize, Outcome)], now: Timestamp) {
        let since = delay(now.unix() - entry.arrived.unix());
        let spent = delay(i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX));
        for (place, outcome) in outcomes {
            let Some(Pending { recipient, .. }) = entry.recipients.get(*place) else { continue };
            let to = &recipient.to;
            match outcome {
                Outcome::Delivered(text) | Outcome::Relayed(Handed { text, .. }) => {
                    log!(entry.id, "to={to}, delay={since}, xdelay={spent}, dsn=2.0.0, stat=Sent ({text})");
                }
                Outcome::Failed(Failure { status, text, .. }) => {
                    let stat = if status.0 == 5 { "Service unavailable" } else { "Deferred" };
                    log!(entry.id, "to={to}, delay={since}, xdelay={spent}, dsn={status}, stat={stat}: {text}");
                }
            }
        }
    }
}

/// Stores the reports, each once, and then what remains. Where the disk does not take it the entry stays in our hands until it
/// does, so that nobody delivers it a second time.
async fn settle(
    host: &Arc<Host>,
    claim: QueueClaim,
    turn: OwnedSemaphorePermit,
    remaining: Entry,
    mut reports: Vec<Report>,
) -> Result<(), Fault> {
    let id = remaining.id.clone();
    let mut waiting = Waiting::new(&id);
    let mut turn = Some(turn);
    let mut held = Some(claim);
    loop {
        // A claim whose removal failed is gone from our hands.
        let claim = match held.take() {
            Some(claim) => claim,
            None => match take(host, &id).await? {
                Some(claim) => claim,
                None => return Ok(()),
            },
        };
        let (of, next) = (Arc::clone(host), remaining.clone());
        let (kept, left, told, settled) = spawn_blocking(move || {
            // The sender is told before anything is forgotten: a process that dies here tells him twice rather than never.
            let mut told = Vec::new();
            while let Some(report) = reports.last() {
                match of.spool.store(report.envelope.clone(), &report.content) {
                    Ok(id) => told.push(id),
                    Err(error) => return (Some(claim), reports, told, Err(error)),
                }
                reports.pop();
            }
            if next.recipients.is_empty() {
                return (None, reports, told, claim.remove());
            }
            let mut claim = claim;
            let settled = claim.update(next);
            (Some(claim), reports, told, settled)
        })
        .await?;
        (held, reports) = (kept, left);
        for report in told {
            log!(report, "from=<>, class=0, report on {id}");
            let _ = host.runner.send(report);
        }
        let Err(error) = settled else { return Ok(()) };
        // Others may free what is missing meanwhile.
        turn.take();
        waiting.after(host, error).await?;
    }
}

/// The pauses before a disk is asked again, each longer than the one before.
struct Waiting {
    id: QueueId,
    pause: Duration,
}

impl Waiting {
    fn new(id: &QueueId) -> Self {
        Self { id: id.clone(), pause: PAUSES.0 }
    }

    /// Waits, where that may help: an error where it cannot, or the host stops meanwhile.
    async fn after(&mut self, host: &Host, error: SpoolError) -> Result<(), Fault> {
        if !matches!(error, SpoolError::Io(_)) {
            return Err(error.into());
        }
        log!(self.id, "cannot be recorded, tried again in {} s: {error}", self.pause.as_secs());
        let mut stop = host.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = async { drop(stop.wait_for(|stop| *stop).await) } => return Err("stopped before it could be recorded".into()),
        }
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }
}

fn schedule(host: &Host) -> Schedule {
    let mut schedule = Schedule::new();
    schedule.warn_after = Some(Duration::from_secs(host.config.queue.warn_after_hours * 3600));
    schedule.return_after = Duration::from_secs(host.config.queue.return_after_days * 86_400);
    schedule
}

/// `00:00:01`, or `1+02:03:04` with days, as sendmail's log has it.
fn delay(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if seconds < 86_400 { clock } else { format!("{}+{clock}", seconds / 86_400) }
}
