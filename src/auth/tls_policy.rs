//! What a mail host must prove before it gets a message: by DANE (RFC 7672), by MTA-STS (RFC 8461), or nothing.
//!
//! DANE goes first, for its word is of the host itself: where it has usable records they alone count, and what cannot be found
//! out is not made good by MTA-STS (RFC 8461 §2: it "MUST NOT [...] override a failing DANE validation"). Where DANE says
//! nothing, or nothing of the certificate, the domain's MTA-STS policy is kept to. Without either TLS is a bonus (RFC 7435).
//!
//! A message with REQUIRETLS (RFC 8689 §4.2.1) asks for more: for it [`TlsPolicy::strict`] says what must be proved.

use std::fmt;
use std::sync::Arc;

use crate::address::Domain;
use crate::auth::dane::{self, Association, Finding, Redirection};
use crate::auth::mta_sts::{Mode, Policy};
use crate::auth::tls_rpt::{self, FailureKind, PolicyKind};
use crate::dns::mx::{Host, Targets};
use crate::dns::{Answer, Ask, Failure, Inquiry, Name, Question};

/// How many questions one [`Lookup`] can ask.
pub const MAX_QUESTIONS: u32 = crate::dns::mx::MAX_HOSTS as u32 * dane::MAX_QUESTIONS;

/// What was found out of one mail host, and what follows of it.
///
/// ```
/// use facteur::auth::tls_policy::{Demand, Lookup};
/// use facteur::auth::mta_sts::Policy;
/// use facteur::dns::{Zone, mx};
///
/// let zone: Zone = "example.org MX 10 mx.example.org\nmx.example.org A 192.0.2.1".parse()?;
/// let domain = "example.org".parse()?;
/// let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
/// let text = b"version: STSv1\nmode: enforce\nmx: *.example.org\nmax_age: 86400\n";
/// let policies = zone.ask(Lookup::new(&domain, &targets, 25, Some(Policy::parse(text)?.into())));
/// assert_eq!(policies[0].demand(), Demand::Authorities);
/// assert_eq!(policies[0].to_string(), "dane: the addresses of the host are not signed; mta-sts: enforce, the host is named");
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsPolicy {
    /// The domain that the mail is for; `None` for an address, and where the host was given by the program.
    pub domain: Option<Name>,
    /// What DANE says; `None` where it was not asked.
    pub dane: Option<Finding>,
    /// What the domain's MTA-STS policy says; `None` where there is none.
    pub mta_sts: Option<Named>,
    /// Why this host is one for the domain.
    pub chosen: Chosen,
}

/// What the MTA-STS policy of a domain says of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Whether it names the host.
    pub allows: bool,
}

/// Why a host is one for a domain, and with that whether who asks can have been misled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chosen {
    /// It was given by the program, or it is what the mail is addressed to: the domain itself, without MX, or an address.
    Given,
    /// By MX records that DNSSEC has proved.
    Securely,
    /// By MX records that anybody may have forged.
    Insecurely,
}

/// What a host must do and prove before it gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Demand {
    /// Nothing: TLS where it has it, believing everyone.
    Nothing,
    /// TLS, believing everyone: it has promised that much by TLSA records, none of which is usable (RFC 7672 §2.2).
    Encryption,
    /// TLS, with a certificate that these records mean.
    Records(Association),
    /// TLS, with a certificate for the host's name from an authority that is believed.
    Authorities,
    /// It gets none, for this reason.
    Refusal(Refusal),
}

/// Why a host gets no message, whatever it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Whether it has TLSA records is not known (RFC 7672 §2.1.2).
    #[error("its TLSA records are not known: {0}")]
    Unknown(#[source] Failure),
    /// The domain's MTA-STS policy does not name it (RFC 8461 §4.1).
    #[error("the mta-sts policy of the domain does not name it")]
    NotNamed,
    /// REQUIRETLS is asked for, and neither DNSSEC nor MTA-STS says that it is a host for the domain (RFC 8689 §4.2.1).
    #[error("TLS is required, and nothing proves that it is a host for the domain")]
    NotProved,
}

impl TlsPolicy {
    /// Of a host that was given by the program, of which nothing was asked.
    pub fn given() -> Self {
        Self { domain: None, dane: None, mta_sts: None, chosen: Chosen::Given }
    }

    /// What the host must prove before it gets a message.
    pub fn demand(&self) -> Demand {
        let enforced = self.mta_sts.as_ref().filter(|named| named.policy.mode == Mode::Enforce);
        let (association, least) = match &self.dane {
            // Whatever MTA-STS says: a downgrade must not be had by keeping us from an answer.
            Some(Finding::Unknown(failure)) => return Demand::Refusal(Refusal::Unknown(*failure)),
            Some(Finding::Records(found)) if found.records.are_unusable() => (None, Demand::Encryption),
            Some(Finding::Records(found)) => (Some(found), Demand::Nothing),
            Some(Finding::None(_)) | None => (None, Demand::Nothing),
        };
        match (association, enforced) {
            // Records prove the host, and signed MX records that it is one for the domain. Without those the policy says so.
            (Some(found), _) if self.chosen != Chosen::Insecurely => Demand::Records(found.clone()),
            (_, Some(Named { allows: false, .. })) => Demand::Refusal(Refusal::NotNamed),
            (Some(found), _) => Demand::Records(found.clone()),
            (None, Some(_)) => Demand::Authorities,
            (None, None) => least,
        }
    }

    /// What the host must prove before it gets a message with REQUIRETLS (RFC 8689 §4.2.1).
    pub fn strict(&self) -> Demand {
        match self.demand() {
            refusal @ Demand::Refusal(_) => refusal,
            // Point 2: where MX records are "not accompanied by a valid DNSSEC signature, the client MUST also validate the
            // SMTP server name using MTA-STS". A policy in testing names the hosts as well; that is all that is asked of it.
            _ if self.chosen == Chosen::Insecurely && !self.mta_sts.as_ref().is_some_and(|named| named.allows) => {
                Demand::Refusal(Refusal::NotProved)
            }
            // Point 4: "authenticate the server's certificate as specified in [RFC6125] or [RFC7672], as applicable".
            Demand::Nothing | Demand::Encryption => Demand::Authorities,
            proof => proof,
        }
    }

    /// The policy that counts, as reports have it (RFC 8460 §4.4); `None` where nothing was asked.
    pub fn reported(&self) -> Option<tls_rpt::Policy> {
        let domain = self.domain.as_ref()?.as_str();
        let policy =
            |kind, domain: &str, lines, hosts| tls_rpt::Policy { lines, hosts, ..tls_rpt::Policy::new(kind, domain) };
        Some(match (&self.dane, &self.mta_sts) {
            (Some(Finding::Records(Association { records, base, .. })), _) => {
                let lines = records.all().iter().map(ToString::to_string).collect();
                policy(PolicyKind::Tlsa, base.as_str(), lines, Vec::new())
            }
            (Some(Finding::Unknown(_)), _) => policy(PolicyKind::Tlsa, domain, Vec::new(), Vec::new()),
            (_, Some(Named { policy: text, .. })) => {
                let lines = text.to_string().lines().map(str::to_owned).collect();
                policy(PolicyKind::Sts, domain, lines, text.hosts.iter().map(ToString::to_string).collect())
            }
            _ => tls_rpt::Policy::new(PolicyKind::Nothing, domain),
        })
    }
}

impl Demand {
    /// Whether a message may go without TLS.
    pub fn allows_plain(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Refusal {
    /// What reports call it (RFC 8460 §4.3).
    pub fn kind(self) -> FailureKind {
        match self {
            Self::Unknown(_) => FailureKind::DnssecInvalid,
            Self::NotNamed | Self::NotProved => FailureKind::ValidationFailure,
        }
    }

    /// Whether it may be otherwise later. RFC 8461 §5: for a host that is not named too, as the policy may be a new one then.
    /// RFC 8689 §4.2.1 has a sender told at once that REQUIRETLS cannot be had.
    pub fn is_temporary(self) -> bool {
        self != Self::NotProved
    }
}

impl fmt::Display for TlsPolicy {
    /// How it came about, in a line for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dane {
            None => f.write_str("dane: not asked")?,
            Some(Finding::None(absence)) => write!(f, "dane: {absence}")?,
            Some(Finding::Unknown(failure)) => write!(f, "dane: not known: {failure}")?,
            Some(Finding::Records(Association { records, base, .. })) => {
                let (usable, all) = (records.usable().count(), records.all().len());
                write!(f, "dane: {usable} of {all} records of {base} usable")?;
            }
        }
        match &self.mta_sts {
            None => f.write_str("; mta-sts: none"),
            Some(Named { policy, allows }) => {
                let named = if *allows { "named" } else { "not named" };
                write!(f, "; mta-sts: {}, the host is {named}", policy.mode.as_str())
            }
        }
    }
}

/// Finds the [`TlsPolicy`] of each host of a domain, in their order. The questions of all hosts are open at once.
///
/// It asks at most [`MAX_QUESTIONS`], none for hosts whose addresses are not signed. The example of [`TlsPolicy`] uses it.
#[derive(Clone, Debug)]
pub struct Lookup {
    hosts: Vec<(Option<dane::Lookup>, TlsPolicy)>,
}

impl Lookup {
    /// Asks for the hosts of these targets, which are those of `domain`, at this port. `mta_sts` is the domain's policy, where
    /// it has one that holds.
    pub fn new(domain: &Domain, targets: &Targets, port: u16, mta_sts: Option<Arc<Policy>>) -> Self {
        let name = domain.to_ascii().and_then(|name| Name::parse(&name).ok());
        let of = |host: &Host| {
            let chosen = match (targets.has_mx, targets.secure) {
                (false, _) => Chosen::Given,
                (true, true) => Chosen::Securely,
                (true, false) => Chosen::Insecurely,
            };
            let policy = mta_sts.as_ref().filter(|policy| policy.mode != Mode::None).zip(host.name.as_ref());
            let mta_sts =
                policy.map(|(policy, name)| Named { allows: policy.allows(name), policy: Arc::clone(policy) });
            (
                Some(dane::Lookup::new(domain, targets, host, port)),
                TlsPolicy { domain: name.clone(), dane: None, mta_sts, chosen },
            )
        };
        Self { hosts: targets.hosts.iter().map(of).collect() }
    }

    /// The same with another mind of hosts that MX records name which are not proved.
    pub fn redirected(mut self, redirection: Redirection) -> Self {
        self.lookups().for_each(|lookup| lookup.redirection = redirection);
        self
    }

    /// The same without a question to the DNS.
    pub fn without_dane(mut self) -> Self {
        self.hosts.iter_mut().for_each(|(lookup, _)| *lookup = None);
        self
    }

    fn lookups(&mut self) -> impl Iterator<Item = &mut dane::Lookup> {
        self.hosts.iter_mut().filter_map(|(lookup, _)| lookup.as_mut())
    }
}

impl Inquiry for Lookup {
    type Verdict = Vec<TlsPolicy>;

    fn poll(&mut self) -> Ask<Self::Verdict> {
        let mut policies = Vec::with_capacity(self.hosts.len());
        for (lookup, policy) in &mut self.hosts {
            let dane = match lookup.as_mut().map(Inquiry::poll) {
                Some(Ask::Question(question)) => return Ask::Question(question),
                Some(Ask::Verdict(finding)) => Some(finding),
                None => None,
            };
            policies.push(TlsPolicy { dane, ..policy.clone() });
        }
        Ask::Verdict(policies)
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.poll() {
            self.answer_to(&question, answer);
        }
    }

    fn open(&mut self) -> Vec<Question> {
        let mut open: Vec<Question> = Vec::new();
        for question in self.lookups().flat_map(Inquiry::open) {
            if !open.contains(&question) {
                open.push(question);
            }
        }
        open
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        // Hosts that are aliases for one, and the domain's own aliases, make for one question of several.
        self.lookups().for_each(|lookup| lookup.answer_to(question, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Zone, mx};

    const ZONE: &str = "d.x MX 1 m.x\nm.x A 192.0.2.1\n";
    const TLSA: &str = "_25._tcp.m.x TLSA 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1\n";
    const UNUSABLE: &str = "_25._tcp.m.x TLSA 1 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1\n";

    fn ask(domain: &str, zone: &str, mta_sts: &str) -> Vec<TlsPolicy> {
        let zone: Zone = zone.parse().unwrap();
        let domain = domain.parse().unwrap();
        let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
        let text = |(mode, host)| format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 9\n");
        let policy = mta_sts.split_once(' ').map(text);
        let policy = policy.map(|text| Policy::parse(text.as_bytes()).unwrap().into());
        zone.ask(Lookup::new(&domain, &targets, 25, policy))
    }

    fn shown(demand: Demand) -> String {
        match demand {
            Demand::Nothing => "nothing".into(),
            Demand::Encryption => "encryption".into(),
            Demand::Records(found) => format!("records of {}", found.base),
            Demand::Authorities => "authorities".into(),
            Demand::Refusal(Refusal::Unknown(failure)) => failure.to_string(),
            Demand::Refusal(Refusal::NotNamed) => "not named".into(),
            Demand::Refusal(Refusal::NotProved) => "not proved".into(),
        }
    }

    #[test]
    fn dane_goes_before_mta_sts_and_both_before_nothing() {
        let (all, host) = ("$SECURE x\n", "$SECURE x\n$INSECURE d.x\n");
        let (fails, none) = ("_25._tcp.m.x SERVFAIL\n", "");
        for (signed, tlsa, mta_sts, demand, strict) in [
            ("", none, "", "nothing", "not proved"),
            ("", none, "enforce m.x", "authorities", "authorities"),
            ("", none, "enforce *.x", "authorities", "authorities"),
            ("", none, "enforce n.x", "not named", "not named"),
            ("", none, "testing m.x", "nothing", "authorities"),
            ("", none, "testing n.x", "nothing", "not proved"),
            ("", none, "none m.x", "nothing", "not proved"),
            ("", TLSA, "", "nothing", "not proved"),
            ("", fails, "enforce m.x", "authorities", "authorities"),
            (all, none, "", "nothing", "authorities"),
            (all, none, "enforce m.x", "authorities", "authorities"),
            (all, none, "enforce n.x", "not named", "not named"),
            (all, TLSA, "", "records of m.x", "records of m.x"),
            (all, TLSA, "enforce m.x", "records of m.x", "records of m.x"),
            (all, TLSA, "enforce n.x", "records of m.x", "records of m.x"),
            (all, UNUSABLE, "", "encryption", "authorities"),
            (all, UNUSABLE, "testing n.x", "encryption", "authorities"),
            (all, UNUSABLE, "enforce m.x", "authorities", "authorities"),
            (all, UNUSABLE, "enforce n.x", "not named", "not named"),
            (all, fails, "", "server failure", "server failure"),
            (all, fails, "enforce m.x", "server failure", "server failure"),
            (all, fails, "testing m.x", "server failure", "server failure"),
            (host, TLSA, "", "records of m.x", "not proved"),
            (host, TLSA, "enforce m.x", "records of m.x", "records of m.x"),
            (host, TLSA, "enforce n.x", "not named", "not named"),
            (host, TLSA, "testing m.x", "records of m.x", "records of m.x"),
            (host, UNUSABLE, "", "encryption", "not proved"),
            (host, fails, "enforce m.x", "server failure", "server failure"),
        ] {
            let policies = ask("d.x", &format!("{signed}{ZONE}{tlsa}"), mta_sts);
            let [policy] = &policies[..] else { panic!("{policies:?}") };
            let found = (shown(policy.demand()), shown(policy.strict()));
            assert_eq!(found, (demand.to_owned(), strict.to_owned()), "{signed}{tlsa}{mta_sts}: {policy}");
        }
    }

    /// RFC 8460 §4.4
    #[test]
    fn reports_tell_of_the_policy_that_counts() {
        let shown = |zone: &str, mta_sts| {
            let reported = ask("d.x", zone, mta_sts)[0].reported().unwrap();
            format!("{} {} {} {}", reported.kind, reported.domain, reported.lines.join("|"), reported.hosts.join("|"))
        };
        let tlsa = "tlsa m.x 3 1 1 8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1 ";
        let sts = "sts d.x version: STSv1|mode: testing|mx: *.x|max_age: 9 *.x";
        assert_eq!(shown(&format!("$SECURE x\n{ZONE}{TLSA}"), "enforce m.x"), tlsa);
        assert_eq!(shown(ZONE, "testing *.x"), sts);
        assert_eq!(shown(ZONE, ""), "no-policy-found d.x  ");
        assert_eq!(shown(ZONE, "none m.x"), "no-policy-found d.x  ");
        assert_eq!(shown(&format!("$SECURE x\n{ZONE}_25._tcp.m.x BOGUS"), ""), "tlsa d.x  ");
        assert_eq!(TlsPolicy::given().reported(), None);
    }

    #[test]
    fn the_domain_itself_and_an_address_need_no_mx_to_be_proved() {
        for domain in ["m.x", "[192.0.2.1]"] {
            let policies = ask(domain, ZONE, "");
            assert_eq!(policies[0].chosen, Chosen::Given);
            assert_eq!((policies[0].demand(), policies[0].strict()), (Demand::Nothing, Demand::Authorities));
        }
        assert_eq!(TlsPolicy::given().strict(), Demand::Authorities);
    }

    #[test]
    fn each_host_has_its_own_and_all_are_asked_for_at_once() {
        let zone: Zone = format!(
            "$SECURE x\n{ZONE}{TLSA}d.x MX 2 n.x\nn.x A 192.0.2.2\nd.x MX 3 o.x\no.x A 192.0.2.3\n_25._tcp.o.x BOGUS\n"
        )
        .parse()
        .unwrap();
        let domain = "d.x".parse().unwrap();
        let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
        let mut lookup = Lookup::new(&domain, &targets, 25, None);
        let mut rounds = 0;
        while !lookup.open().is_empty() {
            for question in lookup.open().into_iter().rev() {
                lookup.answer_to(&question, &zone.answer(&question));
            }
            rounds += 1;
        }
        assert_eq!(rounds, 2, "aliases, records");
        let Ask::Verdict(policies) = lookup.poll() else { panic!() };
        let demands: Vec<_> = policies.iter().map(|policy| shown(policy.demand())).collect();
        assert_eq!(demands, ["records of m.x", "nothing", "bogus"]);
        assert_eq!(policies, zone.ask(Lookup::new(&domain, &targets, 25, None)));
    }
}
