//! Mailhost as a process, and the plainest of clients for it: a line out, a reply in, over TCP or TLS.
#![allow(dead_code)] // each test that includes this file uses a part of it

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

/// How long a client waits for an answer before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running mailhost; killed when dropped.
pub struct Mailhost {
    process: Child,
    /// The address of each service, as its table says.
    pub listeners: HashMap<String, String>,
    pub data: PathBuf,
}

impl Mailhost {
    /// Starts mailhost over the data folder with every listener on a free port.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, "")
    }

    /// The same with these settings besides, which come before the tables of its config.
    pub fn start_with(data: &Path, settings: &str) -> Self {
        let config = data.with_extension("toml");
        let mut text = format!("max_connections_per_address = 1000\nshutdown_grace = 2\n{settings}\n");
        for service in ["smtp", "submission", "smtps", "pop3", "pop3s", "imap", "imaps"] {
            text.push_str(&format!("[[listen]]\nservice = \"{service}\"\naddress = \"127.0.0.1:0\"\n"));
        }
        std::fs::write(&config, text).unwrap();
        Self::start_from(data, &config)
    }

    /// Starts mailhost over the data folder with this config as it is.
    pub fn start_from(data: &Path, config: &Path) -> Self {
        Self::start_program("mailhost", data, config)
    }

    /// The same for another of the programs: `mta`, `pop3d`, `imapd`.
    pub fn start_program(program: &str, data: &Path, config: &Path) -> Self {
        let mut process = Command::new(example(program))
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::OpenOptions::new().create(true).append(true).open(data.with_extension("log")).unwrap())
            .spawn()
            .expect("mailhost starts");
        let mut listeners = HashMap::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        // The table ends with an empty line.
        for line in lines.by_ref().map_while(Result::ok).skip_while(|line| !line.contains("127.0.0.1:")) {
            let mut words = line.split_whitespace();
            let (Some(service), Some(address)) = (words.next(), words.next()) else { break };
            listeners.insert(service.to_owned(), address.to_owned());
        }
        let log = || std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
        assert!(!listeners.is_empty(), "mailhost did not start: {}", log());
        // Somebody must read the rest, or mailhost would wait for its reader one day.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, listeners, data: data.to_owned() }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The password of the user demo.
    pub fn password(&self) -> String {
        std::fs::read_to_string(self.data.join("demo.password")).unwrap().trim().to_owned()
    }

    /// Connects to a service without TLS.
    pub fn connect(&self, service: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(&self.listeners[service])?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream: BufReader::new(Stream::Plain(stream)), certificate: self.data.join("certificate.pem") })
    }

    /// A connection to the submission port that is ready for MAIL: TLS, and the user demo logged in.
    pub fn submission(&self) -> io::Result<Client> {
        use base64::Engine;
        let password = self.password();
        let mut client = self.connect("submission")?;
        client.smtp_reply()?;
        client.smtp("EHLO first.test")?;
        expect(&client.smtp("STARTTLS")?, "220");
        client.start_tls()?;
        assert!(client.smtp("EHLO first.test")?.contains("AUTH"), "AUTH is offered under TLS");
        let response = base64::engine::general_purpose::STANDARD.encode(format!("\0demo\0{password}"));
        expect(&client.smtp(&format!("AUTH PLAIN {response}"))?, "235");
        Ok(client)
    }

    /// All letters of the user demo, by POP3.
    pub fn through_pop(&self) -> Vec<Vec<u8>> {
        let ok = |client: &mut Client, command: &str| {
            if !command.is_empty() {
                client.send(format!("{command}\r\n").as_bytes()).unwrap();
            }
            let line = client.line().unwrap();
            assert!(line.starts_with("+OK"), "{command}: {line}");
            line
        };
        let patience = Instant::now() + PATIENCE;
        // The session before this one may not have let go yet.
        let mut client = loop {
            let mut client = self.connect("pop3s").unwrap();
            client.start_tls().unwrap();
            ok(&mut client, "");
            ok(&mut client, "USER demo");
            client.send(format!("PASS {}\r\n", self.password()).as_bytes()).unwrap();
            let line = client.line().unwrap();
            if line.starts_with("+OK") {
                break client;
            }
            assert!(line.starts_with("-ERR [IN-USE]") && Instant::now() < patience, "PASS: {line}");
        };
        let count: usize = ok(&mut client, "STAT").split(' ').nth(1).unwrap().parse().unwrap();
        let letters = (1..=count)
            .map(|number| {
                ok(&mut client, &format!("RETR {number}"));
                let mut letter = Vec::new();
                loop {
                    let mut line = client.octet_line().unwrap();
                    if line == b".\r\n" {
                        return letter;
                    }
                    if line.first() == Some(&b'.') {
                        line.remove(0);
                    }
                    letter.extend(line);
                }
            })
            .collect();
        ok(&mut client, "QUIT");
        letters
    }

    /// All letters of the user demo once there are as many as `least` and the queue has been worked off.
    pub fn settled(&self, least: usize) -> Vec<Vec<u8>> {
        let patience = Instant::now() + PATIENCE;
        let mut before = 0;
        loop {
            let letters = self.through_pop();
            let queue = std::fs::read_dir(self.data.join("queue")).unwrap();
            let waiting =
                queue.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("qf")).count();
            if letters.len() >= least && letters.len() == before && waiting == 0 {
                return letters;
            }
            assert!(
                Instant::now() < patience,
                "{} letters of {least} after a minute, {waiting} in the queue",
                letters.len()
            );
            before = letters.len();
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGINT, as Ctrl-C does; what it exited with.
    #[cfg(unix)]
    pub fn interrupt(mut self) -> std::process::ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.process.wait().unwrap()
    }
}

impl Drop for Mailhost {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The reply that came must be the right one.
pub fn expect(reply: &str, code: &str) {
    assert!(reply.starts_with(code), "expected {code}: {reply}");
}

/// A data folder of one test alone, removed at the end of a good run.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("facteur-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The path of an example, beside the tests in the target folder; built where `cargo test --test` did not build it.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    static BUILDING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !path.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--example", name])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the example builds");
    }
    path
}

/// A connection, line by line.
pub struct Client {
    stream: BufReader<Stream>,
    certificate: PathBuf,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
    Gone,
}

impl Client {
    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)?;
        self.stream.get_mut().flush()
    }

    /// One line without its CRLF; an end of the stream is an error.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    /// One line with its end, as it came.
    pub fn octet_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Exactly so many octets.
    pub fn exact(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; len];
        self.stream.read_exact(&mut octets)?;
        Ok(octets)
    }

    /// Sends a line; SMTP's whole reply, its lines joined.
    pub fn smtp(&mut self, command: &str) -> io::Result<String> {
        self.send(format!("{command}\r\n").as_bytes())?;
        self.smtp_reply()
    }

    pub fn smtp_reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let line = self.line()?;
            reply.push_str(&line);
            reply.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    /// A TLS handshake over this connection, trusting the certificate of the data folder only.
    pub fn start_tls(&mut self) -> io::Result<()> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&self.certificate).expect("a certificate"))
            .expect("a sound certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection =
            rustls::ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        assert!(self.stream.buffer().is_empty(), "nothing comes before the handshake");
        let Stream::Plain(stream) = std::mem::replace(self.stream.get_mut(), Stream::Gone) else { panic!("TLS twice") };
        let mut tls = rustls::StreamOwned::new(connection, stream);
        tls.flush()?;
        *self.stream.get_mut() = Stream::Tls(Box::new(tls));
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// A host of few words, no DSN, no DELIVERBY, no 8BITMIME; and what it read.
pub fn plain_host() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, read) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let all = Arc::clone(&read);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut lines = BufReader::new(stream);
            let (mut line, mut text) = (Vec::new(), false);
            let _ = lines.get_mut().write_all(b"220 mx.plain.test\r\n");
            while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let reply: &[u8] = match line.as_slice() {
                    b"DATA\r\n" => {
                        text = true;
                        b"354 go on\r\n"
                    }
                    b".\r\n" => {
                        text = false;
                        b"250 queued\r\n"
                    }
                    _ if text => b"",
                    _ => b"250 OK\r\n",
                };
                all.lock().unwrap().extend_from_slice(&line);
                let _ = lines.get_mut().write_all(reply);
                line.clear();
            }
        }
    });
    (address, read)
}
