//! Who answers questions to the DNS, and the MTA-STS policies of other domains, which are kept over a restart: without them,
//! whoever stands between at the next start need only keep us from a domain's record.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use facteur::auth::mta_sts::{Cache, Entry, Policy};
use facteur::base::Timestamp;
use facteur::net::mta_sts::Https;
use facteur::net::resolver::{ResolverConfig, Servers, Validation};
use facteur::net::tls::Connector;
use facteur::net::{MtaSts, Resolver};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::block_in_place;

use super::config::parse_toml;
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
#[derive(Deserialize, Serialize)]
struct Kept {
    #[serde(default)]
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
    file: PathBuf,
    written: String,
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
        let file = data.join("mta-sts.toml");
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        // They can be had again: a file that does not read is not a reason to deliver no mail.
        let cache = read(&written).unwrap_or_else(|error| {
            log!("dns", "{}: {error}", file.display());
            Cache::new()
        });
        Some(Self { mta_sts: MtaSts::new(Https::new(resolver.clone(), connector), cache), file, written })
    }

    /// Writes them down from time to time, and at the end.
    pub async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                changed = stop.changed() => if changed.is_err() { return },
            }
            let text = write(&self.mta_sts.cache());
            if text == self.written {
                continue;
            }
            match block_in_place(|| setup::write_new(&self.file, text.as_bytes())) {
                Ok(()) => self.written = text,
                Err(error) => log!("dns", "{}: {error}", self.file.display()),
            }
        }
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

fn read(text: &str) -> Result<Cache, String> {
    let mut cache = Cache::new();
    for kept in parse_toml::<Kept>(text, "policies")?.policies {
        let fault = |error| format!("{}: {error}", kept.domain);
        let policy = Policy::parse(kept.policy.as_bytes()).map_err(fault)?;
        let entry = Entry::new(kept.id, policy, Timestamp::from_unix(kept.fetched));
        cache.insert(kept.domain.parse().map_err(fault)?, entry);
    }
    Ok(cache)
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
        let mut read_again = read(&write(&cache)).unwrap();
        assert_eq!(read_again.entries().count(), 2);
        for domain in ["a.test", "b.test"] {
            let domain = domain.parse().unwrap();
            assert_eq!(read_again.entry(&domain), cache.entry(&domain));
        }
        assert_eq!(read("").unwrap().entries().count(), 0);
        for broken in [
            "[[policies]]\ndomain = \"a.test\"",
            "[[policies]]\ndomain = \"a.test\"\nid = \"1\"\nfetched = 1\npolicy = \"\"",
            "x",
        ] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }
}
