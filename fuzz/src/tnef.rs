//! TNEF: what is listed lies in the octets, and what is opened ends.

use facteur::message::Message;
use facteur::message::tnef::{MOST_ATTACHMENTS, Tnef};

/// The octets are a stream. Those of each attachment are a piece of it, the same as by the way of the part.
pub fn tnef(input: &[u8]) {
    let Some(tnef) = Tnef::parse(input.to_vec()) else { return };
    let header = b"Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let message = Message::parse([&header[..], input].concat());
    let files = message.root().enclosed();
    assert!(files.len() == tnef.attachments().len() && files.len() <= MOST_ATTACHMENTS);
    for (file, attachment) in files.iter().zip(tnef.attachments()) {
        assert_eq!(input.get(file.start..file.end), Some(&attachment.content()[..]));
        assert_eq!(file.decode(input), attachment.content());
        assert_eq!(attachment.name().unwrap_or_default(), file.name);
        let _ = (attachment.media_type(), attachment.id());
    }
    let _ = (tnef.class(), tnef.subject(), tnef.text(), tnef.html());
    assert!(tnef.rtf().unwrap_or_default().len() <= 8 * input.len());
    let mut inner = Some(tnef);
    let mut left = input.len();
    while let Some(tnef) = inner {
        inner = tnef.attachments().iter().find_map(|attachment| {
            let shorter = attachment.content().len() < left;
            assert!(shorter || left == 0, "a message in a message is shorter");
            attachment.message()
        });
        left = tnef.attachments().iter().map(|attachment| attachment.content().len()).max().unwrap_or(0);
    }
}
