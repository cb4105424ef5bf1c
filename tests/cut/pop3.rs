//! The talks of tests/talks/pop3.
//!
//! `GIVEN maildrop 120 200` puts messages of so many octets into the maildrop, `GIVEN message TEXT` one with this text
//! (escapes read), `GIVEN config NAME` changes the configuration. The user is `mrose`, the password `secret`.

use std::sync::Arc;
use std::time::Duration;

use facteur::base::{Secret, Timestamp};
use facteur::pop3::{Backend, Expire, Progress, Refusal, Server, ServerConfig, ServerEvent};
use facteur::sasl::{Credentials, Identity, Mechanism, Offer};
use facteur::store::{Flags, Mailbox, Store, memory};

use crate::sasl;
use crate::talk::{Seen, Side, Talk, play_all, unescape};

#[test]
fn pop3_talks() {
    play_all("pop3", Side::Server, |talk, start| {
        let (config, store) = scene(talk);
        let server = Server::new(Arc::new(config), start);
        let mut backend = None;
        (server, move |server: &mut Server, event| {
            let seen = format!("{event:?}");
            match event {
                ServerEvent::Login { identity, credentials } if is_known(&identity, &credentials) => {
                    backend = Some(Backend::new(store.open("INBOX").unwrap()));
                    server.accept();
                }
                ServerEvent::Login { identity, .. } => server.refuse(match identity.name() {
                    "busy" => Refusal::InUse,
                    "hasty" => Refusal::LoginDelay,
                    "broken" => Refusal::Permanent,
                    "down" => Refusal::Temporary,
                    _ => Refusal::Credentials,
                }),
                ServerEvent::Ask(question) => server.tell(sasl::answer(&question)),
                ServerEvent::AuthFailed(_) => {}
                ServerEvent::Request(request) => {
                    let backend = backend.as_mut().expect("a request comes after a login");
                    backend.begin(request);
                    while backend.step(server) == Progress::More {}
                }
                _ => unreachable!("{seen}"),
            }
            Seen::Event(seen)
        })
    });
}

fn is_known(identity: &Identity, credentials: &Credentials) -> bool {
    match credentials {
        Credentials::Password(password) => identity.name() == "mrose" && *password == Secret::from("secret"),
        // RFC 7628 §4.1
        Credentials::Token(token) => *token == Secret::from("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
        Credentials::Proven => true,
        _ => false,
    }
}

fn scene(talk: &Talk) -> (ServerConfig, memory::Store) {
    let mut config = ServerConfig::new();
    config.clear_text = true;
    config.auth = Offer::new([Mechanism::Plain, Mechanism::Login]);
    let store = memory::Store::new();
    let mut inbox = store.open("INBOX").unwrap();
    let mut put = |text: &[u8]| inbox.append(text, &Flags::new(), Timestamp::from_unix(0)).map(drop).unwrap();
    for given in &talk.given {
        let (what, rest) = given.split_once(' ').unwrap();
        match what {
            _ if sasl::given(&mut config.auth, what, rest) => {}
            "maildrop" => rest.split(' ').for_each(|octets| {
                let octets: usize = octets.parse().unwrap();
                put(format!("S: a\r\n\r\n{}\r\n", "x".repeat(octets - 10)).as_bytes());
            }),
            "message" => put(&unescape(rest)),
            "config" => rest.split(' ').for_each(|name| match name {
                "mechanisms" => config.auth = sasl::offer(),
                "apop" => config.apop = true,
                "tls-only" => config.clear_text = false,
                "starttls" => config.starttls = true,
                "bare-lf" => config.quirks.bare_lf = true,
                "few-errors" => config.max_errors = 2,
                "full-capa" => {
                    config.expire = Some(Expire::Never);
                    config.login_delay = Some(Duration::from_secs(900));
                    config.implementation = Some("Shlemazle-Plotz-v302".into());
                }
                _ => panic!("no such configuration: {name}"),
            }),
            _ => panic!("no such scene: {given}"),
        }
    }
    (config, store)
}
