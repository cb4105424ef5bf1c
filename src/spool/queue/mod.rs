//! The queue on a disk: a directory with a control file (`qf`) and a data file (`df`) for each message, as sendmail has
//! them, one without the other being nothing.
//!
//! # What is on the disk at each step
//!
//! A message comes in:
//! 1. `df` is made, locked, and filled while the octets come. Whoever finds it without a `qf` and can lock it may remove it.
//! 2. At [`Draft::commit`](crate::spool::Draft::commit) the control file is written under the name `tf`.
//! 3. The data of both is synced. All writing is begun before either is waited for, so that one commit of the
//!    file system's journal does for both, and for other sessions that commit at the same time.
//! 4. `tf` is renamed to `qf`: now the message is there. It is locked still, nobody delivers it.
//! 5. The directory is synced, once for all sessions that wait for it. Then `commit` returns, and the lock goes.
//!
//! A crash before step 4 leaves a `df`, and perhaps a `tf`, that [`Queue::recover`] removes. A crash after step 4 leaves the message
//! whole, or, where the disk had not written the directory, no message; in both cases nobody was told that it is accepted.
//!
//! An entry changes: the new control file is written as `tf`, synced, renamed over `qf`, and the directory synced. A crash
//! leaves the old one or the new one.
//!
//! A message goes: `qf` is removed, the directory synced, `df` removed. A crash leaves the whole entry, or a `df`
//! alone. An entry that comes back that way is delivered a second time: twice is better than never.
//!
//! # Locks
//!
//! The lock (flock) on `qf` is the claim, and covers `tf`. The lock on `df` covers a message being received, and the moment in which a
//! `qf` becomes an `hf` (on hold) or the other way. Locks end with the process.
//!
//! # Limits
//!
//! All entries are in one directory; [`Spool::due`] reads each control file. That is right for some ten thousands of them.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::spool::disk::{Directory, Disk, DiskFile};
use crate::spool::mailq::{Listed, Mailq};
use crate::spool::qf::ControlFile;
use crate::spool::record::{self, Kept};
use crate::spool::turns::Turns;
use crate::spool::{Entry, QueueId, Spool, SpoolError};

mod claim;
mod draft;
mod ids;
#[cfg(test)]
mod tests;

pub use claim::QueueClaim;
pub use draft::QueueDraft;

use ids::Ids;

/// How a [`Queue`] keeps its messages.
///
/// ```
/// use facteur::spool::QueueConfig;
///
/// let config = QueueConfig::new("/var/spool/facteur");
/// assert_eq!(config.max_header, 65_536);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueConfig {
    /// The directory. It is made where it is not there, readable for its owner only. No default.
    pub directory: PathBuf,
    /// A longer header, in octets, goes to the data file as it is. Default 64 KiB: twice what sendmail takes
    /// (`MaxHeadersLength`); it is held in memory while it comes, and read whenever the queue is looked through.
    pub max_header: usize,
    /// A control file of more octets is not written, and read as damaged. Default 16 MiB: a hundred thousand recipients, or a
    /// thousand of whom each could not be reached for a reason of many words.
    pub max_control: u64,
}

impl QueueConfig {
    /// The defaults for a queue in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), max_header: 65_536, max_control: 16 << 20 }
    }
}

/// A queue in a directory of files; the [module](self) says which. Clones are handles to the same queue.
///
/// ```
/// use facteur::smtp::{Envelope, ForwardPath, ReversePath};
/// use facteur::spool::{Claim, Queue, QueueConfig, Spool};
///
/// let directory = std::env::temp_dir().join(format!("facteur-queue-doc-{}", std::process::id()));
/// let queue = Queue::open(QueueConfig::new(&directory))?;
/// queue.recover()?;
/// let envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
/// let id = queue.store(envelope, b"Subject: lunch\r\n\r\nAt noon.\r\n")?;
///
/// // Even after a crash:
/// let queue = Queue::open(QueueConfig::new(&directory))?;
/// let claim = queue.claim(&id)?.expect("nobody else holds it");
/// assert_eq!(claim.content()?, &b"Subject: lunch\r\n\r\nAt noon.\r\n"[..]);
/// claim.remove()?;
/// # std::fs::remove_dir_all(directory)?;
/// # Ok::<(), facteur::spool::SpoolError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Queue(Arc<Core>);

#[derive(Debug)]
struct Core {
    config: QueueConfig,
    disk: Box<dyn Disk>,
    turns: Turns,
    ids: Ids,
}

/// What [`Queue::recover`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// How many files were removed that a crash had left: parts of messages that were never accepted, or were done.
    pub removed: usize,
    /// Entries that cannot be read or understood, or whose data file is not there or not whole; they are left as they are,
    /// for somebody to look at. A crash makes none where the disk keeps changes to a directory in their order.
    pub damaged: Vec<QueueId>,
}

/// What the control file of an entry is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Waiting,
    Held,
}

impl Name {
    const BOTH: [Self; 2] = [Self::Waiting, Self::Held];

    fn of(self, id: &QueueId) -> String {
        match self {
            Self::Waiting => format!("qf{id}"),
            Self::Held => format!("hf{id}"),
        }
    }
}

impl Queue {
    /// Opens a queue, and makes its directory where it is not there. Whoever owns the queue calls [`recover`](Self::recover) then.
    ///
    /// # Errors
    /// Where the directory cannot be made or opened.
    pub fn open(config: QueueConfig) -> Result<Self, SpoolError> {
        let disk = Directory::open(&config.directory)?;
        Self::on(Box::new(disk), config)
    }

    pub(super) fn on(disk: Box<dyn Disk>, config: QueueConfig) -> Result<Self, SpoolError> {
        let ids = Ids::after(disk.changed()?);
        Ok(Self(Arc::new(Core { config, disk, turns: Turns::default(), ids })))
    }

    /// Removes what crashes have left behind. That is safe at any time: what another process is working on is locked and stays.
    ///
    /// # Errors
    /// Where the directory cannot be read, or a file not removed.
    pub fn recover(&self) -> Result<Recovered, SpoolError> {
        let core = &self.0;
        let mut recovered = Recovered::default();
        for name in core.disk.list()? {
            let Some((kind, id)) = parts(&name) else { continue };
            let left_over = match kind {
                "df" => core.is_orphan(&id)?,
                "tf" | "xf" => core.is_unfinished(&id, &name)?,
                "qf" | "hf" => {
                    match self.entry(&id) {
                        Ok(_) | Err(SpoolError::NoEntry(_)) => {} // it may have gone in the meantime
                        Err(_) => recovered.damaged.push(id),
                    }
                    continue;
                }
                _ => continue,
            };
            recovered.removed += usize::from(left_over);
        }
        Ok(recovered)
    }

    /// The entries that are not on hold, as `mailq` lists them.
    ///
    /// # Errors
    /// Where the queue cannot be listed. Entries that cannot be read or understood are left out.
    pub fn mailq(&self) -> Result<Mailq, SpoolError> {
        self.listing(Name::Waiting)
    }

    /// The entries on hold, as `mailq -qQ` lists them.
    ///
    /// # Errors
    /// Where the queue cannot be listed. Entries that cannot be read or understood are left out.
    pub fn mailq_held(&self) -> Result<Mailq, SpoolError> {
        self.listing(Name::Held)
    }

    fn listing(&self, wanted: Name) -> Result<Mailq, SpoolError> {
        let core = &self.0;
        let mut listed = Vec::new();
        for id in self.list()? {
            let Ok((name, _, control)) = core.find(&id) else { continue };
            if name != wanted {
                continue;
            }
            let data_size = core.disk.open(&format!("df{id}"))?.map_or(Ok(0), |data| data.size())?;
            listed.push(Listed::new(id, control, data_size));
        }
        Ok(Mailq::new(core.config.directory.display().to_string(), listed))
    }
}

impl Spool for Queue {
    type Draft = QueueDraft;
    type Claim = QueueClaim;

    fn begin(&self) -> Result<QueueDraft, SpoolError> {
        loop {
            // Another process may have the same id at the same time: whoever makes the file has it.
            let id = self.0.ids.next();
            if let Some(data) = self.0.disk.create(&format!("df{id}"))? {
                return Ok(QueueDraft::new(self.0.clone(), id, data));
            }
        }
    }

    fn list(&self) -> Result<Vec<QueueId>, SpoolError> {
        let names = self.0.disk.list()?;
        let mut ids: Vec<_> = names
            .iter()
            .filter_map(|name| parts(name))
            .filter(|(kind, _)| matches!(*kind, "qf" | "hf"))
            .map(|(_, id)| id)
            .collect();
        ids.sort();
        ids.dedup(); // renamed while it was listed
        Ok(ids)
    }

    fn entry(&self, id: &QueueId) -> Result<Entry, SpoolError> {
        let (name, _, control) = self.0.find(id)?;
        Ok(self.0.understand(id, name, &control)?.0)
    }

    fn claim(&self, id: &QueueId) -> Result<Option<QueueClaim>, SpoolError> {
        let core = &self.0;
        for name in Name::BOTH {
            // An entry that is changed gets a new file under the same name: then look again.
            while let Some(mut lock) = core.disk.open(&name.of(id))? {
                if !lock.try_lock()? {
                    return Ok(None);
                }
                if !core.disk.leads_to(&name.of(id), &*lock)? {
                    continue;
                }
                let control = core.read_control(id, &mut *lock)?;
                let (entry, kept) = core.understand(id, name, &control)?;
                return Ok(Some(QueueClaim::new(core.clone(), name, lock, control, (entry, kept))));
            }
        }
        Ok(None)
    }
}

impl Core {
    /// The control file of an entry, under either name.
    fn find(&self, id: &QueueId) -> Result<(Name, Box<dyn DiskFile>, ControlFile), SpoolError> {
        // It may go from one name to the other between two looks; a third one then finds it.
        for name in [Name::Waiting, Name::Held, Name::Waiting] {
            if let Some(mut file) = self.disk.open(&name.of(id))? {
                let control = self.read_control(id, &mut *file)?;
                return Ok((name, file, control));
            }
        }
        Err(SpoolError::NoEntry(id.clone()))
    }

    fn read_control(&self, id: &QueueId, file: &mut dyn DiskFile) -> Result<ControlFile, SpoolError> {
        let damaged = |what: String| SpoolError::Damaged { id: id.clone(), what };
        let mut text = Vec::new();
        file.take(self.config.max_control + 1).read_to_end(&mut text)?;
        if text.len() as u64 > self.config.max_control {
            return Err(damaged(format!("the control file has more than {} octets", self.config.max_control)));
        }
        ControlFile::parse(&text).map_err(|error| damaged(format!("the control file: {error}")))
    }

    fn understand(&self, id: &QueueId, name: Name, control: &ControlFile) -> Result<(Entry, Kept), SpoolError> {
        let damaged = |what: &str| SpoolError::Damaged { id: id.clone(), what: what.to_owned() };
        let (mut entry, kept) = record::read(id, control).map_err(damaged)?;
        let data = self.disk.open(&format!("df{id}"))?.ok_or_else(|| damaged("there is no data file"))?;
        if kept.data.is_some_and(|size| data.size().ok() != Some(size)) {
            return Err(damaged("the data file is not as long as it was stored"));
        }
        if name == Name::Held && entry.held.is_none() {
            entry.held = Some(String::new()); // on its way to be released when a crash came
        }
        Ok((entry, kept))
    }

    /// Removes a data file without a control file, if nobody is writing it.
    fn is_orphan(&self, id: &QueueId) -> Result<bool, SpoolError> {
        let name = format!("df{id}");
        let Some(data) = self.disk.open(&name)? else { return Ok(false) };
        // With the lock nobody is receiving this message, or taking its control file from one name to the other.
        if !data.try_lock()? || !self.disk.leads_to(&name, &*data)? || self.is_entry(id)? {
            return Ok(false);
        }
        self.disk.remove(&name)?;
        Ok(true)
    }

    /// Removes a control file that was being written, if whoever wrote it is gone.
    fn is_unfinished(&self, id: &QueueId, name: &str) -> Result<bool, SpoolError> {
        // It was written under the lock of the control file, or where there was none, of the data file.
        let mut locks = Vec::new();
        for guard in [format!("df{id}"), Name::Waiting.of(id), Name::Held.of(id)] {
            let Some(file) = self.disk.open(&guard)? else { continue };
            if !file.try_lock()? || !self.disk.leads_to(&guard, &*file)? {
                return Ok(false);
            }
            locks.push(file);
        }
        let present = self.disk.open(name)?.is_some();
        self.disk.remove(name)?;
        Ok(present)
    }

    fn is_entry(&self, id: &QueueId) -> Result<bool, SpoolError> {
        for name in Name::BOTH {
            if self.disk.open(&name.of(id))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a control file beside the old one, if there is one; the file is locked.
    fn write_control(&self, id: &QueueId, control: &ControlFile) -> Result<Box<dyn DiskFile>, SpoolError> {
        let name = format!("tf{id}");
        let text = control.write();
        if text.len() as u64 > self.config.max_control {
            return Err(SpoolError::Misuse("an entry of more octets than a control file may have"));
        }
        let mut file = match self.disk.create(&name)? {
            Some(file) => file,
            None => {
                // Its writer died, since the lock on the entry is ours.
                self.disk.remove(&name)?;
                self.disk.create(&name)?.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?
            }
        };
        match file.write_all(&text).and_then(|()| file.flush()) {
            Ok(()) => Ok(file),
            Err(error) => {
                let _ = self.disk.remove(&name); // the next one would do it, too
                Err(error.into())
            }
        }
    }

    /// Syncs the directory, together with all who ask for it at the same time.
    fn sync(&self) -> io::Result<()> {
        self.turns.take(|| self.disk.sync())
    }

    /// Takes `tf` to its name, the data of all files first.
    fn publish(&self, files: &[&dyn DiskFile], id: &QueueId, name: Name) -> io::Result<()> {
        files.iter().for_each(|file| file.start_sync());
        files.iter().try_for_each(|file| file.sync())?;
        self.disk.rename(&format!("tf{id}"), &name.of(id))?;
        self.sync()
    }
}

/// `qf`, and the id after it.
fn parts(name: &str) -> Option<(&str, QueueId)> {
    let (kind, id) = name.split_at_checked(2)?;
    Some((kind, id.parse().ok()?))
}
