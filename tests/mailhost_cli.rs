//! Mailhost from the outside: its command line, its first start, its errors, its end.
#![cfg(all(feature = "net", unix))]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use support::{Folder, Mailhost, example, expect};

fn mailhost(arguments: &[&str]) -> Output {
    Command::new(example("mailhost")).args(arguments).output().unwrap()
}

/// Runs it with a config that must be refused: the one line that it says.
fn refused(folder: &Path, config: &str) -> String {
    let file = folder.join("bad.toml");
    std::fs::write(&file, config).unwrap();
    let output = mailhost(&["--config", file.to_str().unwrap(), "--data", folder.join("data").to_str().unwrap()]);
    assert!(!output.status.success(), "{config} must be refused");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.trim_end().lines().count(), 1, "one line: {said}");
    said.replace(file.to_str().unwrap(), "FILE").trim_end().to_owned()
}

#[test]
fn the_printed_config_is_the_default_and_reads_back() {
    let folder = Folder::new("print-config");
    let printed = mailhost(&["--print-config"]);
    assert!(printed.status.success());
    let text = String::from_utf8(printed.stdout).unwrap();
    for setting in [
        "hostname",
        "local_domains",
        "trusted_networks",
        "smart_host",
        "[[transports]]",
        "[[users]]",
        "[[listen]]",
        "127.0.0.1:2525",
    ] {
        assert!(text.contains(setting), "{setting}");
    }
    // Each listener on a free port, all else as printed.
    let file = folder.0.join("data.toml");
    let text = text.split("\n[[listen]]").next().unwrap().to_owned()
        + "\n[[listen]]\nservice = \"smtp\"\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(&file, text).unwrap();
    let host = Mailhost::start_from(&folder.0.join("data"), &file);
    let mut client = host.connect("smtp").unwrap();
    expect(&client.smtp_reply().unwrap(), "220 mail.localhost");
}

#[test]
fn a_bad_config_is_one_line_that_names_its_line() {
    let folder = Folder::new("bad-config");
    for (config, said) in [
        ("hostname = \"mx.test\"\nhostnam = \"x\"\n", "mailhost: FILE:2: unknown field `hostnam`"),
        ("\n\nhostname = 7\n", "mailhost: FILE:3: invalid type"),
        (
            "[[listen]]\nservice = \"gopher\"\naddress = \"127.0.0.1:70\"\n",
            "mailhost: FILE:2: unknown variant `gopher`",
        ),
        ("[[listen]]\nservice = \"smtp\"\naddress = \"nowhere\"\n", "mailhost: FILE:3: invalid socket address"),
        ("trusted_networks = [\"10.0.0.0/40\"]\n", "mailhost: FILE:1: 10.0.0.0/40: expected a network"),
        ("hostname = \"-\"\n", "mailhost: FILE: hostname: expected a domain"),
        ("smart_host = { host = \"relay.test\" }\n", "mailhost: FILE: relay.test: a route is a host and a port"),
        (
            "smart_host = { host = \"relay.test:25\", user = \"a\", password = \"b\" }\n",
            "mailhost: FILE: relay.test:25: a route with a password needs tls",
        ),
        (
            "[[users]]\nname = \"a\"\npassword = \"secret\"\nmailbox = \"a\"\n",
            "mailhost: user a: expected SCRAM-SHA-256",
        ),
    ] {
        let came = refused(&folder.0, config);
        assert!(came.starts_with(said), "expected {said}\n    came {came}");
    }
    let missing = mailhost(&["--config", "/nowhere/mailhost.toml"]);
    assert!(String::from_utf8(missing.stderr).unwrap().starts_with("mailhost: /nowhere/mailhost.toml: "));
}

#[test]
fn a_busy_port_is_named() {
    let folder = Folder::new("busy-port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = refused(&folder.0, &format!("[[listen]]\nservice = \"imap\"\naddress = \"{address}\"\n"));
    assert!(said.starts_with(&format!("mailhost: {address} (imap): ")), "{said}");
}

#[test]
fn the_first_start_keeps_the_password_in_one_private_file_and_else_only_as_a_hash() {
    let folder = Folder::new("first-start");
    let data = folder.0.join("data");
    let host = Mailhost::start(&data);
    let password = host.password();
    assert!(password.len() >= 20, "a password that nobody guesses");
    assert_eq!(std::fs::metadata(data.join("demo.password")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(data.join("key.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    let users = std::fs::read_to_string(data.join("users.toml")).unwrap();
    assert!(users.contains("SCRAM-SHA-256$") && !users.contains(&password), "{users}");
    assert!(host.submission().is_ok());

    // A first start that was cut off between key and certificate goes on where it was.
    assert!(host.interrupt().success(), "Ctrl-C ends it cleanly");
    std::fs::remove_file(data.join("certificate.pem")).unwrap();
    let host = Mailhost::start(&data);
    assert!(host.submission().is_ok());

    // A second start makes nothing anew, and does without the file once it is deleted.
    let certificate = std::fs::read(data.join("certificate.pem")).unwrap();
    assert!(host.interrupt().success(), "Ctrl-C ends it cleanly");
    std::fs::remove_file(data.join("demo.password")).unwrap();
    let host = Mailhost::start(&data);
    assert_eq!(std::fs::read(data.join("certificate.pem")).unwrap(), certificate);
    assert!(!data.join("demo.password").exists());
    let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(!log.contains(&password), "no password in the log");
    drop(host);
}

#[test]
fn a_stop_lets_a_transaction_end() {
    let folder = Folder::new("stop");
    let host = Mailhost::start(&folder.0.join("data"));
    let mut client = host.submission().unwrap();
    expect(&client.smtp("MAIL FROM:<ada@example.org>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<demo@localhost>").unwrap(), "250");
    expect(&client.smtp("DATA").unwrap(), "354");
    let stopped = std::thread::spawn(move || host.interrupt());
    client.send(b"Subject: late\r\n\r\nBut in time.\r\n.\r\n").unwrap();
    let reply = client.smtp_reply().unwrap();
    // Where the signal came first the client is told to come again: either way it knows.
    assert!(reply.starts_with("250") || reply.starts_with("421"), "{reply}");
    let said = client.smtp_reply().unwrap_or_else(|_| "closed".to_owned());
    assert!(said.starts_with("421") || said == "closed", "{said}");
    assert!(stopped.join().unwrap().success());
}

#[test]
fn its_parts_run_alone_over_the_same_folder() {
    let folder = Folder::new("parts");
    let data = folder.0.join("data");
    let config = folder.0.join("parts.toml");
    let listen = |service: &str| format!("[[listen]]\nservice = \"{service}\"\naddress = \"127.0.0.1:0\"\n");
    std::fs::write(&config, ["submission", "pop3s", "imaps"].map(listen).concat()).unwrap();
    let mta = Mailhost::start_program("mta", &data, &config);
    let pop3d = Mailhost::start_program("pop3d", &data, &config);
    let imapd = Mailhost::start_program("imapd", &data, &config);
    let served = |host: &Mailhost| host.listeners.keys().cloned().collect::<Vec<_>>();
    assert_eq!([served(&mta), served(&pop3d), served(&imapd)], [["submission"], ["pop3s"], ["imaps"]]);

    let mut client = mta.submission().unwrap();
    expect(&client.smtp("MAIL FROM:<demo@localhost>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<demo@localhost>").unwrap(), "250");
    expect(&client.smtp("DATA").unwrap(), "354");
    expect(&client.smtp("Subject: parts\r\n\r\nTogether.\r\n.").unwrap(), "250");
    let letters = pop3d.settled(1);
    assert!(letters[0].ends_with(b"Subject: parts\r\n\r\nTogether.\r\n"));

    let mut client = imapd.connect("imaps").unwrap();
    client.start_tls().unwrap();
    client
        .send(format!("a LOGIN demo {}\r\nb STATUS INBOX (MESSAGES UNSEEN)\r\n", imapd.password()).as_bytes())
        .unwrap();
    let said = std::iter::from_fn(|| client.line().ok()).find(|line| line.starts_with("* STATUS"));
    assert_eq!(said.as_deref(), Some("* STATUS INBOX (MESSAGES 1 UNSEEN 1)"));
}

/// Ten wrong passwords are forgiven, and four are looked at at once: no more are said to be wrong, however many come together.
#[test]
fn guesses_at_the_same_time_are_not_more_guesses() {
    let folder = Folder::new("guesses");
    let host = Mailhost::start(&folder.0.join("data"));
    let guess = || {
        let mut client = host.connect("submission").unwrap();
        client.smtp_reply().unwrap();
        client.smtp("EHLO guess.test").unwrap();
        client.smtp("STARTTLS").unwrap();
        client.start_tls().unwrap();
        client.smtp("EHLO guess.test").unwrap();
        // demo, with a password of one letter
        client.smtp("AUTH PLAIN AGRlbW8AeA==").unwrap()
    };
    let replies: Vec<String> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..40).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let wrong = replies.iter().filter(|reply| reply.starts_with("535 5.7.8")).count();
    let waits = replies.iter().filter(|reply| reply.starts_with("454 4.7.0")).count();
    assert_eq!(wrong + waits, 40, "{replies:?}");
    assert!((10..=13).contains(&wrong), "{wrong}");
}
