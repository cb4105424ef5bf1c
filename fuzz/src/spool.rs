//! Queue files.

use facteur::base::Timestamp;
use facteur::message::Message;
use facteur::smtp::{Body, Enhanced, Envelope, ForwardPath, Ret, ReversePath};
use facteur::spool::content::{Form, Rewrite, Splitter, crlf, header_of};
use facteur::spool::mailq::{Listed, Mailq};
use facteur::spool::qf::{ControlFile, ControlRecipient};
use facteur::spool::{Failure, Memory, QueueId, Reporter, Spool};

/// What reads as a control file is written back to the octet, and all that it says can be asked of it and listed.
pub fn qf(input: &[u8]) {
    let Ok(control) = ControlFile::parse(input) else { return };
    assert_eq!(control.write(), input);
    let recipients = control.recipients();
    assert!(recipients.len() + control.fields().count() + control.macros().count() <= control.lines().len());
    let typed: Vec<_> = recipients.iter().filter_map(ControlRecipient::recipient).collect();
    assert!(typed.len() <= recipients.len());
    let _ = (control.sender(), control.ret(), control.body(), control.deliver_by(), control.inode());
    let id: QueueId = "l248JX3n004416".parse().expect("a queue id");
    let mailq = Mailq::new("q", vec![Listed::new(id, control, 1)]);
    for text in [mailq.brief(), mailq.verbose()] {
        assert!(text.chars().all(|character| matches!(character, '\n' | '\t') || !character.is_control()), "{text:?}");
    }
}

/// A message taken apart and put together again is the same, however it comes; how it is kept does not depend on how it
/// was cut. The first octet says where to cut, the second is the limit of the header.
pub fn spool_content(input: &[u8]) {
    let [step, limit, content @ ..] = input else { return };
    let whole = through(content, content.len().max(1), usize::from(*limit));
    let cut = through(content, usize::from(*step).max(1), usize::from(*limit));
    assert_eq!(whole, cut);
    assert_eq!(whole.1, content);
}

/// Whatever a server said and a message holds, a report has three parts and lines that can be sent. What the server
/// said goes up to the first NUL.
pub fn bounce(input: &[u8]) {
    let at = input.iter().position(|octet| *octet == 0).unwrap_or(input.len());
    let (said, content) = input.split_at(at);
    let said = String::from_utf8_lossy(said).into_owned();
    let spool = Memory::new();
    let sender = ReversePath::Address("ada@a.test".parse().expect("an address"));
    let mut envelope = Envelope::new(sender, [ForwardPath::Postmaster]);
    envelope.params.ret = input.len().is_multiple_of(2).then_some(Ret::Full);
    envelope.params.envid = Some(said.clone().into());
    let id = spool.store(envelope, content).expect("memory");
    let entry = spool.entry(&id).expect("an entry");
    let mut told = entry.recipients.clone();
    let mut failure = Failure::new(Enhanced(5, 0, 0), said.clone());
    failure.remote = Some(said);
    told[0].failure = Some(failure);
    let reporter = Reporter::new("mx.a.test".parse().expect("a domain"));
    let now = Timestamp::from_unix(1_172_593_995);
    let reports = [reporter.failed(&entry, &told, content, now), reporter.delayed(&entry, &told, content, now, now)];
    for report in reports.into_iter().flatten() {
        for line in report.content.split_inclusive(|octet| *octet == b'\n') {
            let line = line.strip_suffix(b"\r\n").expect("CRLF");
            assert!(line.len() <= 998 && !line.iter().any(|octet| matches!(octet, 0 | b'\r')), "{line:?}");
        }
        assert_eq!(report.content.is_ascii(), report.envelope.params.body != Some(Body::EightBitMime));
        let message = Message::parse(report.content);
        assert_eq!(message.root().children().count(), 3);
    }
}

fn through(content: &[u8], step: usize, limit: usize) -> (Form, Vec<u8>) {
    let mut splitter = Splitter::new(limit);
    let mut data = Vec::new();
    for piece in content.chunks(step) {
        let mut out = Vec::new();
        if let Some(Rewrite { header, old }) = splitter.feed(piece, &mut out) {
            data.extend_from_slice(&out[..old]);
            let mut anew = header.to_vec();
            crlf(&data, &mut anew);
            anew.extend_from_slice(&out[old..]);
            data = anew;
        } else {
            data.append(&mut out);
        }
    }
    let split = splitter.finish(&mut data);
    assert_eq!(split.size, content.len() as u64);
    match split.form {
        Form::Exact => (split.form, data),
        Form::Fields => {
            let mut whole = header_of(split.fields.iter().map(|field| &field[..]));
            crlf(&data, &mut whole);
            (split.form, whole)
        }
    }
}
