"""TLS to mail hosts: what DANE says, and what is configured per destination, with a real name server
and a real Postfix."""
import hashlib
import os
import signal
import subprocess

from direct_test import fates, send
from dns import Zone
from harness import wait_for


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, input=data, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def key_digest(certificate):
    """SHA-256 of the public key: the data of a TLSA record x 1 1."""
    public = openssl("x509", "-in", certificate, "-noout", "-pubkey")
    return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", data=public)).hexdigest()


def make_chain(directory, *names):
    """An authority, and a certificate of it for the names. (authority, chain and key)"""
    directory.mkdir()
    san = directory / "san"
    san.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-days", "30", "-subj", "/CN=Test Authority", "-keyout",
            directory / "ca.key", "-out", directory / "ca.pem")
    openssl("req", *curve, "-subj", "/CN=whoever", "-keyout", directory / "key", "-out", directory / "csr")
    openssl("x509", "-req", "-in", directory / "csr", "-CA", directory / "ca.pem", "-CAkey",
            directory / "ca.key", "-CAcreateserial", "-days", "30", "-extfile", san, "-out", directory / "cert")
    chain = directory / "chain.pem"
    chain.write_text("".join((directory / part).read_text() for part in ("key", "cert", "ca.pem")))
    return directory / "ca.pem", chain


def sending(case, dns, port, **sections):
    keys = {"transport": "direct", "direct-port": port, "allow-private": "yes", "retry-first": "2m"}
    keys |= sections.pop("delivery", {})
    return case.utpost(sections={
        "delivery": keys, **sections,
        "resolver": {"forward": dns.forward, "trust-anchor": dns.anchors, "timeout": "5s"}})


def check_tries(server, first, want):
    """want: {recipient: (state, enhanced code, words in the reply, words about TLS)}"""
    found = fates(server, first, states={a: row[0] for a, row in want.items()})

    def last(address):
        tries = fates(server, first)[address]["tries"]
        return tries and tries[-1]
    for address, (_, status, reply, tls) in want.items():
        one = wait_for(f"{address} to be tried", lambda a=address: last(a))
        assert one["enhanced"] == status, f"{address}: {one}"
        assert reply in one["reply"], f"{address}: {one}"
        assert tls in (one.get("tls") or "in plain text"), f"{address}: {one}"
    return server.cli("trace", found["id"]).stdout


def test_dane_says_how_a_host_gets_mail(case):
    authority, chain = make_chain(case.dir / "pki", "mx.authority.example", "other.example")
    postfix = case.postfix(settings=f"smtpd_tls_chain_files = {chain}\n")
    right, ca = key_digest(chain), key_digest(authority)
    wrong = hashlib.sha256(b"another key").hexdigest()

    def zone(name, tlsa, more="", **options):
        return Zone(name, f"@ MX 10 mx\nmx A 127.0.0.1\n_{postfix.port}._tcp.mx TLSA {tlsa}\n{more}",
                    **({"signed": True} | options))
    dns = case.dns(
        zone("own.example", f"3 1 1 {right}"),
        zone("rolling.example", f"3 1 1 {wrong}", f"_{postfix.port}._tcp.mx TLSA 3 1 1 {right}\n"),
        zone("authority.example", f"2 1 1 {ca}"),
        zone("misnamed.example", f"2 1 1 {ca}"),
        zone("wrong.example", f"3 1 1 {wrong}"),
        zone("unusable.example", f"1 1 1 {wrong}"),
        zone("unsigned.example", f"3 1 1 {wrong}", signed=False),
        zone("forged.example", f"3 1 1 {right}", falsify={right[:16].upper(): wrong[:16].upper()}),
        Zone("hidden.example", "@ MX 10 mx\nmx A 127.0.0.1\n_tcp.mx NS ns\n", signed=True),
        Zone("_tcp.mx.hidden.example", broken=True),
        Zone("alias.example", f"@ MX 10 www\nwww CNAME mx.own.example.\n", signed=True),
        Zone("none.example", "@ MX 10 mx\nmx A 127.0.0.1\n", signed=True))
    server = sending(case, dns, postfix.port)
    want = {
        "a@own.example": ("delivered", "2.0.0", "", ", verified by DANE"),
        "a@rolling.example": ("delivered", "2.0.0", "", ", verified by DANE"),
        "a@authority.example": ("delivered", "2.0.0", "", ", verified by DANE"),
        "a@alias.example": ("delivered", "2.0.0", "", ", verified by DANE"),
        "a@unusable.example": ("delivered", "2.0.0", "", ", certificate not verified"),
        "a@unsigned.example": ("delivered", "2.0.0", "", ", certificate not verified"),
        "a@none.example": ("delivered", "2.0.0", "", ", certificate not verified"),
        "a@misnamed.example": ("queued", "4.7.5", "hostname mismatch", "plain"),
        "a@wrong.example": ("queued", "4.7.5", "no matching DANE TLSA records", "plain"),
        "a@forged.example": ("queued", "4.7.5", "the TLSA records of mx.forged.example fail DNSSEC validation",
                             "plain"),
        "a@hidden.example": ("queued", "4.4.3", "the TLSA records of mx.hidden.example cannot be had: SERVFAIL",
                             "plain"),
    }
    send(server, *want)
    story = check_tries(server, "a@own.example", want)
    assert ", encrypted (TLSv1.3 " in story and "verified by DANE)" in story, story
    assert "No encrypted connection could be agreed on." in story, story
    assert len(postfix.received(7)) == 7


def test_dane_can_be_switched_off(case):
    postfix = case.postfix()
    dns = case.dns(Zone("wrong.example", "@ MX 10 mx\nmx A 127.0.0.1\n"
                        f"_{postfix.port}._tcp.mx TLSA 3 1 1 {'ab' * 32}\n", signed=True))
    server = sending(case, dns, postfix.port, delivery={"dane": "no"})
    send(server, "a@wrong.example")
    check_tries(server, "a@wrong.example",
                {"a@wrong.example": ("delivered", "2.0.0", "", ", certificate not verified")})


def test_what_is_configured_for_a_destination(case):
    authority, chain = make_chain(case.dir / "pki", "mx.right.example", "*.hosts.example")
    postfix = case.postfix(settings=f"smtpd_tls_chain_files = {chain}\n")
    sink = case.sink(address="127.0.0.2", port=postfix.port)  # speaks no TLS

    dns = case.dns(*(Zone(f"{name}.example", "@ MX 10 mx\nmx A 127.0.0.1\n")
                     for name in ("right", "wrong", "listed", "unlisted", "any", "off")),
                   Zone("weak.example", "@ MX 10 mx\nmx A 127.0.0.2\n"),
                   Zone("loose.example", "@ MX 10 mx\nmx A 127.0.0.2\n"))
    verify = {"tls": "verify"}
    server = sending(
        case, dns, postfix.port, delivery={"ca-file": authority},
        **{"destination right.example": verify, "destination wrong.example": verify,
           "destination listed.example": verify | {"hosts": "mx.example .hosts.example"},
           "destination unlisted.example": verify | {"hosts": "mx.example"},
           "destination any.example": {"tls": "encrypt"}, "destination weak.example": {"tls": "encrypt"},
           "destination off.example": {"tls": "none"}})

    want = {
        "a@right.example": ("delivered", "2.0.0", "", ", verified as mx.right.example"),
        "a@wrong.example": ("queued", "4.7.5", "hostname mismatch", "plain"),
        "a@listed.example": ("delivered", "2.0.0", "", ", verified as "),
        "a@unlisted.example": ("queued", "4.7.5", "hostname mismatch", "plain"),
        "a@any.example": ("delivered", "2.0.0", "", ", certificate not verified"),
        "a@off.example": ("delivered", "2.0.0", "", "in plain text"),
        "a@weak.example": ("queued", "4.7.10", "TLS is required and not offered", "plain"),
        "a@loose.example": ("delivered", "2.0.0", "", "in plain text"),
    }
    send(server, *want)
    check_tries(server, "a@right.example", want)
    assert [r for _, to, _ in sink.messages for r in to] == ["a@loose.example"]
    # what is configured can be changed while it runs; what waits goes by it
    server.sections["destination weak.example"]["tls"] = "opportunistic"
    server.write_conf()
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for("the new configuration", lambda: server.ask("config", "show")["destinations"]
             ["weak.example"]["tls"] == "opportunistic")
    send(server, "b@weak.example")
    wait_for("mail in plain text", lambda: any("b@weak.example" in to for _, to, _ in sink.messages))
