//! The suite mbox-mime4j: a file of a mailing list, and its messages one by one.

mod suites;

use std::fs;
use std::path::PathBuf;

use facteur::store::mbox::{Dialect, Reader};

fn suite() -> Option<PathBuf> {
    suites::find("mbox-mime4j/test-1")
}

/// The suite keeps the blank line that stands behind each message as a part of it. RFC 4155 appendix A has it terminate
/// the message, so `raw` is compared with the suite, and the message with that less the line.
#[test]
fn the_file_splits_into_its_messages() {
    let Some(dir) = suite() else {
        println!("conformance mbox-mime4j skipped: no suite");
        return;
    };
    let octets = fs::read(dir.join("mbox.rlug")).unwrap();
    assert_eq!(Dialect::detect(&octets), Dialect::Mboxrd);
    let mut reader = Reader::new(Dialect::Mboxrd);
    let mut items = Vec::new();
    for piece in octets.chunks(1000) {
        reader.feed(piece);
        items.extend(std::iter::from_fn(|| reader.next()));
    }
    reader.close();
    items.extend(std::iter::from_fn(|| reader.next()));
    let mut expected = Vec::new();
    while let Ok(message) = fs::read(dir.join(format!("mbox.rlug-{}", expected.len()))) {
        expected.push(message);
    }
    assert_eq!((items.len(), expected.len()), (5, 5));
    let mut passed = 0;
    for (item, expected) in items.iter().zip(&expected) {
        let from = item.from.as_ref().unwrap();
        assert_eq!(from.sender(), b"news@gmane.org");
        assert_eq!(from.date().unwrap().unix(), 1_046_748_800);
        assert_eq!(item.raw, expected[..]);
        assert_eq!([&item.message[..], b"\n"].concat(), expected[..]);
        passed += 1;
    }
    println!("conformance mbox-mime4j {passed}/{}", expected.len());
}
