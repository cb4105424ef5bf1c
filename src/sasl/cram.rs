//! CRAM-MD5 (RFC 2195), and APOP of POP3 (RFC 1939 §7), which is the same thought with a weaker hash.
//!
//! Both make the server keep the password itself, and whoever listens can guess it at the full speed of MD5. They are here for
//! programs that have nothing better.

use crate::base::crypto;
use crate::base::{ParseError, Secret};

/// The digest that APOP sends: of the timestamp in the greeting, with its brackets, and the password.
///
/// ```
/// use facteur::sasl::apop;
///
/// // RFC 1939 §7
/// let digest = apop("<1896.697170952@dbc.mtview.ca.us>", &"tanstaaf".into());
/// assert_eq!(digest, "c4c9334bac560ecc979e58001b3e22fb");
/// ```
pub fn apop(timestamp: &str, password: &Secret) -> String {
    hex(crypto::md5(&[timestamp.as_bytes(), password.expose()]))
}

pub(super) fn hex(octets: [u8; 16]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What a client answers to a challenge: its name, a space, and the digest.
pub(super) fn response(name: &str, password: &Secret, challenge: &[u8]) -> Secret {
    Secret::from(format!("{name} {}", hex(crypto::hmac_md5(password.expose(), challenge))))
}

/// The name and the digest of an answer.
pub(super) fn read(response: &[u8]) -> Result<(String, String), ParseError> {
    let text = std::str::from_utf8(response).ok().filter(|text| !text.contains('\0') && text.len() <= 1024);
    let (name, digest) =
        text.and_then(|text| text.rsplit_once(' ')).ok_or(ParseError { expected: "a name and a digest", at: 0 })?;
    // RFC 2195 §2: "the digest in hexadecimal format, using lower-case characters, which are exactly 32 characters long"
    let lower = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    if name.is_empty() || digest.len() != 32 || !digest.bytes().all(lower) {
        return Err(ParseError { expected: "a digest of 32 lower-case hexadecimal digits", at: name.len() + 1 });
    }
    Ok((name.to_owned(), digest.to_owned()))
}

/// Whether the digest is that of this password.
pub(super) fn fits(digest: &str, password: &Secret, challenge: &[u8]) -> bool {
    crypto::equal(digest.as_bytes(), hex(crypto::hmac_md5(password.expose(), challenge)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_spaces_and_digests_may_not_be_cut() {
        let digest = "b913a602c7eda7a495b4e6e7334d3890";
        assert_eq!(read(format!("tim o {digest}").as_bytes()), Ok(("tim o".into(), digest.into())));
        for bad in [
            "",
            "tim",
            digest,
            &format!(" {digest}"),
            &format!("tim {}", &digest[1..]),
            &format!("tim {}", digest.to_uppercase()),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
