//! Is it who it says? What can be found out about a message and who sent it; each check is an
//! [`Inquiry`].
//!
//! [`Check`] runs those that apply and gives one [`Report`]. SPF of both identities, the DKIM signatures, the ARC chain,
//! DMARC, and whether the client's name leads back to its address.

pub mod arc;
pub mod dkim;
pub mod dmarc;
pub mod iprev;
mod reader;
pub mod results;
pub mod spf;
mod tags;

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::address::Domain;
use crate::base::Timestamp;
use crate::dns::{Answer, Ask, Inquiry, Name};
use crate::message::Message;
use crate::smtp::{self, ReversePath};

pub use results::{Method, Property, Results};

/// How many questions one [`Check`] can ask.
pub const MAX_QUESTIONS: u32 = iprev::MAX_QUESTIONS
    + 2 * spf::MAX_QUESTIONS
    + dkim::Config::SIGNATURES as u32
    + arc::MAX_QUESTIONS
    + dmarc::MAX_QUESTIONS;

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

/// All checks that apply to one message, one after the other. It asks at most [`MAX_QUESTIONS`] questions.
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
    /// Begins when all that it builds upon is done.
    dmarc: Option<Running<dmarc::Evaluation>>,
}

/// A check, and its verdict once there is one.
#[derive(Clone, Debug)]
enum Running<I: Inquiry> {
    Asking(Box<I>),
    Done(I::Verdict),
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
    /// What the domain in the From field wants done.
    pub dmarc: dmarc::Verdict,
}

impl Check {
    /// What can be checked of `message`, which came by `session`, at the time `now`.
    pub fn new(session: &Session, message: &Message, now: Timestamp) -> Self {
        let running = |evaluation| Running::Asking(Box::new(evaluation));
        let (header, body) = (message.header(), message.root().raw_body());
        let mut signatures = dkim::Verifier::new(header, now, &dkim::Config::default());
        let chain = arc::Chain::read(header, now, &mut signatures);
        if signatures.wants_body() {
            signatures.body(body);
        }
        Self {
            iprev: Running::Asking(Box::new(iprev::Evaluation::new(session.peer))),
            helo: session.spf_helo(now).map(running),
            mail_from: session.spf_mail_from(now).map(running),
            signatures: Running::Asking(Box::new(signatures.end(Some(body)))),
            chain,
            author: dmarc::author(header),
            dmarc: None,
        }
    }
}

impl<I: Inquiry<Verdict: Clone>> Running<I> {
    fn poll(&mut self) -> Ask<I::Verdict> {
        let ask = match self {
            Self::Asking(inquiry) => inquiry.poll(),
            Self::Done(verdict) => return Ask::Verdict(verdict.clone()),
        };
        if let Ask::Verdict(verdict) = &ask {
            *self = Self::Done(verdict.clone());
        }
        ask
    }

    /// Takes the answer, where it is the one that asked. Those before it are done, and only one asks at a time.
    fn answer(&mut self, answer: Answer) -> Option<Answer> {
        match self {
            Self::Asking(inquiry) => {
                inquiry.answer(answer);
                None
            }
            Self::Done(_) => Some(answer),
        }
    }
}

impl Inquiry for Check {
    type Verdict = Report;

    fn poll(&mut self) -> Ask<Report> {
        // DMARC, the last, asks most of all: what it builds upon need not be gathered again for each of its questions.
        if let Some(dmarc @ Running::Asking(_)) = &mut self.dmarc
            && let Ask::Question(question) = dmarc.poll()
        {
            return Ask::Question(question);
        }
        let iprev = match self.iprev.poll() {
            Ask::Question(question) => return Ask::Question(question),
            Ask::Verdict(verdict) => verdict,
        };
        let mut spf = [None, None];
        for (verdict, running) in spf.iter_mut().zip([&mut self.helo, &mut self.mail_from]) {
            match running.as_mut().map(Running::poll) {
                None => {}
                Some(Ask::Question(question)) => return Ask::Question(question),
                Some(Ask::Verdict(found)) => *verdict = Some(found),
            }
        }
        let mut dkim = match self.signatures.poll() {
            Ask::Question(question) => return Ask::Question(question),
            Ask::Verdict(verdicts) => verdicts,
        };
        let arc = self.chain.verdict(&dkim);
        dkim.truncate(self.chain.first());
        let [spf_helo, spf_mail_from] = spf;
        let dmarc = self.dmarc.get_or_insert_with(|| {
            // RFC 9989 §3.2.4: of a null reverse-path it is the HELO name's.
            let identifiers = dmarc::Identifier::of(spf_mail_from.as_ref().or(spf_helo.as_ref()), &dkim);
            Running::Asking(Box::new(dmarc::Evaluation::new(self.author.clone(), identifiers)))
        });
        let dmarc = match dmarc.poll() {
            Ask::Question(question) => return Ask::Question(question),
            Ask::Verdict(verdict) => verdict,
        };
        Ask::Verdict(Report { iprev, spf_helo, spf_mail_from, dkim, arc, dmarc })
    }

    fn answer(&mut self, answer: Answer) {
        let Some(answer) = self.iprev.answer(answer) else { return };
        let mut answer = Some(answer);
        for running in [&mut self.helo, &mut self.mail_from].into_iter().flatten() {
            answer = answer.and_then(|answer| running.answer(answer));
        }
        let answer = answer.and_then(|answer| self.signatures.answer(answer));
        if let (Some(answer), Some(dmarc)) = (answer, &mut self.dmarc) {
            dmarc.answer(answer);
        }
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
        Results::new(id, methods.chain([iprev.property("policy", "iprev", self.iprev.ip.to_string())]))
    }

    /// RFC 8617 §6; nothing where there is no chain.
    fn arc_method(&self) -> Option<Method> {
        let method = Method::new("arc", self.arc.outcome.to_string());
        let method = self.arc.problem.iter().fold(method, |method, problem| method.reason(problem.to_string()));
        (self.arc.outcome != arc::Outcome::None)
            .then(|| method.property("smtp", "remote-ip", self.iprev.ip.to_string()))
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
                    check.answer(zone.answer(&question));
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
    fn u_labels_are_asked_for_as_a_labels() {
        let zone = "xn--bcher-kva.org TXT \"v=spf1 +all\"";
        assert!(report(zone, None, "a@bücher.org").contains("spf=pass smtp.mailfrom=xn--bcher-kva.org;"));
    }
}
