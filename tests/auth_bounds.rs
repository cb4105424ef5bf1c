//! How many questions one message can cause: a DNS that answers each question with what leads to the most others, and a message
//! that asks for all that it can.

use std::sync::Arc;

use facteur::auth::dnsbl::{List, Lists};
use facteur::auth::{self, Check, Config, Session};
use facteur::base::Timestamp;
use facteur::dns::{Answer, Ask, Data, Inquiry, Name, Question, RecordType};
use facteur::message::Message;
use facteur::smtp::ReversePath;

/// Whatever is asked, the answer leads on: SPF with more terms than allowed, MX with more hosts, addresses that have nothing to
/// do with the client, names of addresses without end, DMARC records nowhere.
fn hostile(question: &Question) -> Answer {
    let name = |text: String| text.parse::<Name>().unwrap();
    let own = question.name.as_str();
    let end = own.get(own.len().saturating_sub(100)..).unwrap_or(own).trim_start_matches('.');
    let found = match question.kind {
        RecordType::A if own.ends_with("list.test") => vec![Data::A([127, 0, 0, 2].into())],
        RecordType::A => vec![Data::A([203, 0, 113, 1].into())],
        RecordType::Aaaa => vec![Data::Aaaa("2001:db8::1".parse().unwrap())],
        RecordType::Mx => (0..10).map(|n| Data::Mx { preference: n, exchange: name(format!("mx{n}.{end}")) }).collect(),
        RecordType::Ptr => (0..50).map(|n| Data::Ptr(name(format!("ptr{n}.x.test")))).collect(),
        RecordType::Txt if own.starts_with("_dmarc") || own.contains("_bimi") => {
            return Err(facteur::dns::Failure::NoData).into();
        }
        RecordType::Txt if own.contains("_domainkey") => vec![Data::Txt("v=DKIM1; p=AAAA".into())],
        // Ten terms that ask are allowed, and each "mx" asks for ten hosts.
        RecordType::Txt => vec![Data::Txt("v=spf1 mx mx mx mx mx mx mx mx mx ptr exp=%{p}.e.test -all".into())],
        _ => return Err(facteur::dns::Failure::NoData).into(),
    };
    Answer::from(Ok(found))
}

#[test]
fn the_worst_message_asks_no_more_than_is_documented() {
    let mut header = String::new();
    for n in 0..1000 {
        header +=
            &format!("DKIM-Signature: v=1; a=rsa-sha256; d=d{n}.a.b.c.d.e.f.g.test; s=s; h=from; bh=AAAA; b=AAAA\r\n");
        header += &format!("ARC-Seal: i={n}; a=rsa-sha256; d=s{n}.test; s=s; cv=none; b=AAAA\r\n");
        header += &format!("ARC-Message-Signature: i={n}; a=rsa-sha256; d=m{n}.test; s=s; h=from; bh=AAAA; b=AAAA\r\n");
        header += &format!("ARC-Authentication-Results: i={n}; x.test; none\r\n");
        header +=
            &format!("Received: from x ([198.51.{}.{}]) by y; Thu, 1 Jan 1970 00:00:00 +0000\r\n", n / 200, n % 200);
    }
    let uris: String = (0..1000).map(|n| format!("http://a.b.c.h{n}.test/ ")).collect();
    let text = format!("{header}From: ada@author.a.b.c.d.e.f.g.test\r\n\r\n{uris}\r\n");
    let message = Message::parse(text);
    let sender = ReversePath::Address("ada@sender.test".parse().unwrap());
    let session = Session::new([192, 0, 2, 1].into(), Some("mail.helo.test".parse().unwrap()), sender);
    let mut config = Config::default();
    let lists = (0..50).map(|n| List::uris(format!("l{n}.list.test").parse().unwrap(), 1));
    config.lists = Some(Arc::new(Lists::new(lists)));
    config.bimi = true;

    let count = |mut check: Check| {
        let mut asked = 0u32;
        loop {
            match check.poll() {
                Ask::Verdict(_) => return asked,
                Ask::Question(question) => check.answer(&hostile(&question)),
            }
            asked += 1;
            assert!(asked <= config.max_questions(), "{asked}");
        }
    };
    let asked = count(Check::with(&session, &message, Timestamp::from_unix(0), &config));
    // The bound is no fancy: what a hostile sender can reach is a good part of it.
    assert!(asked > config.max_questions() / 2, "{asked} of {}", config.max_questions());
    let plain = count(Check::new(&session, &message, Timestamp::from_unix(0)));
    assert!(plain <= auth::MAX_QUESTIONS, "{plain}");
    println!(
        "{asked} of {} questions with lists and BIMI, {plain} of {} without",
        config.max_questions(),
        auth::MAX_QUESTIONS
    );
}
