//! OAUTHBEARER (RFC 7628) and XOAUTH2, which came before it (Google's and Microsoft's pages on XOAUTH2): their messages.
//!
//! Left out: tokens other than bearer tokens (RFC 6750), and looking at the host and port that a client names.

use super::{Channel, Identity};
use crate::base::{ParseError, Secret};

/// What separates and ends key/value pairs.
const SEPARATOR: u8 = 1;

/// A client's message: `n,a=name,^Ahost=host^Aport=port^Aauth=Bearer token^A^A`. `None` where it cannot carry the name.
pub(super) fn bearer(identity: &Identity, token: &Secret, channel: &Channel) -> Option<Secret> {
    let mut out = b"n,".to_vec();
    if !identity.name().is_empty() {
        out.extend_from_slice(b"a=");
        // RFC 5801 §4: ',' and '=' are escaped.
        out.extend_from_slice(identity.name().replace('=', "=3D").replace(',', "=2C").as_bytes());
    }
    out.extend_from_slice(b",\x01");
    if !channel.host.is_empty() {
        out.extend_from_slice(format!("host={}\x01", channel.host).as_bytes());
    }
    if let Some(port) = channel.port {
        out.extend_from_slice(format!("port={port}\x01").as_bytes());
    }
    out.extend_from_slice(b"auth=Bearer ");
    carries(identity, token).then(|| Secret::from([&out, token.expose(), b"\x01\x01"].concat()))
}

/// A client's message of XOAUTH2: `user=name^Aauth=Bearer token^A^A`.
pub(super) fn xoauth2(identity: &Identity, token: &Secret) -> Option<Secret> {
    let start = format!("user={}\x01auth=Bearer ", identity.name());
    carries(identity, token).then(|| Secret::from([start.as_bytes(), token.expose(), b"\x01\x01"].concat()))
}

fn carries(identity: &Identity, token: &Secret) -> bool {
    let sound = |octet: u8| octet > 0x1f && octet != 0x7f;
    !token.expose().is_empty() && token.expose().iter().all(u8::is_ascii_graphic) && identity.name().bytes().all(sound)
}

/// What a client of OAUTHBEARER shows; the token is `None` where it only asks for what it would need (RFC 7628 §4.3).
pub(super) fn read_bearer(message: &[u8]) -> Result<(Identity, Option<Secret>), ParseError> {
    let fault = |expected, at| Err(ParseError { expected, at });
    let mut parts = message.splitn(3, |octet| *octet == b',');
    let (flag, authzid, rest) = (parts.next(), parts.next(), parts.next());
    // There is no form that binds a channel.
    if !matches!(flag, Some(b"n" | b"y")) {
        return fault("n or y", 0);
    }
    let (Some(authzid), Some(rest)) = (authzid, rest) else { return fault("a GS2 header", 1) };
    let authzid = match (authzid, authzid.strip_prefix(b"a=").map(name)) {
        (b"", _) => None,
        (_, Some(Some(name))) => Some(name),
        _ => return fault("a= and a name", 2),
    };
    // kvsep *kvpair kvsep
    let Some(pairs) = rest.strip_prefix(&[SEPARATOR]) else { return fault("a separator", message.len() - rest.len()) };
    Ok((Identity { authcid: String::new(), authzid }, token(pairs)?))
}

/// What a client of XOAUTH2 shows.
pub(super) fn read_xoauth2(message: &[u8]) -> Result<(Identity, Option<Secret>), ParseError> {
    let fault = ParseError { expected: "user= and a name", at: 0 };
    let rest = message.strip_prefix(b"user=").ok_or(fault)?;
    let end = memchr::memchr(SEPARATOR, rest).ok_or(fault)?;
    let (user, pairs) = rest.split_at(end);
    let user = std::str::from_utf8(user).ok().and_then(super::prep::name).ok_or(fault)?;
    Ok((Identity::new(user), token(pairs.get(1..).unwrap_or_default())?))
}

/// The token in `*kvpair kvsep`; other pairs are passed over.
fn token(pairs: &[u8]) -> Result<Option<Secret>, ParseError> {
    let fault = |expected| ParseError { expected, at: 0 };
    let pairs = pairs.strip_suffix(&[SEPARATOR]).ok_or(fault("a separator at the end"))?;
    let pairs = pairs.strip_suffix(&[SEPARATOR]).ok_or(fault("two separators at the end"))?;
    let mut auth = None;
    for pair in pairs.split(|octet| *octet == SEPARATOR) {
        let at = memchr::memchr(b'=', pair).ok_or(fault("a key and a value"))?;
        let (key, value) = pair.split_at(at);
        if key.is_empty() || !key.iter().all(u8::is_ascii_alphabetic) {
            return Err(fault("a key of letters"));
        }
        if key == b"auth" && auth.replace(value.get(1..).unwrap_or_default()).is_some() {
            return Err(fault("auth= once"));
        }
    }
    let auth = auth.ok_or(fault("auth="))?;
    if auth.is_empty() {
        return Ok(None);
    }
    // RFC 7628 §4: "Bearer" in any case of letters.
    let (scheme, token) = auth.split_at(auth.len().min(7));
    if !scheme.eq_ignore_ascii_case(b"bearer ") || token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(fault("a bearer token"));
    }
    Ok(Some(Secret::from(token)))
}

/// `saslname` of RFC 5801 §4.
fn name(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let plain = text.replace("=2C", "").replace("=3D", "");
    let sound = !plain.contains('=') && !text.is_empty() && !text.chars().any(char::is_control);
    sound.then(|| text.replace("=2C", ",").replace("=3D", "="))
}

/// What is told a client whose token was refused (RFC 7628 §3.2.2; XOAUTH2 has a `status`, too).
pub(super) fn refusal(scope: Option<&str>, configuration: Option<&str>) -> String {
    let mut out = String::from("{\"status\":\"invalid_token\"");
    for (key, value) in [("scope", scope), ("openid-configuration", configuration)] {
        let Some(value) = value else { continue };
        out.push_str(&format!(",\"{key}\":\""));
        for character in value.chars().filter(|character| !character.is_control()) {
            if matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out.push('"');
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_back() {
        let mut channel = Channel::new("imap", None);
        channel.port = Some(143);
        let token = Secret::from("abc.def==");
        for (name, read) in [("ada@a.test", Some("ada@a.test")), ("a=b,c", Some("a=b,c")), ("", None)] {
            let message = bearer(&Identity::new(name), &token, &channel).unwrap();
            let identity = Identity { authcid: String::new(), authzid: read.map(str::to_owned) };
            assert_eq!(read_bearer(message.expose()), Ok((identity, Some(token.clone()))));
        }
        // What is not known is not said.
        (channel.host, channel.port) = (String::new(), None);
        let message = bearer(&Identity::new("ada"), &token, &channel).unwrap();
        assert_eq!(message, "n,a=ada,\x01auth=Bearer abc.def==\x01\x01".into());
        let message = xoauth2(&Identity::new("ada@a.test"), &token).unwrap();
        assert_eq!(read_xoauth2(message.expose()), Ok((Identity::new("ada@a.test"), Some(token.clone()))));
        assert!(bearer(&Identity::new("a\x01b"), &token, &channel).is_none());
        assert!(xoauth2(&Identity::new("ada"), &"to\x01ken".into()).is_none());
        assert!(xoauth2(&Identity::new("ada"), &"".into()).is_none());
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bad in [
            "",
            "\x01",
            "n,,",
            "n,,\x01",
            "n,,\x01auth=Bearer x\x01",
            "n,,\x01host=h\x01\x01",
            "n,,\x01auth=Basic x\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            "n,a=,\x01auth=Bearer x\x01\x01",
            "n,a=x=y,\x01auth=Bearer x\x01\x01",
            "n,b=x,\x01auth=Bearer x\x01\x01",
            "p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            "n,,\x011=2\x01auth=Bearer x\x01\x01",
        ] {
            assert!(read_bearer(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for bad in ["", "user=", "user=\x01auth=Bearer x\x01\x01", "user=a\x01auth=Bearer x\x01", "user=a\x01\x01\x01"]
        {
            assert!(read_xoauth2(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(read_bearer(b"y,,\x01a=b\x01auth=bEARER x\x01\x01").unwrap().1, Some("x".into()));
        assert_eq!(read_bearer(b"n,,\x01auth=\x01\x01").unwrap().1, None, "a question");
    }

    #[test]
    fn a_refusal_is_json_whatever_it_says() {
        assert_eq!(refusal(None, None), r#"{"status":"invalid_token"}"#);
        let expected = r#"{"status":"invalid_token","scope":"a\"b","openid-configuration":"c\\d"}"#;
        assert_eq!(refusal(Some("a\"b\n"), Some("c\\d")), expected);
    }
}
