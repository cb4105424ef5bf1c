//! What SEARCH asks for (RFC 9051 §6.4.4, RFC 3501 §6.4.4).
//!
//! Keys nest, and how deep is the client's choice; so they are kept in one flat list in which each key stands after the
//! keys it is made of. Dropping, comparing and evaluating them needs no recursion.

use bytes::Bytes;

use crate::imap::sequence::SequenceSet;
use crate::store::Flag;

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
}

impl Day {
    /// The day of a point in time, by the clock it was read from.
    pub fn of(stamp: crate::base::Timestamp) -> Self {
        let (year, month, day) = stamp.date();
        Self { year, month, day }
    }
}
