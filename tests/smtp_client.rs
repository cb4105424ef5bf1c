//! The client against the server, in memory, over pipes of any size, on one virtual clock; servers that speak before they
//! are asked; envelopes out of headers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use facteur::address::Address;
use facteur::base::{Machine, Step, Tls};
use facteur::message::Message;
use facteur::sasl::{Credentials, Identity, Mechanism, Offer};
use facteur::smtp::client::{Login, Pipelining, StartTls};
use facteur::smtp::data::BareNewlines;
use facteur::smtp::server::{self, Content, Protocol, Server, ServerConfig, ServerEvent};
use facteur::smtp::{
    Client, ClientConfig, ClientEvent, Enhanced, Envelope, Error, Fault, ForwardPath, MailParams, NoEnvelope, Outcome,
    Outgoing, RcptParams, Reply, ReversePath, Stage,
};

/// xorshift64
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }
}

/// Client, server, and the two pipes between them.
struct Pair {
    client: Client,
    server: Server,
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// How many octets a pipe holds.
    room: usize,
    now: Instant,
    /// One of them wants a handshake.
    shaking: bool,
    client_end: Option<Result<(), Error>>,
    server_end: Option<Result<(), Error>>,
    waiting: Vec<Outgoing>,
    outcomes: Vec<Outcome>,
    taken: Vec<(Envelope, Vec<u8>)>,
    text: Vec<u8>,
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// What the server's application says to a recipient; the rule by which the test knows what must come out.
fn verdict(to: &ForwardPath) -> Option<Reply> {
    match to {
        ForwardPath::Address(to) if to.local().starts_with("no-") => Some(Reply::new(550, Enhanced(5, 1, 1), "no")),
        ForwardPath::Address(to) if to.local().starts_with("later-") => {
            Some(Reply::new(451, Enhanced(4, 7, 1), "later"))
        }
        _ => None,
    }
}

fn is_refused(text: &[u8]) -> bool {
    text.windows(6).any(|window| window == b"refuse")
}

impl Pair {
    /// One poll of each side, and some octets moved.
    fn step(&mut self, random: &mut Random, network: bool) {
        self.now += Duration::from_millis(1);
        self.client.tick(self.now);
        self.server.tick(self.now);
        self.poll_client();
        self.poll_server();
        if self.client_end.is_some() && self.client.wire().backlog() == 0 && self.to_server.is_empty() {
            self.server.wire().close();
        }
        if self.server_end.is_some() && self.server.wire().backlog() == 0 && self.to_client.is_empty() {
            self.client.wire().close();
        }
        if !network {
            return;
        }
        // Whoever waits for a handshake reads nothing.
        send(&mut self.client, &mut self.to_server, self.room, random);
        send(&mut self.server, &mut self.to_client, self.room, random);
        take(&mut self.server, &mut self.to_server, random);
        take(&mut self.client, &mut self.to_client, random);
    }

    fn poll_client(&mut self) {
        if self.client_end.is_some() {
            return;
        }
        match self.client.poll() {
            Ok(Step::Event(ClientEvent::Ready)) => match self.waiting.pop() {
                Some(mail) => self.client.send(mail),
                None => self.client.quit(),
            },
            Ok(Step::Event(ClientEvent::Outcome(outcome))) => self.outcomes.push(outcome),
            Ok(Step::Event(other)) => panic!("{other:?}"),
            Ok(Step::StartTls) => {
                self.shaking = true;
                // Both ends of the handshake, once the last octets in the clear have gone over.
                let quiet = self.to_server.is_empty() && self.to_client.is_empty();
                let ready = quiet && self.client.wire().backlog() == 0 && self.server.wire().backlog() == 0;
                if ready && matches!(self.server.poll(), Ok(Step::StartTls)) {
                    self.client.tls_started(Tls::default());
                    self.server.tls_started(Tls::default());
                    self.shaking = false;
                }
            }
            Ok(Step::NeedInput) => {}
            Ok(Step::NeedAnswer) => panic!("the client's question was answered"),
            Ok(Step::Done) => self.client_end = Some(Ok(())),
            Err(error) => self.client_end = Some(Err(error)),
        }
    }

    fn poll_server(&mut self) {
        if self.server_end.is_some() {
            return;
        }
        match self.server.poll() {
            Ok(Step::Event(ServerEvent::Rcpt { to, .. })) => match verdict(&to) {
                Some(reply) => self.server.reply(reply),
                None => self.server.accept(),
            },
            Ok(Step::Event(ServerEvent::Chunk(chunk))) => self.text.extend_from_slice(&chunk),
            Ok(Step::Event(ServerEvent::Message(mail))) => {
                let text = if mail.content.is_empty() { std::mem::take(&mut self.text) } else { mail.content.to_vec() };
                if is_refused(&text) {
                    self.server.reply(Reply::new(554, Enhanced(5, 7, 1), "refused"));
                } else {
                    self.taken.push((mail.envelope, text));
                    self.server.accept();
                }
            }
            Ok(Step::Event(ServerEvent::Discarded(fault))) => panic!("{fault}"),
            Ok(Step::Event(_)) => self.server.accept(),
            Ok(Step::NeedInput) => {}
            Ok(Step::StartTls) => self.shaking = true,
            Ok(Step::NeedAnswer) => panic!("the server's question was answered"),
            Ok(Step::Done) => self.server_end = Some(Ok(())),
            Err(error) => self.server_end = Some(Err(error)),
        }
    }
}

fn send(from: &mut impl Machine, pipe: &mut VecDeque<u8>, room: usize, random: &mut Random) {
    let wire = from.wire();
    let n = wire.outgoing().len().min(room - pipe.len());
    if n > 0 {
        let n = random.below(n) + 1;
        pipe.extend(&wire.outgoing()[..n]);
        wire.sent(n);
    }
}

fn take(to: &mut impl Machine, pipe: &mut VecDeque<u8>, random: &mut Random) {
    if !pipe.is_empty() {
        let n = random.below(pipe.len()) + 1;
        let octets: Vec<u8> = pipe.drain(..n).collect();
        to.wire().feed(&octets);
    }
}

fn mail(random: &mut Random) -> Outgoing {
    let from = random.of(&["ada@a.test", "", r#""odd name"@a.test"#, "jürgen@bücher.test"]);
    let from = if from.is_empty() { ReversePath::Null } else { address(from).into() };
    let to = (0..=random.below(4)).map(|number| {
        let kind = random.of(&["", "no-", "later-", "δ"]);
        ForwardPath::from(address(&format!("{kind}{number}@b.test")))
    });
    let envelope = Envelope::new(from, to);
    let pieces = ["\r\n", ".", "..", "\r\n.\r\n", "text", "refuse", "é", "\r\n\r\n", "QUIT\r\n", "long text "];
    let text: String = (0..random.below(12)).map(|_| random.of(&pieces).repeat(1 + random.below(3))).collect();
    Outgoing::new(envelope, text)
}

fn pair(random: &mut Random) -> (Pair, Vec<Outgoing>) {
    let now = Instant::now();
    let mut config = ServerConfig::new("mx.test").unwrap();
    config.protocol = random.of(&[Protocol::Smtp, Protocol::Lmtp]);
    config.content = random.of(&[Content::Stream, Content::Collect { at_most: 100_000 }]);
    config.starttls = random.of(&[server::StartTls::Off, server::StartTls::Offered]);
    config.auth = Offer::new([Mechanism::Login, Mechanism::Plain]);
    config.auth_policy = server::AuthPolicy::Anywhere;
    config.bare_newlines = random.of(&[BareNewlines::Refuse, BareNewlines::Normalise]);
    config.max_backlog = random.of(&[0, 10, 100, 10_000]);
    config.max_errors = 1000;
    let mut client = ClientConfig::new("ada.test").unwrap();
    client.protocol = config.protocol;
    client.pipelining = random.of(&[Pipelining::WhereOffered, Pipelining::Never]);
    client.starttls = random.of(&[StartTls::Opportunistic, StartTls::Never]);
    client.max_backlog = random.of(&[1, 10, 100, 10_000]);
    client.max_chunk = random.of(&[0, 1, 7, 1024 * 1024]);
    client.auth_policy = server::AuthPolicy::Anywhere;
    if random.below(2) == 0 {
        client.login = Some(Login::new(Identity::new("ada"), Credentials::Password("secret".into())));
    }
    let mails: Vec<_> = (0..1 + random.below(3)).map(|_| mail(random)).collect();
    let pair = Pair {
        client: Client::new(client, now),
        server: Server::new(config, [192, 0, 2, 1].into(), now),
        to_server: VecDeque::new(),
        to_client: VecDeque::new(),
        room: random.of(&[1, 7, 64, 5000]),
        now,
        shaking: false,
        client_end: None,
        server_end: None,
        waiting: mails.iter().rev().cloned().collect(),
        outcomes: Vec::new(),
        taken: Vec::new(),
        text: Vec::new(),
    };
    (pair, mails)
}

/// The text as it must arrive: with a line end at its end.
fn arrived(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend_from_slice(b"\r\n");
    }
    text
}

#[test]
fn what_the_client_reports_is_what_the_server_decided() {
    for seed in 1..=1000 {
        let mut random = Random(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let (mut pair, mails) = pair(&mut random);
        let mut steps = 0;
        while pair.client_end.is_none() || pair.server_end.is_none() {
            pair.step(&mut random, true);
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: the two wait for each other");
        }
        assert_eq!((pair.client_end, pair.server_end), (Some(Ok(())), Some(Ok(()))), "seed {seed}");
        let mut outcomes = pair.outcomes.into_iter();
        let mut taken = pair.taken.into_iter();
        for mail in &mails {
            let told: Vec<_> = outcomes.by_ref().take(mail.envelope.recipients.len()).collect();
            let mut accepted = Vec::new();
            for recipient in &mail.envelope.recipients {
                let outcome = told.iter().find(|outcome| outcome.to == recipient.to).expect("each is told of");
                match verdict(&recipient.to) {
                    Some(reply) => assert_eq!((outcome.stage, &outcome.reply), (Stage::Rcpt, &reply), "seed {seed}"),
                    None => {
                        assert_eq!(outcome.stage, Stage::Message, "seed {seed}");
                        assert_eq!(outcome.is_delivered(), !is_refused(&mail.content), "seed {seed}");
                        accepted.push(recipient.to.clone());
                    }
                }
            }
            if accepted.is_empty() || is_refused(&mail.content) {
                continue;
            }
            let (envelope, text) = taken.next().expect("a message for each that was accepted");
            assert_eq!(envelope.from, mail.envelope.from, "seed {seed}");
            assert_eq!(envelope.recipients.into_iter().map(|one| one.to).collect::<Vec<_>>(), accepted, "seed {seed}");
            assert_eq!(text, arrived(&mail.content), "seed {seed}");
        }
        assert_eq!((outcomes.next(), taken.next()), (None, None), "seed {seed}: nothing is invented");
    }
}

#[test]
fn what_a_message_asks_for_arrives_at_a_server_that_has_it() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut pair, _) = pair(&mut random);
    let now = pair.now;
    let mut config = ServerConfig::new("mx.test").unwrap();
    config.content = Content::Collect { at_most: 100_000 };
    (config.deliver_by, config.priority, config.require_tls, config.rrvs) = (Some(10), Some(String::new()), true, true);
    (config.submitter, config.binary_mime, config.dsn, config.max_recipients) = (true, true, true, 2);
    config.future_release = Some(Duration::from_secs(1000));
    pair.server = Server::new(config, [192, 0, 2, 1].into(), now);
    pair.server.set_clock(facteur::base::Timestamp::from_unix(1_800_000_000));
    let mut client = ClientConfig::new("ada.test").unwrap();
    client.max_chunk = 3;
    pair.client = Client::new(client, now);
    let mut tls = Tls::default();
    tls.verified = true;
    pair.client.tls_started(tls);
    pair.server.tls_started(Tls::default());
    let to = ["b0@b.test", "no-b1@b.test", "b2@b.test", "b3@b.test", "b4@b.test"];
    let mut envelope = Envelope::new(address("ada@a.test").into(), to.map(|to| address(to).into()));
    let asked = "BODY=BINARYMIME RET=HDRS ENVID=x BY=1000;R HOLDFOR=100 MT-PRIORITY=-3 REQUIRETLS SUBMITTER=eve@a.test";
    envelope.params = MailParams::parse(asked.as_bytes()).unwrap();
    for recipient in &mut envelope.recipients {
        recipient.params = RcptParams::parse(b"NOTIFY=SUCCESS RRVS=2014-04-03T23:01:00Z;R").unwrap();
    }
    let mut mail = Outgoing::new(envelope.clone(), &b"a: b\r\n\r\n.\0\n\r.\r\n"[..]);
    mail.age = Duration::from_millis(49_001);
    pair.waiting = vec![mail.clone()];
    let mut steps = 0;
    while pair.client_end.is_none() || pair.server_end.is_none() {
        pair.step(&mut random, true);
        steps += 1;
        assert!(steps < 100_000, "the two wait for each other");
    }
    assert_eq!((pair.client_end, pair.server_end), (Some(Ok(())), Some(Ok(()))));
    let delivered = |outcome: &Outcome| outcome.is_delivered() != outcome.to.to_string().contains("no-");
    assert!(pair.outcomes.len() == 5 && pair.outcomes.iter().all(delivered), "{:?}", pair.outcomes);
    // RCPTMAX=2 makes three of one.
    assert_eq!(pair.taken.len(), 3);
    for (taken, text) in pair.taken {
        assert_eq!(text, mail.content);
        let expected = asked.replace("=1000;R", "=950;R").replace("=100 ", "=51 ");
        let size = taken.params.size;
        assert_eq!(size, Some(mail.content.len() as u64));
        let mut expected = MailParams::parse(expected.as_bytes()).unwrap();
        expected.size = size;
        assert_eq!(taken.params, expected);
        assert!(taken.recipients.iter().all(|one| one.params == envelope.recipients[0].params));
    }
}

#[test]
fn a_network_that_dies_ends_both_by_their_deadlines_and_nobody_is_told_twice() {
    for seed in 1..=1000 {
        let mut random = Random(u64::wrapping_mul(seed, 0xd134_2543_de82_ef95));
        let (mut pair, mails) = pair(&mut random);
        for _ in 0..random.below(500) {
            pair.step(&mut random, true);
        }
        let mut steps = 0;
        while pair.client_end.is_none() || pair.server_end.is_none() {
            pair.step(&mut random, false);
            let ends = [
                pair.client_end.is_none().then(|| pair.client.deadline()).flatten(),
                pair.server_end.is_none().then(|| pair.server.deadline()).flatten(),
            ];
            if let Some(next) = ends.into_iter().flatten().min() {
                pair.now = pair.now.max(next);
            } else if pair.shaking {
                // Here the driver's own limit for handshakes ends it.
                break;
            }
            steps += 1;
            assert!(steps < 100, "seed {seed}: a deadline that does not come");
        }
        // Whom the client reports as delivered, the server has.
        let delivered = pair.outcomes.iter().filter(|outcome| outcome.is_delivered()).count();
        let taken: usize = pair.taken.iter().map(|(envelope, _)| envelope.recipients.len()).sum();
        assert!(delivered <= taken, "seed {seed}: {delivered} reported, {taken} taken");
        let all: usize = mails.iter().map(|mail| mail.envelope.recipients.len()).sum();
        assert!(pair.outcomes.len() <= all, "seed {seed}");
    }
}

/// A client that was asked what to send, without extensions.
fn ready() -> Client {
    let mut client = Client::new(ClientConfig::new("ada.test").unwrap(), Instant::now());
    client.wire().feed(b"220 mx.test\r\n250 mx.test\r\n");
    assert!(matches!(client.poll(), Ok(Step::Event(ClientEvent::Ready))));
    drain(&mut client);
    client
}

fn drain(client: &mut Client) {
    let wire = client.wire();
    while !wire.outgoing().is_empty() {
        wire.sent(wire.outgoing().len());
    }
}

fn to_bob(text: &'static str) -> Outgoing {
    Outgoing::new(Envelope::new(address("ada@a.test").into(), [address("bob@b.test").into()]), text)
}

#[test]
fn a_reply_to_no_command_is_an_error() {
    let mut client = ready();
    client.wire().feed(b"250 who asked?\r\n");
    client.send(to_bob("Hello.\r\n"));
    let early = |stage| Error::Peer(Fault::EarlyReply { code: 250, stage });
    assert_eq!(client.poll().unwrap_err(), early(Stage::Mail));

    // A server that takes responsibility for what it was not yet sent.
    let mut client = ready();
    client.send(to_bob("Hello.\r\n"));
    for reply in ["250 OK\r\n", "250 OK\r\n", "354 go on\r\n250 queued\r\n"] {
        assert!(matches!(client.poll(), Ok(Step::NeedInput)));
        drain(&mut client);
        client.wire().feed(reply.as_bytes());
    }
    assert_eq!(client.poll().unwrap_err(), early(Stage::Message));
    assert!(early(Stage::Message).is_temporary());
}

#[test]
fn a_refusal_in_the_text_is_told_and_ends_the_conversation() {
    let mut client = ready();
    client.send(to_bob("Hello.\r\n"));
    for reply in ["250 OK\r\n", "250 OK\r\n", "354 go on\r\n552 too much\r\n"] {
        assert!(matches!(client.poll(), Ok(Step::NeedInput)));
        drain(&mut client);
        client.wire().feed(reply.as_bytes());
    }
    let Ok(Step::Event(ClientEvent::Outcome(outcome))) = client.poll() else { panic!() };
    assert_eq!((outcome.stage, outcome.reply.code()), (Stage::Message, 552));
    assert!(matches!(client.poll(), Ok(Step::Done)));
}

#[test]
fn octets_before_the_handshake_are_an_error() {
    for (before, after) in [(&b"220 go\r\n250 mx.test\r\n"[..], &b""[..]), (b"220 go\r\n", b"2")] {
        let mut client = Client::new(ClientConfig::new("ada.test").unwrap(), Instant::now());
        client.wire().feed(b"220 mx.test\r\n250-mx.test\r\n250 STARTTLS\r\n");
        assert!(matches!(client.poll(), Ok(Step::NeedInput)));
        client.wire().feed(before);
        let _ = client.poll();
        client.wire().feed(after);
        client.tls_started(Tls::default());
        assert_eq!(client.poll().unwrap_err(), Error::Peer(Fault::EarlyOctets));
    }
}

#[test]
fn an_answer_to_no_question_is_a_misuse() {
    let mut client = Client::new(ClientConfig::new("ada.test").unwrap(), Instant::now());
    client.send(to_bob(""));
    let error = client.poll().unwrap_err();
    assert!(matches!(error, Error::Misuse(_)) && !error.is_temporary());
    let mut client = ready();
    client.quit();
    client.quit();
    assert!(matches!(client.poll(), Err(Error::Misuse(_))));
}

#[test]
fn a_server_that_takes_no_text_is_given_up_after_three_minutes() {
    let start = Instant::now();
    let mut client = Client::new(ClientConfig::new("ada.test").unwrap(), start);
    client.wire().feed(b"220 mx.test\r\n250 mx.test\r\n");
    assert!(matches!(client.poll(), Ok(Step::Event(ClientEvent::Ready))));
    drain(&mut client);
    client.send(to_large());
    for reply in ["250 OK\r\n", "250 OK\r\n", "354 go on\r\n"] {
        assert!(matches!(client.poll(), Ok(Step::NeedInput)));
        drain(&mut client);
        client.wire().feed(reply.as_bytes());
    }
    // As long as a little is taken now and then it goes on.
    for minutes in 1..20 {
        client.tick(start + Duration::from_secs(150 * minutes));
        assert!(matches!(client.poll(), Ok(Step::NeedInput)), "{minutes}");
        for _ in 0..5000 {
            client.wire().sent(1);
        }
        assert!(matches!(client.poll(), Ok(Step::NeedInput)), "{minutes}");
    }
    assert_eq!(client.deadline(), Some(start + Duration::from_secs(150 * 19 + 180)));
    client.tick(start + Duration::from_secs(150 * 19 + 180));
    assert_eq!(client.poll().unwrap_err(), Error::Timeout(Stage::Message));
}

fn to_large() -> Outgoing {
    let mut mail = to_bob("");
    mail.content = "0123456789\r\n".repeat(200_000).into();
    mail
}

#[test]
fn envelopes_are_read_out_of_headers() {
    for (header, expected) in [
        ("From: ada@a.test\r\nTo: Bob <bob@b.test>, bob@b.test\r\n", Ok(("<ada@a.test>", "<bob@b.test>"))),
        // RFC 5322 §3.6.2
        ("From: a@a.test, b@a.test\r\nSender: s@a.test\r\nTo: x@b.test\r\n", Ok(("<s@a.test>", "<x@b.test>"))),
        // RFC 5321 §B: "any addresses listed in a RFC 822 group"
        (
            "From: a@a.test\r\nTo: G: x@b.test, y@b.test;\r\nCc: z@b.test\r\nBcc: w@b.test\r\n",
            Ok(("<a@a.test>", "<x@b.test> <y@b.test> <z@b.test> <w@b.test>")),
        ),
        // RFC 5322 §3.6.6: the newest block of resent fields
        (
            "Resent-From: r@a.test\r\nResent-To: n@b.test\r\nReceived: by x\r\nResent-From: o@a.test\r\n\
             Resent-To: old@b.test\r\nResent-Cc: old2@b.test\r\nFrom: a@a.test\r\nTo: x@b.test\r\n",
            Ok(("<r@a.test>", "<n@b.test>")),
        ),
        ("From: a@a.test\r\n", Err(NoEnvelope::NoRecipient)),
        ("From: a@a.test\r\nTo: undisclosed-recipients:;\r\n", Err(NoEnvelope::NoRecipient)),
        ("To: a@a.test\r\n", Err(NoEnvelope::NoSender)),
        ("From: a@a.test\r\nTo: somebody\r\n", Err(NoEnvelope::BadAddress("To"))),
        ("", Err(NoEnvelope::NoSender)),
    ] {
        let message = Message::parse(format!("{header}\r\nBcc: body@b.test\r\n"));
        let envelope = Outgoing::try_from(&message).map(|outgoing| {
            assert!(outgoing.content.ends_with(b"\r\n\r\nBcc: body@b.test\r\n"));
            assert_eq!(outgoing.content.len() < message.raw().len(), header.contains("Bcc"));
            let to: Vec<_> = outgoing.envelope.recipients.iter().map(|one| one.to.to_string()).collect();
            (outgoing.envelope.from.to_string(), to.join(" "))
        });
        let expected = expected.map(|(from, to): (&str, &str)| (from.to_owned(), to.to_owned()));
        assert_eq!(envelope, expected, "{header}");
    }
}
