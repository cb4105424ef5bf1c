//! What every protocol stands on: the one contract of all machines, and nothing of mail itself.
//!
//! A [`Machine`] is a protocol without I/O. Whoever drives it (a loop over a socket, a test, a fuzzer) does this:
//!
//! 1. put what the peer sent into [`Machine::wire`] with [`Wire::feed`];
//! 2. call [`Machine::poll`] and do what the [`Step`] says;
//! 3. send what [`Wire::outgoing`] holds and report it with [`Wire::sent`];
//! 4. call [`Machine::tick`] when [`Machine::deadline`] has come, and whenever time is at hand.
//!
//! Every machine promises:
//!
//! 1. No socket, file, clock, thread, environment or global. Time comes by `tick`, randomness with the config.
//! 2. However the input is cut, the events and the output are the same (data chunks joined).
//! 3. `poll` gives one event and moves the state exactly then. While a question is open nothing of the next command is
//!    read, so replies are in order by construction.
//! 4. An error is final and sticky; the farewell is already outgoing.
//! 5. Memory is bounded by numbers in the config; the backlog counts too.
//! 6. Spurious `tick` and `poll` calls are harmless.
//! 7. Bytes that came before a TLS handshake are an error, never input to the encrypted side.

use std::time::Instant;

use bytes::Bytes;

pub(crate) mod crypto;
pub(crate) mod der;
pub(crate) mod eight;
pub(crate) mod ip;
pub mod network;
pub mod parse;
pub mod proxy;
pub mod secret;
pub(crate) mod sixteen;
pub mod time;
pub mod wire;

pub use network::Network;
pub use parse::ParseError;
pub use secret::Secret;
pub use time::Timestamp;
pub use wire::Wire;

/// A protocol without I/O: bytes and time in, bytes and events out. The [module](self) explains the loop.
pub trait Machine {
    /// What the machine reports: a command to answer, a reply that came, a piece of a message.
    type Event;
    /// Why a conversation ended before its end.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The two byte queues of the connection.
    fn wire(&mut self) -> &mut Wire;

    /// Says what time it is. Calls may be spurious; time that goes backwards is ignored.
    fn tick(&mut self, now: Instant);

    /// Takes one step: at most one event comes out, and the state moves exactly then.
    ///
    /// # Errors
    /// The fault that ends the conversation; every later call returns the same again. The farewell, where the protocol
    /// has one, is already outgoing and wants to be sent.
    fn poll(&mut self) -> Result<Step<Self::Event>, Self::Error>;

    /// When [`tick`](Self::tick) must be called at the latest; `None` where nothing is waited for.
    fn deadline(&self) -> Option<Instant>;

    /// Says that the handshake asked for by [`Step::StartTls`] succeeded, or that the connection began with TLS.
    fn tls_started(&mut self, tls: Tls) {
        let _ = tls;
    }
}

/// What a machine wants next.
#[must_use = "a step says what the machine wants; dropping it stalls the conversation"]
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // the contract is closed: a driver must handle each step
pub enum Step<E> {
    /// Something happened.
    Event(E),
    /// Feed more, or wait for the deadline.
    NeedInput,
    /// The last event asked a question: answer it, then poll again.
    NeedAnswer,
    /// Send what is outgoing, run the handshake, call [`Machine::tls_started`].
    StartTls,
    /// Send what is outgoing, close.
    Done,
}

/// What is known of the TLS session under a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The protocol version as trace fields name it, `TLSv1.3`.
    pub version: String,
    /// The cipher suite by its IANA name, `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The host name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// The peer's certificate chain in DER, its own first; empty where it showed none. On a server that asks for
    /// client certificates the chain has been verified before it stands here.
    pub peer_certificates: Vec<Bytes>,
    /// On a client: whether the server has proved its name by a certificate that is believed. Without that the session is
    /// private, but nobody knows with whom.
    pub verified: bool,
    /// Channel binding `tls-exporter` (RFC 9266 §2), 32 octets, for the SCRAM `-PLUS` mechanisms.
    pub exporter: Option<Bytes>,
    /// Channel binding `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate, for the same.
    pub end_point: Option<Bytes>,
}
