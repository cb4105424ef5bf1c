//! A message being received: steps 1 to 5 of the way in.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use crate::spool::content::{CrlfReader, Rewrite, Splitter};
use crate::spool::disk::DiskFile;
use crate::spool::queue::{Core, Name};
use crate::spool::{Draft, QueueId, SpoolError, Submission, record};

/// Pieces of this size go to the data file.
const PIECE: usize = 65_536;

/// A message being received into a [`Queue`](crate::spool::Queue).
pub struct QueueDraft {
    core: Arc<Core>,
    id: QueueId,
    data: Box<dyn DiskFile>,
    /// Not yet written.
    out: Vec<u8>,
    splitter: Option<Splitter>,
    committed: bool,
}

impl QueueDraft {
    pub(super) fn new(core: Arc<Core>, id: QueueId, data: Box<dyn DiskFile>) -> Self {
        let splitter = Some(Splitter::new(core.config.max_header));
        Self { core, id, data, out: Vec::new(), splitter, committed: false }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.data.write_all(&self.out)?;
        self.data.flush()?;
        self.out.clear();
        Ok(())
    }

    /// Writes the data file anew in the exact form.
    fn rewrite(&mut self, Rewrite { header, old }: Rewrite) -> io::Result<()> {
        let exact = self.out.split_off(old);
        self.flush()?;
        let (df, xf) = (format!("df{}", self.id), format!("xf{}", self.id));
        let mut anew = self.core.disk.create(&xf)?.ok_or(io::ErrorKind::AlreadyExists)?;
        anew.write_all(&header)?;
        self.data.rewind()?;
        io::copy(&mut CrlfReader::new(&mut self.data), &mut anew)?;
        // The new file is locked as the old one was; the name is never without one.
        self.core.disk.rename(&xf, &df)?;
        self.data = anew;
        self.out = exact;
        Ok(())
    }

    fn try_commit(&mut self, submission: &Submission) -> Result<(), SpoolError> {
        let Some(splitter) = self.splitter.take() else {
            return Err(SpoolError::Misuse("the draft went wrong before"));
        };
        let split = splitter.finish(&mut self.out);
        self.flush()?;
        let control = record::new(submission, &split, self.data.size()?).map_err(SpoolError::Misuse)?;
        let name = if submission.held.is_some() { Name::Held } else { Name::Waiting };
        let file = self.core.write_control(&self.id, &control)?;
        let published = self.core.publish(&[&*self.data, &*file], &self.id, name);
        if published.is_err() {
            // Nobody can have claimed it: it is still locked. What cannot be removed now will be found in either state.
            let _ = self.core.disk.remove(&name.of(&self.id));
        }
        Ok(published?)
    }
}

impl Draft for QueueDraft {
    fn id(&self) -> &QueueId {
        &self.id
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), SpoolError> {
        let Some(splitter) = &mut self.splitter else {
            return Err(SpoolError::Misuse("the draft went wrong before"));
        };
        let rewrite = splitter.feed(octets, &mut self.out);
        let written = match rewrite {
            Some(rewrite) => self.rewrite(rewrite),
            None if self.out.len() >= PIECE => self.flush(),
            None => Ok(()),
        };
        if written.is_err() {
            self.splitter = None;
        }
        Ok(written?)
    }

    fn commit(mut self, submission: Submission) -> Result<QueueId, SpoolError> {
        self.try_commit(&submission)?;
        self.committed = true;
        Ok(self.id.clone())
    }
}

/// What was not committed goes; what cannot be removed now is for [`Queue::recover`](crate::spool::Queue::recover).
impl Drop for QueueDraft {
    fn drop(&mut self) {
        if !self.committed {
            for kind in ["tf", "xf", "df"] {
                let _ = self.core.disk.remove(&format!("{kind}{}", self.id));
            }
        }
    }
}

impl fmt::Debug for QueueDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueDraft").field("id", &self.id).finish_non_exhaustive()
    }
}
