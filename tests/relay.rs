//! Two mail hosts: what one relays the other delivers, and what the other refuses comes back as a bounce.
#![cfg(all(feature = "net", unix))]

mod support;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use facteur::message::Message;
use support::{Client, Folder, Mailhost, expect};

const LETTER: &str = "From: demo@localhost\r\nTo: demo@b.test, nobody@b.test\r\nSubject: across\r\n\r\n.. and back\r\n.\r\n\r\nnot the end\r\n";

#[test]
fn a_letter_crosses_to_the_next_host_and_a_refusal_comes_back_as_a_bounce() {
    let folder = Folder::new("relay");
    let b = Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]");
    let route = format!("[[transports]]\ndomain = \"b.test\"\nhost = \"{}\"", b.listeners["smtp"]);
    let a = Mailhost::start_with(&folder.0.join("a"), &route);

    let mut client = a.submission().unwrap();
    expect(&client.smtp("MAIL FROM:<demo@localhost>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<demo@b.test>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<nobody@b.test>").unwrap(), "250");
    // There is no route to anywhere else, and the client hears so at once.
    expect(&client.smtp("RCPT TO:<x@c.test>").unwrap(), "550 5.4.4");
    expect(&client.smtp("DATA").unwrap(), "354");
    client.send(LETTER.replace("\r\n.", "\r\n..").as_bytes()).unwrap();
    expect(&client.smtp(".").unwrap(), "250");

    let arrived = b.settled(1);
    assert_eq!(arrived.len(), 1);
    assert!(arrived[0].ends_with(LETTER.as_bytes()), "as it was sent: {}", arrived[0].escape_ascii());
    let arrived = Message::parse(arrived.into_iter().next().unwrap());
    assert_eq!(arrived.header().all("Received").count(), 2, "each host has left its mark");
    let with = |n: usize| arrived.header().all("Received").nth(n).unwrap().text();
    assert!(with(0).contains("by mx.b.test with ESMTPS id"), "opportunistic TLS between hosts: {}", with(0));
    assert!(with(1).contains("by mail.localhost with ESMTPSA id"), "{}", with(1));

    let bounces = a.settled(1);
    assert_eq!(bounces.len(), 1);
    let bounce = Message::parse(bounces.into_iter().next().unwrap());
    assert_eq!(bounce.header().get("Return-Path").unwrap().text().trim(), "<>");
    assert_eq!(bounce.root().content_type().to_string().split(';').next(), Some("multipart/report"));
    let parts: Vec<_> = bounce.root().children().collect();
    let status = String::from_utf8(parts[1].decode().to_vec()).unwrap();
    for line in [
        "Reporting-MTA: dns; mail.localhost",
        "Final-Recipient: rfc822; nobody@b.test",
        "Action: failed",
        "Status: 5.1.1",
    ] {
        assert!(status.contains(line), "{line} in {status}");
    }
    assert!(!status.contains("demo@b.test"), "who has it is not reported: {status}");
}

/// Submits a letter to these recipients.
fn submit(client: &mut Client, recipients: &[&str]) {
    expect(&client.smtp("MAIL FROM:<demo@localhost>").unwrap(), "250");
    for to in recipients {
        expect(&client.smtp(&format!("RCPT TO:<{to}>")).unwrap(), "250");
    }
    expect(&client.smtp("DATA").unwrap(), "354");
    expect(&client.smtp("Subject: x\r\n\r\nHello.\r\n.").unwrap(), "250");
}

#[test]
fn a_user_gets_one_copy_however_many_of_his_addresses_are_named() {
    let folder = Folder::new("one-copy");
    let host = Mailhost::start(&folder.0.join("data"));
    let recipients = ["demo@localhost", "demo@mail.localhost", "postmaster@localhost", "Postmaster", "demo@localhost"];
    submit(&mut host.submission().unwrap(), &recipients);
    assert_eq!(host.settled(1).len(), 1);
}

/// The next connection, or a failed test.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        match listener.accept() {
            Ok((stream, _)) => return stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < patience => {
                std::thread::yield_now()
            }
            Err(error) => panic!("nobody connects: {error}"),
        }
    }
}

#[test]
fn a_host_that_has_a_letter_does_not_get_it_again_because_another_is_silent() {
    let folder = Folder::new("silent");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let b = Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]");
    let routes = format!(
        "[[transports]]\ndomain = \"b.test\"\nhost = \"{}\"\n[[transports]]\ndomain = \"hole.test\"\nhost = \"{}\"",
        b.listeners["smtp"],
        silent.local_addr().unwrap()
    );
    let data = folder.0.join("a");
    let a = Mailhost::start_with(&data, &routes);
    submit(&mut a.submission().unwrap(), &["x@hole.test", "demo@b.test", "demo@localhost"]);
    // It goes to b.test first; once the other host is asked, that is recorded.
    let mut asked = vec![accept(&silent)];
    assert!(a.interrupt().success());
    for _ in 0..2 {
        let a = Mailhost::start_with(&data, &routes);
        asked.push(accept(&silent));
        a.kill();
    }
    let a = Mailhost::start_with(&data, &routes);
    asked.push(accept(&silent));
    assert_eq!(b.through_pop().len(), 1, "one letter over four starts");
    assert_eq!(a.through_pop().len(), 1, "and one here");
}

#[test]
fn what_is_announced_is_acted_upon() {
    let folder = Folder::new("announced");
    // Nobody listens there: the letter waits.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = Mailhost::start_with(
        &folder.0.join("data"),
        &format!("[[transports]]\ndomain = \"b.test\"\nhost = \"{closed}\""),
    );
    let mut client = host.submission().unwrap();
    let hello = client.smtp("EHLO client.test").unwrap();
    for keyword in ["CHUNKING", "LIMITS RCPTMAX=1000", "ETRN", "FUTURERELEASE 604800 "] {
        assert!(hello.contains(keyword), "{keyword} in {hello}");
    }
    assert!(!hello.contains("BINARYMIME"), "{hello}");
    // In chunks, one of which ends within a line end and looks like the end of DATA.
    expect(&client.smtp("MAIL FROM:<demo@localhost>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<demo@localhost>").unwrap(), "250");
    client.send(b"BDAT 19\r\nSubject: x\r\n\r\na\r\n.\rBDAT 11 LAST\r\n\nRSET\r\nend\r").unwrap();
    expect(&client.smtp_reply().unwrap(), "250 2.0.0 19 octets received");
    client.send(b"\n").unwrap();
    // The last octet was the first of a command.
    expect(&client.smtp_reply().unwrap(), "554 5.6.0");
    expect(&client.smtp_reply().unwrap(), "500");
    expect(&client.smtp("MAIL FROM:<demo@localhost>").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<demo@localhost>").unwrap(), "250");
    client.send(b"BDAT 19\r\nSubject: x\r\n\r\na\r\n.\rBDAT 12 LAST\r\n\nRSET\r\nend\r\n").unwrap();
    expect(&client.smtp_reply().unwrap(), "250 2.0.0 19 octets received");
    expect(&client.smtp_reply().unwrap(), "250");
    let arrived = host.settled(1);
    assert!(arrived[0].ends_with(b"Subject: x\r\n\r\na\r\n.\r\nRSET\r\nend\r\n"), "{}", arrived[0].escape_ascii());

    expect(&client.smtp("ETRN b.test").unwrap(), "251");
    submit(&mut client, &["x@b.test"]);
    expect(&client.smtp("MAIL FROM:<demo@localhost> HOLDFOR=3600").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<held@sub.b.test>").unwrap(), "550 5.4.4");
    expect(&client.smtp("RCPT TO:<held@b.test>").unwrap(), "250");
    expect(&client.smtp("BDAT 0 LAST").unwrap(), "250");
    expect(&client.smtp("MAIL FROM:<demo@localhost> HOLDFOR=604801").unwrap(), "501 5.5.4");
    // One that waits for its host, or is being tried just now; that which is held by its sender does not count.
    let patience = Instant::now() + Duration::from_secs(60);
    while !client.smtp("ETRN @test").unwrap().starts_with("253 2.0.0 OK, 1 pending") {
        assert!(Instant::now() < patience, "it is never let go");
        std::thread::yield_now();
    }
    expect(&client.smtp("ETRN #slow").unwrap(), "251");
}
