//! What a server offers, asks, and bears.

use std::net::IpAddr;
use std::time::Duration;

use crate::address::Domain;
use crate::base::{Network, ParseError};
use crate::sasl::Offer;
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
    /// What AUTH offers. Default nothing: a server that takes mail from anyone for its own domains needs none. For a
    /// submission port [`Offer::default`] is a good choice.
    pub auth: Offer,
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
    /// CHUNKING (RFC 3030): BDAT beside DATA. Default on. Octets that follow a BDAT are never read as commands, on or off.
    pub chunking: bool,
    /// BINARYMIME (RFC 3030 §3); needs `chunking`. Default off: whoever announces it "MUST deliver or relay the message in such
    /// a way as to preserve all bits in each octet".
    pub binary_mime: bool,
    /// DELIVERBY (RFC 2852): the shortest time in seconds after which a message may have to go back, 0 to name none. Default
    /// `None`, off: whoever announces it promises to keep the time.
    pub deliver_by: Option<u32>,
    /// FUTURERELEASE (RFC 4865): for how long a message may be held. Default `None`, off: it is for submission ports only, and
    /// the queue must hold it ([`Submission::new`](crate::spool::Submission::new) sees to that). Announced once
    /// [`Server::set_clock`](super::Server::set_clock) has told the time of day.
    pub future_release: Option<Duration>,
    /// MT-PRIORITY (RFC 6710): the name of the policy, empty to name none. Default `None`, off. A priority above 0 from a client
    /// that is neither authenticated nor `trusted` counts as 0 (§4.1).
    pub priority: Option<String>,
    /// REQUIRETLS (RFC 8689), announced and taken only over TLS. Default off: whoever announces it promises to send such a
    /// message on over TLS only, to hosts that promise the same.
    pub require_tls: bool,
    /// RRVS (RFC 7293). Default off: whoever announces it promises to look up since when an address has had its owner.
    pub rrvs: bool,
    /// NO-SOLICITING (RFC 3865): the solicitations that are not wanted, keywords; a message that names one of them in SOLICIT=
    /// is refused. An empty list announces that SOLICIT= is passed on. Default `None`, off.
    pub no_soliciting: Option<Vec<String>>,
    /// CONPERM (RFC 4141 §4). Default off: whoever announces it promises to convert, or to pass the permission on.
    pub conperm: bool,
    /// CONNEG (RFC 4141 §5). Default off: whoever announces it says in the reply to RCPT what the recipient can show.
    pub conneg: bool,
    /// SUBMITTER (RFC 4405). Default off.
    pub submitter: bool,
    /// BURL (RFC 4468): the URLs that are fetched, `imap`. Default `None`, off: the application has to fetch them. For
    /// submission ports only, and for clients that are authenticated.
    pub burl: Option<String>,
    /// ETRN (RFC 1985), asked for by [`ServerEvent::Etrn`](super::ServerEvent::Etrn). Default off.
    pub etrn: bool,
    /// ATRN (RFC 2645), asked for by [`ServerEvent::Atrn`](super::ServerEvent::Atrn). Default off. For clients that are
    /// authenticated.
    pub atrn: bool,
    /// LIMITS (RFC 9422): whether `max_recipients`, `max_messages` and `max_recipient_domains` are announced. Default on.
    pub limits: bool,
    /// Whom to believe what it says of other clients, by `proxy`, `xclient` and `xforward`; and whose priorities count. Default
    /// nobody.
    pub trusted: Vec<Network>,
    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2 (HAProxy's proxy-protocol.txt), which
    /// only those in `trusted` may send; others are cut off. Default [`ProxyHeader::Off`].
    pub proxy: ProxyHeader,
    /// XCLIENT of Postfix, for those in `trusted`. Default off.
    pub xclient: bool,
    /// XFORWARD of Postfix, for those in `trusted`. Default off.
    pub xforward: bool,
    /// How long the banner is held back, to see who talks before it: [`Session::early`](super::Session::early). Such a client
    /// is refused, or, with [`Screen::connect`], left to the application. Default `None`. RFC 5321 §4.5.3.2.1 lets a client wait
    /// for 5 minutes; 5 seconds unmask most of those that do not.
    pub greet_pause: Option<Duration>,
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
    /// The most messages of a session, those refused at MAIL too. Default `None`: what bounds a session is `max_commands`. Who
    /// wants to send more is told 421, and may connect again.
    pub max_messages: Option<u32>,
    /// The most domains of recipients in a session. Default `None`. What is beyond gets 452.
    pub max_recipient_domains: Option<u32>,
    /// The most octets of a PROXY header of version 2. Default 2048: addresses take 52, what large providers add some hundred.
    pub max_proxy_header: usize,
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

/// Whether a connection begins with a header of the PROXY protocol. There is no third way: where it could be left out, any
/// client could send one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // with or without
pub enum ProxyHeader {
    /// It does not.
    #[default]
    Off,
    /// It does.
    Required,
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
    /// [`ServerEvent::Header`](super::ServerEvent::Header): after the header of a message.
    pub header: bool,
    /// [`ServerEvent::Vrfy`](super::ServerEvent::Vrfy): VRFY, which is otherwise answered by 252.
    pub vrfy: bool,
    /// [`ServerEvent::Expn`](super::ServerEvent::Expn): EXPN, which is otherwise not implemented.
    pub expn: bool,
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
            auth: Offer::new([]),
            auth_policy: AuthPolicy::OnlyOverTls,
            require_auth: false,
            content: Content::Collect { at_most: MESSAGE },
            max_size: Some(MESSAGE),
            max_text_line: Some(1024 * 1024),
            bare_newlines: BareNewlines::Refuse,
            smtputf8: true,
            dsn: false,
            chunking: true,
            binary_mime: false,
            deliver_by: None,
            future_release: None,
            priority: None,
            require_tls: false,
            rrvs: false,
            no_soliciting: None,
            conperm: false,
            conneg: false,
            submitter: false,
            burl: None,
            etrn: false,
            atrn: false,
            limits: true,
            trusted: Vec::new(),
            proxy: ProxyHeader::Off,
            xclient: false,
            xforward: false,
            greet_pause: None,
            quirks: Quirks::default(),
            screen: Screen::default(),
            max_command_line: 2048,
            max_auth_line: 12_288,
            max_recipients: 1000,
            max_messages: None,
            max_recipient_domains: None,
            max_proxy_header: 2048,
            max_commands: 10_000,
            max_errors: 20,
            max_auth_failures: 3,
            max_backlog: 64 * 1024,
            timeout: Duration::from_secs(300),
            message_timeout: Some(Duration::from_secs(3600)),
        })
    }

    /// Whether what `peer` says of other clients is believed.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
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
