//! What ends an SMTP conversation before its time.

use std::fmt;

use super::{Enhanced, Reply, ReplyError};
use crate::base::ParseError;

/// Why a conversation ended, by whose fault. It is final: the machine returns the same again.
///
/// ```
/// use facteur::smtp::{Error, Stage};
///
/// let error = Error::Timeout(Stage::Message);
/// assert_eq!(error.to_string(), "timeout in the text of a message");
/// assert_eq!(error.reply().to_string(), "421 4.4.2 timeout in the text of a message");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer did what cannot be let pass.
    #[error(transparent)]
    Peer(#[from] Fault),
    /// The program that uses the machine answered what was not asked.
    #[error("misuse: {0}")]
    Misuse(&'static str),
    /// The peer was silent for too long.
    #[error("timeout {0}")]
    Timeout(Stage),
    /// The peer closed the connection where that is not the end.
    #[error("connection closed {0}")]
    Closed(Stage),
}

/// What a peer did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A client made more errors than the server's config allows.
    #[error("too many errors")]
    TooManyErrors,
    /// A client sent more commands than the server's config allows.
    #[error("too many commands")]
    TooManyCommands,
    /// A client failed to authenticate more often than the server's config allows.
    #[error("too many failed authentications")]
    TooManyAuthFailures,
    /// Octets came in the clear where the TLS handshake was to begin (RFC 3207 §6).
    #[error("octets in the clear before the tls handshake")]
    EarlyOctets,
    /// What should have been the header of the PROXY protocol is none, or comes from who is not trusted.
    #[error("no PROXY header: {0}")]
    Proxy(ParseError),
    /// It cannot be told how many octets follow a BDAT.
    #[error("BDAT without a count")]
    LostCount,
    /// A client speaks another protocol, HTTP for instance.
    #[error("another protocol")]
    OtherProtocol,
    /// What a server sent is no reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// A server's reply has no meaning where it came.
    #[error("reply {code} {stage} where {expected} was expected")]
    UnexpectedReply {
        /// Its code.
        code: u16,
        /// Where it came.
        stage: Stage,
        /// What would have had one.
        expected: &'static str,
    },
    /// A server replied to what it was not yet sent, so that no later reply can be told from another.
    #[error("reply {code} before its time {stage}")]
    EarlyReply {
        /// Its code.
        code: u16,
        /// Where it came.
        stage: Stage,
    },
}

/// Where in a conversation something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before and with the banner.
    Connect,
    /// HELO, EHLO, LHLO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// AUTH.
    Auth,
    /// Between one message and the next.
    Idle,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, up to the go-ahead.
    Data,
    /// The text of the message, up to its end.
    Message,
    /// QUIT.
    Quit,
}

impl Error {
    /// Whether the same may succeed at another time, or with another host: so it is with all that a peer did or left
    /// undone, for it has refused nothing.
    pub fn is_temporary(&self) -> bool {
        !matches!(self, Self::Misuse(_))
    }

    /// What is said to the peer about it. A server has sent it already where there was someone to read it.
    pub fn reply(&self) -> Reply {
        let enhanced = match self {
            Self::Peer(_) => Enhanced(4, 7, 0),
            Self::Misuse(_) => return Reply::new(421, Enhanced(4, 3, 0), "local error"),
            Self::Timeout(_) => Enhanced(4, 4, 2),
            Self::Closed(_) => Enhanced(4, 4, 0),
        };
        // RFC 5321 §3.8: a server that closes on its own says 421.
        Reply::new(421, enhanced, self.to_string())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "at connect",
            Self::Hello => "at HELO",
            Self::StartTls => "at STARTTLS",
            Self::Auth => "at AUTH",
            Self::Idle => "between messages",
            Self::Mail => "at MAIL",
            Self::Rcpt => "at RCPT",
            Self::Data => "at DATA",
            Self::Message => "in the text of a message",
            Self::Quit => "at QUIT",
        })
    }
}
