use super::*;

fn value(text: &str, name: &str) -> Option<String> {
    Params::parse(text.as_bytes()).value(name)
}

/// Other readers would not know it either.
#[test]
fn a_name_with_a_byte_order_mark_is_another() {
    for mark in ["", "\u{feff}"] {
        let params = format!("; {mark}name=a; {mark}boundary*=us-ascii''b");
        for (name, expected) in [("name", "a"), ("boundary", "b")] {
            assert_eq!(value(&params, name).as_deref(), Some(expected).filter(|_| mark.is_empty()), "{params}");
        }
    }
}

#[test]
fn parameters_are_read_as_senders_write_them() {
    for (text, name, expected) in [
        ("text/plain; charset=us-ascii", "charset", Some("us-ascii")),
        ("text/plain; charset=\"us-ascii\" (Plain text)", "charset", Some("us-ascii")),
        ("text/plain; charset=us-ascii (Plain text)", "charset", Some("us-ascii")),
        ("a/b;CHARSET = x ;", "charset", Some("x")),
        ("a/b; ;; name=\"a;b\"; c=d", "c", Some("d")),
        ("a/b; name=\"a;b\"; c=d", "name", Some("a;b")),
        ("a/b; name=my file.pdf; x=y", "name", Some("my file.pdf")),
        ("a/b; name=\"open", "name", Some("open")),
        ("a/b; name=\"a\\\"b\"", "name", Some("a\"b")),
        ("a/b; name=\"=?utf-8?q?=C3=A9?=\"", "name", Some("é")),
        ("a/b; name==?utf-8?q?=C3=A9?=", "name", Some("é")),
        ("a/b; name=", "name", Some("")),
        ("a/b; name", "name", None),
        ("a/b (; name=x)", "name", None),
        ("a/b; x (c) = (d) y", "x", Some("y")),
        ("a/b; n=plain; n*=utf-8''%C3%A9", "n", Some("é")),
        ("a/b; n*=utf-8''%C3%A9; n=plain", "n", Some("é")),
        ("a/b; n*1=b; n*0=a; n*2=c", "n", Some("abc")),
        ("a/b; n*0=a; n*2=c", "n", Some("ac")),
        ("a/b; n*0=a; n*0=b; n*1=c", "n", Some("ac")),
        ("a/b; n*1=a", "n", Some("a")),
        ("a/b; n*x=a", "n", None),
        // no semicolons
        ("a/b; x=y\n n=\"c d\" m=e", "n", Some("c d")),
        ("a/b; x=y\n n=\"c d\" m=e", "m", Some("e")),
        ("a/b n*0=c n*1=d", "n", Some("cd")),
        ("a/b; n=c d e=f", "n", Some("c d")),
        ("a/b; n=c d e=f", "e", Some("f")),
        ("a/b; n==?utf-8?q?c d?= x", "n", Some("c d x")),
        ("a/b; n*=no-quotes", "n", Some("no-quotes")),
        ("a/b; n*=%zz%4", "n", Some("%zz%4")),
        ("a/b; n*0*=utf-8''%C3; n*1*=%A9", "n", Some("é")),
        ("a/b; n*0*=utf-8''a%2; n*1*=0b%C; n*2*=3%A9", "n", Some("a bé")),
        ("a/b; n*0*=utf-8''%C3; n*1=\"%A9\"", "n", Some("\u{fffd}%A9")),
        // the charset in each section
        ("a/b; n*0*=utf-8''%C3; n*1*=UTF-8''%A9; n*2*=utf-8'en'x", "n", Some("éx")),
        ("a/b; n*0*=utf-8''a; n*1*=''b; n*2*=c''d; n*3=utf-8''e", "n", Some("abc''dutf-8''e")),
        // folds
        ("a/b; n=c\r\n d\r\n\te; m=f", "n", Some("c d\te")),
        ("a/b; n=\"c\\\r\n d\"", "n", Some("c d")),
        ("a/b; n*0*=utf-8''a%20; n*1=b%20; n*2*=c%20", "n", Some("a b%20c ")),
    ] {
        assert_eq!(value(text, name).as_deref(), expected, "{text}");
    }
}

#[test]
fn values_keep_their_octets() {
    let long = "x".repeat(100);
    for (text, octets) in [
        (&b"a/b; n=caf\xe9"[..], &b"caf\xe9"[..]),
        (b"a/b; n=\"caf\xe9\r\n \\\"\"", b"caf\xe9 \""),
        (b"a/b; n=\"caf\xc3\xa9", b"caf\xc3\xa9"),
        (b"a/b; n=\"\"; n=x", b""),
        (b"a/b; n=\"a\"b; n=x", b"a"),
        (format!("a/b; n={long} ;").as_bytes(), long.as_bytes()),
    ] {
        let params = Params::parse(text);
        assert_eq!(params.octets("N"), Some(octets), "{}", text.escape_ascii());
        assert_eq!(params.text("n").map(Cow::into_owned), params.value("n"));
    }
    assert_eq!(Params::parse(b"a/b; n=caf\xe9").value("n").as_deref(), Some("caf\u{e9}"));
}

/// Each would take minutes in quadratic time.
#[test]
fn many_values_without_semicolons_take_linear_time() {
    for piece in ["n=b ", " n = b", "n=b\r\n\t", "n =\tb (c) "] {
        let text = format!("a/b; {}", piece.repeat(50_000));
        assert_eq!(value(&text, "n").as_deref(), Some("b"), "{piece:?}");
    }
}

/// Each would take minutes in quadratic time.
#[test]
fn long_runs_of_white_space_take_linear_time() {
    for before in ["a/b; ", "a/b", "a/b; n=c", "a/b; n=\"c\""] {
        for blank in [" ", "\x0c", "\r\n\t"] {
            let text = format!("{before}{} n=d", blank.repeat(200_000));
            let expected = if before.contains("n=") { "c" } else { "d" };
            assert_eq!(value(&text, "n").as_deref(), Some(expected), "{before:?} {blank:?}");
        }
    }
}

#[test]
fn the_simple_way_says_the_same_or_nothing() {
    for (text, simple) in [
        ("text/plain", Some(None)),
        (" text/plain;", Some(None)),
        ("text/plain; charset=utf-8", Some(Some("utf-8"))),
        ("text/plain;charset=\"us ascii\" ;; x=y\r\n", Some(Some("us ascii"))),
        ("a/b;\r\n\tx=\"; charset=no\"; CharSet=x/y.z:1; charset=second", Some(Some("x/y.z:1"))),
        ("a/b; charset=", Some(Some(""))),
        ("a/b; charset=x y", None),
        ("a/b; charset=x (comment)", None),
        ("a/b charset=x", None),
        ("a / b; charset=x", None),
        ("a/b; charset*=x", None),
        ("a/b; charset*0=x", None),
        ("a/b; charset = x", None),
        ("a/b; charset=\"x", None),
        ("a/b; charset=\"x\" y", None),
        ("a/b; charset=\"x\\y\"", None),
        ("a/b; charset=\"x\r\n y\"", None),
        ("a/b; charset==?utf-8?q?x?=", None),
        ("a/b; charset=\u{e9}", None),
        ("a/b; charset", None),
    ] {
        let read = super::simple(text.as_bytes(), "charset");
        assert_eq!(read, simple, "{text}");
        if let Some(read) = read {
            assert_eq!(read, value(text, "charset").as_deref(), "{text}");
        }
    }
    // The first of them are what fields of this form have.
    let long = "long".repeat(20);
    let pieces = [
        "; charset=utf-8",
        ";x=y",
        "; ",
        ";",
        "\r\n ",
        ";\tcharset=",
        "\"a;b =c\"",
        "x",
        &long,
        "=",
        " ",
        "\"",
        "/",
        "charset",
        "\t",
        "<@,:[]>",
        ")",
        "(",
        "\\",
        "?",
        "*",
        "\u{c}",
        "\0",
        "é",
    ];
    let (mut random, mut read) = (1_u64, 0);
    for round in 0..20_000 {
        let mut text = String::from("a/b");
        for _ in 0..round % 8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(random >> 33) as usize % if round % 5 == 0 { pieces.len() } else { 9 }]);
        }
        if let Some(simple) = super::simple(text.as_bytes(), "charset") {
            assert_eq!(simple, value(&text, "charset").as_deref(), "{text:?}");
            read += 1;
        }
    }
    assert!(read > 1000, "{read}");
}

#[test]
fn what_is_written_reads_back() {
    for text in [
        "",
        "a",
        "a b",
        "a\"b\\c",
        "é",
        "a=?b",
        "100%",
        "it's",
        &"日本語".repeat(40),
        &"x".repeat(300),
        &"\"".repeat(50),
        "a\tb",
    ] {
        let written = write("filename", text);
        assert!(written.iter().all(|piece| piece.len() <= 77), "{written:?}");
        let field = format!("attachment; {}", written.join("; "));
        assert_eq!(value(&field, "filename").as_deref(), Some(text), "{field}");
    }
}
