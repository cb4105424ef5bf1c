//! Maildir (cr.yp.to/proto/maildir.html) with the folders of Maildir++: one file a message, no lock for a delivery, safe
//! over NFS.
//!
//! | on disk | what it is |
//! |---|---|
//! | `cur`, `new`, `tmp` | `INBOX`, as Maildir has it |
//! | `.Work.Projects` | the mailbox `Work/Projects`: a Maildir with the file `maildirfolder` in it |
//! | `facteur-uidlist` | in each Maildir: the UIDs, sizes, dates and keywords ([`UidList`]) |
//! | `facteur-lock` | in each Maildir: locked by who looks or changes, not by who delivers |
//! | `facteur-validity` | the last UIDVALIDITY that was given to a mailbox |
//! | `facteur-subscriptions` | the names subscribed to, one a line |
//! | `facteur.make.*`, `facteur.gone.*` | a mailbox that is being made or removed; without a dot in front, so no mailbox |
//!
//! Names of mailboxes are directories in modified UTF-7 (RFC 3501 §5.1.3); a dot in a name is encoded too. Names of files
//! end in `,S=size,W=size with CRLF`, as other servers write them, and the flags in `:2,`; the passed flag `P` is the
//! keyword `$Forwarded`. Other keywords are in the list of UIDs only.
//!
//! A message is written to `tmp`, synced, renamed into its place, and the directory synced: when a delivery returns the
//! message lasts, and before that nobody sees it. Flags and removals are not synced: where the power is cut a flag may be
//! as it was, or a message that was removed come back.
//!
//! Files are written with LF at the ends of lines where nothing is lost by it, otherwise with CRLF; files with either are
//! read. So a message comes back octet by octet, save that an LF without a CR before it gets one. Dates are kept to the
//! second, in UTC.
//!
//! Passed over: links, pipes and directories among the messages, links to directories among the mailboxes. Left out:
//! quotas (`maildirsize`), and the UID lists of other servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::base::Timestamp;
use crate::store::disk::{self, Lock};
use crate::store::names::{INBOX, canonical, check_rename, is_below};
use crate::store::{Flags, Listed, Mailbox as _, StoreError, view};

mod file_name;
mod folder;
mod index;
mod mailbox;
mod uid_list;

pub use file_name::FileName;
pub use mailbox::Mailbox;
pub use uid_list::UidList;

use file_name::{info_with, letter};
use index::{Index, gone, lock};
use mailbox::Written;

const LIST: &str = "facteur-uidlist";
const LOCK: &str = "facteur-lock";
const STORE_LOCK: &str = "facteur-store-lock";
const VALIDITY: &str = "facteur-validity";
const VALIDITY_LOCK: &str = "facteur-validity-lock";
const SUBSCRIPTIONS: &str = "facteur-subscriptions";
const MAKE: &str = "facteur.make.";
const GONE: &str = "facteur.gone.";
/// The largest list of UIDs that is read: some ten million messages.
const MAX_LIST: u64 = 1 << 30;
/// The largest list of subscriptions that is read.
const MAX_SUBSCRIPTIONS: u64 = 1 << 20;
/// What lies in `tmp` so long is no delivery any more (cr.yp.to/proto/maildir.html: 36 hours).
const STALE: Duration = Duration::from_secs(36 * 60 * 60);

/// One user's Maildirs. Any number of handles in any number of processes may be open to the same directory.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::store::{Flags, Store, maildir};
///
/// # let dir = std::env::temp_dir().join(format!("facteur-doc-maildir-{}", std::process::id()));
/// let store = maildir::Store::open(&dir)?;
/// store.create("Lists/rust")?;
/// store.deliver("Lists/rust", b"Subject: hello\r\n\r\n", &Flags::new(), Timestamp::from_unix(1_172_677_344))?;
/// assert!(dir.join(".Lists.rust").is_dir());
/// assert_eq!(Store::open(&store, "Lists/rust")?.messages().len(), 1);
/// # std::fs::remove_dir_all(&dir)?;
/// # use facteur::store::Mailbox;
/// # Ok::<(), facteur::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    host: Arc<str>,
    /// The largest message that is read, in octets; a larger one gives an error. 1 GiB: one message is held in memory.
    pub max_message: u64,
}

impl Store {
    /// The Maildir at `root`, which is made where it is not there.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        make_maildir(&root)?;
        Ok(Self { root, host: host().into(), max_message: 1 << 30 })
    }

    /// Delivers a message without flags, as [`deliver`](super::Store::deliver) does, and under a key, a queue id say, by
    /// which [`holds`](Self::holds) finds it: so a delivery that may have been done already, before a crash, need not be
    /// repeated blindly.
    ///
    /// # Errors
    /// As for `deliver`; [`StoreError::BadName`] for a key that has other than 1 to 64 ASCII letters and digits.
    pub fn deliver_as(&self, name: &str, key: &str, message: &[u8], received: Timestamp) -> Result<(), StoreError> {
        check_key(key)?;
        let dir = self.dir(&canonical(name)?)?;
        let written = Written::new(&dir, message, received, &self.host, Some(key))?;
        let there = dir.join("new").join(written.base());
        written.show(&there)
    }

    /// Whether a message that was delivered under this key is in the mailbox. Reads its directories: it takes time with the
    /// number of messages. A message that its owner has removed or moved meanwhile is not found.
    ///
    /// # Errors
    /// [`StoreError::NoMailbox`], or where the directories cannot be read; [`StoreError::BadName`] for what is no key.
    pub fn holds(&self, name: &str, key: &str) -> Result<bool, StoreError> {
        use std::os::unix::ffi::OsStrExt;
        check_key(key)?;
        let dir = self.dir(&canonical(name)?)?;
        // A client moves messages from new to cur: looked at in this order none is missed.
        for place in ["new", "cur"] {
            for entry in fs::read_dir(dir.join(place)).map_err(gone)? {
                let file = entry?.file_name();
                if file_name::text_field(file_name::split(file.as_bytes()).0, b"K=") == Some(key.as_bytes()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn opened(&self, name: &str, read_only: bool) -> Result<Mailbox, StoreError> {
        let dir = self.dir(&canonical(name)?)?;
        let index = Index::open(&dir, || self.validity())?;
        if !read_only {
            sweep(&dir.join("tmp"));
        }
        Mailbox::new(index, read_only, Arc::clone(&self.host), self.max_message)
    }

    fn validity(&self) -> Result<NonZeroU32, StoreError> {
        let _lock = Lock::take(&self.root.join(VALIDITY_LOCK))?;
        disk::next_validity(&self.root, VALIDITY)
    }

    /// The directory of a mailbox by its canonical name, whether it is there or not.
    fn dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        if name == INBOX {
            return Ok(self.root.clone());
        }
        let usual = self.root.join(folder::directory(name)?);
        if is_maildir(&usual) {
            return Ok(usual);
        }
        // Another server may have written the name in another way.
        let other = self.dirs()?.into_iter().find(|(known, _)| known == name);
        Ok(other.map_or(usual, |(_, dir)| dir))
    }

    /// The mailboxes that are there, `INBOX` not among them, and their directories.
    fn dirs(&self) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().and_then(|directory| folder::name(&directory));
            let Some(name) = name.and_then(|name| canonical(&name).ok()) else { continue };
            if name != INBOX && is_maildir(&entry.path()) {
                all.push((name, entry.path()));
            }
        }
        Ok(all)
    }

    /// Makes a mailbox beside the others; it appears under its name all at once. The caller holds the lock of the store.
    fn make(
        &self,
        name: &str,
        messages: impl FnOnce(&mut UidList) -> Result<(), StoreError>,
    ) -> Result<PathBuf, StoreError> {
        let dir = self.dir(name)?;
        if name == INBOX || is_maildir(&dir) {
            return Err(StoreError::Exists);
        }
        let mut list = UidList::new(self.validity()?);
        messages(&mut list)?;
        let making = self.root.join(format!("{MAKE}{}", disk::unique()));
        disk::make_dir(&making)?;
        make_maildir(&making)?;
        disk::write_new(&making.join("maildirfolder"), b"")?;
        disk::write_new(&making.join(LIST), list.write().as_bytes())?;
        disk::sync_dir(&making)?;
        // A directory that is not empty is not replaced: something else has the name.
        if fs::rename(&making, &dir).is_err() {
            fs::remove_dir_all(&making)?;
            return Err(StoreError::BadName("something else has its place on the disk"));
        }
        disk::sync_dir(&self.root)?;
        Ok(dir)
    }

    fn locked(&self) -> Result<Lock, StoreError> {
        let lock = Lock::take(&self.root.join(STORE_LOCK))?;
        // What a killed process was about to make or remove.
        for entry in fs::read_dir(&self.root)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy(); // only to look at its beginning
            if name.starts_with(MAKE) || name.starts_with(GONE) {
                let _ = fs::remove_dir_all(entry.path()); // the next will try again
            }
        }
        Ok(lock)
    }

    /// Moves the messages of `INBOX` to a new mailbox.
    fn move_inbox(&self, to: &str) -> Result<(), StoreError> {
        let mut inbox = Index::open(&self.root, || self.validity())?;
        inbox.look(false)?;
        let mut files = Vec::new();
        let dir = self.make(to, |list| {
            for record in &inbox.list.records {
                let Some((_, path)) = inbox.file(record.uid) else { continue };
                let there = uid_list::Record { uid: list.next, ..record.clone() };
                list.apply(uid_list::Line::Message(there));
                files.push(path);
            }
            Ok(())
        })?;
        let _lock = lock(&self.root)?;
        for path in files {
            let (Some(name), fresh) = (path.file_name(), path.parent().is_some_and(|dir| dir.ends_with("new"))) else {
                continue;
            };
            match fs::rename(&path, dir.join(if fresh { "new" } else { "cur" }).join(name)) {
                Ok(()) => {}
                // Gone, or other flags in this very moment: then it stays in INBOX.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        for dir in [&dir, &self.root] {
            disk::sync_dir(&dir.join("new"))?;
            disk::sync_dir(&dir.join("cur"))?;
        }
        Ok(())
    }

    fn edit_subscriptions(&self, edit: impl FnOnce(&mut BTreeSet<String>) -> bool) -> Result<(), StoreError> {
        let _lock = self.locked()?;
        let mut all = self.subscriptions()?;
        if edit(&mut all) {
            let text: String = all.iter().map(|name| format!("{name}\n")).collect();
            // What is longer could not be read again.
            if text.len() as u64 > MAX_SUBSCRIPTIONS {
                return Err(StoreError::Unsupported("more subscriptions"));
            }
            disk::replace(&self.root, SUBSCRIPTIONS, text.as_bytes())?;
        }
        Ok(())
    }

    /// Lines that are no names are passed over.
    fn subscriptions(&self) -> Result<BTreeSet<String>, StoreError> {
        match disk::read(&self.root.join(SUBSCRIPTIONS), MAX_SUBSCRIPTIONS) {
            Ok(text) => {
                let lines = text.split(|octet| *octet == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
                Ok(lines.filter_map(|line| canonical(line).ok()).collect())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl super::Store for Store {
    type Mailbox = Mailbox;

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let names = self.dirs()?.into_iter().map(|(name, _)| name).chain([INBOX.to_owned()]);
        Ok(view::listed(names.collect()))
    }

    fn open(&self, name: &str) -> Result<Mailbox, StoreError> {
        self.opened(name, false)
    }

    fn examine(&self, name: &str) -> Result<Mailbox, StoreError> {
        self.opened(name, true)
    }

    fn create(&self, name: &str) -> Result<(), StoreError> {
        let name = canonical(name)?;
        let _lock = self.locked()?;
        self.make(&name, |_| Ok(())).map(drop)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let name = canonical(name)?;
        if name == INBOX {
            return Err(StoreError::BadName("INBOX cannot be removed"));
        }
        let _lock = self.locked()?;
        let dir = self.dir(&name)?;
        if !is_maildir(&dir) {
            return Err(StoreError::NoMailbox);
        }
        // It goes all at once, and its messages after it.
        let going = self.root.join(format!("{GONE}{}", disk::unique()));
        fs::rename(&dir, &going)?;
        disk::sync_dir(&self.root)?;
        fs::remove_dir_all(&going)?;
        Ok(())
    }

    /// As the trait says. Mailboxes below go one by one: where the machine stops half way, some have the new name and some
    /// the old one.
    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let (from, to) = (canonical(from)?, canonical(to)?);
        check_rename(&from, &to)?;
        let _lock = self.locked()?;
        if from == INBOX {
            return self.move_inbox(&to);
        }
        let all = self.dirs()?;
        let mut moving = Vec::new();
        for (name, dir) in &all {
            if *name == from || is_below(name, &from) {
                let target = format!("{to}{}", name.strip_prefix(&from).unwrap_or_default());
                moving.push((dir, self.root.join(folder::directory(&canonical(&target)?)?), target));
            }
        }
        if moving.is_empty() {
            return Err(StoreError::NoMailbox);
        }
        // Where `from` is only a level, `to` is not among the targets.
        let taken = |target: &str| all.iter().any(|(name, _)| name == target);
        if taken(&to) || moving.iter().any(|(_, dir, target)| taken(target) || dir.symlink_metadata().is_ok()) {
            return Err(StoreError::Exists);
        }
        for (from, to, _) in moving {
            fs::rename(from, to)?;
        }
        disk::sync_dir(&self.root)?;
        Ok(())
    }

    fn subscribed(&self) -> Result<BTreeSet<String>, StoreError> {
        self.subscriptions()
    }

    fn subscribe(&self, name: &str) -> Result<(), StoreError> {
        let name = canonical(name)?;
        self.edit_subscriptions(|all| all.insert(name))
    }

    fn unsubscribe(&self, name: &str) -> Result<(), StoreError> {
        let Ok(name) = canonical(name) else { return Ok(()) };
        self.edit_subscriptions(|all| all.remove(&name))
    }

    fn deliver(&self, name: &str, message: &[u8], flags: &Flags, received: Timestamp) -> Result<(), StoreError> {
        if flags.iter().any(|flag| letter(flag).is_none()) {
            // Keywords are in the list only.
            return super::Store::examine(self, name)?.append(message, flags, received).map(drop);
        }
        let dir = self.dir(&canonical(name)?)?;
        let written = Written::new(&dir, message, received, &self.host, None)?;
        let there = if flags.is_empty() {
            dir.join("new").join(written.base())
        } else {
            let info = info_with(b"", flags);
            let info = String::from_utf8(info).map_err(|_| StoreError::Unsupported("such flags"))?;
            dir.join("cur").join(format!("{}{info}", written.base()))
        };
        written.show(&there)
    }
}

/// A key is part of a file name.
fn check_key(key: &str) -> Result<(), StoreError> {
    if (1..=64).contains(&key.len()) && key.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(StoreError::BadName("a key has 1 to 64 ASCII letters and digits"))
}

fn make_maildir(dir: &Path) -> Result<(), StoreError> {
    for name in ["tmp", "new", "cur"] {
        disk::make_dir(&dir.join(name)).map_err(gone)?;
    }
    Ok(())
}

/// A directory, not a link to one, with a `cur` in it.
fn is_maildir(dir: &Path) -> bool {
    let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|there| there.is_dir());
    is_dir(dir) && is_dir(&dir.join("cur"))
}

/// Removes what deliveries that never ended left. By the time of change of the inode: that of the file is when the message
/// came, as its sender or a client may say.
fn sweep(tmp: &Path) {
    use std::os::unix::fs::MetadataExt;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let Ok(entries) = fs::read_dir(tmp) else { return };
    for entry in entries.flatten() {
        let old = entry.metadata().is_ok_and(|there| {
            let changed = Duration::from_secs(u64::try_from(there.ctime()).unwrap_or(0));
            there.is_file() && now.saturating_sub(changed) > STALE
        });
        if old {
            let _ = fs::remove_file(entry.path()); // another may have been first
        }
    }
}

/// The name of this machine as a part of a file name (cr.yp.to/proto/maildir.html: `/` and `:` are written in octal); a
/// comma begins a field here.
fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned(); // only to be different from others
    name.replace('/', "\\057").replace(':', "\\072").replace(',', "\\054")
}

#[cfg(test)]
mod tests;
