//! The only place with sockets: the driver of machines, TLS, the accept loop. Over tokio and rustls.
//!
//! [`Driver`] runs any [`Machine`](crate::base::Machine) over any stream; [`tls`] says who a server is and whom a client
//! believes; [`Service`] accepts connections and keeps them within limits.

pub mod driver;
pub mod serve;
pub mod tls;

pub use driver::{Driver, Error, Limits};
pub use serve::{Service, ServiceConfig};
