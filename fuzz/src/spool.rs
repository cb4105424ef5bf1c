//! Queue files.

use facteur::spool::QueueId;
use facteur::spool::content::{Form, Rewrite, Splitter, crlf, header_of};
use facteur::spool::mailq::{Listed, Mailq};
use facteur::spool::qf::{ControlFile, ControlRecipient};

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
