//! Changes to a control file: lines are set, added and taken out where sendmail would have them, and all others stay.
//!
//! The queue writes so what a try leaves behind: how often, when next, and who is still to be reached.

use bytes::Bytes;

use super::{ControlFile, ControlRecipient, Line, macro_parts, recipient_lines};
use crate::smtp::Recipient;

/// What changes a control file; the lines that are not named stay where they are.
impl ControlFile {
    /// The lines of a new file, from those that come after the version.
    pub(crate) fn of(lines: impl IntoIterator<Item = Line>) -> Self {
        let version = Line { code: b'V', text: Bytes::from_static(b"8") };
        let mut control = Self { lines: vec![version] };
        control.lines.extend(lines);
        control
    }

    /// Sets the line of that letter, which stands once, or takes it out.
    pub(crate) fn set(&mut self, code: u8, value: Option<impl Into<Bytes>>) {
        let Some(value) = value else {
            self.lines.retain(|line| line.code != code);
            return;
        };
        let line = Line { code, text: value.into() };
        match self.lines.iter_mut().find(|line| line.code == code) {
            Some(held) => *held = line,
            None => {
                let place = self.lines.iter().position(|held| rank(held.code) > rank(code));
                self.lines.insert(place.unwrap_or(self.lines.len()), line);
            }
        }
    }

    /// Adds or takes away a letter of the `F` line.
    pub(crate) fn set_flag(&mut self, flag: u8, present: bool) {
        if self.has_flag(flag) != present {
            let mut flags = self.flags().to_vec();
            flags.retain(|held| *held != flag);
            flags.extend(present.then_some(flag));
            self.set(b'F', Some(flags));
        }
    }

    /// Replaces all macros of that name, which has more than one letter, by one for each value.
    pub(crate) fn set_macros(&mut self, name: &str, values: impl IntoIterator<Item = Vec<u8>>) {
        self.lines.retain(|line| {
            line.code != b'$' || macro_parts(&line.text).is_none_or(|(held, _)| held != name.as_bytes())
        });
        let place = self.lines.iter().position(|held| rank(held.code) > rank(b'$')).unwrap_or(self.lines.len());
        let lines = values
            .into_iter()
            .map(|value| Line { code: b'$', text: [b"{", name.as_bytes(), b"}", &value].concat().into() });
        self.lines.splice(place..place, lines);
    }

    /// Replaces the recipients. Those that are there already keep their lines as they are.
    pub(crate) fn set_recipients(&mut self, wanted: &[Recipient]) {
        let held: Vec<_> = self.recipients().iter().map(ControlRecipient::recipient).collect();
        let mut kept = vec![false; held.len()];
        let mut added = Vec::new();
        // Those wanted come in the order of those held, as a rule: each is found by going on from the last.
        let mut from = 0;
        for recipient in wanted {
            let same = |place: &usize| held.get(*place).and_then(Option::as_ref) == Some(recipient);
            let found = (from..held.len()).chain(0..from).find(|place| same(place) && !kept[*place]); // kept is as long as held
            match found {
                Some(place) => {
                    kept[place] = true; // kept is as long as held
                    from = place + 1;
                }
                None => added.extend(recipient_lines(recipient)),
            }
        }
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut waiting = Vec::new();
        let mut kept = kept.into_iter();
        let mut end = None;
        for line in self.lines.drain(..) {
            match line.code {
                b'Q' | b'r' => waiting.push(line),
                b'R' => {
                    if kept.next() == Some(true) {
                        lines.append(&mut waiting);
                        lines.push(line);
                    }
                    waiting.clear();
                    end = Some(lines.len());
                }
                _ => lines.push(line),
            }
        }
        let end = end.or_else(|| lines.iter().position(|line| rank(line.code) > rank(b'R'))).unwrap_or(lines.len());
        lines.splice(end..end, added);
        self.lines = lines;
    }
}

/// The place of a letter in the order in which sendmail writes them.
fn rank(code: u8) -> usize {
    b"VTKNPIBMF$qSZA!CQrRH".iter().position(|known| *known == code).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::{ForwardPath, Notify, OriginalRecipient};
    use crate::spool::qf::tests::EVERYTHING;

    #[test]
    fn changes_leave_the_other_lines_where_they_are() {
        let mut control = ControlFile::parse(EVERYTHING).unwrap();
        let root = control.recipients()[1].recipient().unwrap();
        let new = Recipient::from(ForwardPath::Postmaster);
        control.set_recipients(&[root, new]);
        control.set(b'N', Some("2"));
        control.set(b'M', None::<Bytes>);
        control.set(b'L', Some("unknown letters come first"));
        control.set_flag(b'w', true);
        control.set_flag(b'n', false);
        control.set_macros("facteur_next", [b"1".to_vec()]);
        control.set_macros("facteur_next", [b"2".to_vec(), b"3".to_vec()]);
        let expected = String::from_utf8_lossy(EVERYTHING)
            .replace("N1\n", "N2\n")
            .replace("MDeferred: timed out\n", "")
            .replace("Fbdns\n", "Fbdsw\n")
            .replace("c u\n", "c u\n${facteur_next}2\n${facteur_next}3\n")
            .replace("Qrfc822;Bob+2Bx@b.test\nrRFC822; bob@b.test\nRPNSF:<bob@b.test>\n", "")
            .replace("RPN:\"|/bin/prog arg\"\n", "rRFC822; Postmaster\nRPFD:<Postmaster>\n");
        let written = control.write();
        let written = String::from_utf8_lossy(&written);
        assert_eq!(written.replace("Lunknown letters come first\n", ""), expected);
        assert_eq!(ControlFile::parse(&control.write()), Ok(control));
    }

    #[test]
    fn recipients_written_read_back_as_the_same() {
        let mut plain = Recipient::from(ForwardPath::Address("\"a b\"@b.test".parse().unwrap()));
        let mut never = Recipient::from(ForwardPath::Postmaster);
        never.params.notify = Some(Notify::default());
        plain.params.orcpt =
            Some(OriginalRecipient { kind: "utf-8".into(), address: "caf\u{e9}+=\\x{E9} \u{7f}@b.test".into() });
        let mut control = ControlFile::of([]);
        control.set_recipients(&[plain.clone(), never.clone()]);
        let read = ControlFile::parse(&control.write()).unwrap();
        let read: Vec<_> = read.recipients().iter().filter_map(ControlRecipient::recipient).collect();
        assert_eq!(read, [plain, never]);
    }
}
