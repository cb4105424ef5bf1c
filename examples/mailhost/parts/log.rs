//! The log: a line an event, in the manner of sendmail's maillog, on standard error.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::OnceLock;
use std::time::SystemTime;

use facteur::base::Timestamp;

/// Host and program, as they stand in each line.
static NAMES: OnceLock<String> = OnceLock::new();

/// Sets the names that stand in each line.
pub fn begin(program: &str, hostname: &str) {
    let host = hostname.split('.').next().unwrap_or(hostname);
    let _ = NAMES.set(format!("{host} {program}[{}]", std::process::id()));
}

/// Writes one line. Whatever a peer sent stands in it with its control characters escaped: a log line is one line.
pub fn write(id: &str, text: Arguments<'_>) {
    // "Sat Nov 21 19:48:22 2026"; sendmail's lines have neither the weekday nor the year.
    let now = Timestamp::from(SystemTime::now()).asctime().to_string();
    let mut line = format!("{} {}: ", now.get(4..19).unwrap_or(&now), NAMES.get().map_or("", String::as_str));
    for character in format!("{id}: {text}").chars() {
        if character.is_control() { line.extend(character.escape_default()) } else { line.push(character) }
    }
    line.push('\n');
    // One write a line, so that lines of several threads do not mix. Where nobody reads the log the mail still goes on.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// `log!(id, "from={}, size={}", …)`
macro_rules! log {
    ($id:expr, $($text:tt)*) => { crate::parts::log::write(&$id.to_string(), format_args!($($text)*)) };
}
pub(crate) use log;
