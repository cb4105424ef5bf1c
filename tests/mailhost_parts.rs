//! The parts of mailhost have tests of their own, in them: `cargo test` builds examples, and does not run what is tested in them.
#![cfg(feature = "net")]
#![allow(dead_code)] // what nobody calls here mailhost does

#[path = "../examples/mailhost/parts/mod.rs"]
mod parts;
