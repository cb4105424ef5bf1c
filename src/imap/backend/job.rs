//! A command in progress: its own work, step by step, then what the client is told of changes, then the answer.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use crate::imap::backend::selected::{Expunges, LINES_A_STEP, Selected};
use crate::imap::backend::transfer::Transfer;
use crate::imap::backend::{Answer, Progress, code_of, completed};
use crate::imap::command::{By, Command};
use crate::imap::fetch::{FetchItem, StoreAction};
use crate::imap::response::{Code, Data, FetchData, Status};
use crate::imap::search::{Query, Refused, Search};
use crate::message::Message;
use crate::store::{Entry, Flag, FlagEdit, Flags, Mailbox, Store, StoreError, Uid};

/// How many keys are compared in one step where no message is read.
const TESTS_A_STEP: usize = 20_000;

/// How many octets of one answer to FETCH may be made up anew, beyond four times the size of the message: a command can ask
/// for thousands of subsets of a header.
const MOST_COPIED: usize = 16 * 1024 * 1024;

/// How many messages are removed in one step. Some stores look through the whole mailbox for each.
const REMOVED_A_STEP: usize = 5000;

#[derive(Debug)]
pub(super) struct Job<M> {
    name: &'static str,
    changes: Changes,
    stage: Stage<M>,
}

#[derive(Debug)]
enum Stage<M> {
    Working(Work<M>),
    Telling(By, Answer),
}

#[derive(Debug)]
pub(super) enum Work<M> {
    /// The lines are known, and the answer too.
    Answered(VecDeque<Data>, Answer),
    Fetch(Fetch),
    Store(StoreFlags),
    Find(Find),
    Expunge(Expunge),
    Transfer(Transfer<M>),
}

/// What a command does about changes that others made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// They are looked for when the command is done, and told. That the mailbox itself is gone ends the conversation.
    Looked(Expunges, By),
    /// Likewise, but a mailbox that is gone is left to a later command: this one is about others.
    Glanced,
    /// Those that are known already are told.
    Told(Expunges, By),
    /// Nothing is said of them: another mailbox is selected when the command is done, or none.
    Ignored,
}

impl Changes {
    pub fn during(command: &Command) -> Self {
        match command {
            Command::Expunge { uids } => {
                Self::Looked(Expunges::Told, if uids.is_some() { By::Uid } else { By::Sequence })
            }
            Command::Copy { by, .. } | Command::Move { by, .. } => Self::Looked(Expunges::Told, *by),
            // Programs that ask for nothing but SEARCH, or for flags, over and over must hear of new mail some day.
            Command::Search { by, .. } => Self::Looked(Expunges::with(*by), *by),
            Command::Fetch { by, items, .. } if !items.iter().any(FetchItem::needs_message) => {
                Self::Looked(Expunges::with(*by), *by)
            }
            // STORE looked when it began. A FETCH of contents does not look: it is sent for each of thousands of messages,
            // and sets `\Seen`, so that each look would find the mailbox changed and read all of it.
            Command::Store { by, .. } | Command::Fetch { by, .. } => Self::Told(Expunges::with(*by), *by),
            Command::Select { .. } | Command::Examine { .. } | Command::Close | Command::Unselect => Self::Ignored,
            Command::Noop | Command::Check => Self::Looked(Expunges::Told, By::Sequence),
            // RFC 3501 §7: "Normally, this is part of the execution of every command".
            _ => Self::Glanced,
        }
    }

    fn look<M: Mailbox>(self, selected: &mut Selected<M>, answer: Answer, out: &mut Vec<Data>) -> Answer {
        match (selected.refresh(), self) {
            (Ok(()), _) | (Err(StoreError::NoMailbox), Self::Glanced) => answer,
            // RFC 2180 §3.3: "disconnect all other clients who have the mailbox accessed by sending a untagged BYE response".
            (Err(StoreError::NoMailbox), _) => Answer::Bye("the selected mailbox is gone".into()),
            // The command itself was done.
            (Err(error), _) => {
                out.push(Data::Status(Status::No, Some(code_of(&error)), error.to_string()));
                answer
            }
        }
    }
}

impl<M: Mailbox> Job<M> {
    pub fn new(name: &'static str, changes: Changes, work: Work<M>) -> Self {
        Self { name, changes, stage: Stage::Working(work) }
    }

    /// Only tells of changes that were looked for already.
    pub fn telling() -> Self {
        Self { name: "", changes: Changes::Ignored, stage: Stage::Telling(By::Sequence, Answer::None) }
    }

    pub fn step<S: Store<Mailbox = M>>(
        &mut self,
        store: &S,
        selected: &mut Option<Selected<M>>,
        out: &mut Vec<Data>,
    ) -> Option<Answer> {
        match &mut self.stage {
            Stage::Working(work) => {
                let answer = work.step(self.name, store, selected.as_mut(), out)?;
                let Some(selected) = selected else { return Some(answer) };
                let (expunges, by) = match self.changes {
                    Changes::Looked(expunges, by) | Changes::Told(expunges, by) => (expunges, by),
                    Changes::Glanced => (Expunges::Told, By::Sequence),
                    Changes::Ignored => return Some(answer),
                };
                let looks = !matches!(self.changes, Changes::Told(..));
                let answer = if looks { self.changes.look(selected, answer, out) } else { answer };
                if matches!(answer, Answer::Bye(_)) {
                    return Some(answer);
                }
                selected.begin_telling(expunges);
                self.stage = Stage::Telling(by, answer);
                None
            }
            Stage::Telling(by, answer) => {
                let progress = selected.as_mut().map(|selected| selected.tell(*by == By::Uid, out));
                (progress != Some(Progress::More)).then(|| answer.clone())
            }
        }
    }
}

impl<M: Mailbox> Work<M> {
    fn step<S: Store<Mailbox = M>>(
        &mut self,
        name: &str,
        store: &S,
        selected: Option<&mut Selected<M>>,
        out: &mut Vec<Data>,
    ) -> Option<Answer> {
        if let Self::Answered(lines, answer) = self {
            out.extend(lines.drain(..lines.len().min(LINES_A_STEP)));
            return lines.is_empty().then(|| answer.clone());
        }
        let Some(selected) = selected else { return Some(Answer::bad("no mailbox is selected")) };
        match self {
            Self::Answered(..) => None, // seen to above
            Self::Fetch(fetch) => fetch.step(name, selected, out),
            Self::Store(store) => store.step(name, selected, out),
            Self::Find(find) => find.step(name, selected, out),
            Self::Expunge(expunge) => expunge.step(name, selected),
            Self::Transfer(transfer) => transfer.step(name, store, selected, out),
        }
    }
}

/// RFC 2180 §4.1.2: FETCH responses "only for non-expunged messages and a tagged NO".
fn done(name: &str, missing: bool) -> Answer {
    match missing {
        true => Answer::no(Code::ExpungeIssued, "some of the messages are gone"),
        false => completed(name),
    }
}

/// FETCH and UID FETCH.
#[derive(Debug)]
pub(super) struct Fetch {
    uids: VecDeque<Uid>,
    items: Vec<FetchItem>,
    needs_message: bool,
    sets_seen: bool,
    missing: bool,
}

impl Fetch {
    pub fn new(by: By, uids: Vec<Uid>, asked: Vec<FetchItem>) -> Self {
        let mut items = Vec::with_capacity(asked.len() + 1);
        for item in asked {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        // RFC 9051 §6.4.9: servers "MUST implicitly include the UID message data item as part of any FETCH response caused
        // by a UID command".
        if by == By::Uid && !items.contains(&FetchItem::Uid) {
            items.push(FetchItem::Uid);
        }
        let needs_message = items.iter().any(FetchItem::needs_message);
        let sets_seen = items.iter().any(FetchItem::sets_seen);
        Self { uids: uids.into(), items, needs_message, sets_seen, missing: false }
    }

    fn step<M: Mailbox>(&mut self, name: &str, selected: &mut Selected<M>, out: &mut Vec<Data>) -> Option<Answer> {
        let most = if self.needs_message { 1 } else { LINES_A_STEP };
        for _ in 0..most {
            let Some(uid) = self.uids.pop_front() else { return Some(done(name, self.missing)) };
            match self.one(uid, selected) {
                Ok(data) => out.push(data),
                Err(Fault::Store(StoreError::NoMessage)) => self.missing = true,
                Err(Fault::Store(error)) => return Some(error.into()),
                Err(Fault::TooMuch) => return Some(Answer::no(Code::Limit, "too much of one message in one FETCH")),
            }
        }
        None
    }

    fn one<M: Mailbox>(&self, uid: Uid, selected: &mut Selected<M>) -> Result<Data, Fault> {
        let message = match self.needs_message {
            true => Some(selected.read(uid)?),
            false => None,
        };
        let (_, entry) = selected.entry(uid).ok_or(StoreError::NoMessage)?;
        // RFC 9051 §6.4.5: "The \Seen flag is implicitly set; if this causes the flags to change, they SHOULD be included".
        let sets_seen = self.sets_seen && !selected.read_only && !entry.flags.contains(&Flag::Seen);
        if sets_seen {
            selected.mailbox.edit_flags(&[uid], &FlagEdit::Add(Flags::from_iter([Flag::Seen])))?;
        }
        let (number, entry) = selected.entry(uid).ok_or(StoreError::NoMessage)?;
        let mut items = Vec::with_capacity(self.items.len() + 1);
        if sets_seen && !self.items.contains(&FetchItem::Flags) {
            items.push(flags(entry));
        }
        let most = MOST_COPIED + message.as_ref().map_or(0, |message| 4 * message.raw().len());
        let (mut copied, mut in_pieces) = (0, false);
        for item in &self.items {
            items.extend(match item {
                FetchItem::Flags => Some(flags(entry)),
                FetchItem::InternalDate => Some(FetchData::InternalDate(entry.received)),
                FetchItem::Uid => Some(FetchData::Uid(uid)),
                FetchItem::Rfc822Size => Some(FetchData::Rfc822Size(entry.size)),
                item => message.as_ref().and_then(|message| item.of(message)),
            });
            in_pieces |= items.last().is_some_and(|data| has_more(item, data));
            copied += items.last().map_or(0, |data| copied_for(item, data));
            if copied > most {
                return Err(Fault::TooMuch);
            }
        }
        if let Some(message) = message.filter(|_| in_pieces) {
            selected.hold(uid, message);
        }
        Ok(Data::Fetch { number, items })
    }
}

/// Whether this was a piece as long as it was asked for, so that another is likely to be asked for.
fn has_more(item: &FetchItem, data: &FetchData) -> bool {
    match (item, data) {
        (
            FetchItem::Section(_, Some(partial)) | FetchItem::Peek(_, Some(partial)),
            FetchData::Body { content: Some(content), .. },
        ) => content.len() as u64 == partial.length.get(),
        _ => false,
    }
}

/// Why a message is not told.
enum Fault {
    Store(StoreError),
    TooMuch,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How many octets of memory the answer to this item takes. Sections that stand together in the message are shared with it.
fn copied_for(item: &FetchItem, data: &FetchData) -> usize {
    match data {
        FetchData::Envelope(value) | FetchData::BodyOnly(value) | FetchData::BodyStructure(value) => value.len(),
        FetchData::Body { content: Some(content), .. } => match item {
            FetchItem::Section(section, _) | FetchItem::Peek(section, _) if section.is_subset() => content.len(),
            _ => 0,
        },
        _ => 0,
    }
}

fn flags(entry: &Entry) -> FetchData {
    FetchData::Flags { flags: entry.flags.clone(), recent: entry.recent }
}

/// STORE and UID STORE.
#[derive(Debug)]
pub(super) struct StoreFlags {
    uids: VecDeque<Uid>,
    edit: FlagEdit,
    silent: bool,
    with_uid: bool,
    missing: bool,
}

impl StoreFlags {
    pub fn new(by: By, uids: Vec<Uid>, action: &StoreAction) -> Self {
        let edit = action.edit();
        Self { uids: uids.into(), edit, silent: action.silent, with_uid: by == By::Uid, missing: false }
    }

    fn step<M: Mailbox>(&mut self, name: &str, selected: &mut Selected<M>, out: &mut Vec<Data>) -> Option<Answer> {
        let uids: Vec<Uid> = self.uids.drain(..self.uids.len().min(LINES_A_STEP)).collect();
        if uids.is_empty() {
            return Some(done(name, self.missing));
        }
        if let Err(error) = selected.mailbox.edit_flags(&uids, &self.edit) {
            return Some(error.into());
        }
        if let FlagEdit::Add(flags) | FlagEdit::Replace(flags) = &self.edit {
            selected.tell_keywords(flags, out);
        }
        for uid in uids {
            match selected.flags_of(uid, self.with_uid) {
                None => self.missing = true,
                Some(_) if self.silent => {}
                Some(data) => {
                    selected.flags_told(uid);
                    out.push(data);
                }
            }
        }
        None
    }
}

/// SEARCH and UID SEARCH.
#[derive(Debug)]
pub(super) struct Find {
    by: By,
    query: Query,
    /// The index of the next message among those that the client knows.
    next: usize,
    found: Vec<NonZeroU32>,
}

impl Find {
    pub fn new<M: Mailbox>(by: By, search: &Search, selected: &Selected<M>) -> Result<Self, Answer> {
        let last = selected.known().last().map_or(0, |uid| uid.0.get());
        let query = Query::new(search, selected.count(), last).map_err(|refused| match refused {
            // RFC 3501 §6.4.4: "it MUST return a tagged NO response (not a BAD)".
            Refused::Charset => Answer::no(Code::BadCharset(Refused::charsets()), "a charset that is not known here"),
            Refused::TooManyTexts => Answer::no(Code::Limit, "too many texts in one search"),
        })?;
        Ok(Self { by, query, next: 0, found: Vec::new() })
    }

    fn step<M: Mailbox>(&mut self, name: &str, selected: &mut Selected<M>, out: &mut Vec<Data>) -> Option<Answer> {
        for _ in 0..(TESTS_A_STEP / self.query.len().max(1)).max(1) {
            let Some(uid) = selected.known().get(self.next).copied() else {
                out.push(Data::Search(std::mem::take(&mut self.found)));
                return Some(completed(name));
            };
            self.next += 1;
            // A message that is gone matches nothing; the client hears of it when it may (RFC 2180 §4.3).
            let Some((number, entry)) = selected.entry(uid) else { continue };
            let (matches, read) = match self.query.without_message(number, entry) {
                Some(matches) => (matches, false),
                None => match selected.mailbox.read(uid) {
                    Ok(octets) => (self.query.with_message(&Message::parse(octets)), true),
                    Err(StoreError::NoMessage) => continue,
                    Err(error) => return Some(error.into()),
                },
            };
            if matches {
                self.found.push(if self.by == By::Uid { uid.0 } else { number });
            }
            if read {
                break;
            }
        }
        None
    }
}

/// EXPUNGE and UID EXPUNGE. What was removed is told afterwards, with what others removed.
#[derive(Debug)]
pub(super) struct Expunge {
    uids: VecDeque<Uid>,
}

impl Expunge {
    pub fn new(uids: Vec<Uid>) -> Self {
        Self { uids: uids.into() }
    }

    fn step<M: Mailbox>(&mut self, name: &str, selected: &mut Selected<M>) -> Option<Answer> {
        let uids: Vec<Uid> = self.uids.drain(..self.uids.len().min(REMOVED_A_STEP)).collect();
        if uids.is_empty() {
            return Some(completed(name));
        }
        selected.removed();
        selected.mailbox.remove(&uids).err().map(Answer::from)
    }
}
