//! POP3 over a driver and a pipe that holds a few octets: large answers and pipelined commands, in both directions at once.
#![cfg(feature = "net")]

use std::time::Instant;

use facteur::base::Timestamp;
use facteur::net::Driver;
use facteur::pop3::{Backend, Progress, Server, ServerConfig, ServerEvent, lines::unstuffed};
use facteur::store::{Flags, Mailbox, Store, memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn serve(stream: tokio::io::DuplexStream, store: memory::Store) {
    let mut config = ServerConfig::new();
    config.clear_text = true;
    config.max_backlog = 4096;
    let mut driver = Driver::new(Server::new(config, Instant::now()), stream);
    let mut backend = None;
    while let Some(event) = driver.next().await.unwrap() {
        match event {
            ServerEvent::Login { .. } => {
                backend = Some(Backend::new(store.open("INBOX").unwrap()));
                driver.accept();
            }
            ServerEvent::Request(request) => {
                let backend = backend.as_mut().unwrap();
                backend.begin(request);
                while backend.step(&mut driver) == Progress::More {
                    driver.flush().await.unwrap();
                }
            }
            _ => unreachable!(),
        }
    }
}

#[tokio::test]
async fn a_large_maildrop_comes_whole_through_a_narrow_pipe() {
    let store = memory::Store::new();
    let mut inbox = store.open("INBOX").unwrap();
    let message = [b"Subject: dots\r\n\r\n".to_vec(), b".\r\n..\r\nno dot\r\n".repeat(10_000)].concat();
    for _ in 0..3 {
        inbox.append(&message, &Flags::new(), Timestamp::from_unix(0)).unwrap();
    }
    let (ours, theirs) = tokio::io::duplex(61);
    let server = tokio::spawn(serve(theirs, store.clone()));
    let (mut reader, mut writer) = tokio::io::split(ours);
    // Everything is sent ahead, so both directions are full at once.
    let sender = tokio::spawn(async move {
        let mut commands = b"USER a\r\nPASS b\r\n".to_vec();
        (0..5).for_each(|_| commands.extend(b"RETR 1\r\nRETR 2\r\nRETR 3\r\nLIST\r\nUIDL\r\n"));
        commands.extend(b"NOOP\r\n".repeat(2000));
        commands.extend(b"DELE 1\r\nDELE 3\r\nQUIT\r\n");
        writer.write_all(&commands).await.unwrap();
        writer
    });
    let mut output = Vec::new();
    reader.read_to_end(&mut output).await.unwrap();
    drop(sender.await.unwrap());
    server.await.unwrap();

    let mut lines = output.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut line = || lines.next().unwrap();
    assert_eq!(line(), b"+OK POP3 server ready");
    assert_eq!((line(), line()), (&b"+OK"[..], &b"+OK maildrop ready"[..]));
    for _ in 0..5 {
        for _ in 0..3 {
            assert_eq!(line(), format!("+OK {} octets", message.len()).as_bytes());
            let mut came = Vec::new();
            while let Some(text) = unstuffed(line()) {
                came.extend_from_slice(text);
                came.extend_from_slice(b"\r\n");
            }
            assert!(came == message, "another message");
        }
        for _ in 0..2 {
            assert!(line().starts_with(b"+OK"));
            assert_eq!(std::iter::from_fn(|| unstuffed(line())).count(), 3);
        }
    }
    assert!((0..2000).all(|_| line() == b"+OK"));
    assert_eq!((line(), line()), (&b"+OK message 1 deleted"[..], &b"+OK message 3 deleted"[..]));
    assert_eq!(line(), b"+OK signing off (1 message left)");
    assert_eq!(store.open("INBOX").unwrap().messages().len(), 1);
}
