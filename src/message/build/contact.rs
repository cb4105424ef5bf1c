//! Who stands in an address field of a message that is built (RFC 5322 §3.4).

use crate::address::{Address, Entry, Group, Mailbox, Name, list};
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
pub struct Contact(pub(super) Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mailbox(Named),
    Group { name: String, members: Result<Vec<Named>, ParseError> },
}

/// An address with or without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub name: Option<Name>,
    /// One that the strict grammar reads.
    pub address: Result<Address, ParseError>,
}

impl Contact {
    /// A group under a name. It may be empty, as where the recipients are not to be seen; a group in it is an error.
    pub fn group<M: Into<Contact>>(name: impl Into<String>, members: impl IntoIterator<Item = M>) -> Self {
        let named = |member: M| match member.into().0 {
            Kind::Mailbox(named) => Ok(named),
            // RFC 5322 §3.4: group-list = mailbox-list / CFWS / obs-group-list
            Kind::Group { .. } => Err(ParseError { expected: "no group in a group", at: 0 }),
        };
        Self(Kind::Group { name: name.into(), members: members.into_iter().map(named).collect() })
    }

    fn mailbox(name: Option<Name>, address: Result<Address, ParseError>) -> Self {
        Self(Kind::Mailbox(Named { name, address }))
    }

    /// The addresses: one, or those of the group.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Result<Address, ParseError>> {
        let members = match &self.0 {
            Kind::Mailbox(named) => std::slice::from_ref(named),
            Kind::Group { members, .. } => members.as_deref().unwrap_or_default(),
        };
        members.iter().map(|named| &named.address)
    }
}

/// A [`Domain`](crate::address::Domain) that was made by hand may hold anything.
fn sound(address: Address) -> Result<Address, ParseError> {
    Address::parse(address.to_string().as_bytes())
}

impl From<Address> for Contact {
    fn from(address: Address) -> Self {
        Self::mailbox(None, sound(address))
    }
}

/// As it was read in a header.
impl From<&Mailbox<'_>> for Contact {
    fn from(mailbox: &Mailbox<'_>) -> Self {
        let address = mailbox.address().ok_or(ParseError { expected: "an address", at: 0 });
        Self::mailbox(mailbox.name().map(Name::from), address)
    }
}

/// As it was read in a header.
impl From<&Group<'_>> for Contact {
    fn from(group: &Group<'_>) -> Self {
        Self::group(group.name(), &group.members)
    }
}

/// As it was read in a header.
impl From<&Entry<'_>> for Contact {
    fn from(entry: &Entry<'_>) -> Self {
        match entry {
            Entry::Mailbox(mailbox) => Self::from(mailbox),
            Entry::Group(group) => Self::from(group),
        }
    }
}

/// `ada@example.org`, `Ada Lovelace <ada@example.org>`, or a group: `team: ada@example.org, Charles <c@example.org>;`.
impl From<&str> for Contact {
    fn from(text: &str) -> Self {
        let address = Address::parse(text.as_bytes());
        let Err(error) = address else { return Self::mailbox(None, address) };
        // What only leniency reads is no address here.
        if text.contains(['\r', '\n', '\0']) {
            return Self::mailbox(None, Err(error));
        }
        let routed = |mailbox: &Mailbox<'_>| mailbox.route().is_some();
        match &list::parse(text.as_bytes())[..] {
            [Entry::Mailbox(mailbox)] if text.ends_with('>') && !routed(mailbox) => Self::from(mailbox),
            [Entry::Group(group)] if text.ends_with(';') && !group.members.iter().any(routed) => Self::from(group),
            _ => Self::mailbox(None, Err(error)),
        }
    }
}

/// As `&str`.
impl From<String> for Contact {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

/// A name, and an address without one.
impl<N: Into<Name>> From<(N, &str)> for Contact {
    fn from((name, address): (N, &str)) -> Self {
        Self::mailbox(Some(name.into()), Address::parse(address.as_bytes()))
    }
}

/// A name and an address.
impl<N: Into<Name>> From<(N, Address)> for Contact {
    fn from((name, address): (N, Address)) -> Self {
        Self::mailbox(Some(name.into()), sound(address))
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
            let Kind::Mailbox(Named { name, address }) = Contact::from(text).0 else { panic!("{text}") };
            let read = address.ok().map(|address| (name, address.to_string()));
            let expected = expected.map(|(name, address)| (name.map(Name::from), address.to_owned()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn groups_are_read_with_their_members() {
        for (text, expected) in
            [("undisclosed-recipients:;", &[][..]), ("us: Ada <a@b.test>, c@d.test;", &["a@b.test", "c@d.test"][..])]
        {
            let addresses: Vec<String> =
                Contact::from(text).addresses().map(|address| address.as_ref().unwrap().to_string()).collect();
            assert_eq!(addresses, expected, "{text}");
        }
        let inner = Contact::group("inner", ["a@b.test"]);
        assert!(matches!(Contact::group("outer", [inner]).0, Kind::Group { members: Err(_), .. }));
        for text in ["us: a@b.test; c@d.test", "us: Ada;"] {
            let contact = Contact::from(text);
            assert!(contact.addresses().any(Result::is_err), "{text}");
        }
    }
}
