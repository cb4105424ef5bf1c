//! Trace fields: what a server writes before a message that passed through it (RFC 5321 §4.4), with the `with` keywords of
//! RFC 3848 and RFC 6531 §4.3 and the `tls` clause of RFC 8314 §4.3.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use super::{Attributes, Envelope, ForwardPath, MailParams, OneLine, ReversePath};
use crate::address::{Address, Domain};
use crate::base::{Timestamp, Tls};

/// What a server knows of the client it talks to.
///
/// ```
/// use facteur::smtp::{MailParams, Session};
///
/// let session = Session::new([192, 0, 2, 1].into());
/// assert_eq!(session.with(&MailParams::default()), "SMTP");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The address at the other end.
    pub peer: IpAddr,
    /// The name of that address in the DNS, where the application looked it up and found it to be true.
    pub peer_name: Option<Domain>,
    /// How the client greeted; `None` before it did, and again after STARTTLS.
    pub hello: Option<Hello>,
    /// The TLS session, where there is one.
    pub tls: Option<Tls>,
    /// Who the client proved to be.
    pub identity: Option<String>,
    /// It talked before the banner, which no client that knows SMTP does.
    pub early: bool,
    /// The proxy that stands between, where `peer` is what it said.
    pub via: Option<IpAddr>,
    /// The client's port, where a proxy said it.
    pub peer_port: Option<u16>,
    /// Where the client connected to, where a proxy said it.
    pub destination: Option<SocketAddr>,
    /// Whom the messages came from before, as XFORWARD says: for the log, not for decisions.
    pub forwarded: Option<Attributes>,
}

/// How a client greeted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// Which command it used.
    pub verb: HelloVerb,
    /// What it calls itself; `None` only after a HELO without a name.
    pub name: Option<Domain>,
}

/// The command of a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)] // RFC 5321 and RFC 2033 have no other
pub enum HelloVerb {
    /// SMTP without extensions.
    Helo,
    /// SMTP with extensions.
    Ehlo,
    /// LMTP.
    Lhlo,
}

impl Session {
    /// A client of which nothing is known but where it is.
    pub fn new(peer: IpAddr) -> Self {
        Self {
            peer,
            peer_name: None,
            hello: None,
            tls: None,
            identity: None,
            early: false,
            via: None,
            peer_port: None,
            destination: None,
            forwarded: None,
        }
    }

    /// The protocol as `with` of a Received field names it (RFC 3848 §2): `ESMTPSA`; for a message that needs SMTPUTF8 as
    /// RFC 6531 §4.3 does: `UTF8SMTPSA`.
    pub fn with(&self, params: &MailParams) -> &'static str {
        let verb = self.hello.as_ref().map_or(HelloVerb::Helo, |hello| hello.verb);
        let rows: [&[&str; 2]; 4] = match verb {
            // No keyword says that the extensions were used which HELO does not have; a session with TLS or AUTH had them.
            HelloVerb::Helo if self.tls.is_none() && self.identity.is_none() => return "SMTP",
            HelloVerb::Helo | HelloVerb::Ehlo => {
                [&["ESMTP", "UTF8SMTP"], &["ESMTPA", "UTF8SMTPA"], &["ESMTPS", "UTF8SMTPS"], &["ESMTPSA", "UTF8SMTPSA"]]
            }
            HelloVerb::Lhlo => {
                [&["LMTP", "UTF8LMTP"], &["LMTPA", "UTF8LMTPA"], &["LMTPS", "UTF8LMTPS"], &["LMTPSA", "UTF8LMTPSA"]]
            }
        };
        let row = usize::from(self.tls.is_some()) * 2 + usize::from(self.identity.is_some());
        rows[row][usize::from(params.smtputf8)] // row is at most 3
    }

    /// The Received field for a message of this session, received by the server `by` and kept there as `id`. It names the
    /// recipient where there is exactly one (RFC 5321 §7.2: several would tell on blind copies). Domains are in A-labels, where RFC
    /// 6531 §3.7.3 would have U-labels: an umlaut of theirs must not make an ASCII message one that the next server cannot take.
    pub fn received(&self, by: Domain, id: &str, envelope: &Envelope, date: Timestamp) -> Received {
        Received {
            from: self.hello.as_ref().and_then(|hello| in_ascii(hello.name.as_ref()?)),
            peer: self.peer,
            peer_name: self.peer_name.clone(),
            by: in_ascii(&by).unwrap_or(by),
            with: self.with(&envelope.params),
            id: id.to_owned(),
            cipher: self.tls.as_ref().map(|tls| tls.cipher.clone()),
            to: match envelope.recipients.as_slice() {
                [only] => Some(forward_in_ascii(&only.to).unwrap_or_else(|| only.to.clone())),
                _ => None,
            },
            date,
        }
    }
}

/// The name without U-labels; `None` where it has no such form.
pub(super) fn in_ascii(name: &Domain) -> Option<Domain> {
    if name.is_ascii() { Some(name.clone()) } else { name.to_ascii()?.parse().ok() }
}

/// The path with its domain in A-labels; `None` where it has no form in ASCII.
pub(super) fn forward_in_ascii(path: &ForwardPath) -> Option<ForwardPath> {
    match path {
        ForwardPath::Postmaster => Some(ForwardPath::Postmaster),
        ForwardPath::Address(address) => address_in_ascii(address).map(ForwardPath::Address),
    }
}

/// As [`forward_in_ascii`].
pub(super) fn address_in_ascii(address: &Address) -> Option<Address> {
    if address.is_ascii() {
        return Some(address.clone());
    }
    Address::new(address.local(), in_ascii(address.domain())?).ok().filter(Address::is_ascii)
}

/// `Time-stamp-line` (RFC 5321 §4.4): a Received field, written with its name, folded, and ended by CRLF.
///
/// ```
/// use facteur::base::Timestamp;
/// use facteur::smtp::{Envelope, ReversePath, Session};
///
/// let session = Session::new([192, 0, 2, 1].into());
/// let envelope = Envelope::new(ReversePath::Null, []);
/// let received = session.received("mx.test".parse()?, "1aB", &envelope, Timestamp::from_unix(0));
/// assert_eq!(
///     received.to_string(),
///     "Received: from [192.0.2.1] ([192.0.2.1])\r\n\tby mx.test with SMTP id 1aB;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n",
/// );
/// # Ok::<(), facteur::base::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// What the client called itself.
    pub from: Option<Domain>,
    /// The address of the client.
    pub peer: IpAddr,
    /// Its name in the DNS.
    pub peer_name: Option<Domain>,
    /// The server.
    pub by: Domain,
    /// The protocol, `ESMTPS`.
    pub with: &'static str,
    /// The server's name for the message: an atom; other characters are written as `?`.
    pub id: String,
    /// The TLS cipher suite by its registered name.
    pub cipher: Option<String>,
    /// The only recipient.
    pub to: Option<ForwardPath>,
    /// When the message came.
    pub date: Timestamp,
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = Domain::from(self.peer);
        f.write_str("Received: from ")?;
        write!(OneLine(f), "{} (", self.from.as_ref().unwrap_or(&peer))?;
        if let Some(name) = &self.peer_name {
            write!(OneLine(f), "{name} ")?;
        }
        write!(f, "{peer})\r\n\tby ")?;
        write!(OneLine(f), "{} with {} id ", self.by, self.with)?;
        for character in self.id.chars() {
            // ID = CFWS "ID" FWS ( Atom / msg-id )
            let is_atom =
                matches!(character, '.' | '<' | '>' | '@') || crate::address::is_atext(character as u32 as u8);
            f.write_char(if character.is_ascii() && is_atom { character } else { '?' })?;
        }
        if let Some(to) = &self.to {
            f.write_str("\r\n\tfor ")?;
            write!(OneLine(f), "{to}")?;
        }
        if let Some(cipher) = self.cipher.as_ref().filter(|cipher| !cipher.is_empty()) {
            f.write_str("\r\n\ttls ")?;
            write!(OneLine(f), "{cipher}")?;
        }
        write!(f, ";\r\n\t{}\r\n", self.date)
    }
}

/// `Return-path-line = "Return-Path:" FWS Reverse-path <CRLF>` (RFC 5321 §4.4), for the server that makes final delivery.
///
/// ```
/// use facteur::smtp::{ReversePath, trace};
///
/// assert_eq!(trace::return_path(&ReversePath::Null), "Return-Path: <>\r\n");
/// ```
pub fn return_path(from: &ReversePath) -> String {
    let mut line = String::from("Return-Path: ");
    let _ = write!(OneLine(&mut line), "{from}"); // writing to a String cannot fail
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(verb: HelloVerb, tls: bool, auth: bool) -> Session {
        let mut session = Session::new([192, 0, 2, 1].into());
        session.hello = Some(Hello { verb, name: Some("client.test".parse().unwrap()) });
        session.tls = tls.then(|| Tls { cipher: "TLS_AES_256_GCM_SHA384".into(), ..Tls::default() });
        session.identity = auth.then(|| "ada".into());
        session
    }

    #[test]
    fn the_with_keyword_is_that_of_the_registry() {
        use HelloVerb::{Ehlo, Helo, Lhlo};
        for (verb, tls, auth, utf8, expected) in [
            (Helo, false, false, false, "SMTP"),
            (Ehlo, false, false, false, "ESMTP"),
            (Ehlo, false, true, false, "ESMTPA"),
            (Ehlo, true, false, false, "ESMTPS"),
            (Ehlo, true, true, false, "ESMTPSA"),
            (Helo, true, false, false, "ESMTPS"),
            (Lhlo, false, false, false, "LMTP"),
            (Lhlo, true, true, false, "LMTPSA"),
            (Ehlo, false, false, true, "UTF8SMTP"),
            (Ehlo, true, true, true, "UTF8SMTPSA"),
            (Lhlo, false, true, true, "UTF8LMTPA"),
        ] {
            let params = MailParams { smtputf8: utf8, ..MailParams::default() };
            assert_eq!(session(verb, tls, auth).with(&params), expected);
        }
    }

    #[test]
    fn a_received_field_says_what_is_known() {
        let mut session = session(HelloVerb::Ehlo, true, false);
        session.peer_name = Some("out.client.test".parse().unwrap());
        let to = "ada@b.test".parse().map(ForwardPath::Address).unwrap();
        let date = Timestamp::from_unix(1_057_049_557).at_offset(120);
        let mut envelope = Envelope::new(ReversePath::Null, [to.clone()]);
        let received =
            |envelope: &Envelope| session.received("mx.test".parse().unwrap(), "a b", envelope, date).to_string();
        assert_eq!(
            received(&envelope),
            "Received: from client.test (out.client.test [192.0.2.1])\r\n\tby mx.test with ESMTPS id a?b\r\n\
             \tfor <ada@b.test>\r\n\ttls TLS_AES_256_GCM_SHA384;\r\n\tTue, 1 Jul 2003 10:52:37 +0200\r\n",
        );
        envelope.recipients.push(to.into());
        assert!(!received(&envelope).contains("for "), "several recipients are not told");
        for (to, told) in [
            ("ada@b\u{fc}cher.test", "for <ada@xn--bcher-kva.test>"),
            ("\u{3b4}@b\u{fc}cher.test", "for <\u{3b4}@b\u{fc}cher.test>"),
        ] {
            let only = to.parse().map(ForwardPath::Address).unwrap();
            assert!(received(&Envelope::new(ReversePath::Null, [only])).contains(told), "{told}");
        }
    }

    #[test]
    fn host_names_beyond_ascii_leave_the_message_ascii() {
        let envelope = Envelope::new(ReversePath::Null, []);
        for (name, expected) in [
            ("b\u{fc}cher.test", "from xn--bcher-kva.test ("),
            ("[tag:\u{fc}]", "from [192.0.2.1] ("),
            ("[tag:x]", "from [tag:x] ("),
        ] {
            let mut session = session(HelloVerb::Ehlo, false, false);
            let name = name.parse().unwrap_or_else(|_| Domain::General("tag:\u{fc}".into()));
            session.hello = Some(Hello { verb: HelloVerb::Ehlo, name: Some(name) });
            let by = "mx.\u{fc}.test".parse().unwrap();
            let text = session.received(by, "1", &envelope, Timestamp::from_unix(0)).to_string();
            assert!(text.is_ascii() && text.contains(expected) && text.contains("by mx.xn--tda.test "), "{text}");
        }
    }

    #[test]
    fn nothing_makes_a_second_field_of_it() {
        let mut session = session(HelloVerb::Ehlo, false, false);
        session.hello = Some(Hello { verb: HelloVerb::Ehlo, name: Some(Domain::Name("x\r\nSubject: y".into())) });
        let envelope = Envelope::new(ReversePath::Null, []);
        let text =
            session.received("mx.test".parse().unwrap(), "\r\nX", &envelope, Timestamp::from_unix(0)).to_string();
        assert!(text.lines().skip(1).all(|line| line.starts_with('\t')), "{text}");
    }
}
