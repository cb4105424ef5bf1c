//! Lists in the DNS: the examples of RFC 5782, what answers mean, and lists that do not work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use facteur::auth::dnsbl::{
    Code, Evaluation, Found, Health, Holds, Kind, List, Lists, MAX_QUESTIONS, Origin, Subject, Verdict, What,
};
use facteur::auth::{Check, Config, Session};
use facteur::base::Timestamp;
use facteur::dns::{Ask, Data, Inquiry, Within, Zone};
use facteur::message::Message;
use facteur::smtp::ReversePath;

fn now() -> Timestamp {
    Timestamp::from_unix(1_790_000_000)
}

fn zone(text: &str) -> Zone {
    text.parse().unwrap()
}

fn client(address: &str) -> Subject {
    Subject::new(Origin::Client, What::Address(address.parse().unwrap()))
}

fn domain(origin: Origin, name: &str) -> Subject {
    Subject::new(origin, What::Domain(name.parse().unwrap()))
}

/// Lists that have no test points.
fn untested(lists: impl IntoIterator<Item = List>) -> Arc<Lists> {
    let mut lists = Lists::new(lists);
    lists.test_every = None;
    Arc::new(lists)
}

fn ask(zone: &Zone, lists: &Arc<Lists>, subjects: impl IntoIterator<Item = Subject>) -> Verdict {
    zone.ask(Evaluation::new(lists, subjects, now()))
}

/// §2.1: "99.2.0.192.bad.example.com A 127.0.0.2" with its TXT record.
#[test]
fn an_ipv4_address_is_listed_with_its_reason() {
    let zone = zone(
        "99.2.0.192.bad.example.com A 127.0.0.2\n\
         99.2.0.192.bad.example.com TXT \"Dynamic address, see http://bad.example.com?192.0.2.99\"\n",
    );
    let lists = untested(["bad.example.com*4".parse().unwrap()]);
    for address in ["192.0.2.99", "::ffff:192.0.2.99"] {
        let verdict = ask(&zone, &lists, [client(address)]);
        assert_eq!(verdict.score, 4);
        assert_eq!(
            verdict.entries[0].found,
            Found::Listed {
                codes: vec![[127, 0, 0, 2].into()],
                meanings: vec![],
                reason: Some("Dynamic address, see http://bad.example.com?192.0.2.99".into()),
            }
        );
    }
    let verdict = ask(&zone, &lists, [client("192.0.2.98")]);
    assert_eq!((verdict.score, &verdict.entries[0].found), (0, &Found::NotListed));
}

/// §2.4, with the name that the example has.
#[test]
fn an_ipv6_address_is_listed_by_nibbles() {
    let zone = zone(
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com A 127.0.0.2\n\
         b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com TXT \"Spam received.\"\n",
    );
    let lists = untested(["ugly.example.com".parse().unwrap()]);
    let verdict = ask(&zone, &lists, [client("2001:db8:1:2:3:4:567:89ab")]);
    assert_eq!(verdict.score, 1);
}

/// §3: "invalid.edu.doms.example.net".
#[test]
fn a_domain_is_asked_for_with_those_above_it() {
    let zone = zone("invalid.edu.doms.example.net A 127.0.0.2\n");
    let lists = untested([List::domains("doms.example.net".parse().unwrap(), 2)]);
    for (name, score) in [("invalid.edu", 2), ("mail.invalid.edu", 2), ("a.b.c.d.invalid.edu", 2), ("valid.edu", 0)] {
        assert_eq!(ask(&zone, &lists, [domain(Origin::Sender, name)]).score, score, "{name}");
    }
    let names: Vec<String> = ask(&zone, &lists, [domain(Origin::Sender, "a.b.c.d.invalid.edu")])
        .entries
        .iter()
        .map(|entry| entry.what.to_string())
        .collect();
    assert_eq!(names, ["c.d.invalid.edu", "d.invalid.edu", "invalid.edu"]);
}

/// §2.3: bit masks, and several records.
#[test]
fn sublists_have_weights_of_their_own() {
    let zone = zone(
        "99.2.0.192.bits.x A 127.0.0.6\n\
         99.2.0.192.many.x A 127.0.1.1\n99.2.0.192.many.x A 127.0.1.2\n",
    );
    let code = |filter: &str, weight, meaning: &str| Code::new(filter.parse().unwrap(), weight).meaning(meaning);
    let mut bits = List::addresses("bits.x".parse().unwrap(), 0);
    bits.codes = vec![code("&0.0.0.2", 1, "relay"), code("&0.0.0.4", 2, "malware"), code("&0.0.0.8", 4, "policy")];
    let mut many = List::addresses("many.x".parse().unwrap(), 0);
    many.codes = vec![code("127.0.1.1", 10, "relay"), code("127.0.1.[2..9]", 20, "malware")];
    let verdict = ask(&zone, &untested([bits, many]), [client("192.0.2.99")]);
    assert_eq!(verdict.score, 33);
    let weights: Vec<i32> = verdict.entries.iter().map(|entry| entry.weight).collect();
    assert_eq!(weights, [3, 30]);
    let Found::Listed { meanings, .. } = &verdict.entries[0].found else { panic!() };
    assert_eq!(meanings, &["relay", "malware"]);
}

/// §6: "MUST be able to distinguish among values in lists with sublists".
#[test]
fn a_code_may_count_for_the_client_only() {
    let zone = zone("99.2.0.192.bl.x A 127.0.0.10\n");
    let mut list = List::addresses("bl.x".parse().unwrap(), 0);
    list.about.push(Origin::Relay);
    list.codes = vec![Code::new("127.0.0.10".parse().unwrap(), 3)];
    list.codes[0].about = Some(vec![Origin::Client]);
    let lists = untested([list]);
    let relay = Subject::new(Origin::Relay, What::Address([192, 0, 2, 99].into()));
    assert_eq!(ask(&zone, &lists, [client("192.0.2.99")]).score, 3);
    assert_eq!(ask(&zone, &lists, [client("192.0.2.1"), relay.clone()]).score, 0);
    // The same address in both places is asked for once.
    let verdict = ask(&zone, &lists, [relay, client("192.0.2.99")]);
    assert_eq!((verdict.score, verdict.entries.len()), (3, 1));
}

#[test]
fn reasons_can_stand_in_replies_and_fields() {
    let mut zone = zone("99.2.0.192.wl.x A 127.0.0.2\n");
    zone.insert("99.2.0.192.wl.x".parse().unwrap(), Data::Txt("see\r\n <\u{e9}> \"here\"".into()));
    let mut list: List = "wl.x*-1".parse().unwrap();
    list.reasons = true;
    let verdict = ask(&zone, &untested([list]), [client("192.0.2.99")]);
    let Found::Listed { reason, .. } = &verdict.entries[0].found else { panic!() };
    assert_eq!(reason.as_deref(), Some("see <??> \"here\""));
}

#[test]
fn a_code_counts_once_a_message() {
    let zone = zone("*.bl.x A 127.0.0.2\n");
    let lists = untested([List::uris("bl.x".parse().unwrap(), 5)]);
    let hosts = ["a.example", "b.example", "c.example"].map(|name| domain(Origin::Uri, name));
    let verdict = ask(&zone, &lists, hosts);
    assert_eq!((verdict.score, verdict.listed().count()), (5, 3));
}

#[test]
fn operators_that_refuse_list_nothing() {
    for (answer, found) in [
        ("127.255.255.254", Found::Refused([127, 255, 255, 254].into())),
        ("127.255.255.252", Found::Refused([127, 255, 255, 252].into())),
        ("127.0.0.1", Found::Refused([127, 0, 0, 1].into())),
        // §7: the web server of whoever has the domain now.
        ("203.0.113.80", Found::Outside([203, 0, 113, 80].into())),
    ] {
        let zone = zone(&format!("99.2.0.192.bl.x A {answer}\n"));
        let verdict = ask(&zone, &untested(["bl.x*9".parse().unwrap()]), [client("192.0.2.99")]);
        assert_eq!((verdict.score, &verdict.entries[0].found), (0, &found));
    }
}

const GOOD: &str = "2.0.0.127.bl.x A 127.0.0.2\n99.2.0.192.bl.x A 127.0.0.2\n";

/// §5
#[test]
fn lists_that_fail_their_test_are_put_aside() {
    for (records, health, score) in [
        (GOOD, Some(Health::Good), 7),
        ("*.bl.x A 127.0.0.2\n", Some(Health::ListsEverything), 0),
        ("*.bl.x A 203.0.113.80\n", Some(Health::ListsEverything), 0),
        ("99.2.0.192.bl.x A 127.0.0.2\n", Some(Health::ListsNothing), 0),
        ("*.bl.x A 127.255.255.254\n", Some(Health::Refuses([127, 255, 255, 254].into())), 0),
        // Nothing is known, and what the list says counts.
        ("2.0.0.127.bl.x TIMEOUT\n1.0.0.127.bl.x TIMEOUT\n99.2.0.192.bl.x A 127.0.0.2\n", None, 7),
    ] {
        let lists = Arc::new(Lists::new(["bl.x*7".parse().unwrap()]));
        let verdict = ask(&zone(records), &lists, [client("192.0.2.99")]);
        assert_eq!(verdict.tests.len(), 1, "the test of its IPv4 entries was due");
        assert_eq!((verdict.tests[0].health, verdict.score), (health, score), "{records}");
        let known: Vec<Health> = lists.health().into_iter().map(|(_, _, health)| health).collect();
        assert_eq!(known, Vec::from_iter(health));
    }
}

#[test]
fn a_list_that_was_put_aside_is_asked_again_after_its_next_test() {
    let lists = Arc::new(Lists::new(["bl.x*7".parse().unwrap()]));
    let at = |seconds: i64| Timestamp::from_unix(1_790_000_000 + seconds);
    let questions = |zone: &Zone, now: Timestamp| {
        let mut evaluation = Evaluation::new(&lists, [client("192.0.2.99")], now);
        let mut asked = 0;
        loop {
            match evaluation.poll() {
                Ask::Verdict(verdict) => return (asked, verdict.score),
                Ask::Question(question) => evaluation.answer(&zone.answer(&question)),
            }
            asked += 1;
        }
    };
    let (broken, good) = (zone("*.bl.x A 127.0.0.2\n"), zone(GOOD));
    assert_eq!(questions(&broken, at(0)), (4, 0), "the entry, its reason and two points");
    assert_eq!(lists.health(), [("bl.x".parse().unwrap(), Kind::Ipv4, Health::ListsEverything)]);
    assert_eq!(questions(&good, at(3599)), (0, 0), "it is not asked");
    assert_eq!(questions(&good, at(3600)), (4, 7), "it works again");
    assert_eq!(questions(&good, at(3601)), (2, 7), "and is not tested each time");
}

#[test]
fn each_kind_of_entries_has_its_test_points() {
    let zone = zone(
        "2.0.0.127.l.x A 127.0.0.2\ntest.l.x A 127.0.0.2\n\
         2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.l.x A 127.0.0.2\n",
    );
    let mut list = List::uris("l.x".parse().unwrap(), 1);
    list.holds = Holds::Both;
    let lists = Arc::new(Lists::new([list]));
    let verdict = zone.ask(Evaluation::new(&lists, [], now()));
    let found: Vec<_> = verdict.tests.iter().map(|test| (test.kind, test.health)).collect();
    assert_eq!(found, [Kind::Ipv4, Kind::Ipv6, Kind::Domain].map(|kind| (kind, Some(Health::Good))));
}

#[test]
fn what_has_not_answered_in_time_is_no_answer() {
    let lists = untested(["fast.x*1".parse().unwrap(), "slow.x*2".parse().unwrap(), "late.x*4".parse().unwrap()]);
    let zone = zone("99.2.0.192.fast.x A 127.0.0.2\n99.2.0.192.slow.x A 127.0.0.2\n99.2.0.192.late.x A 127.0.0.2\n");
    let start = Instant::now();
    let evaluation = Evaluation::new(&lists, [client("192.0.2.99")], now());
    let mut evaluation = Within::new(evaluation, Duration::from_secs(5));
    evaluation.tick(start);
    assert_eq!(evaluation.deadline(), Some(start + Duration::from_secs(5)));
    let open = evaluation.open();
    assert_eq!(open.len(), 3, "all lists at once");
    for question in [&open[1], &open[0]] {
        evaluation.answer_to(question, &zone.answer(question));
    }
    evaluation.tick(start + Duration::from_secs(5));
    let Ask::Verdict(verdict) = evaluation.poll() else { panic!("the time is over") };
    assert_eq!(verdict.score, 3);
    assert_eq!(verdict.entries[2].found.to_string(), "dns: timeout");
}

#[test]
fn the_verdict_is_the_same_in_whichever_order_answers_come() {
    let zone = zone(&format!("{GOOD}99.2.0.192.bl.x TXT why\n*.wl.x A 127.0.5.2\nexample.org.dl.x A 127.0.0.2\n"));
    let lists = || {
        let bl = "bl.x*7".parse().unwrap();
        Arc::new(Lists::new([bl, List::trusted("wl.x".parse().unwrap()), List::domains("dl.x".parse().unwrap(), 1)]))
    };
    let subjects =
        || [client("192.0.2.99"), domain(Origin::Helo, "a.example.org"), domain(Origin::Author, "example.org")];
    let expected = ask(&zone, &lists(), subjects());
    for turn in 0..7 {
        let mut evaluation = Evaluation::new(&lists(), subjects(), now());
        loop {
            let mut open = evaluation.open();
            if open.is_empty() {
                break;
            }
            let question = open.swap_remove(turn % open.len());
            evaluation.answer_to(&question, &zone.answer(&question));
        }
        assert_eq!(evaluation.poll(), Ask::Verdict(expected.clone()));
    }
}

#[test]
fn there_is_a_most_number_of_questions() {
    let lists = Lists::new((0..50).map(|n| List::uris(format!("l{n}.x").parse().unwrap(), 1)));
    let subjects = (0..500).map(|n| domain(Origin::Uri, &format!("a.b.c.h{n}.example")));
    let mut evaluation = Evaluation::new(&Arc::new(lists), subjects, now());
    let zone = zone("*.x A 127.0.0.2\n*.x TXT why\n");
    let mut asked = 0;
    while let Ask::Question(question) = evaluation.poll() {
        evaluation.answer(&zone.answer(&question));
        asked += 1;
    }
    assert_eq!(asked, MAX_QUESTIONS);
    let Ask::Verdict(verdict) = evaluation.poll() else { panic!() };
    assert_eq!(verdict.entries.len() + verdict.skipped, 500 * 50 * 3);
}

/// RFC 8904: as part of a check, and in its header field.
#[test]
fn good_lists_are_results_of_a_check() {
    let zone = zone("2.0.0.127.wl.x A 127.0.10.2\n99.2.0.192.wl.x A 127.0.9.2\n99.2.0.192.bl.x A 127.0.0.2\n");
    let mut config = Config::default();
    let lists = ["bl.x*3".parse().unwrap(), List::trusted("wl.x".parse().unwrap()), "none.x*-1".parse().unwrap()];
    config.lists = Some(untested(lists));
    let session = Session::new([192, 0, 2, 99].into(), None, ReversePath::Null);
    let report = zone.ask(Check::with(&session, &Message::parse("From: a@example.org\r\n\r\n"), now(), &config));
    assert_eq!(report.dnsbl.as_ref().map(|verdict| verdict.score), Some(3 - 2));
    let header = report.header("mx.test").to_string();
    assert!(
        header.ends_with("\tdnswl=pass dns.zone=wl.x policy.ip=127.0.9.2;\r\n\tdnswl=none dns.zone=none.x"),
        "{header}"
    );
}

#[test]
fn an_answer_that_no_code_means_counts_nothing() {
    let lists = untested(["bl.x=127.0.0.[2..3]*9".parse().unwrap()]);
    let verdict = ask(&zone("99.2.0.192.bl.x A 127.0.0.4\n"), &lists, [client("192.0.2.99")]);
    assert_eq!((verdict.score, verdict.listed().count()), (0, 1));
}
