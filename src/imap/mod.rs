//! IMAP4rev1 (RFC 3501) with the pieces of IMAP4rev2 (RFC 9051) that fit into it.
//!
//! [`command`] says what a client asks for and [`response`] what a server answers; [`server`] is the machine between them,
//! which knows the protocol and nothing of mailboxes. Commands are cut out of the stream first and parsed whole then.
//! [`backend`] answers them out of a [`Store`](crate::store::Store).

pub mod backend;
pub mod command;
pub mod error;
pub mod fetch;
mod frame;
mod grammar;
pub mod response;
pub mod search;
pub mod sequence;
pub mod server;
mod structure;

pub use backend::{Backend, Progress};
pub use command::{By, Command, Literals, Piece};
pub use error::{Error, Fault, Stage};
pub use response::{Attribute, Code, Data, FetchData, ListedName, Namespaces, Status};
pub use server::{Limits, Server, ServerConfig, ServerEvent};
