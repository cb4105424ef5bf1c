//! Tag lists, `tag=value; tag=value`: the form of DKIM signatures, their keys, DMARC records and ARC fields
//! (RFC 6376 §3.2).

use std::ops::Range;

use crate::base::ParseError;

/// How many tags one list may have: the richest field in use has fifteen. Each is compared with those before it.
const MAX_TAGS: usize = 50;
/// How many there is room for at first.
const USUAL_TAGS: usize = 12;

/// A list of tags, each name at most once.
#[derive(Clone, Debug)]
pub(super) struct Tags<'a> {
    text: &'a [u8],
    tags: Vec<(&'a [u8], Range<usize>)>,
}

impl<'a> Tags<'a> {
    /// `tag-list = tag-spec *( ";" tag-spec ) [ ";" ]`
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        let mut tags: Vec<(&[u8], Range<usize>)> = Vec::with_capacity(USUAL_TAGS);
        // Without a branch, so that it is done many octets at a time; where the octet stands is looked for where there is one.
        let control = text.iter().fold(false, |found, octet| found | is_control(*octet));
        let mut start = 0;
        while start < text.len() {
            let rest = text.get(start..).unwrap_or_default();
            let end = start + memchr::memchr(b';', rest).unwrap_or(rest.len());
            let spec = text.get(start..end).unwrap_or_default();
            if spec.trim_ascii().is_empty() {
                // Only the last `;` may have nothing behind it.
                if end < text.len() {
                    return Err(ParseError { expected: "a tag", at: start });
                }
                break;
            }
            let Some(equals) = memchr::memchr(b'=', spec) else {
                return Err(ParseError { expected: "=", at: end });
            };
            let (name, value) = spec.split_at(equals);
            let name = name.trim_ascii();
            // tag-name = ALPHA *ALNUMPUNC
            let letters = name.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'_');
            if !letters || !name.first().is_some_and(u8::is_ascii_alphabetic) {
                return Err(ParseError { expected: "the name of a tag", at: start });
            }
            // RFC 6376 §3.2: "Tags with duplicate names MUST NOT occur within a single tag-list".
            if tags.len() == MAX_TAGS || tags.iter().any(|(known, _)| same(known, name)) {
                return Err(ParseError { expected: "another tag", at: start });
            }
            // tag-value: printable characters with FWS between them; UTF-8 where names and local parts have it (RFC 8616).
            if control && let Some(bad) = value.iter().position(|octet| is_control(*octet)) {
                return Err(ParseError { expected: "a printable character", at: start + equals + bad });
            }
            tags.push((name, start + equals + 1..end));
            start = end + 1;
        }
        Ok(Self { text, tags })
    }

    /// The value of a tag, without the white space around it.
    pub(super) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let (_, span) = self.tags.iter().find(|(known, _)| same(known, name.as_bytes()))?;
        self.text.get(span.clone()).map(<[u8]>::trim_ascii)
    }

    /// The tags in their order, values without the white space around them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.tags.iter().filter_map(|(name, span)| Some((*name, self.text.get(span.clone())?.trim_ascii())))
    }
}

/// Where the value of a tag stands in a list that is sound, the white space around it counted.
pub(super) fn span(text: &[u8], name: &str) -> Option<Range<usize>> {
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let spec = rest.get(..end)?;
        let equals = memchr::memchr(b'=', spec)?;
        if same(spec.get(..equals)?.trim_ascii(), name.as_bytes()) {
            return Some(start + equals + 1..start + end);
        }
        start += end + 1;
    }
    None
}

/// Whether two names are the same: most differ in the first octet, and to compare them whole is a call.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.first() == other.first() && one == other
}

/// White space may be folded, and is none.
fn is_control(octet: u8) -> bool {
    // Without a branch: a whole list is looked at, and by vectors only so.
    let white = (octet == b'\t') | (octet == b'\n') | (octet == 0x0c) | (octet == b'\r');
    ((octet < b' ') | (octet == 0x7f)) & !white
}

/// The octets of a base64 value in which white space stands anywhere (RFC 6376 §3.2: "FWS MAY be inserted"); nothing else
/// may, and what is no base64 is none.
pub(super) fn base64(value: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine;
    let mut joined = Vec::with_capacity(value.len());
    // White space is where lines end as a rule, so each line is looked at as a whole first.
    let mut rest = value;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
        let line = line.trim_ascii();
        rest = after;
        if line.iter().fold(false, |white, octet| white | (*octet <= b' ')) {
            line.split(u8::is_ascii_whitespace).for_each(|piece| joined.extend_from_slice(piece));
        } else {
            joined.extend_from_slice(line);
        }
    }
    ENGINE.decode(joined).ok()
}

/// Real keys come with their padding and without it.
const ENGINE: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A number of at most twelve digits (RFC 6376 §3.5, "t=": implementations "MAY [...] treat longer ones as infinite").
pub(super) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 76 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // At most 76 digits as the ABNF of l= has it; what does not fit is more than any clock or length there is.
    Some(std::str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_into_tags() {
        let tags = Tags::parse(b" v=1; a = rsa-sha256 ;\r\n b=ab\r\n cd==; l=;x_1=y;\r\n").unwrap();
        let found: Vec<_> = tags.iter().collect();
        let expected: [(&[u8], &[u8]); 5] =
            [(b"v", b"1"), (b"a", b"rsa-sha256"), (b"b", b"ab\r\n cd=="), (b"l", b""), (b"x_1", b"y")];
        assert_eq!(found, expected);
        assert_eq!(tags.get("V"), None, "names have their case");
        let text = b" v=1; a = rsa-sha256 ;\r\n b=ab\r\n cd==; l=;x_1=y;\r\n";
        assert_eq!((span(text, "a"), span(text, "b")), (Some(9..21), Some(27..36)));
        assert_eq!((span(text, "l"), span(text, "z"), span(b"", "a")), (Some(40..40), None, None));
        assert_eq!(Tags::parse(b"").unwrap().iter().count(), 0);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, expected, at) in [
            (&b"v"[..], "=", 1),
            (b"v=1;;a=2", "a tag", 4),
            (b"=1", "the name of a tag", 0),
            (b"1v=1", "the name of a tag", 0),
            (b"v v=1", "the name of a tag", 0),
            (b"v=1; v=1", "another tag", 4),
            (b"v=\x00", "a printable character", 2),
        ] {
            assert_eq!(Tags::parse(text).unwrap_err(), ParseError { expected, at }, "{text:?}");
        }
        let many: String = (0..51).map(|n| format!("t{n}=;")).collect();
        assert!(Tags::parse(many.as_bytes()).is_err());
    }

    #[test]
    fn numbers_do_not_wrap() {
        assert_eq!(number(b"0017"), Some(17));
        assert_eq!(number(b"99999999999999999999999"), Some(u64::MAX));
        assert_eq!(number(b"-1"), None);
        assert_eq!(number(b""), None);
    }

    #[test]
    fn base64_may_have_white_space_and_nothing_else_in_it() {
        assert_eq!(base64(b"SGVs\r\n bG8="), Some(b"Hello".to_vec()));
        assert_eq!(base64(b" S G\tVs\n\n\x0cb \r G8=\n"), Some(b"Hello".to_vec()));
        assert_eq!((base64(b"SGV\x0bsbG8"), base64(b"SGVsbG8\x00")), (None, None));
        assert_eq!(base64(b"SGVsbG8"), Some(b"Hello".to_vec()));
        assert_eq!(base64(b"SGVs*bG8"), None);
    }
}
