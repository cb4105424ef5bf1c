//! DANE for mail between hosts (RFC 7672, over the TLSA records of RFC 6698 and RFC 7671): what the DNS itself, proved by
//! DNSSEC, says of the certificate of a mail host.
//!
//! [`Lookup`] finds the TLSA records that apply to one host; they come as [`Records`] or not at all, and a question without an
//! answer is never taken for "there are none": whoever stands between could bring that about. [`Records`] says which of them
//! are usable, and which certificates they mean. The chain from a certificate to a trust anchor is verified in
//! `net::dane`, where the means for it are.
//!
//! Left out: the usages 0 and 1, which RFC 7672 §3.1.3 has no use for (their records are unusable); the path length that a
//! trust anchor's own certificate may set.

pub(crate) mod certificate;
mod lookup;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::crypto::{self, HashFunction};
use crate::dns::{Data, Failure, Name};

pub use lookup::{Lookup, MAX_QUESTIONS};

/// `PKIX-TA(0)` and `PKIX-EE(1)` of RFC 7218 are not for mail.
const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;
/// Selectors: the certificate, or its public key.
const CERT: u8 = 0;
const SPKI: u8 = 1;
/// Matching types: the thing itself, or a hash of it.
const FULL: u8 = 0;
const SHA_256: u8 = 1;
const SHA_512: u8 = 2;

/// A TLSA record (RFC 6698 §2.1).
///
/// ```
/// use facteur::auth::dane::Tlsa;
///
/// let record = Tlsa::new(3, 1, 1, vec![0xab; 32]);
/// assert!(record.is_usable());
/// assert!(record.to_string().starts_with("3 1 1 abab"));
/// assert!(!Tlsa::new(3, 1, 1, vec![0xab; 31]).is_usable());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tlsa {
    /// Certificate usage (RFC 6698 §2.1.1).
    pub usage: u8,
    /// Selector (RFC 6698 §2.1.2).
    pub selector: u8,
    /// Matching type (RFC 6698 §2.1.3).
    pub matching: u8,
    /// The certificate, key or digest.
    pub data: Bytes,
}

/// What is found out of one mail host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// DANE says nothing of this host (RFC 7672 §2.2: "pre-DANE opportunistic TLS").
    None(Absence),
    /// There are records. Where none of them is usable, the host has still promised TLS.
    Records(Association),
    /// It could not be found out, so nothing may be sent to this host now (RFC 7672 §2.1.2).
    Unknown(Failure),
}

/// Why DANE says nothing of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Absence {
    /// Mail goes to an address, not to a name (RFC 7672 §2.2).
    #[error("an address has no TLSA records")]
    Literal,
    /// The MX records are not proved, and it is [asked](Redirection::Secure) that they be.
    #[error("the mx records are not signed")]
    InsecureMx,
    /// The addresses of the host are not proved, so it can have no records that are (RFC 7672 §2.2.2).
    #[error("the addresses of the host are not signed")]
    InsecureAddress,
    /// There are no TLSA records, or none that are proved.
    #[error("no signed TLSA records")]
    NoRecords,
}

/// Whether DANE is used with a host that is named by MX records which are not proved themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // they count or they do not
pub enum Redirection {
    /// It is: who can forge the MX records can name another host, and nobody can pass for the one that is named. RFC 7672
    /// §2.2.1 allows it, for the domains whose mail host is somebody else's and signed.
    #[default]
    Any,
    /// It is not.
    Secure,
}

/// The TLSA records of one host, and the names that go with them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Association {
    /// The records.
    pub records: Records,
    /// The TLSA base domain: what the server is asked for (SNI, RFC 7672 §8.1).
    pub base: Name,
    /// The names one of which a certificate must have that a trust anchor vouches for, the base domain first (RFC 7672
    /// §3.2.2).
    pub names: Vec<Name>,
}

/// The TLSA records of one name, all of one answer that was proved.
///
/// ```
/// use facteur::auth::dane::{Records, Tlsa};
///
/// let records = Records::new([Tlsa::new(3, 0, 1, vec![1; 32]), Tlsa::new(1, 0, 1, vec![2; 32])]);
/// assert_eq!(records.usable().count(), 1);
/// assert!(!records.mean_server(b"no certificate"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    all: Arc<[Tlsa]>,
    usable: Arc<[Tlsa]>,
}

impl Tlsa {
    /// A record.
    pub fn new(usage: u8, selector: u8, matching: u8, data: impl Into<Bytes>) -> Self {
        Self { usage, selector, matching, data: data.into() }
    }

    /// What a record of the DNS says, where it is of this type.
    pub fn of(data: &Data) -> Option<Self> {
        match data {
            Data::Tlsa { usage, selector, matching, data } => {
                Some(Self::new(*usage, *selector, *matching, data.clone()))
            }
            _ => None,
        }
    }

    /// Whether it can mean anything here (RFC 6698 §4.1): its numbers are known, and its data is what they say.
    pub fn is_usable(&self) -> bool {
        // RFC 7672 §3.1.3: clients "MAY treat such records as unusable", those of the usages 0 and 1.
        let known = matches!(self.usage, DANE_TA | DANE_EE) && matches!(self.selector, CERT | SPKI);
        known
            && match (self.matching, self.selector) {
                (SHA_256, _) => self.data.len() == 32,
                (SHA_512, _) => self.data.len() == 64,
                (FULL, CERT) => certificate::Certificate::parse(&self.data).is_some(),
                (FULL, _) => certificate::is_key(&self.data),
                _ => false,
            }
    }

    /// Whether it is of this certificate, in DER.
    fn matches(&self, certificate: &[u8]) -> bool {
        let selected = match self.selector {
            CERT => certificate,
            SPKI => match certificate::Certificate::parse(certificate) {
                Some(certificate) => certificate.key,
                None => return false,
            },
            _ => return false,
        };
        match self.matching {
            FULL => self.data == selected,
            SHA_256 => self.data[..] == crypto::sha256(selected),
            SHA_512 => self.data[..] == crypto::digest(HashFunction::Sha512, selected),
            _ => false,
        }
    }
}

impl Records {
    /// Records of one answer.
    pub fn new(records: impl IntoIterator<Item = Tlsa>) -> Self {
        let all: Arc<[Tlsa]> = records.into_iter().collect();
        let mut usable: Vec<Tlsa> = all.iter().filter(|record| record.is_usable()).cloned().collect();
        // RFC 7671 §9: of the records of one usage and selector those count that have the strongest hash, and those with none.
        let strong = usable.iter().filter(|record| record.matching == SHA_512);
        let strong: BTreeSet<_> = strong.map(|record| (record.usage, record.selector)).collect();
        usable.retain(|record| record.matching != SHA_256 || !strong.contains(&(record.usage, record.selector)));
        Self { all, usable: usable.into() }
    }

    /// All of them.
    pub fn all(&self) -> &[Tlsa] {
        &self.all
    }

    /// Those that count: usable, and not beside others of a stronger hash (RFC 7671 §9).
    pub fn usable(&self) -> impl Iterator<Item = &Tlsa> {
        self.usable.iter()
    }

    /// Whether none of them is usable: the host has promised TLS, and nothing of its certificate (RFC 7672 §2.2).
    pub fn are_unusable(&self) -> bool {
        self.usable.is_empty()
    }

    /// Whether a record of usage DANE-EE(3) means this certificate, in DER: then it is the server's, whatever names and dates
    /// stand in it (RFC 7672 §3.1.1, §3.2.1).
    pub fn mean_server(&self, certificate: &[u8]) -> bool {
        self.usable().filter(|record| record.usage == DANE_EE).any(|record| record.matches(certificate))
    }

    /// Whether a record of usage DANE-TA(2) means this certificate, in DER, of those that the server shows beside its own: then
    /// it is a trust anchor (RFC 7672 §3.1.2).
    pub fn mean_anchor(&self, certificate: &[u8]) -> bool {
        self.anchoring().any(|record| record.matches(certificate))
    }

    /// Whether there are usable records of usage DANE-TA(2).
    pub fn name_anchors(&self) -> bool {
        self.anchoring().next().is_some()
    }

    /// The trust anchors that are in the records themselves, in DER; the server need not show them.
    pub fn anchors(&self) -> impl Iterator<Item = &Bytes> {
        self.anchoring().filter(|record| (record.selector, record.matching) == (CERT, FULL)).map(|record| &record.data)
    }

    fn anchoring(&self) -> impl Iterator<Item = &Tlsa> {
        self.usable().filter(|record| record.usage == DANE_TA)
    }
}

impl fmt::Display for Tlsa {
    /// As zone files have it (RFC 6698 §2.2), and reports (RFC 8460 §4.4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (Vec<u8>, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        let key = rcgen::PublicKeyData::subject_public_key_info(&made.signing_key);
        (made.cert.der().to_vec(), key)
    }

    fn hashed(matching: u8, octets: &[u8]) -> Vec<u8> {
        match matching {
            FULL => octets.to_vec(),
            SHA_256 => crypto::sha256(octets).to_vec(),
            _ => crypto::digest(HashFunction::Sha512, octets),
        }
    }

    #[test]
    fn each_selector_and_matching_type_finds_its_certificate() {
        let ((certificate, key), (other, other_key)) = (made(), made());
        for usage in [DANE_TA, DANE_EE] {
            for selector in [CERT, SPKI] {
                for matching in [FULL, SHA_256, SHA_512] {
                    let means = |of: &[u8], of_key: &[u8]| {
                        let data = hashed(matching, if selector == CERT { of } else { of_key });
                        let records = Records::new([Tlsa::new(usage, selector, matching, data)]);
                        (records.mean_server(&certificate), records.mean_anchor(&certificate))
                    };
                    let case = (usage, selector, matching);
                    assert_eq!(means(&certificate, &key), (usage == DANE_EE, usage == DANE_TA), "{case:?}");
                    assert_eq!(means(&other, &other_key), (false, false), "{case:?}");
                }
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_unusable() {
        let (certificate, key) = made();
        for (usage, selector, matching, data, usable) in [
            (3, 1, 1, vec![0; 32], true),
            (2, 0, 2, vec![0; 64], true),
            (3, 0, 0, certificate.clone(), true),
            (2, 1, 0, key.clone(), true),
            (3, 1, 0, certificate.clone(), false),
            (3, 0, 0, key.clone(), false),
            (3, 0, 0, certificate[..certificate.len() - 1].to_vec(), false),
            (3, 0, 0, Vec::new(), false),
            (0, 0, 1, vec![0; 32], false),
            (1, 1, 1, vec![0; 32], false),
            (4, 1, 1, vec![0; 32], false),
            (255, 1, 1, vec![0; 32], false),
            (3, 2, 1, vec![0; 32], false),
            (3, 1, 3, vec![0; 32], false),
            (3, 1, 1, vec![0; 64], false),
            (3, 1, 2, vec![0; 32], false),
        ] {
            let record = Tlsa::new(usage, selector, matching, data);
            assert_eq!(record.is_usable(), usable, "{record}");
            assert_eq!(Records::new([record.clone()]).are_unusable(), !usable, "{record}");
        }
    }

    /// RFC 7671 §9
    #[test]
    fn a_weaker_hash_counts_for_nothing_beside_a_stronger_one() {
        let ((certificate, key), (other, other_key)) = (made(), made());
        let sha_256 = Tlsa::new(3, 1, 1, hashed(1, &key));
        let (good, bad) = (hashed(2, &key), hashed(2, &other_key));
        for (beside, expected) in [
            (Tlsa::new(3, 1, 2, good), true),
            (Tlsa::new(3, 1, 2, bad.clone()), false),
            // Another usage, another selector, and one that is none are no measure.
            (Tlsa::new(2, 1, 2, bad.clone()), true),
            (Tlsa::new(3, 0, 2, hashed(2, &other)), true),
            (Tlsa::new(3, 1, 2, bad[..63].to_vec()), true),
            (Tlsa::new(3, 1, 0, other_key.clone()), true),
        ] {
            let records = Records::new([sha_256.clone(), beside.clone()]);
            assert_eq!(records.mean_server(&certificate), expected, "{beside}");
        }
        let full = Tlsa::new(3, 1, 0, key);
        assert!(Records::new([full, Tlsa::new(3, 1, 2, bad)]).mean_server(&certificate));
    }
}
