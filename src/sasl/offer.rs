//! What a server offers, and what it must bring for it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Channel, Hash, Mechanism, ServerExchange, Verifier};
use crate::base::crypto;
use crate::base::{Secret, Tls};

/// The mechanisms that a server offers, and what they take.
///
/// ```
/// use facteur::sasl::{Hash, Mechanism, Offer};
///
/// let mut offer = Offer::default();
/// offer.mechanisms.insert(0, Mechanism::External);
/// let names: Vec<_> = offer.usable(None).map(Mechanism::name).collect();
/// assert_eq!(names, ["SCRAM-SHA-256", "PLAIN", "LOGIN"], "no certificate, and nothing to bind to");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Offer {
    /// The mechanisms, announced in this order. Default SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN and LOGIN: an application
    /// that offers SCRAM must be able to answer [`Question::Keys`](super::Question::Keys).
    pub mechanisms: Vec<Mechanism>,
    /// The realm of DIGEST-MD5, and what stands after the `@` in the challenge of CRAM-MD5. Default the server's own name.
    pub realm: Option<String>,
    /// From this the salts are made that users get who do not exist, so that asking for a salt does not tell who does
    /// (RFC 5802 §9 wants no such hint). Default random; to keep them over restarts, as true salts are kept, pass a secret
    /// that is kept.
    pub decoys: Secret,
    /// How many iterations those users get. Default [`Verifier::ITERATIONS`]; should be what most users have.
    pub decoy_iterations: NonZeroU32,
    /// Where nonces come from. Default [`Nonces::random`].
    pub nonces: Nonces,
    /// Whether a user may ask to act as another. Default [`Proxying::Refused`].
    pub proxying: Proxying,
    /// The scope that OAUTHBEARER tells a client whose token was refused (RFC 7628 §3.2.2). Default none.
    pub oauth_scope: Option<String>,
    /// The URL with the OpenID provider's configuration that OAUTHBEARER tells it. Default none.
    pub openid_configuration: Option<String>,
}

/// Whether a user may ask to act as another, by an authorization identity that differs from the authentication identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // no and perhaps
pub enum Proxying {
    /// No: the exchange fails, and the application is not asked.
    #[default]
    Refused,
    /// The application judges it: it must look at [`Identity::authzid`](super::Identity::authzid).
    Judged,
}

/// Where nonces come from: a secret seed and a count that all clones share, so that no two are the same and none can be
/// foretold.
///
/// ```
/// use facteur::sasl::Nonces;
///
/// let nonces = Nonces::random();
/// # drop(nonces);
/// ```
#[derive(Clone, Debug)]
pub struct Nonces(Source);

#[derive(Clone, Debug)]
enum Source {
    Seeded { seed: Secret, count: Arc<AtomicU64> },
    Always(String),
}

impl Offer {
    /// Only these mechanisms, the rest by default.
    pub fn new(mechanisms: impl IntoIterator<Item = Mechanism>) -> Self {
        Self {
            mechanisms: mechanisms.into_iter().collect(),
            realm: None,
            decoys: Secret::random(32),
            decoy_iterations: Verifier::ITERATIONS,
            nonces: Nonces::random(),
            proxying: Proxying::Refused,
            oauth_scope: None,
            openid_configuration: None,
        }
    }

    /// Whether nothing is offered at all.
    pub fn is_empty(&self) -> bool {
        self.mechanisms.is_empty()
    }

    /// Those that can be used over such a session: EXTERNAL only where the client has shown a certificate, `-PLUS` only where
    /// there is something to bind to. Whether passwords may be said is for the protocol to decide.
    pub fn usable(&self, tls: Option<&Tls>) -> impl Iterator<Item = Mechanism> {
        let certified = tls.is_some_and(|tls| !tls.peer_certificates.is_empty());
        let can_bind = tls.is_some_and(|tls| tls.exporter.is_some() || tls.end_point.is_some());
        self.mechanisms.iter().copied().filter(move |mechanism| match mechanism {
            Mechanism::External => certified,
            Mechanism::ScramPlus(_) => can_bind,
            _ => true,
        })
    }

    /// The usable mechanism of that name, in any case of letters.
    pub fn find(&self, name: &str, tls: Option<&Tls>) -> Option<Mechanism> {
        self.usable(tls).find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// An exchange that has not begun.
    pub fn begin(&self, mechanism: Mechanism, channel: &Channel) -> ServerExchange {
        ServerExchange::new(mechanism, self, channel)
    }

    /// The timestamp of APOP (RFC 1939 §7).
    pub(crate) fn timestamp(&self) -> String {
        self.message_id("localhost")
    }

    /// `<nonce@host>`, as RFC 2195 §2 and RFC 1939 §7 want their challenges.
    pub(super) fn message_id(&self, host: &str) -> String {
        format!("<{}@{}>", self.nonces.next(), self.realm.as_deref().unwrap_or(host))
    }

    /// What a user gets who does not exist: keys that no password fits, with a salt that is the same each time.
    pub fn decoy(&self, hash: Hash, user: &str) -> Verifier {
        Decoys { secret: self.decoys.clone(), iterations: self.decoy_iterations }.make(hash, user)
    }
}

/// What decoys are made of.
#[derive(Debug)]
pub(super) struct Decoys {
    pub(super) secret: Secret,
    pub(super) iterations: NonZeroU32,
}

impl Decoys {
    pub(super) fn make(&self, hash: Hash, user: &str) -> Verifier {
        let made = |what: &str| {
            let text = [what.as_bytes(), b"\0", Mechanism::Scram(hash).name().as_bytes(), b"\0", user.as_bytes()];
            crypto::hmac(Hash::Sha512, self.secret.expose(), &text.concat())
        };
        Verifier::decoy_of(hash, &made("salt"), &made("key"), self.iterations)
    }
}

impl Default for Offer {
    fn default() -> Self {
        let hash = Hash::Sha256;
        Self::new([Mechanism::ScramPlus(hash), Mechanism::Scram(hash), Mechanism::Plain, Mechanism::Login])
    }
}

impl Nonces {
    /// From a seed of the operating system.
    pub fn random() -> Self {
        Self::seeded(Secret::random(32))
    }

    /// From this seed, which must never be used twice: whoever has recorded an exchange could replay it.
    pub fn seeded(seed: Secret) -> Self {
        Self(Source::Seeded { seed, count: Arc::default() })
    }

    /// The same one each time, for tests: printable ASCII, no comma.
    pub fn always(nonce: impl Into<String>) -> Self {
        Self(Source::Always(nonce.into()))
    }

    /// 24 characters of base64: 144 bits.
    pub(super) fn next(&self) -> String {
        match &self.0 {
            Source::Seeded { seed, count } => {
                let count = count.fetch_add(1, Ordering::Relaxed);
                let octets = crypto::hmac(Hash::Sha256, seed.expose(), &count.to_be_bytes());
                BASE64_STANDARD.encode(octets.get(..18).unwrap_or_default())
            }
            Source::Always(nonce) => nonce.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_count_and_no_nonce_comes_twice() {
        let nonces = Nonces::seeded("seed".into());
        let all = [nonces.next(), nonces.clone().next(), nonces.next(), Nonces::random().next()];
        for (at, nonce) in all.iter().enumerate() {
            assert_eq!(nonce.len(), 24);
            assert!(!nonce.contains([',', '=']));
            assert!(!all[..at].contains(nonce));
        }
        assert_eq!(Nonces::seeded("seed".into()).next(), all[0]);
    }

    #[test]
    fn who_does_not_exist_always_gets_the_same_salt() {
        let mut offer = Offer::default();
        let salt = |offer: &Offer, hash, user| offer.decoy(hash, user).salt().to_vec();
        let first = salt(&offer, Hash::Sha256, "nobody");
        assert_eq!(first.len(), Verifier::generate(&"x".into()).salt().len());
        assert_eq!(salt(&offer, Hash::Sha256, "nobody"), first);
        assert_ne!(salt(&offer, Hash::Sha256, "another"), first);
        assert_ne!(salt(&offer, Hash::Sha1, "nobody"), first);
        offer.decoys = Secret::random(32);
        assert_ne!(salt(&offer, Hash::Sha256, "nobody"), first);
    }

    #[test]
    fn what_can_be_used_depends_on_the_session() {
        let offer = Offer::new([Mechanism::External, Mechanism::ScramPlus(Hash::Sha1), Mechanism::Anonymous]);
        let names = |tls: Option<&Tls>| offer.usable(tls).map(Mechanism::name).collect::<Vec<_>>();
        let mut tls = Tls::default();
        assert_eq!(names(None), ["ANONYMOUS"]);
        assert_eq!(names(Some(&tls)), ["ANONYMOUS"]);
        tls.end_point = Some("hash".into());
        assert_eq!(names(Some(&tls)), ["SCRAM-SHA-1-PLUS", "ANONYMOUS"]);
        tls.peer_certificates = vec!["certificate".into()];
        assert_eq!(names(Some(&tls)), ["EXTERNAL", "SCRAM-SHA-1-PLUS", "ANONYMOUS"]);
        assert_eq!(offer.find("scram-sha-1-plus", Some(&tls)), Some(Mechanism::ScramPlus(Hash::Sha1)));
        assert_eq!(offer.find("PLAIN", Some(&tls)), None);
    }
}
