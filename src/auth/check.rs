//! All checks of one message at the same time: whose questions are asked, whom the answers go to, and when it is at its end.

use std::time::{Duration, Instant};

use super::{Arriving, Config, Report, Session, arc, bimi, dkim, dmarc, dnsbl, iprev, spf};
use crate::base::Timestamp;
use crate::dns::{Answer, Ask, Failure, Inquiry, Name, Question, Within};
use crate::message::Message;

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
    pub(super) iprev: Running<iprev::Evaluation>,
    pub(super) helo: Option<Running<spf::Evaluation>>,
    pub(super) mail_from: Option<Running<spf::Evaluation>>,
    /// The DKIM signatures and those of the ARC chain: one pass over the body, and one question a key.
    pub(super) signatures: Running<dkim::Evaluation>,
    pub(super) chain: arc::Chain,
    pub(super) author: Result<Name, dmarc::Problem>,
    pub(super) lists: Option<Running<Within<dnsbl::Evaluation>>>,
    /// Begins when all that it builds upon is done.
    pub(super) dmarc: Option<Running<dmarc::Evaluation>>,
    /// The message, where BIMI is wanted.
    pub(super) pictured: Option<Message>,
    pub(super) bimi: Option<Running<bimi::Evaluation>>,
    pub(super) patience: Duration,
    /// When there are no more answers.
    pub(super) until: Option<Instant>,
}

/// A check, and its verdict once there is one.
#[derive(Clone, Debug)]
pub(super) enum Running<I: Inquiry> {
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
    pub(super) fn new(inquiry: I) -> Self {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::Results;
    use crate::dns::Zone;
    use crate::smtp::ReversePath;

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
    fn patience_may_have_no_end() {
        let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Null);
        let mut lists = dnsbl::Lists::new([]);
        lists.patience = Duration::MAX;
        let config = Config { patience: Duration::MAX, lists: Some(Arc::new(lists)), ..Config::default() };
        let mut check = Check::with(&session, &Message::parse("\r\n"), Timestamp::from_unix(0), &config);
        check.tick(Instant::now());
        assert!(matches!(check.poll(), Ask::Question(_)) && check.deadline().is_none());
    }
}
