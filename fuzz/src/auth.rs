//! Mail authentication.

use facteur::auth::results::{MAX_PROPERTIES, MAX_RESULTS, Results};
use facteur::auth::spf::{
    Evaluation, Identity, MAX_EXPLANATION, MAX_PAIRS, MAX_QUESTIONS, Outcome, ReceivedSpf, Record,
};
use facteur::auth::{arc, dkim, dmarc};
use facteur::base::Timestamp;
use facteur::dns::{Answer, Ask, Data, Failure, Inquiry, RecordType};
use facteur::message::Message;

/// Any octets as an SPF record; and as all that the DNS answers: lines for text, octets to choose what else comes. However
/// it is answered, the evaluation ends within its bounds.
pub fn spf_record(input: &[u8]) {
    if let Ok(record) = Record::parse(input.to_vec()) {
        assert!(Record::is_spf(input) && input.is_ascii());
        let written = std::iter::once("v=spf1").chain(record.terms()).collect::<Vec<_>>().join(" ");
        let again = Record::parse(written).expect("what its terms say");
        assert!(again.terms().eq(record.terms()));
    }
    let lines: Vec<&[u8]> = input.split(|octet| *octet == b'\n').collect();
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let ip = ip.parse().expect("an address");
        let mut evaluation = Evaluation::new(ip, "mail.example.org", "a.b+c@example.org", Identity::MailFrom);
        let mut asked = 0;
        let verdict = loop {
            let question = match evaluation.poll() {
                Ask::Question(question) => question,
                Ask::Verdict(verdict) => break verdict,
            };
            assert_eq!(evaluation.poll(), Ask::Question(question.clone()));
            let choice = usize::from(input.get(asked).copied().unwrap_or(7)) + asked;
            asked += 1;
            assert!(asked <= MAX_QUESTIONS as usize);
            let name = |n: usize| format!("h{n}.example.org").parse().expect("a name");
            let found = match (question.kind, choice % 11) {
                (RecordType::Txt, n) => {
                    Ok(lines.iter().skip(n % lines.len()).take(1).map(|line| Data::Txt(line.to_vec().into())).collect())
                }
                (_, 0) => Err(Failure::NxDomain),
                (_, 1) => Err(Failure::NoData),
                (_, 2) if choice % 3 == 0 => Err(Failure::Timeout),
                (RecordType::Mx, n) => Ok((0..n).map(|n| Data::Mx { preference: 1, exchange: name(n) }).collect()),
                (RecordType::Ptr, n) => Ok((0..2 * n).map(|n| Data::Ptr(name(n))).collect()),
                (_, 3) => Ok(vec![ip.into()]),
                _ => Ok(vec![Data::A([198, 51, 100, 1].into())]),
            };
            evaluation.answer(&Answer::from(found));
        };
        assert_eq!(verdict.asked.len(), asked);
        assert_eq!(evaluation.poll(), Ask::Verdict(verdict.clone()));
        assert!(verdict.explanation.is_none() || verdict.outcome == Outcome::Fail);
        assert!(verdict.explanation.is_none_or(|text| text.len() <= MAX_EXPLANATION && !text.contains(['\r', '\n'])));
    }
}

/// Lines before an empty one are a key record and what else the DNS has; behind it a message. Whatever they are, its
/// signatures are looked at within their bounds, and the same however the body is cut.
pub fn dkim(input: &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(0);
    let (records, raw) = input.split_at(end);
    let message = Message::parse(raw.get(2..).unwrap_or_default().to_vec());
    let now = Timestamp::from_unix(1_000_000);
    let config = dkim::Config::default();
    let answer = |mut evaluation: dkim::Evaluation| {
        for _ in 0..=config.signatures {
            match evaluation.poll() {
                Ask::Question(question) => assert_eq!(question.kind, RecordType::Txt),
                Ask::Verdict(verdicts) => {
                    assert!(verdicts.len() <= config.signatures);
                    return verdicts
                        .into_iter()
                        .map(|one| (one.outcome, one.problem, one.unsigned))
                        .collect::<Vec<_>>();
                }
            }
            let texts = records.split(|octet| *octet == b'\n').map(|line| Data::Txt(line.to_vec().into()));
            evaluation.answer(&Answer::from(Ok(texts.collect())));
        }
        panic!("more questions than signatures");
    };
    let whole = answer(dkim::verify(&message, now, &config));
    let mut verifier = dkim::Verifier::new(message.header(), now, &config);
    for piece in message.root().raw_body().chunks(3) {
        verifier.body(piece);
    }
    let cut = answer(verifier.finish());
    assert_eq!(whole.len(), cut.len());
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!((whole.0, whole.2), (cut.0, cut.2));
    }
    for canonicalization in [dkim::Canonicalization::Simple, dkim::Canonicalization::Relaxed] {
        let once = canonicalization.body(input);
        assert_eq!(canonicalization.body(&once), once, "canonical is canonical");
        assert!(once.len() <= 2 * input.len() + 2);
    }
}

/// Any octets as the value of an Authentication-Results field: what is read is written so that it is read as the same.
pub fn authres(input: &[u8]) {
    let Ok(results) = Results::parse(input) else { return };
    assert!(results.methods.len() <= MAX_RESULTS);
    assert!(results.methods.iter().all(|method| method.properties.len() <= MAX_PROPERTIES));
    let written = results.to_string();
    assert!(written.split("\r\n").skip(1).all(|line| line.starts_with('\t')));
    let again = Results::parse(written.split_once(':').expect("a field").1.as_bytes()).expect("what was written");
    let rewritten = again.to_string();
    assert_eq!(written, rewritten);
    assert_eq!(again.methods.len(), results.methods.len());
}

/// Any octets as a DMARC record; and lines as what the DNS answers while the walks go: they end within their bounds, and no
/// question is asked twice.
pub fn dmarc(input: &[u8]) {
    if let Some(record) = dmarc::Record::parse(input) {
        assert!(record.reports.len() <= dmarc::MAX_URIS && record.failures.len() <= dmarc::MAX_URIS);
        assert!(record.policy.is_some() || (record.subdomains.is_none() && record.nonexistent.is_none()));
    }
    let lines: Vec<&[u8]> = input.split(|octet| *octet == b'\n').collect();
    let name = |text: &str| text.parse().expect("a name");
    let author = name("a.b.c.d.e.f.g.h.example.org");
    let identifiers = ["a.x.h.example.org", "example.org", "b.b.c.d.e.f.g.h.example.org", "example.net"]
        .map(|domain| dmarc::Identifier::new(dmarc::Mechanism::Dkim, name(domain)));
    let mut evaluation = dmarc::Evaluation::new(Ok(author), identifiers.into());
    let mut asked = Vec::new();
    let verdict = loop {
        let question = match evaluation.poll() {
            Ask::Question(question) => question,
            Ask::Verdict(verdict) => break verdict,
        };
        assert_eq!(evaluation.poll(), Ask::Question(question.clone()));
        assert!(!asked.contains(&question) && asked.len() < dmarc::MAX_QUESTIONS as usize);
        let line = lines.get(asked.len() % lines.len()).copied().unwrap_or_default();
        asked.push(question);
        let found = match line.first() {
            None => Err(Failure::NoData),
            Some(b'N') => Err(Failure::NxDomain),
            Some(b'T') => Err(Failure::Timeout),
            Some(_) => Ok(vec![Data::Txt(line.to_vec().into())]),
        };
        evaluation.answer(&Answer::from(found));
    };
    assert_eq!(verdict.asked, asked);
    assert!(verdict.disposition <= verdict.policy);
    assert!(verdict.outcome == dmarc::Outcome::Fail || verdict.disposition == dmarc::Policy::None);
}

/// Lines before an empty one are key records; behind it a message. Whatever chain it has is verified within the bounds, and one
/// more set can be read out of it or not be made.
pub fn arc(input: &[u8]) {
    let end = input.windows(2).position(|two| two == b"\n\n").unwrap_or(0);
    let (records, raw) = input.split_at(end);
    let message = Message::parse(raw.get(2..).unwrap_or_default().to_vec());
    let now = Timestamp::from_unix(1_000_000);
    let mut evaluation = arc::verify(&message, now, &dkim::Config::default());
    let mut asked = 0;
    let verdict = loop {
        match evaluation.poll() {
            Ask::Question(question) => assert_eq!(question.kind, RecordType::Txt),
            Ask::Verdict(verdict) => break verdict,
        }
        asked += 1;
        assert!(asked <= arc::MAX_QUESTIONS);
        let texts = records.split(|octet| *octet == b'\n').map(|line| Data::Txt(line.to_vec().into()));
        evaluation.answer(&Answer::from(Ok(texts.collect())));
    };
    assert!(verdict.instance <= arc::MAX_SETS);
    assert_eq!(verdict.problem.is_some(), verdict.outcome == arc::Outcome::Fail);
    assert!(verdict.outcome != arc::Outcome::Pass || verdict.sets.len() == usize::from(verdict.instance));
}

/// Any octets as the value of a Received-SPF field: what is read is written so that it is read as the same.
pub fn received_spf(input: &[u8]) {
    let Ok(field) = ReceivedSpf::parse(input) else { return };
    assert!(field.pairs.len() <= MAX_PAIRS);
    let written = field.to_string();
    assert!(written.split("\r\n").skip(1).all(|line| line.starts_with('\t')));
    let again = ReceivedSpf::parse(written.split_once(':').expect("a field").1.as_bytes()).expect("what was written");
    assert_eq!(again.outcome, field.outcome);
    assert_eq!(again.pairs.len(), field.pairs.len());
    assert_eq!(again.to_string(), written);
}
