//! From nothing to a valid message (RFC 5322, MIME): what is written is strict, and nothing that is passed in can break
//! out of its field.
//!
//! [`Builder`] takes what a message is made of and chooses the rest: which parts lie in which, how each is encoded, where
//! header lines fold. [`NewPart`] is for trees that it would not choose. Everything is pure: the date and the identifier
//! are values, and only [`Builder::stamp`] looks at the clock and at the randomness of the system.
//!
//! Left out on purpose: groups in address fields, and the obsolete forms.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::address::{Address, Domain};
use crate::base::{ParseError, Timestamp, crypto};
use crate::message::Message;
use crate::message::fold::Fold;

mod body;
mod check;
mod contact;
mod part;

pub use contact::Contact;
pub use part::NewPart;

use part::Plan;

/// Why there is no message. Each names the field, none quotes what was passed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// CR, LF or NUL where they would end the value.
    #[error("CR, LF or NUL in the value of {field} at octet {at}")]
    Value {
        /// The field.
        field: String,
        /// The octet, counted from 0.
        at: usize,
    },
    /// What was passed in is no address.
    #[error("no address for {field}: {error}")]
    Address {
        /// The field.
        field: String,
        /// What the grammar expected.
        error: ParseError,
    },
    /// Octets beyond ASCII where only [`Builder::utf8`] allows them.
    #[error("{field} cannot be written in ASCII")]
    NeedsUtf8 {
        /// The field.
        field: String,
    },
    /// What was passed in is no `id-left@id-right`.
    #[error("no identifier for {field}")]
    Id {
        /// The field.
        field: String,
    },
    /// No field can have that name.
    #[error("no field name")]
    FieldName,
    /// The field is written by the builder or has a method of its own.
    #[error("field {field} is not free to choose")]
    Reserved {
        /// The field.
        field: String,
    },
    /// A field without which no message is valid (RFC 5322 §3.6).
    #[error("no {field}")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// No `type/subtype` of RFC 2045 §5.1, or a `multipart` that is not made of parts.
    #[error("no media type")]
    MediaType,
    /// What a `message` type other than `rfc822` and the `global` ones holds is not ASCII, or has lines that no message
    /// can have: it would have to be encoded, and may not be (RFC 2045 §6.4). RFC 6533 has types for reports in UTF-8.
    #[error("content that needs an encoding in a part whose Content-Type allows none")]
    Unencodable,
    /// No parameter can have that name.
    #[error("no parameter of {field}")]
    Param {
        /// The field.
        field: String,
    },
    /// A word that takes more than a line of 998 octets.
    #[error("a word of {field} is too long for a line")]
    TooLong {
        /// The field.
        field: String,
    },
    /// Multiparts lie in each other more than 100 deep.
    #[error("parts nested too deep")]
    TooDeep,
}

/// A message in the making.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::message::Message;
///
/// let message = Message::build()
///     .date(Timestamp::from_unix(1_700_000_000))
///     .message_id("1@example.org")
///     .from(("Ada Lovelace", "ada@example.org"))
///     .to("Charles <charles@example.org>")
///     .subject("Café at noon?")
///     .text("See you there.\n")
///     .attach("menu.txt", "text/plain", "Soup\r\n")
///     .finish()?;
/// assert_eq!(message.header().get("subject").unwrap().text(), "Café at noon?");
/// assert_eq!(message.bodies().text[0].text().as_deref(), Some("See you there.\r\n"));
/// assert_eq!(message.bodies().attachments[0].filename().as_deref(), Some("menu.txt"));
/// # Ok::<(), facteur::message::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    date: Option<Timestamp>,
    message_id: Option<String>,
    from: Vec<Contact>,
    sender: Option<Contact>,
    reply_to: Vec<Contact>,
    to: Vec<Contact>,
    cc: Vec<Contact>,
    bcc: Vec<Contact>,
    keep_bcc: bool,
    in_reply_to: Vec<String>,
    references: Vec<String>,
    subject: Option<String>,
    fields: Vec<Extra>,
    body: Option<NewPart>,
    text: Option<String>,
    html: Option<String>,
    calendar: Option<NewPart>,
    inline: Vec<NewPart>,
    attachments: Vec<NewPart>,
    utf8: bool,
    eight_bit: bool,
}

#[derive(Clone, Debug)]
struct Extra {
    name: String,
    value: String,
    structured: bool,
}

impl Message {
    /// A message in the making: [`Builder::new`].
    pub fn build() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// Nothing yet. A message needs at least `From` and `Date`.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the message was written.
    pub fn date(mut self, date: Timestamp) -> Self {
        self.date = Some(date);
        self
    }

    /// The identifier, `id-left@id-right` without brackets. It must be unlike that of every other message.
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    /// Draws both: the date from the clock of the system, the identifier from its randomness, under the name of this host.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give.
    pub fn stamp(self, host: &str) -> Self {
        let mut random = [0; 16];
        crypto::random(&mut random);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let date = Timestamp::from_unix(i64::try_from(unix).unwrap_or(i64::MAX)).at_offset(0);
        self.date(date).message_id(format!("{:032x}@{host}", u128::from_be_bytes(random)))
    }

    /// Adds an author. Where there are several, RFC 5322 §3.6.2 asks for a [`sender`](Self::sender).
    pub fn from(mut self, contact: impl Into<Contact>) -> Self {
        self.from.push(contact.into());
        self
    }

    /// Who sent it, where that is not the author.
    pub fn sender(mut self, contact: impl Into<Contact>) -> Self {
        self.sender = Some(contact.into());
        self
    }

    /// Adds somebody who wants the answers.
    pub fn reply_to(mut self, contact: impl Into<Contact>) -> Self {
        self.reply_to.push(contact.into());
        self
    }

    /// Adds a recipient.
    pub fn to(mut self, contact: impl Into<Contact>) -> Self {
        self.to.push(contact.into());
        self
    }

    /// Adds a recipient of a copy.
    pub fn cc(mut self, contact: impl Into<Contact>) -> Self {
        self.cc.push(contact.into());
        self
    }

    /// Adds a recipient that the others do not see: in the [`envelope`](Self::envelope), not in the header.
    pub fn bcc(mut self, contact: impl Into<Contact>) -> Self {
        self.bcc.push(contact.into());
        self
    }

    /// Writes `Bcc` into the header, for a draft or for a server that takes it out again.
    pub fn keep_bcc(mut self) -> Self {
        self.keep_bcc = true;
        self
    }

    /// Adds an identifier, without brackets, of a message that this one answers.
    pub fn in_reply_to(mut self, id: impl Into<String>) -> Self {
        self.in_reply_to.push(id.into());
        self
    }

    /// Adds an identifier, without brackets, of an earlier message of the conversation.
    pub fn reference(mut self, id: impl Into<String>) -> Self {
        self.references.push(id.into());
        self
    }

    /// What it is about.
    pub fn subject(mut self, text: impl Into<String>) -> Self {
        self.subject = Some(text.into());
        self
    }

    /// Adds another field of text: encoded words are written where it needs them.
    pub fn field(mut self, name: &str, text: impl Into<String>) -> Self {
        self.fields.push(Extra { name: name.to_owned(), value: text.into(), structured: false });
        self
    }

    /// Adds another field whose value has a syntax of its own, such as List-Unsubscribe: it is folded at white space and
    /// else left as it is.
    pub fn structured(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push(Extra { name: name.to_owned(), value: value.into(), structured: true });
        self
    }

    /// The text. Its line ends, LF or CRLF, are written as CRLF; text that is the last of the message gets one at its end.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same as HTML, line ends as for [`text`](Self::text).
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.html = Some(html.into());
        self
    }

    /// An image that the HTML shows by `cid:` and this identifier, like `logo@example.org`. Without HTML it is an
    /// attachment that readers may show.
    pub fn image(mut self, id: impl Into<String>, media_type: &str, octets: impl Into<Bytes>) -> Self {
        self.inline.push(NewPart::octets(media_type, octets).inline().id(id));
        self
    }

    /// An invitation: an iCalendar object with its method, `REQUEST` or another, as an alternative to the text.
    pub fn calendar(mut self, method: &str, object: impl Into<String>) -> Self {
        self.calendar = Some(NewPart::calendar(method, object));
        self
    }

    /// A file, kept to the octet.
    pub fn attach(self, filename: impl Into<String>, media_type: &str, octets: impl Into<Bytes>) -> Self {
        self.attach_part(NewPart::octets(media_type, octets).attachment(filename))
    }

    /// A message.
    pub fn attach_message(self, message: Message) -> Self {
        self.attach_part(NewPart::message(message))
    }

    /// A part behind the text.
    pub fn attach_part(mut self, part: NewPart) -> Self {
        self.attachments.push(part);
        self
    }

    /// The body as a tree of the caller. It stands where the text, the HTML, the calendar and the images would; attachments
    /// follow it.
    pub fn body(mut self, part: NewPart) -> Self {
        self.body = Some(part);
        self
    }

    /// Writes the header in UTF-8 (RFC 6532): addresses beyond ASCII can be written then, and only servers with SMTPUTF8
    /// take the message. Without it domains are written in A-labels and text in encoded words.
    pub fn utf8(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// Leaves bodies beyond ASCII unencoded where their lines allow it, for servers with 8BITMIME (RFC 6152).
    pub fn eight_bit(mut self) -> Self {
        self.eight_bit = true;
        self
    }

    /// Who sends the message and who gets it: the sender, or else the first author, and the recipients of To, Cc and Bcc,
    /// each once. Without [`utf8`](Self::utf8) their domains are in A-labels.
    ///
    /// # Errors
    /// Where a contact has no address or one that needs UTF-8, and where there is no sender.
    pub fn envelope(&self) -> Result<(Address, Vec<Address>), BuildError> {
        let from = match &self.sender {
            Some(sender) => self.address("Sender", sender)?,
            None => self.address("From", self.from.first().ok_or(BuildError::Missing { field: "From" })?)?,
        };
        let mut recipients = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (field, contacts) in [("To", &self.to), ("Cc", &self.cc), ("Bcc", &self.bcc)] {
            for contact in contacts {
                let address = self.address(field, contact)?;
                if known.insert(address.clone()) {
                    recipients.push(address);
                }
            }
        }
        Ok((from, recipients))
    }

    /// Writes the message.
    ///
    /// # Errors
    /// Where what was passed in cannot be written as a valid message; the error names the field.
    pub fn finish(mut self) -> Result<Message, BuildError> {
        let root = self.root();
        // Boundaries need not be secret, only absent from the content; a seed keeps those of two messages apart.
        let plan = Plan::of(&root, self.eight_bit, self.utf8, seed(self.message_id.as_deref().unwrap_or_default()))?;
        let mut out = Vec::with_capacity(1024 + plan.size(&root));
        self.header(&mut out)?;
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        plan.write(&root, &mut out)?;
        Ok(Message::parse(out))
    }

    /// mixed( alternative( text, related( html, images ), calendar ), attachments ), and of these only what is needed.
    fn root(&mut self) -> NewPart {
        let mut attachments = std::mem::take(&mut self.attachments);
        let inline = std::mem::take(&mut self.inline);
        let text = self.text.take().map(|text| NewPart::text("plain", text));
        let html = match self.html.take().map(|html| NewPart::text("html", html)) {
            // RFC 2387 §3.1: the type parameter is the type of the root, which is the first.
            Some(html) if !inline.is_empty() => {
                let parts = std::iter::once(html).chain(inline).collect();
                Some(NewPart::multipart("related", parts).param("type", "text/html"))
            }
            html => {
                attachments.splice(..0, inline);
                html
            }
        };
        // RFC 2046 §5.1.4: "in order of increasing faithfulness"
        let mut forms: Vec<NewPart> = [text, html, self.calendar.take()].into_iter().flatten().collect();
        let body = self.body.take().or_else(|| {
            let only = forms.pop()?;
            if forms.is_empty() {
                return Some(only);
            }
            forms.push(only);
            Some(NewPart::multipart("alternative", std::mem::take(&mut forms)))
        });
        if attachments.is_empty() {
            return body.unwrap_or_else(|| NewPart::text("plain", ""));
        }
        NewPart::multipart("mixed", body.into_iter().chain(attachments).collect())
    }

    fn header(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let date = self.date.ok_or(BuildError::Missing { field: "Date" })?;
        if self.from.is_empty() {
            return Err(BuildError::Missing { field: "From" });
        }
        if self.from.len() > 1 && self.sender.is_none() {
            return Err(BuildError::Missing { field: "Sender" });
        }
        let mut fold = Fold::new(out, "Date", self.utf8);
        fold.word(date.to_string().as_bytes());
        check::fits(fold, "Date")?;
        self.contacts("From", &self.from, out)?;
        self.contacts("Sender", self.sender.as_slice(), out)?;
        self.contacts("Reply-To", &self.reply_to, out)?;
        self.contacts("To", &self.to, out)?;
        self.contacts("Cc", &self.cc, out)?;
        if self.keep_bcc {
            self.contacts("Bcc", &self.bcc, out)?;
        } else {
            // A message that is written has an envelope.
            self.bcc.iter().try_for_each(|contact| self.address("Bcc", contact).map(drop))?;
        }
        if let Some(id) = &self.message_id {
            check::id("Message-ID", id, self.utf8)?;
        }
        self.ids("Message-ID", self.message_id.as_slice(), out)?;
        self.ids("In-Reply-To", &self.in_reply_to, out)?;
        self.ids("References", &self.references, out)?;
        if let Some(subject) = &self.subject {
            check::value("Subject", subject)?;
            let mut fold = Fold::new(out, "Subject", self.utf8);
            fold.text(subject);
            check::fits(fold, "Subject")?;
        }
        for Extra { name, value, structured } in &self.fields {
            check::field(name)?;
            check::value(name, value)?;
            if *structured && !self.utf8 && !value.is_ascii() {
                return Err(BuildError::NeedsUtf8 { field: name.clone() });
            }
            let mut fold = Fold::new(out, name, self.utf8);
            if *structured {
                fold.value(value)
            } else {
                fold.text(value)
            }
            check::fits(fold, name)?;
        }
        Ok(())
    }

    /// `mailbox-list`; no field where there is nobody.
    fn contacts(&self, field: &'static str, contacts: &[Contact], out: &mut Vec<u8>) -> Result<(), BuildError> {
        if contacts.is_empty() {
            return Ok(());
        }
        let mut fold = Fold::new(out, field, self.utf8);
        for (n, contact) in contacts.iter().enumerate() {
            let comma: &[u8] = if n + 1 < contacts.len() { b"," } else { b"" };
            let address = self.address(field, contact)?.to_string();
            let name = contact.name.as_deref().unwrap_or_default();
            check::value(field, name)?;
            // White space around a name does not survive a reader.
            let name = name.trim_matches([' ', '\t']);
            if name.is_empty() {
                fold.pieces(b" ", &[address.as_bytes(), comma]);
                continue;
            }
            fold.phrase(name);
            fold.pieces(b" ", &[b"<", address.as_bytes(), b">", comma]);
        }
        check::fits(fold, field)
    }

    fn ids(&self, field: &'static str, ids: &[String], out: &mut Vec<u8>) -> Result<(), BuildError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut fold = Fold::new(out, field, self.utf8);
        for id in ids {
            check::foreign_id(field, id, self.utf8)?;
            fold.pieces(b" ", &[b"<", id.as_bytes(), b">"]);
        }
        check::fits(fold, field)
    }

    /// The address as it is written.
    fn address(&self, field: &'static str, contact: &Contact) -> Result<Address, BuildError> {
        let wrong = |error| BuildError::Address { field: field.to_owned(), error };
        let address = contact.address.clone().map_err(wrong)?;
        let address = match address.domain().to_ascii() {
            Some(ascii) if !self.utf8 && !address.domain().is_ascii() => {
                Address::new(address.local(), Domain::Name(ascii.into())).map_err(wrong)?
            }
            _ => address,
        };
        if !self.utf8 && !address.is_ascii() {
            return Err(BuildError::NeedsUtf8 { field: field.to_owned() });
        }
        // A `Domain` that was made by hand may hold anything.
        Address::parse(address.to_string().as_bytes()).map_err(wrong)
    }
}

/// FNV-1a, 64 bits.
fn seed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}
