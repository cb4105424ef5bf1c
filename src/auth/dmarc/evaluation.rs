//! The evaluation: which questions are asked, and what follows from the answers (RFC 9989 §4.10).

use super::tree::{Step, Tree, WALK};
use super::{Identifier, Mechanism, Outcome, Policy, Problem, Verdict};
use crate::dns::{Answer, Ask, Failure, Inquiry, Name, Question, RecordType};

/// How many domains of SPF and DKIM are looked at: one of SPF, and as many as signatures are verified.
pub const MAX_IDENTIFIERS: usize = 11;
/// How many questions one evaluation can ask: a walk from the author domain, whether that exists, and a walk from each
/// identifier, the last step of which the first walk took already.
pub const MAX_QUESTIONS: u32 = WALK + 1 + MAX_IDENTIFIERS as u32 * (WALK - 1);

/// The evaluation for one message. It asks at most [`MAX_QUESTIONS`] questions, each once.
///
/// ```
/// use facteur::auth::dmarc::{Evaluation, Identifier, Mechanism, Outcome, Policy};
/// use facteur::dns::Zone;
///
/// let zone: Zone = "_dmarc.example.org TXT \"v=DMARC1; p=reject\"".parse()?;
/// let ask = |domain: &str| {
///     let proved = Identifier::new(Mechanism::Dkim, domain.parse()?);
///     Ok::<_, facteur::base::ParseError>(zone.ask(Evaluation::new(Ok("mail.example.org".parse()?), vec![proved])))
/// };
/// assert_eq!(ask("news.example.org")?.outcome, Outcome::Pass);
/// let verdict = ask("example.net")?;
/// assert_eq!((verdict.outcome, verdict.disposition), (Outcome::Fail, Policy::Reject));
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    author: Result<Name, Problem>,
    identifiers: Vec<Identifier>,
    tree: Tree,
    exists: Option<bool>,
    asked: Vec<Question>,
    /// What was asked last and not answered.
    open: Option<(Name, Question)>,
}

impl Evaluation {
    /// The evaluation for a message of [`author`](super::author) with these identifiers.
    pub fn new(author: Result<Name, Problem>, mut identifiers: Vec<Identifier>) -> Self {
        // What is proved first; what asks nothing before what asks.
        if let Ok(author) = &author {
            identifiers.sort_by_key(|one| (one.unproved, one.domain != *author));
        }
        identifiers.truncate(MAX_IDENTIFIERS);
        Self { author, identifiers, tree: Tree::default(), exists: None, asked: Vec::new(), open: None }
    }

    /// All that follows from what is known; or the next question.
    fn decide(&self) -> Step<Verdict> {
        let mut verdict = Verdict {
            outcome: Outcome::PermError,
            problem: None,
            author: None,
            policy_domain: None,
            record: None,
            organization: None,
            policy: Policy::None,
            disposition: Policy::None,
            aligned: Vec::new(),
            asked: self.asked.clone(),
        };
        let author = match &self.author {
            Ok(author) => author,
            Err(problem) => {
                verdict.problem = Some(*problem);
                return Ok(verdict);
            }
        };
        verdict.author = Some(author.clone());
        let fault = |mut verdict: Verdict, failure| {
            (verdict.outcome, verdict.problem) = (Outcome::TempError, Some(Problem::Dns(failure)));
            Ok(verdict)
        };

        // Policy discovery (RFC 9989 §4.10.1): the author domain, its organization, its public suffix.
        let (domain, record) = match &self.tree.record(author)?.record {
            Err(failure) => return fault(verdict, *failure),
            Ok(Some(record)) => (author.clone(), record),
            Ok(None) => {
                let found = match self.tree.walk(author)? {
                    Ok(found) => found,
                    Err(failure) => return fault(verdict, failure),
                };
                let organization = Tree::organization(author, &found);
                let of = |wanted: &Name| found.iter().find(|(name, _)| name == wanted).cloned();
                let suffix = || found.iter().find(|(_, record)| record.suffix == Some(true)).cloned();
                verdict.organization = Some(organization.clone());
                match of(&organization).or_else(suffix) {
                    Some(found) => found,
                    None => {
                        (verdict.outcome, verdict.problem) = (Outcome::None, Some(Problem::NoRecord));
                        return Ok(verdict);
                    }
                }
            }
        };
        verdict.record = Some(record.clone());
        let Some(policy) = record.policy else {
            // "the Mail Receiver applies no DMARC processing to this message"
            verdict.policy_domain = Some(domain);
            verdict.problem = Some(Problem::NoPolicy);
            return Ok(verdict);
        };
        let subdomains = record.subdomains.unwrap_or(policy);
        verdict.policy = match record.nonexistent {
            _ if domain == *author => policy,
            Some(nonexistent) if !self.exists(author)? => nonexistent,
            _ => subdomains,
        };
        verdict.policy_domain = Some(domain);

        // Alignment (RFC 9989 §4.10.2).
        let mut failure = None;
        for identifier in &self.identifiers {
            let strict = match identifier.mechanism {
                Mechanism::Spf => record.strict_spf,
                Mechanism::Dkim => record.strict_dkim,
            };
            let settled = verdict.aligned.iter().any(|one| one.mechanism == identifier.mechanism);
            if settled || (identifier.unproved && !verdict.aligned.is_empty()) {
                continue;
            }
            let aligned = if identifier.domain == *author {
                Ok(true)
            } else if strict {
                Ok(false)
            } else {
                self.same_organization(author, &identifier.domain, &mut verdict.organization)?
            };
            match aligned {
                Ok(true) => verdict.aligned.push(identifier.clone()),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        }
        (verdict.outcome, verdict.problem) = match (verdict.aligned.first(), failure) {
            (Some(identifier), _) if !identifier.unproved => (Outcome::Pass, None),
            // RFC 9989 §5.3.6: "the message cannot be considered to pass or fail".
            (Some(_), _) => (Outcome::TempError, Some(Problem::Unproved)),
            (None, Some(failure)) => (Outcome::TempError, Some(Problem::Dns(failure))),
            (None, None) => (Outcome::Fail, None),
        };
        if verdict.outcome == Outcome::Fail {
            verdict.disposition = if record.testing { verdict.policy.lower() } else { verdict.policy };
        }
        verdict.aligned.retain(|identifier| !identifier.unproved);
        Ok(verdict)
    }

    /// Whether a domain is of the author's organization.
    fn same_organization(
        &self,
        author: &Name,
        domain: &Name,
        organization: &mut Option<Name>,
    ) -> Step<Result<bool, Failure>> {
        let own = match organization {
            Some(own) => own.clone(),
            None => match self.tree.organization_of(author)? {
                Ok(own) => organization.insert(own).clone(),
                Err(failure) => return Ok(Err(failure)),
            },
        };
        self.tree.belongs(&own, domain)
    }

    /// Whether the author domain exists (RFC 9989 §3.2.13): one below which something is does (RFC 8020).
    fn exists(&self, author: &Name) -> Step<bool> {
        if !self.tree.record(author)?.no_name {
            return Ok(true);
        }
        self.exists.ok_or_else(|| (author.clone(), Question::new(author.clone(), RecordType::A)))
    }
}

impl Inquiry for Evaluation {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        match self.decide() {
            Ok(verdict) => Ask::Verdict(verdict),
            Err((domain, question)) => {
                self.open = Some((domain, question.clone()));
                Ask::Question(question)
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let Some((domain, question)) = self.open.take() else { return };
        match question.kind {
            RecordType::Txt => self.tree.learn(domain, answer),
            // Where the DNS says nothing, the domain is given the better of two policies.
            _ => self.exists = Some(answer.found != Err(Failure::NxDomain)),
        }
        self.asked.push(question);
    }
}
