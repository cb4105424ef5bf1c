//! What a control file says of an entry of ours, and how an entry is written in it.
//!
//! Five macros are our own. sendmail reads past macros that it does not know:
//! - `${facteur_content}`: how the content is kept (`fields`, `exact`), how many fields were added before it, its size,
//!   and that of the data file;
//! - `${facteur_next}`: not to be tried before this;
//! - `${facteur_mail}`: the parameters of MAIL that sendmail has no line for, as MAIL has them;
//! - `${facteur_rcpt}`, once for each: the number of a recipient, and such parameters of RCPT;
//! - `${facteur_failure}`, once for each: the number of a recipient, the status, the remote server or `-`, its words.

use bytes::Bytes;

use crate::base::Timestamp;
use crate::smtp::{Body, ByMode, MailParams, RareMailParams, RcptParams, Recipient, Ret, ReversePath, Xtext, xtext};
use crate::spool::bounce::one_line;
use crate::spool::content::{Form, Split, crlf};
use crate::spool::qf::{ControlFile, ControlRecipient, DeliverBy, Line, SENDER_MACRO, recipient_lines, reverse_path};
use crate::spool::{Entry, Failure, Pending, QueueId, Submission, first_priority};

const CONTENT: &str = "facteur_content";
const NEXT: &str = "facteur_next";
const FAILURE: &str = "facteur_failure";
const MAIL: &str = "facteur_mail";
const RCPT: &str = "facteur_rcpt";

/// How the content of an entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) form: Form,
    /// How many fields were added here, after `Return-Path:`.
    trace: usize,
    /// The size of the content; `None` where sendmail wrote it, and does not say.
    pub(super) size: Option<u64>,
    /// The size of the data file, likewise.
    pub(super) data: Option<u64>,
}

/// The control file of a new message. The error says what cannot be written.
pub(super) fn new(submission: &Submission, split: &Split, data: u64) -> Result<ControlFile, &'static str> {
    let envelope = &submission.envelope;
    if envelope.recipients.is_empty() {
        return Err("a message needs a recipient");
    }
    let mut lines = Vec::new();
    let mut line = |code, text: Vec<u8>| lines.push(Line { code, text: text.into() });
    line(b'T', submission.arrived.unix().to_string().into());
    line(b'K', b"0".to_vec());
    line(b'N', b"0".to_vec());
    line(b'P', first_priority(split.size, envelope.recipients.len(), &envelope.params).to_string().into());
    match envelope.params.body {
        None => {}
        Some(Body::SevenBit) => line(b'B', b"7BIT".to_vec()),
        Some(Body::EightBitMime) => line(b'B', b"8BITMIME".to_vec()),
        Some(Body::BinaryMime) => line(b'B', b"BINARYMIME".to_vec()),
    }
    let (given, header_only) = (envelope.params.ret.is_some(), envelope.params.ret == Some(Ret::Hdrs));
    let flags = [(given, b'd'), (envelope.params.smtputf8, b'e'), (header_only, b'n')];
    line(b'F', flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect());
    for (name, value) in [("_", &submission.peer), ("r", &submission.protocol), ("s", &submission.helo)] {
        if let Some(value) = value {
            line(b'$', format!("{name}{}", one_line(value)).into());
        }
    }
    let form = match split.form {
        Form::Fields => "fields",
        Form::Exact => "exact",
    };
    line(b'$', format!("{{{CONTENT}}}{form} {} {} {data}", submission.trace.len(), split.size).into());
    if let Some(next) = submission.not_before {
        line(b'$', format!("{{{NEXT}}}{}", next.unix()).into());
    }
    let own = own_params(&envelope.params);
    // What does not read back would be a damaged entry.
    let (wanted, own) = (own.clone(), own.to_string());
    if MailParams::parse(own.trim_start().as_bytes()) != Ok(wanted) {
        return Err("a parameter of MAIL is none that MAIL can have");
    }
    if !own.is_empty() {
        line(b'$', format!("{{{MAIL}}}{}", own.trim_start()).into());
    }
    for (number, recipient) in envelope.recipients.iter().enumerate() {
        if let Some(own) = own_rcpt_params(number, recipient) {
            rcpt_params(own.as_bytes()).ok_or("a parameter of RCPT is none that RCPT can have")?;
            line(b'$', format!("{{{RCPT}}}{own}").into());
        }
    }
    if let Some(reason) = &submission.held {
        line(b'q', one_line(reason).into());
    }
    line(b'S', envelope.from.to_string().into());
    if let Some(envid) = &envelope.params.envid {
        line(b'Z', Xtext(envid).to_string().into());
    }
    match &envelope.params.auth {
        None => {}
        Some(ReversePath::Null) => line(b'A', b"<>".to_vec()),
        Some(ReversePath::Address(address)) => line(b'A', address.to_string().into()),
    }
    if let Some(by) = envelope.params.by {
        let by = DeliverBy::from(by);
        line(b'!', [&[by.flags, b' '], by.seconds.to_string().as_bytes()].concat());
    }
    lines.extend(envelope.recipients.iter().flat_map(recipient_lines));
    let mut field = |condition: &[u8], field: &[u8]| {
        lines.push(Line { code: b'H', text: [b"?", condition, b"?", field].concat().into() });
    };
    field(b"P", &[b"Return-Path: <", SENDER_MACRO, b">"].concat());
    for added in &submission.trace {
        field(b"", &trace_field(added)?);
    }
    split.fields.iter().for_each(|kept| field(b"", kept));
    Ok(ControlFile::of(lines))
}

/// Writes into a control file what a runner may change.
pub(super) fn change(control: &mut ControlFile, entry: &Entry) {
    let unix = |time: Option<Timestamp>| time.map_or(0, Timestamp::unix).to_string();
    control.set(b'K', Some(unix(entry.last_try)));
    control.set(b'N', Some(entry.tries.to_string()));
    control.set(b'P', Some(entry.priority.to_string()));
    control.set(b'M', entry.message.as_deref().map(one_line));
    control.set(b'q', entry.held.as_deref().map(one_line));
    control.set_flag(b'w', entry.warned);
    control.set_macros(NEXT, entry.next_try.map(|next| next.unix().to_string().into()));
    // Recipients as their lines tell them: what is our own stands in macros.
    let wanted: Vec<_> = entry.recipients.iter().map(|pending| as_told(&pending.recipient)).collect();
    control.set_recipients(&wanted);
    // Old recipients keep their order and new ones come last, so that the order may be another one now.
    let (mut failures, mut params) = (Vec::new(), Vec::new());
    let mut taken = vec![false; entry.recipients.len()];
    let mut from = 0;
    for (number, written) in control.recipients().iter().map(ControlRecipient::recipient).enumerate() {
        let same = |place: &usize| wanted.get(*place) == written.as_ref();
        let found = (from..taken.len()).chain(0..from).find(|place| same(place) && !taken[*place]); // a place in taken
        let Some(place) = found else { continue };
        taken[place] = true; // a place in taken
        from = place + 1;
        let Some(pending) = entry.recipients.get(place) else { continue };
        params.extend(own_rcpt_params(number, &pending.recipient).map(String::into_bytes));
        if let Some(failure) = &pending.failure {
            let remote = failure.remote.as_deref().map_or_else(|| "-".into(), one_line).replace(' ', "_");
            failures.push(format!("{number} {} {remote} {}", failure.status, one_line(&failure.text)).into_bytes());
        }
    }
    control.set_macros(RCPT, params);
    control.set_macros(FAILURE, failures);
}

/// The parameters that sendmail has no line for.
fn own_params(params: &MailParams) -> MailParams {
    let rare = RareMailParams { auth: None, by: None, ..(**params).clone() };
    MailParams { rare: rare.into(), ..MailParams::default() }
}

/// The number of a recipient and its parameters that sendmail has no line for; `None` where there are none.
fn own_rcpt_params(number: usize, recipient: &Recipient) -> Option<String> {
    let own = RcptParams { notify: None, orcpt: None, ..recipient.params.clone() };
    (own != RcptParams::default()).then(|| format!("{number}{own}"))
}

/// The recipient without these.
fn as_told(recipient: &Recipient) -> Recipient {
    let RcptParams { notify, orcpt, .. } = &recipient.params;
    let params = RcptParams { notify: *notify, orcpt: orcpt.clone(), ..RcptParams::default() };
    Recipient { to: recipient.to.clone(), params }
}

/// Reads an entry from its control file. The error says what is wrong with it.
pub(super) fn read(id: &QueueId, control: &ControlFile) -> Result<(Entry, Kept), &'static str> {
    let kept = kept(control)?;
    let own = match control.macro_value(MAIL) {
        Some(own) => MailParams::parse(own).map_err(|_| "a parameter of MAIL cannot be read")?,
        None => MailParams::default(),
    };
    let params = MailParams {
        size: kept.size,
        body: control.body(),
        smtputf8: control.has_flag(b'e'),
        ret: control.ret(),
        // Where its encoding is broken, as it stands.
        envid: control.envid().and_then(|envid| xtext(envid).or_else(|| Some(std::str::from_utf8(envid).ok()?.into()))),
        rare: RareMailParams {
            auth: control.auth().and_then(|auth| reverse_path(auth)),
            by: control.deliver_by().and_then(|by| by.asked()),
            ..(*own).clone()
        }
        .into(),
    };
    let mut recipients = Vec::new();
    for recipient in control.recipients() {
        recipients.push(Pending::from(recipient.recipient().ok_or("a recipient is no address")?));
    }
    for (_, value) in control.macros().filter(|(name, _)| *name == RCPT.as_bytes()) {
        let (number, own) = rcpt_params(value).ok_or("a parameter of RCPT cannot be read")?;
        let params = &mut recipients.get_mut(number).ok_or("a parameter of nobody")?.recipient.params;
        *params = RcptParams { notify: params.notify, orcpt: params.orcpt.take(), ..own };
    }
    for (_, value) in control.macros().filter(|(name, _)| *name == FAILURE.as_bytes()) {
        let (number, failure) = failure(value).ok_or("a failure cannot be read")?;
        recipients.get_mut(number).ok_or("a failure of nobody")?.failure = Some(failure);
    }
    let trace = control.fields().filter(|field| !field.condition.contains(&b'P')).take(kept.trace);
    let next_try = match control.macro_value(NEXT) {
        Some(next) => Some(number(next).map(Timestamp::from_unix).ok_or("the time of the next try is no number")?),
        None => None,
    };
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned(); // only shown to people
    let entry = Entry {
        id: id.clone(),
        from: control.sender().ok_or("the sender is no address")?,
        params,
        recipients,
        arrived: control.arrived().ok_or("there is no time of arrival")?,
        tries: control.tries(),
        last_try: control.last_try(),
        next_try,
        priority: control.priority(),
        message: control.message().map(text),
        warned: control.has_flag(b'w'),
        held: control.quarantine().map(text),
        trace: trace
            .fold(Vec::new(), |mut out, field| {
                crlf(&field.field, &mut out);
                out.extend_from_slice(b"\r\n");
                out
            })
            .into(),
        size: kept.size,
    };
    if entry.recipients.is_empty() {
        return Err("there are no recipients");
    }
    Ok((entry, kept))
}

/// The fields that belong to the content: those after our own, without the `Return-Path:` that is still to be filled in.
pub(super) fn content_fields(control: &ControlFile, kept: Kept) -> impl Iterator<Item = Bytes> {
    control.fields().filter(|field| !field.condition.contains(&b'P')).skip(kept.trace).map(|field| field.field)
}

fn kept(control: &ControlFile) -> Result<Kept, &'static str> {
    // sendmail's own files: all its fields are the message, the body is in lines.
    let Some(value) = control.macro_value(CONTENT) else {
        return Ok(Kept { form: Form::Fields, trace: 0, size: None, data: None });
    };
    let mut words = value.split(|octet| *octet == b' ');
    let form = match words.next() {
        Some(b"fields") => Form::Fields,
        Some(b"exact") => Form::Exact,
        _ => return Err("the content is kept in an unknown form"),
    };
    let (trace, size, data) = (words.next(), words.next(), words.next());
    match (trace.and_then(number), size.and_then(number), data.and_then(number), words.next()) {
        (Some(trace), Some(size), Some(data), None) => Ok(Kept { form, trace, size: Some(size), data: Some(data) }),
        _ => Err("the content is kept in an unknown form"),
    }
}

fn rcpt_params(value: &[u8]) -> Option<(usize, RcptParams)> {
    let space = value.iter().position(|octet| *octet == b' ')?;
    Some((number(value.get(..space)?)?, RcptParams::parse(value.get(space + 1..)?).ok()?))
}

impl From<crate::smtp::DeliverBy> for DeliverBy {
    fn from(by: crate::smtp::DeliverBy) -> Self {
        let mode = match by.mode {
            ByMode::Notify => Self::NOTIFY,
            ByMode::Return => Self::RETURN,
        };
        Self { flags: mode | if by.trace { Self::TRACE } else { 0 }, seconds: by.seconds.into() }
    }
}

impl DeliverBy {
    /// What BY= said; `None` where it could not have said that.
    fn asked(self) -> Option<crate::smtp::DeliverBy> {
        let mode = if self.flags & Self::RETURN != 0 { ByMode::Return } else { ByMode::Notify };
        Some(crate::smtp::DeliverBy {
            seconds: self.seconds.try_into().ok()?,
            mode,
            trace: self.flags & Self::TRACE != 0,
        })
    }
}

fn failure(value: &[u8]) -> Option<(usize, Failure)> {
    let mut words = std::str::from_utf8(value).ok()?.splitn(4, ' ');
    let number = words.next()?.parse().ok()?;
    let status = words.next()?.parse().ok()?;
    let remote = Some(words.next()?).filter(|remote| *remote != "-").map(str::to_owned);
    Some((number, Failure { status, remote, text: words.next()?.to_owned() }))
}

/// A field to be added, its lines parted by LF.
fn trace_field(field: &str) -> Result<Vec<u8>, &'static str> {
    const FAULT: &str = "a trace field is no header field";
    let field = field.replace("\r\n", "\n");
    let field = field.strip_suffix('\n').unwrap_or(&field);
    let mut lines = field.split('\n');
    let named = lines.next().and_then(|line| line.split_once(':'));
    let sound = named.is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|octet| matches!(octet, 33..=126)))
        && lines.all(|line| line.starts_with([' ', '\t']))
        && !field.contains(['\r', '\0']);
    if sound { Ok(field.as_bytes().to_vec()) } else { Err(FAULT) }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
