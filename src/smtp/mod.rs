//! SMTP (RFC 5321) and its extensions, both sides; LMTP (RFC 2033) is a flag.
//!
//! The codecs are in [`command`], `params`, [`reply`], [`extension`], [`data`] and [`trace`]; the machines in `server` and
//! `client`.

use std::fmt;

use crate::address::Address;

pub mod client;
pub mod command;
pub mod data;
mod error;
pub mod extension;
mod params;
mod path;
pub mod reply;
pub mod server;
pub mod trace;

pub use client::{Client, ClientConfig, ClientEvent, NoEnvelope, Outcome, Outgoing};
pub use command::{Command, CommandError, Quirks};
pub use error::{Error, Fault, Stage};
pub use extension::Extensions;
pub(crate) use params::{Xtext, xtext};
pub use reply::{Enhanced, Reply, ReplyError, ReplyReader};
pub use server::{Server, ServerConfig, ServerEvent};
pub use trace::{Received, Session};

/// What travels around a message: who sent it, to whom, and under which conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope {
    /// The reverse-path of MAIL.
    pub from: ReversePath,
    /// The parameters of MAIL.
    pub params: MailParams,
    /// The recipients that were accepted, in their order.
    pub recipients: Vec<Recipient>,
}

/// `Reverse-path = Path / "<>"` (RFC 5321 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum ReversePath {
    /// `<>`: bounces and other mail that must never be bounced.
    Null,
    /// An address that takes the bounces.
    Address(Address),
}

/// `Forward-path`, or the one recipient that needs no domain (RFC 5321 §4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum ForwardPath {
    /// `<Postmaster>`, in any case of letters.
    Postmaster,
    /// An address.
    Address(Address),
}

/// The parameters of MAIL that a message carries with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MailParams {
    /// `SIZE=`: the size that the client declared, in octets (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY=`: which octets the message may hold (RFC 6152 §3, RFC 3030 §3).
    pub body: Option<Body>,
    /// `SMTPUTF8`: the envelope or the header may be UTF-8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `RET=`: how much of the message a bounce returns (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`: the sender's own name for the message, xtext decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// `AUTH=`: who submitted it first, as a trusted client says (RFC 4954 §5): `<>` is `Some(ReversePath::Null)`.
    pub auth: Option<ReversePath>,
}

/// One recipient that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Recipient {
    /// The forward-path of RCPT.
    pub to: ForwardPath,
    /// The parameters of RCPT.
    pub params: RcptParams,
}

/// The parameters of RCPT that a recipient carries along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RcptParams {
    /// `NOTIFY=`: when the sender wants to hear of it (RFC 3461 §4.1); `None` where nothing was said.
    pub notify: Option<Notify>,
    /// `ORCPT=`: the recipient as the sender named it (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
}

/// `BODY=` (RFC 6152 §3, RFC 3030 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Body {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`
    BinaryMime,
}

/// `RET=` (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Ret {
    /// The whole message.
    Full,
    /// The header only.
    Hdrs,
}

/// `NOTIFY=` (RFC 3461 §4.1): all `false` is `NEVER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct Notify {
    /// Tell of delivery.
    pub success: bool,
    /// Tell where it cannot be delivered.
    pub failure: bool,
    /// Tell where it takes long.
    pub delay: bool,
}

/// `ORCPT=` (RFC 3461 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OriginalRecipient {
    /// The address type, `rfc822` or `utf-8` as a rule.
    pub kind: String,
    /// The address, xtext decoded.
    pub address: String,
}

impl Envelope {
    /// An envelope without parameters.
    pub fn new(from: ReversePath, to: impl IntoIterator<Item = ForwardPath>) -> Self {
        Self { from, params: MailParams::default(), recipients: to.into_iter().map(Recipient::from).collect() }
    }
}

impl From<ForwardPath> for Recipient {
    fn from(to: ForwardPath) -> Self {
        Self { to, params: RcptParams::default() }
    }
}

impl From<Address> for ForwardPath {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> Self {
        Self::Address(address)
    }
}

/// With its brackets: `<ada@example.org>`, `<>`.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// With its brackets: `<ada@example.org>`, `<Postmaster>`.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// Passes text on to a line of the protocol or of a header: control characters, which could end the line or make a second
/// one of it, become `?`.
struct OneLine<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (at, piece) in text.split(|character: char| character.is_ascii_control()).enumerate() {
            if at > 0 {
                self.0.write_str("?")?;
            }
            self.0.write_str(piece)?;
        }
        Ok(())
    }
}
