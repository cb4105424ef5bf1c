//! The few things that the queue asks of a disk. There are two of them: the directory of the machine, and the model in
//! `crash.rs` that forgets what was not synced.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// One directory with files in it.
pub(super) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a file that is not there yet, and locks it; `None` where it is there.
    fn create(&self, name: &str) -> io::Result<Option<Box<dyn DiskFile>>>;
    /// Opens a file to be read; `None` where there is none.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn DiskFile>>>;
    /// Whether `file` is what `name` leads to.
    fn leads_to(&self, name: &str, file: &dyn DiskFile) -> io::Result<bool>;
    /// Gives a file another name, which is taken from what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a name away; it is no fault where there is none.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// All names.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Once this returns, what was done to names before it began is on stable storage.
    fn sync(&self) -> io::Result<()>;
    /// When anything was last done to names, in seconds since 1970.
    fn changed(&self) -> io::Result<i64>;
}

/// A file on a [`Disk`].
pub(super) trait DiskFile: fmt::Debug + Send + Read + Write {
    /// Tries to lock it against all others, in this process too, until it is dropped or the process dies.
    fn try_lock(&self) -> io::Result<bool>;
    /// Waits for the lock.
    fn lock(&self) -> io::Result<()>;
    /// Asks for the data to be written out, and does not wait.
    fn start_sync(&self);
    /// Once this returns the data is on stable storage.
    fn sync(&self) -> io::Result<()>;
    /// Its size in octets.
    fn size(&self) -> io::Result<u64>;
    /// Which file of the disk it is.
    fn number(&self) -> io::Result<(u64, u64)>;
    /// Goes back to the beginning.
    fn rewind(&mut self) -> io::Result<()>;
}

/// A directory of this machine.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// Opens a directory; makes it, and those above it, where it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let new: Vec<_> =
            path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.is_dir()).collect();
        if !new.is_empty() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        for made in new {
            // The name of a new directory stands in the one above.
            let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(above)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), handle: File::open(path)? })
    }
}

impl Disk for Directory {
    fn create(&self, name: &str) -> io::Result<Option<Box<dyn DiskFile>>> {
        // Mail is nobody else's business.
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.path.join(name));
        let file = match options {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            file => file?,
        };
        // Between the two calls whoever cleans up may have taken it for left over.
        let ours = file.try_lock_now()? && self.leads_to(name, &file)?;
        Ok(ours.then(|| Box::new(file) as Box<dyn DiskFile>))
    }

    fn open(&self, name: &str) -> io::Result<Option<Box<dyn DiskFile>>> {
        match File::open(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Ok(Some(Box::new(file?))),
        }
    }

    fn leads_to(&self, name: &str, file: &dyn DiskFile) -> io::Result<bool> {
        match self.path.join(name).symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            named => named.and_then(|named| Ok((named.dev(), named.ino()) == file.number()?)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn changed(&self) -> io::Result<i64> {
        Ok(self.handle.metadata()?.mtime())
    }
}

trait Locking {
    fn try_lock_now(&self) -> io::Result<bool>;
}

impl Locking for File {
    fn try_lock_now(&self) -> io::Result<bool> {
        match flock(self, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl DiskFile for File {
    fn try_lock(&self) -> io::Result<bool> {
        self.try_lock_now()
    }

    fn lock(&self) -> io::Result<()> {
        loop {
            match flock(self, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                locked => return Ok(locked?),
            }
        }
    }

    fn start_sync(&self) {
        // Only a hint: writing begins now, and pages that are not yet written stay.
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed);
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn number(&self) -> io::Result<(u64, u64)> {
        let metadata = self.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).map(drop)
    }
}
