//! The suite smtp-james-mpt: STARTTLS in its place and elsewhere, and what is pipelined behind it.

mod suites;

use std::time::Instant;

use facteur::base::{Machine, Step};
use facteur::sasl::{Mechanism, Offer};
use facteur::smtp::server::{AuthPolicy, Server, ServerConfig, ServerEvent, StartTls};

/// Scripts whose replies are others here, and why. Codes are compared, and enhanced codes where both have one.
const ON_PURPOSE: &[(&str, &str)] = &[
    ("starttls_session_fixation", "503, not 501: the command is sound and at the wrong time (RFC 5321 §4.2.4)"),
    (
        "starttls_with_injection",
        "220, and the session ends without a handshake: whether more came with the line is not looked at before",
    ),
];

struct Host {
    server: Server,
    output: Vec<u8>,
    /// It wants a handshake.
    starting: bool,
    over: bool,
}

impl Host {
    fn new(script: &str) -> Self {
        let mut config = ServerConfig::new("mydomain.tld").unwrap();
        config.limits = false;
        if script != "helo" {
            config.starttls = StartTls::Offered;
            config.auth = config_auth();
            config.auth_policy = AuthPolicy::Anywhere;
        }
        let mut host = Self {
            server: Server::new(config, [127, 0, 0, 1].into(), Instant::now()),
            output: Vec::new(),
            starting: false,
            over: false,
        };
        host.feed(b"");
        host
    }

    fn feed(&mut self, octets: &[u8]) {
        self.server.wire().feed(octets);
        loop {
            match self.server.poll() {
                Ok(Step::Event(ServerEvent::Discarded(_) | ServerEvent::Chunk(_))) => {}
                Ok(Step::Event(_)) => self.server.accept(),
                Ok(Step::StartTls) => {
                    self.starting = true;
                    break;
                }
                Ok(Step::Done) | Err(_) => {
                    self.over = true;
                    break;
                }
                Ok(_) => break,
            }
        }
        let wire = self.server.wire();
        while !wire.outgoing().is_empty() {
            self.output.extend_from_slice(wire.outgoing());
            wire.sent(wire.outgoing().len());
        }
    }

    /// The lines of the next reply.
    fn reply(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(end) = self.output.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = self.output.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap().trim_end().to_owned();
            let last = line.as_bytes().get(3) == Some(&b' ');
            lines.push(line);
            if last {
                break;
            }
        }
        lines
    }
}

fn config_auth() -> Offer {
    Offer::new([Mechanism::Login, Mechanism::Plain])
}

/// Whether what came is what the script says: the code, the enhanced code where both have one, and of EHLO the keywords, those
/// of the obsolete form `AUTH=` aside.
fn fits(wanted: &[&str], came: &[String]) -> bool {
    let Some(last) = came.last() else { return false };
    if wanted.last().map(|line| &line[..3]) != Some(&last[..3]) {
        return false;
    }
    if wanted.len() > 1 {
        let has = |keyword: &str| came.iter().any(|line| line[4..].eq_ignore_ascii_case(keyword));
        return wanted.iter().skip(1).all(|line| line.contains("AUTH=") || has(&line[4..]));
    }
    let code = |line: &str| {
        line.split(' ').nth(1).filter(|word| word.split('.').count() == 3).map(|code| code[..2].to_owned())
    };
    let (one, other) = (code(wanted[0]), code(last));
    one.is_none() || other.is_none() || one == other
}

#[test]
fn scripts_run_as_written() {
    let Some(dir) = suites::find("smtp-james-mpt") else { return };
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let (total, mut failed) = (files.len(), Vec::new());
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut host = Host::new(&name);
        // The script says AUTH at once, where another server needs no greeting.
        if name == "authplain" {
            host.feed(b"EHLO a.test\r\n");
        }
        let mut wanted = Vec::new();
        let lines = text.lines().filter(|line| line.starts_with("C:") || line.starts_with("S:"));
        let mut greeted = false;
        for line in lines {
            let text = line[2..].strip_prefix(' ').unwrap_or(&line[2..]);
            if line.starts_with("C:") {
                let octets = text.replace("\\r", "\r").replace("\\n", "\n");
                host.feed(format!("{octets}\r\n").as_bytes());
                continue;
            }
            wanted.push(text);
            // A pattern with a dot for the separator is the first line of several.
            if text.as_bytes().get(3) == Some(&b'-') || text == "250.*" {
                continue;
            }
            let came = host.reply();
            if name == "authplain" && !greeted {
                host.reply(); // to the EHLO
            }
            greeted = true;
            if !fits(&wanted, &came) {
                failed.push((name.clone(), format!("{came:?}, not {wanted:?}")));
                break;
            }
            wanted.clear();
        }
        // Whatever is pipelined behind STARTTLS is never acted upon.
        if name == "starttls_with_injection" {
            assert!(host.over && !host.output.windows(5).any(|five| five == b"2.1.0"));
        }
        assert_eq!(host.starting && !host.over, name == "starttls", "{name}");
    }
    println!("conformance smtp-james-mpt {}/{total}", total - failed.len());
    suites::otherwise(&failed, ON_PURPOSE);
}
