"""Routes found through libunbound from a real name server with signed and unsigned zones."""
import subprocess

from dns import Zone
from harness import BUILD

MAIL = "@ MX 20 mx2\n@ MX 10 mx1\nmx1 A 127.0.0.2\nmx1 AAAA ::1\nmx2 A 127.0.0.3\n"
MANY = "".join(f"@ MX {i} host-with-a-long-name-{i}\nhost-with-a-long-name-{i} A 127.0.1.{i}\n"
               for i in range(90))
ZONES = [
    Zone("plain.example", MAIL + "alias CNAME real\nreal MX 10 mx2\nimplicit A 127.0.0.4\n"
         "null MX 0 .\naliased MX 10 www\nwww CNAME mx2\nnothing TXT x\nlost MX 10 gone\n"
         "foreign MX 10 mx1.signed.example.\nbad MX 10 mx.bogus.example.\n"
         "half MX 10 mx.bogus.example.\nhalf MX 20 mx2\nstuck MX 10 mx.broken.example.\n"),
    Zone("signed.example", MAIL + "alias CNAME real\nreal MX 10 mx2\nimplicit A 127.0.0.4\n"
         "null MX 0 .\nlost MX 10 gone\nforeign MX 10 mx1.plain.example.\n"
         "loop1 CNAME loop2\nloop2 CNAME loop1\n", signed=True),
    Zone("bogus.example", "@ MX 10 mx\nmx A 127.0.0.9\nsound MX 10 mx2.plain.example.\n",
         falsify={"127.0.0.9": "127.0.0.8"}),
    Zone("forged.example", "@ MX 10 mx\nmx A 127.0.0.9\n", falsify={"MX\t10 mx.": "MX\t10 ns."}),
    Zone("broken.example", broken=True),
    Zone("many.example", MANY),
]


def ask(server, anchors, domains, seconds=20):
    """{domain: (status, "secure" or "insecure", text, [(host, address, secure)])}"""
    done = subprocess.run([str(BUILD / "test/net/resolve_ask"), server.forward, str(anchors),
                           str(seconds), *domains], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found, last = {}, None
    for line in done.stdout.splitlines():
        if line.startswith("  "):
            found[last][3].append(tuple(line.split()))
        else:
            last, status, secure, text = line.split(" ", 3)
            found[last] = (status, secure, text, [])
    return found


def test_plain_and_signed_zones(case):
    server = case.dns(*ZONES)

    def hosts(zone, secure, *names):
        addresses = {"mx1": ("::1", "127.0.0.2"), "mx2": ("127.0.0.3",), "www": ("127.0.0.3",),
                     "implicit": ("127.0.0.4",)}
        return [(f"{name}.{zone}", address, secure) for name in names for address in addresses[name]]

    want = {}
    for zone, secure in (("plain.example", "insecure"), ("signed.example", "secure")):
        want |= {
            zone: ("2.0.0", secure, hosts(zone, secure, "mx1", "mx2")),
            f"alias.{zone}": ("2.0.0", secure, hosts(zone, secure, "mx2")),
            f"implicit.{zone}": ("2.0.0", secure, hosts(zone, secure, "implicit")),
            f"null.{zone}": ("5.1.10", secure, []),
            f"gone.{zone}": ("5.1.2", secure, []),
            f"lost.{zone}": ("5.4.4", secure, []),
        }
    want |= {
        "nothing.plain.example": ("5.1.2", "insecure", []),
        "aliased.plain.example": ("2.0.0", "insecure", hosts("plain.example", "insecure", "www")),
        # the chain is as secure as its weakest part
        "foreign.plain.example": ("2.0.0", "insecure", hosts("signed.example", "insecure", "mx1")),
        "foreign.signed.example": ("2.0.0", "secure", hosts("plain.example", "insecure", "mx1")),
        # a good MX record with a bogus address, the other way round, and beside a good host
        "bogus.example": ("4.7.5", "secure", []),
        "forged.example": ("4.7.5", "insecure", []),
        "bad.plain.example": ("4.7.5", "insecure", []),
        "half.plain.example": ("2.0.0", "insecure", hosts("plain.example", "insecure", "mx2")),
        "broken.example": ("4.4.3", "insecure", []),
        "stuck.plain.example": ("4.4.3", "insecure", []),
        "refused.elsewhere": ("4.4.3", "insecure", []),
        "loop1.signed.example": ("4.4.3", "insecure", []),
    }
    found = ask(server, server.anchors, list(want))
    for domain, (status, secure, targets) in want.items():
        assert found[domain][:2] == (status, secure), f"{domain}: {found[domain]}"
        assert found[domain][3] == targets, f"{domain}: {found[domain]}"
    text = found["forged.example"][2]
    assert text.startswith("DNS answers about forged.example fail DNSSEC validation: "), text
    assert "forged.example" in text.split(": ", 1)[1], text
    text = found["bad.plain.example"][2]
    assert "mx.bogus.example fails DNSSEC validation: " in text, text


def test_without_anchors_nothing_is_validated(case):
    server = case.dns(*ZONES)
    found = ask(server, "-", ["signed.example", "bogus.example"])
    assert found["signed.example"][:2] == ("2.0.0", "insecure"), found
    assert found["bogus.example"][3] == [("mx.bogus.example", "127.0.0.8", "insecure")], found


def test_many_mail_hosts(case):
    server = case.dns(*ZONES)
    status, secure, _, targets = ask(server, server.anchors, ["many.example"])["many.example"]
    assert (status, secure) == ("2.0.0", "insecure")
    assert targets == [(f"host-with-a-long-name-{i}.many.example", f"127.0.1.{i}", "insecure")
                       for i in range(10)], targets


def test_a_name_server_that_is_away(case):
    server = case.dns(Zone("plain.example", MAIL))
    server.stop()
    found = ask(server, "-", ["plain.example"], 2)["plain.example"]
    assert found[0] == "4.4.3", found
    assert found[2].startswith("DNS does not say where mail for plain.example goes: "), found
