//! Signing (RFC 6376 §5): one pass over the body, however many keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::body::{BodyHashes, Wanted};
use super::verifier::{Fields, append_unsigned};
use super::{Canonicalization, KeyError, SigningKey};
use crate::base::Timestamp;
use crate::dns::Name;
use crate::message::{Header, Message};

/// Lines of the field are folded where they would be longer (RFC 5322 §2.1.1).
const LINE: usize = 76;

/// How many DKIM-Signature fields an ARC-Message-Signature is of, from the last: real mail has up to four.
const MAX_SIGNED: usize = 50;

/// Who signs, and what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Signer {
    /// `d=`: the domain that answers for the message.
    pub domain: Name,
    /// `s=`: under which name the key is published.
    pub selector: Name,
    /// `c=`, for the header. Default relaxed: relays refold fields.
    pub header: Canonicalization,
    /// `c=`, for the body. Default relaxed: relays take away white space at the ends of lines.
    pub body: Canonicalization,
    /// Which fields are signed where the message has them, all of each name. In any case of letters. Default
    /// [`Signer::FIELDS`].
    pub fields: Vec<String>,
    /// Which fields are signed once more than the message has them, so that none can be added. Default
    /// [`Signer::OVERSIGNED`].
    pub oversigned: Vec<String>,
    /// `i=`: for whom in the domain, as `[local-part]@domain`. Default `None`: for the domain.
    pub identity: Option<String>,
    /// For how many seconds the signature is good. Default `None`: for ever. Mail may wait in queues for a week.
    pub lifetime: Option<u64>,
    key: SigningKey,
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// RFC 6376 §5.4: "The From header field MUST be signed".
    #[error("the message has no From field")]
    NoFrom,
    /// The name of a field, or the identity, holds what a field cannot say.
    #[error("the name of a field or the identity cannot be written")]
    Unwritable,
    /// The key failed.
    #[error("key: {0}")]
    Key(#[from] KeyError),
}

impl Signer {
    /// RFC 6376 §5.4.1 names these, with what says how the body is to be read.
    pub const FIELDS: [&str; 24] = [
        "From",
        "Sender",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "To",
        "Cc",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Resent-Date",
        "Resent-From",
        "Resent-To",
        "Resent-Cc",
        "List-Id",
        "List-Help",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Subscribe",
        "List-Post",
        "List-Archive",
    ];

    /// A second one of these changes what a reader sees.
    pub const OVERSIGNED: [&str; 6] = ["From", "Subject", "Date", "To", "Cc", "Reply-To"];

    /// Signs for `domain` with `key`, which is published under `selector`.
    pub fn new(domain: Name, selector: Name, key: SigningKey) -> Self {
        Self {
            domain,
            selector,
            header: Canonicalization::Relaxed,
            body: Canonicalization::Relaxed,
            fields: Self::FIELDS.map(str::to_owned).into(),
            oversigned: Self::OVERSIGNED.map(str::to_owned).into(),
            identity: None,
            lifetime: None,
            key,
        }
    }

    /// An ARC-Seal field (RFC 8617 §4.1.3). `set` is the canonical form of all that it is of but itself.
    pub(in crate::auth) fn seal(
        &self,
        mut set: Vec<u8>,
        instance: u8,
        status: &str,
        now: Timestamp,
    ) -> Result<String, SignError> {
        let at = u64::try_from(now.unix()).unwrap_or(0);
        let Self { domain, selector, key, .. } = self;
        let field = format!(
            "ARC-Seal: i={instance}; a={}; cv={status}; t={at};\r\n\td={domain};\r\n\ts={selector};\r\n\tb=",
            key.algorithm()
        );
        append_unsigned(field.as_bytes(), Canonicalization::Relaxed, &mut set);
        self.complete(field, &set)
    }

    /// The field with the signature of `text` at its end, and its line end.
    fn complete(&self, mut field: String, text: &[u8]) -> Result<String, SignError> {
        let value = BASE64_STANDARD.encode(self.key.sign(text)?);
        let mut rest = value.as_str();
        while let Some((line, after)) = rest.split_at_checked(LINE - 4) {
            field.push_str(line);
            if !after.is_empty() {
                field.push_str("\r\n\t");
            }
            rest = after;
        }
        field.push_str(rest);
        field.push_str("\r\n");
        Ok(field)
    }

    fn wanted(&self) -> Wanted {
        Wanted { canonicalization: self.body, length: None }
    }
}

/// Signs `message` once for each signer, at the time `now`: DKIM-Signature fields with their line ends, to be put in front of
/// it.
///
/// # Errors
/// Where the message has no From field, or a key fails.
pub fn sign(message: &Message, signers: &[Signer], now: Timestamp) -> Result<String, SignError> {
    let mut signing = Signing::new(message.header(), signers, now)?;
    signing.body(message.root().raw_body());
    signing.finish()
}

/// Signs while the body comes in pieces.
///
/// The driver's loop: [`new`](Self::new) when the header is complete, [`body`](Self::body) for each piece of what follows
/// the blank line, [`finish`](Self::finish) for the fields.
#[derive(Debug)]
pub struct Signing<'a> {
    signers: Vec<Started<'a>>,
    hashes: BodyHashes,
    now: Timestamp,
}

#[derive(Debug)]
struct Started<'a> {
    signer: &'a Signer,
    /// As `h=` has them.
    names: String,
    /// The canonical header, without the signature's own field.
    text: Vec<u8>,
}

impl<'a> Signing<'a> {
    /// Begins with the header.
    ///
    /// # Errors
    /// Where there is no From field, or a signer has names that cannot be written.
    pub fn new(header: Header<'_>, signers: &'a [Signer], now: Timestamp) -> Result<Self, SignError> {
        let fields = Fields::of(header);
        if fields.count("from") == 0 {
            return Err(SignError::NoFrom);
        }
        let mut hashes = BodyHashes::default();
        let mut started = Vec::with_capacity(signers.len());
        for signer in signers {
            let names = names(signer, &fields, |_| true)?;
            hashes.want(signer.wanted());
            started.push(Started { signer, text: fields.signed(names.split(':'), signer.header), names });
        }
        Ok(Self { signers: started, hashes, now })
    }

    /// Begins an ARC-Message-Signature field (RFC 8617 §4.1.2).
    pub(in crate::auth) fn message_signature(
        header: Header<'_>,
        signer: &'a Signer,
        now: Timestamp,
    ) -> Result<Self, SignError> {
        let fields = Fields::of(header);
        if fields.count("from") == 0 {
            return Err(SignError::NoFrom);
        }
        let mut names = names(signer, &fields, |name| {
            // "Authentication-Results header fields MUST NOT be included", nor those of ARC; DKIM-Signature fields SHOULD be.
            let arc = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("arc-"));
            !arc && !["authentication-results", "dkim-signature"].iter().any(|other| name.eq_ignore_ascii_case(other))
        })?;
        names.push_str(&":dkim-signature".repeat(fields.count("dkim-signature").min(MAX_SIGNED)));
        let mut hashes = BodyHashes::default();
        hashes.want(signer.wanted());
        let started = Started { signer, text: fields.signed(names.split(':'), signer.header), names };
        Ok(Self { signers: vec![started], hashes, now })
    }

    /// The next piece of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.hashes.feed(octets);
    }

    /// The fields, with their line ends.
    ///
    /// # Errors
    /// Where a key fails.
    pub fn finish(self) -> Result<String, SignError> {
        self.complete(None)
    }

    /// The ARC-Message-Signature field of a set.
    pub(in crate::auth) fn finish_set(self, instance: u8) -> Result<String, SignError> {
        self.complete(Some(instance))
    }

    fn complete(self, instance: Option<u8>) -> Result<String, SignError> {
        let finished = self.hashes.finish();
        let mut out = String::new();
        for Started { signer, names, mut text } in self.signers {
            let hash = finished.get(signer.wanted()).map(|hashed| &hashed.hash[..]).unwrap_or_default();
            let field = unsigned(signer, instance, &names, hash, self.now);
            append_unsigned(field.as_bytes(), signer.header, &mut text);
            out.push_str(&signer.complete(field, &text)?);
        }
        Ok(out)
    }
}

/// The names for `h=`, in lower case: each of those that are `wanted` as often as there are such fields, and once more where
/// the signer says so. From is always among them.
fn names(signer: &Signer, fields: &Fields<'_>, wanted: impl Fn(&str) -> bool) -> Result<String, SignError> {
    let all = || std::iter::once("from").chain(signer.fields.iter().chain(&signer.oversigned).map(String::as_str));
    let mut names = String::with_capacity(256);
    for (n, name) in all().enumerate() {
        // ftext of RFC 5322 §3.6.8; a semicolon would end h=.
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':' && octet != b';') {
            return Err(SignError::Unwritable);
        }
        if !wanted(name) || all().take(n).any(|before| before.eq_ignore_ascii_case(name)) {
            continue;
        }
        let once_more = signer.oversigned.iter().any(|other| other.eq_ignore_ascii_case(name));
        for _ in 0..fields.count(name) + usize::from(once_more) {
            if !names.is_empty() {
                names.push(':');
            }
            names.extend(name.chars().map(|letter| letter.to_ascii_lowercase()));
        }
    }
    Ok(names)
}

/// The field up to `b=`, folded: an ARC-Message-Signature where there is an instance.
fn unsigned(signer: &Signer, instance: Option<u8>, names: &str, body_hash: &[u8], now: Timestamp) -> String {
    let mut out = String::with_capacity(1024);
    out.push_str(if instance.is_some() { "ARC-Message-Signature:" } else { "DKIM-Signature:" });
    let mut column = out.len();
    let mut word = |pieces: &[&str], space: bool| {
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        if column + len + usize::from(space) > LINE {
            out.push_str("\r\n\t");
            column = 1;
        } else if space {
            out.push(' ');
            column += 1;
        }
        pieces.iter().for_each(|piece| out.push_str(piece));
        column += len;
    };
    // RFC 8617 §4.1.2: the instance is first, and there is no version.
    match instance {
        Some(instance) => word(&["i=", &instance.to_string(), ";"], true),
        None => word(&["v=1;"], true),
    }
    word(&["a=", signer.key.algorithm().as_str(), ";"], true);
    word(&["c=", signer.header.as_str(), "/", signer.body.as_str(), ";"], true);
    word(&["d=", signer.domain.as_str(), ";"], true);
    word(&["s=", signer.selector.as_str(), ";"], true);
    if let (Some(identity), None) = (&signer.identity, instance) {
        word(&["i=", &quoted_printable(identity), ";"], true);
    }
    let at = u64::try_from(now.unix()).unwrap_or(0);
    word(&["t=", &at.to_string(), ";"], true);
    if let Some(lifetime) = signer.lifetime {
        word(&["x=", &at.saturating_add(lifetime.max(1)).to_string(), ";"], true);
    }
    let mut before = "h=";
    let mut names = names.split(':').peekable();
    while let Some(name) = names.next() {
        word(&[before, name, if names.peek().is_some() { ":" } else { ";" }], !before.is_empty());
        before = "";
    }
    word(&["bh=", &BASE64_STANDARD.encode(body_hash), ";"], true);
    // The signature on lines of its own.
    out.push_str("\r\n\tb=");
    out
}

/// `dkim-quoted-printable` (RFC 6376 §2.11).
fn quoted_printable(text: &str) -> String {
    let safe = |octet: u8| octet.is_ascii_graphic() && octet != b'=' && octet != b';';
    text.bytes()
        .map(|octet| if safe(octet) { char::from(octet).to_string() } else { format!("={octet:02X}") })
        .collect()
}
