use bytes::Bytes;

use super::*;

#[test]
fn chunks_carry_what_data_carries() {
    for (text, expected) in [
        ("", ""),
        ("a", "a\r\n"),
        ("a\r\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"),
        ("a\nb\rc\r\r\n\n", "a\r\nb\r\nc\r\n\r\n\r\n"),
        ("\n", "\r\n"),
        ("\r", "\r\n"),
        ("\n\r", "\r\n\r\n"),
    ] {
        let text = Bytes::from(text);
        assert_eq!(canonical(&text), expected, "{text:?}");
        let (mut wire, mut writer) = (Wire::new(), DataWriter::default());
        writer.write(&text, &mut wire);
        writer.finish(&mut wire);
        let mut sent = Vec::new();
        while !wire.outgoing().is_empty() {
            let n = wire.outgoing().len();
            sent.extend_from_slice(wire.outgoing());
            wire.sent(n);
        }
        let mut back = Wire::new();
        back.feed(&sent);
        let mut read = Vec::new();
        let mut reader = DataReader::default();
        while let Data::Chunk(chunk) = reader.read(&mut back) {
            read.extend_from_slice(chunk);
        }
        assert_eq!(read, expected.as_bytes(), "{text:?}");
    }
    let text = Bytes::from("a\r\n");
    assert_eq!(canonical(&text).as_ptr(), text.as_ptr(), "shared where it can be");
}

/// What a reader makes of `input` fed in pieces of `cut` octets: the text, the fault, and what is left unread.
fn read(reader: &DataReader, input: &[u8], cut: usize) -> Option<(Vec<u8>, Option<DataFault>, Vec<u8>)> {
    let mut reader = reader.clone();
    let mut wire = Wire::new();
    let mut text = Vec::new();
    let mut pieces = input.chunks(cut);
    loop {
        match reader.read(&mut wire) {
            Data::Chunk(chunk) => {
                assert!(!chunk.is_empty());
                text.extend_from_slice(chunk);
            }
            Data::End => {
                let left = [wire.unread(), &pieces.collect::<Vec<_>>().concat()].concat();
                assert_eq!(reader.size(), text.len() as u64);
                return Some((text, reader.fault(), left));
            }
            Data::NeedInput => wire.feed(pieces.next()?),
        }
    }
}

/// The same by what is kept in the wire.
fn keep(reader: &DataReader, input: &[u8], cut: usize) -> Option<(Vec<u8>, Option<DataFault>, Vec<u8>)> {
    let (mut reader, mut wire, mut pieces) = (reader.clone(), Wire::new(), input.chunks(cut));
    while !reader.keep(&mut wire) {
        wire.feed(pieces.next()?);
    }
    let text = wire.take_kept().to_vec();
    Some((text, reader.fault(), [wire.unread(), &pieces.collect::<Vec<_>>().concat()].concat()))
}

fn check(reader: &DataReader, input: &[u8], expected: Option<(&[u8], Option<DataFault>)>) {
    for cut in [1, 2, 3, 5, 64, 1000] {
        let came = read(reader, input, cut);
        assert_eq!(keep(reader, input, cut), came, "{} cut by {cut}", input.escape_ascii());
        let came = came.as_ref().map(|(text, fault, left)| {
            assert!(left.is_empty() || left == b"QUIT\r\n", "{}", left.escape_ascii());
            (&text[..], *fault)
        });
        assert_eq!(came, expected, "{} cut by {cut}", input.escape_ascii());
    }
}

#[test]
fn dots_are_taken_off_and_only_the_true_end_is_the_end() {
    for (input, text) in [
        (&b".\r\n"[..], &b""[..]),
        (b".\r\nQUIT\r\n", b""),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".a\r\n.b\r\n..c\r\n.\r\n", b"a\r\nb\r\n.c\r\n"),
        (b"a.\r\n. \r\n.\r\n", b"a.\r\n \r\n"),
        (b"\r\n\r\n.\r\nQUIT\r\n", b"\r\n\r\n"),
        (b".\0\r\n.\r\n", b"\0\r\n"),
        (b"\0.\r\n.\r\n", b"\0.\r\n"),
    ] {
        check(&DataReader::default(), input, Some((text, None)));
    }
    for input in
        [&b""[..], b".", b".\r", b"a\r\n.\r", b"a\r\n..\r\n", b"a.\r\n", b"a\n.\n", b"\n.\r\n", b".\n", b".\r\r\n"]
    {
        check(&DataReader::default(), input, None);
    }
}

#[test]
fn bare_newlines_are_refused_at_the_true_end() {
    for (input, text) in [
        (&b"a\n.\nMAIL\r\n.\r\nQUIT\r\n"[..], &b"a"[..]),
        (b"a\r.\rMAIL\r\n.\r\n", b"a"),
        (b"a\n.\r\nMAIL\r\n.\r\n", b"a"),
        (b"a\r\n.\nMAIL\r\n.\r\n", b"a\r\n"),
        (b"a\r\n.\rMAIL\r\n.\r\n", b"a\r\n"),
        (b"a\r\n.\r\r\nMAIL\r\n.\r\n", b"a\r\n"),
        (b"\n.\r\nMAIL\r\n.\r\n", b""),
    ] {
        check(&DataReader::default(), input, Some((text, Some(DataFault::BareNewline))));
    }
}

#[test]
fn bare_newlines_are_normalised_where_that_is_wanted() {
    let reader = DataReader { bare_newlines: BareNewlines::Normalise, ..DataReader::default() };
    for (input, text) in [
        (&b"a\nb\rc\r\n.\r\nQUIT\r\n"[..], &b"a\r\nb\r\nc\r\n"[..]),
        // No line begins after a LF alone, so the dot is text, and what looks like an end is none.
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n..\r\n.\r\n", b"a\r\n..\r\n"),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\n\r\n"),
    ] {
        check(&reader, input, Some((text, None)));
    }
}

#[test]
fn limits_cut_at_the_same_octet_however_the_input_is_cut() {
    let reader = DataReader { max_size: Some(4), ..DataReader::default() };
    check(&reader, b"ab\r\n.\r\n", Some((b"ab\r\n", None)));
    check(&reader, b"abc\r\n.\r\nQUIT\r\n", Some((b"abc\r", Some(DataFault::TooLarge))));
    check(&reader, b"ab\r\n..\r\n.\r\n", Some((b"ab\r\n", Some(DataFault::TooLarge))));
    let reader = DataReader { max_line: Some(4), ..DataReader::default() };
    check(&reader, b"ab\r\nab\r\n..ab\r\n.\r\n", Some((b"ab\r\nab\r\n.ab\r", Some(DataFault::LineTooLong))));
    check(&reader, b"ab\r\n.ab\r\n.\r\n", Some((b"ab\r\nab\r\n", None)));
    check(&reader, b"ab\r\nabcdefgh\nMAIL\r\n.\r\n", Some((b"ab\r\nabcd", Some(DataFault::LineTooLong))));
}

#[test]
fn the_fast_search_finds_what_the_slow_one_finds() {
    let slow = |text: &[u8]| {
        let mut at = 0;
        loop {
            match text.get(at..).unwrap_or_default() {
                [] | [b'\r'] => return at,
                [b'\r', b'\n', b'.', ..] => return at + 2,
                [b'\r', b'\n', ..] => at += 2,
                [b'\r' | b'\n', ..] => return at,
                _ => at += 1,
            }
        }
    };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let len = next(600);
        let special = 2 + next(300);
        let text: Vec<u8> = (0..len)
            .flat_map(|_| match next(special) {
                0 => b"\r\n".to_vec(),
                1 => vec![*b"\r\n.".get(next(3) as usize).unwrap()],
                _ => vec![b'x'],
            })
            .collect();
        if text.first() != Some(&b'\n') {
            assert_eq!(plain(&text), slow(&text), "{}", text.escape_ascii());
        }
    }
}

#[test]
fn what_is_written_is_strict_however_it_is_cut() {
    for (content, expected) in [
        (&b""[..], &b".\r\n"[..]),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nMAIL\r\n", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\n.\nb\r.\r", b"a\r\n..\r\nb\r\n..\r\n.\r\n"),
        (b"\r\r\n\n.", b"\r\n\r\n\r\n..\r\n.\r\n"),
        (b"..a.b\r\n", b"...a.b\r\n.\r\n"),
    ] {
        for cut in 1..=content.len().max(1) {
            let mut wire = Wire::new();
            let mut writer = DataWriter::default();
            for piece in content.chunks(cut) {
                writer.write(&Bytes::copy_from_slice(piece), &mut wire);
            }
            writer.finish(&mut wire);
            assert_eq!(outgoing(&mut wire).escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
    }
    let long = Bytes::from([&[b'x'; 2000][..], b"\r\n.", &[b'y'; 2000], b"\r\n"].concat());
    let (mut wire, mut writer) = (Wire::new(), DataWriter::default());
    writer.write(&long, &mut wire);
    writer.finish(&mut wire);
    let sent = outgoing(&mut wire);
    check(&DataReader::default(), &sent, Some((&long, None)));
}

/// What a reader makes of chunks of these texts, fed in pieces of `cut` octets.
fn read_chunks(reader: &DataReader, chunks: &[&[u8]], cut: usize) -> (Vec<u8>, Option<DataFault>) {
    let (mut reader, mut wire, mut text) = (reader.clone(), Wire::new(), Vec::new());
    let (mut keeper, mut kept) = (reader.clone(), Wire::new());
    let input = chunks.concat();
    let mut pieces = input.chunks(cut);
    for (number, octets) in chunks.iter().enumerate() {
        let mut chunk = Chunk { left: octets.len() as u64, last: number + 1 == chunks.len() };
        let mut same = chunk;
        loop {
            match reader.read_chunk(&mut chunk, &mut wire) {
                Data::Chunk(octets) => text.extend_from_slice(octets),
                Data::End => break,
                Data::NeedInput => {
                    assert!(!keeper.keep_chunk(&mut same, &mut kept));
                    let piece = pieces.next().expect("more");
                    wire.feed(piece);
                    kept.feed(piece);
                }
            }
        }
        assert!(keeper.keep_chunk(&mut same, &mut kept));
        assert_eq!((chunk.left, same.left), (0, 0));
    }
    assert!(wire.unread().is_empty() && pieces.next().is_none());
    assert_eq!(reader.size(), text.len() as u64);
    assert_eq!((kept.take_kept(), keeper.fault()), (text.as_slice().into(), reader.fault()));
    (text, reader.fault())
}

#[test]
fn chunks_end_where_their_count_says() {
    let bare = Some(DataFault::BareNewline);
    for (chunks, text, fault) in [
        (&[&b"a\r\n.\r\nb\r\n"[..]][..], &b"a\r\n.\r\nb\r\n"[..], None),
        (&[b""], b"", None),
        (&[b"", b"", b""], b"", None),
        (&[b"a\r", b"\nb\r\n", b""], b"a\r\nb\r\n", None),
        (&[b"a\r", b"", b"\n"], b"a\r\n", None),
        (&[b"..a", b".b\r\n"], b"..a.b\r\n", None),
        (&[b"no end"], b"no end", None),
        (&[b"a\nb"], b"a", bare),
        (&[b"a\rb"], b"a", bare),
        (&[b"a\r", b"b"], b"a", bare),
        (&[b"a\r"], b"a", bare),
        (&[b"a\r", b""], b"a", bare),
        (&[b"\n", b"b\r\n"], b"", bare),
    ] {
        for cut in 1..10 {
            assert_eq!(read_chunks(&DataReader::default(), chunks, cut), (text.to_vec(), fault), "{chunks:?} {cut}");
        }
    }
    let normalise = DataReader { bare_newlines: BareNewlines::Normalise, ..DataReader::default() };
    let binary = DataReader { binary: true, max_line: Some(3), ..DataReader::default() };
    let small = DataReader { max_size: Some(4), ..DataReader::default() };
    let short = DataReader { max_line: Some(4), ..DataReader::default() };
    for (reader, chunks, text, fault) in [
        (&normalise, &[&b"a\r"[..], b"b\n", b"\r", b"\r\n\r"][..], &b"a\r\nb\r\n\r\n\r\n\r\n"[..], None),
        (&binary, &[b"a\nb\r", b"\0\xff.\r\n.\r\n long"], b"a\nb\r\0\xff.\r\n.\r\n long", None),
        (&small, &[b"abc", b"d", b""], b"abcd", None),
        (&small, &[b"abc", b"de", b"fg\n"], b"abcd", Some(DataFault::TooLarge)),
        (&small, &[b"abc\r", b"\n"], b"abc\r", Some(DataFault::TooLarge)),
        (&short, &[b"ab", b"\r\nab\r\nab", b"c\r\n"], b"ab\r\nab\r\nabc\r", Some(DataFault::LineTooLong)),
    ] {
        for cut in 1..10 {
            assert_eq!(read_chunks(reader, chunks, cut), (text.to_vec(), fault), "{chunks:?} {cut}");
        }
    }
    let mut wire = Wire::new();
    wire.feed(b"abcRSET");
    let mut chunk = Chunk { left: 3, last: false };
    assert!(chunk.skip(&mut wire) && wire.unread() == b"RSET");
    let mut endless = Chunk { left: u64::MAX, last: false };
    assert!(!endless.skip(&mut wire) && wire.unread().is_empty() && endless.left == u64::MAX - 4);
}

fn outgoing(wire: &mut Wire) -> Vec<u8> {
    let mut sent = Vec::new();
    while !wire.outgoing().is_empty() {
        sent.extend_from_slice(wire.outgoing());
        wire.sent(wire.outgoing().len());
    }
    sent
}
