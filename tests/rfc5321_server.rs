//! The SMTP server as its application sees it: what events hold, what answers do, and what is bounded. What goes over the
//! wire is in `tests/talks/smtp`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use facteur::base::{Machine, Step, Timestamp, Tls};
use facteur::sasl::{Credentials, Identity, Mechanism, Offer};
use facteur::smtp::data::BareNewlines;
use facteur::smtp::server::{Content, HelloVerb, Mail, Server, ServerConfig, ServerEvent, StartTls};
use facteur::smtp::{Body, Envelope, Error, ForwardPath, Notify, Ret, ReversePath, Stage};

fn config() -> ServerConfig {
    ServerConfig::new("mx.test").unwrap()
}

fn server(config: ServerConfig) -> Server {
    Server::new(config, [192, 0, 2, 1].into(), Instant::now())
}

/// Feeds `input`, accepts what is asked, and returns the events.
fn events(server: &mut Server, input: &[u8]) -> Vec<ServerEvent> {
    server.wire().feed(input);
    let mut events = Vec::new();
    while let Step::Event(event) = server.poll().unwrap() {
        if !matches!(event, ServerEvent::Chunk(_) | ServerEvent::Discarded(_)) {
            server.accept();
        }
        events.push(event);
    }
    events
}

fn output(server: &mut Server) -> String {
    let mut output = Vec::new();
    let wire = server.wire();
    while !wire.outgoing().is_empty() {
        output.extend_from_slice(wire.outgoing());
        wire.sent(wire.outgoing().len());
    }
    String::from_utf8(output).unwrap()
}

fn mail(events: Vec<ServerEvent>) -> Mail {
    match events.into_iter().next_back() {
        Some(ServerEvent::Message(mail)) => mail,
        other => panic!("{other:?}"),
    }
}

const TO_DATA: &[u8] = b"EHLO a.test\r\nMAIL FROM:<ada@a.test>\r\nRCPT TO:<bob@b.test>\r\nDATA\r\n";

fn to(text: &str) -> ForwardPath {
    ForwardPath::Address(text.parse().unwrap())
}

#[test]
fn a_message_comes_with_its_envelope() {
    let mut server = server(config());
    let events = events(
        &mut server,
        b"EHLO a.test\r\nMAIL FROM:<ada@a.test> BODY=8BITMIME SIZE=20\r\nRCPT TO:<bob@b.test>\r\nRCPT TO:<Postmaster>\r\n\
          DATA\r\nSubject: x\r\n\r\n..\xff\r\n.\r\n",
    );
    assert_eq!(events.len(), 4);
    let mail = mail(events);
    assert_eq!(mail.content, &b"Subject: x\r\n\r\n.\xff\r\n"[..]);
    assert_eq!(mail.size, 18);
    let from = ReversePath::Address("ada@a.test".parse().unwrap());
    let mut envelope = Envelope::new(from, [to("bob@b.test"), ForwardPath::Postmaster]);
    envelope.params.body = Some(Body::EightBitMime);
    envelope.params.size = Some(20);
    assert_eq!(mail.envelope, envelope);
}

#[test]
fn a_streamed_message_comes_in_pieces_that_are_what_was_sent() {
    let mut config = config();
    config.content = Content::Stream;
    let mut server = server(config);
    let mut events = events(&mut server, &[TO_DATA, b"one\r\n..two\r\nthree\r\n.\r\n"].concat());
    let mail = mail(events.split_off(events.len() - 1));
    assert_eq!((mail.content, mail.size), (Bytes::new(), 18));
    let pieces: Vec<u8> = events
        .iter()
        .filter_map(|event| if let ServerEvent::Chunk(chunk) = event { Some(chunk.to_vec()) } else { None })
        .flatten()
        .collect();
    assert_eq!(pieces, b"one\r\n.two\r\nthree\r\n");
}

#[test]
fn bare_newlines_are_normalised_in_what_the_application_sees() {
    let mut config = config();
    config.bare_newlines = BareNewlines::Normalise;
    let mut server = server(config);
    let mail = mail(events(&mut server, &[TO_DATA, b"one\n.\r\ntwo\rthree\r\n.\r\n"].concat()));
    assert_eq!(mail.content, &b"one\r\n.\r\ntwo\r\nthree\r\n"[..]);
}

#[test]
fn dsn_parameters_are_carried_in_the_envelope() {
    let mut config = config();
    config.dsn = true;
    let mut server = server(config);
    let mail = mail(events(
        &mut server,
        b"EHLO a.test\r\nMAIL FROM:<> RET=HDRS ENVID=Q+2B1\r\n\
          RCPT TO:<bob@b.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Bob+2Bx@b.test\r\nDATA\r\n.\r\n",
    ));
    assert_eq!(mail.envelope.from, ReversePath::Null);
    assert_eq!(mail.envelope.params.ret, Some(Ret::Hdrs));
    assert_eq!(mail.envelope.params.envid.as_deref(), Some("Q+1"));
    let params = &mail.envelope.recipients[0].params;
    assert_eq!(params.notify, Some(Notify { success: false, failure: true, delay: true }));
    assert_eq!(params.orcpt.as_ref().map(|orcpt| &*orcpt.address), Some("Bob+x@b.test"));
    assert!(mail.content.is_empty());
}

#[test]
fn the_session_knows_what_trace_fields_need() {
    let mut config = config();
    config.starttls = StartTls::Offered;
    config.auth = Offer::new([Mechanism::Plain]);
    let mut server = server(config);
    server.set_peer_name("out.a.test".parse().unwrap());
    events(&mut server, b"EHLO before.test\r\nSTARTTLS\r\n");
    assert!(matches!(server.poll(), Ok(Step::StartTls)));
    let mut tls = Tls::default();
    tls.cipher = "TLS_AES_128_GCM_SHA256".into();
    server.tls_started(tls);
    assert_eq!(server.session().hello, None, "what was said in the clear is forgotten");
    let seen = events(&mut server, b"EHLO [192.0.2.1]\r\nAUTH PLAIN AGFkYQBzZWNyZXQ=\r\n");
    let credentials = Credentials::Password("secret".into());
    assert_eq!(seen, [ServerEvent::Auth { identity: Identity::new("ada"), credentials }]);
    let session = server.session();
    assert_eq!(session.identity.as_deref(), Some("ada"));
    assert_eq!(session.hello.as_ref().map(|hello| hello.verb), Some(HelloVerb::Ehlo));
    let envelope = Envelope::new(ReversePath::Null, [to("bob@b.test")]);
    let received = session.received("mx.test".parse().unwrap(), "q1", &envelope, Timestamp::from_unix(0));
    assert_eq!(
        received.to_string(),
        "Received: from [192.0.2.1] (out.a.test [192.0.2.1])\r\n\tby mx.test with ESMTPSA id q1\r\n\
         \tfor <bob@b.test>\r\n\ttls TLS_AES_128_GCM_SHA256;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
    );
}

#[test]
fn external_is_offered_to_a_client_with_a_certificate_and_named_by_the_application() {
    for certified in [false, true] {
        let mut config = config();
        config.auth = Offer::new([Mechanism::External]);
        let mut server = server(config);
        let mut tls = Tls::default();
        tls.peer_certificates = if certified { vec![Bytes::from_static(b"DER")] } else { Vec::new() };
        server.tls_started(tls);
        server.wire().feed(b"EHLO a.test\r\nAUTH EXTERNAL =\r\n");
        if !certified {
            assert!(matches!(server.poll(), Ok(Step::NeedInput)));
            let output = output(&mut server);
            assert!(!output.contains("AUTH") && output.ends_with("504 5.5.4 no such mechanism\r\n"), "{output}");
            continue;
        }
        assert!(matches!(server.poll(), Ok(Step::Event(ServerEvent::Auth { credentials: Credentials::External, .. }))));
        server.accept_as("relay.a.test");
        assert_eq!(server.session().identity.as_deref(), Some("relay.a.test"));
        assert!(output(&mut server).contains("250-AUTH EXTERNAL\r\n"));
    }
}

#[test]
fn while_a_question_is_open_nothing_is_read() {
    let mut server = server(config());
    server.wire().feed(b"EHLO a.test\r\nMAIL FROM:<>\r\nFOO\r\n");
    assert!(matches!(server.poll(), Ok(Step::Event(ServerEvent::Mail { .. }))));
    for _ in 0..3 {
        assert!(matches!(server.poll(), Ok(Step::NeedAnswer)));
        assert_eq!(server.deadline(), None);
    }
    assert_eq!(server.wire().unread(), b"FOO\r\n");
    server.accept();
    assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    assert!(output(&mut server).ends_with("250 2.1.0 OK\r\n500 5.5.1 command not recognized\r\n"));
}

#[test]
fn an_answer_to_no_question_is_a_loud_error() {
    type Wrong = fn(&mut Server);
    let wrongs: [Wrong; 4] = [
        Server::accept,
        |server| server.accept_as("ada"),
        |server| server.reply_each([]),
        |server| server.tls_started(Tls::default()),
    ];
    for wrong in wrongs {
        let mut server = server(config());
        events(&mut server, b"EHLO a.test\r\n");
        output(&mut server);
        wrong(&mut server);
        let error = server.poll().unwrap_err();
        assert!(matches!(error, Error::Misuse(_)), "{error}");
        assert_eq!(server.poll().unwrap_err(), error, "an error is sticky");
        assert_eq!(output(&mut server), "421 4.3.0 local error\r\n");
    }
}

#[test]
fn a_server_that_stops_says_so_between_messages() {
    let mut idle = server(config());
    events(&mut idle, b"EHLO a.test\r\n");
    output(&mut idle);
    idle.shutdown();
    assert!(matches!(idle.poll(), Ok(Step::Done)));
    assert_eq!(output(&mut idle), "421 4.3.2 shutting down\r\n");

    let mut new = server(config());
    new.shutdown();
    assert!(matches!(new.poll(), Ok(Step::Done)));
    assert_eq!(output(&mut new), "421 4.3.2 shutting down\r\n");
}

#[test]
fn a_client_does_not_pay_for_the_time_that_an_answer_takes() {
    let start = Instant::now();
    let mut server = Server::new(config(), [192, 0, 2, 1].into(), start);
    server.wire().feed(b"EHLO a.test\r\nMAIL FROM:<>\r\n");
    assert!(matches!(server.poll(), Ok(Step::Event(_))));
    server.accept();
    let later = start + Duration::from_secs(3600);
    server.tick(later);
    assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    assert_eq!(server.deadline(), Some(later + Duration::from_secs(300)));
    // Time that goes backwards is ignored, and spurious calls change nothing.
    server.tick(start);
    assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    assert_eq!(server.deadline(), Some(later + Duration::from_secs(300)));
    server.tick(later + Duration::from_secs(300));
    assert_eq!(server.poll().unwrap_err(), Error::Timeout(Stage::Mail));
    assert_eq!(server.deadline(), None);
}

#[test]
fn a_message_of_any_size_goes_through_in_little_memory() {
    let mut config = config();
    config.content = Content::Stream;
    config.max_size = None;
    config.max_text_line = None;
    let mut server = server(config);
    events(&mut server, TO_DATA);
    let mut size = 0;
    for _ in 0..1000 {
        server.wire().feed(&[b'x'; 10_000]);
        while let Step::Event(ServerEvent::Chunk(chunk)) = server.poll().unwrap() {
            size += chunk.len();
        }
        assert!(server.wire().unread().is_empty());
    }
    assert_eq!(size, 10_000_000);
    assert_eq!(mail(events(&mut server, b"\r\n.\r\n")).size, 10_000_002);
}

#[test]
fn a_client_that_takes_no_replies_is_not_read_from() {
    let mut config = config();
    config.max_commands = 100_000;
    config.max_backlog = 1000;
    let mut server = server(config);
    server.wire().feed(&b"NOOP\r\n".repeat(10_000));
    for _ in 0..10 {
        assert!(matches!(server.poll(), Ok(Step::NeedInput)));
        assert!(server.wire().backlog() <= 1000 + 512);
    }
    let mut replies = 0;
    loop {
        let text = output(&mut server);
        if text.is_empty() {
            break;
        }
        replies += text.lines().filter(|line| *line == "250 2.0.0 OK").count();
        assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    }
    assert_eq!(replies, 10_000);
}

#[test]
fn the_server_names_itself_in_a_labels() {
    let mut server = server(ServerConfig::new("mx.b\u{fc}cher.test").unwrap());
    server.wire().feed(b"EHLO a.test\r\n");
    assert!(matches!(server.poll(), Ok(Step::NeedInput)));
    let said = String::from_utf8(server.wire().outgoing().to_vec()).unwrap();
    assert!(said.starts_with("220 mx.xn--bcher-kva.test ESMTP\r\n250-mx.xn--bcher-kva.test\r\n"), "{said}");
}
