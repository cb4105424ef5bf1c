//! `addr-spec` and `address-list` of RFC 5322 §3.4 read strictly, with the obsolete forms of §4.4: what may stand in a header, and nothing
//! else. UTF-8 is read (RFC 6532 §3.2).

use super::mailbox::Odd;
use crate::address::{Mailbox, is_atext};
use crate::base::ParseError;

impl Mailbox<'_> {
    /// Reads `addr-spec = local-part "@" domain` with comments, folding white space and the obsolete forms; no display
    /// name.
    ///
    /// ```
    /// use facteur::address::Mailbox;
    ///
    /// let mailbox = Mailbox::parse(b"pete(his account)@silly.test(his host)")?;
    /// assert_eq!(mailbox.to_string(), "pete@silly.test");
    /// assert!(Mailbox::parse(b"pete@").is_err());
    /// # Ok::<(), facteur::base::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &[u8]) -> Result<Mailbox<'static>, ParseError> {
        let mut reader = Reader { text, at: 0, comments: Vec::new() };
        let (local, domain) = reader.addr_spec()?;
        if reader.at < text.len() {
            return reader.fail("the end");
        }
        match (String::from_utf8(local), String::from_utf8(domain)) {
            (Ok(local), Ok(domain)) => {
                let odd = Odd { local, domain: Some(domain), comments: reader.comments, ..Odd::default() };
                Ok(Mailbox::odd(Box::new(odd)))
            }
            _ => Err(ParseError { expected: "UTF-8", at: 0 }),
        }
    }
}

/// `address-list = (address *("," address)) / obs-addr-list`; how many mailboxes there are in it, those of groups counted.
pub(super) fn address_list(text: &[u8]) -> Result<usize, ParseError> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(ParseError { expected: "UTF-8", at: error.valid_up_to() });
    }
    let mut reader = Reader { text, at: 0, comments: Vec::new() };
    let (mut mailboxes, mut addresses) = (0, 0);
    loop {
        reader.cfws()?;
        // obs-addr-list has empty elements, but one that is none.
        if !matches!(reader.peek(), None | Some(b',')) {
            mailboxes += reader.address()?;
            addresses += 1;
        }
        match reader.peek() {
            Some(b',') => reader.at += 1,
            Some(_) => return reader.fail("a comma"),
            None if addresses == 0 => return reader.fail("an address"),
            None => return Ok(mailboxes),
        }
        reader.comments.clear();
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    comments: Vec<String>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, ParseError> {
        Err(ParseError { expected, at: self.at })
    }

    fn special(&mut self, special: u8, expected: &'static str) -> Result<(), ParseError> {
        if self.peek() != Some(special) {
            return self.fail(expected);
        }
        self.at += 1;
        Ok(())
    }

    /// `address = mailbox / group`
    fn address(&mut self) -> Result<usize, ParseError> {
        let start = self.at;
        self.phrase()?;
        if self.peek() != Some(b':') {
            self.at = start;
            return self.mailbox().map(|()| 1);
        }
        // group = display-name ":" [group-list] ";" [CFWS]
        if self.at == start {
            return self.fail("a display name");
        }
        let mut members = 0;
        loop {
            self.at += 1;
            self.cfws()?;
            if !matches!(self.peek(), Some(b',' | b';')) {
                self.mailbox()?;
                members += 1;
            }
            match self.peek() {
                Some(b',') => {}
                Some(b';') => break,
                _ => return self.fail("a comma or the end of the group"),
            }
        }
        self.at += 1;
        self.cfws()?;
        Ok(members)
    }

    /// `mailbox = name-addr / addr-spec`
    fn mailbox(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        self.phrase()?;
        if self.peek() != Some(b'<') {
            self.at = start;
            return self.addr_spec().map(drop);
        }
        self.at += 1;
        self.cfws()?;
        // obs-route = obs-domain-list ":", obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain])
        if matches!(self.peek(), Some(b'@' | b',')) {
            loop {
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'@') => {
                        self.at += 1;
                        self.domain()?;
                    }
                    _ => break,
                }
                self.cfws()?;
            }
            self.special(b':', "a colon")?;
        }
        self.addr_spec()?;
        self.special(b'>', "a closing bracket")?;
        self.cfws()
    }

    /// `[phrase]`, `phrase = 1*word / obs-phrase`, `obs-phrase = word *(word / "." / CFWS)`
    fn phrase(&mut self) -> Result<(), ParseError> {
        self.cfws()?;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => self.quoted_string(&mut Vec::new())?,
                Some(b'.') if self.at > start => self.at += 1,
                Some(octet) if is_atext(octet) => self.at += 1,
                _ => return Ok(()),
            }
            self.cfws()?;
        }
    }

    /// `addr-spec = local-part "@" domain`
    fn addr_spec(&mut self) -> Result<(Vec<u8>, Vec<u8>), ParseError> {
        let local = self.words(true)?;
        self.special(b'@', "an at sign")?;
        Ok((local, self.domain()?))
    }

    /// `domain = dot-atom / domain-literal / obs-domain`
    fn domain(&mut self) -> Result<Vec<u8>, ParseError> {
        self.cfws()?;
        if self.peek() == Some(b'[') {
            return self.literal();
        }
        let from = self.at;
        let domain = self.words(false)?;
        // RFC 5322 §3.4.1: a dot-atom is "an Internet domain name (either a host name or a mail exchanger name) as described
        // in [RFC1034], [RFC1035], and [RFC1123]", whose labels neither begin nor end with a hyphen.
        let hyphen = |label: &[u8]| label.starts_with(b"-") || label.ends_with(b"-");
        if domain.split(|octet| *octet == b'.').any(hyphen) {
            return Err(ParseError { expected: "a host name", at: from });
        }
        Ok(domain)
    }

    /// `obs-local-part = word *("." word)`, `obs-domain = atom *("." atom)`; they include the forms of today.
    fn words(&mut self, quoted: bool) -> Result<Vec<u8>, ParseError> {
        let mut words = Vec::new();
        loop {
            self.cfws()?;
            match self.peek() {
                Some(b'"') if quoted => self.quoted_string(&mut words)?,
                Some(octet) if is_atext(octet) => {
                    while let Some(octet) = self.peek().filter(|octet| is_atext(*octet)) {
                        words.push(octet);
                        self.at += 1;
                    }
                }
                _ => return self.fail(if quoted { "a word" } else { "an atom" }),
            }
            self.cfws()?;
            if self.peek() != Some(b'.') {
                return Ok(words);
            }
            words.push(b'.');
            self.at += 1;
        }
    }

    /// `quoted-string = DQUOTE *([FWS] qcontent) [FWS] DQUOTE`
    fn quoted_string(&mut self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => out.push(self.quoted_pair()?),
                Some(b' ' | b'\t' | b'\r' | b'\n') => {
                    let from = self.at;
                    self.fws()?;
                    out.extend(
                        self.text.iter().take(self.at).skip(from).filter(|octet| !matches!(octet, b'\r' | b'\n')),
                    );
                }
                // obs-qtext = obs-NO-WS-CTL
                Some(octet) if octet != 0 => {
                    out.push(octet);
                    self.at += 1;
                }
                _ => return self.fail("the end of the quoted string"),
            }
        }
    }

    /// `quoted-pair = ("\" (VCHAR / WSP)) / obs-qp`
    fn quoted_pair(&mut self) -> Result<u8, ParseError> {
        self.at += 1;
        match self.peek() {
            Some(octet) => {
                self.at += 1;
                Ok(octet)
            }
            None => self.fail("the octet that is quoted"),
        }
    }

    /// `domain-literal = "[" *([FWS] dtext) [FWS] "]"`
    fn literal(&mut self) -> Result<Vec<u8>, ParseError> {
        let mut literal = vec![b'['];
        self.at += 1;
        loop {
            match self.peek() {
                Some(b']') => {
                    literal.push(b']');
                    self.at += 1;
                    self.cfws()?;
                    return Ok(literal);
                }
                // obs-dtext = obs-NO-WS-CTL / quoted-pair
                Some(b'\\') => literal.push(self.quoted_pair()?),
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.fws()?,
                Some(octet) if !matches!(octet, 0 | b'[') => {
                    literal.push(octet);
                    self.at += 1;
                }
                _ => return self.fail("a closing bracket"),
            }
        }
    }

    /// `[CFWS]`. Comments nest; the depth is counted, not recursed.
    fn cfws(&mut self) -> Result<(), ParseError> {
        let mut depth = 0_usize;
        let mut comment = Vec::new();
        loop {
            let from = self.at;
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.fws()?,
                Some(b'(') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b')') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'\\') if depth > 0 => drop(self.quoted_pair()?),
                // obs-ctext = obs-NO-WS-CTL
                Some(octet) if depth > 0 && octet != 0 => self.at += 1,
                _ if depth > 0 => return self.fail("the end of the comment"),
                _ => return Ok(()),
            }
            comment.extend_from_slice(self.text.get(from..self.at).unwrap_or_default());
            if depth == 0 && comment.ends_with(b")") {
                let text = comment.trim_ascii();
                let inner = text.get(1..text.len() - 1).unwrap_or_default(); // it begins and ends with a bracket
                self.comments.push(crate::text::words::decode(inner));
                comment.clear();
            }
        }
    }

    /// `FWS = ([*WSP CRLF] 1*WSP) / obs-FWS`, `obs-FWS = 1*WSP *(CRLF 1*WSP)`
    fn fws(&mut self) -> Result<(), ParseError> {
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' => self.at += 1,
                b'\r' => match self.text.get(self.at + 1..self.at + 3) {
                    Some([b'\n', b' ' | b'\t']) => self.at += 3,
                    _ => return self.fail("CRLF and white space"),
                },
                b'\n' => return self.fail("CRLF"),
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_may_hold_is_read() {
        for (text, expected) in [
            ("a@b", "a@b"),
            (" a . b @ c . d ", "a.b@c.d"),
            ("(x)a(y(z))@(\\))b.c(d)", "a@b.c"),
            ("\"a b\".c@d", "a b.c@d"),
            ("\"a\\\"b\"@c", "a\"b@c"),
            ("a@[192.0.2.1]", "a@[192.0.2.1]"),
            ("a@[ x \r\n y ]", "a@[xy]"),
            ("a\r\n @b", "a@b"),
            ("ä@ö", "ä@ö"),
        ] {
            assert_eq!(
                Mailbox::parse(text.as_bytes()).map(|mailbox| mailbox.to_string()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        assert_eq!(Mailbox::parse(b"a(one)@(two)b").unwrap().comments(), ["one", "two"]);
    }

    #[test]
    fn lists_are_read_by_the_letter() {
        for (text, mailboxes) in [
            ("a@b", 1),
            ("a@b, c@d", 2),
            ("Ada <a@b>", 1),
            ("<a@b>", 1),
            ("\"Ada L.\" <a@b>,\r\n Bob (x) C. <c@d> (y), e@f", 3),
            ("Friends: a@b, Bob <c@d>;", 2),
            ("undisclosed-recipients:;", 0),
            ("none: , ,;, a@b", 1),
            (",, a@b ,(x),", 1),
            ("(x) A B (y) : (z) ; (end)", 0),
            ("<@x,@y:a@b>", 1),
            ("<,@x,,@y,:a@b>", 1),
            ("J. Doe <a@b>", 1),
            ("\"a\"\"b\"<c@d>", 1),
            ("é <é@é>", 1),
            ("a@[192.0.2.1], \"a b\"@c", 2),
        ] {
            assert_eq!(address_list(text.as_bytes()), Ok(mailboxes), "{text}");
        }
        for (text, at) in [
            ("", 0),
            (" , ", 3),
            ("a", 1),
            ("a@b c@d", 4),
            ("a@b; c@d", 3),
            ("a b@c", 2),
            ("Ada <a@b", 8),
            ("Ada a@b>", 4),
            ("<>", 1),
            ("Ada <>", 5),
            ("<a@b> x", 6),
            ("g: a@b", 6),
            ("g: h: a@b;;", 4),
            (": a@b;", 0),
            (".a <b@c>", 0),
            ("\"open <a@b>", 11),
            ("(open a@b", 9),
            ("<@x a@b>", 4),
            ("a@b,\n c@d", 4),
            ("[x] <a@b>", 0),
        ] {
            assert_eq!(address_list(text.as_bytes()).map_err(|error| error.at), Err(at), "{text}");
        }
        assert!(address_list(b"\xff@a").is_err());
    }

    #[test]
    fn long_lists_take_linear_time() {
        for piece in ["a@b,", "a ", "(a)", "g:;,", "\"a\"", "<@a,", "@a,", ",", "a."] {
            let _ = address_list(piece.repeat(100_000).as_bytes());
        }
    }

    #[test]
    fn what_it_may_not_is_refused() {
        for text in [
            "a@-b", "a@b.c-", "a@b-.c", "", "a", "@b", "a@", ".a@b", "a.@b", "a..b@c", "a@b.", "a@.b", "a b@c",
            "a@b c", "a@[b", "a@b]", "(a@b", "a)@b",
        ] {
            assert!(Mailbox::parse(text.as_bytes()).is_err(), "{text}");
        }
        for text in [&b"a\r\n@b"[..], b"a\n @b", b"\"a\0\"@b", b"a@b\r", b"\"a@b", b"\"a\\"] {
            assert!(Mailbox::parse(text).is_err(), "{}", text.escape_ascii());
        }
    }
}
