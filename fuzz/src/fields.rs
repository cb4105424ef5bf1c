//! Typed reading of fields, flowed text, and files inside of text.

use facteur::message::{DefectKind, Message, Received};
use facteur::text::enclosed;
use facteur::text::flowed::{self, DelSp};

/// Every reader takes every value; what it gives is out of the value; the same value gives the same in a message.
pub fn fields(input: &[u8]) {
    let received = Received::parse(input);
    for host in [received.from(), received.by()].into_iter().flatten() {
        assert!(host.name().len() <= input.len() * 3);
        assert!(host.comments().count() <= received.comments().count());
    }
    assert!(received.recipients().count() <= input.len() && received.comments().count() <= input.len());

    let message = Message::parse(input.to_vec());
    for field in message.header().fields() {
        let value = field.value();
        assert_eq!(field.received(), Received::parse(value));
        let _ = field.read();
        assert!(field.uris().iter().map(String::len).sum::<usize>() <= value.len() * 3);
        assert!(field.languages().iter().all(|tag| !tag.is_empty() && !tag.contains([' ', ','])));
        assert!(field.location().is_none_or(|uri| !uri.contains(char::is_whitespace)));
        let _ = (field.list_id(), field.auto_submitted(), field.importance(), field.mime_version());
        let _ = (field.content_md5(), field.return_path(), field.flag(), field.sensitivity(), field.message_context());
        let _ = (field.typed_address(), field.duration(), field.notification_options());
        assert!(field.list().iter().all(|element| !element.is_empty()) || value.windows(2).any(|pair| pair == b"=?"));
        assert!(field.accepted_languages().iter().all(|language| language.quality <= 1000));
        assert!(field.mt_priority().is_none_or(|priority| (-9..=9).contains(&priority)));
        assert!(field.valid_since().is_none_or(|valid| valid.mailbox.domain().is_some()));
    }
    let resent: usize = message.header().resent().iter().map(|block| block.fields.len()).sum();
    let named = message.header().fields().filter(|field| field.name().to_ascii_lowercase().starts_with("resent-"));
    assert_eq!(resent, named.count(), "each Resent field is in one block");
    let _ = (message.header().one_click_unsubscribe(), message.header().importance());
    for part in message.all_parts() {
        let _ = part.protection();
    }

    // Against a slow and obvious count of the octets that are no text. Of each kind not all are listed.
    if !input.to_ascii_lowercase().windows(6).any(|word| word == b"binary") {
        let count = |kind| message.defects().iter().filter(|defect| defect.kind == kind).count();
        let nuls = input.iter().filter(|octet| **octet == 0).count();
        assert_eq!(count(DefectKind::Nul), nuls.min(100));
        let crs = input.iter().filter(|octet| **octet == b'\r').count();
        let crlfs = input.windows(2).filter(|pair| pair == b"\r\n").count();
        assert_eq!(count(DefectKind::BareCr), (crs - crlfs).min(100));
    }

    let text = String::from_utf8_lossy(input);
    for del_sp in [DelSp::No, DelSp::Yes] {
        let paragraphs = flowed::decode(&text, del_sp);
        assert!(paragraphs.iter().all(|paragraph| !paragraph.text.contains('\n')));
        assert!(paragraphs.len() <= text.split('\n').count());
        let kept: usize = paragraphs.iter().map(|paragraph| paragraph.text.len()).sum();
        assert!(kept <= text.len());
    }

    let mut before = 0;
    for file in enclosed::find(input) {
        assert!(before <= file.start && file.start < file.end && file.end <= input.len());
        // A line says how long it is; what it lacks was spaces.
        assert!(file.decode(input).len() <= 64 * (file.end - file.start));
        before = file.end;
    }
}
