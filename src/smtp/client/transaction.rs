//! One message of a client: MAIL, RCPT, the text by DATA or by BDAT, and what became of each recipient.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::{Step, Wire};
use crate::smtp::data::{self, DataWriter};
use crate::smtp::server::Protocol;
use crate::smtp::trace::forward_in_ascii;
use crate::smtp::{
    Body, Command, Error, Extensions, Fault, ForwardPath, MailParams, RcptParams, Reply, ReversePath, Stage,
};

use super::outgoing::{self, Refusal, Terms};
use super::{By, Client, ClientEvent, Handover, Outcome, Outgoing, Pipelining, State, Timeouts};

mod text;

/// How much of the text is written in one go, in octets.
const PIECE: usize = 16 * 1024;

/// How much of the text the server must take within [`Timeouts::block`], in octets.
const BLOCK: usize = 4 * 1024;

/// One message on its way.
#[derive(Debug)]
pub(super) struct Transaction {
    message: Outgoing,
    from: ReversePath,
    params: MailParams,
    /// What is known of each recipient.
    fates: Vec<Fate>,
    /// Whether the text goes by BDAT.
    chunked: bool,
    handover: Handover,
    /// The recipients that go to the server, by their place in the envelope, with their parameters.
    asked: Vec<(usize, RcptParams)>,
    /// How much was outgoing when the server was last seen to take a block.
    outgoing: usize,
    phase: Phase,
}

/// What is known of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    /// RCPT was accepted.
    Accepted,
    /// The application was told.
    Told,
}

#[derive(Debug)]
enum Phase {
    /// Who can be sent to at all is looked at; the next is this recipient.
    Screen { next: usize },
    /// MAIL, RCPT and DATA go out, and their answers come in.
    Commands(Group),
    /// The text goes out from here on, all of it.
    Text { at: usize, writer: DataWriter },
    /// A chunk of the text goes out, from `at` to `end`.
    Chunk { at: usize, end: usize },
    /// All of the text is outgoing, or of a chunk that ends there.
    LastText { end: usize },
    /// The answer to a chunk is due; the next begins there.
    Between { at: usize },
    /// The answers to the text are due; the next is for this one of `asked`.
    End { next: usize },
    /// The answer to a text of nothing is due, which says nothing.
    Nothing { verdict: Option<Verdict> },
    /// All recipients of whom nothing was told are told this; the next is this recipient.
    Tell { verdict: Verdict, next: usize },
}

/// Commands that were sent, and those of them that were answered: MAIL, then a RCPT for each of `asked`, then DATA. Not BDAT:
/// RFC 3030 §2 has it sent "after all MAIL and RCPT responses are collected and processed".
#[derive(Debug, Default)]
struct Group {
    sent: usize,
    answered: usize,
    /// MAIL was refused.
    refused: Option<Reply>,
    /// The answer to DATA.
    data: Option<Reply>,
}

/// What recipients are told together.
#[derive(Debug)]
struct Verdict {
    stage: Stage,
    reply: Reply,
    by: By,
    then: Then,
}

/// What follows a message.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The next.
    Next,
    /// RSET, for the server still has part of this one.
    Reset,
    /// Nothing: the server has closed, or cannot be got out of the text.
    HangUp,
}

impl Transaction {
    /// A message on these terms, unless a limit of the server is reached.
    pub(super) fn new(mut message: Outgoing, terms: Terms<'_>, limit: Option<Refusal>) -> Self {
        let recipients = message.envelope.recipients.len();
        let mut handover =
            Handover { dsn: terms.offered.dsn, deliver_by: terms.offered.deliver_by.is_some(), ..Handover::default() };
        let mut adapt = || {
            handover.conversion = message.convert(terms)?;
            message.tunnel_rrvs(terms);
            message.mail_params(terms)
        };
        let (params, phase) = match limit.map_or_else(&mut adapt, Err) {
            Ok(params) => (params, Phase::Screen { next: 0 }),
            Err(refusal) => {
                let verdict = Verdict { stage: Stage::Mail, reply: refusal.reply(), by: By::Client, then: Then::Next };
                (MailParams::default(), Phase::Tell { verdict, next: 0 })
            }
        };
        let chunked = terms.is_chunked();
        if chunked && params.body != Some(Body::BinaryMime) {
            message.content = data::canonical(&message.content);
        }
        let from = message.envelope.from.clone();
        let from = if terms.offered.smtputf8 { from } else { outgoing::ascii_reverse(&from).unwrap_or(from) }; // else refused
        let fates = vec![Fate::Open; recipients];
        Self { message, from, params, fates, chunked, handover, asked: Vec::new(), outgoing: 0, phase }
    }

    pub(super) fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Commands(group) => self.stage_of(group.answered),
            Phase::Screen { .. } => Stage::Mail,
            Phase::Text { .. }
            | Phase::Chunk { .. }
            | Phase::LastText { .. }
            | Phase::Between { .. }
            | Phase::End { .. }
            | Phase::Nothing { .. } => Stage::Message,
            Phase::Tell { verdict, .. } => verdict.stage,
        }
    }

    pub(super) fn timeout(&self, timeouts: &Timeouts) -> Duration {
        match &self.phase {
            Phase::Commands(group) => match self.stage_of(group.answered) {
                Stage::Mail => timeouts.mail,
                Stage::Rcpt => timeouts.rcpt,
                _ => timeouts.data,
            },
            Phase::Text { .. } | Phase::Chunk { .. } | Phase::LastText { .. } => timeouts.block,
            _ => timeouts.end,
        }
    }

    /// The stage of a command of the group.
    fn stage_of(&self, number: usize) -> Stage {
        match number {
            0 => Stage::Mail,
            _ if number <= self.asked.len() => Stage::Rcpt,
            _ => Stage::Data,
        }
    }

    /// Writes the command of the group.
    fn say(&self, number: usize, offered: &Extensions, wire: &mut Wire) {
        let asked = number.checked_sub(1).and_then(|number| self.asked.get(number));
        let recipient = asked.and_then(|(at, params)| Some((self.message.envelope.recipients.get(*at)?, params)));
        let ascii;
        let command = match recipient {
            _ if number == 0 => Command::Mail { from: self.from.borrowed(), params: self.params.clone() },
            Some((recipient, params)) => {
                ascii = if offered.smtputf8 { None } else { forward_in_ascii(&recipient.to) };
                let to = ascii.as_ref().unwrap_or(&recipient.to).borrowed();
                Command::Rcpt { to, params: params.clone() }
            }
            None => Command::Data,
        };
        let _ = command.write(wire); // writing to a wire cannot fail
    }

    /// How many commands the group has.
    fn commands(&self) -> usize {
        1 + self.asked.len() + usize::from(!self.chunked)
    }

    /// Writes the BDAT of the chunk that begins at `at`.
    fn chunk(&mut self, at: usize, max: usize) -> Command<'static> {
        let len = self.message.content.len();
        let end = len.min(at.saturating_add(max));
        self.phase = Phase::Chunk { at, end };
        Command::Bdat { size: (end - at) as u64, last: end == len }
    }

    fn is_any_accepted(&self) -> bool {
        self.fates.contains(&Fate::Accepted)
    }

    fn tell(&mut self, stage: Stage, reply: Reply, then: Then) {
        self.phase = Phase::Tell { verdict: Verdict { stage, reply, by: By::Server, then }, next: 0 };
    }

    /// Tells of the recipient `at` of the envelope.
    fn outcome(&mut self, at: usize, stage: Stage, reply: Reply, by: By) -> Option<Step<ClientEvent>> {
        *self.fates.get_mut(at)? = Fate::Told;
        let to: ForwardPath = self.message.envelope.recipients.get(at)?.to.clone();
        Some(Step::Event(ClientEvent::Outcome(Outcome { to, stage, reply, by, handover: self.handover })))
    }
}

impl Client {
    /// Takes one step in sending; `None` where another follows at once.
    pub(super) fn go_on_sending(&mut self) -> Result<Option<Step<ClientEvent>>, Error> {
        let State::Sending(transaction) = &mut self.state else { return Ok(None) };
        match &mut transaction.phase {
            Phase::Screen { next } => {
                let at = *next;
                *next += 1;
                let Some(recipient) = transaction.message.envelope.recipients.get(at) else {
                    let asked = !transaction.asked.is_empty();
                    if !asked {
                        self.state = State::Idle;
                        return Ok(None);
                    }
                    transaction.phase = Phase::Commands(Group::default());
                    return self.begin().map(|()| None);
                };
                let known = self.extensions.smtputf8 || forward_in_ascii(&recipient.to).is_some();
                let params = match transaction.message.rcpt_params(&recipient.params, &self.extensions) {
                    _ if !known => Err(Refusal::Utf8Recipient),
                    Ok(_) if !admit(&mut self.domains, &recipient.to, &self.extensions) => Err(Refusal::TooManyDomains),
                    params => params,
                };
                match params {
                    Ok(params) => {
                        transaction.asked.push((at, params));
                        Ok(None)
                    }
                    Err(refusal) => Ok(transaction.outcome(at, Stage::Rcpt, refusal.reply(), By::Client)),
                }
            }
            Phase::Commands(_) => self.group(),
            Phase::Text { .. } | Phase::Chunk { .. } | Phase::LastText { .. } => self.text(),
            Phase::Between { at } => {
                let at = *at;
                self.between(at)
            }
            Phase::End { next } => {
                let next = *next;
                self.end(next)
            }
            Phase::Nothing { .. } => match self.reply()? {
                None => self.wait().map(Some),
                Some(reply) => {
                    self.nothing_sent(&reply);
                    Ok(None)
                }
            },
            Phase::Tell { verdict, next } => {
                let open = transaction.fates.iter().skip(*next).position(|fate| *fate != Fate::Told);
                let Some(open) = open else {
                    let then = verdict.then;
                    match then {
                        Then::Next => self.state = State::Idle,
                        Then::Reset => self.command(&Command::Rset, State::Reset),
                        Then::HangUp => self.state = State::Done,
                    }
                    return Ok(None);
                };
                let at = *next + open;
                *next = at + 1;
                let (stage, reply, by) = (verdict.stage, verdict.reply.clone(), verdict.by);
                Ok(transaction.outcome(at, stage, reply, by))
            }
        }
    }

    /// Sends commands as far as they may go out, and takes the next answer.
    fn group(&mut self) -> Result<Option<Step<ClientEvent>>, Error> {
        let State::Sending(transaction) = &mut self.state else { return Ok(None) };
        let Phase::Commands(group) = &transaction.phase else { return Ok(None) };
        let (sent, answered) = (group.sent, group.answered);
        let grouped = self.extensions.pipelining && self.config.pipelining == Pipelining::WhereOffered;
        let all = transaction.commands();
        // Nothing follows a MAIL that was refused, and no DATA an RCPT of which none was accepted, where that is known.
        let ends = group.refused.is_some()
            || (sent == answered && sent > transaction.asked.len() && !transaction.is_any_accepted());
        let may = sent < all && !ends && (grouped || sent == answered);
        if may && self.wire.backlog() < self.config.max_backlog {
            transaction.say(sent, &self.extensions, &mut self.wire);
            if let Phase::Commands(group) = &mut transaction.phase {
                group.sent += 1;
            }
            return Ok(None);
        }
        if sent == answered && !may {
            return self.group_is_answered().map(|()| None);
        }
        if sent == answered {
            return self.wait().map(Some);
        }
        match self.reply()? {
            None => self.wait().map(Some),
            Some(reply) => self.command_answered(answered, reply),
        }
    }

    /// The answer to one command of the group.
    fn command_answered(&mut self, number: usize, reply: Reply) -> Result<Option<Step<ClientEvent>>, Error> {
        let State::Sending(transaction) = &mut self.state else { return Ok(None) };
        let stage = transaction.stage_of(number);
        let Phase::Commands(group) = &mut transaction.phase else { return Ok(None) };
        group.answered += 1;
        if reply.code() == 421 {
            transaction.tell(stage, reply, Then::HangUp);
            return Ok(None);
        }
        if reply.is_intermediate() != (stage == Stage::Data) && (reply.is_intermediate() || reply.is_positive()) {
            let expected = if stage == Stage::Data { "354" } else { "250" };
            return Err(self.unexpected(&reply, stage, expected));
        }
        match stage {
            Stage::Mail if !reply.is_positive() => group.refused = Some(reply),
            Stage::Mail => {}
            Stage::Data => group.data = Some(reply),
            _ => {
                let refused = group.refused.is_some();
                let Some(at) = transaction.asked.get(number - 1).map(|(at, _)| *at) else { return Ok(None) };
                if reply.is_positive() {
                    if let Some(fate) = transaction.fates.get_mut(at) {
                        *fate = Fate::Accepted;
                    }
                } else if !refused {
                    return Ok(transaction.outcome(at, stage, reply, By::Server));
                }
            }
        }
        Ok(None)
    }

    /// All that was sent is answered: is there a text to send?
    fn group_is_answered(&mut self) -> Result<(), Error> {
        let State::Sending(transaction) = &mut self.state else { return Ok(()) };
        let accepted = transaction.is_any_accepted();
        let Phase::Commands(group) = &mut transaction.phase else { return Ok(()) };
        let refused = group.refused.take();
        match (refused, group.data.take()) {
            (None, Some(go)) if go.is_intermediate() && accepted => {
                transaction.phase = Phase::Text { at: 0, writer: DataWriter::default() };
            }
            // RFC 2920 §3.1: "if the DATA command was accepted the client SMTP should send a single dot". Not where
            // somebody might get a message of nothing, nor in LMTP, where it would have no answer.
            (refused, Some(go)) if go.is_intermediate() => {
                if accepted || self.config.protocol == Protocol::Lmtp {
                    return Err(self.unexpected(&go, Stage::Data, "503"));
                }
                DataWriter::default().finish(&mut self.wire);
                let verdict =
                    refused.map(|reply| Verdict { stage: Stage::Mail, reply, by: By::Server, then: Then::Next });
                transaction.phase = Phase::Nothing { verdict };
                self.since = None;
            }
            (Some(reply), _) => transaction.tell(Stage::Mail, reply, Then::Next),
            (None, Some(reply)) => transaction.tell(Stage::Data, reply, Then::Reset),
            (None, None) if accepted => {
                let command = transaction.chunk(0, self.config.max_chunk);
                let _ = command.write(&mut self.wire); // writing to a wire cannot fail
                transaction.outgoing = self.wire.backlog();
                self.since = None;
            }
            (None, None) => self.command(&Command::Rset, State::Reset),
        }
        Ok(())
    }

    /// Sends MAIL, unless something was said since the last answer that was due.
    fn begin(&mut self) -> Result<(), Error> {
        let State::Sending(transaction) = &mut self.state else { return Ok(()) };
        let Phase::Commands(group) = &mut transaction.phase else { return Ok(()) };
        group.sent = 1;
        self.mails = self.mails.saturating_add(1);
        transaction.say(0, &self.extensions, &mut self.wire);
        match self.reply()? {
            // A goodbye may come at any time (RFC 5321 §3.8), and counts for what was sent last.
            Some(reply) if reply.code() == 421 => self.command_answered(0, reply).map(|_| ()),
            Some(reply) => Err(self.fail(Fault::EarlyReply { code: reply.code(), stage: Stage::Mail })),
            None => Ok(()),
        }
    }
}

/// Whether a recipient of this domain may be named to a server with these extensions: RFC 9422 §4.3, RCPTDOMAINMAX. Once named,
/// a domain counts until the end of the session.
fn admit(domains: &mut HashSet<String>, to: &ForwardPath, offered: &Extensions) -> bool {
    let (Some(max), Some(domain)) = (offered.limits.and_then(|limits| limits.domains), counted(to)) else {
        return true;
    };
    if domains.contains(&domain) {
        return true;
    }
    domains.len() < max as usize && domains.insert(domain)
}

/// The domain of a recipient, as it counts.
pub(super) fn counted(to: &ForwardPath) -> Option<String> {
    let ForwardPath::Address(to) = to else { return None };
    let domain = to.domain();
    Some(domain.to_ascii_or_text().to_ascii_lowercase())
}
