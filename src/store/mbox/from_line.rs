//! The line in front of a message: `From sender date`.

use std::fmt;

use crate::base::Timestamp;

/// Longer lines are no separators: a date stands at their end, and looking for it takes time.
const MAX_LINE: usize = 1000;
/// The date begins with one of the first words behind the sender; a sender may have spaces in it.
const MAX_WORDS: usize = 12;

/// The separator line of an mbox file, `From ` and so on.
///
/// ```
/// use facteur::store::mbox::FromLine;
///
/// let line = FromLine::parse(b"From root@mail.example Wed Feb 28 15:42:24 2007").unwrap();
/// assert_eq!(line.sender(), b"root@mail.example");
/// assert_eq!(line.date().unwrap().unix(), 1172677344);
/// assert_eq!(line.to_string(), "From root@mail.example Wed Feb 28 15:42:24 2007");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromLine {
    sender: Vec<u8>,
    date: Option<Timestamp>,
}

impl FromLine {
    /// A line for a sender (the reverse-path of the envelope, `MAILER-DAEMON` where that is empty) and the time of delivery.
    pub fn new(sender: &str, date: Timestamp) -> Self {
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        let sender: String = sender.chars().filter(|c| plain(*c)).take(MAX_LINE / 8).collect();
        let sender = if sender.is_empty() { "MAILER-DAEMON".to_owned() } else { sender };
        Self { sender: sender.into_bytes(), date: Some(date.at_offset(0)) }
    }

    /// Reads a line, its line end taken off; `None` where it does not begin with `From ` and a word. The date may be missing
    /// or broken, have a zone, or have words behind it (`remote from host`).
    pub fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(b"From ")?;
        if rest.trim_ascii().is_empty() {
            return None;
        }
        let date = if line.len() > MAX_LINE { None } else { date(rest) };
        let sender = match date {
            Some((at, _)) => rest.get(..at).unwrap_or_default(),
            None => rest.split(|octet| *octet == b' ').next().unwrap_or_default(),
        };
        Some(Self { sender: sender.trim_ascii().to_vec(), date: date.map(|(_, date)| date) })
    }

    /// Who sent the message, as the envelope said.
    pub fn sender(&self) -> &[u8] {
        &self.sender
    }

    /// When it was delivered; a line without a zone is read as UTC (RFC 4155 appendix A).
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }
}

/// Where the date begins, and the date: the first word from which one can be read.
fn date(rest: &[u8]) -> Option<(usize, Timestamp)> {
    let starts = rest.iter().enumerate().filter(|(at, octet)| {
        octet.is_ascii_alphabetic() && at.checked_sub(1).and_then(|before| rest.get(before)) == Some(&b' ')
    });
    starts.take(MAX_WORDS).find_map(|(at, _)| {
        let word = rest.get(at..)?;
        let known = DAYS.iter().chain(&MONTHS).any(|name| word.starts_with(name));
        known.then(|| Timestamp::parse_asctime(word).ok()).flatten().map(|date| (at, date))
    })
}

const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// As RFC 4155 writes it, in UTC; octets of the sender that are not UTF-8 are replaced.
impl fmt::Display for FromLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date.unwrap_or(Timestamp::from_unix(0)).at_offset(0);
        write!(f, "From {} {}", String::from_utf8_lossy(&self.sender), date.asctime())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_and_dates_are_found() {
        let time = Some(1_172_677_344);
        for (line, sender, date) in [
            ("From root@host Wed Feb 28 15:42:24 2007", "root@host", time),
            ("From root@host  Wed Feb 28 15:42:24 2007", "root@host", time),
            ("From root Wed Feb 28 15:42:24 GMT 2007 remote from uucp", "root", time),
            ("From \"a b\"@host Wed Feb 28 15:42:24 2007", "\"a b\"@host", time),
            ("From May Feb 28 15:42:24 2007", "May", time),
            ("From ???@??? Wed Feb 28 16:42:24 2007 +0100", "???@???", time),
            ("From me to you", "me", None),
            ("From root@host Wed Feb 99 15:42:24 2007", "root@host", None),
        ] {
            let parsed = FromLine::parse(line.as_bytes()).unwrap();
            assert_eq!(parsed.sender(), sender.as_bytes(), "{line}");
            assert_eq!(parsed.date().map(Timestamp::unix), date, "{line}");
        }
        for bad in ["From:", "From", "From ", "from a b", ">From a", "From  \t"] {
            assert_eq!(FromLine::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_one_line_that_reads_back() {
        let date = Timestamp::from_unix(1_172_677_344);
        for (sender, expected) in
            [("", "MAILER-DAEMON"), ("a b\r\nFrom c@d", "abFromc@d"), ("\u{e9}@example.org", "\u{e9}@example.org")]
        {
            let line = FromLine::new(sender, date);
            assert_eq!(line.to_string(), format!("From {expected} Wed Feb 28 15:42:24 2007"));
            assert_eq!(FromLine::parse(line.to_string().as_bytes()), Some(line));
        }
    }
}
