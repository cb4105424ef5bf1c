//! Sessions that stay open, turns at a host, and hosts that are down: on the loopback interface.
#![cfg(feature = "net")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use facteur::address::Address;
use facteur::dns::{Zone, mx};
use facteur::net::submit::{SendError, Sender};
use facteur::net::{Pool, PoolConfig, Route, blocking};
use facteur::smtp::client::{By, ClientConfig};
use facteur::smtp::{Envelope, ForwardPath, Outcome, Outgoing, Stage};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What a host heard: for each connection its commands, in order; `bye` where the client closed.
type Heard = Arc<Mutex<Vec<Vec<String>>>>;

/// How a host behaves.
struct Host {
    greeting: fn(connection: usize) -> &'static str,
    hello: &'static str,
    /// After so many messages it hangs up.
    hang_up: Option<usize>,
    /// What it waits for before it answers to a message.
    go: Arc<Semaphore>,
}

impl Default for Host {
    fn default() -> Self {
        let go = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { greeting: |_| "220 mx.test\r\n", hello: "250 mx.test\r\n", hang_up: None, go }
    }
}

impl Host {
    async fn start(self) -> (SocketAddr, Heard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, host) = (Heard::default(), Arc::new(self));
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (host, all) = (Arc::clone(&host), Arc::clone(&all));
                all.lock().unwrap().push(Vec::new());
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let greeting = (host.greeting)(number);
                    stream.get_mut().write_all(greeting.as_bytes()).await.unwrap();
                    let hear = |word: &str| all.lock().unwrap()[number].push(word.to_owned());
                    let (mut text, mut messages) = (false, 0);
                    loop {
                        let mut line = String::new();
                        if !stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                            return hear("bye");
                        }
                        let word = line.trim_end().split([' ', ':']).next().unwrap().to_owned();
                        let reply = match (text, line.as_str()) {
                            (true, ".\r\n") => {
                                text = false;
                                messages += 1;
                                host.go.acquire().await.unwrap().forget();
                                "250 2.0.0 queued\r\n"
                            }
                            (true, _) => continue,
                            (false, "DATA\r\n") => {
                                text = true;
                                "354 go on\r\n"
                            }
                            (false, line) if line.starts_with("EHLO") => host.hello,
                            (false, "QUIT\r\n") => "221 bye\r\n",
                            _ => "250 OK\r\n",
                        };
                        if word != "." {
                            hear(&word);
                        }
                        let _ = stream.get_mut().write_all(reply.as_bytes()).await;
                        if Some(messages) == host.hang_up && !text && word == "." {
                            return;
                        }
                    }
                });
            }
        });
        (address, heard)
    }
}

fn pool(change: impl FnOnce(&mut PoolConfig)) -> Pool {
    let mut config = PoolConfig::default();
    // Long enough that only what the test does ends a session.
    config.idle = Duration::from_secs(600);
    change(&mut config);
    Pool::new(Sender::new(ClientConfig::new("ada.test").unwrap()).unwrap(), config)
}

fn mail() -> Outgoing {
    let address = |text: &str| text.parse::<Address>().unwrap();
    let envelope = Envelope::new(address("ada@a.test").into(), [ForwardPath::from(address("bob@b.test"))]);
    Outgoing::new(envelope, "Subject: hi\r\n\r\nHello.\r\n")
}

fn heard(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|words| words.join(" ")).collect()
}

fn shown(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().map(|outcome| format!("{:?} {:?} {}", outcome.stage, outcome.by, outcome.reply)).collect()
}

const STOPPED: [&str; 1] = ["Connect Client 451 4.3.2 this host is about to stop"];
const SENT: [&str; 1] = ["Message Server 250 2.0.0 queued"];

/// Lets all that can be done be done, up to the point where this holds.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
    panic!("it never comes to that");
}

#[tokio::test]
async fn messages_go_over_one_session_and_each_is_asked_for_by_reset() {
    let (host, words) = Host::default().start().await;
    let pool = pool(|_| {});
    for _ in 0..3 {
        assert_eq!(shown(&pool.send(&host.to_string(), mail()).await.unwrap()), SENT);
        assert_eq!(pool.idle(), 1);
    }
    let turn = pool.turn(&Route::to(&host.to_string()).await.unwrap()).await.unwrap();
    pool.close().await;
    assert_eq!(pool.idle(), 0);
    until(|| heard(&words)[0].ends_with("bye")).await;
    assert_eq!(heard(&words), ["EHLO MAIL RCPT DATA RSET MAIL RCPT DATA RSET MAIL RCPT DATA QUIT bye"]);
    // Who comes later is not served, nor who had a place already.
    let outcomes = pool.send(&host.to_string(), mail()).await.unwrap();
    assert_eq!(shown(&outcomes), STOPPED);
    assert_eq!(shown(&turn.deliver(mail()).await.outcomes), STOPPED);
    assert_eq!(words.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_ends_after_so_many_messages_and_where_the_server_limits_them() {
    for (hello, most, expected) in [
        ("250 mx.test\r\n", 2, ["EHLO MAIL RCPT DATA RSET MAIL RCPT DATA QUIT bye", "EHLO MAIL RCPT DATA QUIT bye"]),
        (
            "250-mx.test\r\n250 LIMITS MAILMAX=1\r\n",
            2,
            ["EHLO MAIL RCPT DATA QUIT bye", "EHLO MAIL RCPT DATA QUIT bye"],
        ),
    ] {
        let (host, words) = Host { hello, ..Host::default() }.start().await;
        let pool = pool(|config| config.messages = most);
        let wanted = if hello.contains("LIMITS") { 2 } else { 3 };
        for _ in 0..wanted {
            assert_eq!(shown(&pool.send(&host.to_string(), mail()).await.unwrap()), SENT);
        }
        pool.close().await;
        until(|| heard(&words).iter().all(|words| words.ends_with("bye"))).await;
        assert_eq!(heard(&words), expected);
    }
}

#[tokio::test]
async fn who_is_of_one_domain_too_many_goes_over_a_new_session() {
    let hello = "250-mx.test\r\n250 LIMITS RCPTDOMAINMAX=1\r\n";
    let (host, words) = Host { hello, ..Host::default() }.start().await;
    let pool = pool(|_| {});
    for to in ["bob@b.test", "cy@B.test", "dan@d.test"] {
        let mut mail = mail();
        mail.envelope.recipients = vec![ForwardPath::from(to.parse::<Address>().unwrap()).into()];
        assert_eq!(shown(&pool.send(&host.to_string(), mail).await.unwrap()), SENT, "{to}");
    }
    until(|| heard(&words)[0].ends_with("bye")).await;
    assert_eq!(heard(&words), ["EHLO MAIL RCPT DATA RSET MAIL RCPT DATA QUIT bye", "EHLO MAIL RCPT DATA"]);
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_replaced() {
    let (host, words) = Host { hang_up: Some(1), ..Host::default() }.start().await;
    let pool = pool(|_| {});
    for _ in 0..2 {
        assert_eq!(shown(&pool.send(&host.to_string(), mail()).await.unwrap()), SENT);
    }
    assert_eq!(heard(&words), ["EHLO MAIL RCPT DATA", "EHLO MAIL RCPT DATA"]);
}

#[tokio::test]
async fn a_session_is_idle_for_a_while_only() {
    let (host, words) = Host::default().start().await;
    let pool = pool(|config| config.idle = Duration::ZERO);
    assert_eq!(shown(&pool.send(&host.to_string(), mail()).await.unwrap()), SENT);
    until(|| heard(&words)[0].ends_with("bye")).await;
    assert_eq!((heard(&words)[0].as_str(), pool.idle()), ("EHLO MAIL RCPT DATA QUIT bye", 0));
}

#[tokio::test]
async fn who_waits_for_a_host_is_served_in_order_and_holds_up_nobody_else() {
    let go = Arc::new(Semaphore::new(0));
    let (slow, words) = Host { go: Arc::clone(&go), ..Host::default() }.start().await;
    let (quick, _) = Host::default().start().await;
    let pool = pool(|config| (config.per_host, config.connections) = (2, 3));
    let done = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..6 {
        let (of, route, done) = (pool.clone(), Route::to(&slow.to_string()).await.unwrap(), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let turn = of.turn(&route).await.unwrap();
            done.lock().unwrap().push(number);
            assert_eq!(shown(&turn.deliver(mail()).await.outcomes), SENT);
        }));
        // It stands in the queue before the next one comes.
        tokio::task::yield_now().await;
    }
    until(|| heard(&words).iter().filter(|words| words.ends_with("DATA")).count() == 2).await;
    assert_eq!(*done.lock().unwrap(), [0, 1]);
    // Both places are taken, the other host's are not.
    for _ in 0..3 {
        assert_eq!(shown(&pool.send(&quick.to_string(), mail()).await.unwrap()), SENT);
    }
    assert_eq!(*done.lock().unwrap(), [0, 1]);
    go.add_permits(100);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*done.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(words.lock().unwrap().len(), 2, "two connections served them all");
}

#[tokio::test]
async fn hosts_that_are_silent_hold_up_none_that_have_let_us_in() {
    let (quick, _) = Host::default().start().await;
    let pool = pool(|config| (config.connections, config.messages) = (4, 1));
    assert_eq!(shown(&pool.send(&quick.to_string(), mail()).await.unwrap()), SENT);
    let mut silent = Vec::new();
    for _ in 0..4 {
        let (host, words) = Host { greeting: |_| "", ..Host::default() }.start().await;
        for _ in 0..3 {
            let (pool, host) = (pool.clone(), host.to_string());
            tokio::spawn(async move { pool.send(&host, mail()).await });
        }
        silent.push(words);
    }
    let connections = || silent.iter().map(|words| words.lock().unwrap().len()).sum::<usize>();
    until(|| connections() == 2).await;
    for _ in 0..3 {
        assert_eq!(shown(&pool.send(&quick.to_string(), mail()).await.unwrap()), SENT);
    }
    assert_eq!(connections(), 2, "half of four, one to a host");
    assert!(silent.iter().all(|words| words.lock().unwrap().len() <= 1));
}

#[tokio::test]
async fn turns_at_strangers_are_counted_before_they_are_used() {
    let (quick, _) = Host::default().start().await;
    let pool = pool(|config| config.connections = 4);
    assert_eq!(shown(&pool.send(&quick.to_string(), mail()).await.unwrap()), SENT);
    let mut routes = Vec::new();
    for host in ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"] {
        routes.push(Route::to(host).await.unwrap());
    }
    let turns = [pool.turn(&routes[0]).await.unwrap(), pool.turn(&routes[1]).await.unwrap()];
    let third = tokio::spawn({
        let (pool, route) = (pool.clone(), routes[2].clone());
        async move { pool.turn(&route).await.unwrap() }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!third.is_finished(), "half of four");
    // Who has let us in is none of them, and who gives a turn back lets the next one have it.
    drop(pool.turn(&Route::to(&quick.to_string()).await.unwrap()).await.unwrap());
    drop(turns);
    drop(third.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn hosts_that_are_new_wait_for_none_that_was_silent() {
    let pool = pool(|config| config.connections = 8);
    let mut routes = Vec::new();
    // Nobody listens there.
    for host in ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"] {
        routes.push(Route::to(host).await.unwrap());
    }
    for route in &routes[..3] {
        drop(pool.turn(route).await.unwrap().deliver(mail()).await);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let turns = [pool.turn(&routes[0]).await.unwrap(), pool.turn(&routes[1]).await.unwrap()];
    let third = tokio::spawn({
        let (pool, route) = (pool.clone(), routes[2].clone());
        async move { pool.turn(&route).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(!third.is_finished(), "a quarter of eight");
    drop(pool.turn(&routes[3]).await.unwrap());
    drop(turns);
    drop(third.await.unwrap());
}

#[tokio::test]
async fn all_connections_together_are_limited_and_idle_ones_make_place() {
    let (one, _) = Host::default().start().await;
    let (other, _) = Host::default().start().await;
    let pool = pool(|config| config.connections = 1);
    for host in [one, other, one] {
        assert_eq!(shown(&pool.send(&host.to_string(), mail()).await.unwrap()), SENT);
        assert_eq!(pool.idle(), 1);
    }
}

#[tokio::test]
async fn a_host_that_is_down_is_not_asked_again_at_once() {
    let (host, words) = Host { greeting: |_| "554 5.3.2 not today\r\n", ..Host::default() }.start().await;
    let pool = pool(|_| {});
    let to = host.to_string();
    for _ in 0..3 {
        let outcomes = pool.send(&to, mail()).await.unwrap();
        assert_eq!(shown(&outcomes), ["Connect Server 554 5.3.2 not today"]);
        assert!(outcomes[0].is_temporary());
    }
    assert_eq!(words.lock().unwrap().len(), 1);
    pool.ask_again();
    assert_eq!(pool.send(&to, mail()).await.unwrap()[0].by, By::Server);
    assert_eq!(words.lock().unwrap().len(), 2);
    // Nobody listens at all: what the connection said is what all others hear.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let first = pool.send(&dead, mail()).await.unwrap();
    assert_eq!((first[0].stage, first[0].by, first[0].is_temporary()), (Stage::Connect, By::Client, true));
    assert_eq!(pool.send(&dead, mail()).await.unwrap(), first);
}

#[tokio::test]
async fn a_host_that_lets_no_more_sessions_in_is_not_down() {
    let go = Arc::new(Semaphore::new(0));
    let greeting = |number| if number == 0 { "220 mx.test\r\n" } else { "421 4.7.0 too many of you\r\n" };
    let (host, words) = Host { greeting, go: Arc::clone(&go), ..Host::default() }.start().await;
    let pool = pool(|config| config.per_host = 2);
    let to = host.to_string();
    let first = tokio::spawn({
        let (pool, to) = (pool.clone(), to.clone());
        async move { pool.send(&to, mail()).await.unwrap() }
    });
    until(|| heard(&words).first().is_some_and(|words| words.ends_with("DATA"))).await;
    let refused = pool.send(&to, mail()).await.unwrap();
    assert_eq!(shown(&refused), ["Connect Server 421 4.7.0 too many of you"]);
    // From now on the place that there is will do.
    let next = tokio::spawn(async move { pool.send(&to, mail()).await.unwrap() });
    go.add_permits(10);
    assert_eq!(shown(&first.await.unwrap()), SENT);
    assert_eq!(shown(&next.await.unwrap()), SENT);
    assert_eq!(words.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_next_host_is_asked_where_the_first_is_down_and_waited_for_where_it_is_full() {
    let go = Arc::new(Semaphore::new(0));
    let (second, words) = Host { go: Arc::clone(&go), ..Host::default() }.start().await;
    // Nobody listens at the first address.
    let zone: Zone =
        "b.test MX 1 a.b.test\nb.test MX 2 b.b.test\na.b.test A 127.0.0.2\nb.b.test A 127.0.0.1".parse().unwrap();
    let targets = zone.ask(mx::Lookup::new(&"b.test".parse().unwrap(), 1)).unwrap();
    let pool = pool(|config| config.per_host = 1);
    let send = || {
        let (pool, targets) = (pool.clone(), targets.clone());
        tokio::spawn(async move { pool.deliver_to(&targets, second.port(), mail()).await })
    };
    // The second finds the first host in use (it is being tried) or down, and then the second one full.
    let sent = [send(), send(), send()];
    until(|| heard(&words).first().is_some_and(|words| words.ends_with("DATA"))).await;
    go.add_permits(10);
    for sent in sent {
        assert_eq!(shown(&sent.await.unwrap()), SENT);
    }
    assert_eq!(words.lock().unwrap().len(), 1, "one after the other");
}

#[tokio::test]
async fn the_blocking_twin_refuses_to_block_a_runtime() {
    let sender = blocking::Sender::new(ClientConfig::new("ada.test").unwrap());
    assert!(matches!(sender.map(|sender| sender.send("127.0.0.1:9", mail())), Ok(Err(SendError::Runtime(_)))));
}
