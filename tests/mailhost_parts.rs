//! The parts of mailhost that have tests of their own: `cargo test` builds examples, and does not run what is tested in them.
#![cfg(feature = "net")]

#[path = "../examples/mailhost/parts/guesses.rs"]
mod guesses;
