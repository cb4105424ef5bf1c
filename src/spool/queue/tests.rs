//! The queue on a real directory. (Crashes are in `crash.rs`, killed processes in `tests/spool_kill.rs`.)

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::address::Address;
use crate::base::Timestamp;
use crate::smtp::{
    Body, ByMode, DeliverBy, Enhanced, Envelope, ForwardPath, Hold, MailParams, Notify, OriginalRecipient, Recipient,
    Reply, Ret, ReversePath, Unsupported, ValidSince,
};
use crate::spool::{Claim, Draft, Entry, Failure, Pending, Queue, QueueConfig, QueueId, Spool, SpoolError, Submission};

/// A queue in a directory of its own, which goes with it.
struct Temporary {
    queue: Queue,
    path: std::path::PathBuf,
}

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("facteur-queue-{}-{number}", std::process::id()));
        Self { queue: Queue::open(QueueConfig::new(&path)).unwrap(), path }
    }

    fn names(&self) -> Vec<String> {
        names(&self.path)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path.join(name)).unwrap()).into_owned()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

fn at(unix: i64) -> Timestamp {
    Timestamp::from_unix(unix)
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn envelope() -> Envelope {
    Envelope::new(address("ada@a.test").into(), [ForwardPath::from(address("bob@b.test")), ForwardPath::Postmaster])
}

fn store(queue: &Queue, content: &[u8]) -> QueueId {
    let mut draft = queue.begin().unwrap();
    draft.write(content).unwrap();
    draft.commit(Submission::new(envelope(), at(1_172_593_995))).unwrap()
}

#[test]
fn a_message_is_kept_in_sendmails_two_files() {
    let temporary = Temporary::new();
    let mut draft = temporary.queue.begin().unwrap();
    let id = draft.id().clone();
    assert_eq!(id.as_str().len(), 14);
    draft.write(b"Subject: a\r\n\tfolded\r\n\r\nhello\r\n.wor").unwrap();
    draft.write(b"ld\r\n").unwrap();
    let mut submission = Submission::new(envelope(), at(1_172_593_995));
    submission.trace.push("Received: from a.test\r\n\tby mx.test\r\n".into());
    submission.peer = Some("a.test [192.0.2.1]".into());
    submission.protocol = Some("ESMTP".into());
    submission.helo = Some("a.test".into());
    assert_eq!(draft.commit(submission).unwrap(), id);
    assert_eq!(temporary.names(), [format!("df{id}"), format!("qf{id}")]);
    assert_eq!(temporary.text(&format!("df{id}")), "hello\n.world\n");
    // The order of the lines is sendmail's; 60038 is 38 octets and two recipients.
    assert_eq!(
        std::fs::read(temporary.path.join(format!("qf{id}"))).unwrap(),
        b"V8\nT1172593995\nK0\nN0\nP60038\nF\n$_a.test [192.0.2.1]\n$rESMTP\n$sa.test\n\
          ${facteur_content}fields 1 38 13\nS<ada@a.test>\n\
          rRFC822; bob@b.test\nRPFD:<bob@b.test>\nrRFC822; Postmaster\nRPFD:<Postmaster>\n\
          H?P?Return-Path: <\x81g>\nH??Received: from a.test\n\tby mx.test\nH??Subject: a\n\tfolded\n.\n"
    );
    let claim = temporary.queue.claim(&id).unwrap().unwrap();
    assert_eq!(claim.entry().trace, &b"Received: from a.test\r\n\tby mx.test\r\n"[..]);
    assert_eq!(claim.content().unwrap(), &b"Subject: a\r\n\tfolded\r\n\r\nhello\r\n.world\r\n"[..]);
}

#[test]
fn what_does_not_fit_two_files_is_kept_in_one_to_the_octet() {
    let temporary = Temporary::new();
    let big = [&b"A: b\r\n\r\n"[..], &b"line\r\n".repeat(50_000), b"bare\n", &b"more\r\n".repeat(50_000)].concat();
    for content in [&b"no header"[..], b"A: b\r\n", b"A: <\x81g>\r\n\r\n", b"A: b\r\n\r\nbare\n", b"", &big] {
        let mut draft = temporary.queue.begin().unwrap();
        for piece in content.chunks(7000) {
            draft.write(piece).unwrap();
        }
        let id = draft.commit(Submission::new(envelope(), at(0))).unwrap();
        assert_eq!(std::fs::read(temporary.path.join(format!("df{id}"))).unwrap(), content);
        let claim = temporary.queue.claim(&id).unwrap().unwrap();
        assert!(claim.content().unwrap() == content);
        assert_eq!(claim.entry().size, Some(content.len() as u64));
        claim.remove().unwrap();
    }
    assert!(temporary.names().is_empty());
}

#[test]
fn the_reader_gives_the_same_octets() {
    let temporary = Temporary::new();
    let content = [&b"A: b\r\n\r\n"[..], &b"a line\r\n\r\n".repeat(9999), b"no end"].concat();
    let id = store(&temporary.queue, &content);
    let claim = temporary.queue.claim(&id).unwrap().unwrap();
    let mut read = Vec::new();
    claim.reader().unwrap().read_to_end(&mut read).unwrap();
    assert!(read == content);
}

#[test]
fn an_envelope_reads_back_with_all_its_parameters() {
    let temporary = Temporary::new();
    let mut envelope = Envelope::new(address("\"a b\"@δοκιμή.test").into(), []);
    envelope.params.body = Some(Body::EightBitMime);
    envelope.params.smtputf8 = true;
    envelope.params.ret = Some(Ret::Hdrs);
    envelope.params.envid = Some("a+b =c".into());
    envelope.params.auth = Some(ReversePath::Null);
    envelope.params.by = Some(DeliverBy { seconds: -7200, mode: ByMode::Notify, trace: true });
    envelope.params.priority = Some(-3);
    envelope.params.require_tls = true;
    envelope.params.solicit = Some("net.example:ADV".into());
    envelope.params.convert = true;
    envelope.params.submitter = Some(address("\"a b\"@b.test"));
    for (to, notify, orcpt) in [
        ("bob@b.test", None, None),
        ("bob@b.test", Some(Notify::default()), None), // twice the same address
        (
            "bob@[IPv6:2001:db8::1]",
            Some(Notify { success: true, failure: false, delay: true }),
            Some(("rfc822", "B+b@b.test")),
        ),
        ("δοκιμή@b.test", None, Some(("utf-8", "δοκιμή+@b.test"))),
    ] {
        let mut recipient = Recipient::from(ForwardPath::from(address(to)));
        recipient.params.notify = notify;
        recipient.params.orcpt =
            orcpt.map(|(kind, address)| OriginalRecipient { kind: kind.into(), address: address.into() });
        envelope.recipients.push(recipient);
    }
    let since = Timestamp::parse_rfc3339(b"2014-04-03T23:01:00-00:00").unwrap();
    envelope.recipients[1].params.rrvs = Some(ValidSince { since, otherwise: Some(Unsupported::Continue) });
    envelope.recipients[3].params.rrvs = Some(ValidSince { since, otherwise: None });
    envelope.recipients[3].params.conneg = true;
    let id = temporary.queue.store(envelope.clone(), b"A: b\r\n\r\n").unwrap();
    envelope.params.size = Some(8);
    assert_eq!(temporary.queue.entry(&id).unwrap().envelope(), envelope);
    // A second process reads the same.
    assert_eq!(Queue::open(QueueConfig::new(&temporary.path)).unwrap().entry(&id).unwrap().envelope(), envelope);
    // What is each recipient's own stays with him when others are done.
    let mut claim = temporary.queue.claim(&id).unwrap().unwrap();
    let mut entry = claim.entry().clone();
    entry.recipients.remove(0);
    entry.recipients.remove(1);
    claim.update(entry).unwrap();
    envelope.recipients.remove(0);
    envelope.recipients.remove(1);
    assert_eq!(temporary.queue.entry(&id).unwrap().envelope(), envelope);
}

#[test]
fn a_held_message_is_due_when_it_may_go() {
    for (hold, due) in [(Hold::For(60), 60), (Hold::Until(at(3600)), 3600)] {
        let temporary = Temporary::new();
        let mut envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
        envelope.params.hold = Some(hold);
        let draft = temporary.queue.begin().unwrap();
        let id = draft.commit(Submission::new(envelope.clone(), at(0))).unwrap();
        assert_eq!(temporary.queue.entry(&id).unwrap().envelope().params.hold, Some(hold));
        assert!(temporary.queue.due(at(due - 1)).unwrap().is_empty());
        assert_eq!(temporary.queue.due(at(due)).unwrap(), [id]);
    }
}

#[test]
fn parameters_that_would_not_read_back_are_refused() {
    let temporary = Temporary::new();
    for spoil in [
        (|params| params.priority = Some(10)) as fn(&mut MailParams),
        |params| params.solicit = Some("a\nSforged@x.test".into()),
        |params| params.hold = Some(Hold::For(0)),
    ] {
        let mut envelope = Envelope::new(ReversePath::Null, [ForwardPath::Postmaster]);
        spoil(&mut envelope.params);
        assert!(matches!(temporary.queue.store(envelope, b""), Err(SpoolError::Misuse(_))));
    }
    assert!(temporary.queue.list().unwrap().is_empty());
}

#[test]
fn a_change_is_written_and_forges_no_lines() {
    let temporary = Temporary::new();
    let id = store(&temporary.queue, b"A: b\r\n\r\nbody\r\n");
    let mut claim = temporary.queue.claim(&id).unwrap().unwrap();
    let mut entry = claim.entry().clone();
    let reply = Reply::new(450, Enhanced(4, 2, 1), "first\r\nSforged@x.test");
    entry.recipients.remove(0);
    entry.recipients[0].failure = Some(Failure::said_by("mx.b.test\nRPFD:<x@x.test>", &reply));
    entry.recipients.push(Pending::from(Recipient::from(ForwardPath::from(address("new@b.test")))));
    entry.recipients[1].failure = Some(Failure::new(Enhanced(4, 4, 1), ""));
    entry.message = Some("Deferred:\nH??X: y".into());
    entry.warned = true;
    entry.tried(at(5), at(10));
    claim.update(entry).unwrap();
    let changed = claim.entry().clone();
    drop(claim);
    assert_eq!(temporary.queue.entry(&id).unwrap(), changed);
    assert_eq!((changed.tries, changed.priority, changed.warned), (1, 60_014 + 90_000, true));
    assert_eq!((changed.last_try, changed.next_try), (Some(at(5)), Some(at(10))));
    assert_eq!(changed.message.as_deref(), Some("Deferred: H??X: y"));
    let tos: Vec<_> = changed.recipients.iter().map(|pending| pending.recipient.to.to_string()).collect();
    assert_eq!(tos, ["<Postmaster>", "<new@b.test>"]);
    let failure = changed.recipients[0].failure.clone().unwrap();
    assert_eq!(failure.remote.as_deref(), Some("mx.b.test_RPFD:<x@x.test>"));
    assert!(failure.text.starts_with("450 4.2.1 first"), "{failure:?}");
    assert_eq!(changed.recipients[1].failure, Some(Failure::new(Enhanced(4, 4, 1), "")));
    assert_eq!(temporary.names(), [format!("df{id}"), format!("qf{id}")]);
}

#[test]
fn failures_stay_with_their_recipients_in_whatever_order_they_come() {
    let temporary = Temporary::new();
    let all: Vec<_> = (0..20).map(|number| ForwardPath::from(address(&format!("r{number}@b.test")))).collect();
    let id = temporary.queue.store(Envelope::new(ReversePath::Null, all), b"").unwrap();
    let mut claim = temporary.queue.claim(&id).unwrap().unwrap();
    let mut entry = claim.entry().clone();
    entry.recipients.reverse();
    for pending in &mut entry.recipients {
        pending.failure = Some(Failure::new(Enhanced(4, 0, 0), pending.recipient.to.to_string()));
    }
    entry.recipients.truncate(13);
    claim.update(entry).unwrap();
    assert_eq!(claim.entry().recipients.len(), 13);
    for pending in &claim.entry().recipients {
        assert_eq!(pending.failure.as_ref().unwrap().text, pending.recipient.to.to_string());
    }
}

#[test]
fn what_is_on_hold_is_not_due_until_it_is_released() {
    let temporary = Temporary::new();
    let queue = &temporary.queue;
    let id = store(queue, b"A: b\r\n\r\n");
    assert_eq!(queue.due(at(0)).unwrap(), std::slice::from_ref(&id));
    queue.hold(&id, "suspect\nline").unwrap();
    assert_eq!(queue.entry(&id).unwrap().held.as_deref(), Some("suspect line"));
    assert_eq!(temporary.names(), [format!("df{id}"), format!("hf{id}")]);
    assert!(temporary.text(&format!("hf{id}")).contains("\nqsuspect line\nS<ada@a.test>\n"));
    assert!(queue.due(at(i64::MAX)).unwrap().is_empty());
    assert_eq!(queue.list().unwrap(), std::slice::from_ref(&id));
    assert!(queue.mailq_held().unwrap().brief().contains("     QUARANTINE: suspect line\n"));
    assert!(queue.mailq().unwrap().entries.is_empty());
    queue.release(&id).unwrap();
    queue.release(&id).unwrap();
    assert_eq!(temporary.names(), [format!("df{id}"), format!("qf{id}")]);
    assert_eq!(queue.due(at(0)).unwrap(), std::slice::from_ref(&id));
    let claim = queue.claim(&id).unwrap();
    assert!(matches!(queue.hold(&id, "x"), Err(SpoolError::Busy(busy)) if busy == id));
    drop(claim);
    let held = Submission { held: Some("at once".into()), ..Submission::new(envelope(), at(0)) };
    let id = queue.begin().unwrap().commit(held).unwrap();
    assert_eq!(queue.entry(&id).unwrap().held.as_deref(), Some("at once"));
}

#[test]
fn one_entry_is_in_one_pair_of_hands() {
    let temporary = Temporary::new();
    let other = Queue::open(QueueConfig::new(&temporary.path)).unwrap();
    let id = store(&temporary.queue, b"");
    let mut claim = temporary.queue.claim(&id).unwrap().unwrap();
    assert!(temporary.queue.claim(&id).unwrap().is_none());
    assert!(other.claim(&id).unwrap().is_none());
    let entry = claim.entry().clone();
    claim.update(entry).unwrap();
    assert!(other.claim(&id).unwrap().is_none());
    drop(claim);
    other.claim(&id).unwrap().unwrap().remove().unwrap();
    assert!(temporary.queue.claim(&id).unwrap().is_none());
    assert!(matches!(temporary.queue.entry(&id), Err(SpoolError::NoEntry(_))));
}

#[test]
fn time_and_priority_say_what_is_due_first() {
    let temporary = Temporary::new();
    let queue = &temporary.queue;
    let big = store(queue, &[b'x'; 500]);
    let small = store(queue, b"x");
    let later = Submission { not_before: Some(at(100)), ..Submission::new(envelope(), at(0)) };
    let later = queue.begin().unwrap().commit(later).unwrap();
    assert_eq!(queue.due(at(99)).unwrap(), [small.clone(), big.clone()]);
    assert_eq!(queue.due(at(100)).unwrap(), [later, small, big]);
}

#[test]
fn what_was_not_committed_leaves_nothing() {
    let temporary = Temporary::new();
    let queue = &temporary.queue;
    let mut draft = queue.begin().unwrap();
    draft.write(&[b'x'; 200_000]).unwrap();
    assert_eq!(temporary.names().len(), 1);
    assert!(queue.list().unwrap().is_empty());
    drop(draft);
    let nobody = Submission::new(Envelope::new(ReversePath::Null, []), at(0));
    assert!(matches!(queue.begin().unwrap().commit(nobody), Err(SpoolError::Misuse(_))));
    for trace in ["no field", ": x", "A: b\nB: c", "A: b\n\n c", "A: b\r c", "", "A: \0"] {
        let submission = Submission { trace: vec![trace.into()], ..Submission::new(envelope(), at(0)) };
        assert!(matches!(queue.begin().unwrap().commit(submission), Err(SpoolError::Misuse(_))), "{trace:?}");
    }
    assert!(temporary.names().is_empty());
}

#[test]
fn what_is_damaged_is_left_alone_and_delivered_to_nobody() {
    let temporary = Temporary::new();
    let queue = &temporary.queue;
    let write = |name: &str, text: &[u8]| std::fs::write(temporary.path.join(name), text).unwrap();
    let sound = store(queue, b"A: b\r\n\r\nbody\r\n");
    let cut = store(queue, b"A: b\r\n\r\nbody\r\n");
    write(&format!("df{cut}"), b"bod");
    let alone = store(queue, b"A: b\r\n\r\nbody\r\n");
    std::fs::remove_file(temporary.path.join(format!("df{alone}"))).unwrap();
    write("qfgarbage", b"V8\nT1\nS<ada@a.test>\nRPFD:<bob@b.t");
    write("dfgarbage", b"");
    write("qfnobody", b"V8\nT1\nS<ada@a.test>\n.\n");
    write("dfnobody", b"");
    write("README", b"not ours");
    write("dforphan", b"left over");
    write("tforphan", b"left over");
    write(&format!("xf{sound}"), b"left over");
    let mut recovered = queue.recover().unwrap();
    recovered.damaged.sort();
    let mut damaged: Vec<QueueId> = vec![cut, alone, "garbage".parse().unwrap(), "nobody".parse().unwrap()];
    damaged.sort();
    assert_eq!((recovered.removed, &recovered.damaged), (3, &damaged));
    assert_eq!(queue.due(at(i64::MAX)).unwrap(), [sound]);
    for id in &damaged {
        assert!(matches!(queue.entry(id), Err(SpoolError::Damaged { .. })), "{id}");
        assert!(matches!(queue.claim(id), Err(SpoolError::Damaged { .. })), "{id}");
    }
    assert_eq!(temporary.names().len(), 2 + 2 + 1 + 2 + 2 + 1);
}

#[test]
fn an_entry_that_cannot_be_read_does_not_keep_the_others() {
    let temporary = Temporary::new();
    let sound = store(&temporary.queue, b"A: b\r\n\r\nbody\r\n");
    // Whoever runs the tests may be one who reads any file; nobody reads a directory.
    std::fs::create_dir(temporary.path.join("qfunreadable")).unwrap();
    let unreadable: QueueId = "unreadable".parse().unwrap();
    assert!(matches!(temporary.queue.entry(&unreadable), Err(SpoolError::Io(_))));
    assert_eq!(temporary.queue.due(at(i64::MAX)).unwrap(), [sound]);
    assert_eq!(temporary.queue.recover().unwrap().damaged, [unreadable]);
    temporary.queue.mailq().unwrap();
}

#[test]
fn what_servers_say_of_each_recipient_does_not_make_an_entry_too_large_to_be_read() {
    let temporary = Temporary::new();
    let all: Vec<_> = (0..1000).map(|number| ForwardPath::from(address(&format!("r{number}@b.test")))).collect();
    let id = temporary.queue.store(Envelope::new(ReversePath::Null, all), b"").unwrap();
    let mut claim = temporary.queue.claim(&id).unwrap().unwrap();
    let mut entry = claim.entry().clone();
    for pending in &mut entry.recipients {
        // As long as a reply of a client may be; each of its octets that are no UTF-8 has become three.
        pending.failure = Some(Failure::new(Enhanced(4, 0, 0), "\u{fffd}".repeat(16_384)));
    }
    claim.update(entry).unwrap();
    drop(claim);
    let entry = temporary.queue.entry(&id).unwrap();
    assert_eq!(entry.recipients.len(), 1000);
    assert!(entry.recipients[999].failure.as_ref().unwrap().text.starts_with('\u{fffd}'));
}

#[test]
fn an_entry_that_could_not_be_read_again_is_not_written() {
    let temporary = Temporary::new();
    let mut config = QueueConfig::new(&temporary.path);
    config.max_control = 1000;
    let queue = Queue::open(config).unwrap();
    let all: Vec<_> = (0..100).map(|number| ForwardPath::from(address(&format!("r{number}@b.test")))).collect();
    let refused = queue.store(Envelope::new(ReversePath::Null, all), b"");
    assert!(matches!(refused, Err(SpoolError::Misuse(_))), "{refused:?}");
    assert!(temporary.names().is_empty());
    let id = store(&queue, b"");
    let before = queue.entry(&id).unwrap();
    let mut claim = queue.claim(&id).unwrap().unwrap();
    let mut entry = claim.entry().clone();
    entry.recipients[0].failure = Some(Failure::new(Enhanced(4, 0, 0), "no".repeat(500)));
    assert!(matches!(claim.update(entry), Err(SpoolError::Misuse(_))));
    drop(claim);
    assert_eq!(queue.entry(&id).unwrap(), before);
    assert_eq!(temporary.names().len(), 2);
}

#[test]
fn files_that_sendmail_wrote_are_delivered_and_changed_with_care() {
    let temporary = Temporary::new();
    let queue = &temporary.queue;
    let text = b"V8\nT1795290503\nK0\nN0\nP60139\nI254/0/5335372\nFbs\n$_root@localhost\n${daemon_flags}c u\nS<alice@example.org>\n\
        rRFC822; root@mx1.example.net\nRPFD:<root>\nrRFC822; daemon@mx1.example.net\nRPFD:<daemon@mx1.example.net>\n\
        H?P?Return-Path: <\x81g>\nH??Received: from a\n\tby b\nH?D?Date: today\nH??Subject: local\n.\n";
    let id: QueueId = "6ALJmN1W011828".parse().unwrap();
    std::fs::write(temporary.path.join("qf6ALJmN1W011828"), text).unwrap();
    std::fs::write(temporary.path.join("df6ALJmN1W011828"), b"local\n").unwrap();
    let mut claim = queue.claim(&id).unwrap().unwrap();
    assert_eq!(
        claim.content().unwrap(),
        &b"Received: from a\r\n\tby b\r\nDate: today\r\nSubject: local\r\n\r\nlocal\r\n"[..]
    );
    let mut entry = claim.entry().clone();
    assert_eq!((entry.size, &entry.trace[..]), (None, &b""[..]));
    assert_eq!(entry.recipients[0].recipient.to.to_string(), "<root@mx1.example.net>");
    entry.recipients.remove(1);
    entry.tried(at(1), at(2));
    claim.update(entry).unwrap();
    let changed = String::from_utf8_lossy(text)
        .replace("K0\nN0\nP60139", "K1\nN1\nP150139")
        .replace("c u\n", "c u\n${facteur_next}2\n")
        .replace("rRFC822; daemon@mx1.example.net\nRPFD:<daemon@mx1.example.net>\n", "");
    assert_eq!(temporary.text("qf6ALJmN1W011828"), changed);
}

#[test]
fn many_threads_store_at_once() {
    let temporary = Temporary::new();
    let ids = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let queue = temporary.queue.clone();
                scope.spawn(move || {
                    (0..10).map(|number| store(&queue, format!("{thread} {number}").as_bytes())).collect()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| -> Vec<QueueId> { thread.join().unwrap() }).collect::<Vec<_>>()
    });
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(temporary.queue.list().unwrap(), sorted);
    for (number, id) in ids.iter().enumerate() {
        let content = temporary.queue.claim(id).unwrap().unwrap().content().unwrap();
        assert_eq!(content, format!("{} {}", number / 10, number % 10));
    }
}

#[test]
fn what_threads_share_can_be_shared() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Queue>();
    send::<super::QueueDraft>();
    send::<super::QueueClaim>();
    send::<Entry>();
}
