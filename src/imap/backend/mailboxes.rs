//! The commands about mailboxes as a whole (RFC 9051 §6.3, RFC 3501 §6.3).

use std::collections::VecDeque;

use crate::base::Timestamp;
use crate::imap::backend::job::Work;
use crate::imap::backend::pattern::{self, Line, Pattern};
use crate::imap::backend::selected::{Selected, takes_among};
use crate::imap::backend::transfer::try_create;
use crate::imap::backend::{Answer, Backend, completed};
use crate::imap::fetch::StatusItem;
use crate::imap::response::{Attribute, Code, Data, ListedName, Status};
use crate::store::{Flag, Flags, Mailbox, Store, StoreError};

/// How a mailbox is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// SELECT
    ReadWrite,
    /// EXAMINE
    ReadOnly,
}

impl<S: Store> Backend<S> {
    pub(super) fn select(&mut self, mailbox: &str, name: &str, access: Access) -> Result<Work<S::Mailbox>, Answer> {
        // RFC 3501 §6.3.1: "if a mailbox is selected and a SELECT command that fails is attempted, no mailbox is selected".
        self.selected = None;
        let read_only = access == Access::ReadOnly;
        let mailbox = if read_only { self.store.examine(mailbox)? } else { self.store.open(mailbox)? };
        let selected = Selected::new(mailbox, read_only);
        let ok = |code, text: &str| Data::Status(Status::Ok, Some(code), text.into());
        let [flags, permanent] = selected.flags();
        let mut lines = VecDeque::from([
            flags,
            Data::Exists(selected.count()),
            Data::Recent(selected.recent()),
            ok(Code::UidValidity(selected.mailbox.uid_validity()), "UIDs are valid"),
        ]);
        if let Some(number) = selected.first_unseen() {
            lines.push_back(ok(Code::Unseen(number), "the first unseen message"));
        }
        lines.push_back(permanent);
        lines.push_back(ok(Code::UidNext(selected.mailbox.uid_next()), "the next UID"));
        self.selected = Some(selected);
        let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
        Ok(Work::Answered(lines, Answer::ok_with(code, format!("{name} completed"))))
    }

    pub(super) fn create(&self, mailbox: &str) -> Result<Work<S::Mailbox>, Answer> {
        // RFC 9051 §6.3.4: "In any case, the name created is without the trailing hierarchy delimiter."
        self.store.create(mailbox.strip_suffix(pattern::DELIMITER).unwrap_or(mailbox))?;
        Err(completed("CREATE"))
    }

    pub(super) fn delete(&self, mailbox: &str) -> Result<Work<S::Mailbox>, Answer> {
        self.store.delete(mailbox)?;
        Err(completed("DELETE"))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<Work<S::Mailbox>, Answer> {
        self.store.rename(from, to.strip_suffix(pattern::DELIMITER).unwrap_or(to))?;
        Err(completed("RENAME"))
    }

    pub(super) fn subscribe(&self, mailbox: &str) -> Result<Work<S::Mailbox>, Answer> {
        self.store.subscribe(mailbox)?;
        Err(completed("SUBSCRIBE"))
    }

    pub(super) fn unsubscribe(&self, mailbox: &str) -> Result<Work<S::Mailbox>, Answer> {
        self.store.unsubscribe(mailbox)?;
        Err(completed("UNSUBSCRIBE"))
    }

    pub(super) fn list(&self, reference: &str, pattern: &str) -> Result<Work<S::Mailbox>, Answer> {
        if pattern.is_empty() {
            // RFC 9051 §6.3.9: "a special request to return the hierarchy delimiter and the root name".
            let mut root = ListedName::new("");
            root.attributes.push(Attribute::NoSelect);
            return Ok(Work::Answered(VecDeque::from([Data::List(root)]), completed("LIST")));
        }
        let lines = pattern::list(&Pattern::new(reference, pattern), &self.store.list()?);
        Ok(Work::Answered(lines.into_iter().map(|line| Data::List(line.listed())).collect(), completed("LIST")))
    }

    pub(super) fn lsub(&self, reference: &str, pattern: &str) -> Result<Work<S::Mailbox>, Answer> {
        let lines = pattern::subscribed(&Pattern::new(reference, pattern), &self.store.subscribed()?);
        Ok(Work::Answered(lines.into_iter().map(|line| Data::Lsub(line.listed())).collect(), completed("LSUB")))
    }

    pub(super) fn status(&self, name: String, asked: &[StatusItem]) -> Result<Work<S::Mailbox>, Answer> {
        // RFC 3501 §6.3.10: "STATUS MUST NOT cause messages to lose the \Recent flag".
        let mailbox = self.store.examine(&name)?;
        let messages = mailbox.messages();
        let without = |flag: &Flag| messages.iter().filter(|entry| !entry.flags.contains(flag)).count() as u64;
        let count = messages.len() as u64;
        let mut items = Vec::new();
        for item in StatusItem::EVERY.into_iter().filter(|item| asked.contains(item)) {
            let value = match item {
                StatusItem::Messages => count,
                StatusItem::Recent => messages.iter().filter(|entry| entry.recent).count() as u64,
                StatusItem::UidNext => mailbox.uid_next().0.get().into(),
                StatusItem::UidValidity => mailbox.uid_validity().get().into(),
                StatusItem::Unseen => without(&Flag::Seen),
                StatusItem::Deleted => count - without(&Flag::Deleted),
                StatusItem::Size => messages.iter().map(|entry| entry.size).sum(),
            };
            items.push((item, value));
        }
        let line = Data::MailboxStatus { mailbox: name, items };
        Ok(Work::Answered(VecDeque::from([line]), completed("STATUS")))
    }

    pub(super) fn append(
        &mut self,
        name: &str,
        message: &[u8],
        flags: &Flags,
        received: Timestamp,
    ) -> Result<Work<S::Mailbox>, Answer> {
        // Opened to look at: `\Recent` is not used up by a session that does not select the mailbox. One that is held may
        // have more keywords by now.
        let keywords = flags.iter().any(|flag| matches!(flag, Flag::Keyword(_)));
        let mut mailbox = match self.target.take().filter(|(held, _)| held == name && !keywords) {
            Some((_, held)) => held,
            None => self.store.examine(name).map_err(try_create)?,
        };
        takes_among(mailbox.messages(), flags)?;
        let uid = match mailbox.append(message, flags, received) {
            // Removed since it was opened; and made anew, perhaps.
            Err(StoreError::NoMailbox) => {
                mailbox = self.store.examine(name).map_err(try_create)?;
                mailbox.append(message, flags, received)?
            }
            uid => uid?,
        };
        let code = Code::AppendUid { validity: mailbox.uid_validity(), uid };
        self.target = Some((name.to_owned(), mailbox));
        Err(Answer::ok_with(code, "APPEND completed"))
    }

    /// RFC 3501 §6.4.2: what is marked `\Deleted` is removed, nothing is told, and the mailbox is no longer selected.
    pub(super) fn close(&mut self) -> Result<Work<S::Mailbox>, Answer> {
        let Some(selected) = &mut self.selected else { return Err(Answer::bad("no mailbox is selected")) };
        if !selected.read_only {
            selected.refresh()?;
            let deleted = selected.deleted_among(selected.known().to_vec());
            selected.mailbox.remove(&deleted)?;
        }
        self.selected = None;
        Err(completed("CLOSE"))
    }
}

impl Line {
    fn listed(self) -> ListedName {
        let mut listed = ListedName::new(self.name);
        if !self.selectable {
            listed.attributes.push(Attribute::NoSelect);
        }
        // RFC 3348 §3
        listed.attributes.extend(self.children.map(|has| match has {
            true => Attribute::HasChildren,
            false => Attribute::HasNoChildren,
        }));
        listed
    }
}
