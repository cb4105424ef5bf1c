//! Why an IMAP conversation ended before its end.

/// The fault that ended a conversation, by whose it is. The farewell (`BYE`) is already outgoing.
///
/// ```
/// use facteur::imap::{Error, Stage};
///
/// assert_eq!(Error::Timeout(Stage::Login).to_string(), "timeout before login");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol beyond what an answer can mend.
    #[error("peer: {0}")]
    Peer(Fault),
    /// The program drove the machine wrongly.
    #[error("misuse: {0}")]
    Misuse(&'static str),
    /// Nothing came for too long.
    #[error("timeout {0}")]
    Timeout(Stage),
    /// The peer closed the connection without LOGOUT.
    #[error("closed {0}")]
    Closed(Stage),
}

/// What a peer did that cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Octets came before the TLS handshake that were meant to be read after it.
    #[error("octets sent before the TLS handshake")]
    InjectedBeforeTls,
    /// More commands were wrong than are borne.
    #[error("too many wrong commands")]
    TooManyErrors,
    /// More logins failed than are borne.
    #[error("too many failed logins")]
    TooManyLogins,
    /// More was sent than lies unread while the answer to a failed login is held back.
    #[error("too much sent ahead")]
    TooMuchAhead,
    /// A literal was announced that is too large even to be dropped: its number does not fit into 32 bits.
    #[error("a literal beyond 32 bits")]
    HopelessLiteral,
}

/// How far a conversation had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Not authenticated.
    Login,
    /// Authenticated, between two commands.
    Command,
    /// In the middle of a command: a literal or the end of a line was still to come.
    Literal,
    /// While a command was being answered.
    Answer,
    /// In IDLE.
    Idle,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Login => "before login",
            Self::Command => "between commands",
            Self::Literal => "within a command",
            Self::Answer => "while a command was answered",
            Self::Idle => "in idle",
        })
    }
}
