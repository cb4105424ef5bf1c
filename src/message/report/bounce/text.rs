//! Bounces that are written for people only: whom they speak of, and what they say of them.
//!
//! The rules, in the order in which they are tried:
//!
//! 1. What follows a line that announces the returned message is not looked at ([`RETURNED`]).
//! 2. Fields of a delivery report that stand in the text, because the report was broken on its way or was never in a part
//!    of its own, are read as such.
//! 3. A line that names a recipient by a label ([`LABELS`]), a line that begins with an address in brackets and a colon
//!    (qmail's QSBMF, Postfix, and who learned from them), and a line of a transcript (`550 <a@b>... no`).
//! 4. A line that begins with an address, where the text says somewhere that addresses failed ([`FAILED`]).
//!
//! All lines up to the next recipient are what was said of this one.

use std::collections::HashMap;

use super::phrases::{ANSWERED, DELAYED, FAILED, FAILED_ABROAD, LABELS, RETURNED};
use crate::address::Address;
use crate::message::report::fields::Fields;
use crate::message::report::{DeliveryReport, Limits};

/// What is kept of what was said of a recipient, in octets.
const MOST_SAID: usize = 2048;

/// A recipient found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) address: Address,
    /// What was said of them, line ends as spaces.
    pub(super) said: String,
}

/// The answer of a server that the text repeats.
pub(super) fn answer(folded: &str) -> Option<&str> {
    ANSWERED.iter().find_map(|phrase| Some(folded.split_once(phrase)?.1))
}

/// Whether the text announces failed recipients.
pub(super) fn announces_failure(folded: &str) -> bool {
    FAILED.iter().any(|phrase| folded.contains(phrase))
}

/// Whether it does so in words that are said of other things too.
pub(super) fn announces_failure_abroad(folded: &str) -> bool {
    FAILED_ABROAD.iter().any(|phrase| folded.contains(phrase))
}

/// Whether the text announces a delay only.
pub(super) fn announces_delay(folded: &str) -> bool {
    DELAYED.iter().any(|phrase| folded.contains(phrase)) && !folded.contains("permanent")
}

/// In lower case, on one line.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase().replace('\u{2019}', "'").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text up to where the returned message begins.
pub(super) fn head(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches(is_mark);
        let begins = |marker: &&str| {
            let start = bare.as_bytes().get(..marker.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(marker.as_bytes()))
        };
        // A field of a header stands at the start of its line.
        let field = |marker: &&str| !marker.contains(':') || bare.len() == line.len();
        if RETURNED.iter().any(|marker| begins(marker) && field(marker)) && at > 0 {
            return text.get(..at).unwrap_or_default();
        }
        at += line.len();
    }
    text
}

fn is_mark(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '*' | '=' | '>' | '|' | '#' | '_' | '+' | '•' | '※')
}

/// The delivery report whose fields stand in a text; `None` where there is no field that names a recipient.
pub(super) fn status(text: &str, limits: &Limits) -> Option<DeliveryReport> {
    let mut fields = String::new();
    let mut named = false;
    let mut open = false;
    for line in text.lines() {
        let name = line.split_once(':').map_or("", |(name, _)| name.trim_end());
        let known = STATUS_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
        let extension = open && name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
        let continued = open && line.starts_with([' ', '\t']);
        if known || extension || continued || line.trim().is_empty() {
            open |= known;
            named |= known && name.len() >= 15 && name.to_ascii_lowercase().ends_with("-recipient");
            fields.push_str(line);
            fields.push('\n');
        } else if open {
            // Anything else ends the group.
            open = false;
            fields.push('\n');
        }
    }
    named.then(|| DeliveryReport::from_groups(&Fields::read_groups(fields.as_bytes(), limits.fields), limits))
}

const STATUS_FIELDS: [&str; 12] = [
    "reporting-mta",
    "received-from-mta",
    "arrival-date",
    "original-envelope-id",
    "original-recipient",
    "final-recipient",
    "action",
    "status",
    "remote-mta",
    "diagnostic-code",
    "last-attempt-date",
    "will-retry-until",
];

/// The recipients that a text names, each once, at most `most`. `opened` says that addresses at the start of lines count.
pub(super) fn recipients(text: &str, opened: bool, most: usize) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some((address, rest)) = recipient(line, opened) {
            let key = address.to_string().to_lowercase();
            let place = match known.get(&key) {
                Some(place) => Some(*place),
                None if found.len() < most => {
                    known.insert(key, found.len());
                    found.push(Found { address, said: String::new() });
                    Some(found.len() - 1)
                }
                None => None,
            };
            current = place;
            say(&mut found, current, rest);
        } else {
            say(&mut found, current, line);
        }
    }
    found
}

fn say(found: &mut [Found], current: Option<usize>, line: &str) {
    let Some(Found { said, .. }) = current.and_then(|place| found.get_mut(place)) else { return };
    let line = line.trim_matches(|character: char| character.is_whitespace() || matches!(character, '=' | '*'));
    if line.is_empty() || said.len() + line.len() > MOST_SAID {
        return;
    }
    if !said.is_empty() {
        said.push(' ');
    }
    said.push_str(line);
}

/// The recipient that a line speaks of, and what it says besides.
fn recipient(line: &str, opened: bool) -> Option<(Address, &str)> {
    let bare = line.trim_start_matches(is_mark);
    // A transcript: `550 5.1.1 <a@b>... no`, `554 <a@b>: no`.
    let transcript =
        bare.trim_start_matches(|character: char| character.is_ascii_digit() || matches!(character, ' ' | '.'));
    if bare.len() - transcript.len() >= 4
        && bare.starts_with(['4', '5'])
        && let Some((address, rest)) = address(transcript)
        && (rest.starts_with("...") || rest.starts_with(':'))
    {
        return Some((address, bare));
    }
    if let Some((address, rest)) = address(bare) {
        // QSBMF: "recipient paragraphs begin with <"; `(expanded from <x>):` may stand between.
        let colon = rest.starts_with(':') || rest.trim_start().starts_with('(') && rest.contains("):");
        if opened || bare.starts_with('<') && colon {
            return Some((address, rest.trim_start_matches([':', ' ', '\t'])));
        }
    }
    let lower = bare.to_ascii_lowercase();
    LABELS.iter().find_map(|label| {
        let end = lower.find(label)? + label.len();
        let after = bare.get(end..)?.trim_start_matches([' ', '\t', ':']);
        Some((address(after)?.0, bare))
    })
}

/// The address at the start of a text, in brackets of either kind or quotes or bare, and what follows it.
fn address(text: &str) -> Option<(Address, &str)> {
    if let Some(inner) = text.strip_prefix('<') {
        let (inner, rest) = inner.split_once('>')?;
        let inner = inner.strip_prefix("mailto:").unwrap_or(inner);
        return Some((inner.trim().parse().ok()?, rest));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (inner, rest) = inner.split_once(']')?;
        let inner = inner.strip_prefix("SMTP:").unwrap_or(inner);
        return Some((inner.trim().parse().ok()?, rest));
    }
    if let Some((inner, rest)) = text.strip_prefix(['"', '\'']).and_then(|inner| inner.split_once(['"', '\''])) {
        return Some((inner.trim().parse().ok()?, rest));
    }
    let end = text.find(|character: char| character.is_whitespace() || "<>()[]\"',;:".contains(character));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let bare = word.trim_end_matches('.');
    bare.contains('@').then_some(())?;
    Some((bare.parse().ok()?, text.get(bare.len()..).filter(|_| word.len() != bare.len()).unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, opened: bool) -> Vec<String> {
        let found = recipients(text, opened, 10);
        found.iter().map(|found| format!("{}|{}", found.address, found.said)).collect()
    }

    #[test]
    fn lines_name_recipients() {
        for (text, opened, expected) in [
            ("<a@b.test>:\nno such user\n\n<c@d.test>:\nfull\n", false, vec!["a@b.test|no such user", "c@d.test|full"]),
            ("<a@b.test> (expanded from <c@d.test>): no\n", false, vec!["a@b.test|(expanded from <c@d.test>): no"]),
            ("  a@b.test\n    host x: 550 no\n", true, vec!["a@b.test|host x: 550 no"]),
            ("  a@b.test\n    host x: 550 no\n", false, vec![]),
            ("a@b.test: 550 no\n", true, vec!["a@b.test|550 no"]),
            ("\"a@b.test\":\nno\n", true, vec!["a@b.test|no"]),
            (" * a@b.test\n", true, vec!["a@b.test|"]),
            (">>> a@b.test <a@b.test>\n", true, vec!["a@b.test|<a@b.test>"]),
            ("    Recipient: <a@b.test>\n    <<< 550 no\n", false, vec!["a@b.test|Recipient: <a@b.test> <<< 550 no"]),
            (
                ">>> RCPT To:<a@b.test>\n<<< 550 no\n550 <a@b.test>... User unknown\n",
                false,
                vec!["a@b.test|RCPT To:<a@b.test> <<< 550 no 550 <a@b.test>... User unknown"],
            ),
            ("undeliverable to a@b.test\nno\n", false, vec!["a@b.test|undeliverable to a@b.test no"]),
            (
                "There was an error delivering your mail to <a@b.test>.\n",
                false,
                vec!["a@b.test|There was an error delivering your mail to <a@b.test>."],
            ),
            (" * [a@b.test]: 550 full\n", true, vec!["a@b.test|550 full"]),
            ("Recipient: [SMTP:a@b.test]\nno\n", false, vec!["a@b.test|Recipient: [SMTP:a@b.test] no"]),
            ("(Originally addressed to a@b.test)\n", false, vec!["a@b.test|(Originally addressed to a@b.test)"]),
            (
                "c=US;a= ;p=X;dda:SMTP=a@b.test; on Fri\n",
                false,
                vec!["a@b.test|c=US;a= ;p=X;dda:SMTP=a@b.test; on Fri"],
            ),
            ("Error-for:  a@b.test\n", false, vec!["a@b.test|Error-for:  a@b.test"]),
            ("Local mailbox a@b.test is unavailable\n", false, vec!["a@b.test|Local mailbox a@b.test is unavailable"]),
            ("A@b.test x\na@B.test y\n", true, vec!["A@b.test|x y"]),
            (">>> MAIL From:<a@b.test>\nplease write to <a@b.test>\n", true, vec![]),
        ] {
            assert_eq!(shown(text, opened), expected, "{text}");
        }
    }

    #[test]
    fn the_returned_message_is_not_looked_at() {
        for marker in [
            "--- Below this line is a copy of the message.",
            "------ This is a copy of the message, including all the headers. ------",
            "   ----- Unsent message follows -----",
            "----- Original message -----",
            "Message headers follow.",
            "Received: from x",
            "|------------------------- Message text follows: ------------------------|",
        ] {
            assert_eq!(head(&format!("No.\n{marker}\nTo: a@b.test\n")), "No.\n", "{marker}");
        }
        assert_eq!(head("We received: nothing\n below this\n"), "We received: nothing\n below this\n");
    }

    #[test]
    fn fields_of_reports_are_found_in_text() {
        let report = status(
            "Technical report:\n\nReporting-MTA: dsn; x\n\nAction: failed\nFinal-Recipient: rfc822; a@b.test\n\
             Diagnostic-Code: smtp; 550\n no\nX-More: 1\nStatus: 5.1.1\n\nThe end: now.\n",
            &Limits::default(),
        );
        let report = report.unwrap();
        assert_eq!(report.recipients.len(), 1);
        assert_eq!(report.recipients[0].diagnostic.as_ref().unwrap().value, "550 no");
        assert_eq!(report.recipients[0].other.iter().count(), 1);
        assert!(status("Status: green\nAction: none\n", &Limits::default()).is_none());
    }
}
