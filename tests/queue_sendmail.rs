//! The queue files of sendmail 8.17, from the suite `queue-sendmail-8.17`: every line is read, says what the input of the
//! case said, and is written back to the octet; listings equal sendmail's, the directory and the order aside.
#![cfg(unix)]

mod suites;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use facteur::address::Address;
use facteur::smtp::{Body, ForwardPath, Notify, Ret, ReversePath};
use facteur::spool::content::{Form, Splitter};
use facteur::spool::mailq::{Listed, Mailq};
use facteur::spool::qf::{ControlFile, ControlRecipient};
use facteur::spool::{Claim, Queue, QueueConfig, QueueId, Spool};

const SUITE: &str = "queue-sendmail-8.17";

/// The letters that sendmail writes.
const LETTERS: &[u8] = b"VTKNPIBMF$qSZA!CQrRHd";

#[test]
fn queue_files_of_sendmail() {
    let Some(root) = suite() else {
        println!("conformance {SUITE}: skipped, not there");
        return;
    };
    let mut cases: Vec<_> =
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    let mut failed = Vec::new();
    for case in &cases {
        if let Err(why) = check(case) {
            failed.push(format!("{}: {why}", case.file_name().unwrap().to_string_lossy()));
        }
    }
    println!("conformance {SUITE} {}/{}", cases.len() - failed.len(), cases.len());
    assert!(!cases.is_empty(), "the suite has cases");
    assert!(failed.is_empty(), "{failed:#?}");
}

fn suite() -> Option<PathBuf> {
    suites::find(SUITE)
}

/// A queue entry of a case.
struct Stored {
    kind: u8,
    id: QueueId,
    control: ControlFile,
    data: Vec<u8>,
}

/// What the input of a case asked for.
#[derive(Debug, Default)]
struct Asked {
    sender: Option<String>,
    recipients: Vec<AskedRecipient>,
    protocol: Option<&'static str>,
    helo: Option<String>,
    ret: Option<Ret>,
    envid: Option<String>,
    body: Option<Body>,
    auth: Option<String>,
    by: Option<i64>,
    content: Vec<u8>,
}

#[derive(Debug)]
struct AskedRecipient {
    address: String,
    notify: Option<Notify>,
    orcpt: Option<String>,
}

fn check(case: &Path) -> Result<(), String> {
    let stored = stored(case)?;
    in_our_hands(case, &stored)?;
    for name in ["mailq.txt", "mailq_v.txt"] {
        if let Ok(listing) = std::fs::read_to_string(case.join(name)) {
            check_listing(&listing, name == "mailq_v.txt", &stored)?;
        }
    }
    let asked = if let Ok(input) = std::fs::read(case.join("input.smtp")) {
        from_smtp(&input)
    } else if let Ok(argv) = std::fs::read(case.join("argv.json")) {
        let argv: Vec<String> = serde_json::from_slice(&argv).map_err(|error| error.to_string())?;
        vec![from_argv(&argv, std::fs::read(case.join("input.msg")).unwrap_or_default())]
    } else if stored.is_empty() {
        return Err("neither input nor queue files".into());
    } else {
        return Ok(());
    };
    // Where sendmail refused the message there is nothing that could be read: it is one that its files cannot keep as it
    // is, and that we keep in another form.
    if stored.is_empty() && !asked.iter().all(|asked| split(&asked.content).0 == Form::Exact) {
        return Err("no queue file, and no reason for it".into());
    }
    for entry in &stored {
        let faults: Vec<_> = asked.iter().map(|asked| check_entry(entry, asked)).collect();
        if !faults.iter().any(Result::is_ok) {
            let faults: Vec<_> = faults.into_iter().filter_map(Result::err).collect();
            return Err(faults.join(" | "));
        }
    }
    Ok(())
}

fn stored(case: &Path) -> Result<Vec<Stored>, String> {
    let mut all = Vec::new();
    for path in std::fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let [kind @ (b'q' | b'h' | b'Q'), b'f', ..] = *name.as_bytes() else { continue };
        let text = std::fs::read(&path).unwrap();
        let control = ControlFile::parse(&text).map_err(|error| format!("{name}: {error}"))?;
        if control.write() != text {
            return Err(format!("{name} is not written back as it was"));
        }
        if let Some(line) = control.lines().iter().find(|line| !LETTERS.contains(&line.code)) {
            return Err(format!("{name}: {line:?} is of no known kind"));
        }
        let id: QueueId = name[2..].parse().map_err(|error| format!("{name}: {error}"))?;
        let data = std::fs::read(case.join(format!("df{id}"))).unwrap_or_default();
        all.push(Stored { kind, id, control, data });
    }
    Ok(all)
}

fn check_entry(stored: &Stored, asked: &Asked) -> Result<(), String> {
    let control = &stored.control;
    let mut faults = Vec::new();
    let mut same = |what: &str, read: String, asked: String| {
        if read != asked {
            faults.push(format!("{what}: read {read}, asked {asked}"));
        }
    };
    if let Some(sender) = &asked.sender {
        let raw = control.value(b'S').map(|raw| lossy(raw)).unwrap_or_default();
        same("sender", plain(&raw), plain(sender));
        let typed = match plain(sender).parse::<Address>() {
            Ok(address) => Some(ReversePath::Address(address)),
            Err(_) => plain(sender).is_empty().then_some(ReversePath::Null),
        };
        same("sender's address", format!("{:?}", control.sender()), format!("{typed:?}"));
    }
    same("version", control.version().to_string(), "8".into());
    same("arrival", control.arrived().is_some().to_string(), "true".into());
    same("RET", format!("{:?}", control.ret()), format!("{:?}", asked.ret));
    same("body", format!("{:?}", control.body()), format!("{:?}", asked.body));
    same("ENVID", format!("{:?}", control.envid().map(|id| lossy(id))), format!("{:?}", asked.envid));
    if let Some(protocol) = asked.protocol {
        same("protocol", format!("{:?}", control.macro_value("r").map(lossy)), format!("{:?}", Some(protocol)));
        same("HELO", format!("{:?}", control.macro_value("s").map(lossy)), format!("{:?}", asked.helo));
        // A client that is not trusted is read as if it had said AUTH=<> (RFC 4954 §5).
        let auth = control.auth().map(|auth| lossy(auth));
        let untrusted = asked.auth.is_some() && auth.as_deref() == Some("<>");
        same("AUTH", format!("{auth:?}"), if untrusted { format!("{auth:?}") } else { format!("{:?}", asked.auth) });
        same("BY", format!("{:?}", control.deliver_by().map(|by| by.seconds)), format!("{:?}", asked.by));
    }
    if !stored.data.is_ascii() {
        same("eighth bit", control.has_flag(b'8').to_string(), "true".into());
    }
    // sendmail puts the recipients in an order of its own.
    let read: BTreeSet<_> = control.recipients().iter().map(recipient_text).collect();
    let wanted: BTreeSet<_> = asked
        .recipients
        .iter()
        .map(|recipient| format!("{} {:?} {:?}", plain(&recipient.address), recipient.notify, recipient.orcpt))
        .collect();
    same("recipients", format!("{read:?}"), format!("{wanted:?}"));
    for recipient in control.recipients() {
        same("final recipient", recipient.final_recipient.is_some().to_string(), "true".into());
    }
    check_content(stored, asked).err().into_iter().for_each(|fault| faults.push(fault));
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Our queue takes over the files: it gives the message whole, and writes a control file as it was where nothing is new.
fn in_our_hands(case: &Path, stored: &[Stored]) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy();
    let directory = std::env::temp_dir().join(format!("facteur-queue-sendmail-{}-{name}", std::process::id()));
    let queue = Queue::open(QueueConfig::new(&directory)).map_err(|error| error.to_string())?;
    for Stored { kind, id, control, data } in stored {
        std::fs::write(directory.join(format!("df{id}")), data).unwrap();
        std::fs::write(directory.join(format!("{}f{id}", char::from(*kind))), control.write()).unwrap();
    }
    let taken =
        stored.iter().filter(|entry| entry.kind != b'Q').try_for_each(|stored| take(&queue, &directory, stored));
    std::fs::remove_dir_all(&directory).unwrap();
    taken
}

fn take(queue: &Queue, directory: &Path, Stored { kind, id, control, data }: &Stored) -> Result<(), String> {
    // Programs, files, and users without a domain are no addresses.
    if control.sender().is_none() || control.recipients().iter().any(|recipient| recipient.path().is_none()) {
        return Ok(());
    }
    let mut claim = queue.claim(id).map_err(|error| error.to_string())?.ok_or("nobody else holds it")?;
    let entry = claim.entry().clone();
    if entry.held.is_some() != (*kind == b'h') || entry.recipients.len() != control.recipients().len() {
        return Err(format!("read as {entry:?}"));
    }
    let content = claim.content().map_err(|error| error.to_string())?;
    let fields = control.fields().filter(|field| !field.condition.contains(&b'P')).map(|field| field.field);
    let text = fields.map(|field| lossy(&field) + "\n").collect::<String>() + "\n" + &lossy(data);
    if lossy(&content) != text.replace('\n', "\r\n") {
        return Err("the message is another one".into());
    }
    claim.update(entry).map_err(|error| error.to_string())?;
    let written =
        std::fs::read(directory.join(format!("{}f{id}", char::from(*kind)))).map_err(|error| error.to_string())?;
    if written == control.write() { Ok(()) } else { Err("a change that changes nothing changed the file".into()) }
}

/// What we keep of the same message is what sendmail kept: the fields of the input stand among its own, the data file is
/// the same.
fn check_content(stored: &Stored, asked: &Asked) -> Result<(), String> {
    let (form, fields, data) = split(&asked.content);
    if form == Form::Exact {
        // sendmail guesses where the header ends, we do not.
        return Ok(());
    }
    if data != stored.data {
        return Err("our data file would differ".into());
    }
    let theirs: Vec<_> = stored.control.fields().collect();
    match fields.iter().find(|field| !theirs.iter().any(|held| held.condition.is_empty() && held.field == **field)) {
        // sendmail takes these for its own and drops or moves them.
        Some(field)
            if !["return-path:", "full-name:", "content-length:", "bcc:"]
                .iter()
                .any(|name| lossy(field).to_ascii_lowercase().starts_with(name)) =>
        {
            Err(format!("the field {:?} is not among sendmail's", lossy(field)))
        }
        _ => Ok(()),
    }
}

fn split(content: &[u8]) -> (Form, Vec<bytes::Bytes>, Vec<u8>) {
    let mut splitter = Splitter::new(65_536);
    let mut data = Vec::new();
    let rewrite = splitter.feed(content, &mut data);
    let split = splitter.finish(&mut data);
    assert!(rewrite.is_none() || split.form == Form::Exact);
    (split.form, split.fields, data)
}

fn recipient_text(recipient: &ControlRecipient) -> String {
    let orcpt = recipient.original.as_ref().map(|original| lossy(original));
    // Where the address is one, the typed reading must say the same.
    let typed = recipient.path().map(|path| match path {
        ForwardPath::Postmaster => "Postmaster".to_owned(),
        ForwardPath::Address(address) => address.to_string(),
    });
    let raw = plain(&lossy(&recipient.address));
    let address = if raw.contains('@') { typed.unwrap_or_default() } else { raw };
    format!("{address} {:?} {orcpt:?}", recipient.notify())
}

fn check_listing(listing: &str, verbose: bool, stored: &[Stored]) -> Result<(), String> {
    // `mailq -qQ` lists what is quarantined, `mailq` what is not.
    let kind = if listing.contains("QUARANTINE: ") { b'h' } else { b'q' };
    let entries = stored
        .iter()
        .filter(|entry| entry.kind == kind)
        .map(|entry| Listed::new(entry.id.clone(), entry.control.clone(), entry.data.len() as u64))
        .collect();
    let mailq = Mailq::new("/var/spool/mqueue", entries);
    let ours = if verbose { mailq.verbose() } else { mailq.brief() };
    if blocks(&ours) == blocks(listing) { Ok(()) } else { Err(format!("listed as\n{ours}\nsendmail's:\n{listing}")) }
}

/// The entries of a listing as a set, with what stands around them but the name of the directory.
fn blocks(listing: &str) -> BTreeSet<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in listing.lines() {
        if line.trim_start().starts_with('/') {
            let (_, rest) = line.split_once(' ').unwrap_or_default();
            blocks.push(rest.to_owned());
        } else if line.starts_with([' ', '\t']) && !line.contains("Total requests") {
            if let Some(last) = blocks.last_mut() {
                last.push_str(&format!("\n{line}"));
            }
        } else {
            blocks.push(line.to_owned());
        }
    }
    blocks.into_iter().collect()
}

/// The messages of a session.
fn from_smtp(input: &[u8]) -> Vec<Asked> {
    let mut messages = Vec::new();
    let mut asked = Asked::default();
    let mut rest = input;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = lossy(&rest[..end]);
        rest = &rest[end + 2..];
        let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            verb @ ("EHLO" | "HELO") => {
                asked.protocol = Some(if verb == "EHLO" { "ESMTP" } else { "SMTP" });
                asked.helo = Some(argument.trim().to_owned());
            }
            "RSET" => {
                asked = Asked { protocol: asked.protocol, helo: asked.helo, ..Asked::default() };
            }
            "MAIL" => {
                let (path, params) = path_and_params(argument);
                asked.sender = Some(path);
                for (name, value) in params {
                    match name.as_str() {
                        "RET" => asked.ret = ret(&value),
                        "ENVID" => asked.envid = Some(value),
                        "BODY" => asked.body = body(&value),
                        "AUTH" => asked.auth = Some(value),
                        "BY" => asked.by = value.split(';').next().and_then(|seconds| seconds.parse().ok()),
                        _ => {}
                    }
                }
            }
            "RCPT" => {
                let (address, params) = path_and_params(argument);
                let value = |name: &str| params.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone());
                let notify = value("NOTIFY").map(|value| notify(&value));
                asked.recipients.push(AskedRecipient { address, notify, orcpt: value("ORCPT") });
            }
            "DATA" => {
                let end = rest.windows(5).position(|five| five == b"\r\n.\r\n").map_or(rest.len(), |at| at + 2);
                for line in rest[..end].split_inclusive(|octet| *octet == b'\n') {
                    asked.content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
                }
                // Without an empty line the whole is header, and sendmail keeps it as such.
                if asked.content.windows(4).all(|four| four != b"\r\n\r\n") && !asked.content.starts_with(b"\r\n") {
                    asked.content.extend_from_slice(b"\r\n");
                }
                rest = rest.get(end + 3..).unwrap_or_default();
                let next = Asked { protocol: asked.protocol, helo: asked.helo.clone(), ..Asked::default() };
                messages.push(std::mem::replace(&mut asked, next));
            }
            _ => {}
        }
    }
    messages
}

/// `FROM:<a@b> NAME=value …`
fn path_and_params(argument: &str) -> (String, Vec<(String, String)>) {
    let (_, rest) = argument.split_once(':').unwrap_or_default();
    let mut quoted = false;
    let end = rest.trim_start().find(|character: char| {
        quoted ^= character == '"';
        character == ' ' && !quoted
    });
    let rest = rest.trim_start();
    let (path, params) = rest.split_at(end.unwrap_or(rest.len()));
    let params = params
        .split_ascii_whitespace()
        .map(|param| param.split_once('=').unwrap_or((param, "")))
        .map(|(name, value)| (name.to_ascii_uppercase(), value.to_owned()));
    (path.to_owned(), params.collect())
}

/// The command line of sendmail, as far as an envelope comes from it.
fn from_argv(argv: &[String], message: Vec<u8>) -> Asked {
    let mut asked = Asked::default();
    let (mut told, mut from_header, mut dots) = (None, false, false);
    let mut addresses = Vec::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix('-') else {
            addresses.extend(split_list(word));
            continue;
        };
        if option == "-" {
            continue;
        }
        let (letter, attached) = option.split_at(option.len().min(1));
        let mut value =
            || if attached.is_empty() { words.next().cloned().unwrap_or_default() } else { attached.into() };
        match letter {
            "f" | "r" => asked.sender = Some(value()),
            "N" => told = Some(notify(&value())),
            "R" => asked.ret = ret(&value()),
            "V" => asked.envid = Some(value()),
            "B" => asked.body = body(&value()),
            "t" => from_header = true,
            "i" => dots = true,
            "o" => dots |= attached == "i",
            "F" | "C" | "O" | "p" | "h" | "L" | "X" => drop(value()),
            _ => {}
        }
    }
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line == b".\n" && !dots {
            break;
        }
        asked.content.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        asked.content.extend_from_slice(b"\r\n");
    }
    if from_header {
        let header = lossy(&asked.content).replace("\r\n ", " ").replace("\r\n\t", " ");
        for line in header.lines().take_while(|line| !line.is_empty()) {
            if let Some((name, value)) = line.split_once(':')
                && ["to", "cc", "bcc"].contains(&name.to_ascii_lowercase().as_str())
            {
                addresses.extend(split_list(value));
            }
        }
    }
    asked.recipients =
        addresses.into_iter().map(|address| AskedRecipient { address, notify: told, orcpt: None }).collect();
    asked
}

/// The addresses of a list: parted by commas that stand outside quotes, comments and brackets.
fn split_list(list: &str) -> Vec<String> {
    let (mut depth, mut quoted) = (0, false);
    let parts = list.split(|character: char| {
        match character {
            '"' => quoted = !quoted,
            '(' | '<' if !quoted => depth += 1,
            ')' | '>' if !quoted => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0 && !quoted
    });
    parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The address itself: what stands in angle brackets, or all but the comments.
fn plain(text: &str) -> String {
    let inner = text.rsplit_once('<').and_then(|(_, inner)| inner.split_once('>')).map(|(inner, _)| inner);
    let address = inner.unwrap_or_else(|| text.split(" (").next().unwrap_or_default()).trim();
    // A source route is not followed (RFC 5321 appendix C).
    let address =
        if address.starts_with('@') { address.split_once(':').map_or(address, |(_, path)| path) } else { address };
    address.parse::<Address>().map_or(address.to_owned(), |address| address.to_string())
}

fn notify(value: &str) -> Notify {
    let has = |word: &str| value.split(',').any(|held| held.eq_ignore_ascii_case(word));
    Notify { success: has("success"), failure: has("failure"), delay: has("delay") }
}

fn ret(value: &str) -> Option<Ret> {
    match value.to_ascii_uppercase().as_str() {
        "HDRS" => Some(Ret::Hdrs),
        "FULL" => Some(Ret::Full),
        _ => None,
    }
}

fn body(value: &str) -> Option<Body> {
    match value.to_ascii_uppercase().as_str() {
        "7BIT" => Some(Body::SevenBit),
        "8BITMIME" => Some(Body::EightBitMime),
        "BINARYMIME" => Some(Body::BinaryMime),
        _ => None,
    }
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
