//! Removes attachments: `strip .exe .scr`, the message on standard input and without them on standard output.

use std::io::{Read, Write};
use std::process::ExitCode;

use facteur::message::{Edit, EditError, Message, NewPart, Protected, edit::Edited};

fn main() -> ExitCode {
    let suffixes: Vec<_> = std::env::args().skip(1).map(|suffix| suffix.to_lowercase()).collect();
    if suffixes.is_empty() || suffixes.iter().any(|suffix| matches!(suffix.as_str(), "--help" | "-h")) {
        eprintln!(
            "usage: strip SUFFIX... < MESSAGE\n\nPuts a notice in the place of each attachment whose name ends so."
        );
        return ExitCode::FAILURE;
    }
    let mut octets = Vec::new();
    let done = match std::io::stdin().read_to_end(&mut octets) {
        Ok(_) => strip(&Message::parse(octets), &suffixes),
        Err(error) => return failed(&error),
    };
    let written = match done {
        Ok(edited) => edited.write_to(&mut std::io::stdout().lock()).and_then(|()| std::io::stdout().flush()),
        Err(error) => return failed(&error),
    };
    written.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn strip(message: &Message, suffixes: &[String]) -> Result<Edited, EditError> {
    // What is dangerous goes from a signed message too.
    let mut edit = Edit::new(message).protected(Protected::Edit);
    for part in message.parts() {
        // Uuencoded files and those of a winmail.dat go with the part that they are in.
        let names = part.filename().into_iter().map(|name| name.to_string());
        let mut names = names.chain(part.enclosed().into_iter().map(|file| file.name));
        let Some(name) = names.find(|name| suffixes.iter().any(|suffix| name.to_lowercase().ends_with(suffix))) else {
            continue;
        };
        let name: String = name.chars().filter(|character| !character.is_control()).collect();
        match edit.replace(part, NewPart::text("plain", format!("The attachment \"{name}\" was removed.\n"))) {
            // The message around it was replaced already.
            Ok(()) | Err(EditError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    edit.finish()
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("strip: {error}");
    ExitCode::FAILURE
}
