//! What a server offers, asks, and bears.

use std::time::Duration;

use crate::address::Domain;
use crate::base::ParseError;
use crate::sasl::Mechanism;
use crate::smtp::Quirks;
use crate::smtp::data::BareNewlines;

/// The config of a [`Server`](super::Server). Each limit bounds what one connection can cost.
///
/// ```
/// use facteur::smtp::server::{ServerConfig, StartTls};
///
/// let mut config = ServerConfig::new("mx.test")?;
/// config.starttls = StartTls::Offered;
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The server's own name, in the banner and in the answer to EHLO.
    pub name: Domain,
    /// SMTP or LMTP. Default [`Protocol::Smtp`].
    pub protocol: Protocol,
    /// What the banner says after the name. Default `ESMTP`, for LMTP `LMTP` (with [`Protocol`]): no version for an
    /// attacker to look up.
    pub greeting: Option<String>,
    /// STARTTLS. Default [`StartTls::Off`], for the driver must have a certificate for it.
    pub starttls: StartTls,
    /// The mechanisms of AUTH, announced in this order. Default none: a server that takes mail from anyone for its own
    /// domains needs none.
    pub auth: Vec<Mechanism>,
    /// Whether AUTH is allowed without TLS. Default [`AuthPolicy::OnlyOverTls`] (RFC 4954 §9: passwords in the clear "MUST"
    /// be protected).
    pub auth_policy: AuthPolicy,
    /// Whether MAIL needs AUTH before it, as on a submission port (RFC 6409 §4.3). Default no.
    pub require_auth: bool,
    /// Whether a message is handed over piece by piece or in one. Default [`Content::Collect`] of at most 32 MiB.
    pub content: Content,
    /// The largest message, in octets, announced as SIZE. Default 32 MiB: what large mail providers take is of this order.
    /// `None` for no limit but that of [`Content::Collect`].
    pub max_size: Option<u64>,
    /// The longest text line of a message, in octets with its end. Default 1 MiB: RFC 5321 §4.5.3.1.6 allows 1000, but
    /// senders that never break HTML are many, and no line is held in memory. `None` for no limit.
    pub max_text_line: Option<u64>,
    /// What becomes of a message with a CR or LF alone. Default [`BareNewlines::Refuse`], against SMTP smuggling.
    pub bare_newlines: BareNewlines,
    /// SMTPUTF8 (RFC 6531). Default on; a server whose mailboxes or next hops cannot take it must switch it off.
    pub smtputf8: bool,
    /// DSN (RFC 3461). Default off: whoever announces it promises to send the reports that are asked for.
    pub dsn: bool,
    /// What is let pass beyond the grammar of commands. Default nothing.
    pub quirks: Quirks,
    /// Which decisions beyond MAIL, RCPT, AUTH and the message are asked for. Default none.
    pub screen: Screen,
    /// The longest command line, in octets with its end. Default 2048: 512 of RFC 5321 §4.5.3.1.4 and what the extensions
    /// add (AUTH= and ORCPT= 500 each, ENVID= 100), with room to spare.
    pub max_command_line: usize,
    /// The longest line of an AUTH exchange, in octets with its end. Default 12288 (RFC 4954 §4).
    pub max_auth_line: usize,
    /// The most recipients of a message. Default 1000; RFC 5321 §4.5.3.1.8 wants at least 100. What is beyond gets 452, and
    /// the client sends them with the next copy.
    pub max_recipients: usize,
    /// The most commands of a session. Default 10000: a busy client sends some hundred messages over one connection.
    pub max_commands: u32,
    /// The most permanent refusals of a session, those of RCPT not counted, for a list may have many dead members.
    /// Default 20: no program that works gets there.
    pub max_errors: u32,
    /// The most failed attempts at AUTH. Default 3: a person mistypes twice, a guesser goes on.
    pub max_auth_failures: u32,
    /// How many octets of replies may wait to be sent before no further command is read. Default 64 KiB: hundreds of
    /// replies, more than any client pipelines.
    pub max_backlog: usize,
    /// How long a whole command line may take to come, and a piece of a message. Default 5 minutes (RFC 5321 §4.5.3.2.7).
    pub timeout: Duration,
    /// How long a whole message may take. Default 1 hour: 32 MiB at 75 kbit/s. `None` for no limit.
    pub message_timeout: Option<Duration>,
}

/// Which of the two protocols a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there are two
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033): LHLO, and one reply per recipient at the end of a message.
    Lmtp,
}

/// Whether a server has STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there is no fourth way
pub enum StartTls {
    /// It has not.
    #[default]
    Off,
    /// A client may use it.
    Offered,
    /// A client must use it before MAIL, AUTH and VRFY. Not for a server that takes mail from the Internet at large
    /// (RFC 3207 §4).
    Required,
}

/// Whether AUTH is allowed without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // yes and no
pub enum AuthPolicy {
    /// Announced and allowed only once the connection is encrypted.
    #[default]
    OnlyOverTls,
    /// Always. For networks where nobody listens, and for tests.
    Anywhere,
}

/// How a message is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // whole or in pieces
pub enum Content {
    /// Whole, in [`Mail::content`](super::Mail::content), held in memory until then.
    Collect {
        /// The largest message, in octets; larger ones are refused. The smaller of this and
        /// [`ServerConfig::max_size`] counts, and is announced.
        at_most: u64,
    },
    /// In pieces as they come, by [`ServerEvent::Chunk`](super::ServerEvent::Chunk); nothing is held.
    Stream,
}

/// Which decisions the application takes itself. What is not asked for is accepted, and not reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Screen {
    /// [`ServerEvent::Connect`](super::ServerEvent::Connect): before the banner.
    pub connect: bool,
    /// [`ServerEvent::Hello`](super::ServerEvent::Hello): HELO, EHLO, LHLO.
    pub hello: bool,
    /// [`ServerEvent::Data`](super::ServerEvent::Data): before the text of a message.
    pub data: bool,
    /// [`ServerEvent::Vrfy`](super::ServerEvent::Vrfy): VRFY, which is otherwise answered by 252.
    pub vrfy: bool,
}

impl ServerConfig {
    /// The defaults for the server `name`.
    ///
    /// # Errors
    /// Where `name` is neither a domain nor an address literal.
    pub fn new(name: &str) -> Result<Self, ParseError> {
        const MESSAGE: u64 = 32 * 1024 * 1024;
        Ok(Self {
            name: name.parse()?,
            protocol: Protocol::Smtp,
            greeting: None,
            starttls: StartTls::Off,
            auth: Vec::new(),
            auth_policy: AuthPolicy::OnlyOverTls,
            require_auth: false,
            content: Content::Collect { at_most: MESSAGE },
            max_size: Some(MESSAGE),
            max_text_line: Some(1024 * 1024),
            bare_newlines: BareNewlines::Refuse,
            smtputf8: true,
            dsn: false,
            quirks: Quirks::default(),
            screen: Screen::default(),
            max_command_line: 2048,
            max_auth_line: 12_288,
            max_recipients: 1000,
            max_commands: 10_000,
            max_errors: 20,
            max_auth_failures: 3,
            max_backlog: 64 * 1024,
            timeout: Duration::from_secs(300),
            message_timeout: Some(Duration::from_secs(3600)),
        })
    }

    /// The largest message that will be taken, in octets.
    pub(super) fn size_limit(&self) -> Option<u64> {
        match (self.content, self.max_size) {
            (Content::Collect { at_most }, Some(max)) => Some(at_most.min(max)),
            (Content::Collect { at_most }, None) => Some(at_most),
            (Content::Stream, max) => max,
        }
    }
}
