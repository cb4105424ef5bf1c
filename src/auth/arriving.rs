//! A message that is checked while it comes: its header first, then its body in pieces, which need not be kept.

use super::check::Running;
use super::{Check, Config, Session, arc, dkim, dmarc, dnsbl, iprev};
use crate::base::Timestamp;
use crate::dns::Within;
use crate::message::Message;

/// A [`Check`] that begins while the body is still on its way. Its memory is that of the signed fields, once a signature.
///
/// The driver's loop: [`new`](Self::new) when the header is complete, [`body`](Self::body) for each piece of what follows the
/// blank line, [`finish`](Self::finish) for the questions. Two things need the whole message and so are left to
/// [`Check::with`]: that something was appended to the body is not told from other changes, and lists are not asked about the
/// hosts in its URIs.
///
/// ```
/// use facteur::auth::{Arriving, Config, Session};
/// use facteur::base::Timestamp;
/// use facteur::dns::Zone;
/// use facteur::message::Message;
/// use facteur::smtp::ReversePath;
///
/// let session = Session::new([192, 0, 2, 1].into(), Some("mail.example.org".parse()?), ReversePath::Null);
/// let head = Message::parse("From: ada@example.org\r\n\r\n");
/// let mut arriving = Arriving::new(&session, &head, Timestamp::from_unix(1_790_000_000), &Config::default());
/// arriving.body(b"Lunch?\r\n");
/// let report = Zone::default().ask(arriving.finish());
/// assert_eq!(report.dkim.len(), 0);
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Arriving {
    signatures: dkim::Verifier,
    /// All but the signatures.
    check: Check,
}

impl Arriving {
    /// Begins with the header: `head` is the message up to its blank line, or more of it, of which the body does not count.
    pub fn new(session: &Session, head: &Message, now: Timestamp, config: &Config) -> Self {
        let header = head.header();
        let mut signatures = dkim::Verifier::new(header, now, &config.dkim);
        let chain = arc::Chain::read(header, now, &mut signatures, config.arc);
        let lists = config.lists.as_ref().map(|lists| {
            let evaluation = dnsbl::Evaluation::new(lists, lists.subjects(session, Some(head)), now);
            Running::new(Within::new(evaluation, lists.patience))
        });
        let check = Check {
            iprev: Running::new(iprev::Evaluation::new(session.peer)),
            helo: session.spf_helo(now).map(Running::new),
            mail_from: session.spf_mail_from(now).map(Running::new),
            signatures: Running::Done(Vec::new()),
            chain,
            author: dmarc::author(header),
            lists,
            dmarc: None,
            pictured: config.bimi.then(|| head.clone()),
            bimi: None,
            patience: config.patience,
            until: None,
        };
        Self { signatures, check }
    }

    /// The next piece of the body.
    pub fn body(&mut self, octets: &[u8]) {
        if self.signatures.wants_body() {
            self.signatures.body(octets);
        }
    }

    /// The end of the body.
    pub fn finish(self) -> Check {
        self.end(None)
    }

    /// The end; with the body at hand, why it has changed is looked for.
    pub(super) fn end(mut self, body: Option<&[u8]>) -> Check {
        self.check.signatures = Running::new(self.signatures.end(body));
        self.check
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;
    use crate::smtp::ReversePath;

    #[test]
    fn a_message_in_pieces_comes_to_the_same_report() {
        let now = Timestamp::from_unix(1_790_000_000);
        let key = dkim::SigningKey::generate_ed25519().unwrap();
        let zone = format!(
            "s1._domainkey.x.org TXT \"{}\"\nx.org TXT \"v=spf1 -all\"\n_dmarc.x.org TXT \"v=DMARC1; p=reject\"\n",
            key.record()
        );
        let zone: Zone = zone.parse().unwrap();
        let plain = Message::parse("From: ada@x.org\r\nSubject: x\r\n\r\na  body \r\n\r\nof lines\r\n\r\n");
        let signer = dkim::Signer::new("x.org".parse().unwrap(), "s1".parse().unwrap(), key);
        let signed = [dkim::sign(&plain, &[signer], now).unwrap().as_bytes(), plain.raw()].concat();
        let session = Session::new([192, 0, 2, 1].into(), None, ReversePath::Address("ada@x.org".parse().unwrap()));
        let config = Config::default();
        let ends = memchr::memmem::find(&signed, b"\r\n\r\n").unwrap() + 4;
        let (head, body) = signed.split_at(ends);
        let whole = zone.ask(Check::new(&session, &Message::parse(signed.clone()), now)).header("mx.test").to_string();
        assert!(whole.contains("dkim=pass") && whole.contains("dmarc=pass"), "{whole}");
        for size in 1..=body.len() {
            let mut arriving = Arriving::new(&session, &Message::parse(head.to_vec()), now, &config);
            body.chunks(size).for_each(|piece| arriving.body(piece));
            assert_eq!(zone.ask(arriving.finish()).header("mx.test").to_string(), whole, "in pieces of {size}");
        }
    }
}
