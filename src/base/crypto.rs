//! The only file that names the crypto provider (aws-lc-rs): hashes, HMAC, key derivation, randomness, TLS; and, for the two
//! historic mechanisms that need it, MD5, which the provider does not have.

use std::num::NonZeroU32;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::signature::{self, KeyPair};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use zeroize::Zeroizing;

use crate::base::der::element;

/// A hash function of SCRAM (RFC 5802).
///
/// ```
/// use facteur::sasl::{Hash, Mechanism};
///
/// assert_eq!(Mechanism::Scram(Hash::Sha512).name(), "SCRAM-SHA-512");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, std::hash::Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// SHA-1: weak for signatures, good enough here, and all that some old clients have (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
    /// SHA-512 (draft-melnikov-scram-sha-512).
    Sha512,
}

/// Whether two octet strings are equal, in time that depends on their lengths only.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// SHA-256.
pub(crate) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    out
}

/// The hash of `octets`.
pub(crate) fn digest(hash: HashFunction, octets: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        HashFunction::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashFunction::Sha256 => &digest::SHA256,
        HashFunction::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, octets).as_ref().to_vec()
}

/// The hash function of a certificate's signature, as far as channel bindings need it (RFC 5929 §4.1).
#[cfg(feature = "net")]
#[derive(Clone, Copy)]
pub(crate) enum CertificateHash {
    Sha256,
    Sha384,
    Sha512,
}

/// The hash of a certificate.
#[cfg(feature = "net")]
pub(crate) fn certificate_digest(hash: CertificateHash, certificate: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        CertificateHash::Sha256 => &digest::SHA256,
        CertificateHash::Sha384 => &digest::SHA384,
        CertificateHash::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, certificate).as_ref().to_vec()
}

/// HMAC (RFC 2104).
pub(crate) fn hmac(hash: HashFunction, key: &[u8], octets: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        HashFunction::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HashFunction::Sha256 => hmac::HMAC_SHA256,
        HashFunction::Sha512 => hmac::HMAC_SHA512,
    };
    hmac::sign(&hmac::Key::new(algorithm, key), octets).as_ref().to_vec()
}

/// PBKDF2 with HMAC (RFC 8018 §5.2), as many octets as the hash has.
pub(crate) fn pbkdf2(hash: HashFunction, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Zeroizing<Vec<u8>> {
    let (algorithm, len) = match hash {
        HashFunction::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        HashFunction::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        HashFunction::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
    };
    let mut out = Zeroizing::new(vec![0; len]);
    pbkdf2::derive(algorithm, iterations, salt, password, &mut out);
    out
}

/// MD5 (RFC 1321) of the pieces, joined. For CRAM-MD5's and DIGEST-MD5's clients, APOP and Content-MD5 only.
pub(crate) fn md5(pieces: &[&[u8]]) -> [u8; 16] {
    use md5::Digest;
    let mut state = md5::Md5::new();
    pieces.iter().for_each(|piece| state.update(piece));
    state.finalize().into()
}

/// HMAC-MD5 (RFC 2104). For CRAM-MD5 only.
pub(crate) fn hmac_md5(key: &[u8], octets: &[u8]) -> [u8; 16] {
    use ::hmac::{KeyInit, Mac};
    let mut state = ::hmac::Hmac::<md5::Md5>::new_from_slice(key).expect("HMAC takes keys of any length"); // RFC 2104 §2
    state.update(octets);
    state.finalize().into_bytes().into()
}

/// Fills `out` with octets that nobody can guess.
///
/// # Panics
/// Where the operating system has no randomness to give; nothing that needs it may go on then.
pub(crate) fn random(out: &mut [u8]) {
    rand::fill(out).expect("the operating system has randomness"); // documented: nothing may go on without
}

/// What rustls computes with.
#[cfg(feature = "net")]
pub(crate) fn tls_provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    use std::sync::{Arc, OnceLock};
    static PROVIDER: OnceLock<Arc<rustls::crypto::CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// A hash of what comes in pieces.
#[derive(Clone)]
pub(crate) struct Hash(digest::Context);

impl Hash {
    /// SHA-256.
    pub(crate) fn sha256() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// A key that signatures are verified with.
#[derive(Clone, Debug)]
pub(crate) struct PublicKey {
    key: signature::ParsedPublicKey,
    bits: usize,
}

impl PublicKey {
    /// An RSA key of 1024 to 8192 bits for PKCS #1 v1.5 with SHA-256, as `SubjectPublicKeyInfo` or `RSAPublicKey` in DER.
    /// `Err` has the number of bits of a key that is too small or too large, and `None` where it is no key.
    pub(crate) fn rsa_sha256(der: &[u8]) -> Result<Self, Option<usize>> {
        let bits = rsa_bits(der).ok_or(None)?;
        // The provider would say so only when it verifies, and not why.
        if !(1024..=8192).contains(&bits) {
            return Err(Some(bits));
        }
        let algorithm = &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
        let key = signature::ParsedPublicKey::new(algorithm, der).map_err(|_| None)?;
        Ok(Self { key, bits })
    }

    /// An Ed25519 key of 32 octets.
    pub(crate) fn ed25519(octets: &[u8]) -> Option<Self> {
        let octets: [u8; 32] = octets.try_into().ok()?;
        let key = signature::ParsedPublicKey::new(&signature::ED25519, octets).ok()?;
        Some(Self { key, bits: 256 })
    }

    /// How large the key is.
    pub(crate) fn bits(&self) -> usize {
        self.bits
    }

    /// Whether `signature` is of `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

/// How long the modulus of an RSA key is: the first INTEGER of the innermost SEQUENCE that has one. Enough of DER for keys,
/// so that a key of the wrong size is told from what is no key.
fn rsa_bits(der: &[u8]) -> Option<usize> {
    let (0x30, outer, _) = element(der)? else { return None };
    let modulus = match element(outer)? {
        (0x02, modulus, _) => modulus,
        // SubjectPublicKeyInfo: the algorithm, then a BIT STRING with the RSAPublicKey in it.
        (0x30, _, rest) => {
            let (0x03, bits, _) = element(rest)? else { return None };
            let (0x30, inner, _) = element(bits.get(1..)?)? else { return None };
            let (0x02, modulus, _) = element(inner)? else { return None };
            modulus
        }
        _ => return None,
    };
    let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// A key that signs. Its memory is wiped by the provider.
pub(crate) enum PrivateKey {
    Rsa(signature::RsaKeyPair),
    Ed25519(signature::Ed25519KeyPair),
}

impl PrivateKey {
    /// An RSA key of 2048 to 8192 bits as `PrivateKeyInfo` (PKCS #8) or `RSAPrivateKey` (PKCS #1) in DER, or an Ed25519 key
    /// as `PrivateKeyInfo`.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        if let Ok(key) = signature::RsaKeyPair::from_pkcs8(der).or_else(|_| signature::RsaKeyPair::from_der(der)) {
            return Some(Self::Rsa(key));
        }
        signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self::Ed25519)
    }

    /// An Ed25519 key from its 32 octets (RFC 8032 §5.1.5).
    pub(crate) fn from_seed(seed: &[u8]) -> Option<Self> {
        signature::Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self::Ed25519)
    }

    /// A new RSA key of 2048 bits.
    pub(crate) fn new_rsa() -> Option<Self> {
        signature::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).ok().map(Self::Rsa)
    }

    /// A new Ed25519 key.
    pub(crate) fn new_ed25519() -> Option<Self> {
        signature::Ed25519KeyPair::generate().ok().map(Self::Ed25519)
    }

    /// `PrivateKeyInfo` in DER.
    pub(crate) fn to_pkcs8(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().ok()?;
                Some(der.as_ref().to_vec())
            }
            Self::Ed25519(key) => Some(key.to_pkcs8v1().ok()?.as_ref().to_vec()),
        }
    }

    /// The public key as DKIM keys have it: `SubjectPublicKeyInfo` of RSA, the 32 octets of Ed25519.
    pub(crate) fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
                Some(der.as_ref().to_vec())
            }
            Self::Ed25519(key) => Some(key.public_key().as_ref().to_vec()),
        }
    }

    /// Signs, RSA with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &rand::SystemRandom::new(), message, &mut out).ok()?;
                Some(out)
            }
            Self::Ed25519(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }
}
