//! Locking a mailbox against everybody: other handles of ours by a lock that dies with its process, other programs by
//! `mailbox.lock` and by `fcntl`, in that order, as mail programs have agreed to do it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::store::StoreError;
use crate::store::disk::{self, Lock, PATIENCE};

/// A dot lock that nobody touched for so long was left behind: what mail programs have agreed to believe.
const STALE: Duration = Duration::from_secs(5 * 60);

/// A mailbox that nobody else reads or writes while this lives, as far as they keep to the customs.
#[derive(Debug)]
pub(super) struct Locked {
    /// The file, open to be read and written. Closing it ends the `fcntl` lock.
    pub(super) file: File,
    _dot: Option<DotLock>,
    _ours: Lock,
}

#[derive(Debug)]
struct DotLock(PathBuf);

impl Locked {
    /// Waits for all the locks on `path`; ours is at `ours`.
    pub(super) fn take(path: &Path, ours: &Path) -> Result<Self, StoreError> {
        // First, for an fcntl lock excludes no other thread, and ends when any thread closes the file.
        let ours = Lock::take(ours)?;
        let until = Instant::now() + PATIENCE;
        let dot = DotLock::take(path, until)?;
        let file = disk::open_with(path, OpenOptions::new().read(true).write(true))?;
        let mut pause = Duration::from_millis(1);
        loop {
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { file, _dot: dot, _ours: ours }),
                Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) if Instant::now() < until => {}
                Err(Errno::AGAIN | Errno::ACCESS) => return Err(StoreError::Locked),
                Err(error) => return Err(io::Error::from(error).into()),
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl DotLock {
    /// `None` where nothing may be made beside the mailbox, as in a spool directory of the system.
    fn take(path: &Path, until: Instant) -> Result<Option<Self>, StoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        let host = rustix::system::uname();
        let host = host.nodename().to_bytes();
        let content = [std::process::id().to_string().as_bytes(), b" ", host, b"\n"].concat();
        let mut pause = Duration::from_millis(1);
        loop {
            // Written beside it and linked: the lock never exists without its content.
            let mut name = lock.as_os_str().to_owned();
            name.push(format!(".{}", disk::unique()));
            let tmp = PathBuf::from(name);
            match disk::open_with(&tmp, OpenOptions::new().write(true).create_new(true)) {
                Ok(mut file) => io::Write::write_all(&mut file, &content)?,
                Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
            let linked = fs::hard_link(&tmp, &lock);
            fs::remove_file(&tmp)?;
            match linked {
                Ok(()) => return Ok(Some(Self(lock))),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
            if is_left_behind(&lock, host) {
                let _ = fs::remove_file(&lock); // another may have been first
                continue;
            }
            if Instant::now() >= until {
                return Err(StoreError::Locked);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for DotLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // old enough, others take it away
    }
}

/// One of ours, by a process of this machine that is no more; or one that is old.
fn is_left_behind(lock: &Path, host: &[u8]) -> bool {
    let Ok(there) = fs::symlink_metadata(lock) else { return false };
    let age = there.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    if age.is_some_and(|age| age > STALE) {
        return there.is_file();
    }
    let Ok(content) = disk::read(lock, 1000) else { return false };
    let mut words = content.trim_ascii().splitn(2, |octet| *octet == b' ');
    let (pid, on) = (words.next().and_then(|pid| std::str::from_utf8(pid).ok()?.parse().ok()), words.next());
    // Any other holder of ours would hold our first lock too, so one with this process's own number is of one before.
    let dead = |pid| {
        Pid::from_raw(pid).is_some_and(|pid| {
            pid.as_raw_nonzero().get().unsigned_abs() == std::process::id()
                || test_kill_process(pid) == Err(Errno::SRCH)
        })
    };
    on == Some(host) && pid.is_some_and(dead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::tests::Temporary;

    #[test]
    fn a_lock_of_a_dead_process_is_taken_away_and_another_is_not() {
        let dir = Temporary::new();
        let path = dir.0.join("mbox");
        fs::write(&path, "").unwrap();
        let lock = dir.0.join("mbox.lock");
        let host = String::from_utf8_lossy(rustix::system::uname().nodename().to_bytes()).into_owned();
        let soon = || Instant::now() + Duration::from_millis(20);
        for (content, free) in [
            // The highest number a process can have is below 2^22.
            (format!("{} {host}\n", i32::MAX), true),
            (format!("{} {host}\n", std::process::id()), true),
            (format!("1 {host}\n"), false),
            (format!("{} elsewhere.example\n", i32::MAX), false),
            (String::new(), false),
            ("garbage".into(), false),
        ] {
            fs::write(&lock, &content).unwrap();
            assert_eq!(DotLock::take(&path, soon()).is_ok(), free, "{content:?}");
        }
        fs::write(&lock, "").unwrap();
        File::options().write(true).open(&lock).unwrap().set_modified(SystemTime::now() - STALE * 2).unwrap();
        drop(DotLock::take(&path, soon()).unwrap());
        assert!(!lock.exists());
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1, "nothing is left beside the mailbox");
    }

    #[test]
    fn a_directory_in_the_place_of_the_lock_is_waited_for_in_vain() {
        let dir = Temporary::new();
        let path = dir.0.join("mbox");
        fs::create_dir(dir.0.join("mbox.lock")).unwrap();
        assert!(matches!(DotLock::take(&path, Instant::now()), Err(StoreError::Locked)));
    }
}
