//! The suite smtp-chasquid-dialogues: what another server answers, code by code.

mod suites;

use std::path::PathBuf;
use std::time::Instant;

use facteur::base::{Machine, Secret, Step, Tls};
use facteur::sasl::{Credentials, Mechanism, Offer};
use facteur::smtp::server::{Server, ServerConfig, ServerEvent};
use facteur::smtp::{Enhanced, ForwardPath, Quirks, Reply};

/// Codes that are others here, and why.
const ON_PURPOSE: &[(&str, &str, &str)] = &[
    ("auth_multi_dialog", "534", "RFC 4954 §4 has 504 for a mechanism that is not offered"),
    ("auth_not_tls", "503", "RFC 4954 §6 has 538 where encryption is required"),
    ("auth_too_many_failures", "421", "errors are fewer there; each is answered, and 421 comes after the last"),
    ("bad_data_dot", "521", "a message with bare newlines is refused with 554, and the session goes on"),
    ("bad_data_dot_2", "521", "a message with bare newlines is refused with 554, and the session goes on"),
    ("bad_data_dot_on_message_too_big", "521", "the first fault counts: 552"),
    ("bad_mail_from", "500", "RFC 5321 §4.2.4 has 501 for a known verb with wrong parameters"),
    ("bad_rcpt_to", "500", "RFC 5321 §4.2.4 has 501 for a known verb with wrong parameters"),
    ("bad_rcpt_to", "550", "RFC 6531 §3.5 has 553 for UTF-8 without SMTPUTF8"),
    ("line_too_long", "554", "RFC 5321 §4.2.4 has 501 for a name that is no domain"),
    ("wrong_proto", "502", "the session ends, and RFC 5321 §3.8 has 421 for that"),
];

fn suite() -> Option<PathBuf> {
    suites::find("smtp-chasquid-dialogues/test/t-12-minor_dialogs")
}

struct Host {
    server: Server,
    /// What was sent and not yet compared.
    output: Vec<u8>,
}

impl Host {
    fn connect(port: &str) -> Self {
        let mut config = ServerConfig::new("testserver").unwrap();
        config.quirks = Quirks::common();
        config.max_size = Some(1024 * 1024);
        config.auth = Offer::new([Mechanism::Plain]);
        let mut server = Server::new(config, [127, 0, 0, 1].into(), Instant::now());
        if port == "1465" {
            server.tls_started(Tls::default());
        }
        let mut host = Self { server, output: Vec::new() };
        host.feed(b"");
        host
    }

    fn feed(&mut self, octets: &[u8]) {
        self.server.wire().feed(octets);
        while let Ok(Step::Event(event)) = self.server.poll() {
            let known = match &event {
                ServerEvent::Rcpt { to: ForwardPath::Address(to), .. } => to.to_string() == "user@testserver",
                ServerEvent::Auth { identity, credentials: Credentials::Password(password) } => {
                    identity.authcid == "user@testserver" && *password == Secret::from("secretpassword")
                }
                ServerEvent::Message(mail) => !mail.content.starts_with(
                    b"From: Mailer daemon <somewhere@horns.com>\r\nSubject: I've come to haunt you\r\nBad header",
                ),
                ServerEvent::Discarded(_) => continue,
                _ => true,
            };
            match event {
                _ if known => self.server.accept(),
                ServerEvent::Rcpt { .. } => self.server.reply(Reply::new(550, Enhanced(5, 1, 1), "no such user")),
                ServerEvent::Auth { .. } => self.server.reply(Reply::new(535, Enhanced(5, 7, 8), "wrong password")),
                _ => self.server.reply(Reply::new(554, Enhanced(5, 6, 0), "no message")),
            }
        }
        let wire = self.server.wire();
        while !wire.outgoing().is_empty() {
            self.output.extend_from_slice(wire.outgoing());
            wire.sent(wire.outgoing().len());
        }
    }

    /// The code of the next reply, all lines of it taken.
    fn code(&mut self) -> String {
        loop {
            let Some(end) = self.output.iter().position(|octet| *octet == b'\n') else { return "nothing".into() };
            let line = String::from_utf8(self.output.drain(..=end).collect()).unwrap();
            if line.as_bytes()[3] == b' ' {
                return line[..3].to_owned();
            }
        }
    }
}

/// The strings of `'text'`, `'text' * 3` and `('text' + 'text') * 3`.
fn python(expression: &str) -> Vec<u8> {
    let (text, times) = match expression.strip_prefix('(').and_then(|inner| inner.rsplit_once(") * ")) {
        Some((inner, times)) => (inner, times.trim().parse().unwrap()),
        None => (expression, 1),
    };
    let mut octets = Vec::new();
    for term in text.split(" + ") {
        let (literal, times) = match term.rsplit_once(" * ") {
            Some((literal, times)) => (literal, times.trim().parse().unwrap()),
            None => (term, 1),
        };
        let literal = literal.trim().trim_matches('\'').replace("\\r", "\r").replace("\\n", "\n");
        octets.extend(literal.repeat(times).into_bytes());
    }
    octets.repeat(times)
}

#[test]
fn dialogues_with_another_server_are_answered_alike() {
    let Some(dir) = suite() else {
        println!("conformance smtp-chasquid-dialogues skipped: the suite is not here");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cmy"));
    files.sort();
    let (mut passed, total) = (0, files.len());
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut host = None;
        let mut others = Vec::new();
        for line in text.lines() {
            let Some(step) = line.strip_prefix("c ") else { continue };
            let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
            match verb {
                "close" => host = None,
                "tcp_connect" | "tls_connect" => host = Some(Host::connect(rest.rsplit_once(':').unwrap().1)),
                "->" => host.as_mut().unwrap().feed(format!("{rest}\r\n").as_bytes()),
                "~>" => host.as_mut().unwrap().feed(&python(rest)),
                "<-" | "<~" | "<..." => {
                    let (wanted, came) = (&rest[..3], host.as_mut().unwrap().code());
                    if came != wanted {
                        let why = ON_PURPOSE.iter().find(|(file, code, _)| *file == name && *code == wanted);
                        let (_, _, why) = why.unwrap_or_else(|| panic!("{name}: {came}, not {rest}"));
                        others.push(format!("{name}: {came}, not {wanted}: {why}"));
                    }
                }
                _ => panic!("{name}: no such step: {line}"),
            }
        }
        if others.is_empty() {
            passed += 1;
        }
        others.iter().for_each(|other| println!("on purpose: {other}"));
    }
    println!("conformance smtp-chasquid-dialogues {passed}/{total}");
    // The rest differ on purpose, or the test would have ended above.
    assert!(passed >= 7);
}
