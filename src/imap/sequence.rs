//! Sets of message numbers: `sequence-set` of RFC 9051 §9 (RFC 3501 §9), of sequence numbers or of UIDs.
//!
//! A set is kept as it was written. What it means is known only next to a mailbox, because of `*`:
//! [`SequenceSet::resolve`] gives the [`Ranges`], sorted and disjoint. Nothing here walks over numbers; what is walked over is
//! the mailbox, so `1:4294967295` costs what its mailbox costs.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use crate::base::ParseError;
use crate::base::parse::{Parsed, fail, number, whole};
use crate::store::Uid;

/// `sequence-set = (seq-number / seq-range) ["," sequence-set]`, as it was written and never empty.
///
/// ```
/// use facteur::imap::sequence::SequenceSet;
///
/// let set = SequenceSet::parse(b"2,4:7,9,12:*")?;
/// let ranges = set.resolve(15);
/// assert!(ranges.contains(5) && ranges.contains(15) && !ranges.contains(8));
/// assert_eq!(set.to_string(), "2,4:7,9,12:*");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(Vec<(Number, Number)>);

/// `seq-number = nz-number / "*"`
///
/// ```
/// use facteur::imap::sequence::Number;
///
/// assert_eq!(Number::Last.to_string(), "*");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Number {
    /// A number.
    Number(NonZeroU32),
    /// `*`: the largest number in use.
    Last,
}

/// Which numbers a set means in a mailbox: sorted, disjoint, not touching each other.
///
/// ```
/// use facteur::imap::sequence::SequenceSet;
///
/// // RFC 9051 §9: "3291:* includes the UID of the last message in the mailbox, even if that value is less than 3291".
/// let ranges = SequenceSet::parse(b"3291:*")?.resolve(485);
/// assert_eq!(ranges.iter().collect::<Vec<_>>(), [485..=3291]);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u32, u32)>);

impl SequenceSet {
    /// The set of these ranges (`(a, b)` with `a == b` for a single number); `None` where there are none.
    pub fn new(ranges: Vec<(Number, Number)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    /// Reads a whole `sequence-set`.
    ///
    /// # Errors
    /// What was expected, and where; `0` is no number here.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        whole(sequence_set, text)
    }

    /// The ranges as they were written.
    pub fn ranges(&self) -> &[(Number, Number)] {
        &self.0
    }

    /// Whether the set names a message that is not there where there are `count`: RFC 3501 §9, seq-number, "The server should
    /// respond with a tagged BAD". A range with `*` in it never does: `1:*` is what clients ask of an empty mailbox too.
    pub fn exceeds(&self, count: u32) -> bool {
        self.0.iter().any(|range| match range {
            (Number::Number(a), Number::Number(b)) => a.max(b).get() > count,
            _ => false,
        })
    }

    /// What the set means where `last` is the largest number in use: the number of messages, or the highest UID. Where
    /// there is none (0), `*` means nothing.
    pub fn resolve(&self, last: u32) -> Ranges {
        let value = |number| match number {
            Number::Number(number) => number.get(),
            Number::Last => last,
        };
        self.0
            .iter()
            // RFC 9051 §9, seq-range: "2:4 and 4:2 are equivalent"
            .map(|(a, b)| (value(*a).min(value(*b)), value(*a).max(value(*b))))
            // A `*` in an empty mailbox is no message.
            .filter(|(low, _)| *low > 0)
            .collect()
    }
}

impl Ranges {
    /// Whether `number` is among them.
    pub fn contains(&self, number: u32) -> bool {
        let place = self.0.partition_point(|(_, high)| *high < number);
        self.0.get(place).is_some_and(|(low, _)| *low <= number)
    }

    /// The largest number; `None` where there is no number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, high)| *high)
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges in their order.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|(low, high)| *low..=*high)
    }

    /// The indices (from 0) of a list of `count` messages whose sequence numbers (from 1) are among them, in order.
    pub fn indices(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.0.iter().flat_map(move |(low, high)| (*low..=(*high).min(count)).map(|number| number as usize - 1))
    }

    /// The indices of those of `uids`, which are in order, that are among them.
    pub fn indices_by_uid<'a>(&'a self, uids: &'a [Uid]) -> impl Iterator<Item = usize> + 'a {
        self.0.iter().flat_map(move |(low, high)| {
            let from = uids.partition_point(|uid| uid.0.get() < *low);
            let to = uids.partition_point(|uid| uid.0.get() <= *high);
            from..to
        })
    }
}

/// Sorts, and joins what overlaps or touches.
impl FromIterator<(u32, u32)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let mut all: Vec<(u32, u32)> = ranges.into_iter().filter(|(low, high)| low <= high).collect();
        all.sort_unstable();
        all.dedup_by(|next, held| {
            let joined = next.0 <= held.1.saturating_add(1);
            if joined {
                held.1 = held.1.max(next.1);
            }
            joined
        });
        Self(all)
    }
}

impl FromIterator<u32> for Ranges {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        numbers.into_iter().map(|number| (number, number)).collect()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Last => f.write_str("*"),
        }
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (low, high)) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            if low == high { write!(f, "{low}")? } else { write!(f, "{low}:{high}")? }
        }
        Ok(())
    }
}

/// As `uid-set` of RFC 4315 §4 writes them: `3,5:7`.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (low, high)) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            if low == high { write!(f, "{low}")? } else { write!(f, "{low}:{high}")? }
        }
        Ok(())
    }
}

/// `sequence-set = (seq-number / seq-range) ["," sequence-set]`
pub fn sequence_set(input: &[u8]) -> Parsed<'_, SequenceSet> {
    let mut ranges = Vec::new();
    let mut rest = input;
    loop {
        let (after, low) = seq_number(rest)?;
        let (after, high) = match after {
            [b':', after @ ..] => seq_number(after)?,
            _ => (after, low),
        };
        ranges.push((low, high));
        match after {
            [b',', after @ ..] => rest = after,
            _ => return Ok((after, SequenceSet(ranges))),
        }
    }
}

/// `seq-number = nz-number / "*"`
fn seq_number(input: &[u8]) -> Parsed<'_, Number> {
    match input {
        [b'*', rest @ ..] => Ok((rest, Number::Last)),
        [b'1'..=b'9', ..] => match number(input).map(|(rest, number)| (rest, NonZeroU32::new(number)))? {
            (rest, Some(number)) => Ok((rest, Number::Number(number))),
            _ => fail(input, "a message number"),
        },
        // nz-number = digit-nz *DIGIT
        _ => fail(input, "a message number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(set: &str, last: u32) -> String {
        SequenceSet::parse(set.as_bytes()).unwrap().resolve(last).to_string()
    }

    #[test]
    fn sets_are_sorted_and_joined() {
        for (set, last, expected) in [
            // RFC 9051 §9: "2,4:7,9,12:* is equivalent to 2,4,5,6,7,9,12,13,14,15" for a mailbox with 15 messages
            ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"),
            // "*:4,5:7 is equivalent to 10,9,8,7,6,5,4,5,6,7 ... and MAY be reordered ... coalesced" for 10 messages
            ("*:4,5:7", 10, "4:10"),
            ("4:2", 10, "2:4"),
            ("*", 10, "10"),
            ("*", 0, ""),
            ("3,1,2", 10, "1:3"),
            ("5,5,5:5", 10, "5"),
            ("1:4294967295", 3, "1:4294967295"),
            ("4294967295:*,4294967294", 4_294_967_295, "4294967294:4294967295"),
        ] {
            assert_eq!(resolved(set, last), expected, "{set} of {last}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bad in ["", "0", "01", "1:", ":1", "1,", ",1", "1:2:3", "4294967296", "1 2", "-1", "a", "**", "1:0"] {
            assert!(SequenceSet::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_beyond_the_mailbox_are_noticed() {
        for (set, count, expected) in [
            ("1", 1, false),
            ("1", 0, true),
            ("2:4", 3, true),
            ("4:2", 4, false),
            ("1:*", 0, false),
            ("*", 0, false),
            ("9:*", 3, false),
            ("1,4294967295", 3, true),
        ] {
            assert_eq!(SequenceSet::parse(set.as_bytes()).unwrap().exceeds(count), expected, "{set} of {count}");
        }
    }

    #[test]
    fn sets_round_trip() {
        for text in ["1", "*", "1:*", "*:4", "2,4:7,9,12:*", "4:2"] {
            assert_eq!(SequenceSet::parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_mailbox_is_walked_over_and_not_the_numbers() {
        let all = SequenceSet::parse(b"1:4294967295,3:*").unwrap().resolve(4);
        assert_eq!(all.indices(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let messages = [7, 9, 4_000_000_000].map(|uid| Uid(NonZeroU32::new(uid).unwrap()));
        assert_eq!(all.indices_by_uid(&messages).collect::<Vec<_>>(), [0, 1, 2]);
        let some = SequenceSet::parse(b"8:10,1,4000000000").unwrap().resolve(4_000_000_000);
        assert_eq!(some.indices_by_uid(&messages).collect::<Vec<_>>(), [1, 2]);
        assert!(some.contains(9) && !some.contains(7) && !some.contains(11));
    }
}
