//! Small fields that programs act upon: Auto-Submitted (RFC 3834), Importance and its kin (RFC 2156 §5.3, RFC 4021 §2.1),
//! MIME-Version, Content-MD5 (RFC 1864), Content-Language (RFC 3282), Content-Location (RFC 2557), Return-Path, and the
//! blocks of Resent fields (RFC 5322 §3.6.6).

use super::content::token;
use crate::address::Mailbox;
use crate::message::header::{Field, Header};
use crate::text::params::skip_cfws;
use crate::text::{charset, transfer};

/// The value of an Auto-Submitted field (RFC 3834 §5).
///
/// ```
/// use facteur::message::{AutoSubmitted, Message};
///
/// let message = Message::parse("Auto-Submitted: auto-replied; x=y\n\n");
/// let field = message.header().get("auto-submitted").unwrap();
/// assert_eq!(field.auto_submitted(), AutoSubmitted::Replied);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoSubmitted {
    /// `no`: a person sent it. An empty field says no more.
    #[default]
    No,
    /// `auto-generated`
    Generated,
    /// `auto-replied`
    Replied,
    /// `auto-notified` (RFC 5436 §2.7.1)
    Notified,
    /// Another word, in lower case. It is no `no`, so nothing answers it automatically.
    Other(String),
}

/// How much the sender wants the message to be noticed.
///
/// ```
/// use facteur::message::{Importance, Message};
///
/// let message = Message::parse("X-Priority: 1 (Highest)\n\n");
/// assert_eq!(message.header().importance(), Some(Importance::High));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 2156 §5.3.4 has no other
pub enum Importance {
    /// `low`; `non-urgent`; 4 and 5
    Low,
    /// `normal`; 3
    Normal,
    /// `high`; `urgent`; 1 and 2
    High,
}

/// One block of Resent fields: what one resending wrote (RFC 5322 §3.6.6).
///
/// ```
/// use facteur::message::Message;
///
/// let message = Message::parse(
///     "Resent-From: c@c.test\nResent-To: d@d.test\nResent-From: b@b.test\nResent-To: c@c.test\nFrom: a@a.test\n\n",
/// );
/// let blocks = message.header().resent();
/// assert_eq!(blocks.len(), 2);
/// assert_eq!(blocks[0].get("to").unwrap().text(), "d@d.test");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resent<'a> {
    /// The fields in their order.
    pub fields: Vec<Field<'a>>,
}

impl<'a> Resent<'a> {
    /// The field of this name, which is given without `Resent-`.
    pub fn get(&self, name: &str) -> Option<Field<'a>> {
        self.fields.iter().copied().find(|field| resent_name(*field).is_some_and(|own| own.eq_ignore_ascii_case(name)))
    }
}

/// What follows `Resent-` in the name of a field.
fn resent_name(field: Field<'_>) -> Option<&str> {
    let (prefix, name) = field.name().split_at_checked(7)?;
    prefix.eq_ignore_ascii_case("Resent-").then_some(name)
}

impl<'a> Header<'a> {
    /// The blocks of Resent fields, the latest first. A trace field, or a Resent field that the block has already, begins
    /// the next one.
    pub fn resent(self) -> Vec<Resent<'a>> {
        let mut blocks: Vec<Resent<'a>> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut open = false;
        for field in self.fields() {
            if field.is("received") || field.is("return-path") {
                open = false;
            }
            let Some(name) = resent_name(field).map(str::to_ascii_lowercase) else { continue };
            // RFC 5322 §3.6.6 has seven; of others none begins a block, so that the list of names stays short.
            let known =
                ["date", "from", "sender", "to", "cc", "bcc", "message-id", "reply-to"].contains(&name.as_str());
            match blocks.last_mut().filter(|_| open && !(known && names.contains(&name))) {
                Some(block) => block.fields.push(field),
                None => {
                    blocks.push(Resent { fields: vec![field] });
                    names.clear();
                    open = true;
                }
            }
            if known {
                names.push(name);
            }
        }
        blocks
    }

    /// How much the sender wants the message to be noticed: what Importance says, else X-Priority, X-MSMail-Priority,
    /// Priority. `None` where none of them says anything known.
    pub fn importance(self) -> Option<Importance> {
        let names = ["importance", "x-priority", "x-msmail-priority", "priority"];
        names.into_iter().find_map(|name| self.get(name)?.importance())
    }
}

impl<'a> Field<'a> {
    /// The value of an Auto-Submitted field, or of the Autosubmitted field of X.400 gateways (RFC 2156 §5.3).
    pub fn auto_submitted(self) -> AutoSubmitted {
        let Some((word, _)) = token(self.value()) else { return AutoSubmitted::No };
        let word = charset::guess(word).to_ascii_lowercase();
        match word.as_str() {
            "no" | "not-auto-submitted" => AutoSubmitted::No,
            "auto-generated" => AutoSubmitted::Generated,
            "auto-replied" => AutoSubmitted::Replied,
            "auto-notified" => AutoSubmitted::Notified,
            _ => AutoSubmitted::Other(word),
        }
    }

    /// The value of an Importance, Priority, X-Priority or X-MSMail-Priority field.
    pub fn importance(self) -> Option<Importance> {
        let (word, _) = token(self.value())?;
        match word.to_ascii_lowercase().as_slice() {
            b"low" | b"non-urgent" | b"4" | b"5" => Some(Importance::Low),
            b"normal" | b"3" => Some(Importance::Normal),
            b"high" | b"urgent" | b"1" | b"2" => Some(Importance::High),
            _ => None,
        }
    }

    /// The value of a MIME-Version field: `1.0` with comments wherever (RFC 2045 §4).
    pub fn mime_version(self) -> Option<(u32, u32)> {
        let value = self.value();
        let mut at = 0;
        let major = number(value, &mut at)?;
        skip_cfws(value, &mut at);
        (value.get(at) == Some(&b'.')).then_some(())?;
        at += 1;
        Some((major, number(value, &mut at)?))
    }

    /// The digest in a Content-MD5 field (RFC 1864 §2); `None` where it is no 16 octets.
    pub fn content_md5(self) -> Option<[u8; 16]> {
        transfer::decode_base64(self.value()).try_into().ok()
    }

    /// The language tags in a Content-Language or Accept-Language field (RFC 3282 §2), in their order and as they stand.
    pub fn languages(self) -> Vec<String> {
        let value = self.unfolded();
        let tags = value.split(|octet| *octet == b',').filter_map(token);
        tags.map(|(tag, _)| charset::guess_piece(tag).into_owned()).collect()
    }

    /// The URI in a Content-Location or Content-Base field, white space in it taken away (RFC 2557 §4.4.1). `None` where it is
    /// empty.
    pub fn location(self) -> Option<String> {
        let uri: String = self.text().split_whitespace().collect();
        let uri = uri.trim_matches('"');
        (!uri.is_empty()).then(|| uri.to_owned())
    }

    /// The path in a Return-Path field: a mailbox whose local part is empty for `<>`. `None` where nothing stands there.
    pub fn return_path(self) -> Option<Mailbox<'a>> {
        self.mailboxes().next()
    }

    /// The value of a Received field.
    pub fn received(self) -> super::Received<'a> {
        super::Received::parse(self.value())
    }
}

/// `[CFWS] 1*DIGIT`
fn number(value: &[u8], at: &mut usize) -> Option<u32> {
    skip_cfws(value, at);
    let rest = value.get(*at..)?;
    let len = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    *at += len;
    std::str::from_utf8(rest.get(..len)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::fields::tests::with;

    #[test]
    fn automatic_messages_are_known() {
        for (value, expected) in [
            ("no", AutoSubmitted::No),
            ("", AutoSubmitted::No),
            ("(hi) Auto-Generated", AutoSubmitted::Generated),
            ("auto-notified; owner-email=\"x@y\"", AutoSubmitted::Notified),
            ("Vacation", AutoSubmitted::Other("vacation".to_owned())),
        ] {
            assert_eq!(with(value, |field| field.auto_submitted()), expected, "{value}");
        }
    }

    #[test]
    fn importance_has_many_names() {
        for (text, expected) in [
            ("Importance: High\n", Some(Importance::High)),
            ("X-Priority: 5\nPriority: urgent\n", Some(Importance::Low)),
            ("Importance: x\nX-MSMail-Priority: Normal\n", Some(Importance::Normal)),
            ("Priority: non-urgent\n", Some(Importance::Low)),
            ("A: b\n", None),
        ] {
            assert_eq!(Message::parse(format!("{text}\n")).header().importance(), expected, "{text}");
        }
    }

    #[test]
    fn versions_digests_languages_and_places_are_read() {
        // RFC 2045 §4
        for value in ["1.0", "1.0 (produced by MetaSend Vx.x)", "(produced by MetaSend Vx.x) 1.0", "1.(produced by)0"] {
            assert_eq!(with(value, |field| field.mime_version()), Some((1, 0)), "{value}");
        }
        for value in ["", "1", "1.", "x", "99999999999.0"] {
            assert_eq!(with(value, |field| field.mime_version()), None, "{value}");
        }
        // RFC 1864 §2
        let digest = with("Q2hlY2sgSW50ZWdyaXR5IQ==", |field| field.content_md5());
        assert_eq!(digest.as_ref(), Some(b"Check Integrity!"));
        assert_eq!(with("Q2hlY2s=", |field| field.content_md5()), None);
        assert_eq!(with("mi, en-GB (English), ,de", |field| field.languages()), ["mi", "en-GB", "de"]);
        assert_eq!(with("http://a.test/\r\n b.gif", |field| field.location()).as_deref(), Some("http://a.test/b.gif"));
        assert_eq!(with("", |field| field.location()), None);
        assert_eq!(
            with("<>", |field| field.return_path().map(Mailbox::into_owned)).map(|path| path.local().to_owned()),
            Some(String::new())
        );
        assert_eq!(
            with("<@a,@b:c@d>", |field| field.return_path().map(Mailbox::into_owned)).unwrap().to_string(),
            "c@d"
        );
    }

    #[test]
    fn return_paths_are_read_in_odd_forms() {
        for (value, expected) in [
            ("<ada@a.test>", Some("ada@a.test")),
            (" < ada@a.test > ", Some("ada@a.test")),
            ("<>", Some("")),
            ("< >", Some("")),
            ("ada@a.test", Some("ada@a.test")),
            ("Ada <ada@a.test>", Some("ada@a.test")),
            ("(null) <ada@a.test>", Some("ada@a.test")),
            ("<ada@a.test> (added by postmaster@b.test)", Some("ada@a.test")),
            ("<@b.test,@c.test:ada@a.test>", Some("ada@a.test")),
            ("<\"ada b\"@a.test>", Some("ada b@a.test")),
            ("<b+1-2=ada=a.test@b.test>", Some("b+1-2=ada=a.test@b.test")),
            ("<ada@[192.0.2.1]>", Some("ada@[192.0.2.1]")),
            ("<MAILER-DAEMON>", Some("MAILER-DAEMON")),
            ("<ada@a.test", Some("ada@a.test")),
            ("<ada@a.test>, <bob@b.test>", Some("ada@a.test")),
            ("", None),
            ("(nothing)", None),
        ] {
            let path = with(value, |field| field.return_path().map(Mailbox::into_owned)).map(|path| path.to_string());
            assert_eq!(path.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn resent_fields_fall_into_blocks() {
        for (names, expected) in [
            ("From To", vec![]),
            ("Resent-From Resent-To From", vec![2]),
            ("Resent-From Resent-To Resent-From Resent-To", vec![2, 2]),
            ("Received Resent-From Received Resent-To", vec![1, 1]),
            ("resent-date DKIM-Signature RESENT-To", vec![2]),
            ("Resent-X Resent-X", vec![2]),
        ] {
            let header: String = names.split(' ').map(|name| format!("{name}: x\n")).collect();
            let message = Message::parse(format!("{header}\n"));
            let blocks: Vec<usize> = message.header().resent().iter().map(|block| block.fields.len()).collect();
            assert_eq!(blocks, expected, "{names}");
        }
    }
}
