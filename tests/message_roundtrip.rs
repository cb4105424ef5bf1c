//! `parse(build(x)) == x`: whatever may be asked for is written by the rules, and reads back as what was asked.

use std::borrow::Cow;

use facteur::address::{Entry, Mailbox};
use facteur::base::Timestamp;
use facteur::message::build::Contact;
use facteur::message::{Builder, Field, Header, Message, NewPart, Part};
use proptest::prelude::*;
use proptest::sample::select;

use message_rules::strict;

mod message_rules;

/// Text of any script, with what is special somewhere. Not U+FEFF: at the start of an encoded word readers take it for a
/// byte order mark (RFC 3629 §6) and drop it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "[a-z \"\\\\(),.:;<>@=?_éß日本🙂\t]{0,120}",
        "[a-z ]{80,300}",
        "[^\r\n\0\u{feff}]{0,60}",
        "=\\?utf-8\\?[qb]\\?[a-z=_]{0,9}\\?= [^\r\n\0\u{feff}]{0,9}",
        "[a-zé]{900,1100}",
    ]
}

/// What a body may hold, line ends of any kind too.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "([ -~é]{0,90}(\r\n|\n|\r|\t| ){0,3}){0,6}".prop_map(String::into_bytes),
        "(--=_[0-9a-f]{16}_0_(--)?\r\n){0,4}".prop_map(String::into_bytes),
        "[ -~]{990,1010}\r\n".prop_map(String::into_bytes),
    ]
}

fn address() -> impl Strategy<Value = String> {
    let local =
        prop_oneof!["[a-z!#$%&'*+/=?^_`{|}~-]{1,20}(\\.[a-z0-9]{1,9}){0,2}", "\"[a-z @,;.<>()]{1,20}\"", "[a-z]{64}"];
    let domain =
        prop_oneof!["[a-z]{1,9}(\\.[a-z0-9]{1,9}){1,3}", Just("[192.0.2.1]".into()), Just("bücher.example".into())];
    (local, domain).prop_map(|(local, domain): (String, String)| format!("{local}@{domain}"))
}

/// A name, which may be empty, and an address.
type Named = (String, String);

/// A mailbox, or a group under its name.
#[derive(Clone, Debug)]
enum Addressee {
    One(Named),
    Group(String, Vec<Named>),
}

fn addressee() -> impl Strategy<Value = Addressee> {
    let named = || (text(), address());
    // A group without a name cannot be written.
    let group = text().prop_filter("a group has a name", |name| !name.trim_matches([' ', '\t']).is_empty());
    prop_oneof![
        4 => named().prop_map(Addressee::One),
        1 => (group, prop::collection::vec(named(), 0..3)).prop_map(|(name, members)| Addressee::Group(name, members)),
    ]
}

impl Addressee {
    fn contact(&self) -> Contact<'_> {
        fn one((name, address): &Named) -> Contact<'_> {
            Contact::from((name.as_str(), address.as_str()))
        }
        match self {
            Self::One(named) => one(named),
            Self::Group(name, members) => Contact::group(name.as_str(), members.iter().map(one)),
        }
    }
}

/// Whether a mailbox that was read is the one that was asked for; domains may be in A-labels.
fn same_mailbox(read: &Mailbox<'_>, (name, address): &Named) -> Result<(), TestCaseError> {
    // White space around a name does not survive a reader.
    prop_assert_eq!(read.name().unwrap_or_default(), name.trim_matches([' ', '\t']));
    let read = read.address().unwrap();
    let forms = [address.clone(), address.replace("bücher", "xn--bcher-kva")];
    prop_assert!(forms.iter().any(|form| form.parse() == Ok(read.clone())), "{} for {}", read, address);
    Ok(())
}

fn same_addressees(field: Option<Field<'_>>, asked: &[Addressee]) -> Result<(), TestCaseError> {
    let read = field.map(Field::addresses).unwrap_or_default();
    prop_assert_eq!(read.len(), asked.len(), "{:?}", read);
    for (read, asked) in read.iter().zip(asked) {
        match (read, asked) {
            (Entry::Mailbox(read), Addressee::One(asked)) => same_mailbox(read, asked)?,
            (Entry::Group(read), Addressee::Group(name, asked)) => {
                prop_assert_eq!(read.name(), name.trim_matches([' ', '\t']));
                prop_assert_eq!(read.members.len(), asked.len());
                for (read, asked) in read.members.iter().zip(asked) {
                    same_mailbox(read, asked)?;
                }
            }
            _ => prop_assert!(false, "{:?} for {:?}", read, asked),
        }
    }
    Ok(())
}

/// A tree of parts as it is asked for.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(Leaf),
    Parts(&'static str, Vec<Tree>),
}

#[derive(Clone, Debug)]
struct Leaf {
    media_type: &'static str,
    octets: Vec<u8>,
    filename: Option<String>,
    id: Option<String>,
    param: Option<String>,
    description: Option<String>,
}

const TEXT: &str = "text/plain";
const LINES: &str = "message/global-headers";

fn tree() -> impl Strategy<Value = Tree> {
    let some = |chance: f64| prop::option::weighted(chance, text());
    let id = prop::option::of(
        "[a-z.]{0,9}[a-z]@[a-z]{1,9}".prop_filter("atoms", |id| !id.contains("..") && !id.starts_with('.')),
    );
    let media_type = select(vec![TEXT, LINES, "text/csv", "application/pdf", "image/png"]);
    let leaf = (media_type, octets(), some(0.5), id, some(0.3), some(0.3)).prop_map(
        |(media_type, octets, filename, id, param, description)| {
            Tree::Leaf(Leaf { media_type, octets, filename, id, param, description })
        },
    );
    leaf.prop_recursive(5, 20, 4, |inner| {
        (select(vec!["mixed", "alternative", "related", "x-other", "digest"]), prop::collection::vec(inner, 1..4))
            .prop_map(|(subtype, parts)| Tree::Parts(subtype, parts))
    })
}

impl Tree {
    fn part(&self) -> NewPart<'_> {
        let leaf = match self {
            Self::Parts(subtype, parts) => {
                return NewPart::multipart(subtype, parts.iter().map(Self::part).collect());
            }
            Self::Leaf(leaf) => leaf,
        };
        let mut part = match leaf.media_type {
            TEXT => NewPart::text("plain", String::from_utf8_lossy(&leaf.octets)),
            media_type => NewPart::octets(media_type, leaf.octets.clone()),
        };
        if let Some(filename) = &leaf.filename {
            part = part.attachment(filename.as_str());
        }
        if let Some(id) = &leaf.id {
            part = part.id(id.as_str());
        }
        if let Some(param) = &leaf.param {
            part = part.param("X-Param", param.as_str());
        }
        if let Some(description) = &leaf.description {
            part = part.field("Content-Description", description.as_str());
        }
        part
    }

    /// As deep as the strategy makes it. `alone` is a text that ends the message: it ends with a line end.
    fn same(&self, read: Part<'_>, alone: bool) -> Result<(), TestCaseError> {
        let leaf = match self {
            Self::Parts(subtype, parts) => {
                prop_assert_eq!(read.content_type().to_string(), format!("multipart/{subtype}"));
                let children: Vec<Part<'_>> = read.children().collect();
                prop_assert_eq!(children.len(), parts.len());
                return parts.iter().zip(children).try_for_each(|(part, child)| part.same(child, false));
            }
            Self::Leaf(leaf) => leaf,
        };
        prop_assert_eq!(read.content_type().to_string(), leaf.media_type);
        let lines = matches!(leaf.media_type, TEXT | LINES);
        let mut expected = leaf.octets.clone();
        if leaf.media_type == TEXT {
            expected = String::from_utf8_lossy(&expected).into_owned().into_bytes();
        }
        let mut octets = read.decode().into_owned();
        if lines {
            expected = travelled(&expected);
        }
        if alone && lines {
            for octets in [&mut octets, &mut expected] {
                if !octets.is_empty() && !octets.ends_with(b"\r\n") {
                    octets.extend_from_slice(b"\r\n");
                }
            }
        }
        prop_assert_eq!(octets.escape_ascii().to_string(), expected.escape_ascii().to_string());
        prop_assert_eq!(read.filename().unwrap_or_default(), leaf.filename.clone().unwrap_or_default());
        prop_assert_eq!(read.id().map(Cow::into_owned), leaf.id.clone());
        prop_assert_eq!(read.content_type().param("x-param"), leaf.param.clone());
        prop_assert_eq!(read.description().map(Cow::into_owned), leaf.description.clone());
        Ok(())
    }
}

/// LF as CRLF.
fn travelled(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for octet in octets {
        if *octet == b'\n' && lines.last() != Some(&b'\r') {
            lines.push(b'\r');
        }
        lines.push(*octet);
    }
    lines
}

/// A header as it is asked for.
#[derive(Clone, Debug)]
struct Asked {
    date: Timestamp,
    from: Vec<Named>,
    reply_to: Vec<Addressee>,
    to: Vec<Addressee>,
    cc: Vec<Addressee>,
    bcc: Vec<Addressee>,
    subject: Option<String>,
    references: Vec<String>,
    notes: Vec<String>,
    list: Option<String>,
    uris: Vec<String>,
    tree: Tree,
    utf8: bool,
    eight_bit: bool,
}

prop_compose! {
    fn asked()(
        unix in 0..4_000_000_000_i64,
        minutes in -720..840_i16,
        from in prop::collection::vec((text(), address()), 1..3),
        [reply_to, to, cc, bcc] in [(); 4].map(|()| prop::collection::vec(addressee(), 0..3)),
        subject in prop::option::of(text()),
        references in prop::collection::vec("[!#$%&'*+./a-z0-9=?^_`{|}~@-]{1,80}", 0..20),
        notes in prop::collection::vec(text(), 0..3),
        list in prop::option::of(text()),
        uris in prop::collection::vec("(https|mailto):[!#-;=?-~]{1,90}", 0..4),
        tree in tree(),
        utf8: bool,
        eight_bit: bool,
    ) -> Asked {
        let date = Timestamp::from_unix(unix).at_offset(minutes);
        Asked { date, from, reply_to, to, cc, bcc, subject, references, notes, list, uris, tree, utf8, eight_bit }
    }
}

impl Asked {
    fn builder(&self) -> Builder<'_> {
        let mut builder = Message::build().date(self.date).message_id("1@x.test").keep_bcc().body(self.tree.part());
        for (name, address) in &self.from {
            builder = builder.from((name.as_str(), address.as_str()));
        }
        if self.from.len() > 1 {
            builder = builder.sender("sender@x.test");
        }
        builder = self.reply_to.iter().fold(builder, |builder, one| builder.reply_to(one.contact()));
        builder = self.to.iter().fold(builder, |builder, one| builder.to(one.contact()));
        builder = self.cc.iter().fold(builder, |builder, one| builder.cc(one.contact()));
        builder = self.bcc.iter().fold(builder, |builder, one| builder.bcc(one.contact()));
        builder = self.references.iter().fold(builder, |builder, id| builder.in_reply_to(id).reference(id));
        builder = self.notes.iter().fold(builder, |builder, note| builder.field("X-Note", note));
        if let Some(subject) = &self.subject {
            builder = builder.subject(subject);
        }
        if let Some(list) = &self.list {
            builder = builder.list_id(list, "list.x.test");
        }
        if !self.uris.is_empty() {
            builder = builder.uris("List-Help", &self.uris);
        }
        if self.utf8 {
            builder = builder.utf8();
        }
        if self.eight_bit {
            builder = builder.eight_bit();
        }
        builder
    }

    fn same(&self, header: Header<'_>) -> Result<(), TestCaseError> {
        prop_assert_eq!(header.get("date").unwrap().date(), Some(self.date));
        let from: Vec<Addressee> = self.from.iter().cloned().map(Addressee::One).collect();
        same_addressees(header.get("from"), &from)?;
        same_addressees(header.get("reply-to"), &self.reply_to)?;
        same_addressees(header.get("to"), &self.to)?;
        same_addressees(header.get("cc"), &self.cc)?;
        same_addressees(header.get("bcc"), &self.bcc)?;
        prop_assert_eq!(header.get("message-id").unwrap().ids().collect::<Vec<_>>(), ["1@x.test"]);
        for name in ["in-reply-to", "references"] {
            prop_assert_eq!(
                header.get(name).map(Field::ids).unwrap_or_default().collect::<Vec<_>>(),
                self.references.clone()
            );
        }
        let subject = header.get("subject").map(|field| field.text().into_owned());
        prop_assert_eq!(subject, self.subject.clone());
        prop_assert_eq!(header.all("x-note").map(Field::text).collect::<Vec<_>>(), self.notes.clone());
        let list = header.get("list-id").map(|field| field.list_id().unwrap());
        prop_assert_eq!(list.as_ref().map(|list| list.id.as_str()), self.list.as_ref().map(|_| "list.x.test"));
        if let (Some(read), Some(asked)) = (list, &self.list) {
            prop_assert_eq!(read.name, asked.trim_matches([' ', '\t']));
        }
        prop_assert_eq!(header.get("list-help").map(Field::uris).unwrap_or_default(), self.uris.clone());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_asked_reads_back(asked in asked()) {
        let builder = asked.builder();
        let message = builder.clone().finish().unwrap();
        strict(&message, asked.utf8, asked.eight_bit);
        asked.same(message.header())?;
        asked.tree.same(message.root(), true)?;
        // Who is named gets it, and nobody else.
        let (_, recipients) = builder.envelope().unwrap();
        let named = ["to", "cc", "bcc"].iter().filter_map(|name| message.header().get(name)).flat_map(Field::mailboxes);
        for address in named.filter_map(|mailbox| mailbox.address()) {
            prop_assert!(recipients.contains(&address), "{}", address);
        }
        // Read once more from its octets, it is the same message.
        let again = Message::parse(message.raw().clone());
        prop_assert_eq!(again.all_parts().count(), message.all_parts().count());
    }

    #[test]
    fn a_message_in_a_message_stays_the_same(asked in asked(), eight_bit: bool) {
        let message = asked.builder().finish().unwrap();
        let outer = Message::build().date(asked.date).from("ada@x.test").text("see").attach_message(message.clone());
        let outer = if eight_bit { outer.eight_bit() } else { outer }.finish().unwrap();
        strict(&outer, false, eight_bit);
        prop_assert_eq!(outer.part(&[2]).unwrap().message().unwrap(), message);
    }

    #[test]
    fn a_part_that_stands_ready_stays_the_same(tree in tree()) {
        let octets = tree.part().write().unwrap();
        let body = NewPart::multipart("signed", vec![NewPart::ready(octets.clone()), NewPart::octets("a/b", "c")]);
        let message = Message::build().date(Timestamp::from_unix(0)).from("ada@x.test").body(body).finish().unwrap();
        strict(&message, false, false);
        let part = message.root().children().next().unwrap();
        prop_assert_eq!(part.raw(), &octets[..]);
        tree.same(part, false)?;
    }

    #[test]
    fn what_is_resent_is_still_there(asked in asked(), to in (text(), address())) {
        let message = asked.builder().finish().unwrap();
        let resent = Message::build().date(asked.date).from("ada@x.test").to((to.0.as_str(), to.1.as_str()));
        let resent = resent.resend(&message).unwrap();
        prop_assert_eq!(resent.defects(), []);
        prop_assert!(resent.raw().ends_with(message.raw()));
        same_addressees(resent.header().get("resent-to"), &[Addressee::One(to)])?;
    }
}
