//! Mailhost and the mail libraries that come with Python.
#![cfg(all(feature = "net", unix))]

mod support;

use std::process::Command;

use support::{Folder, Mailhost};

#[test]
fn pythons_libraries_send_and_read() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|python| python.status.success()) {
        return println!("skipped: there is no python3 here");
    }
    let folder = Folder::new("interop");
    let mailhost = Mailhost::start(&folder.0.join("data"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop_python.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(&mailhost.data);
    python.args(["submission", "imaps", "pop3s"].map(|service| &mailhost.listeners[service]));
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8(output.stderr).unwrap());
}
