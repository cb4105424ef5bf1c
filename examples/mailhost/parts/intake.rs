//! A message on its way into the queue: fields that bear our name without right are removed, and what can be found out about it
//! is written above it, or is why it is not taken.

use std::borrow::Cow;

use facteur::auth::results::foreign;
use facteur::auth::{self, Arriving, Method, Report, Results, dkim, dmarc, iprev, spf};
use facteur::base::Timestamp;
use facteur::message::Message;
use facteur::message::edit::HeaderEdit;
use facteur::smtp::{Enhanced, Reply};

use super::auth::{Guard, Obedience, OnFail, Quarantine, Settings, Temporary};

/// A message of a stranger with a longer header is not taken.
const MAX_HEAD: usize = 256 * 1024;
/// So much of one of others is looked at for its fields.
pub const GLANCE: usize = 16 * 1024;
/// What local delivery goes by. It counts among the fields of this host only.
pub const JUNK: &str = "X-Spam-Flag: YES";
/// The longest explanation of a stranger that is passed on, in octets.
const EXPLANATION: usize = 200;

/// A message on its way into the queue.
pub struct Intake {
    /// `None` where the client may send what it likes.
    session: Option<auth::Session>,
    now: Timestamp,
    host: String,
    /// The header, or the start of what is not looked into.
    head: Vec<u8>,
    /// The check, once the header is there, where the config wants one.
    arriving: Option<Arriving>,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Head,
    Body,
    TooLong,
}

/// What is to become of a message.
pub struct Decision {
    /// The fields to be written above it.
    pub trace: Vec<String>,
    /// Why it is not taken.
    pub refusal: Option<Reply>,
    /// For the log.
    pub said: String,
}

impl Intake {
    /// For a message that comes by the `session` of a stranger, or from somebody else.
    pub fn new(session: Option<auth::Session>, host: &str, now: Timestamp) -> Self {
        let stage = if session.is_some() { Stage::Head } else { Stage::Body };
        Self { session, now, host: host.to_owned(), head: Vec::new(), arriving: None, stage }
    }

    /// The next octets as they came; what of the message goes on.
    pub fn feed<'a>(&mut self, octets: &'a [u8], guard: &Guard) -> Cow<'a, [u8]> {
        match self.stage {
            Stage::Body => {
                match &mut self.arriving {
                    Some(arriving) => arriving.body(octets),
                    None => {
                        let room = GLANCE.saturating_sub(self.head.len());
                        self.head.extend_from_slice(octets.get(..room).unwrap_or(octets));
                    }
                }
                Cow::Borrowed(octets)
            }
            Stage::TooLong => Cow::Borrowed(&[]),
            Stage::Head => {
                let seen = self.head.len().saturating_sub(3);
                self.head.extend_from_slice(octets);
                if ends_within(&self.head, seen) {
                    return Cow::Owned(self.begin(guard));
                }
                if self.head.len() > MAX_HEAD {
                    (self.stage, self.head) = (Stage::TooLong, Vec::new());
                }
                Cow::Borrowed(&[])
            }
        }
    }

    /// The end of the message; what of it goes on, where it is a header alone.
    pub fn end(&mut self, guard: &Guard) -> Vec<u8> {
        if self.stage == Stage::Head { self.begin(guard) } else { Vec::new() }
    }

    /// The header is there, and the start of the body perhaps: what goes on of it.
    fn begin(&mut self, guard: &Guard) -> Vec<u8> {
        self.stage = Stage::Body;
        let message = Message::parse(std::mem::take(&mut self.head));
        // For the log.
        self.head = message.header().get("Message-ID").map(|field| field.raw().to_vec()).unwrap_or_default();
        if let (Some(session), Some(config)) = (&self.session, &guard.config) {
            let mut arriving = Arriving::new(session, &message, self.now, config);
            arriving.body(message.root().raw_body());
            self.arriving = Some(arriving);
        }
        // RFC 8601 §5: what bears our name came from outside, and is not ours.
        let mut edit = HeaderEdit::new(&message);
        edit.retain(|field| !foreign(field, &self.host));
        let edited = edit.finish();
        let edited = edited.raw();
        let (header, body) = edited.split_at(edited.len() - message.root().raw_body().len()); // the body is not edited
        // Where a line that is no field ends the header, some readers read on, and see fields that nobody has checked. A
        // blank line in front of it is what all of them go by, and is what MTAs put there of old.
        let blank: &[u8] = if body.is_empty() || ends_blank(header) { b"" } else { b"\r\n" };
        [header, blank, body].concat()
    }

    /// The start of a message that is not of a stranger; of those its Message-ID alone.
    pub fn glance(&self) -> Message {
        Message::parse(self.head.clone())
    }

    /// What is found out, and what it comes to.
    pub async fn decide(self, guard: &Guard, settings: &Settings) -> Decision {
        let refused = |reply, said: &str| Decision { trace: Vec::new(), refusal: Some(reply), said: said.to_owned() };
        let Some(session) = self.session else {
            return Decision { trace: Vec::new(), refusal: None, said: String::new() };
        };
        if self.stage == Stage::TooLong {
            return refused(Reply::new(552, Enhanced(5, 3, 4), "the header is too long"), "header too long");
        }
        let Some(arriving) = self.arriving else {
            return Decision { trace: Vec::new(), refusal: None, said: String::new() };
        };
        let Some(report) = guard.ask(arriving.finish()).await else {
            if settings.temporary == Temporary::Defer {
                let text = "sender and signatures cannot be checked for now, try again later";
                return refused(Reply::new(451, Enhanced(4, 7, 0), text), "no answer in time");
            }
            let unknown =
                ["spf", "dkim", "dmarc"].map(|name| Method::new(name, "temperror").reason("no answer in time"));
            let trace = vec![Results::new(self.host, unknown).to_string()];
            return Decision { trace, refusal: None, said: "no answer in time".to_owned() };
        };
        let said = said(&report);
        if let Some(reply) = refusal(&report, settings, &session) {
            return refused(reply, &said);
        }
        let mut trace = vec![report.header(&self.host).to_string()];
        if let Some(verdict) = report.spf_mail_from.as_ref().or(report.spf_helo.as_ref()) {
            trace.push(session.received_spf(verdict, &self.host).to_string());
        }
        if is_junk(&report, settings) {
            trace.push(JUNK.to_owned());
        }
        Decision { trace, refusal: None, said }
    }
}

/// Whether the blank line behind a header is in `head`, from octet `from` on.
fn ends_within(head: &[u8], from: usize) -> bool {
    let rest = head.get(from..).unwrap_or_default();
    let blank = |end: usize| matches!(rest.get(end + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..]));
    head.starts_with(b"\r\n") || head.starts_with(b"\n") || memchr::memchr_iter(b'\n', rest).any(blank)
}

/// Whether a header has its blank line.
fn ends_blank(header: &[u8]) -> bool {
    let blank = header.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    blank.is_some_and(|rest| rest.is_empty() || rest.ends_with(b"\n"))
}

/// One line of all outcomes.
fn said(report: &Report) -> String {
    let spf = |verdict: &Option<spf::Verdict>| {
        verdict.as_ref().map_or_else(|| "-".to_owned(), |verdict| verdict.outcome.to_string())
    };
    let dkim: Vec<String> = report.dkim.iter().map(|verdict| verdict.outcome.to_string()).collect();
    let score = report.dnsbl.as_ref().map_or(0, |lists| lists.score);
    format!(
        "spf={}, helo={}, dkim={}, arc={}, dmarc={} ({}), iprev={}, lists={score}",
        spf(&report.spf_mail_from),
        spf(&report.spf_helo),
        if dkim.is_empty() { "none".to_owned() } else { dkim.join("+") },
        report.arc.outcome,
        report.dmarc.outcome,
        report.dmarc.disposition,
        report.iprev.outcome,
    )
}

/// Why the message is not taken, with the codes of RFC 7372.
fn refusal(report: &Report, settings: &Settings, session: &auth::Session) -> Option<Reply> {
    let author = report.dmarc.author.as_ref().map(ToString::to_string).unwrap_or_default();
    // RFC 9989 §5.3.1 leaves it open what to do with them; but readers show one of the two, and a domain that wants its mail
    // kept apart from others' must not be evaded by a second field. RFC 5322 §3.6 allows one.
    if report.dmarc.problem == Some(dmarc::Problem::SeveralFrom) && settings.dmarc == Obedience::Obey {
        return Some(Reply::new(550, Enhanced(5, 7, 1), "there is more than one From field (RFC 5322)"));
    }
    // RFC 7208 §2.4: of a null reverse-path it is the HELO name's.
    let spf = report.spf_mail_from.as_ref().or(report.spf_helo.as_ref());
    let spf_outcome = spf.map_or(spf::Outcome::None, |verdict| verdict.outcome);
    let rejected = report.dmarc.outcome == dmarc::Outcome::Fail && report.dmarc.disposition == dmarc::Policy::Reject;
    if rejected && settings.dmarc == Obedience::Obey {
        let signed = report.dkim.iter().any(|verdict| verdict.outcome == dkim::Outcome::Pass);
        // "failed more than one message authentication check"; else they passed, for another domain than the author's.
        let detail = if signed || spf_outcome == spf::Outcome::Pass { 1 } else { 26 };
        let text =
            format!("neither SPF nor DKIM says that this is mail of {author}, which wants such mail refused (DMARC)");
        return Some(Reply::new(550, Enhanced(5, 7, detail), text));
    }
    // What the author's domain signed may come by a host that its SPF record does not know: forwarded mail does.
    let proved = report.dmarc.outcome == dmarc::Outcome::Pass;
    if let (spf::Outcome::Fail, OnFail::Refuse, false, Some(verdict)) = (spf_outcome, settings.spf_fail, proved, spf) {
        let mut text = format!("{} does not let {} send its mail (SPF)", verdict.domain, session.peer);
        if let Some(explanation) = verdict.explanation.as_ref().filter(|text| text.len() <= EXPLANATION) {
            // RFC 7208 §6.2: it is to be clear whose words these are.
            text.push_str(&format!("; {} explained: {explanation}", verdict.domain));
        }
        return Some(Reply::new(550, Enhanced(5, 7, 23), text));
    }
    if report.iprev.outcome == iprev::Outcome::Fail && settings.iprev_fail == OnFail::Refuse {
        let text = format!("the name of {} does not lead back to it", session.peer);
        return Some(Reply::new(550, Enhanced(5, 7, 25), text));
    }
    if settings.temporary == Temporary::Defer {
        if spf_outcome == spf::Outcome::TempError {
            return Some(Reply::new(451, Enhanced(4, 7, 24), "SPF cannot be checked for now, try again later"));
        }
        if report.dmarc.outcome == dmarc::Outcome::TempError {
            return Some(Reply::new(451, Enhanced(4, 7, 1), "DMARC cannot be checked for now, try again later"));
        }
    }
    None
}

/// Whether it goes to the folder Junk.
fn is_junk(report: &Report, settings: &Settings) -> bool {
    let quarantined = report.dmarc.outcome == dmarc::Outcome::Fail && report.dmarc.disposition != dmarc::Policy::None;
    let score = report.dnsbl.as_ref().map_or(0, |lists| lists.score);
    let listed = settings.lists_junk_at.is_some_and(|at| score >= at);
    settings.quarantine == Quarantine::Junk && (listed || quarantined && settings.dmarc == Obedience::Obey)
}
