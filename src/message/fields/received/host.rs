//! What a trace field says of a host: its names and its address.

use std::borrow::Cow;
use std::net::IpAddr;

use super::tokens::{Piece, Text, Token, Tokens, one_line};
use crate::base::ip;
use crate::text::transfer::Set;

/// A host in a Received field.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceivedHost<'a> {
    text: Text<'a>,
    word: Piece,
    found: Found,
    /// Whether the word is what follows `from` in a comment.
    at_home: bool,
}

impl<'a> ReceivedHost<'a> {
    #[inline]
    pub(super) fn new(text: Text<'a>, word: Piece, found: Found) -> Self {
        Self { text, word, found, at_home: false }
    }

    /// Sendmail for a message made at home: `(from root@localhost)`.
    pub(super) fn at_home(text: Text<'a>) -> Option<Self> {
        let mut tokens = Tokens::new(text.octets);
        let comment = tokens.find_map(Token::comment)?;
        let octets = comment.of(text.octets).trim_ascii_end();
        let rest = octets.trim_ascii_start().strip_prefix(b"from")?;
        let begins = rest.first().is_some_and(u8::is_ascii_whitespace);
        let end = comment.from as usize + octets.len();
        let word = Piece::new(end - rest.len(), end);
        begins.then_some(Self { text, word, found: Found::default(), at_home: true })
    }

    /// The word behind `from` or `by`. Mostly what the host calls itself; qmail and Exim write the name of its address here
    /// and `HELO` in a comment.
    #[inline]
    pub fn name(&self) -> Cow<'a, str> {
        if self.at_home { one_line(self.word.of(self.text.octets)) } else { self.text.piece(self.word) }
    }

    /// What it called itself.
    #[inline]
    pub fn helo(&self) -> Option<Cow<'a, str>> {
        let said = self.found.helo.or(self.word);
        Some(self.text.piece(said)).filter(|name| !self.at_home && (self.says_helo() || !name.is_empty()))
    }

    /// The name that the server found for its address; `None` where it wrote `unknown` or nothing.
    #[inline]
    pub fn reverse(&self) -> Option<Cow<'a, str>> {
        // Where a comment says what it called itself, the word says who it is.
        let own = || Some(self.word).filter(|word| self.says_helo() && is_domain(word.of(self.text.octets)));
        self.found.reverse.some().or_else(own).map(|name| self.text.piece(name))
    }

    /// Its address, out of the TCP-info or wherever else it stands. What the client itself wrote counts only where there is
    /// nothing better: a client may say `HELO [127.0.0.1]`.
    #[inline]
    pub fn address(&self) -> Option<IpAddr> {
        let Found { inside, outside, .. } = self.found;
        // RFC 5321 §4.4: "address-literal FWS "(" TCP-info ")"", of which the server knows the second only. Where the comment says
        // what it called itself, the word is the server's too.
        let word = if self.says_helo() { outside.or(inside) } else { inside.or(outside) };
        address(word.of(self.text.octets))
    }

    fn says_helo(&self) -> bool {
        !self.found.helo.is_empty()
    }

    /// The comments behind it, outer brackets removed.
    pub fn comments(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.text.comments_in(self.found.comments)
    }
}

impl std::fmt::Debug for ReceivedHost<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivedHost")
            .field("name", &self.name())
            .field("helo", &self.helo())
            .field("reverse", &self.reverse())
            .field("address", &self.address())
            .field("comments", &self.comments().collect::<Vec<_>>())
            .finish()
    }
}

/// What is found of a host in its clause: words, empty where there are none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What its comments say that it called itself.
    helo: Piece,
    /// The first word of a comment, where it is a name.
    reverse: Piece,
    /// Its address in a comment.
    inside: Piece,
    /// Fetchmail has no comment around the address: `from a.test [192.0.2.1] by`.
    outside: Piece,
    /// From its first comment to its last.
    comments: Piece,
}

impl Found {
    /// A word of the clause that may be an address.
    #[inline]
    pub fn word(&mut self, piece: Piece, octets: &[u8]) {
        if self.outside.is_empty() && address(piece.of(octets)).is_some() {
            self.outside = piece;
        }
    }

    /// A comment, which was just read.
    #[inline]
    pub fn comment(&mut self, comment: Piece, octets: &[u8], tokens: &mut Tokens<'_>) {
        // With its brackets.
        self.comments = Piece { to: comment.to + 1, ..self.comments.or(Piece { from: comment.from - 1, ..comment }) };
        let mut first = true;
        let mut said = false;
        tokens.words_in(comment, |piece, odd| {
            let word = piece.of(octets);
            if std::mem::take(&mut said) {
                self.helo = self.helo.or(piece);
                return;
            }
            match verb(word) {
                Some(b"") => said = true,
                Some([b'=', name @ ..]) => {
                    // Its end.
                    self.helo = self.helo.or(Piece { from: piece.to - name.len() as u32, ..piece });
                }
                _ if odd => self.place(word, piece, first),
                _ if first && self.reverse.is_empty() && is_domain(word) => self.reverse = piece,
                _ => {}
            }
            first = false;
        });
    }

    /// `IDENT:user@host`, `user@192.0.2.1`, `[192.0.2.1]`
    fn place(&mut self, word: &[u8], piece: Piece, first: bool) {
        let at = word.iter().rposition(|octet| *octet == b'@').map_or(0, |at| at + 1);
        let place = word.get(at..).unwrap_or_default();
        // Comcast writes no space before the bracket: `(b.test[192.0.2.1])`.
        let bracket = place.iter().position(|octet| *octet == b'[').filter(|at| *at > 0);
        let (name, literal) = bracket.map_or((place, place), |at| place.split_at(at));
        let is_address = address(literal).is_some();
        if first && (!is_address || bracket.is_some()) && self.reverse.is_empty() && is_domain(name) {
            let from = piece.from as usize + at;
            self.reverse = Piece::new(from, from + name.len());
        }
        if is_address && self.inside.is_empty() {
            self.inside = Piece { from: piece.to - literal.len() as u32, ..piece }; // its end
        }
    }
}

/// What follows `helo` or `ehlo`: a `=` and a name, or nothing, where the name is the next word.
#[inline]
fn verb(word: &[u8]) -> Option<&[u8]> {
    let (verb, rest) = word.split_first_chunk::<4>()?;
    // In lower case: no other octet than its capital becomes a small letter by this.
    let known = matches!(verb.map(|octet| octet | 0x20), [b'h', b'e', b'l', b'o'] | [b'e', b'h', b'l', b'o']);
    (known && matches!(rest, [] | [b'=', ..])).then_some(rest)
}

/// A name with a dot in it, or localhost; `unknown` and words of prose are none.
fn is_domain(word: &[u8]) -> bool {
    /// All of ASCII that no label has in it.
    static FOREIGN: Set = Set::of(&{
        let (mut foreign, mut octet) = ([0; 128], 0_u8);
        while octet < 128 {
            if !octet.is_ascii_alphanumeric() && !matches!(octet, b'-' | b'_' | b'.') {
                foreign[octet as usize] = octet; // below 128
            }
            octet += 1;
        }
        foreign
    });
    let mut core = word;
    while let [rest @ .., b'.'] = core {
        core = rest;
    }
    let [first, rest @ ..] = core else { return false };
    let has_dot = *first != b'.' && rest.contains(&b'.');
    has_dot && FOREIGN.find(core).is_none() || word.eq_ignore_ascii_case(b"localhost")
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, either without brackets, `[192.0.2.1]:25`, `192.0.2.1:25`
fn address(word: &[u8]) -> Option<IpAddr> {
    // Most words are none.
    if !matches!(word, [b'[' | b'0'..=b'9', ..]) && !word.contains(&b':') {
        return None;
    }
    if let [b'[', plain @ .., b']'] | plain = word
        && let Some(address) = ip::ipv4(plain)
    {
        return Some(address.into());
    }
    let word = std::str::from_utf8(word).ok()?;
    let inside = match word.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => word,
    };
    let tag = inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let inside = tag.map_or(inside, |_| inside.get(5..).unwrap_or_default());
    // The zone of a link-local address (`fe80::1%11`), which Exchange writes, means something on its own host only.
    let inside = inside.split_once('%').map_or(inside, |(address, _)| address);
    let port = || inside.rsplit_once(':').filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()));
    inside.parse().ok().or_else(|| port()?.0.parse().ok())
}
