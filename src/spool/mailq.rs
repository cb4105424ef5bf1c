//! What `mailq` prints, in sendmail's words and columns.

use std::fmt::Write;

use crate::base::Timestamp;
use crate::spool::QueueId;
use crate::spool::qf::ControlFile;

/// One entry to be listed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub id: QueueId,
    /// Its control file.
    pub control: ControlFile,
    /// The size of its data file in octets.
    pub data_size: u64,
    /// Somebody holds it: shown as `*`. Default: nobody.
    pub claimed: bool,
}

impl Listed {
    /// An entry that nobody holds.
    pub fn new(id: QueueId, control: ControlFile, data_size: u64) -> Self {
        Self { id, control, data_size, claimed: false }
    }
}

/// A listing of a queue.
///
/// ```
/// use facteur::spool::mailq::{Listed, Mailq};
/// use facteur::spool::qf::ControlFile;
///
/// let control = ControlFile::parse(b"V8\nT1172593995\nP30335\nS<ada@a.test>\nRPFD:<bob@b.test>\n.\n")?;
/// let mailq = Mailq::new("/var/spool/mqueue", vec![Listed::new("l248JX3n004416".parse()?, control, 307)]);
/// assert_eq!(
///     mailq.brief(),
///     "\t\t/var/spool/mqueue (1 request)\n\
///      -----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------\n\
///      l248JX3n004416      307 Tue Feb 27 16:33 <ada@a.test>\n\
///      \t\t\t\t\t <bob@b.test>\n\
///      \t\tTotal requests: 1\n"
/// );
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mailq {
    /// The name that the queue is shown under.
    pub directory: String,
    /// The entries, the most urgent first.
    pub entries: Vec<Listed>,
    /// The clock that times are shown by, in minutes east of UTC. Default 0.
    pub offset: i16,
}

/// What differs between `mailq` and `mailq -v`.
struct Columns {
    title: &'static str,
    sender: usize,
    reason: usize,
    recipient: usize,
    before_recipient: &'static str,
}

const BRIEF: Columns = Columns {
    title: "-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------",
    sender: 39,
    reason: 60,
    recipient: 38,
    before_recipient: "\t\t\t\t\t ",
};
const VERBOSE: Columns = Columns {
    title: "-----Q-ID----- --Size-- -Priority- ---Q-Time--- --------Sender/Recipient--------",
    sender: 78,
    reason: 100,
    recipient: 71,
    before_recipient: "\t\t\t\t\t\t",
};

impl Mailq {
    /// A listing of these entries, put in order, with times in UTC.
    pub fn new(directory: impl Into<String>, mut entries: Vec<Listed>) -> Self {
        entries.sort_by_cached_key(|entry| {
            (entry.control.priority(), entry.control.arrived().map_or(0, Timestamp::unix), entry.id.clone())
        });
        Self { directory: directory.into(), entries, offset: 0 }
    }

    /// What `mailq` prints.
    pub fn brief(&self) -> String {
        self.print(&BRIEF, |entry, since| format!("{:>8} {:.16} ", entry.data_size, since))
    }

    /// What `mailq -v` prints.
    pub fn verbose(&self) -> String {
        self.print(&VERBOSE, |entry, since| {
            let warned = if entry.control.has_flag(b'w') { '+' } else { ' ' };
            let since = since.get(4..).unwrap_or_default(); // the day of the week and its space go
            format!("{:>8} {:>10}{warned}{since:.12} ", entry.data_size, entry.control.priority())
        })
    }

    fn print(&self, columns: &Columns, numbers: impl Fn(&Listed, &str) -> String) -> String {
        let mut out = match self.entries.len() {
            0 => format!("{} is empty\n", self.directory),
            1 => format!("\t\t{} (1 request)\n{}\n", self.directory, columns.title),
            count => format!("\t\t{} ({count} requests)\n{}\n", self.directory, columns.title),
        };
        for entry in &self.entries {
            let control = &entry.control;
            let arrived = control.arrived().unwrap_or(Timestamp::from_unix(0)).unix();
            let since = Timestamp::from_unix(arrived + i64::from(self.offset) * 60).asctime().to_string();
            let mark = if entry.claimed { '*' } else { ' ' };
            // A String takes all that is written to it, here and below.
            let _ = write!(out, "{:>13}{mark}{}", entry.id, numbers(entry, &since));
            show(&mut out, control.value(b'S').map_or(&[], |sender| sender), columns.sender);
            if let Some(reason) = control.quarantine() {
                out.push_str("\n     QUARANTINE: ");
                show(&mut out, reason, columns.reason);
            }
            let body = control.value(b'B');
            if control.message().is_some() || body.is_some() {
                let mut name = String::new();
                show(&mut name, body.map_or(&[], |body| body), 10);
                let _ = write!(out, "\n    {name:>10}");
            }
            if let Some(message) = control.message() {
                out.push_str("   (");
                show(&mut out, message, columns.reason);
                out.push(')');
            }
            for recipient in control.recipients() {
                let _ = write!(out, "\n{}", columns.before_recipient);
                show(&mut out, &recipient.address, columns.recipient);
            }
            out.push('\n');
        }
        let _ = writeln!(out, "\t\tTotal requests: {}", self.entries.len());
        out
    }
}

/// At most `width` columns of `text`; what a terminal could take for a command is shown in octal.
fn show(out: &mut String, text: &[u8], width: usize) {
    let mut left = width;
    for octet in text {
        let piece = match octet {
            b'\\' => "\\\\".to_owned(),
            b' '..=b'~' => char::from(*octet).to_string(),
            _ => format!("\\{octet:03o}"),
        };
        if piece.len() > left {
            return;
        }
        left -= piece.len();
        out.push_str(&piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, text: &[u8]) -> Listed {
        Listed::new(id.parse().unwrap(), ControlFile::parse(text).unwrap(), 6)
    }

    #[test]
    fn entries_come_in_the_order_of_their_priority() {
        let mailq = Mailq::new(
            "q",
            vec![listed("b", b"V8\nP2\n.\n"), listed("c", b"V8\nP1\nT2\n.\n"), listed("a", b"V8\nP1\nT1\n.\n")],
        );
        let ids: Vec<_> = mailq.entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids, ["a", "c", "b"]);
    }

    #[test]
    fn reasons_stand_under_the_sender() {
        let text = b"V8\nT0\nP7\nB8BITMIME\nMDeferred\nFw\nqa \x1b[2J\nS<ada@a.test>\nRPFD:<bob@b.test>\n.\n";
        let mut entry = listed("l248JX3n004416", text);
        entry.claimed = true;
        let mailq = Mailq { offset: 90, ..Mailq::new("q", vec![entry]) };
        assert_eq!(
            mailq.verbose(),
            "\t\tq (1 request)\n\
             -----Q-ID----- --Size-- -Priority- ---Q-Time--- --------Sender/Recipient--------\n\
             l248JX3n004416*       6          7+Jan  1 01:30 <ada@a.test>\n     QUARANTINE: a \\033[2J\n      8BITMIME   (Deferred)\n\
             \t\t\t\t\t\t<bob@b.test>\n\
             \t\tTotal requests: 1\n"
        );
    }

    #[test]
    fn long_addresses_are_cut_to_their_column() {
        let long = format!("V8\nS{}\nRPFD:{}\n.\n", "~".repeat(100), "w".repeat(100));
        let text = Mailq::new("q", vec![listed("a", long.as_bytes())]).brief();
        assert_eq!((text.matches('~').count(), text.matches('w').count()), (39, 38));
        assert_eq!(Mailq::new("q", vec![]).brief(), "q is empty\n\t\tTotal requests: 0\n");
    }
}
