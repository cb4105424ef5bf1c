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

/// A message in the making. What it is given is borrowed or owned, as it comes, until [`finish`](Self::finish) writes it.
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
pub struct Builder<'a> {
    /// Each method moves the builder, so it is kept small.
    draft: Box<Draft<'a>>,
}

#[derive(Clone, Debug, Default)]
struct Draft<'a> {
    date: Option<Timestamp>,
    message_id: Option<Cow<'a, str>>,
    /// Those of all fields in one vector, for they are few.
    contacts: Vec<(Place, Contact<'a>)>,
    keep_bcc: bool,
    in_reply_to: Vec<Cow<'a, str>>,
    references: Vec<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    fields: Vec<Extra<'a>>,
    /// Of the roles that one part has, the first that was set: for most messages all there is.
    main: Option<NewPart<'a>>,
    parts: Vec<NewPart<'a>>,
    utf8: bool,
    eight_bit: bool,
}

/// The field that a contact stands in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    From,
    /// At most one.
    Sender,
    ReplyTo,
    To,
    Cc,
    Bcc,
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
struct Extra<'a> {
    name: Cow<'a, str>,
    value: Value<'a>,
}

#[derive(Clone, Debug)]
enum Value<'a> {
    /// `unstructured`
    Text(Cow<'a, str>),
    /// Whatever the caller knows it to be.
    Structured(Cow<'a, str>),
    /// `address-list`
    Contacts(Vec<Contact<'a>>),
    /// `<URI>, <URI>`
    Uris(Vec<Cow<'a, str>>),
    /// `[phrase] <list-id>`
    ListId(Cow<'a, str>, Cow<'a, str>),
}

impl Message {
    /// A message in the making: [`Builder::new`].
    pub fn build<'a>() -> Builder<'a> {
        Builder::new()
    }
}

impl<'a> Builder<'a> {
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
    pub fn message_id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
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
            format!("{:032x}@{host}", u128::from_be_bytes(random)).into()
        });
        self
    }

    /// Adds an author. Where there are several, RFC 5322 §3.6.2 asks for a [`sender`](Self::sender).
    pub fn from(self, contact: impl Into<Contact<'a>>) -> Self {
        self.contact(Place::From, contact.into())
    }

    /// Who sent it, where that is not the author.
    pub fn sender(mut self, contact: impl Into<Contact<'a>>) -> Self {
        self.draft.contacts.retain(|(place, _)| *place != Place::Sender);
        self.contact(Place::Sender, contact.into())
    }

    /// Adds somebody who wants the answers.
    pub fn reply_to(self, contact: impl Into<Contact<'a>>) -> Self {
        self.contact(Place::ReplyTo, contact.into())
    }

    /// Adds a recipient.
    pub fn to(self, contact: impl Into<Contact<'a>>) -> Self {
        self.contact(Place::To, contact.into())
    }

    /// Adds a recipient of a copy.
    pub fn cc(self, contact: impl Into<Contact<'a>>) -> Self {
        self.contact(Place::Cc, contact.into())
    }

    /// Adds a recipient that the others do not see: in the [`envelope`](Self::envelope), not in the header.
    pub fn bcc(self, contact: impl Into<Contact<'a>>) -> Self {
        self.contact(Place::Bcc, contact.into())
    }

    #[inline] // what it is given is large
    fn contact(mut self, place: Place, contact: Contact<'a>) -> Self {
        self.draft.contacts.push((place, contact));
        self
    }

    /// Who stands in a field.
    fn contacts_of(&self, place: Place) -> impl Iterator<Item = &Contact<'a>> {
        self.draft.contacts.iter().filter(move |(other, _)| *other == place).map(|(_, contact)| contact)
    }

    /// Writes `Bcc` into the header, for a draft or for a server that takes it out again.
    pub fn keep_bcc(mut self) -> Self {
        self.draft.keep_bcc = true;
        self
    }

    /// Adds an identifier, without brackets, of a message that this one answers.
    pub fn in_reply_to(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.draft.in_reply_to.push(id.into());
        self
    }

    /// Adds an identifier, without brackets, of an earlier message of the conversation.
    pub fn reference(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.draft.references.push(id.into());
        self
    }

    /// What it is about.
    pub fn subject(mut self, text: impl Into<Cow<'a, str>>) -> Self {
        self.draft.subject = Some(text.into());
        self
    }

    /// Adds another field of text: encoded words are written where it needs them.
    pub fn field(self, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        self.extra(name, Value::Text(text.into()))
    }

    /// Adds another field whose value has a syntax of its own: it is folded at white space and else left as it is.
    pub fn structured(self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        self.extra(name, Value::Structured(value.into()))
    }

    /// Adds another field of addresses, such as Disposition-Notification-To.
    pub fn contacts<C: Into<Contact<'a>>>(
        self,
        name: impl Into<Cow<'a, str>>,
        contacts: impl IntoIterator<Item = C>,
    ) -> Self {
        self.extra(name, Value::Contacts(contacts.into_iter().map(Into::into).collect()))
    }

    /// Adds another field of URIs in angle brackets, such as List-Help or List-Archive (RFC 2369).
    pub fn uris<U: Into<Cow<'a, str>>>(self, name: impl Into<Cow<'a, str>>, uris: impl IntoIterator<Item = U>) -> Self {
        self.extra(name, Value::Uris(uris.into_iter().map(Into::into).collect()))
    }

    /// The list that the message came by (RFC 2919): a name for people, or none, and an identifier like `list.example.org`.
    pub fn list_id(self, name: impl Into<Cow<'a, str>>, id: impl Into<Cow<'a, str>>) -> Self {
        self.extra("List-Id", Value::ListId(name.into(), id.into()))
    }

    /// How to leave the list by one click (RFC 8058): by a POST to this URI, which is one of `https`, and without it in the
    /// ways of the others. The message has to be signed with DKIM, List-Unsubscribe and List-Unsubscribe-Post included.
    /// Without one click it is [`uris`](Self::uris) for List-Unsubscribe.
    pub fn one_click<U: Into<Cow<'a, str>>>(
        self,
        https: impl Into<Cow<'a, str>>,
        others: impl IntoIterator<Item = U>,
    ) -> Self {
        self.uris("List-Unsubscribe", std::iter::once(https.into()).chain(others.into_iter().map(Into::into)))
            .extra("List-Unsubscribe-Post", Value::Structured("List-Unsubscribe=One-Click".into()))
    }

    /// That no person sent it (RFC 3834 §5): programs that answer mail leave it alone.
    pub fn auto_submitted(self, how: AutoSubmitted) -> Self {
        let word = match how {
            AutoSubmitted::No => "no".into(),
            AutoSubmitted::Generated => "auto-generated".into(),
            AutoSubmitted::Replied => "auto-replied".into(),
            AutoSubmitted::Notified => "auto-notified".into(),
            AutoSubmitted::Other(word) => word.into(),
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
        let word = Value::Structured(word.into());
        self.extra("Importance", word).extra("X-Priority", Value::Structured(number.into()))
    }

    fn extra(mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>) -> Self {
        self.draft.fields.push(Extra { name: name.into(), value });
        self
    }

    /// The text. Its line ends, LF or CRLF, are written as CRLF; text that is the last of the message gets one at its end.
    pub fn text(self, text: impl Into<Cow<'a, str>>) -> Self {
        self.only(Role::Text, NewPart::text("plain", text))
    }

    /// The text as paragraphs that flow: [`NewPart::flowed`].
    pub fn flowed(self, text: &str) -> Self {
        self.only(Role::Text, NewPart::flowed(text))
    }

    /// The same as HTML, line ends as for [`text`](Self::text).
    pub fn html(self, html: impl Into<Cow<'a, str>>) -> Self {
        self.only(Role::Html, NewPart::text("html", html))
    }

    /// An image that the HTML shows by `cid:` and this identifier, like `logo@example.org`. Without HTML it is an
    /// attachment that readers may show.
    pub fn image(
        self,
        id: impl Into<Cow<'a, str>>,
        media_type: impl Into<Cow<'a, str>>,
        octets: impl Into<Bytes>,
    ) -> Self {
        self.more(Role::Inline, NewPart::octets(media_type, octets).inline().id(id))
    }

    /// An invitation: an iCalendar object with its method, `REQUEST` or another, as an alternative to the text.
    pub fn calendar(self, method: impl Into<Cow<'a, str>>, object: impl Into<Cow<'a, str>>) -> Self {
        self.only(Role::Calendar, NewPart::calendar(method, object))
    }

    /// A file, kept to the octet.
    pub fn attach(
        self,
        filename: impl Into<Cow<'a, str>>,
        media_type: impl Into<Cow<'a, str>>,
        octets: impl Into<Bytes>,
    ) -> Self {
        self.attach_part(NewPart::octets(media_type, octets).attachment(filename))
    }

    /// A message.
    pub fn attach_message(self, message: Message) -> Self {
        self.attach_part(NewPart::message(message))
    }

    /// A part behind the text.
    pub fn attach_part(self, part: NewPart<'a>) -> Self {
        self.more(Role::Attachment, part)
    }

    /// The body as a tree of the caller. It stands where the text, the HTML, the calendar and the images would; attachments
    /// follow it.
    pub fn body(self, part: NewPart<'a>) -> Self {
        self.only(Role::Body, part)
    }

    /// There may be many parts of this role.
    fn more(mut self, role: Role, mut part: NewPart<'a>) -> Self {
        part.role = role;
        self.draft.parts.push(part);
        self
    }

    /// There is one part of this role.
    fn only(mut self, role: Role, mut part: NewPart<'a>) -> Self {
        part.role = role;
        match &mut self.draft.main {
            Some(main) if main.role != role => {
                self.draft.parts.retain(|other| other.role != role);
                self.draft.parts.push(part);
            }
            main => *main = Some(part),
        }
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
        let mut senders = [("Sender", Place::Sender), ("From", Place::From)].into_iter();
        let sender = senders.find_map(|(field, place)| Some((field, self.contacts_of(place).next()?)));
        let (field, sender) = sender.ok_or(BuildError::Missing { field: "From" })?;
        let sender = sender.addresses().next().ok_or(BuildError::Group { field })?;
        let mut recipients = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (field, place) in [("To", Place::To), ("Cc", Place::Cc), ("Bcc", Place::Bcc)] {
            for address in self.contacts_of(place).flat_map(Contact::addresses) {
                let address = self.address(field, address)?;
                if known.insert(address.clone()) {
                    recipients.push(address);
                }
            }
        }
        Ok((self.address(field, sender)?, recipients))
    }

    /// Writes the message. It is read anew only where it is looked into.
    ///
    /// # Errors
    /// Where what was passed in cannot be written as a valid message; the error names the field.
    pub fn finish(mut self) -> Result<Message, BuildError> {
        let tree;
        let root = match (&self.draft.main, &self.draft.parts[..]) {
            (Some(part), []) => part,
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
    fn tree(&mut self) -> NewPart<'a> {
        let mut attachments = Vec::new();
        let mut inline = Vec::new();
        let [mut body, mut text, mut html, mut calendar] = [None, None, None, None];
        for part in self.draft.main.take().into_iter().chain(self.draft.parts.drain(..)) {
            match part.role {
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
