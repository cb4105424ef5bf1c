//! What a client tells its application.

use crate::message::convert::Transport;
use crate::smtp::{ForwardPath, Reply, Stage};

/// What a client comes upon.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A question: what to send next? Answer with [`Client::send`](super::Client::send) or [`Client::quit`](super::Client::quit).
    Ready,
    /// What became of a message for one recipient. There is one of these for each recipient of a message before the next
    /// [`Ready`](Self::Ready), unless an error ends the conversation: whoever had none by then is to be tried again.
    Outcome(Outcome),
    /// There will be no [`Ready`](Self::Ready): the server does not want us, or does not have what the config insists on.
    Refused {
        /// At which point.
        stage: Stage,
        /// In which words.
        reply: Reply,
        /// Whose words these are.
        by: By,
    },
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The recipient, as it stood in the envelope.
    pub to: ForwardPath,
    /// Where it was decided.
    pub stage: Stage,
    /// The whole reply.
    pub reply: Reply,
    /// Whose words these are.
    pub by: By,
    /// How the message was handed over, where it was.
    pub handover: Handover,
}

/// How a message was handed over: what the server was told of the sender's wishes, so that somebody else may see to the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handover {
    /// The server has DSN, and was told what is to be reported. Where it has not, who hands a message over reports that itself
    /// (RFC 3461 §5.2.2).
    pub dsn: bool,
    /// The server has DELIVERBY, and was told of the time where there is one (RFC 2852 §4.1.4).
    pub deliver_by: bool,
    /// The message was converted, for the server could not have it as it was ([`EightBit::Convert`](super::EightBit::Convert),
    /// [`Utf8Header::Encode`](super::Utf8Header::Encode)).
    pub conversion: Option<Conversion>,
}

/// What a message was converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// What the server can carry.
    pub to: Transport,
    /// How many parts were encoded.
    pub parts: usize,
    /// How many header fields were written in ASCII.
    pub fields: usize,
}

/// Who decided something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // a conversation has two sides
pub enum By {
    /// The server, by its reply.
    Server,
    /// The client, for the reason that the reply gives in a server's words; the server was not asked.
    Client,
}

impl Outcome {
    #[cfg(any(test, feature = "net"))]
    pub(crate) fn new(to: ForwardPath, stage: Stage, reply: Reply, by: By) -> Self {
        Self { to, stage, reply, by, handover: Handover::default() }
    }

    /// Whether it is the client's own judgement of this server: another may be able to do what this one cannot.
    #[cfg(feature = "net")]
    pub(crate) fn is_unfit(&self) -> bool {
        self.by == By::Client
    }

    /// Whether the server has taken responsibility for it (RFC 5321 §4.2.5).
    pub fn is_delivered(&self) -> bool {
        self.stage == Stage::Message && self.reply.is_positive()
    }

    /// Whether it may succeed another time. Of the permanent replies these do not count as such: 552 to RCPT, which is 452,
    /// too many recipients (RFC 5321 §4.5.3.1.10); and what a server says to a session that it does not let in. There
    /// nothing was said of the message, and a password may be put right, a block list let go. 521 alone means what it
    /// says: no mail is taken there at all (RFC 7504 §3).
    pub fn is_temporary(&self) -> bool {
        self.reply.is_transient()
            || match self.stage {
                Stage::Rcpt => self.reply.code() == 552,
                Stage::Connect => self.by == By::Server && self.reply.code() != 521,
                Stage::StartTls | Stage::Auth => self.by == By::Server,
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_let_in_may_come_again() {
        for (stage, code, by, expected) in [
            (Stage::Connect, 554, By::Server, true),
            (Stage::Connect, 521, By::Server, false),
            (Stage::Connect, 556, By::Client, false), // a null MX
            (Stage::StartTls, 554, By::Server, true),
            (Stage::Auth, 535, By::Server, true),
            (Stage::Mail, 550, By::Server, false),
            (Stage::Rcpt, 550, By::Server, false),
            (Stage::Rcpt, 552, By::Server, true),
            (Stage::Message, 552, By::Server, false),
            (Stage::Message, 451, By::Server, true),
        ] {
            let outcome = Outcome::new(ForwardPath::Postmaster, stage, Reply::new(code, None, ""), by);
            assert_eq!(outcome.is_temporary(), expected, "{stage} {code} {by:?}");
        }
    }
}
