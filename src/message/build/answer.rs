//! Answering a message, and sending one on (RFC 5322 §3.6.2 to §3.6.6).

use std::borrow::Cow;
use std::collections::HashSet;

use super::{BuildError, Builder, Contact, Place, check};
use crate::address::Address;
use crate::message::{Field, Header, Message};

/// How many identifiers an answer has in References at most: the first, and the latest. Conversations of years have more,
/// and servers refuse headers that are too long.
const MOST_REFERENCES: usize = 50;

impl Builder<'_> {
    /// Makes it an answer to the author of a message: To out of its Reply-To or else its From, the subject with `Re: `
    /// before it, In-Reply-To and References. What of them the message does not have, or cannot be written, is left out.
    ///
    /// ```
    /// use facteur::base::Timestamp;
    /// use facteur::message::Message;
    ///
    /// let question = Message::parse("From: Ada <ada@a.test>\r\nSubject: Lunch?\r\nMessage-ID: <1@a.test>\r\n\r\n");
    /// let answer = Message::build().from("c@c.test").date(Timestamp::from_unix(0)).reply(&question).text("Yes.\n").finish()?;
    /// assert_eq!(answer.header().get("to").unwrap().text(), "Ada <ada@a.test>");
    /// assert_eq!(answer.header().get("subject").unwrap().text(), "Re: Lunch?");
    /// assert_eq!(answer.header().get("references").unwrap().ids().collect::<Vec<_>>(), ["1@a.test"]);
    /// # Ok::<(), facteur::message::BuildError>(())
    /// ```
    pub fn reply(mut self, message: &Message) -> Self {
        let header = message.header();
        let authors = contacts(header, "reply-to");
        let authors = if authors.is_empty() { contacts(header, "from") } else { authors };
        self.draft.contacts.extend(authors.into_iter().map(|author| (Place::To, author)));
        let subject = header.get("subject").map(Field::text).unwrap_or_default().replace(['\r', '\n', '\0'], " ");
        let answered = subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
        // RFC 5322 §3.6.5: "If this is done, only one instance of the literal string "Re: " ought to be used"
        self.draft.subject = Some(if answered { subject.into() } else { format!("Re: {subject}").into() });
        let ids = |name: &str| {
            let ids = header.get(name).into_iter().flat_map(Field::ids).map(Cow::into_owned);
            ids.map(Cow::Owned)
                .filter(|id: &Cow<'_, str>| check::foreign_id(name, id, self.draft.utf8).is_ok())
                .collect::<Vec<_>>()
        };
        // RFC 5322 §3.6.4: References of the parent, or else its In-Reply-To where it is one, and then its Message-ID.
        let (parent, mut references) = (ids("message-id").into_iter().next(), ids("references"));
        if references.is_empty() {
            references = Some(ids("in-reply-to")).filter(|ids| ids.len() == 1).unwrap_or_default();
        }
        references.extend(parent.clone());
        if references.len() > MOST_REFERENCES {
            references.drain(1..=references.len() - MOST_REFERENCES);
        }
        self.draft.in_reply_to.extend(parent);
        self.draft.references.extend(references);
        self
    }

    /// As [`reply`](Self::reply), with the recipients of the message in Cc: each once, and none that is an author of the
    /// answer, so [`from`](Self::from) comes first.
    pub fn reply_all(self, message: &Message) -> Self {
        let mut answer = self.reply(message);
        let mut known: HashSet<Address> = [Place::From, Place::To]
            .into_iter()
            .flat_map(|place| answer.contacts_of(place))
            .flat_map(Contact::addresses)
            .flatten()
            .collect();
        for contact in ["to", "cc"].into_iter().flat_map(|name| contacts(message.header(), name)) {
            // Each is one mailbox: groups were taken apart.
            if contact.addresses().flatten().any(|address| known.insert(address)) {
                answer.draft.contacts.push((Place::Cc, contact));
            }
        }
        answer
    }

    /// Sends a message on as it is, with a block of Resent fields before it: Resent-Date, -From, -Sender, -To, -Cc, -Bcc
    /// and -Message-ID out of those set here, which make the [`envelope`](Self::envelope) too.
    ///
    /// ```
    /// use facteur::base::Timestamp;
    /// use facteur::message::Message;
    ///
    /// let message = Message::parse("From: ada@a.test\r\nTo: b@b.test\r\n\r\nHello.\r\n");
    /// let resent = Message::build().from("b@b.test").to("c@c.test").date(Timestamp::from_unix(0)).resend(&message)?;
    /// assert_eq!(
    ///     resent.raw(),
    ///     "Resent-Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nResent-From: b@b.test\r\nResent-To: c@c.test\r\n\
    ///      From: ada@a.test\r\nTo: b@b.test\r\n\r\nHello.\r\n"
    /// );
    /// # Ok::<(), facteur::message::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// As [`finish`](Self::finish), and where anything else is set: the message keeps its own. A message that begins with white
    /// space cannot be resent, for its first line would become part of the block.
    pub fn resend(self, message: &Message) -> Result<Message, BuildError> {
        for (field, set) in [
            ("Reply-To", self.contacts_of(Place::ReplyTo).next().is_some()), // RFC 5322 §3.6.6 has no Resent-Reply-To any more
            ("In-Reply-To", !self.draft.in_reply_to.is_empty()),
            ("References", !self.draft.references.is_empty()),
            ("Subject", self.draft.subject.is_some()),
            ("another field", !self.draft.fields.is_empty()),
            ("a body", self.draft.main.is_some() || !self.draft.parts.is_empty()),
            (
                "a message that begins with white space",
                message.raw().starts_with(b" ") || message.raw().starts_with(b"\t"),
            ),
        ] {
            if set {
                return Err(BuildError::Resent { field });
            }
        }
        let mut block = Vec::with_capacity(self.header_size());
        self.originator("Resent-", &mut block)?;
        self.destinations("Resent-", &mut block)?;
        let raw = message.raw();
        // With the line ends that the message has.
        let first = memchr::memchr(b'\n', raw).and_then(|at| raw.get(..at));
        if first.is_some_and(|line| !line.ends_with(b"\r")) {
            block.retain(|octet| *octet != b'\r');
        }
        // Behind the line that mbox puts before a message.
        let mbox = message.header().fields().next().filter(|field| field.name().is_empty());
        let (before, after) = raw.split_at(mbox.map_or(0, |line| line.raw().len()));
        // That line may be all there is.
        let end: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\r\n" };
        Ok(Message::unread([before, end, &block, after].concat().into()))
    }
}

/// Who stands in the address fields of this name, as far as they can be written again.
fn contacts(header: Header<'_>, name: &str) -> Vec<Contact<'static>> {
    let unsound = |name: &str| name.contains(['\r', '\n', '\0']);
    let mailboxes = header.all(name).flat_map(Field::mailboxes);
    mailboxes
        .filter_map(|mailbox| {
            let (name, address) = (mailbox.name(), mailbox.address()?);
            Some(match name.filter(|name| !unsound(name)) {
                Some(name) => Contact::from((name.into_owned(), address)),
                None => Contact::from(address),
            })
        })
        .filter(|contact| contact.addresses().all(|address| address.is_ok()))
        .collect()
}
