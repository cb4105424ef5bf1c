//! Every mechanism over SMTP, POP3 and IMAP, our client against our server, in memory.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use facteur::base::{Machine, Secret, Step, Tls};
use facteur::sasl::{
    Answer, Channel, ClientExchange, Credentials, Identity, Login, Mechanism, Offer, Question, Verifier,
};
use facteur::{imap, pop3, smtp};

const PASSWORD: &str = "tanstaaf";

fn tls() -> Tls {
    let mut tls = Tls::default();
    tls.exporter = Some("exporter".into());
    tls.peer_certificates = vec!["certificate".into()];
    tls
}

/// Every mechanism, with credentials that will do and others that will not.
fn cases() -> Vec<(Mechanism, Credentials, Credentials)> {
    let cases = Mechanism::ALL.into_iter().map(|mechanism| match mechanism {
        Mechanism::External => (mechanism, Credentials::External, None),
        Mechanism::Anonymous => (mechanism, Credentials::Anonymous { trace: "ada".into() }, None),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
            (mechanism, Credentials::Token("token".into()), Some(Credentials::Token("old".into())))
        }
        _ => (mechanism, Credentials::Password(PASSWORD.into()), Some(Credentials::Password("wrong".into()))),
    });
    cases.map(|(mechanism, right, wrong)| (mechanism, right.clone(), wrong.unwrap_or(right))).collect()
}

fn login(mechanism: Mechanism, credentials: &Credentials) -> Login {
    let mut login = Login::new(Identity::new("ada"), credentials.clone());
    login.mechanisms = vec![mechanism];
    login
}

fn answer(question: &Question) -> Answer {
    match question {
        Question::Keys { hash, .. } => {
            Answer::Keys(Verifier::with_hash(*hash, &PASSWORD.into(), b"salt", NonZeroU32::new(4096).unwrap()))
        }
        Question::Password { .. } => Answer::Password(PASSWORD.into()),
        _ => Answer::Nobody,
    }
}

fn is_known(identity: &Identity, credentials: &Credentials) -> bool {
    match credentials {
        Credentials::Password(password) => identity.name() == "ada" && *password == Secret::from(PASSWORD),
        Credentials::Token(token) => *token == Secret::from("token"),
        _ => true,
    }
}

/// Moves what is outgoing.
fn take(machine: &mut impl Machine) -> Vec<u8> {
    let mut octets = Vec::new();
    let wire = machine.wire();
    while !wire.outgoing().is_empty() {
        octets.extend_from_slice(wire.outgoing());
        let n = wire.outgoing().len();
        wire.sent(n);
    }
    octets
}

#[test]
fn smtp_client_and_server_agree() {
    let talk = |mechanism: Mechanism, credentials: &Credentials| {
        let now = Instant::now();
        let mut config = smtp::ServerConfig::new("mx.test").unwrap();
        config.auth = Offer::new([mechanism]);
        let mut server = smtp::Server::new(config, [127, 0, 0, 1].into(), now);
        let mut config = smtp::ClientConfig::new("ada.test").unwrap();
        config.login = Some(login(mechanism, credentials));
        let mut client = smtp::Client::new(config, now);
        server.tls_started(tls());
        client.tls_started(tls());
        for _ in 0..100 {
            match client.poll().unwrap() {
                Step::Event(smtp::ClientEvent::Ready) => {
                    assert!(server.session().identity.is_some());
                    return true;
                }
                Step::Event(smtp::ClientEvent::Refused { reply, .. }) => {
                    assert_eq!(reply.code(), 535, "{mechanism}: {reply}");
                    return false;
                }
                _ => {}
            }
            server.wire().feed(&take(&mut client));
            while let Step::Event(event) = server.poll().unwrap() {
                match event {
                    smtp::ServerEvent::Ask(question) => server.tell(answer(&question)),
                    smtp::ServerEvent::Auth { identity, credentials } if !is_known(&identity, &credentials) => {
                        server.reply(smtp::Reply::new(535, smtp::Enhanced(5, 7, 8), "no"));
                    }
                    smtp::ServerEvent::AuthFailed(_) => {}
                    _ => server.accept(),
                }
            }
            let said = take(&mut server);
            client.wire().feed(&said);
        }
        panic!("{mechanism}: it comes to no end");
    };
    for (mechanism, right, wrong) in cases() {
        assert!(talk(mechanism, &right), "{mechanism}");
        assert_eq!(talk(mechanism, &wrong), right == wrong, "{mechanism}");
    }
}

/// Says a line to a server and gives back what it says. The clock goes on, for failures are answered late.
fn exchange<M: Machine>(
    server: &mut M,
    line: &str,
    now: &mut Instant,
    mut app: impl FnMut(&mut M, M::Event),
) -> String {
    server.wire().feed(line.as_bytes());
    server.wire().feed(b"\r\n");
    for _ in 0..2 {
        while let Ok(Step::Event(event)) = server.poll() {
            app(server, event);
        }
        *now += Duration::from_secs(5);
        server.tick(*now);
    }
    String::from_utf8(take(server)).unwrap()
}

/// What a client says next, for the answer `+ challenge`; `None` where the answer ends the exchange.
fn next(client: &mut ClientExchange, answer: &str) -> Option<String> {
    let challenge = answer.strip_prefix("+ ")?.trim_end();
    let challenge = BASE64_STANDARD.decode(challenge).unwrap();
    Some(match client.respond(&challenge) {
        Ok(response) => BASE64_STANDARD.encode(response.expose()),
        Err(_) => "*".to_owned(),
    })
}

/// `mechanism` with an initial response where there is one.
fn first(mechanism: Mechanism, initial: Option<Secret>) -> String {
    match initial {
        None => mechanism.to_string(),
        Some(initial) if initial.expose().is_empty() => format!("{mechanism} ="),
        Some(initial) => format!("{mechanism} {}", BASE64_STANDARD.encode(initial.expose())),
    }
}

#[test]
fn pop3_lets_in_who_is_right() {
    let app = |server: &mut pop3::Server, event: pop3::ServerEvent| match event {
        pop3::ServerEvent::Ask(question) => server.tell(answer(&question)),
        pop3::ServerEvent::Login { identity, credentials } if is_known(&identity, &credentials) => server.accept(),
        pop3::ServerEvent::Login { .. } => server.refuse(pop3::Refusal::Credentials),
        pop3::ServerEvent::AuthFailed(identity) => assert_eq!(identity.authcid, "ada"),
        other => panic!("{other:?}"),
    };
    for (mechanism, right, wrong) in cases() {
        for (credentials, with_initial) in [(&right, true), (&right, false), (&wrong, true)] {
            let mut now = Instant::now();
            let mut config = pop3::ServerConfig::new();
            config.auth = Offer::new([mechanism]);
            let mut server = pop3::Server::new(config, now);
            server.tls_started(tls());
            let listed = exchange(&mut server, "CAPA", &mut now, app);
            assert!(listed.contains(&format!("\r\nSASL {mechanism}\r\n")), "{listed}");
            let channel = Channel::new("pop", Some(&tls()));
            let (_, mut client) = login(mechanism, credentials).choose(&[mechanism.name()], &channel, 0).unwrap();
            // RFC 2449 §4: a command has at most 255 octets; what is longer goes as a response.
            let initial = if with_initial { client.initial() } else { None };
            let mut said = exchange(&mut server, &format!("AUTH {}", first(mechanism, initial)), &mut now, app);
            while let Some(response) = next(&mut client, &said) {
                said = exchange(&mut server, &response, &mut now, app);
            }
            match credentials == &right {
                true => {
                    assert!(said.starts_with("+OK maildrop ready") && client.finish().is_ok(), "{mechanism}: {said}")
                }
                false => assert!(said.starts_with("-ERR [AUTH]"), "{mechanism}: {said}"),
            }
        }
    }
}

#[test]
fn imap_lets_in_who_is_right() {
    let app = |server: &mut imap::Server, event: imap::ServerEvent| match event {
        imap::ServerEvent::Ask(question) => server.tell(answer(&question)),
        imap::ServerEvent::Login { identity, credentials } if is_known(&identity, &credentials) => server.accept(),
        imap::ServerEvent::Login { .. } => server.refuse(),
        imap::ServerEvent::AuthFailed(identity) => assert_eq!(identity.authcid, "ada"),
        other => panic!("{other:?}"),
    };
    for (mechanism, right, wrong) in cases() {
        for (credentials, with_initial) in [(&right, true), (&right, false), (&wrong, true)] {
            let mut now = Instant::now();
            let mut config = imap::ServerConfig::new("imap.test");
            config.auth = Offer::new([mechanism]);
            let mut server = imap::Server::new(config, now);
            server.tls_started(tls());
            let listed = exchange(&mut server, "a CAPABILITY", &mut now, app);
            assert!(listed.contains(&format!(" AUTH={mechanism}")), "{listed}");
            let channel = Channel::new("imap", Some(&tls()));
            let (_, mut client) = login(mechanism, credentials).choose(&[mechanism.name()], &channel, 0).unwrap();
            let initial = if with_initial { client.initial() } else { None };
            let command = format!("b AUTHENTICATE {}", first(mechanism, initial));
            let mut said = exchange(&mut server, &command, &mut now, app);
            while let Some(response) = next(&mut client, &said) {
                said = exchange(&mut server, &response, &mut now, app);
            }
            match credentials == &right {
                true => assert!(said.starts_with("b OK [CAPABILITY") && client.finish().is_ok(), "{mechanism}: {said}"),
                false => assert!(said.starts_with("b NO [AUTHENTICATIONFAILED]"), "{mechanism}: {said}"),
            }
        }
    }
}
