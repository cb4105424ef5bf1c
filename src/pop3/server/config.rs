//! How a POP3 server behaves.

use std::time::Duration;

use crate::pop3::command::MAX_COMMAND;
use crate::sasl::Offer;

/// How a server behaves.
///
/// ```
/// use facteur::pop3::ServerConfig;
///
/// let mut config = ServerConfig::new();
/// config.greeting = "pop.example.org ready".into();
/// assert!(!config.clear_text);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The text of the greeting. Default: `POP3 server ready`.
    pub greeting: String,
    /// Offer STLS. Default: no, because it needs a driver with a certificate.
    pub starttls: bool,
    /// Allow passwords on a connection without TLS. Default: no (RFC 2595 §2.3, RFC 8314 §3); then USER and AUTH are not
    /// announced and refused until TLS is active.
    pub clear_text: bool,
    /// What AUTH offers. Default [`Offer::default`]: SCRAM-SHA-256, PLAIN and LOGIN. An application that keeps no
    /// [`Verifier`](crate::sasl::Verifier)s must take SCRAM out of it, for it cannot answer [`ServerEvent::Ask`](super::ServerEvent::Ask).
    pub auth: Offer,
    /// Take APOP (RFC 1939 §7), with or without TLS, and put a timestamp into the greeting for it. Default: no, because it
    /// needs passwords kept as they are, and MD5 keeps them badly from who listens.
    pub apop: bool,
    /// What CAPA says of how long messages are kept. Default: `None`, nothing is said.
    pub expire: Option<Expire>,
    /// What CAPA says of the least time between two logins (RFC 2449 §6.5), which the program enforces with
    /// [`Refusal::LoginDelay`](super::Refusal::LoginDelay). Default: `None`, nothing is said.
    pub login_delay: Option<Duration>,
    /// What CAPA says of the program. Default: `None`, nothing is said; who knows the version knows its holes.
    pub implementation: Option<String>,
    /// The longest command line in octets, its end counted. Default: 255 (RFC 2449 §4).
    pub max_line: usize,
    /// The longest line of an AUTH exchange in octets, its end counted. Default: 12288, as in SMTP (RFC 4954 §4).
    pub max_auth_line: usize,
    /// While so many octets wait to be sent no command is read, and no more of an answer is written. Default: 64 KiB,
    /// which fills a window of a long fat path and costs 64 MiB for a thousand clients that do not read.
    pub max_backlog: usize,
    /// How many octets may lie unread while nothing is read, because of the backlog or after a failed login. Default:
    /// 128 KiB: a driver that stops to read in time keeps below it, and a client that pipelines is then never at fault.
    pub max_unread: usize,
    /// How many commands may be unknown, malformed or out of place; one more ends the session. Default: 20, more than a
    /// client that tries what a server can needs.
    pub max_errors: u32,
    /// With so many failed logins the session ends. Default: 3, as people mistype.
    pub max_failures: u32,
    /// How long the answer to a failed login is held back. Default: 2 seconds, which makes guessing slow and is hardly
    /// noticed by people.
    pub failure_delay: Duration,
    /// After so long without a command the session ends without a word. Default, and the least that RFC 1939 §3 allows:
    /// 10 minutes. A client that still takes what was sent is not idle.
    pub idle: Duration,
    /// So long after the greeting the client must have logged in. Default: 10 minutes, so that a client that speaks
    /// and never logs in does not hold its place for ever.
    pub max_authorization: Duration,
    /// What is let pass that the standard forbids. Default: nothing.
    pub quirks: Quirks,
}

/// What is let pass that the standard forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// A LF without CR ends a command: people at `nc` and scripts need it.
    pub bare_lf: bool,
}

/// How long messages are kept (RFC 2449 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Expire {
    /// The server removes nothing by itself.
    Never,
    /// At least so many days; 0 says that mail must not be left on the server.
    Days(u32),
}

impl ServerConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            greeting: "POP3 server ready".into(),
            starttls: false,
            clear_text: false,
            auth: Offer::default(),
            apop: false,
            expire: None,
            login_delay: None,
            implementation: None,
            max_line: MAX_COMMAND,
            max_auth_line: 12_288,
            max_backlog: 64 * 1024,
            max_unread: 128 * 1024,
            max_errors: 20,
            max_failures: 3,
            failure_delay: Duration::from_secs(2),
            idle: Duration::from_secs(10 * 60),
            max_authorization: Duration::from_secs(10 * 60),
            quirks: Quirks::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}
