//! The only place with sockets: the driver of machines, TLS, the accept loop, the resolver, sending. Over tokio, rustls and
//! hickory-resolver.
//!
//! [`Driver`] runs any [`Machine`](crate::base::Machine) over any stream; [`tls`] says who a server is and whom a client
//! believes; [`Service`] accepts connections and keeps them within limits; [`Resolver`] answers any
//! [`Inquiry`](crate::dns::Inquiry); [`send`] hands a message to one host, and [`Sender::deliver`] to wherever the DNS says.

mod deliver;
pub mod driver;
mod end_point;
pub mod resolver;
pub mod serve;
pub mod submit;
pub mod tls;

pub use driver::{Driver, Error, Limits};
pub use resolver::Resolver;
pub use serve::{Service, ServiceConfig};
pub use submit::{SendError, Sender, send};
