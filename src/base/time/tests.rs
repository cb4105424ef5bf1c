use super::*;

#[test]
fn rfc_3339_dates_round_trip() {
    for (text, unix) in [
        ("1985-04-12T23:20:50Z", 482_196_050),
        ("1996-12-19T16:39:57-08:00", 851_042_397),
        ("1990-12-31T15:59:59-08:00", 662_687_999),
        ("1937-01-01T12:00:27+00:20", -1_041_337_173),
        ("2014-04-03T23:01:00-00:00", 1_396_566_060),
    ] {
        let stamp = Timestamp::parse_rfc3339(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((stamp.unix(), &*stamp.rfc3339().to_string()), (unix, text));
    }
    for (text, same) in [
        // RFC 3339 §5.8
        ("1985-04-12t23:20:50.52z", "1985-04-12T23:20:50Z"),
        ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"),
    ] {
        assert_eq!(Timestamp::parse_rfc3339(text.as_bytes()).unwrap().rfc3339().to_string(), same);
    }
    for text in [
        "",
        "2014-04-03",
        "2014-04-03T23:01:00",
        "2014-04-03 23:01:00Z",
        "2014-04-03T23:01Z",
        "2014-04-03T24:00:00Z",
        "2014-04-03T23:60:00Z",
        "2014-04-03T23:00:61Z",
        "2014-13-03T23:00:00Z",
        "2014-02-30T23:00:00Z",
        "2014-04-03T23:01:00.Z",
        "2014-04-03T23:01:00+24:00",
        "2014-04-03T23:01:00+0100",
        "2014-04-03T23:01:00Z ",
        "+014-04-03T23:01:00Z",
    ] {
        assert!(Timestamp::parse_rfc3339(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn rfc_5322_dates_are_read() {
    for (text, unix, offset) in [
        // RFC 5322 appendix A
        ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706, Some(-360)),
        ("Tue, 1 Jul 2003 10:52:37 +0200", 1_057_049_557, Some(120)),
        ("Thu, 13 Feb 1969 23:32:54 -0330", -27_723_426, Some(-210)),
        (
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
            -27_723_480,
            Some(-210),
        ),
        ("21 Nov 97 09:55:06 GMT", 880_106_106, Some(0)),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880_127_706, Some(-360)),
        ("Fri, 21 Nov 1997 09:55:06 -0000", 880_106_106, None),
        ("Fri, 21 Nov 1997 09:55:06", 880_106_106, None),
        ("Fri, 21 Nov 1997 09:55:06 X", 880_106_106, None),
        ("Sat, 31 Dec 2016 23:59:60 +0000", 1_483_228_799, Some(0)),
    ] {
        let stamp = Timestamp::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((stamp.unix(), stamp.offset()), (unix, offset), "{text}");
    }
}

#[test]
fn dates_that_mean_one_thing_are_read() {
    // 1 July 2003 10:52:37 +0200
    const AT: i64 = 1_057_049_557;
    for (text, unix, offset) in [
        ("Tue, 1 Jul 2003 10:52:37 +02:00", AT, Some(120)),
        ("Tue, 1 Jul 2003 10:52:37 +02", AT, Some(120)),
        ("Tue, 1 Jul 2003 10:52:37 +2", AT, Some(120)),
        ("Tue, 1 Jul 2003 10:52:37 GMT+0200 (CEST)", AT, Some(120)),
        ("Tue, 1 Jul 2003 10:52:37 UTC+2", AT, Some(120)),
        ("Tue, 1 Jul 2003 10:52:37 0200", AT, Some(120)),
        ("Tue, Jul 1 03 10:52:37 200", AT, Some(120)),
        ("Tue, 1 Jul 2003 08:52:37 2003", AT, None),
        ("Tue, 1 Jul 2003 10:52:37+0200", AT, Some(120)),
        ("Tue, 1 Jul 2003 10:52:37.123 +0200", AT, Some(120)),
        ("Tue, 1 Jul 2003, 10:52:37 +0200", AT, Some(120)),
        ("Tuesday,1 July 103 10.52.37 +0200 trailing words", AT, Some(120)),
        ("Tue, 1-Jul-03 08:52:37 GMT", AT, Some(0)),
        ("tue, 01 jul 2003 08:52:37 am utc", AT, Some(0)),
        ("1 Jul 2003 12:00 AM GMT", 1_057_017_600, Some(0)),
        ("1 Jul 2003 12:00 PM GMT", 1_057_060_800, Some(0)),
        ("1 Jul 2003 11:00 pm GMT", 1_057_100_400, Some(0)),
        ("1 07 2003 08:52:37 GMT", AT, Some(0)),
        ("01-07-2003 08:52:37 GMT", AT, Some(0)),
        // RFC 5322 §4.3: "SHOULD be considered equivalent to "-0000""
        ("Tue, 1 Jul 2003 08:52:37 CEST", AT, None),
        ("Tue, 1 Jul 2003 08:52:37 A", AT, None),
        ("Tue, 1 Jul 2003 04:52:37 EDT -0400", AT, Some(-240)),
        ("Tue Jul  1 08:52:37 2003", AT, Some(0)),
        ("Tue Jul  1 10:52:37 2003 +0200", AT, Some(120)),
        ("Tuesday, July 1, 2003 08:52:37 GMT", AT, Some(0)),
        ("July 1 2003, 8:52:37 AM GMT", AT, Some(0)),
        ("2003-07-01T08:52:37Z", AT, Some(0)),
        ("2003-07-01T10:52:37.5+02:00", AT, Some(120)),
        ("2003-07-01 10:52:37 +0200", AT, Some(120)),
        ("2003-07-01 08:52:37", AT, None),
    ] {
        let stamp = Timestamp::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((stamp.unix(), stamp.offset()), (unix, offset), "{text}");
    }
}

#[test]
fn what_is_no_date_is_refused() {
    for text in [
        "",
        "Fri",
        "32 Jan 2000 00:00:00 +0000",
        "29 Feb 2001 00:00 GMT",
        "1 Foo 2000 00:00 GMT",
        "1 Jan 2 00:00",
        "1 Jan 99999 00:00",
        "1 Jan 2000 24:00",
        "1 Jan 2000 1",
        // Which is the month?
        "07/01/2003 10:52",
        "1 13 2000 00:00",
        "July 2003",
        "2003-7",
        "203-07-01 10:52",
        "((((",
        "1 Jan 2000 \\",
    ] {
        assert!(Timestamp::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn what_is_written_reads_back() {
    for (unix, offset) in [
        (0, 0),
        (1_057_049_557, 120),
        (-27_723_426, -210),
        (253_402_000_000, 1559),
        (-62_000_000_000, -1559),
        (i64::MAX, 0),
        (i64::MIN, -720),
    ] {
        let stamp = Timestamp::from_unix(unix).at_offset(offset);
        assert_eq!(Timestamp::parse(stamp.to_string().as_bytes()), Ok(stamp));
        assert_eq!(Timestamp::parse_imap(stamp.imap().to_string().as_bytes()), Ok(stamp));
        assert_eq!(Timestamp::parse_asctime(stamp.asctime().to_string().as_bytes()), Ok(stamp.at_offset(0)));
    }
    let nowhere = Timestamp::parse(b"1 Jan 2000 00:00:00 -0000").unwrap();
    assert_eq!(nowhere.to_string(), "Sat, 1 Jan 2000 00:00:00 -0000");
    assert_eq!(Timestamp::parse(nowhere.to_string().as_bytes()), Ok(nowhere));
}

#[test]
fn imap_dates_have_a_fixed_form() {
    assert_eq!(Timestamp::parse_imap(b"17-Jul-1996 02:44:25 -0700").unwrap().unix(), 837_596_665);
    for bad in [
        "1-Jul-1996 02:44:25 -0700",
        "17-Jul-1996 02:44:25",
        "17 Jul 1996 02:44:25 -0700",
        "17-Jul-1996 02:44:25 PDT  ",
        "17-Jux-1996 02:44:25 -0700",
    ] {
        assert!(Timestamp::parse_imap(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn from_lines_are_read_with_and_without_zones() {
    for text in [
        "Wed Feb 28 15:42:24 2007",
        "Feb 28 15:42:24 2007",
        "Wed Feb 28 15:42:24 GMT 2007",
        "Wed Feb 28 15:42:24 2007 +0000",
        "Wed Feb 28 16:42:24 +0100 2007",
    ] {
        assert_eq!(Timestamp::parse_asctime(text.as_bytes()).map(Timestamp::unix), Ok(1_172_677_344), "{text}");
    }
}
