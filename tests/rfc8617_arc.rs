//! ARC by what RFC 8617 §§4.2, 5.1 and 5.2 say: chains that are sealed, changed and broken.

use facteur::auth::arc::{
    self, Depth, MAX_QUESTIONS, MAX_SETS, Outcome, Part, Problem, SealError, Sealing, Verdict, Verifier,
};
use facteur::auth::dkim::{self, Signer, SigningKey};
use facteur::auth::{Method, Results};
use facteur::base::Timestamp;
use facteur::dns::{Ask, Data, Inquiry, Zone};
use facteur::message::Message;

const MAIL: &str = "From: ada@example.org\r\nTo: list@lists.example\r\nSubject: Lunch\r\n\r\nAt noon?\r\n";

fn now() -> Timestamp {
    Timestamp::from_unix(1_790_000_000)
}

/// Who seals, and where the keys are.
struct Sealers {
    signers: Vec<Signer>,
    zone: Zone,
}

impl Sealers {
    fn new() -> Self {
        let mut zone = Zone::new();
        let signers = (0..3).map(|n| {
            let key = SigningKey::generate_ed25519().unwrap();
            zone.insert(format!("s._domainkey.r{n}.example").parse().unwrap(), Data::Txt(key.record().into()));
            Signer::new(format!("r{n}.example").parse().unwrap(), "s".parse().unwrap(), key)
        });
        Self { signers: signers.collect(), zone }
    }

    fn verify(&self, raw: &str) -> Verdict {
        self.zone.ask(arc::verify(&Message::parse(raw.to_owned()), now(), &dkim::Config::default()))
    }

    fn oldest(&self, raw: &str) -> Option<u8> {
        let message = Message::parse(raw.to_owned());
        let mut verifier = Verifier::with(message.header(), now(), &dkim::Config::default(), Depth::Oldest);
        verifier.body(message.root().raw_body());
        self.zone.ask(verifier.finish()).oldest_pass
    }

    /// `raw` with one more set.
    fn seal(&self, raw: &str, n: usize) -> Result<String, SealError> {
        let results = Results::new(format!("r{n}.example"), [Method::new("spf", "pass")]);
        let signer = &self.signers[n % 3];
        let set = arc::seal(&Message::parse(raw.to_owned()), &self.verify(raw), &results, signer, now())?;
        Ok(set + raw)
    }

    fn sealed(&self, times: usize) -> String {
        (0..times).fold(MAIL.to_owned(), |raw, n| self.seal(&raw, n).unwrap())
    }
}

fn found(verdict: Verdict) -> (Outcome, Option<Problem>) {
    (verdict.outcome, verdict.problem)
}

#[test]
fn chains_of_any_length_pass() {
    let sealers = Sealers::new();
    assert_eq!(found(sealers.verify(MAIL)), (Outcome::None, None));
    for times in [1, 2, 7, usize::from(MAX_SETS)] {
        let raw = sealers.sealed(times);
        let verdict = sealers.verify(&raw);
        assert_eq!((verdict.outcome, verdict.problem, verdict.instance as usize), (Outcome::Pass, None, times));
        let instances: Vec<_> = verdict.sets.iter().map(|set| usize::from(set.instance)).collect();
        assert_eq!(instances, (1..=times).collect::<Vec<_>>());
        assert_eq!(verdict.sets[0].results.as_ref().unwrap().id, "r0.example");
        assert_eq!(verdict.sets[0].seal.as_ref().unwrap().0.as_str(), "r0.example");
        // In the line ends of a file system.
        assert_eq!(found(sealers.verify(&raw.replace("\r\n", "\n"))), (Outcome::Pass, None));
        if times == usize::from(MAX_SETS) {
            assert_eq!(sealers.seal(&raw, 0).unwrap_err(), SealError::Full);
        }
    }
}

#[test]
fn a_list_changes_the_message_and_the_chain_stands() {
    let sealers = Sealers::new();
    let arrived = sealers.sealed(1);
    let before = sealers.verify(&arrived);
    let changed =
        arrived.replace("Subject: Lunch", "Subject: [list] Lunch").replace("noon?\r\n", "noon?\r\n-- \r\nThe list\r\n");
    assert_eq!(
        found(sealers.verify(&changed)),
        (Outcome::Fail, Some(Problem::Signature(Part::Signature, 1, dkim::Problem::BodyChanged)))
    );
    let results = Results::new("r1.example", [Method::new("arc", before.outcome.to_string())]);
    let set = arc::seal(&Message::parse(changed.clone()), &before, &results, &sealers.signers[1], now()).unwrap();
    assert_eq!(found(sealers.verify(&(set + &changed))), (Outcome::Pass, None));
}

#[test]
fn what_is_broken_is_named() {
    let sealers = Sealers::new();
    let raw = sealers.sealed(3);
    let seal = |instance| Some(Problem::Signature(Part::Seal, instance, dkim::Problem::HeaderChanged));
    for (from, to, problem) in [
        ("i=2; r1.example", "i=2; r9.example", seal(3)),
        ("ARC-Seal: i=2", "ARC-Seal: i=1", Some(Problem::Twice(Part::Seal, 1))),
        ("ARC-Seal: i=2", "ARC-Seal: i=4", Some(Problem::Missing(Part::Seal, 2))),
        ("ARC-Seal: i=2", "ARC-Seal: i=51", Some(Problem::TooManySets)),
        ("ARC-Seal: i=2", "ARC-Seal: i=0", Some(Problem::NoInstance(Part::Seal))),
        ("ARC-Seal: i=2", "ARC-Seal: j=2", Some(Problem::NoInstance(Part::Seal))),
        ("ARC-Seal: i=2", "X-Seal: i=2", Some(Problem::Missing(Part::Seal, 2))),
        ("ARC-Message-Signature: i=1", "X: i=1", Some(Problem::Missing(Part::Signature, 1))),
        ("Results: i=1;", "Results: i=1", Some(Problem::NoInstance(Part::Results))),
        ("cv=none", "cv=pass", Some(Problem::Status(1))),
        ("cv=pass", "cv=none", Some(Problem::Status(2))),
        ("cv=pass", "cv=fail", Some(Problem::Ended)),
        ("From: ada", "From: eve", Some(Problem::Signature(Part::Signature, 3, dkim::Problem::HeaderChanged))),
        (
            "d=r2.example;\r\n\ts=",
            "d=r8.example;\r\n\ts=",
            Some(Problem::Signature(Part::Seal, 3, dkim::Problem::NoKey)),
        ),
    ] {
        assert!(raw.contains(from), "{from}");
        assert_eq!(found(sealers.verify(&raw.replace(from, to))), (Outcome::Fail, problem), "{from} {to}");
    }
    // The order of fields on the way does not matter: the instances say it.
    let (header, body) = raw.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n\t", "\n\t");
    let mut fields: Vec<_> = unfolded.split("\r\n").map(|field| field.replace("\n\t", "\r\n\t")).collect();
    fields.reverse();
    assert_eq!(found(sealers.verify(&format!("{}\r\n\r\n{body}", fields.join("\r\n")))), (Outcome::Pass, None));
}

/// §5.1, step 2, and §5.1.2
#[test]
fn a_broken_chain_is_sealed_once() {
    let sealers = Sealers::new();
    let broken = sealers.sealed(2).replace("From: ada", "From: eve");
    let sealed = sealers.seal(&broken, 2).unwrap();
    assert!(sealed.starts_with("ARC-Seal: i=3; a=ed25519-sha256; cv=fail;"));
    assert_eq!(found(sealers.verify(&sealed)), (Outcome::Fail, Some(Problem::Ended)));
    assert_eq!(sealers.seal(&sealed, 0).unwrap_err(), SealError::Ended);
}

/// §4.1.2
#[test]
fn a_chain_that_is_another_than_was_verified_is_broken() {
    let sealers = Sealers::new();
    let results = Results::new("r0.example", [Method::new("spf", "pass")]);
    let chains: Vec<String> = (0..3).map(|times| sealers.sealed(times)).collect();
    for (was, is) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)] {
        let verdict = sealers.verify(&chains[was]);
        let message = Message::parse(chains[is].clone());
        let set = arc::seal(&message, &verdict, &results, &sealers.signers[0], now()).unwrap();
        assert_eq!(set.contains(" cv=pass;"), was == is, "{was} {is}: {set}");
        assert_eq!(set.contains(" cv=fail;"), was != is, "{was} {is}: {set}");
    }
}

#[test]
fn all_keys_are_asked_for_at_once() {
    let sealers = Sealers::new();
    let message = Message::parse(sealers.sealed(3));
    let mut evaluation = arc::verify(&message, now(), &dkim::Config::default());
    let open = evaluation.open();
    assert_eq!(open.len(), 3);
    for question in open.iter().rev() {
        evaluation.answer_to(question, &sealers.zone.answer(question));
    }
    assert!(matches!(evaluation.poll(), Ask::Verdict(verdict) if verdict.outcome == Outcome::Pass));
}

#[test]
fn signatures_are_sealed_and_results_are_not() {
    let sealers = Sealers::new();
    let signed = dkim::sign(&Message::parse(MAIL), &sealers.signers[..1], now()).unwrap();
    let raw = format!("Authentication-Results: r0.example; spf=pass\r\n{signed}{MAIL}");
    let sealed = sealers.seal(&raw, 0).unwrap();
    assert_eq!(
        found(sealers.verify(&sealed.replace("Authentication-Results: r0.example; spf=pass\r\n", ""))).0,
        Outcome::Pass
    );
    let without = sealed.replace(&signed, "");
    assert_eq!(
        found(sealers.verify(&without)),
        (Outcome::Fail, Some(Problem::Signature(Part::Signature, 1, dkim::Problem::HeaderChanged)))
    );
}

#[test]
fn a_failing_dns_is_told_apart() {
    let mut sealers = Sealers::new();
    let raw = sealers.sealed(1);
    sealers.zone = "s._domainkey.r0.example TIMEOUT".parse().unwrap();
    let verdict = sealers.verify(&raw);
    assert_eq!(verdict.outcome, Outcome::Fail);
    assert!(verdict.is_temporary());
    assert!(!sealers.verify(&raw.replace("cv=none", "cv=pass")).is_temporary());
}

#[test]
fn hostile_chains_are_bounded() {
    let sealers = Sealers::new();
    // A set with fields as large as they may be, and one that is larger.
    let large = sealers.sealed(1).replace("spf=pass", &format!("spf=pass ({})", "x".repeat(300_000)));
    assert_eq!(found(sealers.verify(&large)), (Outcome::Fail, Some(Problem::TooLong)));
    let many = "ARC-Seal: i=1; cv=none\r\n".repeat(100_000) + MAIL;
    assert_eq!(found(sealers.verify(&many)), (Outcome::Fail, Some(Problem::Twice(Part::Seal, 1))));
    // Each seal with a key of its own.
    let set = |n: u8| {
        let status = if n == 1 { "none" } else { "pass" };
        format!(
            "ARC-Seal: i={n}; a=rsa-sha256; cv={status}; d=d{n}.example; s=s; b=AAAA\r\nARC-Message-Signature: i={n}; \
             a=rsa-sha256; c=relaxed/relaxed; d=d{n}.example; s=m; h=from; bh=AAAA; b=AAAA\r\nARC-Authentication-Results: \
             i={n}; d{n}.example; none\r\n"
        )
    };
    let raw = (1..=MAX_SETS).rev().map(set).collect::<String>() + MAIL;
    let mut evaluation = arc::verify(&Message::parse(raw), now(), &dkim::Config::default());
    let mut questions = 0;
    while let Ask::Question(question) = evaluation.poll() {
        evaluation.answer(&Zone::new().answer(&question));
        questions += 1;
    }
    // The newest signature fails by its body, so its key is not asked for.
    assert_eq!(questions, u32::from(MAX_SETS));
    assert!(questions <= MAX_QUESTIONS);
}

/// RFC 8617 §5.2, step 5.
#[test]
fn the_oldest_message_signature_that_passes_is_found() {
    let sealers = Sealers::new();
    assert_eq!(sealers.oldest(MAIL), None, "no chain");
    for times in [1, 2, 5] {
        assert_eq!(sealers.oldest(&sealers.sealed(times)), Some(0), "all pass");
    }
    // A list between the second and the third host: what was signed before does not stand.
    let list = |raw: &str, n: usize| {
        let before = sealers.verify(raw);
        let changed = raw.replace("noon?", "noon? (list)");
        let results = Results::new("r.example", [Method::new("arc", before.outcome.to_string())]);
        let set =
            arc::seal(&Message::parse(changed.clone()), &before, &results, &sealers.signers[n % 3], now()).unwrap();
        set + &changed
    };
    let changed = list(&sealers.sealed(2), 2);
    assert_eq!(sealers.oldest(&changed), Some(3));
    assert_eq!(sealers.verify(&changed).oldest_pass, None, "nobody asked");
    let more = sealers.seal(&sealers.seal(&changed, 0).unwrap(), 1).unwrap();
    assert_eq!(sealers.oldest(&more), Some(3));
    // It does not matter for the outcome (5 A), and a chain that fails has none.
    assert_eq!(found(sealers.verify(&more)), (Outcome::Pass, None));
    assert_eq!(sealers.oldest(&more.replace("Lunch", "Dinner")), None);
    // The questions have their bound.
    let message = Message::parse(sealers.sealed(usize::from(MAX_SETS)));
    let verifier = Verifier::with(message.header(), now(), &dkim::Config::default(), Depth::Oldest);
    let mut evaluation = verifier.finish();
    let mut asked = 0;
    while let Ask::Question(_) = evaluation.poll() {
        evaluation.answer(&Err(facteur::dns::Failure::NoData).into());
        asked += 1;
    }
    assert!(asked < 2 * u32::from(MAX_SETS), "{asked}");
}

#[test]
fn a_body_in_pieces_is_sealed_as_the_same() {
    let sealers = Sealers::new();
    for times in 0..3 {
        let raw = sealers.sealed(times);
        let message = Message::parse(raw.clone());
        let verdict = sealers.verify(&raw);
        let results = Results::new("r.example", [Method::new("spf", "pass")]);
        let whole = arc::seal(&message, &verdict, &results, &sealers.signers[0], now()).unwrap();
        for size in [1, 2, 7, 1000] {
            let mut sealing = Sealing::new(message.header(), &sealers.signers[0], now()).unwrap();
            message.root().raw_body().chunks(size).for_each(|piece| sealing.body(piece));
            // Ed25519 signs the same the same.
            assert_eq!(sealing.finish(&verdict, &results).unwrap(), whole);
        }
    }
    let ended = sealers.sealed(1).replace("cv=none", "cv=fail");
    let message = Message::parse(ended);
    assert_eq!(Sealing::new(message.header(), &sealers.signers[0], now()).err(), Some(SealError::Ended));
    let nobody = Message::parse("Subject: x\r\n\r\n");
    assert!(matches!(Sealing::new(nobody.header(), &sealers.signers[0], now()), Err(SealError::Sign(_))));
}
