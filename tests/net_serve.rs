//! The accept loop over streams in memory, on a paused clock.
#![cfg(feature = "net")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use facteur::net::serve::{Connection, Counters, Incident, Limit, Listen, Service, ServiceConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

type Accepted = io::Result<(DuplexStream, Option<SocketAddr>)>;

struct Door(mpsc::UnboundedReceiver<Accepted>);

impl Listen for Door {
    type Stream = DuplexStream;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        self.0.poll_recv(cx).map(|accepted| accepted.unwrap_or_else(|| Err(io::Error::other("the door is gone"))))
    }
}

/// A service in a task of its own, what it reports, and the street before its door.
struct House {
    service: Service,
    street: mpsc::UnboundedSender<Accepted>,
    reports: Arc<Mutex<Vec<Incident>>>,
    running: JoinHandle<()>,
}

impl House {
    /// Echoes lines; `panic` panics; ends at the end of the stream, or at the end of a line once the service stops.
    fn open(config: ServiceConfig) -> Self {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let service = Service::reporting(config, {
            let reports = Arc::clone(&reports);
            move |incident| reports.lock().unwrap().push(incident)
        });
        let (street, door) = mpsc::unbounded_channel();
        let running = tokio::spawn({
            let service = service.clone();
            async move { service.run(Door(door), echo).await }
        });
        Self { service, street, reports, running }
    }

    fn knock(&self, from: &str) -> DuplexStream {
        let (client, server) = duplex(1000);
        self.street.send(Ok((server, Some(SocketAddr::new(from.parse().unwrap(), 1))))).unwrap();
        client
    }

    fn counters(&self) -> Counters {
        self.service.counters()
    }
}

async fn echo(mut connection: Connection<DuplexStream>) {
    let mut line = Vec::new();
    loop {
        let octet = tokio::select! {
            octet = connection.stream.read_u8() => octet,
            () = connection.stopping.begun(), if line.is_empty() => return,
        };
        let Ok(octet) = octet else { return };
        line.push(octet);
        if octet == b'\n' {
            assert!(!line.starts_with(b"panic"), "as you wish");
            connection.stream.write_all(&std::mem::take(&mut line)).await.unwrap();
        }
    }
}

/// Whether a line comes back.
async fn is_served(client: &mut DuplexStream) -> bool {
    let mut answer = [0; 3];
    client.write_all(b"hi\n").await.is_ok() && client.read_exact(&mut answer).await.is_ok() && &answer == b"hi\n"
}

async fn rest(client: &mut DuplexStream) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    rest
}

fn config(connections: usize, per_address: Option<usize>) -> ServiceConfig {
    let mut config = ServiceConfig::new();
    config.connections = connections;
    config.per_address = per_address;
    config.farewell = Some("421 later\r\n".into());
    config
}

#[tokio::test(start_paused = true)]
async fn one_connection_too_many_is_told_so_and_a_place_is_free_again_after_an_end() {
    let house = House::open(config(2, None));
    let mut first = house.knock("192.0.2.1");
    let mut second = house.knock("192.0.2.1");
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut third = house.knock("192.0.2.2");
    assert_eq!(rest(&mut third).await, "421 later\r\n");
    assert!(matches!(
        &house.reports.lock().unwrap()[..],
        [Incident::Refused { peer: Some(_), limit: Limit::Connections }]
    ));
    drop(first);
    while house.counters().open == 2 {
        tokio::task::yield_now().await;
    }
    assert!(is_served(&mut house.knock("192.0.2.2")).await);
    let counters = house.counters();
    assert_eq!((counters.accepted, counters.refused), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn one_address_gets_its_share_only() {
    let house = House::open(config(100, Some(1)));
    let mut guests = Vec::new();
    for (address, served) in [
        ("192.0.2.1", true),
        ("192.0.2.1", false),
        ("::ffff:192.0.2.1", false),
        ("192.0.2.2", true),
        ("2001:db8::1", true),
        ("2001:db8::ffff:ffff:ffff:ffff", false),
        ("2001:db8:0:1::1", true),
    ] {
        let mut guest = house.knock(address);
        assert_eq!(is_served(&mut guest).await, served, "{address}");
        guests.push(guest);
    }
    guests.clear();
    while house.counters().open > 0 {
        tokio::task::yield_now().await;
    }
    assert!(is_served(&mut house.knock("192.0.2.1")).await);
    assert_eq!(house.counters().refused, 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_an_address_counts_in_total_only() {
    let house = House::open(config(2, Some(1)));
    let mut guests = Vec::new();
    for served in [true, true, false] {
        let (mut client, server) = duplex(1000);
        house.street.send(Ok((server, None))).unwrap();
        assert_eq!(is_served(&mut client).await, served);
        guests.push(client);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_does_not_read_is_closed_without_a_word() {
    let mut config = config(0, None);
    config.farewell = Some("x".repeat(2000).into());
    let house = House::open(config);
    let guests: Vec<_> = (0..100).map(|_| house.knock("192.0.2.1")).collect();
    let mut told = 0;
    for mut guest in guests {
        let mut text = Vec::new();
        // What was cut short ended without an error all the same.
        guest.read_to_end(&mut text).await.unwrap();
        told += usize::from(!text.is_empty());
    }
    assert_eq!(told, 64);
    assert_eq!(house.counters().refused, 100);
}

#[tokio::test(start_paused = true)]
async fn a_panic_stays_in_its_connection_and_is_reported() {
    let house = House::open(config(10, None));
    let mut other = house.knock("192.0.2.1");
    assert!(is_served(&mut other).await);
    let mut guest = house.knock("192.0.2.2");
    guest.write_all(b"panic\n").await.unwrap();
    assert_eq!(rest(&mut guest).await, "");
    assert!(is_served(&mut other).await);
    assert!(is_served(&mut house.knock("192.0.2.2")).await);
    assert_eq!((house.counters().panicked, house.counters().accepted), (1, 3));
    let reports = house.reports.lock().unwrap();
    let [Incident::Panicked { peer: Some(peer), message }] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((peer.ip().to_string().as_str(), message.as_str()), ("192.0.2.2", "as you wish"));
}

#[tokio::test(start_paused = true)]
async fn a_listener_in_trouble_is_asked_again_after_a_pause() {
    let start = Instant::now();
    let house = House::open(config(10, None));
    house.street.send(Err(io::ErrorKind::ConnectionAborted.into())).unwrap();
    assert!(is_served(&mut house.knock("192.0.2.1")).await);
    assert_eq!(start.elapsed(), Duration::ZERO);
    for _ in 0..9 {
        // EMFILE
        house.street.send(Err(io::Error::from_raw_os_error(24))).unwrap();
    }
    assert!(is_served(&mut house.knock("192.0.2.1")).await);
    // 10 + 20 + 40 + … + 640 milliseconds, then a second each
    assert!((3270..3300).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(house.counters().listener_errors, 10);
    // A success starts the pauses anew.
    let start = Instant::now();
    house.street.send(Err(io::Error::from_raw_os_error(24))).unwrap();
    assert!(is_served(&mut house.knock("192.0.2.1")).await);
    assert!(start.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_line_under_way_end() {
    let start = Instant::now();
    let house = House::open(config(10, None));
    let mut idle = house.knock("192.0.2.1");
    let mut busy = house.knock("192.0.2.2");
    assert!(is_served(&mut idle).await && is_served(&mut busy).await);
    busy.write_all(b"half").await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    house.service.stop();
    assert_eq!(rest(&mut idle).await, "");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(house.street.is_closed());
    busy.write_all(b" a line\n").await.unwrap();
    assert_eq!(rest(&mut busy).await, "half a line\n");
    house.running.await.unwrap();
    assert!((10..11).contains(&start.elapsed().as_secs()));
    assert_eq!(house.service.counters().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_end_within_the_grace_period_is_dropped() {
    let start = Instant::now();
    let house = House::open(config(10, None));
    let mut busy = house.knock("192.0.2.2");
    assert!(is_served(&mut busy).await);
    busy.write_all(b"half").await.unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    house.service.stop();
    house.running.await.unwrap();
    assert!((30..31).contains(&start.elapsed().as_secs()));
    assert_eq!(rest(&mut busy).await, "");
    assert_eq!((house.service.counters().dropped, house.service.counters().open), (1, 0));
    assert!(matches!(&house.reports.lock().unwrap()[..], [Incident::Dropped { connections: 1 }]));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_noticed_while_a_listener_pauses() {
    let start = Instant::now();
    let house = House::open(config(10, None));
    for _ in 0..20 {
        house.street.send(Err(io::Error::from_raw_os_error(24))).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    house.service.stop();
    house.running.await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(3010));
}

#[tokio::test(start_paused = true)]
async fn two_listeners_of_a_service_share_its_limits() {
    let house = House::open(config(1, None));
    let (street, door) = mpsc::unbounded_channel();
    let other = tokio::spawn({
        let service = house.service.clone();
        async move { service.run(Door(door), echo).await }
    });
    let mut guest = house.knock("192.0.2.1");
    assert!(is_served(&mut guest).await);
    let (mut client, server) = duplex(1000);
    street.send(Ok((server, None))).unwrap();
    assert_eq!(rest(&mut client).await, "421 later\r\n");
    house.service.stop();
    house.running.await.unwrap();
    other.await.unwrap();
}
