//! sendmail's queue control file, `qf`, version 8: text in, lines out, and back to the same octets.
//!
//! A control file is lines of one letter and its value; a line that begins with a space or a tab goes on with the one before;
//! a line `.` is the last. [`ControlFile`] keeps every line as it stands, those that it does not know too, and
//! the methods read them. The format is that of sendmail 8.17 as its files show it.
//!
//! Left out on purpose: forms older than version 1, where recipients had no flags.

mod change;

use bytes::Bytes;

use crate::address::Address;
use crate::base::{ParseError, Timestamp};
use crate::smtp::{Body, ForwardPath, Notify, OriginalRecipient, RcptParams, Recipient, Ret, ReversePath};

/// The macro `$g` as it stands in a field that is still to be filled in: the reverse-path of the envelope.
pub const SENDER_MACRO: &[u8] = b"\x81g";

/// The latest version of the format that is read.
const VERSION: u32 = 8;

/// A control file, line by line.
///
/// ```
/// use facteur::spool::qf::ControlFile;
///
/// let text = b"V8\nT1172593995\nK0\nN0\nP30335\nFbs\nS<ada@a.test>\nrRFC822; bob@b.test\nRPFD:<bob@b.test>\nH??Subject: x\n.\n";
/// let control = ControlFile::parse(text)?;
/// assert_eq!(control.sender().map(|from| from.to_string()).as_deref(), Some("<ada@a.test>"));
/// assert_eq!(control.recipients()[0].path().map(|to| to.to_string()).as_deref(), Some("<bob@b.test>"));
/// assert_eq!(control.write(), text);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlFile {
    lines: Vec<Line>,
}

/// A line of a control file: its letter, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The letter, or `$`, `!`.
    pub code: u8,
    /// What follows, without the line end; where the line goes on in others it holds LF and what these begin with.
    pub text: Bytes,
}

/// One `R` line, with the `r` and `Q` lines that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRecipient {
    /// The letters before the colon: `P` primary, `N` NOTIFY was given, `S` `F` `D` success, failure, delay.
    pub flags: Bytes,
    /// The address as it was given: `<bob@b.test>`, `bob@b.test (Bob)`, `<root>`, `"|/usr/bin/procmail"`.
    pub address: Bytes,
    /// The `r` line: `RFC822; bob@b.test`.
    pub final_recipient: Option<Bytes>,
    /// The `Q` line: `rfc822;Bob@b.test`, in xtext.
    pub original: Option<Bytes>,
}

/// One `H` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlField {
    /// What stands between question marks: mailer flags that the field depends on, `P`; empty as a rule.
    pub condition: Bytes,
    /// The field, its lines parted by LF, no line end at its end.
    pub field: Bytes,
}

/// The `!` line: deliver within a time, or return it (RFC 2852).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// sendmail's flags for the mode and the trace: [`NOTIFY`](Self::NOTIFY), [`RETURN`](Self::RETURN),
    /// [`TRACE`](Self::TRACE).
    pub flags: u8,
    /// The time in seconds, counted from the arrival.
    pub seconds: i64,
}

impl DeliverBy {
    /// Mode `N`: the sender is told when the time is over.
    pub const NOTIFY: u8 = 0x01;
    /// Mode `R`: it goes back when the time is over.
    pub const RETURN: u8 = 0x02;
    /// `T`: relays are told.
    pub const TRACE: u8 = 0x10;
}

impl ControlFile {
    /// Reads a control file.
    ///
    /// # Errors
    /// Where it does not begin with a version that is known or does not end with the line `.` (it is cut short, then), or a line has no letter.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let Some(rest) = text.strip_suffix(b"\n.\n") else {
            return Err(ParseError { expected: "a line with a dot at the end", at: text.len() });
        };
        let mut lines: Vec<Line> = Vec::new();
        let mut start = 0; // of the line that is not yet ended
        let mut at = 0;
        for piece in rest.split(|octet| *octet == b'\n').chain([&b"."[..]]) {
            let goes_on = matches!(piece, [b' ' | b'\t', ..]);
            if !goes_on && at > 0 {
                let [code, value @ ..] = rest.get(start..at - 1).unwrap_or_default() else {
                    return Err(ParseError { expected: "a letter", at: start });
                };
                if *code == b'.' || (matches!(code, b' ' | b'\t')) {
                    return Err(ParseError { expected: "a letter", at: start });
                }
                lines.push(Line { code: *code, text: Bytes::copy_from_slice(value) });
                start = at;
            }
            at += piece.len() + 1;
        }
        let control = Self { lines };
        match control.lines.first() {
            Some(Line { code: b'V', .. }) if (1..=VERSION).contains(&control.version()) => Ok(control),
            _ => Err(ParseError { expected: "a version from 1 to 8", at: 0 }),
        }
    }

    /// Writes the file: what [`parse`](Self::parse) read, octet by octet.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.lines.iter().map(|line| line.text.len() + 2).sum::<usize>() + 2);
        for line in &self.lines {
            out.push(line.code);
            out.extend_from_slice(&line.text);
            out.push(b'\n');
        }
        out.extend_from_slice(b".\n");
        out
    }

    /// The lines in their order, without the dot.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The first line of that letter, without the letter.
    pub fn value(&self, code: u8) -> Option<&Bytes> {
        self.lines.iter().find(|line| line.code == code).map(|line| &line.text)
    }

    /// `V`: the version of the format; 0 where it says nothing that is a number.
    pub fn version(&self) -> u32 {
        self.number(b'V').unwrap_or(0)
    }

    /// `T`: when the message arrived.
    pub fn arrived(&self) -> Option<Timestamp> {
        self.number(b'T').map(Timestamp::from_unix)
    }

    /// `K`: when it was tried last; `None` where it was not.
    pub fn last_try(&self) -> Option<Timestamp> {
        self.number(b'K').filter(|unix| *unix != 0).map(Timestamp::from_unix)
    }

    /// `N`: how often it was tried.
    pub fn tries(&self) -> u32 {
        self.number(b'N').unwrap_or(0)
    }

    /// `P`: the priority, the lower the more urgent.
    pub fn priority(&self) -> i64 {
        self.number(b'P').unwrap_or(0)
    }

    /// `I`: major and minor number of the disk and the inode of the data file.
    pub fn inode(&self) -> Option<(u64, u64, u64)> {
        let mut parts = text(self.value(b'I')?)?.split('/').map(|part| part.parse().ok());
        let inode = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(inode)
    }

    /// `B`: the type of the body; `None` where nothing was said, or nothing that is known.
    pub fn body(&self) -> Option<Body> {
        let value = self.value(b'B')?;
        let known =
            [(&b"7BIT"[..], Body::SevenBit), (b"8BITMIME", Body::EightBitMime), (b"BINARYMIME", Body::BinaryMime)];
        known.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, body)| body)
    }

    /// `M`: what kept the message, for people.
    pub fn message(&self) -> Option<&Bytes> {
        self.value(b'M')
    }

    /// `F`: `b` Bcc is to be removed, `d` RET was given, `n` and it is HDRS, `e` SMTPUTF8, `r` it is a bounce, `s` it was split, `w` the sender was warned,
    /// `8` there are octets beyond ASCII.
    pub fn flags(&self) -> &[u8] {
        self.value(b'F').map_or(&[], |flags| flags)
    }

    /// Whether `flag` is among the [`flags`](Self::flags).
    pub fn has_flag(&self, flag: u8) -> bool {
        self.flags().contains(&flag)
    }

    /// What RET said, as the flags tell it.
    pub fn ret(&self) -> Option<Ret> {
        self.has_flag(b'd').then(|| if self.has_flag(b'n') { Ret::Hdrs } else { Ret::Full })
    }

    /// `$`: the macros, their names without `$` and braces.
    pub fn macros(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().filter(|line| line.code == b'$').filter_map(|line| macro_parts(&line.text))
    }

    /// The value of a macro, the first of that name.
    pub fn macro_value(&self, name: &str) -> Option<&[u8]> {
        self.macros().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    /// `q`: why it is quarantined.
    pub fn quarantine(&self) -> Option<&Bytes> {
        self.value(b'q')
    }

    /// `S`: the sender as an address; `None` where there is none or it is none, a bare `root` perhaps.
    pub fn sender(&self) -> Option<ReversePath> {
        reverse_path(self.value(b'S')?)
    }

    /// `Z`: ENVID as it came, in xtext.
    pub fn envid(&self) -> Option<&Bytes> {
        self.value(b'Z')
    }

    /// `A`: AUTH= of MAIL, or who submitted it on this machine.
    pub fn auth(&self) -> Option<&Bytes> {
        self.value(b'A')
    }

    /// `!`: how long delivery may take.
    pub fn deliver_by(&self) -> Option<DeliverBy> {
        let [flags, b' ', seconds @ ..] = &self.value(b'!')?[..] else { return None };
        Some(DeliverBy { flags: *flags, seconds: text(seconds)?.parse().ok()? })
    }

    /// `R` with `r` and `Q`: the recipients in their order.
    pub fn recipients(&self) -> Vec<ControlRecipient> {
        let (mut original, mut final_recipient) = (None, None);
        let mut recipients = Vec::new();
        for line in &self.lines {
            match line.code {
                b'Q' => original = Some(line.text.clone()),
                b'r' => final_recipient = Some(line.text.clone()),
                b'R' => {
                    let colon = line.text.iter().position(|octet| *octet == b':');
                    let (flags, address) = match colon {
                        Some(at) => (line.text.slice(..at), line.text.slice(at + 1..)),
                        None => (Bytes::new(), line.text.clone()),
                    };
                    let (original, final_recipient) = (original.take(), final_recipient.take());
                    recipients.push(ControlRecipient { flags, address, final_recipient, original });
                }
                _ => {}
            }
        }
        recipients
    }

    /// `H`: the header fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = ControlField> {
        self.lines.iter().filter(|line| line.code == b'H').map(|line| {
            let end = match &line.text[..] {
                [b'?', rest @ ..] => rest.iter().position(|octet| *octet == b'?'),
                _ => None,
            };
            match end {
                Some(end) => ControlField { condition: line.text.slice(1..=end), field: line.text.slice(end + 2..) },
                None => ControlField { condition: Bytes::new(), field: line.text.clone() },
            }
        })
    }

    fn number<T: std::str::FromStr>(&self, code: u8) -> Option<T> {
        text(self.value(code)?)?.parse().ok()
    }
}

impl ControlRecipient {
    /// Where it goes: the address that was given, or the one that the `r` line says where that has no domain or is more
    /// than an address. `None` where neither is an address: a program, a file.
    pub fn path(&self) -> Option<ForwardPath> {
        forward_path(&self.address).or_else(|| {
            let final_recipient = self.final_recipient.as_ref()?;
            let colon = final_recipient.iter().position(|octet| *octet == b';')?;
            forward_path(final_recipient.get(colon + 1..)?.trim_ascii())
        })
    }

    /// What NOTIFY said; `None` where nothing was said.
    pub fn notify(&self) -> Option<Notify> {
        let has = |flag| self.flags.contains(&flag);
        has(b'N').then(|| Notify { success: has(b'S'), failure: has(b'F'), delay: has(b'D') })
    }

    /// What ORCPT said; where its encoding is broken, as it stands.
    pub fn orcpt(&self) -> Option<OriginalRecipient> {
        let original = self.original.as_ref()?;
        OriginalRecipient::parse(original).ok().or_else(|| {
            let (kind, address) = text(original)?.split_once(';')?;
            Some(OriginalRecipient { kind: kind.into(), address: address.into() })
        })
    }

    /// The recipient as the envelope has it; `None` where there is no address.
    pub fn recipient(&self) -> Option<Recipient> {
        let mut recipient = Recipient { to: self.path()?, params: RcptParams::default() };
        recipient.params.notify = self.notify();
        recipient.params.orcpt = self.orcpt();
        Some(recipient)
    }
}

/// The `Q`, `r` and `R` lines of a recipient.
pub(crate) fn recipient_lines(recipient: &Recipient) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |code, text: String| lines.push(Line { code, text: text.into() });
    if let Some(original) = &recipient.params.orcpt {
        line(b'Q', original.to_string());
    }
    match &recipient.to {
        ForwardPath::Postmaster => line(b'r', "RFC822; Postmaster".into()),
        ForwardPath::Address(address) => line(b'r', format!("RFC822; {address}")),
    }
    let mut flags = String::from("P");
    // Where nothing is said, failure and delay are told (RFC 3461 §4.1).
    let told = recipient.params.notify.unwrap_or(Notify { success: false, failure: true, delay: true });
    let given = [(recipient.params.notify.is_some(), 'N'), (told.success, 'S'), (told.failure, 'F'), (told.delay, 'D')];
    flags.extend(given.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
    line(b'R', format!("{flags}:{}", recipient.to));
    lines
}

/// The path of an `S` or `A` line: `<ada@a.test>`, `ada@a.test`, `<>`.
pub(crate) fn reverse_path(value: &[u8]) -> Option<ReversePath> {
    match bare(value) {
        b"" => Some(ReversePath::Null),
        address => Address::parse(address).ok().map(ReversePath::Address),
    }
}

fn forward_path(value: &[u8]) -> Option<ForwardPath> {
    let address = match bare(value) {
        // A source route is read and not followed (RFC 5321 appendix C).
        route @ [b'@', ..] => route.iter().position(|octet| *octet == b':').and_then(|colon| route.get(colon + 1..))?,
        address => address,
    };
    match Address::parse(address) {
        Ok(address) => Some(ForwardPath::Address(address)),
        Err(_) if address.eq_ignore_ascii_case(b"postmaster") => Some(ForwardPath::Postmaster),
        Err(_) => None,
    }
}

/// What stands in angle brackets where the whole does.
fn bare(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">")).unwrap_or(value)
}

/// `{name}value`, or `nvalue` with a name of one letter.
fn macro_parts(text: &[u8]) -> Option<(&[u8], &[u8])> {
    match text {
        [b'{', rest @ ..] => {
            let end = rest.iter().position(|octet| *octet == b'}')?;
            Some((rest.get(..end)?, rest.get(end + 1..)?))
        }
        [_, rest @ ..] => Some((text.get(..1)?, rest)),
        [] => None,
    }
}

fn text(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const EVERYTHING: &[u8] = b"V8\nT1172593995\nK1172594000\nN1\nP120335\nI253/0/19038430\nB8BITMIME\nMDeferred: timed out\nFbdns\n\
        $_root@localhost\n$rESMTP\n${daemon_flags}c u\nqheld\nS<ada@a.test>\nZa+2Bb\nA<>\n!\x11 7200\nCada:500:500:ada\n\
        Qrfc822;Bob+2Bx@b.test\nrRFC822; bob@b.test\nRPNSF:<bob@b.test>\nrRFC822; root@mx.test\nRPFD:<root>\n\
        RPN:\"|/bin/prog arg\"\nH?P?Return-Path: <\x81g>\nH??Subject: a\n\tb\nH?${x}?X: y\nHOld: form\nd/var/q/df\n?odd\xff\n.\n";

    #[test]
    fn every_line_is_read_and_written_back() {
        let control = ControlFile::parse(EVERYTHING).unwrap();
        assert_eq!(control.write(), EVERYTHING);
        assert_eq!(control.version(), 8);
        assert_eq!(control.arrived().map(Timestamp::unix), Some(1_172_593_995));
        assert_eq!(control.last_try().map(Timestamp::unix), Some(1_172_594_000));
        assert_eq!((control.tries(), control.priority(), control.inode()), (1, 120_335, Some((253, 0, 19_038_430))));
        assert_eq!((control.body(), control.ret()), (Some(Body::EightBitMime), Some(Ret::Hdrs)));
        assert_eq!(control.message().map(|text| &text[..]), Some(&b"Deferred: timed out"[..]));
        assert_eq!(control.macro_value("_"), Some(&b"root@localhost"[..]));
        assert_eq!(control.macro_value("daemon_flags"), Some(&b"c u"[..]));
        assert_eq!(control.quarantine().map(|text| &text[..]), Some(&b"held"[..]));
        assert_eq!(control.sender(), Some("ada@a.test".parse::<Address>().unwrap().into()));
        assert_eq!(control.deliver_by(), Some(DeliverBy { flags: 0x11, seconds: 7200 }));
        let recipients = control.recipients();
        let [bob, root, program] = &recipients[..] else { panic!("{recipients:?}") };
        assert_eq!(bob.notify(), Some(Notify { success: true, failure: true, delay: false }));
        assert_eq!(bob.orcpt().map(|original| original.address).as_deref(), Some("Bob+x@b.test"));
        let broken = ControlRecipient { original: Some(Bytes::from_static(b"rfc822;a+b")), ..bob.clone() };
        assert_eq!(broken.orcpt().map(|original| original.address).as_deref(), Some("a+b"));
        assert_eq!(root.path(), Some(ForwardPath::Address("root@mx.test".parse().unwrap())));
        assert_eq!((root.notify(), root.orcpt()), (None, None));
        assert_eq!((program.path(), program.notify()), (None, Some(Notify::default())));
        assert_eq!(forward_path(b"<@a.test,@b.test:bob@b.test>"), bob.path());
        assert_eq!(forward_path(b"<@a.test>"), None);
        let fields: Vec<_> = control.fields().map(|field| (field.condition, field.field)).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"P", b"Return-Path: <\x81g>"), (b"", b"Subject: a\n\tb"), (b"${x}", b"X: y"), (b"", b"Old: form")];
        assert!(fields.iter().map(|(condition, field)| (&condition[..], &field[..])).eq(expected));
    }

    #[test]
    fn what_is_cut_short_or_no_control_file_is_refused() {
        for end in 0..EVERYTHING.len() {
            assert!(ControlFile::parse(&EVERYTHING[..end]).is_err(), "{end}");
        }
        for bad in [
            &b""[..],
            b".\n",
            b"\n.\n",
            b"V9\n.\n",
            b"V0\n.\n",
            b"Vx\n.\n",
            b"T1\nV8\n.\n",
            b" V8\n.\n",
            b"V8\n\nT1\n.\n",
            b"V8\n.\nT1\n.\n",
            b"V8\n.\n.\n",
            b"V8\n..\n.\n",
            b"V8\r\n.\r\n",
        ] {
            assert!(ControlFile::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ControlFile::parse(b"V8\n.\n").is_ok());
    }
}
