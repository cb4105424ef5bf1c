//! What the interop tests stand on: other people's mail programs, each in a room of its own; a server of ours that keeps
//! what it was sent; certificates.
//!
//! `.ci/peers` unpacks the programs below `target/peers`. They have paths and users built in, so one runs in namespaces of
//! its own: its `/usr` and `/etc` are laid over the system's, its users are in its own copy of `/etc/passwd`, `/var` and
//! `/run` are empty. All that it starts ends when its room does. The network is the system's, and only loopback is used.
#![allow(dead_code)] // each test that includes this file uses a part of it

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use facteur::base::Secret;
use facteur::net::Driver;
use facteur::net::tls::{Acceptor, Demand};
use facteur::sasl::{Answer, Credentials, Question, Verifier};
use facteur::smtp::server::{Protocol, StartTls};
use facteur::smtp::{Enhanced, Envelope, ForwardPath, Reply, Server, ServerConfig, ServerEvent, Session};
use tokio::sync::mpsc;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const USER: &str = "ada";
pub const PASSWORD: &str = "tanstaaf";
pub const TOKEN: &str = "t0ken";

/// Lines that a server must take as they are: dots, a long line, octets beyond ASCII, an empty last line.
pub fn letter(subject: &str) -> Vec<u8> {
    let mut letter = format!(
        "From: Ada <ada@example.org>\r\nTo: bob@example.net\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\
         Date: Sun, 22 Nov 2026 03:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n.\r\n..\r\n.leading\r\n trailing blank \r\n\tGrüße, 日本語\r\nFrom here\r\n"
    )
    .into_bytes();
    // RFC 5321 §4.5.3.1.6: 1000 octets with the line end.
    letter.extend(std::iter::repeat_n(b'x', 998));
    letter.extend_from_slice(b"\r\n.\r\n\r\n");
    letter
}

/// A message in 7 bit of at least so many octets.
pub fn big_letter(subject: &str, size: usize) -> Vec<u8> {
    let mut letter = format!(
        "From: ada@example.org\r\nTo: bob@example.net\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\
         Date: Sun, 22 Nov 2026 03:00:00 +0000\r\n\r\n"
    )
    .into_bytes();
    let mut number = 0u32;
    while letter.len() < size {
        // Some lines begin with a dot, and none is like another.
        let dot = if number.is_multiple_of(7) { "." } else { "" };
        letter
            .extend_from_slice(format!("{dot}{number:08} the quick brown fox jumps over the lazy dog\r\n").as_bytes());
        number += 1;
    }
    letter
}

/// What arrived is what was sent below trace fields.
pub fn assert_arrived(arrived: &[u8], sent: &[u8], who: &str) {
    assert!(arrived.ends_with(sent), "{who}: arrived otherwise:\n{}", arrived.escape_ascii());
    let added = &arrived[..arrived.len() - sent.len()];
    let added = std::str::from_utf8(added).expect("trace fields");
    for line in added.lines() {
        let known = ["Received:", "Return-Path:", "Delivered-To:", "Envelope-To:", "Delivery-Date:", "\t", " "];
        assert!(
            known.iter().any(|name| line.to_ascii_lowercase().starts_with(&name.to_ascii_lowercase())),
            "{who}: not a trace field: {line}"
        );
    }
}

/// A folder of one test alone, removed at the end of a good run.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("facteur-{name}-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        // Peers give up their rights, and must still come by.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a path in UTF-8").to_owned()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().expect("a folder")).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes `tests/interop_peers/conf/FROM` to the file `to`, each `@name@` in it replaced.
    pub fn configure(&self, from: &str, to: &str, values: &[(&str, &str)]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop_peers/conf").join(from);
        let mut text = std::fs::read_to_string(path).unwrap().replace("@folder@", self.0.to_str().expect("UTF-8"));
        for (name, value) in values {
            text = text.replace(&format!("@{name}@"), value);
        }
        self.write(to, text)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// Where Python finds what `.ci/peers` brought.
pub fn python_path() -> PathBuf {
    peers().join("python")
}

/// Where node does.
pub fn node_path() -> PathBuf {
    peers().join("node/node_modules")
}

/// Says so past the test harness, which keeps to itself what a test that passes prints.
fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// Whether all of these files and programs are there; a line that says so where not.
pub fn has(what: &str, programs: &[&str], files: &[&Path]) -> bool {
    let runs = |program: &&str| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = programs.iter().all(runs) && files.iter().all(|file| file.exists());
    if !found {
        skipped(&format!("{what} is not here"));
    }
    found
}

/// A program that `.ci/peers` has unpacked, or that the system has.
#[derive(Clone)]
pub struct Peer {
    /// What to lay over `/usr` and `/etc`; `None` where the system has it.
    layer: Option<PathBuf>,
    users: Vec<(String, u32)>,
}

impl Peer {
    /// The package; `None`, and a line that says so, where it is neither unpacked nor installed, or cannot be given a room.
    pub fn find(package: &str, program: &str) -> Option<Self> {
        let layer = peers().join(package);
        if layer.join("done").exists() {
            let peer = Self { layer: Some(layer), users: Vec::new() };
            return match peer.shell("true", &[]).output() {
                Ok(output) if output.status.success() => Some(peer),
                Ok(output) => {
                    let why = String::from_utf8_lossy(&output.stderr);
                    skipped(&format!("{package} is here, and cannot be given a room: {}", why.trim()));
                    None
                }
                Err(error) => {
                    skipped(&format!("{package} is here, and cannot be given a room: {error}"));
                    None
                }
            };
        }
        let installed =
            Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
        if installed.is_ok_and(|status| status.success()) {
            return Some(Self { layer: None, users: Vec::new() });
        }
        skipped(&format!("{package} is not here"));
        None
    }

    /// The same where users count: a server in a room, not one of the system.
    pub fn find_unpacked(package: &str) -> Option<Self> {
        let peer = Self::find(package, "false")?;
        match peer.layer {
            Some(_) => Some(peer),
            None => {
                skipped(&format!("{package} is not unpacked here"));
                None
            }
        }
    }

    /// With a user and group of this name in its room.
    #[must_use]
    pub fn with_user(mut self, name: &str, id: u32) -> Self {
        self.users.push((name.to_owned(), id));
        self
    }

    /// A command line of the shell in the room, with these arguments as `$1` and on.
    pub fn shell(&self, script: &str, arguments: &[&str]) -> Command {
        let Some(layer) = &self.layer else {
            let mut command = Command::new("sh");
            command.args(["-c", script, "sh"]).args(arguments);
            return command;
        };
        let layer = layer.to_str().expect("a path in UTF-8");
        let mut setup = format!(
            "set -e; mount --make-rprivate /; mount -t overlay overlay -o 'lowerdir={layer}/usr:/usr' /usr; \
             mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var; \
             mkdir -p /run/etc /run/work /var/spool /var/lib /var/log /var/mail /var/tmp /var/empty; \
             ln -s /run /var/run; chmod 1777 /var/tmp; etc=/etc; [ ! -d '{layer}/etc' ] || etc='{layer}/etc:/etc'; \
             mount -t overlay overlay -o \"lowerdir=$etc,upperdir=/run/etc,workdir=/run/work\" /etc; "
        );
        for (name, id) in &self.users {
            setup.push_str(&format!(
                "echo '{name}:x:{id}:{id}::/var/empty:/bin/false' >>/etc/passwd; echo '{name}:x:{id}:' >>/etc/group; "
            ));
        }
        setup.push_str("set +e; ");
        let mut command = Command::new("setpriv");
        // The room ends with the thread that made it, and everything in it with the shell, its first process. That is why the
        // shell stays: a process that gives up its rights would not hear of the end any more.
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]);
        command.args(["sh", "-c", &format!("{setup}{script}\nexit $?"), "sh"]).args(arguments);
        command
    }

    /// One program of it in the room.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut all = vec![program];
        all.extend(arguments);
        self.shell("\"$@\"", &all)
    }
}

/// A process that ends with its guard.
pub struct Running {
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it, its output in a file of the folder.
    pub fn start(mut command: Command, folder: &Folder, name: &str) -> Self {
        let log = folder.0.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { process: command.spawn().expect("it starts"), log }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it greets on this port.
    pub fn greets(&mut self, port: u16) {
        self.until(&format!("a greeting on port {port}"), || {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut line = String::new();
            let mut stream = BufReader::new(stream);
            let greeted = stream.read_line(&mut line).is_ok_and(|n| n > 0) && line.starts_with("220");
            let _ = stream.get_mut().write_all(b"QUIT\r\n");
            greeted
        });
    }

    /// Waits until this has come true.
    pub fn until(&mut self, what: &str, mut is_true: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_true() {
            if let Ok(Some(status)) = self.process.try_wait() {
                panic!("waited for {what}, it ended with {status}: {}", self.log());
            }
            assert!(Instant::now() < end, "waited for {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// A port that nobody listened on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a program to its end with this input.
pub async fn run(mut command: Command, input: Vec<u8>) -> Output {
    let task = tokio::task::spawn_blocking(move || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("just piped");
        // One that does not read its input to the end has its reasons.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    });
    tokio::time::timeout(Duration::from_secs(60), task).await.expect("it ends").unwrap()
}

pub fn text(output: &Output) -> String {
    let octets = [&output.stdout[..], b"\n--- stderr\n", &output.stderr].concat();
    format!("{}\n{}", output.status, String::from_utf8_lossy(&octets))
}

/// An authority, a server's certificate of it for localhost, and a client's.
pub struct Certificates {
    pub authority: String,
    pub server: (String, String),
    pub client: (String, String),
}

impl Certificates {
    pub fn make() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "facteur's tests");
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let made = |names: &[&str], common: &str, address: bool| {
            let mut params =
                CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, common);
            if address {
                params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
            }
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate().unwrap();
            (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
        };
        let server = made(&["localhost"], "localhost", true);
        let client = made(&["client.example.org"], USER, false);
        Self { authority, server, client }
    }

    pub fn acceptor(&self) -> Acceptor {
        let (chain, key) = &self.server;
        let acceptor = Acceptor::from_pem(chain.as_bytes(), &Secret::from(key.as_str())).unwrap();
        acceptor.asking_clients(self.authority.as_bytes(), Demand::Optional).unwrap()
    }

    /// Writes them to the folder as `authority.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub fn write(&self, folder: &Folder) {
        folder.write("authority.pem", &self.authority);
        for (name, (chain, key)) in [("server", &self.server), ("client", &self.client)] {
            folder.write(&format!("{name}.pem"), chain);
            folder.write(&format!("{name}.key"), key);
        }
    }
}

/// A message that [`Sink`] took.
#[derive(Debug)]
pub struct Taken {
    pub envelope: Envelope,
    pub content: Bytes,
    pub session: Session,
}

impl Taken {
    pub fn recipients(&self) -> Vec<String> {
        self.envelope.recipients.iter().map(|recipient| recipient.to.to_string()).collect()
    }
}

/// Our server on a free port: it takes what it is sent for anyone but `refused@`, and keeps it.
pub struct Sink {
    pub port: u16,
    taken: mpsc::UnboundedReceiver<Taken>,
    task: tokio::task::JoinHandle<()>,
}

/// When a [`Sink`] speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encrypted {
    ByStartTls,
    FromTheStart,
    Never,
}

impl Sink {
    pub async fn start(mut config: ServerConfig, certificates: &Certificates, encrypted: Encrypted) -> Self {
        if encrypted == Encrypted::ByStartTls {
            config.starttls = StartTls::Required;
        }
        let config = Arc::new(config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = certificates.acceptor();
        let (sender, taken) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let _ = stream.set_nodelay(true);
                let server = Server::new(Arc::clone(&config), peer.ip(), Instant::now());
                let driver = Driver::new(server, stream).with_tls(acceptor.clone());
                let (sender, lmtp) = (sender.clone(), config.protocol == Protocol::Lmtp);
                tokio::spawn(async move {
                    let driver = match encrypted {
                        Encrypted::FromTheStart => match driver.encrypted().await {
                            Ok(driver) => driver,
                            Err(error) => return eprintln!("sink: {error}"),
                        },
                        _ => driver,
                    };
                    take(driver, sender, lmtp).await;
                });
            }
        });
        Self { port, taken, task }
    }

    /// The next message.
    pub async fn next(&mut self) -> Taken {
        tokio::time::timeout(PATIENCE, self.taken.recv()).await.expect("a message in time").expect("a server")
    }

    /// No message came, and none will without being sent.
    pub fn has_no_more(&mut self) -> bool {
        self.taken.try_recv().is_err()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(mut driver: Driver<Server, tokio::net::TcpStream>, sender: mpsc::UnboundedSender<Taken>, lmtp: bool) {
    loop {
        match driver.next().await {
            Ok(Some(event)) => match event {
                ServerEvent::Ask(question) => driver.tell(answer(&question)),
                ServerEvent::Auth { identity, credentials } => {
                    let known = match &credentials {
                        Credentials::Password(password) => {
                            identity.name() == USER && *password == Secret::from(PASSWORD)
                        }
                        Credentials::Token(token) => *token == Secret::from(TOKEN),
                        Credentials::Proven | Credentials::Anonymous { .. } => true,
                        Credentials::External => {
                            let tls = driver.session().tls.as_ref();
                            tls.is_some_and(|tls| !tls.peer_certificates.is_empty())
                        }
                        _ => false,
                    };
                    match known {
                        true if credentials == Credentials::External => driver.accept_as("by certificate"),
                        true => driver.accept(),
                        false => driver.reply(Reply::new(535, Enhanced(5, 7, 8), "wrong")),
                    }
                }
                ServerEvent::AuthFailed(_) => {}
                ServerEvent::Rcpt { to: ForwardPath::Address(address), .. }
                    if address.to_string().starts_with("refused@") =>
                {
                    driver.reply(Reply::new(550, Enhanced(5, 1, 1), "no such user"));
                }
                ServerEvent::Message(mail) => {
                    let session = driver.session().clone();
                    let replies = mail.envelope.recipients.len();
                    let _ = sender.send(Taken { envelope: mail.envelope, content: mail.content, session });
                    match lmtp {
                        true => driver.reply_each((0..replies).map(|_| Reply::new(250, Enhanced(2, 0, 0), "taken"))),
                        false => driver.accept(),
                    }
                }
                ServerEvent::Discarded(fault) => eprintln!("sink: discarded: {fault:?}"),
                _ => driver.accept(),
            },
            Ok(None) => return,
            Err(error) => return eprintln!("sink: {error}"),
        }
    }
}

fn answer(question: &Question) -> Answer {
    match question {
        Question::Keys { user, hash } if user == USER => {
            let iterations = NonZeroU32::new(4096).unwrap();
            Answer::Keys(Verifier::with_hash(*hash, &PASSWORD.into(), b"sixteen octets!!", iterations))
        }
        Question::Password { user } if user == USER => Answer::Password(PASSWORD.into()),
        _ => Answer::Nobody,
    }
}
