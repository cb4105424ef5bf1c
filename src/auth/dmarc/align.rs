//! Whose message it says it is, and who has proved to have sent it (RFC 9989 §§5.3.1 and 4.4).

use super::Problem;
use crate::auth::{dkim, spf};
use crate::dns::Name;
use crate::message::Header;

/// The domain in the From field (RFC 9989 §5.3.1), in A-labels.
///
/// ```
/// use facteur::auth::dmarc::{Problem, author};
/// use facteur::message::Message;
///
/// let message = Message::parse("From: Ada <ada@Mail.example.org>, bob@mail.example.org\r\n\r\n");
/// assert_eq!(author(message.header())?.as_str(), "mail.example.org");
/// # Ok::<(), Problem>(())
/// ```
///
/// # Errors
/// Where there is not exactly one From field, or not exactly one domain in it, or an address that other readers may take for another
/// ([`Mailbox::is_ambiguous`](crate::address::Mailbox::is_ambiguous)): RFC 9989 §5.3.1 leaves it open what to do with
/// several, and here no one of them is chosen, for nobody knows which a reader sees.
pub fn author(header: Header<'_>) -> Result<Name, Problem> {
    let mut fields = header.all("From");
    let field = fields.next().ok_or(Problem::NoAuthor)?;
    if fields.next().is_some() {
        return Err(Problem::SeveralFrom);
    }
    let mut author: Option<Name> = None;
    // Those of groups count too (RFC 6854).
    for mailbox in field.mailboxes() {
        if mailbox.is_ambiguous() {
            return Err(Problem::SeveralAuthors);
        }
        // A mailbox without a domain of the DNS is one that nobody can answer for.
        let domain = mailbox.address().and_then(|address| address.domain().to_ascii());
        let name = domain.and_then(|domain| Name::parse(&domain).ok()).ok_or(Problem::NoAuthor)?;
        match &author {
            Some(known) if *known != name => return Err(Problem::SeveralAuthors),
            _ => author = Some(name),
        }
    }
    author.ok_or(Problem::NoAuthor)
}

/// How a domain was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums)] // closed by the RFC
pub enum Mechanism {
    /// SPF of the reverse-path.
    Spf,
    /// A DKIM signature.
    Dkim,
}

/// A domain that has proved to have to do with the message (RFC 9989 §3.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identifier {
    /// How.
    pub mechanism: Mechanism,
    /// Which.
    pub domain: Name,
    /// Whether it was not proved because the DNS did not answer, and might be another time.
    pub unproved: bool,
}

impl Identifier {
    /// A domain that is proved.
    pub fn new(mechanism: Mechanism, domain: Name) -> Self {
        Self { mechanism, domain, unproved: false }
    }

    /// Those out of the verdicts of SPF, of the reverse-path or of the HELO name where it is null (RFC 9989 §3.2.4), and DKIM.
    pub fn of(spf: Option<&spf::Verdict>, dkim: &[dkim::Verdict]) -> Vec<Self> {
        let spf = spf.and_then(|verdict| {
            let unproved = match verdict.outcome {
                spf::Outcome::Pass => false,
                spf::Outcome::TempError => true,
                _ => return None,
            };
            let domain = Name::parse(&verdict.domain).ok()?;
            Some(Self { mechanism: Mechanism::Spf, domain, unproved })
        });
        let dkim = dkim.iter().filter_map(|verdict| {
            let unproved = match verdict.outcome {
                // RFC 6376 §3.6.1: what is signed for a test is as not signed.
                _ if verdict.testing => return None,
                dkim::Outcome::Pass => false,
                dkim::Outcome::TempError => true,
                _ => return None,
            };
            let domain = verdict.signature.as_ref()?.domain.clone();
            Some(Self { mechanism: Mechanism::Dkim, domain, unproved })
        });
        let mut identifiers: Vec<Self> = Vec::new();
        for identifier in spf.into_iter().chain(dkim) {
            if !identifiers.contains(&identifier) {
                identifiers.push(identifier);
            }
        }
        identifiers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    #[test]
    fn there_is_one_author_domain_or_none() {
        for (header, expected) in [
            ("From: a@x.org", Ok("x.org")),
            ("from: A <a@X.Org>", Ok("x.org")),
            ("From: a@x.org, b@x.org", Ok("x.org")),
            ("From: Us: a@x.org, b@X.ORG;", Ok("x.org")),
            ("From: a@bücher.example", Ok("xn--bcher-kva.example")),
            ("From: \"a@x.org\" <b@y.org>", Ok("y.org")),
            ("From: a@x.org, b@y.org", Err(Problem::SeveralAuthors)),
            ("From: Us: a@x.org;, b@y.org", Err(Problem::SeveralAuthors)),
            ("From: a@x.org b@y.org", Err(Problem::SeveralAuthors)),
            ("From: <a@x.org> <b@y.org>", Err(Problem::SeveralAuthors)),
            ("From: Us: a@x.org b@y.org;", Err(Problem::SeveralAuthors)),
            ("From: a@x.org\r\nFrom: a@x.org", Err(Problem::SeveralFrom)),
            ("Sender: a@x.org", Err(Problem::NoAuthor)),
            ("From: Us:;", Err(Problem::NoAuthor)),
            ("From: <>", Err(Problem::NoAuthor)),
            ("From:", Err(Problem::NoAuthor)),
            ("From: a@[192.0.2.1]", Err(Problem::NoAuthor)),
        ] {
            let message = Message::parse(format!("{header}\r\n\r\n"));
            let found = author(message.header());
            assert_eq!(found.as_ref().map(Name::as_str).map_err(|problem| *problem), expected, "{header}");
        }
    }
}
