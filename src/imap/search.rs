//! What SEARCH asks for (RFC 9051 §6.4.4, RFC 3501 §6.4.4).
//!
//! Keys nest, and how deep is the client's choice; so they are kept in one flat list in which each key stands after the
//! keys it is made of. Dropping, comparing and evaluating them needs no recursion.
//!
//! Text is compared decoded (transfer encodings, charsets, encoded words) and without regard to case, character by
//! character to upper and then to lower case; composed and decomposed characters stay different. BODY and TEXT look into
//! the headers of parts and into parts of type text, and into no others (RFC 3501 §6.4.4 allows that). A message is read
//! only where its flags, dates, size and numbers leave the answer open, and its body only where its header does.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use bytes::Bytes;

use crate::base::Timestamp;
use crate::imap::sequence::{Ranges, SequenceSet};
use crate::message::{Field, Message};
use crate::store::{Entry, Flag};

/// What texts may be written in. US-ASCII is where none is named, and UTF-8 sent there is understood.
const CHARSETS: [&str; 2] = ["US-ASCII", "UTF-8"];

/// A search: a charset and a list of keys, of which the last is the whole.
///
/// ```
/// use facteur::imap::search::{Search, SearchKey};
/// use facteur::store::Flag;
///
/// // SEARCH FLAGGED NOT FROM "Smith"
/// let mut search = Search::new();
/// let flagged = search.add(SearchKey::Flag(Flag::Flagged));
/// let from = search.add(SearchKey::Header { name: "From".into(), text: "Smith".into() });
/// let not = search.add(SearchKey::Not(from));
/// search.add(SearchKey::And(vec![flagged, not]));
/// assert_eq!(search.keys().len(), 4);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    charset: Option<Bytes>,
    keys: Vec<SearchKey>,
}

/// A key of one [`Search`], by its place in the list.
///
/// ```
/// use facteur::imap::search::{Search, SearchKey};
///
/// let mut search = Search::new();
/// let all = search.add(SearchKey::All);
/// assert_ne!(all, search.add(SearchKey::Not(all)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(u32);

/// A calendar day, without time and zone: `date` of RFC 9051 §9.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::imap::search::Day;
///
/// let day = Day { year: 1994, month: 2, day: 1 };
/// assert!(day > Day::of(Timestamp::from_unix(0)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs)] // a day is these three
pub struct Day {
    /// 0 to 9999.
    pub year: i16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// `search-key`. Keys that are shorthands are read as what they stand for: `UNSEEN` as `Not` of `Flag(Seen)`, `NEW` as `And`
/// of `Recent` and `Not(Flag(Seen))`, `OLD` as `Not(Recent)`, `FROM x` as `Header`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchKey {
    /// `ALL`
    All,
    /// `ANSWERED`, `DELETED`, `DRAFT`, `FLAGGED`, `SEEN`, `KEYWORD flag`
    Flag(Flag),
    /// `RECENT`
    Recent,
    /// A `sequence-set` of sequence numbers.
    Sequence(SequenceSet),
    /// `UID sequence-set`
    Uid(SequenceSet),
    /// `LARGER n`: more octets than this.
    Larger(u64),
    /// `SMALLER n`: fewer octets than this.
    Smaller(u64),
    /// `BEFORE date`: the internal date is earlier.
    Before(Day),
    /// `ON date`: the internal date is this day.
    On(Day),
    /// `SINCE date`: the internal date is this day or later.
    Since(Day),
    /// `SENTBEFORE date`: the Date field says an earlier day.
    SentBefore(Day),
    /// `SENTON date`
    SentOn(Day),
    /// `SENTSINCE date`
    SentSince(Day),
    /// `HEADER name text`; also `BCC`, `CC`, `FROM`, `SUBJECT`, `TO`. An empty text matches each message that has the field.
    Header {
        /// The name of the field, in any case of letters.
        name: Bytes,
        /// What its text must contain, in the charset of the search.
        text: Bytes,
    },
    /// `BODY text`, in the charset of the search.
    Body(Bytes),
    /// `TEXT text`: header or body.
    Text(Bytes),
    /// `NOT key`
    Not(KeyId),
    /// `OR key key`
    Or(KeyId, KeyId),
    /// Several keys: all of them; none of them is true.
    And(Vec<KeyId>),
}

impl Search {
    /// A search in the charset that is used where none is named, without keys yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The charset that the client named: `SEARCH CHARSET name`.
    pub fn charset(&self) -> Option<&[u8]> {
        self.charset.as_deref()
    }

    /// Says which charset the texts are in.
    pub fn set_charset(&mut self, charset: Bytes) {
        self.charset = Some(charset);
    }

    /// Adds a key after those it is made of. The last key added is the whole search.
    ///
    /// # Panics
    /// Where `key` is made of keys that are not in this search yet.
    pub fn add(&mut self, key: SearchKey) -> KeyId {
        let place = u32::try_from(self.keys.len()).expect("a search of fewer than 4294967296 keys"); // each is larger than an octet
        let known = |id: &KeyId| id.0 < place;
        let sound = match &key {
            SearchKey::Not(a) => known(a),
            SearchKey::Or(a, b) => known(a) && known(b),
            SearchKey::And(all) => all.iter().all(known),
            _ => true,
        };
        assert!(sound, "a key is made of keys added before it");
        self.keys.push(key);
        KeyId(place)
    }

    /// The keys in the order in which they were added; the last is the whole.
    pub fn keys(&self) -> &[SearchKey] {
        &self.keys
    }

    /// One of the keys; `None` for the place of a key in another search that is longer.
    pub fn key(&self, id: KeyId) -> Option<&SearchKey> {
        self.keys.get(id.0 as usize)
    }
}

impl Day {
    /// The day of a point in time, by the clock it was read from.
    pub fn of(stamp: Timestamp) -> Self {
        let (year, month, day) = stamp.date();
        Self { year, month, day }
    }
}

/// How many texts may be looked for in one search: each costs a look through the whole of each message. People write one
/// or two, programs some dozens.
const MOST_TEXTS: usize = 200;

/// Why a search is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The texts are in a charset that is not known, or are not in the one named.
    Charset,
    /// There are too many texts.
    TooManyTexts,
}

impl Refused {
    /// The charsets that are known.
    pub(crate) fn charsets() -> Vec<String> {
        CHARSETS.map(String::from).to_vec()
    }
}

/// A search made ready for one mailbox.
#[derive(Debug)]
pub(crate) struct Query {
    tests: Vec<Test>,
    /// What is known of each test for the message at hand; kept to be used again.
    values: Vec<Option<bool>>,
}

#[derive(Debug)]
enum Test {
    All,
    Flag(Flag),
    Recent,
    Sequence(Ranges),
    Uid(Ranges),
    Larger(u64),
    Smaller(u64),
    /// By the internal date.
    Received(Order, Day),
    /// By the Date field.
    Sent(Order, Day),
    /// The name in lower case.
    Header(String, String),
    Body(String),
    Text(String),
    Not(KeyId),
    Or(KeyId, KeyId),
    And(Vec<KeyId>),
}

/// How a date must stand to the one asked for.
#[derive(Clone, Copy, Debug)]
enum Order {
    Before,
    On,
    Since,
}

impl Order {
    fn holds(self, day: Day, asked: Day) -> bool {
        match self {
            Self::Before => day < asked,
            Self::On => day == asked,
            Self::Since => day >= asked,
        }
    }
}

impl Query {
    /// The search in a mailbox of `count` messages, the last of which has the UID `last` (0 where there is none).
    ///
    /// # Errors
    /// Why the search is not made.
    pub(crate) fn new(search: &Search, count: u32, last: u32) -> Result<Self, Refused> {
        let charset = search.charset().unwrap_or(b"UTF-8");
        if !CHARSETS.iter().any(|known| charset.eq_ignore_ascii_case(known.as_bytes())) {
            return Err(Refused::Charset);
        }
        let is_text =
            |key: &&SearchKey| matches!(key, SearchKey::Header { .. } | SearchKey::Body(_) | SearchKey::Text(_));
        if search.keys.iter().filter(is_text).count() > MOST_TEXTS {
            return Err(Refused::TooManyTexts);
        }
        let text = |octets: &Bytes| std::str::from_utf8(octets).map(fold).map_err(|_| Refused::Charset);
        let mut tests = Vec::with_capacity(search.keys.len());
        for key in &search.keys {
            tests.push(match key {
                SearchKey::All => Test::All,
                SearchKey::Flag(flag) => Test::Flag(flag.clone()),
                SearchKey::Recent => Test::Recent,
                SearchKey::Sequence(set) => Test::Sequence(set.resolve(count)),
                SearchKey::Uid(set) => Test::Uid(set.resolve(last)),
                SearchKey::Larger(size) => Test::Larger(*size),
                SearchKey::Smaller(size) => Test::Smaller(*size),
                SearchKey::Before(day) => Test::Received(Order::Before, *day),
                SearchKey::On(day) => Test::Received(Order::On, *day),
                SearchKey::Since(day) => Test::Received(Order::Since, *day),
                SearchKey::SentBefore(day) => Test::Sent(Order::Before, *day),
                SearchKey::SentOn(day) => Test::Sent(Order::On, *day),
                SearchKey::SentSince(day) => Test::Sent(Order::Since, *day),
                SearchKey::Header { name, text: sought } => Test::Header(field_name(name), text(sought)?),
                SearchKey::Body(sought) => Test::Body(text(sought)?),
                SearchKey::Text(sought) => Test::Text(text(sought)?),
                SearchKey::Not(a) => Test::Not(*a),
                SearchKey::Or(a, b) => Test::Or(*a, *b),
                SearchKey::And(all) => Test::And(all.clone()),
            });
        }
        Ok(Self { values: vec![None; tests.len()], tests })
    }

    /// How many keys there are: what a message costs at least.
    pub(crate) fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether a message matches, where that can be said without reading it.
    pub(crate) fn without_message(&mut self, number: NonZeroU32, entry: &Entry) -> Option<bool> {
        for (value, test) in self.values.iter_mut().zip(&self.tests) {
            *value = match test {
                Test::All => Some(true),
                Test::Flag(flag) => Some(entry.flags.contains(flag)),
                Test::Recent => Some(entry.recent),
                Test::Sequence(ranges) => Some(ranges.contains(number.get())),
                Test::Uid(ranges) => Some(ranges.contains(entry.uid.0.get())),
                Test::Larger(size) => Some(entry.size > *size),
                Test::Smaller(size) => Some(entry.size < *size),
                Test::Received(order, day) => Some(order.holds(Day::of(entry.received), *day)),
                _ => None,
            };
        }
        self.conclude()
    }

    /// Whether the message that [`without_message`](Self::without_message) left open matches.
    pub(crate) fn with_message(&mut self, message: &Message) -> bool {
        self.look_at_header(message);
        if let Some(decided) = self.conclude() {
            return decided;
        }
        self.look_at_body(message);
        // All tests are decided now.
        self.conclude().unwrap_or_default()
    }

    /// Decides what follows from what is known; each test stands after those it is made of.
    fn conclude(&mut self) -> Option<bool> {
        for at in 0..self.tests.len() {
            let (known, rest) = self.values.split_at_mut(at);
            let (Some(test), Some(value)) = (self.tests.get(at), rest.first_mut()) else { break };
            let of = |id: &KeyId| known.get(id.0 as usize).copied().flatten();
            *value = match test {
                Test::Not(a) => of(a).map(|a| !a),
                Test::Or(a, b) => match (of(a), of(b)) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
                Test::And(all) if all.iter().any(|id| of(id) == Some(false)) => Some(false),
                Test::And(all) if all.iter().all(|id| of(id) == Some(true)) => Some(true),
                Test::And(_) => None,
                _ => continue,
            };
        }
        // RFC 3501 §6.4.4: ALL is "the default initial key for ANDing".
        self.values.last().copied().unwrap_or(Some(true))
    }

    fn look_at_header(&mut self, message: &Message) {
        let names = self.tests.iter().filter_map(|test| match test {
            Test::Header(name, _) => Some((name.clone(), Vec::new())),
            _ => None,
        });
        let mut wanted: BTreeMap<String, Vec<String>> = names.collect();
        let whole = self.tests.iter().any(|test| matches!(test, Test::Text(_)));
        let mut lines = Vec::new();
        for field in message.header().fields() {
            if let Some(texts) = wanted.get_mut(&field.name().to_ascii_lowercase()) {
                texts.push(fold(&field.text()));
            }
            if whole {
                lines.push(line(field));
            }
        }
        let date = message.header().get("date").and_then(|field| field.date()).map(Day::of);
        for (value, test) in self.values.iter_mut().zip(&self.tests) {
            match test {
                // Where there is no date, none is before, on or after another.
                Test::Sent(order, day) => *value = Some(date.is_some_and(|date| order.holds(date, *day))),
                Test::Header(name, sought) => {
                    *value =
                        Some(wanted.get(name).is_some_and(|texts| texts.iter().any(|text| contains(text, sought))));
                }
                Test::Text(sought) if lines.iter().any(|line| contains(line, sought)) => *value = Some(true),
                _ => {}
            }
        }
    }

    fn look_at_body(&mut self, message: &Message) {
        for (value, test) in self.values.iter_mut().zip(&self.tests) {
            if let (Test::Body(_) | Test::Text(_), None) = (test, &value) {
                *value = Some(false);
            }
        }
        for part in message.all_parts() {
            // The header of the message itself is no part of its body.
            let header = part.parent().map(|_| part.header());
            let fields = header.into_iter().flat_map(|header| header.fields()).map(line);
            for text in fields.chain(part.text().as_deref().map(fold)) {
                for (value, test) in self.values.iter_mut().zip(&self.tests) {
                    match test {
                        Test::Body(sought) | Test::Text(sought) if *value == Some(false) => {
                            *value = Some(contains(&text, sought));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// As names of fields are compared. What is none matches none.
fn field_name(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() => name.to_ascii_lowercase(),
        _ => ":".to_owned(),
    }
}

/// A field as it is looked for: `name: value`, decoded and folded.
fn line(field: Field<'_>) -> String {
    fold(&format!("{}: {}", field.name(), field.text()))
}

/// Without case: `Straße`, `STRASSE` and `strasse` are the same, and so are the two small sigmas.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

fn contains(text: &str, sought: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), sought.as_bytes()).is_some()
}
