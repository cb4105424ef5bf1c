//! Where a domain's mail goes (RFC 5321 §5.1, RFC 7505).

use std::net::IpAddr;

use crate::address::Domain;
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How many hosts are looked up, the most preferred first. RFC 5321 §5.1 allows a limit on the alternatives tried; real
/// domains have at most a handful.
pub const MAX_HOSTS: usize = 16;
/// How many addresses of one host are kept.
pub const MAX_ADDRESSES: usize = 32;

/// The hosts that take a domain's mail, in the order in which to try them.
///
/// ```
/// use facteur::dns::{Zone, mx};
///
/// let zone: Zone = "
///     example.org      MX 20 backup.example.net
///     example.org      MX 10 mail.example.org
///     mail.example.org A 192.0.2.1
///     backup.example.net A 192.0.2.2
///     closed.example   MX 0 .
/// ".parse()?;
/// let targets = zone.ask(mx::Lookup::new(&"example.org".parse()?, 1)).unwrap();
/// assert_eq!(targets.hosts[0].name.as_ref().unwrap().as_str(), "mail.example.org");
/// assert_eq!(zone.ask(mx::Lookup::new(&"closed.example".parse()?, 1)), Err(mx::Unreachable::NullMx));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Targets {
    /// The hosts, at least one; each has at least one address.
    pub hosts: Vec<Host>,
    /// They are named by MX records. Without, the domain itself is the host.
    pub has_mx: bool,
    /// The answer that named them was proved by DNSSEC, as DANE asks for (RFC 7672 §2.2.1).
    pub secure: bool,
}

/// One host that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// Its name; `None` for an address literal.
    pub name: Option<Name>,
    /// The preference of its MX record, 0 without one.
    pub preference: u16,
    /// Its addresses, in the order in which to try them.
    pub addresses: Vec<IpAddr>,
    /// The answers for its addresses were proved by DNSSEC, as far as there were any (RFC 7672 §2.2.2).
    pub secure: bool,
}

/// Why there is nowhere to send mail for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The domain takes no mail (RFC 7505 §3). The reply code for it is 556 5.1.10.
    #[error("the domain takes no mail")]
    NullMx,
    /// The domain does not exist.
    #[error("no such domain")]
    NoDomain,
    /// There are no MX records, and no address either.
    #[error("the domain has no address")]
    NoAddress,
    /// There are MX records, and no host of them has an address. RFC 5321 §5.1: "this situation MUST be reported as an
    /// error".
    #[error("no mail host of the domain has an address")]
    NoHost,
    /// Every host is the asking one itself or one behind it, see [`Targets::before`].
    #[error("mail for the domain loops back here")]
    Loop,
    /// The domain is no name of the DNS.
    #[error("no domain of the DNS")]
    BadDomain,
    /// It is not known: try later.
    #[error("dns: {0}")]
    Temporary(#[source] Failure),
}

impl Unreachable {
    /// Whether asking again later makes sense.
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Temporary(_))
    }
}

/// Looks up the [`Targets`] of a domain.
///
/// It asks at most 1 question for MX, and then 2 for each of [`MAX_HOSTS`] hosts, all at once.
///
/// The example of [`Targets`] uses it.
#[derive(Clone, Debug)]
pub struct Lookup {
    state: State,
    random: u64,
    targets: Targets,
}

#[derive(Clone, Debug)]
enum State {
    Mx(Name),
    /// The addresses of all hosts are asked for at once.
    Addresses(Vec<Candidate>),
    Done(Result<(), Unreachable>),
}

/// A host and what is known of its addresses.
#[derive(Clone, Debug)]
struct Candidate {
    name: Name,
    preference: u16,
    aaaa: Option<Answer>,
    a: Option<Answer>,
}

impl Candidate {
    /// The questions that have no answer yet.
    fn open(&self) -> impl Iterator<Item = Question> + '_ {
        let kinds = [(RecordType::Aaaa, &self.aaaa), (RecordType::A, &self.a)];
        let open = kinds.into_iter().filter(|(_, answer)| answer.is_none());
        open.map(|(kind, _)| Question::new(self.name.clone(), kind))
    }
}

impl Lookup {
    /// Asks where the mail of `domain` goes. Hosts of the same preference are put in an order that depends on `seed`:
    /// RFC 5321 §5.1 has the sender "randomize them to spread the load".
    pub fn new(domain: &Domain, seed: u64) -> Self {
        let targets = Targets { hosts: Vec::new(), has_mx: false, secure: false };
        let mut lookup = Self { state: State::Done(Err(Unreachable::BadDomain)), random: seed, targets };
        if let Domain::Literal(address) = domain {
            // RFC 5321 §4.1.3: a literal is where the mail goes.
            let addresses = vec![*address];
            lookup.targets.hosts.push(Host { name: None, preference: 0, addresses, secure: false });
            lookup.state = State::Done(Ok(()));
        } else if let Some(name) = domain.to_ascii().and_then(|name| Name::parse(&name).ok()) {
            lookup.state = State::Mx(name);
        }
        lookup
    }

    fn mx(&mut self, name: Name, answer: &Answer) {
        let mut hosts: Vec<(u16, u64, Name)> = Vec::new();
        match &answer.found {
            Ok(records) => {
                for data in records.iter() {
                    let Data::Mx { preference, exchange } = data else { continue };
                    hosts.push((*preference, self.next_random(), exchange.clone()));
                }
            }
            Err(Failure::NxDomain) => return self.state = State::Done(Err(Unreachable::NoDomain)),
            Err(Failure::NoData) => {}
            Err(failure) => return self.state = State::Done(Err(Unreachable::Temporary(*failure))),
        }
        self.targets.has_mx = !hosts.is_empty();
        self.targets.secure = answer.secure;
        if !self.targets.has_mx {
            // RFC 5321 §5.1: "an implicit MX RR, with a preference of 0, pointing to that host"
            hosts.push((0, 0, name));
        } else if hosts.iter().all(|(_, _, exchange)| exchange.is_root()) {
            // RFC 7505 §3. One beside other records is no null MX, and no host either.
            return self.state = State::Done(Err(Unreachable::NullMx));
        }
        hosts.retain(|(_, _, exchange)| !exchange.is_root());
        hosts.sort();
        // The same host twice would be tried twice.
        let mut seen = std::collections::BTreeSet::new();
        hosts.retain(|(_, _, exchange)| seen.insert(exchange.clone()));
        hosts.truncate(MAX_HOSTS);
        let candidate = |(preference, _, name)| Candidate { name, preference, aaaa: None, a: None };
        self.state = State::Addresses(hosts.into_iter().map(candidate).collect());
        self.end();
    }

    /// Ends where the addresses of all hosts are known.
    fn end(&mut self) {
        let State::Addresses(candidates) = &mut self.state else { return };
        if candidates.iter().any(|candidate| candidate.open().next().is_some()) {
            return;
        }
        let mut temporary = None;
        for Candidate { name, preference, aaaa, a } in std::mem::take(candidates) {
            let mut host = Host { name: Some(name), preference, addresses: Vec::new(), secure: true };
            for answer in [aaaa, a].into_iter().flatten() {
                let secure = answer.secure;
                match answer.found {
                    Ok(records) => host.addresses.extend(records.iter().filter_map(Data::address)),
                    // It says nothing of the zone: who breaks the question for one family must not have DANE passed over.
                    Err(failure) if failure.is_temporary() => {
                        temporary = Some(failure);
                        continue;
                    }
                    Err(_) => {}
                }
                host.secure &= secure;
            }
            host.addresses.truncate(MAX_ADDRESSES);
            if !host.addresses.is_empty() {
                self.targets.hosts.push(host);
            }
        }
        self.state = State::Done(match (temporary, self.targets.has_mx) {
            _ if !self.targets.hosts.is_empty() => Ok(()),
            (Some(failure), _) => Err(Unreachable::Temporary(failure)),
            (None, true) => Err(Unreachable::NoHost),
            (None, false) => Err(Unreachable::NoAddress),
        });
    }

    /// splitmix64
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Inquiry for Lookup {
    type Verdict = Result<Targets, Unreachable>;

    fn poll(&mut self) -> Ask<Self::Verdict> {
        match &self.state {
            State::Done(Ok(())) => Ask::Verdict(Ok(self.targets.clone())),
            State::Done(Err(why)) => Ask::Verdict(Err(*why)),
            _ => Ask::Question(self.open().swap_remove(0)), // until it is done there is an open question
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.poll() {
            self.answer_to(&question, answer);
        }
    }

    fn open(&mut self) -> Vec<Question> {
        match &self.state {
            State::Mx(name) => vec![Question::new(name.clone(), RecordType::Mx)],
            State::Addresses(candidates) => candidates.iter().flat_map(Candidate::open).collect(),
            State::Done(_) => Vec::new(),
        }
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        match &mut self.state {
            State::Mx(name) if *name == question.name && question.kind == RecordType::Mx => {
                let name = name.clone();
                self.mx(name, answer);
            }
            State::Addresses(candidates) => {
                // No two hosts are of one name.
                let Some(host) = candidates.iter_mut().find(|host| host.name == question.name) else { return };
                match question.kind {
                    RecordType::Aaaa => host.aaaa.get_or_insert_with(|| answer.clone()),
                    RecordType::A => host.a.get_or_insert_with(|| answer.clone()),
                    _ => return,
                };
                self.end();
            }
            _ => {}
        }
    }
}

impl Targets {
    /// Without the hosts that `is_self` says are the asking one, and those that are no more preferred. RFC 5321 §5.1:
    /// "all records at that preference level and higher-numbered ones MUST be discarded", so that mail cannot go in
    /// circles.
    ///
    /// # Errors
    /// [`Unreachable::Loop`] where none is left.
    pub fn before(mut self, mut is_self: impl FnMut(&Host) -> bool) -> Result<Self, Unreachable> {
        let own = self.hosts.iter().filter(|host| is_self(host)).map(|host| host.preference).min();
        if let Some(own) = own {
            self.hosts.retain(|host| host.preference < own);
        }
        if self.hosts.is_empty() { Err(Unreachable::Loop) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    fn zone() -> Zone {
        "two.x MX 20 b.x\ntwo.x MX 10 a.x\na.x A 192.0.2.1\na.x AAAA 2001:db8::1\nb.x A 192.0.2.2\n\
         implicit.x A 192.0.2.3\nnull.x MX 0 .\nboth.x MX 0 .\nboth.x MX 5 a.x\ndead.x MX 5 none.x\ntext.x TXT a\n\
         slow.x TIMEOUT\nhalf.x MX 1 slow.x\nhalf.x MX 2 a.x\nstuck.x MX 1 slow.x\nalias.x CNAME two.x\n\
         same.x MX 5 a.x\nsame.x MX 5 b.x\nsame.x MX 5 c.x\nc.x A 192.0.2.4\nxn--bcher-kva.x MX 1 a.x\n\
         bogus.x BOGUS MX\nbogus.x A 192.0.2.1\ntwice.x MX 1 a.x\ntwice.x MX 2 a.x\n"
            .parse()
            .unwrap()
    }

    fn ask(domain: &str) -> Result<Vec<(String, usize)>, Unreachable> {
        let targets = zone().ask(Lookup::new(&domain.parse().unwrap(), 7))?;
        Ok(targets
            .hosts
            .iter()
            .map(|host| (host.name.as_ref().map(ToString::to_string).unwrap_or_default(), host.addresses.len()))
            .collect())
    }

    #[test]
    fn mail_goes_where_the_records_say() {
        let list = |hosts: &[(&str, usize)]| Ok(hosts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect());
        for (domain, expected) in [
            ("two.x", list(&[("a.x", 2), ("b.x", 1)])),
            ("TWO.x.", list(&[("a.x", 2), ("b.x", 1)])),
            ("alias.x", list(&[("a.x", 2), ("b.x", 1)])),
            ("implicit.x", list(&[("implicit.x", 1)])),
            ("null.x", Err(Unreachable::NullMx)),
            ("both.x", list(&[("a.x", 2)])),
            ("dead.x", Err(Unreachable::NoHost)),
            ("text.x", Err(Unreachable::NoAddress)),
            ("none.x", Err(Unreachable::NoDomain)),
            ("slow.x", Err(Unreachable::Temporary(Failure::Timeout))),
            ("bogus.x", Err(Unreachable::Temporary(Failure::Bogus))),
            ("half.x", list(&[("a.x", 2)])),
            ("stuck.x", Err(Unreachable::Temporary(Failure::Timeout))),
            ("twice.x", list(&[("a.x", 2)])),
            ("bücher.x", list(&[("a.x", 2)])),
            ("[192.0.2.9]", list(&[("", 1)])),
            ("[x400:c=fr]", Err(Unreachable::BadDomain)),
        ] {
            assert_eq!(ask(domain), expected, "{domain}");
        }
    }

    #[test]
    fn equal_preferences_are_spread_by_the_seed() {
        let first = |seed| {
            let targets = zone().ask(Lookup::new(&"same.x".parse().unwrap(), seed)).unwrap();
            targets.hosts[0].name.clone().unwrap().to_string()
        };
        let mut counts = std::collections::BTreeMap::new();
        (0..300).for_each(|seed| *counts.entry(first(seed)).or_insert(0) += 1);
        assert_eq!(counts.len(), 3);
        assert!(counts.values().all(|count| (60..=140).contains(count)), "{counts:?}");
        assert_eq!(first(1), first(1));
    }

    #[test]
    fn mail_does_not_go_in_circles() {
        let targets = zone().ask(Lookup::new(&"two.x".parse().unwrap(), 0)).unwrap();
        let is = |name: &'static str| move |host: &Host| host.name.as_ref().is_some_and(|own| own.as_str() == name);
        assert_eq!(targets.clone().before(is("b.x")).unwrap().hosts.len(), 1);
        assert_eq!(targets.clone().before(is("a.x")), Err(Unreachable::Loop));
        assert_eq!(targets.before(is("other.x")).unwrap().hosts.len(), 2);
    }

    #[test]
    fn answers_may_come_in_any_order() {
        let (zone, domain) = (zone(), "same.x".parse().unwrap());
        let expected = zone.ask(Lookup::new(&domain, 3));
        for turn in 0..6 {
            let mut lookup = Lookup::new(&domain, 3);
            let mut most = 0;
            loop {
                let mut open = lookup.open();
                most = most.max(open.len());
                if open.is_empty() {
                    break;
                }
                let question = open.swap_remove(turn % open.len());
                lookup
                    .answer_to(&Question::new("other.x".parse().unwrap(), RecordType::A), &Err(Failure::NoData).into());
                lookup.answer_to(&question, &zone.answer(&question));
                lookup.answer_to(&question, &Err(Failure::NoData).into());
            }
            assert_eq!(most, 6);
            assert_eq!(lookup.poll(), Ask::Verdict(expected.clone()));
        }
    }

    #[test]
    fn a_thousand_hosts_are_not_asked_for() {
        let mut zone = Zone::new();
        let name = |text: String| text.parse::<Name>().unwrap();
        for n in 0..1000 {
            zone.insert(name("x".into()), Data::Mx { preference: n, exchange: name(format!("h{n}.x")) });
        }
        let mut lookup = Lookup::new(&"x".parse().unwrap(), 0);
        let mut questions = 0;
        while let Ask::Question(question) = lookup.poll() {
            lookup.answer(&zone.answer(&question));
            questions += 1;
        }
        assert_eq!(questions, 1 + 2 * MAX_HOSTS);
        assert_eq!(lookup.poll(), Ask::Verdict(Err(Unreachable::NoHost)));
    }
}
