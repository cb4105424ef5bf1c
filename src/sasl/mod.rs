//! SASL (RFC 4422), both sides.
//!
//! An exchange knows octets, not base64 and not the protocol around it: SMTP, POP3 and IMAP wrap it each in its own way. It has
//! no I/O and looks nobody up: what a server must know of a user comes out as a [`Question`], and who a client has shown to be
//! as an [`Identity`] with [`Credentials`], for the application to judge.
//!
//! | mechanism | what it is | what the server needs |
//! |---|---|---|
//! | EXTERNAL (RFC 4422 appendix A) | the client's TLS certificate | to know whose it is |
//! | SCRAM-SHA-1, -256, -512 (RFC 5802, 7677), each with -PLUS | a password, never shown; the server proves itself, too | a stored [`Verifier`] |
//! | OAUTHBEARER (RFC 7628), XOAUTH2 | a token | whoever issued it |
//! | PLAIN (RFC 4616), LOGIN | a password, shown | anything that checks passwords, a [`Verifier`] too |
//! | CRAM-MD5 (RFC 2195), DIGEST-MD5 (RFC 2831) | a password, hashed badly | the password itself |
//! | ANONYMOUS (RFC 4505) | nobody | nothing |
//!
//! The table is in the order in which a client prefers them ([`Mechanism::ALL`]). A server offers what its [`Offer`] lists, by
//! default SCRAM-SHA-256, with -PLUS where the TLS session can be bound, PLAIN and LOGIN. DIGEST-MD5 is historic (RFC 6331)
//! and used by neither side unless it is asked for. A mechanism that is not here, GSSAPI for instance, can be supplied from
//! outside: [`Mechanism::Foreign`].
//!
//! The `-PLUS` forms bind the exchange to the TLS session under it, by `tls-exporter` (RFC 9266) or, with TLS 1.2,
//! `tls-server-end-point` (RFC 5929): whoever sits between two sessions cannot pass it on. `tls-unique` is left out: TLS 1.3
//! has none. Security layers are left out, too: TLS does that.

use std::fmt;

use bytes::Bytes;

use crate::base::{ParseError, Secret, Tls};

mod client;
mod cram;
mod digest;
mod login;
mod oauth;
mod offer;
mod prep;
mod scram;
mod server;
mod verifier;

pub use crate::base::crypto::HashFunction as Hash;
pub use client::ClientExchange;
pub use cram::apop;
pub use login::{Foreign, ForeignClient, Login};
pub use offer::{Nonces, Offer, Proxying};
pub use server::{Answer, Question, ServerExchange, ServerStep};
pub use verifier::Verifier;

/// A mechanism.
///
/// ```
/// use facteur::sasl::{Hash, Mechanism};
///
/// assert_eq!("plain".parse(), Ok(Mechanism::Plain));
/// assert_eq!(Mechanism::ScramPlus(Hash::Sha256).to_string(), "SCRAM-SHA-256-PLUS");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// `EXTERNAL` (RFC 4422 appendix A): the client is who its TLS certificate says.
    External,
    /// `SCRAM-SHA-256-PLUS` and its like (RFC 5802, RFC 7677): a password is proved and not shown, and the exchange is bound
    /// to the TLS session.
    ScramPlus(Hash),
    /// `SCRAM-SHA-256` and its like: a password is proved and not shown.
    Scram(Hash),
    /// `OAUTHBEARER` (RFC 7628): a token of somebody whom the server trusts.
    OAuthBearer,
    /// `XOAUTH2`: the same as Google and Microsoft had it before. No RFC.
    XOAuth2,
    /// `PLAIN` (RFC 4616): name and password in one message.
    Plain,
    /// `LOGIN`: name and password one after the other. Never an RFC, obsolete, and still what many programs speak.
    Login,
    /// `CRAM-MD5` (RFC 2195): a password is proved, and the server must keep it as it is.
    CramMd5,
    /// `DIGEST-MD5` (RFC 2831): historic, with good reason (RFC 6331).
    DigestMd5,
    /// `ANONYMOUS` (RFC 4505): nobody in particular.
    Anonymous,
    /// One that is supplied from outside, by its name in upper case. A server is asked [`Question::Response`] for each
    /// response of a client; a client finds it in [`Login::foreign`].
    Foreign(&'static str),
}

/// Who a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// Whose credentials were shown: the authentication identity. Empty for EXTERNAL, where the certificate says it, for
    /// OAUTHBEARER, where the token does, and for ANONYMOUS.
    pub authcid: String,
    /// As whom the client wants to act: the authorization identity, where it named one. Whether `authcid` may is for the
    /// application to say.
    pub authzid: Option<String>,
}

/// What a client shows to prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A password. A server sees it by PLAIN, LOGIN and what a protocol has of its own; a client proves it by any of the
    /// mechanisms for passwords.
    Password(Secret),
    /// A bearer token (RFC 6750), by OAUTHBEARER or XOAUTH2.
    Token(Secret),
    /// On a server: the mechanism has proved that the client is `authcid`. What is left to judge is whether it may come in,
    /// and act as `authzid`.
    Proven,
    /// What is known from outside, by EXTERNAL: the certificate in [`Tls`].
    External,
    /// Nothing, by ANONYMOUS.
    Anonymous {
        /// A mail address or any other word for the log; unproven, and may be empty.
        trace: String,
    },
}

/// What an exchange runs over.
///
/// ```
/// use facteur::base::Tls;
/// use facteur::sasl::Channel;
///
/// assert!(!Channel::new("smtp", None).is_private);
/// assert!(Channel::new("smtp", Some(&Tls::default())).is_private);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// The service as GSSAPI and DIGEST-MD5 name it: `smtp`, `imap`, `pop`.
    pub service: &'static str,
    /// The server's name. [`Channel::new`] takes it from [`Tls::server_name`], or else it is `localhost`.
    pub host: String,
    /// The server's port, where it is known.
    pub port: Option<u16>,
    /// Whether nobody listens: [`Channel::new`] says so of TLS; a config may say so of a network.
    pub is_private: bool,
    /// Whether the peer has shown a certificate.
    pub has_certificate: bool,
    /// [`Tls::exporter`].
    pub exporter: Option<Bytes>,
    /// [`Tls::end_point`].
    pub end_point: Option<Bytes>,
}

impl Channel {
    /// One with this TLS session, or none.
    pub fn new(service: &'static str, tls: Option<&Tls>) -> Self {
        Self {
            service,
            host: tls.and_then(|tls| tls.server_name.clone()).unwrap_or_else(|| "localhost".to_owned()),
            port: None,
            is_private: tls.is_some(),
            has_certificate: tls.is_some_and(|tls| !tls.peer_certificates.is_empty()),
            exporter: tls.and_then(|tls| tls.exporter.clone()),
            end_point: tls.and_then(|tls| tls.end_point.clone()),
        }
    }

    /// The data of a channel binding, by its name in the registry of IANA.
    fn binding(&self, name: &str) -> Option<&Bytes> {
        match name {
            "tls-exporter" => self.exporter.as_ref(),
            "tls-server-end-point" => self.end_point.as_ref(),
            _ => None,
        }
    }

    /// The channel binding that a client chooses. RFC 9266 §3: with TLS 1.3 `tls-exporter`. With TLS 1.2 the default would be
    /// `tls-unique`, which few libraries still tell.
    fn best_binding(&self) -> Option<(&'static str, &Bytes)> {
        ["tls-exporter", "tls-server-end-point"].into_iter().find_map(|name| Some((name, self.binding(name)?)))
    }

    fn can_bind(&self) -> bool {
        self.best_binding().is_some()
    }
}

impl Mechanism {
    /// Every mechanism that is known here, those that a client prefers first: what proves most and shows least.
    pub const ALL: [Self; 14] = [
        Self::External,
        Self::ScramPlus(Hash::Sha512),
        Self::ScramPlus(Hash::Sha256),
        Self::ScramPlus(Hash::Sha1),
        Self::Scram(Hash::Sha512),
        Self::Scram(Hash::Sha256),
        Self::Scram(Hash::Sha1),
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::DigestMd5,
        Self::Anonymous,
    ];

    /// The name in the registry of IANA.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramPlus(Hash::Sha1) => "SCRAM-SHA-1-PLUS",
            Self::ScramPlus(Hash::Sha256) => "SCRAM-SHA-256-PLUS",
            Self::ScramPlus(Hash::Sha512) => "SCRAM-SHA-512-PLUS",
            Self::Scram(Hash::Sha1) => "SCRAM-SHA-1",
            Self::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(Hash::Sha512) => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::DigestMd5 => "DIGEST-MD5",
            Self::Anonymous => "ANONYMOUS",
            Self::Foreign(name) => name,
        }
    }

    /// Whether whoever listens learns the password or the token, or all that guessing it offline at full speed takes, so that
    /// it must not go over a connection without TLS.
    pub fn needs_privacy(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2 | Self::CramMd5 | Self::DigestMd5)
    }
}

impl Identity {
    /// One that acts as itself.
    pub fn new(authcid: impl Into<String>) -> Self {
        Self { authcid: authcid.into(), authzid: None }
    }

    /// As whom the client acts: the authorization identity, or else the authentication identity.
    pub fn name(&self) -> &str {
        self.authzid.as_deref().unwrap_or(&self.authcid)
    }

    /// Whether the client wants to act as somebody else than whose credentials it showed.
    pub fn acts_for_another(&self) -> bool {
        !self.authcid.is_empty() && self.name() != self.authcid
    }
}

/// The name in any case of letters.
impl std::str::FromStr for Mechanism {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(text));
        found.ok_or(ParseError { expected: "a SASL mechanism", at: 0 })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
