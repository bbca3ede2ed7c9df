"""Bounces: what other servers refuse for good counts against whoever sent it, once."""
from harness import LOGIN, crlf, sample, wait_for


def send(server, *recipients):
    with server.smtp() as client:
        client.sendmail(LOGIN, recipients, crlf(sample()))


def bounces(server):
    return next(q["used"] for q in server.ask("quota", LOGIN)["quota"] if " bounces " in q["rule"])


def wait_for_bounces(server, count):
    wait_for(f"{count} bounces", lambda: bounces(server) == count)


def sending_to(case):
    """A host that knows nobody whose name begins with a b."""
    sink = case.sink(script=lambda verb, argument, count:
                     "550 5.1.1 No such user" if verb == "RCPT" and "<b" in argument else None)
    return case.utpost(sections={"delivery": {"transport": "smarthost"},
                                 "smarthost": {"host": "127.0.0.1", "port": sink.port, "tls": "none"}})


def test_bounces_lock(case):
    """Counted once over kills; the lock tells why, and an unlock lasts."""
    server = sending_to(case)
    server.cli("rule", "add", "account", "bounces", "3/1d", "lock", "--account", LOGIN)
    send(server, "a1@example.net", "b1@example.net", "b2@example.net")
    wait_for_bounces(server, 2)
    for _ in range(2):
        server.kill_all()
        server.start()
        wait_for_bounces(server, 2)
    send(server, "b3@example.net")
    wait_for_bounces(server, 3)
    assert not server.ask("lock", "list")["locks"]
    send(server, "b4@example.net")
    lock = wait_for("the lock", lambda: server.ask("lock", "list")["locks"])[0]
    text = server.cli("lock", "show", lock["id"]).stdout
    assert "Too many bounces, 4/1d (max 3)" in text and "4 bounces, and 3 are allowed" in text, text
    server.cli("account", "unlock", LOGIN)
    wait_for_bounces(server, 0)
    server.kill_all()
    server.start()
    wait_for_bounces(server, 0)
    send(server, "a2@example.net")
    assert [bool(l.get("ended")) for l in server.ask("lock", "list", "--all")["locks"]] == [True]


def test_bounces_defer(case):
    server = sending_to(case)
    server.cli("rule", "add", "account", "bounces", "1/1h", "defer", "--account", LOGIN)
    send(server, "b1@example.net")
    wait_for_bounces(server, 1)
    send(server, "b2@example.net")
    wait_for_bounces(server, 2)
    with server.smtp() as client:
        client.mail(LOGIN)
        code, text = client.rcpt("a@example.net")
        assert code == 450 and b"Too many bounces, 2/1h (max 1). Works again" in text, text


def test_what_is_not_counted_is_said(case):
    server = case.utpost()
    done = server.cli("rule", "add", "account", "complaints", "5/1d", "lock", "--account", LOGIN, check=False)
    assert done.returncode == 1 and "complaints are not counted yet" in done.stderr, done
