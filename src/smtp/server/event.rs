//! What a server asks of the application, and tells it.

use bytes::Bytes;

use super::Hello;
use crate::address::Domain;
use crate::sasl::{self, Credentials, Identity};
use crate::smtp::data::DataFault;
use crate::smtp::{Envelope, ForwardPath, MailParams, RcptParams, ReversePath, Waiting};

/// What a client wants. All but [`Chunk`](Self::Chunk), [`Discarded`](Self::Discarded), [`AuthFailed`](Self::AuthFailed),
/// [`Resumed`](Self::Resumed) and [`TurnedAround`](Self::TurnedAround) are questions: answer with
/// [`Server::accept`](super::Server::accept), [`Server::reply`](super::Server::reply) or [`Server::wait`](super::Server::wait),
/// then poll again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// It has connected; nothing was said yet. Only with [`Screen::connect`](super::Screen::connect). A
    /// [`wait`](super::Server::wait) here ends early where the client talks before it is greeted, see
    /// [`Session::early`](super::Session::early).
    Connect,
    /// It greets. Only with [`Screen::hello`](super::Screen::hello). If refused, it is as before.
    Hello(Hello),
    /// It says who it is.
    Auth {
        /// Who.
        identity: Identity,
        /// How it proves that.
        credentials: Credentials,
    },
    /// A mechanism of AUTH must know something of a user: answer with [`Server::tell`](super::Server::tell), or refuse with
    /// [`Server::reply`](super::Server::reply) where it cannot be known now.
    Ask(sasl::Question),
    /// No question: somebody could not prove to be this user, and was told so.
    AuthFailed(Identity),
    /// It begins a message.
    Mail {
        /// The reverse-path.
        from: ReversePath,
        /// What follows it.
        params: MailParams,
    },
    /// It names a recipient.
    Rcpt {
        /// The forward-path.
        to: ForwardPath,
        /// What follows it.
        params: RcptParams,
    },
    /// It asks whether there is such a user. Only with [`Screen::vrfy`](super::Screen::vrfy).
    Vrfy {
        /// A user name, a mailbox, or both.
        text: String,
        /// The reply may be in UTF-8.
        smtputf8: bool,
    },
    /// It asks who is on a list. Only with [`Screen::expn`](super::Screen::expn).
    Expn {
        /// The name of the list.
        text: String,
        /// The reply may be in UTF-8.
        smtputf8: bool,
    },
    /// It asks to be sent, over another connection, what waits (RFC 1985). Only with
    /// [`ServerConfig::etrn`](super::ServerConfig::etrn). Refused with 458 or 459.
    Etrn(Waiting),
    /// It asks to be sent, over this very connection, what waits for these domains, or all that is its own (RFC 2645). Only
    /// with [`ServerConfig::atrn`](super::ServerConfig::atrn). Where that is accepted, [`TurnedAround`](Self::TurnedAround)
    /// follows; refused with 450 or 453.
    Atrn(Vec<Domain>),
    /// No question: the client is a server from here on, and whoever drives this connection is to be its client. Once what is
    /// outgoing was sent a [`Client`](crate::smtp::Client) takes the stream over; what lies unread in the
    /// [`Wire`](crate::base::Wire) is the first that came for it.
    TurnedAround,
    /// It is about to send the text of a message. Only with [`Screen::data`](super::Screen::data).
    Data,
    /// No question: a piece of the message. Only with [`Content::Stream`](super::Content::Stream).
    Chunk(Bytes),
    /// The header of the message has come, with the empty line after it, or the whole message where there is none. It stands
    /// here with [`Content::Collect`](super::Content::Collect); with [`Content::Stream`](super::Content::Stream) it is what the
    /// pieces so far hold. Only with [`Screen::header`](super::Screen::header). Where it is refused the rest of the message is
    /// read and dropped, and the refusal said at its end.
    Header(Bytes),
    /// It wants the server to fetch a piece of the message from there (RFC 4468). Only with
    /// [`ServerConfig::burl`](super::ServerConfig::burl). Answered by [`Server::fetched`](super::Server::fetched), or refused
    /// with 554; pieces that came before are to be thrown away then.
    Burl {
        /// From where.
        url: String,
    },
    /// No question, and no new one: the wait is over that was the answer to the last question, which is open again.
    Resumed,
    /// The message is whole: whoever accepts it is responsible for it from then on (RFC 5321 §4.2.5).
    Message(Mail),
    /// No question: the message will not come, for this reason, and the client knows. Pieces of it that were handed over are to
    /// be thrown away.
    Discarded(DataFault),
}

/// A message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// Who sent it, to whom. Its `BODY=` is `8BITMIME` where the message turned out to hold octets beyond ASCII and nothing
    /// was said of that, or the contrary: the next host must know.
    pub envelope: Envelope,
    /// The message; empty with [`Content::Stream`](super::Content::Stream).
    pub content: Bytes,
    /// Its size, in octets.
    pub size: u64,
}
