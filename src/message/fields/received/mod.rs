//! Received fields, as relays write them and not only as they should.
//!
//! RFC 5321 §4.4, RFC 822 §4.3.2, RFC 8314 §4.3 (`tls`). Reading never fails: what is found is given, the rest is left.
//! Nothing here is proof of anything: whoever wrote the field wrote what they liked.

use std::borrow::Cow;

use crate::address::{Mailboxes, list};
use crate::base::Timestamp;
use crate::text::charset;
use crate::text::places::Places;
use crate::text::transfer::Set;

mod host;
mod tokens;

pub use host::ReceivedHost;

use host::Found;
use tokens::{Piece, Text, Token, Tokens};

/// The value of a Received field.
///
/// ```
/// use facteur::message::Received;
///
/// let received = Received::parse(
///     b"from mail.a.test (host.a.test [192.0.2.1])\r\n\tby mx.b.test (Postfix) with ESMTP id 4X1\r\n\t\
///       for <bob@b.test>; Mon, 1 Jan 2024 10:00:00 +0100",
/// );
/// let from = received.from().unwrap();
/// assert_eq!((from.helo().as_deref(), from.reverse().as_deref()), (Some("mail.a.test"), Some("host.a.test")));
/// assert_eq!(from.address(), Some([192, 0, 2, 1].into()));
/// assert_eq!(received.by().unwrap().name(), "mx.b.test");
/// assert_eq!((received.with().as_deref(), received.id().as_deref()), (Some("ESMTP"), Some("4X1")));
/// assert_eq!(received.recipients().next().unwrap().to_string(), "bob@b.test");
/// assert_eq!(received.date().unwrap().unix(), 1704099600);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Received<'a> {
    /// What stands before the date.
    text: Text<'a>,
    clauses: [Clause; CLAUSES],
    /// Which of them there are, a bit for each.
    begun: u8,
    /// Of the first two, which name hosts.
    hosts: [Found; 2],
    recipients: Cow<'a, [u8]>,
    date: Option<Timestamp>,
}

const FROM: usize = 0;
const BY: usize = 1;
const VIA: usize = 2;
const WITH: usize = 3;
const ID: usize = 4;
const FOR: usize = 5;
const TLS: usize = 6;
const CLAUSES: usize = 7;

/// What stands between the word of one clause and that of the next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Clause {
    /// Its first word, empty where it has none, and where its last word ends.
    first: Piece,
    end: u32,
}

impl Clause {
    /// From its first word to its last.
    fn words(self) -> Piece {
        Piece { to: self.end, ..self.first }
    }

    /// All that there is of it, where that is one word or none.
    #[inline]
    fn only(self) -> Option<Piece> {
        Some(self.first).filter(|first| first.to == self.end)
    }
}

impl<'a> Received<'a> {
    /// Reads the value of the field. Of one of 4 GB and more the end is passed over.
    pub fn parse(value: &'a [u8]) -> Self {
        let (octets, date) = cut_date(value);
        let (mut clauses, mut hosts, mut begun) = ([Clause::default(); CLAUSES], [Found::default(); 2], 0_u8);
        // That which is read, put among the others when it ends; none before the first.
        let (mut open, mut clause) = (CLAUSES, Clause::default());
        let mut tokens = Tokens::new(octets);
        while let Some(token) = tokens.token() {
            match token {
                Token::Semicolon => {}
                Token::Comment(comment) => {
                    if let Some(found) = hosts.get_mut(open) {
                        found.comment(comment, octets, &mut tokens);
                    }
                }
                Token::Word(word) => {
                    // Each clause once: `with cipher` further on is no second protocol.
                    if let Some(next) = clause_of(word.of(octets))
                        && begun >> next & 1 == 0
                    {
                        if let Some(place) = clauses.get_mut(open) {
                            *place = clause;
                        }
                        begun |= 1 << next; // fewer than eight
                        (open, clause) = (next, Clause::default());
                        continue;
                    }
                    clause = Clause { first: clause.first.or(word), end: word.to };
                    if tokens.odd
                        && let Some(found) = hosts.get_mut(open)
                    {
                        found.word(word, octets);
                    }
                }
            }
        }
        if let Some(place) = clauses.get_mut(open) {
            *place = clause;
        }
        let text = Text::new(octets, tokens.unquoted);
        let [.., recipients, _] = clauses;
        Self { text, clauses, begun, hosts, recipients: words(text, recipients), date }
    }

    /// The client: `from`.
    #[inline]
    pub fn from(&self) -> Option<ReceivedHost<'a>> {
        self.host(FROM).or_else(|| ReceivedHost::at_home(self.text))
    }

    /// The server: `by`.
    #[inline]
    pub fn by(&self) -> Option<ReceivedHost<'a>> {
        self.host(BY)
    }

    /// The link: `via`. Words between it and the next clause are kept, joined by single spaces, as for the following.
    #[inline]
    pub fn via(&self) -> Option<Cow<'a, str>> {
        self.words_as_text(VIA)
    }

    /// The protocol: `with`. Exchange writes `Microsoft SMTP Server`.
    #[inline]
    pub fn with(&self) -> Option<Cow<'a, str>> {
        self.words_as_text(WITH)
    }

    /// The cipher suite: `tls`.
    #[inline]
    pub fn tls(&self) -> Option<Cow<'a, str>> {
        self.words_as_text(TLS)
    }

    /// The name of the message at the server: `id`, without angle brackets.
    #[inline]
    pub fn id(&self) -> Option<Cow<'a, str>> {
        // RFC 5321 §4.4: ID = CFWS "ID" FWS ( Atom / msg-id ). Haraka goes on with `envelope-from <…>`.
        let first = self.clauses.get(ID)?.first.some()?;
        match self.text.piece(first) {
            Cow::Borrowed(id) => Some(Cow::Borrowed(id.trim_start_matches('<').trim_end_matches('>'))),
            Cow::Owned(id) => Some(Cow::Owned(id.trim_start_matches('<').trim_end_matches('>').to_owned())),
        }
    }

    /// Whom the message was for: `for`. Mostly one; some servers name several.
    #[inline]
    pub fn recipients(&self) -> Mailboxes<'_> {
        list::mailboxes(&self.recipients)
    }

    /// When it was received: what stands behind the last semicolon.
    #[inline]
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }

    /// All comments in their order, outer brackets removed; those of `from` and `by` are among them.
    pub fn comments(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.text.comments()
    }

    #[inline]
    fn host(&self, which: usize) -> Option<ReceivedHost<'a>> {
        let clause = self.clauses.get(which).filter(|_| self.begun >> which & 1 == 1)?;
        Some(ReceivedHost::new(self.text, clause.first, *self.hosts.get(which)?))
    }

    #[inline]
    fn words_as_text(&self, which: usize) -> Option<Cow<'a, str>> {
        let clause = *self.clauses.get(which)?;
        let text = match clause.only() {
            Some(word) => self.text.piece(word),
            None => Cow::Owned(charset::guess(&words(self.text, clause)).into_owned()),
        };
        Some(text).filter(|text| !text.is_empty())
    }
}

/// The words of a clause, joined by single spaces.
#[inline]
fn words<'a>(text: Text<'a>, clause: Clause) -> Cow<'a, [u8]> {
    match clause.only() {
        Some(word) => Cow::Borrowed(word.of(text.octets)),
        None => {
            let more = text.words(clause.words()).skip(1);
            Cow::Owned([clause.first.of(text.octets)].into_iter().chain(more).collect::<Vec<_>>().join(&b' '))
        }
    }
}

impl std::fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received")
            .field("from", &self.from())
            .field("by", &self.by())
            .field("via", &self.via())
            .field("with", &self.with())
            .field("id", &self.id())
            .field("recipients", &self.recipients().collect::<Vec<_>>())
            .field("tls", &self.tls())
            .field("date", &self.date)
            .field("comments", &self.comments().collect::<Vec<_>>())
            .finish()
    }
}

/// Which clause a word begins.
fn clause_of(word: &[u8]) -> Option<usize> {
    // In lower case: no other octet than its capital becomes a small letter by this.
    match *word {
        [a, b] => match [a | 0x20, b | 0x20] {
            [b'b', b'y'] => Some(BY),
            [b'i', b'd'] => Some(ID),
            _ => None,
        },
        [a, b, c] => match [a | 0x20, b | 0x20, c | 0x20] {
            [b'v', b'i', b'a'] => Some(VIA),
            [b'f', b'o', b'r'] => Some(FOR),
            [b't', b'l', b's'] => Some(TLS),
            _ => None,
        },
        [a, b, c, d] => match [a | 0x20, b | 0x20, c | 0x20, d | 0x20] {
            [b'f', b'r', b'o', b'm'] => Some(FROM),
            [b'w', b'i', b't', b'h'] => Some(WITH),
            _ => None,
        },
        _ => None,
    }
}

/// The date at the end of a trace field.
pub(in crate::message) fn date(value: &[u8]) -> Option<Timestamp> {
    cut_date(value).1
}

/// The clauses, and the date behind the last semicolon that no comment and no quoted string holds.
fn cut_date(value: &[u8]) -> (&[u8], Option<Timestamp>) {
    // More than the places of words can say.
    let value = value.get(..u32::MAX as usize).unwrap_or(value);
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
            Token::Word(word) if is_weekday(word.of(value)) => weekday = weekday.or(Some(word.from as usize)),
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
    static MARKS: Set = Set::of(b";()\"\\");
    // Mostly it is the last of them, with nothing but a date behind it.
    let from = value.len().saturating_sub(64);
    let last = MARKS.among(value.get(from..)?).checked_ilog2().map_or(from, |bit| from + bit as usize); // below 64
    if value.get(last) == Some(&b';') {
        return Some(last);
    }
    let at = memchr::memrchr(b';', value)?;
    let behind = value.get(at + 1..)?;
    let mut marks = Places::new(behind, &MARKS);
    let (mut depth, mut at_mark) = (0_usize, marks.next(0));
    while let Some(octet) = behind.get(at_mark) {
        match octet {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            _ => return None,
        }
        at_mark = marks.next(at_mark + 1);
    }
    Some(at)
}

fn is_weekday(word: &[u8]) -> bool {
    let [name @ .., b','] = word else { return false };
    ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().any(|day| name.eq_ignore_ascii_case(day.as_bytes()))
}

#[cfg(test)]
mod tests;
