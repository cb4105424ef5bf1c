//! The only place with sockets: the driver of machines, TLS, the accept loop, the resolver, sending. Over tokio, rustls and
//! hickory-resolver.
//!
//! [`Driver`] runs any [`Machine`](crate::base::Machine) over any stream; [`tls`] says who a server is and whom a client
//! believes; [`Service`] accepts connections and keeps them within limits; [`Resolver`] answers any
//! [`Inquiry`](crate::dns::Inquiry); [`send`] hands a message to one host, and [`Sender::deliver`] to wherever the DNS says; a [`Pool`] does
//! so over sessions that stay open. [`blocking`] is for programs without a runtime.

pub mod blocking;
pub mod dane;
mod deliver;
pub mod driver;
mod end_point;
pub mod mta_sts;
pub mod pool;
pub mod resolver;
mod route;
pub mod serve;
mod session;
pub mod submit;
mod tally;
pub mod tls;

pub use driver::{Driver, Error, Limits};
pub use mta_sts::MtaSts;
pub use pool::{Pool, PoolConfig};
pub use resolver::Resolver;
pub use route::{NoHost, Route};
pub use serve::{Service, ServiceConfig};
pub use submit::{SendError, Sender, send};
