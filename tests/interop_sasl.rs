//! GNU SASL's client (`gsasl`), curl and Python's smtplib against our server, each mechanism that they speak, in the clear and over TLS.
#![cfg(all(feature = "net", unix))]

mod interop_peers;

use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use facteur::base::Secret;
use facteur::net::Driver;
use facteur::net::tls::Acceptor;
use facteur::sasl::{Answer, Credentials, Hash, Mechanism, Offer, Question, Verifier};
use facteur::smtp::server::{AuthPolicy, StartTls};
use facteur::smtp::{Enhanced, Reply, Server, ServerConfig, ServerEvent};
use interop_peers::{Peer, has};
use tokio::net::TcpListener;

const PASSWORD: &str = "tanstaaf";

fn answer(question: &Question) -> Answer {
    match question {
        Question::Keys { user, hash } if user == "ada" => Answer::Keys(Verifier::with_hash(
            *hash,
            &PASSWORD.into(),
            b"sixteen octets!!",
            NonZeroU32::new(4096).unwrap(),
        )),
        Question::Password { user } if user == "ada" => Answer::Password(PASSWORD.into()),
        _ => Answer::Nobody,
    }
}

/// Serves one connection; whom it let in, by what.
async fn serve(listener: &TcpListener, config: Arc<ServerConfig>, acceptor: Acceptor) -> Option<String> {
    let (stream, peer) = listener.accept().await.unwrap();
    let mut driver = Driver::new(Server::new(config, peer.ip(), Instant::now()), stream).with_tls(acceptor);
    // A client that hangs up without QUIT has said what it had to say.
    while let Ok(Some(event)) = driver.next().await {
        match event {
            ServerEvent::Ask(question) => driver.tell(answer(&question)),
            ServerEvent::Auth { identity, credentials } => {
                let known = match &credentials {
                    Credentials::Password(password) => identity.name() == "ada" && *password == Secret::from(PASSWORD),
                    Credentials::Anonymous { .. } | Credentials::Proven => true,
                    Credentials::Token(token) => *token == Secret::from("token"),
                    _ => false,
                };
                match known {
                    true => driver.accept(),
                    false => driver.reply(Reply::new(535, Enhanced(5, 7, 8), "wrong")),
                }
            }
            ServerEvent::AuthFailed(_) => {}
            _ => driver.accept(),
        }
    }
    driver.session().identity.clone()
}

/// Runs the program against a server that offers one mechanism; whether the server has let it in.
async fn runs(mechanism: Mechanism, tls: bool, program: impl Fn(u16, &str) -> Command) -> bool {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = made.cert.pem();
    let acceptor = Acceptor::from_pem(chain.as_bytes(), &Secret::from(made.signing_key.serialize_pem())).unwrap();
    let mut config = ServerConfig::new("localhost").unwrap();
    config.auth = Offer::new([mechanism]);
    config.auth_policy = AuthPolicy::Anywhere;
    config.starttls = if tls { StartTls::Required } else { StartTls::Off };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = std::env::temp_dir().join(format!("facteur-interop-sasl-{}-{port}.pem", std::process::id()));
    std::fs::write(&authority, chain).unwrap();
    let mut command = program(port, authority.to_str().unwrap());
    let child = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap());
    let name = serve(&listener, Arc::new(config), acceptor).await;
    let output = child.await.unwrap();
    let _ = std::fs::remove_file(&authority);
    let text = [output.stdout, output.stderr].concat();
    println!("{mechanism}: {name:?} {}\n{}", output.status, String::from_utf8_lossy(&text));
    name.is_some()
}

fn gsasl(peer: &Peer, mechanism: Mechanism, tls: bool, password: &str) -> impl Fn(u16, &str) -> Command {
    move |port, authority| {
        let mut command = peer.command("gsasl", &[]);
        command.args(["--smtp", "--connect", &format!("localhost:{port}"), "--quality-of-protection=qop-auth"]);
        command.args(["--authentication-id=ada", "--authorization-id=ada", &format!("--password={password}")]);
        command.args(["--anonymous-token=ada@example.org", "--realm=localhost"]);
        command.args(["--mechanism", mechanism.name()]);
        // It has a binding at hand over TLS, and gives up where a mechanism has no place for it.
        if !matches!(mechanism, Mechanism::ScramPlus(_)) {
            command.arg("--no-cb");
        }
        match tls {
            true => command.args([format!("--x509-ca-file={authority}")]),
            false => command.args(["--no-starttls".to_owned()]),
        };
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gnu_sasl_logs_in_by_each_mechanism() {
    let Some(peer) = Peer::find("gsasl", "gsasl") else { return };
    let gsasl = |mechanism, tls, password| gsasl(&peer, mechanism, tls, password);
    let passwords = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Scram(Hash::Sha1),
        Mechanism::Scram(Hash::Sha256),
    ];
    for mechanism in passwords {
        for tls in [false, true] {
            assert!(runs(mechanism, tls, gsasl(mechanism, tls, PASSWORD)).await, "{mechanism}, TLS: {tls}");
        }
        assert!(!runs(mechanism, false, gsasl(mechanism, false, "wrong")).await, "{mechanism} with a wrong password");
    }
    for mechanism in [Mechanism::ScramPlus(Hash::Sha1), Mechanism::ScramPlus(Hash::Sha256), Mechanism::Anonymous] {
        assert!(runs(mechanism, true, gsasl(mechanism, true, PASSWORD)).await, "{mechanism}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_logs_in_by_each_mechanism() {
    if !has("curl", &["curl"], &[]) {
        return;
    }
    let curl = |mechanism: Mechanism, secret: &str| {
        let secret = secret.to_owned();
        move |port: u16, authority: &str| {
            let mut command = Command::new("curl");
            command.args(["--silent", "--show-error", "--ssl-reqd", "--cacert", authority, "--max-time", "20"]);
            command.args([format!("smtp://localhost:{port}"), "--user".into(), format!("ada:{secret}")]);
            command.args(["--login-options", &format!("AUTH={mechanism}"), "--request", "NOOP"]);
            if matches!(mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2) {
                command.args(["--oauth2-bearer", &secret]);
            }
            command
        }
    };
    for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::DigestMd5] {
        assert!(runs(mechanism, true, curl(mechanism, PASSWORD)).await, "{mechanism}");
        assert!(!runs(mechanism, true, curl(mechanism, "wrong")).await, "{mechanism} with a wrong password");
    }
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        assert!(runs(mechanism, true, curl(mechanism, "token")).await, "{mechanism}");
        assert!(!runs(mechanism, true, curl(mechanism, "old")).await, "{mechanism} with an old token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_logs_in_by_each_mechanism() {
    if !has("python3", &["python3"], &[]) {
        return;
    }
    const SCRIPT: &str = "import smtplib, sys; smtp = smtplib.SMTP('localhost', int(sys.argv[1]), timeout=20); \
                          smtp.login('ada', sys.argv[2]); smtp.quit()";
    let python = |password: &'static str| {
        move |port: u16, _: &str| {
            let mut command = Command::new("python3");
            command.args(["-c", SCRIPT, &port.to_string(), password]);
            command
        }
    };
    for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5] {
        assert!(runs(mechanism, false, python(PASSWORD)).await, "{mechanism}");
        assert!(!runs(mechanism, false, python("wrong")).await, "{mechanism} with a wrong password");
    }
}
