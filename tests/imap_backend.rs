//! IMAP over a store in memory: what a client sees of its mailboxes, alone and beside others.

mod imap;

use facteur::store::{Flags, Store as _, memory};
use imap::Session;

fn message(subject: &str) -> String {
    format!("Subject: {subject}\r\n\r\n{subject}\r\n")
}

/// A store whose INBOX holds so many messages with the subjects 1, 2, 3...
fn inbox(count: usize) -> memory::Store {
    let store = memory::Store::new();
    let mut session = Session::login(&store);
    for n in 1..=count {
        assert!(session.append("INBOX", "", &message(&n.to_string())).contains("append OK [APPENDUID 1 "));
    }
    store
}

#[test]
fn select_tells_what_the_rfc_requires() {
    let store = inbox(3);
    let mut session = Session::login(&store);
    assert_eq!(
        session.line("a SELECT inbox"),
        "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen)\n\
         * 3 EXISTS\n\
         * 3 RECENT\n\
         * OK [UIDVALIDITY 1] UIDs are valid\n\
         * OK [UNSEEN 1] the first unseen message\n\
         * OK [PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen \\*)] flags that stay\n\
         * OK [UIDNEXT 4] the next UID\n\
         a OK [READ-WRITE] SELECT completed\n"
    );
    session.line("b STORE 1:2 FLAGS.SILENT (\\Seen $Junk)");
    let answer = Session::login(&store).line("a EXAMINE INBOX");
    assert!(answer.contains("* 0 RECENT\n") && answer.contains("[UNSEEN 3]"), "{answer}");
    assert!(answer.contains("* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen $Junk)"), "{answer}");
    assert!(answer.contains("[PERMANENTFLAGS ()]") && answer.contains("a OK [READ-ONLY]"), "{answer}");
}

#[test]
fn a_select_that_fails_leaves_no_mailbox_selected() {
    let mut session = Session::select(&inbox(1), "INBOX");
    assert!(session.line("a SELECT nowhere").ends_with("a NO [NONEXISTENT] no such mailbox\n"));
    assert!(session.line("b FETCH 1 UID").starts_with("b BAD"));
}

#[test]
fn examine_changes_nothing() {
    let store = inbox(2);
    let mut session = Session::login(&store);
    assert!(session.line("a EXAMINE INBOX").contains("* 2 RECENT"));
    assert_eq!(session.line("b FETCH 1 BODY[TEXT]"), "* 1 FETCH (BODY[TEXT] {3}\n1\n)\nb OK FETCH completed\n");
    assert!(session.line("c STORE 1 +FLAGS (\\Deleted)").starts_with("c NO [NOPERM]"));
    assert!(session.line("d EXPUNGE").starts_with("d NO"));
    assert!(session.line("e MOVE 1 INBOX").starts_with("e NO"));
    assert_eq!(session.line("f CLOSE"), "f OK CLOSE completed\n");
    let answer = Session::login(&store).line("a SELECT INBOX");
    assert!(
        answer.contains("* 2 RECENT") && answer.contains("* 2 EXISTS") && answer.contains("[UNSEEN 1]"),
        "{answer}"
    );
}

#[test]
fn fetch_sets_seen_and_tells_it_once() {
    let mut session = Session::select(&inbox(2), "INBOX");
    assert_eq!(
        session.line("a FETCH 1 (BODY.PEEK[TEXT] FLAGS)"),
        "* 1 FETCH (BODY[TEXT] {3}\n1\n FLAGS (\\Recent))\na OK FETCH completed\n"
    );
    assert_eq!(
        session.line("b UID FETCH 1 BODY[TEXT]<1.5>"),
        "* 1 FETCH (FLAGS (\\Recent \\Seen) BODY[TEXT]<1> {2}\n\n UID 1)\nb OK UID FETCH completed\n"
    );
    assert_eq!(session.line("c FETCH 1 RFC822.TEXT"), "* 1 FETCH (RFC822.TEXT {3}\n1\n)\nc OK FETCH completed\n");
    assert_eq!(
        session.line("d FETCH 2 RFC822.HEADER"),
        "* 2 FETCH (RFC822.HEADER {14}\nSubject: 2\n\n)\nd OK FETCH completed\n"
    );
    assert_eq!(session.line("e SEARCH UNSEEN"), "* SEARCH 2\ne OK SEARCH completed\n");
    assert_eq!(
        session.line("f FETCH 1:2 FAST"),
        "* 1 FETCH (FLAGS (\\Recent \\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 17)\n\
         * 2 FETCH (FLAGS (\\Recent) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 17)\n\
         f OK FETCH completed\n"
    );
}

#[test]
fn numbers_beyond_the_mailbox_are_bad_and_unknown_uids_are_passed_over() {
    let mut session = Session::select(&inbox(2), "INBOX");
    for (command, expected) in [
        ("FETCH 3 UID", "x BAD"),
        ("FETCH 1:3 UID", "x BAD"),
        ("FETCH 1:4294967295 UID", "x BAD"),
        ("STORE 3 FLAGS ()", "x BAD"),
        ("COPY 3 INBOX", "x BAD"),
        ("UID FETCH 3 FLAGS", "x OK UID FETCH completed\n"),
        ("UID STORE 3 FLAGS ()", "x OK"),
        ("UID COPY 3 INBOX", "x OK UID COPY completed\n"),
        ("FETCH 5:* UID", "* 2 FETCH (UID 2)\nx OK"),
        ("UID FETCH 9:* UID", "* 2 FETCH (UID 2)\nx OK"),
        ("UID FETCH 1:4294967295 UID", "* 1 FETCH (UID 1)\n* 2 FETCH (UID 2)\nx OK"),
    ] {
        let answer = session.line(&format!("x {command}"));
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
    let mut empty = Session::select(&memory::Store::new(), "INBOX");
    assert!(empty.line("a FETCH 1:* UID").starts_with("a OK"));
    assert!(empty.line("b FETCH 1 UID").starts_with("b BAD"));
}

#[test]
fn store_sets_adds_and_removes() {
    let mut session = Session::select(&inbox(3), "INBOX");
    for (command, expected) in [
        ("STORE 1 FLAGS (\\Deleted)", "* 1 FETCH (FLAGS (\\Recent \\Deleted))\nx OK STORE completed\n"),
        (
            "STORE 1 +FLAGS.SILENT (\\Flagged Foo)",
            "* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen Foo)\n\
             * OK [PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen Foo \\*)] flags that stay\n\
             x OK STORE completed\n",
        ),
        ("FETCH 1 FLAGS", "* 1 FETCH (FLAGS (\\Recent \\Deleted \\Flagged Foo))\nx OK FETCH completed\n"),
        (
            "UID STORE 1 -FLAGS \\Deleted foo",
            "* 1 FETCH (FLAGS (\\Recent \\Flagged) UID 1)\nx OK UID STORE completed\n",
        ),
        ("STORE 2:3 FLAGS.SILENT ()", "x OK STORE completed\n"),
    ] {
        assert_eq!(session.line(&format!("x {command}")), expected, "{command}");
    }
}

#[test]
fn copy_preserves_flags_and_dates_and_tells_uids() {
    let store = inbox(3);
    let mut session = Session::select(&store, "INBOX");
    session.line("a STORE 2 FLAGS (\\Flagged)");
    assert_eq!(session.line("b COPY 1:2 archive"), "b NO [TRYCREATE] no such mailbox\n");
    assert!(session.line("c CREATE archive").starts_with("c OK"));
    assert_eq!(session.line("d COPY 1,3:2 archive"), "d OK [COPYUID 2 1:3 1:3] COPY completed\n");
    assert_eq!(
        session.line("e STATUS archive (MESSAGES RECENT UNSEEN)"),
        "* STATUS archive (MESSAGES 3 RECENT 3 UNSEEN 3)\ne OK STATUS completed\n"
    );
    // To itself: the copies are told.
    assert_eq!(session.line("f UID COPY 2 INBOX"), "* 4 EXISTS\n* 4 RECENT\nf OK [COPYUID 1 2 4] UID COPY completed\n");
    let mut archive = Session::select(&store, "archive");
    assert_eq!(
        archive.line("a FETCH 2 FAST"),
        "* 2 FETCH (FLAGS (\\Recent \\Flagged) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 17)\na OK FETCH completed\n"
    );
}

#[test]
fn move_tells_uids_before_the_messages_go() {
    let store = inbox(4);
    let mut session = Session::select(&store, "INBOX");
    session.line("a CREATE archive");
    assert_eq!(
        session.line("b MOVE 2:3 archive"),
        "* OK [COPYUID 2 2:3 1:2] moved\n* 2 EXPUNGE\n* 2 EXPUNGE\n* 2 RECENT\nb OK MOVE completed\n"
    );
    assert_eq!(session.line("c UID MOVE 9 archive"), "c OK UID MOVE completed\n");
    assert_eq!(session.line("d UID SEARCH ALL"), "* SEARCH 1 4\nd OK UID SEARCH completed\n");
    assert_eq!(session.line("e MOVE 1 nowhere"), "e NO [TRYCREATE] no such mailbox\n");
}

#[test]
fn expunge_numbers_move_up_as_they_are_told() {
    // RFC 3501 §6.4.3: messages 3, 4, 7 and 11 had the \Deleted flag set.
    let mut session = Session::select(&inbox(11), "INBOX");
    session.line("a STORE 3,4,7,11 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(
        session.line("A202 EXPUNGE"),
        "* 3 EXPUNGE\n* 3 EXPUNGE\n* 5 EXPUNGE\n* 8 EXPUNGE\n* 7 RECENT\nA202 OK EXPUNGE completed\n"
    );
    session.line("b STORE 1:3 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(
        session.line("c UID EXPUNGE 2,5:6"),
        "* 2 EXPUNGE\n* 2 EXPUNGE\n* 5 RECENT\nc OK UID EXPUNGE completed\n"
    );
    assert_eq!(session.line("d CLOSE"), "d OK CLOSE completed\n");
    assert!(session.line("e SELECT INBOX").contains("* 4 EXISTS"));
}

#[test]
fn another_sessions_expunge_waits_until_numbers_may_change() {
    let store = inbox(4);
    let (mut one, mut two) = (Session::select(&store, "INBOX"), Session::select(&store, "INBOX"));
    one.line("a STORE 2 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(one.line("b EXPUNGE"), "* 2 EXPUNGE\n* 3 RECENT\nb OK EXPUNGE completed\n");
    // The numbers of session two mean what they meant, RFC 2180 §4.1.2.
    assert_eq!(
        two.line("a FETCH 1:4 (UID BODY.PEEK[TEXT]<0.1>)"),
        "* 1 FETCH (UID 1 BODY[TEXT]<0> {1}\n1)\n\
         * 3 FETCH (UID 3 BODY[TEXT]<0> {1}\n3)\n\
         * 4 FETCH (UID 4 BODY[TEXT]<0> {1}\n4)\n\
         a NO [EXPUNGEISSUED] some of the messages are gone\n"
    );
    assert_eq!(
        two.line("b STORE 2:3 +FLAGS (\\Flagged)"),
        "* 3 FETCH (FLAGS (\\Flagged))\nb NO [EXPUNGEISSUED] some of the messages are gone\n"
    );
    assert_eq!(two.line("c SEARCH ALL"), "* SEARCH 1 3 4\nc OK SEARCH completed\n");
    assert!(two.line("d COPY 1:3 INBOX").starts_with("* 2 EXPUNGE\nd NO [EXPUNGEISSUED]"));
    assert_eq!(two.line("e FETCH 3 UID"), "* 3 FETCH (UID 4)\ne OK FETCH completed\n");
    // Nothing was left of the copy.
    assert_eq!(
        one.line("c UID SEARCH ALL"),
        "* SEARCH 1 3 4\n* 2 FETCH (FLAGS (\\Recent \\Flagged) UID 3)\nc OK UID SEARCH completed\n"
    );
}

#[test]
fn a_uid_command_may_tell_expunges() {
    let store = inbox(3);
    let (mut one, mut two) = (Session::select(&store, "INBOX"), Session::select(&store, "INBOX"));
    one.line("a STORE 1 +FLAGS.SILENT (\\Deleted)");
    one.line("b EXPUNGE");
    assert_eq!(
        two.line("a UID STORE 3 +FLAGS (\\Flagged)"),
        "* 3 FETCH (FLAGS (\\Flagged) UID 3)\n* 1 EXPUNGE\na OK UID STORE completed\n"
    );
}

#[test]
fn noop_tells_flags_arrivals_and_expunges_of_others() {
    let store = inbox(3);
    let (mut one, mut two) = (Session::select(&store, "INBOX"), Session::select(&store, "INBOX"));
    assert_eq!(one.line("a NOOP"), "a OK NOOP completed\n");
    two.line("a STORE 1 +FLAGS (\\Deleted)");
    two.line("b STORE 2 +FLAGS (\\Answered)");
    two.line("c EXPUNGE");
    assert!(
        two.append("INBOX", "\\Seen", &message("new")).contains("* 3 EXISTS\n* 1 RECENT\nappend OK [APPENDUID 1 4]")
    );
    assert_eq!(
        one.line("b NOOP"),
        "* 1 EXPUNGE\n* 1 FETCH (FLAGS (\\Recent \\Answered))\n* 3 EXISTS\n* 2 RECENT\nb OK NOOP completed\n"
    );
    assert_eq!(one.line("c CHECK"), "c OK CHECK completed\n");
}

#[test]
fn who_asks_for_nothing_but_search_or_flags_hears_of_new_mail() {
    for command in ["SEARCH UNSEEN", "UID SEARCH UNSEEN", "FETCH 1:* FLAGS", "UID FETCH 1:* (UID FLAGS)"] {
        let store = inbox(1);
        let mut one = Session::select(&store, "INBOX");
        store.deliver("INBOX", message("new").as_bytes(), &Flags::new(), one.now).unwrap();
        let answer = one.line(&format!("a {command}"));
        assert!(answer.contains("* 2 EXISTS\n") && answer.contains("a OK"), "{answer}");
        let answer = one.line(&format!("b {command}"));
        assert!(answer.contains("* SEARCH 1 2\n") || answer.contains("* 2 FETCH"), "{answer}");
    }
}

#[test]
fn idle_tells_what_others_do() {
    let store = inbox(2);
    let (mut one, mut two) = (Session::select(&store, "INBOX"), Session::select(&store, "INBOX"));
    assert_eq!(one.line("a IDLE"), "+ idling\n");
    two.line("a STORE 1 FLAGS (\\Deleted)");
    assert_eq!(one.look(), "* 1 FETCH (FLAGS (\\Recent \\Deleted))\n");
    two.line("b EXPUNGE");
    two.append("INBOX", "", &message("new"));
    assert_eq!(one.look(), "* 1 EXPUNGE\n* 2 EXISTS\n* 1 RECENT\n");
    assert!(one.line("DONE").starts_with("a OK"));
}

#[test]
fn sequence_numbers_stay_true_under_any_interleaving() {
    // Two sessions act at random on one mailbox; each keeps the list that a client would keep.
    let store = inbox(20);
    let mut sessions = [Session::select(&store, "INBOX"), Session::select(&store, "INBOX")];
    let mut known: [Vec<u32>; 2] = [(1..=20).collect(), (1..=20).collect()];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below.max(1) as u64) as usize
    };
    let mut expunges = 0;
    for _ in 0..2000 {
        let who = next(2);
        let count = known[who].len();
        let number = next(count) + 1;
        let command = match next(9) {
            0 | 1 if count > 0 => format!("x STORE {number} +FLAGS (\\Deleted)"),
            2 => "x EXPUNGE".to_owned(),
            3 => "x NOOP".to_owned(),
            4 if count > 0 => format!("x FETCH {number} (UID FLAGS)"),
            5 if count > 0 => format!("x UID STORE {} -FLAGS.SILENT (\\Deleted)", known[who][number - 1]),
            6 if count > 0 => format!("x COPY {number} INBOX"),
            7 if count < 30 => format!("x APPEND INBOX {{{}+}}\r\n{}", message("n").len(), message("n")),
            _ => "x SEARCH ALL".to_owned(),
        };
        let answer = sessions[who].line(&command);
        let numbered = ["FETCH", "STORE", "SEARCH"].iter().any(|word| command[2..].starts_with(word));
        for line in answer.lines() {
            let words: Vec<&str> = line.split([' ', '(', ')']).collect();
            match words[..] {
                ["*", number, "EXPUNGE"] => {
                    assert!(!numbered, "{command}: {answer}");
                    known[who].remove(number.parse::<usize>().unwrap() - 1);
                    expunges += 1;
                }
                ["*", exists, "EXISTS"] => {
                    let exists: usize = exists.parse().unwrap();
                    assert!(exists >= known[who].len(), "{command}: {answer}");
                    known[who].resize(exists, 0);
                    // A client asks for the UIDs of what is new.
                    let last = known[who].iter().rposition(|uid| *uid != 0).map_or(0, |at| at + 1);
                    let uids = sessions[who].line(&format!("y FETCH {}:* UID", last + 1));
                    for line in uids.lines().filter(|line| line.starts_with('*')) {
                        let words: Vec<&str> = line.split([' ', '(', ')']).collect();
                        let number: usize = words[1].parse().unwrap();
                        known[who][number - 1] = words[5].parse().unwrap();
                    }
                }
                ["*", number, "FETCH", _, "UID", uid, ..] => {
                    let (number, uid): (usize, u32) = (number.parse().unwrap(), uid.parse().unwrap());
                    assert_eq!(known[who][number - 1], uid, "{command}: {answer}");
                }
                _ => {}
            }
        }
        assert!(!answer.contains("x BAD"), "{command}: {answer}");
        assert!(known[who].is_sorted() || known[who].contains(&0), "{:?}", known[who]);
    }
    assert!(expunges > 100, "{expunges} expunges were seen");
    // At rest both see the same.
    sessions.iter_mut().for_each(|session| drop(session.line("z NOOP")));
    let all: Vec<String> = sessions.iter_mut().map(|session| session.line("z UID SEARCH ALL")).collect();
    assert_eq!(all[0], all[1]);
}

#[test]
fn a_deleted_mailbox_ends_the_conversation() {
    let store = memory::Store::new();
    let mut one = Session::login(&store);
    one.line("a CREATE box");
    let mut two = Session::select(&store, "box");
    assert!(one.line("b DELETE box").starts_with("b OK"));
    let answer = two.line("a NOOP");
    assert!(answer.contains("a NO [NONEXISTENT]") && answer.contains("* BYE"), "{answer}");
    assert!(two.closed);
}

#[test]
fn mailboxes_are_made_renamed_listed_and_removed() {
    let mut session = Session::login(&memory::Store::new());
    for (command, expected) in [
        ("CREATE INBOX", "x NO [ALREADYEXISTS] "),
        ("CREATE foo/bar/", "x OK"),
        ("CREATE foo/bar", "x NO [ALREADYEXISTS]"),
        ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\"\nx OK"),
        ("LIST \"\" %", "* LIST (\\HasNoChildren) \"/\" INBOX\n* LIST (\\Noselect \\HasChildren) \"/\" foo\nx OK"),
        ("LIST foo/ %", "* LIST (\\HasNoChildren) \"/\" foo/bar\nx OK"),
        ("SUBSCRIBE foo/bar", "x OK"),
        ("SUBSCRIBE nowhere", "x OK"),
        ("LSUB \"\" *", "* LSUB () \"/\" foo/bar\n* LSUB () \"/\" nowhere\nx OK"),
        ("LSUB \"\" %", "* LSUB (\\Noselect) \"/\" foo\n* LSUB () \"/\" nowhere\nx OK"),
        ("UNSUBSCRIBE nowhere", "x OK"),
        ("LSUB \"\" n*", "x OK"),
        ("RENAME foo zap", "x OK"),
        (
            "LIST \"\" *",
            "* LIST (\\HasNoChildren) \"/\" INBOX\n* LIST (\\Noselect \\HasChildren) \"/\" zap\n* LIST (\\HasNoChildren) \"/\" zap/bar\nx OK",
        ),
        ("RENAME nowhere x", "x NO [NONEXISTENT]"),
        ("RENAME zap/bar INBOX", "x NO"),
        ("DELETE INBOX", "x NO [CANNOT]"),
        ("DELETE nowhere", "x NO [NONEXISTENT]"),
        ("DELETE zap/bar", "x OK"),
        ("LIST \"\" z*", "x OK"),
        ("STATUS nowhere (MESSAGES)", "x NO [NONEXISTENT]"),
        ("APPEND nowhere {3+}\r\na:b", "x NO [TRYCREATE]"),
        ("NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL\nx OK"),
    ] {
        let answer = session.line(&format!("x {command}"));
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
}

#[test]
fn search_refuses_unknown_charsets() {
    let mut session = Session::select(&inbox(1), "INBOX");
    for (command, expected) in [
        ("SEARCH CHARSET ISO-8859-1 TEXT x", "x NO [BADCHARSET (US-ASCII UTF-8)]"),
        ("SEARCH CHARSET us-ascii SUBJECT 1", "* SEARCH 1\nx OK"),
        ("SEARCH CHARSET UTF-8 TEXT {2+}\r\né", "* SEARCH\nx OK"),
        ("SEARCH SUBJECT 2", "* SEARCH\nx OK"),
        ("UID SEARCH UID 1:* BODY 1", "* SEARCH 1\nx OK"),
    ] {
        let answer = session.line(&format!("x {command}"));
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
}

#[test]
fn long_answers_come_in_steps() {
    let store = inbox(3000);
    let mut session = Session::select(&store, "INBOX");
    let answer = session.line("a FETCH 1:* (FLAGS UID)");
    assert_eq!(answer.lines().count(), 3001);
    session.line("b STORE 1:* FLAGS.SILENT (\\Deleted)");
    assert_eq!(session.line("c EXPUNGE").lines().filter(|line| *line == "* 1 EXPUNGE").count(), 3000);
    assert!(session.most_backlog < 64 * 1024, "{} octets waited", session.most_backlog);
    // In IDLE, too.
    let mut other = Session::login(&store);
    for n in 0..1000 {
        other.append("INBOX", "\\Deleted", &message(&n.to_string()));
    }
    session.line("d NOOP");
    other.line("e SELECT INBOX");
    other.line("f CLOSE");
    assert_eq!(session.line("g IDLE").lines().filter(|line| *line == "* 1 EXPUNGE").count(), 1000);
    assert!(session.most_backlog < 64 * 1024, "{} octets waited", session.most_backlog);
}

#[test]
fn a_mailbox_takes_so_many_keywords_and_no_more() {
    let store = inbox(2);
    let mut session = Session::select(&store, "INBOX");
    let words = |from: usize, to: usize| (from..to).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ");
    for n in 0..5 {
        let answer = session.line(&format!("a STORE 1 +FLAGS.SILENT ({})", words(n * 100, n * 100 + 100)));
        assert!(answer.ends_with("a OK STORE completed\n"), "{answer}");
    }
    // RFC 3501 §7.1, PERMANENTFLAGS: without \* no keyword can be made.
    assert!(!session.line("b SELECT INBOX").contains("\\*"));
    let refused = "NO [LIMIT] more than 500 keywords in one mailbox\n";
    assert_eq!(session.line("c STORE 2 +FLAGS (new)"), format!("c {refused}"));
    assert_eq!(session.line("c STORE 2 FLAGS (k1 new)"), format!("c {refused}"));
    assert_eq!(session.append("INBOX", "new", &message("3")), format!("append {refused}"));
    // Those that are there may be used, and what is not there may be taken away.
    assert!(session.line("d STORE 2 +FLAGS (K7)").ends_with("d OK STORE completed\n"));
    assert!(session.line("d STORE 2 -FLAGS (new)").ends_with("d OK STORE completed\n"));
    assert!(session.append("INBOX", "k1 \\Seen", &message("3")).contains("append OK"));
}
