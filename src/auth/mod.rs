//! Is it who it says? What can be found out about a message and who sent it; each check is an
//! [`Inquiry`](crate::dns::Inquiry).
//!
//! [`Check`] runs those that apply and gives one [`Report`]: SPF of both identities, the DKIM signatures, the ARC chain,
//! DMARC, whether the client's name leads back to its address, and, where the [`Config`] wants them, what lists say and the
//! BIMI record. The other way round, a [`TlsPolicy`] says what a mail host must prove before it gets a message, out of DANE
//! ([`dane`]) and MTA-STS ([`mta_sts`]).

pub mod arc;
mod arriving;
pub mod bimi;
mod check;
pub mod dane;
pub mod dkim;
pub mod dmarc;
pub mod dnsbl;
pub mod iprev;
pub mod mta_sts;
pub mod parcel;
mod reader;
mod report;
pub mod results;
pub mod spf;
mod tags;
pub mod tls_policy;
pub mod tls_rpt;
mod why;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Domain;
use crate::base::Timestamp;
use crate::smtp::{self, ReversePath};

pub use arriving::Arriving;
pub use check::Check;
pub use report::Report;
pub use results::{Method, Property, Results};
pub use tls_policy::TlsPolicy;

/// How many questions one [`Check`] with the default [`Config`] can ask; [`Config::max_questions`] says it of others.
pub const MAX_QUESTIONS: u32 = iprev::MAX_QUESTIONS
    + 2 * spf::MAX_QUESTIONS
    + dkim::Config::SIGNATURES as u32
    + arc::MAX_QUESTIONS
    + dmarc::MAX_QUESTIONS;

/// What a [`Check`] looks at, and how.
///
/// ```
/// use std::sync::Arc;
/// use facteur::auth::dnsbl::{List, Lists};
/// use facteur::auth::{Config, MAX_QUESTIONS};
///
/// let mut config = Config::default();
/// assert_eq!(config.max_questions(), MAX_QUESTIONS);
/// config.lists = Some(Arc::new(Lists::new(["bl.example.org".parse::<List>()?])));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How signatures are verified, those of ARC too.
    pub dkim: dkim::Config,
    /// Which message signatures of an ARC chain are verified. Default the newest: the others cost up to 49 questions and
    /// verifications, and say only since when the message has not been changed.
    pub arc: arc::Depth,
    /// Which lists are asked about client and message. Default `None`. Share one for all checks: it remembers which lists
    /// work.
    pub lists: Option<Arc<dnsbl::Lists>>,
    /// Whether the BIMI record is looked up of mail that passes DMARC. Default: no; it is of use to who shows pictures.
    pub bimi: bool,
    /// How long answers are waited for, all in all; what has not come by then counts as a timeout. Default 20 seconds, the
    /// least that RFC 7208 §4.6.4 wants SPF to have; the client waits meanwhile, and for minutes if need be.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let (dkim, patience) = (dkim::Config::default(), Duration::from_secs(20));
        Self { dkim, arc: arc::Depth::Newest, lists: None, bimi: false, patience }
    }
}

impl Config {
    /// How many questions one [`Check`] can ask, whatever the message and the DNS are like: the sum of what its checks can
    /// ask, each of which says its own bound.
    pub fn max_questions(&self) -> u32 {
        let signatures = u32::try_from(self.dkim.signatures).unwrap_or(u32::MAX);
        let lists = if self.lists.is_some() { dnsbl::MAX_QUESTIONS } else { 0 };
        let older = if self.arc == arc::Depth::Newest { 0 } else { u32::from(arc::MAX_SETS) - 1 };
        let bimi = if self.bimi { bimi::MAX_QUESTIONS } else { 0 };
        let base = MAX_QUESTIONS - dkim::Config::SIGNATURES as u32;
        (base + lists + older + bimi).saturating_add(signatures)
    }
}

/// What is known of the session that a message came by.
///
/// ```
/// use facteur::auth::Session;
/// use facteur::smtp::ReversePath;
///
/// let session = Session::new([192, 0, 2, 1].into(), Some("mail.example.org".parse()?), ReversePath::Null);
/// assert!(session.receiver.is_none());
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The client's address.
    pub peer: IpAddr,
    /// What the client calls itself.
    pub hello: Option<Domain>,
    /// Who sent the message.
    pub mail_from: ReversePath,
    /// The name of the host that took it, which an SPF explanation may tell. Default: `None`, then it is `unknown`.
    pub receiver: Option<Domain>,
}

impl Session {
    /// A session with a client at `peer` that said `hello`.
    pub fn new(peer: IpAddr, hello: Option<Domain>, mail_from: ReversePath) -> Self {
        Self { peer, hello, mail_from, receiver: None }
    }

    /// What an SMTP server knows of its client.
    pub fn of(session: &smtp::Session, mail_from: ReversePath) -> Self {
        let hello = session.hello.as_ref().and_then(|hello| hello.name.clone());
        Self::new(session.peer, hello, mail_from)
    }

    /// The evaluation of SPF for the HELO name (RFC 7208 §2.3); `None` where the client gave no name of the DNS.
    pub fn spf_helo(&self, now: Timestamp) -> Option<spf::Evaluation> {
        let helo = self.hello.as_ref()?.to_ascii()?;
        Some(self.told(spf::Evaluation::new(self.peer, &helo, &helo, spf::Identity::Helo), now))
    }

    /// The evaluation of SPF for the reverse-path (RFC 7208 §2.4); `None` where it is null: that is the HELO name's
    /// postmaster, and [`spf_helo`](Self::spf_helo) says of it what there is to say.
    pub fn spf_mail_from(&self, now: Timestamp) -> Option<spf::Evaluation> {
        let ReversePath::Address(address) = &self.mail_from else { return None };
        let helo = self.hello.as_ref().map(Domain::to_ascii_or_text);
        let domain = address.domain().to_ascii_or_text();
        let sender = format!("{}@{domain}", address.local());
        let helo = helo.unwrap_or_default();
        Some(self.told(spf::Evaluation::new(self.peer, &helo, &sender, spf::Identity::MailFrom), now))
    }

    /// The Received-SPF field (RFC 7208 §9.1) of the host `receiver`, for what came of an evaluation.
    pub fn received_spf(&self, verdict: &spf::Verdict, receiver: &str) -> spf::ReceivedSpf {
        let sender = match (verdict.identity, &self.mail_from) {
            (spf::Identity::MailFrom, ReversePath::Address(address)) => address.to_string(),
            // RFC 7208 §2.4: of a null reverse-path, the postmaster of the HELO name.
            _ => format!("postmaster@{}", verdict.domain),
        };
        let client = self.peer.to_canonical().to_string();
        let field = spf::ReceivedSpf::of(verdict, receiver, &client, &sender);
        match &self.hello {
            Some(hello) => field.pair("helo", hello.to_string()),
            None => field,
        }
    }

    fn told(&self, evaluation: spf::Evaluation, now: Timestamp) -> spf::Evaluation {
        let receiver = self.receiver.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        evaluation.at(&receiver, now.unix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    #[test]
    fn received_spf_says_what_decided() {
        let zone: Zone = "x.org TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\nm.x.org TIMEOUT".parse().unwrap();
        let session = Session::new(
            "::ffff:192.0.2.1".parse().unwrap(),
            Some("m.x.org".parse().unwrap()),
            ReversePath::Address("ada@x.org".parse().unwrap()),
        );
        let now = Timestamp::from_unix(0);
        let field = |evaluation| session.received_spf(&zone.ask(evaluation), "mx.test").to_string();
        assert_eq!(
            field(session.spf_mail_from(now).unwrap()).replace("\r\n\t", " "),
            "Received-SPF: pass (mx.test: domain of ada@x.org designates 192.0.2.1 as permitted sender) \
             receiver=mx.test; client-ip=192.0.2.1; identity=mailfrom; envelope-from=\"ada@x.org\"; \
             mechanism=\"ip4:192.0.2.0/24\"; helo=m.x.org"
        );
        assert_eq!(
            field(session.spf_helo(now).unwrap()).replace("\r\n\t", " "),
            "Received-SPF: temperror (mx.test: domain of postmaster@m.x.org could not be asked) receiver=mx.test; \
             client-ip=192.0.2.1; identity=helo; problem=\"dns: timeout\"; helo=m.x.org"
        );
    }
}
