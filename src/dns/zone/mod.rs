//! A few records kept at hand that answer at once: tests, examples, and programs without a network.
//!
//! What it reads is the master file format of RFC 1035 §5.1 with the types of [`RecordType`], and besides them faults to
//! order: `TIMEOUT`, `SERVFAIL` and `BOGUS` in the place of a type, alone for every type that the name has no records of,
//! or followed by the type that they are for. Names are answered for as RFC 1034 §4.3.2 has it, with wildcards
//! (RFC 4592) and aliases; every name that is not there does not exist.
//!
//! `$SECURE NAME` has the answers for that name and those below it proved by DNSSEC, and `$INSECURE NAME` takes it back from
//! there downwards, as a delegation without a signature does.

mod master;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::base::ParseError;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

use master::{Reader, entries};

/// How many aliases of aliases are followed. Resolvers differ; 8 is what most follow.
const MAX_ALIASES: usize = 8;
/// What answers say where no `$TTL` and no record says otherwise: an hour.
const TTL: u32 = 3600;

/// Records and faults by name.
///
/// ```
/// use facteur::dns::{Data, Failure, Question, RecordType, Zone};
///
/// let zone: Zone = "
///     $ORIGIN example.org.
///     @       MX 10 mail
///     mail    A  192.0.2.1
///     *.lists CNAME mail
///     slow    TIMEOUT
/// ".parse()?;
/// let ask = |name: &str, kind| Ok::<_, facteur::base::ParseError>(zone.answer(&Question::new(name.parse()?, kind)).found);
/// assert_eq!(ask("a.lists.example.org", RecordType::A)?, Ok([Data::A([192, 0, 2, 1].into())].into()));
/// assert_eq!(ask("mail.example.org", RecordType::Txt)?, Err(Failure::NoData));
/// assert_eq!(ask("nobody.example.org", RecordType::A)?, Err(Failure::NxDomain));
/// assert_eq!(ask("slow.example.org", RecordType::A)?, Err(Failure::Timeout));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: BTreeMap<Name, Node>,
    /// Names that exist because there is one below them (RFC 4592 §2.2.2).
    above: BTreeSet<Name>,
    /// From where downwards answers are proved, or no longer.
    signed: BTreeMap<Name, bool>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    records: Vec<(Data, u32)>,
    faults: Vec<(Option<RecordType>, Failure)>,
}

impl Zone {
    /// No records: no name exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads records, as the [module](self) says.
    ///
    /// # Errors
    /// What was expected, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut zone = Self::new();
        let mut reader = Reader { origin: Name::root(), ttl: TTL, owner: None };
        let entries = entries(text)?;
        // A text in a program is indented as a whole.
        let margin = entries.iter().map(|entry| entry.indent).min().unwrap_or(0);
        for entry in &entries {
            reader.entry(entry, entry.indent > margin, &mut zone)?;
        }
        Ok(zone)
    }

    /// Adds a record.
    pub fn insert(&mut self, name: Name, data: Data) {
        self.insert_with_ttl(name, data, TTL);
    }

    /// Adds a record that may be kept for `ttl` seconds.
    pub fn insert_with_ttl(&mut self, name: Name, data: Data, ttl: u32) {
        self.node(name).records.push((data, ttl));
    }

    /// Orders a fault: for questions of the type `kind`, or, with `None`, of each type that the name has no records of.
    pub fn fail(&mut self, name: Name, kind: Option<RecordType>, failure: Failure) {
        self.node(name).faults.push((kind, failure));
    }

    /// Has answers for this name and all below it be [secure](Answer::secure).
    pub fn sign(&mut self, name: Name) {
        self.signed.insert(name, true);
    }

    /// Takes [`sign`](Self::sign) back for this name and all below it.
    pub fn unsign(&mut self, name: Name) {
        self.signed.insert(name, false);
    }

    fn is_signed(&self, name: &Name) -> bool {
        if self.signed.is_empty() {
            return false;
        }
        let names = std::iter::successors(Some(name.clone()), Name::parent);
        names.into_iter().find_map(|name| self.signed.get(&name).copied()).unwrap_or(false)
    }

    fn node(&mut self, name: Name) -> &mut Node {
        let mut above = name.parent();
        while let Some(name) = above {
            above = name.parent();
            if !self.above.insert(name) {
                break;
            }
        }
        self.names.entry(name).or_default()
    }

    /// Answers a question. It is secure where each name on the way is, aliases among them (RFC 4035 §3.2.3), and there is no
    /// fault.
    pub fn answer(&self, question: &Question) -> Answer {
        let mut name = question.name.clone();
        let mut secure = true;
        for _ in 0..=MAX_ALIASES {
            secure &= self.is_signed(&name);
            let absent = |failure| Answer { secure, ..Answer::from(Err(failure)) };
            let Some(node) = self.find(&name) else { return absent(Failure::NxDomain) };
            let Some(node) = node else { return absent(Failure::NoData) };
            if let Some((_, failure)) = node.faults.iter().find(|(kind, _)| *kind == Some(question.kind)) {
                return Err(*failure).into();
            }
            let wanted = node.records.iter().filter(|(data, _)| data.kind() == question.kind);
            let (found, ttls): (Vec<Data>, Vec<u32>) = wanted.cloned().unzip();
            if !found.is_empty() {
                return Answer { found: Ok(found.into()), ttl: ttls.into_iter().min().unwrap_or(0), secure };
            }
            let alias = node.records.iter().find_map(|(data, _)| match data {
                Data::Cname(alias) => Some(alias),
                _ => None,
            });
            match (alias, node.faults.iter().find(|(kind, _)| kind.is_none())) {
                (Some(alias), _) => name = alias.clone(),
                (None, Some((_, failure))) => return Err(*failure).into(),
                (None, None) => return absent(Failure::NoData),
            }
        }
        Err(Failure::ServFail).into()
    }

    /// Puts an inquiry's questions to the zone until there is a verdict.
    pub fn ask<I: Inquiry>(&self, mut inquiry: I) -> I::Verdict {
        loop {
            match inquiry.poll() {
                Ask::Question(question) => inquiry.answer(&self.answer(&question)),
                Ask::Verdict(verdict) => return verdict,
            }
        }
    }

    /// What is at the name: `None` where it does not exist, `Some(None)` where it exists without records.
    fn find(&self, name: &Name) -> Option<Option<&Node>> {
        if let Some(node) = self.names.get(name) {
            return Some(Some(node));
        }
        if self.above.contains(name) {
            return Some(None);
        }
        // RFC 4592 §3.3.1: the wildcard of the closest name above that exists.
        let mut above = name.parent();
        while let Some(encloser) = above {
            if self.names.contains_key(&encloser) || self.above.contains(&encloser) {
                return self.names.get(&encloser.child("*").ok()?).map(Some);
            }
            above = encloser.parent();
        }
        None
    }
}

impl FromStr for Zone {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn ask(zone: &Zone, name: &str, kind: RecordType) -> Result<Vec<Data>, Failure> {
        zone.answer(&Question::new(name.parse().unwrap(), kind)).found.map(|found| found.to_vec())
    }

    /// The example of RFC 4592 §2.2.1, its questions and answers.
    #[test]
    fn wildcards_are_for_names_that_are_not_there() {
        let zone: Zone = "$ORIGIN example.\n*.example. TXT \"this is a wildcard\"\n*.example. MX 10 host1.example.\n\
             sub.*.example. TXT \"this is not a wildcard\"\nhost1.example. A 192.0.2.1\n\
             _ssh._tcp.host1.example. SRV 0 0 22 host1.example."
            .parse()
            .unwrap();
        assert!(ask(&zone, "host3.example", RecordType::Mx).is_ok());
        assert_eq!(ask(&zone, "host3.example", RecordType::A), Err(Failure::NoData));
        assert!(ask(&zone, "foo.bar.example", RecordType::Txt).is_ok());
        assert_eq!(ask(&zone, "host1.example", RecordType::Mx), Err(Failure::NoData));
        assert!(ask(&zone, "sub.*.example", RecordType::Mx).is_err());
        assert_eq!(ask(&zone, "_telnet._tcp.host1.example", RecordType::Srv), Err(Failure::NxDomain));
        assert_eq!(ask(&zone, "_tcp.host1.example", RecordType::Srv), Err(Failure::NoData));
    }

    #[test]
    fn aliases_are_followed_and_do_not_run_in_circles() {
        let zone: Zone = "a.x CNAME b.x\nb.x CNAME c.x\nc.x A 192.0.2.1\nloop.x CNAME loop.x\nopen.x CNAME none.x\n"
            .parse()
            .unwrap();
        assert!(ask(&zone, "a.x", RecordType::A).is_ok());
        assert!(ask(&zone, "a.x", RecordType::Cname).is_ok());
        assert_eq!(ask(&zone, "a.x", RecordType::Txt), Err(Failure::NoData));
        assert_eq!(ask(&zone, "loop.x", RecordType::A), Err(Failure::ServFail));
        assert_eq!(ask(&zone, "open.x", RecordType::A), Err(Failure::NxDomain));
    }

    #[test]
    fn faults_come_to_order() {
        let zone: Zone =
            "a.x A 192.0.2.1\na.x TIMEOUT\nb.x A 192.0.2.1\nb.x BOGUS A\nb.x SERVFAIL MX\n".parse().unwrap();
        assert!(ask(&zone, "a.x", RecordType::A).is_ok());
        assert_eq!(ask(&zone, "a.x", RecordType::Mx), Err(Failure::Timeout));
        assert_eq!(ask(&zone, "b.x", RecordType::A), Err(Failure::Bogus));
        assert_eq!(ask(&zone, "b.x", RecordType::Mx), Err(Failure::ServFail));
        assert_eq!(ask(&zone, "b.x", RecordType::Txt), Err(Failure::NoData));
    }

    #[test]
    fn answers_are_secure_where_each_name_on_the_way_is() {
        let zone: Zone = "$SECURE x\n$INSECURE off.x\na.x A 192.0.2.1\nb.off.x A 192.0.2.1\nc.x CNAME b.off.x\n\
                          d.off.x CNAME a.x\ne.x CNAME a.x\nf.x SERVFAIL\ng.y A 192.0.2.1\n"
            .parse()
            .unwrap();
        for (name, secure) in [
            ("a.x", true),
            ("none.x", true),
            ("b.off.x", false),
            ("none.off.x", false),
            ("c.x", false),
            ("d.off.x", false),
            ("e.x", true),
            ("f.x", false),
            ("g.y", false),
        ] {
            assert_eq!(zone.answer(&Question::new(name.parse().unwrap(), RecordType::A)).secure, secure, "{name}");
        }
        let alias = Question::new("c.x".parse().unwrap(), RecordType::Cname);
        assert!(zone.answer(&alias).secure);
    }
}
