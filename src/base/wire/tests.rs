use super::*;

#[test]
fn lines_are_the_same_however_they_are_cut() {
    let input = b"EHLO a\r\nbare\nan overlong line\r\n\r\nlast\r\nrest";
    let lines = |pieces: &[&[u8]], in_place: bool| {
        let mut wire = Wire::new();
        let mut lines = Vec::new();
        for piece in pieces {
            wire.feed(piece);
            loop {
                let line = if in_place {
                    wire.read_line(10).map(|line| line.map(|(text, ending)| (text.to_vec(), ending)))
                } else {
                    wire.line(10).map(|line| line.map(|line| (line.text.to_vec(), line.ending)))
                };
                match line {
                    Ok(None) => break,
                    Ok(Some(line)) => lines.push(Ok(line)),
                    Err(error) => lines.push(Err(error)),
                }
            }
        }
        lines
    };
    let expected = vec![
        Ok((b"EHLO a".to_vec(), Ending::CrLf)),
        Ok((b"bare".to_vec(), Ending::BareLf)),
        Err(LineTooLong { max: 10 }),
        Ok((b"".to_vec(), Ending::CrLf)),
        Ok((b"last".to_vec(), Ending::CrLf)),
    ];
    for in_place in [false, true] {
        assert_eq!(lines(&[input], in_place), expected);
        assert_eq!(lines(&input.chunks(1).collect::<Vec<_>>(), in_place), expected);
        assert_eq!(lines(&input.chunks(7).collect::<Vec<_>>(), in_place), expected);
    }
}

#[test]
fn the_limit_counts_the_line_end() {
    let mut wire = Wire::new();
    wire.feed(b"12345678\r\n123456789\r\n");
    assert!(matches!(wire.line(10), Ok(Some(line)) if line.text == "12345678"));
    assert_eq!(wire.line(10), Err(LineTooLong { max: 10 }));
}

#[test]
fn an_endless_line_is_not_kept() {
    let mut wire = Wire::new();
    for _ in 0..1000 {
        wire.feed(&[b'x'; 1000]);
        assert_eq!(wire.line(512), Ok(None));
        assert!(wire.unread().is_empty());
    }
    assert!(wire.is_dropping());
    wire.feed(b"\nNOOP\r\n");
    assert_eq!(wire.line(512), Err(LineTooLong { max: 512 }));
    assert!(matches!(wire.line(512), Ok(Some(line)) if line.text == "NOOP"));
}

#[test]
fn shared_chunks_keep_their_place_among_copied_ones() {
    let mut wire = Wire::new();
    wire.out(b"a");
    wire.out_shared(Bytes::from_static(b"bc"));
    wire.out(b"d");
    assert_eq!(wire.backlog(), 4);
    let mut sent = Vec::new();
    while !wire.outgoing().is_empty() {
        sent.push(wire.outgoing()[0]);
        wire.sent(1);
    }
    assert_eq!(sent, b"abcd");
    assert_eq!(wire.backlog(), 0);
}

#[test]
fn taking_part_of_a_searched_buffer_does_not_lose_the_line() {
    let mut wire = Wire::new();
    wire.feed(b"abcdef");
    assert_eq!(wire.line(100), Ok(None));
    assert_eq!(wire.take(3), "abc");
    wire.feed(b"\r\n");
    assert!(matches!(wire.line(100), Ok(Some(line)) if line.text == "def"));
}

#[test]
fn what_is_kept_stays_together_whatever_is_left_out() {
    // `+` is kept, `-` is not, `!` has two octets put in.
    for plan in ["+++", "-+-+-+", "---++++-+", "+--!+!!-+++", "!!!!!!!!", "+!+!+!--!+", "-!-!-!-!"] {
        for run in [1, 2, 7, 100] {
            for cut in [1, 3, 64, 10_000] {
                let input: Vec<u8> = (0..plan.len() * run).map(|n| b'a' + (n % 26) as u8).collect();
                let (mut wire, mut expected) = (Wire::new(), Vec::new());
                wire.expect(Some(input.len()));
                let mut done = 0;
                for piece in input.chunks(cut) {
                    wire.feed(piece);
                    while !wire.unread().is_empty() {
                        let left = run - done % run;
                        let n = left.min(wire.unread().len());
                        assert_eq!(wire.unread()[..n], input[done..done + n]);
                        match plan.as_bytes()[done / run] {
                            b'+' => {
                                expected.extend_from_slice(&input[done..done + n]);
                                wire.keep(n);
                            }
                            b'-' => wire.skip(n),
                            _ => {
                                expected.extend_from_slice(b"\r\n");
                                wire.skip(n);
                                wire.keep_also(b"\r\n");
                            }
                        }
                        done += n;
                        assert_eq!(wire.kept(), expected, "{plan} {run} {cut}");
                    }
                }
                wire.feed(b"QUIT\r\n");
                assert_eq!(wire.take_kept(), expected);
                assert_eq!((wire.kept(), wire.unread()), (&b""[..], &b"QUIT\r\n"[..]));
            }
        }
    }
}

#[test]
fn a_line_is_read_behind_what_is_kept() {
    let mut wire = Wire::new();
    wire.feed(b"abcNO");
    wire.keep(3);
    assert_eq!(wire.line(100), Ok(None));
    wire.feed(b"OP\r\nQUIT");
    assert!(matches!(wire.line(100), Ok(Some(line)) if line.text == "NOOP"));
    assert_eq!((wire.kept(), wire.unread()), (&b"abc"[..], &b"QUIT"[..]));
    assert_eq!(wire.take_kept(), "abc");
    assert_eq!(wire.take(9), "QUIT");
}

#[test]
fn a_large_buffer_is_given_back_where_little_is_in_it() {
    for (len, most) in [(0, 0), (1, 1024), (1000, 1024), (3000, 8192)] {
        let mut wire = Wire::new();
        wire.spare(8192).put_slice(&vec![b'x'; len]);
        wire.keep(len / 2);
        wire.shrink();
        assert!(wire.input.capacity() <= most, "{len}: {}", wire.input.capacity());
        assert_eq!((wire.kept().len(), wire.unread().len()), (len / 2, len - len / 2));
    }
}

#[test]
fn a_buffer_grows_with_what_came_and_not_with_what_was_announced() {
    let piece = [b'x'; 1000];
    for announced in [0, 50_000, 1_000_000, usize::MAX] {
        let mut wire = Wire::new();
        wire.expect(Some(announced));
        let mut moves = 0;
        for n in 1..=50 {
            let before = wire.kept().as_ptr();
            wire.spare(1000).put_slice(&piece);
            moves += usize::from(wire.kept().as_ptr() != before);
            wire.keep(1000);
            assert!(wire.input.capacity() <= 4 * 1000 * n, "{announced}: {} after {n}", wire.input.capacity());
        }
        assert!(moves <= 7, "{announced}: moved {moves} times");
        if announced == 50_000 {
            assert!(wire.input.capacity() <= 50_000 + 1000, "as announced: {}", wire.input.capacity());
        }
        wire.feed(b"QUIT");
        let text = wire.take_kept();
        assert_eq!(text.len(), 50_000);
        assert!(wire.input.capacity() < 1000, "the large buffer is not held by what follows");
    }
}
