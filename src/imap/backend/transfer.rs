//! COPY and MOVE (RFC 9051 §6.4.7 and §6.4.8, RFC 6851): all of the messages or none, as far as the store allows.

use std::collections::VecDeque;

use crate::imap::backend::selected::Selected;
use crate::imap::backend::{Answer, code_of, completed};
use crate::imap::response::{Code, Data, Status};
use crate::imap::sequence::Ranges;
use crate::store::{Mailbox, Store, StoreError, Uid};

/// What becomes of the messages that were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// COPY
    Original,
    /// MOVE
    CopyOnly,
}

#[derive(Debug)]
pub(super) struct Transfer<M> {
    name: String,
    target: M,
    keep: Keep,
    uids: VecDeque<Uid>,
    /// UIDs before and after.
    copied: Vec<(Uid, Uid)>,
}

impl<M: Mailbox> Transfer<M> {
    pub fn new<S: Store<Mailbox = M>>(store: &S, uids: Vec<Uid>, name: String, keep: Keep) -> Result<Self, Answer> {
        // Opened to look at: `\Recent` is not used up by a session that does not select the mailbox.
        let target = store.examine(&name).map_err(try_create)?;
        Ok(Self { name, target, keep, uids: uids.into(), copied: Vec::new() })
    }

    /// Copies one message, or ends.
    pub fn step<S: Store<Mailbox = M>>(
        &mut self,
        name: &str,
        store: &S,
        selected: &mut Selected<M>,
        out: &mut Vec<Data>,
    ) -> Option<Answer> {
        if let Some(uid) = self.uids.pop_front() {
            return match self.copy(uid, selected) {
                Ok(copy) => {
                    self.copied.push((uid, copy));
                    None
                }
                Err(error) => {
                    let copies: Vec<Uid> = self.copied.iter().map(|(_, copy)| *copy).collect();
                    Some(self.undo(store, error, &copies))
                }
            };
        }
        if self.copied.is_empty() {
            // RFC 4315 §3: no COPYUID where nothing was copied.
            return Some(completed(name));
        }
        let code = Code::CopyUid {
            validity: self.target.uid_validity(),
            from: self.copied.iter().map(|(original, _)| original.0.get()).collect::<Ranges>(),
            to: self.copied.iter().map(|(_, copy)| copy.0.get()).collect::<Ranges>(),
        };
        if self.keep == Keep::Original {
            return Some(Answer::ok_with(code, format!("{name} completed")));
        }
        let originals: Vec<Uid> = self.copied.iter().map(|(original, _)| *original).collect();
        selected.removed();
        if let Err(error) = selected.mailbox.remove(&originals) {
            // RFC 6851 §3.3: "each individual message SHOULD either be moved or unaffected".
            if let Err(error) = selected.refresh() {
                return Some(error.into());
            }
            let stays = |original: &Uid| selected.mailbox.index_of(*original).is_some();
            let copies: Vec<Uid> =
                self.copied.iter().filter(|(original, _)| stays(original)).map(|(_, copy)| *copy).collect();
            return Some(self.undo(store, error, &copies));
        }
        // RFC 6851 §4.3: "send the COPYUID response code in an untagged OK before sending EXPUNGE".
        out.push(Data::Status(Status::Ok, Some(code), "moved".into()));
        Some(completed(name))
    }

    fn copy(&mut self, uid: Uid, selected: &Selected<M>) -> Result<Uid, StoreError> {
        let (_, entry) = selected.entry(uid).ok_or(StoreError::NoMessage)?;
        let message = selected.mailbox.read(uid)?;
        self.target.append(&message, &entry.flags, entry.received)
    }

    /// RFC 3501 §6.4.7: "If the COPY command is unsuccessful for any reason, server implementations MUST restore the
    /// destination mailbox to its state before the COPY attempt."
    fn undo<S: Store<Mailbox = M>>(&self, store: &S, error: StoreError, copies: &[Uid]) -> Answer {
        if copies.is_empty() {
            return error.into();
        }
        match store.open(&self.name).and_then(|mut target| target.remove(copies)) {
            Ok(()) => error.into(),
            Err(second) => Answer::no(code_of(&error), format!("{error}; copies are left behind: {second}")),
        }
    }
}

/// RFC 3501 §6.3.11, §6.4.7: the server "MUST send the response code "[TRYCREATE]"" where the mailbox could be created.
pub(super) fn try_create(error: StoreError) -> Answer {
    match error {
        StoreError::NoMailbox => Answer::no(Code::TryCreate, "no such mailbox"),
        error => error.into(),
    }
}
