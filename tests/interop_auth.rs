//! dkimpy, pyspf and OpenDKIM, in both directions, over a name server (Knot) on loopback that our resolver asks as well: what
//! one signs or seals the others verify, and all come to the same about SPF.
#![cfg(all(feature = "net", unix))]

mod interop_peers;

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use facteur::auth::dkim::{self, Canonicalization, Signer, SigningKey};
use facteur::auth::{Method, Results, arc, spf};
use facteur::base::Timestamp;
use facteur::dns::Failure;
use facteur::message::Message;
use facteur::net::Resolver;
use facteur::net::resolver::{ResolverConfig, Servers, Validation};
use hickory_proto::{op, rr};
use interop_peers::{Folder, Peer, Running, free_port, has, letter, python_path, run, text};
use serde_json::{Value, json};

/// A name server for the zones `test` and `2.0.192.in-addr.arpa`, and a resolver that asks it. What is in other zones it
/// refuses to say.
struct Dns {
    _running: Running,
    port: u16,
    resolver: Resolver,
}

const HEAD: &str = "$TTL 300\n@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ NS ns.test.\n";

impl Dns {
    fn start(folder: &Folder, zone: &str, reverse: &str) -> Option<Self> {
        let peer = Peer::find_unpacked("knot")?.with_user("knot", 709);
        folder.write("test.zone", format!("$ORIGIN test.\n{HEAD}ns A 127.0.0.1\n{zone}"));
        folder.write("2.0.192.in-addr.arpa.zone", format!("$ORIGIN 2.0.192.in-addr.arpa.\n{HEAD}{reverse}"));
        let port = free_port();
        let config = folder.configure("knot.conf", "knot.conf", &[("port", &port.to_string())]);
        let script = "mkdir -p /run/knot /var/lib/knot; knotd -c \"$1\"";
        let mut running = Running::start(peer.shell(script, &[&config]), folder, "knot");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        running.until("the name server", || TcpStream::connect(address).is_ok());
        Some(Self { _running: running, port, resolver: Resolver::with_servers([address]).unwrap() })
    }
}

/// What dkimpy and pyspf say to these jobs.
async fn python(port: u16, jobs: &[Value]) -> Vec<Value> {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_peers/auth.py")).arg(port.to_string());
    command.env("PYTHONPATH", python_path());
    let input: String = jobs.iter().map(|job| format!("{job}\n")).collect();
    let output = run(command, input.into_bytes()).await;
    let answers: Vec<Value> =
        output.stdout.split(|octet| *octet == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(answers.len(), jobs.len(), "{}", text(&output));
    answers
}

fn has_python(module: &str) -> bool {
    has(module, &["python3"], &[&python_path().join("done")])
}

/// A TXT record of a zone file, in strings of at most 255 octets.
fn txt(name: &str, value: &str) -> String {
    let strings: Vec<String> = value
        .as_bytes()
        .chunks(255)
        .map(|part| format!("\"{}\"", String::from_utf8_lossy(part).replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{name} TXT {}\n", strings.join(" "))
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix(now.as_secs() as i64)
}

/// The keys of example.test: each with its selector and the name of its algorithm.
struct Keys {
    rsa: SigningKey,
    ed25519: SigningKey,
}

impl Keys {
    fn make(folder: &Folder) -> (Self, String) {
        let keys = Self { rsa: SigningKey::generate_rsa().unwrap(), ed25519: SigningKey::generate_ed25519().unwrap() };
        folder.write("rsa.pem", keys.rsa.to_pem().unwrap());
        let pem = keys.ed25519.to_pem().unwrap();
        // RFC 8410 §7: the seed is the end of the structure. Dkimpy wants it bare.
        let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::prelude::BASE64_STANDARD.decode(der).unwrap();
        folder.write("ed25519.seed", base64::prelude::BASE64_STANDARD.encode(&der[der.len() - 32..]));
        folder.write("ed25519.pem", pem);
        let zone = [
            txt("rsa._domainkey.example", &keys.rsa.record()),
            txt("ed25519._domainkey.example", &keys.ed25519.record()),
        ];
        (keys, zone.concat())
    }

    fn signer(&self, selector: &str) -> Signer {
        let key = if selector == "rsa" { &self.rsa } else { &self.ed25519 };
        Signer::new("example.test".parse().unwrap(), selector.parse().unwrap(), key.clone())
    }
}

const SELECTORS: [&str; 2] = ["rsa", "ed25519"];
const FORMS: [(Canonicalization, &str); 2] =
    [(Canonicalization::Relaxed, "relaxed"), (Canonicalization::Simple, "simple")];

/// Messages that are easily signed wrong.
fn messages() -> Vec<Vec<u8>> {
    let odd = "Received: from a.test\r\n\tby b.test; Sun, 22 Nov 2026 03:00:00 +0000\r\nFROM : \"Ada\"  <ada@example.test>\r\n\
               To: bob@example.net,\r\n  eve@example.net\r\nSubject:  two  blanks\t and a fold\r\n \r\n\tand more \r\n\
               Date: Sun, 22 Nov 2026 03:00:00 +0000\r\nComments: one\r\nComments: two\r\n\r\n body  with \t blanks \r\n\r\n\r\n \t\r\n\r\n";
    let bare = "From: ada@example.test\r\nSubject: nothing below\r\n\r\n";
    let lines = "From: ada@example.test\r\n\r\n\r\n\r\n";
    vec![letter("letter"), odd.replace("FROM :", "FROM:").into_bytes(), bare.into(), lines.into()]
}

fn opendkim(layer: &Folder, mode: &str, dns: &Dns, more: &str) -> Option<Peer> {
    let peer = Peer::find_unpacked("opendkim")?.with_user("opendkim", 710);
    layer.configure("unbound.conf", "unbound.conf", &[("port", &dns.port.to_string())]);
    layer.write("hosts", if mode == "s" { "127.0.0.1\n" } else { "192.0.2.1\n" });
    layer.configure("opendkim.conf", "opendkim.conf", &[("mode", mode), ("more", more)]);
    Some(peer)
}

fn outcomes(verdicts: &[dkim::Verdict]) -> Vec<dkim::Outcome> {
    verdicts.iter().map(|verdict| verdict.outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_sign_dkimpy_and_opendkim_verify() {
    let folder = Folder::new("interop-dkim-sign");
    let (keys, zone) = Keys::make(&folder);
    let Some(dns) = Dns::start(&folder, &zone, "") else { return };
    let mut files = Vec::new();
    for (number, message) in messages().into_iter().enumerate() {
        for selector in SELECTORS {
            for (header, header_name) in FORMS {
                for (body, body_name) in FORMS {
                    let mut signer = keys.signer(selector);
                    (signer.header, signer.body) = (header, body);
                    let field = dkim::sign(&Message::parse(message.clone()), &[signer], now()).unwrap();
                    let signed = [field.as_bytes(), &message].concat();
                    let name = format!("{number}-{selector}-{header_name}-{body_name}");
                    files.push((folder.write(&name, &signed), 1, true));
                    // One letter of the body or the header is another.
                    let mut changed = signed.clone();
                    let at = if number < 2 { changed.len() - 9 } else { changed.len() - message.len() + 7 };
                    changed[at] ^= 1;
                    files.push((folder.write(&format!("{name}-changed"), changed), 1, false));
                }
            }
        }
        // Both keys over one pass.
        let signers = SELECTORS.map(|selector| keys.signer(selector));
        let fields = dkim::sign(&Message::parse(message.clone()), &signers, now()).unwrap();
        files.push((folder.write(&format!("{number}-both"), [fields.as_bytes(), &message].concat()), 2, true));
    }
    for (file, signatures, good) in &files {
        let message = Message::parse(std::fs::read(file).unwrap());
        let verdicts = dns.resolver.ask(dkim::verify(&message, now(), &dkim::Config::default())).await;
        let expected = if *good { dkim::Outcome::Pass } else { dkim::Outcome::Fail };
        assert_eq!(outcomes(&verdicts), vec![expected; *signatures], "{file}: {verdicts:?}");
    }
    if has_python("dkimpy") {
        let jobs: Vec<Value> = files
            .iter()
            .map(|(file, signatures, _)| json!({"do": "verify", "file": file, "signatures": signatures}))
            .collect();
        for ((file, signatures, good), answer) in files.iter().zip(python(dns.port, &jobs).await) {
            let said = answer["is"].as_array().map(|all| all.iter().filter(|one| **one == true).count());
            let expected = if *good { *signatures } else { 0 };
            // It says of a body that is not what was signed that it fails by an exception.
            let failed = answer["error"].as_str().is_some_and(|error| error.starts_with("ValidationError"));
            let said = said.or(failed.then_some(0));
            assert_eq!(said, Some(expected), "dkimpy, {file}: {answer}");
        }
    }
    let Some(opendkim) = opendkim(&folder, "v", &dns, "") else { return };
    let config = folder.path("opendkim.conf");
    let names: Vec<&str> = files.iter().map(|(file, ..)| file.as_str()).collect();
    let output = run(opendkim.command("opendkim", &["-x", &config, "-t", &names.join(",")]), Vec::new()).await;
    let output = text(&output);
    for (file, _, good) in &files {
        // It is a milter even here and does not see how much white space a field began with.
        if file.contains("/1-") && file.contains("-simple-") {
            continue;
        }
        let said: Vec<&str> = output.lines().filter(|line| line.contains(&format!(" {file}: "))).collect();
        let expected = if *good { "succeeded" } else { "failed: signature verification failed" };
        assert!(!said.is_empty() && said.iter().all(|line| line.ends_with(expected)), "OpenDKIM, {file}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dkimpy_signs_we_verify() {
    let folder = Folder::new("interop-dkimpy");
    let (_, zone) = Keys::make(&folder);
    let Some(dns) = Dns::start(&folder, &zone, "") else { return };
    if !has_python("dkimpy") {
        return;
    }
    let mut jobs = Vec::new();
    for (number, message) in messages().into_iter().enumerate() {
        let file = folder.write(&number.to_string(), message);
        for (selector, key) in [("rsa", "rsa.pem"), ("ed25519", "ed25519.seed")] {
            for canonicalization in ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"] {
                for length in [false, true] {
                    let name = format!("{number}-{selector}-{}-{length}", canonicalization.replace('/', "-"));
                    jobs.push(json!({
                        "do": "sign", "file": file, "selector": selector, "domain": "example.test",
                        "key": folder.path(key), "canonicalization": canonicalization, "length": length,
                        "algorithm": format!("{selector}-sha256"), "out": folder.path(&name),
                    }));
                }
            }
        }
    }
    for (job, answer) in jobs.iter().zip(python(dns.port, &jobs).await) {
        assert!(answer["error"].is_null(), "{job}: {answer}");
        let signed = std::fs::read(job["out"].as_str().unwrap()).unwrap();
        let message = Message::parse(signed.clone());
        let verdicts = dns.resolver.ask(dkim::verify(&message, now(), &dkim::Config::default())).await;
        assert_eq!(outcomes(&verdicts), [dkim::Outcome::Pass], "{job}: {verdicts:?}");
        // What a list adds below is not signed, and counts only where l= allows it.
        let longer = Message::parse([&signed[..], b"-- \r\nthe list\r\n"].concat());
        let verdicts = dns.resolver.ask(dkim::verify(&longer, now(), &dkim::Config::default())).await;
        match job["length"].as_bool().unwrap() {
            // Simple makes one empty line of no body, which was not the first one then.
            true if job["file"].as_str().unwrap().ends_with("/2")
                && job["canonicalization"].as_str().unwrap().ends_with("/simple") =>
            {
                assert_eq!(outcomes(&verdicts), [dkim::Outcome::Fail], "{job}: {verdicts:?}");
            }
            true => {
                assert_eq!(outcomes(&verdicts), [dkim::Outcome::Pass], "{job}: {verdicts:?}");
                assert!(verdicts[0].unsigned > 0, "{job}");
            }
            false => assert_eq!(outcomes(&verdicts), [dkim::Outcome::Fail], "{job}: {verdicts:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opendkim_signs_we_verify() {
    let folder = Folder::new("interop-opendkim");
    let (_, zone) = Keys::make(&folder);
    let Some(dns) = Dns::start(&folder, &zone, "") else { return };
    for selector in SELECTORS {
        for canonicalization in ["relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"] {
            // Nobody verifies what it signs so, itself included.
            if selector == "ed25519" && canonicalization.starts_with("simple") {
                continue;
            }
            let more = format!(
                "Domain example.test\nSelector {selector}\nKeyFile {}\nSignatureAlgorithm {selector}-sha256\n\
                 Canonicalization {canonicalization}\nOversignHeaders From\n",
                folder.path(&format!("{selector}.pem"))
            );
            let Some(opendkim) = opendkim(&folder, "s", &dns, &more) else { return };
            let config = folder.path("opendkim.conf");
            for (number, message) in messages().into_iter().enumerate() {
                let message = String::from_utf8(message).unwrap().replace("ada@example.org", "ada@example.test");
                let file = folder.write(&number.to_string(), &message);
                let command = opendkim.command("opendkim", &["-x", &config, "-vv", "-t", &file]);
                let output = run(command, Vec::new()).await;
                let output = text(&output);
                let (_, rest) =
                    output.split_once("hname='DKIM-Signature' hvalue='").unwrap_or_else(|| panic!("{output}"));
                let (value, _) = rest.split_once('\'').unwrap_or_else(|| panic!("{output}"));
                let signed = format!("DKIM-Signature: {}\r\n{message}", value.replace('\n', "\r\n"));
                let signed = Message::parse(signed);
                let verdicts = dns.resolver.ask(dkim::verify(&signed, now(), &dkim::Config::default())).await;
                // As above: it has not seen the fields as they are.
                let unseen = number == 1 && canonicalization.starts_with("simple");
                let expected = if unseen { dkim::Outcome::Fail } else { dkim::Outcome::Pass };
                assert_eq!(outcomes(&verdicts), [expected], "{selector} {canonicalization} {number}: {verdicts:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_pass_from_us_to_dkimpy_and_back() {
    let folder = Folder::new("interop-arc");
    let (keys, zone) = Keys::make(&folder);
    let Some(dns) = Dns::start(&folder, &zone, "") else { return };
    if !has_python("dkimpy") {
        return;
    }
    // Who seals the message one after the other, f for facteur and d for dkimpy.
    for chain in ["f", "d", "ff", "fd", "df", "dd", "fdfd", "dffd"] {
        let mut message = letter("arc");
        for (number, sealer) in chain.chars().enumerate() {
            let before = Message::parse(message.clone());
            let verdict = dns.resolver.ask(arc::verify(&before, now(), &dkim::Config::default())).await;

            if sealer == 'f' {
                let results = Results::new("lists.test", [Method::new("spf", "pass")]);
                let set = arc::seal(&before, &verdict, &results, &keys.signer("rsa"), now()).unwrap();
                message = [set.as_bytes(), &message].concat();
            } else {
                // It reads what was found out from the message itself, the state of the chain too. RSA is all that it seals with
                // and all that it takes.
                let cv = if number == 0 { "none" } else { "pass" };
                let found =
                    format!("Authentication-Results: lists.test; arc={cv}; spf=pass smtp.mailfrom=example.org\r\n");
                let file = folder.write("to-seal", [found.as_bytes(), &message].concat());
                let job = json!({
                    "do": "arc-seal", "file": file, "selector": "rsa", "domain": "example.test", "id": "lists.test",
                    "key": folder.path("rsa.pem"), "algorithm": "rsa-sha256", "out": folder.path("sealed"),
                });
                let answers = python(dns.port, &[job]).await;
                assert!(answers[0]["error"].is_null(), "{chain}: {answers:?}");
                let sealed = String::from_utf8(std::fs::read(folder.path("sealed")).unwrap()).unwrap();
                message = sealed.replacen(&found, "", 1).into_bytes();
            }
            let sealed = Message::parse(message.clone());
            let verdict = dns.resolver.ask(arc::verify(&sealed, now(), &dkim::Config::default())).await;
            assert_eq!(verdict.outcome, arc::Outcome::Pass, "{chain}, {number}: {verdict:?}");
            assert_eq!(usize::from(verdict.instance), number + 1, "{chain}");
        }
        let file = folder.write(chain, &message);
        let broken = folder.write("broken", [&message[..], b"more\r\n"].concat());
        let jobs = [json!({"do": "arc-verify", "file": file}), json!({"do": "arc-verify", "file": broken})];
        let answers = python(dns.port, &jobs).await;
        assert_eq!(answers[0]["is"][0], "pass", "{chain}: {answers:?}");
        assert_eq!(answers[0]["is"][1], chain.len(), "{chain}: {answers:?}");
        assert_eq!(answers[1]["is"][0], "fail", "{chain}: {answers:?}");
    }
}

/// The records that SPF is asked about, below `test`.
const RECORDS: &str = r#"
none A 192.0.2.1
ip4 TXT "v=spf1 ip4:192.0.2.0/28 ip4:198.51.100.7 -all"
ip6 TXT "v=spf1 ip6:2001:db8::/32 ip6:2001:db9::1 ~all"
a TXT "v=spf1 a -all"
a A 192.0.2.1
a AAAA 2001:db8::1
cidr TXT "v=spf1 a:a.test/24//64 -all"
mx TXT "v=spf1 mx -all"
mx MX 10 mail1.test.
mx MX 20 mail2.test.
mail1 A 192.0.2.11
mail2 A 192.0.2.12
mail2 AAAA 2001:db8::12
mxcidr TXT "v=spf1 mx:mx.test/24 ?all"
nullmx TXT "v=spf1 mx -all"
nullmx MX 0 .
include TXT "v=spf1 include:ip4.test include:ip6.test -all"
soft TXT "v=spf1 include:softer.test ?all"
softer TXT "v=spf1 ~all"
questioned TXT "v=spf1 ?include:ip4.test -all"
noinclude TXT "v=spf1 include:none.test -all"
redirect TXT "v=spf1 ip4:203.0.113.1 redirect=ip4.test"
noredirect TXT "v=spf1 redirect=none.test"
unused TXT "v=spf1 ?all redirect=none.test"
badredirect TXT "v=spf1 redirect=syntax.test redirect=ip4.test"
exists TXT "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all"
1.2.0.192.in-addr._spf.exists.test. A 127.0.0.2
local TXT "v=spf1 exists:%{l}.of.%{o}._l.test exists:%{lr-}._lr.test exists:%{l1r-}._l1.test -all"
ada.of.local.test._l A 127.0.0.2
love.i._lr A 127.0.0.2
x._l1 A 127.0.0.2
helo TXT "v=spf1 exists:%{h}._h.test -all"
mail.example.org._h A 127.0.0.2
sender TXT "v=spf1 exists:%{s}._s.test -all"
labels TXT "v=spf1 include:%{d1r}.%{d2} -all"
ptr TXT "v=spf1 ptr:example.test -all"
host.example A 192.0.2.1
p TXT "v=spf1 exists:%{p}._p.test -all"
host.example.test._p A 127.0.0.2
void2 TXT "v=spf1 a:no1.test a:no2.test ip4:192.0.2.1 -all"
void3 TXT "v=spf1 a:no1.test a:no2.test a:no3.test ip4:192.0.2.1 -all"
ten TXT "v=spf1 a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test ip4:198.51.100.7 -all"
eleven TXT "v=spf1 a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test a:a.test ip4:198.51.100.7 -all"
loop TXT "v=spf1 include:loop.test -all"
reloop TXT "v=spf1 redirect=reloop.test"
deep TXT "v=spf1 include:d1.test -all"
d1 TXT "v=spf1 include:d2.test -all"
d2 TXT "v=spf1 include:d3.test -all"
d3 TXT "v=spf1 a:a.test mx:mx.test -all"
syntax TXT "v=spf1 ip4:192.0.2 -all"
unknown TXT "v=spf1 ip5:192.0.2.1 -all"
late TXT "v=spf1 ip4:192.0.2.1 ip4:nonsense -all"
modifier TXT "v=spf1 moo=cow ip4:192.0.2.1 -all x-y.z=%{d}"
two TXT "v=spf1 -all"
two TXT "v=spf1 +all"
others TXT "google-site-verification=1"
others TXT "v=spf1 ip4:192.0.2.1 -all"
others TXT "v=spf10 +all"
ten10 TXT "v=spf10 -all"
upper TXT "V=SPF1 IP4:192.0.2.1 -ALL"
blanks TXT "v=spf1   ip4:192.0.2.1   -all  "
split TXT "v=spf1 ip4:192." "0.2.1 " "-all"
empty TXT "v=spf1"
plus TXT "v=spf1 +ip4:192.0.2.1"
cname CNAME ip4
outside TXT "v=spf1 include:outside.example -all"
first TXT "v=spf1 ip4:192.0.2.1 include:outside.example -all"
exp TXT "v=spf1 -all exp=why.test"
why TXT "%{i} is not one of %{d}'s, %{s} of %{h}%_%% seen by %{r}: see http://%{d}/why?%{L}"
noexp TXT "v=spf1 -all exp=none.test"
badexp TXT "v=spf1 -all exp=bad.test"
bad TXT "%{x}"
expinclude TXT "v=spf1 include:exp.test -all exp=own.test"
own TXT "own"
expredirect TXT "v=spf1 redirect=exp.test exp=own.test"
manymx TXT "v=spf1 mx -all"
"#;

/// Asked for each record besides those that say so themselves: the client, what it calls itself, the sender.
const CLIENTS: [(&str, &str, &str); 4] = [
    ("192.0.2.1", "mail.example.org", "ada"),
    ("192.0.2.200", "mail.example.org", "strong-i.love"),
    ("198.51.100.7", "mail.example.org", "i-love"),
    ("2001:db8::12", "mail.example.org", "x-y-z"),
];

#[tokio::test(flavor = "multi_thread")]
async fn pyspf_comes_to_the_same_verdicts() {
    let folder = Folder::new("interop-spf");
    let mut zone = RECORDS.to_owned();
    for number in 0..11 {
        zone.push_str(&format!("manymx MX 10 m{number}.test.\nm{number} A 203.0.113.{number}\n"));
    }
    let reverse = "1 PTR host.example.test.\n200 PTR host.example.test.\n";
    let Some(dns) = Dns::start(&folder, &zone, reverse) else { return };
    if !has_python("pyspf") {
        return;
    }
    let names: std::collections::BTreeSet<&str> = RECORDS
        .lines()
        .filter_map(|line| line.split_once(" TXT ").or(line.split_once(" CNAME ")).or(line.split_once(" MX ")))
        .map(|(name, _)| name)
        .collect();
    let mut cases = Vec::new();
    for name in names.iter().chain(&["none", "nothing"]) {
        for (ip, helo, local) in CLIENTS {
            cases.push((ip, helo.to_owned(), format!("{local}@{name}.test")));
        }
        // The null reverse-path.
        cases.push(("192.0.2.1", format!("{name}.test"), String::new()));
    }
    let jobs: Vec<Value> =
        cases.iter().map(|(ip, helo, from)| json!({"do": "spf", "ip": ip, "helo": helo, "from": from})).collect();
    let answers = python(dns.port, &jobs).await;
    let (mut differ, mut on_purpose) = (Vec::new(), 0);
    for ((ip, helo, from), answer) in cases.iter().zip(answers) {
        let identity = if from.is_empty() { spf::Identity::Helo } else { spf::Identity::MailFrom };
        let sender = if from.is_empty() { helo } else { from };
        let evaluation = spf::Evaluation::new(ip.parse().unwrap(), helo, sender, identity).at("mx.test", now().unix());
        let ours = dns.resolver.ask(evaluation).await;
        let theirs = answer["is"][0].as_str().unwrap_or_default();
        let why = answer["is"][1].as_str().unwrap_or_default();
        let same = ours.outcome.to_string() == theirs
            && (ours.outcome != spf::Outcome::Fail
                || ours.explanation.as_deref().unwrap_or("SPF fail - not authorized") == why);
        // RFC 7208 §5.5: "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails to match." Pyspf makes
        // it a temporary error.
        let refused = ["ptr.test", "p.test"].iter().any(|name| from.ends_with(&format!("@{name}")))
            && !ip.starts_with("192.0.2.");
        if refused {
            assert_eq!((ours.outcome, theirs), (spf::Outcome::Fail, "temperror"), "{ip} {from}");
            on_purpose += 1;
        } else if !same {
            differ.push(format!("{ip} {helo} {from}: {ours:?}, they: {answer}"));
        }
    }
    let same = cases.len() - differ.len() - on_purpose;
    println!("pyspf: {same} of {} cases the same, {on_purpose} not, on purpose", cases.len());
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// The keys of `signed.test`, as zone-file text.
fn trust_anchor(address: SocketAddr) -> String {
    let mut query = op::Message::query();
    query.add_query(op::Query::query("signed.test.".parse().unwrap(), rr::RecordType::DNSKEY));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&query.to_vec().unwrap(), address).unwrap();
    let mut packet = [0; 4096];
    let len = socket.recv(&mut packet).unwrap();
    let answer = op::Message::from_vec(&packet[..len]).unwrap();
    let keys = answer.answers.iter().filter(|record| record.record_type() == rr::RecordType::DNSKEY);
    let keys: Vec<String> = keys.map(ToString::to_string).collect();
    assert!(!keys.is_empty(), "{answer}");
    keys.join("\n")
}

/// RFC 4035 §5: what is signed is proved, that there is nothing too; below a delegation without keys nothing is.
#[tokio::test(flavor = "multi_thread")]
async fn what_knot_signs_we_prove_and_what_it_need_not_sign_we_do_not() {
    for nsec3 in ["off", "on"] {
        let folder = Folder::new(&format!("interop-dnssec-{nsec3}"));
        let Some(peer) = Peer::find_unpacked("knot") else { return };
        let peer = peer.with_user("knot", 709);
        let records = "ns A 127.0.0.1\na A 192.0.2.1\na TXT \"v=spf1 -all\"\nalias CNAME a\n\
                       *.wild A 192.0.2.2\nplain NS ns\n_25._tcp.a TLSA 3 1 1 \
                       0000000000000000000000000000000000000000000000000000000000000000\n";
        folder.write("signed.test.zone", format!("$ORIGIN signed.test.\n{HEAD}{records}"));
        folder.write("plain.signed.test.zone", format!("$ORIGIN plain.signed.test.\n{HEAD}a A 192.0.2.3\n"));
        let port = free_port();
        let config =
            folder.configure("knot-signed.conf", "knot.conf", &[("port", &port.to_string()), ("nsec3", nsec3)]);
        let script = "mkdir -p /run/knot /var/lib/knot; knotd -c \"$1\"";
        let mut running = Running::start(peer.shell(script, &[&config]), &folder, "knot");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        running.until("the name server", || TcpStream::connect(address).is_ok());
        let mut config = ResolverConfig::new(Servers::These(vec![address]));
        config.validation = Validation::Anchors(trust_anchor(address));
        let resolver = Resolver::new(config).unwrap();
        for (question, found, secure) in [
            ("a.signed.test A", Ok(1), true),
            ("a.signed.test TXT", Ok(1), true),
            ("_25._tcp.a.signed.test TLSA", Ok(1), true),
            ("alias.signed.test A", Ok(1), true),
            // hickory-net 0.26.3 does not see that the NSEC of the wildcard itself covers the name.
            ("x.wild.signed.test A", if nsec3 == "on" { Ok(1) } else { Err(Failure::Bogus) }, nsec3 == "on"),
            // That there is nothing is proved too, or it were bogus; nobody asks whether it is.
            ("a.signed.test MX", Err(Failure::NoData), false),
            ("_25._tcp.b.signed.test TLSA", Err(Failure::NxDomain), false),
            ("a.plain.signed.test A", Ok(1), false),
            ("_25._tcp.a.plain.signed.test TLSA", Err(Failure::NxDomain), false),
        ] {
            let answer = resolver.answer(&question.parse().unwrap()).await;
            assert_eq!((answer.found.map(|found| found.len()), answer.secure), (found, secure), "{question}, {nsec3}");
        }
    }
}
