//! The POP3 server of mailhost by itself, over the same data folder.

use std::process::ExitCode;

#[path = "mailhost/parts/mod.rs"]
mod parts;

use parts::config::Service::{Pop3, Pop3s};

fn main() -> ExitCode {
    parts::main("pop3d", "A POP3 server over the Maildirs of mailhost", &[Pop3, Pop3s])
}
