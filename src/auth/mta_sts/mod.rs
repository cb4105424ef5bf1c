//! MTA-STS (RFC 8461): what a domain says of its mail hosts in a text that it serves by HTTPS, for domains whose DNS is not
//! signed.
//!
//! A [`Lookup`] finds the [`Record`] that says that there is a [`Policy`], and which one; a [`Fetch`] gets it from the domain's
//! web server, a machine without I/O; a [`Cache`] keeps it and says when it is to be fetched again. The
//! [`TlsPolicy`](crate::auth::TlsPolicy) of a host is made of it, after DANE has been asked.
//!
//! Left out: checking certificates for revocation; refreshing a policy while no mail goes to the domain.

mod cache;
mod fetch;
mod policy;
mod record;

pub use cache::{Cache, Entry};
pub use fetch::{Fetch, FetchError, MAX_POLICY, TIMEOUT};
pub use policy::{MAX_AGE, MAX_PATTERNS, Mode, Pattern, Policy};
pub use record::{Lookup, NoRecord, Record};
