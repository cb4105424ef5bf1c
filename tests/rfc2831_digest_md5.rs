//! RFC 2831 §4, both examples, from both sides; what each side must refuse; and RFC 6331: nobody uses it unasked.

use facteur::base::Tls;
use facteur::sasl::{
    Answer, Channel, Credentials, Identity, Login, Mechanism, Nonces, Offer, ServerExchange, ServerStep,
};

/// Service, nonce, cnonce, response, rspauth.
const EXAMPLES: [[&str; 5]; 2] = [
    [
        "imap",
        "OA6MG9tEQGm2hh",
        "OA6MHXh6VqTrRk",
        "d388dad90d4bbd760a152321f2143af7",
        "ea40f60335c427b5527b84dbabcdfffd",
    ],
    [
        "acap",
        "OA9BSXrbuRhWay",
        "OA9BSuZWMSpW8m",
        "6084c6db3fede7352c551284490fd0fc",
        "2f0b3d7c3c2e486600ef710726aa2eae",
    ],
];

fn channel(service: &'static str) -> Channel {
    let mut channel = Channel::new(service, Some(&Tls::default()));
    channel.host = "elwood.innosoft.com".into();
    channel
}

fn login(cnonce: &str) -> Login {
    let mut login = Login::new(Identity::new("chris"), Credentials::Password("secret".into()));
    login.mechanisms = vec![Mechanism::DigestMd5];
    login.nonces = Nonces::always(cnonce);
    login
}

fn server(service: &'static str, nonce: &str) -> ServerExchange {
    let mut offer = Offer::new([Mechanism::DigestMd5]);
    offer.nonces = Nonces::always(nonce);
    offer.begin(Mechanism::DigestMd5, &channel(service))
}

#[test]
fn both_sides_say_what_the_rfc_says() {
    for [service, nonce, cnonce, response, rspauth] in EXAMPLES {
        let challenge =
            format!("realm=\"elwood.innosoft.com\",nonce=\"{nonce}\",qop=\"auth\",algorithm=md5-sess,charset=utf-8");
        let answer = format!(
            "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"{nonce}\",nc=00000001,\
             cnonce=\"{cnonce}\",digest-uri=\"{service}/elwood.innosoft.com\",response={response},qop=auth"
        );
        let proof = format!("rspauth={rspauth}");
        let (_, mut client) = login(cnonce).choose(&["DIGEST-MD5"], &channel(service), 0).unwrap();
        assert_eq!(client.initial(), None);
        assert_eq!(client.respond(challenge.as_bytes()), Ok(answer.as_str().into()));
        assert!(client.finish().is_err(), "the server has proved nothing yet");
        assert_eq!(client.respond(proof.as_bytes()), Ok("".into()));
        assert_eq!(client.finish(), Ok(()));

        let mut server = server(service, nonce);
        assert_eq!(server.respond(None), ServerStep::Challenge(challenge.into()));
        assert!(matches!(server.respond(Some(answer.into())), ServerStep::Ask(_)));
        assert_eq!(server.answer(Answer::Password("secret".into())), ServerStep::Challenge(proof.into()));
        let end = ServerStep::Judge { identity: Identity::new("chris"), credentials: Credentials::Proven };
        assert_eq!(server.respond(Some("".into())), end);
    }
}

#[test]
fn a_server_refuses_what_is_not_for_it() {
    let [_, nonce, cnonce, response, _] = EXAMPLES[0];
    let sound = [
        "username=\"chris\"".to_owned(),
        "realm=\"elwood.innosoft.com\"".to_owned(),
        format!("nonce=\"{nonce}\""),
        "nc=00000001".to_owned(),
        format!("cnonce=\"{cnonce}\""),
        "digest-uri=\"imap/elwood.innosoft.com\"".to_owned(),
        format!("response={response}"),
        "qop=auth".to_owned(),
    ];
    let step = |message: String| {
        let mut server = server("imap", nonce);
        server.respond(None);
        match server.respond(Some(message.into())) {
            ServerStep::Ask(_) => server.answer(Answer::Password("secret".into())),
            other => other,
        }
    };
    assert!(matches!(step(sound.join(" ,\r\n ")), ServerStep::Challenge(_)));
    // GNU SASL 2.2
    assert!(matches!(step(format!("{}, authzid=\"\"", sound.join(", "))), ServerStep::Challenge(_)));
    for (at, other) in [
        (0, "username=\"\""),
        (0, "username=\"a\",username=\"b\""),
        (1, "realm=\"another\""),
        (2, "nonce=\"another\""),
        (3, "nc=00000002"),
        (4, ""),
        (5, "digest-uri=\"smtp/elwood.innosoft.com\""),
        (5, "digest-uri=imap"),
        (6, ""),
        (7, "qop=auth-int"),
        (7, "charset=latin1"),
        (7, "charset=utf-8,username=\"\u{7}\""),
        (7, "maxbuf=large"),
        (7, "maxbuf=1,maxbuf=2"),
        (7, "cipher=rc4,cipher=des"),
        (7, "x=\"y"),
        (7, "x"),
    ] {
        let mut parts = sound.clone();
        parts[at] = other.to_owned();
        let message = parts.join(",");
        assert!(matches!(step(message), ServerStep::Malformed(_)), "{other}");
    }
    let mut parts = sound.clone();
    parts[6] = "response=d388dad90d4bbd760a152321f2143af8".to_owned();
    assert!(matches!(step(parts.join(",")), ServerStep::Wrong(_)));
    assert!(matches!(step(format!("{},x={}", sound.join(","), "y".repeat(4096))), ServerStep::Malformed(_)));
}

#[test]
fn a_client_refuses_what_it_cannot_answer() {
    for challenge in [
        "",
        "nonce=\"x\"",
        "algorithm=md5-sess",
        "nonce=\"x\",nonce=\"y\",algorithm=md5-sess",
        "nonce=\"x\",algorithm=md5",
        "nonce=\"x\",algorithm=md5-sess,algorithm=md5-sess",
        "nonce=\"x\",algorithm=md5-sess,qop=\"auth-int,auth-conf\"",
        "nonce=\"x\",algorithm=md5-sess,maxbuf=1,maxbuf=2",
        "nonce=\"x\",algorithm=md5-sess,maxbuf=large",
        "nonce=\"x\",algorithm=md5-sess,stale=true,stale=true",
        "nonce=\"x\",algorithm=md5-sess,cipher=\"rc4\",cipher=\"des\"",
        "nonce=\"x,algorithm=md5-sess",
    ] {
        let (_, mut client) = login("c").choose(&["DIGEST-MD5"], &channel("imap"), 0).unwrap();
        assert!(client.respond(challenge.as_bytes()).is_err(), "{challenge}");
    }
    let (_, mut client) = login("c").choose(&["DIGEST-MD5"], &channel("imap"), 0).unwrap();
    client.respond(b"nonce=\"x\",algorithm=md5-sess").unwrap();
    assert!(client.respond(b"rspauth=00000000000000000000000000000000").is_err());
    assert!(client.finish().is_err());
}

#[test]
fn rfc_6331_nobody_uses_it_unasked() {
    let login = Login::new(Identity::new("chris"), Credentials::Password("secret".into()));
    assert!(login.choose(&["DIGEST-MD5"], &channel("imap"), 0).is_none());
    assert!(!Offer::default().mechanisms.contains(&Mechanism::DigestMd5));
}
