//! Mail hosts that must prove who they are, over sockets of the loopback interface: DANE, MTA-STS, REQUIRETLS.
#![cfg(feature = "net")]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use facteur::address::Address;
use facteur::auth::mta_sts::{Cache, FetchError, Lookup, Policy};
use facteur::auth::tls_policy;
use facteur::auth::tls_rpt::{Collector, FailureKind, Reporter};
use facteur::base::{Secret, Timestamp};
use facteur::dns::{Data, Name, Question, RecordType, Zone, mx};
use facteur::net::mta_sts::{Fetching, Https, Source};
use facteur::net::tls::{Acceptor, Connector};
use facteur::net::{Driver, MtaSts, Pool, PoolConfig, Resolver, Route, Sender};
use facteur::smtp::client::ClientConfig;
use facteur::smtp::server::{Server, ServerConfig, ServerEvent};
use facteur::smtp::{self, Envelope, ForwardPath, Outcome, Outgoing};
use hickory_proto::op::{Message as Packet, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// An authority, and what makes certificates by it.
struct Authority {
    pem: String,
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
struct Identity {
    /// With the authority's behind it.
    chain: Vec<Vec<u8>>,
    spki: Vec<u8>,
    key: KeyPair,
}

/// What is wanted of a server.
#[derive(Clone, Copy, Default)]
struct Offers {
    tls: bool,
    require_tls: bool,
}

/// What servers took: whether it came over TLS, and whether REQUIRETLS came with it.
type Taken = Arc<Mutex<Vec<(bool, bool)>>>;

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![certificate.der().to_vec(), self.der.clone()];
        Identity { chain, spki: key.subject_public_key_info(), key }
    }
}

impl Identity {
    fn acceptor(&self) -> Acceptor {
        let pem = |der: &Vec<u8>| {
            use base64::Engine;
            let text = base64::prelude::BASE64_STANDARD.encode(der);
            let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
        };
        let chain: String = self.chain.iter().map(pem).collect();
        Acceptor::from_pem(chain.as_bytes(), &Secret::from(self.key.serialize_pem())).unwrap()
    }
}

/// A mail host at this address that takes everything.
async fn host(address: SocketAddr, identity: &Identity, offers: Offers) -> (SocketAddr, Taken) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (taken, acceptor) = (Taken::default(), identity.acceptor());
    let all = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let mut config = ServerConfig::new("mx.test").unwrap();
            if offers.tls {
                config.starttls = smtp::server::StartTls::Offered;
            }
            config.require_tls = offers.require_tls;
            let server = Server::new(config, peer.ip(), std::time::Instant::now());
            let (acceptor, all) = (acceptor.clone(), Arc::clone(&all));
            tokio::spawn(async move {
                let mut smtp = Driver::new(server, stream).with_tls(acceptor);
                while let Ok(Some(event)) = smtp.next().await {
                    if let ServerEvent::Message(mail) = event {
                        let tls = smtp.session().tls.is_some();
                        all.lock().unwrap().push((tls, mail.envelope.params.require_tls));
                    }
                    smtp.accept();
                }
            });
        }
    });
    (address, taken)
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Where mail for `b.test` goes by this zone, in which `PORT` is the port, and what its hosts must prove.
fn route(zone: &str, port: u16, policy: Option<&str>) -> Route {
    let zone: Zone = zone.replace("PORT", &port.to_string()).parse().unwrap();
    let domain = "b.test".parse().unwrap();
    let targets = zone.ask(mx::Lookup::new(&domain, 1)).unwrap();
    let policy = policy.map(|text| Arc::new(Policy::parse(text.as_bytes()).unwrap()));
    let policies = zone.ask(tls_policy::Lookup::new(&domain, &targets, port, policy));
    Route::by(&targets, port).with_policies(policies)
}

fn mail() -> Outgoing {
    let to: Address = "bob@b.test".parse().unwrap();
    let from: Address = "ada@a.test".parse().unwrap();
    Outgoing::new(Envelope::new(from.into(), [ForwardPath::from(to)]), "Subject: hi\r\n\r\nHello.\r\n")
}

fn required() -> Outgoing {
    let mut mail = mail();
    mail.envelope.params.require_tls = true;
    mail
}

/// One that believes this authority where authorities count, and everyone where nothing does.
fn sender(authority: &Authority) -> Sender {
    let connector = Connector::with_roots(authority.pem.as_bytes()).unwrap();
    Sender::with_connector(ClientConfig::new("ada.test").unwrap(), connector)
}

/// Status codes of the outcomes.
fn codes(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| format!("{} {}", outcome.reply.code(), outcome.reply.enhanced().unwrap())).collect()
}

const SIGNED: &str = "$SECURE test\n";
const MX: &str = "b.test MX 10 mx.b.test\nmx.b.test A 127.0.0.1\n";

#[tokio::test]
async fn tlsa_records_are_kept_to() {
    let (ours, others) = (Authority::new(), Authority::new());
    let identity = ours.identity("mx.b.test");
    let stranger = others.identity("mx.b.test");
    let key = hex(&identity.spki);
    let good = format!("_PORT._tcp.mx.b.test TLSA 3 1 0 {key}\n");
    let anchor = format!("_PORT._tcp.mx.b.test TLSA 2 0 0 {}\n", hex(&ours.der));
    let bad = format!("_PORT._tcp.mx.b.test TLSA 3 1 0 {}\n", hex(&stranger.spki));
    let other_anchor = format!("_PORT._tcp.mx.b.test TLSA 2 0 0 {}\n", hex(&others.der));
    let unusable = format!("_PORT._tcp.mx.b.test TLSA 1 1 0 {key}\n");
    let fails = "_PORT._tcp.mx.b.test SERVFAIL\n";
    let (tls, plain) = (Offers { tls: true, require_tls: false }, Offers::default());
    for (what, signed, records, offers, expected, over_tls) in [
        ("the right key", SIGNED, good.clone(), tls, "250 2.0.0", Some(true)),
        ("the right authority", SIGNED, anchor, tls, "250 2.0.0", Some(true)),
        ("one of two keys", SIGNED, format!("{bad}{good}"), tls, "250 2.0.0", Some(true)),
        ("another key", SIGNED, bad.clone(), tls, "451 4.7.5", None),
        ("another authority", SIGNED, other_anchor, tls, "451 4.7.5", None),
        ("no STARTTLS", SIGNED, good.clone(), plain, "454 4.7.10", None),
        ("nothing usable", SIGNED, unusable.clone(), tls, "250 2.0.0", Some(true)),
        ("nothing usable, no STARTTLS", SIGNED, unusable, plain, "454 4.7.10", None),
        ("not known", SIGNED, fails.into(), tls, "451 4.4.3", None),
        ("no records", SIGNED, String::new(), plain, "250 2.0.0", Some(false)),
        ("not signed", "", bad, plain, "250 2.0.0", Some(false)),
        ("not signed, not known", "", fails.into(), tls, "250 2.0.0", Some(true)),
    ] {
        let (address, taken) = host(any(), &identity, offers).await;
        let route = route(&format!("{signed}{MX}{records}"), address.port(), None);
        // Nobody's authority counts: DANE alone is to be believed.
        let mut sender = Sender::new(ClientConfig::new("ada.test").unwrap()).unwrap();
        sender.dane = None; // which is for finding routes, and this is one that was found
        let outcomes = sender.deliver_along(&route, mail()).await;
        assert_eq!(codes(&outcomes), [expected], "{what}: {}", outcomes[0].reply);
        let taken: Vec<_> = taken.lock().unwrap().iter().map(|(tls, _)| *tls).collect();
        assert_eq!(taken, over_tls.into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[tokio::test]
async fn the_next_host_is_asked_where_one_does_not_fit() {
    let authority = Authority::new();
    let (first, second) = (authority.identity("mx.b.test"), authority.identity("my.b.test"));
    let tls = Offers { tls: true, require_tls: false };
    let (address, nothing) = host(any(), &first, tls).await;
    let next = SocketAddr::new(IpAddr::from([127, 0, 0, 2]), address.port());
    let (_, taken) = host(next, &second, tls).await;
    let fits = format!("_PORT._tcp.my.b.test TLSA 3 1 0 {}\n", hex(&second.spki));
    let zone = format!("{SIGNED}{MX}b.test MX 20 my.b.test\nmy.b.test A 127.0.0.2\n{fits}");
    for wrong in [fits.replace("my.", "mx."), "_PORT._tcp.mx.b.test TIMEOUT\n".into()] {
        let route = route(&format!("{zone}{wrong}"), address.port(), None);
        let outcomes = sender(&authority).deliver_along(&route, mail()).await;
        assert_eq!(codes(&outcomes), ["250 2.0.0"], "{}", outcomes[0].reply);
    }
    assert_eq!((nothing.lock().unwrap().len(), taken.lock().unwrap().len()), (0, 2));
}

/// RFC 8460
#[tokio::test]
async fn sessions_are_counted_for_reports() {
    let authority = Authority::new();
    let (right, wrong) = (authority.identity("mx.b.test"), authority.identity("other.test"));
    let (tls, plain) = (Offers { tls: true, require_tls: false }, Offers::default());
    let policy = |mode, host| format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 86400\n");
    let (enforced, testing, other) =
        (policy("enforce", "mx.b.test"), policy("testing", "mx.b.test"), policy("testing", "mx.c.test"));
    let record = |of: &Identity| format!("{SIGNED}{MX}_PORT._tcp.mx.b.test TLSA 3 1 0 {}\n", hex(&of.spki));
    for (what, zone, policy, identity, offers, expected) in [
        ("records fit", record(&right), None, &right, tls, "tlsa 1 0 -"),
        ("records do not fit", record(&right), None, &wrong, tls, "tlsa 0 1 certificate-host-mismatch"),
        ("no STARTTLS", record(&right), None, &right, plain, "tlsa 0 1 starttls-not-supported"),
        ("not known", format!("{SIGNED}{MX}_PORT._tcp.mx.b.test BOGUS"), None, &right, tls, "tlsa 0 1 dnssec-invalid"),
        ("a policy fits", MX.into(), Some(&enforced), &right, tls, "sts 1 0 -"),
        ("another name", MX.into(), Some(&enforced), &wrong, tls, "sts 0 1 certificate-host-mismatch"),
        ("testing, all fits", MX.into(), Some(&testing), &right, tls, "sts 1 0 -"),
        ("testing, another name", MX.into(), Some(&testing), &wrong, tls, "sts 0 1 certificate-host-mismatch"),
        ("testing, another host", MX.into(), Some(&other), &right, tls, "sts 0 1 validation-failure"),
        ("testing, no STARTTLS", MX.into(), Some(&testing), &right, plain, "sts 0 1 starttls-not-supported"),
        ("no policy", MX.into(), None, &wrong, tls, "no-policy-found 1 0 -"),
        ("no policy, no STARTTLS", MX.into(), None, &right, plain, "no-policy-found 0 1 starttls-not-supported"),
    ] {
        let (address, _) = host(any(), identity, offers).await;
        let mut sender = sender(&authority);
        if policy.is_none() {
            // Believing everyone, so that nothing but a policy asks for proof.
            sender.connector = Connector::unverified();
        }
        let reports = Arc::new(Mutex::new(Collector::new(Timestamp::from_unix(1_700_000_000))));
        sender.reports = Some(Arc::clone(&reports));
        let route = route(&zone, address.port(), policy.map(String::as_str));
        sender.deliver_along(&route, mail()).await;
        let collector = std::mem::replace(&mut *reports.lock().unwrap(), Collector::new(Timestamp::from_unix(0)));
        let reporter = Reporter::new("A", "tls@a.test".parse().unwrap());
        let due = collector.finish(&reporter, Timestamp::from_unix(1_700_086_399));
        let [due] = &due[..] else { panic!("{what}: {due:?}") };
        let [result] = &due.report.policies[..] else { panic!("{what}: {due:?}") };
        assert_eq!(due.domain.as_str(), "b.test");
        let detail = result.details.first();
        let kind = detail.map_or_else(|| "-".to_owned(), |detail| detail.kind.to_string());
        let found = format!("{} {} {} {kind}", result.policy.kind, result.successes, result.failures);
        assert_eq!(found, expected, "{what}: {detail:?}");
        if let Some(detail) = detail {
            assert_eq!((detail.host.as_deref(), detail.sessions), (Some("mx.b.test"), 1));
        }
    }
}

#[tokio::test]
async fn mta_sts_policies_are_kept_to() {
    let (ours, others) = (Authority::new(), Authority::new());
    let (tls, plain) = (Offers { tls: true, require_tls: false }, Offers::default());
    let policy = |mode, host| format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 86400\n");
    let (right, wrong) = (ours.identity("mx.b.test"), ours.identity("other.test"));
    let stranger = others.identity("mx.b.test");
    for (what, policy, identity, offers, expected) in [
        ("all fits", policy("enforce", "mx.b.test"), &right, tls, "250 2.0.0"),
        ("all fits below a star", policy("enforce", "*.b.test"), &right, tls, "250 2.0.0"),
        ("another host", policy("enforce", "mx.c.test"), &right, tls, "451 4.7.5"),
        ("another name", policy("enforce", "mx.b.test"), &wrong, tls, "451 4.7.5"),
        ("another authority", policy("enforce", "mx.b.test"), &stranger, tls, "451 4.7.5"),
        ("no STARTTLS", policy("enforce", "mx.b.test"), &right, plain, "454 4.7.10"),
        ("testing: another host", policy("testing", "mx.c.test"), &right, tls, "250 2.0.0"),
        ("testing: another name", policy("testing", "mx.b.test"), &wrong, tls, "250 2.0.0"),
        ("testing: no STARTTLS", policy("testing", "mx.b.test"), &right, plain, "250 2.0.0"),
        ("none", policy("none", "mx.c.test"), &wrong, plain, "250 2.0.0"),
    ] {
        let (address, taken) = host(any(), identity, offers).await;
        let outcomes = sender(&ours).deliver_along(&route(MX, address.port(), Some(&policy)), mail()).await;
        assert_eq!(codes(&outcomes), [expected], "{what}: {}", outcomes[0].reply);
        assert_eq!(taken.lock().unwrap().len(), usize::from(outcomes[0].is_delivered()), "{what}");
        assert!(outcomes[0].is_delivered() || outcomes[0].is_temporary());
    }
    // MTA-STS does not override DANE: not what fails, and not what is not known.
    let enforced = policy("enforce", "mx.b.test");
    for record in [format!("TLSA 3 1 0 {}", hex(&stranger.spki)), "SERVFAIL".into()] {
        let (address, taken) = host(any(), &right, tls).await;
        let zone = format!("{SIGNED}{MX}_PORT._tcp.mx.b.test {record}\n");
        let outcomes = sender(&ours).deliver_along(&route(&zone, address.port(), Some(&enforced)), mail()).await;
        assert!(outcomes[0].is_temporary(), "{record}: {}", outcomes[0].reply);
        assert!(taken.lock().unwrap().is_empty());
    }
}

/// RFC 8689 §4.2.1
#[tokio::test]
async fn requiretls_goes_where_a_host_is_proved_and_nowhere_else() {
    let authority = Authority::new();
    let identity = authority.identity("mx.b.test");
    let all = Offers { tls: true, require_tls: true };
    let record = format!("_PORT._tcp.mx.b.test TLSA 3 1 0 {}\n", hex(&identity.spki));
    let policy = |mode, host| format!("version: STSv1\nmode: {mode}\nmx: {host}\nmax_age: 86400\n");
    let (named, testing, other) =
        (policy("enforce", "mx.b.test"), policy("testing", "mx.b.test"), policy("testing", "mx.c.test"));
    for (what, zone, policy, offers, expected) in [
        ("records", format!("{SIGNED}{MX}{record}"), None, all, "250 2.0.0"),
        ("signed mx, a certificate that is believed", format!("{SIGNED}{MX}"), None, all, "250 2.0.0"),
        ("a policy", MX.into(), Some(&named), all, "250 2.0.0"),
        ("a policy in testing names it too", MX.into(), Some(&testing), all, "250 2.0.0"),
        ("no proof", MX.into(), None, all, "550 5.7.10"),
        ("a policy that does not name it", MX.into(), Some(&other), all, "550 5.7.10"),
        (
            "records of a host that anybody may have named",
            format!("{SIGNED}$INSECURE b.test\n$SECURE mx.b.test\n{MX}{record}"),
            None,
            all,
            "550 5.7.10",
        ),
        ("no STARTTLS", format!("{SIGNED}{MX}{record}"), None, Offers::default(), "550 5.7.10"),
        (
            "no REQUIRETLS",
            format!("{SIGNED}{MX}{record}"),
            None,
            Offers { tls: true, require_tls: false },
            "550 5.7.30",
        ),
        ("not known", format!("{SIGNED}{MX}_PORT._tcp.mx.b.test BOGUS\n"), Some(&named), all, "451 4.4.3"),
    ] {
        let (address, taken) = host(any(), &identity, offers).await;
        let route = route(&zone, address.port(), policy.map(String::as_str));
        let outcomes = sender(&authority).deliver_along(&route, required()).await;
        assert_eq!(codes(&outcomes), [expected], "{what}: {}", outcomes[0].reply);
        let expected = if outcomes[0].is_delivered() { vec![(true, true)] } else { Vec::new() };
        assert_eq!(*taken.lock().unwrap(), expected, "{what}");
    }
    // The certificate is for another name, and no record says that it need not be.
    let wrong = authority.identity("other.test");
    let (address, taken) = host(any(), &wrong, all).await;
    let outcomes =
        sender(&authority).deliver_along(&route(&format!("{SIGNED}{MX}"), address.port(), None), required()).await;
    assert_eq!(codes(&outcomes), ["550 5.7.10"], "{}", outcomes[0].reply);
    assert!(taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_pooled_session_serves_only_what_it_was_opened_for() {
    let authority = Authority::new();
    let (identity, stranger) = (authority.identity("mx.b.test"), authority.identity("mx.b.test"));
    let tls = Offers { tls: true, require_tls: false };
    let (address, taken) = host(any(), &identity, tls).await;
    let by = |record: &str| route(&format!("{SIGNED}{MX}{record}"), address.port(), None);
    let record = |identity: &Identity| format!("_PORT._tcp.mx.b.test TLSA 3 1 0 {}\n", hex(&identity.spki));
    let pool = Pool::new(Sender::new(ClientConfig::new("ada.test").unwrap()).unwrap(), PoolConfig::default());
    for (route, expected) in [
        (by(""), "250 2.0.0"),
        (by(&record(&stranger)), "451 4.7.5"),
        (by("_PORT._tcp.mx.b.test SERVFAIL\n"), "451 4.4.3"),
        (by(&record(&identity)), "250 2.0.0"),
        (by(&record(&identity)), "250 2.0.0"),
        (by(""), "250 2.0.0"),
    ] {
        let delivery = pool.turn(&route).await.unwrap().deliver(mail()).await;
        assert_eq!(codes(&delivery.outcomes), [expected], "{}", delivery.outcomes[0].reply);
    }
    assert_eq!(taken.lock().unwrap().len(), 4);
    pool.close().await;
}

/// A source of texts that are to hand, one after the other.
#[derive(Debug)]
struct Texts(Mutex<VecDeque<Result<&'static str, FetchError>>>);

impl Source for Texts {
    fn fetch<'a>(&'a self, _: &'a Name) -> Fetching<'a> {
        let text = self.0.lock().unwrap().pop_front().expect("no more than that is fetched");
        Box::pin(async move {
            tokio::task::yield_now().await;
            text.map(|text| Policy::parse(text.as_bytes()).unwrap())
        })
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_for_all_who_ask_and_kept() {
    const FIRST: &str = "version: STSv1\nmode: enforce\nmx: mx.b.test\nmax_age: 864000\n";
    const SECOND: &str = "version: STSv1\nmode: enforce\nmx: my.b.test\nmax_age: 864000\n";
    let texts = [Ok(FIRST), Err(FetchError::Status(503)), Ok(SECOND)];
    let mta_sts = MtaSts::new(Texts(Mutex::new(texts.into())), Cache::new());
    let domain: Name = "b.test".parse().unwrap();
    let zone = |text: &str| text.parse::<Zone>().unwrap().ask(Lookup::new(&domain));
    let (first, second) =
        (zone("_mta-sts.b.test TXT \"v=STSv1; id=1\""), zone("_mta-sts.b.test TXT \"v=STSv1; id=2\""));
    let at = |seconds: i64| Timestamp::from_unix(1_700_000_000 + seconds);
    let allows = |found: facteur::net::mta_sts::Found, host: &str| found.policy.unwrap().allows(&host.parse().unwrap());

    assert!(mta_sts.policy_by(&domain, zone("b.test A 192.0.2.1"), at(0)).await.policy.is_none());
    let (one, other) = tokio::join!(
        mta_sts.policy_by(&domain, first.clone(), at(0)),
        mta_sts.policy_by(&domain, first.clone(), at(0))
    );
    assert!(allows(one, "mx.b.test") && allows(other, "mx.b.test"));
    // A new one that cannot be fetched takes nothing away, and is not asked for again at once.
    let found = mta_sts.policy_by(&domain, second.clone(), at(10)).await;
    assert_eq!(found.failure.as_ref().map(FetchError::kind), Some(FailureKind::StsPolicyFetchError));
    assert!(allows(found, "mx.b.test"));
    assert!(allows(mta_sts.policy_by(&domain, second.clone(), at(11)).await, "mx.b.test"));
    // Nor does a record that cannot be found.
    let found = mta_sts.policy_by(&domain, zone("_mta-sts.b.test TIMEOUT"), at(12)).await;
    assert!(found.failure.is_none() && allows(found, "mx.b.test"));
    assert!(allows(mta_sts.policy_by(&domain, second, at(400)).await, "my.b.test"));
    // What was kept serves another time.
    let kept = MtaSts::new(Texts(Mutex::default()), mta_sts.cache());
    assert!(allows(kept.policy_by(&domain, zone("x.test A 192.0.2.1"), at(500)).await, "my.b.test"));
}

/// A name server that answers out of a zone.
async fn name_server(zone: &str) -> SocketAddr {
    let zone: Zone = zone.parse().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((n, peer)) = udp.recv_from(&mut query).await {
            let query = Packet::from_vec(&query[..n]).unwrap();
            let asked = &query.queries[0];
            let mut response = Packet::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
            response.add_query(asked.clone());
            let kind = RecordType::ALL.into_iter().find(|kind| kind.as_str() == asked.query_type().to_string());
            let found = zone.answer(&Question::new(asked.name().to_string().parse().unwrap(), kind.unwrap())).found;
            for data in found.iter().flat_map(|found| found.iter()) {
                let data = match data {
                    Data::A(address) => RData::A((*address).into()),
                    Data::Txt(text) => RData::TXT(rdata::TXT::from_bytes(vec![&text[..]])),
                    Data::Mx { preference, exchange } => {
                        let exchange = format!("{exchange}.").parse().unwrap();
                        RData::MX(rdata::MX::new(*preference, exchange))
                    }
                    _ => continue,
                };
                response.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
            }
            if found.is_err() {
                response.metadata.response_code = ResponseCode::NXDomain;
            }
            udp.send_to(&response.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    address
}

/// A web server with one answer to everything.
async fn web_server(identity: &Identity, response: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(any()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
            let asked = request.starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.b.test\r\n");
            let response = if asked { response } else { "HTTP/1.1 400 Bad Request\r\n\r\n" };
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn policies_come_from_web_servers_that_are_proved() {
    const POLICY: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n\
                          version: STSv1\r\nmode: enforce\r\nmx: mx.b.test\r\nmax_age: 86400\r\n";
    let (ours, others) = (Authority::new(), Authority::new());
    let name_server = name_server("mta-sts.b.test A 127.0.0.1").await;
    let resolver = Resolver::with_servers([name_server]).unwrap();
    let domain: Name = "b.test".parse().unwrap();
    for (identity, response, expected) in [
        (ours.identity("mta-sts.b.test"), POLICY, None),
        (ours.identity("*.b.test"), POLICY, None),
        (ours.identity("b.test"), POLICY, Some(FailureKind::StsWebPkiInvalid)),
        (others.identity("mta-sts.b.test"), POLICY, Some(FailureKind::StsWebPkiInvalid)),
        (
            ours.identity("mta-sts.b.test"),
            "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",
            Some(FailureKind::StsPolicyFetchError),
        ),
        (
            ours.identity("mta-sts.b.test"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: STSv2",
            Some(FailureKind::StsPolicyInvalid),
        ),
    ] {
        let server = web_server(&identity, response).await;
        let mut https = Https::new(resolver.clone(), Connector::with_roots(ours.pem.as_bytes()).unwrap());
        https.port = server.port();
        let result = https.fetch(&domain).await;
        assert_eq!(result.as_ref().err().map(FetchError::kind), expected, "{result:?}");
    }
    let https = Https::new(resolver.clone(), Connector::with_roots(ours.pem.as_bytes()).unwrap());
    let error = https.fetch(&"c.test".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error}");
    let https = Https::new(resolver, Connector::unverified());
    assert!(matches!(https.fetch(&domain).await, Err(FetchError::Untrusted(_))));
}

#[tokio::test]
async fn a_route_is_found_with_what_its_hosts_must_prove() {
    const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.b.test\nmax_age: 864000\n";
    const ZONE: &str = "b.test MX 10 mx.b.test\nb.test MX 20 mx.c.test\nmx.b.test A 127.0.0.1\nmx.c.test A 127.0.0.2\n\
                        _mta-sts.b.test TXT \"v=STSv1; id=1\"\n";
    let resolver = Resolver::with_servers([name_server(ZONE).await]).unwrap();
    let mut sender = Sender::new(ClientConfig::new("ada.test").unwrap()).unwrap();
    let domain = "b.test".parse().unwrap();
    assert_eq!(sender.route(&resolver, &domain).await.unwrap(), route(ZONE, 25, None));
    sender.mta_sts = Some(MtaSts::new(Texts(Mutex::new([Ok(POLICY)].into())), Cache::new()));
    for _ in 0..2 {
        assert_eq!(sender.route(&resolver, &domain).await.unwrap(), route(ZONE, 25, Some(POLICY)));
    }
    // One that cannot be fetched is counted, and nothing is held up.
    sender.mta_sts = Some(MtaSts::new(Texts(Mutex::new([Err(FetchError::Status(404))].into())), Cache::new()));
    let reports = Arc::new(Mutex::new(Collector::new(Timestamp::from_unix(0))));
    sender.reports = Some(Arc::clone(&reports));
    assert_eq!(sender.route(&resolver, &domain).await.unwrap(), route(ZONE, 25, None));
    let collector = reports.lock().unwrap().clone();
    let reporter = Reporter::new("A", "tls@a.test".parse().unwrap());
    let due = collector.finish(&reporter, Timestamp::from_unix(86_399)).remove(0);
    assert_eq!(due.report.policies[0].details[0].kind, FailureKind::StsPolicyFetchError);
}
