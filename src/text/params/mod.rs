//! Parameters of MIME fields (RFC 2045 §5.1) with the continuations and charsets of RFC 2231, both ways.
//!
//! Reading takes what senders write: missing quotes, comments, encoded words inside quotes, no semicolon at the end. Where
//! a parameter is there both plain and in the form of RFC 2231, the latter counts: the plain one is the fallback for old
//! readers.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use compact_str::CompactString;
use smallvec::SmallVec;

use self::reader::each;
pub(crate) use self::reader::{comment_end, simple, skip_cfws};
use crate::text::{charset, transfer, words};

/// The parameters of one field, in their order.
///
/// ```
/// use facteur::text::Params;
///
/// let params = Params::parse(b"; title*0*=us-ascii'en'This%20is%20; title*1=\"fun\"; x=1 (one)");
/// assert_eq!(params.value("TITLE").as_deref(), Some("This is fun"));
/// assert_eq!(params.raw().map(|(name, _)| name).collect::<Vec<_>>(), ["title*0*", "title*1", "x"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(SmallVec<[Param; 2]>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Param {
    name: CompactString,
    value: Value,
}

/// Without quotes, otherwise as it stood. Most are short text, which needs no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(CompactString),
    /// What is no UTF-8.
    Octets(Vec<u8>),
}

impl Value {
    fn new(octets: Cow<'_, [u8]>) -> Self {
        match charset::utf8_text(&octets) {
            Some(text) => Self::Text(text.into()),
            None => Self::Octets(octets.into_owned()),
        }
    }

    fn octets(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Octets(octets) => octets,
        }
    }

    /// As text: encoded words decoded.
    fn decoded(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => words::decode_text(text),
            Self::Octets(octets) => words::decode_borrowed(octets),
        }
    }
}

impl Params {
    /// Reads `*(";" parameter)`; what stands before the first semicolon is passed over.
    pub fn parse(text: &[u8]) -> Self {
        let mut params = SmallVec::new();
        each(text, |_, name, value| {
            params.push(Param { name: CompactString::from(charset::guess_piece(name)), value: Value::new(value) });
        });
        Self(params)
    }

    /// Where in the text the parameters stand, in the order of [`raw`](Self::raw).
    pub(crate) fn places(text: &[u8]) -> Vec<usize> {
        let mut places = Vec::new();
        each(text, |at, _, _| places.push(at));
        places
    }

    /// The parameters as they stand: names with their stars, values without quotes, nothing decoded or joined.
    pub fn raw(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|param| (param.name.as_str(), param.value.octets()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The octets of the first parameter of exactly that name (in any case of letters), as they stand.
    pub fn octets(&self, name: &str) -> Option<&[u8]> {
        self.first(name).map(Value::octets)
    }

    fn first(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| &param.value)
    }

    /// The text of a parameter: its sections joined, its charset and encoded words decoded.
    pub fn value(&self, name: &str) -> Option<String> {
        self.text(name).map(Cow::into_owned)
    }

    /// As [`value`](Self::value), borrowed where nothing had to be decoded.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.extended(name).map(Cow::Owned).or_else(|| self.plain(name))
    }

    /// The text of a parameter in its plain form, where it is there in that form.
    pub(crate) fn plain(&self, name: &str) -> Option<Cow<'_, str>> {
        self.first(name).map(Value::decoded)
    }

    /// The parameters of each name apart, plain ones with those of RFC 2231, and their numbers among all.
    pub(crate) fn by_name(&self) -> Vec<(Self, Vec<usize>)> {
        let base = |param: &Param| param.name.split('*').next().unwrap_or_default().to_ascii_lowercase();
        let mut named: Vec<(String, usize, &Param)> =
            self.0.iter().enumerate().map(|(n, param)| (base(param), n, param)).collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let groups = named.chunk_by(|a, b| a.0 == b.0);
        let apart = |group: &[(String, usize, &Param)]| {
            (
                Self(group.iter().map(|(_, _, param)| (*param).clone()).collect()),
                group.iter().map(|group| group.1).collect(),
            )
        };
        groups.map(apart).collect()
    }

    /// The parameter in the form of RFC 2231, where it is there in that form.
    pub(crate) fn extended(&self, name: &str) -> Option<String> {
        // Most fields have none.
        if !self.0.iter().any(|param| param.name.as_bytes().contains(&b'*')) {
            return None;
        }
        let mut sections: Vec<Section<'_>> = self.0.iter().filter_map(|param| Section::of(param, name)).collect();
        sections.sort_by_key(|section| section.number);
        // RFC 2231 §4: a single "name*" carries its charset; §3: sections count from 0 without gaps.
        let single = sections.first().is_some_and(|section| section.number.is_none());
        let sections = if single { sections.get(..1)? } else { &sections[..] };
        let mut label: Option<&str> = None;
        let mut octets = Vec::new();
        // Encoded sections are decoded together: some writers cut them within an escape.
        let mut encoded = Vec::new();
        let mut before = None;
        for section in sections {
            // Two of the same number: the first counts. Gaps are closed, as most readers do.
            if before == Some(section.number) {
                continue;
            }
            let mut value = section.value;
            if section.encoded {
                // initial-section with charset: charset "'" language "'" value. Some writers repeat it in each section, where an
                // apostrophe cannot stand for itself (RFC 2231 §7, attribute-char).
                let mut parts = value.splitn(3, |octet| *octet == b'\'');
                if let (Some(charset), Some(language), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                    let again = charset.is_empty() && language.is_empty()
                        || label.is_some_and(|label| charset.eq_ignore_ascii_case(label.as_bytes()));
                    if before.is_none() {
                        label = std::str::from_utf8(charset).ok();
                    }
                    value = if before.is_none() || again { rest } else { value };
                }
                encoded.extend_from_slice(value);
            } else {
                decode_percent(&encoded, &mut octets);
                encoded.clear();
                octets.extend_from_slice(value);
            }
            before = Some(section.number);
        }
        before?;
        decode_percent(&encoded, &mut octets);
        match label {
            Some(label) => Some(charset::decode_piece(label, &octets).into_owned()),
            None => Some(words::decode(&octets)),
        }
    }
}

/// One `name*`, `name*0`, `name*0*`.
struct Section<'a> {
    /// `None` for the form without a number.
    number: Option<u32>,
    encoded: bool,
    value: &'a [u8],
}

impl<'a> Section<'a> {
    fn of(param: &'a Param, name: &str) -> Option<Self> {
        let (own, rest) = param.name.split_once('*')?;
        if !own.eq_ignore_ascii_case(name) {
            return None;
        }
        let (number, encoded) = match rest.strip_suffix('*') {
            Some(number) => (number, true),
            None if rest.is_empty() => return Some(Self { number: None, encoded: true, value: param.value.octets() }),
            None => (rest, false),
        };
        let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
        let number = number.parse().ok().filter(|_| digits)?;
        Some(Self { number: Some(number), encoded, value: param.value.octets() })
    }
}

/// `ext-octet = "%" 2(DIGIT / "A" / … / "F")`; what is none stays as it stands.
fn decode_percent(mut value: &[u8], octets: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'%', value) {
        let (plain, rest) = value.split_at(at);
        octets.extend_from_slice(plain);
        let escape = match rest {
            [_, high, low, after @ ..] => transfer::hex(*high, *low).map(|octet| (octet, after)),
            _ => None,
        };
        let (octet, after) = escape.unwrap_or((b'%', rest.get(1..).unwrap_or_default()));
        octets.push(octet);
        value = after;
    }
    octets.extend_from_slice(value);
}

/// Writes one parameter: as a token, a quoted string, or in the form of RFC 2231 cut into sections, each piece short
/// enough for a line of 78 characters where the name is not longer than 40.
///
/// ```
/// use facteur::text::params;
///
/// assert_eq!(params::write("charset", "utf-8"), ["charset=utf-8"]);
/// assert_eq!(params::write("filename", "a b.txt"), ["filename=\"a b.txt\""]);
/// assert_eq!(params::write("filename", "é.txt"), ["filename*=utf-8''%C3%A9.txt"]);
/// ```
pub fn write(name: &str, value: &str) -> Vec<String> {
    const WIDTH: usize = 74;
    let printable = value.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    if printable && !value.is_empty() && value.bytes().all(is_token) && name.len() + value.len() < WIDTH {
        return vec![format!("{name}={value}")];
    }
    let escapes = value.bytes().filter(|octet| matches!(octet, b'"' | b'\\')).count();
    if printable && name.len() + value.len() + escapes + 3 < WIDTH && !value.contains("=?") {
        let escaped: String =
            value.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect();
        return vec![format!("{name}=\"{escaped}\"")];
    }
    // RFC 2231 §7: attribute-char = any CHAR except SPACE, CTLs, "*", "'", "%", or tspecials
    let room = WIDTH.saturating_sub(name.len() + "*000*=".len()).max(30);
    let mut pieces = vec![String::from("utf-8''")];
    for character in value.chars() {
        let mut encoded = String::new();
        for octet in character.encode_utf8(&mut [0; 4]).bytes() {
            if is_token(octet) && !matches!(octet, b'*' | b'\'' | b'%') {
                encoded.push(char::from(octet));
            } else {
                encoded.push_str(&format!("%{octet:02X}"));
            }
        }
        match pieces.last_mut() {
            Some(last) if last.len() + encoded.len() <= room => last.push_str(&encoded),
            _ => pieces.push(encoded),
        }
    }
    if let [only] = &pieces[..] {
        return vec![format!("{name}*={only}")];
    }
    pieces.iter().enumerate().map(|(n, piece)| format!("{name}*{n}*={piece}")).collect()
}

/// `token` of RFC 2045 §5.1.
pub(crate) const fn is_token(octet: u8) -> bool {
    /// One look instead of fifteen.
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut octet = b'!';
        while octet <= b'~' {
            table[octet as usize] = !matches!(
                octet,
                b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'/' | b'[' | b']' | b'?' | b'='
            );
            octet += 1;
        }
        table
    };
    TOKEN[octet as usize] // any octet is in it
}
