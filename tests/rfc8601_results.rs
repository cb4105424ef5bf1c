//! Authentication-Results fields by the examples of RFC 8601, Appendix B.

use facteur::auth::Results;

/// The results without their reasons and comments: `method=result ptype.property=value`.
fn read(value: &str) -> (String, Vec<String>) {
    let results = Results::parse(value.as_bytes()).unwrap();
    let methods = results.methods.iter().map(|method| {
        let of = method.properties.iter().map(|of| format!(" {}.{}={}", of.kind, of.name, of.value));
        format!("{}={}{}", method.name, method.result, of.collect::<String>())
    });
    let methods = methods.collect();
    (results.id, methods)
}

#[test]
fn the_examples_of_appendix_b_are_read() {
    for (example, value, id, methods) in [
        ("B.2", " example.org 1; none", "example.org", &[][..]),
        (
            "B.3",
            " example.com;\r\n          spf=pass smtp.mailfrom=example.net",
            "example.com",
            &["spf=pass smtp.mailfrom=example.net"],
        ),
        (
            "B.4",
            " example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n spf=pass smtp.mailfrom=example.net",
            "example.com",
            &["auth=pass smtp.auth=sender@example.net", "spf=pass smtp.mailfrom=example.net"],
        ),
        (
            "B.4, the other",
            " example.com; iprev=pass\r\n policy.iprev=192.0.2.200",
            "example.com",
            &["iprev=pass policy.iprev=192.0.2.200"],
        ),
        (
            "B.6",
            " example.com;\r\n      dkim=pass reason=\"good signature\"\r\n        header.i=@mail-router.example.net;\r\n      \
             dkim=fail reason=\"bad signature\"\r\n        header.i=@newyork.example.com",
            "example.com",
            &["dkim=pass header.i=@mail-router.example.net", "dkim=fail header.i=@newyork.example.com"],
        ),
        (
            "B.7",
            " foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n      \
             policy (A dot can go here) . (like that) expired\r\n      (this surprised me) = (as I wasn't expecting it) \
             1362471462",
            "foo.example.net",
            &["dkim=fail policy.expired=1362471462"],
        ),
    ] {
        let (read_id, read_methods) = read(value);
        assert_eq!(
            (read_id.as_str(), &read_methods[..]),
            (id, &methods.iter().map(|m| (*m).to_owned()).collect::<Vec<_>>()[..]),
            "{example}"
        );
    }
}

#[test]
fn reasons_and_comments_are_kept() {
    let results = Results::parse(b"example.com; dkim=fail reason=\"bad signature\"; auth=pass (cram-md5)").unwrap();
    assert_eq!(results.methods[0].reason.as_deref(), Some("bad signature"));
    assert_eq!(results.methods[1].comment.as_deref(), Some("cram-md5"));
    let results = Results::parse(b"foo.example.net (foobar) 1 (baz); dkim/1=fail").unwrap();
    assert_eq!((results.version, results.methods[0].version), (Some(1), Some(1)));
}
