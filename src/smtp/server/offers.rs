//! What the extensions are that a client is offered, and which parameters of MAIL and RCPT are refused because of them.
//!
//! Both follow from the config and the session alone, so that nothing is announced that is not taken, and the contrary.

use super::table::{self, State};
use super::{AuthPolicy, HelloVerb, Protocol, Question, Server, ServerEvent, StartTls};
use crate::base::Timestamp;
use crate::smtp::data::DataFault;
use crate::smtp::{
    Attribute, Body, ByMode, CommandError, Enhanced, Envelope, Extensions, ForwardPath, FutureRelease, Hold, Limits,
    MailParams, RcptParams, Recipient, Reply, ReversePath,
};

/// The largest limit that LIMITS can announce: six digits (RFC 9422 §4).
const LARGEST_LIMIT: u32 = 999_999;
/// The longest time that FUTURERELEASE can announce, in seconds: nine digits (RFC 4865 §3).
const LONGEST_HOLD: u32 = 999_999_999;

impl Server {
    pub(super) fn mail(&mut self, from: ReversePath, mut params: MailParams) -> Option<ServerEvent> {
        self.counts.messages = self.counts.messages.saturating_add(1);
        if self.config.max_messages.is_some_and(|most| self.counts.messages > most) {
            // The client is to come again for the rest.
            let reply = Reply::new(421, Enhanced(4, 7, 0), "no more messages in this session");
            return self.no(State::Idle, &reply);
        }
        if let Some(reply) = self.mail_refusal(&from, &params) {
            return self.no(State::Idle, &reply);
        }
        // RFC 4954 §5: from a client that is not trusted AUTH= counts as "<>".
        if params.auth.is_some() && self.session.identity.is_none() {
            params.auth = Some(ReversePath::Null);
        }
        let mut standard = Reply::new(250, Enhanced(2, 1, 0), "OK");
        // RFC 6710 §4.1: the server "MUST NOT allow "upgraded" (positive) priorities from untrusted [...] sources".
        let known = self.session.identity.is_some() || self.config.trusts(self.origin);
        if !known && params.priority.is_some_and(|priority| priority > 0) {
            params.priority = Some(0);
            standard = Reply::new(250, Enhanced(2, 3, 6), "0 is the priority for all who are not known");
        }
        let event = ServerEvent::Mail { from: from.clone(), params: params.clone() };
        let envelope = Box::new(Envelope { from, params, recipients: Vec::new() });
        self.ask(Question::Mail { envelope, standard }, event)
    }

    fn mail_refusal(&self, from: &ReversePath, params: &MailParams) -> Option<Reply> {
        let config = &self.config;
        let ascii = match from {
            ReversePath::Null => true,
            ReversePath::Address(address) => address.is_ascii(),
        };
        if config.require_auth && self.session.identity.is_none() {
            // RFC 4954 §6: 530 with 5.7.0.
            return Some(Reply::new(530, Enhanced(5, 7, 0), "authentication required"));
        }
        if *params != MailParams::default() {
            let binary = config.chunking && config.binary_mime;
            let unannounced = self.is_plain()
                || (!config.dsn && (params.ret.is_some() || params.envid.is_some()))
                || (!config.smtputf8 && params.smtputf8)
                || (config.auth.is_empty() && params.auth.is_some())
                || (!binary && params.body == Some(Body::BinaryMime))
                || (config.deliver_by.is_none() && params.by.is_some())
                || (self.release().is_none() && params.hold.is_some())
                || (config.priority.is_none() && params.priority.is_some())
                || (!config.require_tls && params.require_tls)
                || (config.no_soliciting.is_none() && params.solicit.is_some())
                || (!config.submitter && params.submitter.is_some());
            if unannounced {
                return Some(CommandError::Parameter { at: 0 }.reply());
            }
            if let Some(refusal) = self.params_refusal(params) {
                return Some(refusal);
            }
        }
        if !ascii && !params.smtputf8 {
            // RFC 6531 §3.5: 550 for MAIL, 553 for RCPT, both with X.6.7.
            return Some(Reply::new(550, Enhanced(5, 6, 7), "non-ASCII address without SMTPUTF8"));
        }
        None
    }

    /// Why a parameter that was announced is refused for its value.
    fn params_refusal(&self, params: &MailParams) -> Option<Reply> {
        let invalid = |text: &'static str| Some(Reply::new(501, Enhanced(5, 5, 4), text));
        if self.config.size_limit().is_some_and(|limit| params.size.is_some_and(|size| size > limit)) {
            // RFC 1870 §6.1
            return Some(table::refused(DataFault::TooLarge));
        }
        if params.convert && !self.config.conperm {
            // RFC 4141 §4.2: "the server MUST reject the MAIL-FROM command with a 504-CONPERM reply".
            return Some(Reply::new(504, Enhanced(5, 5, 4), "CONPERM not supported"));
        }
        if params.require_tls && self.session.tls.is_none() {
            // RFC 8689 §2: "The session itself MUST employ TLS transmission"; 5.7.10: encryption needed.
            return Some(Reply::new(530, Enhanced(5, 7, 10), "REQUIRETLS needs TLS"));
        }
        if let (Some(by), Some(least)) = (params.by, self.config.deliver_by)
            && by.mode == ByMode::Return
            && u32::try_from(by.seconds).is_ok_and(|seconds| seconds < least)
        {
            // RFC 2852 §3: less than min-by-time "will be rejected with a permanent failure (55z)".
            return Some(Reply::new(555, Enhanced(5, 5, 4), "cannot be delivered so soon"));
        }
        if let (Some(hold), Some((now, offered))) = (params.hold, self.release()) {
            // RFC 4865 §4.2: what is beyond the limits is rejected with 501 and 5.5.4.
            let fits = match hold {
                Hold::For(seconds) => seconds <= offered.interval,
                Hold::Until(point) => point.unix() <= offered.until.unix(),
            };
            if !fits {
                return invalid("cannot be held for so long");
            }
            // RFC 4865 §5.2.2
            if params.by.is_some_and(|by| now.unix().saturating_add(by.seconds.into()) < hold.until(now).unix()) {
                return invalid("cannot be held longer than it may take to deliver");
            }
        }
        let unwanted = self.config.no_soliciting.as_deref().unwrap_or_default();
        let named = || params.solicit.iter().flat_map(|solicit| solicit.split(','));
        let matched = named().find(|word| unwanted.iter().any(|known| known.eq_ignore_ascii_case(word)));
        // RFC 3865 §2.4: 5.7.1, and the keyword that matched.
        matched.map(|word| Reply::new(550, Enhanced(5, 7, 1), format!("SOLICIT={word}")))
    }

    pub(super) fn rcpt(
        &mut self,
        mut envelope: Box<Envelope>,
        to: ForwardPath,
        params: RcptParams,
    ) -> Option<ServerEvent> {
        if let Some(refusal) = self.rcpt_refusal(&envelope, &to, &params) {
            return self.no(State::Transaction(envelope), &refusal);
        }
        envelope.recipients.push(Recipient { to: to.clone(), params: params.clone() });
        self.ask(Question::Rcpt { envelope }, ServerEvent::Rcpt { to, params })
    }

    fn rcpt_refusal(&mut self, envelope: &Envelope, to: &ForwardPath, params: &RcptParams) -> Option<Reply> {
        if *params != RcptParams::default() {
            let unannounced = self.is_plain()
                || (!self.config.dsn && (params.notify.is_some() || params.orcpt.is_some()))
                || (!self.config.rrvs && params.rrvs.is_some());
            if unannounced {
                return Some(CommandError::Parameter { at: 0 }.reply());
            }
            if params.conneg && !self.config.conneg {
                // RFC 4141 §5.2: "the server MUST reject the RCPT-TO addressees with 504 replies".
                return Some(Reply::new(504, Enhanced(5, 5, 4), "CONNEG not supported"));
            }
        }
        let domain = match to {
            ForwardPath::Postmaster => None,
            ForwardPath::Address(address) if !address.is_ascii() && !envelope.params.smtputf8 => {
                return Some(Reply::new(553, Enhanced(5, 6, 7), "non-ASCII address without SMTPUTF8"));
            }
            ForwardPath::Address(address) => Some(address.domain()),
        };
        if envelope.recipients.len() >= self.config.max_recipients {
            // RFC 5321 §4.5.3.1.10: "452 Too many recipients".
            return Some(Reply::new(452, Enhanced(4, 5, 3), "too many recipients"));
        }
        if let (Some(most), Some(domain)) = (self.config.max_recipient_domains, domain)
            && !self.counts.domains.contains(domain)
        {
            if self.counts.domains.len() as u64 >= u64::from(most) {
                return Some(Reply::new(452, Enhanced(4, 5, 3), "too many domains of recipients"));
            }
            self.counts.domains.push(domain.clone());
        }
        None
    }

    /// Whether the client greeted with HELO, and so has no extensions.
    pub(super) fn is_plain(&self) -> bool {
        self.session.hello.as_ref().is_some_and(|hello| hello.verb == HelloVerb::Helo)
    }

    pub(super) fn auth_allowed(&self) -> bool {
        self.session.tls.is_some() || self.config.auth_policy == AuthPolicy::Anywhere
    }

    /// What time it is, and for how long a message may be held from now on.
    fn release(&self) -> Option<(Timestamp, FutureRelease)> {
        let most = self.config.future_release?.as_secs().min(LONGEST_HOLD.into());
        let (told, at) = self.clock?;
        let since = i64::try_from(self.now.saturating_duration_since(at).as_secs()).unwrap_or(i64::MAX);
        let now = Timestamp::from_unix(told.unix().saturating_add(since));
        let interval = u32::try_from(most).ok().filter(|seconds| *seconds > 0)?;
        Some((now, FutureRelease { interval, until: Hold::For(interval).until(now) }))
    }

    /// What is announced to this client now.
    pub(super) fn extensions(&self) -> Extensions {
        let config = &self.config;
        let offered = config.auth.usable(self.session.tls.as_ref()).filter(|_| self.auth_allowed());
        let tls = self.session.tls.is_some();
        let trusted = (config.xclient || config.xforward) && config.trusts(self.origin);
        let limit = |most: Option<u32>| most.filter(|most| config.limits && (1..=LARGEST_LIMIT).contains(most));
        let limits = Limits {
            messages: limit(config.max_messages),
            recipients: limit(u32::try_from(config.max_recipients).ok()),
            domains: limit(config.max_recipient_domains),
        };
        // RFC 4468 §3.1: without arguments where "authentication is required to use it".
        let known = self.session.identity.is_some();
        let burl = config.burl.as_ref().map(|urls| if known { urls.clone() } else { String::new() });
        Extensions {
            pipelining: true,
            size: Some(config.size_limit()),
            eight_bit_mime: true,
            smtputf8: config.smtputf8,
            enhanced_status_codes: true,
            dsn: config.dsn,
            chunking: config.chunking,
            binary_mime: config.chunking && config.binary_mime,
            starttls: config.starttls != StartTls::Off && !tls,
            auth: offered.map(|mechanism| mechanism.to_string()).collect(),
            deliver_by: config.deliver_by,
            future_release: self.release().map(|(_, offered)| offered),
            priority: config.priority.clone(),
            require_tls: config.require_tls && tls,
            rrvs: config.rrvs,
            limits: Some(limits).filter(|limits| *limits != Limits::default()),
            no_soliciting: config.no_soliciting.as_ref().map(|words| words.join(",")),
            conperm: config.conperm,
            conneg: config.conneg,
            submitter: config.submitter,
            burl,
            etrn: config.etrn,
            atrn: config.atrn,
            xclient: (trusted && config.xclient).then(|| Attribute::OF_XCLIENT.to_owned()),
            xforward: (trusted && config.xforward).then(|| Attribute::OF_XFORWARD.to_owned()),
            vrfy: config.screen.vrfy,
            expn: config.screen.expn,
            help: true,
            ..Extensions::default()
        }
    }

    /// The commands that this server has.
    pub(super) fn help(&self) -> Reply {
        let config = &self.config;
        let hello = match config.protocol {
            Protocol::Smtp => "HELO EHLO",
            Protocol::Lmtp => "LHLO",
        };
        let mut text = format!("{hello} MAIL RCPT DATA");
        for (known, command) in [
            (config.chunking, " BDAT"),
            (config.burl.is_some(), " BURL"),
            (true, " RSET NOOP QUIT VRFY"),
            (config.screen.expn, " EXPN"),
            (true, " HELP"),
            (config.starttls != StartTls::Off, " STARTTLS"),
            (!config.auth.is_empty(), " AUTH"),
            (config.etrn, " ETRN"),
            (config.atrn, " ATRN"),
        ] {
            text.push_str(if known { command } else { "" });
        }
        Reply::new(214, Enhanced(2, 0, 0), text)
    }
}
