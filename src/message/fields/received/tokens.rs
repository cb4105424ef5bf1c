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

/// From one token to another, to be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub piece: Piece,
    /// Whether quotes count in it.
    pub quotes: bool,
}

impl Span {
    /// The first `end` octets, of a text that has no more.
    pub fn whole(end: usize) -> Self {
        Self { piece: Piece::new(0, end), quotes: true }
    }

    /// Goes on to the token that was just read, which began at `from`.
    #[inline]
    pub fn extend(&mut self, from: u32, tokens: &Tokens<'_>) {
        if self.piece.to == 0 {
            (self.piece.from, self.quotes) = (from, tokens.quotes);
        }
        self.piece.to = tokens.at as u32; // as all places
    }
}

/// The clauses of a field, and what they are as text: looked at once, for all their pieces.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub octets: &'a [u8],
    /// `None` where it is not UTF-8.
    text: Option<&'a str>,
}

impl<'a> Text<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { octets, text: charset::utf8_text(octets) }
    }

    /// As [`charset::guess`] has it.
    #[inline]
    pub fn piece(self, piece: Piece) -> Cow<'a, str> {
        match self.text.and_then(|text| text.get(piece.from as usize..piece.to as usize)) {
            Some(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
            None => charset::guess(piece.of(self.octets)),
        }
    }

    /// The words in a piece.
    pub fn words(self, span: Span) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let octets = span.piece.of(self.octets);
        Tokens::again(octets, span).filter_map(Token::word).map(|word| word.of(octets))
    }

    /// The comments in a piece, outer brackets removed, each on one line.
    pub fn comments(self, span: Span) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let octets = span.piece.of(self.octets);
        Tokens::again(octets, span).filter_map(Token::comment).map(|comment| one_line(comment.of(octets)))
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

/// What may end a word, a comment, or a word in a comment.
static MARKS: Set = Set::of(b";()\"\\, \t\r\n\x0c");

pub(super) struct Tokens<'a> {
    text: &'a [u8],
    pub at: usize,
    marks: Places<'a>,
    /// Once one was found without an end, brackets and quotes are ordinary octets: time stays linear.
    comments: bool,
    pub quotes: bool,
}

impl<'a> Tokens<'a> {
    /// Of 32 bits of octets at the most.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, marks: Places::new(text, &MARKS), comments: true, quotes: true }
    }

    /// Of a piece that was read before.
    fn again(text: &'a [u8], span: Span) -> Self {
        Self { quotes: span.quotes, ..Self::new(text) }
    }

    /// The next one. Inlined into the one place where it counts, the rest has the iterator.
    #[inline(always)]
    pub fn token(&mut self) -> Option<Token> {
        loop {
            let from = self.at;
            match self.text.get(from)? {
                b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' => self.at += 1,
                b';' => {
                    self.at += 1;
                    return Some(Token::Semicolon);
                }
                b'(' if self.comments => match self.comment_end(from) {
                    Some(end) => {
                        self.at = end;
                        return Some(Token::Comment(Piece::new(from + 1, end - 1))); // between its brackets
                    }
                    None => self.comments = false,
                },
                // A bracket that nothing closes is passed over: `(by a.test`.
                b'(' => self.at += 1,
                _ => break,
            }
        }
        let from = self.at;
        loop {
            self.at = self.marks.next(self.at);
            match self.text.get(self.at) {
                None | Some(b';' | b' ' | b'\t' | b'\r' | b'\n' | b'\x0c') => break,
                Some(b'(') if self.comments && self.at > from => break,
                Some(b'"') if self.quotes => match self.quoted_end(self.at) {
                    Some(end) => self.at = end,
                    None => self.quotes = false,
                },
                Some(_) => self.at += 1,
            }
        }
        Some(Token::Word(Piece::new(from, self.at)))
    }

    /// The words in a comment, which was just read.
    #[inline]
    pub fn words_in(&mut self, comment: Piece, mut found: impl FnMut(Piece)) {
        let (mut from, mut at, to) = (comment.from as usize, comment.from as usize, comment.to as usize);
        while from < to {
            at = self.marks.next(at).min(to);
            if at < to && matches!(self.text.get(at), Some(b'"' | b'\\')) {
                at += 1;
                continue;
            }
            if from < at {
                found(Piece::new(from, at));
            }
            at += 1;
            from = at;
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

    /// Behind the quoted string that begins at `at`.
    fn quoted_end(&self, at: usize) -> Option<usize> {
        let mut octets = self.text.iter().enumerate().skip(at + 1);
        while let Some((n, octet)) = octets.next() {
            match octet {
                b'"' => return Some(n + 1),
                b'\\' => drop(octets.next()),
                _ => {}
            }
        }
        None
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.token()
    }
}
