//! A password as a server keeps it: the keys of SCRAM (RFC 5802 §3, RFC 7677) in the text form of RFC 5803.
//!
//! Whoever reads it can check a password against it, guess passwords at the price of the iterations, and pose as the server
//! to SCRAM clients, but cannot log in.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Hash, Mechanism, prep};
use crate::base::{ParseError, Secret, crypto};

/// RFC 5803 §3: "Big iteration counts" in a stored text may be an attack on the server's time.
const MOST_ITERATIONS: u32 = 10_000_000;

/// The octets of a salt that is made here.
const SALT: usize = 16;

/// A stored password. It serves SCRAM with its own hash, and every mechanism that shows the password.
///
/// ```
/// use facteur::sasl::Verifier;
///
/// let verifier = Verifier::new(&"pencil".into(), b"a salt", Verifier::ITERATIONS);
/// let kept = verifier.to_string();
/// let verifier: Verifier = kept.parse()?;
/// assert!(verifier.check(&"pencil".into()));
/// assert!(!verifier.check(&"pen".into()));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    hash: Hash,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: Secret,
    server_key: Secret,
}

impl Verifier {
    /// How often to hash where nothing else is asked for: 15,000 times, some milliseconds. RFC 7677 §4 wants at least 4096.
    pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(15_000).unwrap(); // not zero

    /// That of `password`, for SCRAM-SHA-256. The salt should be 16 random octets or more, and no two the same;
    /// [`generate`](Self::generate) takes care of that.
    pub fn new(password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        Self::with_hash(Hash::Sha256, password, salt, iterations)
    }

    /// That of `password`, for SCRAM with another hash.
    pub fn with_hash(hash: Hash, password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        let Keys { stored_key, server_key, .. } = Keys::new(hash, password, salt, iterations);
        Self { hash, iterations, salt: salt.to_vec(), stored_key, server_key }
    }

    /// That of `password`, for SCRAM-SHA-256, with a random salt and [`ITERATIONS`](Self::ITERATIONS).
    pub fn generate(password: &Secret) -> Self {
        let mut salt = [0; SALT];
        crypto::random(&mut salt);
        Self::new(password, &salt, Self::ITERATIONS)
    }

    /// One that no password fits. Checking against it where there is no such user takes as long as against a true one, and
    /// so does not tell who exists.
    pub fn decoy() -> Self {
        let random = Secret::random(64);
        Self::decoy_of(Hash::Sha256, random.expose(), Secret::random(64).expose(), Self::ITERATIONS)
    }

    /// One that no password fits, out of 64 random octets twice.
    pub(super) fn decoy_of(hash: Hash, salt: &[u8], key: &[u8], iterations: NonZeroU32) -> Self {
        let salt = salt.get(..SALT).unwrap_or(salt).to_vec();
        // As long as true ones are.
        let key = Secret::from(crypto::digest(hash, key));
        Self { hash, iterations, salt, stored_key: key.clone(), server_key: key }
    }

    /// Whether it is that of `password`; takes as long for a wrong one as for the right one.
    pub fn check(&self, password: &Secret) -> bool {
        Keys::new(self.hash, password, &self.salt, self.iterations).stored_key == self.stored_key
    }

    /// The hash function: this is for SCRAM with it.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How often the password is hashed.
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// What is hashed with it.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// `StoredKey`: what a client's proof is checked against.
    pub fn stored_key(&self) -> &[u8] {
        self.stored_key.expose()
    }

    /// `ServerKey`: what the server proves itself with.
    pub fn server_key(&self) -> &[u8] {
        self.server_key.expose()
    }
}

/// The keys of RFC 5802 §3.
pub(super) struct Keys {
    pub(super) client_key: Secret,
    pub(super) stored_key: Secret,
    pub(super) server_key: Secret,
}

impl Keys {
    pub(super) fn new(hash: Hash, password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = crypto::pbkdf2(hash, prep::password(password).expose(), salt, iterations);
        let client_key = Secret::from(crypto::hmac(hash, &salted, b"Client Key"));
        let stored_key = Secret::from(crypto::digest(hash, client_key.expose()));
        Self { client_key, stored_key, server_key: Secret::from(crypto::hmac(hash, &salted, b"Server Key")) }
    }
}

/// `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` (RFC 5803 §2), and likewise with the other hashes.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}${}:{}${}:{}",
            Mechanism::Scram(self.hash),
            self.iterations,
            BASE64_STANDARD.encode(&self.salt),
            BASE64_STANDARD.encode(self.stored_key()),
            BASE64_STANDARD.encode(self.server_key())
        )
    }
}

impl FromStr for Verifier {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fault = ParseError { expected: "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey", at: 0 };
        let (scheme, rest) = text.trim_ascii().split_once('$').ok_or(fault)?;
        let (info, value) = rest.split_once('$').ok_or(fault)?;
        let (iterations, salt) = info.split_once(':').ok_or(fault)?;
        let (stored_key, server_key) = value.split_once(':').ok_or(fault)?;
        let Ok(Mechanism::Scram(hash)) = scheme.parse() else { return Err(fault) };
        let iterations: NonZeroU32 = iterations.parse().map_err(|_| fault)?;
        if iterations.get() > MOST_ITERATIONS {
            return Err(ParseError { expected: "at most 10000000 iterations", at: scheme.len() + 1 });
        }
        let length = crypto::digest(hash, b"").len();
        let key = |text| {
            let key = BASE64_STANDARD.decode(text).ok().filter(|key| key.len() == length);
            key.map(Secret::from).ok_or(fault)
        };
        Ok(Self {
            hash,
            iterations,
            salt: BASE64_STANDARD.decode(salt).map_err(|_| fault)?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

/// Never shows the keys.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, iterations, .. } = self;
        f.debug_struct("Verifier").field("hash", hash).field("iterations", iterations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: NonZeroU32 = NonZeroU32::new(2).unwrap();

    #[test]
    fn the_keys_are_those_of_rfc_7677() {
        // RFC 7677 §3: both signatures of the exchange there follow from the keys.
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::new(&"pencil".into(), &salt, NonZeroU32::new(4096).unwrap());
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let auth_message =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let server = crypto::hmac(Hash::Sha256, verifier.server_key(), auth_message.as_bytes());
        assert_eq!(BASE64_STANDARD.encode(server), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let proof = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let signature = crypto::hmac(Hash::Sha256, verifier.stored_key(), auth_message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(crypto::sha256(&client_key), verifier.stored_key());
    }

    #[test]
    fn what_is_kept_reads_back() {
        let verifier = Verifier::new(&"πencil".into(), b"salt", FEW);
        let again: Verifier = verifier.to_string().parse().unwrap();
        assert_eq!(again.to_string(), verifier.to_string());
        assert!(again.check(&"πencil".into()));
        assert!(!again.check(&"pencil".into()));
        assert!(!again.check(&"".into()));
        assert!(verifier.to_string().starts_with("SCRAM-SHA-256$2:c2FsdA==$"));
        assert_eq!(format!("{verifier:?}"), "Verifier { hash: Sha256, iterations: 2, .. }");
    }

    #[test]
    fn each_hash_keeps_its_own() {
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
            let verifier = Verifier::with_hash(hash, &"\u{2168}".into(), b"salt", FEW);
            let again: Verifier = verifier.to_string().parse().unwrap();
            assert_eq!(again, verifier);
            assert_eq!(again.hash(), hash);
            assert!(again.check(&"IX".into()), "the password is prepared");
        }
    }

    #[test]
    fn two_salts_give_two_texts_and_a_decoy_fits_nothing() {
        let (a, b) = (Verifier::generate(&"x".into()), Verifier::generate(&"x".into()));
        assert_ne!(a.to_string(), b.to_string());
        assert!(a.check(&"x".into()) && b.check(&"x".into()));
        assert!(!Verifier::decoy().check(&"x".into()));
        assert_eq!(Verifier::decoy().iterations(), a.iterations());
    }

    #[test]
    fn what_is_no_verifier_is_refused() {
        let sound = Verifier::new(&"x".into(), b"salt", FEW).to_string();
        for bad in [
            String::new(),
            "secret".into(),
            sound.replace("SHA-256", "SHA-1"),
            sound.replace("$2:", "$0:"),
            sound.replace("$2:", "$10000001:"),
            sound.replace("$2:", "$-2:"),
            sound.replace("c2FsdA==", "c2Fs*"),
            sound.replace(':', ""),
            format!("{sound}AAAA"),
            sound.get(..sound.len() - 4).unwrap().to_owned(),
        ] {
            assert!(bad.parse::<Verifier>().is_err(), "{bad}");
        }
    }
}
