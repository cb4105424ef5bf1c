//! What a server is told once: its name, what it offers, and its limits.

use std::time::Duration;

use crate::sasl::Offer;

/// The configuration of a [`Server`](super::Server).
///
/// ```
/// use facteur::imap::ServerConfig;
///
/// let mut config = ServerConfig::new("imap.example.org");
/// config.starttls = true;
/// assert!(!config.clear_text);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The name in the greeting.
    pub host: String,
    /// Whether STARTTLS is offered on connections that did not begin with TLS. Default `false`: it takes a certificate.
    pub starttls: bool,
    /// Whether LOGIN and AUTHENTICATE are taken without TLS. Default `false` (RFC 9051 §11.1); without TLS
    /// LOGINDISABLED is announced.
    pub clear_text: bool,
    /// What AUTHENTICATE offers. Default [`Offer::default`]: SCRAM-SHA-256, PLAIN and LOGIN. An application that keeps no
    /// [`Verifier`](crate::sasl::Verifier)s must take SCRAM out of it, for it cannot answer
    /// [`ServerEvent::Ask`](super::ServerEvent::Ask).
    pub auth: Offer,
    /// What ID answers (RFC 2971), pairs of names and values. Default `name` `facteur`: a version helps attackers more than
    /// it helps anyone else.
    pub id: Vec<(String, String)>,
    /// Capabilities to announce after login beyond those of the machine: what the backend can do besides, such as
    /// `CHILDREN`. Default none.
    pub capabilities: Vec<String>,
    /// Limits of a command before login. Default [`Limits::BEFORE_LOGIN`].
    pub before_login: Limits,
    /// Limits of a command after login. Default [`Limits::AFTER_LOGIN`].
    pub after_login: Limits,
    /// The largest message that APPEND takes, in octets. Default 64 MiB, above what most servers let a message weigh. A
    /// larger one is refused with TOOBIG: unread where the client waits for leave, else read and dropped.
    pub max_message: u32,
    /// How many octets may wait to be sent before no further command is read, and before
    /// [`Server::is_full`](super::Server::is_full) asks the backend to pause. Default 256 KiB: enough to keep a fast
    /// connection busy. One answer line may go beyond it by its own length.
    pub max_backlog: usize,
    /// How many commands may be answered BAD before the conversation is ended. Default 50: people type, too.
    pub max_errors: u32,
    /// How many logins may fail before the conversation is ended. Default 3.
    pub max_failures: u32,
    /// How long the answer to a failed login is held back. Default 2 seconds, which makes guessing slow and is hardly noticed
    /// by people.
    pub failure_delay: Duration,
    /// How many octets may lie unread while that answer is held back. Default 128 KiB: nobody has so much to say before
    /// it is let in.
    pub max_unread: usize,
    /// How long a client may take from the greeting to a successful login. Default 3 minutes (RFC 9051 §5.4 allows it to be
    /// short).
    pub login_timeout: Duration,
    /// How long a client may be silent after login. Default 30 minutes, the least that RFC 9051 §5.4 allows.
    pub inactivity_timeout: Duration,
}

/// Limits of one command, in octets.
///
/// ```
/// use facteur::imap::Limits;
///
/// assert!(Limits::BEFORE_LOGIN.command < Limits::AFTER_LOGIN.command);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // to be written out in full
pub struct Limits {
    /// One line, its end counted.
    pub line: usize,
    /// One literal, the message of APPEND excepted.
    pub literal: u32,
    /// How many literals.
    pub literals: usize,
    /// All lines and literals together, the message of APPEND excepted.
    pub command: usize,
}

impl Limits {
    /// Lines of 8 KiB (RFC 2683 §3.2.1.5 asks for 8000 octets), literals of 1 KiB: a user name and a password.
    pub const BEFORE_LOGIN: Self = Self { line: 8 * 1024, literal: 1024, literals: 4, command: 8 * 1024 };
    /// Lines of 64 KiB, since clients write long sets of UIDs; literals of 16 KiB; 64 of them, for searches; 128 KiB in all.
    pub const AFTER_LOGIN: Self = Self { line: 64 * 1024, literal: 16 * 1024, literals: 64, command: 128 * 1024 };
}

impl ServerConfig {
    /// A server of that name that offers no TLS and lets nobody log in without it, with the default limits.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            starttls: false,
            clear_text: false,
            auth: Offer::default(),
            id: vec![("name".into(), "facteur".into())],
            capabilities: Vec::new(),
            before_login: Limits::BEFORE_LOGIN,
            after_login: Limits::AFTER_LOGIN,
            max_message: 64 * 1024 * 1024,
            max_backlog: 256 * 1024,
            max_errors: 50,
            max_failures: 3,
            failure_delay: Duration::from_secs(2),
            max_unread: 128 * 1024,
            login_timeout: Duration::from_secs(3 * 60),
            inactivity_timeout: Duration::from_secs(30 * 60),
        }
    }
}
