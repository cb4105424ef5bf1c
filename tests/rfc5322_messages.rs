//! The messages of RFC 5322 appendix A.

use std::borrow::Cow;

use facteur::address::{Entry, Mailbox};
use facteur::message::{DefectKind, Message};

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n"))
}

/// `name <address>` of each mailbox, groups as `name: ...;`.
fn addresses(message: &Message, field: &str) -> Vec<String> {
    let shown = |mailbox: &Mailbox<'_>| {
        let address = mailbox.address().expect("an address");
        mailbox.name().map_or(address.to_string(), |name| format!("{name} <{address}>"))
    };
    let entries = message.header().get(field).expect("the field").addresses();
    let show = |entry: &Entry| match entry {
        Entry::Mailbox(mailbox) => shown(mailbox),
        Entry::Group(group) => {
            format!("{}: {};", group.name(), group.members.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
    };
    entries.iter().map(show).collect()
}

fn ids(message: &Message, field: &str) -> Vec<String> {
    message.header().get(field).expect("the field").ids().map(Cow::into_owned).collect()
}

fn date(message: &Message) -> i64 {
    message.header().get("Date").expect("the field").date().expect("a date").unix()
}

/// Without defects but those of obsolete white space, and the fields joined are the header.
fn is_sound(message: &Message) {
    let obsolete = |kind| matches!(kind, DefectKind::SpaceBeforeColon | DefectKind::BlankFold);
    assert!(message.defects().iter().all(|defect| obsolete(defect.kind)), "{:?}", message.defects());
    let joined: Vec<u8> = message.header().fields().flat_map(|field| field.raw().to_vec()).collect();
    assert_eq!([&joined, &b"\r\n"[..], message.root().raw_body()].concat(), message.raw()[..]);
}

#[test]
fn a_1_1_one_person_to_another() {
    let message = message(
        r#"From: John Doe <jdoe@machine.example>
Sender: Michael Jones <mjones@machine.example>
To: Mary Smith <mary@example.net>
Subject: Saying Hello
Date: Fri, 21 Nov 1997 09:55:06 -0600
Message-ID: <1234@local.machine.example>

This is a message just to say hello.
So, "Hello".
"#,
    );
    is_sound(&message);
    assert_eq!(addresses(&message, "from"), ["John Doe <jdoe@machine.example>"]);
    assert_eq!(addresses(&message, "sender"), ["Michael Jones <mjones@machine.example>"]);
    assert_eq!(addresses(&message, "to"), ["Mary Smith <mary@example.net>"]);
    assert_eq!(message.header().get("subject").unwrap().text(), "Saying Hello");
    assert_eq!(date(&message), 880_127_706);
    assert_eq!(ids(&message, "message-id"), ["1234@local.machine.example"]);
    assert_eq!(message.root().text().as_deref(), Some("This is a message just to say hello.\r\nSo, \"Hello\".\r\n"));
    assert_eq!(message.root().lines(), 2);
}

#[test]
fn a_1_2_different_types_of_mailboxes() {
    let message = message(
        r#"From: "Joe Q. Public" <john.q.public@example.com>
To: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>
Cc: <boss@nil.test>, "Giant; \"Big\" Box" <sysservices@example.net>
Date: Tue, 1 Jul 2003 10:52:37 +0200
Message-ID: <5678.21-Nov-1997@example.com>

Hi everyone.
"#,
    );
    is_sound(&message);
    assert_eq!(addresses(&message, "from"), ["Joe Q. Public <john.q.public@example.com>"]);
    assert_eq!(addresses(&message, "to"), ["Mary Smith <mary@x.test>", "jdoe@example.org", "Who? <one@y.test>"]);
    assert_eq!(addresses(&message, "cc"), ["boss@nil.test", "Giant; \"Big\" Box <sysservices@example.net>"]);
}

#[test]
fn a_1_3_group_addresses() {
    let message = message(
        r#"From: Pete <pete@silly.example>
To: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;
Cc: Undisclosed recipients:;
Date: Thu, 13 Feb 1969 23:32:54 -0330
Message-ID: <testabcd.1234@silly.example>

Testing.
"#,
    );
    is_sound(&message);
    assert_eq!(addresses(&message, "to"), ["A Group: Ed Jones <c@a.test>, joe@where.test, John <jdoe@one.test>;"]);
    assert_eq!(addresses(&message, "cc"), ["Undisclosed recipients: ;"]);
    assert_eq!(date(&message), -27_723_426);
}

#[test]
fn a_2_reply_messages() {
    let message = message(
        r#"To: "Mary Smith: Personal Account" <smith@home.example>
From: John Doe <jdoe@machine.example>
Subject: Re: Saying Hello
Date: Fri, 21 Nov 1997 11:00:00 -0600
Message-ID: <abcd.1234@local.machine.test>
In-Reply-To: <3456@example.net>
References: <1234@local.machine.example> <3456@example.net>

This is a reply to your reply.
"#,
    );
    is_sound(&message);
    assert_eq!(addresses(&message, "to"), ["Mary Smith: Personal Account <smith@home.example>"]);
    assert_eq!(ids(&message, "references"), ["1234@local.machine.example", "3456@example.net"]);
    assert_eq!(ids(&message, "in-reply-to"), ["3456@example.net"]);
}

#[test]
fn a_3_resent_messages_and_a_4_trace_fields() {
    let message = message(
        r#"Received: from x.y.test
   by example.net
   via TCP
   with ESMTP
   id ABC12345
   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600
Received: from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600
Resent-From: Mary Smith <mary@example.net>
Resent-To: Jane Brown <j-brown@other.example>
Resent-Date: Mon, 24 Nov 1997 14:22:01 -0800
Resent-Message-ID: <78910@example.net>
From: John Doe <jdoe@node.example>
To: Mary Smith <mary@example.net>

This is a message just to say hello.
"#,
    );
    is_sound(&message);
    let names: Vec<&str> = message.header().fields().map(|field| field.name()).collect();
    assert_eq!(
        names,
        ["Received", "Received", "Resent-From", "Resent-To", "Resent-Date", "Resent-Message-ID", "From", "To"]
    );
    assert_eq!(message.header().all("received").count(), 2);
    assert_eq!(
        &*message.header().get("received").unwrap().unfolded(),
        b"from x.y.test   by example.net   via TCP   with ESMTP   id ABC12345   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600"
    );
    assert_eq!(addresses(&message, "resent-to"), ["Jane Brown <j-brown@other.example>"]);
}

#[test]
fn a_5_white_space_comments_and_other_oddities() {
    let message = message(
        r#"From: Pete(A nice \) chap) <pete(his account)@silly.test(his host)>
To:A Group(Some people)
     :Chris Jones <c@(Chris's host.)public.example>,
         joe@example.org,
  John <jdoe@one.test> (my dear friend); (the end of the group)
Cc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;
Date: Thu,
      13
        Feb
          1969
      23:32
               -0330 (Newfoundland Time)
Message-ID:              <testabcd.1234@silly.test>

Testing.
"#,
    );
    is_sound(&message);
    assert_eq!(addresses(&message, "from"), ["Pete <pete@silly.test>"]);
    assert_eq!(
        addresses(&message, "to"),
        ["A Group: Chris Jones <c@public.example>, joe@example.org, John <jdoe@one.test>;"]
    );
    assert_eq!(addresses(&message, "cc"), ["Hidden recipients: ;"]);
    assert_eq!(date(&message), -27_723_480);
    assert_eq!(ids(&message, "message-id"), ["testabcd.1234@silly.test"]);
    assert_eq!(message.header().from().next().unwrap().comments(), ["A nice ) chap", "his account", "his host"]);
}

#[test]
fn a_6_1_obsolete_addressing() {
    let message = message(
        r#"From: Joe Q. Public <john.q.public@example.com>
To: Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example
Date: Tue, 1 Jul 2003 10:52:37 +0200
Message-ID: <5678.21-Nov-1997@example.com>

Hi everyone.
"#,
    );
    is_sound(&message);
    assert_eq!(addresses(&message, "from"), ["Joe Q. Public <john.q.public@example.com>"]);
    assert_eq!(addresses(&message, "to"), ["Mary Smith <mary@example.net>", "jdoe@test.example"]);
    assert_eq!(message.header().to().next().unwrap().route(), Some("@node.test"));
}

#[test]
fn a_6_2_obsolete_dates() {
    assert_eq!(date(&message("Date: 21 Nov 97 09:55:06 GMT\n\n")), 880_106_106);
}

#[test]
fn a_6_3_obsolete_white_space_and_comments() {
    let message = message(
        "From  : John Doe <jdoe@machine(comment).  example>
To    : Mary Smith
  \n          <mary@example.net>
Subject     : Saying Hello
Date  : Fri, 21 Nov 1997 09(comment):   55  :  06 -0600
Message-ID  : <1234   @   local(blah)  .machine .example>

This is a message just to say hello.
So, \"Hello\".
",
    );
    let found = |kind| message.defects().iter().filter(|defect| defect.kind == kind).count();
    assert_eq!((found(DefectKind::SpaceBeforeColon), found(DefectKind::BlankFold)), (5, 1));
    is_sound(&message);
    let names: Vec<&str> = message.header().fields().map(|field| field.name()).collect();
    assert_eq!(names, ["From", "To", "Subject", "Date", "Message-ID"]);
    assert_eq!(addresses(&message, "from"), ["John Doe <jdoe@machine.example>"]);
    assert_eq!(addresses(&message, "to"), ["Mary Smith <mary@example.net>"]);
    assert_eq!(date(&message), 880_127_706);
    assert_eq!(ids(&message, "message-id"), ["1234@local.machine.example"]);
}
