//! A message on its way out: the envelope, the text, and what both ask of a server.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;

use crate::address::Address;
use crate::base::Tls;
use crate::message::convert::{Transport, Unconvertible};
use crate::message::{Field, Message};
use crate::smtp::trace::address_in_ascii;
use crate::smtp::{
    Body, ByMode, DeliverBy, Enhanced, Envelope, Extensions, ForwardPath, Hold, MailParams, Notify, RareMailParams,
    RcptParams, Reply, ReversePath, Unsupported,
};

use super::{ClientConfig, Conversion, EightBit, RrvsField, Utf8Header};

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
    /// How long the message has been here: the times of [`by`](crate::smtp::RareMailParams::by) and
    /// [`hold`](crate::smtp::RareMailParams::hold) run since then. Default
    /// no time. It counts as of [`Client::send`](super::Client::send); what [`net`](crate::net) sends grows older on the way.
    pub age: Duration,
}

/// What a client knows of the server that decides how a message goes there.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) offered: &'a Extensions,
    pub(super) config: &'a ClientConfig,
    pub(super) tls: Option<&'a Tls>,
}

impl Terms<'_> {
    /// Whether the text goes by BDAT (RFC 3030 §2).
    pub(super) fn is_chunked(self) -> bool {
        self.offered.chunking && self.config.max_chunk > 0
    }

    fn takes_binary(self) -> bool {
        self.offered.binary_mime && self.is_chunked()
    }
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
        Self { envelope, content: content.into(), age: Duration::ZERO }
    }

    /// Converts the message where the server cannot have it as it is, and the config wants that; what was done.
    pub(super) fn convert(&mut self, terms: Terms<'_>) -> Result<Option<Conversion>, Refusal> {
        let mut fields = 0;
        if !terms.offered.smtputf8 && self.needs_utf8_header() {
            if terms.config.utf8_header == Utf8Header::Refuse {
                return Ok(None);
            }
            let converted = Message::parse(self.content.clone()).with_ascii_header();
            let converted = converted.map_err(|_| Refusal::Utf8Header)?;
            (self.content, fields) = (converted.message.raw().clone(), converted.fields);
        }
        let to = if terms.offered.eight_bit_mime { Transport::EightBit } else { Transport::SevenBit };
        let binary = self.envelope.params.body == Some(Body::BinaryMime) && !terms.takes_binary();
        // A server that has SMTPUTF8 has 8BITMIME (RFC 6531 §3.1).
        let fits = !binary && (to == Transport::EightBit || self.content.is_ascii());
        if fits || terms.config.eight_bit != EightBit::Convert {
            return Ok((fields > 0).then_some(Conversion { to, parts: 0, fields }));
        }
        match Message::parse(self.content.clone()).convert(to) {
            Ok(converted) => {
                self.content = converted.message.raw().clone();
                self.envelope.params.body = Some(match to {
                    Transport::SevenBit => Body::SevenBit,
                    Transport::EightBit => Body::EightBitMime,
                });
                Ok(Some(Conversion { to, parts: converted.parts, fields: fields + converted.fields }))
            }
            Err(_) if binary => Err(Refusal::Binary),
            Err(Unconvertible::Protected) => Err(Refusal::Signed),
            Err(_) => Err(Refusal::Unconvertible),
        }
    }

    /// Says in the header since when the address must have had its owner, where the server cannot be told and the config wants
    /// that. RFC 7293 §6.1: unless "rejection was specifically declined by the client" it does not go there.
    pub(super) fn tunnel_rrvs(&mut self, terms: Terms<'_>) {
        let [only] = self.envelope.recipients.as_slice() else { return };
        let declined = only.params.rrvs.filter(|rrvs| rrvs.otherwise == Some(Unsupported::Continue));
        let (Some(rrvs), ForwardPath::Address(to)) = (declined, &only.to) else { return };
        if terms.config.rrvs_field == RrvsField::Add && !terms.offered.rrvs && to.is_ascii() {
            let field = format!("Require-Recipient-Valid-Since: {to};\r\n\t{}\r\n", rrvs.since);
            self.content = [field.as_bytes(), &self.content].concat().into();
        }
    }

    /// RFC 6531 §3.2: headers in UTF-8 "at any level within its MIME structure".
    fn needs_utf8_header(&self) -> bool {
        let may = self.envelope.params.smtputf8 && !self.content.is_ascii();
        may && Message::parse(self.content.clone()).has_utf8_header()
    }

    /// The parameters of MAIL that go to a server on these terms, or why it cannot have the message.
    pub(super) fn mail_params(&self, terms: Terms<'_>) -> Result<MailParams, Refusal> {
        let Terms { offered, config, .. } = terms;
        let asked = &self.envelope.params;
        let size = self.content.len() as u64;
        // RFC 1870 §6.1: "the client MAY immediately terminate" where the limit that was announced is exceeded.
        if offered.size.flatten().is_some_and(|limit| limit < size) {
            return Err(Refusal::TooLarge);
        }
        // RFC 3030 §3: without BINARYMIME "the sender-SMTP MUST NOT, under any circumstances, send binary data", and "BINARYMIME
        // cannot be used with the DATA command".
        let binary = asked.body == Some(Body::BinaryMime);
        if binary && !terms.takes_binary() {
            return Err(Refusal::Binary);
        }
        let ascii = self.content.is_ascii();
        if !ascii && !binary && !offered.eight_bit_mime && config.eight_bit == EightBit::Refuse {
            return Err(Refusal::EightBit);
        }
        // RFC 6531 §3.2: without SMTPUTF8 neither the reverse-path nor the header may need it.
        let utf8_sender = ascii_reverse(&self.envelope.from).is_none();
        if utf8_sender && !offered.smtputf8 {
            return Err(Refusal::Utf8Sender);
        }
        if !offered.smtputf8 && self.needs_utf8_header() {
            return Err(Refusal::Utf8Header);
        }
        // RFC 6152 §3: without 8BITMIME there is no BODY either; 7BIT goes without saying.
        let body = if ascii || binary { asked.body } else { Some(Body::EightBitMime) };
        let mut params = MailParams {
            size: offered.size.map(|_| size),
            body: body.filter(|_| binary || offered.eight_bit_mime),
            smtputf8: offered.smtputf8 && (asked.smtputf8 || self.has_utf8_path()),
            rare: RareMailParams {
                auth: asked.auth.clone().filter(|_| !offered.auth.is_empty()),
                by: self.deliver_by(offered)?,
                hold: self.hold(offered)?,
                // RFC 6710 §4.3: to a server without the extension it goes without.
                priority: asked.priority.filter(|_| offered.priority.is_some()),
                require_tls: self.require_tls(terms)?,
                // RFC 3865 §2.3, RFC 4141 §4, RFC 4405 §4: parameters for whom they mean something.
                solicit: asked.solicit.clone().filter(|_| offered.no_soliciting.is_some()),
                convert: asked.convert && offered.conperm,
                submitter: asked.submitter.clone().filter(|_| offered.submitter),
            }
            .into(),
            ..MailParams::default()
        };
        if offered.dsn {
            params.ret = asked.ret;
            params.envid = asked.envid.clone();
        }
        Ok(params)
    }

    /// What is left of the time to deliver. RFC 2852 §4.1.4: "the number of seconds remaining until deliver-by-time".
    fn deliver_by(&self, offered: &Extensions) -> Result<Option<DeliverBy>, Refusal> {
        let Some(by) = self.envelope.params.by else { return Ok(None) };
        // A second that has begun is over: the sum of such errors must not give more time than was asked for.
        let seconds = i64::from(by.seconds).saturating_sub_unsigned(self.seconds());
        if by.mode == ByMode::Return {
            // RFC 2852 §4.1.4.1: "MUST NOT be relayed to a SMTP server which does not support the Deliver By SMTP service
            // extension", nor to one with "a fixed minimum by-time which is greater than the time remaining".
            match offered.deliver_by {
                _ if seconds <= 0 => return Err(Refusal::TooLate),
                None => return Err(Refusal::NoDeliverBy),
                Some(least) if i64::from(least) > seconds => return Err(Refusal::TooSoon),
                Some(_) => {}
            }
        }
        // by-time has nine digits.
        let seconds = seconds.clamp(-999_999_999, 999_999_999) as i32; // fits, as just clamped
        Ok(offered.deliver_by.map(|_| DeliverBy { seconds, ..by }))
    }

    /// What is left of the time to hold it. Whoever wants it held does not want it sent at once, so a server that cannot do
    /// so, or not for so long, does not get it.
    fn hold(&self, offered: &Extensions) -> Result<Option<Hold>, Refusal> {
        let hold = match self.envelope.params.hold {
            None => return Ok(None),
            Some(Hold::For(seconds)) => match u64::from(seconds).saturating_sub(self.age.as_secs()) {
                0 => return Ok(None),
                seconds => Hold::For(seconds as u32), // not more than it was
            },
            Some(until) => until,
        };
        // RFC 4865 §5.1.1: "MUST NOT request Future Message Release when sending a DSN".
        let limits = offered.future_release.filter(|_| self.envelope.from != ReversePath::Null);
        match (hold, limits.ok_or(Refusal::Hold)?) {
            (Hold::For(seconds), limits) if seconds > limits.interval => Err(Refusal::Hold),
            (Hold::Until(point), limits) if point.unix() > limits.until.unix() => Err(Refusal::Hold),
            _ => Ok(Some(hold)),
        }
    }

    /// RFC 8689 §4.2.1: only over TLS to a server that has proved its name and says REQUIRETLS under TLS. §5: a bounce goes on
    /// nevertheless, without the word.
    fn require_tls(&self, Terms { offered, tls, .. }: Terms<'_>) -> Result<bool, Refusal> {
        let is_proved = tls.is_some_and(|tls| tls.verified);
        match (self.envelope.params.require_tls, is_proved, offered.require_tls) {
            (false, ..) => Ok(false),
            (true, true, true) => Ok(true),
            _ if self.envelope.from == ReversePath::Null => Ok(false),
            (true, false, _) => Err(Refusal::NoTls),
            (true, true, false) => Err(Refusal::NoRequireTls),
        }
    }

    /// Its age in seconds, one that has begun among them.
    fn seconds(&self) -> u64 {
        self.age.as_secs().saturating_add(u64::from(self.age.subsec_nanos() > 0))
    }

    /// The parameters of RCPT that go to a server with these extensions, or why it cannot have the message for him.
    pub(super) fn rcpt_params(&self, asked: &RcptParams, offered: &Extensions) -> Result<RcptParams, Refusal> {
        // RFC 7293 §6: to a server without RRVS it "needs to ... decline", unless the sender said otherwise (§3.1). The header
        // field is no way out: §3.2 wants "specific knowledge" of the last host for that.
        let reject = asked.rrvs.is_some_and(|rrvs| rrvs.otherwise != Some(Unsupported::Continue));
        if reject && !offered.rrvs {
            return Err(Refusal::NoRrvs);
        }
        let mut params = RcptParams {
            rrvs: asked.rrvs.filter(|_| offered.rrvs),
            conneg: asked.conneg && offered.conneg,
            ..RcptParams::default()
        };
        if offered.dsn {
            params.orcpt = asked.orcpt.clone();
            params.notify = asked.notify;
            // RFC 2852 §4.1.4.2: who does not know of the time is to tell of a delay at least.
            if self.envelope.params.by.is_some() && offered.deliver_by.is_none() {
                params.notify = match asked.notify {
                    None => Some(Notify { success: false, failure: true, delay: true }),
                    Some(never) if never == Notify::default() => Some(never),
                    Some(notify) => Some(Notify { delay: true, ..notify }),
                };
            }
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
}

/// Why the client itself does not send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    Binary,
    EightBit,
    Signed,
    Unconvertible,
    Utf8Sender,
    Utf8Header,
    Utf8Recipient,
    TooLate,
    TooSoon,
    NoDeliverBy,
    Hold,
    NoTls,
    NoRequireTls,
    NoRrvs,
    TooManyMessages,
    TooManyDomains,
}

impl Refusal {
    /// In the words of a server.
    pub(super) fn reply(self) -> Reply {
        let (code, enhanced, text) = match self {
            // RFC 1870 §6.1
            Self::TooLarge => (552, Enhanced(5, 3, 4), "message larger than the server's limit"),
            Self::Binary => (554, Enhanced(5, 6, 3), "binary message and a server without BINARYMIME"),
            // RFC 6152 §3, RFC 3463 §3.7
            Self::EightBit => (554, Enhanced(5, 6, 3), "8-bit message and a server without 8BITMIME"),
            Self::Signed => (
                554,
                Enhanced(5, 6, 3),
                "signed 8-bit message, which cannot be converted, and a server without 8BITMIME",
            ),
            Self::Unconvertible => {
                (554, Enhanced(5, 6, 3), "8-bit message that cannot be converted, and a server without 8BITMIME")
            }
            // RFC 6531 §4.3
            Self::Utf8Sender => (550, Enhanced(5, 6, 7), "UTF-8 sender and a server without SMTPUTF8"),
            Self::Utf8Recipient => (553, Enhanced(5, 6, 7), "UTF-8 recipient and a server without SMTPUTF8"),
            Self::Utf8Header => (550, Enhanced(5, 6, 9), "UTF-8 header and a server without SMTPUTF8"),
            // RFC 2852 §4.1.3, and §4.1.4.1: "undeliverable for permanent reasons"
            Self::TooLate => (554, Enhanced(5, 4, 7), "the time to deliver it is over"),
            Self::TooSoon => (554, Enhanced(5, 4, 7), "less time to deliver it than the server needs"),
            Self::NoDeliverBy => (554, Enhanced(5, 4, 7), "a time to deliver it and a server without DELIVERBY"),
            // RFC 3463 §3.4: system not capable of selected features
            Self::Hold => (554, Enhanced(5, 3, 3), "the server does not hold messages, or not for so long"),
            // RFC 8689 §4.2.1
            Self::NoTls => (550, Enhanced(5, 7, 10), "TLS to a host that has proved its name is required"),
            Self::NoRequireTls => (550, Enhanced(5, 7, 30), "TLS is required and a server without REQUIRETLS"),
            // RFC 7293 §15.3
            Self::NoRrvs => (550, Enhanced(5, 7, 19), "an owner to check and a server without RRVS"),
            // RFC 9422 §4, RFC 3463 §3.6
            Self::TooManyMessages => (451, Enhanced(4, 5, 3), "the server takes no more messages over this connection"),
            Self::TooManyDomains => (452, Enhanced(4, 5, 3), "the server takes no more domains over this connection"),
        };
        Reply::new(code, enhanced, text)
    }
}

/// The path as it goes to a server without SMTPUTF8: domains in A-labels. `None` where it has no such form.
pub(super) fn ascii_reverse(path: &ReversePath) -> Option<ReversePath> {
    match path {
        ReversePath::Null => Some(ReversePath::Null),
        ReversePath::Address(address) => address_in_ascii(address).map(ReversePath::Address),
    }
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
            let mailboxes = fields().filter(|field| named(field, name)).flat_map(Field::mailboxes);
            mailboxes.map(|mailbox| mailbox.address().ok_or(NoEnvelope::BadAddress(name))).collect()
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
        Ok(Self::new(envelope, without_bcc(message)))
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
        Self::new(envelope, content)
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
