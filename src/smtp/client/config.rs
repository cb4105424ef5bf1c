//! Who a client is, what it insists on, and how long it waits.

use std::time::Duration;

use crate::address::Domain;
use crate::base::ParseError;
use crate::sasl::Login;
use crate::smtp::server::{AuthPolicy, Protocol};

/// The config of a [`Client`](super::Client).
///
/// ```
/// use facteur::sasl::{Credentials, Identity, Login};
/// use facteur::smtp::client::{ClientConfig, StartTls};
///
/// let mut config = ClientConfig::new("ada.example.org")?;
/// config.starttls = StartTls::Required;
/// config.login = Some(Login::new(Identity::new("ada"), Credentials::Password("tanstaaf".into())));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The client's own name, for EHLO.
    pub name: Domain,
    /// SMTP or LMTP. Default [`Protocol::Smtp`].
    pub protocol: Protocol,
    /// STARTTLS. Default [`StartTls::Opportunistic`], as between hosts that know nothing of each other.
    pub starttls: StartTls,
    /// Who to log in as. Default nobody; then AUTH is not used.
    pub login: Option<Login>,
    /// Whether a password may be shown without TLS. Default [`AuthPolicy::OnlyOverTls`].
    pub auth_policy: AuthPolicy,
    /// Whether commands are grouped where the server has PIPELINING (RFC 2920). Default [`Pipelining::WhereOffered`].
    pub pipelining: Pipelining,
    /// What becomes of a message that is 8-bit or binary where the server has no 8BITMIME or BINARYMIME. Default
    /// [`EightBit::Refuse`] (RFC 6152 §3).
    pub eight_bit: EightBit,
    /// What becomes of a message with a header in UTF-8 (RFC 6532) where the server has no SMTPUTF8. Default
    /// [`Utf8Header::Refuse`].
    pub utf8_header: Utf8Header,
    /// What becomes of RRVS= that may be left out (its action is `C`) where the server does not know it. Default
    /// [`RrvsField::Never`].
    pub rrvs_field: RrvsField,
    /// The most octets of one chunk of BDAT, used where the server has CHUNKING (RFC 3030); 0 never uses it. Default 1 MiB: most
    /// messages are one chunk then, and one that is refused for what comes early in it costs no more than that. A message
    /// of BODY=BINARYMIME goes only so, to a server that has BINARYMIME; elsewhere `eight_bit` says.
    pub max_chunk: usize,
    /// How long each answer may take.
    pub timeouts: Timeouts,
    /// How many octets may wait to be sent before no more are written. Default 64 KiB, as large as what a socket takes at
    /// once as a rule.
    pub max_backlog: usize,
    /// The longest line of a reply, in octets with its end. Default 2048, as
    /// [`ReplyReader::max_line`](crate::smtp::ReplyReader::max_line).
    pub max_reply_line: usize,
    /// The longest reply, in octets of text. Default 16384, as
    /// [`ReplyReader::max_reply`](crate::smtp::ReplyReader::max_reply).
    pub max_reply: usize,
}

/// Whether a client uses STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // there is no fourth way
pub enum StartTls {
    /// Never.
    Never,
    /// Where the server has it; where it has not, or refuses, the conversation goes on in the clear.
    #[default]
    Opportunistic,
    /// Always; where the server has it not, nothing is sent.
    Required,
}

/// Whether commands are grouped (RFC 2920).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // yes and no
pub enum Pipelining {
    /// Where the server says that it can bear it.
    #[default]
    WhereOffered,
    /// Never: for servers behind something that says so and cannot.
    Never,
}

/// What becomes of a message that a server cannot take as it is: with octets beyond ASCII where it has no 8BITMIME (RFC 6152),
/// or binary where it has no BINARYMIME (RFC 3030 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EightBit {
    /// It is not sent: RFC 6152 §3 leaves converting it or returning it.
    #[default]
    Refuse,
    /// It is sent as it is. Most servers that lack the extension pass it on unharmed, against the RFC.
    ///
    /// Of 8-bit only: binary would be damaged, and is refused.
    SendAnyway,
    /// It is converted as [`Message::convert`](crate::message::Message::convert) does, and refused where that cannot be. What was
    /// done is in [`Handover::conversion`](super::Handover::conversion). A signature of DKIM that was made before does not hold
    /// any more. While it is converted it takes about four times its size in memory.
    Convert,
}

/// What becomes of a message that was declared to be SMTPUTF8, with a header that is, where the server has no such extension. What
/// its envelope has in UTF-8 is a matter apart: domains go in A-labels, local parts not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Utf8Header {
    /// It is not sent: RFC 6531 §3.2 wants that of all hosts but those that take mail from its authors.
    #[default]
    Refuse,
    /// Its header is written in ASCII as [`Message::with_ascii_header`](crate::message::Message::with_ascii_header) does; where that
    /// cannot be it is refused. As with [`EightBit::Convert`] signatures of DKIM that were made before do not hold any more.
    Encode,
}

/// Whether RRVS= goes on as a header field to a server without the extension (RFC 7293 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // yes and no
pub enum RrvsField {
    /// It is left out: the RFC wants the field only where it is known that a host on the way acts on it.
    #[default]
    Never,
    /// `Require-Recipient-Valid-Since` is put before a message for one recipient; with more of them one could keep the message
    /// from the others (§7).
    Add,
}

/// How long each answer may take: the values of RFC 5321 §4.5.3.2 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The banner. 5 minutes (§4.5.3.2.1).
    pub greeting: Duration,
    /// EHLO, HELO, LHLO, STARTTLS, AUTH, RSET. 5 minutes; the RFC names none, and MAIL has as much.
    pub command: Duration,
    /// MAIL. 5 minutes (§4.5.3.2.2).
    pub mail: Duration,
    /// RCPT. 5 minutes (§4.5.3.2.3).
    pub rcpt: Duration,
    /// DATA, up to the go-ahead. 2 minutes (§4.5.3.2.4).
    pub data: Duration,
    /// The next 4 KiB of the text of a message, to be taken by the server. 3 minutes (§4.5.3.2.5).
    pub block: Duration,
    /// The end of the text, up to the reply. 10 minutes (§4.5.3.2.6): a server that gave up earlier would send twice.
    pub end: Duration,
    /// QUIT. 10 seconds: all is said by then, and nobody loses by not waiting.
    pub quit: Duration,
}

impl ClientConfig {
    /// The defaults for the client `name`.
    ///
    /// # Errors
    /// Where `name` is neither a domain nor an address literal.
    pub fn new(name: &str) -> Result<Self, ParseError> {
        Ok(Self {
            name: name.parse()?,
            protocol: Protocol::Smtp,
            starttls: StartTls::Opportunistic,
            login: None,
            auth_policy: AuthPolicy::OnlyOverTls,
            pipelining: Pipelining::WhereOffered,
            eight_bit: EightBit::Refuse,
            utf8_header: Utf8Header::Refuse,
            rrvs_field: RrvsField::Never,
            max_chunk: 1024 * 1024,
            timeouts: Timeouts::default(),
            max_backlog: 64 * 1024,
            max_reply_line: 2048,
            max_reply: 16_384,
        })
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            end: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}
