//! SPF (RFC 7208): whether a host may send mail in the name of a domain.
//!
//! Left out on purpose: records of the type SPF, which RFC 7208 §3.1 discontinued, and the limit on the time of it all, which
//! is for whoever answers the questions.

mod evaluation;
mod macros;
mod network;
mod received;
mod record;

use std::fmt;

use bytes::Bytes;

pub use evaluation::{Evaluation, MAX_HOSTS, MAX_LOOKUPS, MAX_QUESTIONS, MAX_VOID_LOOKUPS};
pub use macros::MAX_EXPLANATION;
pub use received::{MAX_PAIRS, ReceivedSpf};
pub use record::Record;

use crate::base::ParseError;
use crate::dns::{Failure, Name, Question};

/// What SPF says (RFC 7208 §2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Outcome {
    /// There is no record, or no domain to look for one.
    None,
    /// The domain says that it does not say.
    Neutral,
    /// The host may.
    Pass,
    /// The host may not.
    Fail,
    /// The host should not, says the domain without conviction.
    SoftFail,
    /// The DNS failed for now.
    TempError,
    /// The domain's records are wrong.
    PermError,
}

/// Which name of the client was looked at (RFC 7208 §§2.3, 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Identity {
    /// The host name of HELO.
    Helo,
    /// The reverse-path of MAIL; the postmaster of the HELO name where it is null.
    MailFrom,
}

/// Why there is no better outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The identity has no domain with more than one label.
    #[error("no domain to look for a record")]
    NoDomain,
    /// The DNS did not answer, or the domain does not exist.
    #[error("dns: {0}")]
    Dns(Failure),
    /// None of the domain's texts is an SPF record.
    #[error("no record")]
    NoRecord,
    /// More than one is.
    #[error("more than one record")]
    ManyRecords,
    /// The record is not what the grammar says.
    #[error("syntax: {0}")]
    Syntax(ParseError),
    /// "include" or "redirect" leads to a domain without a record.
    #[error("a domain that is referred to has no record")]
    Dangling,
    /// More terms than [`MAX_LOOKUPS`] ask the DNS.
    #[error("more than {MAX_LOOKUPS} terms ask the dns")]
    TooManyLookups,
    /// More of them than [`MAX_VOID_LOOKUPS`] are answered with nothing.
    #[error("more than {MAX_VOID_LOOKUPS} terms are answered with nothing")]
    TooManyVoidLookups,
    /// One "mx" names more hosts than [`MAX_HOSTS`].
    #[error("an mx term with more than {MAX_HOSTS} hosts")]
    TooManyHosts,
}

/// The outcome, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What SPF says.
    pub outcome: Outcome,
    /// Of which identity.
    pub identity: Identity,
    /// The domain whose record was asked for first, as the client wrote it.
    pub domain: String,
    /// Where the decision fell: the domain of the record, and its term. `None` where no term matched.
    pub term: Option<(Name, String)>,
    /// Why there is no better outcome.
    pub problem: Option<Problem>,
    /// The record in which the decision fell, or the one that is wrong; `None` where none was read.
    pub record: Option<Bytes>,
    /// What the domain has to say to those it refuses, with [`Outcome::Fail`] only: printable ASCII of at most
    /// [`MAX_EXPLANATION`] octets, and words of a stranger all the same.
    pub explanation: Option<String>,
    /// The questions that were asked.
    pub asked: Vec<Question>,
}

impl Outcome {
    /// Any case of letters.
    fn parse(word: &str) -> Option<Self> {
        let all = [Self::None, Self::Neutral, Self::Pass, Self::Fail, Self::SoftFail, Self::TempError, Self::PermError];
        all.into_iter().find(|outcome| outcome.to_string().eq_ignore_ascii_case(word))
    }
}

/// As header fields write it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::dns::Zone;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn check(zone: &str) -> Verdict {
        let zone: Zone = zone.parse().unwrap();
        zone.ask(Evaluation::new(CLIENT, "mail.x.org", "ada@x.org", Identity::MailFrom))
    }

    #[test]
    fn a_verdict_says_where_it_fell() {
        let verdict =
            check("x.org TXT \"v=spf1 ip4:10.0.0.0/8 redirect=y.org\"\ny.org TXT \"v=spf1 ~ip4:192.0.2.0/24\"\n");
        assert_eq!((verdict.outcome, verdict.problem), (Outcome::SoftFail, None));
        assert_eq!(verdict.term, Some(("y.org".parse().unwrap(), "~ip4:192.0.2.0/24".into())));
        assert_eq!(verdict.domain, "x.org");
        assert_eq!(verdict.record.as_deref(), Some(&b"v=spf1 ~ip4:192.0.2.0/24"[..]));
        let asked: Vec<String> = verdict.asked.iter().map(ToString::to_string).collect();
        assert_eq!(asked, ["x.org TXT", "y.org TXT"]);
    }

    #[test]
    fn a_wrong_record_is_told_beside_the_term_that_led_to_it() {
        let verdict = check("x.org TXT \"v=spf1 include:y.org -all\"\ny.org TXT \"v=spf1 foo\"\n");
        assert_eq!(verdict.outcome, Outcome::PermError);
        assert_eq!(verdict.term, Some(("x.org".parse().unwrap(), "include:y.org".into())));
        assert_eq!(verdict.record.as_deref(), Some(&b"v=spf1 foo"[..]));
        // What of it was read before it went wrong leads nowhere.
        let verdict = check("x.org TXT \"v=spf1 redirect=y.org\"\ny.org TXT \"v=spf1 a mx foo\"\n");
        assert_eq!(verdict.term, Some(("x.org".parse().unwrap(), "redirect=y.org".into())));
        assert_eq!(verdict.record.as_deref(), Some(&b"v=spf1 a mx foo"[..]));
    }

    /// RFC 7208 §4.6: "Syntax errors anywhere in the record MUST be detected", though a term before matches.
    #[test]
    fn a_record_that_is_wrong_at_its_end_is_wrong_for_whom_its_start_holds() {
        for record in [
            "ip4:192.0.2.1 ip4:1.2.3",
            "all foo",
            "+all exp=a.org exp=a.org",
            "ip4:192.0.2.1 ip6:1::2::3",
            "a \\000all",
        ] {
            let verdict = check(&format!("x.org TXT \"v=spf1 {record}\"\nx.org A 192.0.2.1\n"));
            assert_eq!((verdict.outcome, verdict.asked.len()), (Outcome::PermError, 1), "{record}");
        }
    }

    #[test]
    fn each_problem_has_its_name() {
        for (zone, outcome, problem) in [
            ("", Outcome::None, Problem::Dns(Failure::NxDomain)),
            ("x.org A 192.0.2.1", Outcome::None, Problem::NoRecord),
            ("x.org TXT other", Outcome::None, Problem::NoRecord),
            ("x.org TIMEOUT", Outcome::TempError, Problem::Dns(Failure::Timeout)),
            ("x.org BOGUS", Outcome::TempError, Problem::Dns(Failure::Bogus)),
            ("x.org TXT v=spf1\nx.org TXT v=spf1", Outcome::PermError, Problem::ManyRecords),
            (
                "x.org TXT \"v=spf1 +\"",
                Outcome::PermError,
                Problem::Syntax(ParseError { expected: "a known mechanism", at: 8 }),
            ),
            ("x.org TXT \"v=spf1 include:y.org\"", Outcome::PermError, Problem::Dangling),
            ("x.org TXT \"v=spf1 redirect=y.org\"", Outcome::PermError, Problem::Dangling),
            ("x.org TXT \"v=spf1 include:x.org\"", Outcome::PermError, Problem::TooManyLookups),
            ("x.org TXT \"v=spf1 redirect=x.org\"", Outcome::PermError, Problem::TooManyLookups),
            ("x.org TXT \"v=spf1 a:a.org a:b.org a:c.org\"", Outcome::PermError, Problem::TooManyVoidLookups),
            ("x.org TXT \"v=spf1 a:y.org\"\ny.org SERVFAIL", Outcome::TempError, Problem::Dns(Failure::ServFail)),
        ] {
            let verdict = check(zone);
            assert_eq!((verdict.outcome, verdict.problem), (outcome, Some(problem)), "{zone}");
        }
    }

    /// RFC 7208 §4.6.4 counts "the number of terms": the dead hosts of one "mx" are one of them.
    #[test]
    fn the_dead_hosts_of_one_mx_count_once() {
        let verdict = check(
            "x.org TXT \"v=spf1 mx -all\"\nx.org MX 1 a.org\nx.org MX 2 b.org\nx.org MX 3 c.org\nx.org MX 4 d.org\n\
             d.org A 192.0.2.1\n",
        );
        assert_eq!(verdict.outcome, Outcome::Pass);
    }

    #[test]
    fn no_record_causes_more_questions_than_it_says() {
        let mut zone = String::from("x.org TXT \"v=spf1 mx mx mx mx mx mx mx mx mx ptr -all exp=%{p}.e.org\"\n");
        (0..10).for_each(|n| zone.push_str(&format!("x.org MX 1 h{n}.org\nh{n}.org A 192.0.2.9\n")));
        (0..20).for_each(|n| zone.push_str(&format!("1.2.0.192.in-addr.arpa PTR h{n}.org\n")));
        let verdict = check(&zone);
        assert_eq!(verdict.outcome, Outcome::Fail);
        // The record, nine times "mx" with its hosts, the client's names, the explanation.
        assert_eq!(verdict.asked.len(), 1 + 9 * 11 + 11 + 1);
        assert!(verdict.asked.len() <= MAX_QUESTIONS as usize);
    }

    #[test]
    fn an_explanation_cannot_break_out_of_its_line() {
        let zone: Zone = "x.org TXT \"v=spf1 -all exp=e.org\"\ne.org TXT \"%{h} may not\"\n".parse().unwrap();
        let explain = |helo: &str| zone.ask(Evaluation::new(CLIENT, helo, "a@x.org", Identity::MailFrom)).explanation;
        assert_eq!(explain("mail.x.org").as_deref(), Some("mail.x.org may not"));
        assert_eq!(explain("mail\r\n250 x"), None);
        assert_eq!(explain(&"x".repeat(500)), None);
        assert_eq!(explain("bücher.x"), None);
    }

    #[test]
    fn ipv4_clients_on_ipv6_sockets_are_ipv4_clients() {
        let zone: Zone = "x.org TXT \"v=spf1 ip4:192.0.2.1 -all\"".parse().unwrap();
        let ip = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(zone.ask(Evaluation::new(ip, "x.org", "x.org", Identity::Helo)).outcome, Outcome::Pass);
    }
}
