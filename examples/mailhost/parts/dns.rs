//! Who answers questions to the DNS, and the MTA-STS policies of other domains, which are kept over a restart: without them,
//! whoever stands between at the next start need only keep us from a domain's record.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use facteur::auth::mta_sts::{Cache, Entry, Policy};
use facteur::base::Timestamp;
use facteur::dns::Name;
use facteur::net::mta_sts::Https;
use facteur::net::resolver::{ResolverConfig, Servers, Validation};
use facteur::net::tls::Connector;
use facteur::net::{MtaSts, Resolver};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::log::log;
use super::setup;

/// How often policies are written down that have changed.
const INTERVAL: Duration = Duration::from_secs(60);

/// The section `[dns]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub servers: Vec<SocketAddr>,
    pub dnssec: bool,
}

/// What is written down.
#[derive(Serialize)]
struct Kept {
    policies: Vec<KeptPolicy>,
}

#[derive(Deserialize, Serialize)]
struct KeptPolicy {
    domain: String,
    id: String,
    /// In seconds since 1970.
    fetched: i64,
    /// As the domain has it.
    policy: String,
}

/// The policies of other domains, and the file where they are kept.
pub struct Policies {
    pub mta_sts: MtaSts,
    file: File,
}

/// Where they are written down.
struct File {
    path: PathBuf,
    /// What stands in it.
    written: Vec<u8>,
    /// Some of it, or all, could not be read.
    is_broken: bool,
}

/// Asks the servers that the config names, or those of the system.
pub fn resolver(settings: &Settings) -> Result<Resolver, String> {
    let servers = match settings.servers.as_slice() {
        [] => Servers::System,
        servers => Servers::These(servers.to_vec()),
    };
    let mut config = ResolverConfig::new(servers);
    config.validation = if settings.dnssec { Validation::Root } else { Validation::Off };
    Resolver::new(config).map_err(|error| format!("dns: {error}"))
}

impl Policies {
    /// Those that were kept; `None` where nobody can prove where a policy is from, for there are no authorities.
    pub fn open(resolver: &Resolver, data: &Path) -> Option<Self> {
        let connector = Connector::system().ok()?;
        let (file, cache) = File::open(data.join("mta-sts.toml"));
        Some(Self { mta_sts: MtaSts::new(Https::new(resolver.clone(), connector), cache), file })
    }

    /// Writes them down from time to time, and at the end.
    pub async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
            let text = write(&self.mta_sts.cache()).into_bytes();
            if let Err(error) = block_in_place(|| self.file.save(text)) {
                log!("dns", "{}: {error}", self.file.path.display());
            }
        }
    }
}

impl File {
    /// What stands in it. Policies can be had again: a file that does not read is not a reason to deliver no mail.
    fn open(path: PathBuf) -> (Self, Cache) {
        let mut is_broken = false;
        let written = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                log!("dns", "warning: {}: {error}; no MTA-STS policy of the last run is known", path.display());
                is_broken = true;
                Vec::new()
            }
            Ok(octets) => octets,
        };
        let cache = read(&written, |error| {
            log!("dns", "warning: {}: {error}; this MTA-STS policy is dropped", path.display());
            is_broken = true;
        });
        (Self { path, written, is_broken }, cache)
    }

    /// Writes it anew where that is something else. One that could not be read is kept as `.broken`, for somebody to look at.
    fn save(&mut self, text: Vec<u8>) -> io::Result<()> {
        if text == self.written {
            return Ok(());
        }
        if self.is_broken {
            std::fs::rename(&self.path, self.path.with_extension("toml.broken"))?;
            self.is_broken = false;
        }
        setup::write_new(&self.path, &text)?;
        self.written = text;
        Ok(())
    }
}

/// In the order of their domains, so that what has not changed is written the same.
fn write(cache: &Cache) -> String {
    let mut policies: Vec<KeptPolicy> = cache
        .entries()
        .map(|(domain, entry)| KeptPolicy {
            domain: domain.to_string(),
            id: entry.id.clone(),
            fetched: entry.fetched.unix(),
            policy: entry.policy.to_string(),
        })
        .collect();
    policies.sort_unstable_by(|a, b| a.domain.cmp(&b.domain));
    toml::to_string(&Kept { policies }).unwrap_or_default() // texts and a number
}

/// What was written down. Each policy is read by itself: one that is broken costs none of the others.
fn read(octets: &[u8], mut lost: impl FnMut(String)) -> Cache {
    let mut cache = Cache::new();
    for (line, entry) in entries(octets) {
        match read_entry(entry) {
            Ok((domain, entry)) => {
                cache.insert(domain, entry);
            }
            Err(error) => lost(format!("the entry at line {line}: {error}")),
        }
    }
    cache
}

/// What stands behind each `[[policies]]` up to the next, and in which line; what stands before the first of them, where that is
/// anything.
fn entries(octets: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut found, mut from, mut begins, mut at) = (Vec::new(), 0, 1, 0);
    for (line, text) in octets.split_inclusive(|octet| *octet == b'\n').enumerate() {
        at += text.len();
        if text.trim_ascii() == b"[[policies]]" {
            found.push((begins, &octets[from..at - text.len()]));
            (begins, from) = (line + 1, at);
        }
    }
    found.push((begins, &octets[from..]));
    // As it is written where there are none.
    let is_none = matches!(found[0].1.trim_ascii(), b"" | b"policies = []");
    found.drain(..usize::from(is_none));
    found
}

fn read_entry(octets: &[u8]) -> Result<(Name, Entry), String> {
    let text = std::str::from_utf8(octets).map_err(|error| error.to_string())?;
    let kept: KeptPolicy = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let fault = |error| format!("{}: {error}", kept.domain);
    let policy = Policy::parse(kept.policy.as_bytes()).map_err(fault)?;
    let domain = kept.domain.parse().map_err(fault)?;
    Ok((domain, Entry::new(kept.id, policy, Timestamp::from_unix(kept.fetched))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_they_were_written() {
        let policy = |mode: &str| format!("version: STSv1\r\nmode: {mode}\r\nmx: *.mail.test\r\nmax_age: 86400\r\n");
        let mut cache = Cache::new();
        for (domain, mode, fetched) in [("b.test", "enforce", 1_700_000_000), ("a.test", "testing", 1_700_000_001)] {
            let entry = Entry::new("7", Policy::parse(policy(mode).as_bytes()).unwrap(), Timestamp::from_unix(fetched));
            cache.insert(domain.parse().unwrap(), entry);
        }
        let (mut read_again, lost) = read_all(write(&cache).as_bytes());
        assert_eq!((read_again.entries().count(), lost.len()), (2, 0));
        for domain in ["a.test", "b.test"] {
            let domain = domain.parse().unwrap();
            assert_eq!(read_again.entry(&domain), cache.entry(&domain));
        }
        let none = write(&Cache::new());
        assert_eq!(read_all(none.as_bytes()).1, [""; 0], "{none}");
    }

    #[test]
    fn a_broken_file_is_kept_aside_before_it_is_written_anew() {
        let folder = std::env::temp_dir().join(format!("facteur-mta-sts-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, aside) = (folder.join("mta-sts.toml"), folder.join("mta-sts.toml.broken"));
        for _ in 0..2 {
            let (mut file, cache) = File::open(path.clone());
            file.save(write(&cache).into_bytes()).unwrap();
            assert!(path.exists() && !aside.exists(), "none is not broken");
        }
        std::fs::write(&path, "[[policies]]\ndomain = 1\n").unwrap();
        let (mut file, _) = File::open(path.clone());
        assert!(path.exists() && !aside.exists(), "nothing is written yet");
        for text in ["one", "two"] {
            file.save(text.into()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(std::fs::read_to_string(&aside).unwrap(), "[[policies]]\ndomain = 1\n");
        }
        // What is no file at all.
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(&aside).unwrap();
        std::fs::create_dir(&path).unwrap();
        File::open(path.clone()).0.save("three".into()).unwrap();
        assert!(path.is_file() && aside.is_dir());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    fn read_all(octets: &[u8]) -> (Cache, Vec<String>) {
        let mut lost = Vec::new();
        let cache = read(octets, |error| lost.push(error));
        (cache, lost)
    }

    #[test]
    fn a_broken_entry_loses_only_itself() {
        let sound = |domain: &str| {
            format!(
                "[[policies]]\ndomain = \"{domain}\"\nid = \"1\"\nfetched = 1\n\
                 policy = \"version: STSv1\\nmode: none\\nmax_age: 1\\n\"\n"
            )
        };
        for broken in [
            &b"[[policies]]\ndomain = \"c.test\"\n"[..],
            b"[[policies]]\ndomain = \"c.test\"\nid = \"1\"\nfetched = 1\npolicy = \"\"\n",
            b"[[policies]]\ndomain = \"c..test\"\nid = \"1\"\nfetched = 1\npolicy = \"version: STSv1\\nmode: none\\nmax_age: 1\"\n",
            b"[[policies]]\ndomain = \"c.test\nid = \"1\"\n",
            b"[[policies]]\ndomain = \"\xff.test\"\nid = \"1\"\n",
            b"[[policies]]\ndomain = 1\n",
            b"[[policies]]\n",
        ] {
            let octets = [sound("a.test").as_bytes(), broken, b"\n", sound("b.test").as_bytes()].concat();
            let (mut cache, lost) = read_all(&octets);
            assert!(cache.entry(&"a.test".parse().unwrap()).is_some() && cache.entry(&"b.test".parse().unwrap()).is_some());
            assert_eq!(lost.len(), 1, "{}", broken.escape_ascii());
            assert!(lost[0].starts_with("the entry at line 6: "), "{lost:?}");
        }
        let (cache, lost) = read_all(format!("x\n{}", sound("a.test")).as_bytes());
        assert_eq!((cache.entries().count(), lost.len()), (1, 1));
        // Cut off by a full disk.
        let whole = format!("{}{}", sound("a.test"), sound("b.test"));
        let (cache, lost) = read_all(&whole.as_bytes()[..whole.len() - 20]);
        assert_eq!((cache.entries().count(), lost.len()), (1, 1));
    }
}
