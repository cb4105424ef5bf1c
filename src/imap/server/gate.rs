//! Which command is allowed when.

use super::Session;
use crate::imap::frame::Refusal;
use crate::imap::grammar::{self, Scope};
use crate::imap::response::Code;

/// What is allowed now.
#[derive(Clone, Copy)]
pub(super) struct Gate {
    pub(super) session: Session,
    /// A password may be said.
    pub(super) private: bool,
}

impl Gate {
    /// Whether the command that begins with these octets may be given now (RFC 9051 §6).
    pub(super) fn judge(self, text: &[u8]) -> Result<(), Refusal> {
        let head = grammar::head(text)?;
        let tag = || Some(head.tag.clone());
        match (head.scope, self.session) {
            (Scope::Any, _)
            | (Scope::NotAuthenticated, Session::NotAuthenticated(_))
            | (Scope::Authenticated, Session::Authenticated | Session::Selected)
            | (Scope::Selected, Session::Selected) => {}
            (Scope::NotAuthenticated, _) => return Err(Refusal::bad(tag(), "you are logged in already")),
            (_, Session::NotAuthenticated(_)) => return Err(Refusal::bad(tag(), "log in first")),
            (_, _) => return Err(Refusal::bad(tag(), "select a mailbox first")),
        }
        if head.reveals_secret && !self.private {
            // RFC 9051 §6.2.3: LOGINDISABLED; no secret is asked for, and one that came is not looked at.
            return Err(Refusal::no(tag(), Code::PrivacyRequired, "not without TLS"));
        }
        Ok(())
    }
}
