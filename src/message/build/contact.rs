//! Who stands in an address field of a message that is built (RFC 5322 §3.4).

use std::borrow::Cow;

use crate::address::{Address, Entry, Mailbox, list};
use crate::base::ParseError;

/// Somebody in an address field: an address, with or without a name.
///
/// It is made from an [`Address`], from text as people write it, or from a name and either. What is wrong with text is
/// said by [`Builder::finish`](super::Builder::finish).
///
/// ```
/// use facteur::message::build::Contact;
///
/// let ada = Contact::from("Ada Lovelace <ada@example.org>");
/// assert_eq!(ada, Contact::from(("Ada Lovelace", "ada@example.org")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub(super) name: Option<String>,
    pub(super) address: Result<Address, ParseError>,
}

impl From<Address> for Contact {
    fn from(address: Address) -> Self {
        Self { name: None, address: Ok(address) }
    }
}

/// As it was read in a header.
impl From<&Mailbox> for Contact {
    fn from(mailbox: &Mailbox) -> Self {
        let address = mailbox.address().ok_or(ParseError { expected: "an address", at: 0 });
        Self { name: mailbox.name().map(Cow::into_owned), address }
    }
}

/// `ada@example.org` or `Ada Lovelace <ada@example.org>`.
impl From<&str> for Contact {
    fn from(text: &str) -> Self {
        let address = Address::parse(text.as_bytes());
        let Err(error) = address else { return Self { name: None, address } };
        // What only leniency reads is no address here.
        let named = text.ends_with('>') && !text.contains(['\r', '\n', '\0']);
        match &list::parse(text.as_bytes())[..] {
            [Entry::Mailbox(mailbox)] if named && mailbox.route.is_none() => Self::from(mailbox),
            _ => Self { name: None, address: Err(error) },
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
impl<N: Into<String>> From<(N, &str)> for Contact {
    fn from((name, address): (N, &str)) -> Self {
        Self { name: Some(name.into()), address: Address::parse(address.as_bytes()) }
    }
}

/// A name and an address.
impl<N: Into<String>> From<(N, Address)> for Contact {
    fn from((name, address): (N, Address)) -> Self {
        Self { name: Some(name.into()), address: Ok(address) }
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
            ("us: <a@b.test>;", None),
            ("Ada\r\n <a@b.test>", None),
        ] {
            let Contact { name, address } = Contact::from(text);
            let read = address.ok().map(|address| (name, address.to_string()));
            let expected = expected.map(|(name, address)| (name.map(str::to_owned), address.to_owned()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
