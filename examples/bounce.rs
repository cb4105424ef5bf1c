//! Says who did not get a message, what was said, and why: `bounce < returned.eml`.
//!
//! One line a recipient, or an array of JSON with `--json`. The exit status is 1 where it is no bounce.

use std::io::Read;
use std::process::ExitCode;

use clap::Parser;
use facteur::message::Message;
use serde_json::{Value, json};

/// Reads a bounce on its standard input and says who did not get the message, what was said, and why.
#[derive(Parser)]
struct Options {
    /// Write an array of JSON instead of lines.
    #[arg(long)]
    json: bool,
}

fn main() -> std::io::Result<ExitCode> {
    let options = Options::parse();
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets)?;
    let Some(bounce) = Message::parse(octets).bounce() else {
        eprintln!("this is no bounce");
        return Ok(ExitCode::FAILURE);
    };
    let mut list = Vec::new();
    for recipient in &bounce.recipients {
        let kind = if recipient.is_hard() { "hard" } else { "soft" };
        let status = recipient.status.map(|status| status.to_string());
        if options.json {
            list.push(json!({
                "recipient": recipient.name,
                "kind": kind,
                "reason": format!("{:?}", recipient.reason),
                "status": status,
                "said": recipient.said,
                "remote": recipient.remote,
                "evidence": format!("{:?}", recipient.evidence),
            }));
            continue;
        }
        let name = if recipient.name.is_empty() { "somebody" } else { &recipient.name };
        println!("{name}: {kind}, {:?} {}", recipient.reason, status.unwrap_or_default());
        println!("    {}", if recipient.said.is_empty() { "nothing was said" } else { &recipient.said });
    }
    if options.json {
        println!("{}", Value::from(list));
    }
    Ok(ExitCode::SUCCESS)
}
