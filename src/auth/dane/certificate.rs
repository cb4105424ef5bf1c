//! What DANE looks at in a certificate (RFC 5280 §4.1). Certificates that are otherwise wrong read as well, those of version 1
//! for instance: with DANE-EE(3) the key counts and nothing else.

use crate::base::der::{element, sequence};

const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
#[cfg(any(test, feature = "net"))]
const SET: u8 = 0x31;
/// `[0] EXPLICIT Version`
const VERSION: u8 = 0xa0;
/// `id-at-commonName`, 2.5.4.3
#[cfg(any(test, feature = "net"))]
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";

/// A certificate that was walked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// `SubjectPublicKeyInfo`, the whole element.
    pub(crate) key: &'a [u8],
    /// `Name` of the subject: what is in the sequence.
    subject: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }`
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let (certificate, b"") = sequence(der)? else { return None };
        let (signed, rest) = sequence(certificate)?;
        let (_, rest) = sequence(rest)?;
        let (BIT_STRING, _, b"") = element(rest)? else { return None };
        // TBSCertificate ::= SEQUENCE { [0] version, serialNumber, signature, issuer, validity, subject,
        // subjectPublicKeyInfo, ... }
        let rest = match element(signed)? {
            (VERSION, _, rest) => rest,
            _ => signed,
        };
        let (INTEGER, _, rest) = element(rest)? else { return None };
        let (_, rest) = sequence(rest)?;
        let (_, rest) = sequence(rest)?;
        let (_, rest) = sequence(rest)?;
        let (subject, rest) = sequence(rest)?;
        let (_, after) = sequence(rest)?;
        let key = rest.get(..rest.len() - after.len())?;
        is_key(key).then_some(Self { key, subject })
    }

    #[cfg(any(test, feature = "net"))]
    /// The last common name of the subject, which is the most specific (RFC 6125 §2.3.1).
    pub(crate) fn common_name(&self) -> Option<&'a str> {
        // Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value }
        let (mut names, mut found) = (self.subject, None);
        while let Some((SET, mut set, rest)) = element(names) {
            while let Some((attribute, others)) = sequence(set) {
                let value = attribute.strip_prefix(COMMON_NAME).and_then(element);
                found = value.map(|(_, value, _)| value).or(found);
                set = others;
            }
            names = rest;
        }
        std::str::from_utf8(found?).ok()
    }
}

/// `SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }`, and nothing behind it
pub(crate) fn is_key(der: &[u8]) -> bool {
    let parts = |der| {
        let (key, b"") = sequence(der)? else { return None };
        let (_, rest) = sequence(key)?;
        let (BIT_STRING, _, b"") = element(rest)? else { return None };
        Some(())
    };
    parts(der).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "not.me.test");
        for name in names {
            params.distinguished_name.push(rcgen::DnType::CommonName, *name);
        }
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        (certificate, rcgen::PublicKeyData::subject_public_key_info(&key))
    }

    #[test]
    fn the_key_and_the_name_are_found() {
        let (certificate, key) = made(&["a.test"]);
        let read = Certificate::parse(&certificate).unwrap();
        assert_eq!(read.key, key);
        assert_eq!(read.common_name(), Some("a.test"));
        let (certificate, _) = made(&[]);
        assert_eq!(Certificate::parse(&certificate).unwrap().common_name(), None);
    }

    #[test]
    fn certificates_of_version_1_read() {
        // SEQUENCE { SEQUENCE { serial, algorithm, issuer, validity, subject, key }, algorithm, signature }
        let key = b"\x30\x06\x30\x00\x03\x02\x00\x07";
        let signed = [&b"\x30\x13\x02\x01\x01\x30\x00\x30\x00\x30\x00\x30\x00"[..], key].concat();
        let certificate = [&b"\x30\x1a"[..], &signed, b"\x30\x00\x03\x01\x00"].concat();
        let read = Certificate::parse(&certificate).unwrap();
        assert_eq!((read.key, read.common_name()), (&key[..], None));
    }

    #[test]
    fn what_is_cut_off_is_no_certificate() {
        let (certificate, key) = made(&["a.test"]);
        for end in 0..certificate.len() {
            assert_eq!(Certificate::parse(&certificate[..end]), None, "cut at {end}");
        }
        assert_eq!(Certificate::parse(&[&certificate[..], b"\0"].concat()), None);
        assert!(is_key(&key) && !is_key(&certificate) && !is_key(&key[1..]));
    }
}
