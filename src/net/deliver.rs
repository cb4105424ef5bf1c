//! Delivers a message to wherever the DNS says that its recipients' mail goes (RFC 5321 §5.1).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use crate::address::Domain;
use crate::base::crypto;
use crate::dns::mx::{self, Targets, Unreachable};
use crate::net::resolver::Resolver;
use crate::net::submit::{SendError, Sender, Undecided, needs_tls};
use crate::smtp::client::By;
use crate::smtp::{Enhanced, ForwardPath, Outcome, Outgoing, Recipient, Reply, Stage};

/// The port of SMTP between hosts.
const SMTP: u16 = 25;

impl Sender {
    /// Sends a message to the mail hosts of each recipient's domain, one domain after the other, and says what became of
    /// each recipient. Nothing is kept: whoever got a [temporary](Outcome::is_temporary) answer is to be tried again
    /// later.
    ///
    /// A message with REQUIRETLS is refused: RFC 8689 §4.2.1 wants the names of mail hosts proved by DNSSEC or MTA-STS, and
    /// neither is looked at here. Who has such proof calls [`deliver_to`](Self::deliver_to).
    pub async fn deliver(&self, resolver: &Resolver, message: &Outgoing) -> Vec<Outcome> {
        let began = tokio::time::Instant::now();
        let mut outcomes = Vec::new();
        if needs_tls(&message.envelope) {
            let reply =
                Reply::new(550, Enhanced(5, 7, 10), "TLS is required, and the names of mail hosts are not proved");
            return Undecided::new(message.envelope.recipients.clone(), Stage::Connect, reply, By::Client)
                .into_outcomes()
                .collect();
        }
        let mut domains: BTreeMap<String, (Domain, Vec<Recipient>)> = BTreeMap::new();
        for recipient in &message.envelope.recipients {
            match &recipient.to {
                ForwardPath::Address(to) => {
                    let domain = to.domain();
                    let key = domain.to_ascii().unwrap_or_else(|| domain.to_string());
                    let entry = domains.entry(key).or_insert_with(|| (domain.clone(), Vec::new()));
                    entry.1.push(recipient.clone());
                }
                ForwardPath::Postmaster => {
                    let reply = Reply::new(553, Enhanced(5, 1, 3), "a recipient without a domain");
                    outcomes.push(Outcome { to: recipient.to.clone(), stage: Stage::Rcpt, reply, by: By::Client });
                }
            }
        }
        for (domain, recipients) in domains.into_values() {
            let mut seed = [0; 8];
            crypto::random(&mut seed);
            let lookup = mx::Lookup::new(&domain, u64::from_ne_bytes(seed));
            let targets = resolver.ask(lookup).await.and_then(|targets| {
                targets.before(|host| {
                    // RFC 5321 §5.1: the host itself among them, and mail would go in circles.
                    let own = self.client.name.to_ascii();
                    host.name.as_ref().is_some_and(|name| Some(name.as_str()) == own.as_deref())
                })
            });
            let mut part = message.clone();
            part.envelope.recipients = recipients;
            part.age = part.age.saturating_add(began.elapsed());
            match targets {
                Ok(targets) => outcomes.extend(self.deliver_to(&targets, SMTP, part).await),
                Err(why) => outcomes.extend(part.envelope.recipients.into_iter().map(|recipient| Outcome {
                    to: recipient.to,
                    stage: Stage::Connect,
                    reply: unreachable(why),
                    by: By::Client,
                })),
            }
        }
        outcomes
    }

    /// Sends a message to the first of these hosts that takes it, at this port. The next host is asked for those for whom
    /// the one before decided nothing: it was not there, refused the session, broke off, or lacks an extension that the
    /// message cannot go without; not where it may have the message already.
    pub async fn deliver_to(&self, targets: &Targets, port: u16, mut message: Outgoing) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut last: Option<Undecided> = None;
        // What the last host could not have, in our own judgement.
        let mut unfit: Vec<Outcome> = Vec::new();
        let (began, age) = (tokio::time::Instant::now(), message.age);
        let mut left = self.max_addresses;
        for host in &targets.hosts {
            let addresses: Vec<_> =
                host.addresses.iter().take(left).map(|address| SocketAddr::new(*address, port)).collect();
            let Some(first) = addresses.first() else { break };
            left -= addresses.len();
            let name = host.name.as_ref().map_or_else(|| first.ip().to_string(), |name| name.as_str().to_owned());
            message.age = age.saturating_add(began.elapsed());
            unfit.clear();
            let undecided = match self.attempt(&name, &addresses, message.clone()).await {
                Ok(attempt) => {
                    for outcome in attempt.outcomes {
                        if outcome.by == By::Client { unfit.push(outcome) } else { outcomes.push(outcome) }
                    }
                    attempt.undecided
                }
                Err(error) => {
                    let recipients = message.envelope.recipients.clone();
                    Some(Undecided::new(recipients, Stage::Connect, no_connection(&error), By::Client))
                }
            };
            last = undecided;
            let mut again: Vec<Recipient> = Vec::new();
            if let Some(undecided) = last.as_ref().filter(|undecided| undecided.may_go_elsewhere()) {
                again.extend_from_slice(undecided.recipients());
            }
            let mut refused = HashMap::new();
            for outcome in &unfit {
                *refused.entry(&outcome.to).or_insert(0) += 1;
            }
            again.extend(
                message
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
                break;
            }
            if let Some(kept) = last.take_if(|undecided| !undecided.may_go_elsewhere()) {
                outcomes.extend(kept.into_outcomes());
            }
            message.envelope.recipients = again;
        }
        outcomes.extend(unfit);
        outcomes.extend(last.into_iter().flat_map(Undecided::into_outcomes));
        outcomes
    }
}

/// A connection that did not come about, in a server's words (RFC 3463 §3.5).
fn no_connection(error: &SendError) -> Reply {
    let enhanced = match error {
        // X.7.5 of RFC 3463 §3.8: cryptographic failure.
        SendError::Tls(_) | SendError::TlsConfig(_) => Enhanced(4, 7, 5),
        _ => Enhanced(4, 4, 1),
    };
    Reply::new(451, enhanced, error.to_string())
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
