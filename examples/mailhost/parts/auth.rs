//! Is mail what it says it is? What the config says of it, who is asked, and the keys that outgoing mail is signed with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use facteur::auth::dkim::{self, Keys, Signer, SigningKey};
use facteur::auth::dnsbl::{self, List, Lists};
use facteur::auth::{self, Results, arc, dmarc};
use facteur::base::Timestamp;
use facteur::dns::{Inquiry, Zone};
use facteur::message::Message;
use facteur::message::convert::{Converted, Transport};
use facteur::net::Resolver;
use facteur::smtp::MailParams;
use serde::Deserialize;

/// How many keys of others are kept, parsed.
const KEYS: usize = 1000;

/// The section `[auth]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub check: bool,
    pub zone: Option<PathBuf>,
    pub deadline: u64,
    pub temporary: Temporary,
    pub spf_fail: OnFail,
    pub iprev_fail: OnFail,
    pub dmarc: Obedience,
    pub quarantine: Quarantine,
    pub lists: Vec<String>,
    pub lists_refuse_at: Option<i32>,
    pub lists_junk_at: Option<i32>,
    pub sign: Vec<Key>,
    pub seal: Option<Key>,
}

/// What becomes of a message where the DNS does not answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Temporary {
    Pass,
    Defer,
}

/// What becomes of a message that fails a check.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    Mark,
    Refuse,
}

/// Whether the domain in the From field gets what it asks for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Obedience {
    Mark,
    Obey,
}

/// What becomes of mail that is to be kept apart.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Quarantine {
    Junk,
    Mark,
}

/// A key that signs for a domain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub domain: String,
    pub selector: String,
    /// PEM.
    pub key: PathBuf,
}

impl Settings {
    /// Whether the DNS is asked.
    pub fn asks(&self) -> bool {
        self.zone.is_none() && (self.check || self.seal.is_some())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            check: false,
            zone: None,
            deadline: 20,
            temporary: Temporary::Pass,
            spf_fail: OnFail::Mark,
            iprev_fail: OnFail::Mark,
            dmarc: Obedience::Obey,
            quarantine: Quarantine::Junk,
            lists: Vec::new(),
            lists_refuse_at: None,
            lists_junk_at: None,
            sign: Vec::new(),
            seal: None,
        }
    }
}

/// Who checks what comes in, and signs what goes out.
pub struct Guard {
    /// What is looked at; `None` where nothing is checked.
    pub config: Option<auth::Config>,
    dns: Option<Dns>,
    deadline: Duration,
    signers: Vec<Signer>,
    sealer: Option<Signer>,
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a user, from a trusted network, or from this host itself.
    Here,
    /// From a stranger, checked or not.
    Elsewhere,
}

enum Dns {
    Zone(Zone),
    Resolver(Resolver),
}

impl Guard {
    /// Reads the zone file and the keys; paths that are relative start in the data folder.
    pub fn new(settings: &Settings, data: &Path, resolver: Option<&Resolver>) -> Result<Self, String> {
        let dns = match &settings.zone {
            Some(file) => {
                let file = data.join(file);
                let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                Some(Dns::Zone(text.parse().map_err(|error| format!("{}: {error}", file.display()))?))
            }
            None => resolver.cloned().map(Dns::Resolver),
        };
        let deadline = Duration::from_secs(settings.deadline);
        let mut config = auth::Config::default();
        config.patience = deadline;
        config.dkim.keys = Some(Arc::new(Keys::new(KEYS)));
        if !settings.lists.is_empty() {
            let lists: Result<Vec<List>, _> = settings
                .lists
                .iter()
                .map(|list| list.parse().map_err(|error| format!("auth.lists: {list}: {error}")))
                .collect();
            config.lists = Some(Arc::new(Lists::new(lists?)));
        }
        let signer = |key: &Key| signer(key, data);
        Ok(Self {
            config: settings.check.then_some(config),
            dns,
            deadline,
            signers: settings.sign.iter().map(signer).collect::<Result<_, _>>()?,
            sealer: settings.seal.as_ref().map(signer).transpose()?,
        })
    }

    /// The verdict; `None` where it did not come in time.
    pub async fn ask<I: Inquiry>(&self, inquiry: I) -> Option<I::Verdict> {
        match self.dns.as_ref()? {
            Dns::Zone(zone) => Some(zone.ask(inquiry)),
            // The check keeps its own limit, and answers with what it has; this is for what has none.
            Dns::Resolver(resolver) => {
                tokio::time::timeout(self.deadline + Duration::from_secs(1), resolver.ask(inquiry)).await.ok()
            }
        }
    }

    /// What the lists say of a client that has not sent anything yet; `None` where none are asked.
    pub async fn listed(&self, session: &auth::Session) -> Option<dnsbl::Verdict> {
        let lists = self.config.as_ref()?.lists.as_ref()?;
        let evaluation = dnsbl::Evaluation::new(lists, lists.subjects(session, None), now());
        self.ask(facteur::dns::Within::new(evaluation, lists.patience)).await
    }

    /// The fields to be put in front of a message that goes out: signatures where it began here, and the seal of an ARC set
    /// where it was checked here on its way in, as `trace` says, the fields of this host that `message` begins with. One from
    /// elsewhere is never signed, whoever its From field names.
    pub async fn stamp(&self, host: &str, origin: Origin, trace: &Bytes, message: &Bytes) -> Result<String, String> {
        if self.signers.is_empty() && self.sealer.is_none() {
            return Ok(String::new());
        }
        let message = Message::parse(message.clone());
        if let Some(results) = results(trace, host) {
            return self.seal(&message, &results).await;
        }
        if origin == Origin::Elsewhere {
            return Ok(String::new());
        }
        let signers = self.signers_of(&message);
        if signers.is_empty() {
            return Ok(String::new());
        }
        let signed = tokio::task::block_in_place(|| dkim::sign(&message, &signers, now()));
        signed.map_err(|error| format!("not signed: {error}"))
    }

    /// Who signs for the author of a message: the nearest domain, by all its keys.
    fn signers_of(&self, message: &Message) -> Vec<Signer> {
        let Ok(author) = dmarc::author(message.header()) else { return Vec::new() };
        let of = |signer: &&Signer| author.is_within(&signer.domain);
        let nearest = self.signers.iter().filter(of).map(|signer| signer.domain.as_str().len()).max();
        let signers = self.signers.iter().filter(of).filter(|signer| Some(signer.domain.as_str().len()) == nearest);
        signers.cloned().collect()
    }

    /// A message that goes out, as it goes to all hosts alike; `None` where it stays as it is. What began here is said in ASCII before
    /// it is signed, where that can be: the next host may be without 8BITMIME or SMTPUTF8, and what is converted for it then is no
    /// longer what was signed. (RFC 6376 §5.3: "Signers SHOULD convert the message to a suitable MIME content-transfer encoding".)
    /// Where nobody signs the header alone is, of a message that would need SMTPUTF8: RFC 6531 §3.2 leaves that to the host of the
    /// author.
    ///
    /// What came from elsewhere, or bears a signature already, is not ours to change.
    pub fn in_ascii(&self, origin: Origin, params: &MailParams, content: &Bytes) -> Option<Converted> {
        if origin == Origin::Elsewhere || content.is_ascii() {
            return None;
        }
        let message = Message::parse(content.clone());
        if message.header().get("DKIM-Signature").is_some() {
            return None;
        }
        let is_signed = !self.signers_of(&message).is_empty();
        let whole = is_signed.then(|| message.convert(Transport::SevenBit).ok()).flatten();
        let header = || params.smtputf8.then(|| message.with_ascii_header().ok()).flatten();
        let converted = whole.or_else(header)?;
        (converted.parts + converted.fields > 0).then_some(converted)
    }

    async fn seal(&self, message: &Message, results: &Results) -> Result<String, String> {
        let Some(sealer) = &self.sealer else { return Ok(String::new()) };
        let config = dkim::Config::default();
        let check = tokio::task::block_in_place(|| arc::verify(message, now(), &config));
        let verdict = self.ask(check).await.ok_or("not sealed: the DNS does not answer")?;
        let said = results.methods.iter().find(|method| method.name == "arc").map(|method| method.result.as_str());
        if said == Some("pass") && verdict.outcome != arc::Outcome::Pass {
            return Err("not sealed: the chain was sound when it came, and cannot be proved now".to_owned());
        }
        let sealed = tokio::task::block_in_place(|| arc::seal(message, &verdict, results, sealer, now()));
        sealed.map_err(|error| format!("not sealed: {error}"))
    }
}

/// What this host found out about a message when it came; `None` where it did not look.
fn results(trace: &Bytes, host: &str) -> Option<Results> {
    let trace = Message::parse(trace.clone());
    let field = trace.header().get("Authentication-Results")?;
    Results::parse(field.value()).ok().filter(|results| results.id.eq_ignore_ascii_case(host))
}

fn signer(key: &Key, data: &Path) -> Result<Signer, String> {
    let file = data.join(&key.key);
    let fault = |what: &dyn std::fmt::Display| format!("{}: {what}", file.display());
    let pem = std::fs::read_to_string(&file).map_err(|error| fault(&error))?;
    let parsed = SigningKey::from_pem(&pem).map_err(|error| fault(&error))?;
    let name = |text: &str| text.parse().map_err(|error| format!("auth: {text}: {error}"));
    Ok(Signer::new(name(&key.domain)?, name(&key.selector)?, parsed))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
