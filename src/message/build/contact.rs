//! Who stands in an address field of a message that is built (RFC 5322 §3.4).

use std::borrow::Cow;

use crate::address::{Address, Entry, Group, Mailbox, is_plain_mailbox, list};
use crate::base::ParseError;

/// Somebody in an address field: an address, with or without a name, or a group of them.
///
/// It is made from an [`Address`], from text as people write it, from a name and either, or from what was read in a
/// header. What is wrong with it is said by [`Builder::finish`](super::Builder::finish).
///
/// ```
/// use facteur::message::build::Contact;
///
/// let ada = Contact::from("Ada Lovelace <ada@example.org>");
/// assert_eq!(ada, Contact::from(("Ada Lovelace", "ada@example.org")));
/// assert_eq!(Contact::from("undisclosed-recipients:;"), Contact::group("undisclosed-recipients", [""; 0]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact<'a>(pub(super) Kind<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Mailbox(Named<'a>),
    Group { name: Cow<'a, str>, members: Result<Vec<Named<'a>>, ParseError> },
}

/// An address with or without a name.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    /// Empty where there is none.
    pub name: Cow<'a, str>,
    /// An address that the strict grammar reads, as it is written.
    pub written: Result<Cow<'a, str>, ParseError>,
}

impl<'a> Contact<'a> {
    /// A group under a name. It may be empty, as where the recipients are not to be seen; a group in it is an error.
    pub fn group<M: Into<Self>>(name: impl Into<Cow<'a, str>>, members: impl IntoIterator<Item = M>) -> Self {
        let named = |member: M| match member.into().0 {
            Kind::Mailbox(named) => Ok(named),
            // RFC 5322 §3.4: group-list = mailbox-list / CFWS / obs-group-list
            Kind::Group { .. } => Err(ParseError { expected: "no group in a group", at: 0 }),
        };
        Self(Kind::Group { name: name.into(), members: members.into_iter().map(named).collect() })
    }

    /// The same with memory of its own.
    pub fn into_owned(self) -> Contact<'static> {
        Contact(match self.0 {
            Kind::Mailbox(named) => Kind::Mailbox(named.into_owned()),
            Kind::Group { name, members } => Kind::Group {
                name: name.into_owned().into(),
                members: members.map(|members| members.into_iter().map(Named::into_owned).collect()),
            },
        })
    }

    #[inline] // as `written`
    fn mailbox(name: Cow<'a, str>, written: Result<Cow<'a, str>, ParseError>) -> Self {
        Self(Kind::Mailbox(Named { name, written }))
    }

    /// The addresses: one, or those of the group, or what is wrong with it.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Result<Address, ParseError>> {
        let (members, wrong) = match &self.0 {
            Kind::Mailbox(named) => (std::slice::from_ref(named), None),
            Kind::Group { members: Ok(members), .. } => (&members[..], None),
            Kind::Group { members: Err(error), .. } => (&[][..], Some(Err(*error))),
        };
        members.iter().map(Named::address).chain(wrong)
    }
}

impl Named<'_> {
    fn into_owned(self) -> Named<'static> {
        Named { name: self.name.into_owned().into(), written: self.written.map(|written| written.into_owned().into()) }
    }

    fn address(&self) -> Result<Address, ParseError> {
        self.written.as_ref().map_err(|error| *error).and_then(|written| written.parse())
    }
}

/// As addresses are the same: without regard to the case of the domain.
impl PartialEq for Named<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.address() == other.address()
    }
}

impl Eq for Named<'_> {}

impl From<Address> for Contact<'_> {
    fn from(address: Address) -> Self {
        Self::from(("", address))
    }
}

/// As it was read in a header.
impl<'a> From<&'a Mailbox<'_>> for Contact<'a> {
    fn from(mailbox: &'a Mailbox<'_>) -> Self {
        let address = mailbox.address().ok_or(ParseError { expected: "an address", at: 0 });
        let written = address.and_then(|address| written(address.to_string().into()));
        Self::mailbox(mailbox.name().unwrap_or_default(), written)
    }
}

/// As it was read in a header.
impl<'a> From<&'a Group<'_>> for Contact<'a> {
    fn from(group: &'a Group<'_>) -> Self {
        Self::group(group.name(), &group.members)
    }
}

/// As it was read in a header.
impl<'a> From<&'a Entry<'_>> for Contact<'a> {
    fn from(entry: &'a Entry<'_>) -> Self {
        match entry {
            Entry::Mailbox(mailbox) => Self::from(mailbox),
            Entry::Group(group) => Self::from(group),
        }
    }
}

/// `ada@example.org`, `Ada Lovelace <ada@example.org>`, or a group: `team: ada@example.org, Charles <c@example.org>;`.
impl<'a> From<&'a str> for Contact<'a> {
    #[inline] // as `written`
    fn from(text: &'a str) -> Self {
        match written(text.into()) {
            Err(error) => named(text, error),
            written => Self::mailbox("".into(), written),
        }
    }
}

/// As `&str`.
impl From<String> for Contact<'_> {
    fn from(text: String) -> Self {
        if is_plain_mailbox(&text) {
            return Self::mailbox("".into(), Ok(text.into()));
        }
        Contact::from(&*text).into_owned()
    }
}

/// As `&str`.
impl<'a> From<&'a String> for Contact<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

/// A name, and an address without one.
impl<'a, N: Into<Cow<'a, str>>, A: Into<Cow<'a, str>>> From<(N, A)> for Contact<'a> {
    fn from((name, address): (N, A)) -> Self {
        Self::mailbox(name.into(), written(address.into()))
    }
}

/// A name and an address.
impl<'a, N: Into<Cow<'a, str>>> From<(N, Address)> for Contact<'a> {
    fn from((name, address): (N, Address)) -> Self {
        // A `Domain` that was made by hand may hold anything: it is read again.
        Self::mailbox(name.into(), written(address.to_string().into()))
    }
}

/// An address as it is written: as it came, for nearly all have neither quotes nor a literal.
#[inline] // to be made where it stays: it is too large to be handed on from function to function
fn written(text: Cow<'_, str>) -> Result<Cow<'_, str>, ParseError> {
    if is_plain_mailbox(&text) { Ok(text) } else { written_anew(&text) }
}

#[cold]
fn written_anew(text: &str) -> Result<Cow<'static, str>, ParseError> {
    Address::parse(text.as_bytes()).map(|address| address.to_string().into())
}

/// What is no address alone, for this reason.
fn named(text: &str, error: ParseError) -> Contact<'static> {
    let wrong = Contact::mailbox("".into(), Err(error));
    // What only leniency reads is no address here.
    if text.contains(['\r', '\n', '\0']) {
        return wrong;
    }
    let routed = |mailbox: &Mailbox<'_>| mailbox.route().is_some();
    match &list::parse(text.as_bytes())[..] {
        [Entry::Mailbox(mailbox)] if text.ends_with('>') && !routed(mailbox) => Contact::from(mailbox).into_owned(),
        [Entry::Group(group)] if text.ends_with(';') && !group.members.iter().any(routed) => {
            Contact::from(group).into_owned()
        }
        _ => wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("ada@example.org", Some((None, "ada@example.org"))),
            ("Ada <ada@example.org>", Some((Some("Ada"), "ada@example.org"))),
            ("\"Lovelace, Ada\" <ada@example.org>", Some((Some("Lovelace, Ada"), "ada@example.org"))),
            ("<ada@example.org>", Some((None, "ada@example.org"))),
            ("Zoë <zoë@example.org>", Some((Some("Zoë"), "zoë@example.org"))),
            ("", None),
            ("Ada", None),
            ("Ada <ada>", None),
            ("a@b.test, c@d.test", None),
            ("a@b.test, <c@d.test>", None),
            ("<@x.test:a@b.test>", None),
            ("a@b.test;", None),
            ("Ada\r\n <a@b.test>", None),
        ] {
            let Kind::Mailbox(Named { name, written }) = Contact::from(text).0 else { panic!("{text}") };
            let read = written.ok().map(|written| (name, written));
            let expected = expected.map(|(name, address)| (name.unwrap_or_default().into(), address.into()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn what_is_owned_is_what_was_borrowed() {
        for text in ["ada@example.org", "Ada <ada@EXAMPLE.org>", "us: Ada <a@b.test>, c@d.test;", "Ada"] {
            let contact = Contact::from(text);
            assert_eq!(contact.clone().into_owned(), contact);
            assert_eq!(Contact::from(text.to_owned()), contact);
        }
        assert_eq!(Contact::from("ada@example.org"), Contact::from("ada@EXAMPLE.org"));
        assert_ne!(Contact::from("ada@example.org"), Contact::from("Ada@example.org"));
    }

    #[test]
    fn groups_are_read_with_their_members() {
        for (text, expected) in
            [("undisclosed-recipients:;", &[][..]), ("us: Ada <a@b.test>, c@d.test;", &["a@b.test", "c@d.test"][..])]
        {
            let addresses: Vec<String> =
                Contact::from(text).addresses().map(|address| address.unwrap().to_string()).collect();
            assert_eq!(addresses, expected, "{text}");
        }
        let inner = Contact::group("inner", ["a@b.test"]);
        assert!(matches!(Contact::group("outer", [inner]).0, Kind::Group { members: Err(_), .. }));
        for text in ["us: a@b.test; c@d.test", "us: Ada;"] {
            let contact = Contact::from(text);
            assert!(contact.addresses().any(|address| address.is_err()), "{text}");
        }
    }
}
