//! SASL mechanisms (RFC 4422), both sides: PLAIN (RFC 4616), LOGIN, EXTERNAL (RFC 4422 appendix A), ANONYMOUS (RFC 4505).
//!
//! An exchange knows octets, not base64 and not the protocol around it: SMTP, POP3 and IMAP wrap it each in its own way. It
//! decides nothing either: what a client showed comes out as an [`Identity`] and [`Credentials`] for the application to
//! judge, against a stored [`Verifier`] for instance.
//!
//! Left out: SASLprep. Names and passwords are compared as the octets that came.

use std::fmt;

use crate::base::{ParseError, Secret};

mod client;
mod server;
mod verifier;

pub use client::ClientExchange;
pub use server::{ServerExchange, ServerStep};
pub use verifier::Verifier;

/// A mechanism.
///
/// ```
/// use facteur::sasl::Mechanism;
///
/// assert_eq!("plain".parse(), Ok(Mechanism::Plain));
/// assert_eq!(Mechanism::Plain.to_string(), "PLAIN");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// `PLAIN` (RFC 4616): name and password in one message.
    Plain,
    /// `LOGIN`: name and password one after the other. Never an RFC, obsolete, and still what many programs speak.
    Login,
    /// `EXTERNAL` (RFC 4422 appendix A): the client is who its TLS certificate says.
    External,
    /// `ANONYMOUS` (RFC 4505): nobody in particular.
    Anonymous,
}

/// Who a client says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// Whose credentials were shown: the authentication identity. Empty for EXTERNAL, where the certificate says it, and
    /// for ANONYMOUS.
    pub authcid: String,
    /// As whom the client wants to act: the authorization identity, where it named one. Whether `authcid` may is for the
    /// application to say.
    pub authzid: Option<String>,
}

/// What a client shows to prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A password, by PLAIN or LOGIN.
    Password(Secret),
    /// What is known from outside, by EXTERNAL: the certificate in [`Tls`](crate::base::Tls).
    External,
    /// Nothing, by ANONYMOUS.
    Anonymous {
        /// A mail address or any other word for the log; unproven, and may be empty.
        trace: String,
    },
}

impl Mechanism {
    /// Every mechanism that is known here, those to prefer first.
    pub const ALL: [Self; 4] = [Self::External, Self::Plain, Self::Login, Self::Anonymous];

    /// The name in the registry of IANA.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::External => "EXTERNAL",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// Whether whoever listens learns the password, so that it must not go over a connection without TLS.
    pub fn reveals_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
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
