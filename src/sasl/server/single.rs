//! The mechanisms of which the client's first message tells all (PLAIN, EXTERNAL, ANONYMOUS, OAUTHBEARER, XOAUTH2), and LOGIN.

use bytes::Bytes;

use super::{ServerExchange, ServerStep, State};
use crate::base::{ParseError, Secret};
use crate::sasl::{Credentials, Identity, Mechanism, oauth, prep};

impl ServerExchange {
    /// The mechanisms of which the client's first message tells all, and LOGIN.
    pub(super) fn single(&mut self, mechanism: Mechanism, refusal: Option<String>, response: &[u8]) -> ServerStep {
        let fault = |expected| ServerStep::Malformed(ParseError { expected, at: 0 });
        match mechanism {
            Mechanism::Plain => plain(response),
            Mechanism::Login => match text(response).as_deref().and_then(prep::name) {
                Some(authcid) => {
                    *self.state = State::Login { authcid: authcid.into_owned() };
                    ServerStep::Challenge(Bytes::from_static(b"Password:"))
                }
                None => fault("a user name"),
            },
            Mechanism::External => match text(response) {
                Some(authzid) => {
                    let authzid = Some(authzid).filter(|authzid| !authzid.is_empty());
                    let identity = Identity { authcid: String::new(), authzid };
                    ServerStep::Judge { identity, credentials: Credentials::External }
                }
                None => fault("an authorization identity"),
            },
            // RFC 4505 §2: message = [ email / token ], up to 255 characters.
            Mechanism::Anonymous => match text(response) {
                Some(trace) if trace.chars().count() <= 255 && !trace.chars().any(char::is_control) => {
                    ServerStep::Judge { identity: Identity::default(), credentials: Credentials::Anonymous { trace } }
                }
                _ => fault("trace information of at most 255 characters"),
            },
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
                let read = match mechanism {
                    Mechanism::XOAuth2 => oauth::read_xoauth2(response),
                    _ => oauth::read_bearer(response),
                };
                match read {
                    Ok((identity, Some(token))) => {
                        *self.state = State::Over { refusal };
                        ServerStep::Judge { identity, credentials: Credentials::Token(token) }
                    }
                    // RFC 7628 §4.3: an empty token is a question for the scope.
                    Ok((identity, None)) => {
                        *self.state = State::Refused(identity);
                        ServerStep::Challenge(refusal.unwrap_or_default().into())
                    }
                    Err(error) => ServerStep::Malformed(error),
                }
            }
            _ => fault("another mechanism"), // none begins so
        }
    }
}

/// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2)
fn plain(message: &[u8]) -> ServerStep {
    let fault = |expected, at| ServerStep::Malformed(ParseError { expected, at });
    let mut parts = message.split(|octet| *octet == 0);
    let (Some(authzid), Some(authcid), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return fault("three parts between two NULs", 0);
    };
    let at = authzid.len() + 1;
    match (text(authzid), text(authcid).as_deref().and_then(prep::name)) {
        // authcid = 1*SAFE, passwd = 1*SAFE
        (Some(authzid), Some(authcid)) if text(password).is_some_and(|text| !text.is_empty()) => {
            let authcid = authcid.into_owned();
            let authzid = Some(authzid).filter(|authzid| !authzid.is_empty());
            ServerStep::Judge {
                identity: Identity { authcid, authzid },
                credentials: Credentials::Password(Secret::from(password)),
            }
        }
        _ => fault("a name and a password in UTF-8", at),
    }
}

/// UTF-8 without NUL.
fn text(octets: &[u8]) -> Option<String> {
    std::str::from_utf8(octets).ok().filter(|text| !text.contains('\0')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Channel, Offer, Proxying};

    fn begin(mechanism: Mechanism) -> ServerExchange {
        let mut offer = Offer::new([mechanism]);
        offer.proxying = Proxying::Judged;
        offer.begin(mechanism, &Channel::new("smtp", None))
    }

    fn judged(mechanism: Mechanism, responses: &[&[u8]]) -> ServerStep {
        let mut exchange = begin(mechanism);
        let mut step = exchange.respond(None);
        for response in responses {
            assert!(matches!(step, ServerStep::Challenge(_)), "{step:?}");
            step = exchange.respond(Some(Secret::from(*response)));
        }
        step
    }

    #[test]
    fn plain_messages_are_read() {
        // RFC 4616 §4
        for (message, authcid, authzid, password) in [
            (&b"\0tim\0tanstaaftanstaaf"[..], "tim", None, "tanstaaftanstaaf"),
            (b"Ursel\0Kurt\0xipj3plmq", "Kurt", Some("Ursel"), "xipj3plmq"),
        ] {
            let identity = Identity { authcid: authcid.into(), authzid: authzid.map(Into::into) };
            let credentials = Credentials::Password(password.into());
            assert_eq!(judged(Mechanism::Plain, &[message]), ServerStep::Judge { identity, credentials });
        }
        for bad in [
            &b""[..],
            b"tim",
            b"\0tim",
            b"\0tim\0",
            b"\0\0x",
            b"\0tim\0x\0",
            b"\0tim\0x\0y",
            b"\0\xff\0x",
            b"\0a\0\xff",
        ] {
            assert!(matches!(judged(Mechanism::Plain, &[bad]), ServerStep::Malformed(_)), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn login_asks_twice() {
        let mut exchange = begin(Mechanism::Login);
        assert_eq!(exchange.respond(None), ServerStep::Challenge("Username:".into()));
        assert_eq!(exchange.respond(Some("tim".into())), ServerStep::Challenge("Password:".into()));
        let credentials = Credentials::Password("tanstaaf".into());
        assert_eq!(
            exchange.respond(Some("tanstaaf".into())),
            ServerStep::Judge { identity: Identity::new("tim"), credentials }
        );
        assert!(matches!(exchange.respond(Some("more".into())), ServerStep::Malformed(_)));
        // An initial response is the name.
        let mut exchange = begin(Mechanism::Login);
        assert_eq!(exchange.respond(Some("tim".into())), ServerStep::Challenge("Password:".into()));
        assert!(matches!(judged(Mechanism::Login, &[b""]), ServerStep::Malformed(_)));
        assert!(matches!(judged(Mechanism::Login, &[b"a\0b"]), ServerStep::Malformed(_)));
    }

    #[test]
    fn external_and_anonymous_show_no_password() {
        let identity = |authzid: Option<&str>| Identity { authcid: String::new(), authzid: authzid.map(Into::into) };
        for (response, authzid) in [(&b""[..], None), (b"fred@example.com", Some("fred@example.com"))] {
            let step = ServerStep::Judge { identity: identity(authzid), credentials: Credentials::External };
            assert_eq!(judged(Mechanism::External, &[response]), step);
        }
        // RFC 4505 §4
        let credentials = Credentials::Anonymous { trace: "sirhc".into() };
        assert_eq!(
            judged(Mechanism::Anonymous, &[b"sirhc"]),
            ServerStep::Judge { identity: identity(None), credentials }
        );
        assert!(matches!(judged(Mechanism::Anonymous, &[&[b'x'; 256]]), ServerStep::Malformed(_)));
    }
}
