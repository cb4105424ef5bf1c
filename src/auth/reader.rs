//! Words, comments and quoted strings of fields that say what was found out (RFC 5322 §3.2, RFC 8601 §2.2): read tolerantly, in
//! one pass and without recursion.

/// Where in the text the reading is.
pub(in crate::auth) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(in crate::auth) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The octet that is read next, counted from 0.
    pub(in crate::auth) fn at(&self) -> usize {
        self.at
    }

    pub(in crate::auth) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(in crate::auth) fn eat(&mut self, octet: u8) -> Option<()> {
        (self.peek() == Some(octet)).then(|| self.at += 1)
    }

    /// `[CFWS]`: white space and comments. Gives the text of the first comment.
    pub(in crate::auth) fn cfws(&mut self) -> Option<String> {
        let mut first = None;
        loop {
            match self.peek() {
                Some(octet) if octet.is_ascii_whitespace() => self.at += 1,
                Some(b'(') => {
                    let comment = self.comment();
                    first = first.or(comment);
                }
                _ => return first,
            }
        }
    }

    /// A comment with those in it, which are counted and not recursed into; one without an end goes to that of the field.
    fn comment(&mut self) -> Option<String> {
        let mut depth = 0usize;
        let mut text = Vec::new();
        while let Some(octet) = self.peek() {
            self.at += 1;
            match octet {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                b')' => {
                    depth -= 1; // a comment begins with "("
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    text.extend(self.peek());
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            text.push(octet);
        }
        unfolded(text)
    }

    /// `Keyword`, with the underscore that some properties have.
    pub(in crate::auth) fn keyword(&mut self) -> Option<String> {
        let rest = self.text.get(self.at..)?;
        let is_letter = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        let word = rest.get(..rest.iter().take_while(|octet| is_letter(octet)).count())?;
        self.at += word.len();
        (!word.is_empty()).then(|| String::from_utf8_lossy(word).into_owned()) // ASCII, as just seen
    }

    pub(in crate::auth) fn number(&mut self) -> Option<u32> {
        let start = self.at;
        while self.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            self.at += 1;
        }
        std::str::from_utf8(self.text.get(start..self.at)?).ok()?.parse().ok()
    }

    /// `value`, or a `pvalue` with `@` in it: a quoted string, or all up to white space or one of `ends`. A quoted string with
    /// more at its end is a local part, and stays in its quotes.
    pub(in crate::auth) fn value(&mut self, ends: &[u8]) -> Option<String> {
        let start = self.at;
        let mut unquoted = None;
        if self.peek() == Some(b'"') {
            unquoted = Some(self.quoted()?);
        }
        let quoted_to = self.at;
        while self.peek().is_some_and(|octet| !octet.is_ascii_whitespace() && !ends.contains(&octet)) {
            self.at += 1;
        }
        if self.at > quoted_to || unquoted.is_none() {
            unquoted = unfolded(self.text.get(start..self.at)?.to_vec());
        }
        unquoted
    }

    /// `quoted-string`; `None` where it has no end, and then nothing of it is read: what stands behind it counts.
    fn quoted(&mut self) -> Option<String> {
        let start = self.at;
        let text = self.quoted_to_its_end();
        if text.is_none() {
            self.at = start;
        }
        text
    }

    fn quoted_to_its_end(&mut self) -> Option<String> {
        self.eat(b'"')?;
        let mut text = Vec::new();
        loop {
            let octet = self.peek()?;
            self.at += 1;
            match octet {
                b'"' => return unfolded(text),
                b'\\' => {
                    text.push(self.peek()?);
                    self.at += 1;
                }
                octet => text.push(octet),
            }
        }
    }

    /// To the end of a word that is no property. At least one octet is read.
    pub(in crate::auth) fn skip_word(&mut self, start: usize) {
        self.at = self.at.max(start + 1);
        while self.peek().is_some_and(|octet| !octet.is_ascii_whitespace() && !b";(".contains(&octet)) {
            self.at += 1;
        }
    }
}

/// Text without line ends; `None` where it is no UTF-8 (RFC 8601 §2.2 with RFC 6532 allows no other).
fn unfolded(mut text: Vec<u8>) -> Option<String> {
    text.retain(|octet| !matches!(octet, b'\r' | b'\n'));
    String::from_utf8(text).ok()
}
