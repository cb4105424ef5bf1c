use super::*;
use crate::smtp::Enhanced;

fn parse(line: &str) -> Result<Command<'_>, CommandError> {
    Command::parse(line.as_bytes(), &Quirks::default())
}

fn written(command: &Command<'_>) -> String {
    let mut text = String::new();
    command.write(&mut text).unwrap();
    text
}

#[test]
fn commands_round_trip() {
    for line in [
        "HELO a.test",
        "EHLO [192.0.2.1]",
        "EHLO [IPv6:2001:db8::1]",
        "LHLO a.test",
        "MAIL FROM:<>",
        "MAIL FROM:<ada@a.test>",
        "MAIL FROM:<\"a b\"@a.test> SIZE=100 BODY=8BITMIME",
        "MAIL FROM:<δοκιμή@παράδειγμα.δοκιμή> SMTPUTF8",
        "RCPT TO:<Postmaster>",
        "RCPT TO:<ada@[192.0.2.1]> NOTIFY=NEVER",
        "RCPT TO:<ada@[x400:c=fr]>",
        "RCPT TO:<postmaster@b.test>",
        "DATA",
        "BDAT 0",
        "BDAT 86 LAST",
        "RSET",
        "NOOP",
        "QUIT",
        "VRFY ada",
        "VRFY ada@b.test SMTPUTF8",
        "VRFY \"Ada L\"",
        "EXPN list",
        "HELP",
        "HELP MAIL",
        "STARTTLS",
        "AUTH PLAIN",
        "AUTH PLAIN =",
        "AUTH SCRAM-SHA-256 biwsbj11c2Vy",
        "BURL imap://harry@gryffindor.test/outbox;uid=25;urlauth=submit+harry:internal:91354a LAST",
        "BURL imap://gryffindor.test/drafts",
        "ETRN a.test",
        "ETRN @a.test",
        "ETRN #uucp",
        "ATRN",
        "ATRN a.test,b.test",
        "XCLIENT NAME=spike.test ADDR=168.100.189.2 LOGIN=ada+2Bx@a.test",
        "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 HELO=[TEMPUNAVAIL] PORT=25 PROTO=ESMTP",
        "XFORWARD NAME=spike.test IDENT=123 SOURCE=REMOTE",
    ] {
        let command = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(written(&command), format!("{line}\r\n"));
    }
}

#[test]
fn plain_paths_are_read_as_any() {
    // What follows two spaces is read the long way.
    for path in
        ["<>", "<a@b>", "<a.b@c-d.test>", "<a@b--c>", "<a@b.>", "<.a@b>", "<a@b..c>", "<@a:b@c>", "<é@é>", "<A@B"]
    {
        for params in ["", "SIZE=1", "NOTIFY=NEVER", "X"] {
            for verb in ["MAIL FROM", "RCPT TO"] {
                let (one, two) = (format!("{verb}:{path} {params}"), format!("{verb}:{path}  {params}"));
                match (parse(&one), parse(&two)) {
                    (Err(CommandError::Syntax(one)), Err(CommandError::Syntax(two))) => {
                        assert_eq!(one.expected, two.expected)
                    }
                    (Err(one), Err(two)) => assert_eq!(one.reply(), two.reply()),
                    (one, two) => assert_eq!(one, two, "{path} {params}"),
                }
            }
        }
    }
}

#[test]
fn case_of_verbs_and_white_space_at_the_end_say_nothing() {
    for (line, same) in [
        ("ehlo a.test", "EHLO a.test"),
        ("mail from:<ada@a.test> size=1", "MAIL FROM:<ada@a.test> SIZE=1"),
        ("RCPT TO:<POSTMASTER>", "RCPT TO:<Postmaster>"),
        ("Quit  \t", "QUIT"),
        ("NOOP with words", "NOOP"),
        ("VRFY ada@b.test ", "VRFY ada@b.test"),
        ("VRFY <ada@b.test>", "VRFY \"<ada@b.test>\""),
        ("auth plain", "AUTH PLAIN"),
        ("MAIL FROM:<a@b>  SIZE=1  BODY=7BIT", "MAIL FROM:<a@b> SIZE=1 BODY=7BIT"),
        ("EHLO a.test.", "EHLO a.test"),
    ] {
        assert_eq!(parse(line).map(|command| written(&command)).as_deref(), Ok(&*format!("{same}\r\n")), "{line}");
    }
}

#[test]
fn malformed_commands_are_errors_with_their_place() {
    for (line, at) in [
        ("HELO", 5),
        ("EHLO", 5),
        ("EHLO two words", 8),
        ("EHLO [192.0.2", 5),
        ("MAIL", 5),
        ("MAIL FROM", 5),
        ("MAIL TO:<a@b>", 5),
        ("MAIL FROM: <a@b>", 10),
        ("MAIL FROM:a@b", 10),
        ("MAIL FROM:<a@b", 14),
        ("MAIL FROM:<a>", 12),
        ("MAIL FROM:<Postmaster>", 21),
        ("MAIL FROM:<a@b>SIZE=1", 15),
        ("MAIL FROM:<a@b> SIZE=x", 16),
        ("MAIL FROM:<@a.test>", 18),
        ("RCPT TO:<>", 9),
        ("RCPT TO:<ada>", 12),
        ("RCPT TO:<a@b\0>", 12),
        ("DATA now", 5),
        ("RSET x", 5),
        ("QUIT x", 5),
        ("STARTTLS x", 9),
        ("BDAT", 5),
        ("BDAT x", 5),
        ("BDAT 99999999999999999999", 5),
        ("BDAT 1 FIRST", 7),
        ("VRFY", 5),
        ("VRFY a\x07", 5),
        ("AUTH", 5),
        ("AUTH a/b", 5),
        ("AUTH PLAIN !", 11),
        ("BURL", 5),
        ("BURL outbox", 5),
        ("BURL imap://a/<b>", 5),
        ("BURL imap://a/b FIRST", 16),
        ("ETRN", 5),
        ("ETRN a b", 6),
        ("ETRN #", 6),
        ("ETRN &a.test", 5),
        ("ATRN a.test,", 12),
        ("ATRN a.test, b.test", 12),
        ("XCLIENT", 8),
        ("XCLIENT NAME", 8),
        ("XCLIENT NAME=", 8),
        ("XCLIENT COLOUR=red", 8),
        ("XCLIENT NAME=a NAME=b", 15),
        ("XCLIENT ADDR=a.test", 8),
        ("XFORWARD PORT=65536", 9),
        ("XFORWARD NAME=a+0", 9),
    ] {
        match parse(line) {
            Err(CommandError::Syntax(error) | CommandError::Sender(error) | CommandError::Recipient(error)) => {
                assert_eq!(error.at, at, "{line}: {error}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    for line in ["", " ", "FOO", "EHLOO a.test", "\u{16}\u{3}\u{1}", "AVERYLONGVERB x", "MAIL\tFROM:<a@b>", "RSET\r"] {
        assert_eq!(parse(line), Err(CommandError::Verb), "{line:?}");
    }
    assert_eq!(parse("MAIL FROM:<a@b> SIZE=1 XYZ=2"), Err(CommandError::Parameter { at: 23 }));
}

#[test]
fn what_is_no_address_is_told_apart() {
    for (line, status) in [
        ("MAIL", Enhanced(5, 5, 4)),
        ("MAIL TO:<a@b>", Enhanced(5, 5, 4)),
        ("MAIL FROM:", Enhanced(5, 1, 7)),
        ("MAIL FROM:<a", Enhanced(5, 1, 7)),
        ("MAIL FROM:<a@b>x", Enhanced(5, 1, 7)),
        ("MAIL FROM:<a@b> SIZE=x", Enhanced(5, 5, 4)),
        ("RCPT FROM:<a@b>", Enhanced(5, 5, 4)),
        ("RCPT TO:<>", Enhanced(5, 1, 3)),
        ("RCPT TO:<a@b> NOTIFY=x", Enhanced(5, 5, 4)),
    ] {
        let reply = parse(line).unwrap_err().reply();
        assert_eq!((reply.code(), reply.enhanced()), (501, Some(status)), "{line}");
    }
}

#[test]
fn domains_are_no_longer_than_255_octets() {
    for (domain, sound) in [
        ("x".repeat(63), true),
        ("x".repeat(64), false),
        (format!("a.{}.b", "x".repeat(64)), false),
        ("xn--l8jegik.test".into(), true),
        ("XN--L8JEGIK.test".into(), true),
        ("xn---".into(), false),
        ("a.xn--123456.test".into(), false),
    ] {
        assert_eq!(parse(&format!("MAIL FROM:<a@{domain}>")).is_ok(), sound, "{domain}");
    }
    let domain = |len: usize| "a.".repeat(len / 2) + &"a".repeat(len % 2);
    for template in ["HELO X", "EHLO X", "MAIL FROM:<a@X>", "RCPT TO:<a@X>"] {
        assert!(parse(&template.replace('X', &domain(255))).is_ok(), "{template}");
        assert!(parse(&template.replace('X', &domain(257))).is_err(), "{template}");
    }
    assert!(parse(&format!("MAIL FROM:<{}@a.test>", "a".repeat(100))).is_ok());
}

#[test]
fn quirks_let_pass_what_they_say() {
    let mut quirks = Quirks::common();
    quirks.helo_without_name = true;
    for (line, same) in [
        ("MAIL FROM: <a@b>", "MAIL FROM:<a@b>"),
        ("MAIL FROM:a@b SIZE=1", "MAIL FROM:<a@b> SIZE=1"),
        ("RCPT TO:  a@b", "RCPT TO:<a@b>"),
        ("RCPT TO: Postmaster", "RCPT TO:<Postmaster>"),
        ("HELO", "HELO"),
    ] {
        let command = Command::parse(line.as_bytes(), &quirks);
        assert_eq!(command.map(|command| written(&command)).as_deref(), Ok(&*format!("{same}\r\n")), "{line}");
    }
    for line in ["MAIL FROM:", "MAIL FROM: SIZE=1", "RCPT TO: a", "RCPT TO:postmasterx", "EHLO"] {
        assert!(Command::parse(line.as_bytes(), &quirks).is_err(), "{line}");
    }
}

#[test]
fn nothing_in_a_command_makes_a_second_line() {
    let command = Command::Ehlo(BorrowedDomain::Name("a.test\r\nMAIL FROM:<>"));
    assert_eq!(written(&command), "EHLO a.test??MAIL FROM:<>\r\n");
}
