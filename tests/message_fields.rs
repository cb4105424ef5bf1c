//! Trace fields of real mails: those of the suites `mime-ruby-mail`, `mime-php-mime-mail-parser` and `mime-flanker`, and a
//! way through three relays of different makes.

mod suites;

use std::path::PathBuf;

use facteur::message::{Defect, Message};

#[test]
fn a_way_through_three_relays_is_traced() {
    let message = Message::parse(
        "Return-Path: <root@pc.a.test>\r\n\
         Received: from relay.b.test (HELO relay) (192.0.2.9) by c.test with SMTP; 28 Feb 2007 14:42:30 -0000\r\n\
         Received: from mx.a.test (mx.a.test [192.0.2.2]) by relay.b.test (Postfix) with ESMTP id 4D2\r\n\
         \tfor <bob@c.test>; Wed, 28 Feb 2007 15:42:27 +0100 (CET)\r\n\
         Received: (from root@localhost) by mx.a.test (8.13.8/8.13.8/Submit) id l1SEgO;\r\n\
         \tWed, 28 Feb 2007 15:42:24 +0100\r\n\
         MIME-version: 1.0 (by hand)\r\n\r\n",
    );
    let header = message.header();
    let hops: Vec<_> = header.all("received").map(|field| field.received()).collect();
    let from: Vec<_> = hops.iter().filter_map(|hop| Some(hop.from()?.name())).collect();
    assert_eq!(from, ["relay.b.test", "mx.a.test", "root@localhost"]);
    let by: Vec<_> = hops.iter().filter_map(|hop| Some(hop.by()?.name())).collect();
    assert_eq!(by, ["c.test", "relay.b.test", "mx.a.test"]);
    let dates: Vec<_> = hops.iter().filter_map(|hop| Some(hop.date()?.unix())).collect();
    assert_eq!(dates, [1_172_673_750, 1_172_673_747, 1_172_673_744]);
    assert_eq!(hops[0].from().unwrap().helo().as_deref(), Some("relay"));
    assert_eq!(hops[1].from().unwrap().address(), Some([192, 0, 2, 2].into()));
    assert_eq!(header.get("return-path").unwrap().return_path().unwrap().to_string(), "root@pc.a.test");
    assert_eq!(header.get("mime-version").unwrap().mime_version(), Some((1, 0)));
    assert_eq!(message.defects().iter().copied().filter(|defect: &Defect| defect.is_ambiguous()).count(), 0);
}

/// Received fields that do not say who received the message, or when.
const OTHERWISE: &[(&str, &str)] = &[
    ("m0009", "MailEnable wrote no by"),
    ("issue84", "the second line is not folded, so it is no field and what it says is lost"),
    ("outlook-express.eml", "a program wrote a comment and a date"),
];

#[test]
fn received_fields_of_real_mails_say_by_whom_and_when() {
    let (mut total, mut failed) = (0, Vec::new());
    for suite in ["mime-ruby-mail", "mime-php-mime-mail-parser", "mime-flanker"] {
        let Some(root) = folder(suite) else {
            println!("conformance {suite} (received): skipped, not there");
            continue;
        };
        for path in files(root) {
            let message = Message::parse(std::fs::read(&path).unwrap());
            for field in message.header().all("received") {
                total += 1;
                let received = field.received();
                let local = received.comments().any(|comment| comment.starts_with("qmail "));
                if received.date().is_none() || received.by().is_none() && !local {
                    failed.push((
                        path.file_name().unwrap().to_owned(),
                        field.text().into_owned(),
                        format!("{received:?}"),
                    ));
                }
            }
        }
    }
    println!("conformance received fields of three suites {}/{total}", total - failed.len());
    for (name, why) in OTHERWISE {
        println!("  otherwise: {name}: {why}");
    }
    let known = |name: &std::ffi::OsString| OTHERWISE.iter().any(|(known, _)| name == known);
    let unknown: Vec<_> = failed.iter().filter(|(name, ..)| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(
        total == 0 || OTHERWISE.iter().all(|(known, _)| failed.iter().any(|(name, ..)| name == known)),
        "some pass now"
    );
}

fn files(root: PathBuf) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

fn folder(suite: &str) -> Option<PathBuf> {
    suites::find(suite)
}
