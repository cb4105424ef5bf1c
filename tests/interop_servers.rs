//! Our client against other people's servers: Postfix, Exim and OpenSMTPD, each of which passes what it gets on to a server
//! of ours, so that both sides of it are met; Dovecot's LMTP; Postfix's smtp-sink.
#![cfg(all(feature = "net", unix))]

mod interop_peers;
mod support;

use std::process::Stdio;
use std::time::Instant;

use facteur::address::Address;
use facteur::base::Secret;
use facteur::net::submit::{SendError, Sender};
use facteur::net::tls::Connector;
use facteur::net::{Driver, Pool, PoolConfig};
use facteur::sasl::{Credentials, Hash, Identity, Login, Mechanism};
use facteur::smtp::client::{By, Pipelining, StartTls};
use facteur::smtp::server::Protocol;
use facteur::smtp::{
    Body, Client, ClientConfig, ClientEvent, Envelope, Extensions, ForwardPath, Notify, OriginalRecipient, Outcome,
    Outgoing, Ret, ServerConfig, Stage,
};
use interop_peers::{
    Certificates, Encrypted, Folder, PASSWORD, Peer, Running, Sink, USER, assert_arrived, big_letter, free_port,
    letter, text,
};
use tokio::net::TcpStream;

/// A server of somebody else, and where it sends on to.
struct Host {
    name: &'static str,
    port: u16,
    /// Not [`StartTls::Required`] where a handshake cannot succeed.
    starttls: StartTls,
    folder: Folder,
    certificates: Certificates,
    sink: Sink,
    running: Running,
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn envelope(to: &[&str]) -> Envelope {
    Envelope::new(address("ada@example.org").into(), to.iter().map(|to| ForwardPath::from(address(to))))
}

fn config(starttls: StartTls) -> ClientConfig {
    let mut config = ClientConfig::new("client.example.org").unwrap();
    config.starttls = starttls;
    config
}

fn delivered(outcomes: &[Outcome], who: &str) {
    assert!(!outcomes.is_empty() && outcomes.iter().all(Outcome::is_delivered), "{who}: {outcomes:?}");
}

/// The next host: it bears all that the ones before may pass on.
async fn next_host(certificates: &Certificates) -> Sink {
    let mut config = ServerConfig::new("localhost").unwrap();
    config.dsn = true;
    Sink::start(config, certificates, Encrypted::ByStartTls).await
}

impl Host {
    fn config(&self) -> ClientConfig {
        config(self.starttls)
    }

    fn sender(&self, config: ClientConfig) -> Sender {
        let roots = self.certificates.authority.as_bytes();
        let (chain, key) = &self.certificates.client;
        let connector = Connector::with_roots(roots).unwrap();
        Sender::with_connector(config, connector.with_identity(chain.as_bytes(), &Secret::from(key.as_str())).unwrap())
    }

    async fn send(&self, config: ClientConfig, message: Outgoing) -> Vec<Outcome> {
        self.sender(config).send(&format!("localhost:{}", self.port), message).await.unwrap()
    }

    /// A conversation that has come to its first question.
    async fn converse(&self) -> Driver<Client, TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let side = self.sender(self.config()).connector.to("localhost").unwrap();
        let mut smtp = Driver::new(Client::new(self.config(), Instant::now()), stream).with_tls(side);
        assert_eq!(smtp.next().await.unwrap(), Some(ClientEvent::Ready), "{}", self.name);
        smtp
    }

    async fn extensions(&self) -> Extensions {
        let mut smtp = self.converse().await;
        let extensions = smtp.extensions().clone();
        smtp.quit();
        assert_eq!(smtp.next().await.unwrap(), None);
        extensions
    }

    /// Two that get a letter and one that is refused; the letter is as hard to carry as any.
    async fn one_is_refused(&mut self) {
        let sent = letter("refused");
        for (number, pipelining) in [Pipelining::WhereOffered, Pipelining::Never].into_iter().enumerate() {
            for max_chunk in [1024 * 1024, 100, 0] {
                let mut config = self.config();
                config.pipelining = pipelining;
                config.max_chunk = max_chunk;
                let envelope = envelope(&["bob@example.net", "refused@example.net", "eve@example.net"]);
                let outcomes = self.send(config, Outgoing::new(envelope, sent.clone())).await;
                let who = format!("{}, {pipelining:?}, {max_chunk}", self.name);
                assert_eq!(outcomes.len(), 3, "{who}: {outcomes:?}");
                for outcome in &outcomes {
                    assert_eq!(outcome.by, By::Server, "{who}: {outcome:?}");
                    if outcome.to == ForwardPath::from(address("refused@example.net")) {
                        assert_eq!(outcome.stage, Stage::Rcpt, "{who}: {outcome:?}");
                        assert!((550..=554).contains(&outcome.reply.code()), "{who}: {outcome:?}");
                    } else {
                        assert!(outcome.is_delivered(), "{who}: {outcome:?}");
                    }
                }
                // Some send on to each recipient by itself.
                let mut recipients = Vec::new();
                while recipients.len() < 2 {
                    let taken = self.sink.next().await;
                    assert_arrived(&taken.content, &sent, &who);
                    assert_eq!(taken.envelope.from.to_string(), "<ada@example.org>", "{who}");
                    assert_eq!(taken.envelope.params.body, Some(Body::EightBitMime), "{who}");
                    assert!(taken.session.tls.is_some(), "{who}: on over TLS");
                    recipients.extend(taken.recipients());
                }
                recipients.sort();
                assert_eq!(recipients, ["<bob@example.net>", "<eve@example.net>"], "{who}");
                if number == 1 {
                    break;
                }
            }
        }
    }

    async fn five_megabytes_arrive(&mut self) {
        let sent = big_letter("big", 5_000_000);
        for max_chunk in [1024 * 1024, 0] {
            let mut config = self.config();
            config.max_chunk = max_chunk;
            let outcomes = self.send(config, Outgoing::new(envelope(&["bob@example.net"]), sent.clone())).await;
            delivered(&outcomes, self.name);
            let taken = self.sink.next().await;
            assert!(taken.content.ends_with(&sent), "{}: {} octets", self.name, taken.content.len());
        }
        // What is too large is not sent at all.
        let sent = vec![b'x'; 40_000_000];
        let outcomes = self.send(self.config(), Outgoing::new(envelope(&["bob@example.net"]), sent)).await;
        assert_eq!((outcomes.len(), outcomes[0].by), (1, By::Client), "{}: {outcomes:?}", self.name);
        assert_eq!(outcomes[0].reply.code(), 552, "{}: {outcomes:?}", self.name);
    }

    async fn many_over_one_connection(&mut self) {
        let mut smtp = self.converse().await;
        for number in 0..20 {
            let sent = letter(&format!("many-{number}"));
            smtp.send(Outgoing::new(envelope(&["bob@example.net"]), sent.clone()));
            match smtp.next().await.unwrap() {
                Some(ClientEvent::Outcome(outcome)) => assert!(outcome.is_delivered(), "{}: {outcome:?}", self.name),
                other => panic!("{}: {other:?}", self.name),
            }
            assert_eq!(smtp.next().await.unwrap(), Some(ClientEvent::Ready), "{}", self.name);
        }
        smtp.quit();
        assert_eq!(smtp.next().await.unwrap(), None, "{}", self.name);
        self.has_subjects("many").await;
    }

    /// Twenty at once, over at most three connections of five messages each at a time.
    async fn many_over_a_pool(&mut self) {
        let mut limits = PoolConfig::default();
        (limits.per_host, limits.messages) = (3, 5);
        let pool = Pool::new(self.sender(self.config()), limits);
        let host = format!("localhost:{}", self.port);
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (pool, host) = (pool.clone(), host.clone());
                let mail = Outgoing::new(envelope(&["bob@example.net"]), letter(&format!("pool-{number}")));
                tokio::spawn(async move { pool.send(&host, mail).await.unwrap() })
            })
            .collect();
        for task in tasks {
            delivered(&task.await.unwrap(), self.name);
        }
        pool.close().await;
        self.has_subjects("pool").await;
    }

    /// Twenty came, each once.
    async fn has_subjects(&mut self, name: &str) {
        let mut subjects = std::collections::BTreeSet::new();
        while subjects.len() < 20 {
            let taken = self.sink.next().await;
            let message = facteur::message::Message::parse(taken.content);
            let subject = message.header().get("Subject").expect("a subject").text().trim().to_owned();
            assert!(subjects.insert(subject.clone()), "{}: {subject} twice", self.name);
        }
        let expected = (0..20).map(|number| format!("{name}-{number}")).collect();
        assert_eq!(subjects, expected, "{}", self.name);
    }

    async fn what_reports_are_asked_for_is_passed_on(&mut self) {
        let sent = letter("dsn");
        let mut envelope = envelope(&["bob@example.net"]);
        envelope.params.ret = Some(Ret::Hdrs);
        envelope.params.envid = Some("QQ+314=159".into());
        let notify = Notify { success: false, failure: true, delay: true };
        envelope.recipients[0].params.notify = Some(notify);
        let orcpt = OriginalRecipient { kind: "rfc822".into(), address: "b+ob=1@example.net".into() };
        envelope.recipients[0].params.orcpt = Some(orcpt.clone());
        delivered(&self.send(self.config(), Outgoing::new(envelope, sent.clone())).await, self.name);
        let taken = self.sink.next().await;
        assert_arrived(&taken.content, &sent, self.name);
        assert_eq!(taken.envelope.params.ret, Some(Ret::Hdrs), "{}", self.name);
        assert_eq!(taken.envelope.params.envid.as_deref(), Some("QQ+314=159"), "{}", self.name);
        assert_eq!(taken.envelope.recipients[0].params.notify, Some(notify), "{}", self.name);
        assert_eq!(taken.envelope.recipients[0].params.orcpt, Some(orcpt), "{}", self.name);
    }

    async fn utf8_addresses_pass(&mut self) {
        let sent = [b"Subject: \xc3\xbcber\r\n", &letter("utf8")[..]].concat();
        let mut envelope = envelope(&["grüße@example.net"]);
        envelope.from = address("jürgen@exämple.org").into();
        envelope.params.smtputf8 = true;
        delivered(&self.send(self.config(), Outgoing::new(envelope, sent.clone())).await, self.name);
        let taken = self.sink.next().await;
        assert_arrived(&taken.content, &sent, self.name);
        assert!(taken.envelope.params.smtputf8, "{}", self.name);
        assert_eq!(taken.envelope.from.to_string(), "<jürgen@exämple.org>", "{}", self.name);
        assert_eq!(taken.recipients(), ["<grüße@example.net>"], "{}", self.name);
    }

    /// Only who is logged in may send to elsewhere.
    async fn logs_in_by(&mut self, mechanisms: &[Mechanism]) {
        let offered = self.extensions().await.auth;
        let sent = letter("auth");
        let mail = || Outgoing::new(envelope(&["bob@elsewhere.test"]), sent.clone());
        let outcomes = self.send(self.config(), mail()).await;
        assert_eq!(outcomes[0].stage, Stage::Rcpt, "{}: {outcomes:?}", self.name);
        for mechanism in mechanisms {
            let who = format!("{} by {mechanism}", self.name);
            assert!(offered.iter().any(|name| *name == mechanism.name()), "{who}: {offered:?}");
            let starttls = self.starttls;
            let with = |credentials| {
                let mut login = Login::new(Identity::new(USER), credentials);
                login.mechanisms = vec![*mechanism];
                let mut config = config(starttls);
                config.login = Some(login);
                config
            };
            let right = match mechanism {
                Mechanism::External => Credentials::External,
                _ => Credentials::Password(PASSWORD.into()),
            };
            delivered(&self.send(with(right), mail()).await, &who);
            let taken = self.sink.next().await;
            assert_arrived(&taken.content, &sent, &who);
            if *mechanism == Mechanism::External {
                continue;
            }
            let outcomes = self.send(with(Credentials::Password("wrong".into())), mail()).await;
            assert_eq!((outcomes[0].stage, outcomes[0].by), (Stage::Auth, By::Server), "{who}: {outcomes:?}");
        }
    }

    async fn a_stranger_is_not_believed(&self) {
        let other = Certificates::make();
        let sender = Sender::with_connector(
            config(StartTls::Required),
            Connector::with_roots(other.authority.as_bytes()).unwrap(),
        );
        let mail = Outgoing::new(envelope(&["bob@example.net"]), letter("tls"));
        let result = sender.send(&format!("localhost:{}", self.port), mail).await;
        assert!(matches!(result, Err(SendError::Tls(_))), "{}: {result:?}", self.name);
    }

    /// All that every one of them can do.
    async fn does_what_all_do(&mut self) {
        self.one_is_refused().await;
        self.five_megabytes_arrive().await;
        self.many_over_one_connection().await;
        self.many_over_a_pool().await;
        self.what_reports_are_asked_for_is_passed_on().await;
        self.a_stranger_is_not_believed().await;
        assert!(self.sink.has_no_more(), "{}", self.name);
    }
}

/// Postfix; `auth` is where it finds Dovecot to ask about users.
async fn postfix(auth: Option<u16>) -> Option<Host> {
    let peer = Peer::find_unpacked("postfix")?.with_user("postfix", 701).with_user("postdrop", 702);
    let (folder, certificates, port) = (Folder::new("interop-postfix"), Certificates::make(), free_port());
    certificates.write(&folder);
    let sink = next_host(&certificates).await;
    let values = [
        ("port", port.to_string()),
        ("next", sink.port.to_string()),
        ("sasl", if auth.is_some() { "yes" } else { "no" }.to_owned()),
        ("auth", auth.unwrap_or(0).to_string()),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    folder.configure("postfix-main.cf", "main.cf", &values);
    folder.configure("postfix-master.cf", "master.cf", &values);
    let script = "mkdir /var/spool/postfix /var/lib/postfix; chown postfix /var/lib/postfix; postfix -c \"$1\" check; \
                  /usr/lib/postfix/sbin/master -c \"$1\" -d";
    let mut running = Running::start(peer.shell(script, &[folder.0.to_str().unwrap()]), &folder, "postfix");
    running.greets(port);
    Some(Host { name: "postfix", port, starttls: StartTls::Required, folder, certificates, sink, running })
}

async fn exim() -> Option<Host> {
    let peer = Peer::find_unpacked("exim4-daemon-heavy")?.with_user("Debian-exim", 703);
    let (folder, certificates, port) = (Folder::new("interop-exim"), Certificates::make(), free_port());
    certificates.write(&folder);
    let sink = next_host(&certificates).await;
    folder.configure("exim.conf", "exim.conf", &[("port", &port.to_string()), ("next", &sink.port.to_string())]);
    let script = "mkdir -p /var/spool/exim \"$1/log\"; chown Debian-exim: /var/spool/exim \"$1/log\" \"$1/server.key\"; \
                  cp \"$1/exim.conf\" /etc/exim4/exim4.conf; exim4 -bdf -q1m";
    let mut running = Running::start(peer.shell(script, &[folder.0.to_str().unwrap()]), &folder, "exim");
    running.greets(port);
    Some(Host { name: "exim", port, starttls: StartTls::Required, folder, certificates, sink, running })
}

async fn opensmtpd() -> Option<Host> {
    let peer = Peer::find_unpacked("opensmtpd")?.with_user("opensmtpd", 704).with_user("opensmtpq", 705);
    let (folder, certificates, port) = (Folder::new("interop-opensmtpd"), Certificates::make(), free_port());
    certificates.write(&folder);
    let sink = next_host(&certificates).await;
    let encrypted =
        peer.command("/usr/libexec/opensmtpd/encrypt", &[PASSWORD]).stderr(Stdio::inherit()).output().unwrap();
    assert!(encrypted.status.success(), "{}", text(&encrypted));
    let password = String::from_utf8(encrypted.stdout).unwrap();
    let values = [("port", &*port.to_string()), ("next", &*sink.port.to_string()), ("password", password.trim())];
    folder.configure("smtpd.conf", "smtpd.conf", &values);
    let script = "mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd; chmod 711 /var/spool/smtpd; \
                  chmod 600 \"$1/server.key\" \"$1/smtpd.conf\"; smtpd -d -f \"$1/smtpd.conf\"";
    let mut running = Running::start(peer.shell(script, &[folder.0.to_str().unwrap()]), &folder, "opensmtpd");
    running.greets(port);
    let mut host = Host { name: "opensmtpd", port, starttls: StartTls::Required, folder, certificates, sink, running };
    // The one of Debian 12 does not find its own keys again with OpenSSL 3, so that no client can encrypt.
    let sender = host.sender(host.config());
    let mail = Outgoing::new(envelope(&["refused@example.net"]), letter("handshake"));
    if let Err(SendError::Tls(error)) = sender.send(&format!("localhost:{port}"), mail).await {
        println!("opensmtpd here cannot shake hands ({error}): it is sent to in the clear, and nobody logs in");
        host.starttls = StartTls::Never;
    }
    Some(host)
}

/// Dovecot, its port of LMTP, and the one where others ask about users.
fn dovecot() -> Option<(Running, Folder, Certificates, u16, u16)> {
    let users = [("dovecot", 706), ("dovenull", 707), ("vmail", 708)];
    let peer = Peer::find_unpacked("dovecot-lmtpd")?;
    let peer = users.into_iter().fold(peer, |peer, (name, id)| peer.with_user(name, id));
    let (folder, certificates) = (Folder::new("interop-dovecot"), Certificates::make());
    certificates.write(&folder);
    let (port, auth) = (free_port(), free_port());
    folder.configure("dovecot.conf", "dovecot.conf", &[("port", &port.to_string()), ("auth", &auth.to_string())]);
    let users = "bob:{PLAIN}secret:::::\nfull:{PLAIN}secret::::::userdb_quota_rule=*:storage=1\n";
    folder.write("users", format!("{USER}:{{PLAIN}}{PASSWORD}:::::\n{users}"));
    let script = "mkdir -p /var/lib/dovecot \"$1/mail\"; chown vmail \"$1/mail\"; dovecot -F -c \"$1/dovecot.conf\"";
    let mut running = Running::start(peer.shell(script, &[folder.0.to_str().unwrap()]), &folder, "dovecot");
    running.greets(port);
    Some((running, folder, certificates, port, auth))
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_takes_what_we_send_and_sends_us_what_it_took() {
    let Some(mut host) = postfix(None).await else { return };
    let offered = host.extensions().await;
    assert!(offered.pipelining && offered.chunking && offered.eight_bit_mime && offered.smtputf8 && offered.dsn);
    host.does_what_all_do().await;
    host.utf8_addresses_pass().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_lets_us_in_by_each_mechanism_of_dovecot() {
    let Some((_dovecot, _folder, _, _, auth)) = dovecot() else { return };
    let Some(mut host) = postfix(Some(auth)).await else { return };
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::DigestMd5,
        Mechanism::Scram(Hash::Sha1),
        Mechanism::Scram(Hash::Sha256),
    ];
    host.logs_in_by(&mechanisms).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exim_takes_what_we_send_and_sends_us_what_it_took() {
    let Some(mut host) = exim().await else { return };
    let offered = host.extensions().await;
    assert!(offered.pipelining && offered.chunking && offered.eight_bit_mime && offered.smtputf8 && offered.dsn);
    host.does_what_all_do().await;
    host.utf8_addresses_pass().await;
    let mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::External];
    host.logs_in_by(&mechanisms).await;
    // It believed our certificate (CV) and sent on by BDAT (K).
    let log = std::fs::read_to_string(host.folder.path("log/mainlog")).unwrap();
    let sent: Vec<&str> = log.lines().filter(|line| line.contains(" => ")).collect();
    assert!(sent.len() > 30 && sent.iter().all(|line| line.contains(" CV=yes ") && line.contains(" K ")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn opensmtpd_takes_what_we_send_and_sends_us_what_it_took() {
    let Some(mut host) = opensmtpd().await else { return };
    let offered = host.extensions().await;
    assert!(!offered.pipelining && !offered.chunking && offered.eight_bit_mime && !offered.smtputf8 && offered.dsn);
    host.does_what_all_do().await;
    match host.starttls {
        StartTls::Required => host.logs_in_by(&[Mechanism::Plain, Mechanism::Login]).await,
        // Where TLS is a bonus it goes without.
        _ => {
            let mail = Outgoing::new(envelope(&["bob@example.net"]), letter("opportunistic"));
            delivered(&host.send(config(StartTls::Opportunistic), mail).await, "opensmtpd");
            assert_arrived(&host.sink.next().await.content, &letter("opportunistic"), "opensmtpd");
        }
    }
    // It has no SMTPUTF8, and is not asked.
    let mut envelope = envelope(&["grüße@example.net"]);
    envelope.params.smtputf8 = true;
    let outcomes = host.send(host.config(), Outgoing::new(envelope, letter("utf8"))).await;
    assert_eq!((outcomes.len(), outcomes[0].by), (1, By::Client), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dovecots_lmtp_says_of_each_recipient_what_became_of_it() {
    let Some((_running, folder, certificates, port, _)) = dovecot() else { return };
    let connector = Connector::with_roots(certificates.authority.as_bytes()).unwrap();
    let mut sent = Vec::new();
    for max_chunk in [1024 * 1024, 100, 0] {
        let mut config = config(StartTls::Required);
        config.protocol = Protocol::Lmtp;
        config.max_chunk = max_chunk;
        let sender = Sender::with_connector(config, connector.clone());
        for letter in [letter("lmtp"), big_letter("big", 5_000_000)] {
            if max_chunk == 100 && letter.len() > 100_000 {
                continue;
            }
            let to = ["bob@example.net", "nobody@example.net", "full@example.net", "ada@example.net"];
            let mail = Outgoing::new(envelope(&to), letter.clone());
            let outcomes = sender.send(&format!("localhost:{port}"), mail).await.unwrap();
            assert_eq!(outcomes.len(), 4, "{outcomes:?}");
            for outcome in outcomes {
                let expected = match &outcome.to {
                    ForwardPath::Address(to) if to.local() == "nobody" => (Stage::Rcpt, 550),
                    ForwardPath::Address(to) if to.local() == "full" => (Stage::Message, 552),
                    _ => (Stage::Message, 250),
                };
                assert_eq!((outcome.stage, outcome.reply.code()), expected, "{outcome:?}");
                assert!(outcome.is_delivered() || !outcome.is_temporary(), "{outcome:?}");
            }
            sent.push(letter);
        }
    }
    sent.sort();
    for user in ["ada", "bob"] {
        let files = std::fs::read_dir(folder.0.join("mail").join(user).join("new")).unwrap();
        let arrived: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        assert_eq!(arrived.len(), sent.len(), "{user}");
        for letter in &sent {
            let found =
                arrived.iter().find(|one| one.ends_with(letter)).unwrap_or_else(|| panic!("{user} got another"));
            assert_arrived(found, letter, "dovecot");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_sink_takes_hard_refusals_and_many_at_once() {
    let Some(peer) = Peer::find("postfix", "smtp-sink") else { return };
    let folder = Folder::new("interop-smtp-sink");
    // Plain: no TLS, no extensions but what is asked for.
    let send = async |options: &[&str], max_chunk: usize, count: usize| {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut arguments = options.to_vec();
        arguments.extend([&address[..], "100"]);
        // Root gives up its rights here.
        arguments.splice(0..0, ["-u", "nobody"]);
        let mut running = Running::start(peer.command("smtp-sink", &arguments), &folder, "smtp-sink");
        running.greets(port);
        let mut config = ClientConfig::new("client.example.org").unwrap();
        config.starttls = StartTls::Never;
        config.max_chunk = max_chunk;
        let sender = Sender::with_connector(config, Connector::unverified());
        let tasks: Vec<_> = (0..count)
            .map(|number| {
                let (sender, address) = (sender.clone(), address.clone());
                let mail = Outgoing::new(envelope(&["bob@example.net"]), big_letter(&format!("{number}"), 100_000));
                tokio::spawn(async move { sender.send(&address, mail).await.unwrap() })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.extend(task.await.unwrap());
        }
        assert_eq!(outcomes.len(), count);
        outcomes
    };
    delivered(&send(&[], 1024 * 1024, 50).await, "many at once");
    delivered(&send(&["-p"], 0, 5).await, "without PIPELINING");
    delivered(&send(&["-e"], 0, 5).await, "without EHLO");
    for (options, stage, code) in [
        (&["-f", "rcpt"][..], Stage::Rcpt, 500),
        (&["-r", "mail"], Stage::Mail, 450),
        (&["-f", "data"], Stage::Data, 500),
        (&["-r", "."], Stage::Message, 450),
        (&["-q", "."], Stage::Message, 421),
    ] {
        for outcome in send(options, 0, 2).await {
            assert_eq!(outcome.stage, stage, "{options:?}: {outcome:?}");
            assert_eq!(outcome.reply.code() / 100, code / 100, "{options:?}: {outcome:?}");
            assert_eq!(outcome.is_temporary(), code < 500, "{options:?}: {outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mta_hands_on_to_postfix() {
    let Some(mut host) = postfix(None).await else { return };
    let settings = format!(
        "smart_host = {{ host = \"localhost:{}\", tls = \"required\", authorities = \"{}\" }}\n",
        host.port,
        host.folder.path("authority.pem")
    );
    let listen = "[[listen]]\nservice = \"submission\"\naddress = \"127.0.0.1:0\"\n";
    let config = host.folder.write("mta.toml", settings + listen);
    let data = host.folder.0.join("mta");
    let sent = letter("mta");
    let letter = sent.clone();
    let submit = move || {
        let mta = support::Mailhost::start_program("mta", &data, std::path::Path::new(&config));
        let mut client = mta.submission().unwrap();
        support::expect(&client.smtp("MAIL FROM:<demo@localhost> BODY=8BITMIME").unwrap(), "250");
        for to in ["bob", "refused", "eve"] {
            support::expect(&client.smtp(&format!("RCPT TO:<{to}@example.net>")).unwrap(), "250");
        }
        client.send(format!("BDAT {} LAST\r\n", letter.len()).as_bytes()).unwrap();
        client.send(&letter).unwrap();
        support::expect(&client.smtp_reply().unwrap(), "250");
        mta
    };
    let _mta = tokio::task::spawn_blocking(submit).await.unwrap();
    let taken = host.sink.next().await;
    assert_arrived(&taken.content, &sent, "mta");
    assert_eq!(taken.recipients(), ["<bob@example.net>", "<eve@example.net>"]);
    // The bounce for the one that was refused stays with the sender, who is at home there.
    let boxes = host.folder.0.join("mta/maildir/demo/new");
    host.running.until("a bounce", || std::fs::read_dir(&boxes).is_ok_and(|files| files.count() == 1));
    let file = std::fs::read_dir(&boxes).unwrap().next().unwrap().unwrap().path();
    let bounce = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    assert!(bounce.contains("Final-Recipient: rfc822; refused@example.net"), "{bounce}");
}
