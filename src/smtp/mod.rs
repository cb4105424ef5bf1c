//! SMTP (RFC 5321) and its extensions, both sides; LMTP (RFC 2033) is a flag.
//!
//! The codecs are in [`command`], `params`, [`reply`], [`extension`], [`data`] and [`trace`]; the machines in `server` and
//! `client`.

use std::fmt;

use crate::address::{Address, BorrowedAddress, Name};
use crate::base::Timestamp;

mod attributes;
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

pub use crate::message::Enhanced;
pub use attributes::{Attribute, AttributeValue, Attributes};
pub use client::{Client, ClientConfig, ClientEvent, NoEnvelope, Outcome, Outgoing};
pub use command::{Command, CommandError, Quirks, Waiting};
pub use error::{Error, Fault, Stage};
pub use extension::{Extensions, FutureRelease, Limits};
pub use params::RareMailParams;
pub(crate) use params::{Rare, Xtext, xtext};
pub use reply::{Reply, ReplyError, ReplyReader};
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

/// `Reverse-path = Path / "<>"` (RFC 5321 §4.1.2); a [`Command`] has one with a [`BorrowedAddress`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum ReversePath<A = Address> {
    /// `<>`: bounces and other mail that must never be bounced.
    Null,
    /// An address that takes the bounces.
    Address(A),
}

/// `Forward-path`, or the one recipient that needs no domain (RFC 5321 §4.1.1.3); a [`Command`] has one with a
/// [`BorrowedAddress`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum ForwardPath<A = Address> {
    /// `<Postmaster>`, in any case of letters.
    Postmaster,
    /// An address.
    Address(A),
}

/// The parameters of MAIL that a message carries with it. Those of [`RareMailParams`] are read and set as if they stood here:
/// `params.require_tls = true`.
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
    pub envid: Option<Name>,
    pub(crate) rare: Rare,
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
    /// `RRVS=`: only for whom the address has belonged to since then (RFC 7293 §3.1).
    pub rrvs: Option<ValidSince>,
    /// `CONNEG`: what the recipient can show is to stand in the reply (RFC 4141 §5).
    pub conneg: bool,
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

/// `BY=` (RFC 2852 §4).
///
/// ```
/// use facteur::smtp::{ByMode, MailParams};
///
/// let by = MailParams::parse(b"BY=120;R")?.by.unwrap();
/// assert_eq!((by.seconds, by.mode), (120, ByMode::Return));
/// # Ok::<(), facteur::smtp::CommandError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct DeliverBy {
    /// How many seconds from the MAIL command on, -999999999 to 999999999: more than 0 with [`ByMode::Return`].
    pub seconds: i32,
    /// What to do when the time is over.
    pub mode: ByMode,
    /// Tell the sender at each relay, too.
    pub trace: bool,
}

/// What becomes of a message that is not delivered in time (RFC 2852 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum ByMode {
    /// `N`: the sender is told, and it is tried on.
    Notify,
    /// `R`: it goes back.
    Return,
}

/// `HOLDFOR=` or `HOLDUNTIL=` (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Hold {
    /// For so many seconds, 1 to 999999999.
    For(u32),
    /// Until then.
    Until(Timestamp),
}

impl Hold {
    /// The point before which a message that arrived then must not go on.
    ///
    /// ```
    /// use facteur::base::Timestamp;
    /// use facteur::smtp::Hold;
    ///
    /// assert_eq!(Hold::For(60).until(Timestamp::from_unix(1000)).unix(), 1060);
    /// ```
    pub fn until(self, arrived: Timestamp) -> Timestamp {
        match self {
            Self::For(seconds) => Timestamp::from_unix(arrived.unix().saturating_add(seconds.into())),
            Self::Until(point) => point,
        }
    }
}

/// `RRVS=` (RFC 7293 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_structs)] // closed by the RFC
pub struct ValidSince {
    /// The owner of the address must not have changed since.
    pub since: Timestamp,
    /// What to do where the next server does not know this parameter; `None` counts as [`Unsupported::Reject`].
    pub otherwise: Option<Unsupported>,
}

/// The `no-support action` of RFC 7293 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Unsupported {
    /// `R`: it goes back.
    Reject,
    /// `C`: it goes on without.
    Continue,
}

/// `ORCPT=` (RFC 3461 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OriginalRecipient {
    /// The address type, `rfc822` or `utf-8` as a rule.
    pub kind: Name,
    /// The address, xtext decoded.
    pub address: Name,
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

impl ReversePath {
    /// The same without what it owns.
    pub fn borrowed(&self) -> ReversePath<BorrowedAddress<'_>> {
        match self {
            Self::Null => ReversePath::Null,
            Self::Address(address) => ReversePath::Address(address.borrowed()),
        }
    }
}

impl ForwardPath {
    /// The same without what it owns.
    pub fn borrowed(&self) -> ForwardPath<BorrowedAddress<'_>> {
        match self {
            Self::Postmaster => ForwardPath::Postmaster,
            Self::Address(address) => ForwardPath::Address(address.borrowed()),
        }
    }
}

impl ReversePath<BorrowedAddress<'_>> {
    /// The same, owning what it has.
    pub fn into_owned(self) -> ReversePath {
        match self {
            Self::Null => ReversePath::Null,
            Self::Address(address) => ReversePath::Address(address.into()),
        }
    }
}

impl ForwardPath<BorrowedAddress<'_>> {
    /// The same, owning what it has.
    pub fn into_owned(self) -> ForwardPath {
        match self {
            Self::Postmaster => ForwardPath::Postmaster,
            Self::Address(address) => ForwardPath::Address(address.into()),
        }
    }
}

/// With its brackets: `<ada@example.org>`, `<>`.
impl<A: fmt::Display> fmt::Display for ReversePath<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Address(address) => write!(f, "<{address}>"),
        }
    }
}

/// With its brackets: `<ada@example.org>`, `<Postmaster>`.
impl<A: fmt::Display> fmt::Display for ForwardPath<A> {
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
