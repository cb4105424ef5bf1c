//! Sending and asking over sockets of the loopback interface.
#![cfg(feature = "net")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use facteur::address::Address;
use facteur::base::Secret;
use facteur::dns::{Answer, Data, Failure, Question, RecordType, Zone, mx};
use facteur::message::Message;
use facteur::net::submit::{Encryption, SendError, Sender};
use facteur::net::tls::{Acceptor, Connector};
use facteur::net::{self, Driver, Resolver};
use facteur::smtp::client::{By, ClientConfig, StartTls};
use facteur::smtp::server::{Server, ServerConfig, ServerEvent};
use facteur::smtp::{self, Enhanced, Envelope, ForwardPath, Outcome, Outgoing, Reply, Stage};
use hickory_proto::op::{Message as Packet, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType as Kind, rdata};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UdpSocket};

/// A message as a server took it, and whether it came over TLS.
type Taken = Arc<Mutex<Vec<(Envelope, String, bool)>>>;

/// A server on the loopback interface that takes all but `no-one`, and what it took.
async fn server(acceptor: Option<Acceptor>, encryption: Encryption) -> (SocketAddr, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Taken::default();
    let all = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let mut config = ServerConfig::new("mx.test").unwrap();
            if acceptor.is_some() && encryption == Encryption::ByCommand {
                config.starttls = smtp::server::StartTls::Offered;
            }
            let server = Server::new(config, peer.ip(), std::time::Instant::now());
            let mut smtp = Driver::new(server, stream);
            if let Some(acceptor) = &acceptor {
                smtp = smtp.with_tls(acceptor.clone());
            }
            if encryption == Encryption::FromTheStart {
                match smtp.encrypted().await {
                    Ok(encrypted) => smtp = encrypted,
                    Err(_) => continue,
                }
            }
            while let Ok(Some(event)) = smtp.next().await {
                match event {
                    ServerEvent::Rcpt { to: ForwardPath::Address(to), .. } if to.local() == "no-one" => {
                        smtp.reply(Reply::new(550, Enhanced(5, 1, 1), "no such user"));
                    }
                    ServerEvent::Message(mail) => {
                        let text = String::from_utf8(mail.content.to_vec()).unwrap();
                        let tls = smtp.session().tls.is_some();
                        all.lock().unwrap().push((mail.envelope, text, tls));
                        smtp.accept();
                    }
                    _ => smtp.accept(),
                }
            }
        }
    });
    (address, taken)
}

/// A server that says these lines, one after each line that it reads, and then hangs up; each connection gets the next
/// script.
async fn script(scripts: &'static [&'static [&'static str]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            for lines in *script {
                stream.get_mut().write_all(lines.as_bytes()).await.unwrap();
                let _ = stream.read_line(&mut String::new()).await;
            }
        }
    });
    address
}

fn config() -> ClientConfig {
    ClientConfig::new("ada.test").unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn mail(to: &[&str]) -> Outgoing {
    let to = to.iter().map(|to| ForwardPath::from(address(to)));
    Outgoing::new(Envelope::new(address("ada@a.test").into(), to), "Subject: hi\r\n\r\nHello.\r\n")
}

fn shown(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .map(|outcome| format!("{} {:?} {:?} {}", outcome.to, outcome.stage, outcome.by, outcome.reply))
        .collect()
}

fn identity() -> (Acceptor, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let chain = made.cert.pem();
    let key = Secret::from(made.signing_key.serialize_pem());
    (Acceptor::from_pem(chain.as_bytes(), &key).unwrap(), chain)
}

#[tokio::test]
async fn a_message_is_sent_by_what_its_header_says() {
    let (server, taken) = server(None, Encryption::ByCommand).await;
    let message = Message::parse("From: ada@a.test\r\nTo: bob@b.test\r\nCc: no-one@b.test\r\n\r\nHello.\r\n");
    let outcomes = net::send(&server.to_string(), config(), &message).await.unwrap();
    assert_eq!(
        shown(&outcomes),
        ["<no-one@b.test> Rcpt Server 550 5.1.1 no such user", "<bob@b.test> Message Server 250 2.0.0 OK"]
    );
    let taken = taken.lock().unwrap();
    let [(envelope, text, false)] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!(envelope.from.to_string(), "<ada@a.test>");
    assert_eq!(text.as_bytes(), message.raw());
}

#[tokio::test]
async fn tls_is_used_where_it_is_there() {
    let (acceptor, chain) = identity();
    let (server, taken) = server(Some(acceptor), Encryption::ByCommand).await;
    let to = server.to_string();
    assert!(net::send(&to, config(), mail(&["bob@b.test"])).await.unwrap()[0].is_delivered());
    // Nobody known vouches for it, so it will not do where that is asked for.
    let mut required = config();
    required.starttls = StartTls::Required;
    let (_, other) = identity();
    let stranger = Sender::with_connector(required.clone(), Connector::with_roots(other.as_bytes()).unwrap());
    assert!(matches!(stranger.send(&to, mail(&["bob@b.test"])).await, Err(SendError::Tls(_))));
    let friend = Sender::with_connector(required, Connector::with_roots(chain.as_bytes()).unwrap());
    assert!(friend.send(&to, &mail(&["bob@b.test"])).await.unwrap()[0].is_delivered());
    let mut never = config();
    never.starttls = StartTls::Never;
    assert!(net::send(&to, never, mail(&["bob@b.test"])).await.unwrap()[0].is_delivered());
    let tls: Vec<_> = taken.lock().unwrap().iter().map(|(_, _, tls)| *tls).collect();
    assert_eq!(tls, [true, true, false]);
}

#[tokio::test]
async fn tls_from_the_start() {
    let (acceptor, chain) = identity();
    let (server, taken) = server(Some(acceptor), Encryption::FromTheStart).await;
    let mut sender = Sender::with_connector(config(), Connector::with_roots(chain.as_bytes()).unwrap());
    sender.encryption = Encryption::FromTheStart;
    let outcomes = sender.send(&format!("localhost:{}", server.port()), mail(&["bob@b.test"])).await.unwrap();
    assert!(outcomes[0].is_delivered());
    assert!(taken.lock().unwrap()[0].2);
}

#[tokio::test]
async fn opportunistic_tls_that_fails_is_done_without() {
    const HELLO: &str = "250-mx.test\r\n250 STARTTLS\r\n";
    let server = script(&[
        &["220 mx.test\r\n", HELLO, "220 go\r\n"],
        &["220 mx.test\r\n", HELLO, "250 OK\r\n", "250 OK\r\n", "421 enough\r\n"],
    ])
    .await;
    let outcomes = net::send(&server.to_string(), config(), mail(&["bob@b.test"])).await.unwrap();
    assert_eq!(shown(&outcomes), ["<bob@b.test> Data Server 421 enough"]);
}

#[tokio::test]
async fn whoever_is_undecided_when_a_server_breaks_off_is_to_be_tried_again() {
    let server = script(&[&["220 mx.test\r\n", "250 mx.test\r\n", "250 OK\r\n", "550 no\r\n"]]).await;
    let outcomes = net::send(&server.to_string(), config(), mail(&["no-one@b.test", "bob@b.test"])).await.unwrap();
    assert_eq!(
        shown(&outcomes),
        ["<no-one@b.test> Rcpt Server 550 no", "<bob@b.test> Rcpt Client 421 4.4.0 connection closed at RCPT"]
    );
    assert!(!outcomes[0].is_temporary() && outcomes[1].is_temporary());
}

#[tokio::test]
async fn a_server_that_wants_nothing_says_so_for_each_recipient() {
    let server = script(&[&["554 5.7.1 go away\r\n", "221 bye\r\n"]]).await;
    let outcomes = net::send(&server.to_string(), config(), mail(&["a@b.test", "b@b.test"])).await.unwrap();
    assert_eq!(
        shown(&outcomes),
        ["<a@b.test> Connect Server 554 5.7.1 go away", "<b@b.test> Connect Server 554 5.7.1 go away"]
    );
}

#[tokio::test]
async fn what_keeps_a_message_from_being_sent_is_told() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let send = |to: String| async move { net::send(&to, config(), mail(&["bob@b.test"])).await.unwrap_err() };
    assert!(matches!(send(dead.to_string()).await, SendError::Connect(_)));
    assert!(matches!(send("mx.test".into()).await, SendError::BadServer));
    assert!(matches!(send("mx.test:smtp".into()).await, SendError::BadServer));
    let message = Message::parse("Subject: to nobody\r\n\r\n");
    let error = net::send(&dead.to_string(), config(), &message).await.unwrap_err();
    assert!(matches!(error, SendError::Envelope(_)));
}

/// A name server that answers out of a zone: `cut.` names only over TCP, and nothing at all of `silent.` names.
async fn name_server(zone: &str) -> SocketAddr {
    let zone: Zone = zone.parse().unwrap();
    let (udp, tcp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let over_tcp = zone.clone();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((n, peer)) = udp.recv_from(&mut query).await {
            if let Some(response) = respond(&zone, &query[..n], false) {
                udp.send_to(&response, peer).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            while let Ok(n) = stream.read_u16().await {
                let mut query = vec![0; n.into()];
                stream.read_exact(&mut query).await.unwrap();
                let response = respond(&over_tcp, &query, true).unwrap();
                stream.write_u16(response.len() as u16).await.unwrap();
                stream.write_all(&response).await.unwrap();
            }
        }
    });
    address
}

fn respond(zone: &Zone, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let query = Packet::from_vec(query).unwrap();
    let asked: &Query = &query.queries[0];
    let name = asked.name().to_string();
    let kind = RecordType::ALL.into_iter().find(|kind| kind.as_str() == asked.query_type().to_string()).unwrap();
    let mut response = Packet::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    response.add_query(asked.clone());
    if name.starts_with("silent.") {
        return None;
    }
    if name.starts_with("cut.") && !tcp {
        response.metadata.truncation = true;
        return Some(response.to_vec().unwrap());
    }
    match zone.answer(&Question::new(name.parse().unwrap(), kind)).found {
        Ok(found) => found.iter().cloned().for_each(|data| {
            let data = match data {
                Data::A(address) => RData::A(address.into()),
                Data::Mx { preference, exchange } => {
                    let dot = if exchange.is_root() { "" } else { "." };
                    RData::MX(rdata::MX::new(preference, Name::from_ascii(format!("{exchange}{dot}")).unwrap()))
                }
                Data::Txt(text) => RData::TXT(rdata::TXT::new(vec![String::from_utf8(text.to_vec()).unwrap()])),
                other => panic!("{other:?}"),
            };
            response.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
        }),
        Err(Failure::NxDomain) => response.metadata.response_code = ResponseCode::NXDomain,
        Err(Failure::NoData) => {}
        Err(_) => response.metadata.response_code = ResponseCode::ServFail,
    }
    assert_ne!(asked.query_type(), Kind::ANY);
    Some(response.to_vec().unwrap())
}

const ZONE: &str = "
    b.test       MX 10 first.b.test
    b.test       MX 20 second.b.test
    first.b.test A 127.0.0.2
    second.b.test A 127.0.0.1
    null.test    MX 0 .
    text.test    TXT hello
    cut.test     TXT long
    broken.test  SERVFAIL
    self.test    MX 10 ada.test
    ada.test     A 127.0.0.1
";

#[tokio::test]
async fn answers_and_failures_of_the_dns_are_told_apart() {
    let resolver = Resolver::with_servers([name_server(ZONE).await]).unwrap();
    let text = |text: &'static str| Ok([Data::Txt(text.into())].into());
    for (name, kind, expected) in [
        ("text.test", RecordType::Txt, text("hello")),
        ("cut.test", RecordType::Txt, text("long")),
        ("text.test", RecordType::A, Err(Failure::NoData)),
        ("none.test", RecordType::A, Err(Failure::NxDomain)),
        ("broken.test", RecordType::A, Err(Failure::ServFail)),
        ("first.b.test", RecordType::A, Ok([Data::A([127, 0, 0, 2].into())].into())),
    ] {
        let Answer { found, secure, .. } = resolver.answer(&Question::new(name.parse().unwrap(), kind)).await;
        assert_eq!((found, secure), (expected, false), "{name} {kind}");
    }
}

#[tokio::test]
async fn a_name_server_that_is_silent_is_a_timeout() {
    let server = name_server(ZONE).await;
    // From here on the clock runs ahead whenever nothing is to be done.
    tokio::time::pause();
    let resolver = Resolver::with_servers([server]).unwrap();
    let answer = resolver.answer(&Question::new("silent.test".parse().unwrap(), RecordType::A)).await;
    assert_eq!(answer.found, Err(Failure::Timeout));
}

#[tokio::test]
async fn the_next_mail_host_is_asked_where_the_first_is_not_there() {
    let (server, taken) = server(None, Encryption::ByCommand).await;
    let resolver = Resolver::with_servers([name_server(ZONE).await]).unwrap();
    let targets = resolver.ask(mx::Lookup::new(address("bob@b.test").domain(), 1)).await.unwrap();
    assert_eq!(targets.hosts.len(), 2);
    let sender = Sender::new(config()).unwrap();
    let outcomes = sender.deliver_to(&targets, server.port(), mail(&["bob@b.test", "no-one@b.test"])).await;
    assert_eq!(
        shown(&outcomes),
        ["<no-one@b.test> Rcpt Server 550 5.1.1 no such user", "<bob@b.test> Message Server 250 2.0.0 OK"]
    );
    assert_eq!(taken.lock().unwrap().len(), 1);
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcomes = sender.deliver_to(&targets, dead.port(), mail(&["bob@b.test"])).await;
    assert_eq!((outcomes[0].stage, outcomes[0].by, outcomes[0].is_temporary()), (Stage::Connect, By::Client, true));
}

#[tokio::test]
async fn a_host_that_may_have_the_message_is_the_last_that_is_asked() {
    // The text is read as its lines are answered; then the connection ends without an answer to its end.
    let lost =
        script(&[&["220 mx.test\r\n", "250 mx.test\r\n", "250 OK\r\n", "250 OK\r\n", "354 go on\r\n", "", "", ""]])
            .await;
    let zone: Zone =
        "b.test MX 1 a.b.test\nb.test MX 2 b.b.test\na.b.test A 127.0.0.1\nb.b.test A 127.0.0.1".parse().unwrap();
    let targets = zone.ask(mx::Lookup::new(address("bob@b.test").domain(), 1)).unwrap();
    let outcomes = Sender::new(config()).unwrap().deliver_to(&targets, lost.port(), mail(&["bob@b.test"])).await;
    // The second host would have refused the connection, for its script is over.
    assert_eq!((outcomes[0].stage, outcomes[0].is_temporary()), (Stage::Message, true), "{:?}", outcomes);
}

#[tokio::test]
async fn where_no_mail_can_go_is_told_without_a_connection() {
    let resolver = Resolver::with_servers([name_server(ZONE).await]).unwrap();
    let sender = Sender::new(config()).unwrap();
    let to = ["a@null.test", "b@none.test", "c@broken.test", "d@self.test", "e@text.test"];
    let mut mail = mail(&to);
    mail.envelope.recipients.push(ForwardPath::Postmaster.into());
    assert_eq!(
        shown(&sender.deliver(&resolver, &mail).await),
        [
            "<Postmaster> Rcpt Client 553 5.1.3 a recipient without a domain",
            "<c@broken.test> Connect Client 451 4.4.3 dns: server failure",
            "<b@none.test> Connect Client 550 5.1.2 no such domain",
            "<a@null.test> Connect Client 556 5.1.10 the domain takes no mail",
            "<d@self.test> Connect Client 554 5.4.6 mail for the domain loops back here",
            "<e@text.test> Connect Client 550 5.4.4 the domain has no address",
        ]
    );
}
