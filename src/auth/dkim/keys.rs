//! Keys: those of others, kept once they are parsed, and one's own.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use zeroize::Zeroizing;

use super::{Algorithm, Problem, Record};
use crate::base::crypto::PrivateKey;
use crate::text::transfer;

/// How long the text of a record may be that is kept: a key of 8192 bits takes 1,400 characters.
const MAX_KEPT: usize = 2048;

/// Key records that were parsed, found again by their text. Which text a name has is for the DNS to say; so nothing here
/// grows old.
///
/// ```
/// use std::sync::Arc;
/// use facteur::auth::dkim::{Config, Keys};
///
/// let mut config = Config::default();
/// config.keys = Some(Arc::new(Keys::new(10_000)));
/// ```
pub struct Keys {
    /// How many records a generation has at most.
    most: usize,
    generations: Mutex<Generations>,
}

/// What was used of late, and what was used before that. When the first is full it becomes the second.
#[derive(Default)]
struct Generations {
    late: HashMap<Bytes, Arc<Record>>,
    early: HashMap<Bytes, Arc<Record>>,
}

impl Keys {
    /// Room for `most` records, of about 2 KB each and 10 KB at most: longer texts than keys need are not kept.
    pub fn new(most: usize) -> Self {
        Self { most: most.div_ceil(2), generations: Mutex::default() }
    }

    /// The record with this text, of a key for mail or for TLS reports.
    ///
    /// # Errors
    /// As [`Record::parse`], but for the service; records that cannot be used are not kept.
    pub fn record(&self, text: &Bytes) -> Result<Arc<Record>, Problem> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = generations.late.get(text) {
            return Ok(Arc::clone(record));
        }
        let record = match generations.early.get(text) {
            Some(record) => Arc::clone(record),
            None => Arc::new(Record::of_any_service(text)?),
        };
        if text.len() > MAX_KEPT {
            return Ok(record);
        }
        if generations.late.len() >= self.most {
            generations.early = std::mem::take(&mut generations.late);
        }
        // A copy: the text may be a slice of a larger packet.
        generations.late.insert(Bytes::copy_from_slice(text), Arc::clone(&record));
        Ok(record)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("most", &self.most).finish_non_exhaustive()
    }
}

/// A private key for signing. Clones share it; it is never printed.
///
/// ```
/// use facteur::auth::dkim::SigningKey;
///
/// let key = SigningKey::generate_ed25519()?;
/// let pem = key.to_pem()?;
/// assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
/// assert_eq!(SigningKey::from_pem(&pem)?.record(), key.record());
/// assert!(key.record().starts_with("v=DKIM1; k=ed25519; p="));
/// # Ok::<(), facteur::auth::dkim::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    key: Arc<PrivateKey>,
    /// As the DNS has it.
    public: Vec<u8>,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither PEM with a private key in it, nor 32 octets in base64.
    #[error("no private key in pem")]
    NoKey,
    /// Encrypted, of another kind than RSA and Ed25519, or of less than 2048 or more than 8192 bits.
    #[error("not an rsa key of 2048 to 8192 bits nor an ed25519 key without a passphrase")]
    Unusable,
    /// The provider could not make or write it.
    #[error("the cryptographic provider refused")]
    Provider,
}

impl SigningKey {
    /// Reads a key in PEM: PKCS #8 or, for RSA, PKCS #1; or the 32 octets of an Ed25519 key in base64.
    ///
    /// # Errors
    /// Where it is no key that signs here. Keys of less than 2048 bits do not (RFC 8301 §3.2: "Signers SHOULD use RSA keys
    /// of at least 2048 bits").
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let body = match pem.split_once("PRIVATE KEY-----") {
            Some((_, rest)) => rest.split_once("-----END").ok_or(KeyError::NoKey)?.0,
            None => pem,
        };
        let der = Zeroizing::new(transfer::decode_base64(body.as_bytes()));
        let key = match <[u8; 32]>::try_from(&der[..]) {
            Ok(seed) => PrivateKey::from_seed(&seed),
            Err(_) if pem.contains("PRIVATE KEY-----") => PrivateKey::from_der(&der),
            Err(_) => return Err(KeyError::NoKey),
        };
        Self::of(key.ok_or(KeyError::Unusable)?)
    }

    /// A new RSA key of 2048 bits.
    ///
    /// # Errors
    /// Where the cryptographic provider refuses.
    pub fn generate_rsa() -> Result<Self, KeyError> {
        Self::of(PrivateKey::new_rsa().ok_or(KeyError::Provider)?)
    }

    /// A new Ed25519 key. Not all verifiers know it yet: sign with an RSA key too.
    ///
    /// # Errors
    /// Where the cryptographic provider refuses.
    pub fn generate_ed25519() -> Result<Self, KeyError> {
        Self::of(PrivateKey::new_ed25519().ok_or(KeyError::Provider)?)
    }

    fn of(key: PrivateKey) -> Result<Self, KeyError> {
        let public = key.public().ok_or(KeyError::Provider)?;
        Ok(Self { key: Arc::new(key), public })
    }

    /// The key in PEM (PKCS #8), not encrypted.
    ///
    /// # Errors
    /// Where the cryptographic provider refuses.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let der = Zeroizing::new(self.key.to_pkcs8().ok_or(KeyError::Provider)?);
        let body = Zeroizing::new(BASE64_STANDARD.encode(&der));
        let mut pem = String::with_capacity(body.len() + body.len() / 64 + 64); // so that no copy stays behind
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        // RFC 7468 §2: "generators MUST wrap the base64-encoded lines so that each line consists of exactly 64 characters
        // except for the final line".
        for line in body.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// The record to publish at `SELECTOR._domainkey.DOMAIN`. Where it is longer than 255 octets, as of RSA keys it is, a
    /// zone file has it in several strings.
    pub fn record(&self) -> String {
        let kind = match self.algorithm() {
            Algorithm::Ed25519Sha256 => "ed25519",
            _ => "rsa",
        };
        let public = BASE64_STANDARD.encode(&self.public);
        format!("v=DKIM1; k={kind}; p={public}")
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        match &*self.key {
            PrivateKey::Rsa(_) => Algorithm::RsaSha256,
            PrivateKey::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// Signs the canonical header.
    pub(in crate::auth) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &*self.key {
            key @ PrivateKey::Rsa(_) => key.sign(text),
            // RFC 8463 §3: the signature is of the hash.
            key @ PrivateKey::Ed25519(_) => key.sign(&crate::base::crypto::sha256(text)),
        }
        .ok_or(KeyError::Provider)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_in_bounds() {
        let keys = Keys::new(4);
        let ed25519 = SigningKey::generate_ed25519().unwrap().record();
        let texts: Vec<Bytes> = (0..9).map(|n| format!("{ed25519}; n={n}").into()).collect();
        for text in &texts {
            let one = keys.record(text).unwrap();
            assert!(Arc::ptr_eq(&one, &keys.record(text).unwrap()));
        }
        let generations = keys.generations.lock().unwrap();
        assert!(generations.late.len() + generations.early.len() <= 4);
        drop(generations);
        let long = format!("{ed25519}; n={}", "x".repeat(MAX_KEPT)).into();
        assert!(!Arc::ptr_eq(&keys.record(&long).unwrap(), &keys.record(&long).unwrap()));
        assert_eq!(keys.record(&Bytes::from_static(b"p=")).unwrap_err(), Problem::Revoked);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(SigningKey::from_pem("hello").unwrap_err(), KeyError::NoKey);
        let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(SigningKey::from_pem(pem).unwrap_err(), KeyError::Unusable);
    }

    #[test]
    fn rsa_keys_round_trip() {
        let key = SigningKey::generate_rsa().unwrap();
        assert_eq!(SigningKey::from_pem(&key.to_pem().unwrap()).unwrap().record(), key.record());
        assert_eq!(Record::parse(key.record().as_bytes()).unwrap().bits(), 2048);
        let pem = key.to_pem().unwrap();
        let lines: Vec<&str> = pem.lines().collect();
        let [_, full @ .., last, _] = &lines[..] else { panic!("{pem}") };
        assert!(full.iter().all(|line| line.len() == 64) && (1..=64).contains(&last.len()), "{pem}");
        assert!(!format!("{key:?}").contains("BEGIN"));
    }
}
