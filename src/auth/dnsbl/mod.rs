//! Lists in the DNS of addresses and domains, bad ones and good ones (RFC 5782): which of them know the client, the domains
//! that it names, and the hosts in the URIs of a message.
//!
//! [`Lists`] says which lists are asked about what, and what their answers count; [`Evaluation`] is the
//! [`Inquiry`](crate::dns::Inquiry) after all of them at once, and its [`Verdict`] has the sum and how it came about. A list
//! that answers everything or nothing, or refuses to answer, shows at the test points of RFC 5782 §5: these are asked for
//! along with the rest every hour, and a list that fails them is put aside and said so.
//!
//! Left out on purpose: lists of hashes, and `mailto:` URIs.

mod evaluation;
mod filter;
mod hosts;
mod list;
mod subjects;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

pub use evaluation::{Evaluation, MAX_QUESTIONS};
pub use filter::Filter;
pub use hosts::hosts;
pub use list::{Code, Holds, List, Lists};

use crate::auth::Method;
use crate::dns::{Failure, Name};

/// Where something that is asked about comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// The client's address.
    Client,
    /// What the client calls itself.
    Helo,
    /// The domain of the reverse-path.
    Sender,
    /// The domain of the From field.
    Author,
    /// The address of a host that Received fields name: a relay, or whatever a forger put there.
    Relay,
    /// The host of a URI in the message.
    Uri,
}

/// Something that lists are asked about.
///
/// ```
/// use facteur::auth::dnsbl::{Origin, Subject, What};
///
/// let subject = Subject::new(Origin::Client, What::Address([192, 0, 2, 99].into()));
/// assert_eq!(subject.what.to_string(), "192.0.2.99");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Subject {
    /// Where it comes from.
    pub origin: Origin,
    /// What it is.
    pub what: What,
}

impl Subject {
    /// `what`, out of `origin`.
    pub fn new(origin: Origin, what: What) -> Self {
        Self { origin, what }
    }
}

/// An address or a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // nothing else is listed
pub enum What {
    /// An address; a mapped one is asked about as the IPv4 address that it is.
    Address(IpAddr),
    /// A name.
    Domain(Name),
}

/// A kind of entries, with test points of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// Names.
    Domain,
}

/// What the test points of a list show (RFC 5782 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// What must be listed is, and what must not is not.
    Good,
    /// It lists what must not be listed: a wildcard over everything, as of a list that was shut down.
    ListsEverything,
    /// It does not list what must be listed: there is no list any more, or none with entries of this kind.
    ListsNothing,
    /// It refuses to answer, with this answer.
    Refuses(Ipv4Addr),
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// It is listed.
    Listed {
        /// The answers.
        codes: Vec<Ipv4Addr>,
        /// What the codes that fit mean, as far as they say it.
        meanings: Vec<String>,
        /// Why, in the list's own words, where they were asked for. In ASCII, as replies of
        /// SMTP and header fields must be: control characters are left out, and each octet that is none is a question mark.
        reason: Option<String>,
    },
    /// It is not listed.
    NotListed,
    /// The list does not answer this asker.
    Refused(Ipv4Addr),
    /// The answer is outside of 127.0.0.0/8 and so no answer of a list (RFC 5782 §7: "an abandoned DNSBL domain was
    /// re-registered").
    Outside(Ipv4Addr),
    /// There was no answer.
    Failed(Failure),
    /// What the list says does not count, for it fails its test.
    PutAside(Health),
}

/// One question to one list, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The list.
    pub zone: Name,
    /// Whether it is a list of what is good.
    pub allows: bool,
    /// What was asked about.
    pub what: What,
    /// Where that comes from; several where the same name stands in several places.
    pub origins: Vec<Origin>,
    /// The name that was asked for.
    pub name: Name,
    /// What the list says.
    pub found: Found,
    /// The answer was proved by DNSSEC.
    pub secure: bool,
    /// What it adds to the score. A code that another entry has already counted adds nothing again.
    pub weight: i32,
}

/// What the test points of one list have shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Test {
    /// The list.
    pub zone: Name,
    /// Which of its entries.
    pub kind: Kind,
    /// What it says of the point that must be listed.
    pub must: Found,
    /// What it says of the point that must not be listed.
    pub must_not: Found,
    /// What follows; `None` where the DNS did not answer.
    pub health: Option<Health>,
}

/// What the lists say, and what it comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The sum of the weights of all codes that were met.
    pub score: i32,
    /// Every question about something, in the order of subjects and lists.
    pub entries: Vec<Entry>,
    /// The tests that were due.
    pub tests: Vec<Test>,
    /// How many questions were not asked since there were too many.
    pub skipped: usize,
}

impl Health {
    /// Whether the list is to be asked and believed.
    pub fn is_good(self) -> bool {
        self == Self::Good
    }
}

impl Verdict {
    /// The entries that are listed.
    pub fn listed(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| matches!(entry.found, Found::Listed { .. }))
    }

    /// RFC 8904: what the lists of good addresses say of the client. There is no registered method for what other lists say,
    /// and who reads a field with one that is not "SHOULD ignore or delete" it (RFC 8601 §2.7.6).
    pub(in crate::auth) fn methods(&self) -> impl Iterator<Item = Method> + '_ {
        let of_client = |entry: &&Entry| entry.allows && entry.origins.contains(&Origin::Client);
        self.entries.iter().filter(of_client).map(|entry| {
            let result = match &entry.found {
                Found::Listed { .. } => "pass",
                Found::NotListed => "none",
                Found::Failed(_) => "temperror",
                // RFC 8904 §2: "test entries don't work" or "queries are over quota"
                _ => "permerror",
            };
            let mut method = Method::new("dnswl", result).property("dns", "zone", entry.zone.to_string());
            match &entry.found {
                Found::Listed { codes, reason, .. } => {
                    let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
                    method = method.property("policy", "ip", codes.join(","));
                    if let Some(reason) = reason {
                        method = method.property("policy", "txt", reason);
                    }
                }
                Found::NotListed => {}
                trouble => method = method.reason(trouble.to_string()),
            }
            if entry.secure { method.property("dns", "sec", "yes") } else { method }
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Helo => "helo",
            Self::Sender => "sender",
            Self::Author => "author",
            Self::Relay => "relay",
            Self::Uri => "uri",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Domain => "domain",
        })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("works"),
            Self::ListsEverything => f.write_str("lists everything"),
            Self::ListsNothing => f.write_str("lists nothing"),
            Self::Refuses(answer) => write!(f, "refuses to answer ({answer})"),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed { codes, meanings, reason } => {
                f.write_str("listed")?;
                codes.iter().try_for_each(|code| write!(f, " {code}"))?;
                meanings.iter().try_for_each(|meaning| write!(f, ", {meaning}"))?;
                reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
            }
            Self::NotListed => f.write_str("not listed"),
            Self::Refused(answer) => write!(f, "refused to answer ({answer})"),
            Self::Outside(answer) => write!(f, "not a list's answer ({answer})"),
            Self::Failed(failure) => write!(f, "dns: {failure}"),
            Self::PutAside(health) => write!(f, "put aside: the list {health}"),
        }
    }
}

/// One line: what, where, which question, which answer, which weight.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, zone, name, found, weight, .. } = self;
        write!(f, "{what} (")?;
        for (n, origin) in self.origins.iter().enumerate() {
            write!(f, "{}{origin}", if n > 0 { ", " } else { "" })?;
        }
        write!(f, ") at {zone}: {name}: {found}")?;
        if *weight != 0 { write!(f, " ({weight:+})") } else { Ok(()) }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "test of {} ({}): must be listed: {}; must not: {}", self.zone, self.kind, self.must, self.must_not)?;
        match self.health {
            Some(health) => write!(f, "; the list {health}"),
            None => f.write_str("; nothing is known of the list"),
        }
    }
}
