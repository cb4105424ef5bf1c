//! The talks of tests/talks/smtp.
//!
//! `GIVEN config NAME` changes the configuration. `ada` may log in with the password `secret`. Addresses that begin with
//! `no-` are refused for good, with `later-` for now, with `gone-` by 421, with `slow-` for good after 10 seconds; with `stop-`
//! the server is told to shut down; a message that says `refuse me` is refused, and with `screen-header` one whose header does.
//! Whatever URL is asked for holds `Subject: x`, an empty line and `fetched`, unless it ends in `secret`.

use std::time::Duration;

use facteur::address::Address;
use facteur::base::{Machine, Secret, Timestamp, Tls};
use facteur::sasl::{Credentials, Mechanism, Offer};
use facteur::smtp::data::BareNewlines;
use facteur::smtp::server::{AuthPolicy, Content, Protocol, ProxyHeader, Server, ServerConfig, ServerEvent, StartTls};
use facteur::smtp::{Enhanced, ForwardPath, Quirks, Reply, ReversePath, Waiting};

use crate::sasl;
use crate::talk::{Seen, Side, Talk, play_all};

#[test]
fn smtp_talks() {
    play_all("smtp", Side::Server, |talk, start| {
        let (config, tls) = scene(talk);
        let protocol = config.protocol;
        let pause = talk.given.iter().any(|given| given.contains("wait-at-connect"));
        let mut put_off = false;
        let mut server = Server::new(config, [192, 0, 2, 1].into(), start);
        // Sunday, 22 November 2026, midnight
        server.set_clock(Timestamp::from_unix(1_795_305_600));
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
                ServerEvent::Discarded(_) | ServerEvent::TurnedAround | ServerEvent::AuthFailed(_) => {
                    return Seen::Event(seen);
                }
                // Nothing else is put off here.
                ServerEvent::Resumed if pause => match server.session().early {
                    true => Some(Reply::new(554, Enhanced(5, 5, 1), "you talk too soon")),
                    false => None,
                },
                ServerEvent::Resumed => Some(Reply::new(550, Enhanced(5, 1, 1), "no such user")),
                ServerEvent::Connect if pause && !put_off => {
                    put_off = true;
                    server.wait(Duration::from_secs(5));
                    return Seen::Event(seen);
                }
                ServerEvent::Rcpt { to: ForwardPath::Address(to), .. } if to.local().starts_with("slow-") => {
                    server.wait(Duration::from_secs(10));
                    return Seen::Event(seen);
                }
                ServerEvent::Burl { url } if !url.ends_with("secret") => {
                    server.fetched(b"Subject: x\r\n\r\nfetched\r\n");
                    return Seen::Event(seen);
                }
                ServerEvent::Burl { .. } => Some(Reply::new(554, Enhanced(5, 7, 0), "URL authorization failed")),
                ServerEvent::Header(header) if header.windows(9).any(|text| text == b"refuse me") => {
                    Some(Reply::new(550, Enhanced(5, 7, 1), "not such a header"))
                }
                ServerEvent::Etrn(Waiting::Queue(_)) => Some(Reply::new(459, Enhanced(4, 5, 0), "no such queue")),
                ServerEvent::Atrn(domains) if domains.iter().any(|domain| domain.to_string() == "other.test") => {
                    Some(Reply::new(450, Enhanced(4, 7, 0), "not yours"))
                }
                ServerEvent::Expn { text, .. } if text == "list" => {
                    Some(Reply::new(250, Enhanced(2, 1, 5), "<ada@b.test>\n<bob@b.test>"))
                }
                ServerEvent::Expn { .. } => verdict("no-"),
                ServerEvent::Ask(question) => {
                    server.tell(sasl::answer(question));
                    return Seen::Event(seen);
                }
                // RFC 7628 §4.1
                ServerEvent::Auth { credentials: Credentials::Token(token), .. } => {
                    let known = *token == Secret::from("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
                    (!known).then(|| Reply::new(535, Enhanced(5, 7, 8), "authentication failed"))
                }
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
                ServerEvent::Connect if !pause && talk_refuses(server) => {
                    Some(Reply::new(554, Enhanced(5, 7, 1), "not you"))
                }
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
        if given.split_once(' ').is_some_and(|(what, text)| sasl::given(&mut config.auth, what, text)) {
            continue;
        }
        let names = given.strip_prefix("config ").unwrap_or_else(|| panic!("no such scene: {given}"));
        for name in names.split(' ') {
            match name {
                "starttls" => config.starttls = StartTls::Offered,
                "starttls-required" => config.starttls = StartTls::Required,
                "tls" => tls = true,
                "auth" => config.auth = Offer::new([Mechanism::Plain, Mechanism::Login]),
                "mechanisms" => config.auth = sasl::offer(),
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
                "no-chunking" => config.chunking = false,
                "binary" => config.binary_mime = true,
                "no-limits" => config.limits = false,
                "limits" => {
                    config.max_messages = Some(2);
                    config.max_recipient_domains = Some(1);
                }
                "deliver-by" => config.deliver_by = Some(240),
                "future-release" => config.future_release = Some(Duration::from_secs(86_400)),
                "priority" => config.priority = Some("MIXER".into()),
                "require-tls" => config.require_tls = true,
                "rrvs" => config.rrvs = true,
                "no-soliciting" => config.no_soliciting = Some(vec!["net.example:ADV".into(), "ADLT".into()]),
                "conversion" => (config.conperm, config.conneg) = (true, true),
                "submitter" => config.submitter = true,
                "burl" => config.burl = Some("imap".into()),
                "etrn" => config.etrn = true,
                "atrn" => config.atrn = true,
                "proxy" => config.proxy = ProxyHeader::Required,
                "xclient" => config.xclient = true,
                "xforward" => config.xforward = true,
                "trusted" => config.trusted = vec!["192.0.2.0/24".parse().unwrap()],
                "greet-pause" => config.greet_pause = Some(Duration::from_secs(5)),
                "wait-at-connect" => config.screen.connect = true,
                "screen-header" => config.screen.header = true,
                "screen-expn" => config.screen.expn = true,
                _ => panic!("no such configuration: {name}"),
            }
        }
    }
    (config, tls)
}
