//! Mailboxes at rest: the readers of mbox files, of Maildir names and of the list of UIDs.

use facteur::store::maildir::{FileName, UidList};
use facteur::store::mbox::{Dialect, FromLine, Item, Reader};

/// However a file is cut, its messages are the same, and no octet is in two of them. The first octet chooses the dialect.
pub fn mbox(input: &[u8]) {
    let Some((choice, file)) = input.split_first() else { return };
    let dialects = [Dialect::Mboxrd, Dialect::Mboxo, Dialect::Mboxcl, Dialect::Mboxcl2, Dialect::Mmdf];
    let Some(dialect) = dialects.into_iter().cycle().nth(usize::from(*choice)) else { return };
    let whole = read(dialect, [file]);
    let pieces = usize::from(*choice % 7) * 9 + 1;
    assert_eq!(read(dialect, file.chunks(pieces)), whole);
    let taken: usize = whole.iter().map(|item| item.raw.len()).sum();
    assert!(taken <= file.len());
    assert!(whole.iter().all(|item| item.message.len() <= item.raw.len()));
    for line in file.split(|octet| *octet == b'\n') {
        let Some(from) = FromLine::parse(line) else { continue };
        if from.date().is_some() && std::str::from_utf8(from.sender()).is_ok_and(|sender| !sender.contains(' ')) {
            let written = from.to_string();
            let again = FromLine::parse(written.as_bytes()).map(|again| again.date().map(|date| date.unix()));
            assert_eq!(again, Some(from.date().map(|date| date.unix())), "{written}");
        }
    }
    Dialect::detect(file);
}

fn read<'a>(dialect: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut reader = Reader::new(dialect);
    let mut items = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        items.extend(std::iter::from_fn(|| reader.next()));
    }
    reader.close();
    items.extend(std::iter::from_fn(|| reader.next()));
    items
}

/// A name is written as it was read, and flags put into it are read from it.
pub fn maildir_name(input: &[u8]) {
    let name = FileName::parse(input);
    assert_eq!(name.write(), input);
    let again = name.with_flags(&name.flags());
    assert_eq!((again.flags(), again.base()), (name.flags(), name.base()));
    assert_eq!((again.size(), again.crlf_size()), (name.size(), name.crlf_size()));
    assert!(name.with_flags(&Default::default()).flags().is_empty());
}

/// A list that can be read is written so that it says the same, and its beginning can be read too.
pub fn uid_list(input: &[u8]) {
    let Ok((list, read)) = UidList::parse(input) else { return };
    assert!(read <= input.len());
    let text = list.write();
    let (again, all) = UidList::parse(text.as_bytes()).expect("what was written is read");
    assert_eq!((again.write(), all), (text.clone(), text.len()));
    let (same, whole) = UidList::parse(&input[..read]).expect("whole lines are read");
    assert_eq!((same.write(), whole), (text, read));
}
