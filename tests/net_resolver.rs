//! The resolver against name servers on loopback: questions at once, questions asked once, the cache, deadlines, DNSSEC.

#![cfg(feature = "net")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use facteur::auth::dnsbl::{Evaluation, Found, List, Lists, Origin, Subject, What};
use facteur::base::Timestamp;
use facteur::dns::{Answer, Data, Failure, Question, RecordType, Within, Zone, mx};
use facteur::net::resolver::{ResolverConfig, Servers, Validation};
use facteur::net::{Resolver, blocking};
use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG};
use hickory_proto::dnssec::{Algorithm, DnssecSigner, PublicKey, SigningKey, TBS};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as Kind, SerialNumber, rdata};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

/// A name server that keeps a list of what it was asked, and answers as often as it is let.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    /// One for each answer.
    let_go: Arc<Semaphore>,
}

impl Server {
    async fn start(respond: impl Fn(&mut Message, &str, Kind) + Send + Sync + 'static) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let (asked, let_go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (log, gate, respond) = (Arc::clone(&asked), Arc::clone(&let_go), Arc::new(respond));
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((n, peer)) = socket.recv_from(&mut buffer).await {
                let query = Message::from_vec(&buffer[..n]).unwrap();
                let asked = query.queries[0].clone();
                let name = asked.name().to_string().to_lowercase();
                log.lock().unwrap().push(format!("{name} {}", asked.query_type()));
                let mut response = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
                response.add_query(asked.clone());
                respond(&mut response, &name, asked.query_type());
                let (gate, socket) = (Arc::clone(&gate), Arc::clone(&socket));
                tokio::spawn(async move {
                    gate.acquire().await.unwrap().forget();
                    socket.send_to(&response.to_vec().unwrap(), peer).await.unwrap();
                });
            }
        });
        Self { address, asked, let_go }
    }

    async fn of(zone: &str) -> Self {
        let zone: Zone = zone.parse().unwrap();
        Self::start(move |response, name, kind| {
            let Some(known) = RecordType::ALL.into_iter().find(|known| known.as_str() == kind.to_string()) else {
                return;
            };
            let owner = Name::from_ascii(name).unwrap();
            match zone.answer(&Question::new(name.parse().unwrap(), known)).found {
                Ok(found) => found.iter().cloned().for_each(|data| {
                    response.add_answer(Record::from_rdata(owner.clone(), 60, rdata_of(data)));
                }),
                Err(failure) => {
                    response.metadata.response_code = match failure {
                        Failure::NxDomain => ResponseCode::NXDomain,
                        Failure::NoData => ResponseCode::NoError,
                        _ => ResponseCode::ServFail,
                    };
                    let root = Name::root();
                    let soa = rdata::SOA::new(root.clone(), root.clone(), 1, 60, 60, 60, 30);
                    response.add_authority(Record::from_rdata(root, 300, RData::SOA(soa)));
                }
            }
        })
        .await
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }

    fn resolver(&self) -> Resolver {
        Resolver::with_servers([self.address]).unwrap()
    }

    /// Waits until that many questions have come.
    async fn questions(&self, count: usize) {
        while self.asked.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

fn rdata_of(data: Data) -> RData {
    let name = |name: facteur::dns::Name| Name::from_ascii(format!("{name}.")).unwrap();
    match data {
        Data::A(address) => RData::A(address.into()),
        Data::Mx { preference, exchange } => RData::MX(rdata::MX::new(preference, name(exchange))),
        Data::Txt(text) => RData::TXT(rdata::TXT::new(vec![String::from_utf8(text.to_vec()).unwrap()])),
        other => panic!("{other:?}"),
    }
}

fn question(text: &str) -> Question {
    text.parse().unwrap()
}

const ZONE: &str = "
    b.test   MX 1 h1.test
    b.test   MX 2 h2.test
    h1.test  A 192.0.2.1
    h2.test  A 192.0.2.2
    99.2.0.192.bl.test A 127.0.0.2
    99.2.0.192.bl.test TXT why
";

#[tokio::test]
async fn the_addresses_of_all_hosts_are_asked_for_at_once() {
    let server = Server::of(ZONE).await;
    let resolver = server.resolver();
    let lookup = tokio::spawn(async move { resolver.ask(mx::Lookup::new(&"b.test".parse().unwrap(), 1)).await });
    server.questions(1).await;
    server.let_go.add_permits(1);
    // Nothing is answered until all have been asked.
    server.questions(5).await;
    server.let_go.add_permits(4);
    assert_eq!(lookup.await.unwrap().unwrap().hosts.len(), 2);
    assert_eq!(server.asked(), ["b.test. MX", "h1.test. A", "h1.test. AAAA", "h2.test. A", "h2.test. AAAA"]);
}

#[tokio::test]
async fn one_question_is_asked_once_however_many_ask_it() {
    let server = Server::of(ZONE).await;
    let resolver = server.resolver();
    let mut asking = Vec::new();
    for _ in 0..50 {
        let resolver = resolver.clone();
        asking.push(tokio::spawn(async move { resolver.answer(&question("h1.test A")).await }));
    }
    server.questions(1).await;
    // Whoever asked first goes away; the others are answered all the same.
    asking.remove(0).abort();
    server.let_go.add_permits(50);
    for one in asking {
        assert_eq!(one.await.unwrap().found, Ok([Data::A([192, 0, 2, 1].into())].into()));
    }
    // And out of the cache afterwards; what does not exist too (RFC 2308 §5: the minimum of the SOA).
    for _ in 0..3 {
        resolver.answer(&question("h1.test A")).await;
        let none = resolver.answer(&question("none.test A")).await;
        assert_eq!((none.found, none.ttl > 0 && none.ttl <= 30), (Err(Failure::NxDomain), true));
        let no_data = resolver.answer(&question("h1.test TXT")).await;
        assert_eq!((no_data.found, no_data.ttl > 0 && no_data.ttl <= 30), (Err(Failure::NoData), true));
    }
    assert_eq!(server.asked(), ["h1.test. A", "h1.test. TXT", "none.test. A"]);
}

#[tokio::test]
async fn no_more_questions_than_allowed_are_under_way() {
    let server = Server::of(ZONE).await;
    let mut config = ResolverConfig::new(Servers::These(vec![server.address]));
    config.at_once = 2;
    let resolver = Resolver::new(config).unwrap();
    let lists = Lists::new((0..10).map(|n| List::addresses(format!("l{n}.test").parse().unwrap(), 1)));
    let client = Subject::new(Origin::Client, What::Address([192, 0, 2, 99].into()));
    let evaluation = Evaluation::new(&Arc::new(lists), [client], Timestamp::from_unix(0));
    let asking = tokio::spawn(async move { resolver.ask(evaluation).await });
    for answered in 0..30 {
        server.questions(answered + 1).await;
        assert!(server.asked().len() <= answered + 2);
        server.let_go.add_permits(1);
    }
    assert_eq!(asking.await.unwrap().entries.len(), 10);
}

#[tokio::test]
async fn what_does_not_answer_in_time_does_not_hold_up_the_rest() {
    let server = Server::start(|response, name, _| {
        if name.contains("slow") {
            response.metadata.truncation = true; // and nobody listens for TCP
        } else {
            let owner = Name::from_ascii(name).unwrap();
            response.add_answer(Record::from_rdata(owner, 60, RData::A(rdata::A::new(127, 0, 0, 2))));
        }
    })
    .await;
    server.let_go.add_permits(100);
    let mut lists = Lists::new(["slow.test*1".parse::<List>().unwrap(), "fast.test*2".parse().unwrap()]);
    lists.test_every = None;
    let client = Subject::new(Origin::Client, What::Address([192, 0, 2, 99].into()));
    let evaluation = Evaluation::new(&Arc::new(lists), [client], Timestamp::from_unix(0));
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Two servers: one of them never says anything.
    let resolver = Resolver::with_servers([server.address, silent.local_addr().unwrap()]).unwrap();
    let verdict = resolver.ask(Within::new(evaluation, Duration::from_millis(500))).await;
    assert_eq!(verdict.score, 2);
    assert!(matches!(verdict.entries[0].found, Found::Failed(_)), "{:?}", verdict.entries[0].found);
}

#[test]
fn programs_without_a_runtime_ask_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::of(ZONE));
    server.let_go.add_permits(100);
    let config = ResolverConfig::new(Servers::These(vec![server.address]));
    let resolver = blocking::Resolver::new(config).unwrap();
    let targets = resolver.ask(mx::Lookup::new(&"b.test".parse().unwrap(), 1)).unwrap().unwrap();
    assert_eq!(targets.hosts.len(), 2);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(resolver.answer(&question("h1.test A")).unwrap().found.is_ok()));
        }
    });
    assert_eq!(server.asked().len(), 5, "the rest came out of the cache");
    assert!(runtime.block_on(async { resolver.answer(&question("h1.test A")) }).is_err(), "not within a runtime");
}

/// A zone `test` with a key, and signatures made as they are asked for.
struct Signed {
    signer: DnssecSigner,
}

impl Signed {
    fn new() -> Self {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let key = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
        let zone = Name::from_ascii("test.").unwrap();
        Self { signer: DnssecSigner::new(dnskey, Box::new(key), zone, Duration::from_secs(3600)) }
    }

    /// The key as a line of a zone file.
    fn anchor(&self) -> String {
        use base64::Engine;
        let key = self.signer.key().to_public_key().unwrap();
        let text = base64::prelude::BASE64_STANDARD.encode(key.public_bytes());
        format!("test. 3600 IN DNSKEY 257 3 15 {text}\n")
    }

    fn signature(&self, records: &[Record]) -> Record {
        let first = &records[0];
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32;
        let input = SigInput {
            type_covered: first.record_type(),
            algorithm: Algorithm::ED25519,
            num_labels: first.name.num_labels(),
            original_ttl: first.ttl,
            sig_expiration: SerialNumber::new(now + 3600),
            sig_inception: SerialNumber::new(now - 60),
            key_tag: self.signer.calculate_key_tag().unwrap(),
            signer_name: self.signer.signer_name().clone(),
        };
        let text = TBS::from_input(&first.name, DNSClass::IN, &input, records.iter()).unwrap();
        let signature = RRSIG::from_sig(input, self.signer.sign(&text).unwrap());
        Record::from_rdata(first.name.clone(), first.ttl, RData::DNSSEC(DNSSECRData::RRSIG(signature)))
    }
}

#[tokio::test]
async fn answers_are_proved_by_dnssec_where_that_is_asked_for() {
    let signed = Signed::new();
    let anchor = signed.anchor();
    let server = Server::start(move |response, name, kind| {
        let owner = Name::from_ascii(name).unwrap();
        let record = |data| Record::from_rdata(owner.clone(), 60, data);
        let records = match (name, kind) {
            ("test.", Kind::DNSKEY) => {
                vec![record(RData::DNSSEC(DNSSECRData::DNSKEY(signed.signer.dnskey().clone())))]
            }
            ("_25._tcp.a.test." | "forged.test.", Kind::TLSA | Kind::A) => {
                vec![record(RData::A(rdata::A::new(192, 0, 2, 1)))]
            }
            _ => return,
        };
        response.add_answer(signed.signature(&records));
        for mut record in records {
            if name == "forged.test." {
                record.data = RData::A(rdata::A::new(192, 0, 2, 66));
            }
            response.add_answer(record);
        }
    })
    .await;
    server.let_go.add_permits(100);
    let mut config = ResolverConfig::new(Servers::These(vec![server.address]));
    let plain = Resolver::new(config.clone()).unwrap();
    config.validation = Validation::Anchors(anchor);
    let validating = Resolver::new(config.clone()).unwrap();
    let good = question("_25._tcp.a.test A");
    let Answer { found, secure, .. } = validating.answer(&good).await;
    assert_eq!((found.is_ok(), secure), (true, true));
    assert!(validating.answer(&good).await.secure, "out of the cache too");
    assert!(!plain.answer(&good).await.secure);
    let forged = question("forged.test A");
    assert!(plain.answer(&forged).await.found.is_ok());
    assert_eq!(validating.answer(&forged).await.found, Err(Failure::Bogus));
    // Without a signature and without a proof that there need be none.
    assert_eq!(validating.answer(&question("none.test A")).await.found, Err(Failure::Bogus));
    config.validation = Validation::Anchors("no key".to_owned());
    assert!(Resolver::new(config).is_err());
}
