//! A Maildir as a session sees it.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Timespec, Timestamps, futimens};

use super::file_name::{flags, info_with, letter};
use super::index::{Index, Place, State, gone, lock};
use super::uid_list::{Line, Record};
use crate::base::Timestamp;
use crate::store::{Change, Entry, Flag, FlagEdit, Flags, StoreError, Uid, disk, lines, view};

/// A mailbox of a [`Store`](super::Store) of Maildirs.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::store::{Flags, Mailbox, Store, maildir};
///
/// # let dir = std::env::temp_dir().join(format!("facteur-doc-mailbox-{}", std::process::id()));
/// let store = maildir::Store::open(&dir)?;
/// let uid = store.open("INBOX")?.append(b"Subject: kept\r\n\r\n", &Flags::new(), Timestamp::from_unix(0))?;
/// let inbox = store.open("INBOX")?;
/// assert_eq!((inbox.messages()[0].uid, inbox.messages()[0].size), (uid, 17));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), facteur::store::StoreError>(())
/// ```
#[derive(Debug)]
pub struct Mailbox {
    /// Where a file is may be found out anew while a message is read.
    index: RefCell<Index>,
    seen: Vec<Entry>,
    uid_next: Uid,
    read_only: bool,
    host: Arc<str>,
    max_message: u64,
}

/// A message in `tmp`, synced, under the name that it will keep.
pub(super) struct Written {
    tmp: PathBuf,
    base: String,
    size: u64,
}

impl Mailbox {
    pub(super) fn new(index: Index, read_only: bool, host: Arc<str>, max_message: u64) -> Result<Self, StoreError> {
        let uid_next = index.list.next;
        let index = RefCell::new(index);
        let mut mailbox = Self { index, seen: Vec::new(), uid_next, read_only, host, max_message };
        super::super::Mailbox::refresh(&mut mailbox)?;
        Ok(mailbox)
    }

    fn may_write(&self) -> Result<(), StoreError> {
        if self.read_only { Err(StoreError::ReadOnly) } else { Ok(()) }
    }

    /// Does `act` to the file of each message, looking once more where a file is not where it was. Gives the records that
    /// it was done to.
    fn each(
        &mut self,
        uids: &[Uid],
        mut act: impl FnMut(&mut Index, usize, &Path) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let index = self.index.get_mut();
        let mut looked = false;
        for uid in uids {
            while let Some((at, path)) = index.file(*uid) {
                match act(index, at, &path) {
                    Ok(()) => break,
                    Err(error) if error.kind() == ErrorKind::NotFound && !looked => {
                        looked = true;
                        index.find()?;
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        index.states[at] = State::Gone; // `file` found it at `at`
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

impl super::super::Mailbox for Mailbox {
    fn uid_validity(&self) -> NonZeroU32 {
        self.index.borrow().list.validity
    }

    fn uid_next(&self) -> Uid {
        self.uid_next
    }

    fn messages(&self) -> &[Entry] {
        &self.seen
    }

    fn refresh(&mut self) -> Result<Vec<Change>, StoreError> {
        let index = self.index.get_mut();
        if index.is_settled()? {
            return Ok(Vec::new());
        }
        let recent = index.look(!self.read_only)?;
        self.uid_next = index.list.next;
        Ok(view::update(&mut self.seen, index.entries(recent)))
    }

    fn read(&self, uid: Uid) -> Result<Bytes, StoreError> {
        for again in [true, false] {
            let file = self.index.borrow().file(uid);
            let Some((_, path)) = file else { break };
            match disk::read(&path, self.max_message) {
                Ok(octets) => return Ok(lines::to_crlf(octets.into())),
                Err(error) if error.kind() == ErrorKind::NotFound && again => {
                    let mut index = self.index.borrow_mut();
                    let _lock = lock(index.dir())?;
                    index.find()?;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::NoMessage)
    }

    fn append(&mut self, message: &[u8], flags: &Flags, received: Timestamp) -> Result<Uid, StoreError> {
        let index = self.index.get_mut();
        let written = Written::new(index.dir(), message, received, &self.host, None)?;
        let _lock = lock(index.dir())?;
        index.look_at_new()?;
        let uid = index.next_uid()?;
        let keywords = flags.iter().filter(|flag| letter(flag).is_none()).map(Flag::to_string).collect();
        let base = written.base.as_bytes().into();
        let place = Place { fresh: false, info: info_with(b"", flags) };
        let there = place.path(index.dir(), written.base.as_bytes());
        let record = Record { uid, size: written.size, received: received.unix(), base, keywords };
        // The UID first: a message without one could be given it by another session meanwhile.
        index.add(vec![(Line::Message(record), Some(place))])?;
        if let Err(error) = written.show(&there) {
            index.states.pop();
            index.states.push(State::Gone);
            return Err(error);
        }
        Ok(uid)
    }

    fn edit_flags(&mut self, uids: &[Uid], edit: &FlagEdit) -> Result<(), StoreError> {
        self.may_write()?;
        let places = view::indices(&self.seen, uids);
        let uids: Vec<Uid> = places.iter().filter_map(|at| self.seen.get(*at)).map(|entry| entry.uid).collect();
        let index = self.index.get_mut();
        let _lock = lock(index.dir())?;
        index.read_list()?;
        let mut edited = Vec::with_capacity(uids.len());
        let mut keywords = Vec::new();
        self.each(&uids, |index, at, path| {
            let (Some(State::At(place)), Some(record)) = (index.states.get(at), index.list.records.get(at)) else {
                return Ok(());
            };
            let mut now = flags(&place.info);
            record.keywords.iter().cloned().map(Flag::Keyword).for_each(|flag| now.insert(flag));
            let then = edit.apply(&now);
            let info = info_with(&place.info, &then);
            let there = if info == place.info || (place.info.is_empty() && info == b":2,") {
                path.symlink_metadata()?; // it may be gone all the same
                place.clone()
            } else {
                let there = Place { fresh: false, info };
                fs::rename(path, there.path(index.dir(), &record.base))?;
                there
            };
            let words: Vec<String> = then.iter().filter(|flag| letter(flag).is_none()).map(Flag::to_string).collect();
            if words != record.keywords {
                keywords.push((Line::Keywords(record.uid, words), None));
            }
            edited.push((record.uid, then));
            index.states[at] = State::At(there); // was found at `at`
            Ok(())
        })?;
        self.index.get_mut().add(keywords)?;
        for (uid, flags) in edited {
            let at = self.seen.binary_search_by_key(&uid, |entry| entry.uid);
            if let Some(entry) = at.ok().and_then(|at| self.seen.get_mut(at)) {
                entry.flags = flags;
            }
        }
        Ok(())
    }

    fn remove(&mut self, uids: &[Uid]) -> Result<(), StoreError> {
        self.may_write()?;
        let _lock = lock(self.index.get_mut().dir())?;
        self.index.get_mut().read_list()?;
        self.each(uids, |index, at, path| {
            fs::remove_file(path)?;
            index.states[at] = State::Gone; // was found at `at`
            Ok(())
        })?;
        let mut uids = uids.to_vec();
        uids.sort_unstable();
        self.seen.retain(|entry| uids.binary_search(&entry.uid).is_err());
        Ok(())
    }
}

impl Written {
    /// Writes a message to `tmp` and syncs it. The key, where there is one, becomes a field of its name.
    pub(super) fn new(
        dir: &Path,
        message: &[u8],
        received: Timestamp,
        host: &str,
        key: Option<&str>,
    ) -> Result<Self, StoreError> {
        let octets = lines::to_disk(message);
        let size = lines::crlf_len(&octets);
        let key = key.map(|key| format!(",K={key}")).unwrap_or_default();
        let base = format!("{}.{host}{key},S={},W={size}", disk::unique(), octets.len());
        let tmp = dir.join("tmp").join(&base);
        let written = || -> io::Result<()> {
            let options = &mut File::options();
            let mut file = disk::open_with(&tmp, options.write(true).create_new(true))?;
            io::Write::write_all(&mut file, &octets)?;
            // The time of change is when the message came, as other servers have it too.
            let time = Timespec { tv_sec: received.unix(), tv_nsec: 0 };
            futimens(&file, &Timestamps { last_access: time, last_modification: time })?;
            file.sync_all()
        };
        let written = written();
        let whole = Self { tmp, base, size };
        written.map_err(gone)?; // dropping it takes the file away
        Ok(whole)
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Puts the message where it is seen, for good.
    pub(super) fn show(self, there: &Path) -> Result<(), StoreError> {
        fs::rename(&self.tmp, there).map_err(gone)?;
        let Some(dir) = there.parent() else { return Err(StoreError::NoMailbox) };
        if let Err(error) = disk::sync_dir(dir) {
            let _ = fs::remove_file(there); // not promised, so not kept
            return Err(error.into());
        }
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.tmp); // not there any more where it was shown
    }
}
