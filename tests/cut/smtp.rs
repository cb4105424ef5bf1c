//! The talks of tests/talks/smtp.
//!
//! `GIVEN config NAME` changes the configuration. `ada` may log in with the password `secret`. Addresses that begin with
//! `no-` are refused for good, with `later-` for now, with `gone-` by 421; with `stop-` the server is told to shut down; a
//! message that says `refuse me` is refused.

use std::time::Duration;

use facteur::address::Address;
use facteur::base::{Machine, Secret, Tls};
use facteur::sasl::{Credentials, Mechanism};
use facteur::smtp::data::BareNewlines;
use facteur::smtp::server::{AuthPolicy, Content, Protocol, Server, ServerConfig, ServerEvent, StartTls};
use facteur::smtp::{Enhanced, ForwardPath, Quirks, Reply, ReversePath};

use crate::talk::{Seen, Side, Talk, play_all};

#[test]
fn smtp_talks() {
    play_all("smtp", Side::Server, |talk, start| {
        let (config, tls) = scene(talk);
        let protocol = config.protocol;
        let mut server = Server::new(config, [192, 0, 2, 1].into(), start);
        if tls {
            server.tls_started(Tls::default());
        }
        (server, move |server: &mut Server, event| {
            let seen = format!("{event:?}");
            let verdict = |local: &str| match local {
                _ if local.starts_with("no-") => Some(Reply::new(550, Enhanced(5, 1, 1), "no such user")),
                _ if local.starts_with("later-") => Some(Reply::new(451, Enhanced(4, 7, 1), "try again")),
                _ if local.starts_with("gone-") => Some(Reply::new(421, Enhanced(4, 3, 0), "enough")),
                _ => None,
            };
            if seen.contains("local: \"stop-") {
                server.shutdown();
            }
            let refusal = match &event {
                ServerEvent::Chunk(octets) => return Seen::Data(octets.to_vec()),
                ServerEvent::Discarded(_) => return Seen::Event(seen),
                ServerEvent::Hello(hello) => verdict(&hello.name.as_ref().map(ToString::to_string).unwrap_or_default()),
                ServerEvent::Auth { identity, credentials: Credentials::Password(password) } => {
                    let known = identity.authcid == "ada" && *password == Secret::from("secret");
                    (!known).then(|| Reply::new(535, Enhanced(5, 7, 8), "authentication failed"))
                }
                ServerEvent::Mail { from: ReversePath::Address(from), .. } => verdict(from.local()),
                ServerEvent::Rcpt { to: ForwardPath::Address(to), .. } => verdict(to.local()),
                ServerEvent::Vrfy { text, .. } => match text.parse::<Address>() {
                    Ok(_) => Some(Reply::new(250, Enhanced(2, 1, 5), format!("<{text}>"))),
                    Err(_) => verdict("no-"),
                },
                ServerEvent::Message(mail) if protocol == Protocol::Lmtp && mail.envelope.recipients.len() > 1 => {
                    let mut replies = vec![Reply::new(250, Enhanced(2, 0, 0), "OK")];
                    replies.resize(mail.envelope.recipients.len(), Reply::new(452, Enhanced(4, 2, 2), "mailbox full"));
                    server.reply_each(replies);
                    return Seen::Event(seen);
                }
                ServerEvent::Message(mail) if mail.content.windows(9).any(|text| text == b"refuse me") => {
                    Some(Reply::new(554, Enhanced(5, 7, 1), "as you wish"))
                }
                ServerEvent::Connect if talk_refuses(server) => Some(Reply::new(554, Enhanced(5, 7, 1), "not you")),
                _ => None,
            };
            match refusal {
                Some(reply) => server.reply(reply),
                None => server.accept(),
            }
            Seen::Event(seen)
        })
    });
}

/// A client of this address is refused at connect.
fn talk_refuses(server: &Server) -> bool {
    server.session().peer.is_ipv4()
}

/// The configuration, and whether the connection begins with TLS.
fn scene(talk: &Talk) -> (ServerConfig, bool) {
    let mut config = ServerConfig::new("mx.test").unwrap();
    let mut tls = false;
    for given in &talk.given {
        let names = given.strip_prefix("config ").unwrap_or_else(|| panic!("no such scene: {given}"));
        for name in names.split(' ') {
            match name {
                "starttls" => config.starttls = StartTls::Offered,
                "starttls-required" => config.starttls = StartTls::Required,
                "tls" => tls = true,
                "auth" => config.auth = vec![Mechanism::Plain, Mechanism::Login],
                "auth-in-the-clear" => config.auth_policy = AuthPolicy::Anywhere,
                "submission" => config.require_auth = true,
                "lmtp" => config.protocol = Protocol::Lmtp,
                "stream" => config.content = Content::Stream,
                "small" => config.max_size = Some(20),
                "short-lines" => config.max_text_line = Some(20),
                "short-commands" => config.max_command_line = 40,
                "normalise" => config.bare_newlines = BareNewlines::Normalise,
                "dsn" => config.dsn = true,
                "ascii" => config.smtputf8 = false,
                "common-quirks" => config.quirks = Quirks::common(),
                "bare-lf" => config.quirks.bare_lf = true,
                "helo-without-name" => config.quirks.helo_without_name = true,
                "screen-connect" => config.screen.connect = true,
                "screen-hello" => config.screen.hello = true,
                "screen-data" => config.screen.data = true,
                "screen-vrfy" => config.screen.vrfy = true,
                "two-recipients" => config.max_recipients = 2,
                "three-errors" => config.max_errors = 3,
                "five-commands" => config.max_commands = 5,
                "short-message-time" => config.message_timeout = Some(Duration::from_secs(400)),
                "small-backlog" => config.max_backlog = 32,
                _ => panic!("no such configuration: {name}"),
            }
        }
    }
    (config, tls)
}
