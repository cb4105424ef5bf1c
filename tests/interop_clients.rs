//! Other people's clients against our server: curl, swaks, msmtp, Python's smtplib, nodemailer, smtp-source. Each sends by
//! STARTTLS and by TLS from the start, with each mechanism of AUTH that it speaks; what arrives is what was sent, octet by octet.
#![cfg(all(feature = "net", unix))]

mod interop_peers;
mod support;

use std::process::Command;

use facteur::sasl::{Hash, Mechanism, Offer};
use facteur::smtp::{Body, Ret, ServerConfig};
use interop_peers::{
    Certificates, Encrypted, Folder, PASSWORD, Peer, Sink, TOKEN, Taken, USER, assert_arrived, big_letter, has, letter,
    node_path, run, text,
};

/// A server that offers one mechanism, or none.
fn config(mechanism: Option<Mechanism>) -> ServerConfig {
    let mut config = ServerConfig::new("localhost").unwrap();
    config.dsn = true;
    config.auth = Offer::new(mechanism);
    config.require_auth = mechanism.is_some();
    // The name that DIGEST-MD5 of some clients takes for its realm.
    config.auth.realm = Some("localhost".into());
    config
}

/// The modes that a client is tried in, and what its scripts call them.
const ENCRYPTED: [(Encrypted, &str); 2] = [(Encrypted::ByStartTls, "starttls"), (Encrypted::FromTheStart, "implicit")];

fn assert_taken(taken: &Taken, sent: &[u8], mechanism: Option<Mechanism>, who: &str) {
    assert_arrived(&taken.content, sent, who);
    assert_eq!(taken.envelope.from.to_string(), "<ada@example.org>", "{who}");
    assert_eq!(taken.recipients(), ["<bob@example.net>"], "{who}");
    assert!(taken.session.tls.is_some(), "{who}: over TLS");
    let name = match mechanism {
        None => None,
        Some(Mechanism::External) => Some("by certificate"),
        Some(_) => Some(USER),
    };
    assert_eq!(taken.session.identity.as_deref(), name, "{who}");
}

fn secret(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::XOAuth2 | Mechanism::OAuthBearer => TOKEN,
        _ => PASSWORD,
    }
}

struct Setting {
    folder: Folder,
    certificates: Certificates,
}

impl Setting {
    fn new(name: &str) -> Self {
        let (folder, certificates) = (Folder::new(name), Certificates::make());
        certificates.write(&folder);
        Self { folder, certificates }
    }

    async fn sink(&self, mechanism: Option<Mechanism>, encrypted: Encrypted) -> Sink {
        Sink::start(config(mechanism), &self.certificates, encrypted).await
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name)
    }
}

/// Tries a client with each of these mechanisms and none, in both ways of TLS, and once with a wrong secret.
async fn tries(
    setting: &Setting,
    letter: &[u8],
    mechanisms: &[Mechanism],
    program: impl Fn(&Try) -> (Command, Vec<u8>),
) {
    let cases = mechanisms.iter().copied().map(Some).chain([None]);
    for (number, mechanism) in cases.enumerate() {
        for (encrypted, mode) in ENCRYPTED {
            // Each mechanism once, and one of them by both.
            if number > 0 && encrypted == Encrypted::FromTheStart && mechanism.is_some() {
                continue;
            }
            let mut sink = setting.sink(mechanism, encrypted).await;
            let letter = letter.to_vec();
            let one = Try { port: sink.port, mechanism, secret: mechanism.map_or("", secret), encrypted, mode, letter };
            let (command, input) = program(&one);
            let output = run(command, input).await;
            let who = format!("{mechanism:?}, {mode}");
            assert!(output.status.success(), "{who}: {}", text(&output));
            assert_taken(&sink.next().await, &one.letter, mechanism, &who);
            assert!(sink.has_no_more(), "{who}");
        }
        let Some(mechanism) = mechanism.filter(|mechanism| *mechanism != Mechanism::External) else { continue };
        let mut sink = setting.sink(Some(mechanism), Encrypted::ByStartTls).await;
        let one = Try {
            port: sink.port,
            mechanism: Some(mechanism),
            secret: "wrong",
            encrypted: Encrypted::ByStartTls,
            mode: "starttls",
            letter: letter.to_vec(),
        };
        let (command, input) = program(&one);
        let output = run(command, input).await;
        assert!(!output.status.success(), "{mechanism} with a wrong secret: {}", text(&output));
        assert!(sink.has_no_more(), "{mechanism} with a wrong secret");
    }
}

struct Try {
    port: u16,
    mechanism: Option<Mechanism>,
    secret: &'static str,
    encrypted: Encrypted,
    mode: &'static str,
    letter: Vec<u8>,
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_sends() {
    if !has("curl", &["curl"], &[]) {
        return;
    }
    let setting = Setting::new("interop-curl");
    let curl = |port: u16, encrypted: Encrypted| {
        let mut command = Command::new("curl");
        let scheme = if encrypted == Encrypted::FromTheStart { "smtps" } else { "smtp" };
        command.args([
            "--verbose",
            "--no-progress-meter",
            "--max-time",
            "20",
            "--cacert",
            &setting.path("authority.pem"),
        ]);
        if encrypted != Encrypted::Never {
            command.arg("--ssl-reqd");
        }
        command.args(["--mail-from", "ada@example.org", "--upload-file", "-"]);
        command.arg(format!("{scheme}://localhost:{port}/client.example.org"));
        command
    };
    // The others are in interop_sasl.
    tries(&setting, &letter("letter"), &[Mechanism::Plain, Mechanism::External], |one| {
        let mut command = curl(one.port, one.encrypted);
        command.args(["--mail-rcpt", "bob@example.net"]);
        if let Some(mechanism) = one.mechanism {
            command.args(["--login-options", &format!("AUTH={mechanism}")]);
            match mechanism {
                Mechanism::External => command.args(["--user", ":"]).args([
                    "--cert",
                    &setting.path("client.pem"),
                    "--key",
                    &setting.path("client.key"),
                ]),
                _ => command.args(["--user", &format!("{USER}:{}", one.secret)]),
            };
        }
        (command, one.letter.clone())
    })
    .await;

    let mut sink = setting.sink(None, Encrypted::Never).await;
    let letter = letter("two");
    let mut command = curl(sink.port, Encrypted::Never);
    command.args(["--mail-rcpt", "refused@example.net", "--mail-rcpt", "bob@example.net"]);
    let output = run(command, letter.clone()).await;
    assert_eq!(output.status.code(), Some(55), "it gives up where one is refused: {}", text(&output));
    assert!(sink.has_no_more());
    let mut command = curl(sink.port, Encrypted::Never);
    command.args(["--mail-rcpt-allowfails", "--mail-rcpt", "refused@example.net", "--mail-rcpt", "bob@example.net"]);
    let output = run(command, letter.clone()).await;
    assert!(output.status.success(), "{}", text(&output));
    let taken = sink.next().await;
    assert_eq!(taken.recipients(), ["<bob@example.net>"]);
    assert_arrived(&taken.content, &letter, "curl");

    // SMTPUTF8 in the local part; 5 MB.
    let big = big_letter("big", 5_000_000);
    let mut command = curl(sink.port, Encrypted::Never);
    command.args(["--mail-rcpt", "grüße@example.net"]);
    let output = run(command, big.clone()).await;
    assert!(output.status.success(), "{}", text(&output));
    let taken = sink.next().await;
    assert!(taken.content == big, "5 MB arrive as they are");
    assert!(taken.envelope.params.smtputf8);
    assert_eq!(taken.recipients(), ["<grüße@example.net>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn swaks_sends() {
    let Some(swaks) = Peer::find("swaks", "swaks") else { return };
    let setting = Setting::new("interop-swaks");
    let command = |one: &Try, more: &[&str]| {
        // It has the last line end from there, and takes a dot in the last line for the end.
        let file = setting.folder.write("letter", one.letter.strip_suffix(b"\r\n").expect("a last line"));
        let server = format!("localhost:{}", one.port);
        let authority = setting.path("authority.pem");
        let mut arguments = vec!["--server", &server, "--ehlo", "client.example.org", "--from", "ada@example.org"];
        arguments.extend(["--timeout", "20", "--pipeline", "--tls-verify", "--tls-ca-path", &authority]);
        let letter = format!("@{file}");
        arguments.extend(["--data", &letter]);
        match one.encrypted {
            Encrypted::ByStartTls => arguments.push("--tls"),
            Encrypted::FromTheStart => arguments.push("--tls-on-connect"),
            Encrypted::Never => {}
        }
        let name = one.mechanism.map(|mechanism| mechanism.to_string()).unwrap_or_default();
        if one.mechanism.is_some() {
            arguments.extend(["--auth", &name, "--auth-user", USER, "--auth-password", one.secret]);
        }
        arguments.extend(more);
        swaks.command("swaks", &arguments)
    };
    let mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::DigestMd5];
    let swaks_letter = [&letter("letter")[..], b"the end\r\n"].concat();
    tries(&setting, &swaks_letter, &mechanisms, |one| (command(one, &["--to", "bob@example.net"]), Vec::new())).await;

    // Pipelined, with one that is refused between two that are not.
    let mut sink = setting.sink(None, Encrypted::Never).await;
    let one = Try {
        port: sink.port,
        mechanism: None,
        secret: "",
        encrypted: Encrypted::Never,
        mode: "clear",
        letter: swaks_letter,
    };
    let to = ["--to", "bob@example.net,refused@example.net,eve@example.net"];
    let output = run(command(&one, &to), Vec::new()).await;
    let transcript = text(&output);
    assert!(transcript.contains("550 5.1.1 no such user"), "{transcript}");
    let taken = sink.next().await;
    assert_eq!(taken.recipients(), ["<bob@example.net>", "<eve@example.net>"]);
    assert_arrived(&taken.content, &one.letter, "swaks");
}

#[tokio::test(flavor = "multi_thread")]
async fn msmtp_sends() {
    let Some(msmtp) = Peer::find("msmtp", "msmtp") else { return };
    let setting = Setting::new("interop-msmtp");
    let command = |one: &Try, more: &[&str]| {
        let port = one.port.to_string();
        let authority = format!("--tls-trust-file={}", setting.path("authority.pem"));
        let tls = if one.encrypted == Encrypted::Never { "--tls=off" } else { "--tls=on" };
        let starttls =
            if one.encrypted == Encrypted::FromTheStart { "--tls-starttls=off" } else { "--tls-starttls=on" };
        let mut arguments =
            vec!["--file=/dev/null", "--host=localhost", "--port", &port, "--timeout=20", tls, starttls];
        arguments.extend([&authority[..], "--from=ada@example.org", "--domain=client.example.org"]);
        arguments.extend(["--add-missing-from-header=off", "--add-missing-date-header=off"]);
        let name = format!("--auth={}", one.mechanism.map_or("off".into(), |one| one.to_string().to_lowercase()));
        arguments.push(&name);
        let secret = format!("--passwordeval=printf %s {}", one.secret);
        let certificate = format!("--tls-cert-file={}", setting.path("client.pem"));
        let key = format!("--tls-key-file={}", setting.path("client.key"));
        match one.mechanism {
            Some(Mechanism::External) => arguments.extend([&certificate[..], &key, "--user=ada"]),
            Some(_) => arguments.extend(["--user=ada", &secret]),
            None => {}
        }
        arguments.extend(more);
        msmtp.command("msmtp", &arguments)
    };
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Scram(Hash::Sha1),
        Mechanism::Scram(Hash::Sha256),
        Mechanism::OAuthBearer,
        Mechanism::XOAuth2,
        Mechanism::External,
    ];
    tries(&setting, &letter("letter"), &mechanisms, |one| {
        (command(one, &["--", "bob@example.net"]), one.letter.clone())
    })
    .await;

    let mut sink = setting.sink(None, Encrypted::Never).await;
    let one = Try {
        port: sink.port,
        mechanism: None,
        secret: "",
        encrypted: Encrypted::Never,
        mode: "clear",
        letter: letter("dsn"),
    };
    let dsn = ["--dsn-return=hdrs", "--dsn-notify=success,failure", "--", "bob@example.net"];
    let output = run(command(&one, &dsn), one.letter.clone()).await;
    assert!(output.status.success(), "{}", text(&output));
    let taken = sink.next().await;
    assert_eq!(taken.envelope.params.ret, Some(Ret::Hdrs));
    let notify = taken.envelope.recipients[0].params.notify.expect("NOTIFY was said");
    assert!(notify.success && notify.failure && !notify.delay);
    assert_arrived(&taken.content, &one.letter, "msmtp");

    let output = run(command(&one, &["--", "bob@example.net", "refused@example.net"]), one.letter.clone()).await;
    assert!(!output.status.success(), "it gives up where one is refused");
    assert!(text(&output).contains("no such user"), "{}", text(&output));
    assert!(sink.has_no_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_smtplib_sends() {
    if !has("python3", &["python3"], &[]) {
        return;
    }
    let setting = Setting::new("interop-smtplib");
    let python = |port: u16, mode: &str, options: &[String]| {
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_peers/send.py"));
        command.arg(port.to_string()).arg(mode).arg(format!("cafile={}", setting.path("authority.pem")));
        command.args(options);
        command
    };
    let mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::XOAuth2, Mechanism::External];
    tries(&setting, &letter("letter"), &mechanisms, |one| {
        let mut options = vec!["to=bob@example.net".to_owned()];
        if let Some(mechanism) = one.mechanism {
            options.extend([
                format!("mechanism={mechanism}"),
                format!("user={USER}"),
                format!("password={}", one.secret),
            ]);
        }
        if one.mechanism == Some(Mechanism::External) {
            options.push(format!("cert={}", setting.path("client.pem")));
            options.push(format!("key={}", setting.path("client.key")));
        }
        (python(one.port, one.mode, &options), one.letter.clone())
    })
    .await;

    // DSN, 8BITMIME, SMTPUTF8, and one that is refused.
    let mut sink = setting.sink(None, Encrypted::Never).await;
    let letter = letter("four");
    let options = [
        "from=ada@exämple.org",
        "to=bob@example.net,refused@example.net,grüße@example.net",
        "mail=BODY=8BITMIME RET=FULL ENVID=QQ314159 SMTPUTF8",
        "rcpt=NOTIFY=NEVER ORCPT=rfc822;bob@example.net",
    ];
    let output = run(python(sink.port, "clear", &options.map(str::to_owned)), letter.clone()).await;
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(output.stdout, b"{\"refused@example.net\": 550}\n");
    let taken = sink.next().await;
    assert_arrived(&taken.content, &letter, "smtplib");
    assert_eq!(taken.envelope.from.to_string(), "<ada@exämple.org>");
    assert_eq!(taken.recipients(), ["<bob@example.net>", "<grüße@example.net>"]);
    let params = &taken.envelope.params;
    assert_eq!((params.body, params.ret, params.smtputf8), (Some(Body::EightBitMime), Some(Ret::Full), true));
    assert_eq!(params.envid.as_deref(), Some("QQ314159"));
    for recipient in &taken.envelope.recipients {
        let notify = recipient.params.notify.expect("NOTIFY was said");
        assert!(!notify.success && !notify.failure && !notify.delay);
        let orcpt = recipient.params.orcpt.as_ref().expect("ORCPT was said");
        assert_eq!((&orcpt.kind[..], &orcpt.address[..]), ("rfc822", "bob@example.net"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodemailer_sends() {
    if !has("nodemailer", &["node"], &[&node_path().join("nodemailer")]) {
        return;
    }
    let setting = Setting::new("interop-nodemailer");
    // One process for all letters: node takes long to start.
    let mut jobs = String::new();
    let mut sinks = Vec::new();
    let sent = letter("letter");
    let file = setting.folder.write("letter", &sent);
    let envelope = serde_json::json!({"from": "ada@example.org", "to": ["bob@example.net"]});
    let authority = &setting.certificates.authority;
    let mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::XOAuth2];
    for mechanism in mechanisms.into_iter().map(Some).chain([None]) {
        for (encrypted, _) in ENCRYPTED {
            for right in [true, false] {
                if mechanism.is_none() && !right {
                    continue;
                }
                let sink = setting.sink(mechanism, encrypted).await;
                let mut transport = serde_json::json!({
                    "host": "localhost", "port": sink.port, "name": "client.example.org",
                    "secure": encrypted == Encrypted::FromTheStart, "requireTLS": true, "tls": {"ca": authority},
                });
                if let Some(mechanism) = mechanism {
                    let secret = if right { secret(mechanism) } else { "wrong" };
                    transport["authMethod"] = mechanism.to_string().into();
                    transport["auth"] = match mechanism {
                        Mechanism::XOAuth2 => {
                            serde_json::json!({"type": "OAuth2", "user": USER, "accessToken": secret})
                        }
                        _ => serde_json::json!({"user": USER, "pass": secret}),
                    };
                }
                let job = serde_json::json!({"transport": transport, "file": file, "mail": {"envelope": envelope}});
                jobs.push_str(&format!("{job}\n"));
                sinks.push((sink, mechanism, right));
            }
        }
    }
    let mut last = setting.sink(None, Encrypted::Never).await;
    let transport = serde_json::json!({"host": "localhost", "port": last.port, "ignoreTLS": true});
    let mail = serde_json::json!({
        "envelope": {
            "from": "ada@example.org",
            "to": ["bob@example.net", "refused@example.net", "grüße@example.net"],
            "use8BitMime": true,
            "dsn": {"id": "some id", "return": "headers", "notify": ["failure", "delay"], "recipient": "ada@example.org"},
        },
    });
    jobs.push_str(&format!("{}\n", serde_json::json!({"transport": transport, "mail": mail, "file": file})));

    let mut command = Command::new("node");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_peers/send.js")).env("NODE_PATH", node_path());
    let output = run(command, jobs.into_bytes()).await;
    assert!(output.status.success(), "{}", text(&output));
    let results: Vec<serde_json::Value> =
        output.stdout.split(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(results.len(), sinks.len() + 1, "{}", text(&output));
    for ((sink, mechanism, right), result) in sinks.iter_mut().zip(&results) {
        let who = format!("{mechanism:?}, {right}: {result}");
        if *right {
            assert_eq!(result["accepted"], serde_json::json!(["bob@example.net"]), "{who}");
            assert_taken(&sink.next().await, &sent, *mechanism, &who);
        } else {
            assert_eq!(result["code"], 535, "{who}");
        }
        assert!(sink.has_no_more(), "{who}");
    }
    let result = results.last().expect("as many as jobs");
    assert_eq!(result["rejected"], serde_json::json!(["refused@example.net"]), "{result}");
    let taken = last.next().await;
    assert_arrived(&taken.content, &sent, "nodemailer");
    assert_eq!(taken.recipients(), ["<bob@example.net>", "<grüße@example.net>"]);
    let params = &taken.envelope.params;
    assert_eq!((params.body, params.ret, params.smtputf8), (Some(Body::EightBitMime), Some(Ret::Hdrs), true));
    assert_eq!(params.envid.as_deref(), Some("some id"));
    let notify = taken.envelope.recipients[0].params.notify.expect("NOTIFY was said");
    assert!(!notify.success && notify.failure && notify.delay);
    assert_eq!(taken.envelope.recipients[0].params.orcpt.as_ref().expect("ORCPT was said").address, "ada@example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_source_sends_many_over_many_connections() {
    let Some(postfix) = Peer::find("postfix", "smtp-source") else { return };
    let setting = Setting::new("interop-smtp-source");
    let mut sink = setting.sink(None, Encrypted::Never).await;
    let server = format!("127.0.0.1:{}", sink.port);
    // 200 messages of 20,000 octets with two recipients, 10 connections, each used again and again.
    let arguments =
        ["-d", "-m", "200", "-s", "10", "-l", "20000", "-r", "2", "-f", "ada@example.org", "-t", "bob@example.net"];
    let mut arguments = arguments.to_vec();
    arguments.push(&server);
    let output = run(postfix.command("smtp-source", &arguments), Vec::new()).await;
    assert!(output.status.success(), "{}", text(&output));
    for _ in 0..200 {
        let taken = sink.next().await;
        assert_eq!(taken.envelope.from.to_string(), "<ada@example.org>");
        assert_eq!(taken.envelope.recipients.len(), 2);
        assert!(taken.content.len() >= 20_000, "{}", taken.content.len());
    }
    assert!(sink.has_no_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn mailhost_takes_what_users_submit() {
    let folder = Folder::new("interop-mailhost");
    let mailhost = support::Mailhost::start(&folder.0.join("data"));
    let (password, authority) = (mailhost.password(), folder.path("data/certificate.pem"));
    let port = |service: &str| mailhost.listeners[service].rsplit_once(':').expect("a port").1.to_owned();
    let mut sent = Vec::new();

    if let Some(msmtp) = Peer::find("msmtp", "msmtp") {
        let letter = letter("msmtp");
        let (port, password) = (port("submission"), format!("--passwordeval=echo {password}"));
        let authority = format!("--tls-trust-file={authority}");
        let arguments = [
            "--file=/dev/null",
            "--host=localhost",
            "--port",
            &port,
            "--tls=on",
            &authority,
            "--auth=scram-sha-256",
            "--user=demo",
            &password,
            "--from=demo@localhost",
            "demo@localhost",
        ];
        let output = run(msmtp.command("msmtp", &arguments), letter.clone()).await;
        assert!(output.status.success(), "{}", text(&output));
        sent.push(letter);
    }
    if let Some(swaks) = Peer::find("swaks", "swaks") {
        let letter = [&letter("swaks")[..], b"the end\r\n"].concat();
        let file = folder.write("letter", letter.strip_suffix(b"\r\n").expect("a last line"));
        let (server, data) = (format!("localhost:{}", port("smtps")), format!("@{file}"));
        let arguments = ["--server", &server, "--tls-on-connect", "--tls-verify", "--tls-ca-path", &authority];
        let login = ["--auth", "PLAIN", "--auth-user", "demo", "--auth-password", &password];
        let mail = ["--from", "demo@localhost", "--to", "demo@localhost,nobody@localhost", "--data", &data];
        let output = run(swaks.command("swaks", &[&arguments[..], &login, &mail].concat()), Vec::new()).await;
        assert!(text(&output).contains("550 5.1.1"), "nobody is refused: {}", text(&output));
        sent.push(letter);
    }
    if has("curl", &["curl"], &[]) {
        // As another host would, without a password.
        let letter = letter("curl");
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--ssl-reqd", "--cacert", &authority]);
        command.args(["--mail-from", "ada@example.org", "--mail-rcpt", "demo@localhost", "--upload-file", "-"]);
        command.arg(format!("smtp://localhost:{}", port("smtp")));
        let output = run(command, letter.clone()).await;
        assert!(output.status.success(), "{}", text(&output));
        sent.push(letter);
    }
    let arrived = tokio::task::block_in_place(|| mailhost.settled(sent.len()));
    assert_eq!(arrived.len(), sent.len());
    for letter in &sent {
        let found = arrived.iter().find(|one| one.ends_with(letter));
        assert_arrived(found.expect("it arrived as it was sent"), letter, "mailhost");
    }
}
