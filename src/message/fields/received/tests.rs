use super::*;

/// `helo reverse address | by | via | with | id | for | date`, `-` for what is not there.
fn shown(value: &str) -> String {
    let received = Received::parse(value.as_bytes());
    let or = |text: Option<Cow<'_, str>>| text.map_or("-".to_owned(), Cow::into_owned);
    let recipients: Vec<String> = received.recipients().map(|mailbox| mailbox.to_string()).collect();
    let from = received.from().map(|from| {
        format!(
            "{} {} {}",
            or(from.helo()),
            or(from.reverse()),
            or(from.address().map(|address| address.to_string().into()))
        )
    });
    [
        or(from.map(Cow::from)),
        or(received.by().map(|by| by.name())),
        or(received.via()),
        or(received.with()),
        or(received.id()),
        or(Some(Cow::from(recipients.join(","))).filter(|text| !text.is_empty())),
        or(received.date().map(|date| date.unix().to_string().into())),
    ]
    .join("|")
}

#[test]
fn the_address_is_what_the_server_saw() {
    for (from, expected) in [
        ("from [127.0.0.1] ([192.0.2.1])", "192.0.2.1"),
        ("from [127.0.0.1] (a.test [192.0.2.1])", "192.0.2.1"),
        ("from 127.0.0.1 (EHLO a.test) (192.0.2.1)", "127.0.0.1"),
        ("from [192.0.2.1] (helo=[127.0.0.1])", "192.0.2.1"),
        ("from [192.0.2.1] (helo=a.test ident=me@127.0.0.1)", "192.0.2.1"),
        ("from unknown (HELO [127.0.0.1]) (192.0.2.1)", "192.0.2.1"),
        ("from a.test [192.0.2.1]", "192.0.2.1"),
    ] {
        let value = format!("{from} by b.test; Mon, 1 Jan 2024 09:00:00 +0000");
        let address = Received::parse(value.as_bytes()).from().and_then(|from| from.address());
        assert_eq!(address, Some(expected.parse().unwrap()), "{from}");
    }
}

#[test]
fn fields_of_real_relays_are_read() {
    let date = "Mon, 1 Jan 2024 00:00:00 +0000";
    for (value, expected) in [
        // RFC 5321 §4.4
        (
            "from a.test (b.test [192.0.2.1]) by c.test via TCP with ESMTP id 7 for <d@c.test>",
            "a.test b.test 192.0.2.1|c.test|TCP|ESMTP|7|d@c.test",
        ),
        // Sendmail
        (
            "from a.test (IDENT:bob@b.test [192.0.2.1] (may be forged))\r\n\tby c.test (8.13.8/8.13.8) with ESMTP id l248\r\n\tfor <d@c.test>",
            "a.test b.test 192.0.2.1|c.test|-|ESMTP|l248|d@c.test",
        ),
        ("(from root@localhost) by c.test (8.13.8/8.13.8/Submit) id l248", "- - -|c.test|-|-|l248|-"),
        ("from a.test ([192.0.2.1]) by c.test with SMTP id x", "a.test - 192.0.2.1|c.test|-|SMTP|x|-"),
        // Postfix
        (
            "from a (unknown [IPv6:2001:db8::1])\n (using TLSv1.3 with cipher X (256/256 bits))\n (No client certificate requested)\n by c.test (Postfix) with ESMTPS id 4X for <d@c.test>",
            "a - 2001:db8::1|c.test|-|ESMTPS|4X|d@c.test",
        ),
        ("by c.test (Postfix, from userid 0) id 4X", "-|c.test|-|-|4X|-"),
        // Exchange
        (
            "from a.test ([fe80::1%11]) by c.test ([fe80::2%12]) with mapi id 14.03.0123.003",
            "a.test - fe80::1|c.test|-|mapi|14.03.0123.003|-",
        ),
        // Exim
        (
            "from b.test ([192.0.2.1]:4711 helo=a.test) by c.test with esmtps (Exim 4.80) (envelope-from <x@y>) id 1A-2",
            "a.test b.test 192.0.2.1|c.test|-|esmtps|1A-2|-",
        ),
        ("from [192.0.2.1] (helo=a) by c.test with esmtp", "a - 192.0.2.1|c.test|-|esmtp|-|-"),
        // qmail
        ("(qmail 1234 invoked by uid 0)", "-|-|-|-|-|-"),
        ("from unknown (HELO a.test) (192.0.2.1) by c.test with SMTP", "a.test - 192.0.2.1|c.test|-|SMTP|-|-"),
        ("from b.test (HELO a.test) (bob@192.0.2.1) by 0 with SMTP", "a.test b.test 192.0.2.1|0|-|SMTP|-|-"),
        // Exchange
        (
            "from a.test (2001:db8::1) by c.test (2001:db8::2) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.20.77.7 via Frontend Transport",
            "a.test - 2001:db8::1|c.test|Frontend Transport|Microsoft SMTP Server|15.20.77.7|-",
        ),
        // others
        ("by 192.0.2.1 with HTTP", "-|192.0.2.1|-|HTTP|-|-"),
        ("from [192.0.2.1] by web.test via HTTP", "[192.0.2.1] - 192.0.2.1|web.test|HTTP|-|-|-"),
        ("FROM a.test BY c.test ID <AA28328> FOR list@c.test", "a.test - -|c.test|-|-|AA28328|list@c.test"),
        ("from a.test by c.test with ESMTP for <d@c.test>,<e@c.test>", "a.test - -|c.test|-|ESMTP|-|d@c.test,e@c.test"),
        ("from by c.test", "- - -|c.test|-|-|-|-"),
        // Sendmail with authentication and TLS
        (
            "from a.test (b.test [192.0.2.1])\r\n\t(authenticated bits=0)\r\n\tby c.test (8.14.4/8.14.4) with ESMTP id s0 (version=TLSv1/SSLv3 cipher=X bits=256 verify=NO)\r\n\tfor <d@c.test>",
            "a.test b.test 192.0.2.1|c.test|-|ESMTP|s0|d@c.test",
        ),
        // Cyrus
        ("from c.test ([unix socket])\r\n\tby c.test (Cyrus v2.2.12) with LMTPA", "c.test - -|c.test|-|LMTPA|-|-"),
        // Exim
        (
            "from b.test ([192.0.2.1] helo=a.test ident=bob)\r\n\tby c.test with esmtpsa (TLS1.2) tls TLS_ECDHE_X\r\n\t(Exim 4.94)\r\n\t(envelope-from <x@y>)\r\n\tid 1kX-2\r\n\tfor d@c.test",
            "a.test b.test 192.0.2.1|c.test|-|esmtpsa|1kX-2|d@c.test",
        ),
        (
            "from root by c.test with local (Exim 4.94) (envelope-from <root@c.test>) id 1k",
            "root - -|c.test|-|local|1k|-",
        ),
        // qmail
        ("(qmail 1234 invoked from network)", "-|-|-|-|-|-"),
        ("from unknown (192.0.2.1) by 0 with SMTP", "unknown - 192.0.2.1|0|-|SMTP|-|-"),
        (
            "from b.test (HELO a.test) ([192.0.2.1]) (envelope-sender <x@y>) by c.test (qmail-ldap-1.03) with SMTP for <d@c.test>",
            "a.test b.test 192.0.2.1|c.test|-|SMTP|-|d@c.test",
        ),
        // Exchange
        (
            "from A.b.test (192.0.2.1) by C.b.test (192.0.2.2) with Microsoft SMTP Server (TLS) id 14.3.123.3",
            "A.b.test - 192.0.2.1|C.b.test|-|Microsoft SMTP Server|14.3.123.3|-",
        ),
        (
            "from A.b.test ([fe80::1]) by C.b.test ([fe80::2%4]) with mapi id 15.20.7113.027",
            "A.b.test - fe80::1|C.b.test|-|mapi|15.20.7113.027|-",
        ),
        (
            "from a ([192.0.2.1]) by c.test with Microsoft SMTPSVC(6.0.3790.4675)",
            "a - 192.0.2.1|c.test|-|Microsoft SMTPSVC|-|-",
        ),
        // Gmail
        (
            "by 2002:a05:6a10:1234:b0:abc:def:12 with SMTP id x1csp123",
            "-|2002:a05:6a10:1234:b0:abc:def:12|-|SMTP|x1csp123|-",
        ),
        (
            "from b.test (b.test. [192.0.2.1])\r\n by mx.c.test with SMTPS id a1sor1\r\n for <d@c.test>\r\n (C Transport Security)",
            "b.test b.test. 192.0.2.1|mx.c.test|-|SMTPS|a1sor1|d@c.test",
        ),
        // Haraka
        (
            "from a.test ([192.0.2.1])\r\n by c.test (Haraka/2.8) with ESMTPS id ABC.1 envelope-from <x@y>",
            "a.test - 192.0.2.1|c.test|-|ESMTPS|ABC.1|-",
        ),
        // fetchmail
        (
            "from pop.a.test [192.0.2.1]\r\n\tby localhost with POP3 (fetchmail-6.3.26)\r\n\tfor <ada@localhost> (single-drop)",
            "pop.a.test - 192.0.2.1|localhost|-|POP3|-|ada@localhost",
        ),
        // CommuniGate Pro, Lotus Domino, MailEnable, GroupWise, MDaemon, James, LSMTP, smapd
        (
            "from [192.0.2.1] (account ada@a.test HELO a.test) by c.test (CommuniGate Pro SMTP 5.4) with ESMTPA id 1",
            "a.test - 192.0.2.1|c.test|-|ESMTPA|1|-",
        ),
        (
            "from a.test ([192.0.2.1])\r\n by c.test (Lotus Domino Release 8.5.3)\r\n with ESMTP id 2024010110-7 ",
            "a.test - 192.0.2.1|c.test|-|ESMTP|2024010110-7|-",
        ),
        (
            "from a.test ([192.0.2.1]) by c.test with MailEnable ESMTP",
            "a.test - 192.0.2.1|c.test|-|MailEnable ESMTP|-|-",
        ),
        ("from DOM-MTA by c.test\r\n\twith Novell_GroupWise", "DOM-MTA - -|c.test|-|Novell_GroupWise|-|-"),
        (
            "from a.test (a.test[192.0.2.1]) by c.test (MDaemon PRO v10) with ESMTP id md50.msg for <d@c.test>",
            "a.test a.test 192.0.2.1|c.test|-|ESMTP|md50.msg|d@c.test",
        ),
        (
            "from b.test (EHLO a.test) ([192.0.2.1])\r\n by c.test (JAMES SMTP Server ) with SMTP ID 123",
            "a.test b.test 192.0.2.1|c.test|-|SMTP|123|-",
        ),
        (
            "from a.test (192.0.2.1) by c.test (LSMTP for Windows NT v1.1b) with SMTP id <0.0014F8A2@c.test>",
            "a.test - 192.0.2.1|c.test|-|SMTP|0.0014F8A2@c.test|-",
        ),
        (
            "from a.test(192.0.2.1) by c.test via smtp (V1.3)\r\n\tid sma001",
            "a.test - 192.0.2.1|c.test|smtp|-|sma001|-",
        ),
        // X.400, UUCP
        ("by /PRMD=x/ADMD=y/C=fr/; Relayed", "-|/PRMD=x/ADMD=y/C=fr/|-|-|-|-"),
        ("from a.UUCP by c.ARPA (5.61/1.0) with UUCP\r\n\tid AA123", "a.UUCP - -|c.ARPA|-|UUCP|AA123|-"),
    ] {
        assert_eq!(shown(&format!("{value}; {date}")), format!("{expected}|1704067200"), "{value}");
        assert_eq!(shown(value), format!("{expected}|-"), "{value}");
    }
}

#[test]
fn broken_fields_give_what_they_have() {
    for (value, expected) in [
        ("", "-|-|-|-|-|-|-"),
        (";", "-|-|-|-|-|-|-"),
        ("from a.test (open by c.test; Mon, 1 Jan 2024 00:00:00 +0000", "a.test - -|c.test|-|-|-|-|1704067200"),
        ("from a.test by c.test with SMTP Mon, 1 Jan 2024 00:00:00 +0000", "a.test - -|c.test|-|SMTP|-|-|1704067200"),
        ("from a.test (x; y) by c.test; no date", "a.test - -|c.test|-|-|-|-|-"),
        ("Mon, 1 Jan 2024 00:00:00 +0000", "-|-|-|-|-|-|1704067200"),
        // SendGrid, written in Go
        (
            "by f-1 with SMTP id f-1-2; 2024-01-01 00:00:00.123456789 +0000 UTC m=+2.1",
            "-|f-1|-|SMTP|f-1-2|-|1704067200",
        ),
        ("by c.test; Mon, 01 Jan 2024 00:00:00.123 +0000 (UTC)", "-|c.test|-|-|-|-|1704067200"),
        ("by c.test id AA123; Mon, 1 Jan 90 00:00:00 GMT", "-|c.test|-|-|AA123|-|631152000"),
        ("by c.test id AA123; 1 Jan 2024 01:00:00 CET", "-|c.test|-|-|AA123|-|1704070800"),
        ("by c.test\r\n ;\r\n Mon Jan  1 00:00:00 2024", "-|c.test|-|-|-|-|1704067200"),
    ] {
        assert_eq!(shown(value), expected, "{value}");
    }
}

/// Each would take minutes in quadratic time.
#[test]
fn hostile_fields_take_linear_time() {
    for piece in ["(", "\"", "(a) ", "by ", ";", "Mon, ", "(\\", "a(", "<"] {
        shown(&piece.repeat(1_000_000 / piece.len()));
    }
}
