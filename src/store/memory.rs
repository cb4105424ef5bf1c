//! A [`Store`](super::Store) in memory: what tests and examples stand on, and the plainest reading of what the traits
//! promise. Nothing is on stable storage here.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::base::Timestamp;
use crate::store::names::{INBOX, canonical, check_rename, is_below};
use crate::store::{Change, Entry, FlagEdit, Flags, Listed, StoreError, Uid, lines, view};

/// Mailboxes in memory. Clones are handles to the same mailboxes.
///
/// ```
/// use facteur::store::{Mailbox, Store, memory};
///
/// let store = memory::Store::new();
/// store.create("Lists/rust")?;
/// assert!(store.clone().open("Lists/rust")?.messages().is_empty());
/// assert!(store.open("Lists").is_err());
/// # Ok::<(), facteur::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store(Arc<Mutex<Boxes>>);

/// A mailbox of a [`Store`] in memory; it lives on while a handle is open, but says that it is gone.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::store::{Change, Flags, Mailbox, Store, memory};
///
/// let mut inbox = memory::Store::new().open("INBOX")?;
/// let uid = inbox.append(b"Subject: a\n\n", &Flags::new(), Timestamp::from_unix(0))?;
/// assert_eq!(inbox.refresh()?, [Change::Arrived(uid)]);
/// assert_eq!(&inbox.read(uid)?[..], b"Subject: a\r\n\r\n");
/// # Ok::<(), facteur::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Mailbox {
    held: Arc<Mutex<Held>>,
    seen: Vec<Entry>,
    validity: NonZeroU32,
    uid_next: Uid,
    read_only: bool,
}

#[derive(Debug)]
struct Boxes {
    boxes: BTreeMap<String, Arc<Mutex<Held>>>,
    subscribed: BTreeSet<String>,
    last_validity: NonZeroU32,
}

#[derive(Debug)]
struct Held {
    validity: NonZeroU32,
    next: Uid,
    /// Messages below this UID have been seen by a handle that may change flags.
    first_recent: Uid,
    messages: BTreeMap<Uid, Kept>,
    deleted: bool,
}

#[derive(Clone, Debug)]
struct Kept {
    octets: Bytes,
    flags: Flags,
    received: Timestamp,
}

const FIRST: Uid = Uid(NonZeroU32::MIN);

impl Store {
    /// A store with an empty `INBOX`.
    pub fn new() -> Self {
        let inbox = Arc::new(Mutex::new(Held::new(NonZeroU32::MIN)));
        Self(Arc::new(Mutex::new(Boxes {
            boxes: BTreeMap::from([(INBOX.to_owned(), inbox)]),
            subscribed: BTreeSet::new(),
            last_validity: NonZeroU32::MIN,
        })))
    }

    fn opened(&self, name: &str, read_only: bool) -> Result<Mailbox, StoreError> {
        let held = Arc::clone(lock(&self.0).boxes.get(&canonical(name)?).ok_or(StoreError::NoMailbox)?);
        let validity = lock(&held).validity;
        let mut mailbox = Mailbox { held, seen: Vec::new(), validity, uid_next: FIRST, read_only };
        super::Mailbox::refresh(&mut mailbox)?;
        Ok(mailbox)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl super::Store for Store {
    type Mailbox = Mailbox;

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        Ok(view::listed(lock(&self.0).boxes.keys().cloned().collect()))
    }

    fn open(&self, name: &str) -> Result<Mailbox, StoreError> {
        self.opened(name, false)
    }

    fn examine(&self, name: &str) -> Result<Mailbox, StoreError> {
        self.opened(name, true)
    }

    fn create(&self, name: &str) -> Result<(), StoreError> {
        let name = canonical(name)?;
        let mut boxes = lock(&self.0);
        if boxes.boxes.contains_key(&name) {
            return Err(StoreError::Exists);
        }
        boxes.make(name)?;
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let name = canonical(name)?;
        if name == INBOX {
            return Err(StoreError::BadName("INBOX cannot be removed"));
        }
        let held = lock(&self.0).boxes.remove(&name).ok_or(StoreError::NoMailbox)?;
        lock(&held).deleted = true;
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (canonical(from)?, canonical(to)?);
        let mut boxes = lock(&self.0);
        check_rename(&from, &to)?;
        if from == INBOX {
            if boxes.boxes.contains_key(&to) {
                return Err(StoreError::Exists);
            }
            let target = boxes.make(to)?;
            let inbox = Arc::clone(boxes.boxes.get(INBOX).ok_or(StoreError::NoMailbox)?);
            let moved = std::mem::take(&mut lock(&inbox).messages);
            let mut target = lock(&target);
            return moved.into_values().try_for_each(|kept| target.add(kept).map(drop));
        }
        let moving: Vec<String> =
            boxes.boxes.keys().filter(|name| **name == from || is_below(name, &from)).cloned().collect();
        if moving.is_empty() {
            return Err(StoreError::NoMailbox);
        }
        let renamed = |name: &str| format!("{to}{}", name.strip_prefix(&from).unwrap_or_default());
        let targets = moving.iter().map(|name| canonical(&renamed(name))).collect::<Result<Vec<_>, _>>()?;
        // Where `from` is only a level, `to` is not among the targets.
        if boxes.boxes.contains_key(&to) || targets.iter().any(|target| boxes.boxes.contains_key(target)) {
            return Err(StoreError::Exists);
        }
        for (name, target) in moving.iter().zip(targets) {
            if let Some(held) = boxes.boxes.remove(name) {
                boxes.boxes.insert(target, held);
            }
        }
        Ok(())
    }

    fn subscribed(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(lock(&self.0).subscribed.clone())
    }

    fn subscribe(&self, name: &str) -> Result<(), StoreError> {
        lock(&self.0).subscribed.insert(canonical(name)?);
        Ok(())
    }

    fn unsubscribe(&self, name: &str) -> Result<(), StoreError> {
        if let Ok(name) = canonical(name) {
            lock(&self.0).subscribed.remove(&name);
        }
        Ok(())
    }
}

impl super::Mailbox for Mailbox {
    fn uid_validity(&self) -> NonZeroU32 {
        self.validity
    }

    fn uid_next(&self) -> Uid {
        self.uid_next
    }

    fn messages(&self) -> &[Entry] {
        &self.seen
    }

    fn refresh(&mut self) -> Result<Vec<Change>, StoreError> {
        let mut held = lock(&self.held);
        if held.deleted {
            return Err(StoreError::NoMailbox);
        }
        let now = held.messages.iter().map(|(uid, kept)| Entry {
            uid: *uid,
            flags: kept.flags.clone(),
            size: kept.octets.len() as u64,
            received: kept.received,
            recent: *uid >= held.first_recent,
        });
        let now = now.collect();
        self.uid_next = held.next;
        if !self.read_only {
            held.first_recent = held.next;
        }
        drop(held);
        Ok(view::update(&mut self.seen, now))
    }

    fn read(&self, uid: Uid) -> Result<Bytes, StoreError> {
        lock(&self.held).messages.get(&uid).map(|kept| kept.octets.clone()).ok_or(StoreError::NoMessage)
    }

    fn append(&mut self, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError> {
        let octets = lines::to_crlf(Bytes::copy_from_slice(message));
        lock(&self.held).add(Kept { octets, flags: flags.clone(), received })
    }

    fn edit_flags(&mut self, uids: &[Uid], edit: &FlagEdit) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let mut held = lock(&self.held);
        for at in view::indices(&self.seen, uids) {
            let Some(entry) = self.seen.get_mut(at) else { continue };
            if let Some(kept) = held.messages.get_mut(&entry.uid) {
                kept.flags = edit.apply(&kept.flags);
                entry.flags = kept.flags.clone();
            }
        }
        Ok(())
    }

    fn remove(&mut self, uids: &[Uid]) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let uids: BTreeSet<Uid> = uids.iter().copied().collect();
        lock(&self.held).messages.retain(|uid, _| !uids.contains(uid));
        self.seen.retain(|entry| !uids.contains(&entry.uid));
        Ok(())
    }
}

impl Boxes {
    fn make(&mut self, name: String) -> Result<Arc<Mutex<Held>>, StoreError> {
        // A number of its own for each mailbox ever made: no name sees the same UIDs with the same validity twice.
        let validity = self.last_validity.checked_add(1).ok_or(StoreError::Unsupported("more mailboxes"))?;
        self.last_validity = validity;
        let held = Arc::new(Mutex::new(Held::new(validity)));
        self.boxes.insert(name, Arc::clone(&held));
        Ok(held)
    }
}

impl Held {
    fn new(validity: NonZeroU32) -> Self {
        Self { validity, next: FIRST, first_recent: FIRST, messages: BTreeMap::new(), deleted: false }
    }

    fn add(&mut self, kept: Kept) -> Result<Uid, StoreError> {
        if self.deleted {
            return Err(StoreError::NoMailbox);
        }
        let uid = self.next;
        self.next = Uid(uid.0.checked_add(1).ok_or(StoreError::Unsupported("more messages"))?);
        self.messages.insert(uid, kept);
        Ok(uid)
    }
}

/// What is behind these locks is whole between two statements, so a panic of another thread spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::store::contract::contract;

    contract!(contract, || {
        let store = crate::store::memory::Store::new();
        move || store.clone()
    });
}
