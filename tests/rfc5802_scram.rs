//! RFC 5802 §5 and RFC 7677 §3, message by message, from both sides, and the example of draft-melnikov-scram-sha-512; and what each
//! side must refuse.

use std::num::NonZeroU32;

use facteur::base::{Secret, Tls};
use facteur::sasl::{
    Answer, Channel, ClientExchange, Credentials, Hash, Identity, Login, Mechanism, Nonces, Offer, ServerExchange,
    ServerStep, Verifier,
};

/// An example: the hash, the salt, both nonces, and the four messages.
struct Example {
    hash: Hash,
    salt: &'static [u8],
    nonces: [&'static str; 2],
    messages: [&'static str; 4],
}

const RFC5802: Example = Example {
    hash: Hash::Sha1,
    salt: b"\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76",
    nonces: ["fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j"],
    messages: [
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ],
};

const RFC7677: Example = Example {
    hash: Hash::Sha256,
    salt: b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81",
    nonces: ["rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"],
    messages: [
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ],
};

const SHA512: Example = Example {
    hash: Hash::Sha512,
    salt: b"\x62\x29\xf6\x16\xe1\xd3\xb7\xf3\x34\x90\x95\x9b\xd2\xdf\x4e\x23\x7d\xa7\xd9\x59\x8e\x1a\x2d\xe6\xf8\x97\xe3\x3a\xfb\x83\x17\xcf",
    nonces: ["rOprNGfwEbeRWgbNEkqO", "02431b08-2f89-4bad-a4e6-80c0564ec865"],
    messages: [
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO02431b08-2f89-4bad-a4e6-80c0564ec865,\
         s=Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO02431b08-2f89-4bad-a4e6-80c0564ec865,\
         p=Hc5yec3NmCD7t+kFRw4/3yD6/F3SQHc7AVYschRja+Bc3sbdjlA0eH1OjJc0DD4ghn1tnXN5/Wr6qm9xmaHt4A==",
        "v=BQuhnKHqYDwQWS5jAw4sZed+C9KFUALsbrq81bB0mh+bcUUbbMPNNmBIupnS2AmyyDnG5CTBQtkjJ9kyY4kzmw==",
    ],
};

impl Example {
    fn client(&self) -> ClientExchange {
        let mut login = Login::new(Identity::new("user"), Credentials::Password("pencil".into()));
        login.nonces = Nonces::always(self.nonces[0]);
        login.choose(&[Mechanism::Scram(self.hash).name()], &Channel::new("imap", None), 0).unwrap().1
    }

    fn server(&self) -> ServerExchange {
        let mut offer = Offer::new([Mechanism::Scram(self.hash)]);
        offer.nonces = Nonces::always(self.nonces[1]);
        offer.begin(Mechanism::Scram(self.hash), &Channel::new("imap", None))
    }

    fn answer(&self) -> Answer {
        let iterations = NonZeroU32::new(4096).unwrap();
        Answer::Keys(Verifier::with_hash(self.hash, &"pencil".into(), self.salt, iterations))
    }
}

fn challenge(text: &str) -> ServerStep {
    ServerStep::Challenge(text.to_owned().into())
}

#[test]
fn both_sides_say_what_the_rfcs_say() {
    for example in [RFC5802, RFC7677, SHA512] {
        let [client_first, server_first, client_final, server_final] = example.messages;
        let mut client = example.client();
        assert_eq!(client.initial(), Some(client_first.into()));
        assert_eq!(client.respond(server_first.as_bytes()), Ok(client_final.into()));
        assert!(client.finish().is_err(), "the server has proved nothing yet");
        assert_eq!(client.respond(server_final.as_bytes()), Ok("".into()));
        assert_eq!(client.finish(), Ok(()));

        let mut server = example.server();
        assert!(matches!(server.respond(Some(client_first.into())), ServerStep::Ask(_)));
        assert_eq!(server.answer(example.answer()), challenge(server_first));
        assert_eq!(server.respond(Some(client_final.into())), challenge(server_final));
        let end = ServerStep::Judge { identity: Identity::new("user"), credentials: Credentials::Proven };
        assert_eq!(server.respond(Some("".into())), end);
    }
}

#[test]
fn a_server_refuses_what_is_no_first_message() {
    let long_nonce = format!("n,,n=user,r={}", "x".repeat(513));
    let long = format!("n,,n=user,r=x,y={}", "x".repeat(5000));
    for (message, expected) in [
        ("", "n or y"),
        ("n", "a GS2 header"),
        ("n,", "n= and a user name"),
        ("n,,", "n= and a user name"),
        ("n,,n=user", "r= and a nonce"),
        ("n,,r=nonce,n=user", "n= and a user name"),
        ("n,,n=,r=nonce", "n= and a user name"),
        ("n,,n=user,r=", "r= and a nonce"),
        ("n,,n=user,r=non ce", "a printable nonce of at most 512 octets"),
        ("n,,n=user,r=nonc\u{e9}", "a printable nonce of at most 512 octets"),
        (&long_nonce, "a printable nonce of at most 512 octets"),
        (&long, "a message of at most 4096 octets"),
        ("n,,m=x,n=user,r=nonce", "no mandatory extension"),
        ("n,,n=user,m=x,r=nonce", "no mandatory extension"),
        ("n,,n=user,r=nonce,m=x", "an extension that may be ignored"),
        ("n,,n=user,r=nonce,", "an extension that may be ignored"),
        ("n,,n=user,r=nonce,1=x", "an extension that may be ignored"),
        ("n,,n=us=er,r=nonce", "=2C or =3D"),
        ("n,,n=user=2c,r=nonce", "=2C or =3D"),
        ("n,,n=us\u{7}er,r=nonce", "a user name that SASLprep allows"),
        ("n,,n=\u{ad},r=nonce", "a user name that SASLprep allows"),
        ("n,,n=us\0er,r=nonce", "no NUL"),
        ("n,b=x,n=user,r=nonce", "a= or nothing"),
        ("n,a=,n=user,r=nonce", "a= or nothing"),
        ("n,a=x=,n=user,r=nonce", "=2C or =3D"),
        ("p=tls-exporter,,n=user,r=nonce", "n or y"),
        ("x,,n=user,r=nonce", "n or y"),
    ] {
        match RFC7677.server().respond(Some(message.into())) {
            ServerStep::Malformed(error) => assert_eq!(error.expected, expected, "{message}"),
            other => panic!("{message}: {other:?}"),
        }
    }
    let not_utf8 = Secret::from(&b"n,,n=us\xffer,r=nonce"[..]);
    assert!(matches!(RFC7677.server().respond(Some(not_utf8)), ServerStep::Malformed(_)));
    for sound in ["y,,n=user,r=nonce", "n,,n=user,r=nonce,x=y,z==", "n,,n=I\u{ad}X=2C=3D,r=nonce"] {
        assert!(matches!(RFC7677.server().respond(Some(sound.into())), ServerStep::Ask(_)), "{sound}");
    }
}

#[test]
fn a_server_refuses_what_is_no_proof() {
    let nonce = RFC7677.nonces.concat();
    let step = |message: &str| {
        let mut server = RFC7677.server();
        server.respond(Some(RFC7677.messages[0].into()));
        server.answer(RFC7677.answer());
        server.respond(Some(message.into()))
    };
    let proof = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    for (message, expected) in [
        (String::new(), "p= and a proof"),
        (format!("c=biws,r={nonce}"), "p= and a proof"),
        (format!("c=biws,r={nonce},{proof},x=y"), "a proof in base64"),
        (format!("c=biws,r={nonce},p=dHzb*"), "a proof in base64"),
        (format!("r={nonce},c=biws,{proof}"), "c= and the channel binding"),
        (format!("c=biw,r={nonce},{proof}"), "the channel binding in base64"),
        (format!("m=x,c=biws,r={nonce},{proof}"), "no mandatory extension"),
        (format!("c=biws,r={nonce}x,{proof}"), "the nonce that was sent"),
        (format!("c=biws,r=rOprNGfwEbeRWgbNEkqO,{proof}"), "the nonce that was sent"),
        (format!("c=biws,r={nonce},m=x,{proof}"), "an extension that may be ignored"),
    ] {
        match step(&message) {
            ServerStep::Malformed(error) => assert_eq!(error.expected, expected, "{message}"),
            other => panic!("{message}: {other:?}"),
        }
    }
    // Well-formed, and wrong: another proof, a shorter one, another header ("y,,"), an extension that was not signed.
    for message in [
        format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVU="),
        format!("c=biws,r={nonce},p=dHzb"),
        format!("c=eSws,r={nonce},{proof}"),
        format!("c=biws,r={nonce},x=y,{proof}"),
    ] {
        assert_eq!(step(&message), ServerStep::Wrong(Identity::new("user")), "{message}");
    }
}

#[test]
fn keys_of_another_hash_or_none_fail_at_the_end_only() {
    for answer in [Answer::Nobody, Answer::Password("pencil".into()), RFC5802.answer()] {
        let mut server = RFC7677.server();
        server.respond(Some(RFC7677.messages[0].into()));
        let ServerStep::Challenge(_) = server.answer(answer) else { panic!("it goes on") };
        let step = server.respond(Some(RFC7677.messages[2].into()));
        assert_eq!(step, ServerStep::Wrong(Identity::new("user")));
    }
}

#[test]
fn a_client_refuses_what_is_no_server_first_message() {
    let nonce = RFC7677.nonces.concat();
    let long = format!("r=rOprNGfwEbeRWgbNEkqO{},s=AAAA,i=4096", "x".repeat(500));
    for (message, expected) in [
        (String::new(), "r= and a nonce"),
        (format!("s=AAAA,r={nonce},i=4096"), "r= and a nonce"),
        (format!("m=x,r={nonce},s=AAAA,i=4096"), "no mandatory extension"),
        (format!("r={nonce},i=4096"), "s= and a salt"),
        (format!("r={nonce},s=,i=4096"), "s= and a salt"),
        (format!("r={nonce},s=A,i=4096"), "a salt in base64"),
        (format!("r={nonce},s=AAAA"), "i= and a number of iterations"),
        (format!("r={nonce},s=AAAA,i=4095"), "a number of iterations within the limits of this client"),
        (format!("r={nonce},s=AAAA,i=2000001"), "a number of iterations within the limits of this client"),
        (format!("r={nonce},s=AAAA,i=2147483648"), "a number of iterations within the limits of this client"),
        (format!("r={nonce},s=AAAA,i=99999999999999999999"), "a number of iterations within the limits of this client"),
        (format!("r={nonce},s=AAAA,i=04096"), "a number of iterations within the limits of this client"),
        (format!("r={nonce},s=AAAA,i=+4096"), "a number of iterations within the limits of this client"),
        (format!("r={nonce},s=AAAA,i=4096,m=x"), "an extension that may be ignored"),
        ("r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096".into(), "our nonce with a part of the server's own"),
        ("r=another,s=AAAA,i=4096".into(), "our nonce with a part of the server's own"),
        (long, "a printable nonce of at most 512 octets"),
    ] {
        let mut client = RFC7677.client();
        client.initial();
        let error = client.respond(message.as_bytes()).expect_err(&message);
        assert_eq!(error.expected, expected, "{message}");
        assert!(client.finish().is_err() && client.respond(b"").is_err(), "it is over");
    }
}

#[test]
fn each_binding_is_that_of_its_session() {
    let hash = Hash::Sha512;
    let mechanism = Mechanism::ScramPlus(hash);
    let channel = |exporter: Option<&'static str>, end_point: Option<&'static str>| {
        let mut tls = Tls::default();
        tls.exporter = exporter.map(Into::into);
        tls.end_point = end_point.map(Into::into);
        Channel::new("smtp", Some(&tls))
    };
    let login = Login::new(Identity::new("user"), Credentials::Password("pencil".into()));
    for (ours, theirs, expected) in [
        (channel(Some("e"), Some("p")), channel(Some("e"), Some("p")), Some(true)),
        (channel(None, Some("p")), channel(Some("e"), Some("p")), Some(true)),
        (channel(Some("e"), None), channel(Some("other"), None), Some(false)),
        (channel(None, Some("p")), channel(Some("e"), Some("other")), Some(false)),
        (channel(Some("e"), None), channel(None, Some("p")), None),
    ] {
        let (_, mut client) = login.choose(&[mechanism.name()], &ours, 0).unwrap();
        let first = client.initial().unwrap();
        let flag: &[u8] = if ours.exporter.is_some() { b"p=tls-exporter,," } else { b"p=tls-server-end-point,," };
        assert!(first.expose().starts_with(flag));
        let mut server = Offer::new([mechanism]).begin(mechanism, &theirs);
        let ServerStep::Ask(_) = server.respond(Some(first)) else {
            assert_eq!(expected, None);
            continue;
        };
        let keys = Verifier::with_hash(hash, &"pencil".into(), b"salt", NonZeroU32::new(4096).unwrap());
        let ServerStep::Challenge(challenge) = server.answer(Answer::Keys(keys)) else { panic!() };
        let step = server.respond(Some(client.respond(&challenge).unwrap()));
        assert_eq!(Some(matches!(step, ServerStep::Challenge(_))), expected);
    }
    assert!(login.choose(&[mechanism.name()], &channel(None, None), 0).is_none(), "nothing to bind to");
}
