//! Writing the header of a message: the fields that the builder knows, and those that the caller added (RFC 5322 §3.6).

use std::borrow::Cow;

use super::contact::{Contact, Kind, Named};
use super::{BuildError, Builder, Extra, Value, check};
use crate::address::{Address, Domain, is_dot_string};
use crate::base::ParseError;
use crate::base::time::DATE;
use crate::message::fold::Fold;

impl Builder {
    /// About how many octets the header takes.
    pub(super) fn header_size(&self) -> usize {
        let contacts = self.draft.to.len() + self.draft.cc.len() + self.draft.from.len() + self.draft.reply_to.len();
        let ids = self.draft.references.iter().chain(&self.draft.in_reply_to).map(String::len).sum::<usize>();
        400 + contacts * 60 + ids + self.draft.subject.as_ref().map_or(0, String::len) + self.draft.fields.len() * 60
    }

    pub(super) fn header(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.originator("", out)?;
        self.address_list("Reply-To", &self.draft.reply_to, out)?;
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
        if self.draft.from.is_empty() {
            return Err(BuildError::Missing { field: "From" });
        }
        // RFC 5322 §3.6.2: "If the from field contains more than one mailbox specification ... then the sender field ... MUST
        // appear in the message."
        if self.draft.from.len() > 1 && self.draft.sender.is_empty() {
            return Err(BuildError::Missing { field: "Sender" });
        }
        for (field, contacts) in [("From", &self.draft.from[..]), ("Sender", &self.draft.sender[..])] {
            if contacts.iter().any(|contact| matches!(contact.0, Kind::Group { .. })) {
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
        self.prefixed(prefix, "From", &self.draft.from, out)?;
        self.prefixed(prefix, "Sender", &self.draft.sender, out)
    }

    /// `to`, `cc`, `bcc` and `message-id`, `prefix` before their names.
    pub(super) fn destinations(&self, prefix: &str, out: &mut Vec<u8>) -> Result<(), BuildError> {
        self.prefixed(prefix, "To", &self.draft.to, out)?;
        self.prefixed(prefix, "Cc", &self.draft.cc, out)?;
        if self.draft.keep_bcc {
            self.prefixed(prefix, "Bcc", &self.draft.bcc, out)?;
        } else {
            // A message that is written has an envelope.
            let mut addresses = self.draft.bcc.iter().flat_map(Contact::addresses);
            addresses.try_for_each(|address| self.address("Bcc", address).map(drop))?;
        }
        let Some(id) = &self.draft.message_id else { return Ok(()) };
        out.extend_from_slice(prefix.as_bytes());
        check::id("Message-ID", id, self.draft.utf8)?;
        let mut fold = Fold::new(out, "Message-ID", self.draft.utf8);
        fold.bracketed(id);
        check::fits(fold, "Message-ID")
    }

    fn extra_field(&self, Extra { name, value }: &Extra, out: &mut Vec<u8>) -> Result<(), BuildError> {
        check::field(name)?;
        let name: &str = name;
        if let Value::Contacts(contacts) = value {
            return self.address_list(name, contacts, out);
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

    fn prefixed(&self, prefix: &str, field: &str, contacts: &[Contact], out: &mut Vec<u8>) -> Result<(), BuildError> {
        if !contacts.is_empty() {
            out.extend_from_slice(prefix.as_bytes());
        }
        self.address_list(field, contacts, out)
    }

    /// `address-list`; no field where there is nobody.
    fn address_list(&self, field: &str, contacts: &[Contact], out: &mut Vec<u8>) -> Result<(), BuildError> {
        if contacts.is_empty() {
            return Ok(());
        }
        let mut fold = Fold::new(out, field, self.draft.utf8);
        for (n, contact) in contacts.iter().enumerate() {
            let comma = if n + 1 < contacts.len() { "," } else { "" };
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
    fn named(&self, fold: &mut Fold<'_>, field: &str, named: &Named, end: &str) -> Result<(), BuildError> {
        let address = named.address.as_ref().map_err(|error| wrong(field, *error))?;
        let ascii;
        let address = if self.is_writable(address) {
            address
        } else {
            ascii = in_ascii(field, address)?;
            &ascii
        };
        let name = named.name.as_deref().unwrap_or_default();
        check::value(field, name)?;
        // White space around a name does not survive a reader.
        let name = name.trim_matches(is_blank);
        if name.is_empty() {
            write(fold, address, ["", end]);
        } else {
            fold.phrase(name);
            write(fold, address, ["<", end]);
        }
        Ok(())
    }

    /// `group = display-name ":" [group-list] ";"`
    fn group(
        &self,
        fold: &mut Fold<'_>,
        field: &str,
        name: &str,
        members: &[Named],
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

    fn ids(&self, field: &'static str, ids: &[String], out: &mut Vec<u8>) -> Result<(), BuildError> {
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

    /// The address as it is written.
    pub(super) fn address<'a>(
        &self,
        field: &str,
        address: &'a Result<Address, ParseError>,
    ) -> Result<Cow<'a, Address>, BuildError> {
        let address = address.as_ref().map_err(|error| wrong(field, *error))?;
        if self.is_writable(address) { Ok(Cow::Borrowed(address)) } else { in_ascii(field, address).map(Cow::Owned) }
    }

    /// Whether it can be written as it stands.
    fn is_writable(&self, address: &Address) -> bool {
        self.draft.utf8 || address.is_ascii()
    }
}

/// The domain in A-labels.
#[cold]
fn in_ascii(field: &str, address: &Address) -> Result<Address, BuildError> {
    match address.domain().to_ascii() {
        Some(ascii) if address.local().is_ascii() => {
            let address =
                Address::new(address.local(), Domain::Name(ascii.into())).map_err(|error| wrong(field, error))?;
            // Whatever IDNA made of it.
            Address::parse(address.to_string().as_bytes()).map_err(|error| wrong(field, error))
        }
        _ => Err(BuildError::NeedsUtf8 { field: field.to_owned() }),
    }
}

#[cold]
fn wrong(field: &str, error: ParseError) -> BuildError {
    BuildError::Address { field: field.to_owned(), error }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

/// `addr-spec`, or `angle-addr` where `open` is its bracket.
fn write(fold: &mut Fold<'_>, address: &Address, [open, end]: [&str; 2]) {
    let quoted;
    let (local, at, domain) = match address.domain() {
        Domain::Name(domain) if is_dot_string(address.local()) => (address.local(), "@", &**domain),
        _ => {
            quoted = address.to_string();
            (&*quoted, "", "")
        }
    };
    let len = local.len() + at.len() + domain.len() + open.len() * 2 + end.len();
    fold.write(b" ", len, |out| {
        out.extend_from_slice(open.as_bytes());
        out.extend_from_slice(local.as_bytes());
        out.extend_from_slice(at.as_bytes());
        out.extend_from_slice(domain.as_bytes());
        out.extend_from_slice(if open.is_empty() { b"" } else { b">" });
        out.extend_from_slice(end.as_bytes());
    });
}
