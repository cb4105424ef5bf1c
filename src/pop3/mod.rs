//! POP3 (RFC 1939): how a program fetches a user's mail and removes what it has fetched.
//!
//! - [`Command`] and [`Reply`] are the codecs, with the listings and capabilities that follow some replies;
//! - [`Server`] is the server as a machine without I/O: it keeps the states of RFC 1939 and gives one event for each
//!   login and each request;
//! - [`Backend`] answers the requests of one session out of a [`store::Mailbox`](crate::store::Mailbox).
//!
//! What makes a login good, and that only one session has a maildrop at a time, is for the program to say.

pub mod backend;
pub mod command;
pub mod lines;
pub mod reply;
pub mod server;

use std::fmt;

pub use backend::{Backend, Progress};
pub use command::{Command, Number};
pub use reply::{Capability, Code, DropListing, Reply, ScanListing, Status, UniqueId};
pub use server::{Expire, Quirks, Refusal, Request, Server, ServerConfig, ServerEvent};

/// Where in its life a session is (RFC 1939 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Stage {
    /// The client has not logged in.
    Authorization,
    /// The client works on its maildrop.
    Transaction,
    /// The client has said QUIT after a login.
    Update,
}

/// Why a session ended before its QUIT was answered. In each case no message has been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client did what it must not do.
    #[error("peer: {0}")]
    Peer(Fault),
    /// The program did what it must not do.
    #[error("misuse: {0}")]
    Misuse(&'static str),
    /// The client said nothing for too long, or did not take what was sent.
    #[error("timeout in the {0} state")]
    Timeout(Stage),
    /// The client closed the connection.
    #[error("closed in the {0} state")]
    Closed(Stage),
}

/// What a client must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// More bad commands than [`ServerConfig::max_errors`].
    #[error("too many bad commands")]
    TooManyErrors,
    /// As many failed logins as [`ServerConfig::max_failures`].
    #[error("too many failed logins")]
    TooManyFailures,
    /// Octets after STLS that came before the handshake: somebody in between may have put them there.
    #[error("octets between STLS and the handshake")]
    BeforeTls,
    /// More than [`ServerConfig::max_unread`] octets came while the answers to earlier ones were not taken.
    #[error("too much sent ahead")]
    SentAhead,
}

impl Error {
    /// The farewell on the wire. None where the client is gone, where RFC 1939 §3 wants silence (a timeout), and where
    /// it would end up before a TLS handshake.
    pub fn reply(&self) -> Option<Reply> {
        match self {
            Self::Peer(Fault::BeforeTls) | Self::Timeout(_) | Self::Closed(_) => None,
            Self::Peer(Fault::TooManyFailures) => Some(Reply::err("too many failed logins").with(Code::Auth)),
            Self::Peer(Fault::TooManyErrors) => Some(Reply::err("too many bad commands")),
            Self::Peer(Fault::SentAhead) => Some(Reply::err("too much sent ahead")),
            Self::Misuse(_) => Some(Reply::err("internal error").with(Code::SysTemp)),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorization => "AUTHORIZATION",
            Self::Transaction => "TRANSACTION",
            Self::Update => "UPDATE",
        })
    }
}
