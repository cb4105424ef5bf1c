//! DKIM (RFC 6376, with RFC 8301 on algorithms and key sizes and RFC 8463 on Ed25519): a domain answers for a message by
//! signing it.
//!
//! [`verify`] looks at all signatures of a message in one pass over its body and is an [`Inquiry`](crate::dns::Inquiry) after
//! their keys; [`sign`] makes signatures, several in one pass. [`Verifier`] and [`Signing`] do the same with a body that comes
//! in pieces.
//!
//! Left out on purpose: signing and accepting SHA-1 and RSA keys below 1024 bits (RFC 8301), and the copied fields of `z=`.

mod body;
mod canonical;
mod keys;
mod lines;
mod record;
mod signature;
mod signer;
mod verifier;

use std::fmt;

pub use canonical::Canonicalization;
pub use keys::{KeyError, Keys, SigningKey};
pub use record::{MAX_RECORD, Record};
pub use signature::{MAX_FIELDS, Signature};
pub use signer::{SignError, Signer, Signing, sign};
pub use verifier::{Config, Evaluation, Service, Verdict, Verifier, verify};

pub(in crate::auth) use verifier::{Fields, append_unsigned, signed};

use crate::base::ParseError;
use crate::dns::Failure;

/// How a message is hashed and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Historic: RFC 8301 §3.1 forbids to sign or verify with it.
    RsaSha1,
    /// RSA with SHA-256.
    RsaSha256,
    /// Ed25519 over SHA-256 (RFC 8463).
    Ed25519Sha256,
}

/// What came of a signature (RFC 8601 §2.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The domain signed the message as it is here.
    Pass,
    /// It did not, or has done so no longer.
    Fail,
    /// It did in a way that is not to be relied upon.
    Policy,
    /// The key could not be had for now.
    TempError,
    /// The signature or its key is not what the standard says.
    PermError,
}

/// Why a signature does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The field is no list of tags.
    #[error("signature syntax: {0}")]
    Syntax(ParseError),
    /// A tag that must be there is not.
    #[error("signature without {0}=")]
    MissingTag(&'static str),
    /// A tag has a value that makes no sense.
    #[error("signature with a wrong {0}=")]
    BadTag(&'static str),
    /// `v=` is not 1.
    #[error("signature of an unknown version")]
    Version,
    /// `a=` is unknown.
    #[error("signature with an unknown algorithm")]
    Algorithm,
    /// `h=` does not have From.
    #[error("the From field is not signed")]
    FromNotSigned,
    /// There are more From fields than were signed: one was added.
    #[error("more From fields than are signed")]
    FromAdded,
    /// `i=` is not in the domain of `d=`, or not the same where the key wants that.
    #[error("identity outside of the domain")]
    IdentityOutside,
    /// `x=` has passed.
    #[error("the signature has expired")]
    Expired,
    /// `l=` is more than there is.
    #[error("the body is shorter than what was signed")]
    BodyTooShort,
    /// The body is not what was signed.
    #[error("the body has changed")]
    BodyChanged,
    /// The body is what was signed with something behind it: a mailing list does that, or a scanner.
    #[error("something was appended to the body")]
    BodyAppended,
    /// A field of the header is not what was signed, or the key is not the one that signed.
    #[error("the header has changed")]
    HeaderChanged,
    /// SHA-1 (RFC 8301 §3.1).
    #[error("signed with SHA-1")]
    Sha1,
    /// The DNS did not answer.
    #[error("dns: {0}")]
    Dns(Failure),
    /// There is no key.
    #[error("no key")]
    NoKey,
    /// The key record is longer than [`MAX_RECORD`].
    #[error("key record too long")]
    RecordTooLong,
    /// The key record is no list of tags.
    #[error("key record syntax: {0}")]
    RecordSyntax(ParseError),
    /// `v=` of the key record is not DKIM1, or not the first.
    #[error("key record of an unknown version")]
    RecordVersion,
    /// `p=` is missing or no key.
    #[error("key record without a readable key")]
    RecordKey,
    /// `k=` is unknown.
    #[error("key of an unknown type")]
    KeyType,
    /// An RSA key of so many bits, which is less than 1024 (RFC 8301 §3.2) or more than 8192.
    #[error("key of {0} bits")]
    KeySize(usize),
    /// `p=` is empty.
    #[error("the key has been revoked")]
    Revoked,
    /// `s=`: the key is not for mail.
    #[error("the key is not for mail")]
    OtherService,
    /// `h=` of the key does not have the hash of the signature.
    #[error("the key does not allow the hash")]
    HashNotAllowed,
    /// The key is not of the type that the signature needs.
    #[error("the key is of another type than the signature")]
    KeyMismatch,
}

impl Algorithm {
    /// As `a=` has it.
    fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha1 => "rsa-sha1",
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"rsa-sha1" => Some(Self::RsaSha1),
            b"rsa-sha256" => Some(Self::RsaSha256),
            b"ed25519-sha256" => Some(Self::Ed25519Sha256),
            _ => None,
        }
    }
}

impl Problem {
    /// What comes of a signature with this problem.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Dns(failure) if failure.is_temporary() => Outcome::TempError,
            Self::FromAdded
            | Self::Expired
            | Self::BodyTooShort
            | Self::BodyChanged
            | Self::BodyAppended
            | Self::HeaderChanged => Outcome::Fail,
            // RFC 8301 §3: good once, and not to be relied upon today.
            Self::Sha1 | Self::KeySize(..1024) => Outcome::Policy,
            _ => Outcome::PermError,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As header fields write it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}
