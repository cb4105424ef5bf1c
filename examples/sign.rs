//! Signs the message on standard input: `sign example.org SELECTOR KEY.pem [SELECTOR KEY.pem ...] < message.eml`. `sign --new
//! rsa|ed25519 SELECTOR.example.org` makes a key: PEM to standard output, the record to publish to standard error.

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use facteur::auth::dkim::{Signer, SigningKey, sign};
use facteur::base::Timestamp;
use facteur::message::Message;

const USAGE: &str = "usage: sign DOMAIN SELECTOR KEY.pem [SELECTOR KEY.pem ...] < MESSAGE > SIGNED\n       \
                     sign --new rsa|ed25519 DOMAIN SELECTOR > KEY.pem";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match &arguments[..] {
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        ["--new", kind, domain, selector] => generate(kind, domain, selector),
        [domain, keys @ ..] if !keys.is_empty() && keys.len() % 2 == 0 && !domain.starts_with('-') => {
            sign_with(domain, keys)
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sign: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(kind: &str, domain: &str, selector: &str) -> Result<(), Box<dyn Error>> {
    let key = match kind {
        "rsa" => SigningKey::generate_rsa()?,
        "ed25519" => SigningKey::generate_ed25519()?,
        _ => return Err("a key is rsa or ed25519".into()),
    };
    print!("{}", key.to_pem()?);
    // RFC 1035 §3.3.14: a string of a TXT record has at most 255 octets.
    let record = key.record();
    let strings: Vec<String> =
        record.as_bytes().chunks(255).map(|part| format!("\"{}\"", part.escape_ascii())).collect();
    eprintln!("{selector}._domainkey.{domain}. TXT {}", strings.join(" "));
    Ok(())
}

fn sign_with(domain: &str, keys: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut signers = Vec::new();
    for pair in keys.chunks_exact(2) {
        let pem = std::fs::read_to_string(pair[1]).map_err(|error| format!("{}: {error}", pair[1]))?; // pairs of two
        let key = SigningKey::from_pem(&pem).map_err(|error| format!("{}: {error}", pair[1]))?;
        signers.push(Signer::new(domain.parse()?, pair[0].parse()?, key));
    }
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets)?;
    let message = Message::parse(octets);
    let now = Timestamp::from_unix(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64);
    let mut out = std::io::stdout().lock();
    out.write_all(sign(&message, &signers, now)?.as_bytes())?;
    Ok(out.write_all(message.raw())?)
}
