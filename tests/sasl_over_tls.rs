//! SCRAM-PLUS over a true TLS session.
#![cfg(feature = "net")]

use std::num::NonZeroU32;
use std::time::Instant;

use facteur::base::Secret;
use facteur::net::Driver;
use facteur::net::tls::{Acceptor, Connector};
use facteur::sasl::{Answer, Credentials, Hash, Identity, Login, Mechanism, Offer, Question, Verifier};
use facteur::smtp::{Client, ClientConfig, ClientEvent, Server, ServerConfig, ServerEvent};
use tokio::io::DuplexStream;

fn acceptor() -> Acceptor {
    let made = rcgen::generate_simple_self_signed(["mx.test".to_owned()]).unwrap();
    Acceptor::from_pem(made.cert.pem().as_bytes(), &Secret::from(made.signing_key.serialize_pem())).unwrap()
}

type End<M> = Driver<M, DuplexStream>;

/// A server behind TLS, with the client's end of its connection.
async fn server(mechanisms: &[Mechanism]) -> (tokio::task::JoinHandle<End<Server>>, DuplexStream) {
    let (near, far) = tokio::io::duplex(1000);
    let mut config = ServerConfig::new("mx.test").unwrap();
    config.auth = Offer::new(mechanisms.iter().copied());
    let server = Server::new(config, [127, 0, 0, 1].into(), Instant::now());
    let driver = Driver::new(server, far).with_tls(acceptor());
    (tokio::spawn(async move { serve(driver.encrypted().await.unwrap()).await }), near)
}

async fn serve(mut driver: End<Server>) -> End<Server> {
    while let Ok(Some(event)) = driver.next().await {
        match event {
            ServerEvent::Ask(Question::Keys { hash, .. }) => {
                let iterations = NonZeroU32::new(4096).unwrap();
                driver.tell(Answer::Keys(Verifier::with_hash(hash, &"tanstaaf".into(), b"salt", iterations)));
            }
            ServerEvent::AuthFailed(_) => {}
            _ => driver.accept(),
        }
    }
    driver
}

fn client(mechanisms: &[Mechanism], stream: DuplexStream) -> End<Client> {
    let mut login = Login::new(Identity::new("ada"), Credentials::Password("tanstaaf".into()));
    login.mechanisms = mechanisms.to_vec();
    let mut config = ClientConfig::new("ada.test").unwrap();
    config.login = Some(login);
    let side = Connector::unverified().to("mx.test").unwrap();
    Driver::new(Client::new(config, Instant::now()), stream).with_tls(side)
}

#[tokio::test]
async fn both_sides_know_the_same_of_their_session() {
    let mechanism = Mechanism::ScramPlus(Hash::Sha256);
    let (server, near) = server(&[mechanism]).await;
    let mut client = client(&[mechanism], near).encrypted().await.unwrap();
    assert_eq!(client.next().await.unwrap(), Some(ClientEvent::Ready));
    client.quit();
    assert_eq!(client.next().await.unwrap(), None);
    let server = server.await.unwrap();
    assert_eq!(server.session().identity.as_deref(), Some("ada"));
    let (ours, theirs) = (client.tls().unwrap(), server.session().tls.as_ref().unwrap());
    assert_eq!(ours.version, "TLSv1.3");
    assert_eq!(ours.exporter.as_ref().unwrap().len(), 32);
    assert_eq!(ours.end_point.as_ref().unwrap().len(), 32);
    assert_eq!((&ours.exporter, &ours.end_point), (&theirs.exporter, &theirs.end_point));
}
