//! A message on its way out: the envelope, the text, and what both ask of a server.

use std::collections::HashSet;

use bytes::Bytes;

use crate::address::Address;
use crate::message::{Field, Message};
use crate::smtp::trace::in_ascii;
use crate::smtp::{Body, Enhanced, Envelope, Extensions, ForwardPath, MailParams, RcptParams, Reply, ReversePath};

use super::EightBit;

/// A message to send.
///
/// Of a [`Message`] the envelope is read out of the header, as RFC 5321 appendix B has it: who `Sender` or else `From`
/// names takes the bounces; all whom `To`, `Cc` and `Bcc` name get it; `Bcc` is left out of what is sent. Where the message
/// was resent the newest `Resent-` fields are read instead.
///
/// ```
/// use facteur::message::Message;
/// use facteur::smtp::Outgoing;
///
/// let message = Message::parse("From: ada@a.test\r\nTo: bob@b.test\r\nBcc: eve@e.test\r\n\r\nHi.\r\n");
/// let outgoing = Outgoing::try_from(&message)?;
/// assert_eq!(outgoing.envelope.from.to_string(), "<ada@a.test>");
/// assert_eq!(outgoing.envelope.recipients.len(), 2);
/// assert_eq!(outgoing.content, "From: ada@a.test\r\nTo: bob@b.test\r\n\r\nHi.\r\n");
/// # Ok::<(), facteur::smtp::NoEnvelope>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// Who sends it, to whom. [`MailParams::size`] is not looked at, and a missing [`MailParams::body`] is found out.
    pub envelope: Envelope,
    /// The text.
    pub content: Bytes,
}

/// Why a header has no envelope in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEnvelope {
    /// Neither `Sender` nor `From` has an address.
    #[error("no sender in the header")]
    NoSender,
    /// None of `To`, `Cc` and `Bcc` has an address.
    #[error("no recipient in the header")]
    NoRecipient,
    /// What stands there is no address that an envelope can hold.
    #[error("no address: {0}")]
    BadAddress(&'static str),
}

impl Outgoing {
    /// A message with its envelope.
    pub fn new(envelope: Envelope, content: impl Into<Bytes>) -> Self {
        Self { envelope, content: content.into() }
    }

    /// The parameters of MAIL that go to a server with these extensions, or why it cannot have the message.
    pub(super) fn mail_params(&self, offered: &Extensions, eight_bit: EightBit) -> Result<MailParams, Refusal> {
        let asked = &self.envelope.params;
        let size = self.content.len() as u64;
        // RFC 1870 §6.1: "the client MAY immediately terminate" where the limit that was announced is exceeded.
        if offered.size.flatten().is_some_and(|limit| limit < size) {
            return Err(Refusal::TooLarge);
        }
        if asked.body == Some(Body::BinaryMime) {
            return Err(Refusal::Binary);
        }
        let ascii = self.content.is_ascii();
        if !ascii && !offered.eight_bit_mime && eight_bit == EightBit::Refuse {
            return Err(Refusal::EightBit);
        }
        // RFC 6531 §3.2: without SMTPUTF8 neither the reverse-path nor the header may need it.
        let utf8_sender = ascii_reverse(&self.envelope.from).is_none();
        let utf8_header = asked.smtputf8 && !self.header().is_ascii();
        if utf8_sender && !offered.smtputf8 {
            return Err(Refusal::Utf8Sender);
        }
        if utf8_header && !offered.smtputf8 {
            return Err(Refusal::Utf8Header);
        }
        // RFC 6152 §3: without 8BITMIME there is no BODY either; 7BIT goes without saying.
        let body = if ascii { asked.body } else { Some(Body::EightBitMime) };
        let mut params = MailParams {
            size: offered.size.map(|_| size),
            body: body.filter(|_| offered.eight_bit_mime),
            smtputf8: offered.smtputf8 && (asked.smtputf8 || self.has_utf8_path()),
            ..MailParams::default()
        };
        if offered.dsn {
            params.ret = asked.ret;
            params.envid = asked.envid.clone();
        }
        if !offered.auth.is_empty() {
            params.auth = asked.auth.clone();
        }
        Ok(params)
    }

    fn has_utf8_path(&self) -> bool {
        let from = matches!(&self.envelope.from, ReversePath::Address(from) if !from.is_ascii());
        from || self.envelope.recipients.iter().any(|recipient| match &recipient.to {
            ForwardPath::Address(to) => !to.is_ascii(),
            ForwardPath::Postmaster => false,
        })
    }

    /// The text up to the first empty line.
    fn header(&self) -> &[u8] {
        let mut at = 0;
        for line in self.content.split_inclusive(|octet| *octet == b'\n') {
            if matches!(line, b"\r\n" | b"\n") {
                break;
            }
            at += line.len();
        }
        self.content.get(..at).unwrap_or_default()
    }
}

/// Why the client itself does not send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    Binary,
    EightBit,
    Utf8Sender,
    Utf8Header,
    Utf8Recipient,
}

impl Refusal {
    /// In the words of a server.
    pub(super) fn reply(self) -> Reply {
        let (code, enhanced, text) = match self {
            // RFC 1870 §6.1
            Self::TooLarge => (552, Enhanced(5, 3, 4), "message larger than the server's limit"),
            Self::Binary => (554, Enhanced(5, 6, 3), "binary message and no way to send it"),
            // RFC 6152 §3, RFC 3463 §3.7
            Self::EightBit => (554, Enhanced(5, 6, 3), "8-bit message and a server without 8BITMIME"),
            // RFC 6531 §4.3
            Self::Utf8Sender => (550, Enhanced(5, 6, 7), "UTF-8 sender and a server without SMTPUTF8"),
            Self::Utf8Recipient => (553, Enhanced(5, 6, 7), "UTF-8 recipient and a server without SMTPUTF8"),
            Self::Utf8Header => (550, Enhanced(5, 6, 9), "UTF-8 header and a server without SMTPUTF8"),
        };
        Reply::new(code, enhanced, text)
    }
}

/// The path as it goes to a server without SMTPUTF8: domains in A-labels. `None` where it has no such form.
pub(super) fn ascii_reverse(path: &ReversePath) -> Option<ReversePath> {
    match path {
        ReversePath::Null => Some(ReversePath::Null),
        ReversePath::Address(address) => ascii_form(address).map(ReversePath::Address),
    }
}

/// As [`ascii_reverse`].
pub(super) fn ascii_forward(path: &ForwardPath) -> Option<ForwardPath> {
    match path {
        ForwardPath::Postmaster => Some(ForwardPath::Postmaster),
        ForwardPath::Address(address) => ascii_form(address).map(ForwardPath::Address),
    }
}

fn ascii_form(address: &Address) -> Option<Address> {
    if address.is_ascii() {
        return Some(address.clone());
    }
    Address::new(address.local(), in_ascii(address.domain())?).ok().filter(Address::is_ascii)
}

/// The parameters of RCPT that go to a server with these extensions.
pub(super) fn rcpt_params(asked: &RcptParams, offered: &Extensions) -> RcptParams {
    if offered.dsn { asked.clone() } else { RcptParams::default() }
}

impl TryFrom<&Message> for Outgoing {
    type Error = NoEnvelope;

    fn try_from(message: &Message) -> Result<Self, NoEnvelope> {
        let newest = newest_resent(message);
        let fields = || message.header().fields().take(newest.unwrap_or(usize::MAX));
        let prefix = if newest.is_some() { "Resent-" } else { "" };
        let named = |field: &Field<'_>, name: &str| {
            field
                .name()
                .split_at_checked(prefix.len())
                .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(prefix) && rest.eq_ignore_ascii_case(name))
        };
        let addresses = |name: &'static str| -> Result<Vec<Address>, NoEnvelope> {
            let entries = fields().filter(|field| named(field, name)).flat_map(Field::addresses);
            let mailboxes: Vec<_> = entries.flat_map(|entry| entry.mailboxes().to_vec()).collect();
            mailboxes.iter().map(|mailbox| mailbox.address().ok_or(NoEnvelope::BadAddress(name))).collect()
        };
        // RFC 5322 §3.6.2: "Sender" is "the agent responsible for the actual transmission".
        let mut from = addresses("Sender")?;
        if from.is_empty() {
            from = addresses("From")?;
        }
        let from = from.into_iter().next().ok_or(NoEnvelope::NoSender)?;
        let mut seen = HashSet::new();
        let mut to = [addresses("To")?, addresses("Cc")?, addresses("Bcc")?].concat();
        to.retain(|address| seen.insert(address.clone()));
        if to.is_empty() {
            return Err(NoEnvelope::NoRecipient);
        }
        let mut envelope = Envelope::new(from.into(), to.into_iter().map(ForwardPath::from));
        // RFC 6531 §3.4: a header beyond ASCII needs SMTPUTF8.
        envelope.params.smtputf8 = !message.header().raw().is_ascii();
        Ok(Self { envelope, content: without_bcc(message) })
    }
}

impl TryFrom<Message> for Outgoing {
    type Error = NoEnvelope;

    fn try_from(message: Message) -> Result<Self, NoEnvelope> {
        Self::try_from(&message)
    }
}

impl From<&Self> for Outgoing {
    fn from(outgoing: &Self) -> Self {
        outgoing.clone()
    }
}

impl From<(Envelope, Bytes)> for Outgoing {
    fn from((envelope, content): (Envelope, Bytes)) -> Self {
        Self { envelope, content }
    }
}

/// Up to which field the newest block of `Resent-` fields reaches; `None` where there is none. Each resending puts its
/// block before all that is there (RFC 5322 §3.6.6), so a name that comes again belongs to an older one.
fn newest_resent(message: &Message) -> Option<usize> {
    let mut names = HashSet::new();
    let mut end = None;
    for (at, field) in message.header().fields().enumerate() {
        let name = field.name().to_ascii_lowercase();
        if name.starts_with("resent-") {
            if !names.insert(name) {
                break;
            }
            end = Some(at + 1);
        }
    }
    end
}

/// The octets of the message without `Bcc` and `Resent-Bcc` (RFC 5322 §3.6.3); those of the message where it has none.
fn without_bcc(message: &Message) -> Bytes {
    let is_bcc = |field: &Field<'_>| field.is("Bcc") || field.is("Resent-Bcc");
    if !message.header().fields().any(|field| is_bcc(&field)) {
        return message.raw().clone();
    }
    let header = message.header().raw();
    let mut content = Vec::with_capacity(message.raw().len());
    for field in message.header().fields().filter(|field| !is_bcc(field)) {
        content.extend_from_slice(field.raw());
    }
    content.extend_from_slice(message.raw().get(header.len()..).unwrap_or_default());
    content.into()
}
