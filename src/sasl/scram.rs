//! SCRAM (RFC 5802, RFC 7677): its messages and both sides of its exchange, for every hash, with and without channel binding.
//!
//! Each step takes the one before by value, so that none can be taken twice or out of order.

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::verifier::Keys;
use super::{Channel, Hash, Identity, Verifier, prep};
use crate::base::crypto;
use crate::base::{ParseError, Secret};

/// The longest message that is read, in octets. RFC 5802 sets no limit; a name, a nonce and a channel binding fit easily.
const MAX_MESSAGE: usize = 4096;

/// The longest nonce of the other side, in octets: ours has 24, and none that is known has more than 64.
const MAX_NONCE: usize = 512;

const fn fault(expected: &'static str, at: usize) -> ParseError {
    ParseError { expected, at }
}

/// A message, attribute by attribute.
struct Attributes<'a> {
    rest: Option<&'a str>,
    at: usize,
}

impl<'a> Attributes<'a> {
    fn new(message: &'a [u8]) -> Result<Self, ParseError> {
        if message.len() > MAX_MESSAGE {
            return Err(fault("a message of at most 4096 octets", MAX_MESSAGE));
        }
        match std::str::from_utf8(message) {
            Ok(text) if !text.contains('\0') => Ok(Self { rest: Some(text), at: 0 }),
            Ok(_) => Err(fault("no NUL", 0)),
            Err(error) => Err(fault("UTF-8", error.valid_up_to())),
        }
    }

    /// What stands before the next comma, and where.
    fn next(&mut self) -> Option<(&'a str, usize)> {
        let (rest, at) = (self.rest?, self.at);
        let (found, rest) = match rest.split_once(',') {
            Some((found, rest)) => (found, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        self.at += found.len() + 1;
        Some((found, at))
    }

    /// The value of the next attribute, which must have this name.
    fn value(&mut self, name: char, expected: &'static str) -> Result<(&'a str, usize), ParseError> {
        let (found, at) = self.next().ok_or(fault(expected, self.at))?;
        // RFC 5802 §5.1: m= "MUST cause authentication failure"
        if found.starts_with("m=") {
            return Err(fault("no mandatory extension", at));
        }
        let value = found.strip_prefix(name).and_then(|value| value.strip_prefix('='));
        value.filter(|value| !value.is_empty()).map(|value| (value, at)).ok_or(fault(expected, at))
    }

    /// `extensions = attr-val *("," attr-val)`, which are ignored.
    fn extensions(&mut self) -> Result<(), ParseError> {
        while let Some((found, at)) = self.next() {
            let mut octets = found.bytes();
            let named = octets.next().is_some_and(|name| name.is_ascii_alphabetic() && name != b'm');
            if !named || octets.next() != Some(b'=') || octets.next().is_none() {
                return Err(fault("an extension that may be ignored", at));
            }
        }
        Ok(())
    }
}

/// `saslname = 1*(value-safe-char / "=2C" / "=3D")`
fn saslname(text: &str, at: usize) -> Result<String, ParseError> {
    let mut pieces = text.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // RFC 5802 §5.1: '=' that is "not followed by either '2C' or '3D'" fails the authentication.
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(fault("=2C or =3D", at)),
        };
        name.push(sign);
        name.push_str(rest);
    }
    Ok(name)
}

fn as_saslname(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// `printable = %x21-2B / %x2D-7E`
fn nonce(text: &str, at: usize) -> Result<&str, ParseError> {
    match text.bytes().all(|octet| matches!(octet, 0x21..=0x2b | 0x2d..=0x7e)) && text.len() <= MAX_NONCE {
        true => Ok(text),
        false => Err(fault("a printable nonce of at most 512 octets", at)),
    }
}

/// `posit-number = %x31-39 *DIGIT`
fn posit_number(text: &str) -> Option<NonZeroU32> {
    let sound = text.bytes().all(|octet| octet.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| sound)
}

fn base64(text: &str, expected: &'static str, at: usize) -> Result<Vec<u8>, ParseError> {
    BASE64_STANDARD.decode(text).map_err(|_| fault(expected, at))
}

fn xor(a: &[u8], b: &[u8]) -> Secret {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect::<Vec<u8>>().into()
}

/// A server that waits for the client-first-message.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) hash: Hash,
    /// Whether this is the `-PLUS` form.
    pub(super) plus: bool,
    /// Whether some `-PLUS` form is offered to this client.
    pub(super) offers_plus: bool,
    pub(super) channel: Channel,
    pub(super) nonce: String,
}

/// A server that must know the client's keys.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) hash: Hash,
    pub(super) identity: Identity,
    /// The client-first-message-bare.
    bare: String,
    /// What the client's `c=` must say.
    binding: Vec<u8>,
    nonce: String,
}

/// A server that waits for the client-final-message.
#[derive(Debug)]
pub(super) struct Challenged {
    pub(super) identity: Identity,
    verifier: Verifier,
    binding: Vec<u8>,
    nonce: String,
    /// The AuthMessage up to the client-final-message.
    said: String,
}

impl Opening {
    /// `client-first-message = gs2-header client-first-message-bare`
    pub(super) fn first(self, message: &[u8]) -> Result<Opened, ParseError> {
        let mut attributes = Attributes::new(message)?;
        let (flag, _) = attributes.next().unwrap_or_default();
        let mut binding = Vec::new();
        match (flag, flag.strip_prefix("p=")) {
            ("n", _) if !self.plus => {}
            // RFC 5802 §6: the client believes that we cannot bind. Somebody has taken -PLUS out of the list on its way.
            ("y", _) if !self.plus && self.offers_plus => {
                return Err(fault("channel binding, which is offered here", 0));
            }
            ("y", _) if !self.plus => {}
            (_, Some(name)) if self.plus => {
                let data = self.channel.binding(name).ok_or(fault("tls-exporter or tls-server-end-point", 2))?;
                binding.extend_from_slice(data);
            }
            _ if self.plus => return Err(fault("p= and a channel binding", 0)),
            _ => return Err(fault("n or y", 0)),
        }
        let authzid = match attributes.next() {
            Some(("", _)) => None,
            Some((text, at)) => match text.strip_prefix("a=").filter(|name| !name.is_empty()) {
                Some(name) => Some(saslname(name, at)?),
                None => return Err(fault("a= or nothing", at)),
            },
            None => return Err(fault("a GS2 header", attributes.at)),
        };
        let header = attributes.at;
        let (name, at) = attributes.value('n', "n= and a user name")?;
        let name = saslname(name, at)?;
        // RFC 5802 §5.1: where the preparation fails, the server "SHOULD abort".
        let authcid = prep::name(&name).ok_or(fault("a user name that SASLprep allows", at))?.into_owned();
        let (theirs, at) = attributes.value('r', "r= and a nonce")?;
        let nonce = format!("{}{}", nonce(theirs, at)?, self.nonce);
        attributes.extensions()?;
        // The header with its last comma, then the data: `cbind-input`. Both are ASCII borders of UTF-8 that was just read.
        let (header, bare) = message.split_at(header.min(message.len()));
        binding.splice(..0, header.iter().copied());
        let bare = String::from_utf8(bare.to_vec()).map_err(|_| fault("UTF-8", 0))?;
        Ok(Opened { hash: self.hash, identity: Identity { authcid, authzid }, bare, binding, nonce })
    }
}

impl Opened {
    /// Goes on with the user's keys: `server-first-message`.
    pub(super) fn challenge(self, verifier: Verifier) -> (String, Challenged) {
        let Self { identity, bare, binding, nonce, .. } = self;
        let salt = BASE64_STANDARD.encode(verifier.salt());
        let first = format!("r={nonce},s={salt},i={}", verifier.iterations());
        let said = format!("{bare},{first},");
        (first, Challenged { identity, verifier, binding, nonce, said })
    }
}

impl Challenged {
    /// `client-final-message = client-final-message-without-proof "," proof`; the `server-final-message` where the client has
    /// proved itself.
    pub(super) fn last(&self, message: &[u8]) -> Result<Option<String>, ParseError> {
        let mut attributes = Attributes::new(message)?;
        let text = attributes.rest.unwrap_or_default();
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(fault("p= and a proof", text.len()))?;
        let proof = base64(proof, "a proof in base64", without_proof.len() + 3)?;
        attributes.rest = Some(without_proof);
        let (binding, at) = attributes.value('c', "c= and the channel binding")?;
        let binding = base64(binding, "the channel binding in base64", at + 2)?;
        let (nonce, at) = attributes.value('r', "r= and the nonce")?;
        if !crypto::equal(nonce.as_bytes(), self.nonce.as_bytes()) {
            return Err(fault("the nonce that was sent", at + 2));
        }
        attributes.extensions()?;
        let (hash, verifier) = (self.verifier.hash(), &self.verifier);
        let auth_message = format!("{}{without_proof}", self.said);
        let signature = crypto::hmac(hash, verifier.stored_key(), auth_message.as_bytes());
        let client_key = xor(&proof, &signature);
        let stored_key = crypto::digest(hash, client_key.expose());
        let proved = crypto::equal(&stored_key, verifier.stored_key()) & (proof.len() == signature.len());
        let bound = crypto::equal(&binding, &self.binding);
        Ok((proved & bound).then(|| {
            let signature = crypto::hmac(hash, verifier.server_key(), auth_message.as_bytes());
            format!("v={}", BASE64_STANDARD.encode(signature))
        }))
    }
}

/// A client that waits for the server-first-message.
#[derive(Debug)]
pub(super) struct Begun {
    hash: Hash,
    password: Secret,
    /// What is hashed so often that computing takes longer is not for us.
    iterations: std::ops::RangeInclusive<u32>,
    /// `cbind-input`
    binding: Vec<u8>,
    header: String,
    bare: String,
    nonce: String,
}

/// A client that waits for the server-final-message.
#[derive(Debug)]
pub(super) struct Proved {
    signature: Secret,
}

impl Begun {
    /// A client; `None` where the name is one that SASLprep refuses.
    pub(super) fn new(
        hash: Hash,
        header: ClientHeader,
        identity: &Identity,
        password: Secret,
        nonce: String,
        iterations: std::ops::RangeInclusive<u32>,
    ) -> Option<Self> {
        let name = as_saslname(&prep::name(&identity.authcid)?);
        let (flag, data) = match header {
            ClientHeader::Bound(name, data) => (format!("p={name}"), data),
            ClientHeader::NotOffered => ("y".to_owned(), Vec::new()),
            ClientHeader::Unable => ("n".to_owned(), Vec::new()),
        };
        let authzid = identity.authzid.as_deref().filter(|authzid| !authzid.is_empty());
        let authzid = authzid.map(|name| format!("a={}", as_saslname(name))).unwrap_or_default();
        let header = format!("{flag},{authzid},");
        let binding = [header.as_bytes(), &data].concat();
        let bare = format!("n={name},r={nonce}");
        Some(Self { hash, password, iterations, binding, header, bare, nonce })
    }

    /// `client-first-message`
    pub(super) fn first(&self) -> Secret {
        Secret::from(format!("{}{}", self.header, self.bare))
    }

    /// Answers the `server-first-message` with the `client-final-message`. This is where the password is hashed.
    pub(super) fn last(self, challenge: &[u8]) -> Result<(Secret, Proved), ParseError> {
        let mut attributes = Attributes::new(challenge)?;
        let said = attributes.rest.unwrap_or_default();
        let (all, at) = attributes.value('r', "r= and a nonce")?;
        // RFC 5802 §5.1: "The client MUST verify that the initial part of the nonce [...] is the same"; without a part of the
        // server's own a recorded exchange could be replayed to us.
        let added = nonce(all, at)?.strip_prefix(&self.nonce).unwrap_or_default();
        if added.is_empty() {
            return Err(fault("our nonce with a part of the server's own", at + 2));
        }
        let (salt, at) = attributes.value('s', "s= and a salt")?;
        let salt = base64(salt, "a salt in base64", at + 2)?;
        let (count, at) = attributes.value('i', "i= and a number of iterations")?;
        let iterations = posit_number(count).filter(|count| self.iterations.contains(&count.get()));
        let iterations = iterations.ok_or(fault("a number of iterations within the limits of this client", at + 2))?;
        attributes.extensions()?;

        let keys = Keys::new(self.hash, &self.password, &salt, iterations);
        let without_proof = format!("c={},r={all}", BASE64_STANDARD.encode(&self.binding));
        let auth_message = format!("{},{said},{without_proof}", self.bare);
        let signature = crypto::hmac(self.hash, keys.stored_key.expose(), auth_message.as_bytes());
        let proof = BASE64_STANDARD.encode(xor(keys.client_key.expose(), &signature).expose());
        let signature = Secret::from(crypto::hmac(self.hash, keys.server_key.expose(), auth_message.as_bytes()));
        Ok((Secret::from(format!("{without_proof},p={proof}")), Proved { signature }))
    }
}

impl Proved {
    /// Checks the `server-final-message`: whether the server knows the keys, too.
    pub(super) fn check(self, message: &[u8]) -> Result<(), ParseError> {
        let mut attributes = Attributes::new(message)?;
        if message.starts_with(b"e=") {
            return Err(fault("a signature and no error", 0));
        }
        let (signature, at) = attributes.value('v', "v= and a signature")?;
        let signature = base64(signature, "a signature in base64", at + 2)?;
        attributes.extensions()?;
        match crypto::equal(&signature, self.signature.expose()) {
            true => Ok(()),
            false => Err(fault("the signature of a server that knows the password", at + 2)),
        }
    }
}

/// What a client says of channel binding: `gs2-cbind-flag`.
pub(super) enum ClientHeader {
    /// By this name, with this data.
    Bound(&'static str, Vec<u8>),
    /// It could, and the server has not offered it.
    NotOffered,
    /// It cannot.
    Unable,
}
