//! The key of a selector, as the DNS keeps it (RFC 6376 §3.6.1, RFC 8463 §4).

use std::fmt;

use super::{Algorithm, Problem, Service};
use crate::auth::tags::{Tags, base64};
use crate::base::crypto::PublicKey;

/// How long a record may be: a key of 8192 bits takes 1,400 characters.
pub const MAX_RECORD: usize = 16 * 1024;

/// A key record, its key parsed.
///
/// ```
/// use facteur::auth::dkim::{Problem, Record};
///
/// let record = Record::parse(b"v=DKIM1; k=ed25519; t=y; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")?;
/// assert!(record.testing);
/// assert_eq!(record.bits(), 256);
/// assert_eq!(Record::parse(b"v=DKIM1; p=").unwrap_err(), Problem::Revoked);
/// # Ok::<(), Problem>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Record {
    /// `h=`: SHA-1 may be used. What else is named is unknown here.
    pub sha1: bool,
    /// `h=`: SHA-256 may be used.
    pub sha256: bool,
    /// `n=`: a note for people.
    pub notes: Option<String>,
    /// `t=y`: "This domain is testing DKIM. Verifiers MUST NOT treat messages from Signers in testing mode differently
    /// from unsigned email".
    pub testing: bool,
    /// `t=s`: the domain of `i=` must be that of `d=` itself.
    pub strict: bool,
    /// `s=` names TLS reports (RFC 8460 §3), and not mail.
    pub only_tls_reports: bool,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Rsa(PublicKey),
    Ed25519(PublicKey),
}

impl Record {
    /// Reads a record of a key for mail.
    ///
    /// # Errors
    /// What is wrong with it (RFC 6376 §6.1.2).
    pub fn parse(text: &[u8]) -> Result<Self, Problem> {
        let record = Self::of_any_service(text)?;
        record.serves(Service::Mail).map(|()| record)
    }

    /// Reads a record of a key for mail, or for TLS reports.
    pub(super) fn of_any_service(text: &[u8]) -> Result<Self, Problem> {
        if text.len() > MAX_RECORD {
            return Err(Problem::RecordTooLong);
        }
        let tags = Tags::parse(text).map_err(Problem::RecordSyntax)?;
        // RFC 6376 §3.6.1: v= "MUST be the first tag in the record" where it is there.
        if let Some(version) = tags.get("v")
            && (version != b"DKIM1" || tags.iter().next().is_none_or(|(name, _)| name != b"v"))
        {
            return Err(Problem::RecordVersion);
        }
        let list = |name| tags.get(name).map(|value| value.split(|octet| *octet == b':').map(<[u8]>::trim_ascii));
        let hash = |wanted: &[u8]| list("h").is_none_or(|mut names| names.any(|name| name == wanted));
        // "s=": for which services; "*" or "email" for mail.
        let serves = |wanted: [&[u8]; 2]| list("s").is_none_or(|mut names| names.any(|name| wanted.contains(&name)));
        let only_tls_reports = !serves([b"*", b"email"]);
        if only_tls_reports && !serves([b"tlsrpt", b"tlsrpt"]) {
            return Err(Problem::OtherService);
        }
        let flag = |wanted: &[u8]| list("t").is_some_and(|mut flags| flags.any(|flag| flag == wanted));
        let value = tags.get("p").ok_or(Problem::RecordKey)?;
        // "An empty value means that this public key has been revoked."
        if value.is_empty() {
            return Err(Problem::Revoked);
        }
        let octets = base64(value).ok_or(Problem::RecordKey)?;
        let key = match tags.get("k").unwrap_or(b"rsa") {
            b"rsa" => PublicKey::rsa_sha256(&octets).map(Key::Rsa).map_err(|bits| match bits {
                Some(bits) => Problem::KeySize(bits),
                None => Problem::RecordKey,
            })?,
            b"ed25519" => Key::Ed25519(PublicKey::ed25519(&octets).ok_or(Problem::RecordKey)?),
            _ => return Err(Problem::KeyType),
        };
        Ok(Self {
            sha1: hash(b"sha1"),
            sha256: hash(b"sha256"),
            notes: tags.get("n").map(|notes| String::from_utf8_lossy(notes).into_owned()),
            testing: flag(b"y"),
            strict: flag(b"s"),
            only_tls_reports,
            key,
        })
    }

    /// How large the key is, in bits.
    pub fn bits(&self) -> usize {
        match &self.key {
            Key::Rsa(key) | Key::Ed25519(key) => key.bits(),
        }
    }

    /// Whether the key is for such messages.
    pub(in crate::auth) fn serves(&self, service: Service) -> Result<(), Problem> {
        let fits = !self.only_tls_reports || service == Service::TlsReports;
        if fits { Ok(()) } else { Err(Problem::OtherService) }
    }

    /// Whether a signature may be of this algorithm and this key.
    pub(in crate::auth) fn fits(&self, algorithm: Algorithm) -> Result<(), Problem> {
        match (algorithm, &self.key) {
            (Algorithm::RsaSha256, Key::Rsa(_)) | (Algorithm::Ed25519Sha256, Key::Ed25519(_)) if self.sha256 => Ok(()),
            (Algorithm::RsaSha256, Key::Rsa(_)) | (Algorithm::Ed25519Sha256, Key::Ed25519(_)) => {
                Err(Problem::HashNotAllowed)
            }
            // RFC 8301 §3.1: SHA-1 is not even tried.
            (Algorithm::RsaSha1, _) => Err(Problem::Sha1),
            _ => Err(Problem::KeyMismatch),
        }
    }

    /// Whether `signature` is of `text`, the canonical header.
    pub(in crate::auth) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(key) => key.verify(text, signature),
            // RFC 8463 §3: the signature is of the hash.
            Key::Ed25519(key) => key.verify(&crate::base::crypto::sha256(text), signature),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("bits", &self.bits()).field("testing", &self.testing).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8463 §A.2.
    const ED25519: &str = "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn what_is_wrong_is_named() {
        for (text, problem) in [
            ("v=DKIM2; p=AAAA", Problem::RecordVersion),
            ("k=rsa; v=DKIM1; p=AAAA", Problem::RecordVersion),
            ("v=DKIM1", Problem::RecordKey),
            ("v=DKIM1; p= ", Problem::Revoked),
            ("v=DKIM1; p=AAAA", Problem::RecordKey),
            ("v=DKIM1; k=ed25519; p=AAAA", Problem::RecordKey),
            ("v=DKIM1; k=dsa; p=AAAA", Problem::KeyType),
            ("v=DKIM1; s=web; p=AAAA", Problem::OtherService),
        ] {
            assert_eq!(Record::parse(text.as_bytes()).unwrap_err(), problem, "{text}");
        }
        assert_eq!(Record::parse(&vec![b'x'; MAX_RECORD + 1]).unwrap_err(), Problem::RecordTooLong);
    }

    #[test]
    fn flags_and_hashes_are_read() {
        let parse = |more: &str| Record::parse(format!("k=ed25519; {more}{ED25519}").as_bytes()).unwrap();
        let record = parse("h=sha1 : sha256; t= s : y; s=web:*; n=for us; ");
        assert!(record.sha1 && record.sha256 && record.strict && record.testing);
        assert_eq!(record.notes.as_deref(), Some("for us"));
        assert_eq!(record.serves(Service::Mail), Ok(()));
        let only = format!("k=ed25519; s=tlsrpt; {ED25519}");
        assert_eq!(Record::parse(only.as_bytes()).unwrap_err(), Problem::OtherService);
        let record = Record::of_any_service(only.as_bytes()).unwrap();
        assert_eq!(
            (record.serves(Service::Mail), record.serves(Service::TlsReports)),
            (Err(Problem::OtherService), Ok(()))
        );
        assert_eq!(parse("s=email:tlsrpt; ").serves(Service::Mail), Ok(()));
        let record = parse("h=sha1; ");
        assert_eq!(record.fits(Algorithm::Ed25519Sha256), Err(Problem::HashNotAllowed));
        assert_eq!(parse("").fits(Algorithm::RsaSha256), Err(Problem::KeyMismatch));
        assert_eq!(parse("").fits(Algorithm::RsaSha1), Err(Problem::Sha1));
    }
}
