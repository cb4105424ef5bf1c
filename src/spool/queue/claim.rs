//! An entry in the hands of one runner: read, changed, removed.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;

use crate::spool::content::{CrlfReader, Form, header_of};
use crate::spool::disk::DiskFile;
use crate::spool::qf::ControlFile;
use crate::spool::queue::{Core, Name};
use crate::spool::record::{self, Kept};
use crate::spool::{Claim, Entry, SpoolError};

/// An entry of a [`Queue`](crate::spool::Queue) in the hands of one runner.
pub struct QueueClaim {
    core: Arc<Core>,
    entry: Entry,
    control: ControlFile,
    kept: Kept,
    name: Name,
    /// The control file: the lock on it is the claim.
    lock: Box<dyn DiskFile>,
}

impl QueueClaim {
    pub(super) fn new(
        core: Arc<Core>,
        name: Name,
        lock: Box<dyn DiskFile>,
        control: ControlFile,
        (entry, kept): (Entry, Kept),
    ) -> Self {
        Self { core, entry, control, kept, name, lock }
    }

    /// The octets of the message, as they are read from the files.
    fn whole(&self) -> Result<impl Read + Send + 'static, SpoolError> {
        let id = &self.entry.id;
        let Some(data) = self.core.disk.open(&format!("df{id}"))? else {
            return Err(SpoolError::Damaged { id: id.clone(), what: "there is no data file".into() });
        };
        let (header, data): (_, Box<dyn Read + Send>) = match self.kept.form {
            Form::Exact => (Vec::new(), Box::new(data)),
            Form::Fields => {
                let fields: Vec<_> = record::content_fields(&self.control, self.kept).collect();
                (header_of(fields.iter().map(|field| &field[..])), Box::new(CrlfReader::new(data)))
            }
        };
        Ok(Whole { inner: Cursor::new(header).chain(data), expected: self.kept.size, read: 0 })
    }
}

impl Claim for QueueClaim {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn content(&self) -> Result<Bytes, SpoolError> {
        let mut content = Vec::with_capacity(usize::try_from(self.kept.size.unwrap_or(0)).unwrap_or(0));
        match self.whole()?.read_to_end(&mut content) {
            Ok(_) => Ok(content.into()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(SpoolError::Damaged { id: self.entry.id.clone(), what: error.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn reader(&self) -> Result<Box<dyn Read + Send>, SpoolError> {
        Ok(Box::new(self.whole()?))
    }

    fn update(&mut self, entry: Entry) -> Result<(), SpoolError> {
        if entry.recipients.is_empty() {
            return Err(SpoolError::Misuse("an entry without recipients is to be removed"));
        }
        let id = self.entry.id.clone();
        let mut control = self.control.clone();
        record::change(&mut control, &entry);
        let name = if entry.held.is_some() { Name::Held } else { Name::Waiting };
        let file = self.core.write_control(&id, &control)?;
        if let Err(error) = self.core.publish(&[&*file], &id, self.name) {
            let _ = self.core.disk.remove(&format!("tf{id}"));
            // Where the directory was not synced the new file has the name already, and with it goes the claim.
            if self.core.disk.leads_to(&self.name.of(&id), &*file)? {
                self.lock = file;
                self.control = control;
            }
            return Err(error.into());
        }
        // Locked when it was made, and claimed on from here.
        self.lock = file;
        if name != self.name {
            // Whoever looks for data files without control files must not look between the two names.
            let data = self.core.disk.open(&format!("df{id}"))?;
            data.as_ref().map_or(Ok(()), |data| data.lock())?;
            self.core.disk.rename(&self.name.of(&id), &name.of(&id))?;
            self.name = name;
            self.core.sync()?;
        }
        let (entry, kept) = self.core.understand(&id, name, &control)?;
        (self.entry, self.kept, self.control) = (entry, kept, control);
        Ok(())
    }

    fn remove(self) -> Result<(), SpoolError> {
        let id = &self.entry.id;
        self.core.disk.remove(&self.name.of(id))?;
        self.core.sync()?;
        // What stays here is without a name that leads to it, and goes at the next recovery.
        let _ = self.core.disk.remove(&format!("df{id}"));
        Ok(())
    }
}

impl fmt::Debug for QueueClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueClaim").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// Reads to the end and no further, which must be where the control file says.
struct Whole<R> {
    inner: R,
    expected: Option<u64>,
    read: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.read += count as u64;
        let at_end = count == 0 && !out.is_empty();
        match self.expected {
            Some(size) if self.read > size || at_end && self.read < size => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the data file is not as long as it was stored"))
            }
            _ => Ok(count),
        }
    }
}
