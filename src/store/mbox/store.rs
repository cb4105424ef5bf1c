//! A directory of mbox files.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::Dialect;
use super::mailbox::{Mailbox, Place, is_file};
use crate::base::Timestamp;
use crate::store::disk::{self, Lock};
use crate::store::names::{INBOX, canonical, check_rename, is_below};
use crate::store::{Flags, Listed, Mailbox as _, StoreError, view};

const BESIDE: &str = ".facteur";
const BELOW: &str = ".sbd";
const SUBSCRIPTIONS: &str = "subscriptions";
const VALIDITY: &str = "validity";
/// What a file system allows for one name, with room for what is added to it.
const MAX_FILE: usize = 180;
/// The largest list of subscriptions that is read.
const MAX_SUBSCRIPTIONS: u64 = 1 << 20;

/// One user's mbox files.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::store::{Flags, Store, mbox};
///
/// # let dir = std::env::temp_dir().join(format!("facteur-doc-mbox-{}", std::process::id()));
/// let store = mbox::Store::open(&dir)?;
/// let message = b"Return-Path: <ada@example.org>\r\nSubject: hello\r\n\r\nFrom here\r\n";
/// store.deliver("INBOX", message, &Flags::new(), Timestamp::from_unix(1_172_677_344))?;
/// let file = std::fs::read_to_string(dir.join("INBOX"))?;
/// assert!(file.starts_with("From ada@example.org Wed Feb 28 15:42:24 2007\n"));
/// assert!(file.ends_with("\nSubject: hello\n\n>From here\n\n"));
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), facteur::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// The file of `INBOX`; `INBOX` in the directory of the store where nothing else is set. It is made where it is not
    /// there.
    pub inbox: PathBuf,
    /// How messages are kept apart. [`Dialect::Mboxrd`]: nothing is lost. [`Dialect::Mmdf`] can be read by a
    /// [`Reader`](super::Reader), but not kept here.
    pub dialect: Dialect,
    /// The largest message that is read, in octets; a larger one gives an error. 1 GiB: one message is held in memory.
    pub max_message: u64,
}

impl Store {
    /// The mailboxes in the directory `root`, which is made where it is not there.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        disk::make_dir(&root.join(BESIDE))?;
        let inbox = root.join(INBOX);
        Ok(Self { root, inbox, dialect: Dialect::Mboxrd, max_message: 1 << 30 })
    }

    /// The files of the mailbox of that canonical name, whether they are there or not.
    fn place(&self, name: &str) -> Result<Place, StoreError> {
        if self.dialect == Dialect::Mmdf {
            return Err(StoreError::Unsupported("MMDF files as mailboxes"));
        }
        let (dialect, max_message) = (self.dialect, self.max_message);
        if name == INBOX {
            let (path, beside) = (self.inbox.clone(), self.root.join(BESIDE));
            return Ok(Place { path, beside, name: INBOX.to_owned(), dialect, max_message, always: true });
        }
        let mut dir = self.root.clone();
        let mut levels = name.split('/').peekable();
        while let Some(level) = levels.next() {
            let file = encode(level)?;
            if levels.peek().is_some() {
                dir.push(file + BELOW);
                continue;
            }
            let (path, beside) = (dir.join(&file), dir.join(BESIDE));
            return Ok(Place { path, beside, name: file, dialect, max_message, always: false });
        }
        Err(StoreError::BadName("it is empty")) // canonical names are not
    }

    fn opened(&self, name: &str, read_only: bool) -> Result<Mailbox, StoreError> {
        Mailbox::new(self.place(&canonical(name)?)?, read_only, || self.validity())
    }

    fn validity(&self) -> Result<NonZeroU32, StoreError> {
        let dir = self.root.join(BESIDE);
        let _lock = Lock::take(&dir.join("validity.lock"))?;
        disk::next_validity(&dir, VALIDITY)
    }

    fn locked(&self) -> Result<Lock, StoreError> {
        Lock::take(&self.root.join(BESIDE).join("store.lock"))
    }

    /// All mailboxes but `INBOX`. Links are not followed.
    fn names(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut all = BTreeSet::new();
        let mut dirs = vec![(self.root.clone(), String::new())];
        while let Some((dir, above)) = dirs.pop() {
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                let (Ok(file), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
                let level = if kind.is_dir() { file.strip_suffix(BELOW) } else { Some(&file[..]) };
                let Some(name) = level.and_then(decode).map(|level| format!("{above}{level}")) else { continue };
                let usual = canonical(&name).is_ok_and(|usual| usual == name) && name != INBOX;
                if kind.is_dir() && canonical(&name).is_ok() {
                    dirs.push((entry.path(), format!("{name}/")));
                } else if kind.is_file() && usual {
                    all.insert(name);
                }
            }
        }
        Ok(all)
    }

    fn make(&self, name: &str) -> Result<Place, StoreError> {
        let place = self.place(name)?;
        if name == INBOX || is_file(&place.path) {
            return Err(StoreError::Exists);
        }
        let Some(dir) = place.path.parent() else { return Err(StoreError::BadName("it has no place")) };
        fs::create_dir_all(dir)?;
        disk::make_dir(&place.beside)?;
        // An index of a mailbox that another program removed must not be taken for this one's.
        let index = super::index::Index::new(self.validity()?);
        disk::replace(&place.beside, &place.index(), index.write().as_bytes())?;
        disk::write_new(&place.path, b"").map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => StoreError::BadName("something else has its place on the disk"),
            _ => error.into(),
        })?;
        disk::sync_dir(dir)?;
        Ok(place)
    }

    fn move_inbox(&self, to: &str) -> Result<(), StoreError> {
        let mut inbox = self.opened(INBOX, false)?;
        let place = self.make(to)?;
        let locked = place.lock()?;
        let mut moved = Vec::new();
        for entry in inbox.messages() {
            place.add(&locked.file, &inbox.read(entry.uid)?, &entry.flags, entry.received)?;
            moved.push(entry.uid);
        }
        drop(locked);
        inbox.remove(&moved)
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
            disk::replace(&self.root.join(BESIDE), SUBSCRIPTIONS, text.as_bytes())?;
        }
        Ok(())
    }

    /// Lines that are no names are passed over.
    fn subscriptions(&self) -> Result<BTreeSet<String>, StoreError> {
        match disk::read(&self.root.join(BESIDE).join(SUBSCRIPTIONS), MAX_SUBSCRIPTIONS) {
            Ok(text) => {
                let lines = text.split(|octet| *octet == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
                Ok(lines.filter_map(|line| canonical(line).ok()).collect())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl crate::store::Store for Store {
    type Mailbox = Mailbox;

    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut names = self.names()?;
        names.insert(INBOX.to_owned());
        Ok(view::listed(names))
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
        self.make(&name).map(drop)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let name = canonical(name)?;
        if name == INBOX {
            return Err(StoreError::BadName("INBOX cannot be removed"));
        }
        let _lock = self.locked()?;
        let place = self.place(&name)?;
        let held = place.lock()?;
        fs::remove_file(&place.path)?;
        for file in [place.beside.join(place.index()), place.lock_path()] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        drop(held);
        // Levels that have nothing below them any more go too.
        for dir in place.path.ancestors().skip(1).take_while(|dir| *dir != self.root) {
            let empty = |dir: &Path| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
            if empty(&dir.join(BESIDE)) {
                let _ = fs::remove_dir(dir.join(BESIDE)); // made again where it is needed
            }
            if !empty(dir) || fs::remove_dir(dir).is_err() {
                break;
            }
        }
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
        let all = self.names()?;
        let mut moving = Vec::new();
        for name in all.iter().filter(|name| **name == from || is_below(name, &from)) {
            let target = canonical(&format!("{to}{}", name.strip_prefix(&from).unwrap_or_default()))?;
            if all.contains(&target) {
                return Err(StoreError::Exists);
            }
            moving.push((self.place(name)?, self.place(&target)?));
        }
        if moving.is_empty() {
            return Err(StoreError::NoMailbox);
        }
        // Where `from` is only a level, `to` is not among the targets.
        if all.contains(&to) || moving.iter().any(|(_, to)| fs::symlink_metadata(&to.path).is_ok()) {
            return Err(StoreError::Exists);
        }
        for (from, to) in &moving {
            let _held = from.lock()?;
            fs::create_dir_all(&to.beside)?;
            match fs::rename(from.beside.join(from.index()), to.beside.join(to.index())) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            fs::rename(&from.path, &to.path)?;
            let _ = fs::remove_file(from.lock_path()); // made again where it is needed
            for dir in [from, to].map(|place| place.path.parent()).into_iter().flatten() {
                disk::sync_dir(dir)?;
            }
        }
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
        let place = self.place(&canonical(name)?)?;
        let locked = place.lock()?;
        place.add(&locked.file, message, flags, received).map(drop)
    }
}

/// A level as a file name.
fn encode(level: &str) -> Result<String, StoreError> {
    let mut out = String::with_capacity(level.len() + 4);
    for (at, c) in level.char_indices() {
        let rest = level.get(at..).unwrap_or_default();
        let special =
            c == '%' || c.is_control() || (c == '.' && (at == 0 || rest.starts_with(".lock") || rest == BELOW));
        if special {
            let mut octets = [0; 4];
            for octet in c.encode_utf8(&mut octets).bytes() {
                write!(out, "%{octet:02X}").unwrap_or_default(); // writing to a String cannot fail
            }
        } else {
            out.push(c);
        }
    }
    if out.len() > MAX_FILE { Err(StoreError::BadName("a level of it is too long for a file")) } else { Ok(out) }
}

/// The level that a file name stands for; `None` where [`encode`] writes none like it.
fn decode(file: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(file.len());
    let mut rest = file.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? * 16 + digit()?
            }
            _ => octet,
        });
    }
    let level = String::from_utf8(octets).ok()?;
    encode(&level).is_ok_and(|again| again == file).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_files_and_come_back() {
        for (level, file) in [
            ("Work", "Work"),
            (".", "%2E"),
            ("..", "%2E."),
            ("a.sbd", "a%2Esbd"),
            ("a.sbd.b", "a.sbd.b"),
            ("a.lock.1", "a%2Elock.1"),
            ("50%", "50%25"),
            ("\u{e9}", "\u{e9}"),
        ] {
            assert_eq!(encode(level).unwrap(), file);
            assert_eq!(decode(file).as_deref(), Some(level));
        }
        for other in [".facteur", "a.lock", "a.lock.123", "%41", "%", "%zz", "a.sbd"] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
