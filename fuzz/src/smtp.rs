//! SMTP: the codecs, the readers of DATA and BDAT, the writer of DATA, and the server; and the PROXY protocol before it.

use std::time::{Duration, Instant};

use facteur::base::proxy::Proxied;
use facteur::base::{Machine, Step, Timestamp, Tls, Wire};
use facteur::smtp::data::{BareNewlines, Chunk, Data, DataFault, DataReader, DataWriter};
use facteur::smtp::server::{AuthPolicy, Content, Protocol, ProxyHeader, Server, ServerConfig, ServerEvent, StartTls};
use facteur::smtp::{Command, Enhanced, Extensions, Quirks, Reply, ReplyReader};

/// What reads as a command, strictly or with every quirk, is written as one line that reads strictly as the same.
pub fn command(input: &[u8]) {
    let strict = Quirks::default();
    let mut lenient = Quirks::common();
    lenient.helo_without_name = true;
    let read = Command::parse(input, &strict);
    let leniently = Command::parse(input, &lenient);
    if read.is_ok() {
        assert_eq!(read, leniently, "a quirk changes nothing that is well-formed");
    }
    match leniently {
        Ok(command) => {
            let mut line = String::new();
            command.write(&mut line).expect("a string takes all");
            let text = line.strip_suffix("\r\n").expect("a line");
            assert!(!text.contains(|character: char| character.is_ascii_control()), "{text:?}");
            assert_eq!(Command::parse(text.as_bytes(), &lenient).as_ref(), Ok(&command));
            // A path behind which two spaces stand is not read as plain ones are.
            if matches!(command, Command::Mail { .. } | Command::Rcpt { .. }) && !text.contains('"') {
                let longer = text.replacen("> ", ">  ", 1);
                assert_eq!(Command::parse(longer.as_bytes(), &lenient).as_ref(), Ok(&command));
            }
            if command != Command::Helo(None) {
                assert_eq!(Command::parse(text.as_bytes(), &strict), Ok(command));
            }
        }
        Err(error) => assert!(matches!(error.reply().code(), 500 | 501 | 555)),
    }
}

/// What reads as a reply is written so that it reads as the same; the reader says the same however its input is cut, and
/// keeps no more than its limits.
pub fn reply(input: &[u8]) {
    if let Ok(reply) = Reply::parse(input) {
        let text = written(&reply);
        assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 512));
        let again = Reply::parse(text.as_bytes()).expect("what was written reads");
        assert_eq!(written(&again), text);
        let extensions = Extensions::parse(&reply);
        if !reply.lines().any(|line| line.contains(|character: char| character.is_ascii_control())) {
            assert_eq!(Extensions::parse(&extensions.reply("mx.test")), extensions);
        }
    }
    let read = |cut: usize| {
        let (mut reader, mut wire) = (ReplyReader::default(), Wire::new());
        reader.max_line = 64;
        reader.max_reply = 256;
        let mut replies = Vec::new();
        for piece in input.chunks(cut) {
            wire.feed(piece);
            loop {
                match reader.read(&mut wire) {
                    Ok(Some(reply)) => replies.push(written(&reply)),
                    Ok(None) => break,
                    Err(_) => return (replies, true),
                }
            }
            assert!(wire.unread().len() < 64);
        }
        (replies, false)
    };
    let whole = read(input.len().max(1));
    assert_eq!(read(1), whole);
    assert_eq!(read(7), whole);
}

fn written(reply: &Reply) -> String {
    let mut text = String::new();
    reply.write(&mut text).expect("a string takes all");
    text
}

/// The first octet chooses limits. The reader finds the same however its input is cut, and the same as a reader of single
/// octets written down as the rules are; what the writer writes, the reader takes back, with its newlines mended.
pub fn data(input: &[u8]) {
    let [mode, input @ ..] = input else { return };
    let mut reader = DataReader::default();
    reader.bare_newlines = if mode & 1 == 0 { BareNewlines::Refuse } else { BareNewlines::Normalise };
    reader.max_size = (mode & 2 != 0).then_some(u64::from(mode >> 4) * 8);
    reader.max_line = (mode & 4 != 0).then_some(u64::from(mode >> 4) * 4);
    let whole = read(&reader, input, input.len().max(1));
    assert_eq!(keep(&reader, input, input.len().max(1)), whole);
    for cut in [1, 2, 3, 63, 64, 65] {
        assert_eq!(read(&reader, input, cut), whole);
        assert_eq!(keep(&reader, input, cut), whole);
    }
    if mode & 6 == 0 {
        assert_eq!(whole, slowly(input, reader.bare_newlines));
    }
    let write = |cut: usize| {
        let (mut writer, mut wire, mut sent) = (DataWriter::default(), Wire::new(), Vec::new());
        for piece in input.chunks(cut) {
            writer.write(&piece.to_vec().into(), &mut wire);
        }
        writer.finish(&mut wire);
        drain(&mut wire, &mut sent);
        sent
    };
    let sent = write(input.len().max(1));
    assert_eq!(write(1), sent);
    assert_eq!(write(5), sent);
    let (text, fault, left) = read(&DataReader::default(), &sent, 11).expect("an end");
    assert_eq!((fault, left.len()), (None, 0));
    assert_eq!(text, mended(input));
}

/// The first octet chooses how newlines are treated, the second how many chunks there are, each of the next so many how long one
/// is; the rest is the text. The reader finds the same however its input is cut and wherever its chunks end.
pub fn bdat(input: &[u8]) {
    let [mode, count, input @ ..] = input else { return };
    let (sizes, text) = input.split_at(usize::from(count % 8).min(input.len()));
    let mut reader = DataReader::default();
    reader.bare_newlines = if mode & 1 == 0 { BareNewlines::Refuse } else { BareNewlines::Normalise };
    reader.binary = mode & 2 != 0;
    reader.max_size = (mode & 4 != 0).then_some(u64::from(mode >> 4) * 8);
    reader.max_line = (mode & 8 != 0).then_some(u64::from(mode >> 4) * 4);
    let mut chunks = Vec::new();
    let mut rest = text;
    for size in sizes {
        let (chunk, more) = rest.split_at(usize::from(*size).min(rest.len()));
        chunks.push(chunk);
        rest = more;
    }
    chunks.push(rest);
    let whole = read_chunks(&reader, &[text], text.len().max(1));
    for cut in [1, 2, 64, text.len().max(1)] {
        assert_eq!(read_chunks(&reader, &chunks, cut), whole);
    }
    if mode & 12 != 0 {
        return;
    }
    let bare = |at: usize| match text.get(at) {
        Some(b'\r') => text.get(at + 1) != Some(&b'\n'),
        Some(b'\n') => at.checked_sub(1).and_then(|before| text.get(before)) != Some(&b'\r'),
        _ => false,
    };
    let first = (0..text.len()).find(|at| bare(*at)).filter(|_| mode & 2 == 0);
    match first {
        Some(at) if mode & 1 == 0 => assert_eq!(whole, (text[..at].to_vec(), Some(DataFault::BareNewline))),
        _ if mode & 2 != 0 => assert_eq!(whole, (text.to_vec(), None)),
        _ => {
            let ended = text.is_empty() || text.ends_with(b"\n") || text.ends_with(b"\r");
            let mended = mended(text);
            let mended = if ended { &mended[..] } else { &mended[..mended.len() - 2] };
            assert_eq!(whole, (mended.to_vec(), None));
        }
    }
}

/// What is read, which is also what is kept.
fn read_chunks(reader: &DataReader, chunks: &[&[u8]], cut: usize) -> (Vec<u8>, Option<DataFault>) {
    let (mut reader, mut wire, mut text) = (reader.clone(), Wire::new(), Vec::new());
    let (mut keeper, mut kept) = (reader.clone(), Wire::new());
    let input = chunks.concat();
    let mut pieces = input.chunks(cut);
    for (number, octets) in chunks.iter().enumerate() {
        let mut chunk = Chunk { left: octets.len() as u64, last: number + 1 == chunks.len() };
        let mut same = chunk;
        loop {
            match reader.read_chunk(&mut chunk, &mut wire) {
                Data::Chunk(octets) => text.extend_from_slice(octets),
                Data::End => break,
                Data::NeedInput => {
                    assert!(!keeper.keep_chunk(&mut same, &mut kept));
                    assert!(wire.unread().len() <= 1, "no more than an undecided CR is left lying");
                    let piece = pieces.next().expect("more");
                    wire.feed(piece);
                    kept.feed(piece);
                }
            }
        }
        assert!(keeper.keep_chunk(&mut same, &mut kept));
        assert_eq!((chunk.left, same.left), (0, 0));
    }
    assert_eq!((kept.kept(), keeper.fault()), (&text[..], reader.fault()));
    (text, reader.fault())
}

/// A header of a proxy is found at the same octet however the input is cut, reads as what it was written from, and nothing
/// behind it is touched.
pub fn proxy(input: &[u8]) {
    let read = |cut: usize| {
        let mut wire = Wire::new();
        for piece in input.chunks(cut) {
            wire.feed(piece);
            match Proxied::read(&mut wire, 536) {
                Ok(None) => assert!(wire.unread().len() < 536 + cut),
                Ok(Some(proxied)) => return Ok(Some(proxied)),
                Err(_) => return Err(()),
            }
        }
        Ok(None)
    };
    let whole = read(input.len().max(1));
    assert_eq!(read(1), whole);
    assert_eq!(read(3), whole);
    let Ok(Some(proxied)) = whole else { return };
    for mut written in [proxied.write_v1().into_bytes(), proxied.write_v2()] {
        written.extend_from_slice(b"EHLO");
        let mut wire = Wire::new();
        wire.feed(&written);
        let again = Proxied::read(&mut wire, 536).expect("what was written reads").expect("whole");
        // A proxy that speaks for two families at once cannot be written.
        let one_family =
            |source: std::net::SocketAddr, other: std::net::SocketAddr| source.is_ipv4() == other.is_ipv4();
        let expected = match proxied {
            Proxied::For { source, destination } if !one_family(source, destination) => Proxied::Local,
            other => other,
        };
        assert_eq!(again, expected);
        assert_eq!(wire.unread(), b"EHLO");
    }
}

type Message = (Vec<u8>, Option<DataFault>, Vec<u8>);

fn read(reader: &DataReader, input: &[u8], cut: usize) -> Option<Message> {
    let mut reader = reader.clone();
    let (mut wire, mut text, mut pieces) = (Wire::new(), Vec::new(), input.chunks(cut));
    loop {
        match reader.read(&mut wire) {
            Data::Chunk(chunk) => text.extend_from_slice(chunk),
            Data::End => {
                return Some((text, reader.fault(), [wire.unread(), &pieces.collect::<Vec<_>>().concat()].concat()));
            }
            Data::NeedInput => {
                // Never more than an undecided dot and CR is left lying.
                assert!(wire.unread().len() <= 2);
                wire.feed(pieces.next()?);
            }
        }
    }
}

/// As [`read`], with the text kept in the wire.
fn keep(reader: &DataReader, input: &[u8], cut: usize) -> Option<Message> {
    let (mut reader, mut wire, mut pieces) = (reader.clone(), Wire::new(), input.chunks(cut));
    while !reader.keep(&mut wire) {
        assert!(wire.unread().len() <= 2);
        wire.feed(pieces.next()?);
    }
    let text = wire.take_kept().to_vec();
    Some((text, reader.fault(), [wire.unread(), &pieces.collect::<Vec<_>>().concat()].concat()))
}

/// The rules of DATA, one line (ended by CRLF, and nothing else) at a time.
fn slowly(input: &[u8], bare: BareNewlines) -> Option<Message> {
    let (mut text, mut fault, mut rest) = (Vec::new(), None, input);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")? + 2;
        let (line, after) = rest.split_at(end);
        rest = after;
        if line == b".\r\n" {
            return Some((text, fault, rest.to_vec()));
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        for octet in &line[..line.len() - 2] {
            match octet {
                b'\r' | b'\n' if bare == BareNewlines::Refuse => fault = Some(DataFault::BareNewline),
                b'\r' | b'\n' => text.extend_from_slice(b"\r\n"),
                _ if fault.is_none() => text.push(*octet),
                _ => {}
            }
        }
        if fault.is_none() {
            text.extend_from_slice(b"\r\n");
        }
    }
}

/// Each CR, LF and CRLF as CRLF, and one at the end.
fn mended(input: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::new(), input);
    while let [octet, after @ ..] = rest {
        rest = after;
        match octet {
            b'\r' => {
                text.extend_from_slice(b"\r\n");
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            b'\n' => text.extend_from_slice(b"\r\n"),
            _ => text.push(*octet),
        }
    }
    if !text.is_empty() && !text.ends_with(b"\r\n") {
        text.extend_from_slice(b"\r\n");
    }
    text
}

fn drain(wire: &mut Wire, output: &mut Vec<u8>) {
    while !wire.outgoing().is_empty() {
        let n = wire.outgoing().len();
        output.extend_from_slice(wire.outgoing());
        wire.sent(n);
    }
}

/// The first two octets choose the configuration and how the application answers; the rest is what the client sends. Whole
/// and cut, the server reports the same and says the same, and keeps no more than its limits.
pub fn server(input: &[u8]) {
    let [mode, answers, input @ ..] = input else { return };
    let whole = play(*mode, *answers, input, input.len().max(1));
    assert_eq!(play(*mode, *answers, input, 1), whole);
    assert_eq!(play(*mode, *answers, input, usize::from(*answers % 37) + 2), whole);
}

fn play(mode: u8, answers: u8, input: &[u8], cut: usize) -> (Vec<String>, Vec<u8>) {
    let mut config = ServerConfig::new("mx.test").expect("a name");
    config.protocol = if mode & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp };
    config.content = if mode & 2 == 0 { Content::Collect { at_most: 512 } } else { Content::Stream };
    config.starttls = if mode & 4 == 0 { StartTls::Off } else { StartTls::Offered };
    config.auth = super::sasl::offer();
    config.auth_policy = AuthPolicy::Anywhere;
    config.require_auth = mode & 8 != 0;
    config.bare_newlines = if mode & 16 == 0 { BareNewlines::Refuse } else { BareNewlines::Normalise };
    config.quirks = if mode & 32 == 0 { Quirks::default() } else { Quirks::common() };
    config.dsn = mode & 64 != 0;
    config.screen.connect = mode & 128 != 0;
    config.screen.hello = mode & 128 != 0;
    config.screen.data = mode & 128 != 0;
    config.screen.vrfy = mode & 128 != 0;
    if answers & 16 != 0 {
        config.binary_mime = true;
        config.deliver_by = Some(60);
        config.future_release = Some(Duration::from_secs(3600));
        config.priority = Some("MIXER".into());
        config.require_tls = true;
        config.rrvs = true;
        config.no_soliciting = Some(vec!["net.example:ADV".into()]);
        (config.conperm, config.conneg, config.submitter) = (true, true, true);
        config.burl = Some("imap".into());
        (config.etrn, config.atrn, config.xclient, config.xforward) = (true, true, true, true);
        config.trusted = vec!["192.0.2.0/24".parse().expect("a network")];
        config.max_messages = Some(5);
        config.max_recipient_domains = Some(2);
    }
    config.screen.header = answers & 32 != 0;
    config.screen.expn = answers & 32 != 0;
    config.chunking = answers & 64 == 0;
    if answers & 144 == 144 {
        config.proxy = ProxyHeader::Required;
    }
    config.max_backlog = 256;
    config.max_text_line = Some(200);
    config.max_recipients = 3;
    let start = Instant::now();
    let mut server = Server::new(config, [192, 0, 2, 1].into(), start);
    server.set_clock(Timestamp::from_unix(1_795_305_600));
    let (mut events, mut output, mut streamed) = (Vec::new(), Vec::new(), Vec::new());
    let mut asked = u32::from(answers);
    let mut in_message = false;
    for (number, piece) in input.chunks(cut).enumerate() {
        server.wire().feed(piece);
        server.tick(start + Duration::from_micros(number as u64)); // under a second, which replies would tell
        loop {
            let step = server.poll();
            // The backlog at its bound takes the replies of one more command: one per recipient, or an EHLO's.
            assert!(server.wire().backlog() <= 256 + 2048);
            let took = server.wire().backlog() > 0;
            drain(server.wire(), &mut output);
            match step {
                Ok(Step::NeedInput) if took => {}
                Ok(Step::NeedInput) => {
                    assert!(server.wire().unread().len() <= 12_288);
                    assert!(server.deadline().is_some());
                    break;
                }
                Ok(Step::Event(ServerEvent::Chunk(chunk))) => {
                    assert!(in_message);
                    streamed.extend_from_slice(&chunk);
                }
                Ok(Step::Event(event)) => {
                    if !streamed.is_empty() {
                        events.push(std::mem::take(&mut streamed).escape_ascii().to_string());
                    }
                    events.push(format!("{event:?}"));
                    in_message |= matches!(event, ServerEvent::Rcpt { .. });
                    if let ServerEvent::Message(mail) = &event {
                        assert!(!mail.envelope.recipients.is_empty() && mail.envelope.recipients.len() <= 3);
                        assert!(mail.content.len() <= 512);
                    }
                    match &event {
                        ServerEvent::Discarded(_) | ServerEvent::TurnedAround | ServerEvent::AuthFailed(_) => continue,
                        ServerEvent::Burl { .. } => {
                            server.fetched(b"Subject: x\r\n\r\n.fetched\r\n");
                            continue;
                        }
                        ServerEvent::Ask(question) => {
                            server.tell(super::sasl::answer(question));
                            continue;
                        }
                        _ => {}
                    }
                    // The answers follow from a seed, so that they are the same in each cut.
                    asked = asked.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    match asked >> 24 {
                        0..8 if answers & 1 != 0 => server.reply(Reply::new(451, Enhanced(4, 7, 1), "later")),
                        8..16 if answers & 1 != 0 => server.reply(Reply::new(550, Enhanced(5, 7, 1), "never")),
                        16..20 if answers & 3 == 3 => server.reply(Reply::new(421, Enhanced(4, 3, 0), "bye")),
                        20..40 if answers & 4 != 0 => server.reply(Reply::new(250, None, "yes\r\nand more")),
                        40..42 if answers & 8 != 0 => {
                            server.shutdown();
                            server.accept();
                        }
                        // Time does not go by alike in all cuts, so that a wait has to be none.
                        42..60 if answers & 2 != 0 && !matches!(event, ServerEvent::Resumed) => {
                            server.wait(Duration::ZERO);
                        }
                        _ => server.accept(),
                    }
                }
                // The handshake takes until more comes, which is then too early.
                Ok(Step::StartTls) => break,
                Ok(Step::NeedAnswer) => panic!("all questions are answered"),
                Ok(Step::Done) => return (events, output),
                Err(error) => {
                    assert_eq!(server.poll().expect_err("sticky"), error);
                    events.push(error.to_string());
                    return (events, output);
                }
            }
        }
    }
    if !streamed.is_empty() {
        events.push(streamed.escape_ascii().to_string());
    }
    server.tls_started(Tls::default());
    server.tls_started(Tls::default());
    let _ = server.poll();
    server.wire().close();
    server.tick(start + Duration::from_secs(1_000_000));
    let end = server.poll();
    // Without input the first question may be open still.
    assert!(matches!(end, Err(_) | Ok(Step::Event(_) | Step::NeedAnswer)), "{end:?}");
    (events, output)
}
