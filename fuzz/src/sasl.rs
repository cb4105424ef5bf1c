//! SASL: both sides of every mechanism. The user `ada` has the password `secret`; nonces are always the same.

use std::num::NonZeroU32;

use facteur::base::{Secret, Tls};
use facteur::sasl::{
    Answer, Channel, Credentials, Identity, Login, Mechanism, Nonces, Offer, Proxying, Question, ServerStep, Verifier,
};

/// Every mechanism, and one from outside.
pub fn offer() -> Offer {
    let mut offer = Offer::new(Mechanism::ALL.into_iter().chain([Mechanism::Foreign("X-ECHO")]));
    offer.nonces = Nonces::always("server");
    offer.decoys = "decoys".into();
    offer.proxying = Proxying::Judged;
    offer
}

/// What is known of users; the mechanism from outside believes whoever says `please` at once.
pub fn answer(question: &Question) -> Answer {
    match question {
        Question::Keys { user, hash } if user == "ada" => {
            let iterations = NonZeroU32::new(1).expect("not zero");
            Answer::Keys(Verifier::with_hash(*hash, &"secret".into(), b"salt", iterations))
        }
        Question::Password { user } if user == "ada" => Answer::Password("secret".into()),
        Question::Response { response: Some(response), .. } => match response.expose() {
            b"please" => Answer::Proven(Identity::new("ada")),
            b"" => Answer::Nobody,
            other => Answer::Challenge(other.to_vec().into()),
        },
        Question::Response { response: None, .. } => Answer::Challenge("say please".into()),
        _ => Answer::Nobody,
    }
}

fn channel() -> Channel {
    let mut tls = Tls::default();
    tls.exporter = Some("exporter".into());
    tls.end_point = Some("end point".into());
    Channel::new("imap", Some(&tls))
}

/// The first octet chooses the mechanism, and whether there is an initial response; each line of the rest is a response. Only
/// `ada` is ever proved to be there, an exchange that is over stays so, and what is sent is bounded by what came.
pub fn server(input: &[u8]) {
    let [choice, rest @ ..] = input else { return };
    let offer = offer();
    let mechanism = offer.mechanisms[usize::from(*choice & 127) % offer.mechanisms.len()];
    let play = || {
        let mut exchange = offer.begin(mechanism, &channel());
        let mut steps = Vec::new();
        let first = if choice & 128 == 0 { None } else { Some(None) };
        for response in first.into_iter().chain(rest.split(|octet| *octet == b'\n').map(Some)) {
            let mut step = exchange.respond(response.map(Secret::from));
            while let ServerStep::Ask(question) = step {
                step = exchange.answer(answer(&question));
            }
            if let ServerStep::Challenge(challenge) = &step {
                assert!(challenge.len() <= rest.len() + 512);
                steps.push(step);
                continue;
            }
            if let ServerStep::Judge { identity, credentials: Credentials::Proven } = &step {
                assert_eq!(identity.authcid, "ada");
            }
            if matches!(step, ServerStep::Judge { .. }) {
                let _ = exchange.refusal();
            }
            steps.push(step);
            let more = exchange.respond(Some(Secret::from("more")));
            assert!(matches!(more, ServerStep::Malformed(_)), "{more:?}");
            break;
        }
        steps
    };
    assert_eq!(play(), play());
}

/// The first octet chooses the mechanism; each line of the rest is a challenge. What is sent is bounded by what came, after a
/// fault nothing is sent, and a server that has not proved what it must is not believed.
pub fn client(input: &[u8]) {
    let [choice, rest @ ..] = input else { return };
    let mechanism = Mechanism::ALL[usize::from(*choice & 127) % Mechanism::ALL.len()];
    let credentials = match mechanism {
        Mechanism::External => Credentials::External,
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::Token("token".into()),
        Mechanism::Anonymous => Credentials::Anonymous { trace: "ada".into() },
        _ => Credentials::Password("secret".into()),
    };
    let mut login = Login::new(Identity::new("ada"), credentials);
    login.mechanisms = vec![mechanism];
    login.nonces = Nonces::always("client");
    (login.min_iterations, login.max_iterations) = (1, 5000);
    let Some((0, mut exchange)) = login.choose(&[mechanism.name()], &channel(), 0) else {
        panic!("{mechanism} will do")
    };
    if choice & 128 != 0 {
        let _ = exchange.initial();
    }
    let mut last = &b""[..];
    for challenge in rest.split(|octet| *octet == b'\n') {
        match exchange.respond(challenge) {
            Ok(response) => assert!(response.expose().len() <= 4 * challenge.len() + 1024),
            Err(_) => {
                assert!(exchange.finish().is_err() && exchange.respond(challenge).is_err());
                return;
            }
        }
        last = challenge;
        if exchange.finish().is_ok() {
            break;
        }
    }
    if exchange.finish().is_ok() {
        let proof: &[u8] = match mechanism {
            Mechanism::Scram(_) | Mechanism::ScramPlus(_) => b"v=",
            Mechanism::DigestMd5 => b"rspauth",
            _ => b"",
        };
        let shown = last.to_ascii_lowercase();
        assert!(proof.is_empty() || shown.windows(proof.len()).any(|part| part == proof));
    }
}
