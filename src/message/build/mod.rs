//! From nothing to a valid message (RFC 5322, MIME): what is written is strict, and nothing that is passed in can break
//! out of its field.
//!
//! [`Builder`] takes what a message is made of and chooses the rest: which parts lie in which, how each is encoded, where
//! header lines fold. [`NewPart`] is for trees that it would not choose. Everything is pure: the date and the identifier
//! are values, and only [`Builder::stamp`] looks at the clock and at the randomness of the system.
//!
//! Left out on purpose: the obsolete forms, and trace fields, which are written by who relays.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::address::Address;
use crate::base::{Timestamp, crypto};
use crate::message::{AutoSubmitted, Importance, Message};

mod answer;
mod body;
mod check;
mod contact;
mod error;
mod header;
mod part;
mod plan;

pub use contact::Contact;
pub use error::BuildError;
pub use part::NewPart;

use plan::Plan;

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
    /// Each method moves the builder, so it is kept small.
    draft: Box<Draft>,
}

#[derive(Clone, Debug, Default)]
struct Draft {
    date: Option<Timestamp>,
    message_id: Option<String>,
    from: SmallVec<[Contact; 1]>,
    /// At most one.
    sender: Vec<Contact>,
    reply_to: Vec<Contact>,
    to: Vec<Contact>,
    cc: Vec<Contact>,
    bcc: Vec<Contact>,
    keep_bcc: bool,
    in_reply_to: Vec<String>,
    references: Vec<String>,
    subject: Option<String>,
    fields: Vec<Extra>,
    parts: SmallVec<[(Role, NewPart); 1]>,
    utf8: bool,
    eight_bit: bool,
}

/// What a part is to the message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// The tree of the caller.
    Body,
    Text,
    Html,
    Calendar,
    /// Shown by the HTML.
    Inline,
    Attachment,
}

/// A field without a place of its own in the builder.
#[derive(Clone, Debug)]
struct Extra {
    name: Cow<'static, str>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    /// `unstructured`
    Text(String),
    /// Whatever the caller knows it to be.
    Structured(String),
    /// `address-list`
    Contacts(Vec<Contact>),
    /// `<URI>, <URI>`
    Uris(Vec<String>),
    /// `[phrase] <list-id>`
    ListId(String, String),
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
        self.draft.date = Some(date);
        self
    }

    /// The identifier, `id-left@id-right` without brackets. It must be unlike that of every other message.
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.draft.message_id = Some(id.into());
        self
    }

    /// Fills in what is not set yet of the two: the date from the clock of the system, the identifier from its randomness,
    /// under the name of this host.
    ///
    /// # Panics
    /// Where the operating system has no randomness to give.
    pub fn stamp(mut self, host: &str) -> Self {
        self.draft.date.get_or_insert_with(|| Timestamp::from(SystemTime::now()));
        self.draft.message_id.get_or_insert_with(|| {
            let mut random = [0; 16];
            crypto::random(&mut random);
            format!("{:032x}@{host}", u128::from_be_bytes(random))
        });
        self
    }

    /// Adds an author. Where there are several, RFC 5322 §3.6.2 asks for a [`sender`](Self::sender).
    pub fn from(mut self, contact: impl Into<Contact>) -> Self {
        self.draft.from.push(contact.into());
        self
    }

    /// Who sent it, where that is not the author.
    pub fn sender(mut self, contact: impl Into<Contact>) -> Self {
        self.draft.sender = vec![contact.into()];
        self
    }

    /// Adds somebody who wants the answers.
    pub fn reply_to(mut self, contact: impl Into<Contact>) -> Self {
        self.draft.reply_to.push(contact.into());
        self
    }

    /// Adds a recipient.
    pub fn to(mut self, contact: impl Into<Contact>) -> Self {
        self.draft.to.push(contact.into());
        self
    }

    /// Adds a recipient of a copy.
    pub fn cc(mut self, contact: impl Into<Contact>) -> Self {
        self.draft.cc.push(contact.into());
        self
    }

    /// Adds a recipient that the others do not see: in the [`envelope`](Self::envelope), not in the header.
    pub fn bcc(mut self, contact: impl Into<Contact>) -> Self {
        self.draft.bcc.push(contact.into());
        self
    }

    /// Writes `Bcc` into the header, for a draft or for a server that takes it out again.
    pub fn keep_bcc(mut self) -> Self {
        self.draft.keep_bcc = true;
        self
    }

    /// Adds an identifier, without brackets, of a message that this one answers.
    pub fn in_reply_to(mut self, id: impl Into<String>) -> Self {
        self.draft.in_reply_to.push(id.into());
        self
    }

    /// Adds an identifier, without brackets, of an earlier message of the conversation.
    pub fn reference(mut self, id: impl Into<String>) -> Self {
        self.draft.references.push(id.into());
        self
    }

    /// What it is about.
    pub fn subject(mut self, text: impl Into<String>) -> Self {
        self.draft.subject = Some(text.into());
        self
    }

    /// Adds another field of text: encoded words are written where it needs them.
    pub fn field(self, name: &str, text: impl Into<String>) -> Self {
        self.extra(name.to_owned(), Value::Text(text.into()))
    }

    /// Adds another field whose value has a syntax of its own: it is folded at white space and else left as it is.
    pub fn structured(self, name: &str, value: impl Into<String>) -> Self {
        self.extra(name.to_owned(), Value::Structured(value.into()))
    }

    /// Adds another field of addresses, such as Disposition-Notification-To.
    pub fn contacts<C: Into<Contact>>(self, name: &str, contacts: impl IntoIterator<Item = C>) -> Self {
        self.extra(name.to_owned(), Value::Contacts(contacts.into_iter().map(Into::into).collect()))
    }

    /// Adds another field of URIs in angle brackets, such as List-Help or List-Archive (RFC 2369).
    pub fn uris<U: Into<String>>(self, name: &str, uris: impl IntoIterator<Item = U>) -> Self {
        self.extra(name.to_owned(), Value::Uris(uris.into_iter().map(Into::into).collect()))
    }

    /// The list that the message came by (RFC 2919): a name for people, or none, and an identifier like `list.example.org`.
    pub fn list_id(self, name: impl Into<String>, id: impl Into<String>) -> Self {
        self.extra("List-Id", Value::ListId(name.into(), id.into()))
    }

    /// How to leave the list by one click (RFC 8058): by a POST to this URI, which is one of `https`, and without it in the
    /// ways of the others. The message has to be signed with DKIM, List-Unsubscribe and List-Unsubscribe-Post included.
    /// Without one click it is [`uris`](Self::uris) for List-Unsubscribe.
    pub fn one_click<U: Into<String>>(self, https: impl Into<String>, others: impl IntoIterator<Item = U>) -> Self {
        self.uris("List-Unsubscribe", std::iter::once(https.into()).chain(others.into_iter().map(Into::into)))
            .extra("List-Unsubscribe-Post", Value::Structured("List-Unsubscribe=One-Click".to_owned()))
    }

    /// That no person sent it (RFC 3834 §5): programs that answer mail leave it alone.
    pub fn auto_submitted(self, how: AutoSubmitted) -> Self {
        let word = match how {
            AutoSubmitted::No => "no".to_owned(),
            AutoSubmitted::Generated => "auto-generated".to_owned(),
            AutoSubmitted::Replied => "auto-replied".to_owned(),
            AutoSubmitted::Notified => "auto-notified".to_owned(),
            AutoSubmitted::Other(word) => word,
        };
        self.extra("Auto-Submitted", Value::Structured(word))
    }

    /// How much it is to be noticed: the fields Importance (RFC 4021 §2.1.33), and X-Priority for readers that know only that.
    pub fn importance(self, importance: Importance) -> Self {
        let (word, number) = match importance {
            Importance::Low => ("low", "5"),
            Importance::Normal => ("normal", "3"),
            Importance::High => ("high", "1"),
        };
        let word = Value::Structured(word.to_owned());
        self.extra("Importance", word).extra("X-Priority", Value::Structured(number.to_owned()))
    }

    fn extra(mut self, name: impl Into<Cow<'static, str>>, value: Value) -> Self {
        self.draft.fields.push(Extra { name: name.into(), value });
        self
    }

    /// The text. Its line ends, LF or CRLF, are written as CRLF; text that is the last of the message gets one at its end.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.only(Role::Text, NewPart::text("plain", text))
    }

    /// The text as paragraphs that flow: [`NewPart::flowed`].
    pub fn flowed(self, text: &str) -> Self {
        self.only(Role::Text, NewPart::flowed(text))
    }

    /// The same as HTML, line ends as for [`text`](Self::text).
    pub fn html(self, html: impl Into<String>) -> Self {
        self.only(Role::Html, NewPart::text("html", html))
    }

    /// An image that the HTML shows by `cid:` and this identifier, like `logo@example.org`. Without HTML it is an
    /// attachment that readers may show.
    pub fn image(mut self, id: impl Into<String>, media_type: &str, octets: impl Into<Bytes>) -> Self {
        self.draft.parts.push((Role::Inline, NewPart::octets(media_type, octets).inline().id(id)));
        self
    }

    /// An invitation: an iCalendar object with its method, `REQUEST` or another, as an alternative to the text.
    pub fn calendar(self, method: &str, object: impl Into<String>) -> Self {
        self.only(Role::Calendar, NewPart::calendar(method, object))
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
        self.draft.parts.push((Role::Attachment, part));
        self
    }

    /// The body as a tree of the caller. It stands where the text, the HTML, the calendar and the images would; attachments
    /// follow it.
    pub fn body(self, part: NewPart) -> Self {
        self.only(Role::Body, part)
    }

    /// There is one part of this role.
    fn only(mut self, role: Role, part: NewPart) -> Self {
        self.draft.parts.retain(|(other, _)| *other != role);
        self.draft.parts.push((role, part));
        self
    }

    /// Writes the header in UTF-8 (RFC 6532): addresses beyond ASCII can be written then, and only servers with SMTPUTF8
    /// take the message, which have 8BITMIME too (RFC 6531 §3.1), so that bodies are as with [`eight_bit`](Self::eight_bit).
    /// Without it domains are written in A-labels and text in encoded words.
    pub fn utf8(mut self) -> Self {
        self.draft.utf8 = true;
        self.draft.eight_bit = true;
        self
    }

    /// Leaves bodies beyond ASCII unencoded where their lines allow it, for servers with 8BITMIME (RFC 6152).
    pub fn eight_bit(mut self) -> Self {
        self.draft.eight_bit = true;
        self
    }

    /// Who sends the message and who gets it: the sender, or else the first author, and the recipients of To, Cc and Bcc,
    /// each once. Without [`utf8`](Self::utf8) their domains are in A-labels.
    ///
    /// # Errors
    /// Where a contact has no address or one that needs UTF-8, and where there is no sender.
    pub fn envelope(&self) -> Result<(Address, Vec<Address>), BuildError> {
        let (field, sender) = match self.draft.sender.first() {
            Some(sender) => ("Sender", sender),
            None => ("From", self.draft.from.first().ok_or(BuildError::Missing { field: "From" })?),
        };
        let sender = sender.addresses().next().ok_or(BuildError::Group { field })?;
        let mut recipients = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (field, contacts) in [("To", &self.draft.to), ("Cc", &self.draft.cc), ("Bcc", &self.draft.bcc)] {
            for address in contacts.iter().flat_map(Contact::addresses) {
                let address = self.address(field, address)?.into_owned();
                if known.insert(address.clone()) {
                    recipients.push(address);
                }
            }
        }
        Ok((self.address(field, sender)?.into_owned(), recipients))
    }

    /// Writes the message. It is read anew only where it is looked into.
    ///
    /// # Errors
    /// Where what was passed in cannot be written as a valid message; the error names the field.
    pub fn finish(mut self) -> Result<Message, BuildError> {
        let tree;
        let root = match &self.draft.parts[..] {
            [(Role::Body | Role::Text | Role::Html | Role::Calendar, part)] => part,
            _ => {
                tree = self.tree();
                &tree
            }
        };
        // Boundaries need not be secret, only absent from the content; a seed keeps those of two messages apart.
        let seed = if root.depth > 0 { seed(self.draft.message_id.as_deref().unwrap_or_default()) } else { 0 };
        let plan = Plan::of(root, self.draft.eight_bit, self.draft.utf8, seed, true)?;
        let mut out = Vec::with_capacity(self.header_size() + plan.size(root));
        self.header(&mut out)?;
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        plan.write(root, &mut out)?;
        Ok(Message::unread(out.into()))
    }

    /// mixed( alternative( text, related( html, images ), calendar ), attachments ), and of these only what is needed.
    fn tree(&mut self) -> NewPart {
        let mut attachments = Vec::new();
        let mut inline = Vec::new();
        let [mut body, mut text, mut html, mut calendar] = [None, None, None, None];
        for (role, part) in self.draft.parts.drain(..) {
            match role {
                Role::Body => body = Some(part),
                Role::Text => text = Some(part),
                Role::Html => html = Some(part),
                Role::Calendar => calendar = Some(part),
                Role::Inline => inline.push(part),
                Role::Attachment => attachments.push(part),
            }
        }
        let html = match html {
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
        let body = body.or_else(|| {
            // RFC 2046 §5.1.4: "in order of increasing faithfulness"
            let mut forms = Vec::with_capacity(3);
            forms.extend([text, html, calendar].into_iter().flatten());
            if forms.len() > 1 { Some(NewPart::multipart("alternative", forms)) } else { forms.pop() }
        });
        if attachments.is_empty() {
            return body.unwrap_or_else(|| NewPart::text("plain", ""));
        }
        NewPart::multipart("mixed", body.into_iter().chain(attachments).collect())
    }
}

/// FNV-1a, 64 bits.
fn seed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3))
}
