//! A secret that is never printed, compared in constant time, and wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

use crate::base::crypto;

/// A password, a token, a key.
///
/// ```
/// use facteur::base::Secret;
///
/// let secret = Secret::from("tanstaaf");
/// assert_eq!(secret, Secret::from("tanstaaf"));
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// ```
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// `len` octets that nobody can guess, from the operating system: salts, nonces, tokens.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give.
    pub fn random(len: usize) -> Self {
        let mut octets = vec![0; len];
        crypto::random(&mut octets);
        octets.into()
    }

    /// The octets themselves. Whoever asks is responsible for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        Self(Zeroizing::new(octets.to_vec()))
    }
}

/// Takes as long for equal octets as for different ones of the same length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        crypto::equal(self.expose(), other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
