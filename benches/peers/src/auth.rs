//! DKIM verified and signed, SPF evaluated: beside mail-auth, and beside what hash and signature cost alone.
//!
//! Both get their answers from a table in memory that holds parsed keys; nobody asks the network.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use aws_lc_rs::{digest, signature};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use facteur::auth::{dkim, spf};
use facteur::base::Timestamp;
use facteur::dns::{Answer, Ask, Data, Inquiry, Question, RecordType, Zone};
use facteur::message::Message;
use mail_auth::dkim::{DkimSigner, DomainKey};
use mail_auth::dns::TxtRecordParser;
use mail_auth::headers::HeaderWriter;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::spf::SpfRecord;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsCache, DnssecStatus, MessageAuthenticator, Mx, Negative, Parameters,
    RecordSet, ResolverCache, SpfResult, TxtRecord, crypto,
};

use crate::corpora;
use crate::measure::{Peer, Rounds, Work};

pub fn run(rounds: Rounds) {
    let authenticator = authenticator();
    for kind in [Kind::Rsa, Kind::Ed25519] {
        let key = Key::new(kind);
        for (size, len, number, verify, sign) in [
            ("5KB", 5_000, 40, kind.choose(Some(1.3), None), kind.choose(Some(1.0), None)),
            ("100KB", 100_000, 10, Some(1.6), kind.choose(None, Some(1.8))),
        ] {
            let messages = corpora::unsigned(number, len, false);
            verifying(rounds, &authenticator, &key, &messages, &format!("dkim-verify/{}/{size}", kind.name()), verify);
            signing(rounds, &key, &messages, &format!("dkim-sign/{}/{size}", kind.name()), sign);
        }
        if kind == Kind::Rsa {
            let messages = corpora::unsigned(10, 100_000, true);
            verifying(rounds, &authenticator, &key, &messages, "dkim-verify/rsa/html100KB", None);
        }
    }
    spf(rounds, &authenticator);
}

/// One that knows no server: what is not in the table is an error.
fn authenticator() -> MessageAuthenticator {
    let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    MessageAuthenticator::new(nobody, ResolverOpts::default()).expect("a resolver without servers")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ed25519,
}

impl Kind {
    fn choose<T>(self, rsa: T, ed25519: T) -> T {
        match self {
            Self::Rsa => rsa,
            Self::Ed25519 => ed25519,
        }
    }

    fn name(self) -> &'static str {
        self.choose("rsa", "ed25519")
    }
}

/// One key, as each of the three has it.
struct Key {
    kind: Kind,
    signer: dkim::Signer,
    /// A field of mail-auth's with the signature of a message; whether there is one.
    peer: Box<dyn Fn(&[u8]) -> u64>,
    record: Bytes,
    /// For the floor: the key alone.
    public: signature::ParsedPublicKey,
}

const DOMAIN: &str = "example.com";
const SELECTOR: &str = "s1";
const KEY_NAME: &str = "s1._domainkey.example.com";

impl Key {
    fn new(kind: Kind) -> Self {
        let key = match kind {
            Kind::Rsa => dkim::SigningKey::generate_rsa(),
            Kind::Ed25519 => dkim::SigningKey::generate_ed25519(),
        }
        .expect("a key");
        let pem = key.to_pem().expect("a key in PEM");
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = BASE64_STANDARD.decode(der).expect("base64");
        // What both are told to sign, in the order of ours.
        let fields = ["from", "subject", "date", "message-id", "to", "mime-version", "content-type"];
        let peer: Box<dyn Fn(&[u8]) -> u64> = match kind {
            Kind::Rsa => {
                let key = der.as_slice().try_into().expect("a key in DER");
                let key = crypto::RsaKey::<crypto::Sha256>::from_key_der(key).expect("a key");
                let signer = DkimSigner::from_key(key).domain(DOMAIN).selector(SELECTOR).headers(fields);
                Box::new(move |message| written(signer.sign(message)))
            }
            Kind::Ed25519 => {
                let key = crypto::Ed25519Key::from_pkcs8_maybe_unchecked_der(&der).expect("a key");
                let signer = DkimSigner::from_key(key).domain(DOMAIN).selector(SELECTOR).headers(fields);
                Box::new(move |message| written(signer.sign(message)))
            }
        };
        let record = key.record();
        let public = BASE64_STANDARD.decode(record.rsplit_once("p=").expect("a key").1).expect("base64");
        let public = match kind {
            Kind::Rsa => {
                signature::ParsedPublicKey::new(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, public)
            }
            Kind::Ed25519 => signature::ParsedPublicKey::new(&signature::ED25519, public),
        };
        let mut signer = dkim::Signer::new(DOMAIN.parse().expect("a name"), SELECTOR.parse().expect("a name"), key);
        signer.fields = fields.map(str::to_owned).into();
        signer.oversigned = Vec::new();
        Self { kind, signer, peer, record: record.into(), public: public.expect("a public key") }
    }
}

fn written(signed: mail_auth::Result<mail_auth::dkim::Signature>) -> u64 {
    signed.map_or(0, |field| u64::from(!field.to_header().is_empty()))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn verifying(
    rounds: Rounds,
    authenticator: &MessageAuthenticator,
    key: &Key,
    messages: &[Bytes],
    name: &str,
    target: Option<f64>,
) {
    let mut config = dkim::Config::default();
    config.keys = Some(Arc::new(dkim::Keys::new(100)));
    let answers = Answers::of(&format!("{KEY_NAME} TXT {}", strings(&key.record)), &[(KEY_NAME, RecordType::Txt)]);
    let caches = Caches::default();
    let parsed = DomainKey::parse(&key.record).expect("a key record");
    caches.txt.0.lock().expect("one thread").insert(format!("{KEY_NAME}.").into(), Text::Parsed(parsed.into()));

    let ours = |message: &Bytes| {
        let message = Message::parse(message.clone());
        let verdicts = answers.ask(dkim::verify(&message, now(), &config));
        u64::from(verdicts.len() == 1 && verdicts[0].outcome == dkim::Outcome::Pass)
    };
    let theirs = |message: &Bytes| {
        let Some(message) = AuthenticatedMessage::parse(message) else { return 2 };
        let verdicts = done(authenticator.verify_dkim(Parameters::new(&message).with_cache(&caches)));
        u64::from(verdicts.len() == 1 && *verdicts[0].result() == DkimResult::Pass)
    };
    let signed: Vec<Bytes> = messages
        .iter()
        .enumerate()
        .map(|(n, raw)| {
            let message = Message::parse(raw.clone());
            let field = dkim::sign(&message, std::slice::from_ref(&key.signer), now()).expect("a signature");
            [&corpora::relayed(n), field.as_bytes(), raw].concat().into()
        })
        .collect();
    // Both say the same of each as it is, with another octet in its body, its header and its signature, and appended to.
    for message in &signed {
        let end = message.len() - 10;
        let subject = memchr::memmem::find(message, b"Message-ID: <").expect("a field") + 14;
        let signature = memchr::memmem::find(message, b"\r\n\tb=").expect("a signature") + 10;
        assert_eq!((ours(message), theirs(message)), (1, 1), "{name}: as signed");
        for at in [end, subject, signature] {
            let mut changed = message.to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = changed.into();
            assert_eq!((ours(&changed), theirs(&changed)), (0, 0), "{name}: changed at {at}");
        }
        let appended = [message, &b"more\r\n"[..]].concat().into();
        assert_eq!((ours(&appended), theirs(&appended)), (0, 0), "{name}: appended to");
    }
    let floors: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = messages
        .iter()
        .map(|raw| {
            let message = Message::parse(raw.clone());
            let body = dkim::Canonicalization::Relaxed.body(message.root().raw_body());
            // As long as the signed fields are, and signed with the same key.
            let header = vec![b'h'; 600];
            (body, header, Vec::new())
        })
        .collect();
    let signature = signed.first().map(|message| {
        let parsed = Message::parse(message.clone());
        let field = parsed.header().get("dkim-signature").expect("a signature");
        dkim::Signature::parse(field.value()).expect("a signature").value
    });
    let signature = signature.expect("a message");
    let hash_floor = |n: usize| digest::digest(&digest::SHA256, &floors[n].0).as_ref().len() as u64;
    rounds.compare(
        &Work { name, items: signed.len(), octets: signed.iter().map(Bytes::len).sum(), target },
        &mut [
            Peer::new("facteur", |n| ours(&signed[n])),
            Peer::new("mail-auth", |n| theirs(&signed[n])),
            Peer::aside("floor: hash of the body", hash_floor),
            Peer::aside("floor: that and the key", |n| {
                let hash = hash_floor(n);
                // The text is not what was signed; that is found out at the end of the same work.
                let text = digest::digest(&digest::SHA256, &floors[n].1);
                let told = match key.kind {
                    Kind::Rsa => key.public.verify_sig(&floors[n].1, &signature),
                    Kind::Ed25519 => key.public.verify_sig(text.as_ref(), &signature),
                };
                hash + u64::from(told.is_ok())
            }),
        ],
    );
}

fn signing(rounds: Rounds, key: &Key, messages: &[Bytes], name: &str, target: Option<f64>) {
    let ours = |n: usize| {
        let message = Message::parse(messages[n].clone());
        dkim::sign(&message, std::slice::from_ref(&key.signer), now()).map_or(0, |field| u64::from(!field.is_empty()))
    };
    rounds.compare(
        &Work { name, items: messages.len(), octets: messages.iter().map(Bytes::len).sum(), target },
        &mut [Peer::new("facteur", ours), Peer::new("mail-auth", |n| (key.peer)(&messages[n]))],
    );
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SENDER: &str = "ada@example.org";
const HELO: &str = "mx.example.org";
const ZONE: [(&str, &str); 4] = [
    (
        "example.org",
        "v=spf1 include:_spf.a.example include:_spf.b.example include:_spf.c.example a:mail.example.org mx -all",
    ),
    ("_spf.a.example", "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all"),
    ("_spf.b.example", "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all"),
    ("_spf.c.example", "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all"),
];

/// Three includes, an "a" and an "mx" that matches; the answers out of a table.
fn spf(rounds: Rounds, authenticator: &MessageAuthenticator) {
    let mut zone =
        String::from("mail.example.org A 192.0.2.9\nexample.org MX 10 mx.example.org\nmx.example.org A 192.0.2.1\n");
    let mut questions =
        vec![("mail.example.org", RecordType::A), ("example.org", RecordType::Mx), ("mx.example.org", RecordType::A)];
    let (text, parsed) = (Caches::default(), Caches::default());
    for (name, record) in ZONE {
        zone.push_str(&format!("{name} TXT \"{record}\"\n"));
        questions.push((name, RecordType::Txt));
        let key: Box<str> = format!("{name}.").into();
        text.txt.0.lock().expect("one thread").insert(key.clone(), Text::Spf(record));
        let record = SpfRecord::parse(record.as_bytes()).expect("a record");
        parsed.txt.0.lock().expect("one thread").insert(key, Text::Parsed(record.into()));
    }
    for caches in [&text, &parsed] {
        caches.fill();
    }
    let mut answers = Answers::of(&zone, &questions);
    for (name, record) in ZONE {
        // Theirs holds it as text that never ends too.
        let question = Question::new(name.parse().expect("a name"), RecordType::Txt);
        answers.0.insert(question, Ok(vec![Data::Txt(Bytes::from_static(record.as_bytes()))]).into());
    }
    let ours = |client: IpAddr| {
        let verdict = answers.ask(spf::Evaluation::new(client, HELO, SENDER, spf::Identity::MailFrom));
        match verdict.outcome {
            spf::Outcome::Pass => 1,
            spf::Outcome::Fail => 2,
            _ => 3,
        }
    };
    let theirs = |caches: &Caches, client: IpAddr| {
        let parameters = SpfParameters::mail_from(client, HELO, "mx.example.net", SENDER);
        match done(authenticator.verify_spf(Parameters::new(parameters).with_cache(caches))).result() {
            SpfResult::Pass => 1,
            SpfResult::Fail => 2,
            _ => 3,
        }
    };
    for (client, expected) in [(CLIENT, 1), ([192, 0, 2, 9].into(), 1), ([192, 0, 2, 2].into(), 2)] {
        assert_eq!((ours(client), theirs(&text, client), theirs(&parsed, client)), (expected, expected, expected));
    }
    const TIMES: usize = 2_000;
    let octets = ZONE.iter().map(|(_, record)| record.len()).sum::<usize>() * TIMES;
    rounds.compare(
        &Work { name: "spf/text", items: TIMES, octets, target: Some(1.5) },
        &mut [
            Peer::new("facteur", |_| ours(CLIENT)),
            Peer::new("mail-auth", |_| theirs(&text, CLIENT)),
            Peer::aside("mail-auth, parsed before", |_| theirs(&parsed, CLIENT)),
        ],
    );
}

/// Runs what never waits.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the table had no answer"),
    }
}

/// A record of text as a zone file has it: in strings.
fn strings(text: &[u8]) -> String {
    text.chunks(255).map(|part| format!("\"{}\" ", part.escape_ascii())).collect()
}

/// What facteur is answered from.
struct Answers(HashMap<Question, Answer>);

impl Answers {
    fn of(zone: &str, questions: &[(&str, RecordType)]) -> Self {
        let zone: Zone = zone.parse().expect("a zone");
        let questions = questions.iter().map(|(name, kind)| Question::new(name.parse().expect("a name"), *kind));
        Self(questions.map(|question| (question.clone(), zone.answer(&question))).collect())
    }

    fn ask<I: Inquiry>(&self, mut inquiry: I) -> I::Verdict {
        loop {
            match inquiry.poll() {
                Ask::Question(question) => inquiry.answer(self.0.get(&question).expect("an answer")),
                Ask::Verdict(verdict) => return verdict,
            }
        }
    }
}

/// What mail-auth is answered from.
#[derive(Default)]
struct Caches {
    txt: Table<Box<str>, Text>,
    mx: Table<Box<str>, Result<RecordSet<Mx>, Negative>>,
    ipv4: Table<Box<str>, Result<RecordSet<Ipv4Addr>, Negative>>,
    ipv6: Table<Box<str>, Result<RecordSet<Ipv6Addr>, Negative>>,
    ptr: Table<IpAddr, Result<RecordSet<Box<str>>, Negative>>,
}

struct Table<K, V>(std::sync::Mutex<HashMap<K, V>>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(std::sync::Mutex::default())
    }
}

/// A text record that was parsed before, or is whenever it is looked at.
#[derive(Clone)]
enum Text {
    Parsed(TxtRecord),
    Spf(&'static str),
}

impl Caches {
    fn fill(&self) {
        let set = |address: [u8; 4]| RecordSet {
            records: Arc::from([Ipv4Addr::from(address)]),
            dnssec_status: DnssecStatus::Indeterminate,
        };
        let mut ipv4 = self.ipv4.0.lock().expect("one thread");
        ipv4.insert("mail.example.org.".into(), Ok(set([192, 0, 2, 9])));
        ipv4.insert("mx.example.org.".into(), Ok(set([192, 0, 2, 1])));
        let mx = Mx { exchanges: Box::from(["mx.example.org.".into()]), preference: 10 };
        let mx = RecordSet { records: Arc::from([mx]), dnssec_status: DnssecStatus::Indeterminate };
        self.mx.0.lock().expect("one thread").insert("example.org.".into(), Ok(mx));
    }
}

impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Table<K, V> {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.lock().expect("one thread").get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.lock().expect("one thread").remove(name)
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

impl ResolverCache<Box<str>, TxtRecord> for Table<Box<str>, Text> {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
    {
        let found = self.0.lock().expect("one thread").get(name)?.clone();
        Some(match found {
            Text::Parsed(record) => record,
            Text::Spf(text) => SpfRecord::parse(text.as_bytes()).into(),
        })
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: TxtRecord, _: Instant) {}
}

impl DnsCache for Caches {
    type Txt = Table<Box<str>, Text>;
    type Mx = Table<Box<str>, Result<RecordSet<Mx>, Negative>>;
    type Ipv4 = Table<Box<str>, Result<RecordSet<Ipv4Addr>, Negative>>;
    type Ipv6 = Table<Box<str>, Result<RecordSet<Ipv6Addr>, Negative>>;
    type Ptr = Table<IpAddr, Result<RecordSet<Box<str>>, Negative>>;

    fn txt(&self) -> Option<&Self::Txt> {
        Some(&self.txt)
    }

    fn mx(&self) -> Option<&Self::Mx> {
        Some(&self.mx)
    }

    fn ipv4(&self) -> Option<&Self::Ipv4> {
        Some(&self.ipv4)
    }

    fn ipv6(&self) -> Option<&Self::Ipv6> {
        Some(&self.ipv6)
    }

    fn ptr(&self) -> Option<&Self::Ptr> {
        Some(&self.ptr)
    }
}
