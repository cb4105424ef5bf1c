"""A user's day with Python's smtplib, imaplib and poplib: called by interop.rs as FOLDER SUBMISSION IMAPS POP3S."""

import imaplib
import poplib
import smtplib
import ssl
import sys
import time

folder, submission, imaps, pop3s = sys.argv[1], *(address.rpartition(":")[2] for address in sys.argv[2:5])
password = open(f"{folder}/demo.password").read().strip()
tls = ssl.create_default_context(cafile=f"{folder}/certificate.pem")
letter = b"From: demo@localhost\r\nTo: demo@localhost\r\nSubject: one\r\n\r\n.\r\n..\r\nlast\r\n"


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def imap():
    client = imaplib.IMAP4_SSL("localhost", int(imaps), ssl_context=tls)
    ok(client.login("demo", password))
    return client


def numbers(answer):
    return ok(answer)[0].split()


watcher = imap()
assert ok(watcher.select()) == [b"0"]

with smtplib.SMTP("localhost", int(submission)) as smtp:
    smtp.starttls(context=tls)
    smtp.login("demo", password)
    assert smtp.sendmail("demo@localhost", ["demo@localhost"], letter) == {}

# A session that does nothing but SEARCH hears of the letter.
patience = time.monotonic() + 60
while numbers(watcher.search(None, "UNSEEN")) != [b"1"]:
    assert time.monotonic() < patience
    time.sleep(0.02)
[(_, fetched), _] = ok(watcher.fetch("1", "(RFC822.SIZE BODY.PEEK[])"))
assert fetched.endswith(letter), fetched

other = imap()
ok(other.create("Entw&APw-rfe"))
assert b'(\\HasNoChildren) "/" Entw&APw-rfe' in ok(other.list())
ok(other.append("Entw&APw-rfe", "(\\Draft)", '"17-Jul-1996 02:44:25 -0700"', "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nKöln".encode()))
assert ok(other.select("Entw&APw-rfe")) == [b"1"]
other.literal = "köln".encode()
assert numbers(other.search("UTF-8", "BODY")) == [b"1"]
assert numbers(other.uid("SEARCH", "ON", "17-Jul-1996", "DRAFT")) == [b"1"]
ok(other.copy("1", "INBOX"))
ok(other.store("1", "+FLAGS", "\\Deleted"))
assert ok(other.expunge()) == [b"1"]
ok(other.close())
ok(other.delete("Entw&APw-rfe"))

pop = poplib.POP3_SSL("localhost", int(pop3s), context=tls)
pop.user("demo")
pop.pass_(password)
assert pop.stat()[0] == 2
assert b"\r\n".join(pop.retr(1)[1]).endswith(b"\r\n\r\n.\r\n..\r\nlast")
assert pop.top(2, 0)[1][0].startswith(b"Subject: ")
identities = [line.split()[1] for line in pop.uidl()[1]]
assert len(set(identities)) == 2
pop.dele(1)
pop.quit()

ok(watcher.noop())
assert watcher.response("EXPUNGE") == ("EXPUNGE", [b"1"])
assert numbers(watcher.search(None, "ALL")) == [b"1"]
watcher.logout()
