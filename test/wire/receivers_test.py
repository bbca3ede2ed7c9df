"""Direct delivery to real mail hosts of three kinds, found through a real name server."""
from direct_test import Tarpit, fates, send
from dns import Zone
from harness import sample, wait_for, without_trace
from receivers import Exim, OpenSmtpd

# The world: 127.0.0.1 is Postfix, .2 Exim (and ::1), .3 OpenSMTPD; .7 is a tarpit, .8 nobody.
HOSTS = ("postfix A 127.0.0.1\nexim A 127.0.0.2\nopensmtpd A 127.0.0.3\n"
         "tarpit A 127.0.0.7\ndead A 127.0.0.8\nsix AAAA ::1\n")


def world(case):
    postfix = case.postfix()
    exim = Exim(case, "exim", "127.0.0.2 ; ::1", postfix.port)
    opensmtpd = OpenSmtpd(case, "opensmtpd", "127.0.0.3", postfix.port)
    tarpit = Tarpit("127.0.0.7", postfix.port)
    case.at_end(tarpit.stop)
    return postfix, exim, opensmtpd


def sending(case, dns, port, **delivery):
    keys = {"transport": "direct", "direct-port": port, "allow-private": "yes", "retry-first": "2m",
            "command-timeout": "2s", "connect-timeout": "2s", "end-of-data-timeout": "30s"}
    return case.utpost(sections={
        "delivery": keys | {key.replace("_", "-"): value for key, value in delivery.items()},
        "resolver": {"forward": dns.forward, "trust-anchor": dns.anchors, "timeout": "5s"}})


def test_mail_arrives_byte_for_byte(case):
    postfix, exim, opensmtpd = world(case)
    dns = case.dns(Zone("signed.example", HOSTS + "pf MX 10 postfix\nex MX 10 exim\nos MX 10 opensmtpd\n",
                        signed=True))
    server = sending(case, dns, postfix.port)
    large = sample(subject="large", body="".join(f".{i} blåbär {'x' * (i % 70)}\n" for i in range(60000)))
    for text in (sample(), large):
        send(server, "a@pf.signed.example", "b@ex.signed.example", "c@os.signed.example", text=text)
    for host in (postfix, exim, opensmtpd):
        got = sorted((without_trace(m, received=2) for m in host.received(2)), key=len)
        assert got == [sample(), large], [len(m) for m in got]
    found = fates(server, "a@pf.signed.example",
                  states={f"{user}.signed.example": "delivered" for user in ("a@pf", "b@ex", "c@os")})
    for address, host in (("a@pf", "postfix"), ("b@ex", "exim"), ("c@os", "opensmtpd")):
        one = found[f"{address}.signed.example"]["tries"][0]
        assert one["remote"].startswith(f"{host}.signed.example ["), one
        assert bool(one["tls"]) == (host != "opensmtpd"), one  # its TLS is broken, see receivers.py
    assert "event=tls-failed remote=\"opensmtpd.signed.example " in server.log()
    wire = [line for line in (exim.dir / "log/main").read_text().splitlines() if " <= " in line]
    assert [" K " in f"{line} " for line in sorted(wire, key=lambda w: int(w.split(" S=")[1].split()[0]))] \
        == [False, True], wire  # the large one came by BDAT


def test_every_way_to_a_host(case):
    """signed and unsigned: by MX, without MX, behind dead and silent hosts, by an alias, over IPv6"""
    postfix, exim, opensmtpd = world(case)
    ways = ("late MX 30 opensmtpd\nlate MX 20 tarpit\nlate MX 10 dead\n"
            "itself A 127.0.0.2\nalias CNAME other\nother MX 5 postfix\n"
            "six6 MX 10 six\nhostalias MX 10 www\nwww CNAME opensmtpd\n"
            "null MX 0 .\nlost MX 10 gone\nloop MX 10 out.example.com.\n")
    dns = case.dns(
        Zone("signed.example", HOSTS + ways, signed=True), Zone("plain.example", HOSTS + ways),
        Zone("forged.example", HOSTS + "@ MX 10 exim\n", falsify={"MX\t10 exim.": "MX\t10 evil."}),
        Zone("broken.example", broken=True))
    server = sending(case, dns, postfix.port)
    # recipient, without its zone: where it goes, or its status and words of the reply and the story
    good = {"a@late": "opensmtpd", "a@itself": "itself", "a@alias": "postfix", "a@six6": "six",
            "a@hostalias": "www"}
    bad = {
        "a@null": ("failed", "5.1.10", "takes no mail, and says so in DNS (null MX)", "takes no mail"),
        "a@lost": ("failed", "5.4.4", "does not exist", "cannot be found"),
        "a@loop": ("failed", "5.4.6", "would come back to this server", "this very machine"),
        "a@nowhere": ("failed", "5.1.2", "does not exist", "does not exist"),
    }
    alone = {
        "a@forged.example": ("queued", "4.7.5", "fail DNSSEC validation", "not genuine"),
        "a@broken.example": ("queued", "4.4.3", "does not say where mail for broken.example goes: SERVFAIL",
                             "could not be found out"),
    }
    zones = ("signed.example", "plain.example")
    want = alone | {f"{a}.{zone}": row for a, row in bad.items() for zone in zones}
    to = [f"{a}.{zone}" for a in good for zone in zones]
    send(server, *to, *want)
    found = fates(server, to[0], states={a: "delivered" for a in to} | {a: row[0] for a, row in want.items()})
    for address in to:
        user, zone = address.split(".", 1)
        tries = found[address]["tries"]
        assert len(tries) == 1 and tries[0]["remote"].startswith(f"{good[user]}.{zone} ["), tries

    def last(address):
        tries = fates(server, to[0])[address]["tries"]
        return tries and tries[-1]
    for address, (_, status, reply, _) in want.items():
        one = wait_for(f"{address} to be tried", lambda a=address: last(a))
        assert one["enhanced"] == status and reply in one["reply"], f"{address}: {one}"
    story = server.cli("trace", found["id"]).stdout
    for address, (*_, words) in want.items():
        part = story[story.index(f"{address}:"):].split("\n\n")[0]
        assert words in part, f"{address}: {part}"
    assert len(postfix.received(2)) == 2
    assert len(exim.received(4)) == 4
    assert len(opensmtpd.received(4)) == 4


def test_our_own_machine_is_no_mail_host(case):
    """An MX that points to 127.0.0.1 is refused unless it was configured."""
    postfix = case.postfix()
    dns = case.dns(Zone("signed.example", "@ MX 10 mx\nmx A 127.0.0.1\nsix MX 10 mx6\nmx6 AAAA ::1\n",
                        signed=True))
    server = sending(case, dns, postfix.port, allow_private="no")
    send(server, "a@signed.example", "a@six.signed.example")
    found = fates(server, "a@signed.example",
                  states={"a@signed.example": "failed", "a@six.signed.example": "failed"})
    for address, text in (("a@signed.example", "127.0.0.1"), ("a@six.signed.example", "::1")):
        one = found[address]["tries"][0]
        assert one["enhanced"] == "5.4.6", one
        assert f"has a loopback address, {text}, where no mail is sent" in one["reply"], one
    assert b"client=" not in (postfix.dir / "log").read_bytes()
