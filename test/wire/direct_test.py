"""Direct delivery: a real name server, and mail hosts on several addresses of loopback."""
import json
import socket
import time

from dns import Zone
from harness import LOGIN, crlf, sample, wait_for


def sending(case, server, port, start=True, **delivery):
    """utpostd that delivers to mail hosts at that port, found by that name server."""
    keys = {"transport": "direct", "direct-port": port, "allow-private": "yes",
            "command-timeout": "1s", "connect-timeout": "2s", "retry-first": "2s"}
    keys |= {key.replace("_", "-"): value for key, value in delivery.items()}
    return case.utpost(start=start, sections={
        "delivery": keys,
        "resolver": {"forward": server.forward, "trust-anchor": server.anchors, "timeout": "5s"}})


def send(server, *recipients, text=None):
    with server.smtp() as s:
        refused = s.sendmail(LOGIN, recipients, crlf(text or sample()))
        assert not refused, refused


def fates(server, address, **wanted):
    """{recipient: its story} of the one message to the address, when all are in these states."""
    found = {}

    def there():
        by_address = server.cli("trace", address, check=False, json_=True)
        if by_address.returncode or not json.loads(by_address.stdout)["messages"]:
            return False
        whole = server.ask("trace", json.loads(by_address.stdout)["messages"][0]["id"])
        found.update({r["address"]: r for r in whole["messages"][0]["recipients"]})
        found["id"] = whole["messages"][0]["id"]
        return all(found[a]["state"] == state and (found[a]["tries"] or state == "queued")
                   for a, state in wanted.get("states", {}).items())
    wait_for(f"the fates of {address}", there, 30)
    return found


class Tarpit:
    """Accepts connections and never says a word."""

    def __init__(self, address, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(16)

    def stop(self):
        self.listener.close()

    def was_called(self):
        self.listener.setblocking(False)
        try:
            self.listener.accept()[0].close()
            return True
        except BlockingIOError:
            return False


def test_the_first_is_dead_the_second_tarpits_the_third_works(case):
    sink = case.sink(address="127.0.0.4")
    tarpit = Tarpit("127.0.0.3", sink.port)
    case.at_end(tarpit.stop)
    dns = case.dns(Zone("dest.example", "@ MX 30 third\n@ MX 10 first\n@ MX 20 second\n"
                        "first A 127.0.0.2\nsecond A 127.0.0.3\nthird A 127.0.0.4\n", signed=True))
    server = sending(case, dns, sink.port)
    send(server, "bo@dest.example", "cy@dest.example")
    wait_for("the mail", lambda: sink.messages)
    assert sink.messages[0][1] == ["bo@dest.example", "cy@dest.example"], sink.messages[0][1]
    assert tarpit.was_called()
    found = fates(server, "bo@dest.example", states={"bo@dest.example": "delivered"})
    tries = found["bo@dest.example"]["tries"]
    assert len(tries) == 1 and "third.dest.example [127.0.0.4]" in tries[0]["remote"], tries
    # the next mail does not wait for the tarpit again
    started = time.monotonic()
    send(server, "di@dest.example")
    wait_for("the second mail", lambda: len(sink.messages) == 2)
    assert time.monotonic() - started < 0.9, "the hosts that failed were tried again"


def test_what_dns_says_is_told(case):
    sink = case.sink()
    dns = case.dns(
        Zone("good.example", "@ MX 10 mx\nmx A 127.0.0.1\n", signed=True),
        Zone("plain.example", "null MX 0 .\nloop MX 10 out.example.com.\nlost MX 10 gone\n"
             "@ A 127.0.0.1\n"),
        Zone("forged.example", "@ MX 10 mx\nmx A 127.0.0.1\n", falsify={"MX\t10 mx.": "MX\t10 ns."}),
        Zone("broken.example", broken=True))
    server = sending(case, dns, sink.port)
    # recipient: state, enhanced code, words in the reply, words in the story
    want = {
        "a@good.example": ("delivered", "2.0.0", "", "delivered"),
        "a@plain.example": ("delivered", "2.0.0", "", "delivered"),
        "a@null.plain.example": ("failed", "5.1.10", "takes no mail, and says so in DNS (null MX)",
                                 "takes no mail, and says so"),
        "a@nowhere.plain.example": ("failed", "5.1.2", "the domain nowhere.plain.example does not exist",
                                    "does not exist"),
        "a@lost.plain.example": ("failed", "5.4.4", "gone.plain.example does not exist", "cannot be found"),
        "a@loop.plain.example": ("failed", "5.4.6", "would come back to this server", "this very machine"),
        "a@broken.example": ("queued", "4.4.3", "does not say where mail for broken.example goes: SERVFAIL",
                             "could not be found out"),
        "a@forged.example": ("queued", "4.7.5", "fail DNSSEC validation", "not genuine"),
    }
    send(server, *want)
    found = fates(server, "a@good.example", states={a: row[0] for a, row in want.items()})

    def told(address):
        fresh = fates(server, "a@good.example")[address]
        return fresh["tries"] and fresh["tries"][0]
    for address, (state, status, reply, _) in want.items():
        last = wait_for(f"{address} to be tried", lambda a=address: told(a))
        assert last["enhanced"] == status, f"{address}: {last}"
        assert reply in last["reply"], f"{address}: {last}"
    story = server.cli("trace", found["id"]).stdout
    for address, (*_, words) in want.items():
        part = story[story.index(f"{address}:"):].split("\n\n")[0]
        assert words in part, f"{address}: {part}"
    assert sorted(r for _, to, _ in sink.messages for r in to) == ["a@good.example", "a@plain.example"]


def test_our_own_networks_are_refused_by_default(case):
    sink = case.sink()
    dns = case.dns(Zone("dest.example", "@ MX 10 mx\nmx A 127.0.0.1\ninside A 192.168.3.4\n"))
    server = sending(case, dns, sink.port, allow_private="no")
    send(server, "a@dest.example", "b@inside.dest.example", "c@[127.0.0.1]", "d@[10.0.0.1]")
    found = fates(server, "a@dest.example", states={
        a: "failed" for a in ("a@dest.example", "b@inside.dest.example", "c@[127.0.0.1]", "d@[10.0.0.1]")})
    words = {a: r["tries"][0]["reply"] for a, r in found.items() if a != "id"}
    assert "mx.dest.example has a loopback address, 127.0.0.1" in words["a@dest.example"], words
    assert "a private address, 192.168.3.4" in words["b@inside.dest.example"], words
    assert "a loopback address" in words["c@[127.0.0.1]"], words
    assert "a private address" in words["d@[10.0.0.1]"], words
    assert sink.connections == 0


def test_one_message_for_many_domains(case):
    sink = case.sink()
    names = [f"d{i}.example" for i in range(30)]
    dns = case.dns(*(Zone(name, "@ A 127.0.0.1\n") for name in names))
    server = sending(case, dns, sink.port, max_connections=5)
    recipients = [f"{user}@{name}" for name in names for user in ("a", "b")]
    text = sample()
    send(server, *recipients, text=text)
    wait_for("all parts", lambda: len(sink.messages) == 30)
    assert sorted(r for _, to, _ in sink.messages for r in to) == sorted(recipients)
    assert all({r.split("@")[1] for r in to} == {to[0].split("@")[1]} for _, to, _ in sink.messages)
    assert len({body for _, _, body in sink.messages}) == 1
    wait_for("an empty queue", lambda: server.ask("queue", "list")["messages"] == [])


def test_a_queue_for_many_domains_survives_a_restart(case):
    sink = case.sink()
    dns = case.dns(Zone("one.example", "@ A 127.0.0.1\n"), Zone("two.example", "@ A 127.0.0.1\n"),
                   Zone("late.example", "@ A 127.0.0.7\n"))
    server = sending(case, dns, sink.port)
    send(server, "a@one.example", "a@late.example", "a@two.example", "b@late.example")
    wait_for("what can be delivered", lambda: len(sink.messages) == 2)
    fates(server, "a@late.example", states={"a@one.example": "delivered", "a@two.example": "delivered"})
    listed = server.ask("queue", "list")["messages"]
    assert len(listed) == 1, listed
    assert [r["address"] for r in listed[0]["recipients"]] == ["a@late.example", "b@late.example"], listed
    assert server.stop() == 0
    late = case.sink(address="127.0.0.7", port=sink.port)
    server.start()
    wait_for("the rest", lambda: late.messages, 40)
    assert late.messages[0][1] == ["a@late.example", "b@late.example"], late.messages
    assert len(sink.messages) == 2, "a part was sent again"


def test_a_real_postfix_by_its_domain(case):
    postfix = case.postfix()
    dns = case.dns(Zone("dest.example", "@ MX 10 mx\nmx A 127.0.0.1\n", signed=True))
    server = sending(case, dns, postfix.port, command_timeout="30s")
    send(server, "bo@dest.example")
    got = postfix.received()
    assert b"using TLS" in got[0] or b"ESMTPS" in got[0], got[0][:800]
    found = fates(server, "bo@dest.example", states={"bo@dest.example": "delivered"})
    assert "mx.dest.example [127.0.0.1]" in found["bo@dest.example"]["tries"][0]["remote"], found
