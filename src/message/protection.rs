//! S/MIME (RFC 8551 §3) and PGP/MIME (RFC 3156) recognised as such: what a part says that it is. Nothing is verified or
//! decrypted.

use super::Part;

/// How a part is signed or encrypted, by what it says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// S/MIME: `multipart/signed` with the signature as its second part.
    SmimeSigned,
    /// S/MIME: `application/pkcs7-mime; smime-type=signed-data`, the content inside of the signature.
    SmimeOpaque,
    /// S/MIME: `enveloped-data` or `authEnveloped-data`.
    SmimeEncrypted,
    /// S/MIME: `compressed-data`.
    SmimeCompressed,
    /// S/MIME: `certs-only`, certificates and no content.
    SmimeCertificates,
    /// S/MIME: `application/pkcs7-mime` that does not say what it holds.
    Smime,
    /// PGP/MIME: `multipart/signed`.
    PgpSigned,
    /// PGP/MIME: `multipart/encrypted`.
    PgpEncrypted,
}

impl Part<'_> {
    /// How the part is signed or encrypted; `None` where it says nothing of it. Old names with `x-` are read.
    ///
    /// ```
    /// use facteur::message::{Message, Protection};
    ///
    /// let message = Message::parse("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIAG\n");
    /// assert_eq!(message.root().protection(), Some(Protection::SmimeEncrypted));
    /// ```
    pub fn protection(self) -> Option<Protection> {
        // Also where no part begins in it, so that it is read as text: what it is declared to be.
        let content_type = self.header().get("content-type")?.content_type()?;
        let lower = |name: &str| content_type.param(name).unwrap_or_default().trim().to_ascii_lowercase();
        match (content_type.kind(), content_type.subtype()) {
            ("multipart", "signed") => match lower("protocol").as_str() {
                "application/pkcs7-signature" | "application/x-pkcs7-signature" => Some(Protection::SmimeSigned),
                "application/pgp-signature" => Some(Protection::PgpSigned),
                _ => None,
            },
            ("multipart", "encrypted") => {
                (lower("protocol") == "application/pgp-encrypted").then_some(Protection::PgpEncrypted)
            }
            ("application", "pkcs7-mime" | "x-pkcs7-mime") => Some(match lower("smime-type").as_str() {
                "signed-data" => Protection::SmimeOpaque,
                "enveloped-data" | "authenveloped-data" => Protection::SmimeEncrypted,
                "compressed-data" => Protection::SmimeCompressed,
                "certs-only" => Protection::SmimeCertificates,
                // RFC 8551 §3.2.1: .p7c and .p7z are of one kind each, .p7m of several.
                _ => match self.filename().unwrap_or_default().to_ascii_lowercase() {
                    name if name.ends_with(".p7c") => Protection::SmimeCertificates,
                    name if name.ends_with(".p7z") => Protection::SmimeCompressed,
                    _ => Protection::Smime,
                },
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Protection::*;
    use crate::message::Message;

    #[test]
    fn protected_parts_are_known() {
        for (value, expected) in [
            (
                "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b",
                Some(SmimeSigned),
            ),
            ("multipart/signed; protocol=\"application/x-pkcs7-signature\"; boundary=b", Some(SmimeSigned)),
            ("multipart/signed; boundary=b; protocol=\"Application/PGP-signature\"", Some(PgpSigned)),
            ("multipart/signed; boundary=b", None),
            ("multipart/encrypted; boundary=b; protocol=\"application/pgp-encrypted\"", Some(PgpEncrypted)),
            ("application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", Some(SmimeOpaque)),
            ("application/x-pkcs7-mime; smime-type=\"authEnveloped-data\"", Some(SmimeEncrypted)),
            ("application/pkcs7-mime; name=smime.p7c", Some(SmimeCertificates)),
            ("application/pkcs7-mime; name=smime.p7m", Some(Smime)),
            ("text/plain", None),
        ] {
            let message = Message::parse(format!("Content-Type: {value}\n\n--b\n\nx\n--b--\n"));
            assert_eq!(message.root().protection(), expected, "{value}");
        }
    }
}
