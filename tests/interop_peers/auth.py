"""Asks dkimpy and pyspf over the name server at PORT: one JSON object a line in, one out."""

import json
import sys

import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], int(sys.argv[1]), 10
dns.resolver.override_system_resolver(resolver)
dns.resolver.default_resolver = resolver

import dkim
import spf


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, octets):
    with open(path, "wb") as file:
        file.write(octets)


def verify(job):
    return [dkim.DKIM(message := read(job["file"])).verify(n) for n in range(job["signatures"])]


def sign(job):
    header, body = job["canonicalization"].encode().split(b"/")
    signed = dkim.sign(
        message := read(job["file"]),
        job["selector"].encode(),
        job["domain"].encode(),
        read(job["key"]),
        canonicalize=(header, body),
        signature_algorithm=job["algorithm"].encode(),
        length=job.get("length", False),
    )
    write(job["out"], signed + message)


def arc_verify(job):
    cv, results, reason = dkim.arc_verify(read(job["file"]))
    return [cv.decode(), len(results), reason]


def arc_seal(job):
    message = read(job["file"])
    fields = dkim.arc_sign(
        message,
        job["selector"].encode(),
        job["domain"].encode(),
        read(job["key"]),
        job["id"].encode(),
        signature_algorithm=job["algorithm"].encode(),
    )
    write(job["out"], b"".join(fields) + message)


def check_spf(job):
    query = spf.query(i=job["ip"], s=job["from"], h=job["helo"], receiver="mx.test", timeout=10)
    outcome, _, explanation = query.check()
    return [outcome, explanation]


for line in sys.stdin:
    job = json.loads(line)
    work = {"verify": verify, "sign": sign, "arc-verify": arc_verify, "arc-seal": arc_seal, "spf": check_spf}
    try:
        print(json.dumps({"is": work[job["do"]](job)}))
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
