//! What mailhost is told: the TOML file, its defaults, and its errors, each with the line that it is about.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use facteur::address::{Address, Domain};
use facteur::base::Network;
use serde::Deserialize;

use super::{auth, dns};

/// The whole default with comments: what `--print-config` prints and what is used where no file is given.
pub const DEFAULT: &str = include_str!("default.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "hostname")]
    pub hostname: String,
    #[serde(default = "local_domains", deserialize_with = "parsed_list")]
    pub local_domains: Vec<Domain>,
    #[serde(default, deserialize_with = "parsed_list")]
    pub trusted_networks: Vec<Network>,
    #[serde(default = "max_message_size")]
    pub max_message_size: u64,
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    #[serde(default = "max_connections_per_address")]
    pub max_connections_per_address: usize,
    #[serde(default = "shutdown_grace")]
    pub shutdown_grace: u64,
    pub smart_host: Option<Route>,
    #[serde(default)]
    pub direct: bool,
    #[serde(default)]
    pub transports: Vec<Route>,
    #[serde(default)]
    pub senders: Senders,
    #[serde(default)]
    pub dns: dns::Settings,
    #[serde(default)]
    pub auth: auth::Settings,
    #[serde(default = "queue")]
    pub queue: Queue,
    #[serde(default = "tls")]
    pub tls: Tls,
    #[serde(default = "listen")]
    pub listen: Vec<Listen>,
    #[serde(default)]
    pub users: Vec<User>,
}

/// Where mail goes that is not for us.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which mail goes this way; of a transport only.
    pub domain: Option<String>,
    /// Host and port.
    pub host: String,
    #[serde(default)]
    pub tls: RouteTls,
    /// The authorities that the host's certificate may come from, PEM; the system's where none are named.
    pub authorities: Option<PathBuf>,
    pub user: Option<String>,
    pub password: Option<String>,
}

/// How mail leaves.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// To this host.
    Route(&'a Route),
    /// To the mail hosts of its domain.
    Direct,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RouteTls {
    #[default]
    Opportunistic,
    Required,
    None,
}

/// Whose addresses users may write under.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Senders {
    #[default]
    Any,
    Own,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    #[serde(default = "queue_path")]
    pub path: PathBuf,
    #[serde(default = "queue_interval")]
    pub interval: u64,
    #[serde(default = "queue_workers")]
    pub workers: usize,
    #[serde(default = "queue_connections")]
    pub connections: usize,
    #[serde(default = "queue_connections_per_host")]
    pub connections_per_host: usize,
    #[serde(default = "queue_warn_after_hours")]
    pub warn_after_hours: u64,
    #[serde(default = "queue_return_after_days")]
    pub return_after_days: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    #[serde(default = "tls_certificate")]
    pub certificate: PathBuf,
    #[serde(default = "tls_key")]
    pub key: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    pub service: Service,
    pub address: SocketAddr,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Smtp,
    Submission,
    Smtps,
    Pop3,
    Pop3s,
    Imap,
    Imaps,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// As `--hash-password` prints it.
    pub password: String,
    pub mailbox: PathBuf,
    #[serde(default, deserialize_with = "parsed_list")]
    pub addresses: Vec<Address>,
    /// Who gets a copy of each letter.
    #[serde(default, deserialize_with = "parsed_list")]
    pub forward: Vec<Address>,
}

/// The users of `users.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    #[serde(default)]
    pub users: Vec<User>,
}

impl Config {
    /// Reads the file, or the default.
    pub fn load(file: Option<&Path>) -> Result<Self, String> {
        let Some(path) = file else {
            return Self::parse(DEFAULT, "the default config");
        };
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a config; errors begin with its name and the line.
    pub fn parse(text: &str, name: &str) -> Result<Self, String> {
        let config: Self = parse_toml(text, name)?;
        let fault = |what: &str| Err(format!("{name}: {what}"));
        if let Err(error) = Domain::from_str(&config.hostname) {
            return fault(&format!("hostname: {error}"));
        }
        if config.local_domains.is_empty() {
            return fault("local_domains: name one domain at least");
        }
        if config.listen.is_empty() {
            return fault("listen: name one listener at least");
        }
        let queue = &config.queue;
        if [queue.workers, queue.connections, queue.connections_per_host, config.max_connections].contains(&0)
            || queue.interval == 0
        {
            return fault(
                "queue.workers, queue.connections, queue.connections_per_host, queue.interval and max_connections are at least 1",
            );
        }
        for (n, user) in config.users.iter().enumerate() {
            if config.users.iter().take(n).any(|other| other.name == user.name) {
                return fault(&format!("users: {} stands there twice", user.name));
            }
        }
        for route in config.transports.iter().chain(&config.smart_host) {
            let host = &route.host;
            if !host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok()) {
                return fault(&format!("{host}: a route is a host and a port, relay.example.net:25"));
            }
            // Whoever answers would learn the password.
            if route.password.is_some() && route.tls != RouteTls::Required {
                return fault(&format!("{host}: a route with a password needs tls = \"required\""));
            }
            if route.user.is_some() != route.password.is_some() {
                return fault(&format!("{host}: a user and a password belong together"));
            }
        }
        if config.transports.iter().any(|route| route.domain.is_none()) {
            return fault("transports: each needs a domain");
        }
        if config.smart_host.as_ref().is_some_and(|route| route.domain.is_some()) {
            return fault("smart_host: has no domain, it takes what no transport takes");
        }
        Ok(config)
    }

    /// Whether mail for this domain is for the users here.
    pub fn is_local(&self, domain: &Domain) -> bool {
        let name = spelling(domain);
        self.local_domains.contains(domain) || self.local_domains.iter().any(|local| spelling(local) == name)
    }

    /// Whether the client may relay without AUTH.
    pub fn is_trusted(&self, client: IpAddr) -> bool {
        self.trusted_networks.iter().any(|network| network.contains(client))
    }

    /// Where mail for a domain goes that is not local: the first transport that fits, the smart host, or where the DNS says.
    pub fn way(&self, domain: &Domain) -> Option<Way<'_>> {
        let name = spelling(domain);
        let fits = |wanted: &str| match wanted.strip_prefix('.') {
            _ if wanted == "*" => true,
            Some(above) => name.strip_suffix(&wanted_name(above)).is_some_and(|below| below.ends_with('.')),
            None => name == wanted_name(wanted),
        };
        let transport = self.transports.iter().find(|route| route.domain.as_deref().is_some_and(fits));
        transport.or(self.smart_host.as_ref()).map(Way::Route).or(self.direct.then_some(Way::Direct))
    }
}

impl<'a> Way<'a> {
    /// As logs and reports name it.
    pub fn name(self) -> &'a str {
        match self {
            Self::Route(route) => &route.host,
            Self::Direct => "direct",
        }
    }
}

/// The one spelling of a domain, which has another with umlauts: a config may name either, and a client.
fn spelling(domain: &Domain) -> String {
    domain.to_ascii_or_text().to_ascii_lowercase()
}

/// The same of what the config says of a transport.
fn wanted_name(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_ascii_lowercase(), |domain| spelling(&domain))
}

/// Reads TOML; an error is one line that names file, line and fault.
pub fn parse_toml<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|Range { start, .. }| text[..start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().replace('\n', " ");
        match line {
            Some(line) => format!("{name}:{line}: {message}"),
            None => format!("{name}: {message}"),
        }
    })
}

impl Service {
    /// TLS from the first octet.
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Smtps | Self::Pop3s | Self::Imaps)
    }

    /// What it is for, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Smtp => "mail from other hosts, STARTTLS",
            Self::Submission => "mail from users, STARTTLS and AUTH",
            Self::Smtps => "mail from users, TLS and AUTH",
            Self::Pop3 => "mailboxes by POP3, STLS",
            Self::Pop3s => "mailboxes by POP3, TLS",
            Self::Imap => "mailboxes by IMAP, STARTTLS",
            Self::Imaps => "mailboxes by IMAP, TLS",
        }
    }

    /// As the config names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Smtps => "smtps",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The defaults of single settings, each read from [`DEFAULT`], where all of them stand.
macro_rules! defaults {
    ($($name:ident: $type:ty = $($path:ident).+;)*) => {
        $(fn $name() -> $type {
            toml::from_str::<Config>(DEFAULT).expect("the default config reads").$($path).+
        })*
    };
}

defaults! {
    hostname: String = hostname;
    local_domains: Vec<Domain> = local_domains;
    max_message_size: u64 = max_message_size;
    max_connections: usize = max_connections;
    max_connections_per_address: usize = max_connections_per_address;
    shutdown_grace: u64 = shutdown_grace;
    queue: Queue = queue;
    queue_path: PathBuf = queue.path;
    queue_interval: u64 = queue.interval;
    queue_workers: usize = queue.workers;
    queue_connections: usize = queue.connections;
    queue_connections_per_host: usize = queue.connections_per_host;
    queue_warn_after_hours: u64 = queue.warn_after_hours;
    queue_return_after_days: u64 = queue.return_after_days;
    tls: Tls = tls;
    tls_certificate: PathBuf = tls.certificate;
    tls_key: PathBuf = tls.key;
    listen: Vec<Listen> = listen;
}

/// A list of texts that each have to parse.
fn parsed_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(|error| serde::de::Error::custom(format!("{text}: {error}"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_the_same_in_either_spelling() {
        let text = "local_domains = [\"bücher.test\"]\n[[transports]]\ndomain = \"café.test\"\nhost = \"a:25\"\n\
                    [[transports]]\ndomain = \".é.test\"\nhost = \"b:25\"\n";
        let config = Config::parse(text, "x").unwrap();
        let way = |domain: &str| config.way(&domain.parse().unwrap()).map(Way::name);
        for (domain, is_local, expected) in [
            ("bücher.test", true, None),
            ("XN--BCHER-KVA.test", true, None),
            ("bucher.test", false, None),
            ("café.test", false, Some("a:25")),
            ("xn--caf-dma.TEST", false, Some("a:25")),
            ("x.xn--9ca.test", false, Some("b:25")),
            ("X.É.test", false, Some("b:25")),
            ("é.test", false, None),
            ("xé.test", false, None),
        ] {
            assert_eq!((config.is_local(&domain.parse().unwrap()), way(domain)), (is_local, expected), "{domain}");
        }
    }
}
