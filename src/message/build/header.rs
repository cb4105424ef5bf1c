//! Writing the header of a message: the fields that the builder knows, and those that the caller added (RFC 5322 §3.6).

use std::borrow::Cow;

use super::contact::{Contact, Kind, Named};
use super::{BuildError, Builder, Extra, Place, Value, check};
use crate::address::{Address, Domain};
use crate::base::ParseError;
use crate::base::time::DATE;
use crate::message::fold::Fold;

impl Builder<'_> {
    /// About how many octets the header takes.
    pub(super) fn header_size(&self) -> usize {
        let ids = self.draft.references.iter().chain(&self.draft.in_reply_to).map(|id| id.len()).sum::<usize>();
        400 + self.draft.contacts.len() * 60
            + ids
            + self.draft.subject.as_ref().map_or(0, |subject| subject.len())
            + self.draft.fields.len() * 60
    }

    pub(super) fn header(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.originator("", out)?;
        self.place("", "Reply-To", Place::ReplyTo, out)?;
        self.destinations("", out)?;
        self.ids("In-Reply-To", &self.draft.in_reply_to, out)?;
        self.ids("References", &self.draft.references, out)?;
        if let Some(subject) = &self.draft.subject {
            check::value("Subject", subject)?;
            let mut fold = Fold::new(out, "Subject", self.draft.utf8);
            fold.text(subject);
            check::fits(fold, "Subject")?;
        }
        check::list_fields(&self.draft.fields)?;
        check::one_click(&self.draft.fields)?;
        self.draft.fields.iter().try_for_each(|extra| self.extra_field(extra, out))
    }

    /// `orig-date`, `from` and `sender`, `prefix` before their names.
    pub(super) fn originator(&self, prefix: &str, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let date = self.draft.date.ok_or(BuildError::Missing { field: "Date" })?;
        // RFC 5322 §3.6.2: "If the from field contains more than one mailbox specification ... then the sender field ... MUST
        // appear in the message."
        let is_absent = |place| self.contacts_of(place).next().is_none();
        match self.contacts_of(Place::From).count() {
            0 => return Err(BuildError::Missing { field: "From" }),
            2.. if is_absent(Place::Sender) => return Err(BuildError::Missing { field: "Sender" }),
            _ => {}
        }
        for (field, place) in [("From", Place::From), ("Sender", Place::Sender)] {
            if self.contacts_of(place).any(|contact| matches!(contact.0, Kind::Group { .. })) {
                return Err(BuildError::Group { field });
            }
        }
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(b"Date: ");
        let at = out.len();
        out.extend_from_slice(&[b' '; DATE]);
        let len = out.last_chunk_mut().map_or(0, |room| date.write_to(room));
        out.truncate(at + len);
        out.extend_from_slice(b"\r\n");
        self.place(prefix, "From", Place::From, out)?;
        self.place(prefix, "Sender", Place::Sender, out)
    }

    /// `to`, `cc`, `bcc` and `message-id`, `prefix` before their names.
    pub(super) fn destinations(&self, prefix: &str, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.place(prefix, "To", Place::To, out)?;
        self.place(prefix, "Cc", Place::Cc, out)?;
        if self.draft.keep_bcc {
            self.place(prefix, "Bcc", Place::Bcc, out)?;
        } else {
            // A message that is written has an envelope.
            let mut addresses = self.contacts_of(Place::Bcc).flat_map(Contact::addresses);
            addresses.try_for_each(|address| self.address("Bcc", address).map(drop))?;
        }
        let Some(id) = &self.draft.message_id else { return Ok(()) };
        check::id("Message-ID", id, self.draft.utf8)?;
        let mut fold = Fold::prefixed(out, prefix, "Message-ID", self.draft.utf8);
        fold.bracketed(id);
        check::fits(fold, "Message-ID")
    }

    fn extra_field(&self, Extra { name, value }: &Extra<'_>, out: &mut Vec<u8>) -> Result<(), BuildError> {
        check::field(name)?;
        let name: &str = name;
        if let Value::Contacts(contacts) = value {
            return self.address_list("", name, contacts.iter(), out);
        }
        let mut fold = Fold::new(out, name, self.draft.utf8);
        match value {
            Value::Text(text) => {
                check::value(name, text)?;
                fold.text(text);
            }
            Value::Structured(value) => {
                check::value(name, value)?;
                if !self.draft.utf8 && !value.is_ascii() {
                    return Err(BuildError::NeedsUtf8 { field: name.to_owned() });
                }
                fold.value(value);
            }
            Value::Uris(uris) => {
                check::uris(name, uris)?;
                for (n, uri) in uris.iter().enumerate() {
                    let comma: &[u8] = if n + 1 < uris.len() { b"," } else { b"" };
                    fold.pieces(&[b"<", uri.as_bytes(), b">", comma]);
                }
            }
            Value::ListId(text, id) => {
                check::value(name, text)?;
                check::list_id(name, id)?;
                fold.phrase(text.trim_matches(is_blank));
                fold.bracketed(id);
            }
            Value::Contacts(_) => {}
        }
        check::fits(fold, name)
    }

    fn place(&self, prefix: &str, field: &str, place: Place, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.address_list(prefix, field, self.contacts_of(place), out)
    }

    /// `address-list`, `prefix` before its name; no field where there is nobody.
    fn address_list<'c>(
        &self,
        prefix: &str,
        field: &str,
        contacts: impl Iterator<Item = &'c Contact<'c>>,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildError> {
        let mut contacts = contacts.peekable();
        if contacts.peek().is_none() {
            return Ok(());
        }
        let mut fold = Fold::prefixed(out, prefix, field, self.draft.utf8);
        while let Some(contact) = contacts.next() {
            let comma = if contacts.peek().is_some() { "," } else { "" };
            match &contact.0 {
                Kind::Mailbox(named) => self.named(&mut fold, field, named, comma)?,
                Kind::Group { name, members } => {
                    let members = members.as_ref().map_err(|error| wrong(field, *error))?;
                    self.group(&mut fold, field, name, members, comma)?;
                }
            }
        }
        check::fits(fold, field)
    }

    /// `mailbox`, and `end` right behind it.
    fn named(&self, fold: &mut Fold<'_>, field: &str, named: &Named<'_>, end: &str) -> Result<(), BuildError> {
        let written = named.written.as_ref().map_err(|error| wrong(field, *error))?;
        let ascii;
        let address = if self.draft.utf8 || written.is_ascii() {
            &**written
        } else {
            ascii = self.address(field, written.parse())?.to_string();
            &*ascii
        };
        check::value(field, &named.name)?;
        // White space around a name does not survive a reader.
        let name = named.name.trim_matches(is_blank);
        if name.is_empty() {
            fold.pieces(&[address.as_bytes(), end.as_bytes()]);
        } else {
            fold.phrase(name);
            fold.pieces(&[b"<", address.as_bytes(), b">", end.as_bytes()]);
        }
        Ok(())
    }

    /// `group = display-name ":" [group-list] ";"`
    fn group(
        &self,
        fold: &mut Fold<'_>,
        field: &str,
        name: &str,
        members: &[Named<'_>],
        comma: &str,
    ) -> Result<(), BuildError> {
        check::value(field, name)?;
        let name = name.trim_matches(is_blank);
        // A group has to have a name.
        fold.phrase(if name.is_empty() { "group" } else { name });
        let end = if comma.is_empty() { ";" } else { ";," };
        if members.is_empty() {
            fold.special(&[b":", end.as_bytes()].concat());
            return Ok(());
        }
        fold.special(b":");
        for (n, member) in members.iter().enumerate() {
            self.named(fold, field, member, if n + 1 < members.len() { "," } else { end })?;
        }
        Ok(())
    }

    fn ids(&self, field: &'static str, ids: &[Cow<'_, str>], out: &mut Vec<u8>) -> Result<(), BuildError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut fold = Fold::new(out, field, self.draft.utf8);
        for id in ids {
            check::foreign_id(field, id, self.draft.utf8)?;
            fold.bracketed(id);
        }
        check::fits(fold, field)
    }

    /// The address that is written.
    #[cold]
    pub(super) fn address(&self, field: &str, address: Result<Address, ParseError>) -> Result<Address, BuildError> {
        let address = address.map_err(|error| wrong(field, error))?;
        if self.draft.utf8 || address.is_ascii() {
            return Ok(address);
        }
        match address.domain().to_ascii() {
            Some(ascii) if address.local().is_ascii() => {
                let address =
                    Address::new(address.local(), Domain::Name(ascii.into())).map_err(|error| wrong(field, error))?;
                // Whatever IDNA made of it.
                address.to_string().parse().map_err(|error| wrong(field, error))
            }
            _ => Err(BuildError::NeedsUtf8 { field: field.to_owned() }),
        }
    }
}

#[cold]
fn wrong(field: &str, error: ParseError) -> BuildError {
    BuildError::Address { field: field.to_owned(), error }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}
