//! The talks of tests/talks/imap, with a program behind the server that answers by rote, and those of
//! tests/talks/imap_store, with the backend over a store in memory.
//!
//! `GIVEN config NAME` changes the configuration. The user is `ada`, the password `tanstaaf`; the one mailbox is INBOX.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use facteur::base::{Secret, Timestamp};
use facteur::imap::fetch::{FetchItem, Section};
use facteur::imap::{Backend, By, Code, Command, Data, FetchData, Progress, Server, ServerConfig, ServerEvent, Status};
use facteur::sasl::{Credentials, Identity, Mechanism, Offer};
use facteur::store::{Flag, Flags, Uid, memory};

use crate::sasl;
use crate::talk::{Seen, Side, Talk, play_all};

#[test]
fn imap_talks() {
    play_all("imap", Side::Server, |talk, start| {
        (Server::new(config(talk), start), |server: &mut Server, event| {
            let seen = format!("{event:?}");
            match event {
                ServerEvent::Login { identity, credentials } if is_known(&identity, &credentials) => {
                    server.accept();
                }
                ServerEvent::Login { identity, .. } if identity.name() == "busy" => {
                    server.no(Some(Code::Unavailable), "the user database is away");
                }
                ServerEvent::Login { .. } => server.refuse(),
                ServerEvent::Ask(question) => server.tell(sasl::answer(&question)),
                ServerEvent::AuthFailed(_) => {}
                ServerEvent::Command(command) => answer(server, command),
                ServerEvent::Idle => server.untagged(Data::Exists(4)),
                ServerEvent::IdleDone => {}
                _ => unreachable!("{seen}"),
            }
            Seen::Event(seen)
        })
    });
}

#[test]
fn imap_talks_over_a_store() {
    // 17-Jul-1996 02:44:25 -0700
    let now = Timestamp::from_unix(837_596_665).at_offset(-420);
    play_all("imap_store", Side::Server, |talk, start| {
        let mut backend = Backend::new(memory::Store::new());
        (Server::new(config(talk), start), move |server: &mut Server, event| {
            let seen = format!("{event:?}");
            match event {
                ServerEvent::Login { .. } => server.accept(),
                ServerEvent::Command(command) => {
                    backend.begin(command, now);
                    while backend.step(server) == Progress::More {}
                }
                ServerEvent::Idle => {
                    let mut progress = backend.look(server);
                    while progress == Progress::More {
                        progress = backend.step(server);
                    }
                }
                _ => {}
            }
            Seen::Event(seen)
        })
    });
}

fn is_known(identity: &Identity, credentials: &Credentials) -> bool {
    match credentials {
        Credentials::Password(password) => identity.name() == "ada" && *password == Secret::from("tanstaaf"),
        // RFC 7628 §4.1
        Credentials::Token(token) => *token == Secret::from("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="),
        Credentials::Proven => true,
        _ => false,
    }
}

fn config(talk: &Talk) -> ServerConfig {
    let mut config = ServerConfig::new("imap.test");
    config.clear_text = true;
    config.auth = Offer::new([Mechanism::Plain]);
    for given in &talk.given {
        if given.split_once(' ').is_some_and(|(what, text)| sasl::given(&mut config.auth, what, text)) {
            continue;
        }
        match given.strip_prefix("config ").expect("a config") {
            "mechanisms" => config.auth = sasl::offer(),
            "tls" => (config.clear_text, config.starttls) = (false, true),
            "short" => {
                config.max_message = 1000;
                config.after_login.line = 200;
                config.after_login.literal = 50;
                config.after_login.literals = 2;
                config.after_login.command = 220;
            }
            "strict" => (config.max_errors, config.max_failures) = (3, 2),
            "children" => config.capabilities = vec!["CHILDREN".into()],
            "patient" => config.login_timeout = Duration::from_secs(100_000),
            "full" => config.max_backlog = 1000,
            other => panic!("{}: no config {other}", talk.name),
        }
    }
    config
}

fn answer(server: &mut Server, command: Command) {
    let one = NonZeroU32::MIN;
    match command {
        Command::Select { mailbox } | Command::Examine { mailbox } if mailbox == "INBOX" => {
            server.untagged(Data::Flags(Flags::from_iter([Flag::Deleted, Flag::Seen])));
            server.untagged(Data::Exists(3));
            server.untagged(Data::Status(Status::Ok, Some(Code::UidValidity(one)), "UIDs are valid".into()));
            server.ok(None, "INBOX is selected");
        }
        Command::Select { .. } | Command::Examine { .. } => server.no(Some(Code::NonExistent), "no such mailbox"),
        Command::Append { .. } => {
            server.ok(Some(Code::AppendUid { validity: one, uid: Uid(one) }), "appended");
        }
        Command::Fetch { by: By::Uid, .. } => server.ok(None, "UID FETCH done"),
        Command::Fetch { messages, items, .. } if messages.to_string() == "1" => {
            let content = match items.first() {
                Some(FetchItem::Peek(..)) => Bytes::from(vec![b'x'; 2000]),
                _ => Bytes::from_static(b"Subject: one\r\n\r\nHello\r\n"),
            };
            let body = FetchData::Body { section: Section::default(), origin: None, content: Some(content) };
            server.untagged(Data::Fetch { number: one, items: vec![body] });
            server.ok(None, "FETCH done");
        }
        Command::Fetch { .. } => server.bad("no such message"),
        Command::Expunge { .. } => {
            server.untagged(Data::Expunge(one));
            server.ok(None, "EXPUNGE done");
        }
        command => server.ok(None, &format!("{} done", command.name())),
    }
}
