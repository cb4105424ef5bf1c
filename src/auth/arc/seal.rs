//! Sealing (RFC 8617 §5.1): one more set on a chain.

use super::chain::Sets;
use super::{MAX_SETS, Outcome, Verdict};
use crate::auth::Results;
use crate::auth::dkim::{Canonicalization, SignError, Signer};
use crate::base::Timestamp;
use crate::message::Message;

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The last sealer found the chain broken: "there is no need to proceed" (RFC 8617 §5.1, step 2).
    #[error("the chain has ended")]
    Ended,
    /// The chain has [`MAX_SETS`] sets.
    #[error("the chain has {MAX_SETS} sets")]
    Full,
    /// The signer cannot sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Seals `message` as it leaves: the three fields of a set with their line ends, to be put in front of it.
///
/// `verdict` is what [`verify`](super::verify) said when the message came, before anything of it was changed; `results` is all
/// that was found out then, that verdict among it. All else that is to be changed or signed must have been.
///
/// The signer's fields, canonicalizations and key count; Authentication-Results and the fields of ARC are never signed, the
/// DKIM signatures always are (RFC 8617 §4.1.2).
///
/// # Errors
/// Where the chain takes no more sets, or the signer cannot sign.
pub fn seal(
    message: &Message,
    verdict: &Verdict,
    results: &Results,
    signer: &Signer,
    now: Timestamp,
) -> Result<String, SealError> {
    let sets = Sets::read(message.header());
    if sets.ended() {
        return Err(SealError::Ended);
    }
    let highest = sets.len().max(verdict.instance);
    if highest >= MAX_SETS {
        return Err(SealError::Full);
    }
    let instance = highest + 1;
    let status = match verdict.outcome {
        Outcome::None if instance == 1 => "none",
        Outcome::Pass if instance > 1 => "pass",
        // A chain that appeared or went away since it was verified is broken, whatever was found out then.
        _ => "fail",
    };
    let first = format!("ARC-Authentication-Results: i={instance}; {}\r\n", results.payload());
    let second = signer.message_signature(message, instance, now)?;
    // RFC 8617 §5.1.2: the seal of a broken chain is of the new set alone, "as if this newest ARC Set was the only set".
    let mut text = if status == "fail" { Vec::new() } else { sets.canonical() };
    for field in [&first, &second] {
        Canonicalization::Relaxed.field(field.as_bytes(), &mut text);
    }
    let third = signer.seal(text, instance, status, now)?;
    Ok([third, second, first].concat())
}
