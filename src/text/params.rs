//! Parameters of MIME fields (RFC 2045 §5.1) with the continuations and charsets of RFC 2231, both ways.
//!
//! Reading takes what senders write: missing quotes, comments, encoded words inside quotes, no semicolon at the end. Where
//! a parameter is there both plain and in the form of RFC 2231, the latter counts: the plain one is the fallback for old
//! readers.

use std::borrow::Cow;

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::text::places::Places;
use crate::text::transfer::Set;
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

/// Each parameter of a text: where it stands, its name, its value without quotes.
fn each<'a>(text: &'a [u8], mut found: impl FnMut(usize, &'a [u8], Cow<'a, [u8]>)) {
    let mut reader = Reader { text, at: 0, comments: true };
    reader.word();
    while reader.skip_semicolons() {
        let before = reader.at;
        let name = reader.name();
        if reader.peek() != Some(b'=') {
            // Something else; and where nothing was read, at least one octet of it.
            reader.at = reader.at.max(before + 1);
            reader.word();
            continue;
        }
        reader.at += 1;
        let value = reader.value();
        if !name.is_empty() {
            found(before, name, value);
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

/// Reads tokens, quoted strings and comments.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Once one comment was found to have no end, brackets are ordinary octets: time stays linear.
    comments: bool,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over CFWS, form feeds among it.
    fn skip_cfws(&mut self) {
        loop {
            self.comments = self.comments && skip_cfws(self.text, &mut self.at);
            let blank = self.rest().iter().take_while(|octet| octet.is_ascii_whitespace()).count();
            self.at += blank;
            if blank == 0 {
                return;
            }
        }
    }

    /// Passes over semicolons and CFWS; whether anything follows.
    fn skip_semicolons(&mut self) -> bool {
        self.skip_cfws();
        while self.peek() == Some(b';') {
            self.at += 1;
            self.skip_cfws();
        }
        self.peek().is_some()
    }

    /// Passes over what stands before the next semicolon, or before a parameter where the semicolon was left out.
    fn word(&mut self) {
        while let Some(octet) = self.peek() {
            match octet {
                b';' => return,
                _ if octet.is_ascii_whitespace() => {
                    let rest = self.rest();
                    if begins_parameter(rest) {
                        return;
                    }
                    // All of the run at once: to ask again within it would take quadratic time.
                    self.at += rest.len() - rest.trim_ascii_start().len();
                }
                b'"' => drop(self.quoted()),
                b'(' => {
                    let before = self.at;
                    self.skip_cfws();
                    self.at = self.at.max(before + 1);
                }
                _ => self.at += 1,
            }
        }
    }

    fn name(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|octet| matches!(octet, b'=' | b';' | b'(' | b'"') || octet.is_ascii_whitespace())
            .unwrap_or(rest.len());
        self.at += len;
        self.skip_cfws();
        rest.get(..len).unwrap_or_default()
    }

    fn value(&mut self) -> Cow<'a, [u8]> {
        self.skip_cfws();
        if self.peek() == Some(b'"') {
            let value = self.quoted();
            // What stands between the quote and the semicolon is no part of it.
            self.word();
            return value;
        }
        // A value without quotes goes to the semicolon, whatever it holds, or to the next parameter; a comment at its end
        // does not belong to it.
        let rest = self.rest();
        let plain = rest.iter().position(|octet| *octet == b';' || octet.is_ascii_whitespace()).unwrap_or(rest.len());
        if matches!(rest.get(plain), None | Some(b';')) {
            self.at += plain;
            return Cow::Borrowed(rest.get(..plain).unwrap_or_default());
        }
        // Up to whatever ends it and no further, for each of many values without semicolons would be looked for up to the end of
        // the text. Only where runs of white space begin: to ask within them too would take quadratic time.
        let mut blank = false;
        let cut = rest.iter().enumerate().find_map(|(at, octet)| {
            let before = std::mem::replace(&mut blank, octet.is_ascii_whitespace());
            if *octet == b';' {
                return Some((at, false));
            }
            let behind = rest.get(at..).filter(|_| blank && !before)?;
            let comment = behind.trim_ascii_start().starts_with(b"(");
            (comment || begins_parameter(behind)).then_some((at, comment))
        });
        let (len, comment) = cut.unwrap_or((rest.len(), false));
        let behind = rest.get(len..).unwrap_or_default();
        self.at += len;
        if comment {
            self.at += behind.iter().position(|octet| *octet == b';').unwrap_or(behind.len());
        }
        unfolded(rest.get(..len).unwrap_or_default().trim_ascii_end())
    }

    /// `quoted-string`; the end of the text ends it too. Folding inside is unfolded.
    fn quoted(&mut self) -> Cow<'a, [u8]> {
        self.at += 1;
        let rest = self.rest();
        let plain = rest.iter().position(|octet| matches!(octet, b'"' | b'\\' | b'\r' | b'\n')).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(plain);
        self.at += plain;
        if let [] | [b'"', ..] = rest {
            self.at += usize::from(!rest.is_empty());
            return Cow::Borrowed(value);
        }
        let mut value = value.to_vec();
        while let Some(octet) = self.peek() {
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    // Windows senders put paths inside without doubling the backslash; it is an escape all the same. What is
                    // folded is unfolded first.
                    self.at += self.rest().iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
                    value.extend(self.peek());
                    self.at += 1;
                }
                b'\r' | b'\n' => {}
                _ => value.push(octet),
            }
        }
        Cow::Owned(value)
    }
}

/// A value without quotes, as it stands but for its folds (RFC 5322 §2.2.3).
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'\r', b'\n', value) {
        None => Cow::Borrowed(value),
        Some(_) => value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect(),
    }
}

/// The text of a parameter where the whole field is as RFC 2045 §5.1 has it, which most are: tokens, and quoted strings of
/// printable ASCII. Without memory; `None` where escapes, comments, encoded words, the stars of RFC 2231 or faults ask for
/// [`Params`].
pub(crate) fn simple<'a>(field: &'a [u8], name: &str) -> Option<Option<&'a str>> {
    let field = ODD.none_in(field)?;
    let octets = field.as_bytes();
    let unspaced = |at: usize| {
        let rest = octets.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).count()
    };
    let mut found = None;
    let mut ends = Places::new(octets, &ENDS);
    // The media type.
    let mut at = unspaced(ends.next(unspaced(0)));
    while octets.get(at) == Some(&b';') {
        let own = unspaced(at + 1);
        at = ends.next(own);
        if at == own {
            continue;
        }
        let own = octets.get(own..at)?;
        let [b'=', value @ ..] = octets.get(at..)? else { return None };
        let quoted = usize::from(value.starts_with(b"\""));
        let value = at + 1 + quoted;
        at = ends.next(value);
        // A quoted string has printable ASCII in it, any other value is no longer than to the next white space.
        while let Some(b'=' | b' ' | b';') = octets.get(at).filter(|octet| quoted == 1 || **octet == b'=') {
            at = ends.next(at + 1);
        }
        if found.is_none() && own.eq_ignore_ascii_case(name.as_bytes()) {
            found = field.get(value..at);
        }
        if quoted == 1 && octets.get(at) != Some(&b'"') {
            return None;
        }
        at = unspaced(at + quoted);
    }
    (at == octets.len()).then_some(found)
}

/// What ends the pieces of a field that is as it should be.
static ENDS: Set = Set::of(b" \t\r\n;=\"");
/// What makes it another: escapes, comments, encoded words, stars, controls.
static ODD: Set = Set::of(
    b"\\(?*\0\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f",
);

/// Whether white space is followed by `name =`.
fn begins_parameter(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    let len = rest.iter().position(|octet| !is_token(*octet)).unwrap_or(rest.len());
    len > 0 && rest.get(len..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

/// Passes over white space and comments (RFC 5322 §3.2.2). A comment that does not end is not passed over, and the
/// answer is `false`: asking again further on could take quadratic time.
pub(crate) fn skip_cfws(text: &[u8], at: &mut usize) -> bool {
    while let Some(octet) = text.get(*at) {
        match octet {
            b' ' | b'\t' | b'\r' | b'\n' => *at += 1,
            b'(' => match comment_end(text, *at) {
                Some(end) => *at = end,
                None => return false,
            },
            _ => return true,
        }
    }
    true
}

/// The octet behind the comment that begins at `at`. Comments nest; the depth is counted, not recursed.
pub(crate) fn comment_end(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = at;
    loop {
        at += memchr::memchr3(b'(', b')', b'\\', text.get(at..)?)?;
        match text.get(at) {
            Some(b'(') => depth += 1,
            Some(b')') => {
                depth -= 1; // the first octet is an opening bracket
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            // What follows a backslash means nothing.
            _ => at += 1,
        }
        at += 1;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> Option<String> {
        Params::parse(text.as_bytes()).value(name)
    }

    /// Other readers would not know it either.
    #[test]
    fn a_name_with_a_byte_order_mark_is_another() {
        for mark in ["", "\u{feff}"] {
            let params = format!("; {mark}name=a; {mark}boundary*=us-ascii''b");
            for (name, expected) in [("name", "a"), ("boundary", "b")] {
                assert_eq!(value(&params, name).as_deref(), Some(expected).filter(|_| mark.is_empty()), "{params}");
            }
        }
    }

    #[test]
    fn parameters_are_read_as_senders_write_them() {
        for (text, name, expected) in [
            ("text/plain; charset=us-ascii", "charset", Some("us-ascii")),
            ("text/plain; charset=\"us-ascii\" (Plain text)", "charset", Some("us-ascii")),
            ("text/plain; charset=us-ascii (Plain text)", "charset", Some("us-ascii")),
            ("a/b;CHARSET = x ;", "charset", Some("x")),
            ("a/b; ;; name=\"a;b\"; c=d", "c", Some("d")),
            ("a/b; name=\"a;b\"; c=d", "name", Some("a;b")),
            ("a/b; name=my file.pdf; x=y", "name", Some("my file.pdf")),
            ("a/b; name=\"open", "name", Some("open")),
            ("a/b; name=\"a\\\"b\"", "name", Some("a\"b")),
            ("a/b; name=\"=?utf-8?q?=C3=A9?=\"", "name", Some("é")),
            ("a/b; name==?utf-8?q?=C3=A9?=", "name", Some("é")),
            ("a/b; name=", "name", Some("")),
            ("a/b; name", "name", None),
            ("a/b (; name=x)", "name", None),
            ("a/b; x (c) = (d) y", "x", Some("y")),
            ("a/b; n=plain; n*=utf-8''%C3%A9", "n", Some("é")),
            ("a/b; n*=utf-8''%C3%A9; n=plain", "n", Some("é")),
            ("a/b; n*1=b; n*0=a; n*2=c", "n", Some("abc")),
            ("a/b; n*0=a; n*2=c", "n", Some("ac")),
            ("a/b; n*0=a; n*0=b; n*1=c", "n", Some("ac")),
            ("a/b; n*1=a", "n", Some("a")),
            ("a/b; n*x=a", "n", None),
            // no semicolons
            ("a/b; x=y\n n=\"c d\" m=e", "n", Some("c d")),
            ("a/b; x=y\n n=\"c d\" m=e", "m", Some("e")),
            ("a/b n*0=c n*1=d", "n", Some("cd")),
            ("a/b; n=c d e=f", "n", Some("c d")),
            ("a/b; n=c d e=f", "e", Some("f")),
            ("a/b; n==?utf-8?q?c d?= x", "n", Some("c d x")),
            ("a/b; n*=no-quotes", "n", Some("no-quotes")),
            ("a/b; n*=%zz%4", "n", Some("%zz%4")),
            ("a/b; n*0*=utf-8''%C3; n*1*=%A9", "n", Some("é")),
            ("a/b; n*0*=utf-8''a%2; n*1*=0b%C; n*2*=3%A9", "n", Some("a bé")),
            ("a/b; n*0*=utf-8''%C3; n*1=\"%A9\"", "n", Some("\u{fffd}%A9")),
            // the charset in each section
            ("a/b; n*0*=utf-8''%C3; n*1*=UTF-8''%A9; n*2*=utf-8'en'x", "n", Some("éx")),
            ("a/b; n*0*=utf-8''a; n*1*=''b; n*2*=c''d; n*3=utf-8''e", "n", Some("abc''dutf-8''e")),
            // folds
            ("a/b; n=c\r\n d\r\n\te; m=f", "n", Some("c d\te")),
            ("a/b; n=\"c\\\r\n d\"", "n", Some("c d")),
            ("a/b; n*0*=utf-8''a%20; n*1=b%20; n*2*=c%20", "n", Some("a b%20c ")),
        ] {
            assert_eq!(value(text, name).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn values_keep_their_octets() {
        let long = "x".repeat(100);
        for (text, octets) in [
            (&b"a/b; n=caf\xe9"[..], &b"caf\xe9"[..]),
            (b"a/b; n=\"caf\xe9\r\n \\\"\"", b"caf\xe9 \""),
            (b"a/b; n=\"caf\xc3\xa9", b"caf\xc3\xa9"),
            (b"a/b; n=\"\"; n=x", b""),
            (b"a/b; n=\"a\"b; n=x", b"a"),
            (format!("a/b; n={long} ;").as_bytes(), long.as_bytes()),
        ] {
            let params = Params::parse(text);
            assert_eq!(params.octets("N"), Some(octets), "{}", text.escape_ascii());
            assert_eq!(params.text("n").map(Cow::into_owned), params.value("n"));
        }
        assert_eq!(Params::parse(b"a/b; n=caf\xe9").value("n").as_deref(), Some("caf\u{e9}"));
    }

    /// Each would take minutes in quadratic time.
    #[test]
    fn many_values_without_semicolons_take_linear_time() {
        for piece in ["n=b ", " n = b", "n=b\r\n\t", "n =\tb (c) "] {
            let text = format!("a/b; {}", piece.repeat(50_000));
            assert_eq!(value(&text, "n").as_deref(), Some("b"), "{piece:?}");
        }
    }

    /// Each would take minutes in quadratic time.
    #[test]
    fn long_runs_of_white_space_take_linear_time() {
        for before in ["a/b; ", "a/b", "a/b; n=c", "a/b; n=\"c\""] {
            for blank in [" ", "\x0c", "\r\n\t"] {
                let text = format!("{before}{} n=d", blank.repeat(200_000));
                let expected = if before.contains("n=") { "c" } else { "d" };
                assert_eq!(value(&text, "n").as_deref(), Some(expected), "{before:?} {blank:?}");
            }
        }
    }

    #[test]
    fn the_simple_way_says_the_same_or_nothing() {
        for (text, simple) in [
            ("text/plain", Some(None)),
            (" text/plain;", Some(None)),
            ("text/plain; charset=utf-8", Some(Some("utf-8"))),
            ("text/plain;charset=\"us ascii\" ;; x=y\r\n", Some(Some("us ascii"))),
            ("a/b;\r\n\tx=\"; charset=no\"; CharSet=x/y.z:1; charset=second", Some(Some("x/y.z:1"))),
            ("a/b; charset=", Some(Some(""))),
            ("a/b; charset=x y", None),
            ("a/b; charset=x (comment)", None),
            ("a/b charset=x", None),
            ("a / b; charset=x", None),
            ("a/b; charset*=x", None),
            ("a/b; charset*0=x", None),
            ("a/b; charset = x", None),
            ("a/b; charset=\"x", None),
            ("a/b; charset=\"x\" y", None),
            ("a/b; charset=\"x\\y\"", None),
            ("a/b; charset=\"x\r\n y\"", None),
            ("a/b; charset==?utf-8?q?x?=", None),
            ("a/b; charset=\u{e9}", None),
            ("a/b; charset", None),
        ] {
            let read = super::simple(text.as_bytes(), "charset");
            assert_eq!(read, simple, "{text}");
            if let Some(read) = read {
                assert_eq!(read, value(text, "charset").as_deref(), "{text}");
            }
        }
        // The first of them are what fields of this form have.
        let long = "long".repeat(20);
        let pieces = [
            "; charset=utf-8",
            ";x=y",
            "; ",
            ";",
            "\r\n ",
            ";\tcharset=",
            "\"a;b =c\"",
            "x",
            &long,
            "=",
            " ",
            "\"",
            "/",
            "charset",
            "\t",
            "<@,:[]>",
            ")",
            "(",
            "\\",
            "?",
            "*",
            "\u{c}",
            "\0",
            "é",
        ];
        let (mut random, mut read) = (1_u64, 0);
        for round in 0..20_000 {
            let mut text = String::from("a/b");
            for _ in 0..round % 8 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(random >> 33) as usize % if round % 5 == 0 { pieces.len() } else { 9 }]);
            }
            if let Some(simple) = super::simple(text.as_bytes(), "charset") {
                assert_eq!(simple, value(&text, "charset").as_deref(), "{text:?}");
                read += 1;
            }
        }
        assert!(read > 1000, "{read}");
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "",
            "a",
            "a b",
            "a\"b\\c",
            "é",
            "a=?b",
            "100%",
            "it's",
            &"日本語".repeat(40),
            &"x".repeat(300),
            &"\"".repeat(50),
            "a\tb",
        ] {
            let written = write("filename", text);
            assert!(written.iter().all(|piece| piece.len() <= 77), "{written:?}");
            let field = format!("attachment; {}", written.join("; "));
            assert_eq!(value(&field, "filename").as_deref(), Some(text), "{field}");
        }
    }
}
