//! The commands of IMAP answered out of a [`Store`]: what a server needs behind its machine.
//!
//! A command is begun with [`Backend::begin`] and answered in steps: each step reads one message or writes some lines, so
//! that what waits to be sent stays small and a slow client costs little memory. The store may block; an async program
//! takes the steps on a thread that may wait.
//!
//! What other sessions did is looked at in IDLE and with every command but a FETCH of contents, of which clients send
//! thousands. EXPUNGE responses go out only with commands during which sequence numbers may change (RFC 9051 §7.5.1); until
//! then the client's numbers mean what they meant.

mod job;
mod mailboxes;
mod pattern;
mod selected;
mod transfer;

use std::collections::VecDeque;

use crate::base::Timestamp;
use crate::imap::command::{By, Command};
use crate::imap::fetch::StoreMode;
use crate::imap::response::{Code, Data, Namespaces, Status};
use crate::imap::sequence::SequenceSet;
use crate::imap::server::Server;
use crate::store::{Store, StoreError};

use job::{Changes, Expunge, Fetch, Find, Job, StoreFlags, Work};
use mailboxes::Access;
use selected::{Expunges, Selected};
use transfer::{Keep, Transfer};

/// Answers commands out of one user's mailboxes.
///
/// ```
/// use std::time::Instant;
///
/// use facteur::base::{Machine, Step, Timestamp};
/// use facteur::imap::{Backend, Progress, Server, ServerConfig, ServerEvent};
/// use facteur::store::memory;
///
/// let mut config = ServerConfig::new("imap.test");
/// config.clear_text = true;
/// let mut server = Server::new(config, Instant::now());
/// let mut backend = Backend::new(memory::Store::new());
/// server.wire().feed(b"A1 LOGIN ada tanstaaf\r\nA2 STATUS inbox (MESSAGES)\r\nA3 LOGOUT\r\n");
/// loop {
///     match server.poll()? {
///         Step::Event(ServerEvent::Login { .. }) => server.accept(),
///         Step::Event(ServerEvent::Command(command)) => {
///             backend.begin(command, Timestamp::from_unix(1_172_677_344));
///             // A server on a socket sends what is outgoing between two steps.
///             while backend.step(&mut server) == Progress::More {}
///         }
///         Step::Event(ServerEvent::Idle) => {
///             let mut progress = backend.look(&mut server);
///             while progress == Progress::More {
///                 progress = backend.step(&mut server);
///             }
///         }
///         Step::Done => break,
///         _ => {}
///     }
/// }
/// # let mut all = Vec::new();
/// # while !server.wire().outgoing().is_empty() {
/// #     all.extend_from_slice(server.wire().outgoing());
/// #     let n = server.wire().outgoing().len();
/// #     server.wire().sent(n);
/// # }
/// # assert!(String::from_utf8(all)?.contains("* STATUS INBOX (MESSAGES 0)\r\nA2 OK"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Backend<S: Store> {
    store: S,
    selected: Option<Selected<S::Mailbox>>,
    /// The mailbox that the APPEND before this one went to: opening one takes time with the number of its messages, and
    /// clients that bring mail along send thousands in a row.
    target: Option<(String, S::Mailbox)>,
    job: Option<Job<S::Mailbox>>,
}

/// The tagged end of a command, or of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `tag OK`, `tag NO`, `tag BAD`
    Status(Status, Option<Code>, String),
    /// `* BYE`: the conversation cannot go on.
    Bye(String),
    /// None is due: nothing was asked.
    None,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[allow(clippy::exhaustive_enums)] // there is no third way
pub enum Progress {
    /// There is more to do: send what is outgoing, then take the next step.
    More,
    /// The command is answered.
    Finished,
}

impl Answer {
    pub(crate) fn ok(text: impl Into<String>) -> Self {
        Self::Status(Status::Ok, None, text.into())
    }

    pub(crate) fn ok_with(code: Code, text: impl Into<String>) -> Self {
        Self::Status(Status::Ok, Some(code), text.into())
    }

    pub(crate) fn no(code: Code, text: impl Into<String>) -> Self {
        Self::Status(Status::No, Some(code), text.into())
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::Status(Status::Bad, None, text.into())
    }
}

/// Every fault of a store is told: a code for programs (RFC 5530) and a text for people.
impl From<StoreError> for Answer {
    fn from(error: StoreError) -> Self {
        Self::no(code_of(&error), error.to_string())
    }
}

fn code_of(error: &StoreError) -> Code {
    match error {
        StoreError::NoMailbox => Code::NonExistent,
        StoreError::Exists => Code::AlreadyExists,
        StoreError::BadName(_) | StoreError::Unsupported(_) => Code::Cannot,
        StoreError::NoMessage => Code::ExpungeIssued,
        StoreError::ReadOnly => Code::NoPerm,
        StoreError::Locked => Code::InUse,
        StoreError::Damaged(_) => Code::Corruption,
        _ => Code::Unavailable,
    }
}

impl<S: Store> Backend<S> {
    /// A backend with no mailbox selected.
    pub fn new(store: S) -> Self {
        Self { store, selected: None, target: None, job: None }
    }

    /// Whether a command has been begun and is not yet answered.
    pub fn is_busy(&self) -> bool {
        self.job.is_some()
    }

    /// The store that it answers from.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Takes up a command that a [`ServerEvent::Command`](crate::imap::ServerEvent::Command) brought, in place of one that
    /// is not yet answered. `now` is the internal date of a message for which APPEND names none. Some work is done here
    /// already: mailboxes are opened and looked at.
    pub fn begin(&mut self, command: Command, now: Timestamp) {
        if let Some(selected) = &mut self.selected {
            selected.stop_telling();
            if !matches!(command, Command::Fetch { .. }) {
                selected.release();
            }
        }
        if !matches!(command, Command::Append { .. }) {
            self.target = None;
        }
        let name = command.name();
        let changes = Changes::during(&command);
        let work = self.prepare(command, now).unwrap_or_else(|answer| Work::Answered(VecDeque::new(), answer));
        self.job = Some(Job::new(name, changes, work));
    }

    /// Takes one step of the command that was begun: at most one message is read, or some hundred lines are written. Send
    /// what is outgoing before the next step, where [`Server::is_full`] says so at least.
    pub fn step(&mut self, server: &mut Server) -> Progress {
        let mut out = Vec::new();
        let answer = match &mut self.job {
            Some(job) => job.step(&self.store, &mut self.selected, &mut out),
            None => return Progress::Finished,
        };
        out.into_iter().for_each(|data| server.untagged(data));
        let Some(answer) = answer else { return Progress::More };
        self.job = None;
        match answer {
            Answer::Status(Status::Ok, code, text) => server.ok(code, &text),
            Answer::Status(Status::No, code, text) => server.no(code, &text),
            Answer::Status(Status::Bad, _, text) => server.bad(&text),
            Answer::Bye(text) => {
                self.selected = None;
                server.shutdown();
                server.no(Some(Code::NonExistent), &text);
            }
            Answer::None => {}
        }
        Progress::Finished
    }

    /// Looks at what others did to the selected mailbox and tells it: for IDLE (RFC 2177), when it begins and whenever
    /// something may have changed. This takes the first step; where there is [`Progress::More`], take [`Backend::step`]s as
    /// with a command, before the server is polled again. Where no mailbox is selected there is nothing to tell.
    pub fn look(&mut self, server: &mut Server) -> Progress {
        self.target = None;
        let Some(selected) = &mut self.selected else { return Progress::Finished };
        selected.release();
        match selected.refresh() {
            Ok(()) => {}
            Err(StoreError::NoMailbox) => {
                self.selected = None;
                server.shutdown();
                return Progress::Finished;
            }
            Err(error) => {
                server.untagged(Data::Status(Status::No, Some(code_of(&error)), error.to_string()));
                return Progress::Finished;
            }
        }
        selected.begin_telling(Expunges::Told);
        self.job = Some(Job::telling());
        self.step(server)
    }

    /// What there is to do; `Err` where the answer is known at once.
    fn prepare(&mut self, command: Command, now: Timestamp) -> Result<Work<S::Mailbox>, Answer> {
        let name = command.name();
        match command {
            Command::Select { mailbox } => return self.select(&mailbox, name, Access::ReadWrite),
            Command::Examine { mailbox } => return self.select(&mailbox, name, Access::ReadOnly),
            Command::Create { mailbox } => return self.create(&mailbox),
            Command::Delete { mailbox } => return self.delete(&mailbox),
            Command::Rename { from, to } => return self.rename(&from, &to),
            Command::Subscribe { mailbox } => return self.subscribe(&mailbox),
            Command::Unsubscribe { mailbox } => return self.unsubscribe(&mailbox),
            Command::List { reference, pattern } => return self.list(&reference, &pattern),
            Command::Lsub { reference, pattern } => return self.lsub(&reference, &pattern),
            Command::Status { mailbox, items } => return self.status(mailbox, &items),
            Command::Append { mailbox, flags, date, message } => {
                return self.append(&mailbox, &message, &flags, date.unwrap_or(now));
            }
            Command::Namespace => {
                let line = Data::Namespace(Namespaces::default());
                return Ok(Work::Answered(VecDeque::from([line]), completed(name)));
            }
            // RFC 9051 §6.1.2: NOOP is allowed where no mailbox is selected, too.
            Command::Noop | Command::Check => return Ok(Work::Answered(VecDeque::new(), completed(name))),
            _ => {}
        }
        let Some(selected) = &mut self.selected else { return Err(Answer::bad("no mailbox is selected")) };
        let resolve = |selected: &Selected<S::Mailbox>, by, messages: &SequenceSet| {
            // RFC 3501 §9, seq-number: "The server should respond with a tagged BAD response to a command that uses a message
            // sequence number greater than the number of messages in the selected mailbox."
            selected.resolve(by, messages).ok_or_else(|| Answer::bad("no such message"))
        };
        match command {
            Command::Close => self.close(),
            Command::Unselect => {
                self.selected = None;
                Ok(Work::Answered(VecDeque::new(), completed(name)))
            }
            Command::Fetch { by, messages, items } => {
                Ok(Work::Fetch(Fetch::new(by, resolve(selected, by, &messages)?, items)))
            }
            Command::Search { by, search } => Ok(Work::Find(Find::new(by, &search, selected)?)),
            Command::Store { by, messages, action } => {
                selected.writable()?;
                if action.mode != StoreMode::Remove {
                    selected.takes(&action.flags)?;
                }
                let uids = resolve(selected, by, &messages)?;
                selected.refresh()?;
                Ok(Work::Store(StoreFlags::new(by, uids, &action)))
            }
            Command::Expunge { uids } => {
                selected.writable()?;
                let uids = match uids {
                    Some(set) => resolve(selected, By::Uid, &set)?,
                    None => selected.known().to_vec(),
                };
                selected.refresh()?;
                Ok(Work::Expunge(Expunge::new(selected.deleted_among(uids))))
            }
            Command::Copy { by, messages, mailbox } => {
                let uids = resolve(selected, by, &messages)?;
                selected.refresh()?;
                Ok(Work::Transfer(Transfer::new(&self.store, uids, mailbox, Keep::Original)?))
            }
            Command::Move { by, messages, mailbox } => {
                selected.writable()?;
                let uids = resolve(selected, by, &messages)?;
                selected.refresh()?;
                Ok(Work::Transfer(Transfer::new(&self.store, uids, mailbox, Keep::CopyOnly)?))
            }
            _ => Err(Answer::bad("no command for a mailbox")),
        }
    }
}

/// `OK FETCH completed`
pub(crate) fn completed(name: &str) -> Answer {
    Answer::ok(format!("{name} completed"))
}
