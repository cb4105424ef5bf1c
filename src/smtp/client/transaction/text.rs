//! The text of a message, by DATA or by BDAT, and the answers to it.

use super::{BLOCK, Fate, PIECE, Phase, Then};
use crate::base::Step;
use crate::smtp::client::{By, Client, ClientEvent, State};
use crate::smtp::server::Protocol;
use crate::smtp::{Command, Error, Fault, Reply, Stage};

impl Client {
    /// The server answered to a text of nothing, in whatever way.
    pub(super) fn nothing_sent(&mut self, reply: &Reply) {
        let State::Sending(transaction) = &mut self.state else { return };
        let Phase::Nothing { verdict } = &mut transaction.phase else { return };
        let closed = reply.code() == 421;
        match verdict.take() {
            Some(mut verdict) => {
                verdict.then = if closed { Then::HangUp } else { Then::Next };
                transaction.phase = Phase::Tell { verdict, next: 0 };
            }
            None if closed => self.state = State::Done,
            None => self.state = State::Idle,
        }
    }

    /// Writes the text as fast as it is taken.
    pub(super) fn text(&mut self) -> Result<Option<Step<ClientEvent>>, Error> {
        let State::Sending(transaction) = &mut self.state else { return Ok(None) };
        let backlog = self.wire.backlog();
        match &mut transaction.phase {
            Phase::Text { at, writer } if backlog < self.config.max_backlog => {
                let content = &transaction.message.content;
                if *at < content.len() {
                    let end = content.len().min(*at + PIECE);
                    writer.write(&content.slice(*at..end), &mut self.wire);
                    *at = end;
                } else {
                    writer.clone().finish(&mut self.wire);
                    transaction.phase = Phase::LastText { end: content.len() };
                }
                transaction.outgoing = self.wire.backlog();
                self.since = None;
                return Ok(None);
            }
            Phase::Chunk { at, end } if backlog < self.config.max_backlog => {
                if at < end {
                    let to = (*end).min(*at + PIECE);
                    self.wire.out_shared(transaction.message.content.slice(*at..to));
                    *at = to;
                } else {
                    transaction.phase = Phase::LastText { end: *end };
                }
                transaction.outgoing = self.wire.backlog();
                self.since = None;
                return Ok(None);
            }
            Phase::LastText { end } if backlog == 0 => {
                let (at, len) = (*end, transaction.message.content.len());
                transaction.phase = if at == len { Phase::End { next: 0 } } else { Phase::Between { at } };
                self.since = None;
                return Ok(None);
            }
            _ if backlog + BLOCK <= transaction.outgoing => {
                transaction.outgoing = backlog;
                self.since = None;
            }
            _ => {}
        }
        // Only a refusal can come before the text is out, and there is no way back from it but to hang up.
        match self.reply()? {
            None => self.wait().map(Some),
            Some(reply) if reply.is_transient() || reply.is_permanent() => {
                let State::Sending(transaction) = &mut self.state else { return Ok(None) };
                transaction.tell(Stage::Message, reply, Then::HangUp);
                Ok(None)
            }
            Some(reply) => Err(self.fail(Fault::EarlyReply { code: reply.code(), stage: Stage::Message })),
        }
    }

    /// Takes the answer to a chunk, and begins the next one.
    pub(super) fn between(&mut self, at: usize) -> Result<Option<Step<ClientEvent>>, Error> {
        let Some(reply) = self.reply()? else { return self.wait().map(Some) };
        if reply.is_intermediate() {
            return Err(self.unexpected(&reply, Stage::Message, "250"));
        }
        let State::Sending(transaction) = &mut self.state else { return Ok(None) };
        if reply.is_positive() {
            let command = transaction.chunk(at, self.config.max_chunk);
            let _ = command.write(&mut self.wire); // writing to a wire cannot fail
            transaction.outgoing = self.wire.backlog();
        } else {
            // RFC 3030 §2: no more of them, and "a RSET command MUST be issued".
            let then = if reply.code() == 421 { Then::HangUp } else { Then::Reset };
            transaction.tell(Stage::Message, reply, then);
        }
        Ok(None)
    }

    /// Takes an answer to the text: one for all, in LMTP one for each (RFC 2033 §4.2).
    pub(super) fn end(&mut self, next: usize) -> Result<Option<Step<ClientEvent>>, Error> {
        let Some(reply) = self.reply()? else { return self.wait().map(Some) };
        if reply.is_intermediate() {
            return Err(self.unexpected(&reply, Stage::Message, "250"));
        }
        let State::Sending(transaction) = &mut self.state else { return Ok(None) };
        let closed = reply.code() == 421;
        if closed || self.config.protocol == Protocol::Smtp {
            // RFC 3030 §2: "The resulting state from a failed BDAT command is indeterminate", after the last one too.
            let lost = transaction.chunked && !reply.is_positive();
            let then = if lost { Then::Reset } else { Then::Next };
            transaction.tell(Stage::Message, reply, if closed { Then::HangUp } else { then });
            return Ok(None);
        }
        let accepted = |at: usize| transaction.fates.get(at) == Some(&Fate::Accepted);
        let places = transaction.asked.iter().map(|(at, _)| *at).enumerate().skip(next);
        let mut left = places.filter(|(_, at)| accepted(*at));
        let (Some((place, at)), more) = (left.next(), left.next().is_some()) else { return Ok(None) };
        let failed = transaction.chunked && !reply.is_positive();
        let told = transaction.outcome(at, Stage::Message, reply, By::Server);
        if more {
            transaction.phase = Phase::End { next: place + 1 };
        } else if failed {
            self.command(&Command::Rset, State::Reset);
        } else {
            self.state = State::Idle;
        }
        Ok(told)
    }
}
