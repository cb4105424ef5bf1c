//! The suite sasl-rfc-vectors: the mechanisms that are there, both sides.

mod suites;

use std::num::NonZeroU32;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use facteur::base::Secret;
use facteur::sasl::{ClientExchange, Credentials, Identity, Mechanism, ServerExchange, ServerStep, Verifier};
use serde_json::Value;

fn suite() -> Option<PathBuf> {
    suites::find("sasl-rfc-vectors/vectors.json")
}

/// What the client sends, after each challenge, must be `messages`; the server must see what the client was given.
fn agree(mechanism: Mechanism, identity: &Identity, credentials: &Credentials, messages: &[Vec<u8>]) {
    let mut client = ClientExchange::new(mechanism, identity.clone(), credentials.clone()).unwrap();
    let mut server = ServerExchange::new(mechanism);
    let mut step = server.respond(None);
    for message in messages {
        let ServerStep::Challenge(challenge) = &step else { panic!("{mechanism}: {step:?}") };
        let response = client.respond(challenge).unwrap();
        assert_eq!(response, Secret::from(&message[..]), "{mechanism}");
        step = server.respond(Some(response));
    }
    assert_eq!(step, ServerStep::Judge { identity: identity.clone(), credentials: credentials.clone() });
}

#[test]
fn exchanges_are_those_of_the_rfcs() {
    let Some(file) = suite() else {
        println!("conformance sasl-rfc-vectors skipped: the suite is not here");
        return;
    };
    let vectors: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let (mut passed, total) = (0, vectors.len());
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap_or_default().to_owned();
        let octets = |name: &str| BASE64_STANDARD.decode(text(name)).unwrap();
        let password = || Credentials::Password(Secret::from(text("password")));
        let mut identity = Identity::new(text("username"));
        identity.authzid = Some(text("authzid")).filter(|authzid| !authzid.is_empty());
        match text("mechanism").as_str() {
            "PLAIN" => agree(Mechanism::Plain, &identity, &password(), &[octets("message_b64")]),
            "LOGIN" => {
                let decoded = |name: &str| -> Vec<Vec<u8>> {
                    let texts = vector[name].as_array().unwrap();
                    texts.iter().map(|text| BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap()).collect()
                };
                agree(Mechanism::Login, &identity, &password(), &decoded("client"));
                let mut server = ServerExchange::new(Mechanism::Login);
                let mut responses = vec![None];
                responses.extend(decoded("client").into_iter().map(|octets| Some(Secret::from(octets))));
                for (challenge, response) in decoded("server").into_iter().zip(responses) {
                    assert_eq!(server.respond(response), ServerStep::Challenge(challenge.into()));
                }
            }
            "EXTERNAL" => agree(Mechanism::External, &identity, &Credentials::External, &[octets("message_b64")]),
            "ANONYMOUS" => {
                let credentials = Credentials::Anonymous { trace: text("trace") };
                agree(Mechanism::Anonymous, &Identity::default(), &credentials, &[octets("message_b64")]);
            }
            // The keys only; the exchange is not there yet.
            "SCRAM-SHA-256" => {
                let iterations = NonZeroU32::new(vector["iterations"].as_u64().unwrap().try_into().unwrap()).unwrap();
                let verifier = Verifier::new(&text("password").into(), &octets("salt_b64"), iterations);
                assert_eq!(verifier.stored_key()[..], octets("stored_key_b64"));
                assert_eq!(verifier.server_key()[..], octets("server_key_b64"));
                println!("on purpose: SCRAM-SHA-256: only its keys are checked");
                continue;
            }
            other => {
                println!("on purpose: {other}: not there yet");
                continue;
            }
        }
        passed += 1;
    }
    println!("conformance sasl-rfc-vectors {passed}/{total}");
    assert!(passed >= 5);
}
