//! ARC (RFC 8617): hosts that pass a message on, and change it, say what they found out before, and seal it.
//!
//! [`verify`] looks at the whole chain and is an [`Inquiry`] after its keys; [`seal`] adds a set to it. Whom to believe is for
//! the reader to say: a chain that passes says only that each of its sealers did write what stands there.
//!
//! [`Verifier`] and [`Sealing`] do the same with a body that comes in pieces.
//!
//! Left out on purpose: signing with more than one key a set, of which RFC 8617 knows nothing.

mod chain;
mod seal;

use std::fmt;

pub use seal::{SealError, Sealing, seal};

pub(in crate::auth) use chain::Chain;

use super::{Results, dkim};
use crate::base::Timestamp;
use crate::dns::{Answer, Ask, Inquiry, Name, Question};
use crate::message::{Header, Message};

/// How many sets a chain may have (RFC 8617 §5.2, step 1).
pub const MAX_SETS: u8 = 50;
/// How many octets the fields of a chain may have together: fifty sets of the usual 3 KB are 150 KB. A seal is of all sets
/// before it, so the work grows with the square of the sets.
pub const MAX_CHAIN: usize = 256 * 1024;
/// How many questions one chain can cause: for the key of the newest signature, and that of each seal. With
/// [`Depth::Oldest`] it is twice as many, less two.
pub const MAX_QUESTIONS: u32 = 1 + MAX_SETS as u32;

/// Which message signatures of a chain are verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Depth {
    /// The newest, which the outcome depends on.
    #[default]
    Newest,
    /// All, for [`Verdict::oldest_pass`]: the host after whose set nothing was changed. Up to fifty verifications more.
    Oldest,
}

/// What came of a chain: its `cv` (RFC 8617 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Outcome {
    /// There is no chain.
    None,
    /// The message is as the last sealer sealed it, and each set as its own did.
    Pass,
    /// Something is wrong with it; it counts as if it were not there, and cannot be mended.
    Fail,
}

/// One of the three fields of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Part {
    /// ARC-Authentication-Results.
    Results,
    /// ARC-Message-Signature.
    Signature,
    /// ARC-Seal.
    Seal,
}

/// Why a chain fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It has more than [`MAX_CHAIN`] octets.
    #[error("a chain of more than {MAX_CHAIN} octets")]
    TooLong,
    /// An instance is above [`MAX_SETS`].
    #[error("more than {MAX_SETS} sets")]
    TooManySets,
    /// A field does not say to which set it belongs.
    #[error("{0} without an instance")]
    NoInstance(Part),
    /// A set has a field twice.
    #[error("set {1} has {0} twice")]
    Twice(Part, u8),
    /// A set lacks a field.
    #[error("set {1} has no {0}")]
    Missing(Part, u8),
    /// The last sealer already found the chain broken.
    #[error("the chain was found broken before")]
    Ended,
    /// `cv=` of a seal is not what a seal at this place must say.
    #[error("set {0} has a wrong cv=")]
    Status(u8),
    /// A signature does not pass.
    #[error("{0} of set {1}: {2}")]
    Signature(Part, u8, dkim::Problem),
}

/// What one host added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set {
    /// `i=`: 1 is the first.
    pub instance: u8,
    /// What the host found out; `None` where that cannot be read.
    pub results: Option<Results>,
    /// `d=` and `s=` of the message signature.
    pub signature: Option<(Name, Name)>,
    /// `d=` and `s=` of the seal: who answers for the set.
    pub seal: Option<(Name, Name)>,
}

/// The outcome, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What came of it.
    pub outcome: Outcome,
    /// Why it fails.
    pub problem: Option<Problem>,
    /// The highest instance that was found; 0 without a chain.
    pub instance: u8,
    /// The sets from the first to the last, where each is whole. They are to be believed only with [`Outcome::Pass`].
    pub sets: Vec<Set>,
    /// The lowest instance of which, and of all above it, the message signature passes; 0 where all do: the message is as
    /// it was then (RFC 8617 §5.2, step 5). `None` where the chain does not pass, or it was not looked for.
    pub oldest_pass: Option<u8>,
}

impl Verdict {
    /// Whether the chain fails only because the DNS did not answer. RFC 8617 §5.2.1 makes that permanent for whoever seals
    /// the message; who has not yet accepted it may ask to have it sent again.
    pub fn is_temporary(&self) -> bool {
        match self.problem {
            Some(Problem::Signature(_, _, problem)) => problem.outcome() == dkim::Outcome::TempError,
            _ => false,
        }
    }
}

/// Verifies the chain of `message`, as of `now`.
///
/// ```
/// use facteur::auth::{Method, Results, arc, dkim};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
///
/// let key = dkim::SigningKey::generate_ed25519()?;
/// let zone: Zone = format!("s1._domainkey.lists.example TXT \"{}\"", key.record()).parse()?;
/// let signer = dkim::Signer::new("lists.example".parse()?, "s1".parse()?, key);
/// let now = Timestamp::from_unix(1_790_000_000);
///
/// let message = Message::parse("From: ada@example.org\r\nSubject: [list] Lunch\r\n\r\nAt noon?\r\n");
/// let before = zone.ask(arc::verify(&message, now, &dkim::Config::default()));
/// let results = Results::new("lists.example", [Method::new("spf", "pass")]);
/// let set = arc::seal(&message, &before, &results, &signer, now)?;
///
/// let sealed = Message::parse([set.as_bytes(), message.raw()].concat());
/// let verdict = zone.ask(arc::verify(&sealed, now, &dkim::Config::default()));
/// assert_eq!(verdict.outcome, arc::Outcome::Pass);
/// assert_eq!(verdict.sets[0].results, Some(results));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(message: &Message, now: Timestamp, config: &dkim::Config) -> Evaluation {
    let mut verifier = Verifier::new(message.header(), now, config);
    if verifier.wants_body() {
        verifier.body(message.root().raw_body());
    }
    verifier.finish()
}

/// Verifies a chain while the body comes in pieces.
///
/// The driver's loop: [`new`](Self::new) when the header is complete, [`body`](Self::body) for each piece of what follows
/// the blank line, [`finish`](Self::finish) for the questions.
#[derive(Clone, Debug)]
pub struct Verifier {
    chain: Chain,
    signatures: dkim::Verifier,
}

impl Verifier {
    /// Reads the chain in `header`. Of `config` the keys count.
    pub fn new(header: Header<'_>, now: Timestamp, config: &dkim::Config) -> Self {
        Self::with(header, now, config, Depth::default())
    }

    /// As [`new`](Self::new), so deep.
    ///
    /// ```
    /// use facteur::auth::arc::{Depth, Verifier};
    /// use facteur::auth::dkim;
    /// use facteur::base::Timestamp;
    /// use facteur::dns::Zone;
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("From: ada@example.org\r\n\r\nAt noon?\r\n");
    /// let now = Timestamp::from_unix(1_790_000_000);
    /// let mut verifier = Verifier::with(message.header(), now, &dkim::Config::default(), Depth::Oldest);
    /// verifier.body(message.root().raw_body());
    /// assert_eq!(Zone::new().ask(verifier.finish()).oldest_pass, None);
    /// ```
    pub fn with(header: Header<'_>, now: Timestamp, config: &dkim::Config, depth: Depth) -> Self {
        let mut signatures = dkim::Verifier::empty(config);
        let chain = Chain::read(header, now, &mut signatures, depth);
        Self { chain, signatures }
    }

    /// Whether the body matters.
    pub fn wants_body(&self) -> bool {
        self.signatures.wants_body()
    }

    /// The next piece of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.signatures.body(octets);
    }

    /// The end of the body.
    pub fn finish(self) -> Evaluation {
        Evaluation { chain: self.chain, signatures: self.signatures.finish() }
    }
}

/// The questions for the keys of a chain, one a key. It asks at most [`MAX_QUESTIONS`] questions.
#[derive(Clone, Debug)]
pub struct Evaluation {
    chain: Chain,
    signatures: dkim::Evaluation,
}

impl Inquiry for Evaluation {
    type Verdict = Verdict;

    fn poll(&mut self) -> Ask<Verdict> {
        match self.signatures.poll() {
            Ask::Question(question) => Ask::Question(question),
            Ask::Verdict(verdicts) => Ask::Verdict(self.chain.verdict(&verdicts)),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        self.signatures.answer(answer);
    }

    fn open(&mut self) -> Vec<Question> {
        self.signatures.open()
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        self.signatures.answer_to(question, answer);
    }
}

/// As header fields write it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        })
    }
}

/// The name of the field.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Results => "ARC-Authentication-Results",
            Self::Signature => "ARC-Message-Signature",
            Self::Seal => "ARC-Seal",
        })
    }
}
