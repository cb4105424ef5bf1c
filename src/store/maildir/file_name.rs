//! The name of a message file: `time.unique.host,S=size,W=size:2,FLAGS`.

use crate::store::{Flag, Flags};

/// What `P` (passed) is to IMAP.
const PASSED: &str = "$Forwarded";

/// The name of a file in `cur` or `new` of a Maildir, taken apart.
///
/// The flags are `D`raft, `F`lagged, `P`assed on (the keyword `$Forwarded`), `R`eplied (`\Answered`), `S`een and
/// `T`rashed (`\Deleted`); what others put there besides, the letters `a` to `z` for example, is kept as it is.
///
/// ```
/// use facteur::store::maildir::FileName;
///
/// let name = FileName::parse(b"1172677344.M5P7.mail.example,S=280,W=290:2,FSa");
/// assert_eq!(name.flags().to_string(), r"\Flagged \Seen");
/// assert_eq!(name.crlf_size(), Some(290));
/// assert_eq!(name.with_flags(&Default::default()).write(), b"1172677344.M5P7.mail.example,S=280,W=290:2,a");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    base: Vec<u8>,
    /// What follows the first colon, the colon with it.
    info: Vec<u8>,
}

impl FileName {
    /// Takes a name apart; any octets are a name.
    pub fn parse(name: &[u8]) -> Self {
        let (base, info) = split(name);
        Self { base: base.to_vec(), info: info.to_vec() }
    }

    /// What stays when flags change: all before the first colon.
    pub fn base(&self) -> &[u8] {
        &self.base
    }

    /// The flags that the name tells.
    pub fn flags(&self) -> Flags {
        flags(&self.info)
    }

    /// The same file with other flags. Only those that a name can tell are written.
    #[must_use]
    pub fn with_flags(&self, flags: &Flags) -> Self {
        Self { base: self.base.clone(), info: info_with(&self.info, flags) }
    }

    /// `S=`: the octets of the file.
    pub fn size(&self) -> Option<u64> {
        field(&self.base, b"S=")
    }

    /// `W=`: the octets of the message with CRLF at the ends of its lines.
    pub fn crlf_size(&self) -> Option<u64> {
        field(&self.base, b"W=")
    }

    /// The whole name.
    pub fn write(&self) -> Vec<u8> {
        [&self.base[..], &self.info].concat()
    }
}

/// The base, and the rest with its colon.
pub(crate) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    name.split_at(memchr::memchr(b':', name).unwrap_or(name.len()))
}

/// The flags in `:2,FLAGS`.
pub(crate) fn flags(info: &[u8]) -> Flags {
    let letters = info.strip_prefix(b":2,").unwrap_or_default();
    letters.iter().filter_map(|letter| flag(*letter)).collect()
}

/// `:2,FLAGS` with these flags and what `info` has besides.
pub(crate) fn info_with(info: &[u8], flags: &Flags) -> Vec<u8> {
    let held = info.strip_prefix(b":2,").unwrap_or_default();
    let mut letters: Vec<u8> = held.iter().copied().filter(|letter| flag(*letter).is_none()).collect();
    letters.extend(flags.iter().filter_map(letter));
    // The letters stand in ASCII order (cr.yp.to/proto/maildir.html).
    letters.sort_unstable();
    letters.dedup();
    [b":2,", &letters[..]].concat()
}

/// Whether a name can tell this flag.
pub(crate) fn letter(flag: &Flag) -> Option<u8> {
    match flag {
        Flag::Draft => Some(b'D'),
        Flag::Flagged => Some(b'F'),
        Flag::Keyword(word) if word.eq_ignore_ascii_case(PASSED) => Some(b'P'),
        Flag::Answered => Some(b'R'),
        Flag::Seen => Some(b'S'),
        Flag::Deleted => Some(b'T'),
        Flag::Keyword(_) => None,
    }
}

fn flag(letter: u8) -> Option<Flag> {
    match letter {
        b'D' => Some(Flag::Draft),
        b'F' => Some(Flag::Flagged),
        b'P' => Some(Flag::Keyword(PASSED.to_owned())),
        b'R' => Some(Flag::Answered),
        b'S' => Some(Flag::Seen),
        b'T' => Some(Flag::Deleted),
        _ => None,
    }
}

/// A number after a comma: `,S=280`.
pub(crate) fn field(base: &[u8], key: &[u8]) -> Option<u64> {
    digits(text_field(base, key)?)
}

/// What stands behind `key` (with its equals sign) in one of the fields of a base.
pub(crate) fn text_field<'a>(base: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    base.split(|octet| *octet == b',').skip(1).find_map(|field| field.strip_prefix(key))
}

/// What puts names in the order in which their messages came: seconds, microseconds (`M`), count (`Q`).
pub(crate) fn arrival(base: &[u8]) -> Option<(u64, u64, u64)> {
    let mut parts = base.split(|octet| *octet == b'.');
    let seconds = digits(parts.next()?)?;
    let unique = parts.next().unwrap_or_default();
    let after = |mark: u8| {
        let from = memchr::memchr(mark, unique)? + 1;
        let rest = unique.get(from..)?;
        digits(rest.get(..rest.iter().take_while(|octet| octet.is_ascii_digit()).count())?)
    };
    Some((seconds, after(b'M').unwrap_or(0), after(b'Q').unwrap_or(0)))
}

fn digits(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_flags_and_sizes() {
        for (name, told, size, crlf) in [
            ("1.a.b", "", None, None),
            ("1.a.b:2,", "", None, None),
            ("1.a.b:2,DFPRST", r"\Answered \Deleted \Draft \Flagged \Seen $Forwarded", None, None),
            ("1.a.b:1,S", "", None, None),
            ("1.a.b,S=10:2,S", r"\Seen", Some(10), None),
            ("1.a.b,S=10,W=12:2,xSy", r"\Seen", Some(10), Some(12)),
            ("1.a.b,W=99999999999999999999", "", None, None),
            ("1.a.b,W=+1,S=", "", None, None),
            ("", "", None, None),
        ] {
            let parsed = FileName::parse(name.as_bytes());
            assert_eq!(parsed.flags().to_string(), told, "{name}");
            assert_eq!((parsed.size(), parsed.crlf_size()), (size, crlf), "{name}");
            assert_eq!(parsed.write(), name.as_bytes());
        }
    }

    #[test]
    fn letters_of_others_survive_a_change_of_flags() {
        let flags = Flags::from_iter([Flag::Seen, Flag::Answered, Flag::Keyword("$forwarded".into())]);
        for (name, expected) in [("a", "a:2,PRS"), ("a:2,TSbaX", "a:2,PRSXab"), ("a:1,experiment", "a:2,PRS")] {
            let changed = FileName::parse(name.as_bytes()).with_flags(&flags);
            assert_eq!(String::from_utf8(changed.write()).unwrap(), expected);
        }
    }

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let bases = ["9.M1P1Q1.h", "10.M2P1.h", "10.M10P1Q9.h", "10.M10P1Q10.h", "11.h"];
        let keys: Vec<_> = bases.iter().map(|base| arrival(base.as_bytes()).unwrap()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert_eq!(arrival(b"msg.1"), None);
    }
}
