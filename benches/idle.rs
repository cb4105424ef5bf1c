//! How much memory a server has resident while 10,000 SMTP sessions without TLS wait: each has said EHLO and sent one message of
//! 4 KB, and says nothing more.
//!
//! `cargo bench --bench idle`; `-- --sessions 1000` opens that many. The server is this program once more, in a process of
//! its own, so that the clients do not count; with `-- --mailhost` it is the whole of mailhost, which has delivered the messages
//! by then.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: what is resident is read from /proc");
}

#[cfg(target_os = "linux")]
#[path = "../tests/support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
fn main() {
    idle::main();
}

#[cfg(target_os = "linux")]
mod idle {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{Ipv4Addr, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use facteur::net::Driver;
    use facteur::net::serve::{Service, ServiceConfig};
    use facteur::smtp::{Server, ServerConfig, ServerEvent};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::support::{Folder, Mailhost};

    pub fn main() {
        let arguments: Vec<String> = std::env::args().collect();
        if arguments.iter().any(|argument| argument == "--serve") {
            return serve();
        }
        let sessions = arguments.iter().skip_while(|argument| *argument != "--sessions").nth(1);
        let sessions = sessions.and_then(|sessions| sessions.parse().ok()).unwrap_or(10_000);
        raise_limit();
        let server = match arguments.iter().any(|argument| argument == "--mailhost") {
            true => Process::mailhost(),
            false => Process::start(),
        };
        let before = server.resident();
        let start = Instant::now();
        let clients: Vec<Client> = (0..sessions).map(|_| Client::open(&server)).collect();
        let seconds = start.elapsed().as_secs_f64();
        server.rest();
        let after = server.resident();
        println!("{sessions} sessions with a message of 4 KB each, in {seconds:.1} s");
        println!("resident before: {before} kB, with all of them idle: {after} kB");
        println!("a session: {:.2} kB", (after.saturating_sub(before)) as f64 / sessions as f64);
        drop(clients);
    }

    /// As many open files as may be.
    fn raise_limit() {
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("a higher limit");
    }

    fn serve() {
        raise_limit();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            println!("{}", listener.local_addr().expect("an address").port());
            let mut limits = ServiceConfig::new();
            limits.connections = usize::MAX;
            limits.per_address = None;
            let config = Arc::new(ServerConfig::new("mx.bench.test").expect("a name"));
            let handler = move |connection: facteur::net::serve::Connection<tokio::net::TcpStream>| {
                let config = Arc::clone(&config);
                async move {
                    let peer = connection.peer.expect("an address").ip();
                    let mut smtp = Driver::new(Server::new(config, peer, Instant::now()), connection.stream);
                    while let Ok(Some(event)) = smtp.next().await {
                        match event {
                            ServerEvent::Message(mail) => {
                                assert!(mail.content.len() >= 4096);
                                smtp.accept();
                            }
                            _ => smtp.accept(),
                        }
                    }
                }
            };
            Service::new(limits).run(listener, handler).await;
        });
    }

    /// The server's process; killed when dropped.
    struct Process {
        id: u32,
        port: u16,
        server: Kind,
    }

    enum Kind {
        Own(Child),
        Mailhost { folder: Folder, _guard: Mailhost },
    }

    impl Process {
        fn start() -> Self {
            let program = std::env::current_exe().expect("this program");
            let mut child =
                Command::new(program).arg("--serve").stdout(Stdio::piped()).spawn().expect("a second process");
            let mut line = String::new();
            let stdout = child.stdout.take().expect("just piped");
            BufReader::new(stdout).read_line(&mut line).expect("a port");
            Self { id: child.id(), port: line.trim().parse().expect("a port"), server: Kind::Own(child) }
        }

        fn mailhost() -> Self {
            let folder = Folder::new("idle");
            let config = folder.0.join("config.toml");
            let limits = "max_connections = 100000\nmax_connections_per_address = 100000\n";
            let listen = "[[listen]]\nservice = \"smtp\"\naddress = \"127.0.0.1:0\"\n";
            std::fs::write(&config, format!("{limits}{listen}")).expect("written");
            let mailhost = Mailhost::start_from(&folder.0.join("data"), &config);
            let (_, port) = mailhost.listeners["smtp"].rsplit_once(':').expect("a port");
            let (id, port) = (mailhost.id(), port.parse().expect("a port"));
            Self { id, port, server: Kind::Mailhost { folder, _guard: mailhost } }
        }

        /// Waits until it has nothing to do.
        fn rest(&self) {
            // The last reply has come, so its sessions wait, or will within a moment.
            std::thread::sleep(Duration::from_secs(1));
            let Kind::Mailhost { folder, .. } = &self.server else { return };
            let end = Instant::now() + Duration::from_secs(120);
            let waits = || {
                let mut queue = std::fs::read_dir(folder.0.join("data/queue")).expect("the queue");
                queue.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("qf")))
            };
            while waits() {
                assert!(Instant::now() < end, "the queue is not worked off");
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(Duration::from_secs(1));
        }

        /// In kB.
        fn resident(&self) -> u64 {
            let path = format!("/proc/{}/status", self.id);
            let status = std::fs::read_to_string(path).expect("its status");
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("what is resident");
            line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            if let Kind::Own(child) = &mut self.server {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    struct Client(#[allow(dead_code)] TcpStream); // open is all that it is to be

    impl Client {
        /// A session that has sent its message.
        fn open(server: &Process) -> Self {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("a connection");
            let _ = stream.set_nodelay(true);
            let mut client = Self(stream);
            client.expect("220 ");
            client.say("EHLO client.bench.test\r\n", "250 ");
            client.say("MAIL FROM:<ada@example.org>\r\n", "250 ");
            client.say("RCPT TO:<demo@localhost>\r\n", "250 ");
            client.say("DATA\r\n", "354 ");
            let line = "The quick brown fox jumps over the lazy dog, and back again.\r\n";
            client.say(&format!("Subject: a letter\r\n\r\n{}.\r\n", line.repeat(67)), "250 ");
            client
        }

        fn say(&mut self, text: &str, reply: &str) {
            self.0.write_all(text.as_bytes()).expect("sent");
            self.expect(reply);
        }

        /// Reads up to the end of a reply.
        fn expect(&mut self, reply: &str) {
            let mut octets = Vec::new();
            let mut buffer = [0; 1024];
            loop {
                let n = self.0.read(&mut buffer).expect("an answer");
                assert!(n > 0, "the server has hung up");
                octets.extend_from_slice(&buffer[..n]);
                let text = std::str::from_utf8(&octets).expect("ASCII");
                if !text.ends_with("\r\n") {
                    continue;
                }
                match text.lines().last() {
                    Some(line) if line.starts_with(reply) => return,
                    Some(line) if line.as_bytes().get(3) == Some(&b'-') => {}
                    _ => panic!("not {reply}: {text}"),
                }
            }
        }
    }
}
