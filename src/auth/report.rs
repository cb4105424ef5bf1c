//! What the checks of one message found, and how an Authentication-Results field says it (RFC 8601 §2.7).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Method, Results, arc, bimi, dkim, dmarc, dnsbl, iprev, spf};

/// What [`Check`](super::Check) found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Whether the client's name leads back to its address.
    pub iprev: iprev::Verdict,
    /// SPF of the HELO name; `None` where the client gave none.
    pub spf_helo: Option<spf::Verdict>,
    /// SPF of the reverse-path; `None` where it is null.
    pub spf_mail_from: Option<spf::Verdict>,
    /// Each DKIM signature, from the top.
    pub dkim: Vec<dkim::Verdict>,
    /// The ARC chain.
    pub arc: arc::Verdict,
    /// The signatures of the chain that were verified, as far as the rest of it let them be: message signatures and seals.
    pub arc_signatures: Vec<dkim::Verdict>,
    /// What the domain in the From field wants done.
    pub dmarc: dmarc::Verdict,
    /// What the lists say; `None` where none were to be asked.
    pub dnsbl: Option<dnsbl::Verdict>,
    /// Where the picture of the author's domain is; `None` where that was not to be looked up.
    pub bimi: Option<bimi::Verdict>,
}

impl Report {
    /// The report as the Authentication-Results field of the host or domain `id` (RFC 8601).
    pub fn header(&self, id: &str) -> Results {
        let spf = [&self.spf_helo, &self.spf_mail_from].into_iter().flatten().map(|verdict| {
            let property = match verdict.identity {
                spf::Identity::Helo => "helo",
                spf::Identity::MailFrom => "mailfrom",
            };
            // RFC 8601 §2.7.2: without the local part, unless the policy looks at it.
            let method = Method::new("spf", verdict.outcome.to_string()).property("smtp", property, &verdict.domain);
            match (verdict.outcome, verdict.problem) {
                (spf::Outcome::TempError | spf::Outcome::PermError, Some(problem)) => {
                    method.reason(problem.to_string())
                }
                _ => method,
            }
        });
        let iprev = Method::new("iprev", self.iprev.outcome.to_string());
        let dkim = self.dkim.iter().map(|verdict| {
            // RFC 6376 §3.6.1: a signature in testing is as no signature.
            let outcome = if verdict.testing { "none".to_owned() } else { verdict.outcome.to_string() };
            let mut method = Method::new("dkim", outcome);
            match verdict.problem {
                _ if verdict.testing => method = method.reason("the key is for testing"),
                Some(problem) => method = method.reason(problem.to_string()),
                None => {}
            }
            let Some(signature) = &verdict.signature else { return method };
            // RFC 8601 §2.7.1, and RFC 6008: the start of the signature tells several apart.
            let value = BASE64_STANDARD.encode(&signature.value);
            method
                .property("header", "d", signature.domain.to_string())
                .property("header", "i", &signature.identity)
                .property("header", "s", signature.selector.to_string())
                .property("header", "a", signature.algorithm.to_string())
                .property("header", "b", value.get(..8).unwrap_or(&value))
        });
        let dkim: Vec<_> = match dkim.len() {
            0 => vec![Method::new("dkim", "none")],
            _ => dkim.collect(),
        };
        let methods = spf.chain(dkim).chain(self.arc_method()).chain([self.dmarc_method()]);
        let methods = methods.chain([iprev.property("policy", "iprev", self.iprev.ip.to_string())]);
        let methods = methods.chain(self.dnsbl.iter().flat_map(dnsbl::Verdict::methods));
        Results::new(id, methods.chain(self.bimi.as_ref().map(bimi::Verdict::method)))
    }

    /// RFC 8617 §6; nothing where there is no chain.
    fn arc_method(&self) -> Option<Method> {
        let method = Method::new("arc", self.arc.outcome.to_string());
        let method = self.arc.problem.iter().fold(method, |method, problem| method.reason(problem.to_string()));
        let method = method.property("smtp", "remote-ip", self.iprev.ip.to_string());
        let oldest = self.arc.oldest_pass.iter();
        let method = oldest.fold(method, |method, oldest| method.property("header", "oldest-pass", oldest.to_string()));
        (self.arc.outcome != arc::Outcome::None).then_some(method)
    }

    /// RFC 9989 §9.1.
    fn dmarc_method(&self) -> Method {
        let mut method = Method::new("dmarc", self.dmarc.outcome.to_string());
        if let (dmarc::Outcome::TempError | dmarc::Outcome::PermError, Some(problem)) =
            (self.dmarc.outcome, self.dmarc.problem)
        {
            method = method.reason(problem.to_string());
        }
        if let Some(author) = &self.dmarc.author {
            method = method.property("header", "from", author.to_string());
        }
        if self.dmarc.outcome == dmarc::Outcome::Fail {
            method = method.property("policy", "dmarc", self.dmarc.disposition.to_string());
        }
        method
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::{Check, Session};
    use crate::base::Timestamp;
    use crate::dns::Zone;
    use crate::message::Message;
    use crate::smtp::ReversePath;

    fn report(zone: &str, hello: Option<&str>, mail_from: &str) -> String {
        let zone: Zone = zone.parse().unwrap();
        let mail_from = match mail_from {
            "" => ReversePath::Null,
            address => ReversePath::Address(address.parse().unwrap()),
        };
        let session = Session::new([192, 0, 2, 1].into(), hello.map(|hello| hello.parse().unwrap()), mail_from);
        let check = Check::new(&session, &Message::parse("\r\n"), Timestamp::from_unix(0));
        zone.ask(check).header("mx.test").to_string().replace("\r\n\t", " ")
    }

    #[test]
    fn what_does_not_apply_is_not_reported() {
        let zone = "x.org TXT \"v=spf1 -all\"\nm.x.org TXT \"v=spf1 ip4:192.0.2.1\"";
        let iprev = "iprev=permerror policy.iprev=192.0.2.1";
        for (hello, mail_from, expected) in [
            (Some("m.x.org"), "a@x.org", "spf=pass smtp.helo=m.x.org; spf=fail smtp.mailfrom=x.org; "),
            (Some("m.x.org"), "", "spf=pass smtp.helo=m.x.org; "),
            (Some("[192.0.2.1]"), "", ""),
            (None, "a@X.Org", "spf=fail smtp.mailfrom=x.org; "),
            (None, "a@[192.0.2.1]", "spf=none smtp.mailfrom=\"[192.0.2.1]\"; "),
        ] {
            let dmarc = "dmarc=permerror reason=\"no author domain\"";
            let expected = format!("Authentication-Results: mx.test; {expected}dkim=none; {dmarc}; {iprev}");
            assert_eq!(report(zone, hello, mail_from), expected);
        }
    }

    #[test]
    fn errors_come_with_their_reason() {
        assert_eq!(
            report("x.org TIMEOUT", None, "a@x.org"),
            "Authentication-Results: mx.test; spf=temperror reason=\"dns: timeout\" smtp.mailfrom=x.org; \
             dkim=none; dmarc=permerror reason=\"no author domain\"; iprev=permerror policy.iprev=192.0.2.1"
        );
    }

    #[test]
    fn u_labels_are_asked_for_as_a_labels() {
        let zone = "xn--bcher-kva.org TXT \"v=spf1 +all\"";
        assert!(report(zone, None, "a@bücher.org").contains("spf=pass smtp.mailfrom=xn--bcher-kva.org;"));
    }
}
