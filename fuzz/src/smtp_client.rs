//! SMTP: the client.

use std::time::{Duration, Instant};

use facteur::address::Address;
use facteur::base::{Machine, Step, Tls};
use facteur::message::Message;
use facteur::sasl::{Credentials, Identity, Nonces};
use facteur::smtp::client::{EightBit, Login, Pipelining, StartTls};
use facteur::smtp::server::{AuthPolicy, Protocol};
use facteur::smtp::{
    Client, ClientConfig, ClientEvent, Envelope, ForwardPath, MailParams, Outgoing, RcptParams, ReversePath,
};

/// The first octet chooses the configuration; the rest is what the server says. Line by line and octet by octet the client
/// reports the same and says the same; every recipient of a message is told of once; and it keeps no more than its limits.
/// All at once, where the server speaks out of turn, it does not do worse than to end.
pub fn client(input: &[u8]) {
    let [mode, input @ ..] = input else { return };
    let lines = play(*mode, input.split_inclusive(|octet| *octet == b'\n'));
    let octets = play(*mode, input.chunks(1));
    assert_eq!(lines, octets);
    play(*mode, input.chunks(input.len().max(1)));
    // What reads as an envelope is of the header, and loses nothing but Bcc.
    if let Ok(outgoing) = Outgoing::try_from(&Message::parse(input.to_vec())) {
        assert!(!outgoing.envelope.recipients.is_empty());
        assert!(outgoing.content.len() <= input.len());
    }
}

fn play<'a>(mode: u8, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>) {
    let mut config = ClientConfig::new("ada.test").expect("a name");
    config.protocol = if mode & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp };
    config.starttls = [StartTls::Opportunistic, StartTls::Required, StartTls::Never][usize::from(mode >> 1) % 3];
    config.pipelining = if mode & 8 == 0 { Pipelining::WhereOffered } else { Pipelining::Never };
    config.eight_bit = if mode & 16 == 0 { EightBit::Refuse } else { EightBit::SendAnyway };
    config.login = (mode & 32 != 0).then(|| {
        let mut login = Login::new(Identity::new("ada"), Credentials::Password("secret".into()));
        login.nonces = Nonces::always("nonce");
        login.max_iterations = 5000;
        login
    });
    config.auth_policy = AuthPolicy::Anywhere;
    config.max_chunk = [3, 0, 1024][usize::from(mode >> 6) % 3];
    config.max_backlog = 64;
    config.max_reply_line = 128;
    config.max_reply = 512;
    let start = Instant::now();
    let mut client = Client::new(config, start);
    let (mut events, mut output) = (Vec::new(), Vec::new());
    let mut open = Vec::new();
    let mut sent = 0;
    for (number, piece) in pieces.enumerate() {
        client.wire().feed(piece);
        client.tick(start + Duration::from_millis(number as u64));
        loop {
            let step = client.poll();
            // One command, or one piece of text, beyond the bound.
            assert!(client.wire().backlog() <= 64 + 2 * 16 * 1024);
            let took = client.wire().backlog() > 0;
            drain(&mut client, &mut output);
            match step {
                Ok(Step::NeedInput) if took => {}
                Ok(Step::NeedInput) => {
                    assert!(client.wire().unread().len() < 128 && client.deadline().is_some());
                    break;
                }
                Ok(Step::Event(event)) => {
                    events.push(format!("{event:?}"));
                    match event {
                        ClientEvent::Ready => {
                            assert!(open.is_empty(), "nobody is forgotten: {open:?}");
                            if sent == 4 {
                                client.quit();
                            } else {
                                let mail = mail(mode, sent);
                                open = mail.envelope.recipients.iter().map(|recipient| recipient.to.clone()).collect();
                                client.send(mail);
                                sent += 1;
                            }
                        }
                        ClientEvent::Outcome(outcome) => {
                            let at = open.iter().position(|to| *to == outcome.to).expect("nobody is told twice");
                            open.remove(at);
                            assert!(!outcome.reply.is_intermediate());
                        }
                        _ => {}
                    }
                }
                Ok(Step::StartTls) => client.tls_started(Tls::default()),
                Ok(Step::NeedAnswer) => panic!("all questions are answered"),
                Ok(Step::Done) => return (events, output),
                Err(error) => {
                    assert_eq!(client.poll().expect_err("sticky"), error);
                    events.push(error.to_string());
                    return (events, output);
                }
            }
        }
    }
    let _ = client.poll();
    client.tick(start + Duration::from_secs(1_000_000));
    assert!(matches!(client.poll(), Err(_) | Ok(Step::Done)));
    client.wire().close();
    assert!(matches!(client.poll(), Err(_) | Ok(Step::Done)));
    (events, output)
}

fn mail(mode: u8, number: usize) -> Outgoing {
    let address = |text: &str| text.parse::<Address>().expect("an address");
    let to = [address("bob@b.test").into(), ForwardPath::Postmaster, address("δ@bücher.test").into()];
    let to = to.into_iter().take(1 + (number + usize::from(mode >> 6)) % 3);
    let mut mail = match number {
        0 => Outgoing::new(Envelope::new(address("ada@a.test").into(), to), "Hello.\r\n"),
        1 => Outgoing::new(Envelope::new(ReversePath::Null, to), ".\n..\r\n"),
        2 => Outgoing::new(Envelope::new(address("jürgen@a.test").into(), to), ""),
        _ => Outgoing::new(Envelope::new(address("ada@a.test").into(), to), &b"caf\xe9"[..]),
    };
    // What only some servers can take: how old it is decides over the times.
    mail.age = Duration::from_secs(60 * number as u64);
    let params = ["BY=90;R MT-PRIORITY=3", "BY=90;N BODY=BINARYMIME", "REQUIRETLS HOLDFOR=100", ""];
    mail.envelope.params =
        MailParams::parse(params[(number + usize::from(mode >> 6)) % 4].as_bytes()).expect("parameters");
    for recipient in mail.envelope.recipients.iter_mut().skip(number % 2) {
        recipient.params = RcptParams::parse(b"RRVS=2014-04-03T23:01:00Z NOTIFY=SUCCESS").expect("parameters");
    }
    mail
}

fn drain(client: &mut Client, output: &mut Vec<u8>) {
    let wire = client.wire();
    while !wire.outgoing().is_empty() {
        let n = wire.outgoing().len();
        output.extend_from_slice(wire.outgoing());
        wire.sent(n);
    }
}
