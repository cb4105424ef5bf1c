//! The sample connection of RFC 3501 §8, and the examples of the extensions that the machine speaks by itself. What a program
//! says is written as the RFC has it; greeting, login and logout are in the machine's own words.

use std::num::NonZeroU32;
use std::time::Instant;

use facteur::base::{Machine, Step, Timestamp};
use facteur::imap::fetch::{FetchItem, Section, SectionText};
use facteur::imap::{Code, Command, Data, FetchData, Server, ServerConfig, ServerEvent, Status};
use facteur::sasl::{Mechanism, Offer};
use facteur::store::{Flag, Flags};

const LOGGED_IN: &str = "OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT] logged in";

struct Session(Server);

impl Session {
    fn begin() -> Self {
        let mut config = ServerConfig::new("imap.test");
        config.clear_text = true;
        config.auth = Offer::new([Mechanism::Plain]);
        let mut session = Self(Server::new(config, Instant::now()));
        session.say("", &["* OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE SASL-IR AUTH=PLAIN] imap.test is ready"]);
        session
    }

    /// Sends this, and must get these lines.
    #[track_caller]
    fn say(&mut self, sent: &str, lines: &[&str]) {
        self.0.wire().feed(sent.as_bytes());
        let mut output = Vec::new();
        while let Step::Event(event) = self.0.poll().unwrap() {
            answer(&mut self.0, event);
        }
        let wire = self.0.wire();
        while !wire.outgoing().is_empty() {
            output.extend_from_slice(wire.outgoing());
            let n = wire.outgoing().len();
            wire.sent(n);
        }
        let expected: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        assert_eq!(String::from_utf8(output).unwrap(), expected, "to {sent}");
    }
}

fn number(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn answer(server: &mut Server, event: ServerEvent) {
    let seen = Flags::from_iter([Flag::Seen]);
    let command = match event {
        ServerEvent::Login { .. } => return server.accept(),
        ServerEvent::Idle => return server.untagged(Data::Exists(4)),
        ServerEvent::Command(command) => command,
        _ => return,
    };
    match command {
        Command::Select { mailbox } => {
            assert_eq!(mailbox, "INBOX");
            let all = [Flag::Answered, Flag::Flagged, Flag::Deleted, Flag::Seen, Flag::Draft];
            for data in [
                Data::Exists(18),
                Data::Flags(Flags::from_iter(all)),
                Data::Recent(2),
                Data::Status(
                    Status::Ok,
                    Some(Code::Unseen(number(17))),
                    "Message 17 is the first unseen message".into(),
                ),
                Data::Status(Status::Ok, Some(Code::UidValidity(number(3_857_529_045))), "UIDs valid".into()),
            ] {
                server.untagged(data);
            }
            server.ok(None, "SELECT completed");
        }
        Command::Fetch { messages, items, .. } if items == FetchItem::FULL => {
            assert_eq!(messages.to_string(), "12");
            let items = vec![
                FetchData::Flags { flags: seen, recent: false },
                FetchData::InternalDate(Timestamp::parse_imap(b"17-Jul-1996 02:44:25 -0700").unwrap()),
                FetchData::Rfc822Size(4286),
                FetchData::Envelope("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)".into()),
                FetchData::BodyOnly(r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92)"#.into()),
            ];
            server.untagged(Data::Fetch { number: number(12), items });
            server.ok(None, "FETCH completed");
        }
        Command::Fetch { items, .. } => {
            let section = Section { part: Vec::new(), text: SectionText::Header };
            assert_eq!(items, [FetchItem::Section(section.clone(), None)]);
            let content = Some("MIME-Version: 1.0\r\n\r\n".into());
            let items = vec![FetchData::Body { section, origin: None, content }];
            server.untagged(Data::Fetch { number: number(12), items });
            server.ok(None, "FETCH completed");
        }
        Command::Store { action, .. } => {
            let items =
                vec![FetchData::Flags { flags: action.flags.iter().chain(&seen).cloned().collect(), recent: false }];
            server.untagged(Data::Fetch { number: number(12), items });
            server.ok(None, "+FLAGS completed");
        }
        command => server.ok(None, &format!("{} completed", command.name())),
    }
}

#[test]
fn the_sample_connection_of_section_8() {
    let mut session = Session::begin();
    session.say("a001 login mrc secret\r\n", &[&format!("a001 {LOGGED_IN}")]);
    session.say(
        "a002 select inbox\r\n",
        &[
            "* 18 EXISTS",
            // The flags have a fixed order here.
            r"* FLAGS (\Answered \Deleted \Draft \Flagged \Seen)",
            "* 2 RECENT",
            "* OK [UNSEEN 17] Message 17 is the first unseen message",
            "* OK [UIDVALIDITY 3857529045] UIDs valid",
            "a002 OK [READ-WRITE] SELECT completed",
        ],
    );
    session.say(
        "a003 fetch 12 full\r\n",
        &[
            concat!(
                r#"* 12 FETCH (FLAGS (\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286 "#,
                r#"ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "#,
                r#"BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92))"#
            ),
            "a003 OK FETCH completed",
        ],
    );
    session.say(
        "a004 fetch 12 body[header]\r\n",
        &["* 12 FETCH (BODY[HEADER] {21}", "MIME-Version: 1.0", "", ")", "a004 OK FETCH completed"],
    );
    session.say(
        "a005 store 12 +flags \\deleted\r\n",
        &[r"* 12 FETCH (FLAGS (\Deleted \Seen))", "a005 OK +FLAGS completed"],
    );
    session.say("a006 logout\r\n", &["* BYE until next time", "a006 OK logged out"]);
    assert!(session.0.is_over());
}

#[test]
fn the_examples_of_literals_say_the_same_in_each_form() {
    // RFC 3501 §7.5 and RFC 7888 §3
    for (sent, leave) in [
        ("A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n", 2),
        ("A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n", 0),
        ("A001 LOGIN \"FRED FOOBAR\" \"fat man\"\r\n", 0),
    ] {
        let logged_in = format!("A001 {LOGGED_IN}");
        let mut lines = vec!["+ send it"; leave];
        lines.push(&logged_in);
        Session::begin().say(sent, &lines);
    }
}

#[test]
fn the_examples_of_rfc_4959() {
    let logged_in = format!("A01 {LOGGED_IN}");
    Session::begin().say("A01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=\r\n", &[&logged_in]);
    Session::begin().say("A01 AUTHENTICATE PLAIN\r\ndGVzdAB0ZXN0AHRlc3Q=\r\n", &["+ ", &logged_in]);
}

#[test]
fn the_examples_of_rfc_2177_and_5161() {
    let mut session = Session::begin();
    session.say("a LOGIN x y\r\n", &[&format!("a {LOGGED_IN}")]);
    session.say("A002 IDLE\r\n", &["+ idling", "* 4 EXISTS"]);
    session.say("DONE\r\n", &["A002 OK no longer idle"]);
    // RFC 5161 §3.1: "t2 ENABLE CONDSTORE X-GOOD-IDEA", where neither is known.
    session.say("t2 ENABLE CONDSTORE X-GOOD-IDEA\r\n", &["* ENABLED", "t2 OK nothing enabled"]);
}

/// Each is loud, and ends the conversation with BYE.
#[test]
fn misuse_is_an_error_and_not_a_broken_protocol() {
    fn after(sent: &str, wrong: fn(&mut Server)) -> (String, String) {
        let mut session = Session::begin();
        session.say(
            "a LOGIN x y\r\nb SELECT inbox\r\n",
            &[
                &format!("a {LOGGED_IN}"),
                "* 18 EXISTS",
                r"* FLAGS (\Answered \Deleted \Draft \Flagged \Seen)",
                "* 2 RECENT",
                "* OK [UNSEEN 17] Message 17 is the first unseen message",
                "* OK [UIDVALIDITY 3857529045] UIDs valid",
                "b OK [READ-WRITE] SELECT completed",
            ],
        );
        let server = &mut session.0;
        server.wire().feed(sent.as_bytes());
        let _ = server.poll().unwrap();
        wrong(server);
        let error = server.poll().unwrap_err().to_string();
        (error, String::from_utf8(server.wire().outgoing().to_vec()).unwrap())
    }
    let bye = "* BYE internal error\r\n".to_owned();
    /// What is sent, what the application does wrong, and what the machine says of it.
    type Case = (&'static str, fn(&mut Server), &'static str);
    let cases: [Case; 5] = [
        ("c NOOP\r\n", |server| server.accept(), "misuse: accept answers a login only"),
        ("c NOOP\r\n", |server| server.refuse(), "misuse: refuse answers a login only"),
        ("", |server| server.ok(None, "done"), "misuse: an answer without a question"),
        // RFC 9051 §7.5.1
        (
            "c FETCH 1 FLAGS\r\n",
            |server| server.untagged(Data::Expunge(NonZeroU32::MIN)),
            "misuse: an expunge where sequence numbers must stay still",
        ),
        (
            "",
            |server| server.untagged(Data::Expunge(NonZeroU32::MIN)),
            "misuse: an expunge where sequence numbers must stay still",
        ),
    ];
    for (sent, wrong, error) in cases {
        assert_eq!(after(sent, wrong), (error.to_owned(), bye.clone()), "{sent}");
    }
}

#[test]
fn a_server_that_goes_down_lets_the_command_end() {
    let mut session = Session::begin();
    session.say("a LOGIN x y\r\n", &[&format!("a {LOGGED_IN}")]);
    let server = &mut session.0;
    server.wire().feed(b"b NOOP\r\n");
    assert!(matches!(server.poll(), Ok(Step::Event(ServerEvent::Command(Command::Noop)))));
    server.shutdown();
    assert!(matches!(server.poll(), Ok(Step::NeedAnswer)));
    server.ok(None, "done");
    assert!(matches!(server.poll(), Ok(Step::Done)));
    session.say("", &["b OK done", "* BYE the server is going down"]);
    // An answer that comes too late is no misuse.
    session.0.ok(None, "late");
    assert!(matches!(session.0.poll(), Ok(Step::Done)));
}
