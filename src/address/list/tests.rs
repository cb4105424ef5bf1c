use super::*;

#[test]
fn the_usual_way_reads_the_same() {
    let pieces = [
        "ada",
        "@",
        "a.test",
        " ",
        "<",
        ">",
        ",",
        "\"",
        "\\",
        ";",
        ":",
        "(c)",
        "\r\n ",
        "<ada@a.test>",
        "<https://a.test/?b=1>",
        "<weekly.a.test>",
        "ada@a.test",
        "\"Ada, L.\" ",
        "Ada L.",
        "Ada  <",
        "\u{c}",
        "é",
        "=?utf-8?q?=C3=A9?=",
        "[1]",
        "\u{feff}",
        ", ",
        "\"\"",
        "group:",
    ];
    let mut random = 1_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(random >> 33) as usize % pieces.len()]);
        }
        let entries = read(text.as_bytes(), false);
        assert_eq!(read(text.as_bytes(), true), entries, "{text:?}");
        let flat: Vec<_> = entries.iter().flat_map(|entry| entry.mailboxes().to_vec()).collect();
        assert_eq!(mailboxes(text.as_bytes()).collect::<Vec<_>>(), flat, "{text:?}");
    }
}

/// `name|route|local|domain` of each mailbox; groups as `name[...]`.
fn shown(text: &str) -> String {
    let mailbox = |mailbox: &Mailbox<'_>| {
        let name = mailbox.name().map_or(String::new(), |name| format!("{name} "));
        let route = mailbox.route().map_or(String::new(), |route| format!("{route}:"));
        format!("{name}<{route}{mailbox}>")
    };
    let all: Vec<String> = parse(text.as_bytes())
        .iter()
        .map(|entry| match entry {
            Entry::Mailbox(one) => mailbox(one),
            Entry::Group(group) => {
                format!("{}[{}]", group.name(), group.members.iter().map(mailbox).collect::<Vec<_>>().join(" "))
            }
        })
        .collect();
    all.join(" ")
}

#[test]
fn lists_are_read() {
    for (text, expected) in [
        ("", ""),
        (",,", ""),
        ("a@b", "<a@b>"),
        ("<a@b>", "<a@b>"),
        ("Ada <a@b>, Bob <c@d>", "Ada <a@b> Bob <c@d>"),
        (r#""Joe Q. Public" <a@b>"#, "Joe Q. Public <a@b>"),
        (r#""Giant; \"Big\" Box" <a@b>"#, "Giant; \"Big\" Box <a@b>"),
        (r#""a b"@c"#, "<a b@c>"),
        ("a@b (Ada)", "Ada <a@b>"),
        ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete <pete@silly.test>"),
        // RFC 5322 §4.4: obs-domain-list = *(CFWS / ",") "@" domain *("," [CFWS] ["@" domain])
        ("Ada <, ,@n.test,,@b.test: a@c>, d@e", "Ada <@n.test,@b.test:a@c> <d@e>"),
        ("Ada <, d@e", "Ada <> <d@e>"),
        (
            "Mary Smith <@node.test,@b.test:mary@example.net>, x@y",
            "Mary Smith <@node.test,@b.test:mary@example.net> <x@y>",
        ),
        ("Joe <joe@[192.0.2.1]>", "Joe <joe@[192.0.2.1]>"),
        ("a@[IPv6:2001:db8::1], b@c", "<a@[IPv6:2001:db8::1]> <b@c>"),
        ("undisclosed-recipients:;", "undisclosed-recipients[]"),
        ("A Group(c) : a@b, C <c@d>;, e@f", "A Group[<a@b> C <c@d>] <e@f>"),
        ("john . public @ example . org", "<john.public@example.org>"),
        // what senders do wrong
        ("a@b; c@d", "<a@b> <c@d>"),
        ("Ada <a@b", "Ada <a@b>"),
        ("Ada <a@b, c@d", "Ada <a@b> <c@d>"),
        ("\"Ada <a@b>", "\"Ada <a@b>"),
        ("(Ada <a@b>", "(Ada <a@b>"),
        ("J. Doe <a@b>", "J. Doe <a@b>"),
        ("a@b <c@d>", "a@b <c@d>"),
        ("nobody", "<nobody>"),
        ("Ada Lovelace", "Ada Lovelace <>"),
        ("a@b ()", "<a@b>"),
        ("\"\" <a@b>", "<a@b>"),
        ("<>", "<>"),
        ("<ada>", "<ada>"),
        ("g: a@b", "g[<a@b>]"),
        ("g:h:a@b;", "g[h <a@b>]"),
        ("Ada : : Lovelace <a@b>", "Ada[Lovelace <a@b>]"),
        ("<<a@b>>", "<a@b>"),
        ("Ada > L < Lovelace <a@b>, c@d", "Ada > L Lovelace <a@b> <c@d>"),
        ("<Ada a@b>", "Ada <a@b>"),
        ("Ada <\"a b\"@c.d Lovelace>", "Ada Lovelace <a b@c.d>"),
        ("Ada <a@b c@d>", "Ada a@b <c@d>"),
        ("<mailto:a@b?c=\r\n d>", "<mailto:a@b?c=d>"),
        ("[ ( ] <a@b> ) <c@d>", "[ <c@d>"),
        ("Ada @[ ( ] <a@b> ) <c@d>", "Ada @[ <c@d>"),
        ("\"a\\\r\n b\" <c@d>", "a b <c@d>"),
        ("c@d (a\\\r\n b)", "a b <c@d>"),
        ("=?utf-8?q?Andr=C3=A9?= P. <a@b>", "André P. <a@b>"),
        ("[Ticket 1] <a@b>", "[Ticket 1] <a@b>"),
        // names without brackets
        ("Ada Lovelace a@b", "Ada Lovelace <a@b>"),
        ("\"Lovelace, Ada\" a@b, c@d", "Lovelace, Ada <a@b> <c@d>"),
        ("Ada a . b @ c . d", "Ada <a.b@c.d>"),
        ("Ada \"a b\"@c", "Ada <a b@c>"),
        ("a@b Ada", "Ada <a@b>"),
        ("\"Ada\" a@b>", "Ada <a@b>"),
        ("a@b>", "<a@b>"),
        ("a@b c@d", "a@b <c@d>"),
        ("a@b (Ada", "(Ada <a@b>"),
        ("@b", "<@b>"),
        ("Ada @", "<Ada@>"),
        ("Ada @>", "<Ada@>"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn an_address_that_may_be_another_is_told() {
    for (text, expected) in [
        ("a@b c@d", true),
        ("Ada a@b Bob c@d", true),
        ("a@b@c", true),
        ("<a@b c@d>", true),
        ("<a@b> <c@d>", true),
        ("Ada <a@b> c@d", true),
        ("<@a,b@c>", true),
        ("\"a@b c@d", true),
        ("a@b (c@d", true),
        ("g: a@b c@d;", true),
        ("a@b\u{c}c@d", true),
        ("<Ada a@b>", true),
        ("a@b.test\"c\"", true),
        ("Ada <a@b.test\"c\".test>", true),
        ("a@b \"Ada\"", false),
        ("\"a b\"@c", false),
        ("Ada < Lovelace <a@b>", true),
        ("[ ( ] <a@b> ) <c@d>", true),
        ("g: h: a@b;", true),
        ("<<a@b>>", false),
        ("[Ticket 1] <a@b>", false),
        ("<mailto:a@b?c= d>", false),
        ("a@b", false),
        ("Ada a@b Lovelace", false),
        // As programs write it for lists.
        ("a@b via list@d <list@d>", false),
        ("\"a@b\" c@d", false),
        ("a@b (c@d)", false),
        ("\"a@b\"@c", false),
        ("<@a,@b:c@d>", false),
        ("Ada <> a@b", false),
    ] {
        let all: Vec<_> = mailboxes(text.as_bytes()).map(|mailbox| mailbox.is_ambiguous()).collect();
        assert_eq!(all, [expected], "{text}");
    }
}

/// RFC 5322 §A.5
#[test]
fn comments_stay_with_what_they_are_about() {
    let list = parse(b"A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,(none),\r\n joe@example.org; (the end)");
    let [Entry::Group(group)] = &list[..] else { panic!("{list:?}") };
    assert_eq!(group.comments, ["Some people", "none", "the end"]);
    assert_eq!((&*group.name(), group.members.len()), ("A Group", 2));
    assert_eq!(group.members[0].comments(), ["Chris's host."]);
    let list = parse(b"(Empty list)(start)Hidden recipients :(nobody(that I know)) ;");
    let [Entry::Group(group)] = &list[..] else { panic!("{list:?}") };
    assert_eq!(group.comments, ["Empty list", "start", "nobody(that I know)"]);
    assert_eq!(parse(b"(only a comment)"), []);
}

#[test]
fn unclosed_brackets_take_linear_time() {
    for piece in ["(", "\"", "<", "[", "(a \"b <c [d", "<@a,", "a ", ":", "@:", "<a>", ";"] {
        parse(piece.repeat(100_000).as_bytes());
    }
}
