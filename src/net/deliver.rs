//! Delivers a message to wherever the DNS says that its recipients' mail goes (RFC 5321 §5.1).

use std::collections::{BTreeMap, HashMap};

use crate::address::Domain;
use crate::auth::tls_policy;
use crate::base::crypto;
use crate::dns::Name;
use crate::dns::mx::{self, Targets, Unreachable};
use crate::net::resolver::Resolver;
use crate::net::route::{NoHost, Route};
use crate::net::session::{Attempt, Reason, Undecided};
use crate::net::submit::{SendError, Sender};
use crate::smtp::{Enhanced, ForwardPath, Outcome, Outgoing, Recipient, Reply, Stage};

/// The port of SMTP between hosts.
const SMTP: u16 = 25;

impl Sender {
    /// Sends a message to the mail hosts of each recipient's domain, one domain after the other, and says what became of
    /// each recipient. Nothing is kept: whoever got a [temporary](Outcome::is_temporary) answer is to be tried again
    /// later.
    ///
    /// Mail hosts are held to what DANE and MTA-STS say of them, as [`Sender::dane`] and [`Sender::mta_sts`] have it. A message with
    /// REQUIRETLS goes only where one of the two proves that the host is one for the domain, and the host its name (RFC 8689
    /// §4.2.1).
    pub async fn deliver(&self, resolver: &Resolver, message: &Outgoing) -> Vec<Outcome> {
        let began = tokio::time::Instant::now();
        let (mut outcomes, parts) = by_domain(message);
        for (domain, mut part) in parts {
            let route = self.route(resolver, &domain).await;
            part.age = part.age.saturating_add(began.elapsed());
            match route {
                Ok(route) => outcomes.extend(self.deliver_along(&route, part).await),
                Err(none) => outcomes.extend(none.outcomes(part.envelope.recipients)),
            }
        }
        outcomes
    }

    /// Sends a message to the first of these hosts that takes it, at this port. The next host is asked for those for whom
    /// the one before decided nothing: it was not there, refused the session, broke off, or lacks an extension that the
    /// message cannot go without; not where it may have the message already.
    ///
    /// That these are hosts for the recipients is taken for known; nothing is asked of the DNS.
    pub async fn deliver_to(&self, targets: &Targets, port: u16, message: Outgoing) -> Vec<Outcome> {
        self.deliver_along(&Route::by(targets, port), message).await
    }

    /// The same along a [`route`](Self::route).
    pub async fn deliver_along(&self, route: &Route, message: Outgoing) -> Vec<Outcome> {
        let mut journey = Journey::new(message);
        for stop in route.stops(self.max_addresses) {
            let attempt = self.attempt(&stop, journey.message()).await;
            if journey.goes_on(attempt) == Goes::Nowhere {
                break;
            }
        }
        journey.finish()
    }

    /// Where mail for a domain goes that is not ours, at port 25, and what each host must prove before it gets any.
    ///
    /// # Errors
    /// Where it cannot go anywhere.
    pub async fn route(&self, resolver: &Resolver, domain: &Domain) -> Result<Route, NoHost> {
        let mut seed = [0; 8];
        crypto::random(&mut seed);
        let targets = resolver.ask(mx::Lookup::new(domain, u64::from_ne_bytes(seed))).await;
        let targets = targets.and_then(|targets| {
            targets.before(|host| {
                // RFC 5321 §5.1: the host itself among them, and mail would go in circles.
                let own = self.client.name.to_ascii();
                host.name.as_ref().is_some_and(|name| Some(name.as_str()) == own.as_deref())
            })
        });
        let targets = targets.map_err(|why| NoHost(Reason::ours(Stage::Connect, unreachable(why))))?;
        let name = domain.to_ascii().and_then(|name| Name::parse(&name).ok());
        // An address has no policy (RFC 8461 §3.4), and no name either.
        let kept = match (&self.mta_sts, name) {
            (Some(mta_sts), Some(name)) => {
                let found = mta_sts.policy(resolver, &name).await;
                self.count_fetch(&name, &found);
                found.policy
            }
            _ => None,
        };
        let lookup = tls_policy::Lookup::new(domain, &targets, SMTP, kept);
        let lookup = match self.dane {
            Some(redirection) => lookup.redirected(redirection),
            None => lookup.without_dane(),
        };
        Ok(Route::by(&targets, SMTP).with_policies(resolver.ask(lookup).await))
    }
}

/// The message for the recipients of each domain, and the outcomes of those that have none.
pub(super) fn by_domain(message: &Outgoing) -> (Vec<Outcome>, Vec<(Domain, Outgoing)>) {
    let mut outcomes = Vec::new();
    let mut domains: BTreeMap<String, (Domain, Vec<Recipient>)> = BTreeMap::new();
    for recipient in &message.envelope.recipients {
        match &recipient.to {
            ForwardPath::Address(to) => {
                let domain = to.domain();
                let key = domain.to_ascii_or_text();
                let entry = domains.entry(key).or_insert_with(|| (domain.clone(), Vec::new()));
                entry.1.push(recipient.clone());
            }
            ForwardPath::Postmaster => {
                let why = Reason::ours(Stage::Rcpt, Reply::new(553, Enhanced(5, 1, 3), "a recipient without a domain"));
                outcomes.push(why.outcome(recipient.clone()));
            }
        }
    }
    let part = |(domain, recipients)| {
        let mut part = message.clone(); // the text is shared
        part.envelope.recipients = recipients;
        (domain, part)
    };
    (outcomes, domains.into_values().map(part).collect())
}

/// A message on its way from host to host, and what they said.
#[derive(Debug)]
pub(super) struct Journey {
    message: Outgoing,
    began: tokio::time::Instant,
    outcomes: Vec<Outcome>,
    last: Option<Undecided>,
    /// What the last host could not have, in our own judgement.
    unfit: Vec<Outcome>,
}

/// Whether another host is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    Nowhere,
}

impl Journey {
    pub(super) fn new(message: Outgoing) -> Self {
        let began = tokio::time::Instant::now();
        Self { message, began, outcomes: Vec::new(), last: None, unfit: Vec::new() }
    }

    /// For those who have no outcome yet, as old as it is by now.
    pub(super) fn message(&self) -> Outgoing {
        let mut message = self.message.clone(); // the text is shared
        message.age = message.age.saturating_add(self.began.elapsed());
        message
    }

    pub(super) fn goes_on(&mut self, attempt: Result<Attempt, SendError>) -> Goes {
        self.unfit.clear();
        self.last = match attempt {
            Ok(attempt) => {
                for outcome in attempt.outcomes {
                    if outcome.is_unfit() { self.unfit.push(outcome) } else { self.outcomes.push(outcome) }
                }
                attempt.undecided
            }
            Err(error) => {
                let recipients = self.message.envelope.recipients.clone();
                Some(Undecided::new(recipients, Reason::no_connection(&error)))
            }
        };
        let mut again: Vec<Recipient> = Vec::new();
        if let Some(undecided) = self.last.as_ref().filter(|undecided| undecided.may_go_elsewhere()) {
            again.extend_from_slice(undecided.recipients());
        }
        let mut refused = HashMap::new();
        for outcome in &self.unfit {
            *refused.entry(&outcome.to).or_insert(0) += 1;
        }
        again.extend(
            self.message
                .envelope
                .recipients
                .iter()
                .filter(|recipient| match refused.get_mut(&recipient.to) {
                    Some(times) if *times > 0 => {
                        *times -= 1;
                        true
                    }
                    _ => false,
                })
                .cloned(),
        );
        if again.is_empty() {
            return Goes::Nowhere;
        }
        if let Some(kept) = self.last.take_if(|undecided| !undecided.may_go_elsewhere()) {
            self.outcomes.extend(kept.into_outcomes());
        }
        self.message.envelope.recipients = again;
        Goes::On
    }

    /// Leaves those without an outcome to whoever asks the other hosts.
    pub(super) fn split(self) -> (Vec<Outcome>, Outgoing) {
        (self.outcomes, self.message)
    }

    pub(super) fn finish(self) -> Vec<Outcome> {
        let mut outcomes = self.outcomes;
        outcomes.extend(self.unfit);
        outcomes.extend(self.last.into_iter().flat_map(Undecided::into_outcomes));
        outcomes
    }
}

/// Why there is no host, in a server's words.
fn unreachable(why: Unreachable) -> Reply {
    let (code, enhanced) = match why {
        // RFC 7505 §4.1
        Unreachable::NullMx => (556, Enhanced(5, 1, 10)),
        // RFC 3463 §3.2, §3.5
        Unreachable::NoDomain | Unreachable::BadDomain => (550, Enhanced(5, 1, 2)),
        Unreachable::NoAddress | Unreachable::NoHost => (550, Enhanced(5, 4, 4)),
        Unreachable::Loop => (554, Enhanced(5, 4, 6)),
        Unreachable::Temporary(_) => (451, Enhanced(4, 4, 3)),
    };
    Reply::new(code, enhanced, why.to_string())
}
