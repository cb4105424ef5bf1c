//! DIGEST-MD5 (RFC 2831) without its security layers and without subsequent authentication. Historic (RFC 6331): for programs
//! that have nothing better, never by default.

use super::cram::hex;
use super::{Identity, prep};
use crate::base::crypto;
use crate::base::{ParseError, Secret};

/// RFC 2831 §2.1.1: "The size of a digest-challenge MUST be less than 2048 bytes", §2.1.2: a digest-response less than 4096.
const MAX_CHALLENGE: usize = 2048;
const MAX_RESPONSE: usize = 4096;

const fn fault(expected: &'static str, at: usize) -> ParseError {
    ParseError { expected, at }
}

/// `1#( token "=" ( token | quoted-string ) )`, the names in lower case and the values without their quotes.
fn directives(octets: &[u8], less_than: usize) -> Result<Vec<(String, Vec<u8>)>, ParseError> {
    if octets.len() >= less_than {
        return Err(fault("a shorter message", less_than));
    }
    let is_token = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&octet);
    let mut found = Vec::new();
    let mut at = 0;
    let blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t' | b'\r' | b'\n'));
    loop {
        while blank(octets.get(at)) || octets.get(at) == Some(&b',') {
            at += 1;
        }
        if at == octets.len() {
            return Ok(found);
        }
        let start = at;
        while octets.get(at).is_some_and(|octet| is_token(*octet)) {
            at += 1;
        }
        let name = octets.get(start..at).unwrap_or_default();
        if name.is_empty() || octets.get(at) != Some(&b'=') {
            return Err(fault("a directive", start));
        }
        at += 1;
        let mut value = Vec::new();
        if octets.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match (octets.get(at), octets.get(at + 1)) {
                    (Some(b'"'), _) => break,
                    (Some(b'\\'), Some(escaped)) => {
                        value.push(*escaped);
                        at += 2;
                    }
                    (Some(octet), Some(_)) => {
                        value.push(*octet);
                        at += 1;
                    }
                    _ => return Err(fault("the end of a quoted string", at)),
                }
            }
            at += 1;
        } else {
            // A digest-uri is quoted by the grammar; values of others are tokens.
            while octets.get(at).is_some_and(|octet| is_token(*octet)) {
                value.push(octets[at]); // there is one, as just seen
                at += 1;
            }
        }
        while blank(octets.get(at)) {
            at += 1;
        }
        if !matches!(octets.get(at), None | Some(b',')) {
            return Err(fault("a comma", at));
        }
        found.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value)); // tokens are ASCII
    }
}

/// The value of a directive that may stand there once at most.
fn once<'a>(all: &'a [(String, Vec<u8>)], name: &str) -> Result<Option<&'a [u8]>, ParseError> {
    let mut values = all.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice());
    let value = values.next();
    if values.next().is_some() { Err(fault("a directive once", 0)) } else { Ok(value) }
}

/// Directives that mean something to security layers alone. §2.1.1 and §2.1.2: of more than one of them "the client MUST abort the
/// authentication exchange", and so must the server.
fn check_unused(all: &[(String, Vec<u8>)]) -> Result<(), ParseError> {
    once(all, "cipher")?;
    match once(all, "maxbuf")? {
        Some(size) if size.is_empty() || !size.iter().all(u8::is_ascii_digit) => Err(fault("maxbuf in octets", 0)),
        _ => Ok(()),
    }
}

/// What goes into the hashes besides the password.
#[derive(Debug)]
struct Session {
    /// As it came.
    name: Vec<u8>,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    cnonce: Vec<u8>,
    uri: Vec<u8>,
    authzid: Option<Vec<u8>>,
    utf8: bool,
}

impl Session {
    /// `response-value` of §2.1.2.1; `method` is `AUTHENTICATE` for the client, empty for the server.
    fn value(&self, password: &Secret, method: &[u8]) -> String {
        let (name, password) = (as_hashed(&self.name, self.utf8), as_hashed(password.expose(), true));
        let secret = crypto::md5(&[name.expose(), b":", &self.realm, b":", password.expose()]);
        let mut a1 = [&secret[..], b":", &self.nonce, b":", &self.cnonce].concat();
        if let Some(authzid) = &self.authzid {
            a1.push(b':');
            a1.extend_from_slice(authzid);
        }
        let (a1, a2) = (hex(crypto::md5(&[&a1])), hex(crypto::md5(&[method, b":", &self.uri])));
        let value = [a1.as_bytes(), b":", &self.nonce, b":00000001:", &self.cnonce, b":auth:", a2.as_bytes()];
        hex(crypto::md5(&value))
    }
}

/// §2.1.2.1: what is in UTF-8 and has only characters of ISO 8859-1 "must be converted to ISO 8859-1 before being hashed".
fn as_hashed(octets: &[u8], utf8: bool) -> Secret {
    let text = std::str::from_utf8(octets).ok().filter(|_| utf8);
    let latin: Option<Vec<u8>> = text.and_then(|text| text.chars().map(|char| u8::try_from(char).ok()).collect());
    latin.map_or_else(|| Secret::from(octets), Secret::from)
}

fn quoted(octets: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for octet in octets {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*octet);
    }
    out.push(b'"');
    out
}

/// A server that waits for the digest-response.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) service: &'static str,
    pub(super) realm: String,
    pub(super) nonce: String,
}

/// A server that must know the password.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) identity: Identity,
    session: Session,
    response: Vec<u8>,
}

impl Asked {
    pub(super) fn challenge(&self) -> Vec<u8> {
        let realm = quoted(self.realm.as_bytes());
        let rest = format!(",nonce=\"{}\",qop=\"auth\",algorithm=md5-sess,charset=utf-8", self.nonce);
        [b"realm=", &realm[..], rest.as_bytes()].concat()
    }

    /// `digest-response`
    pub(super) fn read(self, response: &[u8]) -> Result<Shown, ParseError> {
        let all = directives(response, MAX_RESPONSE)?;
        check_unused(&all)?;
        let needed = |name, expected| once(&all, name)?.ok_or(fault(expected, response.len()));
        let (name, nonce) = (needed("username", "username")?, needed("nonce", "nonce")?);
        if !crypto::equal(nonce, self.nonce.as_bytes()) {
            return Err(fault("the nonce that was sent", 0));
        }
        let realm = once(&all, "realm")?.unwrap_or_default();
        if !realm.is_empty() && realm != self.realm.as_bytes() {
            return Err(fault("the realm that was sent", 0));
        }
        // §2.1.3: "The server checks that the nonce-count is "00000001"."
        if needed("nc", "nc")? != b"00000001" {
            return Err(fault("a nonce-count of 00000001", 0));
        }
        if once(&all, "qop")?.is_some_and(|qop| qop != b"auth") {
            return Err(fault("qop=auth", 0));
        }
        let uri = needed("digest-uri", "digest-uri")?;
        // §2.1.2: "The serv-type component should match the service being offered." A host has many names; which of them the
        // client knows it by does not matter to us.
        let service = uri.split(|octet| *octet == b'/').next().unwrap_or_default();
        if !service.eq_ignore_ascii_case(self.service.as_bytes()) || service.len() == uri.len() {
            return Err(fault("the digest-uri of this service", 0));
        }
        let utf8 = match once(&all, "charset")? {
            None => false,
            Some(charset) if charset.eq_ignore_ascii_case(b"utf-8") => true,
            Some(_) => return Err(fault("charset=utf-8", 0)),
        };
        let text = match utf8 {
            true => std::str::from_utf8(name).map_err(|_| fault("a user name in UTF-8", 0))?.to_owned(),
            false => name.iter().copied().map(char::from).collect(),
        };
        let authcid = prep::name(&text).ok_or(fault("a user name", 0))?.into_owned();
        // GNU SASL sends an empty one, and reckons without it, where there is none.
        let authzid = once(&all, "authzid")?.filter(|authzid| !authzid.is_empty());
        let acting = match authzid.map(std::str::from_utf8) {
            None => None,
            Some(Ok(text)) if !text.contains('\0') => Some(text.to_owned()),
            Some(_) => return Err(fault("an authorization identity in UTF-8", 0)),
        };
        let session = Session {
            name: name.to_vec(),
            realm: realm.to_vec(),
            nonce: nonce.to_vec(),
            cnonce: needed("cnonce", "cnonce")?.to_vec(),
            uri: uri.to_vec(),
            authzid: authzid.map(<[u8]>::to_vec),
            utf8,
        };
        let response = needed("response", "response")?.to_vec();
        Ok(Shown { identity: Identity { authcid, authzid: acting }, session, response })
    }
}

impl Shown {
    /// `response-auth`, where the client knows the password.
    pub(super) fn judge(&self, password: &Secret) -> Option<String> {
        let expected = self.session.value(password, b"AUTHENTICATE");
        let right = crypto::equal(&self.response, expected.as_bytes());
        right.then(|| format!("rspauth={}", self.session.value(password, b"")))
    }
}

/// The client's answer to a digest-challenge, and the `rspauth` that the server must then show.
pub(super) fn respond(
    challenge: &[u8],
    identity: &Identity,
    password: &Secret,
    (service, host): (&str, &str),
    cnonce: String,
) -> Result<(Secret, String), ParseError> {
    let all = directives(challenge, MAX_CHALLENGE)?;
    let nonce = once(&all, "nonce")?.ok_or(fault("nonce", challenge.len()))?;
    let algorithm = once(&all, "algorithm")?.ok_or(fault("algorithm", challenge.len()))?;
    if !algorithm.eq_ignore_ascii_case(b"md5-sess") {
        return Err(fault("algorithm=md5-sess", 0));
    }
    // "This directive is optional; if not present it defaults to "auth"."
    let offered = once(&all, "qop")?.unwrap_or(b"auth");
    if !offered.split(|octet| *octet == b',').any(|qop| qop.trim_ascii().eq_ignore_ascii_case(b"auth")) {
        return Err(fault("qop=auth", 0));
    }
    check_unused(&all)?;
    once(&all, "stale")?;
    let utf8 = once(&all, "charset")?.is_some_and(|charset| charset.eq_ignore_ascii_case(b"utf-8"));
    // The first realm of several: they are in the server's order.
    let realm = all.iter().find(|(name, _)| name == "realm").map(|(_, value)| value.clone());
    let latin = |text: &str| text.chars().map(|char| u8::try_from(char).ok()).collect::<Option<Vec<u8>>>();
    let name = match utf8 {
        true => identity.authcid.as_bytes().to_vec(),
        false => latin(&identity.authcid).ok_or(fault("charset=utf-8, which this user name needs", 0))?,
    };
    let session = Session {
        name,
        realm: realm.clone().unwrap_or_default(),
        nonce: nonce.to_vec(),
        cnonce: cnonce.into_bytes(),
        uri: format!("{service}/{host}").into_bytes(),
        authzid: identity.authzid.as_ref().filter(|name| !name.is_empty()).map(|name| name.clone().into_bytes()),
        utf8,
    };
    let mut out = Vec::new();
    if utf8 {
        out.extend_from_slice(b"charset=utf-8,");
    }
    let mut add = |name: &str, value: &[u8]| {
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b',');
    };
    add("username", &quoted(&session.name));
    if let Some(realm) = &realm {
        add("realm", &quoted(realm));
    }
    add("nonce", &quoted(nonce));
    add("nc", b"00000001");
    add("cnonce", &quoted(&session.cnonce));
    add("digest-uri", &quoted(&session.uri));
    add("response", session.value(password, b"AUTHENTICATE").as_bytes());
    if let Some(authzid) = &session.authzid {
        add("authzid", &quoted(authzid));
    }
    out.extend_from_slice(b"qop=auth");
    Ok((Secret::from(out), session.value(password, b"")))
}

/// Checks `response-auth`.
pub(super) fn check(challenge: &[u8], expected: &str) -> Result<(), ParseError> {
    let all = directives(challenge, MAX_CHALLENGE)?;
    let shown = once(&all, "rspauth")?.ok_or(fault("rspauth", 0))?;
    match crypto::equal(shown, expected.as_bytes()) {
        true => Ok(()),
        false => Err(fault("the rspauth of a server that knows the password", 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read() {
        let pairs = |text: &str| {
            let all = directives(text.as_bytes(), 100)?;
            Ok(all.into_iter().map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect::<Vec<_>>())
        };
        let expected = vec![("a".to_owned(), "b,\"c\\".to_owned()), ("qop".to_owned(), "auth".to_owned())];
        assert_eq!(pairs(r#", A="b,\"c\\" ,, QOP=auth,"#), Ok::<_, ParseError>(expected));
        assert_eq!(pairs(""), Ok(Vec::new()));
        for bad in ["a", "=b", "a=\"b", "a=\"b\\", "a=b c", "a=b\"c\"", "a = b"] {
            assert!(pairs(bad).is_err(), "{bad}");
        }
        assert!(pairs(&"a=b,".repeat(25)).is_err());
    }
}
