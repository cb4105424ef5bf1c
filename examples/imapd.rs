//! The IMAP server of mailhost by itself, over the same data folder.

use std::process::ExitCode;

#[path = "mailhost/parts/mod.rs"]
mod parts;

use parts::config::Service::{Imap, Imaps};

fn main() -> ExitCode {
    parts::main("imapd", "An IMAP server over the Maildirs of mailhost", &[Imap, Imaps])
}
