//! One Maildir as a handle knows it: the list of UIDs joined with what lies in `new` and `cur`.
//!
//! Whatever looks or changes here holds the lock of the mailbox (`facteur-lock`); only a delivery needs none. Other
//! programs know nothing of that lock: a file that they rename while its directory is read may be missed, so a message is
//! gone only when a second look misses it too.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::file_name::{arrival, field, flags, split};
use super::uid_list::{Line, Record, UidList, write_line};
use super::{LIST, LOCK, MAX_LIST};
use crate::base::Timestamp;
use crate::store::disk::{self, Lock};
use crate::store::{Entry, Flag, StoreError, Uid};

/// A directory whose time of change is younger than this may have changed again within the same tick of its clock: file
/// systems count in steps of up to two seconds, and the clock of a file server may be a little off.
const SETTLED: Duration = Duration::from_secs(2);
/// So much of the beginning and of the end tells one list from another: more than a first line.
const MARK: u64 = 96;
/// The list is written anew when more than so many of its messages are gone, and more than are there.
const MOST_GONE: usize = 1000;
/// At one look so many files that have the name of another get one of their own; each costs a look through all.
const MOST_DOUBLES: usize = 32;

/// What a handle knows of its Maildir.
#[derive(Debug)]
pub(super) struct Index {
    dir: PathBuf,
    pub(super) list: UidList,
    /// Where the file of each record is.
    pub(super) states: Vec<State>,
    /// Device, inode and how far it has been read.
    file: (u64, u64, u64),
    /// How what was read begins and ends: an inode may be another file's by now.
    marks: [Vec<u8>; 2],
    looked: Option<Looked>,
}

/// The file of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Not looked for yet.
    Unknown,
    /// In `new` or `cur`.
    At(Place),
    /// Not there. It does not come back for this handle even where the file does, for it would come out of order.
    Gone,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) fresh: bool,
    /// What follows the base, with its colon.
    pub(super) info: Vec<u8>,
}

/// The times of change of `new` and `cur` at the last look, and when that was.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Looked {
    new: SystemTime,
    cur: SystemTime,
    at: SystemTime,
}

/// What lies in the directories.
#[derive(Default)]
struct Scan {
    found: Vec<Option<Place>>,
    unknown: HashMap<Vec<u8>, Place>,
    doubles: Vec<(bool, Vec<u8>)>,
}

impl Place {
    pub(super) fn path(&self, dir: &Path, base: &[u8]) -> PathBuf {
        path(dir, self.fresh, &[base, &self.info].concat())
    }
}

fn path(dir: &Path, fresh: bool, name: &[u8]) -> PathBuf {
    dir.join(subdir(fresh)).join(std::ffi::OsStr::from_bytes(name))
}

fn subdir(fresh: bool) -> &'static str {
    if fresh { "new" } else { "cur" }
}

impl Index {
    /// Reads the list in `dir`, or begins one with the number that `validity` gives.
    pub(super) fn open(
        dir: &Path,
        validity: impl FnOnce() -> Result<NonZeroU32, StoreError>,
    ) -> Result<Self, StoreError> {
        let _lock = lock(dir)?;
        let list = match disk::read(&dir.join(LIST), MAX_LIST) {
            Ok(text) => UidList::parse(&text).ok(),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let (list, read) = match list {
            Some(read) => read,
            // None yet, or damaged: no UID given out before may be trusted (RFC 9051 §2.3.1.1).
            None => {
                let list = UidList::new(validity()?);
                let text = list.write();
                disk::replace(dir, LIST, text.as_bytes())?;
                (list, text.len())
            }
        };
        let there = fs::symlink_metadata(dir.join(LIST))?;
        let states = vec![State::Unknown; list.records.len()];
        let file = (there.dev(), there.ino(), read as u64);
        let mut index = Self { dir: dir.to_owned(), list, states, file, marks: Default::default(), looked: None };
        index.marks = index.marks_of(&disk::open_with(&dir.join(LIST), OpenOptions::new().read(true))?)?;
        Ok(index)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether nothing can have changed since the last look.
    pub(super) fn is_settled(&self) -> Result<bool, StoreError> {
        let now = self.looking()?;
        let there = fs::symlink_metadata(self.dir.join(LIST)).map_err(gone)?;
        Ok(self.looked.is_some_and(|then| {
            (then.new, then.cur) == (now.new, now.cur)
                && [then.new, then.cur].iter().all(|time| then.at.duration_since(*time).is_ok_and(|age| age > SETTLED))
                && self.file == (there.dev(), there.ino(), there.len())
        }))
    }

    fn looking(&self) -> Result<Looked, StoreError> {
        let at = SystemTime::now();
        let time = |name| fs::symlink_metadata(self.dir.join(name)).and_then(|there| there.modified()).map_err(gone);
        Ok(Looked { new: time("new")?, cur: time("cur")?, at })
    }

    /// Looks at the disk: which files are where, and a UID for each that has none. With `take`, files in `new` go to `cur`,
    /// and all messages count as seen. Gives the first UID that was recent before.
    pub(super) fn look(&mut self, take: bool) -> Result<Uid, StoreError> {
        let _lock = lock(&self.dir)?;
        self.read_list()?;
        let looked = self.looking()?;
        let mut scan = self.scan()?;
        if take && !scan.doubles.is_empty() {
            self.part_doubles(&scan)?;
            scan = self.scan()?;
        }
        let unknown = self.place(scan)?;
        let recent = self.list.first_recent;
        let mut lines = self.arrivals(unknown)?;
        let next = lines.last().map_or(self.list.next, |(line, _)| match line {
            Line::Message(record) => Uid(record.uid.0.saturating_add(1)),
            _ => self.list.next,
        });
        if take && next > recent {
            lines.push((Line::Recent(next), None));
        }
        self.add(lines)?;
        if take {
            self.take_new();
            let gone = self.states.iter().filter(|state| **state == State::Gone).count();
            if gone > MOST_GONE && gone > self.states.len() / 2 {
                self.compact()?;
            }
        }
        self.looked = Some(looked);
        Ok(recent)
    }

    /// Reads what others added to the list. The caller holds the lock.
    pub(super) fn read_list(&mut self) -> Result<(), StoreError> {
        let mut file = disk::open_with(&self.dir.join(LIST), OpenOptions::new().read(true)).map_err(gone)?;
        let there = file.metadata()?;
        let same = (there.dev(), there.ino()) == (self.file.0, self.file.1) && there.len() >= self.file.2;
        if same && self.marks_of(&file)? == self.marks {
            file.seek(SeekFrom::Start(self.file.2))?;
            let text = disk::read_on(&mut file, MAX_LIST)?;
            if let Ok(read) = self.list.extend(&text) {
                if read > 0 {
                    self.looked = None;
                }
                self.file.2 += read as u64;
                self.marks = self.marks_of(&file)?;
                self.states.resize(self.list.records.len(), State::Unknown);
                return Ok(());
            }
        }
        self.looked = None;
        file.seek(SeekFrom::Start(0))?;
        let text = disk::read_on(&mut file, MAX_LIST)?;
        let Ok((list, read)) = UidList::parse(&text) else {
            return Err(StoreError::Damaged(format!("{LIST} was changed by another program")));
        };
        if list.validity != self.list.validity {
            return Err(StoreError::NoMailbox);
        }
        let known: HashMap<Arc<[u8]>, State> =
            self.list.records.iter().map(|record| Arc::clone(&record.base)).zip(self.states.drain(..)).collect();
        self.states =
            list.records.iter().map(|record| known.get(&record.base).cloned().unwrap_or(State::Unknown)).collect();
        self.list = list;
        self.file = (there.dev(), there.ino(), read as u64);
        self.marks = self.marks_of(&file)?;
        Ok(())
    }

    fn marks_of(&self, file: &fs::File) -> io::Result<[Vec<u8>; 2]> {
        let len = usize::try_from(self.file.2.min(MARK)).unwrap_or(0);
        let (mut begin, mut end) = (vec![0; len], vec![0; len]);
        file.read_exact_at(&mut begin, 0)?;
        file.read_exact_at(&mut end, self.file.2 - len as u64)?;
        Ok([begin, end])
    }

    /// Adds lines to the list, on the disk first. The caller holds the lock.
    pub(super) fn add(&mut self, lines: Vec<(Line, Option<Place>)>) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        lines.iter().for_each(|(line, _)| write_line(line, &mut text));
        let mut file =
            disk::open_with(&self.dir.join(LIST), OpenOptions::new().read(true).write(true)).map_err(gone)?;
        // What a killed writer left unfinished goes.
        file.set_len(self.file.2)?;
        file.seek(SeekFrom::Start(self.file.2))?;
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
            file.set_len(self.file.2)?;
            return Err(error.into());
        }
        self.file.2 += text.len() as u64;
        self.marks = self.marks_of(&file)?;
        self.looked = None;
        for (line, place) in lines {
            self.list.apply(line);
            if let Some(place) = place {
                self.states.push(State::At(place));
            }
        }
        Ok(())
    }

    /// The next UID, for a message that is about to come.
    pub(super) fn next_uid(&self) -> Result<Uid, StoreError> {
        match self.list.next.0.get() {
            u32::MAX => Err(StoreError::Unsupported("more messages in this mailbox")),
            _ => Ok(self.list.next),
        }
    }

    pub(super) fn position(&self, uid: Uid) -> Option<usize> {
        self.list.records.binary_search_by_key(&uid, |record| record.uid).ok()
    }

    /// The file of a message, where it was last seen.
    pub(super) fn file(&self, uid: Uid) -> Option<(usize, PathBuf)> {
        let at = self.position(uid)?;
        let (State::At(place), Some(record)) = (self.states.get(at)?, self.list.records.get(at)) else { return None };
        Some((at, place.path(&self.dir, &record.base)))
    }

    /// The messages that are there.
    pub(super) fn entries(&self, recent: Uid) -> Vec<Entry> {
        let all = self.list.records.iter().zip(&self.states);
        all.filter_map(|(record, state)| {
            let State::At(place) = state else { return None };
            let mut flags = flags(&place.info);
            record.keywords.iter().cloned().map(Flag::Keyword).for_each(|flag| flags.insert(flag));
            let received = Timestamp::from_unix(record.received);
            Some(Entry { uid: record.uid, flags, size: record.size, received, recent: record.uid >= recent })
        })
        .collect()
    }

    fn scan(&self) -> Result<Scan, StoreError> {
        let mut scan = Scan { found: vec![None; self.list.records.len()], ..Scan::default() };
        // Messages go from `new` to `cur`, so that none is missed in this order.
        self.scan_into(true, &mut scan)?;
        self.scan_into(false, &mut scan)?;
        Ok(scan)
    }

    fn scan_into(&self, fresh: bool, scan: &mut Scan) -> Result<(), StoreError> {
        for entry in fs::read_dir(self.dir.join(subdir(fresh))).map_err(gone)? {
            let entry = entry?;
            let name = entry.file_name().into_vec();
            // Directories, links and pipes are no messages; names with a dot in front are none either
            // (cr.yp.to/proto/maildir.html).
            if name.first() == Some(&b'.') || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            let (base, info) = split(&name);
            let place = Place { fresh, info: info.to_vec() };
            let slot = self.list.by_base.get(base).and_then(|at| scan.found.get_mut(*at));
            let double = match slot {
                Some(slot) => slot.replace(place).is_some(),
                None => scan.unknown.insert(base.to_vec(), place).is_some(),
            };
            if double {
                scan.doubles.push((fresh, name));
            }
        }
        Ok(())
    }

    /// Notes where files are now; gives those that the list does not know.
    fn place(&mut self, mut scan: Scan) -> Result<HashMap<Vec<u8>, Place>, StoreError> {
        let was_there = |state: &State| matches!(state, State::At(_));
        if self.states.iter().zip(&scan.found).any(|(state, found)| was_there(state) && found.is_none()) {
            let again = self.scan()?;
            scan.unknown.extend(again.unknown);
            for (found, again) in scan.found.iter_mut().zip(again.found) {
                *found = found.take().or(again);
            }
        }
        for (state, found) in self.states.iter_mut().zip(scan.found) {
            if *state != State::Gone {
                *state = found.map_or(State::Gone, State::At);
            }
        }
        Ok(scan.unknown)
    }

    /// Finds out where the files of the known messages are now. The caller holds the lock.
    pub(super) fn find(&mut self) -> Result<(), StoreError> {
        self.looked = None;
        let scan = self.scan()?;
        self.place(scan).map(drop)
    }

    /// Gives UIDs to what was delivered to `new`. The caller holds the lock.
    pub(super) fn look_at_new(&mut self) -> Result<(), StoreError> {
        self.read_list()?;
        let mut scan = Scan { found: vec![None; self.list.records.len()], ..Scan::default() };
        self.scan_into(true, &mut scan)?;
        let lines = self.arrivals(scan.unknown)?;
        self.add(lines)
    }

    /// Two files of one base are one message twice, where they are links to one file, or two messages: then the second
    /// gets a name of its own.
    fn part_doubles(&self, scan: &Scan) -> Result<(), StoreError> {
        for (fresh, name) in scan.doubles.iter().take(MOST_DOUBLES) {
            let (base, info) = split(name);
            let mut files = HashSet::new();
            for fresh in [false, true] {
                for entry in fs::read_dir(self.dir.join(subdir(fresh)))? {
                    let entry = entry?;
                    let other = entry.file_name().into_vec();
                    if split(&other).0 == base && entry.file_type()?.is_file() && !files.insert(entry.metadata()?.ino())
                    {
                        fs::remove_file(entry.path())?;
                    }
                }
            }
            let here = path(&self.dir, *fresh, name);
            if files.len() > 1 && here.exists() {
                let other = [disk::unique().as_bytes(), b".double", info].concat();
                fs::rename(here, path(&self.dir, *fresh, &other))?;
            }
        }
        Ok(())
    }

    /// A line for each file that the list does not know, in the order of arrival.
    fn arrivals(&self, unknown: HashMap<Vec<u8>, Place>) -> Result<Vec<(Line, Option<Place>)>, StoreError> {
        let mut all = Vec::with_capacity(unknown.len());
        for (base, place) in unknown {
            let path = place.path(&self.dir, &base);
            let there = match fs::symlink_metadata(&path) {
                Ok(there) if there.is_file() => there,
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            // W= is believed where S= is true: then the name was made for this file.
            let told = field(&base, b"S=").filter(|size| *size == there.len()).and_then(|_| field(&base, b"W="));
            let size = match told.map_or_else(|| crlf_size(&path), Ok) {
                Ok(size) => size,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => continue,
                Err(error) => return Err(error.into()),
            };
            let seconds = u64::try_from(there.mtime()).unwrap_or(0);
            let key = arrival(&base).unwrap_or((seconds, 0, 0));
            all.push((key, base, place, size, there.mtime()));
        }
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut next = self.next_uid()?.0;
        let mut lines = Vec::with_capacity(all.len());
        for (_, base, place, size, received) in all {
            let record = Record { uid: Uid(next), size, received, base: base.into(), keywords: Vec::new() };
            lines.push((Line::Message(record), Some(place)));
            let after = next.checked_add(1).filter(|after| after.get() < u32::MAX);
            next = after.ok_or(StoreError::Unsupported("more messages in this mailbox"))?;
        }
        Ok(lines)
    }

    /// Moves what lies in `new` to `cur`, as a reader of a Maildir does. What another program moved is found at the next
    /// look.
    fn take_new(&mut self) {
        for (record, state) in self.list.records.iter().zip(&mut self.states) {
            let State::At(place) = state else { continue };
            if !place.fresh {
                continue;
            }
            let info = if place.info.is_empty() { b":2,".to_vec() } else { place.info.clone() };
            let there = Place { fresh: false, info };
            if fs::rename(place.path(&self.dir, &record.base), there.path(&self.dir, &record.base)).is_ok() {
                *place = there;
            }
        }
    }

    fn compact(&mut self) -> Result<(), StoreError> {
        let scan = self.scan()?;
        let keep: Vec<bool> = self
            .states
            .iter()
            .zip(&scan.found)
            .map(|(state, found)| *state != State::Gone || found.is_some())
            .collect();
        let mut list = self.list.clone();
        list.retain(|at| keep.get(at).copied().unwrap_or(true));
        let text = list.write();
        disk::replace(&self.dir, LIST, text.as_bytes())?;
        let there = fs::symlink_metadata(self.dir.join(LIST))?;
        let mut kept = keep.iter();
        self.states.retain(|_| kept.next().copied().unwrap_or(true));
        self.list = list;
        self.file = (there.dev(), there.ino(), text.len() as u64);
        self.marks = self.marks_of(&disk::open_with(&self.dir.join(LIST), OpenOptions::new().read(true))?)?;
        Ok(())
    }
}

/// Waits for the lock of a mailbox.
pub(super) fn lock(dir: &Path) -> Result<Lock, StoreError> {
    Lock::take(&dir.join(LOCK)).map_err(|error| match error {
        StoreError::Io(error) => gone(error),
        error => error,
    })
}

/// A mailbox whose directory is not there is none.
pub(super) fn gone(error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => StoreError::NoMailbox,
        _ => error.into(),
    }
}

/// The octets of the file, and one more for each LF that has no CR before it; however large it is.
fn crlf_size(path: &Path) -> io::Result<u64> {
    let mut file = disk::open_with(path, OpenOptions::new().read(true))?;
    let mut piece = vec![0; 1 << 16];
    let (mut size, mut before) = (0, 0);
    loop {
        let len = file.read(&mut piece)?;
        let Some(octets) = piece.get(..len).filter(|octets| !octets.is_empty()) else { return Ok(size) };
        size += octets.len() as u64;
        for at in memchr::memchr_iter(b'\n', octets) {
            let previous = at.checked_sub(1).and_then(|at| octets.get(at)).copied().unwrap_or(before);
            size += u64::from(previous != b'\r');
        }
        before = octets.last().copied().unwrap_or(before);
    }
}
