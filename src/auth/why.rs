//! A report for a postmaster: for each verdict the reason, the record that it rests on, and what was asked for it.

use std::fmt;

use super::{Report, arc, dkim, dmarc, iprev, spf};
use crate::dns::Question;

/// Several lines, each verdict with its reason on one of its own, and below it, set in, its record and its questions. Whatever
/// strangers wrote stands there escaped.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for verdict in [&self.spf_helo, &self.spf_mail_from].into_iter().flatten() {
            spf(f, verdict)?;
        }
        if self.dkim.is_empty() {
            writeln!(f, "dkim: none: no signature")?;
        }
        for verdict in &self.dkim {
            f.write_str("dkim")?;
            signature(f, verdict)?;
        }
        arc(f, &self.arc, &self.arc_signatures)?;
        dmarc(f, &self.dmarc)?;
        iprev(f, &self.iprev)?;
        let Some(lists) = &self.dnsbl else { return Ok(()) };
        writeln!(f, "lists: {:+}", lists.score)?;
        lists.entries.iter().try_for_each(|entry| writeln!(f, "  {entry}"))?;
        lists.tests.iter().try_for_each(|test| writeln!(f, "  {test}"))
    }
}

fn spf(f: &mut fmt::Formatter<'_>, verdict: &spf::Verdict) -> fmt::Result {
    let identity = match verdict.identity {
        spf::Identity::Helo => "helo",
        spf::Identity::MailFrom => "mailfrom",
    };
    write!(f, "spf {identity}={}: {}", verdict.domain.escape_default(), verdict.outcome)?;
    if let Some((domain, term)) = &verdict.term {
        write!(f, " by {} of {domain}", term.escape_default())?;
    }
    reason(f, verdict.problem)?;
    record(f, verdict.record.as_deref())?;
    if let Some(explanation) = &verdict.explanation {
        writeln!(f, "  explanation: {explanation}")?;
    }
    asked(f, &verdict.asked)
}

/// Of DKIM, and of ARC's fields that are alike.
fn signature(f: &mut fmt::Formatter<'_>, verdict: &dkim::Verdict) -> fmt::Result {
    if let Some(signature) = &verdict.signature {
        write!(f, " d={} s={} a={}", signature.domain, signature.selector, signature.algorithm)?;
    }
    write!(f, ": {}", verdict.outcome)?;
    if verdict.testing {
        f.write_str(" (the key is for testing)")?;
    }
    if let Some(at) = verdict.appended_at {
        write!(f, " (the signed body ends after octet {at})")?;
    }
    if verdict.unsigned > 0 {
        write!(f, " ({} octets of the body are not signed)", verdict.unsigned)?;
    }
    reason(f, verdict.problem)?;
    record(f, verdict.record.as_deref())?;
    asked(f, verdict.asked.as_slice())
}

fn arc(f: &mut fmt::Formatter<'_>, verdict: &arc::Verdict, signatures: &[dkim::Verdict]) -> fmt::Result {
    write!(f, "arc: {}, {} sets", verdict.outcome, verdict.instance)?;
    reason(f, verdict.problem)?;
    for verdict in signatures {
        f.write_str("arc signature")?;
        signature(f, verdict)?;
    }
    Ok(())
}

fn dmarc(f: &mut fmt::Formatter<'_>, verdict: &dmarc::Verdict) -> fmt::Result {
    f.write_str("dmarc")?;
    if let Some(author) = &verdict.author {
        write!(f, " from={author}")?;
    }
    write!(f, ": {}", verdict.outcome)?;
    if let Some(domain) = &verdict.policy_domain {
        write!(f, " by the policy {} of {domain}, to be done: {}", verdict.policy, verdict.disposition)?;
    }
    for aligned in &verdict.aligned {
        write!(f, ", aligned: {}", aligned.domain)?;
    }
    reason(f, verdict.problem)?;
    record(f, verdict.record.as_ref().map(|record| &record.text[..]))?;
    asked(f, &verdict.asked)
}

fn iprev(f: &mut fmt::Formatter<'_>, verdict: &iprev::Verdict) -> fmt::Result {
    write!(f, "iprev {}: {}", verdict.ip, verdict.outcome)?;
    match (&verdict.name, verdict.outcome) {
        (Some(name), _) => writeln!(f, ": {name}"),
        (None, iprev::Outcome::Fail) => writeln!(f, ": no name of the address leads back to it"),
        (None, iprev::Outcome::PermError) => writeln!(f, ": the address has no name"),
        (None, _) => writeln!(f, ": the dns did not answer"),
    }?;
    asked(f, &verdict.asked)
}

fn reason(f: &mut fmt::Formatter<'_>, problem: Option<impl fmt::Display>) -> fmt::Result {
    match problem {
        Some(problem) => writeln!(f, ": {problem}"),
        None => writeln!(f),
    }
}

fn record(f: &mut fmt::Formatter<'_>, record: Option<&[u8]>) -> fmt::Result {
    match record {
        Some(record) => writeln!(f, "  record: {}", record.escape_ascii()),
        None => Ok(()),
    }
}

fn asked(f: &mut fmt::Formatter<'_>, questions: &[Question]) -> fmt::Result {
    for (n, question) in questions.iter().enumerate() {
        write!(f, "{}{question}", if n == 0 { "  asked: " } else { ", " })?;
    }
    if questions.is_empty() { Ok(()) } else { writeln!(f) }
}

#[cfg(test)]
mod tests {
    use crate::auth::{Check, Session, dkim};
    use crate::base::Timestamp;
    use crate::dns::Zone;
    use crate::message::Message;
    use crate::smtp::ReversePath;

    #[test]
    fn each_verdict_says_why_by_which_record_and_what_was_asked() {
        let now = Timestamp::from_unix(1_790_000_000);
        let key = dkim::SigningKey::generate_ed25519().unwrap();
        let zone = format!(
            "s1._domainkey.x.org TXT \"{}\"\nx.org TXT \"v=spf1 include:y.org -all\"\ny.org TXT \"v=spf1 a:z.org\"\n\
             z.org A 192.0.2.9\n_dmarc.x.org TXT \"v=DMARC1; p=reject; x=\\007\"\n1.2.0.192.in-addr.arpa PTR h.x.org\n",
            key.record()
        );
        let zone: Zone = zone.parse().unwrap();
        let plain = Message::parse("From: ada@x.org\r\n\r\nat noon\r\n");
        let signer = dkim::Signer::new("x.org".parse().unwrap(), "s1".parse().unwrap(), key.clone());
        let signed = [dkim::sign(&plain, &[signer], now).unwrap().as_bytes(), plain.raw(), b"and more\r\n"].concat();
        let sender = ReversePath::Address("ada@x.org".parse().unwrap());
        let session = Session::new([192, 0, 2, 1].into(), Some("h.x.org".parse().unwrap()), sender);
        let report = zone.ask(Check::new(&session, &Message::parse(signed), now)).to_string();
        let expected = "spf helo=h.x.org: none: dns: no such name\n  asked: h.x.org TXT\n\
             spf mailfrom=x.org: fail by -all of x.org\n  record: v=spf1 include:y.org -all\n  \
             asked: x.org TXT, y.org TXT, z.org A\n\
             dkim d=x.org s=s1 a=ed25519-sha256: fail (the signed body ends after octet 9): something was appended to the body\n\
             arc: none, 0 sets\n\
             dmarc from=x.org: fail by the policy reject of x.org, to be done: reject\n  \
             record: v=DMARC1; p=reject; x=\\x07\n  asked: _dmarc.x.org TXT\n\
             iprev 192.0.2.1: fail: no name of the address leads back to it\n  \
             asked: 1.2.0.192.in-addr.arpa PTR, h.x.org A\n";
        assert_eq!(report, expected);
    }
}
