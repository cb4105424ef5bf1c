//! RFC 7628 §4.1 and §4.3, from both sides.

use facteur::base::Tls;
use facteur::sasl::{Channel, Credentials, Identity, Login, Mechanism, Offer, ServerStep};

const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
const MESSAGE: &str = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
const ERROR: &str = "{\"status\":\"invalid_token\",\"scope\":\"example_scope\",\
                     \"openid-configuration\":\"https://example.com/.well-known/openid-config\"}";

fn channel() -> Channel {
    let mut tls = Tls::default();
    tls.server_name = Some("server.example.com".into());
    Channel::new("imap", Some(&tls))
}

fn offer() -> Offer {
    let mut offer = Offer::new([Mechanism::OAuthBearer]);
    offer.oauth_scope = Some("example_scope".into());
    offer.openid_configuration = Some("https://example.com/.well-known/openid-config".into());
    offer
}

#[test]
fn a_token_is_shown_and_judged() {
    let mut login = Login::new(Identity::new("user@example.com"), Credentials::Token(TOKEN.into()));
    login.port = Some(143);
    let (_, mut client) = login.choose(&["OAUTHBEARER"], &channel(), 0).unwrap();
    assert_eq!(client.initial(), Some(MESSAGE.into()));
    assert_eq!(client.finish(), Ok(()));

    let mut server = offer().begin(Mechanism::OAuthBearer, &channel());
    match server.respond(Some(MESSAGE.into())) {
        ServerStep::Judge { identity, credentials } => {
            assert_eq!(identity.name(), "user@example.com");
            assert_eq!(credentials, Credentials::Token(TOKEN.into()));
        }
        other => panic!("{other:?}"),
    }
    // §3.2.2: should the application refuse it
    assert_eq!(server.refusal(), Some(ERROR.into()));
    assert_eq!(client.respond(ERROR.as_bytes()), Ok("\x01".into()));
    assert!(client.finish().is_err());
}

#[test]
fn an_empty_token_asks_for_the_scope() {
    let mut server = offer().begin(Mechanism::OAuthBearer, &channel());
    let message = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01";
    assert_eq!(server.respond(Some(message.into())), ServerStep::Challenge(ERROR.into()));
    assert!(matches!(server.respond(Some("\x01".into())), ServerStep::Wrong(_)));
}

#[test]
fn no_token_goes_over_the_network_in_the_clear() {
    let login = Login::new(Identity::new("user@example.com"), Credentials::Token(TOKEN.into()));
    assert!(login.choose(&["OAUTHBEARER", "XOAUTH2"], &Channel::new("imap", None), 0).is_none());
}
