//! Sealing (RFC 8617 §5.1): one more set on a chain.

use super::chain::Sets;
use super::{MAX_SETS, Outcome, Verdict};
use crate::auth::Results;
use crate::auth::dkim::{Canonicalization, SignError, Signer, Signing};
use crate::base::Timestamp;
use crate::message::{Header, Message};

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
    let mut sealing = Sealing::new(message.header(), signer, now)?;
    sealing.body(message.root().raw_body());
    sealing.finish(verdict, results)
}

/// Seals while the body comes in pieces.
///
/// The driver's loop: [`new`](Self::new) when the header is complete as it leaves, [`body`](Self::body) for each piece of
/// what follows the blank line, [`finish`](Self::finish) for the fields. What was found out when the message came is wanted
/// only then, so that both can be done in one pass over a body that is not changed.
///
/// ```
/// use facteur::auth::arc::{Outcome, Sealing, Verifier};
/// use facteur::auth::{Method, Results, dkim};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
///
/// let key = dkim::SigningKey::generate_ed25519()?;
/// let zone: Zone = format!("s1._domainkey.relay.example TXT \"{}\"", key.record()).parse()?;
/// let signer = dkim::Signer::new("relay.example".parse()?, "s1".parse()?, key);
/// let now = Timestamp::from_unix(1_790_000_000);
///
/// let message = Message::parse("From: ada@example.org\r\n\r\nAt noon?\r\n");
/// let mut verifier = Verifier::new(message.header(), now, &dkim::Config::default());
/// let mut sealing = Sealing::new(message.header(), &signer, now)?;
/// for piece in message.root().raw_body().chunks(3) {
///     verifier.body(piece);
///     sealing.body(piece);
/// }
/// let results = Results::new("relay.example", [Method::new("spf", "pass")]);
/// let set = sealing.finish(&zone.ask(verifier.finish()), &results)?;
///
/// let sealed = Message::parse([set.as_bytes(), message.raw()].concat());
/// let verdict = zone.ask(facteur::auth::arc::verify(&sealed, now, &dkim::Config::default()));
/// assert_eq!(verdict.outcome, Outcome::Pass);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sealing<'a> {
    signer: &'a Signer,
    signing: Signing<'a>,
    /// The canonical form of the sets that there are, and how many.
    sets: Vec<u8>,
    highest: u8,
    now: Timestamp,
}

impl<'a> Sealing<'a> {
    /// Begins with the header as it leaves.
    ///
    /// # Errors
    /// Where the chain takes no more sets, or the signer cannot sign.
    pub fn new(header: Header<'_>, signer: &'a Signer, now: Timestamp) -> Result<Self, SealError> {
        let sets = Sets::read(header);
        if sets.ended() {
            return Err(SealError::Ended);
        }
        if sets.len() >= MAX_SETS {
            return Err(SealError::Full);
        }
        let signing = Signing::message_signature(header, signer, now)?;
        Ok(Self { signer, signing, sets: sets.canonical(), highest: sets.len(), now })
    }

    /// The next piece of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.signing.body(octets);
    }

    /// The three fields of the set, with their line ends; `verdict` and `results` are as for [`seal`].
    ///
    /// # Errors
    /// Where the chain that was verified takes no more sets, or the key fails.
    pub fn finish(self, verdict: &Verdict, results: &Results) -> Result<String, SealError> {
        let highest = self.highest.max(verdict.instance);
        if highest >= MAX_SETS {
            return Err(SealError::Full);
        }
        let instance = highest + 1;
        let status = match verdict.outcome {
            // A chain that appeared, went away or grew since it was verified is broken, whatever was found out then.
            _ if self.highest != verdict.instance => "fail",
            Outcome::None if instance == 1 => "none",
            Outcome::Pass => "pass",
            _ => "fail",
        };
        let first = format!("ARC-Authentication-Results: i={instance}; {}\r\n", results.payload());
        let second = self.signing.finish_set(instance)?;
        // RFC 8617 §5.1.2: the seal of a broken chain is of the new set alone, "as if this newest ARC Set was the only set".
        let mut text = if status == "fail" { Vec::new() } else { self.sets };
        for field in [&first, &second] {
            Canonicalization::Relaxed.field(field.as_bytes(), &mut text);
        }
        let third = self.signer.seal(text, instance, status, self.now)?;
        Ok([third, second, first].concat())
    }
}
