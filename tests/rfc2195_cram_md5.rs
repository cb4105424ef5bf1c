//! RFC 2195 §2, and APOP of RFC 1939 §7.

use facteur::sasl::{
    Answer, Channel, Credentials, Identity, Login, Mechanism, Nonces, Offer, Question, ServerStep, apop,
};

const CHALLENGE: &str = "<1896.697170952@postoffice.reston.mci.net>";
const RESPONSE: &str = "tim b913a602c7eda7a495b4e6e7334d3890";

#[test]
fn both_sides_say_what_the_rfc_says() {
    let mut channel = Channel::new("imap", None);
    channel.is_private = true;
    channel.host = "postoffice.reston.mci.net".into();
    let login = Login::new(Identity::new("tim"), Credentials::Password("tanstaaftanstaaf".into()));
    let (_, mut client) = login.choose(&["CRAM-MD5"], &channel, 0).unwrap();
    assert_eq!(client.initial(), None, "the server goes first");
    assert_eq!(client.respond(CHALLENGE.as_bytes()), Ok(RESPONSE.into()));
    assert_eq!(client.finish(), Ok(()));

    let mut offer = Offer::new([Mechanism::CramMd5]);
    offer.nonces = Nonces::always("1896.697170952");
    let tim = || Identity::new("tim");
    for (password, expected) in [
        (
            Answer::Password("tanstaaftanstaaf".into()),
            ServerStep::Judge { identity: tim(), credentials: Credentials::Proven },
        ),
        (Answer::Password("tanstaaf".into()), ServerStep::Wrong(tim())),
        (Answer::Nobody, ServerStep::Wrong(tim())),
    ] {
        let mut server = offer.begin(Mechanism::CramMd5, &channel);
        assert_eq!(server.respond(None), ServerStep::Challenge(CHALLENGE.into()));
        assert_eq!(server.respond(Some(RESPONSE.into())), ServerStep::Ask(Question::Password { user: "tim".into() }));
        assert_eq!(server.answer(password), expected);
    }
}

#[test]
fn it_is_not_used_where_somebody_may_listen() {
    let login = Login::new(Identity::new("tim"), Credentials::Password("tanstaaftanstaaf".into()));
    assert!(login.choose(&["CRAM-MD5"], &Channel::new("imap", None), 0).is_none());
}

#[test]
fn apop_is_that_of_rfc_1939() {
    let digest = apop("<1896.697170952@dbc.mtview.ca.us>", &"tanstaaf".into());
    assert_eq!(digest, "c4c9334bac560ecc979e58001b3e22fb");
}
