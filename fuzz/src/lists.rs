//! Lists in the DNS, BIMI records, and all checks of a message at once.

use std::sync::Arc;

use facteur::auth::dnsbl::{Evaluation, Found, List, Lists, MAX_QUESTIONS, Origin, Subject, What, hosts};
use facteur::auth::{Arriving, Check, Config, Report, Session, bimi};
use facteur::base::Timestamp;
use facteur::dns::{Ask, Inquiry, Zone};
use facteur::message::Message;
use facteur::smtp::ReversePath;

/// The text before the first empty line, and what stands behind it.
fn halves(input: &[u8]) -> (&str, &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let (text, rest) = input.split_at(end);
    (std::str::from_utf8(text).unwrap_or_default(), rest.get(2..).unwrap_or_default())
}

/// Puts the questions to the zone one by one, as `choose` picks them.
fn ask<I: Inquiry>(zone: &Zone, mut inquiry: I, most: u32, mut choose: impl FnMut(usize) -> usize) -> I::Verdict {
    for _ in 0..=most {
        let mut open = inquiry.open();
        if let Ask::Verdict(verdict) = inquiry.poll() {
            return verdict;
        }
        let question = open.swap_remove(choose(open.len()));
        assert!(!open.contains(&question), "each question once");
        inquiry.answer_to(&question, &zone.answer(&question));
    }
    panic!("more questions than there may be");
}

/// Lines before an empty one: lists as text, or records of a zone; behind it a message. Lists are written as they are read; the
/// hosts of a message are names or addresses in bounds; what the lists say is the same in whatever order they say it.
pub fn dnsbl(input: &[u8]) {
    let (text, raw) = halves(input);
    let mut lists: Vec<List> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for list in &lists {
        assert_eq!(list.to_string().parse::<List>().as_ref().map(ToString::to_string), Ok(list.to_string()));
    }
    lists.truncate(5);
    lists.push(List::uris("bl.test".parse().expect("a name"), 1));
    lists.push(List::trusted("wl.test".parse().expect("a name")));
    let found = hosts(&Message::parse(raw.to_vec()), 20);
    assert!(found.len() <= 20);
    let unique: std::collections::HashSet<&What> = found.iter().collect();
    assert_eq!(unique.len(), found.len());
    let subjects = || {
        let client = Subject::new(Origin::Client, What::Address([192, 0, 2, 99].into()));
        std::iter::once(client).chain(found.iter().map(|what| Subject::new(Origin::Uri, what.clone())))
    };
    let records: String =
        text.lines().filter(|line| Zone::parse(line).is_ok()).map(|line| format!("{line}\n")).collect();
    let zone: Zone = records.parse().unwrap_or_default();
    let evaluation = || Evaluation::new(&Arc::new(Lists::new(lists.clone())), subjects(), Timestamp::from_unix(0));
    let forward = ask(&zone, evaluation(), MAX_QUESTIONS, |_| 0);
    assert_eq!(forward, ask(&zone, evaluation(), MAX_QUESTIONS, |open| open - 1));
    for entry in &forward.entries {
        assert!(entry.weight == 0 || matches!(entry.found, Found::Listed { .. }));
        assert!(!entry.to_string().contains(['\r', '\n']), "one line");
    }
}

/// Any octets as a BIMI record.
pub fn bimi(input: &[u8]) {
    let Some(Ok(record)) = bimi::Record::parse(input) else { return };
    assert_eq!(record.text, input);
    for uri in [&record.location, &record.evidence].into_iter().flatten() {
        assert!(uri.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://")), "{uri}");
        assert!(uri.bytes().all(|octet| octet.is_ascii_graphic()));
    }
}

/// Records of a zone, an empty line, a message: all checks of it end within their bound, and say the same in whatever order the
/// answers come, and where the body comes in pieces behind the header.
pub fn check(input: &[u8]) {
    let (text, raw) = halves(input);
    let Ok(zone) = text.parse::<Zone>() else { return };
    let message = Message::parse(raw.to_vec());
    let sender = ReversePath::Address("ada@example.org".parse().expect("an address"));
    let session = Session::new([192, 0, 2, 1].into(), Some("mail.example.org".parse().expect("a domain")), sender);
    let config = || {
        let mut config = Config::default();
        let lists =
            [List::domains("dl.test".parse().expect("a name"), 1), List::uris("bl.test".parse().expect("a name"), 1)];
        config.lists = Some(Arc::new(Lists::new(lists)));
        config.bimi = true;
        config
    };
    let most = config().max_questions();
    let check = || Check::with(&session, &message, Timestamp::from_unix(1_000_000), &config());
    let forward = ask(&zone, check(), most, |_| 0);
    let mut turn = 0;
    let mixed = ask(&zone, check(), most, |open| {
        turn += 7;
        turn % open
    });
    assert_eq!(forward.header("mx.test").to_string(), mixed.header("mx.test").to_string());
    assert_eq!((&forward.dnsbl, &forward.bimi), (&mixed.dnsbl, &mixed.bimi));

    let body = message.root().raw_body();
    let head = Message::parse(raw.get(..raw.len() - body.len()).unwrap_or_default().to_vec());
    let mut arriving = Arriving::new(&session, &head, Timestamp::from_unix(1_000_000), &config());
    body.chunks(1 + raw.len() % 61).for_each(|piece| arriving.body(piece));
    let came = ask(&zone, arriving.finish(), most, |_| 0);
    let outcomes = |report: &Report| {
        let dkim: Vec<_> = report.dkim.iter().map(|verdict| verdict.outcome).collect();
        let spf = [&report.spf_mail_from, &report.spf_helo].map(|spf| spf.as_ref().map(|verdict| verdict.outcome));
        let bimi = report.bimi.as_ref().map(|verdict| verdict.outcome);
        (dkim, spf, bimi, report.arc.outcome, report.iprev.outcome, report.dmarc.outcome, report.dmarc.disposition)
    };
    assert_eq!(outcomes(&came), outcomes(&forward));
}
