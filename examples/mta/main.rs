//! The mail transfer agent of mailhost by itself: SMTP and submission in, the queue, delivery and relay, over the same data
//! folder.

use std::process::ExitCode;

#[path = "../mailhost/parts/mod.rs"]
mod parts;

use parts::config::Service::{Smtp, Smtps, Submission};

fn main() -> ExitCode {
    parts::main("mta", "SMTP and submission in, a durable queue, delivery and relay out", &[Smtp, Submission, Smtps])
}
