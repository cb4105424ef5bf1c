//! What is known of lists: what they hold, what their answers mean, and whether they work.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Filter, Health, Kind, Origin};
use crate::base::{ParseError, Timestamp};
use crate::dns::Name;

/// One list, by the zone that it is published in.
///
/// As text it is what postscreen has in `postscreen_dnsbl_sites`, with bit masks besides: the zone, `=` and a filter or `&`
/// and a mask, and `*` and a weight. Without a filter any listing counts, without a weight by 1.
///
/// ```
/// use facteur::auth::dnsbl::List;
///
/// let list: List = "bl.example.org=127.0.0.[2..11]*3".parse()?;
/// assert_eq!(list.zone.as_str(), "bl.example.org");
/// assert_eq!(list.codes[0].weight, 3);
/// let list: List = "wl.example.org*-2".parse()?;
/// assert!(list.is_allow_list());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// Below which name its entries are.
    pub zone: Name,
    /// What it lists.
    pub holds: Holds,
    /// What it is asked about. Default: the client for addresses, the names of session and author for domains, the hosts of
    /// URIs for both.
    pub about: Vec<Origin>,
    /// What its answers mean. Default: any listing counts 1. Each code that fits counts, and each once a message, of however
    /// many things it is said.
    pub codes: Vec<Code>,
    /// With which answers it says that it does not answer. Default: `127.255.255.0/24`, with which operators say that an
    /// asker is blocked or asks wrongly, and `127.0.0.1`, which is no listing anywhere (RFC 5782 §5) and with some operators
    /// says the same.
    pub refusals: Vec<Filter>,
    /// How many labels at the end of a domain are asked about; a name with more is asked about once for each number. Default
    /// 2 to 4: lists have registered domains, and some the hosts below them.
    pub labels: RangeInclusive<usize>,
    /// Whether the reason of a listing (its TXT record) is asked for, too. Default: yes for lists of what is bad; in lists of
    /// what is good it is "not very useful" (RFC 5782 §2.2).
    pub reasons: bool,
    /// Whether its test points are asked for (RFC 5782 §5). Default: yes. A list of one's own may have none.
    pub tested: bool,
}

/// What a list lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Holds {
    /// Addresses, of IPv4 or IPv6 or both.
    Addresses,
    /// Names.
    Domains,
    /// Both, as lists of hosts in URIs do.
    Both,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Code {
    /// Which answers.
    pub filter: Filter,
    /// How much it counts, less than 0 for what speaks for a message. In what unit is for the application to say.
    pub weight: i32,
    /// What it says, in words. Default: nothing.
    pub meaning: String,
    /// Of what it counts; `None`, which is the default, for all that the list is asked about. RFC 5782 §6: that a dialup
    /// address was a relay long ago says nothing, that it is the client says much.
    pub about: Option<Vec<Origin>>,
}

impl Code {
    /// Answers that `filter` contains count `weight`.
    pub fn new(filter: Filter, weight: i32) -> Self {
        Self { filter, weight, meaning: String::new(), about: None }
    }

    /// The same with words for what it says.
    #[must_use]
    pub fn meaning(mut self, meaning: impl Into<String>) -> Self {
        self.meaning = meaning.into();
        self
    }
}

impl List {
    /// A list of addresses, which is asked about the client. Whatever it lists counts `weight`.
    pub fn addresses(zone: Name, weight: i32) -> Self {
        Self::new(zone, Holds::Addresses, vec![Origin::Client], weight)
    }

    /// A list of domains, which is asked about the HELO name, the reverse-path and the From field.
    pub fn domains(zone: Name, weight: i32) -> Self {
        Self::new(zone, Holds::Domains, vec![Origin::Helo, Origin::Sender, Origin::Author], weight)
    }

    /// A list of hosts that stand in URIs, names and addresses.
    pub fn uris(zone: Name, weight: i32) -> Self {
        Self::new(zone, Holds::Both, vec![Origin::Uri], weight)
    }

    /// A list of good addresses with the answers of dnswl.org: `127.0.CATEGORY.TRUST`, where trust 1 to 3 is low, medium and
    /// high and counts -1, -2 and -4, and 0 counts nothing; `127.0.0.255` is a refusal.
    pub fn trusted(zone: Name) -> Self {
        let code = |trust: u8, weight, meaning: &str| {
            let filter = Filter::from_octets([127..=127, 0..=0, 0..=255, trust..=trust]);
            Code::new(filter, weight).meaning(meaning)
        };
        let mut list = Self::addresses(zone, 0);
        list.codes = vec![code(0, 0, "trust none"), code(1, -1, "trust low"), code(2, -2, "trust medium")];
        list.codes.push(code(3, -4, "trust high"));
        list.refusals.push(Ipv4Addr::new(127, 0, 0, 255).into());
        list.reasons = false;
        list
    }

    fn new(zone: Name, holds: Holds, about: Vec<Origin>, weight: i32) -> Self {
        let blocked = Filter::from_octets([127..=127, 255..=255, 255..=255, 0..=255]);
        Self {
            zone,
            holds,
            about,
            codes: vec![Code::new(Filter::any(), weight)],
            refusals: vec![blocked, Ipv4Addr::LOCALHOST.into()],
            labels: 2..=4,
            reasons: weight >= 0,
            tested: true,
        }
    }

    /// Whether it is a list of what is good: some of its answers speak for a message, and none counts against it. One of which
    /// none counts anything, as on trial, is no such list.
    pub fn is_allow_list(&self) -> bool {
        self.codes.iter().all(|code| code.weight <= 0) && self.codes.iter().any(|code| code.weight < 0)
    }

    /// The kinds of entries that it has.
    pub(super) fn kinds(&self) -> &'static [Kind] {
        match self.holds {
            Holds::Addresses => &[Kind::Ipv4, Kind::Ipv6],
            Holds::Domains => &[Kind::Domain],
            Holds::Both => &[Kind::Ipv4, Kind::Ipv6, Kind::Domain],
        }
    }
}

impl FromStr for List {
    type Err = ParseError;

    /// A list of addresses; [`List::holds`] and [`List::about`] can be set to other things.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let end = text.find(['=', '&', '*']).unwrap_or(text.len());
        let (zone, rest) = text.split_at(end);
        let zone = Name::parse(zone)?;
        let (filter, weight) = rest.split_once('*').map_or((rest, None), |(filter, weight)| (filter, Some(weight)));
        let weight = match weight {
            None => 1,
            Some(weight) => {
                let at = text.len() - weight.len();
                weight.parse().map_err(|_| ParseError { expected: "a weight", at })?
            }
        };
        let mut list = Self::addresses(zone, weight);
        if !filter.is_empty() {
            let skipped = usize::from(filter.starts_with('='));
            let parsed = filter.strip_prefix('=').unwrap_or(filter).parse();
            let parsed = parsed.map_err(|error: ParseError| ParseError { at: error.at + end + skipped, ..error });
            list.codes = vec![Code::new(parsed?, weight)];
        }
        Ok(list)
    }
}

/// Lists that are asked together, and what is known of their health.
///
/// ```
/// use facteur::auth::dnsbl::{List, Lists};
///
/// let lists = Lists::new(["bl.example.org*2".parse::<List>()?, List::trusted("wl.example.org".parse()?)]);
/// assert!(lists.health().is_empty());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Lists {
    lists: Vec<List>,
    /// How long all lists are waited for, in a [`Check`](crate::auth::Check). What has not answered by then counts as no
    /// answer. Default 5 seconds: good lists answer in a tenth of one.
    pub patience: Duration,
    /// How old the result of a test may be before the list is tested again; `None` for no tests. Default 1 hour.
    pub test_every: Option<Duration>,
    /// How many hosts out of URIs are asked about, spread evenly over those that a message has. Default 20: more than honest
    /// mail has as a rule; each costs a question for each list and number of labels.
    pub most_hosts: usize,
    /// How many addresses out of Received fields are asked about, from the top. Default 5.
    pub most_relays: usize,
    states: Mutex<HashMap<(usize, Kind), (i64, Health)>>,
}

impl Lists {
    /// These lists. Several of one zone that are alike but for their codes are one, with the codes of all; it is asked for
    /// reasons where one of them is.
    pub fn new(lists: impl IntoIterator<Item = List>) -> Self {
        let mut all: Vec<List> = Vec::new();
        for list in lists {
            let but_codes = |one: &List| List { codes: Vec::new(), reasons: false, ..one.clone() };
            match all.iter_mut().find(|known| known.zone == list.zone && but_codes(known) == but_codes(&list)) {
                Some(known) => {
                    known.reasons |= list.reasons;
                    known.codes.extend(list.codes);
                }
                None => all.push(list),
            }
        }
        Self {
            lists: all,
            patience: Duration::from_secs(5),
            test_every: Some(Duration::from_secs(60 * 60)),
            most_hosts: 20,
            most_relays: 5,
            states: Mutex::default(),
        }
    }

    /// The lists.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// What the last tests have shown, by zone; nothing of lists that were not tested yet.
    pub fn health(&self) -> Vec<(Name, Kind, Health)> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = states.iter().map(|((list, kind), (_, health))| (*list, *kind, *health)).collect();
        found.sort_by_key(|(list, kind, _)| (*list, *kind));
        let named =
            |(list, kind, health): (usize, Kind, Health)| Some((self.lists.get(list)?.zone.clone(), kind, health));
        found.into_iter().filter_map(named).collect()
    }

    /// Whether any list is asked about things of this origin.
    pub(super) fn ask_about(&self, origin: Origin) -> bool {
        self.lists.iter().any(|list| list.about.contains(&origin))
    }

    /// What is known of a list's entries of one kind, and whether it is to be tested at `now`.
    pub(super) fn state(&self, list: usize, kind: Kind, now: Timestamp) -> (Option<Health>, bool) {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let known = states.get(&(list, kind)).copied();
        let tested = self.lists.get(list).is_some_and(|list| list.tested);
        let is_due = self
            .test_every
            .filter(|_| tested)
            .is_some_and(|every| known.is_none_or(|(at, _)| now.unix().abs_diff(at) >= every.as_secs()));
        (known.map(|(_, health)| health), is_due)
    }

    /// Keeps what a test has shown.
    pub(super) fn note(&self, list: usize, kind: Kind, health: Health, now: Timestamp) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert((list, kind), (now.unix(), health)); // at most three for each list
    }
}

/// As it is parsed, with its first code.
impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zone)?;
        let Some(code) = self.codes.first() else { return Ok(()) };
        if code.filter != Filter::any() {
            let filter = code.filter.to_string();
            write!(f, "{}{filter}", if filter.starts_with('&') { "" } else { "=" })?;
        }
        write!(f, "*{}", code.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        for (text, written) in [
            ("bl.x", "bl.x*1"),
            ("BL.x.*-7", "bl.x*-7"),
            ("bl.x=127.0.0.[2..11]*3", "bl.x=127.0.0.[2..11]*3"),
            ("bl.x&0.0.0.8", "bl.x&0.0.0.8*1"),
        ] {
            assert_eq!(text.parse::<List>().unwrap().to_string(), written);
        }
        for (text, expected, at) in [
            ("", "a name", 0),
            ("bl.x*", "a weight", 5),
            ("bl.x*a", "a weight", 5),
            ("bl.x=", "a number up to 255, or numbers and ranges in brackets", 5),
            ("bl.x=127.0.0*1", "a dot", 12),
            ("bl.x&*1", "a bit mask", 5),
        ] {
            assert_eq!(text.parse::<List>().unwrap_err(), ParseError { expected, at }, "{text}");
        }
    }

    #[test]
    fn several_of_one_zone_are_one() {
        let parse = |text: &str| text.parse::<List>().unwrap();
        let lists = Lists::new([parse("bl.x=127.0.0.2*1"), parse("wl.x*-1"), parse("bl.x=127.0.0.3*2")]);
        assert_eq!(lists.lists().len(), 2);
        assert_eq!(lists.lists()[0].codes.len(), 2);
        // What the one would lose is kept.
        let (mut refusing, mut longer) = (parse("bl.x*1"), parse("bl.x*1"));
        refusing.refusals.push("127.0.0.255".parse().unwrap());
        longer.labels = 3..=5;
        assert_eq!(Lists::new([parse("bl.x*1"), refusing, longer]).lists().len(), 3);
    }

    #[test]
    fn a_list_on_trial_speaks_for_nobody() {
        for (text, expected) in [("x.y*-1", true), ("x.y*0", false), ("x.y*1", false)] {
            assert_eq!(text.parse::<List>().unwrap().is_allow_list(), expected, "{text}");
        }
    }

    #[test]
    fn trust_has_levels() {
        let list = List::trusted("wl.x".parse().unwrap());
        let weight = |answer: [u8; 4]| {
            list.codes.iter().find(|code| code.filter.contains(answer.into())).map(|code| code.weight)
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|trust| weight([127, 0, 10, trust])),
            [Some(0), Some(-1), Some(-2), Some(-4), None]
        );
        assert!(list.is_allow_list() && list.refusals.iter().any(|one| one.contains([127, 0, 0, 255].into())));
    }
}
