"""Sends a letter with smtplib: PORT MODE [OPTION=VALUE ...], the letter on standard input. Prints who was refused, as JSON."""

import json
import smtplib
import ssl
import sys

port, mode = int(sys.argv[1]), sys.argv[2]
options = dict(option.split("=", 1) for option in sys.argv[3:])
letter = sys.stdin.buffer.read()
tls = None
if mode != "clear":
    tls = ssl.create_default_context(cafile=options["cafile"])
    if "cert" in options:
        tls.load_cert_chain(options["cert"], options["key"])

if mode == "implicit":
    smtp = smtplib.SMTP_SSL("localhost", port, timeout=20, context=tls)
else:
    smtp = smtplib.SMTP("localhost", port, timeout=20)
if mode == "starttls":
    smtp.starttls(context=tls)
smtp.ehlo()
if "mechanism" in options:
    user, password = options["user"], options["password"]
    smtp.user, smtp.password = user, password
    own = {
        "XOAUTH2": lambda challenge=None: f"user={user}\1auth=Bearer {password}\1\1",
        "EXTERNAL": lambda challenge=None: "",
    }
    mechanism = options["mechanism"]
    method = own.get(mechanism) or getattr(smtp, "auth_" + mechanism.lower().replace("-", "_"))
    smtp.auth(mechanism, method)
refused = smtp.sendmail(
    options.get("from", "ada@example.org"),
    options["to"].split(","),
    letter,
    mail_options=options.get("mail", "").split(),
    rcpt_options=options.get("rcpt", "").split(),
)
smtp.quit()
print(json.dumps({to: code for to, (code, _) in refused.items()}))
