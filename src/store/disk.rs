//! What the stores on disk share: locks that die with their process, files replaced whole, names that nobody else has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::StoreError;
use crate::base::crypto;

/// How long a lock is waited for: no holder keeps one longer than it takes to read a large mailbox once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Mail is for its owner.
const FILE_MODE: u32 = 0o600;

/// An advisory lock on a file that exists for nothing else. It goes with its process, and excludes threads as well as
/// processes.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock at `path`. `NotFound` where the directory is gone.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(100);
        loop {
            let file = open_with(path, OpenOptions::new().read(true).write(true).create(true))?;
            loop {
                match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    Ok(()) => break,
                    Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => {}
                    Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked),
                    Err(error) => return Err(io::Error::from(error).into()),
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
            // The directory may have gone, and come again under the same name, while the lock was waited for.
            let (held, there) = (file.metadata()?, fs::symlink_metadata(path));
            match there {
                Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => return Ok(Self { _file: file }),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Opens a regular file and nothing else: no link is followed, no pipe waited for.
pub(crate) fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = options.mode(FILE_MODE).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Reads a regular file of at most `max` octets.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = open_with(path, OpenOptions::new().read(true))?;
    read_on(&mut file, max)
}

/// Reads from where the file stands to its end, at most `max` octets.
pub(crate) fn read_on(file: &mut File, max: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if size > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than may be read"));
    }
    let mut octets = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(max).read_to_end(&mut octets)?;
    Ok(octets)
}

/// Puts a file in the place of another, or of none: whoever looks sees the one or the other, whole, even after the power
/// was cut.
pub(crate) fn replace(dir: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    let tmp = dir.join(format!("facteur.tmp.{}", unique()));
    let written = write_new(&tmp, octets).and_then(|_| fs::rename(&tmp, dir.join(name)));
    if written.is_err() {
        let _ = fs::remove_file(&tmp); // nobody knows of it
    }
    written.and_then(|()| sync_dir(dir))
}

/// Writes a file that is not there yet, and syncs it.
pub(crate) fn write_new(path: &Path, octets: &[u8]) -> io::Result<File> {
    let mut file = open_with(path, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(octets)?;
    file.sync_all()?;
    Ok(file)
}

/// Makes the entries of a directory last.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a directory for its owner alone; one that is there already is well.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A name that no other process on any machine makes: seconds, microseconds, process, count, chance. Names made by one
/// process sort in the order in which they were made, by their numbers.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut chance = [0; 4];
    crypto::random(&mut chance);
    format!(
        "{}.M{}P{}Q{}R{:08x}",
        now.as_secs(),
        now.subsec_micros(),
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed),
        u32::from_be_bytes(chance),
    )
}

/// A number for a mailbox that no other of this store ever had: the time in seconds, or one more than the last. `file` in
/// `dir` remembers the last; the caller holds the lock of the store.
pub(crate) fn next_validity(dir: &Path, file: &str) -> Result<std::num::NonZeroU32, StoreError> {
    let last = match read(&dir.join(file), 64) {
        Ok(text) => std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok()).unwrap_or(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let next = u32::try_from(now).unwrap_or(u32::MAX).max(u32::saturating_add(last, 1));
    replace(dir, file, format!("{next}\n").as_bytes())?;
    std::num::NonZeroU32::new(next).ok_or(StoreError::Unsupported("a clock before 1970"))
}

/// Octets as one word of a line: what is not printing ASCII, and `%`, is `%` and two hexadecimal digits.
pub(crate) fn escape(octets: &[u8], out: &mut String) {
    use std::fmt::Write;
    for octet in octets {
        match octet {
            b'!'..=b'~' if *octet != b'%' => out.push(char::from(*octet)),
            _ => write!(out, "%{octet:02X}").unwrap_or_default(), // writing to a String cannot fail
        }
    }
}

/// What [`escape`] wrote.
pub(crate) fn unescape(word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut octets = word.iter().copied();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'%' => {
                let mut digit = || char::from(octets.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? * 16 + digit()?
            }
            b'!'..=b'~' => octet,
            _ => return None,
        });
    }
    Some(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory that goes when this goes.
    pub(crate) struct Temporary(pub(crate) PathBuf);

    impl Temporary {
        pub(crate) fn new() -> Self {
            let path = std::env::temp_dir().join(format!("facteur-test-{}", unique()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn words_of_any_octets_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut word = String::new();
        escape(&all, &mut word);
        assert!(word.bytes().all(|octet| octet.is_ascii_graphic()));
        assert_eq!(unescape(word.as_bytes()), Some(all));
        for bad in [&b"%"[..], b"%4", b"%zz", b"a b", b"\x80"] {
            assert_eq!(unescape(bad), None);
        }
    }

    #[test]
    fn a_lock_excludes_another_until_it_goes() {
        let dir = Temporary::new();
        let path = dir.0.join("lock");
        let held = Lock::take(&path).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(flock(&file, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
        drop(held);
        assert_eq!(flock(&file, FlockOperation::NonBlockingLockExclusive), Ok(()));
    }

    #[test]
    fn validities_grow_even_when_the_clock_stands() {
        let dir = Temporary::new();
        let a = next_validity(&dir.0, "v").unwrap();
        let b = next_validity(&dir.0, "v").unwrap();
        assert!(b > a);
        fs::write(dir.0.join("v"), "garbage").unwrap();
        assert!(next_validity(&dir.0, "v").unwrap() >= a);
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = Temporary::new();
        fs::write(dir.0.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(dir.0.join("file"), dir.0.join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.0.join("pipe"), Mode::RWXU).unwrap();
        assert_eq!(read(&dir.0.join("file"), 1).unwrap(), b"x");
        assert!(read(&dir.0.join("file"), 0).is_err());
        for name in ["link", "pipe", "."] {
            assert!(read(&dir.0.join(name), 10).is_err(), "{name}");
        }
    }
}
