//! What a POP3 server reports, and why it may be told no.

use crate::pop3::command::Number;
use crate::sasl::{Credentials, Identity, Question};

/// What a server reports. Each event but [`AuthFailed`](Self::AuthFailed) asks a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A client wants in. Answer with [`Server::accept`](super::Server::accept) once its maildrop is open and locked, or with
    /// [`Server::refuse`](super::Server::refuse).
    Login {
        /// Who it says it is, by USER, APOP or AUTH.
        identity: Identity,
        /// How it proves that: the password by PASS, or whatever the mechanism shows.
        credentials: Credentials,
    },
    /// A mechanism must know something of a user. Answer with [`Server::tell`](super::Server::tell), or with [`Server::refuse`](super::Server::refuse) where it cannot
    /// be known now.
    Ask(Question),
    /// No question: somebody could not prove to be this user, and is told so, [later](super::ServerConfig::failure_delay).
    AuthFailed(Identity),
    /// A client that is in wants something. Answer with [`Server::reply`](super::Server::reply), or with [`Server::begin_lines`](super::Server::begin_lines),
    /// [`Server::lines`](super::Server::lines) and [`Server::end_lines`](super::Server::end_lines).
    Request(Request),
}

/// What a client wants in the TRANSACTION state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// `STAT`
    Stat,
    /// `LIST [msg]`
    List(Option<Number>),
    /// `UIDL [msg]`
    Uidl(Option<Number>),
    /// `RETR msg`
    Retr(Number),
    /// `TOP msg n`
    Top {
        /// The message.
        message: Number,
        /// How many lines of its body are wanted.
        lines: u32,
    },
    /// `DELE msg`
    Dele(Number),
    /// `RSET`
    Rset,
    /// `QUIT`: this is the UPDATE state, the one in which messages are removed. Answered by one reply; then the session
    /// is over.
    Quit,
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Name or password are wrong, which of them is not said. Counts as a failure, and its answer is held back.
    Credentials,
    /// The maildrop is open in another session.
    InUse,
    /// Too soon after the last login.
    LoginDelay,
    /// Something is broken that may mend: trying again makes sense.
    Temporary,
    /// Something is broken that somebody must mend.
    Permanent,
}
