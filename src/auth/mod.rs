//! Is it who it says? What can be found out about a message and who sent it; each check is an
//! [`Inquiry`].
//!
//! [`Check`] runs those that apply and gives one [`Report`]: SPF of both identities, the DKIM signatures, the ARC chain,
//! DMARC, whether the client's name leads back to its address, and, where the [`Config`] wants them, what lists say and the
//! BIMI record. The other way round, a [`TlsPolicy`] says what a mail host must prove before it gets a message, out of DANE
//! ([`dane`]) and MTA-STS ([`mta_sts`]).

pub mod arc;
mod arriving;
pub mod bimi;
pub mod dane;
pub mod dkim;
pub mod dmarc;
pub mod dnsbl;
pub mod iprev;
pub mod mta_sts;
pub mod parcel;
mod reader;
pub mod results;
pub mod spf;
mod tags;
pub mod tls_policy;
pub mod tls_rpt;
mod why;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::address::Domain;
use crate::base::Timestamp;
use crate::dns::{Answer, Ask, Failure, Inquiry, Name, Question, Within};
use crate::message::Message;
use crate::smtp::{self, ReversePath};

pub use arriving::Arriving;
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
        let helo = self.hello.as_ref().map(|name| name.to_ascii().unwrap_or_else(|| name.to_string()));
        let domain = address.domain().to_ascii().unwrap_or_else(|| address.domain().to_string());
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

/// All checks that apply to one message, at the same time but for DMARC, which builds upon SPF and DKIM, and BIMI,
/// which builds upon DMARC. It asks at most
/// [`Config::max_questions`] questions, and the same question of two checks once.
///
/// ```
/// use facteur::auth::{Check, Session};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
/// use facteur::smtp::ReversePath;
///
/// let zone: Zone = "
///     example.org TXT \"v=spf1 a:mail.example.org -all\"
///     mail.example.org A 192.0.2.1
///     _dmarc.example.org TXT \"v=DMARC1; p=reject\"
///     1.2.0.192.in-addr.arpa PTR mail.example.org
/// ".parse()?;
/// let sender = ReversePath::Address("ada@example.org".parse()?);
/// let session = Session::new([192, 0, 2, 1].into(), Some("mail.example.org".parse()?), sender);
/// let message = Message::parse("From: ada@example.org\r\n\r\nLunch?\r\n");
///
/// let report = zone.ask(Check::new(&session, &message, Timestamp::from_unix(1_790_000_000)));
/// assert_eq!(
///     report.header("mx.example.net").to_string(),
///     "Authentication-Results: mx.example.net;\r\n\
///      \tspf=none smtp.helo=mail.example.org;\r\n\
///      \tspf=pass smtp.mailfrom=example.org;\r\n\
///      \tdkim=none;\r\n\
///      \tdmarc=pass header.from=example.org;\r\n\
///      \tiprev=pass policy.iprev=192.0.2.1"
/// );
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Check {
    iprev: Running<iprev::Evaluation>,
    helo: Option<Running<spf::Evaluation>>,
    mail_from: Option<Running<spf::Evaluation>>,
    /// The DKIM signatures and those of the ARC chain: one pass over the body, and one question a key.
    signatures: Running<dkim::Evaluation>,
    chain: arc::Chain,
    author: Result<Name, dmarc::Problem>,
    lists: Option<Running<Within<dnsbl::Evaluation>>>,
    /// Begins when all that it builds upon is done.
    dmarc: Option<Running<dmarc::Evaluation>>,
    /// The message, where BIMI is wanted.
    pictured: Option<Message>,
    bimi: Option<Running<bimi::Evaluation>>,
    patience: Duration,
    /// When there are no more answers.
    until: Option<Instant>,
}

/// A check, and its verdict once there is one.
#[derive(Clone, Debug)]
enum Running<I: Inquiry> {
    Asking(Box<I>),
    Done(I::Verdict),
}

/// One of the checks, whatever its verdict is.
trait Part {
    /// Its next question.
    fn poll(&mut self) -> Option<Question>;
    /// All its questions.
    fn open(&mut self) -> Vec<Question>;
    fn answer_to(&mut self, question: &Question, answer: &Answer);
    fn tick(&mut self, now: Instant);
    fn deadline(&self) -> Option<Instant>;
}

/// What [`Check`] found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Whether the client's name leads back to its address.
    pub iprev: iprev::Verdict,
    /// SPF of the HELO name; `None` where the client gave none.
    pub spf_helo: Option<spf::Verdict>,
    /// SPF of the reverse-path; `None` where it is null.
    pub spf_mail_from: Option<spf::Verdict>,
    /// Each DKIM signature, from the top.
    pub dkim: Vec<dkim::Verdict>,
    /// The ARC chain.
    pub arc: arc::Verdict,
    /// The signatures of the chain that were verified, as far as the rest of it let them be: message signatures and seals.
    pub arc_signatures: Vec<dkim::Verdict>,
    /// What the domain in the From field wants done.
    pub dmarc: dmarc::Verdict,
    /// What the lists say; `None` where none were to be asked.
    pub dnsbl: Option<dnsbl::Verdict>,
    /// Where the picture of the author's domain is; `None` where that was not to be looked up.
    pub bimi: Option<bimi::Verdict>,
}

impl Check {
    /// What can be checked of `message`, which came by `session`, at the time `now`.
    pub fn new(session: &Session, message: &Message, now: Timestamp) -> Self {
        Self::with(session, message, now, &Config::default())
    }

    /// The same with a config of one's own.
    pub fn with(session: &Session, message: &Message, now: Timestamp, config: &Config) -> Self {
        let body = message.root().raw_body();
        let mut arriving = Arriving::new(session, message, now, config);
        arriving.body(body);
        arriving.end(Some(body))
    }

    /// Begins with DMARC once SPF and DKIM are done, and with BIMI once DMARC is.
    fn advance(&mut self) {
        let spf = [&mut self.helo, &mut self.mail_from];
        if spf.into_iter().flatten().any(|spf| spf.settled().is_none()) {
            return;
        }
        let Some(dkim) = self.signatures.settled() else { return };
        let own = dkim.get(..self.chain.first()).unwrap_or(dkim);
        let dmarc = self.dmarc.get_or_insert_with(|| {
            // RFC 9989 §3.2.4: of a null reverse-path it is the HELO name's.
            let spf = [&self.mail_from, &self.helo].into_iter().flatten().find_map(Running::verdict);
            let identifiers = dmarc::Identifier::of(spf, own);
            Running::new(dmarc::Evaluation::new(self.author.clone(), identifiers))
        });
        if let (Some(message), None, Some(dmarc)) = (&self.pictured, &self.bimi, dmarc.settled()) {
            let selector = bimi::selector(message.header(), own, dmarc);
            self.bimi = Some(Running::new(bimi::Evaluation::new(dmarc, selector)));
        }
    }

    /// In the order in which [`poll`](Inquiry::poll) asks.
    fn parts(&mut self) -> impl Iterator<Item = &mut dyn Part> {
        let first = [Some(&mut self.iprev as &mut dyn Part), self.helo.as_mut().map(|part| part as _)];
        let second = [self.mail_from.as_mut().map(|part| part as _), Some(&mut self.signatures as _)];
        let third = [self.lists.as_mut().map(|part| part as &mut dyn Part), self.dmarc.as_mut().map(|part| part as _)];
        let last = self.bimi.as_mut().map(|part| part as _);
        first.into_iter().chain(second).chain(third).chain([last]).flatten()
    }

    /// What came of it; `None` while there are questions.
    fn report(&mut self) -> Option<Report> {
        let dkim = self.signatures.settled()?.clone();
        Some(Report {
            iprev: self.iprev.settled()?.clone(),
            spf_helo: Running::settled_or_none(&mut self.helo)?,
            spf_mail_from: Running::settled_or_none(&mut self.mail_from)?,
            arc: self.chain.verdict(&dkim),
            arc_signatures: dkim.iter().skip(self.chain.first()).cloned().collect(),
            dkim: dkim.into_iter().take(self.chain.first()).collect(),
            dmarc: self.dmarc.as_mut()?.settled()?.clone(),
            dnsbl: Running::settled_or_none(&mut self.lists)?,
            bimi: match (&self.pictured, &mut self.bimi) {
                (None, _) => None,
                (Some(_), bimi) => Some(bimi.as_mut()?.settled()?.clone()),
            },
        })
    }
}

impl<I: Inquiry<Verdict: Clone>> Running<I> {
    fn new(inquiry: I) -> Self {
        Self::Asking(Box::new(inquiry))
    }

    /// The verdict, where there is one.
    fn settled(&mut self) -> Option<&I::Verdict> {
        if let Self::Asking(inquiry) = self {
            match inquiry.poll() {
                Ask::Question(_) => return None,
                Ask::Verdict(verdict) => *self = Self::Done(verdict),
            }
        }
        self.verdict()
    }

    fn verdict(&self) -> Option<&I::Verdict> {
        match self {
            Self::Asking(_) => None,
            Self::Done(verdict) => Some(verdict),
        }
    }

    /// The verdict of a check that may not apply; `None` while it is not settled.
    fn settled_or_none(running: &mut Option<Self>) -> Option<Option<I::Verdict>> {
        match running {
            None => Some(None),
            Some(running) => running.settled().cloned().map(Some),
        }
    }
}

impl<I: Inquiry<Verdict: Clone>> Part for Running<I> {
    fn poll(&mut self) -> Option<Question> {
        let Self::Asking(inquiry) = self else { return None };
        match inquiry.poll() {
            Ask::Question(question) => Some(question),
            Ask::Verdict(verdict) => {
                *self = Self::Done(verdict);
                None
            }
        }
    }

    fn open(&mut self) -> Vec<Question> {
        match self {
            Self::Asking(inquiry) => inquiry.open(),
            Self::Done(_) => Vec::new(),
        }
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        if let Self::Asking(inquiry) = self {
            inquiry.answer_to(question, answer);
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Self::Asking(inquiry) = self {
            inquiry.tick(now);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asking(inquiry) => inquiry.deadline(),
            Self::Done(_) => None,
        }
    }
}

impl Inquiry for Check {
    type Verdict = Report;

    fn poll(&mut self) -> Ask<Report> {
        loop {
            self.advance();
            if let Some(question) = self.parts().find_map(Part::poll) {
                return Ask::Question(question);
            }
            // What has begun may have ended without a question.
            if let Some(report) = self.report() {
                return Ask::Verdict(report);
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.poll() {
            self.answer_to(&question, answer);
        }
    }

    fn open(&mut self) -> Vec<Question> {
        self.advance();
        let mut open: Vec<Question> = Vec::new();
        for question in self.parts().flat_map(Part::open) {
            if !open.contains(&question) {
                open.push(question);
            }
        }
        open
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        self.parts().for_each(|part| part.answer_to(question, answer));
    }

    fn tick(&mut self, now: Instant) {
        self.parts().for_each(|part| part.tick(now));
        // What is later than any clock can say never comes.
        self.until = self.until.or_else(|| now.checked_add(self.patience));
        if self.until.is_none_or(|until| now < until) {
            return;
        }
        // It ends: how many questions there can be is bounded.
        while let Ask::Question(question) = self.poll() {
            self.answer_to(&question, &Err(Failure::Timeout).into());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.lists.as_ref().and_then(Part::deadline)).min()
    }
}

impl Report {
    /// The report as the Authentication-Results field of the host or domain `id` (RFC 8601).
    pub fn header(&self, id: &str) -> Results {
        let spf = [&self.spf_helo, &self.spf_mail_from].into_iter().flatten().map(|verdict| {
            let property = match verdict.identity {
                spf::Identity::Helo => "helo",
                spf::Identity::MailFrom => "mailfrom",
            };
            // RFC 8601 §2.7.2: without the local part, unless the policy looks at it.
            let method = Method::new("spf", verdict.outcome.to_string()).property("smtp", property, &verdict.domain);
            match (verdict.outcome, verdict.problem) {
                (spf::Outcome::TempError | spf::Outcome::PermError, Some(problem)) => {
                    method.reason(problem.to_string())
                }
                _ => method,
            }
        });
        let iprev = Method::new("iprev", self.iprev.outcome.to_string());
        let dkim = self.dkim.iter().map(|verdict| {
            // RFC 6376 §3.6.1: a signature in testing is as no signature.
            let outcome = if verdict.testing { "none".to_owned() } else { verdict.outcome.to_string() };
            let mut method = Method::new("dkim", outcome);
            match verdict.problem {
                _ if verdict.testing => method = method.reason("the key is for testing"),
                Some(problem) => method = method.reason(problem.to_string()),
                None => {}
            }
            let Some(signature) = &verdict.signature else { return method };
            // RFC 8601 §2.7.1, and RFC 6008: the start of the signature tells several apart.
            let value = BASE64_STANDARD.encode(&signature.value);
            method
                .property("header", "d", signature.domain.to_string())
                .property("header", "i", &signature.identity)
                .property("header", "s", signature.selector.to_string())
                .property("header", "a", signature.algorithm.to_string())
                .property("header", "b", value.get(..8).unwrap_or(&value))
        });
        let dkim: Vec<_> = match dkim.len() {
            0 => vec![Method::new("dkim", "none")],
            _ => dkim.collect(),
        };
        let methods = spf.chain(dkim).chain(self.arc_method()).chain([self.dmarc_method()]);
        let methods = methods.chain([iprev.property("policy", "iprev", self.iprev.ip.to_string())]);
        let methods = methods.chain(self.dnsbl.iter().flat_map(dnsbl::Verdict::methods));
        Results::new(id, methods.chain(self.bimi.as_ref().map(bimi::Verdict::method)))
    }

    /// RFC 8617 §6; nothing where there is no chain.
    fn arc_method(&self) -> Option<Method> {
        let method = Method::new("arc", self.arc.outcome.to_string());
        let method = self.arc.problem.iter().fold(method, |method, problem| method.reason(problem.to_string()));
        let method = method.property("smtp", "remote-ip", self.iprev.ip.to_string());
        let oldest = self.arc.oldest_pass.iter();
        let method = oldest.fold(method, |method, oldest| method.property("header", "oldest-pass", oldest.to_string()));
        (self.arc.outcome != arc::Outcome::None).then_some(method)
    }

    /// RFC 9989 §9.1.
    fn dmarc_method(&self) -> Method {
        let mut method = Method::new("dmarc", self.dmarc.outcome.to_string());
        if let (dmarc::Outcome::TempError | dmarc::Outcome::PermError, Some(problem)) =
            (self.dmarc.outcome, self.dmarc.problem)
        {
            method = method.reason(problem.to_string());
        }
        if let Some(author) = &self.dmarc.author {
            method = method.property("header", "from", author.to_string());
        }
        if self.dmarc.outcome == dmarc::Outcome::Fail {
            method = method.property("policy", "dmarc", self.dmarc.disposition.to_string());
        }
        method
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;

    fn report(zone: &str, hello: Option<&str>, mail_from: &str) -> String {
        let zone: Zone = zone.parse().unwrap();
        let mail_from = match mail_from {
            "" => ReversePath::Null,
            address => ReversePath::Address(address.parse().unwrap()),
        };
        let session = Session::new([192, 0, 2, 1].into(), hello.map(|hello| hello.parse().unwrap()), mail_from);
        let check = Check::new(&session, &Message::parse("\r\n"), Timestamp::from_unix(0));
        zone.ask(check).header("mx.test").to_string().replace("\r\n\t", " ")
    }

    #[test]
    fn what_does_not_apply_is_not_reported() {
        let zone = "x.org TXT \"v=spf1 -all\"\nm.x.org TXT \"v=spf1 ip4:192.0.2.1\"";
        let iprev = "iprev=permerror policy.iprev=192.0.2.1";
        for (hello, mail_from, expected) in [
            (Some("m.x.org"), "a@x.org", "spf=pass smtp.helo=m.x.org; spf=fail smtp.mailfrom=x.org; "),
            (Some("m.x.org"), "", "spf=pass smtp.helo=m.x.org; "),
            (Some("[192.0.2.1]"), "", ""),
            (None, "a@X.Org", "spf=fail smtp.mailfrom=x.org; "),
            (None, "a@[192.0.2.1]", "spf=none smtp.mailfrom=\"[192.0.2.1]\"; "),
        ] {
            let dmarc = "dmarc=permerror reason=\"no author domain\"";
            let expected = format!("Authentication-Results: mx.test; {expected}dkim=none; {dmarc}; {iprev}");
            assert_eq!(report(zone, hello, mail_from), expected);
        }
    }

    #[test]
    fn one_key_for_dkim_and_arc_is_asked_for_once() {
        let key = dkim::SigningKey::generate_ed25519().unwrap();
        let record = key.record();
        let zone = format!("s._domainkey.x.org TXT \"{record}\"\n_dmarc.x.org TXT \"v=DMARC1; p=reject\"\n");
        let zone: Zone = zone.parse().unwrap();
        let signer = dkim::Signer::new("x.org".parse().unwrap(), "s".parse().unwrap(), key);
        let now = Timestamp::from_unix(1_790_000_000);
        let message = Message::parse("From: ada@mail.x.org\r\n\r\nLunch?\r\n");
        let signed = dkim::sign(&message, std::slice::from_ref(&signer), now).unwrap();
        let message = Message::parse([signed.as_bytes(), message.raw()].concat());
        let none = zone.ask(arc::verify(&message, now, &dkim::Config::default()));
        let set = arc::seal(&message, &none, &Results::new("x.org", []), &signer, now).unwrap();
        let message = Message::parse([set.as_bytes(), message.raw()].concat());

        let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Null);
        let mut check = Check::new(&session, &message, now);
        let mut asked = Vec::new();
        let report = loop {
            match check.poll() {
                Ask::Verdict(report) => break report,
                Ask::Question(question) => {
                    check.answer(&zone.answer(&question));
                    asked.push(question.to_string());
                }
            }
        };
        assert_eq!(asked.iter().filter(|question| *question == "s._domainkey.x.org TXT").count(), 1, "{asked:?}");
        let outcomes = (report.dkim.len(), report.arc.outcome, report.dmarc.outcome);
        assert_eq!(outcomes, (1, arc::Outcome::Pass, dmarc::Outcome::Pass));
        let header = report.header("mx.test").to_string();
        assert!(
            header.contains("\tarc=pass smtp.remote-ip=192.0.2.1;\r\n\tdmarc=pass header.from=mail.x.org;"),
            "{header}"
        );

        // Who changes it leaves the domain's wish.
        let changed = Message::parse(message.raw().iter().map(|octet| octet.to_ascii_lowercase()).collect::<Vec<_>>());
        let header = zone.ask(Check::new(&session, &changed, now)).header("mx.test").to_string();
        assert!(header.contains("dmarc=fail header.from=mail.x.org policy.dmarc=reject"), "{header}");
    }

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

    #[test]
    fn errors_come_with_their_reason() {
        assert_eq!(
            report("x.org TIMEOUT", None, "a@x.org"),
            "Authentication-Results: mx.test; spf=temperror reason=\"dns: timeout\" smtp.mailfrom=x.org; \
             dkim=none; dmarc=permerror reason=\"no author domain\"; iprev=permerror policy.iprev=192.0.2.1"
        );
    }

    #[test]
    fn patience_may_have_no_end() {
        let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Null);
        let mut lists = dnsbl::Lists::new([]);
        lists.patience = Duration::MAX;
        let config = Config { patience: Duration::MAX, lists: Some(Arc::new(lists)), ..Config::default() };
        let mut check = Check::with(&session, &Message::parse("\r\n"), Timestamp::from_unix(0), &config);
        check.tick(Instant::now());
        assert!(matches!(check.poll(), Ask::Question(_)) && check.deadline().is_none());
    }

    #[test]
    fn u_labels_are_asked_for_as_a_labels() {
        let zone = "xn--bcher-kva.org TXT \"v=spf1 +all\"";
        assert!(report(zone, None, "a@bücher.org").contains("spf=pass smtp.mailfrom=xn--bcher-kva.org;"));
    }
}
