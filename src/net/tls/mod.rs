//! TLS (RFC 8446, and 1.2) for machines: who a server is, whom a client believes, and what is told of a session.
//!
//! Over rustls. There is no ALPN (the mail protocols have no use for it) and no early data (a replay would submit a
//! message twice).

mod stream;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, InconsistentKeys, RootCertStore, ServerConfig, SignatureScheme};

use crate::auth::dane::Association;
use crate::base::{Secret, crypto};
use crate::net::dane::Verifier;

pub(super) use stream::Stream;

/// Where systems keep the authorities that they trust, as one PEM file.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // Alpine, macOS, the BSDs
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// The server's side: its certificate, which can be exchanged while it runs, and whether it asks clients for theirs.
///
/// Cheap to clone; all clones show the same certificate.
///
/// ```
/// use facteur::base::Secret;
/// use facteur::net::tls::Acceptor;
///
/// let made = rcgen::generate_simple_self_signed(["mx.example.net".to_owned()]).unwrap();
/// let (chain, key) = (made.cert.pem(), Secret::from(made.signing_key.serialize_pem()));
/// let acceptor = Acceptor::from_pem(chain.as_bytes(), &key)?;
/// // later, when the files have changed:
/// acceptor.reload(chain.as_bytes(), &key)?;
/// # Ok::<(), facteur::net::tls::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Acceptor {
    identity: Arc<Identity>,
    config: Arc<ServerConfig>,
}

/// Whether a client must show a certificate that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // it must or it need not
pub enum Demand {
    /// It may; one that it shows must be good.
    Optional,
    /// It must, or there is no handshake.
    Required,
}

/// The client's side: whom it believes, and the certificate it shows where it is asked.
///
/// Cheap to clone.
///
/// ```
/// use facteur::net::tls::{Connector, Error};
///
/// let opportunistic = Connector::unverified();
/// let side = opportunistic.to("mx.example.net")?;
/// assert!(matches!(opportunistic.to("not a name"), Err(Error::BadName)));
/// # drop(side);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    believes: Believes,
    config: Arc<ClientConfig>,
}

/// Which side of a handshake a driver takes, and with what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Side {
    /// The server's.
    Accept(Acceptor),
    /// The client's, with the name that the server must prove to have.
    Connect(Connector, ServerName<'static>),
}

/// What is wrong with certificates, keys and names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// PEM text (RFC 7468) that does not read.
    #[error("{0} is not valid PEM")]
    BadPem(&'static str),
    /// PEM text without what was looked for.
    #[error("no {0} in the PEM text")]
    Missing(&'static str),
    /// The private key belongs to another certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The private key is of a kind that cannot sign here.
    #[error("the private key cannot be used: {0}")]
    BadKey(#[source] rustls::Error),
    /// A certificate that does not read, or cannot be an authority.
    #[error("a certificate cannot be used: {0}")]
    BadCertificate(#[source] rustls::Error),
    /// Neither a host name nor an IP address.
    #[error("not a host name or an IP address")]
    BadName,
    /// The system's list of authorities was not found or not readable.
    #[error("no list of authorities on this system: {0}")]
    NoSystemRoots(#[source] io::Error),
}

impl Acceptor {
    /// A server with this certificate (its own first, then those between it and the authority) and this private key
    /// (PKCS #8, PKCS #1 or SEC 1), all as PEM. Clients are not asked for theirs.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn from_pem(chain: &[u8], key: &Secret) -> Result<Self, Error> {
        let identity = Arc::new(Identity(RwLock::new(certified_key(chain, key)?)));
        let config = server_config(Arc::clone(&identity), Arc::new(NoClientAuth));
        Ok(Self { identity, config })
    }

    /// The same server asking each client for a certificate of one of these authorities (PEM).
    ///
    /// # Errors
    /// Where there is no authority in `roots`.
    pub fn asking_clients(self, roots: &[u8], demand: Demand) -> Result<Self, Error> {
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(roots)?), crypto::tls_provider());
        let verifier = match demand {
            Demand::Optional => builder.allow_unauthenticated(),
            Demand::Required => builder,
        }
        .build()
        .map_err(|_| Error::Missing("certificate of an authority"))?;
        let config = server_config(Arc::clone(&self.identity), verifier);
        Ok(Self { identity: self.identity, config })
    }

    /// Shows another certificate from the next handshake on, in all clones. Sessions that run go on.
    ///
    /// # Errors
    /// What is wrong with it; the old one is then still shown.
    pub fn reload(&self, chain: &[u8], key: &Secret) -> Result<(), Error> {
        let fresh = certified_key(chain, key)?;
        *self.identity.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl Connector {
    /// A client that believes servers whose certificate comes from one of these authorities (PEM).
    ///
    /// # Errors
    /// Where there is no authority in `roots`.
    pub fn with_roots(roots: &[u8]) -> Result<Self, Error> {
        let roots = Arc::new(authorities(roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, crypto::tls_provider())
            .build()
            .map_err(|_| Error::Missing("certificate of an authority"))?;
        let believes = Believes::Roots(verifier);
        Ok(Self { config: Arc::new(believes.config().with_no_client_auth()), believes })
    }

    /// A client that believes the authorities of this system: the file named by `SSL_CERT_FILE`, or else the first of
    /// the usual bundles that exists. On a system that has none (Windows) pass them to
    /// [`with_roots`](Self::with_roots).
    ///
    /// # Errors
    /// [`Error::NoSystemRoots`] where there is no such file, or it does not read.
    pub fn system() -> Result<Self, Error> {
        let file = match std::env::var_os("SSL_CERT_FILE") {
            Some(file) => Some(file),
            None => BUNDLES.iter().find(|file| Path::new(file).is_file()).map(Into::into),
        };
        let file = file.ok_or_else(|| Error::NoSystemRoots(io::ErrorKind::NotFound.into()))?;
        Self::with_roots(&std::fs::read(file).map_err(Error::NoSystemRoots)?)
    }

    /// A client that believes everyone: the opportunistic TLS of mail between hosts (RFC 7435), which keeps out who
    /// only listens, and not who stands between.
    pub fn unverified() -> Self {
        let believes = Believes::Everyone;
        Self { config: Arc::new(believes.config().with_no_client_auth()), believes }
    }

    /// The same client, believing a server by its TLSA records (RFC 7672 §3.2) and nobody else.
    pub fn by_records(&self, association: Association) -> Self {
        self.believing(Believes::Records(Arc::new(Verifier::new(association))))
    }

    /// The same client, believing whom `other` believes.
    pub fn as_believing(&self, other: &Self) -> Self {
        self.believing(other.believes.clone())
    }

    fn believing(&self, believes: Believes) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.dangerous().set_certificate_verifier(believes.verifier());
        // A session that others have believed in must not be taken up again here.
        config.resumption = Resumption::default();
        Self { config: Arc::new(config), believes }
    }

    /// The same client with a certificate of its own to show where it is asked.
    ///
    /// # Errors
    /// What is wrong with the chain or the key.
    pub fn with_identity(self, chain: &[u8], key: &Secret) -> Result<Self, Error> {
        let builder = self.believes.config();
        let identity = Identity(RwLock::new(certified_key(chain, key)?));
        Ok(Self { config: Arc::new(builder.with_client_cert_resolver(Arc::new(identity))), believes: self.believes })
    }

    /// This client towards the host `name`, a host name in A-label form or an IP address: what the certificate must
    /// name, unless everyone is believed, and what the server is asked for (SNI).
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub fn to(&self, name: &str) -> Result<Side, Error> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = ServerName::try_from(name).map_err(|_| Error::BadName)?.to_owned();
        Ok(Side::Connect(self.clone(), name))
    }
}

impl Connector {
    /// Whether this chain, a server's own certificate first, proves this name to whom it believes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, chain: &[Bytes], name: &str) -> Result<(), rustls::Error> {
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
        let (server, others) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let name = ServerName::try_from(name).map_err(|_| rustls::CertificateError::NotValidForName)?;
        self.believes.verifier().verify_server_cert(server, others, &name, &[], UnixTime::now()).map(|_| ())
    }

    /// Whether servers have to prove their names.
    pub(super) fn verifies(&self) -> bool {
        !matches!(self.believes, Believes::Everyone)
    }
}

impl From<Acceptor> for Side {
    fn from(acceptor: Acceptor) -> Self {
        Self::Accept(acceptor)
    }
}

fn certified_key(chain: &[u8], key: &Secret) -> Result<Arc<CertifiedKey>, Error> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => Error::Missing("private key"),
        _ => Error::BadPem("the private key"),
    })?;
    let key = crypto::tls_provider().key_provider.load_private_key(key).map_err(Error::BadKey)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Some keys do not tell their public half; the handshake will.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Error::KeyMismatch),
        Err(error) => Err(Error::BadCertificate(error)),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| Error::BadPem("the certificate"))?;
    if chain.is_empty() { Err(Error::Missing("certificate")) } else { Ok(chain) }
}

/// Systems ship an odd authority now and then that does not read; one is as good as none, but not all of them.
fn authorities(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let mut fault = None;
    for certificate in certificates(pem)? {
        fault = roots.add(certificate).err().or(fault);
    }
    match fault {
        Some(fault) if roots.is_empty() => Err(Error::BadCertificate(fault)),
        _ => Ok(roots),
    }
}

fn server_config(
    identity: Arc<Identity>,
    clients: Arc<dyn rustls::server::danger::ClientCertVerifier>,
) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(crypto::tls_provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for the default versions") // it is ours, and has
        .with_client_cert_verifier(clients)
        .with_cert_resolver(identity);
    Arc::new(config)
}

/// The certificate that is shown now.
#[derive(Debug)]
struct Identity(RwLock<Arc<CertifiedKey>>);

impl Identity {
    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl rustls::client::ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Clone, Debug)]
enum Believes {
    Roots(Arc<WebPkiServerVerifier>),
    Records(Arc<Verifier>),
    Everyone,
}

impl Believes {
    fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        match self {
            Self::Roots(verifier) => Arc::<WebPkiServerVerifier>::clone(verifier),
            Self::Records(verifier) => Arc::<Verifier>::clone(verifier),
            Self::Everyone => Arc::new(Unverified),
        }
    }

    fn config(&self) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        ClientConfig::builder_with_provider(crypto::tls_provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for the default versions") // it is ours, and has
            .dangerous()
            .with_custom_certificate_verifier(self.verifier())
    }
}

/// Accepts every certificate. Its signature over the handshake is not looked at either: whoever stands between could
/// sign with a certificate of its own, and a certificate too odd to be read is no reason to send in the clear.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto::tls_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> (String, Secret) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), Secret::from(made.signing_key.serialize_pem()))
    }

    #[test]
    fn what_is_wrong_with_an_identity_is_told() {
        let (chain, key) = made("a.test");
        let (_, other) = made("a.test");
        let key_pem = String::from_utf8(key.expose().to_vec()).unwrap();
        let torn = chain.replacen("-----END", "?????END", 1);
        let no_base64 = key_pem.replacen('\n', "\n!!!!", 1);
        for (chain, key, expected) in [
            (chain.as_str(), other, "the private key does not belong to the certificate"),
            ("", key.clone(), "no certificate in the PEM text"),
            (&key_pem, key.clone(), "no certificate in the PEM text"),
            (&torn, key.clone(), "the certificate is not valid PEM"),
            (&chain, Secret::from(chain.as_str()), "no private key in the PEM text"),
            (&chain, Secret::from(""), "no private key in the PEM text"),
            (&chain, Secret::from(no_base64), "the private key is not valid PEM"),
        ] {
            let error = Acceptor::from_pem(chain.as_bytes(), &key).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        }
        let garbled = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let error = Acceptor::from_pem(chain.as_bytes(), &Secret::from(garbled)).unwrap_err();
        assert!(matches!(error, Error::BadKey(_)), "{error}");
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Acceptor::from_pem(garbled.as_bytes(), &key), Err(Error::BadCertificate(_))));
        assert!(matches!(Connector::with_roots(garbled.as_bytes()), Err(Error::BadCertificate(_))));
        assert!(matches!(Connector::with_roots(b""), Err(Error::Missing(_))));
    }

    #[test]
    fn a_bad_reload_keeps_the_old_certificate() {
        let (chain, key) = made("a.test");
        let acceptor = Acceptor::from_pem(chain.as_bytes(), &key).unwrap();
        let before = acceptor.identity.current();
        assert!(acceptor.reload(b"nothing", &key).is_err());
        assert!(Arc::ptr_eq(&before, &acceptor.identity.current()));
        let (chain, key) = made("b.test");
        acceptor.clone().reload(chain.as_bytes(), &key).unwrap();
        assert!(!Arc::ptr_eq(&before, &acceptor.identity.current()));
    }

    #[test]
    fn a_final_dot_is_no_part_of_a_server_name() {
        let connector = Connector::unverified();
        for (name, expected) in
            [("mx.test.", Some("mx.test")), ("192.0.2.1", Some("192.0.2.1")), ("a b", None), ("", None)]
        {
            let found = match connector.to(name) {
                Ok(Side::Connect(_, name)) => Some(name.to_str().into_owned()),
                _ => None,
            };
            assert_eq!(found.as_deref(), expected);
        }
    }
}
