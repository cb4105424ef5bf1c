//! Which TLSA records apply to a mail host (RFC 7672 §2.2).

use crate::address::Domain;
use crate::auth::dane::{Absence, Association, Finding, Records, Redirection, Tlsa};
use crate::dns::mx::{Host, Targets};
use crate::dns::{Answer, Ask, Data, Failure, Inquiry, Name, Question, RecordType};

/// How many aliases of aliases are followed. Resolvers differ; 8 is what most follow.
const MAX_ALIASES: usize = 8;
/// How many questions one [`Lookup`] can ask: the aliases of the host, TLSA records of its last name and its first, the aliases
/// of the domain.
pub const MAX_QUESTIONS: u32 = 2 * (MAX_ALIASES as u32 + 1) + 2;

/// Finds the TLSA records that apply to one host of a domain, after its addresses are known.
///
/// It asks at most [`MAX_QUESTIONS`], and none where the answers that are at hand rule records out.
///
/// ```
/// use facteur::auth::dane::{Finding, Lookup};
/// use facteur::dns::{Zone, mx};
///
/// let zone: Zone = "
///     $SECURE        example.org
///     example.org    MX 10 mx.example.org
///     mx.example.org A 192.0.2.1
///     _25._tcp.mx.example.org TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1
/// ".parse()?;
/// let domain = "example.org".parse()?;
/// let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
/// let Finding::Records(found) = zone.ask(Lookup::new(&domain, &targets, &targets.hosts[0], 25)) else { panic!() };
/// assert_eq!(found.base.as_str(), "mx.example.org");
/// assert!(!found.records.are_unusable());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lookup {
    /// DANE with hosts of MX records that are not proved. Default [`Redirection::Any`].
    pub redirection: Redirection,
    domain: Option<Name>,
    host: Name,
    port: u16,
    has_mx: bool,
    /// The answer that named the host was proved.
    named_securely: bool,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing was asked yet; whether the addresses are proved is known.
    Begin {
        secure: bool,
    },
    /// The host may be an alias. All of its aliases are proved, up to its addresses.
    Expand(Chain),
    /// The host may be an alias in a zone that is signed, for a name in one that is not.
    FirstAlias,
    /// The records of the first name, and then those of the second.
    Tlsa {
        base: Name,
        other: Option<Name>,
    },
    /// Another name for the domain, which a certificate may have.
    Domain {
        found: Association,
        chain: Chain,
    },
    Done(Finding),
}

/// The names that a name is an alias for, as far as they are known.
#[derive(Clone, Debug)]
struct Chain {
    last: Name,
    hops: usize,
}

/// Where following a chain has come to.
enum Link {
    Next(Chain),
    /// This name is no alias, and the way to it is proved.
    End(Name),
    /// The way is not proved, whatever the addresses were.
    Insecure,
    Unknown(Failure),
}

impl Chain {
    fn new(first: &Name) -> Self {
        Self { last: first.clone(), hops: 0 }
    }

    fn follow(mut self, answer: &Answer) -> Link {
        let secure = answer.secure;
        match alias(answer) {
            Err(failure) => Link::Unknown(failure),
            Ok(_) if !secure => Link::Insecure,
            Ok(None) => Link::End(self.last),
            // Circles among them; but then there would be no addresses.
            Ok(Some(_)) if self.hops == MAX_ALIASES => Link::Unknown(Failure::ServFail),
            Ok(Some(next)) => {
                self.last = next;
                self.hops += 1;
                Link::Next(self)
            }
        }
    }
}

/// The name that an answer to a question for CNAME tells, if any.
fn alias(answer: &Answer) -> Result<Option<Name>, Failure> {
    match &answer.found {
        Ok(records) => Ok(records.iter().find_map(|data| match data {
            Data::Cname(name) => Some(name.clone()),
            _ => None,
        })),
        Err(failure) if failure.is_temporary() => Err(*failure),
        Err(_) => Ok(None),
    }
}

impl Lookup {
    /// Asks for one of the hosts of these targets, which are those of `domain`, at this port.
    pub fn new(domain: &Domain, targets: &Targets, host: &Host, port: u16) -> Self {
        let domain = domain.to_ascii().and_then(|name| Name::parse(&name).ok());
        let state = match host.name {
            // RFC 7672 §2.2: "is an address literal [...], DANE TLS does not apply"
            None => State::Done(Finding::None(Absence::Literal)),
            Some(_) => State::Begin { secure: host.secure },
        };
        Self {
            redirection: Redirection::Any,
            domain,
            host: host.name.clone().unwrap_or_default(),
            port,
            has_mx: targets.has_mx,
            named_securely: targets.secure,
            state,
        }
    }

    /// RFC 7672 §2.2.2, the cases of an address lookup.
    fn begin(&mut self) {
        let State::Begin { secure } = self.state else { return };
        self.state = match (self.named_securely, secure) {
            (false, _) if self.redirection == Redirection::Secure => State::Done(Finding::None(Absence::InsecureMx)),
            // "Non-CNAME" or "Secure CNAME"
            (_, true) => State::Expand(Chain::new(&self.host)),
            // "Insecure CNAME", if it is one. Servers of zones that are not signed and answer questions of unusual types by
            // failures must not hold up mail, so they are not asked unless the domain itself is signed.
            (true, false) => State::FirstAlias,
            (false, false) => State::Done(Finding::None(Absence::InsecureAddress)),
        };
    }

    /// Goes on with the records of the next name, if there is one.
    fn next_base(&mut self, other: Option<Name>) {
        self.state = match other {
            Some(base) => State::Tlsa { base, other: None },
            None => State::Done(Finding::None(Absence::NoRecords)),
        };
    }

    fn tlsa(&mut self, base: Name, other: Option<Name>, answer: &Answer) {
        let records = match &answer.found {
            // RFC 7672 §2.1.2: "MUST treat that server as unreachable"
            Err(failure) if failure.is_temporary() => return self.state = State::Done(Finding::Unknown(*failure)),
            Ok(records) if answer.secure => Records::new(records.iter().filter_map(Tlsa::of)),
            // RFC 7672 §2.2.3: "If any "insecure" records are encountered or the TLSA records don't exist, the next
            // candidate TLSA base domain is tried instead."
            _ => return self.next_base(other),
        };
        let mut found = Association { records, base: base.clone(), names: vec![base] };
        let wants_names = found.records.name_anchors();
        match &self.domain {
            // RFC 7672 §3.2.2: "despite "insecure" MX redirection, the MX hostname is the only reference identifier"
            Some(domain) if wants_names && self.named_securely && self.has_mx => {
                found.add(domain.clone());
                self.state = State::Domain { found, chain: Chain::new(domain) };
            }
            // "TLSA records for non-MX hostnames"
            Some(domain) if wants_names && !self.has_mx => {
                found.add(domain.clone());
                self.state = State::Done(Finding::Records(found));
            }
            _ => self.state = State::Done(Finding::Records(found)),
        }
    }
}

impl Association {
    fn add(&mut self, name: Name) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

impl Inquiry for Lookup {
    type Verdict = Finding;

    fn poll(&mut self) -> Ask<Finding> {
        self.begin();
        match &self.state {
            State::Begin { .. } | State::FirstAlias => {
                Ask::Question(Question::new(self.host.clone(), RecordType::Cname))
            }
            State::Expand(chain) | State::Domain { chain, .. } => {
                Ask::Question(Question::new(chain.last.clone(), RecordType::Cname))
            }
            State::Tlsa { base, .. } => match service(base, self.port) {
                Some(name) => Ask::Question(Question::new(name, RecordType::Tlsa)),
                // So long a name can have no records below it.
                None => {
                    self.answer(&Err(Failure::NxDomain).into());
                    self.poll()
                }
            },
            State::Done(finding) => Ask::Verdict(finding.clone()),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        self.begin();
        match std::mem::replace(&mut self.state, State::Done(Finding::None(Absence::NoRecords))) {
            State::Expand(chain) => match chain.follow(answer) {
                Link::Next(chain) => self.state = State::Expand(chain),
                Link::End(last) => {
                    let other = (last != self.host).then(|| self.host.clone());
                    self.state = State::Tlsa { base: last, other };
                }
                // It is by now: the zone has changed in between.
                Link::Insecure => self.next_base(Some(self.host.clone())),
                Link::Unknown(failure) => self.state = State::Done(Finding::Unknown(failure)),
            },
            State::FirstAlias => {
                let secure = answer.secure;
                self.state = match alias(answer) {
                    Ok(Some(_)) if secure => State::Tlsa { base: self.host.clone(), other: None },
                    Ok(_) => State::Done(Finding::None(Absence::InsecureAddress)),
                    Err(failure) => State::Done(Finding::Unknown(failure)),
                };
            }
            State::Tlsa { base, other } => self.tlsa(base, other, answer),
            State::Domain { mut found, chain } => match chain.follow(answer) {
                Link::Next(chain) => self.state = State::Domain { found, chain },
                Link::End(last) => {
                    found.add(last);
                    self.state = State::Done(Finding::Records(found));
                }
                Link::Insecure => self.state = State::Done(Finding::Records(found)),
                Link::Unknown(failure) => self.state = State::Done(Finding::Unknown(failure)),
            },
            other @ (State::Begin { .. } | State::Done(_)) => self.state = other,
        }
    }
}

/// `_25._tcp.mx.example.com` (RFC 6698 §3); `None` where it would be too long.
fn service(base: &Name, port: u16) -> Option<Name> {
    base.child("_tcp").ok()?.child(&format!("_{port}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Zone, mx};

    const DIGEST: &str = "8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1";

    fn ask(zone: &str, redirection: Redirection) -> Finding {
        let zone: Zone = zone.replace("HASH", DIGEST).parse().unwrap();
        let domain = "d.x".parse().unwrap();
        let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
        let mut lookup = Lookup::new(&domain, &targets, &targets.hosts[0], 25);
        lookup.redirection = redirection;
        let mut asked = 0;
        while let Ask::Question(question) = lookup.poll() {
            assert_eq!(lookup.poll(), Ask::Question(question.clone()), "polling changes nothing");
            lookup.answer(&zone.answer(&question));
            asked += 1;
            assert!(asked <= MAX_QUESTIONS);
        }
        zone.ask(lookup)
    }

    /// What was found, in a line: the base domain and the names, or why there is nothing.
    fn shown(finding: Finding) -> String {
        match finding {
            Finding::None(absence) => absence.to_string(),
            Finding::Unknown(failure) => failure.to_string(),
            Finding::Records(found) => {
                let names: Vec<_> = found.names.iter().map(ToString::to_string).collect();
                format!("{} records of {} for {}", found.records.all().len(), found.base, names.join(" "))
            }
        }
    }

    #[test]
    fn records_are_found_where_the_rfc_has_them() {
        for (what, zone, expected) in [
            (
                "all signed",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TLSA 3 1 1 HASH",
                "1 records of m.x for m.x",
            ),
            (
                "a trust anchor vouches for the domain's name as well",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TLSA 2 0 1 HASH",
                "1 records of m.x for m.x d.x",
            ),
            ("no records", "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1", "no signed TLSA records"),
            (
                "records of another port",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_465._tcp.m.x TLSA 3 1 1 HASH",
                "no signed TLSA records",
            ),
            (
                "no address of one family is no failure",
                "$SECURE x\nd.x MX 1 m.x\nm.x AAAA 2001:db8::1\n_25._tcp.m.x TLSA 3 1 1 HASH",
                "1 records of m.x for m.x",
            ),
            (
                "addresses not signed, so nothing is asked of servers that may not answer",
                "$SECURE x\n$INSECURE m.x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x SERVFAIL",
                "the addresses of the host are not signed",
            ),
            (
                "records not signed",
                "$SECURE x\n$INSECURE _tcp.m.x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TLSA 3 1 1 HASH",
                "no signed TLSA records",
            ),
            (
                "the question for records fails",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x SERVFAIL",
                "server failure",
            ),
            ("an answer is forged", "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x BOGUS", "bogus"),
            ("no answer", "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TIMEOUT", "timeout"),
            (
                "the question for aliases fails",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\nm.x SERVFAIL CNAME\n_25._tcp.m.x TLSA 3 1 1 HASH",
                "server failure",
            ),
            (
                "the addresses of one family fail, and those of the other are signed: no way around the records",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\nm.x BOGUS AAAA\n_25._tcp.m.x TLSA 3 1 1 HASH",
                "1 records of m.x for m.x",
            ),
            (
                "an alias for records",
                "$SECURE x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x CNAME t.x\nt.x TLSA 2 0 1 HASH",
                "1 records of m.x for m.x d.x",
            ),
            (
                "an alias that is not signed, for records that are",
                "$SECURE x\n$INSECURE _tcp.m.x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x CNAME t.x\nt.x TLSA 3 1 1 HASH",
                "no signed TLSA records",
            ),
            (
                "the host is an alias: its last name first",
                "$SECURE x\nd.x MX 1 m.x\nm.x CNAME n.x\nn.x CNAME o.x\no.x A 192.0.2.1\n_25._tcp.o.x TLSA 2 0 1 HASH\n\
                 _25._tcp.m.x TLSA 3 1 1 HASH\n_25._tcp.n.x TLSA 3 1 1 HASH",
                "1 records of o.x for o.x d.x",
            ),
            (
                "then its first",
                "$SECURE x\nd.x MX 1 m.x\nm.x CNAME n.x\nn.x CNAME o.x\no.x A 192.0.2.1\n_25._tcp.m.x TLSA 2 0 1 HASH",
                "1 records of m.x for m.x d.x",
            ),
            (
                "never those between",
                "$SECURE x\nd.x MX 1 m.x\nm.x CNAME n.x\nn.x CNAME o.x\no.x A 192.0.2.1\n_25._tcp.n.x TLSA 2 0 1 HASH",
                "no signed TLSA records",
            ),
            (
                "nor the first where those of the last are not known",
                "$SECURE x\nd.x MX 1 m.x\nm.x CNAME o.x\no.x A 192.0.2.1\n_25._tcp.m.x TLSA 3 1 1 HASH\n_25._tcp.o.x TIMEOUT",
                "timeout",
            ),
            (
                "an alias that is signed for a name that is not",
                "$SECURE x\nd.x MX 1 m.x\nm.x CNAME m.y\nm.y A 192.0.2.1\n_25._tcp.m.x TLSA 3 1 1 HASH\n_25._tcp.m.y SERVFAIL",
                "1 records of m.x for m.x",
            ),
            (
                "the domain is an alias, which a certificate may be for as well",
                "$SECURE x\nd.x CNAME e.x\ne.x CNAME f.x\nf.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TLSA 2 0 1 HASH",
                "1 records of m.x for m.x d.x f.x",
            ),
            (
                "without MX the domain is the host",
                "$SECURE x\nd.x A 192.0.2.1\n_25._tcp.d.x TLSA 2 0 1 HASH",
                "1 records of d.x for d.x",
            ),
            (
                "and may be an alias",
                "$SECURE x\nd.x CNAME e.x\ne.x A 192.0.2.1\n_25._tcp.e.x TLSA 2 0 1 HASH",
                "1 records of e.x for e.x d.x",
            ),
            (
                "MX not signed: the host's name alone",
                "$SECURE x\n$INSECURE d.x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TLSA 2 0 1 HASH",
                "1 records of m.x for m.x",
            ),
            (
                "nothing signed",
                "d.x MX 1 m.x\nm.x A 192.0.2.1\nm.x SERVFAIL CNAME\n_25._tcp.m.x TLSA 2 0 1 HASH",
                "the addresses of the host are not signed",
            ),
        ] {
            assert_eq!(shown(ask(zone, Redirection::Any)), expected, "{what}");
        }
    }

    #[test]
    fn mx_records_that_are_not_signed_may_rule_it_out() {
        let zone = "$SECURE x\n$INSECURE d.x\nd.x MX 1 m.x\nm.x A 192.0.2.1\n_25._tcp.m.x TLSA 2 0 1 HASH";
        assert_eq!(ask(zone, Redirection::Secure), Finding::None(Absence::InsecureMx));
        let zone = zone.replace("$INSECURE d.x\n", "");
        assert!(matches!(ask(&zone, Redirection::Secure), Finding::Records(_)));
    }

    #[test]
    fn an_address_has_no_records() {
        let zone = Zone::new();
        let domain = "[192.0.2.1]".parse().unwrap();
        let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
        let finding = zone.ask(Lookup::new(&domain, &targets, &targets.hosts[0], 25));
        assert_eq!(finding, Finding::None(Absence::Literal));
    }

    #[test]
    fn the_longest_names_have_none_either() {
        let name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(59), "x".into()].join(".");
        let mut zone: Zone = "$SECURE x\nd.x A 192.0.2.1".parse().unwrap();
        let host: Name = name.parse().unwrap();
        zone.insert(host.clone(), Data::A([192, 0, 2, 1].into()));
        zone.insert("d.x".parse().unwrap(), Data::Mx { preference: 1, exchange: host });
        let domain = "d.x".parse().unwrap();
        let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
        let finding = zone.ask(Lookup::new(&domain, &targets, &targets.hosts[0], 25));
        assert_eq!(finding, Finding::None(Absence::NoRecords));
    }
}
