//! The suite sasl-rfc-vectors: what each RFC prints, from both sides.

mod suites;

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use facteur::base::{Secret, Tls};
use facteur::sasl::{
    Answer, Channel, Credentials, Hash, Identity, Login, Mechanism, Nonces, Offer, Proxying, Question, ServerStep,
    Verifier, apop,
};
use serde_json::Value;

/// An exchange with all that both sides are given.
struct Scene {
    mechanism: Mechanism,
    login: Login,
    channel: Channel,
    /// The server's nonce and realm.
    nonce: String,
    realm: Option<String>,
    /// The salt and the iterations of SCRAM, and the keys that must come of them.
    keys: Option<(Vec<u8>, NonZeroU32)>,
    /// Whether the client's first message goes with the command.
    initial: bool,
}

impl Scene {
    /// Lets both sides speak: what each said, and what the server saw at the end.
    fn play(&self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, ServerStep) {
        let mut offer = Offer::new([self.mechanism]);
        offer.proxying = Proxying::Judged;
        offer.nonces = Nonces::always(self.nonce.clone());
        offer.realm.clone_from(&self.realm);
        let mut server = offer.begin(self.mechanism, &self.channel);
        let (_, mut client) = self.login.choose(&[self.mechanism.name()], &self.channel, 0).unwrap();
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        let first = if self.initial { client.initial() } else { None };
        said.extend(first.as_ref().map(|first| first.expose().to_vec()));
        let mut step = server.respond(first);
        loop {
            step = match step {
                ServerStep::Challenge(challenge) => {
                    heard.push(challenge.to_vec());
                    let response = client.respond(&challenge).unwrap();
                    said.push(response.expose().to_vec());
                    server.respond(Some(response))
                }
                ServerStep::Ask(question) => server.answer(self.answer(&question)),
                last => {
                    assert_eq!(client.finish(), Ok(()));
                    return (said, heard, last);
                }
            }
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        let Credentials::Password(password) = &self.login.credentials else { return Answer::Nobody };
        match (question, &self.keys) {
            (Question::Keys { hash, .. }, Some((salt, iterations))) => {
                Answer::Keys(Verifier::with_hash(*hash, password, salt, *iterations))
            }
            (Question::Password { .. }, _) => Answer::Password(password.clone()),
            _ => Answer::Nobody,
        }
    }
}

fn scene(mechanism: Mechanism, identity: Identity, credentials: Credentials) -> Scene {
    let mut login = Login::new(identity, credentials);
    login.mechanisms = vec![mechanism];
    let channel = Channel::new("imap", Some(&Tls::default()));
    Scene { mechanism, login, channel, nonce: String::new(), realm: None, keys: None, initial: true }
}

/// The texts as octets.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn exchanges_are_those_of_the_rfcs() {
    let Some(file) = suites::find("sasl-rfc-vectors/vectors.json") else { return };
    let vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
        let octets = |name: &str| BASE64_STANDARD.decode(text(name)).unwrap();
        let secret = || Secret::from(text("password"));
        let password = || Credentials::Password(secret());
        let mut identity = Identity::new(text("username"));
        identity.authzid = Some(text("authzid")).filter(|authzid| !authzid.is_empty());
        let judged = |identity: &Identity, credentials| ServerStep::Judge { identity: identity.clone(), credentials };
        let name = text("mechanism");
        match name.as_str() {
            "SCRAM-SHA-1" | "SCRAM-SHA-256" => {
                let hash = if name == "SCRAM-SHA-1" { Hash::Sha1 } else { Hash::Sha256 };
                let iterations = NonZeroU32::new(vector["iterations"].as_u64().unwrap().try_into().unwrap()).unwrap();
                let verifier = Verifier::with_hash(hash, &secret(), &octets("salt_b64"), iterations);
                assert_eq!(verifier.stored_key(), octets("stored_key_b64"));
                assert_eq!(verifier.server_key(), octets("server_key_b64"));
                let mut scene = scene(Mechanism::Scram(hash), identity.clone(), password());
                scene.nonce = text("server_nonce");
                scene.login.nonces = Nonces::always(text("client_nonce"));
                scene.keys = Some((octets("salt_b64"), iterations));
                let (said, heard, end) = scene.play();
                assert_eq!(said, texts(&[&text("client_first"), &text("client_final"), ""]));
                assert_eq!(heard, texts(&[&text("server_first"), &text("server_final")]));
                assert_eq!(end, judged(&identity, Credentials::Proven));
            }
            "CRAM-MD5" => {
                let challenge = text("challenge");
                let (nonce, host) = challenge.trim_matches(['<', '>']).split_once('@').unwrap();
                let mut scene = scene(Mechanism::CramMd5, identity.clone(), password());
                (scene.nonce, scene.channel.host) = (nonce.to_owned(), host.to_owned());
                let (said, heard, end) = scene.play();
                assert_eq!((said, heard), (texts(&[&text("response")]), texts(&[&challenge])));
                assert_eq!(end, judged(&identity, Credentials::Proven));
            }
            "DIGEST-MD5" => {
                let mut scene = scene(Mechanism::DigestMd5, identity.clone(), password());
                let uri = text("digest_uri");
                let (service, host) = uri.split_once('/').unwrap();
                scene.channel.service = if service == "imap" { "imap" } else { "acap" };
                scene.channel.host = host.to_owned();
                (scene.nonce, scene.realm) = (text("nonce"), Some(text("realm")));
                scene.login.nonces = Nonces::always(text("cnonce"));
                let (said, heard, end) = scene.play();
                let response = format!(
                    "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"{}\",nc=00000001,\
                     cnonce=\"{}\",digest-uri=\"{uri}\",response={},qop=auth",
                    text("nonce"),
                    text("cnonce"),
                    text("response")
                );
                assert_eq!(said, texts(&[&response, ""]));
                assert_eq!(heard[1], format!("rspauth={}", text("rspauth")).into_bytes());
                if vector["challenge"].is_string() {
                    assert_eq!(heard[0], text("challenge").into_bytes());
                }
                assert_eq!(end, judged(&identity, Credentials::Proven));
            }
            "PLAIN" => {
                let (said, _, end) = scene(Mechanism::Plain, identity.clone(), password()).play();
                assert_eq!(said, [octets("message_b64")]);
                assert_eq!(end, judged(&identity, password()));
            }
            "OAUTHBEARER" | "XOAUTH2" => {
                let token = Credentials::Token(text("token").into());
                let mechanism = if name == "XOAUTH2" { Mechanism::XOAuth2 } else { Mechanism::OAuthBearer };
                let mut scene = scene(mechanism, identity.clone(), token.clone());
                scene.login.host = Some(text("host"));
                scene.login.port = vector["port"].as_u64().map(|port| port.try_into().unwrap());
                let (said, heard, end) = scene.play();
                assert_eq!((said, heard), (vec![octets("message_b64")], Vec::new()));
                assert_eq!(end, judged(&identity, token));
            }
            "APOP" => assert_eq!(apop(&text("challenge"), &secret()), text("response")),
            "LOGIN" => {
                let decoded = |name: &str| -> Vec<Vec<u8>> {
                    let texts = vector[name].as_array().unwrap();
                    texts.iter().map(|text| BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap()).collect()
                };
                let mut scene = scene(Mechanism::Login, identity.clone(), password());
                scene.initial = false;
                let (said, heard, end) = scene.play();
                assert_eq!((said, heard), (decoded("client"), decoded("server")));
                assert_eq!(end, judged(&identity, password()));
            }
            "EXTERNAL" => {
                let (said, _, end) = scene(Mechanism::External, identity.clone(), Credentials::External).play();
                assert_eq!(said, [octets("message_b64")]);
                assert_eq!(end, judged(&identity, Credentials::External));
            }
            "ANONYMOUS" => {
                let shown = Credentials::Anonymous { trace: text("trace") };
                let (said, _, end) = scene(Mechanism::Anonymous, identity.clone(), shown.clone()).play();
                assert_eq!(said, [octets("message_b64")]);
                assert_eq!(end, judged(&identity, shown));
            }
            other => panic!("a mechanism that is not known here: {other}"),
        }
    }
    // A vector that is not met has panicked above.
    println!("conformance sasl-rfc-vectors {}/{}", vectors.len(), vectors.len());
    assert_eq!(vectors.len(), 13);
}
