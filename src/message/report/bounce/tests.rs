//! Whole bounces, as mailers write them.

use super::*;

fn shown(message: &str) -> Option<Vec<String>> {
    let bounce = Message::parse(message.to_owned()).bounce()?;
    let shown = |recipient: &BouncedRecipient| {
        let hard = if recipient.is_hard() { "hard" } else { "soft" };
        format!("{} {:?} {:?} {hard}", recipient.name, recipient.reason, recipient.evidence)
    };
    Some(bounce.recipients.iter().map(shown).collect())
}

fn report(fields: &str) -> String {
    format!(
        "From: MAILER-DAEMON@a.test\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
         --b\n\nYour message could not be delivered.\n--b\nContent-Type: message/delivery-status\n\n\
         Reporting-MTA: dns; a.test\n\n{fields}\n--b--\n"
    )
}

#[test]
fn reports_say_who_failed() {
    let recipient = |address: &str, action: &str, status: &str, more: &str| {
        format!("Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n{more}\n")
    };
    for (fields, expected) in [
        (recipient("a@b.test", "failed", "5.1.1", ""), Some(vec!["a@b.test UserUnknown Report hard"])),
        (recipient("a@b.test", "failed", "4.1.1", ""), Some(vec!["a@b.test UserUnknown Report soft"])),
        (
            recipient("a@b.test", "failed", "5.0.0", "Diagnostic-Code: smtp; 552 quota exceeded\n"),
            Some(vec!["a@b.test MailboxFull Report soft"]),
        ),
        (recipient("a@b.test", "delayed", "4.4.1", ""), None),
        (recipient("a@b.test", "delivered", "2.0.0", ""), None),
        (recipient("a@b.test", "relayed", "2.0.0", ""), None),
        (recipient("a@b.test", "expanded", "2.0.0", ""), None),
        (recipient("a@b.test", "deliverable", "2.1.5", ""), None),
        (
            recipient("a@b.test", "delayed", "4.4.1", "") + &recipient("c@d.test", "FAILED", "5.1.2 (no host)", ""),
            Some(vec!["c@d.test HostUnknown Report hard"]),
        ),
        (
            "Final-Recipient: x400; /c=fr/s=ada\nAction: failed\nStatus: 5.1.1\n".to_owned(),
            Some(vec!["/c=fr/s=ada UserUnknown Report hard"]),
        ),
        (
            "Final-Recipient: rfc822; a@b.test\nDiagnostic-Code: smtp; 550 no such user\n".to_owned(),
            Some(vec!["a@b.test UserUnknown Report hard"]),
        ),
    ] {
        let expected = expected.map(|lines| lines.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(shown(&report(&fields)), expected, "{fields}");
    }
}

#[test]
fn mailers_say_it_in_their_own_words() {
    let daemon = "From: Mailer-Daemon@a.test\nSubject: Mail delivery failed\n";
    for (header, body, expected) in [
        (
            "X-Failed-Recipients: a@b.test, c@d.test\n",
            "The following address(es) failed:\n\n  a@b.test\n    SMTP error: 550 no such user\n  c@d.test\n    \
             mailbox is full\n\n------ This is a copy of the message. ------\n\nTo: e@f.test\n",
            vec!["a@b.test UserUnknown FailedRecipients hard", "c@d.test MailboxFull FailedRecipients soft"],
        ),
        (
            "",
            "   ----- Transcript of session follows -----\n550 <a@b.test>... User unknown\n\
             \n   ----- Unsent message follows -----\nTo: e@f.test\n",
            vec!["a@b.test UserUnknown Text hard"],
        ),
        (
            "",
            "The message could not be delivered: host unknown.\n\n--- Unsent message follows ---\nTo: e@f.test\n\nx\n",
            vec!["e@f.test HostUnknown Returned hard"],
        ),
        ("", "It could not be delivered.\n", vec![" Unknown Nothing soft"]),
        (
            "",
            "It could not be delivered.\n\nFinal-Recipient: rfc822; a@b.test\nAction: failed\nStatus: 5.2.2\n",
            vec!["a@b.test MailboxFull ReportInText soft"],
        ),
        ("", "User's mailbox is full: <a@b.test>\nUnable to deliver mail.\n", vec!["a@b.test MailboxFull Text soft"]),
        (
            "Content-Type: text/html\n",
            "<p>Your message was not delivered to:<br>a@b.test<br>because: user unknown</p>",
            vec!["a@b.test UserUnknown Text hard"],
        ),
    ] {
        assert_eq!(shown(&format!("{daemon}{header}\n{body}")).unwrap(), expected, "{body}");
    }
}

#[test]
fn bounces_in_other_languages_are_known() {
    for (from, subject, body, expected) in [
        (
            "postmaster",
            "Unzustellbar: Mittagessen",
            "Folgende(r) Empfänger kann/können nicht erreicht werden:\n\n  a@b.test am 21.11.2007\n    Das Konto ist nicht vorhanden.\n",
            "a@b.test UserUnknown Text hard",
        ),
        (
            "MAILER-DAEMON",
            "Message non remis",
            "Votre message n'a pas pu être remis aux destinataires suivants :\n\n<a@b.test>: 550 5.2.2 La boîte aux lettres est pleine\n",
            "a@b.test MailboxFull Text soft",
        ),
        (
            "postmaster",
            "No se puede entregar: almuerzo",
            "Error de entrega a estos destinatarios o grupos:\n\na@b.test\nNo se encontró la dirección.\n",
            "a@b.test UserUnknown Text hard",
        ),
        (
            "postmaster",
            "Messaggio non recapitabile: pranzo",
            "Impossibile recapitare il messaggio ai seguenti destinatari:\n\na@b.test\nCasella piena\n",
            "a@b.test MailboxFull Text soft",
        ),
        ("postmaster", "系统退信", "退信原因：收件人邮箱不存在\n<a@b.test>: 550\n", "a@b.test UserUnknown Text hard"),
        (
            "MAILER-DAEMON",
            "Zwrot wiadomości",
            "Wiadomość nie mogła zostać dostarczona.\n<a@b.test>: 550 5.1.1 User unknown\n",
            "a@b.test UserUnknown Text hard",
        ),
    ] {
        let message =
            format!("From: {from}@c.test\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n\n{body}");
        assert_eq!(shown(&message), Some(vec![expected.to_owned()]), "{subject}");
    }
}

#[test]
fn what_the_server_answered_may_stand_ahead() {
    let bounce = Message::parse(
        "From: postmaster@b.test\nSubject: Undeliverable Mail\n\nCould not be delivered because of\n\n\
         550 5.1.1 User unknown\n\nThe following recipients were affected:\n    a@b.test\n",
    );
    let bounce = bounce.bounce().unwrap();
    assert_eq!(bounce.recipients[0].status, Some(Enhanced(5, 1, 1)));
}

#[test]
fn what_is_no_bounce_is_not_taken_for_one() {
    for message in [
        "From: noreply@parcels.test\nSubject: Delivery failed\n\nYour parcel could not be delivered today.\n",
        "From: kurier@parcels.test\nSubject: Sendung nicht zugestellt\n\nSie konnte nicht zugestellt werden:\nkurier@parcels.test\n",
        "From: ada@a.test\nSubject: lunch\n\nAt noon?\n",
        "From: ada@a.test\nSubject: Re: undeliverable\n\nThis could not be delivered, it says.\n",
        "From: bob@b.test\nSubject: Automatic reply: lunch\nReturn-Path: <>\n\nYour mail was not delivered, I am away.\n",
        "From: MAILER-DAEMON@a.test\nSubject: Warning: message delayed\n\nA message has not yet been delivered to:\n\n  a@b.test\n",
        "From: postmaster@a.test\nSubject: New rules\n\nPlease read them.\n",
        "Content-Type: message/feedback-report\nFrom: <>\n\nFeedback-Type: abuse\n",
        "Content-Type: message/disposition-notification\nFrom: <>\n\nDisposition: x/y; failed\n",
        "",
    ] {
        assert_eq!(shown(message), None, "{message}");
    }
}
