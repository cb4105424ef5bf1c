//! Shows what is in a message: `parse FILE`, or the message on standard input.

use std::io::Read;
use std::process::ExitCode;

use facteur::message::Message;

fn main() -> ExitCode {
    let mut octets = Vec::new();
    let read = match std::env::args().nth(1).as_deref() {
        Some("--help" | "-h") => {
            println!(
                "usage: parse [FILE]\n\nShows the fields, the parts and the defects of a message, of standard input without FILE."
            );
            return ExitCode::SUCCESS;
        }
        Some(file) => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut octets)),
        None => std::io::stdin().read_to_end(&mut octets),
    };
    if let Err(error) = read {
        eprintln!("parse: {error}");
        return ExitCode::FAILURE;
    }
    let message = Message::parse(octets);
    for name in ["From", "To", "Subject", "Date", "Message-ID"] {
        if let Some(field) = message.header().get(name) {
            println!("{name}: {}", field.text().trim());
        }
    }
    for part in message.parts() {
        let name = part.filename().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        println!("  {}{name}, {} octets", part.content_type(), part.decode().len());
    }
    for defect in message.defects() {
        println!("  {:?} at octet {}", defect.kind, defect.at);
    }
    ExitCode::SUCCESS
}
