//! The words, comments and semicolons of a trace field.

use std::borrow::Cow;

use crate::text::charset;
use crate::text::places::Places;
use crate::text::transfer::Set;

/// From where to where in the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub from: u32,
    pub to: u32,
}

impl Piece {
    /// Of a text that has 32 bits of octets at the most.
    pub fn new(from: usize, to: usize) -> Self {
        Self { from: from as u32, to: to as u32 } // as the caller says
    }

    pub fn is_empty(self) -> bool {
        self.from >= self.to
    }

    /// Nothing where it is empty.
    pub fn some(self) -> Option<Self> {
        Some(self).filter(|piece| !piece.is_empty())
    }

    /// Another where it is empty.
    pub fn or(self, other: Self) -> Self {
        if self.is_empty() { other } else { self }
    }

    pub fn of(self, octets: &[u8]) -> &[u8] {
        octets.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

/// The clauses of a field, and what they are as text: looked at once, for all their pieces.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub octets: &'a [u8],
    /// `None` where it is not UTF-8.
    text: Option<&'a str>,
    /// Where the word begins from which on quotes are ordinary octets.
    unquoted: usize,
}

impl<'a> Text<'a> {
    pub fn new(octets: &'a [u8], unquoted: usize) -> Self {
        Self { octets, text: charset::utf8_text(octets), unquoted }
    }

    /// As [`charset::guess`] has it.
    #[inline]
    pub fn piece(self, piece: Piece) -> Cow<'a, str> {
        match self.text.and_then(|text| text.get(piece.from as usize..piece.to as usize)) {
            Some(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
            None => charset::guess(piece.of(self.octets)),
        }
    }

    /// The words in a piece that goes from one token to another.
    pub fn words(self, piece: Piece) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let octets = piece.of(self.octets);
        self.again(piece).filter_map(Token::word).map(|word| word.of(octets))
    }

    /// All comments, outer brackets removed, each on one line.
    pub fn comments(self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        Tokens::new(self.octets).comments()
    }

    /// The comments in such a piece.
    pub fn comments_in(self, piece: Piece) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.again(piece).comments()
    }

    fn again(self, piece: Piece) -> Tokens<'a> {
        let unquoted = if (piece.from as usize) < self.unquoted { usize::MAX } else { 0 };
        Tokens { unquoted, ..Tokens::new(piece.of(self.octets)) }
    }
}

/// Runs of white space as single spaces.
pub(super) fn one_line(octets: &[u8]) -> Cow<'_, str> {
    let octets = octets.trim_ascii();
    let odd =
        |pair: &[u8]| pair.iter().all(u8::is_ascii_whitespace) || pair.iter().any(|octet| matches!(octet, 9..=13));
    if !octets.windows(2).any(odd) {
        return charset::guess(octets);
    }
    let words: Vec<&[u8]> = octets.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    Cow::Owned(charset::guess(&words.join(&b' ')).into_owned())
}

pub(super) enum Token {
    Word(Piece),
    /// Outer brackets removed.
    Comment(Piece),
    Semicolon,
}

impl Token {
    fn word(self) -> Option<Piece> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }

    pub fn comment(self) -> Option<Piece> {
        if let Self::Comment(comment) = self { Some(comment) } else { None }
    }
}

/// What may end a word, a comment, or a word in a comment; and what makes a word odd.
static MARKS: Set = Set::of(b";()\"\\, \t\r\n\x0c@[:");

pub(super) struct Tokens<'a> {
    text: &'a [u8],
    pub at: usize,
    marks: Places<'a>,
    /// Once one was found without an end, brackets are ordinary octets: time stays linear.
    comments: bool,
    /// So are quotes, from the word on that begins here.
    pub unquoted: usize,
    /// Whether the word that was just read may hold an address, or more than a name.
    pub odd: bool,
}

impl<'a> Tokens<'a> {
    /// Of 32 bits of octets at the most.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, marks: Places::new(text, &MARKS), comments: true, unquoted: usize::MAX, odd: false }
    }

    /// The next one. Inlined into the one place where it counts, the rest has the iterator.
    #[inline(always)]
    pub fn token(&mut self) -> Option<Token> {
        let mut from = self.at;
        loop {
            let octet = *self.text.get(from)?;
            if !is_among(WHITE, octet) {
                match octet {
                    b';' => {
                        self.at = from + 1;
                        return Some(Token::Semicolon);
                    }
                    b'(' if self.comments => match self.comment_end(from) {
                        Some(end) => {
                            self.at = end;
                            return Some(Token::Comment(Piece::new(from + 1, end - 1))); // between its brackets
                        }
                        // A bracket that nothing closes is passed over: `(by a.test`.
                        None => self.comments = false,
                    },
                    b'(' => {}
                    _ => break,
                }
            }
            from += 1;
        }
        let mut at = from;
        self.odd = begins_odd(self.text.get(from));
        loop {
            at = self.marks.next(at);
            let Some(mark) = self.text.get(at).copied() else { break };
            if is_among(WHITE | bit(b';'), mark) || mark == b'(' && self.comments && at > from {
                break;
            }
            if mark == b'"' && from < self.unquoted {
                match quoted_end(self.text, at) {
                    Some(end) => at = end,
                    None => self.unquoted = from,
                }
                continue;
            }
            self.odd |= is_odd(mark);
            at += 1;
        }
        self.at = at;
        Some(Token::Word(Piece::new(from, at)))
    }

    fn comments(self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let text = self.text;
        self.filter_map(Token::comment).map(|comment| one_line(comment.of(text)))
    }

    /// The words in a comment, which was just read, and whether each may hold an address, or more than a name.
    #[inline]
    pub fn words_in(&mut self, comment: Piece, mut found: impl FnMut(Piece, bool)) {
        let (mut from, mut at, to) = (comment.from as usize, comment.from as usize, comment.to as usize);
        let mut odd = false;
        while from < to {
            at = self.marks.next(at).min(to);
            if at < to
                && let Some(mark @ (b'"' | b'\\' | b'@' | b'[' | b':')) = self.text.get(at)
            {
                odd |= is_odd(*mark);
                at += 1;
                continue;
            }
            if from < at {
                found(Piece::new(from, at), odd | begins_odd(self.text.get(from)));
            }
            at += 1;
            (from, odd) = (at, false);
        }
    }

    /// Behind the comment that begins at `at`. Comments nest; the depth is counted, not recursed.
    #[inline]
    fn comment_end(&mut self, mut at: usize) -> Option<usize> {
        let mut depth = 0_usize;
        loop {
            at = self.marks.next(at);
            match self.text.get(at)? {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1; // the first octet is an opening bracket
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                // What follows a backslash means nothing.
                b'\\' => at += 1,
                _ => {}
            }
            at += 1;
        }
    }
}

/// Behind the quoted string that begins at `at`.
#[inline(never)]
fn quoted_end(text: &[u8], at: usize) -> Option<usize> {
    let mut octets = text.iter().enumerate().skip(at + 1);
    while let Some((n, octet)) = octets.next() {
        match octet {
            b'"' => return Some(n + 1),
            b'\\' => drop(octets.next()),
            _ => {}
        }
    }
    None
}

const WHITE: u64 = bit(b' ') | bit(b'\t') | bit(b'\r') | bit(b'\n') | bit(b'\x0c');

/// Of one of the first 64 octets.
const fn bit(octet: u8) -> u64 {
    1 << octet // as the callers say
}

/// Whether an octet is one of these; a `match` would become a jump that nobody can foretell.
#[inline]
fn is_among(bits: u64, octet: u8) -> bool {
    octet < 64 && bits >> octet & 1 == 1
}

/// What addresses have in them, and places.
#[inline]
fn is_odd(mark: u8) -> bool {
    matches!(mark, b'@' | b'[' | b':')
}

#[inline]
fn begins_odd(first: Option<&u8>) -> bool {
    first.is_some_and(u8::is_ascii_digit)
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.token()
    }
}
