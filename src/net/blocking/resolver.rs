//! The resolver for programs without a runtime.

use std::io;

use super::Runtime;
use crate::dns::{Answer, Inquiry, Question};
use crate::net::resolver::{ResolverConfig, ResolverError, Servers};

/// Asks name servers: [`net::Resolver`](crate::net::Resolver), blocking. Threads may share one.
///
/// ```no_run
/// use facteur::dns::mx;
/// use facteur::net::blocking::Resolver;
///
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let targets = Resolver::system()?.ask(mx::Lookup::new(&"example.org".parse()?, 1))??;
/// println!("{:?}", targets.hosts);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Resolver {
    resolver: crate::net::Resolver,
    runtime: Runtime,
}

impl Resolver {
    /// As [`net::Resolver::new`](crate::net::Resolver::new).
    ///
    /// # Errors
    /// As there, and where the system gives no runtime.
    pub fn new(config: ResolverConfig) -> Result<Self, ResolverError> {
        let runtime = Runtime::new().map_err(|error| ResolverError::Runtime(error.into()))?;
        Ok(Self { resolver: crate::net::Resolver::new(config)?, runtime })
    }

    /// Asks the name servers of this system.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn system() -> Result<Self, ResolverError> {
        Self::new(ResolverConfig::new(Servers::System))
    }

    /// As [`net::Resolver::ask`](crate::net::Resolver::ask).
    ///
    /// # Errors
    /// Where this thread runs other futures, which would stand still meanwhile.
    pub fn ask<I: Inquiry>(&self, inquiry: I) -> io::Result<I::Verdict> {
        self.runtime.run(self.resolver.ask(inquiry))
    }

    /// As [`net::Resolver::answer`](crate::net::Resolver::answer).
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn answer(&self, question: &Question) -> io::Result<Answer> {
        self.runtime.run(self.resolver.answer(question))
    }
}
