//! A whole mail host in one process: SMTP in, a durable queue, Maildirs, POP3 and IMAP out.
//!
//! `cargo run --release --example mailhost` starts it with no further ado, on ports above 2000 of this machine only.

use std::process::ExitCode;

mod parts;

use parts::config::Service::{Imap, Imaps, Pop3, Pop3s, Smtp, Smtps, Submission};

fn main() -> ExitCode {
    parts::main(
        "mailhost",
        "A whole mail host in one process: SMTP, submission, a durable queue, Maildirs, POP3 and IMAP",
        &[Smtp, Submission, Smtps, Pop3, Pop3s, Imap, Imaps],
    )
}
