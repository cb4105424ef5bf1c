//! Channel binding `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate, with the hash function of that
//! certificate's own signature.

use bytes::Bytes;
use rustls::pki_types::{AlgorithmIdentifier, alg_id};

use crate::base::crypto::{self, CertificateHash};
use crate::base::der::sequence;

/// What a certificate may be signed with, and the hash of its binding.
const SIGNATURES: [(AlgorithmIdentifier, CertificateHash); 9] = [
    (alg_id::RSA_PKCS1_SHA256, CertificateHash::Sha256),
    (alg_id::RSA_PKCS1_SHA384, CertificateHash::Sha384),
    (alg_id::RSA_PKCS1_SHA512, CertificateHash::Sha512),
    (alg_id::RSA_PSS_SHA256, CertificateHash::Sha256),
    (alg_id::RSA_PSS_SHA384, CertificateHash::Sha384),
    (alg_id::RSA_PSS_SHA512, CertificateHash::Sha512),
    (alg_id::ECDSA_SHA256, CertificateHash::Sha256),
    (alg_id::ECDSA_SHA384, CertificateHash::Sha384),
    (alg_id::ECDSA_SHA512, CertificateHash::Sha512),
];

/// The beginnings of algorithms with MD5 or SHA-1, for which RFC 5929 §4.1 wants SHA-256: md5WithRSAEncryption,
/// sha1WithRSAEncryption, ecdsa-with-SHA1.
const OLD: [&[u8]; 3] = [
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05",
    b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01",
];

/// The binding; `None` where the RFC defines none (Ed25519 names no hash function, for instance), or the certificate does not
/// read.
pub(super) fn end_point(certificate: &[u8]) -> Option<Bytes> {
    // RFC 5280 §4.1: Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }, the first two of which
    // are sequences.
    let (inside, _) = sequence(certificate)?;
    let (_, rest) = sequence(inside)?;
    let (algorithm, _) = sequence(rest)?;
    let known = SIGNATURES.iter().find(|(known, _)| known.as_ref() == algorithm).map(|(_, hash)| *hash);
    let old = || OLD.iter().any(|known| algorithm.starts_with(known)).then_some(CertificateHash::Sha256);
    Some(crypto::certificate_digest(known.or_else(old)?, certificate).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        rcgen::CertificateParams::new(["a.test".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (algorithm, length) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let binding = end_point(&made(algorithm));
            assert_eq!(binding.as_ref().map(Bytes::len), length);
        }
        let certificate = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&certificate).unwrap(), crypto::sha256(&certificate)[..]);
    }

    #[test]
    fn old_signatures_get_sha_256_and_nonsense_nothing() {
        // SEQUENCE { SEQUENCE {}, SEQUENCE { sha1WithRSAEncryption, NULL } }
        let old = b"\x30\x11\x30\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
        assert_eq!(end_point(old).unwrap(), crypto::sha256(old)[..]);
        let certificate = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        for end in 0..certificate.len() {
            assert_eq!(end_point(&certificate[..end]), None, "cut at {end}");
        }
        for nonsense in
            [&b"\x30"[..], b"\x30\x80\x30\x00", b"\x30\x84\xff\xff\xff\xff", b"\x31\x00", b"\x30\x02\x30\x05"]
        {
            assert_eq!(end_point(nonsense), None);
        }
    }
}
