//! Sending and asking for programs without a runtime: [`send`], [`Sender`] and [`Resolver`] as in [`net`](crate::net), and they
//! return when it is done.
//!
//! Each has a runtime of tokio that runs on the thread that calls it (only names are looked up on another); so TLS,
//! timeouts and the machine are the same as everywhere. Not for programs that have a runtime: inside of one these functions say so and send
//! nothing.

mod resolver;

use std::future::Future;
use std::io;
use std::sync::Arc;

use crate::net::submit::{self, SendError};
use crate::net::tls::Connector;
use crate::smtp::{ClientConfig, Outcome, Outgoing};

pub use resolver::Resolver;

/// Sends one message to one server, given as host and port, and says what became of each recipient: [`net::send`](crate::net::send),
/// blocking.
///
/// ```
/// use std::net::TcpListener;
///
/// use facteur::message::Message;
/// use facteur::net::blocking;
/// use facteur::smtp::ClientConfig;
///
/// # let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let server = listener.local_addr()?.to_string();
/// # let server = server.as_str();
/// # std::thread::spawn(move || {
/// #     use std::io::{BufRead, BufReader, Write};
/// #     let (stream, _) = listener.accept().unwrap();
/// #     let mut lines = BufReader::new(stream);
/// #     lines.get_mut().write_all(b"220 mx.test\r\n").unwrap();
/// #     let (mut line, mut text) = (String::new(), false);
/// #     while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
/// #         let reply: &[u8] = match line.as_str() {
/// #             "DATA\r\n" => { text = true; b"354 go on\r\n" }
/// #             ".\r\n" => { text = false; b"250 queued\r\n" }
/// #             _ if text => b"",
/// #             _ => b"250 OK\r\n",
/// #         };
/// #         lines.get_mut().write_all(reply).unwrap();
/// #         line.clear();
/// #     }
/// # });
/// let message = Message::parse("From: ada@a.test\r\nTo: bob@b.test\r\nSubject: lunch\r\n\r\nAt noon?\r\n");
/// let outcomes = blocking::send(server, ClientConfig::new("ada.a.test")?, &message)?;
/// assert!(outcomes[0].is_delivered());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`net::send`](crate::net::send), and [`SendError::Runtime`].
pub fn send<M>(server: &str, config: ClientConfig, message: M) -> Result<Vec<Outcome>, SendError>
where
    M: TryInto<Outgoing>,
    SendError: From<M::Error>,
{
    Sender::new(config)?.send(server, message)
}

/// How to send messages: [`net::Sender`](crate::net::Sender), blocking.
///
/// ```no_run
/// use std::time::Duration;
///
/// use facteur::net::blocking::Sender;
/// use facteur::smtp::ClientConfig;
///
/// # fn run(message: &facteur::message::Message) -> Result<(), Box<dyn std::error::Error>> {
/// let mut sender = Sender::new(ClientConfig::new("ada.example.org")?)?;
/// sender.settings.connect_timeout = Duration::from_secs(5);
/// let outcomes = sender.send("mail.example.org:25", message)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Sender {
    /// How it sends.
    pub settings: submit::Sender,
    runtime: Runtime,
}

impl Sender {
    /// As [`net::Sender::new`](crate::net::Sender::new).
    ///
    /// # Errors
    /// Where TLS is required and this system has no authorities, and [`SendError::Runtime`].
    pub fn new(client: impl Into<Arc<ClientConfig>>) -> Result<Self, SendError> {
        Ok(Self { settings: submit::Sender::new(client)?, runtime: Runtime::new().map_err(SendError::Runtime)? })
    }

    /// As [`net::Sender::with_connector`](crate::net::Sender::with_connector).
    ///
    /// # Errors
    /// [`SendError::Runtime`].
    pub fn with_connector(client: impl Into<Arc<ClientConfig>>, connector: Connector) -> Result<Self, SendError> {
        let settings = submit::Sender::with_connector(client, connector);
        Ok(Self { settings, runtime: Runtime::new().map_err(SendError::Runtime)? })
    }

    /// As [`send`].
    ///
    /// # Errors
    /// As [`send`].
    pub fn send<M>(&self, server: &str, message: M) -> Result<Vec<Outcome>, SendError>
    where
        M: TryInto<Outgoing>,
        SendError: From<M::Error>,
    {
        self.runtime.run(self.settings.send(server, message)).map_err(SendError::Runtime)?
    }
}

/// A runtime on the thread that calls it.
#[derive(Debug)]
pub(super) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    /// # Errors
    /// Where the system does not give what it takes.
    pub(super) fn new() -> io::Result<Self> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| Self(Some(runtime)))
    }

    /// Waits for the future to come to its end.
    ///
    /// # Errors
    /// Where this thread runs other futures, which would stand still meanwhile.
    pub(super) fn run<F: Future>(&self, future: F) -> io::Result<F::Output> {
        match &self.0 {
            Some(runtime) if tokio::runtime::Handle::try_current().is_err() => Ok(runtime.block_on(future)),
            _ => Err(io::Error::other("a blocking call within a runtime")),
        }
    }
}

/// Dropped within a runtime it must not wait for its threads.
impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
