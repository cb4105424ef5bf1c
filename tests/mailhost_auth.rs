//! Mailhost with its checks on: what is not what it says it is gets refused, kept apart or marked, what goes out is signed, and
//! nothing is lost over it. All answers come out of zone files.
#![cfg(all(feature = "net", unix))]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use facteur::auth::{arc, dkim};
use facteur::base::{Secret, Timestamp};
use facteur::dns::Zone;
use facteur::message::Message;
use facteur::sasl::Verifier;
use support::{Client, Folder, Mailhost, expect, plain_host};

const RECORDS: &str = "
    localhost A 127.0.0.1
    1.0.0.127.in-addr.arpa PTR localhost
    good.example TXT \"v=spf1 ip4:127.0.0.1 -all\"
    _dmarc.good.example TXT \"v=DMARC1; p=reject\"
    bank.example TXT \"v=spf1 ip4:192.0.2.1 -all\"
    _dmarc.bank.example TXT \"v=DMARC1; p=reject\"
    shop.example TXT \"v=spf1 ip4:192.0.2.1 ~all\"
    _dmarc.shop.example TXT \"v=DMARC1; p=quarantine\"
    strict.example TXT \"v=spf1 ip4:192.0.2.1 -all exp=why.strict.example\"
    why.strict.example TXT \"see the terms\"
    slow.example TIMEOUT
    signed.example TXT \"v=spf1 -all\"
    _dmarc.signed.example TXT \"v=DMARC1; p=reject\"
    2.0.0.127.bl.example A 127.0.0.2
";

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Keys for signed.example, in files of the folder, and the records with theirs.
struct Keys {
    signers: Vec<dkim::Signer>,
    files: Vec<PathBuf>,
    records: String,
}

impl Keys {
    fn new(folder: &Path) -> Self {
        let mut made = Self { signers: Vec::new(), files: Vec::new(), records: RECORDS.to_owned() };
        let keys = [("rsa", dkim::SigningKey::generate_rsa()), ("ed", dkim::SigningKey::generate_ed25519())];
        for (selector, key) in keys {
            let key = key.unwrap();
            let file = folder.join(format!("{selector}.pem"));
            std::fs::write(&file, key.to_pem().unwrap()).unwrap();
            let record = key.record();
            let strings: Vec<String> =
                record.as_bytes().chunks(200).map(|part| format!("\"{}\"", part.escape_ascii())).collect();
            made.records.push_str(&format!("    {selector}._domainkey.signed.example TXT {}\n", strings.join(" ")));
            made.signers.push(dkim::Signer::new(
                "signed.example".parse().unwrap(),
                selector.parse().unwrap(),
                key.clone(),
            ));
            made.files.push(file);
        }
        made
    }

    fn zone(&self) -> Zone {
        self.records.parse().unwrap()
    }

    /// The settings of `sign` and of `seal`.
    fn config(&self, section: &str, n: usize) -> String {
        let selector = ["rsa", "ed"][n];
        let key = self.files[n].display();
        format!("{section}\ndomain = \"signed.example\"\nselector = \"{selector}\"\nkey = \"{key}\"\n")
    }
}

/// The settings of a host that checks, with these besides.
fn checking(folder: &Folder, records: &str, more: &str) -> String {
    let zone = folder.0.join("test.zone");
    std::fs::write(&zone, records).unwrap();
    format!("[auth]\ncheck = true\nzone = \"{}\"\n{more}\n", zone.display())
}

fn hello(host: &Mailhost) -> Client {
    let mut client = host.connect("smtp").unwrap();
    expect(&client.smtp_reply().unwrap(), "220");
    expect(&client.smtp("EHLO localhost").unwrap(), "250");
    client
}

/// Hands in a message: the reply to its end.
fn hand_in(client: &mut Client, from: &str, to: &str, message: &str) -> String {
    expect(&client.smtp(&format!("MAIL FROM:<{from}>")).unwrap(), "250");
    expect(&client.smtp(&format!("RCPT TO:<{to}>")).unwrap(), "250");
    expect(&client.smtp("DATA").unwrap(), "354");
    assert!(message.ends_with("\r\n"));
    client.smtp(&format!("{message}.")).unwrap()
}

fn letter(author: &str) -> String {
    format!("From: ada@{author}\r\nTo: demo@localhost\r\nMessage-ID: <1@{author}>\r\nSubject: x\r\n\r\nHello.\r\n")
}

/// Files of the queue, of whatever kind.
fn queued(host: &Mailhost) -> Vec<String> {
    let files = std::fs::read_dir(host.data.join("queue")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| ["qf", "df", "tf", "xf"].iter().any(|kind| name.starts_with(kind))).collect()
}

#[test]
fn spoofed_mail_is_refused_and_leaves_nothing_behind() {
    let folder = Folder::new("auth-spoofed");
    let host = Mailhost::start_with(&folder.0.join("data"), &checking(&folder, RECORDS, "spf_fail = \"refuse\""));
    let mut client = hello(&host);
    for (from, author, code) in [
        // SPF and DKIM fail; SPF passes for a domain that is not the author's; there is no policy, and SPF counts alone.
        ("ada@bank.example", "bank.example", "550 5.7.26"),
        ("ada@good.example", "bank.example", "550 5.7.1"),
        ("ada@strict.example", "strict.example", "550 5.7.23"),
    ] {
        let reply = hand_in(&mut client, from, "demo@localhost", &letter(author));
        expect(&reply, code);
        if author == "strict.example" {
            assert!(reply.contains("strict.example explained: see the terms"), "{reply}");
        }
        assert_eq!(queued(&host), [""; 0], "of mail from {author}");
    }
    // The same session goes on, and what is what it says it is comes through.
    expect(&hand_in(&mut client, "ada@good.example", "demo@localhost", &letter("good.example")), "250");
    let arrived = host.settled(1);
    assert_eq!(arrived.len(), 1);
    let text = String::from_utf8(arrived[0].clone()).unwrap();
    assert!(text.contains("From: ada@good.example"));
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
    let order =
        [place("Authentication-Results: mail.localhost;"), place("Received-SPF: pass"), place("Received: from")];
    assert!(order.is_sorted(), "{text}");
    for said in ["spf=pass smtp.mailfrom=good.example", "dmarc=pass header.from=good.example", "iprev=pass"] {
        place(said);
    }
}

#[test]
fn signed_mail_passes_and_forged_results_are_removed() {
    let folder = Folder::new("auth-signed");
    let keys = Keys::new(&folder.0);
    let host = Mailhost::start_with(&folder.0.join("data"), &checking(&folder, &keys.records, "spf_fail = \"refuse\""));
    let mut client = hello(&host);
    // A long body, in several pieces; both keys have signed it.
    let body: String = (0..4000).map(|n| format!("line {n}  of  a body \r\n")).collect();
    let unsigned = format!("From: ada@signed.example\r\nTo: demo@localhost\r\nSubject: x\r\n\r\n{body}");
    let fields = dkim::sign(&Message::parse(unsigned.clone()), &keys.signers, now()).unwrap();
    let forged = "Authentication-Results: Mail.LOCALHOST; dmarc=pass header.from=bank.example\r\n\
                  authentication-results: other.example; spf=pass\r\n\
                  Authentication-Results:\r\n\tmail.localhost/1; dkim=pass\r\n";
    let message = format!("{forged}{fields}{unsigned}");
    expect(&hand_in(&mut client, "ada@signed.example", "demo@localhost", &message), "250");
    let arrived = host.settled(1);
    let text = String::from_utf8(arrived[0].clone()).unwrap();
    let found = Message::parse(arrived[0].clone()).header().all("Authentication-Results").count();
    assert_eq!(found, 2, "ours and another's");
    assert!(text.contains("authentication-results: other.example; spf=pass\r\n"));
    assert_eq!(text.matches("dkim=pass header.d=signed.example").count(), 2, "{}", &text[..2000]);
    // SPF fails for this host, and DMARC passes all the same.
    assert!(text.contains("spf=fail smtp.mailfrom=signed.example") && text.contains("dmarc=pass"));
    assert!(text.ends_with(&format!("{fields}{unsigned}")), "the rest is as it was sent");
    // With one octet changed it is refused.
    let changed = message.replace("line 3999 ", "line 3998 ");
    expect(&hand_in(&mut client, "ada@signed.example", "demo@localhost", &changed), "550 5.7.26");
}

#[test]
fn forged_results_are_removed_where_nothing_is_checked() {
    let folder = Folder::new("auth-unchecked");
    let host = Mailhost::start(&folder.0.join("data"));
    let forged = "Authentication-Results: mail.localhost; dmarc=pass header.from=bank.example\r\nX-Spam-Flag: NO\r\n";
    let letter = letter("bank.example");
    expect(&hand_in(&mut hello(&host), "ada@bank.example", "demo@localhost", &format!("{forged}{letter}")), "250");
    let arrived = host.settled(1);
    assert!(Message::parse(arrived[0].clone()).header().get("Authentication-Results").is_none());
    assert!(arrived[0].ends_with(format!("X-Spam-Flag: NO\r\n{letter}").as_bytes()), "the rest is as it was sent");
}

#[test]
fn quarantined_mail_goes_to_the_folder_junk() {
    let folder = Folder::new("auth-junk");
    let host = Mailhost::start_with(&folder.0.join("data"), &checking(&folder, RECORDS, ""));
    let mut client = hello(&host);
    expect(&hand_in(&mut client, "ada@shop.example", "demo@localhost", &letter("shop.example")), "250");
    // A mark that came with the message counts for nothing.
    let marked = format!("X-Spam-Flag: YES\r\n{}", letter("good.example"));
    expect(&hand_in(&mut client, "ada@good.example", "demo@localhost", &marked), "250");
    let inbox = host.settled(1);
    assert!(inbox.len() == 1 && inbox[0].windows(12).any(|octets| octets == b"good.example"));
    let junk: Vec<_> = std::fs::read_dir(host.data.join("maildir/demo/.Junk/new")).unwrap().collect();
    assert_eq!(junk.len(), 1);
    let text = std::fs::read_to_string(junk[0].as_ref().unwrap().path()).unwrap();
    assert!(text.contains("From: ada@shop.example") && text.contains("policy.dmarc=quarantine"), "{text}");
}

#[test]
fn a_dns_that_does_not_answer_defers_where_the_config_says_so() {
    for (settings, code) in [("temporary = \"defer\"", "451 4.7.24"), ("", "250")] {
        let folder = Folder::new(&format!("auth-slow-{}", &code[..3]));
        let host = Mailhost::start_with(&folder.0.join("data"), &checking(&folder, RECORDS, settings));
        let mut client = hello(&host);
        expect(&hand_in(&mut client, "ada@slow.example", "demo@localhost", &letter("slow.example")), code);
        if code == "250" {
            let text = String::from_utf8(host.settled(1).remove(0)).unwrap();
            assert!(text.contains("spf=temperror"), "{text}");
        } else {
            assert_eq!(queued(&host), [""; 0]);
        }
    }
}

#[test]
fn a_listed_client_is_refused_at_rcpt_and_may_write_to_the_postmaster() {
    let folder = Folder::new("auth-listed");
    let settings = "lists = [\"bl.example*3\"]\nlists_refuse_at = 3";
    let host = Mailhost::start_with(&folder.0.join("data"), &checking(&folder, RECORDS, settings));
    // The client is the address that each list must have (RFC 5782 §5).
    let address = host.listeners["smtp"].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream: TcpStream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let mut said = |command: &str| {
        (&stream).write_all(command.as_bytes()).unwrap();
        lines.find(|line| line.as_bytes().get(3) == Some(&b' ')).unwrap()
    };
    expect(&said(""), "220");
    expect(&said("HELO localhost\r\n"), "250");
    expect(&said("MAIL FROM:<ada@good.example>\r\n"), "250");
    let reply = said("RCPT TO:<demo@localhost>\r\n");
    assert!(reply.starts_with("550 5.7.1") && reply.contains("127.0.0.2 is listed by bl.example"), "{reply}");
    expect(&said("RCPT TO:<postmaster@localhost>\r\n"), "250");
    // Another client is not listed.
    let mut client = hello(&host);
    expect(&hand_in(&mut client, "ada@good.example", "demo@localhost", &letter("good.example")), "250");
}

#[test]
fn outgoing_mail_is_signed_and_what_is_forwarded_sealed() {
    let folder = Folder::new("auth-outgoing");
    let keys = Keys::new(&folder.0);
    let checks = checking(&folder, &keys.records, "");
    let c = Mailhost::start_with(
        &folder.0.join("c"),
        &format!("hostname = \"mx.c.test\"\nlocal_domains = [\"c.test\"]\n{checks}"),
    );
    // The host in the middle checks what comes, and has a user whose mail goes on to the next.
    let password = Verifier::generate(&Secret::from("x"));
    let user = format!(
        "[[users]]\nname = \"bob\"\npassword = \"{password}\"\nmailbox = \"maildir/bob\"\nforward = [\"demo@c.test\"]\n"
    );
    let route = |host: &Mailhost| format!("[[transports]]\ndomain = \"*\"\nhost = \"{}\"\n", host.listeners["smtp"]);
    let b = Mailhost::start_with(
        &folder.0.join("b"),
        &format!(
            "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]\n{checks}{}{user}{}",
            keys.config("[auth.seal]", 1),
            route(&c),
        ),
    );
    let a = Mailhost::start_with(
        &folder.0.join("a"),
        &format!("{}{}{}", keys.config("[[auth.sign]]", 0), keys.config("[[auth.sign]]", 1), route(&b)),
    );
    let mut client = a.submission().unwrap();
    let letter = "From: Ada <ada@mail.signed.example>\r\nTo: bob@b.test\r\nSubject: on\r\n\r\nand  on \r\n";
    expect(&hand_in(&mut client, "ada@signed.example", "bob@b.test", letter), "250");
    // Of another domain nothing is signed.
    let other = "From: ada@good.example\r\nTo: bob@b.test\r\nSubject: other\r\n\r\nx\r\n";
    expect(&hand_in(&mut client, "ada@good.example", "bob@b.test", other), "250");

    let arrived: Vec<Message> = c.settled(2).into_iter().map(Message::parse).collect();
    let about = |subject: &str| {
        arrived.iter().find(|message| message.header().subject().as_deref() == Some(subject)).unwrap().clone()
    };
    let signed = about("on");
    let verdicts = keys.zone().ask(dkim::verify(&signed, now(), &dkim::Config::default()));
    let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    assert_eq!(outcomes, [dkim::Outcome::Pass; 2], "{}", signed.raw().escape_ascii());
    let chain = keys.zone().ask(arc::verify(&signed, now(), &dkim::Config::default()));
    assert_eq!((chain.outcome, chain.instance), (arc::Outcome::Pass, 1));
    let results = chain.sets[0].results.as_ref().unwrap();
    assert_eq!(results.id, "mx.b.test");
    assert!(results.methods.iter().any(|method| method.name == "dmarc" && method.result == "pass"), "{results:?}");
    let found = signed.header().get("Authentication-Results").unwrap().text().into_owned();
    assert!(found.contains("mx.c.test") && found.contains("arc=pass"), "{found}");

    let unsigned = about("other");
    assert!(unsigned.header().get("DKIM-Signature").is_none());
    // Sealed it is all the same: it came from elsewhere and goes on.
    assert_eq!(keys.zone().ask(arc::verify(&unsigned, now(), &dkim::Config::default())).outcome, arc::Outcome::Pass);
}

#[test]
fn signatures_hold_where_the_next_host_takes_ascii_alone() {
    let folder = Folder::new("auth-ascii");
    let keys = Keys::new(&folder.0);
    let (plain, read) = plain_host();
    let host = Mailhost::start_with(
        &folder.0.join("data"),
        &format!(
            "{}{}[[transports]]\ndomain = \"*\"\nhost = \"{plain}\"\n",
            keys.config("[[auth.sign]]", 0),
            keys.config("[[auth.sign]]", 1)
        ),
    );
    let mut client = host.submission().unwrap();
    let letter = "From: Ünal <ada@signed.example>\r\nTo: x@plain.test\r\nSubject: un café\r\nMIME-Version: 1.0\r\n\
                  Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncafé at noon\r\n";
    expect(&client.smtp("MAIL FROM:<ada@signed.example> SMTPUTF8 BODY=8BITMIME").unwrap(), "250");
    expect(&client.smtp("RCPT TO:<x@plain.test>").unwrap(), "250");
    expect(&client.smtp("DATA").unwrap(), "354");
    expect(&client.smtp(&format!("{letter}.")).unwrap(), "250");
    host.settled(0);
    let read = String::from_utf8(read.lock().unwrap().clone()).unwrap();
    let (_, message) = read.split_once("\r\nDATA\r\n").unwrap();
    let (message, _) = message.split_once("\r\n.\r\n").unwrap();
    let message = Message::parse(format!("{message}\r\n"));
    assert!(message.raw().is_ascii(), "{}", message.raw().escape_ascii());
    let verdicts = keys.zone().ask(dkim::verify(&message, now(), &dkim::Config::default()));
    let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    assert_eq!(outcomes, [dkim::Outcome::Pass; 2], "{}", message.raw().escape_ascii());
    let author = message.header().from().next().unwrap();
    assert_eq!((author.name().as_deref(), message.header().subject().as_deref()), (Some("Ünal"), Some("un café")));
    assert_eq!(message.root().text().as_deref(), Some("café at noon\r\n"));
}

#[test]
fn mail_of_strangers_is_never_signed_as_ours() {
    let folder = Folder::new("auth-stranger");
    let keys = Keys::new(&folder.0);
    let c = Mailhost::start_with(&folder.0.join("c"), "hostname = \"mx.c.test\"\nlocal_domains = [\"c.test\"]\n");
    let password = Verifier::generate(&Secret::from("x"));
    // Nothing is checked here; mail for bob goes on.
    let b = Mailhost::start_with(
        &folder.0.join("b"),
        &format!(
            "hostname = \"mx.b.test\"\nlocal_domains = [\"b.test\"]\n{}[[users]]\nname = \"bob\"\npassword = \"{password}\"\n\
             mailbox = \"maildir/bob\"\nforward = [\"demo@c.test\"]\n[[transports]]\ndomain = \"*\"\nhost = \"{}\"\n",
            keys.config("[[auth.sign]]", 0),
            c.listeners["smtp"],
        ),
    );
    let mut client = hello(&b);
    expect(&hand_in(&mut client, "x@evil.example", "bob@b.test", &letter("signed.example")), "250");
    let arrived = Message::parse(c.settled(1).remove(0));
    assert!(arrived.header().get("DKIM-Signature").is_none(), "{}", arrived.raw().escape_ascii());
}

#[test]
fn fields_that_some_readers_see_are_not_smuggled_in() {
    let folder = Folder::new("auth-smuggled");
    let host = Mailhost::start_with(&folder.0.join("data"), &checking(&folder, RECORDS, ""));
    let mut client = hello(&host);
    let two = format!("From: ada@good.example\r\n{}", letter("bank.example"));
    expect(&hand_in(&mut client, "ada@good.example", "demo@localhost", &two), "550 5.7.1");
    // A header ends at the first of two lines that are no fields. Some readers go on to the blank line.
    let behind = "From: ada@good.example\r\nno field\r\nnor this\r\n\
                  Authentication-Results: mail.localhost; dkim=pass\r\n\r\nHello.\r\n";
    expect(&hand_in(&mut client, "ada@good.example", "demo@localhost", behind), "250");
    let text = String::from_utf8(host.settled(1).remove(0)).unwrap();
    assert!(text.contains("\r\nFrom: ada@good.example\r\n\r\nno field\r\nnor this\r\n"), "{text}");
}

#[test]
fn users_write_under_their_own_addresses_where_the_config_says_so() {
    let folder = Folder::new("auth-own");
    let host = Mailhost::start_with(&folder.0.join("data"), "senders = \"own\"");
    let mut client = host.submission().unwrap();
    expect(&client.smtp("MAIL FROM:<ada@localhost>").unwrap(), "550 5.7.1 ada@localhost is not an address of demo");
    let from = |from: &str| format!("{from}Subject: x\r\n\r\nHello.\r\n");
    for (fields, reply) in [
        ("From: Demo <demo@localhost>\r\n", "250"),
        ("From: DEMO@mail.localhost\r\n", "250"),
        ("From: ada@localhost\r\n", "550 5.7.1 ada@localhost is not"),
        ("From: demo@localhost, ada@localhost\r\n", "550 5.7.1"),
        ("From: demo@localhost\r\nFrom: ada@localhost\r\n", "550 5.7.1"),
        ("From: friends: demo@localhost, ceo@bank.example;\r\n", "550 5.7.1"),
        ("From: \"Démo, (x)\"\r\n\t<demo@localhost> (at\r\n home)\r\n", "250"),
        ("From: <demo@localhost> <ceo@bank.example>\r\n", "550 5.6.0"),
        ("From: <demo@localhost> ceo@bank.example\r\n", "550 5.6.0"),
        ("From: ceo@bank.example <demo@localhost>\r\n", "550 5.6.0"),
        ("From: demo@localhost\r\nFrom: \r\n", "550 5.6.0"),
        ("From: demo\r\n", "550 5.7.1"),
        ("From: friends:;\r\n", "550 5.6.0"),
        ("", "550 5.6.0"),
        ("From: demo@localhost\r\nno field\r\nFrom: ceo@bank.example\r\n", "550 5.7.1 ceo@bank.example"),
        ("From: demo@localhost\r\nno field\r\nno field\r\n\r\nFrom: ceo@bank.example\r\n", "550 5.6.0"),
        (&format!("X: {}\r\nFrom: ceo@bank.example\r\n", "x".repeat(900) + &"\r\n x".repeat(4000)), "550 5.6.0"),
    ] {
        expect(&hand_in(&mut client, "demo@localhost", "demo@localhost", &from(fields)), reply);
    }
    // Reports go out under no address, and other hosts are not users.
    expect(&hand_in(&mut client, "", "demo@localhost", &from("From: demo@localhost\r\n")), "250");
    expect(&hand_in(&mut hello(&host), "ada@localhost", "demo@localhost", &from("From: ada@localhost\r\n")), "250");
    assert_eq!(host.settled(5).len(), 5);
}

#[test]
fn mail_of_users_is_not_checked() {
    let folder = Folder::new("auth-users");
    let settings = checking(&folder, RECORDS, "spf_fail = \"refuse\"");
    let host = Mailhost::start_with(&folder.0.join("data"), &settings);
    let mut client = host.submission().unwrap();
    expect(&hand_in(&mut client, "ada@bank.example", "demo@localhost", &letter("bank.example")), "250");
    let text = String::from_utf8(host.settled(1).remove(0)).unwrap();
    assert!(!text.contains("Authentication-Results"), "{text}");
}

#[test]
fn what_was_checked_and_acknowledged_outlives_the_process() {
    let folder = Folder::new("auth-kill");
    let data = folder.0.join("data");
    let settings = checking(&folder, RECORDS, "");
    let mut acknowledged = Vec::new();
    let mut host = Mailhost::start_with(&data, &settings);
    for number in 0..60 {
        let text = format!("From: ada@good.example\r\nSubject: letter {number}\r\n\r\nHello.\r\n");
        let mut client = hello(&host);
        if number % 20 == 19 {
            // Killed at the end of the data, or at some moment after it.
            expect(&client.smtp("MAIL FROM:<ada@good.example>").unwrap(), "250");
            expect(&client.smtp("RCPT TO:<demo@localhost>").unwrap(), "250");
            expect(&client.smtp("DATA").unwrap(), "354");
            client.send(format!("{text}.\r\n").as_bytes()).unwrap();
            let answered = number != 39 && client.smtp_reply().is_ok_and(|reply| reply.starts_with("250"));
            host.kill();
            host = Mailhost::start_with(&data, &settings);
            acknowledged.extend(answered.then_some(number));
        } else {
            expect(&hand_in(&mut client, "ada@good.example", "demo@localhost", &text), "250");
            acknowledged.push(number);
        }
    }
    let letters: Vec<String> =
        host.settled(acknowledged.len()).into_iter().map(|letter| String::from_utf8(letter).unwrap()).collect();
    for number in acknowledged {
        let of = letters.iter().filter(|letter| letter.contains(&format!("Subject: letter {number}\r\n")));
        let of: Vec<_> = of.collect();
        assert_eq!(of.len(), 1, "letter {number}");
        assert!(of[0].contains("dmarc=pass") && of[0].ends_with("\r\n\r\nHello.\r\n"), "{}", of[0]);
    }
}
