//! The part of a report for people, and what may stand in a line of it.

use std::fmt::Write;

use super::{News, Success};
use crate::base::Timestamp;
use crate::spool::{Entry, Pending};

/// Lines of a report are folded here, where they can be (RFC 5322 §2.1.1).
const FOLD: usize = 78;
/// What comes from elsewhere is cut after so many octets, here and in control files: a line of a message has at most 998
/// (RFC 5322 §2.1.1), and what a server says of each of a thousand recipients must not make an entry too large to be read.
pub(super) const MAX_WORDS: usize = 900;

/// The part for people.
pub(super) fn words(entry: &Entry, told: &[&Pending], now: Timestamp, news: News) -> String {
    let mut out = String::new();
    // A String takes all that is written to it, here and below.
    let _ =
        write!(out, "The original message was received at {}\r\nand is kept as {}\r\n\r\n", entry.arrived, entry.id);
    if let News::Delayed(until) = news {
        let _ = write!(
            out,
            "    **********************************************\r\n\
             \x20   **      THIS IS A WARNING MESSAGE ONLY      **\r\n\
             \x20   **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **\r\n\
             \x20   **********************************************\r\n\r\n\
             It will be tried until {until}\r\n\r\n"
        );
    }
    out.push_str(match news {
        News::Failed => "   ----- The following addresses had permanent fatal errors -----\r\n",
        News::Delayed(_) => "   ----- The following addresses had transient non-fatal errors -----\r\n",
        News::Arrived(_) => "   ----- The following addresses had successful delivery notifications -----\r\n",
    });
    if let News::Arrived(how) = news {
        let how = match how {
            Success::Delivered => "successfully delivered to mailbox",
            Success::Relayed => "relayed to non-DSN-aware mailer",
            Success::Expanded => "expanded by mailing list",
        };
        for Pending { recipient, .. } in told {
            fold(&mut out, &format!("{}  ({how})", one_line(&recipient.to.to_string())));
        }
        return out;
    }
    for Pending { recipient, failure } in told {
        fold(&mut out, &one_line(&recipient.to.to_string()));
        if let Some(failure) = failure {
            fold(&mut out, &format!("    (reason: {})", one_line(&failure.text)));
        }
    }
    out.push_str("\r\n   ----- Transcript of session follows -----\r\n");
    let mut last = None;
    for pending in told {
        let Pending { recipient, failure } = pending;
        let Some(failure) = failure else {
            fold(&mut out, &format!("{}... not tried", one_line(&recipient.to.to_string())));
            continue;
        };
        if let Some(remote) = &failure.remote {
            if last != Some(remote) {
                let _ = write!(out, "... while talking to {}:\r\n", one_line(remote));
                last = Some(remote);
            }
            fold(&mut out, &format!("<<< {}", one_line(&failure.text)));
        }
        let to = one_line(&recipient.to.to_string());
        fold(&mut out, &format!("{} {to}... {}", super::code(entry, pending, now, news), one_line(&failure.text)));
    }
    out
}

/// How old a message is, in its largest whole unit.
pub(super) fn age(entry: &Entry, now: Timestamp) -> String {
    let seconds = now.unix().saturating_sub(entry.arrived.unix()).max(0);
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3600.. => (seconds / 3600, "hour"),
        _ => (seconds / 60, "minute"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Whether octets may stand in a message of 8BITMIME: lines of at most 998 octets that end with CRLF, no NUL.
pub(super) fn is_clean(octets: &[u8]) -> bool {
    let lines = octets.split_inclusive(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line));
    lines.into_iter().all(|line| line.len() <= 998 && !line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)))
}

/// Adds a line and its end; where it is long it is folded at spaces.
fn fold(out: &mut String, line: &str) {
    let mut width = 0;
    for (number, word) in line.split(' ').enumerate() {
        if number > 0 {
            if width > 0 && width + 1 + word.len() > FOLD && !word.is_empty() {
                out.push_str("\r\n");
                width = 0;
            }
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += word.len();
    }
    out.push_str("\r\n");
}

fn cut(text: &str) -> &str {
    let end = (0..=MAX_WORDS.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Control characters as spaces: what comes from elsewhere must not begin a line of its own.
pub(in crate::spool) fn one_line(text: &str) -> String {
    cut(text).replace(|character: char| character.is_control(), " ")
}

/// What message/delivery-status may hold: one line of printable ASCII.
pub(super) fn ascii(text: &str) -> String {
    cut(text).replace(|character: char| !matches!(character, ' '..='~'), "?")
}
