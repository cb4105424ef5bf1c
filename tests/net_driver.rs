//! The driver over pipes of seven octets, on a paused clock, with toy machines whose answers are known.
#![cfg(feature = "net")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use facteur::base::{Machine, Secret, Step, Tls, Wire};
use facteur::net::tls::{Acceptor, Connector, Demand, Side};
use facteur::net::{Driver, Error};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};

/// A protocol of lines: `ASK` is a question, `TELL` an event, `TLS` starts TLS, `BYE` ends, anything else is an error
/// with a farewell. `say` are lines that it sends of itself when it starts.
struct Toy {
    wire: Wire,
    state: State,
    timeout: Option<Duration>,
    heard: Instant,
    now: Instant,
    /// Whether octets before a handshake are an error, as they must be.
    careful: bool,
    tls: Option<Tls>,
}

#[derive(PartialEq)]
enum State {
    Ready,
    Asked,
    Handshake,
    Done,
    Failed(ToyError),
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum ToyError {
    #[error("no such line: {0}")]
    NoSuchLine(String),
    #[error("nothing heard in time")]
    Timeout,
    #[error("closed")]
    Closed,
    #[error("octets before tls")]
    BeforeTls,
}

#[derive(Debug, PartialEq)]
enum Heard {
    Ask(String),
    Tell(String),
}

impl Toy {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self { wire: Wire::new(), state: State::Ready, timeout: None, heard: now, now, careful: true, tls: None }
    }

    fn saying(lines: &str) -> Self {
        let mut toy = Self::new();
        toy.wire.out(lines.as_bytes());
        toy
    }

    fn starting_tls() -> Self {
        Self { state: State::Handshake, ..Self::new() }
    }

    fn answer(&mut self, text: &str) {
        assert!(self.state == State::Asked);
        self.wire.out(format!("{text}\r\n").as_bytes());
        self.state = State::Ready;
    }

    fn fail(&mut self, error: ToyError) {
        self.wire.out(b"FAREWELL\r\n");
        self.state = State::Failed(error);
    }
}

impl Machine for Toy {
    type Event = Heard;
    type Error = ToyError;

    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn poll(&mut self) -> Result<Step<Heard>, ToyError> {
        match &self.state {
            State::Ready => {}
            State::Asked => return Ok(Step::NeedAnswer),
            State::Handshake if self.careful && !self.wire.unread().is_empty() => {
                self.fail(ToyError::BeforeTls);
                return self.poll();
            }
            State::Handshake => return Ok(Step::StartTls),
            State::Done => return Ok(Step::Done),
            State::Failed(error) => return Err(error.clone()),
        }
        let Some(line) = self.wire.line(1000).expect("short lines") else {
            if self.deadline().is_some_and(|deadline| deadline <= self.now) {
                self.fail(ToyError::Timeout);
                return self.poll();
            }
            if self.wire.is_closed() {
                self.fail(ToyError::Closed);
                return self.poll();
            }
            return Ok(Step::NeedInput);
        };
        self.heard = self.now;
        let line = String::from_utf8(line.text.to_vec()).unwrap();
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("ASK", rest) => {
                self.state = State::Asked;
                Ok(Step::Event(Heard::Ask(rest.to_owned())))
            }
            ("TELL", rest) => Ok(Step::Event(Heard::Tell(rest.to_owned()))),
            ("TLS", _) => {
                self.wire.out(b"GO\r\n");
                self.state = State::Handshake;
                self.poll()
            }
            ("GO", _) => {
                self.state = State::Handshake;
                self.poll()
            }
            ("BYE", _) => {
                self.wire.out(b"BYE\r\n");
                self.state = State::Done;
                Ok(Step::Done)
            }
            _ => {
                self.fail(ToyError::NoSuchLine(line));
                self.poll()
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| self.heard + timeout)
    }

    fn tls_started(&mut self, tls: Tls) {
        self.tls = Some(tls);
        if self.state == State::Handshake {
            self.state = State::Ready;
        }
    }
}

/// Sends `send` octets, as much at a time as `backlog` allows, and takes in `take` octets.
struct Bulk {
    wire: Wire,
    send: usize,
    backlog: usize,
    take: usize,
    sum: u64,
    /// Like a server with pipelined commands it reads no further while its replies are not taken.
    in_order: bool,
}

impl Bulk {
    fn new(send: usize, backlog: usize, take: usize) -> Self {
        Self { wire: Wire::new(), send, backlog, take, sum: 0, in_order: false }
    }

    fn octet(left: usize) -> u8 {
        (left % 251) as u8
    }
}

impl Machine for Bulk {
    type Event = ();
    type Error = ToyError;

    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn tick(&mut self, _: Instant) {}

    fn poll(&mut self) -> Result<Step<()>, ToyError> {
        while self.send > 0 && self.wire.backlog() < self.backlog {
            let n = self.send.min(1000);
            let octets: Vec<u8> = (0..n).map(|i| Self::octet(self.send - i)).collect();
            self.wire.out(&octets);
            self.send -= n;
        }
        if (!self.in_order || self.wire.backlog() < self.backlog)
            && let Some(octets) = self.wire.some(500)
        {
            for octet in octets {
                assert_eq!(octet, Self::octet(self.take));
                self.take -= 1;
                self.sum += 1;
            }
            return Ok(Step::Event(()));
        }
        match (self.take, self.send) {
            (0, 0) => Ok(Step::Done),
            _ if self.wire.is_closed() && self.wire.unread().is_empty() => Err(ToyError::Closed),
            _ => Ok(Step::NeedInput),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

async fn to_the_end<M: Machine, IO: AsyncRead + AsyncWrite + Unpin>(
    driver: &mut Driver<M, IO>,
) -> Result<usize, Error<M::Error>> {
    let mut events = 0;
    while driver.next().await?.is_some() {
        events += 1;
    }
    Ok(events)
}

fn identity(name: &str) -> (String, Secret) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), Secret::from(made.signing_key.serialize_pem()))
}

fn acceptor() -> (Acceptor, String) {
    let (chain, key) = identity("mx.test");
    (Acceptor::from_pem(chain.as_bytes(), &key).unwrap(), chain)
}

fn trusting(chain: &str) -> Side {
    Connector::with_roots(chain.as_bytes()).unwrap().to("mx.test").unwrap()
}

/// Polls a future once.
fn once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn two_full_pipes_of_seven_octets_do_not_deadlock() {
    const MUCH: usize = 200_000;
    // All of it outgoing at once, and as it can be sent.
    for backlog in [usize::MAX, 4000] {
        let (left, right) = duplex(7);
        let mut left = Driver::new(Bulk::new(MUCH, backlog, MUCH + 1), left);
        let mut right = Driver::new(Bulk::new(MUCH + 1, backlog, MUCH), right);
        let (one, other) = tokio::join!(to_the_end(&mut left), to_the_end(&mut right));
        one.unwrap();
        other.unwrap();
        assert_eq!((left.sum, right.sum), (MUCH as u64 + 1, MUCH as u64));
    }
}

#[tokio::test(start_paused = true)]
async fn two_full_encrypted_pipes_do_not_deadlock() {
    const MUCH: usize = 200_000;
    let (acceptor, chain) = acceptor();
    let (left, right) = duplex(700);
    let left = async move {
        let bulk = Bulk::new(MUCH, usize::MAX, MUCH);
        let mut left = Driver::new(bulk, left).with_tls(acceptor).encrypted().await?;
        to_the_end(&mut left).await.map(|_| left.sum)
    };
    let right = async move {
        let bulk = Bulk::new(MUCH, usize::MAX, MUCH);
        let mut right = Driver::new(bulk, right).with_tls(trusting(&chain)).encrypted().await?;
        to_the_end(&mut right).await.map(|_| right.sum)
    };
    let (left, right) = tokio::join!(left, right);
    assert_eq!((left.unwrap(), right.unwrap()), (MUCH as u64, MUCH as u64));
}

#[tokio::test(start_paused = true)]
async fn flush_reads_while_it_writes() {
    async fn side(stream: tokio::io::DuplexStream) -> Result<u64, Error<ToyError>> {
        let mut driver = Driver::new(Bulk::new(0, usize::MAX, 20_000), stream);
        let octets: Vec<u8> = (0..20_000).map(|i| Bulk::octet(20_000 - i)).collect();
        driver.wire().out(&octets);
        driver.flush().await?;
        assert_eq!(driver.wire().backlog(), 0);
        to_the_end(&mut driver).await?;
        Ok(driver.sum)
    }
    let (left, right) = duplex(7);
    let (one, other) = tokio::join!(side(left), side(right));
    assert_eq!((one.unwrap(), other.unwrap()), (20_000, 20_000));
}

/// What a server hears and a client gets, where each `next()` of the server is dropped whenever it would wait.
async fn impatient(tls: bool, patience: usize) -> (Vec<Heard>, String) {
    let (acceptor, chain) = acceptor();
    let (client, server) = duplex(7);
    let mut server = Driver::new(Toy::new(), server).with_tls(acceptor);
    let client = async move {
        let mut got = String::new();
        let start = if tls { "TLS\r\n" } else { "" };
        let mut client = Driver::new(Toy::saying(start), client).with_tls(trusting(&chain));
        if tls {
            // The toy goes on by itself after GO; what it sends then is said here.
            while client.tls.is_none() {
                assert!(once(client.next()).is_pending());
                tokio::task::yield_now().await;
            }
        }
        for line in ["ASK 1\r\nTELL 2\r\n", "ASK 3\r\n", "TELL 4\r\nASK 5\r\nBYE\r\n"] {
            client.wire().out(line.as_bytes());
        }
        while let Some(event) = client.next().await.unwrap() {
            got.push_str(&format!("{event:?} "));
        }
        got
    };
    let server = async move {
        let mut heard = Vec::new();
        loop {
            let event = loop {
                let mut next = Box::pin(server.next());
                let mut polls = 0;
                let ready = std::future::poll_fn(|cx| {
                    polls += 1;
                    match next.as_mut().poll(cx) {
                        Poll::Ready(event) => Poll::Ready(Some(event)),
                        Poll::Pending if polls >= patience => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await;
                match ready {
                    Some(event) => break event.unwrap(),
                    None => {
                        drop(next);
                        tokio::task::yield_now().await;
                    }
                }
            };
            match event {
                Some(Heard::Ask(what)) => {
                    server.answer(&format!("TELL {what}!"));
                    heard.push(Heard::Ask(what));
                }
                Some(event) => heard.push(event),
                None => break heard,
            }
        }
    };
    let (got, heard) = tokio::join!(client, server);
    (heard, got)
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let tell = |text: &str| Heard::Tell(text.to_owned());
    let ask = |text: &str| Heard::Ask(text.to_owned());
    let heard = vec![ask("1"), tell("2"), ask("3"), tell("4"), ask("5")];
    let got = r#"Tell("1!") Tell("3!") Tell("5!") "#.to_owned();
    for tls in [false, true] {
        for patience in [1, 2, 3, usize::MAX] {
            assert_eq!(impatient(tls, patience).await, (vec_of(&heard), got.clone()), "tls {tls}, patience {patience}");
        }
    }
}

fn vec_of(heard: &[Heard]) -> Vec<Heard> {
    heard
        .iter()
        .map(|heard| match heard {
            Heard::Ask(text) => Heard::Ask(text.clone()),
            Heard::Tell(text) => Heard::Tell(text.clone()),
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_question_is_loud_and_can_still_be_answered() {
    let (mut client, server) = duplex(100);
    let mut server = Driver::new(Toy::new(), server);
    client.write_all(b"ASK name\r\nTELL more\r\n").await.unwrap();
    assert_eq!(server.next().await.unwrap(), Some(Heard::Ask("name".into())));
    assert!(matches!(server.next().await, Err(Error::Unanswered)));
    assert!(matches!(server.next().await, Err(Error::Unanswered)));
    server.answer("ADA");
    assert_eq!(server.next().await.unwrap(), Some(Heard::Tell("more".into())));
    server.flush().await.unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ADA\r\n");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_machine_is_kept_and_its_farewell_sent() {
    let start = tokio::time::Instant::now();
    let (mut client, server) = duplex(7);
    let mut toy = Toy::new();
    toy.timeout = Some(Duration::from_secs(300));
    let server = async move {
        let mut server = Driver::new(toy, server);
        assert!(matches!(server.next().await, Ok(Some(Heard::Tell(_)))));
        let error = server.next().await.unwrap_err();
        assert!(matches!(error, Error::Machine(ToyError::Timeout)), "{error}");
        // Sticky.
        assert!(matches!(server.next().await, Err(Error::Machine(ToyError::Timeout))));
    };
    let client = async move {
        tokio::time::sleep(Duration::from_secs(200)).await;
        client.write_all(b"TELL late\r\n").await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "FAREWELL\r\n");
        start.elapsed().as_secs()
    };
    assert_eq!(tokio::join!(server, client).1, 500);
}

#[tokio::test(start_paused = true)]
async fn a_farewell_is_not_waited_for_longer_than_its_limit() {
    // The peer takes nothing; the peer takes all and never closes; the peer never stops sending.
    for kind in 0..3 {
        let start = tokio::time::Instant::now();
        let (mut client, server) = duplex(7);
        let server = async move {
            let error = Driver::new(Toy::new(), server).next().await.unwrap_err();
            assert!(matches!(error, Error::Machine(ToyError::NoSuchLine(_))), "{error}");
        };
        let client = async move {
            client.write_all(b"WHAT\r\n").await.unwrap();
            match kind {
                0 => std::future::pending().await,
                1 => {
                    let mut got = String::new();
                    client.read_to_string(&mut got).await.unwrap();
                    assert_eq!(got, "FAREWELL\r\n");
                    std::future::pending().await
                }
                _ => loop {
                    if client.write_all(b"more").await.is_err() {
                        break std::future::pending().await;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                },
            }
        };
        tokio::select! { () = server => {}, () = client => {} }
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_secs(5) && elapsed < Duration::from_millis(5010), "{kind}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_ends_by_the_limit_of_the_driver() {
    let start = tokio::time::Instant::now();
    let (_client, server) = duplex(7);
    let mut server = Driver::new(Bulk::new(100, usize::MAX, 1), server);
    assert!(matches!(server.next().await, Err(Error::Stalled)));
    assert_eq!(start.elapsed().as_secs(), 300);
    let (_client, server) = duplex(7);
    let mut server = Driver::new(Toy::saying("A LONG LINE"), server);
    assert!(matches!(server.flush().await, Err(Error::Stalled)));
    assert_eq!(start.elapsed().as_secs(), 600);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_cannot_fill_the_memory() {
    let (mut client, server) = duplex(1000);
    let bulk = Bulk { in_order: true, ..Bulk::new(1_000_000, 2000, 10_000_000) };
    let mut server = Driver::new(bulk, server);
    let mut accepted = 0;
    for _ in 0..10_000 {
        let octets: Vec<u8> = (0..500).map(|i| Bulk::octet(10_000_000 - accepted - i)).collect();
        match once(client.write(&octets)) {
            Poll::Ready(n) => accepted += n.unwrap(),
            Poll::Pending => {}
        }
        let _ = once(server.next());
        tokio::task::yield_now().await;
    }
    let unread = server.wire().unread().len();
    assert!(unread >= facteur::net::driver::READ_AHEAD, "{unread}");
    assert!(unread < facteur::net::driver::READ_AHEAD + 8 * 1024, "{unread}");
    assert!(accepted <= unread + 1000 + 500, "{accepted} accepted, {unread} unread");
}

#[tokio::test(start_paused = true)]
async fn done_sends_the_rest_and_closes() {
    let (mut client, server) = duplex(7);
    let server = async move { Driver::new(Toy::new(), server).next().await };
    let client = async move {
        // The server may be gone before the end of it.
        let _ = client.write_all(b"BYE\r\nand what nobody reads").await;
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        got
    };
    let (end, got) = tokio::join!(server, client);
    assert_eq!(end.unwrap(), None);
    assert_eq!(got, "BYE\r\n");
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_said_before_it_hung_up_is_still_heard() {
    let (client, server) = duplex(1000);
    let mut server = Driver::new(Toy::saying("A REPLY THAT NOBODY TAKES\r\n"), server);
    {
        let mut client = client;
        client.write_all(b"TELL goodbye\r\n").await.unwrap();
    }
    assert_eq!(server.next().await.unwrap(), Some(Heard::Tell("goodbye".into())));
    assert!(matches!(server.next().await, Err(Error::Machine(ToyError::Closed))));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_forgets_the_end_of_the_stream_does_not_hang() {
    struct Deaf(Wire);
    impl Machine for Deaf {
        type Event = ();
        type Error = ToyError;
        fn wire(&mut self) -> &mut Wire {
            &mut self.0
        }
        fn tick(&mut self, _: Instant) {}
        fn poll(&mut self) -> Result<Step<()>, ToyError> {
            Ok(Step::NeedInput)
        }
        fn deadline(&self) -> Option<Instant> {
            None
        }
    }
    let (client, server) = duplex(7);
    drop(client);
    assert!(matches!(Driver::new(Deaf(Wire::new()), server).next().await, Err(Error::Closed)));
}

/// The server's and the client's result of a conversation that starts TLS, with what both know of the session.
async fn start_tls(
    server: impl Into<Side>,
    client: impl Into<Side>,
) -> (Result<Tls, Error<ToyError>>, Result<Tls, Error<ToyError>>) {
    let (left, right) = duplex(7);
    let mut server = Driver::new(Toy::new(), left).with_tls(server);
    let mut client = Driver::new(Toy::saying("TLS\r\n"), right).with_tls(client);
    let server = async move {
        while server.next().await?.is_some() {}
        Ok(server.tls.take().unwrap())
    };
    let client = async move {
        while client.tls.is_none() {
            tokio::select! {
                biased;
                event = client.next() => { event?; }
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
        client.wire().out(b"BYE\r\n");
        while client.next().await?.is_some() {}
        Ok(client.tls.take().unwrap())
    };
    tokio::join!(server, client)
}

#[tokio::test(start_paused = true)]
async fn both_sides_of_start_tls_know_the_same_session() {
    let (acceptor, chain) = acceptor();
    for client in [trusting(&chain), Connector::unverified().to("mx.test").unwrap()] {
        let (server, client) = start_tls(acceptor.clone(), client).await;
        let (server, client) = (server.unwrap(), client.unwrap());
        assert_eq!(server.version, "TLSv1.3");
        assert!(server.cipher.starts_with("TLS_"), "{}", server.cipher);
        assert_eq!((&server.version, &server.cipher), (&client.version, &client.cipher));
        assert_eq!(server.server_name.as_deref(), Some("mx.test"));
        assert_eq!(client.server_name.as_deref(), Some("mx.test"));
        assert_eq!(server.exporter.as_ref().map(|octets| octets.len()), Some(32));
        assert_eq!(server.exporter, client.exporter);
        assert!(server.peer_certificates.is_empty());
        assert_eq!(client.peer_certificates.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_another_name_or_of_nobody_known_is_refused() {
    let (acceptor, chain) = acceptor();
    let (_, stranger) = self::acceptor();
    let elsewhere = Connector::with_roots(chain.as_bytes()).unwrap().to("mx.elsewhere.test").unwrap();
    for client in [trusting(&stranger), elsewhere] {
        let (server, client) = start_tls(acceptor.clone(), client).await;
        assert!(matches!(server, Err(Error::Tls(_))), "{server:?}");
        assert!(matches!(client, Err(Error::Tls(_))), "{client:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_shows_its_certificate_where_it_is_asked() {
    let (acceptor, chain) = acceptor();
    let (known, key) = identity("client.test");
    let (unknown, other_key) = identity("client.test");
    let client = |pem: &str, key: &Secret| {
        let connector = Connector::with_roots(chain.as_bytes()).unwrap().with_identity(pem.as_bytes(), key);
        connector.unwrap().to("mx.test").unwrap()
    };
    for (demand, side, expected) in [
        (Demand::Optional, client(&known, &key), Some(1)),
        (Demand::Required, client(&known, &key), Some(1)),
        (Demand::Optional, trusting(&chain), Some(0)),
        (Demand::Required, trusting(&chain), None),
        (Demand::Optional, client(&unknown, &other_key), None),
    ] {
        let acceptor = acceptor.clone().asking_clients(known.as_bytes(), demand).unwrap();
        let (server, _) = start_tls(acceptor, side).await;
        assert_eq!(server.ok().map(|tls| tls.peer_certificates.len()), expected, "{demand:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let (acceptor, _) = acceptor();
    let (chain, key) = identity("mx.test");
    assert!(start_tls(acceptor.clone(), trusting(&chain)).await.1.is_err());
    acceptor.reload(chain.as_bytes(), &key).unwrap();
    start_tls(acceptor.clone(), trusting(&chain)).await.1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn octets_before_the_handshake_never_count_as_encrypted() {
    for careful in [true, false] {
        let (acceptor, _) = acceptor();
        let (mut client, server) = duplex(100);
        let mut toy = Toy::new();
        toy.careful = careful;
        client.write_all(b"TLS\r\nTELL injected\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let error = Driver::new(toy, server).with_tls(acceptor).next().await.unwrap_err();
        if careful {
            assert!(matches!(error, Error::Machine(ToyError::BeforeTls)), "{error}");
        } else {
            assert!(matches!(error, Error::EarlyOctets), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on_ends_by_its_limit() {
    let start = tokio::time::Instant::now();
    let (acceptor, _) = acceptor();
    let (mut client, server) = duplex(100);
    client.write_all(b"TLS\r\n").await.unwrap();
    let mut server = Driver::new(Toy::new(), server).with_tls(acceptor.clone());
    assert!(matches!(server.next().await, Err(Error::Tls(_))));
    assert_eq!(start.elapsed().as_secs(), 60);
    assert!(matches!(server.next().await, Err(Error::Tls(_))));

    let (_client, server) = duplex(100);
    let implicit = Driver::new(Toy::new(), server).with_tls(acceptor.clone()).encrypted().await;
    assert!(matches!(implicit, Err(Error::Tls(_))));
    assert_eq!(start.elapsed().as_secs(), 120);

    // The machine is less patient.
    let (_client, server) = duplex(100);
    let mut toy = Toy::starting_tls();
    toy.timeout = Some(Duration::from_secs(10));
    let mut server = Driver::new(toy, server).with_tls(acceptor);
    assert!(server.next().await.is_err());
    assert!(start.elapsed().as_secs() <= 180);
}

#[tokio::test(start_paused = true)]
async fn tls_without_a_certificate_is_an_error() {
    let (_client, server) = duplex(100);
    assert!(matches!(Driver::new(Toy::starting_tls(), server).next().await, Err(Error::NoTls)));
    let (_client, server) = duplex(100);
    assert!(matches!(Driver::new(Toy::new(), server).encrypted().await, Err(Error::NoTls)));
}

#[tokio::test(start_paused = true)]
async fn an_encrypted_stream_ends_with_close_notify() {
    use std::sync::Arc;
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    let (acceptor, chain) = acceptor();
    let (client, server) = duplex(10_000);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let client = async move {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let mut client = connector.connect("mx.test".try_into().unwrap(), client).await.unwrap();
        client.write_all(b"BYE\r\n").await.unwrap();
        client.flush().await.unwrap();
        let mut got = String::new();
        // Without close_notify this is an error.
        client.read_to_string(&mut got).await.unwrap();
        got
    };
    let server = async move {
        let mut server = Driver::new(Toy::new(), server).with_tls(acceptor).encrypted().await.unwrap();
        assert!(server.tls.is_some());
        server.next().await.unwrap()
    };
    let (got, end) = tokio::join!(client, server);
    assert_eq!(got, "BYE\r\n");
    assert_eq!(end, None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_holds_no_buffer() {
    let (mut client, server) = duplex(64);
    let mut server = Driver::new(Toy::new(), server);
    client.write_all(b"ASK 1\r\n").await.unwrap();
    assert_eq!(server.next().await.unwrap(), Some(Heard::Ask("1".into())));
    server.answer("TELL");
    assert!(once(server.next()).is_pending());
    assert_eq!(server.wire().spare(0).get_ref().capacity(), 0);
    // What a task holds for one connection beside its machine and its socket.
    let mut idle = Driver::new(Wire0(Wire::new()), duplex(1).0);
    let beside = size_of_val(&idle) - size_of::<Wire>() - size_of::<tokio::io::DuplexStream>();
    assert!(beside <= 256, "{beside}");
    let waiting = size_of_val(&idle.next());
    assert!(waiting <= 256, "{waiting}");
}

/// The least machine there can be, for its size.
struct Wire0(Wire);

impl Machine for Wire0 {
    type Event = ();
    type Error = ToyError;
    fn wire(&mut self) -> &mut Wire {
        &mut self.0
    }
    fn tick(&mut self, _: Instant) {}
    fn poll(&mut self) -> Result<Step<()>, ToyError> {
        Ok(Step::NeedInput)
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
}
