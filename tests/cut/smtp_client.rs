//! The talks of tests/talks/smtp-client.
//!
//! `GIVEN config NAME` changes the configuration; `GIVEN mail FROM TO,TO TEXT` is a message to send, with the parameters of
//! `GIVEN params` and `GIVEN to-params` before it, so many seconds old as `GIVEN age` says; `GIVEN large N TEXT` is one of so
//! many times the text. When all are sent the client quits.

use std::collections::VecDeque;
use std::time::Duration;

use facteur::address::Address;
use facteur::base::{Machine, Tls};
use facteur::sasl::{Credentials, Identity, Nonces};
use facteur::smtp::client::{EightBit, Login, Pipelining, RrvsField, StartTls, Utf8Header};
use facteur::smtp::server::{AuthPolicy, Protocol};
use facteur::smtp::{
    Client, ClientConfig, ClientEvent, Envelope, ForwardPath, MailParams, Outcome, Outgoing, RcptParams,
};
use facteur::smtp::{Recipient, ReversePath};

use crate::talk::{Seen, Side, Talk, play_all, unescape};

#[test]
fn smtp_client_talks() {
    play_all("smtp-client", Side::Client, |talk, start| {
        let (config, tls, mut mails) = scene(talk);
        let mut fresh = is_fresh(talk);
        let mut client = Client::new(config, start);
        if let Some(tls) = tls {
            client.tls_started(tls);
        }
        (client, move |client: &mut Client, event| match event {
            ClientEvent::Ready => {
                next(client, &mut mails, &mut fresh);
                Seen::Event("ready".into())
            }
            ClientEvent::Outcome(outcome) => Seen::Event(shown(&outcome)),
            other => Seen::Event(format!("{other:?}")),
        })
    });
}

/// What each talk comes to, by its name: the events as they are written above.
#[test]
fn smtp_client_outcomes() {
    for (name, expected) in [
        (
            "plain",
            "<bob@b.test> Message Server 250 2.0.0 queued as 1; <carol@b.test> Message Server 250 2.0.0 queued as 1",
        ),
        (
            "pipelining",
            "<no-one@b.test> Rcpt Server 550 5.1.1 no such user here; <bob@b.test> Message Server 250 2.0.0 queued as 1; \
             <carol@b.test> Message Server 250 2.0.0 queued as 1; <dave@b.test> Message Server 451 4.3.0 disk full",
        ),
        (
            "all-refused",
            "<no-one@b.test> Rcpt Server 550 5.1.1 no such user; <no-body@b.test> Rcpt Server 450 4.2.1 mailbox busy; \
             <bob@b.test> Data Server 554 5.6.0 not now",
        ),
        ("all-refused-pipelined", "<no-one@b.test> Rcpt Server 550 5.1.1 no such user"),
        (
            "all-refused-and-go-ahead",
            "<no-one@b.test> Rcpt Server 550 5.1.1 no such user; <bob@b.test> Message Server 250 OK",
        ),
        (
            "mail-refused",
            "<bob@b.test> Mail Server 451 4.7.1 greylisted; <carol@b.test> Mail Server 451 4.7.1 greylisted",
        ),
        (
            "mail-refused-pipelined",
            "<bob@b.test> Mail Server 550 5.7.1 not from you; <carol@b.test> Mail Server 550 5.7.1 not from you",
        ),
        ("mail-refused-and-go-ahead", "error: reply 354 at DATA where 503 was expected"),
        ("hello-refused", "refused Hello Server 550 5.7.1 not you"),
        ("banner-refusal", "refused Connect Server 554 5.7.1 no service for you"),
        ("banner-421", "refused Connect Server 421 4.3.2 too busy"),
        (
            "goodbye-at-rcpt",
            "<no-one@b.test> Rcpt Server 550 5.1.1 no such user; <bob@b.test> Rcpt Server 421 4.3.2 shutting down; \
             <carol@b.test> Rcpt Server 421 4.3.2 shutting down",
        ),
        (
            "goodbye-at-the-end",
            "<carol@b.test> Rcpt Server 452 4.5.3 too many recipients; \
             <bob@b.test> Message Server 421 4.3.2 shutting down",
        ),
        ("goodbye-between", "<bob@b.test> Message Server 250 OK; <bob@b.test> Mail Server 421 4.4.2 idle too long"),
        ("starttls-required", "refused StartTls Server 454 4.7.0 no certificate"),
        ("starttls-missing", "refused StartTls Client 454 4.7.10 the server has no STARTTLS, and TLS is required"),
        ("starttls-nonsense", "error: reply 250 at STARTTLS where 220 was expected"),
        ("auth-refused", "refused Auth Server 535 5.7.8 wrong"),
        ("auth-cancelled", "refused Auth Client 454 4.7.0 the server's part of AUTH is not right: expected base64"),
        ("auth-words", ""),
        ("auth-long-words", ""),
        ("auth-scram", ""),
        ("auth-scram-impostor", &distrust("the signature of a server that knows the password")),
        ("auth-scram-unsigned", &distrust("the server's proof that it knows the password")),
        ("auth-scram-too-many", &distrust("a number of iterations within the limits of this client")),
        ("auth-scram-too-few", &distrust("a number of iterations within the limits of this client")),
        ("auth-scram-nonce", &distrust("our nonce with a part of the server's own")),
        ("auth-scram-error", &distrust("a signature and no error")),
        ("auth-in-the-clear", "refused Auth Client 454 4.7.0 the server has no mechanism of AUTH that would do"),
        ("auth-missing", "refused Auth Client 454 4.7.0 the server has no AUTH"),
        (
            "size",
            "<bob@b.test> Message Server 250 OK; \
             <bob@b.test> Mail Client 552 5.3.4 message larger than the server's limit",
        ),
        (
            "eight-bit-refused",
            "<bob@b.test> Mail Client 554 5.6.3 8-bit message and a server without 8BITMIME; \
             <carol@b.test> Mail Client 554 5.6.3 8-bit message and a server without 8BITMIME",
        ),
        ("binary", "<bob@b.test> Message Server 250 OK"),
        ("binary-refused", "<bob@b.test> Mail Client 554 5.6.3 binary message and a server without BINARYMIME"),
        ("binary-no-chunking", "<bob@b.test> Mail Client 554 5.6.3 binary message and a server without BINARYMIME"),
        (
            "bdat",
            "<no-one@b.test> Rcpt Server 550 5.1.1 no such user; <bob@b.test> Message Server 250 OK; \
             <bob@b.test> Message Server 250 OK",
        ),
        ("bdat-chunks", "<bob@b.test> Message Server 250 OK"),
        (
            "bdat-chunk-refused",
            "<bob@b.test> Message Server 552 5.2.2 mailbox full; <bob@b.test> Message Server 250 OK",
        ),
        ("bdat-last-refused", "<bob@b.test> Message Server 554 5.6.0 no; <bob@b.test> Message Server 250 OK"),
        ("bdat-goodbye", "<bob@b.test> Message Server 421 4.3.2 shutting down"),
        ("bdat-nonsense", "error: reply 354 in the text of a message where 250 was expected"),
        ("bdat-all-refused", "<no-one@b.test> Rcpt Server 550 5.1.1 no such user"),
        (
            "bdat-lmtp",
            "<bob@b.test> Message Server 250 2.0.0 delivered; <carol@b.test> Message Server 452 4.2.2 mailbox full",
        ),
        ("bdat-timeout", "error: timeout in the text of a message"),
        (
            "deliver-by",
            "<bob@b.test> Message Server 250 OK; <bob@b.test> Message Server 250 OK; \
             <bob@b.test> Mail Client 554 5.4.7 less time to deliver it than the server needs; \
             <bob@b.test> Mail Client 554 5.4.7 the time to deliver it is over",
        ),
        (
            "deliver-by-missing",
            "<bob@b.test> Mail Client 554 5.4.7 a time to deliver it and a server without DELIVERBY; \
             <bob@b.test> Message Server 250 OK; <bob@b.test> Message Server 250 OK; \
             <bob@b.test> Message Server 250 OK",
        ),
        (
            "require-tls-in-the-clear",
            "<bob@b.test> Mail Client 550 5.7.10 TLS to a host that has proved its name is required",
        ),
        (
            "require-tls-unproved",
            "<bob@b.test> Mail Client 550 5.7.10 TLS to a host that has proved its name is required; \
             <bob@b.test> Message Server 250 OK",
        ),
        (
            "require-tls-missing",
            "<bob@b.test> Mail Client 550 5.7.30 TLS is required and a server without REQUIRETLS; \
             <bob@b.test> Message Server 250 OK",
        ),
        ("require-tls", "<bob@b.test> Message Server 250 OK"),
        ("rrvs", "<bob@b.test> Message Server 250 OK"),
        (
            "rrvs-missing",
            "<bob@b.test> Rcpt Client 550 5.7.19 an owner to check and a server without RRVS; \
             <bob@b.test> Message Server 250 OK",
        ),
        (
            "hold",
            &format!(
                "<bob@b.test> Message Server 250 OK; <bob@b.test> Message Server 250 OK; {NOT_HELD}; {NOT_HELD}; {NOT_HELD}"
            ),
        ),
        ("hold-missing", &format!("{NOT_HELD}; <bob@b.test> Message Server 250 OK")),
        ("relayed-params", "<bob@b.test> Message Server 250 OK"),
        ("relayed-params-missing", "<bob@b.test> Message Server 250 OK"),
        (
            "limits",
            "<bob@b.test> Message Server 250 OK; <carol@b.test> Message Server 250 OK; \
             <dave@c.test> Rcpt Client 452 4.5.3 the server takes no more domains over this connection; \
             <erin@b.test> Message Server 250 OK; \
             <bob@b.test> Mail Client 451 4.5.3 the server takes no more messages over this connection",
        ),
        (
            "smtputf8-missing",
            "<δοκιμή@b.test> Rcpt Client 553 5.6.7 UTF-8 recipient and a server without SMTPUTF8; \
             <bob@bücher.test> Message Server 250 OK; \
             <bob@b.test> Mail Client 550 5.6.7 UTF-8 sender and a server without SMTPUTF8; \
             <bob@b.test> Mail Client 550 5.6.9 UTF-8 header and a server without SMTPUTF8; \
             <bob@b.test> Message Server 250 OK; \
             <bob@b.test> Mail Client 550 5.6.9 UTF-8 header and a server without SMTPUTF8",
        ),
        (
            "lmtp",
            "<no-one@b.test> Rcpt Server 550 5.1.1 no such user; <bob@b.test> Message Server 250 2.0.0 delivered; \
             <carol@b.test> Message Server 452 4.2.2 mailbox full; <dave@b.test> Message Server 250 2.0.0 delivered",
        ),
        (
            "lmtp-goodbye",
            "<bob@b.test> Message Server 250 2.0.0 delivered; <carol@b.test> Message Server 421 4.3.2 shutting down; \
             <dave@b.test> Message Server 421 4.3.2 shutting down",
        ),
        ("timeout-banner", "error: timeout at connect"),
        ("timeout-mail", "error: timeout at MAIL"),
        ("timeout-data", "error: timeout at DATA"),
        ("timeout-end", "error: timeout in the text of a message"),
        ("closed", "<no-one@b.test> Rcpt Server 550 5.1.1 no such user; error: connection closed at RCPT"),
        ("nonsense-banner", "error: malformed reply: expected a reply code at octet 0"),
        ("nonsense-at-data", "error: reply 250 at DATA where 354 was expected"),
        ("nonsense-at-mail", "error: reply 354 at MAIL where 250 was expected"),
        ("nonsense-codes", "error: malformed reply: expected the same code on each line at octet 0"),
        ("endless", "error: reply longer than 16384 octets"),
        ("endless-line", "error: reply line longer than 2048 octets"),
        ("reset-refused", "<no-one@b.test> Rcpt Server 550 5.1.1 no such user"),
        ("rrvs-field", "<bob@b.test> Message Server 250 2.0.0 queued"),
        ("convert", "<bob@b.test> Message Server 250 2.0.0 queued (converted to SevenBit, 1 parts)"),
        (
            "convert-signed",
            "<bob@b.test> Mail Client 554 5.6.3 signed 8-bit message, which cannot be converted, and a server without \
             8BITMIME",
        ),
        (
            "convert-header",
            "<bob@b.test> Mail Client 554 5.6.3 8-bit message that cannot be converted, and a server without 8BITMIME",
        ),
        (
            "utf8-header-encoded",
            "<bob@b.test> Message Server 250 one (converted to SevenBit, 0 parts, 2 fields); \
             <bob@b.test> Message Server 250 two (converted to SevenBit, 1 parts, 1 fields); \
             <bob@b.test> Mail Client 550 5.6.9 UTF-8 header and a server without SMTPUTF8",
        ),
        ("convert-binary", "<bob@b.test> Message Server 250 2.0.0 queued (converted to EightBit, 1 parts)"),
        (
            "reset",
            "<bob@b.test> Message Server 250 2.0.0 queued as 1; <carol@b.test> Message Server 250 2.0.0 queued as 2",
        ),
        (
            "reset-goodbye",
            "<bob@b.test> Message Server 250 2.0.0 queued as 1; refused Idle Server 421 4.4.2 you were long",
        ),
        ("reset-timeout", "<bob@b.test> Message Server 250 2.0.0 queued as 1; error: timeout between messages"),
    ] {
        let path = format!("{}/tests/talks/smtp-client/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let talk = Talk::parse(name, &std::fs::read_to_string(&path).expect(&path), Side::Client);
        assert_eq!(events(&talk), expected, "{name}");
    }
}

fn shown(outcome: &Outcome) -> String {
    let mut text = format!("{} {:?} {:?} {}", outcome.to, outcome.stage, outcome.by, outcome.reply);
    if let Some(conversion) = outcome.handover.conversion {
        text.push_str(&format!(" (converted to {:?}, {} parts)", conversion.to, conversion.parts));
        if conversion.fields > 0 {
            text.insert_str(text.len() - 1, &format!(", {} fields", conversion.fields));
        }
    }
    text
}

/// Whether the session needs no RSET before the first message: all but those that say so.
fn is_fresh(talk: &Talk) -> Option<bool> {
    talk.given.iter().any(|given| given == "config resets").then_some(true)
}

/// The next message, after a RSET where the talk wants one before each.
fn next(client: &mut Client, mails: &mut VecDeque<Outgoing>, fresh: &mut Option<bool>) {
    if let Some(fresh) = fresh
        && !std::mem::replace(fresh, false)
    {
        *fresh = true;
        return client.reset();
    }
    match mails.pop_front() {
        Some(mail) => client.send(mail),
        None => client.quit(),
    }
}

/// What happens in a talk, without the questions and a plain end.
fn events(talk: &Talk) -> String {
    let start = std::time::Instant::now();
    let (config, tls, mut mails) = scene(talk);
    let mut fresh = is_fresh(talk);
    let mut client = Client::new(config, start);
    if let Some(tls) = tls {
        client.tls_started(tls);
    }
    let outcome = talk.play(crate::talk::Cut::Turns, client, start, |client, event| match event {
        ClientEvent::Ready => {
            next(client, &mut mails, &mut fresh);
            Seen::Nothing
        }
        ClientEvent::Outcome(outcome) => Seen::Event(shown(&outcome)),
        ClientEvent::Refused { stage, reply, by } => Seen::Event(format!("refused {stage:?} {by:?} {reply}")),
        other => Seen::Event(format!("{other:?}")),
    });
    let events: Vec<_> = outcome.events.into_iter().filter(|event| event != "done").collect();
    events.join("; ")
}

/// The configuration, whether the connection begins with TLS, and the messages.
fn scene(talk: &Talk) -> (ClientConfig, Option<Tls>, VecDeque<Outgoing>) {
    let mut config = ClientConfig::new("ada.test").unwrap();
    let (mut tls, mut age) = (None, Duration::ZERO);
    let mut mails = VecDeque::new();
    let (mut params, mut to_params) = (MailParams::default(), RcptParams::default());
    for given in &talk.given {
        let (kind, rest) = given.split_once(' ').expect("a kind and what is given");
        match kind {
            "age" => age = Duration::from_secs(rest.parse().unwrap()),
            "params" => params = MailParams::parse(&unescape(rest)).unwrap(),
            "to-params" => to_params = RcptParams::parse(&unescape(rest)).unwrap(),
            "mail" => {
                let mut words = rest.splitn(3, ' ');
                let mut word = || words.next().expect("a sender, recipients and a text");
                let (from, to, text) = (word(), word(), word());
                let from = if from == "<>" { ReversePath::Null } else { address(from).into() };
                let mut envelope = Envelope::new(from, []);
                envelope.params = std::mem::take(&mut params);
                for to in to.split(',') {
                    let to = if to == "Postmaster" { ForwardPath::Postmaster } else { address(to).into() };
                    let mut recipient = Recipient::from(to);
                    recipient.params = to_params.clone();
                    envelope.recipients.push(recipient);
                }
                to_params = RcptParams::default();
                let mut mail = Outgoing::new(envelope, unescape(text));
                mail.age = std::mem::take(&mut age);
                mails.push_back(mail);
            }
            "large" => {
                let (times, text) = rest.split_once(' ').expect("a number and a text");
                let envelope = Envelope::new(address("ada@a.test").into(), [address("bob@b.test").into()]);
                mails.push_back(Outgoing::new(envelope, unescape(text).repeat(times.parse().unwrap())));
            }
            "config" => rest.split(' ').for_each(|name| match name {
                "tls" => tls = Some(Tls::default()),
                "tls-verified" => {
                    let mut verified = Tls::default();
                    verified.verified = true;
                    tls = Some(verified);
                }
                "resets" => {}
                "small-chunks" => config.max_chunk = 10,
                "no-chunks" => config.max_chunk = 0,
                "tls-required" => config.starttls = StartTls::Required,
                "tls-never" => config.starttls = StartTls::Never,
                "no-pipelining" => config.pipelining = Pipelining::Never,
                "rrvs-field" => config.rrvs_field = RrvsField::Add,
                "utf8-header-encode" => config.utf8_header = Utf8Header::Encode,
                "eight-bit-convert" => config.eight_bit = EightBit::Convert,
                "eight-bit-anyway" => config.eight_bit = EightBit::SendAnyway,
                "lmtp" => config.protocol = Protocol::Lmtp,
                "small-backlog" => config.max_backlog = 30,
                "auth-anywhere" => config.auth_policy = AuthPolicy::Anywhere,
                "login" => config.login = Some(login("secret")),
                // RFC 7677 §3
                "pencil" => {
                    let mut login = Login::new(Identity::new("user"), Credentials::Password("pencil".into()));
                    login.nonces = Nonces::always("rOprNGfwEbeRWgbNEkqO");
                    config.login = Some(login);
                }
                "long-login" => config.login = Some(login(&"s".repeat(397))),
                _ => panic!("no such configuration: {name}"),
            }),
            _ => panic!("no such scene: {given}"),
        }
    }
    (config, tls, mails)
}

/// What is said where the server does not hold messages as asked.
const NOT_HELD: &str = "<bob@b.test> Mail Client 554 5.3.3 the server does not hold messages, or not for so long";

/// What is said where the server does not do its part.
fn distrust(expected: &str) -> String {
    format!("refused Auth Client 454 4.7.0 the server's part of AUTH is not right: expected {expected}")
}

fn login(password: &str) -> Login {
    Login::new(Identity::new("ada"), Credentials::Password(password.into()))
}

/// An address; without a domain it is one of b.test.
fn address(text: &str) -> Address {
    if text.contains('@') { text.parse().unwrap() } else { format!("{text}@b.test").parse().unwrap() }
}
