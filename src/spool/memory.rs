//! A spool that lives and dies with the process: for tests, and the second implementation that keeps the traits honest.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::spool::{Claim, Draft, Entry, Pending, QueueId, Spool, SpoolError, Submission, first_priority};

/// A [`Spool`] in memory. Clones share the same entries.
///
/// ```
/// use facteur::smtp::{Envelope, ForwardPath, ReversePath};
/// use facteur::spool::{Claim, Memory, Spool};
///
/// let spool = Memory::new();
/// let id = spool.store(Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]), b"\r\nhello\r\n")?;
/// let claim = spool.claim(&id)?.expect("nobody else holds it");
/// assert!(spool.claim(&id)?.is_none());
/// assert_eq!(claim.content()?, &b"\r\nhello\r\n"[..]);
/// # Ok::<(), facteur::spool::SpoolError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    entries: BTreeMap<QueueId, Stored>,
}

#[derive(Debug)]
struct Stored {
    entry: Entry,
    content: Bytes,
    claimed: bool,
}

/// A message being received into a [`Memory`].
#[derive(Debug)]
pub struct MemoryDraft {
    spool: Memory,
    id: QueueId,
    content: BytesMut,
}

/// An entry of a [`Memory`] in the hands of one runner.
#[derive(Debug)]
pub struct MemoryClaim {
    spool: Memory,
    entry: Entry,
    content: Bytes,
}

impl Memory {
    /// An empty spool.
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere leaves every entry whole: each change is one assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool for Memory {
    type Draft = MemoryDraft;
    type Claim = MemoryClaim;

    fn begin(&self) -> Result<MemoryDraft, SpoolError> {
        let mut state = self.state();
        state.last += 1;
        let id = QueueId(format!("M{:013}", state.last));
        Ok(MemoryDraft { spool: self.clone(), id, content: BytesMut::new() })
    }

    fn list(&self) -> Result<Vec<QueueId>, SpoolError> {
        Ok(self.state().entries.keys().cloned().collect())
    }

    fn entry(&self, id: &QueueId) -> Result<Entry, SpoolError> {
        match self.state().entries.get(id) {
            Some(stored) => Ok(stored.entry.clone()),
            None => Err(SpoolError::NoEntry(id.clone())),
        }
    }

    fn claim(&self, id: &QueueId) -> Result<Option<MemoryClaim>, SpoolError> {
        let mut state = self.state();
        let Some(stored) = state.entries.get_mut(id).filter(|stored| !stored.claimed) else { return Ok(None) };
        stored.claimed = true;
        let (entry, content) = (stored.entry.clone(), stored.content.clone());
        Ok(Some(MemoryClaim { spool: self.clone(), entry, content }))
    }
}

impl Draft for MemoryDraft {
    fn id(&self) -> &QueueId {
        &self.id
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), SpoolError> {
        self.content.extend_from_slice(octets);
        Ok(())
    }

    fn commit(self, submission: Submission) -> Result<QueueId, SpoolError> {
        let size = self.content.len() as u64;
        let Submission { envelope, arrived, trace, not_before, held, .. } = submission;
        if envelope.recipients.is_empty() {
            return Err(SpoolError::Misuse("a message needs a recipient"));
        }
        let trace: String = trace.iter().flat_map(|field| field.lines().flat_map(|line| [line, "\r\n"])).collect();
        let mut entry = Entry {
            id: self.id.clone(),
            from: envelope.from,
            priority: first_priority(size, envelope.recipients.len(), &envelope.params),
            params: envelope.params,
            recipients: envelope.recipients.into_iter().map(Pending::from).collect(),
            arrived,
            tries: 0,
            last_try: None,
            next_try: not_before,
            message: None,
            warned: false,
            held,
            trace: trace.into(),
            size: Some(size),
        };
        entry.params.size = Some(size);
        let stored = Stored { entry, content: self.content.freeze(), claimed: false };
        self.spool.state().entries.insert(self.id.clone(), stored);
        Ok(self.id)
    }
}

impl Claim for MemoryClaim {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn content(&self) -> Result<Bytes, SpoolError> {
        Ok(self.content.clone())
    }

    fn reader(&self) -> Result<Box<dyn Read + Send>, SpoolError> {
        Ok(Box::new(Cursor::new(self.content.clone())))
    }

    fn update(&mut self, entry: Entry) -> Result<(), SpoolError> {
        if entry.recipients.is_empty() {
            return Err(SpoolError::Misuse("an entry without recipients is to be removed"));
        }
        let kept = &self.entry;
        let entry = Entry {
            id: kept.id.clone(),
            from: kept.from.clone(),
            params: kept.params.clone(),
            arrived: kept.arrived,
            trace: kept.trace.clone(),
            size: kept.size,
            ..entry
        };
        if let Some(stored) = self.spool.state().entries.get_mut(&entry.id) {
            stored.entry = entry.clone();
        }
        self.entry = entry;
        Ok(())
    }

    fn remove(self) -> Result<(), SpoolError> {
        self.spool.state().entries.remove(&self.entry.id);
        Ok(())
    }
}

impl Drop for MemoryClaim {
    fn drop(&mut self) {
        if let Some(stored) = self.spool.state().entries.get_mut(&self.entry.id) {
            stored.claimed = false;
        }
    }
}
