//! What the talks about AUTH have in common: every mechanism, and the users of the RFCs' examples.

use std::num::NonZeroU32;

use facteur::sasl::{Answer, Hash, Identity, Mechanism, Nonces, Offer, Question, Verifier};

/// Every mechanism, and `X-PLEASE` from outside.
pub fn offer() -> Offer {
    let mut offer = Offer::new(Mechanism::ALL.into_iter().chain([Mechanism::Foreign("X-PLEASE")]));
    offer.decoys = "decoys".into();
    offer.oauth_scope = Some("example_scope".into());
    offer.openid_configuration = Some("https://example.com/.well-known/openid-configuration".into());
    offer
}

/// `GIVEN nonce TEXT` and `GIVEN realm TEXT`.
pub fn given(offer: &mut Offer, what: &str, text: &str) -> bool {
    match what {
        "nonce" => offer.nonces = Nonces::always(text),
        "realm" => offer.realm = Some(text.to_owned()),
        _ => return false,
    }
    true
}

/// What is known of users: `user` of RFC 5802 and RFC 7677, `tim` of RFC 2195, `chris` of RFC 2831, `mrose` of RFC 1939. The
/// mechanism from outside believes whoever says `please`.
pub fn answer(question: &Question) -> Answer {
    let password = |user: &str| match user {
        "tim" => Answer::Password("tanstaaftanstaaf".into()),
        "chris" => Answer::Password("secret".into()),
        "mrose" => Answer::Password("tanstaaf".into()),
        _ => Answer::Nobody,
    };
    match question {
        Question::Keys { user, hash } if user == "user" => {
            // base64: QSXCR+Q6sek8bf92 and W22ZaJ0SNY7soEsUEjb6gQ==
            let salt: &[u8] = match hash {
                Hash::Sha1 => b"\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76",
                _ => b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81",
            };
            Answer::Keys(Verifier::with_hash(*hash, &"pencil".into(), salt, NonZeroU32::new(4096).unwrap()))
        }
        Question::Password { user } => password(user),
        Question::Response { response, .. } => match response.as_ref().map(|response| response.expose()) {
            None => Answer::Challenge("Say please".into()),
            Some(b"please") => Answer::Proven(Identity::new("tim")),
            Some(b"pretty") => Answer::Challenge("Pretty what?".into()),
            _ => Answer::Nobody,
        },
        _ => Answer::Nobody,
    }
}
