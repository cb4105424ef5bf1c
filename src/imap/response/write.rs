//! Untagged data as it goes out: each form by its rule of the grammar.

use bytes::Bytes;

use super::strings::{literal, mailbox_name, nstring, print, resp_text, string};
use super::{Data, FetchData, ListedName, Namespaces};
use crate::base::Wire;

impl Data {
    /// Writes the whole line. Contents of messages go out without being copied.
    pub fn write(&self, wire: &mut Wire) {
        wire.out(b"* ");
        match self {
            Self::Status(status, code, text) => {
                wire.out(status.name().as_bytes());
                resp_text(wire, code.as_ref(), text);
                return;
            }
            Self::Capability(all) => words(wire, "CAPABILITY", all),
            Self::Enabled(all) => words(wire, "ENABLED", all),
            Self::Id(fields) => id(wire, fields),
            Self::Namespace(namespaces) => namespace_response(wire, namespaces),
            Self::Flags(flags) => print(wire, format_args!("FLAGS ({flags})")),
            Self::Exists(count) => print(wire, format_args!("{count} EXISTS")),
            Self::Recent(count) => print(wire, format_args!("{count} RECENT")),
            Self::Expunge(number) => print(wire, format_args!("{number} EXPUNGE")),
            Self::List(listed) => mailbox_list(wire, "LIST", listed),
            Self::Lsub(listed) => mailbox_list(wire, "LSUB", listed),
            Self::MailboxStatus { mailbox, items } => {
                wire.out(b"STATUS ");
                mailbox_name(wire, mailbox);
                wire.out(b" (");
                for (n, (item, value)) in items.iter().enumerate() {
                    print(wire, format_args!("{}{item} {value}", if n > 0 { " " } else { "" }));
                }
                wire.out(b")");
            }
            Self::Search(numbers) => {
                wire.out(b"SEARCH");
                numbers.iter().for_each(|number| print(wire, format_args!(" {number}")));
            }
            Self::Fetch { number, items } => {
                print(wire, format_args!("{number} FETCH ("));
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        wire.out(b" ");
                    }
                    item.write(wire);
                }
                wire.out(b")");
            }
        }
        wire.out(b"\r\n");
    }
}

impl FetchData {
    /// `msg-att-dynamic / msg-att-static`
    fn write(&self, wire: &mut Wire) {
        match self {
            Self::Flags { flags, recent } => {
                let recent = match (recent, flags.is_empty()) {
                    (false, _) => "",
                    (true, true) => "\\Recent",
                    (true, false) => "\\Recent ",
                };
                print(wire, format_args!("FLAGS ({recent}{flags})"));
            }
            Self::InternalDate(date) => print(wire, format_args!("INTERNALDATE \"{}\"", date.imap())),
            Self::Rfc822Size(size) => print(wire, format_args!("RFC822.SIZE {size}")),
            Self::Uid(uid) => print(wire, format_args!("UID {uid}")),
            Self::Rfc822(name, content) => {
                print(wire, format_args!("{name} "));
                literal(wire, content.clone());
            }
            Self::Body { section, origin, content } => {
                print(wire, format_args!("BODY[{section}]"));
                if let Some(origin) = origin {
                    print(wire, format_args!("<{origin}>"));
                }
                match content {
                    Some(content) => {
                        wire.out(b" ");
                        literal(wire, content.clone());
                    }
                    None => wire.out(b" NIL"),
                }
            }
            Self::Envelope(value) => written(wire, "ENVELOPE ", value),
            Self::BodyOnly(value) => written(wire, "BODY ", value),
            Self::BodyStructure(value) => written(wire, "BODYSTRUCTURE ", value),
        }
    }
}

/// `mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox`
fn mailbox_list(wire: &mut Wire, name: &str, listed: &ListedName) {
    print(wire, format_args!("{name} ("));
    for (n, attribute) in listed.attributes.iter().enumerate() {
        print(wire, format_args!("{}{attribute}", if n > 0 { " " } else { "" }));
    }
    wire.out(b") ");
    delimiter(wire, listed.delimiter);
    wire.out(b" ");
    mailbox_name(wire, &listed.name);
}

/// `DQUOTE QUOTED-CHAR DQUOTE / nil`
fn delimiter(wire: &mut Wire, delimiter: Option<char>) {
    match delimiter {
        Some(character) => string(wire, character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => wire.out(b"NIL"),
    }
}

/// `Namespace_Response` of RFC 2342 §6.
fn namespace_response(wire: &mut Wire, namespaces: &Namespaces) {
    wire.out(b"NAMESPACE");
    for group in [&namespaces.personal, &namespaces.others, &namespaces.shared] {
        if group.is_empty() {
            wire.out(b" NIL");
            continue;
        }
        wire.out(b" (");
        for (prefix, character) in group {
            wire.out(b"(");
            string(wire, prefix.as_bytes());
            wire.out(b" ");
            delimiter(wire, *character);
            wire.out(b")");
        }
        wire.out(b")");
    }
}

/// `id_response` of RFC 2971 §4.
fn id(wire: &mut Wire, fields: &[(Bytes, Option<Bytes>)]) {
    if fields.is_empty() {
        return wire.out(b"ID NIL");
    }
    wire.out(b"ID (");
    for (n, (field, value)) in fields.iter().enumerate() {
        if n > 0 {
            wire.out(b" ");
        }
        string(wire, field);
        wire.out(b" ");
        nstring(wire, value.as_ref());
    }
    wire.out(b")");
}

fn words(wire: &mut Wire, name: &str, all: &[String]) {
    wire.out(name.as_bytes());
    all.iter().for_each(|word| print(wire, format_args!(" {word}")));
}

fn written(wire: &mut Wire, name: &str, value: &Bytes) {
    wire.out(name.as_bytes());
    wire.out(value);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::imap::fetch::{Section, SectionText, StatusItem};
    use crate::imap::{Attribute, Code, Status};
    use crate::store::{Flag, Flags};

    fn written(data: &Data) -> String {
        let mut wire = Wire::new();
        data.write(&mut wire);
        let mut out = Vec::new();
        while !wire.outgoing().is_empty() {
            let n = wire.outgoing().len();
            out.extend_from_slice(wire.outgoing());
            wire.sent(n);
        }
        String::from_utf8(out).unwrap()
    }

    fn one(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    #[test]
    fn data_is_written_as_the_examples_of_rfc_3501_have_it() {
        let seen = Flags::from_iter([Flag::Seen]);
        let mut noselect = ListedName::new("~/Mail/foo");
        noselect.attributes = vec![Attribute::NoSelect];
        let section = Section { part: Vec::new(), text: SectionText::HeaderFields(vec!["DATE".into(), "FROM".into()]) };
        for (data, expected) in [
            (Data::List(noselect), "* LIST (\\Noselect) \"/\" ~/Mail/foo\r\n"),
            (Data::Lsub(ListedName::new("a b")), "* LSUB () \"/\" \"a b\"\r\n"),
            (Data::List(ListedName { delimiter: None, ..ListedName::new("") }), "* LIST () NIL \"\"\r\n"),
            (Data::List(ListedName::new("台北")), "* LIST () \"/\" &U,BTFw-\r\n"),
            (Data::List(ListedName::new("nil")), "* LIST () \"/\" \"nil\"\r\n"),
            (
                Data::MailboxStatus {
                    mailbox: "blurdybloop".into(),
                    items: vec![(StatusItem::Messages, 231), (StatusItem::UidNext, 44292)],
                },
                "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n",
            ),
            (Data::Search(vec![one(2), one(3), one(6)]), "* SEARCH 2 3 6\r\n"),
            (Data::Search(Vec::new()), "* SEARCH\r\n"),
            (Data::Flags(seen.clone()), "* FLAGS (\\Seen)\r\n"),
            (Data::Expunge(one(44)), "* 44 EXPUNGE\r\n"),
            (
                Data::Fetch {
                    number: one(23),
                    items: vec![FetchData::Flags { flags: seen.clone(), recent: true }, FetchData::Rfc822Size(44827)],
                },
                "* 23 FETCH (FLAGS (\\Recent \\Seen) RFC822.SIZE 44827)\r\n",
            ),
            (
                Data::Fetch { number: one(1), items: vec![FetchData::Flags { flags: Flags::new(), recent: true }] },
                "* 1 FETCH (FLAGS (\\Recent))\r\n",
            ),
            (
                Data::Fetch {
                    number: one(1),
                    items: vec![FetchData::Body { section, origin: None, content: Some("ab".into()) }],
                },
                "* 1 FETCH (BODY[HEADER.FIELDS (DATE FROM)] {2}\r\nab)\r\n",
            ),
            (Data::Namespace(Namespaces::default()), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"),
            (Data::Id(Vec::new()), "* ID NIL\r\n"),
            (Data::Id(vec![("os".into(), None)]), "* ID (\"os\" NIL)\r\n"),
            (
                Data::Status(Status::Ok, Some(Code::Unseen(one(17))), "Message 17 is first".into()),
                "* OK [UNSEEN 17] Message 17 is first\r\n",
            ),
        ] {
            assert_eq!(written(&data), expected);
        }
    }

    #[test]
    fn contents_go_out_as_literals_without_nul() {
        let section = Section { part: vec![one(2)], text: SectionText::Text };
        let items = vec![
            FetchData::Body { section, origin: Some(5), content: Some("a\r\nb".into()) },
            FetchData::Rfc822("RFC822.TEXT", "".into()),
            FetchData::Body { section: Section::default(), origin: None, content: None },
        ];
        assert_eq!(
            written(&Data::Fetch { number: one(1), items }),
            "* 1 FETCH (BODY[2.TEXT]<5> {4}\r\na\r\nb RFC822.TEXT {0}\r\n BODY[] NIL)\r\n"
        );
        let mut wire = Wire::new();
        literal(&mut wire, Bytes::from_static(b"a\0b"));
        let mut out = Vec::new();
        while !wire.outgoing().is_empty() {
            out.push(wire.outgoing()[0]);
            wire.sent(1);
        }
        assert_eq!(out, b"{3}\r\na\x80b");
    }
}
