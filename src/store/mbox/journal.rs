//! Changing an mbox file in its place so that it is never seen half changed by us, whenever the process is killed.
//!
//! The file keeps its inode: a program that waits for its `fcntl` lock has it open already, and would write its mail into
//! nowhere if another file were renamed over it. So what is about to be written is first written to a journal beside the
//! index and synced; then it is written into the file; then the journal goes. Who takes the lock and finds a journal does
//! what it says again. Other programs may have added messages meanwhile: they are kept.
//!
//! The journal is one line, `facteur-mbox-journal 1 AT LENGTH OLD SUM TAIL`, and the octets to be written at `AT`, behind
//! which the file ends. `OLD` is the length before, `SUM` the SHA-256 of the octets, `TAIL` that of what will be cut off.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::base::crypto::sha256;
use crate::store::disk;

const MAGIC: &str = "facteur-mbox-journal 1";

/// Where the journal of one mailbox is.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    pub(super) dir: PathBuf,
    pub(super) name: String,
}

struct Task {
    at: u64,
    old: u64,
    tail: String,
    data: Vec<u8>,
}

impl Journal {
    /// Writes `data` at `at`, which is not behind the end, and ends the file behind it.
    pub(super) fn write(&self, file: &File, at: u64, data: Vec<u8>) -> io::Result<()> {
        let old = file.metadata()?.len();
        let new = at + data.len() as u64;
        let tail = hex(&sha256(&octets(file, new, old)?));
        let header = format!("{MAGIC} {at} {} {old} {} {tail}\n", data.len(), hex(&sha256(&data)));
        let header_len = header.len();
        let mut text = header.into_bytes();
        text.extend_from_slice(&data);
        disk::replace(&self.dir, &self.name, &text)?;
        put(file, at, text.get(header_len..).unwrap_or_default())?;
        self.done(at, old)
    }

    /// Does again what a killed process was about to do.
    pub(super) fn recover(&self, file: &File) -> io::Result<()> {
        let mut text = Vec::new();
        match File::open(self.dir.join(&self.name)) {
            Ok(mut journal) => journal.read_to_end(&mut text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(task) = parse(&text) else { return self.done(0, 1) };
        drop(text);
        let len = file.metadata()?.len();
        let Some(from) = task.others_from(file, len)? else { return self.done(0, 1) };
        let others = octets(file, from, len)?;
        if others.is_empty() {
            put(file, task.at, &task.data)?;
            return self.done(task.at, task.old);
        }
        // Once more by a journal: from here on another kill must not lose what others added.
        let data = [task.data, others].concat();
        self.write(file, task.at, data)
    }

    /// An append that comes back after a power cut is known as done; another change is not, so its end is synced.
    fn done(&self, at: u64, old: u64) -> io::Result<()> {
        fs::remove_file(self.dir.join(&self.name))?;
        if at == old { Ok(()) } else { disk::sync_dir(&self.dir) }
    }
}

impl Task {
    /// Where in the file begins what other programs added after the kill; its length where there is nothing. `None` where
    /// the file is not what this task left behind at any moment.
    fn others_from(&self, file: &File, len: u64) -> io::Result<Option<u64>> {
        let new = self.at + self.data.len() as u64;
        if len < self.at {
            return Ok(None);
        }
        let there = octets(file, self.at, len.min(new))?;
        let same = there.iter().zip(&self.data).take_while(|(a, b)| a == b).count() as u64;
        let reached = self.at + same;
        if self.at == self.old {
            // An append: a message of others begins where ours was cut off.
            if reached == new || reached == len {
                return Ok(Some(reached));
            }
            // Theirs may look like the beginning of ours, as far as a part of our `From ` line: then nothing of ours is
            // there. Where all of that line is there, what follows must be a message, or it is ours with other flags.
            let own = memchr::memmem::find(&self.data, b"From ").unwrap_or(0);
            let line = self.data.get(own..).and_then(|data| memchr::memchr(b'\n', data)).map_or(own, |len| own + len);
            let begins = if same <= line as u64 { [reached, self.at + own as u64, self.at] } else { [reached; 3] };
            for at in begins {
                let next = octets(file, at, len.min(at + 5))?;
                if next == b"From " || next.first() == Some(&b'\n') {
                    return Ok(Some(at));
                }
            }
            return Ok(None);
        }
        if reached == len && new >= self.old {
            return Ok(Some(len));
        }
        if reached < new {
            // Not all was written, so nothing was cut off yet.
            return Ok(Some(if reached <= self.old { self.old.min(len) } else { reached }));
        }
        let uncut = new < self.old && len >= self.old && hex(&sha256(&octets(file, new, self.old)?)) == self.tail;
        Ok(Some(if uncut { self.old } else { new.min(len) }))
    }
}

fn put(mut file: &File, at: u64, data: &[u8]) -> io::Result<()> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(at))?;
    file.write_all(data)?;
    file.set_len(at + data.len() as u64)?;
    file.sync_all()
}

fn octets(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut out = vec![0; usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?];
    file.read_exact_at(&mut out, from)?;
    Ok(out)
}

fn parse(text: &[u8]) -> Option<Task> {
    let end = memchr::memchr(b'\n', text)?;
    let line = std::str::from_utf8(text.get(..end)?).ok()?.strip_prefix(MAGIC)?;
    let mut words = line.split_ascii_whitespace();
    let (at, len, old) =
        (words.next()?.parse().ok()?, words.next()?.parse::<usize>().ok()?, words.next()?.parse().ok()?);
    let (sum, tail) = (words.next()?, words.next()?.to_owned());
    let data = text.get(end + 1..)?.to_vec();
    (data.len() == len && hex(&sha256(&data)) == sum && at <= old).then_some(Task { at, old, tail, data })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::tests::Temporary;

    const OLD: &[u8] = b"From a\none\n\nFrom b\ntwo\n\nFrom c\nthree\n\n";
    const OTHER: &[u8] = b"From x\nother\n\n";

    /// Runs `at` and `data` up to each moment at which it can be killed, adds `other`, recovers, and compares.
    fn killed_everywhere(at: usize, data: &[u8]) {
        let dir = Temporary::new();
        let path = dir.0.join("mbox");
        let journal = Journal { dir: dir.0.clone(), name: "journal".into() };
        let new = [&OLD[..at], data].concat();
        let file = || File::options().read(true).write(true).open(&path).unwrap();
        fs::write(&path, OLD).unwrap();
        journal.write(&file(), at as u64, data.to_vec()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), new);
        assert!(!dir.0.join("journal").exists());

        let tail = hex(&sha256(OLD.get(new.len()..).unwrap_or_default()));
        let text = format!("{MAGIC} {at} {} {} {} {tail}\n", data.len(), OLD.len(), hex(&sha256(data)));
        let text = [text.as_bytes(), data].concat();
        let mut moments: Vec<Vec<u8>> = (0..=data.len())
            .map(|written| {
                let mut moment = OLD.to_vec();
                moment.resize(moment.len().max(at + written), 0);
                moment[at..at + written].copy_from_slice(&data[..written]);
                moment
            })
            .collect();
        moments.push(new.clone());
        for moment in moments {
            for other in [&b""[..], OTHER] {
                fs::write(&path, [&moment[..], other].concat()).unwrap();
                fs::write(dir.0.join("journal"), &text).unwrap();
                journal.recover(&file()).unwrap();
                let expected = [&new[..], other].concat();
                let there = fs::read(&path).unwrap();
                assert_eq!(
                    there.escape_ascii().to_string(),
                    expected.escape_ascii().to_string(),
                    "{}",
                    moment.escape_ascii()
                );
                assert!(!dir.0.join("journal").exists());
            }
        }
    }

    #[test]
    fn an_append_is_done_again() {
        killed_everywhere(OLD.len(), b"From d\nStatus: O\n\nfour\n\n");
    }

    #[test]
    fn a_removal_is_done_again() {
        killed_everywhere(12, b"From c\nthree\n\n");
        killed_everywhere(0, b"");
        killed_everywhere(12, b"");
    }

    #[test]
    fn an_insertion_is_done_again() {
        killed_everywhere(12, b"From b\nStatus: RO\ntwo\n\nFrom c\nthree\n\n");
    }

    #[test]
    fn a_journal_that_fits_nothing_is_dropped() {
        let dir = Temporary::new();
        let path = dir.0.join("mbox");
        let journal = Journal { dir: dir.0.clone(), name: "journal".into() };
        let data = b"From d\nStatus:  O\n\n";
        let whole = format!("{MAGIC} {} {} {} {} {}\n", OLD.len(), data.len(), OLD.len(), hex(&sha256(data)), "-");
        let whole = [whole.as_bytes(), data].concat();
        for (text, there) in [
            (&b"garbage"[..], OLD.to_vec()),
            (&whole[..whole.len() - 1], OLD.to_vec()),
            (&whole, OLD[..5].to_vec()),
            // It came back after a power cut; flags were changed since.
            (&whole, [OLD, b"From d\nStatus: RO\n\n", OTHER].concat()),
        ] {
            fs::write(&path, &there).unwrap();
            fs::write(dir.0.join("journal"), text).unwrap();
            journal.recover(&File::options().read(true).write(true).open(&path).unwrap()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), there);
            assert!(!dir.0.join("journal").exists());
        }
    }
}
