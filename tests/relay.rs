//! Two mail hosts: what one relays the other delivers, and what the other refuses comes back as a bounce.
#![cfg(all(feature = "net", unix))]

mod support;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use facteur::base::Secret;
use facteur::message::Message;
use facteur::sasl::Verifier;
use support::{Client, Folder, Mailhost, expect, plain_host};

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
    for keyword in [
        "CHUNKING",
        "LIMITS RCPTMAX=1000",
        "ETRN",
        "FUTURERELEASE 604800 ",
        "DSN",
        "DELIVERBY",
        "MT-PRIORITY",
        "REQUIRETLS",
    ] {
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
    // One that waits for its host, or is being tried just now; that which is held by its sender does not count. A session may
    // not ask for ever.
    let patience = Instant::now() + Duration::from_secs(60);
    while !host.submission().unwrap().smtp("ETRN @test").unwrap().starts_with("253 2.0.0 OK, 1 pending") {
        assert!(Instant::now() < patience, "it is never let go");
        std::thread::yield_now();
    }
    expect(&client.smtp("ETRN #slow").unwrap(), "251");
}

/// A letter with parameters of MAIL and RCPT.
fn submit_with(client: &mut Client, mail: &str, rcpt: &str) {
    expect(&client.smtp(&format!("MAIL FROM:<demo@localhost> {mail}")).unwrap(), "250");
    expect(&client.smtp(&format!("RCPT TO:{rcpt}")).unwrap(), "250");
    expect(&client.smtp("DATA").unwrap(), "354");
    expect(&client.smtp("Subject: with wishes\r\n\r\nHello.\r\n.").unwrap(), "250");
}

/// What the report says that came for the user demo.
fn report(letter: &[u8]) -> String {
    let report = Message::parse(letter.to_vec());
    let parts: Vec<_> = report.root().children().collect();
    String::from_utf8(parts[1].decode().to_vec()).unwrap()
}

#[test]
fn silent_hosts_hold_up_their_own_mail_and_no_other() {
    let folder = Folder::new("crowd");
    let silent: Vec<_> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let b = Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]");
    let mut settings = format!(
        "[queue]\nconnections = 4\nconnections_per_host = 3\n[[transports]]\ndomain = \"b.test\"\nhost = \"{}\"\n",
        b.listeners["smtp"]
    );
    for (number, host) in silent.iter().enumerate() {
        let host = host.local_addr().unwrap();
        settings.push_str(&format!("[[transports]]\ndomain = \"hole{number}.test\"\nhost = \"{host}\"\n"));
    }
    let a = Mailhost::start_with(&folder.0.join("a"), &settings);
    let mut client = a.submission().unwrap();
    submit(&mut client, &["demo@b.test"]);
    assert_eq!(b.settled(1).len(), 1);
    for number in 0..20 {
        submit(&mut client, &[&format!("x@hole{}.test", number % 4)]);
    }
    let _asked: Vec<_> = silent.iter().map(accept).collect();
    for _ in 0..5 {
        submit(&mut client, &["demo@b.test"]);
    }
    assert_eq!(b.settled(6).len(), 6);
    // No second connection while nobody knows whether they answer, and nothing is lost: all twenty wait.
    for host in &silent {
        assert_eq!(host.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    let queue = std::fs::read_dir(a.data.join("queue")).unwrap();
    let waiting = queue.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("qf"));
    assert_eq!(waiting.count(), 20);
    assert!(a.interrupt().success());
}

#[test]
fn what_the_next_host_cannot_have_is_converted() {
    let folder = Folder::new("converted");
    let (plain, read) = plain_host();
    let settings = format!("[[transports]]\ndomain = \"plain.test\"\nhost = \"{plain}\"");
    let host = Mailhost::start_with(&folder.0.join("data"), &settings);
    let mut client = host.submission().unwrap();
    for text in [
        &b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9 at noon\r\n"[..],
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b\r\n\r\nsignature\r\n--b--\r\n",
    ] {
        expect(&client.smtp("MAIL FROM:<demo@localhost> BODY=8BITMIME").unwrap(), "250");
        expect(&client.smtp("RCPT TO:<x@plain.test>").unwrap(), "250");
        expect(&client.smtp("DATA").unwrap(), "354");
        client.send(text).unwrap();
        expect(&client.smtp(".").unwrap(), "250");
    }
    // The signed one comes back.
    let bounce = report(&host.settled(1)[0]);
    assert!(bounce.contains("Status: 5.6.3"), "{bounce}");
    let read = read.lock().unwrap();
    assert!(read.is_ascii());
    let text = String::from_utf8(read.clone()).unwrap();
    let converted = "Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 at noon\r\n.\r\n";
    assert!(text.contains(converted), "{text}");
}

#[test]
fn headers_in_utf8_are_said_in_ascii_for_their_authors_alone() {
    let folder = Folder::new("utf8-header");
    // Each is for one client, and has an idle session for a while.
    let ((plain, read), (bucher, read_by_bucher), (last, read_last)) = (plain_host(), plain_host(), plain_host());
    let route = |domain: &str, host: &str| format!("[[transports]]\ndomain = \"{domain}\"\nhost = \"{host}\"\n");
    let routes = route("plain.test", &plain.to_string()) + &route("bücher.test", &bucher.to_string());
    let a = Mailhost::start_with(&folder.0.join("a"), &routes);
    // What comes for bob goes on.
    let password = Verifier::generate(&Secret::from("x"));
    let b = Mailhost::start_with(
        &folder.0.join("b"),
        &format!(
            "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]\n[[users]]\nname = \"bob\"\npassword = \"{password}\"\n\
             mailbox = \"maildir/bob\"\nforward = [\"x@plain.test\"]\n{}{}",
            route("plain.test", &last.to_string()),
            route("localhost", &a.listeners["smtp"])
        ),
    );
    let hand_in = |client: &mut Client, from: &str, to: &str, text: &str| {
        expect(&client.smtp(&format!("MAIL FROM:<{from}> SMTPUTF8 BODY=8BITMIME")).unwrap(), "250");
        expect(&client.smtp(&format!("RCPT TO:<{to}>")).unwrap(), "250");
        expect(&client.smtp("DATA").unwrap(), "354");
        expect(&client.smtp(&format!("{text}\r\n\r\nHello.\r\n.")).unwrap(), "250");
    };
    let mut user = a.submission().unwrap();
    hand_in(&mut user, "demo@localhost", "x@plain.test", "From: demo@localhost\r\nSubject: un café, one");
    // To whom it goes stands in the trace of this host, too.
    hand_in(&mut user, "demo@localhost", "x@bücher.test", "From: demo@localhost\r\nSubject: un café, two");
    // Signed, or not to be said in ASCII.
    hand_in(&mut user, "demo@localhost", "x@plain.test", "DKIM-Signature: v=1\r\nSubject: un café, three");
    hand_in(&mut user, "demo@localhost", "x@plain.test", "Reply-To: δ@localhost\r\nSubject: un café, four");
    let mut stranger = b.connect("smtp").unwrap();
    stranger.smtp_reply().unwrap();
    stranger.smtp("EHLO localhost").unwrap();
    hand_in(&mut stranger, "demo@localhost", "bob@b.test", "Subject: un café, five");
    let bounces = a.settled(3);
    for bounce in &bounces {
        let report = report(bounce);
        assert!(
            report.contains("Status: 5.6.9") && report.contains("Final-Recipient: rfc822; x@plain.test"),
            "{report}"
        );
    }
    assert_eq!(bounces.len(), 3);
    let text = |read: &Mutex<Vec<u8>>| String::from_utf8(read.lock().unwrap().clone()).unwrap();
    let (first, second) = (text(&read), text(&read_by_bucher));
    assert!(first.is_ascii() && second.is_ascii(), "{first}{second}");
    assert_eq!(first.matches("\r\nSubject: un =?utf-8?Q?caf=C3=A9=2C?= one\r\n\r\nHello.\r\n").count(), 1, "{first}");
    assert_eq!(second.matches("\r\nSubject: un =?utf-8?Q?caf=C3=A9=2C?= two\r\n\r\nHello.\r\n").count(), 1, "{second}");
    assert!(second.contains("\r\n\tfor <x@xn--bcher-kva.test>\r\n"), "{second}");
    assert_eq!([first, text(&read_last)].map(|text| text.matches("\r\nDATA\r\n").count()), [1, 0]);
}

#[test]
fn what_users_attach_stays_where_nothing_needs_it_changed() {
    let folder = Folder::new("attached");
    let b = Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]");
    let route = format!("[[transports]]\ndomain = \"b.test\"\nhost = \"{}\"", b.listeners["smtp"]);
    let a = Mailhost::start_with(&folder.0.join("a"), &route);
    let mut client = a.submission().unwrap();
    let letter = "From: demo@localhost\r\nSubject: spam\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n\
                  DKIM-Signature: v=1; d=spam.test\r\nSubject: überraschung\r\n\r\nBöse.\r\n";
    expect(&client.smtp("MAIL FROM:<demo@localhost> BODY=8BITMIME").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<demo@b.test>").unwrap(), "250");
    expect(&client.smtp("DATA").unwrap(), "354");
    expect(&client.smtp(&format!("{letter}.")).unwrap(), "250");
    let arrived = b.settled(1).remove(0);
    assert!(arrived.ends_with(letter.as_bytes()), "{}", arrived.escape_ascii());
}

#[test]
fn success_is_reported_by_who_knows_of_it() {
    let folder = Folder::new("success");
    let b = Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]");
    let (plain, _) = plain_host();
    let settings = format!(
        "[[transports]]\ndomain = \"b.test\"\nhost = \"{}\"\n[[transports]]\ndomain = \"plain.test\"\nhost = \"{}\"",
        b.listeners["smtp"], plain
    );
    let a = Mailhost::start_with(&folder.0.join("a"), &settings);
    let mut client = a.submission().unwrap();
    // Here, where it is delivered; on a host without DSN, where it was relayed. (That of mx.b.test would go to a user there.)
    submit_with(&mut client, "ENVID=q1", "<demo@localhost> NOTIFY=SUCCESS");
    submit_with(&mut client, "ENVID=q2", "<x@plain.test> NOTIFY=SUCCESS");
    submit_with(&mut client, "ENVID=q3", "<demo@b.test> NOTIFY=SUCCESS,FAILURE");
    submit_with(&mut client, "ENVID=q4 BY=600;N", "<x@plain.test>");
    submit_with(&mut client, "ENVID=q5 BY=600;R", "<x@plain.test>");
    // The letter itself, and four reports: of q1, q2, q4, and that q5 cannot go there.
    let letters = a.settled(5);
    let reports: Vec<String> =
        letters.iter().filter(|letter| letter.starts_with(b"Return-Path: <>")).map(|letter| report(letter)).collect();
    for (envid, words) in [
        ("q1", ["Action: delivered", "Final-Recipient: rfc822; demo@localhost"]),
        ("q2", ["Action: relayed", "Final-Recipient: rfc822; x@plain.test"]),
        ("q4", ["Action: relayed", "Deliver-By-Date: "]),
        ("q5", ["Action: failed", "Status: 5.4.7"]),
    ] {
        let envid = format!("Original-Envelope-Id: {envid}\r\n");
        let found: Vec<_> = reports.iter().filter(|report| report.contains(&envid)).collect();
        assert_eq!(found.len(), 1, "{envid}: {reports:?}");
        words.iter().for_each(|word| assert!(found[0].contains(word), "{word} in {}", found[0]));
    }
    assert_eq!(reports.len(), 4);
    b.settled(1);
}

#[test]
fn guessers_wait_whichever_door_they_try() {
    let folder = Folder::new("guesses");
    let host = Mailhost::start(&folder.0.join("data"));
    let mut wrong = 0;
    while wrong < 10 {
        let mut client = host.connect("smtps").unwrap();
        client.start_tls().unwrap();
        client.smtp_reply().unwrap();
        client.smtp("EHLO client.test").unwrap();
        for _ in 0..2 {
            // demo, wrong
            expect(&client.smtp("AUTH PLAIN AGRlbW8Ad3Jvbmc=").unwrap(), "535");
            wrong += 1;
        }
    }
    let mut client = host.connect("smtps").unwrap();
    client.start_tls().unwrap();
    client.smtp_reply().unwrap();
    client.smtp("EHLO client.test").unwrap();
    expect(&client.smtp("AUTH PLAIN AGRlbW8Ad3Jvbmc=").unwrap(), "454 4.7.0");
    let mut client = host.connect("pop3s").unwrap();
    client.start_tls().unwrap();
    client.line().unwrap();
    client.send(format!("USER demo\r\nPASS {}\r\n", host.password()).as_bytes()).unwrap();
    client.line().unwrap();
    assert!(client.line().unwrap().starts_with("-ERR [SYS/TEMP]"));
}

#[test]
fn a_message_from_a_user_gets_the_fields_that_it_lacks() {
    let folder = Folder::new("fields");
    let host = Mailhost::start(&folder.0.join("data"));
    let mut client = host.submission().unwrap();
    submit_with(&mut client, "", "<demo@localhost>");
    let letter = Message::parse(host.settled(1).remove(0));
    let header = letter.header();
    assert!(header.date().is_some());
    let id = header.get("Message-ID").unwrap().text().into_owned();
    assert!(id.trim().starts_with('<') && id.trim().ends_with("@mail.localhost>"), "{id}");
    // From another host it is what it is.
    let mut client = host.connect("smtp").unwrap();
    client.smtp_reply().unwrap();
    client.smtp("EHLO client.test").unwrap();
    submit_with(&mut client, "", "<demo@localhost>");
    let letters = host.settled(2);
    let bare = letters.iter().filter(|letter| !Message::parse(letter.to_vec()).header().fields().any(|f| f.is("Date")));
    assert_eq!(bare.count(), 1);
}

#[test]
fn a_message_that_requires_tls_goes_where_the_host_has_proved_its_name_and_nowhere_else() {
    let folder = Folder::new("require-tls");
    let b =
        Mailhost::start_with(&folder.0.join("b"), "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\", \"c.test\"]");
    let settings = format!(
        "[[transports]]\ndomain = \"b.test\"\nhost = \"{0}\"\ntls = \"required\"\nauthorities = \"{1}\"\n\
         [[transports]]\ndomain = \"c.test\"\nhost = \"{0}\"",
        b.listeners["smtp"],
        b.data.join("certificate.pem").display()
    );
    let a = Mailhost::start_with(&folder.0.join("a"), &settings);
    let mut client = a.submission().unwrap();
    submit_with(&mut client, "REQUIRETLS", "<demo@b.test>");
    submit_with(&mut client, "REQUIRETLS RET=FULL", "<demo@c.test>");
    let bounce = a.settled(1).remove(0);
    assert!(report(&bounce).contains("Status: 5.7.10"), "{}", report(&bounce));
    // RFC 8689 §5: the text stays here.
    assert!(!bounce.windows(6).any(|window| window == b"Hello."));
    assert_eq!(b.settled(1).len(), 1);
}

#[test]
fn a_time_to_deliver_is_kept() {
    let folder = Folder::new("deliver-by");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!("[queue]\ninterval = 1\n[[transports]]\ndomain = \"b.test\"\nhost = \"{closed}\"");
    let host = Mailhost::start_with(&folder.0.join("data"), &settings);
    let mut client = host.submission().unwrap();
    submit_with(&mut client, "BY=1;R ENVID=back", "<x@b.test>");
    submit_with(&mut client, "BY=1;N ENVID=told", "<x@b.test>");
    let patience = Instant::now() + Duration::from_secs(60);
    let reports = loop {
        let letters = host.through_pop();
        if letters.len() == 2 {
            break letters.iter().map(|letter| report(letter)).collect::<Vec<_>>();
        }
        assert!(Instant::now() < patience, "{} reports", letters.len());
    };
    for words in [
        ["Original-Envelope-Id: back", "Action: failed", "Status: 5.4.7"],
        ["Original-Envelope-Id: told", "Action: delayed", "Status: 4.4.7"],
    ] {
        assert!(reports.iter().any(|report| words.iter().all(|word| report.contains(word))), "{words:?}: {reports:?}");
    }
    // The one that was told of is tried on; what was just delivered may still be about to leave the queue.
    loop {
        let queue = std::fs::read_dir(host.data.join("queue")).unwrap().map(|entry| entry.unwrap());
        let left: Vec<_> = queue.filter(|entry| entry.file_name().to_string_lossy().starts_with("qf")).collect();
        // It may be written anew just now.
        let kept = |entry: &std::fs::DirEntry| {
            std::fs::read(entry.path()).is_ok_and(|text| text.windows(4).any(|word| word == b"told"))
        };
        if left.len() == 1 && kept(&left[0]) {
            break;
        }
        assert!(Instant::now() < patience, "{} in the queue", left.len());
    }
}
