//! The same conversations of two sessions over each kind of store: a client cannot tell them apart.

mod imap;

use facteur::store::{Store, maildir, mbox, memory};
use imap::Session;

/// What two sessions hear, UIDVALIDITY left out.
fn heard<S: Store + Clone>(store: &S) -> Vec<String> {
    let mut sessions = [Session::login(store), Session::login(store)];
    let message = |subject: &str| format!("Subject: {subject}\r\nTo: a@b.test\r\n\r\nbody of {subject}\r\n");
    let append = |subject: &str, flags: &str| {
        let message = message(subject);
        format!("APPEND INBOX ({flags}) \"17-Jul-1996 02:44:25 +0000\" {{{}+}}\r\n{message}", message.len())
    };
    let script = [
        (0, append("one", "")),
        (0, append("two", "\\Seen $Junk")),
        (0, append("three", "\\Flagged")),
        (0, "CREATE archive/old".into()),
        (0, "EXAMINE INBOX".into()),
        (0, "SELECT INBOX".into()),
        (1, "SELECT INBOX".into()),
        (1, "STATUS archive/old (MESSAGES RECENT UIDNEXT UNSEEN)".into()),
        (0, "FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)".into()),
        (0, "FETCH 1 BODY[]".into()),
        (1, "NOOP".into()),
        (1, "UID COPY 1,3 archive/old".into()),
        (1, "STORE 2 +FLAGS (\\Deleted)".into()),
        (1, append("four", "")),
        (1, "EXPUNGE".into()),
        (0, "FETCH 2 BODY.PEEK[TEXT]".into()),
        (0, "SEARCH BODY three".into()),
        (0, "NOOP".into()),
        (0, "MOVE 2 archive/old".into()),
        (1, "UID SEARCH ALL".into()),
        (1, "COPY 2 nowhere".into()),
        (1, "NOOP".into()),
        (1, "SELECT archive/old".into()),
        (1, "FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (subject)])".into()),
        (1, "SEARCH KEYWORD $Junk".into()),
        (1, "SUBSCRIBE archive/old".into()),
        (1, "LIST \"\" *".into()),
        (1, "LSUB \"\" %".into()),
        (1, "RENAME archive/old archive/new".into()),
        (1, "STATUS archive/new (MESSAGES UIDNEXT)".into()),
        (0, "RENAME INBOX kept".into()),
        (0, "STATUS kept (MESSAGES)".into()),
        (0, "NOOP".into()),
        (0, "DELETE kept".into()),
        (0, "SELECT kept".into()),
    ];
    let heard = script.iter().map(|(who, command)| {
        let answer = sessions[*who].line(&format!("x {command}"));
        let mut words: Vec<&str> = answer.split(' ').collect();
        // Each store numbers its mailboxes as it likes.
        for at in 1..words.len() {
            if ["[UIDVALIDITY", "[APPENDUID", "[COPYUID"].contains(&words[at - 1]) {
                words[at] = "-";
            }
        }
        format!("{command}: {}", words.join(" "))
    });
    heard.collect()
}

#[test]
fn a_client_cannot_tell_the_stores_apart() {
    let expected = heard(&memory::Store::new());
    assert!(expected.iter().any(|line| line.contains("* 2 EXPUNGE")), "{expected:#?}");
    assert!(!expected.iter().any(|line| line.contains("x BAD")), "{expected:#?}");
    for kind in ["maildir", "mbox"] {
        let dir = std::env::temp_dir().join(format!("facteur-imap-stores-{kind}-{}", std::process::id()));
        let came = match kind {
            "maildir" => heard(&maildir::Store::open(&dir).unwrap()),
            _ => heard(&mbox::Store::open(&dir).unwrap()),
        };
        std::fs::remove_dir_all(&dir).unwrap();
        for (came, expected) in came.iter().zip(&expected) {
            assert_eq!(came, expected, "{kind}");
        }
    }
}
