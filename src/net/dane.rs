//! Certificates by DANE (RFC 7672 §3), for rustls: a verifier that takes the TLSA records of a host.
//!
//! Left out: the path length that a trust anchor's own certificate may set.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, anchor_from_trusted_cert};

use crate::auth::dane::Association;
use crate::auth::dane::certificate::Certificate;
use crate::base::crypto;

/// How many of the certificates that a server shows beside its own may be trust anchors. Chains have one to three.
const MAX_CHAIN: usize = 16;

/// Believes a server by the TLSA records of its name.
///
/// With DANE-EE(3) the server's certificate must be the one that is meant, whatever names and dates stand in it; with
/// DANE-TA(2) it must come from an authority that is meant, be valid now, and have one of the names. That the server has the
/// key is verified for either. Authorities of the system count for nothing.
///
/// [`Connector::by_records`](crate::net::tls::Connector::by_records) uses it; it is public for programs that have their own way
/// with rustls. Of records none of which is usable none is believed: whether to go without is for the caller to say.
///
/// ```
/// use std::sync::Arc;
/// use facteur::auth::dane::{Finding, Lookup};
/// use facteur::dns::{Zone, mx};
/// use facteur::net::dane::Verifier;
///
/// let zone: Zone = "
///     $SECURE        example.org
///     mx.example.org A 192.0.2.1
///     _25._tcp.mx.example.org TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
/// ".parse()?;
/// let domain = "mx.example.org".parse()?;
/// let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
/// let Finding::Records(found) = zone.ask(Lookup::new(&domain, &targets, &targets.hosts[0], 25)) else { panic!() };
/// let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
///     .with_safe_default_protocol_versions()?
///     .dangerous()
///     .with_custom_certificate_verifier(Arc::new(Verifier::new(found)))
///     .with_no_client_auth();
/// # drop(config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    association: Association,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// By these records.
    pub fn new(association: Association) -> Self {
        Self { association, algorithms: crypto::tls_provider().signature_verification_algorithms }
    }

    /// DANE-TA(2): a path to a trust anchor that the records mean, and one of the names (RFC 7672 §3.1.2, §3.2.2).
    fn verify_chain(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let records = &self.association.records;
        let given: Vec<_> = records.anchors().map(|der| CertificateDer::from(der.as_ref())).collect();
        let shown = others.iter().take(MAX_CHAIN).filter(|certificate| records.mean_anchor(certificate));
        // One that does not read cannot be an anchor.
        let anchors: Vec<_> = given.iter().chain(shown).filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
        if anchors.is_empty() {
            return Err(unknown());
        }
        let certificate = EndEntityCert::try_from(server).map_err(bad)?;
        let usage = KeyUsage::server_auth();
        certificate.verify_for_usage(self.algorithms.all, &anchors, others, now, usage, None, None).map_err(bad)?;
        // RFC 7672 §3.2.3: "The CN-ID is only considered when no DNS-IDs are present."
        let by_common_name = certificate.valid_dns_names().next().is_none();
        let common_name = Certificate::parse(server).filter(|_| by_common_name).and_then(|parts| parts.common_name());
        let fits = self.association.names.iter().any(|name| match common_name {
            Some(common_name) => is_for(common_name, name.as_str()),
            None => ServerName::try_from(name.as_str())
                .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok()),
        });
        if fits { Ok(()) } else { Err(CertificateError::NotValidForName.into()) }
    }
}

/// Whether a certificate's name is for a host. RFC 7672 §3.2.3: a star is "the entire first label", and stands for one; not for
/// all names of a top-level domain, with webpki, which looks at the other names.
fn is_for(presented: &str, name: &str) -> bool {
    match presented.strip_prefix("*.") {
        Some(below) if !below.contains('.') => false,
        Some(below) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(below)),
        None => presented.eq_ignore_ascii_case(name),
    }
}

/// No record means what the server shows.
fn unknown() -> Error {
    CertificateError::UnknownIssuer.into()
}

/// What rustls would say of it.
fn bad(error: webpki::Error) -> Error {
    use webpki::Error as Webpki;
    Error::InvalidCertificate(match error {
        Webpki::CertExpired { .. } => CertificateError::Expired,
        Webpki::CertNotValidYet { .. } => CertificateError::NotValidYet,
        Webpki::UnknownIssuer => CertificateError::UnknownIssuer,
        Webpki::BadDer | Webpki::BadDerTime | Webpki::TrailingData(_) => CertificateError::BadEncoding,
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    })
}

/// The key in a certificate, whatever else is in it.
fn key<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    let parts = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    Ok(SubjectPublicKeyInfoDer::from(parts.key))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.association.records.mean_server(server) {
            if !self.association.records.name_anchors() {
                return Err(unknown());
            }
            self.verify_chain(server, others, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // By the key alone, as rustls does for TLS 1.3 below: a certificate of version 1, say, is no less its owner's for it.
        let key = key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(bad)?;
        let known = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let (_, algorithms) = known.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let verifies =
            algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signature.signature()).is_ok());
        if verifies { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &key(certificate)?, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};

    use super::*;
    use crate::auth::dane::{Records, Tlsa};
    use crate::base::crypto::HashFunction;
    use crate::dns::Name;

    /// An authority, one below it, and a server's certificate.
    struct Chain {
        root: (Vec<u8>, Vec<u8>),
        middle: (Vec<u8>, Vec<u8>),
        server: (Vec<u8>, Vec<u8>),
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn chain(server: CertificateParams) -> Chain {
        let [root_key, middle_key, server_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
        let key = |key: &KeyPair| key.subject_public_key_info();
        let (root_spki, middle_spki, server_spki) = (key(&root_key), key(&middle_key), key(&server_key));
        let root_params = authority("root");
        let root = root_params.self_signed(&root_key).unwrap().der().to_vec();
        let root_issuer = Issuer::new(root_params, root_key);
        let middle_params = authority("middle");
        let middle = middle_params.signed_by(&middle_key, &root_issuer).unwrap().der().to_vec();
        let middle_issuer = Issuer::new(middle_params, middle_key);
        let server = server.signed_by(&server_key, &middle_issuer).unwrap().der().to_vec();
        Chain { root: (root, root_spki), middle: (middle, middle_spki), server: (server, server_spki) }
    }

    fn named(names: &[&str]) -> CertificateParams {
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn record(usage: u8, selector: u8, matching: u8, (certificate, key): &(Vec<u8>, Vec<u8>)) -> Tlsa {
        let selected = if selector == 0 { certificate } else { key };
        let data = match matching {
            0 => selected.clone(),
            1 => crypto::sha256(selected).to_vec(),
            _ => crypto::digest(HashFunction::Sha512, selected),
        };
        Tlsa::new(usage, selector, matching, data)
    }

    fn verify(records: impl IntoIterator<Item = Tlsa>, names: &[&str], chain: &[&Vec<u8>]) -> Result<(), Error> {
        let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
        let association = Association { records: Records::new(records), base: names[0].clone(), names };
        let certificates: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (server, others) = certificates.split_first().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
        let name = ServerName::try_from("other.test").unwrap();
        Verifier::new(association).verify_server_cert(server, others, &name, &[], now).map(|_| ())
    }

    #[test]
    fn each_kind_of_record_proves_its_server_and_no_other() {
        let (ours, others) = (chain(named(&["mx.test"])), chain(named(&["mx.test"])));
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                let record = |usage, of| [record(usage, selector, matching, of)];
                let case = format!("{selector} {matching}");
                let server = [&ours.server.0, &ours.middle.0, &ours.root.0];
                assert_eq!(verify(record(3, &ours.server), &["x.test"], &server), Ok(()), "3 {case}");
                assert_eq!(verify(record(3, &ours.server), &["x.test"], &server[..1]), Ok(()), "3 {case}");
                assert!(verify(record(3, &others.server), &["mx.test"], &server).is_err(), "3 {case}");
                // An authority is no server, and a server no authority.
                assert!(verify(record(3, &ours.middle), &["mx.test"], &server).is_err(), "3 {case}");
                assert!(verify(record(2, &ours.server), &["mx.test"], &server).is_err(), "2 {case}");
                assert_eq!(verify(record(2, &ours.root), &["mx.test"], &server), Ok(()), "2 {case}");
                assert_eq!(verify(record(2, &ours.middle), &["mx.test"], &server[..2]), Ok(()), "2 {case}");
                assert!(verify(record(2, &others.root), &["mx.test"], &server).is_err(), "2 {case}");
                // Shown, but not what the server's certificate comes from.
                let beside = [&ours.server.0, &ours.middle.0, &others.root.0];
                assert!(verify(record(2, &others.root), &["mx.test"], &beside).is_err(), "2 {case}");
                // Not shown: only a record that has it whole can do without.
                let kept_back = verify(record(2, &ours.root), &["mx.test"], &server[..2]);
                assert_eq!(kept_back.is_ok(), (selector, matching) == (0, 0), "2 {case}");
            }
        }
    }

    #[test]
    fn one_record_of_several_is_enough() {
        let (ours, others) = (chain(named(&["mx.test"])), chain(named(&["mx.test"])));
        let server = [&ours.server.0, &ours.middle.0];
        let next = record(3, 1, 1, &others.server);
        assert!(verify([next.clone(), record(3, 1, 1, &ours.server)], &["x.test"], &server).is_ok());
        assert!(verify([next.clone(), record(2, 0, 1, &ours.middle)], &["mx.test"], &server).is_ok());
        assert!(verify([next, record(0, 0, 1, &ours.middle)], &["mx.test"], &server).is_err());
        assert!(verify([], &["mx.test"], &server).is_err());
    }

    /// RFC 7672 §3.2.2, §3.2.3
    #[test]
    fn below_a_trust_anchor_the_name_counts() {
        let common = |name: &str, others: &[&str]| {
            let mut params = named(others);
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        for (params, names, fits) in [
            (named(&["mx.test"]), &["mx.test"][..], true),
            (named(&["d.test"]), &["mx.test", "d.test"], true),
            (named(&["mx.test"]), &["my.test"], false),
            (named(&["*.d.test"]), &["mx.d.test"], true),
            (named(&["*.d.test"]), &["a.mx.d.test"], false),
            (named(&["*.test"]), &["mx.test"], false),
            (named(&["*.mx.test"]), &["mx.test"], false),
            (common("mx.test", &[]), &["mx.test"], true),
            (common("*.d.test", &[]), &["MX.d.test"], true),
            (common("*.d.test", &[]), &["a.mx.d.test"], false),
            (common("*.test", &[]), &["mx.test"], false),
            (common("my.test", &[]), &["mx.test"], false),
            (common("mx.test", &["my.test"]), &["mx.test"], false),
        ] {
            let what = format!("{:?} {names:?}", params.subject_alt_names);
            let made = chain(params);
            let result = verify([record(2, 0, 1, &made.root)], names, &[&made.server.0, &made.middle.0, &made.root.0]);
            let expected = if fits { Ok(()) } else { Err(CertificateError::NotValidForName.into()) };
            assert_eq!(result, expected, "{what}");
        }
    }

    #[test]
    fn below_a_trust_anchor_dates_count_and_nowhere_else() {
        let mut params = named(&["mx.test"]);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let made = chain(params);
        let server = [&made.server.0, &made.middle.0, &made.root.0];
        assert!(verify([record(3, 1, 1, &made.server)], &["x.test"], &server).is_ok());
        let error = verify([record(2, 1, 1, &made.root)], &["mx.test"], &server).unwrap_err();
        assert_eq!(error, CertificateError::Expired.into());
    }
}
