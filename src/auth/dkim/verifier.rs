//! Verifying (RFC 6376 §6): the signatures are read, the body hashed once, and the keys asked for.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::body::{BodyHashes, Wanted, appended_at};
use super::signature::signature_span;
use super::{Algorithm, Canonicalization, Keys, Outcome, Problem, Record, Signature};
use crate::base::Timestamp;
use crate::dns::{Answer, Ask, Data, Inquiry, Name, Question, RecordType};
use crate::message::{Field, Header, Message};

/// How many records of one name are tried: more than one key is allowed while one of them is being replaced.
const MAX_KEYS: usize = 5;

/// How much room is made for the canonical header.
const USUAL_TEXT: usize = 1024;

/// What is signed, as `s=` of keys has it (RFC 6376 §3.6.1, RFC 8460 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// Mail: keys for `email` or for everything.
    #[default]
    Mail,
    /// Messages with TLS reports: keys for `tlsrpt` besides.
    TlsReports,
}

/// How signatures are verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How many signatures are looked at, from the top; those below are as if they were not there. Default 10: real mail
    /// has up to four, and each may cost one question to the DNS and one verification of up to 8192 bits.
    pub signatures: usize,
    /// Keys that were parsed before. Default `None`: each is parsed when it is met.
    pub keys: Option<Arc<Keys>>,
    /// What the messages are. Default mail: a key that is for TLS reports alone signs nothing else.
    pub service: Service,
}

impl Config {
    /// The default of [`signatures`](Self::signatures).
    pub const SIGNATURES: usize = 10;
}

impl Default for Config {
    fn default() -> Self {
        Self { signatures: Self::SIGNATURES, keys: None, service: Service::Mail }
    }
}

/// What came of one signature, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// What came of it.
    pub outcome: Outcome,
    /// Why it does not pass.
    pub problem: Option<Problem>,
    /// The signature; `None` where its field cannot be read.
    pub signature: Option<Arc<Signature>>,
    /// The text of the key record, where one was looked at.
    pub record: Option<Bytes>,
    /// The question for the key, where it was asked.
    pub asked: Option<Question>,
    /// How large the key is, in bits.
    pub bits: Option<usize>,
    /// The key says `t=y`: the signature is to count as if it were not there, whatever came of it (RFC 6376 §3.6.1).
    pub testing: bool,
    /// How many octets of the canonical body stand behind what `l=` says was signed: anyone may have added them.
    pub unsigned: u64,
    /// With [`Problem::BodyAppended`]: after which octet of the body the signed body ends.
    pub appended_at: Option<usize>,
}

/// Verifies the signatures of `message`, as of `now`.
///
/// ```
/// use facteur::auth::dkim::{self, Outcome};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
///
/// let key = dkim::SigningKey::generate_ed25519()?;
/// let zone: Zone = format!("s1._domainkey.example.org TXT \"{}\"", key.record()).parse()?;
/// let now = Timestamp::from_unix(1_790_000_000);
///
/// let message = Message::parse("From: ada@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n");
/// let signer = dkim::Signer::new("example.org".parse()?, "s1".parse()?, key);
/// let signed = Message::parse([dkim::sign(&message, &[signer], now)?.as_bytes(), message.raw()].concat());
///
/// let verdicts = zone.ask(dkim::verify(&signed, now, &dkim::Config::default()));
/// assert_eq!(verdicts[0].outcome, Outcome::Pass);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(message: &Message, now: Timestamp, config: &Config) -> Evaluation {
    let mut verifier = Verifier::new(message.header(), now, config);
    if verifier.wants_body() {
        verifier.body(message.root().raw_body());
    }
    verifier.end(Some(message.root().raw_body()))
}

/// Verifies signatures while the body comes in pieces.
///
/// The driver's loop: [`new`](Self::new) when the header is complete, [`body`](Self::body) for each piece of what follows
/// the blank line, [`finish`](Self::finish) for the questions. Its memory is that of the signed fields, once a signature.
#[derive(Clone, Debug)]
pub struct Verifier {
    candidates: Vec<Candidate>,
    hashes: BodyHashes,
    config: Config,
}

#[derive(Clone, Debug)]
struct Candidate {
    verdict: Verdict,
    /// The canonical header, the signature's own field last.
    text: Vec<u8>,
    /// The name of its key, as long as that is to be asked for.
    key: Option<Name>,
}

impl Verifier {
    /// Reads the signatures in `header`.
    pub fn new(header: Header<'_>, now: Timestamp, config: &Config) -> Self {
        let fields = Fields::of(header);
        let signatures = header.fields().filter(|field| field.is("DKIM-Signature")).take(config.signatures);
        let mut verifier = Self { candidates: Vec::new(), hashes: BodyHashes::default(), config: config.clone() };
        for field in signatures {
            let parsed = Signature::parse(field.value());
            verifier.push(parsed, now, |signature| signed(&fields, field, signature));
        }
        verifier
    }

    /// One that looks for no signatures: they are pushed.
    pub(in crate::auth) fn empty(config: &Config) -> Self {
        Self { candidates: Vec::new(), hashes: BodyHashes::default(), config: config.clone() }
    }

    /// How many signatures are verified.
    pub(in crate::auth) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// One more signature, of what `text` says.
    pub(in crate::auth) fn push(
        &mut self,
        parsed: Result<Signature, Problem>,
        now: Timestamp,
        text: impl FnOnce(&Signature) -> Result<Vec<u8>, Problem>,
    ) {
        let candidate = Candidate::new(parsed, now, text);
        if let (Some(_), Some(signature)) = (&candidate.key, &candidate.verdict.signature)
            && !signature.body_hash.is_empty()
        {
            self.hashes.want(Wanted::of(signature));
        }
        self.candidates.push(candidate);
    }

    /// Whether the body matters: a signature stands that is of it.
    pub fn wants_body(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.key.is_some())
    }

    /// The next piece of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.hashes.feed(octets);
    }

    /// The end of the body.
    pub fn finish(self) -> Evaluation {
        self.end(None)
    }

    /// The end; with the body at hand, why it has changed is looked for.
    pub(in crate::auth) fn end(mut self, body: Option<&[u8]>) -> Evaluation {
        let finished = std::mem::take(&mut self.hashes).finish();
        for candidate in &mut self.candidates {
            let (Some(_), Some(signature)) = (&candidate.key, &candidate.verdict.signature) else { continue };
            // The seal of an ARC set has no hash of the body.
            let Some(hashed) = finished.get(Wanted::of(signature)).filter(|_| !signature.body_hash.is_empty()) else {
                continue;
            };
            let problem = if signature.length.is_some_and(|length| length > hashed.length) {
                Some(Problem::BodyTooShort)
            } else if signature.body_hash != hashed.hash {
                candidate.verdict.appended_at =
                    body.and_then(|body| appended_at(body, signature.body, &signature.body_hash));
                Some(candidate.verdict.appended_at.map_or(Problem::BodyChanged, |_| Problem::BodyAppended))
            } else {
                None
            };
            candidate.verdict.unsigned = signature.length.map_or(0, |length| hashed.length.saturating_sub(length));
            if let Some(problem) = problem {
                candidate.settle(Err(problem));
            }
        }
        Evaluation { candidates: self.candidates, config: self.config }
    }
}

impl Wanted {
    fn of(signature: &Signature) -> Self {
        Self { canonicalization: signature.body, length: signature.length }
    }
}

impl Candidate {
    fn new(
        parsed: Result<Signature, Problem>,
        now: Timestamp,
        text: impl FnOnce(&Signature) -> Result<Vec<u8>, Problem>,
    ) -> Self {
        let mut candidate = Self {
            verdict: Verdict {
                outcome: Outcome::PermError,
                problem: None,
                signature: None,
                record: None,
                asked: None,
                bits: None,
                testing: false,
                unsigned: 0,
                appended_at: None,
            },
            text: Vec::new(),
            key: None,
        };
        let signature = match parsed {
            Ok(signature) => signature,
            Err(problem) => {
                candidate.settle(Err(problem));
                return candidate;
            }
        };
        let problem = match signature.key_name() {
            // RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
            _ if signature.algorithm == Algorithm::RsaSha1 => Some(Problem::Sha1),
            // RFC 6376 §3.5, "x=": "Signatures MAY be considered invalid if the verification time [...] is past".
            _ if signature.expires.is_some_and(|expires| expires < now.unix().try_into().unwrap_or(0)) => {
                Some(Problem::Expired)
            }
            None => Some(Problem::BadTag("s")),
            Some(name) => match text(&signature) {
                Ok(text) => {
                    (candidate.text, candidate.key) = (text, Some(name));
                    None
                }
                Err(problem) => Some(problem),
            },
        };
        candidate.verdict.signature = Some(Arc::new(signature));
        if let Some(problem) = problem {
            candidate.settle(Err(problem));
        }
        candidate
    }

    fn settle(&mut self, result: Result<(), Problem>) {
        self.key = None;
        self.text = Vec::new();
        self.verdict.problem = result.err();
        self.verdict.outcome = self.verdict.problem.map_or(Outcome::Pass, Problem::outcome);
    }

    /// Tries the keys in turn: any may be the one.
    fn try_keys(&mut self, answer: &Answer, config: &Config) {
        let Some(signature) = &self.verdict.signature else { return };
        self.verdict.asked = self.key.take().map(|name| Question::new(name, RecordType::Txt));
        let records = match &answer.found {
            Ok(records) => records,
            Err(failure) => {
                let problem = if failure.is_temporary() { Problem::Dns(*failure) } else { Problem::NoKey };
                return self.settle(Err(problem));
            }
        };
        let mut result = Err(Problem::NoKey);
        let texts = records.iter().filter_map(|data| match data {
            Data::Txt(text) => Some(text),
            _ => None,
        });
        for text in texts.take(MAX_KEYS) {
            let record = match &config.keys {
                Some(keys) => keys.record(text),
                None => Record::of_any_service(text).map(Arc::new),
            };
            let tried = record.and_then(|record| {
                record.serves(config.service)?;
                record.fits(signature.algorithm)?;
                self.verdict.bits = Some(record.bits());
                self.verdict.testing = record.testing;
                // RFC 6376 §3.6.1, "t=s": the domain of i= "MUST NOT be a subdomain of 'd='".
                let host = signature.identity.rsplit_once('@').map(|(_, host)| host);
                if record.strict && host != Some(signature.domain.as_str()) {
                    return Err(Problem::IdentityOutside);
                }
                if record.verify(&self.text, &signature.value) { Ok(()) } else { Err(Problem::HeaderChanged) }
            });
            // Of several failures the last one of a key that fits says most.
            if result != Err(Problem::HeaderChanged) || tried.is_ok() {
                self.verdict.record = Some(text.clone());
                result = tried;
            }
            if result.is_ok() {
                break;
            }
        }
        self.settle(result);
    }
}

/// What a signature of fields and body is of: the fields, and its own last.
pub(in crate::auth) fn signed(
    fields: &Fields<'_>,
    field: Field<'_>,
    signature: &Signature,
) -> Result<Vec<u8>, Problem> {
    // RFC 6376 §8.15: a second From field is shown to readers and was never signed.
    if fields.count("from") > signature.fields().filter(|name| *name == "from").count() {
        return Err(Problem::FromAdded);
    }
    let mut text = fields.signed(signature.fields(), signature.header);
    append_unsigned(field.raw(), signature.header, &mut text);
    Ok(text)
}

/// The fields of a header by name, so that thousands of them are found quickly.
pub(in crate::auth) struct Fields<'a> {
    /// By name, then from top to bottom.
    sorted: Vec<(FieldName<'a>, Field<'a>)>,
}

/// A name in the case in which it came, with a number that tells most names apart and is the same for all cases of letters.
#[derive(Clone, Copy)]
struct FieldName<'a>(u32, &'a [u8]);

impl<'a> FieldName<'a> {
    fn of(name: &'a [u8]) -> Self {
        let number = name.iter().fold(0, |number, octet| (number ^ u32::from(octet | 0x20)).wrapping_mul(0x0100_0193));
        Self(number, name)
    }

    /// The same for all cases of letters.
    fn order(self, other: Self) -> Ordering {
        let lower = u8::to_ascii_lowercase;
        self.0.cmp(&other.0).then_with(|| match self.1.eq_ignore_ascii_case(other.1) {
            true => Ordering::Equal, // as nearly always where the numbers are equal
            false => self.1.iter().map(lower).cmp(other.1.iter().map(lower)),
        })
    }
}

impl<'a> Fields<'a> {
    pub(in crate::auth) fn of(header: Header<'a>) -> Self {
        let mut sorted: Vec<_> = header.fields().map(|field| (FieldName::of(field.name_octets()), field)).collect();
        // A stable sort keeps the order of equal names.
        sorted.sort_by(|(one, _), (other, _)| one.order(*other));
        Self { sorted }
    }

    /// Where those of this name stand, from top to bottom.
    fn named(&self, name: &str) -> Range<usize> {
        let wanted = FieldName::of(name.as_bytes());
        let start = self.sorted.partition_point(|(known, _)| known.order(wanted).is_lt());
        let rest = self.sorted.get(start..).unwrap_or_default();
        let is_wanted = |(known, _): &(FieldName<'_>, Field<'_>)| known.order(wanted).is_eq();
        // Most names stand once or not at all.
        let count = match rest {
            [first, second, ..] if is_wanted(first) && is_wanted(second) => rest.partition_point(is_wanted),
            _ => usize::from(rest.first().is_some_and(is_wanted)),
        };
        start..start + count
    }

    pub(in crate::auth) fn count(&self, name: &str) -> usize {
        self.named(name).len()
    }

    /// The fields that these names are signatures of. RFC 6376 §5.4.2: of several with a name the last is taken first, and a
    /// name for which none is left stands for nothing.
    pub(in crate::auth) fn signed<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        canonicalization: Canonicalization,
    ) -> Vec<u8> {
        let mut text = Vec::with_capacity(USUAL_TEXT);
        // How many of a name are taken, where its first stands.
        let mut taken = vec![0; self.sorted.len()];
        for name in names {
            let span = self.named(name);
            let Some(taken) = taken.get_mut(span.start) else { continue };
            let left = span.len().saturating_sub(*taken);
            if let Some((_, field)) = left.checked_sub(1).and_then(|last| self.sorted.get(span.start + last)) {
                canonicalization.field(field.raw(), &mut text);
                *taken += 1;
            }
        }
        text
    }
}

/// Appends a signature's own field as it was when it was signed: without the value of `b=` and without its line end
/// (RFC 6376 §3.7).
pub(in crate::auth) fn append_unsigned(raw: &[u8], canonicalization: Canonicalization, text: &mut Vec<u8>) {
    let raw = raw.strip_suffix(b"\n").map_or(raw, |raw| raw.strip_suffix(b"\r").unwrap_or(raw));
    let span = signature_span(raw).unwrap_or(raw.len()..raw.len());
    let start = text.len();
    canonicalization.field(raw.get(..span.start).unwrap_or_default(), text);
    canonicalization.rest(raw.get(span.end..).unwrap_or_default(), text);
    // Relaxed: white space at the end of the value does not count; the line end that would say so is not there.
    if canonicalization == Canonicalization::Relaxed {
        while text.len() > start && text.last().is_some_and(u8::is_ascii_whitespace) {
            text.pop();
        }
    }
}

/// The questions for the keys of a message, one a key. It asks at most [`Config::signatures`] questions; its verdict has one
/// for each signature, in their order from the top.
#[derive(Clone, Debug)]
pub struct Evaluation {
    candidates: Vec<Candidate>,
    config: Config,
}

impl Inquiry for Evaluation {
    type Verdict = Vec<Verdict>;

    fn poll(&mut self) -> Ask<Vec<Verdict>> {
        match self.candidates.iter().find_map(|candidate| candidate.key.clone()) {
            Some(name) => Ask::Question(Question::new(name, RecordType::Txt)),
            None => Ask::Verdict(self.candidates.iter().map(|candidate| candidate.verdict.clone()).collect()),
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Ask::Question(question) = self.poll() {
            self.answer_to(&question, answer);
        }
    }

    fn open(&mut self) -> Vec<Question> {
        let mut names: Vec<&Name> = Vec::new();
        for name in self.candidates.iter().filter_map(|candidate| candidate.key.as_ref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.into_iter().map(|name| Question::new(name.clone(), RecordType::Txt)).collect()
    }

    fn answer_to(&mut self, question: &Question, answer: &Answer) {
        let asks = |candidate: &&mut Candidate| candidate.key.as_ref() == Some(&question.name);
        if question.kind == RecordType::Txt {
            for candidate in self.candidates.iter_mut().filter(asks) {
                candidate.try_keys(answer, &self.config);
            }
        }
    }
}
