//! An mbox file as a session sees it.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::head::{Head, print, restored, stored};
use super::index::{Index, Message};
use super::journal::Journal;
use super::lock::Locked;
use super::{Dialect, FromLine};
use crate::base::Timestamp;
use crate::store::{Change, Entry, FlagEdit, Flags, StoreError, Uid, disk, view};

/// The largest index that is read: some ten million messages.
const MAX_INDEX: u64 = 1 << 30;
/// `end`, a SHA-256 and the line end.
const LAST_LINE: u64 = 69;
/// A file that changed less than this ago may change again within the same tick of the clock of its file system.
const SETTLED: Duration = Duration::from_secs(2);

/// A mailbox of a [`Store`](super::Store) of mbox files.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::store::{Flags, Mailbox, Store, mbox};
///
/// # let dir = std::env::temp_dir().join(format!("facteur-doc-mbox-mailbox-{}", std::process::id()));
/// let store = mbox::Store::open(&dir)?;
/// let uid = store.open("INBOX")?.append(b"Subject: kept\r\n\r\n", &Flags::new(), Timestamp::from_unix(0))?;
/// let inbox = store.open("INBOX")?;
/// assert_eq!((inbox.messages()[0].uid, inbox.messages()[0].size), (uid, 17));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), facteur::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Mailbox {
    place: Place,
    index: Index,
    /// The file and its index when they were last looked at.
    looked: Option<Looked>,
    seen: Vec<Entry>,
    uid_next: Uid,
    read_only: bool,
}

/// The files of one mailbox.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// The directory of what is kept beside it.
    pub(super) beside: PathBuf,
    /// The name of the mailbox's own files there.
    pub(super) name: String,
    pub(super) dialect: Dialect,
    pub(super) max_message: u64,
    /// A mailbox that is made where it is not there.
    pub(super) always: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Looked {
    file: (u64, u64, u64, SystemTime),
    /// The last line: the sum of all others.
    index: Vec<u8>,
    settled: bool,
}

impl Place {
    pub(super) fn index(&self) -> String {
        format!("{}.index", self.name)
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        self.beside.join(format!("{}.lock", self.name))
    }

    fn journal(&self) -> Journal {
        Journal { dir: self.beside.clone(), name: format!("{}.journal", self.name) }
    }

    /// Locks the file, and mends it where a process was killed.
    pub(super) fn lock(&self) -> Result<Locked, StoreError> {
        if self.always {
            match disk::write_new(&self.path, b"") {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        } else if !fs::symlink_metadata(&self.path).is_ok_and(|there| there.is_file()) {
            return Err(StoreError::NoMailbox);
        }
        disk::make_dir(&self.beside)?;
        let locked = Locked::take(&self.path, &self.lock_path()).map_err(|error| match error {
            StoreError::Io(error) if error.kind() == ErrorKind::NotFound => StoreError::NoMailbox,
            error => error,
        })?;
        self.journal().recover(&locked.file)?;
        Ok(locked)
    }

    /// The index as it lies there.
    pub(super) fn load(&self) -> Result<Option<Index>, StoreError> {
        match disk::read(&self.beside.join(self.index()), MAX_INDEX) {
            Ok(text) => Ok(Index::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn save(&self, index: &Index) -> Result<(), StoreError> {
        Ok(disk::replace(&self.beside, &self.index(), index.write().as_bytes())?)
    }

    /// Adds a message at the end of the file, synced; gives where it begins, where its text does, and where it ends.
    pub(super) fn add(
        &self,
        file: &File,
        message: &[u8],
        flags: &Flags,
        received: Timestamp,
    ) -> Result<(u64, u64, u64), StoreError> {
        let len = file.metadata()?.len();
        // Another program may have left the end without a blank line.
        let mut tail = [b'\n'; 2];
        let kept = usize::try_from(len.min(2)).unwrap_or(2);
        file.read_exact_at(tail.get_mut(2 - kept..).unwrap_or_default(), len - kept as u64)?;
        let missing = match (len, tail) {
            (0, _) | (_, [b'\n', b'\n']) => &b""[..],
            (_, [_, b'\n']) => b"\n",
            _ => b"\n\n",
        };
        let sender = return_path(message).unwrap_or_default();
        let line = format!("{}\n", FromLine::new(&sender, received));
        let data = [missing, line.as_bytes(), &stored(self.dialect, message, flags)].concat();
        let at = len + missing.len() as u64;
        let (text, end) = (at + line.len() as u64, len + data.len() as u64);
        self.journal().write(file, len, data)?;
        Ok((at, text, end))
    }

    fn looking(&self) -> Result<Looked, StoreError> {
        let gone = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => StoreError::NoMailbox,
            _ => error.into(),
        };
        let file = fs::symlink_metadata(&self.path).map_err(gone)?;
        let changed = file.modified()?;
        let settled = SystemTime::now().duration_since(changed).is_ok_and(|age| age > SETTLED);
        let file = (file.dev(), file.ino(), file.len(), changed);
        // Inodes and times of change are used again soon; sums are not.
        let index = disk::open_with(&self.beside.join(self.index()), File::options().read(true)).map_err(gone)?;
        let len = index.metadata()?.len();
        let mut sum = vec![0; usize::try_from(len.min(LAST_LINE)).unwrap_or(0)];
        index.read_exact_at(&mut sum, len.saturating_sub(LAST_LINE))?;
        Ok(Looked { file, index: sum, settled })
    }
}

impl Mailbox {
    pub(super) fn new(
        place: Place,
        read_only: bool,
        validity: impl FnOnce() -> Result<NonZeroU32, StoreError>,
    ) -> Result<Self, StoreError> {
        let locked = place.lock()?;
        let index = match place.load()? {
            Some(index) => index,
            // None yet, or damaged: no UID given out before may be trusted (RFC 9051 §2.3.1.1).
            None => {
                let index = Index::new(validity()?);
                place.save(&index)?;
                index
            }
        };
        drop(locked);
        let uid_next = index.next;
        let mut mailbox = Self { place, index, looked: None, seen: Vec::new(), uid_next, read_only };
        super::super::Mailbox::refresh(&mut mailbox)?;
        Ok(mailbox)
    }

    /// Brings the index to what the file is now; the lock is held. Gives the first UID that was recent before.
    fn look(&mut self, locked: &Locked, take: bool) -> Result<Uid, StoreError> {
        let looked = self.place.looking()?;
        if self.looked.as_ref().is_none_or(|then| then.index != looked.index) {
            let Some(index) = self.place.load()? else {
                return Err(StoreError::Damaged("the index was changed by another program".into()));
            };
            if index.validity != self.index.validity {
                return Err(StoreError::NoMailbox);
            }
            self.index = index;
        }
        let mut changed = self.index.look(&locked.file, self.place.dialect, self.place.max_message)?;
        let recent = self.index.first_recent;
        if take && recent < self.index.next {
            self.index.first_recent = self.index.next;
            changed = true;
        }
        if changed {
            self.place.save(&self.index)?;
        }
        self.looked = Some(self.place.looking()?);
        Ok(recent)
    }

    fn entries(&self, recent: Uid) -> Vec<Entry> {
        let all = self.index.messages.iter().map(|message| Entry {
            uid: message.uid,
            flags: message.head.flags.clone(),
            size: message.size,
            received: Timestamp::from_unix(message.received),
            recent: message.uid >= recent,
        });
        all.collect()
    }

    fn position(&self, uid: Uid) -> Option<usize> {
        self.index.messages.binary_search_by_key(&uid, |message| message.uid).ok()
    }

    /// What stands behind the `From ` line of a message.
    fn octets(&self, locked: &Locked, message: &Message) -> Result<Vec<u8>, StoreError> {
        let len = message.end - message.text;
        if len > self.place.max_message {
            return Err(StoreError::Damaged("a message is larger than may be read".into()));
        }
        let mut octets = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        locked.file.read_exact_at(&mut octets, message.text)?;
        Ok(octets)
    }

    fn message(&self, octets: &[u8]) -> Bytes {
        let head = Head::parse(octets);
        let text = octets.get(head.len..).unwrap_or_default();
        restored(self.place.dialect, &head, text).into_owned().into()
    }

    /// Notes a change of ours, so that it is not taken for one of others.
    fn save(&mut self) -> Result<(), StoreError> {
        self.place.save(&self.index)?;
        self.looked = Some(self.place.looking()?);
        Ok(())
    }

    /// Writes the messages anew from the first on that `edit` changes: it gives the octets that stand for a message, or
    /// `None` where it is to go. What stands between messages stays.
    fn rewrite(
        &mut self,
        locked: &Locked,
        mut edit: impl FnMut(&Message, &[u8]) -> Option<Vec<u8>>,
        touched: impl Fn(&Message) -> bool,
    ) -> Result<(), StoreError> {
        let Some(from) = self.index.messages.iter().filter(|message| touched(message)).map(|message| message.at).min()
        else {
            return Ok(());
        };
        let len = locked.file.metadata()?.len();
        let mut octets = vec![0; usize::try_from(len - from).map_err(io::Error::other)?];
        locked.file.read_exact_at(&mut octets, from)?;
        let slice = |start: u64, end: u64| {
            let within = |at: u64| usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX);
            octets.get(within(start)..within(end)).unwrap_or_default()
        };
        let mut in_file: Vec<usize> = (0..self.index.messages.len()).collect();
        in_file.sort_unstable_by_key(|at| self.index.messages.get(*at).map(|message| message.at));
        let (mut data, mut reached, mut going) = (Vec::with_capacity(octets.len()), from, Vec::new());
        for place in in_file {
            let Some(message) = self.index.messages.get_mut(place).filter(|message| message.at >= from) else {
                continue;
            };
            data.extend_from_slice(slice(reached, message.at));
            reached = message.next;
            let whole = slice(message.at, message.next);
            let Some(now) = edit(message, whole) else {
                going.push(message.uid);
                continue;
            };
            let at = from + data.len() as u64;
            let grown = now.len() as u64;
            let old = message.next - message.at;
            // Only what stands before the body changes its length.
            message.text = at + (message.text - message.at);
            message.end = (at + (message.end - message.at) + grown).saturating_sub(old);
            message.at = at;
            message.next = at + grown;
            data.extend_from_slice(&now);
        }
        data.extend_from_slice(slice(reached, len));
        self.index.len = from + data.len() as u64;
        going.sort_unstable();
        self.index.messages.retain(|message| going.binary_search(&message.uid).is_err());
        self.place.journal().write(&locked.file, from, data)?;
        self.save()
    }
}

impl super::super::Mailbox for Mailbox {
    fn uid_validity(&self) -> NonZeroU32 {
        self.index.validity
    }

    fn uid_next(&self) -> Uid {
        self.uid_next
    }

    fn messages(&self) -> &[Entry] {
        &self.seen
    }

    fn refresh(&mut self) -> Result<Vec<Change>, StoreError> {
        if self.looked.is_some() && self.place.looking().is_ok_and(|now| now.settled && self.looked == Some(now)) {
            return Ok(Vec::new());
        }
        let locked = self.place.lock()?;
        let recent = self.look(&locked, !self.read_only)?;
        self.uid_next = self.index.next;
        let entries = self.entries(recent);
        Ok(view::update(&mut self.seen, entries))
    }

    fn read(&self, uid: Uid) -> Result<Bytes, StoreError> {
        let known = self.position(uid).and_then(|at| self.index.messages.get(at)).ok_or(StoreError::NoMessage)?;
        let locked = self.place.lock()?;
        let len = locked.file.metadata()?.len();
        if known.end <= len {
            let octets = self.octets(&locked, known)?;
            // Its print tells whether it is still where it was, whatever happened to the rest of the file.
            if print(&octets) == known.print {
                return Ok(self.message(&octets));
            }
        }
        let index = self.place.load()?.filter(|index| index.validity == self.index.validity);
        let mut index = index.ok_or(StoreError::NoMessage)?;
        index.look(&locked.file, self.place.dialect, self.place.max_message)?;
        let at = index.messages.binary_search_by_key(&uid, |message| message.uid).map_err(|_| StoreError::NoMessage)?;
        let octets = self.octets(&locked, index.messages.get(at).ok_or(StoreError::NoMessage)?)?;
        Ok(self.message(&octets))
    }

    fn append(&mut self, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError> {
        let locked = self.place.lock()?;
        self.look(&locked, false)?;
        self.place.add(&locked.file, message, flags, received)?;
        // The message is found as any other is: what a session sees is what is in the file.
        self.look(&locked, false)?;
        self.index.messages.last().map(|message| message.uid).ok_or(StoreError::NoMessage)
    }

    fn edit_flags(&mut self, uids: &[Uid], edit: &FlagEdit) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let places = view::indices(&self.seen, uids);
        let uids: Vec<Uid> = places.iter().filter_map(|at| self.seen.get(*at)).map(|entry| entry.uid).collect();
        let locked = self.place.lock()?;
        self.look(&locked, false)?;
        let chosen = |message: &Message| uids.binary_search(&message.uid).is_ok();
        let lines = |message: &Message| {
            let flags = edit.apply(&message.head.flags);
            (message.head.write(&flags), flags)
        };
        let fits = |message: &Message| message.head.room.is_some() && lines(message).0.len() == message.head.len;
        if self.index.messages.iter().filter(|message| chosen(message)).all(fits) {
            for message in self.index.messages.iter().filter(|message| chosen(message)) {
                let (now, flags) = lines(message);
                if flags != message.head.flags {
                    locked.file.write_all_at(&now, message.text)?;
                }
            }
        } else {
            let edited = |message: &Message, whole: &[u8]| {
                if !chosen(message) {
                    return Some(whole.to_vec());
                }
                let line = usize::try_from(message.text - message.at).unwrap_or(usize::MAX);
                let (line, text) = whole.split_at_checked(line).unwrap_or((whole, b""));
                let text = text.get(message.head.len..).unwrap_or_default();
                Some([line, &lines(message).0, text].concat())
            };
            self.rewrite(&locked, edited, chosen)?;
        }
        // As the file has them now.
        self.look(&locked, false)?;
        for place in places {
            let Some(uid) = self.seen.get(place).map(|entry| entry.uid) else { continue };
            let flags =
                self.position(uid).and_then(|at| self.index.messages.get(at)).map(|message| message.head.flags.clone());
            if let (Some(entry), Some(flags)) = (self.seen.get_mut(place), flags) {
                entry.flags = flags;
            }
        }
        Ok(())
    }

    fn remove(&mut self, uids: &[Uid]) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        let locked = self.place.lock()?;
        self.look(&locked, false)?;
        let going = |message: &Message| uids.binary_search(&message.uid).is_ok();
        self.rewrite(&locked, |message, whole| (!going(message)).then(|| whole.to_vec()), going)?;
        self.seen.retain(|entry| uids.binary_search(&entry.uid).is_err());
        Ok(())
    }
}

/// The address of the first `Return-Path` in the header: whom the `From ` line names (RFC 5321 §4.4 has the delivery write
/// that field).
fn return_path(message: &[u8]) -> Option<String> {
    let header = message.split(|octet| *octet == b'\n').take(50).take_while(|line| !line.trim_ascii().is_empty());
    for line in header {
        let Some((name, value)) = line.split_at_checked(12) else { continue };
        if name.eq_ignore_ascii_case(b"return-path:") {
            let value = std::str::from_utf8(value).ok()?.trim();
            return Some(value.strip_prefix('<')?.split('>').next()?.to_owned());
        }
    }
    None
}

/// Whether there is something by this name that is no mailbox.
pub(super) fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_file())
}
