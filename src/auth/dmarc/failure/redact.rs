//! The local parts of addresses, taken out of reports (RFC 6590 §3): the same one becomes the same word, and only who has the key
//! can tell of which.
//!
//! Left out on purpose: names beside addresses, subjects and bodies. Whoever may not show those sends no header at all.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::address::Address;
use crate::base::Secret;
use crate::base::crypto::{self, HashFunction};

/// What is done to the local parts of addresses in a report.
///
/// ```
/// use facteur::auth::dmarc::failure::Redaction;
/// use facteur::base::Secret;
///
/// let redaction = Redaction::Keyed(Secret::from("potatoes"));
/// let text = redaction.text("from ada@example.org to ada@example.net");
/// let words: Vec<_> = text.split(' ').filter_map(|word| word.split_once('@')).collect();
/// assert_eq!((words[0].0, words[0].1, words[1].1), (words[1].0, "example.org", "example.net"));
/// assert!(!text.contains("ada"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Redaction {
    /// They are left as they are.
    None,
    /// They become words made with this key, which is to be changed from time to time.
    Keyed(Secret),
}

/// How many octets of the hash make the word: what is left of chance to meet another is no matter, and 12 need no padding.
const WORD: usize = 12;

/// Fields whose `@` stands in no address of a person; without them a message cannot be found again in logs.
const IDENTIFIERS: [&[u8]; 4] = [b"message-id", b"in-reply-to", b"references", b"content-id"];

impl Redaction {
    /// The word for a local part.
    fn word(&self, local: &[u8]) -> Vec<u8> {
        match self {
            Self::None => local.to_vec(),
            Self::Keyed(key) => {
                let hash = crypto::hmac(HashFunction::Sha256, key.expose(), &local.to_ascii_lowercase());
                BASE64_STANDARD.encode(hash.get(..WORD).unwrap_or(&hash)).into_bytes()
            }
        }
    }

    /// An address with its local part redacted.
    pub fn address(&self, address: &Address) -> String {
        self.text(&address.to_string())
    }

    /// A text with the local part of each address in it redacted.
    pub fn text(&self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Keyed(_) => String::from_utf8_lossy(&self.octets(text.as_bytes())).into_owned(),
        }
    }

    /// A header with the local part of each address in it redacted, but for the identifiers of messages.
    pub(super) fn header(&self, header: &[u8]) -> Vec<u8> {
        if matches!(self, Self::None) {
            return header.to_vec();
        }
        let mut out = Vec::with_capacity(header.len());
        let mut rest = header;
        while !rest.is_empty() {
            // To the end of the field: the first line that is not followed by white space.
            let ends = memchr::memchr_iter(b'\n', rest).map(|at| at + 1);
            let end = ends.into_iter().find(|end| !matches!(rest.get(*end), Some(b' ' | b'\t'))).unwrap_or(rest.len());
            let (field, more) = rest.split_at(end);
            let name = field.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii();
            if IDENTIFIERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                out.extend_from_slice(field);
            } else {
                out.extend(self.octets(field));
            }
            rest = more;
        }
        out
    }

    fn octets(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + text.len() / 4);
        let mut done = 0;
        for at in memchr::memchr_iter(b'@', text) {
            // Never before what is done: each octet is looked at once.
            let before = text.get(done..at).unwrap_or_default();
            // RFC 5322 §4.4: white space may stand before the `@`; it stays.
            let trimmed = before.trim_ascii_end();
            let end = done + trimmed.len();
            let start = end - local_part(trimmed);
            out.extend_from_slice(text.get(done..start).unwrap_or_default());
            let local = text.get(start..end).unwrap_or_default();
            if !local.is_empty() {
                out.extend(self.word(local));
            }
            out.extend_from_slice(text.get(end..at).unwrap_or_default());
            out.push(b'@');
            done = at + 1;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
        out
    }
}

/// How many octets at the end of a text are a local part: a dot-atom, or a quoted string.
fn local_part(text: &[u8]) -> usize {
    if let Some((b'"', inner)) = text.split_last() {
        // To the quote that opens it; a quote behind a backslash does not.
        let quotes = memchr::memrchr_iter(b'"', inner);
        let open = quotes.into_iter().find(|at| at.checked_sub(1).and_then(|at| inner.get(at)) != Some(&b'\\'));
        return match open {
            Some(open) => text.len() - open,
            // It opens before the last `@`, which stands in it: all since then is of the local part.
            None if !inner.is_empty() => text.len(),
            None => 0,
        };
    }
    // `=`, as in `smtp.mailfrom=`, stands before local parts in results, and in those of mailing lists too: the piece behind the
    // first one that is the name of a property is the local part.
    let atom =
        |octet: &&u8| octet.is_ascii_alphanumeric() || **octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~.".contains(octet);
    let length = text.iter().rev().take_while(atom).count();
    let word = text.get(text.len() - length..).unwrap_or_default();
    let property = memchr::memchr(b'=', word).filter(|at| {
        let name = word.get(..*at).unwrap_or_default();
        [&b"smtp."[..], b"header.", b"policy.", b"body."].iter().any(|kind| name.starts_with(kind)) || name == b"i"
    });
    length - property.map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed() -> Redaction {
        Redaction::Keyed(Secret::from("potatoes"))
    }

    #[test]
    fn local_parts_are_words() {
        let redaction = keyed();
        let word = |local: &str| String::from_utf8(redaction.word(local.as_bytes())).unwrap();
        assert_eq!(word("ada").len(), 16);
        assert_ne!(word("ada"), word("adb"));
        for (text, expected) in [
            ("ada@x.org", format!("{}@x.org", word("ada"))),
            ("Ada <ADA@x.org>, bob@y.org", format!("Ada <{}@x.org>, {}@y.org", word("ada"), word("bob"))),
            ("\"a b\\\"c\"@x.org", format!("{}@x.org", word("\"a b\\\"c\""))),
            ("i=@x.org", "i=@x.org".to_owned()),
            ("smtp.mailfrom=ada@x.org", format!("smtp.mailfrom={}@x.org", word("ada"))),
            ("bounce=ada=y@x.org", format!("{}@x.org", word("bounce=ada=y"))),
            ("a@b@c", format!("{}@{}@c", word("a"), word("b"))),
            ("\"a b@c d\"@x.org", format!("\"a {}@{}@x.org", word("b"), word("c d\""))),
            ("ada @ x.org, bob\r\n\t@y.org", format!("{} @ x.org, {}\r\n\t@y.org", word("ada"), word("bob"))),
            ("@", "@".to_owned()),
            ("\"@x", "\"@x".to_owned()),
            ("no address", "no address".to_owned()),
        ] {
            assert_eq!(redaction.text(text), expected, "{text}");
            assert_eq!(Redaction::None.text(text), text);
        }
    }

    #[test]
    fn identifiers_of_messages_stay() {
        let header = b"Message-ID: <1@x.org>\r\nReferences: <2@x.org>\r\n <ada@x.org>\r\nTo: bob,\r\n\tada@x.org\r\n";
        let redacted = String::from_utf8(keyed().header(header)).unwrap();
        assert!(
            redacted.starts_with("Message-ID: <1@x.org>\r\nReferences: <2@x.org>\r\n <ada@x.org>\r\nTo: bob,\r\n\t")
        );
        assert_eq!(redacted.matches("ada@").count(), 1);
        assert_eq!(keyed().header(b"x"), b"x");
    }
}
