//! Received fields, as relays write them and not only as they should.
//!
//! RFC 5321 §4.4, RFC 822 §4.3.2, RFC 8314 §4.3 (`tls`). Reading never fails: what is found is given, the rest is left.
//! Nothing here is proof of anything: whoever wrote the field wrote what they liked.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::address::{Mailboxes, list};
use crate::base::Timestamp;
use crate::base::parse::octets_of;
use crate::text::charset;
use crate::text::params::comment_end;
use crate::text::places::Places;
use crate::text::transfer::Set;

/// The value of a Received field.
///
/// ```
/// use facteur::message::Received;
///
/// let received = Received::parse(
///     b"from mail.a.test (host.a.test [192.0.2.1])\r\n\tby mx.b.test (Postfix) with ESMTP id 4X1\r\n\t\
///       for <bob@b.test>; Mon, 1 Jan 2024 10:00:00 +0100",
/// );
/// let from = received.from.as_ref().unwrap();
/// assert_eq!((from.helo.as_deref(), from.reverse.as_deref()), (Some("mail.a.test"), Some("host.a.test")));
/// assert_eq!(from.address, Some([192, 0, 2, 1].into()));
/// assert_eq!(received.by.as_ref().unwrap().name, "mx.b.test");
/// assert_eq!((received.with.as_deref(), received.id.as_deref()), (Some("ESMTP"), Some("4X1")));
/// assert_eq!(received.recipients().next().unwrap().to_string(), "bob@b.test");
/// assert_eq!(received.date.unwrap().unix(), 1704099600);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<'a> {
    /// The client: `from`.
    pub from: Option<ReceivedHost<'a>>,
    /// The server: `by`.
    pub by: Option<ReceivedHost<'a>>,
    /// The link: `via`. Words between it and the next clause are kept, joined by single spaces, as for the following.
    pub via: Option<Cow<'a, str>>,
    /// The protocol: `with`. Exchange writes `Microsoft SMTP Server`.
    pub with: Option<Cow<'a, str>>,
    /// The name of the message at the server: `id`, without angle brackets.
    pub id: Option<Cow<'a, str>>,
    recipients: Recipients<'a>,
    /// The cipher suite: `tls`.
    pub tls: Option<Cow<'a, str>>,
    /// When it was received: what stands behind the last semicolon.
    pub date: Option<Timestamp>,
    comments: Comments<'a>,
}

/// What stands behind `for`.
#[derive(Clone, Default, PartialEq, Eq)]
struct Recipients<'a>(Cow<'a, [u8]>);

impl std::fmt::Debug for Recipients<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(list::mailboxes(&self.0)).finish()
    }
}

/// A host in a Received field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedHost<'a> {
    /// The word behind `from` or `by`. Mostly what the host calls itself; qmail and Exim write the name of its address here
    /// and `HELO` in a comment.
    pub name: Cow<'a, str>,
    /// What it called itself.
    pub helo: Option<Cow<'a, str>>,
    /// The name that the server found for its address; `None` where it wrote `unknown` or nothing.
    pub reverse: Option<Cow<'a, str>>,
    /// Its address, out of the TCP-info or wherever else it stands. What the client itself wrote counts only where there is
    /// nothing better: a client may say `HELO [127.0.0.1]`.
    pub address: Option<IpAddr>,
    comments: Comments<'a>,
}

/// What stands between the word of one clause and that of the next. Nothing does where it has no words.
#[derive(Clone, Copy, Default)]
struct Clause<'a> {
    first: &'a [u8],
    /// How many words there are, and where they stand with what is between them.
    count: usize,
    words: Span,
    /// From its first comment to its last.
    comments: Span,
}

/// Octets of the field, and whether quotes count in them.
#[derive(Clone, Copy, Default)]
struct Span {
    from: usize,
    to: usize,
    quotes: bool,
}

impl Span {
    /// Goes on to the token that was just read, which began at `from`.
    fn extend(&mut self, from: usize, tokens: &Tokens<'_>) {
        if self.to == 0 {
            (self.from, self.quotes) = (from, tokens.quotes);
        }
        self.to = tokens.at;
    }

    fn tokens<'a>(self, octets: &'a [u8]) -> Tokens<'a> {
        Tokens { quotes: self.quotes, ..Tokens::new(octets.get(self.from..self.to).unwrap_or_default()) }
    }
}

impl<'a> Clause<'a> {
    /// The words but the first.
    fn more(&self, octets: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let some = self.count > 1;
        let words = some.then(|| self.words.tokens(octets).filter_map(Token::word)).into_iter();
        words.flatten().skip(1)
    }

    /// The words joined by single spaces.
    fn octets(&self, octets: &'a [u8]) -> Cow<'a, [u8]> {
        if self.count < 2 {
            return Cow::Borrowed(self.first);
        }
        let words: Vec<&[u8]> = [self.first].into_iter().chain(self.more(octets)).collect();
        Cow::Owned(words.join(&b' '))
    }
}

impl<'a> Received<'a> {
    /// Reads the value of the field.
    pub fn parse(value: &'a [u8]) -> Self {
        let (octets, date) = cut_date(value);
        let mut clauses = [Clause::default(); 7];
        // Which have begun, a bit for each.
        let mut begun = 0_u8;
        let mut open: Option<&mut Clause<'a>> = None;
        let mut tokens = Tokens::new(octets);
        while let Some(token) = tokens.next() {
            match token {
                Token::Semicolon => {}
                Token::Comment(comment) => {
                    if let Some(clause) = &mut open {
                        clause.comments.extend(tokens.at - "()".len() - comment.len(), &tokens); // it was just read
                    }
                }
                Token::Word(word) => {
                    // Each clause once: `with cipher` further on is no second protocol.
                    if let Some(known) = place(word).filter(|known| begun >> known & 1 == 0) {
                        begun |= 1 << known;
                        open = clauses.get_mut(known);
                    } else if let Some(clause) = &mut open {
                        if clause.count == 0 {
                            clause.first = word;
                        }
                        clause.count += 1;
                        clause.words.extend(tokens.at - word.len(), &tokens); // it was just read
                    }
                }
            }
        }
        let [from, by, via, with, id, recipients, tls] = clauses;
        let text = |clause: Clause<'a>| Some(text(clause.octets(octets))).filter(|text| !text.is_empty());
        let host = |known: u8, clause| (begun >> known & 1 == 1).then(|| ReceivedHost::new(clause, octets));
        let (mut from, by) = (host(0, from), host(1, by));
        let comments = Comments { text: octets, quotes: true };
        // Sendmail for a message made at home: `(from root@localhost)`.
        if from.is_none()
            && let Some(comment) = comments.iter().next().map(one_line)
            && let Some(name) = part(&comment, |text| text.strip_prefix("from "))
        {
            let name = part(&name, |name| Some(name.trim())).unwrap_or_default();
            from = Some(ReceivedHost { name, ..Default::default() });
        }
        // RFC 5321 §4.4: ID = CFWS "ID" FWS ( Atom / msg-id ). Haraka goes on with `envelope-from <…>`.
        let id = (id.count > 0).then(|| charset::guess(id.first));
        let id = id.and_then(|id| part(&id, |id| Some(id.trim_start_matches('<').trim_end_matches('>'))));
        let recipients = Recipients(recipients.octets(octets));
        Self { from, by, via: text(via), with: text(with), id, recipients, tls: text(tls), date, comments }
    }

    /// Whom the message was for: `for`. Mostly one; some servers name several.
    pub fn recipients(&self) -> Mailboxes<'_> {
        list::mailboxes(&self.recipients.0)
    }

    /// All comments in their order, outer brackets removed; those of `from` and `by` are among them.
    pub fn comments(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.comments.iter().map(one_line)
    }
}

impl<'a> ReceivedHost<'a> {
    fn new(clause: Clause<'a>, octets: &'a [u8]) -> Self {
        let name = clause.first;
        // Fetchmail has no comment around the address: `from a.test [192.0.2.1] by`.
        let outside = address(name).or_else(|| clause.more(octets).find_map(address));
        let Span { from, to, quotes } = clause.comments;
        let comments = Comments { text: octets.get(from..to).unwrap_or_default(), quotes };
        let mut inside = None;
        let mut host = Self { name: charset::guess(name), ..Default::default() };
        let (mut helo, mut reverse) = (None, None);
        for comment in comments.iter() {
            let mut words = comment.split(|octet| between_words(*octet)).filter(|word| !word.is_empty());
            let mut first = true;
            while let Some(word) = words.next() {
                let verb = word
                    .get(..4)
                    .filter(|verb| [b"helo", b"ehlo"].iter().any(|known| verb.eq_ignore_ascii_case(*known)));
                let equals = (word.get(4) == Some(&b'=')).then_some(4);
                if verb.is_some() && (equals.is_some() || word.len() == 4) {
                    let said = match equals {
                        Some(at) => word.get(at + 1..),
                        None => words.next(),
                    };
                    helo = helo.or(said.filter(|said| !said.is_empty()));
                } else {
                    // `IDENT:user@host`, `user@192.0.2.1`
                    let place = word.rsplit(|octet| *octet == b'@').next().unwrap_or(word);
                    // Comcast writes no space before the bracket: `(b.test[192.0.2.1])`.
                    let bracket = place.iter().position(|octet| *octet == b'[').filter(|at| *at > 0);
                    let (place, literal) = bracket.map_or((place, place), |at| place.split_at(at));
                    let found = address(literal);
                    inside = inside.or(found);
                    if first && (found.is_none() || bracket.is_some()) && reverse.is_none() && is_domain(place) {
                        reverse = Some(place);
                    }
                }
                first = false;
            }
        }
        if helo.is_some() {
            // The comment says what it called itself, so the word says who it is.
            reverse = reverse.or(Some(name).filter(|name| is_domain(name)));
        }
        // RFC 5321 §4.4: "address-literal FWS "(" TCP-info ")"", of which the server knows the second only. Where the comment says
        // what it called itself, the word is the server's too.
        host.address = if helo.is_some() { outside.or(inside) } else { inside.or(outside) };
        host.helo = helo.map(charset::guess).or_else(|| Some(host.name.clone()).filter(|name| !name.is_empty()));
        host.reverse = reverse.map(charset::guess);
        host.comments = comments;
        host
    }

    /// The comments behind it, outer brackets removed.
    pub fn comments(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.comments.iter().map(one_line)
    }
}

/// Which clause a word begins.
fn place(word: &[u8]) -> Option<usize> {
    let (clauses, first): (&[(&str, usize)], _) = match word {
        [first, _] => (&[("by", 1), ("id", 4)], first),
        [first, _, _] => (&[("for", 5), ("via", 2), ("tls", 6)], first),
        [first, _, _, _] => (&[("with", 3), ("from", 0)], first),
        _ => return None,
    };
    let first = first.to_ascii_lowercase();
    let known = clauses.iter().find(|(name, _)| name.as_bytes().first() == Some(&first));
    known.filter(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, place)| *place)
}

/// A name with a dot in it, or localhost; `unknown` and words of prose are none.
fn is_domain(word: &[u8]) -> bool {
    let label = |octet: &u8| octet.is_ascii_alphanumeric() || *octet >= 0x80 || matches!(octet, b'-' | b'_' | b'.');
    let dots = word.iter().rev().take_while(|octet| **octet == b'.').count();
    let dotted = word.get(1..word.len() - dots).is_some_and(|rest| rest.contains(&b'.')) && word.first() != Some(&b'.');
    (dotted || word.eq_ignore_ascii_case(b"localhost")) && word.iter().all(label)
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, either without brackets, `[192.0.2.1]:25`, `192.0.2.1:25`
fn address(word: &[u8]) -> Option<IpAddr> {
    // Most words are none.
    if !matches!(word, [b'[' | b'0'..=b'9', ..]) && !word.contains(&b':') {
        return None;
    }
    let word = std::str::from_utf8(word).ok()?;
    let inside = match word.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => word,
    };
    let tag = inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let inside = tag.map_or(inside, |_| inside.get(5..).unwrap_or_default());
    let port = || inside.rsplit_once(':').filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()));
    inside.parse().ok().or_else(|| port()?.0.parse().ok())
}

/// The date at the end of a trace field.
pub(in crate::message) fn date(value: &[u8]) -> Option<Timestamp> {
    cut_date(value).1
}

/// The clauses, and the date behind the last semicolon that no comment and no quoted string holds.
fn cut_date(value: &[u8]) -> (&[u8], Option<Timestamp>) {
    if let Some(at) = plain_semicolon(value) {
        let (clauses, text) = value.split_at_checked(at + 1).unwrap_or_default();
        if let Ok(date) = Timestamp::parse(text) {
            return (clauses, Some(date));
        }
    }
    let mut tokens = Tokens::new(value);
    let (mut last, mut weekday) = (None, None);
    while let Some(token) = tokens.next() {
        match token {
            Token::Semicolon => last = Some(tokens.at),
            Token::Word(word) if is_weekday(word) => weekday = weekday.or(Some(tokens.at - word.len())),
            _ => {}
        }
    }
    // Some leave out the semicolon.
    for at in [last, weekday].into_iter().flatten() {
        let (clauses, text) = value.split_at_checked(at).unwrap_or((value, b""));
        if let Ok(date) = Timestamp::parse(text) {
            return (clauses, Some(date));
        }
    }
    (value, None)
}

/// The last semicolon, where what follows shows that no comment and no quoted string holds it.
fn plain_semicolon(value: &[u8]) -> Option<usize> {
    let at = memchr::memrchr(b';', value)?;
    let mut depth = 0_usize;
    for octet in value.get(at..)? {
        match octet {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b'"' | b'\\' => return None,
            _ => {}
        }
    }
    Some(at)
}

fn is_weekday(word: &[u8]) -> bool {
    let [name @ .., b','] = word else { return false };
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().any(|day| name.eq_ignore_ascii_case(day.as_bytes()))
}

fn text(octets: Cow<'_, [u8]>) -> Cow<'_, str> {
    match octets {
        Cow::Borrowed(octets) => charset::guess(octets),
        Cow::Owned(octets) => Cow::Owned(charset::guess(&octets).into_owned()),
    }
}

/// A piece of a text, borrowed where the text is.
fn part<'a>(text: &Cow<'a, str>, of: impl Fn(&str) -> Option<&str>) -> Option<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => of(text).map(Cow::Borrowed),
        Cow::Owned(text) => of(text).map(|part| Cow::Owned(part.to_owned())),
    }
}

/// Runs of white space as single spaces.
fn one_line(octets: &[u8]) -> Cow<'_, str> {
    let octets = octets.trim_ascii();
    let odd =
        |pair: &[u8]| pair.iter().all(u8::is_ascii_whitespace) || pair.iter().any(|octet| matches!(octet, 9..=13));
    if !octets.windows(2).any(odd) {
        return charset::guess(octets);
    }
    let words: Vec<&[u8]> = octets.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    text(Cow::Owned(words.join(&b' ')))
}

/// In a comment.
fn between_words(octet: u8) -> bool {
    const BETWEEN: [bool; 256] = octets_of(b"(),; \t\r\n\x0c");
    BETWEEN[usize::from(octet)] // any octet is in it
}

/// Octets in which comments are looked for when they are asked for.
#[derive(Clone, Default, PartialEq, Eq)]
struct Comments<'a> {
    text: &'a [u8],
    quotes: bool,
}

impl<'a> Comments<'a> {
    fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let tokens = Tokens { quotes: self.quotes, ..Tokens::new(self.text) };
        tokens.filter_map(|token| match token {
            Token::Comment(octets) => Some(octets),
            _ => None,
        })
    }
}

impl std::fmt::Debug for Comments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(one_line)).finish()
    }
}

enum Token<'a> {
    Word(&'a [u8]),
    /// Outer brackets removed.
    Comment(&'a [u8]),
    Semicolon,
}

impl<'a> Token<'a> {
    fn word(self) -> Option<&'a [u8]> {
        if let Self::Word(word) = self { Some(word) } else { None }
    }
}

/// What may end a word.
static ENDS: Set = Set::of(b";(\" \t\r\n\x0c");

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    ends: Places<'a>,
    /// Once one was found without an end, brackets and quotes are ordinary octets: time stays linear.
    comments: bool,
    quotes: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, ends: Places::new(text, &ENDS), comments: true, quotes: true }
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

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        // A bracket that nothing closes is passed over: `(by a.test`.
        let brackets = self.comments;
        let blank = |octet: &u8| octet.is_ascii_whitespace() || *octet == b'(' && !brackets;
        while self.text.get(self.at).is_some_and(blank) {
            self.at += 1;
        }
        let start = self.at;
        match self.text.get(start)? {
            b';' => {
                self.at += 1;
                return Some(Token::Semicolon);
            }
            b'(' if self.comments => match comment_end(self.text, start) {
                Some(end) => {
                    self.at = end;
                    return self.text.get(start + 1..end - 1).map(Token::Comment);
                }
                None => {
                    self.comments = false;
                    return self.next();
                }
            },
            _ => {}
        }
        loop {
            self.at = self.ends.next(self.at);
            match self.text.get(self.at) {
                None | Some(b';') => break,
                Some(b'(') if self.comments && self.at > start => break,
                Some(b'"') if self.quotes => match self.quoted_end(self.at) {
                    Some(end) => self.at = end,
                    None => self.quotes = false,
                },
                Some(octet) if octet.is_ascii_whitespace() => break,
                Some(_) => self.at += 1,
            }
        }
        self.text.get(start..self.at).map(Token::Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `helo reverse address | by | via | with | id | for | date`, `-` for what is not there.
    fn shown(value: &str) -> String {
        let received = Received::parse(value.as_bytes());
        let or = |text: Option<Cow<'_, str>>| text.map_or("-".to_owned(), Cow::into_owned);
        let recipients: Vec<String> = received.recipients().map(|mailbox| mailbox.to_string()).collect();
        let from = received.from.map(|from| {
            format!(
                "{} {} {}",
                or(from.helo),
                or(from.reverse),
                or(from.address.map(|address| address.to_string().into()))
            )
        });
        [
            or(from.map(Cow::from)),
            or(received.by.map(|by| by.name)),
            or(received.via),
            or(received.with),
            or(received.id),
            or(Some(Cow::from(recipients.join(","))).filter(|text| !text.is_empty())),
            or(received.date.map(|date| date.unix().to_string().into())),
        ]
        .join("|")
    }

    #[test]
    fn the_address_is_what_the_server_saw() {
        for (from, expected) in [
            ("from [127.0.0.1] ([192.0.2.1])", "192.0.2.1"),
            ("from [127.0.0.1] (a.test [192.0.2.1])", "192.0.2.1"),
            ("from 127.0.0.1 (EHLO a.test) (192.0.2.1)", "127.0.0.1"),
            ("from [192.0.2.1] (helo=[127.0.0.1])", "192.0.2.1"),
            ("from [192.0.2.1] (helo=a.test ident=me@127.0.0.1)", "192.0.2.1"),
            ("from unknown (HELO [127.0.0.1]) (192.0.2.1)", "192.0.2.1"),
            ("from a.test [192.0.2.1]", "192.0.2.1"),
        ] {
            let value = format!("{from} by b.test; Mon, 1 Jan 2024 09:00:00 +0000");
            let address = Received::parse(value.as_bytes()).from.and_then(|from| from.address);
            assert_eq!(address, Some(expected.parse().unwrap()), "{from}");
        }
    }

    #[test]
    fn fields_of_real_relays_are_read() {
        let date = "Mon, 1 Jan 2024 00:00:00 +0000";
        for (value, expected) in [
            // RFC 5321 §4.4
            (
                "from a.test (b.test [192.0.2.1]) by c.test via TCP with ESMTP id 7 for <d@c.test>",
                "a.test b.test 192.0.2.1|c.test|TCP|ESMTP|7|d@c.test",
            ),
            // Sendmail
            (
                "from a.test (IDENT:bob@b.test [192.0.2.1] (may be forged))\r\n\tby c.test (8.13.8/8.13.8) with ESMTP id l248\r\n\tfor <d@c.test>",
                "a.test b.test 192.0.2.1|c.test|-|ESMTP|l248|d@c.test",
            ),
            ("(from root@localhost) by c.test (8.13.8/8.13.8/Submit) id l248", "- - -|c.test|-|-|l248|-"),
            ("from a.test ([192.0.2.1]) by c.test with SMTP id x", "a.test - 192.0.2.1|c.test|-|SMTP|x|-"),
            // Postfix
            (
                "from a (unknown [IPv6:2001:db8::1])\n (using TLSv1.3 with cipher X (256/256 bits))\n (No client certificate requested)\n by c.test (Postfix) with ESMTPS id 4X for <d@c.test>",
                "a - 2001:db8::1|c.test|-|ESMTPS|4X|d@c.test",
            ),
            ("by c.test (Postfix, from userid 0) id 4X", "-|c.test|-|-|4X|-"),
            // Exim
            (
                "from b.test ([192.0.2.1]:4711 helo=a.test) by c.test with esmtps (Exim 4.80) (envelope-from <x@y>) id 1A-2",
                "a.test b.test 192.0.2.1|c.test|-|esmtps|1A-2|-",
            ),
            ("from [192.0.2.1] (helo=a) by c.test with esmtp", "a - 192.0.2.1|c.test|-|esmtp|-|-"),
            // qmail
            ("(qmail 1234 invoked by uid 0)", "-|-|-|-|-|-"),
            ("from unknown (HELO a.test) (192.0.2.1) by c.test with SMTP", "a.test - 192.0.2.1|c.test|-|SMTP|-|-"),
            ("from b.test (HELO a.test) (bob@192.0.2.1) by 0 with SMTP", "a.test b.test 192.0.2.1|0|-|SMTP|-|-"),
            // Exchange
            (
                "from a.test (2001:db8::1) by c.test (2001:db8::2) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.20.77.7 via Frontend Transport",
                "a.test - 2001:db8::1|c.test|Frontend Transport|Microsoft SMTP Server|15.20.77.7|-",
            ),
            // others
            ("by 192.0.2.1 with HTTP", "-|192.0.2.1|-|HTTP|-|-"),
            ("from [192.0.2.1] by web.test via HTTP", "[192.0.2.1] - 192.0.2.1|web.test|HTTP|-|-|-"),
            ("FROM a.test BY c.test ID <AA28328> FOR list@c.test", "a.test - -|c.test|-|-|AA28328|list@c.test"),
            (
                "from a.test by c.test with ESMTP for <d@c.test>,<e@c.test>",
                "a.test - -|c.test|-|ESMTP|-|d@c.test,e@c.test",
            ),
            ("from by c.test", "- - -|c.test|-|-|-|-"),
            // Sendmail with authentication and TLS
            (
                "from a.test (b.test [192.0.2.1])\r\n\t(authenticated bits=0)\r\n\tby c.test (8.14.4/8.14.4) with ESMTP id s0 (version=TLSv1/SSLv3 cipher=X bits=256 verify=NO)\r\n\tfor <d@c.test>",
                "a.test b.test 192.0.2.1|c.test|-|ESMTP|s0|d@c.test",
            ),
            // Cyrus
            ("from c.test ([unix socket])\r\n\tby c.test (Cyrus v2.2.12) with LMTPA", "c.test - -|c.test|-|LMTPA|-|-"),
            // Exim
            (
                "from b.test ([192.0.2.1] helo=a.test ident=bob)\r\n\tby c.test with esmtpsa (TLS1.2) tls TLS_ECDHE_X\r\n\t(Exim 4.94)\r\n\t(envelope-from <x@y>)\r\n\tid 1kX-2\r\n\tfor d@c.test",
                "a.test b.test 192.0.2.1|c.test|-|esmtpsa|1kX-2|d@c.test",
            ),
            (
                "from root by c.test with local (Exim 4.94) (envelope-from <root@c.test>) id 1k",
                "root - -|c.test|-|local|1k|-",
            ),
            // qmail
            ("(qmail 1234 invoked from network)", "-|-|-|-|-|-"),
            ("from unknown (192.0.2.1) by 0 with SMTP", "unknown - 192.0.2.1|0|-|SMTP|-|-"),
            (
                "from b.test (HELO a.test) ([192.0.2.1]) (envelope-sender <x@y>) by c.test (qmail-ldap-1.03) with SMTP for <d@c.test>",
                "a.test b.test 192.0.2.1|c.test|-|SMTP|-|d@c.test",
            ),
            // Exchange
            (
                "from A.b.test (192.0.2.1) by C.b.test (192.0.2.2) with Microsoft SMTP Server (TLS) id 14.3.123.3",
                "A.b.test - 192.0.2.1|C.b.test|-|Microsoft SMTP Server|14.3.123.3|-",
            ),
            (
                "from A.b.test ([fe80::1]) by C.b.test ([fe80::2%4]) with mapi id 15.20.7113.027",
                "A.b.test - fe80::1|C.b.test|-|mapi|15.20.7113.027|-",
            ),
            (
                "from a ([192.0.2.1]) by c.test with Microsoft SMTPSVC(6.0.3790.4675)",
                "a - 192.0.2.1|c.test|-|Microsoft SMTPSVC|-|-",
            ),
            // Gmail
            (
                "by 2002:a05:6a10:1234:b0:abc:def:12 with SMTP id x1csp123",
                "-|2002:a05:6a10:1234:b0:abc:def:12|-|SMTP|x1csp123|-",
            ),
            (
                "from b.test (b.test. [192.0.2.1])\r\n by mx.c.test with SMTPS id a1sor1\r\n for <d@c.test>\r\n (C Transport Security)",
                "b.test b.test. 192.0.2.1|mx.c.test|-|SMTPS|a1sor1|d@c.test",
            ),
            // Haraka
            (
                "from a.test ([192.0.2.1])\r\n by c.test (Haraka/2.8) with ESMTPS id ABC.1 envelope-from <x@y>",
                "a.test - 192.0.2.1|c.test|-|ESMTPS|ABC.1|-",
            ),
            // fetchmail
            (
                "from pop.a.test [192.0.2.1]\r\n\tby localhost with POP3 (fetchmail-6.3.26)\r\n\tfor <ada@localhost> (single-drop)",
                "pop.a.test - 192.0.2.1|localhost|-|POP3|-|ada@localhost",
            ),
            // CommuniGate Pro, Lotus Domino, MailEnable, GroupWise, MDaemon, James, LSMTP, smapd
            (
                "from [192.0.2.1] (account ada@a.test HELO a.test) by c.test (CommuniGate Pro SMTP 5.4) with ESMTPA id 1",
                "a.test - 192.0.2.1|c.test|-|ESMTPA|1|-",
            ),
            (
                "from a.test ([192.0.2.1])\r\n by c.test (Lotus Domino Release 8.5.3)\r\n with ESMTP id 2024010110-7 ",
                "a.test - 192.0.2.1|c.test|-|ESMTP|2024010110-7|-",
            ),
            (
                "from a.test ([192.0.2.1]) by c.test with MailEnable ESMTP",
                "a.test - 192.0.2.1|c.test|-|MailEnable ESMTP|-|-",
            ),
            ("from DOM-MTA by c.test\r\n\twith Novell_GroupWise", "DOM-MTA - -|c.test|-|Novell_GroupWise|-|-"),
            (
                "from a.test (a.test[192.0.2.1]) by c.test (MDaemon PRO v10) with ESMTP id md50.msg for <d@c.test>",
                "a.test a.test 192.0.2.1|c.test|-|ESMTP|md50.msg|d@c.test",
            ),
            (
                "from b.test (EHLO a.test) ([192.0.2.1])\r\n by c.test (JAMES SMTP Server ) with SMTP ID 123",
                "a.test b.test 192.0.2.1|c.test|-|SMTP|123|-",
            ),
            (
                "from a.test (192.0.2.1) by c.test (LSMTP for Windows NT v1.1b) with SMTP id <0.0014F8A2@c.test>",
                "a.test - 192.0.2.1|c.test|-|SMTP|0.0014F8A2@c.test|-",
            ),
            (
                "from a.test(192.0.2.1) by c.test via smtp (V1.3)\r\n\tid sma001",
                "a.test - 192.0.2.1|c.test|smtp|-|sma001|-",
            ),
            // X.400, UUCP
            ("by /PRMD=x/ADMD=y/C=fr/; Relayed", "-|/PRMD=x/ADMD=y/C=fr/|-|-|-|-"),
            ("from a.UUCP by c.ARPA (5.61/1.0) with UUCP\r\n\tid AA123", "a.UUCP - -|c.ARPA|-|UUCP|AA123|-"),
        ] {
            assert_eq!(shown(&format!("{value}; {date}")), format!("{expected}|1704067200"), "{value}");
            assert_eq!(shown(value), format!("{expected}|-"), "{value}");
        }
    }

    #[test]
    fn broken_fields_give_what_they_have() {
        for (value, expected) in [
            ("", "-|-|-|-|-|-|-"),
            (";", "-|-|-|-|-|-|-"),
            ("from a.test (open by c.test; Mon, 1 Jan 2024 00:00:00 +0000", "a.test - -|c.test|-|-|-|-|1704067200"),
            (
                "from a.test by c.test with SMTP Mon, 1 Jan 2024 00:00:00 +0000",
                "a.test - -|c.test|-|SMTP|-|-|1704067200",
            ),
            ("from a.test (x; y) by c.test; no date", "a.test - -|c.test|-|-|-|-|-"),
            ("Mon, 1 Jan 2024 00:00:00 +0000", "-|-|-|-|-|-|1704067200"),
            // SendGrid, written in Go
            (
                "by f-1 with SMTP id f-1-2; 2024-01-01 00:00:00.123456789 +0000 UTC m=+2.1",
                "-|f-1|-|SMTP|f-1-2|-|1704067200",
            ),
            ("by c.test; Mon, 01 Jan 2024 00:00:00.123 +0000 (UTC)", "-|c.test|-|-|-|-|1704067200"),
            ("by c.test id AA123; Mon, 1 Jan 90 00:00:00 GMT", "-|c.test|-|-|AA123|-|631152000"),
            ("by c.test id AA123; 1 Jan 2024 01:00:00 CET", "-|c.test|-|-|AA123|-|1704070800"),
            ("by c.test\r\n ;\r\n Mon Jan  1 00:00:00 2024", "-|c.test|-|-|-|-|1704067200"),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
    }

    /// Each would take minutes in quadratic time.
    #[test]
    fn hostile_fields_take_linear_time() {
        for piece in ["(", "\"", "(a) ", "by ", ";", "Mon, ", "(\\", "a(", "<"] {
            shown(&piece.repeat(1_000_000 / piece.len()));
        }
    }
}
