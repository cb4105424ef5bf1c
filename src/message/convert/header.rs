//! Header fields in UTF-8 (RFC 6532) written in ASCII, for hosts without SMTPUTF8: text and names as encoded words (RFC 2047 §5),
//! parameters as RFC 2231 has them, domains in A-labels (RFC 5890).
//!
//! Left out on purpose: every field that is neither of those. What cannot be said in ASCII, a local part above all, is not said in
//! another way.

use crate::address::{Address, Domain, Entry, Mailbox, list};
use crate::message::fold::Fold;
use crate::message::{ContentType, Disposition, Field};
use crate::text::params::{self, Params};

/// Fields of addresses: RFC 5322 §3.6.2, §3.6.3 and §3.6.6, RFC 8098 §2.1, and what programs have beside them.
const ADDRESSES: [&str; 17] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Disposition-Notification-To",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Return-Receipt-To",
    "Errors-To",
];

/// Fields of text. RFC 2047 §5 (1) names the first three; those that begin with `X-` are such, too.
const TEXT: [&str; 6] = ["Subject", "Comments", "Content-Description", "Organization", "Summary", "Thread-Topic"];

/// The longest parameter in one piece, in octets: RFC 5322 §2.1.1 has lines of 998.
const LONGEST: usize = 900;

/// The value of a field in ASCII, that reads as the one that stands there; `None` where there is none.
pub(super) fn in_ascii(field: Field<'_>) -> Option<Vec<u8>> {
    // What is no UTF-8 may be in any charset.
    std::str::from_utf8(field.value()).ok()?;
    let name = field.name();
    let is = |known: &&str| name.eq_ignore_ascii_case(known);
    let mut out = Vec::new();
    let mut fold = Fold::new(&mut out, name, false);
    let says_the_same: fn(Field<'_>, Field<'_>) -> bool = if ADDRESSES.iter().any(is) {
        addresses(field, &mut fold)?;
        |before, after| who(before).is_some_and(|said| Some(said) == who(after))
    } else if is(&"Keywords") {
        phrases(&field.list(), &mut fold);
        |before, after| before.list() == after.list()
    } else if is(&"Content-Type") {
        let content_type = field.content_type()?;
        parameters(&content_type.to_string(), content_type.params(), &mut fold)?;
        |before, after| what(before.content_type()) == what(after.content_type())
    } else if is(&"Content-Disposition") {
        let disposition = field.disposition()?;
        parameters(disposition.kind(), disposition.params(), &mut fold)?;
        |before, after| how(before.disposition()) == how(after.disposition())
    } else if TEXT.iter().any(is) || name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-")) {
        fold.text(&field.text());
        |before, after| before.text() == after.text()
    } else {
        return None;
    };
    let sound = fold.end() && out.is_ascii() && says_the_same(field, Field::new(&out, name.len()));
    let value = out.strip_suffix(b"\r\n").and_then(|field| field.get(name.len() + 1..));
    value.filter(|_| sound).map(<[u8]>::to_vec)
}

/// `address-list`
fn addresses(field: Field<'_>, fold: &mut Fold<'_>) -> Option<()> {
    let line = field.unfolded();
    let entries = list::parse_strict(&line).ok()?;
    for (n, entry) in entries.iter().enumerate() {
        let comma = if n + 1 < entries.len() { "," } else { "" };
        match entry {
            Entry::Mailbox(mailbox) => write(mailbox, comma, fold)?,
            Entry::Group(group) if group.comments.is_empty() => {
                let end = if comma.is_empty() { ";" } else { ";," };
                fold.phrase(group.name().trim());
                if group.members.is_empty() {
                    fold.special(&[b":", end.as_bytes()].concat());
                    continue;
                }
                fold.special(b":");
                for (n, member) in group.members.iter().enumerate() {
                    write(member, if n + 1 < group.members.len() { "," } else { end }, fold)?;
                }
            }
            Entry::Group(_) => return None,
        }
    }
    Some(())
}

/// `mailbox`, and `end` right behind it.
fn write(mailbox: &Mailbox<'_>, end: &str, fold: &mut Fold<'_>) -> Option<()> {
    let address = address_in_ascii(mailbox)?;
    let name = mailbox.name().unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        fold.word(format!("{address}{end}").as_bytes());
    } else {
        fold.phrase(name);
        fold.word(format!("<{address}>{end}").as_bytes());
    }
    Some(())
}

/// The address of a mailbox that is nothing but a name and an address, its domain in A-labels.
fn address_in_ascii(mailbox: &Mailbox<'_>) -> Option<Address> {
    if !mailbox.comments().is_empty() || mailbox.route().is_some() || mailbox.is_ambiguous() {
        return None;
    }
    let address = mailbox.address()?;
    if address.is_ascii() {
        return Some(address);
    }
    let domain = Domain::Name(address.domain().to_ascii()?.into());
    // Whatever IDNA made of it.
    let ascii = Address::new(address.local(), domain).ok()?.to_string();
    Address::parse(ascii.as_bytes()).ok().filter(Address::is_ascii)
}

/// Who is named: names of groups and of those in them, with their addresses.
fn who(field: Field<'_>) -> Option<Vec<(String, Option<Address>)>> {
    let line = field.unfolded();
    let mut all = Vec::new();
    for entry in list::parse_strict(&line).ok()? {
        if let Entry::Group(group) = &entry {
            all.push((group.name().trim().to_owned(), None));
        }
        for mailbox in entry.mailboxes() {
            let name = mailbox.name().unwrap_or_default().trim().to_owned();
            all.push((name, Some(address_in_ascii(mailbox)?)));
        }
    }
    Some(all)
}

/// `phrase *("," phrase)`
fn phrases(phrases: &[String], fold: &mut Fold<'_>) {
    for (n, phrase) in phrases.iter().enumerate() {
        fold.phrase(phrase);
        if n + 1 < phrases.len() {
            fold.special(b",");
        }
    }
}

/// The first word of a field, and its parameters.
fn parameters(first: &str, all: &Params, fold: &mut Fold<'_>) -> Option<()> {
    let mut words = vec![first.to_owned()];
    for (name, value) in values(all)? {
        // In one piece where it can be: a boundary in sections is none to many readers.
        let quoted = format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        match params::write(&name, &value) {
            sections if sections.len() > 1 && is_plain(&value) && quoted.len() < LONGEST => words.push(quoted),
            _ if name == "boundary" && !is_plain(&value) => return None,
            sections => words.extend(sections),
        }
    }
    for (n, word) in words.iter().enumerate() {
        fold.word(format!("{word}{}", if n + 1 < words.len() { ";" } else { "" }).as_bytes());
    }
    Some(())
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

/// The parameters by their names, decoded. `None` where one does not read.
fn values(all: &Params) -> Option<Vec<(String, String)>> {
    let decoded = |params: &Params| {
        let name = params.raw().next()?.0.split('*').next()?.to_ascii_lowercase();
        let value = params.value(&name)?;
        Some((name, value))
    };
    all.by_name().iter().map(|(params, _)| decoded(params)).collect()
}

fn what(content_type: Option<ContentType>) -> Option<(String, Vec<(String, String)>)> {
    let content_type = content_type?;
    Some((content_type.to_string(), values(content_type.params())?))
}

fn how(disposition: Option<Disposition>) -> Option<(String, Vec<(String, String)>)> {
    let disposition = disposition?;
    Some((disposition.kind().to_owned(), values(disposition.params())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(field: &str) -> Option<String> {
        let colon = field.find(':').unwrap();
        let value = in_ascii(Field::new(field.as_bytes(), colon))?;
        Some(String::from_utf8(value).unwrap())
    }

    #[test]
    fn fields_are_said_in_ascii() {
        for (field, expected) in [
            ("Subject: un café noir\r\n", " un =?utf-8?Q?caf=C3=A9?= noir"),
            ("subject: caf\u{e9}\r\n =?utf-8?q?=C3=A9?=\r\n", " =?utf-8?Q?caf=C3=A9_=C3=A9?="),
            ("X-Mood: ☺\n", " =?utf-8?B?4pi6?="),
            ("From: Ünal <ada@a.test>\r\n", " =?utf-8?Q?=C3=9Cnal?= <ada@a.test>"),
            (
                "To: \"Ünal, J.\" <\"a b\"@a.test>, bob@b.test\r\n",
                " =?utf-8?Q?=C3=9Cnal=2C_J=2E?= <\"a b\"@a.test>, bob@b.test",
            ),
            ("Cc: ada@bücher.test\r\n", " ada@xn--bcher-kva.test"),
            (
                "To: Größe: ada@a.test, Ünal <b@b.test>;, c@c.test\r\n",
                " =?utf-8?B?R3LDtsOfZQ==?= : ada@a.test, =?utf-8?Q?=C3=9Cnal?=\r\n <b@b.test>;, c@c.test",
            ),
            ("To: Größe:;\r\n", " =?utf-8?B?R3LDtsOfZQ==?= :;"),
            ("Keywords: tea, café, \"a, b\"\r\n", " tea, =?utf-8?Q?caf=C3=A9?= , \"a, b\""),
            (
                "Content-Type: text/plain; charset=utf-8; name=\"é.txt\"\r\n",
                " text/plain; charset=utf-8; name*=utf-8''%C3%A9.txt",
            ),
            (
                "Content-Disposition: attachment; filename=\"é.txt\"; size=1\r\n",
                " attachment; filename*=utf-8''%C3%A9.txt; size=1",
            ),
            (
                &format!("Content-Type: multipart/mixed; boundary=\"{0}\"; name=é\r\n", "b".repeat(70)),
                &format!(" multipart/mixed;\r\n boundary=\"{0}\";\r\n name*=utf-8''%C3%A9", "b".repeat(70)),
            ),
        ] {
            assert_eq!(encoded(field).as_deref(), Some(expected), "{field}");
        }
    }

    #[test]
    fn what_has_no_ascii_is_not_made_up() {
        for field in [
            "To: δοκιμή@a.test\r\n",
            "To: Ada <ada@a.test> (ähnlich)\r\n",
            "To: ada@a.test, Ünal\r\n",
            "To: Ünal <ada@a.test\r\n",
            "Received: from a.test by b.test for <δ@b.test>; Mon, 1 Jan 2024 00:00:00 +0000\r\n",
            "Message-ID: <ü@a.test>\r\n",
            "DKIM-Signature: i=ü@a.test\r\n",
            "List-Id: Ü <a.b.test>\r\n",
            "Content-Type: multipart/mixed; boundary=é\r\n",
        ] {
            assert_eq!(encoded(field), None, "{field}");
        }
        assert_eq!(in_ascii(Field::new(b"Subject: caf\xe9\r\n", 7)), None);
    }
}
