//! DMARC by the examples of RFC 9989 (§§4.10, 4.10.2, Appendix B.1 and B.4), and by what records, the DNS and senders do.

use facteur::auth::dmarc::{Evaluation, Identifier, MAX_QUESTIONS, Mechanism, Outcome, Policy, Problem, Verdict};
use facteur::dns::{Ask, Failure, Inquiry, Zone};

fn zone(records: &[(&str, &str)]) -> Zone {
    let lines = records.iter().map(|(name, text)| match *text {
        "TIMEOUT" | "SERVFAIL" => format!("_dmarc.{name} {text}\n"),
        text => format!("_dmarc.{name} TXT \"v=DMARC1; {text}\"\n"),
    });
    lines.collect::<String>().parse().unwrap()
}

fn spf(domain: &str) -> Identifier {
    Identifier::new(Mechanism::Spf, domain.parse().unwrap())
}

fn dkim(domain: &str) -> Identifier {
    Identifier::new(Mechanism::Dkim, domain.parse().unwrap())
}

fn check(zone: &Zone, author: &str, identifiers: &[Identifier]) -> Verdict {
    zone.ask(Evaluation::new(Ok(author.parse().unwrap()), identifiers.to_vec()))
}

fn asked(verdict: &Verdict) -> Vec<&str> {
    verdict.asked.iter().map(|question| question.name.as_str()).collect()
}

fn aligned(verdict: &Verdict) -> Vec<&str> {
    verdict.aligned.iter().map(|identifier| identifier.domain.as_str()).collect()
}

#[test]
fn of_too_many_identifiers_the_author_domain_counts() {
    let zone = zone(&[("example.com", "p=reject")]);
    let mut identifiers: Vec<_> = (0..20).map(|n| dkim(&format!("other{n}.example"))).collect();
    identifiers.push(dkim("example.com"));
    assert_eq!(check(&zone, "example.com", &identifiers).outcome, Outcome::Pass);
}

/// §4.10
#[test]
fn a_long_name_asks_eight_questions() {
    let verdict = check(&Zone::new(), "a.b.c.d.e.f.g.h.i.j.mail.example.com", &[]);
    assert_eq!((verdict.outcome, verdict.problem), (Outcome::None, Some(Problem::NoRecord)));
    assert_eq!(
        asked(&verdict),
        [
            "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
            "_dmarc.g.h.i.j.mail.example.com",
            "_dmarc.h.i.j.mail.example.com",
            "_dmarc.i.j.mail.example.com",
            "_dmarc.j.mail.example.com",
            "_dmarc.mail.example.com",
            "_dmarc.example.com",
            "_dmarc.com",
        ]
    );
    for (author, questions) in [("a.b.c.d.e.f.example.com", 8), ("a.b.c.d.e.example.com", 7), ("com", 1)] {
        assert_eq!(check(&Zone::new(), author, &[]).asked.len(), questions, "{author}");
    }
}

/// §4.10.2, the three examples of organizational domains.
#[test]
fn organizations_are_found() {
    for (records, organization) in [
        (&[("mail.example.com", "p=none"), ("example.com", "p=none")][..], "example.com"),
        (&[("mail.example.com", "p=none; psd=n"), ("example.com", "p=none")], "mail.example.com"),
        (&[("com", "p=none; psd=y")], "example.com"),
        // The record of one label without psd= is one as any other.
        (&[("com", "p=none")], "com"),
    ] {
        let verdict = check(&zone(records), "a.mail.example.com", &[]);
        assert_eq!(verdict.organization.unwrap().as_str(), organization);
    }
}

/// B.1.1 and B.1.2
#[test]
fn identifiers_are_aligned() {
    for (tags, author, identifier, expected) in [
        ("aspf=s", "example.com", spf("example.com"), true),
        ("", "example.com", spf("child.example.com"), true),
        ("aspf=s", "example.com", spf("child.example.com"), false),
        ("adkim=s", "example.com", spf("child.example.com"), true),
        ("", "child.example.com", spf("example.net"), false),
        ("adkim=s", "example.com", dkim("example.com"), true),
        ("", "child.example.com", dkim("example.com"), true),
        ("adkim=s", "child.example.com", dkim("example.com"), false),
        ("", "child.example.com", dkim("example.net"), false),
        ("", "child.example.com", dkim("notexample.com"), false),
        ("", "child.example.com", dkim("com"), false),
    ] {
        let zone = zone(&[("example.com", &format!("p=reject; {tags}"))]);
        let verdict = check(&zone, author, std::slice::from_ref(&identifier));
        let outcome = if expected { Outcome::Pass } else { Outcome::Fail };
        let disposition = if expected { Policy::None } else { Policy::Reject };
        assert_eq!((verdict.outcome, verdict.disposition), (outcome, disposition), "{tags} {author} {identifier:?}");
        assert_eq!(verdict.policy, Policy::Reject);
    }
}

/// B.4.1, B.4.2
#[test]
fn simple_and_deep_examples() {
    let records = zone(&[("example.com", "p=none"), ("signing.example.com", "p=none")]);
    let verdict = check(&records, "example.com", &[spf("example.com"), dkim("signing.example.com")]);
    assert_eq!(aligned(&verdict), ["example.com", "signing.example.com"]);
    assert_eq!(asked(&verdict), ["_dmarc.example.com", "_dmarc.com", "_dmarc.signing.example.com"]);
    assert_eq!(verdict.policy_domain.unwrap().as_str(), "example.com");

    let author = "a.b.c.d.e.f.g.h.i.j.k.example.com";
    let verdict = check(&records, author, &[spf("example.com"), dkim("signing.example.com")]);
    assert_eq!(aligned(&verdict), ["example.com", "signing.example.com"]);
    assert_eq!(verdict.asked.len(), 9);
    assert_eq!(verdict.policy_domain.unwrap().as_str(), "example.com");
}

/// B.4.3
#[test]
fn public_suffixes_part_organizations() {
    let records = zone(&[("bank.example", "p=reject; psd=y"), ("giant.bank.example", "p=quarantine")]);
    let identifiers = [spf("mail.giant.bank.example"), dkim("mail.mega.bank.example")];
    let verdict = check(&records, "giant.bank.example", &identifiers);
    assert_eq!(verdict.outcome, Outcome::Pass);
    assert_eq!(aligned(&verdict), ["mail.giant.bank.example"]);
    assert_eq!(verdict.organization.as_ref().unwrap().as_str(), "giant.bank.example");
    assert_eq!(verdict.policy, Policy::Quarantine);
    let verdict = check(&records, "giant.bank.example", &identifiers[1..]);
    assert_eq!((verdict.outcome, verdict.disposition), (Outcome::Fail, Policy::Quarantine));
    // An organization without a record has that of its suffix (§4.10.1).
    let verdict = check(&records, "mega.bank.example", &[dkim("mail.giant.bank.example")]);
    assert_eq!(verdict.policy_domain.unwrap().as_str(), "bank.example");
    assert_eq!((verdict.outcome, verdict.disposition), (Outcome::Fail, Policy::Reject));
    assert_eq!(check(&records, "mega.bank.example", &identifiers[1..]).outcome, Outcome::Pass);
}

/// §4.7, "p", "sp", "np", "t"
#[test]
fn the_policy_is_that_for_the_domain() {
    for (tags, author, policy, disposition) in [
        ("p=reject; sp=none; np=quarantine", "example.com", Policy::Reject, Policy::Reject),
        ("p=reject; sp=quarantine; np=reject", "is.example.com", Policy::Quarantine, Policy::Quarantine),
        ("p=none; sp=quarantine; np=reject", "isnt.example.com", Policy::Reject, Policy::Reject),
        ("p=none; sp=quarantine", "isnt.example.com", Policy::Quarantine, Policy::Quarantine),
        ("p=reject", "isnt.example.com", Policy::Reject, Policy::Reject),
        ("p=none; np=reject", "is.example.com", Policy::None, Policy::None),
        ("p=none; np=reject", "parent.example.com", Policy::None, Policy::None),
        ("p=reject; t=y", "example.com", Policy::Reject, Policy::Quarantine),
        ("p=quarantine; t=y", "example.com", Policy::Quarantine, Policy::None),
        ("p=none; t=y", "example.com", Policy::None, Policy::None),
        // RFC 7489: pct= is no more.
        ("p=reject; pct=0", "example.com", Policy::Reject, Policy::Reject),
    ] {
        let zone: Zone = format!(
            "_dmarc.example.com TXT \"v=DMARC1; {tags}\"\nis.example.com MX 1 mx.example.com\nx.parent.example.com A 192.0.2.1\n"
        )
        .parse()
        .unwrap();
        let verdict = check(&zone, author, &[]);
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!((verdict.policy, verdict.disposition), (policy, disposition), "{tags} {author}");
    }
}

/// §§4.10 and 4.10.1: which records count.
#[test]
fn what_is_no_record_is_passed_over() {
    let two = "_dmarc.a.example.com TXT \"v=DMARC1; p=none\"\n_dmarc.a.example.com TXT \"v=DMARC1; p=none\"\n";
    let other = "_dmarc.a.example.com TXT \"v=spf1 -all\"\n_dmarc.a.example.com TXT \"v=DMARC1; p=quarantine\"\n";
    for (records, expected) in [(two, Policy::Reject), (other, Policy::Quarantine)] {
        let zone: Zone = format!("{records}_dmarc.example.com TXT \"v=DMARC1; p=reject\"\n").parse().unwrap();
        assert_eq!(check(&zone, "a.example.com", &[]).policy, expected, "{records}");
    }
    let verdict = check(&zone(&[("example.com", "p=rejekt")]), "example.com", &[dkim("example.com")]);
    assert_eq!((verdict.outcome, verdict.problem), (Outcome::PermError, Some(Problem::NoPolicy)));
    let verdict = check(&zone(&[("example.com", "p=rejekt; rua=mailto:a@example.com")]), "example.com", &[]);
    assert_eq!((verdict.outcome, verdict.disposition), (Outcome::Fail, Policy::None));
}

/// §5.3.6: where the DNS fails, nothing passes and nothing fails.
#[test]
fn failures_of_the_dns_are_no_verdict() {
    let timeout = (Outcome::TempError, Some(Problem::Dns(Failure::Timeout)));
    let found = |verdict: Verdict| (verdict.outcome, verdict.problem);
    assert_eq!(found(check(&zone(&[("example.com", "TIMEOUT")]), "example.com", &[dkim("example.com")])), timeout);
    assert_eq!(found(check(&zone(&[("example.com", "TIMEOUT")]), "a.example.com", &[])), timeout);
    // What needs no more questions is not held up.
    let records = zone(&[("example.com", "p=reject"), ("com", "TIMEOUT")]);
    assert_eq!(check(&records, "example.com", &[dkim("example.com")]).outcome, Outcome::Pass);
    assert_eq!(found(check(&records, "example.com", &[dkim("a.example.com")])), timeout);
    let records = zone(&[("example.com", "p=reject"), ("b.example.com", "TIMEOUT")]);
    let both = [dkim("b.example.com"), spf("c.example.com")];
    assert_eq!(check(&records, "example.com", &both).outcome, Outcome::Pass);
    assert_eq!(found(check(&records, "example.com", &both[..1])), timeout);
    // SPF or DKIM that could not be checked might have been aligned.
    let mut unproved = dkim("example.com");
    unproved.unproved = true;
    let verdict = check(&records, "example.com", &[unproved.clone()]);
    assert_eq!(
        (verdict.outcome, verdict.problem, aligned(&verdict).len()),
        (Outcome::TempError, Some(Problem::Unproved), 0)
    );
    assert_eq!(check(&records, "example.com", &[unproved.clone(), spf("example.com")]).outcome, Outcome::Pass);
    unproved.domain = "example.net".parse().unwrap();
    assert_eq!(check(&records, "example.com", &[unproved]).outcome, Outcome::Fail);
}

#[test]
fn no_message_causes_more_questions_than_it_says() {
    let deep = |n: usize| dkim(&format!("a{n}.b{n}.c{n}.d{n}.e{n}.f{n}.g{n}.h{n}.example.com"));
    let zone = zone(&[("com", "p=none; np=reject")]);
    let author = "a.b.c.d.e.f.g.h.i.example.com";
    let mut evaluation = Evaluation::new(Ok(author.parse().unwrap()), (0..500).map(deep).collect());
    let mut questions = Vec::new();
    let verdict = loop {
        match evaluation.poll() {
            Ask::Verdict(verdict) => break verdict,
            Ask::Question(question) => {
                evaluation.answer(&zone.answer(&question));
                assert!(!questions.contains(&question), "{question} is asked twice");
                questions.push(question);
            }
        }
    };
    assert_eq!(verdict.asked, questions);
    assert!(questions.len() <= MAX_QUESTIONS as usize, "{}", questions.len());
}

#[test]
fn without_an_author_nothing_is_asked() {
    let mut evaluation = Evaluation::new(Err(Problem::SeveralAuthors), vec![dkim("example.com")]);
    let Ask::Verdict(verdict) = evaluation.poll() else { panic!("a question") };
    assert_eq!((verdict.outcome, verdict.problem), (Outcome::PermError, Some(Problem::SeveralAuthors)));
}
