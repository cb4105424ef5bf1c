//! SPF from text: three includes, an "a" and an "mx", answered by a zone in memory.

use facteur::auth::spf::{Evaluation, Identity, Outcome, Record};
use facteur::dns::{Answer, Ask, Inquiry, Zone};

fn main() {
    divan::main();
}

const RECORD: &str =
    "v=spf1 include:_spf.a.example include:_spf.b.example include:_spf.c.example a:mail.example.org mx -all";

fn zone() -> Zone {
    format!(
        "
         example.org TXT \"{RECORD}\"
         _spf.a.example TXT \"v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all\"
         _spf.b.example TXT \"v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all\"
         _spf.c.example TXT \"v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/25 ip6:2001:db8:1::/48 ~all\"
         mail.example.org A 192.0.2.9
         example.org MX 10 mx.example.org
         mx.example.org A 192.0.2.1
        "
    )
    .parse()
    .expect("a zone")
}

/// The answers that the evaluation needs, in its order.
fn answers() -> Vec<Answer> {
    let (zone, mut evaluation, mut answers) = (zone(), evaluation(), Vec::new());
    while let Ask::Question(question) = evaluation.poll() {
        let answer = zone.answer(&question);
        evaluation.answer(&answer);
        answers.push(answer);
    }
    answers
}

fn evaluation() -> Evaluation {
    Evaluation::new([192, 0, 2, 1].into(), "mx.example.org", "ada@example.org", Identity::MailFrom)
}

/// The evaluation alone: what a DNS cache costs is not in it.
#[divan::bench]
fn evaluate_from_text(bencher: divan::Bencher<'_, '_>) {
    let answers = answers();
    bencher.bench(|| {
        let mut evaluation = evaluation();
        for answer in &answers {
            let Ask::Question(_) = evaluation.poll() else { panic!("a question") };
            evaluation.answer(answer);
        }
        let Ask::Verdict(verdict) = evaluation.poll() else { panic!("a verdict") };
        assert_eq!(verdict.outcome, Outcome::Pass);
        verdict
    });
}

/// With a zone that looks its names up in a tree.
#[divan::bench]
fn evaluate_over_a_zone(bencher: divan::Bencher<'_, '_>) {
    let zone = zone();
    bencher.bench(|| zone.ask(evaluation()));
}

#[divan::bench]
fn parse_record() -> Record {
    Record::parse(divan::black_box(RECORD)).expect("a record")
}
