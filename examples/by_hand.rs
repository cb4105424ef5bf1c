//! A client and a server that talk without a socket, a clock or a runtime: octets are carried from one to the other by hand.

use std::time::Instant;

use facteur::base::{Machine, Step, Wire};
use facteur::smtp::{Client, ClientConfig, ClientEvent, Envelope, ForwardPath, Outgoing, ReversePath};
use facteur::smtp::{Server, ServerConfig, ServerEvent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut server = Server::new(ServerConfig::new("mx.test")?, [127, 0, 0, 1].into(), start);
    let mut client = Client::new(ClientConfig::new("ada.test")?, start);
    let envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
    let mut letter = Some(Outgoing::new(envelope, "Subject: hello\r\n\r\nBy hand.\r\n"));
    loop {
        while let Step::Event(event) = server.poll()? {
            match event {
                ServerEvent::Message(mail) => {
                    println!("the server has {} octets for {}", mail.size, mail.envelope.recipients[0].to);
                    server.accept();
                }
                _ => server.accept(),
            }
        }
        carry("S", server.wire(), client.wire());
        loop {
            match client.poll()? {
                Step::Event(ClientEvent::Ready) => match letter.take() {
                    Some(letter) => client.send(letter),
                    None => client.quit(),
                },
                Step::Event(ClientEvent::Outcome(outcome)) => println!("the client heard: {}", outcome.reply),
                Step::Event(other) => println!("{other:?}"),
                Step::Done => return Ok(()),
                _ => break,
            }
        }
        carry("C", client.wire(), server.wire());
    }
}

/// From one wire to the other, and to the screen.
fn carry(who: &str, from: &mut Wire, to: &mut Wire) {
    while !from.outgoing().is_empty() {
        let octets = from.outgoing().to_vec();
        String::from_utf8_lossy(&octets).lines().for_each(|line| println!("{who}: {line}"));
        to.feed(&octets);
        from.sent(octets.len());
    }
}
