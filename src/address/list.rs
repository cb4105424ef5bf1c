//! Address lists of header fields (RFC 5322 §3.4) with the obsolete forms of §4.4: display names, groups, routes, comments.
//!
//! Reading is lenient and loses nothing: what is no address stands in the result as a [`Mailbox`] without a domain.
//! [`parse_strict`] refuses what is no list by the letter; strict addresses, as the envelope has them, are read by
//! [`Address::parse`].

use std::borrow::Cow;
use std::fmt;

use crate::address::{Address, Domain};
use crate::base::ParseError;
use crate::base::parse::octets_of;
use crate::text::params::comment_end;
use crate::text::{charset, words};

/// One element of an address list.
///
/// ```
/// use facteur::address::{Entry, list};
///
/// let to = list::parse(b"A Group:Ed Jones <joe@where.test>,john@one.test;, =?utf-8?q?Andr=C3=A9?= <a@b.test>");
/// let [Entry::Group(group), Entry::Mailbox(andre)] = &to[..] else { panic!() };
/// assert_eq!((group.name(), group.members.len()), ("A Group".into(), 2));
/// assert_eq!(andre.name().as_deref(), Some("André"));
/// assert_eq!(andre.address().unwrap().to_string(), "a@b.test");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // RFC 5322: address = mailbox / group
pub enum Entry {
    /// `mailbox`
    Mailbox(Mailbox),
    /// `group`
    Group(Group),
}

/// `mailbox = name-addr / addr-spec`, with what may stand around it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Display name, route, local part and domain, one behind the other in one block of memory; the last three are UTF-8.
    octets: Box<[u8]>,
    /// How long each is.
    raw_name: Option<usize>,
    route: Option<usize>,
    local: usize,
    /// The rest of the octets is a domain.
    has_domain: bool,
    comments: Vec<String>,
}

/// `group = display-name ":" [group-list] ";"`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The display name: quoting removed, encoded words as they stood.
    pub raw_name: Vec<u8>,
    /// The mailboxes in the group, none in `undisclosed-recipients:;`.
    pub members: Vec<Mailbox>,
    /// The comments around its name and between its members, brackets removed, in their order.
    pub comments: Vec<String>,
}

impl Mailbox {
    /// All in UTF-8 but the name.
    pub(super) fn new(
        raw_name: Option<&[u8]>,
        route: Option<&[u8]>,
        local: &[u8],
        domain: Option<&[u8]>,
        comments: Vec<String>,
    ) -> Self {
        let pieces = [raw_name.unwrap_or_default(), route.unwrap_or_default(), local, domain.unwrap_or_default()];
        Self {
            octets: pieces.concat().into_boxed_slice(),
            raw_name: raw_name.map(<[u8]>::len),
            route: route.map(<[u8]>::len),
            local: local.len(),
            has_domain: domain.is_some(),
            comments,
        }
    }

    /// The display name, decoded.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.raw_name().map(words::decode_borrowed)
    }

    /// The display name: quoting removed, encoded words as they stood. Where there is none but a comment behind the
    /// address, the comment, as old mail has it (`ada@a.test (Ada)`).
    pub fn raw_name(&self) -> Option<&[u8]> {
        self.octets.get(..self.raw_name?)
    }

    /// `obs-route` without its colon, `@a.test,@b.test`.
    pub fn route(&self) -> Option<&str> {
        let from = self.raw_name.unwrap_or(0);
        Some(self.text(from, self.route?))
    }

    /// The local part, quoting removed. Empty for `<>`, and where there is a name only.
    pub fn local(&self) -> &str {
        self.text(self.local_at(), self.local)
    }

    /// The domain as it stood, without white space and comments; `None` where there was no `@`.
    pub fn domain(&self) -> Option<&str> {
        let from = self.local_at() + self.local;
        self.has_domain.then(|| self.text(from, self.octets.len() - from))
    }

    /// The comments, brackets removed, in their order.
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// The address, where local part and domain are one that could be written in an envelope.
    pub fn address(&self) -> Option<Address> {
        let domain = Domain::parse(self.domain()?.as_bytes()).ok()?;
        Address::new(self.local(), domain).ok()
    }

    fn local_at(&self) -> usize {
        self.raw_name.unwrap_or(0) + self.route.unwrap_or(0)
    }

    fn text(&self, from: usize, len: usize) -> &str {
        let octets = self.octets.get(from..from + len).unwrap_or_default();
        std::str::from_utf8(octets).unwrap_or_default() // UTF-8 as it was put there
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("name", &self.name())
            .field("route", &self.route())
            .field("local", &self.local())
            .field("domain", &self.domain())
            .field("comments", &self.comments)
            .finish()
    }
}

impl Group {
    /// The display name, decoded.
    pub fn name(&self) -> Cow<'_, str> {
        words::decode_borrowed(&self.raw_name)
    }
}

impl Entry {
    /// The mailbox, or the mailboxes of the group.
    pub fn mailboxes(&self) -> &[Mailbox] {
        match self {
            Self::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Self::Group(group) => &group.members,
        }
    }
}

/// `local@domain` as a rule without quoting and route: for logs and comparisons, see [`Mailbox::address`] for writing.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.local())?;
        match self.domain() {
            Some(domain) => write!(f, "@{domain}"),
            None => Ok(()),
        }
    }
}

/// Reads `address-list`, with empty elements, missing commas at the end and unclosed brackets.
pub fn parse(text: &[u8]) -> Vec<Entry> {
    read(text, true)
}

/// As [`parse`]; the short way for the usual elements is left out for tests.
fn read(text: &[u8], short: bool) -> Vec<Entry> {
    let mut reader = Reader { text, at: 0, comments: true, quotes: true };
    let mut entries = Vec::new();
    let mut group: Option<Group> = None;
    loop {
        let (mailbox, end) = match short.then(|| reader.usual(group.is_some())).flatten() {
            Some((mailbox, end)) => (Ok(mailbox), end),
            None => match reader.element(group.is_some()) {
                (element, End::Group) => {
                    let comments = element.comments();
                    group = Some(Group { raw_name: element.phrase(), members: Vec::new(), comments });
                    continue;
                }
                (element, end) => (element.mailbox(), end),
            },
        };
        match (&mut group, mailbox) {
            (Some(group), Ok(mailbox)) => group.members.push(mailbox),
            (None, Ok(mailbox)) => entries.push(Entry::Mailbox(mailbox)),
            // Comments alone belong to what they stand in or behind.
            (Some(group), Err(comments)) => group.comments.extend(comments),
            (None, Err(comments)) => match entries.last_mut() {
                Some(Entry::Mailbox(mailbox)) => mailbox.comments.extend(comments),
                Some(Entry::Group(group)) => group.comments.extend(comments),
                None => {}
            },
        }
        if matches!(end, End::Semicolon | End::Text) {
            entries.extend(group.take().map(Entry::Group));
        }
        if end == End::Text {
            return entries;
        }
    }
}

/// Reads `address-list` by the letter of RFC 5322 §3.4 and §4.4: for what a person has typed, or a program is to send. Folds are
/// CRLF, UTF-8 is read (RFC 6532 §3.2).
///
/// ```
/// use facteur::address::list;
///
/// assert_eq!(list::parse_strict(b"Ada <ada@a.test>, bob@b.test")?.len(), 2);
/// assert!(list::parse_strict(b"Ada <ada@a.test").is_err());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
///
/// # Errors
/// What was expected, and where.
pub fn parse_strict(text: &[u8]) -> Result<Vec<Entry>, ParseError> {
    super::spec::address_list(text)?;
    Ok(parse(text))
}

/// What ended an element.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Comma,
    Semicolon,
    /// A colon: what came before is the name of a group.
    Group,
    Text,
}

/// A word of a phrase or of an address.
struct Word {
    octets: Vec<u8>,
    quoted: bool,
    /// White space or a comment stood before it.
    spaced: bool,
}

/// What stands between two commas, in pieces.
#[derive(Default)]
struct Element {
    words: Vec<Word>,
    /// The words inside of angle brackets.
    angle: Option<Vec<Word>>,
    comments: Vec<Vec<u8>>,
}

impl Element {
    /// The words joined, with one space where white space stood.
    fn phrase(&self) -> Vec<u8> {
        let mut phrase = Vec::new();
        for (n, word) in self.words.iter().enumerate() {
            if n > 0 && word.spaced {
                phrase.push(b' ');
            }
            phrase.extend_from_slice(&word.octets);
        }
        phrase
    }

    fn comments(&self) -> Vec<String> {
        self.comments.iter().map(|comment| words::decode(comment)).collect()
    }

    /// The mailbox; where there is none, the comments.
    fn mailbox(self) -> Result<Mailbox, Vec<String>> {
        let comments = self.comments();
        let name = Some(self.phrase()).filter(|name| !name.is_empty());
        if let Some(angle) = &self.angle {
            let (route, address) = split_route(angle);
            let (local, domain) = split_address(address);
            let comment = self.comments.last().filter(|comment| !comment.is_empty());
            let raw_name = name.as_ref().or(comment).map(Vec::as_slice);
            let [route, domain] = [&route, &domain].map(|text| text.as_deref().map(str::as_bytes));
            return Ok(Mailbox::new(raw_name, route, local.as_bytes(), domain, comments));
        }
        if self.words.is_empty() {
            return Err(comments);
        }
        let comment = self.comments.last().filter(|comment| !comment.is_empty()).map(Vec::as_slice);
        if !self.words.iter().any(|word| word.is(b'@')) {
            // No address at all. One word may be a local part, as people write it to a neighbour; more are a name.
            if let [word] = &self.words[..]
                && !word.quoted
            {
                let local = charset::guess(&word.octets);
                return Ok(Mailbox::new(comment, None, local.as_bytes(), None, comments));
            }
            let Some(name) = name else { return Err(comments) };
            return Ok(Mailbox::new(Some(&name), None, b"", None, comments));
        }
        let (local, domain) = split_address(&self.words);
        Ok(Mailbox::new(comment, None, local.as_bytes(), domain.as_deref().map(str::as_bytes), comments))
    }
}

impl Word {
    fn is(&self, special: u8) -> bool {
        !self.quoted && self.octets == [special]
    }
}

/// `obs-route = obs-domain-list ":"`
fn split_route(words: &[Word]) -> (Option<String>, &[Word]) {
    if !words.first().is_some_and(|word| word.is(b'@')) {
        return (None, words);
    }
    match words.iter().position(|word| word.is(b':')) {
        Some(colon) => {
            let (route, address) = words.split_at(colon);
            // obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain]): commas are left out at times
            let domains = route.split(|word| word.is(b'@')).skip(1);
            let domains = domains.map(|domain| domain.split(|word| word.is(b',')).map(joined).collect::<String>());
            let route = domains.map(|domain| format!("@{domain}")).collect::<Vec<_>>().join(",");
            (Some(route), address.get(1..).unwrap_or_default())
        }
        None => (None, words),
    }
}

/// `local-part "@" domain`; the last `@` outside of quotes counts.
fn split_address(words: &[Word]) -> (String, Option<String>) {
    match words.iter().rposition(|word| word.is(b'@')) {
        Some(at) => {
            let (local, domain) = words.split_at(at);
            (joined(local), Some(joined(domain.get(1..).unwrap_or_default())))
        }
        None => (joined(words), None),
    }
}

/// Words of an address, white space between them and in literals dropped (RFC 5322 §3.4.1, §4.4).
fn joined(words: &[Word]) -> String {
    let kept = |word: &Word, octet: u8| word.quoted || !octet.is_ascii_whitespace();
    let octets: Vec<u8> =
        words.iter().flat_map(|word| word.octets.iter().copied().filter(|octet| kept(word, *octet))).collect();
    charset::guess(&octets).into_owned()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Once a comment (a quoted string) was found to have no end, its sign is an ordinary octet: time stays linear.
    comments: bool,
    quotes: bool,
}

impl Reader<'_> {
    /// Reads an element that is `ada@a.test`, `Ada Lovelace <ada@a.test>` or `"Ada" <ada@a.test>` without anything that is
    /// obsolete, folded inside, escaped or a comment: most are. Gives up on all others, before the first octet of them.
    fn usual(&mut self, in_group: bool) -> Option<(Mailbox, End)> {
        let text = unspaced(self.text.get(self.at..)?);
        let (name, rest) = match text {
            [b'"', rest @ ..] if self.quotes => {
                let len = rest.iter().position(|octet| matches!(octet, b'"' | b'\\' | b'\r' | b'\n'))?;
                let (name, rest) = rest.split_at(len);
                (name, unspaced(rest.strip_prefix(b"\"")?))
            }
            _ => {
                // Words with a single space between them.
                let mut len = 0;
                loop {
                    len += word_len(text.get(len..)?);
                    match text.get(len..)? {
                        [b' ', next, ..] if !is_special(*next) => len += 1,
                        rest => break (text.get(..len)?, rest),
                    }
                }
            }
        };
        let quoted = text.first() == Some(&b'"');
        let (name, local, rest, after) = match rest {
            [b'@', rest @ ..] if !quoted && !name.contains(&b' ') => (&b""[..], name, rest, &b""[..]),
            [b'<', rest @ ..] | [b' ', b'<', rest @ ..] => {
                let (local, rest) = rest.split_at(word_len(rest));
                (name, local, rest.strip_prefix(b"@")?, &b">"[..])
            }
            _ => return None,
        };
        let (domain, rest) = rest.split_at(word_len(rest));
        let rest = unspaced(rest.strip_prefix(after)?);
        if local.is_empty() || domain.is_empty() {
            return None;
        }
        let (end, rest) = match rest {
            [] => (End::Text, rest),
            [b',', rest @ ..] => (End::Comma, rest),
            [b';', rest @ ..] if in_group => (End::Semicolon, rest),
            _ => return None,
        };
        self.at = self.text.len() - rest.len();
        let (local, domain) = (in_utf8(local), in_utf8(domain));
        let name = Some(name).filter(|name| !name.is_empty());
        let mailbox = Mailbox::new(name, None, &local, Some(&domain), Vec::new());
        Some((mailbox, end))
    }

    /// Reads up to the next comma, semicolon or group colon outside of brackets and quotes.
    fn element(&mut self, in_group: bool) -> (Element, End) {
        let mut element = Element::default();
        let mut in_angle = false;
        // Inside of a route commas separate domains: `<@a.test,@b.test:c@d.test>`.
        let mut in_route = false;
        let mut at_sign = false;
        let mut spaced = false;
        while let Some(octet) = self.text.get(self.at).copied() {
            let from = self.at;
            let seen_angle = element.angle.is_some();
            let here = match &mut element.angle {
                Some(angle) if in_angle => angle,
                _ => &mut element.words,
            };
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    spaced = true;
                    continue;
                }
                b'(' if self.comments => {
                    if let Some(end) = comment_end(self.text, from) {
                        element.comments.push(unescaped(self.text.get(from + 1..end - 1).unwrap_or_default()));
                        self.at = end;
                        spaced = true;
                        continue;
                    }
                    self.comments = false;
                    continue;
                }
                b'"' if self.quotes => match self.quoted() {
                    Some(octets) => here.push(Word { octets, quoted: true, spaced }),
                    None => {
                        self.quotes = false;
                        continue;
                    }
                },
                b'[' => {
                    // domain-literal: the colons inside are no separators
                    let rest = self.text.get(from..).unwrap_or_default();
                    let end =
                        rest.iter().skip(1).position(|octet| matches!(octet, b']' | b'[' | b',' | b'>' | b'<' | b'"'));
                    let len = match end {
                        Some(len) if rest.get(len + 1) == Some(&b']') => len + 2,
                        _ => 1,
                    };
                    let octets = rest.get(..len).unwrap_or_default().to_vec();
                    here.push(Word { octets, quoted: false, spaced });
                    self.at += len;
                }
                b',' if !in_angle => {
                    self.at += 1;
                    return (element, End::Comma);
                }
                b',' if !in_route => {
                    // A bracket that was never closed.
                    self.at += 1;
                    return (element, End::Comma);
                }
                b';' if !in_angle => {
                    self.at += 1;
                    // Outside of a group it is what some senders put between addresses.
                    return (element, if in_group { End::Semicolon } else { End::Comma });
                }
                b':' if !in_angle && !in_group && !seen_angle && !here.is_empty() && !at_sign => {
                    self.at += 1;
                    return (element, End::Group);
                }
                b'<' if !in_angle && !seen_angle => {
                    element.angle = Some(Vec::new());
                    in_angle = true;
                    self.at += 1;
                }
                b'>' if in_angle => {
                    in_angle = false;
                    self.at += 1;
                }
                b'@' | b':' | b',' | b'<' | b'>' | b';' => {
                    at_sign |= octet == b'@';
                    in_route = in_angle && (in_route && octet != b':' || octet == b'@' && here.is_empty());
                    here.push(Word { octets: vec![octet], quoted: false, spaced });
                    self.at += 1;
                }
                _ => {
                    let rest = self.text.get(from..).unwrap_or_default();
                    let len =
                        rest.iter().skip(1).position(|octet| is_special(*octet)).map_or(rest.len(), |len| len + 1);
                    let octets = rest.get(..len).unwrap_or_default().to_vec();
                    here.push(Word { octets, quoted: false, spaced });
                    self.at += len;
                }
            }
            spaced = false;
        }
        (element, End::Text)
    }

    /// `quoted-string`, quoting and folding removed; `None` where it does not end.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut octets = Vec::new();
        let mut rest = self.text.iter().enumerate().skip(self.at + 1);
        while let Some((n, octet)) = rest.next() {
            match octet {
                b'"' => {
                    self.at = n + 1;
                    return Some(octets);
                }
                b'\\' => octets.extend(rest.next().map(|(_, octet)| *octet)),
                b'\r' | b'\n' => {}
                _ => octets.push(*octet),
            }
        }
        None
    }
}

fn is_special(octet: u8) -> bool {
    const SPECIAL: [bool; 256] = octets_of(b" \t\r\n(\"[,;:<>@");
    SPECIAL[usize::from(octet)] // any octet is in it
}

/// As [`charset::guess`], most being ASCII.
fn in_utf8(octets: &[u8]) -> Cow<'_, [u8]> {
    if octets.is_ascii() {
        return Cow::Borrowed(octets);
    }
    Cow::Owned(charset::guess(octets).into_owned().into_bytes())
}

/// How many octets at the start are no special ones; form feeds stop it too, which addresses lose.
fn word_len(text: &[u8]) -> usize {
    text.iter().position(|octet| is_special(*octet) || *octet == 0x0c).unwrap_or(text.len())
}

fn unspaced(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The text of a comment, quoting and folding removed.
fn unescaped(comment: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(comment.len());
    let mut rest = comment.iter();
    while let Some(octet) = rest.next() {
        match octet {
            b'\\' => octets.extend(rest.next()),
            b'\r' | b'\n' => {}
            _ => octets.push(*octet),
        }
    }
    octets.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_way_reads_the_same() {
        let pieces = [
            "ada",
            "@",
            "a.test",
            " ",
            "<",
            ">",
            ",",
            "\"",
            "\\",
            ";",
            ":",
            "(c)",
            "\r\n ",
            "<ada@a.test>",
            "ada@a.test",
            "\"Ada, L.\" ",
            "Ada L.",
            "\u{c}",
            "é",
            "=?utf-8?q?=C3=A9?=",
            "[1]",
            "\u{feff}",
            ", ",
            "\"\"",
            "group:",
        ];
        let mut random = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(random >> 33) as usize % pieces.len()]);
            }
            assert_eq!(read(text.as_bytes(), true), read(text.as_bytes(), false), "{text:?}");
        }
    }

    /// `name|route|local|domain` of each mailbox; groups as `name[...]`.
    fn shown(text: &str) -> String {
        let mailbox = |mailbox: &Mailbox| {
            let name = mailbox.name().map_or(String::new(), |name| format!("{name} "));
            let route = mailbox.route().map_or(String::new(), |route| format!("{route}:"));
            format!("{name}<{route}{mailbox}>")
        };
        let all: Vec<String> = parse(text.as_bytes())
            .iter()
            .map(|entry| match entry {
                Entry::Mailbox(one) => mailbox(one),
                Entry::Group(group) => {
                    format!("{}[{}]", group.name(), group.members.iter().map(mailbox).collect::<Vec<_>>().join(" "))
                }
            })
            .collect();
        all.join(" ")
    }

    #[test]
    fn lists_are_read() {
        for (text, expected) in [
            ("", ""),
            (",,", ""),
            ("a@b", "<a@b>"),
            ("<a@b>", "<a@b>"),
            ("Ada <a@b>, Bob <c@d>", "Ada <a@b> Bob <c@d>"),
            (r#""Joe Q. Public" <a@b>"#, "Joe Q. Public <a@b>"),
            (r#""Giant; \"Big\" Box" <a@b>"#, "Giant; \"Big\" Box <a@b>"),
            (r#""a b"@c"#, "<a b@c>"),
            ("a@b (Ada)", "Ada <a@b>"),
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete <pete@silly.test>"),
            (
                "Mary Smith <@node.test,@b.test:mary@example.net>, x@y",
                "Mary Smith <@node.test,@b.test:mary@example.net> <x@y>",
            ),
            ("Joe <joe@[192.0.2.1]>", "Joe <joe@[192.0.2.1]>"),
            ("a@[IPv6:2001:db8::1], b@c", "<a@[IPv6:2001:db8::1]> <b@c>"),
            ("undisclosed-recipients:;", "undisclosed-recipients[]"),
            ("A Group(c) : a@b, C <c@d>;, e@f", "A Group[<a@b> C <c@d>] <e@f>"),
            ("john . public @ example . org", "<john.public@example.org>"),
            // what senders do wrong
            ("a@b; c@d", "<a@b> <c@d>"),
            ("Ada <a@b", "Ada <a@b>"),
            ("Ada <a@b, c@d", "Ada <a@b> <c@d>"),
            ("\"Ada <a@b>", "\"Ada <a@b>"),
            ("(Ada <a@b>", "(Ada <a@b>"),
            ("J. Doe <a@b>", "J. Doe <a@b>"),
            ("a@b <c@d>", "a@b <c@d>"),
            ("nobody", "<nobody>"),
            ("Ada Lovelace", "Ada Lovelace <>"),
            ("a@b ()", "<a@b>"),
            ("\"\" <a@b>", "<a@b>"),
            ("<>", "<>"),
            ("<ada>", "<ada>"),
            ("g: a@b", "g[<a@b>]"),
            ("g:h:a@b;", "g[<h:a@b>]"),
            ("=?utf-8?q?Andr=C3=A9?= P. <a@b>", "André P. <a@b>"),
            ("[Ticket 1] <a@b>", "[Ticket 1] <a@b>"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    /// RFC 5322 §A.5
    #[test]
    fn comments_stay_with_what_they_are_about() {
        let list = parse(b"A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,(none),\r\n joe@example.org; (the end)");
        let [Entry::Group(group)] = &list[..] else { panic!("{list:?}") };
        assert_eq!(group.comments, ["Some people", "none", "the end"]);
        assert_eq!((&*group.name(), group.members.len()), ("A Group", 2));
        assert_eq!(group.members[0].comments(), ["Chris's host."]);
        let list = parse(b"(Empty list)(start)Hidden recipients :(nobody(that I know)) ;");
        let [Entry::Group(group)] = &list[..] else { panic!("{list:?}") };
        assert_eq!(group.comments, ["Empty list", "start", "nobody(that I know)"]);
        assert_eq!(parse(b"(only a comment)"), []);
    }

    #[test]
    fn unclosed_brackets_take_linear_time() {
        for piece in ["(", "\"", "<", "[", "(a \"b <c [d", "<@a,", "a ", ":", "@:", "<a>", ";"] {
            parse(piece.repeat(100_000).as_bytes());
        }
    }
}
