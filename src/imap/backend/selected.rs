//! The selected mailbox as its client knows it (RFC 9051 §5.5 and §7.5.1, RFC 2180).
//!
//! What the store shows moves on with each refresh; what the client counts by is [`Selected::known`], and that moves only
//! when the client is told. A message that is gone but not yet told of keeps its sequence number.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use crate::imap::backend::{Answer, Progress};
use crate::imap::command::By;
use crate::imap::response::{Code, Data, FetchData, Status};
use crate::imap::sequence::SequenceSet;
use crate::message::Message;
use crate::store::{Change, Entry, Flag, Flags, Mailbox, StoreError, Uid};

/// How many lines are written before the driver may send them.
pub(super) const LINES_A_STEP: usize = 200;

/// How many keywords a mailbox takes, and FLAGS names at most: an answer to SELECT should stay readable, and each keyword
/// costs memory and time with each message that has it.
const MOST_KEYWORDS: usize = 500;

#[derive(Debug)]
pub(super) struct Selected<M> {
    pub mailbox: M,
    pub read_only: bool,
    /// The UIDs in the order of the client's sequence numbers.
    known: Vec<Uid>,
    /// Some of the known are gone, and the client has not been told.
    expunged: bool,
    /// Messages with flags of which the client has not been told.
    changed: BTreeSet<Uid>,
    /// The number of recent messages that was told last.
    recent: u32,
    /// The keywords of which the client was told that messages can have them.
    keywords: Flags,
    telling: Telling,
    /// A message of which the client has asked for a piece that was not the last.
    held: Option<(Uid, Message)>,
}

/// Whether sequence numbers may change now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expunges {
    /// They may: messages are told to be gone.
    Told,
    /// They must stay what they are: that messages are gone is told later.
    Kept,
}

impl Expunges {
    /// What goes with FETCH, STORE and SEARCH: RFC 3501 §7.4.1 excepts those that name messages by UID.
    pub fn with(by: By) -> Self {
        match by {
            By::Sequence => Self::Kept,
            By::Uid => Self::Told,
        }
    }
}

/// How far the telling of changes has come.
#[derive(Clone, Debug)]
enum Telling {
    Expunges {
        /// The next of the known to look at; those from `written` up to here are gone.
        read: usize,
        written: usize,
        /// The place in the messages of the store that is not yet compared.
        at: usize,
    },
    Flags,
    Arrivals,
    Done,
}

impl<M: Mailbox> Selected<M> {
    pub fn new(mailbox: M, read_only: bool) -> Self {
        let known = mailbox.messages().iter().map(|entry| entry.uid).collect();
        let recent = recent(mailbox.messages());
        let keywords = keywords(mailbox.messages());
        Self {
            mailbox,
            read_only,
            known,
            expunged: false,
            changed: BTreeSet::new(),
            recent,
            keywords,
            telling: Telling::Done,
            held: None,
        }
    }

    /// How many messages there are for the client.
    pub fn count(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX) // UIDs are 32 bits long, so there are no more
    }

    pub fn recent(&self) -> u32 {
        self.recent
    }

    /// The first message without `\Seen`, by sequence number.
    pub fn first_unseen(&self) -> Option<NonZeroU32> {
        let unseen = self.mailbox.messages().iter().find(|entry| !entry.flags.contains(&Flag::Seen))?;
        self.number(unseen.uid)
    }

    /// FLAGS and PERMANENTFLAGS: the system flags, and the keywords that are in use.
    pub fn flags(&self) -> [Data; 2] {
        let system = [Flag::Answered, Flag::Deleted, Flag::Draft, Flag::Flagged, Flag::Seen];
        let flags: Flags = system.into_iter().chain(self.keywords.iter().cloned()).collect();
        let permanent = if self.read_only { Flags::new() } else { flags.clone() };
        let more = self.keywords.iter().len() < MOST_KEYWORDS;
        let code = Code::PermanentFlags { flags: permanent, new_keywords: more && !self.read_only };
        [Data::Flags(flags), Data::Status(Status::Ok, Some(code), "flags that stay".into())]
    }

    /// # Errors
    /// Where messages would come to have more keywords than a mailbox takes.
    pub fn takes(&self, flags: &Flags) -> Result<(), Answer> {
        takes(&self.keywords, flags)
    }

    /// Tells the client of keywords that were not used before (RFC 3501 §7.2.6).
    pub fn tell_keywords<'a>(&mut self, flags: impl IntoIterator<Item = &'a Flag>, out: &mut Vec<Data>) {
        let before = self.keywords.iter().len();
        for flag in flags {
            if matches!(flag, Flag::Keyword(_)) && self.keywords.iter().len() < MOST_KEYWORDS {
                self.keywords.insert(flag.clone());
            }
        }
        if self.keywords.iter().len() > before {
            out.extend(self.flags());
        }
    }

    /// The sequence number that the client knows a message by.
    pub fn number(&self, uid: Uid) -> Option<NonZeroU32> {
        let index = self.known.binary_search(&uid).ok()?;
        NonZeroU32::new(u32::try_from(index + 1).ok()?)
    }

    /// What the store shows of a message, and its sequence number; `None` where it is gone.
    pub fn entry(&self, uid: Uid) -> Option<(NonZeroU32, &Entry)> {
        let entry = self.mailbox.messages().get(self.mailbox.index_of(uid)?)?;
        Some((self.number(uid)?, entry))
    }

    /// The UIDs of the messages that a command names, in order; `None` where it names numbers that are none.
    pub fn resolve(&self, by: By, set: &SequenceSet) -> Option<Vec<Uid>> {
        let at = |index: usize| self.known.get(index).copied();
        match by {
            By::Sequence if set.exceeds(self.count()) => None,
            By::Sequence => Some(set.resolve(self.count()).indices(self.known.len()).filter_map(at).collect()),
            By::Uid => {
                let last = self.known.last().map_or(0, |uid| uid.0.get());
                Some(set.resolve(last).indices_by_uid(&self.known).filter_map(at).collect())
            }
        }
    }

    /// A message to answer FETCH from. One that is [held](Self::hold) is not read again.
    pub fn read(&mut self, uid: Uid) -> Result<Message, StoreError> {
        match self.held.take() {
            Some((held, message)) if held == uid => Ok(message),
            _ => Ok(Message::parse(self.mailbox.read(uid)?)),
        }
    }

    /// Keeps a message for the next FETCH: clients fetch a large one in some hundred pieces, and reading the whole for each
    /// would take time with the square of its size.
    pub fn hold(&mut self, uid: Uid, message: Message) {
        self.held = Some((uid, message));
    }

    /// Lets go of the message that is held.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// The UIDs that the client knows, in the order of their sequence numbers.
    pub fn known(&self) -> &[Uid] {
        &self.known
    }

    /// Those of `uids` that are marked `\Deleted`.
    pub fn deleted_among(&self, mut uids: Vec<Uid>) -> Vec<Uid> {
        uids.retain(|uid| self.entry(*uid).is_some_and(|(_, entry)| entry.flags.contains(&Flag::Deleted)));
        uids
    }

    /// # Errors
    /// Where the mailbox was selected by EXAMINE.
    pub fn writable(&self) -> Result<(), Answer> {
        match self.read_only {
            true => Err(Answer::no(Code::NoPerm, "the mailbox is selected read-only")),
            false => Ok(()),
        }
    }

    /// Looks at what others did, and keeps it to be told.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        for change in self.mailbox.refresh()? {
            match change {
                Change::Gone { uid, .. } => {
                    self.changed.remove(&uid);
                    self.expunged |= self.known.binary_search(&uid).is_ok();
                }
                Change::Flags(uid) => {
                    self.changed.insert(uid);
                }
                // Messages that arrived are those after the last one known.
                _ => {}
            }
        }
        Ok(())
    }

    /// Says that this session removed messages itself, so that the client is told.
    pub fn removed(&mut self) {
        self.expunged = true;
    }

    /// Says that the client is told the flags of a message otherwise.
    pub fn flags_told(&mut self, uid: Uid) {
        self.changed.remove(&uid);
    }

    /// Begins to tell. RFC 3501 §7.4.1: EXPUNGE "MUST NOT be sent when no command is in progress, nor while responding to a
    /// FETCH, STORE, or SEARCH command"; it is kept for a later command then.
    pub fn begin_telling(&mut self, expunges: Expunges) {
        self.stop_telling();
        self.telling = match expunges {
            Expunges::Told if self.expunged => Telling::Expunges { read: 0, written: 0, at: 0 },
            _ => Telling::Flags,
        };
    }

    /// Leaves the rest for later.
    pub fn stop_telling(&mut self) {
        if let Telling::Expunges { read, written, .. } = std::mem::replace(&mut self.telling, Telling::Done) {
            self.known.drain(written..read);
        }
    }

    /// Tells some of the changes.
    pub fn tell(&mut self, with_uid: bool, out: &mut Vec<Data>) -> Progress {
        match &mut self.telling {
            Telling::Expunges { read, written, at } => {
                while let Some(uid) = self.known.get(*read).copied() {
                    if out.len() >= LINES_A_STEP {
                        return Progress::More;
                    }
                    *read += 1;
                    let entries = self.mailbox.messages().get(*at..).unwrap_or_default();
                    *at += entries.iter().take_while(|entry| entry.uid < uid).count();
                    if self.mailbox.messages().get(*at).is_some_and(|entry| entry.uid == uid) {
                        if let Some(place) = self.known.get_mut(*written) {
                            *place = uid;
                        }
                        *written += 1;
                    } else if let Some(number) = u32::try_from(*written + 1).ok().and_then(NonZeroU32::new) {
                        // RFC 3501 §7.4.1: those after it have moved up already.
                        out.push(Data::Expunge(number));
                    }
                }
                self.known.truncate(*written);
                self.expunged = false;
                self.telling = Telling::Flags;
            }
            Telling::Flags => {
                while out.len() < LINES_A_STEP {
                    let Some(uid) = self.changed.pop_first() else {
                        self.telling = Telling::Arrivals;
                        break;
                    };
                    let flags = self.entry(uid).map(|(_, entry)| entry.flags.clone()).unwrap_or_default();
                    self.tell_keywords(&flags, out);
                    out.extend(self.flags_of(uid, with_uid));
                }
            }
            Telling::Arrivals => {
                let last = self.known.last().copied();
                let messages = self.mailbox.messages();
                let new = messages.partition_point(|entry| last.is_some_and(|last| entry.uid <= last));
                let before = self.known.len();
                self.known.extend(messages.iter().skip(new).map(|entry| entry.uid));
                if self.known.len() > before {
                    out.push(Data::Exists(self.count()));
                }
                let recent = recent(self.mailbox.messages());
                if std::mem::replace(&mut self.recent, recent) != recent || self.known.len() > before {
                    out.push(Data::Recent(recent));
                }
                let new: BTreeSet<Flag> =
                    self.mailbox.messages().iter().skip(new).flat_map(|entry| &entry.flags).cloned().collect();
                self.tell_keywords(&new, out);
                self.telling = Telling::Done;
            }
            Telling::Done => {}
        }
        if matches!(self.telling, Telling::Done) { Progress::Finished } else { Progress::More }
    }

    /// `* n FETCH (FLAGS (...))`; `None` where the message is gone.
    pub fn flags_of(&self, uid: Uid, with_uid: bool) -> Option<Data> {
        let (number, entry) = self.entry(uid)?;
        let mut items = vec![FetchData::Flags { flags: entry.flags.clone(), recent: entry.recent }];
        if with_uid {
            items.push(FetchData::Uid(uid));
        }
        Some(Data::Fetch { number, items })
    }
}

/// # Errors
/// Where a mailbox with the keywords `used` would come to have more than it takes.
fn takes(used: &Flags, flags: &Flags) -> Result<(), Answer> {
    let new = flags.iter().filter(|flag| matches!(flag, Flag::Keyword(_)) && !used.contains(flag)).count();
    if new > 0 && used.iter().len() + new > MOST_KEYWORDS {
        return Err(Answer::no(Code::Limit, format!("more than {MOST_KEYWORDS} keywords in one mailbox")));
    }
    Ok(())
}

/// # Errors
/// Where messages would come to have more keywords than a mailbox takes.
pub(super) fn takes_among(messages: &[Entry], flags: &Flags) -> Result<(), Answer> {
    match flags.iter().any(|flag| matches!(flag, Flag::Keyword(_))) {
        true => takes(&keywords(messages), flags),
        false => Ok(()),
    }
}

/// The first keywords that are in use.
fn keywords(messages: &[Entry]) -> Flags {
    let mut keywords = BTreeSet::new();
    for flag in messages.iter().flat_map(|entry| &entry.flags).filter(|flag| matches!(flag, Flag::Keyword(_))) {
        if keywords.len() == MOST_KEYWORDS {
            break;
        }
        keywords.insert(flag);
    }
    keywords.into_iter().cloned().collect()
}

fn recent(messages: &[Entry]) -> u32 {
    u32::try_from(messages.iter().filter(|entry| entry.recent).count()).unwrap_or(u32::MAX)
}
